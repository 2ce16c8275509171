/* Settling of rows: packed rows and the places of their values come in; counts of unknown and empty cells go out, and
 * lists' items become ids. Counts are whole numbers, whose sum has no order. */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/prefetch.h"
#include "data/placing.h"
#include "data/settle.h"

enum { RANGE_ROWS = DFM_STORAGE_PASS_ROWS };

/* What one thread has seen. */
typedef struct row_tally {
  dfm_cell_counts *counts; /* (F + D) */
  int64_t positives;
  dfm_unknown_cell cell; /* the first that is an error; f < 0: none */
  dfm_row_reader reader;
  dfm_status status;
  dfm_error error;
} row_tally;

typedef struct counting {
  const dfm_dataset *view;
  const dfm_cell_counts *known;  /* (F + D) */
  bool knows_ids, knows_numbers; /* all of them */
  bool finds_errors;
  row_tally *tally; /* (threads) */
} counting;

/* The rule of field f makes unknown values an error: `value` of row `row` of the view is one. */
static void note_unknown(const counting *run, int64_t row, int f, uint32_t value, row_tally *tally) {
  const dfm_unknown_cell *first = &tally->cell;
  if (!run->finds_errors || run->view->encoder->category[f].settings.unknown != DFM_UNKNOWN_ERROR) return;
  if (value != DFM_ID_NONE && (first->f < 0 || row < first->row || (row == first->row && f < first->f)))
    tally->cell = (dfm_unknown_cell){row, f};
}

DFM_PREFETCHES void count_column(const counting *run, int64_t row, int n, int f, row_tally *tally) {
  const dfm_field_place *at = &run->view->storage->places->field[f];
  const uint32_t *values = tally->reader.ids + (size_t)f * DFM_READER_STRIDE;
  dfm_cell_counts *counts = &tally->counts[f];
  int unknown = 0, missing = 0;
  for (int i = 0; i < n && at->is_large; i++)
    if (values[i] < at->n) __builtin_prefetch(&at->place[values[i]]);
  for (int i = 0; i < n; i++) {
    unknown += dfm_place_id(at, values[i]) == at->unknown;
    missing += values[i] == at->empty && values[i] != DFM_ID_NONE;
  }
  counts->unknown += unknown;
  counts->missing += missing;
  for (int i = 0; i < n && unknown > 0 && run->finds_errors; i++)
    if (dfm_place_id(at, values[i]) == at->unknown) note_unknown(run, row + i, f, values[i], tally);
}

static void place_list(const counting *run, int64_t row, int f, row_tally *tally) {
  const dfm_list *list = &run->view->storage->list[f];
  const dfm_field_place *at = &run->view->storage->places->field[f];
  const uint64_t *offsets = list->offsets + run->view->first + row;
  tally->counts[f].missing += offsets[0] == offsets[1];
  for (uint64_t i = offsets[0]; i < offsets[1]; i++) {
    const uint32_t value = list->ids[i];
    list->ids[i] = dfm_place_id(at, value);
    if (list->ids[i] != at->unknown) continue;
    tally->counts[f].unknown++;
    note_unknown(run, row, f, value, tally);
  }
}

static dfm_status count_labels(const counting *run, int64_t row, int n, row_tally *tally) {
  float labels[DFM_PACKED_ROWS];
  const dfm_dataset *view = run->view;
  if (!dfm_dataset_has_label(view)) return DFM_OK;
  DFM_TRY(
      dfm_storage_make(view->storage, DFM_ARRAY_LABEL, view->first + row, n, &tally->reader, labels, &tally->error));
  for (int i = 0; i < n; i++) tally->positives += labels[i] == 1;
  return DFM_OK;
}

static bool is_known(const counting *run, int i) {
  return run->known && run->known[i].missing >= 0;
}

static dfm_status count_ids(const counting *run, int64_t row, int n, row_tally *tally) {
  const dfm_dataset *view = run->view;
  DFM_TRY(dfm_storage_read_ids(view->storage, view->first + row, n, &tally->reader, &tally->error));
  for (int f = 0; f < view->storage->F; f++) {
    if (is_known(run, f)) continue;
    if (!dfm_storage_is_list(view->storage, f))
      count_column(run, row, n, f, tally);
    else
      for (int i = 0; i < n; i++) place_list(run, row + i, f, tally);
  }
  return DFM_OK;
}

static dfm_status count_numbers(const counting *run, int64_t row, int n, row_tally *tally) {
  const dfm_dataset *view = run->view;
  const int F = view->storage->F;
  DFM_TRY(dfm_storage_read_numbers(view->storage, view->first + row, n, &tally->reader, &tally->error));
  for (int d = 0; d < view->storage->D; d++) {
    const float *numbers = tally->reader.numbers + (size_t)d * DFM_READER_STRIDE;
    int missing = 0;
    if (is_known(run, F + d)) continue;
    for (int i = 0; i < n; i++) missing += isnan(numbers[i]) != 0;
    tally->counts[F + d].missing += missing;
  }
  return DFM_OK;
}

static dfm_status count_rows(const counting *run, int64_t row, int n, row_tally *tally) {
  if (!run->knows_ids) DFM_TRY(count_ids(run, row, n, tally));
  if (!run->knows_numbers) DFM_TRY(count_numbers(run, row, n, tally));
  return count_labels(run, row, n, tally);
}

static void count_range(void *context, int task, int thread) {
  const counting *run = context;
  row_tally *tally = &run->tally[thread];
  const int64_t first = (int64_t)task * RANGE_ROWS, left = run->view->rows - first;
  const int64_t end = first + (left < RANGE_ROWS ? left : RANGE_ROWS);
  for (int64_t row = first; row < end && tally->status == DFM_OK; row += DFM_PACKED_ROWS)
    tally->status = count_rows(run, row, end - row < DFM_PACKED_ROWS ? (int)(end - row) : DFM_PACKED_ROWS, tally);
  dfm_storage_spent(run->view->storage, run->view->first + first, end - first);
}

static void take_tally(dfm_dataset *view, const row_tally *tally, dfm_unknown_cell *cell) {
  for (int i = 0; i < view->storage->F + view->storage->D; i++) {
    view->counts[i].unknown += tally->counts[i].unknown;
    view->counts[i].missing += tally->counts[i].missing;
  }
  view->positives += tally->positives;
  const dfm_unknown_cell *first = &tally->cell;
  if (cell && first->f >= 0 &&
      (cell->f < 0 || first->row < cell->row || (first->row == cell->row && first->f < cell->f)))
    *cell = *first;
}

static dfm_status count(const counting *run, dfm_dataset *view, dfm_pool *pool, dfm_unknown_cell *cell,
                        dfm_error *error) {
  const int threads = dfm_pool_threads(pool);
  for (int i = 0; i < threads; i++) {
    run->tally[i].cell.f = -1;
    DFM_TRY(dfm_alloc(&run->tally[i].counts, (size_t)(view->storage->F + view->storage->D), sizeof(dfm_cell_counts),
                      error));
  }
  dfm_pool_run(pool, (int)((view->rows + RANGE_ROWS - 1) / RANGE_ROWS), count_range, (void *)(uintptr_t)run);
  for (int i = 0; i < threads; i++) {
    if (run->tally[i].status != DFM_OK) {
      if (error) *error = run->tally[i].error;
      return run->tally[i].status;
    }
    take_tally(view, &run->tally[i], cell);
  }
  for (int i = 0; i < view->storage->F + view->storage->D; i++)
    if (is_known(run, i)) view->counts[i] = run->known[i];
  return DFM_OK;
}

dfm_status dfm_settle_rows(dfm_dataset *view, const dfm_cell_counts *known, dfm_pool *pool, dfm_unknown_cell *cell,
                           dfm_error *error) {
  const int threads = dfm_pool_threads(pool), F = view->storage->F, D = view->storage->D;
  counting run = {.view = view, .known = known, .knows_ids = true, .knows_numbers = true, .finds_errors = cell != NULL};
  for (int f = 0; f < F; f++) run.knows_ids &= is_known(&run, f);
  for (int d = 0; d < D; d++) run.knows_numbers &= is_known(&run, F + d);
  DFM_TRY(dfm_alloc(&run.tally, (size_t)threads, sizeof *run.tally, error));
  const dfm_status status = count(&run, view, pool, cell, error);
  for (int i = 0; i < threads; i++) {
    dfm_row_reader_clear(&run.tally[i].reader);
    free(run.tally[i].counts);
  }
  free(run.tally);
  return status;
}
