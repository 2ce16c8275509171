/* Feeds: a path comes in; the text of the file, decompressed where it is gzip's or zstd's, goes out through a window
 * that slides over it.
 *
 * A plain file is mapped and its window points into the mapping. Anything else (compressed, a pipe, the standard
 * input) is read and decompressed by a thread of its own, a few pieces ahead of the window. Either way memory does not
 * grow with the text, as long as the window's user lets go of what it has read. */
#ifndef DFM_BASE_FEED_H
#define DFM_BASE_FEED_H

#include "base/error.h"

typedef struct dfm_feed dfm_feed;

/* Bytes of the text that can be seen. */
typedef struct dfm_window {
  const char *bytes;
  size_t n;
  bool is_last; /* the text ends with them */
} dfm_window;

/* Opens the file; "-" is the standard input. A mapped file must not be cut short by others while it is open. */
dfm_status dfm_feed_open(const char *path, dfm_feed **feed, dfm_error *error);
/* The same for who answers while a pipe is still written to: its bytes are shown as they come, not in whole pieces. */
dfm_status dfm_feed_open_live(const char *path, dfm_feed **feed, dfm_error *error);
void dfm_feed_close(dfm_feed *feed); /* NULL accepted */

/* The window as it is; before the first slide it is empty. */
dfm_window dfm_feed_window(const dfm_feed *feed);
/* Lets go of the window's first `used` bytes and adds bytes behind it: at least as many as it still has, so that who
 * looks for an end reads nothing more than twice; fewer only where the text ends. Pointers into the old window are
 * void. Errors: DFM_ERROR_IO, DFM_ERROR_FORMAT (damaged or cut short). */
dfm_status dfm_feed_slide(dfm_feed *feed, size_t used, dfm_error *error);
/* Whether the window still begins with the text's first byte. */
bool dfm_feed_is_at_start(const dfm_feed *feed);
/* The path for messages ("standard input" for "-"). */
const char *dfm_feed_name(const dfm_feed *feed);

#endif
