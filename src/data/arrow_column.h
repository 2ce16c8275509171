/* Arrow column: an ArrowSchema and batch by batch an ArrowArray come in; checked cells, as bytes or numbers, go out.
 *
 * Binding checks everything that cells will be read by (buffers, offsets, indices), so reading them checks nothing. */
#ifndef DFM_DATA_ARROW_COLUMN_H
#define DFM_DATA_ARROW_COLUMN_H

#include "base/error.h"
#include "data/arrow_write.h"

typedef enum dfm_arrow_type {
  DFM_ARROW_OTHER, /* one that is not read */
  DFM_ARROW_NULL,
  DFM_ARROW_BOOL,
  DFM_ARROW_INT8,
  DFM_ARROW_UINT8,
  DFM_ARROW_INT16,
  DFM_ARROW_UINT16,
  DFM_ARROW_INT32,
  DFM_ARROW_UINT32,
  DFM_ARROW_INT64,
  DFM_ARROW_UINT64,
  DFM_ARROW_HALF,
  DFM_ARROW_FLOAT,
  DFM_ARROW_DOUBLE,
  DFM_ARROW_DECIMAL,   /* 128 bits, */
  DFM_ARROW_DAYS,      /* 32 bits: since 1970, */
  DFM_ARROW_DATE,      /* 64 bits: ms since then, in whole days, */
  DFM_ARROW_TIMESTAMP, /* or in units of their own */
  DFM_ARROW_TEXT,      /* bytes, UTF-8 or not, behind 32-bit offsets, */
  DFM_ARROW_LARGE_TEXT,
  DFM_ARROW_TEXT_VIEW,
  DFM_ARROW_FIXED_TEXT,
  DFM_ARROW_LIST,
  DFM_ARROW_LARGE_LIST,
  DFM_ARROW_FIXED_LIST,
  DFM_ARROW_DICTIONARY
} dfm_arrow_type;

typedef struct dfm_arrow_column {
  const char *format; /* borrowed from the schema */
  dfm_arrow_type type;
  dfm_arrow_type index;            /* dictionary: of its indices, integers */
  int64_t width;                   /* fixed sizes: bytes or items of each cell */
  int digits;                      /* decimal: behind the point; timestamp: its unit is 10^-digits seconds */
  bool is_utc;                     /* timestamp: it has a time zone */
  struct dfm_arrow_column *values; /* list: its items; dictionary: its entries; else NULL */
  /* Of the batch at hand, borrowed: */
  int64_t first, length;   /* slots [first, first + length) of the buffers are rows 0 on */
  const uint8_t *validity; /* NULL: no cell is null */
  const uint8_t *offsets;  /* text, list */
  const uint8_t *data;     /* numbers, text, views, indices */
  const uint8_t *limit;    /* text: where `data` ends */
  const void **buffers;    /* text views: all of them */
} dfm_arrow_column;

/* Lists of what is no list, and dictionaries of what is neither, are read; anything else is DFM_ARROW_OTHER. */
dfm_status dfm_arrow_column_open(const struct ArrowSchema *schema, dfm_arrow_column *column, dfm_error *error);
void dfm_arrow_column_close(dfm_arrow_column *column); /* {0} accepted */

/* What is wrong with an array. */
typedef struct dfm_arrow_fault {
  const char *what;
  int64_t row; /* -1: of the whole array */
} dfm_arrow_fault;

/* Makes rows [skip, skip + n) of the array the column's rows 0 on. false: `*fault` is what is wrong
 * with it, and at which row. */
bool dfm_arrow_column_bind(dfm_arrow_column *column, const struct ArrowArray *array, int64_t skip, int64_t n,
                           dfm_arrow_fault *fault);

static inline bool dfm_arrow_is_list(const dfm_arrow_column *column) {
  return column->type >= DFM_ARROW_LIST && column->type <= DFM_ARROW_FIXED_LIST;
}
static inline bool dfm_arrow_is_text(const dfm_arrow_column *column) {
  return column->type >= DFM_ARROW_TEXT && column->type <= DFM_ARROW_FIXED_TEXT;
}
static inline bool dfm_arrow_is_number(const dfm_arrow_column *column) {
  return column->type >= DFM_ARROW_BOOL && column->type <= DFM_ARROW_DOUBLE;
}
/* Cells are written to be text. */
static inline bool dfm_arrow_is_written(const dfm_arrow_column *column) {
  return column->type >= DFM_ARROW_BOOL && column->type <= DFM_ARROW_TIMESTAMP;
}
static inline bool dfm_arrow_is_time(const dfm_arrow_column *column) {
  return column->type >= DFM_ARROW_DAYS && column->type <= DFM_ARROW_TIMESTAMP;
}

/* ---- cells of a bound column */

/* Goes from a dictionary's row to its entry's; false: the cell is null, or a float that is not a number. */
bool dfm_arrow_find(const dfm_arrow_column **column, int64_t *row);
/* The entry of a dictionary's row, which is not null. */
int64_t dfm_arrow_entry(const dfm_arrow_column *column, int64_t row);
bool dfm_arrow_is_null(const dfm_arrow_column *column, int64_t row);
/* Items [*start, *end) of `values` are the row's, which is not null. */
void dfm_arrow_items(const dfm_arrow_column *column, int64_t row, int64_t *start, int64_t *end);

/* After dfm_arrow_find: the number of a column of numbers (bool: 0 or 1). */
float dfm_arrow_float(const dfm_arrow_column *column, int64_t row);
/* After dfm_arrow_find: the cell's bytes and where the memory around them ends. What is no text is written into `room`
 * (arrow_write.h), bool as true and false. */
const char *dfm_arrow_bytes(const dfm_arrow_column *column, int64_t row, char room[DFM_ARROW_BYTES], size_t *n,
                            const char **limit);

#endif
