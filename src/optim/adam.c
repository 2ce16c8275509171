/* Adam's idle rows: learning rates come in, one per step; polynomials, from which any row is caught up, go out.
 * adam.h derives them. */
#include "optim/adam.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum {
  MAX_TERMS = 16,   /* more would lose digits: those of early steps, whose factors are large and of either sign */
  MAX_LIVE = 20000, /* beta1 / sqrt(beta2) = 0.9991 */
  MIN_POWERS = 4096,
  CHUNK = 32 /* steps that are summed at once */
};

/* What is left of a motion after `live` steps; also the error that interpolation may make. */
static const double negligible = 1e-8;

/* All rows last touched at one step, at `start` of the pool: `terms` floats c_k after the current step, as many after
 * the step before, and u. terms = 0: sum step by step. */
typedef struct idle_gap {
  size_t start;
  int terms;
} idle_gap;

/* The same while it still changes. */
typedef struct idle_live {
  double u;
  double sum[MAX_TERMS]; /* c_k after the current step */
} idle_live;

/* T_N(2 y - 1), Chebyshev's polynomial on [0, 1]: the factors of y^0, ..., y^N. */
typedef struct idle_rule {
  double factor[MAX_TERMS + 1];
} idle_rule;

struct dfm_adam_idle {
  double beta1, beta2;
  float epsilon;
  bool epsilon_keras;
  int live;             /* steps after which a motion has ended */
  int64_t origin, step; /* nothing before step `origin` is asked for */

  /* by step t, at t - origin - 1: learning rate; a_j / beta1^j; u_j / beta2^(j/2); and by `last`, at last - origin */
  double *rate, *size, *root;
  idle_gap *gap;
  size_t rate_capacity, size_capacity, root_capacity, gap_capacity;
  float *pool;
  size_t pool_length, pool_capacity;

  idle_live *ring; /* (live), `last` at last % live */
  size_t n_powers;
  double *power1, *power2;       /* (n_powers) beta1^j, beta2^(j/2) */
  float *scale1, *scale2;        /* (n_powers) what m and v shrink by in j steps */
  idle_rule rule[MAX_TERMS + 1]; /* by number of terms */
};

/* T_0 = 1, T_1 = x, T_(n+1) = 2 x T_n - T_(n-1), at x = 2 y - 1. */
static void rules_init(idle_rule *rule) {
  rule[0] = (idle_rule){{1}};
  rule[1] = (idle_rule){{-1, 2}};
  for (int n = 2; n <= MAX_TERMS; n++)
    for (int k = 0; k <= n; k++)
      rule[n].factor[k] =
          (k > 0 ? 4 * rule[n - 1].factor[k - 1] : 0) - 2 * rule[n - 1].factor[k] - rule[n - 2].factor[k];
}

/* How long a motion lasts. beta1 = 0 has no momentum, hence no motion. */
static dfm_status idle_live_steps(const dfm_optimizer_settings *settings, int *live, dfm_error *error) {
  *live = 0;
  if (settings->beta1 == 0) return DFM_OK;
  const double ratio = settings->beta1 / sqrt(settings->beta2);
  if (!(ratio < 1))
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "optimizer beta1 is %g and beta2 %g: weights that no batch touches would move further and further; "
                    "make beta1 less than the "
                    "square root of beta2 (%g), or set lazy",
                    settings->beta1, settings->beta2, sqrt(settings->beta2));
  const double steps = ceil(log(negligible) / log(ratio));
  if (steps > MAX_LIVE)
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "optimizer beta1 is %g and beta2 %g: a weight would go on moving for %.0f steps after its last "
                    "gradient, which is more than the "
                    "%d that can be caught up; make beta1 smaller, or set lazy",
                    settings->beta1, settings->beta2, steps, MAX_LIVE);
  *live = (int)steps;
  return DFM_OK;
}

/* beta^n. A state that has shrunk to 1e-20 of what it was is gone: zero instead keeps denormal numbers out of the
 * tables. */
static float decay(double beta, int64_t n) {
  const double scale = beta == 0 ? 0 : exp((double)n * log(beta));
  return scale < 1e-20 ? 0 : (float)scale;
}

dfm_status dfm_adam_idle_create(const dfm_optimizer_settings *settings, dfm_adam_idle **out, dfm_error *error) {
  dfm_adam_idle *idle = NULL;
  dfm_status status;
  int live;
  DFM_TRY(idle_live_steps(settings, &live, error));
  DFM_TRY(dfm_alloc(&idle, 1, sizeof *idle, error));
  idle->beta1 = settings->beta1;
  idle->beta2 = settings->beta2;
  idle->epsilon = (float)settings->epsilon;
  idle->epsilon_keras = settings->epsilon_keras;
  idle->live = live;
  idle->n_powers = (size_t)(live < MIN_POWERS ? MIN_POWERS : live + 1);
  DFM_TRY_GOTO(status, dfm_alloc(&idle->ring, (size_t)live, sizeof *idle->ring, error), fail);
  DFM_TRY_GOTO(status, dfm_alloc(&idle->power1, idle->n_powers, sizeof *idle->power1, error), fail);
  DFM_TRY_GOTO(status, dfm_alloc(&idle->power2, idle->n_powers, sizeof *idle->power2, error), fail);
  DFM_TRY_GOTO(status, dfm_alloc(&idle->scale1, idle->n_powers, sizeof *idle->scale1, error), fail);
  DFM_TRY_GOTO(status, dfm_alloc(&idle->scale2, idle->n_powers, sizeof *idle->scale2, error), fail);
  for (size_t j = 0; j < idle->n_powers; j++) {
    idle->power1[j] = pow(settings->beta1, (double)j);
    idle->power2[j] = pow(settings->beta2, (double)j / 2);
    idle->scale1[j] = decay(settings->beta1, (int64_t)j);
    idle->scale2[j] = decay(settings->beta2, (int64_t)j);
  }
  rules_init(idle->rule);
  *out = idle;
  return DFM_OK;
fail:
  dfm_adam_idle_free(idle);
  return status;
}

void dfm_adam_idle_start_at(dfm_adam_idle *idle, int64_t origin) {
  idle->origin = idle->step = origin;
}

int64_t dfm_adam_idle_origin(const dfm_adam_idle *idle) {
  return idle->origin;
}

void dfm_adam_idle_free(dfm_adam_idle *idle) {
  if (!idle) return;
  free(idle->rate);
  free(idle->size);
  free(idle->root);
  free(idle->gap);
  free(idle->pool);
  free(idle->ring);
  free(idle->power1);
  free(idle->power2);
  free(idle->scale1);
  free(idle->scale2);
  free(idle);
}

/* 1 - beta^t without cancellation */
static double correction(double beta, int64_t t) {
  return beta == 0 ? 1 : -expm1((double)t * log(beta));
}

/* sqrt(1 - beta2^t) where it divides the second moment, as in PyTorch */
static double root_of_step(const dfm_adam_idle *idle, int64_t t) {
  return idle->epsilon_keras ? 1 : sqrt(correction(idle->beta2, t));
}

/* Terms that keep the error of 1 / (1 + y d), |d| <= reach, under `negligible` of it. The polynomial that meets it at
 * Chebyshev's nodes errs by T_N(2 y - 1) / T_N(x) of it, where x = -2 / d - 1 is its pole's place and |x| at least 2 /
 * reach - 1. */
static int terms_for(double reach) {
  const double terms = ceil(acosh(1 / negligible) / acosh(2 / reach - 1));
  return terms <= MAX_TERMS ? (int)fmax(terms, 1) : 0;
}

static idle_gap *gap_of(const dfm_adam_idle *idle, int64_t last) {
  return &idle->gap[last - idle->origin];
}

/* Opens the gap of rows last touched at `last`, the step before the one that begins. */
static void open_gap(dfm_adam_idle *idle, int64_t last) {
  idle_gap *gap = gap_of(idle, last);
  *gap = (idle_gap){0};
  if (idle->live == 0) return;
  const double high = idle->power2[1] / root_of_step(idle, last + 1);
  const double low = idle->power2[idle->live] / root_of_step(idle, last + idle->live);
  const int terms = terms_for((high - low) / (high + low));
  if (terms >= idle->live) return;
  *gap = (idle_gap){idle->pool_length, terms};
  idle_live *ring = &idle->ring[last % idle->live];
  *ring = (idle_live){.u = (high + low) / 2};
  memset(idle->pool + gap->start, 0, 2 * (size_t)terms * sizeof *idle->pool);
  idle->pool[gap->start + 2 * (size_t)terms] = (float)ring->u;
  idle->pool_length += 2 * (size_t)terms + 1;
}

/* c += a times the factors of the polynomial that is 1 / (1 + y d) at Chebyshev's nodes. With T the rule's polynomial
 * and q = -d that is (1 - T(y) / T(1 / q)) / (1 - q y): divided out, y^k has the factor q^k over T(1 / q) q^N of its
 * terms above k. */
static void add_term(double *c, const idle_rule *rule, int terms, double a, double d) {
  double power[MAX_TERMS + 1], above[MAX_TERMS + 1];
  power[0] = 1;
  for (int k = 0; k < terms; k++) power[k + 1] = power[k] * -d;
  above[terms] = 0;
  for (int k = terms; k > 0; k--) above[k - 1] = above[k] + rule->factor[k] * power[terms - k];
  const double scale = a / (above[0] + rule->factor[0] * power[terms]);
  for (int k = 0; k < terms; k++) c[k] += scale * power[k] * above[k];
}

static dfm_status reserve(dfm_adam_idle *idle, dfm_error *error) {
  const size_t n = (size_t)(idle->step - idle->origin) + 1;
  DFM_TRY(dfm_grow(&idle->rate, &idle->rate_capacity, n, sizeof *idle->rate, error));
  DFM_TRY(dfm_grow(&idle->size, &idle->size_capacity, n, sizeof *idle->size, error));
  DFM_TRY(dfm_grow(&idle->root, &idle->root_capacity, n, sizeof *idle->root, error));
  DFM_TRY(dfm_grow(&idle->gap, &idle->gap_capacity, n, sizeof *idle->gap, error));
  return dfm_grow(&idle->pool, &idle->pool_capacity, idle->pool_length + 2 * MAX_TERMS + 1, sizeof *idle->pool, error);
}

dfm_status dfm_adam_idle_begin(dfm_adam_idle *idle, double learning_rate, dfm_error *error) {
  DFM_TRY(reserve(idle, error));
  const int64_t t = ++idle->step;
  const size_t at = (size_t)(t - idle->origin - 1);
  const double root = root_of_step(idle, t);
  double size = learning_rate / correction(idle->beta1, t);
  if (idle->epsilon_keras) size *= sqrt(correction(idle->beta2, t));
  idle->rate[at] = learning_rate;
  idle->size[at] = size;
  idle->root[at] = 1 / root;
  if (t > 1) open_gap(idle, t - 1);
  const int64_t first = idle->origin > 1 ? idle->origin : 1;
  for (int64_t last = t - idle->live - 1 > first ? t - idle->live - 1 : first; last < t; last++) {
    const idle_gap gap = *gap_of(idle, last);
    float *c = idle->pool + gap.start;
    memcpy(c + gap.terms, c, (size_t)gap.terms * sizeof *c);
    if (gap.terms == 0 || t - last > idle->live) continue; /* what has ended stays as it is */
    idle_live *ring = &idle->ring[last % idle->live];
    const double u = idle->power2[t - last] / root;
    add_term(ring->sum, &idle->rule[gap.terms], gap.terms, size * idle->power1[t - last], u / ring->u - 1);
    for (int k = 0; k < gap.terms; k++) c[k] = (float)ring->sum[k];
  }
  return DFM_OK;
}

/* The sum step by step; the state decays with the last chunk. */
static void catch_up_by_step(const dfm_adam_idle *idle, const dfm_kernel *kernel, float *w, float *m, float *v,
                             size_t n, int64_t last, int64_t steps, float m_scale, float v_scale) {
  float a[CHUNK], u[CHUNK];
  dfm_adam_steps gap = {.a = a, .u = u, .epsilon = idle->epsilon, .m_scale = 1, .v_scale = 1};
  const int64_t end = steps < idle->live ? steps : idle->live;
  int64_t j = 0;
  do {
    for (gap.n = 0; gap.n < CHUNK && j < end; gap.n++) {
      j++;
      const int64_t at = last - idle->origin + j - 1;
      a[gap.n] = (float)(idle->size[at] * idle->power1[j]);
      u[gap.n] = (float)(idle->root[at] * idle->power2[j]);
    }
    if (j == end) {
      gap.m_scale = m_scale;
      gap.v_scale = v_scale;
    }
    kernel->adam_steps(w, m, v, n, &gap);
  } while (j < end);
}

void dfm_adam_idle_catch_up(const dfm_adam_idle *idle, const dfm_kernel *kernel, float *w, float *m, float *v, size_t n,
                            int64_t last, int64_t upto) {
  const int64_t steps = upto - last;
  if (steps <= 0) return;
  const idle_gap known = *gap_of(idle, last);
  const bool is_known = (size_t)steps < idle->n_powers;
  const float m_scale = is_known ? idle->scale1[steps] : decay(idle->beta1, steps);
  const float v_scale = is_known ? idle->scale2[steps] : decay(idle->beta2, steps);
  if (known.terms == 0) {
    catch_up_by_step(idle, kernel, w, m, v, n, last, steps, m_scale, v_scale);
    return;
  }
  const float *now = idle->pool + known.start, *before = now + known.terms;
  const dfm_adam_gap gap = {.terms = known.terms,
                            .c = upto < idle->step ? before : now,
                            .u = before[known.terms],
                            .epsilon = idle->epsilon,
                            .m_scale = m_scale,
                            .v_scale = v_scale};
  kernel->adam_gap(w, m, v, n, &gap);
}

size_t dfm_adam_idle_rates(const dfm_adam_idle *idle, const double **rates) {
  *rates = idle->rate;
  return (size_t)(idle->step - idle->origin);
}
