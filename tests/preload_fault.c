/* Fault injection: DFM_FAULT="write:3" comes in through the environment; the 3rd such call of the process fails or
 * ends it.
 *
 * Kinds: write, pwrite, fsync, linkat, rename, close. What is written to counts: descriptors of regular files open for
 * writing, past standard error; for fsync folders too. DFM_FAULT_ACTION: `fail` (the default: ENOSPC for writes, EIO
 * for the rest), `exit` (status 99, before the call has any effect, as if killed), `interrupt` (EINTR), `short` (a
 * write writes half). With DFM_FAULT_NO_TMPFILE set the file system has no files without a name. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

typedef enum fault { NONE, FAIL, INTERRUPT, SHORT } fault;

static atomic_long calls;

static bool is_output(int fd, bool folders_too) {
  struct stat info;
  if (fd <= STDERR_FILENO || fstat(fd, &info) != 0) return false;
  if (S_ISDIR(info.st_mode)) return folders_too;
  return S_ISREG(info.st_mode) && (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY;
}

/* What is to happen to this call of `kind`; does not return where that is the end. */
static fault next_fault(const char *kind) {
  const char *wanted = getenv("DFM_FAULT"), *action = getenv("DFM_FAULT_ACTION");
  const size_t n = strlen(kind);
  if (!wanted || strncmp(wanted, kind, n) != 0 || wanted[n] != ':') return NONE;
  if (atomic_fetch_add(&calls, 1) + 1 != atol(wanted + n + 1)) return NONE;
  if (!action || strcmp(action, "fail") == 0) return FAIL;
  if (strcmp(action, "exit") == 0) _exit(99);
  return strcmp(action, "short") == 0 ? SHORT : INTERRUPT;
}

static int fail_with(int reason) {
  errno = reason;
  return -1;
}

ssize_t write(int fd, const void *bytes, size_t n) {
  static ssize_t (*next)(int, const void *, size_t);
  if (!next) next = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
  const fault what = is_output(fd, false) ? next_fault("write") : NONE;
  if (what == FAIL || what == INTERRUPT) return fail_with(what == FAIL ? ENOSPC : EINTR);
  return next(fd, bytes, what == SHORT ? n - n / 2 : n);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t offset) {
  static ssize_t (*next)(int, const void *, size_t, off_t);
  if (!next) next = (ssize_t(*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite");
  const fault what = is_output(fd, false) ? next_fault("pwrite") : NONE;
  if (what == FAIL || what == INTERRUPT) return fail_with(what == FAIL ? ENOSPC : EINTR);
  return next(fd, bytes, what == SHORT ? n - n / 2 : n, offset);
}

int fsync(int fd) {
  static int (*next)(int);
  if (!next) next = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  const fault what = is_output(fd, true) ? next_fault("fsync") : NONE;
  return what == NONE ? next(fd) : fail_with(what == INTERRUPT ? EINTR : EIO);
}

int open(const char *path, int flags, ...) {
  static int (*next)(const char *, int, ...);
  if (!next) next = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
  const bool is_nameless = (flags & O_TMPFILE) == O_TMPFILE;
  if (is_nameless && getenv("DFM_FAULT_NO_TMPFILE")) return fail_with(EOPNOTSUPP);
  if (!is_nameless && !(flags & O_CREAT)) return next(path, flags);
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = va_arg(arguments, mode_t);
  va_end(arguments);
  return next(path, flags, mode);
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
  static int (*next)(int, const char *, int, const char *, int);
  if (!next) next = (int (*)(int, const char *, int, const char *, int))dlsym(RTLD_NEXT, "linkat");
  return next_fault("linkat") == NONE ? next(from_folder, from, to_folder, to, flags) : fail_with(EIO);
}

int rename(const char *from, const char *to) {
  static int (*next)(const char *, const char *);
  if (!next) next = (int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename");
  return next_fault("rename") == NONE ? next(from, to) : fail_with(EIO);
}

/* A close that fails has closed the descriptor all the same. */
int close(int fd) {
  static int (*next)(int);
  if (!next) next = (int (*)(int))dlsym(RTLD_NEXT, "close");
  const fault what = is_output(fd, false) ? next_fault("close") : NONE;
  const int result = next(fd);
  return what == NONE || result != 0 ? result : fail_with(what == INTERRUPT ? EINTR : EIO);
}
