/* Stable radix sort, least significant digit first: as many passes as the largest key has digits. */
#include "base/sort.h"

/* 2^11 counters stay in the first-level cache; two digits sort keys up to 4 M, three sort all. */
enum { DFM_RADIX_BITS = 11, DFM_RADIX = 1 << DFM_RADIX_BITS };

static void radix_pass(const dfm_pairs *pairs, size_t n, int shift) {
  uint32_t place[DFM_RADIX] = {0};
  for (size_t i = 0; i < n; i++) place[(pairs->key[0][i] >> shift) & (DFM_RADIX - 1)]++;
  uint32_t sum = 0;
  for (int digit = 0; digit < DFM_RADIX; digit++) {
    const uint32_t count = place[digit];
    place[digit] = sum;
    sum += count;
  }
  for (size_t i = 0; i < n; i++) {
    const uint32_t to = place[(pairs->key[0][i] >> shift) & (DFM_RADIX - 1)]++;
    pairs->key[1][to] = pairs->key[0][i];
    pairs->value[1][to] = pairs->value[0][i];
  }
}

void dfm_sort_pairs(dfm_pairs *pairs, size_t n, uint32_t limit) {
  for (int shift = 0; shift < 32 && (shift == 0 || limit >> shift); shift += DFM_RADIX_BITS) {
    radix_pass(pairs, n, shift);
    *pairs = (dfm_pairs){{pairs->key[1], pairs->key[0]}, {pairs->value[1], pairs->value[0]}};
  }
}
