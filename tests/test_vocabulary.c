/* Vocabularies: values come in, in batches; their numbers, counts and frozen order are compared with a plain
 * definition by sorting, and their memory with its budget. */
#include <sys/resource.h>

#include "base/memory.h"
#include "base/number.h"
#include "base/random.h"
#include "data/category.h"
#include "data/vocabulary.h"
#include "test.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED 1
#endif
#endif

static dfm_category_field make_field(int min_count, int max_vocabulary, int order) {
  return (dfm_category_field){.name = "C1",
                              .settings = {.min_count = min_count, .max_vocabulary = max_vocabulary, .order = order}};
}

/* ---- the plain definition */

enum { CELLS = 40000, MAX_LENGTH = 300 };

typedef struct cell {
  char *bytes;
  size_t n;
  bool is_held;
  uint32_t number; /* by first appearance, from sorting */
} cell;

typedef struct plain_value {
  const cell *cell;
  uint64_t count;
  uint32_t number;
} plain_value;

static int compare_bytes(const cell *a, const cell *b) {
  const size_t n = a->n < b->n ? a->n : b->n;
  const int order = memcmp(a->bytes, b->bytes, n);
  return order != 0 ? order : (a->n > b->n) - (a->n < b->n);
}

static int by_bytes_then_place(const void *a, const void *b) {
  const cell *const *x = a, *const *y = b;
  const int order = compare_bytes(*x, *y);
  return order != 0 ? order : (*x > *y) - (*x < *y);
}

static int by_number(const void *a, const void *b) {
  const plain_value *x = a, *y = b;
  return (x->number > y->number) - (x->number < y->number);
}

static int by_count(const void *a, const void *b) {
  const plain_value *x = a, *y = b;
  return x->count != y->count ? (x->count < y->count) - (x->count > y->count) : by_number(a, b);
}

static int by_bytes(const void *a, const void *b) {
  return compare_bytes(((const plain_value *)a)->cell, ((const plain_value *)b)->cell);
}

/* Cells that often repeat: short ones of few letters, and long ones whose content is one of a few thousand. */
static cell *random_cells(uint64_t seed) {
  cell *cells = calloc(CELLS, sizeof *cells);
  assert_non_null(cells);
  for (uint32_t i = 0; i < CELLS; i++) {
    const uint64_t draw = dfm_random_u64(seed, i), which = draw % (i % 3 == 0 ? 50 : 20000);
    const bool is_short = which % 2 == 0;
    cell *at = &cells[i];
    at->n = is_short ? dfm_random_u64(seed + 1, which) % 10 : dfm_random_u64(seed + 1, which) % (MAX_LENGTH + 1);
    at->bytes = malloc(at->n + 1);
    assert_non_null(at->bytes);
    for (size_t j = 0; j < at->n; j++)
      at->bytes[j] = (char)(is_short ? 'a' + dfm_random_u64(which, j) % 4 : dfm_random_u64(which, j) % 256);
    if (!is_short && at->n > 20) memset(at->bytes, 'x', 16); /* heads alike */
    at->is_held = draw >> 40 & 1;
  }
  return cells;
}

static void free_cells(cell *cells) {
  for (size_t i = 0; i < CELLS; i++) free(cells[i].bytes);
  free(cells);
}

/* Numbers by first appearance, and the distinct values by number. */
static plain_value *number_plainly(cell *cells, uint32_t *n_values) {
  cell **sorted = calloc(CELLS, sizeof *sorted), **first = calloc(CELLS, sizeof *first);
  plain_value *values = calloc(CELLS, sizeof *values);
  assert_true(sorted && first && values);
  for (size_t i = 0; i < CELLS; i++) sorted[i] = &cells[i];
  qsort(sorted, CELLS, sizeof *sorted, by_bytes_then_place);
  for (size_t i = 0; i < CELLS; i++) {
    const bool is_same = i > 0 && compare_bytes(sorted[i - 1], sorted[i]) == 0;
    first[sorted[i] - cells] = is_same ? first[sorted[i - 1] - cells] : sorted[i];
  }
  *n_values = 0;
  for (size_t i = 0; i < CELLS; i++) {
    if (first[i] == &cells[i]) {
      values[*n_values] = (plain_value){&cells[i], 0, *n_values};
      cells[i].number = (*n_values)++;
    }
    cells[i].number = first[i]->number;
    values[cells[i].number].count += !cells[i].is_held;
  }
  free(sorted), free(first);
  return values;
}

static void add_cells(dfm_vocabulary_builder *builder, const cell *cells, uint64_t seed) {
  dfm_error error;
  dfm_value values[512];
  uint8_t is_held[512];
  uint32_t numbers[512];
  for (size_t at = 0, batch = 0; at < CELLS; batch++) {
    size_t n = 1 + dfm_random_u64(seed, batch) % 512;
    if (n > CELLS - at) n = CELLS - at;
    for (size_t i = 0; i < n; i++) {
      values[i] = dfm_value_of(cells[at + i].bytes, cells[at + i].n);
      is_held[i] = cells[at + i].is_held;
    }
    assert_ok(dfm_vocabulary_builder_add_all(builder, values, n, is_held, numbers, &error));
    for (size_t i = 0; i < n; i++) assert_int_equal(numbers[i], cells[at + i].number);
    at += n;
  }
}

static void check_frozen(const dfm_vocabulary *vocabulary, const uint32_t *place, plain_value *values,
                         uint32_t n_values, const dfm_field_settings *settings) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < n_values; i++)
    if (values[i].count >= (uint64_t)settings->min_count) values[n++] = values[i];
  qsort(values, n, sizeof *values, by_count);
  if (settings->max_vocabulary > 0 && n > (uint32_t)settings->max_vocabulary) n = (uint32_t)settings->max_vocabulary;
  if (settings->order == DFM_ORDER_SORTED) qsort(values, n, sizeof *values, by_bytes);
  assert_int_equal(vocabulary->n, n);
  for (uint32_t i = 0; i < n; i++) {
    const uint64_t start = vocabulary->offsets[i];
    assert_int_equal(vocabulary->offsets[i + 1] - start, values[i].cell->n);
    assert_memory_equal(vocabulary->bytes + start, values[i].cell->bytes, values[i].cell->n);
    assert_int_equal(vocabulary->counts[i], values[i].count);
    assert_int_equal(place[values[i].number], i);
  }
  uint32_t n_placed = 0;
  for (uint32_t i = 0; i < n_values; i++) n_placed += place[i] != DFM_ID_NONE;
  assert_int_equal(n_placed, n);
}

static void check_found(const dfm_vocabulary *vocabulary, const uint32_t *place, const cell *cells) {
  dfm_value *found = calloc(CELLS + 1, sizeof *found);
  assert_non_null(found);
  for (size_t i = 0; i < CELLS; i++) found[i] = dfm_value_of(cells[i].bytes, cells[i].n);
  found[CELLS].n = DFM_VALUE_ABSENT;
  dfm_vocabulary_find_all(vocabulary, found, CELLS + 1);
  for (size_t i = 0; i < CELLS; i++) assert_int_equal(found[i].id, place[cells[i].number]);
  assert_int_equal(found[CELLS].id, DFM_ID_NONE);
  assert_true(dfm_vocabulary_find(vocabulary, "not there", 9) == UINT64_MAX);
  free(found);
}

static void values_are_numbered_counted_and_ordered_as_defined(void **state) {
  (void)state;
  static const struct {
    int min_count, max_vocabulary, order;
  } cases[] = {{1, 0, DFM_ORDER_FREQUENCY}, {3, 0, DFM_ORDER_FREQUENCY}, {1, 100, DFM_ORDER_FREQUENCY},
               {1, 0, DFM_ORDER_SORTED},    {2, 77, DFM_ORDER_SORTED},   {1, 1, DFM_ORDER_FREQUENCY}};
  cell *cells = random_cells(5);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const dfm_category_field field = make_field(cases[i].min_count, cases[i].max_vocabulary, cases[i].order);
    dfm_error error;
    dfm_vocabulary_builder builder;
    dfm_vocabulary vocabulary;
    uint32_t n_values;
    plain_value *values = number_plainly(cells, &n_values);
    assert_true(n_values > 5000);
    dfm_vocabulary_builder_begin(&builder, &field);
    add_cells(&builder, cells, i);
    assert_int_equal(builder.n, n_values);
    uint32_t *place = calloc(n_values, sizeof *place);
    assert_non_null(place);
    assert_ok(dfm_vocabulary_settle(&builder, test_path("."), &vocabulary, place, &error));
    check_found(&vocabulary, place, cells);
    check_frozen(&vocabulary, place, values, n_values, &field.settings);
    dfm_vocabulary_clear(&vocabulary);
    dfm_vocabulary_builder_clear(&builder);
    free(place), free(values);
  }
  free_cells(cells);
}

static void values_with_one_hash_stay_apart(void **state) {
  (void)state;
  /* The empty value and zeros have one head; so have "a" and what follows it up to eight bytes. Of the long ones'
   * XXH3-64 the upper five bits and the lower 32 are equal, which is more than a small index sees of them. */
  static const struct {
    const char *bytes;
    uint32_t n;
  } words[] = {{"a", 1},
               {"b", 1},
               {"", 0},
               {"a\0", 2},
               {"a\0\0\0\0\0\0\0", 8},
               {"\0", 1},
               {"\0\0\0\0", 4},
               {"12345678", 8},
               {"123456789", 9},
               {"long value 2566617", 18},
               {"long value 1348673", 18}};
  enum { N = sizeof words / sizeof *words };
  const dfm_category_field field = make_field(1, 0, DFM_ORDER_FREQUENCY);
  dfm_error error;
  dfm_vocabulary_builder builder;
  dfm_value values[N + 1];
  uint32_t numbers[N + 1];
  dfm_vocabulary_builder_begin(&builder, &field);
  for (uint32_t i = 0; i < N; i++) values[i] = dfm_value_of(words[i].bytes, words[i].n);
  const uint64_t one = dfm_value_hash_of(&values[N - 2]), other = dfm_value_hash_of(&values[N - 1]);
  assert_true(one != other && one >> 59 == other >> 59 && (uint32_t)one == (uint32_t)other);
  values[N] = (dfm_value){.n = DFM_VALUE_ABSENT};
  for (int round = 0; round < 3; round++) {
    assert_ok(dfm_vocabulary_builder_add_all(&builder, values, N + 1, NULL, numbers, &error));
    for (uint32_t i = 0; i < N; i++) assert_int_equal(numbers[i], i);
    assert_int_equal(numbers[N], DFM_ID_NONE);
  }
  assert_int_equal(builder.n, N);
  assert_int_equal(builder.empty, 2);
  dfm_vocabulary_builder_clear(&builder);
}

static void held_values_have_numbers_and_no_counts(void **state) {
  (void)state;
  const dfm_category_field field = make_field(1, 0, DFM_ORDER_FREQUENCY);
  const uint8_t is_held[] = {1, 0, 1, 0, 0};
  dfm_error error;
  dfm_vocabulary_builder builder;
  dfm_vocabulary vocabulary;
  uint32_t place[3], numbers[5];
  dfm_value values[5];
  for (int i = 0; i < 5; i++) values[i] = dfm_value_of(&"xyzzz"[i], 1);
  dfm_vocabulary_builder_begin(&builder, &field);
  assert_ok(dfm_vocabulary_builder_add_all(&builder, values, 5, is_held, numbers, &error));
  assert_ok(dfm_vocabulary_builder_close(&builder, &error));
  dfm_vocabulary_builder_uncount(&builder, numbers[1]);
  assert_ok(dfm_vocabulary_settle(&builder, NULL, &vocabulary, place, &error));
  assert_int_equal(vocabulary.n, 1);
  assert_int_equal(vocabulary.counts[0], 2);
  assert_int_equal(place[0], DFM_ID_NONE);
  assert_int_equal(place[1], DFM_ID_NONE);
  assert_int_equal(place[2], 0);
  dfm_vocabulary_clear(&vocabulary);
  dfm_vocabulary_builder_clear(&builder);
}

/* Every size of index grows, with values at its end, whose search goes on at its start. */
static void values_are_found_again_however_small_the_index(void **state) {
  (void)state;
  enum { ROUNDS = 500, N = 300 };
  const dfm_category_field field = make_field(1, 0, DFM_ORDER_FREQUENCY);
  dfm_error error;
  for (uint64_t round = 0; round < ROUNDS; round++) {
    dfm_vocabulary_builder builder;
    dfm_vocabulary_builder_begin(&builder, &field);
    for (uint32_t i = 0; i < N; i++) {
      for (uint32_t j = 0; j <= i; j++) {
        const uint64_t bytes = dfm_random_u64(round, j);
        uint32_t number;
        if (j < i && (i & (i - 1)) != 0) continue; /* some bytes are new; all are looked for now and then */
        assert_ok(dfm_vocabulary_builder_add(&builder, (const char *)&bytes, sizeof bytes, false, &number, &error));
        assert_int_equal(number, j);
      }
    }
    dfm_vocabulary_builder_clear(&builder);
  }
}

static void counts_outgrow_their_entries(void **state) {
  (void)state;
  enum { COUNT_BITS = 4, CARRY = 1 << 27 };
  const dfm_category_field field = make_field(1, 0, DFM_ORDER_FREQUENCY);
  dfm_error error;
  dfm_vocabulary_builder builder;
  dfm_vocabulary vocabulary;
  uint32_t number, place[2];
  dfm_vocabulary_builder_begin(&builder, &field);
  assert_ok(dfm_vocabulary_builder_add(&builder, "rare", 4, false, &number, &error));
  for (uint64_t round = 0; round < 3; round++) {
    assert_ok(dfm_vocabulary_builder_add(&builder, "often", 5, false, &number, &error));
    for (size_t i = 0; i < builder.n_entries; i++) /* as if it had been added as often as may be */
      if (builder.entries[i].number == number + 1) builder.entries[i].meta += (uint32_t)(CARRY - 1) << COUNT_BITS;
    builder.n_uncounted = CARRY - 1;
    assert_ok(dfm_vocabulary_builder_add(&builder, "often", 5, false, &number, &error));
    assert_int_equal(number, 1);
    assert_int_equal(builder.n_carried, round + 1);
  }
  assert_ok(dfm_vocabulary_settle(&builder, NULL, &vocabulary, place, &error));
  assert_int_equal(vocabulary.counts[0], 3 * ((uint64_t)CARRY + 1));
  assert_int_equal(vocabulary.counts[1], 1);
  dfm_vocabulary_clear(&vocabulary);
  dfm_vocabulary_builder_clear(&builder);
}

/* ---- memory */

static size_t data_bytes(void) {
  size_t kilobytes = 0;
  char line[256];
  FILE *file = fopen("/proc/self/status", "r");
  assert_non_null(file);
  while (fgets(line, sizeof line, file)) (void)sscanf(line, "VmData: %zu", &kilobytes);
  fclose(file);
  return kilobytes << 10;
}

/* The system refuses this process more than the budget of private memory, so adding, growing and settling stay within
 * it at every moment: 40 bytes and its text for each value. */
static void a_million_values_take_forty_bytes_each_and_their_text(void **state) {
  (void)state;
#ifdef IS_SANITIZED
  skip();
#endif
  enum { N = 1000000, BATCH = 512, SLACK = 2 << 20 };
  const dfm_category_field field = make_field(1, 0, DFM_ORDER_FREQUENCY);
  dfm_error error;
  dfm_vocabulary_builder builder;
  dfm_vocabulary vocabulary;
  uint32_t *place;
  struct rlimit before, budget;
  static char text[BATCH][32];
  size_t size_bytes = 0;
  for (uint32_t i = 0; i < N; i++) size_bytes += (size_t)snprintf(text[0], sizeof text[0], "value number %u", i);
  assert_int_equal(getrlimit(RLIMIT_DATA, &before), 0);
  budget = before;
  budget.rlim_cur = data_bytes() + (size_t)N * 40 + size_bytes + SLACK;
  assert_int_equal(setrlimit(RLIMIT_DATA, &budget), 0);
  dfm_vocabulary_builder_begin(&builder, &field);
  for (uint32_t at = 0; at < N; at += BATCH) {
    dfm_value values[BATCH];
    uint32_t numbers[BATCH];
    const uint32_t n = N - at < BATCH ? N - at : BATCH;
    for (uint32_t i = 0; i < n; i++)
      values[i] = dfm_value_of(text[i], (size_t)snprintf(text[i], sizeof text[i], "value number %u", at + i));
    assert_ok(dfm_vocabulary_builder_add_all(&builder, values, n, NULL, numbers, &error));
    assert_int_equal(numbers[n - 1], at + n - 1);
  }
  assert_ok(dfm_slab_alloc(&place, N, sizeof *place, &error));
  assert_ok(dfm_vocabulary_settle(&builder, test_path("."), &vocabulary, place, &error));
  dfm_vocabulary_builder_clear(&builder);
  assert_int_equal(setrlimit(RLIMIT_DATA, &before), 0);
  assert_true(vocabulary.spill.is_file);
  assert_true(dfm_vocabulary_find(&vocabulary, "value number 765432", 19) == 765432);
  assert_int_equal(place[N - 1], N - 1);
  dfm_slab_free(place, N, sizeof *place);
  dfm_vocabulary_clear(&vocabulary);
}

/* ---- buckets */

static void hashed_values_go_to_buckets(void **state) {
  (void)state;
  dfm_category_field field = make_field(1, 0, DFM_ORDER_FREQUENCY);
  dfm_error error;
  dfm_vocabulary_builder builder;
  field.settings.hash = 10;
  dfm_value values[4] = {
      dfm_value_of("one", 3), dfm_value_of("", 0), dfm_value_of("much longer", 11), {.n = DFM_VALUE_ABSENT}};
  uint32_t numbers[4];
  dfm_vocabulary_builder_begin(&builder, &field);
  assert_ok(dfm_vocabulary_builder_add_all(&builder, values, 4, NULL, numbers, &error));
  assert_int_equal(numbers[0], dfm_value_hash("one", 3) % 10);
  assert_int_equal(numbers[1], 10); /* known as the empty cell until it is settled */
  assert_int_equal(numbers[2], dfm_value_hash("much longer", 11) % 10);
  assert_int_equal(numbers[3], DFM_ID_NONE);
  assert_int_equal(builder.n, 11);
  const dfm_encoder encoder = {.category = &field, .F = 1};
  dfm_category_find_all(&encoder, 0, values, 4);
  assert_int_equal(values[1].id, dfm_value_hash("", 0) % 10);
  assert_int_equal(values[3].id, DFM_ID_NONE);
  dfm_vocabulary_builder_uncount(&builder, 3); /* nothing is counted */
  dfm_vocabulary_builder_clear(&builder);
}

static void numbers_become_the_buckets_of_their_logs(void **state) {
  (void)state;
  static const struct {
    const char *cell, *bucket; /* NULL: no number */
  } cases[] = {{"3", "1"},      {"2", "2"},     {"2.5", "0"},          {"100", "21"}, {"1000000", "190"},  {"0", "0"},
               {"-1", "-1"},    {"-0.5", "-1"}, {"-1e30", "-9999999"}, {"1.9", "1"},  {"1e300", "477170"}, {"", ""},
               {" 100 ", "21"}, {"a", NULL},    {"1e999", NULL},       {"nan", NULL}};
  const dfm_field_settings settings = {.transform = DFM_TRANSFORM_LOG2}, none = {0};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    dfm_value value = dfm_value_of(cases[i].cell, strlen(cases[i].cell));
    const dfm_number_result result = dfm_category_transform(&settings, &value);
    assert_int_equal(result == DFM_NUMBER_OK, cases[i].bucket != NULL);
    if (!cases[i].bucket) continue;
    assert_int_equal(value.n, strlen(cases[i].bucket));
    assert_memory_equal(dfm_value_bytes(&value), cases[i].bucket, value.n);
  }
  dfm_value value = dfm_value_of("text", 4);
  assert_int_equal(dfm_category_transform(&none, &value), DFM_NUMBER_OK);
  assert_memory_equal(dfm_value_bytes(&value), "text", 4);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(values_are_numbered_counted_and_ordered_as_defined),
    cmocka_unit_test(values_with_one_hash_stay_apart),
    cmocka_unit_test(held_values_have_numbers_and_no_counts),
    cmocka_unit_test(values_are_found_again_however_small_the_index),
    cmocka_unit_test(counts_outgrow_their_entries),
    cmocka_unit_test(a_million_values_take_forty_bytes_each_and_their_text),
    cmocka_unit_test(hashed_values_go_to_buckets),
    cmocka_unit_test(numbers_become_the_buckets_of_their_logs),
};

int main(int argc, char **argv) {
  return test_main(argc, argv, "vocabulary", tests, sizeof tests / sizeof *tests);
}
