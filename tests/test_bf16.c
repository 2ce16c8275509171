/* bfloat16: numbers and blocks come in; rounding must be to the nearest, conversions must put each number where kernel/bf16.h
 * says, products must be near a double's. The plain one must give the same bits on every table. What this CPU cannot run is
 * said. */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "kernel/kernel.h"
#include "test.h"

enum { SIDE = DFM_BF16_BLOCK, HALF = 16, MOST = 8 };

static const dfm_kernel *generic(void) {
  dfm_error error;
  const dfm_kernel *kernel = NULL;
  assert_ok(dfm_kernel_find("generic", &kernel, &error));
  return kernel;
}

/* All that this CPU runs, the tables' plain ones first; returns how many of those there are, and of all. */
static int list_all(const dfm_bf16 *all[MOST], int *n_plain) {
  const dfm_kernel *kernel;
  const dfm_bf16 *bf16;
  int n = 0;
  for (size_t k = 0; (kernel = dfm_kernel_at(k)) != NULL; k++) all[n++] = &kernel->bf16;
  *n_plain = n;
  for (size_t i = 0; (bf16 = dfm_bf16_at(i)) != NULL; i++) all[n++] = bf16;
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

static uint16_t rounded(const dfm_bf16 *bf16, float x) {
  uint16_t tile[2][DFM_TILE_NUMBERS];
  bf16->convert(&(dfm_bf16_block){.from = &x, .ld = 1, .rows = 1, .columns = 1, .left = {tile[0], tile[1]}});
  return tile[0][0];
}

static float random_float(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (float)(int32_t)(*state >> 33) * 0x1p-30f - 1;
}

/* ---- rounding */

/* One in three: a bfloat16 stays what it is; what lies between it and the next goes to the nearer, the middle to the even one. From
 * `from` on: instructions take what is below 2^-126 for zero. */
static void check_rounding(const dfm_bf16 *bf16, uint32_t from) {
  for (uint32_t i = from; i < 0x7f80; i += 3) /* up to the largest, whose next is infinity */
    for (uint32_t sign = 0; sign < 2; sign++) {
      const uint32_t low = i | sign << 15, bits = low << 16;
      assert_int_equal(rounded(bf16, from_bits(bits)), low);
      assert_int_equal(rounded(bf16, from_bits(bits + 1)), low);
      assert_int_equal(rounded(bf16, from_bits(bits + 0x7fff)), low);
      assert_int_equal(rounded(bf16, from_bits(bits + 0x8000)), low + (low & 1));
      assert_int_equal(rounded(bf16, from_bits(bits + 0x8001)), low + 1);
      assert_int_equal(rounded(bf16, from_bits(bits + 0xffff)), low + 1);
    }
}

static void test_rounding(void **state) {
  const dfm_bf16 *all[MOST];
  int n_plain;
  const int n = list_all(all, &n_plain);
  (void)state;
  for (int i = 0; i < n; i++) check_rounding(all[i], i < n_plain ? 0 : 0x80);
  if (n == n_plain) printf("not run: bfloat16 by instructions, which this CPU lacks\n");
}

static void test_rounding_of_no_numbers(void **state) {
  static const uint32_t nans[] = {0x7f800001, 0x7fffffff, 0x7fc00000, 0xff800001, 0xffffffff, 0x7fff8000};
  const dfm_bf16 *all[MOST];
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
  ALL = 512
};
enum { LD = SIDE + 5 };

/* What a conversion reads and writes. */
typedef struct blocks {
  float from[SIDE * LD], to[SIDE * LD], bias[SIDE], sum[SIDE];
  uint16_t active[2][DFM_TILE_NUMBERS];
  uint16_t left[2][DFM_TILE_NUMBERS], right[2][DFM_TILE_NUMBERS];
  uint16_t left_t[2][DFM_TILE_NUMBERS], right_t[2][DFM_TILE_NUMBERS];
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
  for (int i = 0; i < 2 * DFM_TILE_NUMBERS; i++)
    x->active[i / DFM_TILE_NUMBERS][i % DFM_TILE_NUMBERS] = random_float(&seed) > 0 ? 0x3f80 : (i % 2) << 15;
}

static dfm_bf16_block describe(blocks *x, int rows, int columns, int flags) {
  dfm_bf16_block block = {.from = x->from, .ld = LD, .rows = rows, .columns = columns, .ldto = LD};
  block.adds = flags & ADDS;
  if (flags & BIAS) block.bias = x->bias;
  if (flags & SUM) block.sum = x->sum;
  if (flags & TO) block.to = x->to;
  for (int i = 0; i < 2; i++) {
    if (flags & ACTIVE) block.active[i] = x->active[i];
    if (flags & LEFT) block.left[i] = x->left[i];
    if (flags & RIGHT) block.right[i] = x->right[i];
    if (flags & LEFT_T) block.left_transposed[i] = x->left_t[i];
    if (flags & RIGHT_T) block.right_transposed[i] = x->right_t[i];
  }
  return block;
}

/* Where row r, column c of a matrix is in its tiles. */
static uint16_t *in_left(uint16_t tile[2][DFM_TILE_NUMBERS], int r, int c) {
  return &tile[r / HALF][r % HALF * 32 + c];
}
static uint16_t *in_right(uint16_t tile[2][DFM_TILE_NUMBERS], int r, int c) {
  return &tile[c / HALF][r / 2 * 32 + c % HALF * 2 + r % 2];
}

static void expect(blocks *x, int rows, int columns, int flags) {
  for (int r = 0; r < SIDE; r++)
    for (int c = 0; c < SIDE; c++) {
      const bool exists = r < rows && c < columns;
      float y = exists ? x->from[r * LD + c] : 0;
      if (exists && flags & BIAS) y = fmaxf(y + x->bias[c], 0);
      if (exists && flags & ACTIVE && value(*in_left(x->active, r, c)) <= 0) y = 0;
      if (exists && flags & SUM) x->sum[c] += y;
      if (exists && flags & TO) x->to[r * LD + c] = flags & ADDS ? x->to[r * LD + c] + y : y;
      const uint16_t number = nearest(y);
      if (flags & LEFT) *in_left(x->left, r, c) = number;
      if (flags & RIGHT) *in_right(x->right, r, c) = number;
      if (flags & LEFT_T) *in_left(x->left_t, c, r) = number;
      if (flags & RIGHT_T) *in_right(x->right_t, c, r) = number;
    }
}

static void check_conversions(const dfm_bf16 *bf16, int rows, int columns) {
  static blocks expected, got;
  for (int flags = 0; flags < ALL; flags++) {
    fill(&expected, rows, columns);
    fill(&got, rows, columns);
    expect(&expected, rows, columns, flags);
    const dfm_bf16_block block = describe(&got, rows, columns, flags);
    bf16->convert(&block);
    if (memcmp(&expected, &got, sizeof got) != 0)
      fail_msg("%s, (%d, %d), flags %d: differs", bf16->name, rows, columns, flags);
  }
}

static void test_conversion(void **state) {
  static const int sizes[] = {1, 2, 15, 16, 17, 31, SIDE};
  const dfm_bf16 *all[MOST];
  int n_plain;
  const int n = list_all(all, &n_plain);
  (void)state;
  for (int k = 0; k < n; k++)
    for (int s = 0; s < 49; s++) check_conversions(all[k], sizes[s / 7], sizes[s % 7]);
}

/* ---- products of blocks */

enum { DEPTH = 14, STRIP = DEPTH * DFM_TILE_NUMBERS };

typedef struct product {
  uint16_t a[2][STRIP], b[2][STRIP];
  float c[DFM_BF16_BLOCK_FLOATS], before[DFM_BF16_BLOCK_FLOATS];
  int depth;
} product;

static void make(product *p, int depth, bool adds) {
  uint64_t seed = (uint64_t)depth;
  p->depth = depth;
  for (int i = 0; i < 2 * STRIP; i++) {
    p->a[i / STRIP][i % STRIP] = nearest(random_float(&seed));
    p->b[i / STRIP][i % STRIP] = nearest(random_float(&seed));
  }
  for (int i = 0; i < DFM_BF16_BLOCK_FLOATS; i++) p->before[i] = adds ? random_float(&seed) : NAN;
}

static void multiply(const dfm_bf16 *bf16, product *p, bool adds, const dfm_bf16_block *block) {
  memcpy(p->c, p->before, sizeof p->c);
  bf16->begin();
  bf16->multiply(p->c, &(dfm_bf16_strips){.a = {p->a[0], p->a[1]}, .b = {p->b[0], p->b[1]}, .depth = p->depth}, adds,
                 block);
  bf16->end();
}

static void check_product(const dfm_bf16 *bf16, const product *p, bool adds) {
  for (int i = 0; i < SIDE; i++)
    for (int j = 0; j < SIDE; j++) {
      double sum = adds ? (double)p->before[i * SIDE + j] : 0;
      for (int k = 0; k < p->depth * 32; k++) {
        const size_t at = (size_t)(k / 32) * DFM_TILE_NUMBERS;
        const uint16_t a = p->a[i / HALF][at + (size_t)(i % HALF * 32 + k % 32)];
        const uint16_t b = p->b[j / HALF][at + (size_t)(k % 32 / 2 * 32 + j % HALF * 2 + k % 2)];
        sum += (double)value(a) * (double)value(b);
      }
      if (!(fabs((double)p->c[i * SIDE + j] - sum) <= 1e-6 * (3 + p->depth * 6)))
        fail_msg("%s, depth %d, adds %d: c[%d][%d] = %g, expected %g", bf16->name, p->depth, adds, i, j,
                 (double)p->c[i * SIDE + j], sum);
    }
}

/* Alone, and while another block is converted, which must not change either. Plain ones agree to the bit. */
static void check_multiply(const dfm_bf16 *bf16, int depth, bool adds, bool is_plain) {
  static product p, plain;
  static blocks expected, got;
  make(&p, depth, adds);
  multiply(bf16, &p, adds, NULL);
  check_product(bf16, &p, adds);
  make(&plain, depth, adds);
  multiply(&generic()->bf16, &plain, adds, NULL);
  if (is_plain) assert_memory_equal(p.c, plain.c, sizeof p.c);
  memcpy(plain.c, p.c, sizeof p.c);
  for (int flags = 0; flags < ALL; flags += 7) {
    fill(&expected, SIDE - depth, SIDE);
    fill(&got, SIDE - depth, SIDE);
    const dfm_bf16_block block = describe(&got, SIDE - depth, SIDE, flags);
    multiply(bf16, &p, adds, &block);
    expect(&expected, SIDE - depth, SIDE, flags);
    assert_memory_equal(&got, &expected, sizeof got);
    assert_memory_equal(p.c, plain.c, sizeof p.c);
  }
}

static void test_multiply(void **state) {
  const dfm_bf16 *all[MOST];
  int n_plain;
  const int n = list_all(all, &n_plain);
  (void)state;
  for (int k = 0; k < n; k++)
    for (int depth = 1; depth <= DEPTH; depth++)
      for (int adds = 0; adds < 2; adds++) check_multiply(all[k], depth, adds, k < n_plain);
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rounding),
      cmocka_unit_test(test_rounding_of_no_numbers),
      cmocka_unit_test(test_conversion),
      cmocka_unit_test(test_multiply),
  };
  return test_main(argc, argv, "bf16", tests, sizeof tests / sizeof *tests);
}
