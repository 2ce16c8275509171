/* Matrix multiplies in float32: matrices of every shape come in; C must be near the sums in double on every kernel
 * table, the same bits however many rows and columns are made with an element, and nothing beside C written. */
#include <math.h>
#include <stdlib.h>

#include "kernel/kernel.h"
#include "kernel/onednn.h"
#include "test.h"

enum { PAD = 3 };

typedef enum stored { PLAIN, TRANS_B, TRANS_A, N_FORMS } stored;

typedef struct product {
  const dfm_kernel *kernel;
  stored form;
  int M, N, K;
  bool adds;
  int lda, ldb, ldc;
  size_t c_size;
  float *A, *B, *packed, *C, *before;
  float *bias; /* NULL: none, and no relu */
} product;

static float random_float(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (float)(int32_t)(*state >> 33) * 0x1p-30f - 1;
}

static float *random_floats(size_t n, uint64_t *seed) {
  float *x = malloc((n + 1) * sizeof *x);
  for (size_t i = 0; i < n; i++) x[i] = random_float(seed);
  return x;
}

static product set_up(const dfm_kernel *kernel, stored form, int M, int N, int K, bool adds) {
  uint64_t seed = (uint64_t)(M * 1000 + N * 10 + K);
  product p = {.kernel = kernel, .form = form, .M = M, .N = N, .K = K, .adds = adds};
  p.lda = (form == TRANS_A ? M : K) + PAD;
  p.ldb = (form == TRANS_B ? K : N) + PAD;
  p.ldc = N + PAD;
  p.c_size = (size_t)(M * p.ldc);
  p.A = random_floats((size_t)((form == TRANS_A ? K : M) * p.lda), &seed);
  p.B = random_floats((size_t)((form == TRANS_B ? N : K) * p.ldb), &seed);
  p.before = random_floats(p.c_size, &seed);
  for (size_t i = 0; i < p.c_size && !adds; i++) p.before[i] = NAN;
  p.C = malloc((p.c_size + 1) * sizeof *p.C);
  memcpy(p.C, p.before, p.c_size * sizeof *p.C);
  p.packed = malloc((dfm_packed_floats(K, N) + 1) * sizeof *p.packed);
  kernel->pack(p.packed, p.B, (size_t)p.ldb, form == TRANS_B, K, N);
  return p;
}

static void tear_down(product *p) {
  free(p->A);
  free(p->B);
  free(p->packed);
  free(p->bias);
  free(p->C);
  free(p->before);
}

/* Rows [m, m + M) of C. */
static void run(const product *p, int m, int M) {
  dfm_multiply_args args = {.M = M,
                            .N = p->N,
                            .K = p->K,
                            .A = p->A,
                            .lda = (size_t)p->lda,
                            .B = p->B,
                            .ldb = (size_t)p->ldb,
                            .C = p->C + m * p->ldc,
                            .ldc = (size_t)p->ldc,
                            .adds = p->adds,
                            .bias = p->bias};
  args.A += p->form == TRANS_A ? m : m * p->lda;
  if (p->form == TRANS_A) {
    p->kernel->multiply_transposed(&args);
    return;
  }
  args.B = p->packed;
  p->kernel->multiply(&args);
}

static double expected(const product *p, int i, int j) {
  double sum = p->adds ? (double)p->before[i * p->ldc + j] : 0;
  for (int k = 0; k < p->K; k++)
    sum += (double)p->A[p->form == TRANS_A ? k * p->lda + i : i * p->lda + k] *
           (double)p->B[p->form == TRANS_B ? j * p->ldb + k : k * p->ldb + j];
  if (!p->bias) return sum;
  return sum + (double)p->bias[j] <= 0 ? 0 : sum + (double)p->bias[j];
}

static void check(const product *p) {
  for (int i = 0; i < p->M; i++)
    for (int j = 0; j < p->ldc; j++) {
      const size_t at = (size_t)(i * p->ldc + j);
      if (j >= p->N)
        assert_memory_equal(&p->C[at], &p->before[at], sizeof *p->C);
      else if (!(fabs((double)p->C[at] - expected(p, i, j)) <= 1e-6 * (3 + p->K * 0.2)))
        fail_msg("%s form %d (%d, %d, %d) adds %d: C[%d][%d] = %g, expected %g", p->kernel->name, p->form, p->M, p->N,
                 p->K, p->adds, i, j, (double)p->C[at], expected(p, i, j));
    }
}

static void test_products(void **state) {
  static const int shapes[][3] = {{1, 1, 1},      {1, 33, 7},    {5, 16, 9},  {3, 1, 300}, {17, 19, 257},
                                  {64, 40, 31},   {6, 70, 513},  {4, 5, 0},   {0, 3, 2},   {3, 0, 2},
                                  {8, 48, 128},   {16, 64, 129}, {9, 96, 64}, {30, 80, 5}, {225, 49, 130},
                                  {12, 112, 256}, {7, 401, 33}};
  const dfm_kernel *kernel;
  (void)state;
  for (size_t k = 0; (kernel = dfm_kernel_at(k)) != NULL; k++)
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
      for (int stored_as = 0; stored_as < N_FORMS; stored_as++)
        for (int adds = 0; adds < 2; adds++) {
          product p = set_up(kernel, (stored)stored_as, shapes[s][0], shapes[s][1], shapes[s][2], adds);
          run(&p, 0, p.M);
          check(&p);
          tear_down(&p);
        }
}

static void test_bias_and_relu(void **state) {
  static const int shapes[][3] = {{1, 1, 1}, {9, 33, 7}, {24, 48, 150}, {17, 70, 300}, {4, 5, 0}};
  const dfm_kernel *kernel;
  uint64_t seed = 3;
  (void)state;
  for (size_t k = 0; (kernel = dfm_kernel_at(k)) != NULL; k++)
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
      product p = set_up(kernel, TRANS_B, shapes[s][0], shapes[s][1], shapes[s][2], s % 2);
      p.bias = random_floats((size_t)p.N, &seed);
      run(&p, 0, p.M);
      check(&p);
      if (p.K > 0) { /* a NaN is not taken for what is not above zero */
        p.A[0] = NAN;
        run(&p, 0, p.M);
        assert_true(isnan(p.C[0]));
      }
      tear_down(&p);
    }
}

/* A row is the same bits by itself, and in any company. */
static void test_rows_stand_alone(void **state) {
  const dfm_kernel *kernel;
  (void)state;
  for (size_t k = 0; (kernel = dfm_kernel_at(k)) != NULL; k++)
    for (int stored_as = 0; stored_as < N_FORMS; stored_as++)
      for (int part = 1; part < 20; part += 3) {
        product whole = set_up(kernel, (stored)stored_as, 37, 75, 300, true),
                parts = set_up(kernel, (stored)stored_as, 37, 75, 300, true);
        run(&whole, 0, whole.M);
        for (int m = 0; m < parts.M; m += part) run(&parts, m, parts.M - m < part ? parts.M - m : part);
        assert_memory_equal(whole.C, parts.C, whole.c_size * sizeof *whole.C);
        tear_down(&whole);
        tear_down(&parts);
      }
}

/* Columns of C are the same bits whichever columns B has behind them. */
static void test_columns_stand_alone(void **state) {
  static const int widths[] = {1, 15, 16, 17, 48, 49, 74};
  const dfm_kernel *kernel;
  (void)state;
  for (size_t k = 0; (kernel = dfm_kernel_at(k)) != NULL; k++)
    for (int stored_as = 0; stored_as < N_FORMS; stored_as++)
      for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
        product p = set_up(kernel, (stored)stored_as, 13, 75, 300, true);
        float *whole = malloc(p.c_size * sizeof *whole);
        run(&p, 0, p.M);
        memcpy(whole, p.C, p.c_size * sizeof *whole);
        memcpy(p.C, p.before, p.c_size * sizeof *p.C);
        p.N = widths[w];
        kernel->pack(p.packed, p.B, (size_t)p.ldb, p.form == TRANS_B, p.K, p.N);
        run(&p, 0, p.M);
        for (int i = 0; i < p.M; i++)
          assert_memory_equal(whole + i * p.ldc, p.C + i * p.ldc, (size_t)p.N * sizeof *whole);
        free(whole);
        tear_down(&p);
      }
}

/* Infinities and NaN of A's rows, and of B's columns, the last one too, stay in theirs. */
static void test_not_finite(void **state) {
  const dfm_kernel *kernel;
  (void)state;
  for (size_t k = 0; (kernel = dfm_kernel_at(k)) != NULL; k++)
    for (int stored_as = 0; stored_as < N_FORMS; stored_as++) {
      product p = set_up(kernel, (stored)stored_as, 11, 35, 20, false);
      p.A[p.form == TRANS_A ? 3 * p.lda + 5 : 5 * p.lda + 3] = INFINITY;
      p.B[p.form == TRANS_B ? 34 * p.ldb + 7 : 7 * p.ldb + 34] = NAN;
      kernel->pack(p.packed, p.B, (size_t)p.ldb, p.form == TRANS_B, p.K, p.N);
      run(&p, 0, p.M);
      for (int i = 0; i < p.M; i++)
        for (int j = 0; j < p.N; j++) {
          assert_int_equal(isnan(p.C[i * p.ldc + j]) != 0, j == 34);
          assert_int_equal(isinf(p.C[i * p.ldc + j]) != 0, j != 34 && i == 5);
        }
      tear_down(&p);
    }
}

/* What the bench compares with makes the same product. */
static void test_onednn(void **state) {
  static const int shapes[][3] = {{1, 1, 1}, {5, 16, 9}, {17, 19, 257}, {64, 40, 32}};
  dfm_error error;
  (void)state;
  if (!dfm_onednn_runs()) skip();
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
    for (int trans_b = 0; trans_b < 2; trans_b++) {
      product p = set_up(dfm_kernel_at(0), trans_b ? TRANS_B : PLAIN, shapes[s][0], shapes[s][1], shapes[s][2], false);
      dfm_onednn *onednn = NULL;
      p.lda = p.K;
      p.ldb = trans_b ? p.K : p.N;
      p.ldc = p.N;
      assert_ok(dfm_onednn_create(p.M, p.N, p.K, trans_b, p.B, &onednn, &error));
      assert_ok(dfm_onednn_run(onednn, p.A, p.C, &error));
      check(&p);
      dfm_onednn_free(onednn);
      tear_down(&p);
    }
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_products),         cmocka_unit_test(test_bias_and_relu),
      cmocka_unit_test(test_rows_stand_alone), cmocka_unit_test(test_columns_stand_alone),
      cmocka_unit_test(test_not_finite),       cmocka_unit_test(test_onednn),
  };
  return test_main(argc, argv, "multiply", tests, sizeof tests / sizeof *tests);
}
