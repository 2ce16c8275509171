/* Partners: field-aware pairs need no backward pass. The gradient of e_i[j], what field i keeps for field j, is dlogit e_j[i]: a weight that is at hand
 * where the row of field i is stepped. So nothing of (F, F, K) a row of the batch is ever written; each row's partners are read where they were
 * gathered, and the factors of a row that several places want are summed on the way. */
#include "table/partners.h"

#include <string.h>

void dfm_partners_add(const dfm_tables *tables, const dfm_table_gradient *gradient, int f, const uint32_t *row,
                      const float *c, size_t n, bool adds, float *g) {
  const dfm_pairs_rows *pairs = &gradient->pairs;
  const dfm_field_gradient *field = &gradient->field[f];
  const size_t K = (size_t)pairs->K;
  float *factors = g + tables->table[tables->encoder->category[f].table].first;
  float *own = factors + (size_t)field->slot * K, kept[DFM_MAX_FIELD_WIDTH];
  memcpy(kept, own, K * sizeof *own);
  tables->kernel->ffm_gradient(factors, adds, pairs->row, pairs->slots, pairs->K, field->slot, row, c, n);
  if (!field->has_within) memcpy(own, kept, K * sizeof *own); /* a field does not meet itself */
}
