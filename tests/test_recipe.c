/* Recipes: settings as text, YAML and overrides come in; members, messages and YAML that reads back are checked. */
#include "test.h"

#include <math.h>

#include "model/model.h"
#include "model/recipe_settings.h"

static dfm_error error;

static dfm_recipe *fresh(void) {
  dfm_recipe *recipe = NULL;
  assert_ok(dfm_recipe_create(&recipe, &error));
  return recipe;
}

static void set(dfm_recipe *recipe, const char *name, const char *value) {
  assert_ok(dfm_recipe_set(recipe, name, value, &error));
}

static void parse(dfm_recipe *recipe, const char *yaml) {
  assert_ok(dfm_recipe_parse(recipe, yaml, "r.yaml", &error));
}

static void assert_value(const dfm_recipe *recipe, const char *name, const char *expected) {
  char *value = NULL;
  assert_ok(dfm_recipe_get(recipe, name, &value, &error));
  assert_non_null(value);
  if (strcmp(value, expected) != 0) fail_msg("%s is '%s', expected '%s'", name, value, expected);
  dfm_string_free(value);
}

static void assert_message(const char *part) {
  if (!strstr(error.message, part)) fail_msg("'%s' is not in: %s", part, error.message);
}

static void refuses(const char *name, const char *value, const char *message) {
  dfm_recipe *recipe = fresh();
  assert_int_equal(dfm_recipe_set(recipe, name, value, &error), DFM_ERROR_VALUE);
  assert_message(message);
  dfm_recipe_free(recipe);
}

static void refuses_yaml(const char *yaml, dfm_status status, const char *message) {
  dfm_recipe *recipe = fresh();
  assert_int_equal(dfm_recipe_parse(recipe, yaml, "r.yaml", &error), status);
  assert_message(message);
  assert_value(recipe, "train.epochs", "10");
  dfm_recipe_free(recipe);
}

static void refuses_check(dfm_recipe *recipe, const char *message) {
  assert_int_equal(dfm_recipe_check(recipe, &error), DFM_ERROR_VALUE);
  assert_message(message);
  dfm_recipe_free(recipe);
}

static void every_default_reads_back(void **state) {
  (void)state;
  dfm_recipe *recipe = fresh();
  size_t n = 0;
  for (const dfm_setting *setting; (setting = dfm_setting_at(n)); n++) {
    assert_value(recipe, setting->name, setting->default_value);
    assert_true(*setting->flag && *setting->range && *setting->help);
    for (size_t other = 0; other < n; other++) {
      assert_string_not_equal(setting->name, dfm_setting_at(other)->name);
      assert_string_not_equal(setting->flag, dfm_setting_at(other)->flag);
    }
  }
  assert_true(n >= 48);
  assert_ok(dfm_recipe_check(recipe, &error));
  dfm_recipe_free(recipe);
}

static void defaults_are_those_promised(void **state) {
  (void)state;
  dfm_recipe *r = fresh();
  assert_string_equal(r->model, "deepfm");
  assert_int_equal(r->embedding.width, 16);
  assert_int_equal(r->embedding.init, DFM_INIT_NORMAL);
  assert_int_equal(r->linear.init, DFM_INIT_ZEROS);
  assert_int_equal(r->dnn.n_hidden, 2);
  assert_int_equal(r->dnn.hidden[1], 128);
  assert_int_equal(r->dnn.n_dropout, 1);
  assert_int_equal(r->dnn.activation, DFM_RELU);
  assert_int_equal(r->dnn.init, DFM_INIT_GLOROT_UNIFORM);
  assert_int_equal(r->optimizer.name, DFM_SOLVER_ADAM);
  assert_true(r->optimizer.learning_rate == 1e-3 && r->optimizer.epsilon == 1e-8);
  assert_false(r->optimizer.epsilon_keras || r->optimizer.lazy || r->dnn.batch_norm);
  assert_true(r->train.shuffle && r->train.seed == 1 && r->data.seed == 1);
  assert_true(r->data.valid_random == 0.1 && r->data.valid_split == 0 && !r->data.vocabulary_from_all);
  assert_int_equal(r->data.category.width, 16);
  assert_int_equal(r->data.category.into, DFM_INTO_LINEAR | DFM_INTO_FM | DFM_INTO_DNN);
  assert_int_equal(r->data.number.into, DFM_INTO_LINEAR | DFM_INTO_DNN);
  assert_int_equal(r->data.number.transform, DFM_TRANSFORM_AUTO);
  assert_true(isnan(r->data.number.missing) && isnan(r->data.category.missing));
  dfm_recipe_free(r);
}

static void every_choice_is_kept(void **state) {
  (void)state;
  dfm_recipe *recipe = fresh();
  int choices = 0;
  for (size_t i = 0; dfm_setting_at(i); i++) {
    char range[128];
    snprintf(range, sizeof range, "%s", dfm_setting_at(i)->range);
    if (!strchr(range, '|')) continue;
    char *rest = NULL;
    for (char *word = strtok_r(range, " |", &rest); word; word = strtok_r(NULL, " |", &rest), choices++) {
      set(recipe, dfm_setting_at(i)->name, word);
      assert_value(recipe, dfm_setting_at(i)->name, word);
    }
  }
  assert_true(choices >= 44);
  assert_int_equal(recipe->dnn.init, DFM_INIT_HE_NORMAL);
  assert_int_equal(recipe->dnn.activation, DFM_TANH);
  assert_int_equal(recipe->optimizer.name, DFM_SOLVER_LBFGS);
  assert_true(recipe->optimizer.lazy && recipe->optimizer.epsilon_keras && recipe->data.vocabulary_from_all);
  dfm_recipe_free(recipe);
}

/* What `model` promises is what the table of models holds. */
static void models_are_named(void **state) {
  (void)state;
  char range[256] = "";
  for (size_t i = 0; dfm_model_kind_at(i); i++) {
    if (i > 0) strcat(range, " | ");
    strcat(range, dfm_model_kind_at(i)->name);
  }
  assert_string_equal(dfm_setting_find("model")->setting.range, range);
}

/* The schema reads the same words for one field that the recipe reads for all of them. */
static void data_settings_mean_what_the_schema_means(void **state) {
  (void)state;
  static const struct {
    const char *name, *key, *values[6];
    size_t offset; /* in dfm_recipe */
    size_t field_offset;
  } cases[] = {
      {"data.transform",
       "transform",
       {"none", "log", "standard", "minmax", "auto"},
       offsetof(dfm_recipe, data.number.transform),
       offsetof(dfm_field_settings, transform)},
      {"data.unknown",
       "unknown",
       {"row", "zero", "error"},
       offsetof(dfm_recipe, data.category.unknown),
       offsetof(dfm_field_settings, unknown)},
      {"data.vocabulary_order",
       "order",
       {"frequency", "sorted"},
       offsetof(dfm_recipe, data.category.order),
       offsetof(dfm_field_settings, order)},
      {"data.category_into",
       "into",
       {"linear", "fm", "dnn", "linear,dnn", "[linear, fm, dnn]"},
       offsetof(dfm_recipe, data.category.into),
       offsetof(dfm_field_settings, into)},
      {"data.max_vocabulary",
       "max_vocabulary",
       {"0", "10", "1000000000"},
       offsetof(dfm_recipe, data.category.max_vocabulary),
       offsetof(dfm_field_settings, max_vocabulary)},
      {"data.hash",
       "hash",
       {"0", "1", "1000"},
       offsetof(dfm_recipe, data.category.hash),
       offsetof(dfm_field_settings, hash)},
      {"data.min_count",
       "min_count",
       {"1", "10", "1000"},
       offsetof(dfm_recipe, data.category.min_count),
       offsetof(dfm_field_settings, min_count)},
  };
  dfm_recipe *recipe = fresh();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (size_t v = 0; v < 6 && cases[i].values[v]; v++) {
      dfm_column column = {0};
      set(recipe, cases[i].name, cases[i].values[v]);
      assert_ok(dfm_column_set(&column, cases[i].key, cases[i].values[v], &error));
      const int ours = *(const int *)(const void *)((const char *)recipe + cases[i].offset);
      const int theirs = *(const int *)(const void *)((const char *)&column.settings + cases[i].field_offset);
      if (ours != theirs) fail_msg("%s=%s: recipe %d, schema %d", cases[i].name, cases[i].values[v], ours, theirs);
    }
  dfm_recipe_free(recipe);
}

static void members_that_follow(void **state) {
  (void)state;
  dfm_recipe *recipe = fresh();
  set(recipe, "embedding.width", "4");
  set(recipe, "train.seed", "77");
  assert_int_equal(recipe->data.category.width, 4);
  assert_true(recipe->data.seed == 77);

  set(recipe, "validation.split", "0.3");
  assert_value(recipe, "validation.random", "0");
  assert_ok(dfm_recipe_check(recipe, &error));
  set(recipe, "validation.split", "0");
  assert_value(recipe, "validation.random", "0.1");
  set(recipe, "validation.random", "0.2");
  set(recipe, "validation.split", "0.3");
  refuses_check(recipe, "validation.split is 0.3 and validation.random is 0.2");
}

static void hashing_keeps_no_vocabulary_to_shape(void **state) {
  (void)state;
  dfm_recipe *recipe = fresh();
  set(recipe, "data.hash", "100");
  assert_ok(dfm_recipe_check(recipe, &error));
  set(recipe, "data.min_count", "2");
  refuses_check(recipe, "data.hash is 100 and data.min_count is 2");
}

static void lists(void **state) {
  (void)state;
  dfm_recipe *recipe = fresh();
  set(recipe, "dnn.hidden", "400, 400,400");
  assert_value(recipe, "dnn.hidden", "400,400,400");
  set(recipe, "dnn.dropout", "[0.5, 0.3, 1e-1]");
  assert_value(recipe, "dnn.dropout", "0.5,0.3,0.1");
  assert_ok(dfm_recipe_check(recipe, &error));
  set(recipe, "dnn.dropout", "0.5");
  set(recipe, "dnn.hidden", "[]");
  assert_int_equal(recipe->dnn.n_hidden, 0);
  set(recipe, "dnn.hidden", "8");
  set(recipe, "dnn.hidden", "");
  assert_value(recipe, "dnn.hidden", "");
  assert_ok(dfm_recipe_check(recipe, &error));
  set(recipe, "dnn.hidden", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16");
  assert_int_equal(recipe->dnn.n_hidden, DFM_MAX_HIDDEN);
  set(recipe, "data.number_into", "fm");
  assert_int_equal(recipe->data.number.into, DFM_INTO_FM);
  dfm_recipe_free(recipe);

  refuses("dnn.hidden", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", "up to 16 whole numbers in [1, 65536]");
  refuses("dnn.hidden", "400,,400", "up to 16 whole numbers");
  refuses("dnn.hidden", "400,0", "dnn.hidden is '400,0'");
  refuses("dnn.dropout", "", "in [0, 1), one number or one for each hidden layer");
  refuses("dnn.dropout", "0.5,1", "dnn.dropout is '0.5,1'");
  refuses("data.category_into", "linear,fmm", "one or more of linear, fm, dnn");
  refuses("data.category_into", "", "one or more of linear, fm, dnn");
}

static void bad_values_name_setting_value_and_range(void **state) {
  (void)state;
  refuses("train.batch_size", "-1", "train.batch_size is '-1'; it must be a whole number in [0, 1048576]");
  refuses("train.batch_size", "12.5", "'12.5'");
  refuses("train.batch_size", "99999999999999999999", "[0, 1048576]");
  refuses("optimizer.learning_rate", "0", "optimizer.learning_rate is '0'; it must be a number in (0, 10]");
  refuses("optimizer.learning_rate", "nan", "(0, 10]");
  refuses("optimizer.learning_rate", "", "(0, 10]");
  refuses("validation.split", "1", "validation.split is '1'; it must be a number in [0, 1)");
  refuses("dnn.activation", "rellu", "it must be one of linear | relu | sigmoid | tanh; did you mean 'relu'?");
  refuses("dnn.batch_norm", "maybe", "dnn.batch_norm is 'maybe'; it must be true or false");
  refuses("train.seed", "-1", "train.seed is '-1'");
  refuses("model", "a name with spaces", "there is no model 'a name with spaces'; the models are lr, fm, ffm, deepfm");
  refuses("model", "", "there is no model ''");
  refuses("model", "FFM", "did you mean 'ffm'?");
  refuses("train.seed", "9007199254740992", "[0, 9007199254740991]");
  refuses("train.seed", "9007199254740993", "[0, 9007199254740991]");
  refuses("data.missing", "none", "data.missing is 'none'; it must be a number that a 32-bit float holds, or empty");
  refuses("data.missing", "1e300", "data.missing is '1e300'");
  refuses("data.missing", "-4e38", "data.missing is '-4e38'");
  refuses("fields.I1.missing", "1e300", "fields.I1.missing: missing is '1e300'");
}

static void misspelt_names_suggest_the_nearest(void **state) {
  (void)state;
  refuses("optimizer.learning_rte", "1",
          "there is no setting 'optimizer.learning_rte'; did you mean 'optimizer.learning_rate'?");
  refuses("learning_rate", "1", "did you mean 'optimizer.learning_rate'?");
  refuses("batch-size", "1", "did you mean 'train.batch_size'?");
  refuses("dn.init", "1", "did you mean 'dnn.init'?");
  refuses("zzzzzzzz", "1", "docs/recipe.md lists them");
  refuses("fields.C1.min_cont", "1", "fields.C1.min_cont: ");
  refuses("fields.C1.min_count", "0", "fields.C1.min_count: ");
  refuses("fields.C1", "1", "'fields.C1' is not fields.NAME.KEY");
  refuses("fields.C1.", "1", "is not fields.NAME.KEY");
  refuses("fields..kind", "1", "is not fields.NAME.KEY");
}

static void numbers_survive_text(void **state) {
  (void)state;
  static const char *const texts[] = {"0.1", "1e-8", "0.30000000000000004", "1e-300", "3.3333333333333335e-5", "1",
                                      "10",  "0.001"};
  dfm_recipe *recipe = fresh();
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    set(recipe, "optimizer.learning_rate", texts[i]);
    assert_value(recipe, "optimizer.learning_rate", texts[i]);
  }
  set(recipe, "data.missing", "-1e+20");
  assert_value(recipe, "data.missing", "-1e20");
  set(recipe, "data.missing", "-999.5");
  assert_value(recipe, "data.missing", "-999.5");
  set(recipe, "data.missing", "");
  assert_value(recipe, "data.missing", "");
  set(recipe, "train.seed", "9007199254740991");
  assert_value(recipe, "train.seed", "9007199254740991");
  dfm_recipe_free(recipe);
}

static void yaml_lays_settings_over(void **state) {
  (void)state;
  dfm_recipe *recipe = fresh();
  parse(recipe,
        "# the tutorial's\n"
        "model: deepfm\n"
        "embedding: {width: 4}\n"
        "dnn:\n  hidden: [256, 256, 256]\n  dropout: [0.5, 0.3, 0.1]\n"
        "optimizer.learning_rate: 2e-3\n"
        "train:\n  batch_size: 64\n  shuffle: no\n"
        "data:\n  missing: ~\n  number_into: [linear]\n  category_into: linear\n"
        "fields:\n  C1:\n    kind: number\n    transform: log\n  a.b:\n    min_count: 3\n"
        "fields.C2.into: [linear, fm]\n");
  assert_value(recipe, "embedding.width", "4");
  assert_value(recipe, "dnn.hidden", "256,256,256");
  assert_value(recipe, "dnn.dropout", "0.5,0.3,0.1");
  assert_value(recipe, "optimizer.learning_rate", "0.002");
  assert_value(recipe, "train.batch_size", "64");
  assert_value(recipe, "train.shuffle", "false");
  assert_value(recipe, "train.epochs", "10");
  assert_value(recipe, "data.missing", "");
  assert_value(recipe, "data.number_into", "linear");
  assert_value(recipe, "fields.C1.kind", "number");
  assert_value(recipe, "fields.a.b.min_count", "3");
  assert_value(recipe, "fields.C2.into", "[linear,fm]");
  char *none = (char *)"";
  assert_ok(dfm_recipe_get(recipe, "fields.C9.kind", &none, &error));
  assert_null(none);
  assert_ok(dfm_recipe_get(recipe, "no.such", &none, &error));
  assert_null(none);
  parse(recipe, "");
  parse(recipe, "# nothing\n");
  assert_value(recipe, "train.batch_size", "64");
  dfm_recipe_free(recipe);
}

static void bad_yaml_names_line_and_column(void **state) {
  (void)state;
  refuses_yaml("train:\n  epochs: 3\n  batch_sise: 64\n", DFM_ERROR_VALUE,
               "r.yaml:3:3: there is no setting 'train.batch_sise'; did you mean 'train.batch_size'?");
  assert_int_equal(error.line, 3);
  assert_int_equal(error.column, 3);
  refuses_yaml("train:\n  epochs: 3\n  batch_size: -1\n", DFM_ERROR_VALUE, "r.yaml:3:15: train.batch_size is '-1'");
  refuses_yaml("train: {epochs: 3, epochs: 4}\n", DFM_ERROR_FORMAT,
               "r.yaml:1:20: 'epochs' stands here twice, first on line 1");
  refuses_yaml("train:\n  epochs: 3\n bad\n", DFM_ERROR_FORMAT, "r.yaml:3:");
  refuses_yaml("train:\n  epochs: [3\n", DFM_ERROR_FORMAT, "not YAML: ");
  refuses_yaml("- 3\n- 4\n", DFM_ERROR_FORMAT, "r.yaml:1:1: a recipe is settings as 'name: value'");
  refuses_yaml("model: {deepfm: 1}\n", DFM_ERROR_FORMAT, "r.yaml:1:8: one value is wanted here");
  refuses_yaml("dnn: {hidden: [1, [2]]}\n", DFM_ERROR_FORMAT, "remove what is nested");
  refuses_yaml("fields: {C1: {kind: {a: b}}}\n", DFM_ERROR_FORMAT, "one value is wanted here");
  refuses_yaml("train: {epochs: 3}\n--- \nmodel: lr\n", DFM_ERROR_FORMAT, "r.yaml:3: a second document");
  refuses_yaml("model: \"a\\0b\"\n", DFM_ERROR_FORMAT, "NUL");
  refuses_yaml("? [a]\n: b\n", DFM_ERROR_FORMAT, "a key must be a name");
  refuses_yaml("a: &a\n  b: *a\n", DFM_ERROR_FORMAT, "r.yaml:");
  refuses_yaml("train: {epochs: 3}\nmodel: \xff\n", DFM_ERROR_FORMAT, "r.yaml:");
  refuses_yaml("fields: {C1: {min_count: 0}}\n", DFM_ERROR_VALUE, "r.yaml:1:26: fields.C1.min_count: ");
}

static void files(void **state) {
  (void)state;
  dfm_recipe *recipe = fresh();
  const char *yaml = "train: {epochs: 3}\n";
  assert_ok(dfm_recipe_load(recipe, test_write("r.yaml", yaml, strlen(yaml)), &error));
  assert_value(recipe, "train.epochs", "3");
  assert_int_equal(dfm_recipe_load(recipe, test_path("absent.yaml"), &error), DFM_ERROR_IO);
  assert_message("absent.yaml");
  char *big = calloc(1, 2 << 20);
  assert_non_null(big);
  memset(big, '#', 2 << 20);
  assert_int_equal(dfm_recipe_load(recipe, test_write("big.yaml", big, 2 << 20), &error), DFM_ERROR_FORMAT);
  assert_message("too many for a recipe");
  free(big);
  dfm_recipe_free(recipe);
}

/* to_yaml, read over a fresh recipe, gives the same YAML: nothing is lost. */
static void yaml_reads_back(void **state) {
  (void)state;
  dfm_recipe *recipe = fresh(), *again = fresh(), *copy = NULL;
  set(recipe, "validation.split", "0.3");
  set(recipe, "dnn.hidden", "");
  set(recipe, "dnn.dropout", "0.25");
  set(recipe, "optimizer.epsilon", "1e-7");
  set(recipe, "optimizer.epsilon_place", "keras");
  set(recipe, "data.missing", "-1");
  set(recipe, "fields.z.kind", "number");
  set(recipe, "fields.a: #'\"b.kind", "category");
  set(recipe, "fields.a: #'\"b.into", "[linear, fm]");
  set(recipe, "fields.r\xc3\xa9gion\n.min_count", "2");
  set(recipe, "fields.z.kind", "category");
  char *first = NULL, *second = NULL, *third = NULL;
  assert_ok(dfm_recipe_to_yaml(recipe, &first, &error));
  parse(again, first);
  assert_ok(dfm_recipe_to_yaml(again, &second, &error));
  assert_string_equal(first, second);
  assert_non_null(strstr(first, "\ndnn:\n  hidden: []\n"));
  assert_ok(dfm_recipe_check(again, &error));
  assert_ok(dfm_recipe_copy(recipe, &copy, &error));
  dfm_recipe_free(recipe);
  assert_ok(dfm_recipe_to_yaml(copy, &third, &error));
  assert_string_equal(first, third);
  assert_value(copy, "fields.r\xc3\xa9gion\n.min_count", "2");
  dfm_string_free(first);
  dfm_string_free(second);
  dfm_string_free(third);
  dfm_recipe_free(again);
  dfm_recipe_free(copy);
}

static void yaml_does_not_depend_on_order(void **state) {
  (void)state;
  dfm_recipe *a = fresh(), *b = fresh();
  set(a, "fields.C1.min_count", "2");
  set(a, "fields.C2.kind", "number");
  set(b, "fields.C2.kind", "number");
  set(b, "fields.C1.min_count", "2");
  char *of_a = NULL, *of_b = NULL;
  assert_ok(dfm_recipe_to_yaml(a, &of_a, &error));
  assert_ok(dfm_recipe_to_yaml(b, &of_b, &error));
  assert_string_equal(of_a, of_b);
  dfm_string_free(of_a);
  dfm_string_free(of_b);
  dfm_recipe_free(a);
  dfm_recipe_free(b);
}

static void combinations(void **state) {
  (void)state;
  dfm_recipe *recipe = fresh();
  set(recipe, "optimizer.name", "lbfgs");
  refuses_check(recipe, "optimizer.name is lbfgs, which solves model lr alone, but model is deepfm");
  recipe = fresh();
  set(recipe, "optimizer.name", "lbfgs");
  set(recipe, "model", "lr");
  assert_ok(dfm_recipe_check(recipe, &error));
  set(recipe, "optimizer.clip_norm", "5");
  refuses_check(recipe, "optimizer.clip_norm is 5, but lbfgs takes no steps over batches");
  recipe = fresh();
  set(recipe, "dnn.dropout", "0.1,0.2,0.3");
  refuses_check(recipe, "dnn.dropout has 3 numbers, but dnn.hidden has 2 layers");
}

static void overrides_reach_the_schema(void **state) {
  (void)state;
  const char *text = "label,C1,I1\n1,a,3\n0,b,4\n1,a,5.5\n";
  dfm_schema *schema = NULL, *applied = NULL;
  dfm_recipe *recipe = fresh();
  assert_ok(test_schema_guess(test_write("rows.csv", text, strlen(text)), NULL, &schema, &error));
  set(recipe, "fields.I1.kind", "category");
  set(recipe, "fields.C1.min_count", "7");
  assert_ok(dfm_recipe_apply(recipe, schema, &applied, &error));
  assert_int_equal(schema->columns[2].kind, DFM_KIND_NUMBER);
  assert_int_equal(applied->columns[2].kind, DFM_KIND_CATEGORY);
  assert_int_equal(applied->columns[1].settings.min_count, 7);
  dfm_schema_free(applied);
  set(recipe, "fields.C2.kind", "number");
  assert_int_equal(dfm_recipe_apply(recipe, schema, &applied, &error), DFM_ERROR_VALUE);
  assert_message("C2");
  dfm_schema_free(schema);
  dfm_recipe_free(recipe);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_default_reads_back),
      cmocka_unit_test(defaults_are_those_promised),
      cmocka_unit_test(every_choice_is_kept),
      cmocka_unit_test(models_are_named),
      cmocka_unit_test(data_settings_mean_what_the_schema_means),
      cmocka_unit_test(members_that_follow),
      cmocka_unit_test(hashing_keeps_no_vocabulary_to_shape),
      cmocka_unit_test(lists),
      cmocka_unit_test(bad_values_name_setting_value_and_range),
      cmocka_unit_test(misspelt_names_suggest_the_nearest),
      cmocka_unit_test(numbers_survive_text),
      cmocka_unit_test(yaml_lays_settings_over),
      cmocka_unit_test(bad_yaml_names_line_and_column),
      cmocka_unit_test(files),
      cmocka_unit_test(yaml_reads_back),
      cmocka_unit_test(yaml_does_not_depend_on_order),
      cmocka_unit_test(combinations),
      cmocka_unit_test(overrides_reach_the_schema),
  };
  return test_main(argc, argv, "recipe", tests, sizeof tests / sizeof *tests);
}
