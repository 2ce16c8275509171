/* Block: some hundred rows of raw cells, field by field. Text formats and Arrow fill blocks, each by one thread; the
 * encoder turns their values into ids, each field by one thread over the blocks in row order. So what a row becomes
 * does not depend on the number of threads. */
#ifndef DFM_DATA_BLOCK_H
#define DFM_DATA_BLOCK_H

#include "data/encoder.h"
#include "data/value.h"

/* Rows in a block: enough to pay for handing it out, few enough for its values to stay in the cache. The stride between
 * fields is a little more, or the same row's values of all fields would share one set of the first-level cache. */
enum { DFM_BLOCK_ROWS = 512, DFM_BLOCK_STRIDE = DFM_BLOCK_ROWS + 8 };

/* Why a row was left out. */
typedef enum dfm_bad { DFM_BAD_SHAPE, DFM_BAD_NUMBER, DFM_BAD_LABEL, DFM_BAD_WEIGHT, DFM_BAD_TRUTH, DFM_BADS } dfm_bad;

/* Rows that were left out. */
typedef struct dfm_bad_rows {
  int64_t rows, reason[DFM_BADS];
  dfm_error first; /* of the first of them */
} dfm_bad_rows;

/* The cells of one list field: row r has items [end[r - 1], end[r]), the first row from 0 on. */
typedef struct dfm_block_list {
  dfm_value *item;
  float *weight; /* 1 where items have none */
  uint32_t *end; /* (DFM_BLOCK_ROWS) */
  size_t n, capacity;
} dfm_block_list;

typedef struct dfm_block {
  int F, D, rows;
  bool has_lists;
  dfm_value *value;              /* (F, DFM_BLOCK_STRIDE); nothing of use where the field is a list */
  uint32_t *id;                  /* (F, DFM_BLOCK_STRIDE) of values that were looked up; 0 where the field is a list */
  dfm_block_list *list;          /* (F); end NULL where the field is no list */
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

dfm_status dfm_block_create(const dfm_encoder *encoder, dfm_block **block, dfm_error *error);
void dfm_block_free(dfm_block *block); /* NULL accepted */
/* Forgets its rows. */
void dfm_block_clear(dfm_block *block);

/* The next item of list field f in row `rows`, whose value the caller sets; after the row's last one dfm_block_end_list
 * is due. */
dfm_status dfm_block_add_item(dfm_block *block, int f, dfm_value **item, float **weight, dfm_error *error);
void dfm_block_end_list(dfm_block *block, int f);
/* Forgets items of a row that was begun and left out. */
void dfm_block_begin_row(dfm_block *block);
/* The items of list field f in row r; `*n` of them. */
static inline size_t dfm_block_items(const dfm_block *block, int f, int r, size_t *n) {
  const dfm_block_list *list = &block->list[f];
  const size_t first = r > 0 ? list->end[r - 1] : 0;
  *n = list->end[r] - first;
  return first;
}

/* Takes the ids of field f out of its values, so that whoever stores rows reads those alone. */
void dfm_block_take_ids(dfm_block *block, int f);

/* Field f's value in row r. */
static inline dfm_value *dfm_block_value(const dfm_block *block, int f, int r) {
  return block->value + (size_t)f * DFM_BLOCK_STRIDE + r;
}

#endif
