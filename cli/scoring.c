/* What comes in: MODEL and DATA of a call. What goes out: every row's probability, in the order of the data. */
#include "scoring.h"

#include <stdlib.h>
#include <string.h>

int cli_scoring_run(const cli_call *call, const char *missing_columns, dfm_read_options reading, int threads,
                    cli_scoring *scoring) {
  dfm_error error;
  const bool is_unknown = missing_columns && strcmp(missing_columns, "unknown") == 0;
  *scoring = (cli_scoring){0};
  if (missing_columns && !is_unknown && strcmp(missing_columns, "error") != 0)
    return cli_usage(call->command, "--missing-columns is '%.100s'; it must be error or unknown", missing_columns);
  reading.missing_unknown = is_unknown;
  if (dfm_model_load(call->argument[0], &scoring->model, &error) != DFM_OK) return cli_fail(&error);
  const int code = cli_input(call, 1, &scoring->input);
  if (code != CLI_OK) return code;
  if (dfm_dataset_read(scoring->input, scoring->model, &reading, &scoring->rows, &error) != DFM_OK)
    return cli_fail(&error);
  const int64_t n = dfm_dataset_rows(scoring->rows);
  scoring->probability = malloc((size_t)n * sizeof *scoring->probability + 1);
  if (!scoring->probability)
    return cli_complain("no memory for the probabilities of %lld rows; split the file", (long long)n);
  if (dfm_predict(scoring->model, scoring->rows, threads, scoring->probability, &error) != DFM_OK)
    return cli_fail(&error);
  return CLI_OK;
}

/* ---- unknown values */

typedef struct unknown_field {
  size_t i;
  double excess; /* points of share above what was to be expected */
} unknown_field;

static int by_excess(const void *a, const void *b) {
  const unknown_field *x = a, *y = b;
  if (x->excess != y->excess) return x->excess > y->excess ? -1 : 1;
  return x->i < y->i ? -1 : x->i > y->i;
}

static size_t find_unknown(const cli_scoring *scoring, unknown_field *found) {
  const int64_t n = dfm_dataset_rows(scoring->rows);
  size_t n_found = 0;
  for (size_t i = 0; i < dfm_dataset_fields(scoring->rows); i++) {
    const dfm_field_count field = dfm_dataset_field(scoring->rows, i);
    if (!dfm_model_is_far_unknown(scoring->model, i, field.unknown, n)) continue;
    const double share = (double)field.unknown / (double)n;
    found[n_found++] = (unknown_field){i, share - dfm_model_expected_unknown(scoring->model, i)};
  }
  qsort(found, n_found, sizeof *found, by_excess);
  return n_found;
}

void cli_warn_of_unknown(const cli_scoring *scoring) {
  enum { LINES = 5 };
  const int64_t n = dfm_dataset_rows(scoring->rows);
  unknown_field *found = calloc(dfm_dataset_fields(scoring->rows) + 1, sizeof *found);
  const size_t n_found = found ? find_unknown(scoring, found) : 0;
  for (size_t k = 0; k < n_found && k < LINES; k++) {
    const dfm_field_count field = dfm_dataset_field(scoring->rows, found[k].i);
    char name[160], share[CLI_SHORT], expected[CLI_SHORT];
    cli_warn(
        "field '%s': %s of the rows have a value that training did not have, where %s were to be expected; check "
        "that it is written as in training, or train on newer rows",
        cli_show(name, sizeof name, field.name, strlen(field.name)), cli_percent(share, field.unknown, n),
        cli_share(expected, dfm_model_expected_unknown(scoring->model, found[k].i)));
  }
  if (n_found > LINES)
    cli_warn("and %zu more field%s; deepfm eval --json lists the share of each", n_found - LINES,
             n_found - LINES == 1 ? "" : "s");
  free(found);
}

void cli_scoring_clear(cli_scoring *scoring) {
  free(scoring->probability);
  dfm_dataset_free(scoring->rows);
  dfm_input_free(scoring->input);
  dfm_model_free(scoring->model);
}
