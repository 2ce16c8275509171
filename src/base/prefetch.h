/* Prefetch: what will be read soon comes in; its cache lines are asked for. */
#ifndef DFM_BASE_PREFETCH_H
#define DFM_BASE_PREFETCH_H

#include <stddef.h>

/* For functions that do nothing but this: gcc takes one that only prefetches for one without effect and drops its
 * calls, unless it is inlined before it is looked at. */
#define DFM_PREFETCHES __attribute__((always_inline)) static inline

enum { DFM_CACHE_LINE = 64 };

/* What starts within a line may end in one more, so the last byte is asked for, too. */
DFM_PREFETCHES void dfm_prefetch(const void *bytes, size_t n) {
  for (size_t at = 0; at < n; at += DFM_CACHE_LINE) __builtin_prefetch((const char *)bytes + at);
  if (n > 1) __builtin_prefetch((const char *)bytes + n - 1);
}

/* The same into the second-level cache, where more lines can be on their way, and wait without driving out what is at
 * work. */
DFM_PREFETCHES void dfm_prefetch_far(const void *bytes, size_t n) {
  for (size_t at = 0; at < n; at += DFM_CACHE_LINE) __builtin_prefetch((const char *)bytes + at, 0, 2);
  if (n > 1) __builtin_prefetch((const char *)bytes + n - 1, 0, 2);
}

#endif
