/* Predictor: rows of a dataset come in; their probabilities go out, in row order, by as many threads as the pool has. Nothing is written to tables. */
#ifndef DFM_LAYER_PREDICTOR_H
#define DFM_LAYER_PREDICTOR_H

#include "layer/executor.h"

typedef struct dfm_predictor dfm_predictor;

/* `weight` (n_weights) and what `source` reads must stay valid; their values are read anew at every run. */
dfm_status dfm_predictor_create(const dfm_net *net, const dfm_kernel *kernel, float *weight,
                                const dfm_row_source *source, int threads, dfm_predictor **predictor, dfm_error *error);
void dfm_predictor_free(dfm_predictor *predictor); /* NULL accepted */

/* Rows [first, first + n) into probability (n). `pool` has at most the predictor's threads. */
void dfm_predictor_run(dfm_predictor *predictor, dfm_pool *pool, const dfm_dataset *dataset, int64_t first, int64_t n,
                       float *probability);
/* The same for the rows whose numbers are row[0 .. n). */
void dfm_predictor_run_rows(dfm_predictor *predictor, dfm_pool *pool, const dfm_dataset *dataset, const int64_t *row,
                            int64_t n, float *probability);

#endif
