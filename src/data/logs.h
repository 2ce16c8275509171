/* Logs of numbers: what most logs are of, small whole numbers, comes in; what `log` gives comes out of a table. */
#ifndef DFM_DATA_LOGS_H
#define DFM_DATA_LOGS_H

#include <math.h>

/* logs[x] = ln(1 + x) */
enum { DFM_LOGS = 2048 };

static inline void dfm_logs_fill(double logs[DFM_LOGS]) {
  for (int i = 0; i < DFM_LOGS; i++) logs[i] = log(1 + (double)i);
}

/* ln(1 + x), -1 where there is none. In double that is exact to float32 for any x that is one, and cheaper than
 * log1p. */
static inline double dfm_log_of(const double logs[DFM_LOGS], double x) {
  if (x >= 0 && x < DFM_LOGS && x == (double)(int)x) return logs[(int)x];
  return x > -1 ? log(1 + x) : -1;
}

#endif
