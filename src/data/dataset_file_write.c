/* Dataset file, writing: training and validation rows with their encoder come in; one safetensors file goes out, array
 * by array, in pieces, so that memory does not grow with the rows. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "base/memory.h"
#include "data/dataset_file.h"
#include "data/storage.h"

typedef struct parts {
  const dfm_dataset *part[2]; /* training, validation (or NULL) */
} parts;

/* One array over the rows of both parts. */
typedef struct array {
  const char *name;
  dfm_dtype dtype;
  size_t width;           /* elements per row */
  const void *storage[2]; /* the parts' storage's array; NULL at [0]: not there */
  int tensor;
} array;

enum { N_ARRAYS = DFM_STORAGE_ARRAYS };

/* Tensors of one list: offsets, ids, weights; -1: not there. */
typedef struct list_tensors {
  int part[DFM_LIST_ARRAYS];
} list_tensors;

/* Everything that is written. */
typedef struct output {
  parts written;
  array arrays[N_ARRAYS];
  list_tensors *list; /* (F) */
  int encoder;        /* its first tensor */
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
  char hash[17];
  json_t *autos = json_array();
  for (int d = 0; d < encoder->D; d++) json_array_append_new(autos, json_boolean(encoder->number[d].is_auto));
  snprintf(hash, sizeof hash, "%016" PRIx64, dfm_encoder_hash(encoder));
  json_t *root =
      json_pack("{s:s, s:o, s:o}", "encoder_hash", hash, "parts", parts_json(written), "transform_was_auto", autos);
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

/* ---- arrays */

static void list_arrays(const parts *written, array arrays[N_ARRAYS]) {
  const dfm_dataset *train = written->part[0], *valid = written->part[1];
  const dfm_storage *a = train->storage, *b = valid ? valid->storage : a;
  const bool has_label = dfm_dataset_has_label(train) && (!valid || dfm_dataset_has_label(valid));
  const bool has_truth = a->has.truth && b->has.truth;
  const array all[N_ARRAYS] = {
      {"row", DFM_U64, 1, {a->file_row, b->file_row}, -1},
      {"category", DFM_U32, (size_t)a->F, {a->F > 0 ? a->category : NULL, b->category}, -1},
      {"number", DFM_F32, (size_t)a->D, {a->D > 0 ? a->number : NULL, b->number}, -1},
      {"label", DFM_F32, 1, {has_label ? a->label : NULL, b->label}, -1},
      {"weight", DFM_F32, 1, {a->has.weight && b->has.weight ? a->weight : NULL, b->weight}, -1},
      {"truth", DFM_F32, 1, {has_truth ? a->truth : NULL, b->truth}, -1}};
  for (int i = 0; i < N_ARRAYS; i++) arrays[i] = all[i];
}

static dfm_status declare(dfm_st_writer *writer, array arrays[N_ARRAYS], int64_t rows, dfm_error *error) {
  for (int i = 0; i < N_ARRAYS; i++) {
    const bool is_matrix = arrays[i].dtype == DFM_U32 || i == 2;
    const uint64_t shape[2] = {(uint64_t)rows, arrays[i].width};
    if (!arrays[i].storage[0]) continue;
    DFM_TRY(
        dfm_st_add_tensor(writer, arrays[i].name, arrays[i].dtype, is_matrix ? 2 : 1, shape, &arrays[i].tensor, error));
  }
  return DFM_OK;
}

static dfm_status write_array(dfm_st_writer *writer, const parts *written, const array *from, dfm_error *error) {
  const size_t row_bytes = from->width * dfm_dtype_size(from->dtype);
  for (int i = 0; i < 2; i++) {
    const dfm_dataset *part = written->part[i];
    if (!part) continue;
    /* No dfm_scan, which would have the other arrays read ahead too. */
    for (int64_t at = 0; at < part->rows; at += DFM_SCAN_ROWS) {
      const int64_t left = part->rows - at, n = left < DFM_SCAN_ROWS ? left : DFM_SCAN_ROWS;
      const char *rows = (const char *)from->storage[i] + (size_t)(part->first + at) * row_bytes;
      DFM_TRY(dfm_dataset_check(part, at, n, error));
      DFM_TRY(dfm_st_write(writer, rows, (size_t)n * row_bytes, error));
      dfm_dataset_spent(part, at, n);
    }
  }
  return DFM_OK;
}

/* ---- lists */

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

/* Where rows begin, counted from the first part's first item; of the second part those behind its first row. */
static dfm_status write_offsets(dfm_st_writer *writer, const parts *written, int f, dfm_error *error) {
  enum { PIECE = 1024 };
  uint64_t piece[PIECE], base = 0;
  DFM_TRY(dfm_st_write(writer, &base, sizeof base, error));
  for (int i = 0; i < 2 && written->part[i]; i++) {
    const dfm_dataset *part = written->part[i];
    const uint64_t *offsets = part->storage->list[f].offsets + part->first;
    for (int64_t at = 0; at < part->rows; at += PIECE) {
      const int64_t n = part->rows - at < PIECE ? part->rows - at : PIECE;
      for (int64_t k = 0; k < n; k++) piece[k] = base + offsets[at + k + 1] - offsets[0];
      DFM_TRY(dfm_st_write(writer, piece, (size_t)n * sizeof *piece, error));
    }
    base += count_items(part, f);
  }
  return DFM_OK;
}

/* Ids or weights, both of four bytes. */
static dfm_status write_items(dfm_st_writer *writer, const parts *written, int f, bool are_weights, dfm_error *error) {
  enum { ITEM_BYTES = 4 };
  for (int i = 0; i < 2 && written->part[i]; i++) {
    const dfm_dataset *part = written->part[i];
    const dfm_list *list = &part->storage->list[f];
    const char *bytes = are_weights ? (const char *)list->weights : (const char *)list->ids;
    for (int64_t at = 0; at < part->rows; at += DFM_STORAGE_PASS_ROWS) {
      const int64_t left = part->rows - at, n = left < DFM_STORAGE_PASS_ROWS ? left : DFM_STORAGE_PASS_ROWS;
      const uint64_t *offsets = list->offsets + part->first + at;
      if (offsets[n] > offsets[0])
        DFM_TRY(dfm_st_write(writer, bytes + offsets[0] * ITEM_BYTES, (offsets[n] - offsets[0]) * ITEM_BYTES, error));
      dfm_storage_spent(part->storage, part->first + at, n);
    }
  }
  return DFM_OK;
}

/* ---- the whole */

static dfm_status write_tensor(dfm_st_writer *writer, const output *out, int tensor, dfm_error *error) {
  const dfm_encoder *encoder = out->written.part[0]->encoder;
  bool is_encoders;
  DFM_TRY(dfm_encoder_write(encoder, writer, out->encoder, tensor, &is_encoders, error));
  for (int i = 0; i < N_ARRAYS && !is_encoders; i++)
    if (out->arrays[i].tensor == tensor) return write_array(writer, &out->written, &out->arrays[i], error);
  for (int f = 0; f < encoder->F && !is_encoders; f++) {
    const int *part = out->list[f].part;
    if (!encoder->category[f].is_list) continue;
    if (part[0] == tensor) return write_offsets(writer, &out->written, f, error);
    if (part[1] == tensor || part[2] == tensor) return write_items(writer, &out->written, f, part[2] == tensor, error);
  }
  return DFM_OK;
}

static dfm_status write_all(dfm_st_writer *writer, const char *path, output *out, const dfm_dataset_origin *origin,
                            dfm_error *error) {
  const parts *written = &out->written;
  const dfm_encoder *encoder = written->part[0]->encoder;
  const int64_t rows = written->part[0]->rows + (written->part[1] ? written->part[1]->rows : 0);
  DFM_TRY(add_metadata(writer, written, origin, error));
  DFM_TRY(dfm_encoder_declare(encoder, writer, &out->encoder, error));
  list_arrays(written, out->arrays);
  DFM_TRY(declare(writer, out->arrays, rows, error));
  for (int f = 0; f < encoder->F; f++)
    if (encoder->category[f].is_list) DFM_TRY(declare_list(writer, out, f, rows, error));
  DFM_TRY(dfm_st_begin(writer, path, error));
  for (int i = 0; dfm_st_order(writer, i) >= 0; i++) DFM_TRY(write_tensor(writer, out, dfm_st_order(writer, i), error));
  return DFM_OK;
}

dfm_status dfm_dataset_file_write(const char *path, const dfm_dataset *train, const dfm_dataset *valid,
                                  const dfm_dataset_origin *origin, uint64_t *digest, dfm_error *error) {
  output out = {.written = {{train, valid}}};
  dfm_st_writer *writer;
  DFM_TRY(dfm_st_writer_create(&writer, error));
  dfm_status status = dfm_alloc(&out.list, (size_t)train->encoder->F, sizeof *out.list, error);
  if (status == DFM_OK) status = write_all(writer, path, &out, origin, error);
  free(out.list);
  if (status == DFM_OK) return dfm_st_commit(writer, digest, error);
  dfm_st_abort(writer);
  return status;
}
