/* Vocabulary builder: values come in cell by cell and get provisional numbers; counts and an order come in, a frozen
 * vocabulary goes out. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/vocabulary.h"

enum { FIRST_SLOTS = 64 };

dfm_status dfm_vocabulary_builder_begin(dfm_vocabulary_builder *builder, dfm_error *error) {
  *builder = (dfm_vocabulary_builder){0};
  DFM_TRY(dfm_alloc(&builder->slots, FIRST_SLOTS, sizeof *builder->slots, error));
  builder->n_slots = FIRST_SLOTS;
  DFM_TRY(dfm_grow(&builder->offsets, &builder->offsets_capacity, FIRST_SLOTS, sizeof *builder->offsets, error));
  builder->offsets[0] = 0;
  return dfm_grow(&builder->bytes, &builder->bytes_capacity, 16 * FIRST_SLOTS, 1, error);
}

void dfm_vocabulary_builder_clear(dfm_vocabulary_builder *builder) {
  free(builder->slots);
  free(builder->bytes);
  free(builder->offsets);
  *builder = (dfm_vocabulary_builder){0};
}

void dfm_vocabulary_builder_prefetch(const dfm_vocabulary_builder *builder, uint64_t hash) {
  __builtin_prefetch(&builder->slots[hash & (builder->n_slots - 1)]);
}

enum { HEAD_BYTES = 8, LENGTH_BITS = 8, LONG_LENGTH = (1 << LENGTH_BITS) - 1 };

static uint64_t head_of(const void *bytes, size_t n) {
  uint64_t head = 0;
  if (n > 0) memcpy(&head, bytes, n < HEAD_BYTES ? n : HEAD_BYTES);
  return head;
}

static uint32_t tag_of(uint64_t hash, size_t n) {
  return (uint32_t)(hash >> 40) << LENGTH_BITS | (uint32_t)(n < LONG_LENGTH ? n : LONG_LENGTH);
}

/* The slot that holds the value, or the empty one where it belongs. */
static dfm_slot *find_slot(const dfm_vocabulary_builder *builder, uint64_t hash, const char *bytes, size_t n) {
  const size_t mask = builder->n_slots - 1;
  const uint64_t head = head_of(bytes, n);
  const uint32_t tag = tag_of(hash, n);
  for (size_t i = hash & mask;; i = (i + 1) & mask) {
    dfm_slot *slot = &builder->slots[i];
    if (slot->value == 0) return slot;
    if (slot->tag != tag || slot->head != head) continue;
    if (n <= HEAD_BYTES) return slot;
    const uint64_t start = builder->offsets[slot->value - 1];
    if (builder->offsets[slot->value] - start == n && memcmp(builder->bytes + start, bytes, n) == 0) return slot;
  }
}

/* Twice the slots; the values are hashed again in their order, in which their bytes lie. */
static dfm_status grow_slots(dfm_vocabulary_builder *builder, dfm_error *error) {
  dfm_slot *slots;
  const size_t n_slots = 2 * builder->n_slots, mask = n_slots - 1;
  DFM_TRY(dfm_alloc(&slots, n_slots, sizeof *slots, error));
  for (uint32_t i = 0; i < builder->n; i++) {
    const uint8_t *bytes = builder->bytes + builder->offsets[i];
    const size_t n = builder->offsets[i + 1] - builder->offsets[i];
    const uint64_t hash = dfm_value_hash((const char *)bytes, n);
    size_t to = hash & mask;
    while (slots[to].value != 0) to = (to + 1) & mask;
    slots[to] = (dfm_slot){head_of(bytes, n), i + 1, tag_of(hash, n)};
  }
  free(builder->slots);
  builder->slots = slots;
  builder->n_slots = n_slots;
  return DFM_OK;
}

uint32_t dfm_vocabulary_builder_find(const dfm_vocabulary_builder *builder, uint64_t hash, const char *bytes,
                                     size_t n) {
  const dfm_slot *slot = find_slot(builder, hash, bytes, n);
  return slot->value == 0 ? UINT32_MAX : slot->value - 1;
}

dfm_status dfm_vocabulary_builder_add(dfm_vocabulary_builder *builder, uint64_t hash, const char *bytes, size_t n,
                                      uint32_t *value, dfm_error *error) {
  dfm_slot *slot = find_slot(builder, hash, bytes, n);
  if (slot->value != 0) {
    *value = slot->value - 1;
    return DFM_OK;
  }
  /* Ids are 32 bits, one row is the unknown one and the last id means none. */
  if (builder->n >= UINT32_MAX - 2) {
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "a column has more than %u distinct values; raise min_count or ignore the column", UINT32_MAX - 2);
  }
  if (2 * ((size_t)builder->n + 1) > builder->n_slots) {
    DFM_TRY(grow_slots(builder, error));
    slot = find_slot(builder, hash, bytes, n);
  }
  const uint64_t start = builder->offsets[builder->n];
  DFM_TRY(dfm_grow(&builder->bytes, &builder->bytes_capacity, start + n, 1, error));
  DFM_TRY(
      dfm_grow(&builder->offsets, &builder->offsets_capacity, (size_t)builder->n + 2, sizeof *builder->offsets, error));
  if (n > 0) memcpy(builder->bytes + start, bytes, n);
  *value = builder->n++;
  builder->offsets[builder->n] = start + n;
  *slot = (dfm_slot){head_of(bytes, n), *value + 1, tag_of(hash, n)};
  return DFM_OK;
}

/* ---- settling */

typedef struct ranked_value {
  uint64_t count;
  const uint8_t *bytes;
  size_t n;
  uint32_t seen;  /* rank by first appearance */
  uint32_t value; /* provisional */
} ranked_value;

static int by_frequency(const void *left, const void *right) {
  const ranked_value *a = left, *b = right;
  if (a->count != b->count) return a->count > b->count ? -1 : 1;
  return a->seen < b->seen ? -1 : a->seen > b->seen;
}

static int by_bytes(const void *left, const void *right) {
  const ranked_value *a = left, *b = right;
  const size_t n = a->n < b->n ? a->n : b->n;
  const int order = n > 0 ? memcmp(a->bytes, b->bytes, n) : 0;
  return order != 0 ? order : (a->n > b->n) - (a->n < b->n);
}

/* The values that stay, in the order of their ids; the caller frees `*kept`. */
static dfm_status rank(const dfm_vocabulary_builder *builder, const dfm_value_counts *counts,
                       const dfm_field_settings *settings, ranked_value **kept, size_t *n_kept, dfm_error *error) {
  ranked_value *ranked;
  size_t n = 0;
  const uint64_t min_count = settings->min_count > 1 ? (uint64_t)settings->min_count : 1;
  for (uint32_t i = 0; i < counts->n_seen; i++) n += counts->count[counts->seen[i]] >= min_count;
  DFM_TRY(dfm_alloc(&ranked, n, sizeof *ranked, error));
  n = 0;
  for (uint32_t i = 0; i < counts->n_seen; i++) {
    const uint32_t value = counts->seen[i];
    const uint64_t start = builder->offsets[value];
    if (counts->count[value] < min_count) continue;
    ranked[n++] = (ranked_value){.count = counts->count[value],
                                 .bytes = builder->bytes + start,
                                 .n = builder->offsets[value + 1] - start,
                                 .seen = i,
                                 .value = value};
  }
  qsort(ranked, n, sizeof *ranked, settings->order == DFM_ORDER_SORTED ? by_bytes : by_frequency);
  *kept = ranked;
  *n_kept = n;
  return DFM_OK;
}

/* Fresh memory of one vocabulary; freed by dfm_vocabulary_clear also where only a part of it was had. */
static dfm_status allocate(dfm_vocabulary *vocabulary, size_t n, size_t size_bytes, dfm_error *error) {
  vocabulary->n = n;
  vocabulary->index_size = dfm_vocabulary_index_size(n);
  DFM_TRY(dfm_alloc(&vocabulary->bytes, size_bytes, 1, error));
  DFM_TRY(dfm_alloc(&vocabulary->offsets, n + 1, sizeof(uint64_t), error));
  DFM_TRY(dfm_alloc(&vocabulary->counts, n, sizeof(uint64_t), error));
  return dfm_alloc(&vocabulary->index, vocabulary->index_size, sizeof(uint32_t), error);
}

static void freeze(const ranked_value *kept, dfm_vocabulary *vocabulary, uint32_t *place) {
  uint8_t *bytes = (uint8_t *)(uintptr_t)vocabulary->bytes;
  uint64_t *offsets = (uint64_t *)(uintptr_t)vocabulary->offsets;
  uint64_t *counts = (uint64_t *)(uintptr_t)vocabulary->counts;
  uint32_t *index = (uint32_t *)(uintptr_t)vocabulary->index;
  const uint64_t mask = vocabulary->index_size - 1;
  for (size_t i = 0; i < vocabulary->n; i++) {
    memcpy(bytes + offsets[i], kept[i].bytes, kept[i].n);
    offsets[i + 1] = offsets[i] + kept[i].n;
    counts[i] = kept[i].count;
    place[kept[i].value] = (uint32_t)i;
    uint64_t slot = dfm_value_hash((const char *)kept[i].bytes, kept[i].n) & mask;
    while (index[slot] != 0) slot = (slot + 1) & mask;
    index[slot] = (uint32_t)i + 1;
  }
}

dfm_status dfm_vocabulary_settle(const dfm_vocabulary_builder *builder, const dfm_value_counts *counts,
                                 const dfm_field_settings *settings, dfm_vocabulary *vocabulary, uint32_t *place,
                                 dfm_error *error) {
  ranked_value *kept;
  size_t n_kept, size_bytes = 0;
  DFM_TRY(rank(builder, counts, settings, &kept, &n_kept, error));
  for (size_t i = 0; i < n_kept; i++) size_bytes += kept[i].n;
  *vocabulary = (dfm_vocabulary){0};
  const dfm_status status = allocate(vocabulary, n_kept, size_bytes, error);
  if (status == DFM_OK) {
    memset(place, 0xFF, (size_t)builder->n * sizeof *place);
    freeze(kept, vocabulary, place);
  } else {
    dfm_vocabulary_clear(vocabulary);
  }
  free(kept);
  return status;
}
