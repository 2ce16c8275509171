/* What comes in: a command's arguments and its table of options. What goes out: its struct of options, filled, and
 * the settings of its recipe. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

const cli_option cli_recipe_options[2] = {
    {"recipe", 0, "FILE", NULL, "Settings in YAML (docs/recipe.md); those on the command line come on top", CLI_TEXT, 0,
     0, 0},
    {"set", 0, "NAME=VALUE", NULL,
     "Any setting by its full name, as --set optimizer.beta1=0.95 or --set fields.C1.min_count=10", CLI_TEXT, 0, 0, 0},
};
const cli_option cli_help_option = {"help", 'h', NULL, NULL, "This text", CLI_SWITCH, 0, 0, 0};

/* What is left of the command line. */
typedef struct reader {
  cli_call *call;
  char **next, **end;
} reader;

static const char *separator_of(const char *argument) {
  const char *equals = strchr(argument, '=');
  return equals ? equals : argument + strlen(argument);
}

static bool is_named(const char *name, const char *bytes, size_t n) {
  return strlen(name) == n && memcmp(name, bytes, n) == 0;
}

/* The value behind '=' or the next argument; NULL where there is none. */
static const char *take_value(reader *in, const char *separator) {
  if (separator && *separator == '=') return separator + 1;
  return in->next < in->end ? *in->next++ : NULL;
}

/* What may be empty is a value, such as that of an empty cell; a name of a file or a column may not. */
static int check_text(const cli_call *call, const cli_option *option, const char *value) {
  static const struct {
    const char *argument, *what;
  } names[] = {{"FILE", "a file"}, {"MODEL", "a file"}, {"DIR", "a folder"}, {"COLUMN", "a column"}};
  for (size_t i = 0; !*value && i < sizeof names / sizeof *names; i++)
    if (strcmp(option->argument, names[i].argument) == 0)
      return cli_usage(call->command, "--%s is empty; it must be the name of %s", option->name, names[i].what);
  return CLI_OK;
}

/* Whether `value` is one of the words of "a | b | c". */
static bool is_choice(const char *words, const char *value) {
  for (const char *word = words; word; word = strchr(word, '|')) {
    word += strspn(word, "| ");
    if (is_named(value, word, strcspn(word, " |"))) return true;
  }
  return false;
}

static int store_text(const cli_call *call, const cli_option *option, const char *value, const char **out) {
  if (option->type == CLI_CHOICE && !is_choice(option->argument, value))
    return cli_usage(call->command, "--%s is '%.100s'; it must be one of %s", option->name, value, option->argument);
  const int code = check_text(call, option, value);
  if (code == CLI_OK) *out = value;
  return code;
}

static int store(const cli_call *call, const cli_option *option, const char *value) {
  void *out = (char *)call->options + option->offset;
  if (option->type == CLI_SWITCH) {
    *(bool *)out = true;
    return CLI_OK;
  }
  if (option->type == CLI_TEXT || option->type == CLI_CHOICE) return store_text(call, option, value, out);
  char *end;
  errno = 0;
  const long long number = strtoll(value, &end, 10);
  if (errno || end == value || *end || number < option->low || number > option->high)
    return cli_usage(call->command, "--%s is '%.100s'; it must be a whole number in [%lld, %lld]", option->name, value,
                     (long long)option->low, (long long)option->high);
  *(int64_t *)out = number;
  return CLI_OK;
}

static int assign(cli_call *call, const char *name, const char *value) {
  cli_assignment *grown = realloc(call->assignments, (call->n_assignments + 1) * sizeof *grown);
  if (!grown) return cli_complain("no memory for the settings on the command line");
  grown[call->n_assignments++] = (cli_assignment){name, value};
  call->assignments = grown;
  return CLI_OK;
}

/* --set NAME=VALUE. The last '=' counts: names of fields may hold one, values do not. */
static int assign_pair(cli_call *call, char *pair) {
  char *equals = strrchr(pair, '=');
  if (!equals || equals == pair)
    return cli_usage(call->command, "--set is '%.100s'; it must be NAME=VALUE, such as train.epochs=3", pair);
  *equals = 0;
  return assign(call, pair, equals + 1);
}

static bool is_bool(const dfm_setting *setting) {
  return strcmp(setting->default_value, "true") == 0 || strcmp(setting->default_value, "false") == 0;
}

/* A setting's flag: --batch-size 256, --batch-norm, --no-shuffle. CLI_CLOSED where it is none. */
static int parse_flag(reader *in, const char *name, size_t n, const char *separator) {
  const dfm_setting *setting;
  for (size_t i = 0; (setting = dfm_setting_at(i)); i++) {
    if (is_bool(setting) && n > 3 && memcmp(name, "no-", 3) == 0 && is_named(setting->flag, name + 3, n - 3) &&
        *separator == 0)
      return assign(in->call, setting->name, "false");
    if (!is_named(setting->flag, name, n)) continue;
    if (is_bool(setting) && *separator == 0) return assign(in->call, setting->name, "true");
    const char *value = take_value(in, separator);
    if (!value) return cli_usage(in->call->command, "--%s needs a value: %s", setting->flag, setting->range);
    return assign(in->call, setting->name, value);
  }
  return CLI_CLOSED;
}

/* Whether `word` is short for `name` by the beginnings of its parts: "lr" for "learning-rate". */
static bool is_short_for(const char *word, const char *name) {
  for (const char *part = name; part; part = strchr(part, '-')) {
    part += *part == '-';
    if (*word++ != *part) return false;
  }
  return *word == 0 && strchr(name, '-');
}

static int unknown_option(const cli_command *command, const char *argument) {
  const char *names[128];
  size_t n = 0;
  for (size_t i = 0; i < command->n_options; i++) names[n++] = command->options[i].name;
  names[n++] = "help";
  if (command->takes_recipe) {
    names[n++] = "recipe";
    names[n++] = "set";
    for (size_t i = 0; n < 128 && dfm_setting_at(i); i++) names[n++] = dfm_setting_at(i)->flag;
  }
  char word[64];
  const char *start = argument + strspn(argument, "-");
  snprintf(word, sizeof word, "%.*s", (int)(separator_of(start) - start), start);
  for (char *c = word; *c; c++)
    if (*c == '_') *c = '-';
  const char *nearest = cli_nearest(word, names, n);
  for (size_t i = 0; i < n && !nearest; i++)
    if (is_short_for(word, names[i])) nearest = names[i];
  return cli_usage(command, "there is no option '%.100s'%s%s%s", argument, nearest ? "; did you mean '--" : "",
                   nearest ? nearest : "", nearest ? "'?" : "");
}

static int parse_option(reader *in, const cli_option *option, const char *separator) {
  if (option->type == CLI_SWITCH) {
    if (separator && *separator) return cli_usage(in->call->command, "--%s takes no value", option->name);
    return store(in->call, option, NULL);
  }
  const char *value = take_value(in, separator);
  if (!value) return cli_usage(in->call->command, "--%s needs a value: %s", option->name, option->argument);
  return store(in->call, option, value);
}

static int parse_long(reader *in, char *argument) {
  const cli_command *command = in->call->command;
  char *name = argument + 2;
  const char *separator = separator_of(name);
  const size_t n = (size_t)(separator - name);
  for (size_t i = 0; i < command->n_options; i++)
    if (is_named(command->options[i].name, name, n)) return parse_option(in, &command->options[i], separator);
  if (is_named("help", name, n) && *separator == 0) {
    in->call->wants_help = true;
    return CLI_OK;
  }
  if (!command->takes_recipe) return unknown_option(command, argument);
  const bool is_recipe = is_named("recipe", name, n);
  if (is_recipe || is_named("set", name, n)) {
    char *value = (char *)take_value(in, separator);
    if (!value)
      return cli_usage(command, "--%.*s needs a value: %s", (int)n, name, cli_recipe_options[!is_recipe].argument);
    if (!is_recipe) return assign_pair(in->call, value);
    return store_text(in->call, &cli_recipe_options[0], value, &in->call->recipe_path);
  }
  const int code = parse_flag(in, name, n, separator);
  return code == CLI_CLOSED ? unknown_option(command, argument) : code;
}

static int parse_short(reader *in, const char *argument) {
  const cli_command *command = in->call->command;
  for (size_t i = 0; i < command->n_options; i++)
    if (command->options[i].letter == argument[1] && argument[2] == 0)
      return parse_option(in, &command->options[i], NULL);
  if (strcmp(argument, "-h") == 0) {
    in->call->wants_help = true;
    return CLI_OK;
  }
  return unknown_option(command, argument);
}

static int take_argument(cli_call *call, const char *argument) {
  const cli_command *command = call->command;
  if (call->n_arguments == command->max_arguments)
    return cli_usage(command, "'%.100s' is one argument too many; write: deepfm %s %s", argument, command->name,
                     command->arguments);
  call->argument[call->n_arguments++] = argument;
  return CLI_OK;
}

static int set_defaults(const cli_call *call) {
  for (size_t i = 0; i < call->command->n_options; i++) {
    const cli_option *option = &call->command->options[i];
    if (option->default_value && store(call, option, option->default_value) != CLI_OK) return CLI_USAGE;
  }
  return CLI_OK;
}

int cli_parse(const cli_command *command, int argc, char **argv, cli_call *call) {
  reader in = {call, argv, argv + argc};
  bool is_plain = false; /* after "--" */
  *call = (cli_call){.command = command};
  call->options = calloc(1, command->options_size + 1);
  call->argument = calloc((size_t)argc + 1, sizeof *call->argument);
  if (!call->options || !call->argument) return cli_complain("no memory for the options");
  int code = set_defaults(call);
  while (code == CLI_OK && in.next < in.end) {
    char *argument = *in.next++;
    if (is_plain || argument[0] != '-' || argument[1] == 0)
      code = take_argument(call, argument);
    else if (strcmp(argument, "--") == 0)
      is_plain = true;
    else
      code = argument[1] == '-' ? parse_long(&in, argument) : parse_short(&in, argument);
  }
  if (code == CLI_OK && !call->wants_help && call->n_arguments < command->min_arguments)
    return cli_usage(command, "an argument is missing; write: deepfm %s %s", command->name, command->arguments);
  return code;
}

void cli_call_clear(cli_call *call) {
  free(call->options);
  free(call->argument);
  free(call->assignments);
}

/* Every row validates before it is trained on, so none is held out. */
static dfm_status set_progressive(dfm_recipe *recipe, dfm_error *error) {
  static const char *const implied[][2] = {
      {"train.epochs", "1"}, {"train.shuffle", "false"}, {"validation.split", "0"}, {"validation.random", "0"}};
  dfm_status status = DFM_OK;
  for (int i = 0; i < 4 && status == DFM_OK; i++) status = dfm_recipe_set(recipe, implied[i][0], implied[i][1], error);
  return status;
}

static dfm_status start_recipe(const cli_call *call, const cli_recipe_base *base, dfm_recipe *recipe,
                               dfm_error *error) {
  dfm_status status = DFM_OK;
  if (base && base->from) status = dfm_recipe_adopt_model(recipe, base->from, error);
  if (status == DFM_OK && base && base->is_progressive) status = set_progressive(recipe, error);
  if (status == DFM_OK && base && base->dataset) status = dfm_recipe_adopt(recipe, base->dataset, error);
  if (status == DFM_OK && call->recipe_path) status = dfm_recipe_load(recipe, call->recipe_path, error);
  return status;
}

int cli_recipe(const cli_call *call, const cli_recipe_base *base, dfm_recipe **recipe) {
  dfm_error error;
  dfm_recipe *made = NULL;
  if (dfm_recipe_create(&made, &error) != DFM_OK) return cli_fail(&error);
  if (start_recipe(call, base, made, &error) != DFM_OK) {
    dfm_recipe_free(made);
    return cli_fail(&error);
  }
  for (size_t i = 0; i < call->n_assignments; i++)
    if (dfm_recipe_set(made, call->assignments[i].name, call->assignments[i].value, &error) != DFM_OK) {
      dfm_recipe_free(made);
      return cli_usage(call->command, "%s", error.message);
    }
  *recipe = made;
  return CLI_OK;
}

int cli_input(const cli_call *call, int first, dfm_input **input) {
  dfm_error error;
  const size_t n = (size_t)(call->n_arguments - first);
  return dfm_input_create(call->argument + first, n, input, &error) == DFM_OK ? CLI_OK : cli_fail(&error);
}
