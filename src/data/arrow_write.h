/* Arrow cells that are no text: values come in; they go out as the text that a file would have of them. */
#ifndef DFM_DATA_ARROW_WRITE_H
#define DFM_DATA_ARROW_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for any of them; the longest is a decimal of 38 digits behind its point. Each returns its length; no zero byte
 * ends it. */
enum { DFM_ARROW_BYTES = 48 };

size_t dfm_arrow_write_integer(char *room, uint64_t size, bool is_negative);
/* The shortest decimal that reads back, as a double or as a float (0.1 as a float is 0.1, not the double next to it);
 * a whole number up to 2^53 has no point. */
size_t dfm_arrow_write_real(char *room, double value, bool is_double);
/* 128 bits, little-endian, with `digits` behind the point: 12.30 */
size_t dfm_arrow_write_decimal(char *room, const uint8_t bytes[16], int digits);
/* 2024-02-29, of days since 1970-01-01. */
size_t dfm_arrow_write_date(char *room, int64_t days);
/* 2024-02-29 13:05:00.25, of units of 10^-digits seconds since 1970; with a Z where they are known to be UTC's. */
size_t dfm_arrow_write_timestamp(char *room, int64_t value, int digits, bool is_utc);

#endif
