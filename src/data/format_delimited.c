/* Delimited text as a format: columns are found by the header's names or by position; a row's cells are put where they
 * belong. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "data/schema_guess.h"
#include "data/source.h"

static const char *path_of(const dfm_source *source) {
  return dfm_text_rows_path(source->rows);
}

/* Whether header cell `i` has this name; one without a name is called by its position, c1, c2, ..., as in a schema that
 * was guessed. */
static bool is_called(const dfm_schema *schema, const dfm_cell *cells, size_t i, const char *name) {
  const dfm_cell cell = schema->strip_spaces ? dfm_cell_strip(cells[i]) : cells[i];
  char position[24];
  if (cell.n > 0) return strlen(name) == cell.n && memcmp(cell.bytes, name, cell.n) == 0;
  snprintf(position, sizeof position, "c%zu", i + 1);
  return strcmp(position, name) == 0;
}

/* Position of the header cell called `name`, DFM_ABSENT where there is none; two are an error. */
static dfm_status find_name(const dfm_source *source, const dfm_cell *cells, size_t n, const char *name, size_t *at,
                            dfm_error *error) {
  *at = DFM_ABSENT;
  for (size_t i = 0; i < n; i++) {
    if (!is_called(source->encoder->schema, cells, i, name)) continue;
    if (*at != DFM_ABSENT) {
      return dfm_fail_at(error, DFM_ERROR_FORMAT, path_of(source), source->spans->line, (long long)cells[i].column,
                         "the header has the column '%s' twice, as cells %zu and %zu; rename one", name, *at + 1,
                         i + 1);
    }
    *at = i;
  }
  return DFM_OK;
}

static void set_position(dfm_source *source, dfm_kind kind, size_t at, int *f, int *d) {
  switch (kind) {
    case DFM_KIND_CATEGORY:
    case DFM_KIND_LIST:
      source->category_at[(*f)++] = at;
      break;
    case DFM_KIND_NUMBER:
      source->number_at[(*d)++] = at;
      break;
    case DFM_KIND_LABEL:
      source->label_at = at;
      break;
    case DFM_KIND_WEIGHT:
      source->weight_at = at;
      break;
    case DFM_KIND_IGNORE:
      break;
  }
}

/* Whether rows may come without a column of this kind. */
static bool is_dispensable(const dfm_source *source, dfm_kind kind) {
  if (kind == DFM_KIND_LABEL) return source->label_optional;
  if (kind == DFM_KIND_WEIGHT) return source->label_optional || source->missing_unknown;
  return source->missing_unknown;
}

static dfm_status fail_missing(const dfm_source *source, const dfm_column *column, dfm_error *error) {
  static const char *const kinds[] = {[DFM_KIND_CATEGORY] = "a category",
                                      [DFM_KIND_LIST] = "a list",
                                      [DFM_KIND_NUMBER] = "a number",
                                      [DFM_KIND_LABEL] = "the label",
                                      [DFM_KIND_WEIGHT] = "the weight"};
  return dfm_fail_at(error, DFM_ERROR_MISMATCH, path_of(source), source->spans->line, 0,
                     "the header has no column '%s', which the schema has as %s; %s", column->name, kinds[column->kind],
                     column->kind == DFM_KIND_LABEL ? "add it to the file, or name another label column"
                                                    : "add it to the file, or read it with --missing-columns unknown");
}

/* By name, in any order, among any other columns. */
static dfm_status place_by_name(dfm_source *source, const dfm_cell *cells, size_t n, dfm_error *error) {
  const dfm_schema *schema = source->encoder->schema;
  const dfm_column *missing = NULL;
  size_t n_found = 0;
  int f = 0, d = 0;
  for (size_t i = 0; i < schema->n_columns; i++) {
    const dfm_column *column = &schema->columns[i];
    if (column->kind == DFM_KIND_IGNORE) continue;
    size_t at;
    DFM_TRY(find_name(source, cells, n, column->name, &at, error));
    n_found += at != DFM_ABSENT;
    if (at == DFM_ABSENT && !missing && !is_dispensable(source, column->kind)) missing = column;
    set_position(source, column->kind, at, &f, &d);
  }
  source->n_cells = n;
  if (n_found == 0) {
    char shown[DFM_SHOW_BYTES];
    return dfm_fail_at(
        error, DFM_ERROR_MISMATCH, path_of(source), source->spans->line, 0,
        "the first row has none of the schema's column names (its first cell is '%s'); add the header line that the "
        "schema asks for",
        dfm_show(shown, cells[0].bytes, cells[0].n));
  }
  return missing ? fail_missing(source, missing, error) : DFM_OK;
}

/* By position; where labels are optional their column may be left out, which moves those after it. */
static void place_by_position(dfm_source *source, size_t n) {
  const dfm_schema *schema = source->encoder->schema;
  size_t label = DFM_ABSENT;
  int f = 0, d = 0;
  for (size_t i = 0; i < schema->n_columns; i++) {
    if (schema->columns[i].kind == DFM_KIND_LABEL) label = i;
  }
  const bool has_label = label != DFM_ABSENT && !(source->label_optional && n + 1 == schema->n_columns);
  for (size_t i = 0; i < schema->n_columns; i++) {
    const bool is_after = !has_label && label != DFM_ABSENT && i > label;
    set_position(source, schema->columns[i].kind, i == label && !has_label ? DFM_ABSENT : i - is_after, &f, &d);
  }
  source->n_cells = schema->n_columns - (label != DFM_ABSENT && !has_label);
  source->has_first_row = true;
}

/* The column of true probabilities: by name, or by 1-based position in a file without header. */
static dfm_status place_truth(dfm_source *source, const dfm_cell *cells, size_t n, dfm_error *error) {
  const char *truth = source->truth_name;
  const dfm_schema *schema = source->encoder->schema;
  long long position = 0;
  if (!truth) return DFM_OK;
  if (schema->has_header) {
    DFM_TRY(find_name(source, cells, n, truth, &source->truth_at, error));
  } else if (dfm_parse_int64(truth, strlen(truth), &position) && position >= 1 && (size_t)position <= n) {
    source->truth_at = (size_t)position - 1;
  }
  if (source->truth_at != DFM_ABSENT) return DFM_OK;
  return dfm_fail_at(error, DFM_ERROR_MISMATCH, path_of(source), source->spans->line, 0,
                     schema->has_header
                         ? "the header has no column '%s' of true probabilities; name one of its columns"
                         : "there is no column '%s' of true probabilities; give its position, counted from 1",
                     truth);
}

/* ---- rows */

static dfm_status split(dfm_row *row, dfm_error *error) {
  return dfm_delimited_split(row->span, row->encoder->schema->separator, dfm_text_rows_path(row->source->rows),
                             row->limit, &row->scratch->cells, error);
}

static dfm_status fail_count(const dfm_row *row, size_t n, dfm_error *error) {
  const dfm_source *source = row->source;
  const dfm_schema *schema = source->encoder->schema;
  char separator[DFM_SHOW_BYTES];
  return dfm_fail_at(error, DFM_ERROR_FORMAT, path_of(source), row->span->line, 0,
                     "the row has %zu cells where the %s has %zu; %s, or quote cells that contain '%s'", n,
                     schema->has_header ? "header" : "schema", source->n_cells,
                     n < source->n_cells ? "add the missing cells (empty ones are fine)" : "remove the surplus cells",
                     schema->separator == '\t' ? "a tab" : dfm_show(separator, &schema->separator, 1));
}

static dfm_status put_category(dfm_row *row, int f, dfm_error *error) {
  const dfm_source *source = row->source;
  const bool is_list = source->encoder->category[f].is_list;
  const size_t at = source->category_at[f];
  if (at == DFM_ABSENT) {
    *dfm_block_value(row->block, f, row->block->rows) = (dfm_value){.n = DFM_VALUE_ABSENT};
    if (is_list) dfm_block_end_list(row->block, f);
    return DFM_OK;
  }
  const dfm_cell cell = row->scratch->cells.cell[at];
  return is_list ? dfm_row_put_list(row, f, cell, error) : dfm_row_put_category(row, f, cell, error);
}

static dfm_status read_row(dfm_row *row, dfm_error *error) {
  const dfm_source *source = row->source;
  const dfm_encoder *encoder = source->encoder;
  const dfm_cells *cells = &row->scratch->cells;
  DFM_TRY(split(row, error));
  if (cells->n != source->n_cells) return fail_count(row, cells->n, error);
  row->block->reason = DFM_BAD_NUMBER;
  for (int f = 0; f < encoder->F; f++) DFM_TRY(put_category(row, f, error));
  for (int d = 0; d < encoder->D; d++) {
    if (source->number_at[d] == DFM_ABSENT)
      row->block->number[(size_t)row->block->rows * (size_t)encoder->D + (size_t)d] = NAN;
    else
      DFM_TRY(dfm_row_put_number(row, d, cells->cell[source->number_at[d]], error));
  }
  if (source->has_label) DFM_TRY(dfm_row_put_label(row, cells->cell[source->label_at], error));
  if (source->has_weight) DFM_TRY(dfm_row_put_weight(row, cells->cell[source->weight_at], error));
  return source->has_truth ? dfm_row_put_truth(row, cells->cell[source->truth_at], error) : DFM_OK;
}

/* The file's first row into cells of scratch 0; `*n` = 0 where it has none. */
static dfm_status read_first(dfm_source *source, size_t *n, dfm_error *error) {
  DFM_TRY(dfm_source_first(source, error));
  *n = 0;
  if (source->n_spans == 0) return DFM_OK;
  dfm_row row = {.source = source,
                 .encoder = source->encoder,
                 .span = source->spans,
                 .limit = dfm_text_rows_limit(source->rows),
                 .scratch = source->scratch};
  DFM_TRY(split(&row, error));
  *n = source->scratch->cells.n;
  return DFM_OK;
}

/* ---- headers: those of further files are held against the first one's */

static dfm_cell header_cell(const dfm_source *source, const dfm_cell *cells, size_t i) {
  return source->encoder->schema->strip_spaces ? dfm_cell_strip(cells[i]) : cells[i];
}

static dfm_status keep_header(dfm_source *source, const dfm_cell *cells, size_t n, dfm_error *error) {
  DFM_TRY(dfm_alloc(&source->header_end, n, sizeof *source->header_end, error));
  for (size_t i = 0; i < n; i++) {
    const dfm_cell cell = header_cell(source, cells, i);
    DFM_TRY(dfm_text_add(&source->header, cell.bytes, cell.n, error));
    source->header_end[i] = source->header.length;
  }
  return DFM_OK;
}

static dfm_cell kept_cell(const dfm_source *source, size_t i) {
  const size_t start = i ? source->header_end[i - 1] : 0;
  return (dfm_cell){source->header.bytes + start, source->header_end[i] - start, 0};
}

static dfm_status check_header(const dfm_source *source, const dfm_cell *cells, size_t n, dfm_error *error) {
  const char *first = dfm_input_path(source->input, 0);
  char here[DFM_SHOW_BYTES], there[DFM_SHOW_BYTES];
  for (size_t i = 0; i < n && i < source->n_cells; i++) {
    const dfm_cell cell = header_cell(source, cells, i), kept = kept_cell(source, i);
    if (cell.n == kept.n && memcmp(cell.bytes, kept.bytes, cell.n) == 0) continue;
    return dfm_fail_at(error, DFM_ERROR_MISMATCH, path_of(source), source->spans->line, (long long)cell.column,
                       "column %zu is called '%s' here and '%s' in %s; give all files the same header", i + 1,
                       dfm_show(here, cell.bytes, cell.n), dfm_show(there, kept.bytes, kept.n), first);
  }
  if (n == source->n_cells) return DFM_OK;
  return dfm_fail_at(error, DFM_ERROR_MISMATCH, path_of(source), source->spans->line, 0,
                     "the header has %zu columns here and %zu in %s; give all files the same header", n,
                     source->n_cells, first);
}

static dfm_status open_next(dfm_source *source, dfm_error *error) {
  size_t n;
  if (!source->encoder->schema->has_header) return DFM_OK;
  DFM_TRY(read_first(source, &n, error));
  return n == 0 ? dfm_source_fail_empty(source, error) : check_header(source, source->scratch->cells.cell, n, error);
}

/* ---- the whole */

static dfm_status open_first(dfm_source *source, dfm_error *error) {
  size_t n;
  DFM_TRY(dfm_alloc(&source->category_at, (size_t)source->encoder->F, sizeof *source->category_at, error));
  DFM_TRY(dfm_alloc(&source->number_at, (size_t)source->encoder->D, sizeof *source->number_at, error));
  DFM_TRY(read_first(source, &n, error));
  if (n == 0) return dfm_source_fail_empty(source, error);
  const dfm_cell *cells = source->scratch->cells.cell;
  source->label_at = source->weight_at = source->truth_at = DFM_ABSENT;
  if (source->encoder->schema->has_header) {
    DFM_TRY(place_by_name(source, cells, n, error));
    DFM_TRY(keep_header(source, cells, n, error));
  } else {
    place_by_position(source, n);
  }
  DFM_TRY(place_truth(source, cells, n, error));
  source->has_label = source->label_at != DFM_ABSENT;
  source->has_weight = source->weight_at != DFM_ABSENT;
  source->has_truth = source->truth_at != DFM_ABSENT;
  return DFM_OK;
}

/* Anything may be delimited text: it is what remains. */
static dfm_likeness likeness(const char *line, size_t n) {
  (void)line;
  (void)n;
  return DFM_LIKE_MAYBE;
}

const dfm_format dfm_format_delimited = {.name = "delimited",
                                         .title = "delimited text",
                                         .endings = "",
                                         .has_layout = true,
                                         .likeness = likeness,
                                         .guess = dfm_guess_delimited,
                                         .open = open_first,
                                         .open_next = open_next,
                                         .read = read_row};
