/* What comes in: when to watch. What goes out: the most memory that the process has held meanwhile. */
#ifndef CLI_MEMORY_H
#define CLI_MEMORY_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>

#include "cli.h"

/* A thread looks every 10 ms, since the system keeps no peak of anonymous memory (that of no file, which only the
 * program's end gives back). */
typedef struct cli_memory {
  pthread_t thread;
  bool has_thread;
  atomic_bool is_over;
  int64_t anonymous; /* bytes, the most seen; 0: never looked */
} cli_memory;

/* `is_wanted` false: nothing is watched. */
void cli_memory_start(cli_memory *memory, bool is_wanted);
void cli_memory_stop(cli_memory *memory);
/* Adds "memory_anonymous_peak" and "memory_peak" (all resident memory, files' pages included), in bytes, to `json`. */
void cli_memory_add(const cli_memory *memory, json_t *json);

#endif
