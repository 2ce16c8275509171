/* The matrix multiply in plain C: a part of kernel_body.h, which says for which CPU. */

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
