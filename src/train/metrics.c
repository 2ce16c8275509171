/* Metrics: probabilities and labels come in; log loss, exact AUC, accuracy and means go out. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/sort.h"

/* A float32 probability of exactly 0 or 1 is wrong by at most this; keeps the log loss of a wrong sure row finite. */
static const double DFM_SMALLEST = 1e-7;

static double row_weight(const float *weight, int64_t i) {
  return weight ? (double)weight[i] : 1;
}

static dfm_status check_rows(const float *probability, const float *label, int64_t n, dfm_error *error) {
  for (int64_t i = 0; i < n; i++) {
    if (!(probability[i] >= 0 && probability[i] <= 1)) {
      return dfm_fail(error, DFM_ERROR_VALUE, "probability %lld is %g; probabilities are in [0, 1]", (long long)i,
                      (double)probability[i]);
    }
    if (label[i] != 0 && label[i] != 1) {
      return dfm_fail(error, DFM_ERROR_VALUE, "label %lld is %g; labels are 0 or 1", (long long)i, (double)label[i]);
    }
  }
  return DFM_OK;
}

static void sum_up(const float *probability, const float *label, const float *weight, int64_t n, dfm_metrics *metrics) {
  double loss = 0, right = 0, predicted = 0, observed = 0, total = 0;
  for (int64_t i = 0; i < n; i++) {
    const double w = row_weight(weight, i), p = (double)probability[i];
    const double sure = fmin(fmax(label[i] == 1 ? p : 1 - p, DFM_SMALLEST), 1);
    loss -= w * log(sure);
    right += w * ((p >= 0.5) == (label[i] == 1));
    predicted += w * p;
    observed += w * (double)label[i];
    total += w;
  }
  const double scale = total > 0 ? 1 / total : (double)NAN;
  *metrics = (dfm_metrics){.rows = n,
                           .weight = total,
                           .logloss = loss * scale,
                           .auc = (double)NAN,
                           .accuracy = right * scale,
                           .mean_predicted = predicted * scale,
                           .mean_observed = observed * scale};
}

/* Rows in ascending order of probability: the weight of positives above each negative, ties half. Fawcett, "An introduction to ROC analysis", 2006. */
static double area(const dfm_pairs *sorted, const float *label, const float *weight, int64_t n) {
  double pairs = 0, positives = 0, negatives = 0;
  for (int64_t i = 0; i < n;) {
    double tied_positives = 0, tied_negatives = 0;
    const uint32_t key = sorted->key[0][i];
    for (; i < n && sorted->key[0][i] == key; i++) {
      const uint32_t row = sorted->value[0][i];
      if (label[row] == 1)
        tied_positives += row_weight(weight, row);
      else
        tied_negatives += row_weight(weight, row);
    }
    pairs += tied_positives * (negatives + tied_negatives / 2);
    positives += tied_positives;
    negatives += tied_negatives;
  }
  return positives > 0 && negatives > 0 ? pairs / (positives * negatives) : (double)NAN;
}

dfm_status dfm_metrics_of(const float *probability, const float *label, const float *weight, int64_t n,
                          dfm_metrics *metrics, dfm_error *error) {
  uint32_t *room = NULL;
  if (n < 0 || n >= UINT32_MAX) {
    return dfm_fail(error, DFM_ERROR_VALUE, "%lld rows are more than an exact AUC is made of (%u)", (long long)n,
                    UINT32_MAX - 1);
  }
  const size_t rows = (size_t)n;
  DFM_TRY(check_rows(probability, label, n, error));
  DFM_TRY(dfm_alloc(&room, 4 * rows, sizeof *room, error));
  dfm_pairs pairs = {{room, room + rows}, {room + 2 * rows, room + 3 * rows}};
  for (size_t i = 0; i < rows; i++) {
    const float p = probability[i] + 0.0F; /* -0 becomes +0; floats from 0 up are in the order of their bits */
    memcpy(&pairs.key[0][i], &p, sizeof p);
    pairs.value[0][i] = (uint32_t)i;
  }
  dfm_sort_pairs(&pairs, rows, UINT32_MAX);
  sum_up(probability, label, weight, n, metrics);
  metrics->auc = area(&pairs, label, weight, n);
  free(room);
  return DFM_OK;
}
