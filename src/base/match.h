/* Match: 64 bytes of text come in; a bit for each that is the one looked for goes out. */
#ifndef DFM_BASE_MATCH_H
#define DFM_BASE_MATCH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { DFM_MATCH_BYTES = 64 };

/* Bit i: bytes[i] == byte, for i < 64. */
#ifdef __SSE2__ /* every x86-64 has it: nothing to choose at run time */
static inline uint64_t dfm_match_64(const char *bytes, char byte) {
  const __m128i wanted = _mm_set1_epi8(byte);
  uint64_t mask = 0;
  for (int i = 0; i < 4; i++) {
    const __m128i part = _mm_loadu_si128((const __m128i *)(const void *)(bytes + 16 * i));
    mask |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(part, wanted)) << (16 * i);
  }
  return mask;
}
#else
static inline uint64_t dfm_match_64(const char *bytes, char byte) {
  const uint64_t ones = UINT64_C(0x0101010101010101), low = UINT64_C(0x7f7f7f7f7f7f7f7f);
  uint64_t mask = 0;
  for (int i = 0; i < 8; i++) {
    uint64_t word;
    memcpy(&word, bytes + 8 * i, 8);
    word ^= ones * (uint8_t)byte;
    /* The top bit of each byte that is zero now; the product brings the eight of them together. */
    const uint64_t zero = ~(((word & low) + low) | word | low) >> 7;
    mask |= (zero * UINT64_C(0x0102040810204080) >> 56) << (8 * i);
  }
  return mask;
}
#endif

/* The same where only `n` bytes can be read; bits from there on are 0. */
static inline uint64_t dfm_match(const char *bytes, size_t n, char byte) {
  char copy[DFM_MATCH_BYTES];
  if (n >= DFM_MATCH_BYTES) return dfm_match_64(bytes, byte);
  memset(copy, ~byte, sizeof copy);
  memcpy(copy, bytes, n);
  return dfm_match_64(copy, byte);
}

#endif
