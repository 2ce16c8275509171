/* Reading of rows to train on: inputs and a schema come in; datasets and the encoder that training rows settled go
 * out.
 *
 * One pass over the text gives every value a provisional number by first appearance. Then the rows are divided into
 * training and validation, values are counted over the rows that make the vocabulary, put in their order, and the rows'
 * provisional numbers become ids in place. */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "data/dataset_file.h"
#include "data/dataset_read.h"
#include "data/settle.h"
#include "data/vocabulary.h"

typedef struct training {
  dfm_input *train_input, *valid_input; /* borrowed; no valid_input: NULL */
  const dfm_data_settings *settings;
  const dfm_read_options *options;
  dfm_encoder *encoder;
  dfm_vocabulary_builder *builder; /* (F) {0} of fields that share another's */
  dfm_storage *rows, *held;        /* held: rows that validate and are known to while reading; NULL: none */
  dfm_dataset *train, *valid;
} training;

static dfm_vocabulary_builder *builder_of(const training *run, int f) {
  return &run->builder[run->encoder->category[f].table];
}

static dfm_status number_items(training *run, const dfm_source *source, int f, dfm_storage *storage, dfm_error *error) {
  const dfm_items *items = &source->items[f];
  uint64_t at;
  DFM_TRY(dfm_storage_add_items(storage, f, items->n, &at, error));
  dfm_list *list = &storage->list[f];
  for (size_t i = 0; i < items->n; i++, at++) {
    const dfm_item *item = &items->item[i];
    if (list->weights) list->weights[at] = item->weight;
    DFM_TRY(dfm_vocabulary_builder_add(builder_of(run, f), item->hash, item->value.bytes, item->value.n, &list->ids[at],
                                       error));
  }
  return DFM_OK;
}

/* The values of the row, the storage's last, by provisional number; DFM_ID_NONE where the column is absent. */
static dfm_status number_values(training *run, const dfm_source *source, dfm_storage *storage, dfm_error *error) {
  const int F = run->encoder->F;
  uint32_t *values = dfm_storage_ids(storage, storage->rows - 1);
  for (int f = 0; f < F; f++) dfm_vocabulary_builder_prefetch(builder_of(run, f), source->hash[f]);
  for (int f = 0; f < F; f++) {
    const dfm_cell *cell = &source->category[f];
    if (run->encoder->category[f].is_list) {
      DFM_TRY(number_items(run, source, f, storage, error));
      continue;
    }
    values[f] = DFM_ID_NONE;
    if (!cell->bytes) continue;
    DFM_TRY(dfm_vocabulary_builder_add(builder_of(run, f), source->hash[f], cell->bytes, cell->n, &values[f], error));
  }
  return DFM_OK;
}

/* Whether row `row` of the training input validates by lot. */
static bool is_drawn(const dfm_data_settings *settings, int64_t row) {
  const uint64_t key = dfm_random_key(settings->seed, DFM_STREAM_SPLIT);
  return (double)dfm_random_uniform(key, (uint64_t)row) < settings->valid_random;
}

static bool splits_randomly(const training *run) {
  return !run->valid_input && run->settings->valid_random > 0;
}

/* All rows of one input: into `storage`, or where `drawn` is given those that are drawn into that. */
static dfm_status read_rows(training *run, dfm_source *source, dfm_storage *storage, dfm_storage *drawn,
                            dfm_error *error) {
  for (int64_t row = 0;; row++) {
    bool is_row;
    DFM_TRY(dfm_source_next(source, &is_row, error));
    if (!is_row) return row == 0 ? dfm_fail_no_rows(source, error) : DFM_OK;
    dfm_storage *to = drawn && is_drawn(run->settings, row) ? drawn : storage;
    DFM_TRY(dfm_storage_add_row(to, source, error));
    if (to->has.file_row) to->file_row[to->rows - 1] = (uint64_t)row;
    DFM_TRY(number_values(run, source, to, error));
  }
}

static dfm_status read_train_rows(training *run, dfm_error *error) {
  dfm_source source;
  DFM_TRY(dfm_source_open(run->train_input, run->encoder, run->options, &source, error));
  dfm_status status = dfm_storage_for(&source, run->options, splits_randomly(run), &run->rows, error);
  if (status == DFM_OK && splits_randomly(run))
    status = dfm_storage_for(&source, run->options, true, &run->held, error);
  if (status == DFM_OK) status = read_rows(run, &source, run->rows, run->held, error);
  dfm_source_close(&source);
  return status;
}

/* The validation rows through the same vocabularies while they are still open. */
static dfm_status read_valid_rows(training *run, dfm_error *error) {
  dfm_source source;
  DFM_TRY(dfm_source_open(run->valid_input, run->encoder, run->options, &source, error));
  dfm_status status = dfm_storage_for(&source, run->options, false, &run->held, error);
  if (status == DFM_OK) status = read_rows(run, &source, run->held, NULL, error);
  dfm_source_close(&source);
  return status;
}

/* The first int(rows (1 - share)) rows train, as Keras splits; a product that is whole but for rounding counts as
 * whole. */
static int64_t tail_start(int64_t rows, double share) {
  const double n = (double)rows * (1 - share), whole = round(n);
  return (int64_t)(fabs(n - whole) < 1e-6 ? whole : floor(n));
}

static dfm_status check_parts(const training *run, int64_t n_train, int64_t n_valid, dfm_error *error) {
  const double share = splits_randomly(run) ? run->settings->valid_random : run->settings->valid_split;
  if (n_train > 0 && n_valid > 0) return DFM_OK;
  return dfm_fail(
      error, DFM_ERROR_VALUE,
      "a validation share of %g of the %lld rows of %s leaves no rows for %s; %s the share, or give more rows", share,
      (long long)(n_train + n_valid), dfm_input_name(run->train_input), n_train > 0 ? "validation" : "training",
      n_train > 0 ? "raise" : "lower");
}

/* Views of the training and validation rows that were read so far. */
static dfm_status divide(training *run, dfm_error *error) {
  const bool splits_tail = !run->valid_input && !run->held && run->settings->valid_split > 0;
  const int64_t n = run->rows->rows, n_train = splits_tail ? tail_start(n, run->settings->valid_split) : n;
  if (splits_tail) DFM_TRY(check_parts(run, n_train, n - n_train, error));
  if (splits_randomly(run)) DFM_TRY(check_parts(run, n, run->held->rows, error));
  DFM_TRY(dfm_dataset_view(run->encoder, run->rows, 0, n_train, &run->train, error));
  if (splits_tail) return dfm_dataset_view(run->encoder, run->rows, n_train, n - n_train, &run->valid, error);
  if (run->held) return dfm_dataset_view(run->encoder, run->held, 0, run->held->rows, &run->valid, error);
  return DFM_OK;
}

/* ---- an unknown value in a validation row, of a field whose rule is `error`: the row is looked up in the text again,
 * for its place */

/* The number in its input of validation row `row`. */
static int64_t input_row(const training *run, int64_t row) {
  const int64_t at = run->valid->first + row;
  return run->valid->storage->has.file_row ? (int64_t)run->valid->storage->file_row[at] : at;
}

static dfm_status fail_unknown(const training *run, int64_t row, int f, dfm_error *error) {
  dfm_input *input = run->valid_input ? run->valid_input : run->train_input;
  const char *name = run->encoder->category[f].name;
  dfm_source source;
  bool is_row = true;
  if (dfm_input_is_rereadable(input)) {
    DFM_TRY(dfm_source_open(input, run->encoder, run->options, &source, error));
    dfm_status status = DFM_OK;
    for (int64_t i = input_row(run, row); status == DFM_OK && is_row && i >= 0; i--)
      status = dfm_source_next(&source, &is_row, error);
    if (status == DFM_OK && is_row) status = dfm_source_unknown(&source, f, error);
    dfm_source_close(&source);
    if (status != DFM_OK) return status;
  }
  return dfm_fail(error, DFM_ERROR_FORMAT,
                  "%s: column '%s' of validation row %lld has a value that the training rows lack; "
                  "train on rows that have it, or with `unknown: row` for the column",
                  dfm_input_name(input), name, (long long)row + 1);
}

/* ---- the whole */

static dfm_status settle(training *run, dfm_error *error) {
  const bool counts_valid = run->settings->vocabulary_from_all;
  dfm_unknown_cell cell = {.f = -1};
  DFM_TRY(dfm_settle(run->encoder, run->builder, run->train, run->valid, counts_valid, &cell, error));
  if (cell.f >= 0) return fail_unknown(run, cell.row, cell.f, error);
  for (int f = 0; f < run->encoder->F; f++) dfm_vocabulary_builder_clear(&run->builder[f]);
  return DFM_OK;
}

static dfm_status run_training(training *run, dfm_error *error) {
  const int F = run->encoder->F;
  const bool joins_valid = run->valid_input && run->settings->vocabulary_from_all;
  DFM_TRY(dfm_alloc(&run->builder, (size_t)F, sizeof *run->builder, error));
  for (int f = 0; f < F; f++) {
    if (run->encoder->category[f].table == f) DFM_TRY(dfm_vocabulary_builder_begin(&run->builder[f], error));
  }
  DFM_TRY(read_train_rows(run, error));
  if (joins_valid) DFM_TRY(read_valid_rows(run, error));
  DFM_TRY(divide(run, error));
  DFM_TRY(settle(run, error));
  if (run->valid_input && !joins_valid) {
    DFM_TRY(dfm_dataset_read_encoded(run->valid_input, run->encoder, run->options, &run->valid, error));
  }
  return DFM_OK;
}

/* The rows of the dataset file at `path`; its vocabularies are settled, so `valid_input` is only encoded. */
static dfm_status read_file(training *run, const char *path, dfm_error *error) {
  DFM_TRY(dfm_dataset_file_training(path, run->settings, run->encoder, &run->train, &run->valid, error));
  if (!run->valid_input) return DFM_OK;
  if (run->valid || run->settings->vocabulary_from_all) {
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "%s %s, so %s cannot be added to it; encode both together with --valid, or leave it out", path,
                    run->valid ? "has validation rows" : "has its vocabulary settled",
                    dfm_input_name(run->valid_input));
  }
  return dfm_dataset_read_encoded(run->valid_input, run->encoder, run->options, &run->valid, error);
}

dfm_status dfm_dataset_read_training(dfm_input *train_input, dfm_input *valid_input, const dfm_schema *schema,
                                     const dfm_data_settings *settings, const dfm_read_options *options,
                                     dfm_dataset **train, dfm_dataset **valid, dfm_error *error) {
  training run = {.train_input = train_input, .valid_input = valid_input, .settings = settings, .options = options};
  DFM_TRY(dfm_encoder_create(schema, settings, &run.encoder, error));
  const char *file = dfm_input_dataset(train_input);
  const dfm_status status = file ? read_file(&run, file, error) : run_training(&run, error);
  for (int f = 0; run.builder && f < run.encoder->F; f++) dfm_vocabulary_builder_clear(&run.builder[f]);
  free(run.builder);
  dfm_storage_release(run.rows);
  dfm_storage_release(run.held);
  dfm_encoder_release(run.encoder);
  if (status != DFM_OK) {
    dfm_dataset_free(run.train);
    dfm_dataset_free(run.valid);
    return status;
  }
  *train = run.train;
  *valid = run.valid;
  return DFM_OK;
}
