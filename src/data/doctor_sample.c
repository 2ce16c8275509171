/* The doctor's sample: datasets come in; evenly spread rows, column by column, and groups of equal rows go out, from one
 * pass in the order of the text. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/memory.h"
#include "data/doctor.h"
#include "data/storage.h"

/* ---- duplicates */

enum { FIRST_SLOTS = 1 << 10, MOST_SLOTS = 1 << 20 };

static dfm_row_group *find(const dfm_duplicates *in, uint64_t hash) {
  const size_t mask = in->n_slots - 1;
  size_t i = hash & mask;
  while (in->slots[i].rows > 0 && in->slots[i].hash != hash) i = (i + 1) & mask;
  return &in->slots[i];
}

static bool is_kept(const dfm_duplicates *in, uint64_t hash) {
  return in->shift == 0 || hash >> (64 - in->shift) == 0;
}

/* Twice the slots while there may be more; then half of the groups, by their hash. */
static dfm_status make_room(dfm_duplicates *in, dfm_error *error) {
  dfm_duplicates next = {.n_slots = in->n_slots == 0 ? FIRST_SLOTS : in->n_slots, .shift = in->shift};
  if (in->n_slots == MOST_SLOTS) {
    next.shift++;
  } else if (in->n_slots > 0) {
    next.n_slots *= 2;
  }
  DFM_TRY(dfm_alloc(&next.slots, next.n_slots, sizeof *next.slots, error));
  for (size_t i = 0; i < in->n_slots; i++) {
    const dfm_row_group *group = &in->slots[i];
    if (group->rows == 0 || !is_kept(&next, group->hash)) continue;
    *find(&next, group->hash) = *group;
    next.n++;
  }
  free(in->slots);
  *in = next;
  return DFM_OK;
}

static dfm_status add_row(dfm_duplicates *to, uint64_t hash, bool is_positive, dfm_error *error) {
  while (2 * to->n >= to->n_slots) DFM_TRY(make_room(to, error));
  if (!is_kept(to, hash)) return DFM_OK;
  dfm_row_group *group = find(to, hash);
  to->n += group->rows == 0;
  group->hash = hash;
  group->rows++;
  group->positives += is_positive;
  return DFM_OK;
}

/* ---- rows in the order of the text */

typedef struct row_walk {
  const dfm_dataset *part[2];
  int64_t next[2];
} row_walk;

/* The part of the next row: that with the smaller number in the text where rows have one, else training first. */
static int next_part(const row_walk *walk) {
  const bool has[2] = {walk->next[0] < walk->part[0]->rows, walk->part[1] && walk->next[1] < walk->part[1]->rows};
  if (!has[0] || !has[1]) return has[0] ? 0 : 1;
  const uint64_t *a = dfm_dataset_text_rows(walk->part[0]), *b = dfm_dataset_text_rows(walk->part[1]);
  return a && b && b[walk->next[1]] < a[walk->next[0]];
}

/* Whether some value has no id: then the cell may be like no other. */
static bool has_unknown(const dfm_encoder *encoder, const uint32_t *ids) {
  for (int f = 0; f < encoder->F; f++)
    if (ids[f] == (dfm_encoder_first(encoder, f) == 1 ? 0 : DFM_ID_NONE)) return true;
  return false;
}

static uint64_t hash_row(const dfm_storage *storage, int64_t row) {
  const uint64_t ids = XXH3_64bits(dfm_storage_ids(storage, row), (size_t)storage->F * sizeof(uint32_t));
  return XXH3_64bits_withSeed(dfm_storage_numbers(storage, row), (size_t)storage->D * sizeof(float), ids);
}

static void take_range(dfm_row_sample *sample, const float *numbers) {
  for (int d = 0; d < sample->D; d++) {
    if (isnan(numbers[d])) continue;
    if (!(sample->minimum[d] <= numbers[d])) sample->minimum[d] = numbers[d];
    if (!(sample->maximum[d] >= numbers[d])) sample->maximum[d] = numbers[d];
  }
}

static void take_row(dfm_row_sample *sample, size_t at, const dfm_storage *storage, int64_t row) {
  const uint32_t *ids = dfm_storage_ids(storage, row);
  const float *numbers = dfm_storage_numbers(storage, row);
  for (int f = 0; f < sample->F; f++) sample->id[(size_t)f * sample->n + at] = ids[f];
  for (int d = 0; d < sample->D; d++) sample->number[(size_t)d * sample->n + at] = numbers[d];
  if (sample->label) sample->label[at] = storage->label[row] == 1;
}

static dfm_status pass(dfm_row_sample *sample, row_walk *walk, dfm_error *error) {
  size_t taken = 0;
  for (int64_t at = 0; at < sample->rows; at++) {
    const int p = next_part(walk);
    const dfm_dataset *part = walk->part[p];
    const int64_t row = part->first + walk->next[p]++;
    dfm_storage_pass(part->storage, row);
    take_range(sample, dfm_storage_numbers(part->storage, row));
    if (!has_unknown(sample->encoder, dfm_storage_ids(part->storage, row))) {
      const bool is_positive = sample->label && part->storage->label[row] == 1;
      sample->comparable++;
      DFM_TRY(add_row(&sample->duplicates, hash_row(part->storage, row), is_positive, error));
    }
    /* Row floor(i rows / n) is the i-th. */
    if (taken < sample->n && at == (int64_t)((double)taken * (double)sample->rows / (double)sample->n))
      take_row(sample, taken++, part->storage, row);
  }
  sample->n = taken;
  return DFM_OK;
}

static dfm_status allocate(dfm_row_sample *sample, bool has_label, size_t budget_bytes, dfm_error *error) {
  const size_t row_bytes = 4 * ((size_t)sample->F + (size_t)sample->D) + 1, most = budget_bytes / row_bytes + 1;
  sample->n = (uint64_t)sample->rows < most ? (size_t)sample->rows : most;
  DFM_TRY(dfm_alloc(&sample->id, (size_t)sample->F * sample->n, sizeof *sample->id, error));
  DFM_TRY(dfm_alloc(&sample->number, (size_t)sample->D * sample->n, sizeof *sample->number, error));
  if (has_label) DFM_TRY(dfm_alloc(&sample->label, sample->n, sizeof *sample->label, error));
  DFM_TRY(dfm_alloc(&sample->minimum, (size_t)sample->D, sizeof *sample->minimum, error));
  DFM_TRY(dfm_alloc(&sample->maximum, (size_t)sample->D, sizeof *sample->maximum, error));
  for (int d = 0; d < sample->D; d++) sample->minimum[d] = sample->maximum[d] = NAN;
  return DFM_OK;
}

dfm_status dfm_row_sample_take(const dfm_dataset *train, const dfm_dataset *valid, size_t budget_bytes,
                               dfm_row_sample *sample, dfm_error *error) {
  const bool has_label = dfm_dataset_has_label(train) && (!valid || dfm_dataset_has_label(valid));
  row_walk walk = {.part = {train, valid}};
  *sample = (dfm_row_sample){.encoder = train->encoder,
                             .F = train->storage->F,
                             .D = train->storage->D,
                             .rows = train->rows + (valid ? valid->rows : 0)};
  sample->is_own = train->encoder->rows == train->rows || train->encoder->rows == sample->rows;
  dfm_status status = allocate(sample, has_label, budget_bytes, error);
  if (status == DFM_OK) status = pass(sample, &walk, error);
  if (status != DFM_OK) dfm_row_sample_clear(sample);
  return status;
}

void dfm_row_sample_clear(dfm_row_sample *sample) {
  free(sample->id);
  free(sample->number);
  free(sample->label);
  free(sample->minimum);
  free(sample->maximum);
  free(sample->duplicates.slots);
  *sample = (dfm_row_sample){0};
}
