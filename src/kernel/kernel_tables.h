/* The tables as kernel_*.c define them: nothing comes in; what goes out is for kernel.c to choose from. */
#ifndef DFM_KERNEL_KERNEL_TABLES_H
#define DFM_KERNEL_KERNEL_TABLES_H

#include "kernel/kernel.h"

extern const dfm_kernel dfm_kernel_generic;
#if defined(__x86_64__)
extern const dfm_kernel dfm_kernel_avx2;
extern const dfm_kernel dfm_kernel_avx512, dfm_kernel_amx;

extern const dfm_tiles dfm_tiles_avx512, dfm_tiles_amx, dfm_tiles_amx_float32;
bool dfm_tiles_runs_avx512(void), dfm_tiles_runs_amx(void);
#endif

#endif
