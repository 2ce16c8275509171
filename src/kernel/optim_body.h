/* Optimizer steps, and Adam's idle steps in closed form: a part of kernel_body.h, which says for which CPU. */

KERNEL void sgd(float *restrict w, const float *restrict g, size_t n, float learning_rate) {
  for (size_t i = 0; i < n; i++) w[i] -= learning_rate * g[i];
}

KERNEL void adagrad(float *restrict w, float *restrict s, const float *restrict g, size_t n, float learning_rate,
                    float initial, float epsilon) {
  for (size_t i = 0; i < n; i++) {
    s[i] += g[i] * g[i];
    w[i] -= learning_rate * g[i] / (sqrtf(s[i] + initial) + epsilon);
  }
}

KERNEL void adam(float *restrict w, float *restrict m, float *restrict v, const float *restrict g, size_t n,
                 const dfm_adam_step *step) {
  const dfm_adam_step c = *step;
  for (size_t i = 0; i < n; i++) {
    m[i] = c.beta1 * m[i] + c.one_minus_beta1 * g[i];
    v[i] = c.beta2 * v[i] + c.one_minus_beta2 * (g[i] * g[i]);
    w[i] -= c.step_size * m[i] / (sqrtf(v[i]) * c.root_scale + c.epsilon);
  }
}

/* ---- rows of tables: too short for loops of unknown length, so they are cut into vectors, halves and quarters of
 * such, and single floats */

/* All n weights of a row by name_vec(i, ...), where i is the first of those that it does, and the like. */
#define FOR_ROW(n, name, ...)                                             \
  do {                                                                    \
    size_t i = 0;                                                         \
    for (; i + VEC <= (n); i += VEC) name##_vec(i, __VA_ARGS__);          \
    for (; VEC > 8 && i + 8 <= (n); i += 8) name##_octet(i, __VA_ARGS__); \
    for (; VEC > 4 && i + 4 <= (n); i += 4) name##_quad(i, __VA_ARGS__);  \
    for (; i < (n); i++) name##_one(i, __VA_ARGS__);                      \
  } while (0)

/* CALL(n), with n known to the compiler where it is a usual one: a first-order weight, and with it 4, 8, 10 or 16
 * factors. */
#define WITH_LENGTH(n, CALL) \
  switch (n) {               \
    case 1:                  \
      CALL(1);               \
      break;                 \
    case 5:                  \
      CALL(5);               \
      break;                 \
    case 9:                  \
      CALL(9);               \
      break;                 \
    case 11:                 \
      CALL(11);              \
      break;                 \
    case 17:                 \
      CALL(17);              \
      break;                 \
    default:                 \
      CALL(n);               \
  }

/* The square roots of x, through memory for the compiler alone: a vector as a result would be handed over in another
 * way by each CPU level. */
#define ROOT(root, x)                                                         \
  do {                                                                        \
    float of[sizeof(x) / sizeof(float)];                                      \
    memcpy(of, &(x), sizeof of);                                              \
    for (size_t l = 0; l < sizeof of / sizeof *of; l++) of[l] = sqrtf(of[l]); \
    memcpy(&(root), of, sizeof of);                                           \
  } while (0)

#define DEFINE_ROW_STEPS(size, type)                                                                                  \
  KERNEL_INLINE void adagrad_##size(size_t i, float *w, size_t n, const float *g, float learning_rate, float initial, \
                                    float epsilon) {                                                                  \
    type w_i, s_i, g_i, sum, root;                                                                                    \
    memcpy(&w_i, w + i, sizeof w_i);                                                                                  \
    memcpy(&s_i, w + n + i, sizeof s_i);                                                                              \
    memcpy(&g_i, g + i, sizeof g_i);                                                                                  \
    s_i += g_i * g_i;                                                                                                 \
    sum = s_i + initial;                                                                                              \
    ROOT(root, sum);                                                                                                  \
    w_i -= learning_rate * g_i / (root + epsilon);                                                                    \
    memcpy(w + i, &w_i, sizeof w_i);                                                                                  \
    memcpy(w + n + i, &s_i, sizeof s_i);                                                                              \
  }                                                                                                                   \
  KERNEL_INLINE void adam_##size(size_t i, float *w, size_t n, const float *g, const dfm_adam_step *c) {              \
    type w_i, m_i, v_i, g_i, root;                                                                                    \
    memcpy(&w_i, w + i, sizeof w_i);                                                                                  \
    memcpy(&m_i, w + n + i, sizeof m_i);                                                                              \
    memcpy(&v_i, w + 2 * n + i, sizeof v_i);                                                                          \
    memcpy(&g_i, g + i, sizeof g_i);                                                                                  \
    m_i = c->beta1 * m_i + c->one_minus_beta1 * g_i;                                                                  \
    v_i = c->beta2 * v_i + c->one_minus_beta2 * (g_i * g_i);                                                          \
    ROOT(root, v_i);                                                                                                  \
    w_i -= c->step_size * m_i / (root * c->root_scale + c->epsilon);                                                  \
    memcpy(w + i, &w_i, sizeof w_i);                                                                                  \
    memcpy(w + n + i, &m_i, sizeof m_i);                                                                              \
    memcpy(w + 2 * n + i, &v_i, sizeof v_i);                                                                          \
  }
DEFINE_ROW_STEPS(vec, vec)
DEFINE_ROW_STEPS(octet, octet)
DEFINE_ROW_STEPS(quad, quad)
DEFINE_ROW_STEPS(one, float)

KERNEL void sgd_rows(const dfm_rows *rows, const uint32_t *id, size_t count, const float *restrict g,
                     float learning_rate) {
  const dfm_rows r = *rows;
  for (size_t k = 0; k < count; k++) {
    float *restrict w = r.at + id[k] * r.stride;
    for (size_t i = 0; i < r.n; i++) w[i] -= learning_rate * g[k * r.n + i];
  }
}

#define ADAGRAD_ROWS(N)              \
  for (size_t k = 0; k < count; k++) \
  FOR_ROW(N, adagrad, r.at + id[k] * r.stride, N, g + k * (N), learning_rate, initial, epsilon)
KERNEL void adagrad_rows(const dfm_rows *rows, const uint32_t *id, size_t count, const float *g, float learning_rate,
                         float initial, float epsilon) {
  const dfm_rows r = *rows;
  WITH_LENGTH(r.n, ADAGRAD_ROWS)
}

#define ADAM_ROWS(N) \
  for (size_t k = 0; k < count; k++) FOR_ROW(N, adam, r.at + id[k] * r.stride, N, g + k * (N), &c)
KERNEL void adam_rows(const dfm_rows *rows, const uint32_t *id, size_t count, const float *g,
                      const dfm_adam_step *step) {
  const dfm_rows r = *rows;
  const dfm_adam_step c = *step;
  WITH_LENGTH(r.n, ADAM_ROWS)
}

/* What m is multiplied by in a motion, for some weights, from s = sqrt(v). */
#define ADAM_GAP_MOTION                                                \
  const type at = s * gap->u;                                          \
  const type r = 1 / (at + gap->epsilon);                              \
  const type y = at * r;                                               \
  type sum = (type){0} + gap->c[gap->terms - 1];                       \
  for (int k = gap->terms - 2; k >= 0; k--) sum = sum * y + gap->c[k]; \
  sum *= r
#define ADAM_STEPS_MOTION \
  type sum = {0};         \
  for (int k = 0; k < gap->n; k++) sum += gap->a[k] / (s * gap->u[k] + gap->epsilon)

#define DEFINE_ADAM_IDLE(name, size, vector, gap_type, MOTION)                                    \
  KERNEL_INLINE void name##_##size(size_t i, float *w, float *m, float *v, const gap_type *gap) { \
    typedef vector type;                                                                          \
    type w_i, m_i, v_i, s;                                                                        \
    memcpy(&w_i, w + i, sizeof w_i);                                                              \
    memcpy(&m_i, m + i, sizeof m_i);                                                              \
    memcpy(&v_i, v + i, sizeof v_i);                                                              \
    ROOT(s, v_i);                                                                                 \
    MOTION;                                                                                       \
    w_i -= m_i * sum;                                                                             \
    m_i *= gap->m_scale;                                                                          \
    v_i *= gap->v_scale;                                                                          \
    memcpy(w + i, &w_i, sizeof w_i);                                                              \
    memcpy(m + i, &m_i, sizeof m_i);                                                              \
    memcpy(v + i, &v_i, sizeof v_i);                                                              \
  }
#define DEFINE_ADAM_IDLE_SPAN(name, gap_type, MOTION)                              \
  DEFINE_ADAM_IDLE(name, vec, vec, gap_type, MOTION)                               \
  DEFINE_ADAM_IDLE(name, octet, octet, gap_type, MOTION)                           \
  DEFINE_ADAM_IDLE(name, quad, quad, gap_type, MOTION)                             \
  DEFINE_ADAM_IDLE(name, one, float, gap_type, MOTION)                             \
  KERNEL void name(float *w, float *m, float *v, size_t n, const gap_type *args) { \
    const gap_type gap = *args;                                                    \
    FOR_ROW(n, name, w, m, v, &gap);                                               \
  }
DEFINE_ADAM_IDLE_SPAN(adam_gap, dfm_adam_gap, ADAM_GAP_MOTION)
DEFINE_ADAM_IDLE_SPAN(adam_steps, dfm_adam_steps, ADAM_STEPS_MOTION)
