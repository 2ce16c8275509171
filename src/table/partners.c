/* Partners: field-aware pairs need no backward pass. The gradient of e_i[j], what field i keeps for field j, is dlogit
 * e_j[i]: a weight that is at hand where the row of field i is stepped. So nothing of (F, F, K) a row of the batch is
 * ever written; each row's partners are read where they were gathered, and all places that want a row are summed side
 * by side, in order.
 *
 * Field i wants one piece of K factors of every row, which lie a whole row apart: each in a cache line that holds
 * little else of use. So its pieces are packed first; each is read again for every place that its row has, and then
 * comes from the first or second-level cache. */
#include "table/partners.h"

#include <string.h>

#include "base/prefetch.h"

/* Rows ahead that are asked for. */
enum { PACK_AHEAD = 16 };

__attribute__((always_inline)) static inline void pack(const dfm_factor_rows *rows, const dfm_columns *columns,
                                                       size_t K) {
  const int slots = columns->to - columns->from;
  const float *from = rows->at + (size_t)columns->from * K;
  float *to = columns->at + rows->piece * K;
  for (size_t r = 0; r < rows->n; r++, from += rows->ld, to += K) {
    dfm_prefetch(from + PACK_AHEAD * rows->ld, (size_t)slots * K * sizeof *from);
    for (int s = 0; s < slots; s++) memcpy(to + (size_t)s * columns->floats, from + (size_t)s * K, K * sizeof *to);
  }
}

const float *dfm_partners_column(const dfm_pairs *pairs, dfm_columns *columns, int slot, int end) {
  if (slot < columns->from || slot >= columns->to) {
    columns->from = slot;
    columns->to = end <= slot ? slot + 1 : end < slot + DFM_COLUMNS ? end : slot + DFM_COLUMNS;
    for (int i = 0; i < pairs->n_rows; i++) {
      if (pairs->K == 4)
        pack(&pairs->rows[i], columns, 4); /* known to the compiler */
      else
        pack(&pairs->rows[i], columns, (size_t)pairs->K);
    }
  }
  return columns->at + (size_t)(slot - columns->from) * columns->floats;
}

void dfm_partners_add(const dfm_kernel *kernel, const dfm_pairs *pairs, int slot, bool meets_self, const float *column,
                      const uint32_t *row, const float *c, size_t n, float *g) {
  const size_t K = (size_t)pairs->K;
  float *own = g + (size_t)slot * K, kept[DFM_MAX_FIELD_WIDTH];
  memcpy(kept, own, K * sizeof *own);
  kernel->ffm_gradient(g, column, pairs->piece, pairs->slots, pairs->K, row, c, n);
  if (!meets_self) memcpy(own, kept, K * sizeof *own);
}

void dfm_partners_list(const dfm_plan *plans, const dfm_plan *plan, int f) {
  const uint32_t *to = plan->inverse + plans[f].at, n = (uint32_t)plan->batch->rows;
  uint32_t *start = plan->start + 1; /* start[u] is where the next row of u goes; in the end, where u ends */
  memset(plan->start, 0, ((size_t)plan->U + 2) * sizeof *plan->start);
  for (uint32_t b = 0; b < n; b++)
    if (to[b] < (uint32_t)plan->U) start[to[b] + 1]++;
  for (int u = 0; u < plan->U; u++) start[u + 1] += start[u];
  for (uint32_t b = 0; b < n; b++)
    if (to[b] < (uint32_t)plan->U) plan->order[start[to[b]]++] = b;
}

/* Places whose coefficients are handed on at once. */
enum { PLACES = 128 };

void dfm_partners_add_rows(const dfm_tables *tables, const dfm_table_gradient *gradient, int f, const dfm_plan *plan,
                           const float *column, int from, int to, float *g) {
  const dfm_table *table = &tables->table[tables->encoder->category[f].table];
  const int slot = gradient->field[f].slot;
  float c[PLACES];
  for (int u = from; u < to; u++, g += table->n)
    for (uint32_t at = plan->start[u], end = plan->start[u + 1]; at < end; at += PLACES) {
      const uint32_t here = end - at < PLACES ? end - at : PLACES, *row = plan->order + at;
      for (uint32_t i = 0; i < here; i++) c[i] = gradient->dlogit[row[i]];
      for (uint32_t i = 0; i < here && gradient->field[f].has_first; i++) g[0] += c[i];
      dfm_partners_add(tables->kernel, &gradient->pairs, slot, false, column, row, c, here, g + table->first);
    }
}
