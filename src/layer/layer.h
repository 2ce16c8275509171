/* Layers: activations come in, activations go out; and gradients the way back. A net is a list of layers over shared
 * edges.
 *
 * One letter per dimension: B rows of the batch, F category fields, D number fields, K embedding width, H hidden units,
 * V vocabulary. An edge is a matrix (B, n), row-major, of values and, while training, of gradients; it holds the whole
 * batch. A layer works on the rows [b0, b1) of a block, so that all layers of a block run while its activations are in
 * the cache; blocks are the unit of parallel work. */
#ifndef DFM_LAYER_LAYER_H
#define DFM_LAYER_LAYER_H

#include "base/pool.h"
#include "kernel/kernel.h"

/* Edges that every net has. EMBED holds the embedded fields side by side, then the numbers that the DNN sees. FIRST is
 * the sum of the first-order weights. WITHIN has one column where items of lists pair with each other: the sum of their
 * inner products. */
enum { DFM_EDGE_EMBED, DFM_EDGE_FIRST, DFM_EDGE_NUMBER, DFM_EDGE_LOGIT, DFM_EDGE_WITHIN, DFM_EDGES_FIXED };

/* 16 hidden layers of four (dense, batch norm, activation, dropout) and what stands around them. */
enum { DFM_MAX_LAYERS = 72, DFM_MAX_PARAMS = 128, DFM_MAX_EDGES = 64, DFM_LAYER_PARAMS = 4 };

/* Which penalty a parameter gets. */
typedef enum dfm_part { DFM_PART_FREE, DFM_PART_LINEAR, DFM_PART_EMBEDDING, DFM_PART_DNN, DFM_PARTS } dfm_part;

/* How a parameter starts: scale is the bound (uniform), the standard deviation (normal), the constant. */
typedef enum dfm_start { DFM_START_CONSTANT, DFM_START_UNIFORM, DFM_START_NORMAL } dfm_start;

/* A dense tensor. All of a net's parameters lie in one array of weights, in order. */
typedef struct dfm_param {
  char name[64];    /* "dnn.0.weight" */
  int rows, cols;   /* cols 0: a vector of `rows` */
  size_t offset, n; /* in the array of weights */
  dfm_part part;
  bool is_statistic; /* kept and saved, not stepped: running mean and variance */
  dfm_start start;
  float scale;
} dfm_param;

typedef struct dfm_layer_kind dfm_layer_kind;

typedef struct dfm_layer {
  const dfm_layer_kind *kind;
  char name[64];
  int in, from, n_in;          /* input edge, and the columns [from, from + n_in) of it */
  int out, n_out;              /* output edge; layers that end a branch add to DFM_EDGE_LOGIT */
  int scratch;                 /* an edge for what forward leaves to backward; -1: none */
  int param[DFM_LAYER_PARAMS]; /* indices into the net's parameters; -1: none */
  int K;                       /* fm, ffm, number embedding: width */
  dfm_activation activation;
  float rate;              /* dropout */
  float momentum, epsilon; /* batch norm */
  int *column;             /* linear, number embedding: columns of NUMBER it reads (n_in of them); owned by the net */
  bool adds_dx;            /* several layers read the input edge: its gradient is added to, not set */
} dfm_layer;

typedef struct dfm_net_field { /* of a category field */
  int table;                   /* the field whose table it uses */
  int first;                   /* 1: its first-order weight is in the logit */
  int width;                   /* factors: K, in ffm K for each partner; 0: no embedding */
  int column;                  /* of EMBED; -1 where it has none */
  int slot;                    /* among the fields of a pair branch whose rows are read where they lie; -1: none */
  int within_from; /* where lists' items pair: the factors [within_from, within_from + K) that they pair by */
  bool pools_max;  /* a list, pooled by max; other lists are sums, the coefficients say of what */
  bool has_within; /* a list whose items pair with each other */
} dfm_net_field;

/* What a row of the table that a field owns holds: a first-order weight (1) or none (0), then `width` factors; both 0
 * where no field uses it. */
typedef struct dfm_net_table {
  int first, width;
  bool is_summed; /* training needs nothing of it but sums over fields (table/sum.h) */
} dfm_net_table;

typedef struct dfm_net {
  int F, D;
  dfm_net_field *field; /* (F) */
  dfm_net_table *table; /* (F) */
  int *number_into;     /* (D) DFM_INTO_ bits of the branches that see a number */
  int *dnn_number;      /* numbers that EMBED ends with, in order */
  int n_dnn_number;
  int embed_numbers; /* column of EMBED where they start */
  int fm_columns;    /* [0, fm_columns) of EMBED are what fm reads, fm_width each */
  int fm_width;
  bool is_field_aware; /* ffm: K factors for each partner */
  int n_pairs;         /* category fields and numbers that fm or ffm sees */
  /* Without a dnn nothing needs the embedded fields side by side: fm and ffm read table rows where they lie, through
   * n_slots = n_pairs pointers a row of the batch, numbers first. EMBED then holds only what is no table row (numbers,
   * pooled lists), and `tile` rows go through all layers at once, as many as the first-level cache holds. 0: EMBED is
   * read. */
  int n_slots, tile;
  int slot_width;   /* factors of a slot: K; ffm: n_slots K */
  int n_summed;     /* slots at the end that are sums while training: single-valued fields of tables that are summed */
  bool has_sums;    /* there are such tables */
  int *slot_number; /* (n_slot_numbers) the numbers that have the first slots */
  int n_slot_numbers;
  int fm_sums;  /* edge of fm's sums, where its gradient is too; -1: none */
  int dnn_from; /* [dnn_from, edge_n[EMBED]) is what the dnn reads */
  int edge_n[DFM_MAX_EDGES], n_edges;
  dfm_layer layer[DFM_MAX_LAYERS];
  int n_layers;
  dfm_param param[DFM_MAX_PARAMS];
  int n_params;
  size_t n_weights;
} dfm_net;

/* One run of a net over a batch: everything that changes. */
typedef struct dfm_pass {
  const dfm_net *net;
  const dfm_kernel *kernel;
  float *weight;  /* all dense parameters (only batch norm's running statistics are written, by its reduce) */
  float *dweight; /* their gradients */
  float *value[DFM_MAX_EDGES];  /* (B, edge_n) */
  float *dvalue[DFM_MAX_EDGES]; /* NULL while scoring */
  const struct dfm_sums
      *table_sums;         /* what tables add up to while training (table/sum.h); NULL while scoring, or if none does */
  const float **row;       /* (B, n_slots) factors of each slot; NULL: the field is absent */
  uint32_t *piece;         /* (B, n_slots) their pieces while field-aware pairs train (table/table.h), else NULL */
  uint32_t *first_piece;   /* (F) that of a table's first gathered row */
  struct dfm_pairs *pairs; /* what pieces are of */
  float *columns;          /* room for them */
  float *row_scratch; /* (tile, n_slots, scratch_n) room for rows that are made to be scored; NULL while training */
  size_t scratch_n;
  int B, block; /* rows in the batch, rows per block */
  int room; /* of the block at hand: the first row that it has of what only blocks need. A thread's blocks take turns there,
                   so that it stays in the caches */
  bool is_train;
  uint64_t dropout_key;
  int64_t step;
  struct dfm_dense *dense;        /* how dense layers multiply (dense_multiply.h); NULL: there are none */
  double *sums[DFM_MAX_LAYERS];   /* batch norm: per block, then whole-batch, statistics; NULL elsewhere */
  float *partial[DFM_MAX_LAYERS]; /* (blocks, kind->partial) gradients of each block; NULL where there are none */
} dfm_pass;

/* What a gradient task owns of the weights' gradients: dweight [offset, offset + n). */
typedef struct dfm_span {
  size_t offset, n;
  dfm_part part;
} dfm_span;

struct dfm_layer_kind {
  const char *name; /* as the summary prints it */
  /* Values of rows [b0, b1) of the output from those of the input. */
  void (*forward)(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1);
  /* Gradient of the input's rows from that of the output's; may overwrite the output's gradient with that before the
   * activation. */
  void (*backward)(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1);
  /* Gradients of the parameters over the whole batch, split into tasks that own their part of the output; each fills
   * its spans (at most two) and returns how many. NULL: no parameters, or made by reduce_backward. */
  int (*tasks)(const dfm_layer *layer);
  int (*gradient)(const dfm_layer *layer, const dfm_pass *pass, int task, dfm_span span[2]);
  /* Floats that backward leaves of each block, for `gradient` to add up in order; then it reads no edge but
   * DFM_EDGE_LOGIT. NULL: none. */
  size_t (*partial)(const dfm_layer *layer);
  /* Layers that need the whole batch (batch norm): block sums before forward / backward, then one thread's reduction of
   * them in block order. */
  void (*sums_forward)(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1);
  void (*reduce_forward)(const dfm_layer *layer, const dfm_pass *pass);
  void (*sums_backward)(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1);
  void (*reduce_backward)(const dfm_layer *layer, const dfm_pass *pass);
};

extern const dfm_layer_kind dfm_layer_linear, dfm_layer_fm, dfm_layer_ffm, dfm_layer_number_embedding, dfm_layer_dense,
    dfm_layer_unit, dfm_layer_within, dfm_layer_batch_norm, dfm_layer_activation, dfm_layer_dropout;

/* Doubles per block that batch norm over n units keeps, and for the whole batch. */
static inline size_t dfm_batch_norm_sums(int n_blocks, int n) {
  return (size_t)(n_blocks + 2) * 2 * (size_t)n;
}

/* Row b, column c of edge `edge`'s values / gradients. */
static inline float *dfm_value(const dfm_pass *pass, int edge, int b, int c) {
  return pass->value[edge] + (size_t)b * (size_t)pass->net->edge_n[edge] + c;
}
static inline float *dfm_dvalue(const dfm_pass *pass, int edge, int b, int c) {
  return pass->dvalue[edge] + (size_t)b * (size_t)pass->net->edge_n[edge] + c;
}
/* Pointers to the factors that row b has in each slot. */
static inline const float **dfm_slots(const dfm_pass *pass, int b) {
  return pass->row + (size_t)b * (size_t)pass->net->n_slots;
}
static inline float *dfm_weight(const dfm_pass *pass, const dfm_layer *layer, int i) {
  return pass->weight + pass->net->param[layer->param[i]].offset;
}
static inline float *dfm_dweight(const dfm_pass *pass, const dfm_layer *layer, int i) {
  return pass->dweight + pass->net->param[layer->param[i]].offset;
}

/* ---- building a net (model/net_build.c calls these) */
int dfm_net_add_edge(dfm_net *net, int n, dfm_error *error); /* index or a negative status */
/* Appends a layer with all params -1; NULL when full (error is set). */
dfm_layer *dfm_net_add_layer(dfm_net *net, const dfm_layer_kind *kind, const char *name, dfm_error *error);
/* Appends a parameter "LAYER.suffix" and puts its index at layer->param[slot]. */
dfm_status dfm_net_add_param(dfm_net *net, dfm_layer *layer, int slot, const char *suffix, int rows, int cols,
                             dfm_part part, dfm_param **param, dfm_error *error);
void dfm_net_free(dfm_net *net); /* NULL accepted */
/* Whether there is anything that multiplies matrices. */
bool dfm_net_has_dense(const dfm_net *net);
/* Starting values of all dense parameters into `weight` (n_weights), from the seed. */
void dfm_net_initialise(const dfm_net *net, uint64_t seed, float *weight);

#endif
