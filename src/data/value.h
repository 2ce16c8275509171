/* Values: the bytes of a category cell come in; what the encoder looks up goes out. */
#ifndef DFM_DATA_VALUE_H
#define DFM_DATA_VALUE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Cells are a few bytes long: the call would cost as much as the hash. */
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { DFM_VALUE_HEAD = 8 };

/* A category cell, or an item of a list. A short value lies in the struct itself: looking it up touches no other
 * memory. */
typedef struct dfm_value {
  union {
    uint64_t head;     /* n <= DFM_VALUE_HEAD: the bytes in memory order, zeros after their end */
    const char *bytes; /* else; they stay where they are, whoever owns them */
  };
  uint32_t n;  /* bytes; DFM_VALUE_ABSENT: the data has no such column; head is 0 then */
  uint32_t id; /* the encoder's: provisional number, then id */
} dfm_value;

#define DFM_VALUE_ABSENT UINT32_MAX

/* The hash of a value wherever it is kept: indices of frozen vocabularies, buckets, fingerprints. XXH3-64. Values of
 * eight bytes, as hashed ids in click logs are, have the branches on length folded away. */
uint64_t dfm_value_hash_any(const char *bytes, size_t n);
static inline uint64_t dfm_value_hash(const char *bytes, size_t n) {
  return n == DFM_VALUE_HEAD ? XXH3_64bits(bytes, DFM_VALUE_HEAD) : dfm_value_hash_any(bytes, n);
}

static inline const char *dfm_value_bytes(const dfm_value *value) {
  return value->n <= DFM_VALUE_HEAD ? (const char *)&value->head : value->bytes;
}

static inline uint64_t dfm_value_hash_of(const dfm_value *value) {
  return dfm_value_hash(dfm_value_bytes(value), value->n);
}

/* Makes the value of `n` < DFM_VALUE_ABSENT bytes; leaves the id. DFM_VALUE_HEAD bytes can be read: one load and a
 * mask, in place of a call for a few bytes. */
static inline void dfm_value_load(dfm_value *value, const char *bytes, size_t n) {
  value->n = (uint32_t)n;
  if (n > DFM_VALUE_HEAD) {
    value->bytes = bytes;
    return;
  }
  memcpy(&value->head, bytes, DFM_VALUE_HEAD);
  value->head &= n == 0 ? 0 : UINT64_MAX >> (64 - 8 * n);
}

/* The same of text that can be read up to `limit`. */
static inline void dfm_value_set(dfm_value *value, const char *bytes, size_t n, const char *limit) {
  if (n > DFM_VALUE_HEAD || limit - bytes >= DFM_VALUE_HEAD) {
    dfm_value_load(value, bytes, n);
    return;
  }
  value->n = (uint32_t)n;
  value->head = 0;
  if (n > 0) memcpy(&value->head, bytes, n);
}

static inline dfm_value dfm_value_of(const char *bytes, size_t n) {
  dfm_value value = {.id = UINT32_MAX};
  dfm_value_set(&value, bytes, n, bytes + n);
  return value;
}

#endif
