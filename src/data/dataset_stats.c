/* Statistics of rows: one or two datasets come in; what each field's cells are goes out, from one pass over them. */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "data/storage.h"

/* Per field while rows are passed. */
typedef struct field_sum {
  uint32_t top; /* id of the most frequent value; DFM_ID_NONE: none */
  int64_t rows, positives;
  double sum, minimum, maximum;
} field_sum;

/* The value with most rows; the first of equals. */
static uint32_t top_value(const dfm_encoder *encoder, int f) {
  const dfm_vocabulary *vocabulary = dfm_encoder_vocabulary(encoder, f);
  if (vocabulary->n == 0 || !vocabulary->counts) return DFM_ID_NONE;
  uint64_t top = 0;
  for (uint64_t i = 1; i < vocabulary->n; i++)
    if (vocabulary->counts[i] > vocabulary->counts[top]) top = i;
  return (uint32_t)top + dfm_encoder_first(encoder, f);
}

static void add_numbers(field_sum *sums, const float *numbers, int D) {
  for (int d = 0; d < D; d++) {
    const double x = (double)numbers[d];
    field_sum *at = &sums[d];
    if (isnan(x)) continue;
    if (at->rows == 0 || x < at->minimum) at->minimum = x;
    if (at->rows == 0 || x > at->maximum) at->maximum = x;
    at->sum += x;
    at->rows++;
  }
}

/* Whether row `row` has value `id` in field f, or among its items. */
static bool has_value(const dfm_storage *storage, int64_t row, int f, uint32_t id) {
  const dfm_list *list = &storage->list[f];
  if (id == DFM_ID_NONE) return false;
  if (!dfm_storage_is_list(storage, f)) return dfm_storage_ids(storage, row)[f] == id;
  for (uint64_t i = list->offsets[row]; i < list->offsets[row + 1]; i++)
    if (list->ids[i] == id) return true;
  return false;
}

static void add_piece(field_sum *sums, const dfm_dataset *part, int64_t first, int64_t n) {
  const dfm_storage *storage = part->storage;
  const float *labels = dfm_dataset_labels(part);
  for (int64_t i = first; i < first + n; i++) {
    const int64_t row = part->first + i;
    for (int f = 0; f < storage->F; f++) {
      const bool is_top = has_value(storage, row, f, sums[f].top);
      sums[f].rows += is_top;
      sums[f].positives += is_top && labels && labels[i] == 1;
    }
    add_numbers(sums + storage->F, dfm_storage_numbers(storage, row), storage->D);
  }
}

static dfm_status add_rows(field_sum *sums, const dfm_dataset *part, dfm_error *error) {
  dfm_scan scan = {.dataset = part, .end = part->rows};
  for (;;) {
    DFM_TRY(dfm_scan_next(&scan, error));
    if (scan.n == 0) return DFM_OK;
    add_piece(sums, part, scan.first, scan.n);
  }
}

static dfm_field_stats field_stats(const dfm_dataset *part, size_t i, const field_sum *sums) {
  const dfm_encoder *encoder = part->encoder;
  const dfm_field_count count = dfm_dataset_field(part, i);
  int index;
  const bool is_number = dfm_encoder_field(encoder, i, &index);
  const field_sum *sum = &sums[is_number ? encoder->F + index : index];
  dfm_field_stats stats = {.name = count.name,
                           .is_number = is_number,
                           .is_list = count.is_list,
                           .cells = count.cells,
                           .unknown = count.unknown,
                           .missing = count.missing,
                           .minimum = NAN,
                           .maximum = NAN,
                           .mean = NAN};
  if (is_number) {
    if (sum->rows == 0) return stats;
    stats.minimum = sum->minimum;
    stats.maximum = sum->maximum;
    stats.mean = sum->sum / (double)sum->rows;
    return stats;
  }
  const dfm_vocabulary *vocabulary = dfm_encoder_vocabulary(encoder, index);
  stats.vocabulary = (int64_t)dfm_encoder_values(encoder, index);
  if (sum->top == DFM_ID_NONE) return stats;
  const uint64_t value = sum->top - dfm_encoder_first(encoder, index);
  stats.top = (const char *)vocabulary->bytes + vocabulary->offsets[value];
  stats.top_length = vocabulary->offsets[value + 1] - vocabulary->offsets[value];
  stats.top_rows = sum->rows;
  stats.top_positives = sum->positives;
  return stats;
}

dfm_status dfm_dataset_stats(const dfm_dataset *train, const dfm_dataset *valid, dfm_field_stats *stats,
                             dfm_error *error) {
  const dfm_encoder *encoder = train->encoder;
  const size_t n = dfm_dataset_fields(train);
  field_sum *sums;
  DFM_TRY(dfm_alloc(&sums, n, sizeof *sums, error));
  for (int f = 0; f < encoder->F; f++) sums[f].top = top_value(encoder, f);
  dfm_status status = add_rows(sums, train, error);
  if (status == DFM_OK && valid) status = add_rows(sums, valid, error);
  for (size_t i = 0; status == DFM_OK && i < n; i++) {
    stats[i] = field_stats(train, i, sums);
    if (!valid) continue;
    const dfm_field_count count = dfm_dataset_field(valid, i);
    stats[i].cells += count.cells;
    stats[i].unknown += count.unknown;
    stats[i].missing += count.missing;
  }
  free(sums);
  return status;
}
