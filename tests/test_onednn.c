/* oneDNN's multiplies in float32, each prepared once and run by several threads at a time: matrices of every form come in; C
 * must be near the plain multiply's, and nothing beside it written. */
#include <math.h>
#include <stdlib.h>

#include "base/pool.h"
#include "kernel/gemm_onednn.h"
#include "test.h"

enum { PAD = 3, THREADS = 3, RUNS = 7 };

static const dfm_kernel *generic(void) {
  dfm_error error;
  const dfm_kernel *kernel = NULL;
  assert_ok(dfm_kernel_find("generic", &kernel, &error));
  return kernel;
}

typedef struct multiply {
  dfm_onednn_shape shape;
  float *A, *B, *C, *before;
  size_t c;
  dfm_onednn_multiply *prepared;
  float *run[RUNS];
} multiply;

static float random_float(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (float)(int32_t)(*state >> 33) * 0x1p-30f - 1;
}

static float *random_floats(size_t n, uint64_t *seed) {
  float *x = calloc(n + 1, sizeof *x);
  for (size_t i = 0; i < n; i++) x[i] = random_float(seed);
  return x;
}

static multiply make(bool trans_b, bool packs_b, int M, int N, int K, float beta) {
  uint64_t seed = (uint64_t)(M * 1000 + N * 10 + K);
  const int ldb = (trans_b ? K : N) + PAD;
  multiply m = {.shape = {trans_b, packs_b, M, N, K, K + PAD, ldb, N + PAD, beta}, .c = (size_t)(M * (N + PAD))};
  m.A = random_floats((size_t)(M * (K + PAD)), &seed);
  m.B = random_floats((size_t)((trans_b ? N : K) * ldb), &seed);
  m.before = random_floats(m.c, &seed);
  m.C = calloc(m.c + 1, sizeof *m.C);
  for (size_t i = 0; i < m.c && beta == 0; i++) m.before[i] = NAN;
  memcpy(m.C, m.before, m.c * sizeof *m.C);
  for (int r = 0; r < RUNS; r++) {
    m.run[r] = calloc(m.c + 1, sizeof **m.run);
    memcpy(m.run[r], m.before, m.c * sizeof **m.run);
  }
  return m;
}

static void discard(multiply *m) {
  dfm_onednn_multiply_free(m->prepared);
  for (int r = 0; r < RUNS; r++) free(m->run[r]);
  free(m->A);
  free(m->B);
  free(m->C);
  free(m->before);
}

static void pack_task(void *context, int task, int thread) {
  const multiply *m = context;
  (void)task;
  (void)thread;
  dfm_onednn_pack(m->prepared, m->B);
}

static void run_task(void *context, int task, int thread) {
  const multiply *m = context;
  (void)thread;
  dfm_onednn_run(m->prepared, m->A, m->shape.packs_b ? NULL : m->B, m->run[task]);
}

static void check_run(const multiply *m, const float *C) {
  const dfm_onednn_shape *s = &m->shape;
  for (int i = 0; i < s->M; i++)
    for (int j = 0; j < s->ldc; j++) {
      const size_t at = (size_t)(i * s->ldc + j);
      if (j >= s->N)
        assert_memory_equal(&C[at], &m->before[at], sizeof *C);
      else if (!(fabsf(C[at] - m->C[at]) <= 1e-6f * (3 + (float)s->K * 0.2f)))
        fail_msg("trans_b %d, packs_b %d, (%d, %d, %d), beta %g: C[%d][%d] = %g, expected %g", s->trans_b, s->packs_b,
                 s->M, s->N, s->K, (double)s->beta, i, j, (double)C[at], (double)m->C[at]);
    }
}

static void check(dfm_onednn *onednn, dfm_pool *pool, multiply *m) {
  const dfm_onednn_shape *s = &m->shape;
  dfm_error error;
  assert_ok(dfm_onednn_multiply_create(onednn, pool, s, &m->prepared, &error));
  assert_non_null(m->prepared);
  if (s->packs_b) dfm_pool_run(pool, 1, pack_task, m);
  dfm_pool_run(pool, RUNS, run_task, m);
  assert_ok(dfm_onednn_check(onednn, &error));
  generic()->gemm(
      &(dfm_gemm_args){false, s->trans_b, s->M, s->N, s->K, m->A, s->lda, m->B, s->ldb, s->beta, m->C, s->ldc});
  for (int r = 0; r < RUNS; r++) {
    check_run(m, m->run[r]);
    assert_memory_equal(m->run[r], m->run[0], m->c * sizeof **m->run); /* whichever thread ran it */
  }
}

static void test_multiplies(void **state) {
  static const int shapes[][3] = {{1, 1, 1},     {1, 33, 7},   {5, 16, 9},   {3, 1, 300},
                                  {17, 19, 257}, {64, 40, 32}, {6, 70, 513}, {128, 40, 96}};
  dfm_pool *pool = NULL;
  dfm_onednn *onednn = NULL;
  dfm_error error;
  (void)state;
  if (!dfm_onednn_runs()) {
    printf("not run: this build has no oneDNN\n");
    skip();
  }
  assert_ok(dfm_pool_create(THREADS, &pool, &error));
  assert_ok(dfm_onednn_create(THREADS, generic(), &onednn, &error));
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
    for (int form = 0; form < 8; form++) {
      multiply m = make(form & 1, form & 4, shapes[s][0], shapes[s][1], shapes[s][2], form & 2 ? 1 : 0);
      check(onednn, pool, &m);
      discard(&m);
    }
  dfm_onednn_free(onednn);
  dfm_pool_free(pool);
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_multiplies),
  };
  return test_main(argc, argv, "onednn", tests, sizeof tests / sizeof *tests);
}
