/* Prefetch: a function that asks memory ahead of its use is declared with DFM_PREFETCHES.
 *
 * GCC takes a function that does nothing but prefetch for one without effect, and drops calls of it, unless it is
 * inlined before it comes to that. */
#ifndef DFM_BASE_PREFETCH_H
#define DFM_BASE_PREFETCH_H

#define DFM_PREFETCHES static inline __attribute__((always_inline))

#endif
