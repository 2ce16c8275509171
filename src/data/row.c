/* One row: the cells that a format finds in it come in; a block's row goes out, or a sentence on the cell that is
 * wrong. */
#include "data/row.h"

#include <math.h>

#include "base/number.h"
#include "data/short_number.h"
#include "data/source.h"

dfm_status dfm_row_fail(const dfm_row *row, const dfm_cell *cell, const char *name, const char *problem,
                        const char *remedy, dfm_error *error) {
  const dfm_source *source = row->source;
  char shown[DFM_SHOW_BYTES], column[DFM_SHOW_BYTES];
  dfm_show(column, name, strlen(name));
  dfm_show(shown, cell->bytes, cell->n);
  if (!row->span)
    return dfm_fail(error, DFM_ERROR_FORMAT, "%s, row %lld: column '%s' %s: '%s'; %s", dfm_source_name(source),
                    (long long)row->number, column, problem, shown, remedy);
  return dfm_fail_at(error, DFM_ERROR_FORMAT, dfm_source_name(source), row->span->line, (long long)cell->column,
                     "column '%s' %s: '%s'; %s", column, problem, shown, remedy);
}

/* ---- label, weight, truth */

static const char *name_of(const dfm_source *source, dfm_kind kind) {
  const dfm_schema *schema = source->encoder->schema;
  for (size_t i = 0; i < schema->n_columns; i++) {
    if (schema->columns[i].kind == kind) return schema->columns[i].name;
  }
  return "";
}

static dfm_status fail_label(const dfm_row *row, const dfm_cell *cell, bool has_threshold, dfm_error *error) {
  const char *name = name_of(row->source, DFM_KIND_LABEL);
  if (has_threshold) {
    return dfm_row_fail(row, cell, name, "has a label that is not a number",
                        "correct the cell, or list the label's texts in the schema instead of a threshold", error);
  }
  if (cell->n == 0)
    return dfm_row_fail(row, cell, name, "has no label", "add it, or leave such rows out (--skip-bad-rows)", error);
  if (row->encoder->schema->n_positives + row->encoder->schema->n_negatives > 0) {
    return dfm_row_fail(row, cell, name, "has a label that is none of the schema's texts",
                        "correct the cell, or add it in the schema to the positive or negative ones", error);
  }
  return dfm_row_fail(row, cell, name, "has a label that is neither 0 nor 1",
                      "correct the cell, or say in the schema which label texts are positive and negative", error);
}

dfm_status dfm_row_put_label(dfm_row *row, dfm_cell cell, dfm_error *error) {
  const dfm_schema *schema = row->encoder->schema;
  const bool has_threshold = !isnan(schema->label_above);
  float *label = &row->block->label[row->block->rows];
  double value;
  row->block->reason = DFM_BAD_LABEL;
  cell = dfm_cell_clean(schema, cell);
  if (cell.n == 1 && (*cell.bytes & 0xfe) == '0' && !has_threshold && schema->n_positives + schema->n_negatives == 0) {
    *label = (float)(*cell.bytes - '0'); /* most of them */
  } else if (cell.n == 0 && row->source->label_optional) {
    *label = NAN;
  } else if (dfm_words_have(schema->positives, schema->n_positives, cell.bytes, cell.n)) {
    *label = 1;
  } else if (dfm_words_have(schema->negatives, schema->n_negatives, cell.bytes, cell.n)) {
    *label = 0;
  } else if (dfm_parse_double(cell.bytes, cell.n, &value) == DFM_NUMBER_OK &&
             (has_threshold || value == 0 || value == 1)) {
    *label = has_threshold ? value > schema->label_above : value == 1;
  } else {
    return fail_label(row, &cell, has_threshold, error);
  }
  return DFM_OK;
}

dfm_status dfm_row_put_weight(dfm_row *row, dfm_cell cell, dfm_error *error) {
  float *weight = &row->block->weight[row->block->rows];
  row->block->reason = DFM_BAD_WEIGHT;
  cell = dfm_cell_clean(row->encoder->schema, cell);
  if (dfm_parse_float(cell.bytes, cell.n, weight) == DFM_NUMBER_OK && *weight >= 0) return DFM_OK;
  return dfm_row_fail(row, &cell, name_of(row->source, DFM_KIND_WEIGHT),
                      "has a weight that is not a finite number of at least 0", "correct the cell", error);
}

dfm_status dfm_row_put_truth(dfm_row *row, dfm_cell cell, dfm_error *error) {
  float *truth = &row->block->truth[row->block->rows];
  row->block->reason = DFM_BAD_TRUTH;
  cell = dfm_cell_clean(row->encoder->schema, cell);
  if (dfm_parse_float(cell.bytes, cell.n, truth) == DFM_NUMBER_OK && *truth >= 0 && *truth <= 1) return DFM_OK;
  return dfm_row_fail(row, &cell, row->source->truth_name,
                      "has a true probability that is not a number between 0 and 1", "correct the cell", error);
}

/* ---- fields */

void dfm_row_note(dfm_row *row, const dfm_value *value, const dfm_cell *cell) {
  dfm_value copy = *value;
  dfm_category_find_all(row->encoder, row->watched, &copy, 1);
  if (copy.id == DFM_ID_NONE) row->unknown = *cell;
}

void dfm_row_put_absent(dfm_row *row, int f) {
  *dfm_block_value(row->block, f, row->block->rows) = (dfm_value){.n = DFM_VALUE_ABSENT};
  if (row->encoder->category[f].is_list) dfm_block_end_list(row->block, f);
}

dfm_status dfm_row_finish_category(dfm_row *row, int f, dfm_value *value, const dfm_cell *cell, dfm_error *error) {
  const dfm_category_field *field = &row->encoder->category[f];
  if (dfm_category_transform(&field->settings, value) != DFM_NUMBER_OK) {
    row->block->reason = DFM_BAD_NUMBER;
    return dfm_row_fail(row, cell, field->name, "is put in buckets by its numbers but has text",
                        "correct the cell, or leave transform and buckets out", error);
  }
  dfm_row_watch(row, f, value, cell);
  return DFM_OK;
}

static dfm_status fail_number(const dfm_row *row, const dfm_cell *cell, const char *name, dfm_number_result result,
                              dfm_error *error) {
  if (result == DFM_NUMBER_NOT_FINITE) {
    return dfm_row_fail(row, cell, name, "has a value that is not finite",
                        "leave the cell empty where there is no number", error);
  }
  if (result == DFM_NUMBER_OVERFLOW) {
    return dfm_row_fail(row, cell, name, "has a number too large for 32-bit floats",
                        "bring the column to a smaller unit", error);
  }
  return dfm_row_fail(row, cell, name, "is numeric but has text",
                      "correct the cell, or make the column a category in the schema", error);
}

static __attribute__((noinline)) dfm_status put_any_number(dfm_row *row, int d, dfm_cell cell, float *number,
                                                           dfm_error *error) {
  const dfm_number_result result = dfm_parse_float(cell.bytes, cell.n, number);
  return result == DFM_NUMBER_OK ? DFM_OK : fail_number(row, &cell, row->encoder->number[d].name, result, error);
}

dfm_status dfm_row_put_number(dfm_row *row, int d, dfm_cell cell, dfm_error *error) {
  const dfm_encoder *encoder = row->encoder;
  float *number = &row->block->number[(size_t)row->block->rows * (size_t)encoder->D + (size_t)d];
  row->block->reason = DFM_BAD_NUMBER;
  cell = dfm_cell_clean(encoder->schema, cell);
  *number = NAN;
  if (cell.n == 0 || dfm_read_short(cell.bytes, cell.n, dfm_row_limit(row, cell.bytes), number)) return DFM_OK;
  return put_any_number(row, d, cell, number, error);
}
