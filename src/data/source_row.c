/* One row of delimited text: a span comes in; a block's row goes out, or a sentence on the cell that is wrong. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/number.h"
#include "data/category.h"
#include "data/list_cell.h"
#include "data/source.h"

dfm_status dfm_source_fail_cell(const dfm_source *source, const dfm_row_span *span, const dfm_cell *cell,
                                const char *name, const char *problem, const char *remedy, dfm_error *error) {
  char shown[DFM_SHOW_BYTES];
  dfm_show(shown, cell->bytes, cell->n);
  if (source->arrow)
    return dfm_fail(error, DFM_ERROR_FORMAT, "%s, row %lld: column '%s' %s: '%s'; %s", dfm_source_name(source),
                    span->line, name, problem, shown, remedy);
  return dfm_fail_at(error, DFM_ERROR_FORMAT, dfm_text_rows_path(source->rows), span->line, (long long)cell->column,
                     "column '%s' %s: '%s'; %s", name, problem, shown, remedy);
}

dfm_status dfm_source_fail_unknown(const dfm_source *source, const dfm_row_span *span, const dfm_cell *cell, int f,
                                   dfm_error *error) {
  return dfm_source_fail_cell(
      source, span, cell, source->encoder->category[f].name, "has a value that the vocabulary lacks",
      "correct the cell, train on rows that have it, or train with `unknown: row` for the column", error);
}

static dfm_status fail_number(const dfm_source *source, const dfm_row_span *span, const dfm_cell *cell,
                              const char *name, dfm_number_result result, dfm_error *error) {
  if (result == DFM_NUMBER_NOT_FINITE) {
    return dfm_source_fail_cell(source, span, cell, name, "has a value that is not finite",
                                "leave the cell empty where there is no number", error);
  }
  if (result == DFM_NUMBER_OVERFLOW) {
    return dfm_source_fail_cell(source, span, cell, name, "has a number too large for 32-bit floats",
                                "bring the column to a smaller unit", error);
  }
  return dfm_source_fail_cell(source, span, cell, name, "is numeric but has text",
                              "correct the cell, or make the column a category in the schema", error);
}

static const char *name_of(const dfm_source *source, dfm_kind kind) {
  const dfm_schema *schema = source->encoder->schema;
  for (size_t i = 0; i < schema->n_columns; i++) {
    if (schema->columns[i].kind == kind) return schema->columns[i].name;
  }
  return "";
}

dfm_status dfm_source_read_label(const dfm_source *source, const dfm_row_span *span, const dfm_cell *cell,
                                 dfm_block *block, dfm_error *error) {
  const dfm_schema *schema = source->encoder->schema;
  const bool has_threshold = !isnan(schema->label_above);
  double value;
  if (cell->n == 0 && source->label_optional) {
    block->label[block->rows] = NAN;
    return DFM_OK;
  }
  if (dfm_words_have(schema->positives, schema->n_positives, cell->bytes, cell->n)) {
    block->label[block->rows] = 1;
    return DFM_OK;
  }
  if (dfm_words_have(schema->negatives, schema->n_negatives, cell->bytes, cell->n)) {
    block->label[block->rows] = 0;
    return DFM_OK;
  }
  if (dfm_parse_double(cell->bytes, cell->n, &value) == DFM_NUMBER_OK && (has_threshold || value == 0 || value == 1)) {
    block->label[block->rows] = has_threshold ? value > schema->label_above : value == 1;
    return DFM_OK;
  }
  if (has_threshold) {
    return dfm_source_fail_cell(source, span, cell, name_of(source, DFM_KIND_LABEL), "has a label that is not a number",
                                "correct the cell, or list the label's texts in the schema instead of a threshold",
                                error);
  }
  return dfm_source_fail_cell(
      source, span, cell, name_of(source, DFM_KIND_LABEL), "has a label that is neither 0 nor 1",
      "correct the cell, or say in the schema which label texts are positive and negative", error);
}

dfm_status dfm_source_read_weight(const dfm_source *source, const dfm_row_span *span, const dfm_cell *cell,
                                  dfm_block *block, dfm_error *error) {
  if (dfm_parse_float(cell->bytes, cell->n, &block->weight[block->rows]) == DFM_NUMBER_OK &&
      block->weight[block->rows] >= 0)
    return DFM_OK;
  return dfm_source_fail_cell(source, span, cell, name_of(source, DFM_KIND_WEIGHT),
                              "has a weight that is not a finite number of at least 0", "correct the cell", error);
}

dfm_status dfm_source_read_truth(const dfm_source *source, const dfm_row_span *span, const dfm_cell *cell,
                                 dfm_block *block, dfm_error *error) {
  if (dfm_parse_float(cell->bytes, cell->n, &block->truth[block->rows]) == DFM_NUMBER_OK &&
      block->truth[block->rows] >= 0 && block->truth[block->rows] <= 1)
    return DFM_OK;
  return dfm_source_fail_cell(source, span, cell, source->truth_name,
                              "has a true probability that is not a number between 0 and 1", "correct the cell", error);
}

static dfm_status fail_count(const dfm_source *source, const dfm_row_span *span, size_t n, dfm_error *error) {
  const dfm_schema *schema = source->encoder->schema;
  char separator[DFM_SHOW_BYTES];
  return dfm_fail_at(error, DFM_ERROR_FORMAT, dfm_text_rows_path(source->rows), span->line, 0,
                     "the row has %zu cells where the %s has %zu; %s, or quote cells that contain '%s'", n,
                     schema->has_header ? "header" : "schema", source->n_cells,
                     n < source->n_cells ? "add the missing cells (empty ones are fine)" : "remove the surplus cells",
                     schema->separator == '\t' ? "a tab" : dfm_show(separator, &schema->separator, 1));
}

/* Up to where the text around a cell can be read: unescaped cells lie apart from the row. */
static inline const char *limit_of(const dfm_cell *cell, const char *limit, const dfm_block *block) {
  const uintptr_t offset = (uintptr_t)cell->bytes - (uintptr_t)block->text;
  return offset < block->text_capacity ? block->text + block->text_capacity : limit;
}

dfm_status dfm_source_end_list(const dfm_source *source, const dfm_row_span *span, const dfm_cell *bad, int f,
                               dfm_block *block, dfm_error *error) {
  dfm_block_end_list(block, f);
  if (!bad->bytes) return DFM_OK;
  return dfm_source_fail_cell(source, span, bad, source->encoder->category[f].name,
                              "has an item whose weight is not a finite number",
                              "write value, mark and weight, as in a:0.5, or leave `weights` out of the schema", error);
}

static dfm_status fail_bucket(const dfm_source *source, const dfm_row_span *span, const dfm_cell *cell, int f,
                              dfm_error *error) {
  return dfm_source_fail_cell(source, span, cell, source->encoder->category[f].name,
                              "is put in buckets by its numbers but has text",
                              "correct the cell, or leave transform and buckets out", error);
}

void dfm_source_read_absent(const dfm_source *source, int f, dfm_block *block) {
  *dfm_block_value(block, f, block->rows) = (dfm_value){.n = DFM_VALUE_ABSENT};
  if (source->encoder->category[f].is_list) dfm_block_end_list(block, f);
}

dfm_status dfm_source_read_category(const dfm_source *source, const dfm_row_span *span, const dfm_cell *cell, int f,
                                    const char *limit, dfm_block *block, dfm_error *error) {
  const dfm_category_field *field = &source->encoder->category[f];
  dfm_value *value = dfm_block_value(block, f, block->rows);
  if (field->is_list) {
    dfm_cell bad;
    DFM_TRY(dfm_list_cell_read(source->encoder, f, *cell, limit, block, &bad, error));
    return dfm_source_end_list(source, span, &bad, f, block, error);
  }
  dfm_value_set(value, cell->bytes, cell->n, limit);
  if (dfm_category_transform(&field->settings, value) == DFM_NUMBER_OK) return DFM_OK;
  return fail_bucket(source, span, cell, f, error);
}

static dfm_status read_categories(const dfm_source *source, const dfm_row_span *span, const dfm_cells *cells,
                                  const char *limit, dfm_block *block, dfm_error *error) {
  const dfm_encoder *encoder = source->encoder;
  for (int f = 0; f < encoder->F; f++) {
    const size_t at = source->category_at[f];
    if (at == DFM_ABSENT) {
      dfm_source_read_absent(source, f, block);
      continue;
    }
    const dfm_cell cell = dfm_cell_clean(encoder->schema, cells->cell[at]);
    DFM_TRY(dfm_source_read_category(source, span, &cell, f, limit_of(&cell, limit, block), block, error));
  }
  return DFM_OK;
}

/* Whole numbers of up to seven digits, which floats hold exactly: most that logs have. */
static inline bool read_short(const char *bytes, size_t n, float *number) {
  const bool is_negative = n > 0 && *bytes == '-';
  int32_t whole = 0;
  bytes += is_negative;
  n -= is_negative;
  if (n == 0 || n > 7) return false;
  for (size_t i = 0; i < n; i++) {
    const unsigned digit = (unsigned char)bytes[i] - (unsigned)'0';
    if (digit > 9) return false;
    whole = whole * 10 + (int32_t)digit;
  }
  *number = is_negative ? -(float)whole : (float)whole;
  return true;
}

dfm_status dfm_source_read_number(const dfm_source *source, const dfm_row_span *span, const dfm_cell *cell, int d,
                                  dfm_block *block, dfm_error *error) {
  float *number = block->number + (size_t)block->rows * (size_t)source->encoder->D + d;
  *number = NAN;
  if (cell->n == 0 || read_short(cell->bytes, cell->n, number)) return DFM_OK;
  const dfm_number_result result = dfm_parse_float(cell->bytes, cell->n, number);
  if (result == DFM_NUMBER_OK) return DFM_OK;
  return fail_number(source, span, cell, source->encoder->number[d].name, result, error);
}

static dfm_status read_numbers(const dfm_source *source, const dfm_row_span *span, const dfm_cells *cells,
                               dfm_block *block, dfm_error *error) {
  const dfm_encoder *encoder = source->encoder;
  for (int d = 0; d < encoder->D; d++) {
    const size_t at = source->number_at[d];
    const dfm_cell cell = at == DFM_ABSENT ? (dfm_cell){.bytes = ""} : dfm_cell_clean(encoder->schema, cells->cell[at]);
    DFM_TRY(dfm_source_read_number(source, span, &cell, d, block, error));
  }
  return DFM_OK;
}

typedef dfm_status cell_reader(const dfm_source *source, const dfm_row_span *span, const dfm_cell *cell,
                               dfm_block *block, dfm_error *error);

/* The cell at column `at`, where there is that column; `bad` is why the row is wrong where it is. */
static dfm_status read_cell(const dfm_source *source, const dfm_row_span *span, const dfm_cells *cells, size_t at,
                            cell_reader *read, dfm_bad bad, dfm_block *block, dfm_error *error) {
  if (at == DFM_ABSENT) return DFM_OK;
  const dfm_cell cell = dfm_cell_clean(source->encoder->schema, cells->cell[at]);
  block->reason = bad;
  return read(source, span, &cell, block, error);
}

dfm_status dfm_source_parse(const dfm_source *source, const dfm_row_span *span, dfm_cells *cells, dfm_block *block,
                            dfm_error *error) {
  const dfm_schema *schema = source->encoder->schema;
  const char *limit = dfm_text_rows_limit(source->rows);
  block->reason = DFM_BAD_SHAPE;
  dfm_block_begin_row(block);
  DFM_TRY(dfm_delimited_split(span, schema->separator, dfm_text_rows_path(source->rows), limit, cells, error));
  if (cells->n != source->n_cells) return fail_count(source, span, cells->n, error);
  block->reason = DFM_BAD_NUMBER;
  DFM_TRY(read_categories(source, span, cells, limit, block, error));
  DFM_TRY(read_numbers(source, span, cells, block, error));
  block->label[block->rows] = NAN;
  block->weight[block->rows] = 1;
  block->truth[block->rows] = 0;
  DFM_TRY(read_cell(source, span, cells, source->label_at, dfm_source_read_label, DFM_BAD_LABEL, block, error));
  DFM_TRY(read_cell(source, span, cells, source->weight_at, dfm_source_read_weight, DFM_BAD_WEIGHT, block, error));
  DFM_TRY(read_cell(source, span, cells, source->truth_at, dfm_source_read_truth, DFM_BAD_TRUTH, block, error));
  block->rows++;
  return DFM_OK;
}
