/* What comes in: a model and labelled rows. What goes out: how good its probabilities are, and which fields had
 * values it does not know. */
#include <string.h>

#include "report.h"
#include "scoring.h"

typedef struct eval_options {
  const char *truth, *missing_columns;
  int64_t threads;
  bool is_json;
} eval_options;

#define AT(member) offsetof(eval_options, member)
static const cli_option options[] = {
    {"truth", 0, "COLUMN", NULL,
     "A column of true probabilities (deepfm synth --with-truth writes `truth`): adds the best possible metrics",
     CLI_TEXT, AT(truth), 0, 0},
    {"missing-columns", 0, "error | unknown", "error",
     "A column of the model that DATA lacks: an error, or unknown in every row", CLI_TEXT, AT(missing_columns), 0, 0},
    {"threads", 0, "N", "0", "Threads; 0: one for each core", CLI_INT, AT(threads), 0, 1024},
    {"json", 0, NULL, NULL, "Prints the result as one JSON object", CLI_SWITCH, AT(is_json), 0, 0},
};
#undef AT

static void print_fields(const cli_scoring *scoring) {
  const dfm_dataset *rows = scoring->rows;
  const int64_t n = dfm_dataset_rows(rows);
  bool has_title = false;
  for (size_t i = 0; i < dfm_dataset_fields(rows); i++) {
    const dfm_field_count field = dfm_dataset_field(rows, i);
    char share[CLI_SHORT], count[CLI_SHORT], expected[CLI_SHORT], name[160];
    if (field.unknown == 0) continue;
    if (!has_title) printf("\n%-32s %15s %10s %10s\n", "unknown values in field", "rows", "share", "expected");
    has_title = true;
    printf("%-32s %15s %10s %10s\n", cli_show(name, sizeof name, field.name, strlen(field.name)),
           cli_thousands(count, field.unknown), cli_percent(share, field.unknown, n),
           cli_share(expected, dfm_model_expected_unknown(scoring->model, i)));
  }
}

static json_t *share_json(int64_t part, int64_t whole) {
  return whole > 0 ? json_real((double)part / (double)whole) : json_null();
}

/* The rows' shares and, beside them, those of the training rows. */
static json_t *field_json(const cli_scoring *scoring, size_t i) {
  const int64_t n = dfm_dataset_rows(scoring->rows);
  const dfm_field_count field = dfm_dataset_field(scoring->rows, i);
  const dfm_field_info trained = dfm_model_field(scoring->model, i);
  json_t *train = json_pack("{s:I, s:o, s:o, s:f}", "rows", (json_int_t)trained.rows, "unknown_share",
                            share_json(trained.unknown_rows, trained.rows), "missing_share",
                            share_json(trained.missing_rows, trained.rows), "expected_unknown_share",
                            dfm_model_expected_unknown(scoring->model, i));
  return json_pack("{s:o, s:s, s:I, s:I, s:o, s:o, s:o}", "name", cli_json_text(field.name, strlen(field.name)), "kind",
                   field.is_number ? "number" : "category", "unknown", (json_int_t)field.unknown, "missing",
                   (json_int_t)field.missing, "unknown_share", share_json(field.unknown, n), "missing_share",
                   share_json(field.missing, n), "train", train);
}

static json_t *fields_json(const cli_scoring *scoring) {
  json_t *list = json_array();
  for (size_t i = 0; i < dfm_dataset_fields(scoring->rows); i++) json_array_append_new(list, field_json(scoring, i));
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

static int report(const cli_call *call, const cli_scoring *scoring) {
  const eval_options *o = call->options;
  const dfm_dataset *rows = scoring->rows;
  const int64_t n = dfm_dataset_rows(rows);
  dfm_error error;
  dfm_metrics metrics, best;
  const float *truth = dfm_dataset_truth(rows), *labels = dfm_dataset_labels(rows),
              *weights = dfm_dataset_weights(rows);
  if (dfm_metrics_of(scoring->probability, labels, weights, n, &metrics, &error) != DFM_OK ||
      (truth && dfm_metrics_of(truth, labels, weights, n, &best, &error) != DFM_OK))
    return cli_fail(&error);
  const int64_t positives = dfm_dataset_positives(rows);
  if (positives == 0 || positives == n)
    cli_warn("all rows have label %d, so AUC is undefined; check the label column", positives > 0);
  if (o->is_json) return print_json(call, scoring, &metrics, truth ? &best : NULL);
  cli_print_metrics(stdout, &metrics, truth ? &best : NULL);
  print_fields(scoring);
  return CLI_OK;
}

static int run(const cli_call *call) {
  const eval_options *o = call->options;
  cli_scoring scoring;
  int code = cli_scoring_run(call, o->missing_columns, (dfm_read_options){.truth_column = o->truth}, (int)o->threads,
                             &scoring);
  if (code == CLI_OK) cli_warn_of_unknown(&scoring);
  if (code == CLI_OK) code = report(call, &scoring);
  cli_scoring_clear(&scoring);
  return code;
}

const cli_command cli_eval = {
    .name = "eval",
    .arguments = "MODEL DATA...",
    .help = "Measures a model on labelled rows",
    .details =
        "DATA is text, or what deepfm encode --like MODEL (or, for its own training rows, deepfm encode) wrote. Prints "
        "log loss, exact AUC over all rows, accuracy at 0.5, the mean of the predicted probabilities beside the "
        "observed rate, "
        "and for each field how many rows had a value that the model does not know, beside the share to be expected of "
        "rows like the training rows (those under min_count there, or would be with one row fewer). Where there are "
        "far more, a warning says so.",
    .example = "deepfm eval model.safetensors test.csv",
    .run = run,
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .options_size = sizeof(eval_options),
    .min_arguments = 2,
    .max_arguments = CLI_MANY,
};
