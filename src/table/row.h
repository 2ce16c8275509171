/* One packed row (table.h draws it): table and id come in, pointers to its parts go out. */
#ifndef DFM_TABLE_ROW_H
#define DFM_TABLE_ROW_H

#include "base/prefetch.h"
#include "table/table.h"

/* In a touch word, between gather and update: the low bits are the row's place among the unique rows of the batch. So steps are counted in 31 bits,
 * which dfm_optimizer_begin sees to. */
#define DFM_ROW_MARKED (UINT32_C(1) << 31)

typedef struct dfm_row {
  float *w, *state0, *state1; /* (n) each; state1 only where the optimizer has two states, state0 where it has one */
  uint32_t *touch;            /* 1 + step after which the row holds; 0: never touched; or DFM_ROW_MARKED */
} dfm_row;

static inline dfm_row dfm_row_at(const dfm_table *table, uint32_t id) {
  float *w = table->rows + (size_t)id * (size_t)table->stride;
  /* The touch word shares the page with the floats; it is only ever accessed through this pointer type. */
  return (dfm_row){w, w + table->n, w + 2 * table->n, (uint32_t *)(void *)(w + table->stride - 1)};
}

/* Asks the memory for a row that will be written: its lines, wherever in one it starts. */
DFM_PREFETCHES void dfm_row_prefetch(const dfm_table *table, uint32_t id) {
  const float *w = dfm_row_at(table, id).w;
  dfm_prefetch_write(w, (size_t)table->stride * sizeof(float));
  __builtin_prefetch(w + table->stride - 1, 1);
}

/* Rows ahead that memory is asked for: far enough to hide a miss, near enough that they stay in the first-level cache, a third of it. */
static inline int dfm_rows_ahead(const dfm_table *table) {
  enum { BYTES = 10240, MOST = 64, USUAL = 32, LEAST = 2 };
  const size_t row_bytes = (size_t)table->stride * sizeof(float), fitting = BYTES / row_bytes;
  if (row_bytes <= DFM_CACHE_LINE) return MOST;
  return fitting > USUAL ? USUAL : fitting < LEAST ? LEAST : (int)fitting;
}

#endif
