/* Delimited text: rows come in; their cells go out (RFC 4180 quotes, any separator, LF or CRLF).
 *
 * A quote has a meaning only as the first byte of a cell; elsewhere it is an ordinary byte. Bytes are not interpreted:
 * zero bytes and text that is not UTF-8 pass through. */
#ifndef DFM_DATA_DELIMITED_H
#define DFM_DATA_DELIMITED_H

#include "data/schema.h"
#include "data/text_rows.h"

typedef struct dfm_cell {
  const char *bytes; /* valid until the next row is read; quotes removed, "" unescaped */
  size_t n;
  size_t column; /* 1-based byte of its start within its line, for messages */
} dfm_cell;

/* The cells of a row. {0} at the start; dfm_cells_clear frees `cell`, `text` stays the caller's. */
typedef struct dfm_cells {
  dfm_cell *cell;
  size_t n, capacity;
  char *text; /* where unescaped cells are put, one behind the other: room for the row's bytes where it has a quote */
} dfm_cells;

/* Splits a row of text that can be read up to `limit`; `path` is for messages. `cells->text` moves on. */
dfm_status dfm_delimited_split(const dfm_row_span *span, char separator, const char *path, const char *limit,
                               dfm_cells *cells, dfm_error *error);
void dfm_cells_clear(dfm_cells *cells);
/* Where the cells of a row without a quote begin, counted from its first byte: cell i is [start[i], start[i + 1] -
 * 1). `start` has room for DFM_MATCH_BYTES more than `most` + 1. The number of cells; more than `most` are not told
 * apart. */
size_t dfm_delimited_starts(const dfm_row_span *span, char separator, const char *limit, size_t most, uint32_t *start);

/* The same where nothing is known of the line but that it ends before `end`: returns where, and `*n` cells; NULL: it
 * has a quote. A carriage return at its end is not the last cell's. */
const char *dfm_delimited_find_line(const char *line, const char *end, char separator, const char *limit, size_t most,
                                    uint32_t *start, size_t *n);

/* ---- one row after the other: for headers and first looks */

/* Reads a feed (borrowed) from its window's first byte on. `comment` is the beginning of lines to skip; NULL or "":
 * none. A reader that `keeps` lets go of nothing, so that it can be restarted and the text be read again by another:
 * for the first rows of a text, of which 128 MB at most are kept. */
typedef struct dfm_delimited dfm_delimited;
dfm_status dfm_delimited_open(dfm_feed *feed, char separator, const char *comment, bool keeps, dfm_delimited **reader,
                              dfm_error *error);
/* Goes back to the first row, from here on with this separator and comment. The reader must be one that keeps. */
dfm_status dfm_delimited_restart(dfm_delimited *reader, char separator, const char *comment, dfm_error *error);
/* The next row: `*n` cells at `*cells`; `*n` = 0 at the end. Lines without any byte are skipped. After an error only
 * close and restart are left. */
dfm_status dfm_delimited_next(dfm_delimited *reader, const dfm_cell **cells, size_t *n, dfm_error *error);
/* Line on which the row last read starts, 1-based. */
long long dfm_delimited_line(const dfm_delimited *reader);
/* Bytes of that row: at least those of its cells. */
size_t dfm_delimited_row_bytes(const dfm_delimited *reader);
/* As dfm_text_rows_named_separator. */
char dfm_delimited_named_separator(const dfm_delimited *reader);
/* Whether the text has no byte at all. */
bool dfm_delimited_is_empty(const dfm_delimited *reader);
/* The path for messages ("standard input" for "-"). */
const char *dfm_delimited_path(const dfm_delimited *reader);
void dfm_delimited_close(dfm_delimited *reader); /* NULL accepted */

/* The cell without the spaces around it. */
dfm_cell dfm_cell_strip(dfm_cell cell);
/* The same where the schema strips them; and a missing word becomes the empty cell. */
dfm_cell dfm_cell_clean_as(const dfm_schema *schema, dfm_cell cell);
static inline dfm_cell dfm_cell_clean(const dfm_schema *schema, dfm_cell cell) {
  return schema->strip_spaces || schema->n_missing_words > 0 ? dfm_cell_clean_as(schema, cell) : cell;
}

/* Column names from the header row last read (`cells`, `n`): an empty name becomes c1, c2, ... by its position. A name
 * that appears twice, is not UTF-8 or has a zero byte is an error. Give `*names` back with dfm_names_free. */
dfm_status dfm_delimited_names(const dfm_delimited *reader, const dfm_cell *cells, size_t n, bool strip_spaces,
                               char ***names, dfm_error *error);
void dfm_names_free(char **names, size_t n);

#endif
