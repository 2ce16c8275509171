/* Busy: what threads do comes in, kind by kind; seconds of each thread and kind go out. For `deepfm bench`; training
 * does not look at the clock. */
#ifndef DFM_BASE_BUSY_H
#define DFM_BASE_BUSY_H

#include "base/clock.h"

/* The work of a training step. */
typedef enum dfm_work {
  DFM_WORK_FILL,     /* rows of the dataset -> batch */
  DFM_WORK_GATHER,   /* ids -> unique rows, caught up and copied */
  DFM_WORK_EMBED,    /* unique rows -> activations */
  DFM_WORK_FORWARD,  /* layers, and the loss */
  DFM_WORK_BACKWARD, /* layers */
  DFM_WORK_DENSE,    /* gradients and steps of dense weights, and packing them */
  DFM_WORK_ROWS,     /* gradients and steps of table rows */
  DFM_WORKS
} dfm_work;

/* One thread's seconds, on cache lines of its own. */
typedef struct dfm_busy {
  _Alignas(64) double seconds[DFM_WORKS];
} dfm_busy;

/* `busy` (threads) is NULL where nothing is measured. */
static inline double dfm_busy_start(const dfm_busy *busy) {
  return busy ? dfm_seconds() : 0;
}

/* Counts the time since `start` as `work` of `thread`; returns the time now. */
static inline double dfm_busy_count(dfm_busy *busy, int thread, dfm_work work, double start) {
  if (!busy) return 0;
  const double now = dfm_seconds();
  busy[thread].seconds[work] += now - start;
  return now;
}

#endif
