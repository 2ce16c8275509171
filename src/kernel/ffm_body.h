/* Field-aware factorization machine: the part of kernel_body.h that adds up pairs of fields, and of their gradients.
 * Widths of whole vectors come from one macro; any other goes factor by factor. */

/* Fields that meet their partners together: what is found of a partner serves all of them. */
enum { FFM_SIDES = 4 };

/* The next present fields from `*i` on, at most FFM_SIDES: their factors and where others keep theirs for them.
 * Returns how many. */
KERNEL_INLINE int ffm_next(const float *const *e, int F, int K, int *i, const float **x, size_t *at) {
  int n = 0;
  for (; *i < F && n < FFM_SIDES; ++*i)
    if (e[*i]) {
      x[n] = e[*i];
      at[n++] = (size_t)*i * (size_t)K;
    }
  return n;
}

#define FFM_AT(K, p) (*(ffm_##K *)(p))

/* Each of the sides adds up in a register of its own, so that sums do not wait for each other. Pairs within a group
 * of fields share the sides. The gradient takes rows in fours, twos and ones: factors summed so far are then read
 * and written a quarter as often. The vector type needs no more alignment than a float. */
#define DEFINE_FFM(K)                                                                                       \
  typedef float ffm_##K __attribute__((vector_size(K * sizeof(float)), aligned(sizeof(float)), may_alias)); \
  KERNEL_INLINE void ffm_pairs_##K(float *lane, const float *const *e, int F) {                             \
    ffm_##K s[FFM_SIDES] = {{0}};                                                                           \
    for (int i = 0; i < F;) {                                                                               \
      const float *x[FFM_SIDES];                                                                            \
      size_t at[FFM_SIDES];                                                                                 \
      const int n = ffm_next(e, F, K, &i, x, at);                                                           \
      for (int a = 0; a < n; a++)                                                                           \
        for (int b = a + 1; b < n; b++) s[a] += FFM_AT(K, x[a] + at[b]) * FFM_AT(K, x[b] + at[a]);          \
      if (n < FFM_SIDES) break; /* there are no more partners */                                            \
      for (int j = i; j < F; j++) {                                                                         \
        const float *y = e[j];                                                                              \
        if (!y) continue;                                                                                   \
        KERNEL_UNROLL(4)                                                                                    \
        for (int a = 0; a < FFM_SIDES; a++) s[a] += FFM_AT(K, x[a] + j * K) * FFM_AT(K, y + at[a]);         \
      }                                                                                                     \
    }                                                                                                       \
    FFM_AT(K, lane) = (s[0] + s[1]) + (s[2] + s[3]);                                                        \
  }                                                                                                         \
  KERNEL_INLINE void ffm_rows_##K(float *restrict g, const float *column, const uint32_t *piece, int F,     \
                                  const uint32_t *row, const float *c, int n) {                             \
    const uint32_t *from[FFM_SIDES];                                                                        \
    for (int r = 0; r < n; r++) from[r] = piece + (size_t)row[r] * (size_t)F;                               \
    for (int j = 0; j < F; j++) {                                                                           \
      ffm_##K sum = FFM_AT(K, g + j * K);                                                                   \
      KERNEL_UNROLL(4)                                                                                      \
      for (int r = 0; r < n; r++) sum += FFM_AT(K, column + (size_t)from[r][j] * K) * c[r];                 \
      FFM_AT(K, g + j * K) = sum;                                                                           \
    }                                                                                                       \
  }                                                                                                         \
  KERNEL_INLINE void ffm_gradient_##K(float *g, const float *column, const uint32_t *piece, int F,          \
                                      const uint32_t *row, const float *c, size_t rows) {                   \
    size_t r = 0;                                                                                           \
    for (; r + 4 <= rows; r += 4) ffm_rows_##K(g, column, piece, F, row + r, c + r, 4);                     \
    for (; r + 2 <= rows; r += 2) ffm_rows_##K(g, column, piece, F, row + r, c + r, 2);                     \
    for (; r < rows; r++) ffm_rows_##K(g, column, piece, F, row + r, c + r, 1);                             \
  }
DEFINE_FFM(2)
DEFINE_FFM(4)
DEFINE_FFM(8)
DEFINE_FFM(16)

KERNEL_INLINE void ffm_pairs(float *lane, const float *const *e, int F, int K) {
  for (int i = 0; i < F; i++)
    for (int j = i + 1; e[i] && j < F; j++) {
      if (!e[j]) continue;
      const float *restrict x = e[i] + (size_t)j * (size_t)K, *restrict y = e[j] + (size_t)i * (size_t)K;
      for (int k = 0; k < K; k++) lane[k % LANES] += x[k] * y[k];
    }
}

KERNEL float ffm_forward(const float *const *e, int F, int K) {
  float lane[LANES] = {0};
  switch (K) {
    case 2:
      ffm_pairs_2(lane, e, F);
      break;
    case 4:
      ffm_pairs_4(lane, e, F);
      break;
    case 8:
      ffm_pairs_8(lane, e, F);
      break;
    case 16:
      ffm_pairs_16(lane, e, F);
      break;
    default:
      ffm_pairs(lane, e, F, K);
  }
  return lanes_sum(lane);
}

KERNEL_INLINE void ffm_gradient_any(float *restrict g, const float *column, const uint32_t *piece, int F, int K,
                                    const uint32_t *row, const float *c, size_t rows) {
  for (size_t r = 0; r < rows; r++)
    for (int j = 0; j < F; j++) {
      const float *restrict y = column + (size_t)piece[(size_t)row[r] * (size_t)F + (size_t)j] * (size_t)K;
      float *restrict sum = g + (size_t)j * (size_t)K;
      for (int k = 0; k < K; k++) sum[k] += y[k] * c[r];
    }
}

KERNEL void ffm_gradient(float *g, const float *column, const uint32_t *piece, int F, int K, const uint32_t *row,
                         const float *c, size_t rows) {
  switch (K) {
    case 2:
      ffm_gradient_2(g, column, piece, F, row, c, rows);
      break;
    case 4:
      ffm_gradient_4(g, column, piece, F, row, c, rows);
      break;
    case 8:
      ffm_gradient_8(g, column, piece, F, row, c, rows);
      break;
    case 16:
      ffm_gradient_16(g, column, piece, F, row, c, rows);
      break;
    default:
      ffm_gradient_any(g, column, piece, F, K, row, c, rows);
  }
}
