/* Every kernel once, in plain C: the including file says for which CPU (KERNEL_TARGET, and KERNEL_VECTOR_BYTES of its
 * registers) and how x y + z is made (KERNEL_MULTIPLY_ADD); kernel_entries.h makes a table of them. Plain
 * loops are written so that gcc and clang vectorise them at -O3 without reassociating a sum; where a sum must stay in
 * registers across a loop, gcc needs the vector type spelled out. */
#include <math.h>
#include <string.h>

#include "kernel/kernel.h"
#include "kernel/unroll.h"

#define KERNEL KERNEL_TARGET static
#define KERNEL_INLINE KERNEL_TARGET __attribute__((always_inline)) static inline

enum { LANES = 16, VEC = KERNEL_VECTOR_BYTES / sizeof(float), VECS = LANES / VEC };
typedef float vec __attribute__((vector_size(KERNEL_VECTOR_BYTES)));
typedef float octet __attribute__((vector_size(32)));
typedef float quad __attribute__((vector_size(16)));
typedef uint64_t wide __attribute__((vector_size(KERNEL_VECTOR_BYTES)));

KERNEL_INLINE vec vec_load(const float *p) {
  vec v;
  memcpy(&v, p, sizeof v);
  return v;
}

/* x * y of the low 32 bits of each element of x. The compilers do not see by themselves that one instruction does. */
KERNEL_INLINE wide wide_multiply(wide x, uint32_t y) {
#if defined(KERNEL_MULTIPLY_WIDE)
  return (wide)KERNEL_MULTIPLY_WIDE(x, (wide){0} + y);
#else
  return (x & 0xffffffffu) * y;
#endif
}

/* ---- sums ---- */

/* Adds 16 lanes up pairwise; destroys them. */
KERNEL_INLINE float lanes_sum(float *lane) {
  for (int l = 0; l < 8; l++) lane[l] += lane[l + 8];
  for (int l = 0; l < 4; l++) lane[l] += lane[l + 4];
  return (lane[0] + lane[2]) + (lane[1] + lane[3]);
}

KERNEL float dot(const float *restrict x, const float *restrict y, size_t n) {
  float lane[LANES] = {0};
  size_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (size_t l = 0; l < LANES; l++) lane[l] += x[i + l] * y[i + l];
  for (size_t l = 0; i + l < n; l++) lane[l] += x[i + l] * y[i + l];
  return lanes_sum(lane);
}

KERNEL double sum_squares(const float *restrict x, size_t n) {
  double lane[LANES] = {0};
  size_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (size_t l = 0; l < LANES; l++) lane[l] += (double)x[i + l] * (double)x[i + l];
  for (size_t l = 0; i + l < n; l++) lane[l] += (double)x[i + l] * (double)x[i + l];
  for (int l = 0; l < 8; l++) lane[l] += lane[l + 8];
  for (int l = 0; l < 4; l++) lane[l] += lane[l + 4];
  return (lane[0] + lane[2]) + (lane[1] + lane[3]);
}

KERNEL void column_sums(float *restrict sum, const float *restrict y, int rows, int n, int ld) {
  for (int r = 0; r < rows; r++) {
    const float *restrict y_r = y + (size_t)r * (size_t)ld;
    for (int j = 0; j < n; j++) sum[j] += y_r[j];
  }
}

/* Rows ahead that y is asked for, both its ends: its rows may lie far apart, and begin and end within lines. */
enum { SCATTER_AHEAD = 24 };

/* n floats that fit one vector are added at once. */
#define DEFINE_SCATTER(N)                                                 \
  KERNEL_INLINE void scatter_##N(const dfm_scatter_args *args) {          \
    typedef float narrow __attribute__((vector_size(N * sizeof(float)))); \
    const dfm_scatter_args s = *args;                                     \
    narrow sum, y, w;                                                     \
    for (size_t i = 0; i < s.rows; i++) {                                 \
      __builtin_prefetch(s.y + (i + SCATTER_AHEAD) * s.ldy);              \
      __builtin_prefetch(s.y + (i + SCATTER_AHEAD) * s.ldy + N - 1);      \
      float *to = s.sum + s.to[i] * s.ld;                                 \
      memcpy(&sum, to, sizeof sum);                                       \
      memcpy(&y, s.y + i * s.ldy, sizeof y);                              \
      if (s.first) to[-1] += s.first[i];                                  \
      if (s.a) {                                                          \
        memcpy(&w, s.w + s.to[i] * s.ld, sizeof w);                       \
        y -= s.a[i] * w;                                                  \
      }                                                                   \
      sum += y;                                                           \
      memcpy(to, &sum, sizeof sum);                                       \
    }                                                                     \
  }
DEFINE_SCATTER(1)
DEFINE_SCATTER(4)
DEFINE_SCATTER(8)
DEFINE_SCATTER(16)

KERNEL_INLINE void scatter_any(const dfm_scatter_args *s) {
  for (size_t i = 0; i < s->rows; i++) {
    float *restrict sum = s->sum + s->to[i] * s->ld;
    const float *restrict y = s->y + i * s->ldy;
    for (size_t j = 0; j < s->n; j += LANES) __builtin_prefetch(y + SCATTER_AHEAD * s->ldy + j);
    if (s->first) sum[-1] += s->first[i];
    if (s->a) {
      const float *restrict w = s->w + s->to[i] * s->ld;
      for (size_t j = 0; j < s->n; j++) sum[j] += y[j] - s->a[i] * w[j];
    } else {
      for (size_t j = 0; j < s->n; j++) sum[j] += y[j];
    }
  }
}

KERNEL void scatter(const dfm_scatter_args *args) {
  switch (args->n) {
    case 1:
      scatter_1(args);
      break;
    case 4:
      scatter_4(args);
      break;
    case 8:
      scatter_8(args);
      break;
    case 16:
      scatter_16(args);
      break;
    default:
      scatter_any(args);
  }
}

/* ---- element by element ---- */

KERNEL void add(float *restrict y, const float *restrict x, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] += x[i];
}

KERNEL void axpy(float *restrict y, float a, const float *restrict x, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] += a * x[i];
}

KERNEL void scale(float *x, float a, size_t n) {
  for (size_t i = 0; i < n; i++) x[i] *= a;
}

/* exp(x) = power (1 + rest) and exp(x) - 1 = power rest + (power - 1), for -87.3 <= x <= 0: power = 2^k, k = round(x /
 * ln 2), rest = exp(r) - 1, r = x - k ln 2 in two parts of which the first times k is exact; what rounding r loses is
 * added back. |r| <= 0.347, so the Taylor series to r^7 errs by r^8 / 8! < 6e-9. Adding 1.5 * 2^23 rounds to an
 * integer and leaves it in the low bits, without a conversion that NaN would break. */
typedef struct exp_parts {
  float power, rest;
} exp_parts;

#define EXP_LOWEST -87.33654f /* ln 2^-126: smaller results are not normal numbers */

KERNEL_INLINE exp_parts exp_of(float x) {
  const float rounded = x * 1.44269504f + 12582912.0f, k = rounded - 12582912.0f;
  const float high = x - k * 0.693359375f, low = k * -2.12194440e-4f, r = high - low, lost = (high - r) - low;
  float q = 1.0f / 5040;
  q = q * r + 1.0f / 720;
  q = q * r + 1.0f / 120;
  q = q * r + 1.0f / 24;
  q = q * r + 1.0f / 6;
  q = q * r + 0.5f;
  uint32_t bits;
  memcpy(&bits, &rounded, sizeof bits);
  bits = (bits + 127) << 23;
  exp_parts parts;
  memcpy(&parts.power, &bits, sizeof bits);
  parts.rest = (q * (r * r) + lost) + r;
  return parts;
}

/* 1 / (1 + exp(-z)) from t = exp(-|z|) <= 1, which loses no digits on either side; what rounding 1 + t has lost is
 * taken off again, over 1 + t ~ 1 / (1 - t / 2). */
KERNEL_INLINE float sigmoid_of(float z) {
  const float x = -fabsf(z), clamped = x < EXP_LOWEST ? EXP_LOWEST : x;
  const exp_parts e = exp_of(clamped);
  const float t = x < EXP_LOWEST ? 0 : e.power * e.rest + e.power;
  const float below = 1.0f + t, lost = t - (below - 1.0f), p = (z < 0 ? t : 1.0f) / below;
  return p - p * (lost * (1 - 0.5f * t));
}

/* tanh |z| = -E / (2 + E), E = exp(-2 |z|) - 1 computed as such, so small z keep their digits. */
KERNEL_INLINE float tanh_of(float z) {
  const float x = -2 * fabsf(z), clamped = x < EXP_LOWEST ? EXP_LOWEST : x;
  const exp_parts e = exp_of(clamped);
  const float E = e.power * e.rest + (e.power - 1);
  const float y = E / (2 + E);
  return z < 0 ? y : -y;
}

KERNEL void sigmoid(float *p, const float *z, size_t n) {
  if (p != z) memmove(p, z, n * sizeof *p);
  for (size_t i = 0; i < n; i++) p[i] = sigmoid_of(p[i]);
}

KERNEL_INLINE float activation_of(float v, dfm_activation act) {
  switch (act) {
    case DFM_RELU:
      return v < 0 ? 0 : v;
    case DFM_SIGMOID:
      return sigmoid_of(v);
    case DFM_TANH:
      return tanh_of(v);
    case DFM_LINEAR:
      break;
  }
  return v;
}

/* act'(x) given y = act(x) */
KERNEL_INLINE float activation_slope(float y, dfm_activation act) {
  switch (act) {
    case DFM_RELU:
      return y > 0 ? 1.0f : 0.0f;
    case DFM_SIGMOID:
      return y * (1 - y);
    case DFM_TANH:
      return 1 - y * y;
    case DFM_LINEAR:
      break;
  }
  return 1;
}

KERNEL_INLINE void bias_act_as(float *y, int rows, int n, int ld, const float *bias, dfm_activation act) {
  for (int r = 0; r < rows; r++) {
    float *restrict y_r = y + (size_t)r * (size_t)ld;
    const float *restrict b = bias;
    if (b)
      for (int j = 0; j < n; j++) y_r[j] = activation_of(y_r[j] + b[j], act);
    else
      for (int j = 0; j < n; j++) y_r[j] = activation_of(y_r[j], act);
  }
}

KERNEL void bias_act(float *y, int rows, int n, int ld, const float *bias, dfm_activation act) {
  switch (act) { /* one loop per activation: the switch must not stay inside */
    case DFM_LINEAR:
      bias_act_as(y, rows, n, ld, bias, DFM_LINEAR);
      break;
    case DFM_RELU:
      bias_act_as(y, rows, n, ld, bias, DFM_RELU);
      break;
    case DFM_SIGMOID:
      bias_act_as(y, rows, n, ld, bias, DFM_SIGMOID);
      break;
    case DFM_TANH:
      bias_act_as(y, rows, n, ld, bias, DFM_TANH);
      break;
  }
}

KERNEL_INLINE void act_backward_as(float *dy, const float *y, int rows, int n, int ld, dfm_activation act) {
  for (int r = 0; r < rows; r++) {
    float *restrict dy_r = dy + (size_t)r * (size_t)ld;
    const float *restrict y_r = y + (size_t)r * (size_t)ld;
    for (int j = 0; j < n; j++) dy_r[j] *= activation_slope(y_r[j], act);
  }
}

KERNEL void act_backward(float *dy, const float *y, int rows, int n, int ld, dfm_activation act) {
  switch (act) {
    case DFM_LINEAR:
      break;
    case DFM_RELU:
      act_backward_as(dy, y, rows, n, ld, DFM_RELU);
      break;
    case DFM_SIGMOID:
      act_backward_as(dy, y, rows, n, ld, DFM_SIGMOID);
      break;
    case DFM_TANH:
      act_backward_as(dy, y, rows, n, ld, DFM_TANH);
      break;
  }
}

/* ---- dropout ---- */

/* Philox4x32-10 (base/random.h) on blocks side by side, each 32-bit word in the low half of a 64-bit element: then one
 * instruction makes all products, whose low and high halves are where the next round wants them, and whatever is left
 * in the high halves does no harm. */
typedef struct philox_words {
  wide c0, c1, c2, c3;
} philox_words;

KERNEL_INLINE void philox_round(philox_words *x, wide k0, wide k1) {
  const wide p0 = wide_multiply(x->c0, 0xD2511F53u), p2 = wide_multiply(x->c2, 0xCD9E8D57u);
  x->c0 = (p2 >> 32) ^ x->c1 ^ k0;
  x->c1 = p2;
  x->c2 = (p0 >> 32) ^ x->c3 ^ k1;
  x->c3 = p0;
}

/* Words of even blocks and of the odd blocks that follow them, back in order (little-endian). */
KERNEL_INLINE void philox_store(uint32_t *bits, wide even, wide odd) {
  const wide both = (even & 0xffffffffu) | (odd << 32);
  memcpy(bits, &both, sizeof both);
}

/* bits[LANES * w + l] = word w of block `block` + l, for LANES blocks; `block` is a multiple of LANES, so that adding
 * l carries nowhere. */
KERNEL_INLINE void philox_lanes(uint32_t *bits, uint64_t key, uint64_t counter, uint64_t block) {
  for (uint32_t l = 0; l < LANES; l += VEC) {
    uint64_t first[VEC / 2];
    for (uint32_t i = 0; i < VEC / 2; i++) first[i] = (uint32_t)block + l + 2 * i;
    philox_words even, odd;
    even.c0 = (wide){0} + (uint32_t)counter;
    even.c1 = (wide){0} + (counter >> 32);
    memcpy(&even.c2, first, sizeof even.c2);
    even.c3 = (wide){0} + (block >> 32);
    odd = even;
    odd.c2 += 1;
    wide k0 = (wide){0} + (uint32_t)key, k1 = (wide){0} + (key >> 32);
    for (int round = 0; round < 10; round++) {
      philox_round(&even, k0, k1);
      philox_round(&odd, k0, k1);
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    philox_store(bits + l, even.c0, odd.c0);
    philox_store(bits + LANES + l, even.c1, odd.c1);
    philox_store(bits + 2 * LANES + l, even.c2, odd.c2);
    philox_store(bits + 3 * LANES + l, even.c3, odd.c3);
  }
}

KERNEL void dropout(float *y, int n, uint64_t key, uint64_t counter, float rate) {
  if (rate <= 0) return;
  const uint32_t threshold = (uint32_t)((double)rate * 4294967296.0);
  const float keep_scale = 1 / (1 - rate);
  uint32_t bits[4 * LANES];
  for (int i = 0; i < n; i += 4 * LANES) {
    philox_lanes(bits, key, counter, (uint64_t)(i / 4));
    const int span = n - i < 4 * LANES ? n - i : 4 * LANES;
    for (int l = 0; l < span; l++) y[i + l] = bits[l] >= threshold ? y[i + l] * keep_scale : 0;
  }
}

/* ---- factorization machine ---- */

/* Sums of x and x^2 over fields for LANES factors from k on. A field's factors are read LANES at a time; past the
 * width those are the next field's, and their sums are never looked at. Only for the last fields, where that would
 * read past e, factors are added one by one. */
KERNEL_INLINE void fm_lanes(const float *restrict e, int F, int K, int k, float *restrict sum,
                            float *restrict squares) {
  const size_t stride = (size_t)K, end = (size_t)F * stride;
  const size_t width = (size_t)(K - k < LANES ? K - k : LANES);
  vec s[VECS] = {{0}}, q[VECS] = {{0}};
  size_t at = (size_t)k;
  for (; at + LANES <= end; at += stride) KERNEL_UNROLL(4)
  for (size_t i = 0; i < VECS; i++) {
    const vec x = vec_load(e + at + i * VEC);
    s[i] += x;
    q[i] += x * x;
  }
  memcpy(sum, s, sizeof s);
  memcpy(squares, q, sizeof q);
  for (; at < end; at += stride)
    for (size_t l = 0; l < width; l++) {
      sum[l] += e[at + l];
      squares[l] += e[at + l] * e[at + l];
    }
}

KERNEL float fm_forward(const float *restrict e, int F, int K, float *restrict sum) {
  float total = 0;
  for (int k = 0; k < K; k += LANES) {
    float s[LANES], q[LANES];
    const int width = K - k < LANES ? K - k : LANES;
    fm_lanes(e, F, K, k, s, q);
    for (int l = 0; l < width; l++) sum[k + l] = s[l];
    for (int l = 0; l < LANES; l++) s[l] = l < width ? s[l] * s[l] - q[l] : 0;
    total += lanes_sum(s);
  }
  return 0.5f * total;
}

enum { FM_TILE = 128 };

/* The sums are repeated until they cover FM_TILE floats, so that the loop runs over whole groups of fields, not over
 * one narrow field. */
KERNEL void fm_backward(float *restrict de, const float *restrict e, int F, int K, const float *restrict sum,
                        float dlogit) {
  float tile[FM_TILE];
  const size_t width = (size_t)K, end = (size_t)F * width;
  size_t period = width;
  const float *restrict pattern = sum;
  if (width > 0 && 2 * width <= FM_TILE) {
    period = FM_TILE / width * width;
    memcpy(tile, sum, width * sizeof *tile);
    for (size_t filled = width; filled < period;) {
      const size_t more = filled < period - filled ? filled : period - filled;
      memcpy(tile + filled, tile, more * sizeof *tile);
      filled += more;
    }
    pattern = tile;
  }
  for (size_t at = 0; at < end; at += period) {
    const size_t span = end - at < period ? end - at : period;
    for (size_t i = 0; i < span; i++) de[at + i] += dlogit * (pattern[i] - e[at + i]);
  }
}

/* ---- the same on rows that lie apart ---- */

/* Widths that fit one vector: both sums stay in registers. */
#define DEFINE_FM_ROWS(K)                                                                    \
  KERNEL_INLINE void fm_rows_##K(const float *const *e, int F, float *sum, float *squares) { \
    typedef float narrow __attribute__((vector_size(K * sizeof(float))));                    \
    narrow s = {0}, q = {0}, x;                                                              \
    for (int f = 0; f < F; f++) {                                                            \
      if (!e[f]) continue;                                                                   \
      memcpy(&x, e[f], sizeof x);                                                            \
      s += x;                                                                                \
      q += x * x;                                                                            \
    }                                                                                        \
    memcpy(sum, &s, sizeof s);                                                               \
    memcpy(squares, &q, sizeof q);                                                           \
  }
DEFINE_FM_ROWS(4)
DEFINE_FM_ROWS(8)
DEFINE_FM_ROWS(16)

/* Sums of x and x^2 over fields, for `width` of the factors from k on. */
KERNEL_INLINE void fm_rows_some(const float *const *e, int F, int k, int width, float *sum, float *squares) {
  for (int l = 0; l < width; l++) sum[l] = squares[l] = 0;
  for (int f = 0; f < F; f++)
    for (int l = 0; e[f] && l < width; l++) {
      sum[l] += e[f][k + l];
      squares[l] += e[f][k + l] * e[f][k + l];
    }
}

KERNEL float fm_rows(const float *const *e, int F, int K, float *restrict sum) {
  float total = 0;
  for (int k = 0; k < K; k += LANES) {
    float s[LANES] = {0}, q[LANES] = {0};
    const int width = K - k < LANES ? K - k : LANES;
    if (K == 4)
      fm_rows_4(e, F, s, q);
    else if (K == 8)
      fm_rows_8(e, F, s, q);
    else if (K == 16)
      fm_rows_16(e, F, s, q);
    else
      fm_rows_some(e, F, k, width, s, q);
    for (int l = 0; l < width; l++) sum[k + l] = s[l];
    for (int l = 0; l < LANES; l++) s[l] = l < width ? s[l] * s[l] - q[l] : 0;
    total += lanes_sum(s);
  }
  return 0.5f * total;
}

#include "kernel/ffm_body.h"
#include "kernel/fm_sums_body.h"
#include "kernel/multiply_body.h"
#include "kernel/optim_body.h"
#include "kernel/tiles_body.h"
