/* Transforms of numbers: the training rows' raw values come in, piece by piece; shift, scale and the resolved transform
 * go out. */
#ifndef DFM_DATA_TRANSFORM_H
#define DFM_DATA_TRANSFORM_H

#include "data/encoder.h"

/* What is known of some values of one number column; zeroed: of none. */
typedef struct dfm_column_moments {
  int64_t n, n_at_most_minus_one;
  double minimum, maximum;
  double mean, spread, skew;   /* of the values; sums of squared and cubed distances from the mean */
  double mean_log, spread_log; /* the same of their logs, where the transform is `auto` */
} dfm_column_moments;

/* Rows that dfm_moments_of takes at most. */
enum { DFM_MOMENTS_ROWS = 512 };

/* The moments of the values raw[i], i < n; NaN: an empty cell. `*n_empty` of them. */
dfm_column_moments dfm_moments_of(const dfm_field_settings *settings, const double logs[DFM_LOGS], const float *raw,
                                  int n, int *n_empty);
/* Those of the values behind both. Sums round, so the order of additions is part of the result. */
void dfm_moments_add(dfm_column_moments *moments, const dfm_column_moments *further);
/* Sets the field's shift and scale, and its transform where that was `auto`. */
void dfm_transform_fit(dfm_number_field *field, const dfm_column_moments *moments);

#endif
