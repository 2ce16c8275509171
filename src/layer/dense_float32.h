/* Multiplies of dense layers in float32: edges and weights come in; edges and gradients go out. */
#ifndef DFM_LAYER_DENSE_FLOAT32_H
#define DFM_LAYER_DENSE_FLOAT32_H

#include "layer/dense_multiply.h"

typedef struct dfm_dense_float32 dfm_dense_float32;

dfm_status dfm_dense_float32_create(const dfm_dense_settings *settings, dfm_dense_float32 **dense, dfm_error *error);
void dfm_dense_float32_free(dfm_dense_float32 *dense); /* NULL accepted */

/* These are what dense_multiply.h says of theirs. */
void dfm_dense_float32_begin(dfm_dense_float32 *dense, const float *weight, dfm_pool *pool);
void dfm_dense_float32_forward(const dfm_dense_float32 *dense, const dfm_layer *layer, const dfm_pass *pass, int b0,
                               int b1);
void dfm_dense_float32_backward(const dfm_dense_float32 *dense, const dfm_layer *layer, const dfm_pass *pass, int b0,
                                int b1);
void dfm_dense_float32_gradient(const dfm_layer *layer, const dfm_pass *pass, int h0, int h1, float *dw, float *db);

#endif
