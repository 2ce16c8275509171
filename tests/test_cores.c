/* Cores: files as the system has them, of groups within groups and their quotas, come in; the least quota must go
 * out. */
#include <limits.h>
#include <sched.h>
#include <sys/stat.h>

#include "base/cores.h"
#include "base/pool.h"
#include "test.h"

static void put(const char *path, const char *text) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  fputs(text, file);
  assert_int_equal(fclose(file), 0);
}

/* The group /a/b has the quota `b`, /a `a` and the root `root`; NULL: no file says one. */
static int quota(const char *group, const char *root, const char *a, const char *b) {
  static int n;
  char name[32], tree[512], path[600], groups[512];
  snprintf(name, sizeof name, "tree%d", n++);
  snprintf(tree, sizeof tree, "%s", test_path(name));
  snprintf(groups, sizeof groups, "%s", test_path("groups"));
  put(groups, group);
  const struct { const char *folder, *text; } levels[] = {{"", root}, {"/a", a}, {"/a/b", b}};
  for (int i = 0; i < 3; i++) {
    snprintf(path, sizeof path, "%s%s", tree, levels[i].folder);
    assert_int_equal(mkdir(path, 0777), 0);
    snprintf(path, sizeof path, "%s%s/cpu.max", tree, levels[i].folder);
    if (levels[i].text) put(path, levels[i].text);
  }
  return dfm_quota_cores(groups, tree);
}

static void the_least_quota_counts(void **state) {
  (void)state;
  assert_int_equal(quota("0::/a/b\n", NULL, "max 100000\n", "200000 100000\n"), 2);
  assert_int_equal(quota("0::/a/b\n", NULL, "300000 100000\n", "max 100000\n"), 3);
  assert_int_equal(quota("0::/a/b\n", NULL, "300000 100000\n", "800000 100000\n"), 3);
  assert_int_equal(quota("12:cpu:/x\n3:memory:/a\n0::/a\n", NULL, "50000 100000\n", NULL), 1);
  assert_int_equal(quota("0::/\n", "150000 100000\n", "50000 100000\n", NULL), 2); /* rounded up; not its own */
  assert_int_equal(quota("0::/", "1000000 250000\n", NULL, NULL), 4);
}

/* In a container the group's path may be the host's. */
static void what_is_not_there_has_no_quota(void **state) {
  (void)state;
  assert_int_equal(quota("0::/docker/4f2a/a\n", "200000 100000\n", "50000 100000\n", NULL), 2);
  assert_int_equal(quota("0::/a/b\n", NULL, NULL, NULL), INT_MAX);
  assert_int_equal(quota("4:cpu,cpuacct:/a\n", NULL, "50000 100000\n", NULL), INT_MAX); /* version 1 */
  assert_int_equal(quota("", "50000 100000\n", NULL, NULL), INT_MAX);
  assert_int_equal(dfm_quota_cores("/there/is/none", "/sys/fs/cgroup"), INT_MAX);
}

static void nonsense_is_no_quota(void **state) {
  static const char *const texts[] = {"max",   "",        "0 100000\n", "-5 100000\n",       "100000\n",
                                      "1 0\n", "x 100\n", "1 -1\n",     "99999999999999 1\n"};
  (void)state;
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    assert_int_equal(quota("0::/a\n", NULL, texts[i], NULL), INT_MAX);
}

/* A pool has a thread for each core that the process may run on, or that is paid for. */
static void pools_have_a_thread_for_each(void **state) {
  dfm_error error;
  cpu_set_t all, one;
  (void)state;
  assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
  const int paid = dfm_quota_cores("/proc/self/cgroup", "/sys/fs/cgroup"), n = CPU_COUNT(&all);
  assert_int_equal(dfm_cores(), paid < n ? paid : n);
  CPU_ZERO(&one);
  for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
    if (CPU_ISSET(i, &all)) CPU_SET(i, &one);
  for (int i = 0; i < 2; i++) {
    dfm_pool *pool;
    assert_int_equal(sched_setaffinity(0, sizeof one, i == 0 ? &one : &all), 0);
    assert_ok(dfm_pool_create(0, &pool, &error));
    assert_int_equal(dfm_pool_threads(pool), i == 0 ? 1 : dfm_cores());
    dfm_pool_free(pool);
  }
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_least_quota_counts), cmocka_unit_test(what_is_not_there_has_no_quota),
      cmocka_unit_test(nonsense_is_no_quota), cmocka_unit_test(pools_have_a_thread_for_each)};
  return test_main(argc, argv, "cores", tests, sizeof tests / sizeof *tests);
}
