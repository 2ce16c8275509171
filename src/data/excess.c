/* Far above: the tail of the binomial distribution. */
#include "data/excess.h"

#include <math.h>

/* P(X >= count) for X binomial (n, p), where count > n p: the terms fall from the first one on, each n - k of k + 1
 * times the odds of the one before. */
static double tail(int64_t count, int64_t n, double p) {
  int sign;
  const double x = (double)count, m = (double)n;
  const double log_choose = lgamma_r(m + 1, &sign) - lgamma_r(x + 1, &sign) - lgamma_r(m - x + 1, &sign);
  double term = exp(log_choose + x * log(p) + (m - x) * log1p(-p)), sum = 0;
  for (int64_t k = count; k <= n && term > sum * 1e-9; k++) {
    sum += term;
    term *= (double)(n - k) / (double)(k + 1) * p / (1 - p);
  }
  return sum;
}

bool dfm_is_far_above(int64_t count, int64_t n, double expected) {
  static const double CHANCE = 1e-3;
  const double limit = 3 * expected + 0.05;
  if (limit >= 1 || (double)count <= limit * (double)n) return false;
  return tail(count, n, limit) < CHANCE;
}
