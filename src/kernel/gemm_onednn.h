/* The one door to oneDNN: matrix multiplies come in, and whether they were done goes out.
 *
 * dfm_gemm_onednn is its sgemm. The rest are multiplies of one shape each, prepared once; there is no state but in these
 * objects. oneDNN runs on as many threads as the caller's OpenMP setting says, here
 * as when preparing, so what packs or runs is a pool's task, where that is one. */
#ifndef DFM_KERNEL_GEMM_ONEDNN_H
#define DFM_KERNEL_GEMM_ONEDNN_H

#include "base/pool.h"
#include "kernel/kernel.h"

/* false: nothing was written, because the build has no oneDNN or oneDNN refused; the caller multiplies itself. */
bool dfm_gemm_onednn(const dfm_gemm_args *args);

/* Whether the build has oneDNN. */
bool dfm_onednn_runs(void);

/* What multiplies need beside their operands (stream, scratch space), for each thread that runs any at a time. `kernel`, kept
 * by reference, adds to a C that has gaps. */
typedef struct dfm_onednn dfm_onednn;
dfm_status dfm_onednn_create(int n_threads, const dfm_kernel *kernel, dfm_onednn **onednn, dfm_error *error);
void dfm_onednn_free(dfm_onednn *onednn); /* after its multiplies; NULL accepted */

/* C (M, N) = A (M, K) B (K, N) + beta C, row-major, beta 0 or 1. trans_b: B is stored (N, K). ld*: elements between the
 * starts of stored rows. oneDNN is fastest where these lie without gaps (lda = K, ldc = N; ldb = N unless packed): an A or
 * C that has any goes through scratch space without. */
typedef struct dfm_onednn_shape {
  bool trans_b;
  bool packs_b; /* B is used more than once, and copied into the form that suits oneDNN: dfm_onednn_pack */
  int M, N, K, lda, ldb, ldc;
  float beta;
} dfm_onednn_shape;

/* NULL goes out where oneDNN has no such multiply, which build and CPU decide: the caller multiplies itself then. Prepares in a
 * task of `pool`, which is idle. One thread at a time prepares multiplies of one `onednn`, and none runs meanwhile. */
typedef struct dfm_onednn_multiply dfm_onednn_multiply;
dfm_status dfm_onednn_multiply_create(dfm_onednn *onednn, dfm_pool *pool, const dfm_onednn_shape *shape,
                                      dfm_onednn_multiply **multiply, dfm_error *error);
void dfm_onednn_multiply_free(dfm_onednn_multiply *multiply); /* NULL accepted */

/* pack: B as it is now is the one of the runs to come; none runs meanwhile. run: from any thread; B is not looked at where the
 * shape packs it. A failure is kept for dfm_onednn_check, and C is undefined. */
void dfm_onednn_pack(dfm_onednn_multiply *multiply, const float *B);
void dfm_onednn_run(const dfm_onednn_multiply *multiply, const float *A, const float *B, float *C);
/* Whether all that was packed and run since it was last asked was done. While none runs. */
dfm_status dfm_onednn_check(dfm_onednn *onednn, dfm_error *error);

#endif
