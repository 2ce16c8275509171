/* Category cells: numbers become buckets, values indices. */
#include "data/category.h"

#include <math.h>
#include <stdio.h>

#include "data/buckets.h"
#include "data/vocabulary.h"

/* The least number that has a name within a value's head. */
static const double LEAST = -9999999;

/* floor(ln(x)^2) where x > 2, else floor(x): the buckets that won Criteo's challenge of 2014. */
static double log_bucket(double x) {
  const double log_x = x > 2 ? log(x) : 0;
  const double bucket = x > 2 ? floor(log_x * log_x) : floor(x);
  return bucket > LEAST ? bucket : LEAST;
}

dfm_number_result dfm_category_transform(const dfm_field_settings *settings, dfm_value *value) {
  char name[32];
  double x;
  if (!dfm_category_is_number(settings) || value->n == 0 || value->n == DFM_VALUE_ABSENT) return DFM_NUMBER_OK;
  const dfm_number_result result = dfm_parse_double(dfm_value_bytes(value), value->n, &x);
  if (result != DFM_NUMBER_OK) return result;
  if (settings->buckets > 0) {
    *value = dfm_bucket_value(x);
    return DFM_NUMBER_OK;
  }
  *value = dfm_value_of(name, (size_t)snprintf(name, sizeof name, "%d", (int)log_bucket(x)));
  return DFM_NUMBER_OK;
}

void dfm_category_find_all(const dfm_encoder *encoder, int f, dfm_value *values, size_t n) {
  const dfm_category_field *field = &encoder->category[encoder->category[f].table];
  const uint64_t n_buckets = field->settings.hash > 0 ? (uint64_t)field->settings.hash : 0;
  if (field->settings.buckets > 0) {
    dfm_buckets_find_all(field, values, n);
    return;
  }
  if (n_buckets == 0) {
    dfm_vocabulary_find_all(&field->vocabulary, values, n);
    return;
  }
  for (size_t i = 0; i < n; i++)
    values[i].id =
        values[i].n == DFM_VALUE_ABSENT ? DFM_ID_NONE : (uint32_t)(dfm_value_hash_of(&values[i]) % n_buckets);
}
