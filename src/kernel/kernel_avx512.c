/* The same kernels for registers of 512 bits: kernel_body.h comes in, a table for x86-64 servers goes out. */
#include "kernel/kernel_tables.h"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#define KERNEL_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"), min_vector_width(512)))
#else
#define KERNEL_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")))
#endif
#define KERNEL_VECTOR_BYTES 64
#define KERNEL_MULTIPLY_WIDE(x, y) _mm512_mul_epu32((__m512i)(x), (__m512i)(y))
#define KERNEL_MULTIPLY_ADD(x, y, z) (vec) _mm512_fmadd_ps((__m512)(x), (__m512)(y), (__m512)(z))
#include "kernel/kernel_body.h"

#define KERNEL_TABLE dfm_kernel_avx512
#define KERNEL_NAME "avx512"
#include "kernel/kernel_entries.h"

/* The same where the CPU has tiles of numbers, too (AMX): kernel.c knows what for. */
#undef KERNEL_TABLE
#undef KERNEL_NAME
#define KERNEL_TABLE dfm_kernel_amx
#define KERNEL_NAME "amx"
#include "kernel/kernel_entries.h"
#endif
