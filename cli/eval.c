/* What comes in: a model and labelled rows. What goes out: how good its probabilities are, and which fields had
 * values it does not know. */
#include <string.h>

#include "report.h"
#include "rows.h"
#include "scoring.h"

typedef struct eval_options {
  const char *truth;
  cli_scoring_options scoring;
  int64_t skip_bad_rows;
  bool is_json;
} eval_options;

#define AT(member) offsetof(eval_options, member)
static const cli_option options[] = {
    {"truth", 0, "COLUMN", NULL,
     "A column of true probabilities (deepfm synth --with-truth writes `truth`): adds the best possible metrics",
     CLI_TEXT, AT(truth), 0, 0},
    CLI_SCORING_OPTIONS,
    CLI_SKIP_BAD_ROWS_OPTION,
    {"json", 0, NULL, NULL, "Prints the result as one JSON object", CLI_SWITCH, AT(is_json), 0, 0},
};
#undef AT

static void print_fields(const cli_scoring *scoring) {
  bool has_title = false;
  for (size_t i = 0; i < scoring->n_fields; i++) {
    const dfm_field_count field = scoring->field[i];
    char share[CLI_SHORT], count[CLI_SHORT], expected[CLI_SHORT], name[160];
    if (field.unknown == 0) continue;
    if (!has_title) printf("\n%-32s %15s %10s %10s\n", "unknown values in field", "cells", "share", "expected");
    has_title = true;
    printf("%-32s %15s %10s %10s\n", cli_show(name, sizeof name, field.name, strlen(field.name)),
           cli_thousands(count, field.unknown), cli_percent(share, field.unknown, field.cells),
           cli_share(expected, dfm_model_expected_unknown(scoring->model, i)));
  }
}

static json_t *share_json(int64_t part, int64_t whole) {
  return whole > 0 ? json_real((double)part / (double)whole) : json_null();
}

/* The rows' shares and, beside them, those of the training rows. */
static json_t *field_json(const cli_scoring *scoring, size_t i) {
  const dfm_field_count field = scoring->field[i];
  const dfm_field_info trained = dfm_model_field(scoring->model, i);
  json_t *train = json_pack("{s:I, s:o, s:o, s:f}", "rows", (json_int_t)trained.rows, "unknown_share",
                            share_json(trained.unknown_rows, trained.cells), "missing_share",
                            share_json(trained.missing_rows, trained.rows), "expected_unknown_share",
                            dfm_model_expected_unknown(scoring->model, i));
  return json_pack("{s:o, s:s, s:I, s:I, s:o, s:o, s:o}", "name", cli_json_text(field.name, strlen(field.name)), "kind",
                   field.is_number ? "number"
                   : field.is_list ? "list"
                                   : "category",
                   "unknown", (json_int_t)field.unknown, "missing", (json_int_t)field.missing, "unknown_share",
                   share_json(field.unknown, field.cells), "missing_share", share_json(field.missing, scoring->n),
                   "train", train);
}

static json_t *fields_json(const cli_scoring *scoring) {
  json_t *list = json_array();
  for (size_t i = 0; i < scoring->n_fields; i++) json_array_append_new(list, field_json(scoring, i));
  return list;
}

static int print_json(const cli_call *call, const cli_scoring *scoring, const dfm_metrics *metrics,
                      const dfm_metrics *best) {
  const char *data = dfm_input_name(scoring->input);
  json_t *json = json_pack("{s:o, s:o, s:o, s:o}", "model", cli_json_text(call->argument[0], strlen(call->argument[0])),
                           "data", cli_json_text(data, strlen(data)), "metrics", cli_json_metrics(metrics), "fields",
                           fields_json(scoring));
  if (json && best) json_object_set_new(json, "best_possible", cli_json_metrics(best));
  return cli_print_json(json);
}

/* Scores the rows at hand piece by piece; `best` is told the true probabilities, where there are any. */
static dfm_status measure(const cli_scoring *scoring, dfm_meter *meter, dfm_meter *best, dfm_error *error) {
  const dfm_dataset *rows = scoring->rows;
  const float *truth = dfm_dataset_truth(rows), *labels = dfm_dataset_labels(rows),
              *weights = dfm_dataset_weights(rows);
  dfm_status status = DFM_OK;
  for (int64_t at = 0; at < dfm_dataset_rows(rows) && status == DFM_OK; at += CLI_PIECE) {
    const int64_t n = cli_scoring_piece(scoring, at);
    const float *of_rows = weights ? weights + at : NULL;
    status = dfm_scorer_score(scoring->scorer, rows, at, n, scoring->probability, error);
    if (status == DFM_OK) status = dfm_meter_add(meter, scoring->probability, labels + at, of_rows, n, error);
    if (status == DFM_OK && truth) status = dfm_meter_add(best, truth + at, labels + at, of_rows, n, error);
  }
  return status;
}

/* Of all rows; `*has_best` where they have true probabilities. */
static int measure_all(cli_scoring *scoring, dfm_meter *const meters[2], bool *has_best) {
  dfm_error error;
  int code;
  while ((code = cli_scoring_next(scoring)) == CLI_OK && scoring->rows) {
    *has_best = dfm_dataset_truth(scoring->rows) != NULL;
    if (measure(scoring, meters[0], meters[1], &error) != DFM_OK) return cli_fail(&error);
  }
  return code;
}

static int measure_both(cli_scoring *scoring, dfm_metrics *metrics, dfm_metrics *best, bool *has_best) {
  dfm_meter *meters[2] = {NULL, NULL};
  dfm_error error;
  dfm_status status = dfm_meter_create(&meters[0], &error);
  if (status == DFM_OK) status = dfm_meter_create(&meters[1], &error);
  const int code = status == DFM_OK ? measure_all(scoring, meters, has_best) : cli_fail(&error);
  if (code == CLI_OK) {
    dfm_meter_finish(meters[0], metrics);
    dfm_meter_finish(meters[1], best);
  }
  for (int i = 0; i < 2; i++) dfm_meter_free(meters[i]);
  return code;
}

static int report(const cli_call *call, cli_scoring *scoring) {
  const eval_options *o = call->options;
  bool has_best = false;
  dfm_metrics metrics, best;
  const int code = measure_both(scoring, &metrics, &best, &has_best);
  if (code != CLI_OK) return code;
  if (scoring->positives == 0 || scoring->positives == scoring->n)
    cli_warn("all rows have label %d, so AUC is undefined; check the label column", scoring->positives > 0);
  if (o->is_json) return print_json(call, scoring, &metrics, has_best ? &best : NULL);
  cli_print_metrics(stdout, &metrics, has_best ? &best : NULL);
  print_fields(scoring);
  return CLI_OK;
}

static int run(const cli_call *call) {
  const eval_options *o = call->options;
  cli_scoring scoring;
  int code = cli_scoring_open(
      call, &o->scoring, (dfm_read_options){.truth_column = o->truth, .skip_bad_rows = o->skip_bad_rows}, &scoring);
  if (code == CLI_OK) code = report(call, &scoring);
  cli_scoring_close(&scoring);
  return code;
}

const cli_command cli_eval = {
    .name = "eval",
    .arguments = "MODEL DATA...",
    .help = "Measures a model on labelled rows",
    .details =
        "DATA is text, or what deepfm encode wrote, best with --like MODEL: a file with other vocabularies is read "
        "value "
        "by value, and must not have lost any. Prints log loss, AUC over all rows (exact up to 2^24 rows, beyond with "
        "its error bound), accuracy at 0.5, and the mean of the predicted probabilities beside the observed rate; then "
        "each field where cells (of a list items) had a value that the model does not know, with their share beside "
        "the share to be expected of rows like the training rows (those under min_count there, or that would be with "
        "one row fewer). Where there are far more, a warning says so.",
    .example = "deepfm eval model.safetensors test.csv",
    .run = run,
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .options_size = sizeof(eval_options),
    .min_arguments = 2,
    .max_arguments = CLI_MANY,
};
