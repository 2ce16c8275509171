/* The one door to oneDNN: a matrix multiply comes in, and whether it was done goes out. */
#ifndef DFM_KERNEL_GEMM_ONEDNN_H
#define DFM_KERNEL_GEMM_ONEDNN_H

#include "kernel/kernel.h"

/* false: nothing was written, because the build has no oneDNN or oneDNN refused; the caller multiplies itself. */
bool dfm_gemm_onednn(const dfm_gemm_args *args);

#endif
