/* Dense layers in tiles: a block's rows come in, become tiles and are multiplied block by block. */
#include <assert.h>
#include <string.h>

#include "layer/dense_tiles_inside.h"

int dfm_dense_tiles_parts(const dfm_dense_tiles *dense) {
  return dense->tiles->parts;
}

static const dfm_layer *net_layer(const dfm_dense_tiles *dense, int at) {
  return &dense->settings.net->layer[at];
}

/* ---- tiles */

/* Two strips of `depth` tiles, block `i` of a matrix of them. */
static uint16_t *strips_at(const dfm_dense_tiles *dense, uint16_t *matrix, int i, int depth) {
  return matrix + (size_t)i * 2 * (size_t)depth * dense->tile;
}

/* The two tiles where block (i, k) of such a matrix goes. */
static void tiles_at(const dfm_dense_tiles *dense, uint16_t *tile[2], uint16_t *matrix, int i, int k, int depth) {
  tile[0] = strips_at(dense, matrix, i, depth) + (size_t)k * dense->tile;
  tile[1] = tile[0] + (size_t)depth * dense->tile;
}

/* The strips of `depth` tiles that are those of row block i of a left operand. */
static uint16_t *left_at(const dfm_dense_tiles *dense, const left_operand *left, int i) {
  return strips_at(dense, left->tiles, i, left->width);
}

/* Where block (i, k) of it goes, among them. */
static void aim_left(const dfm_dense_tiles *dense, dfm_tile_block *block, const left_operand *left, int i, int k,
                     int depth) {
  tiles_at(dense, block->left, left_at(dense, left, i), 0, k, depth);
}

static uint32_t *positive_at(const own_layer *own, int i, int k) {
  return own->positive + (size_t)(i * own->in + k) * BLOCK;
}

/* The matrix of the chunk that row b lies in, of `width` blocks of columns. */
static uint16_t *chunk_at(const dfm_dense_tiles *dense, uint16_t *chunks, int b, int width) {
  return strips_at(dense, chunks, b % dense->piece / dense->chunk * dense->chunk / BLOCK, width);
}

/* Where block i of x's columns goes, of 32 rows from b on, which have the room from `room` on. */
static void aim_x(const dfm_dense_tiles *dense, const own_layer *own, int b, int room, int i, dfm_tile_block *block) {
  aim_left(dense, block, own->x, room / BLOCK, i, own->in);
  if (own->positive) block->positive = positive_at(own, room / BLOCK, i);
  if (own->x_chunks)
    tiles_at(dense, block->right, chunk_at(dense, own->x_chunks, b, own->in), i, b % dense->chunk / BLOCK,
             dense->chunk / BLOCK);
}

static float *sums_at(const dfm_dense_tiles *dense, const own_layer *own, int b) {
  return own->db + (size_t)(b / dense->settings.block) * (size_t)own->out * BLOCK;
}

/* The same of dz, with the column sums of a block's rows. */
static void aim_dz(const dfm_dense_tiles *dense, const own_layer *own, int b, int room, int h, dfm_tile_block *block) {
  aim_left(dense, block, own->dz, room / BLOCK, h, own->out);
  tiles_at(dense, block->left_transposed, chunk_at(dense, own->dz_chunks, b, own->out), h, b % dense->chunk / BLOCK,
           dense->chunk / BLOCK);
  block->sum = sums_at(dense, own, b) + h * BLOCK;
}

/* What exists of the 32 from `from` on. */
static int existing(int n, int from) {
  return n - from < BLOCK ? n - from : BLOCK;
}

/* ---- a step: the weights */

/* Task i: of dense layer i / PARTS the rows of one part. */
enum { PARTS = 4 };

int dfm_dense_tiles_begin_tasks(const dfm_dense_tiles *dense) {
  return dense->n_dense * PARTS;
}

void dfm_dense_tiles_begin_task(const dfm_dense_tiles *dense, const float *weight, int task) {
  const int at = dense->dense[task / PARTS], part = task % PARTS;
  const dfm_layer *layer = net_layer(dense, at);
  const own_layer *own = &dense->layer[at];
  const size_t n_in = (size_t)layer->n_in;
  const float *w = weight + dense->settings.net->param[layer->param[0]].offset;
  for (int h = own->out * part / PARTS; h < own->out * (part + 1) / PARTS; h++)
    for (int i = 0; i < own->in; i++) {
      dfm_tile_block block = {.from = w + (size_t)h * BLOCK * n_in + i * BLOCK,
                              .ld = n_in,
                              .rows = existing(layer->n_out, h * BLOCK),
                              .columns = existing(layer->n_in, i * BLOCK)};
      tiles_at(dense, block.right_transposed, own->w_forward, h, i, own->in);
      if (own->w_backward) tiles_at(dense, block.right, own->w_backward, i, h, own->out);
      dense->tiles->convert(&block);
    }
}

/* ---- a product of two matrices of tiles: what becomes of each of its blocks, `aim` says */

typedef struct product {
  const dfm_dense_tiles *dense;
  int at; /* the layer */
  const dfm_pass *pass;
  int b0, b1; /* rows */
  const left_operand *a;
  uint16_t *b;
  int N, depth; /* in blocks */
  void (*aim)(const struct product *of, int row, int column, dfm_tile_block *block);
} product;

/* Lines per tile of a call that bring the next block of B's columns, two tiles in all their parts for each of depth,
 * into the cache by the time that `calls` more are done. */
static int lines_ahead(const dfm_dense_tiles *dense, int calls) {
  const int lines = 2 * (int)dense->tile / 32;
  return (lines + calls - 1) / calls;
}

/* Columns outside: a block of B's columns stays in a near cache for all rows, in one part in the first one. */
static void multiply(const product *of) {
  const dfm_dense_tiles *dense = of->dense;
  const dfm_tiles *tiles = dense->tiles;
  const int M = blocks_of(of->b1 - of->b0);
  const size_t strip = (size_t)of->depth * dense->tile;
  _Alignas(64) float c[2][DFM_TILE_BLOCK_FLOATS];
  dfm_tile_block block[2], *before = NULL;
  tiles->begin();
  for (int i = 0; i < of->N * M; i++) {
    const int column = i / M, row = i % M, side = i % 2;
    const uint16_t *a = left_at(dense, of->a, of->pass->room / BLOCK + row);
    const uint16_t *b = strips_at(dense, of->b, column, of->depth);
    const int lines = column + 1 < of->N ? lines_ahead(dense, M) : 0;
    const uint16_t *ahead = b + 2 * strip + (size_t)(row * of->depth * lines * 32);
    const dfm_tile_strips strips = {.a = {a, a + strip},
                                    .b = {b, b + strip},
                                    .depth = of->depth,
                                    .rows = existing(of->b1 - of->b0, row * BLOCK),
                                    .ahead = ahead,
                                    .lines = lines};
    tiles->multiply(c[side], &strips, false, before);
    before = &block[side];
    *before = (dfm_tile_block){.from = c[side], .ld = BLOCK};
    of->aim(of, row, column, before);
  }
  tiles->end();
  tiles->convert(before);
}

static int index_of(const dfm_layer *layer, const dfm_pass *pass) {
  return (int)(layer - pass->net->layer);
}

bool dfm_dense_tiles_feeds(const dfm_dense_tiles *dense, const dfm_layer *layer) {
  return dense->layer[layer - dense->settings.net->layer].feeds >= 0;
}

/* ---- forward */

static void aim_forward(const product *of, int row, int column, dfm_tile_block *block) {
  const dfm_dense_tiles *dense = of->dense;
  const dfm_layer *layer = net_layer(dense, of->at);
  const int b = of->b0 + row * BLOCK, room = of->pass->room + row * BLOCK, h = column * BLOCK,
            fed = dense->layer[of->at].feeds;
  block->rows = existing(of->b1, b);
  block->columns = existing(layer->n_out, h);
  if (fed >= 0) {
    block->bias = dfm_weight(of->pass, layer, 1) + h;
    aim_x(dense, &dense->layer[fed], b, room, column, block);
  } else {
    block->to = dfm_value(of->pass, layer->out, b, h);
    block->ldto = (size_t)of->pass->net->edge_n[layer->out];
  }
}

static void round_x(const dfm_dense_tiles *dense, const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  const own_layer *own = &dense->layer[index_of(layer, pass)];
  for (int b = b0; b < b1; b += BLOCK)
    for (int i = 0; i < own->in; i++) {
      dfm_tile_block block = {.from = dfm_value(pass, layer->in, b, layer->from + i * BLOCK),
                              .ld = (size_t)pass->net->edge_n[layer->in],
                              .rows = existing(b1, b),
                              .columns = existing(layer->n_in, i * BLOCK)};
      aim_x(dense, own, b, pass->room + b - b0, i, &block);
      dense->tiles->convert(&block);
    }
}

void dfm_dense_tiles_forward(const dfm_dense_tiles *dense, const dfm_layer *layer, const dfm_pass *pass, int b0,
                             int b1) {
  const int at = index_of(layer, pass);
  const own_layer *own = &dense->layer[at];
  if (own->fed_by < 0) round_x(dense, layer, pass, b0, b1);
  multiply(&(product){.dense = dense,
                      .at = at,
                      .pass = pass,
                      .b0 = b0,
                      .b1 = b1,
                      .a = own->x,
                      .b = own->w_forward,
                      .N = own->out,
                      .depth = own->in,
                      .aim = aim_forward});
  if (own->feeds < 0)
    pass->kernel->bias_act(dfm_value(pass, layer->out, b0, 0), b1 - b0, layer->n_out, layer->n_out,
                           dfm_weight(pass, layer, 1), layer->activation);
}

/* ---- backward */

static void aim_backward(const product *of, int row, int column, dfm_tile_block *block) {
  const dfm_dense_tiles *dense = of->dense;
  const dfm_layer *layer = net_layer(dense, of->at);
  const own_layer *own = &dense->layer[of->at];
  const int b = of->b0 + row * BLOCK, room = of->pass->room + row * BLOCK, i = column * BLOCK;
  block->rows = existing(of->b1, b);
  block->columns = existing(layer->n_in, i);
  if (own->fed_by >= 0) {
    block->active = positive_at(own, room / BLOCK, column);
    aim_dz(dense, &dense->layer[own->fed_by], b, room, column, block);
  } else {
    block->to = dfm_dvalue(of->pass, layer->in, b, layer->from + i);
    block->ldto = (size_t)of->pass->net->edge_n[layer->in];
    block->adds = layer->adds_dx;
  }
}

static void round_dz(const dfm_dense_tiles *dense, const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  const own_layer *own = &dense->layer[index_of(layer, pass)];
  for (int b = b0; b < b1; b += BLOCK)
    for (int h = 0; h < own->out; h++) {
      dfm_tile_block block = {.from = dfm_dvalue(pass, layer->out, b, h * BLOCK),
                              .ld = (size_t)pass->net->edge_n[layer->out],
                              .rows = existing(b1, b),
                              .columns = existing(layer->n_out, h * BLOCK)};
      aim_dz(dense, own, b, pass->room + b - b0, h, &block);
      dense->tiles->convert(&block);
    }
}

static void clear_sums(const dfm_dense_tiles *dense, const own_layer *own, int b) {
  memset(sums_at(dense, own, b), 0, (size_t)own->out * BLOCK * sizeof(float));
}

void dfm_dense_tiles_backward(const dfm_dense_tiles *dense, const dfm_layer *layer, const dfm_pass *pass, int b0,
                              int b1) {
  const int at = index_of(layer, pass);
  const own_layer *own = &dense->layer[at];
  if (own->feeds < 0) {
    clear_sums(dense, own, b0);
    round_dz(dense, layer, pass, b0, b1);
  }
  if (own->fed_by >= 0) clear_sums(dense, &dense->layer[own->fed_by], b0);
  multiply(&(product){.dense = dense,
                      .at = at,
                      .pass = pass,
                      .b0 = b0,
                      .b1 = b1,
                      .a = own->dz,
                      .b = own->w_backward,
                      .N = own->in,
                      .depth = own->out,
                      .aim = aim_backward});
}

/* ---- gradients of W and b */

/* Block (h, i) of dW += a chunk's rows; `n` blocks like it follow before the next column of blocks. */
static void add_chunk(const dfm_dense_tiles *dense, const dfm_layer *layer, int b, int depth, int h, int i, int n,
                      const dfm_tile_block *before) {
  const own_layer *own = &dense->layer[layer - dense->settings.net->layer];
  const int chunk_depth = dense->chunk / BLOCK, lines = i + 1 < own->in ? lines_ahead(dense, n) : 0;
  const uint16_t *a = strips_at(dense, chunk_at(dense, own->dz_chunks, b, own->out), h, chunk_depth);
  const uint16_t *x = strips_at(dense, chunk_at(dense, own->x_chunks, b, own->in), i, chunk_depth);
  const size_t strip = (size_t)chunk_depth * dense->tile;
  const uint16_t *ahead = x + 2 * strip + (size_t)(h % n * depth * lines * 32);
  const dfm_tile_strips strips = {.a = {a, a + strip},
                                  .b = {x, x + strip},
                                  .depth = depth,
                                  .rows = existing(layer->n_out, h * BLOCK),
                                  .ahead = ahead,
                                  .lines = lines};
  dense->tiles->multiply(own->dw + (size_t)(h * own->in + i) * DFM_TILE_BLOCK_FLOATS, &strips, b > 0, before);
}

int dfm_dense_tiles_piece(const dfm_dense_tiles *dense) {
  return dense->piece;
}

/* What a chunk's rows [b, b_end) add to rows [h0, h1) of dW; with `dw` (h1 - h0, n_in) it goes there, being
 * complete. */
static void add_rows(const dfm_dense_tiles *dense, const dfm_layer *layer, int b, int b_end, int h0, int h1,
                     float *dw) {
  const own_layer *own = &dense->layer[layer - dense->settings.net->layer];
  const int first = h0 / BLOCK, n = blocks_of(h1) - first, depth = blocks_of(b_end - b);
  dfm_tile_block block[2], *before = NULL;
  for (int at = 0; at < own->in * n; at++) {
    const int i = at / n, h = first + at % n;
    add_chunk(dense, layer, b, depth, h, i, n, before);
    if (!dw) continue;
    before = &block[at % 2];
    *before = (dfm_tile_block){.from = own->dw + (size_t)(h * own->in + i) * DFM_TILE_BLOCK_FLOATS,
                               .ld = BLOCK,
                               .rows = existing(h1, h * BLOCK),
                               .columns = existing(layer->n_in, i * BLOCK),
                               .to = dw + (size_t)(h * BLOCK - h0) * (size_t)layer->n_in + i * BLOCK,
                               .ldto = (size_t)layer->n_in};
  }
  if (before) dense->tiles->convert(before);
}

void dfm_dense_tiles_accumulate(const dfm_dense_tiles *dense, const dfm_layer *layer, int B, int b0, int h0, int h1,
                                float *dw) {
  const int end = B - b0 < dense->piece ? B : b0 + dense->piece;
  assert(h0 % BLOCK == 0 && b0 % dense->piece == 0);
  dense->tiles->begin();
  for (int b = b0; b < end; b += dense->chunk) {
    const int b_end = B - b < dense->chunk ? B : b + dense->chunk;
    add_rows(dense, layer, b, b_end, h0, h1, b_end == B ? dw : NULL);
  }
  dense->tiles->end();
}

void dfm_dense_tiles_gradient(const dfm_dense_tiles *dense, const dfm_layer *layer, const dfm_pass *pass, int h0,
                              int h1, float *dw, float *db) {
  const own_layer *own = &dense->layer[index_of(layer, pass)];
  const int last = (pass->B - 1) / dense->piece * dense->piece;
  dfm_dense_tiles_accumulate(dense, layer, pass->B, last, h0, h1, dw);
  for (int b = 0; b < pass->B; b += dense->settings.block)
    pass->kernel->add(db, sums_at(dense, own, b) + h0, (size_t)(h1 - h0));
}
