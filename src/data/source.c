/* Sources: rows come as their kind gives them, blocks are filled from them by several threads, and what is wrong is
 * told in the order of the rows. */
#include "data/source.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- filling, one block a task */

static void leave_out(dfm_block *block, int at) {
  block->bad[block->n_bad] = at;
  block->bad_reason[block->n_bad++] = block->reason;
}

/* Row `i` at hand into the row's block, whose next row it becomes; where it is wrong, block->reason says of what
 * kind. */
static dfm_status read_row(const dfm_source *source, size_t i, dfm_row *row, dfm_error *error) {
  dfm_block *block = row->block;
  block->reason = DFM_BAD_SHAPE;
  dfm_block_begin_row(block);
  block->label[block->rows] = NAN;
  block->weight[block->rows] = 1;
  block->truth[block->rows] = 0;
  DFM_TRY(source->kind->read(source, i, row, error));
  block->rows++;
  return DFM_OK;
}

/* Text that does not stand in the source does not move while the block's values point into it: there is room first. */
dfm_status dfm_source_fill_row(const dfm_source *source, size_t number, int i, dfm_row *row) {
  dfm_block *block = row->block;
  block->at[block->rows] = i;
  const dfm_status status = read_row(source, number, row, &block->error);
  if (status != DFM_ERROR_FORMAT || source->n_bad_allowed == 0) return status;
  leave_out(block, i);
  return DFM_OK;
}

static dfm_status fill(const dfm_source *source, size_t first, int n, dfm_row_scratch *scratch, dfm_block *block) {
  const size_t bytes = source->kind->text_bytes(source, first, n);
  dfm_row row = {.source = source, .encoder = source->encoder, .scratch = scratch, .block = block, .watched = -1};
  if (bytes > 0) DFM_TRY(dfm_grow(&block->text, &block->text_capacity, bytes, 1, &block->error));
  dfm_row_scratch_use(scratch, block->text, block->text_capacity);
  for (int i = 0; i < n; i++) DFM_TRY(dfm_source_fill_row(source, first + (size_t)i, i, &row));
  return DFM_OK;
}

static void fill_task(void *context, int task, int thread) {
  dfm_source *source = context;
  dfm_block *block = source->block[task];
  dfm_row_scratch *scratch = &source->scratch[thread];
  const size_t first = (size_t)task * DFM_BLOCK_ROWS, left = source->n_at_hand - first;
  dfm_block_clear(block);
  block->status = source->n_pieces > 0
                      ? source->kind->fill(source, task, scratch, block)
                      : fill(source, first, left < DFM_BLOCK_ROWS ? (int)left : DFM_BLOCK_ROWS, scratch, block);
}

/* ---- rows that are wrong */

dfm_status dfm_source_alone(dfm_source *source, size_t row, dfm_error *error) {
  const size_t bytes = source->kind->text_bytes(source, row, 1);
  if (bytes > 0) DFM_TRY(dfm_grow(&source->text, &source->text_capacity, bytes, 1, error));
  dfm_row_scratch_use(source->scratch, source->text, source->text_capacity);
  return DFM_OK;
}

/* Reads row `i` of block `task` again, into the block's next one; `row` says what came of it. */
static dfm_status read_again(dfm_source *source, int task, int i, dfm_row *row, dfm_error *error) {
  const size_t at = (size_t)task * DFM_BLOCK_ROWS + (size_t)i;
  row->source = source;
  row->encoder = source->encoder;
  row->scratch = source->scratch;
  row->block = source->block[task];
  DFM_TRY(dfm_source_alone(source, at, error));
  return read_row(source, at, row, error);
}

/* The sentence on the row that block `task` left out as its bad one `i`. */
static dfm_status say_bad(dfm_source *source, int task, int i, dfm_error *error) {
  dfm_row row = {.watched = -1};
  return read_again(source, task, source->block[task]->bad[i], &row, error);
}

static dfm_status fail_too_many(dfm_source *source, int task, int i, dfm_error *error) {
  const dfm_status status = say_bad(source, task, i, error);
  if (!error) return status;
  const size_t n = strlen(error->message);
  snprintf(error->message + n, sizeof error->message - n, " (%lld bad rows were left out before it, as many as may be)",
           (long long)source->n_bad_allowed);
  return status;
}

static dfm_status count_bad(dfm_source *source, int task, dfm_error *error) {
  const dfm_block *block = source->block[task];
  for (int i = 0; i < block->n_bad; i++) {
    if (source->bad.rows == source->n_bad_allowed) return fail_too_many(source, task, i, error);
    if (source->bad.rows++ == 0) (void)say_bad(source, task, i, &source->bad.first);
    source->bad.reason[block->bad_reason[i]]++;
  }
  return DFM_OK;
}

/* A row of a piece did not know its line when it was read. */
static dfm_status fail_block(dfm_source *source, int task, dfm_error *error) {
  const dfm_block *block = source->block[task];
  dfm_row row = {.watched = -1};
  if (block->status == DFM_ERROR_FORMAT && source->n_pieces > 0)
    return read_again(source, task, block->at[block->rows], &row, error);
  if (error) *error = block->error;
  return block->status;
}

static dfm_status check_blocks(dfm_source *source, dfm_error *error) {
  for (int i = 0; i < source->n_blocks; i++) {
    DFM_TRY(count_bad(source, i, error));
    if (source->block[i]->status != DFM_OK) return fail_block(source, i, error);
  }
  return DFM_OK;
}

dfm_status dfm_source_unknown(dfm_source *source, int block, int r, int f, dfm_error *error) {
  const int at = source->block[block]->at[r];
  dfm_row row = {.watched = f};
  dfm_block_clear(source->block[block]);
  DFM_TRY(read_again(source, block, at, &row, error));
  return dfm_row_fail(&row, &row.unknown, source->encoder->category[f].name, "has a value that the vocabulary lacks",
                      "correct the cell, train on rows that have it, or train with `unknown: row` for the column",
                      error);
}

/* ---- the whole */

int64_t dfm_source_rows(const dfm_source *source) {
  int64_t rows = 0;
  for (int i = 0; i < source->n_blocks; i++) rows += source->block[i]->rows;
  return rows;
}

void dfm_source_look_ahead(dfm_source *source) {
  if (source->kind->look_ahead) source->kind->look_ahead(source);
}

dfm_status dfm_source_next(dfm_source *source, dfm_error *error) {
  bool is_end;
  do {
    DFM_TRY(source->kind->next(source, error));
    const size_t known = (source->n_at_hand + DFM_BLOCK_ROWS - 1) / DFM_BLOCK_ROWS;
    source->n_blocks = (int)(source->n_pieces > 0 ? source->n_pieces : known);
    is_end = source->n_blocks == 0;
    dfm_pool_run(source->pool, source->n_blocks, fill_task, source);
    if (source->n_pieces > 0) source->kind->settle(source);
    DFM_TRY(check_blocks(source, error));
  } while (!is_end && dfm_source_rows(source) == 0);
  return DFM_OK;
}
