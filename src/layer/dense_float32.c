/* Dense layers in float32: weights are packed once a step into the form that multiplies fastest
 * (kernel/multiply_body.h); a block's edges are multiplied as they lie. */
#include "layer/dense_float32.h"

#include <stdlib.h>

#include "base/memory.h"

/* Rows of the batch per multiply of dW: both operands, and the sums of db, stay in the second-level cache. */
enum { CHUNK = 272 }; /* twice what kernel/multiply_body.h packs at a time */

typedef struct own_layer {
  float *forward,
      *backward; /* packed W^T (n_in, n_out), W (n_out, n_in); NULL: no dense layer, or nothing goes backward */
} own_layer;

struct dfm_dense_float32 {
  dfm_dense_settings settings;
  own_layer layer[DFM_MAX_LAYERS];
  int dense[DFM_MAX_LAYERS], n_dense; /* indices of the dense ones */
  float *packed;
  size_t packed_bytes;
};

/* ---- setting up */

/* Cuts the packed weights, and returns the floats that they take. */
static size_t lay_out(dfm_dense_float32 *dense) {
  const bool is_train = dense->settings.capacity > 0;
  size_t at = 0;
  for (int i = 0; i < dense->n_dense; i++) {
    const dfm_layer *layer = &dense->settings.net->layer[dense->dense[i]];
    own_layer *own = &dense->layer[dense->dense[i]];
    if (dense->packed) own->forward = dense->packed + at;
    at += dfm_packed_floats(layer->n_in, layer->n_out);
    if (dense->packed && is_train) own->backward = dense->packed + at;
    if (is_train) at += dfm_packed_floats(layer->n_out, layer->n_in);
  }
  return at;
}

dfm_status dfm_dense_float32_create(const dfm_dense_settings *settings, dfm_dense_float32 **out, dfm_error *error) {
  dfm_dense_float32 *dense;
  DFM_TRY(dfm_alloc(&dense, 1, sizeof *dense, error));
  dense->settings = *settings;
  for (int i = 0; i < settings->net->n_layers; i++)
    if (settings->net->layer[i].kind == &dfm_layer_dense) dense->dense[dense->n_dense++] = i;
  dense->packed_bytes = lay_out(dense) * sizeof(float);
  const dfm_status status = dfm_pages_alloc(&dense->packed, dense->packed_bytes, error);
  if (status != DFM_OK) {
    free(dense);
    return status;
  }
  lay_out(dense);
  *out = dense;
  return DFM_OK;
}

void dfm_dense_float32_free(dfm_dense_float32 *dense) {
  if (!dense) return;
  dfm_pages_free(dense->packed, dense->packed_bytes);
  free(dense);
}

/* ---- a step */

/* Task i: of dense layer i / 2 one of the two forms. */
int dfm_dense_float32_begin_tasks(const dfm_dense_float32 *dense) {
  return dense->n_dense * 2;
}

void dfm_dense_float32_begin_task(const dfm_dense_float32 *dense, const float *weight, int task) {
  const dfm_dense_settings *settings = &dense->settings;
  const int at = dense->dense[task / 2];
  const dfm_layer *layer = &settings->net->layer[at];
  const own_layer *own = &dense->layer[at];
  const float *W = weight + settings->net->param[layer->param[0]].offset;
  if (task % 2 == 0)
    settings->kernel->pack(own->forward, W, (size_t)layer->n_in, true, layer->n_in, layer->n_out);
  else if (own->backward)
    settings->kernel->pack(own->backward, W, (size_t)layer->n_in, false, layer->n_out, layer->n_in);
}

static const own_layer *own_of(const dfm_dense_float32 *dense, const dfm_layer *layer) {
  return &dense->layer[layer - dense->settings.net->layer];
}

static size_t width(const dfm_pass *pass, int edge) {
  return (size_t)pass->net->edge_n[edge];
}

void dfm_dense_float32_forward(const dfm_dense_float32 *dense, const dfm_layer *layer, const dfm_pass *pass, int b0,
                               int b1) {
  const bool is_relu = layer->activation == DFM_RELU;
  float *y = dfm_value(pass, layer->out, b0, 0);
  dense->settings.kernel->multiply(&(dfm_multiply_args){.M = b1 - b0,
                                                        .N = layer->n_out,
                                                        .K = layer->n_in,
                                                        .A = dfm_value(pass, layer->in, b0, layer->from),
                                                        .lda = width(pass, layer->in),
                                                        .B = own_of(dense, layer)->forward,
                                                        .C = y,
                                                        .ldc = width(pass, layer->out),
                                                        .bias = is_relu ? dfm_weight(pass, layer, 1) : NULL});
  if (!is_relu)
    pass->kernel->bias_act(y, b1 - b0, layer->n_out, (int)width(pass, layer->out), dfm_weight(pass, layer, 1),
                           layer->activation);
}

void dfm_dense_float32_backward(const dfm_dense_float32 *dense, const dfm_layer *layer, const dfm_pass *pass, int b0,
                                int b1) {
  dense->settings.kernel->multiply(&(dfm_multiply_args){.M = b1 - b0,
                                                        .N = layer->n_in,
                                                        .K = layer->n_out,
                                                        .A = dfm_dvalue(pass, layer->out, b0, 0),
                                                        .lda = width(pass, layer->out),
                                                        .B = own_of(dense, layer)->backward,
                                                        .C = dfm_dvalue(pass, layer->in, b0, layer->from),
                                                        .ldc = width(pass, layer->in),
                                                        .adds = layer->adds_dx});
}

/* db: a chunk's column sums while it is in the cache. */
void dfm_dense_float32_gradient(const dfm_layer *layer, const dfm_pass *pass, int h0, int h1, float *dw, float *db) {
  for (int b = 0; b < pass->B; b += CHUNK) {
    const int rows = pass->B - b < CHUNK ? pass->B - b : CHUNK;
    const float *dz = dfm_dvalue(pass, layer->out, b, h0);
    pass->kernel->multiply_transposed(&(dfm_multiply_args){.M = h1 - h0,
                                                           .N = layer->n_in,
                                                           .K = rows,
                                                           .A = dz,
                                                           .lda = width(pass, layer->out),
                                                           .B = dfm_value(pass, layer->in, b, layer->from),
                                                           .ldb = width(pass, layer->in),
                                                           .C = dw,
                                                           .ldc = (size_t)layer->n_in,
                                                           .adds = b > 0});
    pass->kernel->column_sums(db, dz, rows, h1 - h0, (int)width(pass, layer->out));
  }
}
