/* Bench: a shape comes in; the rate of whole training steps, and of the matrix multiply that bounds it, go out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "train/step.h"

enum { DFM_BENCH_ROWS = 1 << 18 };           /* encoded rows in memory, so that batches do not repeat soon */
static const double DFM_BENCH_SECONDS = 1.0; /* per repeat */
static const double DFM_TRY_SECONDS = 0.01;  /* per try of one multiply */

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

/* ---- peak: the three multiplies of each dense layer at the block size that suits each best, all threads at once */

typedef struct dfm_peak {
  const dfm_kernel *kernel;
  dfm_gemm_args args;
  float **operand; /* (threads) room for A, B, C one after the other */
  size_t a, b;     /* floats of A and B */
  int repeats;
} dfm_peak;

static void multiply_task(void *context, int task, int thread) {
  const dfm_peak *peak = context;
  dfm_gemm_args args = peak->args;
  (void)thread;
  args.A = peak->operand[task];
  args.B = args.A + peak->a;
  args.C = peak->operand[task] + peak->a + peak->b;
  for (int i = 0; i < peak->repeats; i++) peak->kernel->gemm(&args);
}

/* Best rate in flops per second, all threads together, of one multiply with `rows` batch rows: 0 forward, 1 dx, 2 dW. */
static double multiply_rate(dfm_peak *peak, dfm_pool *pool, int multiply, int rows, int n_in, int n_out) {
  const double flops = 2.0 * rows * n_in * n_out;
  double best = 0;
  if (multiply == 0)
    peak->args =
        (dfm_gemm_args){.trans_b = true, .M = rows, .N = n_out, .K = n_in, .lda = n_in, .ldb = n_in, .ldc = n_out};
  if (multiply == 1)
    peak->args = (dfm_gemm_args){.M = rows, .N = n_in, .K = n_out, .lda = n_out, .ldb = n_in, .ldc = n_in};
  if (multiply == 2)
    peak->args =
        (dfm_gemm_args){.trans_a = true, .M = n_out, .N = n_in, .K = rows, .lda = n_out, .ldb = n_in, .ldc = n_in};
  peak->a = (size_t)peak->args.M * (size_t)peak->args.K;
  peak->b = (size_t)peak->args.K * (size_t)peak->args.N;
  peak->repeats = 1;
  for (int try = 0; try < 5; try++) {
    const double start = dfm_seconds();
    dfm_pool_run(pool, dfm_pool_threads(pool), multiply_task, peak);
    const double rate = flops * peak->repeats * dfm_pool_threads(pool) / (dfm_seconds() - start);
    if (rate > best) best = rate;
    peak->repeats =
        (int)(DFM_TRY_SECONDS * rate / flops / dfm_pool_threads(pool)) + 1; /* the first try only tells how many */
  }
  return best;
}

static double net_peak(dfm_peak *peak, const dfm_stepper *stepper) {
  static const int rows[] = {64, 128, 256, 512};
  double flops = 0, seconds = 0;
  for (int i = 0; i < stepper->net->n_layers; i++) {
    const dfm_layer *layer = &stepper->net->layer[i];
    if (layer->kind != &dfm_layer_dense) continue;
    for (int multiply = 0; multiply < 3; multiply++) {
      double best = 0;
      for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        const double rate = multiply_rate(peak, stepper->pool, multiply, rows[r], layer->n_in, layer->n_out);
        if (rate > best) best = rate;
      }
      flops += 2.0 * layer->n_in * layer->n_out;
      seconds += 2.0 * layer->n_in * layer->n_out / best;
    }
  }
  return seconds > 0 ? flops / seconds / 1e9 : 0;
}

static dfm_status measure_peak(const dfm_stepper *stepper, double *gflops, dfm_error *error) {
  const int threads = dfm_pool_threads(stepper->pool);
  dfm_peak peak = {.kernel = stepper->kernel};
  size_t widest = 1;
  dfm_status status;
  for (int edge = 0; edge < stepper->net->n_edges; edge++)
    if ((size_t)stepper->net->edge_n[edge] > widest) widest = (size_t)stepper->net->edge_n[edge];
  DFM_TRY(dfm_alloc(&peak.operand, (size_t)threads, sizeof *peak.operand, error));
  for (int i = 0; i < threads; i++) { /* 512 rows and a square of weights are the largest operands */
    DFM_TRY_GOTO(status, dfm_alloc(&peak.operand[i], 2 * 512 * widest + widest * widest, sizeof(float), error), done);
  }
  *gflops = net_peak(&peak, stepper);
  status = DFM_OK;
done:
  for (int i = 0; i < threads; i++) free(peak.operand[i]);
  free(peak.operand);
  return status;
}

/* ---- training steps */

static dfm_status make_recipe(const dfm_bench_options *options, dfm_recipe *recipe, dfm_error *error) {
  char hidden[256] = "", value[32];
  for (int i = 0; i < options->n_hidden && i < DFM_MAX_HIDDEN; i++) {
    snprintf(hidden + strlen(hidden), sizeof hidden - strlen(hidden), "%s%d", i ? "," : "", options->hidden[i]);
  }
  DFM_TRY(dfm_recipe_set(recipe, "model", options->model, error));
  DFM_TRY(dfm_recipe_set(recipe, "dnn.hidden", hidden, error));
  snprintf(value, sizeof value, "%d", options->width);
  DFM_TRY(dfm_recipe_set(recipe, "embedding.width", value, error));
  return dfm_recipe_check(recipe, error);
}

static dfm_status make_rows(const dfm_bench_options *options, const dfm_recipe *recipe, dfm_dataset **dataset,
                            dfm_error *error) {
  dfm_encoder *encoder = NULL;
  uint32_t *rows = NULL;
  dfm_field_settings category = recipe->data.category;
  category.width = options->width;
  DFM_TRY(dfm_alloc(&rows, (size_t)options->fields, sizeof *rows, error));
  for (int f = 0; f < options->fields; f++) rows[f] = (uint32_t)(options->ids / options->fields);
  dfm_status status = dfm_encoder_synthetic(options->fields, rows, 0, &category, &recipe->data.number, &encoder, error);
  if (status == DFM_OK) status = dfm_dataset_synthetic(encoder, DFM_BENCH_ROWS, 1, dataset, error);
  dfm_encoder_release(encoder);
  free(rows);
  return status;
}

/* Steps for DFM_BENCH_SECONDS; rows per second. */
static dfm_status time_steps(dfm_stepper *stepper, const dfm_dataset *dataset, dfm_loader *loader, int64_t *epoch,
                             double *rate, dfm_error *error) {
  const double start = dfm_seconds();
  double rows = 0, seconds = 0;
  while (seconds < DFM_BENCH_SECONDS) {
    int n;
    DFM_TRY(dfm_loader_next(loader, stepper->batch->row, &n, error));
    if (n == 0) {
      DFM_TRY(dfm_loader_seek(loader, ++*epoch, 0, error));
      continue;
    }
    DFM_TRY(dfm_stepper_run(stepper, dataset, n, 1e-3, error));
    rows += n;
    seconds = dfm_seconds() - start;
  }
  *rate = rows / seconds;
  return DFM_OK;
}

static double dense_weights(const dfm_net *net) {
  double n = 0;
  for (int i = 0; i < net->n_params; i++) n += net->param[i].part == DFM_PART_DNN ? (double)net->param[i].n : 0;
  return n;
}

static dfm_status run(const dfm_bench_options *options, dfm_stepper *stepper, const dfm_dataset *dataset,
                      dfm_loader *loader, double *rates, dfm_bench_result *result, dfm_error *error) {
  int64_t epoch = 1;
  double warm_up, peak = 0;
  DFM_TRY(dfm_loader_seek(loader, epoch, 0, error));
  DFM_TRY(time_steps(stepper, dataset, loader, &epoch, &warm_up, error));
  *result = (dfm_bench_result){0};
  for (int i = 0; i < options->repeats; i++) { /* peak and steps by turns: the machine's own ups and downs hit both */
    DFM_TRY(measure_peak(stepper, &peak, error));
    if (peak > result->peak_gflops) result->peak_gflops = peak;
    DFM_TRY(time_steps(stepper, dataset, loader, &epoch, &rates[i], error));
  }
  qsort(rates, (size_t)options->repeats, sizeof *rates, by_value);
  result->rows_per_second = rates[options->repeats / 2];
  result->rows_per_second_min = rates[0];
  result->rows_per_second_max = rates[options->repeats - 1];
  result->net_gflops = 6 * dense_weights(stepper->net) * result->rows_per_second / 1e9;
  result->bytes_per_id = (double)stepper->tables->size_bytes / (double)options->ids;
  snprintf(result->kernel, sizeof result->kernel, "%s", stepper->kernel->name);
  return DFM_OK;
}

static dfm_status check_options(const dfm_bench_options *options, dfm_error *error) {
  if (options->fields < 1 || options->ids < options->fields || options->ids / options->fields > INT32_MAX) {
    return dfm_fail(error, DFM_ERROR_VALUE, "%lld ids over %d fields; give at least one id per field",
                    (long long)options->ids, options->fields);
  }
  if (options->batch < 1 || options->batch > DFM_BENCH_ROWS) {
    return dfm_fail(error, DFM_ERROR_VALUE, "batch is %d; its range is [1, %d]", options->batch, DFM_BENCH_ROWS);
  }
  if (options->repeats < 1 || options->n_hidden < 0 || options->n_hidden > DFM_MAX_HIDDEN) {
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "%d repeats of %d hidden layers; repeats are 1 or more, hidden layers up to %d", options->repeats,
                    options->n_hidden, DFM_MAX_HIDDEN);
  }
  return DFM_OK;
}

dfm_status dfm_bench_train(const dfm_bench_options *options, dfm_bench_result *result, dfm_error *error) {
  dfm_recipe *recipe = NULL;
  dfm_dataset *dataset = NULL;
  dfm_stepper *stepper = NULL;
  dfm_loader *loader = NULL;
  double *rates = NULL;
  dfm_status status;
  DFM_TRY(check_options(options, error));
  DFM_TRY_GOTO(status, dfm_recipe_create(&recipe, error), done);
  DFM_TRY_GOTO(status, make_recipe(options, recipe, error), done);
  DFM_TRY_GOTO(status, make_rows(options, recipe, &dataset, error), done);
  DFM_TRY_GOTO(status, dfm_stepper_create(recipe, dataset, options->batch, options->threads, &stepper, error), done);
  DFM_TRY_GOTO(status, dfm_loader_create(dataset, options->batch, true, 1, &loader, error), done);
  DFM_TRY_GOTO(status, dfm_alloc(&rates, (size_t)options->repeats, sizeof *rates, error), done);
  status = run(options, stepper, dataset, loader, rates, result, error);
done:
  free(rates);
  dfm_loader_free(loader);
  dfm_stepper_free(stepper);
  dfm_dataset_free(dataset);
  dfm_recipe_free(recipe);
  return status;
}
