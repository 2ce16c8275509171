/* Every model, layer and option: logits against a double-precision reference written from the formulas, and every
 * gradient against central differences of that reference. */
#include "layer/executor_inside.h"
#include "table/partners.h"
#include "test_reference.h"

#define ALL \
  { 7, 7, 7, 7 }
#define NUMBERS \
  { 5, 5, 5 }
#define WIDTHS \
  { 3, 3, 3, 3 }
#define NO_LISTS \
  {              \
    { 0 }        \
  }
static const dfm_case CASES[] = {
    {"lr", {"model=lr"}, ALL, NUMBERS, WIDTHS, NO_LISTS},
    {"lr without numbers", {"model=lr"}, ALL, {0, 0, 0}, WIDTHS, NO_LISTS},
    {"fm", {"model=fm"}, ALL, NUMBERS, WIDTHS, NO_LISTS},
    {"fm with numbers", {"model=fm"}, ALL, {7, 3, 5}, WIDTHS, NO_LISTS},
    {"fm of numbers alone", {"model=fm", "embedding.width=3"}, {1, 1, 1, 1}, {7, 3, 3}, WIDTHS, NO_LISTS},
    {"fm of a list alone",
     {"model=fm"},
     {1, 1, 2, 1},
     {1, 1, 1},
     WIDTHS,
     {{0}, {0}, {true, true, false, DFM_POOL_SUM, 0}}},
    {"fm on some fields", {"model=fm"}, {3, 1, 2, 7}, {2, 1, 0}, WIDTHS, NO_LISTS},
    {"deepfm relu", {"model=deepfm", "dnn.hidden=6,5", "dnn.activation=relu"}, ALL, NUMBERS, WIDTHS, NO_LISTS},
    {"deepfm tanh", {"model=deepfm", "dnn.hidden=6", "dnn.activation=tanh"}, ALL, NUMBERS, WIDTHS, NO_LISTS},
    {"deepfm sigmoid", {"model=deepfm", "dnn.hidden=6,4,3", "dnn.activation=sigmoid"}, ALL, NUMBERS, WIDTHS, NO_LISTS},
    {"deepfm no hidden layer", {"model=deepfm", "dnn.hidden="}, ALL, NUMBERS, WIDTHS, NO_LISTS},
    {"deepfm on some fields",
     {"model=deepfm", "dnn.hidden=5", "dnn.activation=tanh"},
     {7, 3, 5, 6},
     {6, 4, 1},
     {3, 3, 5, 3},
     NO_LISTS},
    {"deepfm batch norm",
     {"model=deepfm", "dnn.hidden=6,5", "dnn.activation=tanh", "dnn.batch_norm=true"},
     ALL,
     NUMBERS,
     WIDTHS,
     NO_LISTS},
    {"deepfm batch norm relu",
     {"model=deepfm", "dnn.hidden=6,5", "dnn.batch_norm=true"},
     ALL,
     NUMBERS,
     WIDTHS,
     NO_LISTS},
    {"deepfm dropout relu", {"model=deepfm", "dnn.hidden=6,5", "dnn.dropout=0.5,0.25"}, ALL, NUMBERS, WIDTHS, NO_LISTS},
    {"deepfm dropout tanh",
     {"model=deepfm", "dnn.hidden=6,5", "dnn.dropout=0.5", "dnn.activation=tanh"},
     ALL,
     NUMBERS,
     WIDTHS,
     NO_LISTS},
    {"deepfm batch norm dropout",
     {"model=deepfm", "dnn.hidden=6,5", "dnn.dropout=0.3", "dnn.activation=sigmoid", "dnn.batch_norm=true"},
     ALL,
     NUMBERS,
     WIDTHS,
     NO_LISTS},
    {"lr lists",
     {"model=lr", "l2.linear=0"},
     ALL,
     NUMBERS,
     WIDTHS,
     {{true, true, false, DFM_POOL_SUM, 0},
      {true, false, false, DFM_POOL_MEAN, 0},
      {0},
      {true, true, false, DFM_POOL_MAX, 0}}},
    {"fm sums",
     {"model=fm"},
     ALL,
     NUMBERS,
     WIDTHS,
     {{0}, {true, true, false, DFM_POOL_SUM, 0}, {0}, {true, false, false, DFM_POOL_SUM, 0}}},
    {"fm within lists",
     {"model=fm"},
     {7, 7, 3, 2},
     {7, 3, 5},
     WIDTHS,
     {{true, true, true, DFM_POOL_SUM, 0},
      {0},
      {true, false, false, DFM_POOL_MEAN, 0},
      {true, false, true, DFM_POOL_SUM, 0}}},
    {"deepfm means and maxima",
     {"model=deepfm", "dnn.hidden=6,5", "dnn.activation=tanh"},
     {7, 6, 4, 7},
     NUMBERS,
     WIDTHS,
     {{true, true, false, DFM_POOL_MEAN, 0},
      {true, true, false, DFM_POOL_MAX, 0},
      {true, false, false, DFM_POOL_MAX, 0},
      {0}}},
    {"deepfm within lists",
     {"model=deepfm", "dnn.hidden=6", "dnn.activation=tanh"},
     ALL,
     NUMBERS,
     WIDTHS,
     {{0}, {true, true, true, DFM_POOL_SUM, 0}, {0}, {true, true, true, DFM_POOL_SUM, 0}}},
    {"ffm", {"model=ffm"}, ALL, NUMBERS, WIDTHS, NO_LISTS},
    {"ffm with numbers", {"model=ffm"}, ALL, {7, 3, 5}, WIDTHS, NO_LISTS},
    {"ffm on some fields", {"model=ffm"}, {3, 1, 2, 7}, {2, 1, 0}, WIDTHS, NO_LISTS},
    {"ffm lists",
     {"model=ffm"},
     ALL,
     {7, 5, 5},
     WIDTHS,
     {{true, true, false, DFM_POOL_SUM, 0},
      {true, false, false, DFM_POOL_MEAN, 0},
      {0},
      {true, true, false, DFM_POOL_MAX, 0}}},
    {"ffm within lists",
     {"model=ffm"},
     ALL,
     {7, 5, 5},
     WIDTHS,
     {{0}, {true, true, true, DFM_POOL_SUM, 0}, {true, false, true, DFM_POOL_SUM, 0}, {0}}},
    {"ffm shared tables",
     {"model=ffm"},
     ALL,
     NUMBERS,
     WIDTHS,
     {{.share = 2}, {true, true, true, DFM_POOL_SUM, 0}, {true, true, true, DFM_POOL_SUM, .share = 2}, {.share = 2}}},
    {"fm shared tables of single values",
     {"model=fm"},
     ALL,
     {7, 5, 5},
     WIDTHS,
     {{0}, {.share = 1}, {0}, {true, true, true, DFM_POOL_SUM, .share = 3}}},
    {"fm shared tables",
     {"model=fm"},
     ALL,
     NUMBERS,
     WIDTHS,
     {{0}, {.share = 1}, {true, true, true, DFM_POOL_SUM, .share = 4}, {true, true, false, DFM_POOL_MAX, 0}}},
    {"deepfm shared tables in different branches",
     {"model=deepfm", "dnn.hidden=6", "dnn.activation=tanh"},
     {3, 4, 7, 2},
     NUMBERS,
     WIDTHS,
     {{true, false, false, DFM_POOL_MEAN, .share = 2},
      {0},
      {true, true, false, DFM_POOL_MAX, .share = 2},
      {.share = 2}}},
};
enum { N_CASES = sizeof CASES / sizeof *CASES };

/* ---- the tests */

/* What an earlier batch left where fm's sums go must not be seen. */
static void spoil_sums(const dfm_stepper *stepper) {
  const dfm_pass *pass = &stepper->executor->pass;
  const int edge = stepper->net->fm_sums;
  if (edge < DFM_EDGES_FIXED) return;
  for (int i = 0; i < stepper->batch->rows * stepper->net->edge_n[edge]; i++) pass->value[edge][i] = NAN;
}

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
  for (int f = 0; f < F; f++)
    if (batch->list[f].offsets) batch->list[f].id[3] = DFM_ID_NONE;
  batch->id[1 * batch->capacity + 2] = DFM_ID_NONE;
  assert_ok(dfm_optimizer_begin(stepper->optimizer, 1e-3, &error));
  assert_ok(dfm_plans_reserve(stepper->tables, stepper->plans, batch, &error));
  dfm_stepper_gather(stepper);
  spoil_sums(stepper);
  assert_ok(dfm_executor_train(stepper->executor, stepper->pool, stepper->plans, batch, 1, &stepper->loss, &error));
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
  const dfm_table_gradient gradient = dfm_executor_table_gradient(stepper->executor);
  float *columns = calloc(DFM_COLUMNS * gradient.pairs.column_floats + 1, sizeof *columns);
  assert_non_null(columns);
  for (int f = 0; f < F; f++) {
    const dfm_table *table = &stepper->tables->table[f];
    if (table->n == 0) continue;
    dfm_table_accumulate(stepper->tables, f, stepper->plans, &gradient, columns);
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
  free(columns);
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
  static const dfm_case test = {
      "one row", {"model=deepfm", "dnn.hidden=6", "dnn.batch_norm=true", "optimizer.clip_norm=1"}, ALL, NUMBERS, WIDTHS,
      NO_LISTS};
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
  static const dfm_case test = {
      "running", {"model=deepfm", "dnn.hidden=6", "dnn.batch_norm=true", "dnn.batch_norm_momentum=0.8"},
      ALL,       NUMBERS,
      WIDTHS,    NO_LISTS};
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
