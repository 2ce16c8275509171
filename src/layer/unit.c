/* Unit: the one linear unit that ends a deep branch. x (B, n_in) comes in; <w, x> + b is added to the logit. */
#include "layer/layer.h"

enum { WEIGHT, BIAS };

static void forward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  const float *w = dfm_weight(pass, layer, WEIGHT), bias = *dfm_weight(pass, layer, BIAS);
  for (int b = b0; b < b1; b++) {
    const float *x = dfm_value(pass, layer->in, b, layer->from);
    *dfm_value(pass, DFM_EDGE_LOGIT, b, 0) += pass->kernel->dot(w, x, (size_t)layer->n_in) + bias;
  }
}

static void backward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  const float *w = dfm_weight(pass, layer, WEIGHT);
  for (int b = b0; b < b1; b++) {
    float *dx = dfm_dvalue(pass, layer->in, b, layer->from);
    const float dlogit = *dfm_dvalue(pass, DFM_EDGE_LOGIT, b, 0);
    if (layer->adds_dx) {
      pass->kernel->axpy(dx, dlogit, w, (size_t)layer->n_in);
    } else {
      for (int i = 0; i < layer->n_in; i++) dx[i] = dlogit * w[i];
    }
  }
}

static int tasks(const dfm_layer *layer) {
  (void)layer;
  return 1;
}

static int gradient(const dfm_layer *layer, const dfm_pass *pass, int task, dfm_span span[2]) {
  const dfm_param *weight = &pass->net->param[layer->param[WEIGHT]], *bias = &pass->net->param[layer->param[BIAS]];
  float *dw = dfm_dweight(pass, layer, WEIGHT), *db = dfm_dweight(pass, layer, BIAS);
  (void)task;
  *db = 0;
  for (int i = 0; i < layer->n_in; i++) dw[i] = 0;
  for (int b = 0; b < pass->B; b++) {
    const float dlogit = *dfm_dvalue(pass, DFM_EDGE_LOGIT, b, 0);
    pass->kernel->axpy(dw, dlogit, dfm_value(pass, layer->in, b, layer->from), (size_t)layer->n_in);
    *db += dlogit;
  }
  span[0] = (dfm_span){weight->offset, weight->n, weight->part};
  span[1] = (dfm_span){bias->offset, bias->n, bias->part};
  return 2;
}

const dfm_layer_kind dfm_layer_unit = {
    .name = "Unit", .forward = forward, .backward = backward, .tasks = tasks, .gradient = gradient};
