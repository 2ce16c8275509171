/* Checkpoints: a run comes in; a model file with raw rows, optimizer state and position goes out, and back. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/age.h"
#include "table/row.h"
#include "train/run.h"

static dfm_status out_of_memory(dfm_error *error) {
  return dfm_fail(error, DFM_ERROR_MEMORY, "no memory for the JSON of a model file");
}

static dfm_status to_text(json_t *json, char **text, dfm_error *error) {
  *text = json ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17)) : NULL;
  json_decref(json);
  return *text ? DFM_OK : out_of_memory(error);
}

/* Tensors beside the model's: "state.table.FIELD" (V, words) raw rows, "state.dense.I" (n_weights), "state.history"
 * doubles. */
size_t dfm_state_list(const dfm_stepper *stepper, dfm_extra_tensor *extra) {
  size_t n = 0;
  for (int f = 0; f < stepper->net->F; f++) {
    const dfm_table *table = &stepper->tables->table[f];
    if (table->n == 0) continue;
    extra[n] = (dfm_extra_tensor){
        .dtype = DFM_U32, .n_dims = 2, .shape = {table->V, (uint64_t)table->stride}, .data = table->rows};
    snprintf(extra[n++].name, DFM_TENSOR_NAME_BYTES, "state.table.%s", stepper->encoder->category[f].name);
  }
  for (int i = 0; i < dfm_optimizer_states(stepper->optimizer); i++) {
    extra[n] = (dfm_extra_tensor){
        .dtype = DFM_F32, .n_dims = 1, .shape = {stepper->net->n_weights}, .data = stepper->state[i]};
    snprintf(extra[n++].name, DFM_TENSOR_NAME_BYTES, "state.dense.%d", i);
  }
  const double *values;
  const size_t n_values = dfm_optimizer_history(stepper->optimizer, &values);
  extra[n] = (dfm_extra_tensor){.dtype = DFM_U64, .n_dims = 1, .shape = {n_values}, .data = values};
  snprintf(extra[n++].name, DFM_TENSOR_NAME_BYTES, "state.history");
  return n;
}

static size_t list_ages(const dfm_run *run, dfm_extra_tensor *extra) {
  const dfm_encoder *encoder = run->stepper->encoder;
  size_t n = 0;
  for (int f = 0; f < encoder->F; f++) {
    const uint64_t values = dfm_ages_count(encoder, f);
    if (values == 0) continue;
    extra[n] = (dfm_extra_tensor){.dtype = DFM_U32, .n_dims = 1, .shape = {values}, .data = run->age[f]};
    dfm_age_name(extra[n++].name, encoder, f);
  }
  return n;
}

/* Room for a field's age and state, and what there is once: two dense states, the history, progressive validation. */
static size_t most_extra(const dfm_run *run) {
  return 2 * (size_t)run->stepper->net->F + 3 + DFM_PROGRESSIVE_TENSORS;
}

/* The parts of a model file, with the state where it is to be kept. `extra` has room for most_extra. */
static dfm_model_parts run_parts(const dfm_run *run, bool has_state, const char *metrics_json,
                                 dfm_extra_tensor *extra) {
  const dfm_stepper *stepper = run->stepper;
  dfm_model_parts parts = {.encoder = stepper->encoder,
                           .recipe = run->trainer->recipe,
                           .net = stepper->net,
                           .weight = stepper->weight,
                           .rows = dfm_stepper_rows(stepper),
                           .metrics_json = metrics_json,
                           .extra = extra};
  parts.n_extra = list_ages(run, extra);
  if (!has_state) return parts;
  parts.n_extra += dfm_state_list(stepper, extra + parts.n_extra);
  parts.state_steps = dfm_optimizer_step_count(stepper->optimizer);
  return parts;
}

dfm_status dfm_run_save_model(dfm_run *run, const char *path, int64_t epoch, const dfm_metrics *valid,
                              dfm_error *error) {
  dfm_extra_tensor *extra = NULL;
  char *metrics = NULL;
  DFM_TRY(dfm_run_find_ages(run, error));
  json_t *json = json_pack("{s:I}", "epoch", (json_int_t)epoch);
  if (json && valid) json_object_set_new(json, "valid", dfm_metrics_to_json(valid));
  DFM_TRY(to_text(json, &metrics, error));
  dfm_status status = dfm_alloc(&extra, most_extra(run), sizeof *extra, error);
  if (status == DFM_OK) {
    const dfm_model_parts parts = run_parts(run, run->options->keep_state, metrics, extra);
    status = dfm_model_write(path, &parts, error);
  }
  free(extra);
  free(metrics);
  return status;
}

/* ---- saving */

static json_t *position_to_json(const dfm_run *run) {
  const dfm_position *position = &run->position;
  char data[20];
  snprintf(data, sizeof data, "%016" PRIx64, run->fingerprint);
  return json_pack("{s:I, s:I, s:f, s:o, s:I, s:I, s:I, s:o, s:s}", "epoch", (json_int_t)position->epoch, "batch",
                   (json_int_t)position->batch, "learning_rate", position->learning_rate, "best",
                   isfinite(position->best) ? json_real(position->best) : json_null(), "best_epoch",
                   (json_int_t)position->best_epoch, "epochs_since_best", (json_int_t)position->epochs_since_best,
                   "epochs_since_drop", (json_int_t)position->epochs_since_drop, "valid",
                   dfm_metrics_to_json(&position->valid), "data", data);
}

dfm_status dfm_checkpoint_save(dfm_run *run, const char *path, dfm_error *error) {
  dfm_extra_tensor *extra = NULL;
  char *position = NULL;
  dfm_status status;
  DFM_TRY(dfm_run_find_ages(run, error));
  DFM_TRY(dfm_alloc(&extra, most_extra(run), sizeof *extra, error));
  DFM_TRY_GOTO(status, to_text(position_to_json(run), &position, error), done);
  dfm_model_parts parts = run_parts(run, true, "{}", extra);
  parts.n_extra += dfm_progressive_list(&run->progressive, extra + parts.n_extra);
  parts.position_json = position;
  status = dfm_model_write(path, &parts, error);
done:
  free(position);
  free(extra);
  return status;
}

/* ---- resuming */

/* Its position; an error where the file is none, or another recipe's. */
static dfm_status find_position(const dfm_recipe *recipe, const dfm_st_file *file, const char *path,
                                const char **position, dfm_error *error) {
  const char *saved = dfm_st_metadata(file, "recipe");
  *position = dfm_st_metadata(file, "checkpoint");
  if (!*position)
    return dfm_fail(error, DFM_ERROR_FORMAT, "%s is no checkpoint; give --resume a file that --checkpoint wrote", path);
  if (!saved) return dfm_fail(error, DFM_ERROR_FORMAT, "checkpoint %s lacks its recipe; the file is damaged", path);
  return dfm_recipe_check_resume(recipe, saved, path, error);
}

dfm_status dfm_checkpoint_check(const dfm_recipe *recipe, const char *path, dfm_error *error) {
  dfm_st_file *file;
  const char *position;
  DFM_TRY(dfm_st_open(path, &file, error));
  const dfm_status status = find_position(recipe, file, path, &position, error);
  dfm_st_close(file);
  return status;
}

static dfm_status check_data(const dfm_run *run, const char *path, const char *data, dfm_error *error) {
  char fingerprint[20];
  snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, run->fingerprint);
  if (strcmp(fingerprint, data) == 0) return DFM_OK;
  return dfm_fail(
      error, DFM_ERROR_MISMATCH,
      "checkpoint %s was made from other rows, training or validation, or goes on from another model; resume "
      "with the data and the --from of its run",
      path);
}

static dfm_status read_position(dfm_run *run, const dfm_st_file *file, const char *path, dfm_error *error) {
  const char *text, *data;
  json_int_t epoch, batch, best_epoch, since_best, since_drop;
  dfm_position *position = &run->position;
  json_t *best, *valid;
  DFM_TRY(find_position(run->trainer->recipe, file, path, &text, error));
  json_t *json = json_loads(text, 0, NULL);
  if (!json ||
      json_unpack(json, "{s:I, s:I, s:F, s:o, s:I, s:I, s:I, s:o, s:s}", "epoch", &epoch, "batch", &batch,
                  "learning_rate", &position->learning_rate, "best", &best, "best_epoch", &best_epoch,
                  "epochs_since_best", &since_best, "epochs_since_drop", &since_drop, "valid", &valid, "data",
                  &data) != 0 ||
      !dfm_metrics_from_json(valid, &position->valid) || epoch < 1 || epoch > INT32_MAX || batch < 0 ||
      batch > dfm_loader_batches(run->loader)) {
    json_decref(json);
    return dfm_fail(error, DFM_ERROR_FORMAT, "checkpoint %s has no valid position; the file is damaged", path);
  }
  position->epoch = epoch;
  position->batch = batch;
  position->best = json_is_null(best) ? -(double)INFINITY : json_number_value(best);
  position->best_epoch = best_epoch;
  position->epochs_since_best = since_best;
  position->epochs_since_drop = since_drop;
  const dfm_status status = check_data(run, path, data, error);
  json_decref(json);
  return status;
}

bool dfm_touch_fits(const dfm_optimizer *optimizer, uint32_t touch) {
  return touch <= dfm_optimizer_step_count(optimizer) + 1 &&
         (touch <= 1 || touch - 1 >= dfm_optimizer_origin(optimizer));
}

static dfm_status check_touches(const dfm_run *run, const char *path, dfm_error *error) {
  const dfm_tables *tables = run->stepper->tables;
  for (int f = 0; f < tables->F; f++) {
    for (uint32_t id = 0; id < tables->table[f].V; id++) {
      if (dfm_touch_fits(run->stepper->optimizer, *dfm_row_at(&tables->table[f], id).touch)) continue;
      return dfm_fail(
          error, DFM_ERROR_FORMAT,
          "checkpoint %s has a row of field '%s' from a step that its run has not made; the file is damaged", path,
          run->stepper->encoder->category[f].name);
    }
  }
  return DFM_OK;
}

static dfm_status read_state(dfm_run *run, const dfm_st_file *file, const char *path, dfm_extra_tensor *extra,
                             dfm_error *error) {
  dfm_stepper *stepper = run->stepper;
  const size_t n = dfm_state_list(stepper, extra) - 1; /* the history comes last; its length is its own */
  const dfm_tensor *tensor;
  int64_t steps;
  DFM_TRY(dfm_model_read_steps(file, path, &steps, error));
  for (size_t i = 0; i < n; i++) {
    DFM_TRY(dfm_st_need(file, extra[i].name, extra[i].dtype, extra[i].n_dims, extra[i].shape, &tensor, error));
    memcpy((void *)extra[i].data, tensor->data, tensor->size_bytes);
  }
  DFM_TRY(dfm_st_need(file, "state.history", DFM_U64, 0, NULL, &tensor, error));
  DFM_TRY(dfm_optimizer_restore(stepper->optimizer, steps, tensor->data, tensor->size_bytes / sizeof(double), error));
  DFM_TRY(check_touches(run, path, error));
  return dfm_model_read_weights(file, path, stepper->net, true, stepper->weight, NULL, error);
}

/* A run that was resumed after its best epoch finds that epoch in the model file. */
static dfm_status check_best_model(const dfm_run *run, dfm_error *error) {
  dfm_st_file *file = NULL;
  char *recipe = NULL;
  if (!run->options->model_path || run->position.best_epoch == 0 || !run->predictor) return DFM_OK;
  if (run->trainer->recipe->train.keep_last) return DFM_OK;
  DFM_TRY(dfm_recipe_to_yaml(run->trainer->recipe, &recipe, error));
  const char *saved =
      dfm_st_open(run->options->model_path, &file, NULL) == DFM_OK ? dfm_st_metadata(file, "recipe") : NULL;
  const bool is_best = saved && strcmp(saved, recipe) == 0;
  dfm_st_close(file);
  free(recipe);
  if (is_best) return DFM_OK;
  return dfm_fail(error, DFM_ERROR_MISMATCH,
                  "the checkpoint's best epoch so far (%lld) should be in %s, which is no model of this recipe; resume "
                  "with the output of its run",
                  (long long)run->position.best_epoch, run->options->model_path);
}

static dfm_status resume(dfm_run *run, const dfm_st_file *file, const char *path, dfm_extra_tensor *extra,
                         dfm_error *error) {
  DFM_TRY(dfm_st_verify(file, error));
  DFM_TRY(read_position(run, file, path, error));
  DFM_TRY(read_state(run, file, path, extra, error));
  DFM_TRY(dfm_progressive_resume(run, file, path, error));
  return check_best_model(run, error);
}

dfm_status dfm_checkpoint_resume(dfm_run *run, const char *path, dfm_error *error) {
  dfm_st_file *file = NULL;
  dfm_extra_tensor *extra = NULL;
  DFM_TRY(dfm_alloc(&extra, most_extra(run), sizeof *extra, error));
  dfm_status status = dfm_st_open(path, &file, error);
  if (status == DFM_OK) status = resume(run, file, path, extra, error);
  dfm_st_close(file);
  free(extra);
  return status;
}
