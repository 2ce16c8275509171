/* Setting up an executor: a net comes in; its program, and room for edges, blocks and gradient tasks, go out. */
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "layer/executor_inside.h"

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

size_t dfm_executor_edge_rows(int capacity) {
  size_t most = 0;
  for (int parts = 0; parts <= DFM_FLOAT32_PARTS; parts++) {
    const size_t block = (size_t)dfm_dense_block(capacity, parts);
    const size_t rows = ((size_t)capacity + block - 1) / block * block;
    if (rows > most) most = rows;
  }
  return most;
}

/* Edges: one allocation, values then gradients, each edge (edge_rows, n). NUMBER's values are the batch's own. */
static dfm_status allocate_edges(dfm_executor *executor, bool is_train, dfm_error *error) {
  dfm_pass *pass = &executor->pass;
  const dfm_net *net = pass->net;
  const size_t rows = dfm_executor_edge_rows(executor->capacity);
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

/* Large tasks first: threads draw them from the front, and tables behind them from the end, and meet among the small
 * ones. */
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
                              .block = dfm_dense_block(capacity, 0),
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
  return layer->kind != &dfm_layer_dense || dfm_dense_parts(dense) == 0;
}

/* Edges pass where no layer's gradient, no table and no barrier wants them after their block. */
static void find_passing(dfm_executor *executor, const dfm_dense *dense) {
  const dfm_net *net = executor->pass.net;
  executor->has_barrier = false;
  for (int i = 0; i < net->n_layers; i++) executor->has_barrier |= net->layer[i].kind->reduce_forward != NULL;
  for (int edge = 0; edge < net->n_edges; edge++) {
    const bool may =
        executor->pass.is_train && dfm_dense_parts(dense) > 0 && !executor->has_barrier && edge != DFM_EDGE_LOGIT;
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
  executor->pass.block = dfm_dense_block(executor->capacity, dfm_dense_parts(dense));
}

void dfm_executor_sum_from(dfm_executor *executor, const struct dfm_sums *sums) {
  executor->pass.table_sums = sums;
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
