/* Radix sorts: pairs of 32-bit keys and values come in, pairs in ascending order of keys go out. */
#ifndef DFM_BASE_SORT_H
#define DFM_BASE_SORT_H

#include <stddef.h>
#include <stdint.h>

/* Two pairs of arrays (n each): the pairs to sort in key[0], value[0]; key[1], value[1] are room to work in. */
typedef struct dfm_pairs {
  uint32_t *key[2], *value[2];
} dfm_pairs;

/* Stable. Sorts n < 2^32 pairs whose keys are at most `limit`; afterwards index 0 of `pairs` has the sorted ones (the
 * arrays may have been swapped). */
void dfm_sort_pairs(dfm_pairs *pairs, size_t n, uint32_t limit);

/* Sorts keys (n) in place, and `values` (n; NULL: none) along with them. Not stable, but the same input gives the same
 * output. */
void dfm_sort_in_place(uint32_t *keys, float *values, size_t n);

#endif
