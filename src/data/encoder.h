/* Encoder: raw cells come in; ids, numbers, label and weight go out. Made from training rows, kept in the model file.
 *
 * Category fields and number fields are numbered apart, both in column order: f in [0, F), d in [0, D). A list field is
 * a category field whose rows have any number of ids, its items'. */
#ifndef DFM_DATA_ENCODER_H
#define DFM_DATA_ENCODER_H

#include <stdatomic.h>

#include "base/safetensors.h"
#include "base/spill.h"
#include "data/logs.h"
#include "data/schema.h"

/* An id is a row of the field's table; DFM_ID_NONE adds nothing. */
#define DFM_ID_NONE UINT32_MAX

/* A frozen vocabulary, in memory or in a mapping. Value i has bytes [offsets[i], offsets[i + 1]) and `counts[i]`
 * training rows. index: open addressing, linear probing, slots of value + 1 (0 empty), size a power of two, start =
 * XXH3-64(bytes) & mask. */
typedef struct dfm_vocabulary {
  uint64_t n;
  const uint8_t *bytes;
  const uint64_t *offsets; /* n + 1 */
  const uint64_t *counts;  /* n */
  const uint32_t *index;
  uint64_t index_size;
  uint8_t *heap; /* what it lies in: one of these, or neither where it lies in a model file's mapping */
  dfm_spill spill;
} dfm_vocabulary;

typedef struct dfm_category_field {
  const char *name;
  size_t column; /* in the schema */
  bool is_list;
  /* The field whose vocabulary and table this one uses: itself, or the one it shares with, whose settings of them it
   * then has. Its own `vocabulary` stays empty there: dfm_encoder_vocabulary is what to ask. */
  int table;
  int sharers; /* of a field that owns a table: how many fields use it, itself included */
  int rank;    /* fields before it that own a table */
  dfm_field_settings settings;
  dfm_vocabulary vocabulary; /* empty where settings.hash gives buckets instead */
  double *bucket_from;       /* with settings.buckets: (n_buckets) the least number of each, ascending */
  uint32_t n_buckets;
  /* Values that the rows it was made from had, before min_count, of all fields that share them; with settings.buckets
   * numbers. -1: not known, since they were hashed. */
  int64_t distinct;
  int64_t cells; /* of the training rows, or all of them; of a list its items */
  int64_t unknown_rows,
      missing_rows; /* of these cells: value under min_count; empty cells, of a list rows without items */
} dfm_category_field;

typedef struct dfm_number_field {
  const char *name;
  size_t column;
  dfm_field_settings settings;
  bool is_auto;        /* the transform was `auto` until the rows were seen */
  double shift, scale; /* transformed = (f(x) - shift) * scale, f = identity or the log */
  int64_t missing_rows;
} dfm_number_field;

typedef struct dfm_encoder {
  dfm_schema *schema;
  dfm_category_field *category; /* F */
  dfm_number_field *number;     /* D */
  int F, D;
  int64_t rows;      /* rows it was made from: the training rows, or all of them where the vocabularies come from all */
  bool is_synthetic; /* vocabularies have a size and nothing else: every pointer in them is NULL */
  dfm_st_file *file; /* owns the vocabularies' bytes where they are mapped; NULL: they own them */
  atomic_int owners;
  double logs[DFM_LOGS];
} dfm_encoder;

/* The fields of `schema` (copied) with their settings resolved: what a column leaves open, `settings` says.
 * Vocabularies are empty and numbers pass unshifted until training rows were seen. One owner. */
dfm_status dfm_encoder_create(const dfm_schema *schema, const dfm_data_settings *settings, dfm_encoder **encoder,
                              dfm_error *error);

/* Shared by datasets and models: the count of owners is atomic. */
dfm_encoder *dfm_encoder_retain(dfm_encoder *encoder);
void dfm_encoder_release(dfm_encoder *encoder); /* NULL accepted */

/* Field `i` of F + D in the order of the columns: true and d where it is a number, false and f where it is a category.
 */
bool dfm_encoder_field(const dfm_encoder *encoder, size_t i, int *index);

/* Values that have an id: those of field f's vocabulary, or its buckets. */
uint32_t dfm_encoder_values(const dfm_encoder *encoder, int f);
/* The vocabulary of field f, its own or the one it shares. */
static inline const dfm_vocabulary *dfm_encoder_vocabulary(const dfm_encoder *encoder, int f) {
  return &encoder->category[encoder->category[f].table].vocabulary;
}
/* Whether the items of field f have weights. */
static inline bool dfm_encoder_has_weights(const dfm_encoder *encoder, int f) {
  return encoder->category[f].is_list && encoder->category[f].settings.weights > 0;
}
/* Rows of field f's table: values, plus row 0 for unknown values under DFM_UNKNOWN_ROW. Value i is row i +
 * dfm_encoder_first(f). */
uint32_t dfm_encoder_rows(const dfm_encoder *encoder, int f);
uint32_t dfm_encoder_first(const dfm_encoder *encoder, int f);
/* What initialises table row `id` of field f: XXH3-64 of its value's bytes, or of its bucket's number; the unknown row
 * has none (it starts at zero): false. */
bool dfm_encoder_fingerprint(const dfm_encoder *encoder, int f, uint32_t id, uint64_t *fingerprint);
/* Asks the memory for what the fingerprints of n values take, before they are made one by one: each is two misses. */
void dfm_encoder_ask_fingerprints(const dfm_encoder *encoder, int f, const uint32_t *id, size_t n);
/* What value `i` of field f is for people: its bytes; of a bucket the name of what falls into it, written to `room`.
 * `*n` bytes, not terminated. */
enum { DFM_VALUE_NAME_BYTES = 96 };
const char *dfm_encoder_value_name(const dfm_encoder *encoder, int f, uint32_t i, char room[DFM_VALUE_NAME_BYTES],
                                   size_t *n);
/* Value index, or UINT64_MAX. */
uint64_t dfm_vocabulary_find(const dfm_vocabulary *vocabulary, const char *bytes, size_t n);
/* The id of a cell; DFM_ID_NONE for unknown values under `zero` and `error`. */
uint32_t dfm_encoder_id(const dfm_encoder *encoder, int f, const char *bytes, size_t n, bool *is_unknown);
/* The share of unknown values to expect in rows like those that the encoder was made from: each of their cells is taken
 * for new, so its value is unknown where the others are too few to keep it (Good, "The population frequencies of
 * species", 1953). Of fields that share a vocabulary all cells count. 0 where nothing is known. */
double dfm_encoder_expected_unknown(const dfm_encoder *encoder, int f);
/* XXH3-64 of what turns cells into ids: names, unknown rows and vocabularies of the categories, names of the numbers.
 * Encoders that agree in it give the same ids. */
uint64_t dfm_encoder_hash(const dfm_encoder *encoder);
/* Raw (NaN: empty cell) -> what the model sees. */
float dfm_encoder_number(const dfm_encoder *encoder, int d, float raw);
/* The same of a row's numbers (D). */
void dfm_encoder_numbers(const dfm_encoder *encoder, const float *raw, float *numbers);

/* A synthetic encoder with no text, for benchmarks and tests: F fields of rows[f] values each (row 0 unknown), D
 * numbers. Fingerprints are hashes of the id. */
dfm_status dfm_encoder_synthetic(int F, const uint32_t *rows, int D, const dfm_field_settings *category,
                                 const dfm_field_settings *number, dfm_encoder **encoder, dfm_error *error);

/* Model file: declares the tensors "vocabulary.NAME.offsets|counts|index|bytes" (none where synthetic) and metadata
 * "schema" (YAML) and "encoder" (JSON: rows, numbers' shift and scale, counts, resolved settings); a vocabulary
 * that is shared is its owner's. They are declared
 * one after the other: `*first_tensor` is the first one's index. dfm_encoder_write writes tensor `tensor` if it is one
 * of them (`*mine`); dfm_encoder_tensor says where its bytes lie (NULL: it is none of them), and dfm_encoder_spent that
 * these are not needed for now. */
dfm_status dfm_encoder_declare(const dfm_encoder *encoder, dfm_st_writer *writer, int *first_tensor, dfm_error *error);
dfm_status dfm_encoder_write(const dfm_encoder *encoder, dfm_st_writer *writer, int first_tensor, int tensor,
                             bool *mine, dfm_error *error);
const void *dfm_encoder_tensor(const dfm_encoder *encoder, int first_tensor, int tensor, size_t *size_bytes);
void dfm_encoder_spent(const dfm_encoder *encoder, const void *bytes, size_t n);
/* Takes `file` over on success. Validates everything it will index with. */
dfm_status dfm_encoder_load(dfm_st_file *file, dfm_encoder **encoder, dfm_error *error);

#endif
