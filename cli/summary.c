/* What comes in: a model file. What goes out: its layers, or the recipe and schema it was made with. */
#include <math.h>

#include "report.h"

typedef struct summary_options {
  bool wants_recipe, wants_schema;
} summary_options;

static const cli_option options[] = {
    {"recipe", 0, NULL, NULL, "Prints the recipe it was made with instead, as YAML", CLI_SWITCH,
     offsetof(summary_options, wants_recipe), 0, 0},
    {"schema", 0, NULL, NULL, "Prints the schema it was made with instead, as YAML", CLI_SWITCH,
     offsetof(summary_options, wants_schema), 0, 0},
};

/* {"epoch": 3, "valid": {...}}, or without "valid" where nothing validated. */
static void print_validation(const char *text) {
  json_t *json = json_loads(text, 0, NULL);
  const json_t *valid = json_object_get(json, "valid"), *auc = json_object_get(valid, "auc");
  char rows[CLI_SHORT], loss[CLI_SHORT], area[CLI_SHORT];
  if (json_is_object(valid))
    printf("Validation: log loss %s, AUC %s on %s rows, epoch %lld\n",
           cli_metric(loss, json_number_value(json_object_get(valid, "logloss"))),
           cli_auc(area, json_is_number(auc) ? json_number_value(auc) : NAN,
                   json_number_value(json_object_get(valid, "auc_error")), 6),
           cli_thousands(rows, json_integer_value(json_object_get(valid, "rows"))),
           (long long)json_integer_value(json_object_get(json, "epoch")));
  else
    printf("Validation: none\n");
  json_decref(json);
}

static int print_layers(const dfm_model *model) {
  dfm_error error;
  char *text = NULL;
  if (dfm_model_summary(model, &text, &error) != DFM_OK) return cli_fail(&error);
  fputs(text, stdout);
  dfm_string_free(text);
  print_validation(dfm_model_metrics_json(model));
  const int64_t steps = dfm_model_state_steps(model);
  char count[CLI_SHORT];
  if (steps > 0) printf("Keeps the optimizer's state after %s steps, for train --from\n", cli_thousands(count, steps));
  return CLI_OK;
}

static int run(const cli_call *call) {
  const summary_options *o = call->options;
  dfm_error error;
  dfm_model *model = NULL;
  int code = CLI_OK;
  if (dfm_model_load(call->argument[0], &model, &error) != DFM_OK) return cli_fail(&error);
  if (o->wants_recipe) fputs(dfm_model_recipe_yaml(model), stdout);
  if (o->wants_schema) fputs(dfm_model_schema_yaml(model), stdout);
  if (!o->wants_recipe && !o->wants_schema) code = print_layers(model);
  dfm_model_free(model);
  return code;
}

const cli_command cli_summary = {
    .name = "summary",
    .arguments = "MODEL",
    .help = "Prints a model's layers and sizes",
    .details =
        "Prints a table of the model's layers with shapes and parameter counts, and the metrics of its validation "
        "rows, and says whether it keeps the optimizer's state. The file is "
        "checked in full first: a damaged one is an error that names the damaged part.",
    .example = "deepfm summary model.safetensors",
    .run = run,
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .options_size = sizeof(summary_options),
    .min_arguments = 1,
    .max_arguments = 1,
};
