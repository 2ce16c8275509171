/* A path comes in; a window over its text goes out: over a mapping, or over what a thread has decompressed.
 *
 * The thread fills a ring of pieces, the reader copies them into its window's buffer. A piece belongs to the thread
 * until it is counted in n_filled, then to the reader until it is taken out again. */
#include "base/feed.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/decoder.h"
#include "base/file.h"
#include "base/memory.h"

enum { N_PIECES = 4, PIECE_BYTES = 1 << 20, MAPPED_STEP = 16 << 20 };

typedef struct piece {
  char *bytes; /* (PIECE_BYTES) */
  size_t n;    /* 0: the end */
  dfm_status status;
} piece;

struct dfm_feed {
  char *name;
  dfm_window window;
  bool has_let_go;
  bool is_live; /* who looks for a row's end is shown each byte that comes, in rows up to a piece's length */

  const char *mapped; /* the whole file; NULL: it is decoded */
  size_t mapped_n, given_back;

  int fd, stop_fd;
  dfm_decoder *decoder;
  char *buffer; /* holds the window */
  size_t capacity;
  pthread_t thread;
  bool is_running;
  pthread_mutex_t lock; /* of n_filled and is_closing */
  pthread_cond_t changed;
  piece pieces[N_PIECES];
  size_t n_filled, next; /* next: the reader's */
  bool is_closing;
  dfm_error failure; /* of the piece whose status is not DFM_OK */
};

/* ---- the thread */

/* Waits for an empty place in the ring; false: the feed is closed. */
static bool wait_for_place(dfm_feed *feed) {
  pthread_mutex_lock(&feed->lock);
  while (feed->n_filled == N_PIECES && !feed->is_closing) pthread_cond_wait(&feed->changed, &feed->lock);
  const bool is_wanted = !feed->is_closing;
  pthread_mutex_unlock(&feed->lock);
  return is_wanted;
}

static void change_filled(dfm_feed *feed, int by) {
  pthread_mutex_lock(&feed->lock);
  feed->n_filled += (size_t)by;
  pthread_cond_signal(&feed->changed);
  pthread_mutex_unlock(&feed->lock);
}

static void *decode(void *context) {
  dfm_feed *feed = context;
  bool is_more = true;
  for (size_t i = 0; is_more && wait_for_place(feed); i = (i + 1) % N_PIECES) {
    piece *to = &feed->pieces[i];
    to->status = dfm_decoder_read(feed->decoder, to->bytes, PIECE_BYTES, &to->n, &feed->failure);
    is_more = to->status == DFM_OK && to->n > 0;
    change_filled(feed, 1);
  }
  return NULL;
}

/* Signals are the program's, not this thread's. */
static dfm_status start_thread(dfm_feed *feed, dfm_error *error) {
  sigset_t all, before;
  for (size_t i = 0; i < N_PIECES; i++) DFM_TRY(dfm_alloc(&feed->pieces[i].bytes, PIECE_BYTES, 1, error));
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int refused = pthread_create(&feed->thread, NULL, decode, feed);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  feed->is_running = refused == 0;
  if (refused == 0) return DFM_OK;
  return dfm_fail(error, DFM_ERROR_MEMORY, "cannot start a thread to read %s: %s; end some processes", feed->name,
                  strerror(refused));
}

static void stop_thread(dfm_feed *feed) {
  if (!feed->is_running) return;
  pthread_mutex_lock(&feed->lock);
  feed->is_closing = true;
  pthread_cond_signal(&feed->changed);
  pthread_mutex_unlock(&feed->lock);
  /* The thread may wait for a pipe's bytes, which may never come. */
  (void)!write(feed->stop_fd, &(uint64_t){1}, sizeof(uint64_t));
  pthread_join(feed->thread, NULL);
}

/* ---- opening */

/* A file that is not compressed and is read from its start. Where it cannot be mapped, the thread reads it. */
static void try_mapping(dfm_feed *feed, size_t size) {
  void *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, feed->fd, 0);
  if (bytes == MAP_FAILED) return;
  feed->mapped = bytes;
  feed->mapped_n = size;
  feed->window.bytes = bytes;
}

static dfm_status open_descriptor(dfm_feed *feed, const char *path, dfm_error *error) {
  const bool is_standard_input = strcmp(path, "-") == 0;
  const char *name = is_standard_input ? "standard input" : path;
  DFM_TRY(dfm_alloc(&feed->name, strlen(name) + 1, 1, error));
  memcpy(feed->name, name, strlen(name));
  if (!is_standard_input) return dfm_file_open(path, &feed->fd, error);
  feed->fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
  return feed->fd >= 0 ? DFM_OK : dfm_fail(error, DFM_ERROR_IO, "cannot read standard input: %s", strerror(errno));
}

static dfm_status begin(dfm_feed *feed, const char *path, dfm_error *error) {
  struct stat info;
  DFM_TRY(open_descriptor(feed, path, error));
  const bool can_map = fstat(feed->fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0 &&
                       (uintmax_t)info.st_size <= PTRDIFF_MAX && lseek(feed->fd, 0, SEEK_CUR) == 0;
  feed->stop_fd = eventfd(0, EFD_CLOEXEC);
  if (feed->stop_fd < 0)
    return dfm_fail(error, DFM_ERROR_IO, "cannot read %s: %s; close some files", feed->name, strerror(errno));
  DFM_TRY(dfm_decoder_open(feed->fd, feed->stop_fd, feed->name, &feed->decoder, error));
  if (feed->is_live) dfm_decoder_hurry(feed->decoder);
  if (can_map && dfm_decoder_is_plain(feed->decoder)) try_mapping(feed, (size_t)info.st_size);
  return feed->mapped ? DFM_OK : start_thread(feed, error);
}

static dfm_status open_feed(const char *path, bool is_live, dfm_feed **feed, dfm_error *error) {
  dfm_feed *made;
  DFM_TRY(dfm_alloc(&made, 1, sizeof *made, error));
  made->fd = made->stop_fd = -1;
  made->window.bytes = "";
  made->is_live = is_live;
  pthread_mutex_init(&made->lock, NULL);
  pthread_cond_init(&made->changed, NULL);
  const dfm_status status = begin(made, path, error);
  if (status != DFM_OK) {
    dfm_feed_close(made);
    return status;
  }
  *feed = made;
  return DFM_OK;
}

dfm_status dfm_feed_open(const char *path, dfm_feed **feed, dfm_error *error) {
  return open_feed(path, false, feed, error);
}

dfm_status dfm_feed_open_live(const char *path, dfm_feed **feed, dfm_error *error) {
  return open_feed(path, true, feed, error);
}

void dfm_feed_close(dfm_feed *feed) {
  if (!feed) return;
  stop_thread(feed);
  dfm_decoder_close(feed->decoder);
  if (feed->mapped) munmap((void *)(uintptr_t)feed->mapped, feed->mapped_n);
  if (feed->fd >= 0) close(feed->fd);
  if (feed->stop_fd >= 0) close(feed->stop_fd);
  pthread_mutex_destroy(&feed->lock);
  pthread_cond_destroy(&feed->changed);
  for (size_t i = 0; i < N_PIECES; i++) free(feed->pieces[i].bytes);
  free(feed->buffer);
  free(feed->name);
  free(feed);
}

/* ---- the window */

dfm_window dfm_feed_window(const dfm_feed *feed) {
  return feed->window;
}

bool dfm_feed_is_at_start(const dfm_feed *feed) {
  return !feed->has_let_go;
}

const char *dfm_feed_name(const dfm_feed *feed) {
  return feed->name;
}

/* Pages that were read go back to the system, so that resident memory does not grow with the file. */
static void give_back(dfm_feed *feed, size_t end) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE), to = end / page * page;
  if (to <= feed->given_back) return;
  /* Advice only: a refusal changes nothing but the memory use. */
  (void)!madvise((void *)(uintptr_t)(feed->mapped + feed->given_back), to - feed->given_back, MADV_DONTNEED);
  feed->given_back = to;
}

static void slide_mapped(dfm_feed *feed, size_t used) {
  dfm_window *window = &feed->window;
  const size_t start = (size_t)(window->bytes - feed->mapped) + used, rest = window->n - used;
  const size_t wanted = rest + (rest > MAPPED_STEP ? rest : MAPPED_STEP), there = feed->mapped_n - start;
  give_back(feed, start);
  *window = (dfm_window){feed->mapped + start, wanted < there ? wanted : there, wanted >= there};
}

/* Appends the ring's next piece to the window. */
static dfm_status take_piece(dfm_feed *feed, dfm_error *error) {
  dfm_window *window = &feed->window;
  pthread_mutex_lock(&feed->lock);
  while (feed->n_filled == 0) pthread_cond_wait(&feed->changed, &feed->lock);
  pthread_mutex_unlock(&feed->lock);
  const piece *from = &feed->pieces[feed->next];
  if (from->status != DFM_OK) {
    if (error) *error = feed->failure;
    return from->status;
  }
  window->is_last = from->n == 0;
  if (window->is_last) return DFM_OK;
  DFM_TRY(dfm_grow(&feed->buffer, &feed->capacity, window->n + from->n, 1, error));
  memcpy(feed->buffer + window->n, from->bytes, from->n);
  window->n += from->n;
  feed->next = (feed->next + 1) % N_PIECES;
  change_filled(feed, -1);
  return DFM_OK;
}

static dfm_status slide_decoded(dfm_feed *feed, size_t used, dfm_error *error) {
  dfm_window *window = &feed->window;
  const size_t rest = window->n - used, more = feed->is_live && rest < PIECE_BYTES ? 1 : rest;
  const size_t wanted = rest + (more > 0 ? more : 1);
  if (used > 0 && rest > 0) memmove(feed->buffer, feed->buffer + used, rest);
  window->n = rest;
  dfm_status status = DFM_OK;
  while (status == DFM_OK && window->n < wanted && !window->is_last) status = take_piece(feed, error);
  if (feed->buffer) window->bytes = feed->buffer;
  return status;
}

dfm_status dfm_feed_slide(dfm_feed *feed, size_t used, dfm_error *error) {
  feed->has_let_go |= used > 0;
  if (!feed->mapped) return slide_decoded(feed, used, error);
  slide_mapped(feed, used);
  return DFM_OK;
}
