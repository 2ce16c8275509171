/* Source: the text of one or more files and the columns that an encoder wants come in; blocks of typed cells go out,
 * file after file. */
#ifndef DFM_DATA_SOURCE_H
#define DFM_DATA_SOURCE_H

#include "base/memory.h"
#include "base/pool.h"
#include "data/block.h"
#include "data/encoder.h"
#include "data/input.h"
#include "data/row.h"

struct dfm_source {
  dfm_input *input; /* borrowed */
  size_t file;      /* of the input, being read */
  dfm_feed *feed;
  dfm_text_rows *rows;
  const dfm_encoder *encoder; /* borrowed */
  const dfm_format *format;   /* the schema's */
  dfm_pool *pool;             /* borrowed */
  bool label_optional, missing_unknown;
  const char *truth_name; /* borrowed from the options */
  int64_t n_bad_allowed;
  dfm_bad_rows bad; /* left out so far */

  /* What the format's `open` finds out. */
  bool has_label, has_weight, has_truth;
  bool has_first_row; /* a row was read to learn the columns but is data: spans[0] is it */
  /* Of formats whose cells stand in order: where columns are in the rows; DFM_ABSENT: nowhere. */
  size_t n_cells;                  /* per row */
  size_t *category_at, *number_at; /* (F), (D) */
  size_t label_at, weight_at, truth_at;
  dfm_text header;    /* the cells of the first file's header, one after the other, */
  size_t *header_end; /* (n_cells) where each ends */
  /* Of formats whose cells have names: what they stand for, by a hash index of place + 1 (0 empty). */
  dfm_place *place;     /* (n_places) */
  uint32_t *place_slot; /* (place_slots), a power of two */
  size_t n_places, place_slots;

  dfm_row_span *spans; /* (capacity) of the rows at hand */
  size_t capacity, n_spans;
  dfm_block *
      *block; /* (n_blocks_made), of which (n_blocks) are filled: block i by the spans from i DFM_BLOCK_ROWS on */
  int n_blocks, n_blocks_made;
  dfm_row_scratch *scratch; /* (threads of the pool) */
  char *text;               /* unescaped cells of a row that is read alone */
  size_t text_capacity;
};

#define DFM_ABSENT SIZE_MAX

/* Opens the first file and finds the columns. `options` may be NULL. The source is closed by the caller on success only. */
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

/* ---- for the source's own files, and formats */

/* Opens the file behind the one that has ended; `*is_open` false where there is none. */
dfm_status dfm_source_next_file(dfm_source *source, bool *is_open, dfm_error *error);
/* The file's next row into spans[0]; n_spans = 0 at the end. */
dfm_status dfm_source_first(dfm_source *source, dfm_error *error);
/* Lets scratch 0 read this row alone: what it unescapes goes to source->text. */
dfm_status dfm_source_alone(dfm_source *source, const dfm_row_span *span, dfm_error *error);
dfm_status dfm_source_fail_empty(const dfm_source *source, dfm_error *error);

#endif
