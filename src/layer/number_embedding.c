/* Number embedding: numbers come in; a factor vector per number, scaled by it, goes out: e_d = x_d v_d (Guo et al., "DeepFM", IJCAI 2017). */
#include "layer/layer.h"

static void forward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  const int K = layer->K;
  const float *v = dfm_weight(pass, layer, 0);
  for (int b = b0; b < b1; b++) {
    const float *x = dfm_value(pass, DFM_EDGE_NUMBER, b, 0);
    float *e = dfm_value(pass, layer->out, b, 0);
    for (int i = 0; i < layer->n_in; i++)
      for (int k = 0; k < K; k++) e[i * K + k] = x[layer->column[i]] * v[i * K + k];
  }
}

static void backward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  (void)layer, (void)pass, (void)b0, (void)b1; /* numbers are data */
}

static int tasks(const dfm_layer *layer) {
  (void)layer;
  return 1;
}

/* dv_i = sum_b x_i de_i: of field-aware pairs, x_i dlogit times what the partners hold for it. */
static void add_row(const dfm_layer *layer, const dfm_pass *pass, int b, float *dv) {
  const dfm_net *net = pass->net;
  const int K = layer->K;
  const float *x = dfm_value(pass, DFM_EDGE_NUMBER, b, 0), *de = dfm_dvalue(pass, layer->out, b, 0);
  const float dlogit = *dfm_dvalue(pass, DFM_EDGE_LOGIT, b, 0);
  for (int i = 0; i < layer->n_in; i++) {
    const float x_i = x[layer->column[i]], c = x_i * dlogit;
    if (x_i == 0) continue; /* it is absent: there may be no gradient */
    if (net->is_field_aware)
      pass->kernel->ffm_gradient(dv + i * K, pass->row, net->n_slots, net->fm_width, i, false, &(uint32_t){(uint32_t)b},
                                 &c, 1);
    else
      pass->kernel->axpy(dv + i * K, x_i, de + i * K, (size_t)K);
  }
}

static int gradient(const dfm_layer *layer, const dfm_pass *pass, int task, dfm_span span[2]) {
  const dfm_param *param = &pass->net->param[layer->param[0]];
  float *dv = dfm_dweight(pass, layer, 0);
  (void)task;
  for (size_t i = 0; i < param->n; i++) dv[i] = 0;
  for (int b = 0; b < pass->B; b++) add_row(layer, pass, b, dv);
  span[0] = (dfm_span){param->offset, param->n, param->part};
  return 1;
}

const dfm_layer_kind dfm_layer_number_embedding = {
    .name = "NumberEmbedding", .forward = forward, .backward = backward, .tasks = tasks, .gradient = gradient};
