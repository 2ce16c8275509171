/* Decoders: a file's descriptor comes in; its bytes, decompressed where they are gzip's or zstd's, go out.
 * What the bytes are is told by the first of them, whatever the file's name. */
#ifndef DFM_BASE_DECODER_H
#define DFM_BASE_DECODER_H

#include "base/error.h"

typedef struct dfm_decoder dfm_decoder;

/* Reads the first bytes of `fd`. `fd` and `stop_fd` are borrowed, and so is `name`, which is for messages. A read that
 * waits for bytes fails as soon as `stop_fd` can be read from. */
dfm_status dfm_decoder_open(int fd, int stop_fd, const char *name, dfm_decoder **decoder, dfm_error *error);
/* The bytes come out as they are in the file. */
bool dfm_decoder_is_plain(const dfm_decoder *decoder);
/* From now on what has come is given out instead of waiting for more, if there is anything. */
void dfm_decoder_hurry(dfm_decoder *decoder);
/* Fills `bytes` (capacity) as far as there are any; `*n` is 0 at the end alone. */
dfm_status dfm_decoder_read(dfm_decoder *decoder, char *bytes, size_t capacity, size_t *n, dfm_error *error);
void dfm_decoder_close(dfm_decoder *decoder); /* NULL accepted */

#endif
