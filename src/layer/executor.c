/* Executor: a batch comes in; its blocks run through the net's program; logits and gradients go out. */
#include "layer/executor.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "layer/executor_inside.h"

/* The tables' gathered rows, the one of zeros too. */
static dfm_status list_table_rows(dfm_executor *executor, const dfm_plan *plans, dfm_error *error) {
  const dfm_net *net = executor->pass.net;
  dfm_factor_rows *rows = executor->pairs_rows + executor->n_embed_rows;
  size_t piece = (size_t)executor->n_embed_rows * (size_t)executor->capacity, room = piece;
  for (int t = 0; t < net->F; t++) {
    if (!executor->has_pairs[t]) continue;
    const size_t first = (size_t)net->table[t].first, n = (size_t)plans[t].U + 1;
    *rows++ = (dfm_factor_rows){plans[t].weights + first, plans[t].ld, n, piece};
    executor->first_piece[t] = (uint32_t)piece;
    piece += n;
    room += plans[t].capacity + 1;
  }
  executor->pairs.n_rows = (int)(rows - executor->pairs_rows);
  executor->pairs.column_floats = room * (size_t)net->fm_width;
  if (net->n_slot_numbers == 0) return DFM_OK;
  DFM_TRY(dfm_grow(&executor->columns, &executor->columns_floats, DFM_COLUMNS * executor->pairs.column_floats,
                   sizeof(float), error));
  executor->pass.columns = executor->columns;
  return DFM_OK;
}

/* Binary cross-entropy from the logit z: loss = max(z, 0) - z y + ln(1 + exp(-|z|)), dloss/dz = p - y; over the
 * batch, weighted, divided by B. Of rows of weight 1 the logarithms are taken together, as that of a product of at
 * most 2^128. */
static void loss_block(const dfm_executor *executor, int b0, int b1) {
  const dfm_pass *pass = &executor->pass;
  const dfm_batch *batch = executor->batch;
  const float *z = dfm_value(pass, DFM_EDGE_LOGIT, 0, 0);
  float *dz = dfm_dvalue(pass, DFM_EDGE_LOGIT, 0, 0);
  double sum = 0, product = 1;
  pass->kernel->sigmoid(dz + b0, z + b0, (size_t)(b1 - b0));
  for (int b = b0; b < b1; b++) {
    const double logit = z[b], weight = batch->weight[b], t = exp(-fabs(logit));
    if (weight == 1)
      product *= 1 + t;
    else
      sum += weight * log1p(t);
    sum += weight * (fmax(logit, 0) - logit * batch->label[b]);
    dz[b] = (dz[b] - batch->label[b]) * batch->weight[b] / (float)pass->B;
  }
  sum += log(product);
  executor->loss[b0 / pass->block] += sum;
  if (pass->net->is_field_aware) return; /* its gradient is made where it is used */
  const size_t embed_bytes = (size_t)pass->net->edge_n[DFM_EDGE_EMBED] * (size_t)(b1 - b0) * sizeof(float);
  memset(dfm_dvalue(pass, DFM_EDGE_EMBED, b0, 0), 0, embed_bytes); /* every branch adds to it */
}

static void run_block(const dfm_executor *executor, const dfm_pass *pass, const dfm_op *op, int b0, int b1) {
  const dfm_layer *layer = &pass->net->layer[op->layer];
  switch (op->kind) {
    case OP_EMBED:
      dfm_embed(&(dfm_embedding){.plans = executor->plans}, pass, executor->batch, b0, b1);
      break;
    case OP_FORWARD:
      layer->kind->forward(layer, pass, b0, b1);
      break;
    case OP_SUMS_FORWARD:
      layer->kind->sums_forward(layer, pass, b0, b1);
      break;
    case OP_LOSS:
      loss_block(executor, b0, b1);
      break;
    case OP_BACKWARD:
      layer->kind->backward(layer, pass, b0, b1);
      break;
    case OP_SUMS_BACKWARD:
      layer->kind->sums_backward(layer, pass, b0, b1);
      break;
    case OP_REDUCE_FORWARD:
      layer->kind->reduce_forward(layer, pass);
      break;
    case OP_REDUCE_BACKWARD:
      layer->kind->reduce_backward(layer, pass);
      break;
  }
}

static bool is_barrier(const dfm_op *op) {
  return op->kind == OP_REDUCE_FORWARD || op->kind == OP_REDUCE_BACKWARD;
}

static dfm_work work_of(const dfm_op *op) {
  if (op->kind == OP_EMBED) return DFM_WORK_EMBED;
  return op->kind == OP_BACKWARD || op->kind == OP_SUMS_BACKWARD ? DFM_WORK_BACKWARD : DFM_WORK_FORWARD;
}

/* Rows that go through a phase's operations at once, out of a block of `block`. */
static int tile_rows(const dfm_net *net, int block) {
  return net->tile > 0 && net->tile < block ? net->tile : block;
}

/* The pass of the block from row b0 on: passing edges are the thread's room. */
static dfm_pass pass_of_block(const dfm_executor *executor, int b0, int thread) {
  dfm_pass pass = executor->pass;
  pass.room = executor->has_rooms ? thread * pass.block : b0;
  for (int edge = 0; edge < pass.net->n_edges; edge++) {
    /* Where row 0 would be: as a number, since it may lie before the edge. */
    const uintptr_t shift = (uintptr_t)((intptr_t)(pass.room - b0) * pass.net->edge_n[edge] * (intptr_t)sizeof(float));
    if (executor->is_passing[edge]) pass.value[edge] = (float *)((uintptr_t)pass.value[edge] + shift);
    if (executor->d_is_passing[edge]) pass.dvalue[edge] = (float *)((uintptr_t)pass.dvalue[edge] + shift);
  }
  return pass;
}

static void block_task(void *context, int block, int thread) {
  const dfm_executor *executor = context;
  const int b0 = executor->first + block * executor->pass.block, end_of_batch = executor->pass.B;
  const int b1 = b0 + executor->pass.block < end_of_batch ? b0 + executor->pass.block : end_of_batch;
  const dfm_pass pass = pass_of_block(executor, b0, thread);
  const int tile = tile_rows(pass.net, pass.block);
  double start = dfm_busy_start(executor->busy);
  for (int at = b0; at < b1; at += tile) {
    const int end = at + tile < b1 ? at + tile : b1;
    for (int i = executor->from; i < executor->to; i++) {
      run_block(executor, &pass, &executor->op[i], at, end);
      start = dfm_busy_count(executor->busy, thread, work_of(&executor->op[i]), start);
    }
  }
}

static void accumulate_task(void *context, int task, int thread) {
  const dfm_executor *executor = context;
  const dfm_layer *layer = &executor->pass.net->layer[executor->task_layer[task]];
  const double start = dfm_busy_start(executor->busy);
  if (layer->kind == &dfm_layer_dense)
    dfm_dense_accumulate(layer, &executor->pass, executor->task_index[task], executor->first);
  dfm_busy_count(executor->busy, thread, DFM_WORK_DENSE, start);
}

/* The operations of a phase, piece by piece of the batch; between pieces dense gradients are added up. */
static void run_phase(dfm_executor *executor, dfm_pool *pool) {
  const dfm_pass *pass = &executor->pass;
  const int piece = dfm_dense_piece(pass->dense) > 0 ? dfm_dense_piece(pass->dense) : pass->B;
  for (executor->first = 0;; executor->first += piece) {
    const int left = pass->B - executor->first, rows = left < piece ? left : piece;
    dfm_pool_run(pool, (rows + pass->block - 1) / pass->block, block_task, executor);
    if (left <= piece) return;
    dfm_pool_run(pool, executor->n_tasks, accumulate_task, executor);
  }
}

void dfm_executor_measure(dfm_executor *executor, dfm_busy *busy) {
  executor->busy = busy;
}

dfm_status dfm_executor_train(dfm_executor *executor, dfm_pool *pool, const dfm_plan *plans, const dfm_batch *batch,
                              int64_t step, double *loss, dfm_error *error) {
  dfm_pass *pass = &executor->pass;
  assert(pass->dense || !dfm_net_has_dense(pass->net));
  executor->plans = plans;
  executor->batch = batch;
  pass->B = batch->rows;
  pass->step = step;
  pass->value[DFM_EDGE_NUMBER] = batch->number;
  const int n_blocks = (pass->B + pass->block - 1) / pass->block;
  const size_t rooms = (size_t)dfm_pool_threads(pool) * (size_t)pass->block;
  executor->has_rooms = !executor->has_barrier && rooms <= dfm_executor_edge_rows(executor->capacity);
  for (int block = 0; block < n_blocks; block++) executor->loss[block] = 0;
  if (pass->pairs) DFM_TRY(list_table_rows(executor, plans, error));
  for (int i = 0; i < executor->n_ops; i = executor->to + 1) {
    executor->from = executor->to = i;
    while (executor->to < executor->n_ops && !is_barrier(&executor->op[executor->to])) executor->to++;
    run_phase(executor, pool);
    if (executor->to < executor->n_ops) run_block(executor, pass, &executor->op[executor->to], 0, pass->B);
  }
  *loss = 0;
  for (int block = 0; block < n_blocks; block++) *loss += executor->loss[block];
  return DFM_OK;
}

int dfm_executor_begin_tasks(const dfm_executor *executor) {
  return dfm_dense_begin_tasks(executor->pass.dense);
}

void dfm_executor_begin(const dfm_executor *executor, int task) {
  dfm_dense_begin_task(executor->pass.dense, executor->pass.weight, task);
}

int dfm_executor_tasks(const dfm_executor *executor) {
  return executor->n_tasks;
}

int dfm_executor_gradient(const dfm_executor *executor, int task, dfm_span span[2]) {
  const dfm_layer *layer = &executor->pass.net->layer[executor->task_layer[task]];
  return layer->kind->gradient(layer, &executor->pass, executor->task_index[task], span);
}

const float *dfm_executor_logits(const dfm_executor *executor) {
  return executor->pass.value[DFM_EDGE_LOGIT];
}

dfm_table_gradient dfm_executor_table_gradient(const dfm_executor *executor) {
  const dfm_pass *pass = &executor->pass;
  return (dfm_table_gradient){
      .dlogit = pass->dvalue[DFM_EDGE_LOGIT], .field = executor->field_gradient, .pairs = executor->pairs};
}

void dfm_executor_score(dfm_executor *executor, const dfm_row_source *source, const dfm_batch *batch,
                        float *probability) {
  dfm_pass *pass = &executor->pass;
  pass->B = batch->rows;
  pass->value[DFM_EDGE_NUMBER] = batch->number;
  const int tile = tile_rows(pass->net, pass->B);
  for (int at = 0; at < pass->B; at += tile) {
    const int end = at + tile < pass->B ? at + tile : pass->B;
    dfm_embed(&(dfm_embedding){.source = source}, pass, batch, at, end);
    for (int i = 1; i < executor->n_ops; i++) run_block(executor, pass, &executor->op[i], at, end);
  }
  pass->kernel->sigmoid(probability, pass->value[DFM_EDGE_LOGIT], (size_t)pass->B);
}
