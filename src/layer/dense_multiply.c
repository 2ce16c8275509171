/* Multiplies of dense layers: blocks of edges come in; those of dense_float32.c or dense_bf16.c run. */
#include "layer/dense_multiply.h"

#include <stdlib.h>

#include "base/memory.h"
#include "layer/dense_bf16.h"
#include "layer/dense_float32.h"

struct dfm_dense { /* one of the two, the other NULL */
  dfm_dense_float32 *float32;
  dfm_dense_bf16 *bf16;
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

dfm_status dfm_dense_create(const dfm_dense_settings *settings, dfm_dense **out, dfm_error *error) {
  dfm_dense *dense = NULL;
  *out = NULL;
  if (!dfm_net_has_dense(settings->net)) return DFM_OK;
  DFM_TRY(dfm_alloc(&dense, 1, sizeof *dense, error));
  const dfm_status status = settings->is_bf16 ? dfm_dense_bf16_create(settings, &dense->bf16, error)
                                              : dfm_dense_float32_create(settings, &dense->float32, error);
  if (status == DFM_OK)
    *out = dense;
  else
    dfm_dense_free(dense);
  return status;
}

void dfm_dense_free(dfm_dense *dense) {
  if (!dense) return;
  dfm_dense_float32_free(dense->float32);
  dfm_dense_bf16_free(dense->bf16);
  free(dense);
}

void dfm_dense_begin(dfm_dense *dense, const float *weight, dfm_pool *pool) {
  if (dense->bf16)
    dfm_dense_bf16_begin(dense->bf16, weight, pool);
  else
    dfm_dense_float32_begin(dense->float32, weight, pool);
}

bool dfm_dense_feeds(const dfm_dense *dense, const dfm_layer *layer) {
  return dense->bf16 && dfm_dense_bf16_feeds(dense->bf16, layer);
}

void dfm_dense_forward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  if (pass->dense->bf16)
    dfm_dense_bf16_forward(pass->dense->bf16, layer, pass, b0, b1);
  else
    dfm_dense_float32_forward(pass->dense->float32, layer, pass, b0, b1);
}

void dfm_dense_backward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  if (pass->dense->bf16)
    dfm_dense_bf16_backward(pass->dense->bf16, layer, pass, b0, b1);
  else
    dfm_dense_float32_backward(pass->dense->float32, layer, pass, b0, b1);
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
  if (pass->dense->bf16)
    dfm_dense_bf16_gradient(pass->dense->bf16, layer, pass, h0, h1, dw, db);
  else
    dfm_dense_float32_gradient(layer, pass, h0, h1, dw, db);
}
