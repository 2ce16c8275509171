/* Settling of an encoder: provisional values are counted, ordered and frozen field by field; then the rows get their
 * ids, in place. */
#include "data/settle.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "data/transform.h"

/* Per field; `place` is made from the rest. */
typedef struct field_work {
  dfm_value_counts counts;
  uint32_t *place; /* (n) provisional value -> table row or DFM_ID_NONE */
  uint32_t empty;  /* provisional value of the empty cell, DFM_ID_NONE where there was none */
} field_work;

static dfm_status allocate(field_work *work, const dfm_vocabulary_builder *builder, int F, dfm_error *error) {
  for (int f = 0; f < F; f++) {
    DFM_TRY(dfm_alloc(&work[f].counts.count, builder[f].n, sizeof(uint64_t), error));
    DFM_TRY(dfm_alloc(&work[f].counts.seen, builder[f].n, sizeof(uint32_t), error));
    DFM_TRY(dfm_alloc(&work[f].place, builder[f].n, sizeof(uint32_t), error));
    work[f].empty = dfm_vocabulary_builder_find(&builder[f], dfm_value_hash("", 0), "", 0);
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

static void count_values(field_work *work, const dfm_dataset *view) {
  const dfm_storage *storage = view->storage;
  for (int64_t row = view->first; row < view->first + view->rows; row++) {
    dfm_storage_pass(storage, row);
    const uint32_t *values = dfm_storage_ids(storage, row);
    for (int f = 0; f < storage->F; f++) {
      dfm_value_counts *counts = &work[f].counts;
      if (values[f] != DFM_ID_NONE && counts->count[values[f]]++ == 0) counts->seen[counts->n_seen++] = values[f];
    }
  }
}

static dfm_status freeze(dfm_encoder *encoder, const dfm_vocabulary_builder *builder, field_work *work, int f,
                         dfm_error *error) {
  dfm_category_field *field = &encoder->category[f];
  DFM_TRY(
      dfm_vocabulary_settle(&builder[f], &work[f].counts, &field->settings, &field->vocabulary, work[f].place, error));
  field->distinct = work[f].counts.n_seen;
  const uint32_t first = dfm_encoder_first(encoder, f), unknown = first == 1 ? 0 : DFM_ID_NONE;
  for (uint32_t i = 0; i < builder[f].n; i++)
    work[f].place[i] = work[f].place[i] == UINT32_MAX ? unknown : work[f].place[i] + first;
  return DFM_OK;
}

/* Provisional values become ids; `cell` NULL: unknown values are no error. */
static void place_values(const field_work *work, dfm_dataset *view, dfm_unknown_cell *cell) {
  const dfm_storage *storage = view->storage;
  const dfm_encoder *encoder = view->encoder;
  for (int64_t row = 0; row < view->rows; row++) {
    dfm_storage_pass(storage, view->first + row);
    uint32_t *ids = dfm_storage_ids(storage, view->first + row);
    for (int f = 0; f < storage->F; f++) {
      const uint32_t first = dfm_encoder_first(encoder, f), unknown = first == 1 ? 0 : DFM_ID_NONE, value = ids[f];
      ids[f] = value == DFM_ID_NONE ? unknown : work[f].place[value];
      view->counts[f].missing += value == work[f].empty && value != DFM_ID_NONE;
      if (ids[f] != unknown) continue;
      view->counts[f].unknown++;
      if (cell && cell->f < 0 && value != DFM_ID_NONE && encoder->category[f].settings.unknown == DFM_UNKNOWN_ERROR) {
        *cell = (dfm_unknown_cell){row, f};
      }
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
  for (int f = 0; f < encoder->F; f++) DFM_TRY(freeze(encoder, builder, work, f, error));
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
