/* Dataset file, mapping: an open file's tensors come in; their shapes are checked, and a storage's arrays and lists go
 * out, which are the tensors themselves. */
#include <stdlib.h>

#include "base/memory.h"
#include "data/dataset_file.h"
#include "data/storage.h"

/* ---- arrays */

typedef struct array {
  const char *name;
  dfm_dtype dtype;
  uint64_t width;   /* elements per row; 0: a vector */
  const void *data; /* NULL: not there */
} array;

/* The tensor of that name with a row for each of the first one's; `*rows` is -1 before there is one. Its rows will be
 * asked for before they are read (dataset.h). */
static dfm_status find_array(const dfm_st_file *file, array *wanted, int64_t *rows, dfm_error *error) {
  const dfm_tensor *tensor = dfm_st_tensor(file, wanted->name);
  if (!tensor) return DFM_OK;
  if (*rows < 0) *rows = (int64_t)tensor->shape[0];
  const uint64_t shape[2] = {(uint64_t)*rows, wanted->width};
  DFM_TRY(dfm_st_need(file, wanted->name, wanted->dtype, wanted->width > 0 ? 2 : 1, shape, &tensor, error));
  wanted->data = tensor->data;
  dfm_st_scattered(file, tensor->data, tensor->size_bytes);
  return DFM_OK;
}

static dfm_status map_rows(dfm_st_file *file, const dfm_encoder *encoder, dfm_storage *storage, dfm_error *error) {
  array arrays[DFM_STORAGE_ARRAYS] = {[DFM_ARRAY_CATEGORY] = {"category", DFM_U32, (uint64_t)encoder->F, NULL},
                                      [DFM_ARRAY_NUMBER] = {"number", DFM_F32, (uint64_t)encoder->D, NULL},
                                      [DFM_ARRAY_LABEL] = {"label", DFM_F32, 0, NULL},
                                      [DFM_ARRAY_WEIGHT] = {"weight", DFM_F32, 0, NULL},
                                      [DFM_ARRAY_TRUTH] = {"truth", DFM_F32, 0, NULL},
                                      [DFM_ARRAY_FILE_ROW] = {"row", DFM_U64, 0, NULL}};
  int64_t rows = -1;
  for (int i = 0; i < DFM_STORAGE_ARRAYS; i++) DFM_TRY(find_array(file, &arrays[i], &rows, error));
  if (rows < 1 || (encoder->F > 0 && !arrays[DFM_ARRAY_CATEGORY].data) ||
      (encoder->D > 0 && !arrays[DFM_ARRAY_NUMBER].data))
    return dfm_dataset_file_damaged(file, "it lacks rows", error);
  storage->category = (uint32_t *)(uintptr_t)arrays[DFM_ARRAY_CATEGORY].data;
  storage->number = (float *)(uintptr_t)arrays[DFM_ARRAY_NUMBER].data;
  storage->label = (float *)(uintptr_t)arrays[DFM_ARRAY_LABEL].data;
  storage->weight = (float *)(uintptr_t)arrays[DFM_ARRAY_WEIGHT].data;
  storage->truth = (float *)(uintptr_t)arrays[DFM_ARRAY_TRUTH].data;
  storage->file_row = (uint64_t *)(uintptr_t)arrays[DFM_ARRAY_FILE_ROW].data;
  storage->has = (dfm_storage_has){storage->label != NULL, storage->weight != NULL, storage->truth != NULL,
                                   storage->file_row != NULL};
  storage->rows = storage->capacity = rows;
  storage->file = dfm_st_retain(file);
  return DFM_OK;
}

/* ---- lists */

/* Tensor "list.NAME.PART" (n elements; UINT64_MAX: any number). */
static dfm_status map_part(const dfm_st_file *file, const char *name, const char *part, dfm_dtype dtype, uint64_t n,
                           const dfm_tensor **tensor, dfm_error *error) {
  dfm_text text = {0};
  DFM_TRY(dfm_text_printf(&text, error, "list.%s.%s", name, part));
  const dfm_status status = dfm_st_need(file, text.bytes, dtype, n == UINT64_MAX ? 0 : 1, &n, tensor, error);
  free(text.bytes);
  if (status == DFM_OK) dfm_st_scattered(file, (*tensor)->data, (*tensor)->size_bytes);
  return status;
}

/* What lies between the first offset and the last is checked with the rows. */
static dfm_status map_list(const dfm_st_file *file, const dfm_category_field *field, int64_t rows, dfm_list *list,
                           dfm_error *error) {
  const dfm_tensor *offsets, *ids, *weights;
  DFM_TRY(map_part(file, field->name, "offsets", DFM_U64, (uint64_t)rows + 1, &offsets, error));
  DFM_TRY(map_part(file, field->name, "ids", DFM_U32, UINT64_MAX, &ids, error));
  list->offsets = (uint64_t *)(uintptr_t)offsets->data;
  list->ids = (uint32_t *)(uintptr_t)ids->data;
  list->items = list->capacity = ids->size_bytes / sizeof *list->ids;
  if (list->has_weights) {
    DFM_TRY(map_part(file, field->name, "weights", DFM_F32, list->items, &weights, error));
    list->weights = (float *)(uintptr_t)weights->data;
  }
  if (list->offsets[0] == 0 && list->offsets[rows] == list->items) return DFM_OK;
  return dfm_dataset_file_damaged(file, "a list's items do not fit its rows", error);
}

static dfm_status map_lists(const dfm_st_file *file, const dfm_encoder *encoder, dfm_storage *storage,
                            dfm_error *error) {
  for (int f = 0; f < encoder->F; f++) {
    if (encoder->category[f].is_list)
      DFM_TRY(map_list(file, &encoder->category[f], storage->rows, &storage->list[f], error));
  }
  return DFM_OK;
}

dfm_status dfm_storage_map(dfm_storage *storage, dfm_st_file *file, const dfm_encoder *encoder, dfm_error *error) {
  DFM_TRY(map_rows(file, encoder, storage, error));
  return map_lists(file, encoder, storage, error);
}
