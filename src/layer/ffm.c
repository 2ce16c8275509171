/* FFM branch: rows of factors come in, K for each partner field; the sum over all pairs of fields is added to the logit.
 *
 * logit += sum_{i<j} <e_i[j], e_j[i]>, e_i[j] the factors that field i has for partner j; de_i[j] = dlogit e_j[i].
 * Juan, Zhuang, Chin, Lin, "Field-aware Factorization Machines for CTR Prediction", RecSys 2016. A number's factors are scaled by it, a list's
 * are sums; fields that are absent take part in no pair. Gradients go to EMBED's, (n_slots, n_slots, K) a row. */
#include "layer/layer.h"

static void forward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  for (int b = b0; b < b1; b++)
    *dfm_value(pass, layer->out, b, 0) += pass->kernel->ffm_forward(dfm_slots(pass, b), pass->net->n_slots, layer->K);
}

static void backward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  for (int b = b0; b < b1; b++)
    pass->kernel->ffm_backward(dfm_dvalue(pass, layer->in, b, 0), dfm_slots(pass, b), pass->net->n_slots, layer->K,
                               *dfm_dvalue(pass, layer->out, b, 0));
}

const dfm_layer_kind dfm_layer_ffm = {.name = "FFM", .forward = forward, .backward = backward};
