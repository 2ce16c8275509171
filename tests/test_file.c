/* File: paths and bytes come in; mappings must show them, and writers must leave the old file or the new one,
 * whatever fails when. */
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif
#ifndef HAS_SANITIZER
#define HAS_SANITIZER 0
#endif

enum { BIG = 700000 }; /* bytes: more than two of the writer's buffers */

static void fill(unsigned char *bytes, size_t n, unsigned seed) {
  for (size_t i = 0; i < n; i++) bytes[i] = (unsigned char)((i * 2654435761u + seed) >> 13);
}

/* Writes `n` bytes in pieces of odd and growing sizes. */
static dfm_status write_pieces(const char *path, const unsigned char *bytes, size_t n, dfm_error *error) {
  dfm_writer *writer;
  dfm_status status = dfm_writer_open(path, &writer, error);
  if (status != DFM_OK) return status;
  for (size_t at = 0, piece = 1; at < n; piece = piece * 3 + 1) {
    const size_t now = n - at < piece ? n - at : piece;
    if ((status = dfm_writer_write(writer, bytes + at, now, error)) != DFM_OK) {
      dfm_writer_abort(writer);
      return status;
    }
    at += now;
  }
  return dfm_writer_commit(writer, error);
}

static void assert_content(const char *path, const void *bytes, size_t n) {
  dfm_error error;
  dfm_mapping mapping;
  assert_ok(dfm_mapping_open(path, &mapping, &error));
  assert_int_equal(mapping.size_bytes, n);
  assert_memory_equal(mapping.bytes, bytes, n);
  dfm_mapping_close(&mapping);
  assert_null(mapping.bytes);
  dfm_mapping_close(&mapping);
}

/* A fresh folder within the test's. */
static const char *make_folder(const char *name) {
  const char *path = test_path(name);
  assert_int_equal(mkdir(path, 0755), 0);
  return path;
}

static int count_entries(const char *folder) {
  DIR *dir = opendir(folder);
  assert_non_null(dir);
  int n = 0;
  while (readdir(dir)) n++;
  closedir(dir);
  return n - 2; /* . and .. */
}

static const char *in(const char *folder, const char *name) {
  static char paths[4][5000];
  static int next;
  char *path = paths[next++ % 4];
  snprintf(path, sizeof *paths, "%s/%s", folder, name);
  return path;
}

/* ---- reading */

static void mapping_shows_the_file(void **state) {
  (void)state;
  static unsigned char bytes[100000];
  fill(bytes, sizeof bytes, 1);
  assert_content(test_write("some", bytes, sizeof bytes), bytes, sizeof bytes);
  assert_content(test_write("none", "", 0), "", 0);
  dfm_error error;
  dfm_mapping mapping;
  assert_ok(dfm_mapping_open("/dev/null", &mapping, &error));
  assert_int_equal(mapping.size_bytes, 0);
  assert_non_null(mapping.bytes);
  dfm_mapping_close(&mapping);
  assert_ok(dfm_mapping_open("/proc/self/status", &mapping, &error)); /* a regular file that says it is empty */
  assert_true(mapping.size_bytes > 100 && mapping.is_heap);
  dfm_mapping_close(&mapping);
}

static void pipe_is_read_whole(void **state) {
  (void)state;
  static unsigned char bytes[BIG];
  fill(bytes, BIG, 2);
  const char *path = test_path("pipe");
  assert_int_equal(mkfifo(path, 0600), 0);
  const pid_t child = fork();
  if (child == 0) {
    const int fd = open(path, O_WRONLY);
    for (size_t at = 0; at < BIG;) at += (size_t)write(fd, bytes + at, BIG - at < 1000 ? BIG - at : 1000);
    _exit(0);
  }
  assert_content(path, bytes, BIG);
  assert_int_equal(waitpid(child, NULL, 0), child);
}

static void unreadable_is_a_sentence(void **state) {
  (void)state;
  dfm_error error;
  char wanted[5000];
  dfm_mapping mapping = {0};
  const char *path = test_path("absent");
  assert_int_equal(dfm_mapping_open(path, &mapping, &error), DFM_ERROR_IO);
  snprintf(wanted, sizeof wanted, "cannot open %s: No such file or directory; check the path", path);
  assert_string_equal(error.message, wanted);
  path = make_folder("folder");
  assert_int_equal(dfm_mapping_open(path, &mapping, &error), DFM_ERROR_IO);
  snprintf(wanted, sizeof wanted, "cannot open %s: it is a folder; name a file", path);
  assert_string_equal(error.message, wanted);
  assert_int_equal(dfm_mapping_open("", &mapping, &error), DFM_ERROR_IO);
  assert_null(mapping.bytes);
}

/* ---- writing */

static void writer_makes_whole_files(void **state) {
  (void)state;
  static const size_t sizes[] = {0, 1, 4096, (256 << 10) - 1, 256 << 10, (256 << 10) + 1, BIG};
  static unsigned char bytes[BIG];
  const char *folder = make_folder("writes");
  dfm_error error;
  fill(bytes, BIG, 3);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    assert_ok(write_pieces(in(folder, "file"), bytes, sizes[i], &error));
    assert_content(in(folder, "file"), bytes, sizes[i]);
    assert_int_equal(count_entries(folder), 1);
  }
}

static void nothing_appears_before_commit(void **state) {
  (void)state;
  static unsigned char bytes[BIG];
  const char *folder = make_folder("pending");
  dfm_error error;
  dfm_writer *writer;
  assert_ok(write_pieces(in(folder, "old"), (const unsigned char *)"old", 3, &error));
  for (int i = 0; i < 2; i++) {
    const char *path = in(folder, i ? "old" : "new");
    assert_ok(dfm_writer_open(path, &writer, &error));
    assert_ok(dfm_writer_write(writer, bytes, BIG, &error));
    if (i)
      assert_content(path, "old", 3);
    else
      assert_int_equal(access(path, F_OK), -1);
    dfm_writer_abort(writer);
    assert_int_equal(count_entries(folder), 1);
  }
  assert_content(in(folder, "old"), "old", 3);
  dfm_writer_abort(NULL);
}

/* Whether this file system has files without a name. */
static bool has_nameless(const char *folder) {
  const int fd = open(folder, O_WRONLY | O_TMPFILE, 0600);
  if (fd >= 0) close(fd);
  if (fd < 0) printf("not checked: this file system has no files without a name, so a killed process leaves one\n");
  return fd >= 0;
}

static void killed_process_leaves_nothing(void **state) {
  (void)state;
  static unsigned char bytes[BIG];
  const char *folder = make_folder("killed");
  dfm_error error;
  if (!has_nameless(folder)) return;
  for (int i = 0; i < 2; i++) { /* a new file, then one that replaces another */
    if (i == 1) assert_ok(write_pieces(in(folder, "file"), (const unsigned char *)"old", 3, &error));
    const pid_t child = fork();
    if (child == 0) {
      dfm_writer *writer;
      if (dfm_writer_open(in(folder, "file"), &writer, NULL) != DFM_OK) _exit(1);
      if (dfm_writer_write(writer, bytes, BIG, NULL) != DFM_OK) _exit(1);
      raise(SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(count_entries(folder), i);
  }
  assert_content(in(folder, "file"), "old", 3);
}

static mode_t mode_of(const char *path) {
  struct stat info;
  assert_int_equal(stat(path, &info), 0);
  return info.st_mode & 0777;
}

static void permissions_are_as_expected(void **state) {
  (void)state;
  const char *folder = make_folder("modes"), *path = in(folder, "file");
  dfm_error error;
  const mode_t before = umask(027);
  const dfm_status status = write_pieces(path, (const unsigned char *)"1", 1, &error);
  umask(before);
  assert_ok(status);
  assert_int_equal(mode_of(path), 0640);
  assert_int_equal(chmod(path, 0604), 0);
  assert_ok(write_pieces(path, (const unsigned char *)"22", 2, &error));
  assert_int_equal(mode_of(path), 0604);
  assert_int_equal(chmod(path, 0444), 0);
  if (geteuid() == 0) return; /* who may write anything is refused nothing */
  assert_int_equal(write_pieces(path, (const unsigned char *)"333", 3, &error), DFM_ERROR_IO);
  assert_non_null(strstr(error.message, "Permission denied; check the permissions"));
  assert_content(path, "22", 2);
}

static void links_stay_links(void **state) {
  (void)state;
  const char *folder = make_folder("links"), *real = make_folder("real");
  dfm_error error;
  assert_int_equal(symlink("second", in(folder, "first")), 0);
  assert_int_equal(symlink("../real/target", in(folder, "second")), 0);
  for (int i = 1; i <= 2; i++) { /* the target is made, then replaced */
    assert_ok(write_pieces(in(folder, "first"), (const unsigned char *)"ab", (size_t)i, &error));
    assert_content(in(real, "target"), "ab", (size_t)i);
    assert_int_equal(count_entries(folder), 2);
    assert_int_equal(count_entries(real), 1);
  }
  assert_int_equal(symlink("loop", in(folder, "loop")), 0);
  assert_int_equal(write_pieces(in(folder, "loop"), (const unsigned char *)"a", 1, &error), DFM_ERROR_IO);
  assert_non_null(strstr(error.message, "Too many levels of symbolic links"));
}

static void file_in_the_current_folder(void **state) {
  (void)state;
  char before[4096];
  dfm_error error;
  assert_non_null(getcwd(before, sizeof before));
  const char *folder = make_folder("here");
  assert_int_equal(chdir(folder), 0);
  const dfm_status status = write_pieces("bare", (const unsigned char *)"x", 1, &error);
  assert_int_equal(chdir(before), 0);
  assert_ok(status);
  assert_content(in(folder, "bare"), "x", 1);
  assert_int_equal(count_entries(folder), 1);
}

static void unwritable_is_a_sentence(void **state) {
  (void)state;
  const char *folder = make_folder("refused");
  char name[300];
  memset(name, 'n', sizeof name);
  name[sizeof name - 1] = '\0';
  assert_non_null(test_write("plain", "x", 1));
  const struct {
    const char *path, *says;
  } cases[] = {
      {in(folder, "absent/file"), "No such file or directory; create its folder first"},
      {folder, "Is a directory; name a file"},
      {in(folder, "slash/"), "Is a directory; name a file"},
      {in(test_path("plain"), "file"), "Not a directory; what stands before the last / must be a folder"},
      {"", "Is a directory; name a file"},
  };
  dfm_error error;
  dfm_writer *writer = NULL;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_int_equal(dfm_writer_open(cases[i].path, &writer, &error), DFM_ERROR_IO);
    assert_int_equal(strncmp(error.message, "cannot write ", 13), 0);
    if (!strstr(error.message, cases[i].says)) fail_msg("%s", error.message);
    assert_null(writer);
  }
  assert_int_equal(dfm_writer_open(in(folder, name), &writer, &error), DFM_ERROR_IO);
  assert_non_null(strstr(error.message, "File name too long; choose a shorter name"));
  assert_int_equal(count_entries(folder), 0);
  name[255] = '\0'; /* the longest allowed; its temporary must fit as well */
  assert_ok(write_pieces(in(folder, name), (const unsigned char *)"x", 1, &error));
  assert_content(in(folder, name), "x", 1);
}

static void devices_and_pipes_are_written_directly(void **state) {
  (void)state;
  static unsigned char bytes[BIG], seen[BIG];
  dfm_error error;
  fill(bytes, BIG, 4);
  assert_ok(write_pieces("/dev/null", bytes, BIG, &error));
  struct stat info;
  assert_int_equal(stat("/dev/null", &info), 0);
  assert_true(S_ISCHR(info.st_mode));
  if (access("/dev/full", W_OK) == 0) {
    assert_int_equal(write_pieces("/dev/full", bytes, BIG, &error), DFM_ERROR_IO);
    assert_string_equal(error.message,
                        "cannot write /dev/full: No space left on device; free some space or write to another disk");
    assert_int_equal(write_pieces("/dev/full", bytes, 10, &error),
                     DFM_ERROR_IO); /* the buffer's rest fails at commit */
  }
  const char *folder = make_folder("pipes"), *path = in(folder, "pipe");
  assert_int_equal(mkfifo(path, 0600), 0);
  const pid_t child = fork();
  if (child == 0) _exit(write_pieces(path, bytes, BIG, NULL) == DFM_OK ? 0 : 1);
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  assert_int_equal(fread(seen, 1, BIG, file), BIG);
  assert_int_equal(fgetc(file), EOF);
  fclose(file);
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_memory_equal(seen, bytes, BIG);
  assert_int_equal(count_entries(folder), 1);
}

/* ---- faults: this program runs itself as `--write PATH MESSAGE_PATH` under preload_fault.so */

static const char NO_NAMELESS[] = "DFM_FAULT_NO_TMPFILE";

static int write_as_child(const char *path, const char *message_path) {
  static unsigned char bytes[BIG];
  dfm_error error;
  fill(bytes, BIG, 6);
  if (write_pieces(path, bytes, BIG, &error) == DFM_OK) return 0;
  const int fd = open(message_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (fd < 0 || dprintf(fd, "%s", error.message) < 0) return 3;
  return 1;
}

static int run_child(const char *fault, const char *action, const char *path, const char *message_path) {
  char module[4200];
  snprintf(module, sizeof module, "%s/preload_fault.so", getenv("DFM_PRELOAD_DIR"));
  if (access(module, R_OK) != 0) fail_msg("%s is missing", module);
  const pid_t child = fork();
  if (child == 0) {
    setenv("LD_PRELOAD", module, 1);
    setenv("DFM_FAULT", fault, 1);
    setenv("DFM_FAULT_ACTION", action, 1);
    execl("/proc/self/exe", "test_file", "--write", path, message_path, (char *)NULL);
    _exit(4);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}

static bool holds(const char *path, const void *bytes, size_t n) {
  dfm_mapping mapping;
  if (dfm_mapping_open(path, &mapping, NULL) != DFM_OK) return false;
  const bool same = mapping.size_bytes == n && memcmp(mapping.bytes, bytes, n) == 0;
  dfm_mapping_close(&mapping);
  return same;
}

static bool can_inject(void) {
  if (HAS_SANITIZER)
    printf("skipped: a sanitizer must be loaded before the faults\n");
  else if (!getenv("DFM_PRELOAD_DIR"))
    printf("skipped: DFM_PRELOAD_DIR is not set\n");
  return !HAS_SANITIZER && getenv("DFM_PRELOAD_DIR");
}

/* Writes over "old" with that fault; `check` judges the outcome. Returns whether the writer succeeded. */
static bool try_fault(const char *kind, int call, const char *action,
                      void (*check)(const char *fault, int status, const char *folder)) {
  char fault[32], name[64], message_path[4200];
  dfm_error error;
  snprintf(fault, sizeof fault, "%s:%d", kind, call);
  snprintf(name, sizeof name, "%s-%s-%d%s", action, kind, call, getenv(NO_NAMELESS) ? "-named" : "");
  const char *folder = make_folder(name);
  snprintf(message_path, sizeof message_path, "%s.message", folder);
  assert_ok(write_pieces(in(folder, "file"), (const unsigned char *)"old", 3, &error));
  const int status = run_child(fault, action, in(folder, "file"), message_path);
  check(fault, status, folder);
  return status == 0;
}

/* Lets call after call of a kind go wrong until none is left. Returns how many there were. */
static int try_all(const char *kind, const char *action,
                   void (*check)(const char *fault, int status, const char *folder)) {
  int call = 1;
  while (call < 100 && !try_fault(kind, call, action, check)) call++;
  return call - 1;
}

static bool has_old(const char *folder) {
  return holds(in(folder, "file"), "old", 3);
}

static bool has_new(const char *folder) {
  static unsigned char bytes[BIG];
  fill(bytes, BIG, 6);
  return holds(in(folder, "file"), bytes, BIG);
}

static void check_failure(const char *fault, int status, const char *folder) {
  if (count_entries(folder) != 1) fail_msg("%s: a temporary is left", fault);
  if (status == 0) {
    assert_true(has_new(folder));
    return;
  }
  assert_int_equal(status, 1);
  char path[4200], message[1100] = "";
  snprintf(path, sizeof path, "%s.message", folder);
  FILE *file = fopen(path, "r");
  assert_non_null(file);
  assert_non_null(fgets(message, sizeof message, file));
  fclose(file);
  const bool is_folder_sync = strcmp(fault, "fsync:2") == 0;
  const char *says =
      is_folder_sync ? "was written, but a power cut may still undo it: its folder cannot be synced: Input/output error"
      : strncmp(fault, "write", 5) == 0 ? "No space left on device; free some space or write to another disk"
                                        : "Input/output error";
  if (!strstr(message, says)) fail_msg("%s: %s", fault, message);
  if (!(is_folder_sync ? has_new(folder) : has_old(folder))) fail_msg("%s: the file is neither old nor new", fault);
}

static void failed_calls_leave_the_old_file(void **state) {
  (void)state;
  if (!can_inject()) return;
  const int n_links =
      2 * has_nameless(make_folder("probe-fail")); /* to the file's name, which is taken; to one beside it */
  assert_int_equal(try_all("linkat", "fail", check_failure), n_links);
  assert_in_range(try_all("write", "fail", check_failure), 2, 20);
  assert_int_equal(try_all("fsync", "fail", check_failure), 2); /* the file, its folder */
  assert_int_equal(try_all("close", "fail", check_failure), 0); /* what is synced is there */
  assert_int_equal(try_all("rename", "fail", check_failure), 1);
}

/* Only between its naming and its renaming does a file that takes another one's place have a name that may stay, until
 * the next write. */
static void check_killed(const char *fault, int status, const char *folder) {
  assert_true(status == 0 || status == 99);
  const bool is_named = strncmp(fault, "rename", 6) == 0;
  dfm_error error;
  if (has_nameless(folder) && count_entries(folder) != 1 + (is_named && status != 0))
    fail_msg("%s: %d files", fault, count_entries(folder));
  const bool is_after_rename = strcmp(fault, "fsync:2") == 0 || strcmp(fault, "close:1") == 0 || status == 0;
  if (!(is_after_rename ? has_new(folder) : has_old(folder))) fail_msg("%s: neither the old nor the new file", fault);
  assert_ok(write_pieces(in(folder, "file"), (const unsigned char *)"next", 4, &error));
  if (has_nameless(folder) && count_entries(folder) != 1) fail_msg("%s: the next write leaves a temporary", fault);
}

static void killed_process_leaves_a_whole_file(void **state) {
  (void)state;
  if (!can_inject()) return;
  assert_in_range(try_all("write", "exit", check_killed), 2, 20);
  assert_int_equal(try_all("fsync", "exit", check_killed), 2);
  assert_int_equal(try_all("close", "exit", check_killed), 1);
  assert_int_equal(try_all("rename", "exit", check_killed), 1);
}

static void file_of_a_new_name_is_not_renamed(void **state) {
  (void)state;
  if (!can_inject()) return;
  const char *folder = make_folder("new-name");
  if (!has_nameless(folder)) return;
  assert_int_equal(run_child("rename:1", "exit", in(folder, "file"), test_path("new-name.message")), 0);
  assert_true(has_new(folder) && count_entries(folder) == 1);
}

/* What a killed writer left beside a target that is then removed is older than what is written next. */
static void what_is_left_of_a_removed_file_goes(void **state) {
  (void)state;
  if (!can_inject()) return;
  dfm_error error;
  const char *folder = make_folder("removed"), *path = in(folder, "file");
  if (!has_nameless(folder)) return;
  assert_ok(write_pieces(path, (const unsigned char *)"old", 3, &error));
  assert_int_equal(run_child("rename:1", "exit", path, test_path("removed.message")), 99);
  assert_int_equal(count_entries(folder), 2);
  assert_int_equal(unlink(path), 0);
  assert_ok(write_pieces(path, (const unsigned char *)"newer", 5, &error));
  assert_content(path, "newer", 5);
  assert_int_equal(count_entries(folder), 1);
}

/* They share the name beside the target. */
static void writers_of_one_file_do_not_disturb_each_other(void **state) {
  (void)state;
  enum { WRITERS = 6, WRITES = 60, BYTES = 5000 };
  static unsigned char bytes[BYTES];
  const char *folder = make_folder("together"), *path = in(folder, "file");
  pid_t child[WRITERS];
  for (int i = 0; i < WRITERS; i++) {
    if ((child[i] = fork()) != 0) continue;
    memset(bytes, 'a' + i, BYTES);
    for (int n = 0; n < WRITES; n++)
      if (write_pieces(path, bytes, BYTES, NULL) != DFM_OK) _exit(1);
    _exit(0);
  }
  for (int i = 0; i < WRITERS; i++) {
    int status;
    assert_int_equal(waitpid(child[i], &status, 0), child[i]);
    assert_int_equal(status, 0);
  }
  bool is_whole = false;
  for (int i = 0; i < WRITERS && !is_whole; i++) {
    memset(bytes, 'a' + i, BYTES);
    is_whole = holds(path, bytes, BYTES);
  }
  assert_true(is_whole);
  assert_int_equal(count_entries(folder), 1);
}

/* The same where temporaries have names from the start. */
static void without_nameless_files_all_holds(void **state) {
  (void)state;
  if (!can_inject()) return;
  setenv(NO_NAMELESS, "1", 1);
  assert_int_equal(try_all("linkat", "fail", check_failure), 0);
  assert_in_range(try_all("write", "fail", check_failure), 2, 20);
  assert_int_equal(try_all("rename", "fail", check_failure), 1);
  unsetenv(NO_NAMELESS);
}

static void check_success(const char *fault, int status, const char *folder) {
  if (status != 0 || !has_new(folder) || count_entries(folder) != 1) fail_msg("%s: status %d", fault, status);
}

static void interrupted_and_short_calls_go_on(void **state) {
  (void)state;
  if (!can_inject()) return;
  static const char *const kinds[] = {"write", "fsync", "close"}; /* rename is never interrupted */
  for (int call = 1; call <= 4; call++) {
    try_fault("write", call, "short", check_success);
    for (int k = 0; k < 3; k++) try_fault(kinds[k], call, "interrupt", check_success);
  }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(mapping_shows_the_file),
    cmocka_unit_test(pipe_is_read_whole),
    cmocka_unit_test(unreadable_is_a_sentence),
    cmocka_unit_test(writer_makes_whole_files),
    cmocka_unit_test(nothing_appears_before_commit),
    cmocka_unit_test(killed_process_leaves_nothing),
    cmocka_unit_test(permissions_are_as_expected),
    cmocka_unit_test(links_stay_links),
    cmocka_unit_test(file_in_the_current_folder),
    cmocka_unit_test(unwritable_is_a_sentence),
    cmocka_unit_test(devices_and_pipes_are_written_directly),
    cmocka_unit_test(failed_calls_leave_the_old_file),
    cmocka_unit_test(killed_process_leaves_a_whole_file),
    cmocka_unit_test(file_of_a_new_name_is_not_renamed),
    cmocka_unit_test(what_is_left_of_a_removed_file_goes),
    cmocka_unit_test(writers_of_one_file_do_not_disturb_each_other),
    cmocka_unit_test(without_nameless_files_all_holds),
    cmocka_unit_test(interrupted_and_short_calls_go_on),
};

int main(int argc, char **argv) {
  if (argc == 4 && strcmp(argv[1], "--write") == 0) return write_as_child(argv[2], argv[3]);
  return test_main(argc, argv, "file", tests, sizeof tests / sizeof *tests);
}
