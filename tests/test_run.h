/* Runs of training, for the tests of it: a recipe and datasets come in; results and files go out. */
#ifndef DFM_TESTS_TEST_RUN_H
#define DFM_TESTS_TEST_RUN_H

#include "test.h"

typedef struct dfm_setup {
  dfm_recipe *recipe;
  dfm_dataset *train, *valid;
} dfm_setup;

static inline void set_all(dfm_recipe *recipe, const char *const *settings) {
  dfm_error error;
  for (int i = 0; settings[i]; i++) {
    char name[64];
    const char *equals = strchr(settings[i], '=');
    snprintf(name, sizeof name, "%.*s", (int)(equals - settings[i]), settings[i]);
    assert_ok(dfm_recipe_set(recipe, name, equals + 1, &error));
  }
}

static inline void tear_down(dfm_setup *setup) {
  dfm_dataset_free(setup->train);
  dfm_dataset_free(setup->valid);
  dfm_recipe_free(setup->recipe);
}

static inline dfm_run_result train(const dfm_setup *setup, const dfm_run_options *options) {
  dfm_trainer *trainer = NULL;
  dfm_run_result result;
  dfm_error error;
  assert_ok(dfm_trainer_create(setup->recipe, setup->train, setup->valid, &trainer, &error));
  assert_ok(dfm_trainer_run(trainer, options, &result, &error));
  dfm_trainer_free(trainer);
  return result;
}

static inline bool same_bytes(const char *a, const char *b) {
  FILE *files[2] = {fopen(a, "rb"), fopen(b, "rb")};
  bool same = files[0] && files[1];
  while (same) {
    const int x = fgetc(files[0]), y = fgetc(files[1]);
    same = x == y;
    if (x == EOF) break;
  }
  for (int i = 0; i < 2; i++)
    if (files[i]) fclose(files[i]);
  return same;
}

#endif
