/* Statistics of rows: what dfm_dataset_stats says is compared with a plain count and a sort, over several pieces. */
#include "data/excess.h"
#include "data/quantile.h"
#include "data/storage.h"
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
  assert_ok(dfm_dataset_synthetic(encoder, 200000, 3, &dataset, &error));
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

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(quantiles_are_order_statistics),
    cmocka_unit_test(threads_change_nothing),
    cmocka_unit_test(the_most_frequent_values_come_in_order),
    cmocka_unit_test(far_above_is_a_matter_of_size_and_of_rows),
    cmocka_unit_test(expected_unknown_counts_what_would_fall_under_min_count),
};

int main(int argc, char **argv) {
  return test_main(argc, argv, "stats", tests, sizeof tests / sizeof *tests);
}
