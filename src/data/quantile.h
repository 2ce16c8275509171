/* Exact quantiles of a column of floats: the values come in, the same ones in each of three passes and in any order;
 * order statistics go out. Memory is a constant, so nothing is sampled however many values there are.
 *
 * A radix search: a float's bits, flipped so that they ascend with it, are a key of 32 bits. The first pass counts the
 * values by the key's leading digit, which tells each quantile's digit and its rank among the values that share it; the
 * next passes do the same one digit further. */
#ifndef DFM_DATA_QUANTILE_H
#define DFM_DATA_QUANTILE_H

#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "deepfm.h"

enum { DFM_QUANTILE_PASSES = 3, DFM_QUANTILE_DIGITS = 1 << 10 };

/* Zeroed at the start, except `count`. */
typedef struct dfm_quantile_search {
  int pass;
  int64_t n;                      /* values of the first pass */
  uint32_t prefix[DFM_QUANTILES]; /* the key's digits found so far */
  int64_t rank[DFM_QUANTILES];    /* among the values that begin so, from 0 */
  int64_t *count; /* (DFM_QUANTILES, DFM_QUANTILE_DIGITS), zeroed: by leading digit, then by prefix and digit */
} dfm_quantile_search;

/* Ascends with x; no NaN. */
static inline uint32_t dfm_float_key(float x) {
  uint32_t bits;
  const float plain = x + 0.0F; /* -0 is 0 */
  memcpy(&bits, &plain, sizeof bits);
  return bits >> 31 ? ~bits : bits | 0x80000000U;
}

static inline float dfm_float_of_key(uint32_t key) {
  const uint32_t bits = key >> 31 ? key & 0x7FFFFFFFU : ~key;
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* One value, no NaN, of the pass that the search is in. */
void dfm_quantile_add(dfm_quantile_search *search, float x);
/* All values of the pass were added. After DFM_QUANTILE_PASSES of them the quantiles are known. */
void dfm_quantile_end_pass(dfm_quantile_search *search);
/* The smallest value that at least 5, 25, 50, 75 or 95 % (i 0 to 4) of the values do not exceed; NaN without values. */
double dfm_quantile_value(const dfm_quantile_search *search, int i);

#endif
