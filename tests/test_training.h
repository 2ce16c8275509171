/* Rows with something to learn, and training on them, for the tests of training: a name and settings come in; datasets,
 * results and files go out. */
#ifndef DFM_TESTS_TEST_TRAINING_H
#define DFM_TESTS_TEST_TRAINING_H

#include <math.h>

#include "base/random.h"
#include "test_run.h"

enum { ROWS = 3000 };

/* Rows of text whose label depends on a and b and their pair: a, b hot, c with a long tail, x and y numbers with
 * holes. */
static inline const char *make_rows(const char *name, int rows, int first) {
  static char kept[8][4096]; /* outlives the paths that training asks for */
  static int next;
  char *path = strcpy(kept[next++ % 8], test_path(name));
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  fputs("label,a,b,c,x,y\n", file);
  for (int i = first; i < first + rows; i++) {
    const uint64_t r = dfm_random_u64(11, (uint64_t)i);
    const int a = (int)(r % 3), b = (int)(r / 7 % 20), c = (int)(r / 1009 % 97 * (r / 100003 % 31) / 7);
    const double x = (double)(r / 31 % 1000) / 100;
    const double z = (a == 1) * 1.2 - 0.7 + (b % 4 == a) * 1.5 + (c % 5 == 0) * 0.5 - 0.05 * x;
    const int label = (double)dfm_random_uniform(13, (uint64_t)i) < 1 / (1 + exp(-z));
    fprintf(file, "%d,a%d,b%d,c%d,", label, a, b, c);
    if (i % 11) fprintf(file, "%.2f", x);
    fprintf(file, ",%d\n", (int)(r / 5 % 50) - 3);
  }
  assert_int_equal(fclose(file), 0);
  return path;
}

static inline void set_up(dfm_setup *setup, const char *path, const char *const *settings) {
  dfm_schema *schema = NULL;
  dfm_error error;
  *setup = (dfm_setup){0};
  assert_ok(test_schema_guess(path, NULL, &schema, &error));
  assert_ok(dfm_recipe_create(&setup->recipe, &error));
  set_all(setup->recipe, settings);
  assert_ok(test_dataset_read_train(path, NULL, schema, setup->recipe, &setup->train, &setup->valid, &error));
  dfm_schema_free(schema);
}

/* A batch that is ragged at the end, hot ids, and every option that sums over rows. */
static const char *const FULL[] = {"model=deepfm",           "embedding.width=5",
                                   "dnn.hidden=40,17",       "dnn.dropout=0.3",
                                   "dnn.batch_norm=true",    "train.batch_size=512",
                                   "train.epochs=3",         "validation.random=0.2",
                                   "data.unknown_rate=0.05", NULL};

#endif
