/* Opening of text rows: an input and an encoder come in; a source that knows where each wanted column is goes out. */
#include <stdlib.h>

#include "data/source.h"

/* ---- files */

static void close_file(dfm_source *source) {
  dfm_text_rows_close(source->rows);
  dfm_input_return(source->input, source->file, source->feed);
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

dfm_status dfm_source_next_file(dfm_source *source, bool *is_open, dfm_error *error) {
  const size_t next = source->file + 1;
  *is_open = next < dfm_input_files(source->input);
  if (!*is_open) return DFM_OK;
  close_file(source);
  DFM_TRY(open_file(source, next, error));
  return source->format->open_next ? source->format->open_next(source, error) : DFM_OK;
}

dfm_status dfm_source_alone(dfm_source *source, const dfm_row_span *span, dfm_error *error) {
  DFM_TRY(dfm_grow(&source->text, &source->text_capacity, span->n, 1, error));
  dfm_row_scratch_use(source->scratch, source->text, source->text_capacity);
  return DFM_OK;
}

dfm_status dfm_source_first(dfm_source *source, dfm_error *error) {
  DFM_TRY(dfm_text_rows_next(source->rows, source->spans, 1, &source->n_spans, error));
  return source->n_spans > 0 ? dfm_source_alone(source, source->spans, error) : DFM_OK;
}

/* ---- the whole */

/* A schema may be without label, and then is good for prediction alone. */
static dfm_status check_label(const dfm_source *source, dfm_error *error) {
  if (source->has_label || source->label_optional) return DFM_OK;
  return dfm_fail(error, DFM_ERROR_MISMATCH, "the schema of %s has no label column; give one column the kind label",
                  dfm_text_rows_path(source->rows));
}

/* Blocks to fill at once: some for each thread, so that one that is done early has more to do. */
enum { BLOCKS_PER_THREAD = 4 };

static dfm_status allocate(dfm_source *source, dfm_error *error) {
  const size_t threads = (size_t)dfm_pool_threads(source->pool), blocks = BLOCKS_PER_THREAD * threads;
  source->capacity = blocks * DFM_BLOCK_ROWS;
  DFM_TRY(dfm_alloc(&source->scratch, threads, sizeof *source->scratch, error));
  DFM_TRY(dfm_alloc(&source->spans, source->capacity, sizeof *source->spans, error));
  DFM_TRY(dfm_alloc(&source->block, blocks, sizeof(dfm_block *), error));
  for (; source->n_blocks_made < (int)blocks; source->n_blocks_made++)
    DFM_TRY(dfm_block_create(source->encoder, &source->block[source->n_blocks_made], error));
  return DFM_OK;
}

static dfm_status open_source(dfm_source *source, dfm_error *error) {
  DFM_TRY(allocate(source, error));
  DFM_TRY(open_file(source, 0, error));
  DFM_TRY(source->format->open(source, error));
  return check_label(source, error);
}

dfm_status dfm_source_open(dfm_input *input, const dfm_encoder *encoder, const dfm_read_options *options,
                           dfm_pool *pool, dfm_source *source, dfm_error *error) {
  const dfm_read_options none = {0};
  if (!options) options = &none;
  dfm_source made = {.input = input,
                     .encoder = encoder,
                     .format = encoder->schema->format,
                     .pool = pool,
                     .n_bad_allowed = options->skip_bad_rows,
                     .label_optional = options->label_optional,
                     .missing_unknown = options->missing_unknown,
                     .truth_name = options->truth_column};
  const dfm_status status = open_source(&made, error);
  if (status != DFM_OK) {
    dfm_source_close(&made);
    return status;
  }
  *source = made;
  return DFM_OK;
}

static void clear_scratch(dfm_row_scratch *scratch) {
  dfm_cells_clear(&scratch->cells);
  free(scratch->seen);
  free(scratch->key.bytes);
}

void dfm_source_close(dfm_source *source) {
  close_file(source);
  free(source->header.bytes);
  free(source->header_end);
  free(source->category_at);
  free(source->number_at);
  free(source->place);
  free(source->place_slot);
  free(source->text);
  free(source->spans);
  for (int i = 0; i < source->n_blocks_made; i++) dfm_block_free(source->block[i]);
  free(source->block);
  for (int i = 0; source->scratch && i < dfm_pool_threads(source->pool); i++) clear_scratch(&source->scratch[i]);
  free(source->scratch);
  *source = (dfm_source){0};
}
