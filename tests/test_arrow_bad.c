/* Arrow that is wrong: cells, columns, buffers and streams that cannot be read come in; the sentences that say so are
 * checked, and that all is released. */
#include "arrow_rows.h"
#include "data/storage.h"

/* The text cell of row 3, as `bad`, is an error that says `sentence`; with bad rows allowed the row is left out. */
static void assert_bad_cell(const char *spec, arrow_made (*make)(void), const char *sentence) {
  dfm_error error;
  dfm_dataset *train;
  int64_t rows = 0;
  const dfm_read_options options = {.skip_bad_rows = 1};
  dfm_schema *schema = make_schema(spec);
  arrow_made batch = make();
  assert_int_equal(read_batches(&batch, 1, schema, NULL, &train, &error), DFM_ERROR_FORMAT);
  if (!strstr(error.message, sentence)) fail_msg("'%s' is not in: %s", sentence, error.message);
  batch = make();
  assert_ok(read_batches(&batch, 1, schema, &options, &train, &error));
  assert_int_equal(dfm_dataset_rows(train), ROWS - 1);
  for (size_t i = 0; dfm_dataset_skipped(train, i, &rows, NULL) && rows == 0; i++) {
  }
  assert_int_equal(rows, 1);
  dfm_dataset_free(train);
  dfm_schema_free(schema);
  assert_int_equal(arrow_live, 0);
}

static arrow_made bad_label(void) {
  return ARROW_BATCH(ARROW_FIXED("c", "y", ((int8_t[]){1, 0, 0, 2, 1, 0}), NULL), arrow_bits("C", "111111", NULL));
}
static arrow_made null_label(void) {
  return ARROW_BATCH(arrow_bits("y", "101001", "vvv.vv"), arrow_bits("C", "111111", NULL));
}
static arrow_made infinite_number(void) {
  return ARROW_BATCH(labels("y"), ARROW_FIXED("f", "N", ((float[]){1, 2, 3, INFINITY, 4, 5}), NULL));
}
static arrow_made large_number(void) {
  return ARROW_BATCH(labels("y"), ARROW_FIXED("g", "N", ((double[]){1, 2, 3, 1e99, 4, 5}), NULL));
}
static arrow_made text_number(void) {
  return ARROW_BATCH(labels("y"), ARROW_TEXT("u", "N", "1", "2", NULL, "x", "4", "5"));
}
static arrow_made negative_weight(void) {
  return ARROW_BATCH(labels("y"), ARROW_FIXED("f", "W", ((float[]){1, 2, 3, -1, 4, 5}), NULL),
                     arrow_bits("C", "111111", NULL));
}

static void cells_that_are_wrong(void **state) {
  (void)state;
  assert_bad_cell("y:label C:category", bad_label, "arrow, row 4: column 'y' has a label that is neither 0 nor 1: '2'");
  assert_bad_cell("y:label C:category", null_label, "arrow, row 4: column 'y' has no label: ''");
  assert_bad_cell("y:label N:number", infinite_number, "row 4: column 'N' has a value that is not finite: 'inf'");
  assert_bad_cell("y:label N:number", large_number,
                  "row 4: column 'N' has a number too large for 32-bit floats: '1e+99'");
  assert_bad_cell("y:label N:number", text_number, "row 4: column 'N' is numeric but has text: 'x'");
  assert_bad_cell("y:label C:category W:weight", negative_weight,
                  "row 4: column 'W' has a weight that is not a finite");
}

static void assert_refused(const char *spec, arrow_made batch, dfm_status status, const char *sentence) {
  dfm_error error;
  dfm_dataset *train;
  const dfm_read_options options = {.skip_bad_rows = 100}; /* a batch that is malformed is no bad row */
  dfm_schema *schema = make_schema(spec);
  const dfm_status got = read_batches(&batch, 1, schema, &options, &train, &error);
  if (got != status || !strstr(error.message, sentence))
    fail_msg("status %d, and '%s' is not in: %s", (int)got, sentence, error.message);
  dfm_schema_free(schema);
  assert_int_equal(arrow_live, 0);
}

static void columns_that_do_not_fit(void **state) {
  (void)state;
  const char spec[] = "y:label C:category";
  static const int ends[ROWS] = {1, 2, 3, 4, 5, 6};
  assert_refused(spec, ARROW_BATCH(labels("y"), labels("D")), DFM_ERROR_MISMATCH, "no column 'C'");
  assert_refused(spec, ARROW_BATCH(labels("y"), labels("C"), labels("C")), DFM_ERROR_FORMAT, "the column 'C' twice");
  assert_refused(spec, ARROW_BATCH(labels("x"), labels("C")), DFM_ERROR_MISMATCH, "no column 'y'");
  static const char *const unread[] = {"tDn", "tts",  "tiM",  "d:40,2,256", "d:9,2,32", "d:9,-2",
                                       "d:9", "d:,2", "tsx:", "ts",         "tsn"};
  for (size_t i = 0; i < sizeof unread / sizeof *unread; i++)
    assert_refused(spec, ARROW_BATCH(labels("y"), arrow_make(unread[i], "C", ROWS, 2)), DFM_ERROR_MISMATCH,
                   "which is not read as a category; cast it to text or to numbers");
  static const char *const times[] = {"tdD", "tdm", "tsn:UTC"};
  for (size_t i = 0; i < sizeof times / sizeof *times; i++)
    assert_refused("y:label C:number", ARROW_BATCH(labels("y"), arrow_make(times[i], "C", ROWS, 2)), DFM_ERROR_MISMATCH,
                   "which is not read as a number; cast it to text or to numbers");
  assert_refused(spec, ARROW_BATCH(labels("y"), arrow_list("+l", "C", ends, ROWS, labels(""), NULL)),
                 DFM_ERROR_MISMATCH, "holds lists");
  assert_refused(spec, ARROW_BATCH(labels("y"), arrow_make("+s", "C", ROWS, 1)), DFM_ERROR_MISMATCH, "arrow type '+s'");
  assert_refused("y:label G:list",
                 ARROW_BATCH(labels("y"), arrow_list("+l", "G", ends, ROWS,
                                                     arrow_list("+l", "", ends, ROWS, labels(""), NULL), NULL)),
                 DFM_ERROR_MISMATCH, "arrow type '+l'");
}

static arrow_made text_column(void) {
  return ARROW_TEXT("u", "C", "a", "b", LONG, NULL, "a", "c");
}

/* Each way to break a column, and what is said. */
static void break_length(arrow_made *c) {
  c->array->length = 5;
}
static void break_negative(arrow_made *c) {
  c->array->length = -1;
}
static void break_offset(arrow_made *c) {
  c->array->offset = -1;
}
static void break_huge(arrow_made *c) {
  c->array->offset = INT64_MAX - 2;
}
static void break_buffers(arrow_made *c) {
  free((void *)(uintptr_t)c->array->buffers[2]), c->array->n_buffers = 2;
}
static void break_surplus(arrow_made *c) {
  c->array->n_buffers = 4;
}
static void break_validity(arrow_made *c) {
  free((void *)(uintptr_t)c->array->buffers[0]), c->array->buffers[0] = NULL;
}
static void break_offsets(arrow_made *c) {
  free((void *)(uintptr_t)c->array->buffers[1]), c->array->buffers[1] = NULL;
}
static void break_text(arrow_made *c) {
  free((void *)(uintptr_t)c->array->buffers[2]), c->array->buffers[2] = NULL;
}
static void break_order(arrow_made *c) {
  ((int32_t *)(uintptr_t)c->array->buffers[1])[4] = 1;
}
static void break_start(arrow_made *c) {
  ((int32_t *)(uintptr_t)c->array->buffers[1])[0] = -5;
}

static void text_that_is_malformed(void **state) {
  (void)state;
  static const struct {
    void (*break_it)(arrow_made *column);
    const char *sentence;
  } cases[] = {{break_length, "arrow column 'C' has fewer rows than its batch"},
               {break_negative, "a length or offset that is negative"},
               {break_offset, "a length or offset that is negative"},
               {break_huge, "a length or offset that is negative or too large"},
               {break_buffers, "too few buffers"},
               {break_surplus, "too many buffers"},
               {break_validity, "nulls but no buffer of validity"},
               {break_offsets, "no buffer of offsets"},
               {break_text, "no buffer of text"},
               {break_order, "row 4: arrow column 'C' has offsets that do not ascend"},
               {break_start, "an offset that is negative"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    arrow_made column = text_column();
    cases[i].break_it(&column);
    assert_refused("y:label C:category", ARROW_BATCH(labels("y"), column), DFM_ERROR_FORMAT, cases[i].sentence);
  }
}

static void other_columns_that_are_malformed(void **state) {
  (void)state;
  static const int far[ROWS] = {1, 2, 3, 4, 5, 7};
  const char spec[] = "y:label C:category", list_spec[] = "y:label C:list";
  const int8_t index[ROWS] = {0, 1, 2, 0, 1, 2};
  arrow_made column = arrow_dictionary(ARROW_FIXED("c", "C", index, NULL), ARROW_TEXT("u", "", "a", "b"));
  assert_refused(spec, ARROW_BATCH(labels("y"), column), DFM_ERROR_FORMAT,
                 "row 3: arrow column 'C' has an index that its dictionary lacks");
  column = arrow_dictionary(ARROW_FIXED("c", "C", index, NULL), ARROW_TEXT("u", "", "a", "b", "c"));
  ((int32_t *)(uintptr_t)column.array->dictionary->buffers[1])[2] = -1;
  assert_refused(spec, ARROW_BATCH(labels("y"), column), DFM_ERROR_FORMAT, "offsets that do not ascend");
  column = arrow_list("+l", "C", far, ROWS, labels(""), NULL);
  assert_refused(list_spec, ARROW_BATCH(labels("y"), column), DFM_ERROR_FORMAT,
                 "an offset behind the end of its items");
  column = arrow_make("+w:2", "C", ROWS, 1);
  arrow_add(&column, labels(""));
  assert_refused(list_spec, ARROW_BATCH(labels("y"), column), DFM_ERROR_FORMAT, "fewer items than its rows need");
  for (int word = 1; word < 4; word++) { /* of the view of row 3: buffer and offset, and before its length */
    column = ARROW_TEXT("vu", "C", "a", "b", LONG, NULL, "a", "c");
    ((int32_t *)(uintptr_t)column.array->buffers[1])[2 * 4 + (word == 1 ? 0 : word)] = word == 1 ? 1 << 30 : 7;
    assert_refused(spec, ARROW_BATCH(labels("y"), column), DFM_ERROR_FORMAT,
                   "row 3: arrow column 'C' has a view that points outside");
  }
  column = ARROW_FIXED("l", "C", ((int64_t[]){1, 2, 3, 4, 5, 6}), NULL);
  break_offsets(&column);
  assert_refused(spec, ARROW_BATCH(labels("y"), column), DFM_ERROR_FORMAT, "no buffer of values");
  arrow_made batch = ARROW_BATCH(labels("y"), labels("C"));
  arrow_buffer(&batch, 0, "\x1f", 1);
  batch.array->null_count = 1;
  assert_refused(spec, batch, DFM_ERROR_FORMAT, "rows that are null as a whole");
}

static void streams_that_fail(void **state) {
  (void)state;
  dfm_error error;
  dfm_input *input;
  dfm_dataset *train, *valid;
  const dfm_data_settings settings = make_settings();
  dfm_schema *schema = make_schema("y:label C:category");
  const arrow_made batches[] = {part(0, 3), part(3, 6)};
  struct ArrowArrayStream stream = arrow_stream(batches, 2);
  ((arrow_producer *)stream.private_data)->fails_at = 1;
  assert_ok(dfm_input_from_arrow(&stream, "clicks", &input, &error));
  assert_string_equal(dfm_input_name(input), "clicks");
  assert_int_equal(dfm_dataset_read_training(input, NULL, schema, &settings, NULL, &train, &valid, &error),
                   DFM_ERROR_IO);
  assert_non_null(strstr(error.message, "clicks: the arrow stream failed to give its next batch (the disk is gone)"));
  dfm_input_free(input);
  assert_int_equal(arrow_live, 0);
  /* What is no table, and what was released. */
  const arrow_made column = labels("y");
  stream = arrow_stream(&column, 1);
  assert_int_equal(dfm_input_from_arrow(&stream, NULL, &input, &error), DFM_ERROR_FORMAT);
  assert_non_null(strstr(error.message, "not that of record batches"));
  assert_int_equal(dfm_input_from_arrow(&stream, NULL, &input, &error), DFM_ERROR_VALUE);
  /* No rows. */
  const arrow_made none = part(0, 0);
  assert_int_equal(read_batches(&none, 1, schema, NULL, &train, &error), DFM_ERROR_FORMAT);
  assert_non_null(strstr(error.message, "arrow has no rows"));
  dfm_schema_free(schema);
  assert_int_equal(arrow_live, 0);
}

/* Under the rule `error`, an unknown value and an unknown item of a list are told with their row. */
static void unknown_values(void **state) {
  (void)state;
  dfm_error error;
  dfm_dataset *train, *again;
  static const int ends[ROWS] = {1, 2, 3, 4, 5, 6}, two[] = {1, 3};
  dfm_schema *schema = make_schema("y:label C:category G:list");
  schema->columns[1].settings.unknown = schema->columns[2].settings.unknown = DFM_UNKNOWN_ERROR;
  const arrow_made rows =
      ARROW_BATCH(labels("y"), text_column(),
                  arrow_list("+l", "G", ends, ROWS, ARROW_FIXED("c", "", ((int8_t[]){1, 2, 3, 4, 5, 6}), NULL), NULL));
  assert_ok(read_batches(&rows, 1, schema, NULL, &train, &error));
  const char *const cells[2][2] = {{"a", "something new"}, {"a", "b"}};
  const char *const sentences[] = {"arrow, row 2: column 'C' has a value that the vocabulary lacks: 'something new'",
                                   "arrow, row 2: column 'G' has a value that the vocabulary lacks: '7'"};
  for (int i = 0; i < 2; i++) {
    const arrow_made batch = ARROW_BATCH(
        arrow_text("u", "C", cells[i], 2),
        arrow_list("+l", "G", two, 2, ARROW_FIXED("l", "", ((int64_t[]){1, 2, i == 0 ? 3 : 7}), NULL), NULL));
    dfm_input *input = arrow_input(&batch, 1);
    const dfm_read_options options = {.label_optional = true};
    assert_int_equal(dfm_dataset_read_encoded(input, train->encoder, &options, &again, &error), DFM_ERROR_FORMAT);
    if (!strstr(error.message, sentences[i])) fail_msg("'%s' is not in: %s", sentences[i], error.message);
    dfm_input_free(input);
  }
  dfm_dataset_free(train);
  dfm_schema_free(schema);
  assert_int_equal(arrow_live, 0);
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(cells_that_are_wrong),   cmocka_unit_test(columns_that_do_not_fit),
      cmocka_unit_test(text_that_is_malformed), cmocka_unit_test(other_columns_that_are_malformed),
      cmocka_unit_test(streams_that_fail),      cmocka_unit_test(unknown_values),
  };
  return test_main(argc, argv, "arrow_bad", tests, sizeof tests / sizeof *tests);
}
