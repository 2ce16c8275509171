/* Memory: sizes come in and are checked for overflow; zeroed blocks go out. Nothing here aborts. */
#ifndef DFM_BASE_MEMORY_H
#define DFM_BASE_MEMORY_H

#include "base/error.h"

/* `n` zeroed elements of `size` bytes, or DFM_ERROR_MEMORY with a sentence that says how much was asked. n = 0 gives
 * a non-NULL pointer. Give back with free(). */
dfm_status dfm_alloc(void *out_pointer, size_t n, size_t size, dfm_error *error);

/* Grows `*pointer` from room for `*capacity` elements to at least `needed` (doubling). The new part is not zeroed. */
dfm_status dfm_grow(void *pointer, size_t *capacity, size_t needed, size_t size, dfm_error *error);

/* Zeroed pages straight from the system (64-byte aligned at least, huge pages where large and allowed): tables and
 * workspaces. Untouched pages cost no memory. Give back with dfm_pages_free, same size. */
dfm_status dfm_pages_alloc(void *out_pointer, size_t size_bytes, dfm_error *error);
void dfm_pages_free(void *pointer, size_t size_bytes);

/* Bytes that will all be written: asks the system for their pages in one call instead of one by one, as they are met;
 * the latter is dear where several threads run and a page is read first. */
void dfm_pages_touch(void *bytes, size_t n);

/* Zeroed bytes that grow too large for the heap: from 128 KB on pages of their own, so that freeing them gives them
 * back to the system, whatever else was allocated since; these are there at once. Give back with dfm_slab_free, same
 * size. */
dfm_status dfm_slab_alloc(void *out_pointer, size_t n, size_t size, dfm_error *error);
void dfm_slab_free(void *pointer, size_t n, size_t size); /* NULL accepted */
/* Makes `n` elements of `old_n`: those behind them go, or zeroed ones come. Where both are pages, none is copied and no
 * more memory than the larger of both is held, though address space for both. `*pointer` may move; where it fails it
 * stays. */
dfm_status dfm_slab_resize(void *pointer, size_t old_n, size_t n, size_t size, dfm_error *error);

/* A copy of `text`; give back with free(). */
dfm_status dfm_copy_text(char **copy, const char *text, dfm_error *error);

/* A growing byte string for text output. Starts as {0}; `bytes` is always terminated once anything was added. free()
 * `bytes`. */
typedef struct dfm_text {
  char *bytes;
  size_t length, capacity;
} dfm_text;
dfm_status dfm_text_add(dfm_text *text, const void *bytes, size_t n, dfm_error *error);
dfm_status dfm_text_printf(dfm_text *text, dfm_error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
