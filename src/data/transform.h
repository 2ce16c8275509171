/* Transforms of numbers: the training rows' raw values come in, one column after the other; shift, scale and the
 * resolved transform go out. */
#ifndef DFM_DATA_TRANSFORM_H
#define DFM_DATA_TRANSFORM_H

#include "data/encoder.h"

/* What is known of one number column; zeroed at the start. Two passes over the same values in the same order: add, then
 * spread. */
typedef struct dfm_column_moments {
  int64_t n, n_at_most_minus_one;
  double sum, sum_log, minimum, maximum;
  double spread, spread_log, skew; /* sums of squared and cubed distances from the mean */
} dfm_column_moments;

/* `raw` NaN: an empty cell. */
void dfm_moments_add(dfm_column_moments *moments, const dfm_field_settings *settings, float raw);
void dfm_moments_spread(dfm_column_moments *moments, const dfm_field_settings *settings, float raw);
/* Sets the field's shift and scale, and its transform where that was `auto`. */
void dfm_transform_fit(dfm_number_field *field, const dfm_column_moments *moments);

#endif
