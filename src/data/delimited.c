/* Delimited text: a feed comes in, one row of cells at a time goes out.
 *
 * Cells point into the feed's window; only quoted cells that contain "" are copied, unescaped, to a scratch buffer.
 * Where a row turns out to be cut by the window's end, the window slides on and the row is read anew from its start. */
#include "data/delimited.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"

/* No row of a click log comes near ROW_LIMIT; without it one stray quote would turn the rest of a file into a single
 * cell. */
enum { ROW_LIMIT = 64 << 20, KEEP_LIMIT = 2 * ROW_LIMIT };

struct dfm_delimited {
  dfm_feed *feed;
  const char *path;
  char *comment;
  size_t comment_n;
  char separator;
  bool keeps;
  const char *window;      /* what can be seen of the text */
  const char *end;         /* of the window */
  bool is_last;            /* the text ends where the window does */
  bool is_cut;             /* the row being read does not end in the window */
  size_t begin;            /* a reader that keeps: where the first row is in its window, behind the byte order mark */
  bool is_empty;           /* the text has no bytes */
  const char *at;          /* next unread byte */
  const char *row_start;   /* first byte of the row being read, or of the line before it that is being skipped */
  const char *line_start;  /* first byte of the physical line that `at` is on */
  const char *line_end;    /* its LF, or the end of the file */
  const char *content_end; /* the same without the CR of a CRLF */
  long long line, row_line;
  dfm_cell *cells;
  size_t n, capacity;
  size_t *escaped; /* cells of this row that contain "" */
  size_t n_escaped, escaped_capacity;
  char *scratch;
  size_t scratch_capacity;
};

/* Files whose bytes cannot be rows of text, told by their first bytes. */
static dfm_status check_is_text(const dfm_delimited *reader, dfm_error *error) {
  static const struct {
    const char *magic;
    size_t n;
    const char *says;
  } foreign[] = {
      {"\xff\xfe", 2, "is UTF-16; convert it first (iconv -f UTF-16 -t UTF-8)"},
      {"\xfe\xff", 2, "is UTF-16; convert it first (iconv -f UTF-16 -t UTF-8)"},
      {"PAR1", 4, "is a Parquet file, not delimited text; write it as CSV first"},
      {"PK\3\4", 4, "is a zip archive; unpack it first (unzip), or compress with gzip or zstd"},
      {"\xfd"
       "7zXZ",
       5, "is compressed by xz; decompress it first (xz -dk), or compress with gzip or zstd"},
      {"BZh", 3, "is compressed by bzip2; decompress it first (bzip2 -dk), or compress with gzip or zstd"},
  };
  const size_t n = (size_t)(reader->end - reader->window);
  for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
    if (n >= foreign[i].n && memcmp(reader->window, foreign[i].magic, foreign[i].n) == 0)
      return dfm_fail(error, DFM_ERROR_FORMAT, "%s %s", reader->path, foreign[i].says);
  return DFM_OK;
}

/* Points the reader at the feed's window, with the next row at its byte `at`. */
static void take_window(dfm_delimited *reader, size_t at) {
  const dfm_window window = dfm_feed_window(reader->feed);
  reader->window = window.bytes;
  reader->end = window.bytes + window.n;
  reader->is_last = window.is_last;
  reader->at = reader->row_start = reader->line_start = window.bytes + at;
  reader->is_cut = false;
}

/* Lets go of the rows that were read and shows more behind the row being read, which starts anew. */
static dfm_status slide(dfm_delimited *reader, dfm_error *error) {
  const size_t used = (size_t)(reader->row_start - reader->window);
  if (reader->keeps && reader->end - reader->window >= KEEP_LIMIT)
    return dfm_fail(error, DFM_ERROR_FORMAT,
                    "the first 128 MB of %s do not show what its columns are; write a schema for it", reader->path);
  DFM_TRY(dfm_feed_slide(reader->feed, reader->keeps ? 0 : used, error));
  take_window(reader, reader->keeps ? used : 0);
  reader->line = reader->row_line;
  return DFM_OK;
}

static dfm_status set_syntax(dfm_delimited *reader, char separator, const char *comment, dfm_error *error) {
  if (separator == 0 || separator == '"' || separator == '\n' || separator == '\r')
    return dfm_fail(error, DFM_ERROR_VALUE, "the separator of %s cannot be a quote, a line break or a zero byte",
                    reader->path);
  const size_t comment_n = comment ? strlen(comment) : 0;
  char *copy;
  DFM_TRY(dfm_alloc(&copy, comment_n + 1, 1, error));
  if (comment_n) memcpy(copy, comment, comment_n);
  free(reader->comment);
  reader->comment = copy;
  reader->comment_n = comment_n;
  reader->separator = separator;
  reader->line = reader->row_line = 1;
  return DFM_OK;
}

dfm_status dfm_delimited_restart(dfm_delimited *reader, char separator, const char *comment, dfm_error *error) {
  assert(reader->keeps);
  DFM_TRY(set_syntax(reader, separator, comment, error));
  take_window(reader, reader->begin);
  return DFM_OK;
}

static dfm_status begin(dfm_delimited *reader, char separator, const char *comment, dfm_error *error) {
  DFM_TRY(set_syntax(reader, separator, comment, error));
  const dfm_window window = dfm_feed_window(reader->feed);
  if (window.n == 0 && !window.is_last) DFM_TRY(dfm_feed_slide(reader->feed, 0, error));
  take_window(reader, 0);
  DFM_TRY(check_is_text(reader, error));
  if (reader->end - reader->at >= 3 && memcmp(reader->at, "\xef\xbb\xbf", 3) == 0) reader->begin = 3;
  take_window(reader, reader->begin);
  reader->is_empty = reader->at == reader->end && reader->is_last;
  return DFM_OK;
}

dfm_status dfm_delimited_open(dfm_feed *feed, char separator, const char *comment, bool keeps, dfm_delimited **reader,
                              dfm_error *error) {
  dfm_delimited *made;
  DFM_TRY(dfm_alloc(&made, 1, sizeof *made, error));
  made->feed = feed;
  made->path = dfm_feed_name(feed);
  made->keeps = keeps;
  const dfm_status status = begin(made, separator, comment, error);
  if (status != DFM_OK) {
    dfm_delimited_close(made);
    return status;
  }
  *reader = made;
  return DFM_OK;
}

void dfm_delimited_close(dfm_delimited *reader) {
  if (!reader) return;
  free(reader->comment);
  free(reader->cells);
  free(reader->escaped);
  free(reader->scratch);
  free(reader);
}

long long dfm_delimited_line(const dfm_delimited *reader) {
  return reader->row_line;
}

bool dfm_delimited_is_empty(const dfm_delimited *reader) {
  return reader->is_empty;
}

const char *dfm_delimited_path(const dfm_delimited *reader) {
  return reader->path;
}

/* Where the row being read has to end at the latest. */
static const char *row_stop(const dfm_delimited *reader) {
  return reader->end - reader->row_start > ROW_LIMIT ? reader->row_start + ROW_LIMIT : reader->end;
}

/* The row goes on behind the window. The status is only a way out: dfm_delimited_next looks at is_cut first. */
static dfm_status cut_row(dfm_delimited *reader) {
  reader->is_cut = true;
  return DFM_ERROR_FORMAT;
}

/* Sets line_end and content_end for the line that `from` is on. */
static dfm_status find_line_end(dfm_delimited *reader, const char *from, dfm_error *error) {
  const char *stop = row_stop(reader);
  const char *found = from < stop ? memchr(from, '\n', (size_t)(stop - from)) : NULL;
  if (!found && stop != reader->end)
    return dfm_fail_at(error, DFM_ERROR_FORMAT, reader->path, reader->line, 0,
                       "line is longer than 64 MB; is the file text?");
  if (!found && !reader->is_last) return cut_row(reader);
  reader->line_end = found ? found : reader->end;
  reader->content_end = reader->line_end - (reader->line_end > from && reader->line_end[-1] == '\r');
  return DFM_OK;
}

static void finish_line(dfm_delimited *reader) {
  reader->at = reader->line_end < reader->end ? reader->line_end + 1 : reader->end;
  reader->line_start = reader->at;
  reader->line++;
}

/* Goes to the first line that is neither empty nor a comment. */
static dfm_status skip_lines(dfm_delimited *reader, dfm_error *error) {
  for (;;) {
    reader->row_start = reader->at;
    reader->row_line = reader->line;
    if (reader->at == reader->end) return reader->is_last ? DFM_OK : cut_row(reader);
    DFM_TRY(find_line_end(reader, reader->at, error));
    const size_t n = (size_t)(reader->content_end - reader->at);
    const bool is_comment =
        reader->comment_n && n >= reader->comment_n && memcmp(reader->at, reader->comment, reader->comment_n) == 0;
    if (n > 0 && !is_comment) return DFM_OK;
    finish_line(reader);
  }
}

/* Moves the current line to the one that `to` is on, `to` being behind line breaks inside quotes. */
static dfm_status cross_lines(dfm_delimited *reader, const char *to, dfm_error *error) {
  for (const char *p = reader->line_end; p && p < to; p = memchr(p, '\n', (size_t)(to - p))) {
    reader->line++;
    reader->line_start = ++p;
  }
  return find_line_end(reader, to, error);
}

/* The closing quote of the cell whose text starts at `from`; NULL: none before the row has to end. */
static const char *find_closing(const dfm_delimited *reader, const char *from, bool *has_escapes) {
  const char *stop = row_stop(reader);
  while (from < stop) {
    const char *quote = memchr(from, '"', (size_t)(stop - from));
    if (!quote || quote + 1 >= reader->end || quote[1] != '"') return quote;
    *has_escapes = true;
    from = quote + 2;
  }
  return NULL;
}

/* Reads a cell that opens with a quote; `cell` has its column. *is_last: it ends the row. */
static dfm_status read_quoted(dfm_delimited *reader, dfm_cell *cell, bool *is_last, dfm_error *error) {
  const char *open = reader->at;
  bool has_escapes = false;
  const char *closing = find_closing(reader, open + 1, &has_escapes);
  if (!closing && row_stop(reader) == reader->end && !reader->is_last) return cut_row(reader);
  if (!closing)
    return dfm_fail_at(
        error, DFM_ERROR_FORMAT, reader->path, reader->line, (long long)cell->column,
        "the quote that opens here is not closed %s; close it, or double it where it belongs to the text",
        row_stop(reader) == reader->end ? "before the end of the file" : "within 64 MB");
  if (closing > reader->line_end) DFM_TRY(cross_lines(reader, closing + 1, error));
  cell->bytes = open + 1;
  cell->n = (size_t)(closing - cell->bytes);
  if (has_escapes) {
    DFM_TRY(
        dfm_grow(&reader->escaped, &reader->escaped_capacity, reader->n_escaped + 1, sizeof *reader->escaped, error));
    reader->escaped[reader->n_escaped++] = reader->n;
  }
  const char *after = closing + 1;
  *is_last = after >= reader->content_end;
  if (*is_last) {
    finish_line(reader);
    return DFM_OK;
  }
  if (*after != reader->separator)
    return dfm_fail_at(error, DFM_ERROR_FORMAT, reader->path, reader->line, after - reader->line_start + 1,
                       "text after the closing quote of a cell; a quote inside a quoted cell is written twice (\"\")");
  reader->at = after + 1;
  return DFM_OK;
}

static dfm_status read_cell(dfm_delimited *reader, bool *is_last, dfm_error *error) {
  DFM_TRY(dfm_grow(&reader->cells, &reader->capacity, reader->n + 1, sizeof *reader->cells, error));
  const char *start = reader->at;
  dfm_cell cell = {start, 0, (size_t)(start - reader->line_start) + 1};
  if (start < reader->content_end && *start == '"') {
    DFM_TRY(read_quoted(reader, &cell, is_last, error));
  } else {
    const char *found = memchr(start, reader->separator, (size_t)(reader->content_end - start));
    *is_last = !found;
    cell.n = (size_t)((found ? found : reader->content_end) - start);
    if (found) reader->at = found + 1;
    if (!found) finish_line(reader);
  }
  reader->cells[reader->n++] = cell;
  return DFM_OK;
}

/* Copies the row's cells that contain "" to the scratch buffer with single quotes. */
static dfm_status unescape_cells(dfm_delimited *reader, dfm_error *error) {
  size_t total = 0;
  for (size_t i = 0; i < reader->n_escaped; i++) total += reader->cells[reader->escaped[i]].n;
  DFM_TRY(dfm_grow(&reader->scratch, &reader->scratch_capacity, total, 1, error));
  char *to = reader->scratch;
  for (size_t i = 0; i < reader->n_escaped; i++) {
    dfm_cell *cell = &reader->cells[reader->escaped[i]];
    const char *from = cell->bytes, *end = from + cell->n;
    cell->bytes = to;
    while (from < end) {
      *to++ = *from;
      from += *from == '"' ? 2 : 1;
    }
    cell->n = (size_t)(to - cell->bytes);
  }
  return DFM_OK;
}

static dfm_status read_row(dfm_delimited *reader, dfm_error *error) {
  reader->n = reader->n_escaped = 0;
  DFM_TRY(skip_lines(reader, error));
  bool is_last = reader->at == reader->end;
  while (!is_last) DFM_TRY(read_cell(reader, &is_last, error));
  return reader->n_escaped ? unescape_cells(reader, error) : DFM_OK;
}

dfm_status dfm_delimited_next(dfm_delimited *reader, const dfm_cell **cells, size_t *n, dfm_error *error) {
  dfm_status status = read_row(reader, error);
  while (reader->is_cut) {
    DFM_TRY(slide(reader, error));
    status = read_row(reader, error);
  }
  DFM_TRY(status);
  *cells = reader->cells;
  *n = reader->n;
  return DFM_OK;
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
    return dfm_fail_at(error, DFM_ERROR_FORMAT, reader->path, reader->row_line, (long long)cell.column,
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
      status = dfm_fail_at(error, DFM_ERROR_FORMAT, reader->path, reader->row_line,
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
