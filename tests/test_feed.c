/* Feeds: files, plain, compressed, damaged, and pipes come in; the text that the window shows, and the errors, are
 * compared with what is expected. */
#include <zlib.h>
#include <zstd.h>

#include "base/feed.h"
#include "base/memory.h"
#include "test.h"

static dfm_error error;

/* ---- making of files */

/* Appends `n` bytes as one gzip member. */
static void add_gzip(dfm_text *file, const char *bytes, size_t n) {
  z_stream z = {0};
  const size_t room = n + n / 1000 + 64;
  unsigned char *out = malloc(room);
  assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
  z.next_in = (unsigned char *)(uintptr_t)bytes;
  z.avail_in = (uInt)n;
  z.next_out = out;
  z.avail_out = (uInt)room;
  assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
  assert_ok(dfm_text_add(file, out, z.total_out, &error));
  deflateEnd(&z);
  free(out);
}

/* Appends `n` bytes as one zstd frame with a checksum. */
static void add_zstd(dfm_text *file, const char *bytes, size_t n) {
  ZSTD_CCtx *context = ZSTD_createCCtx();
  const size_t room = ZSTD_compressBound(n);
  char *out = malloc(room);
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  const size_t size = ZSTD_compress2(context, out, room, bytes, n);
  assert_false(ZSTD_isError(size));
  assert_ok(dfm_text_add(file, out, size, &error));
  ZSTD_freeCCtx(context);
  free(out);
}

/* Text that does not compress to nothing, `n` bytes. */
static char *make_text(size_t n) {
  char *text = malloc(n + 1);
  uint32_t seed = 5;
  for (size_t i = 0; i < n; i++) text[i] = "abcdefghij,\n"[(seed = seed * 1664525u + 1013904223u) >> 16 & 7];
  text[n] = 0;
  return text;
}

/* ---- reading */

/* Reads all of the text, letting go of all but `keeps` bytes at each slide. NULL: an error. */
static char *read_all(const char *path, size_t keeps, size_t *n) {
  dfm_text text = {0};
  dfm_feed *feed;
  size_t kept = 0; /* bytes at the window's start that `text` has already */
  dfm_status status = dfm_feed_open(path, &feed, &error);
  if (status != DFM_OK) return NULL;
  assert_int_equal(dfm_feed_window(feed).n, 0);
  for (bool is_last = false; status == DFM_OK && !is_last;) {
    const size_t shown = dfm_feed_window(feed).n;
    status = dfm_feed_slide(feed, shown - kept, &error);
    if (status != DFM_OK) break;
    const dfm_window window = dfm_feed_window(feed);
    assert_true(window.n >= kept);
    assert_memory_equal(text.length ? text.bytes + text.length - kept : "", window.bytes, kept);
    assert_ok(dfm_text_add(&text, window.bytes + kept, window.n - kept, &error));
    assert_true(window.is_last || window.n > kept);
    kept = window.n < keeps ? window.n : keeps;
    is_last = window.is_last;
  }
  dfm_feed_close(feed);
  if (status != DFM_OK) {
    free(text.bytes);
    return NULL;
  }
  *n = text.length;
  return text.bytes ? text.bytes : calloc(1, 1);
}

static void assert_reads(const dfm_text *file, const char *text, size_t n) {
  static const size_t keeps[] = {0, 1, 1000, 3 << 20};
  const char *path = test_write("feed", file->bytes, file->length);
  for (size_t i = 0; i < sizeof keeps / sizeof *keeps; i++) {
    size_t length = 0;
    char *found = read_all(path, keeps[i], &length);
    if (!found) fail_msg("%s", error.message);
    assert_int_equal(length, n);
    assert_true(memcmp(found, text, n) == 0);
    free(found);
  }
}

static void assert_refused(const char *bytes, size_t n, const char *says) {
  size_t length;
  const char *path = test_write("refused.gz", bytes, n);
  char *found = read_all(path, 0, &length);
  assert_null(found);
  assert_int_equal(error.code, DFM_ERROR_FORMAT);
  if (!strstr(error.message, says) || !strstr(error.message, "refused.gz"))
    fail_msg("'%s' does not say '%s'", error.message, says);
}

/* ---- tests */

/* Around the sizes of pieces, and above the steps of mappings. */
static const size_t SIZES[] = {1, 3, 5000, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 9 << 20, (33 << 20) + 7};
enum { N_SIZES = sizeof SIZES / sizeof *SIZES };

static void all_kinds_show_the_same_text(void **state) {
  (void)state;
  for (size_t i = 0; i < N_SIZES; i++) {
    dfm_text plain = {0}, gzip = {0}, zstd = {0};
    char *text = make_text(SIZES[i]);
    assert_ok(dfm_text_add(&plain, text, SIZES[i], &error));
    add_gzip(&gzip, text, SIZES[i]);
    add_zstd(&zstd, text, SIZES[i]);
    assert_reads(&plain, text, SIZES[i]);
    assert_reads(&gzip, text, SIZES[i]);
    assert_reads(&zstd, text, SIZES[i]);
    free(plain.bytes);
    free(gzip.bytes);
    free(zstd.bytes);
    free(text);
  }
}

static void members_and_frames_follow_each_other(void **state) {
  (void)state;
  dfm_text gzip = {0}, zstd = {0};
  char *text = make_text(3 << 20);
  for (int i = 0; i < 3; i++) {
    add_gzip(&gzip, text + (i << 20), 1 << 20);
    add_gzip(&gzip, "", 0);
    add_zstd(&zstd, text + (i << 20), 1 << 20);
  }
  assert_ok(dfm_text_add(&gzip, "\0\0\0\0", 4, &error)); /* padding, as tapes have it */
  assert_reads(&gzip, text, 3 << 20);
  assert_reads(&zstd, text, 3 << 20);
  dfm_text skip = {0};
  assert_ok(dfm_text_add(&skip, "\x50\x2a\x4d\x18\4\0\0\0abcd", 12, &error));
  assert_ok(dfm_text_add(&skip, zstd.bytes, zstd.length, &error));
  assert_reads(&skip, text, 3 << 20);
  free(skip.bytes);
  free(gzip.bytes);
  free(zstd.bytes);
  free(text);
}

static void empty_texts(void **state) {
  (void)state;
  dfm_text none = {.bytes = ""}, gzip = {0}, zstd = {0};
  add_gzip(&gzip, "", 0);
  add_zstd(&zstd, "", 0);
  assert_reads(&none, "", 0);
  assert_reads(&gzip, "", 0);
  assert_reads(&zstd, "", 0);
  free(gzip.bytes);
  free(zstd.bytes);
}

static void half_a_magic_is_plain_text(void **state) {
  (void)state;
  assert_reads(&(dfm_text){.bytes = "\x1f", .length = 1}, "\x1f", 1);
  assert_reads(&(dfm_text){.bytes = "\x28\xb5\x2f", .length = 3}, "\x28\xb5\x2f", 3);
}

static void every_early_end_is_seen(void **state) {
  (void)state;
  char *text = make_text(1000);
  dfm_text gzip = {0}, zstd = {0};
  add_gzip(&gzip, text, 1000);
  add_zstd(&zstd, text, 1000);
  for (size_t n = 2; n < gzip.length; n++) assert_refused(gzip.bytes, n, "ends early: its gzip data break off");
  for (size_t n = 4; n < zstd.length; n++) assert_refused(zstd.bytes, n, "ends early: its zstd data break off");
  free(gzip.bytes);
  free(zstd.bytes);
  free(text);
}

static void wrong_bytes_are_seen(void **state) {
  (void)state;
  char *text = make_text(5 << 20);
  dfm_text gzip = {0}, zstd = {0};
  add_gzip(&gzip, text, 5 << 20);
  add_zstd(&zstd, text, 5 << 20);
  gzip.bytes[gzip.length - 6] ^= 1; /* in the checksum */
  assert_refused(gzip.bytes, gzip.length, "(incorrect data check)");
  gzip.bytes[gzip.length - 6] ^= 1;
  zstd.bytes[zstd.length - 1] ^= 1;
  assert_refused(zstd.bytes, zstd.length, "checksum");
  zstd.bytes[zstd.length - 1] ^= 1;
  assert_refused("\x1f\x8b\x07\0\0\0\0\0\0\0", 10, "(unknown compression method)");
  assert_refused("\x28\xb5\x2f\xfd\0\xf8zz", 8, "needs more than 128 MB of memory");
  for (int i = 0; i < 2; i++) {
    dfm_text *file = i ? &zstd : &gzip;
    assert_ok(dfm_text_add(file, "\0trailing", 9, &error));
    assert_refused(file->bytes, file->length, i ? "zstd data are wrong" : "bytes behind its gzip data");
  }
  free(gzip.bytes);
  free(zstd.bytes);
  free(text);
}

/* A pipe with `n` bytes in it in place of the standard input; its writing end. */
static int put_into_standard_input(const char *bytes, size_t n, int *saved) {
  int ends[2];
  *saved = dup(0);
  assert_int_equal(pipe(ends), 0);
  assert_int_equal(write(ends[1], bytes, n), n);
  dup2(ends[0], 0);
  close(ends[0]);
  return ends[1];
}

static void a_pipe_is_read(void **state) {
  (void)state;
  int saved;
  size_t n;
  close(put_into_standard_input("label,x\n1,2\n", 12, &saved));
  char *text = read_all("-", 0, &n);
  dup2(saved, 0);
  close(saved);
  assert_non_null(text);
  assert_int_equal(n, 12);
  assert_memory_equal(text, "label,x\n1,2\n", 12);
  free(text);
}

/* The writer neither writes nor closes: the thread waits, and closing must not. */
static void a_silent_pipe_can_be_closed(void **state) {
  (void)state;
  int saved;
  dfm_feed *feed;
  const int writer = put_into_standard_input("label", 5, &saved);
  assert_ok(dfm_feed_open("-", &feed, &error));
  dup2(saved, 0);
  close(saved);
  usleep(20000);
  dfm_feed_close(feed);
  close(writer);
}

static void files_that_cannot_be_opened(void **state) {
  (void)state;
  dfm_feed *feed;
  assert_int_equal(dfm_feed_open(test_path("absent"), &feed, &error), DFM_ERROR_IO);
  assert_non_null(strstr(error.message, "No such file"));
  assert_int_equal(dfm_feed_open(test_folder(), &feed, &error), DFM_ERROR_IO);
  assert_non_null(strstr(error.message, "is a folder"));
  dfm_feed_close(NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(all_kinds_show_the_same_text),
    cmocka_unit_test(members_and_frames_follow_each_other),
    cmocka_unit_test(empty_texts),
    cmocka_unit_test(half_a_magic_is_plain_text),
    cmocka_unit_test(every_early_end_is_seen),
    cmocka_unit_test(wrong_bytes_are_seen),
    cmocka_unit_test(a_pipe_is_read),
    cmocka_unit_test(a_silent_pipe_can_be_closed),
    cmocka_unit_test(files_that_cannot_be_opened),
};

int main(int argc, char **argv) {
  return test_main(argc, argv, "feed", tests, sizeof tests / sizeof *tests);
}
