/* Kernels: a net's dimensions come in; what each kernel moves per second, on operands in the second-level cache,
 * goes out. */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "train/bench.h"

static const double TRY_SECONDS = 0.005;
enum { TRIES = 4, ROWS = 64 };

typedef struct dfm_kernel_run {
  const dfm_kernel *kernel;
  int F, K, H;                                                /* fields and width of embeddings; units */
  float *operand;                                             /* per thread: x, y, and two more of the same size */
  size_t floats;                                              /* of each */
  double (*call)(const struct dfm_kernel_run *run, float *x); /* once; returns the bytes it reads and writes */
  int repeats;
  double bytes; /* of one task */
} dfm_kernel_run;

/* A block of activations. */
static double run_bias_act(const dfm_kernel_run *run, float *x) {
  run->kernel->bias_act(x, ROWS, run->H, run->H, x + run->floats, DFM_RELU);
  return 8.0 * ROWS * run->H;
}

static double run_act_backward(const dfm_kernel_run *run, float *x) {
  run->kernel->act_backward(x, x + run->floats, ROWS, run->H, run->H, DFM_RELU);
  return 12.0 * ROWS * run->H;
}

static double run_fm_forward(const dfm_kernel_run *run, float *x) {
  const int n = run->F * run->K;
  for (int b = 0; b < ROWS; b++) run->kernel->fm_forward(x + b * n, run->F, run->K, x + run->floats);
  return 4.0 * ROWS * n;
}

static double run_fm_backward(const dfm_kernel_run *run, float *x) {
  const int n = run->F * run->K;
  for (int b = 0; b < ROWS; b++)
    run->kernel->fm_backward(x + b * n, x + run->floats + b * n, run->F, run->K, x + 2 * run->floats, 1e-3F);
  return 12.0 * ROWS * n;
}

/* Dense weights: one long span. */
static double run_adam(const dfm_kernel_run *run, float *x) {
  const dfm_adam_step step = {.beta1 = 0.9F,
                              .one_minus_beta1 = 0.1F,
                              .beta2 = 0.999F,
                              .one_minus_beta2 = 1e-3F,
                              .step_size = 1e-6F,
                              .root_scale = 1,
                              .epsilon = 1e-8F};
  const size_t n = (size_t)ROWS * (size_t)run->H;
  run->kernel->adam(x, x + run->floats, x + 2 * run->floats, x + 3 * run->floats, n, &step);
  return 28.0 * (double)n;
}

/* A row of a table after a gap. */
static double run_adam_gap(const dfm_kernel_run *run, float *x) {
  static const float c[] = {1e-6F, 1e-8F, 1e-10F, 1e-12F, 1e-14F};
  const dfm_adam_gap gap = {.terms = 5, .c = c, .u = 1, .epsilon = 1e-8F, .m_scale = 1, .v_scale = 1};
  const size_t n = (size_t)run->K + 1;
  for (size_t r = 0; r < ROWS; r++) {
    float *w = x + r * 3 * n;
    run->kernel->adam_gap(w, w + n, w + 2 * n, n, &gap);
  }
  return 24.0 * ROWS * (double)n;
}

static double run_sigmoid(const dfm_kernel_run *run, float *x) {
  const size_t n = (size_t)ROWS * (size_t)run->H;
  run->kernel->sigmoid(x + run->floats, x, n);
  return 8.0 * (double)n;
}

static const struct {
  const char *what;
  double (*call)(const dfm_kernel_run *run, float *x);
  bool needs_net;
} kernels[] = {
    {"kernel: bias and relu", run_bias_act, true},
    {"kernel: relu backward", run_act_backward, true},
    {"kernel: fm forward", run_fm_forward, false},
    {"kernel: fm backward", run_fm_backward, false},
    {"kernel: Adam", run_adam, false},
    {"kernel: Adam after a gap", run_adam_gap, false},
    {"kernel: sigmoid", run_sigmoid, false},
};

static void kernel_task(void *context, int task, int thread) {
  dfm_kernel_run *run = context;
  float *x = run->operand + (size_t)task * 4 * run->floats;
  double bytes = 0;
  (void)thread;
  for (int i = 0; i < run->repeats; i++) bytes = run->call(run, x);
  if (task == 0) run->bytes = bytes;
}

/* Bytes per second, all threads together. */
static double kernel_rate(const dfm_bench *bench, dfm_kernel_run *run) {
  const int threads = dfm_pool_threads(bench->pool);
  double best = 0;
  run->repeats = 1;
  for (int i = 0; i < TRIES; i++) {
    const double start = dfm_seconds();
    dfm_pool_run(bench->pool, threads, kernel_task, run);
    const double seconds = dfm_seconds() - start, rate = run->bytes * run->repeats * threads / seconds;
    if (rate > best) best = rate;
    if (i == 0) run->repeats = (int)(TRY_SECONDS / (seconds + 1e-9)) + 1;
  }
  return best;
}

dfm_status dfm_bench_kernels(const dfm_bench *bench, const dfm_net *net, dfm_error *error) {
  const int threads = dfm_pool_threads(bench->pool);
  dfm_kernel_run run = {.kernel = bench->kernel, .F = net->F, .K = net->fm_width, .H = 256};
  const size_t row = (size_t)(run.F * run.K), wide = row > 256 ? row : 256;
  run.floats = ROWS * (wide > 3 * (size_t)(run.K + 1) ? wide : 3 * (size_t)(run.K + 1));
  DFM_TRY(dfm_alloc(&run.operand, 4 * run.floats * (size_t)threads, sizeof(float), error));
  for (size_t i = 0; i < 4 * run.floats * (size_t)threads; i++) run.operand[i] = 0.5F;
  for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++) {
    dfm_samples samples = {0};
    run.call = kernels[k].call;
    for (int i = 0; i < bench->options->repeats; i++) dfm_sample(&samples, kernel_rate(bench, &run) / 1e9);
    dfm_bench_tell(bench, kernels[k].what, "GB/s", &samples, "second-level cache", &bench->cache, (double)NAN);
  }
  free(run.operand);
  return DFM_OK;
}
