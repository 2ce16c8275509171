/* Frozen vocabularies: the bytes of a cell come in; the value's index, or word that it is unknown, goes out. */
#include "data/vocabulary.h"

#include <stdlib.h>
#include <string.h>

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

void dfm_vocabulary_prefetch(const dfm_vocabulary *vocabulary, uint64_t hash, int stage) {
  if (!vocabulary->index) return;
  const uint32_t *slot = &vocabulary->index[hash & (vocabulary->index_size - 1)];
  if (stage == 0) {
    __builtin_prefetch(slot);
  } else if (*slot != 0) {
    const uint64_t *offset = &vocabulary->offsets[*slot - 1];
    __builtin_prefetch(stage == 1 ? (const void *)offset : (const void *)(vocabulary->bytes + *offset));
  }
}

uint64_t dfm_vocabulary_find_hashed(const dfm_vocabulary *vocabulary, uint64_t hash, const char *bytes, size_t n) {
  if (!vocabulary->index) return UINT64_MAX;
  const uint64_t mask = vocabulary->index_size - 1;
  for (uint64_t slot = hash & mask; vocabulary->index[slot] != 0; slot = (slot + 1) & mask) {
    const uint64_t value = vocabulary->index[slot] - 1;
    const uint64_t start = vocabulary->offsets[value];
    if (vocabulary->offsets[value + 1] - start == n && memcmp(vocabulary->bytes + start, bytes, n) == 0) return value;
  }
  return UINT64_MAX;
}

uint64_t dfm_vocabulary_find(const dfm_vocabulary *vocabulary, const char *bytes, size_t n) {
  return dfm_vocabulary_find_hashed(vocabulary, dfm_value_hash(bytes, n), bytes, n);
}

void dfm_vocabulary_clear(dfm_vocabulary *vocabulary) {
  free((void *)(uintptr_t)vocabulary->bytes);
  free((void *)(uintptr_t)vocabulary->offsets);
  free((void *)(uintptr_t)vocabulary->counts);
  free((void *)(uintptr_t)vocabulary->index);
  *vocabulary = (dfm_vocabulary){0};
}
