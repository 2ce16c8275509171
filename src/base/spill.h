/* Spill: a growing array comes in; the same bytes go out, in memory or, beyond a budget, in a mapped file that has no
 * name and dies with the process. */
#ifndef DFM_BASE_SPILL_H
#define DFM_BASE_SPILL_H

#include "base/error.h"

typedef struct dfm_spill {
  unsigned char *bytes; /* moves when it grows; zeroed where not yet written */
  size_t capacity_bytes;
  bool is_file;
  int fd; /* where is_file; -1: sealed */
} dfm_spill;

/* Grows the array ({0} at the start) to room for `size_bytes`; contents stay. `to_file`: from here on it lies in a file
 * in `folder` (NULL or "": the current one), whose space is reserved, so that a full disk is an error here and not a
 * signal when the bytes are touched. */
dfm_status dfm_spill_grow(dfm_spill *spill, size_t size_bytes, bool to_file, const char *folder, dfm_error *error);
/* It will not grow again: a file needs no descriptor any more. */
void dfm_spill_seal(dfm_spill *spill);
void dfm_spill_free(dfm_spill *spill); /* {0} accepted */

/* Tells the system that whole pages within [bytes, bytes + n) of a mapped file are not needed for now: they no longer
 * count as this process's memory and come back from the file when touched. Not for memory that is no file's. */
void dfm_pages_spent(const void *bytes, size_t n);

#endif
