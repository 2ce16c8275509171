/* Category cells: a cell's value comes in; the value that it stands for, and its index, go out. */
#ifndef DFM_DATA_CATEGORY_H
#define DFM_DATA_CATEGORY_H

#include "base/number.h"
#include "data/encoder.h"
#include "data/value.h"

/* What settings.transform makes of the value, in place: with log2 a number becomes the name of its bucket, with
 * settings.buckets its eight bytes. The empty
 * and the absent cell stay. The result is that of reading the number, and the value as it was where that is not
 * DFM_NUMBER_OK. */
dfm_number_result dfm_category_transform(const dfm_field_settings *settings, dfm_value *value);

/* Whether the field's cells must be numbers (or empty). */
static inline bool dfm_category_is_number(const dfm_field_settings *settings) {
  return settings->transform == DFM_TRANSFORM_LOG2 || settings->buckets > 0;
}

/* Looks `n` transformed values of field f up: `id` becomes the value's index or its bucket, DFM_ID_NONE where it is
 * unknown or absent. The row of the table is that plus dfm_encoder_first. */
void dfm_category_find_all(const dfm_encoder *encoder, int f, dfm_value *values, size_t n);

#endif
