/* A case: a shape and a model come in; random rows, and a stepper that is as it would be in the midst of training,
 * go out. */
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "table/row.h"
#include "train/bench.h"

/* Encoded rows, so that batches do not repeat soon; more where there are more ids, so that each comes round in an
 * epoch. */
enum { BENCH_ROWS = 1 << 18 };
/* More steps than Adam's idle rows go on moving for. */
enum { STEPS_BEFORE = 512 };
static const double LEARNING_RATE = 1e-3;

static int64_t ids_per_field(const dfm_shape *shape) {
  return shape->ids / shape->fields > 0 ? shape->ids / shape->fields : 1;
}

static dfm_status make_recipe(const dfm_shape *shape, const char *model, dfm_recipe *recipe, dfm_error *error) {
  char width[32];
  snprintf(width, sizeof width, "%d", shape->width);
  DFM_TRY(dfm_recipe_set(recipe, "model", model, error));
  DFM_TRY(dfm_recipe_set(recipe, "dnn.hidden", shape->hidden, error));
  DFM_TRY(dfm_recipe_set(recipe, "embedding.width", width, error));
  DFM_TRY(dfm_recipe_set(recipe, "optimizer.name", shape->optimizer, error));
  return dfm_recipe_check(recipe, error);
}

static dfm_status make_rows(const dfm_shape *shape, const dfm_recipe *recipe, dfm_dataset **dataset, dfm_error *error) {
  const int64_t ids = ids_per_field(shape), batch = shape->batch;
  const int64_t wanted = shape->draw == DFM_DRAW_EVEN && ids > BENCH_ROWS ? ids : BENCH_ROWS;
  dfm_encoder *encoder = NULL;
  uint32_t *rows = NULL;
  dfm_field_settings category = recipe->data.category;
  category.width = shape->width;
  DFM_TRY(dfm_alloc(&rows, (size_t)shape->fields, sizeof *rows, error));
  for (int f = 0; f < shape->fields; f++) rows[f] = (uint32_t)ids + 1; /* and the unknown one */
  dfm_status status =
      dfm_encoder_synthetic(shape->fields, rows, shape->numbers, &category, &recipe->data.number, &encoder, error);
  if (status == DFM_OK)
    status = dfm_dataset_synthetic(encoder, (wanted + batch - 1) / batch * batch, shape->draw, 1, dataset, error);
  dfm_encoder_release(encoder);
  free(rows);
  return status;
}

/* ---- rows of tables as they are in the midst of training */

typedef struct dfm_touch {
  const dfm_tables *tables;
  int64_t now, period; /* steps; how many until the rows have come round */
} dfm_touch;

static void touch_task(void *context, int f, int thread) {
  const dfm_touch *touch = context;
  const dfm_table *table = &touch->tables->table[f];
  (void)thread;
  for (uint32_t id = 0; id < table->V; id++) {
    const dfm_row row = dfm_row_at(table, id);
    if (*row.touch == 0) dfm_table_initial(touch->tables, f, id, row.w);
    *row.touch = (uint32_t)(1 + touch->now - (int64_t)id % touch->period);
  }
}

static dfm_status touch_rows(dfm_case *made, dfm_error *error) {
  dfm_stepper *stepper = made->stepper;
  const int64_t batches = ids_per_field(&made->shape) / made->shape.batch;
  while (dfm_optimizer_step_count(stepper->optimizer) < STEPS_BEFORE)
    DFM_TRY(dfm_optimizer_begin(stepper->optimizer, LEARNING_RATE, error));
  dfm_touch touch = {stepper->tables, STEPS_BEFORE, batches < 1 ? 1 : batches < STEPS_BEFORE ? batches : STEPS_BEFORE};
  const double start = dfm_seconds();
  dfm_pool_run(stepper->pool, stepper->net->F, touch_task, &touch);
  made->touch_seconds = dfm_seconds() - start;
  return DFM_OK;
}

static dfm_status one_step(dfm_case *made, int *rows, dfm_error *error) {
  dfm_stepper *stepper = made->stepper;
  *rows = dfm_stepper_advance(stepper);
  if (*rows == 0) DFM_TRY(dfm_loader_next(made->loader, stepper->batch->row, rows, error));
  DFM_TRY(dfm_loader_next(made->loader, stepper->next->row, &stepper->next->rows, error));
  if (*rows == 0) return dfm_loader_seek(made->loader, ++made->epoch, 0, error);
  return dfm_stepper_run(stepper, made->dataset, *rows, LEARNING_RATE, error);
}

dfm_status dfm_case_create(const dfm_bench *bench, const dfm_shape *shape, const char *model, dfm_case *made,
                           dfm_error *error) {
  const int threads = dfm_pool_threads(bench->pool);
  int rows;
  *made = (dfm_case){.shape = *shape, .epoch = 1};
  DFM_TRY(dfm_recipe_create(&made->recipe, error));
  DFM_TRY(make_recipe(shape, model, made->recipe, error));
  DFM_TRY(make_rows(shape, made->recipe, &made->dataset, error));
  const double start = dfm_seconds();
  DFM_TRY(dfm_stepper_create(made->recipe, made->dataset, shape->batch, threads, &made->stepper, error));
  DFM_TRY(dfm_loader_create(made->dataset, shape->batch, true, 1, &made->loader, error));
  DFM_TRY(one_step(made, &rows, error));
  made->start_seconds = dfm_seconds() - start;
  return touch_rows(made, error);
}

void dfm_case_free(dfm_case *made) {
  dfm_loader_free(made->loader);
  dfm_stepper_free(made->stepper);
  dfm_dataset_free(made->dataset);
  dfm_recipe_free(made->recipe);
  *made = (dfm_case){0};
}

dfm_status dfm_case_run(dfm_case *made, double seconds, int64_t *steps, double *rate, dfm_error *error) {
  const double start = dfm_seconds();
  double rows = 0, passed = 0;
  int64_t n = 0;
  while (passed < seconds) {
    int here;
    DFM_TRY(one_step(made, &here, error));
    rows += here;
    n += here > 0;
    passed = dfm_seconds() - start;
  }
  *rate = rows / passed;
  if (steps) *steps = n;
  return DFM_OK;
}
