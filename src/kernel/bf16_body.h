/* bfloat16 in plain C, what it means: a part of kernel_body.h, which says for which CPU. Every table gives the same bits. */

/* To the nearest, ties to even; a NaN stays one. */
KERNEL_INLINE uint16_t bf16_round(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  const uint32_t nearest = bits + 0x7fffu + (bits >> 16 & 1), quiet = bits | 0x400000u;
  return (uint16_t)(((bits & 0x7fffffffu) > 0x7f800000u ? quiet : nearest) >> 16);
}

static void bf16_nothing(void) {}

typedef uint32_t bits_vec __attribute__((vector_size(KERNEL_VECTOR_BYTES)));

enum { BF16_ROWS = 4, PAIRS = 16 };

/* Four rows of c by 16 columns: a is row 0 of the four in the first of `depth` LEFT tiles, b a strip of RIGHT tiles. */
KERNEL_INLINE void bf16_rows(float *restrict c, const uint16_t *restrict a, const uint16_t *restrict b, int depth,
                             bool adds) {
  vec sum[BF16_ROWS][VECS];
  for (int r = 0; r < BF16_ROWS; r++)
    for (int i = 0; i < (int)VECS; i++) sum[r][i] = adds ? vec_load(c + r * DFM_BF16_BLOCK + i * (int)VEC) : (vec){0};
  for (int p = 0; p < depth * PAIRS; p++) {
    const uint16_t *pair = a + p / PAIRS * DFM_TILE_NUMBERS + p % PAIRS * 2;
    for (int i = 0; i < (int)VECS; i++) {
      bits_vec even;
      memcpy(&even, b + p * 2 * LANES + i * 2 * (int)VEC, sizeof even);
      const vec low = (vec)(even << 16), high = (vec)(even & 0xffff0000u);
      KERNEL_UNROLL(4)
      for (int r = 0; r < BF16_ROWS; r++) {
        const uint32_t bits[] = {(uint32_t)pair[r * 32] << 16, (uint32_t)pair[r * 32 + 1] << 16};
        float x[2];
        memcpy(x, bits, sizeof x);
        sum[r][i] += x[0] * low;
        sum[r][i] += x[1] * high;
      }
    }
  }
  for (int r = 0; r < BF16_ROWS; r++) memcpy(c + r * DFM_BF16_BLOCK, sum[r], sizeof sum[r]);
}

/* Row r of the block, zeros behind its columns. */
KERNEL_INLINE void bf16_row(const dfm_bf16_block *block, int r, float *restrict x) {
  const int columns = r < block->rows ? block->columns : 0;
  const float *restrict from = block->from + (size_t)r * block->ld;
  for (int c = columns; c < DFM_BF16_BLOCK; c++) x[c] = 0;
  for (int c = 0; c < columns; c++) x[c] = from[c];
  if (block->bias)
    for (int c = 0; c < columns; c++) x[c] = x[c] + block->bias[c] <= 0 ? 0 : x[c] + block->bias[c];
  if (block->active[0])
    for (int c = 0; c < columns; c++) x[c] = (int16_t)block->active[r / 16][r % 16 * 32 + c] > 0 ? x[c] : 0;
  if (block->sum)
    for (int c = 0; c < columns; c++) block->sum[c] += x[c];
}

KERNEL_INLINE void bf16_store(const dfm_bf16_block *block, int r, const float *restrict x) {
  float *restrict to = block->to + (size_t)r * block->ldto;
  if (block->adds)
    for (int c = 0; c < block->columns; c++) to[c] += x[c];
  else
    for (int c = 0; c < block->columns; c++) to[c] = x[c];
}

KERNEL void bf16_convert(const dfm_bf16_block *block) {
  for (int r = 0; r < DFM_BF16_BLOCK; r++) {
    float x[DFM_BF16_BLOCK];
    bf16_row(block, r, x);
    if (block->to && r < block->rows) bf16_store(block, r, x);
    for (int c = 0; c < DFM_BF16_BLOCK; c++) {
      const uint16_t number = bf16_round(x[c]);
      const int by_row = r % 16 * 32 + c, by_row_pair = r / 2 * 32 + c % 16 * 2 + r % 2;
      const int by_column = c % 16 * 32 + r, by_column_pair = c / 2 * 32 + r % 16 * 2 + c % 2;
      if (block->left[0]) block->left[r / 16][by_row] = number;
      if (block->right[0]) block->right[c / 16][by_row_pair] = number;
      if (block->left_transposed[0]) block->left_transposed[c / 16][by_column] = number;
      if (block->right_transposed[0]) block->right_transposed[r / 16][by_column_pair] = number;
    }
  }
}

KERNEL void bf16_multiply(float *c, const dfm_bf16_strips *strips, bool adds, const dfm_bf16_block *before) {
  for (int r = 0; r < DFM_BF16_BLOCK; r += BF16_ROWS)
    for (int half = 0; half < 2; half++)
      bf16_rows(c + r * DFM_BF16_BLOCK + half * LANES, strips->a[r / 16] + r % 16 * 32, strips->b[half], strips->depth,
                adds);
  if (before) bf16_convert(before);
}
