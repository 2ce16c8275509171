/* Predictor: rows of a dataset are cut into blocks; each thread scores blocks with its own executor. */
#include "layer/predictor.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "layer/dense_multiply.h"

/* Rows per block: weights come through the caches once for so many, and their activations stay in the second-level
 * cache. Half of them are 3 to 10 % slower in tiles, and as fast without. */
enum { DFM_SCORE_ROWS = 256 };
typedef struct dfm_worker {
  dfm_status status; /* of the run at hand: the first failure */
  dfm_error error;
  dfm_executor *executor;
  dfm_batch *batch;
} dfm_worker;

struct dfm_predictor {
  dfm_row_source source;
  float *weight;
  dfm_dense_settings settings;
  dfm_dense *dense; /* NULL: there are no dense layers */
  dfm_worker *worker;
  int threads;
  bool is_fixed;
  /* the run at hand */
  const dfm_dataset *dataset;
  const int64_t *row; /* (n); NULL: from `first` on */
  int64_t first, n;
  float *probability;
};

/* Each worker has a block of dense's room. */
static void use(const dfm_predictor *predictor, dfm_dense *dense) {
  for (int i = 0; i < predictor->threads; i++)
    dfm_executor_use(predictor->worker[i].executor, dense, i * DFM_SCORE_ROWS);
}

dfm_status dfm_predictor_create(const dfm_net *net, const dfm_kernel *kernel, float *weight,
                                const dfm_row_source *source, dfm_pool *pool, dfm_predictor **out, dfm_error *error) {
  const int threads = dfm_pool_threads(pool);
  dfm_predictor *predictor = NULL;
  dfm_status status;
  DFM_TRY(dfm_alloc(&predictor, 1, sizeof *predictor, error));
  predictor->source = *source;
  predictor->weight = weight;
  predictor->settings = (dfm_dense_settings){.net = net,
                                             .kernel = kernel,
                                             .block = DFM_SCORE_ROWS,
                                             .threads = threads,
                                             .tiles = dfm_kernel_tiles(kernel, false)};
  predictor->threads = threads;
  DFM_TRY_GOTO(status, dfm_alloc(&predictor->worker, (size_t)threads, sizeof *predictor->worker, error), fail);
  for (int i = 0; i < threads; i++) {
    dfm_worker *worker = &predictor->worker[i];
    DFM_TRY_GOTO(status, dfm_batch_create(net->F, net->D, DFM_SCORE_ROWS, &worker->batch, error), fail);
    DFM_TRY_GOTO(status, dfm_executor_create(net, kernel, weight, NULL, DFM_SCORE_ROWS, 0, &worker->executor, error),
                 fail);
  }
  DFM_TRY_GOTO(status, dfm_dense_create(&predictor->settings, &predictor->dense, error), fail);
  use(predictor, predictor->dense);
  *out = predictor;
  return DFM_OK;
fail:
  dfm_predictor_free(predictor);
  return status;
}

void dfm_predictor_free(dfm_predictor *predictor) {
  if (!predictor) return;
  for (int i = 0; predictor->worker && i < predictor->threads; i++) {
    dfm_executor_free(predictor->worker[i].executor);
    dfm_batch_free(predictor->worker[i].batch);
  }
  dfm_dense_free(predictor->dense);
  free(predictor->worker);
  free(predictor);
}

static void score_block(void *context, int block, int thread) {
  const dfm_predictor *predictor = context;
  dfm_worker *worker = &predictor->worker[thread];
  const int64_t at = (int64_t)block * DFM_SCORE_ROWS, left = predictor->n - at;
  const int n = left < DFM_SCORE_ROWS ? (int)left : DFM_SCORE_ROWS;
  float probability[DFM_SCORE_ROWS];
  worker->batch->rows = n;
  for (int b = 0; b < n; b++)
    worker->batch->row[b] = predictor->row ? predictor->row[at + b] : predictor->first + at + b;
  if (worker->status == DFM_OK) worker->status = dfm_dataset_lay_out(predictor->dataset, worker->batch, &worker->error);
  if (worker->status != DFM_OK) return;
  dfm_dataset_fill(predictor->dataset, worker->batch, 0, worker->batch->rows);
  dfm_executor_score(worker->executor, &predictor->source, worker->batch, probability);
  memcpy(predictor->probability + at, probability, (size_t)n * sizeof *probability);
}

/* Takes the weights as they are now, unless they are fixed. */
static void begin(const dfm_predictor *predictor, dfm_pool *pool) {
  if (predictor->dense && !predictor->is_fixed) dfm_dense_begin(predictor->dense, predictor->weight, pool);
}

dfm_status dfm_predictor_fix(dfm_predictor *predictor, bool is_bf16, dfm_pool *pool, dfm_error *error) {
  dfm_dense_settings settings = predictor->settings;
  dfm_dense *dense = NULL;
  settings.tiles = dfm_kernel_tiles(settings.kernel, is_bf16);
  DFM_TRY(dfm_dense_create(&settings, &dense, error));
  if (dense) dfm_dense_begin(dense, predictor->weight, pool);
  use(predictor, dense);
  dfm_dense_free(predictor->dense);
  predictor->dense = dense;
  predictor->settings = settings;
  predictor->is_fixed = true;
  return DFM_OK;
}

static dfm_status score(dfm_predictor *predictor, dfm_pool *pool, dfm_error *error) {
  const int blocks = (int)((predictor->n + DFM_SCORE_ROWS - 1) / DFM_SCORE_ROWS);
  for (int i = 0; i < predictor->threads; i++) predictor->worker[i].status = DFM_OK;
  dfm_pool_run(pool, blocks, score_block, predictor);
  for (int i = 0; i < predictor->threads; i++) {
    const dfm_worker *worker = &predictor->worker[i];
    if (worker->status != DFM_OK) return dfm_fail(error, worker->status, "%s", worker->error.message);
  }
  return DFM_OK;
}

dfm_status dfm_predictor_run(dfm_predictor *predictor, dfm_pool *pool, const dfm_dataset *dataset, int64_t first,
                             int64_t n, float *probability, dfm_error *error) {
  dfm_scan scan = {.dataset = dataset, .first = first, .end = first + n};
  predictor->dataset = dataset;
  predictor->row = NULL;
  begin(predictor, pool);
  for (;;) {
    DFM_TRY(dfm_scan_next(&scan, error));
    if (scan.n == 0) return DFM_OK;
    predictor->first = scan.first;
    predictor->n = scan.n;
    predictor->probability = probability + (scan.first - first);
    DFM_TRY(score(predictor, pool, error));
  }
}

dfm_status dfm_predictor_run_rows(dfm_predictor *predictor, dfm_pool *pool, const dfm_dataset *dataset,
                                  const int64_t *row, int64_t n, float *probability, dfm_error *error) {
  predictor->dataset = dataset;
  predictor->row = row;
  begin(predictor, pool);
  predictor->n = n;
  predictor->probability = probability;
  return score(predictor, pool, error);
}
