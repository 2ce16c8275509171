/* The doctor's parts: a sample that is smaller than its rows, duplicates that are more than there is room for, AUC and
 * drift against plain sums; and that threads change no finding. */
#include "data/doctor.h"
#include "test_rows.h"

/* `n` rows made by `row`, of a schema that is freed. */
static dfm_dataset *rows_with(dfm_schema *schema, int n, void (*row)(int i, char *line)) {
  dfm_error error;
  dfm_data_settings settings = make_settings();
  dfm_dataset *train, *valid;
  settings.number.transform = DFM_TRANSFORM_STANDARD;
  char *text = malloc((size_t)n * 64 + 16);
  assert_non_null(text);
  size_t at = (size_t)sprintf(text, "y,C1,I1\n");
  for (int i = 0; i < n; i++) {
    row(i, text + at);
    at += strlen(text + at);
  }
  assert_ok(
      read_training_files(test_write("doctor.csv", text, at), NULL, schema, &settings, NULL, &train, &valid, &error));
  free(text);
  dfm_schema_free(schema);
  return train;
}

/* "y:label C1:category I1:number" with `n` rows made by `row`. */
static dfm_dataset *rows_of(int n, void (*row)(int i, char *line)) {
  return rows_with(make_schema("y:label C1:category I1:number"), n, row);
}

static void counting_row(int i, char *line) {
  sprintf(line, "%d,v%d,%d\n", i % 2, i % 10, i);
}

static void a_sample_is_spread_evenly(void **state) {
  (void)state;
  enum { N = 10007 };
  dfm_error error;
  dfm_row_sample sample;
  dfm_dataset *dataset = rows_of(N, counting_row);
  const size_t budgets[] = {0, 9, 900, 9 * (size_t)5000, 1 << 20};
  for (size_t b = 0; b < sizeof budgets / sizeof *budgets; b++) {
    assert_ok(dfm_row_sample_take(dataset, NULL, budgets[b], &sample, &error));
    const size_t most = budgets[b] / 9 + 1;
    assert_int_equal(sample.n, most < N ? most : N);
    for (size_t i = 0; i < sample.n; i++) assert_near((double)sample.number[i], (double)(i * N / sample.n), 0);
    assert_near((double)sample.minimum[0], 0, 0);
    assert_near((double)sample.maximum[0], N - 1, 0);
    dfm_row_sample_clear(&sample);
  }
  dfm_dataset_free(dataset);
}

/* More groups of rows than there is room for: of the kept ones the shares are those of all. */
static void shares_of_duplicates_are_kept_where_room_is_short(void **state) {
  (void)state;
  enum { N = 900000 };
  dfm_error error;
  const uint32_t rows[2] = {2, 1U << 30};
  const dfm_data_settings settings = make_settings();
  dfm_encoder *encoder;
  dfm_dataset *dataset;
  dfm_row_sample sample;
  assert_ok(dfm_encoder_synthetic(2, rows, 1, &settings.category, &settings.number, &encoder, &error));
  assert_ok(dfm_dataset_synthetic(encoder, N, DFM_DRAW_POWER, 5, &dataset, &error));
  dfm_encoder_release(encoder);
  assert_ok(dfm_row_sample_take(dataset, dataset, 1 << 20, &sample, &error)); /* each row twice */
  double groups = 0, kept = 0;
  for (size_t i = 0; i < sample.duplicates.n_slots; i++) {
    groups += sample.duplicates.slots[i].rows > 0;
    kept += (double)sample.duplicates.slots[i].rows;
  }
  assert_true(sample.duplicates.shift > 0);
  assert_true(groups > 1 << 17 && groups <= 1 << 19);
  assert_near(groups / kept, 0.5, 0.001);
  dfm_row_sample_clear(&sample);
  dfm_dataset_free(dataset);
}

/* Five values whose label rates differ, and a number that falls with the label. */
static void telling_row(int i, char *line) {
  const int h = (int)((unsigned)i * 2654435761U >> 16) % 100, value = i % 5;
  const int label = h < 10 + 18 * value;
  if (i % 11 == 0) {
    sprintf(line, "%d,v%d,\n", label, value);
  } else {
    sprintf(line, "%d,v%d,%d\n", label, value, -3 * label + (i / 7) % 6);
  }
}

/* Area under the curve over all pairs of rows. */
static double plain_auc(const dfm_row_sample *sample, const double *score) {
  double wins = 0, pairs = 0;
  for (size_t i = 0; i < sample->n; i++) {
    for (size_t j = 0; j < sample->n; j++) {
      if (!sample->label[i] || sample->label[j]) continue;
      wins += score[i] > score[j] ? 1 : score[i] == score[j] ? 0.5 : 0;
      pairs++;
    }
  }
  return wins / pairs;
}

static void areas_are_those_over_all_pairs(void **state) {
  (void)state;
  enum { N = 1000 };
  dfm_error error;
  dfm_row_sample sample;
  dfm_column_codes column;
  static double score[N];
  double auc;
  dfm_dataset *dataset = rows_of(N, telling_row);
  assert_ok(dfm_row_sample_take(dataset, NULL, 1 << 20, &sample, &error));
  assert_ok(dfm_column_code(&sample, 0, &column, &error));
  assert_int_equal(column.n_codes, 5);
  assert_ok(dfm_column_value_auc(&column, &auc, &error));
  for (size_t i = 0; i < N; i++) score[i] = (double)column.code[i]; /* v0 comes first, and its rate is the lowest */
  assert_near(auc, plain_auc(&sample, score), 0.01);
  dfm_column_codes_clear(&column);
  assert_ok(dfm_column_code(&sample, 1, &column, &error));
  assert_int_not_equal(column.missing, DFM_NO_CODE);
  assert_int_equal(dfm_column_rows(&column, column.missing), 91);
  for (size_t i = 0; i < N; i++) score[i] = isnan(sample.number[i]) ? 100 : -(double)sample.number[i];
  assert_near(dfm_column_order_auc(&column), plain_auc(&sample, score), 1e-12);
  assert_ok(dfm_column_range_auc(&column, &auc, &error));
  assert_true(auc > 0.6 && auc < 0.99);
  dfm_column_codes_clear(&column);
  dfm_row_sample_clear(&sample);
  dfm_dataset_free(dataset);
}

/* Two values: the last tenth has them the other way round. */
static void turning_row(int i, char *line) {
  sprintf(line, "%d,%s,%d\n", i % 2, (i % 4 == 0) != (i >= 3600) ? "a" : "b", i % 10);
}

static void drift_follows_its_formula(void **state) {
  (void)state;
  dfm_error error;
  dfm_row_sample sample;
  dfm_column_codes column;
  dfm_drift drift;
  dfm_dataset *dataset = rows_of(4000, turning_row);
  assert_ok(dfm_row_sample_take(dataset, NULL, 1 << 20, &sample, &error));
  assert_ok(dfm_column_code(&sample, 0, &column, &error));
  assert_ok(dfm_column_drift(&column, &drift, &error));
  const double p = 300.5 / 401, q = 900.5 / 3601;
  assert_near(drift.psi[9], (p - q) * log(p / q) + (q - p) * log((1 - p) / (1 - q)), 1e-12);
  assert_true(drift.psi[9] > drift.limit && drift.psi[3] < drift.limit);
  dfm_column_codes_clear(&column);
  assert_ok(dfm_column_code(&sample, 1, &column, &error));
  assert_ok(dfm_column_drift(&column, &drift, &error));
  for (int t = 0; t < DFM_TENTHS; t++) assert_true(drift.psi[t] < 0.01);
  dfm_column_codes_clear(&column);
  dfm_row_sample_clear(&sample);
  dfm_dataset_free(dataset);
}

/* Items a to d at random, and one that every row with label 1 has, and no other; every tenth list is empty. */
static void item_row(int i, char *line) {
  const unsigned h = (unsigned)i * 2654435761U >> 8;
  const int label = (int)(h % 7) < 3;
  if (i % 10 == 9) {
    sprintf(line, "0,,%d\n", i % 3);
  } else {
    sprintf(line, "%d,%c|%c%s,%d\n", label, 'a' + (int)(h >> 4) % 4, 'a' + (int)(h >> 9) % 4, label ? "|told" : "",
            i % 3);
  }
}

/* A list's items are cells, each in the fold and tenth of its row; its score is their mean. */
static void lists_are_looked_at_item_by_item(void **state) {
  (void)state;
  enum { N = 2000 };
  dfm_error error;
  dfm_row_sample sample;
  dfm_column_codes column;
  dfm_diagnosis *diagnosis;
  double auc;
  dfm_dataset *dataset = rows_with(make_schema("y:label C1:list I1:number"), N, item_row);
  assert_ok(dfm_row_sample_take(dataset, NULL, 1 << 20, &sample, &error));
  assert_int_equal(sample.n, N);
  assert_int_equal(sample.missing[0], N / 10);
  assert_ok(dfm_column_code(&sample, 0, &column, &error));
  assert_int_equal(column.n, dfm_dataset_field(dataset, 0).cells + N / 10);
  assert_int_equal(column.n_codes, 6); /* a, b, c, d, told, and no items */
  assert_int_equal(column.row[0], 0);
  assert_int_equal(column.row[column.n - 1], N - 1);
  assert_ok(dfm_column_value_auc(&column, &auc, &error));
  assert_true(auc > 0.999);
  dfm_column_codes_clear(&column);
  dfm_row_sample_clear(&sample);
  assert_ok(dfm_row_sample_take(dataset, NULL, 9000, &sample, &error)); /* 4 + 4 + 1 bytes, 4 more and 3 items of 8 */
  assert_int_equal(sample.n, 9000 / 37 + 1);
  dfm_row_sample_clear(&sample);
  assert_ok(dfm_dataset_diagnose(dataset, NULL, 2, &diagnosis, &error));
  const char *leak = NULL;
  for (size_t i = 0; i < dfm_diagnosis_findings(diagnosis); i++)
    if (strcmp(dfm_diagnosis_finding(diagnosis, i).code, "leak") == 0) leak = dfm_diagnosis_finding(diagnosis, i).field;
  assert_non_null(leak);
  assert_string_equal(leak, "C1");
  dfm_diagnosis_free(diagnosis);
  dfm_dataset_free(dataset);
}

static void threads_change_no_finding(void **state) {
  (void)state;
  dfm_error error;
  dfm_diagnosis *one, *many;
  dfm_dataset *dataset = rows_of(5000, counting_row); /* the number counts the rows, the value gives the label */
  assert_ok(dfm_dataset_diagnose(dataset, NULL, 1, &one, &error));
  assert_int_equal(dfm_diagnosis_rows(one), 5000);
  assert_int_equal(dfm_diagnosis_findings(one), 2);
  assert_string_equal(dfm_diagnosis_finding(one, 0).code, "leak");
  assert_string_equal(dfm_diagnosis_finding(one, 1).code, "id_number");
  assert_string_equal(dfm_diagnosis_finding(one, 1).field, "I1");
  for (int threads = 2; threads <= 8; threads += 3) {
    assert_ok(dfm_dataset_diagnose(dataset, NULL, threads, &many, &error));
    assert_int_equal(dfm_diagnosis_findings(many), 2);
    for (size_t i = 0; i < 2; i++)
      assert_string_equal(dfm_diagnosis_finding(many, i).message, dfm_diagnosis_finding(one, i).message);
    dfm_diagnosis_free(many);
  }
  dfm_diagnosis_free(one);
  dfm_dataset_free(dataset);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_sample_is_spread_evenly),
    cmocka_unit_test(shares_of_duplicates_are_kept_where_room_is_short),
    cmocka_unit_test(areas_are_those_over_all_pairs),
    cmocka_unit_test(drift_follows_its_formula),
    cmocka_unit_test(lists_are_looked_at_item_by_item),
    cmocka_unit_test(threads_change_no_finding),
};

int main(int argc, char **argv) {
  return test_main(argc, argv, "doctor", tests, sizeof tests / sizeof *tests);
}
