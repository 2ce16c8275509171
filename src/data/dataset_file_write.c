/* Dataset file, writing: training and validation rows with their encoder come in; one safetensors file goes out, in
 * pieces that threads make of whatever lies there, so that memory does not grow with the rows. Rows that are packed get
 * their ids on the way. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/memory.h"
#include "data/dataset_file.h"
#include "data/placing.h"

typedef struct parts {
  const dfm_dataset *part[2]; /* training, validation (or NULL) */
} parts;

enum { N_ARRAYS = DFM_STORAGE_ARRAYS };

/* Tensors of one list: offsets, ids, weights; -1: not there. */
typedef struct list_tensors {
  int part[DFM_LIST_ARRAYS];
} list_tensors;

/* What a thread makes rows with. */
typedef struct maker {
  dfm_row_reader reader;
  char *row; /* one, of which a part is needed */
} maker;

/* Everything that is written. */
typedef struct output {
  parts written;
  int array[N_ARRAYS]; /* the tensors of a storage's arrays; -1: not there */
  list_tensors *list;  /* (F) */
  int encoder;         /* its first tensor */
  maker *maker;        /* (threads) */
} output;

/* ---- metadata */

static json_t *counts_json(const dfm_dataset *part, bool is_missing, int n) {
  json_t *list = json_array();
  for (int i = 0; i < n; i++)
    json_array_append_new(list,
                          json_integer((json_int_t)(is_missing ? part->counts[i].missing : part->counts[i].unknown)));
  return list;
}

static json_t *parts_json(const parts *written) {
  json_t *list = json_array();
  for (int i = 0; i < 2; i++) {
    const dfm_dataset *part = written->part[i];
    if (!part) continue;
    const int F = part->encoder->F, D = part->encoder->D;
    json_array_append_new(
        list, json_pack("{s:s, s:I, s:I, s:o, s:o}", "name", i == 0 ? "train" : "valid", "rows", (json_int_t)part->rows,
                        "positives", (json_int_t)part->positives, "unknown_cells", counts_json(part, false, F),
                        "missing_cells", counts_json(part, true, F + D)));
  }
  return list;
}

static json_t *describe(const parts *written, const dfm_data_settings *settings) {
  const dfm_encoder *encoder = written->part[0]->encoder;
  json_t *autos = json_array();
  for (int d = 0; d < encoder->D; d++) json_array_append_new(autos, json_boolean(encoder->number[d].is_auto));
  json_t *root = json_pack("{s:o, s:o}", "parts", parts_json(written), "transform_was_auto", autos);
  if (root && settings) {
    json_object_set_new(root, "split",
                        json_pack("{s:f, s:f, s:b}", "last", settings->valid_split, "random", settings->valid_random,
                                  "vocabulary_from_all", settings->vocabulary_from_all));
  }
  return root;
}

static dfm_status add_metadata(dfm_st_writer *writer, const parts *written, const dfm_dataset_origin *origin,
                               dfm_error *error) {
  char format[16];
  snprintf(format, sizeof format, "%d", DFM_DATASET_FORMAT);
  DFM_TRY(dfm_st_add_metadata(writer, "deepfm.dataset", format, error));
  json_t *root = describe(written, origin->settings);
  char *text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
  json_decref(root);
  if (!text) return dfm_fail(error, DFM_ERROR_MEMORY, "out of memory for the header of a dataset file");
  const dfm_status status = dfm_st_add_metadata(writer, "dataset", text, error);
  free(text);
  DFM_TRY(status);
  return dfm_st_add_metadata(writer, "recipe", origin->recipe_json ? origin->recipe_json : "{}", error);
}

/* ---- declarations */

/* The storage's arrays as tensors, in the order of declaration. */
static const struct {
  int array;
  const char *name;
  dfm_dtype dtype;
  int n_dims;
} TENSOR[N_ARRAYS] = {{DFM_ARRAY_FILE_ROW, "row", DFM_U64, 1},  {DFM_ARRAY_CATEGORY, "category", DFM_U32, 2},
                      {DFM_ARRAY_NUMBER, "number", DFM_F32, 2}, {DFM_ARRAY_LABEL, "label", DFM_F32, 1},
                      {DFM_ARRAY_WEIGHT, "weight", DFM_F32, 1}, {DFM_ARRAY_TRUTH, "truth", DFM_F32, 1}};

static size_t array_row_bytes(const dfm_storage *storage, int array) {
  size_t row_bytes;
  (void)dfm_storage_array(storage, array, 0, &row_bytes);
  return row_bytes;
}

/* Whether all rows have the array. */
static bool has_array(const parts *written, int array) {
  bool has = true;
  for (int i = 0; i < 2 && written->part[i]; i++) {
    has &= array_row_bytes(written->part[i]->storage, array) > 0;
    if (array == DFM_ARRAY_LABEL) has &= dfm_dataset_has_label(written->part[i]);
  }
  return has;
}

static dfm_status declare_arrays(dfm_st_writer *writer, output *out, int64_t rows, dfm_error *error) {
  for (int i = 0; i < N_ARRAYS; i++) {
    const int array = TENSOR[i].array;
    const size_t row_bytes = array_row_bytes(out->written.part[0]->storage, array);
    const uint64_t shape[2] = {(uint64_t)rows, row_bytes / dfm_dtype_size(TENSOR[i].dtype)};
    out->array[array] = -1;
    if (!has_array(&out->written, array)) continue;
    DFM_TRY(
        dfm_st_add_tensor(writer, TENSOR[i].name, TENSOR[i].dtype, TENSOR[i].n_dims, shape, &out->array[array], error));
  }
  return DFM_OK;
}

static uint64_t count_items(const dfm_dataset *part, int f) {
  return part ? (uint64_t)dfm_dataset_cells(part, f) : 0;
}

static dfm_status declare_list(dfm_st_writer *writer, output *out, int f, int64_t rows, dfm_error *error) {
  static const char *const names[DFM_LIST_ARRAYS] = {"offsets", "ids", "weights"};
  static const dfm_dtype dtypes[DFM_LIST_ARRAYS] = {DFM_U64, DFM_U32, DFM_F32};
  const dfm_dataset *const *part = out->written.part;
  const uint64_t items = count_items(part[0], f) + count_items(part[1], f);
  const uint64_t shape[DFM_LIST_ARRAYS] = {(uint64_t)rows + 1, items, items};
  for (int i = 0; i < DFM_LIST_ARRAYS; i++) {
    dfm_text name = {0};
    out->list[f].part[i] = -1;
    if (i == 2 && !part[0]->storage->list[f].has_weights) continue;
    DFM_TRY(dfm_text_printf(&name, error, "list.%s.%s", part[0]->encoder->category[f].name, names[i]));
    const dfm_status status =
        dfm_st_add_tensor(writer, name.bytes, dtypes[i], 1, &shape[i], &out->list[f].part[i], error);
    free(name.bytes);
    DFM_TRY(status);
  }
  return DFM_OK;
}

/* ---- arrays */

/* Rows [row, row + n) of both parts, one behind the other, of which the first part has some: as the tensor has them. */
static dfm_status make_rows(const output *out, int array, int64_t row, int64_t n, maker *with, char *to,
                            dfm_error *error) {
  for (int i = 0; i < 2 && n > 0; i++) {
    const dfm_dataset *part = out->written.part[i];
    const int64_t here = row < part->rows ? (n < part->rows - row ? n : part->rows - row) : 0, at = part->first + row;
    if (here > 0 && part->storage->packed) {
      DFM_TRY(dfm_storage_make(part->storage, array, at, here, &with->reader, to, error));
    } else if (here > 0) {
      size_t size;
      const char *bytes = dfm_storage_array(part->storage, array, at, &size);
      memcpy(to, bytes, (size_t)here * size);
    }
    to += (size_t)here * array_row_bytes(part->storage, array);
    row = row + here - part->rows;
    n -= here;
  }
  return DFM_OK;
}

/* What was read of mapped rows is given back in pieces of a pass: those that end among the rows [row, row + n) of both
 * parts, one behind the other. */
static void give_back(const output *out, int64_t row, int64_t n) {
  int64_t from = row / DFM_SCAN_ROWS * DFM_SCAN_ROWS, end = (row + n) / DFM_SCAN_ROWS * DFM_SCAN_ROWS;
  for (int i = 0; i < 2 && out->written.part[i]; i++) {
    const dfm_dataset *part = out->written.part[i];
    const int64_t first = from > 0 ? from : 0, last = end < part->rows ? end : part->rows;
    if (!part->storage->packed && last > first) dfm_dataset_spent(part, first, last - first);
    from -= part->rows;
    end -= part->rows;
  }
}

/* Bytes [from, from + n) of an array: whole rows, and at the ends parts of rows. */
static dfm_status make_array(const output *out, int array, uint64_t from, size_t n, maker *with, char *to,
                             dfm_error *error) {
  const size_t size = array_row_bytes(out->written.part[0]->storage, array);
  const int64_t first = (int64_t)(from / size);
  int64_t row = first;
  for (size_t skip = from % size; n > 0; skip = 0) {
    size_t made = n / size * size;
    if (skip > 0 || made == 0) {
      made = n < size - skip ? n : size - skip;
      DFM_TRY(make_rows(out, array, row++, 1, with, with->row, error));
      memcpy(to, with->row + skip, made);
    } else {
      DFM_TRY(make_rows(out, array, row, (int64_t)(made / size), with, to, error));
      row += (int64_t)(made / size);
    }
    to += made;
    n -= made;
  }
  give_back(out, first, row - first);
  return DFM_OK;
}

/* ---- lists */

/* Where rows begin, counted from the first part's first item; of the second part those behind its first row. */
static void make_offsets(const parts *written, int f, uint64_t row, size_t n, uint64_t *to) {
  for (const uint64_t end = row + n; row < end; row++) {
    const uint64_t train_rows = (uint64_t)written->part[0]->rows;
    const bool is_second = row > train_rows;
    const dfm_dataset *part = written->part[is_second];
    const uint64_t *offsets = part->storage->list[f].offsets + part->first;
    *to++ =
        offsets[row - (is_second ? train_rows : 0)] - offsets[0] + (is_second ? count_items(written->part[0], f) : 0);
  }
}

/* Bytes of ids or weights, both of four. */
static void make_items(const parts *written, int f, int array, uint64_t from, size_t n, char *to) {
  for (int i = 0; i < 2 && n > 0; i++) {
    const dfm_dataset *part = written->part[i];
    const dfm_list *list = &part->storage->list[f];
    const char *bytes = array == 1 ? (const char *)list->ids : (const char *)list->weights;
    const uint64_t size = count_items(part, f) * sizeof *list->ids;
    const size_t here = from < size ? (n < size - from ? n : (size_t)(size - from)) : 0;
    const uint64_t at = list->offsets[part->first] * sizeof *list->ids + from;
    if (here > 0) memcpy(to, bytes + at, here);
    if (here > 0 && !part->storage->file) dfm_spill_spent(&list->spill[array], at, here);
    to += here;
    n -= here;
    from = from + here - size;
  }
}

/* ---- the whole */

static dfm_status make_tensor(void *context, int thread, int tensor, uint64_t from, size_t n, void *to,
                              dfm_error *error) {
  const output *out = context;
  const dfm_encoder *encoder = out->written.part[0]->encoder;
  size_t size;
  const char *bytes = dfm_encoder_tensor(encoder, out->encoder, tensor, &size);
  if (bytes) {
    memcpy(to, bytes + from, n);
    dfm_encoder_spent(encoder, bytes + from, n);
    return DFM_OK;
  }
  for (int i = 0; i < N_ARRAYS; i++)
    if (out->array[i] == tensor) return make_array(out, i, from, n, &out->maker[thread], to, error);
  for (int f = 0; f < encoder->F; f++) {
    const int *part = out->list[f].part;
    if (!encoder->category[f].is_list) continue;
    if (part[0] == tensor) make_offsets(&out->written, f, from / sizeof(uint64_t), n / sizeof(uint64_t), to);
    for (int i = 1; i < DFM_LIST_ARRAYS; i++)
      if (part[i] == tensor) make_items(&out->written, f, i, from, n, to);
  }
  return DFM_OK;
}

/* Rows of a file are checked before several threads read them. */
static dfm_status check_rows(const parts *written, dfm_error *error) {
  for (int i = 0; i < 2 && written->part[i]; i++) {
    const dfm_dataset *part = written->part[i];
    dfm_scan scan = {.dataset = part, .end = part->storage->file ? part->rows : 0};
    do DFM_TRY(dfm_scan_next(&scan, error));
    while (scan.n > 0);
  }
  return DFM_OK;
}

static dfm_status declare_all(dfm_st_writer *writer, output *out, const dfm_dataset_origin *origin, dfm_error *error) {
  const parts *written = &out->written;
  const dfm_encoder *encoder = written->part[0]->encoder;
  const int64_t rows = written->part[0]->rows + (written->part[1] ? written->part[1]->rows : 0);
  DFM_TRY(add_metadata(writer, written, origin, error));
  DFM_TRY(dfm_encoder_declare(encoder, writer, &out->encoder, error));
  DFM_TRY(declare_arrays(writer, out, rows, error));
  for (int f = 0; f < encoder->F; f++)
    if (encoder->category[f].is_list) DFM_TRY(declare_list(writer, out, f, rows, error));
  return DFM_OK;
}

static dfm_status allocate(output *out, int threads, dfm_error *error) {
  const dfm_storage *storage = out->written.part[0]->storage;
  size_t most = 0;
  for (int i = 0; i < N_ARRAYS; i++)
    if (array_row_bytes(storage, i) > most) most = array_row_bytes(storage, i);
  DFM_TRY(dfm_alloc(&out->list, (size_t)storage->F, sizeof *out->list, error));
  DFM_TRY(dfm_alloc(&out->maker, (size_t)threads, sizeof *out->maker, error));
  for (int i = 0; i < threads; i++) DFM_TRY(dfm_alloc(&out->maker[i].row, most, 1, error));
  return DFM_OK;
}

static void release(output *out, int threads) {
  for (int i = 0; out->maker && i < threads; i++) {
    dfm_row_reader_clear(&out->maker[i].reader);
    free(out->maker[i].row);
  }
  free(out->maker);
  free(out->list);
}

/* The rows as the file has them, which has no name yet: what cannot be opened does not appear. */
static dfm_status reopen(dfm_st_writer *writer, const char *path, dfm_encoder *encoder, dfm_dataset *part[2],
                         dfm_error *error) {
  dfm_st_file *file;
  DFM_TRY(dfm_st_reopen(writer, path, &file, error));
  return file ? dfm_dataset_file_take(file, encoder, part, error) : DFM_OK;
}

dfm_status dfm_dataset_file_write(const char *path, const dfm_dataset *train, const dfm_dataset *valid,
                                  const dfm_dataset_origin *origin, dfm_pool *pool, dfm_dataset *written[2],
                                  uint64_t *digest, dfm_error *error) {
  output out = {.written = {{train, valid}}};
  dfm_dataset *part[2] = {NULL, NULL};
  dfm_st_writer *writer;
  DFM_TRY(check_rows(&out.written, error));
  DFM_TRY(dfm_st_writer_create(&writer, error));
  dfm_status status = allocate(&out, dfm_pool_threads(pool), error);
  if (status == DFM_OK) status = declare_all(writer, &out, origin, error);
  if (status == DFM_OK) status = dfm_st_begin(writer, path, error);
  if (status == DFM_OK) status = dfm_st_make_all(writer, pool, make_tensor, &out, error);
  if (status == DFM_OK && written) status = reopen(writer, path, train->encoder, part, error);
  release(&out, dfm_pool_threads(pool));
  if (status == DFM_OK)
    status = dfm_st_commit(writer, digest, error);
  else
    dfm_st_abort(writer);
  for (int i = 0; i < 2; i++) {
    if (status != DFM_OK)
      dfm_dataset_free(part[i]);
    else if (written)
      written[i] = part[i];
  }
  return status;
}
