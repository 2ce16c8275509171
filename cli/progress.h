/* A trainer's progress comes in, batch by batch; a live bar on a terminal, or a line for each epoch elsewhere, goes
 * out to standard error. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "cli.h"

typedef struct cli_progress {
  bool is_quiet, is_terminal;
  bool has_bar; /* a bar stands on the last line */
  double drawn; /* when, in seconds */
} cli_progress;

/* A clock that only goes forward. */
double cli_now_seconds(void);

void cli_progress_start(cli_progress *progress, bool is_quiet);
void cli_progress_show(cli_progress *progress, const dfm_progress *now);
/* Removes the bar, so that other lines may follow. */
void cli_progress_end(cli_progress *progress);

#endif
