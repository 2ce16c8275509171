/* Rows of text: a feed comes in; spans of whole rows go out, many at a time.
 *
 * A row is a line, except where a quoted cell contains line breaks. Lines without any byte and comments are no rows,
 * nor is, where cells are separated, a first line "sep=;", by which Excel is told how. */
#ifndef DFM_DATA_TEXT_ROWS_H
#define DFM_DATA_TEXT_ROWS_H

#include "base/feed.h"

typedef struct dfm_row_span {
  const char *bytes; /* valid until the next call */
  size_t n;          /* at most 64 MB; the line break at the end is not counted */
  long long line;    /* on which it starts, 1-based */
  bool has_quote;    /* somewhere in it; false where the syntax has none */
} dfm_row_span;

typedef struct dfm_row_syntax {
  char separator;      /* of cells that may be quoted (RFC 4180); 0: a quote is an ordinary byte */
  const char *comment; /* the beginning of lines to skip; NULL or "": none */
} dfm_row_syntax;

/* Reads a feed (borrowed) from its window's first byte on. One that `keeps` lets go of nothing, so that it can be
 * restarted and the text be read again by another: for the first rows of a text, of which 128 MB at most are kept. */
typedef struct dfm_text_rows dfm_text_rows;
dfm_status dfm_text_rows_open(dfm_feed *feed, const dfm_row_syntax *syntax, bool keeps, dfm_text_rows **rows,
                              dfm_error *error);
/* Goes back to the first row, from here on by this syntax. The rows must be ones that keep. */
dfm_status dfm_text_rows_restart(dfm_text_rows *rows, const dfm_row_syntax *syntax, dfm_error *error);
/* The next rows, up to `capacity` of them; `*n` = 0 at the end. After an error only close and restart are left. */
dfm_status dfm_text_rows_next(dfm_text_rows *rows, dfm_row_span *span, size_t capacity, size_t *n, dfm_error *error);
/* The other way to read, by threads side by side: whole lines of the text that comes next, of about `size` bytes,
 * `*n` in all. Lines without a quote are rows, but for those that dfm_text_rows_is_row says are none; of what is
 * behind a quote nothing is known. None where the text ends, or where dfm_text_rows_next is to be asked. */
dfm_status dfm_text_rows_lines(dfm_text_rows *rows, size_t size, const char **bytes, size_t *n, dfm_error *error);
/* Goes to `at`, the start of the text's line `line`, in or behind the lines that were given last: either way to read
 * goes on there. */
void dfm_text_rows_go(dfm_text_rows *rows, const char *at, long long line);
/* Line of the text that the next row starts on at the earliest. */
long long dfm_text_rows_line(const dfm_text_rows *rows);
/* Whether a line, without its end, is a row: it has a byte and is no comment. */
bool dfm_text_rows_is_row(const dfm_text_rows *rows, const char *line, size_t n);
/* The separator that the first line names, once a row was read; 0: none. */
char dfm_text_rows_named_separator(const dfm_text_rows *rows);
/* The next rows that can be seen without letting go of any; how many. The spans that dfm_text_rows_next gave stay
 * valid. */
size_t dfm_text_rows_ahead(dfm_text_rows *rows, dfm_row_span *span, size_t capacity);
/* Where the bytes that can be read end: at or behind the end of every span. */
const char *dfm_text_rows_limit(const dfm_text_rows *rows);
/* Whether the text has no byte at all. */
bool dfm_text_rows_is_empty(const dfm_text_rows *rows);
/* The path for messages ("standard input" for "-"). */
const char *dfm_text_rows_path(const dfm_text_rows *rows);
void dfm_text_rows_close(dfm_text_rows *rows); /* NULL accepted */

/* The closing quote of a cell whose text begins at `from`, or NULL; `*has_escapes` where it contains "". */
const char *dfm_closing_quote(const char *from, const char *end, bool *has_escapes);

#endif
