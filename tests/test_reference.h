/* A reference for nets: a case comes in; a stepper over random rows, and its logits and loss in double precision from
 * the formulas, go out. */
#ifndef DFM_TESTS_TEST_REFERENCE_H
#define DFM_TESTS_TEST_REFERENCE_H

#include <math.h>

#include "base/random.h"
#include "test.h"
#include "train/step.h"

enum { F = 4, D = 3, ROWS = 37 };
static const uint32_t VALUES[F] = {3, 7, 2, 11};

/* What a category field is beside that. */
typedef struct dfm_list_case {
  bool is_list, has_weights, within;
  int pool;
  int share; /* 1 + the field whose table it uses; 0: its own */
} dfm_list_case;

/* One case: recipe settings laid over the base, as "name=value" words, and what fields go into. */
typedef struct dfm_case {
  const char *name;
  const char *settings[8];
  int into[F], number_into[D];
  int width[F];
  dfm_list_case list[F];
} dfm_case;

typedef struct dfm_fixture {
  dfm_recipe *recipe;
  dfm_encoder *encoder;
  dfm_dataset *dataset;
  dfm_stepper *stepper;
  double *weight; /* reference copies: dense, then tables one after the other */
  size_t table_at[F], n;
} dfm_fixture;

static inline void apply_settings(dfm_recipe *recipe, const dfm_case *test) {
  dfm_error error;
  for (int i = 0; i < 8 && test->settings[i]; i++) {
    char name[64];
    const char *equals = strchr(test->settings[i], '=');
    snprintf(name, sizeof name, "%.*s", (int)(equals - test->settings[i]), test->settings[i]);
    assert_ok(dfm_recipe_set(recipe, name, equals + 1, &error));
  }
}

/* Weights of a size that exercises every branch: all start from normal numbers. */
static inline void randomise(dfm_fixture *fixture) {
  dfm_stepper *stepper = fixture->stepper;
  float w[32];
  for (size_t i = 0; i < stepper->net->n_weights; i++) {
    dfm_random_fill_normal(7, i, w, 1);
    stepper->weight[i] = 0.4F * w[0];
  }
  for (int i = 0; i < stepper->net->n_params; i++) { /* a running variance is positive */
    const dfm_param *param = &stepper->net->param[i];
    for (size_t j = 0; strstr(param->name, "variance") && j < param->n; j++) stepper->weight[param->offset + j] = 1.5F;
  }
  for (int f = 0; f < F; f++) {
    const dfm_table *table = &stepper->tables->table[f];
    for (uint32_t id = 0; id < table->V; id++) {
      dfm_random_fill_normal(100 + (uint64_t)f, id, w, (size_t)table->n);
      for (int j = 0; j < table->n; j++) w[j] *= 0.5F;
      dfm_table_set(stepper->tables, f, id, w);
    }
  }
}

static inline void set_list(dfm_category_field *field, const dfm_list_case *list) {
  field->is_list = list->is_list;
  field->settings.weights = list->has_weights ? ':' : 0;
  field->settings.pool = list->pool;
  field->settings.within = list->within;
  if (list->share > 0) field->table = list->share - 1;
}

static inline void set_up(dfm_fixture *fixture, const dfm_case *test, int batch_size) {
  dfm_error error;
  dfm_field_settings number = {0};
  *fixture = (dfm_fixture){0};
  assert_ok(dfm_recipe_create(&fixture->recipe, &error));
  apply_settings(fixture->recipe, test);
  dfm_field_settings category = fixture->recipe->data.category;
  number = fixture->recipe->data.number;
  assert_ok(dfm_encoder_synthetic(F, VALUES, D, &category, &number, &fixture->encoder, &error));
  for (int f = 0; f < F; f++) {
    fixture->encoder->category[f].settings.into = test->into[f];
    fixture->encoder->category[f].settings.width = test->width[f];
    set_list(&fixture->encoder->category[f], &test->list[f]);
  }
  for (int d = 0; d < D; d++) fixture->encoder->number[d].settings.into = test->number_into[d];
  assert_ok(dfm_dataset_synthetic(fixture->encoder, ROWS, DFM_DRAW_POWER, 3, &fixture->dataset, &error));
  assert_ok(dfm_stepper_create(fixture->recipe, fixture->dataset, batch_size, 2, &fixture->stepper, &error));
  randomise(fixture);
}

static inline void tear_down(dfm_fixture *fixture) {
  free(fixture->weight);
  dfm_stepper_free(fixture->stepper);
  dfm_dataset_free(fixture->dataset);
  dfm_encoder_release(fixture->encoder);
  dfm_recipe_free(fixture->recipe);
}

static inline void copy_weights(dfm_fixture *fixture) {
  const dfm_stepper *stepper = fixture->stepper;
  float scratch[128];
  fixture->n = stepper->net->n_weights;
  for (int f = 0; f < F; f++) {
    fixture->table_at[f] = fixture->n;
    fixture->n += (size_t)stepper->tables->table[f].V * (size_t)stepper->tables->table[f].n;
  }
  fixture->weight = calloc(fixture->n, sizeof *fixture->weight);
  for (size_t i = 0; i < stepper->net->n_weights; i++) fixture->weight[i] = (double)stepper->weight[i];
  for (int f = 0; f < F; f++) {
    const dfm_table *table = &stepper->tables->table[f];
    for (uint32_t id = 0; id < table->V; id++) {
      const float *w = dfm_table_read(stepper->tables, f, id, scratch);
      for (int j = 0; j < table->n; j++)
        fixture->weight[fixture->table_at[f] + id * (size_t)table->n + (size_t)j] = (double)w[j];
    }
  }
}

/* ---- the reference: logit = linear + fm + dnn, in double, one row after the other */

static inline const double *param(const dfm_fixture *fixture, const char *name) {
  const dfm_net *net = fixture->stepper->net;
  for (int i = 0; i < net->n_params; i++)
    if (strcmp(net->param[i].name, name) == 0) return fixture->weight + net->param[i].offset;
  return NULL;
}

/* Weights of place `place` of field f, zeros where it has no id. */
static inline const double *item(const dfm_fixture *fixture, int f, uint32_t id) {
  static const double nothing[32];
  const int t = fixture->encoder->category[f].table, n = fixture->stepper->tables->table[t].n;
  return id == DFM_ID_NONE ? nothing : fixture->weight + fixture->table_at[t] + id * (size_t)n;
}

/* The weights of field f in row b, as table rows are: of a list pooled by the definition. */
static inline const double *row(const dfm_fixture *fixture, const dfm_batch *batch, int f, int b) {
  static double pooled[F][32];
  const dfm_category_field *field = &fixture->encoder->category[f];
  const dfm_batch_list *list = &batch->list[f];
  const int n = fixture->stepper->tables->table[field->table].n;
  if (!field->is_list) return item(fixture, f, batch->id[f * batch->capacity + b]);
  for (int j = 0; j < n; j++) {
    int seen = 0;
    pooled[f][j] = 0;
    for (uint32_t p = list->offsets[b]; p < list->offsets[b + 1]; p++) {
      const double value = (double)list->coefficient[p] * item(fixture, f, list->id[p])[j];
      if (list->id[p] == DFM_ID_NONE) continue;
      if (field->settings.pool != DFM_POOL_MAX)
        pooled[f][j] += value;
      else if (seen++ == 0 || value > pooled[f][j])
        pooled[f][j] = value;
    }
  }
  return pooled[f];
}

/* Where the factors start in a row of field f. */
static inline int offset(const dfm_fixture *fixture, int f) {
  return fixture->stepper->net->table[fixture->encoder->category[f].table].first;
}

static inline double linear(const dfm_fixture *fixture, const dfm_batch *batch, int b) {
  double z = *param(fixture, "linear.bias");
  int i = 0;
  for (int f = 0; f < F; f++)
    if (fixture->encoder->category[f].settings.into & DFM_INTO_LINEAR) z += row(fixture, batch, f, b)[0];
  for (int d = 0; d < D; d++) {
    if (!(fixture->encoder->number[d].settings.into & DFM_INTO_LINEAR)) continue;
    z += param(fixture, "linear.number.weight")[i++] * (double)batch->number[b * D + d];
  }
  return z;
}

/* Sum over all pairs, as the definition has it. */
static inline double fm(const dfm_fixture *fixture, const dfm_batch *batch, int b) {
  double vector[64][8], z = 0;
  int n = 0, numbers = 0;
  const int K = 3;
  for (int f = 0; f < F; f++) {
    const int into = fixture->encoder->category[f].settings.into;
    if (!(into & DFM_INTO_FM)) continue;
    const dfm_batch_list *list = &batch->list[f];
    if (fixture->encoder->category[f].settings.within) { /* each item is a field of its own */
      for (uint32_t p = list->offsets[b]; p < list->offsets[b + 1]; p++, n++)
        for (int k = 0; k < K; k++)
          vector[n][k] = (double)list->coefficient[p] * item(fixture, f, list->id[p])[offset(fixture, f) + k];
      continue;
    }
    for (int k = 0; k < K; k++) vector[n][k] = row(fixture, batch, f, b)[offset(fixture, f) + k];
    n++;
  }
  for (int d = 0; d < D; d++) {
    if (!(fixture->encoder->number[d].settings.into & DFM_INTO_FM)) continue;
    for (int k = 0; k < K; k++)
      vector[n][k] = param(fixture, "fm.number.weight")[numbers * K + k] * (double)batch->number[b * D + d];
    n++;
    numbers++;
  }
  for (int i = 0; i < n; i++)
    for (int j = i + 1; j < n; j++)
      for (int k = 0; k < K; k++) z += vector[i][k] * vector[j][k];
  return z;
}

/* Sum over all pairs of features: field f's factors for field g are at f's slot for g, numbers first. */
static inline double ffm(const dfm_fixture *fixture, const dfm_batch *batch, int b) {
  double vector[64][32], z = 0;
  int slot[64], n = 0, slots = 0;
  const int K = 3;
  for (int d = 0; d < D; d++) slots += (fixture->encoder->number[d].settings.into & DFM_INTO_FM) != 0;
  const int numbers = slots;
  for (int f = 0; f < F; f++) slots += (fixture->encoder->category[f].settings.into & DFM_INTO_FM) != 0;
  for (int d = 0; d < D; d++) {
    if (!(fixture->encoder->number[d].settings.into & DFM_INTO_FM)) continue;
    for (int j = 0; j < slots * K; j++)
      vector[n][j] = param(fixture, "ffm.number.weight")[n * slots * K + j] * (double)batch->number[b * D + d];
    slot[n] = n;
    n++;
  }
  for (int f = 0, at = numbers; f < F; f++) {
    if (!(fixture->encoder->category[f].settings.into & DFM_INTO_FM)) continue;
    const dfm_batch_list *list = &batch->list[f];
    if (fixture->encoder->category[f].settings.within) { /* each item is a feature of its own */
      for (uint32_t p = list->offsets[b]; p < list->offsets[b + 1]; p++, n++) {
        for (int j = 0; j < slots * K; j++)
          vector[n][j] = (double)list->coefficient[p] * item(fixture, f, list->id[p])[offset(fixture, f) + j];
        slot[n] = at;
      }
    } else {
      for (int j = 0; j < slots * K; j++) vector[n][j] = row(fixture, batch, f, b)[offset(fixture, f) + j];
      slot[n++] = at;
    }
    at++;
  }
  for (int i = 0; i < n; i++)
    for (int j = i + 1; j < n; j++)
      for (int k = 0; k < K; k++) z += vector[i][slot[j] * K + k] * vector[j][slot[i] * K + k];
  return z;
}

static inline double activate(int activation, double x) {
  switch (activation) {
    case DFM_RELU:
      return x > 0 ? x : 0;
    case DFM_SIGMOID:
      return 1 / (1 + exp(-x));
    case DFM_TANH:
      return tanh(x);
    default:
      return x;
  }
}

/* Input of the dnn: fields that fm sees too, then the others, then numbers. */
static inline int dnn_input(const dfm_fixture *fixture, const dfm_batch *batch, int b, double *x) {
  int n = 0;
  for (int pass = 0; pass < 2; pass++) {
    for (int f = 0; f < F; f++) {
      const dfm_field_settings *settings = &fixture->encoder->category[f].settings;
      if (!(settings->into & DFM_INTO_DNN) || ((settings->into & DFM_INTO_FM) == 0) != pass) continue;
      for (int k = 0; k < settings->width; k++) x[n++] = row(fixture, batch, f, b)[offset(fixture, f) + k];
    }
  }
  for (int d = 0; d < D; d++)
    if (fixture->encoder->number[d].settings.into & DFM_INTO_DNN) x[n++] = (double)batch->number[b * D + d];
  return n;
}

static inline void batch_norm(const dfm_fixture *fixture, int layer, double x[ROWS][32], int B, int n) {
  char name[32];
  snprintf(name, sizeof name, "dnn.%d.norm.gamma", layer);
  const double *gamma = param(fixture, name), *beta = gamma + n;
  for (int i = 0; i < n; i++) {
    double mean = 0, variance = 0;
    for (int b = 0; b < B; b++) mean += x[b][i] / B;
    for (int b = 0; b < B; b++) variance += (x[b][i] - mean) * (x[b][i] - mean) / B;
    for (int b = 0; b < B; b++) {
      x[b][i] = gamma[i] * (x[b][i] - mean) / sqrt(variance + fixture->recipe->dnn.batch_norm_epsilon) + beta[i];
    }
  }
}

/* The mask is data to the reference: what the kernel does to ones. */
static inline void dropout(const dfm_fixture *fixture, int layer, double x[ROWS][32], int B, int n) {
  const dfm_recipe *recipe = fixture->recipe;
  const dfm_net *net = fixture->stepper->net;
  const float rate = (float)recipe->dnn.dropout[recipe->dnn.n_dropout == 1 ? 0 : layer];
  char name[32];
  int index = -1;
  snprintf(name, sizeof name, "dnn.%d.dropout", layer);
  for (int i = 0; i < net->n_layers; i++)
    if (strcmp(net->layer[i].name, name) == 0) index = i;
  const uint64_t key = dfm_random_u64(dfm_random_key(recipe->train.seed, DFM_STREAM_DROPOUT), (uint64_t)index);
  for (int b = 0; b < B; b++) {
    float mask[32];
    for (int i = 0; i < n; i++) mask[i] = 1;
    fixture->stepper->kernel->dropout(mask, n, key, (uint64_t)1 << 32 | (uint32_t)b, rate);
    for (int i = 0; i < n; i++) x[b][i] *= (double)mask[i];
  }
}

static inline void dnn(const dfm_fixture *fixture, const dfm_batch *batch, double *z) {
  const dfm_recipe *recipe = fixture->recipe;
  static double x[ROWS][32], y[ROWS][32];
  char name[32];
  int n = 0;
  for (int b = 0; b < batch->rows; b++) n = dnn_input(fixture, batch, b, x[b]);
  for (int layer = 0; layer < recipe->dnn.n_hidden; layer++) {
    const int units = recipe->dnn.hidden[layer];
    snprintf(name, sizeof name, "dnn.%d.weight", layer);
    const double *w = param(fixture, name), *bias = w + units * n;
    for (int b = 0; b < batch->rows; b++) {
      for (int h = 0; h < units; h++) {
        y[b][h] = bias[h];
        for (int i = 0; i < n; i++) y[b][h] += w[h * n + i] * x[b][i];
      }
    }
    if (recipe->dnn.batch_norm) batch_norm(fixture, layer, y, batch->rows, units);
    for (int b = 0; b < batch->rows; b++)
      for (int h = 0; h < units; h++) x[b][h] = activate(recipe->dnn.activation, y[b][h]);
    n = units;
    if (recipe->dnn.n_dropout > 0) dropout(fixture, layer, x, batch->rows, n);
  }
  const double *w = param(fixture, "dnn.out.weight");
  for (int b = 0; b < batch->rows; b++) {
    z[b] += w[n]; /* its bias */
    for (int i = 0; i < n; i++) z[b] += w[i] * x[b][i];
  }
}

/* Mean log loss; logits into z (B). */
static inline double reference(const dfm_fixture *fixture, double *z) {
  const dfm_batch *batch = fixture->stepper->batch;
  const char *model = fixture->recipe->model;
  double loss = 0;
  for (int b = 0; b < batch->rows; b++) {
    z[b] = linear(fixture, batch, b);
    if (strcmp(model, "ffm") == 0)
      z[b] += ffm(fixture, batch, b);
    else if (strcmp(model, "lr") != 0)
      z[b] += fm(fixture, batch, b);
  }
  if (strcmp(model, "deepfm") == 0) dnn(fixture, batch, z);
  for (int b = 0; b < batch->rows; b++) {
    loss += (double)batch->weight[b] * (log1p(exp(-fabs(z[b]))) + fmax(z[b], 0) - z[b] * (double)batch->label[b]);
  }
  return loss / batch->rows;
}

static inline double difference(dfm_fixture *fixture, size_t i) {
  const double h = 1e-5, w = fixture->weight[i];
  double z[ROWS];
  fixture->weight[i] = w + h;
  const double up = reference(fixture, z);
  fixture->weight[i] = w - h;
  const double down = reference(fixture, z);
  fixture->weight[i] = w;
  return (up - down) / (2 * h);
}

#endif
