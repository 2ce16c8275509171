/* Update: gradients by place in the batch come in; rows stepped by the optimizer stay in the table. Each table is owned by one task, which adds
 * its gradients in the order of places, so the result does not depend on threads. */
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
} dfm_update;

/* Adds the places of single-valued field f: each is a row of the batch. */
static void add_rows(const dfm_update *update, int f) {
  const dfm_field_gradient *field = &update->gradient->field[f];
  const size_t n = (size_t)update->table->n, first = (size_t)update->table->first;
  const float *dlogit = update->gradient->dlogit;
  dfm_scatter_args args = {.sum = update->g,
                           .ld = n,
                           .to = update->plan->inverse + update->plans[f].at,
                           .rows = (size_t)update->plan->batch->rows};
  if (dfm_partners_has(update->gradient, f))
    dfm_partners_add_rows(update->tables, update->gradient, f, update->plans, update->g);
  if (field->de) {
    args.sum += first;
    args.y = field->de;
    args.ldy = (size_t)field->lde;
    args.n = n - first;
    args.first = field->has_first ? dlogit : NULL;
    args.a = field->has_within ? dlogit : NULL;
    assert(!args.a ||
           (field->within_from == 0 && (size_t)field->within_n == args.n)); /* it pairs by all of its factors */
    args.w = update->plan->weights + first;
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
  const uint32_t *winner = update->plans[f].winner;
  const float dlogit = gradient->dlogit[b], counts = c * dlogit;
  const size_t n = (size_t)update->table->n;
  float own[DFM_MAX_ROW_FACTORS + 1];
  if (!winner) {
    dfm_partners_add(update->tables, gradient, f, &b, &counts, 1, g);
    return;
  }
  memset(own, 0, n * sizeof *own);
  dfm_partners_add(update->tables, gradient, f, &b, &dlogit, 1, own);
  add_won(update, winner + b * n, place, c, own + update->table->first, g);
}

/* One place of list field f in row b with coefficient c; `place` within the field. */
static void add_place(const dfm_update *update, int f, uint32_t place, size_t b, float c) {
  const dfm_field_gradient *field = &update->gradient->field[f];
  const dfm_kernel *kernel = update->tables->kernel;
  const size_t n = (size_t)update->table->n, u = update->plan->inverse[update->plans[f].at + place];
  const int first = update->table->first, within = first + field->within_from;
  const float dlogit = update->gradient->dlogit[b], *w = update->plan->weights + u * n;
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

/* Penalties, at the rows' gathered weights. */
static void add_penalty(const dfm_update *update) {
  const dfm_tables *tables = update->tables;
  const size_t n = (size_t)update->table->n, first = (size_t)update->table->first;
  if (tables->l2_first == 0 && tables->l2_factors == 0) return;
  for (size_t u = 0; u < (size_t)update->plan->U; u++) {
    const float *w = update->plan->weights + u * n;
    float *g = update->g + u * n;
    if (first) g[0] += tables->l2_first * w[0];
    tables->kernel->axpy(g + first, tables->l2_factors, w + first, n - first);
  }
}

/* g = sum over the places of each unique row + its penalty. */
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
  add_penalty(update);
}

/* The rows hold after the current step, and are no longer marked. */
static void touch_rows(const dfm_tables *tables, const dfm_table *table, const uint32_t *id, int n) {
  const uint32_t now = (uint32_t)(dfm_optimizer_step_count(tables->optimizer) + 1);
  for (int u = 0; u < n; u++) *dfm_row_at(table, id[u]).touch = now;
}

/* Steps the plan's rows by their gradients g (U, n), some at once: while they are stepped, those that follow are asked for. The gathered weights
 * stay as they are: other tables' gradients may need them. */
static void step_rows(const dfm_tables *tables, const dfm_table *table, const dfm_plan *plan, const float *g) {
  enum { LINES = 16, SHORT_ROWS = 32 }; /* as many lines as a core waits for at a time */
  const dfm_rows rows = {table->rows, (size_t)table->stride, (size_t)table->n};
  const size_t U = (size_t)plan->U, lines = rows.stride * sizeof(float) / DFM_CACHE_LINE + 1;
  const size_t at_once = dfm_row_is_short(table) ? SHORT_ROWS : lines < LINES ? LINES / lines : 1;
  const uint32_t *id = plan->unique;
  dfm_rows_ask_start(table, id, U);
  for (size_t u = 0; u < U; u += at_once) {
    const size_t here = U - u < at_once ? U - u : at_once;
    for (size_t i = u; i < u + here; i++) dfm_rows_ask(table, id, U, i);
    dfm_optimizer_step_rows(tables->optimizer, &rows, id + u, here, g + u * rows.n);
    touch_rows(tables, table, id + u, (int)here);
  }
}

void dfm_table_update(const dfm_tables *tables, int t, dfm_plan *plans, const dfm_table_gradient *gradient, float *g) {
  const dfm_table *table = &tables->table[t];
  const dfm_update update = {tables, table, plans, &plans[t], gradient, g};
  if (table->n == 0) return;
  if (table->is_frozen) {
    touch_rows(tables, table, plans[t].unique, plans[t].U);
    return;
  }
  add_up(&update);
  step_rows(tables, table, &plans[t], g);
}

double dfm_table_accumulate(const dfm_tables *tables, int t, dfm_plan *plans, const dfm_table_gradient *gradient) {
  const dfm_table *table = &tables->table[t];
  const dfm_update update = {tables, table, plans, &plans[t], gradient, plans[t].gradients};
  if (table->n == 0 || table->is_frozen) return 0;
  add_up(&update);
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
  step_rows(tables, table, plan, plan->gradients);
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
