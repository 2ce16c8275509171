/* What comes in: the tables of commands, options and settings. What goes out: docs/cli.md and docs/recipe.md. */
#include <string.h>

#include "cli.h"

/* A bar would end a table's cell. */
static void print_cell(FILE *file, const char *text) {
  for (; *text; text++) {
    if (*text == '|') fputc('\\', file);
    fputc(*text, file);
  }
}

static void print_option_row(FILE *file, const cli_option *option) {
  fprintf(file, "| `");
  if (option->letter) fprintf(file, "-%c`, `", option->letter);
  fprintf(file, "--%s%s", option->name, option->argument ? " " : "");
  if (option->argument) print_cell(file, option->argument);
  fprintf(file, "` | ");
  print_cell(file, option->help);
  fprintf(file, " | %s |\n", option->default_value ? option->default_value : "");
}

static void print_command(FILE *file, const cli_command *command) {
  fprintf(file, "\n## deepfm %s\n\n", command->name);
  for (const char *c = command->details; *c; c++) fputs(*c == '\n' ? "\n\n" : (char[]){*c, 0}, file);
  fprintf(file, "\n\n```\n%s\n```\n\n| option | meaning | default |\n| --- | --- | --- |\n", command->example);
  for (size_t i = 0; i < command->n_options; i++) print_option_row(file, &command->options[i]);
  if (command->takes_recipe)
    for (size_t i = 0; i < 2; i++) print_option_row(file, &cli_recipe_options[i]);
  print_option_row(file, &cli_help_option);
  if (command->takes_recipe) fputs("\nEvery setting of a [recipe](recipe.md) is an option too.\n", file);
}

void cli_print_cli_markdown(FILE *file) {
  fputs(
      "# The command line\n\n"
      "Printed by `deepfm help --markdown cli`; the program's own tables are the source.\n\n"
      "Results go to standard output, progress, advice and errors to standard error. Exit codes: 0 done, 1 failed, 2 "
      "wrong usage.\n"
      "A failure is one sentence that names the place, the value and the remedy, and leaves no half-written file. An "
      "option's value\n"
      "follows after a space or `=`; `--` ends the options. Where a file is written, `-` is standard output.\n\n"
      "DATA is text: delimited, libsvm, libffm or JSON lines ([schema.md](schema.md)). What gzip or zstd has "
      "compressed is told by its content, whatever its name, and "
      "decompressed\n"
      "on the way; `-` is the standard input. Several files, or a quoted pattern (`'rows-*.csv.gz'`, in the order of "
      "names),\n"
      "are read one after the other as if they were one; each has the header of the first. `train`, `eval` and "
      "`predict`\n"
      "also take one dataset file, which `deepfm encode` writes.\n\n"
      "| command | |\n| --- | --- |\n",
      file);
  for (size_t i = 0; cli_command_at(i); i++) {
    const cli_command *command = cli_command_at(i);
    fprintf(file, "| [`deepfm %s%s%s`](#deepfm-%s) | ", command->name, *command->arguments ? " " : "",
            command->arguments, command->name);
    print_cell(file, command->help);
    fprintf(file, " |\n");
  }
  for (size_t i = 0; cli_command_at(i); i++) print_command(file, cli_command_at(i));
}

static void print_setting_row(FILE *file, const dfm_setting *setting) {
  const bool is_bool = strcmp(setting->range, "true | false") == 0;
  fprintf(file, "| `%s` | `--%s%s` | ", setting->name, is_bool ? "[no-]" : "", setting->flag);
  if (*setting->default_value)
    fprintf(file, "`%s`", setting->default_value);
  else
    fprintf(file, "empty");
  fprintf(file, " | ");
  print_cell(file, setting->range);
  fprintf(file, " | ");
  print_cell(file, setting->help);
  fprintf(file, " |\n");
}

void cli_print_recipe_markdown(FILE *file) {
  fputs(
      "# Recipes\n\n"
      "Printed by `deepfm help --markdown recipe`; the table of settings in `src/model/recipe_settings.c` is the "
      "source.\n\n"
      "A recipe says which model is built and how it is trained. Every setting has a default, so an empty recipe is a "
      "recipe. It is YAML:\n"
      "sections with settings, or full names with a dot; lists in brackets or, on the command line, with commas.\n\n"
      "```yaml\n"
      "model: deepfm\n"
      "embedding: {width: 4}\n"
      "dnn:\n"
      "  hidden: [256, 256, 256]\n"
      "  dropout: [0.5, 0.3, 0.1]\n"
      "train.batch_size: 64\n"
      "fields:\n"
      "  C1: {min_count: 10}\n"
      "  I1: {transform: log, into: [linear]}\n"
      "```\n\n"
      "`deepfm train rows.csv --recipe FILE` reads it. `--set NAME=VALUE` and the flags below lie over it, in the "
      "order given. A misspelt name\n"
      "or a value out of its range is an error that names line, column and remedy. The model file keeps the recipe it "
      "was made with;\n"
      "`deepfm summary MODEL --recipe` prints it.\n\n"
      "`fields.NAME.KEY` corrects what the [schema](schema.md) says of one column: any key of a schema's columns, for "
      "example\n"
      "`--set fields.zip.kind=category`.\n",
      file);
  const char *section = "";
  size_t n = 0;
  const dfm_setting *setting;
  for (size_t i = 0; (setting = dfm_setting_at(i)); i++) {
    const size_t length = strcspn(setting->name, ".");
    if (length != n || memcmp(section, setting->name, n) != 0) {
      section = setting->name;
      n = length;
      fprintf(file, "\n## %.*s\n\n| setting | flag | default | range | meaning |\n| --- | --- | --- | --- | --- |\n",
              (int)n, section);
    }
    print_setting_row(file, setting);
  }
  fputs(
      "\n## What does not combine\n\n"
      "- `optimizer.name: lbfgs` solves the model `lr` alone.\n"
      "- A list of `dnn.dropout` has one number for each layer of `dnn.hidden`.\n"
      "- `validation.split` above 0 switches `validation.random` off; setting both above 0 is an error. A validation "
      "file (`--valid`) takes\n"
      "  the place of both.\n",
      file);
}
