/* Sources: rows come as their kind gives them, blocks are filled from them by several threads, and what is wrong is told
 * in the order of the rows. */
#include "data/source.h"

#include <stdio.h>
#include <string.h>

/* ---- filling, one block a task */

static void leave_out(dfm_block *block, int at) {
  block->bad[block->n_bad] = at;
  block->bad_reason[block->n_bad++] = block->reason;
}

/* Text that does not stand in the source does not move while the block's values point into it: there is room first. */
static dfm_status fill(const dfm_source *source, size_t first, int n, dfm_cells *cells, dfm_block *block) {
  const size_t bytes = source->kind->text_bytes(source, first, n);
  if (bytes > 0) DFM_TRY(dfm_grow(&block->text, &block->text_capacity, bytes, 1, &block->error));
  cells->text = block->text;
  for (int i = 0; i < n; i++) {
    block->at[block->rows] = i;
    const dfm_status status = source->kind->parse(source, first + (size_t)i, cells, block, &block->error);
    if (status == DFM_ERROR_FORMAT && source->n_bad_allowed > 0) {
      leave_out(block, i);
    } else if (status != DFM_OK) {
      return status;
    }
  }
  return DFM_OK;
}

static void fill_task(void *context, int task, int thread) {
  const dfm_source *source = context;
  dfm_block *block = source->block[task];
  const size_t first = (size_t)task * DFM_BLOCK_ROWS, left = source->n_at_hand - first;
  dfm_block_clear(block);
  block->status =
      fill(source, first, left < DFM_BLOCK_ROWS ? (int)left : DFM_BLOCK_ROWS, &source->cells[thread], block);
}

/* ---- rows that are wrong */

/* Room for the text of a row that is looked at alone, and behind it for a value's head to be read at once. */
static dfm_status look_alone(dfm_source *source, size_t row, dfm_error *error) {
  const size_t bytes = source->kind->text_bytes(source, row, 1) + DFM_VALUE_HEAD;
  DFM_TRY(dfm_grow(&source->text, &source->text_capacity, bytes, 1, error));
  source->cells->text = source->text;
  return DFM_OK;
}

/* Reads the row that block `task` left out as its bad one `i` again, for its sentence. */
static dfm_status read_again(dfm_source *source, int task, int i, dfm_error *error) {
  dfm_block *block = source->block[task];
  const size_t row = (size_t)task * DFM_BLOCK_ROWS + (size_t)block->bad[i];
  DFM_TRY(look_alone(source, row, error));
  return source->kind->parse(source, row, source->cells, block, error);
}

static dfm_status fail_too_many(dfm_source *source, int task, int i, dfm_error *error) {
  const dfm_status status = read_again(source, task, i, error);
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
    if (source->bad.rows++ == 0) (void)read_again(source, task, i, &source->bad.first);
    source->bad.reason[block->bad_reason[i]]++;
  }
  return DFM_OK;
}

static dfm_status check_blocks(dfm_source *source, dfm_error *error) {
  for (int i = 0; i < source->n_blocks; i++) {
    const dfm_block *block = source->block[i];
    DFM_TRY(count_bad(source, i, error));
    if (block->status == DFM_OK) continue;
    if (error) *error = block->error;
    return block->status;
  }
  return DFM_OK;
}

dfm_status dfm_source_unknown(dfm_source *source, int block, int r, int f, dfm_error *error) {
  dfm_block *scratch = source->block[block];
  const size_t row = (size_t)block * DFM_BLOCK_ROWS + (size_t)scratch->at[r];
  DFM_TRY(look_alone(source, row, error));
  return source->kind->unknown(source, row, f, scratch, error);
}

/* ---- the whole */

int64_t dfm_source_rows(const dfm_source *source) {
  int64_t rows = 0;
  for (int i = 0; i < source->n_blocks; i++) rows += source->block[i]->rows;
  return rows;
}

dfm_status dfm_source_next(dfm_source *source, dfm_error *error) {
  do {
    DFM_TRY(source->kind->next(source, error));
    source->n_blocks = (int)((source->n_at_hand + DFM_BLOCK_ROWS - 1) / DFM_BLOCK_ROWS);
    dfm_pool_run(source->pool, source->n_blocks, fill_task, source);
    DFM_TRY(check_blocks(source, error));
  } while (source->n_blocks > 0 && dfm_source_rows(source) == 0);
  return DFM_OK;
}
