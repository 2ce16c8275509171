/* The definition: kernel_body.h comes in, the table that any CPU runs goes out. */
#include "kernel/kernel_tables.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#define KERNEL_MULTIPLY_WIDE(x, y) _mm_mul_epu32((__m128i)(x), (__m128i)(y))
#endif
#define KERNEL_TARGET
#define KERNEL_VECTOR_BYTES 16
#define KERNEL_MULTIPLY_ADD(x, y, z) ((x) * (y) + (z))
#include "kernel/kernel_body.h"

#define KERNEL_TABLE dfm_kernel_generic
#define KERNEL_NAME "generic"
#include "kernel/kernel_entries.h"
