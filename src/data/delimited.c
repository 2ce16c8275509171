/* Delimited text: a row's span comes in, its cells go out.
 *
 * Cells point into the row's text; only quoted cells that contain "" are copied, unescaped. */
#include "data/delimited.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/match.h"
#include "base/memory.h"
#include "base/utf8.h"

/* ---- rows without a quote */

/* Room for `n` more cells. */
static inline dfm_status reserve(dfm_cells *cells, size_t n, dfm_error *error) {
  if (cells->n + n <= cells->capacity) return DFM_OK;
  return dfm_grow(&cells->cell, &cells->capacity, cells->n + n, sizeof *cells->cell, error);
}

static inline const char *add_cell(dfm_cells *cells, const char *row, const char *from, const char *to) {
  cells->cell[cells->n++] = (dfm_cell){from, (size_t)(to - from), (size_t)(from - row) + 1};
  return to + 1;
}

static dfm_status split_plain(const dfm_row_span *span, char separator, const char *limit, dfm_cells *cells,
                              dfm_error *error) {
  const char *row = span->bytes, *end = row + span->n, *from = row;
  for (const char *at = row; at < end; at += DFM_MATCH_BYTES) {
    uint64_t found = dfm_match(at, (size_t)(limit - at), separator);
    if (end - at < DFM_MATCH_BYTES) found &= (UINT64_C(1) << (end - at)) - 1;
    DFM_TRY(reserve(cells, DFM_MATCH_BYTES + 1, error));
    for (; found; found &= found - 1) from = add_cell(cells, row, from, at + __builtin_ctzll(found));
  }
  (void)add_cell(cells, row, from, end);
  return DFM_OK;
}

size_t dfm_delimited_starts(const dfm_row_span *span, char separator, const char *limit, size_t most, uint32_t *start) {
  const size_t length = span->n;
  size_t n = 0;
  start[n++] = 0;
  for (size_t at = 0; at < length && n <= most; at += DFM_MATCH_BYTES) {
    uint64_t found = dfm_match(span->bytes + at, (size_t)(limit - span->bytes) - at, separator);
    if (length - at < DFM_MATCH_BYTES) found &= (UINT64_C(1) << (length - at)) - 1;
    for (; found; found &= found - 1) start[n++] = (uint32_t)at + (uint32_t)__builtin_ctzll(found) + 1;
  }
  start[n] = (uint32_t)length + 1;
  return n;
}

/* Text is read as it comes from memory, and the processor by itself asks for no more than the page it is in. */
enum { AHEAD = 1024 };

const char *dfm_delimited_find_line(const char *line, const char *end, char separator, const char *limit, size_t most,
                                    uint32_t *start, size_t *n) {
  const size_t length = (size_t)(end - line);
  size_t cells = 0, at = 0;
  uint64_t stop = 0;
  start[cells++] = 0;
  for (; at < length && stop == 0; at += DFM_MATCH_BYTES) {
    const size_t left = (size_t)(limit - line) - at;
    uint64_t found = dfm_match(line + at, left, separator);
    stop = dfm_match(line + at, left, '\n');
    if (length - at < DFM_MATCH_BYTES) stop |= UINT64_C(1) << (length - at);
    const uint64_t here = (stop & -stop) - 1;
    __builtin_prefetch(line + at + AHEAD);
    if (dfm_match(line + at, left, '"') & here) return NULL;
    found &= here;
    if (cells > most) continue;
    for (; found; found &= found - 1) start[cells++] = (uint32_t)at + (uint32_t)__builtin_ctzll(found) + 1;
  }
  const size_t to = stop ? at - DFM_MATCH_BYTES + (size_t)__builtin_ctzll(stop) : length;
  start[cells] = (uint32_t)(to - (to > 0 && line[to - 1] == '\r')) + 1;
  *n = cells;
  return line + to;
}

/* ---- rows with quotes */

typedef struct place {
  const char *line_start;
  long long line;
} place;

static void go_to(place *at, const char *to) {
  for (const char *lf; (lf = memchr(at->line_start, '\n', (size_t)(to - at->line_start))); at->line_start = lf + 1)
    at->line++;
}

/* The text of a quoted cell with single quotes, at `to`; returns where it ends. */
static char *unescape(char *to, const dfm_cell *cell) {
  for (const char *from = cell->bytes, *end = from + cell->n; from < end; from += *from == '"' ? 2 : 1) *to++ = *from;
  return to;
}

/* Reads the cell that opens with a quote at `open`; `*after` is behind its closing quote. */
static dfm_status read_quoted(const char *path, const char *open, const char *end, place *at, char **text,
                              dfm_cell *cell, const char **after, dfm_error *error) {
  bool has_escapes;
  const char *closing = dfm_closing_quote(open + 1, end, &has_escapes);
  if (!closing)
    return dfm_fail_at(error, DFM_ERROR_FORMAT, path, at->line, (long long)cell->column,
                       "the quote that opens here is not closed; close it, or double it where it belongs to the text");
  cell->bytes = open + 1;
  cell->n = (size_t)(closing - cell->bytes);
  if (has_escapes) {
    char *copy = *text;
    *text = unescape(copy, cell);
    *cell = (dfm_cell){copy, (size_t)(*text - copy), cell->column};
  }
  *after = closing + 1;
  return DFM_OK;
}

static dfm_status split_quoted(const dfm_row_span *span, char separator, const char *path, dfm_cells *cells,
                               dfm_error *error) {
  const char *end = span->bytes + span->n, *from = span->bytes, *to = end;
  place at = {span->bytes, span->line};
  char *text = cells->text;
  for (bool is_last = false; !is_last; from = to + 1) {
    go_to(&at, from);
    dfm_cell cell = {from, 0, (size_t)(from - at.line_start) + 1};
    if (from < end && *from == '"') {
      DFM_TRY(read_quoted(path, from, end, &at, &text, &cell, &to, error));
      if (to < end && *to != separator) {
        go_to(&at, to);
        return dfm_fail_at(error, DFM_ERROR_FORMAT, path, at.line, to - at.line_start + 1,
                           "text after the closing quote of a cell; a quote inside a quoted cell is written twice "
                           "(\"\")");
      }
    } else {
      to = memchr(from, separator, (size_t)(end - from));
      if (!to) to = end;
      cell.n = (size_t)(to - from);
    }
    is_last = to == end;
    DFM_TRY(reserve(cells, 1, error));
    cells->cell[cells->n++] = cell;
  }
  cells->text = text;
  return DFM_OK;
}

dfm_status dfm_delimited_split(const dfm_row_span *span, char separator, const char *path, const char *limit,
                               dfm_cells *cells, dfm_error *error) {
  cells->n = 0;
  return span->has_quote ? split_quoted(span, separator, path, cells, error)
                         : split_plain(span, separator, limit, cells, error);
}

void dfm_cells_clear(dfm_cells *cells) {
  free(cells->cell);
  *cells = (dfm_cells){0};
}

/* ---- a reader of one row after the other */

struct dfm_delimited {
  dfm_feed *feed;
  dfm_text_rows *rows;
  char separator;
  dfm_row_span span; /* the row last read */
  dfm_cells cells;
  char *text;
  size_t text_capacity;
};

static dfm_status make_syntax(const dfm_feed *feed, char separator, const char *comment, dfm_row_syntax *syntax,
                              dfm_error *error) {
  *syntax = (dfm_row_syntax){separator, comment};
  if (separator != 0 && separator != '"' && separator != '\n' && separator != '\r') return DFM_OK;
  return dfm_fail(error, DFM_ERROR_VALUE, "the separator of %s cannot be a quote, a line break or a zero byte",
                  dfm_feed_name(feed));
}

dfm_status dfm_delimited_restart(dfm_delimited *reader, char separator, const char *comment, dfm_error *error) {
  dfm_row_syntax syntax;
  DFM_TRY(make_syntax(reader->feed, separator, comment, &syntax, error));
  reader->separator = separator;
  reader->span = (dfm_row_span){.line = 1};
  return dfm_text_rows_restart(reader->rows, &syntax, error);
}

dfm_status dfm_delimited_open(dfm_feed *feed, char separator, const char *comment, bool keeps, dfm_delimited **reader,
                              dfm_error *error) {
  dfm_delimited *made;
  dfm_row_syntax syntax;
  DFM_TRY(make_syntax(feed, separator, comment, &syntax, error));
  DFM_TRY(dfm_alloc(&made, 1, sizeof *made, error));
  made->feed = feed;
  made->separator = separator;
  made->span.line = 1;
  const dfm_status status = dfm_text_rows_open(feed, &syntax, keeps, &made->rows, error);
  if (status != DFM_OK) {
    dfm_delimited_close(made);
    return status;
  }
  *reader = made;
  return DFM_OK;
}

void dfm_delimited_close(dfm_delimited *reader) {
  if (!reader) return;
  dfm_text_rows_close(reader->rows);
  dfm_cells_clear(&reader->cells);
  free(reader->text);
  free(reader);
}

long long dfm_delimited_line(const dfm_delimited *reader) {
  return reader->span.line;
}

size_t dfm_delimited_row_bytes(const dfm_delimited *reader) {
  return reader->span.n;
}

char dfm_delimited_named_separator(const dfm_delimited *reader) {
  return dfm_text_rows_named_separator(reader->rows);
}

bool dfm_delimited_is_empty(const dfm_delimited *reader) {
  return dfm_text_rows_is_empty(reader->rows);
}

const char *dfm_delimited_path(const dfm_delimited *reader) {
  return dfm_text_rows_path(reader->rows);
}

dfm_status dfm_delimited_next(dfm_delimited *reader, const dfm_cell **cells, size_t *n, dfm_error *error) {
  size_t n_rows;
  DFM_TRY(dfm_text_rows_next(reader->rows, &reader->span, 1, &n_rows, error));
  *n = 0;
  if (n_rows == 0) return DFM_OK;
  DFM_TRY(dfm_grow(&reader->text, &reader->text_capacity, reader->span.n, 1, error));
  reader->cells.text = reader->text;
  DFM_TRY(dfm_delimited_split(&reader->span, reader->separator, dfm_delimited_path(reader),
                              dfm_text_rows_limit(reader->rows), &reader->cells, error));
  *cells = reader->cells.cell;
  *n = reader->cells.n;
  return DFM_OK;
}

dfm_cell dfm_cell_clean_as(const dfm_schema *schema, dfm_cell cell) {
  if (schema->strip_spaces) cell = dfm_cell_strip(cell);
  if (schema->n_missing_words > 0 && cell.n > 0 &&
      dfm_words_have(schema->missing_words, schema->n_missing_words, cell.bytes, cell.n))
    cell.n = 0;
  return cell;
}

dfm_cell dfm_cell_strip(dfm_cell cell) {
  while (cell.n && *cell.bytes == ' ') cell.bytes++, cell.n--, cell.column++;
  while (cell.n && cell.bytes[cell.n - 1] == ' ') cell.n--;
  return cell;
}

void dfm_names_free(char **names, size_t n) {
  for (size_t i = 0; names && i < n; i++) free(names[i]);
  free(names);
}

/* One header cell -> name, allocated. */
static dfm_status header_name(const dfm_delimited *reader, dfm_cell cell, size_t position, char **name,
                              dfm_error *error) {
  char shown[DFM_SHOW_BYTES];
  if (!dfm_is_utf8(cell.bytes, cell.n) || memchr(cell.bytes, 0, cell.n))
    return dfm_fail_at(error, DFM_ERROR_FORMAT, dfm_delimited_path(reader), reader->span.line, (long long)cell.column,
                       "the column name '%s' is not UTF-8 text; convert the file (iconv -t UTF-8) or rename the column",
                       dfm_show(shown, cell.bytes, cell.n));
  DFM_TRY(dfm_alloc(name, cell.n + 24, 1, error));
  if (cell.n)
    memcpy(*name, cell.bytes, cell.n);
  else
    snprintf(*name, 24, "c%zu", position);
  return DFM_OK;
}

/* Names with their positions, for finding equal ones by sorting. */
typedef struct named {
  const char *name;
  size_t position;
} named;

static int by_name(const void *a, const void *b) {
  const named *x = a, *y = b;
  const int order = strcmp(x->name, y->name);
  return order ? order : (x->position > y->position) - (x->position < y->position);
}

static dfm_status check_unique(const dfm_delimited *reader, const dfm_cell *cells, char *const *names, size_t n,
                               dfm_error *error) {
  named *sorted;
  char shown[DFM_SHOW_BYTES];
  DFM_TRY(dfm_alloc(&sorted, n, sizeof *sorted, error));
  for (size_t i = 0; i < n; i++) sorted[i] = (named){names[i], i};
  qsort(sorted, n, sizeof *sorted, by_name);
  dfm_status status = DFM_OK;
  for (size_t i = 1; i < n && status == DFM_OK; i++)
    if (strcmp(sorted[i - 1].name, sorted[i].name) == 0)
      status = dfm_fail_at(error, DFM_ERROR_FORMAT, dfm_delimited_path(reader), reader->span.line,
                           (long long)cells[sorted[i].position].column,
                           "columns %zu and %zu are both named '%s'; rename one of them", sorted[i - 1].position + 1,
                           sorted[i].position + 1, dfm_show(shown, sorted[i].name, strlen(sorted[i].name)));
  free(sorted);
  return status;
}

dfm_status dfm_delimited_names(const dfm_delimited *reader, const dfm_cell *cells, size_t n, bool strip_spaces,
                               char ***names, dfm_error *error) {
  char **made;
  DFM_TRY(dfm_alloc(&made, n, sizeof *made, error));
  dfm_status status = DFM_OK;
  for (size_t i = 0; i < n && status == DFM_OK; i++)
    status = header_name(reader, strip_spaces ? dfm_cell_strip(cells[i]) : cells[i], i + 1, &made[i], error);
  if (status == DFM_OK) status = check_unique(reader, cells, made, n, error);
  if (status != DFM_OK) {
    dfm_names_free(made, n);
    return status;
  }
  *names = made;
  return DFM_OK;
}
