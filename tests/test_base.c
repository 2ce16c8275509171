/* Base: sentences, memory, and random numbers come in; each is held to its header's promise. */
#include "test.h"

#include <limits.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/sort.h"
#include "base/spill.h"

/* ---- error */

static void version_is_the_headers(void **state) {
  (void)state;
  assert_string_equal(dfm_version(), DFM_VERSION);
  dfm_string_free(NULL);
}

static void failure_fills_the_error(void **state) {
  (void)state;
  dfm_error error;
  memset(&error, 0xff, sizeof error);
  assert_int_equal(dfm_fail(&error, DFM_ERROR_VALUE, "epochs is %d; it must be in [1, 10]", 11), DFM_ERROR_VALUE);
  assert_int_equal(error.code, DFM_ERROR_VALUE);
  assert_int_equal(error.line, 0);
  assert_int_equal(error.column, 0);
  assert_string_equal(error.message, "epochs is 11; it must be in [1, 10]");
  assert_int_equal(dfm_fail_at(&error, DFM_ERROR_FORMAT, "a.csv", 3, 7, "bad '%s'", "x"), DFM_ERROR_FORMAT);
  assert_string_equal(error.message, "a.csv:3:7: bad 'x'");
  assert_int_equal(error.line, 3);
  assert_int_equal(error.column, 7);
  dfm_fail_at(&error, DFM_ERROR_FORMAT, "a.csv", 4, 0, "bad");
  assert_string_equal(error.message, "a.csv:4: bad");
  assert_int_equal(dfm_fail(NULL, DFM_ERROR_IO, "unheard"), DFM_ERROR_IO);
  assert_int_equal(dfm_fail_at(NULL, DFM_ERROR_IO, "a", 1, 1, "unheard"), DFM_ERROR_IO);
}

static void message_is_one_line_that_fits(void **state) {
  (void)state;
  dfm_error error;
  char text[3000];
  dfm_fail(&error, DFM_ERROR_IO, "cannot open a\nb\tc\x7f");
  assert_string_equal(error.message, "cannot open a?b?c?");
  for (size_t i = 0; i + 2 < sizeof text; i += 2) memcpy(text + i, "\xc3\xa9", 3); /* e acute */
  for (int shift = 0; shift < 2; shift++) {
    dfm_fail(&error, DFM_ERROR_IO, "%s%s", shift ? "x" : "", text);
    const size_t n = strlen(error.message);
    assert_in_range(n, sizeof error.message - 6, sizeof error.message - 1);
    assert_string_equal(error.message + n - 3, "...");
    assert_memory_equal(error.message + n - 5, "\xc3\xa9", 2); /* no half character */
  }
  dfm_fail_at(&error, DFM_ERROR_FORMAT, text, LLONG_MAX, LLONG_MAX, "the sentence is kept");
  assert_non_null(strstr(error.message, ": the sentence is kept"));
}

static void message_may_quote_itself(void **state) {
  (void)state;
  dfm_error error;
  dfm_fail(&error, DFM_ERROR_IO, "inner");
  dfm_fail(&error, error.code, "outer (%s)", error.message);
  assert_string_equal(error.message, "outer (inner)");
}

static void show_escapes_what_is_not_text(void **state) {
  (void)state;
  static const struct {
    const char *bytes;
    size_t n;
    const char *shown;
  } cases[] = {
      {"plain", 5, "plain"},
      {"", 0, ""},
      {"a\nb\0c", 5, "a\\x0Ab\\x00c"},
      {"\xc3\xa9", 2, "\xc3\xa9"},
      {"\xc3", 1, "\\xC3"},
      {"\xc0\xaf", 2, "\\xC0\\xAF"},                   /* overlong */
      {"\xed\xa0\x80", 3, "\\xED\\xA0\\x80"},          /* surrogate */
      {"\xf4\x90\x80\x80", 4, "\\xF4\\x90\\x80\\x80"}, /* past U+10FFFF */
      {"\xf0\x9f\x98\x80", 4, "\xf0\x9f\x98\x80"},
      {"\xc2\x9b", 2, "\\xC2\\x9B"}, /* the control sequence introducer */
      {"0123456789012345678901234567890123456789", 40, "0123456789012345678901234567890123456789"},
      {"01234567890123456789012345678901234567890", 41, "0123456789012345678901234567890123456789..."},
      {"012345678901234567890123456789012345678\xc3\xa9", 41, "012345678901234567890123456789012345678..."},
  };
  char out[DFM_SHOW_BYTES], bytes[64];
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_ptr_equal(dfm_show(out, cases[i].bytes, cases[i].n), out);
    assert_string_equal(out, cases[i].shown);
  }
  memset(bytes, 0xff, sizeof bytes);
  assert_int_equal(strlen(dfm_show(out, bytes, sizeof bytes)), 40 * 4 + 3);
}

static void nearest_is_near(void **state) {
  (void)state;
  static const char *const names[] = {"learning_rate", "epochs", "seed", "a"};
  static const struct {
    const char *word, *nearest;
  } cases[] = {{"epoch", "epochs"}, {"epcohs", "epochs"},
               {"SEED", "seed"},    {"learnign_rat", "learning_rate"},
               {"sead", "seed"},    {"side", NULL},
               {"x", NULL},         {"", NULL},
               {"momentum", NULL},  {"A", "a"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const char *found = dfm_nearest(cases[i].word, names, 4);
    if (cases[i].nearest)
      assert_string_equal(found, cases[i].nearest);
    else
      assert_null(found);
  }
  char word[200];
  memset(word, 'a', sizeof word);
  word[sizeof word - 1] = '\0';
  assert_null(dfm_nearest(word, names, 4));
  assert_null(dfm_nearest("epochs", names, 0));
}

/* ---- memory */

static void alloc_is_zeroed_and_refuses_overflow(void **state) {
  (void)state;
  dfm_error error;
  unsigned char *bytes = NULL;
  assert_ok(dfm_alloc(&bytes, 1000, 3, &error));
  for (int i = 0; i < 3000; i++) assert_int_equal(bytes[i], 0);
  free(bytes);
  assert_ok(dfm_alloc(&bytes, 0, 8, &error));
  assert_non_null(bytes);
  free(bytes);
  bytes = (unsigned char *)&error;
  assert_int_equal(dfm_alloc(&bytes, SIZE_MAX / 4, 8, &error), DFM_ERROR_MEMORY);
  assert_int_equal(dfm_alloc(&bytes, (size_t)PTRDIFF_MAX + 1, 1, &error), DFM_ERROR_MEMORY);
  assert_ptr_equal(bytes, &error); /* untouched */
  assert_non_null(strstr(error.message, "out of memory: 8796093022208 MiB"));
}

static void grow_doubles_and_keeps(void **state) {
  (void)state;
  dfm_error error;
  int *numbers = NULL;
  size_t capacity = 0;
  int moves = 0;
  for (int i = 0; i < 10000; i++) {
    const size_t before = capacity;
    assert_ok(dfm_grow(&numbers, &capacity, (size_t)i + 1, sizeof *numbers, &error));
    moves += capacity != before;
    numbers[i] = i;
  }
  assert_in_range(moves, 1, 14);
  for (int i = 0; i < 10000; i++) assert_int_equal(numbers[i], i);
  const size_t before = capacity;
  assert_int_equal(dfm_grow(&numbers, &capacity, SIZE_MAX / 2, sizeof *numbers, &error), DFM_ERROR_MEMORY);
  assert_int_equal(capacity, before);
  assert_int_equal(numbers[9999], 9999);
  free(numbers);
}

static void pages_are_zeroed_and_aligned(void **state) {
  (void)state;
  static const size_t sizes[] = {0, 1, 4097, ((size_t)2 << 20) - 1, (size_t)2 << 20, ((size_t)5 << 20) + 123};
  dfm_error error;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    unsigned char *pages = NULL;
    assert_ok(dfm_pages_alloc(&pages, sizes[i], &error));
    assert_non_null(pages);
    assert_int_equal((uintptr_t)pages % (sizes[i] >= (size_t)2 << 20 ? 2 << 20 : 64), 0);
    for (size_t at = 0; at < sizes[i]; at += 1021) assert_int_equal(pages[at], 0);
    if (sizes[i] > 0) pages[0] = pages[sizes[i] - 1] = 1;
    dfm_pages_free(pages, sizes[i]);
  }
  void *none = NULL;
  assert_int_equal(dfm_pages_alloc(&none, SIZE_MAX, &error), DFM_ERROR_MEMORY);
  assert_int_equal(dfm_pages_alloc(&none, (size_t)1 << 60, &error), DFM_ERROR_MEMORY);
  assert_null(none);
  dfm_pages_free(NULL, 100);
}

static void text_grows(void **state) {
  (void)state;
  dfm_error error;
  dfm_text text = {0};
  for (int i = 0; i < 1000; i++) assert_ok(dfm_text_printf(&text, &error, "%d,", i % 10));
  assert_ok(dfm_text_add(&text, "a\0b", 3, &error));
  assert_int_equal(text.length, 2003);
  assert_memory_equal(text.bytes, "0,1,2,", 6);
  assert_memory_equal(text.bytes + 2000, "a\0b", 4);
  free(text.bytes);
  text = (dfm_text){0};
  assert_ok(dfm_text_add(&text, NULL, 0, &error));
  assert_string_equal(text.bytes, "");
  free(text.bytes);
}

/* ---- random */

static void philox_gives_the_known_answers(void **state) {
  (void)state;
  /* Random123's kat_vectors, philox4x32 10: counter, key, answer. */
  static const struct {
    uint64_t counter, counter2, key;
    uint32_t out[4];
  } cases[] = {
      {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {UINT64_MAX, UINT64_MAX, UINT64_MAX, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {0x85a308d3243f6a88, 0x0370734413198a2e, 0x299f31d0a4093822, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    uint32_t out[4];
    dfm_philox(cases[i].key, cases[i].counter, cases[i].counter2, out);
    assert_memory_equal(out, cases[i].out, sizeof out);
  }
}

static void keys_differ(void **state) {
  (void)state;
  uint64_t keys[8 * 7];
  for (uint64_t seed = 0; seed < 8; seed++)
    for (int stream = 1; stream <= 7; stream++)
      keys[seed * 7 + (uint64_t)stream - 1] = dfm_random_key(seed, (dfm_stream)stream);
  for (int i = 0; i < 56; i++)
    for (int j = 0; j < i; j++) assert_true(keys[i] != keys[j]);
}

static void below_is_even(void **state) {
  (void)state;
  int counts[7] = {0};
  for (uint64_t i = 0; i < 70000; i++) {
    const uint64_t r = dfm_random_below(1, i, 7);
    assert_true(r < 7);
    counts[r]++;
  }
  double chi2 = 0;
  for (int r = 0; r < 7; r++) chi2 += (counts[r] - 10000.0) * (counts[r] - 10000.0) / 10000;
  assert_true(chi2 < 22.5); /* 6 degrees of freedom: 0.1 % */
  for (uint64_t i = 0; i < 100; i++) assert_int_equal(dfm_random_below(2, i, 1), 0);
  /* A quarter of the draws is refused; otherwise half of the results, not a third, would lie in the lowest third. */
  const uint64_t bound = (uint64_t)3 << 62 | 1;
  int low = 0;
  for (uint64_t i = 0; i < 3000; i++) {
    const uint64_t r = dfm_random_below(3, i, bound);
    assert_true(r < bound);
    low += r < bound / 3;
  }
  assert_in_range(low, 900, 1100);
}

/* Means of x, x^2, x^3, x^4 against the distribution's, each within 5 standard errors. */
static void assert_moments(const float *x, int n, const double expected[4], const double variance[4]) {
  for (int k = 0; k < 4; k++) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += pow(x[i], k + 1);
    assert_near(sum / n, expected[k], 5 * sqrt(variance[k] / n));
  }
}

static void fills_have_their_distribution(void **state) {
  (void)state;
  enum { N = 100000 };
  float *x = malloc(N * sizeof *x);
  assert_non_null(x);
  dfm_random_fill_uniform(11, 5, x, N);
  for (int i = 0; i < N; i++) assert_true(x[i] >= 0 && x[i] < 1);
  assert_moments(x, N, (double[]){1. / 2, 1. / 3, 1. / 4, 1. / 5}, (double[]){1. / 12, 4. / 45, 9. / 112, 16. / 225});
  dfm_random_fill_normal(12, 5, x, N);
  assert_moments(x, N, (double[]){0, 1, 0, 3}, (double[]){1, 2, 15, 96});
  double neighbours = 0;
  for (int i = 0; i + 1 < N; i++) neighbours += (double)x[i] * (double)x[i + 1];
  assert_near(neighbours / N, 0, 5 / sqrt(N));
  free(x);
  for (uint64_t i = 0; i < 10000; i++) {
    const float u = dfm_random_uniform(13, i);
    assert_true(u >= 0 && u < 1);
  }
}

static void fills_depend_on_the_place_alone(void **state) {
  (void)state;
  float whole[23], part[23];
  void (*const fills[])(uint64_t, uint64_t, float *, size_t) = {dfm_random_fill_normal, dfm_random_fill_uniform};
  for (int f = 0; f < 2; f++) {
    fills[f](3, 9, whole, 23);
    for (int n = 0; n <= 23; n++) {
      memset(part, 0xff, sizeof part);
      fills[f](3, 9, part, n);
      assert_memory_equal(part, whole, (size_t)n * sizeof *part);
      for (size_t i = (size_t)n * sizeof *part; i < sizeof part; i++)
        assert_int_equal(((unsigned char *)part)[i], 0xff);
    }
    fills[f](3, 10, part, 23);
    assert_memory_not_equal(part, whole, sizeof part);
  }
}

static void spill_says_which_folder_to_change(void **state) {
  (void)state;
  dfm_error error;
  dfm_spill spill = {0};
  char *before = getenv("TMPDIR") ? strdup(getenv("TMPDIR")) : NULL;
  assert_int_equal(setenv("TMPDIR", "/nowhere/temporary", 1), 0);
  assert_int_equal(dfm_spill_grow(&spill, 1 << 16, true, "/nowhere/temporary", &error), DFM_ERROR_IO);
  assert_non_null(
      strstr(error.message, "in /nowhere/temporary: No such file or directory; set TMPDIR to another folder"));
  assert_int_equal(dfm_spill_grow(&spill, 1 << 16, true, "/nowhere/outputs", &error), DFM_ERROR_IO);
  assert_non_null(strstr(error.message, "in /nowhere/outputs: No such file or directory; write the output to another"));
  assert_null(strstr(error.message, "TMPDIR"));
  assert_int_equal(before ? setenv("TMPDIR", before, 1) : unsetenv("TMPDIR"), 0);
  free(before);
}

/* Begun in memory, the rest written to the file, out of order. */
static void spill_is_written_and_then_mapped(void **state) {
  (void)state;
  enum { N = 100000, PIECE = 1000 };
  dfm_error error;
  dfm_spill spill = {0};
  unsigned char piece[PIECE];
  assert_ok(dfm_spill_grow(&spill, PIECE, false, NULL, &error));
  memset(spill.bytes, 5, PIECE);
  assert_ok(dfm_spill_open(&spill, "/tmp", &error));
  for (size_t at = N - PIECE; at > 0; at -= PIECE) {
    for (size_t i = 0; i < PIECE; i++) piece[i] = (unsigned char)((at + i) * 7);
    assert_ok(dfm_spill_write(&spill, at, piece, PIECE, "/tmp", &error));
  }
  assert_ok(dfm_spill_write(&spill, 0, spill.bytes, PIECE, "/tmp", &error));
  assert_ok(dfm_spill_map(&spill, N, &error));
  assert_true(spill.is_file);
  for (size_t k = 0; k < N; k++) assert_int_equal(spill.bytes[k], k < PIECE ? 5 : (unsigned char)(k * 7));
  assert_ok(dfm_spill_write(&spill, 10, "seen", 4, "/tmp", &error));
  assert_memory_equal(spill.bytes + 9, "\5seen\5", 6);
  dfm_spill_free(&spill);
}

static int memory_areas(void) {
  FILE *maps = fopen("/proc/self/maps", "r");
  int areas = 0;
  assert_non_null(maps);
  for (int c; (c = getc(maps)) != EOF;) areas += c == '\n';
  (void)fclose(maps);
  return areas;
}

/* The system allows a process some 65,000 areas: pieces set apart must be one with the rest again when they are
 * spent. */
static void spent_pages_are_no_areas_of_their_own(void **state) {
  (void)state;
  enum { PIECE = 8 << 12, PIECES = 200 };
  dfm_error error;
  dfm_spill spill = {0};
  assert_ok(dfm_spill_grow(&spill, (size_t)PIECE * PIECES, true, "/tmp", &error));
  const int before = memory_areas();
  for (size_t i = 1; i < PIECES; i += 2) dfm_pages_apart(spill.bytes + i * PIECE, PIECE);
  const int apart = memory_areas();
  for (size_t i = 1; i < PIECES; i += 2) dfm_spill_spent(&spill, i * PIECE, PIECE);
  assert_true(apart >= before + PIECES / 2);
  assert_true(memory_areas() <= before + 2);
  dfm_spill_free(&spill);
}

/* Grown in memory, moved to a file, grown there; given back and touched again. */
static void spill_keeps_its_bytes(void **state) {
  (void)state;
  enum { PAGE_MULTIPLE = 1 << 16 };
  dfm_error error;
  dfm_spill spill = {0};
  const size_t sizes[] = {100, PAGE_MULTIPLE, 3 * PAGE_MULTIPLE, 40 * PAGE_MULTIPLE};
  size_t filled = 0;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    assert_ok(dfm_spill_grow(&spill, sizes[i], i >= 2, "/tmp", &error));
    assert_true(spill.capacity_bytes >= sizes[i] && spill.is_file == (i >= 2));
    for (size_t k = 0; k < filled; k++) assert_int_equal(spill.bytes[k], (unsigned char)(k * 7));
    for (; filled < sizes[i]; filled++) {
      assert_int_equal(spill.bytes[filled], 0);
      spill.bytes[filled] = (unsigned char)(filled * 7);
    }
    dfm_spill_spent(&spill, 0, filled);
  }
  for (size_t k = 0; k < filled; k++) assert_int_equal(spill.bytes[k], (unsigned char)(k * 7));
  dfm_spill_free(&spill);
  assert_int_equal(dfm_spill_grow(&spill, 10, true, "/nowhere", &error), DFM_ERROR_IO);
  assert_non_null(strstr(error.message, "/nowhere"));
  assert_null(spill.bytes);
  struct rlimit before;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){1000, before.rlim_max}), 0);
  const dfm_status status = dfm_spill_grow(&spill, PAGE_MULTIPLE, true, dfm_spill_folder(), &error);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  assert_int_equal(status, DFM_ERROR_IO);
  assert_non_null(strstr(error.message, "File too large; raise the limit on file sizes, or set TMPDIR"));
}

/* Keys of all sizes, many equal, few, and none; values stay with their keys. */
static void sorts_agree(void **state) {
  (void)state;
  enum { N = 20000 };
  static const size_t sizes[] = {0, 1, 31, 33, 1000, N};
  static const uint32_t masks[] = {UINT32_MAX, 0xff, 0xff00ff00, 3, 0};
  static uint32_t keys[N], room[4][N];
  static float values[N];
  for (size_t m = 0; m < sizeof masks / sizeof *masks; m++) {
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
      const size_t n = sizes[s];
      dfm_pairs pairs = {{room[0], room[1]}, {room[2], room[3]}};
      for (size_t i = 0; i < n; i++) {
        keys[i] = room[0][i] = (uint32_t)dfm_random_u64(5, i) & masks[m];
        values[i] = (float)(keys[i] % 1000);
        room[2][i] = (uint32_t)i;
      }
      dfm_sort_in_place(keys, n % 2 ? NULL : values, n);
      dfm_sort_pairs(&pairs, n, UINT32_MAX);
      for (size_t i = 0; i < n; i++) {
        assert_int_equal(keys[i], pairs.key[0][i]);
        assert_true(n % 2 || values[i] == (float)(keys[i] % 1000));
        assert_true(i == 0 || pairs.key[0][i - 1] < pairs.key[0][i] || pairs.value[0][i - 1] < pairs.value[0][i]);
      }
    }
  }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(version_is_the_headers),
    cmocka_unit_test(failure_fills_the_error),
    cmocka_unit_test(message_is_one_line_that_fits),
    cmocka_unit_test(message_may_quote_itself),
    cmocka_unit_test(show_escapes_what_is_not_text),
    cmocka_unit_test(nearest_is_near),
    cmocka_unit_test(alloc_is_zeroed_and_refuses_overflow),
    cmocka_unit_test(grow_doubles_and_keeps),
    cmocka_unit_test(pages_are_zeroed_and_aligned),
    cmocka_unit_test(text_grows),
    cmocka_unit_test(spill_keeps_its_bytes),
    cmocka_unit_test(spill_says_which_folder_to_change),
    cmocka_unit_test(spent_pages_are_no_areas_of_their_own),
    cmocka_unit_test(spill_is_written_and_then_mapped),
    cmocka_unit_test(sorts_agree),
    cmocka_unit_test(philox_gives_the_known_answers),
    cmocka_unit_test(keys_differ),
    cmocka_unit_test(below_is_even),
    cmocka_unit_test(fills_have_their_distribution),
    cmocka_unit_test(fills_depend_on_the_place_alone),
};

int main(int argc, char **argv) {
  return test_main(argc, argv, "base", tests, sizeof tests / sizeof *tests);
}
