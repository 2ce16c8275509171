/* What comes in: MODEL and DATA of a call. What goes out: rows as they come, and what scores them, piece by piece. */
#include "scoring.h"

#include <stdlib.h>
#include <string.h>

#include "rows.h"

/* MODEL and DATA are easily given the wrong way round. */
static int fail_model(const cli_call *call, const dfm_error *error) {
  const bool is_swapped = call->n_arguments == 2 && error->code == DFM_ERROR_FORMAT &&
                          !dfm_dataset_is_at(call->argument[0]) && dfm_dataset_is_at(call->argument[1]);
  if (!is_swapped) return cli_fail(error);
  return cli_usage(call->command, "%s is no model; the model comes first: deepfm %s %s %s", call->argument[0],
                   call->command->name, call->argument[1], call->argument[0]);
}

static int create_scorer(const cli_scoring_options *options, cli_scoring *scoring) {
  bool is_emulated = false;
  dfm_error error;
  if (dfm_scorer_create(scoring->model, (int)options->threads, &scoring->scorer, &error) != DFM_OK ||
      dfm_scorer_set_precision(scoring->scorer, options->precision, &is_emulated, &error) != DFM_OK)
    return cli_fail(&error);
  if (is_emulated)
    cli_warn(
        "this CPU, kernel or build has no bf16, so it is emulated, slower than float32; set precision to auto for "
        "bf16 only where the CPU has it");
  return CLI_OK;
}

int cli_scoring_open(const cli_call *call, const cli_scoring_options *options, dfm_read_options reading,
                     cli_scoring *scoring) {
  dfm_error error;
  *scoring = (cli_scoring){0};
  reading.missing_hint = "read it with --missing-columns unknown";
  reading.missing_unknown = strcmp(options->missing_columns, "unknown") == 0;
  reading.threads = (int)options->threads;
  if (dfm_model_load(call->argument[0], &scoring->model, &error) != DFM_OK) return fail_model(call, &error);
  int code = cli_input(call, 1, &scoring->input);
  if (code != CLI_OK) return code;
  cli_warn_unskippable(scoring->input, reading.skip_bad_rows);
  if (dfm_reader_open(scoring->input, scoring->model, &reading, &scoring->reader, &error) != DFM_OK)
    return cli_fail(&error);
  code = create_scorer(options, scoring);
  if (code != CLI_OK) return code;
  scoring->n_fields = dfm_model_fields(scoring->model);
  scoring->field = calloc(scoring->n_fields + 1, sizeof *scoring->field);
  scoring->probability = malloc(CLI_PIECE * sizeof *scoring->probability);
  return scoring->field && scoring->probability ? CLI_OK
                                                : cli_complain("no memory for the probabilities of %d rows", CLI_PIECE);
}

int64_t cli_scoring_piece(const cli_scoring *scoring, int64_t at) {
  const int64_t left = dfm_dataset_rows(scoring->rows) - at;
  return left < CLI_PIECE ? left : CLI_PIECE;
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
  size_t n_found = 0;
  for (size_t i = 0; i < scoring->n_fields; i++) {
    const dfm_field_count field = scoring->field[i];
    if (!dfm_model_is_far_unknown(scoring->model, i, field.unknown, field.cells)) continue;
    const double share = (double)field.unknown / (double)field.cells;
    found[n_found++] = (unknown_field){i, share - dfm_model_expected_unknown(scoring->model, i)};
  }
  qsort(found, n_found, sizeof *found, by_excess);
  return n_found;
}

static void warn_of_unknown(const cli_scoring *scoring) {
  enum { LINES = 5 };
  unknown_field *found = calloc(scoring->n_fields + 1, sizeof *found);
  const size_t n_found = found ? find_unknown(scoring, found) : 0;
  for (size_t k = 0; k < n_found && k < LINES; k++) {
    const dfm_field_count field = scoring->field[found[k].i];
    char name[160], share[CLI_SHORT], expected[CLI_SHORT];
    cli_warn(
        "field '%s': %s of the %s have a value that training did not have, where %s were to be expected; check "
        "that it is written as in training, or train on newer rows",
        cli_show(name, sizeof name, field.name, strlen(field.name)), cli_percent(share, field.unknown, field.cells),
        field.is_list ? "items" : "rows", cli_share(expected, dfm_model_expected_unknown(scoring->model, found[k].i)));
  }
  if (n_found > LINES)
    cli_warn("and %zu more field%s; deepfm eval --json lists the share of each", n_found - LINES,
             n_found - LINES == 1 ? "" : "s");
  free(found);
}

/* ---- rows */

static void count(cli_scoring *scoring) {
  scoring->n += dfm_dataset_rows(scoring->rows);
  scoring->positives += dfm_dataset_positives(scoring->rows);
  for (size_t i = 0; i < scoring->n_fields; i++) {
    const dfm_field_count before = scoring->field[i];
    dfm_field_count *sum = &scoring->field[i];
    *sum = dfm_dataset_field(scoring->rows, i);
    sum->cells += before.cells;
    sum->unknown += before.unknown;
    sum->missing += before.missing;
  }
}

int cli_scoring_next(cli_scoring *scoring) {
  dfm_error error;
  dfm_dataset_free(scoring->rows);
  scoring->rows = NULL;
  if (dfm_reader_next(scoring->reader, &scoring->rows, &error) != DFM_OK) return cli_fail(&error);
  count(scoring);
  if (dfm_dataset_rows(scoring->rows) > 0) return CLI_OK;
  cli_say_skipped(scoring->rows, NULL);
  warn_of_unknown(scoring);
  dfm_dataset_free(scoring->rows);
  scoring->rows = NULL;
  return CLI_OK;
}

void cli_scoring_close(cli_scoring *scoring) {
  free(scoring->probability);
  free(scoring->field);
  dfm_scorer_free(scoring->scorer);
  dfm_dataset_free(scoring->rows);
  dfm_reader_free(scoring->reader);
  dfm_input_free(scoring->input);
  dfm_model_free(scoring->model);
}
