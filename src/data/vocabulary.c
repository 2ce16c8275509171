/* Frozen vocabularies: the bytes of cells come in; the values' indices, or word that they are unknown, go out. */
#include "data/vocabulary.h"

#include <stdlib.h>

#include "base/memory.h"

/* Cells are a few bytes long: the call would cost as much as the hash. */
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t dfm_value_hash(const char *bytes, size_t n) {
  return XXH3_64bits(bytes, n);
}

uint64_t dfm_vocabulary_index_size(uint64_t n) {
  uint64_t size = 2;
  while (size < 2 * n) size *= 2;
  return size;
}

static uint32_t find(const dfm_vocabulary *vocabulary, uint64_t hash, const char *bytes, size_t n) {
  const uint64_t mask = vocabulary->index_size - 1;
  for (uint64_t slot = hash & mask; vocabulary->index[slot] != 0; slot = (slot + 1) & mask) {
    const uint32_t value = vocabulary->index[slot] - 1;
    const uint64_t start = vocabulary->offsets[value];
    if (vocabulary->offsets[value + 1] - start == n && memcmp(vocabulary->bytes + start, bytes, n) == 0) return value;
  }
  return DFM_ID_NONE;
}

/* A search is three memory misses, each the address of the next: slot, offset, bytes. Asks for the one of `stage`. */
static inline void prefetch(const dfm_vocabulary *vocabulary, const dfm_value *value, int stage) {
  const uint32_t *slot = &vocabulary->index[value->hash & (vocabulary->index_size - 1)];
  if (value->n == DFM_VALUE_ABSENT) return;
  if (stage == 0) {
    __builtin_prefetch(slot);
  } else if (*slot != 0) {
    const uint64_t *offset = &vocabulary->offsets[*slot - 1];
    __builtin_prefetch(stage == 1 ? (const void *)offset : (const void *)(vocabulary->bytes + *offset));
  }
}

void dfm_vocabulary_find_all(const dfm_vocabulary *vocabulary, dfm_value *values, size_t n) {
  enum { STAGES = 3, AHEAD = 12 }; /* values between two stages */
  if (!vocabulary->index) {
    for (size_t i = 0; i < n; i++) values[i].id = DFM_ID_NONE;
    return;
  }
  for (size_t i = 0; i < n + (size_t)STAGES * AHEAD; i++) {
    for (size_t stage = 0; stage < STAGES; stage++)
      if (i >= stage * AHEAD && i - stage * AHEAD < n) prefetch(vocabulary, &values[i - stage * AHEAD], (int)stage);
    if (i < (size_t)STAGES * AHEAD) continue;
    dfm_value *value = &values[i - (size_t)STAGES * AHEAD];
    value->id =
        value->n == DFM_VALUE_ABSENT ? DFM_ID_NONE : find(vocabulary, value->hash, dfm_value_bytes(value), value->n);
  }
}

uint64_t dfm_vocabulary_find(const dfm_vocabulary *vocabulary, const char *bytes, size_t n) {
  if (!vocabulary->index) return UINT64_MAX;
  const uint32_t value = find(vocabulary, dfm_value_hash(bytes, n), bytes, n);
  return value == DFM_ID_NONE ? UINT64_MAX : value;
}

/* ---- memory: one piece, [offsets | counts | index | bytes] */

enum { HEAP_BYTES = 1 << 20 };

dfm_status dfm_vocabulary_allocate(dfm_vocabulary *vocabulary, uint64_t n, uint64_t size_bytes, const char *folder,
                                   dfm_error *error) {
  *vocabulary = (dfm_vocabulary){.n = n, .index_size = dfm_vocabulary_index_size(n)};
  const size_t counts = (n + 1) * sizeof(uint64_t), index = counts + n * sizeof(uint64_t),
               bytes = index + vocabulary->index_size * sizeof(uint32_t), size = bytes + size_bytes;
  if (size > HEAP_BYTES) {
    DFM_TRY(dfm_spill_grow(&vocabulary->spill, size, true, folder, error));
    dfm_spill_seal(&vocabulary->spill);
  } else {
    DFM_TRY(dfm_alloc(&vocabulary->heap, size, 1, error));
  }
  const uint8_t *base = vocabulary->heap ? vocabulary->heap : vocabulary->spill.bytes;
  vocabulary->offsets = (const void *)base;
  vocabulary->counts = (const void *)(base + counts);
  vocabulary->index = (const void *)(base + index);
  vocabulary->bytes = base + bytes;
  return DFM_OK;
}

void dfm_vocabulary_clear(dfm_vocabulary *vocabulary) {
  free(vocabulary->heap);
  dfm_spill_free(&vocabulary->spill);
  *vocabulary = (dfm_vocabulary){0};
}
