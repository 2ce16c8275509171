/* The doctor's look at rows as a whole: the sample's labels and groups of equal rows come in; what will hurt goes
 * out. */
#include <inttypes.h>
#include <math.h>

#include "data/doctor.h"

#define ADD(kind, severity, ...) dfm_findings_add(findings, kind, severity, NULL, error, __VA_ARGS__)

static int64_t count_positives(const dfm_row_sample *sample) {
  int64_t positives = 0;
  for (size_t i = 0; i < sample->n; i++) positives += sample->label[i];
  return positives;
}

/* ---- the label */

static dfm_status check_balance(const dfm_row_sample *sample, int64_t positives, dfm_findings *findings,
                                dfm_error *error) {
  const int64_t n = (int64_t)sample->n, rarer = positives < n - positives ? positives : n - positives;
  const double share = (double)rarer / (double)n;
  if (rarer == 0)
    return ADD(DFM_FOUND_ONE_CLASS, DFM_SEVERITY_WARNING, "all %" PRId64 " rows have label %d", n, positives > 0);
  const bool is_few = rarer < 50 && share < 0.1;
  if (share >= 0.01 && !is_few) return DFM_OK;
  return ADD(DFM_FOUND_IMBALANCE, is_few || share < 0.001 ? DFM_SEVERITY_WARNING : DFM_SEVERITY_NOTE,
             "only %" PRId64 " of %" PRId64 " rows (%.3g %%) have label %d", rarer, n, 100 * share,
             positives < n - positives);
}

/* The last tenth against the others, or the two that differ most: five standard errors, and a quarter of the rate. */
static dfm_status check_label_drift(const dfm_row_sample *sample, int64_t positives, dfm_findings *findings,
                                    dfm_error *error) {
  double rows[DFM_TENTHS] = {0}, of[DFM_TENTHS] = {0};
  int low = 0, high = 0;
  for (size_t i = 0; i < sample->n; i++) {
    rows[dfm_tenth(sample, i)]++;
    of[dfm_tenth(sample, i)] += sample->label[i];
  }
  if (rows[0] < 20) return DFM_OK;
  for (int t = 1; t < DFM_TENTHS; t++) {
    if (of[t] / rows[t] < of[low] / rows[low]) low = t;
    if (of[t] / rows[t] > of[high] / rows[high]) high = t;
  }
  const double n = (double)sample->n, rate = (double)positives / n, variance = rate * (1 - rate);
  const int end = DFM_TENTHS - 1;
  const double last = of[end] / rows[end], before = ((double)positives - of[end]) / (n - rows[end]);
  const double error_of_last = sqrt(variance * (1 / rows[end] + 1 / (n - rows[end])));
  const double error_of_two = sqrt(variance * (1 / rows[low] + 1 / rows[high]));
  const double rarer = rate < 0.5 ? rate : 1 - rate;
  if (fabs(last - before) > 5 * error_of_last && fabs(last - before) > 0.25 * rarer)
    return ADD(DFM_FOUND_LABEL_DRIFT, DFM_SEVERITY_WARNING,
               "the label rate is %.2f %% in the last tenth of the rows and %.2f %% before", 100 * last, 100 * before);
  const double gap = of[high] / rows[high] - of[low] / rows[low];
  if (gap > 5 * error_of_two && gap > 0.5 * rarer)
    return ADD(DFM_FOUND_LABEL_DRIFT, DFM_SEVERITY_NOTE,
               "the label rate changes along the rows: %.2f %% in tenth %d, %.2f %% in tenth %d",
               100 * of[low] / rows[low], low + 1, 100 * of[high] / rows[high], high + 1);
  return DFM_OK;
}

/* ---- equal rows */

/* Sums over groups of rows that are equal but for the label. */
typedef struct group_sums {
  double rows, copies; /* copies: rows that another row with the same label precedes */
  double contradicted; /* rows in groups with both labels */
  double pairs, disagreeing;
} group_sums;

static group_sums sum_groups(const dfm_duplicates *duplicates) {
  group_sums sum = {0};
  for (size_t i = 0; i < duplicates->n_slots; i++) {
    const double n = (double)duplicates->slots[i].rows, positives = (double)duplicates->slots[i].positives;
    if (n == 0) continue;
    const bool is_both = positives > 0 && positives < n;
    sum.rows += n;
    sum.copies += n - 1 - is_both;
    sum.contradicted += is_both ? n : 0;
    sum.pairs += n * (n - 1) / 2;
    sum.disagreeing += positives * (n - positives);
  }
  return sum;
}

/* Rows that are equal by nature (few columns, few values) have labels of their own; copies of one row have one label.
 * So copies whose labels agree far more than chance has it are those that were written twice. */
static dfm_status check_duplicates(const dfm_row_sample *sample, int64_t positives, dfm_findings *findings,
                                   dfm_error *error) {
  const group_sums sum = sum_groups(&sample->duplicates);
  if (sum.rows < 20) return DFM_OK;
  const double part = (double)sample->comparable / (double)sample->rows / sum.rows; /* of the kept rows to all */
  const double rate = (double)positives / (double)sample->n, by_chance = 2 * rate * (1 - rate);
  const double copies = sum.copies * part, contradicted = sum.contradicted * part;
  const double disagree = sum.pairs > 0 ? sum.disagreeing / sum.pairs : 0;
  if (copies >= 0.01) {
    const bool is_twice = !sample->label || disagree < by_chance / 4;
    const char *doubt = sample->is_coarse ? " once they are in buckets, so they may be rows of their own"
                        : is_twice
                            ? ""
                            : "; others of the same cells have the other label, so they may be rows of their own";
    DFM_TRY(ADD(DFM_FOUND_DUPLICATES, is_twice && !sample->is_coarse ? DFM_SEVERITY_WARNING : DFM_SEVERITY_NOTE,
                "%.1f %% of the rows are copies of another, label and all%s", 100 * copies, doubt));
  }
  if (contradicted >= 0.01)
    DFM_TRY(ADD(DFM_FOUND_CONTRADICTIONS, DFM_SEVERITY_NOTE,
                "%.1f %% of the rows equal others in every cell%s but have the other label", 100 * contradicted,
                sample->is_coarse ? ", as its bucket is," : ""));
  return DFM_OK;
}

dfm_status dfm_doctor_rows(const dfm_row_sample *sample, dfm_findings *findings, dfm_error *error) {
  const int64_t positives = sample->label ? count_positives(sample) : 0;
  if (sample->label) DFM_TRY(check_balance(sample, positives, findings, error));
  if (sample->label) DFM_TRY(check_label_drift(sample, positives, findings, error));
  return check_duplicates(sample, positives, findings, error);
}
