/* A column of the doctor's sample: ids or numbers come in; codes with counts by fold go out, and how well the column
 * alone tells the label, and how it changes along the rows. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/sort.h"
#include "data/doctor.h"
#include "data/quantile.h"

/* ---- codes */

/* The code of value `value` in `code_of`, where 0 is none yet and codes are kept plus one. */
static uint32_t code_for(dfm_column_codes *column, uint32_t *code_of, uint32_t value) {
  if (code_of[value] == 0) code_of[value] = ++column->n_codes;
  return code_of[value] - 1;
}

static dfm_status code_category(const dfm_row_sample *sample, dfm_column_codes *column, dfm_error *error) {
  const uint32_t *ids = sample->cells[column->field].id;
  const uint32_t rows = dfm_encoder_rows(sample->encoder, column->field);
  const bool has_row = dfm_encoder_first(sample->encoder, column->field) == 1;
  uint32_t *code_of; /* (rows + 2), the last two for no id and no items */
  DFM_TRY(dfm_alloc(&code_of, (size_t)rows + 2, sizeof *code_of, error));
  for (size_t i = 0; i < column->n; i++) {
    const uint32_t value = ids[i] == DFM_ID_NONE ? rows : ids[i] == DFM_NO_ITEMS ? rows + 1 : ids[i];
    column->code[i] = code_for(column, code_of, value);
  }
  column->unknown = code_of[has_row ? 0 : rows] - 1;
  free(code_of);
  return DFM_OK;
}

/* Rows by ascending value: empty cells have key 0, which no number has. */
static void sort_numbers(const dfm_row_sample *sample, const float *numbers, dfm_pairs *pairs) {
  for (size_t i = 0; i < sample->n; i++) {
    pairs->key[0][i] = isnan(numbers[i]) ? 0 : dfm_float_key(numbers[i]);
    pairs->value[0][i] = (uint32_t)i;
  }
  dfm_sort_pairs(pairs, sample->n, UINT32_MAX);
}

/* `rank` (n) and `code_of` (n) are room to work in. */
static void code_sorted(const dfm_pairs *sorted, dfm_column_codes *column, uint32_t *code_of, uint32_t *rank) {
  uint32_t at = 0;
  for (size_t i = 0; i < column->n; i++) {
    at += i > 0 && sorted->key[0][i] != sorted->key[0][i - 1];
    rank[sorted->value[0][i]] = at;
  }
  for (size_t i = 0; i < column->n; i++) column->code[i] = code_for(column, code_of, rank[i]);
  if (sorted->key[0][0] == 0) column->missing = code_of[0] - 1;
  for (uint32_t r = 0; r < column->n_codes; r++) column->rank[r] = code_of[r] - 1;
}

static dfm_status code_number(const dfm_row_sample *sample, dfm_column_codes *column, dfm_error *error) {
  const size_t n = sample->n;
  uint32_t *room;
  DFM_TRY(dfm_alloc(&column->rank, n, sizeof *column->rank, error));
  DFM_TRY(dfm_alloc(&room, 6 * n, sizeof *room, error));
  dfm_pairs pairs = {{room, room + n}, {room + 2 * n, room + 3 * n}};
  sort_numbers(sample, sample->number + (size_t)column->field * n, &pairs);
  code_sorted(&pairs, column, room + 4 * n, room + 5 * n);
  free(room);
  DFM_TRY(dfm_alloc(&column->value, column->n_codes, sizeof *column->value, error));
  for (size_t i = 0; i < n; i++) column->value[column->code[i]] = sample->number[(size_t)column->field * n + i];
  return DFM_OK;
}

static int fold_of(uint64_t key, size_t row) {
  return (int)(dfm_random_u64(key, row) & 1);
}

static dfm_status count_codes(const dfm_row_sample *sample, dfm_column_codes *column, dfm_error *error) {
  const uint64_t key = dfm_random_key(0, DFM_STREAM_SPLIT);
  for (int fold = 0; fold < 2; fold++) {
    DFM_TRY(dfm_alloc(&column->rows[fold], column->n_codes, sizeof(uint32_t), error));
    DFM_TRY(dfm_alloc(&column->positives[fold], column->n_codes, sizeof(uint32_t), error));
  }
  for (size_t i = 0; i < column->n; i++) {
    const size_t row = dfm_column_row(column, i);
    const int fold = fold_of(key, row);
    column->rows[fold][column->code[i]]++;
    if (sample->label) column->positives[fold][column->code[i]] += sample->label[row];
  }
  return DFM_OK;
}

static dfm_status code_field(const dfm_row_sample *sample, dfm_column_codes *column, dfm_error *error) {
  DFM_TRY(dfm_alloc(&column->code, column->n, sizeof *column->code, error));
  DFM_TRY((column->is_number ? code_number : code_category)(sample, column, error));
  return count_codes(sample, column, error);
}

dfm_status dfm_column_code(const dfm_row_sample *sample, size_t i, dfm_column_codes *column, dfm_error *error) {
  const dfm_encoder *encoder = sample->encoder;
  *column = (dfm_column_codes){.sample = sample,
                               .n = sample->n,
                               .n_missing = sample->missing[i],
                               .missing = DFM_NO_CODE,
                               .unknown = DFM_NO_CODE};
  column->is_number = dfm_encoder_field(encoder, i, &column->field);
  if (!column->is_number) {
    column->n = sample->cells[column->field].n;
    column->row = sample->cells[column->field].row;
  }
  column->name = column->is_number ? encoder->number[column->field].name : encoder->category[column->field].name;
  const dfm_status status = code_field(sample, column, error);
  if (status != DFM_OK) dfm_column_codes_clear(column);
  return status;
}

void dfm_column_codes_clear(dfm_column_codes *column) {
  free(column->code);
  free(column->rank);
  free(column->value);
  for (int fold = 0; fold < 2; fold++) {
    free(column->rows[fold]);
    free(column->positives[fold]);
  }
  *column = (dfm_column_codes){0};
}

/* ---- AUC */

/* Area under the curve, from groups of rows of equal score in ascending order. */
typedef struct auc_sum {
  double positives, negatives, wins;
} auc_sum;

static void add_group(auc_sum *sum, double positives, double negatives) {
  sum->wins += positives * (sum->negatives + negatives / 2);
  sum->positives += positives;
  sum->negatives += negatives;
}

static double area(const auc_sum *sum) {
  const double pairs = sum->positives * sum->negatives;
  return pairs > 0 ? sum->wins / pairs : (double)NAN;
}

/* Rows and positives of the values of a column, or of its bins, in each fold. */
typedef struct fold_counts {
  uint32_t *rows[2], *positives[2]; /* (n) */
  size_t n;
} fold_counts;

/* The label rate of all. */
static double mean_rate(const fold_counts *counts) {
  double rows = 0, positives = 0;
  for (size_t i = 0; i < 2 * counts->n; i++) {
    rows += counts->rows[i & 1][i / 2];
    positives += counts->positives[i & 1][i / 2];
  }
  return positives / rows;
}

/* The rate of the value in the other fold, drawn towards the rate of all by as much as one row. */
static double score(const fold_counts *counts, int fold, size_t value, double rate) {
  const double rows = counts->rows[1 - fold][value], positives = counts->positives[1 - fold][value];
  return (positives + rate) / (rows + 1);
}

static void score_folds(const fold_counts *counts, dfm_pairs *pairs) {
  const double rate = mean_rate(counts);
  for (size_t i = 0; i < 2 * counts->n; i++) {
    pairs->key[0][i] = dfm_float_key((float)score(counts, i & 1, i / 2, rate));
    pairs->value[0][i] = (uint32_t)i;
  }
  dfm_sort_pairs(pairs, 2 * counts->n, UINT32_MAX);
}

static dfm_status rate_auc(const fold_counts *counts, double *auc, dfm_error *error) {
  const size_t n = 2 * counts->n;
  auc_sum sum = {0};
  uint32_t *room;
  DFM_TRY(dfm_alloc(&room, 4 * n, sizeof *room, error));
  dfm_pairs pairs = {{room, room + n}, {room + 2 * n, room + 3 * n}};
  score_folds(counts, &pairs);
  for (size_t i = 0; i < n;) {
    double rows = 0, positives = 0;
    const uint32_t key = pairs.key[0][i];
    for (; i < n && pairs.key[0][i] == key; i++) {
      const uint32_t at = pairs.value[0][i];
      rows += counts->rows[at & 1][at / 2];
      positives += counts->positives[at & 1][at / 2];
    }
    add_group(&sum, positives, rows - positives);
  }
  free(room);
  *auc = area(&sum);
  return DFM_OK;
}

/* Rows by the mean score of their items. */
static void score_lists(const dfm_column_codes *column, const fold_counts *counts, dfm_pairs *pairs) {
  const uint64_t key = dfm_random_key(0, DFM_STREAM_SPLIT);
  const double rate = mean_rate(counts);
  for (size_t i = 0; i < column->n;) {
    const size_t row = column->row[i], first = i;
    double sum = 0;
    for (; i < column->n && column->row[i] == row; i++) sum += score(counts, fold_of(key, row), column->code[i], rate);
    pairs->key[0][row] = dfm_float_key((float)(sum / (double)(i - first)));
    pairs->value[0][row] = (uint32_t)row;
  }
  dfm_sort_pairs(pairs, column->sample->n, UINT32_MAX);
}

static dfm_status list_auc(const dfm_column_codes *column, const fold_counts *counts, double *auc, dfm_error *error) {
  const size_t n = column->sample->n;
  auc_sum sum = {0};
  uint32_t *room;
  DFM_TRY(dfm_alloc(&room, 4 * n, sizeof *room, error));
  dfm_pairs pairs = {{room, room + n}, {room + 2 * n, room + 3 * n}};
  score_lists(column, counts, &pairs);
  for (size_t i = 0; i < n;) {
    double rows = 0, positives = 0;
    const uint32_t key = pairs.key[0][i];
    for (; i < n && pairs.key[0][i] == key; i++) {
      rows++;
      positives += column->sample->label[pairs.value[0][i]];
    }
    add_group(&sum, positives, rows - positives);
  }
  free(room);
  *auc = area(&sum);
  return DFM_OK;
}

dfm_status dfm_column_value_auc(const dfm_column_codes *column, double *auc, dfm_error *error) {
  const fold_counts counts = {.rows = {column->rows[0], column->rows[1]},
                              .positives = {column->positives[0], column->positives[1]},
                              .n = column->n_codes};
  if (column->row) return list_auc(column, &counts, auc, error);
  return rate_auc(&counts, auc, error);
}

dfm_status dfm_column_range_auc(const dfm_column_codes *column, double *auc, dfm_error *error) {
  enum { RANGES = 32 };
  uint32_t of[4][RANGES] = {{0}};
  double before = 0;
  for (uint32_t r = 0; r < column->n_codes; r++) {
    const uint32_t code = column->rank[r];
    const int range = (int)(RANGES * before / (double)column->n);
    before += dfm_column_rows(column, code);
    for (int fold = 0; fold < 2; fold++) {
      of[fold][range] += column->rows[fold][code];
      of[2 + fold][range] += column->positives[fold][code];
    }
  }
  const fold_counts counts = {.rows = {of[0], of[1]}, .positives = {of[2], of[3]}, .n = RANGES};
  return rate_auc(&counts, auc, error);
}

double dfm_column_order_auc(const dfm_column_codes *column) {
  auc_sum sum = {0};
  for (uint32_t r = 0; r < column->n_codes; r++) {
    const uint32_t code = column->rank[r];
    const double positives = (double)column->positives[0][code] + (double)column->positives[1][code];
    add_group(&sum, positives, (double)dfm_column_rows(column, code) - positives);
  }
  const double auc = area(&sum);
  return auc < 0.5 ? 1 - auc : auc;
}

/* ---- drift */

/* Numbers: the tenths of the order, and the last bin for empty cells. */
static void bin_ranks(const dfm_column_codes *column, uint8_t *bin) {
  const double empty = column->missing == DFM_NO_CODE ? 0 : (double)dfm_column_rows(column, column->missing);
  double before = 0;
  for (uint32_t r = 0; r < column->n_codes; r++) {
    const uint32_t code = column->rank[r];
    if (code == column->missing) {
      bin[code] = DFM_DRIFT_BINS - 1;
      continue;
    }
    bin[code] = (uint8_t)(10 * before / ((double)column->n - empty));
    before += dfm_column_rows(column, code);
  }
}

/* Categories: a bin for each of the most frequent values, the last for the others. */
static void bin_values(const dfm_column_codes *column, uint8_t *bin) {
  uint32_t top[DFM_DRIFT_BINS - 1];
  int n_top = 0;
  for (uint32_t code = 0; code < column->n_codes; code++) {
    const uint32_t rows = dfm_column_rows(column, code);
    int at = n_top;
    while (at > 0 && rows > dfm_column_rows(column, top[at - 1])) at--;
    if (at == DFM_DRIFT_BINS - 1) continue;
    n_top += n_top < DFM_DRIFT_BINS - 1;
    memmove(top + at + 1, top + at, (size_t)(n_top - 1 - at) * sizeof *top);
    top[at] = code;
  }
  memset(bin, DFM_DRIFT_BINS - 1, column->n_codes);
  for (int i = 0; i < n_top; i++) bin[top[i]] = (uint8_t)i;
}

static double stability_index(double count[DFM_TENTHS][DFM_DRIFT_BINS], int tenth) {
  double rest[DFM_DRIFT_BINS] = {0}, n = 0, n_rest = 0, sum = 0;
  int bins = 0;
  for (int b = 0; b < DFM_DRIFT_BINS; b++) {
    for (int t = 0; t < DFM_TENTHS; t++) rest[b] += t == tenth ? 0 : count[t][b];
    n += count[tenth][b];
    n_rest += rest[b];
    bins += rest[b] + count[tenth][b] > 0;
  }
  for (int b = 0; b < DFM_DRIFT_BINS; b++) {
    if (rest[b] + count[tenth][b] == 0) continue;
    const double p = (count[tenth][b] + 0.5) / (n + 0.5 * bins), q = (rest[b] + 0.5) / (n_rest + 0.5 * bins);
    sum += (p - q) * log(p / q);
  }
  return sum;
}

dfm_status dfm_column_drift(const dfm_column_codes *column, dfm_drift *drift, dfm_error *error) {
  const dfm_row_sample *sample = column->sample;
  double count[DFM_TENTHS][DFM_DRIFT_BINS] = {{0}};
  const double tenth = (double)sample->n / DFM_TENTHS;
  uint8_t *bin;
  DFM_TRY(dfm_alloc(&bin, column->n_codes, sizeof *bin, error));
  (column->is_number ? bin_ranks : bin_values)(column, bin);
  for (size_t i = 0; i < column->n; i++) count[dfm_tenth(sample, dfm_column_row(column, i))][bin[column->code[i]]]++;
  for (int t = 0; t < DFM_TENTHS; t++) drift->psi[t] = stability_index(count, t);
  const uint32_t bins = column->n_codes < DFM_DRIFT_BINS ? column->n_codes : DFM_DRIFT_BINS;
  /* Under no change the index is (1 / n + 1 / m) times a chi-square variable with bins - 1 degrees of freedom. */
  drift->limit = 0.25 + 3 * bins * (1 / tenth + 1 / (9 * tenth));
  free(bin);
  return DFM_OK;
}
