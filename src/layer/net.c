/* Net: edges, layers and parameters are added one by one; starting values of all parameters go out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "layer/layer.h"

static dfm_status too_deep(dfm_error *error) {
  return dfm_fail(error, DFM_ERROR_VALUE, "the net has more than %d layers; take some out of dnn.hidden",
                  DFM_MAX_LAYERS);
}

int dfm_net_add_edge(dfm_net *net, int n, dfm_error *error) {
  if (net->n_edges == DFM_MAX_EDGES) return too_deep(error);
  net->edge_n[net->n_edges] = n;
  return net->n_edges++;
}

dfm_layer *dfm_net_add_layer(dfm_net *net, const dfm_layer_kind *kind, const char *name, dfm_error *error) {
  if (net->n_layers == DFM_MAX_LAYERS) {
    (void)too_deep(error);
    return NULL;
  }
  dfm_layer *layer = &net->layer[net->n_layers++];
  *layer = (dfm_layer){.kind = kind, .scratch = -1};
  snprintf(layer->name, sizeof layer->name, "%s", name);
  for (int i = 0; i < DFM_LAYER_PARAMS; i++) layer->param[i] = -1;
  return layer;
}

dfm_status dfm_net_add_param(dfm_net *net, dfm_layer *layer, int slot, const char *suffix, int rows, int cols,
                             dfm_part part, dfm_param **out, dfm_error *error) {
  if (net->n_params == DFM_MAX_PARAMS) return too_deep(error);
  dfm_param *param = &net->param[net->n_params];
  *param = (dfm_param){.rows = rows,
                       .cols = cols,
                       .offset = net->n_weights,
                       .part = part,
                       .n = (size_t)rows * (size_t)(cols > 0 ? cols : 1)};
  snprintf(param->name, sizeof param->name, "%.40s.%s", layer->name, suffix);
  layer->param[slot] = net->n_params++;
  net->n_weights += param->n;
  *out = param;
  return DFM_OK;
}

void dfm_net_free(dfm_net *net) {
  if (!net) return;
  for (int i = 0; i < net->n_layers; i++) free(net->layer[i].column);
  free(net->dnn_number);
  free(net->slot_number);
  free(net->number_into);
  free(net->field);
  free(net->table);
  free(net);
}

void dfm_net_initialise(const dfm_net *net, uint64_t seed, float *weight) {
  const uint64_t key = dfm_random_key(seed, DFM_STREAM_INIT);
  for (int i = 0; i < net->n_params; i++) {
    const dfm_param *param = &net->param[i];
    float *w = weight + param->offset;
    /* Tables take the low field numbers of the same stream. */
    const uint64_t param_key = dfm_random_u64(key, UINT64_MAX - (uint64_t)i);
    if (param->start == DFM_START_NORMAL) dfm_random_fill_normal(param_key, 0, w, param->n);
    if (param->start == DFM_START_UNIFORM) dfm_random_fill_uniform(param_key, 0, w, param->n);
    for (size_t j = 0; j < param->n; j++) {
      if (param->start == DFM_START_CONSTANT)
        w[j] = param->scale;
      else if (param->start == DFM_START_NORMAL)
        w[j] *= param->scale;
      else
        w[j] = (2 * w[j] - 1) * param->scale;
    }
  }
}

bool dfm_net_has_dense(const dfm_net *net) {
  for (int i = 0; i < net->n_layers; i++)
    if (net->layer[i].kind == &dfm_layer_dense) return true;
  return false;
}
