/* Metrics against their definitions: AUC by all pairs, with ties and weights; one class is undefined, not an error. */
#include <math.h>

#include "base/random.h"
#include "test.h"

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

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {cmocka_unit_test(test_auc), cmocka_unit_test(test_values),
                                            cmocka_unit_test(test_one_class), cmocka_unit_test(test_bad_rows)};
  return test_main(argc, argv, "metrics", tests, sizeof tests / sizeof *tests);
}
