/* What fuzz targets share. A target is one function: any bytes come in; whatever they are, the library returns.
 *
 * `make fuzz` links them to libFuzzer; in the ordinary suite replay.c runs them over tests/fuzz/corpus/. */
#ifndef DFM_TESTS_FUZZ_H
#define DFM_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "deepfm.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

/* A file without a name that holds the bytes; its path goes to `path` (32 bytes). Returns the descriptor, to close. */
int fuzz_file(const uint8_t *bytes, size_t n, char *path);

#endif
