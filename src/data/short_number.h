/* Short numbers: the bytes of a number cell come in; where they are a whole number of few digits, or none at all, as
 * most cells of logs are, the float goes out. */
#ifndef DFM_DATA_SHORT_NUMBER_H
#define DFM_DATA_SHORT_NUMBER_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Eight digits, the first in the lowest byte, become their number by three multiplications; false: some is no digit. */
static inline bool dfm_read_eight(uint64_t digits, uint32_t *number) {
  const uint64_t high = UINT64_C(0xf0f0f0f0f0f0f0f0), zeros = UINT64_C(0x3030303030303030);
  const uint64_t carried = (digits + UINT64_C(0x0606060606060606)) & high;
  const bool are_digits = (((digits & high) ^ zeros) | (carried ^ zeros)) == 0;
  digits -= zeros;
  digits = digits * 10 + (digits >> 8);
  const uint64_t pairs = UINT64_C(0x000000ff000000ff);
  const uint64_t low = (digits & pairs) * (100 + (UINT64_C(1000000) << 32));
  const uint64_t rest = ((digits >> 16) & pairs) * (1 + (UINT64_C(10000) << 32));
  *number = (uint32_t)((low + rest) >> 32);
  return are_digits;
}

enum { DFM_SHORT_BYTES = 9 /* a sign and eight more */ };

/* Whole numbers of up to seven digits, which floats hold exactly, are read at once, moved behind leading zeros; the
 * empty cell is NaN. Lengths are as good as random, so nothing branches on them. DFM_SHORT_BYTES can be read. */
static inline bool dfm_load_short(const char *bytes, size_t n, float *number) {
  enum { MOST_DIGITS = 7 };
  uint64_t digits;
  uint32_t whole;
  const bool is_empty = n == 0, is_negative = !is_empty & (*bytes == '-');
  n -= is_negative;
  memcpy(&digits, bytes + is_negative, sizeof digits);
  const unsigned spare = (unsigned)(64 - 8 * n) & 63; /* of 64 bits; where n is 0 or too large the result is not used */
  const uint64_t zeros = UINT64_C(0x3030303030303030);
  const uint64_t moved = is_empty ? zeros : digits << spare | (zeros & ((UINT64_C(1) << spare) - 1));
  const bool is_read = dfm_read_eight(moved, &whole) & (is_empty | (n - 1 < MOST_DIGITS));
  const float value = is_negative ? -(float)whole : (float)whole;
  *number = is_empty ? NAN : value;
  return is_read;
}

/* The same of text that can be read up to `limit`. */
static inline bool dfm_read_short(const char *bytes, size_t n, const char *limit, float *number) {
  if (limit - bytes >= DFM_SHORT_BYTES) return dfm_load_short(bytes, n, number);
  *number = NAN;
  return n == 0;
}

#endif
