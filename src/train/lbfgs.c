/* L-BFGS: the rows of a linear model come in; its exact optimum goes out.
 *
 * Minimises mean log loss + l2/2 |w|^2 over first-order weights, number weights and the bias, in double, by liblbfgs
 * (Nocedal's L-BFGS with a backtracking line search). Rows are cut into a fixed number of shards, each with its own
 * gradient, added up in order: the same sums for any number of threads. */
#include <lbfgs.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "train/run.h"

enum { DFM_SHARDS = 16, DFM_SHARD_BATCH = 1024 };

typedef struct dfm_solver_state {
  dfm_run *run;
  size_t n;       /* unknowns: tables' rows in order of fields, then number weights, then the bias */
  size_t *first;  /* (F) where a field's rows start */
  size_t numbers; /* where number weights start */
  const int *column;
  int n_columns;    /* numbers of the linear branch */
  const double *x;  /* at the point at hand */
  double *gradient; /* (DFM_SHARDS, n) */
  double loss[DFM_SHARDS];
  dfm_batch *batch[DFM_SHARDS];
} dfm_solver_state;

/* The linear layer of the net. */
static const dfm_layer *linear_layer(const dfm_net *net) {
  for (int i = 0; i < net->n_layers; i++)
    if (net->layer[i].kind == &dfm_layer_linear) return &net->layer[i];
  return NULL;
}

/* The first-order weights of row b in field f, added up; pools are sums here (dfm_lbfgs_solve). */
static double first_order(const dfm_solver_state *solver, const dfm_batch *batch, int f, int b) {
  const double *x = solver->x + solver->first[solver->run->stepper->net->field[f].table];
  const dfm_batch_list *list = &batch->list[f];
  double z = 0;
  if (!list->offsets) {
    const uint32_t id = batch->id[(size_t)f * (size_t)batch->capacity + (size_t)b];
    return id == DFM_ID_NONE ? 0 : x[id];
  }
  for (uint32_t p = list->offsets[b]; p < list->offsets[b + 1]; p++)
    if (list->id[p] != DFM_ID_NONE) z += (double)list->coefficient[p] * x[list->id[p]];
  return z;
}

static void add_first_order(const dfm_solver_state *solver, const dfm_batch *batch, int f, int b, double dz,
                            double *gradient) {
  const dfm_batch_list *list = &batch->list[f];
  gradient += solver->first[solver->run->stepper->net->field[f].table];
  if (!list->offsets) {
    const uint32_t id = batch->id[(size_t)f * (size_t)batch->capacity + (size_t)b];
    if (id != DFM_ID_NONE) gradient[id] += dz;
    return;
  }
  for (uint32_t p = list->offsets[b]; p < list->offsets[b + 1]; p++)
    if (list->id[p] != DFM_ID_NONE) gradient[list->id[p]] += (double)list->coefficient[p] * dz;
}

static void add_row(const dfm_solver_state *solver, const dfm_batch *batch, int b, double *gradient, double *loss) {
  const dfm_net *net = solver->run->stepper->net;
  const double *x = solver->x;
  const float *number = batch->number + (size_t)b * (size_t)net->D;
  double z = x[solver->n - 1];
  for (int f = 0; f < net->F; f++) z += net->field[f].first ? first_order(solver, batch, f, b) : 0;
  for (int i = 0; i < solver->n_columns; i++) z += x[solver->numbers + (size_t)i] * (double)number[solver->column[i]];
  const double y = (double)batch->label[b], w = (double)batch->weight[b];
  *loss += w * (fmax(z, 0) - z * y + log1p(exp(-fabs(z))));
  const double dz = w * (1 / (1 + exp(-z)) - y);
  for (int f = 0; f < net->F; f++)
    if (net->field[f].first && !solver->run->stepper->tables->table[net->field[f].table].is_frozen)
      add_first_order(solver, batch, f, b, dz, gradient);
  for (int i = 0; i < solver->n_columns; i++)
    gradient[solver->numbers + (size_t)i] += dz * (double)number[solver->column[i]];
  gradient[solver->n - 1] += dz;
}

/* Rows [at, at + n) of the training set, laid out. */
static dfm_status lay_out(const dfm_dataset *rows, int64_t at, int64_t to, dfm_batch *batch, dfm_error *error) {
  batch->rows = to - at < DFM_SHARD_BATCH ? (int)(to - at) : DFM_SHARD_BATCH;
  for (int b = 0; b < batch->rows; b++) batch->row[b] = at + b;
  return dfm_dataset_lay_out(rows, batch, error);
}

/* Makes the shard's batch as large as its longest lists need, so that nothing grows while the solver runs. */
static dfm_status size_batch(const dfm_solver_state *solver, int shard, dfm_error *error) {
  const dfm_dataset *rows = solver->run->trainer->train;
  const int64_t n = dfm_dataset_rows(rows), from = n * shard / DFM_SHARDS, to = n * (shard + 1) / DFM_SHARDS;
  for (int64_t at = from; at < to; at += DFM_SHARD_BATCH) DFM_TRY(lay_out(rows, at, to, solver->batch[shard], error));
  return DFM_OK;
}

static void shard_task(void *context, int shard, int thread) {
  dfm_solver_state *solver = context;
  const dfm_dataset *rows = solver->run->trainer->train;
  const int64_t n = dfm_dataset_rows(rows), from = n * shard / DFM_SHARDS, to = n * (shard + 1) / DFM_SHARDS;
  double *gradient = solver->gradient + (size_t)shard * solver->n, loss = 0;
  dfm_batch *batch = solver->batch[shard];
  (void)thread;
  memset(gradient, 0, solver->n * sizeof *gradient);
  for (int64_t at = from; at < to; at += batch->rows) {
    (void)!lay_out(rows, at, to, batch, NULL); /* size_batch made the room */
    dfm_dataset_fill(rows, batch, 0, batch->rows);
    for (int b = 0; b < batch->rows; b++) add_row(solver, batch, b, gradient, &loss);
    dfm_dataset_spent(rows, at, batch->rows);
  }
  solver->loss[shard] = loss;
}

/* The callback below cannot fail. */
static dfm_status check_all_rows(const dfm_dataset *rows, dfm_error *error) {
  dfm_scan scan = {.dataset = rows, .end = dfm_dataset_rows(rows)};
  do DFM_TRY(dfm_scan_next(&scan, error));
  while (scan.n > 0);
  return DFM_OK;
}

/* liblbfgs's callback: objective and gradient at x. The unknown row keeps its zero where no training row feeds it: its
 * gradient is the penalty's. */
static lbfgsfloatval_t evaluate(void *context, const lbfgsfloatval_t *x, lbfgsfloatval_t *g, const int n,
                                const lbfgsfloatval_t step) {
  dfm_solver_state *solver = context;
  const double rows = (double)dfm_dataset_rows(solver->run->trainer->train),
               l2 = solver->run->trainer->recipe->l2.linear;
  double objective = 0;
  (void)step;
  solver->x = x;
  dfm_pool_run(solver->run->stepper->pool, DFM_SHARDS, shard_task, solver);
  for (int shard = 0; shard < DFM_SHARDS; shard++) objective += solver->loss[shard] / rows;
  for (int i = 0; i < n; i++) {
    const double penalised = i < n - 1 ? x[i] : 0; /* the bias is free */
    double sum = 0;
    for (int shard = 0; shard < DFM_SHARDS; shard++) sum += solver->gradient[(size_t)shard * solver->n + (size_t)i];
    g[i] = sum / rows + l2 * penalised;
    objective += 0.5 * l2 * penalised * penalised;
  }
  return objective;
}

static dfm_status minimise(dfm_solver_state *solver, double *x, double *objective, dfm_error *error) {
  const dfm_recipe *recipe = solver->run->trainer->recipe;
  lbfgs_parameter_t parameter;
  lbfgs_parameter_init(&parameter);
  parameter.m = 10;
  parameter.max_iterations = recipe->optimizer.lbfgs_iterations;
  parameter.epsilon = recipe->optimizer.lbfgs_tolerance;
  const int code = lbfgs((int)solver->n, x, objective, evaluate, NULL, solver, &parameter);
  /* Rounding ends the line search near the optimum: the point reached is then as good as doubles get. */
  if (code >= 0 || code == LBFGSERR_MAXIMUMITERATION || code == LBFGSERR_ROUNDING_ERROR ||
      code == LBFGSERR_MAXIMUMLINESEARCH)
    return DFM_OK;
  return dfm_fail(error, DFM_ERROR_VALUE,
                  "L-BFGS stopped with code %d; scale the numbers (data.transform standard) or set l2.linear", code);
}

/* Weights as the model keeps them. */
static void store(const dfm_solver_state *solver, const double *x) {
  dfm_stepper *stepper = solver->run->stepper;
  const dfm_layer *layer = linear_layer(stepper->net);
  for (int f = 0; f < stepper->net->F; f++) {
    for (uint32_t id = 0; id < stepper->tables->table[f].V; id++) {
      const float w = (float)x[solver->first[f] + id];
      dfm_table_set(stepper->tables, f, id, &w);
    }
  }
  stepper->weight[stepper->net->param[layer->param[0]].offset] = (float)x[solver->n - 1];
  for (int i = 0; i < solver->n_columns; i++) {
    stepper->weight[stepper->net->param[layer->param[1]].offset + (size_t)i] = (float)x[solver->numbers + (size_t)i];
  }
}

static dfm_status solve(dfm_solver_state *solver, double **x, double *objective, dfm_error *error) {
  const dfm_stepper *stepper = solver->run->stepper;
  const dfm_layer *layer = linear_layer(stepper->net);
  DFM_TRY(dfm_alloc(&solver->first, (size_t)stepper->net->F, sizeof *solver->first, error));
  for (int f = 0; f < stepper->net->F; f++) {
    solver->first[f] = solver->n;
    solver->n += stepper->tables->table[f].V;
  }
  solver->numbers = solver->n;
  solver->column = layer->column;
  solver->n_columns = layer->n_in;
  solver->n += (size_t)layer->n_in + 1;
  if (solver->n > INT32_MAX) {
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "L-BFGS takes up to 2^31 weights, this model has %zu; use optimizer.name adam", solver->n);
  }
  *x = lbfgs_malloc((int)solver->n); /* aligned and rounded up as the library's build wants it */
  if (!*x) return dfm_fail(error, DFM_ERROR_MEMORY, "out of memory for the %zu weights of L-BFGS", solver->n);
  memset(*x, 0, solver->n * sizeof **x);
  DFM_TRY(dfm_alloc(&solver->gradient, DFM_SHARDS * solver->n, sizeof(double), error));
  for (int shard = 0; shard < DFM_SHARDS; shard++) {
    DFM_TRY(dfm_batch_create(stepper->net->F, stepper->net->D, DFM_SHARD_BATCH, &solver->batch[shard], error));
    DFM_TRY(size_batch(solver, shard, error));
  }
  DFM_TRY(minimise(solver, *x, objective, error));
  *objective *=
      (double)dfm_dataset_rows(solver->run->trainer->train); /* from the mean to the sum that people compare */
  store(solver, *x);
  return DFM_OK;
}

dfm_status dfm_lbfgs_solve(dfm_run *run, double *objective, dfm_error *error) {
  dfm_solver_state solver = {.run = run};
  double *x = NULL;
  DFM_TRY(check_all_rows(run->trainer->train, error));
  const dfm_status status = solve(&solver, &x, objective, error);
  for (int shard = 0; shard < DFM_SHARDS; shard++) dfm_batch_free(solver.batch[shard]);
  free(solver.gradient);
  free(solver.first);
  if (x) lbfgs_free(x);
  return status;
}
