/* Fitting of number transforms: moments of a column come in; shift, scale and the choice that `auto` makes go out. */
#include "data/transform.h"

#include <math.h>

/* `auto` takes the log of a column whose tail is heavy: skewness above that of an exponential's with a margin, or a
 * largest value far above the mean; and where at most one value in a hundred is lost to the log's floor at -1. */
static const double HEAVY_SKEWNESS = 3, HEAVY_MAXIMUM = 20, FLOORED_SHARE = 0.01;

/* Sums run in four lanes, because each addition to one waits for the last. `x` has room for a whole number of lanes. */
enum { LANES = 4 };

static void fill_lanes(double *x, int n, double value) {
  for (; n % LANES != 0; n++) x[n] = value;
}

static double mean_of(double *x, int n) {
  double sum[LANES] = {0};
  fill_lanes(x, n, 0);
  for (int i = 0; i < n; i += LANES)
    for (int k = 0; k < LANES; k++) sum[k] += x[i + k];
  return (sum[0] + sum[1] + sum[2] + sum[3]) / n;
}

static void spread_of(double *x, int n, double mean, double *spread, double *skew) {
  double square[LANES] = {0}, cube[LANES] = {0};
  fill_lanes(x, n, mean);
  for (int i = 0; i < n; i += LANES) {
    for (int k = 0; k < LANES; k++) {
      const double away = x[i + k] - mean;
      square[k] += away * away;
      cube[k] += away * away * away;
    }
  }
  *spread = square[0] + square[1] + square[2] + square[3];
  *skew = cube[0] + cube[1] + cube[2] + cube[3];
}

/* Least and greatest have no order, so they are looked for where values are narrowest. NaN is neither; `missing`
 * counts, too. */
enum { RANGE_LANES = 8 };

static void range_of(const float *raw, int n, double missing, dfm_column_moments *made) {
  float least[RANGE_LANES], most[RANGE_LANES];
  int i = 0, low = 0;
  for (int k = 0; k < RANGE_LANES; k++) least[k] = INFINITY, most[k] = -INFINITY;
  for (; i + RANGE_LANES <= n; i += RANGE_LANES)
    for (int k = 0; k < RANGE_LANES; k++) {
      least[k] = raw[i + k] < least[k] ? raw[i + k] : least[k];
      most[k] = raw[i + k] > most[k] ? raw[i + k] : most[k];
    }
  for (; i < n; i++) {
    least[0] = raw[i] < least[0] ? raw[i] : least[0];
    most[0] = raw[i] > most[0] ? raw[i] : most[0];
  }
  made->minimum = made->maximum = missing;
  for (int k = 0; k < RANGE_LANES; k++) {
    made->minimum = fmin(made->minimum, least[k]);
    made->maximum = fmax(made->maximum, most[k]);
  }
  made->minimum += 0.0; /* of -0 and 0 it is 0, whichever came first */
  made->maximum += 0.0;
  for (i = 0; i < n && made->minimum <= -1; i++) low += (isnan(raw[i]) ? missing : (double)raw[i]) <= -1;
  made->n_at_most_minus_one = low;
}

/* The values side by side; how many. Those of the empty cells, `*n_empty`, are `missing`; NaN: none. */
static int take_values(const float *raw, int n, double missing, double *x, int *n_empty) {
  const int kept = !isnan(missing);
  int m = 0, empty = 0;
  for (int i = 0; i < n; i++) {
    const int is_empty = isnan(raw[i]) != 0;
    x[m] = is_empty ? missing : (double)raw[i];
    m += kept | (is_empty ^ 1);
    empty += is_empty;
  }
  *n_empty = empty;
  return m;
}

dfm_column_moments dfm_moments_of(const dfm_field_settings *settings, const double logs[DFM_LOGS], const float *raw,
                                  int n, int *n_empty) {
  dfm_column_moments made = {0};
  double x[DFM_MOMENTS_ROWS + LANES], skew_log;
  const int m = take_values(raw, n, settings->missing, x, n_empty);
  if (m == 0) return made;
  made.n = m;
  range_of(raw, n, *n_empty > 0 ? settings->missing : NAN, &made);
  made.mean = mean_of(x, m);
  spread_of(x, m, made.mean, &made.spread, &made.skew);
  if (settings->transform != DFM_TRANSFORM_AUTO) return made;
  for (int i = 0; i < m; i++) x[i] = dfm_log_of(logs, x[i]);
  made.mean_log = mean_of(x, m);
  spread_of(x, m, made.mean_log, &made.spread_log, &skew_log);
  return made;
}

/* Two samples with n and m values, means a and b: the distances from either mean become those from the common one
 * (Chan, Golub and LeVeque 1979; the third moment by Pebay 2008). */
void dfm_moments_add(dfm_column_moments *moments, const dfm_column_moments *further) {
  if (further->n == 0) return;
  if (moments->n == 0) {
    *moments = *further;
    return;
  }
  const double n = (double)moments->n, m = (double)further->n, all = n + m;
  const double d = further->mean - moments->mean, d_log = further->mean_log - moments->mean_log;
  moments->skew += further->skew + d * d * d * n * m * (n - m) / (all * all) +
                   3 * d * (n * further->spread - m * moments->spread) / all;
  moments->spread += further->spread + d * d * n * m / all;
  moments->spread_log += further->spread_log + d_log * d_log * n * m / all;
  moments->mean += d * m / all;
  moments->mean_log += d_log * m / all;
  moments->n += further->n;
  moments->n_at_most_minus_one += further->n_at_most_minus_one;
  if (further->minimum < moments->minimum) moments->minimum = further->minimum;
  if (further->maximum > moments->maximum) moments->maximum = further->maximum;
}

static bool is_heavy_tailed(const dfm_column_moments *moments) {
  const double n = (double)moments->n, deviation = sqrt(moments->spread / n);
  if ((double)moments->n_at_most_minus_one > FLOORED_SHARE * n || !(deviation > 0)) return false;
  return moments->skew / n > HEAVY_SKEWNESS * deviation * deviation * deviation ||
         (moments->mean > 0 && moments->maximum > HEAVY_MAXIMUM * moments->mean);
}

/* A constant column, whose width is 0 (or too small to divide by), keeps scale 1. */
static void set_range(dfm_number_field *field, double shift, double width) {
  const double scale = 1 / width;
  field->shift = shift;
  field->scale = width > 0 && isfinite(scale) ? scale : 1;
}

void dfm_transform_fit(dfm_number_field *field, const dfm_column_moments *moments) {
  const double n = moments->n > 0 ? (double)moments->n : 1;
  const bool is_auto = field->settings.transform == DFM_TRANSFORM_AUTO;
  field->is_auto = is_auto;
  field->shift = 0;
  field->scale = 1;
  if (is_auto)
    field->settings.transform = moments->n > 0 && is_heavy_tailed(moments) ? DFM_TRANSFORM_LOG : DFM_TRANSFORM_STANDARD;
  switch ((dfm_transform)field->settings.transform) {
    case DFM_TRANSFORM_LOG:
      if (is_auto) set_range(field, moments->mean_log, sqrt(moments->spread_log / n));
      break;
    case DFM_TRANSFORM_STANDARD:
      /* The mean of equal values may differ from them in the last bit; the width must not be that difference. */
      if (moments->minimum == moments->maximum) {
        set_range(field, moments->minimum, 0);
      } else {
        set_range(field, moments->mean, sqrt(moments->spread / n));
      }
      break;
    case DFM_TRANSFORM_MINMAX:
      set_range(field, moments->minimum, moments->maximum - moments->minimum);
      break;
    default:
      break;
  }
}
