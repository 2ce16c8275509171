/* Arrow stream: an ArrowArrayStream comes in and is owned; its columns and its batches, checked for their shape, go
 * out. */
#ifndef DFM_DATA_ARROW_STREAM_H
#define DFM_DATA_ARROW_STREAM_H

#include "base/error.h"

typedef struct dfm_arrow_stream dfm_arrow_stream;

/* Takes the stream over, also on failure, and reads its schema. */
dfm_status dfm_arrow_stream_open(struct ArrowArrayStream *from, const char *name, dfm_arrow_stream **stream,
                                 dfm_error *error);
void dfm_arrow_stream_close(dfm_arrow_stream *stream); /* NULL accepted */
const char *dfm_arrow_stream_name(const dfm_arrow_stream *stream);
size_t dfm_arrow_stream_columns(const dfm_arrow_stream *stream);
const struct ArrowSchema *dfm_arrow_stream_column(const dfm_arrow_stream *stream, size_t i);
/* Its name; "" where it has none. */
const char *dfm_arrow_stream_column_name(const dfm_arrow_stream *stream, size_t i);

/* Whether batches were taken: a second reader would find the rest alone. */
bool dfm_arrow_stream_is_taken(const dfm_arrow_stream *stream);
/* The next batch, which the caller releases; `release` NULL at the end. */
dfm_status dfm_arrow_stream_next(dfm_arrow_stream *stream, struct ArrowArray *batch, dfm_error *error);
/* Batch `i` of a stream of which none was taken, NULL behind the last; it is kept for dfm_arrow_stream_next. */
dfm_status dfm_arrow_stream_peek(dfm_arrow_stream *stream, size_t i, const struct ArrowArray **batch, dfm_error *error);

#endif
