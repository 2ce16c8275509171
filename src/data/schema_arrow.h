/* Schema of an Arrow stream: its types and first rows come in; the columns' names, a sample of their cells as text, and
 * the kinds that types alone decide go out. */
#ifndef DFM_DATA_SCHEMA_ARROW_H
#define DFM_DATA_SCHEMA_ARROW_H

#include "data/arrow_stream.h"
#include "data/schema_profile.h"

/* The schema's columns, named; one without a name is called by its position, c1, c2, ... */
dfm_status dfm_arrow_names(const dfm_arrow_stream *stream, dfm_schema *schema, dfm_error *error);
/* The cells of the first rows, up to these limits, as the encoder would take them for categories; those of lists and of
 * types that are not read are empty. */
dfm_status dfm_arrow_sample(dfm_arrow_stream *stream, size_t max_rows, size_t max_bytes, size_t max_cells,
                            dfm_sample *sample, dfm_error *error);
/* Kind and reason of the columns without reason that their type decides: lists, text, types that are not read. */
dfm_status dfm_arrow_kinds(const dfm_arrow_stream *stream, const dfm_profile *profiles, dfm_schema *schema,
                           dfm_error *error);

#endif
