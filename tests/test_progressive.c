/* Progressive validation: its scores are those of a prediction with the model of that step, it changes no byte, and
 * neither threads nor a resumed run change what it says. */
#include "test_training.h"

/* Everything that tells training from prediction: dropout, batch statistics, cells fed to the unknown row. */
static const char *const ORDERED[] = {"model=deepfm",
                                      "embedding.width=5",
                                      "dnn.hidden=40,17",
                                      "dnn.dropout=0.3",
                                      "dnn.batch_norm=true",
                                      "train.batch_size=256",
                                      "train.epochs=2",
                                      "train.shuffle=false",
                                      "validation.random=0",
                                      "data.unknown_rate=0.05",
                                      NULL};

/* The metrics of windows of one batch each. */
typedef struct dfm_windows {
  dfm_metrics window[16];
  int n;
} dfm_windows;

static bool collect(void *context, const dfm_progress *progress) {
  dfm_windows *windows = context;
  if (progress->has_window && windows->n < 16) windows->window[windows->n++] = progress->window;
  return false;
}

/* The metrics that `model` has on rows [first, last). */
static dfm_metrics metrics_of(const char *model_path, const char *rows, int first, int last) {
  float probability[ROWS];
  dfm_model *model;
  dfm_dataset *same;
  dfm_scorer *scorer;
  dfm_metrics metrics;
  dfm_error error;
  assert_ok(dfm_model_load(model_path, &model, &error));
  assert_ok(test_dataset_read(rows, model, NULL, &same, &error));
  assert_ok(dfm_scorer_create(model, 2, &scorer, &error));
  assert_ok(dfm_scorer_score(scorer, same, first, last - first, probability, &error));
  assert_ok(dfm_metrics_of(probability, dfm_dataset_labels(same) + first, NULL, last - first, &metrics, &error));
  dfm_scorer_free(scorer);
  dfm_dataset_free(same);
  dfm_model_free(model);
  return metrics;
}

static void test_scores_are_predictions(void **state) {
  const char *rows = make_rows("rows.csv", ROWS, 0);
  dfm_setup setup;
  dfm_windows windows = {.n = 0};
  dfm_error error;
  (void)state;
  set_up(&setup, rows, ORDERED);
  const dfm_run_result result = train(
      &setup, &(dfm_run_options){
                  .is_progressive = true, .window = 1, .threads = 2, .on_progress = collect, .context = &windows});
  assert_true(result.has_progressive);
  assert_int_equal(result.progressive.rows, ROWS);
  assert_int_equal(windows.n, 12);
  for (int step = 1; step < 12; step += 5) {
    char limit[16];
    const int first = step * 256, last = first + 256 < ROWS ? first + 256 : ROWS;
    snprintf(limit, sizeof limit, "%d", step);
    assert_ok(dfm_recipe_set(setup.recipe, "train.max_steps", limit, &error));
    train(&setup, &(dfm_run_options){.model_path = test_path("m.safetensors"), .threads = 1});
    const dfm_metrics expected = metrics_of(test_path("m.safetensors"), rows, first, last);
    assert_memory_equal(&windows.window[step], &expected, sizeof expected);
  }
  tear_down(&setup);
}

/* What a run's windows and its whole say, as text. */
typedef struct dfm_said {
  char text[8192];
  size_t n;
} dfm_said;

static void say(dfm_said *said, const char *what, int64_t end, const dfm_metrics *m) {
  said->n +=
      (size_t)snprintf(said->text + said->n, sizeof said->text - said->n, "%s %lld: %lld %a %a %a %a\n", what,
                       (long long)end, (long long)m->rows, m->logloss, m->auc, m->mean_predicted, m->mean_observed);
}

static bool listen(void *context, const dfm_progress *progress) {
  if (progress->has_window) say(context, "window", progress->window_end, &progress->window);
  if (progress->has_progressive) say(context, "whole", progress->epoch, &progress->progressive);
  return false;
}

static void test_same_at_any_threads(void **state) {
  static const int threads[] = {1, 2, 3, 8};
  dfm_setup setup;
  dfm_said said[4] = {{.n = 0}};
  (void)state;
  set_up(&setup, make_rows("rows.csv", ROWS, 0), ORDERED);
  train(&setup, &(dfm_run_options){.model_path = test_path("plain.safetensors"), .threads = 2});
  for (int i = 0; i < 4; i++) {
    train(&setup, &(dfm_run_options){.model_path = test_path("m.safetensors"),
                                     .is_progressive = true,
                                     .window = 700,
                                     .threads = threads[i],
                                     .on_progress = listen,
                                     .context = &said[i]});
    assert_true(same_bytes(test_path("plain.safetensors"), test_path("m.safetensors")));
    assert_string_equal(said[0].text, said[i].text);
  }
  /* 700 rows are three batches: windows end at 768, 1536, 2304; the last one is what is left. One whole, of the first
   * epoch. */
  const char *text = said[0].text;
  assert_non_null(strstr(text, "window 768: 768 "));
  assert_non_null(strstr(text, "window 2304: 768 "));
  assert_non_null(strstr(text, "window 3000: 696 "));
  assert_non_null(strstr(text, "whole 1: 3000 "));
  assert_null(strstr(text, "whole 2"));
  tear_down(&setup);
}

static bool stop_at_five(void *context, const dfm_progress *progress) {
  (void)context;
  return progress->step == 5;
}

/* A history without what the clock says. */
static char *timeless(const char *path) {
  char *text = calloc(1, 1 << 16);
  FILE *file = fopen(path, "rb");
  assert_non_null(text);
  assert_non_null(file);
  assert_true(fread(text, 1, (1 << 16) - 1, file) > 0);
  fclose(file);
  for (char *at = text; (at = strstr(at, "\"seconds\"")) != NULL;) {
    char *end = strstr(at, "\"learning_rate\"");
    assert_non_null(end);
    memmove(at, end, strlen(end) + 1);
  }
  return text;
}

static void test_resume(void **state) {
  const char *whole = test_path("whole.jsonl"), *parts = test_path("parts.jsonl"), *check = test_path("c.safetensors");
  dfm_setup setup;
  (void)state;
  set_up(&setup, make_rows("rows.csv", ROWS, 0), ORDERED);
  const dfm_run_result one =
      train(&setup, &(dfm_run_options){.is_progressive = true, .window = 700, .history_path = whole, .threads = 2});
  const dfm_run_options stopped = {.is_progressive = true,
                                   .window = 700,
                                   .history_path = parts,
                                   .checkpoint_path = check,
                                   .threads = 1,
                                   .on_progress = stop_at_five};
  assert_true(train(&setup, &stopped).stopped);
  const dfm_run_options go_on = {
      .is_progressive = true, .window = 700, .history_path = parts, .resume_path = check, .threads = 3};
  train(&setup, &go_on); /* as if it had been killed after writing more history than the checkpoint knows */
  const dfm_run_result two = train(&setup, &go_on);
  assert_memory_equal(&one.progressive, &two.progressive, sizeof one.progressive);
  char *expected = timeless(whole), *got = timeless(parts);
  *strstr(expected, "\"train\"") = 0; /* a resumed epoch's training loss is of its own rows */
  assert_memory_equal(expected, got, strlen(expected));
  free(expected);
  free(got);
  tear_down(&setup);
}

static void test_errors(void **state) {
  static const char *const LR_EXACT[] = {"model=lr", "optimizer.name=lbfgs", NULL};
  const char *check = test_path("c.safetensors");
  dfm_setup setup;
  dfm_trainer *trainer;
  dfm_run_result result;
  dfm_error error;
  (void)state;
  set_up(&setup, make_rows("rows.csv", 500, 0), LR_EXACT);
  assert_ok(dfm_trainer_create(setup.recipe, setup.train, setup.valid, &trainer, &error));
  assert_int_equal(dfm_trainer_run(trainer, &(dfm_run_options){.is_progressive = true}, &result, &error),
                   DFM_ERROR_VALUE);
  assert_non_null(strstr(error.message, "optimizer.name is lbfgs"));
  dfm_trainer_free(trainer);
  tear_down(&setup);

  set_up(&setup, make_rows("rows.csv", ROWS, 0), ORDERED);
  train(&setup, &(dfm_run_options){.checkpoint_path = check, .threads = 1, .on_progress = stop_at_five});
  assert_ok(dfm_trainer_create(setup.recipe, setup.train, setup.valid, &trainer, &error));
  assert_int_equal(
      dfm_trainer_run(trainer, &(dfm_run_options){.is_progressive = true, .resume_path = check}, &result, &error),
      DFM_ERROR_MISMATCH);
  assert_non_null(strstr(error.message, "was made without progressive validation"));
  dfm_trainer_free(trainer);
  tear_down(&setup);
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {cmocka_unit_test(test_scores_are_predictions),
                                            cmocka_unit_test(test_same_at_any_threads), cmocka_unit_test(test_resume),
                                            cmocka_unit_test(test_errors)};
  return test_main(argc, argv, "progressive", tests, sizeof tests / sizeof *tests);
}
