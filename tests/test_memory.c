/* Memory: slabs of all sizes come in and are made larger and smaller; what they hold must stay, and what is new be
 * zero. Strings of all lengths come into an arena; each must stay where its place says. */
#include "base/arena.h"
#include "base/memory.h"
#include "base/random.h"
#include "test.h"

enum { KB = 1 << 10, MB = 1 << 20 };

static uint32_t mark(size_t i) {
  return (uint32_t)(i * 2654435761u) | 1;
}

/* The first `kept` elements are marked, those behind them zero; then all of them are marked. */
static void check_and_mark(uint32_t *slab, size_t kept, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (slab[i] != (i < kept ? mark(i) : 0)) fail_msg("element %zu of %zu is %u, %zu were kept", i, n, slab[i], kept);
  for (size_t i = kept; i < n; i++) slab[i] = mark(i);
}

/* On the heap, in pages, in huge pages, and across: each size is followed by each. */
static void slabs_change_their_size(void **state) {
  static const size_t sizes[] = {0,           1,       4 * KB,     32 * KB - 1, 32 * KB,
                                 33 * KB + 5, 40 * KB, 8 * MB - 3, 8 * MB,      9 * MB + 1};
  enum { N = sizeof sizes / sizeof *sizes };
  dfm_error error;
  (void)state;
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) {
      uint32_t *slab;
      const size_t kept = sizes[i] < sizes[j] ? sizes[i] : sizes[j];
      assert_ok(dfm_slab_alloc(&slab, sizes[i], sizeof *slab, &error));
      check_and_mark(slab, 0, sizes[i]);
      assert_ok(dfm_slab_resize(&slab, sizes[i], sizes[j], sizeof *slab, &error));
      check_and_mark(slab, kept, sizes[j]);
      /* what went is gone: it comes back as zeros */
      assert_ok(dfm_slab_resize(&slab, sizes[j], sizes[i], sizeof *slab, &error));
      check_and_mark(slab, kept, sizes[i]);
      dfm_slab_free(slab, sizes[i], sizeof *slab);
    }
}

static void slabs_start_from_nothing(void **state) {
  uint32_t *slab = NULL;
  dfm_error error;
  (void)state;
  assert_ok(dfm_slab_resize(&slab, 0, 40 * KB, sizeof *slab, &error));
  check_and_mark(slab, 0, 40 * KB);
  dfm_slab_free(slab, 40 * KB, sizeof *slab);
}

static void a_slab_that_cannot_grow_stays(void **state) {
  static const size_t sizes[] = {10, 40 * KB, 9 * MB};
  static const size_t too_many[] = {SIZE_MAX / 8, SIZE_MAX / 4, SIZE_MAX};
  dfm_error error;
  (void)state;
  for (int i = 0; i < 3; i++) {
    uint32_t *slab;
    assert_ok(dfm_slab_alloc(&slab, sizes[i], sizeof *slab, &error));
    check_and_mark(slab, 0, sizes[i]);
    const uint32_t *before = slab;
    for (int j = 0; j < 3; j++) {
      assert_int_equal(dfm_slab_resize(&slab, sizes[i], too_many[j], sizeof *slab, &error), DFM_ERROR_MEMORY);
      assert_ptr_equal(slab, before);
      check_and_mark(slab, sizes[i], sizes[i]);
    }
    dfm_slab_free(slab, sizes[i], sizeof *slab);
  }
}

/* ---- the arena */

static unsigned char byte_of(size_t string, size_t i) {
  return (unsigned char)(string * 31 + i * 7 + i / 251);
}

/* Lengths around the pieces' sizes, and strings that have a piece of their own among short ones. */
static size_t length_of(size_t string) {
  static const size_t odd[] = {0, 1, 1 * KB, 1 * KB + 1, 64 * KB, MB - 1, MB, MB + 1, 3 * MB + 5};
  const uint64_t r = dfm_random_u64(3, string);
  return string % 97 == 0 ? odd[string / 97 % (sizeof odd / sizeof *odd)] : r % 1000;
}

static void strings_stay_at_their_places(void **state) {
  enum { N = 9000 };
  static uint64_t place[N];
  static const char *first_seen[N];
  dfm_arena arena = {0};
  dfm_error error;
  (void)state;
  for (size_t s = 0; s < N; s++) {
    char *bytes;
    assert_ok(dfm_arena_add(&arena, length_of(s), &place[s], &bytes, &error));
    for (size_t i = 0; i < length_of(s); i++) bytes[i] = (char)byte_of(s, i);
    first_seen[s] = bytes;
    assert_true(place[s] >> DFM_ARENA_PLACE_BITS == 0);
  }
  assert_true(arena.n_pieces > 20); /* those that double, and more of the largest size */
  for (size_t s = 0; s < N; s++) {
    const char *bytes = dfm_arena_at(&arena, place[s]);
    assert_ptr_equal(bytes, first_seen[s]);
    for (size_t i = 0; i < length_of(s); i++)
      if ((unsigned char)bytes[i] != byte_of(s, i)) fail_msg("string %zu is another from byte %zu on", s, i);
  }
  dfm_arena_clear(&arena);
  assert_null(arena.pieces);
}

/* The last place of the largest piece that places can tell apart. */
static void the_last_offset_of_a_piece_is_a_place(void **state) {
  dfm_arena arena = {0};
  dfm_error error;
  uint64_t place;
  char *bytes, *last;
  (void)state;
  for (int i = 0; i < 11; i++) assert_ok(dfm_arena_add(&arena, MB - 1, &place, &bytes, &error)); /* a piece each */
  assert_int_equal(place >> DFM_ARENA_OFFSET_BITS, arena.n_pieces - 1);
  assert_ok(dfm_arena_add(&arena, 1, &place, &last, &error));
  assert_int_equal(place & (MB - 1), MB - 1);
  assert_ptr_equal(last, bytes + MB - 1);
  *last = 'x';
  assert_int_equal(*dfm_arena_at(&arena, place), 'x');
  assert_ok(dfm_arena_add(&arena, 1, &place, &bytes, &error)); /* the piece is full */
  assert_int_equal(place & (MB - 1), 0);
  dfm_arena_clear(&arena);
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(slabs_change_their_size), cmocka_unit_test(slabs_start_from_nothing),
      cmocka_unit_test(a_slab_that_cannot_grow_stays), cmocka_unit_test(strings_stay_at_their_places),
      cmocka_unit_test(the_last_offset_of_a_piece_is_a_place)};
  return test_main(argc, argv, "memory", tests, sizeof tests / sizeof *tests);
}
