/* Number embedding: numbers come in; a factor vector per number, scaled by it, goes out: e_d = x_d v_d (Guo et al.,
 * "DeepFM", IJCAI 2017). */
#include "layer/layer.h"
#include "table/partners.h"

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

/* dv_i = sum_b x_i de_i */
static void add_row(const dfm_layer *layer, const dfm_pass *pass, int b, float *dv) {
  const int K = layer->K;
  const float *x = dfm_value(pass, DFM_EDGE_NUMBER, b, 0), *de = dfm_dvalue(pass, layer->out, b, 0);
  for (int i = 0; i < layer->n_in; i++) {
    const float x_i = x[layer->column[i]];
    if (x_i != 0) pass->kernel->axpy(dv + i * K, x_i, de + i * K, (size_t)K);
  }
}

/* The same of field-aware pairs: de_i is dlogit times what the partners keep for i. */
static void add_partners(const dfm_layer *layer, const dfm_pass *pass, float *dv) {
  dfm_columns columns = {.at = pass->columns, .floats = pass->pairs->column_floats};
  for (int i = 0; i < layer->n_in; i++) {
    const float *column = dfm_partners_column(pass->pairs, &columns, i, layer->n_in);
    for (uint32_t b = 0; b < (uint32_t)pass->B; b++) {
      const float x_i = dfm_value(pass, DFM_EDGE_NUMBER, (int)b, 0)[layer->column[i]];
      const float c = x_i * *dfm_dvalue(pass, DFM_EDGE_LOGIT, (int)b, 0);
      if (x_i != 0) dfm_partners_add(pass->kernel, pass->pairs, i, false, column, &b, &c, 1, dv + i * layer->K);
    }
  }
}

static int gradient(const dfm_layer *layer, const dfm_pass *pass, int task, dfm_span span[2]) {
  const dfm_param *param = &pass->net->param[layer->param[0]];
  float *dv = dfm_dweight(pass, layer, 0);
  (void)task;
  for (size_t i = 0; i < param->n; i++) dv[i] = 0;
  if (pass->net->is_field_aware)
    add_partners(layer, pass, dv);
  else
    for (int b = 0; b < pass->B; b++) add_row(layer, pass, b, dv);
  span[0] = (dfm_span){param->offset, param->n, param->part};
  return 1;
}

const dfm_layer_kind dfm_layer_number_embedding = {
    .name = "NumberEmbedding", .forward = forward, .backward = backward, .tasks = tasks, .gradient = gradient};
