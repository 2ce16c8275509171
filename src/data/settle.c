/* Settling of an encoder: provisional values are counted, ordered and frozen field by field; then the rows get their
 * ids, in place. */
#include "data/settle.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "data/transform.h"

/* Per vocabulary, so in the field that owns it; `place` is made from the rest. */
typedef struct field_work {
  dfm_value_counts counts;
  uint32_t *place; /* (n) provisional value -> table row or DFM_ID_NONE */
  uint32_t empty;  /* provisional value of the empty cell, DFM_ID_NONE where there was none */
} field_work;

static dfm_status allocate(field_work *work, const dfm_vocabulary_builder *builder, int F, dfm_error *error) {
  for (int f = 0; f < F; f++) { /* a field that shares has a builder without values */
    DFM_TRY(dfm_alloc(&work[f].counts.count, builder[f].n, sizeof(uint64_t), error));
    DFM_TRY(dfm_alloc(&work[f].counts.seen, builder[f].n, sizeof(uint32_t), error));
    DFM_TRY(dfm_alloc(&work[f].place, builder[f].n, sizeof(uint32_t), error));
    if (builder[f].slots) work[f].empty = dfm_vocabulary_builder_find(&builder[f], dfm_value_hash("", 0), "", 0);
  }
  return DFM_OK;
}

static void release(field_work *work, int F) {
  for (int f = 0; f < F; f++) {
    free(work[f].counts.count);
    free(work[f].counts.seen);
    free(work[f].place);
  }
  free(work);
}

static inline void count_value(dfm_value_counts *counts, uint32_t value) {
  if (value != DFM_ID_NONE && counts->count[value]++ == 0) counts->seen[counts->n_seen++] = value;
}

static void count_values(field_work *work, const dfm_dataset *view) {
  const dfm_storage *storage = view->storage;
  for (int64_t row = view->first; row < view->first + view->rows; row++) {
    dfm_storage_pass(storage, row);
    const uint32_t *values = dfm_storage_ids(storage, row);
    for (int f = 0; f < storage->F; f++) {
      const dfm_list *list = &storage->list[f];
      dfm_value_counts *counts = &work[view->encoder->category[f].table].counts;
      if (!dfm_storage_is_list(storage, f)) {
        count_value(counts, values[f]);
        continue;
      }
      for (uint64_t i = list->offsets[row]; i < list->offsets[row + 1]; i++) count_value(counts, list->ids[i]);
    }
  }
}

static dfm_status freeze(dfm_encoder *encoder, const dfm_vocabulary_builder *builder, field_work *work, int f,
                         dfm_error *error) {
  dfm_category_field *field = &encoder->category[f];
  DFM_TRY(
      dfm_vocabulary_settle(&builder[f], &work[f].counts, &field->settings, &field->vocabulary, work[f].place, error));
  const uint32_t first = dfm_encoder_first(encoder, f), unknown = first == 1 ? 0 : DFM_ID_NONE;
  for (uint32_t i = 0; i < builder[f].n; i++)
    work[f].place[i] = work[f].place[i] == UINT32_MAX ? unknown : work[f].place[i] + first;
  return DFM_OK;
}

/* A provisional value of field f becomes an id; true: it is unknown, and that an error. */
static inline bool place_value(const field_work *work, dfm_dataset *view, int f, uint32_t *id) {
  const uint32_t unknown = dfm_encoder_first(view->encoder, f) == 1 ? 0 : DFM_ID_NONE, value = *id;
  *id = value == DFM_ID_NONE ? unknown : work->place[value];
  if (*id != unknown) return false;
  view->counts[f].unknown++;
  return value != DFM_ID_NONE && view->encoder->category[f].settings.unknown == DFM_UNKNOWN_ERROR;
}

/* The same for all of field f in row `row` of the view's storage. */
static bool place_cell(const field_work *work, dfm_dataset *view, int64_t row, int f) {
  const dfm_storage *storage = view->storage;
  const dfm_list *list = &storage->list[f];
  bool is_error = false;
  if (!dfm_storage_is_list(storage, f)) {
    uint32_t *id = &dfm_storage_ids(storage, row)[f];
    view->counts[f].missing += *id == work->empty && *id != DFM_ID_NONE;
    return place_value(work, view, f, id);
  }
  view->counts[f].missing += list->offsets[row] == list->offsets[row + 1];
  for (uint64_t i = list->offsets[row]; i < list->offsets[row + 1]; i++)
    is_error |= place_value(work, view, f, &list->ids[i]);
  return is_error;
}

/* Provisional values become ids; `cell` NULL: unknown values are no error. */
static void place_values(const field_work *work, dfm_dataset *view, dfm_unknown_cell *cell) {
  const dfm_encoder *encoder = view->encoder;
  for (int64_t row = 0; row < view->rows; row++) {
    dfm_storage_pass(view->storage, view->first + row);
    for (int f = 0; f < encoder->F; f++) {
      const bool is_error = place_cell(&work[encoder->category[f].table], view, view->first + row, f);
      if (is_error && cell && cell->f < 0) *cell = (dfm_unknown_cell){row, f};
    }
  }
}

static bool needs_fit(const dfm_number_field *field) {
  return field->settings.transform != DFM_TRANSFORM_NONE && field->settings.transform != DFM_TRANSFORM_LOG;
}

dfm_status dfm_settle_numbers(dfm_encoder *encoder, const dfm_dataset *train, dfm_error *error) {
  dfm_column_moments *moments;
  const int D = encoder->D;
  DFM_TRY(dfm_alloc(&moments, (size_t)D, sizeof *moments, error));
  for (int pass = 0; pass < 2; pass++) {
    for (int64_t row = train->first; row < train->first + train->rows; row++) {
      dfm_storage_pass(train->storage, row);
      const float *numbers = dfm_storage_numbers(train->storage, row);
      for (int d = 0; d < D; d++) {
        const dfm_number_field *field = &encoder->number[d];
        if (needs_fit(field))
          (pass == 0 ? dfm_moments_add : dfm_moments_spread)(&moments[d], &field->settings, numbers[d]);
      }
    }
  }
  for (int d = 0; d < D; d++) dfm_transform_fit(&encoder->number[d], &moments[d]);
  free(moments);
  return DFM_OK;
}

/* What the encoder remembers of the rows that made it. */
static void add_counts(dfm_encoder *encoder, const dfm_dataset *view) {
  encoder->rows += view->rows;
  for (int f = 0; f < encoder->F; f++) {
    encoder->category[f].cells += dfm_dataset_cells(view, f);
    encoder->category[f].unknown_rows += view->counts[f].unknown;
    encoder->category[f].missing_rows += view->counts[f].missing;
  }
  for (int d = 0; d < encoder->D; d++) encoder->number[d].missing_rows += view->counts[encoder->F + d].missing;
}

static dfm_status settle(dfm_encoder *encoder, const dfm_vocabulary_builder *builder, field_work *work,
                         dfm_dataset *train, dfm_dataset *valid, bool counts_valid, dfm_unknown_cell *cell,
                         dfm_error *error) {
  DFM_TRY(allocate(work, builder, encoder->F, error));
  count_values(work, train);
  if (valid && counts_valid) count_values(work, valid);
  for (int f = 0; f < encoder->F; f++)
    if (encoder->category[f].table == f) DFM_TRY(freeze(encoder, builder, work, f, error));
  DFM_TRY(dfm_settle_numbers(encoder, train, error));
  place_values(work, train, NULL);
  dfm_dataset_count(train);
  add_counts(encoder, train);
  if (!valid) return DFM_OK;
  place_values(work, valid, counts_valid ? NULL : cell);
  dfm_dataset_count(valid);
  if (counts_valid) add_counts(encoder, valid);
  return DFM_OK;
}

dfm_status dfm_settle(dfm_encoder *encoder, const dfm_vocabulary_builder *builder, dfm_dataset *train,
                      dfm_dataset *valid, bool counts_valid, dfm_unknown_cell *cell, dfm_error *error) {
  field_work *work;
  DFM_TRY(dfm_alloc(&work, (size_t)encoder->F, sizeof *work, error));
  const dfm_status status = settle(encoder, builder, work, train, valid, counts_valid, cell, error);
  release(work, encoder->F);
  return status;
}
