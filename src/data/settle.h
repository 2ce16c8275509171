/* Settling: rows with provisional values come in; vocabularies, fitted numbers and rows with ids go out. Private to the
 * dataset's own files. */
#ifndef DFM_DATA_SETTLE_H
#define DFM_DATA_SETTLE_H

#include "data/storage.h"
#include "data/vocabulary.h"

/* A cell of the validation rows. */
typedef struct dfm_unknown_cell {
  int64_t row; /* in the view */
  int f;
} dfm_unknown_cell;

/* `builder` (F): of the fields that own a vocabulary; {0} of those that share one.
 * Makes the encoder's vocabularies from `train` (and from `valid` where `counts_valid`), fits its numbers to `train`,
 * and turns the provisional values of both views into ids, with their counts of unknown and empty cells. `valid` may be
 * NULL. Where a validation row that makes no vocabulary has an unknown value under the rule `error`, `*cell` becomes
 * the first such cell; else it stays as it is. */
dfm_status dfm_settle(dfm_encoder *encoder, const dfm_vocabulary_builder *builder, dfm_dataset *train,
                      dfm_dataset *valid, bool counts_valid, dfm_unknown_cell *cell, dfm_error *error);

/* The part of it that is for numbers: fits the encoder's to `train`. */
dfm_status dfm_settle_numbers(dfm_encoder *encoder, const dfm_dataset *train, dfm_error *error);

#endif
