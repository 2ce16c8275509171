/* Rows of text: spans are taken from the files one after the other, blocks are filled from them by several threads, and
 * what is wrong is told in the order of the rows. */
#include "data/source.h"

#include <stdio.h>
#include <string.h>

#include "data/category.h"
#include "data/list_cell.h"

/* ---- filling, one block a task */

/* Room for the text of cells that contain "": it does not move while the block's values point into it. */
static dfm_status reserve_text(dfm_block *block, const dfm_row_span *spans, int n, dfm_error *error) {
  size_t bytes = 0;
  for (int i = 0; i < n; i++) bytes += spans[i].has_quote ? spans[i].n : 0;
  return bytes > 0 ? dfm_grow(&block->text, &block->text_capacity, bytes, 1, error) : DFM_OK;
}

static void leave_out(dfm_block *block, int at) {
  block->bad[block->n_bad] = at;
  block->bad_reason[block->n_bad++] = block->reason;
}

static dfm_status fill(const dfm_source *source, const dfm_row_span *spans, int n, dfm_cells *cells, dfm_block *block) {
  DFM_TRY(reserve_text(block, spans, n, &block->error));
  cells->text = block->text;
  for (int i = 0; i < n; i++) {
    block->at[block->rows] = i;
    const dfm_status status = dfm_source_parse(source, &spans[i], cells, block, &block->error);
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
  const size_t first = (size_t)task * DFM_BLOCK_ROWS, left = source->n_spans - first;
  dfm_block_clear(block);
  block->status = fill(source, source->spans + first, left < DFM_BLOCK_ROWS ? (int)left : DFM_BLOCK_ROWS,
                       &source->cells[thread], block);
}

/* ---- rows that are wrong */

/* Reads the row that block `task` left out as its bad one `i` again, for its sentence. */
static dfm_status read_again(dfm_source *source, int task, int i, dfm_error *error) {
  dfm_block *block = source->block[task];
  const dfm_row_span *span = &source->spans[task * DFM_BLOCK_ROWS + block->bad[i]];
  DFM_TRY(dfm_grow(&source->text, &source->text_capacity, span->n, 1, error));
  source->cells->text = source->text;
  return dfm_source_parse(source, span, source->cells, block, error);
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

/* The part of field f's cell that the vocabulary lacks: all of it, or of a list the first such item. */
static dfm_status find_unknown(const dfm_source *source, int f, dfm_cell *cell, dfm_block *scratch, dfm_error *error) {
  const dfm_encoder *encoder = source->encoder;
  const char separator = (char)encoder->category[f].settings.separator;
  for (size_t from = 0; encoder->category[f].is_list && from < cell->n;) {
    const char *stop = memchr(cell->bytes + from, separator, cell->n - from);
    const size_t end = stop ? (size_t)(stop - cell->bytes) : cell->n;
    const dfm_cell item =
        dfm_cell_clean(encoder->schema, (dfm_cell){cell->bytes + from, end - from, cell->column + from});
    dfm_cell bad;
    dfm_block_clear(scratch);
    DFM_TRY(dfm_list_cell_read(encoder, f, item, item.bytes + item.n, scratch, &bad, error));
    dfm_category_find_all(encoder, f, scratch->list[f].item, scratch->list[f].n);
    if (scratch->list[f].n > 0 && scratch->list[f].item->id == DFM_ID_NONE) {
      *cell = item;
      return DFM_OK;
    }
    from = end + 1;
  }
  return DFM_OK;
}

dfm_status dfm_source_unknown(dfm_source *source, int block, int r, int f, dfm_error *error) {
  const dfm_row_span *span = &source->spans[block * DFM_BLOCK_ROWS + source->block[block]->at[r]];
  const dfm_schema *schema = source->encoder->schema;
  dfm_cells *cells = source->cells;
  DFM_TRY(dfm_grow(&source->text, &source->text_capacity, span->n, 1, error));
  cells->text = source->text;
  DFM_TRY(dfm_delimited_split(span, schema->separator, dfm_text_rows_path(source->rows),
                              dfm_text_rows_limit(source->rows), cells, error));
  dfm_cell cell = dfm_cell_clean(schema, cells->cell[source->category_at[f]]);
  DFM_TRY(find_unknown(source, f, &cell, source->block[block], error));
  return dfm_source_fail_cell(
      source, span, &cell, source->encoder->category[f].name, "has a value that the vocabulary lacks",
      "correct the cell, train on rows that have it, or train with `unknown: row` for the column", error);
}

/* ---- the whole */

/* The next spans, none behind the last file's last. */
static dfm_status next_spans(dfm_source *source, dfm_error *error) {
  bool is_open = true;
  if (source->has_first_row) {
    source->has_first_row = false;
    return DFM_OK;
  }
  do {
    DFM_TRY(dfm_text_rows_next(source->rows, source->spans, source->capacity, &source->n_spans, error));
    if (source->n_spans > 0) return DFM_OK;
    DFM_TRY(dfm_source_next_file(source, &is_open, error));
  } while (is_open);
  return DFM_OK;
}

int64_t dfm_source_rows(const dfm_source *source) {
  int64_t rows = 0;
  for (int i = 0; i < source->n_blocks; i++) rows += source->block[i]->rows;
  return rows;
}

dfm_status dfm_source_next(dfm_source *source, dfm_error *error) {
  do {
    DFM_TRY(next_spans(source, error));
    source->n_blocks = (int)((source->n_spans + DFM_BLOCK_ROWS - 1) / DFM_BLOCK_ROWS);
    dfm_pool_run(source->pool, source->n_blocks, fill_task, source);
    DFM_TRY(check_blocks(source, error));
  } while (source->n_blocks > 0 && dfm_source_rows(source) == 0);
  return DFM_OK;
}
