/* The same kernels for registers of 256 bits: kernel_body.h comes in, a table for x86-64 since 2013 goes out. */
#include "kernel/kernel_tables.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define KERNEL_TARGET __attribute__((target("avx2")))
#define KERNEL_VECTOR_BYTES 32
#define KERNEL_MULTIPLY_WIDE(x, y) _mm256_mul_epu32((__m256i)(x), (__m256i)(y))
#define KERNEL_TABLE dfm_kernel_avx2
#define KERNEL_NAME "avx2"
#define KERNEL_HAS_ONEDNN true
#include "kernel/kernel_body.h"
#endif
