/* The seed model in Keras, number by number: from its weights w0 the logits, and the weights after 1, 3 and 10 Adam
 * steps, are Keras's. */
#include <math.h>

#include "test.h"
#include "train/step.h"

enum { CATEGORIES = 26, NUMBERS = 13, K = 4, HIDDEN = 256 };

typedef struct dfm_parity {
  dfm_recipe *recipe;
  dfm_dataset *train, *valid;
  dfm_stepper *stepper;
  dfm_st_file *keras;
} dfm_parity;

static const float *keras(const dfm_parity *parity, const char *prefix, const char *name) {
  char key[64];
  snprintf(key, sizeof key, "%s%s", prefix, name);
  const dfm_tensor *tensor = dfm_st_tensor(parity->keras, key);
  if (!tensor) fail_msg("the parity file lacks %s", key);
  return tensor->data;
}

/* Keras keeps weights as (in, out), this project as (out, in). */
static void transpose(const float *in, int rows, int cols, float *out) {
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < cols; j++) out[j * rows + i] = in[i * cols + j];
}

static size_t param_offset(const dfm_parity *parity, const char *name) {
  const dfm_net *net = parity->stepper->net;
  for (int i = 0; i < net->n_params; i++)
    if (strcmp(net->param[i].name, name) == 0) return net->param[i].offset;
  fail_msg("the model has no parameter %s", name);
  return 0;
}

/* The dense weights of Keras after N steps, laid out as the net has them. */
static void keras_dense(const dfm_parity *parity, const char *prefix, float *weight) {
  char name[32];
  int n_in = CATEGORIES * K;
  memcpy(weight + param_offset(parity, "linear.bias"), keras(parity, prefix, "linear_dense_b"), sizeof(float));
  memcpy(weight + param_offset(parity, "linear.number.weight"), keras(parity, prefix, "linear_dense_w"),
         NUMBERS * sizeof(float));
  for (int i = 0; i < 3; i++, n_in = HIDDEN) {
    snprintf(name, sizeof name, "dnn_%d_w", i);
    const float *w = keras(parity, prefix, name);
    snprintf(name, sizeof name, "dnn.%d.weight", i);
    transpose(w, n_in, HIDDEN, weight + param_offset(parity, name));
    snprintf(name, sizeof name, "dnn_%d_b", i);
    const float *bias = keras(parity, prefix, name);
    snprintf(name, sizeof name, "dnn.%d.bias", i);
    memcpy(weight + param_offset(parity, name), bias, HIDDEN * sizeof(float));
  }
  memcpy(weight + param_offset(parity, "dnn.out.weight"), keras(parity, prefix, "dnn_out_w"), HIDDEN * sizeof(float));
  memcpy(weight + param_offset(parity, "dnn.out.bias"), keras(parity, prefix, "dnn_out_b"), sizeof(float));
}

static uint32_t keras_row(const dfm_parity *parity, int f) {
  return ((const uint32_t *)dfm_st_tensor(parity->keras, "offset")->data)[f];
}

static void start_from_w0(dfm_parity *parity) {
  const float *first = keras(parity, "w0/", "lin_emb"), *factors = keras(parity, "w0/", "emb");
  keras_dense(parity, "w0/", parity->stepper->weight);
  for (int f = 0; f < CATEGORIES; f++) {
    for (uint32_t id = 0; id < parity->stepper->tables->table[f].V; id++) {
      const size_t at = keras_row(parity, f) + id;
      float w[1 + K] = {first[at]};
      memcpy(w + 1, factors + at * K, K * sizeof(float));
      dfm_table_set(parity->stepper->tables, f, id, w);
    }
  }
}

/* false: the data is not there and the test is skipped. */
static bool set_up(dfm_parity *parity, const char *batch_size) {
  dfm_schema *schema = NULL;
  dfm_error error;
  char rows[4096], npz[4096], command[12400];
  *parity = (dfm_parity){0};
  const char *path = test_data("criteo_sample/criteo_sample.txt");
  if (!path) return false;
  strcpy(rows, path);
  if (!(path = test_data("parity/keras_parity.npz"))) return false;
  strcpy(npz, path);
  const char *converted = test_path("parity.safetensors");
  snprintf(command, sizeof command, "python3 '%s/tests/tools/npz_to_safetensors.py' '%s' '%s'", DFM_SOURCE_DIR, npz,
           converted);
  assert_int_equal(system(command), 0);
  assert_ok(dfm_st_open(converted, &parity->keras, &error));
  assert_ok(test_schema_guess(rows, NULL, &schema, &error));
  assert_ok(dfm_recipe_create(&parity->recipe, &error));
  assert_ok(dfm_recipe_load(parity->recipe, DFM_SOURCE_DIR "/recipes/criteo_sample.yaml", &error));
  assert_ok(dfm_recipe_set(parity->recipe, "dnn.dropout", "0", &error));
  assert_ok(dfm_recipe_set(parity->recipe, "train.batch_size", batch_size, &error));
  assert_ok(test_dataset_read_train(rows, NULL, schema, parity->recipe, &parity->train, &parity->valid, &error));
  assert_ok(
      dfm_stepper_create(parity->recipe, parity->train, parity->recipe->train.batch_size, 2, &parity->stepper, &error));
  dfm_schema_free(schema);
  start_from_w0(parity);
  return true;
}

static void tear_down(dfm_parity *parity) {
  dfm_stepper_free(parity->stepper);
  dfm_dataset_free(parity->train);
  dfm_dataset_free(parity->valid);
  dfm_recipe_free(parity->recipe);
  dfm_st_close(parity->keras);
}

static void check_logits(dfm_parity *parity, const dfm_dataset *rows, const float *expected) {
  dfm_error error;
  const int n = (int)dfm_dataset_rows(rows);
  for (int b = 0; b < n; b++) parity->stepper->batch->row[b] = b;
  assert_ok(dfm_stepper_run(parity->stepper, rows, n, 0, &error)); /* a rate of 0 moves no weight */
  for (int b = 0; b < n; b++) assert_near(dfm_executor_logits(parity->stepper->executor)[b], expected[b], 3e-6);
}

static void test_logits(void **state) {
  dfm_parity parity;
  (void)state;
  if (!set_up(&parity, "200")) return;
  assert_int_equal(dfm_dataset_rows(parity.train), 140);
  assert_int_equal(dfm_net_parameters(parity.stepper->net, parity.stepper->encoder), 170125);
  const float *logits = keras(&parity, "", "logits_init");
  check_logits(&parity, parity.train, logits);
  check_logits(&parity, parity.valid, logits + 140);
  tear_down(&parity);
}

/* Ids and numbers as the tutorial encodes them. */
static void test_encoding(void **state) {
  dfm_parity parity;
  (void)state;
  if (!set_up(&parity, "200")) return;
  const uint32_t *sparse = dfm_st_tensor(parity.keras, "sparse")->data;
  const float *dense = keras(&parity, "", "dense");
  dfm_batch *batch = parity.stepper->batch;
  for (int part = 0; part < 2; part++) {
    const dfm_dataset *rows = part ? parity.valid : parity.train;
    const int n = (int)dfm_dataset_rows(rows), from = part ? 140 : 0;
    for (int b = 0; b < n; b++) batch->row[b] = b;
    dfm_dataset_fill(rows, batch, 0, n);
    for (int b = 0; b < n; b++) {
      for (int f = 0; f < CATEGORIES; f++)
        assert_int_equal(batch->id[f * batch->capacity + b], sparse[(from + b) * CATEGORIES + f]);
      for (int d = 0; d < NUMBERS; d++)
        assert_near(batch->number[b * NUMBERS + d], dense[(from + b) * NUMBERS + d], 1e-6);
    }
  }
  tear_down(&parity);
}

static void check_weights(const dfm_parity *parity, const char *prefix) {
  const dfm_stepper *stepper = parity->stepper;
  float *dense = calloc(stepper->net->n_weights, sizeof *dense), scratch[3 * (1 + K)];
  const float *first = keras(parity, prefix, "lin_emb"), *factors = keras(parity, prefix, "emb");
  keras_dense(parity, prefix, dense);
  for (size_t i = 0; i < stepper->net->n_weights; i++) assert_near(stepper->weight[i], dense[i], 5e-6);
  free(dense);
  for (int f = 0; f < CATEGORIES; f++) {
    for (uint32_t id = 0; id < stepper->tables->table[f].V; id++) {
      const float *w = dfm_table_read(stepper->tables, f, id, scratch);
      const size_t at = keras_row(parity, f) + id;
      assert_near(w[0], first[at], 5e-6);
      for (int k = 0; k < K; k++) assert_near(w[1 + k], factors[at * K + (size_t)k], 5e-6);
    }
  }
}

static void test_steps(void **state) {
  dfm_parity parity;
  dfm_error error;
  (void)state;
  if (!set_up(&parity, "64")) return;
  const dfm_tensor *losses = dfm_st_tensor(parity.keras, "losses");
  for (int step = 0; step < 10; step++) { /* batches in file order: rows 0-63, 64-127, 128-139, 0-63, ... */
    const int from = step % 3 * 64, n = step % 3 == 2 ? 12 : 64;
    for (int b = 0; b < n; b++) parity.stepper->batch->row[b] = from + b;
    assert_ok(dfm_stepper_run(parity.stepper, parity.train, n, 1e-3, &error));
    assert_near(parity.stepper->loss / n, ((const float *)losses->data)[step], 1e-5);
    if (step == 0) check_weights(&parity, "w1/");
    if (step == 2) check_weights(&parity, "w3/");
    if (step == 9) check_weights(&parity, "w10/");
  }
  tear_down(&parity);
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {cmocka_unit_test(test_encoding), cmocka_unit_test(test_logits),
                                            cmocka_unit_test(test_steps)};
  return test_main(argc, argv, "parity", tests, sizeof tests / sizeof *tests);
}
