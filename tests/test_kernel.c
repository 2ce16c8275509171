/* Kernels: random spans of odd lengths at odd places come in; every table must give the same bits. That those are near
 * a double's is test_kernel_values.c's to say. */
#include "test_kernel.h"

/* One kernel on n floats of each span, `at` floats from its start. */
typedef void kernel_case(const dfm_kernel *kernel, spans *s, int at, int n);

static void case_add(const dfm_kernel *k, spans *s, int at, int n) {
  k->add(s->x[0] + at, s->x[1] + at, (size_t)n);
}
static void case_axpy(const dfm_kernel *k, spans *s, int at, int n) {
  k->axpy(s->x[0] + at, 0.7f, s->x[1] + at, (size_t)n);
}
static void case_scale(const dfm_kernel *k, spans *s, int at, int n) {
  k->scale(s->x[0] + at, 0.7f, (size_t)n);
}
static void case_dot(const dfm_kernel *k, spans *s, int at, int n) {
  s->result = (double)k->dot(s->x[0] + at, s->x[1] + at, (size_t)n);
}
static void case_sum_squares(const dfm_kernel *k, spans *s, int at, int n) {
  s->result = k->sum_squares(s->x[0] + at, (size_t)n);
}
static void case_bias_act(const dfm_kernel *k, spans *s, int at, int n) {
  for (int act = DFM_LINEAR; act <= DFM_TANH; act++) {
    k->bias_act(s->rows + at, 3, n, SPAN, s->x[0] + at, (dfm_activation)act);
    k->bias_act(s->rows + at + 3 * SPAN, 2, n, SPAN, NULL, (dfm_activation)act);
  }
}
static void case_act_backward(const dfm_kernel *k, spans *s, int at, int n) {
  for (int act = DFM_LINEAR; act <= DFM_TANH; act++)
    k->act_backward(s->rows + at, s->rows + 10 * SPAN + at, 3, n, SPAN, (dfm_activation)act);
}
static void case_column_sums(const dfm_kernel *k, spans *s, int at, int n) {
  k->column_sums(s->x[0] + at, s->rows + at, 5, n, SPAN);
}
static void case_dropout(const dfm_kernel *k, spans *s, int at, int n) {
  k->dropout(s->rows + at, 7 * n, 0x123456789abcdefu, ((uint64_t)n << 40) + 5, 0.4f);
}
static void case_fm(const dfm_kernel *k, spans *s, int at, int n) {
  const int F = 1 + n % 11;
  s->result = (double)k->fm_forward(s->rows + at, F, n, s->x[0] + at);
  k->fm_backward(s->rows + 20 * SPAN + at, s->rows + at, F, n, s->x[0] + at, 0.3f);
}
/* Fields 1 and 4 are absent. */
static void list_rows(const float **e, int F, float *first, int n) {
  for (int f = 0; f < F; f++) e[f] = f == 1 || f == 4 ? NULL : first + f * n;
}
static void case_fm_rows(const dfm_kernel *k, spans *s, int at, int n) {
  const float *e[9];
  list_rows(e, 9, s->rows + at, n);
  s->result = (double)k->fm_rows(e, 9, n, s->x[0] + at);
}
/* Three fields of one table, the last without factors, of which some places ask for no row. */
static void case_fm_sums(const dfm_kernel *k, spans *s, int at, int n) {
  static const uint32_t id[3][5] = {{3, 0, 9, 2, 3}, {1, 1, 0, 4, 2}, {2, 9, 9, 0, 1}};
  const dfm_rows rows = {s->rows + at, 2 * SPAN, (size_t)n};
  dfm_sum_field field[3];
  if (n == 0) return;
  for (int f = 0; f < 3; f++) field[f] = (dfm_sum_field){rows, id[f], 5, n > 1 && f < 2};
  k->fm_sums(field, 3, 5, n - 1, s->rows + 30 * SPAN + at, s->rows + 20 * SPAN + at);
  k->fm_take_own(&rows, id[1] + 2, 3, s->rows + 10 * SPAN + at);
}
static void case_ffm(const dfm_kernel *k, spans *s, int at, int n) {
  const int F = n <= 24 ? 6 : 3;
  const float *e[6];
  list_rows(e, F, s->rows + at, F * n);
  s->result = (double)k->ffm_forward(e, F, n);
  static const uint32_t row[] = {1, 0, 2, 2, 0, 1, 0}, piece[3 * 6] = {0, 5, 2, 3, 1, 4, 3, 3, 0, 1, 5, 2, 4, 0, 5};
  for (size_t rows = 0; rows <= 7; rows++)
    k->ffm_gradient(s->rows + 20 * SPAN + at + rows, s->rows + at, piece, F, n, row, s->x[0] + at, rows);
}
static void case_scatter(const dfm_kernel *k, spans *s, int at, int n) {
  static const uint32_t to[] = {3, 0, 3, 7, 1};
  float *y = s->rows + 20 * SPAN + at;
  dfm_scatter_args args = {s->rows + at, SPAN, to, 5, y, SPAN, (size_t)n, NULL, NULL, NULL};
  k->scatter(&args);
  args.a = s->x[1] + at;
  args.w = s->rows + 10 * SPAN + at;
  k->scatter(&args);
  if (n == 0) return;
  args.sum++;
  args.n--;
  args.first = s->x[3];
  k->scatter(&args);
}
static void case_sgd(const dfm_kernel *k, spans *s, int at, int n) {
  k->sgd(s->x[0] + at, s->x[1] + at, (size_t)n, 0.1f);
}
static void case_adagrad(const dfm_kernel *k, spans *s, int at, int n) {
  k->adagrad(s->x[0] + at, s->x[2] + at, s->x[1] + at, (size_t)n, 0.1f, 0.01f, 1e-8f);
}
static void case_adam(const dfm_kernel *k, spans *s, int at, int n) {
  k->adam(s->x[0] + at, s->x[1] + at, s->x[2] + at, s->x[3] + at, (size_t)n, &adam_step);
}
/* Rows 3, 0 and 2 of a table, each by each optimizer, by gradients that lie in rows 6 and on. */
static const uint32_t stepped[3] = {3, 0, 2};

static dfm_rows rows_of(spans *s, int at, int n) {
  const dfm_rows rows = {s->rows + at, 3 * SPAN + 1, (size_t)n};
  for (size_t r = 0; r < 4 && n > 0; r++)
    for (size_t i = 0; i < 2 * rows.n; i++)
      rows.at[r * rows.stride + rows.n + i] = fabsf(rows.at[r * rows.stride + rows.n + i]);
  return rows;
}
static void case_step_rows(const dfm_kernel *k, spans *s, int at, int n) {
  const dfm_rows rows = rows_of(s, at, n);
  const float *g = s->rows + 20 * SPAN;
  k->sgd_rows(&rows, stepped, 3, g, 0.1f);
  k->adagrad_rows(&rows, stepped, 3, g, 0.1f, 0.01f, 1e-8f);
  k->adam_rows(&rows, stepped, 3, g, &adam_step);
}
static void case_adam_gap(const dfm_kernel *k, spans *s, int at, int n) {
  k->adam_gap(s->x[0] + at, s->x[1] + at, s->x[2] + at, (size_t)n, &adam_gap);
}
static void case_adam_steps(const dfm_kernel *k, spans *s, int at, int n) {
  k->adam_steps(s->x[0] + at, s->x[1] + at, s->x[2] + at, (size_t)n, &adam_steps);
}
static void case_sigmoid(const dfm_kernel *k, spans *s, int at, int n) {
  k->sigmoid(s->x[0] + at, s->x[1] + at, (size_t)n);
  k->sigmoid(s->x[3] + at, s->x[3] + at, (size_t)n);
}

static const struct {
  const char *name;
  kernel_case *run;
} cases[] = {
    {"add", case_add},
    {"axpy", case_axpy},
    {"scale", case_scale},
    {"dot", case_dot},
    {"sum_squares", case_sum_squares},
    {"bias_act", case_bias_act},
    {"act_backward", case_act_backward},
    {"column_sums", case_column_sums},
    {"dropout", case_dropout},
    {"fm", case_fm},
    {"fm_rows", case_fm_rows},
    {"fm sums", case_fm_sums},
    {"ffm", case_ffm},
    {"scatter", case_scatter},
    {"sgd", case_sgd},
    {"adagrad", case_adagrad},
    {"adam", case_adam},
    {"step rows", case_step_rows},
    {"adam_gap", case_adam_gap},
    {"adam_steps", case_adam_steps},
    {"sigmoid", case_sigmoid},
};

/* Also what lies around the spans is compared, so a write out of bounds shows unless generic makes the same one; the
 * next test sees to that. */
static void test_same_bits(void **state) {
  (void)state;
  static spans expected, got;
  const dfm_kernel *kernel;
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
    for (int n = 0; n <= MAX_N; n++)
      for (int at = 0; at < 4; at++) {
        spans_fill(&expected, (uint64_t)(n * 4 + at));
        cases[c].run(generic(), &expected, at, n);
        for (size_t k = 0; (kernel = dfm_kernel_at(k)) != NULL; k++) {
          spans_fill(&got, (uint64_t)(n * 4 + at));
          cases[c].run(kernel, &got, at, n);
          if (memcmp(&expected, &got, sizeof got) != 0)
            fail_msg("%s, n = %d, place %d: %s differs", cases[c].name, n, at, kernel->name);
        }
      }
}

static void test_writes_within_bounds(void **state) {
  (void)state;
  static spans before, after;
  for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
    for (int n = 0; n <= MAX_N; n++) {
      spans_fill(&before, 1);
      spans_fill(&after, 1);
      cases[c].run(generic(), &after, 3, n);
      for (int a = 0; a < N_SPANS; a++) {
        assert_memory_equal(before.x[a], after.x[a], 3 * sizeof(float));
        assert_memory_equal(before.x[a] + 3 + n, after.x[a] + 3 + n, (size_t)(SPAN - 3 - n) * sizeof(float));
      }
      if (n == 0) assert_memory_equal(before.rows, after.rows, sizeof after.rows);
    }
}

/* A row is stepped as a span is. */
static void test_rows_step_as_spans(void **state) {
  (void)state;
  static spans s, t;
  for (int n = 1; n <= MAX_N; n++) {
    spans_fill(&s, (uint64_t)n);
    spans_fill(&t, (uint64_t)n);
    case_step_rows(generic(), &s, 0, n);
    const dfm_rows rows = rows_of(&t, 0, n);
    for (size_t r = 0; r < 3; r++) {
      float *w = rows.at + stepped[r] * rows.stride, *state0 = w + n, *state1 = state0 + n;
      const float *g = t.rows + 20 * SPAN + r * rows.n;
      generic()->sgd(w, g, rows.n, 0.1f);
      generic()->adagrad(w, state0, g, rows.n, 0.1f, 0.01f, 1e-8f);
      generic()->adam(w, state0, state1, g, rows.n, &adam_step);
    }
    assert_memory_equal(s.rows, t.rows, sizeof s.rows);
  }
}

/* ---- choosing a table ---- */

static void test_find(void **state) {
  (void)state;
  dfm_error error;
  const dfm_kernel *kernel = NULL, *named;
  assert_ok(dfm_kernel_find(NULL, &kernel, &error));
  assert_ptr_equal(kernel, dfm_kernel_at(0));
  assert_ok(dfm_kernel_find("", &kernel, &error));
  assert_ptr_equal(kernel, dfm_kernel_at(0));
  size_t n = 0;
  for (; (kernel = dfm_kernel_at(n)) != NULL; n++) {
    assert_ok(dfm_kernel_find(kernel->name, &named, &error));
    assert_ptr_equal(kernel, named);
  }
  assert_ptr_equal(dfm_kernel_at(n - 1), generic());
}

static void test_find_errors(void **state) {
  (void)state;
  static const char *const names[] = {"generic", "avx2", "avx512", "sse9"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    dfm_error error;
    const dfm_kernel *kernel = NULL, *runs;
    bool is_there = false;
    for (size_t k = 0; (runs = dfm_kernel_at(k)) != NULL; k++) is_there |= strcmp(runs->name, names[i]) == 0;
    if (is_there) continue;
    assert_int_equal(dfm_kernel_find(names[i], &kernel, &error), DFM_ERROR_VALUE);
    assert_int_equal(error.code, DFM_ERROR_VALUE);
    assert_null(kernel);
    assert_non_null(strstr(error.message, names[i]));
    assert_non_null(strstr(error.message, "this CPU"));
    for (size_t k = 0; (runs = dfm_kernel_at(k)) != NULL; k++) assert_non_null(strstr(error.message, runs->name));
  }
}

static void test_pick(void **state) {
  (void)state;
  dfm_error error;
  const dfm_kernel *kernel = NULL;
  const char *was = getenv("DFM_KERNEL");
  char *kept = was ? strdup(was) : NULL;
  setenv("DFM_KERNEL", "generic", 1);
  assert_ok(dfm_kernel_pick(&kernel, &error));
  assert_string_equal(kernel->name, "generic");
  setenv("DFM_KERNEL", "vax", 1);
  assert_int_equal(dfm_kernel_pick(&kernel, &error), DFM_ERROR_VALUE);
  assert_non_null(strstr(error.message, "there is no kernel 'vax'; this CPU runs: "));
  unsetenv("DFM_KERNEL");
  assert_ok(dfm_kernel_pick(&kernel, &error));
  assert_ptr_equal(kernel, dfm_kernel_at(0));
  if (kept) setenv("DFM_KERNEL", kept, 1);
  free(kept);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_same_bits),          cmocka_unit_test(test_writes_within_bounds),
    cmocka_unit_test(test_rows_step_as_spans), cmocka_unit_test(test_find),
    cmocka_unit_test(test_find_errors),        cmocka_unit_test(test_pick),
};

int main(int argc, char **argv) {
  return test_main(argc, argv, "kernel", tests, sizeof tests / sizeof *tests);
}
