/* Plan: the ids of a batch come in; unique rows in ascending order, and who wants them, go out. Then the rows are gathered. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/sort.h"
#include "table/row.h"

dfm_status dfm_plan_create(const dfm_table *table, int capacity, bool keeps_gradients, dfm_plan *plan,
                           dfm_error *error) {
  const size_t B = (size_t)capacity, n = (size_t)table->n;
  dfm_status status;
  *plan = (dfm_plan){.capacity = capacity};
  DFM_TRY_GOTO(status, dfm_alloc(&plan->unique, B, sizeof *plan->unique, error), fail);
  DFM_TRY_GOTO(status, dfm_alloc(&plan->start, B + 1, sizeof *plan->start, error), fail);
  DFM_TRY_GOTO(status, dfm_alloc(&plan->order, B, sizeof *plan->order, error), fail);
  DFM_TRY_GOTO(status, dfm_alloc(&plan->inverse, B, sizeof *plan->inverse, error), fail);
  DFM_TRY_GOTO(status, dfm_alloc(&plan->scratch, 3 * B, sizeof *plan->scratch, error), fail);
  DFM_TRY_GOTO(status, dfm_alloc(&plan->weights, (B + 1) * n, sizeof *plan->weights, error), fail);
  if (keeps_gradients) {
    DFM_TRY_GOTO(status, dfm_alloc(&plan->gradients, B * n, sizeof *plan->gradients, error), fail);
  }
  return DFM_OK;
fail:
  dfm_plan_free(plan);
  return status;
}

void dfm_plan_free(dfm_plan *plan) {
  free(plan->unique);
  free(plan->start);
  free(plan->order);
  free(plan->inverse);
  free(plan->scratch);
  free(plan->weights);
  free(plan->gradients);
  *plan = (dfm_plan){0};
}

static void plan_ids(dfm_plan *plan, const uint32_t *id, int B, uint32_t V) {
  const size_t capacity = (size_t)plan->capacity;
  dfm_pairs pairs = {{plan->scratch, plan->scratch + capacity}, {plan->order, plan->scratch + 2 * capacity}};
  for (int b = 0; b < B; b++) { /* DFM_ID_NONE sorts last as V */
    pairs.key[0][b] = id[b] < V ? id[b] : V;
    pairs.value[0][b] = (uint32_t)b;
  }
  dfm_sort_pairs(&pairs, (size_t)B, V);
  if (pairs.value[0] != plan->order) memcpy(plan->order, pairs.value[0], (size_t)B * sizeof(uint32_t));
  const uint32_t *key = pairs.key[0];
  int U = 0, b = 0;
  for (; b < B && key[b] < V; b++) {
    if (b == 0 || key[b] != key[b - 1]) {
      plan->unique[U] = key[b];
      plan->start[U++] = (uint32_t)b;
    }
    plan->inverse[plan->order[b]] = (uint32_t)(U - 1);
  }
  plan->start[U] = (uint32_t)b;
  for (; b < B; b++) plan->inverse[plan->order[b]] = (uint32_t)U;
  plan->U = U;
}

void dfm_table_gather(const dfm_tables *tables, int f, dfm_plan *plan, const uint32_t *id, int B) {
  const dfm_table *table = &tables->table[f];
  const size_t n = (size_t)table->n;
  plan_ids(plan, id, B, table->V);
  const int64_t upto = dfm_optimizer_step_count(tables->optimizer) - 1;
  const size_t row_bytes = (size_t)table->stride * sizeof(float);
  for (int u = 0; u < plan->U; u++) {
    if (u + 8 < plan->U) { /* far enough ahead to hide a miss, near enough to stay in the first-level cache */
      const char *next = (const char *)dfm_row_at(table, plan->unique[u + 8]).w;
      for (size_t at = 0; at < row_bytes; at += 64) __builtin_prefetch(next + at, 1);
    }
    const dfm_row row = dfm_row_at(table, plan->unique[u]);
    if (*row.touch == 0) {
      dfm_table_initial(tables, f, plan->unique[u], row.w);
    } else if (tables->states == 2 && *row.touch > 1 && *row.touch - 1 < upto) {
      dfm_optimizer_catch_up(tables->optimizer, row.w, row.state0, row.state1, n, *row.touch - 1, upto);
    }
    *row.touch = (uint32_t)(upto + 1);
    memcpy(plan->weights + (size_t)u * n, row.w, n * sizeof(float));
  }
  memset(plan->weights + (size_t)plan->U * n, 0, n * sizeof(float));
}
