/* Run: what a training run knows between two batches; shared by the loop, its checkpoints and its history. */
#ifndef DFM_TRAIN_RUN_H
#define DFM_TRAIN_RUN_H

#include <jansson.h>

#include "model/model.h"
#include "train/metrics.h"
#include "train/step.h"

struct dfm_trainer {
  dfm_recipe *recipe; /* its precision is what was chosen */
  dfm_precision wanted_precision;
  const dfm_kernel *kernel;
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
  dfm_status status;    /* whether the last batch could be measured */
  dfm_error error;      /* why not */
} dfm_epoch_rows;

/* Progressive validation: rows of the first epoch, each scored before it was trained on. Off: predictor is NULL. */
typedef struct dfm_progressive {
  dfm_predictor *predictor;
  float *probability;        /* (rows of a batch) */
  dfm_meter *whole, *window; /* of all rows so far, and of those of the window at hand */
  int64_t window_rows;       /* that a window has at least */
} dfm_progressive;

typedef struct dfm_run {
  const dfm_trainer *trainer;
  const dfm_run_options *options;
  dfm_stepper *stepper;
  dfm_loader *loader;
  dfm_predictor *predictor; /* NULL without validation */
  dfm_meter *valid_meter;   /* of the validation rows */
  float *probability;       /* (DFM_SCAN_ROWS, or a batch's rows) */
  uint64_t fingerprint;     /* of the rows and what encodes them; only where checkpoints are made or read */
  uint32_t **age;           /* (F) of the values, after this run's rows; NULL before dfm_run_find_ages */
  int64_t first_step;       /* the optimizer's steps before this run's first */
  dfm_position position;
  dfm_epoch_rows seen;
  dfm_progressive progressive;
  dfm_progress progress;
  bool has_history; /* the history file is this run's: lines are appended */
  dfm_run_result *result;
} dfm_run;

/* {"rows": ..., "weight": ..., "logloss": ..., "auc": ...}; NaN as null. NULL when out of memory. */
json_t *dfm_metrics_to_json(const dfm_metrics *metrics);
/* The same back; false where `json` is not of this form. */
bool dfm_metrics_from_json(json_t *json, dfm_metrics *metrics);

/* Appends the epoch or the window at hand as one JSON line. */
dfm_status dfm_history_write(const char *path, bool is_first, const dfm_progress *progress, dfm_error *error);

/* Leaves the lines that a run resumed within epoch `epoch` after `step` steps will not write again: those of the epochs
 * before, and windows up to that step. No file is no error. */
dfm_status dfm_history_cut(const char *path, int64_t epoch, int64_t step, dfm_error *error);

/* Meters for the run's first epoch; `window` rows a window, 0: a twentieth of the epoch's, and 1000 at least. */
dfm_status dfm_progressive_open(dfm_run *run, int64_t window, dfm_error *error);
void dfm_progressive_close(dfm_progressive *progressive);
/* Scores the `rows` rows of the stepper's batch as a prediction with the weights of now would: no dropout, running
 * statistics. */
dfm_status dfm_progressive_score(dfm_run *run, int rows, dfm_error *error);
/* Adds those scores, once the batch has been trained on and so is filled, to the window and to the whole. */
dfm_status dfm_progressive_add(dfm_run *run, int rows, dfm_error *error);
/* Whether that batch has filled the window (or is the last one): its metrics, and the next window starts. */
bool dfm_progressive_window(dfm_progressive *progressive, bool is_last, dfm_metrics *window);
/* What a checkpoint keeps: the tensors of both meters. Returns how many. */
enum { DFM_PROGRESSIVE_TENSORS = 2 * DFM_METER_PARTS };
size_t dfm_progressive_list(const dfm_progressive *progressive, dfm_extra_tensor *extra);
/* Where the run was resumed: the meters as they were. */
dfm_status dfm_progressive_resume(dfm_run *run, const dfm_st_file *file, const char *path, dfm_error *error);

/* Options that contradict the recipe or each other; what the recipe cannot train of the net's fields. */
dfm_status dfm_run_check(const dfm_recipe *recipe, const dfm_run_options *options, dfm_error *error);
dfm_status dfm_run_check_net(const dfm_recipe *recipe, const dfm_net *net, const dfm_encoder *encoder,
                             dfm_error *error);

/* The model's weights now, as a model file whose metrics are those of `epoch` (valid NULL: none). */
dfm_status dfm_run_save_model(dfm_run *run, const char *path, int64_t epoch, const dfm_metrics *valid,
                              dfm_error *error);

/* The same plus raw table rows, optimizer state and position. */
dfm_status dfm_checkpoint_save(dfm_run *run, const char *path, dfm_error *error);
/* Whether `path` is a checkpoint of this recipe. */
dfm_status dfm_checkpoint_check(const dfm_recipe *recipe, const char *path, dfm_error *error);
/* Puts a fresh run where the checkpoint was made; an error where data or recipe differ. */
dfm_status dfm_checkpoint_resume(dfm_run *run, const char *path, dfm_error *error);

/* Steps that this run has made. */
static inline int64_t dfm_run_steps(const dfm_run *run) {
  return dfm_optimizer_step_count(run->stepper->optimizer) - run->first_step;
}

/* Tensors of the state beside the model's (docs/design.md): (F + 3) at most, the history last. Returns how many. */
size_t dfm_state_list(const dfm_stepper *stepper, dfm_extra_tensor *extra);
/* Whether a stored row may have been touched when its last word says so, `steps` steps into its training: what is read
 * is bounded before it is used. `optimizer` is at that step. */
bool dfm_touch_fits(const dfm_optimizer *optimizer, uint32_t touch);

/* Goes on from options->from: its rows' weights, by value, its dense weights, and the state that its file keeps.
 * `takes_weights` false: a checkpoint of this run will bring them. */
dfm_status dfm_run_go_on(dfm_run *run, bool takes_weights, dfm_error *error);
/* Fills run->age, once: a pass over the rows, which waits for the first file that holds ages. */
dfm_status dfm_run_find_ages(dfm_run *run, dfm_error *error);

/* Full-batch L-BFGS to the optimum of a linear model; fills the stepper's weights and tables and `*objective`. */
dfm_status dfm_lbfgs_solve(dfm_run *run, double *objective, dfm_error *error);

#endif
