/* Predictor: rows of a dataset are cut into blocks; each thread scores blocks with its own executor. */
#include "layer/predictor.h"

#include <stdlib.h>

#include "base/memory.h"

/* Rows per block: as in training, where the multiply is at full speed and the activations stay in the second-level cache. */
enum { DFM_SCORE_ROWS = 128 };

typedef struct dfm_worker {
  dfm_executor *executor;
  dfm_batch *batch;
} dfm_worker;

struct dfm_predictor {
  dfm_row_source source;
  dfm_worker *worker;
  int threads;
  /* the run at hand */
  const dfm_dataset *dataset;
  const int64_t *row; /* NULL: rows first, first + 1, ... */
  int64_t first, n;
  float *probability;
};

dfm_status dfm_predictor_create(const dfm_net *net, const dfm_kernel *kernel, float *weight,
                                const dfm_row_source *source, int threads, dfm_predictor **out, dfm_error *error) {
  dfm_predictor *predictor = NULL;
  dfm_status status;
  DFM_TRY(dfm_alloc(&predictor, 1, sizeof *predictor, error));
  predictor->source = *source;
  predictor->threads = threads;
  DFM_TRY_GOTO(status, dfm_alloc(&predictor->worker, (size_t)threads, sizeof *predictor->worker, error), fail);
  for (int i = 0; i < threads; i++) {
    dfm_worker *worker = &predictor->worker[i];
    DFM_TRY_GOTO(status, dfm_batch_create(net->F, net->D, DFM_SCORE_ROWS, &worker->batch, error), fail);
    DFM_TRY_GOTO(status, dfm_executor_create(net, kernel, weight, NULL, DFM_SCORE_ROWS, 0, &worker->executor, error),
                 fail);
  }
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
  free(predictor->worker);
  free(predictor);
}

static void score_block(void *context, int block, int thread) {
  const dfm_predictor *predictor = context;
  const dfm_worker *worker = &predictor->worker[thread];
  const int64_t at = (int64_t)block * DFM_SCORE_ROWS, left = predictor->n - at;
  worker->batch->rows = left < DFM_SCORE_ROWS ? (int)left : DFM_SCORE_ROWS;
  for (int b = 0; b < worker->batch->rows; b++)
    worker->batch->row[b] = predictor->row ? predictor->row[at + b] : predictor->first + at + b;
  dfm_dataset_fill(predictor->dataset, worker->batch, 0, worker->batch->rows);
  dfm_executor_score(worker->executor, &predictor->source, worker->batch, predictor->probability + at);
}

static void run(dfm_predictor *predictor, dfm_pool *pool) {
  dfm_pool_run(pool, (int)((predictor->n + DFM_SCORE_ROWS - 1) / DFM_SCORE_ROWS), score_block, predictor);
}

void dfm_predictor_run(dfm_predictor *predictor, dfm_pool *pool, const dfm_dataset *dataset, int64_t first, int64_t n,
                       float *probability) {
  predictor->dataset = dataset;
  predictor->row = NULL;
  predictor->first = first;
  predictor->n = n;
  predictor->probability = probability;
  run(predictor, pool);
}

void dfm_predictor_run_rows(dfm_predictor *predictor, dfm_pool *pool, const dfm_dataset *dataset, const int64_t *row,
                            int64_t n, float *probability) {
  predictor->dataset = dataset;
  predictor->row = row;
  predictor->n = n;
  predictor->probability = probability;
  run(predictor, pool);
}
