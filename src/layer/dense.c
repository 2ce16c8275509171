/* Dense: x (B, n_in) comes in, y = act(x W^T + b) (B, n_out) goes out; W is (n_out, n_in).
 *
 * dz = dy act'(y); dx = dz W; dW = dz^T x; db = column sums of dz. A gradient task owns a block of W's rows and adds
 * up the whole batch in chunks of rows in order, so its sum does not depend on threads. */
#include "layer/dense_multiply.h"

enum { WEIGHT, BIAS };

static void backward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  if (!dfm_dense_feeds(pass->dense, layer))
    pass->kernel->act_backward(dfm_dvalue(pass, layer->out, b0, 0), dfm_value(pass, layer->out, b0, 0), b1 - b0,
                               layer->n_out, layer->n_out, layer->activation);
  dfm_dense_backward(layer, pass, b0, b1);
}

static int gradient(const dfm_layer *layer, const dfm_pass *pass, int task, dfm_span span[2]) {
  const dfm_net *net = pass->net;
  const dfm_param *weight = &net->param[layer->param[WEIGHT]], *bias = &net->param[layer->param[BIAS]];
  int h0, h1;
  dfm_dense_task(layer, task, &h0, &h1);
  float *dw = dfm_dweight(pass, layer, WEIGHT) + (size_t)h0 * (size_t)layer->n_in;
  float *db = dfm_dweight(pass, layer, BIAS) + h0;
  for (int h = h0; h < h1; h++) db[h - h0] = 0;
  dfm_dense_gradient(layer, pass, task, dw, db);
  span[0] = (dfm_span){weight->offset + (size_t)h0 * (size_t)layer->n_in, (size_t)(h1 - h0) * (size_t)layer->n_in,
                       weight->part};
  span[1] = (dfm_span){bias->offset + (size_t)h0, (size_t)(h1 - h0), bias->part};
  return 2;
}

const dfm_layer_kind dfm_layer_dense = {.name = "Dense",
                                        .forward = dfm_dense_forward,
                                        .backward = backward,
                                        .tasks = dfm_dense_tasks,
                                        .gradient = gradient};
