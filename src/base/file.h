/* Files: paths come in; read-only mappings and all-or-nothing writers go out. */
#ifndef DFM_BASE_FILE_H
#define DFM_BASE_FILE_H

#include "base/error.h"

/* Opens for reading. Errors say "cannot open PATH: reason" with a remedy; a folder is an error that says so. */
dfm_status dfm_file_open(const char *path, int *fd, dfm_error *error);

/* A whole file, mapped read-only (or, where it cannot be mapped, such as a pipe, read into memory). */
typedef struct dfm_mapping {
  const unsigned char *bytes;
  size_t size_bytes;
  bool is_heap; /* bytes came from malloc, not from mmap */
} dfm_mapping;

/* Errors as dfm_file_open's. An empty file gives size 0, with `bytes`
 * not NULL. What is read into memory may take half of the machine's. A mapped file must not be cut short by others
 * while it is open. */
dfm_status dfm_mapping_open(const char *path, dfm_mapping *mapping, dfm_error *error);
/* The same for a file that no one writes long: more than `most_bytes` are an error, which asks whether it is a
 * `purpose` ("schema"). */
dfm_status dfm_mapping_open_short(const char *path, const char *purpose, size_t most_bytes, dfm_mapping *mapping,
                                  dfm_error *error);
void dfm_mapping_close(dfm_mapping *mapping); /* also of {0} */

/* A file that appears whole or not at all: written without a name in the folder of `path`, fsynced, named, where there
 * is an older one beside it and renamed over it, folder fsynced. An existing file keeps its permissions, and must be
 * writable; a link stays and what it points to is replaced. A target that exists and is no regular file (pipe,
 * /dev/...), and standard output (/dev/stdout), whatever it goes to, are written directly. A killed process leaves
 * nothing, unless it dies between naming and renaming: then ".NAME.NUMBER.tmp", whole, stays beside the target until
 * the next writer takes its place; or the file system has no files without a name: then one of such a name may stay. */
typedef struct dfm_writer dfm_writer;
dfm_status dfm_writer_open(const char *path, dfm_writer **writer, dfm_error *error);
/* False: what is at `path` would be written directly, and cannot be read back. */
bool dfm_writer_replaces(const char *path);
/* Buffered. After a failure only dfm_writer_abort is left to call. */
dfm_status dfm_writer_write(dfm_writer *writer, const void *bytes, size_t size_bytes, dfm_error *error);
/* Leaves out the next `n` bytes, which dfm_writer_place writes, in any order, on any thread; `*at` says where they
 * begin. False: the target is written directly, and takes bytes in their order alone. */
bool dfm_writer_has_places(const dfm_writer *writer);
dfm_status dfm_writer_leave(dfm_writer *writer, uint64_t n, uint64_t *at, dfm_error *error);
dfm_status dfm_writer_place(dfm_writer *writer, uint64_t at, const void *bytes, size_t size_bytes, dfm_error *error);
/* Maps what was written; good beyond the commit, as what dfm_mapping_open gives of the file. Nothing is written after
 * it. Only where there are places. */
dfm_status dfm_writer_map(dfm_writer *writer, dfm_mapping *mapping, dfm_error *error);
/* Makes the file appear and frees the writer, also on failure. A failure leaves the old file, and no temporary;
 * except where only the folder cannot be synced: then the new file is there, and the error says so. */
dfm_status dfm_writer_commit(dfm_writer *writer, dfm_error *error);
/* Removes the temporary and frees the writer. NULL accepted. */
void dfm_writer_abort(dfm_writer *writer);

#endif
