/* Source: rows of some kind, text of one or more files or Arrow batches, and the columns that an encoder wants come in;
 * blocks of typed cells go out. */
#ifndef DFM_DATA_SOURCE_H
#define DFM_DATA_SOURCE_H

#include "base/memory.h"
#include "base/pool.h"
#include "data/block.h"
#include "data/delimited.h"
#include "data/encoder.h"
#include "data/input.h"

typedef struct dfm_source dfm_source;

/* What kinds of rows differ in. */
typedef struct dfm_source_kind {
  /* Opens the input and places the columns. */
  dfm_status (*open)(dfm_source *source, dfm_error *error);
  /* Rows for the next blocks, `n_at_hand` of them; 0 at the end. */
  dfm_status (*next)(dfm_source *source, dfm_error *error);
  /* Room for the text of `n` rows' values from row `row` at hand on, that does not stand in the source as it is: bytes. */
  size_t (*text_bytes)(const dfm_source *source, size_t row, int n);
  /* Fills the block's next row from row `row` at hand, and counts it; such text goes to `cells->text`, which moves on. */
  dfm_status (*parse)(const dfm_source *source, size_t row, dfm_cells *cells, dfm_block *block, dfm_error *error);
  /* The error of dfm_source_unknown for row `row` at hand; `scratch` loses its items. */
  dfm_status (*unknown)(dfm_source *source, size_t row, int f, dfm_block *scratch, dfm_error *error);
  void (*close)(dfm_source *source);
} dfm_source_kind;

typedef struct dfm_arrow_rows dfm_arrow_rows;

struct dfm_source {
  const dfm_source_kind *kind;
  dfm_input *input;           /* borrowed */
  const dfm_encoder *encoder; /* borrowed */
  dfm_pool *pool;             /* borrowed */
  bool label_optional, missing_unknown;
  const char *truth_name; /* borrowed from the options */
  int64_t n_bad_allowed;
  dfm_bad_rows bad; /* left out so far */

  /* Where columns are in the rows; DFM_ABSENT: nowhere. */
  size_t n_cells;                  /* per row */
  size_t *category_at, *number_at; /* (F), (D) */
  size_t label_at, weight_at, truth_at;
  char *text; /* of cells that are looked at alone: the header's, a wrong row's */
  size_t text_capacity;

  size_t capacity, n_at_hand; /* rows */
  dfm_block **block; /* (n_blocks_made), of which (n_blocks) are filled: block i by the rows from i DFM_BLOCK_ROWS on */
  int n_blocks, n_blocks_made;
  dfm_cells *cells; /* (threads of the pool) */

  /* Text: */
  size_t file; /* of the input, being read */
  dfm_feed *feed;
  dfm_text_rows *rows;
  bool has_first_row;  /* a row was read to learn the columns but is data: spans[0] is it */
  dfm_text header;     /* the cells of the first file's header, one after the other, */
  size_t *header_end;  /* (n_cells) where each ends */
  dfm_row_span *spans; /* (capacity) of the rows at hand */

  dfm_arrow_rows *arrow; /* NULL: text */
};

#define DFM_ABSENT SIZE_MAX

/* Opens the input and finds the columns. `options` may be NULL. The source is closed by the caller on success only. */
dfm_status dfm_source_open(dfm_input *input, const dfm_encoder *encoder, const dfm_read_options *options,
                           dfm_pool *pool, dfm_source *source, dfm_error *error);
/* The next rows, of the next file where the one before has ended; no blocks at the end. A row that is wrong is an
 * error, or left out where so many may be. */
dfm_status dfm_source_next(dfm_source *source, dfm_error *error);
void dfm_source_close(dfm_source *source);
/* Rows in the blocks at hand. */
int64_t dfm_source_rows(const dfm_source *source);

/* The error of the value, or the first such item, of category field f in row r of a block at hand, which the vocabulary
 * lacks although the field's rule is `error`. */
dfm_status dfm_source_unknown(dfm_source *source, int block, int r, int f, dfm_error *error);

/* ---- for the source's own files */

extern const dfm_source_kind dfm_source_text, dfm_source_arrow;

/* Finds the columns by name among `n` cells, in any order; those that must be there and are not are an error. */
dfm_status dfm_source_place(dfm_source *source, const dfm_cell *cells, size_t n, dfm_error *error);
/* The name for messages: of the file being read, or of the stream. */
const char *dfm_source_name(const dfm_source *source);
dfm_status dfm_source_open_text(dfm_source *source, dfm_error *error);
void dfm_source_close_text(dfm_source *source);

/* Opens the file behind the one that has ended and reads its header, which must be that of the first; `*is_open` false
 * where there is none. */
dfm_status dfm_source_next_file(dfm_source *source, bool *is_open, dfm_error *error);

/* The file's next row into spans[0], and its cells into cells[0]; `*n` = 0 at the end. */
dfm_status dfm_source_first(dfm_source *source, size_t *n, dfm_error *error);
/* Fills the block's next row from a span, and counts it. */
dfm_status dfm_source_parse(const dfm_source *source, const dfm_row_span *span, dfm_cells *cells, dfm_block *block,
                            dfm_error *error);
/* A cell's error at its place: the span's line and the cell's column; in Arrow batches the row that span->line counts. */
dfm_status dfm_source_fail_cell(const dfm_source *source, const dfm_row_span *span, const dfm_cell *cell,
                                const char *name, const char *problem, const char *remedy, dfm_error *error);
/* ... of a value that the vocabulary lacks. */
dfm_status dfm_source_fail_unknown(const dfm_source *source, const dfm_row_span *span, const dfm_cell *cell, int f,
                                   dfm_error *error);

/* Narrows field f's cell down to what the vocabulary lacks: all of it, or of a list the first such item. */
dfm_status dfm_source_find_unknown(const dfm_source *source, int f, dfm_cell *cell, dfm_block *scratch,
                                   dfm_error *error);

/* ---- one clean cell, whose bytes can be read up to `limit`, into the block's next row; span: its place, as above */

void dfm_source_read_absent(const dfm_source *source, int f, dfm_block *block);
dfm_status dfm_source_read_category(const dfm_source *source, const dfm_row_span *span, const dfm_cell *cell, int f,
                                    const char *limit, dfm_block *block, dfm_error *error);
/* Ends the row's list; `bad` (bytes NULL: none) is the item that was wrong. */
dfm_status dfm_source_end_list(const dfm_source *source, const dfm_row_span *span, const dfm_cell *bad, int f,
                               dfm_block *block, dfm_error *error);
dfm_status dfm_source_read_number(const dfm_source *source, const dfm_row_span *span, const dfm_cell *cell, int d,
                                  dfm_block *block, dfm_error *error);
dfm_status dfm_source_read_label(const dfm_source *source, const dfm_row_span *span, const dfm_cell *cell,
                                 dfm_block *block, dfm_error *error);
dfm_status dfm_source_read_weight(const dfm_source *source, const dfm_row_span *span, const dfm_cell *cell,
                                  dfm_block *block, dfm_error *error);
dfm_status dfm_source_read_truth(const dfm_source *source, const dfm_row_span *span, const dfm_cell *cell,
                                 dfm_block *block, dfm_error *error);

#endif
