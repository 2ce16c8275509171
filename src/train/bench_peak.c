/* The peak in float32: a net comes in; the rates at which oneDNN and our kernel make the multiplies of its dense
 * layers go out. */
#include <stdlib.h>

#include "base/memory.h"
#include "kernel/onednn.h"
#include "train/bench.h"

static const double TRY_SECONDS = 0.01; /* per try */
enum { TRIES = 4 };                     /* of which the first only tells how often to repeat */
enum { MOST_ROWS = 512, OWN_ROWS = 256 };

/* Of `rows` of the batch; what is told apart by `way` is 0 for forward, 1 for dx and 2 for dW. */
static void set_shape(dfm_peak_multiply *multiply, int rows) {
  multiply->M = multiply->way == 2 ? multiply->n_out : rows;
  multiply->N = multiply->way == 0 ? multiply->n_out : multiply->n_in;
  multiply->K = multiply->way == 0 ? multiply->n_in : multiply->way == 1 ? multiply->n_out : rows;
}

/* ---- one multiply by all threads */

typedef struct multiply_run {
  const dfm_bench *bench;
  const dfm_peak *peak;
  const dfm_peak_multiply *multiply;
  _Atomic dfm_status status; /* of a task that failed */
  int repeats;
} multiply_run;

static void onednn_task(void *context, int task, int thread) {
  multiply_run *run = context;
  float *A = run->peak->operand[task].A, *C = run->peak->operand[task].C;
  dfm_error error;
  (void)thread;
  for (int i = 0; i < run->repeats; i++) {
    const dfm_status status = dfm_onednn_run(run->multiply->onednn[task], A, C, &error);
    if (status != DFM_OK) run->status = status;
  }
}

static void own_task(void *context, int task, int thread) {
  const multiply_run *run = context;
  const dfm_peak_multiply *of = run->multiply;
  const dfm_operands *operand = &run->peak->operand[task];
  dfm_multiply_args args = {.M = of->M,
                            .N = of->N,
                            .K = of->K,
                            .A = operand->A,
                            .lda = (size_t)(of->way == 2 ? of->M : of->K),
                            .B = of->way == 2 ? operand->B : operand->packed,
                            .ldb = (size_t)of->N,
                            .C = operand->C,
                            .ldc = (size_t)of->N};
  (void)thread;
  for (int i = 0; i < run->repeats; i++)
    if (of->way == 2)
      run->bench->kernel->multiply_transposed(&args);
    else
      run->bench->kernel->multiply(&args);
}

/* Best rate in flops per second, all threads together. */
static dfm_status measure(const dfm_bench *bench, const dfm_peak *peak, const dfm_peak_multiply *multiply,
                          dfm_task_fn task, double *best, dfm_error *error) {
  const double flops = 2.0 * multiply->M * multiply->N * multiply->K * peak->threads;
  multiply_run run = {.bench = bench, .peak = peak, .multiply = multiply, .repeats = 1};
  *best = 0;
  for (int i = 0; i < TRIES; i++) {
    const double start = dfm_seconds();
    dfm_pool_run(bench->pool, peak->threads, task, &run);
    const double rate = flops * run.repeats / (dfm_seconds() - start);
    if (run.status != DFM_OK) return dfm_fail(error, run.status, "oneDNN could not multiply matrices");
    if (rate > *best) *best = rate;
    if (i == 0) run.repeats = (int)(TRY_SECONDS * rate / flops) + 1;
  }
  return DFM_OK;
}

/* ---- the number of rows that suits oneDNN best */

typedef struct create_work {
  const dfm_peak *peak;
  dfm_peak_multiply *multiply;
  dfm_status status;
  dfm_error *error;
} create_work;

/* In a task, since oneDNN prepares for as many threads as it sees. */
static void create_task(void *context, int task, int thread) {
  create_work *work = context;
  const dfm_peak_multiply *of = work->multiply;
  (void)task;
  (void)thread;
  for (int i = 0; i < work->peak->threads && work->status == DFM_OK; i++)
    work->status =
        dfm_onednn_create(of->M, of->N, of->K, of->way == 0, work->peak->operand[i].B, &of->onednn[i], work->error);
}

static void free_onednn(const dfm_peak *peak, dfm_peak_multiply *multiply) {
  for (int i = 0; multiply->onednn && i < peak->threads; i++) dfm_onednn_free(multiply->onednn[i]);
  free(multiply->onednn);
  multiply->onednn = NULL;
}

static dfm_status create_onednn(const dfm_bench *bench, const dfm_peak *peak, int rows, dfm_peak_multiply *multiply,
                                dfm_error *error) {
  create_work work = {.peak = peak, .multiply = multiply, .error = error};
  set_shape(multiply, rows);
  DFM_TRY(dfm_alloc(&multiply->onednn, (size_t)peak->threads, sizeof(dfm_onednn *), error));
  dfm_pool_run(bench->pool, 1, create_task, &work);
  return work.status;
}

static dfm_status find_best(const dfm_bench *bench, const dfm_peak *peak, dfm_peak_multiply *best, dfm_error *error) {
  static const int rows[] = {64, 128, 256, MOST_ROWS};
  double best_rate = 0, rate;
  for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
    dfm_peak_multiply now = *best;
    now.onednn = NULL;
    dfm_status status = create_onednn(bench, peak, rows[r], &now, error);
    if (status == DFM_OK) status = measure(bench, peak, &now, onednn_task, &rate, error);
    dfm_peak_multiply *worse = status == DFM_OK && rate > best_rate ? best : &now;
    if (worse == &now) {
      free_onednn(peak, &now);
    } else {
      free_onednn(peak, best);
      *best = now;
      best_rate = rate;
    }
    if (status != DFM_OK) return status;
  }
  return DFM_OK;
}

/* ---- all of a net's */

/* Adds a layer's multiply, or its share to one like it. */
static dfm_status add_multiply(const dfm_bench *bench, dfm_peak *peak, int way, const dfm_layer *layer,
                               dfm_error *error) {
  const double share = 2.0 * layer->n_in * layer->n_out;
  for (int i = 0; i < peak->n; i++) {
    dfm_peak_multiply *other = &peak->multiply[i];
    if (other->way != way || other->n_in != layer->n_in || other->n_out != layer->n_out) continue;
    other->share += share;
    return DFM_OK;
  }
  dfm_peak_multiply *multiply = &peak->multiply[peak->n++];
  *multiply = (dfm_peak_multiply){.way = way, .n_in = layer->n_in, .n_out = layer->n_out, .share = share};
  return peak->has_onednn ? find_best(bench, peak, multiply, error) : DFM_OK;
}

/* The most rows are a side of each of A and C; weights, packed with columns that fill registers, are B. */
static dfm_status create_operands(const dfm_net *net, dfm_operands *operand, dfm_error *error) {
  int widest = MOST_ROWS;
  for (int edge = 0; edge < net->n_edges; edge++)
    if (net->edge_n[edge] > widest) widest = net->edge_n[edge];
  const size_t floats = dfm_packed_floats(widest, widest);
  DFM_TRY(dfm_alloc(&operand->A, floats, sizeof(float), error));
  DFM_TRY(dfm_alloc(&operand->B, floats, sizeof(float), error));
  DFM_TRY(dfm_alloc(&operand->C, floats, sizeof(float), error));
  return dfm_alloc(&operand->packed, floats, sizeof(float), error);
}

dfm_status dfm_peak_create(const dfm_bench *bench, const dfm_net *net, dfm_peak *peak, dfm_error *error) {
  *peak = (dfm_peak){.threads = dfm_pool_threads(bench->pool), .has_onednn = dfm_onednn_runs()};
  DFM_TRY(dfm_alloc(&peak->operand, (size_t)peak->threads, sizeof *peak->operand, error));
  for (int i = 0; i < peak->threads; i++) DFM_TRY(create_operands(net, &peak->operand[i], error));
  for (int i = 0; i < net->n_layers; i++)
    for (int way = 0; way < 3 && net->layer[i].kind == &dfm_layer_dense; way++)
      DFM_TRY(add_multiply(bench, peak, way, &net->layer[i], error));
  return DFM_OK;
}

void dfm_peak_free(dfm_peak *peak) {
  for (int i = 0; i < peak->n; i++) free_onednn(peak, &peak->multiply[i]);
  for (int i = 0; peak->operand && i < peak->threads; i++) {
    free(peak->operand[i].A);
    free(peak->operand[i].B);
    free(peak->operand[i].C);
    free(peak->operand[i].packed);
  }
  free(peak->operand);
}

dfm_status dfm_peak_measure(const dfm_bench *bench, const dfm_peak *peak, double *onednn, double *own,
                            dfm_error *error) {
  double share = 0, onednn_seconds = 0, own_seconds = 0, rate;
  for (int i = 0; i < peak->n; i++) {
    dfm_peak_multiply multiply = peak->multiply[i];
    share += multiply.share;
    if (peak->has_onednn) {
      DFM_TRY(measure(bench, peak, &multiply, onednn_task, &rate, error));
      onednn_seconds += multiply.share / rate;
    }
    set_shape(&multiply, OWN_ROWS);
    DFM_TRY(measure(bench, peak, &multiply, own_task, &rate, error));
    own_seconds += multiply.share / rate;
  }
  *onednn = onednn_seconds > 0 ? share / onednn_seconds : 0;
  *own = own_seconds > 0 ? share / own_seconds : 0;
  return DFM_OK;
}
