/* Synthetic rows: seeds and row ranges come in; checks of text, values, shares and the teacher's truth go out. */
#include <math.h>
#include <pthread.h>

#include "test.h"

/* Sanitizers look at every access: fewer rows will do for them. */
#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || __has_feature(address_sanitizer) || \
    __has_feature(thread_sanitizer)
#define SYNTH_ROWS 16000
#else
#define SYNTH_ROWS 40000
#endif
enum { ROWS = SYNTH_ROWS, COLUMNS = 41, NUMBERS = 13, VALUE_BYTES = 8 };

/* One row's cells as they stand in the text. */
typedef struct cells {
  const char *at[COLUMNS];
  size_t length[COLUMNS];
} cells;

typedef struct sample {
  char *text;
  size_t size_bytes;
  cells *rows;
} sample;

static dfm_synth *create(uint64_t seed) {
  dfm_error error;
  dfm_synth *synth = NULL;
  assert_ok(dfm_synth_create(seed, &synth, &error));
  assert_non_null(synth);
  return synth;
}

/* Cuts a row, which must have `columns` cells; returns the start of the next. */
static const char *split_row(const char *at, int columns, cells *row) {
  for (int c = 0; c < columns; c++) {
    row->at[c] = at;
    while (*at != ',' && *at != '\n') at++;
    row->length[c] = (size_t)(at - row->at[c]);
    assert_int_equal(*at, c + 1 < columns ? ',' : '\n');
    at++;
  }
  return at;
}

/* A cell as a string of its own, valid until the next call. The string functions of a sanitizer read to the end of what
 * they are given, which in the text would be megabytes away. */
static const char *cell_string(const cells *row, int c) {
  static char string[64];
  assert_true(row->length[c] < sizeof string);
  memcpy(string, row->at[c], row->length[c]);
  string[row->length[c]] = '\0';
  return string;
}

static int make_sample(void **state) {
  sample *made = calloc(1, sizeof *made);
  dfm_synth *synth = create(1);
  made->text = malloc((size_t)ROWS * DFM_SYNTH_ROW_BYTES + 1);
  made->rows = calloc(ROWS, sizeof *made->rows);
  made->size_bytes = dfm_synth_rows(synth, 0, ROWS, true, made->text);
  made->text[made->size_bytes] = 0;
  const char *at = made->text;
  for (int i = 0; i < ROWS; i++) at = split_row(at, COLUMNS, &made->rows[i]);
  assert_ptr_equal(at, made->text + made->size_bytes);
  dfm_synth_free(synth);
  *state = made;
  return 0;
}

static int free_sample(void **state) {
  sample *made = *state;
  free(made->text);
  free(made->rows);
  free(made);
  return 0;
}

static void test_header(void **state) {
  (void)state;
  cells names;
  char expected[8];
  split_row(dfm_synth_header(true), COLUMNS, &names);
  assert_memory_equal(names.at[0], "label,", 6);
  for (int c = 1; c < COLUMNS - 1; c++) {
    const int n = snprintf(expected, sizeof expected, c <= NUMBERS ? "I%d" : "C%d", c <= NUMBERS ? c : c - NUMBERS);
    assert_int_equal(names.length[c], n);
    assert_memory_equal(names.at[c], expected, (size_t)n);
  }
  assert_string_equal(names.at[COLUMNS - 1], "truth\n");
  const char *plain = dfm_synth_header(false);
  assert_string_equal(plain + strlen(plain) - 4, "C26\n");
  assert_memory_equal(plain, dfm_synth_header(true), strlen(plain) - 1);
}

static void test_pieces_equal_the_whole(void **state) {
  const sample *whole = *state;
  static const size_t sizes[] = {1, 7, 100, 1000, 0, 892};
  const size_t room = 2000 * (size_t)DFM_SYNTH_ROW_BYTES;
  char *text = malloc(room);
  size_t first = 0, written = 0;
  dfm_synth *synth = create(1);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    written += dfm_synth_rows(synth, first, sizes[i], true, text + written);
    first += sizes[i];
  }
  assert_int_equal(written, whole->rows[2000].at[0] - whole->text);
  assert_memory_equal(text, whole->text, written);
  dfm_synth_free(synth);
  free(text);
}

typedef struct job {
  const dfm_synth *synth;
  uint64_t first;
  size_t n, size_bytes;
  char *text;
} job;

static void *run_job(void *context) {
  job *j = context;
  j->size_bytes = dfm_synth_rows(j->synth, j->first, j->n, true, j->text);
  return NULL;
}

static void test_threads_share_one_synth(void **state) {
  enum { N_JOBS = 4, JOB_ROWS = 500 };
  const sample *whole = *state;
  dfm_synth *synth = create(1);
  pthread_t threads[N_JOBS];
  job jobs[N_JOBS];
  for (int t = 0; t < N_JOBS; t++) {
    jobs[t] = (job){synth, (uint64_t)(N_JOBS - 1 - t) * JOB_ROWS, JOB_ROWS, 0, malloc(JOB_ROWS * DFM_SYNTH_ROW_BYTES)};
    assert_int_equal(pthread_create(&threads[t], NULL, run_job, &jobs[t]), 0);
  }
  for (int t = 0; t < N_JOBS; t++) {
    assert_int_equal(pthread_join(threads[t], NULL), 0);
    const char *expected = whole->rows[jobs[t].first].at[0];
    assert_int_equal(jobs[t].size_bytes, whole->rows[jobs[t].first + JOB_ROWS].at[0] - expected);
    assert_memory_equal(jobs[t].text, expected, jobs[t].size_bytes);
    free(jobs[t].text);
  }
  dfm_synth_free(synth);
}

static void test_truth_adds_a_column_only(void **state) {
  const sample *with = *state;
  dfm_synth *synth = create(1);
  char text[DFM_SYNTH_ROW_BYTES];
  for (int i = 0; i < 200; i++) {
    const char *start = with->rows[i].at[0], *truth = with->rows[i].at[COLUMNS - 1];
    const size_t n = dfm_synth_rows(synth, (uint64_t)i, 1, false, text);
    assert_int_equal(n, truth - start);
    assert_int_equal(text[n - 1], '\n');
    assert_memory_equal(text, start, n - 1);
  }
  dfm_synth_free(synth);
}

static void test_seeds_differ(void **state) {
  const sample *one = *state;
  char text[100 * DFM_SYNTH_ROW_BYTES];
  dfm_synth *other = create(2);
  const size_t n = dfm_synth_rows(other, 0, 100, true, text);
  const char *at = text;
  int same = 0;
  for (int i = 0; i < 100; i++) {
    cells row;
    at = split_row(at, COLUMNS, &row);
    const size_t length = (size_t)(row.at[COLUMNS - 1] - row.at[0]);
    same += memcmp(row.at[0], one->rows[i].at[0], length) == 0;
  }
  assert_int_equal(at - text, n);
  assert_int_equal(same, 0);
  dfm_synth_free(other);
}

static void test_far_rows(void **state) {
  (void)state;
  char text[2 * DFM_SYNTH_ROW_BYTES], again[DFM_SYNTH_ROW_BYTES];
  dfm_synth *synth = create(UINT64_MAX);
  cells row;
  dfm_synth_rows(synth, UINT64_MAX - 1, 2, true, text);
  const size_t n = dfm_synth_rows(synth, UINT64_MAX, 1, true, again);
  assert_memory_equal(split_row(text, COLUMNS, &row), again, n);
  dfm_synth_free(synth);
}

static void test_rows_fit_their_room(void **state) {
  const sample *s = *state;
  size_t longest = 0;
  for (int i = 0; i < ROWS; i++) {
    const char *end = s->rows[i].at[COLUMNS - 1] + s->rows[i].length[COLUMNS - 1] + 1;
    const size_t n = (size_t)(end - s->rows[i].at[0]);
    if (n > longest) longest = n;
  }
  assert_in_range(longest, 200, DFM_SYNTH_ROW_BYTES);
}

static void test_positive_share(void **state) {
  const sample *s = *state;
  int positive = 0;
  double truth = 0;
  for (int i = 0; i < ROWS; i++) {
    assert_int_equal(s->rows[i].length[0], 1);
    assert_in_range(s->rows[i].at[0][0], '0', '1');
    positive += s->rows[i].at[0][0] == '1';
    truth += strtod(cell_string(&s->rows[i], COLUMNS - 1), NULL);
  }
  assert_near((double)positive / ROWS, 0.25, 0.02);
  /* Labels are drawn from the truth: four standard deviations of the difference of the means. */
  assert_near(positive / (double)ROWS, truth / ROWS, 4 * sqrt(0.15 / ROWS));
}

static void test_missing_shares(void **state) {
  static const double expected[COLUMNS - 2] = {
      0.45, 0, 0.21, 0.22, 0.03, 0.24, 0.04, 0.01, 0.04, 0.45, 0.04, 0.70, 0.22, 0,    0,    0.04, 0.04, 0,    0.12, 0,
      0,    0, 0,    0,    0.04, 0,    0,    0,    0.04, 0,    0,    0.44, 0.44, 0.04, 0.70, 0,    0.04, 0.44, 0.44};
  const sample *s = *state;
  for (int c = 1; c < COLUMNS - 1; c++) {
    int missing = 0;
    for (int i = 0; i < ROWS; i++) missing += s->rows[i].length[c] == 0;
    const double rate = expected[c - 1];
    assert_near((double)missing / ROWS, rate, 5 * sqrt(rate * (1 - rate) / ROWS));
  }
  /* I1 and I10 are empty together. */
  for (int i = 0; i < ROWS; i++) assert_int_equal(s->rows[i].length[1] == 0, s->rows[i].length[10] == 0);
}

static int compare_long(const void *a, const void *b) {
  const long x = *(const long *)a, y = *(const long *)b;
  return (x > y) - (x < y);
}

/* Whole numbers; only I2 goes below zero; a heavy tail: the largest is far above the median. */
static void test_numbers(void **state) {
  const sample *s = *state;
  long *values = malloc(ROWS * sizeof *values);
  for (int c = 1; c <= NUMBERS; c++) {
    int n = 0;
    for (int i = 0; i < ROWS; i++) {
      char *end;
      if (s->rows[i].length[c] == 0) continue;
      values[n++] = strtol(cell_string(&s->rows[i], c), &end, 10);
      assert_int_equal(*end, '\0');
    }
    qsort(values, (size_t)n, sizeof *values, compare_long);
    assert_int_equal(values[0] < 0, c == 2);
    assert_true(values[0] >= -2);
    assert_true(values[n - 1] > 20 * (values[n / 2] + 1));
  }
  free(values);
}

typedef struct value {
  char bytes[VALUE_BYTES];
  int column, count;
} value;

static int compare_values(const void *a, const void *b) {
  return memcmp(((const value *)a)->bytes, ((const value *)b)->bytes, VALUE_BYTES);
}

/* Sorts, and folds equal values into one with its count. Returns how many are left. */
static int count_values(value *values, int n) {
  int kept = 0;
  qsort(values, (size_t)n, sizeof *values, compare_values);
  for (int i = 0; i < n; i++) {
    if (kept > 0 && compare_values(&values[kept - 1], &values[i]) == 0)
      values[kept - 1].count += values[i].count;
    else
      values[kept++] = values[i];
  }
  return kept;
}

static int column_values(const sample *s, int c, value *values) {
  int n = 0;
  for (int i = 0; i < ROWS; i++) {
    if (s->rows[i].length[c] == 0) continue;
    assert_int_equal(s->rows[i].length[c], VALUE_BYTES);
    assert_int_equal(strspn(cell_string(&s->rows[i], c), "0123456789abcdef"), VALUE_BYTES);
    memcpy(values[n].bytes, s->rows[i].at[c], VALUE_BYTES);
    values[n].column = c;
    values[n++].count = 1;
  }
  return count_values(values, n);
}

/* Small fields show all of their values and no other; large ones a head that repeats and a tail that does not. */
static void test_values(void **state) {
  const sample *s = *state;
  value *values = malloc(ROWS * sizeof *values);
  static const struct {
    int column, values;
  } small[] = {{9, 3}, {20, 4}, {17, 10}, {23, 15}, {22, 18}, {6, 24}, {14, 27}, {25, 105}};
  for (size_t i = 0; i < sizeof small / sizeof *small; i++)
    assert_int_equal(column_values(s, NUMBERS + small[i].column, values), small[i].values);
  assert_in_range(column_values(s, NUMBERS + 2, values), 500, 583);
  static const int large[] = {3, 4, 12, 16, 21};
  for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
    const int n = column_values(s, NUMBERS + large[i], values);
    int once = 0, most = 0;
    for (int v = 0; v < n; v++) {
      once += values[v].count == 1;
      if (values[v].count > most) most = values[v].count;
    }
    assert_in_range(n, ROWS / 8, ROWS / 2);
    assert_in_range(once, n / 2, n);
    assert_in_range(most, ROWS / 50, ROWS / 4);
  }
  free(values);
}

/* A value of one field is written as no value of another. */
static void test_values_are_distinct_over_fields(void **state) {
  const sample *s = *state;
  value *all = malloc(26u * ROWS * sizeof *all);
  int n = 0;
  for (int c = NUMBERS + 1; c < COLUMNS - 1; c++) n += column_values(s, c, all + n);
  assert_int_equal(count_values(all, n), n);
  free(all);
}

/* Probabilities lie within (0, 1) as printed, and rank the labels about as well as Criteo's best models do. */
static void test_truth(void **state) {
  const sample *s = *state;
  float *truth = malloc(ROWS * sizeof *truth), *label = malloc(ROWS * sizeof *label);
  for (int i = 0; i < ROWS; i++) {
    const cells *row = &s->rows[i];
    char *end;
    truth[i] = strtof(cell_string(row, COLUMNS - 1), &end);
    label[i] = row->at[0][0] == '1';
    assert_int_equal(row->length[COLUMNS - 1], 8);
    assert_int_equal(*end, '\0');
    assert_true(truth[i] > 0 && truth[i] < 1);
  }
  dfm_metrics metrics;
  dfm_error error;
  assert_ok(dfm_metrics_of(truth, label, NULL, ROWS, &metrics, &error));
  assert_near(metrics.auc, 0.81, 0.02);
  free(truth);
  free(label);
}

/* Among rows of equal truth the share of positives is that truth: by tenths of the probability. */
static void test_truth_is_calibrated(void **state) {
  const sample *s = *state;
  double sum[10] = {0}, positive[10] = {0}, rows[10] = {0};
  for (int i = 0; i < ROWS; i++) {
    const double p = strtod(cell_string(&s->rows[i], COLUMNS - 1), NULL);
    const int tenth = (int)(p * 10);
    sum[tenth] += p;
    positive[tenth] += s->rows[i].at[0][0] == '1';
    rows[tenth]++;
  }
  for (int b = 0; b < 10; b++) {
    if (rows[b] < 100) continue;
    const double p = sum[b] / rows[b];
    assert_near(positive[b] / rows[b], p, 4 * sqrt(p * (1 - p) / rows[b]));
  }
}

static void test_free_takes_null(void **state) {
  (void)state;
  dfm_synth_free(NULL);
}

int main(int argc, char **argv) {
#define with_sample(test) cmocka_unit_test_setup_teardown(test, make_sample, free_sample)
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_header),
      with_sample(test_pieces_equal_the_whole),
      with_sample(test_threads_share_one_synth),
      with_sample(test_truth_adds_a_column_only),
      with_sample(test_seeds_differ),
      cmocka_unit_test(test_far_rows),
      with_sample(test_rows_fit_their_room),
      with_sample(test_positive_share),
      with_sample(test_missing_shares),
      with_sample(test_numbers),
      with_sample(test_values),
      with_sample(test_values_are_distinct_over_fields),
      with_sample(test_truth),
      with_sample(test_truth_is_calibrated),
      cmocka_unit_test(test_free_takes_null),
  };
  return test_main(argc, argv, "synth", tests, sizeof tests / sizeof *tests);
}
