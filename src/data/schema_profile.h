/* Profile: the sampled cells of one column come in; what kind of field they are, and a sentence that says why, go out.
 * */
#ifndef DFM_DATA_SCHEMA_PROFILE_H
#define DFM_DATA_SCHEMA_PROFILE_H

#include "base/memory.h"
#include "data/schema.h"

/* Rows of text, cell by cell: cell i = row * n_columns + column has bytes [offsets[i], offsets[i + 1]). */
typedef struct dfm_sample {
  dfm_text text;
  size_t *offsets;
  size_t n_cells, capacity;
  size_t n_rows, n_columns;
} dfm_sample;

typedef struct dfm_profile_value {
  const char *bytes; /* into the sample */
  size_t n;
  size_t count; /* rows */
} dfm_profile_value;

enum { DFM_PROFILE_VALUES = 64, DFM_MISSING_WORDS = 13 };

typedef struct dfm_profile {
  size_t n_rows, n_missing;
  size_t n_distinct; /* of the cells that are not missing */
  dfm_profile_value
      values[DFM_PROFILE_VALUES]; /* of n_distinct up to so many all, in byte order; else the first that appear */
  uint64_t missing_words;         /* bit i: dfm_missing_word(i) occurs and counts as missing */
  bool is_numeric;                /* every cell that is not missing is a number, and there is one */
  bool is_whole;                  /* ... without a fraction */
  bool has_point;                 /* ... written with a point or exponent somewhere */
  bool has_leading_zero;          /* "007" */
  double min, median, max;
  bool is_falling; /* starts at 0 or 1, and the first numbers are each rarer than the one before: counts */
  bool is_ordered; /* row by row one more than the row before: a row counter */
} dfm_profile;

/* Words that often stand for an empty cell; NULL past the last. */
const char *dfm_missing_word(size_t i);
/* Looks at column `column` of the rows from `first_row` on. `values` receives no more than DFM_PROFILE_VALUES distinct
 * values. */
dfm_status dfm_profile_column(const dfm_sample *sample, size_t first_row, size_t column, dfm_profile *profile,
                              dfm_error *error);
/* Whether a column has the values, few of them and each of many rows, that dfm_profile_are_twins may find in another one. */
bool dfm_profile_may_have_twin(const dfm_profile *p);
/* Whether the cells of column `numbers` and those of the text column `words` determine each other in every row: an
 * order of the words. */
bool dfm_profile_are_twins(const dfm_sample *sample, size_t first_row, const dfm_profile *profiles, size_t numbers,
                           size_t words);
/* The kind of a column named `name` with this profile; `twin` is the name of a text column that it numbers, or NULL.
 * The sentence goes into `reason` (`size` bytes). `has_name`: the name is the file's, not c1, c2. */
dfm_kind dfm_profile_kind(const dfm_profile *profile, const char *name, bool has_name, const char *twin, char *reason,
                          size_t size);

static inline const char *dfm_sample_cell(const dfm_sample *sample, size_t row, size_t column, size_t *n) {
  const size_t i = row * sample->n_columns + column;
  *n = sample->offsets[i + 1] - sample->offsets[i];
  return sample->text.bytes + sample->offsets[i];
}

#endif
