/* Block: some hundred rows of raw cells, field by field. Text formats and Arrow fill blocks, each by one thread; the
 * encoder turns their values into ids, each field by one thread over the blocks in row order. So what a row becomes
 * does not depend on the number of threads. */
#ifndef DFM_DATA_BLOCK_H
#define DFM_DATA_BLOCK_H

#include <string.h>

#include "data/vocabulary.h"

/* Rows in a block: enough to pay for handing it out, few enough for its values to stay in the cache. The stride between
 * fields is a little more, or the same row's values of all fields would share one set of the first-level cache. */
enum { DFM_BLOCK_ROWS = 512, DFM_BLOCK_STRIDE = DFM_BLOCK_ROWS + 8, DFM_VALUE_HEAD = 8 };

/* A category cell. A short value lies in the struct itself: looking it up touches no other memory. */
typedef struct dfm_value {
  union {
    uint64_t head;     /* n <= DFM_VALUE_HEAD: the bytes in memory order, zeros after their end */
    const char *bytes; /* else; valid as long as the block's text */
  };
  uint64_t hash; /* dfm_value_hash of the bytes */
  uint32_t n;    /* bytes; DFM_VALUE_ABSENT: the data has no such column */
  uint32_t id;   /* the encoder's: provisional number, then id */
} dfm_value;

#define DFM_VALUE_ABSENT UINT32_MAX

static inline const char *dfm_value_bytes(const dfm_value *value) {
  return value->n <= DFM_VALUE_HEAD ? (const char *)&value->head : value->bytes;
}

/* `n` bytes of text that can be read up to `limit`. */
static inline void dfm_value_set(dfm_value *value, const char *bytes, size_t n, const char *limit) {
  value->hash = dfm_value_hash(bytes, n);
  value->n = (uint32_t)n;
  if (n > DFM_VALUE_HEAD) {
    value->bytes = bytes;
  } else if (limit - bytes >= DFM_VALUE_HEAD) { /* one load and a mask, in place of a call for a few bytes */
    memcpy(&value->head, bytes, DFM_VALUE_HEAD);
    value->head &= n == 0 ? 0 : UINT64_MAX >> (64 - 8 * n);
  } else {
    value->head = 0;
    memcpy(&value->head, bytes, n);
  }
}

/* Why a row was left out. */
typedef enum dfm_bad { DFM_BAD_SHAPE, DFM_BAD_NUMBER, DFM_BAD_LABEL, DFM_BAD_WEIGHT, DFM_BAD_TRUTH, DFM_BADS } dfm_bad;

/* Rows that were left out. */
typedef struct dfm_bad_rows {
  int64_t rows, reason[DFM_BADS];
  dfm_error first; /* of the first of them */
} dfm_bad_rows;

typedef struct dfm_block {
  int F, D, rows;
  dfm_value *value;              /* (F, DFM_BLOCK_STRIDE) */
  float *number;                 /* (rows, D) raw, NaN: empty or absent */
  float *label, *weight, *truth; /* (rows); label NaN: empty, where labels are optional; 1 and 0 where absent */
  int *at;                       /* (rows) each one's number in what the block was filled from */
  /* Filling: */
  dfm_status status; /* of what ended it before its last row */
  dfm_error error;
  int n_bad, *bad;     /* (n_bad) rows left out, as in `at`, */
  dfm_bad *bad_reason; /* and why */
  dfm_bad reason;      /* of the row being read, should it be wrong */
  char *text;          /* values that do not stand in the source as they are */
  size_t text_capacity;
} dfm_block;

dfm_status dfm_block_create(int F, int D, dfm_block **block, dfm_error *error);
void dfm_block_free(dfm_block *block); /* NULL accepted */
/* Forgets its rows. */
void dfm_block_clear(dfm_block *block);

/* Field f's value in row r. */
static inline dfm_value *dfm_block_value(const dfm_block *block, int f, int r) {
  return block->value + (size_t)f * DFM_BLOCK_STRIDE + r;
}

#endif
