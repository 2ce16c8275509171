/* Rows of text: guessed, read to train with few and with no wrong rows allowed, and a row shown. */
#include <unistd.h>

#include "fuzz.h"

static void read_rows(const char *path, const dfm_recipe *recipe, int64_t skip_bad_rows) {
  dfm_error error;
  dfm_input *input = NULL;
  dfm_schema *schema = NULL;
  dfm_dataset *train = NULL, *valid = NULL;
  char *text;
  const dfm_read_options options = {.threads = 1, .skip_bad_rows = skip_bad_rows};
  if (dfm_input_create(&path, 1, &input, &error) != DFM_OK) return;
  if (dfm_schema_guess(input, NULL, &schema, &error) == DFM_OK &&
      dfm_dataset_read_train(input, NULL, schema, recipe, &options, &train, &valid, &error) == DFM_OK &&
      dfm_dataset_row_text(train, 0, &text, &error) == DFM_OK)
    dfm_string_free(text);
  dfm_dataset_free(valid);
  dfm_dataset_free(train);
  dfm_schema_free(schema);
  dfm_input_free(input);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
  dfm_error error;
  dfm_recipe *recipe;
  char path[32];
  const int fd = fuzz_file(bytes, n, path);
  if (dfm_recipe_create(&recipe, &error) == DFM_OK) {
    read_rows(path, recipe, 0);
    read_rows(path, recipe, 3);
    dfm_recipe_free(recipe);
  }
  close(fd);
  return 0;
}
