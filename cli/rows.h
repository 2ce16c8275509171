/* A call whose arguments are DATA... and what it says of them come in; a settled recipe and rows to train on go out.
 * What train and encode share. */
#ifndef CLI_ROWS_H
#define CLI_ROWS_H

#include "cli.h"

/* How rows are understood, among the options of every command that may guess it; AT is its offsetof. */
/* clang-format off */
#define CLI_COLUMN_OPTIONS \
    {"label", 0, "COLUMN", NULL, \
     "The label's name, or its 1-based position; guessed from names such as label, click, y, target", CLI_TEXT, \
     AT(label), 0, 0}, \
    {"weight", 0, "COLUMN", NULL, "A column of row weights", CLI_TEXT, AT(weight), 0, 0}, \
    {"format", 0, "delimited | libsvm | libffm | jsonl", NULL, \
     "How rows are written; guessed from DATA's name and first lines", CLI_CHOICE, AT(format), 0, 0}
/* Among the options of every command that reads rows. */
#define CLI_SKIP_BAD_ROWS_OPTION \
    {"skip-bad-rows", 0, "N", "0", \
     "Rows of text that may be wrong and are then left out, with a count; 0: the first one is an error", CLI_INT, \
     AT(skip_bad_rows), 0, INT64_MAX}
/* clang-format on */

typedef struct cli_rows_options {
  const char *valid, *schema, *label, *weight, *format, *truth;
  int64_t threads, skip_bad_rows;
  const char *cache; /* folder of dataset files made from text; NULL: none was asked for */
  bool may_keep;     /* long texts are kept beside the output where no cache was asked for */
  const char *from;  /* a model that is to be trained further; NULL: a new one */
  dfm_growth_options growth;
  bool is_progressive;
  const char *output;         /* rows beyond memory's budget lie in its folder meanwhile; NULL: in the system's */
  const char *encode_to;      /* the rows are written there as a dataset file; NULL: they are not */
  const dfm_run_options *run; /* of the training that the rows are for, but its `from`; NULL: none */
  bool keeps_all;             /* no rows are held out by lot: rows to look at, not to train on */
} cli_rows_options;

typedef struct cli_rows {
  dfm_input *input, *valid_input; /* no `valid`: NULL */
  dfm_recipe *recipe;             /* under a dataset file: with the settings that the file was made by */
  dfm_model *from;
  dfm_growth growth; /* of its vocabularies */
  dfm_dataset *train, *valid;
  char *cache_note; /* what the cache did, a sentence; NULL: nothing, or there is none */
} cli_rows;

/* On failure says why; the caller clears in any case. */
int cli_rows_read(const cli_call *call, const cli_rows_options *options, cli_rows *rows);
/* The same to look at rows: a dataset file is opened as it is, without a recipe, also if its rows are not to train
 * on. */
int cli_rows_open(const cli_call *call, const cli_rows_options *options, cli_rows *rows);
void cli_rows_clear(cli_rows *rows);
/* Says on standard error what was left out of the rows, if anything. `valid` may be NULL. */
void cli_say_skipped(const dfm_dataset *rows, const dfm_dataset *valid);
/* Says that a dataset file leaves no rows out, where it was asked to. */
void cli_warn_unskippable(const dfm_input *input, int64_t skip_bad_rows);
/* Where rows may lie while a file is made at `output`: its folder; free() it. NULL (the system's place) where it is a
 * device, pipe or standard output, or nothing is made (NULL). */
char *cli_spill_folder(const char *output);

#endif
