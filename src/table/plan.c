/* Plan: the ids of a batch come in; unique rows in ascending order, and who wants them, go out. Then the rows are gathered. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/prefetch.h"
#include "base/sort.h"
#include "table/row.h"

static void free_arrays(dfm_plan *plan) {
  free(plan->unique);
  free(plan->start);
  free(plan->order);
  free(plan->inverse);
  free(plan->scratch);
  free(plan->room);
  free(plan->gradients);
  plan->unique = plan->start = plan->order = plan->inverse = plan->scratch = NULL;
  plan->room = plan->weights = plan->gradients = NULL;
  plan->capacity = 0;
}

/* Large arrays start where a page does, so the rows that many tables gather first would all want the same few lines of a cache, which pairs of fields
 * read side by side. So each table starts by some lines later than the one before, up to a page. */
static size_t stagger(const dfm_table *table, size_t row) {
  enum { LINE = DFM_CACHE_LINE / sizeof(float), PAGE = 4096 / sizeof(float) };
  return (size_t)table->field * ((row + LINE - 1) / LINE * LINE) % PAGE;
}

/* Room for `n` places of one table; what was planned before is lost. */
static dfm_status reserve(const dfm_table *table, dfm_plan *plan, size_t n, dfm_error *error) {
  const size_t row = (size_t)table->n;
  free_arrays(plan);
  DFM_TRY(dfm_alloc(&plan->unique, n, sizeof *plan->unique, error));
  DFM_TRY(dfm_alloc(&plan->start, n + 1, sizeof *plan->start, error));
  DFM_TRY(dfm_alloc(&plan->order, n, sizeof *plan->order, error));
  DFM_TRY(dfm_alloc(&plan->inverse, n, sizeof *plan->inverse, error));
  DFM_TRY(dfm_alloc(&plan->scratch, 3 * n, sizeof *plan->scratch, error));
  DFM_TRY(dfm_alloc(&plan->room, stagger(table, row) + (n + 1) * row, sizeof *plan->room, error));
  plan->weights = plan->room + stagger(table, row);
  if (plan->keeps_gradients) DFM_TRY(dfm_alloc(&plan->gradients, n * row, sizeof *plan->gradients, error));
  plan->capacity = n;
  return DFM_OK;
}

static dfm_status create(const dfm_tables *tables, int capacity, bool keeps_gradients, dfm_plan *plans,
                         dfm_error *error) {
  for (int f = 0; f < tables->F; f++) {
    const dfm_table *table = &tables->table[f];
    const dfm_category_field *field = &tables->encoder->category[f];
    const size_t row = (size_t)tables->table[field->table].n;
    plans[f].keeps_gradients = keeps_gradients;
    if (field->is_list && field->settings.pool == DFM_POOL_MAX)
      DFM_TRY(dfm_alloc(&plans[f].winner, (size_t)capacity * row, sizeof *plans[f].winner, error));
    if (table->n_members > 0) DFM_TRY(reserve(table, &plans[f], (size_t)capacity * (size_t)table->n_members, error));
  }
  return DFM_OK;
}

dfm_status dfm_plans_create(const dfm_tables *tables, int capacity, bool keeps_gradients, dfm_plan **plans,
                            dfm_error *error) {
  dfm_plan *made;
  DFM_TRY(dfm_alloc(&made, (size_t)tables->F, sizeof *made, error));
  const dfm_status status = create(tables, capacity, keeps_gradients, made, error);
  if (status != DFM_OK) {
    dfm_plans_free(made, tables->F);
    return status;
  }
  *plans = made;
  return DFM_OK;
}

void dfm_plans_free(dfm_plan *plans, int F) {
  for (int f = 0; plans && f < F; f++) {
    free_arrays(&plans[f]);
    free(plans[f].winner);
  }
  free(plans);
}

static size_t count_places(const dfm_batch *batch, int f) {
  const dfm_batch_list *list = &batch->list[f];
  return list->offsets ? list->offsets[batch->rows] : (size_t)batch->rows;
}

dfm_status dfm_plans_reserve(const dfm_tables *tables, dfm_plan *plans, const dfm_batch *batch, dfm_error *error) {
  for (int t = 0; t < tables->F; t++) {
    const dfm_table *table = &tables->table[t];
    size_t n = 0;
    for (int m = 0; m < table->n_members; m++) n += count_places(batch, table->member[m]);
    if (n > DFM_MOST_PLACES) {
      return dfm_fail(error, DFM_ERROR_VALUE,
                      "a batch asks for more than %d rows of table '%s'; lower train.batch_size (now %d rows)",
                      DFM_MOST_PLACES, tables->encoder->category[t].name, batch->rows);
    }
    if (n > plans[t].capacity) DFM_TRY(reserve(table, &plans[t], n + n / 8, error));
  }
  return DFM_OK;
}

/* The keys of the table's places, field after field; DFM_ID_NONE sorts last, as V. */
static void list_places(const dfm_table *table, dfm_plan *plans, const dfm_batch *batch, uint32_t *key) {
  uint32_t at = 0;
  for (int m = 0; m < table->n_members; m++) {
    const int f = table->member[m];
    const dfm_batch_list *list = &batch->list[f];
    const uint32_t *id = list->offsets ? list->id : batch->id + (size_t)f * (size_t)batch->capacity;
    const size_t n = count_places(batch, f);
    plans[f].at = at;
    for (size_t p = 0; p < n; p++) key[at + p] = id[p] < table->V ? id[p] : table->V;
    at += (uint32_t)n;
  }
  plans[table->field].n = at;
}

static void plan_places(const dfm_table *table, dfm_plan *plans, const dfm_batch *batch) {
  dfm_plan *plan = &plans[table->field];
  const size_t capacity = plan->capacity;
  dfm_pairs pairs = {{plan->scratch, plan->scratch + capacity}, {plan->order, plan->scratch + 2 * capacity}};
  list_places(table, plans, batch, pairs.key[0]);
  const uint32_t n = (uint32_t)plan->n, V = table->V;
  for (uint32_t p = 0; p < n; p++) pairs.value[0][p] = p;
  dfm_sort_pairs(&pairs, n, V);
  if (pairs.value[0] != plan->order) memcpy(plan->order, pairs.value[0], n * sizeof(uint32_t));
  const uint32_t *key = pairs.key[0];
  uint32_t U = 0, p = 0;
  for (; p < n && key[p] < V; p++) {
    if (p == 0 || key[p] != key[p - 1]) {
      plan->unique[U] = key[p];
      plan->start[U++] = p;
    }
    plan->inverse[plan->order[p]] = U - 1;
  }
  plan->start[U] = p;
  for (; p < n; p++) plan->inverse[plan->order[p]] = U;
  plan->U = (int)U;
  plan->batch = batch;
  plan->is_plain = table->n_members == 1 && !batch->list[table->field].offsets;
}

void dfm_table_gather(const dfm_tables *tables, int f, dfm_plan *plans, const dfm_batch *batch) {
  const dfm_table *table = &tables->table[f];
  dfm_plan *plan = &plans[f];
  const size_t n = (size_t)table->n;
  plan_places(table, plans, batch);
  const int64_t upto = dfm_optimizer_step_count(tables->optimizer) - 1;
  const size_t row_bytes = (size_t)table->stride * sizeof(float);
  const bool is_caught_up = tables->states == 2 && !table->is_frozen;
  for (int u = 0; u < plan->U; u++) {
    if (u + 8 < plan->U) { /* far enough ahead to hide a miss, near enough to stay in the first-level cache */
      dfm_prefetch_write(dfm_row_at(table, plan->unique[u + 8]).w, row_bytes);
    }
    const dfm_row row = dfm_row_at(table, plan->unique[u]);
    if (*row.touch == 0) {
      dfm_table_initial(tables, f, plan->unique[u], row.w);
    } else if (is_caught_up && *row.touch > 1 && *row.touch - 1 < upto) {
      dfm_optimizer_catch_up(tables->optimizer, row.w, row.state0, row.state1, n, *row.touch - 1, upto);
    }
    *row.touch = (uint32_t)(upto + 1);
    memcpy(plan->weights + (size_t)u * n, row.w, n * sizeof(float));
  }
  memset(plan->weights + (size_t)plan->U * n, 0, n * sizeof(float));
}
