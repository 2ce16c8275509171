/* Blocks: a number of fields comes in; room for their rows goes out. */
#include "data/block.h"

#include <stdlib.h>

#include "base/memory.h"

static dfm_status allocate(dfm_block *block, const dfm_encoder *encoder, dfm_error *error) {
  const size_t n = DFM_BLOCK_ROWS;
  DFM_TRY(dfm_alloc(&block->list, (size_t)block->F, sizeof *block->list, error));
  for (int f = 0; f < block->F; f++) {
    if (encoder->category[f].is_list) {
      block->has_lists = true;
      DFM_TRY(dfm_alloc(&block->list[f].end, n, sizeof(uint32_t), error));
    }
  }
  DFM_TRY(dfm_alloc(&block->value, (size_t)block->F * DFM_BLOCK_STRIDE, sizeof *block->value, error));
  DFM_TRY(dfm_alloc(&block->id, (size_t)block->F * DFM_BLOCK_STRIDE, sizeof *block->id, error));
  DFM_TRY(dfm_alloc(&block->number, (size_t)block->D * n, sizeof *block->number, error));
  DFM_TRY(dfm_alloc(&block->label, n, sizeof *block->label, error));
  DFM_TRY(dfm_alloc(&block->weight, n, sizeof *block->weight, error));
  DFM_TRY(dfm_alloc(&block->truth, n, sizeof *block->truth, error));
  DFM_TRY(dfm_alloc(&block->at, n, sizeof *block->at, error));
  DFM_TRY(dfm_alloc(&block->bad, n, sizeof *block->bad, error));
  return dfm_alloc(&block->bad_reason, n, sizeof *block->bad_reason, error);
}

dfm_status dfm_block_create(const dfm_encoder *encoder, dfm_block **block, dfm_error *error) {
  dfm_block *made;
  DFM_TRY(dfm_alloc(&made, 1, sizeof *made, error));
  made->F = encoder->F;
  made->D = encoder->D;
  const dfm_status status = allocate(made, encoder, error);
  if (status != DFM_OK) {
    dfm_block_free(made);
    return status;
  }
  *block = made;
  return DFM_OK;
}

void dfm_block_free(dfm_block *block) {
  if (!block) return;
  for (int f = 0; block->list && f < block->F; f++) {
    free(block->list[f].item);
    free(block->list[f].weight);
    free(block->list[f].end);
  }
  free(block->list);
  free(block->value);
  free(block->id);
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
  for (int f = 0; f < block->F; f++) block->list[f].n = 0;
  block->status = DFM_OK;
}

dfm_status dfm_block_add_item(dfm_block *block, int f, dfm_value **item, float **weight, dfm_error *error) {
  dfm_block_list *list = &block->list[f];
  if (list->n == list->capacity) {
    size_t capacity = list->capacity;
    DFM_TRY(dfm_grow(&list->item, &capacity, list->n + 1, sizeof *list->item, error));
    capacity = list->capacity;
    DFM_TRY(dfm_grow(&list->weight, &capacity, list->n + 1, sizeof *list->weight, error));
    list->capacity = capacity;
  }
  *item = &list->item[list->n];
  *weight = &list->weight[list->n++];
  **item = (dfm_value){.id = DFM_ID_NONE};
  **weight = 1;
  return DFM_OK;
}

void dfm_block_end_list(dfm_block *block, int f) {
  block->list[f].end[block->rows] = (uint32_t)block->list[f].n;
}

void dfm_block_begin_row(dfm_block *block) {
  for (int f = 0; block->has_lists && f < block->F; f++) {
    dfm_block_list *list = &block->list[f];
    if (list->end) list->n = block->rows > 0 ? list->end[block->rows - 1] : 0;
  }
}

void dfm_block_take_ids(dfm_block *block, int f) {
  const dfm_value *value = dfm_block_value(block, f, 0);
  uint32_t *id = block->id + (size_t)f * DFM_BLOCK_STRIDE;
  for (int r = 0; r < block->rows; r++) id[r] = value[r].id;
}
