/* What comes in: text or a dataset file, and a recipe. What goes out: rows to train on and to validate with. */
#include "rows.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char *cli_spill_folder(const char *output) {
  struct stat info;
  if (!output || strcmp(output, CLI_STANDARD_OUTPUT) == 0) return NULL;
  const char *slash = strrchr(output, '/');
  if (stat(output, &info) == 0 && !S_ISREG(info.st_mode)) return NULL;
  return slash ? strndup(output, slash == output ? 1 : (size_t)(slash - output)) : strdup(".");
}

/* Who knows other libraries gives a share. */
static int check_valid(const cli_call *call, const char *valid) {
  char *end;
  const double share = strtod(valid, &end);
  if (*end || !(share > 0 && share < 1) || access(valid, F_OK) == 0) return CLI_OK;
  return cli_usage(
      call->command,
      "--valid is '%.100s'; it must be a file; for a share of the rows write --valid-fraction-random %.100s, "
      "or --valid-split %.100s for the last ones",
      valid, valid, valid);
}

static int check_options(const cli_call *call, const cli_rows_options *o) {
  const char *settled = o->schema ? "schema" : o->label ? "label" : o->weight ? "weight" : o->format ? "format" : NULL;
  if (o->from && settled)
    return cli_usage(call->command, "--%s and --from exclude each other: the columns are those of %s", settled,
                     o->from);
  if (o->schema && (o->label || o->weight || o->format))
    return cli_usage(call->command, "--%s and --schema exclude each other; say it in %s",
                     o->label    ? "label"
                     : o->weight ? "weight"
                                 : "format",
                     o->schema);
  if (o->valid && check_valid(call, o->valid) != CLI_OK) return CLI_USAGE;
  for (int i = 0; o->valid && i < call->n_arguments; i++)
    if (strcmp(o->valid, "-") == 0 && strcmp(call->argument[i], "-") == 0)
      return cli_usage(call->command, "DATA and --valid are both the standard input; one of them must be a file");
  return CLI_OK;
}

static int check_dataset(const cli_call *call, const cli_rows_options *o, const cli_rows *rows) {
  const char *file = dfm_input_dataset(rows->input);
  if (!file) return CLI_OK;
  const char *given = o->schema ? "schema" : o->label ? "label" : o->weight ? "weight" : o->format ? "format" : NULL;
  if (given)
    return cli_usage(call->command, "%s is a dataset file, whose columns are settled; leave out --%s", file, given);
  cli_warn_unskippable(rows->input, o->skip_bad_rows);
  return CLI_OK;
}

/* A file of validation rows takes the place of the default share, but contradicts one that was asked for. */
static int settle_validation(const cli_call *call, const cli_rows_options *o, dfm_recipe *recipe) {
  dfm_error error;
  char *split = NULL;
  if (o->keeps_all)
    return dfm_recipe_set(recipe, "validation.random", "0", &error) == DFM_OK ? CLI_OK : cli_fail(&error);
  if (!o->valid) return CLI_OK;
  if (dfm_recipe_get(recipe, "validation.split", &split, &error) != DFM_OK) return cli_fail(&error);
  const bool is_split = strcmp(split, "0") != 0;
  dfm_string_free(split);
  if (is_split)
    return cli_usage(call->command, "--valid and validation.split exclude each other; leave one of them out");
  return dfm_recipe_set(recipe, "validation.random", "0", &error) == DFM_OK ? CLI_OK : cli_fail(&error);
}

static int open_inputs(const cli_call *call, const cli_rows_options *o, cli_rows *rows) {
  dfm_error error;
  const int code = cli_input(call, 0, &rows->input);
  if (code != CLI_OK || !o->valid) return code;
  return dfm_input_create(&o->valid, 1, &rows->valid_input, &error) == DFM_OK ? CLI_OK : cli_fail(&error);
}

/* A dataset file brings its own, and so does a model. */
static int read_schema(const cli_rows_options *o, const cli_rows *rows, dfm_schema **schema) {
  dfm_error error;
  const dfm_schema_options wanted = {
      .label = o->label, .weight = o->weight, .header = -1, .format = o->format, .threads = (int)o->threads};
  if (dfm_input_dataset(rows->input) || rows->from) return CLI_OK;
  const dfm_status status =
      o->schema ? dfm_schema_load(o->schema, schema, &error) : dfm_schema_guess(rows->input, &wanted, schema, &error);
  if ((status == DFM_ERROR_FORMAT || status == DFM_ERROR_VALUE) && !o->schema && o->skip_bad_rows > 0)
    return cli_complain("%s; or give a --schema, with which such a row is left out", error.message);
  return status == DFM_OK ? CLI_OK : cli_fail(&error);
}

/* As many bytes as rows may take in memory before they lie in a file beside the output; longer texts are worth
 * keeping. */
enum { LONG_TEXT_BYTES = 64 << 20 };

static int read_rows(const cli_rows_options *o, const dfm_schema *schema, cli_rows *rows) {
  dfm_error error;
  char *folder = cli_spill_folder(o->output);
  const bool is_default = !o->cache && o->may_keep && folder;
  const dfm_cache_options cache = {.folder = o->cache ? o->cache : folder,
                                   .least_bytes = is_default ? LONG_TEXT_BYTES : 0,
                                   .is_optional = is_default};
  const dfm_read_options reading = {
      .threads = (int)o->threads, .skip_bad_rows = o->skip_bad_rows, .truth_column = o->truth, .spill_folder = folder};
  const dfm_status status =
      rows->from ? dfm_dataset_read_more(rows->input, rows->valid_input, rows->from, rows->recipe, &o->growth, &reading,
                                         &rows->growth, &rows->train, &rows->valid, &error)
      : o->encode_to ? dfm_dataset_encode(rows->input, rows->valid_input, schema, rows->recipe, &reading, o->encode_to,
                                          &rows->train, &rows->valid, &error)
      : o->cache || is_default ? dfm_dataset_read_cached(rows->input, rows->valid_input, schema, rows->recipe, &reading,
                                                         &cache, &rows->train, &rows->valid, &rows->cache_note, &error)
                               : dfm_dataset_read_train(rows->input, rows->valid_input, schema, rows->recipe, &reading,
                                                        &rows->train, &rows->valid, &error);
  free(folder);
  if (status != DFM_OK) return cli_fail(&error);
  cli_say_skipped(rows->train, rows->valid);
  return CLI_OK;
}

/* Parts of one text know the same of it; a text of validation rows has its own. */
static bool has_own(const dfm_dataset *rows, const dfm_dataset *valid) {
  const char *of_rows = NULL, *of_valid = NULL;
  int64_t n;
  if (!valid) return false;
  (void)dfm_dataset_skipped(rows, 0, &n, &of_rows);
  (void)dfm_dataset_skipped(valid, 0, &n, &of_valid);
  return of_valid && (!of_rows || strcmp(of_rows, of_valid) != 0);
}

void cli_warn_unskippable(const dfm_input *input, int64_t skip_bad_rows) {
  const char *file = dfm_input_dataset(input);
  if (file && skip_bad_rows > 0)
    cli_warn(
        "--skip-bad-rows does nothing here: the rows of %s were read when it was encoded; give it to deepfm encode",
        file);
}

void cli_say_skipped(const dfm_dataset *rows, const dfm_dataset *valid) {
  const char *reason, *example = NULL;
  int64_t n, total = 0;
  char text[CLI_SHORT];
  for (size_t i = 0; (reason = dfm_dataset_skipped(rows, i, &n, &example)); i++) {
    if (n > 0) fprintf(stderr, "%s %s with %s", total > 0 ? "," : "Left out", cli_thousands(text, n), reason);
    total += n;
  }
  if (total > 0) fprintf(stderr, ". The first: %s\n", example);
  if (has_own(rows, valid)) cli_say_skipped(valid, NULL);
}

static int open_model(const cli_rows_options *o, cli_rows *rows) {
  dfm_error error;
  if (!o->from) return CLI_OK;
  return dfm_model_load(o->from, &rows->from, &error) == DFM_OK ? CLI_OK : cli_fail(&error);
}

/* Anew once the input is open: a dataset file brings settings. */
static int settle_recipe(const cli_call *call, const cli_rows_options *o, cli_rows *rows) {
  const cli_recipe_base base = {.from = rows->from,
                                .is_progressive = o->is_progressive,
                                .dataset = rows->input && !rows->from ? dfm_input_dataset(rows->input) : NULL};
  dfm_recipe_free(rows->recipe);
  rows->recipe = NULL;
  return cli_recipe(call, &base, &rows->recipe);
}

/* What cannot be trained is said before rows are read. */
static int check_run(const cli_rows_options *o, const dfm_schema *schema, const cli_rows *rows) {
  dfm_error error;
  if (!o->run) return CLI_OK;
  dfm_run_options run = *o->run;
  run.from = rows->from;
  return dfm_trainer_check(rows->recipe, rows->input, schema, &run, &error) == DFM_OK ? CLI_OK : cli_fail(&error);
}

int cli_rows_read(const cli_call *call, const cli_rows_options *options, cli_rows *rows) {
  dfm_error error;
  dfm_schema *schema = NULL;
  *rows = (cli_rows){0};
  int code = check_options(call, options);
  if (code == CLI_OK) code = open_model(options, rows);
  if (code == CLI_OK) code = settle_recipe(call, options, rows);
  if (code == CLI_OK) code = open_inputs(call, options, rows);
  if (code == CLI_OK) code = check_dataset(call, options, rows);
  if (code == CLI_OK && dfm_input_dataset(rows->input)) code = settle_recipe(call, options, rows);
  if (code == CLI_OK) code = settle_validation(call, options, rows->recipe);
  if (code == CLI_OK && dfm_recipe_check(rows->recipe, &error) != DFM_OK) code = cli_fail(&error);
  if (code == CLI_OK) code = read_schema(options, rows, &schema);
  if (code == CLI_OK) code = check_run(options, schema, rows);
  if (code == CLI_OK) code = read_rows(options, schema, rows);
  dfm_schema_free(schema);
  return code;
}

/* A dataset file as it is: rows encoded like a model's do not train, but can be looked at. */
static int open_dataset(const cli_call *call, const cli_rows_options *o, cli_rows *rows) {
  dfm_error error;
  const int code = check_dataset(call, o, rows);
  if (code != CLI_OK) return code;
  if (call->n_assignments > 0 || call->recipe_path)
    return cli_usage(call->command, "%s is a dataset file, whose ids are settled; leave out the settings",
                     call->argument[0]);
  return dfm_dataset_load(call->argument[0], &rows->train, &rows->valid, &error) == DFM_OK ? CLI_OK : cli_fail(&error);
}

int cli_rows_open(const cli_call *call, const cli_rows_options *options, cli_rows *rows) {
  *rows = (cli_rows){0};
  const int code = open_inputs(call, options, rows);
  if (code != CLI_OK) return code;
  if (dfm_input_dataset(rows->input)) return open_dataset(call, options, rows);
  cli_rows_clear(rows);
  return cli_rows_read(call, options, rows);
}

void cli_rows_clear(cli_rows *rows) {
  dfm_dataset_free(rows->valid);
  dfm_dataset_free(rows->train);
  dfm_model_free(rows->from);
  dfm_recipe_free(rows->recipe);
  dfm_input_free(rows->valid_input);
  dfm_input_free(rows->input);
  dfm_string_free(rows->cache_note);
}
