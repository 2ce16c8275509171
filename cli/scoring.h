/* A model file and data come in; their rows, encoded and scored, go out. What eval and predict share. */
#ifndef CLI_SCORING_H
#define CLI_SCORING_H

#include "cli.h"

typedef struct cli_scoring {
  dfm_model *model;
  dfm_input *input;
  dfm_dataset *rows;
  float *probability; /* (rows) */
} cli_scoring;

/* `missing_columns` is the option's text: NULL or "error", or "unknown". On failure says why; the caller clears in
 * any case. */
int cli_scoring_run(const cli_call *call, const char *missing_columns, dfm_read_options reading, int threads,
                    cli_scoring *scoring);
/* Warns of the fields that have far more unknown values than training lets expect, the worst first. */
void cli_warn_of_unknown(const cli_scoring *scoring);
void cli_scoring_clear(cli_scoring *scoring);

#endif
