/* Dense layers in bfloat16: a layer's float32 edges and weights come in; its three multiplies, with operands rounded to
 * bfloat16 and sums in float32, go out to float32 edges and gradients.
 *
 * Each operand is rounded once: weights at the start of a step, inputs in forward, dz in backward (as it is for dx,
 * transposed for dW). Where the CPU has bfloat16, oneDNN multiplies, with weights packed once a step; elsewhere the
 * kernels' plain multiply does, which gives the same bits on every CPU. */
#ifndef DFM_LAYER_DENSE_BF16_H
#define DFM_LAYER_DENSE_BF16_H

#include "layer/layer.h"

/* Rows of W per gradient task at most: enough for a matrix multiply to run at full speed, few enough to share out. */
enum { DFM_DENSE_TASK_ROWS = 128 };

typedef struct dfm_bf16 dfm_bf16;

/* For all dense layers of the pass's net, and batches of up to `capacity` rows; edges hold whole blocks. */
dfm_status dfm_bf16_create(const dfm_pass *pass, int capacity, dfm_pool *pool, dfm_bf16 **bf16, dfm_error *error);
void dfm_bf16_free(dfm_bf16 *bf16); /* NULL accepted */

/* Rounds and packs the weights as they are now: at the start of each step. */
void dfm_bf16_begin(dfm_bf16 *bf16, const dfm_pass *pass, dfm_pool *pool);

/* y = x W^T of a block's rows. */
void dfm_bf16_forward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1);
/* dx (+)= dz W of a block's rows, from dz in the output's gradient. */
void dfm_bf16_backward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1);
/* dW = dz^T x over the whole batch, of gradient task `task`: rows [h0, h1) of W as dfm_bf16_task says. */
void dfm_bf16_gradient(const dfm_layer *layer, const dfm_pass *pass, int task, float *dw);
/* Gradient tasks own whole tiles of 16 rows of W, the last one what is left. */
void dfm_bf16_task(const dfm_layer *layer, int task, int *h0, int *h1);

#endif
