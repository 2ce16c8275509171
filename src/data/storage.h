/* Storage: the rows behind datasets. Only the dataset's own files include this; everyone else goes through dataset.h.
 *
 * Each column group is one array over all rows; a list field has one over the rows, where their items begin, and one or
 * two over the items. While rows are read the arrays grow, up to a budget in memory. Beyond it rows go to unlinked
 * files, a window of them at a time, which are mapped when there are no more; lists' arrays are mapped files from then
 * on, given back step by step. A dataset file's arrays are its tensors, mapped. Either way memory does not grow with
 * the rows. */
#ifndef DFM_DATA_STORAGE_H
#define DFM_DATA_STORAGE_H

#include <stdatomic.h>

#include "base/pool.h"
#include "base/spill.h"
#include "data/block.h"
#include "data/dataset.h"
#include "data/packed.h"

/* What a row may have beside ids and numbers. */
typedef struct dfm_storage_has {
  bool label, weight, truth;
  bool file_row; /* its number in the text: where rows do not lie in the text's order */
} dfm_storage_has;

/* The arrays of a storage, in the order of `spill`. */
enum {
  DFM_ARRAY_CATEGORY,
  DFM_ARRAY_NUMBER,
  DFM_ARRAY_LABEL,
  DFM_ARRAY_WEIGHT,
  DFM_ARRAY_TRUTH,
  DFM_ARRAY_FILE_ROW,
  DFM_STORAGE_ARRAYS
};
enum { DFM_LIST_ARRAYS = 3 };

/* The cells of one list field: row r has items [offsets[r], offsets[r + 1]). */
typedef struct dfm_list {
  bool has_weights;
  uint64_t *offsets; /* (rows + 1) */
  uint32_t *ids;     /* (items); provisional values until settled, then ids */
  float *weights;    /* (items); NULL where items have none */
  uint64_t items, capacity;
  dfm_spill spill[DFM_LIST_ARRAYS];
} dfm_list;

/* Rows of a file are checked when they are first asked for, in chunks. */
typedef struct dfm_row_check dfm_row_check;

typedef struct dfm_places dfm_places; /* placing.h */

typedef struct dfm_storage {
  int F, D;
  dfm_storage_has has;
  int64_t rows;
  uint32_t *category;            /* (rows, F); provisional values until settled, then ids; a list field's are 0 */
  dfm_list *list;                /* (F); {0} where the field is no list */
  float *number;                 /* (rows, D), raw, NaN where the cell was empty */
  float *label, *weight, *truth; /* (rows); NULL where there is none */
  uint64_t *file_row;            /* (rows) */
  bool has_label_gap;            /* some row's label cell was empty: then the rows count as unlabelled */
  dfm_bad_rows bad;              /* of the text, left out */

  dfm_packed *packed; /* the rows, until arrays are made of them; NULL: the arrays hold them, but those of lists */
  dfm_places *places; /* retained: what their values become; NULL: not known yet */

  size_t budget_bytes; /* of rows in memory, before they go to files */
  int64_t capacity;    /* rows that fit behind those in files */
  int64_t written;     /* while rows are added: so many are in files, and row r is at r - written of the arrays */
  bool is_filing;      /* rows are added by way of files */
  bool is_finished;    /* there are no more rows */
  dfm_spill spill[DFM_STORAGE_ARRAYS];
  char *folder;      /* of the files */
  dfm_st_file *file; /* a dataset file's, retained: the arrays are its tensors, read-only; NULL: the arrays are ours */
  int64_t second;    /* rows [0, second) and [second, rows) ascend in `file_row` */
  dfm_row_check *check; /* what is still to be checked of a file's rows; NULL: the arrays are ours */
  atomic_int owners;
} dfm_storage;

/* What a view knows of one field's cells. */
typedef struct dfm_cell_counts {
  int64_t unknown, missing;
} dfm_cell_counts;

/* A range of a storage's rows. */
struct dfm_dataset {
  dfm_encoder *encoder;
  dfm_storage *storage;
  int64_t first, rows, positives;
  int64_t before;          /* rows of the same text in datasets before this one (dfm_reader) */
  dfm_bad_rows bad;        /* of its text, left out */
  dfm_cell_counts *counts; /* (F + D): categories, then numbers */
  atomic_int owners;
};

/* For rows of the encoder's fields. Rows beyond 64 MB go to files in `folder` (copied; NULL: $TMPDIR, or /tmp). */
dfm_status dfm_storage_create(const dfm_encoder *encoder, dfm_storage_has has, const char *folder,
                              dfm_storage **storage, dfm_error *error);
void dfm_storage_release(dfm_storage *storage); /* NULL accepted */
/* Makes room for `n` more rows, whose parts the caller fills, at [rows - n - written, rows - written) of the arrays,
 * before the next call; or where they are packed, packs. Their lists are empty. Arrays may move. Where rows are written
 * to files, the pool's threads do it (NULL: this one). */
dfm_status dfm_storage_add(dfm_storage *storage, int64_t n, dfm_pool *pool, dfm_error *error);
/* There are no more rows: from here on the arrays hold all of them. Due after the last
 * dfm_storage_add, before rows are read; a second call does nothing. */
dfm_status dfm_storage_finish(dfm_storage *storage, dfm_pool *pool, dfm_error *error);
/* Whether the arrays of all rows are more than memory should hold. Has them, empty, in memory or in files, which are
 * written to before dfm_storage_close_arrays maps them. */
bool dfm_storage_exceeds_memory(const dfm_storage *storage);
dfm_status dfm_storage_open_arrays(dfm_storage *storage, bool to_file, dfm_error *error);
dfm_status dfm_storage_close_arrays(dfm_storage *storage, dfm_error *error);
/* Makes room for the `n` items of row `row`'s list of field f, in the order of rows: the caller fills `ids` and
 * `weights` of the list from the index `*first` on. Arrays may move. */
dfm_status dfm_storage_add_items(dfm_storage *storage, int f, int64_t row, size_t n, uint64_t *first, dfm_error *error);
/* Rows [first, first + n) are not needed for now; where they lie in a file, their memory goes back. Any thread. */
void dfm_storage_spent(const dfm_storage *storage, int64_t first, int64_t n);
/* They are read in any order until then; the system should map them alone. */
void dfm_storage_apart(const dfm_storage *storage, int64_t first, int64_t n);
/* Rows are from here on only read by who asks ahead. */
void dfm_storage_scattered(const dfm_storage *storage);
/* They are needed soon: where they lie in a file, it is read meanwhile. */
void dfm_storage_ahead(const dfm_storage *storage, int64_t first, int64_t n);
/* Has the rows of a dataset file, which is retained, in a storage fresh from dfm_storage_create for the file's
 * encoder. */
dfm_status dfm_storage_map(dfm_storage *storage, dfm_st_file *file, const dfm_encoder *encoder, dfm_error *error);
/* Whoever hands out a file's rows calls dfm_storage_check for them first: checksums, ids against the tables that
 * `encoder` has, finiteness; what passed before is taken as good. Any thread. */
dfm_status dfm_storage_check_begin(dfm_storage *storage, const dfm_encoder *encoder, dfm_error *error);
dfm_status dfm_storage_check(const dfm_storage *storage, int64_t first, int64_t n, dfm_error *error);
void dfm_storage_check_end(dfm_storage *storage);
/* Where row `row` of array `array` lies (NULL: no such array) and its bytes. */
const char *dfm_storage_array(const dfm_storage *storage, int array, int64_t row, size_t *row_bytes);

/* NULL where there are no categories. */
static inline uint32_t *dfm_storage_ids(const dfm_storage *storage, int64_t row) {
  return storage->F > 0 ? storage->category + (size_t)row * (size_t)storage->F : NULL;
}

static inline bool dfm_storage_is_list(const dfm_storage *storage, int f) {
  return storage->list[f].offsets != NULL;
}

/* Items of rows [first, first + n); 0 where a file's offsets, perhaps not yet checked, make no sense. */
static inline uint64_t dfm_list_items(const dfm_list *list, int64_t first, int64_t n) {
  const uint64_t from = list->offsets[first], to = list->offsets[first + n];
  return from <= to && to <= list->items ? to - from : 0;
}

/* The ids of row `row` in field f, one or those of its items, from `*ids` on. */
static inline uint64_t dfm_storage_cells(const dfm_storage *storage, int64_t row, int f, const uint32_t **ids) {
  const dfm_list *list = &storage->list[f];
  if (!dfm_storage_is_list(storage, f)) {
    *ids = dfm_storage_ids(storage, row) + f;
    return 1;
  }
  *ids = list->ids + list->offsets[row];
  return list->offsets[row + 1] - list->offsets[row];
}

/* NULL where there are no numbers. */
static inline float *dfm_storage_numbers(const dfm_storage *storage, int64_t row) {
  return storage->D > 0 ? storage->number + (size_t)row * (size_t)storage->D : NULL;
}

/* Rows of a piece of passes over rows that are ours. dfm_scan (dataset.h) is for any rows. */
enum { DFM_STORAGE_PASS_ROWS = 1 << 16 };

/* A view of rows [first, first + rows); retains encoder and storage. Counts are zero until dfm_dataset_count and
 * whoever makes ids set them. */
dfm_status dfm_dataset_view(dfm_encoder *encoder, dfm_storage *storage, int64_t first, int64_t rows,
                            dfm_dataset **dataset, dfm_error *error);
/* Cells of category field f in the view; of a list its items. */
int64_t dfm_dataset_cells(const dfm_dataset *dataset, int f);
/* Counts the view's positive labels and its empty number cells. */
void dfm_dataset_count(dfm_dataset *dataset);
/* Adds the empty number cells of the view's rows [first, first + rows) to `counts` (D); returns their positive
 * labels. */
int64_t dfm_dataset_count_rows(const dfm_dataset *dataset, int64_t first, int64_t rows, dfm_cell_counts *counts);

#endif
