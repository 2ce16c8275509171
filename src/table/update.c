/* Update: gradients by place in the batch come in; rows stepped by the optimizer stay in the table. Each table is
 * owned by one task, which adds its gradients in the order of places, so the result does not depend on threads. */
#include <assert.h>
#include <string.h>

#include "table/partners.h"
#include "table/row.h"

typedef struct dfm_update {
  const dfm_tables *tables;
  const dfm_table *table;
  const dfm_plan *plans, *plan; /* by field; the table's */
  const dfm_table_gradient *gradient;
  float *g; /* (U + 1, n); places without an id add to the last row */
  dfm_columns *columns;
  int end; /* slots from here on are not asked for */
} dfm_update;

/* What field f's partners keep for it. */
static const float *column_of(const dfm_update *update, int f) {
  return dfm_partners_column(&update->gradient->pairs, update->columns, update->gradient->field[f].slot, update->end);
}

/* Adds the places of single-valued field f: each is a row of the batch. */
static void add_rows(const dfm_update *update, int f) {
  const dfm_field_gradient *field = &update->gradient->field[f];
  const size_t n = (size_t)update->table->n, first = (size_t)update->table->first;
  const float *dlogit = update->gradient->dlogit;
  dfm_scatter_args args = {.sum = update->g,
                           .ld = n,
                           .to = update->plan->inverse + update->plans[f].at,
                           .rows = (size_t)update->plan->batch->rows};
  if (dfm_partners_has(update->gradient, f)) {
    dfm_partners_list(update->plans, update->plan, f);
    dfm_partners_add_rows(update->tables, update->gradient, f, update->plan, column_of(update, f), 0, update->plan->U,
                          update->g);
    return;
  }
  if (field->de) {
    args.sum += first;
    args.y = field->de;
    args.ldy = (size_t)field->lde;
    args.n = n - first;
    args.first = field->has_first ? dlogit : NULL;
    args.a = field->has_within && !update->table->is_summed ? dlogit : NULL;
    assert(!args.a ||
           (field->within_from == 0 && (size_t)field->within_n == args.n)); /* it pairs by all of its factors */
    args.w = args.a ? update->plan->weights + first : NULL;
  } else if (field->has_first) {
    args.y = dlogit;
    args.ldy = args.n = 1;
  } else {
    return;
  }
  update->tables->kernel->scatter(&args);
}

/* c de of the place, where it has won those weights. */
static void add_won(const dfm_update *update, const uint32_t *winner, uint32_t place, float c, const float *de,
                    float *g) {
  const int n = update->table->n, first = update->table->first;
  for (int j = first; j < n; j++)
    if (winner[j] == place) g[j] += c * de[j - first];
}

/* The same of a place whose gradient comes from its partners. */
static void add_partners(const dfm_update *update, int f, uint32_t place, uint32_t b, float c, float *g) {
  const dfm_table_gradient *gradient = update->gradient;
  const dfm_field_gradient *field = &gradient->field[f];
  const dfm_kernel *kernel = update->tables->kernel;
  const uint32_t *winner = update->plans[f].winner;
  const float dlogit = gradient->dlogit[b], counts = c * dlogit;
  const size_t n = (size_t)update->table->n, first = (size_t)update->table->first;
  float won[DFM_MAX_ROW_FACTORS];
  if (!winner) {
    dfm_partners_add(kernel, &gradient->pairs, field->slot, field->has_within, column_of(update, f), &b, &counts, 1,
                     g + first);
    return;
  }
  memset(won, 0, (n - first) * sizeof *won);
  dfm_partners_add(kernel, &gradient->pairs, field->slot, field->has_within, column_of(update, f), &b, &dlogit, 1, won);
  add_won(update, winner + b * n, place, c, won, g);
}

/* One place of list field f in row b with coefficient c; `place` within the field. */
static void add_place(const dfm_update *update, int f, uint32_t place, size_t b, float c) {
  const dfm_field_gradient *field = &update->gradient->field[f];
  const dfm_kernel *kernel = update->tables->kernel;
  const size_t n = (size_t)update->table->n, u = update->plan->inverse[update->plans[f].at + place];
  const int first = update->table->first, within = first + field->within_from;
  const float dlogit = update->gradient->dlogit[b], *w = update->plan->weights + u * update->plan->ld;
  const float *de = field->de ? field->de + b * (size_t)field->lde : NULL;
  const uint32_t *winner = update->plans[f].winner;
  float *g = update->g + u * n;
  if (!winner) {
    if (field->has_first) g[0] += c * dlogit;
    if (de) kernel->axpy(g + first, c, de, n - (size_t)first);
  } else {
    winner += b * n;
    if (field->has_first && winner[0] == place) g[0] += c * dlogit;
    if (de) add_won(update, winner, place, c, de, g);
  }
  if (dfm_partners_has(update->gradient, f)) add_partners(update, f, place, (uint32_t)b, c, g);
  if (field->has_within) kernel->axpy(g + within, -(c * c * dlogit), w + within, (size_t)field->within_n);
}

static void add_items(const dfm_update *update, int f) {
  const dfm_batch_list *list = &update->plan->batch->list[f];
  const uint32_t n = list->offsets[update->plan->batch->rows];
  for (uint32_t place = 0; place < n; place++) add_place(update, f, place, list->row[place], list->coefficient[place]);
}

/* The weights of unique row u before the step. */
static const float *weights_of(const dfm_update *update, int u) {
  const dfm_table *table = update->table;
  const dfm_plan *plan = update->plan;
  return table->is_summed ? dfm_row_at(table, plan->unique[u]).w : plan->weights + (size_t)u * plan->ld;
}

/* Adds penalties to the gradients g of the unique rows [from, to). */
static void add_penalty(const dfm_update *update, int from, int to, float *g) {
  const dfm_tables *tables = update->tables;
  const size_t n = (size_t)update->table->n, first = (size_t)update->table->first;
  if (tables->l2_first == 0 && tables->l2_factors == 0) return;
  for (int u = from; u < to; u++, g += n) {
    const float *w = weights_of(update, u);
    if (first) g[0] += tables->l2_first * w[0];
    tables->kernel->axpy(g + first, tables->l2_factors, w + first, n - first);
  }
}

static dfm_rows rows_of(const dfm_table *table) {
  return (dfm_rows){table->rows, (size_t)table->stride, (size_t)table->n};
}

/* What the gradients g of the unique rows [from, to) need of the rows themselves, where these are summed: of an fm's
 * sums each has its own part. */
static void take_own(const dfm_update *update, int from, int to, float *g) {
  const dfm_rows rows = rows_of(update->table);
  if (!update->table->is_summed || rows.n == 1) return;
  update->tables->kernel->fm_take_own(&rows, update->plan->unique + from, (size_t)(to - from), g);
}

/* g = sum over the places of each unique row. */
static void add_up(const dfm_update *update) {
  const size_t n = (size_t)update->table->n;
  memset(update->g, 0, ((size_t)update->plan->U + 1) * n * sizeof *update->g);
  for (int m = 0; m < update->table->n_members; m++) {
    const int f = update->table->member[m];
    if (update->plan->batch->list[f].offsets)
      add_items(update, f);
    else
      add_rows(update, f);
  }
}

/* The rows hold after the current step, and are no longer marked. */
static void touch_rows(const dfm_tables *tables, const dfm_table *table, const uint32_t *id, int n) {
  const uint32_t now = (uint32_t)(dfm_optimizer_step_count(tables->optimizer) + 1);
  for (int u = 0; u < n; u++) *dfm_row_at(table, id[u]).touch = now;
}

/* Rows that are stepped at once: of the long ones as many lines as a core waits for at a time. */
static int rows_at_once(const dfm_table *table) {
  enum { LINES = 16, SHORT_ROWS = 32 };
  const int lines = (int)((size_t)table->stride * sizeof(float) / DFM_CACHE_LINE) + 1;
  return dfm_row_is_short(table) ? SHORT_ROWS : lines < LINES ? LINES / lines : 1;
}

/* Asks for rows that come some way after the unique rows [from, to). */
DFM_PREFETCHES void ask_ahead(const dfm_table *table, const dfm_plan *plan, int from, int to) {
  for (int u = from; u < to; u++) dfm_rows_ask(table, plan->unique, (size_t)plan->U, (size_t)u);
}

/* Steps the unique rows [from, to) by their gradients g. The gathered weights stay as they are: other tables'
 * gradients may need them. */
static void step_at_once(const dfm_tables *tables, const dfm_table *table, const dfm_plan *plan, int from, int to,
                         const float *g) {
  const dfm_rows rows = rows_of(table);
  dfm_optimizer_step_rows(tables->optimizer, &rows, plan->unique + from, (size_t)(to - from), g);
  touch_rows(tables, table, plan->unique + from, to - from);
}

static int least(int a, int b) {
  return a < b ? a : b;
}

/* Steps the plan's rows by the sums over their places, or by gradients that are complete. */
static void step_rows(const dfm_update *update, bool is_complete) {
  const dfm_table *table = update->table;
  const dfm_plan *plan = update->plan;
  const int U = plan->U, at_once = rows_at_once(table);
  dfm_rows_ask_start(table, plan->unique, (size_t)U);
  for (int u = 0; u < U; u += at_once) {
    const int end = least(U, u + at_once);
    float *g = update->g + (size_t)u * (size_t)table->n;
    ask_ahead(table, plan, u, end);
    if (!is_complete) {
      take_own(update, u, end, g);
      add_penalty(update, u, end, g);
    }
    step_at_once(update->tables, table, plan, u, end, g);
  }
}

/* Whether the gradients of some rows can be made alone: of the table's only field, from its partners. They are in
 * the first-level cache when the rows are stepped, and the rows come while they are made. */
static bool is_made_by_row(const dfm_update *update) {
  const int f = update->table->member[0];
  return update->table->n_members == 1 && !update->plan->batch->list[f].offsets &&
         dfm_partners_has(update->gradient, f);
}

static void update_by_row(const dfm_update *update) {
  const dfm_table *table = update->table;
  const dfm_plan *plan = update->plan;
  const int f = table->member[0], U = plan->U, at_once = rows_at_once(table);
  const float *column = column_of(update, f);
  dfm_partners_list(update->plans, plan, f);
  dfm_rows_ask_start(table, plan->unique, (size_t)U);
  for (int u = 0; u < U; u += at_once) {
    const int end = least(U, u + at_once);
    ask_ahead(table, plan, u, end);
    memset(update->g, 0, (size_t)(end - u) * (size_t)table->n * sizeof *update->g);
    dfm_partners_add_rows(update->tables, update->gradient, f, plan, column, u, end, update->g);
    add_penalty(update, u, end, update->g);
    step_at_once(update->tables, table, plan, u, end, update->g);
  }
}

static void update_table(const dfm_update *update) {
  const dfm_table *table = update->table;
  if (table->n == 0) return;
  if (table->is_frozen) {
    touch_rows(update->tables, table, update->plan->unique, update->plan->U);
  } else if (is_made_by_row(update)) {
    update_by_row(update);
  } else {
    add_up(update);
    step_rows(update, false);
  }
}

void dfm_tables_update(const dfm_tables *tables, int from, int to, dfm_plan *plans, const dfm_table_gradient *gradient,
                       dfm_update_room room) {
  dfm_columns columns = {.at = room.columns, .floats = gradient->pairs.column_floats};
  int end = 0;
  for (int f = from; f < to; f++) end = gradient->field[f].slot < end ? end : gradient->field[f].slot + 1;
  for (int t = from; t < to; t++)
    update_table(&(dfm_update){tables, &tables->table[t], plans, &plans[t], gradient, room.g, &columns, end});
}

double dfm_table_accumulate(const dfm_tables *tables, int t, dfm_plan *plans, const dfm_table_gradient *gradient,
                            float *room) {
  const dfm_table *table = &tables->table[t];
  dfm_columns columns = {.at = room, .floats = gradient->pairs.column_floats};
  const dfm_update update = {tables, table, plans, &plans[t], gradient, plans[t].gradients, &columns, 0};
  if (table->n == 0 || table->is_frozen) return 0;
  add_up(&update);
  take_own(&update, 0, plans[t].U, update.g);
  add_penalty(&update, 0, plans[t].U, update.g);
  return tables->kernel->sum_squares(plans[t].gradients, (size_t)plans[t].U * (size_t)table->n);
}

void dfm_table_apply(const dfm_tables *tables, int t, dfm_plan *plans, float scale) {
  const dfm_table *table = &tables->table[t];
  const dfm_plan *plan = &plans[t];
  if (table->n == 0) return;
  if (table->is_frozen) {
    touch_rows(tables, table, plan->unique, plan->U);
    return;
  }
  tables->kernel->scale(plan->gradients, scale, (size_t)plan->U * (size_t)table->n);
  step_rows(&(dfm_update){.tables = tables, .table = table, .plan = plan, .g = plan->gradients}, true);
}

/* ---- rows that no place wants, of tables where all move */

/* Gradient of such a row: the penalty alone. */
static void idle_gradient(const dfm_tables *tables, const dfm_table *table, const float *w, float *g) {
  if (table->first) g[0] = tables->l2_first * w[0];
  for (int j = table->first; j < table->n; j++) g[j] = tables->l2_factors * w[j];
}

/* The part's share of a table's rows. */
static void part_range(const dfm_table *table, int part, int parts, uint32_t *from, uint32_t *to) {
  *from = (uint32_t)((uint64_t)table->V * (uint64_t)part / (uint64_t)parts);
  *to = (uint32_t)((uint64_t)table->V * (uint64_t)(part + 1) / (uint64_t)parts);
}

double dfm_table_idle_squares(const dfm_tables *tables, int t, int part, int parts) {
  const dfm_table *table = &tables->table[t];
  float g[DFM_MAX_ROW_FACTORS + 1];
  uint32_t id, to;
  double squares = 0;
  if (!table->is_swept) return 0;
  for (part_range(table, part, parts, &id, &to); id < to; id++) {
    const dfm_row row = dfm_row_at(table, id);
    if (*row.touch & DFM_ROW_MARKED) continue;
    if (*row.touch == 0) { /* the first step; up to date ever after */
      dfm_table_initial(tables, t, id, row.w);
      *row.touch = 1;
    }
    idle_gradient(tables, table, row.w, g);
    squares += tables->kernel->sum_squares(g, (size_t)table->n);
  }
  return squares;
}

void dfm_table_sweep(const dfm_tables *tables, int t, float scale, int part, int parts) {
  const dfm_table *table = &tables->table[t];
  float g[DFM_MAX_ROW_FACTORS + 1];
  uint32_t id, to;
  if (!table->is_swept) return;
  for (part_range(table, part, parts, &id, &to); id < to; id++) {
    const dfm_row row = dfm_row_at(table, id);
    if (*row.touch & DFM_ROW_MARKED) continue;
    if (*row.touch == 0) dfm_table_initial(tables, t, id, row.w);
    idle_gradient(tables, table, row.w, g);
    tables->kernel->scale(g, scale, (size_t)table->n);
    dfm_optimizer_step(tables->optimizer, row.w, row.state0, row.state1, g, (size_t)table->n);
    *row.touch = (uint32_t)(dfm_optimizer_step_count(tables->optimizer) + 1);
  }
}
