/* Optimizers: settings and one learning rate per step come in; the kernels step spans of weights with the coefficients
 * made from them. */
#include "optim/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "optim/adam.h"

struct dfm_optimizer {
  dfm_optimizer_settings settings;
  const dfm_kernel *kernel;
  int64_t step;
  float learning_rate;
  dfm_adam_step adam;
  dfm_adam_idle *idle; /* exact Adam only */
};

/* Smaller ones vanish in float32, or make numbers so large that it cannot hold them. */
static const double smallest_epsilon = 1e-30;

static dfm_status check_settings(const dfm_optimizer_settings *settings, dfm_error *error) {
  if (settings->name == DFM_SGD) return DFM_OK;
  if (!(settings->epsilon >= smallest_epsilon && settings->epsilon <= 1))
    return dfm_fail(error, DFM_ERROR_VALUE, "optimizer epsilon is %g; it must be from %g to 1", settings->epsilon,
                    smallest_epsilon);
  if (settings->name == DFM_ADAGRAD) {
    if (!(settings->adagrad_initial >= 0 && settings->adagrad_initial <= 1e30))
      return dfm_fail(error, DFM_ERROR_VALUE, "optimizer adagrad_initial is %g; it must be from 0 to 1e30",
                      settings->adagrad_initial);
    return DFM_OK;
  }
  if (!(settings->beta1 >= 0 && settings->beta1 < 1))
    return dfm_fail(error, DFM_ERROR_VALUE, "optimizer beta1 is %g; it must be at least 0 and under 1",
                    settings->beta1);
  if (!(settings->beta2 >= 0 && settings->beta2 < 1))
    return dfm_fail(error, DFM_ERROR_VALUE, "optimizer beta2 is %g; it must be at least 0 and under 1",
                    settings->beta2);
  return DFM_OK;
}

dfm_status dfm_optimizer_create(const dfm_optimizer_settings *settings, const dfm_kernel *kernel, dfm_optimizer **out,
                                dfm_error *error) {
  dfm_optimizer *optimizer = NULL;
  dfm_status status;
  DFM_TRY(check_settings(settings, error));
  DFM_TRY(dfm_alloc(&optimizer, 1, sizeof *optimizer, error));
  optimizer->settings = *settings;
  optimizer->kernel = kernel;
  if (settings->name == DFM_ADAM && !settings->lazy)
    DFM_TRY_GOTO(status, dfm_adam_idle_create(settings, &optimizer->idle, error), fail);
  *out = optimizer;
  return DFM_OK;
fail:
  dfm_optimizer_free(optimizer);
  return status;
}

void dfm_optimizer_free(dfm_optimizer *optimizer) {
  if (!optimizer) return;
  dfm_adam_idle_free(optimizer->idle);
  free(optimizer);
}

int dfm_optimizer_states(const dfm_optimizer *optimizer) {
  switch (optimizer->settings.name) {
    case DFM_SGD:
      return 0;
    case DFM_ADAGRAD:
      return 1;
    case DFM_ADAM:
      break;
  }
  return 2;
}

/* kernel.h has the formula that these are the coefficients of. */
static void begin_adam(dfm_optimizer *optimizer, double learning_rate) {
  const dfm_optimizer_settings *settings = &optimizer->settings;
  const double correction1 = 1 - pow(settings->beta1, (double)optimizer->step);
  const double root2 = sqrt(1 - pow(settings->beta2, (double)optimizer->step));
  const double size = learning_rate / correction1;
  optimizer->adam = (dfm_adam_step){
      .beta1 = (float)settings->beta1,
      .one_minus_beta1 = (float)(1 - settings->beta1),
      .beta2 = (float)settings->beta2,
      .one_minus_beta2 = (float)(1 - settings->beta2),
      .step_size = (float)(settings->epsilon_keras ? size * root2 : size),
      .root_scale = (float)(settings->epsilon_keras ? 1 : 1 / root2),
      .epsilon = (float)settings->epsilon,
  };
}

static dfm_status check_rate(double learning_rate, int64_t step, dfm_error *error) {
  if (learning_rate >= 0 && learning_rate <= 1e30) return DFM_OK;
  return dfm_fail(error, DFM_ERROR_VALUE, "learning rate is %g at step %lld; it must be a finite number, at least 0",
                  learning_rate, (long long)step);
}

dfm_status dfm_optimizer_begin(dfm_optimizer *optimizer, double learning_rate, dfm_error *error) {
  DFM_TRY(check_rate(learning_rate, optimizer->step + 1, error));
  if (optimizer->step >= INT32_MAX - 1) { /* table rows keep 1 + their step in 31 bits */
    return dfm_fail(error, DFM_ERROR_VALUE, "step %lld is past the last one that is counted; use larger batches",
                    (long long)optimizer->step + 1);
  }
  if (optimizer->idle) DFM_TRY(dfm_adam_idle_begin(optimizer->idle, learning_rate, error));
  optimizer->step++;
  optimizer->learning_rate = (float)learning_rate;
  if (optimizer->settings.name == DFM_ADAM) begin_adam(optimizer, learning_rate);
  return DFM_OK;
}

int64_t dfm_optimizer_step_count(const dfm_optimizer *optimizer) {
  return optimizer->step;
}

void dfm_optimizer_step(const dfm_optimizer *optimizer, float *w, float *state0, float *state1, const float *g,
                        size_t n) {
  const dfm_optimizer_settings *settings = &optimizer->settings;
  switch (settings->name) {
    case DFM_SGD:
      optimizer->kernel->sgd(w, g, n, optimizer->learning_rate);
      break;
    case DFM_ADAGRAD:
      optimizer->kernel->adagrad(w, state0, g, n, optimizer->learning_rate, (float)settings->adagrad_initial,
                                 (float)settings->epsilon);
      break;
    case DFM_ADAM:
      optimizer->kernel->adam(w, state0, state1, g, n, &optimizer->adam);
      break;
  }
}

void dfm_optimizer_step_rows(const dfm_optimizer *optimizer, const dfm_rows *rows, const uint32_t *id, size_t count,
                             const float *g) {
  const dfm_optimizer_settings *settings = &optimizer->settings;
  switch (settings->name) {
    case DFM_SGD:
      optimizer->kernel->sgd_rows(rows, id, count, g, optimizer->learning_rate);
      break;
    case DFM_ADAGRAD:
      optimizer->kernel->adagrad_rows(rows, id, count, g, optimizer->learning_rate, (float)settings->adagrad_initial,
                                      (float)settings->epsilon);
      break;
    case DFM_ADAM:
      optimizer->kernel->adam_rows(rows, id, count, g, &optimizer->adam);
      break;
  }
}

void dfm_optimizer_catch_up(const dfm_optimizer *optimizer, float *w, float *state0, float *state1, size_t n,
                            int64_t last, int64_t upto) {
  if (optimizer->idle) dfm_adam_idle_catch_up(optimizer->idle, optimizer->kernel, w, state0, state1, n, last, upto);
}

int64_t dfm_optimizer_origin(const dfm_optimizer *optimizer) {
  return optimizer->idle ? dfm_adam_idle_origin(optimizer->idle) : 0;
}

size_t dfm_optimizer_history(const dfm_optimizer *optimizer, const double **values) {
  *values = NULL;
  return optimizer->idle ? dfm_adam_idle_rates(optimizer->idle, values) : 0;
}

dfm_status dfm_optimizer_restore(dfm_optimizer *optimizer, int64_t step, const double *values, size_t n,
                                 dfm_error *error) {
  if (optimizer->step != 0)
    return dfm_fail(error, DFM_ERROR_VALUE, "the optimizer is at step %lld; only a fresh one can be restored",
                    (long long)optimizer->step);
  if (step < 0 || step >= INT32_MAX || n > (uint64_t)step || (n > 0 && !optimizer->idle))
    return dfm_fail(
        error, DFM_ERROR_MISMATCH,
        "the optimizer's history has %zu learning rates, which do not fit step %lld; the checkpoint is damaged or was "
        "made with other optimizer settings",
        n, (long long)step);
  for (size_t i = 0; i < n; i++) DFM_TRY(check_rate(values[i], step - (int64_t)(n - i) + 1, error));
  optimizer->step = step - (int64_t)n;
  if (optimizer->idle) dfm_adam_idle_start_at(optimizer->idle, optimizer->step);
  for (size_t i = 0; i < n; i++) DFM_TRY(dfm_optimizer_begin(optimizer, values[i], error));
  return DFM_OK;
}
