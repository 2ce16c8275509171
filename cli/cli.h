/* The frame of the program: a table of commands and their options comes in; a parsed call goes to a command's
 * function, an exit code comes back. */
#ifndef CLI_H
#define CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "deepfm.h"

/* CLI_CLOSED: whoever reads standard output has gone (`| head`); nothing more is to be said, and the program ends
 * with 0. */
enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_CLOSED = 3 };

typedef enum cli_type {
  CLI_SWITCH, /* bool: no argument */
  CLI_TEXT,   /* const char *: NULL where it is not given and has no default */
  CLI_CHOICE, /* const char *: one of the words of `argument`, "a | b"; NULL as above */
  CLI_INT     /* int64_t within [low, high] */
} cli_type;

typedef struct cli_option {
  const char *name;     /* "output": --output */
  char letter;          /* 'o': -o; 0: none */
  const char *argument; /* "FILE", as help shows it; NULL for switches */
  const char *default_value;
  const char *help;
  cli_type type;
  size_t offset; /* in the command's struct of options */
  int64_t low, high;
} cli_option;

/* Whether a command takes --recipe, --set and a flag for each setting, and which of them its help lists. */
typedef enum cli_recipe_use { CLI_RECIPE_NONE, CLI_RECIPE_ROWS, CLI_RECIPE_WHOLE } cli_recipe_use;

typedef struct cli_command cli_command;

typedef struct cli_assignment {
  const char *name, *value;
} cli_assignment;

/* For max_arguments: as many as one likes. */
enum { CLI_MANY = 1 << 30 };

/* One call of a command. Strings belong to argv. */
typedef struct cli_call {
  const cli_command *command;
  const char **argument; /* (n_arguments) */
  int n_arguments;
  void *options;               /* the command's struct */
  const char *recipe_path;     /* --recipe */
  cli_assignment *assignments; /* --set and settings' flags, in the order given */
  size_t n_assignments;
  bool wants_help;
} cli_call;

struct cli_command {
  const char *name, *arguments, *help; /* "eval", "MODEL DATA", one line */
  const char *details;                 /* a paragraph or two, without line breaks inside a paragraph */
  const char *example;                 /* one line to type */
  int (*run)(const cli_call *call);
  const cli_option *options;
  size_t n_options, options_size;
  int min_arguments, max_arguments;
  cli_recipe_use takes_recipe;
};

extern const cli_command cli_doctor, cli_encode, cli_train, cli_eval, cli_predict, cli_summary, cli_inspect, cli_schema,
    cli_synth, cli_bench, cli_help;
/* Commands by index, in the order of help; NULL past the last. */
const cli_command *cli_command_at(size_t i);
const cli_command *cli_command_find(const char *name);

/* ---- options.c */
/* Fills `call` (freed with cli_call_clear in any case) from the arguments after the command's name. CLI_OK or
 * CLI_USAGE, said on standard error. */
int cli_parse(const cli_command *command, int argc, char **argv, cli_call *call);
void cli_call_clear(cli_call *call);
/* What a recipe starts from, in this order, where the call says nothing: NULL or false each for nothing. */
typedef struct cli_recipe_base {
  const dfm_model *from; /* a model to go on from */
  bool is_progressive;   /* one pass in the order of the file over all rows */
  const char *dataset;   /* a dataset file: what it was made by */
} cli_recipe_base;
/* The recipe of --recipe over the base (NULL: the defaults), and the settings given on the command line over that. The
 * caller frees it. */
int cli_recipe(const cli_call *call, const cli_recipe_base *base, dfm_recipe **recipe);
/* --recipe, --set and --help, which several commands share. */
extern const cli_option cli_recipe_options[2], cli_help_option;

/* The input that the arguments from number `first` on name. The caller frees it. */
int cli_input(const cli_call *call, int first, dfm_input **input);

/* ---- help.c */
void cli_print_overview(FILE *file);
void cli_print_command(FILE *file, const cli_command *command);
/* All settings by section, or those of the sections that shape rows. */
void cli_print_settings(FILE *file, bool of_rows);
/* ---- markdown.c: docs/cli.md and docs/recipe.md */
void cli_print_cli_markdown(FILE *file);
void cli_print_recipe_markdown(FILE *file);

/* ---- text.c */
/* Prints "deepfm: message" and returns CLI_FAILED. */
int cli_fail(const dfm_error *error);
int cli_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Prints the message and how to get help; returns CLI_USAGE. */
int cli_usage(const cli_command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cli_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The nearest of `names`, or NULL where none is near. */
const char *cli_nearest(const char *word, const char *const *names, size_t n);

/* Each writes into `out` and returns it: 170125 -> "170,125"; 62 -> "1:02"; 0.5 -> "0.5000" and NaN -> "undefined"; a
 * share -> "24.5 %". */
enum { CLI_SHORT = 32 };
const char *cli_thousands(char out[CLI_SHORT], int64_t n);
const char *cli_duration(char out[CLI_SHORT], double seconds);
const char *cli_metric(char out[CLI_SHORT], double value);
/* "0.7812" or, where it is not exact, "0.7812 +- 0.0001", the bound rounded up. */
const char *cli_auc(char out[CLI_SHORT], double auc, double auc_error, int decimals);
const char *cli_percent(char out[CLI_SHORT], int64_t part, int64_t whole);
/* Shorter, for tables: 1234567 -> "1.2M"; 0.0123 -> "1.2%". */
const char *cli_rounded(char out[CLI_SHORT], int64_t n);
const char *cli_share(char out[CLI_SHORT], double share);
/* A file's name as a shell takes it, quoted where it must be. Cut where it does not fit. */
enum { CLI_QUOTED = 1024 };
const char *cli_quoted(char out[CLI_QUOTED], const char *path);
/* Data for a command line to type next: the path as cli_quoted gives it where it is one, "DATA" where it is many or the
 * standard input. */
const char *cli_quoted_data(char out[CLI_QUOTED], const char *const *paths, int n_paths);
/* Bytes of a vocabulary made printable: control and non-UTF-8 bytes as \xNN. Cut with "..." where `size` is too
 * small. */
const char *cli_show(char *out, size_t size, const char *bytes, size_t n);
/* "number", "list" or "category". */
const char *cli_kind(bool is_number, bool is_list);

/* ---- output.c: a file that appears whole or not at all, or standard output */
#define CLI_STANDARD_OUTPUT "/dev/stdout" /* its path, where the library writes */
typedef struct cli_output {
  FILE *file;
  char *path, *temporary; /* NULL: written directly */
} cli_output;
/* `path` NULL, "-" or CLI_STANDARD_OUTPUT: standard output. Each returns CLI_OK, or CLI_FAILED after saying why, or
 * CLI_CLOSED. */
int cli_output_open(cli_output *output, const char *path);
int cli_output_write(cli_output *output, const void *bytes, size_t n);
/* Whether the folder of a file that --`flag` will write is there and can be written to: better said before training
 * than after its first epoch. NULL is no place to check. CLI_OK or CLI_FAILED (said). */
int cli_check_folder(const char *flag, const char *path);
/* CLI_USAGE, said on standard error, where writing `path` (of option `flag`; NULL: none) would destroy `other`, or one
 * of the arguments from number `first` on. */
int cli_keep_apart(const cli_call *call, const char *flag, const char *path, const char *what, const char *other);
int cli_keep_data(const cli_call *call, int first, const char *flag, const char *path);
/* What was written so far can be read by others, where the output is no file that appears as a whole. */
int cli_output_flush(cli_output *output);
/* Ends the output in any case; `status` other than CLI_OK throws it away, and is returned. */
int cli_output_close(cli_output *output, int status);
/* Empties standard output, at the program's end. */
int cli_flush(void);

#endif
