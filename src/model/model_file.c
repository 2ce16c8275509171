/* Model file: the parts of a model come in and are written as one safetensors file; a file comes in, is checked as a
 * whole, and a model goes out. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/number.h"
#include "data/age.h"
#include "model/model.h"

enum { DFM_ROWS_PER_WRITE = 1024 };

/* ---- writing */

static void table_name(char out[DFM_TENSOR_NAME_BYTES], const dfm_encoder *encoder, int f) {
  snprintf(out, DFM_TENSOR_NAME_BYTES, "table.%s", encoder->category[f].name);
}

void dfm_age_name(char out[DFM_TENSOR_NAME_BYTES], const dfm_encoder *encoder, int f) {
  snprintf(out, DFM_TENSOR_NAME_BYTES, "vocabulary.%s.age", encoder->category[f].name);
}

static int row_weights(const dfm_net *net, int f) {
  return net->table[f].first + net->table[f].width;
}

/* Indices that the writer gave to the tensors declared, by owner. */
typedef struct dfm_declared {
  int encoder;                /* the encoder's first */
  int *table, *param, *extra; /* (F) -1 where the net gives the field no row; (n_params); (n_extra) */
} dfm_declared;

static dfm_status declare(dfm_st_writer *writer, const dfm_model_parts *parts, dfm_declared *declared,
                          dfm_error *error) {
  const dfm_net *net = parts->net;
  char number[24], *yaml = NULL, name[DFM_TENSOR_NAME_BYTES];
  snprintf(number, sizeof number, "%d", DFM_MODEL_FORMAT);
  DFM_TRY(dfm_st_add_metadata(writer, "deepfm.format", number, error));
  DFM_TRY(dfm_recipe_to_yaml(parts->recipe, &yaml, error));
  const dfm_status status = dfm_st_add_metadata(writer, "recipe", yaml, error);
  free(yaml);
  DFM_TRY(status);
  DFM_TRY(dfm_st_add_metadata(writer, "metrics", parts->metrics_json, error));
  if (parts->position_json) DFM_TRY(dfm_st_add_metadata(writer, "checkpoint", parts->position_json, error));
  if (parts->state_steps > 0) {
    snprintf(number, sizeof number, "%lld", (long long)parts->state_steps);
    DFM_TRY(dfm_st_add_metadata(writer, "state.steps", number, error));
  }
  DFM_TRY(dfm_encoder_declare(parts->encoder, writer, &declared->encoder, error));
  for (int f = 0; f < net->F; f++) {
    const uint64_t shape[2] = {dfm_encoder_rows(parts->encoder, f), (uint64_t)row_weights(net, f)};
    declared->table[f] = -1;
    if (shape[1] == 0) continue;
    table_name(name, parts->encoder, f);
    DFM_TRY(dfm_st_add_tensor(writer, name, DFM_F32, 2, shape, &declared->table[f], error));
  }
  for (int i = 0; i < net->n_params; i++) {
    const dfm_param *p = &net->param[i];
    const uint64_t shape[2] = {(uint64_t)p->rows, (uint64_t)p->cols};
    DFM_TRY(dfm_st_add_tensor(writer, p->name, DFM_F32, p->cols > 0 ? 2 : 1, shape, &declared->param[i], error));
  }
  for (size_t i = 0; i < parts->n_extra; i++) {
    const dfm_extra_tensor *e = &parts->extra[i];
    DFM_TRY(dfm_st_add_tensor(writer, e->name, e->dtype, e->n_dims, e->shape, &declared->extra[i], error));
  }
  return DFM_OK;
}

/* Rows are caught up into a copy, some at a time, so that saving needs no second table and changes none. */
static dfm_status write_table(dfm_st_writer *writer, const dfm_model_parts *parts, int f, float *room,
                              dfm_error *error) {
  const size_t n = (size_t)row_weights(parts->net, f);
  const uint32_t V = dfm_encoder_rows(parts->encoder, f);
  float scratch[3 * (1 + DFM_MAX_ROW_FACTORS)];
  for (uint32_t id = 0; id < V; id += DFM_ROWS_PER_WRITE) {
    const uint32_t rows = V - id < DFM_ROWS_PER_WRITE ? V - id : DFM_ROWS_PER_WRITE;
    for (uint32_t i = 0; i < rows; i++) {
      memcpy(room + i * n, parts->rows.row(parts->rows.context, f, id + i, scratch), n * sizeof(float));
    }
    DFM_TRY(dfm_st_write(writer, room, rows * n * sizeof(float), error));
  }
  return DFM_OK;
}

static int find(const int *tensors, size_t n, int tensor) {
  for (size_t i = 0; i < n; i++)
    if (tensors[i] == tensor) return (int)i;
  return -1;
}

static dfm_status write_tensor(dfm_st_writer *writer, const dfm_model_parts *parts, int tensor,
                               const dfm_declared *declared, float *room, dfm_error *error) {
  bool is_encoders;
  DFM_TRY(dfm_encoder_write(parts->encoder, writer, declared->encoder, tensor, &is_encoders, error));
  if (is_encoders) return DFM_OK;
  const int f = find(declared->table, (size_t)parts->net->F, tensor);
  if (f >= 0) return write_table(writer, parts, f, room, error);
  const int i = find(declared->param, (size_t)parts->net->n_params, tensor);
  if (i >= 0) {
    const dfm_param *p = &parts->net->param[i];
    return dfm_st_write(writer, parts->weight + p->offset, p->n * sizeof(float), error);
  }
  const dfm_extra_tensor *e = &parts->extra[find(declared->extra, parts->n_extra, tensor)];
  return dfm_st_write(writer, e->data, e->shape[0] * (e->n_dims > 1 ? e->shape[1] : 1) * dfm_dtype_size(e->dtype),
                      error);
}

static dfm_status write_all(dfm_st_writer *writer, const char *path, const dfm_model_parts *parts, int *tensors,
                            float *room, dfm_error *error) {
  dfm_declared declared = {.table = tensors, .param = tensors + parts->net->F};
  declared.extra = declared.param + parts->net->n_params;
  DFM_TRY(declare(writer, parts, &declared, error));
  DFM_TRY(dfm_st_begin(writer, path, error));
  for (int i = 0; dfm_st_order(writer, i) >= 0; i++) {
    DFM_TRY(write_tensor(writer, parts, dfm_st_order(writer, i), &declared, room, error));
  }
  return DFM_OK;
}

dfm_status dfm_model_write(const char *path, const dfm_model_parts *parts, dfm_error *error) {
  const dfm_net *net = parts->net;
  dfm_st_writer *writer = NULL;
  int *tensors = NULL;
  float *room = NULL;
  size_t widest = 1;
  dfm_status status;
  for (int f = 0; f < net->F; f++)
    if ((size_t)row_weights(net, f) > widest) widest = (size_t)row_weights(net, f);
  DFM_TRY_GOTO(status, dfm_alloc(&room, DFM_ROWS_PER_WRITE * widest, sizeof *room, error), done);
  DFM_TRY_GOTO(status,
               dfm_alloc(&tensors, (size_t)net->F + (size_t)net->n_params + parts->n_extra, sizeof *tensors, error),
               done);
  DFM_TRY_GOTO(status, dfm_st_writer_create(&writer, error), done);
  DFM_TRY_GOTO(status, write_all(writer, path, parts, tensors, room, error), done);
  status = dfm_st_commit(writer, NULL, error);
  writer = NULL;
done:
  dfm_st_abort(writer);
  free(tensors);
  free(room);
  return status;
}

/* ---- reading */

static dfm_status check_finite(const char *path, const dfm_tensor *tensor, dfm_error *error) {
  const float *values = tensor->data;
  const size_t n = tensor->size_bytes / sizeof *values;
  for (size_t i = 0; i < n; i++) {
    if (!isfinite(values[i])) {
      return dfm_fail(error, DFM_ERROR_FORMAT,
                      "%s: tensor '%s' has %g at place %zu; the file is damaged or its training diverged", path,
                      tensor->name, (double)values[i], i);
    }
  }
  return DFM_OK;
}

dfm_status dfm_model_read_weights(const dfm_st_file *file, const char *path, const dfm_net *net, bool needs_all,
                                  float *weight, int *found, dfm_error *error) {
  for (int i = 0; i < net->n_params; i++) {
    const dfm_param *param = &net->param[i];
    const uint64_t shape[2] = {(uint64_t)param->rows, (uint64_t)param->cols};
    const dfm_tensor *tensor;
    if (!needs_all && !dfm_st_tensor(file, param->name)) continue;
    DFM_TRY(dfm_st_need(file, param->name, DFM_F32, param->cols > 0 ? 2 : 1, shape, &tensor, error));
    DFM_TRY(check_finite(path, tensor, error));
    memcpy(weight + param->offset, tensor->data, tensor->size_bytes);
    if (found) ++*found;
  }
  return DFM_OK;
}

dfm_status dfm_model_read_table(const dfm_st_file *file, const char *path, const dfm_net *net,
                                const dfm_encoder *encoder, int f, bool needs_it, const float **table,
                                dfm_error *error) {
  const uint64_t shape[2] = {dfm_encoder_rows(encoder, f), (uint64_t)row_weights(net, f)};
  char name[DFM_TENSOR_NAME_BYTES];
  const dfm_tensor *tensor;
  *table = NULL;
  table_name(name, encoder, f);
  if (shape[1] == 0 || (!needs_it && !dfm_st_tensor(file, name))) return DFM_OK;
  DFM_TRY(dfm_st_need(file, name, DFM_F32, 2, shape, &tensor, error));
  DFM_TRY(check_finite(path, tensor, error));
  *table = tensor->data;
  return DFM_OK;
}

static dfm_status check_format(const dfm_st_file *file, const char *path, dfm_error *error) {
  const char *text = dfm_st_metadata(file, "deepfm.format");
  long long format;
  if (!text) {
    return dfm_fail(error, DFM_ERROR_FORMAT,
                    "%s is a safetensors file but no deepfm model; give a file that deepfm train wrote", path);
  }
  if (!dfm_parse_int64(text, strlen(text), &format) || format < 1) {
    return dfm_fail(error, DFM_ERROR_FORMAT, "%s has no valid format version ('%.20s'); the file is damaged", path,
                    text);
  }
  if (format > DFM_MODEL_FORMAT) {
    return dfm_fail(error, DFM_ERROR_FORMAT,
                    "%s has model format %lld but this deepfm reads up to %d; use a newer deepfm", path, format,
                    DFM_MODEL_FORMAT);
  }
  return DFM_OK;
}

static dfm_status copy_metadata(const dfm_st_file *file, const char *path, const char *key, char **copy,
                                dfm_error *error) {
  const char *value = dfm_st_metadata(file, key);
  if (!value) return dfm_fail(error, DFM_ERROR_FORMAT, "%s lacks its %s; the file is damaged", path, key);
  return dfm_copy_text(copy, value, error);
}

dfm_status dfm_model_read_steps(const dfm_st_file *file, const char *path, int64_t *steps, dfm_error *error) {
  const char *text = dfm_st_metadata(file, "state.steps");
  long long value = 0;
  if (text && (!dfm_parse_int64(text, strlen(text), &value) || value < 1 || value >= UINT32_MAX)) {
    return dfm_fail(error, DFM_ERROR_FORMAT, "%s has no valid number of steps ('%.20s'); the file is damaged", path,
                    text);
  }
  *steps = value;
  return DFM_OK;
}

static dfm_status read_ages(const dfm_st_file *file, dfm_model *model, dfm_error *error) {
  const dfm_encoder *encoder = model->encoder;
  DFM_TRY(dfm_alloc(&model->age, (size_t)encoder->F, sizeof *model->age, error));
  for (int f = 0; f < encoder->F; f++) {
    const uint64_t shape[1] = {dfm_ages_count(encoder, f)};
    char name[DFM_TENSOR_NAME_BYTES];
    const dfm_tensor *tensor;
    if (shape[0] == 0) continue;
    dfm_age_name(name, encoder, f);
    DFM_TRY(dfm_st_need(file, name, DFM_U32, 1, shape, &tensor, error));
    model->age[f] = tensor->data;
  }
  return DFM_OK;
}

/* `*file` becomes NULL once the encoder has taken it over. */
static dfm_status load(dfm_st_file **file, const char *path, dfm_model *model, dfm_error *error) {
  DFM_TRY(check_format(*file, path, error));
  if (!dfm_st_has_checksum(*file)) {
    return dfm_fail(error, DFM_ERROR_FORMAT,
                    "%s has no checksums, which deepfm writes into every model; the file is damaged", path);
  }
  DFM_TRY(dfm_st_verify(*file, error));
  DFM_TRY(copy_metadata(*file, path, "recipe", &model->recipe_yaml, error));
  DFM_TRY(copy_metadata(*file, path, "metrics", &model->metrics_json, error));
  DFM_TRY(copy_metadata(*file, path, "schema", &model->schema_yaml, error));
  DFM_TRY(dfm_recipe_create(&model->recipe, error));
  DFM_TRY(dfm_recipe_parse(model->recipe, model->recipe_yaml, path, error));
  DFM_TRY(dfm_encoder_load(*file, &model->encoder, error));
  const dfm_st_file *owned = *file;
  *file = NULL;
  DFM_TRY(dfm_net_build(model->recipe, model->encoder, &model->net, error));
  DFM_TRY(dfm_alloc(&model->weight, model->net->n_weights, sizeof *model->weight, error));
  DFM_TRY(dfm_model_read_weights(owned, path, model->net, true, model->weight, NULL, error));
  DFM_TRY(dfm_alloc(&model->table, (size_t)model->net->F, sizeof *model->table, error));
  for (int f = 0; f < model->net->F; f++) {
    DFM_TRY(dfm_model_read_table(owned, path, model->net, model->encoder, f, true, &model->table[f], error));
  }
  DFM_TRY(dfm_model_read_steps(owned, path, &model->state_steps, error));
  return read_ages(owned, model, error);
}

dfm_status dfm_model_load(const char *path, dfm_model **out, dfm_error *error) {
  dfm_st_file *file = NULL;
  dfm_model *model = NULL;
  dfm_status status;
  DFM_TRY(dfm_alloc(&model, 1, sizeof *model, error));
  DFM_TRY_GOTO(status, dfm_st_open(path, &file, error), fail);
  DFM_TRY_GOTO(status, load(&file, path, model, error), fail);
  *out = model;
  return DFM_OK;
fail:
  dfm_st_close(file);
  dfm_model_free(model);
  return status;
}
