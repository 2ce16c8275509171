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

int64_t dfm_dataset_row_bytes(const dfm_dataset *dataset) {
  const dfm_storage *storage = dataset->storage;
  int64_t bytes = 4 * ((int64_t)storage->F + storage->D + 1 + storage->has.weight);
  for (int f = 0; f < storage->F; f++) {
    const dfm_list *list = &storage->list[f];
    if (!dfm_storage_is_list(storage, f)) continue;
    const int64_t item_bytes = dfm_dataset_cells(dataset, f) * (list->weights ? 8 : 4);
    bytes += 8 + (dataset->rows > 0 ? (item_bytes + dataset->rows - 1) / dataset->rows : 0);
  }
  return bytes;
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

int64_t dfm_dataset_cells(const dfm_dataset *dataset, int f) {
  const dfm_list *list = &dataset->storage->list[f];
  if (!dfm_storage_is_list(dataset->storage, f)) return dataset->rows;
  return (int64_t)(list->offsets[dataset->first + dataset->rows] - list->offsets[dataset->first]);
}

dfm_field_count dfm_dataset_field(const dfm_dataset *dataset, size_t i) {
  const dfm_encoder *encoder = dataset->encoder;
  int index;
  const bool is_number = dfm_encoder_field(encoder, i, &index);
  const dfm_cell_counts *counts = &dataset->counts[is_number ? encoder->F + index : index];
  return (dfm_field_count){.name = is_number ? encoder->number[index].name : encoder->category[index].name,
                           .is_number = is_number,
                           .is_list = !is_number && encoder->category[index].is_list,
                           .cells = is_number ? dataset->rows : dfm_dataset_cells(dataset, index),
                           .unknown = counts->unknown,
                           .missing = counts->missing};
}

const uint64_t *dfm_dataset_text_rows(const dfm_dataset *dataset) {
  return dataset->storage->has.file_row ? dataset->storage->file_row + dataset->first : NULL;
}

void dfm_dataset_spent(const dfm_dataset *dataset, int64_t first, int64_t n) {
  dfm_storage_spent(dataset->storage, dataset->first + first, n);
}

/* ---- fingerprint */

/* The view's rows of an array with `width` bytes a row, in pieces whose memory is given back. */
static void hash_rows(XXH3_state_t *state, const dfm_dataset *dataset, const void *array, size_t width) {
  enum { PIECE = DFM_STORAGE_PASS_ROWS };
  for (int64_t at = 0; array && at < dataset->rows; at += PIECE) {
    const int64_t row = dataset->first + at, n = dataset->rows - at < PIECE ? dataset->rows - at : PIECE;
    (void)XXH3_64bits_update(state, (const char *)array + (size_t)row * width, (size_t)n * width);
    dfm_storage_spent(dataset->storage, row, n);
  }
}

/* Row by row how many items and which. */
static void hash_list(XXH3_state_t *state, const dfm_dataset *dataset, const dfm_list *list) {
  for (int64_t row = dataset->first; row < dataset->first + dataset->rows; row++) {
    const uint64_t first = list->offsets[row], n = list->offsets[row + 1] - first;
    dfm_storage_pass(dataset->storage, row);
    (void)XXH3_64bits_update(state, &n, sizeof n);
    (void)XXH3_64bits_update(state, list->ids + first, n * sizeof *list->ids);
    if (list->weights) (void)XXH3_64bits_update(state, list->weights + first, n * sizeof *list->weights);
  }
}

uint64_t dfm_dataset_fingerprint(const dfm_dataset *dataset) {
  const dfm_storage *storage = dataset->storage;
  const int64_t shape[] = {dataset->rows, storage->F, storage->D, dfm_dataset_has_label(dataset), storage->has.weight};
  XXH3_state_t *state = XXH3_createState();
  if (!state) return 0;
  (void)XXH3_64bits_reset(state);
  (void)XXH3_64bits_update(state, shape, sizeof shape);
  hash_rows(state, dataset, storage->category, (size_t)storage->F * sizeof *storage->category);
  hash_rows(state, dataset, storage->number, (size_t)storage->D * sizeof *storage->number);
  hash_rows(state, dataset, dfm_dataset_has_label(dataset) ? storage->label : NULL, sizeof *storage->label);
  hash_rows(state, dataset, storage->weight, sizeof *storage->weight);
  for (int f = 0; f < storage->F; f++)
    if (dfm_storage_is_list(storage, f)) hash_list(state, dataset, &storage->list[f]);
  const uint64_t fingerprint = XXH3_64bits_digest(state);
  (void)XXH3_freeState(state);
  return fingerprint;
}

/* ---- a row for people */

/* "genres=[3 7*0.5 none]" */
static dfm_status list_text(const dfm_list *list, int64_t row, const char *name, dfm_text *text, dfm_error *error) {
  DFM_TRY(dfm_text_printf(text, error, "%s=[", name));
  for (uint64_t i = list->offsets[row]; i < list->offsets[row + 1]; i++) {
    if (i > list->offsets[row]) DFM_TRY(dfm_text_printf(text, error, " "));
    DFM_TRY(list->ids[i] == DFM_ID_NONE ? dfm_text_printf(text, error, "none")
                                        : dfm_text_printf(text, error, "%u", list->ids[i]));
    if (list->weights) DFM_TRY(dfm_text_printf(text, error, "*%g", (double)list->weights[i]));
  }
  return dfm_text_printf(text, error, "]");
}

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
    } else if (dfm_storage_is_list(dataset->storage, index)) {
      DFM_TRY(dfm_text_printf(text, error, "%s", space));
      DFM_TRY(list_text(&dataset->storage->list[index], row, encoder->category[index].name, text, error));
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
  const dfm_status status = row_text(dataset, dataset->first + row, &made, error);
  if (status != DFM_OK) {
    free(made.bytes);
    return status;
  }
  *text = made.bytes;
  return DFM_OK;
}
