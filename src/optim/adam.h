/* Adam's idle rows: the learning rate of every step comes in; out comes the motion of a row since it last had a
 * gradient, at a cost that does not depend on how long ago that was.
 *
 * A dense Adam moves every weight at every step, also where the gradient is zero: its momentum runs out over some
 * hundred steps. With m, v the state after step `last`, s = sqrt(v), and t = last + j, the j-th step without gradient
 * has m_j = beta1^j m, v_j = beta2^j v and so
 *     w -= m a_j / (s u_j + epsilon)
 *     PyTorch:  a_j = lr_t beta1^j / (1 - beta1^t)                      u_j = beta2^(j/2) / sqrt(1 - beta2^t)
 *     Keras:    a_j = lr_t beta1^j sqrt(1 - beta2^t) / (1 - beta1^t)    u_j = beta2^(j/2)
 * a_j and u_j are the same for all rows with the same `last`; only f(s) = sum_j a_j / (s u_j + epsilon) mixes them
 * with the row. Two facts make that sum cheap:
 *  - It ends. Terms fall at least like (beta1 / sqrt(beta2))^j, so after `live` steps, where that is 1e-8, the rest is
 *    nothing.
 *  - It is nearly one term. u_j hardly changes over those steps, so with a u in their midst, d_j = u_j / u - 1,
 *    r = 1 / (s u + epsilon) and y = s u r, which is between 0 and 1,
 *        f(s) = r sum_j a_j / (1 + y d_j),
 *    where each 1 / (1 + y d_j) is smooth in y. It is replaced by the polynomial that meets it at N Chebyshev nodes:
 *        f(s) ~ r sum_k c_k y^k,    c_k = sum_j a_j e_k(d_j),    e_k(d) that polynomial's factors.
 *    So a row takes one root and one division. The c_k of every `last` in the live window are brought forward by one
 *    term per step; older ones stay. N follows from the range of u, so that the error stays under 1e-8 of the motion:
 *    5 for the usual betas, more for `last` under some hundred steps, where PyTorch's u_j fall fast.
 * Gaps after the very first steps, and betas for which N would be large, are summed step by step. With l2 coupled into
 * the gradient no row is idle. */
#ifndef DFM_OPTIM_ADAM_H
#define DFM_OPTIM_ADAM_H

#include "optim/optimizer.h"

typedef struct dfm_adam_idle dfm_adam_idle;

dfm_status dfm_adam_idle_create(const dfm_optimizer_settings *settings, dfm_adam_idle **idle, dfm_error *error);
void dfm_adam_idle_free(dfm_adam_idle *idle); /* NULL accepted */
/* Before the first step: `origin` steps have been made, and no row will be caught up from before it. */
void dfm_adam_idle_start_at(dfm_adam_idle *idle, int64_t origin);
int64_t dfm_adam_idle_origin(const dfm_adam_idle *idle);

/* Adds the next step. One thread, while no other catches up; on failure nothing has changed. */
dfm_status dfm_adam_idle_begin(dfm_adam_idle *idle, double learning_rate, dfm_error *error);

/* As dfm_optimizer_catch_up. Any thread. */
void dfm_adam_idle_catch_up(const dfm_adam_idle *idle, const dfm_kernel *kernel, float *w, float *m, float *v, size_t n,
                            int64_t last, int64_t upto);

/* The learning rates of all steps since the origin; adding them to a fresh object of that origin in this order gives
 * the same object. */
size_t dfm_adam_idle_rates(const dfm_adam_idle *idle, const double **rates);

#endif
