/* Schemas and settings for tests on rows: a line of NAME:KIND pairs comes in, what the readers take goes out. */
#ifndef DFM_TESTS_TEST_ROWS_H
#define DFM_TESTS_TEST_ROWS_H

#include <math.h>

#include "data/dataset.h"
#include "test.h"

/* "y:label I1:number C1:category W:weight X:ignore", comma separated, with a header. */
static inline dfm_schema *make_schema(const char *spec) {
  static const char *const kinds[] = {
      [DFM_KIND_CATEGORY] = "category", [DFM_KIND_LIST] = "list",     [DFM_KIND_NUMBER] = "number",
      [DFM_KIND_LABEL] = "label",       [DFM_KIND_WEIGHT] = "weight", [DFM_KIND_IGNORE] = "ignore"};
  dfm_error error;
  dfm_schema *schema;
  char name[64], kind[64];
  int n;
  assert_ok(dfm_schema_create(&schema, &error));
  schema->columns = calloc(strlen(spec), sizeof *schema->columns);
  assert_non_null(schema->columns);
  for (; sscanf(spec, " %63[^:]:%63s%n", name, kind, &n) == 2; spec += n) {
    dfm_column *column = &schema->columns[schema->n_columns++];
    *column = (dfm_column){.name = strdup(name), .settings = dfm_field_settings_unset()};
    while (strcmp(kinds[column->kind], kind) != 0) column->kind++;
  }
  return schema;
}

/* What a recipe says at its plainest: every value kept, row 0 unknown, numbers as they are, no validation. */
static inline dfm_data_settings make_settings(void) {
  dfm_data_settings settings = {.category = {.min_count = 1,
                                             .unknown = DFM_UNKNOWN_ROW,
                                             .unknown_rate = 0,
                                             .order = DFM_ORDER_FREQUENCY,
                                             .transform = -1,
                                             .missing = (double)NAN,
                                             .into = DFM_INTO_LINEAR | DFM_INTO_FM | DFM_INTO_DNN,
                                             .width = 4},
                                .seed = 7};
  settings.number = settings.category;
  settings.number.transform = DFM_TRANSFORM_NONE;
  return settings;
}

/* dfm_dataset_read_training on paths; `valid_path` may be NULL. */
static inline dfm_status read_training_files(const char *train_path, const char *valid_path, const dfm_schema *schema,
                                             const dfm_data_settings *settings, const dfm_read_options *options,
                                             dfm_dataset **train, dfm_dataset **valid, dfm_error *error) {
  dfm_input *train_input = NULL, *valid_input = NULL;
  dfm_status status = dfm_input_create(&train_path, 1, &train_input, error);
  if (status == DFM_OK && valid_path) status = dfm_input_create(&valid_path, 1, &valid_input, error);
  if (status == DFM_OK)
    status = dfm_dataset_read_training(train_input, valid_input, schema, settings, options, train, valid, error);
  dfm_input_free(train_input);
  dfm_input_free(valid_input);
  return status;
}

static inline dfm_status read_encoded_file(const char *path, dfm_encoder *encoder, const dfm_read_options *options,
                                           dfm_dataset **dataset, dfm_error *error) {
  dfm_input *input;
  dfm_status status = dfm_input_create(&path, 1, &input, error);
  if (status != DFM_OK) return status;
  status = dfm_dataset_read_encoded(input, encoder, options, dataset, error);
  dfm_input_free(input);
  return status;
}

/* Writes the text as NAME and reads it to train on. */
static inline dfm_status read_text(const char *name, const char *text, const dfm_schema *schema,
                                   const dfm_data_settings *settings, dfm_dataset **train, dfm_dataset **valid,
                                   dfm_error *error) {
  return read_training_files(test_write(name, text, strlen(text)), NULL, schema, settings, NULL, train, valid, error);
}

/* The row as text equals `expected`. */
static inline void assert_row(const dfm_dataset *dataset, int64_t row, const char *expected) {
  dfm_error error;
  char *text;
  assert_ok(dfm_dataset_row_text(dataset, row, &text, &error));
  assert_string_equal(text, expected);
  dfm_string_free(text);
}

static inline uint64_t fingerprint_of(const dfm_dataset *dataset) {
  dfm_error error;
  uint64_t fingerprint = 0;
  assert_ok(dfm_dataset_fingerprint(dataset, &fingerprint, &error));
  return fingerprint;
}

#endif
