/* Safetensors, writing: declarations, then bytes in file order, come in; a whole file with its checksums goes out. */
#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/memory.h"
#include "base/safetensors_format.h"
#include "base/utf8.h"

typedef struct dfm_declaration {
  char *name;
  dfm_dtype dtype;
  int n_dims;
  uint64_t shape[2];
  uint64_t size_bytes;
} dfm_declaration;

struct dfm_st_writer {
  json_t *metadata; /* strings by key */
  json_t *names;    /* those taken */
  dfm_declaration *tensor;
  size_t n, capacity;
  int *order; /* (n) place in the file -> tensor */
  dfm_writer *file;
  uint64_t declared, written; /* bytes of data, checksums apart */
  XXH3_state_t *hash;         /* of the block at hand */
  uint8_t *checksum;          /* as they stand in the file */
  size_t n_checksums;
  bool has_ended; /* the checksums are written */
};

static dfm_status no_memory(dfm_error *error) {
  return dfm_fail(error, DFM_ERROR_MEMORY, "out of memory for the header of a file; free some memory");
}

dfm_status dfm_st_writer_create(dfm_st_writer **out, dfm_error *error) {
  dfm_st_writer *writer = NULL;
  DFM_TRY(dfm_alloc(&writer, 1, sizeof *writer, error));
  writer->metadata = json_object();
  writer->names = json_object();
  writer->hash = XXH3_createState();
  if (!writer->metadata || !writer->names || !writer->hash) {
    dfm_st_abort(writer);
    return no_memory(error);
  }
  *out = writer;
  return DFM_OK;
}

void dfm_st_abort(dfm_st_writer *writer) {
  if (!writer) return;
  dfm_writer_abort(writer->file);
  for (size_t i = 0; i < writer->n; i++) free(writer->tensor[i].name);
  free(writer->tensor);
  free(writer->order);
  free(writer->checksum);
  XXH3_freeState(writer->hash);
  json_decref(writer->metadata);
  json_decref(writer->names);
  free(writer);
}

dfm_status dfm_st_safe_name(const char *name, char **safe, dfm_error *error) {
  const size_t n = strlen(name);
  dfm_text text = {0};
  dfm_status status = dfm_text_add(&text, "", 0, error);
  for (size_t i = 0; status == DFM_OK && i < n;) {
    const size_t length = dfm_utf8_length(name + i, n - i);
    if (length > 0)
      status = dfm_text_add(&text, name + i, length, error);
    else
      status = dfm_text_printf(&text, error, "\\x%02X", (unsigned char)name[i]);
    i += length > 0 ? length : 1;
  }
  if (status != DFM_OK) {
    free(text.bytes);
    return status;
  }
  *safe = text.bytes;
  return DFM_OK;
}

dfm_status dfm_st_add_metadata(dfm_st_writer *writer, const char *key, const char *value, dfm_error *error) {
  char shown[DFM_SHOW_BYTES];
  dfm_show(shown, key, strlen(key));
  if (!dfm_is_utf8(key, strlen(key)) || !dfm_is_utf8(value, strlen(value)))
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "metadata '%s' is not UTF-8 and cannot be written to a file; spell it in UTF-8", shown);
  if (json_object_get(writer->metadata, key))
    return dfm_fail(error, DFM_ERROR_VALUE, "metadata '%s' is given twice; give it once", shown);
  return json_object_set_new(writer->metadata, key, json_string(value)) == 0 ? DFM_OK : no_memory(error);
}

static dfm_status check_name(const dfm_st_writer *writer, const char *name, dfm_error *error) {
  if (strcmp(name, DFM_CHECKSUM_NAME) == 0 || strcmp(name, DFM_METADATA_NAME) == 0)
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "a tensor cannot be called '%s', which the file format keeps for itself; rename it", name);
  if (json_object_get(writer->names, name))
    return dfm_fail(error, DFM_ERROR_VALUE, "there are two tensors called '%.200s'; rename one, such as a column",
                    name);
  return DFM_OK;
}

/* Bytes of the tensor; false where it, or the data with it, is past what a file can hold (offsets in JSON are signed
 * 64-bit numbers). */
static bool measure(const dfm_st_writer *writer, dfm_declaration *declared) {
  uint64_t total;
  return !__builtin_mul_overflow(declared->shape[0], declared->shape[1], &declared->size_bytes) &&
         !__builtin_mul_overflow(declared->size_bytes, dfm_dtype_size(declared->dtype), &declared->size_bytes) &&
         declared->shape[0] <= INT64_MAX &&
         declared->shape[1] <= INT64_MAX && /* one may be 0, and any value the other */
         !__builtin_add_overflow(writer->declared, declared->size_bytes, &total) && total <= INT64_MAX / 2;
}

static dfm_status check_declaration(const dfm_st_writer *writer, dfm_declaration *declared, dfm_error *error) {
  if (declared->n_dims != 1 && declared->n_dims != 2)
    return dfm_fail(error, DFM_ERROR_VALUE, "tensor '%.200s' has %d dimensions; it must have 1 or 2", declared->name,
                    declared->n_dims);
  if (!measure(writer, declared))
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "tensor '%.200s' is %llu x %llu, more than a file can hold; make it smaller", declared->name,
                    (unsigned long long)declared->shape[0], (unsigned long long)declared->shape[1]);
  return check_name(writer, declared->name, error);
}

dfm_status dfm_st_add_tensor(dfm_st_writer *writer, const char *name, dfm_dtype dtype, int n_dims,
                             const uint64_t *shape, int *tensor, dfm_error *error) {
  dfm_declaration declared = {
      .dtype = dtype, .n_dims = n_dims, .shape = {n_dims > 0 ? shape[0] : 1, n_dims > 1 ? shape[1] : 1}};
  dfm_status status;
  DFM_TRY(dfm_st_safe_name(name, &declared.name, error));
  DFM_TRY_GOTO(status, check_declaration(writer, &declared, error), fail);
  DFM_TRY_GOTO(status, dfm_grow(&writer->tensor, &writer->capacity, writer->n + 1, sizeof *writer->tensor, error),
               fail);
  if (json_object_set_new(writer->names, declared.name, json_true()) != 0) {
    status = no_memory(error);
    goto fail;
  }
  writer->tensor[writer->n] = declared;
  writer->declared += declared.size_bytes;
  *tensor = (int)writer->n++;
  return DFM_OK;
fail:
  free(declared.name);
  return status;
}

/* Larger elements first, so that every tensor is aligned to its own without gaps. */
static void order_tensors(dfm_st_writer *writer) {
  static const size_t sizes[] = {8, 4, 1};
  size_t place = 0;
  for (size_t s = 0; s < 3; s++)
    for (size_t i = 0; i < writer->n; i++)
      if (dfm_dtype_size(writer->tensor[i].dtype) == sizes[s]) writer->order[place++] = (int)i;
}

static json_t *describe(dfm_dtype dtype, int n_dims, const uint64_t *shape, uint64_t from, uint64_t to) {
  json_t *dims = n_dims > 1 ? json_pack("[I, I]", (json_int_t)shape[0], (json_int_t)shape[1])
                            : json_pack("[I]", (json_int_t)shape[0]);
  return json_pack("{s:s, s:o, s:[I, I]}", "dtype", dfm_dtype_name(dtype), "shape", dims, "data_offsets",
                   (json_int_t)from, (json_int_t)to);
}

static json_t *describe_all(const dfm_st_writer *writer) {
  const uint64_t shape[2] = {dfm_checksum_count(writer->declared), DFM_CHECKSUM_BYTES};
  uint64_t at = 0;
  json_t *header = json_pack("{s:O}", DFM_METADATA_NAME, writer->metadata);
  for (size_t place = 0; header && place < writer->n; place++) {
    const dfm_declaration *tensor = &writer->tensor[writer->order[place]];
    json_t *entry = describe(tensor->dtype, tensor->n_dims, tensor->shape, at, at + tensor->size_bytes);
    if (json_object_set_new(header, tensor->name, entry) != 0) goto fail;
    at += tensor->size_bytes;
  }
  if (header &&
      json_object_set_new(header, DFM_CHECKSUM_NAME, describe(DFM_U8, 2, shape, at, at + shape[0] * shape[1])) == 0)
    return header;
fail:
  json_decref(header);
  return NULL;
}

static void keep_checksum(dfm_st_writer *writer, uint64_t hash) {
  for (int i = 0; i < DFM_CHECKSUM_BYTES; i++)
    writer->checksum[writer->n_checksums * DFM_CHECKSUM_BYTES + (size_t)i] = (uint8_t)(hash >> (8 * i));
  writer->n_checksums++;
  (void)XXH3_64bits_reset(writer->hash);
}

/* The length and the JSON, padded so that data starts aligned, as one block of bytes. */
static dfm_status write_header(dfm_st_writer *writer, const char *json, dfm_error *error) {
  const size_t length = strlen(json),
               size = (8 + length + DFM_DATA_ALIGNMENT - 1) / DFM_DATA_ALIGNMENT * DFM_DATA_ALIGNMENT;
  uint8_t *bytes = NULL;
  DFM_TRY(dfm_alloc(&bytes, size, 1, error));
  for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)((size - 8) >> (8 * i));
  memcpy(bytes + 8, json, length);
  memset(bytes + 8 + length, ' ', size - 8 - length);
  keep_checksum(writer, XXH3_64bits(bytes, size));
  const dfm_status status = dfm_writer_write(writer->file, bytes, size, error);
  free(bytes);
  return status;
}

/* What the reader would refuse is not written. */
static dfm_status check_header(const char *json, const char *path, dfm_error *error) {
  const size_t n = strlen(json) + DFM_DATA_ALIGNMENT;
  if (n <= DFM_MAX_HEADER) return DFM_OK;
  return dfm_fail(
      error, DFM_ERROR_VALUE,
      "cannot write %s: its header would have %zu bytes, and at most %d are read back; shorten the metadata", path, n,
      (int)DFM_MAX_HEADER);
}

dfm_status dfm_st_begin(dfm_st_writer *writer, const char *path, dfm_error *error) {
  DFM_TRY(dfm_alloc(&writer->order, writer->n, sizeof *writer->order, error));
  DFM_TRY(dfm_alloc(&writer->checksum, dfm_checksum_count(writer->declared), DFM_CHECKSUM_BYTES, error));
  order_tensors(writer);
  json_t *header = describe_all(writer);
  char *json = header ? json_dumps(header, JSON_COMPACT) : NULL;
  json_decref(header);
  if (!json) return no_memory(error);
  dfm_status status = check_header(json, path, error);
  if (status == DFM_OK) status = dfm_writer_open(path, &writer->file, error);
  if (status == DFM_OK) status = write_header(writer, json, error);
  free(json);
  return status;
}

int dfm_st_order(const dfm_st_writer *writer, int position) {
  return position >= 0 && (size_t)position < writer->n ? writer->order[position] : -1;
}

dfm_status dfm_st_write(dfm_st_writer *writer, const void *bytes, size_t size_bytes, dfm_error *error) {
  if (size_bytes > writer->declared - writer->written) {
    return dfm_fail(error, DFM_ERROR_VALUE, "more bytes are written than the %llu declared; declare all",
                    (unsigned long long)writer->declared);
  }
  DFM_TRY(dfm_writer_write(writer->file, bytes, size_bytes, error));
  const uint8_t *at = bytes;
  while (size_bytes > 0) {
    const size_t left = DFM_CHECKSUM_BLOCK - writer->written % DFM_CHECKSUM_BLOCK,
                 n = size_bytes < left ? size_bytes : left;
    (void)XXH3_64bits_update(writer->hash, at, n);
    at += n;
    size_bytes -= n;
    writer->written += n;
    if (n == left) keep_checksum(writer, XXH3_64bits_digest(writer->hash));
  }
  return DFM_OK;
}

/* ---- in pieces */

/* Pieces begin at multiples of this in the file: whole pages cost the system less than parts of them. Few enough
 * bytes for the second-level cache. */
enum { PIECE_BYTES = 256 << 10 };

typedef struct making {
  dfm_st_writer *writer;
  dfm_st_make make;
  void *context;
  uint64_t at;      /* of the data in the file; where it takes no places nothing */
  uint64_t *start;  /* (n + 1) where each tensor begins in the data, in file order */
  uint8_t **buffer; /* (threads) for a piece, and what its last block of checksums has behind it */
  dfm_status *status;
  dfm_error *error;
  atomic_int next; /* piece: whatever task makes it, they are made from the first to the last, as the disk takes them */
} making;

/* The tensor in whose bytes byte `at` of the data lies, by its place in the file. */
static size_t find_tensor(const making *run, uint64_t at) {
  size_t low = 0, high = run->writer->n;
  while (high - low > 1) {
    const size_t middle = low + (high - low) / 2;
    if (run->start[middle] <= at)
      low = middle;
    else
      high = middle;
  }
  return low;
}

static dfm_status make_piece(const making *run, uint64_t at, size_t n, int thread, dfm_error *error) {
  uint8_t *to = run->buffer[thread];
  size_t place = find_tensor(run, at);
  for (size_t done = 0; done < n; place++) {
    const uint64_t left = run->start[place + 1] - (at + done);
    const size_t part = left < n - done ? (size_t)left : n - done;
    if (part > 0)
      DFM_TRY(run->make(run->context, thread, run->writer->order[place], at + done - run->start[place], part, to + done,
                        error));
    done += part;
  }
  return DFM_OK;
}

static size_t round_up(uint64_t n) {
  return (size_t)((n + DFM_CHECKSUM_BLOCK - 1) / DFM_CHECKSUM_BLOCK * DFM_CHECKSUM_BLOCK);
}

/* Of the blocks that begin in the `n` bytes of the data from `at` on, which are at `bytes` with the end of the last
 * one. */
static void set_checksums(const dfm_st_writer *writer, const uint8_t *bytes, uint64_t at, size_t n) {
  for (uint64_t block = round_up(at); block < at + n; block += DFM_CHECKSUM_BLOCK) {
    const uint64_t left = writer->declared - block, size = left < DFM_CHECKSUM_BLOCK ? left : DFM_CHECKSUM_BLOCK;
    const uint64_t hash = XXH3_64bits(bytes + (block - at), (size_t)size);
    uint8_t *to = writer->checksum + (1 + block / DFM_CHECKSUM_BLOCK) * DFM_CHECKSUM_BYTES;
    for (int i = 0; i < DFM_CHECKSUM_BYTES; i++) *to++ = (uint8_t)(hash >> (8 * i));
  }
}

/* Makes the data's bytes in a piece of the file, and sets their checksums. The last block that begins there is made
 * to its end; the piece behind makes that part again. */
static void make_task(void *context, int task, int thread) {
  making *run = context;
  const uint64_t declared = run->writer->declared,
                 piece = run->at / PIECE_BYTES + (uint64_t)atomic_fetch_add(&run->next, 1), from = piece * PIECE_BYTES,
                 at = from > run->at ? from - run->at : 0, to = from + PIECE_BYTES - run->at,
                 end = to < declared ? to : declared, whole = round_up(end);
  uint8_t *bytes = run->buffer[thread];
  dfm_status *status = &run->status[thread];
  dfm_error *error = &run->error[thread];
  (void)task;
  if (*status != DFM_OK) return;
  *status = make_piece(run, at, (size_t)((whole < declared ? whole : declared) - at), thread, error);
  if (*status != DFM_OK) return;
  set_checksums(run->writer, bytes, at, (size_t)(end - at));
  *status = dfm_writer_has_places(run->writer->file)
                ? dfm_writer_place(run->writer->file, run->at + at, bytes, (size_t)(end - at), error)
                : dfm_writer_write(run->writer->file, bytes, (size_t)(end - at), error);
}

static dfm_status begin_making(making *run, int threads, dfm_error *error) {
  const dfm_st_writer *writer = run->writer;
  DFM_TRY(dfm_alloc(&run->start, writer->n + 1, sizeof *run->start, error));
  DFM_TRY(dfm_alloc(&run->status, (size_t)threads, sizeof *run->status, error));
  DFM_TRY(dfm_alloc(&run->error, (size_t)threads, sizeof *run->error, error));
  DFM_TRY(dfm_alloc(&run->buffer, (size_t)threads, sizeof *run->buffer, error));
  for (int i = 0; i < threads; i++) DFM_TRY(dfm_alloc(&run->buffer[i], PIECE_BYTES + DFM_CHECKSUM_BLOCK, 1, error));
  for (size_t place = 0; place < writer->n; place++)
    run->start[place + 1] = run->start[place] + writer->tensor[writer->order[place]].size_bytes;
  return dfm_writer_has_places(writer->file) ? dfm_writer_leave(writer->file, writer->declared, &run->at, error)
                                             : DFM_OK;
}

/* What takes bytes in their order alone is written by one thread. */
static dfm_status run_making(making *run, dfm_pool *pool, int threads, dfm_error *error) {
  dfm_st_writer *writer = run->writer;
  DFM_TRY(begin_making(run, threads, error));
  const uint64_t end = run->at + writer->declared;
  const int n = writer->declared > 0 ? (int)((end + PIECE_BYTES - 1) / PIECE_BYTES - run->at / PIECE_BYTES) : 0;
  if (dfm_writer_has_places(writer->file))
    dfm_pool_run(pool, n, make_task, run);
  else
    for (int task = 0; task < n; task++) make_task(run, task, 0);
  for (int i = 0; i < threads; i++) {
    if (run->status[i] == DFM_OK) continue;
    if (error) *error = run->error[i];
    return run->status[i];
  }
  writer->written = writer->declared;
  writer->n_checksums = (size_t)dfm_checksum_count(writer->declared);
  return DFM_OK;
}

dfm_status dfm_st_make_all(dfm_st_writer *writer, dfm_pool *pool, dfm_st_make make, void *context, dfm_error *error) {
  making run = {.writer = writer, .make = make, .context = context};
  const int threads = dfm_pool_threads(pool);
  const dfm_status status = run_making(&run, pool, threads, error);
  for (int i = 0; run.buffer && i < threads; i++) free(run.buffer[i]);
  free(run.buffer);
  free(run.start);
  free(run.status);
  free(run.error);
  return status;
}

static dfm_status write_end(dfm_st_writer *writer, dfm_error *error) {
  if (writer->has_ended) return DFM_OK;
  if (writer->written != writer->declared) {
    return dfm_fail(error, DFM_ERROR_VALUE, "%llu bytes are written of the %llu declared; write all",
                    (unsigned long long)writer->written, (unsigned long long)writer->declared);
  }
  if (writer->n_checksums < dfm_checksum_count(writer->declared))
    keep_checksum(writer, XXH3_64bits_digest(writer->hash));
  writer->has_ended = true;
  return dfm_writer_write(writer->file, writer->checksum, writer->n_checksums * DFM_CHECKSUM_BYTES, error);
}

dfm_status dfm_st_reopen(dfm_st_writer *writer, const char *path, dfm_st_file **file, dfm_error *error) {
  dfm_mapping mapping;
  *file = NULL;
  if (!dfm_writer_has_places(writer->file)) return DFM_OK;
  DFM_TRY(write_end(writer, error));
  DFM_TRY(dfm_writer_map(writer->file, &mapping, error));
  return dfm_st_open_mapped(path, &mapping, file, error);
}

dfm_status dfm_st_commit(dfm_st_writer *writer, uint64_t *digest, dfm_error *error) {
  dfm_status status = write_end(writer, error);
  if (digest) *digest = XXH3_64bits(writer->checksum, writer->n_checksums * DFM_CHECKSUM_BYTES);
  if (status == DFM_OK) {
    status = dfm_writer_commit(writer->file, error);
    writer->file = NULL;
  }
  dfm_st_abort(writer);
  return status;
}
