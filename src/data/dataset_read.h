/* What the two ways of reading rows share: a source's row comes in, a row of storage goes out. Private to the dataset's
 * own files. */
#ifndef DFM_DATA_DATASET_READ_H
#define DFM_DATA_DATASET_READ_H

#include "data/source.h"
#include "data/storage.h"

/* An empty storage for the columns that the source has; `is_drawn`: rows will not lie in the order of the text. */
dfm_status dfm_storage_for(const dfm_source *source, const dfm_read_options *options, bool is_drawn,
                           dfm_storage **storage, dfm_error *error);
/* Adds the source's row, except its ids. */
dfm_status dfm_storage_add_row(dfm_storage *storage, const dfm_source *source, dfm_error *error);
/* The error of a file that ended after its header. */
dfm_status dfm_fail_no_rows(const dfm_source *source, dfm_error *error);

#endif
