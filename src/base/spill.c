/* Arrays that grow: anonymous pages first; then an unlinked file, mapped shared, which the system writes out and drops
 * from memory as it likes. */
#include "base/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/memory.h"

const char *dfm_spill_folder(void) {
  const char *folder = getenv("TMPDIR");
  return folder ? folder : "/tmp";
}

/* The folder is the system's where no output gives another one. */
static dfm_status fail_file(const char *folder, int reason, dfm_error *error) {
  const char *first = reason == ENOSPC || reason == EDQUOT ? "free some space there, or "
                      : reason == EFBIG                    ? "raise the limit on file sizes, or "
                                                           : "";
  const bool is_system = folder && strcmp(folder, dfm_spill_folder()) == 0;
  return dfm_fail(
      error, DFM_ERROR_IO, "cannot keep rows in a temporary file in %s: %s; %s%s",
      folder && *folder ? folder : "the current folder", strerror(reason), first,
      is_system ? "set TMPDIR to another folder" : "write the output to another folder, where rows lie too");
}

static dfm_status fail_memory(size_t size, dfm_error *error) {
  return dfm_fail(error, DFM_ERROR_MEMORY, "cannot map %zu bytes of memory; free some memory", size);
}

static dfm_status create_file(const char *folder, int *fd, dfm_error *error) {
  dfm_text path = {0};
  DFM_TRY(dfm_text_printf(&path, error, "%s/.deepfm.XXXXXX", folder && *folder ? folder : "."));
  *fd = mkostemp(path.bytes, O_CLOEXEC);
  const int reason = errno;
  if (*fd >= 0) unlink(path.bytes);
  free(path.bytes);
  return *fd >= 0 ? DFM_OK : fail_file(folder, reason, error);
}

dfm_status dfm_spill_write(const dfm_spill *spill, size_t at, const void *bytes, size_t n, const char *folder,
                           dfm_error *error) {
  for (const char *from = bytes; n > 0;) {
    const ssize_t done = pwrite(spill->fd, from, n, (off_t)at);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return fail_file(folder, errno, error);
    from += done;
    at += (size_t)done;
    n -= (size_t)done;
  }
  return DFM_OK;
}

static dfm_status reserve(int fd, size_t size, const char *folder, dfm_error *error) {
  int reason;
  do reason = posix_fallocate(fd, 0, (off_t)size);
  while (reason == EINTR);
  return reason == 0 ? DFM_OK : fail_file(folder, reason, error);
}

dfm_status dfm_spill_open(dfm_spill *spill, const char *folder, dfm_error *error) {
  DFM_TRY(create_file(folder, &spill->fd, error));
  spill->is_open = true;
  return DFM_OK;
}

void dfm_spill_empty(dfm_spill *spill) {
  if (spill->bytes) munmap(spill->bytes, spill->capacity_bytes);
  spill->bytes = NULL;
  spill->capacity_bytes = 0;
}

dfm_status dfm_spill_map(dfm_spill *spill, size_t size_bytes, dfm_error *error) {
  void *bytes = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, spill->fd, 0);
  if (bytes == MAP_FAILED) return fail_memory(size_bytes, error);
  dfm_spill_empty(spill);
  *spill = (dfm_spill){.bytes = bytes, .capacity_bytes = size_bytes, .is_file = true, .fd = spill->fd};
  return DFM_OK;
}

static dfm_status move_to_file(dfm_spill *spill, size_t size, const char *folder, dfm_error *error) {
  DFM_TRY(dfm_spill_open(spill, folder, error));
  dfm_status status = reserve(spill->fd, size, folder, error);
  if (status == DFM_OK) status = dfm_spill_write(spill, 0, spill->bytes, spill->capacity_bytes, folder, error);
  if (status == DFM_OK) return dfm_spill_map(spill, size, error);
  dfm_spill_seal(spill);
  spill->is_open = false;
  return status;
}

/* Arrays that are smaller take no pages that they do not fill. */
static const size_t HUGE_FROM = (size_t)8 << 20;

dfm_status dfm_spill_grow(dfm_spill *spill, size_t size_bytes, bool to_file, const char *folder, dfm_error *error) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  if (size_bytes > PTRDIFF_MAX - page) return fail_memory(size_bytes, error);
  const size_t size = (size_bytes + page - 1) / page * page;
  if (size <= spill->capacity_bytes) return DFM_OK;
  if (to_file && !spill->is_file) return move_to_file(spill, size, folder, error);
  if (spill->is_file) DFM_TRY(reserve(spill->fd, size, folder, error));
  void *bytes = spill->bytes ? mremap(spill->bytes, spill->capacity_bytes, size, MREMAP_MAYMOVE)
                             : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (bytes == MAP_FAILED) return fail_memory(size, error);
  /* Advice: a page fault for 2 MB in place of 512. */
  if (!spill->is_file && size >= HUGE_FROM) (void)madvise(bytes, size, MADV_HUGEPAGE);
  spill->bytes = bytes;
  spill->capacity_bytes = size;
  return DFM_OK;
}

void dfm_spill_seal(dfm_spill *spill) {
  if ((spill->is_file || spill->is_open) && spill->fd >= 0) close(spill->fd);
  spill->fd = -1;
}

void dfm_spill_free(dfm_spill *spill) {
  dfm_spill_empty(spill);
  dfm_spill_seal(spill);
  *spill = (dfm_spill){0};
}

void dfm_spill_spent(const dfm_spill *spill, size_t at, size_t n) {
  if (spill->is_file) dfm_pages_spent(spill->bytes + at, n, spill->bytes, spill->capacity_bytes);
}

static void advise(const void *bytes, size_t n, int advice) {
  const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)bytes / page * page;
  if (n > 0) (void)madvise((void *)from, (uintptr_t)bytes + n - from, advice);
}

/* A page that is touched brings its neighbours, mostly up to this many bytes, aligned: they must go with it. */
static const uintptr_t AROUND = 64 << 10;

void dfm_pages_spent(const void *bytes, size_t n, const void *mapping, size_t size) {
  const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), unit = page > AROUND ? page : AROUND;
  const uintptr_t low = (uintptr_t)mapping, high = (low + size + page - 1) / page * page;
  uintptr_t from = (uintptr_t)bytes / unit * unit, to = ((uintptr_t)bytes + n + unit - 1) / unit * unit;
  if (from < low) from = low / page * page;
  if (to > high) to = high;
  if (n > 0 && to > from) (void)madvise((void *)from, to - from, MADV_DONTNEED);
  advise(bytes, n, MADV_DODUMP);
}

/* Around a page the system maps what has the same flags: that these are in no core dump, as a file's pages never are,
 * sets them apart and does nothing else. */
void dfm_pages_apart(const void *bytes, size_t n) {
  advise(bytes, n, MADV_DONTDUMP);
}

void dfm_pages_scattered(const void *bytes, size_t n) {
  advise(bytes, n, MADV_RANDOM);
}

/* Of a longer request the system may read only as much as it reads ahead on its own, mostly this much. */
static const size_t AHEAD = 128 << 10;

void dfm_pages_ahead(const void *bytes, size_t n) {
  for (size_t at = 0; at < n; at += AHEAD)
    advise((const char *)bytes + at, n - at < AHEAD ? n - at : AHEAD, MADV_WILLNEED);
}
