/* UTF-8: bytes come in; the length of the well-formed sequence they start with goes out, or whether all of them are. */
#ifndef DFM_BASE_UTF8_H
#define DFM_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes (1 to 4) of the well-formed character that `bytes` (n of them) starts with; 0 where there is none. Overlong
 * forms, surrogates and code points past U+10FFFF are not well-formed (The Unicode Standard, table 3-7). */
static inline size_t dfm_utf8_length(const char *bytes, size_t n) {
  const unsigned char *u = (const unsigned char *)bytes;
  if (n == 0) return 0;
  if (u[0] < 0x80) return 1;
  if (u[0] < 0xc2 || u[0] > 0xf4) return 0;
  const size_t length = u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;
  if (n < length) return 0;
  const unsigned char low = u[0] == 0xe0 ? 0xa0 : u[0] == 0xf0 ? 0x90 : 0x80;
  const unsigned char high = u[0] == 0xed ? 0x9f : u[0] == 0xf4 ? 0x8f : 0xbf;
  if (u[1] < low || u[1] > high) return 0;
  for (size_t i = 2; i < length; i++)
    if ((u[i] & 0xc0) != 0x80) return 0;
  return length;
}

/* Whether all `n` bytes are well-formed UTF-8. */
static inline bool dfm_is_utf8(const char *bytes, size_t n) {
  for (size_t at = 0, length; at < n; at += length)
    if ((length = dfm_utf8_length(bytes + at, n - at)) == 0) return false;
  return true;
}

#endif
