/* A path comes in; the file's bytes, mapped read-only, go out. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

static dfm_status fail_open(const char *path, int reason, dfm_error *error) {
  const char *remedy = reason == ENOENT || reason == ENOTDIR ? "; check the path"
                       : reason == EACCES                    ? "; check its permissions"
                                                             : "";
  return dfm_fail(error, DFM_ERROR_IO, "cannot open %s: %s%s", path, strerror(reason), remedy);
}

static dfm_status fail_read(const char *path, int reason, dfm_error *error) {
  return dfm_fail(error, DFM_ERROR_IO, "cannot read %s: %s", path, strerror(reason));
}

/* Half of the machine's memory: /dev/zero or a pipe without end must not take the machine down. */
static size_t heap_limit(void) {
  const long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
  return pages > 0 && page_bytes > 0 ? (size_t)pages / 2 * (size_t)page_bytes : SIZE_MAX / 4;
}

/* A file that is to be opened: what it is for ("schema"), and how long such a file may be. */
typedef struct wanted_file {
  const char *path, *purpose; /* no purpose: any length, as far as memory holds what cannot be mapped */
  size_t most_bytes;
} wanted_file;

static dfm_status fail_long(const wanted_file *file, dfm_error *error) {
  if (file->purpose)
    return dfm_fail(error, DFM_ERROR_FORMAT, "%s has more than %zu MiB, too many for a %s; is it another kind of file?",
                    file->path, file->most_bytes >> 20, file->purpose);
  return dfm_fail(error, DFM_ERROR_IO,
                  "%s yields more than %zu MiB, half of this machine's memory; save it to a file first", file->path,
                  file->most_bytes >> 20);
}

/* Appends what `fd` yields up to its end. */
static dfm_status read_rest(int fd, const wanted_file *file, unsigned char **bytes, size_t *size, dfm_error *error) {
  enum { PIECE = 1 << 16 };
  size_t capacity = 0;
  for (;;) {
    if (*size > file->most_bytes) return fail_long(file, error);
    DFM_TRY(dfm_grow(bytes, &capacity, *size + PIECE, 1, error));
    const ssize_t n = read(fd, *bytes + *size, capacity - *size);
    if (n == 0) return DFM_OK;
    if (n > 0)
      *size += (size_t)n;
    else if (errno != EINTR)
      return fail_read(file->path, errno, error);
  }
}

static dfm_status read_all(int fd, const wanted_file *file, dfm_mapping *mapping, dfm_error *error) {
  unsigned char *bytes = NULL;
  size_t size = 0;
  const dfm_status status = read_rest(fd, file, &bytes, &size, error);
  if (status != DFM_OK) {
    free(bytes);
    return status;
  }
  unsigned char *fitting = realloc(bytes, size ? size : 1);
  *mapping = (dfm_mapping){.bytes = fitting ? fitting : bytes, .size_bytes = size, .is_heap = true};
  return DFM_OK;
}

static dfm_status map_or_read(int fd, const wanted_file *file, dfm_mapping *mapping, dfm_error *error) {
  struct stat info;
  if (fstat(fd, &info) != 0) return fail_open(file->path, errno, error);
  /* A size of 0 may be one of the system's own files, whose size is not known before they are read. */
  if (S_ISREG(info.st_mode) && info.st_size > 0) {
    if ((uintmax_t)info.st_size > PTRDIFF_MAX) return fail_open(file->path, EFBIG, error);
    if (file->purpose && (uintmax_t)info.st_size > file->most_bytes) return fail_long(file, error);
    void *bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes != MAP_FAILED) {
      *mapping = (dfm_mapping){.bytes = bytes, .size_bytes = (size_t)info.st_size};
      return DFM_OK;
    }
  }
  return read_all(fd, file, mapping, error);
}

dfm_status dfm_file_open(const char *path, int *fd, dfm_error *error) {
  int made;
  struct stat info;
  do made = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  while (made < 0 && errno == EINTR);
  if (made < 0) return fail_open(path, errno, error);
  if (fstat(made, &info) == 0 && S_ISDIR(info.st_mode)) {
    close(made);
    return dfm_fail(error, DFM_ERROR_IO, "cannot open %s: it is a folder; name a file", path);
  }
  *fd = made;
  return DFM_OK;
}

static dfm_status open_wanted(const wanted_file *file, dfm_mapping *mapping, dfm_error *error) {
  int fd;
  DFM_TRY(dfm_file_open(file->path, &fd, error));
  const dfm_status status = map_or_read(fd, file, mapping, error);
  close(fd);
  return status;
}

dfm_status dfm_mapping_open(const char *path, dfm_mapping *mapping, dfm_error *error) {
  return open_wanted(&(wanted_file){.path = path, .most_bytes = heap_limit()}, mapping, error);
}

dfm_status dfm_mapping_open_short(const char *path, const char *purpose, size_t most_bytes, dfm_mapping *mapping,
                                  dfm_error *error) {
  return open_wanted(&(wanted_file){path, purpose, most_bytes}, mapping, error);
}

void dfm_mapping_close(dfm_mapping *mapping) {
  if (mapping->is_heap)
    free((void *)mapping->bytes);
  else if (mapping->bytes)
    munmap((void *)mapping->bytes, mapping->size_bytes);
  *mapping = (dfm_mapping){0};
}
