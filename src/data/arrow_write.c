/* Arrow cells to text, without locale. */
#include "data/arrow_write.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"

/* ---- numbers */

size_t dfm_arrow_write_integer(char *room, uint64_t size, bool is_negative) {
  char digits[20];
  size_t n = 0, at = 0;
  do digits[n++] = (char)('0' + size % 10);
  while ((size /= 10) > 0);
  if (is_negative) room[at++] = '-';
  while (n > 0) room[at++] = digits[--n];
  return at;
}

/* A double has 17 digits at most, a float 9. */
static size_t write_float(char *room, float value) {
  char digits[DFM_DOUBLE_BYTES];
  double nearest = (double)value;
  for (int precision = 1; precision < 9; precision++) {
    float back;
    const size_t n = (size_t)snprintf(digits, sizeof digits, "%.*e", precision - 1, (double)value);
    char *point = strpbrk(digits, ","); /* the program's locale may have another point */
    if (point) *point = '.';
    if (dfm_parse_float(digits, n, &back) != DFM_NUMBER_OK || back != value) continue;
    (void)dfm_parse_double(digits, n, &nearest);
    break;
  }
  return dfm_format_double(room, nearest);
}

size_t dfm_arrow_write_real(char *room, double value, bool is_double) {
  static const double exact = 9007199254740992; /* 2^53: up to here whole doubles are integers of their own */
  if (isinf(value)) return (size_t)snprintf(room, DFM_ARROW_BYTES, "%s", value < 0 ? "-inf" : "inf");
  if (fabs(value) <= exact && value == floor(value))
    return dfm_arrow_write_integer(room, (uint64_t)fabs(value), value < 0);
  return is_double ? dfm_format_double(room, value) : write_float(room, (float)value);
}

enum { LIMBS = 4, GROUP = 9, GROUPS = 5 };

/* The digits of a number of 128 bits, LIMBS of 32, lowest first; it is used up. Zeros lead them. */
static void write_digits(uint32_t *limb, char digits[GROUP * GROUPS]) {
  static const uint32_t group_size = 1000000000; /* 10^GROUP */
  for (char *end = digits + GROUP * GROUPS; end > digits; end -= GROUP) {
    uint64_t rest = 0;
    for (int i = LIMBS - 1; i >= 0; i--) {
      rest = rest << 32 | limb[i];
      limb[i] = (uint32_t)(rest / group_size);
      rest %= group_size;
    }
    for (int i = 1; i <= GROUP; i++, rest /= 10) end[-i] = (char)('0' + rest % 10);
  }
}

size_t dfm_arrow_write_decimal(char *room, const uint8_t bytes[16], int digits) {
  uint32_t limb[LIMBS];
  char all[GROUP * GROUPS];
  size_t at = 0, first = 0;
  memcpy(limb, bytes, sizeof limb);
  if (limb[LIMBS - 1] >> 31) {
    uint64_t carry = 1;
    for (int i = 0; i < LIMBS; i++, carry >>= 32) limb[i] = (uint32_t)(carry += ~limb[i]);
    room[at++] = '-';
  }
  write_digits(limb, all);
  const size_t point = sizeof all - (size_t)digits;
  while (first + 1 < point && all[first] == '0') first++;
  memcpy(room + at, all + first, point - first);
  at += point - first;
  if (digits == 0) return at;
  room[at++] = '.';
  memcpy(room + at, all + point, (size_t)digits);
  return at + (size_t)digits;
}

/* ---- time */

static int64_t divide_down(int64_t value, int64_t by) {
  return value / by - (value % by < 0);
}

/* What is left then, in [0, by). */
static int64_t rest_of(int64_t value, int64_t by) {
  return value % by + (value % by < 0 ? by : 0);
}

/* How many times `n` holds `part`, of which there are `most` + 1; the rest stays in `n`. */
static int64_t take(int64_t *n, int64_t part, int64_t most) {
  const int64_t times = *n / part < most ? *n / part : most;
  *n -= times * part;
  return times;
}

/* Years are taken from March on, so that a leap day is the last of its year, and of its cycle of 4 and of 400. */
size_t dfm_arrow_write_date(char *room, int64_t days) {
  static const int before_month[] = {0, 31, 61, 92, 122, 153, 184, 214, 245, 275, 306, 337};
  static const int64_t march_of_0 = 719468, cycle = 146097; /* days to 1970; of 400 years */
  int64_t day = rest_of(days + march_of_0, cycle), year = 400 * divide_down(days + march_of_0, cycle);
  int month = 11;
  year += 100 * take(&day, 36524, 3);
  year += 4 * take(&day, 1461, 24);
  year += take(&day, 365, 3);
  while (before_month[month] > day) month--;
  year += month >= 10;
  return (size_t)snprintf(room, DFM_ARROW_BYTES, "%s%04lld-%02d-%02d", year < 0 ? "-" : "",
                          (long long)(year < 0 ? -year : year), month < 10 ? month + 3 : month - 9,
                          (int)day - before_month[month] + 1);
}

size_t dfm_arrow_write_timestamp(char *room, int64_t value, int digits, bool is_utc) {
  int64_t units = 1;
  for (int i = 0; i < digits; i++) units *= 10;
  const int64_t seconds = divide_down(value, units), days = divide_down(seconds, 86400);
  const int64_t fraction = rest_of(value, units);
  const int second = (int)rest_of(seconds, 86400);
  size_t n = dfm_arrow_write_date(room, days);
  n += (size_t)snprintf(room + n, DFM_ARROW_BYTES - n, " %02d:%02d:%02d", second / 3600, second / 60 % 60, second % 60);
  if (fraction > 0) {
    n += (size_t)snprintf(room + n, DFM_ARROW_BYTES - n, ".%0*lld", digits, (long long)fraction);
    while (room[n - 1] == '0') n--;
  }
  if (is_utc) room[n++] = 'Z';
  return n;
}
