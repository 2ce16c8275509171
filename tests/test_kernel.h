/* What tests of kernels share: spans of random floats at odd places, and the table that the others are held against. */
#ifndef DFM_TESTS_TEST_KERNEL_H
#define DFM_TESTS_TEST_KERNEL_H

#include <math.h>

#include "kernel/kernel.h"
#include "test.h"

/* Spans reach from places 0..3 past a 16-byte boundary over 0..MAX_N floats; what lies behind must stay as it is. */
enum { MAX_N = 67, SPAN = 96, N_SPANS = 4 };

typedef struct spans {
  float x[N_SPANS][SPAN];
  float rows[40 * SPAN];
  double result;
} spans;

static inline float random_float(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (float)(int32_t)(*state >> 33) * 0x1p-30f - 1;
}

static inline void spans_fill(spans *s, uint64_t seed) {
  memset(s, 0, sizeof *s);
  for (int a = 0; a < N_SPANS; a++)
    for (int i = 0; i < SPAN; i++) s->x[a][i] = random_float(&seed);
  for (int i = 0; i < 40 * SPAN; i++) s->rows[i] = random_float(&seed);
  for (int i = 0; i < SPAN; i++) s->x[2][i] = fabsf(s->x[2][i]); /* second moments and sums of squares */
}

/* A step of Adam, and what a row that was idle for seven steps is caught up by. */
static const dfm_adam_step adam_step = {0.9f, 0.1f, 0.999f, 0.001f, 1e-2f, 3.0f, 1e-8f};
static const float gap_a[7] = {1e-2f, 2e-2f, -3e-3f, 4e-3f, 1e-3f, 1e-4f, 2e-5f};
static const float gap_u[7] = {3.0f, 2.5f, 2.0f, 1.5f, 1.2f, 1.1f, 1.0f};
static const dfm_adam_steps adam_steps = {7, gap_a, gap_u, 1e-8f, 0.5f, 0.99f};
static const dfm_adam_gap adam_gap = {7, gap_a, 1.5f, 1e-8f, 0.5f, 0.99f};

static inline const dfm_kernel *generic(void) {
  dfm_error error;
  const dfm_kernel *kernel = NULL;
  assert_ok(dfm_kernel_find("generic", &kernel, &error));
  return kernel;
}

#endif
