/* Settling of an encoder: counted values are ordered and frozen, each field by one thread; then the rows get their ids,
 * in place, each range of rows by one thread. Ranges are the same whatever the threads, and what they add up is added
 * in their order. */
#include "data/settle.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/prefetch.h"
#include "data/buckets.h"
#include "data/transform.h"

enum { RANGE_ROWS = DFM_STORAGE_PASS_ROWS };

static int ranges_of(const dfm_dataset *view) {
  return (int)((view->rows + RANGE_ROWS - 1) / RANGE_ROWS);
}

/* Rows [*first, return value) of the view are its range `task`. */
static int64_t range_rows(const dfm_dataset *view, int task, int64_t *first) {
  const int64_t end = (int64_t)(task + 1) * RANGE_ROWS;
  *first = (int64_t)task * RANGE_ROWS;
  return end < view->rows ? end : view->rows;
}

/* ---- rows that were counted too early */

/* Fields whose ids share a cache line are one task. */
enum { FIELDS = 16 };

typedef struct uncounting {
  dfm_vocabulary_builder *builder;
  const dfm_dataset *view;
} uncounting;

static void uncount_cell(const uncounting *run, int64_t row, int f) {
  const dfm_storage *storage = run->view->storage;
  const dfm_list *list = &storage->list[f];
  dfm_vocabulary_builder *builder = &run->builder[run->view->encoder->category[f].table];
  if (dfm_storage_is_list(storage, f)) {
    for (uint64_t i = list->offsets[row]; i < list->offsets[row + 1]; i++)
      dfm_vocabulary_builder_uncount(builder, list->ids[i]);
  } else if (dfm_storage_ids(storage, row)[f] != DFM_ID_NONE) {
    dfm_vocabulary_builder_uncount(builder, dfm_storage_ids(storage, row)[f]);
  }
}

/* A task has the fields whose vocabulary belongs to one of its FIELDS. */
static void uncount_fields(void *context, int task, int thread) {
  const uncounting *run = context;
  const dfm_encoder *encoder = run->view->encoder;
  (void)thread;
  for (int64_t row = run->view->first; row < run->view->first + run->view->rows; row++) {
    for (int f = 0; f < encoder->F; f++)
      if (encoder->category[f].table / FIELDS == task) uncount_cell(run, row, f);
  }
}

void dfm_settle_uncount(dfm_vocabulary_builder *builder, const dfm_dataset *view, dfm_pool *pool) {
  uncounting run = {builder, view};
  dfm_pool_run(pool, (view->storage->F + FIELDS - 1) / FIELDS, uncount_fields, &run);
  dfm_storage_spent(view->storage, view->first, view->rows);
}

/* ---- vocabularies */

/* Where the provisional values of a vocabulary go: kept by the field that owns it, copied to those that share it. */
typedef struct field_place {
  uint32_t *place; /* (n) provisional value -> table row or DFM_ID_NONE; NULL: it has buckets */
  uint32_t n;
  uint32_t empty;        /* provisional value of the empty cell, DFM_ID_NONE where there was none */
  uint32_t empty_bucket; /* where place is NULL: what it is a cell of */
  uint32_t first, unknown;
  bool is_large; /* `place` lies outside the first caches, so that asking ahead pays */
} field_place;

/* The first error by field, kept by thread. */
typedef struct thread_error {
  dfm_status status;
  int f;
  dfm_error error;
} thread_error;

typedef struct freezing {
  dfm_encoder *encoder;
  dfm_vocabulary_builder *builder;
  field_place *places;
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

static dfm_status freeze_field(const freezing *run, int f, dfm_error *error) {
  dfm_category_field *field = &run->encoder->category[f];
  dfm_vocabulary_builder *builder = &run->builder[f];
  const uint32_t first = dfm_encoder_first(run->encoder, f), unknown = first == 1 ? 0 : DFM_ID_NONE;
  field_place *at = &run->places[f];
  if (field->table != f) return DFM_OK;
  *at = (field_place){.n = builder->n, .empty = builder->empty, .first = first, .unknown = unknown};
  if (field->settings.hash > 0) {
    at->empty_bucket = (uint32_t)(dfm_value_hash("", 0) % (uint64_t)field->settings.hash);
    return dfm_vocabulary_allocate(&field->vocabulary, 0, 0, run->folder, error);
  }
  at->is_large = builder->n > LARGE_PLACES;
  dfm_vocabulary_builder_close(builder);
  field->distinct = dfm_vocabulary_builder_seen(builder);
  DFM_TRY(dfm_slab_alloc(&at->place, builder->n, sizeof *at->place, error));
  DFM_TRY(settle_field(run, f, at->place, error));
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
    field->distinct = run->encoder->category[field->table].distinct;
  }
  const dfm_status status = first_error(run->failed, n, error);
  free(run->failed);
  return status;
}

/* ---- numbers */

typedef struct fitting {
  const dfm_encoder *encoder;
  const dfm_dataset *view;
  dfm_column_moments *moments; /* (ranges, D) */
  double logs[DFM_MOMENTS_LOGS];
} fitting;

static bool needs_fit(const dfm_number_field *field) {
  return field->settings.transform != DFM_TRANSFORM_NONE && field->settings.transform != DFM_TRANSFORM_LOG;
}

static void fit_range(void *context, int task, int thread) {
  const fitting *run = context;
  const size_t D = (size_t)run->encoder->D;
  int64_t first;
  const int64_t end = range_rows(run->view, task, &first);
  (void)thread;
  for (int64_t row = first; row < end; row += DFM_MOMENTS_ROWS) {
    const float *numbers = dfm_storage_numbers(run->view->storage, run->view->first + row);
    const int n = end - row < DFM_MOMENTS_ROWS ? (int)(end - row) : DFM_MOMENTS_ROWS;
    for (size_t d = 0; d < D; d++) {
      if (!needs_fit(&run->encoder->number[d])) continue;
      const dfm_column_moments further =
          dfm_moments_of(&run->encoder->number[d].settings, run->logs, numbers + d, D, n);
      dfm_moments_add(&run->moments[(size_t)task * D + d], &further);
    }
  }
  dfm_storage_spent(run->view->storage, run->view->first + first, end - first);
}

/* Rows of a file are checked before several threads read them. */
static dfm_status check_rows(const dfm_dataset *view, dfm_error *error) {
  dfm_scan scan = {.dataset = view, .end = view->storage->file ? view->rows : 0};
  do DFM_TRY(dfm_scan_next(&scan, error));
  while (scan.n > 0);
  return DFM_OK;
}

dfm_status dfm_settle_numbers(dfm_encoder *encoder, const dfm_dataset *train, dfm_pool *pool, dfm_error *error) {
  fitting run = {.encoder = encoder, .view = train};
  const size_t D = (size_t)encoder->D;
  const int n_ranges = ranges_of(train);
  if (D == 0) return DFM_OK;
  DFM_TRY(check_rows(train, error));
  dfm_moments_fill_logs(run.logs);
  DFM_TRY(dfm_alloc(&run.moments, (size_t)n_ranges * D, sizeof *run.moments, error));
  dfm_pool_run(pool, n_ranges, fit_range, &run);
  for (size_t d = 0; d < D; d++) {
    dfm_column_moments all = {0};
    for (size_t i = 0; i < (size_t)n_ranges; i++) dfm_moments_add(&all, &run.moments[i * D + d]);
    dfm_transform_fit(&encoder->number[d], &all);
  }
  free(run.moments);
  return DFM_OK;
}

/* ---- rows */

/* What one thread has seen: whole numbers, whose sum has no order. */
typedef struct tally {
  dfm_cell_counts *counts; /* (F + D) */
  uint32_t *ids;           /* (PIECE) of rows that lie in a file */
  int64_t positives;
  dfm_unknown_cell cell; /* the first that is an error; f < 0: none */
  dfm_status status;     /* of writing ids */
  dfm_error error;
} row_tally;

typedef struct placing {
  const field_place *places;
  const dfm_dataset *view;
  bool finds_errors;
  int64_t piece_rows;
  row_tally *tally; /* (threads) */
} placing;

/* Ids that are placed before they are written; a row has them all. */
enum { ROWS_AHEAD = 8, PIECE = 1 << 16 };

DFM_PREFETCHES void prefetch_places(const placing *run, const uint32_t *values) {
  for (int f = 0; f < run->view->storage->F; f++) {
    const field_place *at = &run->places[f];
    if (at->is_large && values[f] < at->n) __builtin_prefetch(&at->place[values[f]]);
  }
}

static uint32_t id_of(const field_place *at, uint32_t value) {
  if (value == DFM_ID_NONE) return at->unknown;
  if (at->place) return at->place[value];
  return (value == at->empty ? at->empty_bucket : value) + at->first;
}

static inline uint32_t place_value(const placing *run, int64_t row, int f, uint32_t value, row_tally *tally) {
  const field_place *at = &run->places[f];
  const uint32_t id = id_of(at, value);
  if (id != at->unknown) return id;
  tally->counts[f].unknown++;
  const bool is_error = run->finds_errors && run->view->encoder->category[f].settings.unknown == DFM_UNKNOWN_ERROR;
  if (is_error && value != DFM_ID_NONE && (tally->cell.f < 0 || row < tally->cell.row))
    tally->cell = (dfm_unknown_cell){row, f};
  return id;
}

static void place_list(const placing *run, int64_t row, int f, row_tally *tally) {
  const dfm_list *list = &run->view->storage->list[f];
  const uint64_t *offsets = list->offsets + run->view->first + row;
  tally->counts[f].missing += offsets[0] == offsets[1];
  for (uint64_t i = offsets[0]; i < offsets[1]; i++) list->ids[i] = place_value(run, row, f, list->ids[i], tally);
}

/* values, ids (F); they may be the same. */
static void place_row(const placing *run, int64_t row, const uint32_t *values, uint32_t *ids, row_tally *tally) {
  for (int f = 0; f < run->view->encoder->F; f++) {
    if (dfm_storage_is_list(run->view->storage, f)) {
      place_list(run, row, f, tally);
      ids[f] = 0;
      continue;
    }
    tally->counts[f].missing += values[f] == run->places[f].empty && values[f] != DFM_ID_NONE;
    ids[f] = place_value(run, row, f, values[f], tally);
  }
}

static dfm_status place_piece(const placing *run, int64_t first, int64_t n, row_tally *tally) {
  dfm_storage *storage = run->view->storage;
  const int64_t at = run->view->first + first;
  uint32_t *ids = tally->ids ? tally->ids : dfm_storage_ids(storage, at);
  if (storage->F == 0) return DFM_OK;
  for (int64_t i = 0; i < n; i++) {
    if (i + ROWS_AHEAD < n) prefetch_places(run, dfm_storage_ids(storage, at + i + ROWS_AHEAD));
    place_row(run, first + i, dfm_storage_ids(storage, at + i), ids + i * storage->F, tally);
  }
  return dfm_storage_set_ids(storage, at, n, ids, &tally->error);
}

static void place_range(void *context, int task, int thread) {
  const placing *run = context;
  const dfm_dataset *view = run->view;
  row_tally *tally = &run->tally[thread];
  int64_t first;
  const int64_t end = range_rows(view, task, &first);
  for (int64_t row = first; row < end && tally->status == DFM_OK; row += run->piece_rows) {
    const int64_t n = end - row < run->piece_rows ? end - row : run->piece_rows;
    tally->status = place_piece(run, row, n, tally);
  }
  tally->positives += dfm_dataset_count_rows(view, first, end - first, tally->counts + view->storage->F);
  dfm_storage_spent(view->storage, view->first + first, end - first);
}

static void take_tally(dfm_dataset *view, const row_tally *tally, dfm_unknown_cell *cell) {
  for (int i = 0; i < view->storage->F + view->storage->D; i++) {
    view->counts[i].unknown += tally->counts[i].unknown;
    view->counts[i].missing += tally->counts[i].missing;
  }
  view->positives += tally->positives;
  if (tally->cell.f >= 0 && (cell->f < 0 || tally->cell.row < cell->row)) *cell = tally->cell;
}

static dfm_status allocate_tallies(placing *run, int n, dfm_error *error) {
  const dfm_storage *storage = run->view->storage;
  const size_t n_fields = (size_t)storage->F + (size_t)storage->D, F = (size_t)storage->F;
  DFM_TRY(dfm_alloc(&run->tally, (size_t)n, sizeof *run->tally, error));
  for (int i = 0; i < n; i++) {
    run->tally[i].cell.f = -1;
    DFM_TRY(dfm_alloc(&run->tally[i].counts, n_fields, sizeof(dfm_cell_counts), error));
    if (storage->spill[0].is_file)
      DFM_TRY(dfm_alloc(&run->tally[i].ids, (size_t)run->piece_rows * F, sizeof(uint32_t), error));
  }
  return DFM_OK;
}

static void free_tallies(placing *run, int n) {
  for (int i = 0; run->tally && i < n; i++) {
    free(run->tally[i].counts);
    free(run->tally[i].ids);
  }
  free(run->tally);
}

static dfm_status take_tallies(const placing *run, int n, dfm_dataset *view, dfm_unknown_cell *cell, dfm_error *error) {
  dfm_unknown_cell none = {.f = -1};
  for (int i = 0; i < n; i++) {
    if (run->tally[i].status != DFM_OK) {
      if (error) *error = run->tally[i].error;
      return run->tally[i].status;
    }
    take_tally(view, &run->tally[i], cell ? cell : &none);
  }
  return DFM_OK;
}

/* Provisional values become ids; `cell` NULL: unknown values are no error. */
static dfm_status place_values(const field_place *places, dfm_dataset *view, dfm_pool *pool, dfm_unknown_cell *cell,
                               dfm_error *error) {
  const int n = dfm_pool_threads(pool), F = view->storage->F;
  placing run = {
      .places = places, .view = view, .finds_errors = cell != NULL, .piece_rows = 0 < F && F < PIECE ? PIECE / F : 1};
  dfm_status status = allocate_tallies(&run, n, error);
  if (status == DFM_OK) {
    dfm_pool_run(pool, ranges_of(view), place_range, &run);
    status = take_tallies(&run, n, view, cell, error);
  }
  free_tallies(&run, n);
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

static dfm_status settle(freezing *run, dfm_dataset *train, dfm_dataset *valid, bool counts_valid, dfm_pool *pool,
                         dfm_unknown_cell *cell, dfm_error *error) {
  DFM_TRY(freeze(run, pool, error));
  if (!run->growing) DFM_TRY(dfm_settle_numbers(run->encoder, train, pool, error));
  DFM_TRY(place_values(run->places, train, pool, NULL, error));
  add_counts(run->encoder, train);
  if (!valid) return DFM_OK;
  DFM_TRY(place_values(run->places, valid, pool, counts_valid ? NULL : cell, error));
  if (counts_valid) add_counts(run->encoder, valid);
  return DFM_OK;
}

static dfm_status settle_with_places(freezing *run, dfm_dataset *train, dfm_dataset *valid, bool counts_valid,
                                     dfm_pool *pool, dfm_unknown_cell *cell, dfm_error *error) {
  const dfm_encoder *encoder = run->encoder;
  run->rows = train->rows;
  run->folder = train->storage->folder;
  DFM_TRY(dfm_alloc(&run->places, (size_t)encoder->F, sizeof *run->places, error));
  const dfm_status status = settle(run, train, valid, counts_valid, pool, cell, error);
  for (int f = 0; f < encoder->F; f++)
    if (encoder->category[f].table == f) dfm_slab_free(run->places[f].place, run->places[f].n, sizeof(uint32_t));
  free(run->places);
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
