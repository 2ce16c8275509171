/* Batches: row numbers of a dataset come in; ids by field, transformed numbers, labels and weights go out. And datasets
 * of random rows. */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "data/storage.h"

/* Rows moved at once. Ids of a field are written a cache line at a time: with a power of two as capacity, all fields'
 * lines share one set of the first-level cache and would push each other out row by row. */
enum { TILE = 16 };

dfm_status dfm_batch_create(int F, int D, int capacity, dfm_batch **batch, dfm_error *error) {
  dfm_batch *made;
  const size_t n = (size_t)capacity;
  dfm_status status = dfm_alloc(&made, 1, sizeof *made, error);
  if (status != DFM_OK) return status;
  made->capacity = capacity;
  DFM_TRY_GOTO(status, dfm_alloc(&made->row, n, sizeof *made->row, error), fail);
  DFM_TRY_GOTO(status, dfm_alloc(&made->id, n * (size_t)F, sizeof *made->id, error), fail);
  DFM_TRY_GOTO(status, dfm_alloc(&made->number, n * (size_t)D, sizeof *made->number, error), fail);
  DFM_TRY_GOTO(status, dfm_alloc(&made->label, n, sizeof *made->label, error), fail);
  DFM_TRY_GOTO(status, dfm_alloc(&made->weight, n, sizeof *made->weight, error), fail);
  *batch = made;
  return DFM_OK;
fail:
  dfm_batch_free(made);
  return status;
}

void dfm_batch_free(dfm_batch *batch) {
  if (!batch) return;
  free(batch->row);
  free(batch->id);
  free(batch->number);
  free(batch->label);
  free(batch->weight);
  free(batch);
}

/* Asks the memory for rows that come next: a shuffled row is a miss for each of its cache lines. */
static void prefetch_rows(const dfm_dataset *dataset, const int64_t *row, int n) {
  const dfm_storage *storage = dataset->storage;
  for (int i = 0; i < n; i++) {
    const char *ids = (const char *)dfm_storage_ids(storage, dataset->first + row[i]);
    const char *numbers = (const char *)dfm_storage_numbers(storage, dataset->first + row[i]);
    for (size_t at = 0; at < (size_t)storage->F * 4; at += 64) __builtin_prefetch(ids + at);
    for (size_t at = 0; at < (size_t)storage->D * 4; at += 64) __builtin_prefetch(numbers + at);
  }
}

/* Places [first, first + n), n <= TILE. */
static void fill_tile(const dfm_dataset *dataset, dfm_batch *batch, int first, int n) {
  const dfm_storage *storage = dataset->storage;
  const dfm_encoder *encoder = dataset->encoder;
  const bool has_label = dfm_dataset_has_label(dataset);
  const int F = storage->F, D = storage->D;
  const uint32_t *ids[TILE];
  for (int i = 0; i < n; i++) {
    const int64_t row = dataset->first + batch->row[first + i];
    const float *numbers = dfm_storage_numbers(storage, row);
    float *to = batch->number + (size_t)(first + i) * (size_t)D;
    ids[i] = dfm_storage_ids(storage, row);
    for (int d = 0; d < D; d++) to[d] = dfm_encoder_number(encoder, d, numbers[d]);
    batch->label[first + i] = has_label ? storage->label[row] : 0;
    batch->weight[first + i] = storage->has.weight ? storage->weight[row] : 1;
  }
  for (int f = 0; f < F; f++) {
    uint32_t *to = batch->id + (size_t)f * (size_t)batch->capacity + first;
    for (int i = 0; i < n; i++) to[i] = ids[i][f];
  }
}

void dfm_dataset_fill(const dfm_dataset *dataset, dfm_batch *batch, int first, int n) {
  const int end = first + n;
  for (int at = first; at < end; at += TILE) {
    const int here = end - at < TILE ? end - at : TILE, next = end - at - here < TILE ? end - at - here : TILE;
    prefetch_rows(dataset, batch->row + at + here, next);
    fill_tile(dataset, batch, at, here);
  }
}

/* ---- random rows */

/* A table row by a power law: P(id) falls as 1 / id. Row 0, unknown under its rule, is left out where there is another.
 */
static uint32_t random_id(const dfm_encoder *encoder, int f, float u) {
  const uint32_t rows = dfm_encoder_rows(encoder, f), first = dfm_encoder_first(encoder, f), n = rows - first;
  if (n == 0) return first == 1 ? 0 : DFM_ID_NONE;
  const uint32_t rank = (uint32_t)(pow((double)n + 1, (double)u) - 1);
  return first + (rank < n ? rank : n - 1);
}

dfm_status dfm_dataset_synthetic(dfm_encoder *encoder, int64_t rows, uint64_t seed, dfm_dataset **dataset,
                                 dfm_error *error) {
  const uint64_t key = dfm_random_key(seed, DFM_STREAM_BENCH);
  const int F = encoder->F, D = encoder->D;
  dfm_storage *storage;
  float *u = NULL;
  if (rows < 1) return dfm_fail(error, DFM_ERROR_VALUE, "%lld random rows; at least 1 is needed", (long long)rows);
  DFM_TRY(dfm_storage_create(F, D, (dfm_storage_has){.label = true}, NULL, &storage, error));
  dfm_status status = dfm_alloc(&u, (size_t)F + 1, sizeof *u, error);
  for (int64_t i = 0; status == DFM_OK && i < rows; i++) {
    status = dfm_storage_add(storage, 1, error);
    if (status != DFM_OK) break;
    uint32_t *ids = dfm_storage_ids(storage, i);
    dfm_random_fill_uniform(key, 2 * (uint64_t)i, u, (size_t)F + 1);
    for (int f = 0; f < F; f++) ids[f] = random_id(encoder, f, u[f + 1]);
    dfm_random_fill_normal(key, 2 * (uint64_t)i + 1, dfm_storage_numbers(storage, i), (size_t)D);
    storage->label[i] = u[0] < 0.25F;
  }
  if (status == DFM_OK) status = dfm_dataset_view(encoder, storage, 0, rows, dataset, error);
  if (status == DFM_OK) dfm_dataset_count(*dataset);
  free(u);
  dfm_storage_release(storage);
  return status;
}
