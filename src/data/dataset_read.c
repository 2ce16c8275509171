/* Reading of rows as an encoder that is settled encodes them: text comes in; a dataset in its order goes out, or one
 * after the other. */
#include <stdlib.h>

#include "data/category.h"
#include "data/dataset_file.h"
#include "data/dataset_read.h"

typedef struct reading {
  dfm_encoder *encoder;            /* borrowed */
  const dfm_read_options *options; /* borrowed; may be NULL */
  dfm_pool *pool;
  dfm_source source;
  bool is_open; /* the source is */
  int64_t rows; /* read so far */
  dfm_destination to;
  dfm_dataset *dataset;
  int64_t *
      unknown; /* (F) the first row at hand with an unknown value that is an error: block DFM_BLOCK_ROWS + r; -1: none */
} reading;

typedef struct field_encoding {
  uint32_t first, none;
  bool is_error; /* unknown values are */
  dfm_cell_counts *counts;
} field_encoding;

/* The index that was found for a value becomes an id; true: it is unknown, and that an error. */
static inline bool settle_value(const field_encoding *field, dfm_value *value) {
  const bool is_unknown = value->id == DFM_ID_NONE;
  value->id = is_unknown ? field->none : value->id + field->first;
  field->counts->unknown += is_unknown;
  return is_unknown && field->is_error && value->n != DFM_VALUE_ABSENT;
}

/* Ids of a block's cells; the first row with an unknown value that is an error, or -1. */
static int encode_cells(const dfm_encoder *encoder, dfm_block *block, int f, const field_encoding *field) {
  dfm_value *values = dfm_block_value(block, f, 0);
  int unknown = -1;
  dfm_category_find_all(encoder, f, values, (size_t)block->rows);
  for (int r = 0; r < block->rows; r++) {
    field->counts->missing += values[r].n == 0;
    if (settle_value(field, &values[r]) && unknown < 0) unknown = r;
  }
  dfm_block_take_ids(block, f);
  return unknown;
}

static int encode_lists(const dfm_encoder *encoder, dfm_block *block, int f, const field_encoding *field) {
  const dfm_block_list *list = &block->list[f];
  int unknown = -1;
  dfm_category_find_all(encoder, f, list->item, list->n);
  for (int r = 0; r < block->rows; r++) {
    size_t n;
    const size_t first = dfm_block_items(block, f, r, &n);
    field->counts->missing += n == 0;
    for (size_t i = 0; i < n; i++)
      if (settle_value(field, &list->item[first + i]) && unknown < 0) unknown = r;
  }
  return unknown;
}

static void encode_task(void *context, int f, int thread) {
  const reading *run = context;
  const dfm_source *source = &run->source;
  (void)thread;
  const dfm_encoder *encoder = source->encoder;
  const uint32_t first = dfm_encoder_first(encoder, f);
  const field_encoding field = {.first = first,
                                .none = first == 1 ? 0 : DFM_ID_NONE,
                                .is_error = encoder->category[f].settings.unknown == DFM_UNKNOWN_ERROR,
                                .counts = &run->dataset->counts[f]};
  run->unknown[f] = -1;
  for (int i = 0; i < source->n_blocks; i++) {
    const int unknown =
        (encoder->category[f].is_list ? encode_lists : encode_cells)(encoder, source->block[i], f, &field);
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

/* Up to the end, or as many as come at once. */
static dfm_status read_rows(reading *run, bool is_whole, dfm_error *error) {
  dfm_source *source = &run->source;
  do {
    DFM_TRY(dfm_source_next(source, error));
    if (source->n_blocks == 0) break;
    dfm_pool_run(source->pool, source->encoder->F, encode_task, run);
    DFM_TRY(check_unknown(run, error));
    DFM_TRY(dfm_destination_add(&run->to, source, error));
  } while (is_whole);
  DFM_TRY(dfm_destination_finish(&run->to, source, error));
  run->dataset->bad = source->bad;
  run->dataset->rows = run->to.rows;
  run->dataset->before = run->rows;
  run->rows += run->to.rows;
  if (run->rows == 0) return dfm_fail_no_rows(source, error);
  dfm_dataset_count(run->dataset);
  return DFM_OK;
}

/* A dataset of its own, which becomes the caller's. */
static dfm_status read_dataset(reading *run, bool is_whole, dfm_dataset **dataset, dfm_error *error) {
  dfm_storage *storage = NULL;
  DFM_TRY(dfm_storage_for(&run->source, run->options, false, &storage, error));
  dfm_status status = dfm_dataset_view(run->encoder, storage, 0, 0, &run->dataset, error);
  if (status == DFM_OK) status = dfm_destination_begin(&run->to, &run->source, storage, NULL, error);
  if (status == DFM_OK) status = read_rows(run, is_whole, error);
  dfm_storage_release(storage);
  dfm_destination_end(&run->to);
  if (status == DFM_OK) {
    *dataset = run->dataset;
  } else {
    dfm_dataset_free(run->dataset);
  }
  run->dataset = NULL;
  return status;
}

static void close_reading(reading *run) {
  if (run->is_open) dfm_source_close(&run->source);
  dfm_pool_free(run->pool);
  free(run->unknown);
}

static dfm_status open_reading(dfm_input *input, dfm_encoder *encoder, const dfm_read_options *options, reading *run,
                               dfm_error *error) {
  run->encoder = encoder;
  run->options = options;
  DFM_TRY(dfm_alloc(&run->unknown, (size_t)encoder->F, sizeof *run->unknown, error));
  DFM_TRY(dfm_pool_create_exact(options ? options->threads : 0, &run->pool, error));
  DFM_TRY(dfm_source_open(input, encoder, options, run->pool, &run->source, error));
  run->is_open = true;
  return DFM_OK;
}

dfm_status dfm_dataset_read_encoded(dfm_input *input, dfm_encoder *encoder, const dfm_read_options *options,
                                    dfm_dataset **dataset, dfm_error *error) {
  const char *file = dfm_input_dataset(input);
  reading run = {.dataset = NULL};
  *dataset = NULL;
  if (file) DFM_TRY(dfm_dataset_file_read(file, encoder, options, dataset, error));
  if (*dataset) return DFM_OK;
  dfm_status status = open_reading(input, encoder, options, &run, error);
  if (status == DFM_OK) status = read_dataset(&run, true, dataset, error);
  close_reading(&run);
  return status;
}

/* ---- one after the other */

struct dfm_reader {
  dfm_read_options options;
  reading run;             /* of a source */
  dfm_dataset *file, *end; /* a dataset file's rows as they are, until they are given out, and then none; NULL: read */
};

static dfm_status open_reader(dfm_input *input, dfm_encoder *encoder, dfm_reader *reader, dfm_error *error) {
  const char *file = dfm_input_dataset(input);
  reader->run.encoder = dfm_encoder_retain(encoder);
  if (file) DFM_TRY(dfm_dataset_file_read(file, encoder, &reader->options, &reader->file, error));
  if (reader->file) return dfm_dataset_view(encoder, reader->file->storage, 0, 0, &reader->end, error);
  dfm_input_hurry(input);
  return open_reading(input, encoder, &reader->options, &reader->run, error);
}

dfm_status dfm_reader_open_encoded(dfm_input *input, dfm_encoder *encoder, const dfm_read_options *options,
                                   dfm_reader **reader, dfm_error *error) {
  dfm_reader *made;
  DFM_TRY(dfm_alloc(&made, 1, sizeof *made, error));
  if (options) made->options = *options;
  const dfm_status status = open_reader(input, encoder, made, error);
  if (status != DFM_OK) {
    dfm_reader_free(made);
    return status;
  }
  *reader = made;
  return DFM_OK;
}

dfm_status dfm_reader_next(dfm_reader *reader, dfm_dataset **dataset, dfm_error *error) {
  if (reader->run.is_open) return read_dataset(&reader->run, false, dataset, error);
  *dataset = reader->file ? reader->file : dfm_dataset_retain(reader->end);
  reader->file = NULL;
  return DFM_OK;
}

void dfm_reader_free(dfm_reader *reader) {
  if (!reader) return;
  close_reading(&reader->run);
  dfm_encoder_release(reader->run.encoder);
  dfm_dataset_free(reader->file);
  dfm_dataset_free(reader->end);
  free(reader);
}
