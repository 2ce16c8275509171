/* Going on from a model: a fresh run and a model come in; the run starts with the model's weights, value by value, and
 * with the optimizer's state where the model's file keeps it. */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "data/age.h"
#include "table/row.h"
#include "train/run.h"

typedef struct dfm_go_on {
  dfm_run *run;
  const dfm_model *from;
  const dfm_st_file *file;  /* the model's */
  dfm_optimizer *optimizer; /* as the model's run left it; NULL: its file keeps no state */
} dfm_go_on;

static dfm_status fail_fields(const char *what, const char *name, dfm_error *error) {
  return dfm_fail(error, DFM_ERROR_MISMATCH,
                  "the rows' %s '%s' is not the one of the model to go on from; read them with dfm_dataset_read_more",
                  what, name);
}

/* Vocabularies may differ, buckets may not. */
static bool encodes_alike(const dfm_encoder *a, const dfm_encoder *b, int f) {
  const dfm_category_field *x = &a->category[f], *y = &b->category[f];
  const bool has_buckets = y->settings.hash > 0 || y->settings.buckets > 0;
  return dfm_encoder_first(a, f) == dfm_encoder_first(b, f) && x->is_list == y->is_list && x->table == y->table &&
         x->settings.hash == y->settings.hash && x->settings.buckets == y->settings.buckets &&
         x->settings.transform == y->settings.transform &&
         (!has_buckets || dfm_encoder_values(a, f) == dfm_encoder_values(b, f));
}

static dfm_status check_fields(const dfm_encoder *encoder, const dfm_encoder *old, dfm_error *error) {
  if (encoder->F != old->F || encoder->D != old->D || encoder->is_synthetic || old->is_synthetic) {
    return dfm_fail(error, DFM_ERROR_MISMATCH,
                    "the rows have %d category and %d number fields of text, the model to go on from %d and %d; read "
                    "them with dfm_dataset_read_more",
                    encoder->F, encoder->D, old->F, old->D);
  }
  for (int f = 0; f < old->F; f++) {
    if (strcmp(encoder->category[f].name, old->category[f].name) != 0 || !encodes_alike(encoder, old, f))
      return fail_fields("category field", encoder->category[f].name, error);
  }
  for (int d = 0; d < old->D; d++) {
    const dfm_number_field *a = &encoder->number[d], *b = &old->number[d];
    if (strcmp(a->name, b->name) != 0 || a->settings.transform != b->settings.transform || a->shift != b->shift ||
        a->scale != b->scale)
      return fail_fields("number field", a->name, error);
  }
  return DFM_OK;
}

/* The index in the run's table of field f's value; UINT64_MAX: it has expired. */
static uint64_t new_index(const dfm_go_on *go_on, int f, uint64_t value) {
  if (dfm_ages_count(go_on->from->encoder, f) == 0) return value; /* buckets stay what they are */
  const dfm_vocabulary *old = &go_on->from->encoder->category[f].vocabulary;
  const uint64_t start = old->offsets[value];
  return dfm_vocabulary_find(&go_on->run->stepper->encoder->category[f].vocabulary, (const char *)old->bytes + start,
                             old->offsets[value + 1] - start);
}

/* Values that this run's rows lack are older by so many rows. */
static void add_ages(const dfm_go_on *go_on, int f) {
  const int64_t rows = dfm_dataset_rows(go_on->run->trainer->train);
  uint32_t *age = go_on->run->age[f];
  for (uint64_t i = 0; i < dfm_ages_count(go_on->from->encoder, f); i++) {
    const uint64_t to = new_index(go_on, f, i);
    if (to != UINT64_MAX && age[to] == DFM_AGE_NEVER) age[to] = dfm_age_after(go_on->from->age[f][i], rows);
  }
}

dfm_status dfm_run_find_ages(dfm_run *run, dfm_error *error) {
  const dfm_model *from = run->options->from;
  const dfm_go_on go_on = {.run = run, .from = from};
  if (run->age) return DFM_OK;
  DFM_TRY(dfm_ages_create(run->trainer->train, run->stepper->pool, &run->age, error));
  for (int f = 0; from && f < from->encoder->F; f++) add_ages(&go_on, f);
  return DFM_OK;
}

/* ---- rows */

/* A row with its state, caught up to the model's last step: idle rows of the steps to come start there. A row that was
 * never touched starts with its weights as the model has them, so that another seed changes none. */
static dfm_status take_raw(const dfm_go_on *go_on, int f, const float *raw, uint32_t id, const float *weights,
                           dfm_error *error) {
  const dfm_tables *tables = go_on->run->stepper->tables;
  const dfm_table *table = &tables->table[f];
  const dfm_row row = dfm_row_at(table, id);
  const int64_t now = dfm_optimizer_step_count(go_on->optimizer);
  memcpy(row.w, raw, (size_t)table->stride * sizeof *raw);
  if (!dfm_touch_fits(go_on->optimizer, *row.touch)) {
    return dfm_fail(error, DFM_ERROR_FORMAT,
                    "%s has a row of field '%s' from a step that its run has not made; the file is damaged",
                    dfm_st_path(go_on->file), go_on->from->encoder->category[f].name);
  }
  if (*row.touch == 0) {
    dfm_table_set(tables, f, id, weights);
  } else if (*row.touch > 1) {
    if (tables->states == 2)
      dfm_optimizer_catch_up(go_on->optimizer, row.w, row.state0, row.state1, (size_t)table->n, *row.touch - 1, now);
    *row.touch = (uint32_t)(now + 1);
  }
  return DFM_OK;
}

static dfm_status take_table(const dfm_go_on *go_on, int f, dfm_error *error) {
  const dfm_model *from = go_on->from;
  const dfm_table *table = &go_on->run->stepper->tables->table[f];
  const uint32_t V = dfm_encoder_rows(from->encoder, f), first = dfm_encoder_first(from->encoder, f);
  const uint64_t shape[2] = {V, (uint64_t)table->stride};
  const dfm_tensor *state = NULL;
  if (table->n == 0) return DFM_OK;
  if (go_on->optimizer && !table->is_frozen) {
    char name[DFM_TENSOR_NAME_BYTES];
    snprintf(name, sizeof name, "state.table.%s", from->encoder->category[f].name);
    DFM_TRY(dfm_st_need(go_on->file, name, DFM_U32, 2, shape, &state, error));
  }
  for (uint32_t id = 0; id < V; id++) {
    const uint64_t index = id < first ? 0 : new_index(go_on, f, id - first);
    if (index == UINT64_MAX) continue;
    const uint32_t to = id < first ? id : (uint32_t)index + first;
    const float *weights = from->table[f] + (size_t)id * (size_t)table->n;
    if (state)
      DFM_TRY(take_raw(go_on, f, (const float *)state->data + (size_t)id * (size_t)table->stride, to, weights, error));
    else
      dfm_table_set(go_on->run->stepper->tables, f, to, weights);
  }
  return DFM_OK;
}

/* ---- the rest of the state */

/* The model's optimizer as its run left it, to catch its rows up. */
static dfm_status open_state(dfm_go_on *go_on, dfm_error *error) {
  const dfm_optimizer_settings settings = dfm_stepper_optimizer(go_on->from->recipe);
  const dfm_tensor *history;
  if (go_on->from->state_steps == 0) return DFM_OK;
  DFM_TRY(dfm_st_need(go_on->file, "state.history", DFM_U64, 0, NULL, &history, error));
  DFM_TRY(dfm_optimizer_create(&settings, go_on->run->stepper->kernel, &go_on->optimizer, error));
  return dfm_optimizer_restore(go_on->optimizer, go_on->from->state_steps, history->data,
                               history->size_bytes / sizeof(double), error);
}

static dfm_status take_dense_state(const dfm_go_on *go_on, dfm_error *error) {
  const dfm_stepper *stepper = go_on->run->stepper;
  const uint64_t shape[1] = {stepper->net->n_weights};
  for (int i = 0; i < dfm_optimizer_states(stepper->optimizer); i++) {
    const dfm_tensor *tensor;
    char name[24];
    snprintf(name, sizeof name, "state.dense.%d", i);
    DFM_TRY(dfm_st_need(go_on->file, name, DFM_F32, 1, shape, &tensor, error));
    memcpy(stepper->state[i], tensor->data, tensor->size_bytes);
  }
  return dfm_optimizer_restore(stepper->optimizer, go_on->from->state_steps, NULL, 0, error);
}

static dfm_status take_weights_of(dfm_go_on *go_on, dfm_error *error) {
  const dfm_stepper *stepper = go_on->run->stepper;
  DFM_TRY(open_state(go_on, error));
  memcpy(stepper->weight, go_on->from->weight, stepper->net->n_weights * sizeof *stepper->weight);
  for (int f = 0; f < stepper->net->F; f++) DFM_TRY(take_table(go_on, f, error));
  return go_on->optimizer ? take_dense_state(go_on, error) : DFM_OK;
}

dfm_status dfm_run_go_on(dfm_run *run, bool takes_weights, dfm_error *error) {
  const dfm_model *from = run->options->from;
  dfm_go_on go_on = {.run = run, .from = from, .file = from->encoder->file};
  DFM_TRY(dfm_recipe_check_from(run->trainer->recipe, from, error));
  DFM_TRY(check_fields(run->stepper->encoder, from->encoder, error));
  run->first_step = from->state_steps;
  const dfm_status status = takes_weights ? take_weights_of(&go_on, error) : DFM_OK;
  dfm_optimizer_free(go_on.optimizer);
  return status;
}
