/* Input: paths and patterns come in, and the feeds of the files that they name go out, one after the other; or an Arrow
 * stream comes in and goes out. */
#ifndef DFM_DATA_INPUT_H
#define DFM_DATA_INPUT_H

#include "base/feed.h"
#include "data/arrow_stream.h"

/* The stream that the input is; NULL: files. */
dfm_arrow_stream *dfm_input_arrow(const dfm_input *input);
/* 0 where it is a stream. */
size_t dfm_input_files(const dfm_input *input);
/* The path of file `i` for messages ("standard input" for "-"). */
const char *dfm_input_path(const dfm_input *input, size_t i);
/* The text of file `i` from its first byte. Who takes it gives it back with dfm_input_return. A file that is no regular
 * one (a pipe, the standard input) can be taken a second time only where nothing was let go of the first time. */
dfm_status dfm_input_take(dfm_input *input, size_t i, dfm_feed **feed, dfm_error *error);
/* Feeds that are taken from now on show bytes as they come (dfm_feed_open_live). */
void dfm_input_hurry(dfm_input *input);
/* Closes the feed; but where the file can be read only once and nothing was let go of, keeps it for the next one. */
void dfm_input_return(dfm_input *input, size_t i, dfm_feed *feed);
/* Whether every file can be read as often as one likes. */
bool dfm_input_is_rereadable(const dfm_input *input);

#endif
