/* Embedding tables: ids come in, rows of weights go out; gradients come in, stepped rows stay.
 *
 * A table belongs to the category field f that owns its vocabulary; others may share it. What a batch asks of it are
 * *places*: one per row for a single-valued field, one per item for a list. A table is planned, gathered and stepped
 * once for all of its fields' places.
 *
 * A row is packed, w (n) then the optimizer's states (n each) then the step of its last touch:
 *
 * OFFSET        SIZE     MEANING
 * 0             4 n      weights: the first-order weight where the table has one, then K factors
 * 4 n           4 n s    s = 0, 1 or 2 states per weight
 * 4 n (1 + s)   4        u32: 1 + the step after which the row holds; 0: never touched, its weights are those of the
 *                        initialiser
 *
 * Rows that are never touched cost no memory beyond the address space: their pages stay unmapped. */
#ifndef DFM_TABLE_TABLE_H
#define DFM_TABLE_TABLE_H

#include "base/pool.h"
#include "data/dataset.h"
#include "optim/optimizer.h"

/* How rows start: weight j is the initialiser's number (seed, field, fingerprint of the value, j), the unknown row
 * is zero. */
typedef struct dfm_table_init {
  bool is_uniform; /* else normal */
  float first,
      factors; /* bound (uniform) or standard deviation (normal) of the first-order weight and of the factors; 0: zeros */
  uint64_t seed;
} dfm_table_init;

typedef struct dfm_table {
  int field;         /* f, category field of the encoder; n = 0 where that shares another's table */
  const int *member; /* (n_members) the fields that use it: f, then those that share it, in order */
  int n_members;
  uint32_t V;
  int first;      /* 1: the row starts with a first-order weight */
  int n;          /* weights per row: first + K */
  int stride;     /* 4-byte words per row */
  bool is_frozen; /* rows stay as they start, and have no states */
  bool is_swept;  /* every row moves at every step (coupled L2 under exact updates) */
  bool is_summed; /* its rows are summed where they lie (sum.h), and never gathered */
  float *rows;    /* (V, stride) */
} dfm_table;

typedef struct dfm_tables {
  int F;
  dfm_table *table; /* (F) */
  int *member;      /* (F) the tables' members, one after the other */
  int states;
  bool reads_pieces;
  float l2_first, l2_factors;
  dfm_table_init init;
  const dfm_encoder *encoder;
  const dfm_optimizer *optimizer;
  const dfm_kernel *kernel;
  void *pages;
  size_t size_bytes;
} dfm_tables;

/* Tables for F fields: first[f] (0 or 1) and width[f] (K >= 0) say what a row of the table that f owns holds; n = 0
 * makes a table without rows, as it is of fields that share another's. Keeps the pointers. */
typedef struct dfm_tables_settings {
  const dfm_encoder *encoder;
  const dfm_optimizer *optimizer;
  const dfm_kernel *kernel;
  const int *first, *width;
  const bool *is_summed;      /* (F) */
  bool reads_pieces;          /* field-aware pairs: some factors of all gathered rows are read at a time (partners.h) */
  float l2_first, l2_factors; /* added to the gradient as l2 w */
  bool lazy;
  dfm_table_init init;
} dfm_tables_settings;
dfm_status dfm_tables_create(const dfm_tables_settings *settings, dfm_tables **tables, dfm_error *error);
void dfm_tables_free(dfm_tables *tables); /* NULL accepted */

/* The weights (n) that row `id` starts with. Any thread. */
void dfm_table_initial(const dfm_tables *tables, int f, uint32_t id, float *w);

/* Whether rows start with numbers drawn for their values; else with zeros. */
static inline bool dfm_table_draws(const dfm_tables *tables) {
  return tables->init.first != 0 || tables->init.factors != 0;
}

/* The weights (n) of row `id` after the current step, without writing to the table: a pointer into it where nothing
 * is to be caught up, else to `scratch` (3 n floats). Any thread, between steps. */
const float *dfm_table_read(const dfm_tables *tables, int f, uint32_t id, float *scratch);

/* Overwrites the weights of row `id` before the first step, with states zero. */
void dfm_table_set(const dfm_tables *tables, int f, uint32_t id, const float *w);

/* Starts the factors of f's table from a text file: lines "value v1 v2 ... vK", divided by tabs or spaces, as word
 * vectors come; a first line of two whole numbers, how many there are and K, is that format's header. Values that
 * the vocabulary lacks are passed over; those that the file lacks, and first-order weights, start as usual.
 * `*found`: how many rows it set. */
dfm_status dfm_table_preset(const dfm_tables *tables, int f, const char *path, int64_t *found, dfm_error *error);

/* ---- one training step: reserve, then by table plan and gather, (net), sweep, update. Different tables may run at
 * once, and different parts of one table's sweep. From gather on the touch words of the batch's rows say which
 * unique row they are (table/row.h), until update or apply sets them right. So each gather is followed by one of
 * these before the next one, also where a table is frozen, and nothing but these functions may look at the words
 * between. */

/* By field. `at` and `winner` are field f's; the rest is of the table that f owns. Places of all its fields are
 * numbered one after the other: place p of field f is at + p. Those without an id (DFM_ID_NONE) have the inverse U:
 * a row of zeros. */
typedef struct dfm_plan {
  uint32_t at;
  uint32_t *
      winner; /* (rows of the batch, n) lists that pool by max: the place that each pooled weight comes from; written by who pools */

  const dfm_batch *batch; /* the one planned */
  size_t n;               /* places */
  size_t capacity;        /* places that fit */
  int U;                  /* unique rows */
  uint32_t *unique;       /* (U) ids, in the order of their first place */
  uint32_t *inverse;      /* (n) place -> u */
  size_t ld;              /* floats from one gathered row to the next */
  float *weights;         /* (U + 1, row) gathered rows, the last one zero; none of a table that is summed */
  float *gradients;       /* (U + 1, row), only while the gradient norm is clipped; else NULL */
  bool keeps_gradients;
  /* Made while the table is updated, where its fields have partners (partners.c): unique row u is wanted by the rows
   * order[start[u] .. start[u + 1]), ascending; those without an id are by none. */
  uint32_t *start; /* (U + 2) */
  uint32_t *order; /* (n) */
  char *room;      /* of the first one: what the arrays of all lie in, except `winner` */
  size_t room_bytes;
} dfm_plan;
/* Plans (F) for batches of up to `capacity` rows. */
dfm_status dfm_plans_create(const dfm_tables *tables, int capacity, bool keeps_gradients, dfm_plan **plans,
                            dfm_error *error);
void dfm_plans_free(dfm_plan *plans, int F); /* NULL accepted */
/* Makes room for the batch's places, where its lists are longer than any before. */
dfm_status dfm_plans_reserve(const dfm_tables *tables, dfm_plan *plans, const dfm_batch *batch, dfm_error *error);

/* Floats that the gradients of any of the planned tables [from, to) take. */
size_t dfm_plans_gradient_floats(const dfm_tables *tables, const dfm_plan *plans, int from, int to);

/* Plans the batch's places in the tables [from, to) and gathers their rows, caught up to the step before the current
 * one. */
void dfm_tables_gather(const dfm_tables *tables, int from, int to, dfm_plan *plans, const dfm_batch *batch);

/* Where a row's gradient comes from. A place of field f in row b with coefficient c adds c dlogit[b] to the
 * first-order weight and c de[b * lde ...] (K) to the factors; of a list pooled by max to those weights that it won.
 * Where de is that of a sum which the place is part of (items that pair within a list; all fields of an fm), the
 * place takes its pair with itself away again: c^2 dlogit[b] times its factors. */
typedef struct dfm_field_gradient {
  bool has_first;            /* the field's first-order weights are in the logit */
  bool has_within;           /* de counts the field's pairs with itself */
  int within_from, within_n; /* by these factors */
  int slot;                  /* of field-aware pairs, -1: in none */
  int lde;
  const float *de; /* (B, lde), already at the field's column; NULL where it has none */
} dfm_field_gradient;
/* Factors (n, slots, K), rows ld floats apart: a table's gathered ones, or those of one slot in each row of the
 * batch. */
typedef struct dfm_factor_rows {
  const float *at;
  size_t ld, n;
  size_t piece; /* number of the first one's piece */
} dfm_factor_rows;
/* Field-aware pairs. What a row of factors keeps for one slot is a *piece*. The gradient of what the field in slot i
 * keeps for slot j is dlogit times the piece for slot i of what the row of the batch has in slot j; for itself a
 * field keeps what items of a list pair by. */
typedef struct dfm_pairs {
  int slots, K; /* slots 0: pairs are not field-aware */
  int n_rows;
  const dfm_factor_rows *rows; /* (n_rows) */
  const uint32_t *piece;       /* (B, slots) of each row of the batch; zeros where it has nothing */
  size_t column_floats;        /* room for all pieces for one slot */
} dfm_pairs;
typedef struct dfm_table_gradient {
  const float *dlogit;             /* (B) */
  const dfm_field_gradient *field; /* (F) */
  dfm_pairs pairs;
} dfm_table_gradient;

/* Steps the rows that no place wants, of a table where all rows move (else nothing): by `scale` times their penalty.
 * Part `part` of `parts` of its ids; before the table's update or apply. */
void dfm_table_sweep(const dfm_tables *tables, int t, float scale, int part, int parts);

/* Room for one call: g (dfm_plans_gradient_floats), columns (DFM_COLUMNS gradient->pairs.column_floats). */
typedef struct dfm_update_room {
  float *g, *columns;
} dfm_update_room;
/* Accumulates the gradients of the tables [from, to) in the order of places and steps their rows. */
void dfm_tables_update(const dfm_tables *tables, int from, int to, dfm_plan *plans, const dfm_table_gradient *gradient,
                       dfm_update_room room);

/* The same in two halves, for clipping: gradients are kept in the plan and their squared norm (penalty included)
 * returned; then, scaled, they step the rows. dfm_table_idle_squares is the squared norm of what dfm_table_sweep
 * steps by at scale 1. */
double dfm_table_accumulate(const dfm_tables *tables, int t, dfm_plan *plans, const dfm_table_gradient *gradient,
                            float *columns);
double dfm_table_idle_squares(const dfm_tables *tables, int t, int part, int parts);
void dfm_table_apply(const dfm_tables *tables, int t, dfm_plan *plans, float scale);

#endif
