/* What comes in: MODEL and DATA of a call. What goes out: every row's probability, in the order of the data. */
#include "scoring.h"

#include <stdlib.h>
#include <string.h>

#include "rows.h"

int cli_scoring_run(const cli_call *call, const char *missing_columns, dfm_read_options reading, int threads,
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
  const int64_t n = dfm_dataset_rows(scoring->rows);
  scoring->probability = malloc((size_t)n * sizeof *scoring->probability + 1);
  if (!scoring->probability)
    return cli_complain("no memory for the probabilities of %lld rows; split the file", (long long)n);
  if (dfm_predict(scoring->model, scoring->rows, threads, scoring->probability, &error) != DFM_OK)
    return cli_fail(&error);
  return CLI_OK;
}

void cli_scoring_clear(cli_scoring *scoring) {
  free(scoring->probability);
  dfm_dataset_free(scoring->rows);
  dfm_input_free(scoring->input);
  dfm_model_free(scoring->model);
}
