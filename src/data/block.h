/* Block: some hundred rows of raw cells, field by field. Text formats and Arrow fill blocks, each by one thread; the
 * encoder turns their cells into ids, each field by one thread. */
#ifndef DFM_DATA_BLOCK_H
#define DFM_DATA_BLOCK_H

#include "data/encoder.h"

enum { DFM_BLOCK_ROWS = 512, DFM_VALUE_HEAD = 8 };

/* A category cell, or an item of a list. A short value lies in the struct itself: looking it up touches no other memory. */
typedef struct dfm_value {
  union {
    uint64_t head;     /* n <= 8: the bytes in memory order, zeros after their end */
    const char *bytes; /* n > 8; valid as long as the block's text */
  };
  uint64_t hash; /* dfm_value_hash of the bytes */
  uint32_t n;    /* bytes; DFM_VALUE_ABSENT: the data has no such column */
  uint32_t id;   /* the encoder's: provisional number, then id */
} dfm_value;

#define DFM_VALUE_ABSENT UINT32_MAX

static inline const char *dfm_value_bytes(const dfm_value *value) {
  return value->n <= DFM_VALUE_HEAD ? (const char *)&value->head : value->bytes;
}
#endif
