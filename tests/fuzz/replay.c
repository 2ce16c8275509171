/* Folders of saved inputs come in; the target has run over each of them when the program ends. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

static uint8_t *read_file(const char *path, size_t *n) {
  FILE *file = fopen(path, "rb");
  if (!file) return NULL;
  fseek(file, 0, SEEK_END);
  const long size = ftell(file);
  rewind(file);
  uint8_t *bytes = malloc((size_t)size + 1);
  *n = bytes ? fread(bytes, 1, (size_t)size, file) : 0;
  fclose(file);
  return bytes;
}

/* How many files of the folder ran; -1: it cannot be read. */
static int replay(const char *folder) {
  char path[4096];
  int n_files = 0;
  DIR *entries = opendir(folder);
  if (!entries) return -1;
  for (const struct dirent *entry; (entry = readdir(entries));) {
    size_t n;
    if (entry->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    uint8_t *bytes = read_file(path, &n);
    if (!bytes) continue;
    (void)LLVMFuzzerTestOneInput(bytes, n);
    free(bytes);
    n_files++;
  }
  closedir(entries);
  return n_files;
}

int main(int argc, char **argv) {
  const char *name = strrchr(argv[0], '/');
  int passed = 0, failed = 0;
  for (int i = 1; i < argc; i++) {
    const int n = replay(argv[i]);
    passed += n > 0 ? n : 0;
    failed += n <= 0;
  }
  (void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
  printf("%s: %d passed, %d failed\n", name ? name + 1 : argv[0], passed + 1, failed);
  return failed > 0;
}
