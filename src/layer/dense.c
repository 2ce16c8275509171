/* Dense: x (B, n_in) comes in, y = act(x W^T + b) (B, n_out) goes out; W is (n_out, n_in).
 *
 * dz = dy act'(y); dx = dz W; dW = dz^T x; db = column sums of dz. A gradient task owns a block of W's rows and adds up the whole batch in
 * chunks of rows in order, so its sum does not depend on threads. */
#include "layer/dense_multiply.h"

enum { WEIGHT, BIAS };

/* Rows of the batch per multiply of dW: both operands stay in the second-level cache (measured: 15 % over the whole batch at once). */
enum { DFM_CHUNK = 256 };

static void multiply_forward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  pass->kernel->gemm(&(dfm_gemm_args){.trans_b = true,
                                      .M = b1 - b0,
                                      .N = layer->n_out,
                                      .K = layer->n_in,
                                      .A = dfm_value(pass, layer->in, b0, layer->from),
                                      .lda = pass->net->edge_n[layer->in],
                                      .B = dfm_weight(pass, layer, WEIGHT),
                                      .ldb = layer->n_in,
                                      .C = dfm_value(pass, layer->out, b0, 0),
                                      .ldc = layer->n_out});
}

static void forward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  float *y = dfm_value(pass, layer->out, b0, 0);
  if (pass->dense)
    dfm_dense_forward(layer, pass, b0, b1);
  else
    multiply_forward(layer, pass, b0, b1);
  if (dfm_dense_feeds(pass->dense, layer)) return;
  pass->kernel->bias_act(y, b1 - b0, layer->n_out, layer->n_out, dfm_weight(pass, layer, BIAS), layer->activation);
}

static void multiply_backward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  pass->kernel->gemm(&(dfm_gemm_args){.M = b1 - b0,
                                      .N = layer->n_in,
                                      .K = layer->n_out,
                                      .A = dfm_dvalue(pass, layer->out, b0, 0),
                                      .lda = layer->n_out,
                                      .B = dfm_weight(pass, layer, WEIGHT),
                                      .ldb = layer->n_in,
                                      .beta = layer->adds_dx ? 1.0F : 0.0F,
                                      .C = dfm_dvalue(pass, layer->in, b0, layer->from),
                                      .ldc = pass->net->edge_n[layer->in]});
}

static void backward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  if (!dfm_dense_feeds(pass->dense, layer))
    pass->kernel->act_backward(dfm_dvalue(pass, layer->out, b0, 0), dfm_value(pass, layer->out, b0, 0), b1 - b0,
                               layer->n_out, layer->n_out, layer->activation);
  if (pass->dense)
    dfm_dense_backward(layer, pass, b0, b1);
  else
    multiply_backward(layer, pass, b0, b1);
}

/* dw (h1 - h0, n_in) = rows [h0, h1) of dz^T x; db (h1 - h0) += column sums of dz, a chunk's while it is in the cache */
static void multiply_gradient(const dfm_layer *layer, const dfm_pass *pass, int h0, int h1, float *dw, float *db) {
  for (int b = 0; b < pass->B; b += DFM_CHUNK) {
    const int rows = pass->B - b < DFM_CHUNK ? pass->B - b : DFM_CHUNK;
    const float *dz = dfm_dvalue(pass, layer->out, b, h0);
    pass->kernel->gemm(&(dfm_gemm_args){.trans_a = true,
                                        .M = h1 - h0,
                                        .N = layer->n_in,
                                        .K = rows,
                                        .A = dz,
                                        .lda = layer->n_out,
                                        .B = dfm_value(pass, layer->in, b, layer->from),
                                        .ldb = pass->net->edge_n[layer->in],
                                        .beta = b > 0 ? 1.0F : 0.0F,
                                        .C = dw,
                                        .ldc = layer->n_in});
    pass->kernel->column_sums(db, dz, rows, h1 - h0, layer->n_out);
  }
}

static int gradient(const dfm_layer *layer, const dfm_pass *pass, int task, dfm_span span[2]) {
  const dfm_net *net = pass->net;
  const dfm_param *weight = &net->param[layer->param[WEIGHT]], *bias = &net->param[layer->param[BIAS]];
  int h0, h1;
  dfm_dense_task(layer, task, &h0, &h1);
  float *dw = dfm_dweight(pass, layer, WEIGHT) + (size_t)h0 * (size_t)layer->n_in;
  float *db = dfm_dweight(pass, layer, BIAS) + h0;
  for (int h = h0; h < h1; h++) db[h - h0] = 0;
  if (dfm_dense_is_bf16(pass->dense)) {
    dfm_dense_gradient(layer, pass, task, dw, db);
  } else {
    multiply_gradient(layer, pass, h0, h1, dw, db);
  }
  span[0] = (dfm_span){weight->offset + (size_t)h0 * (size_t)layer->n_in, (size_t)(h1 - h0) * (size_t)layer->n_in,
                       weight->part};
  span[1] = (dfm_span){bias->offset + (size_t)h0, (size_t)(h1 - h0), bias->part};
  return 2;
}

const dfm_layer_kind dfm_layer_dense = {
    .name = "Dense", .forward = forward, .backward = backward, .tasks = dfm_dense_tasks, .gradient = gradient};
