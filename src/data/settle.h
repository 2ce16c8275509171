/* Settling: packed rows with provisional values come in; vocabularies, fitted numbers and what the values become go
 * out. Private to the dataset's own files. */
#ifndef DFM_DATA_SETTLE_H
#define DFM_DATA_SETTLE_H

#include "base/pool.h"
#include "data/grow.h"
#include "data/storage.h"
#include "data/vocabulary.h"

/* A cell of the validation rows. */
typedef struct dfm_unknown_cell {
  int64_t row; /* in the view */
  int f;
} dfm_unknown_cell;

/* Closes the builders (F) and takes the view's rows out of what they counted: for rows that turn out to validate
 * after they were read. */
dfm_status dfm_settle_uncount(dfm_vocabulary_builder *builder, const dfm_dataset *view, dfm_pool *pool,
                              dfm_error *error);

/* Builders are of the fields that own a vocabulary; of those that share one they stay without values.
 * Freezes what the builders (F) counted to the encoder's vocabularies, clears them, fits the encoder's numbers to
 * `train`, counts the unknown and empty cells of both views, whose rows must be packed, and gives their storages the
 * places of their values, by which dfm_storage_unpack or a dataset file makes them ids. Lists' items are ids at once.
 * `valid` may be NULL; `counts_valid`: its rows were counted too. Where a validation row that was not counted has an
 * unknown value under the rule `error`, `*cell` becomes the first such cell; else it stays as it is. The same at any
 * number of threads. */
dfm_status dfm_settle(dfm_encoder *encoder, dfm_vocabulary_builder *builder, dfm_dataset *train, dfm_dataset *valid,
                      bool counts_valid, dfm_pool *pool, dfm_unknown_cell *cell, dfm_error *error);

/* The same where the encoder is grown from a model's (dfm_growing_encoder): vocabularies are, and numbers keep their
 * fit. `*growth`: of all vocabularies. */
dfm_status dfm_settle_growing(const dfm_growing *growing, dfm_encoder *encoder, dfm_vocabulary_builder *builder,
                              dfm_dataset *train, dfm_dataset *valid, bool counts_valid, dfm_pool *pool,
                              dfm_unknown_cell *cell, dfm_growth *growth, dfm_error *error);

/* Counts the view's unknown and empty cells and positive labels, and gives its lists' items their ids, by the storage's
 * places. `known` (F + D): counts that are taken from there; `missing` < 0: not this one; NULL: none. `cell` as above;
 * NULL: unknown values are no error. */
dfm_status dfm_settle_rows(dfm_dataset *view, const dfm_cell_counts *known, dfm_pool *pool, dfm_unknown_cell *cell,
                           dfm_error *error);

/* The part of it that is for numbers: fits the encoder's to `train`, and counts its empty cells in `missing` (D;
 * NULL: does not). */
dfm_status dfm_settle_numbers(dfm_encoder *encoder, const dfm_dataset *train, dfm_pool *pool, int64_t *missing,
                              dfm_error *error);

#endif
