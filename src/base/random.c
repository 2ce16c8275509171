/* (key, counter) comes in; the random bits that Philox4x32-10 assigns to it go out. */
#include "base/random.h"

#include <math.h>

/* Multipliers and key increments: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011. */
enum { PHILOX_ROUNDS = 10 };
static const uint32_t multiplier0 = 0xD2511F53, multiplier1 = 0xCD9E8D57, weyl0 = 0x9E3779B9, weyl1 = 0xBB67AE85;

void dfm_philox(uint64_t key, uint64_t counter, uint64_t counter2, uint32_t out[4]) {
  uint32_t x0 = (uint32_t)counter, x1 = (uint32_t)(counter >> 32), x2 = (uint32_t)counter2,
           x3 = (uint32_t)(counter2 >> 32);
  uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
  for (int round = 0; round < PHILOX_ROUNDS; round++) {
    const uint64_t p0 = (uint64_t)multiplier0 * x0, p1 = (uint64_t)multiplier1 * x2;
    x0 = (uint32_t)(p1 >> 32) ^ x1 ^ k0;
    x1 = (uint32_t)p1;
    x2 = (uint32_t)(p0 >> 32) ^ x3 ^ k1;
    x3 = (uint32_t)p0;
    k0 += weyl0;
    k1 += weyl1;
  }
  out[0] = x0;
  out[1] = x1;
  out[2] = x2;
  out[3] = x3;
}

static uint64_t philox_u64(uint64_t key, uint64_t counter, uint64_t counter2) {
  uint32_t x[4];
  dfm_philox(key, counter, counter2, x);
  return (uint64_t)x[1] << 32 | x[0];
}

uint64_t dfm_random_key(uint64_t seed, dfm_stream stream) {
  return philox_u64(seed, (uint64_t)stream, UINT64_MAX);
}

uint64_t dfm_random_u64(uint64_t key, uint64_t counter) {
  return philox_u64(key, counter, 0);
}

/* 24 bits: as many as a float in [0.5, 1) can tell apart, so that 1 is never reached by rounding. */
static float unit_float(uint32_t bits) {
  return (float)(bits >> 8) * 0x1p-24f;
}

float dfm_random_uniform(uint64_t key, uint64_t counter) {
  uint32_t x[4];
  dfm_philox(key, counter, 0, x);
  return unit_float(x[0]);
}

uint64_t dfm_random_below(uint64_t key, uint64_t counter, uint64_t bound) {
  /* The lowest 2^64 mod bound values are refused, so that what is left is a multiple of bound. They are less than
   * bound, which saves most numbers the division. */
  uint64_t retry = 0, bits;
  do bits = philox_u64(key, counter, retry++);
  while (bits < bound && bits < (0 - bound) % bound);
  return bits % bound;
}

void dfm_random_fill_uniform(uint64_t key, uint64_t counter, float *out, size_t n) {
  for (size_t i = 0; i < n; i += 4) {
    uint32_t x[4];
    dfm_philox(key, counter, i / 4, x);
    for (size_t j = 0; j < 4 && i + j < n; j++) out[i + j] = unit_float(x[j]);
  }
}

/* Box, Muller, "A note on the generation of random normal deviates", 1958: u in (0, 1], v in [0, 1) give
 * sqrt(-2 ln u) cos(2 pi v) and sqrt(-2 ln u) sin(2 pi v), independent standard normals. */
void dfm_random_fill_normal(uint64_t key, uint64_t counter, float *out, size_t n) {
  static const double two_pi = 6.283185307179586477;
  for (size_t i = 0; i < n; i += 4) {
    uint32_t x[4];
    dfm_philox(key, counter, i / 4, x);
    for (size_t j = 0; j < 4 && i + j < n; j++) {
      const double u = ((double)x[j & 2] + 1) * 0x1p-32, angle = two_pi * (double)x[(j & 2) + 1] * 0x1p-32;
      out[i + j] = (float)(sqrt(-2 * log(u)) * (j % 2 == 0 ? cos(angle) : sin(angle)));
    }
  }
}
