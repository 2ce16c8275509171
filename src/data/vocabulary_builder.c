/* Vocabulary builder: the values of cells come in; provisional numbers by first appearance, and counts, go out. */
#include <stdlib.h>

#include "base/memory.h"
#include "base/prefetch.h"
#include "data/vocabulary.h"

enum { FIRST_ENTRIES = 32 };
/* An index up to this lies in the first caches: asking for entries ahead costs more than it brings, and room is no
 * matter. */
enum { NEAR_ENTRIES = 4096 };
/* Of an entry's meta; a short value's length there is one more, so that no value is found in an empty entry. */
enum { COUNT_BITS = 4, LENGTH_MASK = 15, LONG = 15 };
/* Counts have 28 bits. What they hold beyond half of that is carried before as many more values can be added. */
#define DFM_CARRY (UINT32_C(1) << 27)

void dfm_vocabulary_builder_begin(dfm_vocabulary_builder *builder, const dfm_category_field *field) {
  *builder = (dfm_vocabulary_builder){.field = field, .empty = DFM_ID_NONE};
  if (field->settings.hash > 0) {
    builder->empty = (uint32_t)field->settings.hash;
    builder->n = builder->empty + 1;
  }
}

static void free_entries(dfm_vocabulary_builder *builder) {
  dfm_slab_free(builder->entries, builder->n_entries, sizeof *builder->entries);
  builder->entries = NULL;
  builder->n_entries = 0;
}

void dfm_vocabulary_builder_clear(dfm_vocabulary_builder *builder) {
  free_entries(builder);
  dfm_slab_free(builder->records, builder->n, sizeof *builder->records);
  free(builder->carried);
  dfm_arena_clear(&builder->text);
  *builder = (dfm_vocabulary_builder){0};
}

/* ---- values and entries */

static inline bool is_long(const dfm_value *value) {
  return value->n > DFM_VALUE_HEAD;
}

/* A value's hash within a builder. Of a short one its eight bytes, multiplied so that the upper bits depend on all. */
static inline uint64_t hash_of_head(uint64_t head) {
  uint64_t hash = head * UINT64_C(0x9e3779b97f4a7c15);
  hash = (hash ^ hash >> 32) * UINT64_C(0xd6e8feb86659fd93);
  return hash ^ hash >> 32;
}

static inline uint64_t hash_of(const dfm_value *value) {
  return !is_long(value) || value->n == DFM_VALUE_ABSENT ? hash_of_head(value->head)
                                                         : dfm_value_hash(value->bytes, value->n);
}

/* What an entry says of a long value beside its place: its length, at most DFM_LONG_LENGTH, and some bits of its
 * hash. */
enum { TAG_HASH_BITS = 64 - DFM_ARENA_PLACE_BITS - DFM_LENGTH_BITS };
static inline uint64_t tag_of(const dfm_value *value, uint64_t hash) {
  const uint64_t length = value->n < DFM_LONG_LENGTH ? value->n : DFM_LONG_LENGTH;
  return length << TAG_HASH_BITS | (hash & ((1 << TAG_HASH_BITS) - 1));
}

static inline bool is_long_entry(const dfm_entry *entry) {
  return (entry->meta & LENGTH_MASK) == LONG;
}

/* Of a long value's entry. */
static dfm_record place_of_text(const dfm_entry *entry) {
  return (dfm_record){entry->head & ((UINT64_C(1) << DFM_ARENA_PLACE_BITS) - 1),
                      entry->head >> (DFM_ARENA_PLACE_BITS + TAG_HASH_BITS)};
}

/* The entry's value, without its count. */
static dfm_record record_of(const dfm_entry *entry) {
  return is_long_entry(entry) ? place_of_text(entry) : (dfm_record){entry->head, (entry->meta & LENGTH_MASK) - 1};
}

static uint64_t hash_of_entry(const dfm_vocabulary_builder *builder, const dfm_entry *entry) {
  size_t n;
  if (!is_long_entry(entry)) return hash_of_head(entry->head);
  const dfm_record record = place_of_text(entry);
  const char *bytes = dfm_builder_bytes(builder, &record, &n);
  return dfm_value_hash(bytes, n);
}

/* Calls that most values need not; inlined they would slow those down. */
#define RARE __attribute__((noinline))

static RARE bool has_text(const dfm_vocabulary_builder *builder, const dfm_entry *entry, const dfm_value *value) {
  const dfm_record record = place_of_text(entry);
  size_t n;
  const char *bytes = dfm_builder_bytes(builder, &record, &n);
  return n == value->n && memcmp(bytes, value->bytes, n) == 0;
}

/* A long value's length is one that no entry has: its head is no bytes but where they are. */
static inline bool is_short_value(const dfm_entry *entry, const dfm_value *value) {
  const size_t length = value->n + 1 + ((size_t)is_long(value) << COUNT_BITS);
  return (entry->head == value->head) & ((entry->meta & LENGTH_MASK) == length);
}

static inline bool is_value(const dfm_vocabulary_builder *builder, const dfm_entry *entry, const dfm_value *value,
                            uint64_t hash) {
  if (!is_long(value)) return is_short_value(entry, value);
  return is_long_entry(entry) && entry->head >> DFM_ARENA_PLACE_BITS == tag_of(value, hash) &&
         has_text(builder, entry, value);
}

/* ---- the index */

/* Which of `size` places, a power of two from 2 on, a hash leads to: its upper bits. So entries stand in the order
 * of their hashes, but for those that found their place taken. */
static inline size_t place_of(uint64_t hash, size_t size) {
  return (size_t)(hash >> (64 - __builtin_ctzll(size)));
}

/* The entry that holds the value, or the empty one where it belongs. */
static inline dfm_entry *find(const dfm_vocabulary_builder *builder, const dfm_value *value, uint64_t hash) {
  const size_t mask = builder->n_entries - 1;
  for (size_t i = place_of(hash, builder->n_entries);; i = (i + 1) & mask) {
    dfm_entry *entry = &builder->entries[i];
    if (entry->number == 0 || is_value(builder, entry, value, hash)) return entry;
  }
}

/* Entries that could not be moved yet. */
typedef struct waiting {
  dfm_entry *entry;
  size_t n, capacity;
} waiting;

static dfm_status wait(waiting *list, const dfm_entry *entry, dfm_error *error) {
  DFM_TRY(dfm_grow(&list->entry, &list->capacity, list->n + 1, sizeof *list->entry, error));
  list->entry[list->n++] = *entry;
  return DFM_OK;
}

/* Moves the entries of the lower half [0, n) to their places in all of the index, from the last on: their new places
 * lie at twice the old ones, where all has been moved already. Those few that would have to go further down or past
 * the end wait. */
static dfm_status move_up(const dfm_vocabulary_builder *builder, size_t n, waiting *list, dfm_error *error) {
  dfm_entry *entries = builder->entries;
  for (size_t i = n; i-- > 0;) {
    const dfm_entry entry = entries[i];
    if (entry.number == 0) continue;
    entries[i] = (dfm_entry){0};
    size_t to = place_of(hash_of_entry(builder, &entry), builder->n_entries);
    const bool is_moved = to >= i;
    while (is_moved && to < builder->n_entries && entries[to].number != 0) to++;
    if (is_moved && to < builder->n_entries)
      entries[to] = entry;
    else
      DFM_TRY(wait(list, &entry, error));
  }
  return DFM_OK;
}

static void insert(const dfm_vocabulary_builder *builder, const dfm_entry *entry) {
  const size_t mask = builder->n_entries - 1;
  size_t to = place_of(hash_of_entry(builder, entry), builder->n_entries);
  while (builder->entries[to].number != 0) to = (to + 1) & mask;
  builder->entries[to] = *entry;
}

/* Doubles the index in place: at no time does it take more than its new size. */
static dfm_status grow(dfm_vocabulary_builder *builder, dfm_error *error) {
  const size_t old = builder->n_entries, n = old > 0 ? 2 * old : FIRST_ENTRIES;
  waiting list = {0};
  DFM_TRY(dfm_slab_resize(&builder->entries, old, n, sizeof *builder->entries, error));
  builder->n_entries = n;
  const dfm_status status = move_up(builder, old, &list, error);
  for (size_t i = 0; i < list.n && status == DFM_OK; i++) insert(builder, &list.entry[i]);
  free(list.entry);
  return status;
}

/* ---- counts */

static dfm_status carry(dfm_vocabulary_builder *builder, dfm_error *error) {
  for (size_t i = 0; i < builder->n_entries; i++) {
    dfm_entry *entry = &builder->entries[i];
    if (entry->number == 0 || entry->meta >> COUNT_BITS < DFM_CARRY) continue;
    DFM_TRY(dfm_grow(&builder->carried, &builder->carried_capacity, builder->n_carried + 1, sizeof *builder->carried,
                     error));
    builder->carried[builder->n_carried++] = entry->number - 1;
    entry->meta -= DFM_CARRY << COUNT_BITS;
  }
  builder->n_uncounted = 0;
  return DFM_OK;
}

/* ---- adding */

static dfm_status keep_text(dfm_vocabulary_builder *builder, const dfm_value *value, uint64_t hash, uint64_t *head,
                            dfm_error *error) {
  const uint32_t n = value->n;
  const bool has_length = n >= DFM_LONG_LENGTH;
  char *bytes;
  DFM_TRY(dfm_arena_add(&builder->text, n + (has_length ? sizeof n : 0), head, &bytes, error));
  *head |= tag_of(value, hash) << DFM_ARENA_PLACE_BITS;
  if (has_length) {
    memcpy(bytes, &n, sizeof n);
    bytes += sizeof n;
  }
  memcpy(bytes, value->bytes, n);
  return DFM_OK;
}

static RARE dfm_status add_new(dfm_vocabulary_builder *builder, const dfm_value *value, uint64_t hash,
                               dfm_entry **entry, dfm_error *error) {
  /* Ids are 32 bits, one row is the unknown one and the last id means none. */
  if (builder->n >= UINT32_MAX - 2) {
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "column '%s' has more than %u distinct values; set hash for it, or ignore the column",
                    builder->field->name, UINT32_MAX - 2);
  }
  const size_t size = builder->n_entries, room = size <= NEAR_ENTRIES ? size / 2 : size / 5 * 4;
  if (builder->n >= room) {
    DFM_TRY(grow(builder, error));
    *entry = find(builder, value, hash);
  }
  uint64_t head = value->head;
  if (is_long(value)) DFM_TRY(keep_text(builder, value, hash, &head, error));
  if (value->n == 0) builder->empty = builder->n;
  **entry = (dfm_entry){head, ++builder->n, is_long(value) ? LONG : value->n + 1};
  return DFM_OK;
}

/* A value that is met more often than the one at the place where its search begins takes that place, so that most
 * cells find theirs at once. All places between are taken, so the other is found again where this one was. */
static inline void move_ahead(const dfm_vocabulary_builder *builder, dfm_entry *entry, uint64_t hash) {
  dfm_entry *first = &builder->entries[place_of(hash, builder->n_entries)], moved = *entry;
  if (first->meta >= moved.meta) return;
  *entry = *first;
  *first = moved;
}

/* Numbers and counts one value, wherever it is. */
static inline dfm_status add(dfm_vocabulary_builder *builder, const dfm_value *value, uint64_t hash, bool is_held,
                             uint32_t *number, dfm_error *error) {
  *number = DFM_ID_NONE;
  if (value->n == DFM_VALUE_ABSENT) return DFM_OK;
  dfm_entry *entry = find(builder, value, hash);
  if (entry->number == 0) DFM_TRY(add_new(builder, value, hash, &entry, error));
  entry->meta += (uint32_t)!is_held << COUNT_BITS;
  *number = entry->number - 1;
  move_ahead(builder, entry, hash);
  return DFM_OK;
}

/* Values that are looked up together. */
enum { BATCH = 128, AHEAD = 8 };

DFM_PREFETCHES void prefetch_entries(const dfm_vocabulary_builder *builder, const uint64_t *hashes, size_t n) {
  if (builder->n_entries <= NEAR_ENTRIES) return;
  for (size_t i = 0; i < n; i++) __builtin_prefetch(&builder->entries[place_of(hashes[i], builder->n_entries)], 1);
}

/* Numbers and counts the short values that stand where their hash leads to: most. Which do is as good as random, so
 * nothing branches. Returns how many are left, in `rest`. Absent cells are left, or find an empty entry, whose
 * number is none and whose count is nobody's. */
static inline size_t find_at_once(dfm_vocabulary_builder *builder, const dfm_value *values, const uint64_t *hashes,
                                  size_t n, const uint8_t *is_held, uint32_t *numbers, uint8_t *rest) {
  dfm_entry *entries = builder->entries;
  const int shift = 64 - __builtin_ctzll(builder->n_entries);
  size_t n_rest = 0;
  for (size_t i = 0; i < n; i++) {
    dfm_entry *entry = &entries[hashes[i] >> shift];
    const bool is_here = is_short_value(entry, &values[i]);
    numbers[i] = entry->number - 1;
    entry->meta += (uint32_t)(is_here & !is_held[i]) << COUNT_BITS;
    rest[n_rest] = (uint8_t)i;
    n_rest += !is_here;
  }
  return n_rest;
}

/* A long value's text, where its entry is at hand. */
DFM_PREFETCHES void prefetch_text(const dfm_vocabulary_builder *builder, uint64_t hash) {
  const dfm_entry *entry = &builder->entries[place_of(hash, builder->n_entries)];
  if (is_long_entry(entry)) __builtin_prefetch(dfm_arena_at(&builder->text, place_of_text(entry).head));
}

static dfm_status add_batch(dfm_vocabulary_builder *builder, const dfm_value *values, size_t n, const uint8_t *is_held,
                            uint32_t *numbers, dfm_error *error) {
  uint64_t hashes[BATCH];
  uint8_t rest[BATCH];
  for (size_t i = 0; i < n; i++) hashes[i] = hash_of(&values[i]);
  prefetch_entries(builder, hashes, n);
  const size_t n_rest = find_at_once(builder, values, hashes, n, is_held, numbers, rest);
  for (size_t i = 0; i < n_rest; i++) {
    const size_t at = rest[i];
    if (i + AHEAD < n_rest) prefetch_text(builder, hashes[rest[i + AHEAD]]);
    DFM_TRY(add(builder, &values[at], hashes[at], is_held[at], &numbers[at], error));
  }
  if ((builder->n_uncounted += n) > DFM_CARRY - BATCH)
    return carry(builder, error); /* before a batch could outgrow an entry */
  return DFM_OK;
}

static void number_buckets(const dfm_vocabulary_builder *builder, const dfm_value *values, size_t n,
                           uint32_t *numbers) {
  const uint32_t n_buckets = builder->empty;
  for (size_t i = 0; i < n; i++) {
    const bool is_absent = values[i].n == DFM_VALUE_ABSENT;
    numbers[i] = is_absent          ? DFM_ID_NONE
                 : values[i].n == 0 ? n_buckets
                                    : (uint32_t)(dfm_value_hash_of(&values[i]) % n_buckets);
  }
}

dfm_status dfm_vocabulary_builder_add_all(dfm_vocabulary_builder *builder, const dfm_value *values, size_t n,
                                          const uint8_t *is_held, uint32_t *numbers, dfm_error *error) {
  static const uint8_t none_is[BATCH] = {0};
  if (builder->field->settings.hash > 0) {
    number_buckets(builder, values, n, numbers);
    return DFM_OK;
  }
  if (builder->n_entries == 0) DFM_TRY(grow(builder, error));
  for (size_t at = 0; at < n; at += BATCH)
    DFM_TRY(add_batch(builder, values + at, n - at < BATCH ? n - at : BATCH, is_held ? is_held + at : none_is,
                      numbers + at, error));
  return DFM_OK;
}

/* ---- closing */

/* Drops what is empty, and gives it back, so that what comes finds room: index and records together take 32 bytes a
 * value. */
static dfm_status compact(dfm_vocabulary_builder *builder, dfm_error *error) {
  size_t n = 0;
  for (size_t i = 0; i < builder->n_entries; i++)
    if (builder->entries[i].number != 0) builder->entries[n++] = builder->entries[i];
  DFM_TRY(dfm_slab_resize(&builder->entries, builder->n_entries, n, sizeof *builder->entries, error));
  builder->n_entries = n;
  return DFM_OK;
}

dfm_status dfm_vocabulary_builder_close(dfm_vocabulary_builder *builder, dfm_error *error) {
  if (builder->records || builder->field->settings.hash > 0) return DFM_OK;
  DFM_TRY(compact(builder, error));
  DFM_TRY(dfm_slab_alloc(&builder->records, builder->n, sizeof *builder->records, error));
  for (size_t i = 0; i < builder->n_entries; i++) {
    const dfm_entry *entry = &builder->entries[i];
    dfm_record record = record_of(entry);
    record.meta |= (uint64_t)(entry->meta >> COUNT_BITS) << DFM_LENGTH_BITS;
    builder->records[entry->number - 1] = record;
  }
  for (size_t i = 0; i < builder->n_carried; i++)
    builder->records[builder->carried[i]].meta += (uint64_t)DFM_CARRY << DFM_LENGTH_BITS;
  free_entries(builder);
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
