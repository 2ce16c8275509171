/* Datasets: text, schema and settings come in; ids, numbers, labels, parts and counts are compared with what they must
 * be. */
#include "base/random.h"
#include "test_rows.h"

static const char PLAIN[] =
    "y,I1,C1,C2\n"
    "1,0,b,u\n"
    "0,3,a,\n"
    "0,,b,u\n"
    "1,-2,c,v\n";

static void ids_are_by_frequency_then_first_appearance(void **state) {
  (void)state;
  dfm_error error;
  dfm_schema *schema = make_schema("y:label I1:number C1:category C2:category");
  dfm_data_settings settings = make_settings();
  dfm_dataset *train, *valid;
  assert_ok(read_text("plain.csv", PLAIN, schema, &settings, &train, &valid, &error));
  assert_null(valid);
  assert_int_equal(dfm_dataset_rows(train), 4);
  assert_int_equal(dfm_dataset_positives(train), 2);
  assert_row(train, 0, "I1=0.000000 C1=1 C2=1");
  assert_row(train, 1, "I1=3.000000 C1=2 C2=2");
  assert_row(train, 2, "I1=0.000000 C1=1 C2=1");
  assert_row(train, 3, "I1=-2.000000 C1=3 C2=3");
  assert_int_equal(dfm_dataset_labels(train)[3], 1);
  assert_int_equal(dfm_dataset_fields(train), 3);
  const dfm_field_count number = dfm_dataset_field(train, 0), category = dfm_dataset_field(train, 2);
  assert_string_equal(number.name, "I1");
  assert_true(number.is_number);
  assert_int_equal(number.missing, 1);
  assert_string_equal(category.name, "C2");
  assert_int_equal(category.missing, 1);
  assert_int_equal(category.unknown, 0);
  char *text;
  assert_int_equal(dfm_dataset_row_text(train, 4, &text, &error), DFM_ERROR_VALUE);
  assert_non_null(strstr(error.message, "no row 4"));
  dfm_dataset_free(train);
  dfm_schema_free(schema);
}

static void sorted_order_and_zero_rule_give_label_encoder_ids(void **state) {
  (void)state;
  dfm_error error;
  dfm_schema *schema = make_schema("y:label I1:number C1:category C2:category");
  dfm_data_settings settings = make_settings();
  settings.category.order = DFM_ORDER_SORTED;
  settings.category.unknown = DFM_UNKNOWN_ZERO;
  settings.number.transform = DFM_TRANSFORM_LOG;
  dfm_dataset *train, *valid;
  assert_ok(read_text("sorted.csv", PLAIN, schema, &settings, &train, &valid, &error));
  assert_row(train, 0, "I1=0.000000 C1=1 C2=1");
  assert_row(train, 1, "I1=1.386294 C1=0 C2=0");
  assert_row(train, 3, "I1=-1.000000 C1=2 C2=2");
  dfm_dataset_free(train);
  dfm_schema_free(schema);
}

static void values_under_min_count_and_new_ones_are_unknown(void **state) {
  (void)state;
  dfm_error error;
  dfm_schema *schema = make_schema("y:label C1:category C2:category");
  dfm_data_settings settings = make_settings();
  dfm_dataset *train, *valid;
  settings.category.min_count = 2;
  settings.valid_split = 0.4;
  schema->columns[2].settings.unknown = DFM_UNKNOWN_ZERO;
  const char text[] = "y,C1,C2\n1,a,x\n0,a,x\n1,b,\n0,b,x\n1,a,y\n";
  assert_ok(read_text("min.csv", text, schema, &settings, &train, &valid, &error));
  assert_int_equal(dfm_dataset_rows(train), 3);
  assert_int_equal(dfm_dataset_rows(valid), 2);
  assert_row(train, 2, "C1=0 C2=none");
  assert_row(valid, 0, "C1=0 C2=0"); /* b has one training row: validation rows do not count */
  assert_row(valid, 1, "C1=1 C2=none");
  assert_int_equal(dfm_dataset_field(train, 0).unknown, 1);
  assert_int_equal(dfm_dataset_field(train, 1).missing, 1);
  assert_int_equal(dfm_dataset_field(valid, 1).unknown, 1);
  const dfm_encoder *encoder = dfm_dataset_encoder(train);
  assert_int_equal(encoder->rows, 3);
  assert_int_equal(encoder->category[0].unknown_rows, 1);
  assert_int_equal(encoder->category[1].missing_rows, 1);
  assert_int_equal(encoder->category[0].vocabulary.n, 1);
  assert_int_equal(encoder->category[0].vocabulary.counts[0], 2);
  dfm_dataset_free(train);
  assert_row(valid, 1, "C1=1 C2=none"); /* either may be freed first */
  dfm_dataset_free(valid);
  settings.vocabulary_from_all = true;
  assert_ok(read_text("min.csv", text, schema, &settings, &train, &valid, &error));
  assert_row(train, 2, "C1=2 C2=none");
  assert_row(valid, 0, "C1=2 C2=0");
  assert_int_equal(dfm_dataset_encoder(train)->rows, 5);
  dfm_dataset_free(train);
  dfm_dataset_free(valid);
  dfm_schema_free(schema);
}

/* Whether the row where a value came up first trains or validates. */
static void ties_are_by_first_appearance_in_the_text(void **state) {
  (void)state;
  dfm_error error;
  dfm_schema *schema = make_schema("y:label C1:category");
  dfm_data_settings settings = make_settings();
  dfm_dataset *train, *valid;
  settings.valid_random = 0.5;
  char text[2048] = "y,C1\n", order[400] = "";
  for (int i = 0; i < 100; i++) {
    const int value = i < 50 ? i : 99 - i; /* every value twice, the second time in reverse */
    sprintf(text + strlen(text), "%d,v%d\n", i % 2, value);
    if (i < 50) sprintf(order + strlen(order), "v%d ", value);
  }
  assert_ok(read_text("ties.csv", text, schema, &settings, &train, &valid, &error));
  const dfm_vocabulary *vocabulary = &dfm_dataset_encoder(train)->category[0].vocabulary;
  const char *last = order - 1;
  for (uint64_t v = 0; v < vocabulary->n; v++) {
    char word[16];
    snprintf(word, sizeof word, "%.*s ", (int)(vocabulary->offsets[v + 1] - vocabulary->offsets[v]),
             (const char *)vocabulary->bytes + vocabulary->offsets[v]);
    if (v > 0 && vocabulary->counts[v] < vocabulary->counts[v - 1]) last = order - 1;
    const char *at = strstr(order, word);
    while (at && at != order && at[-1] != ' ') at = strstr(at + 1, word);
    assert_non_null(at);
    assert_true(at > last);
    last = at;
  }
  dfm_dataset_free(train);
  dfm_dataset_free(valid);
  dfm_schema_free(schema);
}

static char *numbered_rows(int n) {
  char *text = malloc(32 + 32 * (size_t)n);
  assert_non_null(text);
  size_t at = (size_t)sprintf(text, "y,I1,C1\n");
  for (int i = 0; i < n; i++) at += (size_t)sprintf(text + at, "%d,%d,%d\n", i % 3 == 0, i, i % 17);
  return text;
}

static void tail_split_is_that_of_keras(void **state) {
  (void)state;
  static const struct {
    int rows;
    double share;
    int n_train;
  } cases[] = {{200, 0.3, 140}, {10, 0.9, 1}, {7, 0.5, 3}, {1000, 0.1, 900}, {3, 0.34, 1}};
  dfm_error error;
  dfm_schema *schema = make_schema("y:label I1:number C1:category");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    dfm_data_settings settings = make_settings();
    dfm_dataset *train, *valid;
    settings.valid_split = cases[i].share;
    char *text = numbered_rows(cases[i].rows);
    assert_ok(read_text("split.csv", text, schema, &settings, &train, &valid, &error));
    assert_int_equal(dfm_dataset_rows(train), cases[i].n_train);
    assert_int_equal(dfm_dataset_rows(valid), cases[i].rows - cases[i].n_train);
    assert_int_equal(dfm_dataset_labels(valid)[0], cases[i].n_train % 3 == 0);
    free(text);
    dfm_dataset_free(train);
    dfm_dataset_free(valid);
  }
  dfm_schema_free(schema);
}

static void random_split_draws_rows_by_seed(void **state) {
  (void)state;
  dfm_error error;
  dfm_schema *schema = make_schema("y:label I1:number C1:category");
  dfm_data_settings settings = make_settings();
  dfm_dataset *train, *valid;
  char *text = numbered_rows(1000), expected[64];
  settings.valid_random = 0.25;
  assert_ok(read_text("random.csv", text, schema, &settings, &train, &valid, &error));
  const int64_t n_train = dfm_dataset_rows(train);
  assert_int_equal(n_train + dfm_dataset_rows(valid), 1000);
  assert_in_range(n_train, 700, 800);
  const uint64_t key = dfm_random_key(settings.seed, DFM_STREAM_SPLIT);
  for (int i = 0, t = 0, v = 0; i < 1000; i++) {
    const bool is_valid = dfm_random_uniform(key, (uint64_t)i) < 0.25F;
    char *row;
    assert_ok(dfm_dataset_row_text(is_valid ? valid : train, is_valid ? v++ : t++, &row, &error));
    sprintf(expected, "I1=%d.000000 ", i);
    assert_memory_equal(row, expected, strlen(expected));
    dfm_string_free(row);
  }
  dfm_dataset_free(train);
  dfm_dataset_free(valid);
  settings.valid_random = 1e-6;
  assert_int_equal(read_text("random.csv", text, schema, &settings, &train, &valid, &error), DFM_ERROR_VALUE);
  assert_non_null(strstr(error.message, "no rows for validation"));
  settings.valid_random = 0;
  settings.valid_split = 0.9999;
  assert_int_equal(read_text("random.csv", text, schema, &settings, &train, &valid, &error), DFM_ERROR_VALUE);
  assert_non_null(strstr(error.message, "no rows for training"));
  free(text);
  dfm_schema_free(schema);
}

static void validation_file_shares_the_vocabularies(void **state) {
  (void)state;
  dfm_error error;
  dfm_schema *schema = make_schema("y:label I1:number C1:category C2:category");
  dfm_data_settings settings = make_settings();
  settings.valid_split = 0.5; /* the file comes first */
  dfm_dataset *train, *valid;
  const char text[] = "C2,C1,extra,I1,y\nv,new,?,1.5,0\nw,a,?,,1\n";
  const char *train_path = test_write("train.csv", PLAIN, strlen(PLAIN));
  const char *valid_path = test_write("valid.csv", text, strlen(text));
  assert_ok(read_training_files(train_path, valid_path, schema, &settings, NULL, &train, &valid, &error));
  assert_int_equal(dfm_dataset_rows(train), 4);
  assert_row(valid, 0, "I1=1.500000 C1=0 C2=3");
  assert_row(valid, 1, "I1=0.000000 C1=2 C2=0");
  assert_int_equal(dfm_dataset_positives(valid), 1);
  assert_int_equal(dfm_dataset_field(valid, 1).unknown, 1);
  dfm_dataset_free(train);
  dfm_dataset_free(valid);
  settings.vocabulary_from_all = true;
  assert_ok(read_training_files(train_path, valid_path, schema, &settings, NULL, &train, &valid, &error));
  assert_row(train, 1, "I1=3.000000 C1=2 C2=3");
  assert_row(valid, 0, "I1=1.500000 C1=4 C2=2");
  dfm_dataset_free(train);
  dfm_dataset_free(valid);
  dfm_schema_free(schema);
}

static void unknown_values_under_the_error_rule_are_found_in_the_text(void **state) {
  (void)state;
  dfm_error error;
  dfm_schema *schema = make_schema("y:label C1:category");
  dfm_data_settings settings = make_settings();
  settings.category.unknown = DFM_UNKNOWN_ERROR;
  settings.valid_split = 0.5;
  dfm_dataset *train, *valid;
  const char text[] = "y,C1\n1,a\n0,b\n1,a\n0,zap\n";
  assert_int_equal(read_text("rule.csv", text, schema, &settings, &train, &valid, &error), DFM_ERROR_FORMAT);
  assert_int_equal(error.line, 5);
  assert_int_equal(error.column, 3);
  assert_non_null(strstr(error.message, "rule.csv:5:3: column 'C1'"));
  assert_non_null(strstr(error.message, "'zap'"));
  assert_non_null(strstr(error.message, "unknown: row"));
  /* by lot: the row that was drawn is the one that is named */
  const uint64_t key = dfm_random_key(settings.seed, DFM_STREAM_SPLIT);
  settings.valid_split = 0;
  settings.valid_random = 0.3;
  char lots[512] = "y,C1\n";
  int drawn = 0, line = 0;
  for (int i = 0; i < 40; i++) {
    const bool is_third = dfm_random_uniform(key, (uint64_t)i) < 0.3F && ++drawn == 3;
    if (is_third) line = i + 2;
    strcat(lots, is_third ? "1,zap\n" : "0,a\n");
  }
  assert_int_equal(read_text("lots.csv", lots, schema, &settings, &train, &valid, &error), DFM_ERROR_FORMAT);
  assert_int_equal(error.line, line);
  /* under min_count in training rows: no error, and no row */
  settings.valid_random = 0;
  settings.category.min_count = 2;
  assert_ok(read_text("rule.csv", text, schema, &settings, &train, &valid, &error));
  assert_row(train, 3, "C1=none");
  dfm_dataset_free(train);
  dfm_schema_free(schema);
}

static void weights_truth_labels_and_missing_words_are_read(void **state) {
  (void)state;
  dfm_error error;
  dfm_schema *schema = make_schema("y:label W:weight I1:number C1:category");
  schema->strip_spaces = true;
  assert_ok(dfm_words_add(&schema->missing_words, &schema->n_missing_words, "?", 1, &error));
  assert_ok(dfm_words_add(&schema->positives, &schema->n_positives, ">50K", 4, &error));
  assert_ok(dfm_words_add(&schema->negatives, &schema->n_negatives, "<=50K", 5, &error));
  dfm_data_settings settings = make_settings();
  settings.number.missing = -1;
  const dfm_read_options options = {.truth_column = "p"};
  const char text[] = "y, W, I1, C1, p\n>50K, 2, 4, x, 0.75\n<=50K, 0.5, ?, ?, 1\n1, 1, 0, , 0\n";
  dfm_dataset *train, *valid;
  dfm_batch *batch;
  assert_ok(read_training_files(test_write("w.csv", text, strlen(text)), NULL, schema, &settings, &options, &train,
                                &valid, &error));
  assert_true(dfm_dataset_has_weight(train));
  assert_near(dfm_dataset_truth(train)[0], 0.75, 0);
  assert_int_equal(dfm_dataset_positives(train), 2);
  assert_int_equal(dfm_dataset_field(train, 1).missing, 2);
  assert_row(train, 1, "I1=-1.000000 C1=1");
  assert_ok(dfm_batch_create(1, 1, 3, &batch, &error));
  batch->row[0] = 2, batch->row[1] = 1, batch->row[2] = 0;
  dfm_dataset_fill(train, batch, 0, 3);
  assert_near(batch->weight[1], 0.5, 0);
  assert_near(batch->label[2], 1, 0);
  assert_near(batch->number[2], 4, 0);
  assert_int_equal(batch->id[2], 2);
  dfm_batch_free(batch);
  dfm_dataset_free(train);
  dfm_schema_free(schema);
}

static void labels_by_threshold(void **state) {
  (void)state;
  dfm_error error;
  dfm_schema *schema = make_schema("y:label C1:category");
  dfm_data_settings settings = make_settings();
  dfm_dataset *train, *valid;
  schema->label_above = 3;
  assert_ok(read_text("stars.csv", "y,C1\n5,a\n3,a\n1,b\n", schema, &settings, &train, &valid, &error));
  assert_int_equal(dfm_dataset_positives(train), 1);
  assert_near(dfm_dataset_labels(train)[0], 1, 0);
  dfm_dataset_free(train);
  assert_int_equal(read_text("stars.csv", "y,C1\n5,a\nmany,a\n", schema, &settings, &train, &valid, &error),
                   DFM_ERROR_FORMAT);
  assert_non_null(strstr(error.message, "stars.csv:3:1: column 'y' has a label that is not a number: 'many'"));
  dfm_schema_free(schema);
}

/* A settled encoder of PLAIN's rows, with or without header. */
static dfm_encoder *settled(bool has_header) {
  dfm_error error;
  dfm_schema *schema = make_schema("y:label I1:number C1:category C2:category");
  dfm_data_settings settings = make_settings();
  dfm_dataset *train, *valid;
  schema->has_header = has_header;
  assert_ok(read_text("settled.csv", has_header ? PLAIN : strchr(PLAIN, '\n') + 1, schema, &settings, &train, &valid,
                      &error));
  dfm_encoder *encoder = dfm_encoder_retain((dfm_encoder *)(uintptr_t)dfm_dataset_encoder(train));
  dfm_dataset_free(train);
  dfm_schema_free(schema);
  return encoder;
}

static dfm_status read_encoded(const char *text, dfm_encoder *encoder, const dfm_read_options *options,
                               dfm_dataset **dataset, dfm_error *error) {
  return read_encoded_file(test_write("rows.csv", text, strlen(text)), encoder, options, dataset, error);
}

static void prediction_rows_may_lack_label_and_columns(void **state) {
  (void)state;
  dfm_error error;
  const dfm_read_options optional = {.label_optional = true, .missing_hint = "say so"},
                         unknown = {.label_optional = true, .missing_unknown = true};
  dfm_dataset *dataset;
  dfm_encoder *encoder = settled(true);
  assert_ok(read_encoded("C2,I1,C1\nu,1,a\n", encoder, &optional, &dataset, &error));
  assert_false(dfm_dataset_has_label(dataset));
  assert_null(dfm_dataset_labels(dataset));
  assert_row(dataset, 0, "I1=1.000000 C1=2 C2=1");
  dfm_dataset_free(dataset);
  assert_ok(read_encoded("y,C2,I1,C1\n1,u,1,a\n,u,1,a\n", encoder, &optional, &dataset, &error));
  assert_false(dfm_dataset_has_label(dataset)); /* one empty label cell: no labels */
  assert_int_equal(dfm_dataset_rows(dataset), 2);
  dfm_dataset_free(dataset);
  assert_ok(read_encoded("C1\nb\n", encoder, &unknown, &dataset, &error));
  assert_row(dataset, 0, "I1=0.000000 C1=1 C2=0");
  assert_int_equal(dfm_dataset_field(dataset, 0).missing, 1);
  assert_int_equal(dfm_dataset_field(dataset, 2).unknown, 1);
  assert_int_equal(dfm_dataset_field(dataset, 2).missing, 0);
  dfm_dataset_free(dataset);
  assert_int_equal(read_encoded("C1,I1\nb,1\n", encoder, &optional, &dataset, &error), DFM_ERROR_MISMATCH);
  assert_non_null(strstr(error.message, "rows.csv:1: the header has no column 'C2'"));
  assert_non_null(strstr(error.message, "add it to the file, or say so"));
  dfm_encoder_release(encoder);
  encoder = settled(false);
  assert_ok(read_encoded("1,a,u\n2,b,\n", encoder, &optional, &dataset, &error));
  assert_false(dfm_dataset_has_label(dataset));
  assert_row(dataset, 1, "I1=2.000000 C1=1 C2=2");
  dfm_dataset_free(dataset);
  assert_ok(read_encoded("1,1,a,u\n0,2,b,\n", encoder, &optional, &dataset, &error));
  assert_true(dfm_dataset_has_label(dataset));
  dfm_dataset_free(dataset);
  dfm_encoder_release(encoder);
}

static void fingerprint_depends_on_the_rows_alone(void **state) {
  (void)state;
  dfm_error error;
  dfm_schema *schema = make_schema("y:label I1:number C1:category C2:category");
  dfm_data_settings settings = make_settings();
  dfm_dataset *train, *valid;
  uint64_t fingerprint[3];
  char changed[sizeof PLAIN];
  memcpy(changed, PLAIN, sizeof PLAIN);
  changed[11] = '0'; /* the first row's label */
  const char *texts[] = {PLAIN, PLAIN, changed};
  for (int i = 0; i < 3; i++) {
    assert_ok(read_text(i == 0 ? "one.csv" : "two.csv", texts[i], schema, &settings, &train, &valid, &error));
    fingerprint[i] = fingerprint_of(train);
    dfm_dataset_free(train);
  }
  assert_true(fingerprint[0] == fingerprint[1]);
  assert_true(fingerprint[0] != fingerprint[2]);
  dfm_schema_free(schema);
}

/* Over several chunks of storage, filled in pieces and by odd lengths. */
static void fill_gathers_rows_by_field(void **state) {
  (void)state;
  enum { N = 70000, B = 4099 };
  dfm_error error;
  const uint32_t rows[3] = {1, 100, 100000};
  const dfm_data_settings settings = make_settings();
  dfm_encoder *encoder;
  dfm_dataset *dataset;
  dfm_batch *batch;
  char expected[256];
  assert_ok(dfm_encoder_synthetic(3, rows, 2, &settings.category, &settings.number, &encoder, &error));
  assert_ok(dfm_dataset_synthetic(encoder, N, DFM_DRAW_POWER, 5, &dataset, &error));
  dfm_encoder_release(encoder);
  assert_in_range(dfm_dataset_positives(dataset), N / 4 - 1000, N / 4 + 1000);
  assert_ok(dfm_batch_create(3, 2, B, &batch, &error));
  for (int b = 0; b < B; b++) batch->row[b] = (int64_t)b * 7919 % N;
  dfm_dataset_fill(dataset, batch, 0, 1000);
  dfm_dataset_fill(dataset, batch, 1000, 37);
  dfm_dataset_fill(dataset, batch, 1037, B - 1037);
  for (int b = 0; b < B; b++) {
    snprintf(expected, sizeof expected, "I1=%.6f I2=%.6f C1=%u C2=%u C3=%u", (double)batch->number[2 * b],
             (double)batch->number[2 * b + 1], batch->id[b], batch->id[B + b], batch->id[2 * B + b]);
    assert_row(dataset, batch->row[b], expected);
    assert_near(batch->label[b], dfm_dataset_labels(dataset)[batch->row[b]], 0);
    assert_near(batch->weight[b], 1, 0);
    assert_true(batch->id[b] == 0 && batch->id[B + b] >= 1 && batch->id[B + b] < 100 && batch->id[2 * B + b] < 100000);
  }
  dfm_batch_free(batch);
  dfm_dataset_free(dataset);
}

static void the_criteo_sample_is_encoded_as_its_tutorial_does(void **state) {
  (void)state;
  const char *path = test_data("criteo_sample/criteo_sample.txt");
  if (!path) return;
  dfm_error error;
  dfm_schema *schema = make_schema(
      "label:label I1:number I2:number I3:number I4:number I5:number I6:number I7:number I8:number I9:number "
      "I10:number I11:number "
      "I12:number I13:number C1:category C2:category C3:category C4:category C5:category C6:category C7:category "
      "C8:category "
      "C9:category C10:category C11:category C12:category C13:category C14:category C15:category C16:category "
      "C17:category "
      "C18:category C19:category C20:category C21:category C22:category C23:category C24:category C25:category "
      "C26:category");
  dfm_data_settings settings = make_settings();
  settings.vocabulary_from_all = true;
  settings.category.order = DFM_ORDER_SORTED;
  settings.category.unknown = DFM_UNKNOWN_ZERO;
  settings.number.transform = DFM_TRANSFORM_LOG;
  settings.valid_split = 0.3;
  dfm_dataset *train, *valid;
  assert_ok(read_training_files(path, NULL, schema, &settings, NULL, &train, &valid, &error));
  assert_int_equal(dfm_dataset_rows(train), 140);
  assert_int_equal(dfm_dataset_rows(valid), 60);
  assert_int_equal(dfm_dataset_positives(train) + dfm_dataset_positives(valid), 49);
  int64_t values = 0;
  for (int f = 0; f < 26; f++) values += dfm_encoder_rows(dfm_dataset_encoder(train), f);
  assert_int_equal(values, 2278); /* as many as the tutorial's label encoder finds */
  char *row;
  assert_ok(dfm_dataset_row_text(train, 0, &row, &error));
  assert_non_null(strstr(row, "I2=1.386294 "));
  assert_non_null(strstr(row, "C18=66 C19=0 "));
  dfm_string_free(row);
  dfm_dataset_free(train);
  dfm_dataset_free(valid);
  dfm_schema_free(schema);
}

/* Every n rows, each of a field's n ids once; and in another order in the next field. */
static void even_draws_give_each_id_once_a_round(void **state) {
  enum { IDS = 150, ROUNDS = 3, FIELDS = 2 };
  dfm_error error;
  const dfm_data_settings settings = make_settings();
  const uint32_t rows[FIELDS] = {IDS + 1, IDS + 1};
  dfm_encoder *encoder;
  dfm_dataset *dataset;
  dfm_batch *batch;
  (void)state;
  assert_ok(dfm_encoder_synthetic(FIELDS, rows, 0, &settings.category, &settings.number, &encoder, &error));
  assert_ok(dfm_dataset_synthetic(encoder, IDS * ROUNDS, DFM_DRAW_EVEN, 5, &dataset, &error));
  assert_ok(dfm_batch_create(FIELDS, 0, IDS, &batch, &error));
  for (int round = 0; round < ROUNDS; round++) {
    int seen[FIELDS][IDS + 1] = {{0}}, equal = 0;
    for (int b = 0; b < IDS; b++) batch->row[b] = round * IDS + b;
    batch->rows = IDS;
    dfm_dataset_fill(dataset, batch, 0, IDS);
    for (int b = 0; b < IDS; b++) {
      for (int f = 0; f < FIELDS; f++) seen[f][batch->id[f * IDS + b]]++;
      equal += batch->id[b] == batch->id[IDS + b];
    }
    for (int f = 0; f < FIELDS; f++) {
      assert_int_equal(seen[f][0], 0);
      for (int id = 1; id <= IDS; id++) assert_int_equal(seen[f][id], 1);
    }
    assert_true(equal < IDS / 10);
  }
  dfm_batch_free(batch);
  dfm_dataset_free(dataset);
  dfm_encoder_release(encoder);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(ids_are_by_frequency_then_first_appearance),
    cmocka_unit_test(sorted_order_and_zero_rule_give_label_encoder_ids),
    cmocka_unit_test(values_under_min_count_and_new_ones_are_unknown),
    cmocka_unit_test(ties_are_by_first_appearance_in_the_text),
    cmocka_unit_test(tail_split_is_that_of_keras),
    cmocka_unit_test(random_split_draws_rows_by_seed),
    cmocka_unit_test(validation_file_shares_the_vocabularies),
    cmocka_unit_test(unknown_values_under_the_error_rule_are_found_in_the_text),
    cmocka_unit_test(weights_truth_labels_and_missing_words_are_read),
    cmocka_unit_test(labels_by_threshold),
    cmocka_unit_test(prediction_rows_may_lack_label_and_columns),
    cmocka_unit_test(fingerprint_depends_on_the_rows_alone),
    cmocka_unit_test(fill_gathers_rows_by_field),
    cmocka_unit_test(even_draws_give_each_id_once_a_round),
    cmocka_unit_test(the_criteo_sample_is_encoded_as_its_tutorial_does),
};

int main(int argc, char **argv) {
  return test_main(argc, argv, "dataset", tests, sizeof tests / sizeof *tests);
}
