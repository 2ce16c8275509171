/* Loader: datasets of random rows come in; the order of their row numbers is checked to be a permutation, repeatable,
 * seekable and well mixed. */
#include "data/storage.h"
#include "test_rows.h"

/* F fields make a row 4 (F + 1) bytes: many fields, small windows. */
static dfm_dataset *make_rows(int F, int64_t rows) {
  dfm_error error;
  uint32_t *sizes = calloc((size_t)F, sizeof *sizes);
  const dfm_data_settings settings = make_settings();
  dfm_encoder *encoder;
  dfm_dataset *dataset;
  assert_non_null(sizes);
  for (int f = 0; f < F; f++) sizes[f] = 5;
  assert_ok(dfm_encoder_synthetic(F, sizes, 0, &settings.category, &settings.number, &encoder, &error));
  assert_ok(dfm_dataset_synthetic(encoder, rows, DFM_DRAW_POWER, 3, &dataset, &error));
  dfm_encoder_release(encoder);
  free(sizes);
  return dataset;
}

static int next_batch(dfm_loader *loader, int64_t *row) {
  dfm_error error;
  int n = -1;
  assert_ok(dfm_loader_next(loader, row, &n, &error));
  return n;
}

/* The rows of one epoch in their order; free() it. */
static int64_t *epoch_order(dfm_loader *loader, int64_t epoch, int64_t rows, int batch_size) {
  dfm_error error;
  int64_t *order = calloc((size_t)rows + (size_t)batch_size, sizeof *order);
  assert_non_null(order);
  assert_ok(dfm_loader_seek(loader, epoch, 0, &error));
  int64_t at = 0, batches = 0;
  for (int n; (n = next_batch(loader, order + at)) > 0; at += n, batches++) {
    assert_true(at + n <= rows);
    assert_true(n == batch_size || at + n == rows);
  }
  assert_int_equal(at, rows);
  assert_int_equal(batches, dfm_loader_batches(loader));
  return order;
}

static void assert_permutation(const int64_t *order, int64_t rows) {
  unsigned char *seen = calloc((size_t)rows, 1);
  assert_non_null(seen);
  for (int64_t i = 0; i < rows; i++) {
    assert_true(order[i] >= 0 && order[i] < rows);
    assert_int_equal(seen[order[i]]++, 0);
  }
  free(seen);
}

static void every_row_comes_once_per_epoch(void **state) {
  (void)state;
  static const struct {
    int64_t rows;
    int batch_size;
  } cases[] = {{1, 1}, {1, 100}, {1023, 10}, {1024, 1024}, {1025, 64}, {5000, 4096}, {12345, 100}};
  dfm_error error;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    dfm_dataset *dataset = make_rows(2, cases[i].rows);
    dfm_loader *loader;
    assert_ok(dfm_loader_create(dataset, cases[i].batch_size, true, 11, &loader, &error));
    for (int64_t epoch = 1; epoch <= 3; epoch++) {
      int64_t *order = epoch_order(loader, epoch, cases[i].rows, cases[i].batch_size);
      assert_permutation(order, cases[i].rows);
      free(order);
    }
    dfm_loader_free(loader);
    dfm_dataset_free(dataset);
  }
}

static void the_order_depends_on_seed_and_epoch_alone(void **state) {
  (void)state;
  enum { N = 3000 };
  dfm_error error;
  dfm_dataset *dataset = make_rows(2, N);
  dfm_loader *loader, *again, *other;
  assert_ok(dfm_loader_create(dataset, 64, true, 11, &loader, &error));
  assert_ok(dfm_loader_create(dataset, 100, true, 11, &again, &error));
  assert_ok(dfm_loader_create(dataset, 64, true, 12, &other, &error));
  int64_t *first = epoch_order(loader, 1, N, 64), *second = epoch_order(loader, 2, N, 64);
  int64_t *same = epoch_order(again, 1, N, 100), *reseeded = epoch_order(other, 1, N, 64);
  assert_memory_equal(first, same, N * sizeof *first);
  assert_memory_not_equal(first, second, N * sizeof *first);
  assert_memory_not_equal(first, reseeded, N * sizeof *first);
  free(first), free(second), free(same), free(reseeded);
  dfm_loader_free(loader);
  dfm_loader_free(again);
  dfm_loader_free(other);
  dfm_dataset_free(dataset);
}

static void without_shuffling_rows_come_in_file_order(void **state) {
  (void)state;
  enum { N = 2500 };
  dfm_error error;
  dfm_dataset *dataset = make_rows(1, N);
  dfm_loader *loader;
  assert_ok(dfm_loader_create(dataset, 999, false, 11, &loader, &error));
  dfm_dataset_free(dataset); /* the loader keeps its own reference */
  int64_t *order = epoch_order(loader, 2, N, 999);
  for (int64_t i = 0; i < N; i++) assert_int_equal(order[i], i);
  free(order);
  dfm_loader_free(loader);
}

/* Rows of 16 KB: 256 MB hold 15 chunks of 21. */
static void seeking_equals_running_also_with_chunks_that_come_and_go(void **state) {
  (void)state;
  enum { F = 4095, N = 20 * 1024 + 7, B = 1000 };
  dfm_error error;
  dfm_dataset *dataset = make_rows(F, N);
  dfm_loader *loader;
  int64_t batch[B];
  assert_ok(dfm_loader_create(dataset, B, true, 4, &loader, &error));
  int64_t *order = epoch_order(loader, 3, N, B);
  assert_permutation(order, N);
  static const int64_t places[] = {20, 0, 16, 17, 3, 16, 15, 20};
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    assert_ok(dfm_loader_seek(loader, 3, places[i], &error));
    for (int64_t at = places[i]; at < dfm_loader_batches(loader); at++) {
      const int n = next_batch(loader, batch);
      assert_int_equal(n, at == N / B ? N % B : B);
      assert_memory_equal(batch, order + at * B, (size_t)n * sizeof *batch);
    }
    assert_int_equal(next_batch(loader, batch), 0);
  }
  free(order);
  dfm_loader_free(loader);
  dfm_dataset_free(dataset);
}

/* Rows of 16 KB again: away from both ends, a thousand rows in a row have an equal part of each of 15 chunks, and no
 * chunk is needed for longer than 15 thousand rows. */
static void live_chunks_are_mixed_evenly(void **state) {
  (void)state;
  enum { F = 4095, CHUNK = 1024, CHUNKS = 40, LIVE = 15, N = CHUNKS * CHUNK, B = 777 };
  dfm_error error;
  dfm_dataset *dataset = make_rows(F, N);
  dfm_loader *loader;
  int64_t first[CHUNKS], last[CHUNKS];
  assert_ok(dfm_loader_create(dataset, B, true, 9, &loader, &error));
  int64_t *order = epoch_order(loader, 2, N, B);
  assert_permutation(order, N);
  for (int64_t from = LIVE * CHUNK / 2; from < N - LIVE * CHUNK; from += CHUNK) {
    int rows[CHUNKS] = {0}, chunks = 0;
    for (int64_t at = from; at < from + CHUNK; at++) chunks += rows[order[at] / CHUNK]++ == 0;
    assert_in_range(chunks, LIVE, LIVE + 1);
    for (int c = 0; c < CHUNKS; c++) assert_in_range(rows[c], 0, 100); /* 68 expected */
  }
  for (int64_t at = N - 1; at >= 0; at--) first[order[at] / CHUNK] = at;
  for (int64_t at = 0; at < N; at++) last[order[at] / CHUNK] = at;
  for (int c = 0; c < CHUNKS; c++) assert_in_range(last[c] - first[c], CHUNK, LIVE * CHUNK);
  free(order);
  dfm_loader_free(loader);
  dfm_dataset_free(dataset);
}

/* A chunk of 100 lists lies in 202 arrays, and around each 64 KB may be mapped: 256 MB hold 18 chunks of 220, or 217
 * of all. */
static void arrays_of_lists_count_for_the_window(void **state) {
  (void)state;
  enum { F = 100, CHUNK = 1024, N = 220 * CHUNK, FEW = 25 };
  char spec[F * 12] = "y:label", *end = spec + strlen(spec);
  for (int f = 0; f < F; f++) end += sprintf(end, " C%d:list", f);
  dfm_error error;
  dfm_schema *schema = make_schema(spec);
  const dfm_data_settings settings = make_settings();
  dfm_encoder *encoder;
  dfm_storage *storage;
  dfm_dataset *dataset;
  dfm_loader *loader;
  assert_ok(dfm_encoder_create(schema, &settings, &encoder, &error));
  assert_ok(dfm_storage_create(encoder, (dfm_storage_has){.label = true}, test_folder(), &storage, &error));
  assert_ok(dfm_storage_add(storage, N, NULL, &error));
  assert_ok(dfm_storage_finish(storage, NULL, &error));
  assert_ok(dfm_dataset_view(encoder, storage, 0, N, &dataset, &error));
  assert_ok(dfm_loader_create(dataset, 256, true, 5, &loader, &error));
  int64_t *order = epoch_order(loader, 1, N, 256);
  assert_permutation(order, N);
  for (int i = 1; i < FEW; i++) assert_int_equal(order[i] / CHUNK, order[0] / CHUNK); /* of the first chunk alone */
  free(order);
  dfm_loader_free(loader);
  dfm_dataset_free(dataset);
  dfm_storage_release(storage);
  dfm_encoder_release(encoder);
  dfm_schema_free(schema);
}

/* A file sorted by label must not give batches of one label: each tenth of the epoch has rows of each tenth of the
 * file. */
static void sorted_files_do_not_stay_sorted(void **state) {
  (void)state;
  enum { N = 20000 };
  dfm_error error;
  dfm_dataset *dataset = make_rows(2, N);
  dfm_loader *loader;
  assert_ok(dfm_loader_create(dataset, 256, true, 1, &loader, &error));
  int64_t *order = epoch_order(loader, 1, N, 256);
  int counts[10][10] = {{0}};
  for (int64_t i = 0; i < N; i++) counts[i / (N / 10)][order[i] / (N / 10)]++;
  for (int i = 0; i < 10; i++) {
    for (int j = 0; j < 10; j++) assert_in_range(counts[i][j], 130, 270); /* 200 expected, deviation 13 */
  }
  free(order);
  dfm_loader_free(loader);
  dfm_dataset_free(dataset);
}

static void places_that_are_not_there_are_refused(void **state) {
  (void)state;
  dfm_error error;
  dfm_dataset *dataset = make_rows(2, 100);
  dfm_loader *loader;
  int64_t row[30];
  assert_int_equal(dfm_loader_create(dataset, 0, true, 1, &loader, &error), DFM_ERROR_VALUE);
  assert_non_null(strstr(error.message, "batch size of 0"));
  assert_ok(dfm_loader_create(dataset, 30, true, 1, &loader, &error));
  assert_int_equal(dfm_loader_batches(loader), 4);
  assert_int_equal(dfm_loader_seek(loader, 0, 0, &error), DFM_ERROR_VALUE);
  assert_int_equal(dfm_loader_seek(loader, 1, 5, &error), DFM_ERROR_VALUE);
  assert_non_null(strstr(error.message, "no batch 5 of epoch 1"));
  assert_ok(dfm_loader_seek(loader, 1, 4, &error));
  assert_int_equal(next_batch(loader, row), 0);
  dfm_loader_free(loader);
  dfm_dataset_free(dataset);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_row_comes_once_per_epoch),
    cmocka_unit_test(the_order_depends_on_seed_and_epoch_alone),
    cmocka_unit_test(without_shuffling_rows_come_in_file_order),
    cmocka_unit_test(seeking_equals_running_also_with_chunks_that_come_and_go),
    cmocka_unit_test(live_chunks_are_mixed_evenly),
    cmocka_unit_test(arrays_of_lists_count_for_the_window),
    cmocka_unit_test(sorted_files_do_not_stay_sorted),
    cmocka_unit_test(places_that_are_not_there_are_refused),
};

int main(int argc, char **argv) {
  return test_main(argc, argv, "loader", tests, sizeof tests / sizeof *tests);
}
