/* Model: a loaded file comes in; questions about its fields, values and rows are answered. */
#include "model/model.h"

#include <math.h>
#include <stdlib.h>

#include "data/excess.h"

void dfm_model_free(dfm_model *model) {
  if (!model) return;
  free(model->recipe_yaml);
  free(model->schema_yaml);
  free(model->metrics_json);
  free(model->weight);
  free(model->table);
  free(model->age);
  dfm_net_free(model->net);
  dfm_recipe_free(model->recipe);
  dfm_encoder_release(model->encoder);
  free(model);
}

const float *dfm_model_row(const void *context, int f, uint32_t id, float *scratch) {
  const dfm_model *model = context;
  (void)scratch;
  return model->table[f] + (size_t)id * (size_t)(model->net->table[f].first + model->net->table[f].width);
}

dfm_status dfm_model_summary(const dfm_model *model, char **text, dfm_error *error) {
  return dfm_net_summary(model->net, model->recipe, model->encoder, text, error);
}

int64_t dfm_model_state_steps(const dfm_model *model) {
  return model->state_steps;
}

int64_t dfm_model_parameters(const dfm_model *model) {
  return dfm_net_parameters(model->net, model->encoder);
}

const char *dfm_model_recipe_yaml(const dfm_model *model) {
  return model->recipe_yaml;
}

const char *dfm_model_schema_yaml(const dfm_model *model) {
  return model->schema_yaml;
}

const char *dfm_model_metrics_json(const dfm_model *model) {
  return model->metrics_json;
}

size_t dfm_model_fields(const dfm_model *model) {
  return (size_t)(model->encoder->F + model->encoder->D);
}

static int64_t table_cells(const dfm_encoder *encoder, int f) {
  int64_t cells = 0;
  for (int i = 0; i < encoder->F; i++)
    if (encoder->category[i].table == encoder->category[f].table) cells += encoder->category[i].cells;
  return cells;
}

dfm_field_info dfm_model_field(const dfm_model *model, size_t i) {
  const dfm_encoder *encoder = model->encoder;
  int index;
  if (!dfm_encoder_field(encoder, i, &index)) {
    const dfm_category_field *field = &encoder->category[index];
    return (dfm_field_info){.name = field->name,
                            .vocabulary = (int64_t)dfm_encoder_values(encoder, index),
                            .distinct = field->distinct,
                            .rows = encoder->rows,
                            .is_list = field->is_list,
                            .cells = field->cells,
                            .table_cells = table_cells(encoder, index),
                            .unknown_rows = field->unknown_rows,
                            .missing_rows = field->missing_rows};
  }
  const dfm_number_field *field = &encoder->number[index];
  return (dfm_field_info){.name = field->name,
                          .is_number = true,
                          .distinct = -1,
                          .rows = encoder->rows,
                          .cells = encoder->rows,
                          .table_cells = encoder->rows,
                          .missing_rows = field->missing_rows,
                          .shift = field->shift,
                          .scale = field->scale};
}

double dfm_model_expected_unknown(const dfm_model *model, size_t i) {
  int f;
  if (i >= dfm_model_fields(model) || dfm_encoder_field(model->encoder, i, &f)) return 0;
  return dfm_encoder_expected_unknown(model->encoder, f);
}

bool dfm_model_is_far_unknown(const dfm_model *model, size_t i, int64_t unknown, int64_t cells) {
  return unknown > 0 && dfm_is_far_above(unknown, cells, dfm_model_expected_unknown(model, i));
}

bool dfm_model_value(const dfm_model *model, size_t i, int64_t rank, const char **bytes, size_t *length,
                     int64_t *count) {
  int f;
  if (i >= dfm_model_fields(model) || dfm_encoder_field(model->encoder, i, &f) || rank < 0) return false;
  const dfm_vocabulary *vocabulary = dfm_encoder_vocabulary(model->encoder, f);
  if ((uint64_t)rank >= vocabulary->n || !vocabulary->bytes) return false;
  *bytes = (const char *)vocabulary->bytes + vocabulary->offsets[rank];
  *length = (size_t)(vocabulary->offsets[rank + 1] - vocabulary->offsets[rank]);
  *count = (int64_t)vocabulary->counts[rank];
  return true;
}

dfm_status dfm_model_embedding(const dfm_model *model, size_t i, const char *bytes, size_t length, double *first_order,
                               float *factors, size_t capacity, size_t *n, bool *is_unknown, dfm_error *error) {
  const dfm_encoder *encoder = model->encoder;
  int f;
  if (i >= dfm_model_fields(model) || dfm_encoder_field(encoder, i, &f)) {
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "field %zu is no category field, so it has no embedding rows; name a category field", i);
  }
  const int t = model->net->field[f].table, first = model->net->table[t].first;
  const uint32_t id = dfm_encoder_id(encoder, f, bytes, length, is_unknown);
  *first_order = first ? 0 : (double)NAN;
  *n = (size_t)model->net->table[t].width;
  for (size_t k = 0; k < *n && k < capacity; k++) factors[k] = 0; /* a value without a row adds nothing */
  if (id == DFM_ID_NONE || !model->table[t]) return DFM_OK;
  const float *row = dfm_model_row(model, t, id, NULL);
  if (first) *first_order = (double)row[0];
  for (size_t k = 0; k < *n && k < capacity; k++) factors[k] = row[(size_t)first + k];
  return DFM_OK;
}
