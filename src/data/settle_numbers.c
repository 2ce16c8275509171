/* Settling of numbers: training rows come in, packed or as arrays; the fit of each number field goes out. Ranges of
 * rows are the same whatever the threads, and what they add up is added in their order. */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "data/placing.h"
#include "data/settle.h"
#include "data/transform.h"

enum { RANGE_ROWS = DFM_STORAGE_PASS_ROWS };
_Static_assert((int)DFM_MOMENTS_ROWS == (int)DFM_PACKED_ROWS, "moments are taken of as many rows as are read at once");

typedef struct fitting {
  const dfm_encoder *encoder;
  const dfm_dataset *view;
  dfm_column_moments *moments; /* (ranges, D) */
  int64_t *missing;            /* (ranges, D) */
  dfm_row_reader *reader;      /* (threads) */
  dfm_status *status;          /* (threads) */
  dfm_error *error;            /* (threads) */
} fitting;

static bool needs_fit(const dfm_number_field *field) {
  return field->settings.transform != DFM_TRANSFORM_NONE && field->settings.transform != DFM_TRANSFORM_LOG;
}

static int count_missing(const float *numbers, int n) {
  int missing = 0;
  for (int i = 0; i < n; i++) missing += isnan(numbers[i]) != 0;
  return missing;
}

/* Rows of range `range`. */
static dfm_status fit_rows(const fitting *run, int64_t row, int n, int range, int thread) {
  const size_t at = (size_t)range * (size_t)run->encoder->D;
  const float *numbers;
  DFM_TRY(dfm_storage_read_numbers(run->view->storage, run->view->first + row, n, &run->reader[thread],
                                   &run->error[thread]));
  numbers = run->reader[thread].numbers;
  for (int d = 0; d < run->encoder->D; d++, numbers += DFM_READER_STRIDE) {
    const dfm_number_field *field = &run->encoder->number[d];
    int missing;
    if (needs_fit(field)) {
      const dfm_column_moments further = dfm_moments_of(&field->settings, run->encoder->logs, numbers, n, &missing);
      dfm_moments_add(&run->moments[at + (size_t)d], &further);
    } else {
      missing = count_missing(numbers, n);
    }
    run->missing[at + (size_t)d] += missing;
  }
  return DFM_OK;
}

static void fit_range(void *context, int task, int thread) {
  const fitting *run = context;
  const int64_t first = (int64_t)task * RANGE_ROWS, left = run->view->rows - first;
  const int64_t end = first + (left < RANGE_ROWS ? left : RANGE_ROWS);
  for (int64_t row = first; row < end && run->status[thread] == DFM_OK; row += DFM_MOMENTS_ROWS)
    run->status[thread] =
        fit_rows(run, row, end - row < DFM_MOMENTS_ROWS ? (int)(end - row) : DFM_MOMENTS_ROWS, task, thread);
  dfm_storage_spent(run->view->storage, run->view->first + first, end - first);
}

static dfm_status fit_all(fitting *run, dfm_pool *pool, dfm_encoder *encoder, int64_t *missing, dfm_error *error) {
  const int threads = dfm_pool_threads(pool);
  const size_t n_ranges = (size_t)((run->view->rows + RANGE_ROWS - 1) / RANGE_ROWS), D = (size_t)encoder->D;
  DFM_TRY(dfm_alloc(&run->moments, n_ranges * D, sizeof *run->moments, error));
  DFM_TRY(dfm_alloc(&run->missing, n_ranges * D, sizeof *run->missing, error));
  DFM_TRY(dfm_alloc(&run->reader, (size_t)threads, sizeof *run->reader, error));
  DFM_TRY(dfm_alloc(&run->status, (size_t)threads, sizeof *run->status, error));
  DFM_TRY(dfm_alloc(&run->error, (size_t)threads, sizeof *run->error, error));
  dfm_pool_run(pool, (int)n_ranges, fit_range, run);
  for (int i = 0; i < threads; i++) {
    if (run->status[i] == DFM_OK) continue;
    if (error) *error = run->error[i];
    return run->status[i];
  }
  for (size_t d = 0; d < D; d++) {
    dfm_column_moments all = {0};
    for (size_t i = 0; i < n_ranges; i++) dfm_moments_add(&all, &run->moments[i * D + d]);
    dfm_transform_fit(&encoder->number[d], &all);
    if (missing) missing[d] = 0;
    for (size_t i = 0; missing && i < n_ranges; i++) missing[d] += run->missing[i * D + d];
  }
  return DFM_OK;
}

/* Rows of a file are checked before several threads read them. */
static dfm_status check_rows(const dfm_dataset *view, dfm_error *error) {
  dfm_scan scan = {.dataset = view, .end = view->storage->file ? view->rows : 0};
  do DFM_TRY(dfm_scan_next(&scan, error));
  while (scan.n > 0);
  return DFM_OK;
}

dfm_status dfm_settle_numbers(dfm_encoder *encoder, const dfm_dataset *train, dfm_pool *pool, int64_t *missing,
                              dfm_error *error) {
  fitting run = {.encoder = encoder, .view = train};
  if (encoder->D == 0) return DFM_OK;
  DFM_TRY(check_rows(train, error));
  const dfm_status status = fit_all(&run, pool, encoder, missing, error);
  for (int i = 0; run.reader && i < dfm_pool_threads(pool); i++) dfm_row_reader_clear(&run.reader[i]);
  free(run.reader);
  free(run.moments);
  free(run.missing);
  free(run.status);
  free(run.error);
  return status;
}
