/* Sums: places of a batch come in; each table's unique rows, and what every row of the batch gets from a group of
 * tables, go out.
 *
 * Planning takes two passes over a field's places: the last one first, each place puts its number into its row's
 * touch word, which so ends up with the row's first place; then, the first one first, a place that finds its own
 * number there becomes the next unique row. In neither pass does where one place is written wait for what another
 * one reads. */
#include "table/sum.h"

#include <stdlib.h>

#include "base/memory.h"
#include "table/row.h"

static dfm_status create(const dfm_tables *tables, dfm_sums *sums, dfm_error *error) {
  const size_t rows = (size_t)sums->groups * (size_t)sums->capacity;
  DFM_TRY(dfm_alloc(&sums->own, rows, sizeof(float), error));
  DFM_TRY(dfm_alloc(&sums->factors, rows * (size_t)sums->K, sizeof(float), error));
  return dfm_alloc(&sums->fields, (size_t)tables->F, sizeof *sums->fields, error);
}

dfm_status dfm_sums_create(const dfm_tables *tables, int groups, int capacity, int K, dfm_sums **out,
                           dfm_error *error) {
  dfm_sums *sums;
  DFM_TRY(dfm_alloc(&sums, 1, sizeof *sums, error));
  sums->groups = groups;
  sums->capacity = capacity;
  sums->K = K;
  const dfm_status status = create(tables, sums, error);
  if (status != DFM_OK) {
    dfm_sums_free(sums);
    return status;
  }
  *out = sums;
  return DFM_OK;
}

void dfm_sums_free(dfm_sums *sums) {
  if (!sums) return;
  free(sums->own);
  free(sums->factors);
  free(sums->fields);
  free(sums);
}

/* Rows that are asked for the first time, started together. */
typedef struct fresh_rows {
  uint32_t id[32];
  size_t n;
} fresh_rows;

static void start_rows(const dfm_tables *tables, const dfm_table *table, fresh_rows *fresh) {
  if (fresh->n > 0 && dfm_table_draws(tables))
    dfm_encoder_ask_fingerprints(tables->encoder, table->field, fresh->id, fresh->n);
  for (size_t i = 0; i < fresh->n; i++)
    dfm_table_initial(tables, table->field, fresh->id[i], dfm_row_at(table, fresh->id[i]).w);
  fresh->n = 0;
}

/* A row that no place has marked, and that is not as it was after the step before. */
__attribute__((noinline)) static void make_ready(const dfm_tables *tables, const dfm_table *table, uint32_t id,
                                                 fresh_rows *fresh) {
  const dfm_row row = dfm_row_at(table, id);
  const uint32_t touched = *row.touch;
  if (touched == 0) {
    fresh->id[fresh->n++] = id;
    if (fresh->n == sizeof fresh->id / sizeof *fresh->id) start_rows(tables, table, fresh);
  } else if (touched > 1) { /* 1: set, before the first step */
    dfm_optimizer_catch_up(tables->optimizer, row.w, row.state0, row.state1, (size_t)table->n, touched - 1,
                           dfm_optimizer_step_count(tables->optimizer) - 1);
  }
}

/* Places first, first + 1, ... of the plan: n ids of one field. */
typedef struct places {
  const uint32_t *id;
  uint32_t first, n;
} places;

static places places_of(const dfm_plan *plans, const dfm_batch *batch, int f) {
  return (places){batch->id + (size_t)f * (size_t)batch->capacity, plans[f].at, (uint32_t)batch->rows};
}

/* Asks for the row of a place; in vain, where the place has no id. */
DFM_PREFETCHES void ask_place(const dfm_table *table, uint32_t id) {
  const size_t row_bytes = (size_t)table->stride * sizeof(float), last = row_bytes - sizeof(float);
  const uintptr_t row = (uintptr_t)table->rows + id * row_bytes;
  for (size_t at = 0; at < last; at += DFM_CACHE_LINE) __builtin_prefetch((const void *)(row + at), 0, 2);
  __builtin_prefetch((const void *)(row + last), 0, 2);
}

/* Each row's touch word gets the number of the first of these places that wants it. Meanwhile the rows of the places
 * `then` of another table come, whose turn is next; NULL: of none. */
static void mark_first(const dfm_tables *tables, const dfm_table *table, const places *at, const dfm_table *next,
                       const uint32_t *then) {
  const uint32_t ready = dfm_rows_ready_from(tables, table), V = table->V, first = DFM_ROW_MARKED | at->first;
  const uint32_t *const restrict id = at->id;
  uint32_t *const touch = dfm_row_at(table, 0).touch;
  const size_t stride = (size_t)table->stride;
  fresh_rows fresh;
  fresh.n = 0;
  for (uint32_t p = at->n; p-- > 0;) {
    if (then) ask_place(next, then[p]);
    if (id[p] >= V) continue; /* DFM_ID_NONE */
    uint32_t *of = touch + id[p] * stride;
    if (__builtin_expect(*of < ready, 0)) make_ready(tables, table, id[p], &fresh);
    *of = first + p;
  }
  start_rows(tables, table, &fresh);
}

/* Numbers the rows by their first places, from plan->U on; true: some place has no id. */
static bool number_rows(const dfm_table *table, const places *at, dfm_plan *plan) {
  const uint32_t *const restrict id = at->id, V = table->V, n = at->n;
  const uint32_t *const restrict touch = dfm_row_at(table, 0).touch;
  const size_t stride = (size_t)table->stride;
  uint32_t *const inverse = plan->inverse, *const restrict unique = plan->unique;
  uint32_t U = (uint32_t)plan->U, place = at->first;
  bool has_none = false;
  for (uint32_t p = 0; p < n; p++, place++) {
    if (id[p] >= V) {
      inverse[place] = DFM_ID_NONE;
      has_none = true;
      continue;
    }
    const uint32_t first = touch[id[p] * stride] & ~DFM_ROW_MARKED;
    inverse[place] = U; /* stays, if it is the first */
    inverse[place] = inverse[first];
    unique[U] = id[p];
    U += first == place;
  }
  plan->U = (int)U;
  return has_none;
}

/* The ids that come first of those that are asked of a table. */
static const uint32_t *first_ids(const dfm_table *table, const dfm_batch *batch) {
  return batch->id + (size_t)table->field * (size_t)batch->capacity;
}

/* Plans a table while the rows of the next one come; NULL: of none. */
static void plan_table(const dfm_tables *tables, const dfm_table *table, dfm_plan *plans, const dfm_batch *batch,
                       const dfm_table *next) {
  dfm_plan *plan = &plans[table->field];
  bool has_none = false;
  plan->U = 0;
  plan->n = (size_t)table->n_members * (size_t)batch->rows;
  plan->batch = batch;
  for (int m = table->n_members - 1; m >= 0; m--) {
    plans[table->member[m]].at = (uint32_t)m * (uint32_t)batch->rows;
    const places of = places_of(plans, batch, table->member[m]);
    mark_first(tables, table, &of, next, next && m == 0 ? first_ids(next, batch) : NULL);
  }
  for (int m = 0; m < table->n_members; m++) {
    const places of = places_of(plans, batch, table->member[m]);
    has_none |= number_rows(table, &of, plan);
  }
  for (size_t p = 0; has_none && p < plan->n; p++)
    if (plan->inverse[p] == DFM_ID_NONE) plan->inverse[p] = (uint32_t)plan->U;
}

static dfm_sum_field sum_field(const dfm_table *table, const dfm_batch *batch, int f) {
  return (dfm_sum_field){.rows = {table->rows, (size_t)table->stride, (size_t)table->n},
                         .id = batch->id + (size_t)f * (size_t)batch->capacity,
                         .V = table->V,
                         .has_factors = table->n > 1};
}

/* The first table from `t` on, before `to`, that is summed; NULL: none. */
static const dfm_table *summed_from(const dfm_tables *tables, int t, int to) {
  for (; t < to; t++)
    if (tables->table[t].is_summed && tables->table[t].n_members > 0) return &tables->table[t];
  return NULL;
}

DFM_PREFETCHES void ask_table(const dfm_table *table, const dfm_batch *batch) {
  const uint32_t *id = first_ids(table, batch);
  for (int b = batch->rows; b-- > 0;) ask_place(table, id[b]);
}

void dfm_tables_sum(const dfm_tables *tables, int group, int from, int to, dfm_plan *plans, const dfm_batch *batch,
                    dfm_sums *sums) {
  const size_t rows = (size_t)group * (size_t)sums->capacity;
  const dfm_table *table = summed_from(tables, from, to);
  dfm_sum_field *fields = sums->fields + (tables->table[from].member - tables->member);
  int n = 0;
  if (table) ask_table(table, batch);
  while (table) {
    const dfm_table *next = summed_from(tables, table->field + 1, to);
    plan_table(tables, table, plans, batch, next);
    for (int m = 0; m < table->n_members; m++) fields[n++] = sum_field(table, batch, table->member[m]);
    table = next;
  }
  for (int t = from; t < to; t++)
    if (!tables->table[t].is_summed) dfm_tables_gather(tables, t, t + 1, plans, batch);
  tables->kernel->fm_sums(fields, n, (size_t)batch->rows, sums->K, sums->own + rows,
                          sums->factors + rows * (size_t)sums->K);
}
