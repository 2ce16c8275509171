/* Rows of text: cells come in; hashed categories, numbers, label and weight go out, or a sentence on the cell that is
 * wrong. */
#include "data/source.h"

#include <math.h>
#include <string.h>

#include "base/number.h"
#include "data/category.h"
#include "data/vocabulary.h"

static bool is_in(char *const *words, size_t n_words, const dfm_cell *cell) {
  for (size_t i = 0; i < n_words; i++) {
    if (strlen(words[i]) == cell->n && memcmp(words[i], cell->bytes, cell->n) == 0) return true;
  }
  return false;
}

/* The cell without what does not belong to it; a missing word becomes the empty cell. */
static inline dfm_cell clean(const dfm_schema *schema, dfm_cell cell) {
  if (schema->strip_spaces) cell = dfm_cell_strip(cell);
  if (schema->n_missing_words > 0 && cell.n > 0 && is_in(schema->missing_words, schema->n_missing_words, &cell))
    cell.n = 0;
  return cell;
}

static dfm_status fail_cell(const dfm_source *source, const dfm_cell *cell, const char *name, const char *problem,
                            const char *remedy, dfm_error *error) {
  char shown[DFM_SHOW_BYTES];
  return dfm_fail_at(error, DFM_ERROR_FORMAT, dfm_delimited_path(source->reader), dfm_delimited_line(source->reader),
                     (long long)cell->column, "column '%s' %s: '%s'; %s", name, problem,
                     dfm_show(shown, cell->bytes, cell->n), remedy);
}

static dfm_status fail_number(const dfm_source *source, const dfm_cell *cell, const char *name,
                              dfm_number_result result, dfm_error *error) {
  if (result == DFM_NUMBER_NOT_FINITE) {
    return fail_cell(source, cell, name, "has a value that is not finite",
                     "leave the cell empty where there is no number", error);
  }
  if (result == DFM_NUMBER_OVERFLOW) {
    return fail_cell(source, cell, name, "has a number too large for 32-bit floats",
                     "bring the column to a smaller unit", error);
  }
  return fail_cell(source, cell, name, "is numeric but has text",
                   "correct the cell, or make the column a category in the schema", error);
}

static const char *name_of(const dfm_source *source, dfm_kind kind) {
  const dfm_schema *schema = source->encoder->schema;
  for (size_t i = 0; i < schema->n_columns; i++) {
    if (schema->columns[i].kind == kind) return schema->columns[i].name;
  }
  return "";
}

static dfm_status read_label(dfm_source *source, const dfm_cell *cell, dfm_error *error) {
  const dfm_schema *schema = source->encoder->schema;
  const bool has_threshold = !isnan(schema->label_above);
  double value;
  if (cell->n == 0 && source->label_optional) {
    source->label = NAN;
    return DFM_OK;
  }
  if (is_in(schema->positives, schema->n_positives, cell)) {
    source->label = 1;
    return DFM_OK;
  }
  if (is_in(schema->negatives, schema->n_negatives, cell)) {
    source->label = 0;
    return DFM_OK;
  }
  if (dfm_parse_double(cell->bytes, cell->n, &value) == DFM_NUMBER_OK && (has_threshold || value == 0 || value == 1)) {
    source->label = has_threshold ? value > schema->label_above : value == 1;
    return DFM_OK;
  }
  if (has_threshold) {
    return fail_cell(source, cell, name_of(source, DFM_KIND_LABEL), "has a label that is not a number",
                     "correct the cell, or list the label's texts in the schema instead of a threshold", error);
  }
  return fail_cell(source, cell, name_of(source, DFM_KIND_LABEL), "has a label that is neither 0 nor 1",
                   "correct the cell, or say in the schema which label texts are positive and negative", error);
}

static dfm_status read_weight(dfm_source *source, const dfm_cell *cell, dfm_error *error) {
  if (dfm_parse_float(cell->bytes, cell->n, &source->weight) == DFM_NUMBER_OK && source->weight >= 0) return DFM_OK;
  return fail_cell(source, cell, name_of(source, DFM_KIND_WEIGHT),
                   "has a weight that is not a finite number of at least 0", "correct the cell", error);
}

static dfm_status read_truth(dfm_source *source, const dfm_cell *cell, dfm_error *error) {
  if (dfm_parse_float(cell->bytes, cell->n, &source->truth) == DFM_NUMBER_OK && source->truth >= 0 &&
      source->truth <= 1)
    return DFM_OK;
  return fail_cell(source, cell, source->truth_name, "has a true probability that is not a number between 0 and 1",
                   "correct the cell", error);
}

static dfm_status fail_count(const dfm_source *source, size_t n, dfm_error *error) {
  const dfm_schema *schema = source->encoder->schema;
  char separator[DFM_SHOW_BYTES];
  return dfm_fail_at(error, DFM_ERROR_FORMAT, dfm_delimited_path(source->reader), dfm_delimited_line(source->reader), 0,
                     "the row has %zu cells where the %s has %zu; %s, or quote cells that contain '%s'", n,
                     schema->has_header ? "header" : "schema", source->n_cells,
                     n < source->n_cells ? "add the missing cells (empty ones are fine)" : "remove the surplus cells",
                     schema->separator == '\t' ? "a tab" : dfm_show(separator, &schema->separator, 1));
}

/* The cell becomes what its field's transform names it. */
static dfm_status transform_category(dfm_source *source, int f, dfm_error *error) {
  const dfm_category_field *field = &source->encoder->category[f];
  dfm_cell *cell = &source->category[f];
  if (!dfm_category_is_number(&field->settings) || cell->n == 0) return DFM_OK;
  source->named[f] = dfm_value_of(cell->bytes, cell->n);
  if (dfm_category_transform(&field->settings, &source->named[f]) != DFM_NUMBER_OK)
    return fail_cell(source, cell, field->name, "is put in buckets by its numbers but has text",
                     "correct the cell, or leave transform and buckets out", error);
  cell->bytes = dfm_value_bytes(&source->named[f]);
  cell->n = source->named[f].n;
  return DFM_OK;
}

static dfm_status read_categories(dfm_source *source, const dfm_cell *cells, dfm_error *error) {
  const dfm_encoder *encoder = source->encoder;
  for (int f = 0; f < encoder->F; f++) {
    const size_t at = source->category_at[f];
    if (at == DFM_ABSENT) {
      source->category[f] = (dfm_cell){NULL, 0, 0};
      continue;
    }
    source->category[f] = clean(encoder->schema, cells[at]);
    DFM_TRY(transform_category(source, f, error));
    source->hash[f] = dfm_value_hash(source->category[f].bytes, source->category[f].n);
  }
  return DFM_OK;
}

static dfm_status read_numbers(dfm_source *source, const dfm_cell *cells, dfm_error *error) {
  const dfm_encoder *encoder = source->encoder;
  for (int d = 0; d < encoder->D; d++) {
    source->number[d] = NAN;
    if (source->number_at[d] == DFM_ABSENT) continue;
    const dfm_cell cell = clean(encoder->schema, cells[source->number_at[d]]);
    if (cell.n == 0) continue;
    const dfm_number_result result = dfm_parse_float(cell.bytes, cell.n, &source->number[d]);
    if (result != DFM_NUMBER_OK) return fail_number(source, &cell, encoder->number[d].name, result, error);
  }
  return DFM_OK;
}

/* The next row's cells, `*n` = 0 behind the last file's last. */
static dfm_status next_cells(dfm_source *source, const dfm_cell **cells, size_t *n, dfm_error *error) {
  bool is_open = true;
  *cells = source->first_row;
  *n = source->first_row_n;
  source->first_row = NULL;
  if (*cells) return DFM_OK;
  DFM_TRY(dfm_delimited_next(source->reader, cells, n, error));
  while (*n == 0 && is_open) {
    DFM_TRY(dfm_source_next_file(source, &is_open, error));
    if (is_open) DFM_TRY(dfm_delimited_next(source->reader, cells, n, error));
  }
  return DFM_OK;
}

dfm_status dfm_source_next(dfm_source *source, bool *is_row, dfm_error *error) {
  const dfm_schema *schema = source->encoder->schema;
  const dfm_cell *cells;
  size_t n;
  DFM_TRY(next_cells(source, &cells, &n, error));
  *is_row = n > 0;
  if (n == 0) return DFM_OK;
  if (n != source->n_cells) return fail_count(source, n, error);
  DFM_TRY(read_categories(source, cells, error));
  DFM_TRY(read_numbers(source, cells, error));
  if (source->label_at != DFM_ABSENT) {
    const dfm_cell cell = clean(schema, cells[source->label_at]);
    DFM_TRY(read_label(source, &cell, error));
  }
  if (source->weight_at != DFM_ABSENT) {
    const dfm_cell cell = clean(schema, cells[source->weight_at]);
    DFM_TRY(read_weight(source, &cell, error));
  }
  if (source->truth_at != DFM_ABSENT) {
    const dfm_cell cell = clean(schema, cells[source->truth_at]);
    DFM_TRY(read_truth(source, &cell, error));
  }
  return DFM_OK;
}

dfm_status dfm_source_unknown(const dfm_source *source, int f, dfm_error *error) {
  const dfm_category_field *field = &source->encoder->category[f];
  return fail_cell(source, &source->category[f], field->name, "has a value that the vocabulary lacks",
                   "correct the cell, train on rows that have it, or train with `unknown: row` for the column", error);
}
