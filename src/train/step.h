/* Step: rows of a dataset come in; weights, tables and optimizer state moved by one optimizer step stay.
 *
 * Phases, each parallel, with a barrier between: fill (rows -> batch), plan and gather (ids -> unique rows -> their
 * weights, by groups of tables), net (blocks of rows: forward, loss, backward), update (dense weights by output block,
 * table rows by groups of tables). With gradient-norm clipping update is gradients, norm, step. Every sum has one owner
 * and a fixed order, so the number of threads changes no bit. */
#ifndef DFM_TRAIN_STEP_H
#define DFM_TRAIN_STEP_H

#include "layer/dense_multiply.h"
#include "layer/predictor.h"
#include "model/net_build.h"
#include "table/sum.h"

/* Where a table's gradients are summed up, and what they are made from is packed. */
typedef struct dfm_gradient_room {
  dfm_update_room at;
  size_t floats, columns_floats;
} dfm_gradient_room;

typedef struct dfm_stepper {
  const dfm_recipe *recipe;
  dfm_encoder *encoder; /* retained */
  const dfm_kernel *kernel;
  dfm_pool *pool;
  dfm_net *net;
  dfm_optimizer *optimizer;
  dfm_tables *tables;
  float *weight, *dweight, *state[2]; /* (n_weights) each */
  dfm_executor *executor;
  dfm_dense *dense;        /* what the executor multiplies by */
  dfm_batch *batch, *next; /* the rows at hand, and those that are filled while they are stepped */
  bool is_filled, is_next_filled;
  dfm_plan *plans;               /* (F) */
  dfm_sums *sums;                /* NULL: no table is summed */
  dfm_gradient_room *gradients;  /* by thread, or by group of tables where those are fewer */
  void (*beside)(void *context); /* work on a step's logits, done while its rows are stepped; NULL: none */
  void *beside_context;
  double *squares; /* of gradients, by task; clipping only */
  float clip_scale;
  double loss;    /* of the last step: sum of weighted log losses, before the step */
  dfm_busy *busy; /* (threads) what dfm_stepper_measure set; else NULL */
} dfm_stepper;

/* The optimizer that a recipe names. */
dfm_optimizer_settings dfm_stepper_optimizer(const dfm_recipe *recipe);

/* Everything at its start, tables from the files that the schema names (`initial`). `batch_size` rows per step at most;
 * `threads` 0: one per core. */
dfm_status dfm_stepper_create(const dfm_recipe *recipe, const dfm_dataset *dataset, int batch_size, int threads,
                              dfm_stepper **stepper, dfm_error *error);
void dfm_stepper_free(dfm_stepper *stepper); /* NULL accepted */

/* The net's multiplies in one precision, for dfm_executor_use; the caller's to free. */
dfm_status dfm_stepper_dense(const dfm_stepper *stepper, int batch_size, bool is_bf16, dfm_dense **dense,
                             dfm_error *error);

/* One step over the rows whose numbers are in stepper->batch->row [0, rows). Logits of the rows, before the step, are
 * then at dfm_executor_logits(stepper->executor), their labels and weights in stepper->batch. */
dfm_status dfm_stepper_run(dfm_stepper *stepper, const dfm_dataset *dataset, int rows, double learning_rate,
                           dfm_error *error);

/* Before a step the row numbers of the batch that follows may be put into stepper->next->row, and how many there are
 * into stepper->next->rows (0: not known). They are filled beside the step, after which dfm_stepper_advance makes
 * them the batch at hand, filled, so that its row numbers stay as they are, and returns how many they are. */
int dfm_stepper_advance(dfm_stepper *stepper);

/* Of that the second phase, over the batch as it is: the optimizer's step has begun, and there is room in the plans. */
void dfm_stepper_gather(dfm_stepper *stepper);

/* From now on the time of each kind of work is counted in `busy` (threads of the pool), which stays the caller's;
 * NULL: no more. */
void dfm_stepper_measure(dfm_stepper *stepper, dfm_busy *busy);

/* Current rows of the tables, for evaluation and saving. */
dfm_row_source dfm_stepper_rows(const dfm_stepper *stepper);

/* Initial weights by tensor name from a safetensors file. Tensors that the file lacks keep their start; that it has
 * none of the model's is an error. */
dfm_status dfm_stepper_init_from(dfm_stepper *stepper, const char *path, dfm_error *error);

#endif
