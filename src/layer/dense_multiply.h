/* The multiplies of a net's dense layers: edges and weights come in, edges and gradients go out; operands are float32
 * as it lies (dense_float32.h) or become tiles (dense_tiles.h: bfloat16, or float32 in three parts).
 *
 * Weights are packed once a step into the form that multiplies fastest. */
#ifndef DFM_LAYER_DENSE_MULTIPLY_H
#define DFM_LAYER_DENSE_MULTIPLY_H

#include "layer/layer.h"

/* Rows of W per gradient task at most: enough for a matrix multiply to run at full speed, few enough to share out. */
enum { DFM_DENSE_TASK_ROWS = 224 };

typedef struct dfm_dense dfm_dense;

typedef struct dfm_dense_settings {
  const dfm_net *net;
  const dfm_kernel *kernel;
  int block;              /* rows of a forward or backward multiply, dfm_dense_block; edges hold whole blocks */
  int capacity;           /* rows of a batch that is trained on, at most; 0: nothing but forward runs */
  int threads;            /* that multiply at a time, at most; with capacity 0 each has a block's room (dfm_pass) */
  const dfm_tiles *tiles; /* dfm_kernel_tiles; NULL: float32 as it lies */
} dfm_dense_settings;

/* Rows per block for batches of up to `capacity` rows: a function of it and the parts of a number in tiles (0: no
 * tiles) alone, so that results do not depend on threads. */
enum { DFM_MIN_BLOCK = 32 };
int dfm_dense_block(int capacity, int parts);

/* NULL goes out where the net has no dense layers. Net and kernel are kept by reference. */
dfm_status dfm_dense_create(const dfm_dense_settings *settings, dfm_dense **dense, dfm_error *error);
void dfm_dense_free(dfm_dense *dense); /* NULL accepted */

/* Takes the net's weights (n_weights) as they are now, before each step: in tasks that are independent of each
 * other, or by all threads of a pool. dense NULL: no tasks. */
int dfm_dense_begin_tasks(const dfm_dense *dense);
void dfm_dense_begin_task(dfm_dense *dense, const float *weight, int task);
void dfm_dense_begin(dfm_dense *dense, const float *weight, dfm_pool *pool);

/* Gradient tasks of a dense layer: they own whole blocks of 32 rows of W, the last one what is left. */
int dfm_dense_tasks(const dfm_layer *layer);
void dfm_dense_task(const dfm_layer *layer, int task, int *h0, int *h1);

/* ---- of a pass */

/* Whether the layer's output goes to another dense layer alone, so that neither its values nor their gradients are
 * in the edge: forward ends with bias and activation, and backward begins behind the activation. */
bool dfm_dense_feeds(const dfm_dense *dense, const dfm_layer *layer);
/* y = act(x W^T + b) of a block's rows. */
void dfm_dense_forward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1);
/* dx (+)= dz W of a block's rows, from dz in the output's gradient. */
void dfm_dense_backward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1);
/* Rows after which dfm_dense_accumulate is called, before those that follow go forward: what dW is made of is still
 * in the caches then, and room for it is for so many rows. A multiple of the block; the last piece of a batch is
 * dfm_dense_gradient's. 0: there are no pieces. NULL accepted. */
int dfm_dense_piece(const dfm_dense *dense);
/* Adds the piece that starts at row b0 to dW, of gradient task `task`. */
void dfm_dense_accumulate(const dfm_layer *layer, const dfm_pass *pass, int task, int b0);
/* Parts of a number where it multiplies in tiles; else, and of NULL, 0. */
int dfm_dense_parts(const dfm_dense *dense);
/* dW = dz^T x and db += column sums of dz over the whole batch, of gradient task `task`: rows [h0, h1) of W as
 * dfm_dense_task says. */
void dfm_dense_gradient(const dfm_layer *layer, const dfm_pass *pass, int task, float *dw, float *db);

#endif
