/* Metrics: probabilities and labels come in, any number at a time; log loss, AUC, accuracy and means go out.
 *
 * Sums are in the order of the rows. For the AUC each row is kept as 4 bytes (8 where weights differ) up to 2^24 rows;
 * beyond, rows are counted by bins of their logit, and what the bins cannot tell is the error bound. */
#include "train/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/sort.h"

/* A float32 probability of exactly 0 or 1 is wrong by at most this; keeps the log loss of a wrong sure row finite. */
static const double SMALLEST = 1e-7;

/* Rows whose AUC is exact: 64 MB of keys. */
static const int64_t EXACT_ROWS = INT64_C(1) << 24;

/* Bins of 2^-13 over logits from -16 to 16; the first and the last hold what lies beyond. A probability just under 1
 * has a logit of 16.6. */
enum { N_BINS = 1 << 18, BINS_PER_UNIT = 1 << 13, LARGEST_LOGIT = 16 };

typedef struct bin {
  double positives, negatives; /* sums of weights */
  float low, high;             /* probabilities; low > high: none yet */
} bin;

typedef struct sums {
  int64_t rows;
  double weight, loss, right, predicted, observed;
} sums;

struct dfm_meter {
  int64_t exact_rows;
  sums sum; /* over the rows */
  /* up to exact_rows rows */
  uint32_t *key;     /* (rows) the probability's bits, which ascend with it, and the label as lowest bit */
  float *row_weight; /* (rows); NULL: every weight was 1 so far */
  size_t key_capacity, weight_capacity;
  /* beyond */
  bin *bins; /* (N_BINS); NULL: not beyond */
};

dfm_status dfm_meter_create_exact(int64_t exact_rows, dfm_meter **meter, dfm_error *error) {
  dfm_meter *made;
  DFM_TRY(dfm_alloc(&made, 1, sizeof *made, error));
  made->exact_rows = exact_rows;
  *meter = made;
  return DFM_OK;
}

dfm_status dfm_meter_create(dfm_meter **meter, dfm_error *error) {
  return dfm_meter_create_exact(EXACT_ROWS, meter, error);
}

static void clear(dfm_meter *meter) {
  free(meter->key);
  free(meter->row_weight);
  free(meter->bins);
  *meter = (dfm_meter){.exact_rows = meter->exact_rows};
}

void dfm_meter_free(dfm_meter *meter) {
  if (!meter) return;
  clear(meter);
  free(meter);
}

/* ---- adding */

static double weight_at(const float *weight, int64_t i) {
  return weight ? (double)weight[i] : 1;
}

static dfm_status check_rows(const dfm_meter *meter, const float *probability, const float *label, int64_t n,
                             dfm_error *error) {
  for (int64_t i = 0; i < n; i++) {
    const long long row = (long long)(meter->sum.rows + i);
    if (!(probability[i] >= 0 && probability[i] <= 1)) {
      return dfm_fail(error, DFM_ERROR_VALUE, "probability %lld is %g; probabilities are in [0, 1]", row,
                      (double)probability[i]);
    }
    if (label[i] != 0 && label[i] != 1)
      return dfm_fail(error, DFM_ERROR_VALUE, "label %lld is %g; labels are 0 or 1", row, (double)label[i]);
  }
  return DFM_OK;
}

static void sum_up(dfm_meter *meter, const float *probability, const float *label, const float *weight, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    const double w = weight_at(weight, i), p = (double)probability[i];
    const double sure = fmin(fmax(label[i] == 1 ? p : 1 - p, SMALLEST), 1);
    meter->sum.loss -= w * log(sure);
    meter->sum.right += w * ((p >= 0.5) == (label[i] == 1));
    meter->sum.predicted += w * p;
    meter->sum.observed += w * (double)label[i];
    meter->sum.weight += w;
  }
}

static uint32_t key_of(float probability, bool is_positive) {
  const float p = probability + 0.0F; /* -0 becomes +0; floats from 0 up are in the order of their bits */
  uint32_t bits;
  memcpy(&bits, &p, sizeof bits);
  return bits << 1 | is_positive; /* 1 is 0x3f800000: no bit is lost */
}

static float probability_of(uint32_t key) {
  const uint32_t bits = key >> 1;
  float p;
  memcpy(&p, &bits, sizeof p);
  return p;
}

static bool has_weights(const float *weight, int64_t n) {
  for (int64_t i = 0; weight && i < n; i++)
    if (weight[i] != 1) return true;
  return false;
}

static dfm_status keep_rows(dfm_meter *meter, const float *probability, const float *label, const float *weight,
                            int64_t n, dfm_error *error) {
  const size_t at = (size_t)meter->sum.rows, end = at + (size_t)n;
  const bool is_first = !meter->row_weight && has_weights(weight, n);
  DFM_TRY(dfm_grow(&meter->key, &meter->key_capacity, end, sizeof *meter->key, error));
  if (is_first || meter->row_weight)
    DFM_TRY(dfm_grow(&meter->row_weight, &meter->weight_capacity, end, sizeof *meter->row_weight, error));
  for (size_t i = 0; is_first && i < at; i++) meter->row_weight[i] = 1;
  for (size_t i = 0; i < (size_t)n; i++) {
    meter->key[at + i] = key_of(probability[i], label[i] == 1);
    if (meter->row_weight) meter->row_weight[at + i] = weight ? weight[i] : 1;
  }
  return DFM_OK;
}

static void count_row(bin *bins, float probability, bool is_positive, double weight) {
  const double p = (double)probability, logit = log(p / (1 - p)); /* infinite where p is 0 or 1 */
  const double place = (fmin(fmax(logit, -LARGEST_LOGIT), LARGEST_LOGIT) + LARGEST_LOGIT) * BINS_PER_UNIT;
  bin *at = &bins[place < N_BINS ? (int)place : N_BINS - 1];
  *(is_positive ? &at->positives : &at->negatives) += weight;
  at->low = fminf(at->low, probability);
  at->high = fmaxf(at->high, probability);
}

/* The rows kept so far go to bins. */
static dfm_status begin_bins(dfm_meter *meter, dfm_error *error) {
  DFM_TRY(dfm_alloc(&meter->bins, N_BINS, sizeof *meter->bins, error));
  for (int i = 0; i < N_BINS; i++) meter->bins[i] = (bin){.low = 2, .high = -1};
  for (int64_t i = 0; i < meter->sum.rows; i++)
    count_row(meter->bins, probability_of(meter->key[i]), meter->key[i] & 1, weight_at(meter->row_weight, i));
  free(meter->key);
  free(meter->row_weight);
  meter->key = NULL;
  meter->row_weight = NULL;
  meter->key_capacity = meter->weight_capacity = 0;
  return DFM_OK;
}

dfm_status dfm_meter_add(dfm_meter *meter, const float *probability, const float *label, const float *weight, int64_t n,
                         dfm_error *error) {
  DFM_TRY(check_rows(meter, probability, label, n, error));
  if (!meter->bins && meter->sum.rows + n > meter->exact_rows) DFM_TRY(begin_bins(meter, error));
  if (!meter->bins) DFM_TRY(keep_rows(meter, probability, label, weight, n, error));
  for (int64_t i = 0; meter->bins && i < n; i++)
    count_row(meter->bins, probability[i], label[i] == 1, weight_at(weight, i));
  sum_up(meter, probability, label, weight, n);
  meter->sum.rows += n;
  return DFM_OK;
}

/* ---- the area: the weight of positives above each negative, ties half. Fawcett, "An introduction to ROC analysis",
 * 2006. */

typedef struct area {
  double pairs, positives, negatives;
  double doubt; /* of `pairs`, at most */
} area;

/* Rows of which none is told apart, above all that were added before; `is_tied`: they are equal, and not only near. */
static void add_group(area *sum, double positives, double negatives, bool is_tied) {
  sum->pairs += positives * (sum->negatives + negatives / 2);
  if (!is_tied) sum->doubt += positives * negatives / 2;
  sum->positives += positives;
  sum->negatives += negatives;
}

static area area_of_rows(dfm_meter *meter) {
  area sum = {0};
  dfm_sort_in_place(meter->key, meter->row_weight, (size_t)meter->sum.rows);
  for (int64_t i = 0; i < meter->sum.rows;) {
    double of_class[2] = {0, 0};
    const uint32_t probability = meter->key[i] >> 1;
    for (; i < meter->sum.rows && meter->key[i] >> 1 == probability; i++)
      of_class[meter->key[i] & 1] += weight_at(meter->row_weight, i);
    add_group(&sum, of_class[1], of_class[0], true);
  }
  return sum;
}

static area area_of_bins(const bin *bins) {
  area sum = {0};
  for (int i = 0; i < N_BINS; i++) add_group(&sum, bins[i].positives, bins[i].negatives, !(bins[i].low < bins[i].high));
  return sum;
}

void dfm_meter_measure(dfm_meter *meter, dfm_metrics *metrics) {
  const area sum = meter->bins ? area_of_bins(meter->bins) : area_of_rows(meter);
  const double pairs = sum.positives * sum.negatives,
               scale = meter->sum.weight > 0 ? 1 / meter->sum.weight : (double)NAN;
  *metrics = (dfm_metrics){.rows = meter->sum.rows,
                           .weight = meter->sum.weight,
                           .logloss = meter->sum.loss * scale,
                           .auc = pairs > 0 ? sum.pairs / pairs : (double)NAN,
                           .auc_error = pairs > 0 ? sum.doubt / pairs : 0,
                           .accuracy = meter->sum.right * scale,
                           .mean_predicted = meter->sum.predicted * scale,
                           .mean_observed = meter->sum.observed * scale};
}

void dfm_meter_finish(dfm_meter *meter, dfm_metrics *metrics) {
  dfm_meter_measure(meter, metrics);
  clear(meter);
}

int64_t dfm_meter_rows(const dfm_meter *meter) {
  return meter->sum.rows;
}

/* ---- checkpoints */

enum { SUM_WORDS = sizeof(sums) / sizeof(uint64_t), BIN_WORDS = sizeof(bin) / sizeof(uint64_t) };

void dfm_meter_parts(const dfm_meter *meter, dfm_meter_part part[DFM_METER_PARTS]) {
  const uint64_t rows = (uint64_t)meter->sum.rows;
  part[0] = (dfm_meter_part){"sums", DFM_U64, SUM_WORDS, &meter->sum};
  part[1] = (dfm_meter_part){"keys", DFM_U32, meter->key ? rows : 0, meter->key};
  part[2] = (dfm_meter_part){"weights", DFM_F32, meter->row_weight ? rows : 0, meter->row_weight};
  part[3] = (dfm_meter_part){"bins", DFM_U64, meter->bins ? (uint64_t)N_BINS * BIN_WORDS : 0, meter->bins};
}

static bool is_meter(const dfm_meter_part part[DFM_METER_PARTS], uint64_t exact_rows) {
  sums sum;
  if (part[0].n != SUM_WORDS) return false;
  memcpy(&sum, part[0].data, sizeof sum);
  const uint64_t rows = (uint64_t)sum.rows, kept = part[3].n > 0 ? 0 : rows;
  return sum.rows >= 0 && kept <= exact_rows && part[1].n == kept && (part[2].n == 0 || part[2].n == kept) &&
         (part[3].n == 0 || part[3].n == (uint64_t)N_BINS * BIN_WORDS);
}

dfm_status dfm_meter_restore(dfm_meter *meter, const dfm_meter_part part[DFM_METER_PARTS], bool *is_good,
                             dfm_error *error) {
  *is_good = is_meter(part, (uint64_t)meter->exact_rows);
  if (!*is_good) return DFM_OK;
  memcpy(&meter->sum, part[0].data, sizeof meter->sum);
  const size_t keys = part[1].n, weights = part[2].n;
  if (keys > 0) DFM_TRY(dfm_grow(&meter->key, &meter->key_capacity, keys, sizeof *meter->key, error));
  if (weights > 0)
    DFM_TRY(dfm_grow(&meter->row_weight, &meter->weight_capacity, weights, sizeof *meter->row_weight, error));
  if (part[3].n > 0) DFM_TRY(dfm_alloc(&meter->bins, N_BINS, sizeof *meter->bins, error));
  if (keys > 0) memcpy(meter->key, part[1].data, keys * sizeof *meter->key);
  if (weights > 0) memcpy(meter->row_weight, part[2].data, weights * sizeof *meter->row_weight);
  if (part[3].n > 0) memcpy(meter->bins, part[3].data, N_BINS * sizeof *meter->bins);
  return DFM_OK;
}

dfm_status dfm_metrics_of(const float *probability, const float *label, const float *weight, int64_t n,
                          dfm_metrics *metrics, dfm_error *error) {
  dfm_meter *meter;
  DFM_TRY(dfm_meter_create(&meter, error));
  const dfm_status status = dfm_meter_add(meter, probability, label, weight, n, error);
  if (status == DFM_OK) dfm_meter_finish(meter, metrics);
  dfm_meter_free(meter);
  return status;
}
