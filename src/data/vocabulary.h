/* Vocabularies: the bytes of cells come in and get provisional numbers by first appearance; counted and ordered, a
 * frozen vocabulary goes out. */
#ifndef DFM_DATA_VOCABULARY_H
#define DFM_DATA_VOCABULARY_H

#include <string.h>

#include "base/arena.h"
#include "data/encoder.h"
#include "data/value.h"

/* ---- frozen */

/* Looks `n` values up, so that their cache misses overlap: `id` becomes the value's index, DFM_ID_NONE where it is not
 * in the vocabulary or absent. */
void dfm_vocabulary_find_all(const dfm_vocabulary *vocabulary, dfm_value *values, size_t n);
/* Room for a vocabulary of `n` values with `size_bytes` bytes, all zero: on the heap, or where that would be much, in a
 * file without a name in `folder`. Cleared by the caller also where it fails. */
dfm_status dfm_vocabulary_allocate(dfm_vocabulary *vocabulary, uint64_t n, uint64_t size_bytes, const char *folder,
                                   dfm_error *error);
/* Frees what is its own; nothing where it is mapped. */
void dfm_vocabulary_clear(dfm_vocabulary *vocabulary);
/* Slots of the index of `n` values: at most half of them are taken, so every search ends at an empty one. */
uint64_t dfm_vocabulary_index_size(uint64_t n);

/* ---- builder: numbers, and counts, the values of one field. While values are taken each is an entry of one hash
 * index, which holds a short value itself: it is found, compared and counted in one cache line. 20 to 40 bytes a
 * value, and its text where that is longer than eight bytes. Closed, a builder has records by number instead. */

typedef struct dfm_entry {
  uint64_t head; /* up to eight bytes: the value itself, zeros after its end; else tag << 44 | its place in the text */
  uint32_t number; /* provisional number + 1; 0: empty */
  uint32_t meta;   /* count << 4 | length + 1, 15 where it is longer; 0 where the entry is empty */
} dfm_entry;

typedef struct dfm_record {
  uint64_t head; /* up to eight bytes: the value itself, zeros after its end; else its place in the text */
  uint64_t meta; /* count << 8 | length (255: that or more, and four bytes before the text say it) */
} dfm_record;

typedef struct dfm_vocabulary_builder {
  const dfm_category_field *field; /* borrowed; its settings say what is kept */
  uint32_t n;                      /* provisional numbers given so far */
  uint32_t empty;                  /* the empty cell's, DFM_ID_NONE: not seen */
  dfm_entry *entries; /* (n_entries), a power of two; open addressing, four in five taken at most; NULL: closed */
  size_t n_entries;
  uint64_t n_uncounted; /* values added since entries' counts were carried */
  uint32_t *carried; /* (n_carried) numbers of values that have occurred DFM_CARRY times more than their entry says */
  size_t n_carried, carried_capacity;
  dfm_record *records; /* (n) by provisional number; NULL: not closed */
  dfm_arena text;
} dfm_vocabulary_builder;

/* A builder without values, which takes no memory yet. */
void dfm_vocabulary_builder_begin(dfm_vocabulary_builder *builder, const dfm_category_field *field);
void dfm_vocabulary_builder_clear(dfm_vocabulary_builder *builder); /* zeroed memory accepted */
/* numbers[i] becomes the provisional number of values[i], a new one where it was not seen before, DFM_ID_NONE where
 * it is absent. Counts it, unless is_held[i] (NULL: none is). Of a field with `hash` the number is the bucket, and n
 * + 1st the empty cell's, which so stays known; nothing is kept. */
dfm_status dfm_vocabulary_builder_add_all(dfm_vocabulary_builder *builder, const dfm_value *values, size_t n,
                                          const uint8_t *is_held, uint32_t *numbers, dfm_error *error);

/* Makes the records: no more values are taken. Does nothing where they are made. */
dfm_status dfm_vocabulary_builder_close(dfm_vocabulary_builder *builder, dfm_error *error);
/* Takes one occurrence of a counted value of a closed builder back. */
void dfm_vocabulary_builder_uncount(dfm_vocabulary_builder *builder, uint32_t value);
/* Values of a closed builder with a count: those that only held rows have are left out. */
int64_t dfm_vocabulary_builder_seen(const dfm_vocabulary_builder *builder);

/* dfm_vocabulary_builder_add_all for one value. */
static inline dfm_status dfm_vocabulary_builder_add(dfm_vocabulary_builder *builder, const char *bytes, size_t n,
                                                    bool is_held, uint32_t *number, dfm_error *error) {
  const dfm_value value = dfm_value_of(bytes, n);
  const uint8_t held = is_held;
  return dfm_vocabulary_builder_add_all(builder, &value, 1, &held, number, error);
}

/* Which of a builder's values a vocabulary has, and what it has before them. */
typedef struct dfm_selection {
  uint64_t min_count;
  size_t most;               /* so many, the most frequent */
  const uint8_t *is_out;     /* (builder->n) those that are left out whatever their count; NULL: none */
  const dfm_vocabulary *old; /* value kept[i] of it becomes value i; NULL: nothing comes before */
  const uint32_t *kept;      /* (n_kept) */
  const uint32_t *number;    /* (n_kept) its provisional number, which is out; DFM_ID_NONE: the builder lacks it */
  size_t n_kept;
} dfm_selection;

/* dfm_vocabulary_settle with a selection of the caller's, in settings.order. Counts of values that are kept add up. */
dfm_status dfm_vocabulary_select(dfm_vocabulary_builder *builder, const dfm_selection *selection, const char *folder,
                                 dfm_vocabulary *vocabulary, uint32_t *place, dfm_error *error);

/* Freezes the values that occur at least settings.min_count times, the settings.max_vocabulary most frequent of them,
 * in settings.order; ties by provisional number. place[number] (builder->n) becomes the value's index in `vocabulary`,
 * DFM_ID_NONE where it is not in it. Much goes to a file in `folder`. The builder is closed on the way. */
dfm_status dfm_vocabulary_settle(dfm_vocabulary_builder *builder, const char *folder, dfm_vocabulary *vocabulary,
                                 uint32_t *place, dfm_error *error);

enum { DFM_LENGTH_BITS = 8, DFM_LONG_LENGTH = 255 };
/* Of a closed builder. */
static inline dfm_record *dfm_builder_record(const dfm_vocabulary_builder *builder, uint32_t value) {
  return &builder->records[value];
}
/* The record's bytes; `*n` of them. */
static inline const char *dfm_builder_bytes(const dfm_vocabulary_builder *builder, const dfm_record *record,
                                            size_t *n) {
  *n = record->meta & DFM_LONG_LENGTH;
  if (*n <= DFM_VALUE_HEAD) return (const char *)&record->head;
  const char *bytes = dfm_arena_at(&builder->text, record->head);
  if (*n < DFM_LONG_LENGTH) return bytes;
  uint32_t length;
  memcpy(&length, bytes, sizeof length);
  *n = length;
  return bytes + sizeof length;
}

#endif
