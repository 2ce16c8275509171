/* Destinations: blocks whose values have ids come in; rows of storage go out, block by block on several threads. */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "data/dataset_read.h"
#include "data/placing.h"

dfm_status dfm_storage_for(const dfm_source *source, const dfm_read_options *options, bool is_drawn,
                           dfm_storage **storage, dfm_error *error) {
  const dfm_encoder *encoder = source->encoder;
  const dfm_storage_has has = {
      .label = source->has_label, .weight = source->has_weight, .truth = source->has_truth, .file_row = is_drawn};
  return dfm_storage_create(encoder, has, options ? options->spill_folder : NULL, storage, error);
}

dfm_status dfm_destination_begin(dfm_destination *destination, const dfm_source *source, dfm_storage *rows,
                                 dfm_storage *held, dfm_error *error) {
  *destination = (dfm_destination){.storage = {rows, held}};
  if (held) DFM_TRY(dfm_alloc(&destination->is_held, source->capacity, 1, error));
  DFM_TRY(dfm_alloc(&destination->first, 2 * (size_t)source->n_blocks_made, sizeof *destination->first, error));
  return dfm_alloc(&destination->packed, 2 * (size_t)source->n_blocks_made, sizeof *destination->packed, error);
}

void dfm_destination_end(dfm_destination *destination) {
  free(destination->is_held);
  free(destination->first);
  free(destination->packed);
  *destination = (dfm_destination){0};
}

/* Into row `row` of the storage's arrays. */
static void store_row(dfm_storage *storage, int64_t row, const dfm_block *block, int r) {
  uint32_t *ids = dfm_storage_ids(storage, row);
  for (int f = 0; f < block->F; f++) ids[f] = block->id[(size_t)f * DFM_BLOCK_STRIDE + (size_t)r];
  if (block->D > 0)
    memcpy(dfm_storage_numbers(storage, row), block->number + (size_t)r * (size_t)block->D,
           (size_t)block->D * sizeof(float));
  if (storage->has.label) storage->label[row] = block->label[r];
  if (storage->has.weight) storage->weight[row] = block->weight[r];
  if (storage->has.truth) storage->truth[row] = block->truth[r];
}

typedef struct storing {
  const dfm_destination *destination;
  const dfm_source *source;
} storing;

static bool is_held(const dfm_destination *destination, int task, int r) {
  return destination->is_held && destination->is_held[task * DFM_BLOCK_ROWS + r];
}

/* The rows of block `task` that go to storage `k`, `*n` of them. */
static void select_rows(const dfm_destination *to, const dfm_block *block, int task, int k, int *at, int *n) {
  *n = 0;
  for (int r = 0; r < block->rows; r++) {
    at[*n] = r;
    *n += is_held(to, task, r) == (k == 1);
  }
}

static void store_rows(dfm_storage *storage, int64_t first, const dfm_block *block, const int *at, int n, int64_t row) {
  for (int i = 0; i < n; i++) {
    if (storage->has.file_row) storage->file_row[first + i] = (uint64_t)(row + at[i]);
    store_row(storage, first + i, block, at[i]);
  }
}

/* What fails is the block's. */
static void store_task(void *context, int task, int thread) {
  const storing *run = context;
  const dfm_destination *to = run->destination;
  dfm_block *block = run->source->block[task];
  int64_t row = to->rows;
  for (int i = 0; i < task; i++) row += run->source->block[i]->rows;
  for (int k = 0; k < 2 && to->storage[k] && block->status == DFM_OK; k++) {
    dfm_storage *storage = to->storage[k];
    const int64_t first = to->first[2 * task + k];
    int at[DFM_BLOCK_ROWS], n;
    select_rows(to, block, task, k, at, &n);
    if (!storage->packed)
      store_rows(storage, first - storage->written, block, at, n, row);
    else if (n > 0)
      block->status =
          dfm_storage_pack_rows(storage, to->packed[2 * task + k], thread, block, at, n, row, &block->error);
  }
}

/* Where the blocks' rows will lie; how many go to each storage. */
static dfm_status place_blocks(dfm_destination *destination, const dfm_source *source, int64_t n[2], dfm_error *error) {
  for (int k = 0; k < 2; k++) n[k] = 0;
  for (int i = 0; i < source->n_blocks; i++) {
    int rows[2] = {0};
    for (int r = 0; r < source->block[i]->rows; r++) rows[is_held(destination, i, r)]++;
    for (int k = 0; k < 2 && destination->storage[k]; k++) {
      dfm_storage *storage = destination->storage[k];
      destination->first[2 * i + k] = storage->rows + n[k];
      if (storage->packed && rows[k] > 0)
        DFM_TRY(dfm_packed_add(storage->packed, rows[k], &destination->packed[2 * i + k], error));
      n[k] += rows[k];
    }
  }
  return DFM_OK;
}

static bool has_label_gap(const dfm_source *source) {
  bool is_gap = false;
  for (int i = 0; i < source->n_blocks; i++)
    for (int r = 0; r < source->block[i]->rows; r++) is_gap |= isnan(source->block[i]->label[r]);
  return is_gap;
}

/* The items of list field f, row after row. */
static dfm_status store_lists(const dfm_destination *to, const dfm_source *source, int f, dfm_error *error) {
  int64_t at[2] = {to->first[0], to->first[1]};
  for (int i = 0; i < source->n_blocks; i++) {
    const dfm_block *block = source->block[i];
    for (int r = 0; r < block->rows; r++) {
      const bool held = is_held(to, i, r);
      uint64_t first;
      size_t n;
      const size_t from = dfm_block_items(block, f, r, &n);
      DFM_TRY(dfm_storage_add_items(to->storage[held], f, at[held]++, n, &first, error));
      const dfm_list *list = &to->storage[held]->list[f];
      for (size_t k = 0; k < n; k++) {
        list->ids[first + k] = block->list[f].item[from + k].id;
        if (list->weights) list->weights[first + k] = block->list[f].weight[from + k];
      }
    }
  }
  return DFM_OK;
}

static dfm_status first_failure(const dfm_source *source, dfm_error *error) {
  for (int i = 0; i < source->n_blocks; i++) {
    if (source->block[i]->status == DFM_OK) continue;
    if (error) *error = source->block[i]->error;
    return source->block[i]->status;
  }
  return DFM_OK;
}

dfm_status dfm_destination_add(dfm_destination *destination, const dfm_source *source, dfm_error *error) {
  int64_t n[2];
  const storing run = {destination, source};
  DFM_TRY(place_blocks(destination, source, n, error));
  for (int k = 0; k < 2; k++) {
    dfm_storage *storage = destination->storage[k];
    if (!storage) continue;
    DFM_TRY(dfm_storage_add(storage, n[k], source->pool, error));
    storage->has_label_gap |= source->label_optional && has_label_gap(source);
    storage->bad = source->bad;
  }
  dfm_pool_run(source->pool, source->n_blocks, store_task, (void *)(uintptr_t)&run);
  DFM_TRY(first_failure(source, error));
  for (int f = 0; f < source->encoder->F; f++)
    if (source->encoder->category[f].is_list) DFM_TRY(store_lists(destination, source, f, error));
  destination->rows += n[0] + n[1];
  return DFM_OK;
}

dfm_status dfm_destination_finish(dfm_destination *destination, const dfm_source *source, dfm_error *error) {
  for (int k = 0; k < 2; k++)
    if (destination->storage[k]) DFM_TRY(dfm_storage_finish(destination->storage[k], source->pool, error));
  return DFM_OK;
}

dfm_status dfm_fail_no_rows(const dfm_source *source, dfm_error *error) {
  const bool is_one = dfm_input_files(source->input) == 1;
  if (source->bad.rows > 0) {
    return dfm_fail(error, DFM_ERROR_FORMAT, "%s has no row that can be read, only %lld bad ones; the first: %s",
                    dfm_input_name(source->input), (long long)source->bad.rows, source->bad.first.message);
  }
  if (source->arrow)
    return dfm_fail(error, DFM_ERROR_FORMAT, "%s has no rows; check what was exported", dfm_input_name(source->input));
  return dfm_fail(error, DFM_ERROR_FORMAT,
                  is_one ? "%s has a header but no rows; check that it was written to its end"
                         : "%s have headers but no rows; check that they were written to their ends",
                  dfm_input_name(source->input));
}
