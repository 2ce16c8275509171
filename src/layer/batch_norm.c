/* Batch norm: x (B, n) comes in; y = gamma (x - mean) / sqrt(var + epsilon) + beta goes out, over the batch while
 * training, by running statistics otherwise. Ioffe, Szegedy, ICML 2015.
 *
 * dx = gamma / sqrt(var + epsilon) (dy - mean(dy) - xhat mean(dy xhat)); dgamma = sum dy xhat; dbeta = sum dy. Running
 * variance takes the unbiased batch variance, as PyTorch does. A batch of one row has no variance: it is normalised by
 * the running statistics, which it does not change.
 *
 * sums (double): per block two rows of n, then two rows for the whole batch that end as (mean, 1 / sqrt(var +
 * epsilon)), then two that hold (mean(dy), mean(dy xhat)). Blocks keep their own mean and sum of squares around it,
 * merged in block order (Chan, Golub, LeVeque 1979). */
#include <math.h>
#include <string.h>

#include "layer/layer.h"

enum { GAMMA, BETA, MEAN, VARIANCE };

static int n_blocks(const dfm_pass *pass) {
  return (pass->B + pass->block - 1) / pass->block;
}
static double *block_sums(const dfm_layer *layer, const dfm_pass *pass, int block) {
  return pass->sums[layer - pass->net->layer] + (size_t)block * 2 * (size_t)layer->n_out;
}
static double *forward_sums(const dfm_layer *layer, const dfm_pass *pass) {
  return block_sums(layer, pass, n_blocks(pass));
}
static double *backward_sums(const dfm_layer *layer, const dfm_pass *pass) {
  return block_sums(layer, pass, n_blocks(pass) + 1);
}
static bool uses_batch(const dfm_pass *pass) {
  return pass->is_train && pass->B > 1;
}

static void sums_forward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  const int n = layer->n_out;
  double *mean = block_sums(layer, pass, b0 / pass->block), *squares = mean + n;
  memset(mean, 0, 2 * (size_t)n * sizeof *mean);
  for (int b = b0; b < b1; b++) {
    const float *x = dfm_value(pass, layer->in, b, 0);
    for (int i = 0; i < n; i++) mean[i] += x[i];
  }
  for (int i = 0; i < n; i++) mean[i] /= b1 - b0;
  for (int b = b0; b < b1; b++) {
    const float *x = dfm_value(pass, layer->in, b, 0);
    for (int i = 0; i < n; i++) squares[i] += (x[i] - mean[i]) * (x[i] - mean[i]);
  }
}

static void reduce_forward(const dfm_layer *layer, const dfm_pass *pass) {
  const int n = layer->n_out;
  double *mean = forward_sums(layer, pass), *scale = mean + n; /* scale holds the sum of squares until the end */
  float *running_mean = dfm_weight(pass, layer, MEAN), *running_variance = dfm_weight(pass, layer, VARIANCE);
  if (!uses_batch(pass)) return;
  memset(mean, 0, 2 * (size_t)n * sizeof *mean);
  for (int block = 0; block < n_blocks(pass); block++) {
    const double *block_mean = block_sums(layer, pass, block), *block_squares = block_mean + n;
    const double before = (double)block * pass->block;
    const double rows = block * pass->block + pass->block <= pass->B ? pass->block : pass->B - before;
    for (int i = 0; i < n; i++) {
      const double delta = block_mean[i] - mean[i];
      mean[i] += delta * rows / (before + rows);
      scale[i] += block_squares[i] + delta * delta * before * rows / (before + rows);
    }
  }
  const float keep = layer->momentum, take = 1 - layer->momentum;
  for (int i = 0; i < n; i++) {
    running_mean[i] = keep * running_mean[i] + take * (float)mean[i];
    running_variance[i] = keep * running_variance[i] + take * (float)(scale[i] / (pass->B - 1));
    scale[i] = 1 / sqrt(scale[i] / pass->B + (double)layer->epsilon);
  }
}

/* xhat = (x - mean) * scale of unit i, by the statistics that this pass normalises with. */
static void unit_statistics(const dfm_layer *layer, const dfm_pass *pass, int i, float *mean, float *scale) {
  if (uses_batch(pass)) {
    const double *sums = forward_sums(layer, pass);
    *mean = (float)sums[i];
    *scale = (float)sums[layer->n_out + i];
  } else {
    *mean = dfm_weight(pass, layer, MEAN)[i];
    *scale = 1 / sqrtf(dfm_weight(pass, layer, VARIANCE)[i] + layer->epsilon);
  }
}

static void forward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  const int n = layer->n_out;
  const float *gamma = dfm_weight(pass, layer, GAMMA), *beta = dfm_weight(pass, layer, BETA);
  for (int from = 0; from < n; from += 64) { /* 64 units at a time keep their statistics at hand without allocating */
    float mean[64], factor[64];
    const int units = n - from < 64 ? n - from : 64;
    for (int i = 0; i < units; i++) {
      unit_statistics(layer, pass, from + i, &mean[i], &factor[i]);
      factor[i] *= gamma[from + i];
    }
    for (int b = b0; b < b1; b++) {
      const float *x = dfm_value(pass, layer->in, b, from);
      float *y = dfm_value(pass, layer->out, b, from);
      for (int i = 0; i < units; i++) y[i] = (x[i] - mean[i]) * factor[i] + beta[from + i];
    }
  }
}

static void sums_backward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  const int n = layer->n_out;
  double *sum_dy = block_sums(layer, pass, b0 / pass->block), *sum_dyx = sum_dy + n;
  memset(sum_dy, 0, 2 * (size_t)n * sizeof *sum_dy);
  for (int from = 0; from < n; from += 64) {
    float mean[64], scale[64];
    const int units = n - from < 64 ? n - from : 64;
    for (int i = 0; i < units; i++) unit_statistics(layer, pass, from + i, &mean[i], &scale[i]);
    for (int b = b0; b < b1; b++) {
      const float *x = dfm_value(pass, layer->in, b, from), *dy = dfm_dvalue(pass, layer->out, b, from);
      for (int i = 0; i < units; i++) {
        sum_dy[from + i] += dy[i];
        sum_dyx[from + i] += dy[i] * ((x[i] - mean[i]) * scale[i]);
      }
    }
  }
}

static void reduce_backward(const dfm_layer *layer, const dfm_pass *pass) {
  const int n = layer->n_out;
  double *sum_dy = backward_sums(layer, pass), *sum_dyx = sum_dy + n;
  memset(sum_dy, 0, 2 * (size_t)n * sizeof *sum_dy);
  for (int block = 0; block < n_blocks(pass); block++) {
    const double *sums = block_sums(layer, pass, block);
    for (int i = 0; i < 2 * n; i++) sum_dy[i] += sums[i];
  }
  for (int i = 0; i < n; i++) {
    dfm_dweight(pass, layer, BETA)[i] = (float)sum_dy[i];
    dfm_dweight(pass, layer, GAMMA)[i] = (float)sum_dyx[i];
    /* By the running statistics (a batch of one row) mean and variance are constants: nothing flows through them. */
    sum_dy[i] = uses_batch(pass) ? sum_dy[i] / pass->B : 0;
    sum_dyx[i] = uses_batch(pass) ? sum_dyx[i] / pass->B : 0;
  }
}

static void backward(const dfm_layer *layer, const dfm_pass *pass, int b0, int b1) {
  const int n = layer->n_out;
  const float *gamma = dfm_weight(pass, layer, GAMMA);
  const double *mean_dy = backward_sums(layer, pass), *mean_dyx = mean_dy + n;
  for (int from = 0; from < n; from += 64) {
    float mean[64], scale[64], dy_mean[64], dyx_mean[64];
    const int units = n - from < 64 ? n - from : 64;
    for (int i = 0; i < units; i++) {
      unit_statistics(layer, pass, from + i, &mean[i], &scale[i]);
      dy_mean[i] = (float)mean_dy[from + i];
      dyx_mean[i] = (float)mean_dyx[from + i];
    }
    for (int b = b0; b < b1; b++) {
      const float *x = dfm_value(pass, layer->in, b, from), *dy = dfm_dvalue(pass, layer->out, b, from);
      float *dx = dfm_dvalue(pass, layer->in, b, from);
      for (int i = 0; i < units; i++) {
        const float xhat = (x[i] - mean[i]) * scale[i];
        dx[i] = gamma[from + i] * scale[i] * (dy[i] - dy_mean[i] - xhat * dyx_mean[i]);
      }
    }
  }
}

static int tasks(const dfm_layer *layer) {
  (void)layer;
  return 1;
}

/* reduce_backward has made the gradients; the task only says where they are (gamma and beta lie side by side). */
static int gradient(const dfm_layer *layer, const dfm_pass *pass, int task, dfm_span span[2]) {
  const dfm_param *gamma = &pass->net->param[layer->param[GAMMA]], *beta = &pass->net->param[layer->param[BETA]];
  (void)task;
  span[0] = (dfm_span){gamma->offset, gamma->n, gamma->part};
  span[1] = (dfm_span){beta->offset, beta->n, beta->part};
  return 2;
}

const dfm_layer_kind dfm_layer_batch_norm = {.name = "BatchNorm",
                                             .forward = forward,
                                             .backward = backward,
                                             .tasks = tasks,
                                             .gradient = gradient,
                                             .sums_forward = sums_forward,
                                             .reduce_forward = reduce_forward,
                                             .sums_backward = sums_backward,
                                             .reduce_backward = reduce_backward};
