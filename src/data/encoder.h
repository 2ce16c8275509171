/* Encoder: raw cells come in; ids, numbers, label and weight go out. Made from training rows, kept in the model file.
 *
 * Category fields and number fields are numbered apart, both in column order: f in [0, F), d in [0, D). */
#ifndef DFM_DATA_ENCODER_H
#define DFM_DATA_ENCODER_H

#include <stdatomic.h>

#include "base/safetensors.h"
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
} dfm_vocabulary;

typedef struct dfm_category_field {
  const char *name;
  size_t column; /* in the schema */
  dfm_field_settings settings;
  dfm_vocabulary vocabulary;
  int64_t distinct; /* values that the rows it was made from had, before min_count; -1: the file it is from is older */
  int64_t unknown_rows, missing_rows; /* of the training rows: value under min_count; empty cell */
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
  dfm_st_file *file; /* owns the vocabularies' bytes where they are mapped; NULL: they are on the heap */
  atomic_int owners;
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

/* Rows of field f's table: values, plus row 0 for unknown values under DFM_UNKNOWN_ROW. Value i is row i +
 * dfm_encoder_first(f). */
uint32_t dfm_encoder_rows(const dfm_encoder *encoder, int f);
uint32_t dfm_encoder_first(const dfm_encoder *encoder, int f);
/* What initialises table row `id` of field f: XXH3-64 of its value's bytes; the unknown row has none (it starts at
 * zero): false. */
bool dfm_encoder_fingerprint(const dfm_encoder *encoder, int f, uint32_t id, uint64_t *fingerprint);
/* Value index, or UINT64_MAX. */
uint64_t dfm_vocabulary_find(const dfm_vocabulary *vocabulary, const char *bytes, size_t n);
/* The id of a cell; DFM_ID_NONE for unknown values under `zero` and `error`. */
uint32_t dfm_encoder_id(const dfm_encoder *encoder, int f, const char *bytes, size_t n, bool *is_unknown);
/* The share of unknown values to expect in rows like those that the encoder was made from: each of them is taken for
 * new, so its value is unknown where fewer than min_count others have it (Good, "The population frequencies of
 * species", 1953). 0 where nothing is known. */
double dfm_encoder_expected_unknown(const dfm_encoder *encoder, int f);
/* XXH3-64 of what turns cells into ids: names, unknown rows and vocabularies of the categories, names of the numbers.
 * Encoders that agree in it give the same ids. */
uint64_t dfm_encoder_hash(const dfm_encoder *encoder);
/* Raw (NaN: empty cell) -> what the model sees. */
float dfm_encoder_number(const dfm_encoder *encoder, int d, float raw);

/* A synthetic encoder with no text, for benchmarks and tests: F fields of rows[f] values each (row 0 unknown), D
 * numbers. Fingerprints are hashes of the id. */
dfm_status dfm_encoder_synthetic(int F, const uint32_t *rows, int D, const dfm_field_settings *category,
                                 const dfm_field_settings *number, dfm_encoder **encoder, dfm_error *error);

/* Model file: declares the tensors "vocabulary.NAME.offsets|counts|index|bytes" (none where synthetic) and metadata
 * "schema" (YAML) and "encoder" (JSON: rows, numbers' shift and scale, counts, resolved settings). They are declared
 * one after the other: `*first_tensor` is the first one's index. dfm_encoder_write writes tensor `tensor` if it is one
 * of them (`*mine`). */
dfm_status dfm_encoder_declare(const dfm_encoder *encoder, dfm_st_writer *writer, int *first_tensor, dfm_error *error);
dfm_status dfm_encoder_write(const dfm_encoder *encoder, dfm_st_writer *writer, int first_tensor, int tensor,
                             bool *mine, dfm_error *error);
/* Takes `file` over on success. Validates everything it will index with. */
dfm_status dfm_encoder_load(dfm_st_file *file, dfm_encoder **encoder, dfm_error *error);

#endif
