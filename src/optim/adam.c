/* Adam's idle rows: learning rates come in, one per step; sums over nodes, from which any row is caught up, go out.
 * adam.h derives them. */
#include "optim/adam.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum {
  MAX_NODES = 24,   /* enough for the first steps of PyTorch's placement at the usual betas */
  MAX_LIVE = 20000, /* beta1 / sqrt(beta2) = 0.9991 */
  MIN_POWERS = 4096,
  CHUNK = 32 /* steps that are summed at once, at least MAX_NODES */
};

/* What is left of a motion after `live` steps; also the error that interpolation may make. */
static const double negligible = 1e-8;

/* All rows last touched at one step: `nodes` floats A_i, then as many u_i, at `start` of the pool. nodes = 0: sum step
 * by step. */
typedef struct idle_gap {
  size_t start;
  int nodes;
} idle_gap;

/* The same while it still changes. */
typedef struct idle_live {
  double middle, half;       /* x = middle + half y, y in [-1, 1] */
  double sum[MAX_NODES];     /* A_i after the current step */
  float previous[MAX_NODES]; /* A_i after the step before */
} idle_live;

/* Chebyshev nodes y_i in (-1, 1), and the factor of Lagrange's polynomial l_i(y) = factor_i prod_{k != i} (y - y_k). */
typedef struct idle_rule {
  double y[MAX_NODES], factor[MAX_NODES];
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
  idle_rule rule[MAX_NODES + 1]; /* by number of nodes */
};

static void rule_init(idle_rule *rule, int nodes) {
  for (int i = 0; i < nodes; i++) {
    const double angle = (2 * i + 1) * M_PI / (2 * nodes);
    rule->y[i] = cos(angle);
    rule->factor[i] = ldexp(i % 2 ? -sin(angle) : sin(angle), nodes - 1) / nodes;
  }
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
  for (size_t j = 0; j < idle->n_powers; j++) {
    idle->power1[j] = pow(settings->beta1, (double)j);
    idle->power2[j] = pow(settings->beta2, (double)j / 2);
  }
  for (int nodes = 1; nodes <= MAX_NODES; nodes++) rule_init(&idle->rule[nodes], nodes);
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

/* Nodes that keep the error of interpolating x / (s + epsilon x) over [low, high] under `negligible`, for every s. The
 * pole at -s / epsilon hurts most when it is as far from zero as the range is: then the range, seen from the pole, has
 * the ratio (1 + high / low) / 2, and each node divides the error by the sum of the half axes of the largest ellipse
 * around the range that leaves the pole out. */
static int nodes_for(double low, double high) {
  const double ratio = sqrt((1 + high / low) / 2), axes = (ratio + 1) / (ratio - 1);
  const double nodes = ceil(-log(negligible) / log(axes));
  return nodes <= MAX_NODES ? (int)fmax(nodes, 1) : 0;
}

static idle_gap *gap_of(const dfm_adam_idle *idle, int64_t last) {
  return &idle->gap[last - idle->origin];
}

/* Opens the gap of rows last touched at `last`, the step before the one that begins. */
static void open_gap(dfm_adam_idle *idle, int64_t last) {
  idle_gap *gap = gap_of(idle, last);
  *gap = (idle_gap){0};
  if (idle->live == 0) return;
  const double low = root_of_step(idle, last + 1) / idle->power2[1];
  const double high = root_of_step(idle, last + idle->live) / idle->power2[idle->live];
  const int nodes = nodes_for(low, high);
  if (nodes >= idle->live) return;
  *gap = (idle_gap){idle->pool_length, nodes};
  idle_live *ring = &idle->ring[last % idle->live];
  memset(ring, 0, sizeof *ring);
  ring->middle = (low + high) / 2;
  ring->half = fmax((high - low) / 2, 1e-12 * high);
  for (int i = 0; i < nodes; i++) {
    idle->pool[gap->start + (size_t)i] = 0;
    idle->pool[gap->start + (size_t)(nodes + i)] = (float)(1 / (ring->middle + ring->half * idle->rule[nodes].y[i]));
  }
  idle->pool_length += 2 * (size_t)nodes;
}

/* A_i += a l_i(x) */
static void add_term(idle_live *ring, const idle_rule *rule, int nodes, double a, double x) {
  double after[MAX_NODES + 1], before = a;
  const double y = (x - ring->middle) / ring->half;
  after[nodes] = 1;
  for (int i = nodes; i-- > 0;) after[i] = after[i + 1] * (y - rule->y[i]);
  for (int i = 0; i < nodes; i++) {
    ring->sum[i] += rule->factor[i] * before * after[i + 1];
    before *= y - rule->y[i];
  }
}

static dfm_status reserve(dfm_adam_idle *idle, dfm_error *error) {
  const size_t n = (size_t)(idle->step - idle->origin) + 1;
  DFM_TRY(dfm_grow(&idle->rate, &idle->rate_capacity, n, sizeof *idle->rate, error));
  DFM_TRY(dfm_grow(&idle->size, &idle->size_capacity, n, sizeof *idle->size, error));
  DFM_TRY(dfm_grow(&idle->root, &idle->root_capacity, n, sizeof *idle->root, error));
  DFM_TRY(dfm_grow(&idle->gap, &idle->gap_capacity, n, sizeof *idle->gap, error));
  return dfm_grow(&idle->pool, &idle->pool_capacity, idle->pool_length + 2 * MAX_NODES, sizeof *idle->pool, error);
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
  for (int64_t last = t - idle->live > first ? t - idle->live : first; last < t; last++) {
    const idle_gap gap = *gap_of(idle, last);
    if (gap.nodes == 0) continue;
    idle_live *ring = &idle->ring[last % idle->live];
    float *A = idle->pool + gap.start;
    memcpy(ring->previous, A, (size_t)gap.nodes * sizeof *A);
    add_term(ring, &idle->rule[gap.nodes], gap.nodes, size * idle->power1[t - last], root / idle->power2[t - last]);
    for (int i = 0; i < gap.nodes; i++) A[i] = (float)ring->sum[i];
  }
  return DFM_OK;
}

/* beta^n. A state that has shrunk to 1e-20 of what it was is gone: zero instead keeps denormal numbers out of the
 * tables. */
static float decay(double beta, const double *power, size_t n_powers, int64_t n, bool is_half) {
  double scale;
  if ((size_t)n < n_powers)
    scale = is_half ? power[n] * power[n] : power[n];
  else
    scale = beta == 0 ? 0 : exp((double)n * log(beta));
  return scale < 1e-20 ? 0 : (float)scale;
}

/* The sum step by step; the state decays with the last chunk. */
static void catch_up_by_step(const dfm_adam_idle *idle, const dfm_kernel *kernel, float *w, float *m, float *v,
                             size_t n, int64_t last, int64_t steps, const dfm_adam_gap *whole) {
  float a[CHUNK], u[CHUNK];
  dfm_adam_gap gap = {.a = a, .u = u, .epsilon = whole->epsilon, .m_scale = 1, .v_scale = 1};
  const int64_t end = steps < idle->live ? steps : idle->live;
  int64_t j = 0;
  do {
    for (gap.nodes = 0; gap.nodes < CHUNK && j < end; gap.nodes++) {
      j++;
      const int64_t at = last - idle->origin + j - 1;
      a[gap.nodes] = (float)(idle->size[at] * idle->power1[j]);
      u[gap.nodes] = (float)(idle->root[at] * idle->power2[j]);
    }
    if (j == end) {
      gap.m_scale = whole->m_scale;
      gap.v_scale = whole->v_scale;
    }
    kernel->adam_gap(w, m, v, n, &gap);
  } while (j < end);
}

void dfm_adam_idle_catch_up(const dfm_adam_idle *idle, const dfm_kernel *kernel, float *w, float *m, float *v, size_t n,
                            int64_t last, int64_t upto) {
  const int64_t steps = upto - last;
  if (steps <= 0) return;
  const idle_gap known = *gap_of(idle, last);
  dfm_adam_gap gap = {.nodes = known.nodes,
                      .epsilon = idle->epsilon,
                      .m_scale = decay(idle->beta1, idle->power1, idle->n_powers, steps, false),
                      .v_scale = decay(idle->beta2, idle->power2, idle->n_powers, steps, true)};
  if (steps <= known.nodes || known.nodes == 0) {
    catch_up_by_step(idle, kernel, w, m, v, n, last, steps, &gap);
    return;
  }
  gap.a = idle->pool + known.start;
  gap.u = gap.a + known.nodes;
  if (upto < idle->step && idle->step - last <= idle->live) gap.a = idle->ring[last % idle->live].previous;
  kernel->adam_gap(w, m, v, n, &gap);
}

size_t dfm_adam_idle_rates(const dfm_adam_idle *idle, const double **rates) {
  *rates = idle->rate;
  return (size_t)(idle->step - idle->origin);
}
