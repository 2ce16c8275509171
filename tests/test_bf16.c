/* bfloat16: numbers and matrices come in; rounding must be to the nearest, every table must give the same bits, the
 * plain multiply must be near a double's, and oneDNN's near the plain one's. What this CPU cannot run is said. */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/pool.h"
#include "kernel/gemm_onednn.h"
#include "kernel/kernel.h"
#include "test.h"

static const dfm_kernel *generic(void) {
  dfm_error error;
  const dfm_kernel *kernel = NULL;
  assert_ok(dfm_kernel_find("generic", &kernel, &error));
  return kernel;
}

static float from_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static float value(uint16_t x) {
  return from_bits((uint32_t)x << 16);
}

static uint16_t rounded(const dfm_kernel *kernel, float x) {
  uint16_t y = 0;
  kernel->to_bf16(&y, 1, &x, 1, 1, 1);
  return y;
}

static float random_float(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (float)(int32_t)(*state >> 33) * 0x1p-30f - 1;
}

/* ---- rounding */

/* Every bfloat16 stays what it is; what lies between it and the next goes to the nearer, the middle to the even one. */
static void test_rounding(void **state) {
  (void)state;
  for (uint32_t i = 0; i < 0x7f80; i++) /* up to the largest, whose next is infinity */
    for (uint32_t sign = 0; sign < 2; sign++) {
      const uint32_t low = i | sign << 15, bits = low << 16;
      assert_int_equal(rounded(generic(), from_bits(bits)), low);
      assert_int_equal(rounded(generic(), from_bits(bits + 1)), low);
      assert_int_equal(rounded(generic(), from_bits(bits + 0x7fff)), low);
      assert_int_equal(rounded(generic(), from_bits(bits + 0x8000)), low + (low & 1));
      assert_int_equal(rounded(generic(), from_bits(bits + 0x8001)), low + 1);
      assert_int_equal(rounded(generic(), from_bits(bits + 0xffff)), low + 1);
    }
}

static void test_rounding_of_no_numbers(void **state) {
  static const uint32_t nans[] = {0x7f800001, 0x7fffffff, 0x7fc00000, 0xff800001, 0xffffffff, 0x7fff8000};
  (void)state;
  for (size_t i = 0; i < sizeof nans / sizeof *nans; i++) {
    const float x = value(rounded(generic(), from_bits(nans[i])));
    assert_true(isnan(x) && !signbit(x) == !(nans[i] >> 31));
  }
  assert_true(isinf(value(rounded(generic(), INFINITY))) && value(rounded(generic(), -INFINITY)) < 0);
  assert_true(isinf(value(rounded(generic(), FLT_MAX))));
}

/* ---- every table: the same bits, and nothing written beside */

enum { SIDE = 53, ROOM = SIDE * (SIDE + 8) + 8 };

typedef struct matrices {
  float x[ROOM];
  uint16_t y[ROOM], z[ROOM];
} matrices;

static void convert(const dfm_kernel *kernel, matrices *m, int rows, int n) {
  uint64_t seed = (uint64_t)(rows * 100 + n);
  memset(m, 0xa5, sizeof *m);
  for (int i = 0; i < ROOM; i++) m->x[i] = random_float(&seed) * (i % 3 ? 1.0f : 1e-39f);
  kernel->to_bf16(m->y + 3, n + 5, m->x + 1, n + 2, rows, n);
  kernel->transpose_bf16(m->z + 3, rows + 3, m->y + 3, n + 5, rows, n);
}

static void test_conversion(void **state) {
  static const int sizes[] = {0, 1, 7, 8, 9, 16, 31, SIDE};
  static matrices expected, got;
  const dfm_kernel *kernel;
  (void)state;
  for (int s = 0; s < 64; s++) {
    const int rows = sizes[s / 8], n = sizes[s % 8];
    convert(generic(), &expected, rows, n);
    for (size_t k = 0; (kernel = dfm_kernel_at(k)) != NULL; k++) {
      convert(kernel, &got, rows, n);
      if (memcmp(&expected, &got, sizeof got) != 0) fail_msg("%s, (%d, %d) differs", kernel->name, rows, n);
    }
    for (int r = 0; r < rows; r++)
      for (int c = 0; c < n + 5; c++)
        assert_int_equal(got.y[3 + r * (n + 5) + c], c < n ? rounded(generic(), got.x[1 + r * (n + 2) + c]) : 0);
    for (int c = 0; c < n; c++)
      for (int r = 0; r < rows + 3; r++)
        assert_int_equal(got.z[3 + c * (rows + 3) + r], r < rows ? got.y[3 + r * (n + 5) + c] : 0xa5a5);
    assert_int_equal(got.y[2], 0xa5a5);
    assert_int_equal(got.y[3 + rows * (n + 5)], 0xa5a5);
    assert_int_equal(got.z[2], 0xa5a5);
    assert_int_equal(got.z[3 + n * (rows + 3)], 0xa5a5);
  }
}

/* ---- multiplies */

enum { PAD = 3 };

/* One multiply with its operands in bfloat16, and their values in float32. */
typedef struct multiply {
  bool trans_b;
  int M, N, K, lda, ldb, ldc;
  float beta;
  uint16_t *A, *B;
  float *A_value, *B_value, *C, *before;
  size_t a, b, c;
} multiply;

static void fill(uint16_t **x, float **x_value, size_t n, uint64_t *seed) {
  *x = calloc(n + 1, sizeof **x);
  *x_value = calloc(n + 1, sizeof **x_value);
  for (size_t i = 0; i < n; i++) {
    (*x)[i] = rounded(generic(), random_float(seed));
    (*x_value)[i] = value((*x)[i]);
  }
}

static multiply make(bool trans_b, int M, int N, int K, float beta) {
  uint64_t seed = (uint64_t)(M * 1000 + N * 10 + K);
  multiply m = {trans_b, M, N, K, .lda = K + PAD, .ldb = (trans_b ? K : N) + PAD, .ldc = N + PAD, .beta = beta};
  m.a = (size_t)(M * m.lda);
  m.b = (size_t)((trans_b ? N : K) * m.ldb);
  m.c = (size_t)(M * m.ldc);
  fill(&m.A, &m.A_value, m.a, &seed);
  fill(&m.B, &m.B_value, m.b, &seed);
  m.C = calloc(m.c + 1, sizeof *m.C);
  m.before = calloc(m.c + 1, sizeof *m.before);
  for (size_t i = 0; i < m.c; i++) m.before[i] = beta == 0 ? NAN : random_float(&seed);
  memcpy(m.C, m.before, m.c * sizeof *m.C);
  return m;
}

static void discard(multiply *m) {
  free(m->A);
  free(m->B);
  free(m->A_value);
  free(m->B_value);
  free(m->C);
  free(m->before);
}

static void multiply_plainly(const dfm_kernel *kernel, const multiply *m, float *C) {
  kernel->gemm_bf16(
      &(dfm_gemm_bf16_args){m->trans_b, m->M, m->N, m->K, m->A, m->lda, m->B, m->ldb, m->beta, C, m->ldc});
}

static void check_against_doubles(const dfm_kernel *kernel, bool trans_b, int M, int N, int K, float beta) {
  multiply m = make(trans_b, M, N, K, beta);
  multiply_plainly(kernel, &m, m.C);
  for (int i = 0; i < M; i++)
    for (int j = 0; j < m.ldc; j++) {
      const size_t at = (size_t)(i * m.ldc + j);
      double sum = beta == 0 ? 0 : (double)m.before[at];
      for (int k = 0; k < K && j < N; k++)
        sum += (double)m.A_value[i * m.lda + k] * (double)m.B_value[trans_b ? j * m.ldb + k : k * m.ldb + j];
      if (j >= N)
        assert_memory_equal(&m.C[at], &m.before[at], sizeof *m.C); /* the padding stays */
      else if (!(fabs((double)m.C[at] - sum) <= 1e-6 * (3 + K * 0.2)))
        fail_msg("%s, trans_b %d, (%d, %d, %d), beta %g: C[%d][%d] = %g, expected %g", kernel->name, trans_b, M, N, K,
                 (double)beta, i, j, (double)m.C[at], sum);
    }
  discard(&m);
}

static const int shapes[][3] = {{1, 1, 1},     {1, 33, 7},   {5, 16, 9},   {3, 1, 300},
                                {17, 19, 257}, {64, 40, 32}, {6, 70, 513}, {128, 40, 96}};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

static void test_plain_multiply(void **state) {
  const dfm_kernel *kernel;
  (void)state;
  for (size_t k = 0; (kernel = dfm_kernel_at(k)) != NULL; k++)
    for (int s = 0; s < N_SHAPES; s++)
      for (int form = 0; form < 4; form++)
        check_against_doubles(kernel, form & 1, shapes[s][0], shapes[s][1], shapes[s][2], form & 2 ? 1 : 0);
}

/* The definition does not depend on the CPU, so a result in bfloat16 is had again on any that lacks it. */
static void test_plain_multiply_is_the_same_everywhere(void **state) {
  const dfm_kernel *kernel;
  (void)state;
  for (size_t k = 0; (kernel = dfm_kernel_at(k)) != NULL; k++)
    for (int s = 0; s < N_SHAPES; s++)
      for (int form = 0; form < 4; form++) {
        multiply m = make(form & 1, shapes[s][0], shapes[s][1], shapes[s][2], form & 2 ? 1 : 0);
        multiply_plainly(generic(), &m, m.before);
        multiply_plainly(kernel, &m, m.C);
        for (int i = 0; i < m.M; i++)
          assert_memory_equal(m.C + i * m.ldc, m.before + i * m.ldc, (size_t)m.N * sizeof *m.C);
        discard(&m);
      }
}

/* ---- oneDNN's multiplies, each prepared once and run by several threads at a time */

enum { THREADS = 3, RUNS = 7 };

typedef struct fast {
  const multiply *m;
  dfm_onednn_type type;
  bool packs_b;
  dfm_onednn *onednn;
  dfm_onednn_multiply *multiply;
  float *C[RUNS];
} fast;

static const void *operand(const fast *f, bool is_b) {
  if (f->type == DFM_ONEDNN_BF16) return is_b ? f->m->B : f->m->A;
  return is_b ? f->m->B_value : f->m->A_value;
}

static void pack_task(void *context, int task, int thread) {
  const fast *f = context;
  (void)task;
  (void)thread;
  dfm_onednn_pack(f->multiply, operand(f, true));
}

static void run_task(void *context, int task, int thread) {
  const fast *f = context;
  (void)thread;
  dfm_onednn_run(f->multiply, operand(f, false), f->packs_b ? NULL : operand(f, true), f->C[task]);
}

static void check_fast(fast *f, dfm_pool *pool) {
  const multiply *m = f->m;
  const dfm_onednn_shape shape = {f->type, m->trans_b, f->packs_b, m->M, m->N,   m->K,
                                  m->lda,  m->ldb,     m->ldc,     m->N, m->beta};
  dfm_error error;
  assert_ok(dfm_onednn_multiply_create(f->onednn, pool, &shape, &f->multiply, &error));
  assert_non_null(f->multiply);
  if (f->packs_b) dfm_pool_run(pool, 1, pack_task, f);
  for (int r = 0; r < RUNS; r++) {
    f->C[r] = calloc(m->c + 1, sizeof **f->C);
    memcpy(f->C[r], m->before, m->c * sizeof **f->C);
  }
  dfm_pool_run(pool, RUNS, run_task, f);
  assert_ok(dfm_onednn_check(f->onednn, &error));
  multiply_plainly(generic(), m, m->C);
  for (int r = 0; r < RUNS; r++) {
    for (int i = 0; i < m->M; i++)
      for (int j = 0; j < m->ldc; j++) {
        const size_t at = (size_t)(i * m->ldc + j);
        if (j >= m->N)
          assert_memory_equal(&f->C[r][at], &m->before[at], sizeof *m->C);
        else if (!(fabsf(f->C[r][at] - m->C[at]) <= 1e-6f * (3 + (float)m->K * 0.2f)))
          fail_msg("type %d, trans_b %d, packs_b %d, (%d, %d, %d), beta %g: C[%d][%d] = %g, expected %g", (int)f->type,
                   m->trans_b, f->packs_b, m->M, m->N, m->K, (double)m->beta, i, j, (double)f->C[r][at],
                   (double)m->C[at]);
      }
    assert_memory_equal(f->C[r], f->C[0], m->c * sizeof **f->C); /* whichever thread ran it */
  }
  for (int r = 0; r < RUNS; r++) free(f->C[r]);
  dfm_onednn_multiply_free(f->multiply);
}

static void check_onednn(dfm_onednn_type type, const char *name) {
  dfm_pool *pool = NULL;
  dfm_onednn *onednn = NULL;
  dfm_error error;
  if (!dfm_onednn_runs(type)) {
    printf("not run: oneDNN's multiply in %s, which this CPU or build lacks\n", name);
    return;
  }
  assert_ok(dfm_pool_create(THREADS, &pool, &error));
  assert_ok(dfm_onednn_create(THREADS, generic(), &onednn, &error));
  for (int s = 0; s < N_SHAPES; s++)
    for (int form = 0; form < 8; form++) {
      multiply m = make(form & 1, shapes[s][0], shapes[s][1], shapes[s][2], form & 2 ? 1 : 0);
      check_fast(&(fast){.m = &m, .type = type, .packs_b = form & 4, .onednn = onednn}, pool);
      discard(&m);
    }
  dfm_onednn_free(onednn);
  dfm_pool_free(pool);
}

static void test_onednn_float32(void **state) {
  (void)state;
  check_onednn(DFM_ONEDNN_F32, "float32");
}

static void test_onednn_bf16(void **state) {
  (void)state;
  check_onednn(DFM_ONEDNN_BF16, "bfloat16");
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rounding),
      cmocka_unit_test(test_rounding_of_no_numbers),
      cmocka_unit_test(test_conversion),
      cmocka_unit_test(test_plain_multiply),
      cmocka_unit_test(test_plain_multiply_is_the_same_everywhere),
      cmocka_unit_test(test_onednn_float32),
      cmocka_unit_test(test_onednn_bf16),
  };
  return test_main(argc, argv, "bf16", tests, sizeof tests / sizeof *tests);
}
