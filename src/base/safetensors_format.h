/* What the reader and the writer of safetensors share (safetensors.h draws the format). */
#ifndef DFM_BASE_SAFETENSORS_FORMAT_H
#define DFM_BASE_SAFETENSORS_FORMAT_H

#include "base/safetensors.h"

#define DFM_CHECKSUM_NAME "checksum"
#define DFM_METADATA_NAME "__metadata__"
/* Longer headers are neither written nor read; 100 MB hold about a million tensors. */
enum { DFM_MAX_HEADER = 100 * 1000 * 1000 };
/* Data is checked in blocks of this many bytes: a chunk of rows that is read alone is checked with little beside
 * itself, and checksums are 0.2 % of the file. */
enum { DFM_CHECKSUM_BLOCK = 4 << 10, DFM_CHECKSUM_BYTES = 8, DFM_DATA_ALIGNMENT = 64 };

/* "F32" for DFM_F32. */
const char *dfm_dtype_name(dfm_dtype dtype);

/* Checksums of a file with `data_bytes` of data before them: the header's and one per block. */
static inline uint64_t dfm_checksum_count(uint64_t data_bytes) {
  return 1 + data_bytes / DFM_CHECKSUM_BLOCK + (data_bytes % DFM_CHECKSUM_BLOCK != 0);
}

#endif
