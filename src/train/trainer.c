/* Trainer: a recipe and datasets come in; epochs run, the best one is kept on disk. */
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "data/age.h"
#include "train/precision.h"
#include "train/run.h"

static dfm_status check_datasets(const dfm_dataset *train, const dfm_dataset *valid, dfm_error *error) {
  if (!dfm_dataset_has_label(train) || (valid && !dfm_dataset_has_label(valid))) {
    return dfm_fail(error, DFM_ERROR_MISMATCH, "the %s rows have no label; read them with one",
                    dfm_dataset_has_label(train) ? "validation" : "training");
  }
  if (valid && dfm_dataset_encoder(valid) != dfm_dataset_encoder(train)) {
    return dfm_fail(error, DFM_ERROR_MISMATCH,
                    "the validation rows were encoded by other vocabularies; read both with dfm_dataset_read_train");
  }
  return DFM_OK;
}

dfm_status dfm_trainer_create(const dfm_recipe *recipe, dfm_dataset *train, dfm_dataset *valid, dfm_trainer **out,
                              dfm_error *error) {
  dfm_trainer *trainer = NULL;
  dfm_status status;
  DFM_TRY(dfm_recipe_check(recipe, error));
  DFM_TRY(check_datasets(train, valid, error));
  DFM_TRY(dfm_alloc(&trainer, 1, sizeof *trainer, error));
  trainer->train = dfm_dataset_retain(train);
  if (valid) trainer->valid = dfm_dataset_retain(valid);
  trainer->encoder = dfm_encoder_retain((dfm_encoder *)dfm_dataset_encoder(train));
  DFM_TRY_GOTO(status, dfm_recipe_copy(recipe, &trainer->recipe, error), fail);
  DFM_TRY_GOTO(status, dfm_net_build(trainer->recipe, trainer->encoder, &trainer->net, error), fail);
  DFM_TRY_GOTO(status, dfm_run_check_net(trainer->recipe, trainer->net, trainer->encoder, error), fail);
  DFM_TRY_GOTO(status, dfm_kernel_pick(&trainer->kernel, error), fail);
  trainer->wanted_precision = (dfm_precision)trainer->recipe->precision;
  trainer->recipe->precision = dfm_precision_choose(trainer->recipe, trainer->net, trainer->kernel);
  *out = trainer;
  return DFM_OK;
fail:
  dfm_trainer_free(trainer);
  return status;
}

/* Rows per batch: as the recipe says, or a hundredth of the rows, so that small data gets enough steps an epoch; up to
 * 1024, above which one pass learns less at the default rate. Never more than there are. */
static int batch_size(const dfm_trainer *trainer) {
  const int64_t rows = dfm_dataset_rows(trainer->train);
  int64_t size = trainer->recipe->train.batch_size;
  if (size == 0) size = rows / 100 < 32 ? 32 : rows / 100 > 1024 ? 1024 : rows / 100;
  return (int)(size < rows ? size : rows);
}

dfm_status dfm_trainer_summary(const dfm_trainer *trainer, char **text, dfm_error *error) {
  const int64_t rows = dfm_dataset_rows(trainer->train), size = batch_size(trainer);
  dfm_text whole = {0};
  char *net = NULL;
  DFM_TRY(dfm_net_summary(trainer->net, trainer->recipe, trainer->encoder, &net, error));
  dfm_status status = trainer->recipe->optimizer.name == DFM_SOLVER_LBFGS
                          ? dfm_text_printf(&whole, error, "%sBatch: all %lld rows\n", net, (long long)rows)
                          : dfm_text_printf(&whole, error, "%sBatches: %lld of %lld rows an epoch\n", net,
                                            (long long)((rows + size - 1) / size), (long long)size);
  free(net);
  if (status == DFM_OK)
    status = dfm_text_printf(&whole, error, "Precision: %s\n",
                             dfm_precision_explain(trainer->wanted_precision, trainer->net, trainer->kernel));
  if (status != DFM_OK) {
    free(whole.bytes);
    return status;
  }
  *text = whole.bytes;
  return DFM_OK;
}

void dfm_trainer_free(dfm_trainer *trainer) {
  if (!trainer) return;
  dfm_net_free(trainer->net);
  dfm_recipe_free(trainer->recipe);
  dfm_encoder_release(trainer->encoder);
  dfm_dataset_free(trainer->train);
  dfm_dataset_free(trainer->valid);
  free(trainer);
}

/* ---- setting up */

/* Of all that a checkpoint does not hold and a resumed run must be given again: the rows, what encodes them, and the
 * model it goes on from. */
static dfm_status fingerprint_of(const dfm_run *run, uint64_t *fingerprint, dfm_error *error) {
  const dfm_trainer *trainer = run->trainer;
  const dfm_model *from = run->options->from;
  uint64_t of_valid = 0;
  DFM_TRY(dfm_dataset_fingerprint(trainer->train, fingerprint, error));
  if (trainer->valid) DFM_TRY(dfm_dataset_fingerprint(trainer->valid, &of_valid, error));
  if (trainer->valid) *fingerprint ^= dfm_random_u64(of_valid, 1);
  *fingerprint ^= dfm_encoder_hash(trainer->encoder);
  if (from) *fingerprint ^= dfm_random_u64(dfm_encoder_hash(from->encoder), 2 + (uint64_t)from->state_steps);
  return DFM_OK;
}

/* Where the run was resumed from a checkpoint: goes there, and cuts the history to the epochs before. */
static dfm_status continue_run(dfm_run *run, dfm_error *error) {
  const dfm_run_options *options = run->options;
  if (options->checkpoint_path || options->resume_path) DFM_TRY(fingerprint_of(run, &run->fingerprint, error));
  if (!options->resume_path) return DFM_OK;
  DFM_TRY(dfm_checkpoint_resume(run, options->resume_path, error));
  run->has_history = true;
  if (!options->history_path) return DFM_OK;
  return dfm_history_cut(options->history_path, run->position.epoch, dfm_run_steps(run), error);
}

/* What the run starts with instead of the initialiser's weights. */
static dfm_status preset_weights(dfm_run *run, dfm_error *error) {
  const dfm_run_options *options = run->options;
  if (options->init_path) return dfm_stepper_init_from(run->stepper, options->init_path, error);
  return options->from ? dfm_run_go_on(run, options->resume_path == NULL, error) : DFM_OK;
}

static dfm_status open_run(dfm_run *run, dfm_error *error) {
  const dfm_trainer *trainer = run->trainer;
  const dfm_recipe *recipe = trainer->recipe;
  const int size = batch_size(trainer), piece = size > DFM_SCAN_ROWS ? size : DFM_SCAN_ROWS;
  DFM_TRY(dfm_run_check(recipe, run->options, error));
  DFM_TRY(dfm_stepper_create(recipe, trainer->train, size, run->options->threads, &run->stepper, error));
  DFM_TRY(preset_weights(run, error));
  DFM_TRY(dfm_loader_create(trainer->train, size, recipe->train.shuffle, recipe->train.seed, &run->loader, error));
  if (trainer->valid) {
    const dfm_row_source rows_now = dfm_stepper_rows(run->stepper);
    DFM_TRY(dfm_predictor_create(run->stepper->net, run->stepper->kernel, run->stepper->weight, &rows_now,
                                 run->stepper->pool, &run->predictor, error));
    DFM_TRY(dfm_meter_create(&run->valid_meter, error));
  }
  DFM_TRY(dfm_meter_create(&run->seen.meter, error));
  DFM_TRY(dfm_alloc(&run->probability, (size_t)piece, sizeof *run->probability, error));
  if (run->options->is_progressive) DFM_TRY(dfm_progressive_open(run, run->options->window, error));
  run->position =
      (dfm_position){.epoch = 1, .learning_rate = recipe->optimizer.learning_rate, .best = -(double)INFINITY};
  run->result->memory_tables = (int64_t)run->stepper->tables->size_bytes;
  return continue_run(run, error);
}

static void close_run(dfm_run *run) {
  dfm_meter_free(run->seen.meter);
  dfm_meter_free(run->valid_meter);
  free(run->probability);
  dfm_ages_free(run->age);
  dfm_progressive_close(&run->progressive);
  dfm_predictor_free(run->predictor);
  dfm_loader_free(run->loader);
  dfm_stepper_free(run->stepper);
}

/* ---- measuring */

/* Larger is better. Where the AUC is undefined (one class) the log loss decides. */
static double monitor(const dfm_recipe *recipe, const dfm_metrics *valid) {
  return recipe->train.monitor == DFM_MONITOR_AUC && !isnan(valid->auc) ? valid->auc : -valid->logloss;
}

static dfm_status evaluate(dfm_run *run, dfm_metrics *metrics, dfm_error *error) {
  const dfm_dataset *valid = run->trainer->valid;
  const float *labels = dfm_dataset_labels(valid), *weights = dfm_dataset_weights(valid);
  for (int64_t at = 0; at < dfm_dataset_rows(valid); at += DFM_SCAN_ROWS) {
    const int64_t left = dfm_dataset_rows(valid) - at, n = left < DFM_SCAN_ROWS ? left : DFM_SCAN_ROWS;
    DFM_TRY(dfm_predictor_run(run->predictor, run->stepper->pool, valid, at, n, run->probability, error));
    DFM_TRY(dfm_meter_add(run->valid_meter, run->probability, labels + at, weights ? weights + at : NULL, n, error));
  }
  dfm_meter_finish(run->valid_meter, metrics);
  return DFM_OK;
}

/* Beside the step's last phase. */
static void measure_batch(void *context) {
  dfm_run *run = context;
  dfm_epoch_rows *seen = &run->seen;
  const dfm_batch *batch = run->stepper->batch;
  run->stepper->kernel->sigmoid(run->probability, dfm_executor_logits(run->stepper->executor), (size_t)batch->rows);
  seen->status = dfm_meter_add(seen->meter, run->probability, batch->label, batch->weight, batch->rows, &seen->error);
  seen->n += batch->rows;
  seen->loss += run->stepper->loss;
  for (int b = 0; b < batch->rows; b++) seen->weights += (double)batch->weight[b];
}

static void fill_progress(dfm_run *run) {
  const dfm_epoch_rows *seen = &run->seen;
  dfm_progress *progress = &run->progress;
  progress->epoch = (int)run->position.epoch;
  progress->epochs = run->trainer->recipe->train.epochs;
  progress->batch = run->position.batch;
  progress->batches = dfm_loader_batches(run->loader);
  progress->step = dfm_run_steps(run);
  progress->seconds = seen->seconds;
  progress->rows_per_second = seen->seconds > 0 ? (double)seen->n / seen->seconds : 0;
  progress->learning_rate = run->position.learning_rate;
  progress->train = (dfm_metrics){.rows = seen->n,
                                  .weight = seen->weights,
                                  .auc = (double)NAN,
                                  .logloss = seen->weights > 0 ? seen->loss / seen->weights : (double)NAN,
                                  .accuracy = (double)NAN,
                                  .mean_predicted = (double)NAN,
                                  .mean_observed = (double)NAN};
  progress->is_epoch_end = progress->has_valid = progress->is_best = progress->learning_rate_dropped = false;
  progress->has_window = progress->has_progressive = false;
}

/* Shows the progress; true: the caller wants to stop. */
static bool report(dfm_run *run) {
  return run->options->on_progress && run->options->on_progress(run->options->context, &run->progress);
}

static dfm_status write_history(dfm_run *run, dfm_error *error) {
  if (!run->options->history_path) return DFM_OK;
  DFM_TRY(dfm_history_write(run->options->history_path, !run->has_history, &run->progress, error));
  run->has_history = true;
  return DFM_OK;
}

/* From the second epoch on rows have been trained on, and their scores prove nothing. */
static bool is_progressive(const dfm_run *run) {
  return run->progressive.predictor && run->position.epoch == 1;
}

/* ---- batches */

static dfm_status check_loss(const dfm_run *run, dfm_error *error) {
  if (isfinite(run->stepper->loss)) return DFM_OK;
  return dfm_fail(
      error, DFM_ERROR_VALUE,
      "the loss became %s at step %lld (epoch %lld); lower optimizer.learning_rate (now %g) or scale the numbers "
      "(data.transform standard)",
      isnan(run->stepper->loss) ? "nan" : "infinite", (long long)dfm_run_steps(run), (long long)run->position.epoch,
      run->position.learning_rate);
}

static dfm_status run_batch(dfm_run *run, int rows, dfm_error *error) {
  if (is_progressive(run)) DFM_TRY(dfm_progressive_score(run, rows, error));
  const double start = dfm_seconds();
  DFM_TRY(dfm_stepper_run(run->stepper, run->trainer->train, rows, run->position.learning_rate, error));
  DFM_TRY(check_loss(run, error));
  if (run->seen.status != DFM_OK) {
    if (error) *error = run->seen.error;
    return run->seen.status;
  }
  if (is_progressive(run)) DFM_TRY(dfm_progressive_add(run, rows, error));
  run->seen.seconds += dfm_seconds() - start;
  run->position.batch++;
  return DFM_OK;
}

static bool is_due(int64_t every, int64_t step) {
  return every > 0 && step % every == 0;
}

static bool is_at_limit(const dfm_run *run) {
  const int64_t limit = run->trainer->recipe->train.max_steps;
  return limit > 0 && dfm_run_steps(run) >= limit;
}

/* Measures the window of progressive validation that the batch has filled. */
static dfm_status finish_window(dfm_run *run, bool is_last, dfm_error *error) {
  dfm_progress *progress = &run->progress;
  is_last = is_last || run->position.batch == dfm_loader_batches(run->loader);
  progress->has_window = dfm_progressive_window(&run->progressive, is_last, &progress->window);
  progress->window_end = dfm_meter_rows(run->progressive.whole);
  return progress->has_window ? write_history(run, error) : DFM_OK;
}

/* Batches until the epoch ends, the step limit is reached (`*is_last`) or the caller stops (`*is_stopped`). */
static dfm_status run_epoch(dfm_run *run, bool *is_last, bool *is_stopped, dfm_error *error) {
  const dfm_run_options *options = run->options;
  run->stepper->beside = measure_batch;
  run->stepper->beside_context = run;
  run->seen.n = 0;
  run->seen.loss = run->seen.weights = run->seen.seconds = 0;
  DFM_TRY(dfm_loader_seek(run->loader, run->position.epoch, run->position.batch, error));
  *is_last = is_at_limit(run);
  int rows;
  DFM_TRY(dfm_loader_next(run->loader, run->stepper->batch->row, &rows, error));
  for (; rows > 0 && !*is_last && !*is_stopped; rows = dfm_stepper_advance(run->stepper)) {
    dfm_batch *next = run->stepper->next;
    DFM_TRY(dfm_loader_next(run->loader, next->row, &next->rows, error));
    DFM_TRY(run_batch(run, rows, error));
    fill_progress(run);
    const int64_t step = run->progress.step;
    *is_last = is_at_limit(run);
    if (is_progressive(run)) DFM_TRY(finish_window(run, *is_last, error));
    if (run->predictor && is_due(options->eval_every, step)) {
      DFM_TRY(evaluate(run, &run->progress.valid, error));
      run->progress.has_valid = true;
    }
    if (options->checkpoint_path && is_due(options->checkpoint_every, step)) {
      DFM_TRY(dfm_checkpoint_save(run, options->checkpoint_path, error));
    }
    *is_stopped = report(run);
  }
  return DFM_OK;
}

/* ---- epochs */

/* Better than every epoch before? Counts, and lowers the learning rate where the plateau rule says so. */
static void judge_epoch(dfm_run *run) {
  const dfm_recipe *recipe = run->trainer->recipe;
  dfm_position *position = &run->position;
  const double value = run->progress.has_valid ? monitor(recipe, &run->progress.valid) : 0;
  run->progress.is_best = !run->progress.has_valid || value > position->best;
  if (run->progress.is_best) {
    position->best = value;
    position->best_epoch = position->epoch;
    position->epochs_since_best = position->epochs_since_drop = 0;
    return;
  }
  position->epochs_since_best++;
  if (++position->epochs_since_drop >= recipe->optimizer.plateau_patience && recipe->optimizer.plateau_factor < 1) {
    position->learning_rate *= recipe->optimizer.plateau_factor;
    position->epochs_since_drop = 0;
    run->progress.learning_rate_dropped = true;
  }
}

/* Measures the epoch, keeps it if it is the best, and moves on to the next; `*is_stopped` as the caller says. */
static dfm_status finish_epoch(dfm_run *run, bool *is_stopped, dfm_error *error) {
  const dfm_run_options *options = run->options;
  fill_progress(run);
  dfm_meter_finish(run->seen.meter, &run->progress.train);
  run->progress.is_epoch_end = true;
  if (is_progressive(run)) {
    dfm_meter_measure(run->progressive.whole, &run->progress.progressive);
    run->progress.has_progressive = true;
  }
  if (run->predictor) {
    DFM_TRY(evaluate(run, &run->progress.valid, error));
    run->progress.has_valid = true;
  }
  judge_epoch(run);
  const dfm_metrics *valid = run->progress.has_valid ? &run->progress.valid : NULL;
  const bool keeps_last = run->trainer->recipe->train.keep_last;
  if (valid && (run->progress.is_best || keeps_last)) run->position.valid = *valid;
  /* Without validation every epoch would be the best so far: only the last one is worth writing. */
  if (valid && run->progress.is_best && options->model_path && !keeps_last)
    DFM_TRY(dfm_run_save_model(run, options->model_path, run->position.epoch, valid, error));
  DFM_TRY(write_history(run, error));
  run->progress.learning_rate =
      run->position.learning_rate; /* what the history has is this epoch's, what is shown the next one's */
  run->position.epoch++;
  run->position.batch = 0;
  if (options->checkpoint_path && options->checkpoint_every == 0) {
    DFM_TRY(dfm_checkpoint_save(run, options->checkpoint_path, error));
  }
  *is_stopped = report(run);
  return DFM_OK;
}

static bool out_of_patience(const dfm_run *run) {
  const int patience = run->trainer->recipe->train.patience;
  return run->predictor && patience > 0 && run->position.epochs_since_best >= patience;
}

static dfm_status run_epochs(dfm_run *run, dfm_error *error) {
  dfm_run_result *result = run->result;
  bool is_last = is_at_limit(run) && run->position.batch == 0, is_stopped = false;
  result->stopped_early = out_of_patience(run); /* a finished run that is resumed ends as it did */
  while (!is_last && !is_stopped && !result->stopped_early &&
         run->position.epoch <= run->trainer->recipe->train.epochs) {
    DFM_TRY(run_epoch(run, &is_last, &is_stopped, error));
    if (is_stopped && !is_last && run->position.batch < dfm_loader_batches(run->loader)) break;
    bool stops_here = false;
    DFM_TRY(finish_epoch(run, &stops_here, error));
    is_stopped = is_stopped || stops_here;
    result->stopped_early = out_of_patience(run);
  }
  result->stopped = is_stopped;
  return DFM_OK;
}

/* What is on disk when the run ends: the best epoch already, or the weights as they are now: without validation, and
 * where the run was stopped before its first epoch ended. A run stopped within a later epoch keeps its best epoch, and
 * its checkpoint says where to go on. */
static dfm_status finish_run(dfm_run *run, dfm_error *error) {
  const dfm_run_options *options = run->options;
  /* At an epoch's end a checkpoint per epoch has been made already. */
  if (run->result->stopped && options->checkpoint_path && (run->position.batch > 0 || options->checkpoint_every > 0)) {
    DFM_TRY(dfm_checkpoint_save(run, options->checkpoint_path, error));
  }
  const bool is_cut = run->position.batch > 0; /* within an epoch: its end was not validated */
  const int64_t last = is_cut ? run->position.epoch : run->position.epoch - 1;
  const bool keeps_last = !run->predictor || run->position.best_epoch == 0 || run->trainer->recipe->train.keep_last;
  const bool has_valid = run->position.valid.rows > 0 && !(keeps_last && is_cut);
  if (options->model_path && keeps_last) {
    DFM_TRY(dfm_run_save_model(run, options->model_path, last, has_valid ? &run->position.valid : NULL, error));
  }
  run->result->epochs = (int)(run->position.epoch - 1);
  run->result->best_epoch = (int)(keeps_last ? last : run->position.best_epoch);
  run->result->has_valid = has_valid;
  run->result->valid = run->position.valid;
  run->result->has_progressive = run->progressive.whole && dfm_meter_rows(run->progressive.whole) > 0;
  if (run->result->has_progressive) dfm_meter_measure(run->progressive.whole, &run->result->progressive);
  run->result->steps = dfm_run_steps(run);
  return DFM_OK;
}

/* The whole run of a convex model: one solve, counted as one epoch. */
static dfm_status run_lbfgs(dfm_run *run, dfm_error *error) {
  if (run->position.epoch > 1) return DFM_OK; /* resumed: the checkpoint has the optimum */
  DFM_TRY(dfm_lbfgs_solve(run, &run->result->objective, error));
  bool is_stopped;
  return finish_epoch(run, &is_stopped, error);
}

dfm_status dfm_trainer_run(dfm_trainer *trainer, const dfm_run_options *options, dfm_run_result *result,
                           dfm_error *error) {
  dfm_run run = {.trainer = trainer, .options = options, .result = result};
  const double start = dfm_seconds();
  dfm_status status;
  *result = (dfm_run_result){.objective = (double)NAN};
  DFM_TRY_GOTO(status, open_run(&run, error), done);
  DFM_TRY_GOTO(status,
               trainer->recipe->optimizer.name == DFM_SOLVER_LBFGS ? run_lbfgs(&run, error) : run_epochs(&run, error),
               done);
  status = finish_run(&run, error);
done:
  close_run(&run);
  result->seconds = dfm_seconds() - start;
  return status;
}
