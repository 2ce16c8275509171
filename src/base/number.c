/* Bytes come in; correctly rounded numbers go out. The program's locale has no say. */
#include "base/number.h"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A decimal as read: value = (-1)^is_negative * 0.d1d2d3... * 10^point, digits from the first that is not zero. */
typedef struct dfm_decimal {
  const char *digits, *end; /* the mantissa's bytes from the first digit that is not zero; may hold one '.' */
  long long n_digits;       /* in it, '.' not counted */
  long long point;
  bool is_negative;
} dfm_decimal;

/* 10^22 is the largest power of ten that a double holds exactly. */
enum { MAX_EXACT_POWER = 22 };
static const double powers_of_ten[MAX_EXACT_POWER + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                          1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                          1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static void trim(const char **begin, const char **end) {
  while (*begin < *end && (**begin == ' ' || **begin == '\t')) (*begin)++;
  while (*begin < *end && ((*end)[-1] == ' ' || (*end)[-1] == '\t')) (*end)--;
}

static bool is_word(const char *begin, const char *end, const char *word) {
  return (size_t)(end - begin) == strlen(word) && strncasecmp(begin, word, strlen(word)) == 0;
}

/* [sign] digits at `at` up to `end`, which they must reach. Saturates: no double is that far away. */
static bool scan_exponent(const char *at, const char *end, long long *exponent) {
  const bool is_negative = at < end && *at == '-';
  if (at < end && (*at == '+' || *at == '-')) at++;
  if (at == end) return false;
  long long value = 0;
  for (; at < end; at++) {
    if (!is_digit(*at)) return false;
    if (value < LLONG_MAX / 100) value = value * 10 + (*at - '0');
  }
  *exponent = is_negative ? -value : value;
  return true;
}

/* Digits with at most one '.' at `at`; `rest` gets where they end. false: not a single digit, or a second point. */
static bool scan_mantissa(const char *at, const char *end, dfm_decimal *decimal, const char **rest) {
  bool has_digit = false, has_point = false, is_leading = true;
  for (; at < end; at++) {
    if (*at == '.') {
      if (has_point) return false;
      has_point = true;
      continue;
    }
    if (!is_digit(*at)) break;
    has_digit = true;
    if (is_leading && *at == '0') {
      if (has_point) decimal->point--;
      continue;
    }
    if (is_leading) decimal->digits = at;
    is_leading = false;
    decimal->n_digits++;
    if (!has_point) decimal->point++;
  }
  if (is_leading) decimal->digits = at;
  decimal->end = *rest = at;
  return has_digit;
}

static dfm_number_result scan(const char *bytes, size_t n, dfm_decimal *decimal) {
  if (n == 0) return DFM_NUMBER_NOT;
  const char *at = bytes, *end = bytes + n;
  trim(&at, &end);
  *decimal = (dfm_decimal){.is_negative = at < end && *at == '-'};
  if (at < end && (*at == '+' || *at == '-')) at++;
  if (at < end && !is_digit(*at) && *at != '.') {
    const bool is_special = is_word(at, end, "nan") || is_word(at, end, "inf") || is_word(at, end, "infinity");
    return is_special ? DFM_NUMBER_NOT_FINITE : DFM_NUMBER_NOT;
  }
  if (!scan_mantissa(at, end, decimal, &at)) return DFM_NUMBER_NOT;
  if (at == end) return DFM_NUMBER_OK;
  long long exponent;
  if ((*at != 'e' && *at != 'E') || !scan_exponent(at + 1, end, &exponent)) return DFM_NUMBER_NOT;
  decimal->point += exponent;
  return DFM_NUMBER_OK;
}

/* Clinger, "How to read floating point numbers accurately", PLDI 1990: where the digits and the power of ten are
 * both exact doubles, one multiplication or division rounds once, so correctly. */
static bool convert_exact(const dfm_decimal *decimal, double *value) {
  if (decimal->n_digits > 19) return false; /* 10^19 - 1 fits 64 bits */
  uint64_t whole = 0;
  for (const char *at = decimal->digits; at < decimal->end; at++)
    if (*at != '.') whole = whole * 10 + (uint64_t)(*at - '0');
  const long long power = decimal->point - decimal->n_digits;
  if (whole == 0) {
    *value = 0;
    return true;
  }
  if (whole > (uint64_t)1 << DBL_MANT_DIG || power > MAX_EXACT_POWER || power < -MAX_EXACT_POWER) return false;
  *value = power < 0 ? (double)whole / powers_of_ten[-power] : (double)whole * powers_of_ten[power];
  return true;
}

/* The decimal for strtod: digits and exponent without a point, the one character that depends on the locale. 768
 * digits tell every double from its neighbours' midpoints; of what follows only matters whether it is zero. */
enum { MAX_DIGITS = 768, TEXT_BYTES = MAX_DIGITS + 32 };

static void to_text(const dfm_decimal *decimal, char *text) {
  int n = 0;
  bool has_more = false;
  for (const char *at = decimal->digits; at < decimal->end; at++) {
    if (*at == '.') continue;
    if (n < MAX_DIGITS)
      text[n++] = *at;
    else
      has_more |= *at != '0';
  }
  if (has_more) text[n++] = '1';
  const long long far = 100000, power = decimal->point < -far ? -far : decimal->point > far ? far : decimal->point - n;
  snprintf(text + n, (size_t)(TEXT_BYTES - n), "e%lld", power);
}

dfm_number_result dfm_parse_double(const char *bytes, size_t n, double *value) {
  dfm_decimal decimal;
  const dfm_number_result result = scan(bytes, n, &decimal);
  if (result != DFM_NUMBER_OK) return result;
  double magnitude;
  if (!convert_exact(&decimal, &magnitude)) {
    char text[TEXT_BYTES];
    to_text(&decimal, text);
    magnitude = strtod(text, NULL);
    if (isinf(magnitude)) return DFM_NUMBER_OVERFLOW;
  }
  *value = decimal.is_negative ? -magnitude : magnitude;
  return DFM_NUMBER_OK;
}

/* Rounding twice is wrong only where the first result lies midway between two floats: the 29 bits that a float lacks
 * are 100...0. Denormal floats lack more bits, so they, and what lies past the largest float, take the slow way. */
static bool rounds_once(double magnitude) {
  uint64_t bits;
  memcpy(&bits, &magnitude, sizeof bits);
  return magnitude == 0 || (magnitude >= FLT_MIN && magnitude <= FLT_MAX && (bits & 0x1fffffff) != 0x10000000);
}

dfm_number_result dfm_parse_float(const char *bytes, size_t n, float *value) {
  dfm_decimal decimal;
  const dfm_number_result result = scan(bytes, n, &decimal);
  if (result != DFM_NUMBER_OK) return result;
  double wide;
  float magnitude;
  if (convert_exact(&decimal, &wide) && rounds_once(wide)) {
    magnitude = (float)wide;
  } else {
    char text[TEXT_BYTES];
    to_text(&decimal, text);
    magnitude = strtof(text, NULL);
    if (isinf(magnitude)) return DFM_NUMBER_OVERFLOW;
  }
  *value = decimal.is_negative ? -magnitude : magnitude;
  return DFM_NUMBER_OK;
}

bool dfm_parse_int64(const char *bytes, size_t n, long long *value) {
  if (n == 0) return false;
  const char *at = bytes, *end = bytes + n;
  trim(&at, &end);
  const bool is_negative = at < end && *at == '-';
  if (at < end && (*at == '+' || *at == '-')) at++;
  if (at == end) return false;
  long long sum = 0; /* counted downwards: the negative range is the larger one */
  for (; at < end; at++)
    if (!is_digit(*at) || __builtin_mul_overflow(sum, 10, &sum) || __builtin_sub_overflow(sum, *at - '0', &sum))
      return false;
  if (!is_negative && sum == LLONG_MIN) return false;
  *value = is_negative ? sum : -sum;
  return true;
}

size_t dfm_format_double(char text[DFM_DOUBLE_BYTES], double value) {
  size_t n = 0;
  for (int precision = 1; precision <= 17; precision++) {
    double back;
    n = (size_t)snprintf(text, DFM_DOUBLE_BYTES, "%.*g", precision, value);
    char *point = strpbrk(text, ","); /* the program's locale may have another point */
    if (point) *point = '.';
    if (dfm_parse_double(text, n, &back) == DFM_NUMBER_OK && back == value) break;
  }
  return n;
}
