/* Predictor: rows of a dataset come in; their probabilities go out, in row order, by as many threads as the pool
 * has. Nothing is written to tables. */
#ifndef DFM_LAYER_PREDICTOR_H
#define DFM_LAYER_PREDICTOR_H

#include "layer/executor.h"

typedef struct dfm_predictor dfm_predictor;

/* `weight` (n_weights) and what `source` reads must stay valid; their values are read anew at every run. */
dfm_status dfm_predictor_create(const dfm_net *net, const dfm_kernel *kernel, float *weight,
                                const dfm_row_source *source, dfm_pool *pool, dfm_predictor **predictor,
                                dfm_error *error);
/* Weights and table rows stay as they are from here on, and dense layers multiply in bfloat16 where `is_bf16`.
 * Weights are packed once, instead of at each run. May be called again, for the other precision. A row's probability
 * is the same bits whichever rows, and how many, are scored with it, here as before. */
dfm_status dfm_predictor_fix(dfm_predictor *predictor, bool is_bf16, dfm_pool *pool, dfm_error *error);
void dfm_predictor_free(dfm_predictor *predictor); /* NULL accepted */

/* Rows [first, first + n) into probability (n), as a pass (dfm_scan): rows are checked before, and given back
 * behind. `pool` has at most as many threads as that of the predictor's creation. Errors: damage, and memory for
 * longer lists than any before. */
dfm_status dfm_predictor_run(dfm_predictor *predictor, dfm_pool *pool, const dfm_dataset *dataset, int64_t first,
                             int64_t n, float *probability, dfm_error *error);
/* The rows whose numbers are in `row` (n), which must have been checked. */
dfm_status dfm_predictor_run_rows(dfm_predictor *predictor, dfm_pool *pool, const dfm_dataset *dataset,
                                  const int64_t *row, int64_t n, float *probability, dfm_error *error);

#endif
