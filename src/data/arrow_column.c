/* Arrow columns: formats are looked up in a table; buffers are bound and cells are read by type. Memory of a producer
 * is read by memcpy, since nobody promises that it is aligned. */
#include "data/arrow_column.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/number.h"

/* ---- types */

static const struct {
  const char *format;
  dfm_arrow_type type;
} formats[] = {{"n", DFM_ARROW_NULL},        {"b", DFM_ARROW_BOOL},       {"c", DFM_ARROW_INT8},
               {"C", DFM_ARROW_UINT8},       {"s", DFM_ARROW_INT16},      {"S", DFM_ARROW_UINT16},
               {"i", DFM_ARROW_INT32},       {"I", DFM_ARROW_UINT32},     {"l", DFM_ARROW_INT64},
               {"L", DFM_ARROW_UINT64},      {"e", DFM_ARROW_HALF},       {"f", DFM_ARROW_FLOAT},
               {"g", DFM_ARROW_DOUBLE},      {"tdD", DFM_ARROW_DAYS},     {"tdm", DFM_ARROW_DATE},
               {"u", DFM_ARROW_TEXT},        {"z", DFM_ARROW_TEXT},       {"U", DFM_ARROW_LARGE_TEXT},
               {"Z", DFM_ARROW_LARGE_TEXT},  {"vu", DFM_ARROW_TEXT_VIEW}, {"vz", DFM_ARROW_TEXT_VIEW},
               {"w:", DFM_ARROW_FIXED_TEXT}, {"+l", DFM_ARROW_LIST},      {"+L", DFM_ARROW_LARGE_LIST},
               {"+w:", DFM_ARROW_FIXED_LIST}};

/* "d:PRECISION,SCALE", of 128 bits. */
static bool read_decimal(const char *format, dfm_arrow_column *column) {
  enum { MOST_DIGITS = 38 };
  const char *comma = strchr(format, ',');
  long long precision, scale;
  if (strncmp(format, "d:", 2) != 0 || !comma) return false;
  const size_t n = strcspn(comma + 1, ","), n_precision = (size_t)(comma - format) - 2;
  if (!dfm_parse_int64(format + 2, n_precision, &precision) || !dfm_parse_int64(comma + 1, n, &scale)) return false;
  if (precision < 1 || precision > MOST_DIGITS || scale < 0 || scale > MOST_DIGITS) return false;
  if (comma[1 + n] && strcmp(comma + 1 + n, ",128") != 0) return false;
  column->digits = (int)scale;
  return true;
}

/* "tsUNIT:ZONE"; without a zone it is not known what the clock shows where. */
static bool read_timestamp(const char *format, dfm_arrow_column *column) {
  static const char units[] = "smun"; /* each a thousandth of the one before */
  const char *unit = strncmp(format, "ts", 2) == 0 && format[2] ? strchr(units, format[2]) : NULL;
  if (!unit || format[3] != ':') return false;
  column->digits = 3 * (int)(unit - units);
  column->is_utc = format[4] != 0;
  return true;
}

/* The type of a format, and what the format says of it besides. */
static dfm_arrow_type read_format(const char *format, dfm_arrow_column *column) {
  for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
    const size_t n = strlen(formats[i].format);
    long long number;
    if (formats[i].format[n - 1] != ':') {
      if (strcmp(format, formats[i].format) == 0) return formats[i].type;
    } else if (strncmp(format, formats[i].format, n) == 0 && dfm_parse_int64(format + n, strlen(format + n), &number) &&
               number >= 0 && number <= INT32_MAX) {
      column->width = number;
      return formats[i].type;
    }
  }
  if (read_decimal(format, column)) return DFM_ARROW_DECIMAL;
  return read_timestamp(format, column) ? DFM_ARROW_TIMESTAMP : DFM_ARROW_OTHER;
}

static bool is_plain(const dfm_arrow_column *column) {
  return column->type != DFM_ARROW_OTHER && column->type != DFM_ARROW_DICTIONARY && !dfm_arrow_is_list(column);
}

static dfm_status open_values(const struct ArrowSchema *schema, dfm_arrow_column *column, dfm_error *error) {
  DFM_TRY(dfm_alloc(&column->values, 1, sizeof *column->values, error));
  if (!schema || !schema->format) {
    column->type = DFM_ARROW_OTHER;
    return DFM_OK;
  }
  column->values->type = read_format(schema->format, column->values);
  column->values->format = schema->format;
  const bool has_entries = schema->dictionary && column->type != DFM_ARROW_DICTIONARY;
  if (has_entries && column->values->type >= DFM_ARROW_INT8 && column->values->type <= DFM_ARROW_UINT64) {
    column->values->index = column->values->type;
    column->values->type = DFM_ARROW_DICTIONARY;
    DFM_TRY(open_values(schema->dictionary, column->values, error));
    if (column->values->type == DFM_ARROW_OTHER) column->type = DFM_ARROW_OTHER;
  } else if (schema->dictionary || !is_plain(column->values)) {
    column->type = DFM_ARROW_OTHER;
  }
  return DFM_OK;
}

dfm_status dfm_arrow_column_open(const struct ArrowSchema *schema, dfm_arrow_column *column, dfm_error *error) {
  *column = (dfm_arrow_column){.format = schema->format};
  column->type = read_format(schema->format, column);
  if (schema->dictionary) {
    column->index = column->type;
    const bool is_index = column->type >= DFM_ARROW_INT8 && column->type <= DFM_ARROW_UINT64;
    column->type = is_index ? DFM_ARROW_DICTIONARY : DFM_ARROW_OTHER;
    return is_index ? open_values(schema->dictionary, column, error) : DFM_OK;
  }
  if (!dfm_arrow_is_list(column)) return DFM_OK;
  return open_values(schema->n_children == 1 && schema->children ? schema->children[0] : NULL, column, error);
}

void dfm_arrow_column_close(dfm_arrow_column *column) {
  if (!column->values) return;
  dfm_arrow_column_close(column->values);
  free(column->values);
  column->values = NULL;
}

/* ---- reading memory */

#define LOAD(name, type)                                           \
  static inline type load_##name(const uint8_t *from, int64_t i) { \
    type value;                                                    \
    memcpy(&value, from + (size_t)i * sizeof value, sizeof value); \
    return value;                                                  \
  }
LOAD(i8, int8_t)
LOAD(i16, int16_t)
LOAD(u16, uint16_t)
LOAD(i32, int32_t)
LOAD(u32, uint32_t)
LOAD(i64, int64_t)
LOAD(u64, uint64_t)
LOAD(float, float)
LOAD(double, double)

static inline bool has_bit(const uint8_t *bits, int64_t i) {
  return bits[i / 8] >> (i % 8) & 1;
}

/* An integer of any width; one of more than 63 bits is negative. */
static inline int64_t load_integer(dfm_arrow_type type, const uint8_t *data, int64_t i) {
  switch (type) {
    case DFM_ARROW_INT8:
      return load_i8(data, i);
    case DFM_ARROW_UINT8:
      return data[i];
    case DFM_ARROW_INT16:
      return load_i16(data, i);
    case DFM_ARROW_UINT16:
      return load_u16(data, i);
    case DFM_ARROW_INT32:
      return load_i32(data, i);
    case DFM_ARROW_UINT32:
      return load_u32(data, i);
    default:
      return load_i64(data, i);
  }
}

/* Offset `i` of text or a list. */
static inline int64_t load_offset(const dfm_arrow_column *column, int64_t i) {
  const bool is_wide = column->type == DFM_ARROW_LARGE_TEXT || column->type == DFM_ARROW_LARGE_LIST;
  return is_wide ? load_i64(column->offsets, i) : load_i32(column->offsets, i);
}

/* IEEE binary16: sign, 5 bits of exponent, 10 of fraction. */
static double half_value(uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double size = exponent == 31  ? (fraction ? (double)NAN : (double)INFINITY)
                      : exponent == 0 ? ldexp(fraction, -24)
                                      : ldexp(fraction + 1024, exponent - 25);
  return bits >> 15 ? -size : size;
}

static inline double load_real(const dfm_arrow_column *column, int64_t slot) {
  if (column->type == DFM_ARROW_DOUBLE) return load_double(column->data, slot);
  if (column->type == DFM_ARROW_FLOAT) return (double)load_float(column->data, slot);
  return half_value(load_u16(column->data, slot));
}

static inline bool is_real(const dfm_arrow_column *column) {
  return column->type >= DFM_ARROW_HALF && column->type <= DFM_ARROW_DOUBLE;
}

enum { DECIMAL_BYTES = 16 };

/* A view: length, then up to 12 bytes, or 4 of them, a buffer and an offset in it. */
enum { VIEW_BYTES = 16, VIEW_INLINE = 12 };

static inline const uint8_t *view_of(const dfm_arrow_column *column, int64_t slot) {
  return column->data + slot * VIEW_BYTES;
}

/* ---- binding */

static bool fail_at(dfm_arrow_fault *fault, const char *what, int64_t row) {
  *fault = (dfm_arrow_fault){what, row};
  return false;
}

static bool fail(dfm_arrow_fault *fault, const char *what) {
  return fail_at(fault, what, -1);
}

/* Offsets of the rows that are bound: within [0, end], ascending. */
static bool check_offsets(const dfm_arrow_column *column, int64_t end, dfm_arrow_fault *fault) {
  int64_t before = load_offset(column, column->first);
  if (before < 0) return fail_at(fault, "an offset that is negative", 0);
  for (int64_t i = 0; i < column->length; i++) {
    const int64_t next = load_offset(column, column->first + i + 1);
    if (next < before) return fail_at(fault, "offsets that do not ascend", i);
    if (next - before > INT32_MAX) return fail_at(fault, "a cell of more than 2 GB", i);
    before = next;
  }
  return before <= end ? true : fail_at(fault, "an offset behind the end of its items", column->length - 1);
}

static bool bind_text(dfm_arrow_column *column, const struct ArrowArray *array, dfm_arrow_fault *fault) {
  column->offsets = array->buffers[1];
  column->data = array->buffers[2];
  if (!column->offsets) return fail(fault, "no buffer of offsets");
  if (!check_offsets(column, INT64_MAX, fault)) return false;
  const int64_t start = load_offset(column, column->first), end = load_offset(column, column->first + column->length);
  if (!column->data && end > start) return fail(fault, "no buffer of text");
  if (!column->data) column->data = (const uint8_t *)"";
  column->limit = column->data + (end > start ? end : 0);
  return true;
}

static bool bind_views(dfm_arrow_column *column, const struct ArrowArray *array, dfm_arrow_fault *fault) {
  const int64_t n_data = array->n_buffers - 3;
  const uint8_t *sizes = array->buffers[array->n_buffers - 1];
  column->data = array->buffers[1];
  column->buffers = array->buffers;
  if (!column->data) return fail(fault, "no buffer of views");
  for (int64_t i = 0; i < column->length; i++) {
    if (dfm_arrow_is_null(column, i)) continue;
    const uint8_t *view = view_of(column, column->first + i);
    const int64_t n = load_i32(view, 0), at = load_i32(view, 2), from = load_i32(view, 3);
    if (n < 0) return fail_at(fault, "a view of negative length", i);
    if (n <= VIEW_INLINE) continue;
    if (at < 0 || at >= n_data || !sizes || !array->buffers[2 + at] || from < 0 || from + n > load_i64(sizes, at))
      return fail_at(fault, "a view that points outside of its buffers", i);
  }
  return true;
}

static bool bind_list(dfm_arrow_column *column, const struct ArrowArray *array, dfm_arrow_fault *fault) {
  if (array->n_children != 1 || !array->children || !array->children[0]) return fail(fault, "no items");
  const struct ArrowArray *items = array->children[0];
  if (column->type == DFM_ARROW_FIXED_LIST) {
    const int64_t slots = column->first + column->length;
    if (column->width > 0 && slots > items->length / column->width)
      return fail(fault, "fewer items than its rows need");
  } else {
    column->offsets = array->buffers[1];
    if (!column->offsets) return fail(fault, "no buffer of offsets");
    if (!check_offsets(column, items->length, fault)) return false;
  }
  if (dfm_arrow_column_bind(column->values, items, 0, items->length, fault)) return true;
  fault->row = -1; /* it is an item's */
  return false;
}

static bool bind_dictionary(dfm_arrow_column *column, const struct ArrowArray *array, dfm_arrow_fault *fault) {
  const struct ArrowArray *entries = array->dictionary;
  column->data = array->buffers[1];
  if (!column->data) return fail(fault, "no buffer of indices");
  if (!entries) return fail(fault, "no dictionary");
  for (int64_t i = 0; i < column->length; i++) {
    if (dfm_arrow_is_null(column, i)) continue;
    const int64_t entry = dfm_arrow_entry(column, i);
    if (entry < 0 || entry >= entries->length) return fail_at(fault, "an index that its dictionary lacks", i);
  }
  if (dfm_arrow_column_bind(column->values, entries, 0, entries->length, fault)) return true;
  fault->row = -1; /* it is the dictionary's */
  return false;
}

static bool check_array(const dfm_arrow_column *column, const struct ArrowArray *array, int64_t skip, int64_t n,
                        dfm_arrow_fault *fault) {
  static const int8_t buffers[] = {[DFM_ARROW_TEXT] = 3,
                                   [DFM_ARROW_LARGE_TEXT] = 3,
                                   [DFM_ARROW_TEXT_VIEW] = 3,
                                   [DFM_ARROW_FIXED_LIST] = 1,
                                   [DFM_ARROW_DICTIONARY] = 2};
  const int64_t needed = column->type == DFM_ARROW_NULL ? 0 : buffers[column->type] ? buffers[column->type] : 2;
  const int64_t room = INT64_MAX / VIEW_BYTES - 1;
  if (array->length < 0 || array->offset < 0 || array->offset > room || array->length > room - array->offset)
    return fail(fault, "a length or offset that is negative or too large");
  if (n > array->length || skip > array->length - n) return fail(fault, "fewer rows than its batch");
  if (array->n_buffers < needed || (needed > 0 && !array->buffers)) return fail(fault, "too few buffers for its type");
  if (array->n_buffers > needed && column->type != DFM_ARROW_TEXT_VIEW && column->type != DFM_ARROW_NULL)
    return fail(fault, "too many buffers for its type");
  if (needed > 0 && array->null_count > 0 && !array->buffers[0]) return fail(fault, "nulls but no buffer of validity");
  return true;
}

bool dfm_arrow_column_bind(dfm_arrow_column *column, const struct ArrowArray *array, int64_t skip, int64_t n,
                           dfm_arrow_fault *fault) {
  if (!check_array(column, array, skip, n, fault)) return false;
  column->first = array->offset + skip;
  column->length = n;
  if (n == 0 || column->type == DFM_ARROW_NULL) return true;
  column->validity = array->null_count == 0 ? NULL : array->buffers[0];
  switch (column->type) {
    case DFM_ARROW_TEXT:
    case DFM_ARROW_LARGE_TEXT:
      return bind_text(column, array, fault);
    case DFM_ARROW_TEXT_VIEW:
      return bind_views(column, array, fault);
    case DFM_ARROW_LIST:
    case DFM_ARROW_LARGE_LIST:
    case DFM_ARROW_FIXED_LIST:
      return bind_list(column, array, fault);
    case DFM_ARROW_DICTIONARY:
      return bind_dictionary(column, array, fault);
    default:
      column->data = array->buffers[1];
      break;
  }
  if (column->type == DFM_ARROW_FIXED_TEXT) {
    if (column->width > 0 && column->first + n > INT64_MAX / column->width) return fail(fault, "cells without end");
    column->limit = column->data + (column->data ? (column->first + n) * column->width : 0);
    if (column->width == 0) column->data = column->limit = (const uint8_t *)"";
  }
  return column->data ? true : fail(fault, "no buffer of values");
}

/* ---- cells */

bool dfm_arrow_is_null(const dfm_arrow_column *column, int64_t row) {
  if (column->type == DFM_ARROW_NULL) return true;
  return column->validity && !has_bit(column->validity, column->first + row);
}

int64_t dfm_arrow_entry(const dfm_arrow_column *column, int64_t row) {
  return load_integer(column->index, column->data, column->first + row);
}

bool dfm_arrow_find(const dfm_arrow_column **column, int64_t *row) {
  if (dfm_arrow_is_null(*column, *row)) return false;
  if ((*column)->type == DFM_ARROW_DICTIONARY) {
    *row = dfm_arrow_entry(*column, *row);
    *column = (*column)->values;
    if (dfm_arrow_is_null(*column, *row)) return false;
  }
  return !is_real(*column) || !isnan(load_real(*column, (*column)->first + *row));
}

void dfm_arrow_items(const dfm_arrow_column *column, int64_t row, int64_t *start, int64_t *end) {
  const int64_t slot = column->first + row;
  if (column->type == DFM_ARROW_FIXED_LIST) {
    *start = slot * column->width;
    *end = *start + column->width;
  } else {
    *start = load_offset(column, slot);
    *end = load_offset(column, slot + 1);
  }
}

float dfm_arrow_float(const dfm_arrow_column *column, int64_t row) {
  const int64_t slot = column->first + row;
  if (column->type == DFM_ARROW_BOOL) return has_bit(column->data, slot);
  if (is_real(column)) return (float)load_real(column, slot);
  if (column->type == DFM_ARROW_UINT64) return (float)load_u64(column->data, slot);
  return (float)load_integer(column->type, column->data, slot);
}

static size_t write_cell(const dfm_arrow_column *column, int64_t slot, char *room) {
  switch (column->type) {
    case DFM_ARROW_HALF:
    case DFM_ARROW_FLOAT:
    case DFM_ARROW_DOUBLE:
      return dfm_arrow_write_real(room, load_real(column, slot), column->type == DFM_ARROW_DOUBLE);
    case DFM_ARROW_UINT64:
      return dfm_arrow_write_integer(room, load_u64(column->data, slot), false);
    case DFM_ARROW_DECIMAL:
      return dfm_arrow_write_decimal(room, column->data + slot * DECIMAL_BYTES, column->digits);
    case DFM_ARROW_DAYS:
      return dfm_arrow_write_date(room, load_i32(column->data, slot));
    case DFM_ARROW_TIMESTAMP:
      return dfm_arrow_write_timestamp(room, load_i64(column->data, slot), column->digits, column->is_utc);
    case DFM_ARROW_DATE: {
      static const int64_t day = 86400 * 1000;
      const int64_t ms = load_i64(column->data, slot);
      return dfm_arrow_write_date(room, ms / day - (ms % day < 0));
    }
    default:
      break;
  }
  const int64_t value = load_integer(column->type, column->data, slot);
  return dfm_arrow_write_integer(room, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0);
}

static const char *view_bytes(const dfm_arrow_column *column, int64_t slot, size_t *n, const char **limit) {
  const uint8_t *view = view_of(column, slot);
  *n = (size_t)load_i32(view, 0);
  const char *bytes = *n <= VIEW_INLINE ? (const char *)view + 4
                                        : (const char *)column->buffers[2 + load_i32(view, 2)] + load_i32(view, 3);
  *limit = bytes + (*n <= VIEW_INLINE ? VIEW_INLINE : *n);
  return bytes;
}

const char *dfm_arrow_bytes(const dfm_arrow_column *column, int64_t row, char room[DFM_ARROW_BYTES], size_t *n,
                            const char **limit) {
  const int64_t slot = column->first + row;
  *limit = (const char *)column->limit;
  switch (column->type) {
    case DFM_ARROW_TEXT:
    case DFM_ARROW_LARGE_TEXT: {
      const int64_t start = load_offset(column, slot);
      *n = (size_t)(load_offset(column, slot + 1) - start);
      return (const char *)column->data + (*n > 0 ? start : 0);
    }
    case DFM_ARROW_TEXT_VIEW:
      return view_bytes(column, slot, n, limit);
    case DFM_ARROW_FIXED_TEXT:
      *n = (size_t)column->width;
      return (const char *)column->data + slot * column->width;
    case DFM_ARROW_BOOL:
      *n = has_bit(column->data, slot) ? 4 : 5;
      memcpy(room, *n == 4 ? "true" : "false", *n);
      break;
    default:
      *n = write_cell(column, slot, room);
      break;
  }
  *limit = room + DFM_ARROW_BYTES;
  return room;
}
