/* Bench: names of shapes and models come in; the results of all that they name go to the sink. */
#include "train/bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* Fields are those of Criteo's rows. Ids are even, so that nearly every place of a batch is a row of its own; of
 * wide models, whose peers are measured on rows as they occur, by a power law, in batches with which one pass learns
 * well. FFM has a vector per pair of fields: its width is 4, and at L it would take 13 GB. XL differs from L in its
 * net alone. */
static const dfm_shape shapes[] = {
    {"S", NULL, 26, 13, 4, "256,256,128", 40000, 256, "adam", DFM_DRAW_EVEN},
    {"M", NULL, 26, 13, 10, "400,400,400", 1000000, 4096, "adam", DFM_DRAW_EVEN},
    {"M", "ffm", 26, 13, 4, "", 1000000, 4096, "adam", DFM_DRAW_EVEN},
    {"L", "lr", 26, 13, 1, "", 10000000, 4096, "adam", DFM_DRAW_EVEN},
    {"L", "fm", 26, 13, 16, "", 10000000, 4096, "adam", DFM_DRAW_EVEN},
    {"L", "deepfm", 26, 13, 16, "400,400,400", 10000000, 4096, "adam", DFM_DRAW_EVEN},
    {"XL", "deepfm", 26, 13, 16, "1000,1000,1000,1000,1000", 10000000, 4096, "adam", DFM_DRAW_EVEN},
    {"W", "lr", 39, 0, 1, "", 1000000, 256, "adagrad", DFM_DRAW_POWER},
    {"W", "fm", 39, 0, 8, "", 1000000, 256, "adagrad", DFM_DRAW_POWER},
    {"W", "ffm", 39, 0, 4, "", 1000000, 256, "adagrad", DFM_DRAW_POWER},
};
enum { N_SHAPES = sizeof shapes / sizeof *shapes };

/* ---- results */

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

double dfm_samples_median(const dfm_samples *samples) {
  dfm_samples sorted = *samples;
  qsort(sorted.value, (size_t)sorted.n, sizeof *sorted.value, by_value);
  return (sorted.value[(sorted.n - 1) / 2] + sorted.value[sorted.n / 2]) / 2;
}

dfm_samples dfm_samples_scaled(const dfm_samples *samples, double by) {
  dfm_samples scaled = *samples;
  for (int i = 0; i < scaled.n; i++) scaled.value[i] *= by;
  return scaled;
}

/* Turn by turn: the machine's own ups and downs hit both. */
static double limit_share(const dfm_samples *samples, const dfm_samples *limit) {
  dfm_samples share = *samples;
  for (int i = 0; i < share.n; i++) share.value[i] /= limit->n == share.n ? limit->value[i] : dfm_samples_median(limit);
  return dfm_samples_median(&share);
}

void dfm_bench_tell(const dfm_bench *bench, const char *what, const char *unit, const dfm_samples *samples,
                    const char *bound, const dfm_samples *limit, double time_share) {
  dfm_measure measure = {.shape = bench->shape,
                         .model = bench->model,
                         .what = what,
                         .unit = unit,
                         .median = dfm_samples_median(samples),
                         .least = samples->value[0],
                         .greatest = samples->value[0],
                         .bound = bound,
                         .limit = bound ? dfm_samples_median(limit) : (double)NAN,
                         .limit_share = bound ? limit_share(samples, limit) : (double)NAN,
                         .time_share = time_share};
  for (int i = 1; i < samples->n; i++) {
    measure.least = fmin(measure.least, samples->value[i]);
    measure.greatest = fmax(measure.greatest, samples->value[i]);
  }
  bench->sink(bench->context, &measure);
}

/* ---- what is to be measured */

/* The model's row of the shape; NULL where the shape is not for it. */
static const dfm_shape *find_shape(const char *shape, const char *model) {
  const dfm_shape *any = NULL;
  for (int i = 0; i < N_SHAPES; i++) {
    if (strcmp(shapes[i].name, shape) != 0) continue;
    if (shapes[i].model && strcmp(shapes[i].model, model) == 0) return &shapes[i];
    if (!shapes[i].model) any = &shapes[i];
  }
  return any;
}

static bool is_wanted(const dfm_bench_options *options, const char *model) {
  return strcmp(options->model, "all") == 0 || strcmp(options->model, model) == 0;
}

static dfm_status check_shape(const dfm_bench_options *options, dfm_error *error) {
  const dfm_model_kind *kind;
  const char *name = options->shape;
  bool is_known = strcmp(name, "all") == 0;
  for (int i = 0; i < N_SHAPES; i++) is_known |= strcmp(shapes[i].name, name) == 0;
  if (!is_known)
    return dfm_fail(error, DFM_ERROR_VALUE, "there is no shape '%.50s'; the shapes are S, M, L, XL, W and all", name);
  if (strcmp(options->model, "all") != 0) DFM_TRY(dfm_model_kind_find(options->model, &kind, error));
  if (strcmp(name, "all") == 0) return DFM_OK;
  for (size_t i = 0; (kind = dfm_model_kind_at(i)); i++)
    if (is_wanted(options, kind->name) && find_shape(name, kind->name)) return DFM_OK;
  return dfm_fail(error, DFM_ERROR_VALUE, "shape %s is not for model %s; choose another shape or model", name,
                  options->model);
}

static dfm_status check_options(const dfm_bench_options *options, dfm_error *error) {
  DFM_TRY(check_shape(options, error));
  if (options->ids < 0 || options->ids > INT32_MAX)
    return dfm_fail(error, DFM_ERROR_VALUE, "%lld ids; the range is [1, %d]", (long long)options->ids, INT32_MAX);
  if (options->batch < 0 || options->batch > 1 << 20)
    return dfm_fail(error, DFM_ERROR_VALUE, "batch is %d; its range is [1, %d]", options->batch, 1 << 20);
  if (options->repeats < 1 || options->repeats > DFM_BENCH_REPEATS || !(options->seconds > 0)) {
    return dfm_fail(error, DFM_ERROR_VALUE, "%d repeats of %g seconds; repeats are from 1 to %d, and seconds positive",
                    options->repeats, options->seconds, (int)DFM_BENCH_REPEATS);
  }
  if (options->n_hidden < 0 || options->n_hidden > DFM_MAX_HIDDEN)
    return dfm_fail(error, DFM_ERROR_VALUE, "%d hidden layers; at most %d can be", options->n_hidden, DFM_MAX_HIDDEN);
  return DFM_OK;
}

/* One model at one shape, as the options change it. */
static dfm_status run_case(dfm_bench *bench, const dfm_shape *row, const char *model, dfm_error *error) {
  const dfm_bench_options *options = bench->options;
  dfm_shape shape = *row;
  char hidden[256] = "";
  for (int i = 0; i < options->n_hidden; i++)
    snprintf(hidden + strlen(hidden), sizeof hidden - strlen(hidden), "%s%d", i ? "," : "", options->hidden[i]);
  if (options->hidden) shape.hidden = hidden;
  if (options->width > 0) shape.width = options->width;
  if (options->ids > 0) shape.ids = options->ids;
  if (options->batch > 0) shape.batch = options->batch;
  bench->shape = shape.name;
  bench->model = model;
  const dfm_status status = dfm_bench_loop(bench, &shape, error);
  bench->has_kernels = true;
  bench->shape = bench->model = "";
  return status;
}

static dfm_status run_shape(dfm_bench *bench, const char *name, dfm_error *error) {
  const dfm_model_kind *kind;
  bench->has_kernels = false;
  for (size_t i = 0; (kind = dfm_model_kind_at(i)); i++) {
    const dfm_shape *shape = is_wanted(bench->options, kind->name) ? find_shape(name, kind->name) : NULL;
    if (shape) DFM_TRY(run_case(bench, shape, kind->name, error));
  }
  return DFM_OK;
}

static dfm_status run_shapes(dfm_bench *bench, dfm_error *error) {
  const char *last = "";
  for (int i = 0; i < N_SHAPES; i++) {
    const char *name = shapes[i].name;
    if (strcmp(name, last) == 0) continue;
    last = name;
    if (strcmp(bench->options->shape, "all") != 0 && strcmp(bench->options->shape, name) != 0) continue;
    DFM_TRY(run_shape(bench, name, error));
  }
  return DFM_OK;
}

/* ---- the machine */

/* Twice 32 K floats per thread lie in the second-level cache; twice 16 M in memory. */
static dfm_status measure_bandwidth(dfm_bench *bench, dfm_error *error) {
  double rate;
  for (int i = 0; i < bench->options->repeats; i++) {
    DFM_TRY(dfm_bench_bandwidth(bench, 1 << 15, &rate, error));
    dfm_sample(&bench->cache, rate / 1e9);
    DFM_TRY(dfm_bench_bandwidth(bench, 1 << 24, &rate, error));
    dfm_sample(&bench->memory, rate / 1e9);
  }
  dfm_bench_tell(bench, "second-level cache, y += x", "GB/s", &bench->cache, NULL, NULL, (double)NAN);
  dfm_bench_tell(bench, "memory, y += x", "GB/s", &bench->memory, NULL, NULL, (double)NAN);
  return DFM_OK;
}

dfm_status dfm_bench_kernel(const char **name, dfm_error *error) {
  const dfm_kernel *kernel;
  DFM_TRY(dfm_kernel_pick(&kernel, error));
  *name = kernel->name;
  return DFM_OK;
}

dfm_status dfm_bench_run(const dfm_bench_options *options, dfm_bench_sink sink, void *context, dfm_error *error) {
  dfm_bench bench = {.options = options, .sink = sink, .context = context, .shape = "", .model = ""};
  dfm_status status;
  DFM_TRY(check_options(options, error));
  DFM_TRY_GOTO(status, dfm_kernel_pick(&bench.kernel, error), done);
  DFM_TRY_GOTO(status, dfm_pool_create(options->threads, &bench.pool, error), done);
  DFM_TRY_GOTO(status, dfm_pool_create(1, &bench.single, error), done);
  DFM_TRY_GOTO(status, measure_bandwidth(&bench, error), done);
  status = run_shapes(&bench, error);
done:
  dfm_pool_free(bench.pool);
  dfm_pool_free(bench.single);
  return status;
}
