/* Bad input: texts that readers must refuse come in; every refusal is checked for its code, its place and what it says.
 */
#include "test_rows.h"

static const char SPEC[] = "y:label W:weight I1:number C1:category";
static const char HEADER[] = "y,W,I1,C1\n";

typedef struct bad_text {
  const char *text; /* after HEADER, where it does not start with '!' */
  dfm_status code;
  long long line, column;
  const char *says[3];
} bad_text;

static const bad_text BAD[] = {
    {"", DFM_ERROR_FORMAT, 0, 0, {"bad.csv has a header but no rows", "check"}},
    {"!", DFM_ERROR_FORMAT, 0, 0, {"bad.csv", "empty"}},
    {"1,1,abc,x\n",
     DFM_ERROR_FORMAT,
     2,
     5,
     {"bad.csv:2:5: column 'I1' is numeric but has text: 'abc'", "category in the schema"}},
    {"1,1,0x10,x\n", DFM_ERROR_FORMAT, 2, 5, {"is numeric but has text: '0x10'"}},
    {"1,1,2,x\n0,1,NaN,x\n",
     DFM_ERROR_FORMAT,
     3,
     5,
     {"bad.csv:3:5: column 'I1'", "not finite: 'NaN'", "leave the cell empty"}},
    {"1,1,-inf,x\n", DFM_ERROR_FORMAT, 2, 5, {"not finite: '-inf'"}},
    {"1,1,1e39,x\n", DFM_ERROR_FORMAT, 2, 5, {"too large for 32-bit floats: '1e39'", "smaller unit"}},
    {"1,1,1e999,x\n", DFM_ERROR_FORMAT, 2, 5, {"too large"}},
    {"2,1,1,x\n",
     DFM_ERROR_FORMAT,
     2,
     1,
     {"bad.csv:2:1: column 'y' has a label that is neither 0 nor 1: '2'", "schema"}},
    {",1,1,x\n", DFM_ERROR_FORMAT, 2, 1, {"has no label: ''; add it, or leave such rows out"}},
    {"nan,1,1,x\n", DFM_ERROR_FORMAT, 2, 1, {"neither 0 nor 1: 'nan'"}},
    {"1,-1,1,x\n", DFM_ERROR_FORMAT, 2, 3, {"column 'W' has a weight", "at least 0: '-1'", "correct the cell"}},
    {"1,,1,x\n", DFM_ERROR_FORMAT, 2, 3, {"column 'W' has a weight"}},
    {"1,inf,1,x\n", DFM_ERROR_FORMAT, 2, 3, {"column 'W' has a weight", "'inf'"}},
    {"1,1,1,x\n1,1,1\n",
     DFM_ERROR_FORMAT,
     3,
     0,
     {"bad.csv:3: the row has 3 cells where the header has 4", "add the missing cells"}},
    {"1,1,1,x,9\n",
     DFM_ERROR_FORMAT,
     2,
     0,
     {"the row has 5 cells where the header has 4", "remove the surplus", "contain ','"}},
    {"!y,W,C1\n1,1,x\n",
     DFM_ERROR_MISMATCH,
     1,
     0,
     {"bad.csv:1: the header has no column 'I1'", "a number; add it to the file"}},
    {"!W,I1,C1\n1,1,x\n", DFM_ERROR_MISMATCH, 1, 0, {"the header has no column 'y'", "the label"}},
    {"!1,1,1,x\n", DFM_ERROR_MISMATCH, 1, 0, {"none of the schema's column names", "'1'", "header"}},
    {"!y,W,I1,C1,I1\n1,1,1,x,1\n",
     DFM_ERROR_FORMAT,
     1,
     11,
     {"bad.csv:1:11: the header has the column 'I1' twice", "cells 3 and 5"}},
};

static const char *write_bad(const bad_text *bad) {
  char text[512];
  snprintf(text, sizeof text, "%s%s", bad->text[0] == '!' ? "" : HEADER,
           bad->text[0] == '!' ? bad->text + 1 : bad->text);
  return test_write("bad.csv", text, strlen(text));
}

static void assert_says(const bad_text *bad, dfm_status status, const dfm_error *error) {
  if (status != bad->code) fail_msg("status %d instead of %d for: %s", (int)status, (int)bad->code, bad->text);
  assert_int_equal(error->code, bad->code);
  assert_int_equal(error->line, bad->line);
  assert_int_equal(error->column, bad->column);
  assert_null(strchr(error->message, '\n'));
  for (int i = 0; i < 3 && bad->says[i]; i++) {
    if (!strstr(error->message, bad->says[i])) fail_msg("'%s' does not say '%s'", error->message, bad->says[i]);
  }
}

static void training_refuses_with_place_and_remedy(void **state) {
  (void)state;
  dfm_schema *schema = make_schema(SPEC);
  const dfm_data_settings settings = make_settings();
  for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
    dfm_error error;
    dfm_dataset *train = NULL, *valid = NULL;
    assert_says(&BAD[i], read_training_files(write_bad(&BAD[i]), NULL, schema, &settings, NULL, &train, &valid, &error),
                &error);
    assert_null(train);
    assert_null(valid);
    assert_int_equal(read_training_files(write_bad(&BAD[i]), NULL, schema, &settings, NULL, &train, &valid, NULL),
                     BAD[i].code);
  }
  dfm_schema_free(schema);
}

/* The same texts as a validation file and as rows for a settled encoder. */
static void evaluation_refuses_the_same(void **state) {
  (void)state;
  dfm_schema *schema = make_schema(SPEC);
  const dfm_data_settings settings = make_settings();
  const char good[] = "y,W,I1,C1\n1,1,1,x\n0,2,,y\n";
  dfm_error error;
  dfm_dataset *train = NULL, *valid = NULL, *dataset = NULL;
  assert_ok(read_text("good.csv", good, schema, &settings, &train, &valid, &error));
  dfm_encoder *encoder = (dfm_encoder *)(uintptr_t)dfm_dataset_encoder(train);
  for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
    assert_says(&BAD[i], read_encoded_file(write_bad(&BAD[i]), encoder, NULL, &dataset, &error), &error);
    assert_null(dataset);
    for (int from_all = 0; from_all < 2; from_all++) {
      dfm_data_settings all = settings;
      dfm_dataset *again = NULL;
      all.vocabulary_from_all = from_all;
      const char *path = test_write("good.csv", good, strlen(good));
      assert_says(&BAD[i], read_training_files(path, write_bad(&BAD[i]), schema, &all, NULL, &again, &valid, &error),
                  &error);
      assert_null(again);
    }
  }
  dfm_dataset_free(train);
  dfm_schema_free(schema);
}

static void files_and_schemas_that_cannot_be_read(void **state) {
  (void)state;
  dfm_error error;
  dfm_dataset *train, *valid;
  const dfm_data_settings settings = make_settings();
  dfm_schema *schema = make_schema(SPEC);
  assert_int_equal(read_training_files("/nowhere/rows.csv", NULL, schema, &settings, NULL, &train, &valid, &error),
                   DFM_ERROR_IO);
  assert_non_null(strstr(error.message, "/nowhere/rows.csv"));
  dfm_schema_free(schema);
  schema = make_schema("y:label X:ignore");
  assert_int_equal(read_text("rows.csv", "y,X\n1,2\n", schema, &settings, &train, &valid, &error), DFM_ERROR_VALUE);
  assert_non_null(strstr(error.message, "none to learn from"));
  dfm_schema_free(schema);
  schema = make_schema("X:category");
  assert_int_equal(read_text("rows.csv", "X\n1\n", schema, &settings, &train, &valid, &error), DFM_ERROR_MISMATCH);
  assert_non_null(strstr(error.message, "no label column"));
  dfm_schema_free(schema);
}

static void rows_without_header_are_counted_against_the_schema(void **state) {
  (void)state;
  dfm_error error;
  dfm_dataset *train, *valid;
  const dfm_data_settings settings = make_settings();
  dfm_schema *schema = make_schema("y:label I1:number C1:category");
  schema->has_header = false;
  schema->separator = '\t';
  assert_int_equal(read_text("rows.tsv", "1\t2\n", schema, &settings, &train, &valid, &error), DFM_ERROR_FORMAT);
  assert_non_null(strstr(error.message, "rows.tsv:1: the row has 2 cells where the schema has 3"));
  assert_non_null(strstr(error.message, "a tab"));
  dfm_schema_free(schema);
}

static void a_truth_column_must_be_there_and_hold_probabilities(void **state) {
  (void)state;
  dfm_error error;
  dfm_dataset *train, *valid;
  const dfm_data_settings settings = make_settings();
  const dfm_read_options options = {.truth_column = "p"};
  dfm_schema *schema = make_schema("y:label C1:category");
  const char absent[] = "y,C1\n1,a\n", wrong[] = "y,C1,p\n1,a,1.5\n";
  const char *path = test_write("truth.csv", absent, strlen(absent));
  assert_int_equal(read_training_files(path, NULL, schema, &settings, &options, &train, &valid, &error),
                   DFM_ERROR_MISMATCH);
  assert_non_null(strstr(error.message, "no column 'p' of true probabilities"));
  path = test_write("truth.csv", wrong, strlen(wrong));
  assert_int_equal(read_training_files(path, NULL, schema, &settings, &options, &train, &valid, &error),
                   DFM_ERROR_FORMAT);
  assert_non_null(strstr(error.message, "truth.csv:2:5: column 'p' has a true probability"));
  dfm_schema_free(schema);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(training_refuses_with_place_and_remedy),
    cmocka_unit_test(evaluation_refuses_the_same),
    cmocka_unit_test(files_and_schemas_that_cannot_be_read),
    cmocka_unit_test(rows_without_header_are_counted_against_the_schema),
    cmocka_unit_test(a_truth_column_must_be_there_and_hold_probabilities),
};

int main(int argc, char **argv) {
  return test_main(argc, argv, "bad_input", tests, sizeof tests / sizeof *tests);
}
