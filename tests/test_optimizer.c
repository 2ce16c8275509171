/* Optimizers: trajectories of PyTorch's and Keras's definitions, and float64 replays of idle steps, come in; the
 * optimizers must follow them. */
#include <math.h>

#include "optim/optimizer.h"
#include "test.h"

#include "golden/optimizers.h"

enum { N_GOLDEN = sizeof golden_cases / sizeof *golden_cases };

static dfm_optimizer *make_optimizer(dfm_optimizer_settings settings, const dfm_kernel *kernel) {
  dfm_error error;
  dfm_optimizer *optimizer = NULL;
  assert_ok(dfm_optimizer_create(&settings, kernel, &optimizer, &error));
  return optimizer;
}

static void begin(dfm_optimizer *optimizer, double learning_rate) {
  dfm_error error;
  assert_ok(dfm_optimizer_begin(optimizer, learning_rate, &error));
}

static dfm_optimizer_settings adam_settings(double beta1, double beta2, bool keras) {
  return (dfm_optimizer_settings){
      .name = DFM_ADAM, .beta1 = beta1, .beta2 = beta2, .epsilon = 1e-8, .epsilon_keras = keras};
}

static dfm_optimizer *golden_optimizer(const golden_case *c, const dfm_kernel *kernel) {
  return make_optimizer((dfm_optimizer_settings){.name = c->solver,
                                                 .beta1 = c->beta1,
                                                 .beta2 = c->beta2,
                                                 .epsilon = c->epsilon,
                                                 .epsilon_keras = c->keras,
                                                 .adagrad_initial = c->initial},
                        kernel);
}

/* Uniform in [0, 1), the same at every run. */
static double uniform(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (double)(*state >> 11) * 0x1p-53;
}

/* ---- golden trajectories ---- */

static void step_with_l2(const dfm_optimizer *optimizer, const golden_case *c, float *w, float *s0, float *s1,
                         const float *g) {
  float whole[GOLDEN_N];
  for (int i = 0; i < GOLDEN_N; i++) whole[i] = g[i] + (float)c->l2 * w[i];
  dfm_optimizer_step(optimizer, w, s0, s1, whole, GOLDEN_N);
}

static void assert_golden(const golden_case *c, const char *table, int t, const float *w, const double *expected,
                          double tolerance) {
  for (int i = 0; i < GOLDEN_N; i++)
    if (!(fabs(w[i] - expected[i]) <= tolerance))
      fail_msg("%s on %s, step %d, weight %d: %.9g, expected %.9g", c->name, table, t, i, (double)w[i], expected[i]);
}

static void test_ten_steps(void **state) {
  (void)state;
  const dfm_kernel *kernel;
  for (size_t k = 0; (kernel = dfm_kernel_at(k)) != NULL; k++)
    for (size_t i = 0; i < N_GOLDEN; i++) {
      const golden_case *c = &golden_cases[i];
      dfm_optimizer *optimizer = golden_optimizer(c, kernel);
      float w[GOLDEN_N], s0[GOLDEN_N] = {0}, s1[GOLDEN_N] = {0};
      memcpy(w, golden_w0, sizeof w);
      for (int t = 1; t <= GOLDEN_STEPS; t++) {
        begin(optimizer, c->learning_rate);
        assert_int_equal(dfm_optimizer_step_count(optimizer), t);
        step_with_l2(optimizer, c, w, s0, s1, golden_g[t - 1]);
        assert_golden(c, kernel->name, t, w, c->w[t - 1], 2e-7);
      }
      dfm_optimizer_free(optimizer);
    }
}

/* Every step is taken, also those without gradient: 300 roundings of weights under 1. */
static void test_idle_steps_dense(void **state) {
  (void)state;
  const dfm_kernel *kernel = dfm_kernel_at(0);
  const float none[GOLDEN_N] = {0};
  for (size_t i = 0; i < N_GOLDEN; i++) {
    const golden_case *c = &golden_cases[i];
    dfm_optimizer *optimizer = golden_optimizer(c, kernel);
    float w[GOLDEN_N], s0[GOLDEN_N] = {0}, s1[GOLDEN_N] = {0};
    int touch = 0;
    memcpy(w, golden_w0, sizeof w);
    for (int t = 1; t <= GOLDEN_IDLE_STEPS; t++) {
      const bool touched = touch < GOLDEN_TOUCHED && golden_touched[touch] == t;
      begin(optimizer, t <= GOLDEN_RATE_DROP ? c->learning_rate : c->learning_rate / 10);
      step_with_l2(optimizer, c, w, s0, s1, touched ? golden_g[touch] : none);
      if (touched) assert_golden(c, kernel->name, t, w, c->idle_w[touch++], 2e-6);
    }
    assert_golden(c, kernel->name, GOLDEN_IDLE_STEPS, w, c->idle_w[GOLDEN_TOUCHED], 2e-6);
    dfm_optimizer_free(optimizer);
  }
}

/* Only steps with a gradient are taken; catching up makes good the rest, tighter than stepping does. */
static void test_idle_steps_caught_up(void **state) {
  (void)state;
  const dfm_kernel *kernel;
  for (size_t k = 0; (kernel = dfm_kernel_at(k)) != NULL; k++)
    for (size_t i = 0; i < N_GOLDEN; i++) {
      const golden_case *c = &golden_cases[i];
      if (c->l2 != 0) continue;
      dfm_optimizer *optimizer = golden_optimizer(c, kernel);
      float w[GOLDEN_N], s0[GOLDEN_N] = {0}, s1[GOLDEN_N] = {0};
      int touch = 0, last = 0;
      memcpy(w, golden_w0, sizeof w);
      for (int t = 1; t <= GOLDEN_IDLE_STEPS; t++) {
        begin(optimizer, t <= GOLDEN_RATE_DROP ? c->learning_rate : c->learning_rate / 10);
        if (touch == GOLDEN_TOUCHED || golden_touched[touch] != t) continue;
        if (last > 0) dfm_optimizer_catch_up(optimizer, w, s0, s1, GOLDEN_N, last, t - 1);
        dfm_optimizer_step(optimizer, w, s0, s1, golden_g[touch], GOLDEN_N);
        assert_golden(c, kernel->name, t, w, c->idle_w[touch++], 3e-7);
        last = t;
      }
      dfm_optimizer_catch_up(optimizer, w, s0, s1, GOLDEN_N, last, GOLDEN_IDLE_STEPS);
      assert_golden(c, kernel->name, GOLDEN_IDLE_STEPS, w, c->idle_w[GOLDEN_TOUCHED], 3e-7);
      dfm_optimizer_free(optimizer);
    }
}

/* ---- catching up against a float64 replay ---- */

enum { REPLAY_ROWS = 160, REPLAY_GAP = 2000 };

typedef struct replay {
  dfm_optimizer_settings settings;
  dfm_optimizer *optimizer;
  int64_t last;
  float w[REPLAY_ROWS], m[REPLAY_ROWS], v[REPLAY_ROWS]; /* after step `last` */
  double w_now[REPLAY_ROWS], w_before[REPLAY_ROWS];     /* after the current step and the one before, step by step */
} replay;

/* Roots of v from 1e-10 to 10, momentum up to what a single gradient leaves, weights so small that their own rounding
 * does not hide the error. */
static void replay_rows(replay *r, uint64_t seed) {
  const double beta1 = r->settings.beta1, beta2 = r->settings.beta2;
  const double early = (1 - pow(beta1, (double)r->last)) / sqrt(1 - pow(beta2, (double)r->last));
  const double most = fmin((1 - beta1) / sqrt(1 - beta2), early);
  for (int i = 0; i < REPLAY_ROWS; i++) {
    const double s = pow(10, -10 + 11 * uniform(&seed));
    r->v[i] = (float)(s * s);
    r->m[i] = (float)((2 * uniform(&seed) - 1) * most * s);
    r->w[i] = (float)(1e-3 * uniform(&seed));
    r->w_now[i] = r->w_before[i] = r->w[i];
  }
}

static void replay_step(replay *r, int64_t t, double rate) {
  const double c1 = 1 - pow(r->settings.beta1, (double)t), c2 = sqrt(1 - pow(r->settings.beta2, (double)t));
  const double shrink1 = pow(r->settings.beta1, (double)(t - r->last)),
               shrink2 = pow(r->settings.beta2, (double)(t - r->last));
  begin(r->optimizer, rate);
  for (int i = 0; i < REPLAY_ROWS; i++) {
    const double m = r->m[i] * shrink1, root = sqrt(r->v[i] * shrink2), epsilon = (float)r->settings.epsilon;
    r->w_before[i] = r->w_now[i];
    r->w_now[i] -=
        r->settings.epsilon_keras ? rate * c2 / c1 * m / (root + epsilon) : rate / c1 * m / (root / c2 + epsilon);
  }
}

static void replay_check(const replay *r, int64_t upto, const double *expected, double tolerance) {
  float w[REPLAY_ROWS], m[REPLAY_ROWS], v[REPLAY_ROWS];
  const double gap = (double)(upto - r->last);
  memcpy(w, r->w, sizeof w);
  memcpy(m, r->m, sizeof m);
  memcpy(v, r->v, sizeof v);
  dfm_optimizer_catch_up(r->optimizer, w, m, v, REPLAY_ROWS, r->last, upto);
  for (int i = 0; i < REPLAY_ROWS; i++) {
    if (!(fabs(w[i] - expected[i]) <= tolerance))
      fail_msg("beta1 %g, beta2 %g, %s, last %lld, upto %lld, v %g: %.9g, expected %.9g", r->settings.beta1,
               r->settings.beta2, r->settings.epsilon_keras ? "keras" : "pytorch", (long long)r->last, (long long)upto,
               (double)r->v[i], (double)w[i], expected[i]);
    const double m_expected = r->m[i] * pow(r->settings.beta1, gap), v_expected = r->v[i] * pow(r->settings.beta2, gap);
    assert_near(m[i], m_expected, 2e-7 * fabs(m_expected) + 1e-20 * fabs(r->m[i]));
    assert_near(v[i], v_expected, 2e-7 * v_expected + 1e-20 * r->v[i] + 1e-44);
  }
}

/* Gaps of 1 to 2000 steps after step `last`; the learning rate halves and doubles every 170 steps. */
static void replay_run(double beta1, double beta2, bool keras, int64_t last, double tolerance) {
  static replay r;
  r.settings = adam_settings(beta1, beta2, keras);
  r.optimizer = make_optimizer(r.settings, dfm_kernel_at(0));
  r.last = last;
  uint64_t seed = (uint64_t)last;
  for (int64_t t = 1; t <= last; t++) begin(r.optimizer, 1e-3);
  replay_rows(&r, (uint64_t)last);
  for (int64_t t = last + 1; t <= last + REPLAY_GAP; t++) {
    replay_step(&r, t, t / 170 % 2 ? 5e-4 : 1e-3);
    if (t > last + 30 && uniform(&seed) > 0.03) continue;
    replay_check(&r, t, r.w_now, tolerance);
    replay_check(&r, t - 1, r.w_before, tolerance);
  }
  dfm_optimizer_free(r.optimizer);
}

static void test_catch_up_replay(void **state) {
  (void)state;
  static const int64_t last[] = {1, 2, 3, 7, 20, 60, 150, 300, 700, 3000};
  for (size_t i = 0; i < sizeof last / sizeof *last; i++)
    for (int keras = 0; keras < 2; keras++) replay_run(0.9, 0.999, keras, last[i], 5e-9);
}

/* Betas that need more nodes, and such that are summed step by step. */
static void test_catch_up_replay_betas(void **state) {
  (void)state;
  static const double betas[][2] = {{0.9, 0.99}, {0.5, 0.9}, {0.9, 0.9999}, {0.95, 0.98}, {0.8, 0.7}, {0.1, 0.999}};
  for (size_t i = 0; i < sizeof betas / sizeof *betas; i++)
    for (int keras = 0; keras < 2; keras++) {
      replay_run(betas[i][0], betas[i][1], keras, 2, 8e-9);
      replay_run(betas[i][0], betas[i][1], keras, 500, 8e-9);
    }
  replay_run(0.99, 0.999, false, 3, 2e-8); /* moves ten times as far */
  replay_run(0.99, 0.999, true, 500, 2e-8);
}

/* The same row, stepped with zero gradients by the kernel; float32 rounds at every step there. */
static void test_catch_up_dense(void **state) {
  (void)state;
  uint64_t seed = 5;
  const float none[17] = {0};
  for (int keras = 0; keras < 2; keras++) {
    dfm_optimizer *optimizer = make_optimizer(adam_settings(0.9, 0.999, keras), dfm_kernel_at(0));
    float w[17], m[17], v[17], w_dense[17], m_dense[17], v_dense[17];
    for (int i = 0; i < 17; i++) {
      w[i] = (float)(uniform(&seed) - 0.5);
      v[i] = (float)pow(10, -16 + 14 * uniform(&seed));
      m[i] = (float)(uniform(&seed) - 0.5) * sqrtf(v[i]);
    }
    for (int t = 1; t <= 50; t++) begin(optimizer, 1e-3);
    memcpy(w_dense, w, sizeof w);
    memcpy(m_dense, m, sizeof m);
    memcpy(v_dense, v, sizeof v);
    for (int t = 51; t <= 400; t++) {
      begin(optimizer, t < 100 ? 1e-3 : 2e-3);
      dfm_optimizer_step(optimizer, w_dense, m_dense, v_dense, none, 17);
    }
    dfm_optimizer_catch_up(optimizer, w, m, v, 17, 50, 400);
    for (int i = 0; i < 17; i++) {
      assert_near(w[i], w_dense[i], 2e-6);
      assert_near(v[i], v_dense[i], 1e-4 * (double)v_dense[i]);
    }
    dfm_optimizer_free(optimizer);
  }
}

/* What a reader sees after step t is what the next gather sees before step t + 1: the same bytes. */
static void test_catch_up_now_and_before(void **state) {
  (void)state;
  const float w[3] = {0.5f, -0.25f, 1e-3f}, m[3] = {1e-3f, -1e-5f, 1e-8f}, v[3] = {1e-5f, 1e-8f, 1e-16f};
  dfm_optimizer *optimizer = make_optimizer(adam_settings(0.9, 0.999, false), dfm_kernel_at(0));
  for (int t = 1; t <= 40; t++) begin(optimizer, 1e-3);
  float row[3][3], seen[3][3];
  for (int t = 41; t <= 600; t++) {
    begin(optimizer, 1e-3 * (1 + t % 3));
    memcpy(row[0], w, sizeof w);
    memcpy(row[1], m, sizeof m);
    memcpy(row[2], v, sizeof v);
    dfm_optimizer_catch_up(optimizer, row[0], row[1], row[2], 3, 40, t - 1);
    if (t > 41) assert_memory_equal(row, seen, sizeof row);
    memcpy(seen[0], w, sizeof w);
    memcpy(seen[1], m, sizeof m);
    memcpy(seen[2], v, sizeof v);
    dfm_optimizer_catch_up(optimizer, seen[0], seen[1], seen[2], 3, 40, t);
  }
  dfm_optimizer_free(optimizer);
}

static void test_catch_up_without_momentum(void **state) {
  (void)state;
  float w = 0.5f, m = 0.25f, v = 1;
  dfm_optimizer *optimizer = make_optimizer(adam_settings(0, 0.999, false), dfm_kernel_at(0));
  for (int t = 1; t <= 11; t++) begin(optimizer, 1e-3);
  dfm_optimizer_catch_up(optimizer, &w, &m, &v, 1, 1, 11);
  assert_true(w == 0.5f);
  assert_true(m == 0);
  assert_near(v, pow(0.999, 10), 1e-7);
  dfm_optimizer_free(optimizer);
}

/* Lazy Adam, SGD and AdaGrad leave idle rows alone, and a gap of no steps is none. */
static void test_idle_rows_that_stay(void **state) {
  (void)state;
  dfm_optimizer_settings settings[4] = {
      adam_settings(0.9, 0.999, false), {.name = DFM_SGD}, {.name = DFM_ADAGRAD, .epsilon = 1e-8}};
  settings[0].lazy = true;
  settings[3] = adam_settings(0.9, 0.999, true);
  static const int states[4] = {2, 0, 1, 2};
  for (int i = 0; i < 4; i++) {
    dfm_optimizer *optimizer = make_optimizer(settings[i], dfm_kernel_at(0));
    float row[3] = {0.5f, 0.25f, 0.125f};
    const float same[3] = {0.5f, 0.25f, 0.125f};
    const double *values;
    assert_int_equal(dfm_optimizer_states(optimizer), states[i]);
    for (int t = 1; t <= 9; t++) begin(optimizer, 0.1);
    dfm_optimizer_catch_up(optimizer, row, row + 1, row + 2, 1, i == 3 ? 9 : 2, 9);
    assert_memory_equal(row, same, sizeof row);
    assert_int_equal(dfm_optimizer_history(optimizer, &values), i == 3 ? 9 : 0);
    dfm_optimizer_free(optimizer);
  }
}

/* ---- checkpoints ---- */

static void test_restore_continues(void **state) {
  (void)state;
  dfm_error error;
  const dfm_kernel *kernel = dfm_kernel_at(0);
  for (int keras = 0; keras < 2; keras++) {
    dfm_optimizer *first = make_optimizer(adam_settings(0.9, 0.999, keras), kernel);
    dfm_optimizer *second = make_optimizer(adam_settings(0.9, 0.999, keras), kernel);
    const double *values;
    for (int t = 1; t <= 333; t++) begin(first, 1e-3 / t);
    const size_t n = dfm_optimizer_history(first, &values);
    assert_int_equal(n, 333);
    assert_ok(dfm_optimizer_restore(second, 333, values, n, &error));
    for (int t = 333; t < 620; t++) {
      for (int64_t last = 1; last < t; last += 13) {
        float a[3] = {0.1f, 1e-4f, 1e-7f}, b[3] = {0.1f, 1e-4f, 1e-7f};
        dfm_optimizer_catch_up(first, a, a + 1, a + 2, 1, last, t);
        dfm_optimizer_catch_up(second, b, b + 1, b + 2, 1, last, t);
        assert_memory_equal(a, b, sizeof a);
      }
      begin(first, 1e-3);
      begin(second, 1e-3);
      assert_int_equal(dfm_optimizer_step_count(second), t + 1);
    }
    dfm_optimizer_free(first);
    dfm_optimizer_free(second);
  }
}

/* Rows caught up to a step go on from it without the learning rates before it, as the dense optimizer does; and that
 * run's own history restores it bit by bit. */
static void test_restore_from_an_origin(void **state) {
  (void)state;
  dfm_error error;
  const dfm_kernel *kernel = dfm_kernel_at(0);
  for (int64_t origin = 1; origin <= 400; origin += origin < 10 ? 3 : 130) {
    dfm_optimizer *whole = make_optimizer(adam_settings(0.9, 0.999, false), kernel);
    dfm_optimizer *part = make_optimizer(adam_settings(0.9, 0.999, false), kernel);
    dfm_optimizer *again = make_optimizer(adam_settings(0.9, 0.999, false), kernel);
    const double *values;
    for (int t = 1; t <= origin; t++) begin(whole, 1e-3);
    assert_ok(dfm_optimizer_restore(part, origin, NULL, 0, &error));
    for (int t = 1; t <= 90; t++) {
      begin(whole, 2e-3);
      begin(part, 2e-3);
    }
    const size_t n = dfm_optimizer_history(part, &values);
    assert_int_equal(n, 90);
    assert_ok(dfm_optimizer_restore(again, origin + 90, values, n, &error));
    for (int64_t last = origin; last <= origin + 90; last += 15) {
      float row[3][3] = {{0.1f, 1e-4f, 1e-7f}, {0.1f, 1e-4f, 1e-7f}, {0.1f, 1e-4f, 1e-7f}};
      dfm_optimizer_catch_up(whole, row[0], row[0] + 1, row[0] + 2, 1, last, origin + 90);
      dfm_optimizer_catch_up(part, row[1], row[1] + 1, row[1] + 2, 1, last, origin + 90);
      dfm_optimizer_catch_up(again, row[2], row[2] + 1, row[2] + 2, 1, last, origin + 90);
      assert_memory_equal(row[0], row[1], sizeof row[0]);
      assert_memory_equal(row[0], row[2], sizeof row[0]);
    }
    dfm_optimizer_free(whole);
    dfm_optimizer_free(part);
    dfm_optimizer_free(again);
  }
}

static void test_restore_errors(void **state) {
  (void)state;
  dfm_error error;
  const double values[3] = {0.1, NAN, 0.1};
  dfm_optimizer *optimizer = make_optimizer(adam_settings(0.9, 0.999, false), dfm_kernel_at(0));
  assert_int_equal(dfm_optimizer_restore(optimizer, 2, values, 3, &error), DFM_ERROR_MISMATCH);
  assert_non_null(strstr(error.message, "3 learning rates, which do not fit step 2"));
  assert_int_equal(dfm_optimizer_restore(optimizer, UINT32_MAX, NULL, 0, &error), DFM_ERROR_MISMATCH);
  assert_int_equal(dfm_optimizer_restore(optimizer, -1, values, 3, &error), DFM_ERROR_MISMATCH);
  assert_int_equal(dfm_optimizer_restore(optimizer, 3, values, 3, &error), DFM_ERROR_VALUE);
  assert_non_null(strstr(error.message, "learning rate is nan at step 2"));
  assert_int_equal(dfm_optimizer_step_count(optimizer), 0);
  begin(optimizer, 0.1);
  assert_int_equal(dfm_optimizer_restore(optimizer, 1, values, 1, &error), DFM_ERROR_VALUE);
  assert_non_null(strstr(error.message, "only a fresh one can be restored"));
  dfm_optimizer_free(optimizer);

  optimizer = make_optimizer((dfm_optimizer_settings){.name = DFM_SGD}, dfm_kernel_at(0));
  assert_int_equal(dfm_optimizer_restore(optimizer, 3, values, 3, &error), DFM_ERROR_MISMATCH);
  assert_ok(dfm_optimizer_restore(optimizer, 7, NULL, 0, &error));
  assert_int_equal(dfm_optimizer_step_count(optimizer), 7);
  dfm_optimizer_free(optimizer);
}

/* ---- settings ---- */

static void test_settings_errors(void **state) {
  (void)state;
  static const struct {
    dfm_optimizer_settings settings;
    const char *says;
  } cases[] = {
      {{.name = DFM_ADAM, .beta1 = 1, .beta2 = 0.999, .epsilon = 1e-8}, "beta1 is 1;"},
      {{.name = DFM_ADAM, .beta1 = -0.1, .beta2 = 0.999, .epsilon = 1e-8}, "beta1 is -0.1;"},
      {{.name = DFM_ADAM, .beta1 = NAN, .beta2 = 0.999, .epsilon = 1e-8}, "beta1 is nan;"},
      {{.name = DFM_ADAM, .beta1 = 0.9, .beta2 = 1, .epsilon = 1e-8}, "beta2 is 1;"},
      {{.name = DFM_ADAM, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 0}, "epsilon is 0;"},
      {{.name = DFM_ADAM, .beta1 = 0.9, .beta2 = 0.8, .epsilon = 1e-8},
       "less than the square root of beta2 (0.894427)"},
      {{.name = DFM_ADAM, .beta1 = 0.99999, .beta2 = 0.9999999, .epsilon = 1e-8}, "more than the 20000"},
      {{.name = DFM_ADAGRAD, .epsilon = INFINITY}, "epsilon is inf;"},
      {{.name = DFM_ADAGRAD, .epsilon = 1e-10, .adagrad_initial = -1}, "adagrad_initial is -1;"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    dfm_error error;
    dfm_optimizer *optimizer = NULL;
    assert_int_equal(dfm_optimizer_create(&cases[i].settings, dfm_kernel_at(0), &optimizer, &error), DFM_ERROR_VALUE);
    assert_null(optimizer);
    if (!strstr(error.message, cases[i].says)) fail_msg("'%s' does not say '%s'", error.message, cases[i].says);
  }
  dfm_optimizer_settings lazy = {.name = DFM_ADAM, .beta1 = 0.9, .beta2 = 0.8, .epsilon = 1e-8, .lazy = true};
  dfm_optimizer_free(make_optimizer(lazy, dfm_kernel_at(0)));
}

static void test_learning_rate_errors(void **state) {
  (void)state;
  static const double bad[] = {-1e-3, NAN, INFINITY};
  dfm_optimizer *optimizer = make_optimizer(adam_settings(0.9, 0.999, false), dfm_kernel_at(0));
  begin(optimizer, 0);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    dfm_error error;
    assert_int_equal(dfm_optimizer_begin(optimizer, bad[i], &error), DFM_ERROR_VALUE);
    assert_non_null(strstr(error.message, "at step 2; it must be a finite number, at least 0"));
    assert_int_equal(dfm_optimizer_step_count(optimizer), 1);
  }
  dfm_optimizer_free(optimizer);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_ten_steps),
    cmocka_unit_test(test_idle_steps_dense),
    cmocka_unit_test(test_idle_steps_caught_up),
    cmocka_unit_test(test_catch_up_replay),
    cmocka_unit_test(test_catch_up_replay_betas),
    cmocka_unit_test(test_catch_up_dense),
    cmocka_unit_test(test_catch_up_now_and_before),
    cmocka_unit_test(test_catch_up_without_momentum),
    cmocka_unit_test(test_idle_rows_that_stay),
    cmocka_unit_test(test_restore_continues),
    cmocka_unit_test(test_restore_from_an_origin),
    cmocka_unit_test(test_restore_errors),
    cmocka_unit_test(test_settings_errors),
    cmocka_unit_test(test_learning_rate_errors),
};

int main(int argc, char **argv) {
  return test_main(argc, argv, "optimizer", tests, sizeof tests / sizeof *tests);
}
