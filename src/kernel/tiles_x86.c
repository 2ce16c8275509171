/* Tiles by the CPU's own instructions: AVX-512 BF16 (AMD since Zen 4, Intel since Cooper Lake), and AMX tiles on top
 * (Intel since Sapphire Rapids). tiles.h says what each function does. */
#include "kernel/kernel_tables.h"
#include "kernel/unroll.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WIDE_FEATURES "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16"
#define WIDE __attribute__((target(WIDE_FEATURES)))
#define WIDE_INLINE WIDE __attribute__((always_inline)) static inline
#define AMX __attribute__((target(WIDE_FEATURES ",amx-tile,amx-bf16")))
#define AMX_INLINE AMX __attribute__((always_inline)) static inline

enum { HALF = 16, PAIRS = 16 };

/* ---- conversion: a row of a block is two registers of floats, a pair of rows' numbers two registers of pairs */

typedef struct row {
  __m512 low, high; /* columns [0, 16) and [16, 32) */
} row;

typedef struct columns { /* that exist */
  __mmask16 low, high;
} columns;

WIDE_INLINE columns columns_of(int n) {
  const uint32_t mask = n == DFM_TILE_BLOCK ? 0xffffffffu : (UINT32_C(1) << n) - 1;
  return (columns){(__mmask16)mask, (__mmask16)(mask >> HALF)};
}

WIDE_INLINE row load(const float *from, columns exist) {
  return (row){_mm512_maskz_loadu_ps(exist.low, from), _mm512_maskz_loadu_ps(exist.high, from + HALF)};
}

WIDE_INLINE row load_row(const dfm_tile_block *block, int r, columns exist, row bias) {
  row x = {_mm512_setzero_ps(), _mm512_setzero_ps()};
  if (r >= block->rows) return x;
  x = load(block->from + (size_t)r * block->ld, exist);
  if (block->bias) { /* of a NaN and a number, max takes its second operand */
    x.low = _mm512_max_ps(_mm512_setzero_ps(), _mm512_add_ps(x.low, bias.low));
    x.high = _mm512_max_ps(_mm512_setzero_ps(), _mm512_add_ps(x.high, bias.high));
  }
  if (block->active) {
    x.low = _mm512_maskz_mov_ps((__mmask16)block->active[r], x.low);
    x.high = _mm512_maskz_mov_ps((__mmask16)(block->active[r] >> HALF), x.high);
  }
  return x;
}

WIDE_INLINE uint32_t positive_of(row x) {
  const __m512 zero = _mm512_setzero_ps();
  return _mm512_cmp_ps_mask(x.low, zero, _CMP_GT_OQ) | (uint32_t)_mm512_cmp_ps_mask(x.high, zero, _CMP_GT_OQ) << HALF;
}

WIDE_INLINE void store_row(const dfm_tile_block *block, int r, row x, columns exist) {
  float *to = block->to + (size_t)r * block->ldto;
  if (r >= block->rows) return;
  if (block->adds) {
    const row before = load(to, exist);
    x.low = _mm512_add_ps(before.low, x.low);
    x.high = _mm512_add_ps(before.high, x.high);
  }
  _mm512_mask_storeu_ps(to, exist.low, x.low);
  _mm512_mask_storeu_ps(to + HALF, exist.high, x.high);
}

/* y[c] = element c of x[0], ..., x[15]: pairs of a tile, by column instead of by row. */
WIDE_INLINE void transpose_pairs(uint16_t *to, const __m512i x[PAIRS]) {
  __m512i a[PAIRS], b[PAIRS];
  KERNEL_UNROLL(8)
  for (int i = 0; i < PAIRS; i += 2) {
    a[i] = _mm512_unpacklo_epi32(x[i], x[i + 1]);
    a[i + 1] = _mm512_unpackhi_epi32(x[i], x[i + 1]);
  }
  KERNEL_UNROLL(4)
  for (int i = 0; i < PAIRS; i += 4) {
    KERNEL_UNROLL(2)
    for (int j = 0; j < 2; j++) {
      b[i + 2 * j] = _mm512_unpacklo_epi64(a[i + j], a[i + j + 2]);
      b[i + 2 * j + 1] = _mm512_unpackhi_epi64(a[i + j], a[i + j + 2]);
    }
  }
  /* b[4 q + j] has columns j, j + 4, j + 8, j + 12 of rows [4 q, 4 q + 4) */
  KERNEL_UNROLL(4)
  for (int j = 0; j < 4; j++) {
    const __m512i even_a = _mm512_shuffle_i32x4(b[j], b[4 + j], 0x88),
                  odd_a = _mm512_shuffle_i32x4(b[j], b[4 + j], 0xdd);
    const __m512i even_b = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0x88),
                  odd_b = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0xdd);
    _mm512_storeu_si512(to + (size_t)(j + 0) * 32, _mm512_shuffle_i32x4(even_a, even_b, 0x88));
    _mm512_storeu_si512(to + (size_t)(j + 4) * 32, _mm512_shuffle_i32x4(odd_a, odd_b, 0x88));
    _mm512_storeu_si512(to + (size_t)(j + 8) * 32, _mm512_shuffle_i32x4(even_a, even_b, 0xdd));
    _mm512_storeu_si512(to + (size_t)(j + 12) * 32, _mm512_shuffle_i32x4(odd_a, odd_b, 0xdd));
  }
}

/* A conversion is done in units, between which others' instructions may stand: pairs of rows, then transpositions. */
enum { TRANSPOSITIONS = 4, PARTS = DFM_FLOAT32_PARTS };

typedef struct conversion {
  const dfm_tile_block *block;
  columns exist;
  row bias, sum;
  __m512i rows[PARTS][2][HALF], pairs[PARTS][2][PAIRS]; /* as LEFT and RIGHT tiles, to be transposed */
} conversion;

WIDE_INLINE int units_of(int parts) {
  return PAIRS + TRANSPOSITIONS * parts;
}

WIDE_INLINE void convert_begin(conversion *now, const dfm_tile_block *block) {
  const row none = {_mm512_setzero_ps(), _mm512_setzero_ps()};
  now->block = block;
  now->exist = columns_of(block->columns);
  now->bias = block->bias ? load(block->bias, now->exist) : none;
  now->sum = block->sum ? load(block->sum, now->exist) : none;
}

/* Part p of rows r and r + 1: x and y. */
WIDE_INLINE void convert_pairs(conversion *now, int r, int p, __m512i x, __m512i y) {
  const dfm_tile_block *block = now->block;
  const __m512i turns = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6, 37,
                                         5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
  const __m512i low = _mm512_permutex2var_epi16(x, turns, y);
  const __m512i high = _mm512_permutex2var_epi16(x, _mm512_add_epi16(turns, _mm512_set1_epi16(HALF)), y);
  if (block->right[0]) {
    _mm512_storeu_si512(block->right[0] + p * DFM_TILE_NUMBERS + r * 16, low);
    _mm512_storeu_si512(block->right[1] + p * DFM_TILE_NUMBERS + r * 16, high);
  }
  if (block->left_transposed[0]) {
    now->pairs[p][0][r / 2] = low;
    now->pairs[p][1][r / 2] = high;
  }
}

WIDE_INLINE __m512i round_row(row x) {
  return (__m512i)_mm512_cvtne2ps_pbh(x.high, x.low);
}

/* What rounding left over. */
WIDE_INLINE row rest_of(row x, __m512i rounded) {
  const __m512i low = _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(rounded)), 16),
                high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(rounded, 1)), 16);
  return (row){_mm512_sub_ps(x.low, _mm512_castsi512_ps(low)), _mm512_sub_ps(x.high, _mm512_castsi512_ps(high))};
}

WIDE_INLINE void convert_rows(conversion *now, int r, int parts) {
  const dfm_tile_block *block = now->block;
  const columns exist = now->exist;
  row x = load_row(block, r, exist, now->bias), y = load_row(block, r + 1, exist, now->bias);
  if (block->sum) {
    now->sum.low = _mm512_add_ps(_mm512_add_ps(now->sum.low, x.low), y.low);
    now->sum.high = _mm512_add_ps(_mm512_add_ps(now->sum.high, x.high), y.high);
  }
  if (block->positive) {
    block->positive[r] = positive_of(x);
    block->positive[r + 1] = positive_of(y);
  }
  if (block->to) {
    store_row(block, r, x, exist);
    store_row(block, r + 1, y, exist);
  }
  if (!block->left[0] && !block->right[0] && !block->left_transposed[0] && !block->right_transposed[0]) return;
  for (int p = 0; p < parts; p++) {
    const __m512i a = round_row(x), b = round_row(y);
    if (block->left[0]) {
      uint16_t *left = block->left[r / HALF] + p * DFM_TILE_NUMBERS + r % HALF * 32;
      _mm512_storeu_si512(left, a);
      _mm512_storeu_si512(left + 32, b);
    }
    if (block->right_transposed[0]) {
      now->rows[p][r / HALF][r % HALF] = a;
      now->rows[p][r / HALF][r % HALF + 1] = b;
    }
    if (block->right[0] || block->left_transposed[0]) convert_pairs(now, r, p, a, b);
    if (p + 1 == parts) break;
    x = rest_of(x, a);
    y = rest_of(y, b);
  }
}

WIDE_INLINE void convert_unit(conversion *now, int unit, int parts) {
  const dfm_tile_block *block = now->block;
  if (unit < PAIRS) {
    convert_rows(now, 2 * unit, parts);
    return;
  }
  const int tile = unit % 2, p = (unit - PAIRS) / TRANSPOSITIONS;
  if ((unit - PAIRS) % TRANSPOSITIONS < 2) {
    if (block->left_transposed[0])
      transpose_pairs(block->left_transposed[tile] + p * DFM_TILE_NUMBERS, now->pairs[p][tile]);
  } else if (block->right_transposed[0]) {
    transpose_pairs(block->right_transposed[tile] + p * DFM_TILE_NUMBERS, now->rows[p][tile]);
  }
}

WIDE_INLINE void convert_end(const conversion *now) {
  float *sum = now->block->sum;
  if (!sum) return;
  _mm512_mask_storeu_ps(sum, now->exist.low, now->sum.low);
  _mm512_mask_storeu_ps(sum + HALF, now->exist.high, now->sum.high);
}

WIDE_INLINE void convert_block(const dfm_tile_block *block, int parts) {
  conversion now;
  convert_begin(&now, block);
  for (int unit = 0; unit < units_of(parts); unit++) convert_unit(&now, unit, parts);
  convert_end(&now);
}

WIDE static void convert_bf16(const dfm_tile_block *block) {
  convert_block(block, 1);
}

WIDE static void convert_float32(const dfm_tile_block *block) {
  convert_block(block, DFM_FLOAT32_PARTS);
}

/* ---- AVX-512 BF16: 8 rows by 32 columns of sums stay in registers */

enum { WIDE_ROWS = 8 };

WIDE_INLINE void multiply_rows(float *c, const uint16_t *a, const dfm_tile_strips *strips, bool adds) {
  const uint16_t *b[] = {strips->b[0], strips->b[1]};
  __m512 sum[WIDE_ROWS][2];
  KERNEL_UNROLL(8)
  for (int r = 0; r < WIDE_ROWS; r++) {
    KERNEL_UNROLL(2)
    for (int half = 0; half < 2; half++)
      sum[r][half] = adds ? _mm512_loadu_ps(c + r * DFM_TILE_BLOCK + half * HALF) : _mm512_setzero_ps();
  }
  for (int tile = 0; tile < strips->depth; tile++, a += DFM_TILE_NUMBERS)
    for (int p = 0; p < PAIRS; p++, b[0] += 32, b[1] += 32) {
      const __m512bh low = (__m512bh)_mm512_loadu_si512(b[0]), high = (__m512bh)_mm512_loadu_si512(b[1]);
      KERNEL_UNROLL(8)
      for (int r = 0; r < WIDE_ROWS; r++) {
        int pair;
        __builtin_memcpy(&pair, a + r * 32 + p * 2, sizeof pair);
        const __m512bh x = (__m512bh)_mm512_set1_epi32(pair);
        sum[r][0] = _mm512_dpbf16_ps(sum[r][0], x, low);
        sum[r][1] = _mm512_dpbf16_ps(sum[r][1], x, high);
      }
    }
  KERNEL_UNROLL(8)
  for (int r = 0; r < WIDE_ROWS; r++) {
    KERNEL_UNROLL(2)
    for (int half = 0; half < 2; half++) _mm512_storeu_ps(c + r * DFM_TILE_BLOCK + half * HALF, sum[r][half]);
  }
}

WIDE static void multiply_wide(float *c, const dfm_tile_strips *strips, bool adds, const dfm_tile_block *before) {
  for (int r = 0; r < strips->rows; r += WIDE_ROWS)
    multiply_rows(c + r * DFM_TILE_BLOCK, strips->a[r / HALF] + (size_t)(r % HALF) * 32, strips, adds);
  if (before) convert_bf16(before);
}

static void nothing(void) {}

const dfm_tiles dfm_tiles_avx512 = {.name = "avx512_bf16",
                                    .parts = 1,
                                    .begin = nothing,
                                    .end = nothing,
                                    .multiply = multiply_wide,
                                    .convert = convert_bf16};

/* ---- AMX: a block is four tiles of sums; two strips of A meet two of B */

enum { C_ROW = DFM_TILE_BLOCK * sizeof(float), C_LOW = HALF * DFM_TILE_BLOCK, TILE_ROW = 64, LINE_NUMBERS = 32 };

/* The layout that LDTILECFG reads (Intel, Software Developer's Manual, volume 1, 18.2): all eight tiles of 16 rows
 * of 64 bytes. */
typedef struct tile_layout {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} tile_layout;

AMX static void begin_amx(void) {
  static const tile_layout layout = {
      .palette = 1, .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};
  _tile_loadconfig(&layout);
}

AMX static void end_amx(void) {
  _tile_release();
}

/* A conversion beside a multiply, in as many goes as that has: with their instructions in turns, both run at once.
 * Measured, 1.1 to 1.3 times the rate of one after the other. */
typedef struct beside {
  conversion conversion;
  const dfm_tile_block *block; /* NULL: there is none */
  int goes, unit, due;         /* due: of a unit, in parts of `goes` */
} beside;

AMX_INLINE void go_on(beside *with, int parts) {
  if (!with->block) return;
  for (with->due += units_of(parts); with->due >= with->goes; with->due -= with->goes)
    convert_unit(&with->conversion, with->unit++, parts);
}

AMX_INLINE void ask_ahead(const dfm_tile_strips *strips, int t) {
  for (int i = t * strips->lines; i < (t + 1) * strips->lines; i++)
    _mm_prefetch((const char *)(strips->ahead + (size_t)i * LINE_NUMBERS), _MM_HINT_T1);
}

/* With `halves` 1, rows 16 to 31 of A do not exist. */
AMX_INLINE void load_sums(const float *c, bool adds, int halves) {
  if (!adds) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    return;
  }
  _tile_loadd(0, c, C_ROW);
  _tile_loadd(1, c + HALF, C_ROW);
  if (halves == 1) return;
  _tile_loadd(2, c + C_LOW, C_ROW);
  _tile_loadd(3, c + C_LOW + HALF, C_ROW);
}

AMX_INLINE void store_sums(float *c, int halves) {
  _tile_stored(0, c, C_ROW);
  _tile_stored(1, c + HALF, C_ROW);
  if (halves == 1) return;
  _tile_stored(2, c + C_LOW, C_ROW);
  _tile_stored(3, c + C_LOW + HALF, C_ROW);
}

/* Tile t of the strips. Those of A are read past the first-level cache, where the caller wants B to stay: measured,
 * 1.3 times the rate. */
AMX_INLINE void add_bf16(const dfm_tile_strips *strips, int t, int halves, beside *with) {
  const size_t at = (size_t)t * DFM_TILE_NUMBERS;
  _tile_stream_loadd(4, strips->a[0] + at, TILE_ROW);
  _tile_loadd(6, strips->b[0] + at, TILE_ROW);
  _tile_dpbf16ps(0, 4, 6);
  _tile_loadd(7, strips->b[1] + at, TILE_ROW);
  _tile_dpbf16ps(1, 4, 7);
  if (halves == 2) {
    _tile_stream_loadd(5, strips->a[1] + at, TILE_ROW);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  go_on(with, 1);
}

/* Part `part` of A meets the part of B that is there. */
AMX_INLINE void add_part_of_a(const uint16_t *const a[2], int part, int halves, beside *with) {
  _tile_loadd(4, a[0] + part * DFM_TILE_NUMBERS, TILE_ROW);
  _tile_dpbf16ps(0, 4, 6);
  _tile_dpbf16ps(1, 4, 7);
  if (halves == 2) {
    _tile_loadd(5, a[1] + part * DFM_TILE_NUMBERS, TILE_ROW);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  go_on(with, DFM_FLOAT32_PARTS);
}

AMX_INLINE void add_part_of_b(const uint16_t *const b[2], int part, int halves, beside *with) {
  _tile_loadd(6, b[0] + part * DFM_TILE_NUMBERS, TILE_ROW);
  _tile_dpbf16ps(0, 4, 6);
  if (halves == 2) _tile_dpbf16ps(2, 5, 6);
  _tile_loadd(7, b[1] + part * DFM_TILE_NUMBERS, TILE_ROW);
  _tile_dpbf16ps(1, 4, 7);
  if (halves == 2) _tile_dpbf16ps(3, 5, 7);
  go_on(with, DFM_FLOAT32_PARTS);
}

/* The six products of parts, in an order that changes one side at a time: 14 loads for 24 multiplies. */
enum { PRODUCTS = 6 };
AMX_INLINE void add_float32(const dfm_tile_strips *strips, int t, int halves, beside *with) {
  const size_t at = (size_t)t * DFM_FLOAT32_PARTS * DFM_TILE_NUMBERS;
  const uint16_t *const a[] = {strips->a[0] + at, strips->a[1] + at};
  const uint16_t *const b[] = {strips->b[0] + at, strips->b[1] + at};
  _tile_loadd(6, b[0], TILE_ROW);
  _tile_loadd(7, b[1], TILE_ROW);
  add_part_of_a(a, 2, halves, with);
  add_part_of_a(a, 1, halves, with);
  add_part_of_a(a, 0, halves, with);
  add_part_of_b(b, 2, halves, with);
  add_part_of_b(b, 1, halves, with);
  add_part_of_a(a, 1, halves, with);
}

AMX_INLINE void add_all(const dfm_tile_strips *strips, int parts, int halves, beside *with) {
  for (int t = 0; t < strips->depth; t++) {
    ask_ahead(strips, t);
    if (parts == 1)
      add_bf16(strips, t, halves, with);
    else
      add_float32(strips, t, halves, with);
  }
}

AMX_INLINE void multiply_block(float *c, const dfm_tile_strips *strips, bool adds, const dfm_tile_block *before,
                               int parts, int halves) {
  beside with; /* its conversion is large: begun where there is one */
  with.block = before;
  with.unit = with.due = 0;
  with.goes = strips->depth * (parts == 1 ? 1 : PRODUCTS);
  load_sums(c, adds, halves);
  if (before) {
    convert_begin(&with.conversion, before);
    add_all(strips, parts, halves, &with);
    convert_end(&with.conversion);
  } else {
    add_all(strips, parts, halves, &with);
  }
  store_sums(c, halves);
}

AMX static void multiply_bf16(float *c, const dfm_tile_strips *strips, bool adds, const dfm_tile_block *before) {
  if (strips->rows > HALF)
    multiply_block(c, strips, adds, before, 1, 2);
  else
    multiply_block(c, strips, adds, before, 1, 1);
}

AMX static void multiply_float32(float *c, const dfm_tile_strips *strips, bool adds, const dfm_tile_block *before) {
  if (strips->rows > HALF)
    multiply_block(c, strips, adds, before, DFM_FLOAT32_PARTS, 2);
  else
    multiply_block(c, strips, adds, before, DFM_FLOAT32_PARTS, 1);
}

const dfm_tiles dfm_tiles_amx = {
    .name = "amx", .parts = 1, .begin = begin_amx, .end = end_amx, .multiply = multiply_bf16, .convert = convert_bf16};
const dfm_tiles dfm_tiles_amx_float32 = {.name = "amx",
                                         .parts = DFM_FLOAT32_PARTS,
                                         .begin = begin_amx,
                                         .end = end_amx,
                                         .multiply = multiply_float32,
                                         .convert = convert_float32};

/* ---- what runs here */

bool dfm_tiles_runs_avx512(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512bf16");
}

/* Whether the system saves the tiles (bits 17 and 18 of XCR0), and lets this process use them: Linux wants to be
 * asked once (Documentation/arch/x86/xstate.rst), since 5.16. */
static bool system_grants_tiles(void) {
  enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18, TILES = 3 << 17 };
  uint32_t low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  (void)high;
  return (low & TILES) == TILES && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

bool dfm_tiles_runs_amx(void) {
  enum { AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24 };
  uint32_t a, b, c, d;
  return dfm_tiles_runs_avx512() && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & AMX_BF16) && (d & AMX_TILE) &&
         system_grants_tiles();
}
#endif
