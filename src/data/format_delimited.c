/* Delimited text as a format: rows are split into cells, which are put where the header or the schema says. */
#include <math.h>
#include <string.h>

#include "base/match.h"
#include "data/schema_guess.h"
#include "data/short_number.h"
#include "data/source.h"

/* ---- rows */

static dfm_status split(dfm_row *row, dfm_error *error) {
  return dfm_delimited_split(row->span, row->encoder->schema->separator, dfm_text_rows_path(row->source->rows),
                             row->limit, &row->scratch->cells, error);
}

static dfm_status fail_count(const dfm_row *row, size_t n, dfm_error *error) {
  const dfm_source *source = row->source;
  const dfm_schema *schema = source->encoder->schema;
  char room[DFM_SHOW_BYTES];
  const char *separator = schema->separator == '\t' ? "a tab" : dfm_show(room, &schema->separator, 1);
  if (n == 1)
    return dfm_fail_at(error, DFM_ERROR_FORMAT, dfm_source_name(source), row->span->line, 0,
                       "the row is one cell where the %s has %zu; separate its cells by '%s'",
                       schema->has_header ? "header" : "schema", source->n_cells, separator);
  return dfm_fail_at(error, DFM_ERROR_FORMAT, dfm_source_name(source), row->span->line, 0,
                     "the row has %zu cells where the %s has %zu; %s, or quote cells that contain '%s'", n,
                     schema->has_header ? "header" : "schema", source->n_cells,
                     n < source->n_cells ? "add the missing cells (empty ones are fine)" : "remove the surplus cells",
                     separator);
}

static dfm_status put_category(dfm_row *row, int f, size_t at, dfm_error *error) {
  if (at == DFM_ABSENT) {
    dfm_row_put_absent(row, f);
    return DFM_OK;
  }
  const dfm_cell cell = row->scratch->cells.cell[at];
  return row->encoder->category[f].is_list ? dfm_row_put_list(row, f, cell, error)
                                           : dfm_row_put_category(row, f, cell, error);
}

static dfm_status put_categories(dfm_row *row, dfm_error *error) {
  const dfm_source *source = row->source;
  const dfm_cell *cells = row->scratch->cells.cell;
  dfm_value *value = dfm_block_value(row->block, 0, row->block->rows);
  for (int f = 0; f < source->encoder->F; f++, value += DFM_BLOCK_STRIDE) {
    const size_t at = source->category_at[f];
    if (source->is_plain[f] && at != DFM_ABSENT && row->watched < 0)
      dfm_value_set(value, cells[at].bytes, cells[at].n, dfm_row_limit(row, cells[at].bytes));
    else
      DFM_TRY(put_category(row, f, at, error));
  }
  return DFM_OK;
}

static dfm_status put_numbers(dfm_row *row, dfm_error *error) {
  const dfm_source *source = row->source;
  const dfm_cell *cells = row->scratch->cells.cell;
  for (int d = 0; d < source->encoder->D; d++) {
    const size_t at = source->number_at[d];
    if (at == DFM_ABSENT)
      row->block->number[(size_t)row->block->rows * (size_t)source->encoder->D + (size_t)d] = NAN;
    else
      DFM_TRY(dfm_row_put_number(row, d, cells[at], error));
  }
  return DFM_OK;
}

/* ---- rows without quotes, whose cells are what they hold as they stand, and behind which there is text: most */

enum { BEHIND = DFM_SHORT_BYTES };
_Static_assert((int)BEHIND >= (int)DFM_VALUE_HEAD, "any cell of a plain row can be loaded");

static inline dfm_cell cell_at(const dfm_row *row, size_t at) {
  const uint32_t *start = row->scratch->start;
  return (dfm_cell){row->span->bytes + start[at], start[at + 1] - 1 - start[at], start[at] + 1};
}

static void put_plain_categories(dfm_row *row) {
  const dfm_source *source = row->source;
  const uint32_t *start = row->scratch->start;
  dfm_value *value = dfm_block_value(row->block, 0, row->block->rows);
  for (int f = 0; f < source->encoder->F; f++, value += DFM_BLOCK_STRIDE) {
    const size_t at = source->category_at[f];
    if (at == DFM_ABSENT)
      dfm_row_put_absent(row, f);
    else
      dfm_value_load(value, row->span->bytes + start[at], start[at + 1] - 1 - start[at]);
  }
}

static dfm_status put_plain_numbers(dfm_row *row, dfm_error *error) {
  const dfm_source *source = row->source;
  const uint32_t *start = row->scratch->start;
  float *number = row->block->number + (size_t)row->block->rows * (size_t)source->encoder->D;
  for (int d = 0; d < source->encoder->D; d++) {
    const size_t at = source->number_at[d];
    if (at == DFM_ABSENT)
      number[d] = NAN;
    else if (!dfm_load_short(row->span->bytes + start[at], start[at + 1] - 1 - start[at], &number[d]))
      DFM_TRY(dfm_row_put_number(row, d, cell_at(row, at), error));
  }
  return DFM_OK;
}

static dfm_status put_plain(dfm_row *row, dfm_error *error) {
  const dfm_source *source = row->source;
  row->block->reason = DFM_BAD_NUMBER;
  put_plain_categories(row);
  DFM_TRY(put_plain_numbers(row, error));
  if (source->has_label) DFM_TRY(dfm_row_put_label(row, cell_at(row, source->label_at), error));
  if (source->has_weight) DFM_TRY(dfm_row_put_weight(row, cell_at(row, source->weight_at), error));
  return source->has_truth ? dfm_row_put_truth(row, cell_at(row, source->truth_at), error) : DFM_OK;
}

static dfm_status reserve_starts(const dfm_source *source, dfm_row_scratch *scratch, dfm_error *error) {
  return dfm_grow(&scratch->start, &scratch->start_capacity, source->n_cells + 2 + DFM_MATCH_BYTES,
                  sizeof *scratch->start, error);
}

/* Finds the row's cells, where it is one of these. */
static dfm_status find_plain(dfm_row *row, bool *is_plain, dfm_error *error) {
  const dfm_source *source = row->source;
  dfm_row_scratch *scratch = row->scratch;
  *is_plain = source->has_plain_rows && !row->span->has_quote && row->watched < 0 &&
              row->limit - (row->span->bytes + row->span->n) >= BEHIND;
  if (!*is_plain) return DFM_OK;
  if (row->n_starts > 0) {
    *is_plain = row->n_starts == source->n_cells;
    return DFM_OK;
  }
  DFM_TRY(reserve_starts(source, scratch, error));
  *is_plain = dfm_delimited_starts(row->span, source->encoder->schema->separator, row->limit, source->n_cells,
                                   scratch->start) == source->n_cells;
  return DFM_OK;
}

/* Without room for cells, which reading the row will say, it is the line alone. */
static const char *find_line(dfm_row *row, const char *line, const char *end) {
  dfm_row_scratch *scratch = row->scratch;
  row->n_starts = 0;
  if (reserve_starts(row->source, scratch, NULL) == DFM_OK)
    return dfm_delimited_find_line(line, end, row->encoder->schema->separator, row->limit, row->source->n_cells,
                                   scratch->start, &row->n_starts);
  const char *lf = memchr(line, '\n', (size_t)(end - line)), *to = lf ? lf : end;
  return memchr(line, '"', (size_t)(to - line)) ? NULL : to;
}

/* ---- any row */

static dfm_status read_row(dfm_row *row, dfm_error *error) {
  const dfm_source *source = row->source;
  const dfm_cells *cells = &row->scratch->cells;
  bool is_plain;
  DFM_TRY(find_plain(row, &is_plain, error));
  if (is_plain) return put_plain(row, error);
  DFM_TRY(split(row, error));
  if (cells->n != source->n_cells) return fail_count(row, cells->n, error);
  row->block->reason = DFM_BAD_NUMBER;
  DFM_TRY(put_categories(row, error));
  DFM_TRY(put_numbers(row, error));
  if (source->has_label) DFM_TRY(dfm_row_put_label(row, cells->cell[source->label_at], error));
  if (source->has_weight) DFM_TRY(dfm_row_put_weight(row, cells->cell[source->weight_at], error));
  return source->has_truth ? dfm_row_put_truth(row, cells->cell[source->truth_at], error) : DFM_OK;
}

/* The file's first row into cells of scratch 0; `*n` = 0 where it has none. */
static dfm_status read_first(dfm_source *source, size_t *n, dfm_error *error) {
  DFM_TRY(dfm_source_first(source, error));
  *n = 0;
  if (source->n_at_hand == 0) return DFM_OK;
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
    return dfm_fail_at(error, DFM_ERROR_MISMATCH, dfm_source_name(source), source->spans->line, (long long)cell.column,
                       "column %zu is called '%s' here and '%s' in %s; give all files the same header", i + 1,
                       dfm_show(here, cell.bytes, cell.n), dfm_show(there, kept.bytes, kept.n), first);
  }
  if (n == source->n_cells) return DFM_OK;
  return dfm_fail_at(error, DFM_ERROR_MISMATCH, dfm_source_name(source), source->spans->line, 0,
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
  DFM_TRY(read_first(source, &n, error));
  if (n == 0) return dfm_source_fail_empty(source, error);
  if (!source->encoder->schema->has_header) {
    source->has_first_row = true;
    return dfm_source_place_positions(source, n, error);
  }
  const dfm_cell *cells = source->scratch->cells.cell;
  DFM_TRY(dfm_source_place_names(source, cells, n, error));
  return keep_header(source, cells, n, error);
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
                                         .find_line = find_line,
                                         .read = read_row};
