/* Ages of values: rows come in; how long ago each value of a vocabulary was last seen goes out.
 *
 * The age of a value is the number of training rows since it was last seen, 0 where the last row has it; it stops at
 * DFM_AGE_NEVER. */
#ifndef DFM_DATA_AGE_H
#define DFM_DATA_AGE_H

#include "base/pool.h"
#include "data/dataset.h"

#define DFM_AGE_NEVER UINT32_MAX

/* Values of field f that have an age: those of its own vocabulary. Buckets have none, for they stay, nor have the
 * values of another field's. */
uint64_t dfm_ages_count(const dfm_encoder *encoder, int f);
/* Ages over the rows of `train` alone, by field and value; DFM_AGE_NEVER where none of them has the value;
 * `pool` NULL: by this thread alone. */
dfm_status dfm_ages_create(const dfm_dataset *train, dfm_pool *pool, uint32_t ***ages, dfm_error *error);
void dfm_ages_free(uint32_t **ages); /* NULL accepted */
/* The age of a value that was `age` old before `rows` rows without it. */
uint32_t dfm_age_after(uint32_t age, int64_t rows);

/* dfm_ages_create for whatever the rows' ids count: table f's are first[f] (NULL: 0) to first[f] + n[f] - 1. */
dfm_status dfm_ages_of(const dfm_dataset *train, const uint64_t *n, const uint32_t *first, dfm_pool *pool,
                       uint32_t ***ages, dfm_error *error);

#endif
