/* Delimited text: the bytes of a mapped file come in, one row of cells at a time goes out.
 * Cells point into the mapping; only quoted cells that contain "" are copied, unescaped, to a scratch buffer. */
#include "data/delimited.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/utf8.h"

/* No row of a click log comes near ROW_LIMIT; without it one stray quote would turn the rest of a file into a single
 * cell. */
enum { ROW_LIMIT = 64 << 20, RELEASE_STEP = 16 << 20 };

struct dfm_delimited {
  dfm_mapping mapping;
  char *path;
  char *comment;
  size_t comment_n;
  char separator;
  const char *begin, *end; /* text after the byte order mark */
  const char *at;          /* next unread byte */
  const char *row_start;   /* first byte of the row being read */
  const char *line_start;  /* first byte of the physical line that `at` is on */
  const char *line_end;    /* its LF, or the end of the file */
  const char *content_end; /* the same without the CR of a CRLF */
  const char *released;    /* pages before it were given back */
  long long line, row_line;
  dfm_cell *cells;
  size_t n, capacity;
  size_t *escaped; /* cells of this row that contain "" */
  size_t n_escaped, escaped_capacity;
  char *scratch;
  size_t scratch_capacity;
};

static bool starts_with(const dfm_mapping *mapping, const char *bytes, size_t n) {
  return mapping->size_bytes >= n && memcmp(mapping->bytes, bytes, n) == 0;
}

/* Files whose bytes cannot be rows of text, told by their first bytes. */
static dfm_status check_is_text(const dfm_mapping *mapping, const char *path, dfm_error *error) {
  if (starts_with(mapping, "\xff\xfe", 2) || starts_with(mapping, "\xfe\xff", 2))
    return dfm_fail(error, DFM_ERROR_FORMAT, "%s is UTF-16; convert it first (iconv -f UTF-16 -t UTF-8)", path);
  if (starts_with(mapping, "\x1f\x8b", 2))
    return dfm_fail(error, DFM_ERROR_FORMAT, "%s is compressed by gzip; decompress it first (gzip -dk)", path);
  if (starts_with(mapping, "\x28\xb5\x2f\xfd", 4))
    return dfm_fail(error, DFM_ERROR_FORMAT, "%s is compressed by zstd; decompress it first (zstd -d)", path);
  if (starts_with(mapping, "PAR1", 4))
    return dfm_fail(error, DFM_ERROR_FORMAT, "%s is a Parquet file, not delimited text; write it as CSV first", path);
  return DFM_OK;
}

dfm_status dfm_delimited_restart(dfm_delimited *reader, char separator, const char *comment, dfm_error *error) {
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
  reader->at = reader->row_start = reader->line_start = reader->released = reader->begin;
  reader->line = 1;
  reader->row_line = 0;
  return DFM_OK;
}

dfm_status dfm_delimited_open(const char *path, char separator, const char *comment, dfm_delimited **reader,
                              dfm_error *error) {
  const bool is_stdin = strcmp(path, "-") == 0;
  const char *shown = is_stdin ? "standard input" : path;
  dfm_delimited *made;
  DFM_TRY(dfm_alloc(&made, 1, sizeof *made, error));
  dfm_status status;
  DFM_TRY_GOTO(status, dfm_copy_text(&made->path, shown, error), failed);
  DFM_TRY_GOTO(status, dfm_mapping_open(is_stdin ? "/dev/stdin" : path, &made->mapping, error), failed);
  DFM_TRY_GOTO(status, check_is_text(&made->mapping, shown, error), failed);
  made->begin = made->mapping.size_bytes ? (const char *)made->mapping.bytes : "";
  made->end = made->begin + made->mapping.size_bytes;
  if (starts_with(&made->mapping, "\xef\xbb\xbf", 3)) made->begin += 3;
  DFM_TRY_GOTO(status, dfm_delimited_restart(made, separator, comment, error), failed);
  *reader = made;
  return DFM_OK;
failed:
  dfm_delimited_close(made);
  return status;
}

void dfm_delimited_close(dfm_delimited *reader) {
  if (!reader) return;
  if (reader->mapping.bytes) dfm_mapping_close(&reader->mapping);
  free(reader->path);
  free(reader->comment);
  free(reader->cells);
  free(reader->escaped);
  free(reader->scratch);
  free(reader);
}

long long dfm_delimited_line(const dfm_delimited *reader) {
  return reader->row_line;
}

size_t dfm_delimited_size(const dfm_delimited *reader) {
  return reader->mapping.size_bytes;
}

const char *dfm_delimited_path(const dfm_delimited *reader) {
  return reader->path;
}

/* Where the row being read has to end at the latest. */
static const char *row_stop(const dfm_delimited *reader) {
  return reader->end - reader->row_start > ROW_LIMIT ? reader->row_start + ROW_LIMIT : reader->end;
}

/* Sets line_end and content_end for the line that `from` is on. */
static dfm_status find_line_end(dfm_delimited *reader, const char *from, dfm_error *error) {
  const char *stop = row_stop(reader);
  const char *found = from < stop ? memchr(from, '\n', (size_t)(stop - from)) : NULL;
  if (!found && stop != reader->end)
    return dfm_fail_at(error, DFM_ERROR_FORMAT, reader->path, reader->line, 0,
                       "line is longer than 64 MB; is the file text?");
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
  while (reader->at < reader->end) {
    reader->row_start = reader->at;
    DFM_TRY(find_line_end(reader, reader->at, error));
    const size_t n = (size_t)(reader->content_end - reader->at);
    const bool is_comment =
        reader->comment_n && n >= reader->comment_n && memcmp(reader->at, reader->comment, reader->comment_n) == 0;
    if (n > 0 && !is_comment) break;
    finish_line(reader);
  }
  return DFM_OK;
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

/* Gives pages that were read back to the system, so that resident memory does not grow with the file. */
static void release_pages(dfm_delimited *reader) {
  if (reader->mapping.is_heap || reader->at - reader->released < RELEASE_STEP) return;
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  const char *base = (const char *)reader->mapping.bytes;
  const size_t from = (size_t)(reader->released - base) / page * page, to = (size_t)(reader->at - base) / page * page;
  /* Advice only: a refusal changes nothing but the memory use. */
  (void)!madvise((void *)(uintptr_t)(base + from), to - from, MADV_DONTNEED);
  reader->released = reader->at;
}

dfm_status dfm_delimited_next(dfm_delimited *reader, const dfm_cell **cells, size_t *n, dfm_error *error) {
  release_pages(reader);
  reader->n = reader->n_escaped = 0;
  DFM_TRY(skip_lines(reader, error));
  reader->row_line = reader->line;
  bool is_last = reader->at == reader->end;
  while (!is_last) DFM_TRY(read_cell(reader, &is_last, error));
  if (reader->n_escaped) DFM_TRY(unescape_cells(reader, error));
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
