/* One packed row (table.h draws it): table and id come in, pointers to its parts go out. */
#ifndef DFM_TABLE_ROW_H
#define DFM_TABLE_ROW_H

#include "base/prefetch.h"
#include "table/table.h"

/* In a touch word, between gather and update: the low bits are the row's place among the unique rows of the batch.
 * So steps are counted in 31 bits, which dfm_optimizer_begin sees to. */
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

/* Touch words under this one are those of rows that are not ready. */
static inline uint32_t dfm_rows_ready_from(const dfm_tables *tables, const dfm_table *table) {
  const bool is_caught_up = tables->states == 2 && !table->is_frozen;
  return is_caught_up ? (uint32_t)dfm_optimizer_step_count(tables->optimizer) : 1;
}

/* Rows are asked for in goes, because what waits for a page's translation holds up all that follows it: the first
 * line of some rows at once, so that they wait together; nearer the others of each row, whose page is known by then,
 * between the work on other rows; and just before, all of it from the second-level cache into the first. Short rows,
 * of which many are in the caches, in one. */
enum {
  DFM_ROWS_AT_ONCE = 16,
  DFM_ROWS_AHEAD = 3 * DFM_ROWS_AT_ONCE,
  DFM_ROWS_NEAR = 3,
  DFM_SHORT_ROW = 2 * DFM_CACHE_LINE
};

static inline bool dfm_row_is_short(const dfm_table *table) {
  return (size_t)table->stride * sizeof(float) <= DFM_SHORT_ROW;
}

DFM_PREFETCHES void dfm_row_ask_first(const dfm_table *table, uint32_t id) {
  const dfm_row row = dfm_row_at(table, id);
  if (id >= table->V) return;
  if (!dfm_row_is_short(table)) {
    dfm_prefetch_far(row.w, 1);
    return;
  }
  dfm_prefetch(row.w, (size_t)table->stride * sizeof(float));
}

DFM_PREFETCHES void dfm_row_ask_rest(const dfm_table *table, uint32_t id) {
  enum { LINE = DFM_CACHE_LINE / sizeof(float) };
  const dfm_row row = dfm_row_at(table, id);
  if (id >= table->V) return;
  dfm_prefetch_far(row.w + LINE, ((size_t)table->stride - LINE) * sizeof(float));
}

DFM_PREFETCHES void dfm_row_ask_near(const dfm_table *table, uint32_t id) {
  if (id < table->V) dfm_prefetch(dfm_row_at(table, id).w, (size_t)table->stride * sizeof(float));
}

/* Called for i = 0, ..., n - 1, each before the work on row id[i]. */
DFM_PREFETCHES void dfm_rows_ask(const dfm_table *table, const uint32_t *id, size_t n, size_t i) {
  const size_t first = i + DFM_ROWS_AHEAD - DFM_ROWS_AT_ONCE, rest = i + DFM_ROWS_AT_ONCE;
  if (dfm_row_is_short(table)) {
    if (first < n) dfm_row_ask_first(table, id[first]);
    return;
  }
  for (size_t k = first; i % DFM_ROWS_AT_ONCE == 0 && k < first + DFM_ROWS_AT_ONCE && k < n; k++)
    dfm_row_ask_first(table, id[k]);
  if (rest < n) dfm_row_ask_rest(table, id[rest]);
  if (i + DFM_ROWS_NEAR < n) dfm_row_ask_near(table, id[i + DFM_ROWS_NEAR]);
}

/* Called before the first of those: asks for what they do not. */
DFM_PREFETCHES void dfm_rows_ask_start(const dfm_table *table, const uint32_t *id, size_t n) {
  for (size_t k = 0; k < DFM_ROWS_AHEAD - DFM_ROWS_AT_ONCE && k < n; k++) dfm_row_ask_first(table, id[k]);
  for (size_t k = 0; !dfm_row_is_short(table) && k < DFM_ROWS_AT_ONCE && k < n; k++) dfm_row_ask_rest(table, id[k]);
}

#endif
