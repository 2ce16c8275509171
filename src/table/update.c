/* Update: gradients by place in the batch come in; rows stepped by the optimizer stay in the table. Each row is owned by one task, which adds
 * its gradients in the order of places, so the result does not depend on threads. */
#include <string.h>

#include "table/row.h"

/* The part's share of `whole` things. */
static void part_range(uint32_t whole, int part, int parts, uint32_t *from, uint32_t *to) {
  *from = (uint32_t)((uint64_t)whole * (uint64_t)part / (uint64_t)parts);
  *to = (uint32_t)((uint64_t)whole * (uint64_t)(part + 1) / (uint64_t)parts);
}

/* First unique row with an id of at least `id`. */
static int lower_bound(const dfm_plan *plan, uint32_t id) {
  int low = 0, high = plan->U;
  while (low < high) {
    const int middle = low + (high - low) / 2;
    if (plan->unique[middle] < id)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* g (n) = sum over the places that want unique row u + penalty at its weights w. */
static void row_gradient(const dfm_tables *tables, const dfm_table *table, const dfm_plan *plan, int u,
                         const dfm_table_gradient *gradient, const float *w, float *g) {
  const size_t K = (size_t)(table->n - table->first);
  float *factors = g + table->first;
  float first = 0;
  memset(g, 0, (size_t)table->n * sizeof *g);
  for (uint32_t i = plan->start[u]; i < plan->start[u + 1]; i++) {
    const size_t b = plan->order[i];
    first += gradient->dlogit[b];
    if (K > 0) tables->kernel->add(factors, gradient->de + b * (size_t)gradient->lde, K);
  }
  if (table->first) g[0] = first + tables->l2_first * w[0];
  if (tables->l2_factors > 0) tables->kernel->axpy(factors, tables->l2_factors, w + table->first, K);
}

/* Gradient of a row that no place wants: the penalty alone. */
static void idle_gradient(const dfm_tables *tables, const dfm_table *table, const float *w, float *g) {
  if (table->first) g[0] = tables->l2_first * w[0];
  for (int j = table->first; j < table->n; j++) g[j] = tables->l2_factors * w[j];
}

static void step_row(const dfm_tables *tables, const dfm_table *table, dfm_row row, const float *g) {
  dfm_optimizer_step(tables->optimizer, row.w, row.state0, row.state1, g, (size_t)table->n);
  *row.touch = (uint32_t)(dfm_optimizer_step_count(tables->optimizer) + 1);
}

/* What is done to each row of a part. `u` is the row's place among the unique rows, -1 for a row that is only swept. */
typedef void row_visitor(void *context, int u, uint32_t id);

/* Visits the part's rows in ascending order: all ids of its range where the table is swept, else its share of the unique rows. */
static void visit_part(const dfm_table *table, const dfm_plan *plan, int part, int parts, row_visitor *visit,
                       void *context) {
  uint32_t from, to;
  if (!table->is_swept) {
    part_range((uint32_t)plan->U, part, parts, &from, &to);
    for (uint32_t u = from; u < to; u++) visit(context, (int)u, plan->unique[u]);
    return;
  }
  part_range(table->V, part, parts, &from, &to);
  int u = lower_bound(plan, from);
  for (uint32_t id = from; id < to; id++) {
    const bool wanted = u < plan->U && plan->unique[u] == id;
    visit(context, wanted ? u : -1, id);
    u += wanted;
  }
}

typedef struct dfm_update {
  const dfm_tables *tables;
  const dfm_table *table;
  const dfm_plan *plan;
  const dfm_table_gradient *gradient;
  float scale;
  double squares;
} dfm_update;

/* An idle row of a swept table, ready to be stepped: initialised at the first step, up to date ever after. */
static dfm_row swept_row(const dfm_update *update, uint32_t id) {
  const dfm_row row = dfm_row_at(update->table, id);
  if (*row.touch == 0) {
    dfm_table_initial(update->tables, update->table->field, id, row.w);
    *row.touch = 1;
  }
  return row;
}

static void update_row(void *context, int u, uint32_t id) {
  const dfm_update *update = context;
  float g[DFM_MAX_FIELD_WIDTH + 1];
  dfm_row row;
  if (u >= 0) {
    row = dfm_row_at(update->table, id);
    row_gradient(update->tables, update->table, update->plan, u, update->gradient, row.w, g);
  } else {
    row = swept_row(update, id);
    idle_gradient(update->tables, update->table, row.w, g);
  }
  step_row(update->tables, update->table, row, g);
}

void dfm_table_update(const dfm_tables *tables, int f, dfm_plan *plan, const dfm_table_gradient *gradient, int part,
                      int parts) {
  dfm_update update = {.tables = tables, .table = &tables->table[f], .plan = plan, .gradient = gradient};
  visit_part(update.table, plan, part, parts, update_row, &update);
}

static void accumulate_row(void *context, int u, uint32_t id) {
  dfm_update *update = context;
  const size_t n = (size_t)update->table->n;
  float idle[DFM_MAX_FIELD_WIDTH + 1], *g = idle;
  if (u >= 0) {
    g = update->plan->gradients + (size_t)u * n;
    row_gradient(update->tables, update->table, update->plan, u, update->gradient, dfm_row_at(update->table, id).w, g);
  } else {
    idle_gradient(update->tables, update->table, swept_row(update, id).w, g);
  }
  update->squares += update->tables->kernel->sum_squares(g, n);
}

double dfm_table_accumulate(const dfm_tables *tables, int f, dfm_plan *plan, const dfm_table_gradient *gradient,
                            int part, int parts) {
  dfm_update update = {.tables = tables, .table = &tables->table[f], .plan = plan, .gradient = gradient};
  visit_part(update.table, plan, part, parts, accumulate_row, &update);
  return update.squares;
}

static void apply_row(void *context, int u, uint32_t id) {
  const dfm_update *update = context;
  const size_t n = (size_t)update->table->n;
  const dfm_row row = dfm_row_at(update->table, id);
  float idle[DFM_MAX_FIELD_WIDTH + 1], *g = idle;
  if (u >= 0)
    g = update->plan->gradients + (size_t)u * n;
  else
    idle_gradient(update->tables, update->table, row.w, g);
  update->tables->kernel->scale(g, update->scale, n);
  step_row(update->tables, update->table, row, g);
}

void dfm_table_apply(const dfm_tables *tables, int f, dfm_plan *plan, float scale, int part, int parts) {
  dfm_update update = {.tables = tables, .table = &tables->table[f], .plan = plan, .scale = scale};
  visit_part(update.table, plan, part, parts, apply_row, &update);
}
