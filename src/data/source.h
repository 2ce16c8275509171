/* Source: the text of one or more files and the columns that an encoder wants come in; rows of typed cells go out, file
 * after file. */
#ifndef DFM_DATA_SOURCE_H
#define DFM_DATA_SOURCE_H

#include "base/memory.h"
#include "data/delimited.h"
#include "data/encoder.h"
#include "data/input.h"
#include "data/list_cell.h"

typedef struct dfm_source {
  dfm_input *input; /* borrowed */
  size_t file;      /* of the input, being read */
  dfm_feed *feed;
  dfm_delimited *reader;
  const dfm_encoder *encoder; /* borrowed */
  bool label_optional, missing_unknown;
  const char *truth_name; /* borrowed from the options */

  /* Where columns are in the file's rows; DFM_ABSENT: nowhere. */
  size_t n_cells;                  /* per row */
  size_t *category_at, *number_at; /* (F), (D) */
  size_t label_at, weight_at, truth_at;
  const dfm_cell *first_row; /* a row that was read to learn the columns but is data; NULL: none */
  size_t first_row_n;

  dfm_text header;    /* the cells of the first file's header, one after the other, */
  size_t *header_end; /* (n_cells) where each ends */

  /* The row last read. */
  dfm_cell *category;  /* (F) cleaned: spaces and missing words are gone; bytes NULL where the column is absent */
  uint64_t *hash;      /* (F) of the cells; 0 of lists */
  dfm_items *items;    /* (F) of lists; none where the column is absent */
  float *number;       /* (D) NaN: empty or absent */
  float label;         /* 0 or 1; NaN: empty, where labels are optional */
  float weight, truth; /* 1 and 0 where there is no such column */
} dfm_source;

#define DFM_ABSENT SIZE_MAX

/* Opens the first file and finds the columns. `options` may be NULL. The source is closed by the caller on success only. */
dfm_status dfm_source_open(dfm_input *input, const dfm_encoder *encoder, const dfm_read_options *options,
                           dfm_source *source, dfm_error *error);
/* The next row, of the next file where the one before has ended; `*is_row` false at the end. */
dfm_status dfm_source_next(dfm_source *source, bool *is_row, dfm_error *error);
void dfm_source_close(dfm_source *source);

/* Opens the file behind the one that has ended and reads its header, which must be that of the first; `*is_open` false
 * where there is none. For dfm_source_next. */
dfm_status dfm_source_next_file(dfm_source *source, bool *is_open, dfm_error *error);

/* The error of a category cell of the row last read whose value the vocabulary lacks although its field's rule is
 * `error`. */
dfm_status dfm_source_unknown(const dfm_source *source, int f, dfm_error *error);

#endif
