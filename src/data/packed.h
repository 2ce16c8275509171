/* Packed rows: blocks of rows come in column by column; each block's columns lie as narrow as their cells allow, in
 * memory and beyond a budget in a file without a name; columns of any rows go out as they came in.
 *
 * Rows lie so while they are read, for about half of the bytes that they have in a dataset. A cell is 32 bits. A
 * column of a block whose cells are less than 255 takes a byte each, less than 65535 two, where all ones stand for
 * DFM_PACKED_NONE; a column of numbers is packed like that where all of them are whole and not negative, or NaN. */
#ifndef DFM_DATA_PACKED_H
#define DFM_DATA_PACKED_H

#include <stdint.h>

#include "base/error.h"

/* Columns that are read together lie together. */
enum { DFM_PACKED_SECTIONS = 3, DFM_PACKED_ROWS = 512 /* in a block at most */ };
#define DFM_PACKED_NONE UINT32_MAX

typedef struct dfm_packed dfm_packed;

/* For `columns` of each section, packed by as many threads, up to `budget_bytes` in memory, then in a file in `folder`
 * (borrowed). */
dfm_status dfm_packed_create(const int columns[DFM_PACKED_SECTIONS], int threads, size_t budget_bytes,
                             const char *folder, dfm_packed **packed, dfm_error *error);
void dfm_packed_free(dfm_packed *packed); /* NULL accepted */

/* Adds a block of `rows` rows, to be packed before any is read; `*block` is its number. Not while others pack. */
dfm_status dfm_packed_add(dfm_packed *packed, int rows, size_t *block, dfm_error *error);

/* Packs a block of its own, on any thread: its columns one by one, section by section. */
typedef struct dfm_packing {
  dfm_packed *packed;
  size_t block;
  int thread, rows, section, column;
  unsigned char *base, *widths, *to; /* the piece, the section's widths, where the next column goes */
} dfm_packing;
dfm_status dfm_packing_begin(dfm_packed *packed, size_t block, int thread, dfm_packing *packing, dfm_error *error);
void dfm_packing_ids(dfm_packing *packing, const uint32_t *cells);    /* (rows) */
void dfm_packing_numbers(dfm_packing *packing, const float *numbers); /* (rows) */
void dfm_packing_end(dfm_packing *packing);

/* What a thread reads rows with; {0} at the start. */
typedef struct dfm_unpacking {
  unsigned char *buffer; /* of a section that lies in the file */
  size_t capacity;
  const unsigned char *widths, *bytes; /* of the section at hand: its widths and columns, */
  uint32_t *start;                     /* where in `bytes` each column begins */
  size_t start_capacity;
  const dfm_packed *packed; /* whose it is; NULL: there is none */
  size_t block;
  int section;
} dfm_unpacking;
void dfm_unpacking_clear(dfm_unpacking *unpacking);

/* A pass over a section of the rows [row, end), when all are packed, block by block; any thread. {packed, section, row,
 * end} at the start. */
typedef struct dfm_packed_pass {
  const dfm_packed *packed;
  int section;
  int64_t row, end;
  size_t block;
  int from, n; /* of the block at hand: its rows [from, from + n) are [row, row + n) */
} dfm_packed_pass;
/* The next block; n 0: there is none. */
dfm_status dfm_packed_next(dfm_packed_pass *pass, dfm_unpacking *unpacking, dfm_error *error);
/* Cells [from, from + n) of a column of the section at hand: ids, and numbers of what was packed as such. */
void dfm_unpack_ids(const dfm_unpacking *open, int column, int from, int n, uint32_t *cells);
void dfm_unpack_numbers(const dfm_unpacking *open, int column, int from, int n, float *numbers);

#endif
