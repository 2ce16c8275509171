/* Number <-> text, without locale: bytes come in, correctly rounded numbers go out, and back. */
#ifndef DFM_BASE_NUMBER_H
#define DFM_BASE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

typedef enum dfm_number_result {
  DFM_NUMBER_OK,
  DFM_NUMBER_NOT,        /* not a number as a whole: "12a", "", "1 2", "0x10" */
  DFM_NUMBER_NOT_FINITE, /* nan, inf, infinity in any case and sign */
  DFM_NUMBER_OVERFLOW    /* too large for a double (or float) */
} dfm_number_result;

/* Decimal with optional sign, fraction, exponent; spaces and tabs around it allowed; nothing else. Correctly
 * rounded; underflow gives 0 or a denormal. */
dfm_number_result dfm_parse_double(const char *bytes, size_t n, double *value);
dfm_number_result dfm_parse_float(const char *bytes, size_t n, float *value);
/* Decimal with optional sign; spaces and tabs around it allowed. false: it is anything else, or does not fit. */
bool dfm_parse_int64(const char *bytes, size_t n, long long *value);

/* The shortest decimal that reads back as the same finite double, terminated; returns its length. */
enum { DFM_DOUBLE_BYTES = 40 };
size_t dfm_format_double(char text[DFM_DOUBLE_BYTES], double value);

#endif
