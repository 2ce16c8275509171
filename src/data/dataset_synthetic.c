/* Datasets of random rows: an encoder and a seed come in; rows go out, their ids by a power law or evenly. */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "data/storage.h"

/* A table row by a power law: P(id) falls as 1 / id. Row 0, unknown under its rule, is left out where there is another.
 */
static uint32_t random_id(const dfm_encoder *encoder, int f, float u) {
  const uint32_t rows = dfm_encoder_rows(encoder, f), first = dfm_encoder_first(encoder, f), n = rows - first;
  if (n == 0) return first == 1 ? 0 : DFM_ID_NONE;
  const uint32_t rank = (uint32_t)(pow((double)n + 1, (double)u) - 1);
  return first + (rank < n ? rank : n - 1);
}

/* Row i's table row where every one is as frequent: i times a prime that is larger than any table, modulo their
 * number. */
static uint32_t even_id(const dfm_encoder *encoder, int f, int64_t i) {
  const uint32_t rows = dfm_encoder_rows(encoder, f), first = dfm_encoder_first(encoder, f), n = rows - first;
  if (n == 0) return first == 1 ? 0 : DFM_ID_NONE;
  const uint64_t scattered = ((uint64_t)i % n * UINT64_C(4294967291) + (uint64_t)f * UINT64_C(2654435761)) % n;
  return first + (uint32_t)scattered;
}

/* Row `row`'s list of up to five items, their weights normal where they have some; the numbers are those of (key,
 * row). */
static dfm_status random_list(dfm_storage *storage, const dfm_encoder *encoder, int f, uint64_t key, int64_t row,
                              dfm_error *error) {
  const uint64_t counter = 2 * (uint64_t)row;
  enum { MOST = 5 };
  float u[1 + MOST];
  uint64_t first;
  dfm_random_fill_uniform(key, counter, u, 1 + MOST);
  const size_t n = (size_t)(u[0] * (MOST + 1));
  DFM_TRY(dfm_storage_add_items(storage, f, row, n, &first, error));
  dfm_list *list = &storage->list[f];
  for (size_t i = 0; i < n; i++) list->ids[first + i] = random_id(encoder, f, u[1 + i]);
  if (list->has_weights) dfm_random_fill_normal(key, counter + 1, list->weights + first, n);
  return DFM_OK;
}

/* Row `i`, which was added: the numbers are those of (key, i). */
static dfm_status random_row(dfm_storage *storage, const dfm_encoder *encoder, int64_t i, dfm_draw draw, uint64_t key,
                             float *u, dfm_error *error) {
  const int64_t at = i - storage->written;
  uint32_t *ids = dfm_storage_ids(storage, at);
  dfm_random_fill_uniform(key, 2 * (uint64_t)i, u, (size_t)encoder->F + 1);
  for (int f = 0; f < encoder->F; f++) {
    if (!encoder->category[f].is_list) {
      ids[f] = draw == DFM_DRAW_EVEN ? even_id(encoder, f, i) : random_id(encoder, f, u[f + 1]);
      continue;
    }
    const uint64_t list_key = dfm_random_u64(key, (uint64_t)f);
    DFM_TRY(random_list(storage, encoder, f, list_key, i, error));
  }
  dfm_random_fill_normal(key, 2 * (uint64_t)i + 1, dfm_storage_numbers(storage, at), (size_t)encoder->D);
  storage->label[at] = u[0] < 0.25F;
  return DFM_OK;
}

/* Rows that are made room for at once: as where rows are read, arrays in memory do not grow page by page, and large
 * pages hold them. */
enum { PIECE = 1 << 18 };

dfm_status dfm_dataset_synthetic(dfm_encoder *encoder, int64_t rows, dfm_draw draw, uint64_t seed,
                                 dfm_dataset **dataset, dfm_error *error) {
  const uint64_t key = dfm_random_key(seed, DFM_STREAM_BENCH);
  dfm_storage *storage;
  float *u = NULL;
  if (rows < 1) return dfm_fail(error, DFM_ERROR_VALUE, "%lld random rows; at least 1 is needed", (long long)rows);
  DFM_TRY(dfm_storage_create(encoder, (dfm_storage_has){.label = true}, NULL, &storage, error));
  dfm_status status = dfm_alloc(&u, (size_t)encoder->F + 1, sizeof *u, error);
  for (int64_t i = 0; status == DFM_OK && i < rows; i++) {
    if (i % PIECE == 0) status = dfm_storage_add(storage, rows - i < PIECE ? rows - i : PIECE, NULL, error);
    if (status == DFM_OK) status = random_row(storage, encoder, i, draw, key, u, error);
  }
  if (status == DFM_OK) status = dfm_storage_finish(storage, NULL, error);
  if (status == DFM_OK) status = dfm_dataset_view(encoder, storage, 0, rows, dataset, error);
  if (status == DFM_OK) dfm_dataset_count(*dataset);
  free(u);
  dfm_storage_release(storage);
  return status;
}
