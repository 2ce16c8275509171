/* Partners: the gathered rows that a batch's rows are made of come in; the gradients that table rows get from their
 * partners go out. */
#ifndef DFM_TABLE_PARTNERS_H
#define DFM_TABLE_PARTNERS_H

#include "table/table.h"

/* Whether the gradient of field f's factors comes from its partners. */
static inline bool dfm_partners_has(const dfm_table_gradient *gradient, int f) {
  return gradient->pairs.slots > 0 && gradient->field[f].slot >= 0;
}

/* The pieces for the slots [from, to), each (pieces, K), `floats` apart; room for DFM_COLUMNS of them. */
enum { DFM_COLUMNS = 4 };
typedef struct dfm_columns {
  float *at;
  size_t floats;
  int from, to;
} dfm_columns;

/* The pieces for `slot`. Where they are not there yet, they are packed, and those for the slots that follow and come
 * before `end` with them. */
const float *dfm_partners_column(const dfm_pairs *pairs, dfm_columns *columns, int slot, int end);

/* g (slots, K) += what `n` places of the field in `slot`, which want one row of factors, add to it, in order: place
 * p is in row row[p] of the batch and counts c[p] times. Its own factors only where it meets itself. */
void dfm_partners_add(const dfm_kernel *kernel, const dfm_pairs *pairs, int slot, bool meets_self, const float *column,
                      const uint32_t *row, const float *c, size_t n, float *g);

/* Lists the rows of the batch by the unique row that each wants of single-valued field f: plan->start and order. */
void dfm_partners_list(const dfm_plan *plans, const dfm_plan *plan, int f);

/* g (to - from, n) += what the places of single-valued field f add to the unique rows [from, to), first-order
 * weights too. */
void dfm_partners_add_rows(const dfm_tables *tables, const dfm_table_gradient *gradient, int f, const dfm_plan *plan,
                           const float *column, int from, int to, float *g);

#endif
