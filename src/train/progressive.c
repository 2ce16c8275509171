/* Progressive validation: the rows of a batch come in before it is trained on, and are scored; metrics of each window
 * of rows, and of all, go out.
 *
 * A. Blum, A. Kalai, J. Langford, "Beating the hold-out: bounds for k-fold and progressive cross-validation", COLT
 * 1999: every row is an honest test row of the model that had seen the rows before it, and none is lost to training. */
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "train/run.h"

enum { DFM_SMALLEST_WINDOW = 1000 };

dfm_status dfm_progressive_open(dfm_run *run, int64_t window, dfm_error *error) {
  const dfm_row_source rows_now = dfm_stepper_rows(run->stepper);
  dfm_progressive *progressive = &run->progressive;
  const int64_t rows = dfm_dataset_rows(run->trainer->train);
  const int64_t share = rows / 20 > DFM_SMALLEST_WINDOW ? rows / 20 : DFM_SMALLEST_WINDOW;
  progressive->window_rows = window > 0 ? window : share;
  DFM_TRY(dfm_predictor_create(run->stepper->net, run->stepper->kernel, run->stepper->weight, &rows_now,
                               run->stepper->pool, &progressive->predictor, error));
  DFM_TRY(dfm_alloc(&progressive->probability, (size_t)run->stepper->batch->capacity, sizeof(float), error));
  DFM_TRY(dfm_meter_create(&progressive->whole, error));
  return dfm_meter_create(&progressive->window, error);
}

void dfm_progressive_close(dfm_progressive *progressive) {
  dfm_predictor_free(progressive->predictor);
  dfm_meter_free(progressive->whole);
  dfm_meter_free(progressive->window);
  free(progressive->probability);
}

dfm_status dfm_progressive_score(dfm_run *run, int rows, dfm_error *error) {
  dfm_progressive *progressive = &run->progressive;
  return dfm_predictor_run_rows(progressive->predictor, run->stepper->pool, run->trainer->train,
                                run->stepper->batch->row, rows, progressive->probability, error);
}

dfm_status dfm_progressive_add(dfm_run *run, int rows, dfm_error *error) {
  dfm_progressive *progressive = &run->progressive;
  const dfm_batch *batch = run->stepper->batch;
  DFM_TRY(dfm_meter_add(progressive->whole, progressive->probability, batch->label, batch->weight, rows, error));
  return dfm_meter_add(progressive->window, progressive->probability, batch->label, batch->weight, rows, error);
}

bool dfm_progressive_window(dfm_progressive *progressive, bool is_last, dfm_metrics *window) {
  const int64_t rows = dfm_meter_rows(progressive->window);
  if (rows < progressive->window_rows && !(is_last && rows > 0)) return false;
  dfm_meter_finish(progressive->window, window);
  return true;
}

/* ---- checkpoints */

static void tensor_name(char out[DFM_TENSOR_NAME_BYTES], const char *meter, const dfm_meter_part *part) {
  snprintf(out, DFM_TENSOR_NAME_BYTES, "state.progressive.%s.%s", meter, part->name);
}

static void list_meter(const dfm_meter *meter, const char *name, dfm_extra_tensor extra[DFM_METER_PARTS]) {
  dfm_meter_part part[DFM_METER_PARTS];
  dfm_meter_parts(meter, part);
  for (int i = 0; i < DFM_METER_PARTS; i++) {
    extra[i] = (dfm_extra_tensor){.dtype = part[i].dtype, .n_dims = 1, .shape = {part[i].n}, .data = part[i].data};
    tensor_name(extra[i].name, name, &part[i]);
  }
}

size_t dfm_progressive_list(const dfm_progressive *progressive, dfm_extra_tensor *extra) {
  if (!progressive->predictor) return 0;
  list_meter(progressive->whole, "whole", extra);
  list_meter(progressive->window, "window", extra + DFM_METER_PARTS);
  return DFM_PROGRESSIVE_TENSORS;
}

static dfm_status read_meter(dfm_meter *meter, const dfm_st_file *file, const char *name, bool *is_good,
                             dfm_error *error) {
  dfm_meter_part part[DFM_METER_PARTS];
  dfm_meter_parts(meter, part);
  for (int i = 0; i < DFM_METER_PARTS; i++) {
    char full_name[DFM_TENSOR_NAME_BYTES];
    const dfm_tensor *tensor;
    tensor_name(full_name, name, &part[i]);
    DFM_TRY(dfm_st_need(file, full_name, part[i].dtype, 0, NULL, &tensor, error));
    part[i].n = tensor->size_bytes / dfm_dtype_size(part[i].dtype);
    part[i].data = tensor->data;
  }
  return dfm_meter_restore(meter, part, is_good, error);
}

/* Whether the meters have the rows that the run's position asks for. A first epoch that has ended may have been cut by
 * the step limit. */
static bool fits_position(const dfm_run *run) {
  const int64_t rows = dfm_dataset_rows(run->trainer->train), n = dfm_meter_rows(run->progressive.whole);
  const int64_t before = run->position.batch * run->stepper->batch->capacity;
  if (dfm_meter_rows(run->progressive.window) > n) return false;
  return run->position.epoch > 1 ? n > 0 && n <= rows : n == (before < rows ? before : rows);
}

dfm_status dfm_progressive_resume(dfm_run *run, const dfm_st_file *file, const char *path, dfm_error *error) {
  dfm_progressive *progressive = &run->progressive;
  bool is_good[2];
  if (!progressive->predictor) return DFM_OK;
  if (!dfm_st_tensor(file, "state.progressive.whole.sums")) {
    return dfm_fail(error, DFM_ERROR_MISMATCH,
                    "checkpoint %s was made without progressive validation, so the rows before it were not scored; "
                    "resume without it too",
                    path);
  }
  DFM_TRY(read_meter(progressive->whole, file, "whole", &is_good[0], error));
  DFM_TRY(read_meter(progressive->window, file, "window", &is_good[1], error));
  if (is_good[0] && is_good[1] && fits_position(run)) return DFM_OK;
  return dfm_fail(error, DFM_ERROR_FORMAT,
                  "checkpoint %s has rows of progressive validation that do not fit its position; the file is damaged",
                  path);
}
