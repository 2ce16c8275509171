/* Activation in place: pre-activations come in, act(.) goes out on the same edge; for nets with batch norm between
 * dense and activation. */
#include "layer/layer.h"

static void forward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  pass->kernel->bias_act(dfm_value(pass, layer->out, b0, 0), b1 - b0, layer->n_out, layer->n_out, NULL,
                         layer->activation);
}

static void backward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  pass->kernel->act_backward(dfm_dvalue(pass, layer->out, b0, 0), dfm_value(pass, layer->out, b0, 0), b1 - b0,
                             layer->n_out, layer->n_out, layer->activation);
}

const dfm_layer_kind dfm_layer_activation = {.name = "Activation", .forward = forward, .backward = backward};
