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
    dfm_prefetch_far((const void *)row, scatter->row_bytes);
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
