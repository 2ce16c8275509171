/* Multiplies of dense layers: blocks of edges come in; oneDNN's multiplies of their shapes run, or plain ones. */
#include "layer/dense_multiply.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "kernel/gemm_onednn.h"

/* Rows of W that CPUs with tiles take at once. */
enum { TILE = 16 };
/* Rows of the batch per multiply of dW, at most: both operands stay in the second-level cache. */
enum { MAX_CHUNK = 256 };
/* Less than one row in so many of a block. */
enum { FEW = 8 };

typedef struct dfm_dense_layer {
  /* bfloat16: n_in and n_out, padded; what is beside is zero */
  int ld_in, ld_out;
  uint16_t *w;          /* (ld_out, ld_in) */
  uint16_t *x, *dz;     /* (rows, ld_in), (rows, ld_out) */
  uint16_t *dz_by_unit; /* (chunks, n_out, chunk) */
  float *dw;            /* (n_out, ld_in) dW before its padding is left out; NULL: it has none */
  float *db;            /* (blocks, n_out) column sums of each block's dz */
  /* oneDNN's; NULL where the plain multiply is used. dw_of: [is the last task][adds to chunks before] */
  dfm_onednn_multiply *forward, *backward, *dw_of[2][2];
} dfm_dense_layer;

struct dfm_dense {
  dfm_dense_settings settings;
  dfm_dense_layer layer[DFM_MAX_LAYERS]; /* as in the net; all zero where it is no dense one */
  int dense[DFM_MAX_LAYERS], n_dense;    /* indices of the dense ones */
  int rows, chunk;                       /* room for rows; rows per multiply of dW */
  dfm_onednn *onednn;                    /* NULL: the plain multiply is used */
  uint16_t *operands;
  size_t operands_bytes;
};

static int round_up(int n, int step) {
  return (n + step - 1) / step * step;
}

int dfm_dense_tasks(const dfm_layer *layer) {
  return round_up(layer->n_out, DFM_DENSE_TASK_ROWS) / DFM_DENSE_TASK_ROWS;
}

void dfm_dense_task(const dfm_layer *layer, int task, int *h0, int *h1) {
  const int n = dfm_dense_tasks(layer), rows = round_up((layer->n_out + n - 1) / n, TILE);
  *h0 = task * rows;
  *h1 = *h0 + rows < layer->n_out ? *h0 + rows : layer->n_out;
}

/* ---- shapes: one place says them, for oneDNN's preparation and for the plain multiply; matrices are brought by each run */

static dfm_onednn_shape forward_shape(const dfm_dense *dense, int at) {
  const dfm_net *net = dense->settings.net;
  const dfm_layer *layer = &net->layer[at];
  const bool is_bf16 = dense->settings.is_bf16;
  const int K = is_bf16 ? dense->layer[at].ld_in : layer->n_in;
  return (dfm_onednn_shape){.type = is_bf16 ? DFM_ONEDNN_BF16 : DFM_ONEDNN_F32,
                            .trans_b = true,
                            .packs_b = true,
                            .M = dense->settings.block,
                            .N = layer->n_out,
                            .K = K,
                            .lda = is_bf16 ? K : net->edge_n[layer->in],
                            .ldb = K,
                            .ldc = net->edge_n[layer->out],
                            .columns = layer->n_out};
}

static dfm_onednn_shape backward_shape(const dfm_dense *dense, int at) {
  const dfm_net *net = dense->settings.net;
  const dfm_layer *layer = &net->layer[at];
  const bool is_bf16 = dense->settings.is_bf16;
  const int K = is_bf16 ? dense->layer[at].ld_out : layer->n_out, N = is_bf16 ? dense->layer[at].ld_in : layer->n_in;
  return (dfm_onednn_shape){.type = is_bf16 ? DFM_ONEDNN_BF16 : DFM_ONEDNN_F32,
                            .packs_b = true,
                            .M = dense->settings.block,
                            .N = N,
                            .K = K,
                            .lda = is_bf16 ? K : net->edge_n[layer->out],
                            .ldb = N,
                            .ldc = net->edge_n[layer->in],
                            .columns = layer->n_in,
                            .beta = layer->adds_dx ? 1.0F : 0.0F};
}

/* Of one chunk of the batch's rows; bfloat16 alone. */
static dfm_onednn_shape dw_shape(const dfm_dense *dense, int at, int task, bool adds) {
  const int ld_in = dense->layer[at].ld_in;
  int h0, h1;
  dfm_dense_task(&dense->settings.net->layer[at], task, &h0, &h1);
  return (dfm_onednn_shape){.type = DFM_ONEDNN_BF16,
                            .M = h1 - h0,
                            .N = ld_in,
                            .K = dense->chunk,
                            .lda = dense->chunk,
                            .ldb = ld_in,
                            .ldc = ld_in,
                            .columns = ld_in,
                            .beta = adds ? 1.0F : 0.0F};
}

/* ---- setting up */

/* Cuts the layers' operands out of one block of memory from `at` on; NULL: only counts. Returns the numbers needed. */
static size_t lay_out(dfm_dense *dense, uint16_t *at) {
  const int depth = dfm_onednn_bf16_depth();
  size_t n = 0;
  for (int i = 0; i < dense->n_dense; i++) {
    const dfm_layer *layer = &dense->settings.net->layer[dense->dense[i]];
    dfm_dense_layer *own = &dense->layer[dense->dense[i]];
    const size_t rows = (size_t)dense->rows;
    own->ld_in = round_up(layer->n_in, depth);
    own->ld_out = round_up(layer->n_out, depth);
    const size_t ld_in = (size_t)own->ld_in, ld_out = (size_t)own->ld_out, n_out = (size_t)layer->n_out;
    const size_t sizes[] = {ld_out * ld_in, rows * ld_in, rows * ld_out, n_out * rows};
    uint16_t **const places[] = {&own->w, &own->x, &own->dz, &own->dz_by_unit};
    for (int p = 0; p < 4; p++) {
      if (at) *places[p] = at + n;
      n += sizes[p];
    }
    if (at) own->db = (float *)(void *)(at + n);
    n += rows / (size_t)dense->settings.block * (size_t)round_up(layer->n_out, depth) * sizeof(float) / sizeof *at;
    if (own->ld_in == layer->n_in) continue;
    if (at) own->dw = (float *)(void *)(at + n);
    n += n_out * ld_in * sizeof(float) / sizeof *at;
  }
  return n;
}

static dfm_status prepare_layer(dfm_dense *dense, dfm_pool *pool, int at, dfm_error *error) {
  dfm_dense_layer *own = &dense->layer[at];
  const dfm_layer *layer = &dense->settings.net->layer[at];
  const int last = dfm_dense_tasks(layer) - 1;
  dfm_onednn_shape shape = forward_shape(dense, at);
  DFM_TRY(dfm_onednn_multiply_create(dense->onednn, pool, &shape, &own->forward, error));
  if (dense->settings.capacity == 0) return DFM_OK;
  shape = backward_shape(dense, at);
  DFM_TRY(dfm_onednn_multiply_create(dense->onednn, pool, &shape, &own->backward, error));
  if (!dense->settings.is_bf16) return DFM_OK;
  for (int is_last = last == 0; is_last < 2; is_last++)
    for (int adds = 0; adds < (dense->rows > dense->chunk ? 2 : 1); adds++) {
      shape = dw_shape(dense, at, is_last ? last : 0, adds);
      DFM_TRY(dfm_onednn_multiply_create(dense->onednn, pool, &shape, &own->dw_of[is_last][adds], error));
    }
  return DFM_OK;
}

/* Chunks of whole blocks, so that a block's dz lies in one of them. */
static dfm_status allocate_operands(dfm_dense *dense, dfm_error *error) {
  const int block = dense->settings.block, n_blocks = round_up(dense->settings.capacity, block) / block;
  const int n_chunks = round_up(n_blocks * block, MAX_CHUNK) / MAX_CHUNK;
  dense->chunk = (n_blocks + n_chunks - 1) / n_chunks * block;
  dense->rows = round_up(n_blocks * block, dense->chunk);
  dense->operands_bytes = lay_out(dense, NULL) * sizeof *dense->operands;
  DFM_TRY(dfm_pages_alloc(&dense->operands, dense->operands_bytes, error));
  lay_out(dense, dense->operands);
  return DFM_OK;
}

static dfm_status create(dfm_dense *dense, dfm_pool *pool, dfm_error *error) {
  const dfm_dense_settings *settings = &dense->settings;
  const bool is_bf16 = settings->is_bf16;
  for (int i = 0; i < settings->net->n_layers; i++)
    if (settings->net->layer[i].kind == &dfm_layer_dense) dense->dense[dense->n_dense++] = i;
  if (is_bf16) DFM_TRY(allocate_operands(dense, error));
  if (is_bf16 && !dfm_kernel_has_bf16(settings->kernel)) return DFM_OK;
  DFM_TRY(dfm_onednn_create(settings->threads, settings->kernel, &dense->onednn, error));
  for (int i = 0; i < dense->n_dense; i++) DFM_TRY(prepare_layer(dense, pool, dense->dense[i], error));
  return DFM_OK;
}

static bool has_dense(const dfm_net *net) {
  for (int i = 0; i < net->n_layers; i++)
    if (net->layer[i].kind == &dfm_layer_dense) return true;
  return false;
}

dfm_status dfm_dense_create(const dfm_dense_settings *settings, dfm_pool *pool, dfm_dense **out, dfm_error *error) {
  dfm_dense *dense = NULL;
  *out = NULL;
  if (!has_dense(settings->net) || (!settings->is_bf16 && !dfm_kernel_has_onednn(settings->kernel))) return DFM_OK;
  DFM_TRY(dfm_alloc(&dense, 1, sizeof *dense, error));
  dense->settings = *settings;
  const dfm_status status = create(dense, pool, error);
  if (status == DFM_OK)
    *out = dense;
  else
    dfm_dense_free(dense);
  return status;
}

void dfm_dense_free(dfm_dense *dense) {
  if (!dense) return;
  for (int i = 0; i < DFM_MAX_LAYERS; i++) {
    dfm_onednn_multiply_free(dense->layer[i].forward);
    dfm_onednn_multiply_free(dense->layer[i].backward);
    for (int m = 0; m < 4; m++) dfm_onednn_multiply_free(dense->layer[i].dw_of[m / 2][m % 2]);
  }
  dfm_onednn_free(dense->onednn);
  if (dense->operands) dfm_pages_free(dense->operands, dense->operands_bytes);
  free(dense);
}

/* ---- a step */

typedef struct dfm_dense_work { /* for the pool's tasks */
  dfm_dense *dense;
  const float *weight;
} dfm_dense_work;

static const float *weights_of(const dfm_dense_work *work, const dfm_layer *layer) {
  return work->weight + work->dense->settings.net->param[layer->param[0]].offset;
}

/* Task i: of dense layer i / parts the rows of one part. */
enum { WEIGHT_PARTS = 4 };

static void round_task(void *context, int task, int thread) {
  const dfm_dense_work *work = context;
  const dfm_dense_settings *settings = &work->dense->settings;
  const int at = work->dense->dense[task / WEIGHT_PARTS], part = task % WEIGHT_PARTS;
  const dfm_layer *layer = &settings->net->layer[at];
  const dfm_dense_layer *own = &work->dense->layer[at];
  const int h0 = layer->n_out * part / WEIGHT_PARTS, h1 = layer->n_out * (part + 1) / WEIGHT_PARTS;
  (void)thread;
  settings->kernel->to_bf16(own->w + (size_t)h0 * (size_t)own->ld_in, own->ld_in,
                            weights_of(work, layer) + (size_t)h0 * (size_t)layer->n_in, layer->n_in, h1 - h0,
                            layer->n_in);
}

static void pack_task(void *context, int task, int thread) {
  const dfm_dense_work *work = context;
  const int at = work->dense->dense[task / 2];
  const dfm_dense_layer *own = &work->dense->layer[at];
  dfm_onednn_multiply *multiply = task % 2 ? own->backward : own->forward;
  const void *w = own->w ? (const void *)own->w : weights_of(work, &work->dense->settings.net->layer[at]);
  (void)thread;
  if (multiply) dfm_onednn_pack(multiply, w);
}

dfm_status dfm_dense_begin(dfm_dense *dense, const float *weight, dfm_pool *pool, dfm_error *error) {
  dfm_dense_work work = {.dense = dense, .weight = weight};
  if (dense->settings.is_bf16) dfm_pool_run(pool, dense->n_dense * WEIGHT_PARTS, round_task, &work);
  if (dense->onednn) dfm_pool_run(pool, dense->n_dense * 2, pack_task, &work);
  return dfm_dense_check(dense, error);
}

dfm_status dfm_dense_check(dfm_dense *dense, dfm_error *error) {
  return dense && dense->onednn ? dfm_onednn_check(dense->onednn, error) : DFM_OK;
}

static int index_of(const dfm_layer *layer, const dfm_pass *pass) {
  return (int)(layer - pass->net->layer);
}

/* The first `rows` of C by oneDNN, which makes all M of them, or by the plain multiply of the same shape. In float32 that
 * also takes rows that are so few that most of M would be in vain. */
static void multiply(const dfm_pass *pass, const dfm_onednn_multiply *prepared, const dfm_onednn_shape *shape, int rows,
                     const void *A, const void *B, float *C) {
  const bool is_bf16 = shape->type == DFM_ONEDNN_BF16, is_few = !is_bf16 && rows * FEW < shape->M;
  if (prepared && !is_few)
    dfm_onednn_run(prepared, A, B, C);
  else if (is_bf16)
    pass->kernel->gemm_bf16(&(dfm_gemm_bf16_args){shape->trans_b, rows, shape->columns, shape->K, A, shape->lda, B,
                                                  shape->ldb, shape->beta, C, shape->ldc});
  else
    pass->kernel->gemm(&(dfm_gemm_args){false, shape->trans_b, rows, shape->columns, shape->K, A, shape->lda, B,
                                        shape->ldb, shape->beta, C, shape->ldc});
}

void dfm_dense_forward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  const dfm_dense *dense = pass->dense;
  const int at = index_of(layer, pass);
  const dfm_dense_layer *own = &dense->layer[at];
  dfm_onednn_shape shape = forward_shape(dense, at);
  const float *in = dfm_value(pass, layer->in, b0, layer->from);
  float *out = dfm_value(pass, layer->out, b0, 0);
  if (!dense->settings.is_bf16) {
    multiply(pass, own->forward, &shape, b1 - b0, in, dfm_weight(pass, layer, 0), out);
    return;
  }
  const size_t ld_in = (size_t)own->ld_in;
  uint16_t *x = own->x + (size_t)b0 * ld_in;
  pass->kernel->to_bf16(x, own->ld_in, in, pass->net->edge_n[layer->in], b1 - b0, layer->n_in);
  if (b1 == pass->B)
    memset(own->x + (size_t)b1 * ld_in, 0, (size_t)(round_up(b1, dense->chunk) - b1) * ld_in * sizeof *x);
  multiply(pass, own->forward, &shape, b1 - b0, x, own->w, out);
}

static float *block_sums(const dfm_layer *layer, const dfm_pass *pass, const dfm_dense_layer *own, int b) {
  return own->db + (size_t)(b / pass->dense->settings.block) * (size_t)layer->n_out;
}

/* The block's dz, rounded, for dx; transposed in its chunk, whose rows behind the batch are zero, for dW; summed for db while
 * it is in the cache. */
static const uint16_t *round_dz(const dfm_layer *layer, const dfm_pass *pass, const dfm_dense_layer *own, int b0,
                                int b1) {
  const int chunk = pass->dense->chunk, ends = round_up(b1, chunk);
  uint16_t *dz = own->dz + (size_t)b0 * (size_t)own->ld_out;
  uint16_t *by_unit = own->dz_by_unit + (size_t)(b0 / chunk * chunk) * (size_t)layer->n_out;
  float *db = block_sums(layer, pass, own, b0);
  const float *exact = dfm_dvalue(pass, layer->out, b0, 0);
  memset(db, 0, (size_t)layer->n_out * sizeof *db);
  pass->kernel->column_sums(db, exact, b1 - b0, layer->n_out, layer->n_out);
  pass->kernel->to_bf16(dz, own->ld_out, exact, layer->n_out, b1 - b0, layer->n_out);
  pass->kernel->transpose_bf16(by_unit + b0 % chunk, chunk, dz, own->ld_out, b1 - b0, layer->n_out);
  for (int h = 0; b1 == pass->B && h < layer->n_out; h++)
    memset(by_unit + (size_t)(h + 1) * (size_t)chunk - (ends - b1), 0, (size_t)(ends - b1) * sizeof *dz);
  return dz;
}

void dfm_dense_backward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  const int at = index_of(layer, pass);
  const dfm_dense_layer *own = &pass->dense->layer[at];
  const dfm_onednn_shape shape = backward_shape(pass->dense, at);
  float *dx = dfm_dvalue(pass, layer->in, b0, layer->from);
  if (pass->dense->settings.is_bf16)
    multiply(pass, own->backward, &shape, b1 - b0, round_dz(layer, pass, own, b0, b1), own->w, dx);
  else
    multiply(pass, own->backward, &shape, b1 - b0, dfm_dvalue(pass, layer->out, b0, 0), dfm_weight(pass, layer, 0), dx);
}

bool dfm_dense_has_gradient(const dfm_dense *dense) {
  return dense && dense->settings.is_bf16;
}

void dfm_dense_gradient(const dfm_layer *layer, const dfm_pass *pass, int task, float *dw, float *db) {
  const dfm_dense *dense = pass->dense;
  const int at = index_of(layer, pass);
  const dfm_dense_layer *own = &dense->layer[at];
  const bool is_last = task == dfm_dense_tasks(layer) - 1;
  const size_t ld_in = (size_t)own->ld_in, n_in = (size_t)layer->n_in;
  int h0, h1;
  dfm_dense_task(layer, task, &h0, &h1);
  float *padded = own->dw ? own->dw + (size_t)h0 * ld_in : dw;
  for (int b = 0; b < pass->B; b += dense->chunk) {
    const dfm_onednn_shape shape = dw_shape(dense, at, task, b > 0);
    const uint16_t *by_unit = own->dz_by_unit + (size_t)b * (size_t)layer->n_out;
    multiply(pass, own->dw_of[is_last][b > 0], &shape, h1 - h0, by_unit + (size_t)h0 * (size_t)dense->chunk,
             own->x + (size_t)b * ld_in, padded);
  }
  for (int b = 0; b < pass->B; b += dense->settings.block)
    pass->kernel->add(db, block_sums(layer, pass, own, b) + h0, (size_t)(h1 - h0));
  for (int h = h0; own->dw && h < h1; h++)
    memcpy(dw + (size_t)(h - h0) * n_in, padded + (size_t)(h - h0) * ld_in, n_in * sizeof *dw);
}
