/* Multiplies of dense layers: blocks of edges come in; in float32 oneDNN's multiplies of their shapes run, in bfloat16 those of
 * dense_bf16.c. */
#include "layer/dense_multiply.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kernel/gemm_onednn.h"
#include "layer/dense_bf16.h"

/* Less than one row in so many of a block. */
enum { FEW = 8 };

typedef struct dfm_dense_layer {
  dfm_onednn_multiply *forward, *backward; /* NULL where the plain multiply is used */
} dfm_dense_layer;

struct dfm_dense {
  dfm_dense_settings settings;
  dfm_dense_bf16 *bf16;                  /* NULL: all of what follows multiplies */
  dfm_dense_layer layer[DFM_MAX_LAYERS]; /* as in the net; all zero where it is no dense one */
  int dense[DFM_MAX_LAYERS], n_dense;    /* indices of the dense ones */
  dfm_onednn *onednn;
};

static int round_up(int n, int step) {
  return (n + step - 1) / step * step;
}

/* 128 rows run the matrix multiply at full speed and leave a block's activations in the second-level cache; small batches are
 * cut finer so that several threads have work. */
int dfm_dense_block(int capacity, bool is_bf16) {
  enum { MOST = 128 };
  const int sixteenth = (capacity / 16 + 15) / 16 * 16;
  if (is_bf16) return dfm_dense_bf16_block(capacity);
  return sixteenth < DFM_MIN_BLOCK ? DFM_MIN_BLOCK : sixteenth > MOST ? MOST : sixteenth;
}

int dfm_dense_tasks(const dfm_layer *layer) {
  return round_up(layer->n_out, DFM_DENSE_TASK_ROWS) / DFM_DENSE_TASK_ROWS;
}

void dfm_dense_task(const dfm_layer *layer, int task, int *h0, int *h1) {
  const int n = dfm_dense_tasks(layer), rows = round_up((layer->n_out + n - 1) / n, DFM_BF16_BLOCK);
  *h0 = task * rows;
  *h1 = *h0 + rows < layer->n_out ? *h0 + rows : layer->n_out;
}

/* ---- shapes: one place says them, for oneDNN's preparation and for the plain multiply; matrices are brought by each run */

static dfm_onednn_shape forward_shape(const dfm_dense *dense, int at) {
  const dfm_net *net = dense->settings.net;
  const dfm_layer *layer = &net->layer[at];
  return (dfm_onednn_shape){.trans_b = true,
                            .packs_b = true,
                            .M = dense->settings.block,
                            .N = layer->n_out,
                            .K = layer->n_in,
                            .lda = net->edge_n[layer->in],
                            .ldb = layer->n_in,
                            .ldc = net->edge_n[layer->out]};
}

static dfm_onednn_shape backward_shape(const dfm_dense *dense, int at) {
  const dfm_net *net = dense->settings.net;
  const dfm_layer *layer = &net->layer[at];
  return (dfm_onednn_shape){.packs_b = true,
                            .M = dense->settings.block,
                            .N = layer->n_in,
                            .K = layer->n_out,
                            .lda = net->edge_n[layer->out],
                            .ldb = layer->n_in,
                            .ldc = net->edge_n[layer->in],
                            .beta = layer->adds_dx ? 1.0F : 0.0F};
}

/* ---- setting up */

static dfm_status prepare_layer(dfm_dense *dense, dfm_pool *pool, int at, dfm_error *error) {
  dfm_dense_layer *own = &dense->layer[at];
  dfm_onednn_shape shape = forward_shape(dense, at);
  DFM_TRY(dfm_onednn_multiply_create(dense->onednn, pool, &shape, &own->forward, error));
  if (dense->settings.capacity == 0) return DFM_OK;
  shape = backward_shape(dense, at);
  return dfm_onednn_multiply_create(dense->onednn, pool, &shape, &own->backward, error);
}

static dfm_status create(dfm_dense *dense, dfm_pool *pool, dfm_error *error) {
  const dfm_dense_settings *settings = &dense->settings;
  if (settings->is_bf16) return dfm_dense_bf16_create(settings, &dense->bf16, error);
  for (int i = 0; i < settings->net->n_layers; i++)
    if (settings->net->layer[i].kind == &dfm_layer_dense) dense->dense[dense->n_dense++] = i;
  DFM_TRY(dfm_onednn_create(settings->threads, settings->kernel, &dense->onednn, error));
  for (int i = 0; i < dense->n_dense; i++) DFM_TRY(prepare_layer(dense, pool, dense->dense[i], error));
  return DFM_OK;
}

dfm_status dfm_dense_create(const dfm_dense_settings *settings, dfm_pool *pool, dfm_dense **out, dfm_error *error) {
  dfm_dense *dense = NULL;
  *out = NULL;
  if (!dfm_net_has_dense(settings->net) || (!settings->is_bf16 && !dfm_kernel_has_onednn(settings->kernel)))
    return DFM_OK;
  DFM_TRY(dfm_alloc(&dense, 1, sizeof *dense, error));
  dense->settings = *settings;
  const dfm_status status = create(dense, pool, error);
  if (status == DFM_OK)
    *out = dense;
  else
    dfm_dense_free(dense);
  return status;
}

void dfm_dense_free(dfm_dense *dense) {
  if (!dense) return;
  for (int i = 0; i < DFM_MAX_LAYERS; i++) {
    dfm_onednn_multiply_free(dense->layer[i].forward);
    dfm_onednn_multiply_free(dense->layer[i].backward);
  }
  dfm_onednn_free(dense->onednn);
  dfm_dense_bf16_free(dense->bf16);
  free(dense);
}

/* ---- a step */

typedef struct dfm_dense_work { /* for the pool's tasks */
  dfm_dense *dense;
  const float *weight;
} dfm_dense_work;

static const float *weights_of(const dfm_dense_work *work, const dfm_layer *layer) {
  return work->weight + work->dense->settings.net->param[layer->param[0]].offset;
}

static void pack_task(void *context, int task, int thread) {
  const dfm_dense_work *work = context;
  const int at = work->dense->dense[task / 2];
  const dfm_dense_layer *own = &work->dense->layer[at];
  dfm_onednn_multiply *multiply = task % 2 ? own->backward : own->forward;
  (void)thread;
  if (multiply) dfm_onednn_pack(multiply, weights_of(work, &work->dense->settings.net->layer[at]));
}

dfm_status dfm_dense_begin(dfm_dense *dense, const float *weight, dfm_pool *pool, dfm_error *error) {
  dfm_dense_work work = {.dense = dense, .weight = weight};
  if (dense->bf16)
    dfm_dense_bf16_begin(dense->bf16, weight, pool);
  else
    dfm_pool_run(pool, dense->n_dense * 2, pack_task, &work);
  return dfm_dense_check(dense, error);
}

dfm_status dfm_dense_check(dfm_dense *dense, dfm_error *error) {
  return dense && dense->onednn ? dfm_onednn_check(dense->onednn, error) : DFM_OK;
}

static int index_of(const dfm_layer *layer, const dfm_pass *pass) {
  return (int)(layer - pass->net->layer);
}

/* The first `rows` of C by oneDNN, which makes all M of them, or by the plain multiply of the same shape, which also takes rows
 * that are so few that most of M would be in vain. */
static void multiply(const dfm_pass *pass, const dfm_onednn_multiply *prepared, const dfm_onednn_shape *shape, int rows,
                     const float *A, const float *B, float *C) {
  if (prepared && rows * FEW >= shape->M)
    dfm_onednn_run(prepared, A, B, C);
  else
    pass->kernel->gemm(&(dfm_gemm_args){false, shape->trans_b, rows, shape->N, shape->K, A, shape->lda, B, shape->ldb,
                                        shape->beta, C, shape->ldc});
}

bool dfm_dense_feeds(const dfm_dense *dense, const dfm_layer *layer) {
  return dense && dense->bf16 && dfm_dense_bf16_feeds(dense->bf16, layer);
}

void dfm_dense_forward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  const dfm_dense *dense = pass->dense;
  const int at = index_of(layer, pass);
  if (dense->bf16) {
    dfm_dense_bf16_forward(dense->bf16, layer, pass, b0, b1);
    return;
  }
  const dfm_onednn_shape shape = forward_shape(dense, at);
  multiply(pass, dense->layer[at].forward, &shape, b1 - b0, dfm_value(pass, layer->in, b0, layer->from),
           dfm_weight(pass, layer, 0), dfm_value(pass, layer->out, b0, 0));
}

void dfm_dense_backward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  const dfm_dense *dense = pass->dense;
  const int at = index_of(layer, pass);
  if (dense->bf16) {
    dfm_dense_bf16_backward(dense->bf16, layer, pass, b0, b1);
    return;
  }
  const dfm_onednn_shape shape = backward_shape(dense, at);
  multiply(pass, dense->layer[at].backward, &shape, b1 - b0, dfm_dvalue(pass, layer->out, b0, 0),
           dfm_weight(pass, layer, 0), dfm_dvalue(pass, layer->in, b0, layer->from));
}

int dfm_dense_piece(const dfm_dense *dense) {
  return dense && dense->bf16 ? dfm_dense_bf16_piece(dense->bf16) : 0;
}

void dfm_dense_accumulate(const dfm_layer *layer, const dfm_pass *pass, int task, int b0) {
  int h0, h1;
  dfm_dense_task(layer, task, &h0, &h1);
  dfm_dense_bf16_accumulate(pass->dense->bf16, layer, pass->B, b0, h0, h1, NULL);
}

bool dfm_dense_is_bf16(const dfm_dense *dense) {
  return dense && dense->bf16;
}

void dfm_dense_gradient(const dfm_layer *layer, const dfm_pass *pass, int task, float *dw, float *db) {
  int h0, h1;
  dfm_dense_task(layer, task, &h0, &h1);
  dfm_dense_bf16_gradient(pass->dense->bf16, layer, pass, h0, h1, dw, db);
}
