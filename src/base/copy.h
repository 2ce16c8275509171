/* Copying few floats: those of a table's row, which a call takes longer for than the copy. */
#ifndef DFM_BASE_COPY_H
#define DFM_BASE_COPY_H

#include <string.h>

enum { DFM_COPY_FEW = 32 };

/* n floats, 1 to DFM_COPY_FEW, in pieces that do not overlap: one that reaches over the end of what was just written,
 * as a kernel writes a row, would have to wait until that has left for the cache. */
static inline void dfm_copy_few(float *restrict to, const float *restrict from, size_t n) {
  size_t i = 0;
  for (; i + 4 <= n; i += 4) memcpy(to + i, from + i, 4 * sizeof *to);
  for (; i < n; i++) to[i] = from[i];
}

#endif
