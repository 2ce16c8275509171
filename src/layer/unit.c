/* Unit: the one linear unit that ends a deep branch. x (B, n_in) comes in; <w, x> + b is added to the logit. */
#include <string.h>

#include "layer/layer.h"

enum { WEIGHT, BIAS };

static void forward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  const float *w = dfm_weight(pass, layer, WEIGHT), bias = *dfm_weight(pass, layer, BIAS);
  for (int b = b0; b < b1; b++) {
    const float *x = dfm_value(pass, layer->in, b, layer->from);
    *dfm_value(pass, DFM_EDGE_LOGIT, b, 0) += pass->kernel->dot(w, x, (size_t)layer->n_in) + bias;
  }
}

static size_t partial(const dfm_layer *layer) {
  return (size_t)layer->n_in + 1;
}

/* The block's gradients of w and b are summed while its x is in the caches. */
static float *partial_of(const dfm_layer *layer, const dfm_pass *pass, int b) {
  return pass->partial[layer - pass->net->layer] + (size_t)(b / pass->block) * partial(layer);
}

static void backward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  const float *w = dfm_weight(pass, layer, WEIGHT);
  const size_t n = (size_t)layer->n_in;
  float *dw = partial_of(layer, pass, b0), *db = dw + n;
  memset(dw, 0, (n + 1) * sizeof *dw);
  for (int b = b0; b < b1; b++) {
    float *dx = dfm_dvalue(pass, layer->in, b, layer->from);
    const float dlogit = *dfm_dvalue(pass, DFM_EDGE_LOGIT, b, 0);
    pass->kernel->axpy(dw, dlogit, dfm_value(pass, layer->in, b, layer->from), n);
    *db += dlogit;
    if (!layer->adds_dx) memset(dx, 0, n * sizeof *dx);
    pass->kernel->axpy(dx, dlogit, w, n);
  }
}

static int tasks(const dfm_layer *layer) {
  (void)layer;
  return 1;
}

static int gradient(const dfm_layer *layer, const dfm_pass *pass, int task, dfm_span span[2]) {
  const dfm_param *weight = &pass->net->param[layer->param[WEIGHT]], *bias = &pass->net->param[layer->param[BIAS]];
  const size_t n = (size_t)layer->n_in;
  float *dw = dfm_dweight(pass, layer, WEIGHT), *db = dfm_dweight(pass, layer, BIAS);
  (void)task;
  *db = 0;
  memset(dw, 0, n * sizeof *dw);
  for (int b = 0; b < pass->B; b += pass->block) {
    const float *block = partial_of(layer, pass, b);
    pass->kernel->add(dw, block, n);
    *db += block[n];
  }
  span[0] = (dfm_span){weight->offset, weight->n, weight->part};
  span[1] = (dfm_span){bias->offset, bias->n, bias->part};
  return 2;
}

const dfm_layer_kind dfm_layer_unit = {
    .name = "Unit", .forward = forward, .backward = backward, .tasks = tasks, .gradient = gradient, .partial = partial};
