#!/usr/bin/env python3
"""Optimizer trajectories in float64: the definitions of PyTorch and Keras come in, optimizers.h goes out.

Run `python3 tests/golden/make_golden.py > tests/golden/optimizers.h`; only the standard library is needed. Each
function below follows one published definition, step by step and with nothing shared between them:
  sgd            torch.optim.SGD without momentum
  adagrad        torch.optim.Adagrad: lr_decay 0, initial_accumulator_value added to the state before the first step
  adam_pytorch   torch.optim.Adam: the algorithm box of its documentation, amsgrad off; epsilon beside the
                 corrected root
  adam_keras     keras.optimizers.Adam: update_step, amsgrad off; both corrections in alpha, epsilon beside the
                 uncorrected root
L2 is coupled: l2 * w is added to the gradient (weight_decay in PyTorch, a kernel regularizer of l2 / 2 in Keras).
"""
from math import sqrt

W0 = [0.125, -0.5, 0.03125, -0.0078125]
N = len(W0)


def gradient(k):
    """Gradient number k: exact in float32, both signs, sizes from 2^-10 to 1; each weight sees none now and then."""
    return [((37 * k + 11 * i) % 19 - 9) / 2.0 ** (3 + 2 * i) if (k + i) % 4 else 0.0 for i in range(N)]


def sgd(w, gs, lrs):
    for g, lr in zip(gs, lrs):
        w = [p - lr * d for p, d in zip(w, g(w))]
        yield w


def adagrad(w, gs, lrs, initial, eps):
    state_sum = [initial] * N
    for g, lr in zip(gs, lrs):
        d = g(w)
        state_sum = [s + x ** 2 for s, x in zip(state_sum, d)]
        w = [p - lr * x / (sqrt(s) + eps) for p, x, s in zip(w, d, state_sum)]
        yield w


def adam_pytorch(w, gs, lrs, beta1, beta2, eps):
    m, v = [0.0] * N, [0.0] * N
    for t, (g, lr) in enumerate(zip(gs, lrs), 1):
        d = g(w)
        m = [beta1 * a + (1 - beta1) * x for a, x in zip(m, d)]
        v = [beta2 * a + (1 - beta2) * x * x for a, x in zip(v, d)]
        m_hat = [a / (1 - beta1 ** t) for a in m]
        v_hat = [a / (1 - beta2 ** t) for a in v]
        w = [p - lr * a / (sqrt(b) + eps) for p, a, b in zip(w, m_hat, v_hat)]
        yield w


def adam_keras(w, gs, lrs, beta1, beta2, eps):
    m, v = [0.0] * N, [0.0] * N
    for iteration, (g, lr) in enumerate(zip(gs, lrs)):
        local_step = iteration + 1
        alpha = lr * sqrt(1 - beta2 ** local_step) / (1 - beta1 ** local_step)
        d = g(w)
        m = [a + (x - a) * (1 - beta1) for a, x in zip(m, d)]
        v = [a + (x ** 2 - a) * (1 - beta2) for a, x in zip(v, d)]
        w = [p - a * alpha / (sqrt(b) + eps) for p, a, b in zip(w, m, v)]
        yield w


# name, enum, keras, lr, l2, beta1, beta2, epsilon, initial
CASES = [
    ("sgd", "DFM_SGD", 0, 0.05, 0.0, 0.0, 0.0, 0.0, 0.0),
    ("sgd_l2", "DFM_SGD", 0, 0.05, 0.01, 0.0, 0.0, 0.0, 0.0),
    ("adagrad", "DFM_ADAGRAD", 0, 0.05, 0.0, 0.0, 0.0, 1e-10, 0.0),
    ("adagrad_initial_l2", "DFM_ADAGRAD", 0, 0.05, 0.01, 0.0, 0.0, 1e-7, 0.1),
    ("adam_pytorch", "DFM_ADAM", 0, 0.01, 0.0, 0.9, 0.999, 1e-8, 0.0),
    ("adam_pytorch_l2", "DFM_ADAM", 0, 0.01, 0.01, 0.9, 0.999, 1e-8, 0.0),
    ("adam_pytorch_large_epsilon", "DFM_ADAM", 0, 0.01, 0.0, 0.8, 0.99, 1e-2, 0.0),
    ("adam_keras", "DFM_ADAM", 1, 0.01, 0.0, 0.9, 0.999, 1e-7, 0.0),
    ("adam_keras_l2", "DFM_ADAM", 1, 0.01, 0.01, 0.9, 0.999, 1e-7, 0.0),
    ("adam_keras_large_epsilon", "DFM_ADAM", 1, 0.01, 0.0, 0.8, 0.99, 1e-2, 0.0),
]

IDLE_STEPS = 300
TOUCHED = [1, 2, 5, 40, 41, 150, 290]  # steps with a gradient; at the others it is zero
RATE_DROP = 100                        # after this step the learning rate is a tenth


def trajectory(case, gradients, lrs):
    _, solver, keras, _, l2, beta1, beta2, eps, initial = case
    gs = [lambda w, d=d: [x + l2 * p for x, p in zip(d, w)] for d in gradients]
    if solver == "DFM_SGD":
        return list(sgd(W0, gs, lrs))
    if solver == "DFM_ADAGRAD":
        return list(adagrad(W0, gs, lrs, initial, eps))
    return list((adam_keras if keras else adam_pytorch)(W0, gs, lrs, beta1, beta2, eps))


def braces(rows, indent):
    return ",\n".join(" " * indent + "{" + ", ".join("%.17g" % x for x in row) + "}" for row in rows)


def main():
    idle_gradients = [[0.0] * N for _ in range(IDLE_STEPS)]
    for k, t in enumerate(TOUCHED):
        idle_gradients[t - 1] = gradient(k + 1)
    shown = TOUCHED + [IDLE_STEPS]
    print("/* Optimizer trajectories in float64: written by make_golden.py, read by test_optimizer.c. */")
    print("enum { GOLDEN_N = %d, GOLDEN_STEPS = 10, GOLDEN_TOUCHED = %d, GOLDEN_IDLE_STEPS = %d, "
          "GOLDEN_RATE_DROP = %d };"
          % (N, len(TOUCHED), IDLE_STEPS, RATE_DROP))
    print("static const float golden_w0[GOLDEN_N] = {%s};" % ", ".join("%.9gf" % x for x in W0))
    print("/* gradient of step t at t - 1; of the idle run: of its touched steps, in order */")
    ten_gradients = [gradient(k + 1) for k in range(10)]
    print("static const float golden_g[GOLDEN_STEPS][GOLDEN_N] = {\n%s};" % braces(ten_gradients, 4))
    print("static const int golden_touched[GOLDEN_TOUCHED] = {%s};" % ", ".join(map(str, TOUCHED)))
    print("typedef struct golden_case {\n  const char *name;\n  dfm_optimizer_name solver;\n  bool keras;\n"
          "  double learning_rate, l2, beta1, beta2, epsilon, initial;\n"
          "  double w[GOLDEN_STEPS][GOLDEN_N];            /* after each step */\n"
          "  double idle_w[GOLDEN_TOUCHED + 1][GOLDEN_N]; /* after each touched step, and after the last step */\n"
          "} golden_case;")
    print("static const golden_case golden_cases[] = {")
    for case in CASES:
        name, solver, keras, lr, l2, beta1, beta2, eps, initial = case
        ten = trajectory(case, ten_gradients, [lr] * 10)
        idle = trajectory(case, idle_gradients, [lr if t <= RATE_DROP else lr / 10 for t in range(1, IDLE_STEPS + 1)])
        settings = ", ".join("%g" % x for x in (lr, l2, beta1, beta2, eps, initial))
        print('    {"%s", %s, %s, %s,' % (name, solver, "true" if keras else "false", settings))
        print("     {\n%s},\n     {\n%s}}," % (braces(ten, 6), braces([idle[t - 1] for t in shown], 6)))
    print("};")


if __name__ == "__main__":
    main()
