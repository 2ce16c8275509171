/* Test programs: a static table of cmocka tests comes in; `--list`, one test by name, and a closing line "NAME: N
 * passed, N failed" go out. */
#ifndef DFM_TESTS_TEST_H
#define DFM_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "deepfm.h"

#define assert_ok(expr)                                                                       \
  do {                                                                                        \
    const dfm_status status_ = (expr);                                                        \
    if (status_ != DFM_OK) fail_msg("%s: status %d: %s", #expr, (int)status_, error.message); \
  } while (0)

#define assert_near(a, b, tolerance)                                               \
  do {                                                                             \
    const double a_ = (a), b_ = (b), t_ = (tolerance);                             \
    if (!(a_ - b_ <= t_ && b_ - a_ <= t_))                                         \
      fail_msg("%s = %.9g, %s = %.9g: further apart than %g", #a, a_, #b, b_, t_); \
  } while (0)

/* Path of a file in ../shared/data beside the project (or $DFM_DATA). NULL where it is absent: then `return` (the test
 * was skipped with one line); with DFM_REQUIRE_DATA=1 absence fails. Static storage, overwritten by the next call. */
static inline const char *test_data(const char *name) {
  static char path[4096];
  const char *root = getenv("DFM_DATA");
  snprintf(path, sizeof path, "%s/%s", root ? root : DFM_SOURCE_DIR "/../shared/data", name);
  if (access(path, R_OK) == 0) return path;
  const char *require = getenv("DFM_REQUIRE_DATA");
  if (require && strcmp(require, "1") == 0) fail_msg("%s is missing and DFM_REQUIRE_DATA=1", path);
  printf("skipped: %s is not there\n", path);
  return NULL;
}

/* A fresh folder for this process's files, made once; removed by test_main. */
static inline const char *test_folder(void) {
  static char folder[] = "/tmp/deepfm-test-XXXXXX";
  static int made;
  if (!made) made = mkdtemp(folder) != NULL;
  return folder;
}

/* FOLDER/name; 64 results stay valid. */
static inline const char *test_path(const char *name) {
  static char paths[64][4096];
  static int next;
  char *path = paths[next++ % 64];
  snprintf(path, 4096, "%s/%s", test_folder(), name);
  return path;
}

static inline const char *test_write(const char *name, const void *bytes, size_t n) {
  const char *path = test_path(name);
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, n, file), n);
  assert_int_equal(fclose(file), 0);
  return path;
}

/* Calls of the library that take an input, for tests whose input is one path. */
static inline dfm_status test_schema_guess(const char *path, const dfm_schema_options *options, dfm_schema **schema,
                                           dfm_error *error) {
  dfm_input *input;
  dfm_status status = dfm_input_create(&path, 1, &input, error);
  if (status != DFM_OK) return status;
  status = dfm_schema_guess(input, options, schema, error);
  dfm_input_free(input);
  return status;
}

static inline dfm_status test_dataset_read(const char *path, const dfm_model *model, const dfm_read_options *options,
                                           dfm_dataset **dataset, dfm_error *error) {
  dfm_input *input;
  dfm_status status = dfm_input_create(&path, 1, &input, error);
  if (status != DFM_OK) return status;
  status = dfm_dataset_read(input, model, options, dataset, error);
  dfm_input_free(input);
  return status;
}

/* `valid_path` may be NULL. */
static inline dfm_status test_dataset_read_train(const char *train_path, const char *valid_path,
                                                 const dfm_schema *schema, const dfm_recipe *recipe,
                                                 dfm_dataset **train, dfm_dataset **valid, dfm_error *error) {
  dfm_input *train_input = NULL, *valid_input = NULL;
  dfm_status status = dfm_input_create(&train_path, 1, &train_input, error);
  if (status == DFM_OK && valid_path) status = dfm_input_create(&valid_path, 1, &valid_input, error);
  if (status == DFM_OK)
    status = dfm_dataset_read_train(train_input, valid_input, schema, recipe, NULL, train, valid, error);
  dfm_input_free(train_input);
  dfm_input_free(valid_input);
  return status;
}

static inline int test_main(int argc, char **argv, const char *name, const struct CMUnitTest *tests, size_t n) {
  size_t selected = 0, failed;
  if (argc > 1 && strcmp(argv[1], "--list") == 0) {
    for (size_t i = 0; i < n; i++) puts(tests[i].name);
    return 0;
  }
  for (size_t i = 0; i < n; i++) selected += argc < 2 || strcmp(argv[1], tests[i].name) == 0;
  if (selected == 0) {
    fprintf(stderr, "%s: no test called '%s'; --list names them\n", name, argv[1]);
    return 2;
  }
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  failed = (size_t)_cmocka_run_group_tests(name, tests, n, NULL, NULL);
  char command[4200];
  snprintf(command, sizeof command, "rm -rf '%s'", test_folder());
  if (system(command) != 0) fprintf(stderr, "%s: cannot remove %s\n", name, test_folder());
  printf("%s: %zu passed, %zu failed\n", name, selected - failed, failed);
  return failed == 0 ? 0 : 1;
}

#endif
