/* Training as a whole: the same bytes at any number of threads, evaluation that changes nothing, resume, exact against
 * swept tables, learning. */
#include <math.h>

#include "test_training.h"
#include "train/run.h"

static const char *const CLIPPED[] = {"model=deepfm",
                                      "dnn.hidden=24",
                                      "optimizer.clip_norm=0.05",
                                      "l2.embedding=0.001",
                                      "l2.linear=0.001",
                                      "l2.dnn=0.001",
                                      "train.batch_size=300",
                                      "train.epochs=2",
                                      "data.number_into=linear,fm,dnn",
                                      NULL};
/* FULL in bfloat16, and clipped: batches that end within a block and a chunk, layers that end within a tile. */
static const char *const BF16[] = {"model=deepfm",         "precision=bf16",        "embedding.width=5",
                                   "dnn.hidden=40,17",     "dnn.dropout=0.3",       "dnn.batch_norm=true",
                                   "train.batch_size=700", "train.epochs=3",        "validation.random=0.2",
                                   "l2.dnn=0.001",         "optimizer.clip_norm=1", NULL};
/* Layers that feed each other; batches of several pieces, whose size differs with the threads. */
static const char *const BF16_FED[] = {"model=deepfm",          "precision=bf16", "dnn.hidden=70,40,33",
                                       "train.batch_size=1400", "train.epochs=2", NULL};
/* A last block of which most is beyond the batch; in float32 blocks are of 48 rows here, in bfloat16 of 128. */
static const char *const ODD_BLOCKS[] = {"model=deepfm", "dnn.hidden=20,20", "train.batch_size=640", "train.epochs=2",
                                         NULL};
static const char *const ADAGRAD[] = {
    "model=fm", "optimizer.name=adagrad", "optimizer.learning_rate=0.05", "train.batch_size=300", "train.epochs=2",
    NULL};
static const char *const FFM[] = {"model=ffm",
                                  "optimizer.name=adagrad",
                                  "optimizer.learning_rate=0.05",
                                  "embedding.width=4",
                                  "train.batch_size=300",
                                  "train.epochs=2",
                                  "data.number_into=linear,fm",
                                  "data.unknown_rate=0.05",
                                  NULL};
static const char *const LAZY[] = {"model=fm", "optimizer.update=lazy", "train.batch_size=100", "train.epochs=2", NULL};
static const char *const LR[] = {"model=lr",           "train.batch_size=64",         "train.epochs=2",
                                 "optimizer.name=sgd", "optimizer.learning_rate=0.1", NULL};
static const char *const LBFGS[] = {"model=lr", "optimizer.name=lbfgs", "l2.linear=0.01", NULL};

static void check_threads(const char *rows, const char *const *settings) {
  static const int threads[] = {1, 2, 3, 8, 2};
  dfm_setup setup;
  set_up(&setup, rows, settings);
  for (int i = 0; i < 5; i++) {
    train(&setup, &(dfm_run_options){.model_path = test_path(i ? "other.safetensors" : "one.safetensors"),
                                     .threads = threads[i]});
    if (i && !same_bytes(test_path("one.safetensors"), test_path("other.safetensors"))) {
      fail_msg("%s %s: %d threads give other bytes than 1", settings[0], settings[1], threads[i]);
    }
  }
  tear_down(&setup);
}

static void test_threads(void **state) {
  static const char *const *const all[] = {FULL, CLIPPED, BF16, BF16_FED, ODD_BLOCKS, ADAGRAD, FFM, LAZY, LR, LBFGS};
  const char *rows = make_rows("rows.csv", ROWS, 0);
  (void)state;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) check_threads(rows, all[i]);
}

static void test_evaluation_changes_nothing(void **state) {
  dfm_setup setup;
  (void)state;
  set_up(&setup, make_rows("rows.csv", ROWS, 0), FULL);
  train(&setup, &(dfm_run_options){.model_path = test_path("one.safetensors"), .threads = 2});
  train(&setup, &(dfm_run_options){.model_path = test_path("two.safetensors"),
                                   .threads = 2,
                                   .eval_every = 1,
                                   .checkpoint_path = test_path("check.safetensors"),
                                   .checkpoint_every = 2});
  assert_true(same_bytes(test_path("one.safetensors"), test_path("two.safetensors")));
  tear_down(&setup);
}

typedef struct dfm_stop {
  int64_t at;
} dfm_stop;

static bool stop_at(void *context, const dfm_progress *progress) {
  return progress->step >= ((dfm_stop *)context)->at;
}

static void check_resume(const char *rows, const char *const *settings) {
  dfm_setup setup;
  set_up(&setup, rows, settings);
  const dfm_run_result whole =
      train(&setup, &(dfm_run_options){.model_path = test_path("whole.safetensors"), .threads = 2});
  for (int64_t stop = 1; stop < whole.steps; stop += 3) {
    dfm_stop context = {stop};
    train(&setup, &(dfm_run_options){.model_path = test_path("part.safetensors"),
                                     .threads = 2,
                                     .checkpoint_path = test_path("check.safetensors"),
                                     .on_progress = stop_at,
                                     .context = &context});
    train(&setup, &(dfm_run_options){.model_path = test_path("part.safetensors"),
                                     .threads = 1,
                                     .resume_path = test_path("check.safetensors")});
    if (!same_bytes(test_path("whole.safetensors"), test_path("part.safetensors"))) {
      fail_msg("%s %s: stopped after step %lld and resumed, the model differs", settings[0], settings[1],
               (long long)stop);
    }
  }
  tear_down(&setup);
}

static void test_resume(void **state) {
  static const char *const *const some[] = {FULL, CLIPPED, BF16, ADAGRAD, FFM};
  const char *rows = make_rows("rows.csv", ROWS, 0);
  (void)state;
  for (size_t i = 0; i < sizeof some / sizeof *some; i++) check_resume(rows, some[i]);
}

/* A run that has come to its end, by patience or by a limit of steps, ends as it did when it is resumed: no step
 * more. */
static void test_resume_of_a_finished_run(void **state) {
  static const char *const early[] = {
      "model=fm", "optimizer.learning_rate=0.2", "train.batch_size=100", "train.patience=2", "train.epochs=50", NULL};
  static const char *const limited[] = {"model=fm", "train.batch_size=100", "train.max_steps=40", NULL};
  static const char *const kept_last[] = {"model=fm", "train.batch_size=300", "train.epochs=3", "train.keep=last",
                                          NULL};
  static const char *const *const all[] = {early, limited, kept_last, LBFGS};
  const char *rows = make_rows("rows.csv", ROWS, 0);
  (void)state;
  for (int i = 0; i < 7; i++) { /* checkpoints at each epoch's end, and after each step */
    dfm_setup setup;
    set_up(&setup, rows, all[i / 2]);
    const dfm_run_result whole =
        train(&setup, &(dfm_run_options){.model_path = test_path("whole.safetensors"), .threads = 2});
    train(&setup, &(dfm_run_options){.model_path = test_path("part.safetensors"),
                                     .threads = 2,
                                     .checkpoint_path = test_path("check.safetensors"),
                                     .checkpoint_every = i % 2});
    const dfm_run_result again = train(&setup, &(dfm_run_options){.model_path = test_path("part.safetensors"),
                                                                  .threads = 2,
                                                                  .resume_path = test_path("check.safetensors")});
    assert_true(same_bytes(test_path("whole.safetensors"), test_path("part.safetensors")));
    assert_int_equal(again.steps, whole.steps);
    assert_int_equal(again.epochs, whole.epochs);
    assert_int_equal(again.best_epoch, whole.best_epoch);
    assert_int_equal(again.stopped_early, whole.stopped_early);
    assert_int_equal(whole.stopped_early, i / 2 == 0);
    assert_true(again.has_valid && again.valid.auc == whole.valid.auc && again.valid.logloss == whole.valid.logloss &&
                again.valid.weight == whole.valid.weight);
    tear_down(&setup);
  }
}

static void expect_resume_error(const dfm_setup *setup, const char *checkpoint, const char *message) {
  dfm_trainer *trainer = NULL;
  dfm_run_result result;
  dfm_error error;
  assert_ok(dfm_trainer_create(setup->recipe, setup->train, setup->valid, &trainer, &error));
  assert_int_not_equal(
      dfm_trainer_run(trainer, &(dfm_run_options){.resume_path = checkpoint, .threads = 1}, &result, &error), DFM_OK);
  if (!strstr(error.message, message)) fail_msg("'%s' does not say '%s'", error.message, message);
  dfm_trainer_free(trainer);
}

static void test_resume_errors(void **state) {
  dfm_setup setup, other;
  dfm_error error;
  (void)state;
  set_up(&setup, make_rows("rows.csv", ROWS, 0), ADAGRAD);
  train(&setup, &(dfm_run_options){.checkpoint_path = test_path("check.safetensors"),
                                   .model_path = test_path("one.safetensors"),
                                   .threads = 1});
  expect_resume_error(&setup, test_path("one.safetensors"), "is no checkpoint");
  set_up(&other, make_rows("rows2.csv", ROWS, 1), ADAGRAD);
  expect_resume_error(&other, test_path("check.safetensors"), "other rows");
  tear_down(&other);
  assert_ok(dfm_recipe_set(setup.recipe, "train.epochs", "7", &error));
  expect_resume_error(&setup, test_path("check.safetensors"), "train.epochs is 7, but 2 in the run of checkpoint");
  tear_down(&setup);
}

/* Closed-form catch-up equals stepping every row: the same run with a penalty too small to matter sweeps all rows. Not
 * many more steps than these: a first gradient that is all rounding moves a weight by a whole learning rate, whichever
 * way it rounded. */
static void test_exact_equals_sweep(void **state) {
  static const char *const swept[] = {"model=fm", "train.batch_size=20", "l2.embedding=1e-30", NULL};
  static const char *const exact[] = {"model=fm", "train.batch_size=20", NULL};
  dfm_setup setups[2];
  dfm_stepper *stepper[2] = {0};
  dfm_error error;
  float scratch[2][64];
  (void)state;
  const char *rows = make_rows("rows.csv", ROWS, 0);
  for (int i = 0; i < 2; i++) {
    set_up(&setups[i], rows, i ? swept : exact);
    assert_ok(dfm_stepper_create(setups[i].recipe, setups[i].train, 20, 1, &stepper[i], &error));
    assert_int_equal(stepper[i]->tables->table[0].is_swept, i);
    for (int step = 0; step < 56; step++) {
      for (int b = 0; b < 20; b++) stepper[i]->batch->row[b] = step * 20 + b;
      assert_ok(dfm_stepper_run(stepper[i], setups[i].train, 20, step < 30 ? 1e-3 : 5e-4, &error));
    }
  }
  for (int f = 0; f < 3; f++) {
    for (uint32_t id = 0; id < stepper[0]->tables->table[f].V; id++) {
      const float *w = dfm_table_read(stepper[0]->tables, f, id, scratch[0]),
                  *v = dfm_table_read(stepper[1]->tables, f, id, scratch[1]);
      for (int j = 0; j < stepper[0]->tables->table[f].n; j++) assert_near(w[j], v[j], 1e-7);
    }
  }
  for (int i = 0; i < 2; i++) {
    dfm_stepper_free(stepper[i]);
    tear_down(&setups[i]);
  }
}

static void score_all(const dfm_model *model, const dfm_dataset *rows, int threads, int64_t n, float *probability) {
  dfm_scorer *scorer = NULL;
  dfm_error error;
  assert_ok(dfm_scorer_create(model, threads, &scorer, &error));
  assert_ok(dfm_scorer_score(scorer, rows, 0, n, probability, &error));
  dfm_scorer_free(scorer);
}

/* L-BFGS and many Adam steps over all rows reach the same optimum of a convex model. */
static void test_lbfgs_is_the_optimum(void **state) {
  static const char *const adam[] = {"model=lr",
                                     "l2.linear=0.01",
                                     "train.batch_size=3000",
                                     "train.epochs=2000",
                                     "optimizer.learning_rate=0.01",
                                     "train.patience=0",
                                     "train.keep=last",
                                     NULL};
  static float probability[2][ROWS];
  const char *rows = make_rows("rows.csv", ROWS, 0);
  dfm_error error;
  (void)state;
  for (int i = 0; i < 2; i++) {
    dfm_setup setup;
    dfm_model *model = NULL;
    dfm_dataset *all = NULL;
    set_up(&setup, rows, i ? adam : LBFGS);
    const dfm_run_result result =
        train(&setup, &(dfm_run_options){.model_path = test_path("lr.safetensors"), .threads = 1});
    assert_int_equal(isfinite(result.objective), i == 0);
    assert_ok(dfm_model_load(test_path("lr.safetensors"), &model, &error));
    assert_ok(test_dataset_read(rows, model, NULL, &all, &error));
    score_all(model, all, 1, ROWS, probability[i]);
    dfm_dataset_free(all);
    dfm_model_free(model);
    tear_down(&setup);
  }
  for (int i = 0; i < ROWS; i++) assert_near(probability[0][i], probability[1][i], 1e-3);
}

/* The pair effect is out of reach for lr and within reach for fm. */
static void test_fm_learns_pairs(void **state) {
  static const char *const lr[] = {
      "model=lr", "train.epochs=12", "optimizer.learning_rate=0.01", "train.batch_size=128", "train.patience=0", NULL};
  static const char *const fm[] = {
      "model=fm", "train.epochs=12", "optimizer.learning_rate=0.01", "train.batch_size=128", "train.patience=0", NULL};
  dfm_setup setup;
  double auc[2];
  (void)state;
  const char *rows = make_rows("many.csv", 20000, 0);
  for (int i = 0; i < 2; i++) {
    set_up(&setup, rows, i ? fm : lr);
    auc[i] = train(&setup, &(dfm_run_options){.threads = 2}).valid.auc;
    tear_down(&setup);
  }
  if (!(auc[1] > auc[0] + 0.03)) fail_msg("fm AUC %.4f is not well above lr's %.4f", auc[1], auc[0]);
}

/* What is saved is what was validated: the model file scores the validation rows as training did. */
static void test_saved_model_scores_as_trained(void **state) {
  static const char *const by_file[] = {"model=deepfm",        "dnn.hidden=20",  "dnn.batch_norm=true",
                                        "validation.random=0", "train.epochs=2", NULL};
  dfm_setup setup;
  dfm_schema *schema = NULL;
  dfm_model *model = NULL;
  dfm_dataset *rows = NULL;
  dfm_metrics metrics;
  dfm_error error;
  (void)state;
  const char *train_path = make_rows("rows.csv", ROWS, 0), *valid_path = make_rows("valid.csv", 700, ROWS);
  set_up(&setup, train_path, by_file);
  dfm_dataset_free(setup.train);
  assert_ok(test_schema_guess(train_path, NULL, &schema, &error));
  assert_ok(test_dataset_read_train(train_path, valid_path, schema, setup.recipe, &setup.train, &setup.valid, &error));
  const dfm_run_result result =
      train(&setup, &(dfm_run_options){.model_path = test_path("m.safetensors"), .threads = 2});
  assert_ok(dfm_model_load(test_path("m.safetensors"), &model, &error));
  assert_ok(test_dataset_read(valid_path, model, NULL, &rows, &error));
  float probability[700], again[700];
  score_all(model, rows, 3, 700, probability);
  assert_ok(dfm_metrics_of(probability, dfm_dataset_labels(rows), NULL, 700, &metrics, &error));
  assert_near(metrics.logloss, result.valid.logloss, 1e-9);
  assert_near(metrics.auc, result.valid.auc, 1e-9);
  dfm_scorer *scorer = NULL;
  assert_ok(dfm_scorer_create(model, 1, &scorer, &error));
  assert_ok(dfm_scorer_score(scorer, rows, 100, 600, again, &error));
  assert_memory_equal(again, probability + 100, sizeof *again * 600); /* in other company, by fewer threads */
  assert_int_equal(dfm_scorer_score(scorer, rows, 200, 600, again, &error), DFM_ERROR_VALUE);
  dfm_scorer_free(scorer);
  dfm_dataset_free(rows);
  dfm_model_free(model);
  dfm_schema_free(schema);
  tear_down(&setup);
}

/* In bfloat16 probabilities are near those of float32, and the same bits by any number of threads, in any company. */
static void test_scoring_in_bf16(void **state) {
  static const char *const deep[] = {"model=deepfm", "dnn.hidden=70,40", "train.epochs=1", NULL};
  enum { N = 700, PIECE = 45 };
  float exact[N], probability[N], again[N];
  dfm_setup setup;
  dfm_model *model = NULL;
  dfm_dataset *rows = NULL;
  dfm_scorer *scorer = NULL;
  dfm_error error;
  bool is_emulated;
  (void)state;
  set_up(&setup, make_rows("rows.csv", ROWS, 0), deep);
  train(&setup, &(dfm_run_options){.model_path = test_path("m.safetensors"), .threads = 2});
  assert_ok(dfm_model_load(test_path("m.safetensors"), &model, &error));
  assert_ok(test_dataset_read(make_rows("valid.csv", N, ROWS), model, NULL, &rows, &error));
  score_all(model, rows, 1, N, exact);
  for (int threads = 1; threads <= 8; threads++) {
    assert_ok(dfm_scorer_create(model, threads, &scorer, &error));
    assert_ok(dfm_scorer_set_precision(scorer, "bf16", &is_emulated, &error));
    assert_ok(dfm_scorer_score(scorer, rows, 0, N, threads == 1 ? probability : again, &error));
    if (threads > 1) assert_memory_equal(again, probability, sizeof again);
    for (int at = 0; at < N; at += PIECE)
      assert_ok(dfm_scorer_score(scorer, rows, at, N - at < PIECE ? N - at : PIECE, again + at, &error));
    assert_memory_equal(again, probability, sizeof again);
    assert_ok(dfm_scorer_set_precision(scorer, "float32", NULL, &error));
    assert_ok(dfm_scorer_score(scorer, rows, 0, N, again, &error));
    assert_memory_equal(again, exact, sizeof again);
    assert_ok(dfm_scorer_set_precision(scorer, "auto", NULL, &error));
    assert_ok(dfm_scorer_score(scorer, rows, 0, N, again, &error));
    assert_memory_equal(again, is_emulated ? exact : probability, sizeof again);
    assert_int_equal(dfm_scorer_set_precision(scorer, "bf61", NULL, &error), DFM_ERROR_VALUE);
    assert_non_null(strstr(error.message, "'bf61'"));
    dfm_scorer_free(scorer);
  }
  assert_memory_not_equal(probability, exact, sizeof exact);
  for (int i = 0; i < N; i++) assert_near(probability[i], exact[i], 5e-3);
  dfm_dataset_free(rows);
  dfm_model_free(model);
  tear_down(&setup);
}

static void test_divergence_is_named(void **state) {
  static const char *const wild[] = {
      "model=lr", "optimizer.name=sgd", "optimizer.learning_rate=10", "data.transform=none", "train.batch_size=64",
      NULL};
  dfm_setup setup;
  dfm_trainer *trainer = NULL;
  dfm_run_result result;
  dfm_error error;
  (void)state;
  const char *path = test_path("wild.csv");
  FILE *file = fopen(path, "wb");
  fputs("label,x\n", file);
  for (int i = 0; i < 400; i++) fprintf(file, "%d,%d.5e30\n", i % 3 == 0, i % 7 + 1);
  fclose(file);
  set_up(&setup, path, wild);
  assert_ok(dfm_trainer_create(setup.recipe, setup.train, setup.valid, &trainer, &error));
  assert_int_equal(
      dfm_trainer_run(trainer, &(dfm_run_options){.model_path = test_path("wild.safetensors"), .threads = 1}, &result,
                      &error),
      DFM_ERROR_VALUE);
  assert_non_null(strstr(error.message, "the loss became"));
  assert_non_null(strstr(error.message, "optimizer.learning_rate"));
  assert_int_not_equal(access(test_path("wild.safetensors"), F_OK), 0);
  dfm_trainer_free(trainer);
  tear_down(&setup);
}

/* A resumed run writes each epoch's line once, also where the killed one had gone past its checkpoint. */
static void test_history_of_a_resumed_run(void **state) {
  dfm_setup setup;
  dfm_stop context = {3};
  char line[4096];
  int epoch = 0;
  (void)state;
  set_up(&setup, make_rows("rows.csv", ROWS, 0), FULL);
  train(&setup, &(dfm_run_options){.threads = 1,
                                   .history_path = test_path("h.jsonl"),
                                   .checkpoint_path = test_path("check.safetensors"),
                                   .on_progress = stop_at,
                                   .context = &context});
  train(&setup, &(dfm_run_options){.threads = 1, .history_path = test_path("h.jsonl")});
  train(&setup, &(dfm_run_options){
                    .threads = 1, .history_path = test_path("h.jsonl"), .resume_path = test_path("check.safetensors")});
  FILE *file = fopen(test_path("h.jsonl"), "rb");
  assert_non_null(file);
  while (fgets(line, sizeof line, file)) {
    char expected[32];
    snprintf(expected, sizeof expected, "{\"epoch\":%d,", ++epoch);
    if (strncmp(line, expected, strlen(expected)) != 0) fail_msg("line %d of the history is %s", epoch, line);
  }
  fclose(file);
  assert_int_equal(epoch, 3);
  tear_down(&setup);
}

static void test_resume_needs_its_best_epoch(void **state) {
  dfm_setup setup;
  dfm_trainer *trainer = NULL;
  dfm_run_result result;
  dfm_error error;
  (void)state;
  set_up(&setup, make_rows("rows.csv", ROWS, 0), FULL);
  train(&setup,
        &(dfm_run_options){
            .threads = 1, .model_path = test_path("m.safetensors"), .checkpoint_path = test_path("check.safetensors")});
  assert_ok(dfm_trainer_create(setup.recipe, setup.train, setup.valid, &trainer, &error));
  const dfm_run_options elsewhere = {
      .threads = 1, .model_path = test_path("nowhere.safetensors"), .resume_path = test_path("check.safetensors")};
  assert_int_equal(dfm_trainer_run(trainer, &elsewhere, &result, &error), DFM_ERROR_MISMATCH);
  assert_non_null(strstr(error.message, "resume with the output of its run"));
  dfm_trainer_free(trainer);
  tear_down(&setup);
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads),
                                            cmocka_unit_test(test_evaluation_changes_nothing),
                                            cmocka_unit_test(test_resume),
                                            cmocka_unit_test(test_resume_of_a_finished_run),
                                            cmocka_unit_test(test_resume_errors),
                                            cmocka_unit_test(test_exact_equals_sweep),
                                            cmocka_unit_test(test_lbfgs_is_the_optimum),
                                            cmocka_unit_test(test_fm_learns_pairs),
                                            cmocka_unit_test(test_saved_model_scores_as_trained),
                                            cmocka_unit_test(test_scoring_in_bf16),
                                            cmocka_unit_test(test_divergence_is_named),
                                            cmocka_unit_test(test_history_of_a_resumed_run),
                                            cmocka_unit_test(test_resume_needs_its_best_epoch)};
  return test_main(argc, argv, "train", tests, sizeof tests / sizeof *tests);
}
