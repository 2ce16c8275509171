/* Pairs within lists: the sum of inner products of each list's items comes in (DFM_EDGE_WITHIN, made where items are
 * pooled) and is added to the logit, so that with the fm branch a list's items are fields of their own.
 *
 * For s = sum_p c_p v_p: sum_{p<q} c_p c_q <v_p, v_q> = 1/2 (|s|^2 - sum_p c_p^2 |v_p|^2). Backward adds dlogit s to
 * the gradient of s; what belongs to one item alone, -dlogit c_p^2 v_p, its table takes (table/update.c). In ffm v_p
 * are the factors that the list has for itself, and s comes back as that of a partner. */
#include "layer/layer.h"

static void forward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  (void)layer;
  for (int b = b0; b < b1; b++) *dfm_value(pass, DFM_EDGE_LOGIT, b, 0) += *dfm_value(pass, DFM_EDGE_WITHIN, b, 0);
}

static void backward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  const dfm_net *net = pass->net;
  (void)layer;
  if (net->is_field_aware) return;
  for (int b = b0; b < b1; b++) {
    const float dlogit = *dfm_dvalue(pass, DFM_EDGE_LOGIT, b, 0);
    for (int f = 0; f < net->F; f++) {
      const dfm_net_field *field = &net->field[f];
      if (!field->has_within) continue;
      const int column = field->column + field->within_from;
      pass->kernel->axpy(dfm_dvalue(pass, DFM_EDGE_EMBED, b, column), dlogit,
                         dfm_value(pass, DFM_EDGE_EMBED, b, column), (size_t)net->fm_width);
    }
  }
}

const dfm_layer_kind dfm_layer_within = {.name = "FMWithin", .forward = forward, .backward = backward};
