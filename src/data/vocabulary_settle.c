/* Settling of one vocabulary: counted values come in; the ones that stay, in the order of their ids, go out frozen. */
#include <stdlib.h>

#include "base/memory.h"
#include "base/prefetch.h"
#include "base/sort.h"
#include "data/vocabulary.h"

/* ---- order */

static uint64_t count_of(const dfm_vocabulary_builder *builder, uint32_t value) {
  return dfm_builder_record(builder, value)->meta >> DFM_LENGTH_BITS;
}

static int by_bytes(const void *left, const void *right, void *context) {
  const dfm_vocabulary_builder *builder = context;
  size_t n, m;
  const char *a = dfm_builder_bytes(builder, dfm_builder_record(builder, *(const uint32_t *)left), &n);
  const char *b = dfm_builder_bytes(builder, dfm_builder_record(builder, *(const uint32_t *)right), &m);
  const int order = memcmp(a, b, n < m ? n : m);
  return order != 0 ? order : (n > m) - (n < m);
}

static bool is_selected(const dfm_vocabulary_builder *builder, const dfm_selection *selection, uint32_t value) {
  return count_of(builder, value) >= selection->min_count && !(selection->is_out && selection->is_out[value]);
}

static size_t count_values(const dfm_vocabulary_builder *builder, const dfm_selection *selection) {
  size_t n = 0;
  for (uint32_t value = 0; value < builder->n; value++) n += is_selected(builder, selection, value);
  return n;
}

/* The selected values by their provisional numbers, with keys that ascend as counts fall. Counts above 32 bits are
 * equal. */
static size_t list_values(const dfm_vocabulary_builder *builder, const dfm_selection *selection, const dfm_pairs *pairs,
                          uint32_t *limit) {
  size_t n = 0;
  uint64_t most = 0;
  for (uint32_t value = 0; value < builder->n; value++) {
    const uint64_t count = count_of(builder, value);
    if (!is_selected(builder, selection, value)) continue;
    pairs->key[0][n] = count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
    pairs->value[0][n++] = value;
    if (count > most) most = count;
  }
  *limit = most < UINT32_MAX ? (uint32_t)most : UINT32_MAX;
  for (size_t i = 0; i < n; i++) pairs->key[0][i] = *limit - pairs->key[0][i];
  return n;
}

/* The provisional numbers of the values that stay, in the order of their ids, `*n` of them of `*room`; dfm_slab_free
 * them. */
static dfm_status rank(const dfm_vocabulary_builder *builder, const dfm_selection *selection, uint32_t **ranked,
                       size_t *n, size_t *room, dfm_error *error) {
  dfm_pairs pairs = {0};
  uint32_t *array[4] = {0}, limit;
  dfm_status status = DFM_OK;
  *room = count_values(builder, selection);
  for (int i = 0; i < 4 && status == DFM_OK; i++) status = dfm_slab_alloc(&array[i], *room, sizeof **array, error);
  if (status == DFM_OK) {
    pairs = (dfm_pairs){{array[0], array[1]}, {array[2], array[3]}};
    *n = list_values(builder, selection, &pairs, &limit);
    dfm_sort_pairs(&pairs, *n, limit);
    if (*n > selection->most) *n = selection->most;
    *ranked = pairs.value[0];
  }
  for (int i = 0; i < 4; i++)
    if (array[i] && array[i] != pairs.value[0]) dfm_slab_free(array[i], *room, sizeof **array);
  if (status == DFM_OK && builder->field->settings.order == DFM_ORDER_SORTED)
    qsort_r(*ranked, *n, sizeof **ranked, by_bytes, (void *)(uintptr_t)builder);
  return status;
}

/* ---- freezing */

/* The values' bytes lie anywhere, and so do their index slots: each is asked for some values ahead. */
enum { AHEAD = 16 };

DFM_PREFETCHES void prefetch(const dfm_vocabulary_builder *builder, const uint32_t *ranked, size_t n, size_t i) {
  if (i + 2 * (size_t)AHEAD < n) __builtin_prefetch(dfm_builder_record(builder, ranked[i + 2 * (size_t)AHEAD]));
  if (i + AHEAD >= n) return;
  const dfm_record *record = dfm_builder_record(builder, ranked[i + AHEAD]);
  if ((record->meta & DFM_LONG_LENGTH) > DFM_VALUE_HEAD) __builtin_prefetch(dfm_arena_at(&builder->text, record->head));
}

/* A vocabulary that is being filled. */
typedef struct filling {
  uint8_t *bytes;
  uint64_t *offsets, *counts;
  uint32_t *index;
  uint64_t mask;
} filling;

static filling begin_filling(const dfm_vocabulary *vocabulary) {
  return (filling){.bytes = (uint8_t *)(uintptr_t)vocabulary->bytes,
                   .offsets = (uint64_t *)(uintptr_t)vocabulary->offsets,
                   .counts = (uint64_t *)(uintptr_t)vocabulary->counts,
                   .index = (uint32_t *)(uintptr_t)vocabulary->index,
                   .mask = vocabulary->index_size - 1};
}

/* Sets value `i`; returns where the search for its slot starts. */
static uint64_t fill_value(const filling *to, uint64_t i, const char *bytes, size_t n, uint64_t count) {
  if (n > 0) memcpy(to->bytes + to->offsets[i], bytes, n);
  to->offsets[i + 1] = to->offsets[i] + n;
  to->counts[i] = count;
  return dfm_value_hash(bytes, n) & to->mask;
}

static void fill_slot(const filling *to, uint64_t i, uint64_t slot) {
  while (to->index[slot] != 0) slot = (slot + 1) & to->mask;
  to->index[slot] = (uint32_t)i + 1;
}

static const char *old_bytes(const dfm_selection *selection, size_t i, size_t *n) {
  const uint64_t *offset = selection->old->offsets + selection->kept[i];
  *n = offset[1] - offset[0];
  return (const char *)selection->old->bytes + offset[0];
}

static void freeze_kept(const dfm_vocabulary_builder *builder, const dfm_selection *selection, const filling *to,
                        uint32_t *place) {
  for (size_t i = 0; i < selection->n_kept; i++) {
    const uint32_t number = selection->number[i];
    const uint64_t count = selection->old->counts[selection->kept[i]];
    size_t n;
    const char *bytes = old_bytes(selection, i, &n);
    fill_slot(to, i, fill_value(to, i, bytes, n, count + (number == DFM_ID_NONE ? 0 : count_of(builder, number))));
    if (number != DFM_ID_NONE) place[number] = (uint32_t)i;
  }
}

/* The builder's values from id `first` on. */
static void freeze(const dfm_vocabulary_builder *builder, const uint32_t *ranked, size_t n, uint64_t first,
                   const filling *to, uint32_t *place) {
  uint64_t slots[AHEAD];
  for (size_t i = 0; i < n + AHEAD; i++) {
    const uint64_t slot = slots[i % AHEAD];
    if (i < n) {
      size_t length;
      prefetch(builder, ranked, n, i);
      const dfm_record *record = dfm_builder_record(builder, ranked[i]);
      const char *bytes = dfm_builder_bytes(builder, record, &length);
      slots[i % AHEAD] = fill_value(to, first + i, bytes, length, record->meta >> DFM_LENGTH_BITS);
      place[ranked[i]] = (uint32_t)(first + i);
      __builtin_prefetch(&to->index[slots[i % AHEAD]], 1);
    }
    if (i >= AHEAD) fill_slot(to, first + i - AHEAD, slot);
  }
}

static dfm_status check_size(const dfm_vocabulary_builder *builder, size_t n, dfm_error *error) {
  if (n <= UINT32_MAX - 2) return DFM_OK;
  return dfm_fail(error, DFM_ERROR_VALUE,
                  "column '%s' would grow to %zu values, more than the %u that ids can tell apart; raise admit, or let "
                  "old values expire",
                  builder->field->name, n, UINT32_MAX - 2);
}

static size_t count_bytes(const dfm_vocabulary_builder *builder, const dfm_selection *selection, const uint32_t *ranked,
                          size_t n) {
  size_t sum = 0, length;
  for (size_t i = 0; i < selection->n_kept; i++) {
    (void)old_bytes(selection, i, &length);
    sum += length;
  }
  for (size_t i = 0; i < n; i++) {
    (void)dfm_builder_bytes(builder, dfm_builder_record(builder, ranked[i]), &length);
    sum += length;
  }
  return sum;
}

dfm_status dfm_vocabulary_select(dfm_vocabulary_builder *builder, const dfm_selection *selection, const char *folder,
                                 dfm_vocabulary *vocabulary, uint32_t *place, dfm_error *error) {
  uint32_t *ranked = NULL;
  const size_t kept = selection->n_kept;
  size_t n = 0, room = 0;
  DFM_TRY(dfm_vocabulary_builder_close(builder, error));
  DFM_TRY(rank(builder, selection, &ranked, &n, &room, error));
  dfm_status status = check_size(builder, kept + n, error);
  if (status == DFM_OK)
    status = dfm_vocabulary_allocate(vocabulary, kept + n, count_bytes(builder, selection, ranked, n), folder, error);
  if (status == DFM_OK) {
    const filling to = begin_filling(vocabulary);
    memset(place, 0xFF, (size_t)builder->n * sizeof *place);
    freeze_kept(builder, selection, &to, place);
    freeze(builder, ranked, n, kept, &to, place);
    dfm_spill_spent(&vocabulary->spill, 0, vocabulary->spill.capacity_bytes);
  } else {
    dfm_vocabulary_clear(vocabulary);
  }
  dfm_slab_free(ranked, room, sizeof *ranked);
  return status;
}

dfm_status dfm_vocabulary_settle(dfm_vocabulary_builder *builder, const char *folder, dfm_vocabulary *vocabulary,
                                 uint32_t *place, dfm_error *error) {
  const dfm_field_settings *settings = &builder->field->settings;
  const dfm_selection selection = {.min_count = settings->min_count > 1 ? (uint64_t)settings->min_count : 1,
                                   .most = settings->max_vocabulary > 0 ? (size_t)settings->max_vocabulary : SIZE_MAX};
  return dfm_vocabulary_select(builder, &selection, folder, vocabulary, place, error);
}
