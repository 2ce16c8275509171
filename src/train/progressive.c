/* Progressive validation: the rows of a batch come in before it is trained on, and are scored; metrics of each window of rows, and of all, go out.
 *
 * A. Blum, A. Kalai, J. Langford, "Beating the hold-out: bounds for k-fold and progressive cross-validation", COLT 1999: every row is an honest
 * test row of the model that had seen the rows before it, and none is lost to training. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "train/run.h"

enum { DFM_SMALLEST_WINDOW = 1000 };

dfm_status dfm_progressive_open(dfm_run *run, int64_t window, dfm_error *error) {
  const dfm_row_source rows_now = dfm_stepper_rows(run->stepper);
  dfm_progressive *progressive = &run->progressive;
  const int64_t rows = dfm_dataset_rows(run->trainer->train);
  const int64_t share = rows / 20 > DFM_SMALLEST_WINDOW ? rows / 20 : DFM_SMALLEST_WINDOW;
  if (run->trainer->recipe->optimizer.name == DFM_SOLVER_LBFGS) {
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "optimizer.name is lbfgs, which sees all rows at once, so none can be scored before it is trained "
                    "on; leave progressive validation out, or set optimizer.name to adam");
  }
  progressive->window = window > 0 ? window : share;
  DFM_TRY(dfm_predictor_create(run->stepper->net, run->stepper->kernel, run->stepper->weight, &rows_now,
                               dfm_pool_threads(run->stepper->pool), &progressive->predictor, error));
  DFM_TRY(dfm_alloc(&progressive->probability, (size_t)rows, sizeof(float), error));
  DFM_TRY(dfm_alloc(&progressive->label, (size_t)rows, sizeof(float), error));
  if (!dfm_dataset_has_weight(run->trainer->train)) return DFM_OK;
  return dfm_alloc(&progressive->weight, (size_t)rows, sizeof(float), error);
}

void dfm_progressive_close(dfm_progressive *progressive) {
  dfm_predictor_free(progressive->predictor);
  free(progressive->probability);
  free(progressive->label);
  free(progressive->weight);
}

/* The rows' labels and weights, behind those before them. */
static void add_rows(dfm_progressive *progressive, const dfm_dataset *dataset, const int64_t *row, int rows) {
  const float *label = dfm_dataset_labels(dataset), *weight = dfm_dataset_weights(dataset);
  for (int b = 0; b < rows; b++) {
    progressive->label[progressive->n + b] = label[row[b]];
    if (weight) progressive->weight[progressive->n + b] = weight[row[b]];
  }
  progressive->n += rows;
}

void dfm_progressive_score(dfm_run *run, int rows) {
  dfm_progressive *progressive = &run->progressive;
  const dfm_dataset *train = run->trainer->train;
  const int64_t *row = run->stepper->batch->row;
  dfm_predictor_run_rows(progressive->predictor, run->stepper->pool, train, row, rows,
                         progressive->probability + progressive->n);
  add_rows(progressive, train, row, rows);
}

static dfm_status measure(const dfm_progressive *progressive, int64_t from, dfm_metrics *metrics, dfm_error *error) {
  return dfm_metrics_of(progressive->probability + from, progressive->label + from,
                        progressive->weight ? progressive->weight + from : NULL, progressive->n - from, metrics, error);
}

static bool is_full(const dfm_progressive *progressive) {
  return progressive->n - progressive->window_start >= progressive->window;
}

dfm_status dfm_progressive_window(dfm_progressive *progressive, bool is_last, bool *has_window, dfm_metrics *window,
                                  dfm_error *error) {
  *has_window = is_full(progressive) || (is_last && progressive->n > progressive->window_start);
  if (!*has_window) return DFM_OK;
  DFM_TRY(measure(progressive, progressive->window_start, window, error));
  progressive->window_start = progressive->n;
  return DFM_OK;
}

dfm_status dfm_progressive_measure(const dfm_progressive *progressive, dfm_metrics *metrics, dfm_error *error) {
  return measure(progressive, 0, metrics, error);
}

dfm_status dfm_progressive_resume(dfm_run *run, const float *probability, int64_t n, const char *path,
                                  dfm_error *error) {
  dfm_progressive *progressive = &run->progressive;
  const int64_t batches = run->position.epoch > 1 ? dfm_loader_batches(run->loader) : run->position.batch;
  int64_t *row = run->stepper->batch->row;
  DFM_TRY(dfm_loader_seek(run->loader, 1, 0, error));
  int64_t batch = 0;
  for (; batch < batches && progressive->n < n; batch++) {
    const int rows = dfm_loader_next(run->loader, row);
    add_rows(progressive, run->trainer->train, row, rows);
    if (is_full(progressive)) progressive->window_start = progressive->n;
  }
  /* A first epoch that has ended may have been cut by the step limit. */
  if (progressive->n != n || (run->position.epoch == 1 && batch < batches)) {
    return dfm_fail(error, DFM_ERROR_FORMAT,
                    "checkpoint %s has %lld rows of progressive validation, which do not fit its position; the file is "
                    "damaged",
                    path, (long long)n);
  }
  memcpy(progressive->probability, probability, (size_t)n * sizeof *probability);
  return DFM_OK;
}
