/* libffm: "label field:feature:value ...". A column's name is its field's number. */
#include <stdio.h>
#include <stdlib.h>

#include "data/pairs.h"
#include "data/schema_guess.h"
#include "data/source.h"

/* ---- rows */

static dfm_status fail_field(const dfm_row *row, const dfm_cell *word, const dfm_cell *field, dfm_error *error) {
  char shown[DFM_SHOW_BYTES];
  row->block->reason = DFM_BAD_SHAPE;
  return dfm_fail_at(
      error, DFM_ERROR_FORMAT, dfm_text_rows_path(row->source->rows), row->span->line, (long long)word->column,
      "the schema has no field %s; add a column of that name to it (deepfm schema prints one), or remove "
      "the feature",
      dfm_show(shown, field->bytes, field->n));
}

/* One feature of a category is all that a row can have, and its value says nothing. */
static dfm_status put_feature(dfm_row *row, const dfm_place *place, const dfm_cell *whole, dfm_cell feature,
                              const dfm_cell *number, float value, dfm_error *error) {
  const bool is_first = dfm_row_sees(row, place);
  const bool has_weights = place->kind == DFM_KIND_LIST && dfm_encoder_has_weights(row->encoder, place->at);
  if (place->kind == DFM_KIND_IGNORE) return DFM_OK;
  if (!is_first && place->kind != DFM_KIND_LIST) {
    row->block->reason = DFM_BAD_SHAPE;
    return dfm_row_fail(row, whole, place->name, "has a second feature in this row",
                        "remove one, or make the column a list in the schema", error);
  }
  if (place->kind == DFM_KIND_NUMBER) return dfm_row_put_number(row, place->at, *number, error);
  if (value != 1 && !has_weights) {
    return dfm_row_fail(row, whole, place->name, "has a value other than 1",
                        "make the column a list with `weights: \":\"` in the schema, or write 1", error);
  }
  return place->kind == DFM_KIND_LIST ? dfm_row_put_weighted(row, place->at, feature, value, error)
                                      : dfm_row_put_category(row, place->at, feature, error);
}

static dfm_status read_triple(dfm_row *row, dfm_cell word, dfm_error *error) {
  const dfm_cell whole = word;
  dfm_cell field, feature;
  bool is_last;
  float value;
  row->block->reason = DFM_BAD_SHAPE;
  if (!dfm_cut_whole(&word, &field, &is_last) || is_last || !dfm_cut_whole(&word, &feature, &is_last) || is_last) {
    return dfm_pair_fail(row, &whole,
                         "is no field:feature:value; write two whole numbers and a number, with colons between them",
                         error);
  }
  row->block->reason = DFM_BAD_NUMBER;
  if (dfm_pair_value(&word, &value) != DFM_NUMBER_OK)
    return dfm_pair_fail(row, &whole, "has a value that is no finite number; write one behind the colon", error);
  const dfm_place *place = dfm_places_find(row->source, field.bytes, field.n);
  if (!place || place->kind == DFM_KIND_LABEL) return fail_field(row, &whole, &field, error);
  return put_feature(row, place, &whole, feature, &word, value, error);
}

static dfm_status read_row(dfm_row *row, dfm_error *error) {
  dfm_pairs words = dfm_pairs_of(row->span->bytes, row->span->n);
  dfm_cell word;
  dfm_row_begin(row);
  DFM_TRY(dfm_pairs_label(row, &words, error));
  while (dfm_next_word(&words, &word))
    if (!dfm_is_query(&word)) DFM_TRY(read_triple(row, word, error));
  return dfm_row_end(row, error);
}

/* ---- guess */

/* What the first rows have of one field. */
typedef struct field_look {
  size_t rows, last_row; /* the latter counted from 1 */
  bool has_several;      /* in one row */
  bool has_values;       /* other than 1 */
} field_look;

enum { MAX_FIELD = 65535 };

static dfm_status look_at(void *context, size_t row, const dfm_cell *word, dfm_error *error) {
  field_look *looks = context;
  dfm_cell rest = *word, field, feature;
  bool is_last;
  long long number;
  float value;
  char shown[DFM_SHOW_BYTES];
  dfm_show(shown, word->bytes, word->n);
  if (!dfm_cut_whole(&rest, &field, &is_last) || is_last || !dfm_cut_whole(&rest, &feature, &is_last) || is_last ||
      dfm_pair_value(&rest, &value) != DFM_NUMBER_OK)
    return dfm_fail(error, DFM_ERROR_FORMAT,
                    "'%s' is no field:feature:value; write two whole numbers and a number, with colons between them",
                    shown);
  if (!dfm_parse_int64(field.bytes, field.n, &number) || number > MAX_FIELD)
    return dfm_fail(error, DFM_ERROR_FORMAT, "'%s' is of a field above %d; number fields from 0 on", shown, MAX_FIELD);
  field_look *look = &looks[number];
  look->has_several |= look->last_row == row + 1;
  look->has_values |= value != 1;
  look->rows += look->last_row != row + 1;
  look->last_row = row + 1;
  return DFM_OK;
}

static dfm_status add_field(dfm_guess *g, int number, const field_look *look, dfm_error *error) {
  char name[24];
  dfm_column *column;
  snprintf(name, sizeof name, "%d", number);
  const bool is_category = look->rows == g->sample.n_rows && !look->has_several && !look->has_values;
  DFM_TRY(dfm_schema_add(g->schema, name, is_category ? DFM_KIND_CATEGORY : DFM_KIND_LIST, &column, error));
  if (is_category) return dfm_copy_text(&column->reason, "one feature of value 1 in each row: category", error);
  column->settings.weights = ':';
  column->settings.pool = DFM_POOL_SUM;
  if (look->has_several) column->settings.within = 1;
  return dfm_copy_text(&column->reason,
                       look->has_several  ? "several features in a row: list"
                       : look->has_values ? "values other than 1: list with weights"
                                          : "not in every row: list",
                       error);
}

static dfm_status guess(dfm_guess *g, dfm_error *error) {
  field_look *looks;
  DFM_TRY(dfm_alloc(&looks, MAX_FIELD + 1, sizeof *looks, error));
  dfm_status status = dfm_pairs_guess(g, look_at, looks, error);
  for (int i = 0; i <= MAX_FIELD && status == DFM_OK; i++)
    if (looks[i].rows > 0) status = add_field(g, i, &looks[i], error);
  free(looks);
  if (status != DFM_OK || g->schema->n_columns > 1) return status;
  return dfm_fail(error, DFM_ERROR_FORMAT, "%s has labels but no field:feature:value; is it the right file?", g->path);
}

static dfm_likeness likeness(const char *line, size_t n) {
  return dfm_pairs_likeness(line, n, 3);
}

static dfm_status check(const dfm_schema *schema, size_t *at, dfm_error *error) {
  char shown[DFM_SHOW_BYTES];
  DFM_TRY(dfm_pairs_check(schema, at, error));
  for (size_t i = 0; i < schema->n_columns; i++) {
    const char *name = schema->columns[i].name;
    dfm_cell word = {name, strlen(name), 0}, whole = {0};
    bool is_last;
    *at = i;
    if (schema->columns[i].kind == DFM_KIND_LABEL) continue;
    if (dfm_cut_whole(&word, &whole, &is_last) && is_last && whole.bytes == name) continue;
    return dfm_fail(error, DFM_ERROR_VALUE, "column '%s' is no field of libffm rows; name it by the field's number",
                    dfm_show(shown, name, strlen(name)));
  }
  return DFM_OK;
}

const dfm_format dfm_format_libffm = {.name = "libffm",
                                      .title = "libffm",
                                      .endings = ".libffm .ffm ",
                                      .comment = "#",
                                      .likeness = likeness,
                                      .guess = guess,
                                      .check = check,
                                      .open = dfm_pairs_open,
                                      .read = read_row};
