/* Datasets: a storage's rows and an encoder come in; what callers may know of them goes out: counts, labels, rows as
 * text. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/memory.h"
#include "data/storage.h"

dfm_status dfm_dataset_view(dfm_encoder *encoder, dfm_storage *storage, int64_t first, int64_t rows,
                            dfm_dataset **dataset, dfm_error *error) {
  dfm_dataset *made;
  dfm_cell_counts *counts;
  DFM_TRY(dfm_alloc(&counts, (size_t)storage->F + (size_t)storage->D, sizeof *counts, error));
  const dfm_status status = dfm_alloc(&made, 1, sizeof *made, error);
  if (status != DFM_OK) {
    free(counts);
    return status;
  }
  *made = (dfm_dataset){
      .encoder = dfm_encoder_retain(encoder), .storage = storage, .first = first, .rows = rows, .counts = counts};
  atomic_fetch_add(&storage->owners, 1);
  atomic_init(&made->owners, 1);
  *dataset = made;
  return DFM_OK;
}

void dfm_dataset_count(dfm_dataset *dataset) {
  const dfm_storage *storage = dataset->storage;
  dfm_cell_counts *counts = dataset->counts + storage->F;
  const float *labels = dfm_dataset_labels(dataset);
  for (int64_t i = 0; i < dataset->rows; i++) {
    dfm_storage_pass(storage, dataset->first + i);
    const float *numbers = dfm_storage_numbers(storage, dataset->first + i);
    for (int d = 0; d < storage->D; d++) counts[d].missing += isnan(numbers[d]);
    if (labels) dataset->positives += labels[i] == 1;
  }
}

dfm_dataset *dfm_dataset_retain(dfm_dataset *dataset) {
  atomic_fetch_add(&dataset->owners, 1);
  return dataset;
}

void dfm_dataset_free(dfm_dataset *dataset) {
  if (!dataset || atomic_fetch_sub(&dataset->owners, 1) != 1) return;
  dfm_encoder_release(dataset->encoder);
  dfm_storage_release(dataset->storage);
  free(dataset->counts);
  free(dataset);
}

const dfm_encoder *dfm_dataset_encoder(const dfm_dataset *dataset) {
  return dataset->encoder;
}

int64_t dfm_dataset_rows(const dfm_dataset *dataset) {
  return dataset->rows;
}

bool dfm_dataset_has_label(const dfm_dataset *dataset) {
  return dataset->storage->has.label && !dataset->storage->has_label_gap;
}

bool dfm_dataset_has_weight(const dfm_dataset *dataset) {
  return dataset->storage->has.weight;
}

int64_t dfm_dataset_positives(const dfm_dataset *dataset) {
  return dataset->positives;
}

const float *dfm_dataset_labels(const dfm_dataset *dataset) {
  return dfm_dataset_has_label(dataset) ? dataset->storage->label + dataset->first : NULL;
}

const float *dfm_dataset_weights(const dfm_dataset *dataset) {
  return dataset->storage->has.weight ? dataset->storage->weight + dataset->first : NULL;
}

const float *dfm_dataset_truth(const dfm_dataset *dataset) {
  return dataset->storage->has.truth ? dataset->storage->truth + dataset->first : NULL;
}

size_t dfm_dataset_fields(const dfm_dataset *dataset) {
  return (size_t)dataset->storage->F + (size_t)dataset->storage->D;
}

dfm_field_count dfm_dataset_field(const dfm_dataset *dataset, size_t i) {
  const dfm_encoder *encoder = dataset->encoder;
  int index;
  const bool is_number = dfm_encoder_field(encoder, i, &index);
  const dfm_cell_counts *counts = &dataset->counts[is_number ? encoder->F + index : index];
  return (dfm_field_count){.name = is_number ? encoder->number[index].name : encoder->category[index].name,
                           .is_number = is_number,
                           .unknown = counts->unknown,
                           .missing = counts->missing};
}

/* ---- fingerprint */

/* The arrays whose rows count, as in a storage: categories, numbers, labels, weights. */
enum { N_HASHED = 4 };

static dfm_status hash_rows(XXH3_state_t *const state[N_HASHED], const dfm_dataset *dataset, dfm_error *error) {
  dfm_scan scan = {.dataset = dataset, .end = dataset->rows};
  for (;;) {
    DFM_TRY(dfm_scan_next(&scan, error));
    if (scan.n == 0) return DFM_OK;
    for (int i = 0; i < N_HASHED; i++) {
      size_t size;
      const char *rows = dfm_storage_array(dataset->storage, i, dataset->first + scan.first, &size);
      const bool is_left_out = i == 2 && !dfm_dataset_has_label(dataset);
      if (rows && !is_left_out) (void)XXH3_64bits_update(state[i], rows, (size_t)scan.n * size);
    }
  }
}

dfm_status dfm_dataset_fingerprint(const dfm_dataset *dataset, uint64_t *fingerprint, dfm_error *error) {
  const dfm_storage *storage = dataset->storage;
  uint64_t parts[5 + N_HASHED] = {(uint64_t)dataset->rows, (uint64_t)storage->F, (uint64_t)storage->D,
                                  dfm_dataset_has_label(dataset), storage->has.weight};
  XXH3_state_t *state[N_HASHED];
  dfm_status status = DFM_OK;
  for (int i = 0; i < N_HASHED; i++) {
    state[i] = XXH3_createState();
    if (!state[i])
      status = dfm_fail(error, DFM_ERROR_MEMORY, "out of memory for a fingerprint of the rows");
    else
      (void)XXH3_64bits_reset(state[i]);
  }
  if (status == DFM_OK) status = hash_rows(state, dataset, error);
  for (int i = 0; i < N_HASHED; i++) {
    if (status == DFM_OK) parts[5 + i] = XXH3_64bits_digest(state[i]);
    (void)XXH3_freeState(state[i]);
  }
  if (status == DFM_OK) *fingerprint = XXH3_64bits(parts, sizeof parts);
  return status;
}

/* ---- a row for people */

static dfm_status row_text(const dfm_dataset *dataset, int64_t row, dfm_text *text, dfm_error *error) {
  const dfm_encoder *encoder = dataset->encoder;
  const uint32_t *ids = dfm_storage_ids(dataset->storage, row);
  const float *numbers = dfm_storage_numbers(dataset->storage, row);
  for (size_t i = 0; i < dfm_dataset_fields(dataset); i++) {
    const char *space = i > 0 ? " " : "";
    int index;
    if (dfm_encoder_field(encoder, i, &index)) {
      const double x = (double)dfm_encoder_number(encoder, index, numbers[index]);
      DFM_TRY(dfm_text_printf(text, error, "%s%s=%.6f", space, encoder->number[index].name, x));
    } else if (ids[index] == DFM_ID_NONE) {
      DFM_TRY(dfm_text_printf(text, error, "%s%s=none", space, encoder->category[index].name));
    } else {
      DFM_TRY(dfm_text_printf(text, error, "%s%s=%u", space, encoder->category[index].name, ids[index]));
    }
  }
  return DFM_OK;
}

dfm_status dfm_dataset_row_text(const dfm_dataset *dataset, int64_t row, char **text, dfm_error *error) {
  if (row < 0 || row >= dataset->rows) {
    return dfm_fail(error, DFM_ERROR_VALUE, "there is no row %lld; the dataset has rows 0 to %lld", (long long)row,
                    (long long)dataset->rows - 1);
  }
  dfm_text made = {0};
  DFM_TRY(dfm_dataset_check(dataset, row, 1, error));
  const dfm_status status = row_text(dataset, dataset->first + row, &made, error);
  if (status != DFM_OK) {
    free(made.bytes);
    return status;
  }
  *text = made.bytes;
  return DFM_OK;
}
