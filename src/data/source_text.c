/* Sources of text: rows are spans, taken from the files one after the other, and their format says what is in them. */
#include <stdlib.h>

#include "data/source.h"

/* ---- files */

static void close_file(dfm_source *source) {
  dfm_text_rows_close(source->rows);
  if (source->feed) dfm_input_return(source->input, source->file, source->feed);
  source->rows = NULL;
  source->feed = NULL;
}

dfm_status dfm_source_fail_empty(const dfm_source *source, dfm_error *error) {
  const dfm_schema *schema = source->encoder->schema;
  return dfm_fail(error, DFM_ERROR_FORMAT, "%s is empty; it needs %s", dfm_text_rows_path(source->rows),
                  schema->format->has_layout && schema->has_header ? "a header and rows" : "rows");
}

static dfm_status open_file(dfm_source *source, size_t file, dfm_error *error) {
  DFM_TRY(dfm_input_take(source->input, file, &source->feed, error));
  source->file = file;
  const dfm_row_syntax syntax = dfm_format_syntax(source->encoder->schema);
  source->has_quotes = syntax.separator != 0;
  DFM_TRY(dfm_text_rows_open(source->feed, &syntax, false, &source->rows, error));
  return dfm_text_rows_is_empty(source->rows) ? dfm_source_fail_empty(source, error) : DFM_OK;
}

static dfm_status next_file(dfm_source *source, bool *is_open, dfm_error *error) {
  const size_t next = source->file + 1;
  *is_open = next < dfm_input_files(source->input);
  if (!*is_open) return DFM_OK;
  close_file(source);
  DFM_TRY(open_file(source, next, error));
  return source->format->open_next ? source->format->open_next(source, error) : DFM_OK;
}

dfm_status dfm_source_first(dfm_source *source, dfm_error *error) {
  DFM_TRY(dfm_text_rows_next(source->rows, source->spans, 1, &source->n_at_hand, error));
  return source->n_at_hand > 0 ? dfm_source_alone(source, 0, error) : DFM_OK;
}

/* ---- rows */

/* Text that is to fill a block: most of what it has room for, so that pieces seldom have lines that are left. */
enum { PIECE_ROWS = DFM_BLOCK_ROWS / 8 * 7, FIRST_PIECE = 16 << 10, LEAST_PIECE = 256, MOST_PIECE = 1 << 20 };
/* Times that rows are told apart beforehand because of quotes, at most. */
enum { MOST_CARE = 64 };

static dfm_status take_lines(dfm_source *source, dfm_error *error) {
  const size_t most = (size_t)source->n_blocks_made;
  size_t n;
  DFM_TRY(dfm_text_rows_lines(source->rows, most * source->piece_bytes, &source->lines, &n, error));
  if (n == 0) return DFM_OK;
  const size_t pieces = (n + source->piece_bytes - 1) / source->piece_bytes;
  source->lines_end = source->lines + n;
  source->n_pieces = pieces < most ? pieces : most; /* of one line that is longer */
  return DFM_OK;
}

/* None behind the last file's last. */
static dfm_status next(dfm_source *source, dfm_error *error) {
  bool is_open = true;
  source->n_pieces = 0;
  if (source->care > 0) source->care--;
  if (source->has_first_row) {
    source->has_first_row = false;
    return DFM_OK;
  }
  if (source->n_ahead > 0) {
    dfm_row_span *spans = source->spans;
    source->spans = source->spans_ahead;
    source->spans_ahead = spans;
    source->n_at_hand = source->n_ahead;
    source->n_ahead = 0;
    return DFM_OK;
  }
  source->n_at_hand = 0;
  do {
    if (source->care == 0) DFM_TRY(take_lines(source, error));
    if (source->n_pieces > 0) return DFM_OK;
    DFM_TRY(dfm_text_rows_next(source->rows, source->spans, source->capacity, &source->n_at_hand, error));
    if (source->n_at_hand > 0) return DFM_OK;
    DFM_TRY(next_file(source, &is_open, error));
  } while (is_open);
  return DFM_OK;
}

static void look_ahead(dfm_source *source) {
  if (source->n_ahead == 0 && source->care > 0)
    source->n_ahead = dfm_text_rows_ahead(source->rows, source->spans_ahead, source->capacity);
}

/* ---- pieces: their lines are rows, unless there is a quote */

/* A format that looks at all of a line anyway finds its end, cells and quotes at once. */
static bool finds_lines(const dfm_source *source) {
  return source->has_plain_rows && source->format->find_line;
}

/* The end of the line that starts at `at`, before `end`; NULL: it has a quote. */
static const char *find_line(const dfm_source *source, const char *at, const char *end, dfm_row *row) {
  if (finds_lines(source)) return source->format->find_line(row, at, end);
  const char *lf = memchr(at, '\n', (size_t)(end - at));
  return lf ? lf : end;
}

/* The line [at, to) as a row; false: it is none. */
static bool is_row(const dfm_source *source, const char *at, const char *to, long long line, dfm_row_span *span) {
  *span = (dfm_row_span){.bytes = at, .n = (size_t)(to - at) - (to > at && to[-1] == '\r'), .line = line};
  return dfm_text_rows_is_row(source->rows, at, span->n);
}

/* Where piece `i` begins: with the first line that does so from its share of the bytes on. */
static const char *piece_start(const dfm_source *source, size_t i) {
  if (i == 0) return source->lines;
  const size_t at = i * source->piece_bytes - 1, there = (size_t)(source->lines_end - source->lines);
  const char *lf = i < source->n_pieces && at < there ? memchr(source->lines + at, '\n', there - at) : NULL;
  return lf ? lf + 1 : source->lines_end;
}

static dfm_status fill_piece(dfm_source *source, int task, dfm_row_scratch *scratch, dfm_block *block) {
  dfm_source_piece *piece = &source->piece[task];
  const char *at = piece_start(source, (size_t)task), *end = piece_start(source, (size_t)task + 1), *to;
  dfm_row_span span;
  dfm_row row = {.source = source,
                 .encoder = source->encoder,
                 .span = &span,
                 .limit = dfm_text_rows_limit(source->rows),
                 .scratch = scratch,
                 .block = block,
                 .watched = -1};
  *piece = (dfm_source_piece){.bytes = at, .n = (size_t)(end - at)};
  piece->has_quote = source->has_quotes && !finds_lines(source) && memchr(at, '"', piece->n);
  if (source->format->copies_text) DFM_TRY(dfm_grow(&block->text, &block->text_capacity, piece->n, 1, &block->error));
  dfm_row_scratch_use(scratch, block->text, block->text_capacity);
  for (int i = 0; !piece->has_quote && at < end && i < DFM_BLOCK_ROWS; at = to < end ? to + 1 : end, piece->lines++) {
    to = find_line(source, at, end, &row);
    piece->has_quote = !to;
    if (!to) break;
    if (is_row(source, at, to, 0, &span)) DFM_TRY(dfm_source_fill_row(source, 0, i++, &row));
  }
  piece->used = (size_t)(at - piece->bytes);
  return DFM_OK;
}

/* What comes behind a quote, or behind lines that found no room, is not known to begin with a row. */
static void settle_pieces(dfm_source *source) {
  long long line = dfm_text_rows_line(source->rows), first = line;
  const char *at = source->piece[0].bytes, *start = at;
  const int n = source->n_blocks;
  for (int i = 0; i < n && source->n_blocks == n; i++) {
    dfm_source_piece *piece = &source->piece[i];
    piece->line = line;
    line += piece->lines;
    at = piece->bytes + piece->used;
    if (piece->used < piece->n) source->n_blocks = i + 1;
  }
  if (source->piece[source->n_blocks - 1].has_quote) {
    source->next_care = source->next_care < MOST_CARE / 2 ? 2 * source->next_care + 1 : MOST_CARE;
    source->care = source->next_care + 1;
  } else {
    source->next_care = 0;
  }
  dfm_text_rows_go(source->rows, at, line);
  if (line == first) return;
  const size_t bytes = (size_t)(at - start) / (size_t)(line - first) * PIECE_ROWS;
  source->piece_bytes = bytes < LEAST_PIECE ? LEAST_PIECE : bytes > MOST_PIECE ? MOST_PIECE : bytes;
}

/* Row `i` of a piece once more. */
static void find_row(const dfm_source *source, const dfm_source_piece *piece, int i, dfm_row_span *span) {
  const char *at = piece->bytes, *end = at + piece->n, *to;
  for (long long line = piece->line; at < end; at = to < end ? to + 1 : end, line++) {
    const char *lf = memchr(at, '\n', (size_t)(end - at));
    to = lf ? lf : end;
    if (is_row(source, at, to, line, span) && i-- == 0) return;
  }
}

/* ---- any rows */

/* Cells that are unescaped are no longer than they were. */
static size_t text_bytes(const dfm_source *source, size_t row, int n) {
  size_t bytes = 0;
  if (source->n_pieces > 0) return source->format->copies_text ? source->piece[row / DFM_BLOCK_ROWS].n : 0;
  for (const dfm_row_span *span = source->spans + row; n > 0; n--, span++)
    bytes += span->has_quote || source->format->copies_text ? span->n : 0;
  return bytes;
}

static dfm_status read_row(const dfm_source *source, size_t row, dfm_row *to, dfm_error *error) {
  if (source->n_pieces == 0) to->span = &source->spans[row];
  if (!to->span) {
    find_row(source, &source->piece[row / DFM_BLOCK_ROWS], (int)(row % DFM_BLOCK_ROWS), source->spans);
    to->span = source->spans;
  }
  to->limit = dfm_text_rows_limit(source->rows);
  return source->format->read(to, error);
}

/* ---- the whole */

static dfm_status open_rows(dfm_source *source, dfm_error *error) {
  source->format = source->encoder->schema->format;
  DFM_TRY(dfm_alloc(&source->spans, source->capacity, sizeof *source->spans, error));
  DFM_TRY(dfm_alloc(&source->spans_ahead, source->capacity, sizeof *source->spans_ahead, error));
  DFM_TRY(dfm_alloc(&source->piece, (size_t)source->n_blocks_made, sizeof *source->piece, error));
  source->piece_bytes = FIRST_PIECE;
  DFM_TRY(open_file(source, 0, error));
  return source->format->open(source, error);
}

static void close_rows(dfm_source *source) {
  close_file(source);
  free(source->header.bytes);
  free(source->header_end);
  free(source->place);
  free(source->place_slot);
  free(source->spans);
  free(source->spans_ahead);
  free(source->piece);
}

const dfm_source_kind dfm_source_text = {.open = open_rows,
                                         .next = next,
                                         .fill = fill_piece,
                                         .settle = settle_pieces,
                                         .look_ahead = look_ahead,
                                         .text_bytes = text_bytes,
                                         .read = read_row,
                                         .close = close_rows};
