/* Growing: a model's encoder and new rows, read with every value of theirs kept, come in; the same rows, encoded by a grown encoder, go out.
 *
 * The age of a value is the number of training rows since it was last seen, 0 where the last row has it; it stops at DFM_AGE_NEVER. */
#ifndef DFM_DATA_GROW_H
#define DFM_DATA_GROW_H

#include "data/dataset.h"

#define DFM_AGE_NEVER UINT32_MAX

/* Ages over the rows of `train` alone, by field and value; DFM_AGE_NEVER where none of them has the value. */
dfm_status dfm_ages_create(const dfm_dataset *train, uint32_t ***ages, dfm_error *error);
void dfm_ages_free(uint32_t **ages); /* NULL accepted */
/* The age of a value that was `age` old before `rows` rows without it. */
uint32_t dfm_age_after(uint32_t age, int64_t rows);

/* What grows, and by which rules. `ages` (F) are those of the values of `encoder`, which stays as it is. */
typedef struct dfm_growing {
  const dfm_encoder *encoder;
  const uint32_t *const *ages;
  const dfm_growth_options *options;
  bool counts_valid; /* validation rows admit values too */
} dfm_growing;

/* `train` and `valid` (may be NULL) are as dfm_dataset_read_training gives them under the encoder's schema with every value of all rows kept. In
 * the order of ids: the values that stay, in their order; then the admitted ones, in the order that the field's settings ask for. Number fields keep
 * their fit; counts of rows add up. */
dfm_status dfm_dataset_grow(const dfm_growing *growing, dfm_dataset *train, dfm_dataset *valid, dfm_growth *growth,
                            dfm_error *error);

#endif
