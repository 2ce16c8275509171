/* Matrix multiplies in float32: a part of kernel_body.h, which says for which CPU. The only kernels whose bits differ
 * between tables: where the CPU has it, a product is added without being rounded first.
 *
 * A sum runs over k in order, in one register, so that an element of C depends on its row of A and its column of B
 * alone. MULTIPLY_ROWS x 3 vectors of sums stay in registers: the more, the fewer loads a product needs (Goto, van
 * de Geijn, "Anatomy of High-Performance Matrix Multiplication", ACM TOMS 2008). B is packed into strips of up to 3
 * vectors of columns. */

enum {
  STRIP_VECS = 3,
  MULTIPLY_ROWS = VEC < 16 ? 4 : 8, /* with 16 registers, or 32 */
  UNROLLED = 4,
  LINE = 16,   /* floats of a cache line */
  DEPTH = 144, /* rows of a strip, 27 KB with AVX-512, that stay in the first-level cache while all of A's rows pass */
  TRANSPOSED_DEPTH =
      136,         /* the same with both on the stack; no power of two, or A's groups would collide in the cache */
  LEFT_ROWS = 224, /* of an A that is packed there: those of a gradient task (layer/dense_multiply.h) */
};

/* Vectors of the next strip of the `left` that there are; 3s and, where they do not come out even, 2s. */
KERNEL_INLINE int strip_vecs(int left) {
  return left == 2 || left == 4 ? 2 : left < STRIP_VECS ? left : STRIP_VECS;
}

KERNEL_INLINE int vecs_of(int n) {
  return (n + (int)VEC - 1) / (int)VEC;
}

/* Where A is: element (i, k) at[i * row + k * step] */
typedef struct left {
  const float *at;
  size_t row, step;
} left;

/* What will be wanted soon and comes into the second-level cache meanwhile: a line at `at`, and every `step` floats
 * on. It may lie beyond the end of what there is. */
typedef struct ahead {
  const float *at;
  size_t step;
} ahead;

/* A part of a packed B, and what it does to its columns of C: c = or += a b and then, with a bias, relu(c + bias). */
typedef struct strip {
  const float *b; /* (depth, vecs of columns) */
  int depth, vecs;
  int columns; /* that exist */
  bool adds;
  const float *bias; /* (vecs); NULL: none */
} strip;

/* sum (rows, vecs) += a column of a times a row of b */
KERNEL_INLINE void multiply_step(vec sum[MULTIPLY_ROWS][STRIP_VECS], left a, const float *restrict b, int rows,
                                 int vecs) {
  vec x[STRIP_VECS];
  KERNEL_UNROLL(3)
  for (int i = 0; i < vecs; i++) x[i] = vec_load(b + i * (int)VEC);
  KERNEL_UNROLL(8)
  for (int r = 0; r < rows; r++) {
    const vec y = a.at[(size_t)r * a.row] - (vec){0}; /* in every element; -0 + 0 would be 0 */
    KERNEL_UNROLL(3)
    for (int i = 0; i < vecs; i++) sum[r][i] = KERNEL_MULTIPLY_ADD(y, x[i], sum[r][i]);
  }
}

/* relu(x + bias), NaN where that is */
KERNEL_INLINE vec multiply_relu(vec x, vec bias) {
  typedef int32_t ints __attribute__((vector_size(KERNEL_VECTOR_BYTES)));
  x += bias;
  return (vec)((ints)x & ~(ints)(x <= 0));
}

/* c (rows, vecs of columns; stride ldc); a line is asked for in each UNROLLED steps. */
KERNEL_INLINE void multiply_strip(float *restrict c, size_t ldc, left a, strip s, int rows, ahead next) {
  vec sum[MULTIPLY_ROWS][STRIP_VECS];
  int k = 0;
  KERNEL_UNROLL(8)
  for (int r = 0; r < rows; r++) {
    KERNEL_UNROLL(3)
    for (int i = 0; i < s.vecs; i++) sum[r][i] = s.adds ? vec_load(c + (size_t)r * ldc + i * (int)VEC) : (vec){0};
  }
  for (; k + UNROLLED <= s.depth; k += UNROLLED, next.at += next.step) {
    __builtin_prefetch(next.at, 0, 2);
    KERNEL_UNROLL(4)
    for (int i = 0; i < UNROLLED; i++, a.at += a.step, s.b += s.vecs * (int)VEC)
      multiply_step(sum, a, s.b, rows, s.vecs);
  }
  for (; k < s.depth; k++, a.at += a.step, s.b += s.vecs * (int)VEC) multiply_step(sum, a, s.b, rows, s.vecs);
  KERNEL_UNROLL(8)
  for (int r = 0; r < rows; r++) {
    KERNEL_UNROLL(3)
    for (int i = 0; i < s.vecs; i++) {
      if (s.bias) sum[r][i] = multiply_relu(sum[r][i], vec_load(s.bias + i * (int)VEC));
      memcpy(c + (size_t)r * ldc + i * (int)VEC, &sum[r][i], sizeof(vec));
    }
  }
}

/* The same of columns that do not fill their vectors: no float beyond them is touched. */
KERNEL_INLINE void multiply_narrow(float *restrict c, size_t ldc, left a, strip s, int rows, ahead next) {
  float sum[MULTIPLY_ROWS * STRIP_VECS * VEC];
  const size_t ld = (size_t)s.vecs * VEC, bytes = (size_t)s.columns * sizeof *c;
  memset(sum, 0, (size_t)rows * ld * sizeof *sum);
  for (int r = 0; r < rows && s.adds; r++) memcpy(sum + (size_t)r * ld, c + (size_t)r * ldc, bytes);
  multiply_strip(sum, ld, a, s, rows, next);
  for (int r = 0; r < rows; r++) memcpy(c + (size_t)r * ldc, sum + (size_t)r * ld, bytes);
}

/* M rows of c. */
KERNEL_INLINE void multiply_rows(float *restrict c, size_t ldc, left a, strip s, int M, ahead next) {
  const bool is_narrow = s.columns < s.vecs * (int)VEC;
  const size_t rows = MULTIPLY_ROWS;
  for (; M >= MULTIPLY_ROWS; M -= MULTIPLY_ROWS, c += rows * ldc, a.at += rows * a.row) {
    if (is_narrow)
      multiply_narrow(c, ldc, a, s, MULTIPLY_ROWS, next);
    else
      multiply_strip(c, ldc, a, s, MULTIPLY_ROWS, next);
    next.at += (size_t)(s.depth / UNROLLED) * next.step;
  }
  for (; M > 0; M--, c += ldc, a.at += a.row) multiply_narrow(c, ldc, a, s, 1, next);
}

/* The same with a number of vectors that the compiler knows. */
KERNEL_INLINE void multiply_columns(float *restrict c, size_t ldc, left a, strip s, int M, ahead next) {
  if (s.columns > s.vecs * (int)VEC) s.columns = s.vecs * (int)VEC;
  if (s.vecs == 3) {
    s.vecs = 3;
    multiply_rows(c, ldc, a, s, M, next);
  } else if (s.vecs == 2) {
    s.vecs = 2;
    multiply_rows(c, ldc, a, s, M, next);
  } else {
    s.vecs = 1;
    multiply_rows(c, ldc, a, s, M, next);
  }
}

KERNEL void multiply(const dfm_multiply_args *args) {
  strip s = {.b = args->B};
  for (int j = 0, vecs = vecs_of(args->N); vecs > 0; vecs -= s.vecs, j += s.vecs * (int)VEC) {
    float bias[STRIP_VECS * VEC] = {0};
    int k = 0;
    s.vecs = strip_vecs(vecs);
    s.columns = args->N - j;
    for (int i = 0; args->bias && i < s.columns && i < s.vecs * (int)VEC; i++) bias[i] = args->bias[j + i];
    do { /* once also where K = 0, which clears C */
      s.depth = args->K - k < DEPTH ? args->K - k : DEPTH;
      s.adds = args->adds || k > 0;
      s.bias = args->bias && k + s.depth == args->K ? bias : NULL;
      const float *next = s.b + (size_t)(s.depth * s.vecs) * VEC;
      multiply_columns(args->C + j, args->ldc, (left){args->A + k, args->lda, 1}, s, args->M, (ahead){next, LINE});
      s.b = next;
      k += s.depth;
    } while (k < args->K);
  }
}

/* ---- packing */

/* to (depth, vecs of columns) = rows of `columns` columns, ld apart; further columns zero */
KERNEL_INLINE void pack_vecs(float *restrict to, const float *restrict from, size_t ld, int depth, int vecs,
                             int columns) {
  const int whole = columns / (int)VEC < vecs ? columns / (int)VEC : vecs, rest = columns - whole * (int)VEC;
  for (int k = 0; k < depth; k++, to += vecs * (int)VEC, from += ld) {
    KERNEL_UNROLL(3)
    for (int i = 0; i < vecs; i++) {
      vec x = {0};
      if (i < whole)
        x = vec_load(from + i * (int)VEC);
      else if (i == whole)
        memcpy(&x, from + i * (int)VEC, (size_t)rest * sizeof *from);
      memcpy(to + i * (int)VEC, &x, sizeof x);
    }
  }
}

/* The same with a number of vectors, and for whole ones of columns, that the compiler knows. */
KERNEL_INLINE void pack_strip(float *restrict to, const float *restrict from, size_t ld, int depth, int vecs,
                              int columns) {
  if (vecs == 3 && columns >= 3 * (int)VEC)
    pack_vecs(to, from, ld, depth, 3, 3 * (int)VEC);
  else if (vecs == 3)
    pack_vecs(to, from, ld, depth, 3, columns);
  else if (vecs == 2 && columns >= 2 * (int)VEC)
    pack_vecs(to, from, ld, depth, 2, 2 * (int)VEC);
  else if (vecs == 2)
    pack_vecs(to, from, ld, depth, 2, columns);
  else
    pack_vecs(to, from, ld, depth, 1, columns);
}

/* to[i][r] = from[r][i] of 4 x 4 */
KERNEL_INLINE void transpose_quads(float *restrict to, size_t ldto, const float *restrict from, size_t ld) {
  quad row[4], half[4];
  for (int r = 0; r < 4; r++) memcpy(&row[r], from + (size_t)r * ld, sizeof *row);
  for (int r = 0; r < 2; r++) {
    half[r] = __builtin_shufflevector(row[r], row[r + 2], 0, 4, 1, 5);
    half[r + 2] = __builtin_shufflevector(row[r], row[r + 2], 2, 6, 3, 7);
  }
  for (int i = 0; i < 2; i++) {
    row[2 * i] = __builtin_shufflevector(half[2 * i], half[2 * i + 1], 0, 4, 1, 5);
    row[2 * i + 1] = __builtin_shufflevector(half[2 * i], half[2 * i + 1], 2, 6, 3, 7);
  }
  for (int i = 0; i < 4; i++) memcpy(to + (size_t)i * ldto, &row[i], sizeof *row);
}

/* to (depth, vecs of columns) = columns that are rows of `from`, ld apart; further columns zero */
KERNEL_INLINE void pack_strip_transposed(float *restrict to, const float *restrict from, size_t ld, int depth, int vecs,
                                         int columns) {
  const int n = vecs * (int)VEC, exist = columns < n ? columns : n, quads = exist / 4 * 4, deep = depth / 4 * 4;
  for (int k = 0; k < deep; k += 4)
    for (int c = 0; c < quads; c += 4) transpose_quads(to + k * n + c, (size_t)n, from + (size_t)c * ld + k, ld);
  for (int c = 0; c < exist; c++)
    for (int k = c < quads ? deep : 0; k < depth; k++) to[k * n + c] = from[(size_t)c * ld + (size_t)k];
  for (int k = 0; k < depth; k++)
    for (int c = exist; c < n; c++) to[k * n + c] = 0;
}

KERNEL void pack(float *packed, const float *B, size_t ldb, bool trans_b, int K, int N) {
  int vecs;
  for (int j = 0, left_vecs = vecs_of(N); left_vecs > 0; left_vecs -= vecs, j += vecs * (int)VEC) {
    vecs = strip_vecs(left_vecs);
    if (trans_b)
      pack_strip_transposed(packed, B + (size_t)j * ldb, ldb, K, vecs, N - j);
    else
      pack_strip(packed, B + j, ldb, K, vecs, N - j);
    packed += (size_t)(K * vecs) * VEC;
  }
}

/* to (groups of MULTIPLY_ROWS columns; depth, MULTIPLY_ROWS) = `columns` columns of rows that are ld apart; further
 * ones are left as they are: nobody reads them */
KERNEL_INLINE void pack_left(float *restrict to, const float *restrict from, size_t ld, int depth, int columns) {
  const int whole = columns / MULTIPLY_ROWS * MULTIPLY_ROWS;
  for (int k = 0; k < depth; k++, to += MULTIPLY_ROWS, from += ld) {
    for (int c = 0; c < whole; c += MULTIPLY_ROWS) memcpy(to + c * depth, from + c, MULTIPLY_ROWS * sizeof *to);
    for (int c = whole; c < columns; c++) to[whole * depth + c - whole] = from[c];
  }
}

/* What group `group` of rows asks for of the strip that begins at column j: in each call a line of other rows of B. */
KERNEL_INLINE ahead next_strip(const dfm_multiply_args *args, int group, int k, int j) {
  enum { LINES = 4, ROWS = TRANSPOSED_DEPTH / UNROLLED }; /* of a row of the strip; that a call has prefetches for */
  const size_t row = (size_t)(k + group / LINES % UNROLLED * ROWS);
  return (ahead){args->B + row * args->ldb + j + group % LINES * LINE, args->ldb};
}

/* Of M rows at most LEFT_ROWS, and depth at most TRANSPOSED_DEPTH. */
KERNEL_INLINE void multiply_chunk(const dfm_multiply_args *args, int m, int M, int k, int depth) {
  _Alignas(64) float a[TRANSPOSED_DEPTH * LEFT_ROWS], b[TRANSPOSED_DEPTH * STRIP_VECS * VEC];
  strip s = {.b = b, .depth = depth, .adds = args->adds || k > 0};
  pack_left(a, args->A + (size_t)k * args->lda + m, args->lda, depth, M);
  for (int j = 0, vecs = vecs_of(args->N); vecs > 0; vecs -= s.vecs, j += s.vecs * (int)VEC) {
    s.vecs = strip_vecs(vecs);
    s.columns = args->N - j;
    pack_strip(b, args->B + (size_t)k * args->ldb + j, args->ldb, depth, s.vecs, s.columns);
    for (int i = 0; i < M; i += MULTIPLY_ROWS)
      multiply_columns(args->C + (size_t)(m + i) * args->ldc + j, args->ldc, (left){a + i * depth, 1, MULTIPLY_ROWS}, s,
                       M - i < MULTIPLY_ROWS ? M - i : MULTIPLY_ROWS,
                       next_strip(args, i / MULTIPLY_ROWS, k, j + s.vecs * (int)VEC));
  }
}

KERNEL void multiply_transposed(const dfm_multiply_args *args) {
  for (int m = 0; m < args->M; m += LEFT_ROWS) {
    const int M = args->M - m < LEFT_ROWS ? args->M - m : LEFT_ROWS;
    int k = 0;
    do {
      const int depth = args->K - k < TRANSPOSED_DEPTH ? args->K - k : TRANSPOSED_DEPTH;
      multiply_chunk(args, m, M, k, depth);
      k += depth;
    } while (k < args->K);
  }
}
