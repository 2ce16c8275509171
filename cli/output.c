/* What comes in: bytes and a path. What goes out: the file, whole or not at all; or standard output, whose reader may
 * leave early. */
#include <errno.h>
#include <glob.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

/* The temporary that a signal must remove. */
static char pending[4096];

static void remove_pending(int signal_number) {
  unlink(pending);
  signal(signal_number, SIG_DFL);
  raise(signal_number);
}

static const int ends[] = {SIGHUP, SIGINT, SIGTERM};
enum { N_ENDS = sizeof ends / sizeof *ends };

/* What is ignored stays so: nohup wants that. */
static void on_ends(void (*handler)(int)) {
  for (int i = 0; i < N_ENDS; i++)
    if (signal(ends[i], handler) == SIG_IGN) signal(ends[i], SIG_IGN);
}

/* Makes the file and sees to it that a signal removes it, which waits meanwhile. -1: errno says why not. */
static int create_guarded(char *temporary) {
  sigset_t waiting, before;
  sigemptyset(&waiting);
  for (int i = 0; i < N_ENDS; i++) sigaddset(&waiting, ends[i]);
  sigprocmask(SIG_BLOCK, &waiting, &before);
  const int descriptor = mkstemp(temporary), reason = errno;
  if (descriptor >= 0) {
    snprintf(pending, sizeof pending, "%s", temporary);
    on_ends(remove_pending);
  }
  sigprocmask(SIG_SETMASK, &before, NULL);
  errno = reason;
  return descriptor;
}

static void unguard(void) {
  on_ends(SIG_DFL);
}

/* `path` NULL: standard output. */
static int fail_write(const char *path, int reason) {
  static const struct {
    int reason;
    const char *remedy;
  } remedies[] = {{ENOSPC, "free some space or write elsewhere"},
                  {EDQUOT, "free some space or write elsewhere"},
                  {EFBIG, "raise the limit on file sizes or write elsewhere"},
                  {ENOENT, "make its folder first"},
                  {ENOTDIR, "what stands before the last / must be a folder"},
                  {EISDIR, "name a file"},
                  {ENAMETOOLONG, "choose a shorter name"},
                  {EACCES, "check its permissions, or write elsewhere"}};
  const char *remedy = "write elsewhere";
  if (!path && reason == EPIPE) return CLI_CLOSED;
  for (size_t i = 0; i < sizeof remedies / sizeof *remedies; i++)
    if (remedies[i].reason == reason) remedy = remedies[i].remedy;
  return cli_complain("cannot write %s: %s; %s", path ? path : "to standard output", strerror(reason), remedy);
}

static void release(cli_output *output) {
  free(output->path);
  free(output->temporary);
  *output = (cli_output){0};
}

static int open_direct(cli_output *output) {
  output->file = fopen(output->path, "wb");
  return output->file ? CLI_OK : CLI_FAILED;
}

/* A file in the same folder, with the permissions that the target would get. */
static int open_temporary(cli_output *output) {
  if (asprintf(&output->temporary, "%s.XXXXXX", output->path) < 0) return CLI_FAILED;
  const int descriptor = create_guarded(output->temporary);
  if (descriptor < 0) {
    free(output->temporary);
    output->temporary = NULL;
    return CLI_FAILED;
  }
  const mode_t mask = umask(0);
  umask(mask);
  output->file = fchmod(descriptor, 0666 & ~mask) == 0 ? fdopen(descriptor, "wb") : NULL;
  if (output->file) return CLI_OK;
  const int reason = errno;
  close(descriptor);
  unlink(output->temporary);
  unguard();
  errno = reason;
  return CLI_FAILED;
}

/* Whether both name one regular file, or one that is yet to be made. */
static bool is_same_file(const char *path, const char *other) {
  struct stat a, b;
  if (!path || !other || strcmp(path, "-") == 0) return false;
  const bool has_a = stat(path, &a) == 0, has_b = stat(other, &b) == 0;
  if (!has_a || !has_b) return !has_a && !has_b && strcmp(path, other) == 0;
  return S_ISREG(a.st_mode) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* The file of `other` that is `path`: itself, or one that it matches as a pattern, as an input reads it. NULL: none.
 * `*matches` is to be freed after use. */
static const char *find_same(const char *path, const char *other, glob_t *matches) {
  struct stat info;
  if (is_same_file(path, other)) return other;
  if (!path || !other || stat(other, &info) == 0 || glob(other, GLOB_NOSORT, NULL, matches) != 0) return NULL;
  for (size_t i = 0; i < matches->gl_pathc; i++)
    if (is_same_file(path, matches->gl_pathv[i])) return matches->gl_pathv[i];
  return NULL;
}

int cli_keep_apart(const cli_call *call, const char *flag, const char *path, const char *what, const char *other) {
  glob_t matches = {0};
  const char *same = find_same(path, other, &matches);
  const int code =
      same ? cli_usage(call->command, "--%s would overwrite %s, %.500s; give --%s another name", flag, what, same, flag)
           : CLI_OK;
  globfree(&matches);
  return code;
}

int cli_check_folder(const char *flag, const char *path) {
  const char *slash = path ? strrchr(path, '/') : NULL;
  char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : NULL;
  struct stat info;
  const bool is_usable = !folder || access(folder, W_OK | X_OK) == 0;
  const int reason = errno;
  free(folder);
  if (path && stat(path, &info) == 0 && S_ISDIR(info.st_mode))
    return cli_complain("cannot write --%s to %.500s: it is a folder; name a file", flag, path);
  if (is_usable) return CLI_OK;
  cli_complain("cannot write --%s to %.500s: %s; make its folder, or give --%s another place", flag, path,
               strerror(reason), flag);
  return CLI_FAILED;
}

int cli_keep_data(const cli_call *call, int first, const char *flag, const char *path) {
  int code = CLI_OK;
  for (int i = first; i < call->n_arguments && code == CLI_OK; i++)
    code = cli_keep_apart(call, flag, path, "DATA", call->argument[i]);
  return code;
}

int cli_output_open(cli_output *output, const char *path) {
  *output = (cli_output){0};
  if (!path || strcmp(path, "-") == 0 || strcmp(path, CLI_STANDARD_OUTPUT) == 0) {
    output->file = stdout;
    return CLI_OK;
  }
  struct stat stat_of_target;
  const bool exists = stat(path, &stat_of_target) == 0;
  const bool is_direct = exists && !S_ISREG(stat_of_target.st_mode); /* such as a pipe, which may have no real path */
  output->path = exists && !is_direct ? realpath(path, NULL) : strdup(path);
  int code = CLI_FAILED;
  if (output->path) code = is_direct ? open_direct(output) : open_temporary(output);
  if (code == CLI_OK) return CLI_OK;
  code = fail_write(path, errno);
  release(output);
  return code;
}

int cli_output_write(cli_output *output, const void *bytes, size_t n) {
  errno = 0;
  return fwrite(bytes, 1, n, output->file) == n ? CLI_OK : fail_write(output->path, errno);
}

int cli_output_flush(cli_output *output) {
  errno = 0;
  return output->temporary || fflush(output->file) == 0 ? CLI_OK : fail_write(output->path, errno);
}

/* Flushed to the disk before the rename, so that a crash leaves the old file or the new one. */
static int finish(cli_output *output) {
  int code = CLI_OK;
  if (fflush(output->file) != 0 || (output->temporary && fsync(fileno(output->file)) != 0))
    code = fail_write(output->path, errno);
  if (output->path && fclose(output->file) != 0 && code == CLI_OK) code = fail_write(output->path, errno);
  if (code == CLI_OK && output->temporary && rename(output->temporary, output->path) != 0)
    code = fail_write(output->path, errno);
  return code;
}

int cli_output_close(cli_output *output, int status) {
  if (!output->file) return status;
  if (status == CLI_OK)
    status = finish(output);
  else if (output->path)
    fclose(output->file);
  if (output->temporary) {
    if (status != CLI_OK) unlink(output->temporary);
    unguard();
  }
  release(output);
  return status;
}

int cli_flush(void) {
  errno = 0;
  if (ferror(stdout)) { /* at an earlier write, for a reason that is gone; it keeps another byte out too */
    clearerr(stdout);
    putchar('\n');
  } else if (fflush(stdout) == 0) {
    return CLI_OK;
  }
  (void)fflush(stdout);
  return fail_write(NULL, errno ? errno : EIO);
}
