/* Tiles: numbers and blocks come in; rounding must be to the nearest, parts must add up to their number, conversions
 * must put each where kernel/tiles.h says, products must be near a double's. The plain ones must give the same bits
 * on every table. What this CPU cannot run is said. */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "kernel/kernel.h"
#include "test.h"

enum { SIDE = DFM_TILE_BLOCK, HALF = 16, PARTS = DFM_FLOAT32_PARTS, MOST = 12 };

static const dfm_kernel *generic(void) {
  dfm_error error;
  const dfm_kernel *kernel = NULL;
  assert_ok(dfm_kernel_find("generic", &kernel, &error));
  return kernel;
}

/* All that this CPU runs, the tables' plain ones first; returns how many of those there are, and of all. */
static int list_all(const dfm_tiles *all[MOST], int *n_plain) {
  const dfm_kernel *kernel;
  const dfm_tiles *tiles;
  int n = 0;
  for (size_t k = 0; (kernel = dfm_kernel_at(k)) != NULL; k++) {
    all[n++] = &kernel->plain_bf16;
    all[n++] = &kernel->plain_float32;
  }
  *n_plain = n;
  for (size_t i = 0; (tiles = dfm_tiles_at(i)) != NULL; i++) all[n++] = tiles;
  return n;
}

static float from_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static float value(uint16_t x) {
  return from_bits((uint32_t)x << 16);
}

/* To the nearest, ties to even; x is a number. */
static uint16_t nearest(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static uint16_t rounded(const dfm_tiles *tiles, float x) {
  uint16_t tile[2][PARTS * DFM_TILE_NUMBERS];
  tiles->convert(&(dfm_tile_block){.from = &x, .ld = 1, .rows = 1, .columns = 1, .left = {tile[0], tile[1]}});
  return tile[0][0];
}

/* Part i of x, which is a number. */
static uint16_t part_of(float x, int i) {
  for (; i > 0; i--) x -= value(nearest(x));
  return nearest(x);
}

static float random_float(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (float)(int32_t)(*state >> 33) * 0x1p-30f - 1;
}

/* ---- rounding */

/* One in eleven: a bfloat16 stays what it is; what lies between it and the next goes to the nearer, the middle to the
 * even one. From `from` on: instructions take what is below 2^-126 for zero. */
static void check_rounding(const dfm_tiles *tiles, uint32_t from) {
  for (uint32_t i = from; i < 0x7f80; i += 11) /* up to the largest, whose next is infinity */
    for (uint32_t sign = 0; sign < 2; sign++) {
      const uint32_t low = i | sign << 15, bits = low << 16;
      assert_int_equal(rounded(tiles, from_bits(bits)), low);
      assert_int_equal(rounded(tiles, from_bits(bits + 1)), low);
      assert_int_equal(rounded(tiles, from_bits(bits + 0x7fff)), low);
      assert_int_equal(rounded(tiles, from_bits(bits + 0x8000)), low + (low & 1));
      assert_int_equal(rounded(tiles, from_bits(bits + 0x8001)), low + 1);
      assert_int_equal(rounded(tiles, from_bits(bits + 0xffff)), low + 1);
    }
}

static void test_rounding(void **state) {
  const dfm_tiles *all[MOST];
  int n_plain;
  const int n = list_all(all, &n_plain);
  (void)state;
  for (int i = 0; i < n; i++) check_rounding(all[i], i < n_plain ? 0 : 0x80);
  if (n == n_plain) printf("not run: tiles by instructions, which this CPU lacks\n");
}

static void test_rounding_of_no_numbers(void **state) {
  static const uint32_t nans[] = {0x7f800001, 0x7fffffff, 0x7fc00000, 0xff800001, 0xffffffff, 0x7fff8000};
  const dfm_tiles *all[MOST];
  int n_plain;
  const int n = list_all(all, &n_plain);
  (void)state;
  for (int k = 0; k < n; k++) {
    for (size_t i = 0; i < sizeof nans / sizeof *nans; i++) {
      const float x = value(rounded(all[k], from_bits(nans[i])));
      assert_true(isnan(x) && !signbit(x) == !(nans[i] >> 31));
    }
    assert_true(isinf(value(rounded(all[k], INFINITY))) && value(rounded(all[k], -INFINITY)) < 0);
    assert_true(isinf(value(rounded(all[k], FLT_MAX))));
  }
}

/* A number's parts hold all of it, whatever its size, down to where the last bit of a part would be below 2^-126. */
static void test_parts_add_up(void **state) {
  const dfm_tiles *all[MOST];
  uint64_t seed = 3;
  int n_plain;
  const int n = list_all(all, &n_plain);
  (void)state;
  for (int k = 0; k < n; k++)
    for (int exponent = -100; all[k]->parts == PARTS && exponent < 127; exponent++)
      for (int i = 0; i < 20; i++) {
        const float x = ldexpf(random_float(&seed), exponent);
        uint16_t tile[2][PARTS * DFM_TILE_NUMBERS];
        all[k]->convert(&(dfm_tile_block){.from = &x, .ld = 1, .rows = 1, .columns = 1, .left = {tile[0], tile[1]}});
        const float rest = value(tile[0][DFM_TILE_NUMBERS]) + value(tile[0][2 * DFM_TILE_NUMBERS]);
        assert_true(value(tile[0][0]) + rest == x);
      }
}

/* ---- conversion of a block */

enum {
  BIAS = 1,
  ACTIVE = 2,
  SUM = 4,
  TO = 8,
  ADDS = 16,
  LEFT = 32,
  RIGHT = 64,
  LEFT_T = 128,
  RIGHT_T = 256,
  POSITIVE = 512,
  ALL = 1024
};
enum { LD = SIDE + 5, ROOM = PARTS * DFM_TILE_NUMBERS };

/* What a conversion reads and writes. */
typedef struct blocks {
  float from[SIDE * LD], to[SIDE * LD], bias[SIDE], sum[SIDE];
  uint32_t active[SIDE], positive[SIDE];
  uint16_t left[2][ROOM], right[2][ROOM], left_t[2][ROOM], right_t[2][ROOM];
} blocks;

static void fill(blocks *x, int rows, int columns) {
  uint64_t seed = (uint64_t)(rows * 100 + columns);
  memset(x, 0xa5, sizeof *x);
  for (int i = 0; i < SIDE * LD; i++) {
    const bool exists = i / LD < rows && i % LD < columns;
    x->from[i] = exists ? random_float(&seed) : NAN;
    x->to[i] = random_float(&seed);
  }
  for (int c = 0; c < columns; c++) {
    x->bias[c] = random_float(&seed);
    x->sum[c] = random_float(&seed);
  }
  for (int r = 0; r < SIDE; r++) {
    x->active[r] = 0;
    for (int c = 0; c < SIDE; c++) x->active[r] |= (uint32_t)(random_float(&seed) > 0) << c;
  }
}

static dfm_tile_block describe(blocks *x, int rows, int columns, int flags) {
  dfm_tile_block block = {.from = x->from, .ld = LD, .rows = rows, .columns = columns, .ldto = LD};
  block.adds = flags & ADDS;
  if (flags & BIAS) block.bias = x->bias;
  if (flags & SUM) block.sum = x->sum;
  if (flags & TO) block.to = x->to;
  if (flags & ACTIVE) block.active = x->active;
  if (flags & POSITIVE) block.positive = x->positive;
  for (int i = 0; i < 2; i++) {
    if (flags & LEFT) block.left[i] = x->left[i];
    if (flags & RIGHT) block.right[i] = x->right[i];
    if (flags & LEFT_T) block.left_transposed[i] = x->left_t[i];
    if (flags & RIGHT_T) block.right_transposed[i] = x->right_t[i];
  }
  return block;
}

/* Where row r, column c of a matrix is in its tiles. */
static uint16_t *in_left(uint16_t tile[2][ROOM], int r, int c) {
  return &tile[r / HALF][r % HALF * 32 + c];
}
static uint16_t *in_right(uint16_t tile[2][ROOM], int r, int c) {
  return &tile[c / HALF][r / 2 * 32 + c % HALF * 2 + r % 2];
}

static void expect(blocks *x, int parts, int rows, int columns, int flags) {
  for (int r = 0; r < SIDE; r++)
    for (int c = 0; c < SIDE; c++) {
      const bool exists = r < rows && c < columns;
      float y = exists ? x->from[r * LD + c] : 0;
      if (exists && flags & BIAS) y = fmaxf(y + x->bias[c], 0);
      if (exists && flags & ACTIVE && !(x->active[r] >> c & 1)) y = 0;
      if (exists && flags & SUM) x->sum[c] += y;
      if (exists && flags & TO) x->to[r * LD + c] = flags & ADDS ? x->to[r * LD + c] + y : y;
      if (flags & POSITIVE) x->positive[r] = (c > 0 ? x->positive[r] : 0) | (uint32_t)(y > 0) << c;
      for (int i = 0; i < parts; i++) {
        const int at = i * DFM_TILE_NUMBERS;
        const uint16_t number = part_of(y, i);
        if (flags & LEFT) in_left(x->left, r, c)[at] = number;
        if (flags & RIGHT) in_right(x->right, r, c)[at] = number;
        if (flags & LEFT_T) in_left(x->left_t, c, r)[at] = number;
        if (flags & RIGHT_T) in_right(x->right_t, c, r)[at] = number;
      }
    }
}

static void check_conversions(const dfm_tiles *tiles, int rows, int columns) {
  static blocks expected, got;
  for (int flags = 0; flags < ALL; flags++) {
    fill(&expected, rows, columns);
    fill(&got, rows, columns);
    expect(&expected, tiles->parts, rows, columns, flags);
    const dfm_tile_block block = describe(&got, rows, columns, flags);
    tiles->convert(&block);
    if (memcmp(&expected, &got, sizeof got) != 0)
      fail_msg("%s, (%d, %d), flags %d: differs", tiles->name, rows, columns, flags);
  }
}

static void test_conversion(void **state) {
  static const int sizes[] = {1, 16, 17, SIDE};
  const dfm_tiles *all[MOST];
  int n_plain;
  const int n = list_all(all, &n_plain);
  (void)state;
  for (int k = 0; k < n; k++)
    for (int s = 0; s < 16; s++) check_conversions(all[k], sizes[s / 4], sizes[s % 4]);
}

/* ---- products of blocks */

enum { DEPTH = 14, STRIP = DEPTH * ROOM };

/* A (32, 32 depth) and B (32 depth, 32) as numbers of so many parts, and as tiles. */
typedef struct product {
  float A[SIDE][DEPTH * SIDE], B[DEPTH * SIDE][SIDE];
  uint16_t a[2][STRIP], b[2][STRIP];
  float c[DFM_TILE_BLOCK_FLOATS], before[DFM_TILE_BLOCK_FLOATS];
  int depth, rows;
} product;

/* With depths come rows: all, half of them, and others. */
static void make(const dfm_tiles *tiles, product *p, int depth, bool adds) {
  uint64_t seed = (uint64_t)depth;
  p->depth = depth;
  p->rows = depth % 3 ? SIDE - depth % 3 * (HALF - depth / 3) : SIDE;
  for (int k = 0; k < SIDE * depth; k++)
    for (int i = 0; i < SIDE; i++) {
      const float a = random_float(&seed), b = random_float(&seed);
      p->A[i][k] = tiles->parts > 1 ? a : value(nearest(a));
      p->B[k][i] = tiles->parts > 1 ? b : value(nearest(b));
    }
  for (int t = 0; t < depth; t++) {
    const int at = t * tiles->parts * DFM_TILE_NUMBERS;
    dfm_tile_block block = {.ld = DEPTH * SIDE, .rows = SIDE, .columns = SIDE};
    block.from = &p->A[0][t * SIDE];
    for (int half = 0; half < 2; half++) block.left[half] = p->a[half] + at;
    tiles->convert(&block);
    block = (dfm_tile_block){.from = p->B[t * SIDE], .ld = SIDE, .rows = SIDE, .columns = SIDE};
    for (int half = 0; half < 2; half++) block.right[half] = p->b[half] + at;
    tiles->convert(&block);
  }
  for (int i = 0; i < DFM_TILE_BLOCK_FLOATS; i++) p->before[i] = adds ? random_float(&seed) : NAN;
}

static void multiply(const dfm_tiles *tiles, product *p, bool adds, const dfm_tile_block *block) {
  const dfm_tile_strips strips = {.a = {p->a[0], p->a[1]}, .b = {p->b[0], p->b[1]}, .depth = p->depth, .rows = p->rows};
  memcpy(p->c, p->before, sizeof p->c);
  tiles->begin();
  tiles->multiply(p->c, &strips, adds, block);
  tiles->end();
}

/* As near as a sum in float32, one product after the other, must come. */
static void check_product(const dfm_tiles *tiles, const product *p, bool adds) {
  for (int i = 0; i < p->rows; i++)
    for (int j = 0; j < SIDE; j++) {
      double sum = adds ? (double)p->before[i * SIDE + j] : 0, size = fabs(sum);
      for (int k = 0; k < p->depth * SIDE; k++) {
        sum += (double)p->A[i][k] * (double)p->B[k][j];
        size += fabs((double)p->A[i][k] * (double)p->B[k][j]);
      }
      if (!(fabs((double)p->c[i * SIDE + j] - sum) <= 4e-7 * size))
        fail_msg("%s of %d, depth %d, adds %d: c[%d][%d] = %g, expected %g", tiles->name, tiles->parts, p->depth, adds,
                 i, j, (double)p->c[i * SIDE + j], sum);
    }
}

/* Alone, and while another block is converted, which must not change either. Plain ones agree to the bit. */
static void check_multiply(const dfm_tiles *tiles, int depth, bool adds, bool is_plain) {
  static product p, plain;
  static blocks expected, got;
  make(tiles, &p, depth, adds);
  multiply(tiles, &p, adds, NULL);
  check_product(tiles, &p, adds);
  make(tiles, &plain, depth, adds);
  multiply(tiles->parts > 1 ? &generic()->plain_float32 : &generic()->plain_bf16, &plain, adds, NULL);
  if (is_plain) assert_memory_equal(p.c, plain.c, (size_t)p.rows * SIDE * sizeof *p.c);
  memcpy(plain.c, p.c, sizeof p.c);
  for (int flags = 0; flags < ALL; flags += 7) {
    fill(&expected, SIDE - depth, SIDE);
    fill(&got, SIDE - depth, SIDE);
    const dfm_tile_block block = describe(&got, SIDE - depth, SIDE, flags);
    multiply(tiles, &p, adds, &block);
    expect(&expected, tiles->parts, SIDE - depth, SIDE, flags);
    assert_memory_equal(&got, &expected, sizeof got);
    assert_memory_equal(p.c, plain.c, (size_t)p.rows * SIDE * sizeof *p.c);
  }
}

static void test_multiply(void **state) {
  const dfm_tiles *all[MOST];
  int n_plain;
  const int n = list_all(all, &n_plain);
  (void)state;
  for (int k = 0; k < n; k++)
    for (int depth = 1; depth <= DEPTH; depth++)
      for (int adds = 0; adds < 2; adds++) check_multiply(all[k], depth, adds, k < n_plain);
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rounding),     cmocka_unit_test(test_rounding_of_no_numbers),
      cmocka_unit_test(test_parts_add_up), cmocka_unit_test(test_conversion),
      cmocka_unit_test(test_multiply),
  };
  return test_main(argc, argv, "tiles", tests, sizeof tests / sizeof *tests);
}
