/* Vocabulary builder: the values of cells come in; provisional numbers by first appearance, and counts, go out. */
#include <stdlib.h>

#include "base/memory.h"
#include "base/prefetch.h"
#include "data/vocabulary.h"

enum { FIRST_SLOTS = 32, FIRST_RECORDS = 32, AHEAD = 16 };
/* Slots and records of an index up to this lie in the first caches: asking for them ahead costs more than it brings. */
enum { NEAR_SLOTS = 4096 };

void dfm_vocabulary_builder_begin(dfm_vocabulary_builder *builder, const dfm_category_field *field) {
  *builder = (dfm_vocabulary_builder){.field = field, .empty = DFM_ID_NONE};
  if (field->settings.hash > 0) {
    builder->empty = (uint32_t)field->settings.hash;
    builder->n = builder->empty + 1;
  }
}

static void free_slots(dfm_vocabulary_builder *builder) {
  dfm_slab_free(builder->slots, builder->n_slots, sizeof *builder->slots);
  builder->slots = NULL;
  builder->n_slots = 0;
}

void dfm_vocabulary_builder_clear(dfm_vocabulary_builder *builder) {
  free_slots(builder);
  for (size_t i = 0; i < builder->n_pieces; i++)
    dfm_slab_free(builder->records[i], i > 0 ? DFM_PIECE_RECORDS : builder->first_records, sizeof(dfm_record));
  free(builder->records);
  dfm_arena_clear(&builder->text);
  *builder = (dfm_vocabulary_builder){0};
}

/* ---- growing */

/* The first piece doubles until it is as long as the others; further ones are added whole, so that what grows large is
 * never copied. */
static dfm_status grow_records(dfm_vocabulary_builder *builder, dfm_error *error) {
  const size_t old = builder->first_records;
  const bool is_first = old < DFM_PIECE_RECORDS;
  const size_t size = !is_first ? DFM_PIECE_RECORDS : old > 0 ? 2 * old : FIRST_RECORDS;
  dfm_record *piece;
  DFM_TRY(
      dfm_grow(&builder->records, &builder->pieces_capacity, builder->n_pieces + 1, sizeof *builder->records, error));
  DFM_TRY(dfm_slab_alloc(&piece, size, sizeof *piece, error));
  if (is_first) {
    if (old > 0) {
      memcpy(piece, builder->records[0], old * sizeof *piece);
      dfm_slab_free(builder->records[0], old, sizeof *piece);
    }
    builder->records[0] = piece;
    builder->first_records = size;
    builder->n_pieces = 1;
  } else {
    builder->records[builder->n_pieces++] = piece;
  }
  return DFM_OK;
}

static size_t capacity(const dfm_vocabulary_builder *builder) {
  return builder->n_pieces > 1 ? builder->n_pieces * DFM_PIECE_RECORDS : builder->first_records;
}

/* The old index is freed before the new one is had: the records hold all that it is made from. */
static dfm_status grow_slots(dfm_vocabulary_builder *builder, dfm_error *error) {
  const size_t n_slots = builder->n_slots > 0 ? 2 * builder->n_slots : FIRST_SLOTS, mask = n_slots - 1;
  free_slots(builder);
  DFM_TRY(dfm_slab_alloc(&builder->slots, n_slots, sizeof *builder->slots, error));
  builder->n_slots = n_slots;
  uint64_t hashes[AHEAD];
  for (uint32_t i = 0; i < builder->n + AHEAD; i++) {
    const uint64_t hash = hashes[i % AHEAD];
    if (i < builder->n) {
      size_t n;
      const char *bytes = dfm_builder_bytes(builder, dfm_builder_record(builder, i), &n);
      hashes[i % AHEAD] = dfm_value_hash(bytes, n);
      __builtin_prefetch(&builder->slots[hashes[i % AHEAD] & mask], 1);
    }
    if (i < AHEAD) continue;
    size_t to = hash & mask;
    while (builder->slots[to].value != 0) to = (to + 1) & mask;
    builder->slots[to] = (dfm_slot){(uint32_t)(hash >> 32), i - AHEAD + 1};
  }
  return DFM_OK;
}

/* ---- finding and adding */

/* Calls that most values need not; inlined they would slow those down. */
#define RARE __attribute__((noinline))

static RARE bool is_long_value(const dfm_vocabulary_builder *builder, const dfm_record *record,
                               const dfm_value *value) {
  const uint64_t length = record->meta & DFM_LONG_LENGTH;
  if (length != (value->n < DFM_LONG_LENGTH ? value->n : DFM_LONG_LENGTH)) return false;
  size_t n;
  const char *bytes = dfm_builder_bytes(builder, record, &n);
  return n == value->n && memcmp(bytes, value->bytes, n) == 0;
}

static inline bool is_value(const dfm_vocabulary_builder *builder, uint32_t number, const dfm_value *value) {
  const dfm_record *record = dfm_builder_record(builder, number);
  if (value->n > DFM_VALUE_HEAD) return is_long_value(builder, record, value);
  return (record->meta & DFM_LONG_LENGTH) == value->n && record->head == value->head;
}

/* The slot that holds the value, or the empty one where it belongs. */
static inline dfm_slot *find_slot(const dfm_vocabulary_builder *builder, const dfm_value *value) {
  const size_t mask = builder->n_slots - 1;
  const uint32_t hash = (uint32_t)(value->hash >> 32);
  for (size_t i = value->hash & mask;; i = (i + 1) & mask) {
    dfm_slot *slot = &builder->slots[i];
    if (slot->value == 0 || (slot->hash == hash && is_value(builder, slot->value - 1, value))) return slot;
  }
}

static dfm_status keep_text(dfm_vocabulary_builder *builder, const dfm_value *value, dfm_record *record,
                            dfm_error *error) {
  const bool is_long = value->n >= DFM_LONG_LENGTH;
  *record = (dfm_record){value->head, is_long ? DFM_LONG_LENGTH : value->n};
  if (value->n <= DFM_VALUE_HEAD) return DFM_OK;
  const uint32_t length = value->n;
  char *bytes;
  DFM_TRY(dfm_arena_add(&builder->text, length + (is_long ? sizeof length : 0), &record->head, &bytes, error));
  if (is_long) {
    memcpy(bytes, &length, sizeof length);
    bytes += sizeof length;
  }
  memcpy(bytes, value->bytes, length);
  return DFM_OK;
}

static RARE dfm_status add_new(dfm_vocabulary_builder *builder, const dfm_value *value, dfm_slot *slot,
                               dfm_error *error) {
  /* Ids are 32 bits, one row is the unknown one and the last id means none. */
  if (builder->n >= UINT32_MAX - 2) {
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "column '%s' has more than %u distinct values; set hash for it, or ignore the column",
                    builder->field->name, UINT32_MAX - 2);
  }
  const size_t room = builder->n_slots <= NEAR_SLOTS ? builder->n_slots / 2 : builder->n_slots / 5 * 4;
  if (builder->n >= room) {
    DFM_TRY(grow_slots(builder, error));
    slot = find_slot(builder, value);
  }
  if (builder->n == capacity(builder)) DFM_TRY(grow_records(builder, error));
  DFM_TRY(keep_text(builder, value, dfm_builder_record(builder, builder->n), error));
  if (value->n == 0) builder->empty = builder->n;
  builder->n++;
  *slot = (dfm_slot){(uint32_t)(value->hash >> 32), builder->n};
  return DFM_OK;
}

static void number_buckets(const dfm_vocabulary_builder *builder, dfm_value *values, size_t n) {
  const uint32_t n_buckets = builder->empty;
  for (size_t i = 0; i < n; i++) {
    const bool is_absent = values[i].n == DFM_VALUE_ABSENT;
    values[i].id = is_absent ? DFM_ID_NONE : values[i].n == 0 ? n_buckets : (uint32_t)(values[i].hash % n_buckets);
  }
}

static inline dfm_status add(dfm_vocabulary_builder *builder, dfm_value *value, bool is_held, dfm_error *error) {
  value->id = DFM_ID_NONE;
  if (value->n == DFM_VALUE_ABSENT) return DFM_OK;
  dfm_slot *slot = find_slot(builder, value);
  if (slot->value == 0) {
    value->id = builder->n;
    DFM_TRY(add_new(builder, value, slot, error));
  } else {
    value->id = slot->value - 1;
  }
  dfm_builder_record(builder, value->id)->meta += (uint64_t)!is_held << DFM_LENGTH_BITS;
  return DFM_OK;
}

/* A value takes two memory misses, the record's address being in the slot: asks for the slot of value `i`, and for the
 * record of the one AHEAD before it. */
DFM_PREFETCHES void prefetch(const dfm_vocabulary_builder *builder, const dfm_value *values, size_t n, size_t i) {
  const size_t mask = builder->n_slots - 1;
  if (i < n) __builtin_prefetch(&builder->slots[values[i].hash & mask]);
  if (i < AHEAD || i - AHEAD >= n) return;
  const dfm_slot *slot = &builder->slots[values[i - AHEAD].hash & mask];
  if (slot->value != 0) __builtin_prefetch(dfm_builder_record(builder, slot->value - 1), 1);
}

dfm_status dfm_vocabulary_builder_add_all(dfm_vocabulary_builder *builder, dfm_value *values, size_t n,
                                          const uint8_t *is_held, dfm_error *error) {
  if (builder->field->settings.hash > 0) {
    number_buckets(builder, values, n);
    return DFM_OK;
  }
  if (builder->n_slots == 0) DFM_TRY(grow_slots(builder, error));
  const bool is_near = builder->n_slots <= NEAR_SLOTS;
  for (size_t i = 0; i < 2 * (size_t)AHEAD && !is_near; i++) prefetch(builder, values, n, i);
  for (size_t i = 0; i < n; i++) {
    if (!is_near) prefetch(builder, values, n, i + 2 * (size_t)AHEAD);
    DFM_TRY(add(builder, &values[i], is_held && is_held[i], error));
  }
  return DFM_OK;
}

void dfm_vocabulary_builder_uncount(dfm_vocabulary_builder *builder, uint32_t value) {
  if (builder->field->settings.hash == 0) dfm_builder_record(builder, value)->meta -= 1 << DFM_LENGTH_BITS;
}

int64_t dfm_vocabulary_builder_seen(const dfm_vocabulary_builder *builder) {
  int64_t n = 0;
  for (uint32_t value = 0; value < builder->n; value++)
    n += dfm_builder_record(builder, value)->meta >> DFM_LENGTH_BITS > 0;
  return n;
}

void dfm_vocabulary_builder_close(dfm_vocabulary_builder *builder) {
  free_slots(builder);
}
