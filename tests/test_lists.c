/* Lists: cells of several items come in; ids, weights, counts, coefficients and messages are compared with what they
 * must be; and shared vocabularies. */
#include <unistd.h>

#include "data/storage.h"
#include "test_rows.h"

static void set(dfm_schema *schema, const char *column, const char *key, const char *value) {
  dfm_error error;
  assert_ok(dfm_schema_set(schema, column, key, value, &error));
}

static void items_are_values_of_their_own(void **state) {
  (void)state;
  dfm_error error;
  dfm_schema *schema = make_schema("y:label G:list C:category");
  dfm_data_settings settings = make_settings();
  dfm_dataset *train, *valid;
  const char text[] = "y,G,C\n1,b|a,u\n0,,v\n1,a,u\n0,c||a|,u\n";
  assert_ok(read_text("items.csv", text, schema, &settings, &train, &valid, &error));
  assert_row(train, 0, "G=[2 1] C=1");
  assert_row(train, 1, "G=[] C=2");
  assert_row(train, 2, "G=[1] C=1");
  assert_row(train, 3, "G=[3 1] C=1");
  assert_int_equal(dfm_dataset_field(train, 0).missing, 1);
  assert_int_equal(dfm_dataset_field(train, 0).unknown, 0);
  const dfm_vocabulary *vocabulary = dfm_encoder_vocabulary(dfm_dataset_encoder(train), 0);
  assert_int_equal(vocabulary->n, 3);
  assert_int_equal(vocabulary->counts[0], 3);
  dfm_dataset_free(train);
  dfm_schema_free(schema);
}

static void weights_are_cut_at_the_last_mark(void **state) {
  (void)state;
  dfm_error error;
  dfm_schema *schema = make_schema("y:label G:list");
  dfm_data_settings settings = make_settings();
  dfm_dataset *train, *valid;
  set(schema, "G", "separator", "space");
  set(schema, "G", "weights", ":");
  schema->strip_spaces = true;
  assert_ok(dfm_words_add(&schema->missing_words, &schema->n_missing_words, "?", 1, &error));
  const char text[] = "y,G\n1,a:0.5 t:1:-2e3\n0,?\n1, a:1  ? a:0.25 \n";
  assert_ok(read_text("weights.csv", text, schema, &settings, &train, &valid, &error));
  assert_row(train, 0, "G=[1*0.5 2*-2000]");
  assert_row(train, 1, "G=[]");
  assert_row(train, 2, "G=[1*1 1*0.25]");
  dfm_dataset_free(train);
  static const struct {
    const char *cell, *shown;
    int column;
  } bad[] = {{"a:1 b", "'b'", 7}, {"a:x", "'a:x'", 3}, {"a:1 b:nan c:1", "'b:nan'", 7}, {"a:", "'a:'", 3}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char rows[100];
    snprintf(rows, sizeof rows, "y,G\n1,a:1\n0,%s\n", bad[i].cell);
    assert_int_equal(read_text("bad.csv", rows, schema, &settings, &train, &valid, &error), DFM_ERROR_FORMAT);
    assert_int_equal(error.line, 3);
    assert_int_equal(error.column, bad[i].column);
    assert_non_null(strstr(error.message, bad[i].shown));
    assert_non_null(strstr(error.message, "column 'G' has an item whose weight is not a finite number"));
  }
  dfm_schema_free(schema);
}

static void unknown_rules_hold_for_items(void **state) {
  (void)state;
  dfm_error error;
  dfm_schema *schema = make_schema("y:label G:list H:list");
  dfm_data_settings settings = make_settings();
  dfm_dataset *train, *valid;
  settings.category.min_count = 2;
  settings.valid_split = 0.25;
  schema->columns[2].settings.unknown = DFM_UNKNOWN_ZERO;
  const char text[] = "y,G,H\n1,a|b,x|z\n0,a,x\n1,c|a,x\n0,a|new|b,new|x\n";
  assert_ok(read_text("rules.csv", text, schema, &settings, &train, &valid, &error));
  assert_row(train, 0, "G=[1 0] H=[0 none]");
  assert_row(train, 2, "G=[0 1] H=[0]");
  assert_row(valid, 0, "G=[1 0 0] H=[none 0]");
  assert_int_equal(dfm_dataset_field(train, 0).unknown, 2);
  assert_int_equal(dfm_dataset_field(train, 0).cells, 5);
  assert_true(dfm_dataset_field(train, 0).is_list);
  assert_int_equal(dfm_dataset_field(valid, 0).unknown, 2);
  assert_int_equal(dfm_dataset_encoder(train)->category[0].unknown_rows, 2);
  assert_int_equal(dfm_dataset_encoder(train)->category[0].cells, 5);
  dfm_dataset_free(train);
  dfm_dataset_free(valid);
  settings.category.min_count = 1;
  settings.category.unknown = DFM_UNKNOWN_ERROR;
  assert_int_equal(read_text("rules.csv", text, schema, &settings, &train, &valid, &error), DFM_ERROR_FORMAT);
  assert_int_equal(error.line, 5);
  assert_int_equal(error.column, 5);
  assert_non_null(strstr(error.message, "column 'G' has a value that the vocabulary lacks: 'new'"));
  dfm_schema_free(schema);
}

/* Two columns over one vocabulary: counted together, and each other's values are known. */
static void shared_vocabularies_count_together(void **state) {
  (void)state;
  dfm_error error;
  dfm_schema *schema = make_schema("y:label seen:list item:category last:category");
  dfm_data_settings settings = make_settings();
  dfm_dataset *train, *valid, *again;
  set(schema, "seen", "share", "item");
  set(schema, "last", "share", "item");
  set(schema, "item", "min_count", "2");
  const char text[] = "y,seen,item,last\n1,b|c,a,c\n0,,b,\n1,c,d,c\n";
  assert_ok(read_text("shared.csv", text, schema, &settings, &train, &valid, &error));
  dfm_encoder *encoder = (dfm_encoder *)(uintptr_t)dfm_dataset_encoder(train);
  assert_int_equal(dfm_encoder_vocabulary(encoder, 0)->n, 2); /* c 4 times, b twice; a, d and "" once */
  assert_ptr_equal(dfm_encoder_vocabulary(encoder, 0), dfm_encoder_vocabulary(encoder, 2));
  assert_row(train, 0, "seen=[2 1] item=0 last=1");
  assert_row(train, 1, "seen=[] item=2 last=0");
  assert_row(train, 2, "seen=[1] item=0 last=1");
  assert_int_equal(dfm_dataset_field(train, 2).missing, 1);
  assert_ok(read_encoded_file(test_path("shared.csv"), encoder, NULL, &again, &error));
  for (int64_t row = 0; row < 3; row++) {
    char *expected;
    assert_ok(dfm_dataset_row_text(train, row, &expected, &error));
    assert_row(again, row, expected);
    dfm_string_free(expected);
  }
  assert_int_equal(dfm_dataset_field(again, 2).missing, 1);
  dfm_dataset_free(again);
  dfm_dataset_free(train);
  dfm_schema_free(schema);
}

static void schemas_that_cannot_be(void **state) {
  (void)state;
  static const struct {
    const char *column, *key, *value, *message;
  } cases[] = {
      {"L", "share", "x", "column 'L': share: there is no column 'x'"},
      {"L", "share", "L", "is itself"},
      {"L", "share", "N", "is no category or list"},
      {"C", "share", "L", "shares another's"},
      {"L", "width", "8", "so width is that column's"},
      {"L", "within", "true", "needs pool: sum"},
      {"L", "weights", "|", "choose another separator"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    dfm_error error;
    dfm_schema *schema = make_schema("y:label L:list C:category N:number");
    dfm_data_settings settings = make_settings();
    dfm_encoder *encoder;
    size_t column = 99;
    set(schema, "L", "share", "C");
    set(schema, cases[i].column, cases[i].key, cases[i].value);
    assert_int_equal(dfm_schema_check(schema, &column, &error), DFM_ERROR_VALUE);
    if (!strstr(error.message, cases[i].message)) fail_msg("'%s' lacks '%s'", error.message, cases[i].message);
    assert_int_equal(column, 1);
    assert_int_equal(dfm_encoder_create(schema, &settings, &encoder, &error), DFM_ERROR_VALUE);
    dfm_schema_free(schema);
  }
}

static void settings_that_cannot_be(void **state) {
  (void)state;
  static const struct {
    const char *key, *value, *message;
  } cases[] = {
      {"pool", "min", "column 'L': pool is 'min'; it must be one of sum, mean, max"},
      {"separator", "ab", "column 'L': separator is 'ab'; it must be one character, such as \"|\""},
      {"weights", "ab", "column 'L': weights is 'ab'; it must be one character, or none, such as \":\""},
      {"trainable", "no", "column 'L': trainable is 'no'; it must be one of false, true"},
      {"initial", "", "column 'L': initial is empty; give a file, or leave it out"},
      {"share", "", "column 'L': share is empty; name a column, or leave it out"},
      {"missing", "0", "column 'L' is a list, and only a number has missing"},
  };
  dfm_schema *schema = make_schema("y:label L:list");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    dfm_error error;
    assert_int_equal(dfm_schema_set(schema, "L", cases[i].key, cases[i].value, &error), DFM_ERROR_VALUE);
    if (!strstr(error.message, cases[i].message)) fail_msg("'%s' lacks '%s'", error.message, cases[i].message);
  }
  set(schema, "L", "pool", "max");
  set(schema, "L", "width", "3");
  set(schema, "L", "kind", "category"); /* drops what only lists have */
  assert_int_equal(schema->columns[1].settings.pool, -1);
  assert_int_equal(schema->columns[1].settings.width, 3);
  dfm_schema_free(schema);
}

/* What a place is multiplied by, for each pool; items without an id do not count in a mean. */
static void coefficients_follow_the_pool(void **state) {
  (void)state;
  static const char *const pools[] = {"sum", "mean", "max"};
  static const float expected[3][4] = {{1, -3, 2, 4}, {0.25F, -0.75F, 1, 1}, {1, -3, 2, 4}};
  dfm_error error;
  for (int pool = 0; pool < 3; pool++) {
    dfm_schema *schema = make_schema("y:label G:list");
    dfm_data_settings settings = make_settings();
    dfm_dataset *train, *valid;
    dfm_batch *batch;
    settings.category.unknown = DFM_UNKNOWN_ZERO;
    settings.category.min_count = 2;
    set(schema, "G", "weights", ":");
    set(schema, "G", "pool", pools[pool]);
    const char text[] = "y,G\n1,a:1|b:-3\n0,\n1,a:2\n0,once:8|b:4\n";
    assert_ok(read_text("pool.csv", text, schema, &settings, &train, &valid, &error));
    assert_ok(dfm_batch_create(1, 0, 4, &batch, &error));
    batch->rows = 4;
    for (int b = 0; b < 4; b++) batch->row[b] = 3 - b; /* backwards */
    assert_ok(dfm_dataset_lay_out(train, batch, &error));
    dfm_dataset_fill(train, batch, 0, 1);
    dfm_dataset_fill(train, batch, 1, 3);
    const dfm_batch_list *list = &batch->list[0];
    static const uint32_t offsets[] = {0, 2, 3, 3, 5}, rows[] = {0, 0, 1, 3, 3};
    assert_memory_equal(list->offsets, offsets, sizeof offsets);
    assert_memory_equal(list->row, rows, sizeof rows);
    assert_int_equal(list->id[0], DFM_ID_NONE);
    assert_true(list->coefficient[3] == expected[pool][0] && list->coefficient[4] == expected[pool][1]);
    assert_true(list->coefficient[2] == expected[pool][2] && list->coefficient[1] == expected[pool][3]);
    dfm_batch_free(batch);
    dfm_dataset_free(train);
    dfm_schema_free(schema);
  }
}

/* Rows and items beyond what memory takes lie in files, and read the same. */
static void lists_spill(void **state) {
  (void)state;
  enum { ROWS = 120000 };
  dfm_error error;
  dfm_schema *schema = make_schema("y:label G:list");
  dfm_data_settings settings = make_settings();
  dfm_encoder *encoder;
  dfm_storage *storage;
  set(schema, "G", "weights", ":");
  assert_ok(dfm_encoder_create(schema, &settings, &encoder, &error));
  assert_ok(dfm_storage_create(encoder, (dfm_storage_has){.label = true}, test_folder(), &storage, &error));
  for (int row = 0; row < ROWS; row++) {
    uint64_t at;
    assert_ok(dfm_storage_add(storage, 1, NULL, &error));
    for (int part = 0; part < 2; part++) { /* in two calls */
      assert_ok(dfm_storage_add_items(storage, 0, row, (size_t)(row % 100), &at, &error));
      for (int i = 0; i < row % 100; i++, at++) {
        storage->list[0].ids[at] = (uint32_t)(row ^ i);
        storage->list[0].weights[at] = (float)(row + part);
      }
    }
  }
  const dfm_list *list = &storage->list[0];
  assert_ok(dfm_storage_finish(storage, NULL, &error));
  assert_true(list->spill[1].is_file && list->spill[2].is_file);
  dfm_storage_spent(storage, 0, ROWS);
  for (int row = 0; row < ROWS; row += 7) {
    const uint64_t first = list->offsets[row], n = list->offsets[row + 1] - first;
    assert_int_equal(n, 2 * (row % 100));
    if (n == 0) continue;
    assert_int_equal(list->ids[first + n - 1], (uint32_t)(row ^ (row % 100 - 1)));
    assert_true(list->weights[first] == (float)row && list->weights[first + n - 1] == (float)(row + 1));
  }
  dfm_storage_release(storage);
  dfm_encoder_release(encoder);
  dfm_schema_free(schema);
}

/* Pages of files that this process maps and holds in memory, in bytes. */
static size_t resident_file_bytes(void) {
  size_t all, resident, shared;
  FILE *file = fopen("/proc/self/statm", "r");
  assert_non_null(file);
  assert_int_equal(fscanf(file, "%zu %zu %zu", &all, &resident, &shared), 3);
  fclose(file);
  return shared * (size_t)sysconf(_SC_PAGESIZE);
}

/* Offsets of 96 MB, ids and weights of 64 MB each: a step of 32 MB of the offsets and one of both others is in
 * memory. */
static void lists_that_grow_give_pages_back(void **state) {
  (void)state;
  enum { PIECES = 192, ROWS = 1 << 16, ITEMS = 87382 };
  dfm_error error;
  dfm_schema *schema = make_schema("G:list");
  dfm_data_settings settings = make_settings();
  dfm_encoder *encoder;
  dfm_storage *storage;
  set(schema, "G", "weights", ":");
  assert_ok(dfm_encoder_create(schema, &settings, &encoder, &error));
  assert_ok(dfm_storage_create(encoder, (dfm_storage_has){0}, test_folder(), &storage, &error));
  storage->budget_bytes = 0;
  const size_t before = resident_file_bytes();
  for (int64_t piece = 0; piece < PIECES; piece++) {
    uint64_t at;
    assert_ok(dfm_storage_add(storage, ROWS, NULL, &error));
    assert_ok(dfm_storage_add_items(storage, 0, storage->rows - 1, ITEMS, &at, &error));
    for (uint64_t i = at; i < at + ITEMS; i++) {
      storage->list[0].ids[i] = (uint32_t)i;
      storage->list[0].weights[i] = (float)piece;
    }
    assert_in_range(resident_file_bytes(), 0, before + ((size_t)88 << 20));
  }
  assert_ok(dfm_storage_finish(storage, NULL, &error));
  const dfm_list *list = &storage->list[0];
  for (int64_t piece = 0; piece < PIECES; piece++) {
    const uint64_t first = (uint64_t)piece * ITEMS, *offset = &list->offsets[(piece + 1) * ROWS - 1];
    assert_true(offset[0] == first && offset[1] == first + ITEMS);
    assert_true(list->ids[first] == (uint32_t)first && list->weights[first] == (float)piece);
  }
  dfm_storage_release(storage);
  dfm_encoder_release(encoder);
  dfm_schema_free(schema);
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(items_are_values_of_their_own),   cmocka_unit_test(weights_are_cut_at_the_last_mark),
      cmocka_unit_test(unknown_rules_hold_for_items),    cmocka_unit_test(shared_vocabularies_count_together),
      cmocka_unit_test(schemas_that_cannot_be),          cmocka_unit_test(settings_that_cannot_be),
      cmocka_unit_test(coefficients_follow_the_pool),    cmocka_unit_test(lists_spill),
      cmocka_unit_test(lists_that_grow_give_pages_back),
  };
  return test_main(argc, argv, "lists", tests, sizeof tests / sizeof *tests);
}
