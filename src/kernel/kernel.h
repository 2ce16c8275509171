/* Kernels: spans of float32 come in, spans go out. The only folder that knows the CPU.
 *
 * kernel_body.h defines every function once, in plain C. kernel_generic.c compiles it for any CPU: that is the
 * definition. kernel_avx2.c and kernel_avx512.c compile it again for wider registers (`target` attributes, so no
 * per-file flags). Sums run over 16 explicit lanes that are added up in one order, and contraction is off, so every
 * table gives the same bits; only multiplies of matrices may differ between tables. Pointers need no alignment
 * beyond a float's. No function allocates. n = 0 is allowed everywhere. Spans do not overlap unless said. */
#ifndef DFM_KERNEL_KERNEL_H
#define DFM_KERNEL_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "kernel/tiles.h"

/* relu'(0) = 0, and relu(NaN) = NaN so that divergence is seen. tanh is within 4 ulp. */
typedef enum dfm_activation { DFM_LINEAR, DFM_RELU, DFM_SIGMOID, DFM_TANH } dfm_activation;

/* One Adam step's coefficients: m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; w -= step_size m /
 * (sqrt(v) root_scale + epsilon). PyTorch: step_size = lr / (1 - beta1^t), root_scale = 1 / sqrt(1 - beta2^t). Keras:
 * step_size = lr sqrt(1 - beta2^t) / (1 - beta1^t), root_scale = 1. Kingma, Ba, "Adam", ICLR 2015. */
typedef struct dfm_adam_step {
  float beta1, one_minus_beta1, beta2, one_minus_beta2, step_size, root_scale, epsilon;
} dfm_adam_step;

/* What missed Adam steps with zero gradient do to a row (optim/adam.h derives it): with r = 1 / (u sqrt(v) +
 * epsilon) and y = u sqrt(v) r, w -= m r sum_k c_k y^k over `terms` terms, at least 1; then m *= m_scale, v *=
 * v_scale. */
typedef struct dfm_adam_gap {
  int terms;
  const float *c; /* (terms) */
  float u, epsilon, m_scale, v_scale;
} dfm_adam_gap;

/* The same of n steps one by one: with s = sqrt(v), w -= m sum_i a_i / (s u_i + epsilon). */
typedef struct dfm_adam_steps {
  int n;
  const float *a, *u; /* (n) */
  float epsilon, m_scale, v_scale;
} dfm_adam_steps;

/* C (M, N) = or += a product that sums over K. ld*: floats between the starts of rows. C overlaps neither A nor B. */
typedef struct dfm_multiply_args {
  int M, N, K;
  const float *A;
  size_t lda;
  const float *B;
  size_t ldb; /* not of a packed B */
  float *C;
  size_t ldc;
  bool adds;
  const float *bias; /* (N) of `multiply`: added to each row, and then relu applied; NULL: neither */
} dfm_multiply_args;

/* sum[to[i]] += y[i], or y[i] - a[i] w[to[i]], for i = 0, ..., rows - 1 in that order. Rows of n floats; those of
 * sum and w start ld floats apart, those of y ldy. And the float before sum's row += first[i]. */
typedef struct dfm_scatter_args {
  float *sum;
  size_t ld;
  const uint32_t *to; /* (rows) */
  size_t rows;
  const float *y;
  size_t ldy, n;
  const float *a, *w; /* a (rows); NULL: nothing is taken away */
  const float *first; /* (rows); NULL: there is no such float */
} dfm_scatter_args;

/* Rows that start `stride` floats apart: n weights, then n of each of the optimizer's states; what follows is the
 * caller's. */
typedef struct dfm_rows {
  float *at;
  size_t stride, n;
} dfm_rows;

/* The rows of one table that places 0, ..., B - 1 ask for: place i that of id[i], which is none from V on. A row
 * starts with a first-order weight; K factors follow where the field has any. */
typedef struct dfm_sum_field {
  dfm_rows rows;
  const uint32_t *id;
  uint32_t V;
  bool has_factors;
} dfm_sum_field;

typedef struct dfm_kernel {
  const char *name; /* "generic", "avx2", "avx512", "amx" */
  /* In plain C: what multiplies in tiles are. dfm_kernel_tiles says which to use. */
  dfm_tiles plain_bf16, plain_float32;

  /* packed (dfm_packed_floats(K, N)): B (K, N) in the form that `multiply` of the same table reads. trans_b: B is
   * stored (N, K). */
  void (*pack)(float *packed, const float *B, size_t ldb, bool trans_b, int K, int N);
  /* C = or += A (M, K) B (K, N), B packed. An element is a sum over k in order, whatever M and N are. */
  void (*multiply)(const dfm_multiply_args *args);
  /* C = or += A^T B of A (K, M) and B (K, N) */
  void (*multiply_transposed)(const dfm_multiply_args *args);
  /* y += x; y += a x; x *= a */
  void (*add)(float *y, const float *x, size_t n);
  void (*axpy)(float *y, float a, const float *x, size_t n);
  void (*scale)(float *x, float a, size_t n);
  /* sum of x y; sum of x^2 in double */
  float (*dot)(const float *x, const float *y, size_t n);
  double (*sum_squares)(const float *x, size_t n);
  /* y (rows, n; row stride ld) = act(y + bias); bias NULL: none */
  void (*bias_act)(float *y, int rows, int n, int ld, const float *bias, dfm_activation act);
  /* dy (rows, n; stride ld) *= act'(.), from y = act(.), same shape and stride */
  void (*act_backward)(float *dy, const float *y, int rows, int n, int ld, dfm_activation act);
  /* sum (n) += column sums of y (rows, n; stride ld), rows in order */
  void (*column_sums)(float *sum, const float *y, int rows, int n, int ld);
  void (*scatter)(const dfm_scatter_args *args);
  /* y[i] = keep(key, counter, i) ? y[i] / (1 - rate) : 0, keep with probability 1 - rate, 0 <= rate < 1. The random
   * number of i is word i / 16 % 4 of Philox block (key, counter, i / 64 * 16 + i % 16): the same mask for forward and
   * backward, on any table, at any n. `counter` stands for step and row. */
  void (*dropout)(float *y, int n, uint64_t key, uint64_t counter, float rate);
  /* e (F, K). sum (K) = sum_f e_f; returns 1/2 sum_k (sum_k^2 - sum_f e_fk^2). Rendle, "Factorization Machines", ICDM
   * 2010, eq. 1, Lemma 3.1. */
  float (*fm_forward)(const float *e, int F, int K, float *sum);
  /* de (F, K) += dlogit (sum - e) */
  void (*fm_backward)(float *de, const float *e, int F, int K, const float *sum, float dlogit);
  /* The same as fm_forward of the rows e[0], ..., e[F - 1] (K each), wherever they lie; NULL: that field is absent. */
  float (*fm_rows)(const float *const *e, int F, int K, float *sum);
  /* What F fields add to a factorization machine, for B places: own[i] = sum_f (w_f - 1/2 |e_f|^2), and sum (B, K) =
   * sum_f e_f, of first-order weights w and factors e. K 0: no field has factors. */
  void (*fm_sums)(const dfm_sum_field *field, int F, size_t B, int K, float *own, float *sum);
  /* The gradient of rows id[0], ..., id[count - 1] from what such sums hand back, g (count, n): the factors' loses
   * g[0] times themselves. */
  void (*fm_take_own)(const dfm_rows *rows, const uint32_t *id, size_t count, float *g);
  /* Field-aware pairs: e[i] (F, K) has field i's factors for each partner, NULL where field i is absent. Returns
   * sum_{i<j} <e[i][j], e[j][i]>. Juan et al., "Field-aware Factorization Machines for CTR Prediction", RecSys 2016,
   * eq. 4. */
  float (*ffm_forward)(const float *const *e, int F, int K);
  /* g (F, K) += the sum over r < rows, in order, of c[r] times what the fields of row[r] keep for one partner: its
   * column (pieces, K) has a piece for each row of factors, and piece[row[r] F + j] says which one field j's is. */
  void (*ffm_gradient)(float *g, const float *column, const uint32_t *piece, int F, int K, const uint32_t *row,
                       const float *c, size_t rows);
  /* Optimizer steps on a span: g is the gradient, penalties included. */
  void (*sgd)(float *w, const float *g, size_t n, float learning_rate);
  /* s += g^2; w -= lr g / (sqrt(s + initial) + epsilon). Duchi, Hazan, Singer, JMLR 2011. */
  void (*adagrad)(float *w, float *s, const float *g, size_t n, float learning_rate, float initial, float epsilon);
  void (*adam)(float *w, float *m, float *v, const float *g, size_t n, const dfm_adam_step *step);
  /* The same of rows id[0], ..., id[count - 1], all different: g (count, n). */
  void (*sgd_rows)(const dfm_rows *rows, const uint32_t *id, size_t count, const float *g, float learning_rate);
  void (*adagrad_rows)(const dfm_rows *rows, const uint32_t *id, size_t count, const float *g, float learning_rate,
                       float initial, float epsilon);
  void (*adam_rows)(const dfm_rows *rows, const uint32_t *id, size_t count, const float *g, const dfm_adam_step *step);
  void (*adam_gap)(float *w, float *m, float *v, size_t n, const dfm_adam_gap *gap);
  void (*adam_steps)(float *w, float *m, float *v, size_t n, const dfm_adam_steps *steps);
  /* p = 1 / (1 + exp(-z)), within 2 ulp (0 where it would be under 2^-126), in [0, 1] for every z but NaN; p may be
   * z */
  void (*sigmoid)(float *p, const float *z, size_t n);
} dfm_kernel;

/* The table called `name`, or the best this CPU runs where `name` is NULL or "". An unknown name, or one the CPU
 * cannot run, is DFM_ERROR_VALUE with the names that would do. */
dfm_status dfm_kernel_find(const char *name, const dfm_kernel **kernel, dfm_error *error);
/* dfm_kernel_find of the environment's DFM_KERNEL: what every trainer and scorer uses. */
dfm_status dfm_kernel_pick(const dfm_kernel **kernel, dfm_error *error);
/* What dense layers multiply with: in bfloat16 by the CPU's own instructions where this table has them, else in
 * plain C; in float32 NULL, which is `multiply` and its like, but where tiles are faster. */
const dfm_tiles *dfm_kernel_tiles(const dfm_kernel *kernel, bool is_bf16);
/* Whether bfloat16 is worth its while: there are instructions for it. */
bool dfm_kernel_has_bf16(const dfm_kernel *kernel);
/* Floats of a packed (K, N), of any table. */
size_t dfm_packed_floats(int K, int N);
/* Tables that this CPU can run, by index; NULL past the last. */
const dfm_kernel *dfm_kernel_at(size_t i);

#endif
