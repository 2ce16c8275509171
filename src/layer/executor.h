/* Executor: a batch of ids and numbers comes in; logits, and while training all gradients, go out.
 *
 * A program is a list of operations on blocks of rows with a barrier wherever a layer needs the whole batch. Between
 * barriers a block runs all its operations at once, forward, loss and backward, while its activations are in the
 * cache. */
#ifndef DFM_LAYER_EXECUTOR_H
#define DFM_LAYER_EXECUTOR_H

#include "base/busy.h"
#include "layer/embed.h"

typedef struct dfm_executor dfm_executor;

/* Room for batches of `capacity` rows; `weight` and `dweight` (n_weights each; dweight NULL while scoring) stay the
 * caller's. One allocation for all edges. The net and the kernel are kept by reference. */
dfm_status dfm_executor_create(const dfm_net *net, const dfm_kernel *kernel, float *weight, float *dweight,
                               int capacity, uint64_t seed, dfm_executor **executor, dfm_error *error);
/* Dense layers multiply by `dense` from here on, which stays the caller's and is for the executor's blocks: before
 * the first run of a net that has any. While training dfm_executor_begin takes the weights anew; for scoring the
 * caller has taken them, and `room` is the row of dense's room that is this executor's. */
void dfm_executor_use(dfm_executor *executor, struct dfm_dense *dense, int room);
/* Rows of tables that are summed come as these sums, which stay the caller's. */
void dfm_executor_sum_from(dfm_executor *executor, const struct dfm_sums *sums);
void dfm_executor_free(dfm_executor *executor); /* NULL accepted */

/* What comes before a step and does not depend on the batch: tasks, independent of each other, on the weights as
 * they are. */
int dfm_executor_begin_tasks(const dfm_executor *executor);
void dfm_executor_begin(const dfm_executor *executor, int task);

/* Forward, loss and backward of step `step` over the gathered rows `plans` (F) and the batch. Afterwards every
 * edge's gradient is there; gradients of parameters are made by dfm_executor_gradient. `loss`: the sum of weighted
 * log losses. */
dfm_status dfm_executor_train(dfm_executor *executor, dfm_pool *pool, const dfm_plan *plans, const dfm_batch *batch,
                              int64_t step, double *loss, dfm_error *error);

/* From now on the time of dfm_executor_train's work is counted in `busy` (threads of the pool), which stays the
 * caller's; NULL: no more. */
void dfm_executor_measure(dfm_executor *executor, dfm_busy *busy);

/* Gradient tasks of the dense parameters, after dfm_executor_train: independent of each other. */
int dfm_executor_tasks(const dfm_executor *executor);
int dfm_executor_gradient(const dfm_executor *executor, int task, dfm_span span[2]);

/* After dfm_executor_train: logits (B), and what the tables need. */
const float *dfm_executor_logits(const dfm_executor *executor);
dfm_table_gradient dfm_executor_table_gradient(const dfm_executor *executor);

/* Probabilities of the batch's rows (at most `capacity`), on the calling thread. */
void dfm_executor_score(dfm_executor *executor, const dfm_row_source *source, const dfm_batch *batch,
                        float *probability);

#endif
