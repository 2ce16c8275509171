/* Kernels: random spans come in; what the generic table makes of them must be near what doubles say. */
#include <float.h>

#include "base/random.h"
#include "test_kernel.h"

/* Distance in units of the last place of the float nearest to `expected`. */
static double ulps(float got, double expected) {
  const float nearest = fabsf((float)expected);
  return fabs((double)got - expected) / (double)(nextafterf(nearest, INFINITY) - nearest);
}

static void test_sigmoid_ulps(void **state) {
  (void)state;
  double worst = 0;
  for (int i = -872000; i <= 200000; i++) {
    const float z = (float)i * 1e-4f;
    float p;
    generic()->sigmoid(&p, &z, 1);
    worst = fmax(worst, ulps(p, 1 / (1 + exp(-(double)z))));
  }
  printf("sigmoid: %.3f ulp\n", worst);
  assert_true(worst <= 2);
}

static void test_sigmoid_limits(void **state) {
  (void)state;
  const dfm_kernel *kernel;
  for (size_t k = 0; (kernel = dfm_kernel_at(k)) != NULL; k++) {
    const float z[10] = {-FLT_MAX, -INFINITY, -88, 88, FLT_MAX, INFINITY, 0, NAN, -FLT_MIN, 17};
    float p[10];
    kernel->sigmoid(p, z, 10);
    for (int i = 0; i < 3; i++) assert_true(p[i] == 0);
    for (int i = 3; i < 6; i++) assert_true(p[i] == 1);
    assert_true(p[6] == 0.5f && p[8] == 0.5f);
    assert_true(isnan(p[7]));
    assert_true(p[9] > 0.9999f && p[9] <= 1);
  }
}

static void test_tanh_ulps(void **state) {
  (void)state;
  double worst = 0;
  for (int i = -120000; i <= 120000; i++) {
    const float x[2] = {(float)i * 1e-4f, (float)i * 1e-9f};
    float y[2] = {x[0], x[1]};
    generic()->bias_act(y, 1, 2, 2, NULL, DFM_TANH);
    worst = fmax(worst, fmax(ulps(y[0], tanh((double)x[0])), ulps(y[1], tanh((double)x[1]))));
  }
  printf("tanh: %.3f ulp\n", worst);
  assert_true(worst <= 4);
  float limits[5] = {-FLT_MAX, INFINITY, NAN, -30, 0};
  generic()->bias_act(limits, 1, 5, 5, NULL, DFM_TANH);
  assert_true(limits[0] == -1 && limits[1] == 1 && isnan(limits[2]) && limits[3] == -1 && limits[4] == 0);
}

static void test_activations(void **state) {
  (void)state;
  const float bias[4] = {0.5f, -1, 0, 2}, x[4] = {-1, 0.25f, 0, 1};
  float y[4], dy[4];
  for (int act = DFM_LINEAR; act <= DFM_TANH; act++) {
    memcpy(y, x, sizeof y);
    generic()->bias_act(y, 1, 4, 4, bias, (dfm_activation)act);
    for (int i = 0; i < 4; i++) dy[i] = 3;
    generic()->act_backward(dy, y, 1, 4, 4, (dfm_activation)act);
    for (int i = 0; i < 4; i++) {
      const double v = (double)x[i] + (double)bias[i], sigma = 1 / (1 + exp(-v)), t = tanh(v);
      const double values[4] = {v, v > 0 ? v : 0, sigma, t},
                   slopes[4] = {1, v > 0 ? 1 : 0, sigma * (1 - sigma), 1 - t * t};
      assert_near(y[i], values[act], 2e-7);
      assert_near(dy[i], 3 * slopes[act], 1e-6);
    }
  }
  y[0] = NAN;
  generic()->bias_act(y, 1, 1, 1, NULL, DFM_RELU);
  assert_true(isnan(y[0]));
}

static void test_sums(void **state) {
  (void)state;
  static spans s;
  spans_fill(&s, 3);
  double dot = 0, squares = 0, column[MAX_N];
  for (int i = 0; i < MAX_N; i++) {
    dot += (double)s.x[0][i] * (double)s.x[1][i];
    squares += (double)s.x[0][i] * (double)s.x[0][i];
    column[i] = (double)s.x[3][i];
    for (int r = 0; r < 7; r++) column[i] += (double)s.rows[r * SPAN + i];
  }
  assert_near(generic()->dot(s.x[0], s.x[1], MAX_N), dot, 2e-6);
  assert_near(generic()->sum_squares(s.x[0], MAX_N), squares, 1e-13);
  generic()->column_sums(s.x[3], s.rows, 7, MAX_N, SPAN);
  for (int i = 0; i < MAX_N; i++) assert_near(s.x[3][i], column[i], 1e-6);
}

/* e has a block of its own, so that sanitizers see a read past its last field. */
static void check_fm(int F, int K) {
  const int n = F * K;
  float *e = malloc((size_t)n * sizeof *e + 1), *de = malloc((size_t)n * sizeof *de + 1), sum[65];
  uint64_t seed = (uint64_t)n;
  assert_true(e && de);
  for (int i = 0; i < n; i++) {
    e[i] = random_float(&seed);
    de[i] = 1;
  }
  /* the pairwise definition, not the lemma that the kernel uses */
  double pairs = 0;
  for (int f = 0; f < F; f++)
    for (int g = f + 1; g < F; g++)
      for (int k = 0; k < K; k++) pairs += (double)e[f * K + k] * (double)e[g * K + k];
  assert_near(generic()->fm_forward(e, F, K, sum), pairs, 1e-6 * (n + 1));
  generic()->fm_backward(de, e, F, K, sum, 0.3f);
  for (int f = 0; f < F; f++)
    for (int k = 0; k < K; k++) {
      double others = 0;
      for (int g = 0; g < F; g++) others += g == f ? 0 : (double)e[g * K + k];
      assert_near(de[f * K + k], 1 + (double)0.3f * others, 5e-6);
    }
  free(e);
  free(de);
}

static void test_fm(void **state) {
  (void)state;
  static const int width[] = {1, 2, 4, 8, 10, 15, 16, 17, 33, 64, 65};
  for (size_t c = 0; c < sizeof width / sizeof *width; c++)
    for (int F = 0; F <= 39; F += 13) check_fm(F, width[c]);
}

/* Rows that lie apart, each in a block of its own; every third field is absent. */
static float **make_apart(int F, int n, uint64_t seed) {
  float **e = calloc((size_t)F + 1, sizeof *e);
  assert_non_null(e);
  for (int f = 0; f < F; f++) {
    if (f % 3 == 1) continue;
    e[f] = malloc((size_t)n * sizeof **e);
    assert_non_null(e[f]);
    for (int i = 0; i < n; i++) e[f][i] = random_float(&seed);
  }
  return e;
}

static void free_apart(float **e, int F) {
  for (int f = 0; f < F; f++) free(e[f]);
  free(e);
}

static void check_fm_rows(int F, int K) {
  float **e = make_apart(F, K, (uint64_t)(F * K)), sum[65];
  double pairs = 0;
  for (int f = 0; f < F; f++)
    for (int g = f + 1; e[f] && g < F; g++)
      for (int k = 0; e[g] && k < K; k++) pairs += (double)e[f][k] * (double)e[g][k];
  assert_near(generic()->fm_rows((const float *const *)e, F, K, sum), pairs, 1e-6 * (F * K + 1));
  for (int k = 0; k < K; k++) {
    double all = 0;
    for (int f = 0; f < F; f++) all += e[f] ? (double)e[f][k] : 0;
    assert_near(sum[k], all, 5e-6);
  }
  free_apart(e, F);
}

/* F fields of one table of seven rows; every third has no factors, and every fifth place asks for no row. */
static void check_fm_sums(int F, int K) {
  enum { B = 6, V = 7 };
  const size_t n = 1 + (size_t)K;
  float **table = make_apart(1, V * (int)n, (uint64_t)(F + K)), own[B], sum[B * 65], g[2 * 65];
  const dfm_rows rows = {table[0], n, n};
  dfm_sum_field field[39];
  uint32_t id[39][B];
  for (int f = 0; f < F; f++) {
    field[f] = (dfm_sum_field){rows, id[f], V, K > 0 && f % 3 != 2};
    for (int b = 0; b < B; b++) id[f][b] = (f + b) % 5 == 4 ? V : (uint32_t)(3 * f + b) % V;
  }
  generic()->fm_sums(field, F, B, K, own, sum);
  for (int b = 0; b < B; b++) {
    double alone = 0, all[65] = {0};
    for (int f = 0; f < F; f++) {
      const float *w = table[0] + id[f][b] * n;
      if (id[f][b] == V) continue;
      alone += (double)w[0];
      for (int k = 0; field[f].has_factors && k < K; k++) {
        all[k] += (double)w[1 + k];
        alone -= 0.5 * (double)w[1 + k] * (double)w[1 + k];
      }
    }
    assert_near(own[b], alone, 1e-6 * (F * K + 5));
    for (int k = 0; k < K; k++) assert_near(sum[b * K + k], all[k], 5e-6);
  }
  for (size_t i = 0; i < 2 * n; i++) g[i] = 0.25f * (float)i;
  generic()->fm_take_own(&rows, (const uint32_t[]){5, 2}, 2, g);
  for (size_t i = 0; i < 2 * n; i++) {
    const size_t r = i / n, k = i % n;
    const double taken = k == 0 ? 0 : 0.25 * (double)(r * n) * (double)table[0][(r == 0 ? 5 : 2) * n + k];
    assert_near(g[i], 0.25 * (double)i - taken, 2e-6);
  }
  free_apart(table, 1);
}

static void check_ffm(int F, int K) {
  const int n = F * K;
  float **e = make_apart(F, n, (uint64_t)n);
  double pairs = 0;
  for (int i = 0; i < F; i++)
    for (int j = i + 1; e[i] && j < F; j++)
      for (int k = 0; e[j] && k < K; k++) pairs += (double)e[i][j * K + k] * (double)e[j][i * K + k];
  assert_near(generic()->ffm_forward((const float *const *)e, F, K), pairs, 1e-6 * (n + 1));
  free_apart(e, F);
}

/* The gradient of what a field keeps for each partner, over `rows` rows of a batch of five: some more than once, and
 * pieces that several share. */
static void check_ffm_gradient(int F, int K, size_t rows) {
  enum { BATCH = 5, PIECES = 8 };
  const int n = F * K;
  uint32_t row[8], piece[BATCH * 39];
  float **column = make_apart(1, PIECES * K, (uint64_t)n), g[39 * 33], c[8];
  for (size_t r = 0; r < rows; r++) {
    row[r] = (uint32_t)(3 * r % BATCH);
    c[r] = 0.25f * (float)r - 0.6f;
  }
  for (int i = 0; i < BATCH * F; i++) piece[i] = (uint32_t)(5 * i + i / F) % PIECES;
  for (int j = 0; j < n; j++) g[j] = 0.5f;
  generic()->ffm_gradient(g, column[0], piece, F, K, row, c, rows);
  for (int j = 0; j < n; j++) {
    double sum = 0.5;
    for (size_t r = 0; r < rows; r++)
      sum += (double)c[r] * (double)column[0][(int)piece[(int)row[r] * F + j / K] * K + j % K];
    assert_near(g[j], sum, 2e-6);
  }
  free_apart(column, 1);
}

static void test_rows_apart(void **state) {
  (void)state;
  static const int width[] = {1, 2, 3, 4, 8, 10, 16, 17, 33};
  for (size_t c = 0; c < sizeof width / sizeof *width; c++)
    for (int F = 0; F <= 39; F += 3) {
      check_fm_rows(F, width[c]);
      check_fm_sums(F, width[c]);
      check_ffm(F, width[c]);
      for (size_t rows = 0; rows <= 8; rows++) check_ffm_gradient(F, width[c], rows);
    }
  check_fm_sums(39, 0);
  check_ffm(600, 1);
}

static void test_scatter(void **state) {
  (void)state;
  static spans s, t;
  static const uint32_t to[] = {5, 5, 0, 8, 5};
  for (size_t n = 0; n <= 20; n++) {
    spans_fill(&s, 5);
    spans_fill(&t, 5);
    const float *y = s.rows + 20 * SPAN, *w = s.rows + 10 * SPAN, *a = s.x[0];
    generic()->scatter(&(dfm_scatter_args){s.rows, SPAN, to, 5, y, SPAN, n, NULL, NULL, NULL});
    generic()->scatter(&(dfm_scatter_args){s.rows, SPAN, to, 5, y, SPAN, n, a, w, NULL});
    generic()->scatter(&(dfm_scatter_args){s.rows + SPAN - 1, SPAN, to, 5, y, 0, 0, NULL, NULL, a});
    for (size_t r = 0; r < 9; r++)
      for (size_t j = 0; j < n; j++) {
        double sum = (double)t.rows[r * SPAN + j];
        for (size_t i = 0; i < 5; i++)
          if (to[i] == r) sum += 2 * (double)y[i * SPAN + j] - (double)a[i] * (double)w[r * SPAN + j];
        /* row 5: six additions, each off by up to 2.4e-7 while the sum is in [4, 8), which it hardly leaves */
        assert_near(s.rows[r * SPAN + j], sum, 2e-6);
      }
    for (size_t r = 0; r < 9; r++) { /* the float before each row */
      double sum = (double)t.rows[r * SPAN + SPAN - 2];
      for (size_t i = 0; i < 5; i++) sum += to[i] == r ? (double)a[i] : 0;
      assert_near(s.rows[r * SPAN + SPAN - 2], sum, 1e-6);
    }
  }
}

static void test_optimizer_steps(void **state) {
  (void)state;
  static spans s, t;
  spans_fill(&s, 4);
  spans_fill(&t, 4);
  generic()->adam(s.x[0], s.x[1], s.x[2], s.x[3], MAX_N, &adam_step);
  for (int i = 0; i < MAX_N; i++) {
    const double g = (double)t.x[3][i], m = 0.9 * (double)t.x[1][i] + 0.1 * g,
                 v = 0.999 * (double)t.x[2][i] + 0.001 * g * g;
    assert_near(s.x[1][i], m, 2e-7);
    assert_near(s.x[2][i], v, 2e-7);
    assert_near(s.x[0][i], (double)t.x[0][i] - 1e-2 * m / (3 * sqrt(v) + 1e-8), 2e-7 + 1e-7 / sqrt(v));
  }
  spans_fill(&s, 4);
  generic()->adam_steps(s.x[0], s.x[1], s.x[2], MAX_N, &adam_steps);
  for (int i = 0; i < MAX_N; i++) {
    double sum = 0;
    for (int j = 0; j < 7; j++) sum += (double)gap_a[j] / (sqrt((double)t.x[2][i]) * (double)gap_u[j] + 1e-8);
    assert_near(s.x[0][i], (double)t.x[0][i] - (double)t.x[1][i] * sum, 2e-7 * (1 + fabs(sum)));
    assert_near(s.x[1][i], 0.5 * (double)t.x[1][i], 0);
    assert_near(s.x[2][i], 0.99 * (double)t.x[2][i], 2e-7);
  }
  spans_fill(&s, 4);
  generic()->adam_gap(s.x[0], s.x[1], s.x[2], MAX_N, &adam_gap);
  for (int i = 0; i < MAX_N; i++) {
    const double root = 1.5 * sqrt((double)t.x[2][i]), r = 1 / (root + 1e-8);
    double sum = 0;
    for (int k = 0; k < 7; k++) sum += r * (double)gap_a[k] * pow(root * r, k);
    assert_near(s.x[0][i], (double)t.x[0][i] - (double)t.x[1][i] * sum, 2e-7 * (1 + fabs(sum)));
    assert_near(s.x[1][i], 0.5 * (double)t.x[1][i], 0);
    assert_near(s.x[2][i], 0.99 * (double)t.x[2][i], 2e-7);
  }
  spans_fill(&s, 4);
  generic()->adagrad(s.x[0], s.x[2], s.x[1], MAX_N, 0.1f, 0.25f, 1e-3f);
  generic()->sgd(s.x[3], s.x[1], MAX_N, 0.1f);
  for (int i = 0; i < MAX_N; i++) {
    const double g = (double)t.x[1][i], sum = (double)t.x[2][i] + g * g;
    assert_near(s.x[2][i], sum, 2e-7);
    assert_near(s.x[0][i], (double)t.x[0][i] - 0.1 * g / (sqrt(sum + 0.25) + 1e-3), 3e-7);
    assert_near(s.x[3][i], (double)t.x[3][i] - 0.1 * g, 2e-7);
  }
}

/* ---- dropout ---- */

static void test_dropout_is_philox(void **state) {
  (void)state;
  enum { N = 1000 };
  static float y[N];
  const uint64_t key = 0xfedcba9876543210u, counter = 0xffffffff00000007u;
  for (int i = 0; i < N; i++) y[i] = (float)(i + 1);
  generic()->dropout(y, N, key, counter, 0.25f);
  for (int i = 0; i < N; i++) {
    uint32_t words[4];
    dfm_philox(key, counter, (uint64_t)(i / 64 * 16 + i % 16), words);
    const float expected = words[i / 16 % 4] >= 0x40000000u ? (float)(i + 1) * (1 / 0.75f) : 0;
    if (y[i] != expected) fail_msg("place %d: %g, expected %g", i, (double)y[i], (double)expected);
  }
}

static void test_dropout_rate(void **state) {
  (void)state;
  enum { N = 400, ROWS = 500 };
  static const float rates[] = {0.0f, 0.1f, 0.5f, 0.9f};
  for (size_t r = 0; r < sizeof rates / sizeof *rates; r++) {
    double kept = 0, mean = 0;
    for (uint64_t row = 0; row < ROWS; row++) {
      float y[N];
      for (int i = 0; i < N; i++) y[i] = 1;
      generic()->dropout(y, N, 42, row, rates[r]);
      for (int i = 0; i < N; i++) kept += y[i] != 0, mean += (double)y[i];
    }
    const double rate = (double)rates[r], deviation = sqrt(rate * (1 - rate) / (N * ROWS));
    assert_near(kept / (N * ROWS), 1 - rate, 4 * deviation + 1e-9);
    assert_near(mean / (N * ROWS), 1, 4 * deviation / (1 - rate) + 1e-6);
  }
}

/* A row's mask does not depend on how many units there are. */
static void test_dropout_prefix(void **state) {
  (void)state;
  float whole[200], part[200];
  for (int n = 0; n < 200; n += 7) {
    for (int i = 0; i < 200; i++) whole[i] = part[i] = 1;
    generic()->dropout(whole, 200, 1, 2, 0.5f);
    generic()->dropout(part, n, 1, 2, 0.5f);
    assert_memory_equal(whole, part, (size_t)n * sizeof(float));
    for (int i = n; i < 200; i++) assert_true(part[i] == 1);
  }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_sigmoid_ulps),
    cmocka_unit_test(test_sigmoid_limits),
    cmocka_unit_test(test_tanh_ulps),
    cmocka_unit_test(test_activations),
    cmocka_unit_test(test_sums),
    cmocka_unit_test(test_fm),
    cmocka_unit_test(test_rows_apart),
    cmocka_unit_test(test_scatter),
    cmocka_unit_test(test_optimizer_steps),
    cmocka_unit_test(test_dropout_is_philox),
    cmocka_unit_test(test_dropout_rate),
    cmocka_unit_test(test_dropout_prefix),
};

int main(int argc, char **argv) {
  return test_main(argc, argv, "kernel_values", tests, sizeof tests / sizeof *tests);
}
