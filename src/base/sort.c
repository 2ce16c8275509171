/* Two radix sorts: a stable one with room to work in, least significant digit first, in as many passes as the largest
 * key has digits; and one in place, most significant digit first. */
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

/* ---- in place: McIlroy, Bostic, McIlroy, "Engineering radix sort", 1993 ("American flag sort") */

enum { DFM_FLAG_BITS = 8, DFM_FLAGS = 1 << DFM_FLAG_BITS, DFM_FEW = 32 };

static void swap(uint32_t *keys, float *values, size_t i, size_t j) {
  const uint32_t key = keys[i];
  keys[i] = keys[j];
  keys[j] = key;
  if (!values) return;
  const float value = values[i];
  values[i] = values[j];
  values[j] = value;
}

static void sort_few(uint32_t *keys, float *values, size_t n) {
  for (size_t i = 1; i < n; i++)
    for (size_t j = i; j > 0 && keys[j - 1] > keys[j]; j--) swap(keys, values, j - 1, j);
}

static void sort_from(uint32_t *keys, float *values, size_t n, int shift) {
  size_t next[DFM_FLAGS] = {0}, end[DFM_FLAGS], sum = 0;
  if (n <= DFM_FEW) {
    sort_few(keys, values, n);
    return;
  }
  for (size_t i = 0; i < n; i++) next[keys[i] >> shift & (DFM_FLAGS - 1)]++;
  for (int flag = 0; flag < DFM_FLAGS; flag++) {
    const size_t count = next[flag];
    next[flag] = sum;
    end[flag] = sum += count;
  }
  for (uint32_t flag = 0; flag < DFM_FLAGS; flag++) {
    while (next[flag] < end[flag]) {
      const uint32_t home = keys[next[flag]] >> shift & (DFM_FLAGS - 1);
      if (home == flag)
        next[flag]++;
      else
        swap(keys, values, next[flag], next[home]++);
    }
  }
  for (int flag = 0; shift > 0 && flag < DFM_FLAGS; flag++) {
    const size_t from = flag > 0 ? end[flag - 1] : 0;
    sort_from(keys + from, values ? values + from : NULL, end[flag] - from, shift - DFM_FLAG_BITS);
  }
}

void dfm_sort_in_place(uint32_t *keys, float *values, size_t n) {
  sort_from(keys, values, n, 32 - DFM_FLAG_BITS);
}
