/* FFM branch: rows of factors come in, K for each partner field; the sum over all pairs of fields is added to the
 * logit.
 *
 * logit += sum_{i<j} <e_i[j], e_j[i]>, e_i[j] the factors that field i has for partner j; de_i[j] = dlogit e_j[i].
 * Juan, Zhuang, Chin, Lin, "Field-aware Factorization Machines for CTR Prediction", RecSys 2016. A number's factors
 * are scaled by it, a list's are sums; fields that are absent take part in no pair. There is nothing to do backward:
 * tables (table/partners.c) and numbers make their gradient from dlogit and their partners' rows. */
#include "layer/layer.h"

static void forward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  for (int b = b0; b < b1; b++)
    *dfm_value(pass, layer->out, b, 0) += pass->kernel->ffm_forward(dfm_slots(pass, b), pass->net->n_slots, layer->K);
}

static void backward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  (void)layer, (void)pass, (void)b0, (void)b1;
}

const dfm_layer_kind dfm_layer_ffm = {.name = "FFM", .forward = forward, .backward = backward};
