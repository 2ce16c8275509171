/* Run: what a training run knows between two batches; shared by the loop, its checkpoints and its history. */
#ifndef DFM_TRAIN_RUN_H
#define DFM_TRAIN_RUN_H

#include <jansson.h>

#include "model/model.h"
#include "train/step.h"

struct dfm_trainer {
  dfm_recipe *recipe;
  dfm_dataset *train, *valid; /* retained; valid may be NULL */
  dfm_encoder *encoder;
  dfm_net *net; /* for the summary */
};

/* Where a run is, and all that decides how it goes on: what a checkpoint keeps beside weights and state. */
typedef struct dfm_position {
  int64_t epoch, batch; /* the next batch: epoch 1-based, batch 0-based */
  double learning_rate;
  double best;        /* monitor of the best epoch, larger is better; -INFINITY before the first */
  int64_t best_epoch; /* 0: none yet */
  int64_t epochs_since_best, epochs_since_drop;
  dfm_metrics valid; /* of the best epoch, with keep: last of the last one that ended; rows 0: none yet */
} dfm_position;

/* The rows of the epoch so far, each as it was scored before its step. */
typedef struct dfm_epoch_rows {
  dfm_meter *meter;
  int64_t n;
  double loss, weights; /* running sums */
  double seconds;       /* spent in steps */
} dfm_epoch_rows;

typedef struct dfm_run {
  const dfm_trainer *trainer;
  const dfm_run_options *options;
  dfm_stepper *stepper;
  dfm_loader *loader;
  dfm_predictor *predictor; /* NULL without validation */
  dfm_meter *valid_meter;   /* of the validation rows */
  float *probability;       /* (DFM_SCAN_ROWS, or a batch's rows) */
  uint64_t fingerprint;     /* of the rows; only where checkpoints are made or read */
  dfm_position position;
  dfm_epoch_rows seen;
  dfm_progress progress;
  dfm_run_result *result;
} dfm_run;

/* {"rows": ..., "weight": ..., "logloss": ..., "auc": ...}; NaN as null. NULL when out of memory. */
json_t *dfm_metrics_to_json(const dfm_metrics *metrics);
/* The same back; false where `json` is not of this form. */
bool dfm_metrics_from_json(json_t *json, dfm_metrics *metrics);

/* Appends the epoch at hand as one JSON line. */
dfm_status dfm_history_write(const char *path, bool is_first, const dfm_progress *progress, dfm_error *error);

/* Leaves the lines of the epochs before `epoch`, those that a resumed run will not write again. No file is no error. */
dfm_status dfm_history_cut(const char *path, int64_t epoch, dfm_error *error);

/* The model's weights now, as a model file whose metrics are those of `epoch` (valid NULL: none). */
dfm_status dfm_run_save_model(const dfm_run *run, const char *path, int64_t epoch, const dfm_metrics *valid,
                              dfm_error *error);

/* The same plus raw table rows, optimizer state and position. */
dfm_status dfm_checkpoint_save(const dfm_run *run, const char *path, dfm_error *error);
/* Puts a fresh run where the checkpoint was made; an error where data or recipe differ. */
dfm_status dfm_checkpoint_resume(dfm_run *run, const char *path, dfm_error *error);

/* Full-batch L-BFGS to the optimum of a linear model; fills the stepper's weights and tables and `*objective`. */
dfm_status dfm_lbfgs_solve(dfm_run *run, double *objective, dfm_error *error);

#endif
