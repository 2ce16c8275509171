/* Embedding tables: ids come in, rows of weights go out; gradients come in, stepped rows stay.
 *
 * A row is packed, w (n) then the optimizer's states (n each) then the step of its last touch:
 *
 * OFFSET             SIZE       MEANING
 * 0                  4 n        weights: the first-order weight where the table has one, then K factors
 * 4 n                4 n s      s = 0, 1 or 2 states per weight
 * 4 n (1 + s)        4          u32: 1 + the step after which the row holds; 0: never touched, its weights are those of the initialiser
 *
 * Rows that are never touched cost no memory beyond the address space: their pages stay unmapped. */
#ifndef DFM_TABLE_TABLE_H
#define DFM_TABLE_TABLE_H

#include "base/pool.h"
#include "data/dataset.h"
#include "optim/optimizer.h"

/* How rows start: weight j is the initialiser's number (seed, field, fingerprint of the value, j), the unknown row is zero. */
typedef struct dfm_table_init {
  bool is_uniform; /* else normal */
  float first,
      factors; /* bound (uniform) or standard deviation (normal) of the first-order weight and of the factors; 0: zeros */
  uint64_t seed;
} dfm_table_init;

typedef struct dfm_table {
  int field; /* f, category field of the encoder */
  uint32_t V;
  int first;     /* 1: the row starts with a first-order weight */
  int n;         /* weights per row: first + K */
  int stride;    /* 4-byte words per row */
  bool is_swept; /* every row moves at every step (coupled L2 under exact updates) */
  float *rows;   /* (V, stride) */
} dfm_table;

typedef struct dfm_tables {
  int F;
  dfm_table *table; /* (F) */
  int states;
  float l2_first, l2_factors;
  dfm_table_init init;
  const dfm_encoder *encoder;
  const dfm_optimizer *optimizer;
  const dfm_kernel *kernel;
  void *pages;
  size_t size_bytes;
} dfm_tables;

/* Tables for F fields: first[f] (0 or 1) and width[f] (K >= 0) say what a row holds; n = 0 makes a table without rows. Keeps the pointers. */
typedef struct dfm_tables_settings {
  const dfm_encoder *encoder;
  const dfm_optimizer *optimizer;
  const dfm_kernel *kernel;
  const int *first, *width;
  float l2_first, l2_factors; /* added to the gradient as l2 w */
  bool lazy;
  dfm_table_init init;
} dfm_tables_settings;
dfm_status dfm_tables_create(const dfm_tables_settings *settings, dfm_tables **tables, dfm_error *error);
void dfm_tables_free(dfm_tables *tables); /* NULL accepted */

/* The weights (n) that row `id` starts with. Any thread. */
void dfm_table_initial(const dfm_tables *tables, int f, uint32_t id, float *w);

/* The weights (n) of row `id` after the current step, without writing to the table: a pointer into it where nothing is to be caught up, else
 * to `scratch` (3 n floats). Any thread, between steps. */
const float *dfm_table_read(const dfm_tables *tables, int f, uint32_t id, float *scratch);

/* Overwrites the weights of row `id` before the first step, with states zero. */
void dfm_table_set(const dfm_tables *tables, int f, uint32_t id, const float *w);

/* ---- one training step of one field: plan, gather, (net), update. Different fields, and different parts of one field's update, may run at once. */

/* What a batch asks of one table. Row places with no id (DFM_ID_NONE) are in no unique row's list; their inverse is U. */
typedef struct dfm_plan {
  int capacity;
  int U;             /* unique rows */
  uint32_t *unique;  /* (U) ids, ascending */
  uint32_t *start;   /* (U + 1) unique row u is wanted by order[start[u] .. start[u + 1]) */
  uint32_t *order;   /* (B) places in the batch, ascending within a unique row */
  uint32_t *inverse; /* (B) place -> u */
  float *weights;    /* (U + 1, n) gathered rows; the last one is zero */
  float *gradients;  /* (U, n), only while the gradient norm is clipped; else NULL */
  uint32_t *scratch; /* (3 B) */
} dfm_plan;
dfm_status dfm_plan_create(const dfm_table *table, int capacity, bool keeps_gradients, dfm_plan *plan,
                           dfm_error *error);
void dfm_plan_free(dfm_plan *plan);

/* Plans the places of `id` (B) and gathers their rows, caught up to the step before the current one. */
void dfm_table_gather(const dfm_tables *tables, int f, dfm_plan *plan, const uint32_t *id, int B);

/* Where a row's gradient comes from: place b adds dlogit[b] to the first-order weight and de[b * lde ...] (K) to the factors. */
typedef struct dfm_table_gradient {
  const float *dlogit; /* (B) */
  const float *de;     /* (B, lde), already at the field's column; NULL where K = 0 */
  int lde;
} dfm_table_gradient;

/* Accumulates gradients in the order of places and steps the rows of part `part` of `parts` of the table. */
void dfm_table_update(const dfm_tables *tables, int f, dfm_plan *plan, const dfm_table_gradient *gradient, int part,
                      int parts);

/* The same in two halves, for clipping: gradients of a part are kept in the plan and their squared norm (penalty included, rows that are only
 * swept too) returned; then, scaled, they step the rows. */
double dfm_table_accumulate(const dfm_tables *tables, int f, dfm_plan *plan, const dfm_table_gradient *gradient,
                            int part, int parts);
void dfm_table_apply(const dfm_tables *tables, int f, dfm_plan *plan, float scale, int part, int parts);

#endif
