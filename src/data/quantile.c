/* Exact quantiles: the digits of the values' keys are counted pass by pass; the keys at the wanted ranks go out. */
#include "data/quantile.h"

#include <math.h>

static const double SHARE[DFM_QUANTILES] = {0.05, 0.25, 0.5, 0.75, 0.95};
/* Bits below the digit of each pass: digits of 12, 10 and 10 bits. */
static const int SHIFT[DFM_QUANTILE_PASSES] = {20, 10, 0};
_Static_assert(DFM_QUANTILES *DFM_QUANTILE_DIGITS >= 1 << 12, "the first pass counts digits of 12 bits");

/* The first quantile with the same prefix: it alone counts. */
static int owner(const dfm_quantile_search *search, int i) {
  for (int j = 0; j < i; j++)
    if (search->prefix[j] == search->prefix[i]) return j;
  return i;
}

void dfm_quantile_add(dfm_quantile_search *search, float x) {
  const uint32_t key = dfm_float_key(x);
  if (search->pass == 0) {
    search->n++;
    search->count[key >> SHIFT[0]]++;
    return;
  }
  const uint32_t prefix = key >> SHIFT[search->pass - 1],
                 digit = (key >> SHIFT[search->pass]) & (DFM_QUANTILE_DIGITS - 1);
  for (int i = 0; i < DFM_QUANTILES; i++) {
    if (search->prefix[i] != prefix) continue;
    search->count[i * DFM_QUANTILE_DIGITS + (int)digit]++;
    return;
  }
}

void dfm_quantile_end_pass(dfm_quantile_search *search) {
  uint32_t next[DFM_QUANTILES];
  for (int i = 0; i < DFM_QUANTILES && search->n > 0; i++) {
    if (search->pass == 0) {
      const int64_t rank = (int64_t)ceil(SHARE[i] * (double)search->n) - 1;
      search->rank[i] = rank > 0 ? rank : 0;
    }
    const int64_t *count = search->count + (search->pass == 0 ? 0 : owner(search, i) * DFM_QUANTILE_DIGITS);
    uint32_t digit = 0;
    while (search->rank[i] >= count[digit]) search->rank[i] -= count[digit++];
    next[i] = search->pass == 0 ? digit : search->prefix[i] << 10 | digit;
  }
  if (search->n > 0) memcpy(search->prefix, next, sizeof next);
  memset(search->count, 0, sizeof *search->count * DFM_QUANTILES * DFM_QUANTILE_DIGITS);
  search->pass++;
}

double dfm_quantile_value(const dfm_quantile_search *search, int i) {
  return search->n == 0 ? (double)NAN : (double)dfm_float_of_key(search->prefix[i]);
}
