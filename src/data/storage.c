/* Storage of rows: rows come in one at a time; chunks that never move go out. */
#include "data/storage.h"

#include <stdlib.h>

#include "base/memory.h"

static size_t chunk_bytes(const dfm_storage *storage) {
  return (size_t)DFM_CHUNK_ROWS * ((size_t)storage->F + (size_t)storage->D) * sizeof(float);
}

dfm_status dfm_storage_create(int F, int D, bool has_label, bool has_weight, bool has_truth, dfm_storage **storage,
                              dfm_error *error) {
  dfm_storage *made;
  DFM_TRY(dfm_alloc(&made, 1, sizeof *made, error));
  *made = (dfm_storage){.F = F, .D = D, .has_label = has_label, .has_weight = has_weight, .has_truth = has_truth};
  atomic_init(&made->owners, 1);
  *storage = made;
  return DFM_OK;
}

void dfm_storage_release(dfm_storage *storage) {
  if (!storage || atomic_fetch_sub(&storage->owners, 1) != 1) return;
  for (size_t i = 0; i < storage->n_chunks; i++) dfm_pages_free(storage->category[i], chunk_bytes(storage));
  free(storage->category);
  free(storage->number);
  free(storage->label);
  free(storage->weight);
  free(storage->truth);
  free(storage);
}

static dfm_status add_chunk(dfm_storage *storage, dfm_error *error) {
  const size_t n = storage->n_chunks + 1;
  void *pages;
  DFM_TRY(dfm_grow(&storage->category, &storage->category_capacity, n, sizeof *storage->category, error));
  DFM_TRY(dfm_grow(&storage->number, &storage->number_capacity, n, sizeof *storage->number, error));
  DFM_TRY(dfm_pages_alloc(&pages, chunk_bytes(storage), error));
  storage->category[n - 1] = pages;
  storage->number[n - 1] = (float *)pages + (size_t)DFM_CHUNK_ROWS * (size_t)storage->F;
  storage->n_chunks = n;
  return DFM_OK;
}

dfm_status dfm_storage_add(dfm_storage *storage, dfm_error *error) {
  const size_t n = (size_t)storage->rows + 1;
  if ((n - 1) >> DFM_CHUNK_BITS == storage->n_chunks) DFM_TRY(add_chunk(storage, error));
  if (storage->has_label) DFM_TRY(dfm_grow(&storage->label, &storage->label_capacity, n, sizeof(float), error));
  if (storage->has_weight) DFM_TRY(dfm_grow(&storage->weight, &storage->weight_capacity, n, sizeof(float), error));
  if (storage->has_truth) DFM_TRY(dfm_grow(&storage->truth, &storage->truth_capacity, n, sizeof(float), error));
  storage->rows++;
  return DFM_OK;
}
