/* History: the progress of an epoch, or of a window of progressive validation, comes in; one JSON line goes out. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "train/run.h"

static json_t *number(double value) {
  return isfinite(value) ? json_real(value) : json_null();
}

static double value_of(const json_t *json) {
  return json_is_number(json) ? json_number_value(json) : (double)NAN;
}

json_t *dfm_metrics_to_json(const dfm_metrics *metrics) {
  return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "rows", (json_int_t)metrics->rows, "weight",
                   number(metrics->weight), "logloss", number(metrics->logloss), "auc", number(metrics->auc),
                   "auc_error", number(metrics->auc_error), "accuracy", number(metrics->accuracy), "mean_predicted",
                   number(metrics->mean_predicted), "mean_observed", number(metrics->mean_observed));
}

bool dfm_metrics_from_json(json_t *json, dfm_metrics *metrics) {
  json_int_t rows;
  json_t *weight, *logloss, *auc, *auc_error, *accuracy, *predicted, *observed;
  if (json_unpack(json, "{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "rows", &rows, "weight", &weight, "logloss",
                  &logloss, "auc", &auc, "auc_error", &auc_error, "accuracy", &accuracy, "mean_predicted", &predicted,
                  "mean_observed", &observed) != 0 ||
      rows < 0)
    return false;
  *metrics = (dfm_metrics){.rows = rows,
                           .weight = value_of(weight),
                           .logloss = value_of(logloss),
                           .auc = value_of(auc),
                           .auc_error = value_of(auc_error),
                           .accuracy = value_of(accuracy),
                           .mean_predicted = value_of(predicted),
                           .mean_observed = value_of(observed)};
  return true;
}

static json_t *epoch_to_json(const dfm_progress *progress) {
  json_t *epoch = json_pack("{s:i, s:I, s:f, s:f, s:o, s:o, s:b}", "epoch", progress->epoch, "step",
                            (json_int_t)progress->step, "seconds", progress->seconds, "rows_per_second",
                            progress->rows_per_second, "learning_rate", number(progress->learning_rate), "train",
                            dfm_metrics_to_json(&progress->train), "best", progress->is_best);
  if (epoch && progress->has_valid && json_object_set_new(epoch, "valid", dfm_metrics_to_json(&progress->valid)) != 0) {
    json_decref(epoch);
    return NULL;
  }
  if (epoch && progress->has_progressive &&
      json_object_set_new(epoch, "progressive", dfm_metrics_to_json(&progress->progressive)) != 0) {
    json_decref(epoch);
    return NULL;
  }
  return epoch;
}

static json_t *window_to_json(const dfm_progress *progress) {
  return json_pack("{s:i, s:I, s:I, s:o}", "epoch", progress->epoch, "step", (json_int_t)progress->step, "window_end",
                   (json_int_t)progress->window_end, "window", dfm_metrics_to_json(&progress->window));
}

/* Whether a line of a history was written before step `step` of epoch `epoch` had ended. A line that is none ends the
 * history: its process died while writing. */
static bool is_before(const char *line, size_t n, int64_t epoch, int64_t step) {
  json_t *json = json_loadb(line, n, 0, NULL);
  const json_t *of_epoch = json_object_get(json, "epoch"), *of_step = json_object_get(json, "step");
  const bool is_window = json_object_get(json, "window") != NULL;
  const bool is_kept = json_is_integer(of_epoch) &&
                       (json_integer_value(of_epoch) < epoch || (is_window && json_integer_value(of_step) <= step));
  json_decref(json);
  return is_kept;
}

dfm_status dfm_history_cut(const char *path, int64_t epoch, int64_t step, dfm_error *error) {
  dfm_mapping old;
  dfm_writer *writer = NULL;
  size_t kept = 0;
  if (access(path, F_OK) != 0) return DFM_OK;
  DFM_TRY(dfm_mapping_open(path, &old, error));
  for (const uint8_t *end; kept < old.size_bytes && (end = memchr(old.bytes + kept, '\n', old.size_bytes - kept));) {
    const size_t n = (size_t)(end - (old.bytes + kept));
    if (!is_before((const char *)old.bytes + kept, n, epoch, step)) break;
    kept += n + 1;
  }
  dfm_status status = dfm_writer_open(path, &writer, error);
  if (status == DFM_OK) status = dfm_writer_write(writer, old.bytes, kept, error);
  if (status == DFM_OK)
    status = dfm_writer_commit(writer, error);
  else
    dfm_writer_abort(writer);
  dfm_mapping_close(&old);
  return status;
}

dfm_status dfm_history_write(const char *path, bool is_first, const dfm_progress *progress, dfm_error *error) {
  json_t *json = progress->is_epoch_end ? epoch_to_json(progress) : window_to_json(progress);
  char *line = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
  json_decref(json);
  if (!line) return dfm_fail(error, DFM_ERROR_MEMORY, "no memory for a line of the history");
  FILE *file = fopen(path, is_first ? "w" : "a");
  bool is_written = file && fprintf(file, "%s\n", line) > 0;
  if (file && fclose(file) != 0) is_written = false;
  free(line);
  if (is_written) return DFM_OK;
  return dfm_fail(error, DFM_ERROR_IO, "cannot write the history to %s: %s; give --history a writable path", path,
                  strerror(errno));
}
