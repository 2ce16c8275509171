/* Metrics against their definitions: AUC by all pairs, with ties and weights; one class is undefined, not an error. */
#include <math.h>

#include "base/random.h"
#include "test.h"
#include "train/metrics.h"

static double auc_of_pairs(const float *p, const float *y, const float *w, int n) {
  double above = 0, pairs = 0;
  for (int i = 0; i < n; i++) {
    for (int j = 0; j < n; j++) {
      if (y[i] != 1 || y[j] != 0) continue;
      const double weight = w ? (double)w[i] * (double)w[j] : 1;
      above += weight * (p[i] > p[j] ? 1 : p[i] == p[j] ? 0.5 : 0);
      pairs += weight;
    }
  }
  return above / pairs;
}

static void test_auc(void **state) {
  (void)state;
  for (int seed = 0; seed < 40; seed++) {
    float p[150], y[150], w[150];
    dfm_metrics metrics;
    dfm_error error;
    const int n = 20 + seed * 3;
    for (int i = 0; i < n; i++) {
      const uint64_t r = dfm_random_u64((uint64_t)seed, (uint64_t)i);
      p[i] = seed % 2 ? (float)(r % 11) / 10
                      : dfm_random_uniform((uint64_t)seed + 99, (uint64_t)i); /* many ties or none */
      y[i] = (float)(r / 64 % 3 == 0);
      w[i] = (float)(r / 1024 % 4);
    }
    y[0] = 1, y[1] = 0, w[0] = w[1] = 1;
    assert_ok(dfm_metrics_of(p, y, NULL, n, &metrics, &error));
    assert_near(metrics.auc, auc_of_pairs(p, y, NULL, n), 1e-12);
    assert_ok(dfm_metrics_of(p, y, w, n, &metrics, &error));
    assert_near(metrics.auc, auc_of_pairs(p, y, w, n), 1e-12);
  }
}

static void test_values(void **state) {
  const float p[] = {0.9F, 0.2F, 0.5F, 1.0F}, y[] = {1, 0, 0, 0}, w[] = {1, 2, 1, 0};
  dfm_metrics metrics;
  dfm_error error;
  (void)state;
  assert_ok(dfm_metrics_of(p, y, w, 4, &metrics, &error));
  assert_near(metrics.logloss, (-log(0.9) - 2 * log(0.8) - log(0.5)) / 4, 1e-7);
  assert_near(metrics.accuracy, 0.75, 1e-12);
  assert_near(metrics.mean_predicted, (0.9 + 0.4 + 0.5) / 4, 1e-7);
  assert_near(metrics.mean_observed, 0.25, 1e-12);
  assert_near(metrics.weight, 4, 0);
  assert_ok(dfm_metrics_of(p, y, NULL, 4, &metrics, &error));
  assert_true(isfinite(metrics.logloss)); /* a sure row that is wrong */
}

static void test_one_class(void **state) {
  const float p[] = {0.9F, 0.2F}, y[] = {1, 1};
  dfm_metrics metrics;
  dfm_error error;
  (void)state;
  assert_ok(dfm_metrics_of(p, y, NULL, 2, &metrics, &error));
  assert_true(isnan(metrics.auc));
  assert_ok(dfm_metrics_of(p, y, NULL, 0, &metrics, &error));
  assert_true(isnan(metrics.auc) && isnan(metrics.logloss));
}

static void test_bad_rows(void **state) {
  const float p[] = {0.9F, 1.5F}, y[] = {1, 0}, z[] = {1, 0.5F};
  dfm_metrics metrics;
  dfm_error error;
  (void)state;
  assert_int_equal(dfm_metrics_of(p, y, NULL, 2, &metrics, &error), DFM_ERROR_VALUE);
  assert_non_null(strstr(error.message, "probability 1 is 1.5"));
  assert_int_equal(dfm_metrics_of(y, z, NULL, 2, &metrics, &error), DFM_ERROR_VALUE);
  assert_non_null(strstr(error.message, "label 1 is 0.5"));
}

enum { MANY = 30000 };

/* Rows of four kinds: spread, few distinct values, sure ones at both ends, and all alike. */
static void make_many(int kind, float *p, float *y, float *w) {
  for (int i = 0; i < MANY; i++) {
    const uint64_t r = dfm_random_u64(17, (uint64_t)i);
    const double u = (double)(r % 1000003) / 1000003, z = 8 * u - 5;
    const double spread = 1 / (1 + exp(-z)), sure = exp(-60 * u);
    p[i] = (float)(kind == 0 ? spread : kind == 1 ? (double)(r % 7) / 6 : kind == 2 ? (r % 2 ? sure : 1 - sure) : 0.25);
    y[i] = (double)dfm_random_uniform(18, (uint64_t)i) < spread;
    w[i] = (float)(r / 1024 % 3);
  }
}

static dfm_metrics measure(int64_t exact_rows, const float *p, const float *y, const float *w, int piece) {
  dfm_meter *meter;
  dfm_metrics metrics;
  dfm_error error;
  assert_ok(dfm_meter_create_exact(exact_rows, &meter, &error));
  for (int at = 0; at < MANY; at += piece)
    assert_ok(dfm_meter_add(meter, p + at, y + at, w ? w + at : NULL, MANY - at < piece ? MANY - at : piece, &error));
  dfm_meter_finish(meter, &metrics);
  dfm_meter_free(meter);
  return metrics;
}

/* Beyond the limit: the bound holds, and is small; values that are equal cost nothing; all else stays exact. */
static void test_bound(void **state) {
  static float p[MANY], y[MANY], w[MANY];
  (void)state;
  for (int kind = 0; kind < 4; kind++) {
    make_many(kind, p, y, w);
    for (int weighted = 0; weighted < 2; weighted++) {
      const float *weight = weighted ? w : NULL;
      const dfm_metrics exact = measure(MANY, p, y, weight, MANY), bins = measure(100, p, y, weight, 777);
      assert_near(exact.auc_error, 0, 0);
      assert_true(fabs(bins.auc - exact.auc) <= bins.auc_error + 1e-12);
      assert_true(bins.auc_error < 1e-4 || kind == 2); /* most of those are beyond the last bins */
      assert_true((bins.auc_error > 0) == (kind == 0 || kind == 2));
      assert_true(bins.rows == exact.rows && bins.logloss == exact.logloss && bins.accuracy == exact.accuracy &&
                  bins.weight == exact.weight && bins.mean_predicted == exact.mean_predicted &&
                  bins.mean_observed == exact.mean_observed);
    }
  }
}

static void test_coarse_bound(void **state) {
  static float p[MANY], y[MANY], w[MANY];
  (void)state;
  make_many(0, p, y, w);
  for (int i = 0; i < MANY; i++) p[i] = 0.3F + 1e-5F * p[i]; /* all in one bin or two */
  const dfm_metrics exact = measure(MANY, p, y, NULL, MANY), bins = measure(0, p, y, NULL, 5000);
  assert_true(bins.auc_error > 0.05 && fabs(bins.auc - exact.auc) <= bins.auc_error);
  assert_true(fabs(bins.auc - exact.auc) > 0.01); /* the bound was needed */
}

static void test_pieces_and_limits_change_nothing(void **state) {
  static const int pieces[] = {1, 100, 4096, MANY};
  static float p[MANY], y[MANY], w[MANY];
  (void)state;
  make_many(0, p, y, w);
  for (int beyond = 0; beyond < 2; beyond++) {
    const int64_t limit = beyond ? 12345 : MANY;
    const dfm_metrics whole = measure(limit, p, y, w, MANY);
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
      const dfm_metrics cut = measure(limit, p, y, w, pieces[i]);
      assert_memory_equal(&cut, &whole, sizeof whole);
    }
  }
}

/* Finishing empties: the same rows again give the same, exact, result. */
static void test_meter_is_used_again(void **state) {
  static float p[MANY], y[MANY], w[MANY];
  dfm_meter *meter;
  dfm_metrics first, second;
  dfm_error error;
  (void)state;
  make_many(0, p, y, w);
  assert_ok(dfm_meter_create_exact(1000, &meter, &error));
  assert_ok(dfm_meter_add(meter, p, y, w, MANY, &error));
  dfm_meter_finish(meter, &first);
  assert_true(first.auc_error > 0);
  assert_ok(dfm_meter_add(meter, p, y, NULL, 900, &error));
  dfm_meter_finish(meter, &second);
  assert_ok(dfm_metrics_of(p, y, NULL, 900, &first, &error));
  assert_memory_equal(&first, &second, sizeof first);
  assert_near(first.auc, auc_of_pairs(p, y, NULL, 900), 1e-12);
  dfm_meter_free(meter);
  dfm_meter_free(NULL);
}

/* What a checkpoint keeps of a meter: one that is restored goes on as the one that was not, exact or in bins, with
 * weights or without. */
static void test_meter_is_restored(void **state) {
  enum { N = 600 };
  static const int64_t exact[] = {1 << 20, 100};
  float probability[N], label[N], weight[N];
  dfm_error error;
  (void)state;
  for (int i = 0; i < N; i++) {
    probability[i] = dfm_random_uniform(3, (uint64_t)i);
    label[i] = (float)(dfm_random_uniform(4, (uint64_t)i) < probability[i]);
    weight[i] = 1 + (float)(i % 3);
  }
  for (int i = 0; i < 4; i++) {
    const float *weights = i % 2 ? weight : NULL;
    dfm_meter *whole, *second;
    dfm_meter_part part[DFM_METER_PARTS];
    dfm_metrics expected, got;
    bool is_good;
    assert_ok(dfm_meter_create_exact(exact[i / 2], &whole, &error));
    assert_ok(dfm_meter_create_exact(exact[i / 2], &second, &error));
    assert_ok(dfm_meter_add(whole, probability, label, weights, 400, &error));
    dfm_meter_parts(whole, part);
    assert_ok(dfm_meter_restore(second, part, &is_good, &error));
    assert_true(is_good);
    assert_int_equal(dfm_meter_rows(second), 400);
    dfm_meter_measure(whole, &expected);
    dfm_meter_measure(second, &got);
    assert_memory_equal(&expected, &got, sizeof got);
    for (int m = 0; m < 2; m++) { /* measured, it goes on */
      dfm_meter *meter = m ? second : whole;
      assert_ok(dfm_meter_add(meter, probability + 400, label + 400, weights ? weights + 400 : NULL, N - 400, &error));
      dfm_meter_finish(meter, m ? &got : &expected);
    }
    assert_int_equal(got.rows, N);
    assert_memory_equal(&expected, &got, sizeof got);
    dfm_meter_parts(whole, part);
    part[1].n = 3; /* keys of no row */
    assert_ok(dfm_meter_restore(second, part, &is_good, &error));
    assert_false(is_good);
    dfm_meter_free(whole);
    dfm_meter_free(second);
  }
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {cmocka_unit_test(test_auc),
                                            cmocka_unit_test(test_values),
                                            cmocka_unit_test(test_one_class),
                                            cmocka_unit_test(test_bad_rows),
                                            cmocka_unit_test(test_bound),
                                            cmocka_unit_test(test_coarse_bound),
                                            cmocka_unit_test(test_pieces_and_limits_change_nothing),
                                            cmocka_unit_test(test_meter_is_used_again),
                                            cmocka_unit_test(test_meter_is_restored)};
  return test_main(argc, argv, "metrics", tests, sizeof tests / sizeof *tests);
}
