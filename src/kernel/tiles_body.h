/* Tiles in plain C, what they mean: a part of kernel_body.h, which says for which CPU. Every table gives the same
 * bits. */

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

static void tiles_nothing(void) {}

typedef uint32_t bits_vec __attribute__((vector_size(KERNEL_VECTOR_BYTES)));

enum { TILES_ROWS = 4, PAIRS = 16 };

/* Four rows of c by 16 columns: a is row 0 of the four in the first of `depth` LEFT tiles, b a strip of RIGHT tiles;
 * the next ones are `step` numbers further on. */
KERNEL_INLINE void tiles_rows(float *restrict c, const uint16_t *restrict a, const uint16_t *restrict b, int depth,
                              int step, bool adds) {
  vec sum[TILES_ROWS][VECS];
  for (int r = 0; r < TILES_ROWS; r++)
    for (int i = 0; i < (int)VECS; i++) sum[r][i] = adds ? vec_load(c + r * DFM_TILE_BLOCK + i * (int)VEC) : (vec){0};
  for (int p = 0; p < depth * PAIRS; p++) {
    const uint16_t *pair = a + p / PAIRS * step + p % PAIRS * 2, *row = b + p / PAIRS * step + p % PAIRS * 2 * LANES;
    for (int i = 0; i < (int)VECS; i++) {
      bits_vec even;
      memcpy(&even, row + i * 2 * (int)VEC, sizeof even);
      const vec low = (vec)(even << 16), high = (vec)(even & 0xffff0000u);
      KERNEL_UNROLL(4)
      for (int r = 0; r < TILES_ROWS; r++) {
        const uint32_t bits[] = {(uint32_t)pair[r * 32] << 16, (uint32_t)pair[r * 32 + 1] << 16};
        float x[2];
        memcpy(x, bits, sizeof x);
        sum[r][i] += x[0] * low;
        sum[r][i] += x[1] * high;
      }
    }
  }
  for (int r = 0; r < TILES_ROWS; r++) memcpy(c + r * DFM_TILE_BLOCK, sum[r], sizeof sum[r]);
}

/* Row r of the block, zeros behind its columns. */
KERNEL_INLINE void tiles_row(const dfm_tile_block *block, int r, float *restrict x) {
  const int columns = r < block->rows ? block->columns : 0;
  const float *restrict from = block->from + (size_t)r * block->ld;
  for (int c = columns; c < DFM_TILE_BLOCK; c++) x[c] = 0;
  for (int c = 0; c < columns; c++) x[c] = from[c];
  if (block->bias)
    for (int c = 0; c < columns; c++) x[c] = x[c] + block->bias[c] <= 0 ? 0 : x[c] + block->bias[c];
  if (block->active)
    for (int c = 0; c < columns; c++) x[c] = block->active[r] >> c & 1 ? x[c] : 0;
  if (block->sum)
    for (int c = 0; c < columns; c++) block->sum[c] += x[c];
}

KERNEL_INLINE uint32_t tiles_positive(const float *x) {
  uint32_t positive = 0;
  for (int c = 0; c < DFM_TILE_BLOCK; c++) positive |= (uint32_t)(x[c] > 0) << c;
  return positive;
}

KERNEL_INLINE void tiles_store(const dfm_tile_block *block, int r, const float *restrict x) {
  float *restrict to = block->to + (size_t)r * block->ldto;
  if (block->adds)
    for (int c = 0; c < block->columns; c++) to[c] += x[c];
  else
    for (int c = 0; c < block->columns; c++) to[c] = x[c];
}

/* One part of the number of row r, column c. */
KERNEL_INLINE void tiles_place(const dfm_tile_block *block, int r, int c, int part, uint16_t number) {
  const int by_row = r % 16 * 32 + c, by_row_pair = r / 2 * 32 + c % 16 * 2 + r % 2;
  const int by_column = c % 16 * 32 + r, by_column_pair = c / 2 * 32 + r % 16 * 2 + c % 2,
            from = part * DFM_TILE_NUMBERS;
  if (block->left[0]) block->left[r / 16][from + by_row] = number;
  if (block->right[0]) block->right[c / 16][from + by_row_pair] = number;
  if (block->left_transposed[0]) block->left_transposed[c / 16][from + by_column] = number;
  if (block->right_transposed[0]) block->right_transposed[r / 16][from + by_column_pair] = number;
}

KERNEL_INLINE void tiles_convert(const dfm_tile_block *block, int parts) {
  for (int r = 0; r < DFM_TILE_BLOCK; r++) {
    float x[DFM_TILE_BLOCK];
    tiles_row(block, r, x);
    if (block->positive) block->positive[r] = tiles_positive(x);
    if (block->to && r < block->rows) tiles_store(block, r, x);
    for (int c = 0; c < DFM_TILE_BLOCK; c++) {
      float rest = x[c];
      for (int part = 0; part < parts; part++) {
        const uint16_t number = bf16_round(rest);
        tiles_place(block, r, c, part, number);
        rest -= bf16_value(number);
      }
    }
  }
}

KERNEL void bf16_convert(const dfm_tile_block *block) {
  tiles_convert(block, 1);
}

KERNEL void float32_convert(const dfm_tile_block *block) {
  tiles_convert(block, DFM_FLOAT32_PARTS);
}

/* C = or += the product of part i of A and part j of B, of so many parts each. */
KERNEL_INLINE void tiles_multiply(float *c, const dfm_tile_strips *strips, int parts, int i, int j, bool adds) {
  const int step = parts * DFM_TILE_NUMBERS;
  for (int r = 0; r < strips->rows; r += TILES_ROWS)
    for (int half = 0; half < 2; half++)
      tiles_rows(c + r * DFM_TILE_BLOCK + half * LANES, strips->a[r / 16] + i * DFM_TILE_NUMBERS + r % 16 * 32,
                 strips->b[half] + j * DFM_TILE_NUMBERS, strips->depth, step, adds);
}

KERNEL void bf16_multiply(float *c, const dfm_tile_strips *strips, bool adds, const dfm_tile_block *before) {
  tiles_multiply(c, strips, 1, 0, 0, adds);
  if (before) bf16_convert(before);
}

KERNEL void float32_multiply(float *c, const dfm_tile_strips *strips, bool adds, const dfm_tile_block *before) {
  for (int sum = 2; sum >= 0; sum--) /* the smallest products first */
    for (int i = 0; i <= sum; i++) tiles_multiply(c, strips, DFM_FLOAT32_PARTS, i, sum - i, adds || sum < 2 || i > 0);
  if (before) float32_convert(before);
}
