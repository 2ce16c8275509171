/* What the two ways of reading rows share: a source's blocks come in, rows of storage go out. Private to the dataset's
 * own files. */
#ifndef DFM_DATA_DATASET_READ_H
#define DFM_DATA_DATASET_READ_H

#include "data/source.h"
#include "data/storage.h"

/* An empty storage for the columns that the source has; `is_drawn`: rows will not lie in the order of the text. */
dfm_status dfm_storage_for(const dfm_source *source, const dfm_read_options *options, bool is_drawn,
                           dfm_storage **storage, dfm_error *error);

/* Where the rows of a source's blocks go. */
typedef struct dfm_destination {
  dfm_storage *storage[2]; /* [1]: of the rows that are held; NULL: none are */
  uint8_t *is_held;        /* (source->capacity) row r of block b: [b DFM_BLOCK_ROWS + r]; NULL: none is */
  int64_t *first;          /* (2 source->n_blocks_made) where each block's rows go in either storage */
  size_t *packed;          /* the same, of storages that are packed: their packed blocks */
  int64_t rows;            /* of the source, stored before */
} dfm_destination;

dfm_status dfm_destination_begin(dfm_destination *destination, const dfm_source *source, dfm_storage *rows,
                                 dfm_storage *held, dfm_error *error);
/* Appends the rows of the blocks at hand, whose values have their ids. */
dfm_status dfm_destination_add(dfm_destination *destination, const dfm_source *source, dfm_error *error);
/* There are no more. */
dfm_status dfm_destination_finish(dfm_destination *destination, const dfm_source *source, dfm_error *error);
void dfm_destination_end(dfm_destination *destination); /* {0} accepted */

/* The error of a file that ended after its header. */
dfm_status dfm_fail_no_rows(const dfm_source *source, dfm_error *error);

#endif
