/* FM branch: embeddings come in; the sum of the inner products of all pairs of fields is added to the logit.
 *
 * logit += sum_{i<j} <e_i, e_j> = 1/2 sum_k ((sum_f e_fk)^2 - sum_f e_fk^2); de_fk = dlogit (sum_f e_fk - e_fk).
 * Rendle, "Factorization Machines", ICDM 2010. The sums are kept in the scratch edge (B, K) for backward.
 *
 * Where rows are read where they lie (net->n_slots > 0), the gradient of the sums is all that is handed back for
 * them: their table takes dlogit e_f away itself. */
#include "data/schema.h"
#include "layer/layer.h"

/* The same where most fields come as their sum t, less half of their squares in the first-order weights: with r the
 * sum of the others, whose pairs p are added up as usual, the pairs of all are p + <t, r> + 1/2 |t|^2. */
static void forward_sums(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  const int K = layer->K, others = pass->net->n_slots - pass->net->n_summed;
  float r[DFM_MAX_FIELD_WIDTH];
  for (int b = b0; b < b1; b++) {
    float *sum = dfm_value(pass, layer->scratch, b, 0), *logit = dfm_value(pass, layer->out, b, 0);
    *logit += 0.5F * pass->kernel->dot(sum, sum, (size_t)K);
    if (others == 0) continue;
    *logit += pass->kernel->fm_rows(dfm_slots(pass, b), others, K, r) + pass->kernel->dot(sum, r, (size_t)K);
    pass->kernel->add(sum, r, (size_t)K);
  }
}

static void forward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  const int K = layer->K, F = layer->n_in / K, slots = pass->net->n_slots;
  if (pass->table_sums && pass->net->n_summed > 0) {
    forward_sums(layer, pass, b0, b1);
    return;
  }
  for (int b = b0; b < b1; b++) {
    float *sum = dfm_value(pass, layer->scratch, b, 0), *logit = dfm_value(pass, layer->out, b, 0);
    *logit += slots > 0 ? pass->kernel->fm_rows(dfm_slots(pass, b), slots, K, sum)
                        : pass->kernel->fm_forward(dfm_value(pass, layer->in, b, layer->from), F, K, sum);
  }
}

static void backward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  const int K = layer->K, F = layer->n_in / K;
  for (int b = b0; b < b1; b++) {
    const float *sum = dfm_value(pass, layer->scratch, b, 0), dlogit = *dfm_dvalue(pass, layer->out, b, 0);
    float *dsum = dfm_dvalue(pass, layer->scratch, b, 0);
    if (F > 0)
      pass->kernel->fm_backward(dfm_dvalue(pass, layer->in, b, layer->from), dfm_value(pass, layer->in, b, layer->from),
                                F, K, sum, dlogit);
    for (int k = 0; pass->net->n_slots > 0 && k < K; k++) dsum[k] = dlogit * sum[k];
  }
}

const dfm_layer_kind dfm_layer_fm = {.name = "FM", .forward = forward, .backward = backward};
