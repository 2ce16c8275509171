/* Every model, layer and option: logits against a double-precision reference written from the formulas, and every gradient against central
 * differences of that reference. */
#include <math.h>

#include "base/random.h"
#include "test.h"
#include "train/step.h"

enum { F = 4, D = 3, ROWS = 37 };
static const uint32_t VALUES[F] = {3, 7, 2, 11};

/* One case: recipe settings laid over the base, as "name=value" words, and what fields go into. */
typedef struct dfm_case {
  const char *name;
  const char *settings[8];
  int into[F], number_into[D];
  int width[F];
} dfm_case;

#define ALL \
  { 7, 7, 7, 7 }
#define NUMBERS \
  { 5, 5, 5 }
#define WIDTHS \
  { 3, 3, 3, 3 }
static const dfm_case CASES[] = {
    {"lr", {"model=lr"}, ALL, NUMBERS, WIDTHS},
    {"lr without numbers", {"model=lr"}, ALL, {0, 0, 0}, WIDTHS},
    {"fm", {"model=fm"}, ALL, NUMBERS, WIDTHS},
    {"fm with numbers", {"model=fm"}, ALL, {7, 3, 5}, WIDTHS},
    {"fm on some fields", {"model=fm"}, {3, 1, 2, 7}, {2, 1, 0}, WIDTHS},
    {"deepfm relu", {"model=deepfm", "dnn.hidden=6,5", "dnn.activation=relu"}, ALL, NUMBERS, WIDTHS},
    {"deepfm tanh", {"model=deepfm", "dnn.hidden=6", "dnn.activation=tanh"}, ALL, NUMBERS, WIDTHS},
    {"deepfm sigmoid", {"model=deepfm", "dnn.hidden=6,4,3", "dnn.activation=sigmoid"}, ALL, NUMBERS, WIDTHS},
    {"deepfm no hidden layer", {"model=deepfm", "dnn.hidden="}, ALL, NUMBERS, WIDTHS},
    {"deepfm on some fields",
     {"model=deepfm", "dnn.hidden=5", "dnn.activation=tanh"},
     {7, 3, 5, 6},
     {6, 4, 1},
     {3, 3, 5, 3}},
    {"deepfm batch norm",
     {"model=deepfm", "dnn.hidden=6,5", "dnn.activation=tanh", "dnn.batch_norm=true"},
     ALL,
     NUMBERS,
     WIDTHS},
    {"deepfm batch norm relu", {"model=deepfm", "dnn.hidden=6,5", "dnn.batch_norm=true"}, ALL, NUMBERS, WIDTHS},
    {"deepfm dropout relu", {"model=deepfm", "dnn.hidden=6,5", "dnn.dropout=0.5,0.25"}, ALL, NUMBERS, WIDTHS},
    {"deepfm dropout tanh",
     {"model=deepfm", "dnn.hidden=6,5", "dnn.dropout=0.5", "dnn.activation=tanh"},
     ALL,
     NUMBERS,
     WIDTHS},
    {"deepfm batch norm dropout",
     {"model=deepfm", "dnn.hidden=6,5", "dnn.dropout=0.3", "dnn.activation=sigmoid", "dnn.batch_norm=true"},
     ALL,
     NUMBERS,
     WIDTHS},
};
enum { N_CASES = sizeof CASES / sizeof *CASES };

typedef struct dfm_fixture {
  dfm_recipe *recipe;
  dfm_encoder *encoder;
  dfm_dataset *dataset;
  dfm_stepper *stepper;
  double *weight; /* reference copies: dense, then tables one after the other */
  size_t table_at[F], n;
} dfm_fixture;

static void apply_settings(dfm_recipe *recipe, const dfm_case *test) {
  dfm_error error;
  for (int i = 0; i < 8 && test->settings[i]; i++) {
    char name[64];
    const char *equals = strchr(test->settings[i], '=');
    snprintf(name, sizeof name, "%.*s", (int)(equals - test->settings[i]), test->settings[i]);
    assert_ok(dfm_recipe_set(recipe, name, equals + 1, &error));
  }
}

/* Weights of a size that exercises every branch: all start from normal numbers. */
static void randomise(dfm_fixture *fixture) {
  dfm_stepper *stepper = fixture->stepper;
  float w[16];
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

static void set_up(dfm_fixture *fixture, const dfm_case *test, int batch_size) {
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
  }
  for (int d = 0; d < D; d++) fixture->encoder->number[d].settings.into = test->number_into[d];
  assert_ok(dfm_dataset_synthetic(fixture->encoder, ROWS, 3, &fixture->dataset, &error));
  assert_ok(dfm_stepper_create(fixture->recipe, fixture->dataset, batch_size, 2, &fixture->stepper, &error));
  randomise(fixture);
}

static void tear_down(dfm_fixture *fixture) {
  free(fixture->weight);
  dfm_stepper_free(fixture->stepper);
  dfm_dataset_free(fixture->dataset);
  dfm_encoder_release(fixture->encoder);
  dfm_recipe_free(fixture->recipe);
}

static void copy_weights(dfm_fixture *fixture) {
  const dfm_stepper *stepper = fixture->stepper;
  float scratch[64];
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

static const double *param(const dfm_fixture *fixture, const char *name) {
  const dfm_net *net = fixture->stepper->net;
  for (int i = 0; i < net->n_params; i++)
    if (strcmp(net->param[i].name, name) == 0) return fixture->weight + net->param[i].offset;
  return NULL;
}

static const double *row(const dfm_fixture *fixture, const dfm_batch *batch, int f, int b) {
  static const double nothing[16];
  const uint32_t id = batch->id[f * batch->capacity + b];
  const int n = fixture->stepper->tables->table[f].n;
  return id == DFM_ID_NONE ? nothing : fixture->weight + fixture->table_at[f] + id * (size_t)n;
}

static double linear(const dfm_fixture *fixture, const dfm_batch *batch, int b) {
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
static double fm(const dfm_fixture *fixture, const dfm_batch *batch, int b) {
  double vector[F + D][8], z = 0;
  int n = 0, numbers = 0;
  const int K = 3;
  for (int f = 0; f < F; f++) {
    const int into = fixture->encoder->category[f].settings.into;
    if (!(into & DFM_INTO_FM)) continue;
    for (int k = 0; k < K; k++) vector[n][k] = row(fixture, batch, f, b)[((into & DFM_INTO_LINEAR) != 0) + k];
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

static double activate(int activation, double x) {
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
static int dnn_input(const dfm_fixture *fixture, const dfm_batch *batch, int b, double *x) {
  int n = 0;
  for (int pass = 0; pass < 2; pass++) {
    for (int f = 0; f < F; f++) {
      const dfm_field_settings *settings = &fixture->encoder->category[f].settings;
      if (!(settings->into & DFM_INTO_DNN) || ((settings->into & DFM_INTO_FM) == 0) != pass) continue;
      for (int k = 0; k < settings->width; k++)
        x[n++] = row(fixture, batch, f, b)[(settings->into & DFM_INTO_LINEAR) + k];
    }
  }
  for (int d = 0; d < D; d++)
    if (fixture->encoder->number[d].settings.into & DFM_INTO_DNN) x[n++] = (double)batch->number[b * D + d];
  return n;
}

static void batch_norm(const dfm_fixture *fixture, int layer, double x[ROWS][32], int B, int n) {
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
static void dropout(const dfm_fixture *fixture, int layer, double x[ROWS][32], int B, int n) {
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

static void dnn(const dfm_fixture *fixture, const dfm_batch *batch, double *z) {
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
static double reference(const dfm_fixture *fixture, double *z) {
  const dfm_batch *batch = fixture->stepper->batch;
  const char *model = fixture->recipe->model;
  double loss = 0;
  for (int b = 0; b < batch->rows; b++) {
    z[b] = linear(fixture, batch, b);
    if (strcmp(model, "lr") != 0) z[b] += fm(fixture, batch, b);
  }
  if (strcmp(model, "deepfm") == 0) dnn(fixture, batch, z);
  for (int b = 0; b < batch->rows; b++) {
    loss += (double)batch->weight[b] * (log1p(exp(-fabs(z[b]))) + fmax(z[b], 0) - z[b] * (double)batch->label[b]);
  }
  return loss / batch->rows;
}

static double difference(dfm_fixture *fixture, size_t i) {
  const double h = 1e-5, w = fixture->weight[i];
  double z[ROWS];
  fixture->weight[i] = w + h;
  const double up = reference(fixture, z);
  fixture->weight[i] = w - h;
  const double down = reference(fixture, z);
  fixture->weight[i] = w;
  return (up - down) / (2 * h);
}

/* ---- the tests */

/* Forward, loss and backward of the first step over all rows, without stepping. */
static void run_backward(dfm_fixture *fixture, int rows) {
  dfm_stepper *stepper = fixture->stepper;
  dfm_error error;
  dfm_batch *batch = stepper->batch;
  batch->rows = rows;
  for (int b = 0; b < rows; b++) batch->row[b] = b;
  assert_ok(dfm_dataset_lay_out(fixture->dataset, batch, &error));
  dfm_dataset_fill(fixture->dataset, batch, 0, rows);
  batch->weight[1] = 2.5F;
  batch->id[1 * batch->capacity + 2] = DFM_ID_NONE;
  assert_ok(dfm_optimizer_begin(stepper->optimizer, 1e-3, &error));
  assert_ok(dfm_plans_reserve(stepper->tables, stepper->plans, batch, &error));
  for (int f = 0; f < F; f++) dfm_table_gather(stepper->tables, f, stepper->plans, batch);
  stepper->loss = dfm_executor_train(stepper->executor, stepper->pool, stepper->plans, batch, 1);
  for (int task = 0; task < dfm_executor_tasks(stepper->executor); task++) {
    dfm_span span[2];
    dfm_executor_gradient(stepper->executor, task, span);
  }
}

static void check_logits(dfm_fixture *fixture, const dfm_case *test) {
  double z[ROWS];
  const double loss = reference(fixture, z);
  const float *logits = dfm_executor_logits(fixture->stepper->executor);
  for (int b = 0; b < fixture->stepper->batch->rows; b++) {
    if (fabs(z[b] - (double)logits[b]) > 3e-6)
      fail_msg("%s: logit %d is %.8g, the reference has %.8g", test->name, b, (double)logits[b], z[b]);
  }
  assert_near(fixture->stepper->loss / fixture->stepper->batch->rows, loss, 1e-6);
}

static void check_dense(dfm_fixture *fixture, const dfm_case *test) {
  const dfm_net *net = fixture->stepper->net;
  for (int i = 0; i < net->n_params; i++) {
    const dfm_param *p = &net->param[i];
    for (size_t j = 0; !p->is_statistic && j < p->n; j++) {
      const double expected = difference(fixture, p->offset + j),
                   got = (double)fixture->stepper->dweight[p->offset + j];
      if (fabs(expected - got) > 2e-6 + 1e-5 * fabs(expected)) {
        fail_msg("%s: gradient of %s[%zu] is %.8g, differences give %.8g", test->name, p->name, j, got, expected);
      }
    }
  }
}

static void check_tables(dfm_fixture *fixture, const dfm_case *test) {
  dfm_stepper *stepper = fixture->stepper;
  for (int f = 0; f < F; f++) {
    const dfm_table *table = &stepper->tables->table[f];
    const dfm_table_gradient gradient = dfm_executor_table_gradient(stepper->executor);
    if (table->n == 0) continue;
    dfm_table_accumulate(stepper->tables, f, stepper->plans, &gradient, 0, 1);
    for (int u = 0; u < stepper->plans[f].U; u++) {
      for (int j = 0; j < table->n; j++) {
        const uint32_t id = stepper->plans[f].unique[u];
        const double expected = difference(fixture, fixture->table_at[f] + id * (size_t)table->n + (size_t)j);
        const double got = (double)stepper->plans[f].gradients[u * table->n + j];
        if (fabs(expected - got) > 2e-6 + 1e-5 * fabs(expected)) {
          fail_msg("%s: gradient of table %d row %u[%d] is %.8g, differences give %.8g", test->name, f, id, j, got,
                   expected);
        }
      }
    }
  }
}

static void check_case(const dfm_case *test) {
  dfm_fixture fixture;
  dfm_case clipped = *test; /* clipping makes plans keep their gradients */
  for (int i = 0; i < 8; i++) {
    if (clipped.settings[i]) continue;
    clipped.settings[i] = "optimizer.clip_norm=1";
    break;
  }
  set_up(&fixture, &clipped, ROWS); /* 37 rows: a whole block of 32 and a ragged one */
  run_backward(&fixture, ROWS);
  copy_weights(&fixture);
  check_logits(&fixture, test);
  check_dense(&fixture, test);
  check_tables(&fixture, test);
  tear_down(&fixture);
}

static void test_all_cases(void **state) {
  (void)state;
  for (int i = 0; i < N_CASES; i++) check_case(&CASES[i]);
}

/* A batch of one row under batch norm: running statistics normalise it and stay as they are; the gradient is finite. */
static void test_batch_norm_one_row(void **state) {
  static const dfm_case test = {"one row",
                                {"model=deepfm", "dnn.hidden=6", "dnn.batch_norm=true", "optimizer.clip_norm=1"},
                                ALL,
                                NUMBERS,
                                WIDTHS};
  dfm_fixture fixture;
  (void)state;
  set_up(&fixture, &test, ROWS);
  const dfm_net *net = fixture.stepper->net;
  float before[256];
  assert_true(net->n_weights < 256);
  memcpy(before, fixture.stepper->weight, net->n_weights * sizeof(float));
  dfm_batch *batch = fixture.stepper->batch;
  batch->row[0] = 5;
  dfm_error error;
  assert_ok(dfm_stepper_run(fixture.stepper, fixture.dataset, 1, 1e-3, &error));
  assert_true(isfinite(fixture.stepper->loss));
  for (int i = 0; i < net->n_params; i++) {
    const dfm_param *p = &net->param[i];
    for (size_t j = 0; j < p->n; j++) {
      assert_true(isfinite(fixture.stepper->weight[p->offset + j]));
      if (p->is_statistic) assert_true(fixture.stepper->weight[p->offset + j] == before[p->offset + j]);
    }
  }
  tear_down(&fixture);
}

/* Running mean and variance after one batch: momentum old + (1 - momentum) batch, unbiased. */
static void test_batch_norm_running(void **state) {
  static const dfm_case test = {"running",
                                {"model=deepfm", "dnn.hidden=6", "dnn.batch_norm=true", "dnn.batch_norm_momentum=0.8"},
                                ALL,
                                NUMBERS,
                                WIDTHS};
  dfm_fixture fixture;
  double x[64], mean = 0, variance = 0;
  (void)state;
  set_up(&fixture, &test, ROWS);
  copy_weights(&fixture);
  dfm_batch *batch = fixture.stepper->batch;
  dfm_error error;
  for (int b = 0; b < ROWS; b++) batch->row[b] = b;
  const double *w = param(&fixture, "dnn.0.weight"), old_mean = *param(&fixture, "dnn.0.norm.mean"),
               old_variance = *param(&fixture, "dnn.0.norm.variance");
  assert_ok(dfm_stepper_run(fixture.stepper, fixture.dataset, ROWS, 0, &error));
  double z[ROWS];
  for (int b = 0; b < ROWS; b++) {
    const int n = dnn_input(&fixture, batch, b, x);
    z[b] = w[6 * n];
    for (int i = 0; i < n; i++) z[b] += w[i] * x[i];
    mean += z[b] / ROWS;
  }
  for (int b = 0; b < ROWS; b++) variance += (z[b] - mean) * (z[b] - mean) / (ROWS - 1);
  free(fixture.weight);
  copy_weights(&fixture);
  assert_near(*param(&fixture, "dnn.0.norm.mean"), 0.8 * old_mean + 0.2 * mean, 1e-6);
  assert_near(*param(&fixture, "dnn.0.norm.variance"), 0.8 * old_variance + 0.2 * variance, 1e-6);
  tear_down(&fixture);
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_cases), cmocka_unit_test(test_batch_norm_one_row),
                                            cmocka_unit_test(test_batch_norm_running)};
  return test_main(argc, argv, "gradients", tests, sizeof tests / sizeof *tests);
}
