/* A recipe in YAML. */
#include <unistd.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
  dfm_error error;
  dfm_recipe *recipe;
  char *yaml, path[32];
  const int fd = fuzz_file(bytes, n, path);
  if (dfm_recipe_create(&recipe, &error) == DFM_OK) {
    if (dfm_recipe_load(recipe, path, &error) == DFM_OK && dfm_recipe_check(recipe, &error) == DFM_OK &&
        dfm_recipe_to_yaml(recipe, &yaml, &error) == DFM_OK)
      dfm_string_free(yaml);
    dfm_recipe_free(recipe);
  }
  close(fd);
  return 0;
}
