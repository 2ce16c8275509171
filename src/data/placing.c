/* Placing: a storage packs the rows of blocks while they are read; when their values have ids, its arrays are made. */
#include "data/placing.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/prefetch.h"

dfm_status dfm_places_create(int F, dfm_places **places, dfm_error *error) {
  dfm_places *made;
  DFM_TRY(dfm_alloc(&made, 1, sizeof *made, error));
  atomic_init(&made->owners, 1);
  made->F = F;
  const dfm_status status = dfm_alloc(&made->field, (size_t)F, sizeof *made->field, error);
  if (status != DFM_OK) {
    free(made);
    return status;
  }
  *places = made;
  return DFM_OK;
}

dfm_places *dfm_places_retain(dfm_places *places) {
  atomic_fetch_add(&places->owners, 1);
  return places;
}

void dfm_places_release(dfm_places *places) {
  if (!places || atomic_fetch_sub(&places->owners, 1) != 1) return;
  for (int f = 0; f < places->F; f++) {
    const dfm_field_place *at = &places->field[f];
    if (!at->is_sharer) dfm_slab_free(at->place, at->n, sizeof *at->place);
  }
  free(places->field);
  free(places);
}

/* ---- packing */

enum { IDS, NUMBERS, REST }; /* sections */

static int section_of(int array) {
  return array == DFM_ARRAY_CATEGORY ? IDS : array == DFM_ARRAY_NUMBER ? NUMBERS : REST;
}

/* Columns of the last section before array `array`'s: label, weight, truth, and the row's number, in halves. */
static int rest_column(const dfm_storage *storage, int array) {
  const bool has[] = {storage->has.label, storage->has.weight, storage->has.truth};
  int n = 0;
  for (int i = DFM_ARRAY_LABEL; i < array && i < DFM_ARRAY_FILE_ROW; i++) n += has[i - DFM_ARRAY_LABEL];
  return n;
}

dfm_status dfm_storage_pack(dfm_storage *storage, int threads, dfm_error *error) {
  const int columns[DFM_PACKED_SECTIONS] = {storage->F, storage->D,
                                            rest_column(storage, DFM_ARRAY_FILE_ROW) + (storage->has.file_row ? 2 : 0)};
  return dfm_packed_create(columns, threads, storage->budget_bytes, storage->folder, &storage->packed, error);
}

/* Values [at[i] stride] of a column, side by side; where they lie so already, as they are. */
static const void *gather(const void *from, size_t stride, const int *at, int n, uint32_t *to) {
  const uint32_t *cells = from;
  if (stride == 1 && at[n - 1] == n - 1) return cells; /* `at` ascends: it is all from 0 on */
  for (int i = 0; i < n; i++) memcpy(&to[i], &cells[(size_t)at[i] * stride], sizeof *to);
  return to;
}

static void pack_file_rows(dfm_packing *packing, const int *at, int n, int64_t row) {
  uint32_t low[DFM_PACKED_ROWS], high[DFM_PACKED_ROWS];
  for (int i = 0; i < n; i++) {
    const uint64_t number = (uint64_t)(row + at[i]);
    low[i] = (uint32_t)number;
    high[i] = (uint32_t)(number >> 32);
  }
  dfm_packing_ids(packing, low);
  dfm_packing_ids(packing, high);
}

dfm_status dfm_storage_pack_rows(const dfm_storage *storage, size_t number, int thread, const dfm_block *block,
                                 const int *at, int n, int64_t row, dfm_error *error) {
  const float *rest[] = {storage->has.label ? block->label : NULL, storage->has.weight ? block->weight : NULL,
                         storage->has.truth ? block->truth : NULL};
  const size_t D = (size_t)block->D;
  uint32_t cells[DFM_PACKED_ROWS];
  dfm_packing packing;
  _Static_assert((int)DFM_BLOCK_ROWS <= (int)DFM_PACKED_ROWS, "a block's rows are packed together");
  DFM_TRY(dfm_packing_begin(storage->packed, number, thread, &packing, error));
  for (int f = 0; f < block->F; f++)
    dfm_packing_ids(&packing, gather(block->id + (size_t)f * DFM_BLOCK_STRIDE, 1, at, n, cells));
  for (size_t d = 0; d < D; d++) dfm_packing_numbers(&packing, gather(block->number + d, D, at, n, cells));
  for (int i = 0; i < 3; i++)
    if (rest[i]) dfm_packing_numbers(&packing, gather(rest[i], 1, at, n, cells));
  if (storage->has.file_row) pack_file_rows(&packing, at, n, row);
  dfm_packing_end(&packing);
  return DFM_OK;
}

/* ---- reading */

void dfm_row_reader_clear(dfm_row_reader *reader) {
  dfm_unpacking_clear(&reader->unpacking);
  free(reader->ids);
  free(reader->numbers);
  *reader = (dfm_row_reader){0};
}

/* Rows (n, columns) of cells of 32 bits, column by column. */
static void transpose(const uint32_t *rows, size_t columns, int n, uint32_t *to) {
  for (int i = 0; i < n; i++)
    for (size_t c = 0; c < columns; c++) to[c * DFM_READER_STRIDE + (size_t)i] = rows[(size_t)i * columns + c];
}

dfm_status dfm_storage_read_ids(const dfm_storage *storage, int64_t row, int n, dfm_row_reader *reader,
                                dfm_error *error) {
  dfm_packed_pass pass = {.packed = storage->packed, .section = IDS, .row = row, .end = row + n};
  const size_t F = (size_t)storage->F;
  if (!reader->ids) DFM_TRY(dfm_alloc(&reader->ids, F * DFM_READER_STRIDE, sizeof *reader->ids, error));
  if (!storage->packed && F > 0) transpose(dfm_storage_ids(storage, row), F, n, reader->ids);
  while (storage->packed) {
    DFM_TRY(dfm_packed_next(&pass, &reader->unpacking, error));
    if (pass.n == 0) break;
    for (size_t f = 0; f < F; f++)
      dfm_unpack_ids(&reader->unpacking, (int)f, pass.from, pass.n,
                     reader->ids + f * DFM_READER_STRIDE + (pass.row - row));
  }
  return DFM_OK;
}

dfm_status dfm_storage_read_numbers(const dfm_storage *storage, int64_t row, int n, dfm_row_reader *reader,
                                    dfm_error *error) {
  dfm_packed_pass pass = {.packed = storage->packed, .section = NUMBERS, .row = row, .end = row + n};
  const size_t D = (size_t)storage->D;
  if (!reader->numbers) DFM_TRY(dfm_alloc(&reader->numbers, D * DFM_READER_STRIDE, sizeof *reader->numbers, error));
  if (!storage->packed && D > 0)
    transpose((const void *)dfm_storage_numbers(storage, row), D, n, (void *)reader->numbers);
  while (storage->packed) {
    DFM_TRY(dfm_packed_next(&pass, &reader->unpacking, error));
    if (pass.n == 0) break;
    for (size_t d = 0; d < D; d++)
      dfm_unpack_numbers(&reader->unpacking, (int)d, pass.from, pass.n,
                         reader->numbers + d * DFM_READER_STRIDE + (pass.row - row));
  }
  return DFM_OK;
}

/* ---- rows as arrays have them */

/* Rows that are made at once: those that the first caches hold. */
enum { PIECE_ROWS = 128 };

/* The ids of a column's values, to every `stride`th place. */
DFM_PREFETCHES void place_column(const dfm_field_place *at, const uint32_t *values, int n, size_t stride,
                                 uint32_t *to) {
  for (int i = 0; i < n && at->is_large; i++)
    if (values[i] < at->n) __builtin_prefetch(&at->place[values[i]]);
  for (int i = 0; i < n; i++) to[(size_t)i * stride] = dfm_place_id(at, values[i]);
}

static void make_ids(const dfm_storage *storage, const dfm_unpacking *open, int from, int n, uint32_t *to) {
  const size_t F = (size_t)storage->F;
  uint32_t values[PIECE_ROWS];
  for (size_t f = 0; f < F; f++) {
    if (dfm_storage_is_list(storage, (int)f)) {
      for (int i = 0; i < n; i++) to[(size_t)i * F + f] = 0;
      continue;
    }
    dfm_unpack_ids(open, (int)f, from, n, values);
    place_column(&storage->places->field[f], values, n, F, to + f);
  }
}

static void make_numbers(const dfm_storage *storage, const dfm_unpacking *open, int from, int n, float *to) {
  const size_t D = (size_t)storage->D;
  float numbers[PIECE_ROWS];
  for (size_t d = 0; d < D; d++) {
    dfm_unpack_numbers(open, (int)d, from, n, numbers);
    for (int i = 0; i < n; i++) to[(size_t)i * D + d] = numbers[i];
  }
}

static void make_file_rows(const dfm_storage *storage, const dfm_unpacking *open, int from, int n, uint64_t *to) {
  const int column = rest_column(storage, DFM_ARRAY_FILE_ROW);
  uint32_t low[PIECE_ROWS], high[PIECE_ROWS];
  dfm_unpack_ids(open, column, from, n, low);
  dfm_unpack_ids(open, column + 1, from, n, high);
  for (int i = 0; i < n; i++) to[i] = low[i] | (uint64_t)high[i] << 32;
}

static void make_piece(const dfm_storage *storage, int array, const dfm_unpacking *open, int from, int n, void *to) {
  if (array == DFM_ARRAY_CATEGORY)
    make_ids(storage, open, from, n, to);
  else if (array == DFM_ARRAY_NUMBER)
    make_numbers(storage, open, from, n, to);
  else if (array == DFM_ARRAY_FILE_ROW)
    make_file_rows(storage, open, from, n, to);
  else
    dfm_unpack_numbers(open, rest_column(storage, array), from, n, to);
}

dfm_status dfm_storage_make(const dfm_storage *storage, int array, int64_t row, int64_t n, dfm_row_reader *reader,
                            void *to, dfm_error *error) {
  dfm_packed_pass pass = {.packed = storage->packed, .section = section_of(array), .row = row, .end = row + n};
  size_t row_bytes;
  (void)dfm_storage_array(storage, array, 0, &row_bytes);
  for (char *at = to;;) {
    DFM_TRY(dfm_packed_next(&pass, &reader->unpacking, error));
    if (pass.n == 0) return DFM_OK;
    for (int i = 0; i < pass.n; i += PIECE_ROWS) {
      const int piece = pass.n - i < PIECE_ROWS ? pass.n - i : PIECE_ROWS;
      make_piece(storage, array, &reader->unpacking, pass.from + i, piece, at);
      at += (size_t)piece * row_bytes;
    }
  }
}

/* ---- all of them */

enum { RANGE_ROWS = 4096 };

typedef struct laying {
  dfm_storage *storage;
  bool to_file;
  dfm_row_reader *reader; /* (threads) */
  void **buffer;          /* (threads) of a range's rows of one array, on their way to the file */
  dfm_status *status;     /* (threads) */
  dfm_error *error;       /* (threads) */
} laying;

static dfm_status lay_array(const laying *run, int array, int64_t row, int64_t n, int thread) {
  const dfm_storage *storage = run->storage;
  const dfm_spill *spill = &storage->spill[array];
  dfm_error *error = &run->error[thread];
  size_t size;
  (void)dfm_storage_array(storage, array, 0, &size);
  if (size == 0) return DFM_OK;
  const size_t at = (size_t)row * size, bytes = (size_t)n * size;
  if (!run->to_file) return dfm_storage_make(storage, array, row, n, &run->reader[thread], spill->bytes + at, error);
  DFM_TRY(dfm_storage_make(storage, array, row, n, &run->reader[thread], run->buffer[thread], error));
  return dfm_spill_write(spill, at, run->buffer[thread], bytes, storage->folder, error);
}

static void lay_task(void *context, int task, int thread) {
  const laying *run = context;
  const int64_t row = (int64_t)task * RANGE_ROWS, left = run->storage->rows - row;
  for (int i = 0; i < DFM_STORAGE_ARRAYS && run->status[thread] == DFM_OK; i++)
    run->status[thread] = lay_array(run, i, row, left < RANGE_ROWS ? left : RANGE_ROWS, thread);
}

static dfm_status allocate(laying *run, int threads, dfm_error *error) {
  const dfm_storage *storage = run->storage;
  size_t most = sizeof(uint64_t);
  if ((size_t)storage->F * sizeof(uint32_t) > most) most = (size_t)storage->F * sizeof(uint32_t);
  if ((size_t)storage->D * sizeof(float) > most) most = (size_t)storage->D * sizeof(float);
  DFM_TRY(dfm_alloc(&run->reader, (size_t)threads, sizeof *run->reader, error));
  DFM_TRY(dfm_alloc(&run->status, (size_t)threads, sizeof *run->status, error));
  DFM_TRY(dfm_alloc(&run->error, (size_t)threads, sizeof *run->error, error));
  DFM_TRY(dfm_alloc(&run->buffer, (size_t)threads, sizeof *run->buffer, error));
  for (int i = 0; i < threads && run->to_file; i++) DFM_TRY(dfm_alloc(&run->buffer[i], RANGE_ROWS, most, error));
  return DFM_OK;
}

static void release(laying *run, int threads) {
  for (int i = 0; i < threads; i++) {
    if (run->reader) dfm_row_reader_clear(&run->reader[i]);
    if (run->buffer) free(run->buffer[i]);
  }
  free(run->reader);
  free(run->buffer);
  free(run->status);
  free(run->error);
}

static dfm_status lay_out(laying *run, dfm_pool *pool, dfm_error *error) {
  const int threads = dfm_pool_threads(pool);
  DFM_TRY(allocate(run, threads, error));
  DFM_TRY(dfm_storage_open_arrays(run->storage, run->to_file, error));
  dfm_pool_run(pool, (int)((run->storage->rows + RANGE_ROWS - 1) / RANGE_ROWS), lay_task, run);
  for (int i = 0; i < threads; i++) {
    if (run->status[i] == DFM_OK) continue;
    if (error) *error = run->error[i];
    return run->status[i];
  }
  return dfm_storage_close_arrays(run->storage, error);
}

dfm_status dfm_storage_unpack(dfm_storage *storage, dfm_pool *pool, dfm_error *error) {
  laying run = {.storage = storage, .to_file = dfm_storage_exceeds_memory(storage)};
  if (!storage->packed) return DFM_OK;
  const dfm_status status = lay_out(&run, pool, error);
  release(&run, dfm_pool_threads(pool));
  if (status != DFM_OK) return status;
  dfm_packed_free(storage->packed);
  dfm_places_release(storage->places);
  storage->packed = NULL;
  storage->places = NULL;
  return DFM_OK;
}
