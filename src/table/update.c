/* Update: gradients by place in the batch come in; rows stepped by the optimizer stay in the table. Each row is owned by one task, which adds
 * its gradients in the order of places, so the result does not depend on threads. */
#include <string.h>

#include "base/prefetch.h"
#include "table/partners.h"
#include "table/row.h"

/* Rows ahead that memory is asked for: far enough to hide a miss, near enough to stay in the first-level cache. */
enum { AHEAD = 8 };

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

typedef struct dfm_update {
  const dfm_tables *tables;
  const dfm_table *table;
  const dfm_plan *plans, *plan; /* by field; the table's */
  const dfm_table_gradient *gradient;
  float scale;
  double squares;
} dfm_update;

/* Takes the places' pairs with themselves away: `within` = sum of c^2 dlogit over places of one field, w: the row's weights. */
static void add_within(const dfm_update *update, const dfm_field_gradient *field, float within, const float *w,
                       float *g) {
  const int at = update->table->first + field->within_from;
  if (within != 0) update->tables->kernel->axpy(g + at, -within, w + at, (size_t)field->within_n);
}

/* Places whose coefficients are handed on at once. */
enum { PLACES = 128 };

/* g (n) += what the rows that want unique row u hold for it, where places are rows. */
static void add_partners(const dfm_update *update, int u, float *g) {
  const dfm_plan *plan = update->plan;
  const uint32_t from = plan->start[u], n = plan->start[u + 1] - from, *row = plan->order + from;
  float c[PLACES];
  for (uint32_t at = 0; at < n; at += PLACES) {
    const uint32_t here = n - at < PLACES ? n - at : PLACES;
    for (uint32_t i = 0; i < here; i++) c[i] = update->gradient->dlogit[row[at + i]];
    dfm_partners_add(update->tables, update->gradient, update->table->field, row + at, c, here, at > 0, g);
  }
}

/* g (n) += the places of unique row u, where places are rows; w: its weights. */
static void add_rows(const dfm_update *update, int u, const float *w, float *g) {
  const dfm_plan *plan = update->plan;
  const dfm_kernel *kernel = update->tables->kernel;
  const dfm_field_gradient *field = &update->gradient->field[update->table->field];
  const float *dlogit = update->gradient->dlogit;
  const uint32_t from = plan->start[u], end = plan->start[u + 1];
  float *factors = g + update->table->first;
  float first = 0;
  for (uint32_t i = from; i < end; i++) first += dlogit[plan->order[i]];
  if (update->table->first) g[0] = first;
  if (update->gradient->pairs.row && field->slot >= 0) {
    add_partners(update, u, g);
  } else if (field->de) {
    const size_t K = (size_t)(update->table->n - update->table->first);
    kernel->add_rows(factors, field->de, (size_t)field->lde, plan->order + from, end - from, K);
  }
  if (field->has_within) add_within(update, field, first, w, g);
}

/* Where the gradient of field f's factors in row b is: made here, in `own`, where the field has partners. NULL: it has none. */
static const float *place_gradient(const dfm_update *update, int f, uint32_t b, float *own) {
  const dfm_table *table = update->table;
  const dfm_field_gradient *field = &update->gradient->field[f];
  if (!update->gradient->pairs.row || field->slot < 0) return field->de ? field->de + b * (size_t)field->lde : NULL;
  memset(own, 0, (size_t)table->n * sizeof *own);
  dfm_partners_add(update->tables, update->gradient, f, &b, &update->gradient->dlogit[b], 1, false, own);
  return own + table->first;
}

/* One place of field f in row b with coefficient c; `place` within the field. */
static void add_place(const dfm_update *update, int f, uint32_t place, uint32_t b, float c, float *g) {
  const dfm_field_gradient *field = &update->gradient->field[f];
  const int n = update->table->n, first = update->table->first;
  const float dlogit = update->gradient->dlogit[b];
  float own[DFM_MAX_ROW_FACTORS + 1];
  const float *de = place_gradient(update, f, b, own);
  const uint32_t *winner = update->plans[f].winner;
  if (!winner) {
    if (field->has_first) g[0] += c * dlogit;
    if (de) update->tables->kernel->axpy(g + first, c, de, (size_t)(n - first));
    return;
  }
  winner += (size_t)b * (size_t)n;
  if (field->has_first && winner[0] == place) g[0] += c * dlogit;
  for (int j = first; de && j < n; j++)
    if (winner[j] == place) g[j] += c * de[j - first];
}

/* g (n) += the places of unique row u, of any fields; w: its weights. */
static void add_places(const dfm_update *update, int u, const float *w, float *g) {
  const dfm_plan *plan = update->plan;
  const dfm_table *table = update->table;
  const dfm_field_gradient *fields = update->gradient->field;
  float within = 0; /* sum of c^2 dlogit, of the field at hand */
  int m = 0;
  for (uint32_t i = plan->start[u]; i < plan->start[u + 1]; i++) {
    while (m + 1 < table->n_members && plan->order[i] >= update->plans[table->member[m + 1]].at) {
      add_within(update, &fields[table->member[m++]], within, w, g);
      within = 0;
    }
    const int f = table->member[m];
    const dfm_batch_list *list = &plan->batch->list[f];
    const uint32_t place = plan->order[i] - update->plans[f].at;
    const uint32_t b = list->offsets ? list->row[place] : place;
    const float c = list->offsets ? list->coefficient[place] : 1;
    add_place(update, f, place, b, c, g);
    if (fields[f].has_within) within += c * c * update->gradient->dlogit[b];
  }
  add_within(update, &fields[table->member[m]], within, w, g);
}

/* g (n) = sum over the places that want unique row u + penalty at its weights w. */
static void row_gradient(const dfm_update *update, int u, const float *w, float *g) {
  const dfm_tables *tables = update->tables;
  const dfm_table *table = update->table;
  const size_t K = (size_t)(table->n - table->first);
  memset(g, 0, (size_t)table->n * sizeof *g);
  if (update->plan->is_plain)
    add_rows(update, u, w, g);
  else
    add_places(update, u, w, g);
  if (table->first) g[0] += tables->l2_first * w[0];
  if (tables->l2_factors > 0) tables->kernel->axpy(g + table->first, tables->l2_factors, w + table->first, K);
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

/* An idle row of a swept table, ready to be stepped: initialised at the first step, up to date ever after. */
static dfm_row swept_row(const dfm_update *update, uint32_t id) {
  const dfm_row row = dfm_row_at(update->table, id);
  if (*row.touch == 0) {
    dfm_table_initial(update->tables, update->table->field, id, row.w);
    *row.touch = 1;
  }
  return row;
}

/* Asks the memory for what the unique row `ahead` places on will need: the row itself, and the gradient of the first place that wants it. */
DFM_PREFETCHES void prefetch_ahead(const dfm_update *update, int u, int ahead) {
  const dfm_plan *plan = update->plan;
  const dfm_table *table = update->table;
  if (u + ahead >= plan->U) return;
  dfm_prefetch_write(dfm_row_at(table, plan->unique[u + ahead]).w, (size_t)table->stride * sizeof(float));
  const dfm_field_gradient *field = &update->gradient->field[table->field];
  if (plan->is_plain && field->de)
    dfm_prefetch(field->de + plan->order[plan->start[u + ahead]] * (size_t)field->lde,
                 (size_t)(table->n - table->first) * sizeof *field->de);
}

static void update_row(void *context, int u, uint32_t id) {
  const dfm_update *update = context;
  float g[DFM_MAX_ROW_FACTORS + 1];
  dfm_row row;
  if (u >= 0) {
    prefetch_ahead(update, u, AHEAD);
    row = dfm_row_at(update->table, id);
    row_gradient(update, u, row.w, g);
  } else {
    row = swept_row(update, id);
    idle_gradient(update->tables, update->table, row.w, g);
  }
  step_row(update->tables, update->table, row, g);
}

/* Visits the part's rows of field f's table; there are none where it is frozen. */
static void visit_table(dfm_update *update, int f, int part, int parts, row_visitor *visit) {
  update->table = &update->tables->table[f];
  update->plan = &update->plans[f];
  if (update->table->n > 0 && !update->table->is_frozen)
    visit_part(update->table, update->plan, part, parts, visit, update);
}

void dfm_table_update(const dfm_tables *tables, int f, dfm_plan *plans, const dfm_table_gradient *gradient, int part,
                      int parts) {
  dfm_update update = {.tables = tables, .plans = plans, .gradient = gradient};
  visit_table(&update, f, part, parts, update_row);
}

static void accumulate_row(void *context, int u, uint32_t id) {
  dfm_update *update = context;
  const size_t n = (size_t)update->table->n;
  float idle[DFM_MAX_ROW_FACTORS + 1], *g = idle;
  if (u >= 0) {
    g = update->plan->gradients + (size_t)u * n;
    row_gradient(update, u, dfm_row_at(update->table, id).w, g);
  } else {
    idle_gradient(update->tables, update->table, swept_row(update, id).w, g);
  }
  update->squares += update->tables->kernel->sum_squares(g, n);
}

double dfm_table_accumulate(const dfm_tables *tables, int f, dfm_plan *plans, const dfm_table_gradient *gradient,
                            int part, int parts) {
  dfm_update update = {.tables = tables, .plans = plans, .gradient = gradient};
  visit_table(&update, f, part, parts, accumulate_row);
  return update.squares;
}

static void apply_row(void *context, int u, uint32_t id) {
  const dfm_update *update = context;
  const size_t n = (size_t)update->table->n;
  const dfm_row row = dfm_row_at(update->table, id);
  float idle[DFM_MAX_ROW_FACTORS + 1], *g = idle;
  if (u >= 0)
    g = update->plan->gradients + (size_t)u * n;
  else
    idle_gradient(update->tables, update->table, row.w, g);
  update->tables->kernel->scale(g, update->scale, n);
  step_row(update->tables, update->table, row, g);
}

void dfm_table_apply(const dfm_tables *tables, int f, dfm_plan *plans, float scale, int part, int parts) {
  dfm_update update = {.tables = tables, .plans = plans, .scale = scale};
  visit_table(&update, f, part, parts, apply_row);
}
