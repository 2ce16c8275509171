/* Growing of an encoder: values are counted in the new rows, those to stay and those to admit get their ids, and the rows are encoded anew, in
 * place. */
#include "data/grow.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/storage.h"
#include "data/vocabulary.h"

/* ---- ages */

dfm_status dfm_ages_create(const dfm_dataset *train, uint32_t ***ages, dfm_error *error) {
  const dfm_storage *storage = train->storage;
  const dfm_encoder *encoder = train->encoder;
  uint32_t **age, *all = NULL;
  size_t n = 0;
  for (int f = 0; f < encoder->F; f++) n += encoder->category[f].vocabulary.n;
  DFM_TRY(dfm_alloc(&age, (size_t)encoder->F + 1, sizeof *age, error));
  const dfm_status status = dfm_alloc(&all, n, sizeof *all, error);
  if (status != DFM_OK) {
    free(age);
    return status;
  }
  memset(all, 0xFF, n * sizeof *all);
  age[0] = all;
  for (int f = 0; f < encoder->F; f++) age[f + 1] = age[f] + encoder->category[f].vocabulary.n;
  for (int64_t row = 0; row < train->rows; row++) {
    dfm_storage_pass(storage, train->first + row);
    const uint32_t *ids = dfm_storage_ids(storage, train->first + row);
    for (int f = 0; f < encoder->F; f++) {
      const uint32_t first = dfm_encoder_first(encoder, f);
      if (ids[f] != DFM_ID_NONE && ids[f] >= first) age[f][ids[f] - first] = dfm_age_after(0, train->rows - 1 - row);
    }
  }
  *ages = age;
  return DFM_OK;
}

void dfm_ages_free(uint32_t **ages) {
  if (ages) free(ages[0]);
  free(ages);
}

uint32_t dfm_age_after(uint32_t age, int64_t rows) {
  return (uint64_t)rows < DFM_AGE_NEVER - age ? age + (uint32_t)rows : DFM_AGE_NEVER;
}

/* ---- counting */

/* Of one field's values in the new rows, by their index there. */
typedef struct field_work {
  uint64_t *count; /* (n) in the rows that make vocabularies */
  uint32_t *seen;  /* (n) rank by first appearance in them */
  uint32_t n_seen;
  uint32_t *place; /* (n) id in the grown encoder */
} field_work;

static dfm_status allocate(field_work *work, const dfm_encoder *fresh, dfm_error *error) {
  for (int f = 0; f < fresh->F; f++) {
    const size_t n = fresh->category[f].vocabulary.n;
    DFM_TRY(dfm_alloc(&work[f].count, n, sizeof(uint64_t), error));
    DFM_TRY(dfm_alloc(&work[f].seen, n, sizeof(uint32_t), error));
    DFM_TRY(dfm_alloc(&work[f].place, n, sizeof(uint32_t), error));
  }
  return DFM_OK;
}

static void release(field_work *work, int F) {
  for (int f = 0; f < F; f++) {
    free(work[f].count);
    free(work[f].seen);
    free(work[f].place);
  }
  free(work);
}

static void count_values(field_work *work, const dfm_dataset *view) {
  const dfm_storage *storage = view->storage;
  for (int64_t row = view->first; row < view->first + view->rows; row++) {
    dfm_storage_pass(storage, row);
    const uint32_t *ids = dfm_storage_ids(storage, row);
    for (int f = 0; f < storage->F; f++) {
      const uint32_t first = dfm_encoder_first(view->encoder, f);
      if (ids[f] == DFM_ID_NONE || ids[f] < first) continue;
      const uint32_t value = ids[f] - first;
      if (work[f].count[value]++ == 0) work[f].seen[value] = work[f].n_seen++;
    }
  }
}

/* ---- one field: which values, in which order */

typedef struct grown_value {
  const dfm_vocabulary *from;
  uint64_t at; /* in `from` */
  uint64_t count;
  uint32_t seen;
} grown_value;

typedef struct field_growth {
  const dfm_vocabulary *old, *fresh;
  const uint32_t *old_age, *fresh_age;
  int64_t rows; /* new training rows */
  uint64_t admit;
  int64_t expire_after; /* 0: never */
  field_work *work;
  grown_value *value; /* (old->n + fresh->n) those of the grown vocabulary, in order */
  size_t n;
} field_growth;

static const char *bytes_at(const dfm_vocabulary *vocabulary, uint64_t i, size_t *n) {
  *n = vocabulary->offsets[i + 1] - vocabulary->offsets[i];
  return (const char *)vocabulary->bytes + vocabulary->offsets[i];
}

static bool is_expired(const field_growth *field, uint32_t age) {
  return field->expire_after > 0 && (int64_t)age >= field->expire_after;
}

/* The old values that stay. place[] of those that the new rows have becomes their index in the grown vocabulary, or UINT32_MAX. */
static void keep_old(field_growth *field, bool *is_old, dfm_growth *growth) {
  for (uint64_t i = 0; i < field->old->n; i++) {
    size_t n;
    const char *bytes = bytes_at(field->old, i, &n);
    const uint64_t j = dfm_vocabulary_find(field->fresh, bytes, n);
    const bool is_seen = j != UINT64_MAX && field->fresh_age[j] != DFM_AGE_NEVER;
    const uint32_t age = is_seen ? field->fresh_age[j] : dfm_age_after(field->old_age[i], field->rows);
    const bool stays = !is_expired(field, age);
    if (j != UINT64_MAX) {
      is_old[j] = true;
      field->work->place[j] = stays ? (uint32_t)field->n : UINT32_MAX;
    }
    growth->kept += stays;
    growth->expired += !stays;
    if (!stays) continue;
    const uint64_t count = field->old->counts[i] + (j == UINT64_MAX ? 0 : field->work->count[j]);
    field->value[field->n++] = (grown_value){.from = field->old, .at = i, .count = count};
  }
}

static int by_frequency(const void *left, const void *right) {
  const grown_value *a = left, *b = right;
  if (a->count != b->count) return a->count > b->count ? -1 : 1;
  return a->seen < b->seen ? -1 : a->seen > b->seen;
}

/* The new values that come often enough. The fresh vocabulary is sorted by bytes already where the settings say so. */
static void admit_new(field_growth *field, const bool *is_old, int order, dfm_growth *growth) {
  const size_t kept = field->n;
  for (uint64_t j = 0; j < field->fresh->n; j++) {
    const uint64_t count = field->work->count[j];
    if (is_old[j]) continue;
    field->work->place[j] = UINT32_MAX;
    if (count < field->admit || is_expired(field, field->fresh_age[j])) continue;
    field->value[field->n++] =
        (grown_value){.from = field->fresh, .at = j, .count = count, .seen = field->work->seen[j]};
  }
  if (order == DFM_ORDER_FREQUENCY) qsort(field->value + kept, field->n - kept, sizeof *field->value, by_frequency);
  for (size_t i = kept; i < field->n; i++) field->work->place[field->value[i].at] = (uint32_t)i;
  growth->admitted += (int64_t)(field->n - kept);
}

/* ---- one field: the vocabulary */

/* Fresh memory; freed by dfm_vocabulary_clear also where only a part of it was had. */
static dfm_status allocate_vocabulary(const field_growth *field, dfm_vocabulary *grown, dfm_error *error) {
  size_t size_bytes = 0, n;
  for (size_t i = 0; i < field->n; i++) {
    (void)bytes_at(field->value[i].from, field->value[i].at, &n);
    size_bytes += n;
  }
  grown->n = field->n;
  grown->index_size = dfm_vocabulary_index_size(field->n);
  DFM_TRY(dfm_alloc(&grown->bytes, size_bytes, 1, error));
  DFM_TRY(dfm_alloc(&grown->offsets, field->n + 1, sizeof(uint64_t), error));
  DFM_TRY(dfm_alloc(&grown->counts, field->n, sizeof(uint64_t), error));
  return dfm_alloc(&grown->index, grown->index_size, sizeof(uint32_t), error);
}

static void fill_vocabulary(const field_growth *field, const dfm_vocabulary *grown) {
  uint8_t *bytes = (uint8_t *)(uintptr_t)grown->bytes;
  uint64_t *offsets = (uint64_t *)(uintptr_t)grown->offsets, *counts = (uint64_t *)(uintptr_t)grown->counts;
  uint32_t *index = (uint32_t *)(uintptr_t)grown->index;
  for (size_t i = 0; i < field->n; i++) {
    size_t n;
    const char *value = bytes_at(field->value[i].from, field->value[i].at, &n);
    if (n > 0) memcpy(bytes + offsets[i], value, n);
    offsets[i + 1] = offsets[i] + n;
    counts[i] = field->value[i].count;
    uint64_t slot = dfm_value_hash(value, n) & (grown->index_size - 1);
    while (index[slot] != 0) slot = (slot + 1) & (grown->index_size - 1);
    index[slot] = (uint32_t)i + 1;
  }
}

static dfm_status check_size(const field_growth *field, const char *name, dfm_error *error) {
  if (field->n <= UINT32_MAX - 2) return DFM_OK;
  return dfm_fail(error, DFM_ERROR_VALUE,
                  "column '%s' would grow to %zu values, more than the %u that ids can tell apart; raise admit, or let "
                  "old values expire",
                  name, field->n, UINT32_MAX - 2);
}

static dfm_status grow_field(field_growth *field, dfm_category_field *grown, dfm_growth *growth, dfm_error *error) {
  bool *is_old = NULL;
  DFM_TRY(dfm_alloc(&field->value, field->old->n + field->fresh->n, sizeof *field->value, error));
  dfm_status status = dfm_alloc(&is_old, field->fresh->n, sizeof *is_old, error);
  if (status == DFM_OK) {
    keep_old(field, is_old, growth);
    admit_new(field, is_old, grown->settings.order, growth);
    status = check_size(field, grown->name, error);
  }
  if (status == DFM_OK) status = allocate_vocabulary(field, &grown->vocabulary, error);
  if (status == DFM_OK) fill_vocabulary(field, &grown->vocabulary);
  free(is_old);
  free(field->value);
  return status;
}

/* ---- the rows */

/* place[] becomes the id; the counts of unknown cells are made anew. */
static void place_values(field_work *work, const dfm_encoder *grown, dfm_dataset *view) {
  const dfm_storage *storage = view->storage;
  for (int f = 0; f < storage->F; f++) view->counts[f].unknown = 0;
  for (int64_t row = view->first; row < view->first + view->rows; row++) {
    dfm_storage_pass(storage, row);
    uint32_t *ids = dfm_storage_ids(storage, row);
    for (int f = 0; f < storage->F; f++) {
      const uint32_t first = dfm_encoder_first(grown, f), unknown = first == 1 ? 0 : DFM_ID_NONE;
      const uint32_t place = ids[f] == unknown ? UINT32_MAX : work[f].place[ids[f] - first];
      ids[f] = place == UINT32_MAX ? unknown : place + first;
      view->counts[f].unknown += place == UINT32_MAX;
    }
  }
}

static dfm_status check_known(const dfm_encoder *grown, const dfm_dataset *valid, dfm_error *error) {
  for (int f = 0; f < grown->F; f++) {
    if (grown->category[f].settings.unknown != DFM_UNKNOWN_ERROR || valid->counts[f].unknown == 0) continue;
    return dfm_fail(
        error, DFM_ERROR_MISMATCH,
        "%lld validation rows have a value in column '%s' that neither the model nor the training rows have; "
        "train on rows that have it",
        (long long)valid->counts[f].unknown, grown->category[f].name);
  }
  return DFM_OK;
}

static void add_counts(dfm_encoder *grown, const dfm_dataset *view) {
  grown->rows += view->rows;
  for (int f = 0; f < grown->F; f++) {
    grown->category[f].unknown_rows += view->counts[f].unknown;
    grown->category[f].missing_rows += view->counts[f].missing;
  }
  for (int d = 0; d < grown->D; d++) grown->number[d].missing_rows += view->counts[grown->F + d].missing;
}

static void hand_to(dfm_encoder *grown, dfm_dataset *view) {
  dfm_encoder_release(view->encoder);
  view->encoder = dfm_encoder_retain(grown);
}

/* ---- the whole */

/* The old encoder, with empty vocabularies. */
static dfm_status copy_encoder(const dfm_encoder *old, dfm_encoder **copy, dfm_error *error) {
  dfm_encoder *made;
  DFM_TRY(dfm_encoder_create(old->schema, NULL, &made, error));
  made->rows = old->rows;
  for (int f = 0; f < old->F; f++) {
    made->category[f].settings = old->category[f].settings;
    made->category[f].unknown_rows = old->category[f].unknown_rows;
    made->category[f].missing_rows = old->category[f].missing_rows;
  }
  for (int d = 0; d < old->D; d++) {
    const char *name = made->number[d].name;
    made->number[d] = old->number[d];
    made->number[d].name = name;
  }
  *copy = made;
  return DFM_OK;
}

static dfm_status grow(const dfm_growing *growing, field_work *work, uint32_t *const *fresh_age, dfm_encoder *grown,
                       dfm_dataset *train, dfm_dataset *valid, dfm_growth *growth, dfm_error *error) {
  const dfm_growth_options *options = growing->options;
  DFM_TRY(allocate(work, train->encoder, error));
  count_values(work, train);
  if (valid && growing->counts_valid) count_values(work, valid);
  for (int f = 0; f < grown->F; f++) {
    const int64_t min_count = grown->category[f].settings.min_count;
    const int64_t admit = options->admit > 0 ? options->admit : min_count > 0 ? min_count : 1;
    field_growth field = {.old = &growing->encoder->category[f].vocabulary,
                          .fresh = &train->encoder->category[f].vocabulary,
                          .old_age = growing->ages[f],
                          .fresh_age = fresh_age[f],
                          .rows = train->rows,
                          .admit = (uint64_t)admit,
                          .expire_after = options->expire_after,
                          .work = &work[f]};
    DFM_TRY(grow_field(&field, &grown->category[f], growth, error));
  }
  place_values(work, grown, train);
  add_counts(grown, train);
  if (valid) place_values(work, grown, valid);
  if (valid && growing->counts_valid) add_counts(grown, valid);
  return valid ? check_known(grown, valid, error) : DFM_OK;
}

dfm_status dfm_dataset_grow(const dfm_growing *growing, dfm_dataset *train, dfm_dataset *valid, dfm_growth *growth,
                            dfm_error *error) {
  dfm_encoder *grown = NULL;
  field_work *work = NULL;
  uint32_t **fresh_age = NULL;
  dfm_growth made = {0};
  dfm_status status;
  DFM_TRY_GOTO(status, copy_encoder(growing->encoder, &grown, error), done);
  DFM_TRY_GOTO(status, dfm_ages_create(train, &fresh_age, error), done);
  DFM_TRY_GOTO(status, dfm_alloc(&work, (size_t)grown->F, sizeof *work, error), done);
  DFM_TRY_GOTO(status, grow(growing, work, fresh_age, grown, train, valid, &made, error), done);
  hand_to(grown, train);
  if (valid) hand_to(grown, valid);
  *growth = made;
done:
  if (work) release(work, grown->F);
  dfm_ages_free(fresh_age);
  dfm_encoder_release(grown);
  return status;
}
