/* Multiplies of dense layers: blocks of edges come in; those of dense_float32.c or dense_tiles.c run. */
#include "layer/dense_multiply.h"

#include <stdlib.h>

#include "base/memory.h"
#include "layer/dense_float32.h"
#include "layer/dense_tiles.h"

struct dfm_dense { /* one of the two, the other NULL */
  dfm_dense_float32 *float32;
  dfm_dense_tiles *tiles;
};

static int round_up(int n, int step) {
  return (n + step - 1) / step * step;
}

/* 128 rows run the matrix multiply at full speed and leave a block's activations in the second-level cache; small
 * batches are cut finer so that several threads have work. */
int dfm_dense_block(int capacity, int parts) {
  enum { MOST = 128 };
  const int sixteenth = (capacity / 16 + 15) / 16 * 16;
  if (parts > 0) return dfm_dense_tiles_block(capacity, parts);
  return sixteenth < DFM_MIN_BLOCK ? DFM_MIN_BLOCK : sixteenth > MOST ? MOST : sixteenth;
}

int dfm_dense_tasks(const dfm_layer *layer) {
  return round_up(layer->n_out, DFM_DENSE_TASK_ROWS) / DFM_DENSE_TASK_ROWS;
}

void dfm_dense_task(const dfm_layer *layer, int task, int *h0, int *h1) {
  const int n = dfm_dense_tasks(layer), rows = round_up((layer->n_out + n - 1) / n, DFM_TILE_BLOCK);
  *h0 = task * rows;
  *h1 = *h0 + rows < layer->n_out ? *h0 + rows : layer->n_out;
}

dfm_status dfm_dense_create(const dfm_dense_settings *settings, dfm_dense **out, dfm_error *error) {
  dfm_dense *dense = NULL;
  *out = NULL;
  if (!dfm_net_has_dense(settings->net)) return DFM_OK;
  DFM_TRY(dfm_alloc(&dense, 1, sizeof *dense, error));
  const dfm_status status = settings->tiles ? dfm_dense_tiles_create(settings, &dense->tiles, error)
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
  dfm_dense_tiles_free(dense->tiles);
  free(dense);
}

int dfm_dense_begin_tasks(const dfm_dense *dense) {
  if (!dense) return 0;
  return dense->tiles ? dfm_dense_tiles_begin_tasks(dense->tiles) : dfm_dense_float32_begin_tasks(dense->float32);
}

void dfm_dense_begin_task(dfm_dense *dense, const float *weight, int task) {
  if (dense->tiles)
    dfm_dense_tiles_begin_task(dense->tiles, weight, task);
  else
    dfm_dense_float32_begin_task(dense->float32, weight, task);
}

typedef struct dfm_dense_begin_work {
  dfm_dense *dense;
  const float *weight;
} dfm_dense_begin_work;

static void begin_task(void *context, int task, int thread) {
  const dfm_dense_begin_work *work = context;
  (void)thread;
  dfm_dense_begin_task(work->dense, work->weight, task);
}

void dfm_dense_begin(dfm_dense *dense, const float *weight, dfm_pool *pool) {
  dfm_dense_begin_work work = {dense, weight};
  dfm_pool_run(pool, dfm_dense_begin_tasks(dense), begin_task, &work);
}

bool dfm_dense_feeds(const dfm_dense *dense, const dfm_layer *layer) {
  return dense->tiles && dfm_dense_tiles_feeds(dense->tiles, layer);
}

void dfm_dense_forward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  if (pass->dense->tiles)
    dfm_dense_tiles_forward(pass->dense->tiles, layer, pass, b0, b1);
  else
    dfm_dense_float32_forward(pass->dense->float32, layer, pass, b0, b1);
}

void dfm_dense_backward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  if (pass->dense->tiles)
    dfm_dense_tiles_backward(pass->dense->tiles, layer, pass, b0, b1);
  else
    dfm_dense_float32_backward(pass->dense->float32, layer, pass, b0, b1);
}

int dfm_dense_piece(const dfm_dense *dense) {
  return dense && dense->tiles ? dfm_dense_tiles_piece(dense->tiles) : 0;
}

void dfm_dense_accumulate(const dfm_layer *layer, const dfm_pass *pass, int task, int b0) {
  int h0, h1;
  dfm_dense_task(layer, task, &h0, &h1);
  dfm_dense_tiles_accumulate(pass->dense->tiles, layer, pass->B, b0, h0, h1, NULL);
}

int dfm_dense_parts(const dfm_dense *dense) {
  return dense && dense->tiles ? dfm_dense_tiles_parts(dense->tiles) : 0;
}

void dfm_dense_gradient(const dfm_layer *layer, const dfm_pass *pass, int task, float *dw, float *db) {
  int h0, h1;
  dfm_dense_task(layer, task, &h0, &h1);
  if (pass->dense->tiles)
    dfm_dense_tiles_gradient(pass->dense->tiles, layer, pass, h0, h1, dw, db);
  else
    dfm_dense_float32_gradient(layer, pass, h0, h1, dw, db);
}
