/* Clock: seconds that only differences of have a meaning. */
#ifndef DFM_BASE_CLOCK_H
#define DFM_BASE_CLOCK_H

#include <time.h>

static inline double dfm_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#endif
