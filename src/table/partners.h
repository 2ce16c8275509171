/* Partners: the gathered rows that a batch's rows are made of come in; the gradients that table rows get from their partners go out. */
#ifndef DFM_TABLE_PARTNERS_H
#define DFM_TABLE_PARTNERS_H

#include "table/table.h"

/* Whether the gradient of field f's factors comes from its partners. */
static inline bool dfm_partners_has(const dfm_table_gradient *gradient, int f) {
  return gradient->pairs.row && gradient->field[f].slot >= 0;
}

/* g (n) += what `n` places of field f, which want one table row, add to its factors, in order: place p is in row row[p] of the batch and counts c[p]
 * times. */
void dfm_partners_add(const dfm_tables *tables, const dfm_table_gradient *gradient, int f, const uint32_t *row,
                      const float *c, size_t n, float *g);

/* g (U, n) += what all places of single-valued field f add to their rows' factors. */
void dfm_partners_add_rows(const dfm_tables *tables, const dfm_table_gradient *gradient, int f, const dfm_plan *plans,
                           float *g);

#endif
