/* Schemas and settings for tests on rows: a line of NAME:KIND pairs comes in, what the readers take goes out. */
#ifndef DFM_TESTS_TEST_ROWS_H
#define DFM_TESTS_TEST_ROWS_H

#include <math.h>

#include "data/dataset.h"
#include "test.h"

/* "y:label I1:number C1:category W:weight X:ignore", comma separated, with a header. */
static inline dfm_schema *make_schema(const char *spec) {
  static const char *const kinds[] = {[DFM_KIND_CATEGORY] = "category",
                                      [DFM_KIND_NUMBER] = "number",
                                      [DFM_KIND_LABEL] = "label",
                                      [DFM_KIND_WEIGHT] = "weight",
                                      [DFM_KIND_IGNORE] = "ignore"};
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

/* Writes the text as NAME and reads it to train on. */
static inline dfm_status read_text(const char *name, const char *text, const dfm_schema *schema,
                                   const dfm_data_settings *settings, dfm_dataset **train, dfm_dataset **valid,
                                   dfm_error *error) {
  return dfm_dataset_read_training(test_write(name, text, strlen(text)), NULL, schema, settings, NULL, train, valid,
                                   error);
}

/* The row as text equals `expected`. */
static inline void assert_row(const dfm_dataset *dataset, int64_t row, const char *expected) {
  dfm_error error;
  char *text;
  assert_ok(dfm_dataset_row_text(dataset, row, &text, &error));
  assert_string_equal(text, expected);
  dfm_string_free(text);
}

#endif
