/* oneDNN's matrix multiply, for the bench to measure ours against: matrices come in, their product goes out.
 *
 * C (M, N) = A (M, K) B (K, N) in float32, row-major without gaps, B copied into the form that suits oneDNN: its
 * fastest. */
#ifndef DFM_KERNEL_ONEDNN_H
#define DFM_KERNEL_ONEDNN_H

#include <stdbool.h>

#include "base/error.h"

/* A multiply of one shape: one thread at a time runs it, on as many as that one's OpenMP setting says, as when it is
 * created. */
typedef struct dfm_onednn dfm_onednn;

/* Whether the build has oneDNN. */
bool dfm_onednn_runs(void);

/* trans_b: B is stored (N, K). B is taken as it is now. */
dfm_status dfm_onednn_create(int M, int N, int K, bool trans_b, const float *B, dfm_onednn **onednn, dfm_error *error);
void dfm_onednn_free(dfm_onednn *onednn); /* NULL accepted */

dfm_status dfm_onednn_run(const dfm_onednn *onednn, const float *A, float *C, dfm_error *error);

#endif
