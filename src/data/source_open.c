/* Opening of sources: an input and an encoder come in; a source that knows where each wanted column is goes out. */
#include <stdlib.h>

#include "data/source.h"

const char *dfm_source_name(const dfm_source *source) {
  return source->rows ? dfm_text_rows_path(source->rows) : dfm_input_name(source->input);
}

/* A schema may be without label, and then is good for prediction alone. */
static dfm_status check_label(const dfm_source *source, dfm_error *error) {
  if (source->has_label || source->label_optional) return DFM_OK;
  return dfm_fail(error, DFM_ERROR_MISMATCH, "the schema of %s has no label column; give one column the kind label",
                  dfm_source_name(source));
}

/* Blocks to fill at once: the more, the longer a field's vocabulary stays in the caches while their values are looked
 * up; one for each thread at least. */
enum { MOST_BLOCKS = 16, BLOCKS_BYTES = 16 << 20 };

static size_t count_blocks(const dfm_source *source, size_t threads) {
  const size_t bytes = (size_t)(source->encoder->F + 1) * DFM_BLOCK_STRIDE * sizeof(dfm_value);
  const size_t most = MOST_BLOCKS > threads ? MOST_BLOCKS : threads, fit = BLOCKS_BYTES / bytes;
  return fit < threads ? threads : fit < most ? fit : most;
}

static dfm_status find_plain(dfm_source *source, dfm_error *error) {
  const dfm_encoder *encoder = source->encoder;
  const bool cleans = encoder->schema->strip_spaces || encoder->schema->n_missing_words > 0;
  source->has_plain_rows = !cleans;
  DFM_TRY(dfm_alloc(&source->is_plain, (size_t)encoder->F, sizeof *source->is_plain, error));
  for (int f = 0; f < encoder->F; f++) {
    const dfm_category_field *field = &encoder->category[f];
    source->is_plain[f] = !cleans && !field->is_list && !dfm_category_is_number(&field->settings);
    source->has_plain_rows &= source->is_plain[f];
  }
  return DFM_OK;
}

static dfm_status allocate(dfm_source *source, dfm_error *error) {
  const size_t threads = (size_t)dfm_pool_threads(source->pool), blocks = count_blocks(source, threads);
  source->capacity = blocks * DFM_BLOCK_ROWS;
  DFM_TRY(find_plain(source, error));
  DFM_TRY(dfm_alloc(&source->scratch, threads, sizeof *source->scratch, error));
  DFM_TRY(dfm_alloc(&source->block, blocks, sizeof(dfm_block *), error));
  for (; source->n_blocks_made < (int)blocks; source->n_blocks_made++)
    DFM_TRY(dfm_block_create(source->encoder, &source->block[source->n_blocks_made], error));
  return DFM_OK;
}

static dfm_status open_source(dfm_source *source, dfm_error *error) {
  DFM_TRY(allocate(source, error));
  DFM_TRY(source->kind->open(source, error));
  return check_label(source, error);
}

static const dfm_source_kind *kind_of(const dfm_input *input) {
  return dfm_input_arrow(input) ? &dfm_source_arrow : dfm_input_dataset(input) ? &dfm_source_file : &dfm_source_text;
}

dfm_status dfm_source_open(dfm_input *input, const dfm_encoder *encoder, const dfm_read_options *options,
                           dfm_pool *pool, dfm_source *source, dfm_error *error) {
  const dfm_read_options none = {0};
  if (!options) options = &none;
  dfm_source made = {.kind = kind_of(input),
                     .input = input,
                     .encoder = encoder,
                     .pool = pool,
                     .n_bad_allowed = options->skip_bad_rows,
                     .label_optional = options->label_optional,
                     .missing_unknown = options->missing_unknown,
                     .missing_hint = options->missing_hint,
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
  free(scratch->start);
}

void dfm_source_close(dfm_source *source) {
  source->kind->close(source);
  free(source->category_at);
  free(source->number_at);
  free(source->is_plain);
  free(source->text);
  for (int i = 0; i < source->n_blocks_made; i++) dfm_block_free(source->block[i]);
  free(source->block);
  for (int i = 0; source->scratch && i < dfm_pool_threads(source->pool); i++) clear_scratch(&source->scratch[i]);
  free(source->scratch);
  *source = (dfm_source){0};
}
