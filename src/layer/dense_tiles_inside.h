/* What dense_tiles.c and dense_tiles_create.c share: the layers' matrices of tiles. */
#ifndef DFM_LAYER_DENSE_TILES_INSIDE_H
#define DFM_LAYER_DENSE_TILES_INSIDE_H

#include "layer/dense_tiles.h"

enum { BLOCK = DFM_TILE_BLOCK };

/* Room for left operands of blocks, each of which is wanted for a short time: layers take turns in it, so that it
 * stays in the second-level cache. */
typedef struct left_operand {
  uint16_t *tiles; /* LEFT: (rows, the widest of them) */
  int width;       /* in blocks */
  int until;       /* while it is shared out: the last one's end */
} left_operand;

/* Every matrix of tiles, in padded sizes. What the batch has beyond its rows is zero. */
typedef struct own_layer {
  int in, out;                      /* n_in and n_out in blocks; 0: not a dense layer */
  int fed_by, feeds;                /* dense layers with nothing between; -1: none */
  uint16_t *w_forward, *w_backward; /* RIGHT: W^T (n_in, n_out), W (n_out, n_in) */
  const left_operand *x, *dz;       /* (rows, n_in), (rows, n_out), a block's where its room is (dfm_pass) */
  uint32_t *positive;               /* of x, where it is fed: (blocks of rows, in) blocks of 32 words */
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
  left_operand left[2 * DFM_MAX_LAYERS];
  int n_left;
  int rows, piece, chunk; /* room for rows; pieces of them, in whole chunks, whose operands of dW share room */
  char *operands;
  size_t operands_bytes;
};

static inline int blocks_of(int n) {
  return (n + BLOCK - 1) / BLOCK;
}

#endif
