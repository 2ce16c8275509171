/* Model and dataset files: opened, verified, looked at. */
#include <unistd.h>

#include "fuzz.h"

static void open_dataset(const char *path) {
  dfm_error error;
  dfm_dataset *train = NULL, *valid = NULL;
  char *text;
  (void)!dfm_dataset_verify(path, &error);
  if (dfm_dataset_load(path, &train, &valid, &error) != DFM_OK) return;
  if (dfm_dataset_row_text(train, dfm_dataset_rows(train) - 1, &text, &error) == DFM_OK) dfm_string_free(text);
  dfm_dataset_free(valid);
  dfm_dataset_free(train);
}

static void open_model(const char *path) {
  dfm_error error;
  dfm_model *model;
  char *text;
  const char *bytes;
  size_t length;
  int64_t count;
  if (dfm_model_load(path, &model, &error) != DFM_OK) return;
  if (dfm_model_summary(model, &text, &error) == DFM_OK) dfm_string_free(text);
  for (size_t i = 0; i < dfm_model_fields(model); i++) (void)dfm_model_value(model, i, 0, &bytes, &length, &count);
  dfm_model_free(model);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
  char path[32];
  const int fd = fuzz_file(bytes, n, path);
  open_dataset(path);
  open_model(path);
  close(fd);
  return 0;
}
