/* What comes in: a file of rows. What goes out: what its columns are taken for, as YAML to edit; or its first rows as
 * a model would see them. */
#include <string.h>

#include "rows.h"

typedef struct schema_options {
  const char *label, *weight, *format, *schema, *output;
  int64_t head;
} schema_options;

#define AT(member) offsetof(schema_options, member)
static const cli_option options[] = {
    CLI_COLUMN_OPTIONS,
    {"schema", 0, "FILE", NULL, "Takes this schema instead of guessing one", CLI_TEXT, AT(schema), 0, 0},
    {"head", 0, "N", "0", "Prints the first N rows as encoded instead: ids of categories, transformed numbers", CLI_INT,
     AT(head), 0, INT64_MAX},
    {"output", 'o', "FILE", NULL, "Where to write; standard output where it is left out", CLI_TEXT, AT(output), 0, 0},
};
#undef AT

static int write_text(cli_output *output, char *text) {
  int code = cli_output_write(output, text, strlen(text));
  dfm_string_free(text);
  return code;
}

static int write_rows(cli_output *output, const dfm_dataset *rows, int64_t n) {
  int code = CLI_OK;
  for (int64_t i = 0; i < n && i < dfm_dataset_rows(rows) && code == CLI_OK; i++) {
    dfm_error error;
    char *text = NULL;
    if (dfm_dataset_row_text(rows, i, &text, &error) != DFM_OK) return cli_fail(&error);
    code = write_text(output, text);
    if (code == CLI_OK) code = cli_output_write(output, "\n", 1);
  }
  return code;
}

/* Rows drawn at random for validation would be missing among the first ones, so none are. Rows held out at the end
 * change nothing but what vocabularies and transforms are made from. */
static int write_head(const cli_call *call, cli_output *output, dfm_input *input, const dfm_schema *schema) {
  const schema_options *o = call->options;
  dfm_error error;
  dfm_recipe *recipe = NULL;
  dfm_dataset *train = NULL, *valid = NULL;
  int code = cli_recipe(call, NULL, &recipe);
  if (code != CLI_OK) return code;
  if (dfm_recipe_set(recipe, "validation.random", "0", &error) != DFM_OK ||
      dfm_dataset_read_train(input, NULL, schema, recipe, NULL, &train, &valid, &error) != DFM_OK)
    code = cli_fail(&error);
  if (code == CLI_OK) code = write_rows(output, train, o->head);
  const int64_t rest = code == CLI_OK ? o->head - dfm_dataset_rows(train) : 0;
  if (rest > 0 && valid) code = write_rows(output, valid, rest);
  dfm_dataset_free(valid);
  dfm_dataset_free(train);
  dfm_recipe_free(recipe);
  return code;
}

/* The schema with the settings' "fields.NAME.KEY" laid over it. */
static int write_yaml(const cli_call *call, cli_output *output, const dfm_schema *schema) {
  dfm_error error;
  dfm_recipe *recipe = NULL;
  dfm_schema *applied = NULL;
  char *yaml = NULL;
  int code = cli_recipe(call, NULL, &recipe);
  if (code != CLI_OK) return code;
  if (dfm_recipe_apply(recipe, schema, &applied, &error) != DFM_OK ||
      dfm_schema_to_yaml(applied, true, &yaml, &error) != DFM_OK)
    code = cli_fail(&error);
  if (code == CLI_OK) code = write_text(output, yaml);
  dfm_schema_free(applied);
  dfm_recipe_free(recipe);
  return code;
}

static int read_schema(const cli_call *call, dfm_input *input, dfm_schema **schema) {
  const schema_options *o = call->options;
  dfm_error error;
  const dfm_schema_options wanted = {.label = o->label, .weight = o->weight, .header = -1, .format = o->format};
  const dfm_status status =
      o->schema ? dfm_schema_load(o->schema, schema, &error) : dfm_schema_guess(input, &wanted, schema, &error);
  return status == DFM_OK ? CLI_OK : cli_fail(&error);
}

static int run(const cli_call *call) {
  const schema_options *o = call->options;
  dfm_input *input = NULL;
  dfm_schema *schema = NULL;
  cli_output output = {0};
  if (o->schema && (o->label || o->weight || o->format))
    return cli_usage(call->command, "--%s and --schema exclude each other; say it in %s",
                     o->label    ? "label"
                     : o->weight ? "weight"
                                 : "format",
                     o->schema);
  int code = cli_keep_data(call, 0, "output", o->output);
  if (code == CLI_OK) code = cli_input(call, 0, &input);
  if (code == CLI_OK) code = read_schema(call, input, &schema);
  if (code == CLI_OK) code = cli_output_open(&output, o->output);
  if (code == CLI_OK) code = o->head > 0 ? write_head(call, &output, input, schema) : write_yaml(call, &output, schema);
  code = cli_output_close(&output, code);
  dfm_schema_free(schema);
  dfm_input_free(input);
  return code;
}

const cli_command cli_schema = {
    .name = "schema",
    .arguments = "DATA...",
    .help = "Guesses what the columns of a file are, and says why",
    .details =
        "Prints the schema guessed from the first rows of DATA as YAML, with a reason for each column. Save it, edit "
        "it, and give it to train with "
        "--schema. With "
        "--head N it prints the first N rows as encoded by all of DATA instead, under the settings given.",
    .example = "deepfm schema rows.csv -o schema.yaml",
    .run = run,
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .options_size = sizeof(schema_options),
    .min_arguments = 1,
    .max_arguments = CLI_MANY,
    .takes_recipe = CLI_RECIPE_ROWS,
};
