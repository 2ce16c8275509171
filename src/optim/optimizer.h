/* Optimizers: a span of weights, its state and its gradient come in; the stepped span goes out. Table rows that no
 * batch touches are caught up in closed form when they are next read, so results equal those of the dense optimizer. */
#ifndef DFM_OPTIM_OPTIMIZER_H
#define DFM_OPTIM_OPTIMIZER_H

#include "kernel/kernel.h"

typedef enum dfm_optimizer_name { DFM_SGD, DFM_ADAGRAD, DFM_ADAM } dfm_optimizer_name;

typedef struct dfm_optimizer_settings {
  dfm_optimizer_name name;
  double beta1, beta2, epsilon;
  /* epsilon is added to the root of the raw second moment, with both bias corrections in the step size (Keras), not
   * to the corrected root (PyTorch) */
  bool epsilon_keras;
  bool lazy; /* rows that a batch does not touch do not move */
  double adagrad_initial;
} dfm_optimizer_settings;

typedef struct dfm_optimizer dfm_optimizer;

/* Settings out of range are DFM_ERROR_VALUE. Exact Adam also needs beta1 < sqrt(beta2): else rows that no batch
 * touches would speed up for ever. */
dfm_status dfm_optimizer_create(const dfm_optimizer_settings *settings, const dfm_kernel *kernel,
                                dfm_optimizer **optimizer, dfm_error *error);
void dfm_optimizer_free(dfm_optimizer *optimizer); /* NULL accepted */

/* Floats of state per weight: 0 SGD, 1 AdaGrad, 2 Adam. Zero-filled at the start (AdaGrad's initial accumulator is
 * added in the step). */
int dfm_optimizer_states(const dfm_optimizer *optimizer);

/* Starts step t (1, 2, ...) at `learning_rate`, finite and at least 0: everything below uses its coefficients. Called
 * by one thread between parallel phases. */
dfm_status dfm_optimizer_begin(dfm_optimizer *optimizer, double learning_rate, dfm_error *error);
int64_t dfm_optimizer_step_count(const dfm_optimizer *optimizer);

/* Steps `n` weights; state0, state1 are the state arrays (NULL where there is none). Any thread. */
void dfm_optimizer_step(const dfm_optimizer *optimizer, float *w, float *state0, float *state1, const float *g,
                        size_t n);

/* Steps the `count` rows id[0], id[1], ..., all different, by the gradients g (count, n). */
void dfm_optimizer_step_rows(const dfm_optimizer *optimizer, const dfm_rows *rows, const uint32_t *id, size_t count,
                             const float *g);

/* Moves a row last stepped at `last` (1 <= last, and not before the origin) to where the dense optimizer has it after
 * step `upto` (last <= upto
 * <= current step; only upto = current step - 1 and upto = current step are possible). Does nothing where n = 0, last
 * = upto, and under `lazy`, SGD and AdaGrad, where idle rows do not move. Any thread. */
void dfm_optimizer_catch_up(const dfm_optimizer *optimizer, float *w, float *state0, float *state1, size_t n,
                            int64_t last, int64_t upto);

/* No row can be caught up from a step before this one; 0 where idle rows do not move. */
int64_t dfm_optimizer_origin(const dfm_optimizer *optimizer);

/* What checkpoints must keep, besides the state arrays, to continue bit by bit: the learning rates of the steps since
 * the origin (exact Adam; else nothing, and `*values` is NULL). The array belongs to the optimizer and lives until its
 * next begin. Returns its length. */
size_t dfm_optimizer_history(const dfm_optimizer *optimizer, const double **values);
/* Brings a fresh optimizer, created with the same settings, to the state after step `step`, by the learning rates of
 * the last `n` steps: their origin is step - n. Where all rows are caught up to `step`, none is needed: n = 0. Replays
 * the steps: some microseconds each. */
dfm_status dfm_optimizer_restore(dfm_optimizer *optimizer, int64_t step, const double *values, size_t n,
                                 dfm_error *error);

#endif
