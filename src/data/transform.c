/* Fitting of number transforms: moments of a column come in; shift, scale and the choice that `auto` makes go out. */
#include "data/transform.h"

#include <math.h>

/* `auto` takes the log of a column whose tail is heavy: skewness above that of an exponential's with a margin, or a
 * largest value far above the mean; and where at most one value in a hundred is lost to the log's floor at -1. */
static const double HEAVY_SKEWNESS = 3, HEAVY_MAXIMUM = 20, FLOORED_SHARE = 0.01;

static double value_of(const dfm_field_settings *settings, float raw) {
  return isnan(raw) ? settings->missing : (double)raw;
}

static double log_of(double x) {
  return x > -1 ? log(1 + x) : -1;
}

void dfm_moments_add(dfm_column_moments *moments, const dfm_field_settings *settings, float raw) {
  const double x = value_of(settings, raw);
  if (isnan(x)) return;
  if (moments->n == 0 || x < moments->minimum) moments->minimum = x;
  if (moments->n == 0 || x > moments->maximum) moments->maximum = x;
  moments->n++;
  moments->n_at_most_minus_one += x <= -1;
  moments->sum += x;
  if (settings->transform == DFM_TRANSFORM_AUTO) moments->sum_log += log_of(x);
}

void dfm_moments_spread(dfm_column_moments *moments, const dfm_field_settings *settings, float raw) {
  const double x = value_of(settings, raw);
  if (isnan(x)) return;
  const double away = x - moments->sum / (double)moments->n;
  moments->spread += away * away;
  moments->skew += away * away * away;
  if (settings->transform == DFM_TRANSFORM_AUTO) {
    const double away_log = log_of(x) - moments->sum_log / (double)moments->n;
    moments->spread_log += away_log * away_log;
  }
}

static bool is_heavy_tailed(const dfm_column_moments *moments) {
  const double n = (double)moments->n, deviation = sqrt(moments->spread / n);
  if ((double)moments->n_at_most_minus_one > FLOORED_SHARE * n || !(deviation > 0)) return false;
  return moments->skew / n > HEAVY_SKEWNESS * deviation * deviation * deviation ||
         (moments->sum > 0 && moments->maximum > HEAVY_MAXIMUM * moments->sum / n);
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
      if (is_auto) set_range(field, moments->sum_log / n, sqrt(moments->spread_log / n));
      break;
    case DFM_TRANSFORM_STANDARD:
      /* The mean of equal values may differ from them in the last bit; the width must not be that difference. */
      if (moments->minimum == moments->maximum) {
        set_range(field, moments->minimum, 0);
      } else {
        set_range(field, moments->sum / n, sqrt(moments->spread / n));
      }
      break;
    case DFM_TRANSFORM_MINMAX:
      set_range(field, moments->minimum, moments->maximum - moments->minimum);
      break;
    default:
      break;
  }
}
