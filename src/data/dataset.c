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
  *made = (dfm_dataset){.encoder = dfm_encoder_retain(encoder),
                        .storage = storage,
                        .first = first,
                        .rows = rows,
                        .bad = storage->bad,
                        .counts = counts};
  atomic_fetch_add(&storage->owners, 1);
  atomic_init(&made->owners, 1);
  *dataset = made;
  return DFM_OK;
}

int64_t dfm_dataset_count_rows(const dfm_dataset *dataset, int64_t first, int64_t rows, dfm_cell_counts *counts) {
  const dfm_storage *storage = dataset->storage;
  const float *labels = dfm_dataset_labels(dataset);
  int64_t positives = 0;
  for (int64_t i = first; i < first + rows; i++) {
    const float *numbers = dfm_storage_numbers(storage, dataset->first + i);
    for (int d = 0; d < storage->D; d++) counts[d].missing += isnan(numbers[d]);
    if (labels) positives += labels[i] == 1;
  }
  return positives;
}

void dfm_dataset_count(dfm_dataset *dataset) {
  const dfm_storage *storage = dataset->storage;
  enum { PIECE = DFM_STORAGE_PASS_ROWS };
  for (int64_t at = 0; at < dataset->rows; at += PIECE) {
    const int64_t n = dataset->rows - at < PIECE ? dataset->rows - at : PIECE;
    dataset->positives += dfm_dataset_count_rows(dataset, at, n, dataset->counts + storage->F);
    dfm_storage_spent(storage, dataset->first + at, n);
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

const char *dfm_dataset_skipped(const dfm_dataset *dataset, size_t i, int64_t *rows, const char **example) {
  static const char *const reasons[DFM_BADS] = {[DFM_BAD_SHAPE] = "a wrong number of cells or broken syntax",
                                                [DFM_BAD_NUMBER] = "a bad number",
                                                [DFM_BAD_LABEL] = "a bad label",
                                                [DFM_BAD_WEIGHT] = "a bad weight",
                                                [DFM_BAD_TRUTH] = "a bad true probability"};
  const dfm_bad_rows *bad = &dataset->bad;
  if (i >= DFM_BADS) return NULL;
  *rows = bad->reason[i];
  if (example) *example = bad->rows > 0 ? bad->first.message : NULL;
  return reasons[i];
}

void dfm_dataset_take_skipped(dfm_dataset *dataset, const dfm_dataset *from) {
  dataset->bad = from->bad;
}

int64_t dfm_dataset_before(const dfm_dataset *dataset) {
  return dataset->before;
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
  return (int64_t)dfm_list_items(list, dataset->first, dataset->rows);
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

/* ---- fingerprint */

/* The arrays whose rows count, as in a storage: categories, numbers, labels, weights; and behind them the lists. */
enum { N_HASHED = 4 };

/* Row by row how many items and which. */
static void hash_list(XXH3_state_t *state, const dfm_list *list, int64_t first, int64_t rows) {
  for (int64_t row = first; row < first + rows; row++) {
    const uint64_t from = list->offsets[row], n = list->offsets[row + 1] - from;
    (void)XXH3_64bits_update(state, &n, sizeof n);
    (void)XXH3_64bits_update(state, list->ids + from, n * sizeof *list->ids);
    if (list->weights) (void)XXH3_64bits_update(state, list->weights + from, n * sizeof *list->weights);
  }
}

static dfm_status hash_rows(XXH3_state_t *const state[N_HASHED + 1], const dfm_dataset *dataset, dfm_error *error) {
  const dfm_storage *storage = dataset->storage;
  dfm_scan scan = {.dataset = dataset, .end = dataset->rows};
  for (;;) {
    DFM_TRY(dfm_scan_next(&scan, error));
    if (scan.n == 0) return DFM_OK;
    for (int i = 0; i < N_HASHED; i++) {
      size_t size;
      const char *rows = dfm_storage_array(storage, i, dataset->first + scan.first, &size);
      const bool is_left_out = i == DFM_ARRAY_LABEL && !dfm_dataset_has_label(dataset);
      if (rows && !is_left_out) (void)XXH3_64bits_update(state[i], rows, (size_t)scan.n * size);
    }
    for (int f = 0; f < storage->F; f++)
      if (dfm_storage_is_list(storage, f))
        hash_list(state[N_HASHED], &storage->list[f], dataset->first + scan.first, scan.n);
  }
}

dfm_status dfm_dataset_fingerprint(const dfm_dataset *dataset, uint64_t *fingerprint, dfm_error *error) {
  const dfm_storage *storage = dataset->storage;
  uint64_t parts[6 + N_HASHED] = {(uint64_t)dataset->rows, (uint64_t)storage->F, (uint64_t)storage->D,
                                  dfm_dataset_has_label(dataset), storage->has.weight};
  XXH3_state_t *state[N_HASHED + 1];
  dfm_status status = DFM_OK;
  for (int i = 0; i <= N_HASHED; i++) {
    state[i] = XXH3_createState();
    if (!state[i])
      status = dfm_fail(error, DFM_ERROR_MEMORY, "out of memory for a fingerprint of the rows");
    else
      (void)XXH3_64bits_reset(state[i]);
  }
  if (status == DFM_OK) status = hash_rows(state, dataset, error);
  for (int i = 0; i <= N_HASHED; i++) {
    if (status == DFM_OK) parts[5 + i] = XXH3_64bits_digest(state[i]);
    (void)XXH3_freeState(state[i]);
  }
  if (status == DFM_OK) *fingerprint = XXH3_64bits(parts, sizeof parts);
  return status;
}

/* ---- a row for people */

/* "[3 7*0.5 none]" */
static dfm_status list_text(const dfm_list *list, int64_t row, dfm_text *text, dfm_error *error) {
  DFM_TRY(dfm_text_printf(text, error, "["));
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
    char shown[DFM_SHOW_BYTES];
    int index;
    const bool is_number = dfm_encoder_field(encoder, i, &index);
    const char *name = is_number ? encoder->number[index].name : encoder->category[index].name;
    DFM_TRY(dfm_text_printf(text, error, "%s%s=", i > 0 ? " " : "", dfm_show(shown, name, strlen(name))));
    if (is_number)
      DFM_TRY(dfm_text_printf(text, error, "%.6f", (double)dfm_encoder_number(encoder, index, numbers[index])));
    else if (dfm_storage_is_list(dataset->storage, index))
      DFM_TRY(list_text(&dataset->storage->list[index], row, text, error));
    else if (ids[index] == DFM_ID_NONE)
      DFM_TRY(dfm_text_printf(text, error, "none"));
    else
      DFM_TRY(dfm_text_printf(text, error, "%u", ids[index]));
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
