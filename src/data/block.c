/* Blocks: a number of fields comes in; room for their rows goes out. */
#include "data/block.h"

#include <stdlib.h>

#include "base/memory.h"

static dfm_status allocate(dfm_block *block, dfm_error *error) {
  const size_t n = DFM_BLOCK_ROWS;
  DFM_TRY(dfm_alloc(&block->value, (size_t)block->F * DFM_BLOCK_STRIDE, sizeof *block->value, error));
  DFM_TRY(dfm_alloc(&block->number, (size_t)block->D * n, sizeof *block->number, error));
  DFM_TRY(dfm_alloc(&block->label, n, sizeof *block->label, error));
  DFM_TRY(dfm_alloc(&block->weight, n, sizeof *block->weight, error));
  DFM_TRY(dfm_alloc(&block->truth, n, sizeof *block->truth, error));
  DFM_TRY(dfm_alloc(&block->at, n, sizeof *block->at, error));
  DFM_TRY(dfm_alloc(&block->bad, n, sizeof *block->bad, error));
  return dfm_alloc(&block->bad_reason, n, sizeof *block->bad_reason, error);
}

dfm_status dfm_block_create(int F, int D, dfm_block **block, dfm_error *error) {
  dfm_block *made;
  DFM_TRY(dfm_alloc(&made, 1, sizeof *made, error));
  made->F = F;
  made->D = D;
  const dfm_status status = allocate(made, error);
  if (status != DFM_OK) {
    dfm_block_free(made);
    return status;
  }
  *block = made;
  return DFM_OK;
}

void dfm_block_free(dfm_block *block) {
  if (!block) return;
  free(block->value);
  free(block->number);
  free(block->label);
  free(block->weight);
  free(block->truth);
  free(block->at);
  free(block->bad);
  free(block->bad_reason);
  free(block->text);
  free(block);
}

void dfm_block_clear(dfm_block *block) {
  block->rows = block->n_bad = 0;
  block->status = DFM_OK;
}
