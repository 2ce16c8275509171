/* Cores: the processors that the system lets this process run on, and no more of them than its quota of time pays for:
 * threads beyond that would only be stopped by turns, while others wait for them. */
#include "base/cores.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "deepfm.h"

/* The text of a file of the system, which is one short line or some; false: there is none, or it is longer. */
static bool read_short(const char *path, char *text, size_t room) {
  FILE *file = fopen(path, "re");
  if (!file) return false;
  const size_t n = fread(text, 1, room, file);
  fclose(file);
  if (n == room) return false;
  text[n] = '\0';
  return true;
}

/* Of a file cpu.max, "QUOTA PERIOD" or "max PERIOD", both in microseconds. */
static int cores_of(const char *path) {
  char text[64];
  long long quota, period;
  if (!read_short(path, text, sizeof text) || sscanf(text, "%lld %lld", &quota, &period) != 2) return INT_MAX;
  if (quota <= 0 || period <= 0 || quota / period >= INT_MAX) return INT_MAX;
  return (int)((quota + period - 1) / period);
}

int dfm_quota_cores(const char *groups, const char *root) {
  char text[4096], path[sizeof text + 128];
  int least = INT_MAX;
  if (!read_short(groups, text, sizeof text)) return INT_MAX;
  const char *line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
  if (!line) return INT_MAX;
  char *group = strchr(line, '/');
  if (!group) return INT_MAX;
  group[strcspn(group, "\n")] = '\0';
  /* In a container the path may be the host's, of which little is seen there: what is not there has no quota. */
  for (size_t n = strlen(group);;) {
    while (n > 0 && group[n - 1] == '/') n--;
    snprintf(path, sizeof path, "%s%.*s/cpu.max", root, (int)n, group);
    const int cores = cores_of(path);
    if (cores < least) least = cores;
    if (n == 0) return least;
    while (n > 0 && group[n - 1] != '/') n--;
  }
}

int dfm_cores(void) {
  cpu_set_t set;
  /* more cores than a cpu_set_t holds are an error */
  const long cores = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);
  const int paid = dfm_quota_cores("/proc/self/cgroup", "/sys/fs/cgroup");
  return cores < 1 ? 1 : cores > paid ? paid : (int)cores;
}
