/* Multiplies of dense layers in tiles: edges and weights come in; edges and gradients go out.
 *
 * Each operand is rounded once, straight into tiles (kernel/tiles.h): weights at the start of a step, inputs in
 * forward, dz in backward. Where one dense layer with relu feeds another, what is between them never becomes float32
 * in memory: the first one's multiply ends in bias, relu and rounding, the second one's backward in relu' and
 * rounding, block by block while the next is multiplied. */
#ifndef DFM_LAYER_DENSE_TILES_H
#define DFM_LAYER_DENSE_TILES_H

#include "layer/dense_multiply.h"

typedef struct dfm_dense_tiles dfm_dense_tiles;

/* Rows per block for batches of up to `capacity` rows. In one part they are more, so that a net's weights come into the
 * second-level cache for more rows; operands in three parts are larger. */
int dfm_dense_tiles_block(int capacity, int parts);

dfm_status dfm_dense_tiles_create(const dfm_dense_settings *settings, dfm_dense_tiles **dense, dfm_error *error);
void dfm_dense_tiles_free(dfm_dense_tiles *dense); /* NULL accepted */
int dfm_dense_tiles_parts(const dfm_dense_tiles *dense);

/* These are what dense_multiply.h says of theirs. */
int dfm_dense_tiles_begin_tasks(const dfm_dense_tiles *dense);
void dfm_dense_tiles_begin_task(const dfm_dense_tiles *dense, const float *weight, int task);
bool dfm_dense_tiles_feeds(const dfm_dense_tiles *dense, const dfm_layer *layer);
void dfm_dense_tiles_forward(const dfm_dense_tiles *dense, const dfm_layer *layer, const dfm_pass *pass, int b0,
                             int b1);
void dfm_dense_tiles_backward(const dfm_dense_tiles *dense, const dfm_layer *layer, const dfm_pass *pass, int b0,
                              int b1);
int dfm_dense_tiles_piece(const dfm_dense_tiles *dense);
void dfm_dense_tiles_accumulate(const dfm_dense_tiles *dense, const dfm_layer *layer, int B, int b0, int h0, int h1,
                                float *dw);
void dfm_dense_tiles_gradient(const dfm_dense_tiles *dense, const dfm_layer *layer, const dfm_pass *pass, int h0,
                              int h1, float *dw, float *db);

#endif
