/* Dense: x (B, n_in) comes in, y = act(x W^T + b) (B, n_out) goes out; W is (n_out, n_in).
 *
 * dz = dy act'(y); dx = dz W; dW = dz^T x; db = column sums of dz. A gradient task owns a block of W's rows and adds up the whole batch in
 * chunks of rows in order, so its sum does not depend on threads. */
#include "layer/layer.h"

enum { WEIGHT, BIAS };

/* Rows of W per gradient task: enough for the matrix multiply to run at full speed, few enough to share out. */
enum { DFM_TASK_ROWS = 128 };
/* Rows of the batch per multiply of dW: both operands stay in the second-level cache (measured: 15 % over the whole batch at once). */
enum { DFM_CHUNK = 256 };

static void forward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  const dfm_net *net = pass->net;
  float *y = dfm_value(pass, layer->out, b0, 0);
  pass->kernel->gemm(&(dfm_gemm_args){.trans_b = true,
                                      .M = b1 - b0,
                                      .N = layer->n_out,
                                      .K = layer->n_in,
                                      .A = dfm_value(pass, layer->in, b0, layer->from),
                                      .lda = net->edge_n[layer->in],
                                      .B = dfm_weight(pass, layer, WEIGHT),
                                      .ldb = layer->n_in,
                                      .C = y,
                                      .ldc = layer->n_out});
  pass->kernel->bias_act(y, b1 - b0, layer->n_out, layer->n_out, dfm_weight(pass, layer, BIAS), layer->activation);
}

static void backward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  const dfm_net *net = pass->net;
  float *dz = dfm_dvalue(pass, layer->out, b0, 0);
  pass->kernel->act_backward(dz, dfm_value(pass, layer->out, b0, 0), b1 - b0, layer->n_out, layer->n_out,
                             layer->activation);
  pass->kernel->gemm(&(dfm_gemm_args){.M = b1 - b0,
                                      .N = layer->n_in,
                                      .K = layer->n_out,
                                      .A = dz,
                                      .lda = layer->n_out,
                                      .B = dfm_weight(pass, layer, WEIGHT),
                                      .ldb = layer->n_in,
                                      .beta = layer->adds_dx ? 1.0F : 0.0F,
                                      .C = dfm_dvalue(pass, layer->in, b0, layer->from),
                                      .ldc = net->edge_n[layer->in]});
}

static int tasks(const dfm_layer *layer) {
  return (layer->n_out + DFM_TASK_ROWS - 1) / DFM_TASK_ROWS;
}

static int gradient(const dfm_layer *layer, const dfm_pass *pass, int task, dfm_span span[2]) {
  const dfm_net *net = pass->net;
  const dfm_param *weight = &net->param[layer->param[WEIGHT]], *bias = &net->param[layer->param[BIAS]];
  const int n = tasks(layer);
  const int h0 = (int)((int64_t)layer->n_out * task / n), h1 = (int)((int64_t)layer->n_out * (task + 1) / n);
  float *dw = dfm_dweight(pass, layer, WEIGHT) + (size_t)h0 * (size_t)layer->n_in;
  float *db = dfm_dweight(pass, layer, BIAS) + h0;
  for (int h = h0; h < h1; h++) db[h - h0] = 0;
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
                                        .ldb = net->edge_n[layer->in],
                                        .beta = b > 0 ? 1.0F : 0.0F,
                                        .C = dw,
                                        .ldc = layer->n_in});
    pass->kernel->column_sums(db, dz, rows, h1 - h0, layer->n_out);
  }
  span[0] = (dfm_span){weight->offset + (size_t)h0 * (size_t)layer->n_in, (size_t)(h1 - h0) * (size_t)layer->n_in,
                       weight->part};
  span[1] = (dfm_span){bias->offset + (size_t)h0, (size_t)(h1 - h0), bias->part};
  return 2;
}

const dfm_layer_kind dfm_layer_dense = {
    .name = "Dense", .forward = forward, .backward = backward, .tasks = tasks, .gradient = gradient};
