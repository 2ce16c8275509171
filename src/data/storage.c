/* Storage of rows: rows come in one at a time; arrays over all of them go out. */
#include "data/storage.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/placing.h"

/* Rows in memory, before they go to a file; what a mapped file grows by; rows that go to a file at a time. */
static const size_t BUDGET_BYTES = (size_t)64 << 20, STEP_BYTES = (size_t)32 << 20, WINDOW_BYTES = (size_t)4 << 20;
enum { FIRST_ROWS = 1024 };

/* Bytes per row of each array, 0 where the rows have none. */
static void row_sizes(const dfm_storage *storage, size_t size[DFM_STORAGE_ARRAYS]) {
  size[DFM_ARRAY_CATEGORY] = (size_t)storage->F * sizeof *storage->category;
  size[DFM_ARRAY_NUMBER] = (size_t)storage->D * sizeof *storage->number;
  size[DFM_ARRAY_LABEL] = storage->has.label ? sizeof *storage->label : 0;
  size[DFM_ARRAY_WEIGHT] = storage->has.weight ? sizeof *storage->weight : 0;
  size[DFM_ARRAY_TRUTH] = storage->has.truth ? sizeof *storage->truth : 0;
  size[DFM_ARRAY_FILE_ROW] = storage->has.file_row ? sizeof *storage->file_row : 0;
}

static void point(dfm_storage *storage) {
  storage->category = (void *)storage->spill[DFM_ARRAY_CATEGORY].bytes;
  storage->number = (void *)storage->spill[DFM_ARRAY_NUMBER].bytes;
  storage->label = (void *)storage->spill[DFM_ARRAY_LABEL].bytes;
  storage->weight = (void *)storage->spill[DFM_ARRAY_WEIGHT].bytes;
  storage->truth = (void *)storage->spill[DFM_ARRAY_TRUTH].bytes;
  storage->file_row = (void *)storage->spill[DFM_ARRAY_FILE_ROW].bytes;
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
  *made = (dfm_storage){.F = encoder->F, .D = encoder->D, .has = has, .budget_bytes = BUDGET_BYTES};
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
  dfm_packed_free(storage->packed);
  dfm_places_release(storage->places);
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

/* How many things of `size` bytes, `n` of them there, to make room for, `more` at least: doubles in memory; a file
 * grows by steps. */
static size_t next_capacity(const dfm_storage *storage, size_t n, size_t more, size_t size, bool *to_file) {
  size_t added = n < FIRST_ROWS ? FIRST_ROWS : n;
  if (added < more) added = more;
  *to_file = *to_file || memory_bytes(storage) + added * size > storage->budget_bytes;
  if (!*to_file) return n + added;
  const size_t step = STEP_BYTES / size;
  return n + (step > more ? step : more);
}

/* ---- rows */

static dfm_status grow_rows(dfm_storage *storage, size_t capacity, dfm_error *error) {
  size_t size[DFM_STORAGE_ARRAYS];
  row_sizes(storage, size);
  for (int i = 0; i < DFM_STORAGE_ARRAYS; i++)
    if (size[i] > 0) DFM_TRY(dfm_spill_grow(&storage->spill[i], capacity * size[i], false, NULL, error));
  point(storage);
  storage->capacity = (int64_t)capacity;
  return DFM_OK;
}

/* The rows behind those in files go there, each array as one task. */
typedef struct filing {
  const dfm_storage *storage;
  size_t size[DFM_STORAGE_ARRAYS];
  dfm_status status[DFM_STORAGE_ARRAYS];
  dfm_error error[DFM_STORAGE_ARRAYS];
} filing;

static void file_array(void *context, int i, int thread) {
  filing *run = context;
  const dfm_storage *storage = run->storage;
  const size_t first = (size_t)storage->written, n = (size_t)storage->rows - first, size = run->size[i];
  (void)thread;
  run->status[i] = size == 0 ? DFM_OK
                             : dfm_spill_write(&storage->spill[i], first * size, storage->spill[i].bytes, n * size,
                                               storage->folder, &run->error[i]);
}

static dfm_status file_rows(dfm_storage *storage, dfm_pool *pool, dfm_error *error) {
  filing run = {.storage = storage};
  row_sizes(storage, run.size);
  if (pool)
    dfm_pool_run(pool, DFM_STORAGE_ARRAYS, file_array, &run);
  else
    for (int i = 0; i < DFM_STORAGE_ARRAYS; i++) file_array(&run, i, 0);
  for (int i = 0; i < DFM_STORAGE_ARRAYS; i++) {
    if (run.status[i] == DFM_OK) continue;
    if (error) *error = run.error[i];
    return run.status[i];
  }
  storage->written = storage->rows;
  return DFM_OK;
}

static dfm_status begin_filing(dfm_storage *storage, dfm_error *error) {
  size_t size[DFM_STORAGE_ARRAYS];
  row_sizes(storage, size);
  for (int i = 0; i < DFM_STORAGE_ARRAYS; i++)
    if (size[i] > 0) DFM_TRY(dfm_spill_open(&storage->spill[i], storage->folder, error));
  storage->is_filing = true;
  return DFM_OK;
}

/* The arrays are from here on a window of the last rows. */
static dfm_status open_window(dfm_storage *storage, size_t row_bytes, size_t more, dfm_error *error) {
  const size_t fit = WINDOW_BYTES / row_bytes;
  for (int i = 0; i < DFM_STORAGE_ARRAYS; i++) dfm_spill_empty(&storage->spill[i]);
  return grow_rows(storage, fit > more ? fit : more, error);
}

/* Room for `more` rows. */
static dfm_status make_room(dfm_storage *storage, size_t more, dfm_pool *pool, dfm_error *error) {
  size_t size[DFM_STORAGE_ARRAYS], row_bytes = 0;
  const size_t at_hand = (size_t)(storage->rows - storage->written);
  bool to_file = storage->is_filing;
  if (at_hand + more <= (size_t)storage->capacity) return DFM_OK;
  row_sizes(storage, size);
  for (int i = 0; i < DFM_STORAGE_ARRAYS; i++) row_bytes += size[i];
  if (row_bytes == 0) return grow_rows(storage, at_hand + more, error);
  const size_t capacity = next_capacity(storage, at_hand, more, row_bytes, &to_file);
  if (!to_file) return grow_rows(storage, capacity, error);
  const bool is_first = !storage->is_filing;
  if (is_first) DFM_TRY(begin_filing(storage, error));
  DFM_TRY(file_rows(storage, pool, error));
  return is_first || (size_t)storage->capacity < more ? open_window(storage, row_bytes, more, error) : DFM_OK;
}

/* Array `i` of a list, of which `used` bytes are written, grows to `size` bytes; of a file these are given back, so
 * that no more than a step of it is in memory. */
static dfm_status grow_list(const dfm_storage *storage, dfm_list *list, int i, size_t used, size_t size, bool to_file,
                            dfm_error *error) {
  DFM_TRY(dfm_spill_grow(&list->spill[i], size, to_file, storage->folder, error));
  dfm_spill_spent(&list->spill[i], 0, used);
  return DFM_OK;
}

/* Where the items of `more` rows begin; so far they have none. */
static dfm_status add_offsets(dfm_storage *storage, dfm_list *list, size_t more, dfm_error *error) {
  const size_t rows = (size_t)storage->rows, size = sizeof *list->offsets;
  bool to_file = list->spill[0].is_file;
  if ((rows + more + 1) * size > list->spill[0].capacity_bytes) {
    const size_t capacity = next_capacity(storage, rows, more, size, &to_file) + 1;
    DFM_TRY(grow_list(storage, list, 0, rows * size, capacity * size, to_file, error));
    point_list(list);
  }
  for (size_t row = rows; row < rows + more; row++) list->offsets[row + 1] = list->items;
  return DFM_OK;
}

dfm_status dfm_storage_add(dfm_storage *storage, int64_t n, dfm_pool *pool, dfm_error *error) {
  assert(!storage->is_finished);
  if (!storage->packed) DFM_TRY(make_room(storage, (size_t)n, pool, error));
  for (int f = 0; f < storage->F; f++)
    if (dfm_storage_is_list(storage, f)) DFM_TRY(add_offsets(storage, &storage->list[f], (size_t)n, error));
  storage->rows += n;
  return DFM_OK;
}

dfm_status dfm_storage_finish(dfm_storage *storage, dfm_pool *pool, dfm_error *error) {
  storage->is_finished = true;
  if (!storage->is_filing) return DFM_OK;
  DFM_TRY(file_rows(storage, pool, error));
  return dfm_storage_close_arrays(storage, error);
}

/* ---- arrays of all rows at once */

bool dfm_storage_exceeds_memory(const dfm_storage *storage) {
  size_t size[DFM_STORAGE_ARRAYS], row_bytes = 0;
  row_sizes(storage, size);
  for (int i = 0; i < DFM_STORAGE_ARRAYS; i++) row_bytes += size[i];
  return memory_bytes(storage) + (size_t)storage->rows * row_bytes > storage->budget_bytes;
}

dfm_status dfm_storage_open_arrays(dfm_storage *storage, bool to_file, dfm_error *error) {
  storage->is_finished = true;
  return to_file ? begin_filing(storage, error) : grow_rows(storage, (size_t)storage->rows, error);
}

dfm_status dfm_storage_close_arrays(dfm_storage *storage, dfm_error *error) {
  size_t size[DFM_STORAGE_ARRAYS];
  if (!storage->is_filing) return DFM_OK;
  row_sizes(storage, size);
  for (int i = 0; i < DFM_STORAGE_ARRAYS; i++)
    if (size[i] > 0) DFM_TRY(dfm_spill_map(&storage->spill[i], (size_t)storage->rows * size[i], error));
  point(storage);
  storage->capacity = storage->rows;
  storage->written = 0;
  storage->is_filing = false;
  return DFM_OK;
}

/* ---- items */

static dfm_status grow_items(dfm_storage *storage, dfm_list *list, size_t more, dfm_error *error) {
  const size_t size[DFM_LIST_ARRAYS] = {0, sizeof *list->ids, list->has_weights ? sizeof *list->weights : 0};
  bool to_file = list->spill[1].is_file;
  const size_t capacity = next_capacity(storage, list->items, more, size[1] + size[2], &to_file);
  for (int i = 1; i < DFM_LIST_ARRAYS; i++) {
    if (size[i] > 0) DFM_TRY(grow_list(storage, list, i, list->items * size[i], capacity * size[i], to_file, error));
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

const char *dfm_storage_array(const dfm_storage *storage, int array, int64_t row, size_t *row_bytes) {
  const char *const start[DFM_STORAGE_ARRAYS] = {
      [DFM_ARRAY_CATEGORY] = (const char *)storage->category, [DFM_ARRAY_NUMBER] = (const char *)storage->number,
      [DFM_ARRAY_LABEL] = (const char *)storage->label,       [DFM_ARRAY_WEIGHT] = (const char *)storage->weight,
      [DFM_ARRAY_TRUTH] = (const char *)storage->truth,       [DFM_ARRAY_FILE_ROW] = (const char *)storage->file_row};
  size_t size[DFM_STORAGE_ARRAYS];
  row_sizes(storage, size);
  *row_bytes = size[array];
  return size[array] > 0 && start[array] ? start[array] + (size_t)row * size[array] : NULL;
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

static void scatter(const dfm_storage *storage, const dfm_spill *spill, const char *bytes, size_t n) {
  if (!storage->file && spill->is_file) dfm_pages_scattered(bytes, n); /* a dataset file's are from the start */
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

void dfm_storage_scattered(const dfm_storage *storage) {
  visit_rows(storage, 0, storage->rows, scatter);
}

void dfm_storage_ahead(const dfm_storage *storage, int64_t first, int64_t n) {
  visit_rows(storage, first, n, ask);
}
