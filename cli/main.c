/* What comes in: the command line. What goes out: one command of the table, run; its exit code. */
#include <signal.h>
#include <string.h>

#include "cli.h"

static const cli_command *const commands[] = {&cli_train,   &cli_eval,   &cli_predict, &cli_summary,
                                              &cli_inspect, &cli_doctor, &cli_schema,  &cli_encode,
                                              &cli_synth,   &cli_bench,  &cli_help};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

const cli_command *cli_command_at(size_t i) {
  return i < N_COMMANDS ? commands[i] : NULL;
}

const cli_command *cli_command_find(const char *name) {
  for (size_t i = 0; i < N_COMMANDS; i++)
    if (strcmp(commands[i]->name, name) == 0) return commands[i];
  return NULL;
}

static int unknown_command(const char *name) {
  const char *names[N_COMMANDS];
  for (size_t i = 0; i < N_COMMANDS; i++) names[i] = commands[i]->name;
  const char *nearest = cli_nearest(name, names, N_COMMANDS);
  return cli_usage(NULL, "there is no command '%.100s'%s%s%s", name, nearest ? "; did you mean '" : "",
                   nearest ? nearest : "", nearest ? "'?" : "");
}

static int run(const cli_command *command, int argc, char **argv) {
  cli_call call = {0};
  int code = cli_parse(command, argc, argv, &call);
  if (code == CLI_OK && call.wants_help)
    cli_print_command(stdout, command);
  else if (code == CLI_OK)
    code = command->run(&call);
  cli_call_clear(&call);
  return code;
}

int main(int argc, char **argv) {
  /* A reader that goes away is seen at the write that fails, not by a signal. */
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN); /* so is a file that grows past the limit */
  int code = CLI_OK;
  const char *name = argc > 1 ? argv[1] : NULL;
  const cli_command *command = name ? cli_command_find(name) : NULL;
  if (!name) {
    cli_print_overview(stderr);
    return CLI_USAGE;
  }
  if (command)
    code = run(command, argc - 2, argv + 2);
  else if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
    cli_print_overview(stdout);
  else if (strcmp(name, "--version") == 0)
    printf("deepfm %s\n", dfm_version());
  else
    code = unknown_command(name);
  if (code == CLI_OK) code = cli_flush();
  return code == CLI_CLOSED ? CLI_OK : code;
}
