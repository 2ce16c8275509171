/* Sizes come in and are checked for overflow; zeroed memory, grown memory or a sentence that says how much was asked
 * goes out. */
#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void dfm_string_free(char *string) {
  free(string);
}

static dfm_status fail_memory(double size_bytes, dfm_error *error) {
  const double mib = size_bytes / (1 << 20);
  return dfm_fail(error, DFM_ERROR_MEMORY,
                  "out of memory: %.*f MiB more were needed; free some memory or make the model smaller",
                  mib < 1024 ? 1 : 0, mib);
}

/* More than PTRDIFF_MAX can be had from no allocator. */
static bool is_too_large(size_t n, size_t size, size_t *total) {
  return __builtin_mul_overflow(n, size, total) || *total > PTRDIFF_MAX;
}

dfm_status dfm_alloc(void *out_pointer, size_t n, size_t size, dfm_error *error) {
  size_t total;
  void *made = is_too_large(n, size, &total) ? NULL : calloc(total ? total : 1, 1);
  if (!made) return fail_memory((double)n * (double)size, error);
  memcpy(out_pointer, &made, sizeof made);
  return DFM_OK;
}

dfm_status dfm_grow(void *pointer, size_t *capacity, size_t needed, size_t size, dfm_error *error) {
  if (needed <= *capacity) return DFM_OK;
  void *old, *grown = NULL;
  memcpy(&old, pointer, sizeof old);
  size_t room = *capacity > SIZE_MAX / 2 || *capacity * 2 < needed ? needed : *capacity * 2;
  if (room < 16) room = 16;
  size_t total;
  if (!is_too_large(room, size, &total)) grown = realloc(old, total ? total : 1);
  if (!grown) return fail_memory((double)room * (double)size, error);
  memcpy(pointer, &grown, sizeof grown);
  *capacity = room;
  return DFM_OK;
}

dfm_status dfm_copy_text(char **copy, const char *text, dfm_error *error) {
  const size_t size = strlen(text) + 1;
  DFM_TRY(dfm_alloc(copy, size, 1, error));
  memcpy(*copy, text, size);
  return DFM_OK;
}

#define HUGE_PAGE ((size_t)2 << 20)
#define PAGE ((size_t)4096)

static size_t round_up(size_t n, size_t unit) {
  return (n + unit - 1) / unit * unit;
}

/* Only a start on a 2 MiB boundary lets the system use huge pages throughout, so more is mapped and the ends are
 * given back. */
static char *map_aligned(size_t size, int protection) {
  char *start = mmap(NULL, size + HUGE_PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) return MAP_FAILED;
  const size_t before = round_up((size_t)(uintptr_t)start, HUGE_PAGE) - (size_t)(uintptr_t)start;
  if (before > 0) munmap(start, before);
  if (before < HUGE_PAGE) munmap(start + before + size, HUGE_PAGE - before);
  return start + before;
}

static void *map_huge(size_t size) {
  char *made = map_aligned(size, PROT_READ | PROT_WRITE);
  if (made != MAP_FAILED) (void)madvise(made, size, MADV_HUGEPAGE); /* advice: a refusal costs speed alone */
  return made;
}

/* What `size_bytes` take where they are huge pages from `huge_from` bytes on. Huge mappings end on a 2 MiB boundary as
 * they start on one. Where the system's page is more than 4 KiB, munmap rounds up by itself. */
static size_t mapped_size(size_t size_bytes, size_t huge_from) {
  return size_bytes < huge_from ? round_up(size_bytes ? size_bytes : 1, PAGE) : round_up(size_bytes, HUGE_PAGE);
}

static dfm_status map(void *out_pointer, size_t size_bytes, size_t huge_from, dfm_error *error) {
  void *made = MAP_FAILED;
  if (size_bytes <= PTRDIFF_MAX - 2 * HUGE_PAGE) {
    const size_t size = mapped_size(size_bytes, huge_from);
    made = size_bytes < huge_from ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                                  : map_huge(size);
  }
  if (made == MAP_FAILED) return fail_memory((double)size_bytes, error);
  memcpy(out_pointer, &made, sizeof made);
  return DFM_OK;
}

dfm_status dfm_pages_alloc(void *out_pointer, size_t size_bytes, dfm_error *error) {
  return map(out_pointer, size_bytes, HUGE_PAGE, error);
}

void dfm_pages_free(void *pointer, size_t size_bytes) {
  if (pointer) munmap(pointer, mapped_size(size_bytes, HUGE_PAGE));
}

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

void dfm_pages_touch(void *bytes, size_t n) {
  const size_t from = round_up((size_t)(uintptr_t)bytes, PAGE), to = ((size_t)(uintptr_t)bytes + n) / PAGE * PAGE;
  if (to > from) (void)madvise((char *)bytes + (from - (size_t)(uintptr_t)bytes), to - from, MADV_POPULATE_WRITE);
}

/* Slabs come and go, and a virtual machine often has to find the memory of a huge page first, some milliseconds: they
 * are for slabs so large that small ones would not be found in the processor's table of pages. */
enum { BLOCK_BYTES = 128 << 10, HUGE_SLAB = 32 << 20 };

dfm_status dfm_slab_alloc(void *out_pointer, size_t n, size_t size, dfm_error *error) {
  void *made;
  size_t total;
  if (is_too_large(n, size, &total)) return fail_memory((double)n * (double)size, error);
  if (total < BLOCK_BYTES) return dfm_alloc(out_pointer, n, size, error);
  DFM_TRY(map(&made, total, HUGE_SLAB, error));
  dfm_pages_touch(made, total);
  memcpy(out_pointer, &made, sizeof made);
  return DFM_OK;
}

void dfm_slab_free(void *pointer, size_t n, size_t size) {
  if (n * size < BLOCK_BYTES)
    free(pointer);
  else if (pointer)
    munmap(pointer, mapped_size(n * size, HUGE_SLAB));
}

/* Makes a mapping shorter where it is, or longer elsewhere: where that is to be aligned, at a place kept free for it,
 * which the system gives up for it. */
static void *remap(void *old, size_t old_size, size_t size) {
  if (size < HUGE_SLAB || size <= old_size) return mremap(old, old_size, size, MREMAP_MAYMOVE);
  char *to = map_aligned(size, PROT_NONE);
  if (to == MAP_FAILED) return MAP_FAILED;
  void *made = mremap(old, old_size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to);
  if (made != MAP_FAILED) (void)madvise(made, size, MADV_HUGEPAGE);
  return made;
}

/* What lies behind the end of the slab in its last page is zero, so that it can grow later. */
static dfm_status resize_pages(void *pointer, size_t old_bytes, size_t size_bytes, dfm_error *error) {
  const size_t size = mapped_size(size_bytes, HUGE_SLAB);
  char *old, *made = MAP_FAILED;
  memcpy(&old, pointer, sizeof old);
  if (size_bytes <= PTRDIFF_MAX - 2 * HUGE_PAGE) made = remap(old, mapped_size(old_bytes, HUGE_SLAB), size);
  if (made == MAP_FAILED) return fail_memory((double)size_bytes, error);
  if (size_bytes < old_bytes)
    memset(made + size_bytes, 0, (size < old_bytes ? size : old_bytes) - size_bytes);
  else
    dfm_pages_touch(made + old_bytes, size_bytes - old_bytes);
  memcpy(pointer, &made, sizeof made);
  return DFM_OK;
}

dfm_status dfm_slab_resize(void *pointer, size_t old_n, size_t n, size_t size, dfm_error *error) {
  void *old, *made;
  size_t total;
  if (is_too_large(n, size, &total)) return fail_memory((double)n * (double)size, error);
  if (old_n * size >= BLOCK_BYTES && total >= BLOCK_BYTES) return resize_pages(pointer, old_n * size, total, error);
  memcpy(&old, pointer, sizeof old);
  DFM_TRY(dfm_slab_alloc(&made, n, size, error));
  if (old) memcpy(made, old, (n < old_n ? n : old_n) * size);
  dfm_slab_free(old, old_n, size);
  memcpy(pointer, &made, sizeof made);
  return DFM_OK;
}

dfm_status dfm_text_add(dfm_text *text, const void *bytes, size_t n, dfm_error *error) {
  if (n > SIZE_MAX - 1 - text->length) return fail_memory((double)n, error);
  DFM_TRY(dfm_grow(&text->bytes, &text->capacity, text->length + n + 1, 1, error));
  if (n > 0) memcpy(text->bytes + text->length, bytes, n);
  text->length += n;
  text->bytes[text->length] = '\0';
  return DFM_OK;
}

dfm_status dfm_text_printf(dfm_text *text, dfm_error *error, const char *format, ...) {
  va_list arguments, again;
  va_start(arguments, format);
  va_copy(again, arguments);
  const int length = vsnprintf(NULL, 0, format, arguments);
  va_end(arguments);
  dfm_status status = length < 0 ? fail_memory(0, error)
                                 : dfm_grow(&text->bytes, &text->capacity, text->length + (size_t)length + 1, 1, error);
  if (status == DFM_OK) {
    vsnprintf(text->bytes + text->length, (size_t)length + 1, format, again);
    text->length += (size_t)length;
  }
  va_end(again);
  return status;
}
