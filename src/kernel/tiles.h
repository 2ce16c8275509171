/* Multiplies in tiles of bfloat16 (the upper half of a float32): blocks of float32 come in, become tiles, are
 * multiplied, and go out as blocks of float32 again. A number becomes one bfloat16, or three:
 *
 * bf16, one part: x rounded to nearest, ties to even.
 *
 * float32, three parts: x rounded; what that left over, rounded; what that left over. They hold all 24 bits of x. Parts
 * are at most 2^-8 and 2^-17 of their number, so of the nine products of two numbers' parts the three smallest are at
 * most 2^-24 of the whole together, what rounding one product in float32 may cost; the other six are summed (Henry,
 * Tang, Heinecke, "Leveraging the bfloat16 Artificial Intelligence Datatype For Higher-Precision Computations", ARITH
 * 2019).
 *
 * A tile is 1 KB, what one register of a CPU with AMX holds, and 512 numbers without gaps. There are two kinds. A
 * matrix is padded with zeros to whole blocks of 32 x 32.
 *
 * LEFT, of A (M, K):  16 rows, 32 columns. Row r's numbers are [32 r, 32 r + 32).
 * RIGHT, of B (K, N): 32 rows, 16 columns. Rows come in pairs: number 32 p + 2 c + i is row 2 p + i, column c.
 *
 * The tiles of 16 rows of A, or 16 columns of B, follow each other by K (a *strip*, K / 32 tiles); strips follow
 * each other by M, or N. Where a number has three parts, a tile stands for three of them, one after the other. */
#ifndef DFM_KERNEL_TILES_H
#define DFM_KERNEL_TILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  DFM_TILE_NUMBERS = 512,
  DFM_TILE_BLOCK = 32,                                     /* rows and columns of a block */
  DFM_TILE_BLOCK_FLOATS = DFM_TILE_BLOCK * DFM_TILE_BLOCK, /* row-major where it stands by itself */
  DFM_FLOAT32_PARTS = 3,
};

/* What becomes of a block of float32, `rows` and `columns` of which exist; the rest counts as zeros. First, in this
 * order, what is not NULL: `bias` (columns) is added to each row and relu applied, relu(NaN) = NaN; where `active`
 * says no, a number becomes zero; column sums are added to `sum` (columns), row after row. */
typedef struct dfm_tile_block {
  const float *from;
  size_t ld;
  int rows, columns; /* 1 to 32 */
  const float *bias;
  const uint32_t *active; /* (32) bit c of word r: whether the number of row r, column c stays */
  float *sum;
  uint32_t *positive; /* (32) bit c of word r becomes whether x is above zero there; what does not exist is not */
  /* Where the block x (rows, columns) in its parts goes; both or none of each */
  uint16_t *left[2];             /* x as A: rows [0, 16) and [16, 32) */
  uint16_t *right[2];            /* x as B: columns [0, 16) and [16, 32) */
  uint16_t *left_transposed[2];  /* x^T as A: columns [0, 16) and [16, 32) of x */
  uint16_t *right_transposed[2]; /* x^T as B: rows [0, 16) and [16, 32) of x */
  float *to;                     /* (rows, columns; stride ldto) = or += x in float32 */
  size_t ldto;
  bool adds;
} dfm_tile_block;

/* Two strips of A and of B, of `depth` tiles each: K = 32 depth. `rows` of A exist, 1 to 32; what the product has in
 * the others is undefined. `ahead`: of what will be wanted later, AMX asks the memory for `lines` lines per tile
 * from there on; with no lines it may be NULL. */
typedef struct dfm_tile_strips {
  const uint16_t *a[2], *b[2];
  int depth, rows;
  const uint16_t *ahead;
  int lines;
} dfm_tile_strips;

typedef struct dfm_tiles {
  const char *name; /* "plain", "avx512_bf16", "amx" */
  int parts;        /* 1: bf16; 3: float32 */
  /* Stand around a thread's multiplies: AMX wants its registers set up, and given back. */
  void (*begin)(void);
  void (*end)(void);
  /* Block c (32, 32) = or += A B. Products of parts are exact in float32, sums are made in float32. `before`, NULL
   * or another block than c, is converted meanwhile. */
  void (*multiply)(float *c, const dfm_tile_strips *strips, bool adds, const dfm_tile_block *before);
  void (*convert)(const dfm_tile_block *block);
} dfm_tiles;

/* By the CPU's instructions, best first; NULL past the last. Operands are the same bits as in plain C (kernel.h),
 * but for NaN and parts below 2^-126, which count as zero; products are summed in other orders. */
const dfm_tiles *dfm_tiles_at(size_t i);

#endif
