/* Guess: the first rows of a text come in; a schema with a reason for every column goes out. The formats read the rows;
 * what columns hold is judged by what all of them share. */
#ifndef DFM_DATA_SCHEMA_GUESS_H
#define DFM_DATA_SCHEMA_GUESS_H

#include "base/feed.h"
#include "data/schema_profile.h"
#include "data/text_rows.h"

/* Enough rows that small vocabularies repeat, few enough that the guess takes a moment. */
enum { DFM_GUESS_ROWS = 20000, DFM_GUESS_BYTES = 16 << 20, DFM_GUESS_CELLS = 4 << 20 };

typedef struct dfm_guess {
  dfm_feed *feed;   /* of which nothing may be let go */
  const char *path; /* for messages */
  const dfm_schema_options *options;
  dfm_schema *schema;
  dfm_sample sample;
  dfm_profile *profiles; /* one per column of the sample */
  size_t first_row;      /* of the sample: 1 behind a header */
  bool *has_name;        /* per column: the name is the text's, not made from the position */
} dfm_guess;

/* A format's own part, in a file of its own where it is long. */
dfm_status dfm_guess_delimited(dfm_guess *guess, dfm_error *error);
dfm_status dfm_guess_jsonl(dfm_guess *guess, dfm_error *error);

/* ---- for formats */

/* Appends a cell to the sample: those of a row from the left, row by row. Or has room for some, with so many bytes
 * together, which then are put there. */
dfm_status dfm_guess_reserve(dfm_guess *guess, size_t n_cells, size_t n_bytes, dfm_error *error);
void dfm_guess_put_cell(dfm_guess *guess, const char *bytes, size_t n);
dfm_status dfm_guess_add_cell(dfm_guess *guess, const char *bytes, size_t n, dfm_error *error);
/* Whether the sample has as many rows as are looked at. */
bool dfm_guess_is_full(const dfm_guess *guess);
/* Looks at the sample's columns from this row on, into profiles (allocated the first time). */
dfm_status dfm_guess_profile(dfm_guess *guess, size_t first_row, dfm_error *error);
/* Which of the schema's columns is the label, and what its values mean. */
dfm_status dfm_guess_label(dfm_guess *guess, dfm_error *error);
/* Label, weight and kinds of the columns that have no reason yet, and missing words. */
dfm_status dfm_guess_kinds(dfm_guess *guess, dfm_error *error);

#endif
