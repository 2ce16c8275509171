/* Linear branch: first-order weights and numbers come in; their sum is added to the logit.
 *
 * logit += sum_f first_f + sum_d w_d x_d + b. The gradient of first_f is dlogit, which the tables add up themselves. */
#include "layer/layer.h"

enum { BIAS, NUMBER_WEIGHT };

static void forward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  const float bias = *dfm_weight(pass, layer, BIAS);
  const float *w = layer->n_in > 0 ? dfm_weight(pass, layer, NUMBER_WEIGHT) : NULL;
  for (int b = b0; b < b1; b++) {
    const float *x = dfm_value(pass, DFM_EDGE_NUMBER, b, 0);
    float sum = bias + *dfm_value(pass, DFM_EDGE_FIRST, b, 0);
    for (int i = 0; i < layer->n_in; i++) sum += w[i] * x[layer->column[i]];
    *dfm_value(pass, DFM_EDGE_LOGIT, b, 0) += sum;
  }
}

static void backward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  (void)layer, (void)pass, (void)b0, (void)b1;
}

static int tasks(const dfm_layer *layer) {
  (void)layer;
  return 1;
}

static int gradient(const dfm_layer *layer, const dfm_pass *pass, int task, dfm_span span[2]) {
  const dfm_param *bias = &pass->net->param[layer->param[BIAS]];
  float *dbias = dfm_dweight(pass, layer, BIAS);
  (void)task;
  *dbias = 0;
  for (int b = 0; b < pass->B; b++) *dbias += *dfm_dvalue(pass, DFM_EDGE_LOGIT, b, 0);
  span[0] = (dfm_span){bias->offset, bias->n, bias->part};
  if (layer->n_in == 0) return 1;
  const dfm_param *weight = &pass->net->param[layer->param[NUMBER_WEIGHT]];
  float *dw = dfm_dweight(pass, layer, NUMBER_WEIGHT);
  for (int i = 0; i < layer->n_in; i++) dw[i] = 0;
  for (int b = 0; b < pass->B; b++) {
    const float *x = dfm_value(pass, DFM_EDGE_NUMBER, b, 0), dlogit = *dfm_dvalue(pass, DFM_EDGE_LOGIT, b, 0);
    for (int i = 0; i < layer->n_in; i++) dw[i] += dlogit * x[layer->column[i]];
  }
  span[1] = (dfm_span){weight->offset, weight->n, weight->part};
  return 2;
}

const dfm_layer_kind dfm_layer_linear = {
    .name = "Linear", .forward = forward, .backward = backward, .tasks = tasks, .gradient = gradient};
