/* Copying few floats: those of a table's row, which a call takes longer for than the copy. */
#ifndef DFM_BASE_COPY_H
#define DFM_BASE_COPY_H

#include <string.h>

enum { DFM_COPY_FEW = 32 };

/* n floats, 1 to DFM_COPY_FEW, as the first and the last of a number that the compiler knows; the two may overlap. */
static inline void dfm_copy_few(float *restrict to, const float *restrict from, size_t n) {
#define DFM_COPY_ENDS(N)                                    \
  do {                                                      \
    memcpy(to, from, (N) * sizeof *to);                     \
    memcpy(to + n - (N), from + n - (N), (N) * sizeof *to); \
  } while (0)
  if (n == 1)
    *to = *from;
  else if (n >= 16)
    DFM_COPY_ENDS(16);
  else if (n >= 8)
    DFM_COPY_ENDS(8);
  else if (n >= 4)
    DFM_COPY_ENDS(4);
  else
    DFM_COPY_ENDS(2);
#undef DFM_COPY_ENDS
}

#endif
