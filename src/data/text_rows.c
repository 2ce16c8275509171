/* Rows of text: a feed's window comes in; where its rows start and end goes out. Where a row turns out to be cut by the
 * window's end, the window slides on and the row is looked for anew from its start. */
#include "data/text_rows.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* No row of a click log comes near ROW_LIMIT; without it one stray quote would turn the rest of a file into a single
 * cell. */
enum { ROW_LIMIT = 64 << 20, KEEP_LIMIT = 2 * ROW_LIMIT };
/* Quotes are looked for so far ahead: the rows' next bytes, which the first caches then have, and not a window of
 * MBs of which few rows may be wanted. */
enum { QUOTE_STEP = 32 << 10 };

struct dfm_text_rows {
  dfm_feed *feed;
  const char *path;
  char *comment;
  size_t comment_n;
  char separator, named_separator;
  bool keeps;
  const char *window; /* what can be seen of the text */
  const char *end;    /* of the window */
  bool is_last;       /* the text ends where the window does */
  size_t begin;       /* rows that keep: where the first one is in its window, behind the byte order mark */
  bool is_empty;
  const char *at;    /* the next line */
  long long line;    /* its number */
  const char *quote; /* the first quote at or behind `at`, or how far there is none */
};

/* Files whose bytes cannot be rows of text, told by their first bytes. */
static dfm_status check_is_text(const dfm_text_rows *rows, dfm_error *error) {
  static const struct {
    const char *magic;
    size_t n;
    const char *says;
  } foreign[] = {
      {"\xff\xfe", 2, "is UTF-16; convert it first (iconv -f UTF-16 -t UTF-8)"},
      {"\xfe\xff", 2, "is UTF-16; convert it first (iconv -f UTF-16 -t UTF-8)"},
      {"PAR1", 4,
       "is a Parquet file, not text; write it as CSV first (pyarrow.csv.write_csv(pyarrow.parquet.read_table(FILE), "
       "\"rows.csv\")), or hand it over as an Arrow stream (docs/arrow.md)"},
      {"ARROW1", 6,
       "is an Arrow file, not text; write it as CSV first (pyarrow.csv.write_csv(pyarrow.feather.read_table(FILE), "
       "\"rows.csv\")), or hand it over as an Arrow stream (docs/arrow.md)"},
      {"PK\3\4", 4,
       "is a zip archive; unpack it first (unzip), or compress with gzip or zstd; a workbook (.xlsx) or numpy's arrays "
       "(.npz) are to be written as CSV first"},
      {"\x93NUMPY", 6, "is a numpy array, not text; write it as CSV first (numpy.savetxt)"},
      {"\x80\4\x95", 3, "is a Python pickle, not text; write it as CSV first (DataFrame.to_csv)"},
      {"\x89HDF", 4, "is an HDF5 file, not text; write it as CSV first"},
      {"SQLite format 3", 15, "is an SQLite database; write its rows as CSV first (sqlite3 -csv -header FILE QUERY)"},
      {"\xd0\xcf\x11\xe0", 4, "is an Excel workbook, not text; save it as CSV first"},
      {"<!DOCTYPE", 9, "is a web page, not rows; is it the right file?"},
      {"<html", 5, "is a web page, not rows; is it the right file?"},
      {"<?xml", 5, "is XML, not rows of text; write it as CSV first"},
      {"\xfd"
       "7zXZ",
       5, "is compressed by xz; decompress it first (xz -dk), or compress with gzip or zstd"},
      {"BZh", 3, "is compressed by bzip2; decompress it first (bzip2 -dk), or compress with gzip or zstd"},
  };
  const size_t n = (size_t)(rows->end - rows->window);
  for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
    if (n >= foreign[i].n && memcmp(rows->window, foreign[i].magic, foreign[i].n) == 0)
      return dfm_fail(error, DFM_ERROR_FORMAT, "%s %s", rows->path, foreign[i].says);
  return DFM_OK;
}

/* Points the rows at the feed's window, with the next line at its byte `at`. */
static void take_window(dfm_text_rows *rows, size_t at) {
  const dfm_window window = dfm_feed_window(rows->feed);
  rows->window = window.bytes;
  rows->end = window.bytes + window.n;
  rows->is_last = window.is_last;
  rows->at = window.bytes + at;
  rows->quote = rows->window; /* behind `at` it is looked for when it is asked for */
}

/* Lets go of the lines that were read and shows more behind the one that is next. */
static dfm_status slide(dfm_text_rows *rows, dfm_error *error) {
  const size_t used = (size_t)(rows->at - rows->window);
  if (rows->keeps && rows->end - rows->window >= KEEP_LIMIT)
    return dfm_fail(error, DFM_ERROR_FORMAT,
                    "the first 128 MB of %s do not show what its columns are; write a schema for it", rows->path);
  DFM_TRY(dfm_feed_slide(rows->feed, rows->keeps ? 0 : used, error));
  take_window(rows, rows->keeps ? used : 0);
  return DFM_OK;
}

static dfm_status set_syntax(dfm_text_rows *rows, const dfm_row_syntax *syntax, dfm_error *error) {
  char *copy;
  const char *comment = syntax->comment ? syntax->comment : "";
  DFM_TRY(dfm_copy_text(&copy, comment, error));
  free(rows->comment);
  rows->comment = copy;
  rows->comment_n = strlen(comment);
  rows->separator = syntax->separator;
  rows->line = 1;
  return DFM_OK;
}

dfm_status dfm_text_rows_restart(dfm_text_rows *rows, const dfm_row_syntax *syntax, dfm_error *error) {
  assert(rows->keeps);
  DFM_TRY(set_syntax(rows, syntax, error));
  take_window(rows, rows->begin);
  return DFM_OK;
}

static dfm_status begin(dfm_text_rows *rows, const dfm_row_syntax *syntax, dfm_error *error) {
  DFM_TRY(set_syntax(rows, syntax, error));
  const dfm_window window = dfm_feed_window(rows->feed);
  if (window.n == 0 && !window.is_last) DFM_TRY(dfm_feed_slide(rows->feed, 0, error));
  take_window(rows, 0);
  DFM_TRY(check_is_text(rows, error));
  if (rows->end - rows->at >= 3 && memcmp(rows->at, "\xef\xbb\xbf", 3) == 0) rows->begin = 3;
  take_window(rows, rows->begin);
  rows->is_empty = rows->at == rows->end && rows->is_last;
  return DFM_OK;
}

dfm_status dfm_text_rows_open(dfm_feed *feed, const dfm_row_syntax *syntax, bool keeps, dfm_text_rows **rows,
                              dfm_error *error) {
  dfm_text_rows *made;
  DFM_TRY(dfm_alloc(&made, 1, sizeof *made, error));
  made->feed = feed;
  made->path = dfm_feed_name(feed);
  made->keeps = keeps;
  const dfm_status status = begin(made, syntax, error);
  if (status != DFM_OK) {
    dfm_text_rows_close(made);
    return status;
  }
  *rows = made;
  return DFM_OK;
}

void dfm_text_rows_close(dfm_text_rows *rows) {
  if (!rows) return;
  free(rows->comment);
  free(rows);
}

const char *dfm_text_rows_limit(const dfm_text_rows *rows) {
  return rows->end;
}

char dfm_text_rows_named_separator(const dfm_text_rows *rows) {
  return rows->named_separator;
}

bool dfm_text_rows_is_empty(const dfm_text_rows *rows) {
  return rows->is_empty;
}

const char *dfm_text_rows_path(const dfm_text_rows *rows) {
  return rows->path;
}

/* ---- one row */

typedef enum found { ROW, NO_ROW, CUT, BAD } found;

/* Where the row that starts at the next line has to end at the latest. */
static const char *row_stop(const dfm_text_rows *rows) {
  return rows->end - rows->at > ROW_LIMIT ? rows->at + ROW_LIMIT : rows->end;
}

/* The end of the line that `from` is on: its LF, or the end of the text. */
static found find_line_end(const dfm_text_rows *rows, const char *from, const char **line_end, dfm_error *error) {
  const char *stop = row_stop(rows);
  const char *lf = from < stop ? memchr(from, '\n', (size_t)(stop - from)) : NULL;
  *line_end = lf ? lf : rows->end;
  if (lf) return ROW;
  if (stop != rows->end) {
    (void)dfm_fail_at(error, DFM_ERROR_FORMAT, rows->path, rows->line, 0,
                      "line is longer than 64 MB; is the file text?");
    return BAD;
  }
  return rows->is_last ? ROW : CUT;
}

const char *dfm_closing_quote(const char *from, const char *end, bool *has_escapes) {
  *has_escapes = false;
  while (from < end) {
    const char *quote = memchr(from, '"', (size_t)(end - from));
    if (!quote || quote + 1 >= end || quote[1] != '"') return quote;
    *has_escapes = true;
    from = quote + 2;
  }
  return NULL;
}

static found fail_open_quote(const dfm_text_rows *rows, const char *quote, dfm_error *error) {
  const bool is_end = row_stop(rows) == rows->end;
  const char *line_start = rows->at;
  long long line = rows->line;
  if (is_end && !rows->is_last) return CUT;
  for (const char *lf; (lf = memchr(line_start, '\n', (size_t)(quote - line_start))); line_start = lf + 1) line++;
  (void)dfm_fail_at(error, DFM_ERROR_FORMAT, rows->path, line, quote - line_start + 1,
                    "the quote that opens here is not closed %s; close it, or double it where it belongs to the text",
                    is_end ? "before the end of the file" : "within 64 MB");
  return BAD;
}

/* The end of the last line of a row that has quotes; at the start `*line_end` is the first line's. Text behind a
 * closing quote is left to who splits the row. */
static found find_quoted_end(const dfm_text_rows *rows, const char **line_end, dfm_error *error) {
  const char *at = rows->at;
  bool has_escapes;
  for (;;) {
    if (at < *line_end && *at == '"') {
      const char *closing = dfm_closing_quote(at + 1, row_stop(rows), &has_escapes);
      if (!closing) return fail_open_quote(rows, at, error);
      at = closing + 1;
      if (at > *line_end) {
        const found result = find_line_end(rows, at, line_end, error);
        if (result != ROW) return result;
      }
    }
    at = memchr(at, rows->separator, (size_t)(*line_end - at));
    if (!at) return ROW;
    at++;
  }
}

static bool has_quote_before(dfm_text_rows *rows, const char *end) {
  if (rows->separator == 0) return false;
  if (rows->quote < rows->at) rows->quote = rows->at;
  if (rows->quote >= end || *rows->quote == '"') return rows->quote < end;
  const char *stop = rows->end - rows->quote > QUOTE_STEP ? rows->quote + QUOTE_STEP : rows->end;
  if (stop < end) stop = end;
  const char *quote = memchr(rows->quote, '"', (size_t)(stop - rows->quote));
  rows->quote = quote ? quote : stop;
  return rows->quote < end;
}

/* Goes over the text up to `line_end`, over `lines` lines. */
static void pass_lines(dfm_text_rows *rows, const char *line_end, long long lines) {
  rows->at = line_end < rows->end ? line_end + 1 : rows->end;
  rows->line += lines;
}

static bool is_for_excel(const dfm_text_rows *rows, const dfm_row_span *span) {
  return span->line == 1 && rows->separator != 0 && span->n == 5 && memcmp(span->bytes, "sep=", 4) == 0;
}

static bool is_comment(const dfm_text_rows *rows, const char *line, size_t n) {
  return rows->comment_n && n >= rows->comment_n && memcmp(line, rows->comment, rows->comment_n) == 0;
}

bool dfm_text_rows_is_row(const dfm_text_rows *rows, const char *line, size_t n) {
  return n > 0 && !is_comment(rows, line, n);
}

static found read_row(dfm_text_rows *rows, dfm_row_span *span, dfm_error *error) {
  const char *from = rows->at, *line_end;
  found result = find_line_end(rows, from, &line_end, error);
  if (result != ROW) return result;
  const bool is_none = is_comment(rows, from, (size_t)(line_end - from));
  long long lines = 1;
  span->has_quote = !is_none && has_quote_before(rows, line_end);
  if (span->has_quote) {
    result = find_quoted_end(rows, &line_end, error);
    if (result != ROW) return result;
    for (const char *lf = from; (lf = memchr(lf, '\n', (size_t)(line_end - lf))); lf++) lines++;
  }
  span->bytes = from;
  span->n = (size_t)(line_end - from) - (line_end > from && line_end[-1] == '\r');
  span->line = rows->line;
  pass_lines(rows, line_end, lines);
  if (is_for_excel(rows, span)) {
    rows->named_separator = span->bytes[4];
    return NO_ROW;
  }
  return span->n == 0 || is_none ? NO_ROW : ROW;
}

/* Rows of the window, up to what is wrong, or cut by its end: `*result`. */
static size_t take_rows(dfm_text_rows *rows, dfm_row_span *span, size_t capacity, found *result, dfm_error *error) {
  size_t n = 0;
  *result = NO_ROW;
  while (n < capacity && rows->at < rows->end && (*result == ROW || *result == NO_ROW)) {
    *result = read_row(rows, &span[n], error);
    n += *result == ROW;
  }
  return n;
}

size_t dfm_text_rows_ahead(dfm_text_rows *rows, dfm_row_span *span, size_t capacity) {
  found result;
  return take_rows(rows, span, capacity, &result, NULL);
}

dfm_status dfm_text_rows_next(dfm_text_rows *rows, dfm_row_span *span, size_t capacity, size_t *n, dfm_error *error) {
  for (;;) {
    found result;
    *n = take_rows(rows, span, capacity, &result, error);
    if (*n > 0 || (rows->at == rows->end && rows->is_last)) return DFM_OK; /* an error is met again by the next call */
    if (result == BAD) return DFM_ERROR_FORMAT;
    DFM_TRY(slide(rows, error));
  }
}

/* ---- lines */

/* The end of the lines that start at the next one: behind the last that ends within `size` bytes, or else behind the
 * first. NULL: there is none in the window, or it is too long for a row. */
static const char *lines_end(const dfm_text_rows *rows, size_t size) {
  const size_t there = (size_t)(rows->end - rows->at), most = there < ROW_LIMIT ? there : ROW_LIMIT;
  if (there <= size && rows->is_last) return rows->end;
  const char *lf = memrchr(rows->at, '\n', size < most ? size : most);
  if (!lf && size < most) lf = memchr(rows->at + size, '\n', most - size);
  if (lf) return lf + 1;
  return rows->is_last && there == most ? rows->end : NULL;
}

dfm_status dfm_text_rows_lines(dfm_text_rows *rows, size_t size, const char **bytes, size_t *n, dfm_error *error) {
  const char *end;
  *n = 0;
  if (rows->line == 1 && rows->separator != 0) return DFM_OK; /* it may be for Excel */
  while (!(end = lines_end(rows, size)) && !rows->is_last && rows->end - rows->at < ROW_LIMIT)
    DFM_TRY(slide(rows, error));
  if (!end) return DFM_OK;
  *bytes = rows->at;
  *n = (size_t)(end - rows->at);
  return DFM_OK;
}

void dfm_text_rows_go(dfm_text_rows *rows, const char *at, long long line) {
  rows->at = at;
  rows->line = line;
}

long long dfm_text_rows_line(const dfm_text_rows *rows) {
  return rows->line;
}
