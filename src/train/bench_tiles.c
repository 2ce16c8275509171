/* The peak of tiles: a net comes in; the rate at which those of its dense layers' shapes are multiplied goes out. */
#include "base/clock.h"
#include "base/memory.h"
#include "train/bench.h"

static const double LEAST_SECONDS = 0.01;
enum { ROWS = 512, TRIES = 4 };

typedef struct tiles_run {
  const dfm_tiles *tiles;
  const dfm_net *net;
  uint16_t *operand; /* as many numbers as any of the net's takes; all threads read them */
  int repeats;
} tiles_run;

static int blocks_of(int n) {
  return (n + DFM_TILE_BLOCK - 1) / DFM_TILE_BLOCK;
}

/* All in blocks. The columns of B are outside, as in training. */
static void multiply(const tiles_run *run, int M, int N, int K) {
  const size_t strip = (size_t)(K * run->tiles->parts) * DFM_TILE_NUMBERS;
  _Alignas(64) float c[DFM_TILE_BLOCK_FLOATS];
  for (int n = 0; n < N; n++)
    for (int m = 0; m < M; m++) {
      const uint16_t *a = run->operand + (size_t)m * 2 * strip, *b = run->operand + (size_t)n * 2 * strip;
      const dfm_tile_strips strips = {.a = {a, a + strip}, .b = {b, b + strip}, .depth = K, .rows = DFM_TILE_BLOCK};
      run->tiles->multiply(c, &strips, false, NULL);
    }
}

static void multiply_task(void *context, int task, int thread) {
  const tiles_run *run = context;
  (void)task;
  (void)thread;
  run->tiles->begin();
  for (int repeat = 0; repeat < run->repeats; repeat++)
    for (int i = 0; i < run->net->n_layers; i++) {
      const dfm_layer *layer = &run->net->layer[i];
      const int rows = blocks_of(ROWS), in = blocks_of(layer->n_in), out = blocks_of(layer->n_out);
      if (layer->kind != &dfm_layer_dense) continue;
      multiply(run, rows, out, in);
      multiply(run, rows, in, out);
      multiply(run, out, in, rows);
    }
  run->tiles->end();
}

/* What is padding does not count. */
static double flops_of(const dfm_net *net) {
  double flops = 0;
  for (int i = 0; i < net->n_layers; i++)
    if (net->layer[i].kind == &dfm_layer_dense) flops += 6.0 * ROWS * net->layer[i].n_in * net->layer[i].n_out;
  return flops;
}

dfm_status dfm_bench_tiles_peak(const dfm_bench *bench, const dfm_net *net, const dfm_tiles *tiles, double *rate,
                                dfm_error *error) {
  const int threads = dfm_pool_threads(bench->pool);
  const double flops = flops_of(net) * threads;
  int widest = ROWS;
  for (int edge = 0; edge < net->n_edges; edge++)
    if (net->edge_n[edge] > widest) widest = net->edge_n[edge];
  const size_t side = (size_t)blocks_of(widest) * DFM_TILE_BLOCK, numbers = side * side * (size_t)tiles->parts;
  tiles_run run = {.tiles = tiles, .net = net, .repeats = 1};
  DFM_TRY(dfm_pages_alloc(&run.operand, numbers * sizeof *run.operand, error));
  for (size_t i = 0; i < numbers; i++) run.operand[i] = (uint16_t)(0x3f80 + i % 64); /* from 1 on */
  *rate = 0;
  for (int i = 0; i < TRIES; i++) {
    const double start = dfm_seconds();
    dfm_pool_run(bench->pool, threads, multiply_task, &run);
    const double now = flops * run.repeats / (dfm_seconds() - start);
    if (now > *rate) *rate = now;
    if (i == 0) run.repeats = (int)(LEAST_SECONDS * now / flops) + 1;
  }
  dfm_pages_free(run.operand, numbers * sizeof *run.operand);
  return DFM_OK;
}
