/* Quantile buckets: numbers are sorted, cut where their rows make equal parts, and looked up by binary search. Equal
 * numbers are one value, so ties are never cut. */
#include "data/buckets.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/number.h"

dfm_value dfm_bucket_value(double number) {
  number += 0.0; /* -0 is 0 */
  return dfm_value_of((const char *)&number, sizeof number);
}

static double number_of(uint64_t head) {
  double number;
  memcpy(&number, &head, sizeof number);
  return number;
}

/* The bucket with the last start at or below `number`; there is one at least. */
static uint32_t find(const dfm_category_field *field, double number) {
  uint32_t low = 0, high = field->n_buckets;
  while (high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    if (number < field->bucket_from[middle]) {
      high = middle;
    } else {
      low = middle;
    }
  }
  return low;
}

void dfm_buckets_find_all(const dfm_category_field *field, dfm_value *values, size_t n) {
  const bool has_empty = field->vocabulary.n > field->n_buckets;
  for (size_t i = 0; i < n; i++) {
    const bool is_number = values[i].n == sizeof(double);
    values[i].id = DFM_ID_NONE;
    if (is_number && field->n_buckets > 0) values[i].id = find(field, number_of(values[i].head));
    if (values[i].n == 0 && has_empty) values[i].id = field->n_buckets;
  }
}

const char *dfm_bucket_name(const dfm_category_field *field, uint32_t i, char room[DFM_VALUE_NAME_BYTES], size_t *n) {
  char from[DFM_DOUBLE_BYTES] = "-inf", to[DFM_DOUBLE_BYTES] = "inf";
  if (i > 0) (void)dfm_format_double(from, field->bucket_from[i]);
  if (i + 1 < field->n_buckets) (void)dfm_format_double(to, field->bucket_from[i + 1]);
  *n = (size_t)snprintf(room, DFM_VALUE_NAME_BYTES, "%s%s, %s)", i == 0 ? "(" : "[", from, to);
  return room;
}

/* ---- settling */

/* A distinct number, later a bucket that starts with it. */
typedef struct counted {
  double number;
  uint64_t count;
} counted;

static int by_number(const void *left, const void *right) {
  const counted *a = left, *b = right;
  return (a->number > b->number) - (a->number < b->number);
}

/* The numbers that occur, ascending; free() them. */
static dfm_status list_numbers(const dfm_vocabulary_builder *builder, counted **list, uint32_t *n, uint64_t *rows,
                               dfm_error *error) {
  *n = 0;
  *rows = 0;
  DFM_TRY(dfm_alloc(list, builder->n, sizeof **list, error));
  for (uint32_t value = 0; value < builder->n; value++) {
    const dfm_record *record = dfm_builder_record(builder, value);
    const uint64_t count = record->meta >> DFM_LENGTH_BITS;
    if (value == builder->empty || count == 0) continue;
    (*list)[(*n)++] = (counted){number_of(record->head), count};
    *rows += count;
  }
  qsort(*list, *n, sizeof **list, by_number);
  return DFM_OK;
}

/* A number belongs to the part of the rows in which its first row is. Returns how many parts have numbers. */
static uint32_t cut(counted *list, uint32_t n, uint64_t rows, uint32_t parts) {
  uint64_t before = 0, last = 0;
  uint32_t made = 0;
  for (uint32_t i = 0; i < n; i++) {
    const counted at = list[i];
    const uint64_t part = (uint64_t)((double)before / (double)rows * parts);
    if (made == 0 || part != last) {
      list[made++] = at;
    } else {
      list[made - 1].count += at.count;
    }
    last = part;
    before += at.count;
  }
  return made;
}

static void add_value(dfm_vocabulary *vocabulary, uint64_t i, const char *text, size_t n, uint64_t count) {
  uint64_t *offsets = (uint64_t *)(uintptr_t)vocabulary->offsets;
  uint32_t *index = (uint32_t *)(uintptr_t)vocabulary->index;
  uint64_t slot = dfm_value_hash(text, n) & (vocabulary->index_size - 1);
  memcpy((uint8_t *)(uintptr_t)vocabulary->bytes + offsets[i], text, n);
  offsets[i + 1] = offsets[i] + n;
  ((uint64_t *)(uintptr_t)vocabulary->counts)[i] = count;
  while (index[slot] != 0) slot = (slot + 1) & (vocabulary->index_size - 1);
  index[slot] = (uint32_t)i + 1;
}

/* `empty`: rows with an empty cell. */
static dfm_status freeze(dfm_category_field *field, const counted *buckets, uint32_t n, uint64_t empty,
                         dfm_error *error) {
  char text[DFM_DOUBLE_BYTES];
  size_t size_bytes = 0;
  for (uint32_t i = 0; i < n; i++) size_bytes += dfm_format_double(text, buckets[i].number);
  DFM_TRY(dfm_vocabulary_allocate(&field->vocabulary, n + (empty > 0), size_bytes, NULL, error));
  DFM_TRY(dfm_alloc(&field->bucket_from, n, sizeof *field->bucket_from, error));
  field->n_buckets = n;
  for (uint32_t i = 0; i < n; i++) {
    field->bucket_from[i] = buckets[i].number;
    add_value(&field->vocabulary, i, text, dfm_format_double(text, buckets[i].number), buckets[i].count);
  }
  if (empty > 0) add_value(&field->vocabulary, n, "", 0, empty);
  return DFM_OK;
}

static void place_numbers(const dfm_vocabulary_builder *builder, const dfm_category_field *field, uint32_t *place) {
  for (uint32_t value = 0; value < builder->n; value++) {
    const dfm_record *record = dfm_builder_record(builder, value);
    dfm_value at = {.head = record->head, .n = record->meta & DFM_LONG_LENGTH};
    dfm_buckets_find_all(field, &at, 1);
    place[value] = at.id;
  }
}

dfm_status dfm_buckets_settle(dfm_vocabulary_builder *builder, dfm_category_field *field, uint32_t *place,
                              dfm_error *error) {
  const bool has_empty = builder->empty != DFM_ID_NONE;
  const uint64_t empty = has_empty ? dfm_builder_record(builder, builder->empty)->meta >> DFM_LENGTH_BITS : 0;
  counted *list;
  uint32_t n;
  uint64_t rows;
  DFM_TRY(list_numbers(builder, &list, &n, &rows, error));
  n = cut(list, n, rows, (uint32_t)field->settings.buckets);
  const dfm_status status = freeze(field, list, n, empty, error);
  free(list);
  if (status == DFM_OK) place_numbers(builder, field, place);
  return status;
}

static dfm_status copy_buckets(const dfm_category_field *old, dfm_category_field *field, dfm_error *error) {
  const dfm_vocabulary *from = &old->vocabulary;
  dfm_vocabulary *to = &field->vocabulary;
  const uint64_t size_bytes = from->offsets[from->n];
  DFM_TRY(dfm_alloc(&field->bucket_from, old->n_buckets, sizeof *field->bucket_from, error));
  memcpy(field->bucket_from, old->bucket_from, old->n_buckets * sizeof *field->bucket_from);
  field->n_buckets = old->n_buckets;
  DFM_TRY(dfm_vocabulary_allocate(to, from->n, size_bytes, NULL, error));
  for (uint64_t i = 0; i < from->n; i++) {
    const uint64_t start = from->offsets[i];
    add_value(to, i, (const char *)from->bytes + start, from->offsets[i + 1] - start, from->counts[i]);
  }
  return DFM_OK;
}

dfm_status dfm_buckets_keep(dfm_vocabulary_builder *builder, const dfm_category_field *old, dfm_category_field *field,
                            uint32_t *place, dfm_error *error) {
  DFM_TRY(copy_buckets(old, field, error));
  place_numbers(builder, field, place);
  uint64_t *counts = (uint64_t *)(uintptr_t)field->vocabulary.counts;
  for (uint32_t value = 0; value < builder->n; value++)
    if (place[value] != DFM_ID_NONE)
      counts[place[value]] += dfm_builder_record(builder, value)->meta >> DFM_LENGTH_BITS;
  return DFM_OK;
}

/* ---- from a file */

dfm_status dfm_buckets_load(dfm_category_field *field, bool *is_good, dfm_error *error) {
  const dfm_vocabulary *vocabulary = &field->vocabulary;
  const uint64_t n = vocabulary->n;
  const bool has_empty = n > 0 && vocabulary->offsets[n] == vocabulary->offsets[n - 1];
  *is_good = true;
  DFM_TRY(dfm_alloc(&field->bucket_from, n, sizeof *field->bucket_from, error));
  field->n_buckets = (uint32_t)n - has_empty;
  for (uint64_t i = 0; i < field->n_buckets; i++) {
    const uint64_t start = vocabulary->offsets[i];
    *is_good &= dfm_parse_double((const char *)vocabulary->bytes + start, vocabulary->offsets[i + 1] - start,
                                 &field->bucket_from[i]) == DFM_NUMBER_OK &&
                (i == 0 || field->bucket_from[i] > field->bucket_from[i - 1]);
  }
  return DFM_OK;
}
