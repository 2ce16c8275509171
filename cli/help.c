/* What comes in: the tables of commands, options and settings. What goes out: help for a terminal, 100 columns wide. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { WIDTH = 100, LEFT = 34 };

/* Length of the next word; "[0, 10]" is one. */
static int word_length(const char *text) {
  size_t n = strcspn(text, " \n");
  while (n > 0 && text[n] == ' ' && text[n - 1] == ',' && text[n + 1] >= '0' && text[n + 1] <= '9')
    n += 1 + strcspn(text + n + 1, " \n");
  return (int)n;
}

/* Prints words of `text` from column `column` on, broken at WIDTH, further lines indented by `indent`. '\n' ends a
 * paragraph. */
static void print_wrapped(FILE *file, const char *text, int column, int indent) {
  const char *space = "";
  while (*text) {
    const int n = word_length(text);
    if (*space && column + 1 + n > WIDTH) {
      fprintf(file, "\n%*s", indent, "");
      column = indent;
      space = "";
    }
    column += fprintf(file, "%s%.*s", space, n, text);
    space = " ";
    text += n;
    if (*text == '\n') {
      fprintf(file, "\n%*s", indent, "");
      column = indent;
      space = "";
    }
    if (*text) text++;
  }
  fputc('\n', file);
}

/* "  left      right, wrapped" */
static void print_entry(FILE *file, const char *left, const char *right) {
  int column = fprintf(file, "  %s", left);
  if (column + 1 > LEFT) {
    fputc('\n', file);
    column = 0;
  }
  fprintf(file, "%*s", LEFT - column, "");
  print_wrapped(file, right, LEFT, LEFT);
}

static void print_option(FILE *file, const cli_option *option) {
  char left[96], letter[8] = "", right[512];
  if (option->letter) snprintf(letter, sizeof letter, "-%c, ", option->letter);
  snprintf(left, sizeof left, "%s--%s%s%s", letter, option->name, option->argument ? " " : "",
           option->argument ? option->argument : "");
  snprintf(right, sizeof right, "%s%s%s%s", option->help, option->default_value ? " (default " : "",
           option->default_value ? option->default_value : "", option->default_value ? ")" : "");
  print_entry(file, left, right);
}

static void print_setting(FILE *file, const dfm_setting *setting) {
  const bool is_bool = strcmp(setting->range, "true | false") == 0;
  char left[96], right[512];
  snprintf(left, sizeof left, is_bool ? "--[no-]%s" : "--%s VALUE", setting->flag);
  snprintf(right, sizeof right, "%s (%s%sdefault %s)", setting->help, is_bool ? "" : setting->range,
           is_bool ? "" : "; ", *setting->default_value ? setting->default_value : "empty");
  print_entry(file, left, right);
}

/* Sections follow each other in the table; each opens with its name as YAML has it. */
void cli_print_settings(FILE *file, bool of_rows) {
  const char *section = NULL;
  size_t n = 0;
  const dfm_setting *setting;
  for (size_t i = 0; (setting = dfm_setting_at(i)); i++) {
    if (of_rows && strncmp(setting->name, "data.", 5) != 0 && strncmp(setting->name, "validation.", 11) != 0) continue;
    const size_t length = strcspn(setting->name, ".");
    if (!section || length != n || memcmp(section, setting->name, n) != 0) {
      section = setting->name;
      n = length;
      fprintf(file, "\n%.*s\n", (int)n, section);
    }
    print_setting(file, setting);
  }
}

void cli_print_overview(FILE *file) {
  fprintf(file, "deepfm %s: click-through-rate models, from raw rows to probabilities\n\n", dfm_version());
  fprintf(file, "Usage: deepfm COMMAND ...\n\n");
  for (size_t i = 0; cli_command_at(i); i++) {
    const cli_command *command = cli_command_at(i);
    char left[96];
    snprintf(left, sizeof left, "%s %s", command->name, command->arguments);
    print_entry(file, left, command->help);
  }
  fprintf(file, "\nA first run:\n");
  fprintf(file, "  deepfm synth --rows 300000 -o rows.csv\n");
  fprintf(file, "  deepfm train rows.csv -o model.safetensors\n");
  fprintf(file, "  deepfm predict model.safetensors rows.csv\n\n");
  print_wrapped(file,
                "deepfm COMMAND --help explains a command, deepfm help recipe lists the settings of training, deepfm "
                "--version prints the "
                "version. Exit codes: 0 done, 1 failed, 2 wrong usage.",
                0, 0);
}

void cli_print_command(FILE *file, const cli_command *command) {
  fprintf(file, "Usage: deepfm %s %s%s[options]\n\n", command->name, command->arguments,
          *command->arguments ? " " : "");
  print_wrapped(file, command->details, 0, 0);
  fprintf(file, "\nExample:\n  %s\n\nOptions:\n", command->example);
  for (size_t i = 0; i < command->n_options; i++) print_option(file, &command->options[i]);
  if (command->takes_recipe)
    for (size_t i = 0; i < 2; i++) print_option(file, &cli_recipe_options[i]);
  print_option(file, &cli_help_option);
  if (!command->takes_recipe) return;
  const bool of_rows = command->takes_recipe == CLI_RECIPE_ROWS;
  fprintf(file, "\nSettings%s, by section of a recipe%s:\n", of_rows ? " that shape rows" : "",
          of_rows ? " (deepfm help recipe lists all)" : "");
  cli_print_settings(file, of_rows);
}

/* ---- deepfm help */

typedef struct help_options {
  const char *markdown;
} help_options;

static const cli_option options[] = {
    {"markdown", 0, "cli | recipe", NULL, "Prints the page docs/cli.md or docs/recipe.md", CLI_CHOICE,
     offsetof(help_options, markdown), 0, 0},
};

static int run(const cli_call *call) {
  const help_options *o = call->options;
  const char *topic = call->n_arguments > 0 ? call->argument[0] : NULL;
  if (o->markdown && strcmp(o->markdown, "cli") == 0)
    cli_print_cli_markdown(stdout);
  else if (o->markdown)
    cli_print_recipe_markdown(stdout);
  else if (!topic)
    cli_print_overview(stdout);
  else if (strcmp(topic, "recipe") == 0)
    cli_print_settings(stdout, false);
  else if (cli_command_find(topic))
    cli_print_command(stdout, cli_command_find(topic));
  else
    return cli_usage(call->command, "there is no help on '%.100s'; name a command, or recipe", topic);
  return CLI_OK;
}

const cli_command cli_help = {
    .name = "help",
    .arguments = "[COMMAND]",
    .help = "Explains a command; `recipe` lists the settings of training",
    .details =
        "Prints the help of a command, or the list of commands. `deepfm help recipe` lists every setting of training "
        "with its flag, "
        "range and default.",
    .example = "deepfm help train",
    .run = run,
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .options_size = sizeof(help_options),
    .max_arguments = 1,
};
