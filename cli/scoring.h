/* A model file and data come in; their rows, encoded, go out with a scorer for them. What eval and predict share. */
#ifndef CLI_SCORING_H
#define CLI_SCORING_H

#include "cli.h"

/* Among the options of a command that scores, into its member `scoring`; AT is its offsetof. */
#define CLI_SCORING_OPTIONS                                                                                  \
  {"missing-columns",                                                                                        \
   0,                                                                                                        \
   "error | unknown",                                                                                        \
   "error",                                                                                                  \
   "A column of the model that DATA lacks: an error, or unknown in every row",                               \
   CLI_CHOICE,                                                                                               \
   AT(scoring.missing_columns),                                                                              \
   0,                                                                                                        \
   0},                                                                                                       \
      {"precision",                                                                                          \
       0,                                                                                                    \
       "float32 | bf16 | auto",                                                                              \
       "float32",                                                                                            \
       "Matrix multiplies; bf16: operands in bfloat16 (docs/precision.md); auto: bf16 where the CPU has it", \
       CLI_CHOICE,                                                                                           \
       AT(scoring.precision),                                                                                \
       0,                                                                                                    \
       0},                                                                                                   \
  {                                                                                                          \
    "threads", 0, "N", "0", "Threads; 0: one for each core", CLI_INT, AT(scoring.threads), 0, 1024           \
  }

/* Rows that are scored at a time. */
enum { CLI_PIECE = 1 << 16 };

typedef struct cli_scoring {
  dfm_model *model;
  dfm_input *input;
  dfm_reader *reader;
  dfm_scorer *scorer;
  float *probability;     /* (CLI_PIECE) room for a piece's */
  dfm_dataset *rows;      /* those at hand; NULL: none are, or the end was reached */
  int64_t n, positives;   /* of all rows read so far */
  dfm_field_count *field; /* (n_fields) the same */
  size_t n_fields;
} cli_scoring;

/* The options' texts. */
typedef struct cli_scoring_options {
  const char *missing_columns, *precision;
  int64_t threads;
} cli_scoring_options;

/* On failure says why; the caller closes in any case. */
int cli_scoring_open(const cli_call *call, const cli_scoring_options *options, dfm_read_options reading,
                     cli_scoring *scoring);
/* The next rows, as many as have come. At the end says which were left out, and warns of the fields that have far more
 * unknown values than training lets expect, the worst first. */
int cli_scoring_next(cli_scoring *scoring);
/* Rows of the piece that starts at row `at` of those at hand. */
int64_t cli_scoring_piece(const cli_scoring *scoring, int64_t at);
void cli_scoring_close(cli_scoring *scoring);

#endif
