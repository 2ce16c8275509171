/* Statistics of rows: what dfm_dataset_stats says is compared with a plain count and a sort, over several pieces. */
#include "data/excess.h"
#include "data/quantile.h"
#include "data/storage.h"
#include "data/value.h"
#include "test_rows.h"

static int by_value(const void *a, const void *b) {
  const float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static void quantiles_are_order_statistics(void **state) {
  (void)state;
  enum { N = 4096 };
  static const double share[DFM_QUANTILES] = {0.05, 0.25, 0.5, 0.75, 0.95};
  static float values[N], sorted[N];
  static int64_t count[DFM_QUANTILES * DFM_QUANTILE_DIGITS];
  const int lengths[] = {1, 2, 3, 19, 20, 21, 1000, N};
  for (int i = 0; i < N; i++)
    values[i] = i % 7 == 0    ? -0.0F
                : i % 11 == 0 ? 1e-40F
                              : (float)((i * 7919) % 10007 - 5000) * (i % 3 ? 1e-3F : 1e30F);
  for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
    const int n = lengths[l];
    dfm_quantile_search search = {.count = count};
    memset(count, 0, sizeof count);
    for (int pass = 0; pass < DFM_QUANTILE_PASSES; pass++) {
      for (int i = 0; i < n; i++) dfm_quantile_add(&search, values[pass == 1 ? n - 1 - i : i]);
      dfm_quantile_end_pass(&search);
    }
    memcpy(sorted, values, sizeof sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, by_value);
    for (int i = 0; i < DFM_QUANTILES; i++) {
      const int rank = (int)ceil(share[i] * n) - 1;
      assert_near(dfm_quantile_value(&search, i), (double)sorted[rank < 0 ? 0 : rank], 0);
    }
  }
  dfm_quantile_search nothing = {.count = count};
  for (int pass = 0; pass < DFM_QUANTILE_PASSES; pass++) dfm_quantile_end_pass(&nothing);
  assert_true(isnan(dfm_quantile_value(&nothing, 2)));
}

/* 200,000 synthetic rows with 11 category fields: two tasks, four pieces. */
static dfm_dataset *many_rows(void) {
  enum { F = 11 };
  dfm_error error;
  uint32_t rows[F];
  const dfm_data_settings settings = make_settings();
  dfm_encoder *encoder;
  dfm_dataset *dataset;
  for (int f = 0; f < F; f++) rows[f] = 2 + 37 * (uint32_t)f;
  assert_ok(dfm_encoder_synthetic(F, rows, 9, &settings.category, &settings.number, &encoder, &error));
  assert_ok(dfm_dataset_synthetic(encoder, 200000, DFM_DRAW_POWER, 3, &dataset, &error));
  dfm_encoder_release(encoder);
  return dataset;
}

static void threads_change_nothing(void **state) {
  (void)state;
  dfm_error error;
  dfm_dataset *dataset = many_rows();
  dfm_stats *one, *many;
  assert_ok(dfm_dataset_stats(dataset, NULL, 5, 1, &one, &error));
  assert_int_equal(one->train_rows, 200000);
  assert_int_equal(one->positives, dfm_dataset_positives(dataset));
  for (int threads = 2; threads <= 8; threads += 3) {
    assert_ok(dfm_dataset_stats(dataset, NULL, 5, threads, &many, &error));
    for (size_t i = 0; i < one->n_fields; i++) {
      const dfm_field_stats *a = &one->fields[i], *b = &many->fields[i];
      assert_string_equal(a->name, b->name);
      assert_memory_equal(a->quantile, b->quantile, sizeof a->quantile);
      if (a->is_number) assert_true(a->mean == b->mean && a->minimum == b->minimum && a->maximum == b->maximum);
    }
    dfm_stats_free(many);
  }
  dfm_stats_free(one);
  dfm_dataset_free(dataset);
}

/* Values are told apart, ties go by id, and both parts count. */
static void the_most_frequent_values_come_in_order(void **state) {
  (void)state;
  dfm_error error;
  dfm_schema *schema = make_schema("y:label C1:category");
  dfm_data_settings settings = make_settings();
  dfm_dataset *train, *valid;
  dfm_stats *stats;
  char text[20000] = "y,C1\n", line[32], expected[32];
  for (int i = 0; i < 1000; i++) { /* value k, 0 to 9, in 100 rows; values above 4 in the validation rows too */
    snprintf(line, sizeof line, "%d,v%d\n", i % 3 == 0, i >= 900 ? 5 + i % 5 : i % 10);
    strcat(text, line);
  }
  settings.valid_split = 0.1;
  settings.category.order = DFM_ORDER_SORTED;
  assert_ok(read_text("top.csv", text, schema, &settings, &train, &valid, &error));
  assert_ok(dfm_dataset_stats(train, valid, 7, 2, &stats, &error));
  assert_int_equal(stats->valid_rows, 100);
  assert_int_equal(stats->positives, 334);
  assert_int_equal(stats->fields[0].distinct, 10);
  assert_int_equal(stats->fields[0].n_top, 7);
  for (int i = 0; i < 7; i++) {
    const dfm_value_stats *value = &stats->fields[0].top[i];
    snprintf(expected, sizeof expected, "v%d", (i + 5) % 10);
    assert_memory_equal(value->bytes, expected, value->length);
    assert_int_equal(value->rows, i < 5 ? 110 : 90);
    assert_in_range(value->positives, 29, 38);
  }
  dfm_stats_free(stats);
  assert_ok(dfm_dataset_stats(train, NULL, 0, 2, &stats, &error));
  assert_int_equal(stats->fields[0].n_top, 0);
  dfm_stats_free(stats);
  dfm_dataset_free(train);
  dfm_dataset_free(valid);
  dfm_schema_free(schema);
}

/* The limits that the binomial distribution gives; few rows are never enough for what one of them may do. */
static void far_above_is_a_matter_of_size_and_of_rows(void **state) {
  (void)state;
  static const struct {
    int64_t count, n;
    double expected;
    bool is_far;
  } cases[] = {{1, 1, 0, false},        {2, 3, 0, false},         {3, 3, 0, true},           {13, 100, 0, false},
               {14, 100, 0, true},      {5100, 100000, 0, false}, {5300, 100000, 0, true},   {0, 1000, 0, false},
               {500, 1000, 0.2, false}, {690, 1000, 0.2, false},  {740, 1000, 0.2, true},    {999, 1000, 0.4, false},
               {2, 1000000, 0, false},  {1000, 1000, 0.1, true},  {50001, 1000000, 0, false}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    if (dfm_is_far_above(cases[i].count, cases[i].n, cases[i].expected) != cases[i].is_far) fail_msg("case %zu", i);
}

/* Six rows: a three times, b twice, c once. */
static void expected_unknown_counts_what_would_fall_under_min_count(void **state) {
  (void)state;
  dfm_error error;
  dfm_schema *schema = make_schema("y:label C1:category");
  dfm_data_settings settings = make_settings();
  const double expected[] = {1.0 / 6, 1.0 / 6, 3.0 / 6, 6.0 / 6};
  for (int min_count = 0; min_count < 4; min_count++) {
    dfm_dataset *train, *valid;
    settings.category.min_count = min_count;
    assert_ok(read_text("six.csv", "y,C1\n0,a\n1,b\n0,a\n1,c\n0,b\n1,a\n", schema, &settings, &train, &valid, &error));
    assert_near(dfm_encoder_expected_unknown(dfm_dataset_encoder(train), 0), expected[min_count], 1e-12);
    dfm_dataset_free(train);
  }
  dfm_schema_free(schema);
}

/* A hundred rows: a, b and c 30 times each, ten others once each. Of two that are kept, each has as many rows as the
 * one dropped; of three, all have more than any dropped. */
static void expected_unknown_counts_what_others_would_push_out(void **state) {
  (void)state;
  dfm_error error;
  dfm_schema *schema = make_schema("y:label C1:category");
  dfm_data_settings settings = make_settings();
  const double expected[] = {0.1, 0.4 + 0.6, 0.1, 0.09 + 0.01};
  const int most[] = {0, 2, 3, 4};
  char text[2000] = "y,C1\n";
  for (int i = 0; i < 100; i++)
    sprintf(text + strlen(text), i < 90 ? "%d,%c\n" : "%d,d%c\n", i % 2, 'a' + i % (i < 90 ? 3 : 10));
  for (size_t k = 0; k < sizeof most / sizeof *most; k++) {
    dfm_dataset *train, *valid;
    settings.category.max_vocabulary = most[k];
    assert_ok(read_text("most.csv", text, schema, &settings, &train, &valid, &error));
    assert_near(dfm_encoder_expected_unknown(dfm_dataset_encoder(train), 0), expected[k], 1e-12);
    assert_int_equal(dfm_dataset_encoder(train)->category[0].distinct, 13);
    dfm_dataset_free(train);
  }
  dfm_schema_free(schema);
}

static void set(dfm_schema *schema, const char *column, const char *key, const char *value) {
  dfm_error error;
  assert_ok(dfm_schema_set(schema, column, key, value, &error));
}

static void assert_top(const dfm_field_stats *field, size_t i, const char *name, int64_t rows, int64_t positives) {
  assert_true(i < field->n_top);
  assert_int_equal(field->top[i].length, strlen(name));
  assert_memory_equal(field->top[i].bytes, name, strlen(name));
  assert_int_equal(field->top[i].rows, rows);
  assert_int_equal(field->top[i].positives, positives);
}

/* Items count as values; a shared vocabulary is counted field by field, and what it has seen is seen by both. */
static void items_are_counted_and_shared_values_by_field(void **state) {
  (void)state;
  dfm_error error;
  dfm_schema *schema = make_schema("y:label G:list C:category");
  dfm_data_settings settings = make_settings();
  dfm_dataset *train, *valid;
  dfm_stats *stats;
  set(schema, "C", "share", "G");
  settings.category.min_count = 2;
  settings.valid_split = 0.25;
  const char text[] = "y,G,C\n1,b|a,a\n0,,b\n1,a|z,d\n0,c||a|a,c\n1,a,c\n0,b|c,a\n1,new|a,new\n0,,a\n";
  assert_ok(read_text("shared.csv", text, schema, &settings, &train, &valid, &error));
  assert_ok(dfm_dataset_stats(train, valid, 9, 2, &stats, &error));
  assert_int_equal(stats->valid_rows, 2);
  const dfm_field_stats *list = &stats->fields[0], *cell = &stats->fields[1];
  assert_true(list->is_list && !cell->is_list);
  assert_int_equal(list->cells, 12);
  assert_int_equal(list->valid_cells, 2);
  assert_int_equal(list->missing, 2);
  assert_int_equal(list->unknown, 2); /* z, new */
  assert_int_equal(list->valid_unknown, 1);
  assert_int_equal(list->distinct, 5); /* a, b, c, d, z: of the training rows of both */
  assert_int_equal(list->vocabulary, 3);
  assert_int_equal(list->n_top, 3);
  assert_top(list, 0, "a", 6, 4);
  assert_top(list, 1, "c", 2, 0);
  assert_top(list, 2, "b", 2, 1);
  assert_int_equal(cell->cells, 8);
  assert_int_equal(cell->unknown, 2); /* d, new */
  assert_int_equal(cell->distinct, 5);
  assert_int_equal(cell->vocabulary, 3);
  assert_top(cell, 0, "a", 3, 1);
  assert_top(cell, 1, "c", 2, 1);
  assert_top(cell, 2, "b", 1, 0);
  /* 16 training cells: a 7 times, c 4, b 3, d and z once. */
  const dfm_encoder *encoder = dfm_dataset_encoder(train);
  for (int f = 0; f < 2; f++) assert_near(dfm_encoder_expected_unknown(encoder, f), 2.0 / 16, 1e-12);
  assert_int_equal(dfm_dataset_field(valid, 0).cells, 2);
  dfm_stats_free(stats);
  dfm_dataset_free(train);
  dfm_dataset_free(valid);
  dfm_schema_free(schema);
}

/* What is not kept has no name: buckets are counted, and called what falls into them. */
static void buckets_are_counted_by_name(void **state) {
  (void)state;
  dfm_error error;
  dfm_schema *schema = make_schema("y:label H:category Q:category");
  dfm_data_settings settings = make_settings();
  dfm_dataset *train, *valid;
  dfm_stats *stats;
  char name[32], text[] = "y,H,Q\n0,a,1\n0,a,1\n1,a,2.5\n1,b,4\n1,,4\n0,a,9\n1,a,\n";
  set(schema, "H", "hash", "1000");
  set(schema, "Q", "buckets", "2");
  assert_ok(read_text("buckets.csv", text, schema, &settings, &train, &valid, &error));
  assert_ok(dfm_dataset_stats(train, NULL, 9, 1, &stats, &error));
  const dfm_field_stats *hashed = &stats->fields[0], *numbers = &stats->fields[1];
  snprintf(name, sizeof name, "bucket %u", (unsigned)(dfm_value_hash("a", 1) % 1000));
  assert_int_equal(hashed->distinct, -1);
  assert_int_equal(hashed->vocabulary, 1000);
  assert_int_equal(hashed->missing, 1);
  assert_int_equal(hashed->unknown, 0);
  assert_int_equal(hashed->n_top, 3);
  assert_top(hashed, 0, name, 5, 2);
  assert_int_equal(numbers->distinct, 5); /* four numbers and the empty cell */
  assert_int_equal(numbers->vocabulary, 3);
  assert_int_equal(numbers->missing, 1);
  assert_top(numbers, 0, "(-inf, 4)", 3, 1);
  assert_top(numbers, 1, "[4, inf)", 3, 2);
  assert_top(numbers, 2, "", 1, 1);
  for (int f = 0; f < 2; f++) assert_near(dfm_encoder_expected_unknown(dfm_dataset_encoder(train), f), 0, 0);
  dfm_stats_free(stats);
  dfm_dataset_free(train);
  dfm_schema_free(schema);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(quantiles_are_order_statistics),
    cmocka_unit_test(threads_change_nothing),
    cmocka_unit_test(the_most_frequent_values_come_in_order),
    cmocka_unit_test(far_above_is_a_matter_of_size_and_of_rows),
    cmocka_unit_test(expected_unknown_counts_what_would_fall_under_min_count),
    cmocka_unit_test(expected_unknown_counts_what_others_would_push_out),
    cmocka_unit_test(items_are_counted_and_shared_values_by_field),
    cmocka_unit_test(buckets_are_counted_by_name),
};

int main(int argc, char **argv) {
  return test_main(argc, argv, "stats", tests, sizeof tests / sizeof *tests);
}
