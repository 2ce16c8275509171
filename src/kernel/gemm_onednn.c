/* oneDNN's sgemm: matrices as the kernels describe them come in, C goes out. Its C API is the same in versions 2 and
 * 3. */
#include "kernel/gemm_onednn.h"

#if defined(DFM_HAVE_ONEDNN)
#include <dnnl.h>

bool dfm_gemm_onednn(const dfm_gemm_args *args) {
  return dnnl_sgemm(args->trans_a ? 'T' : 'N', args->trans_b ? 'T' : 'N', args->M, args->N, args->K, 1.0f, args->A,
                    args->lda, args->B, args->ldb, args->beta, args->C, args->ldc) == dnnl_success;
}
#else
bool dfm_gemm_onednn(const dfm_gemm_args *args) {
  (void)args;
  return false;
}
#endif
