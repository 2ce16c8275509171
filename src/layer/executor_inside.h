/* The executor's inside: executor_create.c sets it up, executor.c runs it. */
#ifndef DFM_LAYER_EXECUTOR_INSIDE_H
#define DFM_LAYER_EXECUTOR_INSIDE_H

#include "layer/dense_multiply.h"
#include "layer/executor.h"
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

/* Rows of an edge: whole blocks, whatever `dense` they are for. */
size_t dfm_executor_edge_rows(int capacity);

#endif
