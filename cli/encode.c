/* What comes in: files of rows. What goes out: a dataset file, whose rows need no parsing any more, and statistics of
 * its fields. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "memory.h"
#include "rows.h"
#include "stats.h"

typedef struct encode_options {
  const char *output, *like, *valid, *schema, *label, *weight, *format, *truth;
  int64_t threads, skip_bad_rows, top;
  bool is_quiet, is_json;
  bool is_piped; /* the dataset goes to standard output */
} encode_options;

#define AT(member) offsetof(encode_options, member)
static const cli_option options[] = {
    {"output", 'o', "FILE", "dataset.safetensors",
     "The dataset file; -: standard output, in place of what is printed of it", CLI_TEXT, AT(output), 0, 0},
    {"like", 0, "MODEL", NULL, "Encodes as this model does, to score the rows with it; the label may be absent",
     CLI_TEXT, AT(like), 0, 0},
    {"valid", 0, "FILE", NULL, "Rows to validate with, instead of a share of DATA; a file, or a quoted pattern",
     CLI_TEXT, AT(valid), 0, 0},
    CLI_COLUMN_OPTIONS,
    {"schema", 0, "FILE", NULL, "What the columns are, in YAML; guessed from DATA where it is left out", CLI_TEXT,
     AT(schema), 0, 0},
    {"truth", 0, "COLUMN", NULL, "A column of true probabilities to keep, for deepfm eval --truth", CLI_TEXT, AT(truth),
     0, 0},
    CLI_SKIP_BAD_ROWS_OPTION,
    {"threads", 0, "N", "0", "Threads; 0: one for each core. The file does not depend on it", CLI_INT, AT(threads), 0,
     1024},
    {"top", 0, "N", "3", "How many of each field's most frequent values to show", CLI_INT, AT(top), 1, 1000000},
    {"quiet", 'q', NULL, NULL, "Says nothing but errors", CLI_SWITCH, AT(is_quiet), 0, 0},
    {"json", 0, NULL, NULL, "Prints the result as one JSON object", CLI_SWITCH, AT(is_json), 0, 0},
};
#undef AT

typedef struct encode_run {
  const encode_options *options;
  dfm_model *model;
  cli_rows rows;
  double seconds;
  cli_memory memory;
} encode_run;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static int check(const cli_call *call, const encode_run *run) {
  const encode_options *o = run->options;
  const char *given = o->schema   ? "schema"
                      : o->label  ? "label"
                      : o->weight ? "weight"
                      : o->format ? "format"
                      : o->valid  ? "valid"
                                  : NULL;
  if (o->like && given)
    return cli_usage(call->command, "--like and --%s exclude each other, since the model has its own; leave one out",
                     given);
  if (o->like && (call->n_assignments > 0 || call->recipe_path))
    return cli_usage(call->command,
                     "--like and settings exclude each other, since the model has its own; leave one "
                     "out");
  for (int i = 0; i < call->n_arguments; i++)
    if (dfm_dataset_is_at(call->argument[i]))
      return cli_usage(call->command, "%s is encoded or a model already; give text", call->argument[i]);
  return CLI_OK;
}

/* A dataset on standard output is all that goes there. */
static int settle_output(const cli_call *call, encode_options *o) {
  if (strcmp(o->output, "-") == 0) o->output = CLI_STANDARD_OUTPUT;
  o->is_piped = strcmp(o->output, CLI_STANDARD_OUTPUT) == 0;
  if (o->is_piped && o->is_json)
    return cli_usage(call->command, "--json and --output both go to standard output; name a file for one of them");
  return CLI_OK;
}

/* The dataset file lies apart from what it is made from. */
static int check_place(const cli_call *call) {
  const encode_options *o = call->options;
  int code = cli_check_folder("output", o->is_piped ? NULL : o->output);
  if (code == CLI_OK) code = cli_keep_data(call, 0, "output", o->output);
  if (code == CLI_OK) code = cli_keep_apart(call, "output", o->output, "the rows of --valid", o->valid);
  if (code == CLI_OK) code = cli_keep_apart(call, "output", o->output, "the schema", o->schema);
  if (code == CLI_OK) code = cli_keep_apart(call, "output", o->output, "the model of --like", o->like);
  return code;
}

static int encode_like_model(const cli_call *call, encode_run *run) {
  const encode_options *o = run->options;
  dfm_error error;
  const int code = cli_input(call, 0, &run->rows.input);
  if (code != CLI_OK) return code;
  char *folder = cli_spill_folder(o->output);
  const dfm_read_options reading = {.threads = (int)o->threads,
                                    .skip_bad_rows = o->skip_bad_rows,
                                    .label_optional = true,
                                    .truth_column = o->truth,
                                    .spill_folder = folder};
  dfm_status status = dfm_model_load(o->like, &run->model, &error);
  if (status == DFM_OK) status = dfm_dataset_read(run->rows.input, run->model, &reading, &run->rows.train, &error);
  free(folder);
  if (status != DFM_OK) return cli_fail(&error);
  cli_say_skipped(run->rows.train, NULL);
  status = dfm_dataset_write(o->output, run->rows.train, NULL, NULL, (int)o->threads, &error);
  return status == DFM_OK ? CLI_OK : cli_fail(&error);
}

static int encode_to_train(const cli_call *call, encode_run *run) {
  const encode_options *o = run->options;
  const cli_rows_options reading = {.valid = o->valid,
                                    .schema = o->schema,
                                    .label = o->label,
                                    .weight = o->weight,
                                    .format = o->format,
                                    .truth = o->truth,
                                    .threads = o->threads,
                                    .skip_bad_rows = o->skip_bad_rows,
                                    .output = o->output,
                                    .encode_to = o->output};
  return cli_rows_read(call, &reading, &run->rows);
}

static int64_t rows_of(const encode_run *run) {
  return dfm_dataset_rows(run->rows.train) + (run->rows.valid ? dfm_dataset_rows(run->rows.valid) : 0);
}

static int print_json(const encode_run *run, const dfm_stats *stats, double rate) {
  const char *output = run->options->output;
  json_t *json = stats ? cli_stats_json(stats) : json_object();
  if (!json) return CLI_FAILED;
  json_object_set_new(json, "dataset", cli_json_text(output, strlen(output)));
  json_object_set_new(json, "seconds", cli_json_number(run->seconds));
  json_object_set_new(json, "rows_per_second", cli_json_number(rate));
  cli_memory_add(&run->memory, json);
  return cli_print_json(json);
}

/* NULL where there are none: the file is there, whatever becomes of them. */
static dfm_stats *make_stats(const encode_run *run) {
  const encode_options *o = run->options;
  dfm_stats *stats = NULL;
  dfm_error error;
  if (dfm_dataset_stats(run->rows.train, run->rows.valid, (size_t)o->top, (int)o->threads, &stats, &error) == DFM_OK)
    return stats;
  cli_warn("%s is written, but there are no statistics of it: %s", o->output, error.message);
  return NULL;
}

static int report(const encode_run *run) {
  const encode_options *o = run->options;
  const double rate = (double)rows_of(run) / (run->seconds > 0 ? run->seconds : 1e-9);
  char rows[CLI_SHORT], seconds[CLI_SHORT], speed[CLI_SHORT], output[CLI_QUOTED];
  if (!o->is_quiet)
    fprintf(stderr, "Encoded %s rows in %s, %s rows/s. Saved %s\n", cli_thousands(rows, rows_of(run)),
            cli_duration(seconds, run->seconds), cli_thousands(speed, (int64_t)rate), cli_quoted(output, o->output));
  if ((!o->is_json && o->is_quiet) || o->is_piped) return CLI_OK;
  dfm_stats *stats = make_stats(run);
  const int code = o->is_json ? print_json(run, stats, rate) : CLI_OK;
  if (stats && !o->is_json) cli_print_stats(stats);
  dfm_stats_free(stats);
  return code;
}

static int run_stages(const cli_call *call, encode_run *run) {
  const double start = now();
  int code = settle_output(call, call->options);
  if (code == CLI_OK) code = check(call, run);
  if (code == CLI_OK) code = check_place(call);
  if (code == CLI_OK) code = run->options->like ? encode_like_model(call, run) : encode_to_train(call, run);
  if (code != CLI_OK) return code;
  run->seconds = now() - start;
  cli_memory_stop(&run->memory);
  return report(run);
}

static int run(const cli_call *call) {
  encode_run state = {.options = call->options};
  cli_memory_start(&state.memory, state.options->is_json);
  const int code = run_stages(call, &state);
  cli_memory_stop(&state.memory);
  cli_rows_clear(&state.rows);
  dfm_model_free(state.model);
  return code;
}

const cli_command cli_encode = {
    .name = "encode",
    .arguments = "DATA...",
    .help = "Writes rows as a dataset file, which is read without parsing",
    .details =
        "Reads text once and writes ids, numbers, labels and vocabularies as one safetensors file, which "
        "train, eval, predict and inspect take wherever they take text. Training on it gives the same bytes as "
        "training on the text. Settings that shape the file (the share for validation, vocabularies, transforms) are "
        "given here and need not be given again.\n"
        "Prints what deepfm inspect prints of rows: for each field how many values were seen and have an id, shares of "
        "unknown and empty cells, the most frequent values with their label rate; for numbers range, mean and "
        "quantiles. Memory holds vocabularies and 64 MB of rows; what is more lies in files without a name beside the "
        "output meanwhile.",
    .example = "deepfm encode rows.csv -o rows.safetensors",
    .run = run,
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .options_size = sizeof(encode_options),
    .min_arguments = 1,
    .max_arguments = CLI_MANY,
    .takes_recipe = CLI_RECIPE_ROWS,
};
