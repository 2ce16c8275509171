/* Quantile buckets: counted numbers of a category field come in; buckets of about equally many rows go out, in the form
 * of a vocabulary whose values are the buckets' least numbers as text, ascending, and the empty cell where there was
 * one. */
#ifndef DFM_DATA_BUCKETS_H
#define DFM_DATA_BUCKETS_H

#include "data/vocabulary.h"

/* What numbers are counted as: a value of eight bytes. */
dfm_value dfm_bucket_value(double number);

/* dfm_vocabulary_settle for a field with settings.buckets: makes its vocabulary and `bucket_from`. */
dfm_status dfm_buckets_settle(dfm_vocabulary_builder *builder, dfm_category_field *field, uint32_t *place,
                              dfm_error *error);
/* The same for a field whose buckets are those of `old`, whose counts are added to: no number makes another bucket. */
dfm_status dfm_buckets_keep(dfm_vocabulary_builder *builder, const dfm_category_field *old, dfm_category_field *field,
                            uint32_t *place, dfm_error *error);
/* Makes bucket_from of a vocabulary that was loaded; `*is_good` false where its values are no ascending numbers. */
dfm_status dfm_buckets_load(dfm_category_field *field, bool *is_good, dfm_error *error);
/* Sets the ids of values made by dfm_bucket_value, or empty or absent. A number below the first bucket belongs to
 * it. */
void dfm_buckets_find_all(const dfm_category_field *field, dfm_value *values, size_t n);

/* "[3, 7.5)": the numbers of bucket `i`, into `room`; `*n` bytes. */
const char *dfm_bucket_name(const dfm_category_field *field, uint32_t i, char room[DFM_VALUE_NAME_BYTES], size_t *n);

#endif
