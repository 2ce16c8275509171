/* Pairs: a line of libsvm or libffm comes in; its words, "label", "index:value" or "field:feature:value", go out. */
#ifndef DFM_DATA_PAIRS_H
#define DFM_DATA_PAIRS_H

#include "base/number.h"
#include "data/format.h"
#include "data/row.h"

/* What is left of a line. */
typedef struct dfm_pairs {
  const char *row, *at, *end;
} dfm_pairs;

static inline dfm_pairs dfm_pairs_of(const char *bytes, size_t n) {
  return (dfm_pairs){bytes, bytes, bytes + n};
}

static inline bool dfm_is_blank(char c) {
  return c == ' ' || c == '\t';
}

/* The next word; false behind the last, and where a comment starts. */
static inline bool dfm_next_word(dfm_pairs *words, dfm_cell *word) {
  while (words->at < words->end && dfm_is_blank(*words->at)) words->at++;
  if (words->at == words->end || *words->at == '#') return false;
  word->bytes = words->at;
  word->column = (size_t)(words->at - words->row) + 1;
  while (words->at < words->end && !dfm_is_blank(*words->at)) words->at++;
  word->n = (size_t)(words->at - word->bytes);
  return true;
}

/* Cuts a whole number of at least 0 and the colon behind it, if there is one, off the word: without leading zeros, so
 * that 007 is 7. False where the word does not start so. `*is_last`: no colon is behind it. */
bool dfm_cut_whole(dfm_cell *word, dfm_cell *whole, bool *is_last);
/* The number that is left of a word. */
dfm_number_result dfm_pair_value(const dfm_cell *word, float *value);
/* "qid:7" of ranking data, which says nothing here. */
static inline bool dfm_is_query(const dfm_cell *word) {
  return word->n > 4 && memcmp(word->bytes, "qid:", 4) == 0;
}

/* Reads the label if the line has one: a first word without a colon. */
dfm_status dfm_pairs_label(dfm_row *row, dfm_pairs *words, dfm_error *error);
/* "'WORD' PROBLEM", with its place. */
dfm_status dfm_pair_fail(const dfm_row *row, const dfm_cell *word, const char *problem, dfm_error *error);

/* Whether the line is a label and words of so many numbers. */
dfm_likeness dfm_pairs_likeness(const char *line, size_t n, int numbers);
/* Adds the label's column to the guess's schema and reads the text's first rows: their labels make the sample, and
 * `look` (may be NULL) sees all other words. */
typedef dfm_status dfm_pair_look(void *context, size_t row, const dfm_cell *word, dfm_error *error);
dfm_status dfm_pairs_guess(dfm_guess *guess, dfm_pair_look *look, void *context, dfm_error *error);
/* A weight has no place in the text, and neither has a true probability. */
dfm_status dfm_pairs_check(const dfm_schema *schema, size_t *column, dfm_error *error);
dfm_status dfm_pairs_open(dfm_source *source, dfm_error *error);

#endif
