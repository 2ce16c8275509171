/* Vocabularies: the bytes of cells come in and get provisional numbers by first appearance; counted and ordered, a
 * frozen vocabulary goes out. */
#ifndef DFM_DATA_VOCABULARY_H
#define DFM_DATA_VOCABULARY_H

#include "data/encoder.h"

/* The hash of a value everywhere: index slots, fingerprints. */
uint64_t dfm_value_hash(const char *bytes, size_t n);

/* ---- frozen */

/* dfm_vocabulary_find for a hash at hand. */
uint64_t dfm_vocabulary_find_hashed(const dfm_vocabulary *vocabulary, uint64_t hash, const char *bytes, size_t n);
/* A search is three memory misses, each the address of the next: slot, offset, bytes. Asks for the one of `stage` 0, 1,
 * 2; done stage by stage for many values before they are searched, the misses of all of them overlap. */
void dfm_vocabulary_prefetch(const dfm_vocabulary *vocabulary, uint64_t hash, int stage);
/* Frees a vocabulary on the heap. */
void dfm_vocabulary_clear(dfm_vocabulary *vocabulary);
/* Slots of the index of `n` values: at most half of them are taken, so every search ends at an empty one. */
uint64_t dfm_vocabulary_index_size(uint64_t n);

/* ---- builder */

/* Values of up to eight bytes are compared within the slot, so that finding them is one memory miss. */
typedef struct dfm_slot {
  uint64_t head;  /* the value's first eight bytes, zeros after its end */
  uint32_t value; /* provisional number + 1; 0: empty */
  uint32_t tag;   /* upper bits of the hash, and the length (255: that or more) */
} dfm_slot;

/* Open addressing with comparison of the bytes, so two values never merge. */
typedef struct dfm_vocabulary_builder {
  dfm_slot *slots; /* (n_slots), a power of two */
  size_t n_slots;
  uint8_t *bytes;
  size_t bytes_capacity;
  uint64_t *offsets; /* (n + 1) */
  size_t offsets_capacity;
  uint32_t n; /* distinct values so far */
} dfm_vocabulary_builder;

dfm_status dfm_vocabulary_builder_begin(dfm_vocabulary_builder *builder, dfm_error *error);
void dfm_vocabulary_builder_prefetch(const dfm_vocabulary_builder *builder, uint64_t hash);
/* The provisional number of a value, a new one where it was not seen before. */
dfm_status dfm_vocabulary_builder_add(dfm_vocabulary_builder *builder, uint64_t hash, const char *bytes, size_t n,
                                      uint32_t *value, dfm_error *error);
/* The provisional number of a value, or UINT32_MAX. */
uint32_t dfm_vocabulary_builder_find(const dfm_vocabulary_builder *builder, uint64_t hash, const char *bytes, size_t n);
void dfm_vocabulary_builder_clear(dfm_vocabulary_builder *builder); /* zeroed memory accepted */

/* How often each provisional value occurred in the rows that make the vocabulary, and in which order they came first.
 */
typedef struct dfm_value_counts {
  uint64_t *count; /* (n) */
  uint32_t *seen;  /* (n_seen) provisional values, by first appearance */
  uint32_t n_seen;
} dfm_value_counts;

/* Freezes the values that occur at least settings->min_count times, in settings->order. place[provisional] (builder->n)
 * becomes the value's index in `vocabulary`, UINT32_MAX where it is not in it. */
dfm_status dfm_vocabulary_settle(const dfm_vocabulary_builder *builder, const dfm_value_counts *counts,
                                 const dfm_field_settings *settings, dfm_vocabulary *vocabulary, uint32_t *place,
                                 dfm_error *error);

#endif
