/* Errors: what comes in is a status and a sentence; what goes out is the caller's dfm_error, filled. */
#ifndef DFM_BASE_ERROR_H
#define DFM_BASE_ERROR_H

#include "deepfm.h"

/* Propagates a failure: `DFM_TRY(f(x, error));` */
#define DFM_TRY(expr)                        \
  do {                                       \
    const dfm_status dfm_try_ = (expr);      \
    if (dfm_try_ != DFM_OK) return dfm_try_; \
  } while (0)

/* The same where the function has something to release: jumps to `label` with the status in `status`. */
#define DFM_TRY_GOTO(status, expr, label) \
  do {                                    \
    (status) = (expr);                    \
    if ((status) != DFM_OK) goto label;   \
  } while (0)

/* Fills `error` (may be NULL) with `code` and a printf-style sentence, line and column 0; returns `code`. */
dfm_status dfm_fail(dfm_error *error, dfm_status code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same for a place in a text file; the message starts "path:line:column: " (without what
 * is 0). */
dfm_status dfm_fail_at(dfm_error *error, dfm_status code, const char *path, long long line, long long column,
                       const char *format, ...) __attribute__((format(printf, 6, 7)));

/* Writes `n` raw bytes as something printable in a message: control and non-UTF-8 bytes as \xNN, cut after 40 bytes
 * with "...". `out` holds at least DFM_SHOW_BYTES bytes; returns `out`. */
#define DFM_SHOW_BYTES 176
const char *dfm_show(char *out, const char *bytes, size_t n);

/* The entry of `names` (`n` of them) with the smallest edit distance to `word`; NULL where none is near enough to be
 * meant. */
const char *dfm_nearest(const char *word, const char *const *names, size_t n);

#endif
