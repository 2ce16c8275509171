/* Dense layers in bfloat16: edges and weights are rounded once; three multiplies of fixed shapes run. */
#include "layer/dense_bf16.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kernel/gemm_onednn.h"

/* Whole cache lines, and whole tiles of the CPUs that have any: sums of 400 terms run a third slower than of 416. */
enum { PADDING = 32, TILE = 16 };
/* Rows of the batch per multiply of dW, at most: both operands stay in the second-level cache. */
enum { MAX_CHUNK = 512 };

typedef struct dfm_bf16_layer {
  int ld_in, ld_out;    /* n_in and n_out, padded; what is beside is zero */
  uint16_t *w;          /* (ld_out, ld_in) */
  uint16_t *x, *dz;     /* (rows, ld_in), (rows, ld_out) */
  uint16_t *dz_by_unit; /* (n_out, rows) */
  /* oneDNN's; all NULL where the plain multiply is used. dw: [is the last task][adds to chunks before] */
  dfm_onednn_multiply *forward, *backward, *dw[2][2];
} dfm_bf16_layer;

struct dfm_bf16 {
  dfm_bf16_layer layer[DFM_MAX_LAYERS]; /* as in the net; all zero where it is no dense one */
  int dense[DFM_MAX_LAYERS], n_dense;   /* indices of the dense ones */
  int rows, chunk;                      /* room for rows; rows per multiply of dW */
  dfm_onednn *onednn;                   /* NULL: the plain multiply is used */
  uint16_t *operands;
  size_t operands_bytes;
};

static int round_up(int n, int step) {
  return (n + step - 1) / step * step;
}

static int task_rows(const dfm_layer *layer) {
  const int n = round_up(layer->n_out, DFM_DENSE_TASK_ROWS) / DFM_DENSE_TASK_ROWS;
  return round_up((layer->n_out + n - 1) / n, TILE);
}

void dfm_bf16_task(const dfm_layer *layer, int task, int *h0, int *h1) {
  const int rows = task_rows(layer);
  *h0 = task * rows;
  *h1 = *h0 + rows < layer->n_out ? *h0 + rows : layer->n_out;
}

/* ---- shapes: one place says them, for oneDNN's preparation and for the plain multiply */

static dfm_gemm_bf16_args forward_args(const dfm_layer *layer, const dfm_pass *pass, const dfm_bf16_layer *own,
                                       int b0) {
  return (dfm_gemm_bf16_args){.trans_b = true,
                              .M = pass->block,
                              .N = layer->n_out,
                              .K = own->ld_in,
                              .A = own->x + (size_t)b0 * (size_t)own->ld_in,
                              .lda = own->ld_in,
                              .B = own->w,
                              .ldb = own->ld_in,
                              .C = dfm_value(pass, layer->out, b0, 0),
                              .ldc = layer->n_out};
}

static dfm_gemm_bf16_args backward_args(const dfm_layer *layer, const dfm_pass *pass, const dfm_bf16_layer *own,
                                        int b0) {
  return (dfm_gemm_bf16_args){.M = pass->block,
                              .N = layer->n_in,
                              .K = own->ld_out,
                              .A = own->dz + (size_t)b0 * (size_t)own->ld_out,
                              .lda = own->ld_out,
                              .B = own->w,
                              .ldb = own->ld_in,
                              .beta = layer->adds_dx ? 1.0F : 0.0F,
                              .C = dfm_dvalue(pass, layer->in, b0, layer->from),
                              .ldc = pass->net->edge_n[layer->in]};
}

/* Of the batch's rows from b on, one chunk. */
static dfm_gemm_bf16_args dw_args(const dfm_layer *layer, const dfm_bf16 *bf16, const dfm_bf16_layer *own, int task,
                                  int b, float *dw) {
  int h0, h1;
  dfm_bf16_task(layer, task, &h0, &h1);
  return (dfm_gemm_bf16_args){.M = h1 - h0,
                              .N = layer->n_in,
                              .K = bf16->chunk,
                              .A = own->dz_by_unit + (size_t)h0 * (size_t)bf16->rows + b,
                              .lda = bf16->rows,
                              .B = own->x + (size_t)b * (size_t)own->ld_in,
                              .ldb = own->ld_in,
                              .beta = b > 0 ? 1.0F : 0.0F,
                              .C = dw,
                              .ldc = layer->n_in};
}

/* ---- setting up */

/* Cuts the layers' operands out of one block of memory from `at` on; NULL: only counts. Returns the numbers needed. */
static size_t lay_out(dfm_bf16 *bf16, const dfm_net *net, uint16_t *at) {
  size_t n = 0;
  for (int i = 0; i < bf16->n_dense; i++) {
    const dfm_layer *layer = &net->layer[bf16->dense[i]];
    dfm_bf16_layer *own = &bf16->layer[bf16->dense[i]];
    const size_t rows = (size_t)bf16->rows;
    own->ld_in = round_up(layer->n_in, PADDING);
    own->ld_out = round_up(layer->n_out, PADDING);
    const size_t sizes[] = {(size_t)own->ld_out * (size_t)own->ld_in, rows * (size_t)own->ld_in,
                            rows * (size_t)own->ld_out, (size_t)layer->n_out * rows};
    uint16_t **const places[] = {&own->w, &own->x, &own->dz, &own->dz_by_unit};
    for (int p = 0; p < 4; p++) {
      if (at) *places[p] = at + n;
      n += sizes[p];
    }
  }
  return n;
}

static dfm_status prepare(dfm_bf16 *bf16, const dfm_gemm_bf16_args *args, bool packs_b, dfm_onednn_multiply **multiply,
                          dfm_error *error) {
  const dfm_onednn_shape shape = {DFM_ONEDNN_BF16, args->trans_b, packs_b,   args->M,   args->N,
                                  args->K,         args->lda,     args->ldb, args->ldc, args->beta};
  return dfm_onednn_multiply_create(bf16->onednn, &shape, multiply, error);
}

static dfm_status prepare_layer(dfm_bf16 *bf16, const dfm_pass *pass, const dfm_layer *layer, dfm_bf16_layer *own,
                                dfm_error *error) {
  const int last = layer->kind->tasks(layer) - 1;
  dfm_gemm_bf16_args args = forward_args(layer, pass, own, 0);
  DFM_TRY(prepare(bf16, &args, true, &own->forward, error));
  args = backward_args(layer, pass, own, 0);
  DFM_TRY(prepare(bf16, &args, true, &own->backward, error));
  for (int is_last = last == 0; is_last < 2; is_last++)
    for (int adds = 0; adds < (bf16->rows > bf16->chunk ? 2 : 1); adds++) {
      args = dw_args(layer, bf16, own, is_last ? last : 0, adds ? bf16->chunk : 0, NULL);
      DFM_TRY(prepare(bf16, &args, false, &own->dw[is_last][adds], error));
    }
  return DFM_OK;
}

typedef struct dfm_bf16_work { /* for the pool's tasks */
  dfm_bf16 *bf16;
  const dfm_pass *pass;
  dfm_status status;
  dfm_error *error;
} dfm_bf16_work;

/* In a task, since oneDNN prepares for as many threads as it sees. */
static void prepare_task(void *context, int task, int thread) {
  dfm_bf16_work *work = context;
  (void)task;
  (void)thread;
  for (int i = 0; i < work->bf16->n_dense && work->status == DFM_OK; i++) {
    const int at = work->bf16->dense[i];
    work->status =
        prepare_layer(work->bf16, work->pass, &work->pass->net->layer[at], &work->bf16->layer[at], work->error);
  }
}

static dfm_status create(dfm_bf16 *bf16, const dfm_pass *pass, int capacity, dfm_pool *pool, dfm_error *error) {
  const dfm_net *net = pass->net;
  const int n_chunks = (capacity + MAX_CHUNK - 1) / MAX_CHUNK, block_rows = round_up(capacity, pass->block);
  for (int i = 0; i < net->n_layers; i++)
    if (net->layer[i].kind == &dfm_layer_dense) bf16->dense[bf16->n_dense++] = i;
  bf16->chunk = round_up((capacity + n_chunks - 1) / n_chunks, PADDING);
  bf16->rows = bf16->chunk * n_chunks;
  if (bf16->rows < block_rows) bf16->rows = round_up(block_rows, PADDING);
  bf16->operands_bytes = lay_out(bf16, net, NULL) * sizeof *bf16->operands;
  DFM_TRY(dfm_pages_alloc(&bf16->operands, bf16->operands_bytes, error));
  lay_out(bf16, net, bf16->operands);
  if (!dfm_kernel_has_bf16(pass->kernel)) return DFM_OK;
  DFM_TRY(dfm_onednn_create(dfm_pool_threads(pool), &bf16->onednn, error));
  dfm_bf16_work work = {.bf16 = bf16, .pass = pass, .error = error};
  dfm_pool_run(pool, 1, prepare_task, &work);
  return work.status;
}

dfm_status dfm_bf16_create(const dfm_pass *pass, int capacity, dfm_pool *pool, dfm_bf16 **out, dfm_error *error) {
  dfm_bf16 *bf16 = NULL;
  DFM_TRY(dfm_alloc(&bf16, 1, sizeof *bf16, error));
  const dfm_status status = create(bf16, pass, capacity, pool, error);
  if (status == DFM_OK)
    *out = bf16;
  else
    dfm_bf16_free(bf16);
  return status;
}

void dfm_bf16_free(dfm_bf16 *bf16) {
  if (!bf16) return;
  for (int i = 0; i < DFM_MAX_LAYERS; i++) {
    dfm_onednn_multiply_free(bf16->layer[i].forward);
    dfm_onednn_multiply_free(bf16->layer[i].backward);
    for (int m = 0; m < 4; m++) dfm_onednn_multiply_free(bf16->layer[i].dw[m / 2][m % 2]);
  }
  dfm_onednn_free(bf16->onednn);
  if (bf16->operands) dfm_pages_free(bf16->operands, bf16->operands_bytes);
  free(bf16);
}

/* ---- a step */

/* Task i: of dense layer i / parts the rows of one part. */
enum { WEIGHT_PARTS = 4 };

static void round_task(void *context, int task, int thread) {
  const dfm_bf16_work *work = context;
  const int at = work->bf16->dense[task / WEIGHT_PARTS], part = task % WEIGHT_PARTS;
  const dfm_layer *layer = &work->pass->net->layer[at];
  const dfm_bf16_layer *own = &work->bf16->layer[at];
  const int h0 = layer->n_out * part / WEIGHT_PARTS, h1 = layer->n_out * (part + 1) / WEIGHT_PARTS;
  (void)thread;
  work->pass->kernel->to_bf16(own->w + (size_t)h0 * (size_t)own->ld_in, own->ld_in,
                              dfm_weight(work->pass, layer, 0) + (size_t)h0 * (size_t)layer->n_in, layer->n_in, h1 - h0,
                              layer->n_in);
}

/* Where packing failed the layer's multiplies are plain from here on. */
static void pack_task(void *context, int task, int thread) {
  const dfm_bf16_work *work = context;
  dfm_bf16_layer *own = &work->bf16->layer[work->bf16->dense[task / 2]];
  dfm_onednn_multiply **multiply = task % 2 ? &own->backward : &own->forward;
  (void)thread;
  if (!*multiply || dfm_onednn_pack(*multiply, own->w)) return;
  dfm_onednn_multiply_free(*multiply);
  *multiply = NULL;
}

void dfm_bf16_begin(dfm_bf16 *bf16, const dfm_pass *pass, dfm_pool *pool) {
  dfm_bf16_work work = {.bf16 = bf16, .pass = pass};
  dfm_pool_run(pool, bf16->n_dense * WEIGHT_PARTS, round_task, &work);
  if (bf16->onednn) dfm_pool_run(pool, bf16->n_dense * 2, pack_task, &work);
}

static void multiply(const dfm_pass *pass, const dfm_onednn_multiply *prepared, const dfm_gemm_bf16_args *args) {
  if (prepared && dfm_onednn_run(prepared, args->A, args->B, args->C)) return;
  pass->kernel->gemm_bf16(args);
}

static const dfm_bf16_layer *own_of(const dfm_layer *layer, const dfm_pass *pass) {
  return &pass->bf16->layer[layer - pass->net->layer];
}

/* Multiplies take whole blocks and chunks: of a batch that ends within one, the rows behind it. */
static int rows_behind(const dfm_pass *pass) {
  const int blocks = round_up(pass->B, pass->block), chunks = round_up(pass->B, pass->bf16->chunk);
  return (blocks > chunks ? blocks : chunks) - pass->B;
}

void dfm_bf16_forward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  const dfm_bf16_layer *own = own_of(layer, pass);
  const dfm_gemm_bf16_args args = forward_args(layer, pass, own, b0);
  uint16_t *x = own->x + (size_t)b0 * (size_t)own->ld_in;
  pass->kernel->to_bf16(x, own->ld_in, dfm_value(pass, layer->in, b0, layer->from), pass->net->edge_n[layer->in],
                        b1 - b0, layer->n_in);
  if (b1 == pass->B)
    memset(x + (size_t)(b1 - b0) * (size_t)own->ld_in, 0, (size_t)rows_behind(pass) * (size_t)own->ld_in * sizeof *x);
  multiply(pass, own->forward, &args);
}

void dfm_bf16_backward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  const dfm_bf16_layer *own = own_of(layer, pass);
  const dfm_gemm_bf16_args args = backward_args(layer, pass, own, b0);
  uint16_t *dz = own->dz + (size_t)b0 * (size_t)own->ld_out;
  pass->kernel->to_bf16(dz, own->ld_out, dfm_dvalue(pass, layer->out, b0, 0), layer->n_out, b1 - b0, layer->n_out);
  pass->kernel->transpose_bf16(own->dz_by_unit + b0, pass->bf16->rows, dz, own->ld_out, b1 - b0, layer->n_out);
  for (int h = 0; b1 == pass->B && h < layer->n_out; h++)
    memset(own->dz_by_unit + (size_t)h * (size_t)pass->bf16->rows + b1, 0, (size_t)rows_behind(pass) * sizeof *dz);
  multiply(pass, own->backward, &args);
}

void dfm_bf16_gradient(const dfm_layer *layer, const dfm_pass *pass, int task, float *dw) {
  const dfm_bf16_layer *own = own_of(layer, pass);
  const bool is_last = task == layer->kind->tasks(layer) - 1;
  for (int b = 0; b < pass->B; b += pass->bf16->chunk) {
    const dfm_gemm_bf16_args args = dw_args(layer, pass->bf16, own, task, b, dw);
    multiply(pass, own->dw[is_last][b > 0], &args);
  }
}
