/* The doctor's sample: datasets come in; evenly spread rows, column by column, and groups of equal rows go out, from
 * one pass in the order of the text. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/memory.h"
#include "data/category.h"
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
  dfm_scan scan[2]; /* of training and validation rows */
  int64_t next[2];  /* the row to come of each */
} row_walk;

/* Rows are looked at once their piece was checked. */
static dfm_status begin_part(row_walk *walk, int p, const dfm_dataset *part, dfm_error *error) {
  if (!part) return DFM_OK;
  walk->scan[p] = (dfm_scan){.dataset = part, .end = part->rows};
  return dfm_scan_next(&walk->scan[p], error);
}

static dfm_status step(row_walk *walk, int p, dfm_error *error) {
  dfm_scan *scan = &walk->scan[p];
  return ++walk->next[p] == scan->first + scan->n ? dfm_scan_next(scan, error) : DFM_OK;
}

static uint64_t text_row(const row_walk *walk, int p) {
  const dfm_dataset *part = walk->scan[p].dataset;
  return part->storage->file_row ? part->storage->file_row[part->first + walk->next[p]] : 0;
}

/* The part of the next row: that with the smaller number in the text where rows have one, else training first. */
static int next_part(const row_walk *walk) {
  const bool has[2] = {walk->next[0] < walk->scan[0].end, walk->next[1] < walk->scan[1].end};
  if (!has[0] || !has[1]) return has[0] ? 0 : 1;
  return text_row(walk, 1) < text_row(walk, 0);
}

/* Whether some value has no id: then the cell may be like no other. */
static bool has_unknown(const dfm_encoder *encoder, const dfm_storage *storage, int64_t row) {
  for (int f = 0; f < encoder->F; f++) {
    const uint32_t unknown = dfm_encoder_first(encoder, f) == 1 ? 0 : DFM_ID_NONE, *ids;
    const uint64_t n = dfm_storage_cells(storage, row, f, &ids);
    for (uint64_t i = 0; i < n; i++)
      if (ids[i] == unknown) return true;
  }
  return false;
}

static uint64_t hash_row(const dfm_storage *storage, int64_t row) {
  uint64_t hash = XXH3_64bits(dfm_storage_ids(storage, row), (size_t)storage->F * sizeof(uint32_t));
  for (int f = 0; f < storage->F; f++) {
    const dfm_list *list = &storage->list[f];
    const uint32_t *ids;
    if (!dfm_storage_is_list(storage, f)) continue;
    const uint64_t n = dfm_storage_cells(storage, row, f, &ids);
    hash = XXH3_64bits_withSeed(ids, n * sizeof *ids, hash);
    if (list->weights) hash = XXH3_64bits_withSeed(list->weights + list->offsets[row], n * sizeof(float), hash);
  }
  return XXH3_64bits_withSeed(dfm_storage_numbers(storage, row), (size_t)storage->D * sizeof(float), hash);
}

static void take_range(dfm_row_sample *sample, const float *numbers) {
  for (int d = 0; d < sample->D; d++) {
    if (isnan(numbers[d])) continue;
    if (!(sample->minimum[d] <= numbers[d])) sample->minimum[d] = numbers[d];
    if (!(sample->maximum[d] >= numbers[d])) sample->maximum[d] = numbers[d];
  }
}

static dfm_status take_list(dfm_sample_cells *to, size_t at, const uint32_t *ids, uint64_t n, dfm_error *error) {
  static const uint32_t none[1] = {DFM_NO_ITEMS};
  if (n == 0) ids = none;
  if (n == 0) n = 1;
  DFM_TRY(dfm_grow(&to->id, &to->id_capacity, to->n + n, sizeof *to->id, error));
  DFM_TRY(dfm_grow(&to->row, &to->row_capacity, to->n + n, sizeof *to->row, error));
  for (uint64_t i = 0; i < n; i++) {
    to->id[to->n] = ids[i];
    to->row[to->n++] = (uint32_t)at;
  }
  return DFM_OK;
}

static dfm_status take_row(dfm_row_sample *sample, size_t at, const dfm_storage *storage, int64_t row,
                           dfm_error *error) {
  const float *numbers = dfm_storage_numbers(storage, row);
  for (int f = 0; f < sample->F; f++) {
    dfm_sample_cells *to = &sample->cells[f];
    const uint32_t *ids;
    const uint64_t n = dfm_storage_cells(storage, row, f, &ids);
    if (dfm_storage_is_list(storage, f)) {
      DFM_TRY(take_list(to, at, ids, n, error));
    } else {
      to->id[to->n++] = *ids;
    }
  }
  for (int d = 0; d < sample->D; d++) sample->number[(size_t)d * sample->n + at] = numbers[d];
  if (sample->label) sample->label[at] = storage->label[row] == 1;
  return DFM_OK;
}

static dfm_status pass(dfm_row_sample *sample, row_walk *walk, dfm_error *error) {
  size_t taken = 0;
  for (int64_t at = 0; at < sample->rows; at++) {
    const int p = next_part(walk);
    const dfm_storage *storage = walk->scan[p].dataset->storage;
    const int64_t row = walk->scan[p].dataset->first + walk->next[p];
    take_range(sample, dfm_storage_numbers(storage, row));
    if (!has_unknown(sample->encoder, storage, row)) {
      const bool is_positive = sample->label && storage->label[row] == 1;
      sample->comparable++;
      DFM_TRY(add_row(&sample->duplicates, hash_row(storage, row), is_positive, error));
    }
    /* Row floor(i rows / n) is the i-th. */
    if (taken < sample->n && at == (int64_t)((double)taken * (double)sample->rows / (double)sample->n))
      DFM_TRY(take_row(sample, taken++, storage, row, error));
    DFM_TRY(step(walk, p, error));
  }
  sample->n = taken;
  return DFM_OK;
}

/* ---- the sample */

/* Bytes of a row in it, of lists on average. */
static size_t row_bytes(const dfm_row_sample *sample, const dfm_dataset *part) {
  size_t bytes = 4 * ((size_t)sample->F + (size_t)sample->D) + 1;
  for (int f = 0; f < sample->F && part->rows > 0; f++)
    if (sample->encoder->category[f].is_list)
      bytes += 4 + 8 * (size_t)((dfm_dataset_cells(part, f) + part->rows - 1) / part->rows);
  return bytes;
}

static dfm_status allocate(dfm_row_sample *sample, bool has_label, size_t most, dfm_error *error) {
  const size_t n_fields = (size_t)sample->F + (size_t)sample->D;
  sample->n = (uint64_t)sample->rows < most ? (size_t)sample->rows : most;
  DFM_TRY(dfm_alloc(&sample->missing, n_fields, sizeof *sample->missing, error));
  DFM_TRY(dfm_alloc(&sample->cells, (size_t)sample->F, sizeof *sample->cells, error));
  for (int f = 0; f < sample->F; f++)
    if (!sample->encoder->category[f].is_list)
      DFM_TRY(dfm_alloc(&sample->cells[f].id, sample->n, sizeof *sample->cells[f].id, error));
  DFM_TRY(dfm_alloc(&sample->number, (size_t)sample->D * sample->n, sizeof *sample->number, error));
  if (has_label) DFM_TRY(dfm_alloc(&sample->label, sample->n, sizeof *sample->label, error));
  DFM_TRY(dfm_alloc(&sample->minimum, (size_t)sample->D, sizeof *sample->minimum, error));
  DFM_TRY(dfm_alloc(&sample->maximum, (size_t)sample->D, sizeof *sample->maximum, error));
  for (int d = 0; d < sample->D; d++) sample->minimum[d] = sample->maximum[d] = NAN;
  return DFM_OK;
}

static bool is_coarse(const dfm_encoder *encoder) {
  for (int f = 0; f < encoder->F; f++)
    if (encoder->category[f].settings.hash > 0 || dfm_category_is_number(&encoder->category[f].settings)) return true;
  return false;
}

static dfm_status take(dfm_row_sample *sample, const dfm_dataset *const part[2], dfm_error *error) {
  row_walk walk = {.scan = {{0}}};
  for (int p = 0; p < 2; p++) {
    for (size_t i = 0; part[p] && i < dfm_dataset_fields(part[p]); i++)
      sample->missing[i] += dfm_dataset_field(part[p], i).missing;
    DFM_TRY(begin_part(&walk, p, part[p], error));
  }
  return pass(sample, &walk, error);
}

dfm_status dfm_row_sample_take(const dfm_dataset *train, const dfm_dataset *valid, size_t budget_bytes,
                               dfm_row_sample *sample, dfm_error *error) {
  const bool has_label = dfm_dataset_has_label(train) && (!valid || dfm_dataset_has_label(valid));
  const dfm_dataset *const part[2] = {train, valid};
  *sample = (dfm_row_sample){.encoder = train->encoder,
                             .F = train->storage->F,
                             .D = train->storage->D,
                             .rows = train->rows + (valid ? valid->rows : 0),
                             .is_coarse = is_coarse(train->encoder)};
  sample->is_own = train->encoder->rows == train->rows || train->encoder->rows == sample->rows;
  dfm_status status = allocate(sample, has_label, budget_bytes / row_bytes(sample, train) + 1, error);
  if (status == DFM_OK) status = take(sample, part, error);
  if (status != DFM_OK) dfm_row_sample_clear(sample);
  return status;
}

void dfm_row_sample_clear(dfm_row_sample *sample) {
  for (int f = 0; sample->cells && f < sample->F; f++) {
    free(sample->cells[f].id);
    free(sample->cells[f].row);
  }
  free(sample->missing);
  free(sample->cells);
  free(sample->number);
  free(sample->label);
  free(sample->minimum);
  free(sample->maximum);
  free(sample->duplicates.slots);
  *sample = (dfm_row_sample){0};
}
