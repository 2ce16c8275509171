/* Schema: YAML texts, settings and data files come in; the schema made of them, and every error's sentence, is compared
 * with what is expected. */
#include "data/schema.h"

#include <math.h>

#include "test.h"

static dfm_error error;

static dfm_schema *parse(const char *yaml) {
  dfm_schema *schema;
  assert_ok(dfm_schema_parse(yaml, "s.yaml", &schema, &error));
  return schema;
}

static void check_refused(const char *yaml, const char *expected) {
  dfm_schema *schema = NULL;
  if (dfm_schema_parse(yaml, "s.yaml", &schema, &error) == DFM_OK) fail_msg("accepted: %s", yaml);
  if (!strstr(error.message, expected)) fail_msg("'%s' lacks '%s'", error.message, expected);
  assert_null(schema);
}

static bool same_words(char **a, size_t n, char **b, size_t m) {
  bool same = n == m;
  for (size_t i = 0; same && i < n; i++) same = strcmp(a[i], b[i]) == 0;
  return same;
}

static bool same_double(double a, double b) {
  return a == b || (isnan(a) && isnan(b));
}

/* Field by field: padding and NaN make memcmp useless. Reasons do not count. */
static bool same_settings(const dfm_field_settings *x, const dfm_field_settings *y) {
  return x->min_count == y->min_count && x->unknown == y->unknown && x->unknown_rate == y->unknown_rate &&
         x->order == y->order && x->transform == y->transform && same_double(x->missing, y->missing) &&
         x->into == y->into && x->width == y->width && x->trainable == y->trainable && x->separator == y->separator &&
         x->weights == y->weights && x->pool == y->pool && x->within == y->within &&
         x->max_vocabulary == y->max_vocabulary && x->hash == y->hash && x->buckets == y->buckets;
}

static bool same_text(const char *a, const char *b) {
  return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_schema(const dfm_schema *a, const dfm_schema *b) {
  bool same = a->separator == b->separator && a->has_header == b->has_header && a->strip_spaces == b->strip_spaces &&
              !a->comment == !b->comment && (!a->comment || strcmp(a->comment, b->comment) == 0) &&
              same_double(a->label_above, b->label_above) && a->n_columns == b->n_columns &&
              same_words(a->missing_words, a->n_missing_words, b->missing_words, b->n_missing_words) &&
              same_words(a->positives, a->n_positives, b->positives, b->n_positives) &&
              same_words(a->negatives, a->n_negatives, b->negatives, b->n_negatives);
  for (size_t i = 0; same && i < a->n_columns; i++)
    same = strcmp(a->columns[i].name, b->columns[i].name) == 0 && a->columns[i].kind == b->columns[i].kind &&
           same_settings(&a->columns[i].settings, &b->columns[i].settings) &&
           same_text(a->columns[i].share, b->columns[i].share) &&
           same_text(a->columns[i].initial, b->columns[i].initial);
  return same;
}

static void check_round_trip(const dfm_schema *schema) {
  for (int with_reasons = 0; with_reasons < 2; with_reasons++) {
    char *yaml;
    assert_ok(dfm_schema_to_yaml(schema, with_reasons, &yaml, &error));
    dfm_schema *back = parse(yaml);
    if (!same_schema(schema, back)) fail_msg("not the same after:\n%s", yaml);
    dfm_string_free(yaml);
    dfm_schema_free(back);
  }
}

/* ---- YAML */

static void every_key_is_read(void **state) {
  (void)state;
  dfm_schema *s = parse(
      "separator: tab\nheader: false\nstrip_spaces: true\ncomment: '#'\nmissing: ['?', NA]\n"
      "label: {column: income, positive: '>50K', negative: ['<=50K', '<=50K.']}\nweight: w\n"
      "columns:\n- {name: income}\n- {name: w, kind: weight}\n"
      "- {name: age, kind: number, transform: log, missing: -1.5, into: [linear, dnn]}\n"
      "- name: city\n  kind: category\n  min_count: 5\n  unknown: zero\n  unknown_rate: 0.25\n  order: sorted\n  into: "
      "fm\n  width: 8\n"
      "- {name: id, kind: ignore}\n"
      "- {name: tags, kind: list, separator: semicolon, weights: ':', pool: sum, within: true, initial: a b.txt, "
      "trainable: false}\n- {name: more, kind: list, weights: none, share: tags}\n"
      "- {name: ad, kind: category, hash: 1000, max_vocabulary: 0}\n"
      "- {name: price, kind: category, buckets: 20}\n"
      "- {name: seen, kind: category, transform: log2, max_vocabulary: 99}\n");
  assert_int_equal(s->separator, '\t');
  assert_false(s->has_header);
  assert_true(s->strip_spaces);
  assert_string_equal(s->comment, "#");
  assert_int_equal(s->n_missing_words, 2);
  assert_string_equal(s->missing_words[1], "NA");
  assert_string_equal(s->positives[0], ">50K");
  assert_string_equal(s->negatives[1], "<=50K.");
  assert_int_equal(s->n_columns, 10);
  assert_int_equal(s->columns[0].kind, DFM_KIND_LABEL);
  assert_int_equal(s->columns[1].kind, DFM_KIND_WEIGHT);
  const dfm_field_settings *tags = &s->columns[5].settings;
  assert_int_equal(s->columns[5].kind, DFM_KIND_LIST);
  assert_int_equal(tags->separator, ';');
  assert_int_equal(tags->weights, ':');
  assert_int_equal(tags->pool, DFM_POOL_SUM);
  assert_int_equal(tags->within, 1);
  assert_int_equal(tags->trainable, 0);
  assert_string_equal(s->columns[5].initial, "a b.txt");
  assert_string_equal(s->columns[6].share, "tags");
  assert_int_equal(s->columns[6].settings.weights, 0);
  assert_int_equal(s->columns[6].settings.separator, -1);
  const dfm_field_settings *age = &s->columns[2].settings, *city = &s->columns[3].settings;
  assert_int_equal(age->transform, DFM_TRANSFORM_LOG);
  assert_near(age->missing, -1.5, 0);
  assert_int_equal(age->into, DFM_INTO_LINEAR | DFM_INTO_DNN);
  assert_int_equal(age->width, -1);
  assert_int_equal(city->min_count, 5);
  assert_int_equal(city->unknown, DFM_UNKNOWN_ZERO);
  assert_near(city->unknown_rate, 0.25, 0);
  assert_int_equal(city->order, DFM_ORDER_SORTED);
  assert_int_equal(city->into, DFM_INTO_FM);
  assert_int_equal(city->width, 8);
  assert_int_equal(city->transform, -1);
  assert_int_equal(city->hash, -1);
  assert_int_equal(s->columns[7].settings.hash, 1000);
  assert_int_equal(s->columns[8].settings.buckets, 20);
  assert_int_equal(s->columns[9].settings.max_vocabulary, 99);
  assert_int_equal(s->columns[9].settings.transform, DFM_TRANSFORM_LOG2);
  check_round_trip(s);
  dfm_schema *copy;
  assert_ok(dfm_schema_copy(s, &copy, &error));
  assert_true(same_schema(s, copy));
  dfm_schema_free(copy);
  dfm_schema_free(s);
}

static void defaults_and_short_label(void **state) {
  (void)state;
  dfm_schema *s = parse("label: y\ncolumns: [{name: y}, {name: a, kind: category}]");
  assert_int_equal(s->separator, ',');
  assert_true(s->has_header);
  assert_null(s->comment);
  assert_true(isnan(s->label_above));
  assert_true(isnan(s->columns[1].settings.missing));
  check_round_trip(s);
  dfm_schema_free(s);
}

static void names_and_words_come_back(void **state) {
  (void)state;
  static const char *const strings[] = {"true",
                                        "null",
                                        "~",
                                        "",
                                        " a ",
                                        "a: b",
                                        "a #b",
                                        "- x",
                                        "[",
                                        "{a}",
                                        "\"q\"",
                                        "it's",
                                        "back\\slash",
                                        "line\nbreak",
                                        "tab\t",
                                        "\x01\x1f\x7f",
                                        "\xc2\x85\xc2\xa0",
                                        "\xe2\x80\xa8",
                                        "\xef\xbb\xbf",
                                        "caf\xc3\xa9",
                                        "\xf0\x9f\x98\x80",
                                        "\xef\xbf\xbf",
                                        "1",
                                        "1e5",
                                        "!tag",
                                        "&a",
                                        "*a",
                                        "%d",
                                        "@",
                                        "`",
                                        "?",
                                        ",",
                                        "\r\n",
                                        "y"};
  enum { N = sizeof strings / sizeof *strings };
  dfm_schema *s;
  assert_ok(dfm_schema_create(&s, &error));
  s->columns = calloc(N, sizeof *s->columns);
  s->separator = '\t';
  for (size_t i = 0; i < N; i++) {
    s->columns[i] = (dfm_column){.name = strdup(*strings[i] ? strings[i] : "empty"),
                                 .kind = i ? DFM_KIND_CATEGORY : DFM_KIND_LABEL,
                                 .reason = strdup(strings[i]),
                                 .settings = dfm_field_settings_unset()};
    s->n_columns++;
    assert_ok(dfm_words_add(&s->missing_words, &s->n_missing_words, strings[i], strlen(strings[i]), &error));
    assert_ok(dfm_words_add(&s->positives, &s->n_positives, strings[i], strlen(strings[i]), &error));
  }
  s->columns[3].settings.unknown_rate = 0.1;
  s->columns[4].kind = DFM_KIND_NUMBER;
  s->columns[4].settings.missing = 1.0 / 3;
  check_round_trip(s);
  char *yaml;
  free(s->columns[1].name);
  s->columns[1].name = strdup("caf\xe9");
  assert_int_equal(dfm_schema_to_yaml(s, false, &yaml, &error), DFM_ERROR_VALUE);
  assert_non_null(strstr(error.message, "is not UTF-8"));
  dfm_schema_free(s);
}

static void yaml_errors_have_places(void **state) {
  (void)state;
  check_refused("", "s.yaml:1: the schema is empty");
  check_refused("a", "s.yaml:1:1: a schema must be a mapping");
  check_refused("header: true\n", "the schema has no columns");
  check_refused("header: true\nheader: true\ncolumns: []", "s.yaml:2:1: key 'header' is given twice");
  check_refused("seperator: ','\n", "s.yaml:1:1: a schema has no key 'seperator'; did you mean separator?");
  check_refused("header: maybe\n", "s.yaml:1:9: header is 'maybe'; it must be true or false");
  check_refused("separator: ',,'\n", "s.yaml:1:12: separator is ',,'");
  check_refused("comment: ''\n", "comment must be what skipped lines start with");
  check_refused("columns: []\n", "columns must be a list of columns");
  check_refused("columns: [{kind: number}]", "s.yaml:1:11: column 1 has no name");
  check_refused("columns: [{name: ''}]", "name is empty");
  check_refused("columns: [{name: \"a\\0b\"}]", "has a zero byte");
  check_refused("columns:\n- {name: a, knid: number}", "s.yaml:2:13: a column has no key 'knid'; did you mean kind?");
  check_refused("columns:\n- {name: a, kind: numbre}",
                "s.yaml:2:19: kind is 'numbre'; it must be one of category, list, number");
  check_refused("columns:\n- {name: a}", "s.yaml:2:3: column 'a' has no kind");
  check_refused("columns:\n- {name: a, kind: number}\n- {name: a, kind: number}",
                "s.yaml:3:3: columns 1 and 2 are both named 'a'");
  check_refused("columns:\n- {name: a, kind: number, transform: lgo}",
                "s.yaml:2:38: transform is 'lgo'; it must be one of none, log,");
  check_refused("columns:\n- {name: a, kind: category, transform: log}",
                "column 'a' is a category, and only a number has transform");
  check_refused("columns:\n- {name: a, kind: number, width: 4}",
                "s.yaml:2:27: column 'a' is a number, and only a category or list has width");
  check_refused("columns:\n- {name: a, kind: category, pool: sum}",
                "s.yaml:2:29: column 'a' is a category, and only a list has pool; remove it, or set kind: list");
  check_refused("columns:\n- {name: b, kind: list}\n- {name: a, kind: category, share: bb}",
                "s.yaml:3:3: column 'a': share: there is no column 'bb'; did you mean 'b'?");
  check_refused("columns:\n- {name: a, kind: list, within: true}",
                "s.yaml:2:3: column 'a' has within: true, which needs pool: sum");
  check_refused("columns:\n- {name: a, kind: category, width: 0}",
                "width is '0'; it must be a whole number from 1 to 1024");
  check_refused("columns:\n- {name: a, kind: category, unknown_rate: 1}",
                "unknown_rate is '1'; it must be a number in [0, 1)");
  check_refused("columns:\n- {name: a, kind: number, into: [linear, deep]}",
                "into is 'linear,deep'; it must be one or more of linear");
  check_refused("columns: [{name: a, kind: number, transform: log2}]",
                "s.yaml:1:35: column 'a' is a number, and only a category has transform log2");
  check_refused("columns: [{name: a, kind: number, hash: 9}]",
                "column 'a' is a number, and only a category or list has hash");
  check_refused("columns: [{name: a, kind: category, hash: 9, min_count: 2}]",
                "s.yaml:1:46: column 'a' has both hash and min_count");
  check_refused("columns: [{name: a, kind: category, buckets: 9, transform: log2}]",
                "column 'a' has both buckets and transform");
  check_refused("columns: [{name: a, kind: category, hash: -9}]", "hash is '-9'; it must be a whole number from 0 to");
  check_refused("columns:\n- {name: a, kind: label, width: 4}", "column 'a' is the label, which has no width");
  check_refused("label: clik\ncolumns:\n- {name: click}",
                "s.yaml:1:8: label: there is no column 'clik'; did you mean 'click'?");
  check_refused("label: a\ncolumns:\n- {name: a, kind: number}",
                "column 'a' is named as the label but has kind: number");
  check_refused("columns:\n- {name: a, kind: label}\n- {name: b, kind: label}",
                "columns 'a' and 'b' are both the label");
  check_refused("label: {column: a, above: x}\ncolumns: [{name: a}]", "above is 'x'; it must be a number");
  check_refused("label: {column: a, above: 3, positive: [x]}\ncolumns: [{name: a}]", "keep one of the two");
  check_refused("label: {column: a, positive: x, negative: x}\ncolumns: [{name: a}]",
                "label word 'x' is both positive and negative");
  check_refused("columns: [\n", "not valid YAML");
  check_refused("label: a\ncolumns: [{name: a}]\n---\nx: 1\n", "a second YAML document");
  check_refused("a: \xff\n", "not valid YAML text");
  dfm_schema *schema;
  assert_int_equal(dfm_schema_load(test_path("absent.yaml"), &schema, &error), DFM_ERROR_IO);
  assert_non_null(strstr(error.message, "absent.yaml"));
}

static void settings_from_text(void **state) {
  (void)state;
  dfm_schema *s =
      parse("label: y\ncolumns: [{name: y}, {name: C1, kind: category, width: 4}, {name: I1, kind: number}]");
  assert_ok(dfm_schema_set(s, "I1", "into", " [linear, fm] ", &error));
  assert_int_equal(s->columns[2].settings.into, DFM_INTO_LINEAR | DFM_INTO_FM);
  assert_ok(dfm_schema_set(s, "I1", "transform", "auto", &error));
  assert_int_equal(s->columns[2].settings.transform, DFM_TRANSFORM_AUTO);
  assert_ok(dfm_schema_set(s, "I1", "missing", "none", &error));
  assert_int_equal(dfm_schema_set(s, "I2", "kind", "number", &error), DFM_ERROR_VALUE);
  assert_non_null(strstr(error.message, "there is no column 'I2'; did you mean 'I1'?"));
  assert_int_equal(dfm_schema_set(s, "C1", "min_cuont", "2", &error), DFM_ERROR_VALUE);
  assert_non_null(strstr(error.message, "column 'C1': a field has no setting 'min_cuont'; did you mean min_count?"));
  assert_int_equal(dfm_schema_set(s, "C1", "transform", "log", &error), DFM_ERROR_VALUE);
  assert_non_null(strstr(error.message, "column 'C1' is a category, and only a number has transform"));
  assert_ok(dfm_schema_set(s, "C1", "order", "sorted", &error));
  assert_int_equal(dfm_schema_set(s, "C1", "hash", "5", &error), DFM_ERROR_VALUE);
  assert_non_null(strstr(error.message, "column 'C1' has both hash and order"));
  assert_int_equal(s->columns[1].settings.hash, -1);
  assert_int_equal(dfm_schema_set(s, "C1", "min_count", "-2", &error), DFM_ERROR_VALUE);
  assert_non_null(strstr(error.message, "min_count is '-2'; it must be a whole number from 1 to 1000000000"));
  assert_int_equal(dfm_schema_set(s, "C1", "missing", "inf", &error), DFM_ERROR_VALUE);
  assert_int_equal(dfm_schema_set(s, "C1", "kind", "label", &error), DFM_ERROR_VALUE);
  assert_int_equal(dfm_schema_set(s, "y", "kind", "number", &error), DFM_ERROR_VALUE);
  assert_int_equal(dfm_schema_set(s, "y", "width", "4", &error), DFM_ERROR_VALUE);
  assert_ok(dfm_schema_set(s, "C1", "kind", "number", &error));
  assert_int_equal(s->columns[1].settings.width, -1);
  check_round_trip(s);
  dfm_schema_free(s);
}

static void the_documented_example_is_valid(void **state) {
  (void)state;
  static char text[1 << 16];
  FILE *file = fopen(DFM_SOURCE_DIR "/docs/schema.md", "rb");
  assert_non_null(file);
  text[fread(text, 1, sizeof text - 1, file)] = 0;
  fclose(file);
  char *yaml = strstr(text, "```yaml\n");
  assert_non_null(yaml);
  yaml += strlen("```yaml\n");
  *strstr(yaml, "```") = 0;
  dfm_schema *s = parse(yaml);
  assert_int_equal(s->n_columns, 9);
  assert_int_equal(s->columns[5].settings.width, 4);
  assert_string_equal(s->missing_words[1], "\\N");
  check_round_trip(s);
  dfm_schema_free(s);
}

/* ---- guesses */

static dfm_schema *guess(const char *path, const char *label) {
  const dfm_schema_options options = {.label = label, .header = -1};
  dfm_schema *schema;
  assert_ok(test_schema_guess(path, &options, &schema, &error));
  check_round_trip(schema);
  for (size_t i = 0; i < schema->n_columns; i++) {
    assert_true(schema->columns[i].reason && *schema->columns[i].reason);
    assert_int_equal(schema->columns[i].settings.transform, -1);
  }
  return schema;
}

static dfm_schema *guess_text(const char *text, const char *label) {
  return guess(test_write("guess.csv", text, strlen(text)), label);
}

/* One letter per column: l label, w weight, c category, n number, - ignore. */
static const char *kinds_of(const dfm_schema *s) {
  static char kinds[256];
  for (size_t i = 0; i < s->n_columns && i < 255; i++) kinds[i] = "ctnlw-"[s->columns[i].kind];
  kinds[s->n_columns] = 0;
  return kinds;
}

/* A data file, decompressed into the test folder where it ends in .gz, from its line `first_line` on. */
static const char *unpacked(const char *name, int first_line) {
  const char *path = test_data(name);
  char command[10000];
  if (!path) return NULL;
  const char *out = test_path("unpacked.txt");
  snprintf(command, sizeof command, "%s '%s' | tail -n +%d > '%s'", strstr(name, ".gz") ? "gzip -dc" : "cat", path,
           first_line, out);
  assert_int_equal(system(command), 0);
  return out;
}

/* Data set, first line, label, expected separator, header and kinds. */
static const struct {
  const char *file;
  int first_line;
  const char *label;
  char separator;
  bool has_header;
  const char *kinds;
} data_cases[] = {
    {"criteo_sample/criteo_sample.txt", 1, NULL, ',', true, "lnnnnnnnnnnnnncccccccccccccccccccccccccc"},
    {"criteo_kaggle_head/train.txt.gz", 1, "1", '\t', false, "lnnnnnnnnnnnnncccccccccccccccccccccccccc"},
    {"frappe_x1/train.csv.gz", 1, NULL, ',', true, "lcccccccccc"},
    {"frappe_x1/valid.csv.gz", 1, NULL, ',', true, "lcccccccccc"},
    {"frappe_x1/test.csv.gz", 1, NULL, ',', true, "lcccccccccc"},
    {"frappe_x1/train.csv.gz", 2, "c1", ',', false, "lcccccccccc"},
    {"flights_nyc13/flights_delay15.csv.gz", 1, NULL, ',', true, "lccccccccn"},
    {"flights_nyc13/flights_delay15.csv.gz", 2, "1", ',', false, "lccccccccn"},
    {"adult/adult.data.gz", 1, "15", ',', false, "ncncncccccnnncl"},
    {"adult/adult.test.gz", 1, "c15", ',', false, "ncncncccccnnncl"},
    {"movielens_sample/movielens_sample.txt", 1, "rating", ',', true, "cclncccccc"},
};

static void data_sets_are_guessed_right(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof data_cases / sizeof *data_cases; i++) {
    const char *path = unpacked(data_cases[i].file, data_cases[i].first_line);
    if (!path) return;
    dfm_schema *s = guess(path, data_cases[i].label);
    if (strcmp(kinds_of(s), data_cases[i].kinds) != 0)
      fail_msg("%s: kinds are %s, expected %s", data_cases[i].file, kinds_of(s), data_cases[i].kinds);
    assert_int_equal(s->separator, data_cases[i].separator);
    assert_int_equal(s->has_header, data_cases[i].has_header);
    dfm_schema_free(s);
  }
}

static void adult_and_movielens_labels(void **state) {
  (void)state;
  const char *path = unpacked("adult/adult.test.gz", 1);
  if (!path) return;
  dfm_schema *s = guess(path, "15");
  assert_string_equal(s->comment, "|");
  assert_true(s->strip_spaces);
  assert_string_equal(s->missing_words[0], "?");
  assert_int_equal(s->n_missing_words, 1);
  assert_string_equal(s->positives[0], ">50K.");
  assert_string_equal(s->negatives[0], "<=50K.");
  assert_string_equal(s->columns[4].name, "c5");
  assert_non_null(strstr(s->columns[4].reason, "one to one with column 'c4'"));
  dfm_schema_free(s);
  s = guess(unpacked("movielens_sample/movielens_sample.txt", 1), "rating");
  assert_near(s->label_above, 3, 0);
  assert_null(s->comment);
  assert_non_null(strstr(s->columns[2].reason, "ratings 1 to 5: above 3 is positive"));
  dfm_schema_free(s);
}

static void labels_of_all_sorts(void **state) {
  (void)state;
  dfm_schema *s = guess_text("x;Click\n1.5;yes\n2.5;no\n2.5;yes\n", NULL);
  assert_int_equal(s->separator, ';');
  assert_string_equal(s->positives[0], "yes");
  assert_string_equal(s->negatives[0], "no");
  dfm_schema_free(s);
  s = guess_text("y,a\n>50K,u\n<=50K.,v\n<=50K,v\n>50K.,u\n<=50K,u\n", NULL);
  assert_int_equal(s->n_positives, 2);
  assert_int_equal(s->n_negatives, 2);
  assert_string_equal(s->positives[1], ">50K.");
  dfm_schema_free(s);
  s = guess_text("a,target\nu,-1\nv,1\n", NULL);
  assert_near(s->label_above, 0, 0);
  dfm_schema_free(s);
  s = guess_text("a,label\nu,0.0\nv,1.0\nw,1\n", NULL);
  assert_true(isnan(s->label_above));
  assert_int_equal(s->n_positives, 0);
  dfm_schema_free(s);
  s = guess_text("y,label,a\n7,TRUE,2\n8,false,3\n", NULL);
  assert_string_equal(kinds_of(s) + 1, "lc");
  assert_string_equal(s->positives[0], "TRUE");
  dfm_schema_free(s);
}

static void headers_weights_and_counters(void **state) {
  (void)state;
  dfm_schema *s = guess_text("name\tcolor\tlabel\nann\tred\t0\nbob\tred\t1\n", NULL);
  assert_true(s->has_header);
  dfm_schema_free(s);
  s = guess_text("yes red\nno blue\nno red\nyes blue\nno red\nno red\n", "1");
  assert_false(s->has_header);
  assert_int_equal(s->separator, ' ');
  dfm_schema_free(s);
  s = guess_text(",label,x\n0,1,a\n1,0,b\n2,1,a\n", NULL);
  assert_string_equal(kinds_of(s), "-lc");
  assert_string_equal(s->columns[0].name, "c1");
  dfm_schema_free(s);
  s = guess_text("label,zip,x\n1,00501,NA\n0,10001,2.5\n0,NA,3\n", NULL);
  assert_string_equal(kinds_of(s), "lcn");
  assert_string_equal(s->missing_words[0], "NA");
  dfm_schema_free(s);
  const dfm_schema_options options = {.weight = "w", .header = 1, .separator = '|'};
  assert_ok(test_schema_guess(test_write("w.csv", "label|w|x\n1|2|a\n0|1|b\n", 22), &options, &s, &error));
  assert_string_equal(kinds_of(s), "lwc");
  dfm_schema_free(s);
}

static void check_no_guess(const char *text, const char *label, dfm_status code, const char *expected) {
  const dfm_schema_options options = {.label = label, .header = -1};
  dfm_schema *schema = NULL;
  const char *path = test_write("bad.csv", text, strlen(text));
  assert_int_equal(test_schema_guess(path, &options, &schema, &error), code);
  if (!strstr(error.message, expected)) fail_msg("'%s' lacks '%s'", error.message, expected);
  assert_null(schema);
}

static void guess_errors(void **state) {
  (void)state;
  dfm_schema *schema;
  assert_int_equal(test_schema_guess(test_path("absent.csv"), NULL, &schema, &error), DFM_ERROR_IO);
  assert_int_equal(test_schema_guess(test_folder(), NULL, &schema, &error), DFM_ERROR_IO);
  assert_non_null(strstr(error.message, "is a folder"));
  check_no_guess("", NULL, DFM_ERROR_FORMAT, "bad.csv is empty");
  check_no_guess("\n\n", NULL, DFM_ERROR_FORMAT, "bad.csv has no rows");
  check_no_guess("label,a,b\n", NULL, DFM_ERROR_FORMAT, "bad.csv has a header but no rows");
  check_no_guess("just\nwords\n", NULL, DFM_ERROR_FORMAT, "has a single column");
  check_no_guess("a,b,c\n1,2,0\n2,3,1\n", NULL, DFM_ERROR_VALUE,
                 "--label c, which holds only 0 and 1); columns: a, b, c");
  check_no_guess("click,b\n0,2\n1,3\n", "clik", DFM_ERROR_VALUE,
                 "label: there is no column 'clik'; did you mean 'click'?");
  check_no_guess("label,b\n0,2\n1,3,4\n0,1\n", NULL, DFM_ERROR_FORMAT,
                 "bad.csv:3: this row has 3 cells, the first has 2");
  check_no_guess("label,a,a\n0,2,3\n1,3,4\n", NULL, DFM_ERROR_FORMAT,
                 "bad.csv:1:9: columns 2 and 3 are both named 'a'");
  check_no_guess("label,a\nx,2\ny,3\nz,4\n", NULL, DFM_ERROR_FORMAT,
                 "has more than two values where two values are needed ('x', 'y', 'z')");
  check_no_guess("label,a\n10,2\n20,3\n35,4\n", NULL, DFM_ERROR_FORMAT,
                 "has numbers from 10 to 35 where 0 and 1 are needed");
  check_no_guess("label,a\n1,2\n2,3\n3,4\n", NULL, DFM_ERROR_FORMAT,
                 "has numbers from 1 to 3 where 0 and 1 are needed");
  check_no_guess("label,a\n,2\n,3\n", NULL, DFM_ERROR_FORMAT, "has no value");
  check_no_guess("label,a\n0,\"2\n1,3\n", NULL, DFM_ERROR_FORMAT, "bad.csv:2:3: the quote that opens here");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_key_is_read),
    cmocka_unit_test(defaults_and_short_label),
    cmocka_unit_test(names_and_words_come_back),
    cmocka_unit_test(yaml_errors_have_places),
    cmocka_unit_test(settings_from_text),
    cmocka_unit_test(the_documented_example_is_valid),
    cmocka_unit_test(data_sets_are_guessed_right),
    cmocka_unit_test(adult_and_movielens_labels),
    cmocka_unit_test(labels_of_all_sorts),
    cmocka_unit_test(headers_weights_and_counters),
    cmocka_unit_test(guess_errors),
};

int main(int argc, char **argv) {
  return test_main(argc, argv, "schema", tests, sizeof tests / sizeof *tests);
}
