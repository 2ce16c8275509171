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

static void point(dfm_storage *storage) {
  storage->category = (void *)storage->spill[0].bytes;
  storage->number = (void *)storage->spill[1].bytes;
  storage->label = (void *)storage->spill[2].bytes;
  storage->weight = (void *)storage->spill[3].bytes;
  storage->truth = (void *)storage->spill[4].bytes;
  storage->file_row = (void *)storage->spill[5].bytes;
}

static void point_list(dfm_list *list) {
  list->offsets = (void *)list->spill[0].bytes;
  list->ids = (void *)list->spill[1].bytes;
  list->weights = (void *)list->spill[2].bytes;
}

/* An offset in front of the first row says which fields are lists. */
static dfm_status create_lists(const dfm_encoder *encoder, dfm_storage *storage, dfm_error *error) {
  DFM_TRY(dfm_alloc(&storage->list, (size_t)storage->F, sizeof *storage->list, error));
  for (int f = 0; f < storage->F; f++) {
    dfm_list *list = &storage->list[f];
    if (!encoder->category[f].is_list) continue;
    list->has_weights = dfm_encoder_has_weights(encoder, f);
    DFM_TRY(dfm_spill_grow(&list->spill[0], sizeof *list->offsets, false, NULL, error));
    point_list(list);
  }
  return DFM_OK;
}

dfm_status dfm_storage_create(const dfm_encoder *encoder, dfm_storage_has has, const char *folder,
                              dfm_storage **storage, dfm_error *error) {
  dfm_storage *made;
  if (!folder) folder = dfm_spill_folder();
  DFM_TRY(dfm_alloc(&made, 1, sizeof *made, error));
  *made = (dfm_storage){.F = encoder->F, .D = encoder->D, .has = has};
  atomic_init(&made->owners, 1);
  dfm_status status = dfm_alloc(&made->folder, strlen(folder) + 1, 1, error);
  if (status == DFM_OK) status = create_lists(encoder, made, error);
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
  for (int f = 0; storage->list && f < storage->F; f++)
    for (int i = 0; i < DFM_LIST_ARRAYS; i++) dfm_spill_free(&storage->list[f].spill[i]);
  free(storage->list);
  dfm_storage_check_end(storage);
  dfm_st_close(storage->file);
  free(storage->folder);
  free(storage);
}

/* Bytes of arrays that lie in memory. */
static size_t memory_bytes(const dfm_storage *storage) {
  size_t bytes = 0;
  for (int i = 0; i < DFM_STORAGE_ARRAYS; i++)
    bytes += storage->spill[i].is_file ? 0 : storage->spill[i].capacity_bytes;
  for (int f = 0; f < storage->F; f++) {
    const dfm_spill *spill = storage->list[f].spill;
    for (int i = 0; i < DFM_LIST_ARRAYS; i++) bytes += spill[i].is_file ? 0 : spill[i].capacity_bytes;
  }
  return bytes;
}

/* How many things of `size` bytes, `n` of them there, to make room for, `more` at least: doubles in memory; a file grows
 * by steps, and what was written of it before is given back. */
static size_t next_capacity(const dfm_storage *storage, size_t n, size_t more, size_t size, bool *to_file) {
  size_t added = n < FIRST_ROWS ? FIRST_ROWS : n;
  if (added < more) added = more;
  *to_file = *to_file || memory_bytes(storage) + added * size > BUDGET_BYTES;
  if (!*to_file) return n + added;
  dfm_storage_spent(storage, 0, storage->rows);
  const size_t step = STEP_BYTES / size;
  return n + (step > more ? step : more);
}

static dfm_status grow_rows(dfm_storage *storage, int64_t more, dfm_error *error) {
  size_t size[DFM_STORAGE_ARRAYS], row_bytes = 0;
  bool to_file = false;
  row_sizes(storage, size);
  for (int i = 0; i < DFM_STORAGE_ARRAYS; i++) {
    row_bytes += size[i];
    to_file |= storage->spill[i].is_file;
  }
  for (int f = 0; f < storage->F; f++) row_bytes += dfm_storage_is_list(storage, f) ? sizeof(uint64_t) : 0;
  const size_t capacity = next_capacity(storage, (size_t)storage->rows, (size_t)more, row_bytes, &to_file);
  for (int i = 0; i < DFM_STORAGE_ARRAYS; i++) {
    if (size[i] > 0) DFM_TRY(dfm_spill_grow(&storage->spill[i], capacity * size[i], to_file, storage->folder, error));
  }
  for (int f = 0; f < storage->F; f++) {
    dfm_list *list = &storage->list[f];
    if (!dfm_storage_is_list(storage, f)) continue;
    DFM_TRY(dfm_spill_grow(&list->spill[0], (capacity + 1) * sizeof *list->offsets, to_file, storage->folder, error));
    point_list(list);
  }
  point(storage);
  storage->capacity = (int64_t)capacity;
  return DFM_OK;
}

dfm_status dfm_storage_add(dfm_storage *storage, int64_t n, dfm_error *error) {
  const int64_t first = storage->rows, rows = first + n;
  if (rows > storage->capacity) DFM_TRY(grow_rows(storage, n, error));
  storage->rows = rows;
  for (int f = 0; f < storage->F; f++)
    for (int64_t row = first; row < rows && dfm_storage_is_list(storage, f); row++)
      storage->list[f].offsets[row + 1] = storage->list[f].items;
  return DFM_OK;
}

static dfm_status grow_items(dfm_storage *storage, dfm_list *list, size_t more, dfm_error *error) {
  const size_t size[DFM_LIST_ARRAYS] = {0, sizeof *list->ids, list->has_weights ? sizeof *list->weights : 0};
  bool to_file = list->spill[1].is_file;
  const size_t capacity = next_capacity(storage, list->items, more, size[1] + size[2], &to_file);
  for (int i = 1; i < DFM_LIST_ARRAYS; i++) {
    if (size[i] > 0) DFM_TRY(dfm_spill_grow(&list->spill[i], capacity * size[i], to_file, storage->folder, error));
  }
  point_list(list);
  list->capacity = capacity;
  return DFM_OK;
}

dfm_status dfm_storage_add_items(dfm_storage *storage, int f, int64_t row, size_t n, uint64_t *first,
                                 dfm_error *error) {
  dfm_list *list = &storage->list[f];
  if (list->items + n > list->capacity) DFM_TRY(grow_items(storage, list, n, error));
  *first = list->items;
  list->items += n;
  list->offsets[row + 1] = list->items;
  return DFM_OK;
}

/* ---- giving back and asking ahead */

const char *dfm_storage_array(const dfm_storage *storage, int i, int64_t row, size_t *row_bytes) {
  const char *const array[DFM_STORAGE_ARRAYS] = {(const char *)storage->category, (const char *)storage->number,
                                                 (const char *)storage->label,    (const char *)storage->weight,
                                                 (const char *)storage->truth,    (const char *)storage->file_row};
  size_t size[DFM_STORAGE_ARRAYS];
  row_sizes(storage, size);
  *row_bytes = size[i];
  return size[i] > 0 ? array[i] + (size_t)row * size[i] : NULL;
}

/* What is done to a piece of array `i` of the storage (or of a list's): given back, or asked for. */
typedef void piece_visitor(const dfm_storage *storage, const dfm_spill *spill, const char *bytes, size_t n);

static void visit_rows(const dfm_storage *storage, int64_t first, int64_t n, piece_visitor *visit) {
  for (int i = 0; i < DFM_STORAGE_ARRAYS; i++) {
    size_t size;
    const char *bytes = dfm_storage_array(storage, i, first, &size);
    if (bytes) visit(storage, &storage->spill[i], bytes, (size_t)n * size);
  }
  for (int f = 0; f < storage->F; f++) {
    const dfm_list *list = &storage->list[f];
    if (!dfm_storage_is_list(storage, f) || n == 0) continue;
    const uint64_t items = dfm_list_items(list, first, n), from = items > 0 ? list->offsets[first] : 0;
    if (items > 0) visit(storage, &list->spill[1], (const char *)(list->ids + from), items * sizeof *list->ids);
    if (items > 0 && list->weights)
      visit(storage, &list->spill[2], (const char *)(list->weights + from), items * sizeof *list->weights);
    visit(storage, &list->spill[0], (const char *)(list->offsets + first), (size_t)n * sizeof *list->offsets);
  }
}

static void spend(const dfm_storage *storage, const dfm_spill *spill, const char *bytes, size_t n) {
  if (storage->file)
    dfm_st_spent(storage->file, bytes, n);
  else
    dfm_spill_spent(spill, (size_t)(bytes - (const char *)spill->bytes), n);
}

static void set_apart(const dfm_storage *storage, const dfm_spill *spill, const char *bytes, size_t n) {
  if (storage->file)
    dfm_st_apart(storage->file, bytes, n);
  else if (spill->is_file)
    dfm_pages_apart(bytes, n);
}

static void ask(const dfm_storage *storage, const dfm_spill *spill, const char *bytes, size_t n) {
  if (storage->file)
    dfm_st_ahead(storage->file, bytes, n);
  else if (spill->is_file)
    dfm_pages_ahead(bytes, n);
}

void dfm_storage_spent(const dfm_storage *storage, int64_t first, int64_t n) {
  visit_rows(storage, first, n, spend);
}

void dfm_storage_apart(const dfm_storage *storage, int64_t first, int64_t n) {
  visit_rows(storage, first, n, set_apart);
}

void dfm_storage_ahead(const dfm_storage *storage, int64_t first, int64_t n) {
  visit_rows(storage, first, n, ask);
}
