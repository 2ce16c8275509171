/* Plan: the ids of a batch come in; its unique rows in the order of their first place, and which of them each place
 * wants, go out. The rows are gathered on the way.
 *
 * A row's touch word says whether a place before has asked for it: while the step runs it is MARKED | u, which the
 * update sets right. So planning reads each row once, needs no sort, and what it found is in the cache when the row
 * is copied. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/copy.h"
#include "base/memory.h"
#include "base/prefetch.h"
#include "table/row.h"

/* Takes n numbers of 4 bytes, in whole cache lines, from the room at `*at`; NULL where there is none yet. */
static void *take(char *room, size_t *at, size_t n) {
  void *taken = room ? room + *at : NULL;
  *at += (n * sizeof(float) + DFM_CACHE_LINE - 1) / DFM_CACHE_LINE * DFM_CACHE_LINE;
  return taken;
}

enum { LINE = DFM_CACHE_LINE / sizeof(float) };

/* Floats from one gathered row to the next. Where pieces of them are read, factors start with a cache line, so that
 * it holds as many pieces as fit. */
static size_t row_floats(const dfm_tables *tables, const dfm_table *table) {
  const size_t n = (size_t)table->n;
  return tables->reads_pieces ? (n + LINE - 1) / LINE * LINE + LINE : n;
}

/* What lies before the first gathered row, that its factors start so. */
static size_t floats_before(const dfm_tables *tables, const dfm_table *table) {
  return tables->reads_pieces ? LINE - (size_t)table->first : 0;
}

/* Room for n gathered rows and the one of zeros. */
static float *take_weights(const dfm_tables *tables, const dfm_table *table, char *room, size_t *at, size_t n) {
  const size_t before = floats_before(tables, table);
  float *taken = take(room, at, before + (n + 1) * row_floats(tables, table));
  return taken ? taken + before : NULL;
}

/* Gives each plan its arrays for `capacity` places, one behind the other; returns the bytes that they take. What
 * tables gather is read side by side, so it must not start at the same line of a page for all: the lengths of the
 * arrays, some lines more than powers of two, see to that. */
static size_t lay_out(const dfm_tables *tables, dfm_plan *plans, char *room) {
  size_t at = 0;
  for (int t = 0; t < tables->F; t++) {
    dfm_plan *plan = &plans[t];
    const size_t n = plan->capacity, row = (size_t)tables->table[t].n;
    if (n == 0) continue;
    plan->unique = take(room, &at, n);
    plan->inverse = take(room, &at, n);
    plan->ld = row_floats(tables, &tables->table[t]);
    plan->weights = tables->table[t].is_summed ? NULL : take_weights(tables, &tables->table[t], room, &at, n);
    plan->gradients = plan->keeps_gradients ? take(room, &at, (n + 1) * row) : NULL;
    plan->start = take(room, &at, n + 2);
    plan->order = take(room, &at, n);
  }
  return at;
}

static void free_room(dfm_plan *plans) {
  dfm_slab_free(plans->room, plans->room_bytes, 1);
  plans->room = NULL;
}

/* Makes room for the plans' capacities: one piece, since large pages suit what is read all over. What was planned
 * before is lost. */
static dfm_status reserve(const dfm_tables *tables, dfm_plan *plans, dfm_error *error) {
  if (tables->F == 0) return DFM_OK;
  free_room(plans);
  plans->room_bytes = lay_out(tables, plans, NULL);
  DFM_TRY(dfm_slab_alloc(&plans->room, plans->room_bytes, 1, error));
  lay_out(tables, plans, plans->room);
  return DFM_OK;
}

static dfm_status create(const dfm_tables *tables, int capacity, bool keeps_gradients, dfm_plan *plans,
                         dfm_error *error) {
  for (int f = 0; f < tables->F; f++) {
    const dfm_category_field *field = &tables->encoder->category[f];
    const size_t row = (size_t)tables->table[field->table].n;
    plans[f].keeps_gradients = keeps_gradients;
    plans[f].capacity = (size_t)capacity * (size_t)tables->table[f].n_members;
    if (field->is_list && field->settings.pool == DFM_POOL_MAX)
      DFM_TRY(dfm_alloc(&plans[f].winner, (size_t)capacity * row, sizeof *plans[f].winner, error));
  }
  return reserve(tables, plans, error);
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
  if (plans && F > 0) free_room(plans);
  for (int f = 0; plans && f < F; f++) free(plans[f].winner);
  free(plans);
}

static size_t count_places(const dfm_batch *batch, int f) {
  const dfm_batch_list *list = &batch->list[f];
  return list->offsets ? list->offsets[batch->rows] : (size_t)batch->rows;
}

dfm_status dfm_plans_reserve(const dfm_tables *tables, dfm_plan *plans, const dfm_batch *batch, dfm_error *error) {
  bool fits = true;
  for (int t = 0; t < tables->F; t++) {
    const dfm_table *table = &tables->table[t];
    size_t n = 0;
    for (int m = 0; m < table->n_members; m++) n += count_places(batch, table->member[m]);
    if (n > DFM_MOST_PLACES) {
      return dfm_fail(error, DFM_ERROR_VALUE,
                      "a batch asks for more than %d rows of table '%s'; lower train.batch_size (now %d rows)",
                      DFM_MOST_PLACES, tables->encoder->category[t].name, batch->rows);
    }
    if (n <= plans[t].capacity) continue;
    plans[t].capacity = n + n / 8;
    fits = false;
  }
  return fits ? DFM_OK : reserve(tables, plans, error);
}

size_t dfm_plans_gradient_floats(const dfm_tables *tables, const dfm_plan *plans, int from, int to) {
  size_t most = 0;
  for (int t = from; t < to; t++) {
    const size_t floats = (plans[t].capacity + 1) * (size_t)tables->table[t].n;
    if (floats > most) most = floats;
  }
  return most;
}

/* Rows that no batch has asked for before. They are started together, since a row's start is looked up in the
 * vocabulary. */
typedef struct fresh_rows {
  uint32_t id[32], u[32];
  size_t n;
} fresh_rows;

static void start_rows(const dfm_tables *tables, const dfm_table *table, fresh_rows *fresh, const dfm_plan *plan) {
  const size_t n = (size_t)table->n;
  if (fresh->n > 0 && dfm_table_draws(tables))
    dfm_encoder_ask_fingerprints(tables->encoder, table->field, fresh->id, fresh->n);
  for (size_t i = 0; i < fresh->n; i++) {
    float *w = dfm_row_at(table, fresh->id[i]).w;
    dfm_table_initial(tables, table->field, fresh->id[i], w);
    memcpy(plan->weights + fresh->u[i] * plan->ld, w, n * sizeof(float));
  }
  fresh->n = 0;
}

/* The places of one field. */
typedef struct places {
  const dfm_table *table;
  const uint32_t *id;
  size_t n;
} places;

/* Whether a place's row is asked for as a whole. A long one need not be copied for each place, and is asked for when
 * it is; its touch word comes first, and the rest only where it may be caught up. */
static bool asks_whole(const dfm_tables *tables, const dfm_table *table) {
  return table->n <= DFM_COPY_FEW || dfm_rows_ready_from(tables, table) > 1;
}

DFM_PREFETCHES void ask_touch(const dfm_table *table, uint32_t id) {
  if (id < table->V) dfm_prefetch_far(dfm_row_at(table, id).touch, 1);
}

/* Asks for the rows of the first places. */
DFM_PREFETCHES void ask_start(const dfm_tables *tables, const places *of) {
  if (asks_whole(tables, of->table)) {
    dfm_rows_ask_start(of->table, of->id, of->n);
    return;
  }
  for (size_t p = 0; p < of->n && p < DFM_ROWS_AHEAD; p++) ask_touch(of->table, of->id[p]);
}

/* Asks for those of places to come, at place p. */
DFM_PREFETCHES void ask_ahead(const dfm_table *table, const places *of, size_t p, bool is_whole) {
  if (is_whole)
    dfm_rows_ask(table, of->id, of->n, p);
  else if (p + DFM_ROWS_AHEAD < of->n)
    ask_touch(table, of->id[p + DFM_ROWS_AHEAD]);
}

/* Numbers the rows that no place before has asked for, from plan->U on; true: some place has no id. Whether a row
 * has been asked for cannot be foreseen, so short rows (of n floats) are copied every time, without a branch. */
__attribute__((always_inline)) static inline bool plan_rows(const dfm_tables *tables, const places *of, dfm_plan *plan,
                                                            uint32_t *restrict inverse, size_t n) {
  const dfm_table table = *of->table;
  const uint32_t ready = dfm_rows_ready_from(tables, of->table), *id = of->id;
  uint32_t *restrict unique = plan->unique, U = (uint32_t)plan->U;
  float *restrict weights = plan->weights;
  const size_t ld = tables->reads_pieces ? plan->ld : n; /* known to the compiler, where it can be */
  const bool is_whole = asks_whole(tables, of->table);
  const int64_t upto = dfm_optimizer_step_count(tables->optimizer) - 1;
  fresh_rows fresh;
  fresh.n = 0;
  bool has_none = false;
  for (size_t p = 0; p < of->n; p++) {
    ask_ahead(&table, of, p, is_whole);
    if (id[p] >= table.V) { /* DFM_ID_NONE */
      inverse[p] = DFM_ID_NONE;
      has_none = true;
      continue;
    }
    const dfm_row row = dfm_row_at(&table, id[p]);
    const uint32_t touched = *row.touch, is_marked = touched >> 31, old = touched & ~DFM_ROW_MARKED;
    const uint32_t u = U + ((old - U) & (0 - is_marked));
    assert(!is_marked || (old < U && unique[old] == id[p])); /* a mark of this batch */
    unique[U] = id[p];
    U += 1 - is_marked;
    *row.touch = DFM_ROW_MARKED | u;
    inverse[p] = u;
    if (touched < ready) {
      if (touched == 0) {
        fresh.id[fresh.n] = id[p];
        fresh.u[fresh.n++] = u;
        if (fresh.n == sizeof fresh.id / sizeof *fresh.id) start_rows(tables, of->table, &fresh, plan);
        continue;
      }
      if (touched > 1) /* 1: set, before the first step */
        dfm_optimizer_catch_up(tables->optimizer, row.w, row.state0, row.state1, n, touched - 1, upto);
    }
    if (n <= DFM_COPY_FEW) dfm_copy_few(weights + u * ld, row.w, n);
  }
  start_rows(tables, of->table, &fresh, plan);
  plan->U = (int)U;
  return has_none;
}

/* Copies long rows, from unique row u on. Their states are asked for when they are stepped: until then they would
 * not stay in the cache. */
static void copy_rows(const dfm_table *table, const dfm_plan *plan, int u) {
  enum { AHEAD = 4 };
  const size_t n = (size_t)table->n;
  for (; u < plan->U; u++) {
    if (u + AHEAD < plan->U) dfm_prefetch_far(dfm_row_at(table, plan->unique[u + AHEAD]).w, n * sizeof(float));
    memcpy(plan->weights + (size_t)u * plan->ld, dfm_row_at(table, plan->unique[u]).w, n * sizeof(float));
  }
}

/* The lengths of short rows that are usual are known to the compiler: a first-order weight, and with it 8 or 16
 * factors. */
static bool plan_field(const dfm_tables *tables, const places *of, dfm_plan *plan, uint32_t *inverse) {
  const size_t n = (size_t)of->table->n;
  const int before = plan->U;
  if (n == 1) return plan_rows(tables, of, plan, inverse, 1);
  if (n == 9) return plan_rows(tables, of, plan, inverse, 9);
  if (n == 17) return plan_rows(tables, of, plan, inverse, 17);
  const bool has_none = plan_rows(tables, of, plan, inverse, n);
  if (n > DFM_COPY_FEW) copy_rows(of->table, plan, before);
  return has_none;
}

static places places_of(const dfm_table *table, const dfm_batch *batch, int f) {
  const dfm_batch_list *list = &batch->list[f];
  const uint32_t *id = list->offsets ? list->id : batch->id + (size_t)f * (size_t)batch->capacity;
  return (places){table, id, count_places(batch, f)};
}

static void gather(const dfm_tables *tables, const dfm_table *table, dfm_plan *plans, const dfm_batch *batch) {
  dfm_plan *plan = &plans[table->field];
  const size_t n = (size_t)table->n;
  bool has_none = false;
  plan->U = 0;
  plan->n = 0;
  plan->batch = batch;
  for (int m = 0; m < table->n_members; m++) {
    const int f = table->member[m];
    const places of = places_of(table, batch, f);
    plans[f].at = (uint32_t)plan->n;
    has_none |= plan_field(tables, &of, plan, plan->inverse + plan->n);
    plan->n += of.n;
  }
  for (size_t p = 0; has_none && p < plan->n; p++)
    if (plan->inverse[p] == DFM_ID_NONE) plan->inverse[p] = (uint32_t)plan->U;
  memset(plan->weights + (size_t)plan->U * plan->ld, 0, n * sizeof(float));
}

/* The first places of the table; none of a field that shares another's, whose ids are that one's task's. */
DFM_PREFETCHES void ask_table(const dfm_tables *tables, const dfm_table *table, const dfm_batch *batch) {
  if (table->n_members == 0) return;
  const places first = places_of(table, batch, table->field);
  ask_start(tables, &first);
}

void dfm_tables_gather(const dfm_tables *tables, int from, int to, dfm_plan *plans, const dfm_batch *batch) {
  if (from < to) ask_table(tables, &tables->table[from], batch);
  for (int t = from; t < to; t++) {
    if (t + 1 < to) ask_table(tables, &tables->table[t + 1], batch); /* while this one is planned */
    if (tables->table[t].n_members > 0) gather(tables, &tables->table[t], plans, batch);
  }
}
