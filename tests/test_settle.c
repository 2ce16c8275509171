/* Settling: random rows with provisional values come in; ids, vocabularies and numbers are compared with a plain
 * definition, and between numbers of threads, bit by bit. */
#include <xxhash.h>

#include "base/random.h"
#include "data/placing.h"
#include "data/settle.h"
#include "test_rows.h"

enum { ROWS = 150000, HELD = 30000, F = 4, D = 2 };

/* One state of affairs before settling. */
typedef struct test_scene {
  dfm_encoder *encoder;
  dfm_vocabulary_builder builder[F];
  dfm_storage *storage;
  dfm_dataset *train, *valid;
} test_scene;

/* The value of (row, field): of C4 three in four rows have one that no other has. */
static uint32_t raw_value(int64_t row, int f) {
  const uint64_t draw = dfm_random_u64(17 + (uint64_t)f, (uint64_t)row);
  if (f == 3) return draw % 4 == 0 ? 0 : (uint32_t)row;
  const uint64_t range = f == 0 ? 5 : 40000;
  return (uint32_t)((draw & 0xFFFF) * (draw >> 48) / 0x10000 * range / 0x10000); /* small ones are more frequent */
}

static float raw_number(int64_t row, int d) {
  const uint64_t draw = dfm_random_u64(99 + (uint64_t)d, (uint64_t)row);
  return draw % 10 == 0 ? NAN : (float)((double)(draw >> 40) * (d == 0 ? 1e-3 : 1e3));
}

static size_t value_text(uint32_t raw, char *text) {
  return raw % 7 == 3 ? 0 : (size_t)sprintf(text, raw % 2 ? "%u" : "a longer value %u", raw);
}

static void fill_row(test_scene *scene, dfm_block *block, int64_t row) {
  dfm_error error;
  const int at = block->rows++;
  for (int f = 0; f < F; f++) {
    char text[64];
    const size_t n = value_text(raw_value(row, f), text);
    uint32_t *id = &block->id[f * DFM_BLOCK_STRIDE + at];
    *id = DFM_ID_NONE;
    if (f == 1 && row % 1000 == 0) continue; /* an absent column */
    assert_ok(dfm_vocabulary_builder_add(&scene->builder[f], text, n, false, id, &error));
  }
  for (int d = 0; d < D; d++) block->number[at * D + d] = raw_number(row, d);
  block->label[at] = row % 3 == 0;
}

/* Blocks of one row up to all that fit, by as many threads in turn. */
static void fill_rows(test_scene *scene, int threads) {
  dfm_error error;
  dfm_block *block;
  int at[DFM_BLOCK_ROWS];
  assert_ok(dfm_block_create(scene->encoder, &block, &error));
  for (int r = 0; r < DFM_BLOCK_ROWS; r++) at[r] = r;
  for (int64_t row = 0, rows = 1; row < ROWS; row += rows, rows = rows % DFM_BLOCK_ROWS + 1) {
    size_t number;
    if (rows > ROWS - row) rows = ROWS - row;
    dfm_block_clear(block);
    for (int64_t i = 0; i < rows; i++) fill_row(scene, block, row + i);
    assert_ok(dfm_packed_add(scene->storage->packed, (int)rows, &number, &error));
    assert_ok(dfm_storage_pack_rows(scene->storage, number, (int)(number % (size_t)threads), block, at, (int)rows, row,
                                    &error));
    assert_ok(dfm_storage_add(scene->storage, rows, NULL, &error));
  }
  dfm_block_free(block);
}

/* Rows beyond `budget_bytes` lie in files. */
static void set_up(test_scene *scene, int rule, int threads, size_t budget_bytes) {
  dfm_error error;
  dfm_schema *schema = make_schema("y:label C1:category C2:category C3:category C4:category I1:number I2:number");
  dfm_data_settings settings = make_settings();
  settings.category.min_count = 2;
  settings.category.unknown = rule;
  settings.number.transform = DFM_TRANSFORM_AUTO;
  schema->columns[3].settings.hash = 1000;
  schema->columns[3].settings.min_count = 1;
  *scene = (struct test_scene){0};
  assert_ok(dfm_encoder_create(schema, &settings, &scene->encoder, &error));
  assert_ok(
      dfm_storage_create(scene->encoder, (dfm_storage_has){.label = true}, test_path("."), &scene->storage, &error));
  for (int f = 0; f < F; f++) dfm_vocabulary_builder_begin(&scene->builder[f], &scene->encoder->category[f]);
  scene->storage->budget_bytes = budget_bytes;
  assert_ok(dfm_storage_pack(scene->storage, threads, &error));
  fill_rows(scene, threads);
  assert_ok(dfm_storage_finish(scene->storage, NULL, &error));
  assert_ok(dfm_dataset_view(scene->encoder, scene->storage, 0, ROWS - HELD, &scene->train, &error));
  assert_ok(dfm_dataset_view(scene->encoder, scene->storage, ROWS - HELD, HELD, &scene->valid, &error));
  dfm_schema_free(schema);
}

static void tear_down(test_scene *scene) {
  for (int f = 0; f < F; f++) dfm_vocabulary_builder_clear(&scene->builder[f]);
  dfm_dataset_free(scene->train);
  dfm_dataset_free(scene->valid);
  dfm_storage_release(scene->storage);
  dfm_encoder_release(scene->encoder);
}

static void settle(test_scene *scene, int threads, bool counts_valid, dfm_unknown_cell *cell) {
  dfm_error error;
  dfm_pool *pool;
  assert_ok(dfm_pool_create(threads, &pool, &error));
  if (!counts_valid) assert_ok(dfm_settle_uncount(scene->builder, scene->valid, pool, &error));
  assert_ok(dfm_settle(scene->encoder, scene->builder, scene->train, scene->valid, counts_valid, pool, cell, &error));
  assert_ok(dfm_storage_unpack(scene->storage, pool, &error));
  dfm_pool_free(pool);
}

/* Everything that settling makes, down to the bits of floats. */
static uint64_t hash_of(const test_scene *scene) {
  XXH3_state_t *state = XXH3_createState();
  assert_non_null(state);
  (void)XXH3_64bits_reset(state);
  (void)XXH3_64bits_update(state, scene->storage->category, (size_t)ROWS * F * sizeof(uint32_t));
  for (int f = 0; f < F; f++) {
    const dfm_category_field *field = &scene->encoder->category[f];
    const dfm_vocabulary *vocabulary = &field->vocabulary;
    const int64_t counts[2] = {field->unknown_rows, field->missing_rows};
    (void)XXH3_64bits_update(state, vocabulary->offsets, (vocabulary->n + 1) * sizeof(uint64_t));
    (void)XXH3_64bits_update(state, vocabulary->counts, vocabulary->n * sizeof(uint64_t));
    (void)XXH3_64bits_update(state, vocabulary->index, vocabulary->index_size * sizeof(uint32_t));
    (void)XXH3_64bits_update(state, vocabulary->bytes, vocabulary->offsets[vocabulary->n]);
    (void)XXH3_64bits_update(state, counts, sizeof counts);
  }
  for (int d = 0; d < D; d++) {
    const dfm_number_field *field = &scene->encoder->number[d];
    const double fitted[4] = {field->shift, field->scale, (double)field->missing_rows, field->settings.transform};
    (void)XXH3_64bits_update(state, fitted, sizeof fitted);
  }
  for (int part = 0; part < 2; part++) {
    const dfm_dataset *view = part == 0 ? scene->train : scene->valid;
    (void)XXH3_64bits_update(state, view->counts, (F + D) * sizeof *view->counts);
    (void)XXH3_64bits_update(state, &view->positives, sizeof view->positives);
  }
  const uint64_t hash = XXH3_64bits_digest(state);
  (void)XXH3_freeState(state);
  return hash;
}

static void neither_threads_nor_files_change_a_bit(void **state) {
  (void)state;
  static const int threads[] = {1, 2, 3, 8};
  uint64_t first = 0;
  dfm_unknown_cell first_cell = {0};
  for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
    test_scene scene;
    dfm_unknown_cell cell = {.f = -1};
    set_up(&scene, DFM_UNKNOWN_ERROR, threads[i], i % 2 == 0 ? SIZE_MAX : 100000);
    settle(&scene, threads[i], false, &cell);
    assert_true(scene.storage->spill[0].is_file == (i % 2 == 1));
    const uint64_t hash = hash_of(&scene);
    assert_true(cell.f >= 0);
    if (i == 0) first = hash, first_cell = cell;
    assert_true(hash == first);
    assert_int_equal(cell.row, first_cell.row);
    assert_int_equal(cell.f, first_cell.f);
    tear_down(&scene);
  }
}

/* Occurrences of each raw value in the rows that make the vocabulary; raw values with one text are one. */
static uint32_t *count_plainly(int f, int64_t rows) {
  uint32_t *count = calloc(ROWS, sizeof *count);
  assert_non_null(count);
  for (int64_t row = 0; row < rows; row++) {
    const uint32_t raw = raw_value(row, f);
    if (f != 1 || row % 1000 != 0) count[raw % 7 == 3 ? 3 : raw]++;
  }
  return count;
}

static void check_row(const test_scene *scene, const uint32_t *count, int64_t row, int f) {
  const dfm_vocabulary *vocabulary = &scene->encoder->category[f].vocabulary;
  const uint32_t id = dfm_storage_ids(scene->storage, row)[f], raw = raw_value(row, f);
  char text[64];
  const size_t n = value_text(raw, text);
  if (f == 2) {
    assert_int_equal(id, 1 + dfm_value_hash(text, n) % 1000);
  } else if ((f == 1 && row % 1000 == 0) || count[raw % 7 == 3 ? 3 : raw] < 2) {
    assert_int_equal(id, 0);
  } else {
    assert_in_range(id, 1, vocabulary->n);
    const uint64_t start = vocabulary->offsets[id - 1];
    assert_int_equal(vocabulary->offsets[id] - start, n);
    assert_memory_equal(vocabulary->bytes + start, text, n);
    assert_int_equal(vocabulary->counts[id - 1], count[raw % 7 == 3 ? 3 : raw]);
  }
}

static void rows_get_the_ids_of_their_values(void **state) {
  (void)state;
  for (int counts_valid = 0; counts_valid < 2; counts_valid++) {
    test_scene scene;
    dfm_unknown_cell cell = {.f = -1};
    set_up(&scene, DFM_UNKNOWN_ROW, 3, SIZE_MAX);
    settle(&scene, 2, counts_valid, &cell);
    assert_int_equal(cell.f, -1);
    for (int f = 0; f < F; f++) {
      uint32_t *count = count_plainly(f, counts_valid ? ROWS : ROWS - HELD);
      int64_t missing = 0, unknown = 0;
      for (int64_t row = 0; row < ROWS; row++) {
        check_row(&scene, count, row, f);
        const bool is_absent = f == 1 && row % 1000 == 0;
        missing += row < ROWS - HELD && !is_absent && raw_value(row, f) % 7 == 3;
        unknown += row < ROWS - HELD && f != 2 && dfm_storage_ids(scene.storage, row)[f] == 0;
      }
      assert_int_equal(dfm_dataset_field(scene.train, (size_t)f).missing, missing);
      assert_int_equal(dfm_dataset_field(scene.train, (size_t)f).unknown, unknown);
      free(count);
    }
    assert_int_equal(scene.encoder->rows, counts_valid ? ROWS : ROWS - HELD);
    assert_int_equal(scene.train->positives, (ROWS - HELD + 2) / 3);
    tear_down(&scene);
  }
}

/* In long double, over all rows at once. */
static void numbers_are_fitted_to_the_training_rows(void **state) {
  (void)state;
  test_scene scene;
  dfm_unknown_cell cell = {.f = -1};
  set_up(&scene, DFM_UNKNOWN_ROW, 3, SIZE_MAX);
  for (int d = 0; d < D; d++) scene.encoder->number[d].settings.transform = DFM_TRANSFORM_STANDARD;
  settle(&scene, 3, false, &cell);
  for (int d = 0; d < D; d++) {
    long double sum = 0, square = 0;
    int64_t n = 0;
    for (int64_t row = 0; row < ROWS - HELD; row++)
      if (!isnan(raw_number(row, d))) sum += (long double)raw_number(row, d), n++;
    for (int64_t row = 0; row < ROWS - HELD; row++) {
      const long double away = (long double)raw_number(row, d) - sum / n;
      if (!isnan(raw_number(row, d))) square += away * away;
    }
    const double mean = (double)(sum / n), deviation = sqrt((double)(square / n));
    assert_near(scene.encoder->number[d].shift / mean, 1, 1e-13);
    assert_near(scene.encoder->number[d].scale * deviation, 1, 1e-13);
    assert_int_equal(scene.encoder->number[d].missing_rows, ROWS - HELD - n);
  }
  tear_down(&scene);
}

/* One reader may go from rows of few columns to rows of many, whose starts do not fit where the first ones' did. */
static void one_reader_reads_rows_of_any_width(void **state) {
  (void)state;
  enum { WIDE = 1000 };
  dfm_error error;
  dfm_unpacking open = {0};
  for (int columns = 1; columns <= WIDE; columns *= WIDE) {
    dfm_packed *packed;
    dfm_packing packing;
    size_t number;
    assert_ok(dfm_packed_create((const int[DFM_PACKED_SECTIONS]){columns, 0, 0}, 1, SIZE_MAX, "", &packed, &error));
    assert_ok(dfm_packed_add(packed, 1, &number, &error));
    assert_ok(dfm_packing_begin(packed, number, 0, &packing, &error));
    for (uint32_t c = 0; c < (uint32_t)columns; c++) dfm_packing_ids(&packing, &c);
    dfm_packing_end(&packing);
    dfm_packed_pass pass = {.packed = packed, .end = 1};
    assert_ok(dfm_packed_next(&pass, &open, &error));
    assert_int_equal(pass.n, 1);
    for (int c = 0; c < columns; c++) {
      uint32_t id;
      dfm_unpack_ids(&open, c, 0, 1, &id);
      assert_int_equal(id, c);
    }
    dfm_packed_free(packed);
    open.packed = NULL; /* the next may lie at the same place */
  }
  dfm_unpacking_clear(&open);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(neither_threads_nor_files_change_a_bit),
    cmocka_unit_test(rows_get_the_ids_of_their_values),
    cmocka_unit_test(numbers_are_fitted_to_the_training_rows),
    cmocka_unit_test(one_reader_reads_rows_of_any_width),
};

int main(int argc, char **argv) {
  return test_main(argc, argv, "settle", tests, sizeof tests / sizeof *tests);
}
