/* Storage: the rows behind datasets. Only the dataset's own files include this; everyone else goes through dataset.h.
 *
 * Rows lie in chunks, so that reading never copies what it has; labels, weights and true probabilities are arrays over
 * all rows. */
#ifndef DFM_DATA_STORAGE_H
#define DFM_DATA_STORAGE_H

#include <stdatomic.h>

#include "data/dataset.h"

enum { DFM_CHUNK_BITS = 16, DFM_CHUNK_ROWS = 1 << DFM_CHUNK_BITS };

typedef struct dfm_storage {
  int F, D;
  int64_t rows;
  uint32_t **category; /* per chunk (DFM_CHUNK_ROWS, F), row-major; provisional values until settled, then ids */
  float **number;      /* per chunk (DFM_CHUNK_ROWS, D), raw, NaN where the cell was empty; in one block with the ids */
  size_t n_chunks, category_capacity, number_capacity;
  float *label, *weight, *truth; /* (rows); NULL where the text has no such column */
  size_t label_capacity, weight_capacity, truth_capacity;
  bool has_label, has_weight, has_truth;
  bool has_label_gap; /* some row's label cell was empty: then the rows count as unlabelled */
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
  dfm_cell_counts *counts; /* (F + D): categories, then numbers */
  atomic_int owners;
};

dfm_status dfm_storage_create(int F, int D, bool has_label, bool has_weight, bool has_truth, dfm_storage **storage,
                              dfm_error *error);
void dfm_storage_release(dfm_storage *storage); /* NULL accepted */
/* Makes room for one more row, whose parts the caller fills. */
dfm_status dfm_storage_add(dfm_storage *storage, dfm_error *error);

static inline uint32_t *dfm_storage_ids(const dfm_storage *storage, int64_t row) {
  return storage->category[row >> DFM_CHUNK_BITS] + (size_t)(row & (DFM_CHUNK_ROWS - 1)) * (size_t)storage->F;
}

static inline float *dfm_storage_numbers(const dfm_storage *storage, int64_t row) {
  return storage->number[row >> DFM_CHUNK_BITS] + (size_t)(row & (DFM_CHUNK_ROWS - 1)) * (size_t)storage->D;
}

/* A view of rows [first, first + rows); retains encoder and storage. Counts are zero until dfm_dataset_count and
 * whoever makes ids set them. */
dfm_status dfm_dataset_view(dfm_encoder *encoder, dfm_storage *storage, int64_t first, int64_t rows,
                            dfm_dataset **dataset, dfm_error *error);
/* Counts the view's positive labels and its empty number cells. */
void dfm_dataset_count(dfm_dataset *dataset);

#endif
