/* Storage of rows: rows come in one at a time; arrays over all of them go out. */
#include "data/storage.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* Rows in memory, before they go to a file; and what a file grows by. */
static const size_t BUDGET_BYTES = (size_t)64 << 20, STEP_BYTES = (size_t)32 << 20;
enum { FIRST_ROWS = 1024 };

/* The arrays, in the order of `spill`: bytes per row, 0 where the rows have none. */
static void row_sizes(const dfm_storage *storage, size_t size[DFM_STORAGE_ARRAYS]) {
  size[0] = (size_t)storage->F * sizeof *storage->category;
  size[1] = (size_t)storage->D * sizeof *storage->number;
  size[2] = storage->has.label ? sizeof *storage->label : 0;
  size[3] = storage->has.weight ? sizeof *storage->weight : 0;
  size[4] = storage->has.truth ? sizeof *storage->truth : 0;
  size[5] = storage->has.file_row ? sizeof *storage->file_row : 0;
}

static size_t sum(const size_t size[DFM_STORAGE_ARRAYS]) {
  size_t total = 0;
  for (int i = 0; i < DFM_STORAGE_ARRAYS; i++) total += size[i];
  return total;
}

static void point(dfm_storage *storage) {
  storage->category = (void *)storage->spill[0].bytes;
  storage->number = (void *)storage->spill[1].bytes;
  storage->label = (void *)storage->spill[2].bytes;
  storage->weight = (void *)storage->spill[3].bytes;
  storage->truth = (void *)storage->spill[4].bytes;
  storage->file_row = (void *)storage->spill[5].bytes;
}

dfm_status dfm_storage_create(int F, int D, dfm_storage_has has, const char *folder, dfm_storage **storage,
                              dfm_error *error) {
  dfm_storage *made;
  if (!folder) folder = getenv("TMPDIR");
  if (!folder) folder = "/tmp";
  DFM_TRY(dfm_alloc(&made, 1, sizeof *made, error));
  *made = (dfm_storage){.F = F, .D = D, .has = has};
  atomic_init(&made->owners, 1);
  const dfm_status status = dfm_alloc(&made->folder, strlen(folder) + 1, 1, error);
  if (status != DFM_OK) {
    dfm_storage_release(made);
    return status;
  }
  strcpy(made->folder, folder);
  *storage = made;
  return DFM_OK;
}

void dfm_storage_release(dfm_storage *storage) {
  if (!storage || atomic_fetch_sub(&storage->owners, 1) != 1) return;
  for (int i = 0; i < DFM_STORAGE_ARRAYS; i++) dfm_spill_free(&storage->spill[i]);
  dfm_storage_check_end(storage);
  dfm_st_close(storage->file);
  free(storage->folder);
  free(storage);
}

/* Doubles in memory; a file grows by steps, and what was written of it before is given back. */
static dfm_status grow(dfm_storage *storage, dfm_error *error) {
  size_t size[DFM_STORAGE_ARRAYS];
  row_sizes(storage, size);
  const size_t row_bytes = sum(size), rows = (size_t)storage->rows;
  size_t capacity = rows < FIRST_ROWS ? FIRST_ROWS : 2 * rows;
  const bool to_file = capacity * row_bytes > BUDGET_BYTES;
  if (to_file) {
    dfm_storage_spent(storage, 0, storage->rows);
    capacity = rows + (STEP_BYTES / row_bytes < FIRST_ROWS ? FIRST_ROWS : STEP_BYTES / row_bytes);
  }
  for (int i = 0; i < DFM_STORAGE_ARRAYS; i++) {
    if (size[i] > 0) DFM_TRY(dfm_spill_grow(&storage->spill[i], capacity * size[i], to_file, storage->folder, error));
  }
  point(storage);
  storage->capacity = (int64_t)capacity;
  return DFM_OK;
}

dfm_status dfm_storage_add(dfm_storage *storage, dfm_error *error) {
  if (storage->rows == storage->capacity) DFM_TRY(grow(storage, error));
  storage->rows++;
  return DFM_OK;
}

const char *dfm_storage_array(const dfm_storage *storage, int i, int64_t row, size_t *row_bytes) {
  const char *const array[DFM_STORAGE_ARRAYS] = {(const char *)storage->category, (const char *)storage->number,
                                                 (const char *)storage->label,    (const char *)storage->weight,
                                                 (const char *)storage->truth,    (const char *)storage->file_row};
  size_t size[DFM_STORAGE_ARRAYS];
  row_sizes(storage, size);
  *row_bytes = size[i];
  return size[i] > 0 ? array[i] + (size_t)row * size[i] : NULL;
}

void dfm_storage_spent(const dfm_storage *storage, int64_t first, int64_t n) {
  for (int i = 0; i < DFM_STORAGE_ARRAYS; i++) {
    size_t size;
    const char *bytes = dfm_storage_array(storage, i, first, &size);
    if (!bytes) continue;
    if (storage->file)
      dfm_st_spent(storage->file, bytes, (size_t)n * size);
    else
      dfm_spill_spent(&storage->spill[i], (size_t)first * size, (size_t)n * size);
  }
}

void dfm_storage_apart(const dfm_storage *storage, int64_t first, int64_t n) {
  for (int i = 0; i < DFM_STORAGE_ARRAYS; i++) {
    size_t size;
    const char *bytes = dfm_storage_array(storage, i, first, &size);
    if (!bytes) continue;
    if (storage->file)
      dfm_st_apart(storage->file, bytes, (size_t)n * size);
    else if (storage->spill[i].is_file)
      dfm_pages_apart(bytes, (size_t)n * size);
  }
}

void dfm_storage_ahead(const dfm_storage *storage, int64_t first, int64_t n) {
  for (int i = 0; i < DFM_STORAGE_ARRAYS; i++) {
    size_t size;
    const char *bytes = dfm_storage_array(storage, i, first, &size);
    if (!bytes) continue;
    if (storage->file)
      dfm_st_ahead(storage->file, bytes, (size_t)n * size);
    else if (storage->spill[i].is_file)
      dfm_pages_ahead(bytes, (size_t)n * size);
  }
}
