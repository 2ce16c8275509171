/* Partners: field-aware pairs need no backward pass. The gradient of e_i[j], what field i keeps for field j, is dlogit e_j[i]: a weight that is at hand
 * where the row of field i is stepped. So nothing of (F, F, K) a row of the batch is ever written; each row's partners are read where they were
 * gathered, and all places that want a row are summed side by side, in order. */
#include "table/partners.h"

#include <string.h>

void dfm_partners_add(const dfm_tables *tables, const dfm_table_gradient *gradient, int f, const uint32_t *row,
                      const float *c, size_t n, float *g) {
  const dfm_pairs_rows *pairs = &gradient->pairs;
  const dfm_field_gradient *field = &gradient->field[f];
  float *factors = g + tables->table[tables->encoder->category[f].table].first;
  tables->kernel->ffm_gradient(factors, pairs->row, pairs->slots, pairs->K, field->slot, field->has_within, row, c, n);
}

/* Lists the rows of the batch by the unique row that each wants, `to`. */
static void list_rows(const dfm_plan *plan, const uint32_t *to, uint32_t n) {
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

void dfm_partners_add_rows(const dfm_tables *tables, const dfm_table_gradient *gradient, int f, const dfm_plan *plans,
                           float *g) {
  const int t = tables->encoder->category[f].table;
  const dfm_plan *plan = &plans[t];
  const size_t n = (size_t)tables->table[t].n;
  float c[PLACES];
  list_rows(plan, plan->inverse + plans[f].at, (uint32_t)plan->batch->rows);
  for (int u = 0; u < plan->U; u++, g += n)
    for (uint32_t at = plan->start[u], end = plan->start[u + 1]; at < end; at += PLACES) {
      const uint32_t here = end - at < PLACES ? end - at : PLACES, *row = plan->order + at;
      for (uint32_t i = 0; i < here; i++) c[i] = gradient->dlogit[row[i]];
      dfm_partners_add(tables, gradient, f, row, c, here, g);
    }
}
