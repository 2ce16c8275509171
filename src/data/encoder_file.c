/* The encoder in a model file: an encoder comes in, metadata and tensors go out; and back, with everything checked that
 * will be an index. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/memory.h"
#include "data/buckets.h"
#include "data/encoder.h"
#include "data/vocabulary.h"

enum { TENSORS = 4 };
static const char *const SUFFIX[TENSORS] = {"offsets", "counts", "index", "bytes"};
static const dfm_dtype DTYPE[TENSORS] = {DFM_U64, DFM_U64, DFM_U32, DFM_U8};

/* "vocabulary.NAME.SUFFIX"; free() `*name`. */
static dfm_status tensor_name(const dfm_category_field *field, int k, char **name, dfm_error *error) {
  dfm_text text = {0};
  DFM_TRY(dfm_text_printf(&text, error, "vocabulary.%s.%s", field->name, SUFFIX[k]));
  *name = text.bytes;
  return DFM_OK;
}

/* ---- writing */

/* The settings by key: where the C struct has them, and what they may be. */
static const struct {
  const char *key;
  size_t offset;
  int minimum, maximum;
} INTEGERS[] = {{"min_count", offsetof(dfm_field_settings, min_count), 0, INT_MAX},
                {"max_vocabulary", offsetof(dfm_field_settings, max_vocabulary), 0, INT_MAX},
                {"hash", offsetof(dfm_field_settings, hash), 0, INT_MAX},
                {"buckets", offsetof(dfm_field_settings, buckets), 0, INT_MAX},
                {"unknown", offsetof(dfm_field_settings, unknown), DFM_UNKNOWN_ROW, DFM_UNKNOWN_ERROR},
                {"order", offsetof(dfm_field_settings, order), DFM_ORDER_FREQUENCY, DFM_ORDER_SORTED},
                {"transform", offsetof(dfm_field_settings, transform), DFM_TRANSFORM_NONE, DFM_TRANSFORM_LOG2},
                {"into", offsetof(dfm_field_settings, into), 0, DFM_INTO_LINEAR | DFM_INTO_FM | DFM_INTO_DNN},
                {"width", offsetof(dfm_field_settings, width), 0, DFM_MAX_FIELD_WIDTH}};

/* Settings that a kind of field has no use for may be unset; they are written as they are and come back so. */
static json_t *settings_to_json(const dfm_field_settings *settings) {
  json_t *object = json_object();
  for (size_t i = 0; i < sizeof INTEGERS / sizeof *INTEGERS; i++) {
    int value;
    memcpy(&value, (const char *)settings + INTEGERS[i].offset, sizeof value);
    json_object_set_new(object, INTEGERS[i].key, json_integer(value));
  }
  json_object_set_new(object, "unknown_rate", json_real(settings->unknown_rate));
  json_object_set_new(object, "missing", isnan(settings->missing) ? json_null() : json_real(settings->missing));
  return object;
}

static json_t *category_to_json(const dfm_category_field *field) {
  json_t *object = json_object();
  json_object_set_new(object, "name", json_string(field->name));
  json_object_set_new(object, "values", json_integer((json_int_t)field->vocabulary.n));
  if (field->distinct >= 0) json_object_set_new(object, "distinct", json_integer(field->distinct));
  json_object_set_new(object, "cells", json_integer(field->cells));
  json_object_set_new(object, "unknown_rows", json_integer(field->unknown_rows));
  json_object_set_new(object, "missing_rows", json_integer(field->missing_rows));
  json_object_set_new(object, "settings", settings_to_json(&field->settings));
  return object;
}

static json_t *number_to_json(const dfm_number_field *field) {
  json_t *object = json_object();
  json_object_set_new(object, "name", json_string(field->name));
  json_object_set_new(object, "shift", json_real(field->shift));
  json_object_set_new(object, "scale", json_real(field->scale));
  json_object_set_new(object, "missing_rows", json_integer(field->missing_rows));
  json_object_set_new(object, "settings", settings_to_json(&field->settings));
  return object;
}

static dfm_status add_json(const dfm_encoder *encoder, dfm_st_writer *writer, dfm_error *error) {
  json_t *root = json_object(), *category = json_array(), *number = json_array();
  json_object_set_new(root, "rows", json_integer(encoder->rows));
  json_object_set_new(root, "synthetic", json_boolean(encoder->is_synthetic));
  for (int f = 0; f < encoder->F; f++) json_array_append_new(category, category_to_json(&encoder->category[f]));
  for (int d = 0; d < encoder->D; d++) json_array_append_new(number, number_to_json(&encoder->number[d]));
  json_object_set_new(root, "category", category);
  json_object_set_new(root, "number", number);
  char *text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
  json_decref(root);
  if (!text)
    return dfm_fail(error, DFM_ERROR_MEMORY, "there is no memory left to write the encoder of %d fields",
                    encoder->F + encoder->D);
  const dfm_status status = dfm_st_add_metadata(writer, "encoder", text, error);
  free(text);
  return status;
}

static size_t elements(const dfm_vocabulary *vocabulary, int k) {
  const uint64_t n[TENSORS] = {vocabulary->n + 1, vocabulary->n, vocabulary->index_size,
                               vocabulary->offsets[vocabulary->n]};
  return n[k];
}

static dfm_status add_tensor(const dfm_category_field *field, int k, dfm_st_writer *writer, int *tensor,
                             dfm_error *error) {
  const uint64_t shape[1] = {elements(&field->vocabulary, k)};
  char *name;
  DFM_TRY(tensor_name(field, k, &name, error));
  const dfm_status status = dfm_st_add_tensor(writer, name, DTYPE[k], 1, shape, tensor, error);
  free(name);
  return status;
}

dfm_status dfm_encoder_declare(const dfm_encoder *encoder, dfm_st_writer *writer, int *first_tensor, dfm_error *error) {
  char *yaml;
  DFM_TRY(dfm_schema_to_yaml(encoder->schema, false, &yaml, error));
  const dfm_status status = dfm_st_add_metadata(writer, "schema", yaml, error);
  dfm_string_free(yaml);
  DFM_TRY(status);
  DFM_TRY(add_json(encoder, writer, error));
  *first_tensor = -1;
  for (int f = 0; !encoder->is_synthetic && f < encoder->F; f++) {
    for (int k = 0; k < TENSORS && encoder->category[f].table == f; k++) {
      int tensor;
      DFM_TRY(add_tensor(&encoder->category[f], k, writer, &tensor, error));
      if (*first_tensor < 0) *first_tensor = tensor;
    }
  }
  return DFM_OK;
}

/* The i-th field that owns a vocabulary; NULL past the last. */
static const dfm_category_field *owner_at(const dfm_encoder *encoder, int i) {
  for (int f = i; i >= 0 && f < encoder->F && encoder->category[f].rank <= i; f++)
    if (encoder->category[f].table == f && encoder->category[f].rank == i) return &encoder->category[f];
  return NULL;
}

const void *dfm_encoder_tensor(const dfm_encoder *encoder, int first_tensor, int tensor, size_t *size_bytes) {
  const int i = first_tensor < 0 ? -1 : tensor - first_tensor, k = i < 0 ? 0 : i % TENSORS;
  const dfm_category_field *field = i < 0 ? NULL : owner_at(encoder, i / TENSORS);
  if (!field) return NULL;
  const dfm_vocabulary *vocabulary = &field->vocabulary;
  const void *const data[TENSORS] = {vocabulary->offsets, vocabulary->counts, vocabulary->index, vocabulary->bytes};
  *size_bytes = elements(vocabulary, k) * dfm_dtype_size(DTYPE[k]);
  return data[k];
}

void dfm_encoder_spent(const dfm_encoder *encoder, const void *bytes, size_t n) {
  if (encoder->file) dfm_st_spent(encoder->file, bytes, n);
}

dfm_status dfm_encoder_write(const dfm_encoder *encoder, dfm_st_writer *writer, int first_tensor, int tensor,
                             bool *mine, dfm_error *error) {
  size_t size_bytes;
  const void *data = dfm_encoder_tensor(encoder, first_tensor, tensor, &size_bytes);
  *mine = data != NULL;
  if (!*mine) return DFM_OK;
  DFM_TRY(dfm_st_write(writer, data, size_bytes, error));
  dfm_encoder_spent(encoder, data, size_bytes);
  return DFM_OK;
}

/* ---- reading */

static dfm_status fail_damaged(const char *what, const char *name, dfm_error *error) {
  return dfm_fail(error, DFM_ERROR_FORMAT,
                  "the model file's encoder is damaged: %s of '%s'; get the file again from where it was made", what,
                  name);
}

static bool get_count(const json_t *object, const char *key, int64_t *value) {
  const json_t *member = json_object_get(object, key);
  if (!json_is_integer(member) || json_integer_value(member) < 0) return false;
  *value = json_integer_value(member);
  return true;
}

static bool get_real(const json_t *object, const char *key, double *value) {
  const json_t *member = json_object_get(object, key);
  if (!json_is_number(member) || !isfinite(json_number_value(member))) return false;
  *value = json_number_value(member);
  return true;
}

static bool settings_from_json(const json_t *object, dfm_field_settings *settings) {
  for (size_t i = 0; i < sizeof INTEGERS / sizeof *INTEGERS; i++) {
    const json_t *member = json_object_get(object, INTEGERS[i].key);
    if (!json_is_integer(member)) return false;
    const json_int_t value = json_integer_value(member);
    if (value != -1 && (value < INTEGERS[i].minimum || value > INTEGERS[i].maximum)) return false;
    const int stored = (int)value;
    memcpy((char *)settings + INTEGERS[i].offset, &stored, sizeof stored);
  }
  settings->missing = (double)NAN;
  const json_t *missing = json_object_get(object, "missing");
  return get_real(object, "unknown_rate", &settings->unknown_rate) && settings->unknown_rate < 1 &&
         (json_is_null(missing) || get_real(object, "missing", &settings->missing));
}

static bool is_called(const json_t *object, const char *name) {
  const char *stored = json_string_value(json_object_get(object, "name"));
  return stored && strcmp(stored, name) == 0;
}

static bool category_from_json(const json_t *object, dfm_category_field *field) {
  int64_t values;
  if (json_object_get(object, "distinct") && !get_count(object, "distinct", &field->distinct)) return false;
  if (!is_called(object, field->name) || !get_count(object, "values", &values) || values > UINT32_MAX - 2 ||
      !get_count(object, "cells", &field->cells) || !get_count(object, "unknown_rows", &field->unknown_rows) ||
      !get_count(object, "missing_rows", &field->missing_rows) ||
      !settings_from_json(json_object_get(object, "settings"), &field->settings) || field->settings.unknown < 0 ||
      field->settings.into < 0 || field->settings.width < 0) {
    return false;
  }
  field->vocabulary.n = (uint64_t)values;
  return true;
}

static bool number_from_json(const json_t *object, dfm_number_field *field) {
  return is_called(object, field->name) && get_real(object, "shift", &field->shift) &&
         get_real(object, "scale", &field->scale) && get_count(object, "missing_rows", &field->missing_rows) &&
         settings_from_json(json_object_get(object, "settings"), &field->settings) && field->settings.transform >= 0;
}

static dfm_status fields_from_json(const json_t *root, dfm_encoder *encoder, dfm_error *error) {
  const json_t *category = json_object_get(root, "category"), *number = json_object_get(root, "number");
  const json_t *synthetic = json_object_get(root, "synthetic");
  if (!get_count(root, "rows", &encoder->rows) || !json_is_boolean(synthetic) ||
      json_array_size(category) != (size_t)encoder->F || json_array_size(number) != (size_t)encoder->D) {
    return fail_damaged("the list of fields does not fit the schema", "encoder", error);
  }
  encoder->is_synthetic = json_is_true(synthetic);
  for (int f = 0; f < encoder->F; f++) {
    if (!category_from_json(json_array_get(category, (size_t)f), &encoder->category[f])) {
      return fail_damaged("the settings", encoder->category[f].name, error);
    }
  }
  for (int f = 0; f < encoder->F; f++) {
    const dfm_field_settings *own = &encoder->category[f].settings,
                             *owners = &encoder->category[encoder->category[f].table].settings;
    if (own->unknown != owners->unknown || own->width != owners->width)
      return fail_damaged("the settings of a shared table", encoder->category[f].name, error);
  }
  for (int d = 0; d < encoder->D; d++) {
    if (!number_from_json(json_array_get(number, (size_t)d), &encoder->number[d])) {
      return fail_damaged("the settings", encoder->number[d].name, error);
    }
  }
  return DFM_OK;
}

/* Everything that a lookup follows: offsets ascend and end at the bytes' end, slots name values, and an empty slot ends
 * every search. */
static dfm_status check_vocabulary(const dfm_category_field *field, uint64_t size_bytes, dfm_error *error) {
  const dfm_vocabulary *vocabulary = &field->vocabulary;
  const uint64_t n = vocabulary->n;
  uint64_t n_empty = 0;
  if (vocabulary->offsets[0] != 0 || vocabulary->offsets[n] != size_bytes) {
    return fail_damaged("the offsets do not span the bytes", field->name, error);
  }
  for (uint64_t i = 0; i < n; i++) {
    if (vocabulary->offsets[i] > vocabulary->offsets[i + 1])
      return fail_damaged("the offsets do not ascend", field->name, error);
  }
  for (uint64_t i = 0; i < vocabulary->index_size; i++) {
    if (vocabulary->index[i] > n) return fail_damaged("the index names values that are not there", field->name, error);
    n_empty += vocabulary->index[i] == 0;
  }
  return n_empty == 0 ? fail_damaged("the index has no empty slot", field->name, error) : DFM_OK;
}

static dfm_status need_tensor(const dfm_st_file *file, const dfm_category_field *field, int k, const uint64_t *length,
                              const dfm_tensor **tensor, dfm_error *error) {
  char *name;
  DFM_TRY(tensor_name(field, k, &name, error));
  const uint64_t shape[1] = {length ? *length : 0};
  const dfm_status status = dfm_st_need(file, name, DTYPE[k], length ? 1 : 0, shape, tensor, error);
  free(name);
  return status;
}

static dfm_status map_vocabulary(const dfm_st_file *file, dfm_category_field *field, dfm_error *error) {
  dfm_vocabulary *vocabulary = &field->vocabulary;
  const uint64_t length[3] = {vocabulary->n + 1, vocabulary->n, dfm_vocabulary_index_size(vocabulary->n)};
  const dfm_tensor *tensor[TENSORS];
  for (int k = 0; k < TENSORS; k++) DFM_TRY(need_tensor(file, field, k, k < 3 ? &length[k] : NULL, &tensor[k], error));
  vocabulary->offsets = tensor[0]->data;
  vocabulary->counts = tensor[1]->data;
  vocabulary->index = tensor[2]->data;
  vocabulary->index_size = length[2];
  vocabulary->bytes = tensor[3]->data;
  DFM_TRY(check_vocabulary(field, tensor[3]->size_bytes, error));
  /* Training looks no value up: what it will not read again is not held in memory. */
  for (int k = 0; k < 3; k++) dfm_st_spent(file, tensor[k]->data, tensor[k]->size_bytes);
  if (field->settings.buckets <= 0) return DFM_OK;
  bool is_good;
  DFM_TRY(dfm_buckets_load(field, &is_good, error));
  return is_good ? DFM_OK : fail_damaged("the buckets are no ascending numbers", field->name, error);
}

static dfm_status load_fields(const dfm_st_file *file, dfm_encoder *encoder, dfm_error *error) {
  const char *text = dfm_st_metadata(file, "encoder");
  json_t *root = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
  if (!root) return fail_damaged("there is no readable description", "encoder", error);
  const dfm_status status = fields_from_json(root, encoder, error);
  json_decref(root);
  DFM_TRY(status);
  for (int f = 0; !encoder->is_synthetic && f < encoder->F; f++) {
    if (encoder->category[f].table == f) DFM_TRY(map_vocabulary(file, &encoder->category[f], error));
  }
  return DFM_OK;
}

dfm_status dfm_encoder_load(dfm_st_file *file, dfm_encoder **encoder, dfm_error *error) {
  const char *yaml = dfm_st_metadata(file, "schema");
  dfm_schema *schema;
  dfm_encoder *made;
  if (!yaml) return fail_damaged("there is no metadata entry", "schema", error);
  DFM_TRY(dfm_schema_parse(yaml, "the model file's schema", &schema, error));
  dfm_status status = dfm_encoder_create(schema, NULL, &made, error);
  dfm_schema_free(schema);
  DFM_TRY(status);
  status = load_fields(file, made, error);
  if (status != DFM_OK) {
    dfm_encoder_release(made); /* and not the file, which stays the caller's */
    return status;
  }
  made->file = file;
  *encoder = made;
  return DFM_OK;
}
