/* Settling of an encoder: counted values are ordered and frozen, each field by one thread; what the rows' values become
 * is known then. */
#include "data/settle.h"

#include <stdlib.h>

#include "base/memory.h"
#include "data/buckets.h"
#include "data/placing.h"

/* ---- rows that were counted too early */

/* A task has the fields whose vocabulary belongs to every tasks-th field from its number on. */
typedef struct uncounting {
  dfm_vocabulary_builder *builder;
  const dfm_dataset *view;
  int tasks;
  dfm_status *status; /* (tasks) */
  dfm_error *error;
} uncounting;

static void uncount_list(const uncounting *run, int64_t row, int64_t n, int f, dfm_vocabulary_builder *builder) {
  const dfm_list *list = &run->view->storage->list[f];
  for (uint64_t i = list->offsets[row]; i < list->offsets[row + n]; i++)
    dfm_vocabulary_builder_uncount(builder, list->ids[i]);
}

static void uncount_field(const uncounting *run, int64_t row, int n, int f, const uint32_t *values) {
  dfm_vocabulary_builder *builder = &run->builder[run->view->encoder->category[f].table];
  if (dfm_storage_is_list(run->view->storage, f)) {
    uncount_list(run, row, n, f, builder);
    return;
  }
  for (int i = 0; i < n; i++)
    if (values[i] != DFM_ID_NONE) dfm_vocabulary_builder_uncount(builder, values[i]);
}

static void uncount_fields(void *context, int task, int thread) {
  const uncounting *run = context;
  const dfm_dataset *view = run->view;
  const int64_t end = view->first + view->rows;
  dfm_row_reader reader = {0};
  (void)thread;
  for (int table = task; table < view->encoder->F && run->status[task] == DFM_OK; table += run->tasks)
    run->status[task] = dfm_vocabulary_builder_close(&run->builder[table], &run->error[task]);
  for (int64_t row = view->first; row < end && run->status[task] == DFM_OK; row += DFM_PACKED_ROWS) {
    const int n = end - row < DFM_PACKED_ROWS ? (int)(end - row) : DFM_PACKED_ROWS;
    run->status[task] = dfm_storage_read_ids(view->storage, row, n, &reader, &run->error[task]);
    for (int f = 0; f < view->encoder->F && run->status[task] == DFM_OK; f++)
      if (view->encoder->category[f].table % run->tasks == task)
        uncount_field(run, row, n, f, reader.ids + (size_t)f * DFM_READER_STRIDE);
  }
  dfm_row_reader_clear(&reader);
}

dfm_status dfm_settle_uncount(dfm_vocabulary_builder *builder, const dfm_dataset *view, dfm_pool *pool,
                              dfm_error *error) {
  uncounting run = {.builder = builder, .view = view, .tasks = dfm_pool_threads(pool)};
  dfm_status status;
  DFM_TRY_GOTO(status, dfm_alloc(&run.status, (size_t)run.tasks, sizeof *run.status, error), done);
  DFM_TRY_GOTO(status, dfm_alloc(&run.error, (size_t)run.tasks, sizeof *run.error, error), done);
  dfm_pool_run(pool, run.tasks, uncount_fields, &run);
  for (int i = 0; i < run.tasks && status == DFM_OK; i++) {
    status = run.status[i];
    if (status != DFM_OK && error) *error = run.error[i];
  }
  dfm_storage_spent(view->storage, view->first, view->rows);
done:
  free(run.status);
  free(run.error);
  return status;
}

/* ---- vocabularies */

/* The first error by field, kept by thread. */
typedef struct thread_error {
  dfm_status status;
  int f;
  dfm_error error;
} thread_error;

typedef struct freezing {
  dfm_encoder *encoder;
  dfm_vocabulary_builder *builder;
  dfm_field_place *places; /* (F) */
  const char *folder;
  thread_error *failed;       /* (threads) */
  const dfm_growing *growing; /* NULL: vocabularies start here */
  uint32_t **ages;            /* (F) of the builders' values; NULL: none expire */
  int64_t rows;               /* that train */
  dfm_growth *growth;         /* (F) */
} freezing;

enum { LARGE_PLACES = 4096 };

static dfm_status settle_field(const freezing *run, int f, uint32_t *place, dfm_error *error) {
  dfm_category_field *field = &run->encoder->category[f];
  dfm_vocabulary_builder *builder = &run->builder[f];
  if (run->growing) {
    return dfm_growing_settle(run->growing, f, builder, run->ages ? run->ages[f] : NULL, run->rows, run->folder,
                              run->encoder, place, &run->growth[f], error);
  }
  if (field->settings.buckets > 0) return dfm_buckets_settle(builder, field, place, error);
  return dfm_vocabulary_settle(builder, run->folder, &field->vocabulary, place, error);
}

static int64_t sum_counts(const dfm_vocabulary *vocabulary) {
  uint64_t sum = 0;
  for (uint64_t i = 0; i < vocabulary->n; i++) sum += vocabulary->counts[i];
  return (int64_t)sum;
}

static dfm_status freeze_field(const freezing *run, int f, dfm_error *error) {
  dfm_category_field *field = &run->encoder->category[f];
  dfm_vocabulary_builder *builder = &run->builder[f];
  const uint32_t first = dfm_encoder_first(run->encoder, f), unknown = first == 1 ? 0 : DFM_ID_NONE;
  dfm_field_place *at = &run->places[f];
  if (field->table != f) return DFM_OK;
  *at = (dfm_field_place){.n = builder->n, .empty = builder->empty, .first = first, .unknown = unknown, .known = -1};
  if (field->settings.hash > 0) {
    at->empty_bucket = (uint32_t)(dfm_value_hash("", 0) % (uint64_t)field->settings.hash);
    return dfm_vocabulary_allocate(&field->vocabulary, 0, 0, run->folder, error);
  }
  at->is_large = builder->n > LARGE_PLACES;
  DFM_TRY(dfm_vocabulary_builder_close(builder, error));
  field->distinct = dfm_vocabulary_builder_seen(builder);
  DFM_TRY(dfm_slab_alloc(&at->place, builder->n, sizeof *at->place, error));
  if (builder->empty != DFM_ID_NONE)
    at->missing = (int64_t)(dfm_builder_record(builder, builder->empty)->meta >> DFM_LENGTH_BITS);
  DFM_TRY(settle_field(run, f, at->place, error));
  if (!run->growing && field->sharers == 1 && !field->is_list && field->settings.buckets <= 0)
    at->known = sum_counts(&field->vocabulary);
  for (uint32_t i = 0; i < at->n; i++) at->place[i] = at->place[i] == DFM_ID_NONE ? unknown : at->place[i] + first;
  return DFM_OK;
}

static void freeze_task(void *context, int f, int thread) {
  const freezing *run = context;
  thread_error *failed = &run->failed[thread];
  dfm_error error;
  const dfm_status status = freeze_field(run, f, &error);
  dfm_vocabulary_builder_clear(&run->builder[f]);
  if (status != DFM_OK && (failed->status == DFM_OK || f < failed->f)) *failed = (thread_error){status, f, error};
}

static dfm_status first_error(const thread_error *failed, int n, dfm_error *error) {
  const thread_error *first = NULL;
  for (int i = 0; i < n; i++)
    if (failed[i].status != DFM_OK && (!first || failed[i].f < first->f)) first = &failed[i];
  if (!first) return DFM_OK;
  if (error) *error = first->error;
  return first->status;
}

static dfm_status freeze(freezing *run, dfm_pool *pool, dfm_error *error) {
  const int n = dfm_pool_threads(pool);
  DFM_TRY(dfm_alloc(&run->failed, (size_t)n, sizeof *run->failed, error));
  dfm_pool_run(pool, run->encoder->F, freeze_task, run);
  for (int f = 0; f < run->encoder->F; f++) {
    dfm_category_field *field = &run->encoder->category[f];
    run->places[f] = run->places[field->table];
    run->places[f].is_sharer = field->table != f;
    field->distinct = run->encoder->category[field->table].distinct;
  }
  const dfm_status status = first_error(run->failed, n, error);
  free(run->failed);
  return status;
}

/* ---- the whole */

/* What the encoder remembers of the rows that made it. */
static void add_counts(dfm_encoder *encoder, const dfm_dataset *view) {
  encoder->rows += view->rows;
  for (int f = 0; f < encoder->F; f++) {
    encoder->category[f].cells += dfm_dataset_cells(view, f);
    encoder->category[f].unknown_rows += view->counts[f].unknown;
    encoder->category[f].missing_rows += view->counts[f].missing;
  }
  for (int d = 0; d < encoder->D; d++) encoder->number[d].missing_rows += view->counts[encoder->F + d].missing;
}

/* The storage's rows, where they are not another's. */
static void give_places(dfm_storage *storage, dfm_places *places) {
  if (!storage->places) storage->places = dfm_places_retain(places);
}

/* What is known of the training rows' cells: all that were counted, less those of the validation rows where these were
 * counted too (NULL: they were not). `known` (F + D) has the numbers' already. */
static void know_cells(const freezing *run, const dfm_dataset *train, const dfm_dataset *valid,
                       dfm_cell_counts *known) {
  const int64_t rows = train->rows + (valid ? valid->rows : 0);
  for (int f = 0; f < run->encoder->F; f++) {
    const dfm_field_place *at = &run->places[f];
    known[f].missing = at->known < 0 ? -1 : at->missing - (valid ? valid->counts[f].missing : 0);
    known[f].unknown = rows - at->known - (valid ? valid->counts[f].unknown : 0);
  }
}

static dfm_status settle_numbers(const freezing *run, const dfm_dataset *train, dfm_pool *pool, dfm_cell_counts *known,
                                 dfm_error *error) {
  const int D = run->encoder->D;
  int64_t *missing;
  DFM_TRY(dfm_alloc(&missing, (size_t)D, sizeof *missing, error));
  dfm_status status = DFM_OK;
  for (int d = 0; d < D; d++) missing[d] = -1;
  if (!run->growing) status = dfm_settle_numbers(run->encoder, train, pool, missing, error);
  for (int d = 0; d < D; d++) known[d].missing = missing[d];
  free(missing);
  return status;
}

static dfm_status settle_rows(const freezing *run, dfm_dataset *train, dfm_dataset *valid, bool counts_valid,
                              dfm_pool *pool, dfm_unknown_cell *cell, dfm_cell_counts *known, dfm_error *error) {
  DFM_TRY(settle_numbers(run, train, pool, known + run->encoder->F, error));
  if (valid) DFM_TRY(dfm_settle_rows(valid, NULL, pool, counts_valid ? NULL : cell, error));
  know_cells(run, train, counts_valid ? valid : NULL, known);
  DFM_TRY(dfm_settle_rows(train, known, pool, NULL, error));
  add_counts(run->encoder, train);
  if (valid && counts_valid) add_counts(run->encoder, valid);
  return DFM_OK;
}

static dfm_status settle(freezing *run, dfm_places *places, dfm_dataset *train, dfm_dataset *valid, bool counts_valid,
                         dfm_pool *pool, dfm_unknown_cell *cell, dfm_error *error) {
  dfm_cell_counts *known;
  DFM_TRY(freeze(run, pool, error));
  give_places(train->storage, places);
  if (valid) give_places(valid->storage, places);
  DFM_TRY(dfm_alloc(&known, (size_t)(run->encoder->F + run->encoder->D), sizeof *known, error));
  const dfm_status status = settle_rows(run, train, valid, counts_valid, pool, cell, known, error);
  free(known);
  return status;
}

static dfm_status settle_with_places(freezing *run, dfm_dataset *train, dfm_dataset *valid, bool counts_valid,
                                     dfm_pool *pool, dfm_unknown_cell *cell, dfm_error *error) {
  dfm_places *places;
  run->rows = train->rows;
  run->folder = train->storage->folder;
  DFM_TRY(dfm_places_create(run->encoder->F, &places, error));
  run->places = places->field;
  const dfm_status status = settle(run, places, train, valid, counts_valid, pool, cell, error);
  dfm_places_release(places);
  return status;
}

dfm_status dfm_settle(dfm_encoder *encoder, dfm_vocabulary_builder *builder, dfm_dataset *train, dfm_dataset *valid,
                      bool counts_valid, dfm_pool *pool, dfm_unknown_cell *cell, dfm_error *error) {
  freezing run = {.encoder = encoder, .builder = builder};
  return settle_with_places(&run, train, valid, counts_valid, pool, cell, error);
}

dfm_status dfm_settle_growing(const dfm_growing *growing, dfm_encoder *encoder, dfm_vocabulary_builder *builder,
                              dfm_dataset *train, dfm_dataset *valid, bool counts_valid, dfm_pool *pool,
                              dfm_unknown_cell *cell, dfm_growth *growth, dfm_error *error) {
  freezing run = {.encoder = encoder, .builder = builder, .growing = growing};
  DFM_TRY(dfm_alloc(&run.growth, (size_t)encoder->F, sizeof *run.growth, error));
  dfm_status status = dfm_growing_ages(growing, builder, train, &run.ages, error);
  if (status == DFM_OK) status = settle_with_places(&run, train, valid, counts_valid, pool, cell, error);
  *growth = (dfm_growth){0};
  for (int f = 0; f < encoder->F; f++) {
    growth->kept += run.growth[f].kept;
    growth->admitted += run.growth[f].admitted;
    growth->expired += run.growth[f].expired;
  }
  dfm_ages_free(run.ages);
  free(run.growth);
  return status;
}
