/* Training on lists: one item is a category, threads change nothing, runs resume, models score as they were trained;
 * tables that are shared, frozen, or start from a file. */
#include <math.h>

#include "base/random.h"
#include "test_run.h"
#include "train/run.h"

enum { ROWS = 900 };

/* label, g (lists of weighted items), h (lists over the values of c), one (always one item), same (the same as a
 * category), c */
static const char *make_rows(const char *name, int first, int rows) {
  static char kept[8][4096]; /* outlives the paths that training asks for */
  static int next;
  char *path = strcpy(kept[next++ % 8], test_path(name));
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  fputs("label,g,h,one,same,c,x\n", file);
  for (int i = first; i < first + rows; i++) {
    const uint64_t r = dfm_random_u64(17, (uint64_t)i);
    const int n = (int)(r % 6), c = (int)(r / 7 % 13), a = (int)(r / 101 % 9);
    const double z = (n > 0 && a < 4 ? 1.5 : -1) + (c % 3 == 0);
    fprintf(file, "%d,", (double)dfm_random_uniform(19, (uint64_t)i) < 1 / (1 + exp(-z)));
    for (int k = 0; k < n; k++) fprintf(file, "%si%d:%.2f", k ? "|" : "", (a + k * k) % 9, 0.5 + 0.25 * k);
    fputc(',', file);
    for (int k = 0; k < (int)(r / 1009 % 4); k++) fprintf(file, "%sv%d", k ? "|" : "", (c + 3 * k) % 13);
    fprintf(file, ",u%d,u%d,v%d,%d\n", a, a, c, (int)(r / 31 % 100));
  }
  assert_int_equal(fclose(file), 0);
  return path;
}

#define COLUMNS "  - {name: label, kind: label}\n  - {name: c, kind: category}\n  - {name: x, kind: number}\n"

static void set_up(dfm_setup *setup, const char *path, const char *valid, const char *columns,
                   const char *const *settings) {
  char yaml[2048];
  dfm_schema *schema = NULL;
  dfm_error error;
  *setup = (dfm_setup){0};
  snprintf(yaml, sizeof yaml, "columns:\n" COLUMNS "%s", columns);
  const char *file = test_write("schema.yaml", yaml, strlen(yaml));
  assert_ok(dfm_schema_load(file, &schema, &error));
  assert_ok(dfm_recipe_create(&setup->recipe, &error));
  set_all(setup->recipe, settings);
  assert_ok(test_dataset_read_train(path, valid, schema, setup->recipe, &setup->train, &setup->valid, &error));
  dfm_schema_free(schema);
}

static bool is_near(const dfm_tensor *s, const dfm_tensor *t, double tolerance) {
  if (tolerance == 0 || s->dtype != DFM_F32) return memcmp(s->data, t->data, s->size_bytes) == 0;
  const float *x = s->data, *y = t->data;
  for (uint64_t i = 0; i < s->size_bytes / sizeof *x; i++)
    if (fabs((double)x[i] - (double)y[i]) > tolerance) return false;
  return true;
}

/* Every tensor of the two files, up to the checksums. */
static bool same_tensors(const char *a, const char *b, double tolerance) {
  dfm_st_file *x, *y;
  dfm_error error;
  assert_ok(dfm_st_open(a, &x, &error));
  assert_ok(dfm_st_open(b, &y, &error));
  bool is_same = dfm_st_count(x) == dfm_st_count(y);
  for (size_t i = 0; is_same && i + 1 < dfm_st_count(x); i++) {
    const dfm_tensor *s = dfm_st_at(x, i), *t = dfm_st_tensor(y, s->name);
    is_same = t && s->size_bytes == t->size_bytes && is_near(s, t, tolerance);
  }
  dfm_st_close(x);
  dfm_st_close(y);
  return is_same;
}

static const char *const FULL[] = {
    "model=deepfm",          "embedding.width=5",      "dnn.hidden=16",  "dnn.dropout=0.3",     "train.batch_size=64",
    "validation.random=0.2", "data.unknown_rate=0.05", "train.epochs=2", "dnn.batch_norm=true", NULL};
static const char *const CLIPPED[] = {
    "model=deepfm",    "embedding.width=4",   "dnn.hidden=8",   "optimizer.clip_norm=0.05", "l2.embedding=0.001",
    "l2.linear=0.001", "train.batch_size=50", "train.epochs=2", "validation.random=0.2",    NULL};
static const char *const ADAGRAD[] = {"model=fm", "optimizer.name=adagrad", "train.batch_size=300", "train.epochs=2",
                                      NULL};
static const char *const FFM[] = {"model=ffm", "embedding.width=4", "train.batch_size=300", "train.epochs=2", NULL};
static const char *const LBFGS[] = {"model=lr", "optimizer.name=lbfgs", "l2.linear=0.01", NULL};

/* The pools of a list of one item: the model of the category, byte for byte; but for fm, which adds a category's
 * gradients up in another order. */
static void one_item_is_a_category(void **state) {
  static const char *const kinds[] = {"kind: category", "kind: list, pool: sum", "kind: list, pool: mean",
                                      "kind: list, pool: max"};
  static const char *const *const settings[] = {FULL, CLIPPED, ADAGRAD, FFM, LBFGS};
  const char *rows = make_rows("rows.csv", 0, ROWS);
  (void)state;
  for (int s = 0; s < 5; s++) {
    for (int kind = 0; kind < 4; kind++) {
      dfm_setup setup;
      char columns[200];
      if (settings[s] == LBFGS && kind == 3) continue; /* no maxima there */
      snprintf(columns, sizeof columns, "  - {name: one, %s}\n", kinds[kind]);
      set_up(&setup, rows, NULL, columns, settings[s]);
      train(&setup, &(dfm_run_options){.model_path = test_path(kind ? "list.st" : "category.st"), .threads = 2});
      tear_down(&setup);
      if (kind && !same_tensors(test_path("category.st"), test_path("list.st"), settings[s] == ADAGRAD ? 1e-5 : 0))
        fail_msg("%s: %s differs from the category", settings[s][0], kinds[kind]);
    }
  }
}

static const char LISTS[] =
    "  - {name: g, kind: list, weights: ':', pool: max}\n"
    "  - {name: h, kind: list, share: c, pool: sum, within: true}\n"
    "  - {name: one, kind: list, trainable: false}\n"
    "  - {name: same, kind: category, share: one}\n";
static const char SUMS[] =
    "  - {name: g, kind: list, weights: ':'}\n"
    "  - {name: h, kind: list, share: c, pool: sum}\n"
    "  - {name: same, kind: category, trainable: false}\n";

static void threads_change_nothing(void **state) {
  static const int threads[] = {1, 2, 3, 8};
  static const char *const *const settings[] = {FULL, CLIPPED, ADAGRAD, FFM, LBFGS};
  const char *rows = make_rows("rows.csv", 0, ROWS);
  (void)state;
  for (int s = 0; s < 5; s++) {
    dfm_setup setup;
    set_up(&setup, rows, NULL, settings[s] == LBFGS ? SUMS : LISTS, settings[s]);
    for (int i = 0; i < 4; i++) {
      train(&setup, &(dfm_run_options){.model_path = test_path(i ? "other.st" : "first.st"), .threads = threads[i]});
      if (i && !same_bytes(test_path("first.st"), test_path("other.st")))
        fail_msg("%s: %d threads give other bytes than 1", settings[s][0], threads[i]);
    }
    tear_down(&setup);
  }
}

static bool stop_at_seven(void *context, const dfm_progress *progress) {
  (void)context;
  return progress->step >= 7;
}

static void runs_resume(void **state) {
  const char *rows = make_rows("rows.csv", 0, ROWS), *check = test_path("check.st");
  dfm_setup setup;
  (void)state;
  set_up(&setup, rows, NULL, LISTS, FULL);
  train(&setup, &(dfm_run_options){.model_path = test_path("whole.st"), .threads = 2});
  train(&setup,
        &(dfm_run_options){
            .model_path = test_path("part.st"), .checkpoint_path = check, .on_progress = stop_at_seven, .threads = 2});
  train(&setup, &(dfm_run_options){.model_path = test_path("part.st"), .resume_path = check, .threads = 1});
  assert_true(same_bytes(test_path("whole.st"), test_path("part.st")));
  tear_down(&setup);
}

static void models_score_as_they_were_trained(void **state) {
  enum { VALID = 300 };
  static const char *const settings[] = {"model=deepfm", "dnn.hidden=8", "train.epochs=2", NULL};
  const char *rows = make_rows("rows.csv", 0, ROWS), *valid = make_rows("valid.csv", ROWS, VALID);
  dfm_setup setup;
  dfm_model *model;
  dfm_dataset *again;
  dfm_metrics metrics;
  dfm_error error;
  float probability[VALID];
  (void)state;
  set_up(&setup, rows, valid, LISTS, settings);
  const dfm_run_result result = train(&setup, &(dfm_run_options){.model_path = test_path("m.st"), .threads = 2});
  assert_ok(dfm_model_load(test_path("m.st"), &model, &error));
  assert_ok(test_dataset_read(valid, model, NULL, &again, &error));
  dfm_scorer *scorer;
  assert_ok(dfm_scorer_create(model, 3, &scorer, &error));
  assert_ok(dfm_scorer_score(scorer, again, 0, VALID, probability, &error));
  dfm_scorer_free(scorer);
  assert_ok(dfm_metrics_of(probability, dfm_dataset_labels(again), NULL, VALID, &metrics, &error));
  assert_near(metrics.logloss, result.valid.logloss, 1e-9);
  assert_near(metrics.auc, result.valid.auc, 1e-9);
  assert_true(metrics.auc > 0.6);
  dfm_dataset_free(again);
  dfm_model_free(model);
  tear_down(&setup);
}

/* The DeepCTR sample as it is: ratings above 3, genres such as "Comedy|Drama". */
static void movielens_trains_and_predicts(void **state) {
  static const char *const settings[] = {"fields.genres.kind=list", "fields.genres.pool=max", "embedding.width=4",
                                         NULL};
  const char *path = test_data("movielens_sample/movielens_sample.txt");
  dfm_setup setup = {0};
  dfm_schema *schema;
  dfm_model *model;
  dfm_dataset *rows;
  dfm_metrics metrics;
  dfm_error error;
  float probability[200];
  (void)state;
  if (!path) return;
  assert_ok(test_schema_guess(path, &(dfm_schema_options){.label = "rating", .header = -1}, &schema, &error));
  assert_ok(dfm_recipe_create(&setup.recipe, &error));
  set_all(setup.recipe, settings);
  assert_ok(test_dataset_read_train(path, NULL, schema, setup.recipe, &setup.train, &setup.valid, &error));
  train(&setup, &(dfm_run_options){.model_path = test_path("m.st"), .threads = 2});
  assert_ok(dfm_model_load(test_path("m.st"), &model, &error));
  for (size_t i = 0; i < dfm_model_fields(model); i++) {
    const dfm_field_info info = dfm_model_field(model, i);
    if (strcmp(info.name, "genres") == 0) assert_int_equal(info.vocabulary, 17);
  }
  assert_ok(test_dataset_read(path, model, NULL, &rows, &error));
  dfm_scorer *scorer;
  assert_ok(dfm_scorer_create(model, 2, &scorer, &error));
  assert_ok(dfm_scorer_score(scorer, rows, 0, 200, probability, &error));
  dfm_scorer_free(scorer);
  assert_ok(dfm_metrics_of(probability, dfm_dataset_labels(rows), NULL, 200, &metrics, &error));
  assert_true(metrics.auc > 0.6);
  dfm_dataset_free(rows);
  dfm_model_free(model);
  dfm_schema_free(schema);
  tear_down(&setup);
}

/* ---- tables that start from a file */

static const char *const SMALL[] = {"model=deepfm",   "embedding.width=2",  "dnn.hidden=4",
                                    "train.epochs=2", "linear.init=normal", NULL};

/* Whether row `value` of field f has these factors, as they start (steps 0) or are after `steps`. */
static void check_row(dfm_stepper *stepper, int f, const char *value, const float *factors, bool is_same) {
  float scratch[64];
  bool is_unknown;
  const uint32_t id = dfm_encoder_id(stepper->encoder, f, value, strlen(value), &is_unknown);
  assert_false(is_unknown);
  const float *w = dfm_table_read(stepper->tables, f, id, scratch);
  assert_true((w[1] == factors[0] && w[2] == factors[1]) == is_same);
}

static dfm_stepper *step(const dfm_setup *setup, int steps) {
  dfm_stepper *stepper;
  dfm_error error;
  assert_ok(dfm_stepper_create(setup->recipe, setup->train, 32, 2, &stepper, &error));
  for (int i = 0; i < steps; i++) {
    for (int b = 0; b < 32; b++) stepper->batch->row[b] = 32 * i + b;
    assert_ok(dfm_stepper_run(stepper, setup->train, 32, 0.01, &error));
  }
  return stepper;
}

static void tables_start_from_a_file(void **state) {
  static const char *const texts[] = {"2 2\nu1 0.5 -1\nnobody 3 4\nu3 1e-2 7 \r\n",
                                      "nobody\t3\t4\nu3\t1e-2\t7\nu1\t0.5\t-1"};
  static const float u1[] = {0.5F, -1}, u3[] = {0.01F, 7};
  const char *rows = make_rows("rows.csv", 0, ROWS);
  (void)state;
  for (int i = 0; i < 4; i++) {
    const bool is_frozen = i >= 2;
    char columns[4400];
    dfm_setup plain, setup;
    const char *file = test_write("vectors.txt", texts[i % 2], strlen(texts[i % 2]));
    snprintf(columns, sizeof columns, "  - {name: one, kind: list, initial: %s, trainable: %s}\n", file,
             is_frozen ? "false" : "true");
    set_up(&setup, rows, NULL, columns, SMALL);
    set_up(&plain, rows, NULL, "  - {name: one, kind: list}\n", SMALL);
    dfm_stepper *start = step(&setup, 0), *later = step(&setup, 10), *usual = step(&plain, 0);
    const int f = 0; /* columns stand in another order in the schema than fields: c is 0, one 1 */
    check_row(start, f + 1, "u1", u1, true);
    check_row(start, f + 1, "u3", u3, true);
    check_row(later, f + 1, "u1", u1, is_frozen);
    float scratch[2][64];
    for (uint32_t id = 0; id < start->tables->table[1].V;
         id++) { /* first-order weights and the other rows are as ever */
      const float *a = dfm_table_read(start->tables, 1, id, scratch[0]),
                  *b = dfm_table_read(usual->tables, 1, id, scratch[1]), same = a[1] == b[1];
      assert_true(a[0] == b[0]);
      if (a[1] != u1[0] && a[1] != u3[0]) assert_true(same == 1);
    }
    dfm_stepper_free(start);
    dfm_stepper_free(later);
    dfm_stepper_free(usual);
    tear_down(&setup);
    tear_down(&plain);
  }
}

static void bad_vectors_have_lines(void **state) {
  static const struct {
    const char *text, *message;
  } cases[] = {
      {"9 3\nu1 1 2 3\n", "vectors.txt:1: there are 3 numbers where the vectors of 'one' have width 2"},
      {"u1 1 2\nu2 1\n", "vectors.txt:2: there are 1 numbers"},
      {"u1 1 2\n\nzz 1 2 3\n", "vectors.txt:3: there are 3 numbers"},
      {"u1 1 2\nu2 1 x\n", "vectors.txt:2: number 2 of the vector is 'x'"},
      {"u1 1 inf\n", "vectors.txt:1: number 2 of the vector is 'inf'"},
  };
  const char *rows = make_rows("rows.csv", 0, ROWS);
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char columns[4400];
    dfm_setup setup;
    dfm_stepper *stepper;
    dfm_error error;
    const char *file = test_write("vectors.txt", cases[i].text, strlen(cases[i].text));
    snprintf(columns, sizeof columns, "  - {name: one, kind: category, initial: %s}\n", file);
    set_up(&setup, rows, NULL, columns, SMALL);
    assert_int_equal(dfm_stepper_create(setup.recipe, setup.train, 32, 1, &stepper, &error), DFM_ERROR_FORMAT);
    if (!strstr(error.message, cases[i].message)) fail_msg("'%s' lacks '%s'", error.message, cases[i].message);
    tear_down(&setup);
  }
}

static void lbfgs_takes_no_maxima(void **state) {
  const char *rows = make_rows("rows.csv", 0, ROWS);
  dfm_setup setup;
  dfm_trainer *trainer;
  dfm_error error;
  (void)state;
  set_up(&setup, rows, NULL, "  - {name: one, kind: list, pool: max}\n", LBFGS);
  assert_int_equal(dfm_trainer_create(setup.recipe, setup.train, setup.valid, &trainer, &error), DFM_ERROR_VALUE);
  assert_non_null(strstr(error.message, "list 'one' is pooled by max"));
  tear_down(&setup);
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {cmocka_unit_test(one_item_is_a_category),
                                            cmocka_unit_test(threads_change_nothing),
                                            cmocka_unit_test(runs_resume),
                                            cmocka_unit_test(models_score_as_they_were_trained),
                                            cmocka_unit_test(tables_start_from_a_file),
                                            cmocka_unit_test(bad_vectors_have_lines),
                                            cmocka_unit_test(lbfgs_takes_no_maxima),
                                            cmocka_unit_test(movielens_trains_and_predicts)};
  return test_main(argc, argv, "list_training", tests, sizeof tests / sizeof *tests);
}
