/* Branches: each adds its layers to the net; the last one of a branch adds to the logit. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "model/net_build.h"

/* A dense parameter's start: Glorot and Bengio, AISTATS 2010; He et al., ICCV 2015. */
static void set_start(dfm_param *param, int init, double scale, int fan_in, int fan_out) {
  param->start = DFM_START_UNIFORM;
  switch ((dfm_init_name)init) {
    case DFM_INIT_ZEROS:
      param->start = DFM_START_CONSTANT;
      param->scale = 0;
      return;
    case DFM_INIT_NORMAL:
      param->start = DFM_START_NORMAL;
      param->scale = (float)scale;
      return;
    case DFM_INIT_UNIFORM:
      param->scale = (float)scale;
      return;
    case DFM_INIT_GLOROT_UNIFORM:
      param->scale = (float)sqrt(6.0 / (fan_in + fan_out));
      return;
    case DFM_INIT_GLOROT_NORMAL:
      param->scale = (float)sqrt(2.0 / (fan_in + fan_out));
      break;
    case DFM_INIT_HE_NORMAL:
      param->scale = (float)sqrt(2.0 / fan_in);
      break;
  }
  param->start = DFM_START_NORMAL;
}

static void set_constant(dfm_param *param, double value) {
  param->start = DFM_START_CONSTANT;
  param->scale = (float)value;
}

dfm_status dfm_branch_linear(dfm_net *net, const dfm_recipe *recipe, dfm_error *error) {
  dfm_layer *layer = dfm_net_add_layer(net, &dfm_layer_linear, "linear", error);
  if (!layer) return DFM_ERROR_VALUE;
  dfm_param *param;
  layer->in = DFM_EDGE_FIRST;
  layer->out = DFM_EDGE_LOGIT;
  layer->n_out = 1;
  DFM_TRY(dfm_alloc(&layer->column, (size_t)net->D, sizeof *layer->column, error));
  for (int d = 0; d < net->D; d++)
    if (net->number_into[d] & DFM_INTO_LINEAR) layer->column[layer->n_in++] = d;
  DFM_TRY(dfm_net_add_param(net, layer, 0, "bias", 1, 0, DFM_PART_FREE, &param, error));
  if (layer->n_in > 0) {
    DFM_TRY(dfm_net_add_param(net, layer, 1, "number.weight", layer->n_in, 0, DFM_PART_LINEAR, &param, error));
    set_start(param, recipe->linear.init, recipe->linear.init_scale, layer->n_in, 1);
  }
  return DFM_OK;
}

/* Numbers that go into fm or ffm: factors each, scaled by the number, in the first columns of EMBED. */
static dfm_status add_number_embedding(dfm_net *net, const dfm_recipe *recipe, const char *name, dfm_error *error) {
  int n = 0;
  for (int d = 0; d < net->D; d++) n += (net->number_into[d] & DFM_INTO_FM) != 0;
  if (n == 0) return DFM_OK;
  dfm_layer *layer = dfm_net_add_layer(net, &dfm_layer_number_embedding, name, error);
  if (!layer) return DFM_ERROR_VALUE;
  dfm_param *param;
  layer->in = DFM_EDGE_NUMBER;
  layer->out = DFM_EDGE_EMBED;
  layer->K = net->slot_width;
  layer->n_out = n * net->slot_width;
  DFM_TRY(dfm_alloc(&layer->column, (size_t)net->D, sizeof *layer->column, error));
  for (int d = 0; d < net->D; d++)
    if (net->number_into[d] & DFM_INTO_FM) layer->column[layer->n_in++] = d;
  DFM_TRY(dfm_net_add_param(net, layer, 0, "weight", n, net->slot_width, DFM_PART_EMBEDDING, &param, error));
  set_start(param, recipe->embedding.init, recipe->embedding.init_scale, n, net->fm_width);
  return DFM_OK;
}

/* Lists whose items pair with each other too. */
static dfm_status add_within(dfm_net *net, const char *name, dfm_error *error) {
  if (net->edge_n[DFM_EDGE_WITHIN] == 0) return DFM_OK;
  dfm_layer *layer = dfm_net_add_layer(net, &dfm_layer_within, name, error);
  if (!layer) return DFM_ERROR_VALUE;
  layer->in = DFM_EDGE_WITHIN;
  layer->n_in = layer->n_out = 1;
  layer->out = DFM_EDGE_LOGIT;
  return DFM_OK;
}

static dfm_status check_pairs(const dfm_net *net, const dfm_recipe *recipe, dfm_error *error) {
  if (net->n_pairs > 0) return DFM_OK;
  return dfm_fail(error, DFM_ERROR_VALUE,
                  "model %s has an %s branch but no field goes into it; put fields into fm (data.category_into, "
                  "data.number_into), or "
                  "choose another model",
                  recipe->model, net->is_field_aware ? "ffm" : "fm");
}

/* The layer that adds up pairs of embeddings; NULL where there is no room for it. */
static dfm_layer *add_pairs(dfm_net *net, const dfm_layer_kind *kind, const char *name, dfm_error *error) {
  dfm_layer *layer = dfm_net_add_layer(net, kind, name, error);
  if (!layer) return NULL;
  layer->in = DFM_EDGE_EMBED;
  layer->n_in = net->fm_columns;
  layer->K = net->fm_width;
  layer->out = DFM_EDGE_LOGIT;
  layer->n_out = 1;
  return layer;
}

dfm_status dfm_branch_fm(dfm_net *net, const dfm_recipe *recipe, dfm_error *error) {
  DFM_TRY(check_pairs(net, recipe, error));
  DFM_TRY(add_number_embedding(net, recipe, "fm.number", error));
  dfm_layer *layer = add_pairs(net, &dfm_layer_fm, "fm", error);
  if (!layer) return DFM_ERROR_VALUE;
  layer->scratch = dfm_net_add_edge(net, net->fm_width, error);
  if (layer->scratch < 0) return DFM_ERROR_VALUE;
  net->fm_sums = layer->scratch;
  return add_within(net, "fm.within", error);
}

dfm_status dfm_branch_ffm(dfm_net *net, const dfm_recipe *recipe, dfm_error *error) {
  DFM_TRY(check_pairs(net, recipe, error));
  DFM_TRY(add_number_embedding(net, recipe, "ffm.number", error));
  DFM_TRY(add_within(net, "ffm.within", error));
  return add_pairs(net, &dfm_layer_ffm, "ffm", error) ? DFM_OK : DFM_ERROR_VALUE;
}

/* Appends a layer from edge `in` to edge `out` (-1: a new one of n_out units). */
static dfm_status append(dfm_net *net, const dfm_layer_kind *kind, const char *name, int in, int out, int n_out,
                         dfm_layer **result, dfm_error *error) {
  dfm_layer *layer = dfm_net_add_layer(net, kind, name, error);
  if (!layer) return DFM_ERROR_VALUE;
  if (out < 0) out = dfm_net_add_edge(net, n_out, error);
  if (out < 0) return DFM_ERROR_VALUE;
  layer->in = in;
  layer->n_in = net->edge_n[in];
  layer->out = out;
  layer->n_out = n_out;
  if (in == DFM_EDGE_EMBED) {
    layer->from = net->dnn_from;
    layer->n_in -= net->dnn_from;
    layer->adds_dx = true;
  }
  *result = layer;
  return DFM_OK;
}

static dfm_status add_batch_norm(dfm_net *net, const dfm_recipe *recipe, const char *name, int *edge,
                                 dfm_error *error) {
  static const char *const suffix[] = {"gamma", "beta", "mean", "variance"};
  static const double start[] = {1, 0, 0, 1};
  dfm_layer *layer;
  const int n = net->edge_n[*edge];
  DFM_TRY(append(net, &dfm_layer_batch_norm, name, *edge, -1, n, &layer, error));
  for (int i = 0; i < 4; i++) {
    dfm_param *param;
    DFM_TRY(dfm_net_add_param(net, layer, i, suffix[i], n, 0, DFM_PART_FREE, &param, error));
    set_constant(param, start[i]);
    param->is_statistic = i >= 2;
  }
  layer->momentum = (float)recipe->dnn.batch_norm_momentum;
  layer->epsilon = (float)recipe->dnn.batch_norm_epsilon;
  *edge = layer->out;
  return DFM_OK;
}

/* Dense and its weights, from *edge to a new one. */
static dfm_status add_dense(dfm_net *net, const dfm_recipe *recipe, const dfm_layer_kind *kind, int units, int out,
                            dfm_activation activation, const char *name, int *edge, dfm_error *error) {
  dfm_layer *layer;
  dfm_param *param;
  DFM_TRY(append(net, kind, name, *edge, out, units, &layer, error));
  layer->activation = activation;
  DFM_TRY(dfm_net_add_param(net, layer, 0, "weight", units, layer->n_in, DFM_PART_DNN, &param, error));
  set_start(param, recipe->dnn.init, 0.05, layer->n_in, units);
  DFM_TRY(dfm_net_add_param(net, layer, 1, "bias", units, 0, DFM_PART_FREE, &param, error));
  *edge = layer->out;
  return DFM_OK;
}

/* dense -> (batch norm ->) activation -> (dropout): one hidden layer, from *edge to a new one. */
static dfm_status add_hidden(dfm_net *net, const dfm_recipe *recipe, int i, int *edge, dfm_error *error) {
  const dfm_activation activation = (dfm_activation)recipe->dnn.activation;
  const double rate = recipe->dnn.dropout[recipe->dnn.n_dropout == 1 ? 0 : i];
  char name[32];
  dfm_layer *layer;
  snprintf(name, sizeof name, "dnn.%d", i);
  DFM_TRY(add_dense(net, recipe, &dfm_layer_dense, recipe->dnn.hidden[i], -1,
                    recipe->dnn.batch_norm ? DFM_LINEAR : activation, name, edge, error));
  if (recipe->dnn.batch_norm) {
    snprintf(name, sizeof name, "dnn.%d.norm", i);
    DFM_TRY(add_batch_norm(net, recipe, name, edge, error));
    snprintf(name, sizeof name, "dnn.%d.activation", i);
    DFM_TRY(append(net, &dfm_layer_activation, name, *edge, *edge, net->edge_n[*edge], &layer, error));
    layer->activation = activation;
  }
  if (recipe->dnn.n_dropout > 0 && rate > 0) {
    const bool in_place = activation == DFM_RELU || activation == DFM_LINEAR;
    snprintf(name, sizeof name, "dnn.%d.dropout", i);
    DFM_TRY(append(net, &dfm_layer_dropout, name, *edge, in_place ? *edge : -1, net->edge_n[*edge], &layer, error));
    layer->rate = (float)rate;
    *edge = layer->out;
  }
  return DFM_OK;
}

dfm_status dfm_branch_dnn(dfm_net *net, const dfm_recipe *recipe, dfm_error *error) {
  int edge = DFM_EDGE_EMBED;
  if (net->dnn_from == net->edge_n[DFM_EDGE_EMBED]) {
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "model %s has a dnn branch but no field goes into it; put fields into dnn (data.category_into, "
                    "data.number_into), or "
                    "choose another model",
                    recipe->model);
  }
  for (int i = 0; i < recipe->dnn.n_hidden; i++) DFM_TRY(add_hidden(net, recipe, i, &edge, error));
  return add_dense(net, recipe, &dfm_layer_unit, 1, DFM_EDGE_LOGIT, DFM_LINEAR, "dnn.out", &edge, error);
}
