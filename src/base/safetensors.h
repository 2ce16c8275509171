/* The safetensors container: named tensors and a string table come in or go out.
 *
 * OFFSET   SIZE     MEANING
 * 0        8        N, length of the header, little-endian u64
 * 8        N        JSON {"__metadata__": {string: string}, name: {"dtype", "shape", "data_offsets": [begin, end)}},
 *                   padded with spaces so that the data starts at a multiple of 64
 * 8 + N    rest     the tensors, in order of element size (8, 4, 1 bytes), then of declaration, no gaps
 * The last tensor is ours: "checksum" U8 [n, 8], the XXH3-64 (little-endian) of the header (bytes 0 to 8 + N) and of
 * each 4 KiB block of the data before it, so that a file can be checked piece by piece, rows of it when they are
 * first read. Files without it (made by others) load without that check. */
#ifndef DFM_BASE_SAFETENSORS_H
#define DFM_BASE_SAFETENSORS_H

#include "base/file.h"
#include "base/pool.h"

typedef enum dfm_dtype { DFM_F32, DFM_U8, DFM_U32, DFM_U64 } dfm_dtype;
size_t dfm_dtype_size(dfm_dtype dtype);

/* A name as JSON takes it: bytes that are no UTF-8 become \xNN. Column names come from users' files, so any
 * byte may occur. free() it. */
dfm_status dfm_st_safe_name(const char *name, char **safe, dfm_error *error);

/* ---- writing: declare all, then write each tensor's bytes in file order, piece by piece */
typedef struct dfm_st_writer dfm_st_writer;
dfm_status dfm_st_writer_create(dfm_st_writer **writer, dfm_error *error);
/* Copies key and value, both UTF-8. */
dfm_status dfm_st_add_metadata(dfm_st_writer *writer, const char *key, const char *value, dfm_error *error);
/* Declares tensor `name` (copied; bytes that are not UTF-8, as users' column names may have, stand in the file as
 * \xNN), shape `shape` (n_dims 1 or 2). Returns its index through `*tensor`. */
dfm_status dfm_st_add_tensor(dfm_st_writer *writer, const char *name, dfm_dtype dtype, int n_dims,
                             const uint64_t *shape, int *tensor, dfm_error *error);
/* Opens the file and writes the header; after that only writing, commit and abort are left. From here on tensors are
 * written in file order: dfm_st_order(w, i) is the i-th to write. */
dfm_status dfm_st_begin(dfm_st_writer *writer, const char *path, dfm_error *error);
int dfm_st_order(const dfm_st_writer *writer, int position); /* -1 past the last */
dfm_status dfm_st_write(dfm_st_writer *writer, const void *bytes, size_t size_bytes, dfm_error *error);
/* In place of writing them one after the other: makes all tensors' bytes in pieces, on the pool's threads. `make` puts
 * bytes [from, from + n) of tensor `tensor` to `to`, any piece of it at any time; `thread` is for scratch space
 * alone. */
typedef dfm_status (*dfm_st_make)(void *context, int thread, int tensor, uint64_t from, size_t n, void *to,
                                  dfm_error *error);
dfm_status dfm_st_make_all(dfm_st_writer *writer, dfm_pool *pool, dfm_st_make make, void *context, dfm_error *error);
/* Opens, before it appears, what was written whole, as dfm_st_open will at `path`; only dfm_st_commit and dfm_st_abort
 * are left then. NULL: the target is written directly and cannot be read. */
typedef struct dfm_st_file dfm_st_file;
dfm_status dfm_st_reopen(dfm_st_writer *writer, const char *path, dfm_st_file **file, dfm_error *error);
/* Fails if fewer or more bytes were written than declared. Makes the file appear; frees the writer in any case.
 * `*digest` becomes the file's dfm_st_digest; NULL accepted. */
dfm_status dfm_st_commit(dfm_st_writer *writer, uint64_t *digest, dfm_error *error);
void dfm_st_abort(dfm_st_writer *writer); /* NULL accepted */

/* ---- reading: the whole header is validated (JSON, unique names, dtypes, sizes, offsets without gaps or overlaps,
 * within the file, and its checksum) */
typedef struct dfm_tensor {
  const char *name; /* as in the file */
  dfm_dtype dtype;
  int n_dims;
  uint64_t shape[2]; /* a missing dimension is 1 */
  const void *data;  /* into the mapping, aligned to its element size */
  size_t size_bytes;
} dfm_tensor;
dfm_status dfm_st_open(const char *path, dfm_st_file **file, dfm_error *error);
/* The same of a file that is mapped; takes the mapping over in any case. */
dfm_status dfm_st_open_mapped(const char *path, dfm_mapping *mapping, dfm_st_file **file, dfm_error *error);
/* Checks the data against the checksums, all of it; the error names the damaged part. A file without them passes. */
dfm_status dfm_st_verify(const dfm_st_file *file, dfm_error *error);
/* The same for the blocks that [bytes, bytes + n), a part of the data, lies in; those that passed before are taken as
 * good. Any thread. */
dfm_status dfm_st_check(const dfm_st_file *file, const void *bytes, size_t n, dfm_error *error);
/* [bytes, bytes + n), a part of the data, is not needed for now; is read here and there until then; is never read but
 * by who asks ahead; is needed soon (spill.h). Any thread. */
void dfm_st_spent(const dfm_st_file *file, const void *bytes, size_t n);
void dfm_st_apart(const dfm_st_file *file, const void *bytes, size_t n);
void dfm_st_scattered(const dfm_st_file *file, const void *bytes, size_t n);
void dfm_st_ahead(const dfm_st_file *file, const void *bytes, size_t n);
bool dfm_st_has_checksum(const dfm_st_file *file);
/* A number that differs where any byte does, made from the checksums; 0: it has none. */
uint64_t dfm_st_digest(const dfm_st_file *file);
const char *dfm_st_metadata(const dfm_st_file *file, const char *key); /* NULL: none */
/* The tensor `name`, as given to dfm_st_add_tensor; NULL: none. */
const dfm_tensor *dfm_st_tensor(const dfm_st_file *file, const char *name);
/* The tensor, or an error that names file and tensor, also where dtype or shape differ (n_dims 0: any shape). */
dfm_status dfm_st_need(const dfm_st_file *file, const char *name, dfm_dtype dtype, int n_dims, const uint64_t *shape,
                       const dfm_tensor **tensor, dfm_error *error);
/* Tensors in file order, the checksums included. */
size_t dfm_st_count(const dfm_st_file *file);
const dfm_tensor *dfm_st_at(const dfm_st_file *file, size_t i);
/* One more owner, who closes it too. */
dfm_st_file *dfm_st_retain(dfm_st_file *file);
void dfm_st_close(dfm_st_file *file); /* NULL accepted */
/* The path that it was opened by. */
const char *dfm_st_path(const dfm_st_file *file);
/* Whether a regular file looks like safetensors by its first bytes, be it damaged or not. No text does: its header's
 * length would have to end in four zero bytes. */
bool dfm_st_is_file(const char *path);

#endif
