/* Dense layers in tiles: a block's rows come in, become tiles and are multiplied block by block. */
#include "layer/dense_tiles.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { BLOCK = DFM_TILE_BLOCK };

/* Every matrix of tiles, in padded sizes. What the batch has beyond its rows is zero. */
typedef struct own_layer {
  int in, out;                      /* n_in and n_out in blocks; 0: not a dense layer */
  int fed_by, feeds;                /* dense layers with nothing between; -1: none */
  uint16_t *w_forward, *w_backward; /* RIGHT: W^T (n_in, n_out), W (n_out, n_in) */
  uint16_t *x, *dz;                 /* LEFT: (rows, n_in), (rows, n_out), a block's where its room is (dfm_pass) */
  uint16_t *x_chunks, *dz_chunks;   /* of a piece, by chunk; RIGHT: x (chunk, n_in); LEFT: dz^T (n_out, chunk) */
  float *dw;                        /* (out, in) blocks */
  float *db;                        /* (blocks of rows, n_out) column sums of dz */
} own_layer;

struct dfm_dense_tiles {
  dfm_dense_settings settings;
  const dfm_tiles *tiles;
  size_t tile; /* numbers of a tile in all its parts */
  own_layer layer[DFM_MAX_LAYERS];
  int dense[DFM_MAX_LAYERS], n_dense; /* indices of the dense ones */
  int rows, piece, chunk; /* room for rows; pieces of them, in whole chunks, whose operands of dW share room */
  char *operands;
  size_t operands_bytes;
};

static int round_up(int n, int step) {
  return (n + step - 1) / step * step;
}

static int blocks_of(int n) {
  return (n + BLOCK - 1) / BLOCK;
}

int dfm_dense_tiles_block(int capacity, int parts) {
  const int most_rows = parts == 1 ? 256 : 128;
  int block = BLOCK;
  while (block < most_rows && block * 8 < capacity) block *= 2;
  return block;
}

/* Rows of the batch that dW adds up before it goes on to its next block: their operands stay in the second-level cache. */
static int most_chunk(int parts) {
  return parts == 1 ? 512 : 256;
}

/* ---- setting up */

static const dfm_layer *net_layer(const dfm_dense_tiles *dense, int at) {
  return &dense->settings.net->layer[at];
}

/* Dense layer `at` whose output is the input of one dense layer and nothing else. */
static int fed_layer(const dfm_dense_tiles *dense, int at) {
  const dfm_net *net = dense->settings.net;
  const dfm_layer *layer = &net->layer[at];
  int readers = 0, last = -1;
  for (int i = 0; i < net->n_layers; i++) {
    if (i == at || net->layer[i].in != layer->out) continue;
    readers++;
    last = i;
  }
  if (readers != 1 || layer->activation != DFM_RELU || net->layer[last].kind != &dfm_layer_dense) return -1;
  return net->layer[last].from == 0 && net->layer[last].n_in == layer->n_out ? last : -1;
}

/* The next `bytes` of the operands, at `*at`; NULL while they are counted. */
static void *cut(const dfm_dense_tiles *dense, size_t *at, size_t bytes) {
  void *piece = dense->operands ? dense->operands + *at : NULL;
  *at += bytes;
  return piece;
}

/* Cuts the layers' operands, and returns the bytes that they take. */
static size_t lay_out(dfm_dense_tiles *dense) {
  const size_t block_bytes = 2 * dense->tile * sizeof(uint16_t), rows = (size_t)blocks_of(dense->rows);
  const size_t piece = (size_t)blocks_of(dense->piece);
  const size_t row_blocks = (size_t)(dense->rows / dense->settings.block);
  size_t at = 0;
  for (int i = 0; i < dense->n_dense; i++) {
    own_layer *own = &dense->layer[dense->dense[i]];
    const size_t in = (size_t)own->in, out = (size_t)own->out;
    own->w_forward = cut(dense, &at, in * out * block_bytes);
    own->x = cut(dense, &at, rows * in * block_bytes);
    if (dense->settings.capacity == 0) continue;
    own->w_backward = cut(dense, &at, in * out * block_bytes);
    own->x_chunks = cut(dense, &at, piece * in * block_bytes);
    own->dz = cut(dense, &at, rows * out * block_bytes);
    own->dz_chunks = cut(dense, &at, piece * out * block_bytes);
    own->dw = cut(dense, &at, in * out * DFM_TILE_BLOCK_FLOATS * sizeof(float));
    own->db = cut(dense, &at, row_blocks * out * BLOCK * sizeof(float));
  }
  return at;
}

static bool has_barrier(const dfm_net *net) {
  for (int i = 0; i < net->n_layers; i++)
    if (net->layer[i].kind->reduce_forward) return true;
  return false;
}

/* A piece has two blocks for each thread: its operands of dW are still in the caches when dW is added up. */
static void cut_rows(dfm_dense_tiles *dense) {
  const dfm_dense_settings *settings = &dense->settings;
  const int for_threads = 2 * settings->threads * settings->block;
  dense->rows =
      settings->capacity > 0 ? round_up(settings->capacity, settings->block) : settings->threads * settings->block;
  dense->chunk = most_chunk(dense->tiles->parts);
  if (dense->chunk > dense->rows) dense->chunk = dense->rows;
  dense->rows = round_up(dense->rows, dense->chunk);
  dense->piece = has_barrier(settings->net) ? dense->rows : round_up(for_threads, dense->chunk);
  if (dense->piece > dense->rows) dense->piece = dense->rows;
}

static void list_layers(dfm_dense_tiles *dense) {
  const dfm_net *net = dense->settings.net;
  for (int i = 0; i < net->n_layers; i++) dense->layer[i].fed_by = dense->layer[i].feeds = -1;
  for (int i = 0; i < net->n_layers; i++) {
    if (net->layer[i].kind != &dfm_layer_dense) continue;
    dense->dense[dense->n_dense++] = i;
    dense->layer[i].in = blocks_of(net->layer[i].n_in);
    dense->layer[i].out = blocks_of(net->layer[i].n_out);
    const int fed = fed_layer(dense, i);
    if (fed < 0) continue;
    dense->layer[i].feeds = fed;
    dense->layer[fed].fed_by = i;
  }
}

dfm_status dfm_dense_tiles_create(const dfm_dense_settings *settings, dfm_dense_tiles **out, dfm_error *error) {
  dfm_dense_tiles *dense;
  assert(settings->block % BLOCK == 0);
  DFM_TRY(dfm_alloc(&dense, 1, sizeof *dense, error));
  dense->settings = *settings;
  dense->tiles = settings->tiles;
  dense->tile = (size_t)settings->tiles->parts * DFM_TILE_NUMBERS;
  list_layers(dense);
  cut_rows(dense);
  dense->operands_bytes = lay_out(dense);
  const dfm_status status = dfm_pages_alloc(&dense->operands, dense->operands_bytes, error);
  if (status != DFM_OK) {
    free(dense);
    return status;
  }
  lay_out(dense);
  *out = dense;
  return DFM_OK;
}

int dfm_dense_tiles_parts(const dfm_dense_tiles *dense) {
  return dense->tiles->parts;
}

void dfm_dense_tiles_free(dfm_dense_tiles *dense) {
  if (!dense) return;
  dfm_pages_free(dense->operands, dense->operands_bytes);
  free(dense);
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

/* The matrix of the chunk that row b lies in, of `width` blocks of columns. */
static uint16_t *chunk_at(const dfm_dense_tiles *dense, uint16_t *chunks, int b, int width) {
  return strips_at(dense, chunks, b % dense->piece / dense->chunk * dense->chunk / BLOCK, width);
}

/* Where block i of x's columns goes, of 32 rows from b on, which have the room from `room` on. */
static void aim_x(const dfm_dense_tiles *dense, const own_layer *own, int b, int room, int i, dfm_tile_block *block) {
  tiles_at(dense, block->left, own->x, room / BLOCK, i, own->in);
  if (own->x_chunks)
    tiles_at(dense, block->right, chunk_at(dense, own->x_chunks, b, own->in), i, b % dense->chunk / BLOCK,
             dense->chunk / BLOCK);
}

static float *sums_at(const dfm_dense_tiles *dense, const own_layer *own, int b) {
  return own->db + (size_t)(b / dense->settings.block) * (size_t)own->out * BLOCK;
}

/* The same of dz, with the column sums of a block's rows. */
static void aim_dz(const dfm_dense_tiles *dense, const own_layer *own, int b, int room, int h, dfm_tile_block *block) {
  tiles_at(dense, block->left, own->dz, room / BLOCK, h, own->out);
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
  uint16_t *a, *b;
  int N, depth; /* in blocks */
  void (*aim)(const struct product *of, int row, int column, dfm_tile_block *block);
} product;

/* Lines per tile of a call that bring the next block of B's columns, two tiles in all their parts for each of depth, into the
 * cache by the time that `calls` more are done. */
static int lines_ahead(const dfm_dense_tiles *dense, int calls) {
  const int lines = 2 * (int)dense->tile / 32;
  return (lines + calls - 1) / calls;
}

/* Columns outside: a block of B's columns stays in the first-level cache for all rows. */
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
    const uint16_t *a = strips_at(dense, of->a, row, of->depth), *b = strips_at(dense, of->b, column, of->depth);
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
                      .a = strips_at(dense, own->x, pass->room / BLOCK, own->in),
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
    uint16_t *active[2];
    tiles_at(dense, active, own->x, room / BLOCK, column, own->in);
    block->active[0] = active[0];
    block->active[1] = active[1];
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
                      .a = strips_at(dense, own->dz, pass->room / BLOCK, own->out),
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

/* What a chunk's rows [b, b_end) add to rows [h0, h1) of dW; with `dw` (h1 - h0, n_in) it goes there, being complete. */
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
