/* The loop: a model at a shape comes in; its limits, whole training steps with their parts, and scoring go out,
 * measured in turns. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"
#include "table/row.h"
#include "train/bench.h"

/* The vocabulary that others are compared with. */
enum { FEW_IDS = 1000000 };

typedef struct dfm_loop {
  const dfm_bench *bench;
  dfm_case main, few; /* few: the same with FEW_IDS, where the shape has more */
  dfm_peak peak_of;
  dfm_dense *bf16;             /* the net's multiplies in bfloat16; NULL: it has none, or the CPU has not */
  dfm_optimizer *exact, *lazy; /* Adam's: both are told of every step */
  dfm_busy *busy;              /* (threads) */
  dfm_predictor *predictor;
  dfm_plain_rows *plain; /* (F) */
  float *probability;    /* (rows) */
  bool has_few;
  dfm_samples peak, own, bf16_peak,
      rows; /* flops, `peak` oneDNN's where the build has it; rows of the tables per second */
  dfm_samples step, lazy_step, single, fewer, score; /* rows per second */
  dfm_samples bf16_step, bf16_score;                 /* the same with multiplies in bfloat16 */
  dfm_samples by_lazy, by_single, by_fewer;          /* ratios within a turn */
  dfm_samples by_float32;
  dfm_samples work[DFM_WORKS], bf16_work[DFM_WORKS]; /* thread seconds per row */
  double bytes;                                      /* resident */
} dfm_loop;

static double dense_weights(const dfm_net *net) {
  double n = 0;
  for (int i = 0; i < net->n_params; i++) n += net->param[i].part == DFM_PART_DNN ? (double)net->param[i].n : 0;
  return n;
}

static double resident_bytes(void) {
  long long size, resident = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (!file) return (double)NAN;
  const bool is_read = fscanf(file, "%lld %lld", &size, &resident) == 2;
  fclose(file);
  return is_read ? (double)resident * (double)sysconf(_SC_PAGESIZE) : (double)NAN;
}

/* ---- what is measured in each turn */

/* Steps with the other optimizer; afterwards both have counted the same steps. */
static dfm_status run_lazy(dfm_loop *loop, double seconds, double *rate, dfm_error *error) {
  dfm_stepper *stepper = loop->main.stepper;
  int64_t steps;
  stepper->optimizer = loop->lazy;
  stepper->tables->optimizer = loop->lazy;
  const dfm_status status = dfm_case_run(&loop->main, seconds, &steps, rate, error);
  stepper->optimizer = loop->exact;
  stepper->tables->optimizer = loop->exact;
  DFM_TRY(status);
  for (int64_t i = 0; i < steps; i++) DFM_TRY(dfm_optimizer_begin(loop->exact, 1e-3, error));
  return DFM_OK;
}

static dfm_status run_exact(dfm_loop *loop, double seconds, double *rate, dfm_error *error) {
  int64_t steps;
  DFM_TRY(dfm_case_run(&loop->main, seconds, &steps, rate, error));
  for (int64_t i = 0; loop->lazy && i < steps; i++) DFM_TRY(dfm_optimizer_begin(loop->lazy, 1e-3, error));
  return DFM_OK;
}

static dfm_status run_single(dfm_loop *loop, double seconds, double *rate, dfm_error *error) {
  dfm_stepper *stepper = loop->main.stepper;
  dfm_pool *all = stepper->pool;
  stepper->pool = loop->bench->single;
  const dfm_status status = run_exact(loop, seconds, rate, error);
  stepper->pool = all;
  return status;
}

/* Adds the time of each kind of work to `work`. */
static dfm_status run_measured(dfm_loop *loop, double seconds, dfm_samples work[DFM_WORKS], double *rate,
                               dfm_error *error) {
  dfm_stepper *stepper = loop->main.stepper;
  const int threads = dfm_pool_threads(stepper->pool);
  for (int i = 0; i < threads; i++) loop->busy[i] = (dfm_busy){{0}};
  dfm_stepper_measure(stepper, loop->busy);
  const double start = dfm_seconds();
  const dfm_status status = run_exact(loop, seconds, rate, error);
  const double passed = dfm_seconds() - start;
  dfm_stepper_measure(stepper, NULL);
  for (int kind = 0; kind < DFM_WORKS; kind++) {
    double sum = 0;
    for (int i = 0; i < threads; i++) sum += loop->busy[i].seconds[kind];
    dfm_sample(&work[kind], sum / (passed * *rate));
  }
  return status;
}

static dfm_status run_bf16(dfm_loop *loop, double seconds, double *rate, dfm_error *error) {
  dfm_stepper *stepper = loop->main.stepper;
  dfm_executor_use(stepper->executor, loop->bf16, 0);
  const dfm_status status = run_measured(loop, seconds, loop->bf16_work, rate, error);
  dfm_executor_use(stepper->executor, stepper->dense, 0);
  return status;
}

/* As rows of a model file are read: as they are. */
static const float *plain_row(const void *context, int f, uint32_t id, float *scratch) {
  const dfm_tables *tables = context;
  (void)scratch;
  return dfm_row_at(&tables->table[f], id).w;
}

static dfm_status list_plain_rows(dfm_loop *loop, dfm_error *error) {
  const dfm_tables *tables = loop->main.stepper->tables;
  DFM_TRY(dfm_alloc(&loop->plain, (size_t)tables->F, sizeof *loop->plain, error));
  for (int f = 0; f < tables->F; f++)
    loop->plain[f] = (dfm_plain_rows){tables->table[f].rows, (size_t)tables->table[f].stride};
  return DFM_OK;
}

static dfm_status run_score(dfm_loop *loop, bool is_bf16, double seconds, double *rate, dfm_error *error) {
  const int64_t n = dfm_dataset_rows(loop->main.dataset), at_once = 1 << 15;
  DFM_TRY(dfm_predictor_fix(loop->predictor, is_bf16, loop->main.stepper->pool, error));
  const double start = dfm_seconds();
  double rows = 0, passed = 0;
  for (int64_t first = 0; passed<seconds; first = first + 2 * at_once> n ? 0 : first + at_once) {
    const int64_t here = n < at_once ? n : at_once;
    DFM_TRY(dfm_predictor_run(loop->predictor, loop->main.stepper->pool, loop->main.dataset, first, here,
                              loop->probability, error));
    rows += (double)here;
    passed = dfm_seconds() - start;
  }
  *rate = rows / passed;
  return DFM_OK;
}

static dfm_status measure_limits(dfm_loop *loop, dfm_error *error) {
  const dfm_tables *tables = loop->main.stepper->tables;
  const dfm_table *table = &tables->table[0];
  const size_t row_bytes = (size_t)table->stride * sizeof(float);
  const dfm_tiles *tiles = dfm_kernel_tiles(loop->bench->kernel, false);
  double rate, own;
  DFM_TRY(dfm_peak_measure(loop->bench, &loop->peak_of, &rate, &own, error));
  if (tiles) DFM_TRY(dfm_bench_tiles_peak(loop->bench, loop->main.stepper->net, tiles, &own, error));
  dfm_sample(&loop->peak, loop->peak_of.has_onednn ? rate : own);
  dfm_sample(&loop->own, own);
  if (loop->bf16) {
    DFM_TRY(dfm_bench_tiles_peak(loop->bench, loop->main.stepper->net, dfm_kernel_tiles(loop->bench->kernel, true),
                                 &rate, error));
    dfm_sample(&loop->bf16_peak, rate);
  }
  dfm_sample(&loop->rows, dfm_bench_random_rows(loop->bench, tables->pages, tables->size_bytes / row_bytes, row_bytes));
  return DFM_OK;
}

static dfm_status run_turn(dfm_loop *loop, dfm_error *error) {
  const double seconds = loop->bench->options->seconds;
  double step, other;
  DFM_TRY(measure_limits(loop, error));
  DFM_TRY(run_measured(loop, seconds, loop->work, &step, error));
  dfm_sample(&loop->step, step);
  if (loop->bf16) {
    DFM_TRY(run_bf16(loop, seconds, &other, error));
    dfm_sample(&loop->bf16_step, other);
    dfm_sample(&loop->by_float32, other / step);
  }
  if (loop->lazy) {
    DFM_TRY(run_lazy(loop, seconds, &other, error));
    dfm_sample(&loop->lazy_step, other);
    dfm_sample(&loop->by_lazy, step / other);
  }
  if (dfm_pool_threads(loop->bench->pool) > 1) {
    DFM_TRY(run_single(loop, seconds, &other, error));
    dfm_sample(&loop->single, other);
    dfm_sample(&loop->by_single, step / other);
  }
  if (loop->has_few) {
    DFM_TRY(dfm_case_run(&loop->few, seconds, NULL, &other, error));
    dfm_sample(&loop->fewer, other);
    dfm_sample(&loop->by_fewer, step / other);
  }
  DFM_TRY(run_score(loop, false, seconds, &other, error));
  dfm_sample(&loop->score, other);
  if (loop->bf16) {
    DFM_TRY(run_score(loop, true, seconds, &other, error));
    dfm_sample(&loop->bf16_score, other);
  }
  return DFM_OK;
}

/* ---- results */

static void tell(const dfm_loop *loop, const char *what, const char *unit, const dfm_samples *samples,
                 const char *bound, const dfm_samples *limit) {
  if (samples->n > 0) dfm_bench_tell(loop->bench, what, unit, samples, bound, limit, (double)NAN);
}

/* The part's share of all threads' time; of the mean over turns, so that shares add up. */
static double time_share(const dfm_loop *loop, int work) {
  const double threads = dfm_pool_threads(loop->bench->pool);
  double sum = 0;
  for (int i = 0; i < loop->step.n; i++) sum += loop->work[work].value[i] * loop->step.value[i] / threads;
  return sum / loop->step.n;
}

/* A part's rate is that of all threads, had they nothing else to do. */
static void tell_parts(const dfm_loop *loop) {
  const dfm_net *net = loop->main.stepper->net;
  const double W = dense_weights(net), F = net->F, threads = dfm_pool_threads(loop->bench->pool);
  const dfm_samples peak = dfm_samples_scaled(&loop->peak, 1e-9), rows = dfm_samples_scaled(&loop->rows, 1e-6);
  const double cells = 4 * (F + net->D + 1) * 2;
  const struct {
    const char *what, *unit, *bound;
    double per_row; /* units of work; 0: not counted */
    const dfm_samples *limit;
  } parts[DFM_WORKS] = {
      [DFM_WORK_FILL] = {"part: rows into the batch", "GB/s", "memory", cells / 1e9, &loop->bench->memory},
      [DFM_WORK_GATHER] = {"part: plan and gather", "M rows/s", "random rows", F / 1e6, &rows},
      [DFM_WORK_EMBED] = {"part: embed", "GB/s", "second-level cache", 8.0 * net->edge_n[DFM_EDGE_EMBED] / 1e9,
                          &loop->bench->cache},
      [DFM_WORK_FORWARD] = {"part: forward", "GFLOP/s", "matrix multiply", 2 * W / 1e9, &peak},
      [DFM_WORK_BACKWARD] = {"part: backward", "GFLOP/s", "matrix multiply", 2 * W / 1e9, &peak},
      [DFM_WORK_DENSE] = {"part: dense gradients, step", "GFLOP/s", "matrix multiply", 2 * W / 1e9, &peak},
      [DFM_WORK_ROWS] = {"part: table rows' step", "M rows/s", "random rows", F / 1e6, &rows},
  };
  double waiting = 1;
  for (int work = 0; work < DFM_WORKS; work++) {
    dfm_samples rate = {0};
    const double share = time_share(loop, work);
    const bool is_counted = parts[work].per_row > 0;
    waiting -= share;
    for (int i = 0; i < loop->work[work].n; i++)
      dfm_sample(&rate, (is_counted ? parts[work].per_row : 1e-6) * threads / loop->work[work].value[i]);
    dfm_bench_tell(loop->bench, parts[work].what, is_counted ? parts[work].unit : "M rows/s", &rate,
                   is_counted ? parts[work].bound : NULL, parts[work].limit, share);
  }
  const dfm_samples rest = {.value = {100 * waiting}, .n = 1};
  dfm_bench_tell(loop->bench, "part: waiting, between phases", "%", &rest, NULL, NULL, waiting);
}

/* What bfloat16 changes: its peak, the step, and the parts that multiply. */
static void tell_bf16(const dfm_loop *loop) {
  static const struct {
    dfm_work work;
    const char *what;
  } parts[] = {{DFM_WORK_FORWARD, "bf16 part: forward"},
               {DFM_WORK_BACKWARD, "bf16 part: backward"},
               {DFM_WORK_DENSE, "bf16 part: gradients, step"}};
  const double W = dense_weights(loop->main.stepper->net), threads = dfm_pool_threads(loop->bench->pool);
  const dfm_samples peak = dfm_samples_scaled(&loop->bf16_peak, 1e-9),
                    limit = dfm_samples_scaled(&loop->bf16_peak, 1 / (6 * W));
  if (!loop->bf16) {
    const dfm_samples none = {.value = {(double)NAN}, .n = 1};
    if (W > 0) tell(loop, "bf16: not here, the CPU, kernel or build has none", "", &none, NULL, NULL);
    return;
  }
  tell(loop, "matrix multiply, bf16", "GFLOP/s", &peak, NULL, NULL);
  tell(loop, "training step, bf16", "rows/s", &loop->bf16_step, "bf16 multiply", &limit);
  for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
    dfm_samples rate = loop->bf16_work[parts[p].work];
    double share = 0;
    for (int i = 0; i < rate.n; i++) {
      share += rate.value[i] * loop->bf16_step.value[i] / threads / rate.n;
      rate.value[i] = 2 * W / 1e9 * threads / rate.value[i];
    }
    dfm_bench_tell(loop->bench, parts[p].what, "GFLOP/s", &rate, "bf16 multiply", &peak, share);
  }
  tell(loop, "bf16 / float32", "x", &loop->by_float32, NULL, NULL);
}

static void tell_one(const dfm_loop *loop, const char *what, const char *unit, double value) {
  const dfm_samples one = {.value = {value}, .n = 1};
  tell(loop, what, unit, &one, NULL, NULL);
}

static void tell_start(const dfm_loop *loop) {
  const dfm_case *made = &loop->main;
  const double ids = (double)made->shape.ids;
  tell_one(loop, "start to the first step's end", "s", made->start_seconds);
  tell_one(loop, "first touch of all table rows", "M rows/s", ids / made->touch_seconds / 1e6);
  tell_one(loop, "tables, per id", "bytes", (double)made->stepper->tables->size_bytes / ids);
  tell_one(loop, "resident memory but the data", "GB", loop->bytes / 1e9);
}

static void tell_all(const dfm_loop *loop) {
  const double W = dense_weights(loop->main.stepper->net), F = loop->main.stepper->net->F;
  const dfm_samples peak = dfm_samples_scaled(&loop->peak, 1e-9), random = dfm_samples_scaled(&loop->rows, 1e-6);
  const char *bound = W > 0 ? "matrix multiply" : "random rows";
  const dfm_samples limit =
      W > 0 ? dfm_samples_scaled(&loop->peak, 1 / (6 * W)) : dfm_samples_scaled(&loop->rows, 1 / F);
  const dfm_samples score_limit = W > 0 ? dfm_samples_scaled(&limit, 3) : limit;
  const dfm_samples threads = {.value = {dfm_pool_threads(loop->bench->pool)}, .n = 1};
  if (W > 0) {
    const dfm_samples own = dfm_samples_scaled(&loop->own, 1e-9);
    tell(loop, "matrix multiply, float32", "GFLOP/s", &peak, NULL, NULL);
    if (loop->peak_of.has_onednn) tell(loop, "matrix multiply, ours", "GFLOP/s", &own, "matrix multiply", &peak);
  }
  tell(loop, "random rows of the tables", "M rows/s", &random, NULL, NULL);
  tell(loop, "training step", "rows/s", &loop->step, bound, &limit);
  tell_parts(loop);
  tell_bf16(loop);
  tell(loop, "training step, one thread", "rows/s", &loop->single, NULL, NULL);
  tell(loop, "all threads / one thread", "x", &loop->by_single, "threads", &threads);
  tell(loop, "training step, lazy Adam", "rows/s", &loop->lazy_step, bound, &limit);
  tell(loop, "exact Adam / lazy Adam", "x", &loop->by_lazy, NULL, NULL);
  tell(loop, "training step, 1,000,000 ids", "rows/s", &loop->fewer, bound, &limit);
  tell(loop, "all ids / 1,000,000 ids", "x", &loop->by_fewer, NULL, NULL);
  tell(loop, "scoring", "rows/s", &loop->score, bound, &score_limit);
  if (loop->bf16) tell(loop, "scoring, bf16", "rows/s", &loop->bf16_score, NULL, NULL);
  tell_start(loop);
}

/* ---- life */

static dfm_status create_lazy(dfm_loop *loop, dfm_error *error) {
  dfm_optimizer_settings settings = dfm_stepper_optimizer(loop->main.recipe);
  loop->exact = loop->main.stepper->optimizer;
  if (settings.name != DFM_ADAM) return DFM_OK;
  settings.lazy = true;
  DFM_TRY(dfm_optimizer_create(&settings, loop->bench->kernel, &loop->lazy, error));
  return dfm_optimizer_restore(loop->lazy, dfm_optimizer_step_count(loop->exact), NULL, 0, error);
}

static dfm_status create(dfm_loop *loop, const dfm_shape *shape, dfm_error *error) {
  const dfm_bench *bench = loop->bench;
  dfm_shape few = *shape;
  DFM_TRY(dfm_case_create(bench, shape, bench->model, &loop->main, error));
  const dfm_stepper *stepper = loop->main.stepper;
  DFM_TRY(list_plain_rows(loop, error));
  const dfm_row_source source = {stepper->tables, plain_row, loop->plain};
  DFM_TRY(dfm_alloc(&loop->probability, (size_t)dfm_dataset_rows(loop->main.dataset), sizeof(float), error));
  DFM_TRY(dfm_pages_alloc(&loop->busy, (size_t)dfm_pool_threads(bench->pool) * sizeof *loop->busy, error));
  DFM_TRY(dfm_predictor_create(stepper->net, bench->kernel, stepper->weight, &source, bench->pool, &loop->predictor,
                               error));
  DFM_TRY(dfm_case_run(&loop->main, bench->options->seconds, NULL, &(double){0}, error)); /* warm-up */
  DFM_TRY(create_lazy(loop, error));
  loop->bytes =
      resident_bytes() - (double)(dfm_dataset_rows(loop->main.dataset) * dfm_dataset_row_bytes(loop->main.dataset));
  few.ids = FEW_IDS;
  loop->has_few = shape->ids > FEW_IDS;
  if (loop->has_few) {
    DFM_TRY(dfm_case_create(bench, &few, bench->model, &loop->few, error));
    DFM_TRY(dfm_case_run(&loop->few, bench->options->seconds, NULL, &(double){0}, error));
  }
  DFM_TRY(dfm_peak_create(bench, stepper->net, &loop->peak_of, error));
  if (dense_weights(stepper->net) == 0 || !dfm_kernel_has_bf16(bench->kernel)) return DFM_OK;
  DFM_TRY(dfm_stepper_dense(stepper, shape->batch, true, &loop->bf16, error));
  dfm_executor_use(stepper->executor, loop->bf16, 0);
  const dfm_status status = dfm_case_run(&loop->main, bench->options->seconds, NULL, &(double){0}, error); /* warm-up */
  dfm_executor_use(stepper->executor, stepper->dense, 0);
  return status;
}

static void clear(dfm_loop *loop) {
  dfm_peak_free(&loop->peak_of);
  dfm_dense_free(loop->bf16);
  dfm_predictor_free(loop->predictor);
  free(loop->probability);
  free(loop->plain);
  if (loop->busy) dfm_pages_free(loop->busy, (size_t)dfm_pool_threads(loop->bench->pool) * sizeof *loop->busy);
  dfm_case_free(&loop->few);
  dfm_case_free(&loop->main);
  dfm_optimizer_free(loop->lazy);
}

dfm_status dfm_bench_loop(dfm_bench *bench, const dfm_shape *shape, dfm_error *error) {
  dfm_loop *loop;
  DFM_TRY(dfm_alloc(&loop, 1, sizeof *loop, error));
  loop->bench = bench;
  dfm_status status = create(loop, shape, error);
  for (int i = 0; status == DFM_OK && i < bench->options->repeats; i++) status = run_turn(loop, error);
  if (status == DFM_OK) {
    tell_all(loop);
    if (!bench->has_kernels) status = dfm_bench_kernels(bench, loop->main.stepper->net, error);
  }
  clear(loop);
  free(loop);
  return status;
}
