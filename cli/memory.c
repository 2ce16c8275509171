/* What comes in: the system's count of this process's pages. What goes out: their peaks. */
#include "memory.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Resident pages that are no file's, in bytes; 0 where the system does not say. */
static int64_t anonymous_now(int statm) {
  char line[128];
  long long size, resident, shared;
  const ssize_t n = pread(statm, line, sizeof line - 1, 0);
  line[n > 0 ? n : 0] = '\0';
  if (sscanf(line, "%lld %lld %lld", &size, &resident, &shared) != 3 || resident < shared) return 0;
  return (int64_t)(resident - shared) * sysconf(_SC_PAGESIZE);
}

static void look(cli_memory *memory, int statm) {
  const int64_t now = anonymous_now(statm);
  if (now > memory->anonymous) memory->anonymous = now;
}

static void *watch(void *context) {
  cli_memory *memory = context;
  const struct timespec pause = {.tv_nsec = 10000000};
  const int statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  while (!atomic_load(&memory->is_over)) {
    look(memory, statm);
    nanosleep(&pause, NULL);
  }
  look(memory, statm);
  if (statm >= 0) close(statm);
  return NULL;
}

void cli_memory_start(cli_memory *memory, bool is_wanted) {
  *memory = (cli_memory){0};
  memory->has_thread = is_wanted && pthread_create(&memory->thread, NULL, watch, memory) == 0;
}

void cli_memory_stop(cli_memory *memory) {
  if (!memory->has_thread) return;
  atomic_store(&memory->is_over, true);
  pthread_join(memory->thread, NULL);
  memory->has_thread = false;
}

void cli_memory_add(const cli_memory *memory, json_t *json) {
  struct rusage usage = {0};
  getrusage(RUSAGE_SELF, &usage);
  json_object_set_new(json, "memory_anonymous_peak", json_integer(memory->anonymous));
  json_object_set_new(json, "memory_peak", json_integer((json_int_t)usage.ru_maxrss * 1024));
}
