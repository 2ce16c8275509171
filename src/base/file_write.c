/* Bytes come in piece by piece; a file that is whole or absent goes out, even if the process is killed or the disk
 * is full. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/file.h"
#include "base/memory.h"

enum { BUFFER_BYTES = 256 << 10, STEP_BYTES = 8 << 20, MAX_TRIES = 100 };

struct dfm_writer {
  int fd;
  char *path;            /* as the caller named it: for messages */
  char *target;          /* where it lies, links followed; NULL: written directly */
  char *temporary;       /* beside the target; NULL: the file has no name (yet), or is written directly */
  unsigned char *buffer; /* (BUFFER_BYTES) */
  size_t fill;
  off_t written, started; /* bytes written; those whose way to the disk was started */
};

static dfm_status fail_write(const dfm_writer *writer, int reason, dfm_error *error) {
  static const struct {
    int reason;
    const char *remedy;
  } remedies[] = {{ENOSPC, "; free some space or write to another disk"},
                  {EDQUOT, "; free some of your quota or write to another disk"},
                  {EFBIG, "; raise the limit on file sizes or write to another disk"},
                  {EPIPE, "; what reads it must read to the end"},
                  {ENOENT, "; create its folder first"},
                  {ENOTDIR, "; what stands before the last / must be a folder"},
                  {EACCES, "; check the permissions of the file and its folder"},
                  {EROFS, "; write to another folder"},
                  {EISDIR, "; name a file"},
                  {ENAMETOOLONG, "; choose a shorter name"}};
  const char *remedy = "";
  for (size_t i = 0; i < sizeof remedies / sizeof *remedies; i++)
    if (remedies[i].reason == reason) remedy = remedies[i].remedy;
  return dfm_fail(error, DFM_ERROR_IO, "cannot write %s: %s%s", writer->path, strerror(reason), remedy);
}

/* Length of the folder part of `path`, its last '/' included; 0: the current folder. */
static size_t folder_length(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? (size_t)(slash - path) + 1 : 0;
}

/* Follows links by hand, because the last one may point to a file that is yet to be made. */
static dfm_status follow_links(dfm_writer *writer, dfm_error *error) {
  enum { MAX_LINKS = 40 };
  char link[PATH_MAX];
  for (int i = 0; i < MAX_LINKS; i++) {
    const ssize_t n = readlink(writer->target, link, sizeof link - 1);
    if (n < 0) return DFM_OK;
    link[n] = '\0';
    const size_t folder = link[0] == '/' ? 0 : folder_length(writer->target);
    dfm_text next = {0};
    dfm_status status = dfm_text_add(&next, writer->target, folder, error);
    if (status == DFM_OK) status = dfm_text_add(&next, link, (size_t)n, error);
    if (status != DFM_OK) {
      free(next.bytes);
      return status;
    }
    free(writer->target);
    writer->target = next.bytes;
  }
  return fail_write(writer, ELOOP, error);
}

/* The folder the target lies in, "." for the current one. */
static dfm_status folder_of_target(const dfm_writer *writer, dfm_text *folder, dfm_error *error) {
  const size_t length = folder_length(writer->target);
  return dfm_text_printf(folder, error, "%.*s", (int)(length ? length : 1), length ? writer->target : ".");
}

/* A file that has no name, so that a process that is killed leaves none. False where there is no such thing: not every
 * file system has it, and its name comes through /proc. */
static bool open_nameless(dfm_writer *writer, const char *folder) {
  if (access("/proc/self/fd", X_OK) != 0) return false;
  writer->fd = open(folder, O_RDWR | O_TMPFILE | O_CLOEXEC, 0666);
  return writer->fd >= 0;
}

/* The path ".NAME.NUMBER.tmp" beside the target. */
static dfm_status temporary_path(const dfm_writer *writer, uint64_t number, char **path, dfm_error *error) {
  enum { NAME_BYTES = 200 }; /* of the 255 that a name may have */
  const size_t folder = folder_length(writer->target);
  dfm_text text = {0};
  const dfm_status status = dfm_text_printf(&text, error, "%.*s.%.*s.%016llx.tmp", (int)folder, writer->target,
                                            (int)NAME_BYTES, writer->target + folder, (unsigned long long)number);
  if (status != DFM_OK) {
    free(text.bytes);
    return status;
  }
  *path = text.bytes;
  return DFM_OK;
}

/* Makes a file beside the target, with the permissions that a new file has; mkstemp's would be the owner's alone. */
static dfm_status create_temporary(dfm_writer *writer, dfm_error *error) {
  int reason = EEXIST;
  for (int i = 0; i < MAX_TRIES && (reason == EEXIST || reason == EINTR); i++) {
    uint64_t random;
    if (getrandom(&random, sizeof random, 0) != sizeof random) continue;
    DFM_TRY(temporary_path(writer, random, &writer->temporary, error));
    writer->fd = open(writer->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (writer->fd >= 0) return DFM_OK;
    reason = errno;
    free(writer->temporary);
    writer->temporary = NULL;
  }
  return fail_write(writer, reason, error);
}

static dfm_status open_temporary(dfm_writer *writer, dfm_error *error) {
  dfm_text folder = {0};
  if (!writer->target[folder_length(writer->target)]) return fail_write(writer, EISDIR, error);
  dfm_status status = folder_of_target(writer, &folder, error);
  if (status == DFM_OK && !open_nameless(writer, folder.bytes)) status = create_temporary(writer, error);
  free(folder.bytes);
  return status;
}

static bool is_standard_output(const char *path) {
  return strcmp(path, "/dev/stdout") == 0;
}

bool dfm_writer_replaces(const char *path) {
  struct stat old;
  return !is_standard_output(path) && (stat(path, &old) != 0 || S_ISREG(old.st_mode));
}

/* Opened anew, a file that standard output goes to would be written from its start instead of behind what is there. */
static int open_as_it_is(const char *path) {
  return is_standard_output(path) ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)
                                  : open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
}

static dfm_status open_directly(dfm_writer *writer, dfm_error *error) {
  do writer->fd = open_as_it_is(writer->path);
  while (writer->fd < 0 && errno == EINTR);
  return writer->fd < 0 ? fail_write(writer, errno, error) : DFM_OK;
}

static dfm_status open_file(dfm_writer *writer, dfm_error *error) {
  struct stat old;
  if (!dfm_writer_replaces(writer->path)) return open_directly(writer, error);
  const bool exists = stat(writer->path, &old) == 0;
  if (!exists && errno != ENOENT) return fail_write(writer, errno, error);
  /* A rename asks for the folder's permission only; who made the file read-only meant it. */
  if (exists && faccessat(AT_FDCWD, writer->path, W_OK, AT_EACCESS) != 0) return fail_write(writer, errno, error);
  DFM_TRY(dfm_copy_text(&writer->target, writer->path, error));
  DFM_TRY(follow_links(writer, error));
  DFM_TRY(open_temporary(writer, error));
  if (exists && fchmod(writer->fd, old.st_mode & 0777) != 0) return fail_write(writer, errno, error);
  return DFM_OK;
}

dfm_status dfm_writer_open(const char *path, dfm_writer **writer, dfm_error *error) {
  dfm_writer *made;
  dfm_status status;
  DFM_TRY(dfm_alloc(&made, 1, sizeof *made, error));
  made->fd = -1;
  DFM_TRY_GOTO(status, dfm_copy_text(&made->path, path, error), fail);
  DFM_TRY_GOTO(status, dfm_alloc(&made->buffer, BUFFER_BYTES, 1, error), fail);
  DFM_TRY_GOTO(status, open_file(made, error), fail);
  *writer = made;
  return DFM_OK;
fail:
  dfm_writer_abort(made);
  return status;
}

/* Has the disk begin with what was written, so that the sync at the end finds most of it there. Advice only. */
static void start_writeback(dfm_writer *writer, size_t n) {
  writer->written += (off_t)n;
  if (!writer->target || writer->written - writer->started < STEP_BYTES) return;
  (void)!sync_file_range(writer->fd, writer->started, writer->written - writer->started, SYNC_FILE_RANGE_WRITE);
  writer->started = writer->written;
}

static dfm_status write_out(dfm_writer *writer, const unsigned char *bytes, size_t size, dfm_error *error) {
  while (size > 0) {
    const ssize_t n = write(writer->fd, bytes, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_write(writer, errno, error);
    bytes += n;
    size -= (size_t)n;
    start_writeback(writer, (size_t)n);
  }
  return DFM_OK;
}

static dfm_status flush(dfm_writer *writer, dfm_error *error) {
  const size_t fill = writer->fill;
  writer->fill = 0;
  return write_out(writer, writer->buffer, fill, error);
}

dfm_status dfm_writer_write(dfm_writer *writer, const void *bytes, size_t size_bytes, dfm_error *error) {
  if (size_bytes > BUFFER_BYTES - writer->fill) DFM_TRY(flush(writer, error));
  if (size_bytes >= BUFFER_BYTES) return write_out(writer, bytes, size_bytes, error);
  if (size_bytes > 0) memcpy(writer->buffer + writer->fill, bytes, size_bytes);
  writer->fill += size_bytes;
  return DFM_OK;
}

bool dfm_writer_has_places(const dfm_writer *writer) {
  return writer->target != NULL;
}

dfm_status dfm_writer_leave(dfm_writer *writer, uint64_t n, uint64_t *at, dfm_error *error) {
  DFM_TRY(flush(writer, error));
  const off_t end = writer->written + (off_t)n;
  if (lseek(writer->fd, end, SEEK_SET) != end) return fail_write(writer, errno, error);
  *at = (uint64_t)writer->written;
  writer->written = writer->started = end;
  return DFM_OK;
}

/* A thread that comes to the end of a step has the disk begin with the step before, which is then mostly there. */
static void start_step(const dfm_writer *writer, uint64_t at, uint64_t end) {
  const uint64_t step = end / STEP_BYTES;
  if (step != at / STEP_BYTES && step > 1)
    (void)!sync_file_range(writer->fd, (off_t)((step - 2) * STEP_BYTES), STEP_BYTES, SYNC_FILE_RANGE_WRITE);
}

dfm_status dfm_writer_place(dfm_writer *writer, uint64_t at, const void *bytes, size_t size_bytes, dfm_error *error) {
  const unsigned char *from = bytes;
  for (size_t done = 0; done < size_bytes;) {
    const ssize_t n = pwrite(writer->fd, from + done, size_bytes - done, (off_t)(at + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_write(writer, errno, error);
    done += (size_t)n;
  }
  start_step(writer, at, at + size_bytes);
  return DFM_OK;
}

dfm_status dfm_writer_map(dfm_writer *writer, dfm_mapping *mapping, dfm_error *error) {
  struct stat info;
  DFM_TRY(flush(writer, error));
  if (fstat(writer->fd, &info) != 0) return fail_write(writer, errno, error);
  void *bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, writer->fd, 0);
  if (bytes == MAP_FAILED)
    return dfm_fail(error, DFM_ERROR_MEMORY, "cannot map %s, which was to take its place: %s; free some memory",
                    writer->path, strerror(errno));
  *mapping = (dfm_mapping){.bytes = bytes, .size_bytes = (size_t)info.st_size};
  return DFM_OK;
}

/* The descriptor is gone whatever close says (Linux), also after EINTR. */
static dfm_status close_file(dfm_writer *writer, dfm_error *error) {
  const int fd = writer->fd;
  writer->fd = -1;
  return close(fd) != 0 && errno != EINTR ? fail_write(writer, errno, error) : DFM_OK;
}

static int sync_to_disk(int fd) {
  int result;
  do result = fsync(fd);
  while (result != 0 && errno == EINTR);
  return result;
}

/* The target's folder; -1: it may not be read. */
static dfm_status open_folder(const dfm_writer *writer, int *fd, dfm_error *error) {
  dfm_text folder = {0};
  const dfm_status status = folder_of_target(writer, &folder, error);
  if (status == DFM_OK) *fd = open(folder.bytes, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  free(folder.bytes);
  return status;
}

/* Makes the rename itself survive a power cut. Folders that may not be read, and file systems that cannot sync one,
 * do without. */
static dfm_status sync_folder(const dfm_writer *writer, int fd, dfm_error *error) {
  if (fd < 0 || sync_to_disk(fd) == 0 || errno == EINVAL || errno == ENOTSUP) return DFM_OK;
  return dfm_fail(error, DFM_ERROR_IO,
                  "%s was written, but a power cut may still undo it: its folder cannot be synced: %s; check the disk",
                  writer->path, strerror(errno));
}

/* Returns 0 or errno. */
static int link_nameless(const dfm_writer *writer, const char *path) {
  char own[64];
  snprintf(own, sizeof own, "/proc/self/fd/%d", writer->fd);
  return linkat(AT_FDCWD, own, AT_FDCWD, path, AT_SYMLINK_FOLLOW) != 0 ? errno : 0;
}

/* Takes the target's place. A name that is gone is no failure: another writer has moved it there. */
static int rename_to_target(const dfm_writer *writer, const char *temporary) {
  return rename(temporary, writer->target) != 0 && errno != ENOENT ? errno : 0;
}

/* Names the file: as the target, where nothing has that name; or beside it, for the moment until the rename, since a
 * link cannot take the place of a file. Returns 0 or errno.
 *
 * All writers of a target use the same name beside it. What is there already is another's whole file, who was killed
 * in that moment or is in it: it is moved on, in that one's stead, before this one takes its turn. Where the target had
 * been removed meanwhile, it comes too late, and goes: the next writer would put it in place of what is newer. */
static int name_nameless(const dfm_writer *writer, const char *temporary) {
  int reason = EEXIST;
  for (int i = 0; i < MAX_TRIES && reason == EEXIST; i++) {
    reason = link_nameless(writer, writer->target);
    if (reason == 0) (void)unlink(temporary);
    if (reason != EEXIST) return reason;
    reason = link_nameless(writer, temporary);
    if (reason != 0 && reason != EEXIST) return reason;
    const int moved = rename_to_target(writer, temporary);
    if (moved != 0) {
      if (reason == 0) unlink(temporary);
      return moved;
    }
  }
  return reason;
}

static dfm_status appear(dfm_writer *writer, dfm_error *error) {
  const char *name = writer->target + folder_length(writer->target);
  if (writer->temporary) {
    if (rename(writer->temporary, writer->target) != 0) return fail_write(writer, errno, error);
    free(writer->temporary);
    writer->temporary = NULL;
    return DFM_OK;
  }
  char *temporary;
  DFM_TRY(temporary_path(writer, XXH3_64bits(name, strlen(name)), &temporary, error));
  const int reason = name_nameless(writer, temporary);
  free(temporary);
  return reason == 0 ? DFM_OK : fail_write(writer, reason, error);
}

/* The sync has said that all of it is on the disk, so closing has nothing more to say. Once the file is there nothing
 * asks for memory any more. */
static dfm_status commit(dfm_writer *writer, dfm_error *error) {
  int folder;
  DFM_TRY(flush(writer, error));
  if (!writer->target) return close_file(writer, error);
  if (sync_to_disk(writer->fd) != 0) return fail_write(writer, errno, error);
  DFM_TRY(open_folder(writer, &folder, error));
  dfm_status status = appear(writer, error);
  if (status == DFM_OK) status = sync_folder(writer, folder, error);
  if (folder >= 0) close(folder);
  return status;
}

dfm_status dfm_writer_commit(dfm_writer *writer, dfm_error *error) {
  const dfm_status status = commit(writer, error);
  dfm_writer_abort(writer);
  return status;
}

void dfm_writer_abort(dfm_writer *writer) {
  if (!writer) return;
  if (writer->fd >= 0) close(writer->fd);
  if (writer->temporary) unlink(writer->temporary);
  free(writer->temporary);
  free(writer->target);
  free(writer->path);
  free(writer->buffer);
  free(writer);
}
