/* What comes in: a model and rows, with or without labels. What goes out: one probability a line, in row order. */
#include <stdlib.h>
#include <string.h>

#include "scoring.h"

typedef struct predict_options {
  const char *output;
  cli_scoring_options scoring;
} predict_options;

#define AT(member) offsetof(predict_options, member)
static const cli_option options[] = {
    {"output", 'o', "FILE", NULL, "Where to write; standard output where it is left out", CLI_TEXT, AT(output), 0, 0},
    CLI_SCORING_OPTIONS,
};
#undef AT

/* The shortest decimal that reads back as the same float, and a newline. The program never sets a locale, so the
 * point is a point. */
static size_t format_line(char line[32], float value) {
  int n = 0;
  for (int precision = 6; precision <= 9; precision++) {
    n = snprintf(line, 31, "%.*g", precision, (double)value);
    if (strtof(line, NULL) == value) break;
  }
  line[n] = '\n';
  return (size_t)n + 1;
}

static int write_lines(cli_output *output, const float *probability, int64_t n) {
  int code = CLI_OK;
  for (int64_t i = 0; i < n && code == CLI_OK; i++) {
    char line[32];
    const size_t length = format_line(line, probability[i]);
    code = cli_output_write(output, line, length);
  }
  return code;
}

/* Of the rows at hand, in the order of the text, whatever that of a dataset file is. Who waits for them has them at
 * once. */
static int write_rows(cli_output *output, const cli_scoring *scoring) {
  dfm_error error;
  int code = CLI_OK;
  for (int64_t at = 0; at < dfm_dataset_rows(scoring->rows) && code == CLI_OK; at += CLI_PIECE) {
    const int64_t n = cli_scoring_piece(scoring, at);
    if (dfm_scorer_score_text(scoring->scorer, scoring->rows, at, n, scoring->probability, &error) != DFM_OK)
      return cli_fail(&error);
    code = write_lines(output, scoring->probability, n);
    if (code == CLI_OK) code = cli_output_flush(output);
  }
  return code;
}

static int write_all(cli_output *output, cli_scoring *scoring) {
  int code;
  while ((code = cli_scoring_next(scoring)) == CLI_OK && scoring->rows) {
    code = write_rows(output, scoring);
    if (code != CLI_OK) return code;
  }
  return code;
}

static int run(const cli_call *call) {
  const predict_options *o = call->options;
  const dfm_read_options reading = {.label_optional = true};
  cli_scoring scoring;
  cli_output output = {0};
  int code = cli_keep_apart(call, "output", o->output, "MODEL", call->argument[0]);
  if (code == CLI_OK) code = cli_keep_data(call, 1, "output", o->output);
  if (code != CLI_OK) return code;
  code = cli_scoring_open(call, &o->scoring, reading, &scoring);
  if (code == CLI_OK) code = cli_output_open(&output, o->output);
  if (code == CLI_OK) code = write_all(&output, &scoring);
  code = cli_output_close(&output, code);
  cli_scoring_close(&scoring);
  return code;
}

const cli_command cli_predict = {
    .name = "predict",
    .arguments = "MODEL DATA...",
    .help = "Prints the probability of each row",
    .details =
        "Prints one probability a line, in the order of the rows, as they come: a pipe that waits for an answer gets "
        "it, and memory does not grow with the rows. DATA holds raw rows as training had them, as text or encoded by "
        "deepfm encode, best with --like MODEL (see deepfm eval --help); its columns are found by name, others are "
        "ignored, and the label may be absent. A value that training did not see is no error: it "
        "counts as unknown. Where a field has far more of them than training lets expect, a warning on standard error "
        "says so.",
    .example = "deepfm predict model.safetensors rows.csv -o predictions.txt",
    .run = run,
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .options_size = sizeof(predict_options),
    .min_arguments = 2,
    .max_arguments = CLI_MANY,
};
