/* Frozen vocabularies: the bytes of cells come in; the values' indices, or word that they are unknown, go out. */
#include "data/vocabulary.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/prefetch.h"

uint64_t dfm_value_hash_any(const char *bytes, size_t n) {
  return XXH3_64bits(bytes, n);
}

uint64_t dfm_vocabulary_index_size(uint64_t n) {
  uint64_t size = 2;
  while (size < 2 * n) size *= 2;
  return size;
}

static inline uint32_t load_four(const void *bytes) {
  uint32_t loaded;
  memcpy(&loaded, bytes, sizeof loaded);
  return loaded;
}

/* Most values are a few bytes long: comparing them by hand saves a call. No byte behind `a` is read. */
static inline bool is_same(const uint8_t *a, const dfm_value *value) {
  const uint32_t n = value->n;
  const uint8_t *b = (const uint8_t *)dfm_value_bytes(value);
  if (n > DFM_VALUE_HEAD) return memcmp(a, b, n) == 0;
  if (n >= 4) return load_four(a) == load_four(b) && load_four(a + n - 4) == load_four(b + n - 4);
  for (uint32_t i = 0; i < n; i++)
    if (a[i] != b[i]) return false;
  return true;
}

static inline uint32_t find(const dfm_vocabulary *vocabulary, const dfm_value *value, uint64_t hash) {
  const uint64_t mask = vocabulary->index_size - 1;
  for (uint64_t slot = hash & mask; vocabulary->index[slot] != 0; slot = (slot + 1) & mask) {
    const uint32_t i = vocabulary->index[slot] - 1;
    const uint64_t start = vocabulary->offsets[i];
    if (vocabulary->offsets[i + 1] - start == value->n && is_same(vocabulary->bytes + start, value)) return i;
  }
  return DFM_ID_NONE;
}

enum { STAGES = 3, AHEAD = 12 /* values between two stages */, KEPT = 64 };
_Static_assert(KEPT > STAGES * AHEAD && (KEPT & (KEPT - 1)) == 0, "hashes are kept until their values are found");
/* An index up to this lies with its values in the first caches: asking ahead costs more than it brings. */
enum { NEAR_SLOTS = 4096 };

/* A search is three memory misses, each the address of the next: slot, offset, bytes. Asks for the slot of value
 * `i`, whose hash is kept from then on, for the offset of the one AHEAD before it and for the bytes of the one
 * before that. */
DFM_PREFETCHES void prefetch(const dfm_vocabulary *vocabulary, const dfm_value *values, size_t n, size_t i,
                             uint64_t hash[KEPT]) {
  const uint64_t mask = vocabulary->index_size - 1;
  if (i < n) {
    hash[i % KEPT] = values[i].n == DFM_VALUE_ABSENT ? 0 : dfm_value_hash_of(&values[i]);
    __builtin_prefetch(&vocabulary->index[hash[i % KEPT] & mask]);
  }
  for (size_t stage = 1; stage < STAGES; stage++) {
    if (i < stage * AHEAD || i - stage * AHEAD >= n) continue;
    const uint32_t value = vocabulary->index[hash[(i - stage * AHEAD) % KEPT] & mask];
    if (value == 0) continue;
    const uint64_t *offset = &vocabulary->offsets[value - 1];
    __builtin_prefetch(stage == 1 ? (const void *)offset : (const void *)(vocabulary->bytes + *offset));
  }
}

void dfm_vocabulary_find_all(const dfm_vocabulary *vocabulary, dfm_value *values, size_t n) {
  const bool is_near = vocabulary->index_size <= NEAR_SLOTS;
  uint64_t hash[KEPT];
  for (size_t i = 0; vocabulary->index && !is_near && i < (size_t)STAGES * AHEAD; i++)
    prefetch(vocabulary, values, n, i, hash);
  for (size_t i = 0; i < n; i++) {
    dfm_value *value = &values[i];
    value->id = DFM_ID_NONE;
    if (!vocabulary->index) continue;
    if (!is_near) prefetch(vocabulary, values, n, i + (size_t)STAGES * AHEAD, hash);
    if (value->n == DFM_VALUE_ABSENT) continue;
    value->id = find(vocabulary, value, is_near ? dfm_value_hash_of(value) : hash[i % KEPT]);
  }
}

uint64_t dfm_vocabulary_find(const dfm_vocabulary *vocabulary, const char *bytes, size_t n) {
  if (!vocabulary->index) return UINT64_MAX;
  const dfm_value value = dfm_value_of(bytes, n);
  const uint32_t i = find(vocabulary, &value, dfm_value_hash(bytes, n));
  return i == DFM_ID_NONE ? UINT64_MAX : i;
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
    dfm_pages_touch(vocabulary->heap, size);
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
