/* Spill: a growing array comes in; the same bytes go out, in memory or, beyond a budget, in a mapped file that has no
 * name and dies with the process. */
#ifndef DFM_BASE_SPILL_H
#define DFM_BASE_SPILL_H

#include "base/error.h"

typedef struct dfm_spill {
  unsigned char *bytes; /* moves when it grows; zeroed where not yet written */
  size_t capacity_bytes;
  bool is_file; /* `bytes` are a file's, mapped */
  bool is_open; /* `bytes` are in memory, and a file has been opened for what does not stay there */
  int fd;       /* where is_file or is_open; -1: sealed */
} dfm_spill;

/* Where files go that no output's folder asks for: $TMPDIR, or /tmp. */
const char *dfm_spill_folder(void);

/* Grows the array ({0} at the start) to room for `size_bytes`; contents stay. `to_file`: from here on it lies in a file
 * in `folder` (NULL or "": the current one), whose space is reserved, so that a full disk is an error here and not a
 * signal when the bytes are touched. */
dfm_status dfm_spill_grow(dfm_spill *spill, size_t size_bytes, bool to_file, const char *folder, dfm_error *error);
/* An array that is filled from its start on need not be mapped for it, which takes a page fault for every page: a file
 * is opened beside what is in memory (at {0} too), bytes are written to it at places of their own, any thread, and at
 * last the file's first `size_bytes` are the array. What was in memory is then freed. A file takes no space before it
 * is written. */
dfm_status dfm_spill_open(dfm_spill *spill, const char *folder, dfm_error *error);
dfm_status dfm_spill_write(const dfm_spill *spill, size_t at, const void *bytes, size_t n, const char *folder,
                           dfm_error *error);
dfm_status dfm_spill_map(dfm_spill *spill, size_t size_bytes, dfm_error *error);
/* Frees what is in memory; an open file stays. */
void dfm_spill_empty(dfm_spill *spill);
/* It will not grow again: a file needs no descriptor any more. */
void dfm_spill_seal(dfm_spill *spill);
void dfm_spill_free(dfm_spill *spill); /* {0} accepted */

/* Bytes [at, at + n) are not needed for now; where they lie in a file, their memory goes back. Any thread. */
void dfm_spill_spent(const dfm_spill *spill, size_t at, size_t n);

/* Tells the system that [bytes, bytes + n) of a mapped file ([mapping, mapping + size)) is not needed for now: it no
 * longer counts as this process's memory and comes back from the file when touched; so does what the system had mapped
 * around it. It ends dfm_pages_apart, which else would leave the process as many memory areas as pieces were ever
 * apart: the system allows some 65,000. Not for memory that is no file's. */
void dfm_pages_spent(const void *bytes, size_t n, const void *mapping, size_t size);
/* Until dfm_pages_spent the system maps none of what lies around [bytes, bytes + n) of a mapped file, which may be 2 MB
 * for a page. */
void dfm_pages_apart(const void *bytes, size_t n);
/* Who reads [bytes, bytes + n) of a mapped file asks for it ahead: the system reads nothing around a page. Where memory
 * is short, as much as it reads ahead, read around each page that it had taken away, would push out more. */
void dfm_pages_scattered(const void *bytes, size_t n);
/* Asks for [bytes, bytes + n) of a mapped file to be read from its disk while others work. */
void dfm_pages_ahead(const void *bytes, size_t n);

#endif
