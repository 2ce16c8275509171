/* The same kernels for registers of 256 bits: kernel_body.h comes in, a table for x86-64 since 2013 goes out. */
#include "kernel/kernel_tables.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define KERNEL_TARGET __attribute__((target("avx2,fma")))
#define KERNEL_VECTOR_BYTES 32
#define KERNEL_MULTIPLY_WIDE(x, y) _mm256_mul_epu32((__m256i)(x), (__m256i)(y))
#define KERNEL_MULTIPLY_ADD(x, y, z) (vec) _mm256_fmadd_ps((__m256)(x), (__m256)(y), (__m256)(z))
#include "kernel/kernel_body.h"

#define KERNEL_TABLE dfm_kernel_avx2
#define KERNEL_NAME "avx2"
#include "kernel/kernel_entries.h"
#endif
