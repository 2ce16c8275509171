/* Source: rows of some kind, text of one or more files, Arrow batches or a dataset file, and the columns that an
 * encoder wants come in; blocks of typed cells go out. */
#ifndef DFM_DATA_SOURCE_H
#define DFM_DATA_SOURCE_H

#include "base/memory.h"
#include "base/pool.h"
#include "data/block.h"
#include "data/encoder.h"
#include "data/input.h"
#include "data/row.h"

/* What kinds of rows differ in. */
typedef struct dfm_source_kind {
  /* Opens the input and places the columns. */
  dfm_status (*open)(dfm_source *source, dfm_error *error);
  /* Rows for the next blocks, `n_at_hand` of them, or `n_pieces` with rows that are yet to be found; both 0 at the
   * end. */
  dfm_status (*next)(dfm_source *source, dfm_error *error);
  /* Fills a block with the rows of piece `task`; and keeps those of the `n_blocks` that hold, when all are filled. */
  dfm_status (*fill)(dfm_source *source, int task, dfm_row_scratch *scratch, dfm_block *block);
  void (*settle)(dfm_source *source);
  /* Finds rows for the call of `next` after this one's blocks are filled, which stay valid. NULL: not done ahead. */
  void (*look_ahead)(dfm_source *source);
  /* Room for the text of `n` rows' values from row `row` at hand on, that does not stand in the source as it is:
   * bytes. */
  size_t (*text_bytes)(const dfm_source *source, size_t row, int n);
  /* Puts the cells of row `row` at hand (of a piece: its number there, and DFM_BLOCK_ROWS for each before) into the
   * next row of to->block; such text goes where to->scratch says. */
  dfm_status (*read)(const dfm_source *source, size_t row, dfm_row *to, dfm_error *error);
  void (*close)(dfm_source *source);
} dfm_source_kind;

typedef struct dfm_arrow_rows dfm_arrow_rows;
typedef struct dfm_file_rows dfm_file_rows;

/* Text that fills one block. */
typedef struct dfm_source_piece {
  const char *bytes; /* set where the block is filled, like all of it but `line` */
  size_t n, used;    /* bytes; used: of those lines that the block had room for, before any quote */
  long long line;    /* the first one's */
  int lines;         /* used, whether they are rows or not */
  bool has_quote;
} dfm_source_piece;

struct dfm_source {
  const dfm_source_kind *kind;
  dfm_input *input;           /* borrowed */
  const dfm_encoder *encoder; /* borrowed */
  dfm_pool *pool;             /* borrowed */
  bool label_optional, missing_unknown;
  const char *truth_name, *missing_hint; /* borrowed from the options */
  int64_t n_bad_allowed;
  dfm_bad_rows bad; /* left out so far */

  /* What opening finds out. */
  bool has_label, has_weight, has_truth;
  /* Of rows whose cells stand in order: where columns are; DFM_ABSENT: nowhere. */
  size_t n_cells;                  /* per row */
  size_t *category_at, *number_at; /* (F), (D) */
  bool *is_plain; /* (F) categories whose cells are values as they stand: no lists, no transforms, nothing to clean */
  bool has_plain_rows; /* all categories are so, and no number is cleaned */
  size_t label_at, weight_at, truth_at;
  char *text; /* of cells that are looked at alone: the header's, a wrong row's */
  size_t text_capacity;

  size_t capacity, n_at_hand; /* rows */
  size_t n_pieces;            /* in place of rows at hand; 0: the rows are known */
  dfm_block **block; /* (n_blocks_made), of which (n_blocks) are filled: block i by the rows from i DFM_BLOCK_ROWS on */
  int n_blocks, n_blocks_made;
  dfm_row_scratch *scratch; /* (threads of the pool) */

  /* Text: */
  const dfm_format *format; /* the schema's */
  size_t file;              /* of the input, being read */
  dfm_feed *feed;
  dfm_text_rows *rows;
  bool has_first_row;        /* a row was read to learn the columns but is data: spans[0] is it */
  dfm_text header;           /* the cells of the first file's header, one after the other, */
  size_t *header_end;        /* (n_cells) where each ends */
  dfm_row_span *spans;       /* (capacity) of the rows at hand */
  dfm_row_span *spans_ahead; /* (capacity) of those that come next, as far as they were looked for: */
  size_t n_ahead;
  bool has_quotes;               /* a quote may have a meaning */
  dfm_source_piece *piece;       /* (n_blocks_made), of which (n_pieces) are at hand */
  const char *lines, *lines_end; /* that the pieces are of, */
  size_t piece_bytes;            /* about as many bytes each */
  int care, next_care; /* rows are told apart beforehand so many times, as quotes were met; and when that is so again */
  /* Of formats whose cells have names: what they stand for, by a hash index of place + 1 (0 empty). */
  dfm_place *place;     /* (n_places) */
  uint32_t *place_slot; /* (place_slots), a power of two */
  size_t n_places, place_slots;

  dfm_arrow_rows *arrow;    /* NULL: no Arrow */
  dfm_file_rows *file_rows; /* a dataset file's; NULL: none */
};

#define DFM_ABSENT SIZE_MAX

/* Opens the input and finds the columns. `options` may be NULL. The source is closed by the caller on success only. */
dfm_status dfm_source_open(dfm_input *input, const dfm_encoder *encoder, const dfm_read_options *options,
                           dfm_pool *pool, dfm_source *source, dfm_error *error);
/* The next rows, of the next file where the one before has ended; no blocks at the end. A row that is wrong is an
 * error, or left out where so many may be. */
dfm_status dfm_source_next(dfm_source *source, dfm_error *error);
/* Looks for rows that the next call will give, while others work on the blocks at hand; any thread, one at a time. */
void dfm_source_look_ahead(dfm_source *source);
void dfm_source_close(dfm_source *source);
/* Rows in the blocks at hand. */
int64_t dfm_source_rows(const dfm_source *source);

/* The error of the value, or the first such item, of category field f in row r of a block at hand, which the vocabulary
 * lacks although the field's rule is `error`. */
dfm_status dfm_source_unknown(dfm_source *source, int block, int r, int f, dfm_error *error);

/* ---- for the source's own files, and formats */

extern const dfm_source_kind dfm_source_text, dfm_source_arrow, dfm_source_file;

/* Finds the columns by name among `n` cells, in any order, or by position in rows of `n` cells; those that must be
 * there and are not are an error. */
dfm_status dfm_source_place_names(dfm_source *source, const dfm_cell *cells, size_t n, dfm_error *error);
dfm_status dfm_source_place_positions(dfm_source *source, size_t n, dfm_error *error);
/* The name for messages: of the file being read, or of the stream. */
const char *dfm_source_name(const dfm_source *source);
/* The text's next row into spans[0]; n_at_hand = 0 at the end. */
dfm_status dfm_source_first(dfm_source *source, dfm_error *error);
/* Lets scratch 0 read row `row` at hand alone: what it unescapes goes to source->text. */
dfm_status dfm_source_alone(dfm_source *source, size_t row, dfm_error *error);
/* Reads row `number` at hand, the `i`th that its block is filled from, into the block's next row, or leaves it out.
 * Where it fails, block->at of that row says which it was. */
dfm_status dfm_source_fill_row(const dfm_source *source, size_t number, int i, dfm_row *row);
dfm_status dfm_source_fail_empty(const dfm_source *source, dfm_error *error);

#endif
