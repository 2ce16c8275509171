/* What comes in: MODEL and DATA of a call. What goes out: rows and what scores them, piece by piece. */
#include "scoring.h"

#include <stdlib.h>
#include <string.h>

#include "rows.h"

int cli_scoring_open(const cli_call *call, const char *missing_columns, dfm_read_options reading, int threads,
                     cli_scoring *scoring) {
  dfm_error error;
  const bool is_unknown = missing_columns && strcmp(missing_columns, "unknown") == 0;
  *scoring = (cli_scoring){0};
  if (missing_columns && !is_unknown && strcmp(missing_columns, "error") != 0)
    return cli_usage(call->command, "--missing-columns is '%.100s'; it must be error or unknown", missing_columns);
  reading.missing_unknown = is_unknown;
  reading.threads = threads;
  if (dfm_model_load(call->argument[0], &scoring->model, &error) != DFM_OK) return cli_fail(&error);
  const int code = cli_input(call, 1, &scoring->input);
  if (code != CLI_OK) return code;
  if (dfm_dataset_read(scoring->input, scoring->model, &reading, &scoring->rows, &error) != DFM_OK)
    return cli_fail(&error);
  cli_say_skipped(scoring->rows, NULL);
  if (dfm_scorer_create(scoring->model, threads, &scoring->scorer, &error) != DFM_OK) return cli_fail(&error);
  scoring->probability = malloc(CLI_PIECE * sizeof *scoring->probability);
  return scoring->probability ? CLI_OK : cli_complain("no memory for the probabilities of %d rows", CLI_PIECE);
}

int64_t cli_scoring_piece(const cli_scoring *scoring, int64_t at) {
  const int64_t left = dfm_dataset_rows(scoring->rows) - at;
  return left < CLI_PIECE ? left : CLI_PIECE;
}

void cli_scoring_close(cli_scoring *scoring) {
  free(scoring->probability);
  dfm_scorer_free(scoring->scorer);
  dfm_dataset_free(scoring->rows);
  dfm_input_free(scoring->input);
  dfm_model_free(scoring->model);
}
