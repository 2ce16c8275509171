/* A schema in YAML, and behind a line "---" rows that are read by it. */
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

/* Where the rows start; `n` where there are none. */
static size_t rows_at(const uint8_t *bytes, size_t n) {
  static const char mark[] = "\n---\n";
  for (size_t i = 0; i + sizeof mark - 1 <= n; i++)
    if (memcmp(bytes + i, mark, sizeof mark - 1) == 0) return i + sizeof mark - 1;
  return n;
}

static void read_rows(const char *path, const dfm_schema *schema) {
  dfm_error error;
  dfm_input *input = NULL;
  dfm_recipe *recipe = NULL;
  dfm_dataset *train = NULL, *valid = NULL;
  const dfm_read_options options = {.threads = 1};
  if (dfm_input_create(&path, 1, &input, &error) != DFM_OK) return;
  if (dfm_recipe_create(&recipe, &error) == DFM_OK)
    (void)!dfm_dataset_read_train(input, NULL, schema, recipe, &options, &train, &valid, &error);
  dfm_dataset_free(valid);
  dfm_dataset_free(train);
  dfm_recipe_free(recipe);
  dfm_input_free(input);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
  dfm_error error;
  dfm_schema *schema;
  char *yaml, schema_path[32], rows_path[32];
  const size_t rows = rows_at(bytes, n);
  const int schema_fd = fuzz_file(bytes, rows < n ? rows - 4 : n, schema_path);
  const int rows_fd = fuzz_file(bytes + rows, n - rows, rows_path);
  if (dfm_schema_load(schema_path, &schema, &error) == DFM_OK) {
    if (dfm_schema_to_yaml(schema, true, &yaml, &error) == DFM_OK) dfm_string_free(yaml);
    read_rows(rows_path, schema);
    dfm_schema_free(schema);
  }
  close(schema_fd);
  close(rows_fd);
  return 0;
}
