/* Setting up dense layers in tiles: a net comes in; room for its weights, and for operands of blocks and of pieces,
 * goes out. */
#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"
#include "layer/dense_tiles_inside.h"

static int round_up(int n, int step) {
  return (n + step - 1) / step * step;
}

int dfm_dense_tiles_block(int capacity, int parts) {
  const int most_rows = parts == 1 ? 256 : 128;
  int block = BLOCK;
  while (block < most_rows && block * 8 < capacity) block *= 2;
  return block;
}

/* Rows of the batch that dW adds up before it goes on to its next block: their operands stay in the second-level
 * cache. */
static int most_chunk(int parts) {
  return parts == 1 ? 512 : 256;
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
    if (dense->settings.capacity == 0) continue;
    own->w_backward = cut(dense, &at, in * out * block_bytes);
    own->x_chunks = cut(dense, &at, piece * in * block_bytes);
    if (own->fed_by >= 0) own->positive = cut(dense, &at, rows * in * BLOCK * sizeof *own->positive);
    own->dz_chunks = cut(dense, &at, piece * out * block_bytes);
    own->dw = cut(dense, &at, in * out * DFM_TILE_BLOCK_FLOATS * sizeof(float));
    own->db = cut(dense, &at, row_blocks * out * BLOCK * sizeof(float));
  }
  for (int i = 0; i < dense->n_left; i++)
    dense->left[i].tiles = cut(dense, &at, rows * (size_t)dense->left[i].width * block_bytes);
  return at;
}

/* Room of `width` blocks, taken from time `from` to `until`; calls come in the order of `from`. */
static const left_operand *take_left(dfm_dense_tiles *dense, int from, int until, int width) {
  int i = 0;
  while (i < dense->n_left && dense->left[i].until >= from) i++;
  if (i == dense->n_left) dense->n_left++;
  if (width > dense->left[i].width) dense->left[i].width = width;
  dense->left[i].until = until;
  return &dense->left[i];
}

/* Layer i goes forward at time i and backward as far from the end. Its x is wanted from when it is made, by the
 * layer that feeds it or by itself, until it has gone forward; its dz likewise until it has gone backward. */
static void share_left(dfm_dense_tiles *dense) {
  const int end = 2 * dense->settings.net->n_layers;
  for (int time = 0; time <= end; time++)
    for (int d = 0; d < dense->n_dense; d++) {
      const int i = dense->dense[d];
      own_layer *own = &dense->layer[i];
      const int x_from = own->fed_by >= 0 ? own->fed_by : i, dz_from = end - (own->feeds >= 0 ? own->feeds : i);
      if (time == x_from) own->x = take_left(dense, time, i, own->in);
      if (time == dz_from && dense->settings.capacity > 0) own->dz = take_left(dense, time, end - i, own->out);
    }
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
  share_left(dense);
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

void dfm_dense_tiles_free(dfm_dense_tiles *dense) {
  if (!dense) return;
  dfm_pages_free(dense->operands, dense->operands_bytes);
  free(dense);
}
