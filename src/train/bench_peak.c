/* The peak: a net comes in; the best rate at which oneDNN makes the multiplies of its dense layers goes out. */
#include <stdlib.h>

#include "base/memory.h"
#include "train/bench.h"

static const double TRY_SECONDS = 0.01; /* per try */
enum { TRIES = 4 };                     /* of which the first only tells how often to repeat */
enum { MOST_ROWS = 512 };

/* Multiply 0 is forward, 1 dx, 2 dW (of a dz that is transposed already). Nothing lies with gaps. */
static dfm_onednn_shape describe(int multiply, int rows, const dfm_layer *layer) {
  const int n_in = layer->n_in, n_out = layer->n_out;
  dfm_onednn_shape shape = {.packs_b = true};
  shape.trans_b = multiply == 0;
  shape.M = multiply == 2 ? n_out : rows;
  shape.N = multiply == 0 ? n_out : n_in;
  shape.K = multiply == 0 ? n_in : multiply == 1 ? n_out : rows;
  shape.lda = shape.K;
  shape.ldb = shape.trans_b ? shape.K : shape.N;
  shape.ldc = shape.N;
  return shape;
}

/* ---- one multiply by all threads */

typedef struct dfm_multiply_run {
  const dfm_peak *peak;
  const dfm_peak_multiply *multiply;
  int repeats;
} dfm_multiply_run;

static void multiply_task(void *context, int task, int thread) {
  const dfm_multiply_run *run = context;
  const dfm_onednn_shape *shape = &run->multiply->shape;
  float *A = run->peak->operand[task], *B = A + (size_t)shape->M * (size_t)shape->K,
        *C = B + (size_t)shape->K * (size_t)shape->N;
  const dfm_gemm_args args = {.trans_b = shape->trans_b,
                              .M = shape->M,
                              .N = shape->N,
                              .K = shape->K,
                              .A = A,
                              .lda = shape->lda,
                              .B = B,
                              .ldb = shape->ldb,
                              .C = C,
                              .ldc = shape->ldc};
  (void)thread;
  for (int i = 0; i < run->repeats; i++) {
    if (run->multiply->prepared)
      dfm_onednn_run(run->multiply->prepared, A, B, C);
    else
      run->peak->kernel->gemm(&args);
  }
}

/* Best rate in flops per second, all threads together. */
static double multiply_rate(const dfm_bench *bench, const dfm_peak *peak, const dfm_peak_multiply *multiply) {
  const dfm_onednn_shape *shape = &multiply->shape;
  const double flops = 2.0 * shape->M * shape->N * shape->K * peak->threads;
  dfm_multiply_run run = {peak, multiply, 1};
  double best = 0;
  for (int i = 0; i < TRIES; i++) {
    const double start = dfm_seconds();
    dfm_pool_run(bench->pool, peak->threads, multiply_task, &run);
    const double rate = flops * run.repeats / (dfm_seconds() - start);
    if (rate > best) best = rate;
    if (i == 0) run.repeats = (int)(TRY_SECONDS * rate / flops) + 1;
  }
  return best;
}

/* ---- the best way to make each */

typedef struct dfm_pack_work {
  dfm_onednn_multiply *multiply;
  const float *B;
} dfm_pack_work;

static void pack_task(void *context, int task, int thread) {
  const dfm_pack_work *work = context;
  (void)task;
  (void)thread;
  dfm_onednn_pack(work->multiply, work->B);
}

/* Takes the better of `best` and one more way of making it; the other is freed. */
static dfm_status try_multiply(const dfm_bench *bench, dfm_peak *peak, dfm_onednn_shape shape, bool prepares,
                               dfm_peak_multiply *best, double *best_rate, dfm_error *error) {
  dfm_peak_multiply now = {.shape = shape};
  if (prepares) {
    DFM_TRY(dfm_onednn_multiply_create(peak->onednn, bench->pool, &now.shape, &now.prepared, error));
    if (!now.prepared) return DFM_OK;
    dfm_pool_run(bench->pool, 1, pack_task, &(dfm_pack_work){now.prepared, peak->operand[0]});
  }
  const double rate = multiply_rate(bench, peak, &now);
  if (rate > *best_rate) {
    dfm_onednn_multiply_free(best->prepared);
    *best = now;
    *best_rate = rate;
  } else {
    dfm_onednn_multiply_free(now.prepared);
  }
  return peak->onednn ? dfm_onednn_check(peak->onednn, error) : DFM_OK;
}

static bool is_same(const dfm_onednn_shape *a, const dfm_onednn_shape *b) {
  return a->trans_b == b->trans_b && a->M == b->M && a->N == b->N && a->K == b->K;
}

/* Adds a layer's multiply, or its share to one of the same shape. */
static dfm_status add_multiply(const dfm_bench *bench, dfm_peak *peak, int multiply, const dfm_layer *layer,
                               dfm_error *error) {
  static const int rows[] = {64, 128, 256, MOST_ROWS};
  const double share = 2.0 * layer->n_in * layer->n_out;
  const dfm_onednn_shape first = describe(multiply, rows[0], layer);
  double rate = 0;
  for (int i = 0; i < peak->n; i++) {
    if (!is_same(&peak->multiply[i].asked, &first)) continue;
    peak->multiply[i].share += share;
    return DFM_OK;
  }
  dfm_peak_multiply *best = &peak->multiply[peak->n++];
  for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
    const dfm_onednn_shape shape = describe(multiply, rows[r], layer);
    DFM_TRY(try_multiply(bench, peak, shape, false, best, &rate, error));
    if (peak->onednn) DFM_TRY(try_multiply(bench, peak, shape, true, best, &rate, error));
  }
  best->asked = first;
  best->share = share;
  return DFM_OK;
}

dfm_status dfm_peak_create(const dfm_bench *bench, const dfm_net *net, dfm_peak *peak, dfm_error *error) {
  size_t widest = MOST_ROWS;
  *peak = (dfm_peak){.kernel = bench->kernel, .threads = dfm_pool_threads(bench->pool)};
  for (int edge = 0; edge < net->n_edges; edge++)
    if ((size_t)net->edge_n[edge] > widest) widest = (size_t)net->edge_n[edge];
  if (dfm_kernel_has_onednn(bench->kernel))
    DFM_TRY(dfm_onednn_create(peak->threads, bench->kernel, &peak->onednn, error));
  DFM_TRY(dfm_alloc(&peak->operand, (size_t)peak->threads, sizeof *peak->operand, error));
  for (int i = 0; i < peak->threads; i++) /* the most rows, twice, and a square of weights are the largest operands */
    DFM_TRY(dfm_alloc(&peak->operand[i], 2 * MOST_ROWS * widest + widest * widest, sizeof(float), error));
  for (int i = 0; i < net->n_layers; i++)
    for (int multiply = 0; multiply < 3 && net->layer[i].kind == &dfm_layer_dense; multiply++)
      DFM_TRY(add_multiply(bench, peak, multiply, &net->layer[i], error));
  return DFM_OK;
}

void dfm_peak_free(dfm_peak *peak) {
  for (int i = 0; i < peak->n; i++) dfm_onednn_multiply_free(peak->multiply[i].prepared);
  dfm_onednn_free(peak->onednn);
  for (int i = 0; peak->operand && i < peak->threads; i++) free(peak->operand[i]);
  free(peak->operand);
}

dfm_status dfm_peak_measure(const dfm_bench *bench, const dfm_peak *peak, double *rate, dfm_error *error) {
  double share = 0, seconds = 0;
  for (int i = 0; i < peak->n; i++) {
    share += peak->multiply[i].share;
    seconds += peak->multiply[i].share / multiply_rate(bench, peak, &peak->multiply[i]);
  }
  *rate = seconds > 0 ? share / seconds : 0;
  return peak->onednn ? dfm_onednn_check(peak->onednn, error) : DFM_OK;
}
