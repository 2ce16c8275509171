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

/* None behind the last file's last. */
static dfm_status next(dfm_source *source, dfm_error *error) {
  bool is_open = true;
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
  do {
    DFM_TRY(dfm_text_rows_next(source->rows, source->spans, source->capacity, &source->n_at_hand, error));
    if (source->n_at_hand > 0) return DFM_OK;
    DFM_TRY(next_file(source, &is_open, error));
  } while (is_open);
  return DFM_OK;
}

static void look_ahead(dfm_source *source) {
  if (source->n_ahead == 0) source->n_ahead = dfm_text_rows_ahead(source->rows, source->spans_ahead, source->capacity);
}

/* Cells that are unescaped are no longer than they were. */
static size_t text_bytes(const dfm_source *source, size_t row, int n) {
  size_t bytes = 0;
  for (const dfm_row_span *span = source->spans + row; n > 0; n--, span++)
    bytes += span->has_quote || source->format->copies_text ? span->n : 0;
  return bytes;
}

static dfm_status read_row(const dfm_source *source, size_t row, dfm_row *to, dfm_error *error) {
  to->span = &source->spans[row];
  to->limit = dfm_text_rows_limit(source->rows);
  return source->format->read(to, error);
}

/* ---- the whole */

static dfm_status open_rows(dfm_source *source, dfm_error *error) {
  source->format = source->encoder->schema->format;
  DFM_TRY(dfm_alloc(&source->spans, source->capacity, sizeof *source->spans, error));
  DFM_TRY(dfm_alloc(&source->spans_ahead, source->capacity, sizeof *source->spans_ahead, error));
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
}

const dfm_source_kind dfm_source_text = {.open = open_rows,
                                         .next = next,
                                         .look_ahead = look_ahead,
                                         .text_bytes = text_bytes,
                                         .read = read_row,
                                         .close = close_rows};
