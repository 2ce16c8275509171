/* Number: texts come in; they must be refused or read as the C library reads them in the C locale, and
 * floats must survive their text. */
#include "test.h"

#include <float.h>
#include <limits.h>
#include <locale.h>
#include <math.h>

#include "base/number.h"
#include "base/random.h"

static void number_syntax(void **state) {
  (void)state;
  static const struct {
    const char *text;
    dfm_number_result result;
    double value;
  } cases[] = {
      {"0", DFM_NUMBER_OK, 0},
      {"1", DFM_NUMBER_OK, 1},
      {"-1.5", DFM_NUMBER_OK, -1.5},
      {"+.5", DFM_NUMBER_OK, 0.5},
      {"5.", DFM_NUMBER_OK, 5},
      {" \t12 \t", DFM_NUMBER_OK, 12},
      {"1e3", DFM_NUMBER_OK, 1000},
      {"1E+3", DFM_NUMBER_OK, 1000},
      {"25e-2", DFM_NUMBER_OK, 0.25},
      {"000.00100", DFM_NUMBER_OK, 0.001},
      {"0e999999999999999999999", DFM_NUMBER_OK, 0},
      {"1e-999999999999999999999", DFM_NUMBER_OK, 0},
      {"", DFM_NUMBER_NOT, 0},
      {" ", DFM_NUMBER_NOT, 0},
      {"-", DFM_NUMBER_NOT, 0},
      {".", DFM_NUMBER_NOT, 0},
      {"+.e1", DFM_NUMBER_NOT, 0},
      {"1e", DFM_NUMBER_NOT, 0},
      {"1e+", DFM_NUMBER_NOT, 0},
      {"1e1.5", DFM_NUMBER_NOT, 0},
      {"12a", DFM_NUMBER_NOT, 0},
      {"1 2", DFM_NUMBER_NOT, 0},
      {"0x10", DFM_NUMBER_NOT, 0},
      {"1,5", DFM_NUMBER_NOT, 0},
      {"1.2.3", DFM_NUMBER_NOT, 0},
      {"--1", DFM_NUMBER_NOT, 0},
      {"1\n", DFM_NUMBER_NOT, 0},
      {"nano", DFM_NUMBER_NOT, 0},
      {"nan", DFM_NUMBER_NOT_FINITE, 0},
      {"-NaN", DFM_NUMBER_NOT_FINITE, 0},
      {"+Inf", DFM_NUMBER_NOT_FINITE, 0},
      {" infinity ", DFM_NUMBER_NOT_FINITE, 0},
      {"1e999", DFM_NUMBER_OVERFLOW, 0},
      {"-1e99999999999999999999", DFM_NUMBER_OVERFLOW, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    double value = 77;
    float narrow = 77;
    const dfm_number_result result = dfm_parse_double(cases[i].text, strlen(cases[i].text), &value);
    if (result != cases[i].result) fail_msg("'%s': %d", cases[i].text, (int)result);
    assert_int_equal(dfm_parse_float(cases[i].text, strlen(cases[i].text), &narrow), cases[i].result);
    assert_true(value == (result == DFM_NUMBER_OK ? cases[i].value : 77));
    assert_true(narrow == (result == DFM_NUMBER_OK ? (float)cases[i].value : 77));
  }
  double value;
  assert_int_equal(dfm_parse_double("-0", 2, &value), DFM_NUMBER_OK);
  assert_true(value == 0 && signbit(value));
  assert_int_equal(dfm_parse_double("123", 2, &value), DFM_NUMBER_OK); /* the length rules, not a terminator */
  assert_true(value == 12);
  assert_int_equal(dfm_parse_double(NULL, 0, &value), DFM_NUMBER_NOT);
}

static void assert_parses_like_c(const char *text) {
  double value;
  float narrow;
  const double c_value = strtod(text, NULL);
  const float c_narrow = strtof(text, NULL);
  const dfm_number_result wide_result = dfm_parse_double(text, strlen(text), &value);
  const dfm_number_result narrow_result = dfm_parse_float(text, strlen(text), &narrow);
  if (isinf(c_value) ? wide_result != DFM_NUMBER_OVERFLOW
                     : wide_result != DFM_NUMBER_OK || memcmp(&value, &c_value, sizeof value) != 0)
    fail_msg("double of '%s'", text);
  if (isinf(c_narrow) ? narrow_result != DFM_NUMBER_OVERFLOW
                      : narrow_result != DFM_NUMBER_OK || memcmp(&narrow, &c_narrow, sizeof narrow) != 0)
    fail_msg("float of '%s'", text);
}

static void numbers_are_correctly_rounded(void **state) {
  (void)state;
  static const char *const hard[] = {
      "16777217",
      "16777219",
      "1.00000005960464477539062",
      "1.0000000596046447753906250000000000000000000000001",
      "3.4028235677973366e38",
      "3.4028235677973365e38",
      "3.40282357e38",
      "1.17549435e-38",
      "1.17549429e-38",
      "1e-45",
      "7.0064923216240853e-46",
      "7.0064923216240854e-46",
      "1.4e-45",
      "1.1754942807573643e-38",
      "9007199254740993",
      "9007199254740993.0000000000000000000000000000001",
      "9223372036854775807",
      "9999999999999999999",
      "99999999999999999999",
      "2.2250738585072011e-308",
      "2.2250738585072014e-308",
      "4.9e-324",
      "2.4703282292062327e-324",
      "2.4703282292062328e-324",
      "1.7976931348623157e308",
      "1.7976931348623159e308",
      "123456789e22",
      "1e22",
      "1e23",
      "8.5899345930000000001e9",
      "0.000000000000000000000000000000000000000000000000000000000000000000000000001e75"};
  for (size_t i = 0; i < sizeof hard / sizeof *hard; i++) assert_parses_like_c(hard[i]);
  char text[64];
  for (uint64_t i = 0; i < 60000; i++) {
    const uint64_t bits = dfm_random_u64(21, i);
    float narrow;
    double value;
    const uint32_t low = (uint32_t)bits;
    memcpy(&narrow, &low, sizeof narrow);
    memcpy(&value, &bits, sizeof value);
    if (i % 3 == 0 && isfinite(value))
      snprintf(text, sizeof text, "%.17g", value);
    else if (i % 3 == 1 && isfinite(narrow))
      snprintf(text, sizeof text, "%.*g", 6 + (int)(i % 5), (double)narrow);
    else
      snprintf(text, sizeof text, "%s%llu.%06llue%d", bits & 1 ? "-" : "", (unsigned long long)(bits >> 44),
               (unsigned long long)(bits % 1000000), (int)(bits % 61) - 30);
    assert_parses_like_c(text);
  }
}

static void long_numbers_are_correctly_rounded(void **state) {
  (void)state;
  enum { N = 5000 };
  char *text = malloc(N + 1);
  assert_non_null(text);
  /* Midway between 1 and the next double, then zeros, then the digit that decides. */
  static const char midway[] = "1.00000000000000011102230246251565404236316680908203125";
  memset(text, '0', N);
  memcpy(text, midway, sizeof midway - 1);
  double value;
  assert_int_equal(dfm_parse_double(text, N, &value), DFM_NUMBER_OK);
  assert_true(value == 1);
  text[N - 1] = '1';
  assert_int_equal(dfm_parse_double(text, N, &value), DFM_NUMBER_OK);
  assert_true(value == 1 + DBL_EPSILON);
  memset(text, '0', N);
  text[0] = '7';
  assert_int_equal(dfm_parse_double(text, N, &value), DFM_NUMBER_OVERFLOW);
  memset(text, '0', N);
  memcpy(text + N - 6, "7e5000", 6);
  text[1] = '.';
  assert_int_equal(dfm_parse_double(text, N, &value), DFM_NUMBER_OK);
  assert_true(value == 7e7); /* the 7 is digit 4993 after the point */
  free(text);
}

static void integers(void **state) {
  (void)state;
  static const struct {
    const char *text;
    bool is_good;
    long long value;
  } cases[] = {{"0", true, 0},
               {"-12", true, -12},
               {"+7", true, 7},
               {" 5\t", true, 5},
               {"9223372036854775807", true, LLONG_MAX},
               {"-9223372036854775808", true, LLONG_MIN},
               {"9223372036854775808", false, 0},
               {"-9223372036854775809", false, 0},
               {"99999999999999999999999", false, 0},
               {"", false, 0},
               {"-", false, 0},
               {"1.0", false, 0},
               {"1e3", false, 0},
               {"1 2", false, 0},
               {"0000000000000000000000000000000000000000000001", true, 1}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    long long value = 77;
    assert_int_equal(dfm_parse_int64(cases[i].text, strlen(cases[i].text), &value), cases[i].is_good);
    assert_true(value == (cases[i].is_good ? cases[i].value : 77));
  }
}

static void locale_has_no_say(void **state) {
  (void)state;
  static const char *const locales[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "nl_NL.UTF-8", "ps_AF"};
  const char *set = NULL;
  for (size_t i = 0; i < sizeof locales / sizeof *locales && !set; i++) set = setlocale(LC_NUMERIC, locales[i]);
  if (!set) {
    printf("skipped: no locale with another decimal point is installed\n");
    return;
  }
  double value = 0;
  const dfm_number_result result = dfm_parse_double("1.00000000000000011102230246251565", 34, &value);
  const bool is_kept = strchr(localeconv()->decimal_point, '.') == NULL;
  setlocale(LC_NUMERIC, "C");
  assert_int_equal(result, DFM_NUMBER_OK);
  assert_true(value == 1);
  assert_true(is_kept); /* the program's locale is as it was */
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(number_syntax),
    cmocka_unit_test(numbers_are_correctly_rounded),
    cmocka_unit_test(long_numbers_are_correctly_rounded),
    cmocka_unit_test(integers),
    cmocka_unit_test(locale_has_no_say),
};

int main(int argc, char **argv) {
  return test_main(argc, argv, "number", tests, sizeof tests / sizeof *tests);
}
