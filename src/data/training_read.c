/* Reading of rows to train on: inputs and a schema come in; datasets and the encoder that training rows settled go
 * out.
 *
 * One pass over the text gives every value a provisional number by first appearance, and counts those of the rows that
 * make the vocabulary. Then the rows are divided into training and validation, values are put in their order, and the
 * rows' provisional numbers become ids in place. */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "data/dataset_file.h"
#include "data/dataset_read.h"
#include "data/placing.h"
#include "data/settle.h"
#include "data/vocabulary.h"

typedef struct training {
  dfm_input *train_input, *valid_input; /* borrowed; no valid_input: NULL */
  const dfm_data_settings *settings;
  const dfm_read_options *options;
  const dfm_growing *growing; /* NULL: vocabularies start here */
  dfm_growth growth;
  bool keeps_packed;
  dfm_encoder *encoder;
  dfm_vocabulary_builder *builder; /* (F) without values where the field shares another's */
  dfm_pool *pool;
  dfm_source *source; /* being read */
  const uint8_t *uncounted;
  dfm_status *status;       /* (F) of each field's values, */
  dfm_error *failure;       /* (F) and why */
  dfm_storage *rows, *held; /* held: rows that validate and are known to while reading; NULL: none */
  dfm_dataset *train, *valid;
} training;

/* Values of several cells side by side, in row order. */
typedef struct row_values {
  dfm_value *value;
  uint8_t *is_held;
  uint32_t *number;
  size_t n, capacity;
} row_values;

static void free_values(row_values *values) {
  free(values->value);
  free(values->is_held);
  free(values->number);
}

static dfm_status grow_values(row_values *to, size_t n, dfm_error *error) {
  size_t capacity = to->capacity;
  if (n <= to->capacity) return DFM_OK;
  DFM_TRY(dfm_grow(&to->value, &capacity, n, sizeof *to->value, error));
  capacity = to->capacity;
  DFM_TRY(dfm_grow(&to->number, &capacity, n, sizeof *to->number, error));
  capacity = to->capacity;
  DFM_TRY(dfm_grow(&to->is_held, &capacity, n, 1, error));
  to->capacity = capacity;
  return DFM_OK;
}

static dfm_status take_values(row_values *to, const dfm_value *values, size_t n, bool is_held, dfm_error *error) {
  if (n == 0) return DFM_OK;
  DFM_TRY(grow_values(to, to->n + n, error));
  memcpy(to->value + to->n, values, n * sizeof *values);
  memset(to->is_held + to->n, is_held, n);
  to->n += n;
  return DFM_OK;
}

/* The value, or the items, of field f in row r; `*n` of them. */
static dfm_value *cell_values(const dfm_block *block, int f, int r, size_t *n) {
  *n = 1;
  if (!block->list[f].end) return dfm_block_value(block, f, r);
  const size_t first = dfm_block_items(block, f, r, n);
  return *n > 0 ? block->list[f].item + first : NULL; /* a block of empty lists has no items to point at */
}

/* The values of a block in all fields of table `table`, row by row: what several fields or a list bring has an order
 * only so that does not depend on where blocks end. */
static dfm_status number_rows(const training *run, dfm_block *block, int table, const uint8_t *is_held,
                              row_values *values, dfm_error *error) {
  size_t n, at = 0;
  values->n = 0;
  for (int r = 0; r < block->rows; r++)
    for (int f = 0; f < block->F; f++) {
      if (run->encoder->category[f].table != table) continue;
      const dfm_value *cell = cell_values(block, f, r, &n);
      if (n > 0) DFM_TRY(take_values(values, cell, n, is_held && is_held[r], error));
    }
  DFM_TRY(dfm_vocabulary_builder_add_all(&run->builder[table], values->value, values->n, values->is_held,
                                         values->number, error));
  for (int r = 0; r < block->rows; r++)
    for (int f = 0; f < block->F; f++) {
      if (run->encoder->category[f].table != table) continue;
      dfm_value *cell = cell_values(block, f, r, &n);
      for (size_t i = 0; i < n; i++) cell[i].id = values->number[at++];
    }
  for (int f = 0; f < block->F; f++)
    if (run->encoder->category[f].table == table && !block->list[f].end) dfm_block_take_ids(block, f);
  return DFM_OK;
}

/* The values of a block in the one field of table `table`. */
static dfm_status number_column(const training *run, dfm_block *block, int table, const uint8_t *is_held,
                                dfm_error *error) {
  return dfm_vocabulary_builder_add_all(&run->builder[table], dfm_block_value(block, table, 0), (size_t)block->rows,
                                        is_held, block->id + (size_t)table * DFM_BLOCK_STRIDE, error);
}

/* The values of the fields of one table by provisional number; the first task looks for the rows that are next. */
static void number_task(void *context, int task, int thread) {
  training *run = context;
  row_values values = {0};
  const int table = task - 1;
  (void)thread;
  if (task == 0) {
    dfm_source_look_ahead(run->source);
    return;
  }
  const dfm_category_field *field = &run->encoder->category[table];
  if (field->table != table) return;
  const bool is_column = field->sharers == 1 && !field->is_list;
  for (int i = 0; i < run->source->n_blocks && run->status[table] == DFM_OK; i++) {
    dfm_block *block = run->source->block[i];
    dfm_error *failure = &run->failure[table];
    const uint8_t *is_held = run->uncounted ? run->uncounted + i * DFM_BLOCK_ROWS : NULL;
    run->status[table] = is_column ? number_column(run, block, table, is_held, failure)
                                   : number_rows(run, block, table, is_held, &values, failure);
  }
  free_values(&values);
}

/* `uncounted`: rows that do not make the vocabulary, as in dfm_destination; NULL: all do. */
static dfm_status number_values(training *run, dfm_source *source, const uint8_t *uncounted, dfm_error *error) {
  run->source = source;
  run->uncounted = uncounted;
  dfm_pool_run(run->pool, 1 + run->encoder->F, number_task, run);
  for (int f = 0; f < run->encoder->F; f++) {
    if (run->status[f] == DFM_OK) continue;
    if (error) *error = run->failure[f];
    return run->status[f];
  }
  return DFM_OK;
}

static bool splits_randomly(const training *run) {
  return !run->valid_input && run->settings->valid_random > 0;
}

/* The lot of a block's rows, which falls by their number in the training input. */
typedef struct drawing {
  const dfm_source *source;
  const dfm_destination *to;
  uint64_t key;
  double share; /* that validates */
} drawing;

static void draw_task(void *context, int task, int thread) {
  const drawing *run = context;
  int64_t row = run->to->rows;
  (void)thread;
  for (int i = 0; i < task; i++) row += run->source->block[i]->rows;
  for (int r = 0; r < run->source->block[task]->rows; r++, row++)
    run->to->is_held[task * DFM_BLOCK_ROWS + r] = (double)dfm_random_uniform(run->key, (uint64_t)row) < run->share;
}

/* Holds the rows at hand that are drawn to validate. */
static void draw_rows(const training *run, const dfm_source *source, const dfm_destination *to) {
  const dfm_data_settings *settings = run->settings;
  drawing all = {source, to, dfm_random_key(settings->seed, DFM_STREAM_SPLIT), settings->valid_random};
  if (to->is_held) dfm_pool_run(run->pool, source->n_blocks, draw_task, &all);
}

/* All rows of one input: into `storage`, or where `drawn` is given those that are drawn into that. */
static dfm_status read_rows(training *run, dfm_source *source, dfm_storage *storage, dfm_storage *drawn,
                            dfm_error *error) {
  dfm_destination to;
  dfm_status status = dfm_destination_begin(&to, source, storage, drawn, error);
  while (status == DFM_OK) {
    status = dfm_source_next(source, error);
    if (status != DFM_OK || source->n_blocks == 0) break;
    draw_rows(run, source, &to);
    status = number_values(run, source, run->settings->vocabulary_from_all ? NULL : to.is_held, error);
    if (status == DFM_OK) status = dfm_destination_add(&to, source, error);
  }
  if (status == DFM_OK) status = dfm_destination_finish(&to, source, error);
  const int64_t rows = to.rows;
  dfm_destination_end(&to);
  return status == DFM_OK && rows == 0 ? dfm_fail_no_rows(source, error) : status;
}

static dfm_status read_train_rows(training *run, dfm_error *error) {
  dfm_source source;
  DFM_TRY(dfm_source_open(run->train_input, run->encoder, run->options, run->pool, &source, error));
  dfm_status status = dfm_storage_for(&source, run->options, splits_randomly(run), &run->rows, error);
  if (status == DFM_OK && splits_randomly(run))
    status = dfm_storage_for(&source, run->options, true, &run->held, error);
  if (status == DFM_OK) status = dfm_storage_pack(run->rows, dfm_pool_threads(run->pool), error);
  if (status == DFM_OK && run->held) status = dfm_storage_pack(run->held, dfm_pool_threads(run->pool), error);
  if (status == DFM_OK) status = read_rows(run, &source, run->rows, run->held, error);
  dfm_source_close(&source);
  return status;
}

/* The validation rows through the same vocabularies while they are still open. */
static dfm_status read_valid_rows(training *run, dfm_error *error) {
  dfm_source source;
  DFM_TRY(dfm_source_open(run->valid_input, run->encoder, run->options, run->pool, &source, error));
  dfm_status status = dfm_storage_for(&source, run->options, false, &run->held, error);
  if (status == DFM_OK) status = dfm_storage_pack(run->held, dfm_pool_threads(run->pool), error);
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

/* Goes to the row and fails with its place; only a text that has become shorter since succeeds. */
static dfm_status fail_unknown_in(const training *run, dfm_input *input, int64_t row, int f, dfm_error *error) {
  dfm_source source;
  DFM_TRY(dfm_source_open(input, run->encoder, run->options, run->pool, &source, error));
  dfm_status status = dfm_source_next(&source, error);
  for (; status == DFM_OK && source.n_blocks > 0 && row >= dfm_source_rows(&source);
       status = dfm_source_next(&source, error))
    row -= dfm_source_rows(&source);
  int block = 0;
  for (; status == DFM_OK && block < source.n_blocks && row >= source.block[block]->rows; block++)
    row -= source.block[block]->rows;
  if (status == DFM_OK && block < source.n_blocks) status = dfm_source_unknown(&source, block, (int)row, f, error);
  dfm_source_close(&source);
  return status;
}

static dfm_status fail_unknown(const training *run, int64_t row, int f, dfm_error *error) {
  dfm_input *input = run->valid_input ? run->valid_input : run->train_input;
  const char *name = run->encoder->category[f].name;
  if (dfm_input_is_rereadable(input)) DFM_TRY(fail_unknown_in(run, input, input_row(run, row), f, error));
  return dfm_fail(error, DFM_ERROR_FORMAT,
                  "%s: column '%s' of validation row %lld has a value that the training rows lack; "
                  "train on rows that have it, or with `unknown: row` for the column",
                  dfm_input_name(input), name, (long long)row + 1);
}

/* ---- the whole */

static dfm_status unpack(dfm_dataset *train, dfm_dataset *valid, dfm_pool *pool, dfm_error *error) {
  DFM_TRY(dfm_storage_unpack(train->storage, pool, error));
  return valid ? dfm_storage_unpack(valid->storage, pool, error) : DFM_OK;
}

dfm_status dfm_dataset_unpack(dfm_dataset *train, dfm_dataset *valid, int threads, dfm_error *error) {
  dfm_pool *pool;
  DFM_TRY(dfm_pool_create_exact(threads, &pool, error));
  const dfm_status status = unpack(train, valid, pool, error);
  dfm_pool_free(pool);
  return status;
}

static dfm_status settle(training *run, dfm_error *error) {
  const bool counts_valid = run->settings->vocabulary_from_all;
  dfm_unknown_cell cell = {.f = -1};
  const bool splits_tail = run->valid && run->train->storage == run->valid->storage;
  if (splits_tail && !counts_valid) DFM_TRY(dfm_settle_uncount(run->builder, run->valid, run->pool, error));
  DFM_TRY(run->growing
              ? dfm_settle_growing(run->growing, run->encoder, run->builder, run->train, run->valid, counts_valid,
                                   run->pool, &cell, &run->growth, error)
              : dfm_settle(run->encoder, run->builder, run->train, run->valid, counts_valid, run->pool, &cell, error));
  if (!run->keeps_packed || cell.f >= 0) DFM_TRY(unpack(run->train, run->valid, run->pool, error));
  return cell.f >= 0 ? fail_unknown(run, cell.row, cell.f, error) : DFM_OK;
}

static dfm_status run_training(training *run, dfm_error *error) {
  const int F = run->encoder->F;
  const bool joins_valid = run->valid_input && run->settings->vocabulary_from_all;
  DFM_TRY(dfm_alloc(&run->status, (size_t)F, sizeof *run->status, error));
  DFM_TRY(dfm_alloc(&run->failure, (size_t)F, sizeof *run->failure, error));
  DFM_TRY(dfm_alloc(&run->builder, (size_t)F, sizeof *run->builder, error));
  for (int f = 0; f < F; f++) dfm_vocabulary_builder_begin(&run->builder[f], &run->encoder->category[f]);
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
  DFM_TRY(dfm_dataset_file_training(path, run->settings, run->encoder, run->pool, &run->train, &run->valid, error));
  if (!run->valid_input) return DFM_OK;
  if (run->valid || run->settings->vocabulary_from_all) {
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "%s %s, so %s cannot be added to it; encode both together with --valid, or leave it out", path,
                    run->valid ? "has validation rows" : "has its vocabulary settled",
                    dfm_input_name(run->valid_input));
  }
  return dfm_dataset_read_encoded(run->valid_input, run->encoder, run->options, &run->valid, error);
}

/* Whatever it came to, the run is closed; its datasets go out where all went well. */
static dfm_status close_training(training *run, dfm_status status, dfm_dataset **train, dfm_dataset **valid) {
  for (int f = 0; run->builder && f < run->encoder->F; f++) dfm_vocabulary_builder_clear(&run->builder[f]);
  free(run->builder);
  free(run->status);
  free(run->failure);
  dfm_pool_free(run->pool);
  dfm_storage_release(run->rows);
  dfm_storage_release(run->held);
  dfm_encoder_release(run->encoder);
  if (status != DFM_OK) {
    dfm_dataset_free(run->train);
    dfm_dataset_free(run->valid);
    return status;
  }
  *train = run->train;
  *valid = run->valid;
  return DFM_OK;
}

static dfm_status read_training(training *run, const dfm_schema *schema, dfm_dataset **train, dfm_dataset **valid,
                                dfm_error *error) {
  const char *file = dfm_input_dataset(run->train_input);
  DFM_TRY(dfm_pool_create_exact(run->options ? run->options->threads : 0, &run->pool, error));
  dfm_status status = dfm_encoder_create(schema, run->settings, &run->encoder, error);
  if (status == DFM_OK) status = file ? read_file(run, file, error) : run_training(run, error);
  return close_training(run, status, train, valid);
}

dfm_status dfm_dataset_read_training(dfm_input *train_input, dfm_input *valid_input, const dfm_schema *schema,
                                     const dfm_data_settings *settings, const dfm_read_options *options,
                                     dfm_dataset **train, dfm_dataset **valid, dfm_error *error) {
  training run = {.train_input = train_input, .valid_input = valid_input, .settings = settings, .options = options};
  return read_training(&run, schema, train, valid, error);
}

dfm_status dfm_dataset_read_packed(dfm_input *train_input, dfm_input *valid_input, const dfm_schema *schema,
                                   const dfm_data_settings *settings, const dfm_read_options *options,
                                   dfm_dataset **train, dfm_dataset **valid, dfm_error *error) {
  training run = {.train_input = train_input,
                  .valid_input = valid_input,
                  .settings = settings,
                  .options = options,
                  .keeps_packed = true};
  return read_training(&run, schema, train, valid, error);
}

dfm_status dfm_dataset_read_growing(dfm_input *train_input, dfm_input *valid_input, const dfm_growing *growing,
                                    const dfm_data_settings *settings, const dfm_read_options *options,
                                    dfm_growth *growth, dfm_dataset **train, dfm_dataset **valid, dfm_error *error) {
  training run = {.train_input = train_input,
                  .valid_input = valid_input,
                  .settings = settings,
                  .options = options,
                  .growing = growing};
  DFM_TRY(dfm_pool_create_exact(options ? options->threads : 0, &run.pool, error));
  dfm_status status = dfm_growing_encoder(growing, &run.encoder, error);
  if (status == DFM_OK) status = run_training(&run, error);
  *growth = run.growth;
  return close_training(&run, status, train, valid);
}
