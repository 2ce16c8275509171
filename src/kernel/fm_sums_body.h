/* Factorization machine on tables' rows where they lie: the part of kernel_body.h that adds up what some fields give
 * to each row of a batch. Widths of whole vectors come from one macro; any other goes factor by factor. */

KERNEL_INLINE const float *fm_sums_row(const dfm_sum_field *field, size_t i) {
  const uint32_t id = field->id[i];
  return id < field->V ? field->rows.at + id * field->rows.stride : NULL;
}

/* First-order weights alone, field by field. */
KERNEL_INLINE void fm_sums_first(const dfm_sum_field *field, int F, size_t B, float *restrict own) {
  memset(own, 0, B * sizeof *own);
  for (int f = 0; f < F; f++) {
    const dfm_sum_field of = field[f];
    for (size_t i = 0; i < B; i++) {
      const float *w = fm_sums_row(&of, i);
      own[i] += w ? w[0] : 0;
    }
  }
}

/* Both sums of a place stay in registers. */
#define DEFINE_FM_SUMS(K)                                                                               \
  KERNEL_INLINE void fm_sums_##K(const dfm_sum_field *field, int F, size_t B, float *own, float *sum) { \
    typedef float narrow __attribute__((vector_size(K * sizeof(float))));                               \
    for (size_t i = 0; i < B; i++) {                                                                    \
      narrow s = {0}, q = {0}, e;                                                                       \
      float lane[LANES] = {0}, first = 0;                                                               \
      for (int f = 0; f < F; f++) {                                                                     \
        const float *w = fm_sums_row(&field[f], i);                                                     \
        if (!w) continue;                                                                               \
        first += w[0];                                                                                  \
        if (!field[f].has_factors) continue;                                                            \
        memcpy(&e, w + 1, sizeof e);                                                                    \
        s += e;                                                                                         \
        q += e * e;                                                                                     \
      }                                                                                                 \
      memcpy(sum + i * K, &s, sizeof s);                                                                \
      memcpy(lane, &q, sizeof q);                                                                       \
      own[i] = first - 0.5f * lanes_sum(lane);                                                          \
    }                                                                                                   \
  }
DEFINE_FM_SUMS(4)
DEFINE_FM_SUMS(8)
DEFINE_FM_SUMS(16)

KERNEL_INLINE void fm_sums_any(const dfm_sum_field *field, int F, size_t B, int K, float *own, float *restrict sum) {
  for (size_t i = 0; i < B; i++, sum += K) {
    float lane[LANES] = {0}, first = 0;
    memset(sum, 0, (size_t)K * sizeof *sum);
    for (int f = 0; f < F; f++) {
      const float *restrict w = fm_sums_row(&field[f], i);
      if (!w) continue;
      first += w[0];
      for (int k = 0; field[f].has_factors && k < K; k++) {
        sum[k] += w[1 + k];
        lane[k % LANES] += w[1 + k] * w[1 + k];
      }
    }
    own[i] = first - 0.5f * lanes_sum(lane);
  }
}

KERNEL void fm_sums(const dfm_sum_field *field, int F, size_t B, int K, float *own, float *sum) {
  switch (K) {
    case 0:
      fm_sums_first(field, F, B, own);
      break;
    case 4:
      fm_sums_4(field, F, B, own, sum);
      break;
    case 8:
      fm_sums_8(field, F, B, own, sum);
      break;
    case 16:
      fm_sums_16(field, F, B, own, sum);
      break;
    default:
      fm_sums_any(field, F, B, K, own, sum);
  }
}

KERNEL_INLINE void fm_take_own_rows(const dfm_rows *rows, const uint32_t *id, size_t count, float *g, size_t n) {
  for (size_t r = 0; r < count; r++, g += n) {
    const float *restrict w = rows->at + id[r] * rows->stride;
    float *restrict of = g;
    for (size_t k = 1; k < n; k++) of[k] -= of[0] * w[k];
  }
}

KERNEL void fm_take_own(const dfm_rows *rows, const uint32_t *id, size_t count, float *g) {
  switch (rows->n) {
    case 5:
      fm_take_own_rows(rows, id, count, g, 5);
      break;
    case 9:
      fm_take_own_rows(rows, id, count, g, 9);
      break;
    case 17:
      fm_take_own_rows(rows, id, count, g, 17);
      break;
    default:
      fm_take_own_rows(rows, id, count, g, rows->n);
  }
}
