/* Partners: the gathered rows that a batch's rows are made of come in; the gradient that a table row gets from its partners goes out. */
#ifndef DFM_TABLE_PARTNERS_H
#define DFM_TABLE_PARTNERS_H

#include "table/table.h"

/* g (n) += what `n` places of field f add to the factors of the row that they want, in order: place p is in row row[p] of the batch and counts c[p]
 * times. `adds` false: g's factors are zero so far, which saves reading them. */
void dfm_partners_add(const dfm_tables *tables, const dfm_table_gradient *gradient, int f, const uint32_t *row,
                      const float *c, size_t n, bool adds, float *g);

#endif
