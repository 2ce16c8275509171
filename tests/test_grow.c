/* Growing: a model trained on some rows goes on with others. Old values keep ids and weights, new ones are admitted
 * behind them, old ones expire; with the state kept, two runs are one. */
#include "test_training.h"

/* Rows [first, first + rows) of a stream: field c has values c(low) ... c(low + n - 1), the higher the more seldom, and
 * at row `once`, if any, the value "once"; a and b are the same throughout. */
typedef struct dfm_span_of_rows {
  int first, rows, low, n, once;
} dfm_span_of_rows;

static const char *make_stream(const char *name, const dfm_span_of_rows *parts, int n_parts) {
  const char *path = test_path(name);
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  fputs("label,a,b,c,x\n", file);
  for (int p = 0; p < n_parts; p++) {
    for (int i = parts[p].first; i < parts[p].first + parts[p].rows; i++) {
      const uint64_t r = dfm_random_u64(17, (uint64_t)i);
      const int a = (int)(r % 3), b = (int)(r / 7 % 20), n = parts[p].n;
      const int c = parts[p].low + (int)((r / 1009 % (uint64_t)n) * (r / 100003 % (uint64_t)n) / (uint64_t)n);
      const double z = (a == 1) * 1.2 - 0.7 + (b % 4 == a) * 1.5 + (c % 5 == 0) * 0.8;
      fprintf(file, "%d,a%d,b%d,", (double)dfm_random_uniform(13, (uint64_t)i) < 1 / (1 + exp(-z)), a, b);
      fprintf(file, i == parts[p].once ? "once" : "c%d", c);
      if (i % 11)
        fprintf(file, ",%.2f\n", (double)(r / 31 % 1000) / 100);
      else
        fputs(",\n", file);
    }
  }
  assert_int_equal(fclose(file), 0);
  return path;
}

static const dfm_span_of_rows A = {0, 2048, 0, 20, -1}, B = {2048, 1500, 10, 20, 3000};

/* No number is fitted, so that A alone and both see the same ones. */
static const char *const PLAIN[] = {"model=fm",
                                    "embedding.width=3",
                                    "train.batch_size=256",
                                    "train.epochs=1",
                                    "train.shuffle=false",
                                    "validation.random=0",
                                    "data.transform=none",
                                    NULL};
static const char *const EVERYTHING[] = {"model=deepfm",
                                         "embedding.width=5",
                                         "dnn.hidden=24,17",
                                         "dnn.dropout=0.3",
                                         "dnn.batch_norm=true",
                                         "train.batch_size=256",
                                         "train.epochs=1",
                                         "train.shuffle=false",
                                         "validation.random=0",
                                         "data.transform=none",
                                         "data.unknown_rate=0.05",
                                         "optimizer.clip_norm=0.5",
                                         NULL};
static const char *const SWEPT[] = {"model=fm",
                                    "embedding.width=3",
                                    "train.batch_size=256",
                                    "train.epochs=1",
                                    "train.shuffle=false",
                                    "validation.random=0",
                                    "data.transform=none",
                                    "l2.embedding=0.001",
                                    "l2.linear=0.001",
                                    NULL};
static const char *const ADAGRAD[] = {"model=fm",
                                      "optimizer.name=adagrad",
                                      "train.batch_size=256",
                                      "train.epochs=1",
                                      "train.shuffle=false",
                                      "validation.random=0",
                                      "data.transform=none",
                                      NULL};

/* Trains on rows anew, into `model`. */
static void train_anew(const char *rows, const char *const *settings, bool keeps_state, const char *model) {
  dfm_setup setup;
  set_up(&setup, rows, settings);
  train(&setup, &(dfm_run_options){.model_path = model, .keep_state = keeps_state, .threads = 2});
  tear_down(&setup);
}

/* What goes on from a model: the rows read through its grown vocabularies. */
typedef struct dfm_more {
  dfm_model *from;
  dfm_setup setup;
  dfm_growth growth;
} dfm_more;

static void open_more(dfm_more *more, const char *from, const char *rows, dfm_growth_options growth) {
  dfm_input *input;
  dfm_error error;
  *more = (dfm_more){0};
  assert_ok(dfm_model_load(from, &more->from, &error));
  assert_ok(dfm_recipe_create(&more->setup.recipe, &error));
  assert_ok(dfm_recipe_adopt_model(more->setup.recipe, more->from, &error));
  assert_ok(dfm_input_create(&rows, 1, &input, &error));
  assert_ok(dfm_dataset_read_more(input, NULL, more->from, more->setup.recipe, &growth, NULL, &more->growth,
                                  &more->setup.train, &more->setup.valid, &error));
  dfm_input_free(input);
}

static void close_more(dfm_more *more) {
  tear_down(&more->setup);
  dfm_model_free(more->from);
}

static dfm_growth go_on(const char *from, const char *rows, dfm_growth_options growth, const char *model) {
  dfm_more more;
  open_more(&more, from, rows, growth);
  train(&more.setup, &(dfm_run_options){.model_path = model, .from = more.from, .threads = 2});
  close_more(&more);
  return more.growth;
}

static dfm_model *load(const char *path) {
  dfm_model *model;
  dfm_error error;
  assert_ok(dfm_model_load(path, &model, &error));
  return model;
}

/* First-order weight and factors of a value; false where the model does not know it (`w` is the unknown row's then). */
static bool weights_of(const dfm_model *model, size_t field, const char *value, size_t length, float w[8]) {
  double first;
  size_t n;
  bool is_unknown;
  dfm_error error;
  memset(w, 0, 8 * sizeof *w);
  assert_ok(dfm_model_embedding(model, field, value, length, &first, w + 1, 7, &n, &is_unknown, &error));
  w[0] = (float)first;
  return !is_unknown;
}

enum { FIELD_C = 2 };

static void test_old_values_stay(void **state) {
  const char *a = make_stream("a.csv", &A, 1), *b = make_stream("b.csv", &B, 1);
  const char *old_path = test_path("old.safetensors"), *new_path = test_path("new.safetensors");
  (void)state;
  train_anew(a, PLAIN, false, old_path);
  const dfm_growth growth = go_on(old_path, b, (dfm_growth_options){0}, new_path);
  dfm_model *old = load(old_path), *grown = load(new_path);
  const dfm_field_info old_c = dfm_model_field(old, FIELD_C), c = dfm_model_field(grown, FIELD_C);
  assert_int_equal(dfm_model_state_steps(old), 0);
  assert_int_equal(growth.kept, old_c.vocabulary + 3 + 20);
  assert_int_equal(growth.expired, 0);
  assert_int_equal(growth.admitted, c.vocabulary - old_c.vocabulary);
  assert_int_equal(c.rows, 2048 + 1500);
  int64_t sum = 0, before = INT64_MAX;
  for (int64_t i = 0; i < c.vocabulary; i++) {
    const char *bytes, *old_bytes;
    size_t length, old_length;
    int64_t count, old_count;
    float w[8], old_w[8];
    assert_true(dfm_model_value(grown, FIELD_C, i, &bytes, &length, &count));
    sum += count;
    if (i >= old_c.vocabulary) { /* the admitted, by frequency */
      assert_false(weights_of(old, FIELD_C, bytes, length, old_w));
      assert_true(count <= before);
      before = count;
      continue;
    }
    assert_true(dfm_model_value(old, FIELD_C, i, &old_bytes, &old_length, &old_count));
    assert_int_equal(length, old_length);
    assert_memory_equal(bytes, old_bytes, length);
    assert_true(weights_of(old, FIELD_C, bytes, length, old_w) && weights_of(grown, FIELD_C, bytes, length, w));
    /* B has no value under c10: untouched without state, to the bit. */
    if (length == 2)
      assert_memory_equal(w, old_w, sizeof w);
    else if (count > old_count + 20)
      assert_memory_not_equal(w, old_w, sizeof w);
  }
  assert_int_equal(sum, 2048 + 1500);
  dfm_model_free(old);
  dfm_model_free(grown);
}

static void test_admission(void **state) {
  const char *a = make_stream("a.csv", &A, 1), *b = make_stream("b.csv", &B, 1);
  const char *old = test_path("old.safetensors"), *one = test_path("one.safetensors"),
             *two = test_path("two.safetensors");
  static const char *const COUNTED[] = {"model=lr", "data.min_count=2", "validation.random=0", "train.epochs=1", NULL};
  float w[8], unknown[8];
  (void)state;
  train_anew(a, COUNTED, false, old);
  /* Left open, it is the field's own min_count. */
  const dfm_growth by_default = go_on(old, b, (dfm_growth_options){0}, two);
  const dfm_growth by_one = go_on(old, b, (dfm_growth_options){.admit = 1}, one);
  assert_true(by_one.admitted > by_default.admitted);
  dfm_model *model = load(two);
  weights_of(model, FIELD_C, "never", 5, unknown);
  assert_false(weights_of(model, FIELD_C, "once", 4, w));
  assert_memory_equal(w, unknown, sizeof w);
  const int64_t unknown_rows = dfm_model_field(model, FIELD_C).unknown_rows;
  dfm_model_free(model);
  model = load(one);
  assert_true(weights_of(model, FIELD_C, "once", 4, w));
  assert_int_equal(unknown_rows - dfm_model_field(model, FIELD_C).unknown_rows, by_one.admitted - by_default.admitted);
  dfm_model_free(model);
}

static void test_expiry(void **state) {
  const char *a = make_stream("a.csv", &A, 1), *b = make_stream("b.csv", &B, 1);
  const dfm_span_of_rows later = {3548, 700, 20, 10, -1};
  const char *c = make_stream("c.csv", &later, 1);
  const char *old = test_path("old.safetensors"), *next = test_path("next.safetensors"),
             *last = test_path("last.safetensors"), *kept = test_path("kept.safetensors");
  float w[8], before[8];
  (void)state;
  train_anew(a, PLAIN, false, old);
  /* c0 ... c9 were last seen at the end of A: not in the last 1500 rows. */
  assert_int_equal(go_on(old, b, (dfm_growth_options){.expire_after = 1500}, next).expired, 10);
  dfm_model *model = load(next);
  assert_false(weights_of(model, FIELD_C, "c3", 2, w));
  assert_true(weights_of(model, FIELD_C, "c12", 3, before));
  dfm_model_free(model);
  /* Ages add up over models: c10 ... c19 lie 700 rows back or more now. */
  go_on(next, c, (dfm_growth_options){.expire_after = 1500 + 700}, kept);
  model = load(kept);
  assert_true(weights_of(model, FIELD_C, "c12", 3, w));
  assert_memory_equal(w, before, sizeof w);
  dfm_model_free(model);
  go_on(next, c, (dfm_growth_options){.expire_after = 700}, last);
  model = load(last);
  assert_false(weights_of(model, FIELD_C, "c12", 3, w));
  assert_true(weights_of(model, FIELD_C, "c20", 3, w));
  assert_true(weights_of(model, 0, "a1", 2, w));
  dfm_model_free(model);
}

/* Both models know the same values, with weights no further apart than `tolerance`; returns how many values. */
static int compare_models(const char *left, const char *right, float tolerance) {
  dfm_model *a = load(left), *b = load(right);
  int n = 0;
  for (size_t f = 0; f < 3; f++) {
    const int64_t values = dfm_model_field(a, f).vocabulary;
    assert_int_equal(values, dfm_model_field(b, f).vocabulary);
    for (int64_t i = 0; i < values; i++, n++) {
      const char *bytes;
      size_t length;
      int64_t count;
      float x[8], y[8];
      assert_true(dfm_model_value(a, f, i, &bytes, &length, &count));
      assert_true(weights_of(a, f, bytes, length, x) && weights_of(b, f, bytes, length, y));
      for (int j = 0; j < 8; j++) assert_near((double)x[j], (double)y[j], (double)tolerance);
    }
  }
  dfm_model_free(a);
  dfm_model_free(b);
  return n;
}

/* Half the rows, then with the kept state the other half: the model of one run over all, whose vocabulary was known up
 * front. Under a penalty on the tables that holds where no value is new: a row known up front shrinks from the first
 * step on. */
static void test_two_runs_are_one(void **state) {
  static const dfm_span_of_rows same_values = {2048, 1500, 0, 20, -1};
  const struct {
    const char *const *settings;
    const dfm_span_of_rows *second;
  } cases[] = {{PLAIN, &B}, {EVERYTHING, &B}, {ADAGRAD, &B}, {SWEPT, &same_values}};
  const char *a = make_stream("a.csv", &A, 1);
  const char *half = test_path("half.safetensors"), *two = test_path("two.safetensors"),
             *one = test_path("one.safetensors");
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const dfm_span_of_rows both[2] = {A, *cases[i].second};
    const char *b = make_stream("b.csv", cases[i].second, 1), *ab = make_stream("ab.csv", both, 2);
    train_anew(a, cases[i].settings, true, half);
    dfm_model *model = load(half);
    assert_int_equal(dfm_model_state_steps(model), 8);
    dfm_model_free(model);
    go_on(half, b, (dfm_growth_options){.admit = 1}, two);
    train_anew(ab, cases[i].settings, false, one);
    assert_true(compare_models(two, one, 2e-6F) >= 40);
  }
}

static void test_checkpoint_is_a_state(void **state) {
  const char *a = make_stream("a.csv", &A, 1), *b = make_stream("b.csv", &B, 1);
  const char *kept = test_path("kept.safetensors"), *check = test_path("check.safetensors");
  dfm_setup setup;
  (void)state;
  set_up(&setup, a, EVERYTHING);
  train(&setup, &(dfm_run_options){.model_path = kept, .keep_state = true, .checkpoint_path = check, .threads = 1});
  tear_down(&setup);
  go_on(kept, b, (dfm_growth_options){0}, test_path("one.safetensors"));
  go_on(check, b, (dfm_growth_options){0}, test_path("two.safetensors"));
  assert_true(same_bytes(test_path("one.safetensors"), test_path("two.safetensors")));
}

static bool stop_at_three(void *context, const dfm_progress *progress) {
  (void)context;
  return progress->step == 3;
}

static void fails(dfm_more *more, const dfm_run_options *options, const char *says) {
  dfm_trainer *trainer;
  dfm_run_result result;
  dfm_error error;
  assert_ok(dfm_trainer_create(more->setup.recipe, more->setup.train, more->setup.valid, &trainer, &error));
  assert_int_not_equal(dfm_trainer_run(trainer, options, &result, &error), DFM_OK);
  if (!strstr(error.message, says)) fail_msg("'%s' does not say '%s'", error.message, says);
  dfm_trainer_free(trainer);
}

/* Any threads, and stopped and resumed: the same bytes. */
static void test_same_bytes(void **state) {
  static const int threads[] = {1, 2, 3, 8};
  const char *a = make_stream("a.csv", &A, 1), *b = make_stream("b.csv", &B, 1);
  const char *half = test_path("half.safetensors"), *one = test_path("one.safetensors"),
             *other = test_path("other.safetensors"), *check = test_path("check.safetensors");
  dfm_more more;
  (void)state;
  train_anew(a, EVERYTHING, true, half);
  open_more(&more, half, b, (dfm_growth_options){.expire_after = 1500});
  for (int i = 0; i < 4; i++) {
    train(&more.setup,
          &(dfm_run_options){
              .model_path = i ? other : one, .from = more.from, .keep_state = true, .threads = threads[i]});
    if (i) assert_true(same_bytes(one, other));
  }
  const dfm_run_result stopped = train(&more.setup, &(dfm_run_options){.model_path = other,
                                                                       .from = more.from,
                                                                       .keep_state = true,
                                                                       .checkpoint_path = check,
                                                                       .threads = 1,
                                                                       .on_progress = stop_at_three});
  assert_true(stopped.stopped);
  assert_int_equal(stopped.steps, 3); /* of this run */
  train(&more.setup,
        &(dfm_run_options){
            .model_path = other, .from = more.from, .keep_state = true, .resume_path = check, .threads = 2});
  assert_true(same_bytes(one, other));
  fails(&more, &(dfm_run_options){.resume_path = check}, "resume with the data and the --from of its run");
  close_more(&more);
}

/* Rows with others to validate with. What `read_error` says is the reading's alone. */
static dfm_status read_more(const dfm_model *from, const char *rows, const char *valid_rows, dfm_setup *setup,
                            dfm_error *read_error) {
  dfm_input *inputs[2];
  dfm_growth growth;
  dfm_error error;
  *setup = (dfm_setup){0};
  assert_ok(dfm_recipe_create(&setup->recipe, &error));
  assert_ok(dfm_recipe_adopt_model(setup->recipe, from, &error));
  assert_ok(dfm_input_create(&rows, 1, &inputs[0], &error));
  assert_ok(dfm_input_create(&valid_rows, 1, &inputs[1], &error));
  const dfm_status status = dfm_dataset_read_more(inputs[0], inputs[1], from, setup->recipe, &(dfm_growth_options){0},
                                                  NULL, &growth, &setup->train, &setup->valid, read_error);
  dfm_input_free(inputs[0]);
  dfm_input_free(inputs[1]);
  return status;
}

/* The validation rows' values that only the model knows keep their ids; those that nobody knows obey the field's
 * rule. */
static void test_validation_rows(void **state) {
  static const char *const STRICT[] = {"model=lr", "data.unknown=error", "validation.random=0", "train.epochs=1", NULL};
  const dfm_span_of_rows later = {5000, 300, 30, 10, -1};
  const char *a = make_stream("a.csv", &A, 1), *b = make_stream("b.csv", &B, 1), *c = make_stream("c.csv", &later, 1);
  const char *plain = test_path("plain.safetensors"), *strict = test_path("strict.safetensors");
  dfm_setup setup;
  dfm_error error;
  (void)state;
  train_anew(a, PLAIN, false, plain);
  train_anew(a, STRICT, false, strict);
  dfm_model *from = load(plain);
  assert_ok(read_more(from, b, a, &setup, &error));
  assert_int_equal(dfm_dataset_rows(setup.valid), 2048);
  for (size_t f = 0; f < 3; f++) assert_int_equal(dfm_dataset_field(setup.valid, f).unknown, 0);
  tear_down(&setup);
  assert_ok(read_more(from, b, c, &setup, &error));
  assert_int_equal(dfm_dataset_field(setup.valid, FIELD_C).unknown, 300);
  tear_down(&setup);
  dfm_model_free(from);
  from = load(strict);
  assert_int_equal(read_more(from, b, c, &setup, &error), DFM_ERROR_FORMAT);
  if (!strstr(error.message, "c.csv:") || !strstr(error.message, "column 'c'"))
    fail_msg("'%s' names no place", error.message);
  tear_down(&setup);
  dfm_model_free(from);
}

/* Values from all rows, sorted, without an unknown row: so do those that are admitted. */
static void test_other_rules(void **state) {
  static const char *const OTHER[] = {"model=lr",
                                      "data.unknown=zero",
                                      "data.vocabulary_order=sorted",
                                      "data.vocabulary_from=all",
                                      "validation.split=0.2",
                                      "train.epochs=1",
                                      NULL};
  const char *a = make_stream("a.csv", &A, 1), *b = make_stream("b.csv", &B, 1);
  const char *old_path = test_path("old.safetensors"), *new_path = test_path("new.safetensors");
  (void)state;
  train_anew(a, OTHER, true, old_path);
  const dfm_growth growth = go_on(old_path, b, (dfm_growth_options){0}, new_path);
  dfm_model *old = load(old_path), *grown = load(new_path);
  const int64_t n_old = dfm_model_field(old, FIELD_C).vocabulary, n = dfm_model_field(grown, FIELD_C).vocabulary;
  assert_int_equal(growth.admitted, n - n_old);
  int64_t sum = 0;
  for (int64_t i = 0; i < n; i++) {
    const char *bytes, *before;
    size_t length, before_length;
    int64_t count;
    assert_true(dfm_model_value(grown, FIELD_C, i, &bytes, &length, &count));
    sum += count;
    if (i == 0 || i == n_old) continue;
    assert_true(dfm_model_value(grown, FIELD_C, i - 1, &before, &before_length, &count));
    assert_true(memcmp(before, bytes, length < before_length ? length : before_length) <= 0);
  }
  assert_int_equal(sum, 2048 + 1500);
  dfm_model_free(old);
  dfm_model_free(grown);
}

static void test_errors(void **state) {
  static const struct {
    const char *name, *value, *says;
  } fixed[] = {{"embedding.width", "7", "embedding.width is 7, but 5 in the model"},
               {"dnn.hidden", "8", "dnn.hidden is 8, but 24,17 in the model"},
               {"model", "fm", "model is fm, but deepfm in the model"},
               {"data.min_count", "3", "data.min_count is 3, but 1 in the model"},
               {"fields.c.min_count", "3", "fields.c.min_count is 3, but not set in the model"},
               {"optimizer.name", "sgd", "optimizer.name is not adam, whose state the model"}};
  const char *a = make_stream("a.csv", &A, 1), *b = make_stream("b.csv", &B, 1), *half = test_path("half.safetensors");
  dfm_more more;
  dfm_setup anew;
  dfm_error error;
  (void)state;
  train_anew(a, EVERYTHING, true, half);
  open_more(&more, half, b, (dfm_growth_options){0});
  for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
    dfm_recipe *recipe = more.setup.recipe;
    assert_ok(dfm_recipe_create(&more.setup.recipe, &error));
    assert_ok(dfm_recipe_adopt_model(more.setup.recipe, more.from, &error));
    assert_ok(dfm_recipe_set(more.setup.recipe, fixed[i].name, fixed[i].value, &error));
    fails(&more, &(dfm_run_options){.from = more.from}, fixed[i].says);
    dfm_recipe_free(more.setup.recipe);
    more.setup.recipe = recipe;
  }
  fails(&more, &(dfm_run_options){.from = more.from, .init_path = half}, "leave one of them out");
  /* Rows of other fields. */
  set_up(&anew, make_rows("rows.csv", 600, 0), EVERYTHING);
  dfm_more other = {.from = more.from, .setup = anew};
  fails(&other, &(dfm_run_options){.from = more.from}, "read them with dfm_dataset_read_more");
  tear_down(&anew);
  close_more(&more);
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {cmocka_unit_test(test_old_values_stay),
                                            cmocka_unit_test(test_admission),
                                            cmocka_unit_test(test_expiry),
                                            cmocka_unit_test(test_two_runs_are_one),
                                            cmocka_unit_test(test_checkpoint_is_a_state),
                                            cmocka_unit_test(test_same_bytes),
                                            cmocka_unit_test(test_validation_rows),
                                            cmocka_unit_test(test_other_rules),
                                            cmocka_unit_test(test_errors)};
  return test_main(argc, argv, "grow", tests, sizeof tests / sizeof *tests);
}
