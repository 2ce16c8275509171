/* Placing: rows with provisional values, packed, come in; rows with ids go out, as a dataset's arrays have them.
 * Private to the dataset's own files. */
#ifndef DFM_DATA_PLACING_H
#define DFM_DATA_PLACING_H

#include "base/pool.h"
#include "data/block.h"
#include "data/storage.h"

/* Where the provisional values of a field's vocabulary go. */
typedef struct dfm_field_place {
  uint32_t *place; /* (n) provisional value -> table row or DFM_ID_NONE; NULL: it has buckets */
  uint32_t n;
  uint32_t empty;        /* provisional value of the empty cell, DFM_ID_NONE where there was none */
  uint32_t empty_bucket; /* where place is NULL: what it is a cell of */
  uint32_t first, unknown;
  bool is_large;  /* `place` lies outside the first caches, so that asking ahead pays */
  bool is_sharer; /* `place` is the one of the field that it shares with */
  /* Of the cells that were counted, so many have a value with an id and are empty; known < 0: not known, as of lists
   * and of fields that share. */
  int64_t known, missing;
} dfm_field_place;

/* Those of all fields: what packed rows need to become rows with ids. */
struct dfm_places {
  int F;
  dfm_field_place *field; /* (F) */
  atomic_int owners;
};
dfm_status dfm_places_create(int F, dfm_places **places, dfm_error *error);
dfm_places *dfm_places_retain(dfm_places *places);
void dfm_places_release(dfm_places *places); /* NULL accepted */

static inline uint32_t dfm_place_id(const dfm_field_place *at, uint32_t value) {
  if (value == DFM_ID_NONE) return at->unknown;
  if (at->place) return at->place[value];
  return (value == at->empty ? at->empty_bucket : value) + at->first;
}

/* ---- packed rows of a storage */

/* From here on the storage, still empty, packs its rows, on as many threads. */
dfm_status dfm_storage_pack(dfm_storage *storage, int threads, dfm_error *error);
/* Packs `n` rows of a block, `at` (n) of them, as the storage's packed block `number`; block row r is row `row` + r of
 * the text. */
dfm_status dfm_storage_pack_rows(const dfm_storage *storage, size_t number, int thread, const dfm_block *block,
                                 const int *at, int n, int64_t row, dfm_error *error);

/* What a thread reads rows of a storage with. {0} at the start. */
typedef struct dfm_row_reader {
  dfm_unpacking unpacking;
  uint32_t *ids;  /* (F, DFM_READER_STRIDE) */
  float *numbers; /* (D, DFM_READER_STRIDE) */
} dfm_row_reader;
/* Columns a power of two apart would share few sets of the first-level cache. */
enum { DFM_READER_STRIDE = DFM_PACKED_ROWS + 16 };
void dfm_row_reader_clear(dfm_row_reader *reader);
/* Reads the provisional values or ids of rows [row, row + n), DFM_PACKED_ROWS at most, packed or not, to reader->ids;
 * those of lists are of no use. And their numbers. */
dfm_status dfm_storage_read_ids(const dfm_storage *storage, int64_t row, int n, dfm_row_reader *reader,
                                dfm_error *error);
dfm_status dfm_storage_read_numbers(const dfm_storage *storage, int64_t row, int n, dfm_row_reader *reader,
                                    dfm_error *error);

/* Makes rows [row, row + n) of array `array` (as dfm_storage_array counts) of a storage that is packed, with ids in
 * place of provisional values. */
dfm_status dfm_storage_make(const dfm_storage *storage, int array, int64_t row, int64_t n, dfm_row_reader *reader,
                            void *to, dfm_error *error);
/* Makes all arrays; from here on the storage is not packed. Does nothing where it is not. */
dfm_status dfm_storage_unpack(dfm_storage *storage, dfm_pool *pool, dfm_error *error);

#endif
