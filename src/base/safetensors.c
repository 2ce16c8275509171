/* Safetensors, reading: a file comes in; its header is checked as a whole, its tensors go out as pointers into the
 * mapping. */
#include "base/safetensors.h"

#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/memory.h"
#include "base/safetensors_format.h"
#include "base/spill.h"

static const struct {
  const char *name;
  size_t size;
} DTYPES[] = {[DFM_F32] = {"F32", 4}, [DFM_U8] = {"U8", 1}, [DFM_U32] = {"U32", 4}, [DFM_U64] = {"U64", 8}};
enum { N_DTYPES = sizeof DTYPES / sizeof *DTYPES };

struct dfm_st_file {
  atomic_int owners;
  char *path;
  dfm_mapping mapping;
  json_t *header;     /* owns names and metadata */
  size_t data_at;     /* where the data starts */
  dfm_tensor *tensor; /* (n) in file order */
  size_t n;
  json_t *index;              /* name -> place in `tensor` */
  const dfm_tensor *checksum; /* NULL: none */
  atomic_uchar *is_checked;   /* (blocks of data) */
};

size_t dfm_dtype_size(dfm_dtype dtype) {
  return DTYPES[dtype].size;
}

const char *dfm_dtype_name(dfm_dtype dtype) {
  return DTYPES[dtype].name;
}

static dfm_status damaged(const dfm_st_file *file, dfm_error *error, const char *what) {
  return dfm_fail(error, DFM_ERROR_FORMAT,
                  "%s is no valid safetensors file: %s; the file is damaged, cut short or of another kind", file->path,
                  what);
}

/* ---- the header */

static bool read_u64(json_t *value, uint64_t *out) {
  if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
  *out = (uint64_t)json_integer_value(value);
  return true;
}

static dfm_status bad_tensor(const dfm_st_file *file, const char *name, const char *what, dfm_error *error) {
  return dfm_fail(error, DFM_ERROR_FORMAT,
                  "%s: tensor '%.200s' %s; the file is damaged, cut short or made for other programs", file->path, name,
                  what);
}

static dfm_status read_dtype(const dfm_st_file *file, const char *name, json_t *entry, dfm_dtype *dtype,
                             dfm_error *error) {
  char shown[DFM_SHOW_BYTES];
  const char *text = json_string_value(json_object_get(entry, "dtype"));
  if (!text) return bad_tensor(file, name, "has no dtype", error);
  for (int i = 0; i < N_DTYPES; i++) {
    if (strcmp(DTYPES[i].name, text) != 0) continue;
    *dtype = (dfm_dtype)i;
    return DFM_OK;
  }
  return dfm_fail(error, DFM_ERROR_FORMAT,
                  "%s: tensor '%.200s' has dtype '%s', and only F32, U8, U32 and U64 are read; convert it", file->path,
                  name, dfm_show(shown, text, strlen(text)));
}

/* `elements` gets the product; that times 8 fits 64 bits. */
static bool read_shape(json_t *shape, dfm_tensor *tensor, uint64_t *elements) {
  *elements = 1;
  tensor->n_dims = (int)json_array_size(shape);
  for (int i = 0; i < tensor->n_dims; i++) {
    uint64_t n;
    if (!read_u64(json_array_get(shape, (size_t)i), &n)) return false;
    if (n > 0 && *elements > UINT64_MAX / 8 / n) return false;
    tensor->shape[i] = n;
    *elements *= n;
  }
  return true;
}

static dfm_status add_tensor(dfm_st_file *file, const char *name, json_t *entry, dfm_error *error) {
  const uint64_t data_bytes = file->mapping.size_bytes - file->data_at;
  json_t *shape = json_object_get(entry, "shape"), *offsets = json_object_get(entry, "data_offsets");
  dfm_tensor *tensor = &file->tensor[file->n];
  uint64_t elements, from, to;
  *tensor = (dfm_tensor){.name = name, .shape = {1, 1}};
  DFM_TRY(read_dtype(file, name, entry, &tensor->dtype, error));
  if (!json_is_array(shape) || json_array_size(shape) > 2)
    return bad_tensor(file, name, "has no shape of up to 2 dimensions", error);
  if (!read_shape(shape, tensor, &elements)) return bad_tensor(file, name, "has an impossible shape", error);
  if (json_array_size(offsets) != 2 || !read_u64(json_array_get(offsets, 0), &from) ||
      !read_u64(json_array_get(offsets, 1), &to) || from > to)
    return bad_tensor(file, name, "has impossible data_offsets", error);
  if (to > data_bytes) return bad_tensor(file, name, "lies past the end of the file", error);
  tensor->size_bytes = to - from;
  if (tensor->size_bytes != elements * DTYPES[tensor->dtype].size)
    return bad_tensor(file, name, "has more or fewer bytes than its shape asks for", error);
  tensor->data = file->mapping.bytes + file->data_at + from;
  if ((uintptr_t)tensor->data % DTYPES[tensor->dtype].size != 0) {
    return dfm_fail(error, DFM_ERROR_FORMAT,
                    "%s: tensor '%.200s' is not aligned to its elements; write the file with larger elements first",
                    file->path, name);
  }
  file->n++;
  return DFM_OK;
}

static int by_place(const void *a, const void *b) {
  const dfm_tensor *x = a, *y = b;
  if (x->data != y->data) return x->data < y->data ? -1 : 1;
  return x->size_bytes < y->size_bytes ? -1 : x->size_bytes > y->size_bytes;
}

/* Tensors side by side from the first byte of data to the last: no gap can hide bytes, no overlap can alias them. */
static bool is_gapless(const dfm_st_file *file) {
  const uint8_t *at = file->mapping.bytes + file->data_at;
  for (size_t i = 0; i < file->n; i++) {
    if (file->tensor[i].data != at) return false;
    at += file->tensor[i].size_bytes;
  }
  return at == file->mapping.bytes + file->mapping.size_bytes;
}

static dfm_status read_tensors(dfm_st_file *file, dfm_error *error) {
  const char *name;
  json_t *entry;
  DFM_TRY(dfm_alloc(&file->tensor, json_object_size(file->header), sizeof *file->tensor, error));
  json_object_foreach(file->header, name, entry) {
    if (strcmp(name, DFM_METADATA_NAME) != 0) DFM_TRY(add_tensor(file, name, entry, error));
  }
  qsort(file->tensor, file->n, sizeof *file->tensor, by_place);
  if (!is_gapless(file)) return damaged(file, error, "its tensors leave gaps, overlap or end before the file does");
  for (size_t i = 0; i < file->n; i++) {
    if (json_object_set_new(file->index, file->tensor[i].name, json_integer((json_int_t)i)) != 0) {
      return dfm_fail(error, DFM_ERROR_MEMORY, "out of memory for the header of %s; free some memory", file->path);
    }
  }
  return DFM_OK;
}

static dfm_status check_metadata(const dfm_st_file *file, dfm_error *error) {
  const char *key;
  json_t *value, *metadata = json_object_get(file->header, DFM_METADATA_NAME);
  if (metadata && !json_is_object(metadata)) return damaged(file, error, "its metadata is no table");
  json_object_foreach(metadata, key, value) {
    if (!json_is_string(value)) return damaged(file, error, "its metadata holds more than strings");
  }
  return DFM_OK;
}

static dfm_status bad_json(const dfm_st_file *file, const json_error_t *reason, dfm_error *error) {
  char shown[DFM_SHOW_BYTES], what[DFM_SHOW_BYTES + 64];
  snprintf(what, sizeof what, "its header is no JSON at byte %d: %s", 8 + reason->position,
           dfm_show(shown, reason->text, strlen(reason->text)));
  return damaged(file, error, what);
}

static dfm_status read_header(dfm_st_file *file, dfm_error *error) {
  const dfm_mapping *mapping = &file->mapping;
  uint64_t length = 0;
  json_error_t reason;
  if (mapping->size_bytes < 8) return damaged(file, error, "it has fewer than 8 bytes");
  for (int i = 0; i < 8; i++) length |= (uint64_t)mapping->bytes[i] << (8 * i);
  if (length > mapping->size_bytes - 8 || length > DFM_MAX_HEADER)
    return damaged(file, error, "its header is longer than the file");
  file->data_at = 8 + (size_t)length;
  file->header = json_loadb((const char *)mapping->bytes + 8, (size_t)length, JSON_REJECT_DUPLICATES, &reason);
  file->index = json_object();
  if (!file->header) return bad_json(file, &reason, error);
  if (!json_is_object(file->header)) return damaged(file, error, "its header is no JSON table");
  if (!file->index)
    return dfm_fail(error, DFM_ERROR_MEMORY, "out of memory for the header of %s; free some memory", file->path);
  DFM_TRY(check_metadata(file, error));
  return read_tensors(file, error);
}

/* ---- questions */

const char *dfm_st_metadata(const dfm_st_file *file, const char *key) {
  return json_string_value(json_object_get(json_object_get(file->header, DFM_METADATA_NAME), key));
}

const dfm_tensor *dfm_st_tensor(const dfm_st_file *file, const char *name) {
  char *safe = NULL;
  if (dfm_st_safe_name(name, &safe, NULL) != DFM_OK) return NULL;
  json_t *place = json_object_get(file->index, safe);
  free(safe);
  return place ? &file->tensor[json_integer_value(place)] : NULL;
}

dfm_status dfm_st_need(const dfm_st_file *file, const char *name, dfm_dtype dtype, int n_dims, const uint64_t *shape,
                       const dfm_tensor **out, dfm_error *error) {
  const dfm_tensor *tensor = dfm_st_tensor(file, name);
  if (!tensor)
    return dfm_fail(error, DFM_ERROR_MISMATCH, "%s lacks tensor '%.200s'; it was made from other columns or settings",
                    file->path, name);
  if (tensor->dtype != dtype) {
    return dfm_fail(error, DFM_ERROR_MISMATCH, "%s: tensor '%.200s' is %s where %s is needed", file->path, name,
                    DTYPES[tensor->dtype].name, DTYPES[dtype].name);
  }
  const uint64_t rows = n_dims > 0 ? shape[0] : 0, cols = n_dims > 1 ? shape[1] : 1;
  if (n_dims > 0 && (tensor->n_dims != n_dims || tensor->shape[0] != rows || tensor->shape[1] != cols)) {
    return dfm_fail(error, DFM_ERROR_MISMATCH,
                    "%s: tensor '%.200s' is %" PRIu64 " x %" PRIu64 " where %" PRIu64 " x %" PRIu64 " is needed",
                    file->path, name, tensor->shape[0], tensor->shape[1], rows, cols);
  }
  *out = tensor;
  return DFM_OK;
}

size_t dfm_st_count(const dfm_st_file *file) {
  return file->n;
}

const dfm_tensor *dfm_st_at(const dfm_st_file *file, size_t i) {
  return &file->tensor[i];
}

/* ---- checksums */

static bool is_right(const dfm_tensor *checksum, uint64_t i, const void *bytes, size_t n) {
  const uint8_t *kept = (const uint8_t *)checksum->data + i * DFM_CHECKSUM_BYTES;
  const uint64_t hash = XXH3_64bits(bytes, n);
  for (int byte = 0; byte < DFM_CHECKSUM_BYTES; byte++)
    if (kept[byte] != (uint8_t)(hash >> (8 * byte))) return false;
  return true;
}

static uint64_t checked_bytes(const dfm_st_file *file) {
  return (uint64_t)((const uint8_t *)file->checksum->data - (file->mapping.bytes + file->data_at));
}

/* Finds the checksums, which must fit the file, and checks the header against its own: everything else read of the
 * file relies on it. */
static dfm_status check_header(dfm_st_file *file, dfm_error *error) {
  const dfm_tensor *found = dfm_st_tensor(file, DFM_CHECKSUM_NAME);
  if (!found) return DFM_OK;
  file->checksum = found;
  if (found != &file->tensor[file->n - 1] || found->dtype != DFM_U8 || found->n_dims != 2 ||
      found->shape[1] != DFM_CHECKSUM_BYTES || found->shape[0] != dfm_checksum_count(checked_bytes(file)))
    return damaged(file, error, "its checksums do not fit its data");
  if (!is_right(found, 0, file->mapping.bytes, file->data_at))
    return damaged(file, error, "its header does not match its checksum");
  return dfm_alloc(&file->is_checked, found->shape[0], sizeof *file->is_checked, error);
}

bool dfm_st_has_checksum(const dfm_st_file *file) {
  return file->checksum != NULL;
}

/* A block lies in one tensor or in several: the first is named. */
static const char *tensor_at(const dfm_st_file *file, const uint8_t *byte) {
  size_t i = 0;
  while (i + 1 < file->n && (const uint8_t *)file->tensor[i].data + file->tensor[i].size_bytes <= byte) i++;
  return file->tensor[i].name;
}

static dfm_status check_block(const dfm_st_file *file, uint64_t i, dfm_error *error) {
  const uint8_t *data = file->mapping.bytes + file->data_at;
  const uint64_t at = i * DFM_CHECKSUM_BLOCK, left = checked_bytes(file) - at,
                 n = left < DFM_CHECKSUM_BLOCK ? left : DFM_CHECKSUM_BLOCK;
  if (is_right(file->checksum, i + 1, data + at, (size_t)n)) {
    atomic_store_explicit(&file->is_checked[i], 1, memory_order_relaxed);
    return DFM_OK;
  }
  return dfm_fail(error, DFM_ERROR_FORMAT,
                  "%s is damaged: bytes %" PRIu64 " to %" PRIu64
                  ", from tensor '%.200s' on, do not match their checksum; take it from a backup "
                  "or make it anew",
                  file->path, file->data_at + at, file->data_at + at + n - 1, tensor_at(file, data + at));
}

dfm_status dfm_st_check(const dfm_st_file *file, const void *bytes, size_t n, dfm_error *error) {
  if (!file->checksum || n == 0) return DFM_OK;
  const uint64_t from = (uint64_t)((const uint8_t *)bytes - (file->mapping.bytes + file->data_at));
  for (uint64_t i = from / DFM_CHECKSUM_BLOCK; i <= (from + n - 1) / DFM_CHECKSUM_BLOCK; i++) {
    if (!atomic_load_explicit(&file->is_checked[i], memory_order_relaxed)) DFM_TRY(check_block(file, i, error));
  }
  return DFM_OK;
}

dfm_status dfm_st_verify(const dfm_st_file *file, dfm_error *error) {
  enum { BLOCKS = 1024 }; /* between two words with the system */
  const uint8_t *data = file->mapping.bytes + file->data_at;
  if (!file->checksum) return DFM_OK;
  const uint64_t blocks = file->checksum->shape[0] - 1, total = checked_bytes(file);
  for (uint64_t i = 0; i < blocks; i++) {
    const uint64_t at = i * DFM_CHECKSUM_BLOCK, piece = (uint64_t)BLOCKS * DFM_CHECKSUM_BLOCK;
    if (i % BLOCKS == 0 && i > 0) dfm_st_spent(file, data + at - piece, piece);
    if (i % BLOCKS == 0 && at + piece < total)
      dfm_st_ahead(file, data + at + piece, total - at - piece < piece ? total - at - piece : piece);
    DFM_TRY(check_block(file, i, error));
  }
  return DFM_OK;
}

uint64_t dfm_st_digest(const dfm_st_file *file) {
  return file->checksum ? XXH3_64bits(file->checksum->data, file->checksum->size_bytes) : 0;
}

/* [*bytes, *bytes + *n) with all of the blocks that it lies in: checking reads them whole. */
static void widen(const dfm_st_file *file, const uint8_t **bytes, size_t *n) {
  const uint8_t *data = file->mapping.bytes + file->data_at, *end = file->mapping.bytes + file->mapping.size_bytes;
  const size_t from = (size_t)(*bytes - data) / DFM_CHECKSUM_BLOCK * DFM_CHECKSUM_BLOCK;
  const size_t to = ((size_t)(*bytes - data) + *n + DFM_CHECKSUM_BLOCK - 1) / DFM_CHECKSUM_BLOCK * DFM_CHECKSUM_BLOCK;
  *bytes = data + from;
  *n = to - from < (size_t)(end - *bytes) ? to - from : (size_t)(end - *bytes);
}

void dfm_st_spent(const dfm_st_file *file, const void *bytes, size_t n) {
  const uint8_t *from = bytes;
  if (file->mapping.is_heap) return;
  widen(file, &from, &n);
  dfm_pages_spent(from, n, file->mapping.bytes, file->mapping.size_bytes);
}

void dfm_st_apart(const dfm_st_file *file, const void *bytes, size_t n) {
  const uint8_t *from = bytes;
  if (file->mapping.is_heap) return;
  widen(file, &from, &n);
  dfm_pages_apart(from, n);
}

void dfm_st_scattered(const dfm_st_file *file, const void *bytes, size_t n) {
  if (!file->mapping.is_heap) dfm_pages_scattered(bytes, n);
}

void dfm_st_ahead(const dfm_st_file *file, const void *bytes, size_t n) {
  const uint8_t *from = bytes;
  if (file->mapping.is_heap) return;
  widen(file, &from, &n);
  dfm_pages_ahead(from, n);
}

/* ---- life */

dfm_status dfm_st_open(const char *path, dfm_st_file **file, dfm_error *error) {
  dfm_mapping mapping;
  DFM_TRY(dfm_mapping_open(path, &mapping, error));
  return dfm_st_open_mapped(path, &mapping, file, error);
}

dfm_status dfm_st_open_mapped(const char *path, dfm_mapping *mapping, dfm_st_file **out, dfm_error *error) {
  dfm_st_file *file = NULL;
  dfm_status status = dfm_alloc(&file, 1, sizeof *file, error);
  if (status != DFM_OK) {
    dfm_mapping_close(mapping);
    return status;
  }
  atomic_init(&file->owners, 1);
  file->mapping = *mapping;
  DFM_TRY_GOTO(status, dfm_copy_text(&file->path, path, error), fail);
  DFM_TRY_GOTO(status, read_header(file, error), fail);
  DFM_TRY_GOTO(status, check_header(file, error), fail);
  *out = file;
  return DFM_OK;
fail:
  dfm_st_close(file);
  return status;
}

dfm_st_file *dfm_st_retain(dfm_st_file *file) {
  atomic_fetch_add(&file->owners, 1);
  return file;
}

const char *dfm_st_path(const dfm_st_file *file) {
  return file->path;
}

bool dfm_st_is_file(const char *path) {
  unsigned char start[9] = {0};
  uint64_t length = 0;
  struct stat info;
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) return false;
  const bool is_read =
      fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && pread(fd, start, sizeof start, 0) == sizeof start;
  close(fd);
  for (int i = 0; i < 8; i++) length |= (uint64_t)start[i] << (8 * i);
  return is_read && length <= DFM_MAX_HEADER && start[8] == '{';
}

void dfm_st_close(dfm_st_file *file) {
  if (!file || atomic_fetch_sub(&file->owners, 1) != 1) return;
  json_decref(file->header);
  json_decref(file->index);
  free(file->tensor);
  free(file->is_checked);
  dfm_mapping_close(&file->mapping);
  free(file->path);
  free(file);
}
