/* The machine: sizes and shapes come in; the rates that bind kernels and the training loop go out. */
#include <stdlib.h>

#include "base/memory.h"
#include "base/prefetch.h"
#include "base/random.h"
#include "train/bench.h"

static const double TRY_SECONDS = 0.01; /* per try */
enum { TRIES = 4 };                     /* of which the first only tells how often to repeat */

/* ---- bandwidth */

typedef struct dfm_bandwidth {
  const dfm_kernel *kernel;
  float *memory; /* per thread: x and y */
  size_t floats;
  int repeats;
} dfm_bandwidth;

static void stream_task(void *context, int task, int thread) {
  const dfm_bandwidth *stream = context;
  float *x = stream->memory + (size_t)task * 2 * stream->floats;
  (void)thread;
  for (int i = 0; i < stream->repeats; i++) stream->kernel->add(x + stream->floats, x, stream->floats);
}

dfm_status dfm_bench_bandwidth(const dfm_bench *bench, size_t floats, double *rate, dfm_error *error) {
  const size_t threads = (size_t)dfm_pool_threads(bench->pool), bytes = threads * 2 * floats * sizeof(float);
  dfm_bandwidth stream = {.kernel = bench->kernel, .floats = floats, .repeats = 1};
  DFM_TRY(dfm_pages_alloc(&stream.memory, bytes, error));
  for (size_t i = 0; i < threads * 2 * floats; i++) stream.memory[i] = 1;
  *rate = 0;
  for (int i = 0; i < TRIES; i++) {
    const double start = dfm_seconds();
    dfm_pool_run(bench->pool, (int)threads, stream_task, &stream);
    const double moved = (double)threads * (double)floats * 3 * sizeof(float); /* two read, one written */
    const double now = moved * stream.repeats / (dfm_seconds() - start);
    if (i > 0 && now > *rate) *rate = now;
    if (i == 0) stream.repeats = (int)(TRY_SECONDS * now / moved) + 1;
  }
  dfm_pages_free(stream.memory, bytes);
  return DFM_OK;
}

/* ---- random rows */

enum { RANDOM_ROWS = 1 << 16, RANDOM_TASKS = 64, AHEAD = 16 };

typedef struct dfm_scatter {
  char *memory;
  size_t n_rows, row_bytes;
  uint64_t key;
} dfm_scatter;

static void scatter_task(void *context, int task, int thread) {
  const dfm_scatter *scatter = context;
  volatile char *ahead[AHEAD];
  (void)thread;
  for (uint64_t i = 0; i < RANDOM_ROWS / RANDOM_TASKS + AHEAD; i++) {
    volatile char *row = ahead[i % AHEAD];
    for (size_t at = 0; i >= AHEAD && at < scatter->row_bytes; at += 64) row[at] = row[at];
    uint64_t place = (scatter->key + (uint64_t)task * RANDOM_ROWS + i) * UINT64_C(0x9E3779B97F4A7C15);
    place ^= place >> 32;
    row = scatter->memory + (size_t)((place & UINT32_MAX) * scatter->n_rows >> 32) * scatter->row_bytes;
    dfm_prefetch_write((const void *)row, scatter->row_bytes);
    ahead[i % AHEAD] = row;
  }
}

double dfm_bench_random_rows(const dfm_bench *bench, void *memory, size_t n_rows, size_t row_bytes) {
  dfm_scatter scatter = {memory, n_rows, row_bytes, 0};
  double best = 0;
  for (int i = 0; i < TRIES; i++) {
    scatter.key = dfm_random_u64(1, (uint64_t)i);
    const double start = dfm_seconds();
    dfm_pool_run(bench->pool, RANDOM_TASKS, scatter_task, &scatter);
    const double rate = RANDOM_ROWS / (dfm_seconds() - start);
    if (rate > best) best = rate;
  }
  return best;
}

/* ---- matrix multiply */

typedef struct dfm_multiply_run {
  const dfm_kernel *kernel;
  const dfm_peak *peak;
  dfm_gemm_args args;
  int repeats;
} dfm_multiply_run;

static void multiply_task(void *context, int task, int thread) {
  const dfm_multiply_run *run = context;
  dfm_gemm_args args = run->args;
  float *A = run->peak->operand[task];
  (void)thread;
  args.A = A;
  args.B = A + (size_t)args.M * (size_t)args.K;
  args.C = A + (size_t)args.M * (size_t)args.K + (size_t)args.K * (size_t)args.N;
  for (int i = 0; i < run->repeats; i++) run->kernel->gemm(&args);
}

/* Best rate in flops per second, all threads together. */
static double multiply_rate(const dfm_bench *bench, const dfm_peak *peak, const dfm_gemm_args *args) {
  const double flops = 2.0 * args->M * args->N * args->K * peak->threads;
  dfm_multiply_run run = {bench->kernel, peak, *args, 1};
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

/* Multiply 0 is forward, 1 dx, 2 dW. */
static dfm_gemm_args describe(int multiply, int rows, int n_in, int n_out) {
  if (multiply == 0)
    return (dfm_gemm_args){.trans_b = true, .M = rows, .N = n_out, .K = n_in, .lda = n_in, .ldb = n_in, .ldc = n_out};
  if (multiply == 1) return (dfm_gemm_args){.M = rows, .N = n_in, .K = n_out, .lda = n_out, .ldb = n_in, .ldc = n_in};
  return (dfm_gemm_args){.trans_a = true, .M = n_out, .N = n_in, .K = rows, .lda = n_out, .ldb = n_in, .ldc = n_in};
}

/* Adds a layer's multiply, or its share to one of the same shape. */
static void add_multiply(const dfm_bench *bench, dfm_peak *peak, int multiply, const dfm_layer *layer) {
  static const int rows[] = {64, 128, 256, 512};
  const double share = 2.0 * layer->n_in * layer->n_out;
  double best = 0;
  for (int i = 0; i < peak->n; i++) {
    const dfm_gemm_args *args = &peak->multiply[i].args, same = describe(multiply, 1, layer->n_in, layer->n_out);
    if (args->trans_a != same.trans_a || args->trans_b != same.trans_b || args->lda != same.lda ||
        args->ldb != same.ldb || args->ldc != same.ldc)
      continue;
    peak->multiply[i].share += share;
    return;
  }
  for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
    const dfm_gemm_args args = describe(multiply, rows[r], layer->n_in, layer->n_out);
    const double rate = multiply_rate(bench, peak, &args);
    if (rate <= best) continue;
    best = rate;
    peak->multiply[peak->n].args = args;
  }
  peak->multiply[peak->n++].share = share;
}

dfm_status dfm_peak_create(const dfm_bench *bench, const dfm_net *net, dfm_peak *peak, dfm_error *error) {
  size_t widest = 1;
  *peak = (dfm_peak){.threads = dfm_pool_threads(bench->pool)};
  for (int edge = 0; edge < net->n_edges; edge++)
    if ((size_t)net->edge_n[edge] > widest) widest = (size_t)net->edge_n[edge];
  DFM_TRY(dfm_alloc(&peak->operand, (size_t)peak->threads, sizeof *peak->operand, error));
  for (int i = 0; i < peak->threads; i++) { /* 512 rows and a square of weights are the largest operands */
    DFM_TRY(dfm_alloc(&peak->operand[i], 2 * 512 * widest + widest * widest, sizeof(float), error));
  }
  for (int i = 0; i < net->n_layers; i++)
    for (int multiply = 0; multiply < 3 && net->layer[i].kind == &dfm_layer_dense; multiply++)
      add_multiply(bench, peak, multiply, &net->layer[i]);
  return DFM_OK;
}

void dfm_peak_free(dfm_peak *peak) {
  for (int i = 0; peak->operand && i < peak->threads; i++) free(peak->operand[i]);
  free(peak->operand);
}

double dfm_peak_measure(const dfm_bench *bench, dfm_peak *peak) {
  double share = 0, seconds = 0;
  for (int i = 0; i < peak->n; i++) {
    share += peak->multiply[i].share;
    seconds += peak->multiply[i].share / multiply_rate(bench, peak, &peak->multiply[i].args);
  }
  return seconds > 0 ? share / seconds : 0;
}
