/* Executor: a batch comes in; its blocks run through the net's program; logits and gradients go out. */
#include "layer/executor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "layer/dense_multiply.h"
#include "table/partners.h"

typedef enum dfm_op_kind {
  OP_EMBED,
  OP_FORWARD,
  OP_SUMS_FORWARD,
  OP_REDUCE_FORWARD, /* barrier */
  OP_LOSS,
  OP_BACKWARD,
  OP_SUMS_BACKWARD,
  OP_REDUCE_BACKWARD /* barrier */
} dfm_op_kind;

typedef struct dfm_op {
  dfm_op_kind kind;
  int layer;
} dfm_op;

struct dfm_executor {
  dfm_pass pass;
  int capacity;
  dfm_op op[6 * DFM_MAX_LAYERS + 2]; /* embed, loss, and six kinds for each layer */
  int n_ops;
  int *task_layer, *task_index; /* gradient tasks */
  int n_tasks;
  float *edges;
  size_t edges_bytes;
  const float **row; /* (capacity, n_slots) */
  float *row_scratch;
  /* field-aware pairs, while training */
  dfm_pairs pairs;
  dfm_factor_rows *pairs_rows; /* (F + n_slots) the first n_embed_rows in EMBED */
  int n_embed_rows;
  bool *has_pairs;               /* (F) whether the table's rows are read where they are gathered */
  uint32_t *first_piece, *piece; /* what the pass points to */
  float *columns;
  size_t columns_floats;
  dfm_field_gradient *field_gradient; /* (F) while training */
  double *sums;                       /* batch norm's */
  float *partial;                     /* gradients of each block */
  /* Edges that are of no use after their block, as `dense` has it: values, gradients */
  bool is_passing[DFM_MAX_EDGES], d_is_passing[DFM_MAX_EDGES];
  bool has_barrier, has_rooms; /* has_rooms: each thread has a block's room in the edges, for what passes */
  double *loss;                /* per block */
  /* of the batch at hand */
  const dfm_plan *plans;
  const dfm_batch *batch;
  int from, to;   /* operations of the phase at hand */
  int first;      /* row of the piece at hand */
  dfm_busy *busy; /* (threads); NULL: not measured */
};

static void add_op(dfm_executor *executor, dfm_op_kind kind, int layer) {
  executor->op[executor->n_ops++] = (dfm_op){kind, layer};
}

static void build_program(dfm_executor *executor, bool is_train) {
  const dfm_net *net = executor->pass.net;
  add_op(executor, OP_EMBED, 0);
  for (int i = 0; i < net->n_layers; i++) {
    if (is_train && net->layer[i].kind->reduce_forward) {
      add_op(executor, OP_SUMS_FORWARD, i);
      add_op(executor, OP_REDUCE_FORWARD, i);
    }
    add_op(executor, OP_FORWARD, i);
  }
  if (!is_train) return;
  add_op(executor, OP_LOSS, 0);
  for (int i = net->n_layers - 1; i >= 0; i--) {
    if (net->layer[i].kind->reduce_backward) {
      add_op(executor, OP_SUMS_BACKWARD, i);
      add_op(executor, OP_REDUCE_BACKWARD, i);
    }
    add_op(executor, OP_BACKWARD, i);
  }
}

/* Rows of an edge: whole blocks, whatever `dense` they are for. */
static size_t edge_rows(int capacity) {
  size_t most = 0;
  for (int is_bf16 = 0; is_bf16 < 2; is_bf16++) {
    const size_t block = (size_t)dfm_dense_block(capacity, is_bf16);
    const size_t rows = ((size_t)capacity + block - 1) / block * block;
    if (rows > most) most = rows;
  }
  return most;
}

/* Edges: one allocation, values then gradients, each edge (edge_rows, n). NUMBER's values are the batch's own. */
static dfm_status allocate_edges(dfm_executor *executor, bool is_train, dfm_error *error) {
  dfm_pass *pass = &executor->pass;
  const dfm_net *net = pass->net;
  const size_t rows = edge_rows(executor->capacity);
  size_t floats = 0;
  for (int edge = 0; edge < net->n_edges; edge++) {
    floats += rows * (size_t)net->edge_n[edge] * (is_train ? 2 : 1);
  }
  executor->edges_bytes = floats * sizeof(float);
  DFM_TRY(dfm_pages_alloc(&executor->edges, executor->edges_bytes, error));
  float *at = executor->edges;
  for (int edge = 0; edge < net->n_edges; edge++) {
    const size_t n = rows * (size_t)net->edge_n[edge];
    pass->value[edge] = at;
    at += n;
    if (!is_train) continue;
    pass->dvalue[edge] = at;
    at += n;
  }
  return DFM_OK;
}

/* Rows of factors that lie in EMBED: those of a slot, whose pieces have the same numbers in every batch. */
static void list_embed_rows(dfm_executor *executor, int slot, int column) {
  const dfm_pass *pass = &executor->pass;
  const size_t slots = (size_t)pass->net->n_slots, B = (size_t)executor->capacity,
               first = (size_t)executor->n_embed_rows * B;
  executor->pairs_rows[executor->n_embed_rows++] =
      (dfm_factor_rows){pass->value[DFM_EDGE_EMBED] + column, (size_t)pass->net->edge_n[DFM_EDGE_EMBED], B, first};
  for (size_t b = 0; b < B; b++) executor->piece[b * slots + (size_t)slot] = (uint32_t)(first + b);
}

/* Field-aware pairs: numbers and pooled lists lie in EMBED; tables' rows are listed when they are gathered. */
static dfm_status allocate_pairs(dfm_executor *executor, dfm_error *error) {
  dfm_pass *pass = &executor->pass;
  const dfm_net *net = pass->net;
  const size_t F = (size_t)net->F, slots = (size_t)net->n_slots;
  DFM_TRY(dfm_alloc(&executor->pairs_rows, F + slots, sizeof *executor->pairs_rows, error));
  DFM_TRY(dfm_alloc(&executor->has_pairs, F, sizeof *executor->has_pairs, error));
  DFM_TRY(dfm_alloc(&executor->first_piece, F, sizeof *executor->first_piece, error));
  DFM_TRY(dfm_alloc(&executor->piece, (size_t)executor->capacity * slots, sizeof *executor->piece, error));
  for (int i = 0; i < net->n_slot_numbers; i++) list_embed_rows(executor, i, i * net->slot_width);
  for (int f = 0; f < net->F; f++) {
    const dfm_net_field *field = &net->field[f];
    if (field->slot >= 0 && field->column >= 0) list_embed_rows(executor, field->slot, field->column);
    executor->has_pairs[field->table] |= field->slot >= 0 && field->column < 0;
  }
  executor->pairs =
      (dfm_pairs){.slots = net->n_slots, .K = net->fm_width, .rows = executor->pairs_rows, .piece = executor->piece};
  pass->piece = executor->piece;
  pass->first_piece = executor->first_piece;
  pass->pairs = &executor->pairs;
  return DFM_OK;
}

/* The tables' gathered rows, the one of zeros too. */
static dfm_status list_table_rows(dfm_executor *executor, const dfm_plan *plans, dfm_error *error) {
  const dfm_net *net = executor->pass.net;
  dfm_factor_rows *rows = executor->pairs_rows + executor->n_embed_rows;
  size_t piece = (size_t)executor->n_embed_rows * (size_t)executor->capacity, room = piece;
  for (int t = 0; t < net->F; t++) {
    if (!executor->has_pairs[t]) continue;
    const size_t first = (size_t)net->table[t].first, n = (size_t)plans[t].U + 1;
    *rows++ = (dfm_factor_rows){plans[t].weights + first, first + (size_t)net->table[t].width, n, piece};
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

/* Where the net has slots: their pointers, and while scoring room for rows that a source makes. */
static dfm_status allocate_slots(dfm_executor *executor, bool is_train, dfm_error *error) {
  dfm_pass *pass = &executor->pass;
  const size_t slots = (size_t)pass->net->n_slots;
  DFM_TRY(dfm_alloc(&executor->row, (size_t)executor->capacity * slots, sizeof *executor->row, error));
  pass->row = executor->row;
  if (is_train) return pass->net->is_field_aware ? allocate_pairs(executor, error) : DFM_OK;
  pass->scratch_n = 3 * (1 + (size_t)pass->net->slot_width);
  DFM_TRY(dfm_alloc(&executor->row_scratch, (size_t)pass->net->tile * slots * pass->scratch_n, sizeof(float), error));
  pass->row_scratch = executor->row_scratch;
  return DFM_OK;
}

/* Where the gradient of field f's factors is. */
static dfm_field_gradient field_gradient(const dfm_pass *pass, int f) {
  const dfm_net *net = pass->net;
  const dfm_net_field *field = &net->field[f];
  dfm_field_gradient gradient = {.has_first = field->first == 1,
                                 .has_within = field->has_within,
                                 .within_from = field->within_from,
                                 .within_n = net->fm_width,
                                 .slot = field->slot,
                                 .lde = net->edge_n[DFM_EDGE_EMBED]};
  if (net->is_field_aware) return gradient; /* made from the partners' rows */
  if (field->column >= 0) {
    gradient.de = pass->dvalue[DFM_EDGE_EMBED] + field->column;
  } else if (field->slot >= 0) { /* fm hands back the gradient of its sums */
    gradient.de = pass->dvalue[net->fm_sums];
    gradient.lde = net->fm_width;
    gradient.has_within = true;
  }
  return gradient;
}

static dfm_status list_field_gradients(dfm_executor *executor, dfm_error *error) {
  const dfm_pass *pass = &executor->pass;
  const dfm_net *net = pass->net;
  DFM_TRY(dfm_alloc(&executor->field_gradient, (size_t)net->F, sizeof *executor->field_gradient, error));
  for (int f = 0; f < net->F; f++) executor->field_gradient[f] = field_gradient(pass, f);
  return DFM_OK;
}

static dfm_status allocate_sums(dfm_executor *executor, dfm_error *error) {
  dfm_pass *pass = &executor->pass;
  const int n_blocks = (executor->capacity + DFM_MIN_BLOCK - 1) / DFM_MIN_BLOCK;
  size_t doubles = 0;
  DFM_TRY(dfm_alloc(&executor->loss, (size_t)n_blocks, sizeof(double), error));
  for (int i = 0; i < pass->net->n_layers; i++) {
    if (pass->net->layer[i].kind->reduce_forward) doubles += dfm_batch_norm_sums(n_blocks, pass->net->layer[i].n_out);
  }
  DFM_TRY(dfm_alloc(&executor->sums, doubles, sizeof(double), error));
  double *at = executor->sums;
  for (int i = 0; i < pass->net->n_layers; i++) {
    if (!pass->net->layer[i].kind->reduce_forward) continue;
    pass->sums[i] = at;
    at += dfm_batch_norm_sums(n_blocks, pass->net->layer[i].n_out);
  }
  return DFM_OK;
}

static dfm_status allocate_partial(dfm_executor *executor, dfm_error *error) {
  dfm_pass *pass = &executor->pass;
  const size_t n_blocks = (size_t)((executor->capacity + DFM_MIN_BLOCK - 1) / DFM_MIN_BLOCK);
  size_t floats = 0, at = 0;
  for (int i = 0; i < pass->net->n_layers; i++)
    if (pass->net->layer[i].kind->partial) floats += n_blocks * pass->net->layer[i].kind->partial(&pass->net->layer[i]);
  DFM_TRY(dfm_alloc(&executor->partial, floats, sizeof(float), error));
  for (int i = 0; i < pass->net->n_layers; i++) {
    const dfm_layer *layer = &pass->net->layer[i];
    if (!layer->kind->partial) continue;
    pass->partial[i] = executor->partial + at;
    at += n_blocks * layer->kind->partial(layer);
  }
  return DFM_OK;
}

static int tasks_of(const dfm_layer *layer) {
  return layer->kind->tasks ? layer->kind->tasks(layer) : 0;
}

/* Multiplies of one gradient task and row of the batch. */
static int64_t task_cost(const dfm_layer *layer) {
  return (int64_t)layer->n_in * layer->n_out / tasks_of(layer);
}

/* Large tasks first: threads draw them from the front, and tables behind them from the end, and meet among the small ones. */
static dfm_status list_tasks(dfm_executor *executor, dfm_error *error) {
  const dfm_net *net = executor->pass.net;
  int order[DFM_MAX_LAYERS], n_layers = 0, n = 0;
  for (int i = 0; i < net->n_layers; i++) {
    int at = n_layers;
    if (tasks_of(&net->layer[i]) == 0) continue;
    for (; at > 0 && task_cost(&net->layer[order[at - 1]]) < task_cost(&net->layer[i]); at--) order[at] = order[at - 1];
    order[at] = i;
    n_layers++;
    n += tasks_of(&net->layer[i]);
  }
  DFM_TRY(dfm_alloc(&executor->task_layer, (size_t)n, sizeof(int), error));
  DFM_TRY(dfm_alloc(&executor->task_index, (size_t)n, sizeof(int), error));
  for (int i = 0; i < n_layers; i++)
    for (int task = 0; task < tasks_of(&net->layer[order[i]]); task++) {
      executor->task_layer[executor->n_tasks] = order[i];
      executor->task_index[executor->n_tasks++] = task;
    }
  return DFM_OK;
}

dfm_status dfm_executor_create(const dfm_net *net, const dfm_kernel *kernel, float *weight, float *dweight,
                               int capacity, uint64_t seed, dfm_executor **out, dfm_error *error) {
  const bool is_train = dweight != NULL;
  dfm_executor *executor = NULL;
  dfm_status status;
  DFM_TRY(dfm_alloc(&executor, 1, sizeof *executor, error));
  executor->capacity = capacity;
  executor->pass = (dfm_pass){.net = net,
                              .kernel = kernel,
                              .weight = weight,
                              .dweight = dweight,
                              .is_train = is_train,
                              .block = dfm_dense_block(capacity, false),
                              .dropout_key = dfm_random_key(seed, DFM_STREAM_DROPOUT)};
  build_program(executor, is_train);
  DFM_TRY_GOTO(status, allocate_edges(executor, is_train, error), fail);
  DFM_TRY_GOTO(status, allocate_slots(executor, is_train, error), fail);
  if (is_train) DFM_TRY_GOTO(status, list_field_gradients(executor, error), fail);
  DFM_TRY_GOTO(status, allocate_sums(executor, error), fail);
  if (is_train) DFM_TRY_GOTO(status, allocate_partial(executor, error), fail);
  DFM_TRY_GOTO(status, list_tasks(executor, error), fail);
  *out = executor;
  return DFM_OK;
fail:
  dfm_executor_free(executor);
  return status;
}

/* Whether making the layer's gradients reads its edges. */
static bool reads_edges(const dfm_layer *layer, const dfm_dense *dense) {
  if (!layer->kind->gradient || layer->kind->partial) return false;
  return layer->kind != &dfm_layer_dense || !dfm_dense_is_bf16(dense);
}

/* Edges pass where no layer's gradient, no table and no barrier wants them after their block. */
static void find_passing(dfm_executor *executor, const dfm_dense *dense) {
  const dfm_net *net = executor->pass.net;
  executor->has_barrier = false;
  for (int i = 0; i < net->n_layers; i++) executor->has_barrier |= net->layer[i].kind->reduce_forward != NULL;
  for (int edge = 0; edge < net->n_edges; edge++) {
    const bool may =
        executor->pass.is_train && dfm_dense_is_bf16(dense) && !executor->has_barrier && edge != DFM_EDGE_LOGIT;
    executor->is_passing[edge] = may && edge != DFM_EDGE_NUMBER;
    executor->d_is_passing[edge] = may && edge != DFM_EDGE_EMBED && edge != net->fm_sums;
  }
  for (int i = 0; i < net->n_layers; i++) {
    if (!reads_edges(&net->layer[i], dense)) continue;
    executor->is_passing[net->layer[i].in] = executor->d_is_passing[net->layer[i].out] = false;
  }
}

void dfm_executor_use(dfm_executor *executor, struct dfm_dense *dense, int room) {
  executor->pass.dense = dense;
  executor->pass.room = room;
  find_passing(executor, dense);
  executor->pass.block = dfm_dense_block(executor->capacity, dfm_dense_is_bf16(dense));
}

void dfm_executor_free(dfm_executor *executor) {
  if (!executor) return;
  if (executor->edges) dfm_pages_free(executor->edges, executor->edges_bytes);
  free(executor->row);
  free(executor->row_scratch);
  free(executor->pairs_rows);
  free(executor->has_pairs);
  free(executor->first_piece);
  free(executor->piece);
  free(executor->columns);
  free(executor->field_gradient);
  free(executor->sums);
  free(executor->partial);
  free(executor->loss);
  free(executor->task_layer);
  free(executor->task_index);
  free(executor);
}

/* Binary cross-entropy from the logit z: loss = max(z, 0) - z y + ln(1 + exp(-|z|)), dloss/dz = p - y; over the batch, weighted, divided by B. Of rows
 * of weight 1 the logarithms are taken together, as that of a product of at most 2^128. */
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
  executor->plans = plans;
  executor->batch = batch;
  pass->B = batch->rows;
  pass->step = step;
  pass->value[DFM_EDGE_NUMBER] = batch->number;
  const int n_blocks = (pass->B + pass->block - 1) / pass->block;
  const size_t rooms = (size_t)dfm_pool_threads(pool) * (size_t)pass->block;
  executor->has_rooms = !executor->has_barrier && rooms <= edge_rows(executor->capacity);
  for (int block = 0; block < n_blocks; block++) executor->loss[block] = 0;
  if (pass->pairs) DFM_TRY(list_table_rows(executor, plans, error));
  if (pass->dense) DFM_TRY(dfm_dense_begin(pass->dense, pass->weight, pool, error));
  for (int i = 0; i < executor->n_ops; i = executor->to + 1) {
    executor->from = executor->to = i;
    while (executor->to < executor->n_ops && !is_barrier(&executor->op[executor->to])) executor->to++;
    run_phase(executor, pool);
    if (executor->to < executor->n_ops) run_block(executor, pass, &executor->op[executor->to], 0, pass->B);
  }
  *loss = 0;
  for (int block = 0; block < n_blocks; block++) *loss += executor->loss[block];
  return dfm_executor_check(executor, error);
}

dfm_status dfm_executor_check(const dfm_executor *executor, dfm_error *error) {
  return dfm_dense_check(executor->pass.dense, error);
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
