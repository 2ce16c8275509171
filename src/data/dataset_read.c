/* Reading of rows as an encoder that is settled encodes them: text comes in, a dataset in its order goes out. */
#include <stdlib.h>

#include "data/category.h"
#include "data/dataset_file.h"
#include "data/dataset_read.h"

typedef struct reading {
  dfm_source source;
  dfm_destination to;
  dfm_dataset *dataset;
  int64_t *
      unknown; /* (F) the first row at hand with an unknown value that is an error: block DFM_BLOCK_ROWS + r; -1: none */
} reading;

/* The ids of field f's values; unknown and empty ones are counted. */
static void encode_block(const dfm_encoder *encoder, const dfm_block *block, int f, dfm_cell_counts *counts,
                         int *unknown) {
  const dfm_category_field *field = &encoder->category[f];
  const uint32_t first = dfm_encoder_first(encoder, f), none = first == 1 ? 0 : DFM_ID_NONE;
  dfm_value *values = dfm_block_value(block, f, 0);
  *unknown = -1;
  dfm_category_find_all(field, values, (size_t)block->rows);
  for (int r = 0; r < block->rows; r++) {
    dfm_value *value = &values[r];
    const bool is_unknown = value->id == DFM_ID_NONE, is_absent = value->n == DFM_VALUE_ABSENT;
    counts->missing += value->n == 0;
    counts->unknown += is_unknown;
    value->id = is_unknown ? none : value->id + first;
    if (*unknown < 0 && is_unknown && !is_absent && field->settings.unknown == DFM_UNKNOWN_ERROR) *unknown = r;
  }
}

static void encode_task(void *context, int f, int thread) {
  const reading *run = context;
  const dfm_source *source = &run->source;
  (void)thread;
  run->unknown[f] = -1;
  for (int i = 0; i < source->n_blocks; i++) {
    int unknown;
    encode_block(source->encoder, source->block[i], f, &run->dataset->counts[f], &unknown);
    if (unknown >= 0 && run->unknown[f] < 0) run->unknown[f] = (int64_t)i * DFM_BLOCK_ROWS + unknown;
  }
}

/* An unknown value that is an error: the first row's, and of its fields the first. */
static dfm_status check_unknown(reading *run, dfm_error *error) {
  int first = -1;
  for (int f = 0; f < run->source.encoder->F; f++) {
    if (run->unknown[f] >= 0 && (first < 0 || run->unknown[f] < run->unknown[first])) first = f;
  }
  if (first < 0) return DFM_OK;
  const int64_t at = run->unknown[first];
  return dfm_source_unknown(&run->source, (int)(at / DFM_BLOCK_ROWS), (int)(at % DFM_BLOCK_ROWS), first, error);
}

static dfm_status read_rows(reading *run, dfm_error *error) {
  dfm_source *source = &run->source;
  const int F = source->encoder->F;
  DFM_TRY(dfm_alloc(&run->unknown, (size_t)F, sizeof *run->unknown, error));
  for (;;) {
    DFM_TRY(dfm_source_next(source, error));
    if (source->n_blocks == 0) break;
    dfm_pool_run(source->pool, F, encode_task, run);
    DFM_TRY(check_unknown(run, error));
    DFM_TRY(dfm_destination_add(&run->to, source, error));
  }
  run->dataset->rows = run->to.rows;
  if (run->to.rows == 0) return dfm_fail_no_rows(source, error);
  dfm_dataset_count(run->dataset);
  return DFM_OK;
}

static dfm_status read_source(reading *run, dfm_encoder *encoder, const dfm_read_options *options, dfm_error *error) {
  dfm_storage *storage = NULL;
  DFM_TRY(dfm_storage_for(&run->source, options, false, &storage, error));
  dfm_status status = dfm_dataset_view(encoder, storage, 0, 0, &run->dataset, error);
  if (status == DFM_OK) status = dfm_destination_begin(&run->to, &run->source, storage, NULL, error);
  if (status == DFM_OK) status = read_rows(run, error);
  dfm_storage_release(storage);
  dfm_destination_end(&run->to);
  free(run->unknown);
  return status;
}

dfm_status dfm_dataset_read_encoded(dfm_input *input, dfm_encoder *encoder, const dfm_read_options *options,
                                    dfm_dataset **dataset, dfm_error *error) {
  const char *file = dfm_input_dataset(input);
  dfm_pool *pool;
  reading run = {.dataset = NULL};
  if (file) return dfm_dataset_file_read(file, encoder, options, dataset, error);
  DFM_TRY(dfm_pool_create(options ? options->threads : 0, &pool, error));
  dfm_status status = dfm_source_open(input, encoder, options, pool, &run.source, error);
  if (status == DFM_OK) {
    status = read_source(&run, encoder, options, error);
    dfm_source_close(&run.source);
  }
  dfm_pool_free(pool);
  if (status == DFM_OK) {
    *dataset = run.dataset;
  } else {
    dfm_dataset_free(run.dataset);
  }
  return status;
}
