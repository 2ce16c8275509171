/* Passes over rows: a range comes in; its rows are checked, asked for ahead and given back behind, so that memory does
 * not grow with the rows, wherever they lie. */
#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/memory.h"
#include "data/storage.h"

/* ---- checking: a dataset file's rows, in chunks, each once */

enum { CHUNK_ROWS = 1024 };

struct dfm_row_check {
  atomic_uchar *is_checked; /* (chunks) */
  /* (F) an id is good where id + plus[f] < limit[f]: with 1, DFM_ID_NONE becomes 0 */
  uint32_t *plus;
  uint32_t *limit;
};

dfm_status dfm_storage_check_begin(dfm_storage *storage, const dfm_encoder *encoder, dfm_error *error) {
  dfm_row_check *check;
  DFM_TRY(dfm_alloc(&check, 1, sizeof *check, error));
  storage->check = check;
  DFM_TRY(dfm_alloc(&check->is_checked, (size_t)(storage->rows / CHUNK_ROWS + 1), sizeof *check->is_checked, error));
  DFM_TRY(dfm_alloc(&check->plus, (size_t)storage->F, sizeof *check->plus, error));
  DFM_TRY(dfm_alloc(&check->limit, (size_t)storage->F, sizeof *check->limit, error));
  for (int f = 0; f < storage->F; f++) {
    check->plus[f] = dfm_encoder_first(encoder, f) == 0;
    check->limit[f] = dfm_encoder_rows(encoder, f) + check->plus[f];
  }
  return DFM_OK;
}

void dfm_storage_check_end(dfm_storage *storage) {
  if (!storage->check) return;
  free(storage->check->is_checked);
  free(storage->check->plus);
  free(storage->check->limit);
  free(storage->check);
}

static bool has_good_offsets(const dfm_list *list, int64_t first, int64_t n) {
  bool is_good = true;
  for (int64_t row = first; row < first + n; row++)
    is_good &= list->offsets[row] <= list->offsets[row + 1] && list->offsets[row + 1] <= list->items;
  return is_good;
}

static bool has_good_items(const dfm_storage *storage, int f, uint64_t from, uint64_t to) {
  const dfm_list *list = &storage->list[f];
  bool is_good = true;
  for (uint64_t i = from; i < to; i++) {
    is_good &= list->ids[i] + storage->check->plus[f] < storage->check->limit[f];
    if (list->weights) is_good &= isfinite(list->weights[i]) != 0;
  }
  return is_good;
}

/* The offsets of rows [first, first + n) of a list field, and then its items. */
static dfm_status check_list(const dfm_storage *storage, int f, int64_t first, int64_t n, dfm_error *error) {
  const dfm_list *list = &storage->list[f];
  DFM_TRY(dfm_st_check(storage->file, list->offsets + first, (size_t)(n + 1) * sizeof *list->offsets, error));
  bool is_good = has_good_offsets(list, first, n);
  if (is_good) {
    const uint64_t from = list->offsets[first], to = list->offsets[first + n];
    DFM_TRY(dfm_st_check(storage->file, list->ids + from, (to - from) * sizeof *list->ids, error));
    if (list->weights)
      DFM_TRY(dfm_st_check(storage->file, list->weights + from, (to - from) * sizeof *list->weights, error));
    is_good = has_good_items(storage, f, from, to);
  }
  if (is_good) return DFM_OK;
  return dfm_fail(error, DFM_ERROR_FORMAT,
                  "%s: rows %lld to %lld have list items that cannot be; encode the rows again",
                  dfm_st_path(storage->file), (long long)first, (long long)(first + n - 1));
}

static bool is_good_row(const dfm_storage *storage, int64_t row) {
  const uint32_t *ids = dfm_storage_ids(storage, row);
  const float *numbers = dfm_storage_numbers(storage, row);
  bool is_good = true;
  for (int f = 0; f < storage->F; f++) {
    const bool is_good_id = ids[f] + storage->check->plus[f] < storage->check->limit[f];
    is_good &= dfm_storage_is_list(storage, f) ? ids[f] == 0 : is_good_id;
  }
  for (int d = 0; d < storage->D; d++) is_good &= !isinf(numbers[d]);
  if (storage->label) is_good &= storage->label[row] == 0 || storage->label[row] == 1;
  if (storage->weight) is_good &= storage->weight[row] >= 0 && isfinite(storage->weight[row]);
  if (storage->truth) is_good &= storage->truth[row] >= 0 && storage->truth[row] <= 1;
  return is_good;
}

static dfm_status check_chunk(const dfm_storage *storage, int64_t chunk, dfm_error *error) {
  const int64_t first = chunk * CHUNK_ROWS, left = storage->rows - first, n = left < CHUNK_ROWS ? left : CHUNK_ROWS;
  for (int i = 0; i < DFM_STORAGE_ARRAYS; i++) {
    size_t size;
    const char *bytes = dfm_storage_array(storage, i, first, &size);
    if (bytes) DFM_TRY(dfm_st_check(storage->file, bytes, (size_t)n * size, error));
  }
  for (int f = 0; f < storage->F; f++)
    if (dfm_storage_is_list(storage, f)) DFM_TRY(check_list(storage, f, first, n, error));
  for (int64_t row = first; row < first + n; row++) {
    if (is_good_row(storage, row)) continue;
    return dfm_fail(error, DFM_ERROR_FORMAT,
                    "%s: row %lld has an id, number, label or weight that cannot be; encode the rows again",
                    dfm_st_path(storage->file), (long long)row);
  }
  atomic_store_explicit(&storage->check->is_checked[chunk], 1, memory_order_relaxed);
  return DFM_OK;
}

dfm_status dfm_storage_check(const dfm_storage *storage, int64_t first, int64_t n, dfm_error *error) {
  if (!storage->check || n == 0) return DFM_OK;
  for (int64_t chunk = first / CHUNK_ROWS; chunk <= (first + n - 1) / CHUNK_ROWS; chunk++) {
    if (!atomic_load_explicit(&storage->check->is_checked[chunk], memory_order_relaxed))
      DFM_TRY(check_chunk(storage, chunk, error));
  }
  return DFM_OK;
}

dfm_status dfm_dataset_check(const dfm_dataset *dataset, int64_t first, int64_t n, dfm_error *error) {
  return dfm_storage_check(dataset->storage, dataset->first + first, n, error);
}

/* ---- giving back and asking ahead */

void dfm_dataset_spent(const dfm_dataset *dataset, int64_t first, int64_t n) {
  dfm_storage_spent(dataset->storage, dataset->first + first, n);
}

void dfm_dataset_scattered(const dfm_dataset *dataset) {
  dfm_storage_scattered(dataset->storage);
}

void dfm_dataset_apart(const dfm_dataset *dataset, int64_t first, int64_t n) {
  dfm_storage_apart(dataset->storage, dataset->first + first, n);
}

void dfm_dataset_ahead(const dfm_dataset *dataset, int64_t first, int64_t n) {
  dfm_storage_ahead(dataset->storage, dataset->first + first, n);
}

static int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* What lies just before the first piece is given back too: callers look at labels of rows that an earlier pass has
 * passed. What follows the last one is asked for: they mostly go on. The first piece is asked for with the second. */
dfm_status dfm_scan_next(dfm_scan *scan, dfm_error *error) {
  const int64_t before = smaller(DFM_SCAN_ROWS, scan->first + scan->n);
  dfm_dataset_spent(scan->dataset, scan->first + scan->n - before, before);
  const bool is_first = scan->n == 0;
  scan->first += scan->n;
  scan->n = smaller(DFM_SCAN_ROWS, scan->end - scan->first);
  if (scan->n == 0) return DFM_OK;
  const int64_t next = scan->first + scan->n, from = is_first ? scan->first : next;
  dfm_dataset_ahead(scan->dataset, from, smaller(next + DFM_SCAN_ROWS, scan->dataset->rows) - from);
  return dfm_dataset_check(scan->dataset, scan->first, scan->n, error);
}

/* ---- the order of the text */

/* The first of rows [from, to), which ascend in `file_row`, whose number is `wanted` or more. */
static int64_t first_not_before(const dfm_storage *storage, int64_t from, int64_t to, uint64_t wanted) {
  while (from < to) {
    const int64_t middle = from + (to - from) / 2;
    if (storage->file_row[middle] < wanted)
      from = middle + 1;
    else
      to = middle;
  }
  return from;
}

/* Two runs that ascend are merged. A file may be wrong: each number must be met. */
static dfm_status merge(const dfm_storage *storage, int64_t first, int64_t n, int64_t *row, dfm_row_range range[2],
                        dfm_error *error) {
  const int64_t end[2] = {storage->second, storage->rows};
  int64_t at[2];
  for (int k = 0; k < 2; k++)
    at[k] = range[k].first = first_not_before(storage, k == 0 ? 0 : storage->second, end[k], (uint64_t)first);
  for (int64_t i = 0; i < n; i++) {
    int k = 0;
    while (k < 2 && !(at[k] < end[k] && storage->file_row[at[k]] == (uint64_t)(first + i))) k++;
    if (k == 2)
      return dfm_fail(error, DFM_ERROR_FORMAT,
                      "%s is no valid dataset file: row %lld of its text is missing, or its parts are out of order; "
                      "encode the rows again",
                      dfm_st_path(storage->file), (long long)(first + i));
    row[i] = at[k]++;
  }
  for (int k = 0; k < 2; k++) range[k].n = at[k] - range[k].first;
  return DFM_OK;
}

dfm_status dfm_dataset_text_order(const dfm_dataset *dataset, int64_t first, int64_t n, int64_t *row,
                                  dfm_row_range range[2], dfm_error *error) {
  const dfm_storage *storage = dataset->storage;
  const bool is_mixed = storage->file && storage->has.file_row && dataset->rows == storage->rows;
  range[0] = (dfm_row_range){first, n};
  range[1] = (dfm_row_range){0, 0};
  for (int64_t i = 0; i < n && !is_mixed; i++) row[i] = first + i;
  if (is_mixed) DFM_TRY(merge(storage, first, n, row, range, error));
  for (int k = 0; k < 2; k++) {
    dfm_dataset_ahead(dataset, range[k].first, range[k].n);
    DFM_TRY(dfm_dataset_check(dataset, range[k].first, range[k].n, error));
  }
  return DFM_OK;
}
