/* Growing of fields that are no plain categories: lists, shared tables, hash and quantile buckets, tables that do not
 * train, vocabularies of a limited size. */
#include "test_training.h"

enum { WIDTH = 3, FIRST = 2048, SECOND = 1536, THIRD = 1024 };

/* Rows [first, first + rows) of a stream: tags are lists with weights; user and friend are of one vocabulary, of which
 * each part of the stream brings new values, some to friends alone; site goes to buckets by its hash, price by its
 * size; word has ready vectors. */
static const char *make_stream(const char *name, int first, int rows) {
  static char kept[8][4096]; /* outlives the paths that training asks for */
  static int next;
  char *path = strcpy(kept[next++ % 8], test_path(name));
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  fputs("label,tags,user,friend,site,price,word,x\n", file);
  for (int i = first; i < first + rows; i++) {
    const uint64_t r = dfm_random_u64(29, (uint64_t)i);
    const int later = i / FIRST, tag = (int)(r % 6), user = (int)(r / 7 % 11), site = (int)(r / 101 % 40);
    const double z = (user % 3 == 0) * 1.5 + (tag == 2) - 1 + (i % 4 == 1) * 0.8 + (site % 16 < 5) * 0.5;
    fprintf(file, "%d,", (double)dfm_random_uniform(31, (uint64_t)i) < 1 / (1 + exp(-z)));
    for (int k = 0; k < (int)(r / 1009 % 4); k++)
      fprintf(file, "%st%d:%.2f", k ? "|" : "", tag + 3 * later + k, 0.5 + k);
    fprintf(file, ",u%d,u%d", user + 5 * later, (int)(r / 10007 % 11) + 8 * later);
    if (i % 13)
      fprintf(file, ",s%d", site + 20 * later);
    else
      fputs(",", file);
    fprintf(file, ",%d,w%d,%.2f\n", i % 4, (int)(r / 31 % 5) + 2 * later, (double)(r / 37 % 1000) / 500);
  }
  assert_int_equal(fclose(file), 0);
  return path;
}

/* Vectors for w0 to w8, and none for those above. */
static const char *make_words(void) {
  char text[1024];
  size_t n = 0;
  for (int i = 0; i < 9; i++)
    n += (size_t)snprintf(text + n, sizeof text - n, "w%d %.2f %.2f %.2f\n", i, 0.1 * i - 0.3, 0.2 - 0.05 * i, 0.15);
  return test_write("words.txt", text, n);
}

static const char *const PLAIN[] = {"model=deepfm",         "embedding.width=3",   "dnn.hidden=8",
                                    "train.batch_size=256", "train.epochs=1",      "train.shuffle=false",
                                    "validation.random=0",  "data.transform=none", NULL};

static void set_up_fields(dfm_setup *setup, const char *rows, const char *user) {
  char yaml[2048];
  dfm_schema *schema;
  dfm_error error;
  *setup = (dfm_setup){0};
  snprintf(yaml, sizeof yaml,
           "columns:\n"
           "  - {name: label, kind: label}\n"
           "  - {name: tags, kind: list, weights: ':', pool: mean}\n"
           "  - {name: user, kind: category%s}\n"
           "  - {name: friend, kind: category, share: user}\n"
           "  - {name: site, kind: category, hash: 16}\n"
           "  - {name: price, kind: category, buckets: 4}\n"
           "  - {name: word, kind: category, initial: %s, trainable: false}\n"
           "  - {name: x, kind: number}\n",
           user, make_words());
  assert_ok(dfm_schema_load(test_write("schema.yaml", yaml, strlen(yaml)), &schema, &error));
  assert_ok(dfm_recipe_create(&setup->recipe, &error));
  for (int i = 0; PLAIN[i]; i++) {
    char name[64];
    const char *equals = strchr(PLAIN[i], '=');
    snprintf(name, sizeof name, "%.*s", (int)(equals - PLAIN[i]), PLAIN[i]);
    assert_ok(dfm_recipe_set(setup->recipe, name, equals + 1, &error));
  }
  assert_ok(test_dataset_read_train(rows, NULL, schema, setup->recipe, &setup->train, &setup->valid, &error));
  dfm_schema_free(schema);
}

static void train_anew(const char *rows, const char *user, const char *model) {
  dfm_setup setup;
  set_up_fields(&setup, rows, user);
  train(&setup, &(dfm_run_options){.model_path = model, .keep_state = true, .threads = 2});
  tear_down(&setup);
}

static dfm_model *load(const char *path) {
  dfm_model *model;
  dfm_error error;
  assert_ok(dfm_model_load(path, &model, &error));
  return model;
}

static dfm_status read_more(const dfm_model *from, const char *rows, dfm_growth_options options, int threads,
                            dfm_growth *growth, dfm_setup *setup, dfm_error *read_error) {
  dfm_input *input;
  dfm_error error;
  *setup = (dfm_setup){0};
  assert_ok(dfm_recipe_create(&setup->recipe, &error));
  assert_ok(dfm_recipe_adopt_model(setup->recipe, from, &error));
  assert_ok(dfm_input_create(&rows, 1, &input, &error));
  const dfm_status status =
      dfm_dataset_read_more(input, NULL, from, setup->recipe, &options, &(dfm_read_options){.threads = threads}, growth,
                            &setup->train, &setup->valid, read_error);
  dfm_input_free(input);
  return status;
}

static dfm_growth go_on_with(const char *from, const char *rows, dfm_growth_options options, int threads,
                             const char *model) {
  dfm_model *old = load(from);
  dfm_setup setup;
  dfm_growth growth;
  dfm_error error;
  assert_ok(read_more(old, rows, options, threads, &growth, &setup, &error));
  train(&setup, &(dfm_run_options){.model_path = model, .from = old, .keep_state = true, .threads = threads});
  tear_down(&setup);
  dfm_model_free(old);
  return growth;
}

static void score(const char *model_path, const char *rows, int n, float *probability) {
  dfm_model *model = load(model_path);
  dfm_dataset *dataset;
  dfm_scorer *scorer;
  dfm_error error;
  assert_ok(test_dataset_read(rows, model, NULL, &dataset, &error));
  assert_ok(dfm_scorer_create(model, 2, &scorer, &error));
  assert_ok(dfm_scorer_score(scorer, dataset, 0, n, probability, &error));
  dfm_scorer_free(scorer);
  dfm_dataset_free(dataset);
  dfm_model_free(model);
}

/* Fields in the order of the columns. */
enum { TAGS, USER, FRIEND, SITE, PRICE, WORD };

static int64_t count_of(const dfm_model *model, size_t field, const char *value) {
  const char *bytes;
  size_t n;
  int64_t count;
  for (int64_t i = 0; dfm_model_value(model, field, i, &bytes, &n, &count); i++)
    if (n == strlen(value) && memcmp(bytes, value, n) == 0) return count;
  return -1;
}

static int64_t sum_of_counts(const dfm_model *model, size_t field) {
  const char *bytes;
  size_t n;
  int64_t count, sum = 0;
  for (int64_t i = 0; dfm_model_value(model, field, i, &bytes, &n, &count); i++) sum += count;
  return sum;
}

/* The rows in three parts, each with new values: the model of one run over all of them, whose vocabularies were known
 * up front. */
static void test_grown_twice_is_one_run(void **state) {
  const char *a = make_stream("a.csv", 0, FIRST), *b = make_stream("b.csv", FIRST, SECOND),
             *c = make_stream("c.csv", FIRST + SECOND, THIRD), *all = make_stream("all.csv", 0, FIRST + SECOND + THIRD);
  const char *one = test_path("one.safetensors"), *two = test_path("two.safetensors"),
             *three = test_path("three.safetensors"), *whole = test_path("whole.safetensors");
  static float got[FIRST + SECOND + THIRD], expected[FIRST + SECOND + THIRD];
  (void)state;
  train_anew(a, "", one);
  const dfm_growth second = go_on_with(one, b, (dfm_growth_options){.admit = 1}, 2, two);
  const dfm_growth third = go_on_with(two, c, (dfm_growth_options){.admit = 1}, 2, three);
  assert_true(second.admitted > 10 && second.expired == 0);
  assert_true(third.admitted > 5 && third.kept == second.kept + second.admitted);
  train_anew(all, "", whole);
  score(three, all, FIRST + SECOND + THIRD, got);
  score(whole, all, FIRST + SECOND + THIRD, expected);
  for (int i = 0; i < FIRST + SECOND + THIRD; i++) assert_near((double)got[i], (double)expected[i], 1e-5);

  dfm_model *grown = load(three), *anew = load(whole);
  for (size_t f = TAGS; f <= WORD; f++) {
    assert_int_equal(dfm_model_field(grown, f).vocabulary, dfm_model_field(anew, f).vocabulary);
    assert_int_equal(dfm_model_field(grown, f).missing_rows, dfm_model_field(anew, f).missing_rows);
    assert_int_equal(sum_of_counts(grown, f), sum_of_counts(anew, f));
  }
  assert_int_equal(sum_of_counts(grown, USER), 2 * (FIRST + SECOND + THIRD));
  assert_int_equal(count_of(grown, PRICE, "1"), (FIRST + SECOND + THIRD) / 4);
  dfm_model_free(grown);
  dfm_model_free(anew);
}

static void test_same_bytes_at_any_threads(void **state) {
  static const int threads[] = {1, 2, 3, 8};
  const char *a = make_stream("a.csv", 0, FIRST), *b = make_stream("b.csv", FIRST, SECOND);
  const char *old = test_path("old.safetensors"), *one = test_path("one.safetensors"),
             *other = test_path("other.safetensors");
  (void)state;
  train_anew(a, ", max_vocabulary: 14", old);
  for (int i = 0; i < 4; i++) {
    go_on_with(old, b, (dfm_growth_options){.admit = 2, .expire_after = 1500}, threads[i], i ? other : one);
    if (i) assert_true(same_bytes(one, other));
  }
}

/* A value of a shared table is young where any of its columns has it, and a list's items have ages too; buckets never
 * expire. */
static void test_expiry(void **state) {
  const char *a = make_stream("a.csv", 0, FIRST), *b = make_stream("b.csv", FIRST, SECOND);
  const char *old = test_path("old.safetensors"), *young = test_path("young.safetensors");
  (void)state;
  train_anew(a, "", old);
  go_on_with(old, b, (dfm_growth_options){.expire_after = SECOND}, 2, young);
  dfm_model *model = load(young);
  /* B has users from u5 and friends from u8 on, tags from t3 on. */
  assert_int_equal(count_of(model, USER, "u4"), -1);
  assert_true(count_of(model, USER, "u5") > 0);
  assert_true(count_of(model, USER, "u18") > 0); /* a friend alone */
  assert_int_equal(count_of(model, TAGS, "t2"), -1);
  assert_true(count_of(model, TAGS, "t3") > 0);
  assert_int_equal(dfm_model_field(model, PRICE).vocabulary, 4);
  dfm_model_free(model);
}

/* The most frequent of the new values get what room there is, and none where there is none. */
static void test_limited_vocabulary(void **state) {
  const char *a = make_stream("a.csv", 0, FIRST), *b = make_stream("b.csv", FIRST, SECOND);
  const char *old = test_path("old.safetensors"), *grown = test_path("grown.safetensors"),
             *free_path = test_path("free.safetensors");
  (void)state;
  train_anew(a, ", max_vocabulary: 14", old);
  dfm_model *model = load(old);
  assert_int_equal(dfm_model_field(model, USER).vocabulary, 11);
  dfm_model_free(model);
  go_on_with(old, b, (dfm_growth_options){0}, 2, grown);
  train_anew(a, "", old);
  go_on_with(old, b, (dfm_growth_options){0}, 2, free_path);
  model = load(grown);
  dfm_model *without = load(free_path);
  assert_int_equal(dfm_model_field(model, USER).vocabulary, 14);
  assert_true(dfm_model_field(without, USER).vocabulary > 14);
  for (int64_t i = 0; i < 14; i++) { /* the first fourteen of those without a limit */
    const char *bytes[2];
    size_t n[2];
    int64_t count[2];
    assert_true(dfm_model_value(model, USER, i, &bytes[0], &n[0], &count[0]));
    assert_true(dfm_model_value(without, USER, i, &bytes[1], &n[1], &count[1]));
    assert_int_equal(n[0], n[1]);
    assert_memory_equal(bytes[0], bytes[1], n[0]);
    assert_int_equal(count[0], count[1]);
  }
  dfm_model_free(model);
  dfm_model_free(without);
}

/* Buckets stay as they were cut: numbers beyond them belong to the nearest. What is no number has a place. */
static void test_buckets_stay(void **state) {
  static const char rows[] = "label,tags,user,friend,site,price,word,x\n0,t1:1,u1,u2,s1,-5,w1,1\n1,,u2,u1,s2,99,w2,2\n";
  static const char bad[] =
      "label,tags,user,friend,site,price,word,x\n0,t1:1,u1,u2,s1,cheap,w1,1\n1,,u2,u1,s2,9,w2,2\n";
  const char *a = make_stream("a.csv", 0, FIRST), *old = test_path("old.safetensors"),
             *next = test_path("next.safetensors");
  dfm_setup setup;
  dfm_growth growth;
  dfm_error error;
  (void)state;
  train_anew(a, "", old);
  go_on_with(old, test_write("far.csv", rows, strlen(rows)), (dfm_growth_options){0}, 1, next);
  dfm_model *model = load(next);
  assert_int_equal(count_of(model, PRICE, "0"), FIRST / 4 + 1);
  assert_int_equal(count_of(model, PRICE, "3"), FIRST / 4 + 1);
  assert_int_equal(dfm_model_field(model, PRICE).vocabulary, 4);
  assert_int_equal(
      read_more(model, test_write("bad.csv", bad, strlen(bad)), (dfm_growth_options){0}, 1, &growth, &setup, &error),
      DFM_ERROR_FORMAT);
  if (!strstr(error.message, "bad.csv:2:") || !strstr(error.message, "cheap")) fail_msg("'%s'", error.message);
  tear_down(&setup);
  dfm_model_free(model);
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_grown_twice_is_one_run), cmocka_unit_test(test_same_bytes_at_any_threads),
      cmocka_unit_test(test_expiry), cmocka_unit_test(test_limited_vocabulary), cmocka_unit_test(test_buckets_stay)};
  return test_main(argc, argv, "grow_fields", tests, sizeof tests / sizeof *tests);
}
