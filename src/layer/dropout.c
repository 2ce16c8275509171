/* Dropout: activations come in; while training each is zero with probability `rate`, else scaled by 1 / (1 - rate);
 * otherwise they pass.
 *
 * Srivastava et al., JMLR 2014. The mask is a function of (seed, layer, step, row, unit), so backward makes it again
 * instead of storing it. It works in place where the layer before is a relu (whose derivative the zeros do not hurt),
 * else from one edge to another: the derivative of sigmoid and tanh needs their own output. */
#include <string.h>

#include "base/random.h"
#include "layer/layer.h"

static uint64_t layer_key(const dfm_layer *layer, const dfm_pass *pass) {
  return dfm_random_u64(pass->dropout_key, (uint64_t)(layer - pass->net->layer));
}

static void mask(const dfm_layer *layer, const dfm_pass *pass, uint64_t key, float *x, int b) {
  pass->kernel->dropout(x, layer->n_out, key, (uint64_t)pass->step << 32 | (uint32_t)b, layer->rate);
}

static void forward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  const size_t n_bytes = (size_t)layer->n_out * sizeof(float);
  const uint64_t key = layer_key(layer, pass);
  for (int b = b0; b < b1; b++) {
    float *y = dfm_value(pass, layer->out, b, 0);
    if (layer->in != layer->out) memcpy(y, dfm_value(pass, layer->in, b, 0), n_bytes);
    if (pass->is_train) mask(layer, pass, key, y, b);
  }
}

static void backward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  const size_t n_bytes = (size_t)layer->n_out * sizeof(float);
  const uint64_t key = layer_key(layer, pass);
  for (int b = b0; b < b1; b++) {
    float *dx = dfm_dvalue(pass, layer->in, b, 0);
    if (layer->in != layer->out) memcpy(dx, dfm_dvalue(pass, layer->out, b, 0), n_bytes);
    mask(layer, pass, key, dx, b);
  }
}

const dfm_layer_kind dfm_layer_dropout = {.name = "Dropout", .forward = forward, .backward = backward};
