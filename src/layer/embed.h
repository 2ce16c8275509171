/* Embedding: a batch and where its rows come from come in; the edges EMBED, FIRST and WITHIN, or pointers to the
 * rows, go out. Lists are pooled here. */
#ifndef DFM_LAYER_EMBED_H
#define DFM_LAYER_EMBED_H

#include "layer/layer.h"
#include "table/table.h"

/* Where scoring finds rows: a function that returns the weights of row `id` of the table that field f owns, either
 * in place or in `scratch` (3 (1 + DFM_MAX_ROW_FACTORS) floats, or 3 n). */
typedef struct dfm_row_source {
  const void *context;
  const float *(*row)(const void *context, int f, uint32_t id, float *scratch);
  /* (F), by the field that owns a table: where its rows lie, where they always do; these are asked for ahead. NULL:
   * `row` says of each. */
  const struct dfm_plain_rows *plain;
} dfm_row_source;
typedef struct dfm_plain_rows {
  const float *rows;
  size_t stride; /* floats from one to the next */
} dfm_plain_rows;

/* One of the two: rows that were gathered, or a source of any. */
typedef struct dfm_embedding {
  const dfm_plan *plans; /* (F) */
  const dfm_row_source *source;
} dfm_embedding;

/* Rows [b0, b1) of the edges, and a logit that starts at zero. Where the net has slots, at most `tile` rows: the
 * pointers of scored ones are good until the next call. */
void dfm_embed(const dfm_embedding *from, const dfm_pass *pass, const dfm_batch *batch, int b0, int b1);

#endif
