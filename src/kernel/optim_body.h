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

/* One vector, or one float, of weights: the sum over nodes stays in a register. */
#define DEFINE_ADAM_GAP(name, type)                                                                           \
  KERNEL_INLINE void name(float *restrict w, float *restrict m, float *restrict v, const dfm_adam_gap *gap) { \
    enum { WIDTH = sizeof(type) / sizeof(float) };                                                            \
    float root[WIDTH];                                                                                        \
    type s, w_i, m_i, v_i, sum = {0};                                                                         \
    for (int l = 0; l < WIDTH; l++) root[l] = sqrtf(v[l]);                                                    \
    memcpy(&s, root, sizeof s);                                                                               \
    memcpy(&w_i, w, sizeof w_i);                                                                              \
    memcpy(&m_i, m, sizeof m_i);                                                                              \
    memcpy(&v_i, v, sizeof v_i);                                                                              \
    for (int i = 0; i < gap->nodes; i++) sum += gap->a[i] / (s * gap->u[i] + gap->epsilon);                   \
    w_i -= m_i * sum;                                                                                         \
    m_i *= gap->m_scale;                                                                                      \
    v_i *= gap->v_scale;                                                                                      \
    memcpy(w, &w_i, sizeof w_i);                                                                              \
    memcpy(m, &m_i, sizeof m_i);                                                                              \
    memcpy(v, &v_i, sizeof v_i);                                                                              \
  }
DEFINE_ADAM_GAP(adam_gap_vec, vec)
DEFINE_ADAM_GAP(adam_gap_quad, quad)
DEFINE_ADAM_GAP(adam_gap_one, float)

KERNEL void adam_gap(float *restrict w, float *restrict m, float *restrict v, size_t n, const dfm_adam_gap *gap) {
  const dfm_adam_gap g = *gap;
  size_t i = 0;
  for (; i + VEC <= n; i += VEC) adam_gap_vec(w + i, m + i, v + i, &g);
  for (; i + 4 <= n; i += 4) adam_gap_quad(w + i, m + i, v + i, &g);
  for (; i < n; i++) adam_gap_one(w + i, m + i, v + i, &g);
}
