/* The matrix multiplies in plain C, float32 and bfloat16: a part of kernel_body.h, which says for which CPU. */

/* ---- matrix multiply ---- */

enum {
  GEMM_ROWS = 4,
  GEMM_DEPTH = 256
}; /* 4 x 16 sums fit the registers; a packed panel of 256 x 16 floats fits the first cache */

/* b (depth, LANES) = rows [k, k + depth), columns [j, j + columns) of op(B), further columns zero */
KERNEL_INLINE void gemm_pack(float *restrict b, const dfm_gemm_args *args, int k, int depth, int j, int columns) {
  const size_t ldb = (size_t)args->ldb, step_k = args->trans_b ? 1 : ldb, step_j = args->trans_b ? ldb : 1;
  const float *restrict B = args->B + (size_t)k * step_k + (size_t)j * step_j;
  memset(b, 0, (size_t)depth * LANES * sizeof *b);
  for (int r = 0; r < depth; r++)
    for (int c = 0; c < columns; c++) b[r * LANES + c] = B[(size_t)r * step_k + (size_t)c * step_j];
}

/* sum (GEMM_ROWS, LANES) = GEMM_ROWS rows of op(A), each from a[row] on with `step` between its elements, times b
 * (depth, LANES) */
KERNEL_INLINE void gemm_tile(float sum[GEMM_ROWS][LANES], const float *const *a, size_t step, const float *restrict b,
                             int depth) {
  const float *a0 = a[0], *a1 = a[1], *a2 = a[2], *a3 = a[3];
  vec s0[VECS] = {{0}}, s1[VECS] = {{0}}, s2[VECS] = {{0}}, s3[VECS] = {{0}};
  for (int k = 0; k < depth; k++) {
    const size_t at = (size_t)k * step;
#pragma GCC unroll 4
    for (int i = 0; i < (int)VECS; i++) {
      const vec x = vec_load(b + k * LANES + i * (int)VEC);
      s0[i] += a0[at] * x;
      s1[i] += a1[at] * x;
      s2[i] += a2[at] * x;
      s3[i] += a3[at] * x;
    }
  }
  memcpy(sum[0], s0, sizeof s0);
  memcpy(sum[1], s1, sizeof s1);
  memcpy(sum[2], s2, sizeof s2);
  memcpy(sum[3], s3, sizeof s3);
}

/* c (rows, columns; stride ldc) = or += sum */
KERNEL_INLINE void gemm_store(float *restrict c, int ldc, float sum[GEMM_ROWS][LANES], int rows, int columns,
                              bool adds) {
  for (int r = 0; r < rows; r++, c += ldc) {
    if (adds)
      for (int l = 0; l < columns; l++) c[l] += sum[r][l];
    else
      for (int l = 0; l < columns; l++) c[l] = sum[r][l];
  }
}

/* Rows of C in fours against one packed panel; where fewer are left the last row is computed again and not stored. */
KERNEL_INLINE void gemm_panel(const dfm_gemm_args *args, const float *restrict b, int k, int depth, int j,
                              int columns) {
  const size_t lda = (size_t)args->lda, step_i = args->trans_a ? 1 : lda, step_k = args->trans_a ? lda : 1;
  const bool adds = k > 0 || args->beta != 0;
  for (int i = 0; i < args->M; i += GEMM_ROWS) {
    const float *a[GEMM_ROWS];
    float sum[GEMM_ROWS][LANES];
    const int rows = args->M - i < GEMM_ROWS ? args->M - i : GEMM_ROWS;
    for (int r = 0; r < GEMM_ROWS; r++) {
      const int row = r < rows ? i + r : args->M - 1;
      a[r] = args->A + (size_t)row * step_i + (size_t)k * step_k;
    }
    gemm_tile(sum, a, step_k, b, depth);
    gemm_store(args->C + (size_t)i * (size_t)args->ldc + j, args->ldc, sum, rows, columns, adds);
  }
}

KERNEL void gemm(const dfm_gemm_args *args) {
  float b[GEMM_DEPTH * LANES];
  if (args->M <= 0 || args->N <= 0) return;
  if (KERNEL_HAS_ONEDNN && args->K > 0 && dfm_gemm_onednn(args)) return;
  for (int j = 0; j < args->N; j += LANES) {
    const int columns = args->N - j < LANES ? args->N - j : LANES;
    int k = 0;
    do { /* once also where K = 0, which clears C */
      const int depth = args->K - k < GEMM_DEPTH ? args->K - k : GEMM_DEPTH;
      gemm_pack(b, args, k, depth, j, columns);
      gemm_panel(args, b, k, depth, j, columns);
      k += GEMM_DEPTH;
    } while (k < args->K);
  }
}

/* ---- bfloat16: the upper half of a float32 ---- */

/* To the nearest, ties to even; a NaN stays one. */
KERNEL_INLINE uint16_t bf16_round(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  const uint32_t nearest = bits + 0x7fffu + (bits >> 16 & 1), quiet = bits | 0x400000u;
  return (uint16_t)(((bits & 0x7fffffffu) > 0x7f800000u ? quiet : nearest) >> 16);
}

KERNEL_INLINE float bf16_value(uint16_t x) {
  const uint32_t bits = (uint32_t)x << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

KERNEL void to_bf16(uint16_t *restrict y, int ldy, const float *restrict x, int ldx, int rows, int n) {
  for (int r = 0; r < rows; r++, y += ldy, x += ldx) {
    for (int i = 0; i < n; i++) y[i] = bf16_round(x[i]);
    for (int i = n; i < ldy; i++) y[i] = 0;
  }
}

typedef uint16_t eight __attribute__((vector_size(16)));

/* Rows a, b = their elements by turns, first and last halves */
#define EIGHT_INTERLEAVE(lo, hi, a, b)                          \
  lo = __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11); \
  hi = __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)

/* Three rounds of interleaving rows r and r + 4 turn bits of (row, column) around: 8 x 8 transposed. */
KERNEL_INLINE void transpose_8x8(uint16_t *restrict y, size_t ldy, const uint16_t *restrict x, size_t ldx) {
  eight a[8], b[8];
  for (int r = 0; r < 8; r++) memcpy(&a[r], x + (size_t)r * ldx, sizeof a[r]);
#pragma GCC unroll 3
  for (int round = 0; round < 3; round++) {
#pragma GCC unroll 4
    for (int r = 0; r < 4; r++) {
      EIGHT_INTERLEAVE(b[2 * r], b[2 * r + 1], a[r], a[r + 4]);
    }
    memcpy(a, b, sizeof a);
  }
  for (int r = 0; r < 8; r++) memcpy(y + (size_t)r * ldy, &a[r], sizeof a[r]);
}

KERNEL void transpose_bf16(uint16_t *restrict y, int ldy, const uint16_t *restrict x, int ldx, int rows, int n) {
  const size_t ly = (size_t)ldy, lx = (size_t)ldx;
  int j = 0;
  for (; j + 8 <= n; j += 8) {
    uint16_t *to = y + (size_t)j * ly;
    int i = 0;
    for (; i + 8 <= rows; i += 8) transpose_8x8(to + i, ly, x + (size_t)i * lx + j, lx);
    for (; i < rows; i++)
      for (int c = 0; c < 8; c++) to[(size_t)c * ly + (size_t)i] = x[(size_t)i * lx + (size_t)(j + c)];
  }
  for (; j < n; j++)
    for (int i = 0; i < rows; i++) y[(size_t)j * ly + (size_t)i] = x[(size_t)i * lx + (size_t)j];
}

/* As gemm_pack; the columns of a stored (N, K) matrix are its rows, read in order. */
KERNEL_INLINE void gemm_bf16_pack(float *restrict b, const dfm_gemm_bf16_args *args, int k, int depth, int j,
                                  int columns) {
  const size_t ldb = (size_t)args->ldb;
  memset(b, 0, (size_t)depth * LANES * sizeof *b);
  for (int c = 0; args->trans_b && c < columns; c++) {
    const uint16_t *restrict B = args->B + (size_t)(j + c) * ldb + k;
    for (int r = 0; r < depth; r++) b[r * LANES + c] = bf16_value(B[r]);
  }
  for (int r = 0; !args->trans_b && r < depth; r++) {
    const uint16_t *restrict B = args->B + (size_t)(k + r) * ldb + j;
    for (int c = 0; c < columns; c++) b[r * LANES + c] = bf16_value(B[c]);
  }
}

/* As gemm_panel; four rows of A at a time become float32, which costs an eighth of the multiply. */
KERNEL_INLINE void gemm_bf16_panel(const dfm_gemm_bf16_args *args, const float *restrict b, int k, int depth, int j,
                                   int columns) {
  float rows_of_a[GEMM_ROWS][GEMM_DEPTH], sum[GEMM_ROWS][LANES];
  const float *const a[GEMM_ROWS] = {rows_of_a[0], rows_of_a[1], rows_of_a[2], rows_of_a[3]};
  for (int i = 0; i < args->M; i += GEMM_ROWS) {
    const int rows = args->M - i < GEMM_ROWS ? args->M - i : GEMM_ROWS;
    for (int r = 0; r < GEMM_ROWS; r++) {
      const uint16_t *restrict A = args->A + (size_t)(r < rows ? i + r : args->M - 1) * (size_t)args->lda + k;
      for (int d = 0; d < depth; d++) rows_of_a[r][d] = bf16_value(A[d]);
    }
    gemm_tile(sum, a, 1, b, depth);
    gemm_store(args->C + (size_t)i * (size_t)args->ldc + j, args->ldc, sum, rows, columns, k > 0 || args->beta != 0);
  }
}

KERNEL void gemm_bf16(const dfm_gemm_bf16_args *args) {
  float b[GEMM_DEPTH * LANES];
  for (int j = 0; args->M > 0 && j < args->N; j += LANES) {
    const int columns = args->N - j < LANES ? args->N - j : LANES;
    int k = 0;
    do {
      const int depth = args->K - k < GEMM_DEPTH ? args->K - k : GEMM_DEPTH;
      gemm_bf16_pack(b, args, k, depth, j, columns);
      gemm_bf16_panel(args, b, k, depth, j, columns);
      k += GEMM_DEPTH;
    } while (k < args->K);
  }
}
