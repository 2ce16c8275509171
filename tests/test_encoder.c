/* Encoder: training rows come in; vocabularies, transforms and their way through a model file are compared with what
 * they must be. */
#include <xxhash.h>

#include "test_rows.h"

/* ---- transforms */

/* Trains on one number column and returns its field; the column's cells are the words of `cells`, "_" an empty one. */
static dfm_number_field fit(const char *cells, int transform, double missing, dfm_dataset **train) {
  dfm_error error;
  dfm_dataset *valid;
  dfm_schema *schema = make_schema("y:label I1:number");
  dfm_data_settings settings = make_settings();
  char text[4096] = "y,I1\n", cell[32];
  int n;
  settings.number.transform = transform;
  settings.number.missing = missing;
  for (; sscanf(cells, " %31s%n", cell, &n) == 1; cells += n) {
    sprintf(text + strlen(text), "1,%s\n", strcmp(cell, "_") == 0 ? "" : cell);
  }
  assert_ok(read_text("numbers.csv", text, schema, &settings, train, &valid, &error));
  dfm_schema_free(schema);
  return dfm_dataset_encoder(*train)->number[0];
}

static void transforms_are_those_of_their_formulas(void **state) {
  (void)state;
  const double nan_ = (double)NAN;
  static const struct {
    const char *cells;
    int transform;
    double missing; /* 999: none */
    int resolved;
    double shift, scale, of_seven, of_empty;
  } cases[] = {
      {"1 2 _ 6", DFM_TRANSFORM_NONE, 999, DFM_TRANSFORM_NONE, 0, 1, 7, 0},
      {"1 2 _ 6", DFM_TRANSFORM_LOG, 999, DFM_TRANSFORM_LOG, 0, 1, 2.0794415417, 0},
      {"1 2 _ 6", DFM_TRANSFORM_LOG, -5, DFM_TRANSFORM_LOG, 0, 1, 2.0794415417, -1},
      {"1 2 _ 6", DFM_TRANSFORM_MINMAX, 999, DFM_TRANSFORM_MINMAX, 1, 0.2, 1.2, 0},
      {"1 2 _ 6", DFM_TRANSFORM_MINMAX, 0, DFM_TRANSFORM_MINMAX, 0, 1.0 / 6, 7.0 / 6, 0},
      {"1 2 _ 6", DFM_TRANSFORM_STANDARD, 999, DFM_TRANSFORM_STANDARD, 3, 0.4629100499, 1.8516401995, 0},
      {"3 3 _ 3", DFM_TRANSFORM_STANDARD, 999, DFM_TRANSFORM_STANDARD, 3, 1, 4, 0},
      {"0.1 0.1 0.1", DFM_TRANSFORM_STANDARD, 999, DFM_TRANSFORM_STANDARD, 0.10000000149011612, 1, 6.9, 0},
      {"_ _", DFM_TRANSFORM_AUTO, 999, DFM_TRANSFORM_STANDARD, 0, 1, 7, 0},
      {"1 2 3 4 5", DFM_TRANSFORM_AUTO, 999, DFM_TRANSFORM_STANDARD, 3, 0.7071067812, 2.8284271247, 0},
      /* one value far out: skewness 3.0151, above 3; ln 2 eleven times and ln 1001 once */
      {"1 1 1 1 1 1 1 1 1 1 1 1000", DFM_TRANSFORM_AUTO, 999, DFM_TRANSFORM_LOG, 1.211114, 0.582105, 0.505458, 0},
      /* a tail on the other side cannot be logged */
      {"-1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 1000", DFM_TRANSFORM_AUTO, 999, DFM_TRANSFORM_STANDARD, 82.416667, 0.003615,
       -0.272595, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    dfm_dataset *train;
    const dfm_number_field field =
        fit(cases[i].cells, cases[i].transform, cases[i].missing == 999 ? nan_ : cases[i].missing, &train);
    assert_int_equal(field.settings.transform, cases[i].resolved);
    assert_near(field.shift, cases[i].shift, 1e-6);
    assert_near(field.scale, cases[i].scale, 1e-6);
    assert_near((double)dfm_encoder_number(dfm_dataset_encoder(train), 0, 7), cases[i].of_seven, 1e-5);
    assert_near((double)dfm_encoder_number(dfm_dataset_encoder(train), 0, NAN), cases[i].of_empty, 1e-6);
    dfm_dataset_free(train);
  }
}

static void numbers_far_outside_training_stay_finite(void **state) {
  (void)state;
  dfm_dataset *train;
  fit("1 1.0000001", DFM_TRANSFORM_MINMAX, (double)NAN, &train);
  assert_true(isfinite(dfm_encoder_number(dfm_dataset_encoder(train), 0, 3e38F)));
  assert_true(isfinite(dfm_encoder_number(dfm_dataset_encoder(train), 0, -3e38F)));
  dfm_dataset_free(train);
}

/* ---- fields */

static void fields_resolve_against_the_settings_and_keep_the_column_order(void **state) {
  (void)state;
  dfm_error error;
  dfm_schema *schema = make_schema("C1:category y:label I1:number X:ignore C2:category I2:number");
  const dfm_data_settings settings = make_settings();
  dfm_encoder *encoder;
  schema->columns[4].settings.min_count = 5;
  schema->columns[4].settings.unknown = DFM_UNKNOWN_ZERO;
  assert_ok(dfm_encoder_create(schema, &settings, &encoder, &error));
  dfm_schema_free(schema);
  assert_int_equal(encoder->F, 2);
  assert_int_equal(encoder->D, 2);
  assert_int_equal(encoder->category[0].settings.min_count, 1);
  assert_int_equal(encoder->category[1].settings.min_count, 5);
  assert_int_equal(encoder->category[1].settings.width, 4);
  assert_int_equal(dfm_encoder_first(encoder, 0), 1);
  assert_int_equal(dfm_encoder_first(encoder, 1), 0);
  assert_int_equal(encoder->number[1].column, 5);
  static const struct {
    bool is_number;
    int index;
  } order[] = {{false, 0}, {true, 0}, {false, 1}, {true, 1}};
  for (size_t i = 0; i < 4; i++) {
    int index;
    assert_int_equal(dfm_encoder_field(encoder, i, &index), order[i].is_number);
    assert_int_equal(index, order[i].index);
  }
  dfm_encoder_release(encoder);
}

static void fingerprints_are_of_the_bytes(void **state) {
  (void)state;
  dfm_error error;
  dfm_schema *schema = make_schema("y:label C1:category");
  const dfm_data_settings settings = make_settings();
  dfm_dataset *train, *valid;
  uint64_t fingerprint;
  bool is_unknown;
  assert_ok(read_text("print.csv", "y,C1\n1,abc\n1,abc\n0,\n", schema, &settings, &train, &valid, &error));
  const dfm_encoder *encoder = dfm_dataset_encoder(train);
  assert_int_equal(dfm_encoder_rows(encoder, 0), 3);
  assert_false(dfm_encoder_fingerprint(encoder, 0, 0, &fingerprint));
  assert_true(dfm_encoder_fingerprint(encoder, 0, 1, &fingerprint));
  assert_true(fingerprint == XXH3_64bits("abc", 3));
  assert_true(dfm_encoder_fingerprint(encoder, 0, 2, &fingerprint));
  assert_true(fingerprint == XXH3_64bits("", 0));
  assert_int_equal(dfm_encoder_id(encoder, 0, "abc", 3, &is_unknown), 1);
  assert_false(is_unknown);
  assert_int_equal(dfm_encoder_id(encoder, 0, "abd", 3, &is_unknown), 0);
  assert_true(is_unknown);
  dfm_dataset_free(train);
  dfm_schema_free(schema);
}

/* ---- the model file */

/* As a model file has it: another tensor first. */
static void write_encoder(const dfm_encoder *encoder, const char *path) {
  const uint64_t shape[1] = {3};
  const float weights[3] = {1, 2, 3};
  dfm_error error;
  dfm_st_writer *writer;
  int other, first;
  assert_ok(dfm_st_writer_create(&writer, &error));
  assert_ok(dfm_st_add_tensor(writer, "bias", DFM_F32, 1, shape, &other, &error));
  assert_ok(dfm_encoder_declare(encoder, writer, &first, &error));
  assert_ok(dfm_st_begin(writer, path, &error));
  for (int i = 0, tensor; (tensor = dfm_st_order(writer, i)) >= 0; i++) {
    bool mine;
    assert_ok(dfm_encoder_write(encoder, writer, first, tensor, &mine, &error));
    assert_int_equal(mine, tensor != other);
    if (!mine) assert_ok(dfm_st_write(writer, weights, sizeof weights, &error));
  }
  assert_ok(dfm_st_commit(writer, NULL, &error));
}

static dfm_status load_encoder(const char *path, dfm_encoder **encoder, dfm_error *load_error) {
  dfm_error error;
  dfm_st_file *file;
  assert_ok(dfm_st_open(path, &file, &error));
  const dfm_status status = dfm_encoder_load(file, encoder, load_error);
  if (status != DFM_OK) dfm_st_close(file);
  return status;
}

static char *slurp(const char *path, size_t *n) {
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  char *bytes = malloc(1 << 20);
  assert_non_null(bytes);
  *n = fread(bytes, 1, 1 << 20, file);
  assert_int_equal(fclose(file), 0);
  return bytes;
}

static const char ROWS[] =
    "y,I1,C1,\"C 2,\"\"x\"\n"
    "1,0.1,b,u\n"
    "0,3,a,\n"
    "0,,b,u\n"
    "1,-2,c,v\n";

/* An encoder of ROWS with settings that differ by field. */
static dfm_encoder *rows_encoder(void) {
  dfm_error error;
  dfm_schema *schema = make_schema("y:label I1:number C1:category C2:category");
  dfm_data_settings settings = make_settings();
  dfm_dataset *train, *valid;
  free(schema->columns[3].name);
  schema->columns[3].name = strdup("C 2,\"x");
  schema->columns[2].settings.min_count = 2;
  schema->columns[3].settings.unknown = DFM_UNKNOWN_ZERO;
  schema->columns[3].settings.unknown_rate = 0.1;
  settings.number.transform = DFM_TRANSFORM_STANDARD;
  assert_ok(read_text("rows.csv", ROWS, schema, &settings, &train, &valid, &error));
  dfm_encoder *encoder = dfm_encoder_retain((dfm_encoder *)(uintptr_t)dfm_dataset_encoder(train));
  dfm_dataset_free(train);
  dfm_schema_free(schema);
  return encoder;
}

static void a_loaded_encoder_is_the_same(void **state) {
  (void)state;
  dfm_error error;
  dfm_encoder *encoder = rows_encoder(), *loaded;
  dfm_dataset *before, *after;
  const char *one = test_path("one.safetensors"), *two = test_path("two.safetensors");
  size_t one_n, two_n;
  write_encoder(encoder, one);
  assert_ok(load_encoder(one, &loaded, &error));
  write_encoder(loaded, two);
  char *one_bytes = slurp(one, &one_n), *two_bytes = slurp(two, &two_n);
  assert_int_equal(one_n, two_n);
  assert_memory_equal(one_bytes, two_bytes, one_n);
  free(one_bytes), free(two_bytes);
  assert_int_equal(loaded->rows, 4);
  assert_int_equal(loaded->category[0].unknown_rows, 2);
  assert_int_equal(loaded->category[1].missing_rows, 1);
  assert_int_equal(loaded->number[0].missing_rows, 1);
  assert_true(isnan(loaded->number[0].settings.missing));
  assert_true(loaded->number[0].shift == encoder->number[0].shift &&
              loaded->number[0].scale == encoder->number[0].scale);
  assert_near(loaded->category[1].settings.unknown_rate, 0.1, 0);
  const char *path = test_write("again.csv", ROWS, strlen(ROWS));
  assert_ok(read_encoded_file(path, encoder, NULL, &before, &error));
  assert_ok(read_encoded_file(path, loaded, NULL, &after, &error));
  assert_true(fingerprint_of(before) == fingerprint_of(after));
  dfm_dataset_free(before);
  dfm_dataset_free(after);
  dfm_encoder_release(loaded);
  dfm_encoder_release(encoder);
}

/* What an older file lacks: how many values there were. */
static void an_encoder_without_the_count_of_values_loads(void **state) {
  (void)state;
  dfm_error error;
  dfm_encoder *encoder = rows_encoder(), *loaded;
  assert_int_equal(encoder->category[0].distinct, 3);
  const char *path = test_path("older.safetensors");
  for (int i = 0; i < encoder->F; i++) encoder->category[i].distinct = -1;
  write_encoder(encoder, path);
  assert_ok(load_encoder(path, &loaded, &error));
  assert_int_equal(loaded->category[0].distinct, -1);
  dfm_encoder_release(loaded);
  dfm_encoder_release(encoder);
}

static void a_synthetic_encoder_loads_without_vocabularies(void **state) {
  (void)state;
  dfm_error error;
  const uint32_t rows[2] = {10, 1};
  const dfm_data_settings settings = make_settings();
  dfm_encoder *encoder, *loaded;
  uint64_t a, b;
  bool is_unknown;
  assert_ok(dfm_encoder_synthetic(2, rows, 1, &settings.category, &settings.number, &encoder, &error));
  write_encoder(encoder, test_path("synthetic.safetensors"));
  assert_ok(load_encoder(test_path("synthetic.safetensors"), &loaded, &error));
  assert_true(loaded->is_synthetic);
  assert_int_equal(dfm_encoder_rows(loaded, 0), 10);
  assert_int_equal(dfm_encoder_rows(loaded, 1), 1);
  assert_true(dfm_encoder_fingerprint(encoder, 0, 3, &a) && dfm_encoder_fingerprint(loaded, 0, 3, &b) && a == b);
  assert_true(dfm_encoder_fingerprint(loaded, 0, 4, &b) && a != b);
  assert_int_equal(dfm_encoder_id(loaded, 0, "x", 1, &is_unknown), 0);
  assert_true(is_unknown);
  dfm_encoder_release(encoder);
  dfm_encoder_release(loaded);
}

/* Damage that a checksum does not catch, because it was there when the file was written. */
static void damaged_vocabularies_are_refused(void **state) {
  (void)state;
  static const char *const says[] = {"offsets do not ascend",
                                     "offsets do not span the bytes",
                                     "index names values that are not there",
                                     "index has no empty slot",
                                     "settings",
                                     "settings",
                                     "settings",
                                     "settings"};
  for (int damage = 0; damage < 8; damage++) {
    dfm_error error;
    dfm_encoder *encoder = rows_encoder(), *loaded = NULL;
    const dfm_vocabulary *vocabulary = &encoder->category[1].vocabulary;
    uint64_t *offsets = (uint64_t *)(uintptr_t)vocabulary->offsets;
    uint32_t *index = (uint32_t *)(uintptr_t)vocabulary->index;
    assert_int_equal(vocabulary->n, 3);
    if (damage == 0) offsets[1] = 1000;
    if (damage == 1) offsets[0] = 1;
    if (damage == 2) index[0] = 4;
    for (uint64_t i = 0; damage == 3 && i < vocabulary->index_size; i++) index[i] = 1;
    if (damage == 4) encoder->category[1].settings.unknown = 3;
    if (damage == 5) encoder->number[0].missing_rows = -1;
    if (damage == 6) encoder->category[1].settings.width = DFM_MAX_FIELD_WIDTH + 1;
    if (damage == 7) encoder->category[1].settings.width = -1;
    write_encoder(encoder, test_path("damaged.safetensors"));
    assert_int_equal(load_encoder(test_path("damaged.safetensors"), &loaded, &error), DFM_ERROR_FORMAT);
    if (!strstr(error.message, says[damage])) fail_msg("'%s' does not say '%s'", error.message, says[damage]);
    assert_non_null(strstr(error.message, damage == 5 ? "I1" : "C 2"));
    assert_null(loaded);
    dfm_encoder_release(encoder);
  }
}

/* ---- buckets, logs, limits */

static const char SEEN[] =
    "y,C1,C2,C3\n"
    "1,100,abc,u\n"
    "0,99,,u\n"
    "0,,abd,v\n"
    "1,1000000,abc,w\n"
    "0,1000000,x,v\n"
    "1,2,abc,v\n";

/* C1: logs of numbers; C2: ten buckets; C3: the two most frequent values. */
static dfm_status read_seen(const char *text, int rule, dfm_dataset **train, dfm_error *error) {
  dfm_schema *schema = make_schema("y:label C1:category C2:category C3:category");
  const dfm_data_settings settings = make_settings();
  dfm_dataset *valid;
  schema->columns[1].settings.transform = DFM_TRANSFORM_LOG2;
  schema->columns[2].settings.hash = 10;
  schema->columns[2].settings.unknown = rule;
  schema->columns[3].settings.max_vocabulary = 2;
  const dfm_status status = read_text("seen.csv", text, schema, &settings, train, &valid, error);
  dfm_schema_free(schema);
  return status;
}

static void assert_value_is(const dfm_encoder *encoder, int f, uint64_t i, const char *text) {
  const dfm_vocabulary *vocabulary = &encoder->category[f].vocabulary;
  assert_int_equal(vocabulary->offsets[i + 1] - vocabulary->offsets[i], strlen(text));
  assert_memory_equal(vocabulary->bytes + vocabulary->offsets[i], text, strlen(text));
}

static void check_seen_rows(const dfm_dataset *train, uint32_t first) {
  const dfm_encoder *encoder = dfm_dataset_encoder(train);
  const uint32_t abc = (uint32_t)(XXH3_64bits("abc", 3) % 10) + first, bucket = abc - first;
  uint64_t fingerprint;
  char expected[64];
  assert_int_equal(dfm_encoder_rows(encoder, 1), 10 + first);
  sprintf(expected, "C1=1 C2=%u C3=2", abc);
  assert_row(train, 0, expected);
  sprintf(expected, "C1=1 C2=%u C3=2", (uint32_t)(XXH3_64bits("", 0) % 10) + first);
  assert_row(train, 1, expected);
  sprintf(expected, "C1=2 C2=%u C3=0", abc);
  assert_row(train, 3, expected);
  assert_true(dfm_encoder_fingerprint(encoder, 1, abc, &fingerprint));
  assert_true(fingerprint == XXH3_64bits(&bucket, sizeof bucket));
  assert_int_equal(dfm_dataset_field(train, 1).missing, 1);
  assert_int_equal(dfm_dataset_field(train, 1).unknown, 0);
  assert_int_equal(dfm_dataset_field(train, 2).unknown, 1);
}

static void values_become_buckets_logs_and_the_most_frequent(void **state) {
  (void)state;
  for (int rule = DFM_UNKNOWN_ROW; rule <= DFM_UNKNOWN_ERROR; rule++) {
    dfm_error error;
    dfm_dataset *train, *again;
    dfm_encoder *loaded;
    bool is_unknown;
    assert_ok(read_seen(SEEN, rule, &train, &error));
    const dfm_encoder *encoder = dfm_dataset_encoder(train);
    assert_int_equal(encoder->category[0].vocabulary.n, 4);
    assert_value_is(encoder, 0, 0, "21"); /* 100 and 99 */
    assert_value_is(encoder, 0, 1, "190");
    assert_value_is(encoder, 0, 2, "");
    assert_value_is(encoder, 0, 3, "2");
    assert_int_equal(encoder->category[2].vocabulary.n, 2);
    assert_value_is(encoder, 2, 0, "v");
    check_seen_rows(train, rule == DFM_UNKNOWN_ROW);
    assert_int_equal(dfm_encoder_id(encoder, 0, "98.5", 4, &is_unknown), 1);
    assert_int_equal(dfm_encoder_id(encoder, 0, "word", 4, &is_unknown), 0);
    assert_true(is_unknown);
    write_encoder(encoder, test_path("seen.safetensors"));
    assert_ok(load_encoder(test_path("seen.safetensors"), &loaded, &error));
    assert_true(dfm_encoder_hash(loaded) == dfm_encoder_hash(encoder));
    assert_ok(read_encoded_file(test_write("again.csv", SEEN, strlen(SEEN)), loaded, NULL, &again, &error));
    assert_true(fingerprint_of(again) == fingerprint_of(train));
    check_seen_rows(again, rule == DFM_UNKNOWN_ROW);
    dfm_encoder_release(loaded);
    dfm_dataset_free(again);
    dfm_dataset_free(train);
  }
}

static void a_log_of_text_is_an_error_with_its_place(void **state) {
  (void)state;
  static const char text[] = "y,C1,C2,C3\n1,7,a,u\n0,many,b,v\n";
  dfm_error error;
  dfm_dataset *train;
  assert_int_equal(read_seen(text, DFM_UNKNOWN_ROW, &train, &error), DFM_ERROR_FORMAT);
  assert_non_null(strstr(error.message, "seen.csv:3:3: column 'C1' is put in buckets by its numbers but has text"));
  assert_non_null(strstr(error.message, "'many'"));
}

/* A count of one column's own does not fit the recipe's hash for all. */
static void a_column_is_hashed_or_counted(void **state) {
  (void)state;
  dfm_error error;
  dfm_encoder *encoder;
  dfm_schema *schema = make_schema("y:label C1:category C2:category");
  dfm_data_settings settings = make_settings();
  settings.category.hash = 100;
  schema->columns[2].settings.min_count = 3;
  assert_int_equal(dfm_encoder_create(schema, &settings, &encoder, &error), DFM_ERROR_VALUE);
  assert_non_null(strstr(error.message, "column 'C2' has both hash and min_count"));
  schema->columns[2].settings.hash = 0;
  assert_ok(dfm_encoder_create(schema, &settings, &encoder, &error));
  assert_int_equal(dfm_encoder_values(encoder, 0), 100);
  assert_int_equal(dfm_encoder_values(encoder, 1), 0);
  dfm_encoder_release(encoder);
  dfm_schema_free(schema);
}

/* Reads C1 in `buckets`, the cells being those of `text`. */
static dfm_status read_buckets(const char *text, int buckets, dfm_dataset **train, dfm_error *error) {
  dfm_schema *schema = make_schema("y:label C1:category");
  const dfm_data_settings settings = make_settings();
  dfm_dataset *valid;
  schema->columns[1].settings.buckets = buckets;
  const dfm_status status = read_text("buckets.csv", text, schema, &settings, train, &valid, error);
  dfm_schema_free(schema);
  return status;
}

static void numbers_are_cut_where_rows_make_equal_parts(void **state) {
  (void)state;
  static const struct {
    const char *cells;
    int buckets;
    const char *values, *ids; /* the buckets' starts, and the cells' rows in the table */
  } cases[] = {
      {"1 2 3 4 5 6 7 8", 4, "1 3 5 7", "1 1 2 2 3 3 4 4"},
      {"8 -1.5 1e3 0.25", 2, "-1.5 8", "2 1 2 1"},
      {"7 7 7 7 7 1 9 7", 4, "1 9", "1 1 1 1 1 1 2 1"}, /* ties are not cut */
      {"3 _ 1 _ 2", 3, "1 2 3 _", "3 4 1 4 2"},
      {"-0 0 0.0", 5, "0", "1 1 1"},
      {"1 2", 10, "1 2", "1 2"},
      {"_ _", 3, "_", "1 1"},
      {"0.1 1e300 5e-324", 3, "5e-324 0.1 1e+300", "2 3 1"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[256] = "y,C1\n", cell[32], made[256] = "";
    const char *at = cases[i].cells;
    dfm_error error;
    dfm_dataset *train;
    for (int n; sscanf(at, " %31s%n", cell, &n) == 1; at += n)
      sprintf(text + strlen(text), "1,%s\n", strcmp(cell, "_") == 0 ? "" : cell);
    assert_ok(read_buckets(text, cases[i].buckets, &train, &error));
    const dfm_vocabulary *vocabulary = &dfm_dataset_encoder(train)->category[0].vocabulary;
    for (uint64_t v = 0; v < vocabulary->n; v++) {
      const int n = (int)(vocabulary->offsets[v + 1] - vocabulary->offsets[v]);
      sprintf(made + strlen(made), "%s%.*s", v > 0 ? " " : "", n > 0 ? n : 1,
              n > 0 ? (const char *)vocabulary->bytes + vocabulary->offsets[v] : "_");
    }
    assert_string_equal(made, cases[i].values);
    at = cases[i].ids;
    for (int64_t row = 0; row < dfm_dataset_rows(train); row++, at += 2) {
      sprintf(made, "C1=%c", *at);
      assert_row(train, row, made);
    }
    dfm_dataset_free(train);
  }
}

static void loaded_buckets_are_searched(void **state) {
  (void)state;
  static const char text[] = "y,C1\n1,10\n0,20\n1,30\n0,40\n";
  dfm_error error;
  dfm_dataset *train;
  dfm_encoder *loaded;
  bool is_unknown;
  assert_ok(read_buckets(text, 2, &train, &error));
  write_encoder(dfm_dataset_encoder(train), test_path("buckets.safetensors"));
  assert_ok(load_encoder(test_path("buckets.safetensors"), &loaded, &error));
  assert_true(dfm_encoder_hash(loaded) == dfm_encoder_hash(dfm_dataset_encoder(train)));
  assert_int_equal(dfm_encoder_id(loaded, 0, "-5", 2, &is_unknown), 1);
  assert_int_equal(dfm_encoder_id(loaded, 0, "29.99", 5, &is_unknown), 1);
  assert_int_equal(dfm_encoder_id(loaded, 0, "30.0", 4, &is_unknown), 2);
  assert_int_equal(dfm_encoder_id(loaded, 0, "1e9", 3, &is_unknown), 2);
  assert_false(is_unknown);
  assert_int_equal(dfm_encoder_id(loaded, 0, "", 0, &is_unknown), 0); /* training had none */
  assert_true(is_unknown);
  dfm_encoder_release(loaded);
  memcpy((char *)(uintptr_t)dfm_dataset_encoder(train)->category[0].vocabulary.bytes, "99", 2);
  write_encoder(dfm_dataset_encoder(train), test_path("buckets.safetensors"));
  assert_int_equal(load_encoder(test_path("buckets.safetensors"), &loaded, &error), DFM_ERROR_FORMAT);
  assert_non_null(strstr(error.message, "the buckets are no ascending numbers"));
  dfm_dataset_free(train);
  assert_int_equal(read_buckets("y,C1\n1,7\n0,x7\n", 2, &train, &error), DFM_ERROR_FORMAT);
  assert_non_null(strstr(error.message, "buckets.csv:3:3: column 'C1' is put in buckets"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(transforms_are_those_of_their_formulas),
    cmocka_unit_test(numbers_far_outside_training_stay_finite),
    cmocka_unit_test(fields_resolve_against_the_settings_and_keep_the_column_order),
    cmocka_unit_test(fingerprints_are_of_the_bytes),
    cmocka_unit_test(a_loaded_encoder_is_the_same),
    cmocka_unit_test(an_encoder_without_the_count_of_values_loads),
    cmocka_unit_test(a_synthetic_encoder_loads_without_vocabularies),
    cmocka_unit_test(damaged_vocabularies_are_refused),
    cmocka_unit_test(values_become_buckets_logs_and_the_most_frequent),
    cmocka_unit_test(a_log_of_text_is_an_error_with_its_place),
    cmocka_unit_test(a_column_is_hashed_or_counted),
    cmocka_unit_test(numbers_are_cut_where_rows_make_equal_parts),
    cmocka_unit_test(loaded_buckets_are_searched),
};

int main(int argc, char **argv) {
  return test_main(argc, argv, "encoder", tests, sizeof tests / sizeof *tests);
}
