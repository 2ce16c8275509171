/* Vocabulary builder: the values of cells come in; provisional numbers by first appearance, and counts, go out. */
#include <stdlib.h>

#include "base/memory.h"
#include "base/prefetch.h"
#include "data/vocabulary.h"

enum { FIRST_SLOTS = 32, FIRST_RECORDS = 32, AHEAD = 16 };
/* Slots and records of an index up to this lie in the first caches: asking for them ahead costs more than it brings. */
enum { NEAR_SLOTS = 4096 };
/* Recent values: so many for a slot of the index, and in all as many as leave the second-level cache to others. */
enum { RECENT_PER_SLOT = 4, MOST_RECENT = 1024, COUNT_BITS = 4, LENGTH_MASK = 15, MOST_UNCOUNTED = 1 << 27 };

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

static void free_recent(dfm_vocabulary_builder *builder) {
  free(builder->recent);
  builder->recent = NULL;
  builder->n_recent = 0;
}

void dfm_vocabulary_builder_clear(dfm_vocabulary_builder *builder) {
  free_slots(builder);
  free_recent(builder);
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

/* ---- recent values */

static inline void count_recent(dfm_vocabulary_builder *builder, dfm_recent *recent) {
  const uint64_t count = recent->meta >> COUNT_BITS;
  if (count > 0) dfm_builder_record(builder, recent->value)->meta += count << DFM_LENGTH_BITS;
  recent->meta &= LENGTH_MASK;
}

static void count_all_recent(dfm_vocabulary_builder *builder) {
  for (size_t i = 0; i < builder->n_recent; i++) count_recent(builder, &builder->recent[i]);
  builder->n_uncounted = 0;
}

/* What an empty place holds: the head of no value of length 0. */
#define NO_HEAD UINT64_C(1)

/* Empty ones, as many as go with `n_slots` slots. */
static dfm_status grow_recent(dfm_vocabulary_builder *builder, size_t n_slots, dfm_error *error) {
  const size_t n = n_slots * RECENT_PER_SLOT < MOST_RECENT ? n_slots * RECENT_PER_SLOT : MOST_RECENT;
  if (n == builder->n_recent) return DFM_OK;
  count_all_recent(builder);
  free_recent(builder);
  DFM_TRY(dfm_alloc(&builder->recent, n, sizeof *builder->recent, error));
  builder->n_recent = n;
  for (size_t i = 0; i < n; i++) builder->recent[i].head = NO_HEAD;
  return DFM_OK;
}

/* ---- the index */

/* A short value's hash within a builder, from its eight bytes: a bijection of them (odd factors and xor-shifts can be
 * undone) whose upper bits depend on all. */
static inline uint64_t spread(uint64_t head) {
  uint64_t hash = head * UINT64_C(0x9e3779b97f4a7c15);
  hash = (hash ^ hash >> 32) * UINT64_C(0xd6e8feb86659fd93);
  return hash ^ hash >> 32;
}

static uint64_t hash_of_record(const dfm_vocabulary_builder *builder, const dfm_record *record) {
  size_t n;
  const char *bytes = dfm_builder_bytes(builder, record, &n);
  return n <= DFM_VALUE_HEAD ? spread(record->head) : dfm_value_hash(bytes, n);
}

/* Which of `size` places, a power of two from 2 on, a hash leads to: its upper bits. */
static inline size_t place_of(uint64_t hash, size_t size) {
  return (size_t)(hash >> (64 - __builtin_ctzll(size)));
}

/* The old index is freed before the new one is had: the records hold all that it is made from. */
static dfm_status grow_slots(dfm_vocabulary_builder *builder, dfm_error *error) {
  const size_t n_slots = builder->n_slots > 0 ? 2 * builder->n_slots : FIRST_SLOTS, mask = n_slots - 1;
  free_slots(builder);
  DFM_TRY(grow_recent(builder, n_slots, error));
  DFM_TRY(dfm_slab_alloc(&builder->slots, n_slots, sizeof *builder->slots, error));
  builder->n_slots = n_slots;
  uint64_t hashes[AHEAD];
  for (uint32_t i = 0; i < builder->n + AHEAD; i++) {
    const uint64_t hash = hashes[i % AHEAD];
    if (i < builder->n) {
      hashes[i % AHEAD] = hash_of_record(builder, dfm_builder_record(builder, i));
      __builtin_prefetch(&builder->slots[place_of(hashes[i % AHEAD], n_slots)], 1);
    }
    if (i < AHEAD) continue;
    size_t to = place_of(hash, n_slots);
    while (builder->slots[to].value != 0) to = (to + 1) & mask;
    builder->slots[to] = (dfm_slot){(uint32_t)hash, i - AHEAD + 1};
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
static inline dfm_slot *find_slot(const dfm_vocabulary_builder *builder, const dfm_value *value, uint64_t hash) {
  const size_t mask = builder->n_slots - 1;
  for (size_t i = place_of(hash, builder->n_slots);; i = (i + 1) & mask) {
    dfm_slot *slot = &builder->slots[i];
    if (slot->value == 0 || (slot->hash == (uint32_t)hash && is_value(builder, slot->value - 1, value))) return slot;
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

static RARE dfm_status add_new(dfm_vocabulary_builder *builder, const dfm_value *value, uint64_t hash, dfm_slot *slot,
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
    slot = find_slot(builder, value, hash);
  }
  if (builder->n == capacity(builder)) DFM_TRY(grow_records(builder, error));
  DFM_TRY(keep_text(builder, value, dfm_builder_record(builder, builder->n), error));
  if (value->n == 0) builder->empty = builder->n;
  builder->n++;
  *slot = (dfm_slot){(uint32_t)hash, builder->n};
  return DFM_OK;
}

static void number_buckets(const dfm_vocabulary_builder *builder, dfm_value *values, size_t n) {
  const uint32_t n_buckets = builder->empty;
  for (size_t i = 0; i < n; i++) {
    const bool is_absent = values[i].n == DFM_VALUE_ABSENT;
    values[i].id = is_absent          ? DFM_ID_NONE
                   : values[i].n == 0 ? n_buckets
                                      : (uint32_t)(dfm_value_hash_of(&values[i]) % n_buckets);
  }
}

/* Finds the value in the index, or adds it, and counts it. */
static inline dfm_status add(dfm_vocabulary_builder *builder, dfm_value *value, uint64_t hash, bool is_held,
                             dfm_error *error) {
  dfm_slot *slot = find_slot(builder, value, hash);
  if (slot->value == 0) {
    value->id = builder->n;
    DFM_TRY(add_new(builder, value, hash, slot, error));
  } else {
    value->id = slot->value - 1;
  }
  dfm_builder_record(builder, value->id)->meta += (uint64_t)!is_held << DFM_LENGTH_BITS;
  return DFM_OK;
}

/* Values that were not met recently, in their order. */
enum { BATCH = 512 };
typedef struct missed {
  size_t n;
  uint16_t at[BATCH];
  uint64_t hash[BATCH];
} missed;

/* Numbers and counts the values that stand among the recent ones. Which do is as good as random, so nothing branches.
 * Long values and absent cells take part and are never found: no place has a length of theirs. */
static void find_recent(dfm_vocabulary_builder *builder, dfm_value *values, size_t n, const uint8_t *is_held,
                        missed *rest) {
  dfm_recent *recent = builder->recent;
  const size_t n_recent = builder->n_recent;
  rest->n = 0;
  for (size_t i = 0; i < n; i++) {
    const uint64_t hash = spread(values[i].head);
    dfm_recent *at = &recent[place_of(hash, n_recent)];
    const bool is_here = (at->head == values[i].head) & ((at->meta & LENGTH_MASK) == values[i].n);
    const bool counts = !is_held || !is_held[i];
    values[i].id = at->value;
    at->meta += (uint32_t)(is_here & counts) << COUNT_BITS;
    rest->at[rest->n] = (uint16_t)i;
    rest->hash[rest->n] = hash;
    rest->n += !is_here;
  }
}

/* Absent cells are done with; what is longer than a head has a hash of its own. */
static void hash_missed(dfm_value *values, missed *rest) {
  size_t n = 0;
  for (size_t i = 0; i < rest->n; i++) {
    dfm_value *value = &values[rest->at[i]];
    const bool is_absent = value->n == DFM_VALUE_ABSENT;
    if (is_absent) value->id = DFM_ID_NONE;
    rest->at[n] = rest->at[i];
    rest->hash[n] = value->n <= DFM_VALUE_HEAD || is_absent ? rest->hash[i] : dfm_value_hash(value->bytes, value->n);
    n += !is_absent;
  }
  rest->n = n;
}

/* A value takes two memory misses, the record's address being in the slot: asks for the slot of missed value `i`, and for
 * the record of the one AHEAD before it. */
DFM_PREFETCHES void prefetch(const dfm_vocabulary_builder *builder, const missed *rest, size_t i) {
  if (i < rest->n) __builtin_prefetch(&builder->slots[place_of(rest->hash[i], builder->n_slots)]);
  if (i < AHEAD || i - AHEAD >= rest->n) return;
  const dfm_slot *slot = &builder->slots[place_of(rest->hash[i - AHEAD], builder->n_slots)];
  if (slot->value != 0) __builtin_prefetch(dfm_builder_record(builder, slot->value - 1), 1);
}

/* The value takes the place of the one that was there. */
static inline void set_recent(dfm_vocabulary_builder *builder, const dfm_value *value, uint64_t hash) {
  if (value->n > DFM_VALUE_HEAD) return;
  dfm_recent *to = &builder->recent[place_of(hash, builder->n_recent)];
  count_recent(builder, to);
  *to = (dfm_recent){value->head, value->id, value->n};
}

static dfm_status add_batch(dfm_vocabulary_builder *builder, dfm_value *values, size_t n, const uint8_t *is_held,
                            dfm_error *error) {
  missed rest;
  if ((builder->n_uncounted += n) > MOST_UNCOUNTED) count_all_recent(builder);
  find_recent(builder, values, n, is_held, &rest);
  hash_missed(values, &rest);
  const bool is_near = builder->n_slots <= NEAR_SLOTS;
  for (size_t i = 0; i < 2 * (size_t)AHEAD && !is_near; i++) prefetch(builder, &rest, i);
  for (size_t i = 0; i < rest.n; i++) {
    dfm_value *value = &values[rest.at[i]];
    if (!is_near) prefetch(builder, &rest, i + 2 * (size_t)AHEAD);
    DFM_TRY(add(builder, value, rest.hash[i], is_held && is_held[rest.at[i]], error));
    set_recent(builder, value, rest.hash[i]);
  }
  return DFM_OK;
}

dfm_status dfm_vocabulary_builder_add_all(dfm_vocabulary_builder *builder, dfm_value *values, size_t n,
                                          const uint8_t *is_held, dfm_error *error) {
  if (builder->field->settings.hash > 0) {
    number_buckets(builder, values, n);
    return DFM_OK;
  }
  if (builder->n_slots == 0) DFM_TRY(grow_slots(builder, error));
  for (size_t at = 0; at < n; at += BATCH)
    DFM_TRY(add_batch(builder, values + at, n - at < BATCH ? n - at : BATCH, is_held ? is_held + at : NULL, error));
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
  count_all_recent(builder);
  free_recent(builder);
  free_slots(builder);
}
