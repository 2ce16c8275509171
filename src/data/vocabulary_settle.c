/* Settling of one vocabulary: counted values come in; the ones that stay, in the order of their ids, go out frozen. */
#include <stdlib.h>

#include "base/memory.h"
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

static uint64_t min_count_of(const dfm_vocabulary_builder *builder) {
  return builder->field->settings.min_count > 1 ? (uint64_t)builder->field->settings.min_count : 1;
}

static size_t count_values(const dfm_vocabulary_builder *builder) {
  const uint64_t min_count = min_count_of(builder);
  size_t n = 0;
  for (uint32_t value = 0; value < builder->n; value++) n += count_of(builder, value) >= min_count;
  return n;
}

/* The values that occur often enough, by their provisional numbers, with keys that ascend as counts fall. Counts above
 * 32 bits are equal. */
static size_t list_values(const dfm_vocabulary_builder *builder, const dfm_pairs *pairs, uint32_t *limit) {
  const uint64_t min_count = min_count_of(builder);
  size_t n = 0;
  uint64_t most = 0;
  for (uint32_t value = 0; value < builder->n; value++) {
    const uint64_t count = count_of(builder, value);
    if (count < min_count) continue;
    pairs->key[0][n] = count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
    pairs->value[0][n++] = value;
    if (count > most) most = count;
  }
  *limit = most < UINT32_MAX ? (uint32_t)most : UINT32_MAX;
  for (size_t i = 0; i < n; i++) pairs->key[0][i] = *limit - pairs->key[0][i];
  return n;
}

/* The provisional numbers of the values that stay, in the order of their ids, `*n` of them of `*room`; dfm_slab_free them. */
static dfm_status rank(const dfm_vocabulary_builder *builder, uint32_t **ranked, size_t *n, size_t *room,
                       dfm_error *error) {
  const dfm_field_settings *settings = &builder->field->settings;
  dfm_pairs pairs = {0};
  uint32_t *array[4] = {0}, limit;
  dfm_status status = DFM_OK;
  *room = count_values(builder);
  for (int i = 0; i < 4 && status == DFM_OK; i++) status = dfm_slab_alloc(&array[i], *room, sizeof **array, error);
  if (status == DFM_OK) {
    pairs = (dfm_pairs){{array[0], array[1]}, {array[2], array[3]}};
    *n = list_values(builder, &pairs, &limit);
    dfm_sort_pairs(&pairs, *n, limit);
    if (settings->max_vocabulary > 0 && *n > (size_t)settings->max_vocabulary) *n = (size_t)settings->max_vocabulary;
    *ranked = pairs.value[0];
  }
  for (int i = 0; i < 4; i++)
    if (array[i] && array[i] != pairs.value[0]) dfm_slab_free(array[i], *room, sizeof **array);
  if (status == DFM_OK && settings->order == DFM_ORDER_SORTED)
    qsort_r(*ranked, *n, sizeof **ranked, by_bytes, (void *)(uintptr_t)builder);
  return status;
}

/* ---- freezing */

/* The values' bytes lie anywhere, and so do their index slots: each is asked for some values ahead. */
enum { AHEAD = 16 };

static void prefetch(const dfm_vocabulary_builder *builder, const uint32_t *ranked, size_t n, size_t i) {
  if (i + 2 * (size_t)AHEAD < n) __builtin_prefetch(dfm_builder_record(builder, ranked[i + 2 * (size_t)AHEAD]));
  if (i + AHEAD >= n) return;
  const dfm_record *record = dfm_builder_record(builder, ranked[i + AHEAD]);
  if ((record->meta & DFM_LONG_LENGTH) > DFM_VALUE_HEAD) __builtin_prefetch(dfm_arena_at(&builder->text, record->head));
}

static void freeze(const dfm_vocabulary_builder *builder, const uint32_t *ranked, dfm_vocabulary *vocabulary,
                   uint32_t *place) {
  uint8_t *bytes = (uint8_t *)(uintptr_t)vocabulary->bytes;
  uint64_t *offsets = (uint64_t *)(uintptr_t)vocabulary->offsets;
  uint64_t *counts = (uint64_t *)(uintptr_t)vocabulary->counts;
  uint32_t *index = (uint32_t *)(uintptr_t)vocabulary->index;
  const uint64_t mask = vocabulary->index_size - 1, n = vocabulary->n;
  uint64_t slots[AHEAD];
  for (uint64_t i = 0; i < n + AHEAD; i++) {
    uint64_t slot = slots[i % AHEAD];
    if (i < n) {
      size_t length;
      prefetch(builder, ranked, n, i);
      const dfm_record *record = dfm_builder_record(builder, ranked[i]);
      const char *from = dfm_builder_bytes(builder, record, &length);
      memcpy(bytes + offsets[i], from, length);
      offsets[i + 1] = offsets[i] + length;
      counts[i] = record->meta >> DFM_LENGTH_BITS;
      place[ranked[i]] = (uint32_t)i;
      slots[i % AHEAD] = dfm_value_hash(from, length) & mask;
      __builtin_prefetch(&index[slots[i % AHEAD]], 1);
    }
    if (i < AHEAD) continue;
    while (index[slot] != 0) slot = (slot + 1) & mask;
    index[slot] = (uint32_t)(i - AHEAD) + 1;
  }
}

dfm_status dfm_vocabulary_settle(dfm_vocabulary_builder *builder, const char *folder, dfm_vocabulary *vocabulary,
                                 uint32_t *place, dfm_error *error) {
  uint32_t *ranked = NULL;
  size_t n = 0, room = 0, size_bytes = 0;
  dfm_vocabulary_builder_close(builder);
  DFM_TRY(rank(builder, &ranked, &n, &room, error));
  for (size_t i = 0; i < n; i++) {
    size_t length;
    (void)dfm_builder_bytes(builder, dfm_builder_record(builder, ranked[i]), &length);
    size_bytes += length;
  }
  const dfm_status status = dfm_vocabulary_allocate(vocabulary, n, size_bytes, folder, error);
  if (status == DFM_OK) {
    memset(place, 0xFF, (size_t)builder->n * sizeof *place);
    freeze(builder, ranked, vocabulary, place);
    dfm_spill_spent(&vocabulary->spill, 0, vocabulary->spill.capacity_bytes);
  } else {
    dfm_vocabulary_clear(vocabulary);
  }
  dfm_slab_free(ranked, room, sizeof *ranked);
  return status;
}
