/* Step: a batch's row numbers come in; the four phases run; weights and tables are one step further. */
#include "train/step.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "model/model.h"
#include "table/partners.h"
#include "train/precision.h"

/* Rows per fill task, tasks that the tables of a net are shared out to, and those that one table's idle rows are:
 * enough work to pay for handing it out, few enough to share. Fixed numbers, whatever the threads. */
enum { DFM_FILL_ROWS = 64, DFM_TABLE_GROUPS = 16, DFM_SWEEP_PARTS = 4 };

dfm_optimizer_settings dfm_stepper_optimizer(const dfm_recipe *recipe) {
  static const dfm_optimizer_name names[] = {[DFM_SOLVER_SGD] = DFM_SGD,
                                             [DFM_SOLVER_ADAGRAD] = DFM_ADAGRAD,
                                             [DFM_SOLVER_ADAM] = DFM_ADAM,
                                             [DFM_SOLVER_LBFGS] = DFM_SGD};
  return (dfm_optimizer_settings){.name = names[recipe->optimizer.name],
                                  .beta1 = recipe->optimizer.beta1,
                                  .beta2 = recipe->optimizer.beta2,
                                  .epsilon = recipe->optimizer.epsilon,
                                  .epsilon_keras = recipe->optimizer.epsilon_keras,
                                  .lazy = recipe->optimizer.lazy,
                                  .adagrad_initial = recipe->optimizer.adagrad_initial};
}

static dfm_status create_tables(dfm_stepper *stepper, dfm_error *error) {
  const dfm_recipe *recipe = stepper->recipe;
  const size_t F = (size_t)stepper->net->F;
  int *shape = NULL;
  DFM_TRY(dfm_alloc(&shape, 2 * F, sizeof *shape + sizeof(bool), error));
  bool *is_summed = (bool *)(shape + 2 * F);
  for (size_t f = 0; f < F; f++) {
    shape[f] = stepper->net->table[f].first;
    shape[F + f] = stepper->net->table[f].width;
    is_summed[f] = stepper->net->table[f].is_summed;
  }
  const dfm_status status = dfm_tables_create(
      &(dfm_tables_settings){
          .encoder = stepper->encoder,
          .optimizer = stepper->optimizer,
          .kernel = stepper->kernel,
          .first = shape,
          .width = shape + F,
          .is_summed = is_summed,
          .reads_pieces = stepper->net->is_field_aware,
          .l2_first = (float)recipe->l2.linear,
          .l2_factors = (float)recipe->l2.embedding,
          .lazy = recipe->optimizer.lazy,
          .init = {.is_uniform = recipe->embedding.init == DFM_INIT_UNIFORM,
                   .first = recipe->linear.init == DFM_INIT_ZEROS ? 0 : (float)recipe->linear.init_scale,
                   .factors = recipe->embedding.init == DFM_INIT_ZEROS ? 0 : (float)recipe->embedding.init_scale,
                   .seed = recipe->train.seed}},
      &stepper->tables, error);
  free(shape);
  return status;
}

static dfm_status preset_tables(const dfm_stepper *stepper, dfm_error *error) {
  const dfm_encoder *encoder = stepper->encoder;
  for (int f = 0; f < encoder->F; f++) {
    const char *path = encoder->schema->columns[encoder->category[f].column].initial;
    int64_t found;
    if (path && stepper->net->table[f].width > 0) DFM_TRY(dfm_table_preset(stepper->tables, f, path, &found, error));
  }
  return DFM_OK;
}

/* Weights, gradients and states lie in one piece, which large pages hold. */
static size_t weight_arrays(const dfm_stepper *stepper) {
  return 2 + (size_t)dfm_optimizer_states(stepper->optimizer);
}

static dfm_status create_weights(dfm_stepper *stepper, dfm_error *error) {
  const size_t n = stepper->net->n_weights;
  DFM_TRY(dfm_slab_alloc(&stepper->weight, weight_arrays(stepper) * n, sizeof(float), error));
  stepper->dweight = stepper->weight + n;
  for (int i = 0; i < dfm_optimizer_states(stepper->optimizer); i++)
    stepper->state[i] = stepper->dweight + (size_t)(1 + i) * n;
  dfm_net_initialise(stepper->net, stepper->recipe->train.seed, stepper->weight);
  return DFM_OK;
}

dfm_status dfm_stepper_dense(const dfm_stepper *stepper, int batch_size, bool is_bf16, dfm_dense **dense,
                             dfm_error *error) {
  const dfm_tiles *tiles = dfm_kernel_tiles(stepper->kernel, is_bf16);
  const dfm_dense_settings settings = {.net = stepper->net,
                                       .kernel = stepper->kernel,
                                       .block = dfm_dense_block(batch_size, tiles ? tiles->parts : 0),
                                       .capacity = batch_size,
                                       .threads = dfm_pool_threads(stepper->pool),
                                       .tiles = tiles};
  return dfm_dense_create(&settings, dense, error);
}

/* Tables [group_start(i), group_start(i + 1)) are task i's, one after the other. */
static int n_groups(const dfm_stepper *stepper) {
  return stepper->net->F < DFM_TABLE_GROUPS ? stepper->net->F : DFM_TABLE_GROUPS;
}

static int group_start(const dfm_stepper *stepper, int group) {
  return (int)((int64_t)stepper->net->F * group / n_groups(stepper));
}

/* Room for gradients belongs to threads, so that it stays in their caches, or to groups where those are fewer. */
static bool has_room_by_group(const dfm_stepper *stepper) {
  return stepper->recipe->optimizer.clip_norm <= 0 && n_groups(stepper) < dfm_pool_threads(stepper->pool);
}

static int n_rooms(const dfm_stepper *stepper) {
  return has_room_by_group(stepper) ? n_groups(stepper) : dfm_pool_threads(stepper->pool);
}

static dfm_status create(dfm_stepper *stepper, int batch_size, int threads, dfm_error *error) {
  const dfm_recipe *recipe = stepper->recipe;
  const bool clips = recipe->optimizer.clip_norm > 0;
  const dfm_optimizer_settings settings = dfm_stepper_optimizer(recipe);
  DFM_TRY(dfm_kernel_pick(&stepper->kernel, error));
  DFM_TRY(dfm_pool_create(threads, &stepper->pool, error));
  DFM_TRY(dfm_net_build(recipe, stepper->encoder, &stepper->net, error));
  DFM_TRY(dfm_optimizer_create(&settings, stepper->kernel, &stepper->optimizer, error));
  DFM_TRY(create_tables(stepper, error));
  DFM_TRY(preset_tables(stepper, error));
  DFM_TRY(create_weights(stepper, error));
  DFM_TRY(dfm_executor_create(stepper->net, stepper->kernel, stepper->weight, stepper->dweight, batch_size,
                              recipe->train.seed, &stepper->executor, error));
  DFM_TRY(dfm_stepper_dense(stepper, batch_size,
                            dfm_precision_choose(recipe, stepper->net, stepper->kernel) == DFM_PRECISION_BF16,
                            &stepper->dense, error));
  dfm_executor_use(stepper->executor, stepper->dense, 0);
  DFM_TRY(dfm_batch_create(stepper->net->F, stepper->net->D, batch_size, &stepper->batch, error));
  DFM_TRY(dfm_batch_create(stepper->net->F, stepper->net->D, batch_size, &stepper->next, error));
  DFM_TRY(dfm_plans_create(stepper->tables, batch_size, clips, &stepper->plans, error));
  if (stepper->net->has_sums) {
    const int K = stepper->net->n_summed > 0 ? stepper->net->fm_width : 0;
    DFM_TRY(dfm_sums_create(stepper->tables, n_groups(stepper), batch_size, K, &stepper->sums, error));
    dfm_executor_sum_from(stepper->executor, stepper->sums);
  }
  DFM_TRY(dfm_alloc(&stepper->gradients, (size_t)n_rooms(stepper), sizeof *stepper->gradients, error));
  const int tasks = dfm_executor_tasks(stepper->executor) + stepper->net->F * (1 + DFM_SWEEP_PARTS);
  return dfm_alloc(&stepper->squares, (size_t)tasks, sizeof(double), error);
}

dfm_status dfm_stepper_create(const dfm_recipe *recipe, const dfm_dataset *dataset, int batch_size, int threads,
                              dfm_stepper **out, dfm_error *error) {
  dfm_stepper *stepper = NULL;
  DFM_TRY(dfm_alloc(&stepper, 1, sizeof *stepper, error));
  stepper->recipe = recipe;
  stepper->encoder = dfm_encoder_retain((dfm_encoder *)dfm_dataset_encoder(dataset));
  const dfm_status status = create(stepper, batch_size, threads, error);
  if (status != DFM_OK) {
    dfm_stepper_free(stepper);
    return status;
  }
  *out = stepper;
  return DFM_OK;
}

static void free_gradients(dfm_stepper *stepper) {
  for (int i = 0; stepper->gradients && i < n_rooms(stepper); i++) {
    free(stepper->gradients[i].at.g);
    free(stepper->gradients[i].at.columns);
  }
  free(stepper->gradients);
}

void dfm_stepper_free(dfm_stepper *stepper) {
  if (!stepper) return;
  if (stepper->net) dfm_plans_free(stepper->plans, stepper->net->F);
  free_gradients(stepper);
  dfm_sums_free(stepper->sums);
  free(stepper->squares);
  dfm_batch_free(stepper->batch);
  dfm_batch_free(stepper->next);
  dfm_executor_free(stepper->executor);
  dfm_dense_free(stepper->dense);
  if (stepper->weight) dfm_slab_free(stepper->weight, weight_arrays(stepper) * stepper->net->n_weights, sizeof(float));
  dfm_tables_free(stepper->tables);
  dfm_optimizer_free(stepper->optimizer);
  dfm_net_free(stepper->net);
  dfm_pool_free(stepper->pool);
  dfm_encoder_release(stepper->encoder);
  free(stepper);
}

/* ---- the phases */

typedef struct dfm_step {
  dfm_stepper *stepper;
  const dfm_dataset *dataset;
} dfm_step;

static int fill_tasks(const dfm_batch *batch) {
  return (batch->rows + DFM_FILL_ROWS - 1) / DFM_FILL_ROWS;
}

static void fill(const dfm_step *step, dfm_batch *batch, int task, int thread) {
  const int first = task * DFM_FILL_ROWS, left = batch->rows - first;
  const double start = dfm_busy_start(step->stepper->busy);
  dfm_dataset_fill(step->dataset, batch, first, left < DFM_FILL_ROWS ? left : DFM_FILL_ROWS);
  dfm_busy_count(step->stepper->busy, thread, DFM_WORK_FILL, start);
}

static void fill_task(void *context, int task, int thread) {
  const dfm_step *step = context;
  fill(step, step->stepper->batch, task, thread);
}

static dfm_status fill_batch(dfm_step *step, dfm_error *error) {
  dfm_stepper *stepper = step->stepper;
  if (stepper->is_filled) return DFM_OK;
  DFM_TRY(dfm_dataset_lay_out(step->dataset, stepper->batch, error));
  dfm_pool_run(stepper->pool, fill_tasks(stepper->batch), fill_task, step);
  return DFM_OK;
}

/* Feeds the unknown row with a share of the cells or items, by (seed, field, step, place), so that it learns what an
 * unseen value is like. */
static void make_unknown(const dfm_stepper *stepper, int f) {
  const double rate = stepper->encoder->category[f].settings.unknown_rate;
  if (rate <= 0 || dfm_encoder_first(stepper->encoder, f) == 0) return;
  const dfm_batch *batch = stepper->batch;
  const dfm_batch_list *list = &batch->list[f];
  uint32_t *id = list->offsets ? list->id : batch->id + (size_t)f * (size_t)batch->capacity;
  const uint32_t n = list->offsets ? list->offsets[batch->rows] : (uint32_t)batch->rows;
  const uint64_t key = dfm_random_u64(dfm_random_key(stepper->recipe->train.seed, DFM_STREAM_UNKNOWN), (uint64_t)f);
  const uint64_t step = (uint64_t)dfm_optimizer_step_count(stepper->optimizer);
  for (uint32_t p = 0; p < n; p++) {
    if ((double)dfm_random_uniform(key, step << 32 | p) < rate) id[p] = 0;
  }
}

/* Plans and gathers, or sums, the tables of a group. */
static void gather_group(const dfm_stepper *stepper, int group) {
  const int from = group_start(stepper, group), to = group_start(stepper, group + 1);
  for (int t = from; t < to; t++)
    for (int m = 0; m < stepper->tables->table[t].n_members; m++)
      make_unknown(stepper, stepper->tables->table[t].member[m]);
  if (stepper->sums)
    dfm_tables_sum(stepper->tables, group, from, to, stepper->plans, stepper->batch, stepper->sums);
  else
    dfm_tables_gather(stepper->tables, from, to, stepper->plans, stepper->batch);
}

/* Tasks are the groups of tables, then what the net begins with. */
static void gather_task(void *context, int task, int thread) {
  const dfm_stepper *stepper = context;
  const int groups = n_groups(stepper);
  const double start = dfm_busy_start(stepper->busy);
  if (task < groups)
    gather_group(stepper, task);
  else
    dfm_executor_begin(stepper->executor, task - groups);
  dfm_busy_count(stepper->busy, thread, task < groups ? DFM_WORK_GATHER : DFM_WORK_DENSE, start);
}

void dfm_stepper_gather(dfm_stepper *stepper) {
  dfm_pool_run(stepper->pool, n_groups(stepper) + dfm_executor_begin_tasks(stepper->executor), gather_task, stepper);
}

static float penalty(const dfm_recipe *recipe, dfm_part part) {
  const double l2[DFM_PARTS] = {[DFM_PART_LINEAR] = recipe->l2.linear,
                                [DFM_PART_EMBEDDING] = recipe->l2.embedding,
                                [DFM_PART_DNN] = recipe->l2.dnn};
  return (float)l2[part];
}

/* The gradient of a dense task with its penalty: fills `span`, returns how many. */
static int dense_gradient(const dfm_stepper *stepper, int task, dfm_span span[2]) {
  const int n = dfm_executor_gradient(stepper->executor, task, span);
  for (int i = 0; i < n; i++) {
    const float l2 = penalty(stepper->recipe, span[i].part);
    if (l2 > 0)
      stepper->kernel->axpy(stepper->dweight + span[i].offset, l2, stepper->weight + span[i].offset, span[i].n);
  }
  return n;
}

static void dense_step(const dfm_stepper *stepper, const dfm_span *span) {
  const size_t at = span->offset;
  dfm_optimizer_step(stepper->optimizer, stepper->weight + at, stepper->state[0] ? stepper->state[0] + at : NULL,
                     stepper->state[1] ? stepper->state[1] + at : NULL, stepper->dweight + at, span->n);
}

/* Rows that no place wants, where all move: part `task % DFM_SWEEP_PARTS` of a table. */
static void sweep_task(void *context, int task, int thread) {
  const dfm_stepper *stepper = ((const dfm_step *)context)->stepper;
  const double start = dfm_busy_start(stepper->busy);
  dfm_table_sweep(stepper->tables, task / DFM_SWEEP_PARTS, stepper->clip_scale, task % DFM_SWEEP_PARTS,
                  DFM_SWEEP_PARTS);
  dfm_busy_count(stepper->busy, thread, DFM_WORK_ROWS, start);
}

static void dense_task(const dfm_stepper *stepper, int task, int thread) {
  const double start = dfm_busy_start(stepper->busy);
  dfm_span span[2];
  const int n = dense_gradient(stepper, task, span);
  for (int i = 0; i < n; i++) dense_step(stepper, &span[i]);
  dfm_busy_count(stepper->busy, thread, DFM_WORK_DENSE, start);
}

static void group_task(const dfm_stepper *stepper, int group, int thread) {
  const double start = dfm_busy_start(stepper->busy);
  const dfm_table_gradient gradient = dfm_executor_table_gradient(stepper->executor);
  const dfm_update_room room = stepper->gradients[has_room_by_group(stepper) ? group : thread].at;
  dfm_tables_update(stepper->tables, group_start(stepper, group), group_start(stepper, group + 1), stepper->plans,
                    &gradient, room);
  dfm_busy_count(stepper->busy, thread, DFM_WORK_ROWS, start);
}

/* First what goes on beside, then the net's tasks, the next batch's, the groups of tables. One thread takes these
 * from the last one gathered on, whose rows are still in its cache; several meet theirs again in the order of tasks. */
static void update_task(void *context, int task, int thread) {
  const dfm_step *step = context;
  const dfm_stepper *stepper = step->stepper;
  const bool is_single = dfm_pool_threads(stepper->pool) == 1;
  const int dense = dfm_executor_tasks(stepper->executor), next = fill_tasks(stepper->next), groups = n_groups(stepper);
  if (stepper->beside && task-- == 0)
    stepper->beside(stepper->beside_context);
  else if (task < dense)
    dense_task(stepper, task, thread);
  else if (task < dense + next)
    fill(step, stepper->next, task - dense, thread);
  else
    group_task(stepper, is_single ? groups - 1 - (task - dense - next) : task - dense - next, thread);
}

/* ---- the same with the gradient's norm clipped: gradients, norm, step */

/* Tasks are the net's, then the tables, then the parts of their idle rows; each leaves its squares. */
static void accumulate_task(void *context, int task, int thread) {
  const dfm_stepper *stepper = ((const dfm_step *)context)->stepper;
  const int F = stepper->net->F, t = task - dfm_executor_tasks(stepper->executor), idle = t - F;
  double *squares = &stepper->squares[task];
  if (t < 0) {
    dfm_span span[2];
    const int n = dense_gradient(stepper, task, span);
    *squares = 0;
    for (int i = 0; i < n; i++) *squares += stepper->kernel->sum_squares(stepper->dweight + span[i].offset, span[i].n);
  } else if (idle < 0) {
    const dfm_table_gradient gradient = dfm_executor_table_gradient(stepper->executor);
    *squares =
        dfm_table_accumulate(stepper->tables, t, stepper->plans, &gradient, stepper->gradients[thread].at.columns);
  } else {
    *squares = dfm_table_idle_squares(stepper->tables, idle / DFM_SWEEP_PARTS, idle % DFM_SWEEP_PARTS, DFM_SWEEP_PARTS);
  }
}

/* Tasks are what runs beside, the filling of the next batch, then the tables. */
static void apply_task(void *context, int task, int thread) {
  const dfm_step *step = context;
  const dfm_stepper *stepper = step->stepper;
  const int next = fill_tasks(stepper->next);
  if (stepper->beside && task-- == 0)
    stepper->beside(stepper->beside_context);
  else if (task < next)
    fill(step, stepper->next, task, thread);
  else
    dfm_table_apply(stepper->tables, task - next, stepper->plans, stepper->clip_scale);
}

/* Dense weights, one task per parameter. */
static void apply_param_task(void *context, int i, int thread) {
  const dfm_stepper *stepper = ((const dfm_step *)context)->stepper;
  const dfm_param *param = &stepper->net->param[i];
  (void)thread;
  if (param->is_statistic) return;
  stepper->kernel->scale(stepper->dweight + param->offset, stepper->clip_scale, param->n);
  dense_step(stepper, &(dfm_span){param->offset, param->n, param->part});
}

static void choose_scale(dfm_step *step) {
  dfm_stepper *stepper = step->stepper;
  const int tasks = dfm_executor_tasks(stepper->executor) + stepper->net->F * (1 + DFM_SWEEP_PARTS);
  double squares = 0;
  dfm_pool_run(stepper->pool, tasks, accumulate_task, step);
  for (int i = 0; i < tasks; i++) squares += stepper->squares[i];
  const double norm = sqrt(squares), limit = stepper->recipe->optimizer.clip_norm;
  stepper->clip_scale = norm > limit ? (float)(limit / norm) : 1;
}

static bool has_swept_tables(const dfm_stepper *stepper) {
  for (int t = 0; t < stepper->net->F; t++)
    if (stepper->tables->table[t].is_swept) return true;
  return false;
}

static void update(dfm_step *step) {
  dfm_stepper *stepper = step->stepper;
  const bool clips = stepper->recipe->optimizer.clip_norm > 0;
  const int before = (stepper->beside != NULL) + fill_tasks(stepper->next);
  stepper->clip_scale = 1;
  if (clips) choose_scale(step);
  if (has_swept_tables(stepper)) dfm_pool_run(stepper->pool, stepper->net->F * DFM_SWEEP_PARTS, sweep_task, step);
  if (clips) {
    dfm_pool_run(stepper->pool, stepper->net->n_params, apply_param_task, step);
    dfm_pool_run(stepper->pool, before + stepper->net->F, apply_task, step);
  } else {
    const int dense = dfm_executor_tasks(stepper->executor);
    dfm_pool_run(stepper->pool, before + dense + n_groups(stepper), update_task, step);
  }
  stepper->is_next_filled = stepper->next->rows > 0;
}

/* Room for `needed` floats, if `*at` has fewer. */
static dfm_status reserve_floats(float **at, size_t *floats, size_t needed, dfm_error *error) {
  if (needed <= *floats) return DFM_OK;
  free(*at);
  *at = NULL;
  *floats = 0;
  DFM_TRY(dfm_alloc(at, needed, sizeof **at, error));
  *floats = needed;
  return DFM_OK;
}

/* Makes room to sum any table's gradients up, or any of the group's. Where they are clipped, plans keep them. */
static dfm_status reserve_gradients(dfm_stepper *stepper, dfm_error *error) {
  const bool by_group = has_room_by_group(stepper), clips = stepper->recipe->optimizer.clip_norm > 0;
  const size_t columns = DFM_COLUMNS * dfm_executor_table_gradient(stepper->executor).pairs.column_floats;
  for (int i = 0; i < n_rooms(stepper); i++) {
    dfm_gradient_room *room = &stepper->gradients[i];
    const int from = by_group ? group_start(stepper, i) : 0;
    const int to = by_group ? group_start(stepper, i + 1) : stepper->net->F;
    const size_t floats = clips ? 0 : dfm_plans_gradient_floats(stepper->tables, stepper->plans, from, to);
    DFM_TRY(reserve_floats(&room->at.g, &room->floats, floats, error));
    DFM_TRY(reserve_floats(&room->at.columns, &room->columns_floats, columns, error));
  }
  return DFM_OK;
}

dfm_status dfm_stepper_run(dfm_stepper *stepper, const dfm_dataset *dataset, int rows, double learning_rate,
                           dfm_error *error) {
  dfm_step step = {stepper, dataset};
  stepper->batch->rows = rows;
  DFM_TRY(fill_batch(&step, error));
  DFM_TRY(dfm_dataset_lay_out(dataset, stepper->next, error));
  DFM_TRY(dfm_plans_reserve(stepper->tables, stepper->plans, stepper->batch, error));
  DFM_TRY(dfm_optimizer_begin(stepper->optimizer, learning_rate, error));
  dfm_stepper_gather(stepper);
  DFM_TRY(dfm_executor_train(stepper->executor, stepper->pool, stepper->plans, stepper->batch,
                             dfm_optimizer_step_count(stepper->optimizer), &stepper->loss, error));
  DFM_TRY(reserve_gradients(stepper, error));
  update(&step);
  stepper->is_filled = false; /* what is in the batch is done */
  return DFM_OK;
}

int dfm_stepper_advance(dfm_stepper *stepper) {
  dfm_batch *done = stepper->batch;
  stepper->batch = stepper->next;
  stepper->next = done;
  stepper->is_filled = stepper->is_next_filled;
  stepper->is_next_filled = false;
  stepper->next->rows = 0;
  return stepper->batch->rows;
}

void dfm_stepper_measure(dfm_stepper *stepper, dfm_busy *busy) {
  stepper->busy = busy;
  dfm_executor_measure(stepper->executor, busy);
}
