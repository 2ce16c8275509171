/* Sums: the ids of a batch come in; what its rows of a table's fields add up to goes out, made where the table's
 * rows lie. For nets that need nothing else of them (lr, fm), whose rows are neither copied nor seen by any thread
 * but their tables' own. */
#ifndef DFM_TABLE_SUM_H
#define DFM_TABLE_SUM_H

#include "table/table.h"

/* By group of tables, since each is summed by one task; added up in the order of groups. */
typedef struct dfm_sums {
  int groups, capacity, K;
  float *own;            /* (groups, capacity): first-order weights, less half of the factors' squares */
  float *factors;        /* (groups, capacity, K) */
  dfm_sum_field *fields; /* (F) those of a group side by side */
} dfm_sums;

dfm_status dfm_sums_create(const dfm_tables *tables, int groups, int capacity, int K, dfm_sums **sums,
                           dfm_error *error);
void dfm_sums_free(dfm_sums *sums); /* NULL accepted */

/* Plans the batch's places in the tables [from, to), the group `group`. Rows of those that are summed are caught up
 * to the step before the current one and summed; others' are gathered (dfm_tables_gather). */
void dfm_tables_sum(const dfm_tables *tables, int group, int from, int to, dfm_plan *plans, const dfm_batch *batch,
                    dfm_sums *sums);

#endif
