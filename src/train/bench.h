/* Bench: a shape comes in; what its parts reach on this machine goes out, each beside the limit that binds it.
 *
 * bench.c runs through shapes and models; bench_case.c makes what one of them trains with; bench_machine.c and
 * bench_peak.c measure limits, bench_kernel.c kernels, bench_loop.c the training loop, its parts and the scorer. */
#ifndef DFM_TRAIN_BENCH_H
#define DFM_TRAIN_BENCH_H

#include "train/step.h"

typedef struct dfm_shape {
  const char *name, *model; /* model NULL: all that have no row of their own */
  int fields, numbers, width;
  const char *hidden;
  int64_t ids;
  int batch;
  const char *optimizer;
  dfm_draw draw;
} dfm_shape;

typedef struct dfm_samples {
  double value[DFM_BENCH_REPEATS];
  int n;
} dfm_samples;

typedef struct dfm_bench {
  const dfm_bench_options *options;
  dfm_bench_sink sink;
  void *context;
  const dfm_kernel *kernel;
  dfm_pool *pool, *single; /* as many threads as asked for; one */
  const char *shape, *model;
  bool has_kernels;          /* the shape's kernels were measured */
  dfm_samples cache, memory; /* gigabytes per second, read and written, all threads */
} dfm_bench;

static inline void dfm_sample(dfm_samples *samples, double value) {
  samples->value[samples->n++] = value;
}
double dfm_samples_median(const dfm_samples *samples);

/* The samples times `by`. */
dfm_samples dfm_samples_scaled(const dfm_samples *samples, double by);

/* Tells the sink. What is bound by `bound` (NULL: nothing) has a limit for each turn, or one for all of them. */
void dfm_bench_tell(const dfm_bench *bench, const char *what, const char *unit, const dfm_samples *samples,
                    const char *bound, const dfm_samples *limit, double time_share);

/* ---- bench_case.c: a model at a shape, ready to train */

typedef struct dfm_case {
  dfm_shape shape;
  dfm_recipe *recipe;
  dfm_dataset *dataset;
  dfm_stepper *stepper;
  dfm_loader *loader;
  int64_t epoch;
  double start_seconds, touch_seconds; /* from nothing to the end of the first step; to start all rows of tables */
} dfm_case;

/* `made` is freed in any case. All rows of its tables are there, last touched at steps as far back as they come
 * round. */
dfm_status dfm_case_create(const dfm_bench *bench, const dfm_shape *shape, const char *model, dfm_case *made,
                           dfm_error *error);
void dfm_case_free(dfm_case *made);
/* Whole steps for at least `seconds`; rows per second. */
dfm_status dfm_case_run(dfm_case *made, double seconds, int64_t *steps, double *rate, dfm_error *error);

/* ---- bench_machine.c: limits */

/* Bytes per second that all threads together add one array to another with: `floats` each, per thread. */
dfm_status dfm_bench_bandwidth(const dfm_bench *bench, size_t floats, double *rate, dfm_error *error);
/* Rows of `row_bytes` per second, read and written back at random places of `memory`, all threads together, each
 * asked for ahead. */
double dfm_bench_random_rows(const dfm_bench *bench, void *memory, size_t n_rows, size_t row_bytes);

/* ---- bench_peak.c: the three multiplies of each dense layer, by oneDNN at the number of rows that suits it best,
 * and by ours */

enum { DFM_MULTIPLIES = 3 * DFM_MAX_LAYERS };
typedef struct dfm_peak_multiply {
  int way, n_in, n_out;       /* way: 0 forward, 1 dx, 2 dW */
  int M, N, K;                /* as it suits oneDNN */
  struct dfm_onednn **onednn; /* (threads) */
  double share;               /* of the net's flops */
} dfm_peak_multiply;
typedef struct dfm_operands {
  float *A, *B, *C, *packed;
} dfm_operands;
typedef struct dfm_peak {
  dfm_peak_multiply multiply[DFM_MULTIPLIES];
  int n;
  bool has_onednn;
  dfm_operands *operand; /* (threads) */
  int threads;
} dfm_peak;
/* `peak` is freed in any case. */
dfm_status dfm_peak_create(const dfm_bench *bench, const dfm_net *net, dfm_peak *peak, dfm_error *error);
void dfm_peak_free(dfm_peak *peak);
/* Flops per second, all threads together; 0 where the net multiplies nothing, or the build has no oneDNN. */
dfm_status dfm_peak_measure(const dfm_bench *bench, const dfm_peak *peak, double *onednn, double *own,
                            dfm_error *error);

/* ---- bench_tiles.c: the same multiplies in tiles, of 512 rows, without the conversions around them */
dfm_status dfm_bench_tiles_peak(const dfm_bench *bench, const dfm_net *net, const dfm_tiles *tiles, double *rate,
                                dfm_error *error);

/* ---- the parts of the result */
dfm_status dfm_bench_kernels(const dfm_bench *bench, const dfm_net *net, dfm_error *error);
dfm_status dfm_bench_loop(dfm_bench *bench, const dfm_shape *shape, dfm_error *error);

#endif
