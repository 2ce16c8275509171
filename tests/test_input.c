/* Inputs: lists of files, patterns and pipes come in; their rows, their places in errors, and what real files give as
 * they lie on disk, compressed, are compared with what is expected. */
#include <sys/stat.h>

#include "data/input.h"
#include "test_rows.h"

static dfm_error error;

static const char *write_text(const char *name, const char *text) {
  return test_write(name, text, strlen(text));
}

static dfm_input *make_input(const char *const *paths, size_t n) {
  dfm_input *input;
  assert_ok(dfm_input_create(paths, n, &input, &error));
  return input;
}

static void assert_no_input(const char *const *paths, size_t n, dfm_status code, const char *says) {
  dfm_input *input = NULL;
  assert_int_equal(dfm_input_create(paths, n, &input, &error), code);
  if (!strstr(error.message, says)) fail_msg("'%s' does not say '%s'", error.message, says);
  assert_null(input);
}

/* ---- lists */

static void names_of_lists(void **state) {
  (void)state;
  const char *a = write_text("a.csv", "x"), *b = write_text("b.csv", "x");
  const char *const paths[] = {a, b, a, "-"};
  char expected[8192];
  dfm_input *input = make_input(paths, 1);
  assert_string_equal(dfm_input_name(input), a);
  dfm_input_free(input);
  input = make_input(paths, 2);
  snprintf(expected, sizeof expected, "%s and 1 more file", a);
  assert_string_equal(dfm_input_name(input), expected);
  assert_true(dfm_input_is_rereadable(input));
  dfm_input_free(input);
  input = make_input(paths, 4);
  assert_non_null(strstr(dfm_input_name(input), " and 3 more files"));
  assert_string_equal(dfm_input_path(input, 3), "standard input");
  assert_false(dfm_input_is_rereadable(input));
  dfm_input_free(input);
  dfm_input_free(NULL);
}

static void patterns_match_in_the_order_of_bytes(void **state) {
  (void)state;
  static const char *const names[] = {"m-b.csv", "m-B.csv", "m-10.csv", "m-2.csv"};
  static const char *const sorted[] = {"m-10.csv", "m-2.csv", "m-B.csv", "m-b.csv"};
  for (int i = 0; i < 4; i++) write_text(names[i], "x");
  const char *pattern = test_path("m-*.csv");
  dfm_input *input = make_input(&pattern, 1);
  assert_int_equal(dfm_input_files(input), 4);
  for (size_t i = 0; i < 4; i++) assert_string_equal(dfm_input_path(input, i), test_path(sorted[i]));
  dfm_input_free(input);
  /* a file of the very name is no pattern */
  pattern = write_text("m-[ab].csv", "x");
  input = make_input(&pattern, 1);
  assert_int_equal(dfm_input_files(input), 1);
  assert_string_equal(dfm_input_path(input, 0), pattern);
  dfm_input_free(input);
}

static void lists_that_are_refused(void **state) {
  (void)state;
  const char *const missing[] = {write_text("a.csv", "x"), test_path("absent.csv")};
  const char *const pattern[] = {test_path("absent-*.csv")}, *const folder[] = {test_folder()};
  const char *const twice[] = {"-", "-"};
  assert_no_input(missing, 2, DFM_ERROR_IO, "absent.csv: No such file or directory");
  assert_no_input(pattern, 1, DFM_ERROR_IO, "no file matches");
  assert_no_input(folder, 1, DFM_ERROR_IO, "is a folder");
  assert_no_input(twice, 2, DFM_ERROR_VALUE, "given twice");
  assert_no_input(NULL, 0, DFM_ERROR_VALUE, "name at least one");
}

/* ---- rows of several files */

static dfm_status read_files(const char *const *paths, size_t n, const dfm_schema *schema,
                             const dfm_data_settings *settings, dfm_dataset **train, dfm_dataset **valid) {
  dfm_input *input = make_input(paths, n);
  const dfm_status status = dfm_dataset_read_training(input, NULL, schema, settings, NULL, train, valid, &error);
  dfm_input_free(input);
  return status;
}

static void files_are_read_as_one(void **state) {
  (void)state;
  dfm_schema *schema = make_schema("y:label C1:category");
  const dfm_data_settings settings = make_settings();
  dfm_dataset *one, *many, *valid;
  const char *first = write_text("1.csv", "y,C1\n1,a\n0,b"),
             *second = write_text("2.csv", "\xef\xbb\xbfy,C1\r\n1,a\r\n");
  const char *none = write_text("0.csv", "y,C1\n");
  const char *const paths[] = {none, first, second, none, first};
  assert_ok(read_text("all.csv", "y,C1\n1,a\n0,b\n1,a\n1,a\n0,b\n", schema, &settings, &one, &valid, &error));
  assert_ok(read_files(paths, 5, schema, &settings, &many, &valid));
  assert_int_equal(dfm_dataset_rows(many), 5);
  assert_true(fingerprint_of(one) == fingerprint_of(many));
  dfm_dataset_free(one);
  dfm_dataset_free(many);
  /* without header every line is a row */
  schema->has_header = false;
  const char *const plain[] = {write_text("p1.csv", "1,a\n0,b"), write_text("p2.csv", "1,c\n")};
  assert_ok(read_files(plain, 2, schema, &settings, &many, &valid));
  assert_int_equal(dfm_dataset_rows(many), 3);
  dfm_dataset_free(many);
  dfm_schema_free(schema);
}

static void headers_must_agree(void **state) {
  (void)state;
  static const struct {
    const char *text;
    long long line, column;
    const char *says[2];
  } cases[] = {
      {"y,C2\n1,a\n", 1, 3, {"second.csv:1:3: column 2 is called 'C2' here and 'C1' in", "first.csv; give all files"}},
      {"\nC1,y\na,1\n", 2, 1, {"second.csv:2:1: column 1 is called 'C1' here and 'y' in"}},
      {"y\n1\n", 1, 0, {"second.csv:1: the header has 1 columns here and 2 in", "first.csv"}},
      {"y,C1,C2\n1,a,b\n", 1, 0, {"the header has 3 columns here and 2 in"}},
      {"", 0, 0, {"second.csv is empty; it needs a header"}},
      {"\n\n", 0, 0, {"second.csv is empty; it needs a header"}},
      {"y,C1\n1,a\n1\n", 3, 0, {"second.csv:3: the row is one cell"}},
  };
  dfm_schema *schema = make_schema("y:label C1:category");
  const dfm_data_settings settings = make_settings();
  dfm_dataset *train = NULL, *valid = NULL;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *const paths[] = {write_text("first.csv", "y,C1\n1,a\n0,b\n"), write_text("second.csv", cases[i].text)};
    assert_true(read_files(paths, 2, schema, &settings, &train, &valid) < 0);
    assert_int_equal(error.line, cases[i].line);
    assert_int_equal(error.column, cases[i].column);
    for (int k = 0; k < 2 && cases[i].says[k]; k++)
      if (!strstr(error.message, cases[i].says[k])) fail_msg("'%s' lacks '%s'", error.message, cases[i].says[k]);
  }
  assert_null(train);
  dfm_schema_free(schema);
}

/* ---- what is read twice */

/* The text in a named pipe, written by a child; the pipe's path. */
static const char *write_pipe(const char *name, const char *text) {
  const char *path = test_path(name);
  unlink(path);
  assert_int_equal(mkfifo(path, 0600), 0);
  if (fork() == 0) {
    FILE *file = fopen(path, "wb");
    fputs(text, file);
    fclose(file);
    _exit(0);
  }
  return path;
}

static void an_unknown_value_is_placed_where_it_can_be(void **state) {
  (void)state;
  const char text[] = "y,C1\n1,a\n0,zap\n";
  dfm_schema *schema = make_schema("y:label C1:category");
  dfm_data_settings settings = make_settings();
  dfm_dataset *train, *valid;
  settings.category.unknown = DFM_UNKNOWN_ERROR;
  settings.valid_split = 0.5;
  const char *first = write_text("first.csv", "y,C1\n1,a\n0,b\n1,b\n");
  const char *const files[] = {first, write_text("second.csv", text)}, *const pipe_paths[] = {first, test_path("pipe")};
  assert_int_equal(read_files(files, 2, schema, &settings, &train, &valid), DFM_ERROR_FORMAT);
  assert_non_null(strstr(error.message, "second.csv:3:3: column 'C1'"));
  write_pipe("pipe", text);
  assert_int_equal(read_files(pipe_paths, 2, schema, &settings, &train, &valid), DFM_ERROR_FORMAT);
  assert_non_null(strstr(error.message, "first.csv and 1 more file: column 'C1' of validation row 3 has a value"));
  dfm_schema_free(schema);
}

static void a_pipe_is_guessed_from_and_then_read(void **state) {
  (void)state;
  char *text = malloc(1 << 22), *end = text + sprintf(text, "label,C1\n");
  for (int i = 0; i < 200000; i++) end += sprintf(end, "%d,v%d\n", i % 3 == 0, i % 50);
  const dfm_data_settings settings = make_settings();
  dfm_schema *schema;
  dfm_dataset *train, *valid, *plain;
  const char *path = write_pipe("pipe", text);
  dfm_input *input = make_input(&path, 1);
  assert_ok(dfm_schema_guess(input, NULL, &schema, &error));
  assert_ok(dfm_dataset_read_training(input, NULL, schema, &settings, NULL, &train, &valid, &error));
  assert_int_equal(dfm_dataset_rows(train), 200000);
  assert_ok(read_text("plain.csv", text, schema, &settings, &plain, &valid, &error));
  assert_true(fingerprint_of(train) == fingerprint_of(plain));
  dfm_dataset *again = NULL;
  assert_int_equal(dfm_dataset_read_training(input, NULL, schema, &settings, NULL, &again, &valid, &error),
                   DFM_ERROR_IO);
  assert_non_null(strstr(error.message, "pipe was read already and can be read only once"));
  dfm_input_free(input);
  dfm_dataset_free(train);
  dfm_dataset_free(plain);
  dfm_schema_free(schema);
  free(text);
}

/* ---- real files as they lie on disk */

typedef struct real_file {
  const char *name, *label;
  int64_t rows;
  size_t fields;
} real_file;

static const real_file REAL[] = {
    {"frappe_x1/train.csv.gz", NULL, 202027, 10},
    {"flights_nyc13/flights_delay15.csv.gz", NULL, 327346, 9},
    {"criteo_kaggle_head/train.txt.gz", "1", 10109, 39},
};

static void compressed_real_files_train_as_they_are(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof REAL / sizeof *REAL; i++) {
    const char *path = test_data(REAL[i].name);
    if (!path) continue;
    const dfm_schema_options options = {.label = REAL[i].label, .header = -1};
    const dfm_data_settings settings = make_settings();
    dfm_schema *schema;
    dfm_dataset *train, *valid, *unpacked;
    dfm_input *input = make_input(&path, 1);
    assert_ok(dfm_schema_guess(input, &options, &schema, &error));
    assert_ok(dfm_dataset_read_training(input, NULL, schema, &settings, NULL, &train, &valid, &error));
    dfm_input_free(input);
    assert_int_equal(dfm_dataset_rows(train), REAL[i].rows);
    assert_int_equal(dfm_dataset_fields(train), REAL[i].fields);
    char command[10000];
    snprintf(command, sizeof command, "gzip -dc '%s' > '%s'", path, test_path("unpacked"));
    assert_int_equal(system(command), 0);
    assert_ok(read_training_files(test_path("unpacked"), NULL, schema, &settings, NULL, &unpacked, &valid, &error));
    assert_true(fingerprint_of(train) == fingerprint_of(unpacked));
    dfm_dataset_free(train);
    dfm_dataset_free(unpacked);
    dfm_schema_free(schema);
  }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(names_of_lists),
    cmocka_unit_test(patterns_match_in_the_order_of_bytes),
    cmocka_unit_test(lists_that_are_refused),
    cmocka_unit_test(files_are_read_as_one),
    cmocka_unit_test(headers_must_agree),
    cmocka_unit_test(an_unknown_value_is_placed_where_it_can_be),
    cmocka_unit_test(a_pipe_is_guessed_from_and_then_read),
    cmocka_unit_test(compressed_real_files_train_as_they_are),
};

int main(int argc, char **argv) {
  return test_main(argc, argv, "input", tests, sizeof tests / sizeof *tests);
}
