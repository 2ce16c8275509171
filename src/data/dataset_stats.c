/* Statistics of rows: one or two datasets come in; what each field's cells are goes out.
 *
 * Rows are passed in pieces. Within a piece every task owns a few fields and looks at all its rows, so that each count
 * and sum has one owner and one order, whatever the number of threads. */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/pool.h"
#include "data/quantile.h"
#include "data/storage.h"

enum { FIELDS_A_TASK = 8 };

/* Cells of one value, and those of them in rows with label 1. */
typedef struct value_count {
  uint32_t rows, positives;
} value_count;

typedef struct number_sum {
  int64_t n;
  double sum, minimum, maximum;
  dfm_quantile_search search;
} number_sum;

typedef struct stats_run {
  const dfm_dataset *part[2];
  const dfm_encoder *encoder;
  size_t n_top;
  value_count **count; /* (F) of each table row */
  number_sum *number;  /* (D) */
  int n_category_tasks, n_number_tasks;
  dfm_scan scan;          /* the piece being passed */
  dfm_field_stats *field; /* (F + D), what goes out */
} stats_run;

/* ---- passing the rows */

static int last_field(int task, int n_fields) {
  const int end = (task + 1) * FIELDS_A_TASK;
  return end < n_fields ? end : n_fields;
}

static void add_value(value_count *counts, uint32_t id, bool is_positive) {
  if (id == DFM_ID_NONE || counts[id].rows == UINT32_MAX) return;
  counts[id].rows++;
  counts[id].positives += is_positive;
}

static void add_categories(const stats_run *run, int task) {
  const dfm_dataset *part = run->scan.dataset;
  const dfm_storage *storage = part->storage;
  const int first = task * FIELDS_A_TASK, end = last_field(task, storage->F);
  const float *labels = dfm_dataset_has_label(part) ? storage->label : NULL;
  const int64_t from = part->first + run->scan.first;
  for (int64_t row = from; row < from + run->scan.n; row++) {
    const bool is_positive = labels && labels[row] == 1;
    for (int f = first; f < end; f++) {
      const uint32_t *ids;
      const uint64_t n = dfm_storage_cells(storage, row, f, &ids);
      for (uint64_t i = 0; i < n; i++) add_value(run->count[f], ids[i], is_positive);
    }
  }
}

static void add_number(number_sum *sum, float raw) {
  const double x = (double)raw;
  if (sum->n == 0 || x < sum->minimum) sum->minimum = x;
  if (sum->n == 0 || x > sum->maximum) sum->maximum = x;
  sum->sum += x;
  sum->n++;
}

static void add_numbers(const stats_run *run, int task) {
  const dfm_storage *storage = run->scan.dataset->storage;
  const int first = task * FIELDS_A_TASK, end = last_field(task, storage->D);
  const int64_t from = run->scan.dataset->first + run->scan.first;
  for (int64_t row = from; row < from + run->scan.n; row++) {
    const float *numbers = dfm_storage_numbers(storage, row);
    for (int d = first; d < end; d++) {
      number_sum *sum = &run->number[d];
      if (isnan(numbers[d])) continue;
      if (sum->search.pass == 0) add_number(sum, numbers[d]);
      dfm_quantile_add(&sum->search, numbers[d]);
    }
  }
}

/* Numbers first: of the later passes they are all. */
static void pass_task(void *context, int task, int thread) {
  const stats_run *run = context;
  (void)thread;
  if (task < run->n_number_tasks) {
    add_numbers(run, task);
  } else {
    add_categories(run, task - run->n_number_tasks);
  }
}

static dfm_status pass_rows(stats_run *run, dfm_pool *pool, int n_tasks, dfm_error *error) {
  for (int p = 0; p < 2 && run->part[p] && n_tasks > 0; p++) {
    run->scan = (dfm_scan){.dataset = run->part[p], .end = run->part[p]->rows};
    for (;;) {
      DFM_TRY(dfm_scan_next(&run->scan, error));
      if (run->scan.n == 0) break;
      dfm_pool_run(pool, n_tasks, pass_task, run);
    }
  }
  return DFM_OK;
}

static dfm_status pass_all(stats_run *run, dfm_pool *pool, dfm_error *error) {
  const int D = run->encoder->D;
  for (int pass = 0; pass < DFM_QUANTILE_PASSES; pass++) {
    DFM_TRY(pass_rows(run, pool, run->n_number_tasks + (pass == 0 ? run->n_category_tasks : 0), error));
    for (int d = 0; d < D; d++) dfm_quantile_end_pass(&run->number[d].search);
  }
  return DFM_OK;
}

/* ---- the most frequent values */

/* Whether value `a` of the field comes before `b`: by rows, then by id. */
static bool is_before(const value_count *count, uint32_t a, uint32_t b) {
  return count[a].rows != count[b].rows ? count[a].rows > count[b].rows : a < b;
}

/* Down from place `i` of a heap of `n` values whose root is the last of them. */
static void sift_down(const value_count *count, uint32_t *heap, size_t n, size_t i) {
  for (;;) {
    size_t last = i;
    for (size_t child = 2 * i + 1; child < n && child <= 2 * i + 2; child++)
      if (is_before(count, heap[last], heap[child])) last = child;
    if (last == i) return;
    const uint32_t id = heap[i];
    heap[i] = heap[last];
    heap[last] = id;
    i = last;
  }
}

/* The first `n` of the field's table rows from `first` to `end` into `heap`, in their order. */
static void select_top(const value_count *count, uint32_t first, uint32_t end, uint32_t *heap, size_t n) {
  for (size_t i = 0; i < n; i++) heap[i] = first + (uint32_t)i;
  for (size_t i = n; i-- > 0;) sift_down(count, heap, n, i);
  for (uint32_t id = first + (uint32_t)n; id < end && n > 0; id++) {
    if (!is_before(count, id, heap[0])) continue;
    heap[0] = id;
    sift_down(count, heap, n, 0);
  }
  for (size_t left = n; left > 1; left--) {
    const uint32_t last = heap[0];
    heap[0] = heap[left - 1];
    heap[left - 1] = last;
    sift_down(count, heap, left - 1, 0);
  }
}

/* Values with room for their names, which buckets need, behind them: one piece of memory. */
static dfm_status fill_top(stats_run *run, int f, dfm_field_stats *stats, dfm_error *error) {
  const uint32_t first = dfm_encoder_first(run->encoder, f), end = dfm_encoder_rows(run->encoder, f);
  const size_t n = run->n_top < end - first ? run->n_top : end - first;
  const value_count *count = run->count[f];
  dfm_value_stats *top;
  uint32_t *ids;
  if (run->encoder->is_synthetic) return DFM_OK;
  DFM_TRY(dfm_alloc(&top, n, sizeof *top + DFM_VALUE_NAME_BYTES, error));
  char *names = (char *)(top + n);
  stats->top = top;
  DFM_TRY(dfm_alloc(&ids, n, sizeof *ids, error));
  select_top(count, first, end, ids, n);
  for (size_t i = 0; i < n && count[ids[i]].rows > 0; i++) {
    top[i] = (dfm_value_stats){.rows = count[ids[i]].rows, .positives = count[ids[i]].positives};
    top[i].bytes =
        dfm_encoder_value_name(run->encoder, f, ids[i] - first, names + i * DFM_VALUE_NAME_BYTES, &top[i].length);
    stats->n_top = i + 1;
  }
  free(ids);
  return DFM_OK;
}

/* ---- what goes out */

static void fill_number(const number_sum *sum, dfm_field_stats *stats) {
  for (int i = 0; i < DFM_QUANTILES; i++) stats->quantile[i] = dfm_quantile_value(&sum->search, i);
  if (sum->n == 0) return;
  stats->minimum = sum->minimum;
  stats->maximum = sum->maximum;
  stats->mean = sum->sum / (double)sum->n;
}

static dfm_status fill_field(stats_run *run, size_t i, dfm_error *error) {
  const dfm_field_count count = dfm_dataset_field(run->part[0], i);
  const dfm_field_count none = {0}, valid = run->part[1] ? dfm_dataset_field(run->part[1], i) : none;
  dfm_field_stats *stats = &run->field[i];
  int index;
  *stats = (dfm_field_stats){.name = count.name,
                             .is_number = dfm_encoder_field(run->encoder, i, &index),
                             .is_list = count.is_list,
                             .missing = count.missing + valid.missing,
                             .cells = count.cells + valid.cells,
                             .valid_cells = valid.cells,
                             .unknown = count.unknown + valid.unknown,
                             .valid_unknown = valid.unknown,
                             .distinct = -1,
                             .minimum = (double)NAN,
                             .maximum = (double)NAN,
                             .mean = (double)NAN};
  if (stats->is_number) {
    fill_number(&run->number[index], stats);
    return DFM_OK;
  }
  stats->distinct = run->encoder->category[index].distinct;
  stats->vocabulary = (int64_t)dfm_encoder_values(run->encoder, index);
  return fill_top(run, index, stats, error);
}

static dfm_status allocate(stats_run *run, dfm_error *error) {
  const int F = run->encoder->F, D = run->encoder->D;
  DFM_TRY(dfm_alloc(&run->count, (size_t)F, sizeof *run->count, error));
  DFM_TRY(dfm_alloc(&run->number, (size_t)D, sizeof *run->number, error));
  for (int f = 0; f < F; f++)
    DFM_TRY(dfm_alloc(&run->count[f], dfm_encoder_rows(run->encoder, f), sizeof **run->count, error));
  for (int d = 0; d < D; d++)
    DFM_TRY(
        dfm_alloc(&run->number[d].search.count, (size_t)DFM_QUANTILES * DFM_QUANTILE_DIGITS, sizeof(int64_t), error));
  run->n_category_tasks = (F + FIELDS_A_TASK - 1) / FIELDS_A_TASK;
  run->n_number_tasks = (D + FIELDS_A_TASK - 1) / FIELDS_A_TASK;
  return DFM_OK;
}

static void release(stats_run *run) {
  for (int f = 0; run->count && f < run->encoder->F; f++) free(run->count[f]);
  for (int d = 0; run->number && d < run->encoder->D; d++) free(run->number[d].search.count);
  free(run->count);
  free(run->number);
}

static dfm_status run_passes(stats_run *run, int threads, dfm_error *error) {
  dfm_pool *pool;
  DFM_TRY(allocate(run, error));
  DFM_TRY(dfm_pool_create_exact(threads, &pool, error));
  const dfm_status status = pass_all(run, pool, error);
  dfm_pool_free(pool);
  DFM_TRY(status);
  for (size_t i = 0; i < dfm_dataset_fields(run->part[0]); i++) DFM_TRY(fill_field(run, i, error));
  return DFM_OK;
}

void dfm_stats_free(dfm_stats *stats) {
  if (!stats) return;
  for (size_t i = 0; i < stats->n_fields; i++) free((void *)(uintptr_t)stats->fields[i].top);
  free((void *)(uintptr_t)stats->fields);
  free(stats);
}

dfm_status dfm_dataset_stats(const dfm_dataset *train, const dfm_dataset *valid, size_t n_top, int threads,
                             dfm_stats **stats, dfm_error *error) {
  stats_run run = {.part = {train, valid}, .encoder = train->encoder, .n_top = n_top};
  dfm_stats *made;
  DFM_TRY(dfm_alloc(&made, 1, sizeof *made, error));
  dfm_status status = dfm_alloc(&run.field, dfm_dataset_fields(train), sizeof *run.field, error);
  if (status == DFM_OK) {
    *made = (dfm_stats){.train_rows = train->rows,
                        .valid_rows = valid ? valid->rows : 0,
                        .positives = train->positives + (valid ? valid->positives : 0),
                        .has_label = dfm_dataset_has_label(train),
                        .n_fields = dfm_dataset_fields(train),
                        .fields = run.field};
    status = run_passes(&run, threads, error);
  }
  release(&run);
  if (status != DFM_OK) {
    dfm_stats_free(made);
    return status;
  }
  *stats = made;
  return DFM_OK;
}
