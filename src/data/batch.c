/* Batches: row numbers of a dataset come in; ids by field, transformed numbers, labels and weights go out. */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/prefetch.h"
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
  made->F = F;
  DFM_TRY_GOTO(status, dfm_alloc(&made->list, (size_t)F, sizeof *made->list, error), fail);
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

static void free_places(dfm_batch_list *list) {
  free(list->row);
  free(list->id);
  free(list->coefficient);
  list->row = list->id = NULL;
  list->coefficient = NULL;
  list->capacity = 0;
}

void dfm_batch_free(dfm_batch *batch) {
  if (!batch) return;
  for (int f = 0; batch->list && f < batch->F; f++) {
    free_places(&batch->list[f]);
    free(batch->list[f].offsets);
  }
  free(batch->list);
  free(batch->row);
  free(batch->id);
  free(batch->number);
  free(batch->label);
  free(batch->weight);
  free(batch);
}

/* Asks the memory for rows that come next: a shuffled row is a miss for each of its cache lines. */
DFM_PREFETCHES void prefetch_rows(const dfm_dataset *dataset, const int64_t *batch_row, int n) {
  const dfm_storage *storage = dataset->storage;
  for (int i = 0; i < n; i++) {
    const int64_t row = dataset->first + batch_row[i];
    dfm_prefetch(dfm_storage_ids(storage, row), (size_t)storage->F * sizeof(uint32_t));
    dfm_prefetch(dfm_storage_numbers(storage, row), (size_t)storage->D * sizeof(float));
    if (storage->has.label) __builtin_prefetch(storage->label + row);
    if (storage->has.weight) __builtin_prefetch(storage->weight + row);
  }
}

/* ---- lists */

/* Room for `n` places, an eighth more so that batches of like size grow it once; what was in it is lost. */
static dfm_status reserve_places(dfm_batch_list *list, size_t n, dfm_error *error) {
  if (n <= list->capacity) return DFM_OK;
  const size_t room = n + n / 8;
  free_places(list);
  DFM_TRY(dfm_alloc(&list->row, room, sizeof *list->row, error));
  DFM_TRY(dfm_alloc(&list->id, room, sizeof *list->id, error));
  DFM_TRY(dfm_alloc(&list->coefficient, room, sizeof *list->coefficient, error));
  list->capacity = room;
  return DFM_OK;
}

static dfm_status lay_out_list(const dfm_dataset *dataset, int f, dfm_batch *batch, dfm_error *error) {
  const uint64_t *offsets = dataset->storage->list[f].offsets + dataset->first;
  dfm_batch_list *to = &batch->list[f];
  uint64_t n = 0;
  if (!to->offsets) DFM_TRY(dfm_alloc(&to->offsets, (size_t)batch->capacity + 1, sizeof *to->offsets, error));
  for (int b = 0; b < batch->rows; b++) {
    to->offsets[b] = (uint32_t)n;
    n += offsets[batch->row[b] + 1] - offsets[batch->row[b]];
    if (n > DFM_MOST_PLACES) {
      return dfm_fail(error, DFM_ERROR_VALUE,
                      "a batch has more than %d items of list '%s'; lower train.batch_size (now %d rows)",
                      DFM_MOST_PLACES, dataset->encoder->category[f].name, batch->rows);
    }
  }
  to->offsets[batch->rows] = (uint32_t)n;
  return reserve_places(to, n, error);
}

dfm_status dfm_dataset_lay_out(const dfm_dataset *dataset, dfm_batch *batch, dfm_error *error) {
  for (int f = 0; f < dataset->storage->F; f++)
    if (dfm_storage_is_list(dataset->storage, f)) DFM_TRY(lay_out_list(dataset, f, batch, error));
  return DFM_OK;
}

/* What turns the weights of `n` items into a mean's coefficients; items without an id do not count. 0: nothing
 * counts. */
static double mean_scale(const uint32_t *id, const float *weight, uint64_t n) {
  double sum = 0;
  for (uint64_t i = 0; i < n; i++)
    if (id[i] != DFM_ID_NONE) sum += weight ? fabs((double)weight[i]) : 1;
  return sum > 0 ? 1 / sum : 0;
}

/* The items of row b. */
static void fill_items(const dfm_list *from, int64_t row, bool is_mean, int b, dfm_batch_list *to) {
  const uint64_t first = from->offsets[row], n = from->offsets[row + 1] - first;
  const uint32_t *id = from->ids + first;
  const float *weight = from->weights ? from->weights + first : NULL;
  const double scale = is_mean ? mean_scale(id, weight, n) : 1;
  const size_t at = to->offsets[b];
  for (uint64_t i = 0; i < n; i++) {
    to->row[at + i] = (uint32_t)b;
    to->id[at + i] = id[i];
    to->coefficient[at + i] = (float)((weight ? (double)weight[i] : 1) * scale);
  }
}

static void fill_lists(const dfm_dataset *dataset, dfm_batch *batch, int first, int n) {
  for (int f = 0; f < batch->F; f++) {
    if (!dfm_storage_is_list(dataset->storage, f)) continue;
    const bool is_mean = dataset->encoder->category[f].settings.pool == DFM_POOL_MEAN;
    for (int b = first; b < first + n; b++)
      fill_items(&dataset->storage->list[f], dataset->first + batch->row[b], is_mean, b, &batch->list[f]);
  }
}

/* ---- filling */

/* Places [first, first + n), n <= TILE. */
static void fill_tile(const dfm_dataset *dataset, dfm_batch *batch, int first, int n) {
  const dfm_storage *storage = dataset->storage;
  const dfm_encoder *encoder = dataset->encoder;
  const bool has_label = dfm_dataset_has_label(dataset);
  const int F = storage->F;
  const uint32_t *ids[TILE];
  for (int i = 0; i < n; i++) {
    const int64_t row = dataset->first + batch->row[first + i];
    ids[i] = dfm_storage_ids(storage, row);
    dfm_encoder_numbers(encoder, dfm_storage_numbers(storage, row),
                        batch->number + (size_t)(first + i) * (size_t)storage->D);
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
  prefetch_rows(dataset, batch->row + first, n < TILE ? n : TILE);
  for (int at = first; at < end; at += TILE) {
    const int here = end - at < TILE ? end - at : TILE, next = end - at - here < TILE ? end - at - here : TILE;
    prefetch_rows(dataset, batch->row + at + here, next);
    fill_tile(dataset, batch, at, here);
  }
  fill_lists(dataset, batch, first, n);
}
