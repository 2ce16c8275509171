/* Paths and patterns come in; a list of files, each there when the list is made, goes out as feeds. Or a stream, as it
 * is. */
#include "data/input.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

typedef struct input_file {
  char *path;
  bool is_once;   /* what was read of it is gone: a pipe, the standard input */
  bool is_taken;  /* at least once */
  dfm_feed *kept; /* one that is_once: its text from the first byte on; NULL: not open */
} input_file;

struct dfm_input {
  input_file *files;
  size_t n, capacity;
  char *name;
  bool hurries;            /* feeds are live */
  dfm_arrow_stream *arrow; /* in place of files; NULL: none */
};

/* ---- the list */

const char *dfm_input_path(const dfm_input *input, size_t i) {
  return strcmp(input->files[i].path, "-") == 0 ? "standard input" : input->files[i].path;
}

static dfm_status add_file(dfm_input *input, const char *path, dfm_error *error) {
  struct stat info;
  DFM_TRY(dfm_grow(&input->files, &input->capacity, input->n + 1, sizeof *input->files, error));
  input_file *file = &input->files[input->n];
  *file = (input_file){0};
  DFM_TRY(dfm_alloc(&file->path, strlen(path) + 1, 1, error));
  memcpy(file->path, path, strlen(path));
  input->n++;
  const bool is_standard_input = strcmp(path, "-") == 0;
  file->is_once = is_standard_input || (stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode));
  for (size_t i = 0; is_standard_input && i + 1 < input->n; i++)
    if (strcmp(input->files[i].path, "-") == 0)
      return dfm_fail(error, DFM_ERROR_VALUE,
                      "the standard input is given twice but can be read only once; give it once");
  return DFM_OK;
}

static int by_bytes(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The order is that of bytes, so that it does not depend on the user's language. */
static dfm_status add_matches(dfm_input *input, const char *pattern, dfm_error *error) {
  glob_t found = {0};
  const int code = glob(pattern, GLOB_NOSORT, NULL, &found);
  dfm_status status = DFM_OK;
  if (code == GLOB_NOSPACE)
    status = dfm_fail(error, DFM_ERROR_MEMORY, "no memory for the files that match %s; name fewer", pattern);
  else if (code != 0 || found.gl_pathc == 0)
    status = dfm_fail(error, DFM_ERROR_IO, "no file matches %s; check the pattern", pattern);
  else
    qsort(found.gl_pathv, found.gl_pathc, sizeof *found.gl_pathv, by_bytes);
  for (size_t i = 0; status == DFM_OK && i < found.gl_pathc; i++) status = add_file(input, found.gl_pathv[i], error);
  globfree(&found);
  return status;
}

static dfm_status add_path(dfm_input *input, const char *path, dfm_error *error) {
  struct stat info;
  if (strcmp(path, "-") == 0) return add_file(input, path, error);
  if (stat(path, &info) != 0 && strpbrk(path, "*?[")) return add_matches(input, path, error);
  return add_file(input, path, error);
}

/* A missing file is told now, not when those before it were read for an hour. */
static dfm_status check_files(const dfm_input *input, dfm_error *error) {
  for (size_t i = 0; i < input->n; i++) {
    const char *path = input->files[i].path;
    struct stat info;
    int fd;
    if (input->files[i].is_once) continue; /* to open a pipe may wait */
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
      return dfm_fail(error, DFM_ERROR_IO, "%s is a folder; name its files, or a quoted pattern such as '%s%s*.csv'",
                      path, path, path[strlen(path) - 1] == '/' ? "" : "/");
    DFM_TRY(dfm_file_open(path, &fd, error));
    close(fd);
  }
  return DFM_OK;
}

static dfm_status make_name(dfm_input *input, dfm_error *error) {
  const char *first = dfm_input_path(input, 0);
  const size_t more = input->n - 1, room = strlen(first) + 48;
  DFM_TRY(dfm_alloc(&input->name, room, 1, error));
  if (more > 0)
    snprintf(input->name, room, "%s and %zu more file%s", first, more, more > 1 ? "s" : "");
  else
    memcpy(input->name, first, strlen(first));
  return DFM_OK;
}

static dfm_status fill(dfm_input *input, const char *const *paths, size_t n_paths, dfm_error *error) {
  if (n_paths == 0) return dfm_fail(error, DFM_ERROR_VALUE, "there is no file to read rows from; name at least one");
  for (size_t i = 0; i < n_paths; i++) DFM_TRY(add_path(input, paths[i], error));
  DFM_TRY(check_files(input, error));
  return make_name(input, error);
}

dfm_status dfm_input_create(const char *const *paths, size_t n_paths, dfm_input **input, dfm_error *error) {
  dfm_input *made;
  DFM_TRY(dfm_alloc(&made, 1, sizeof *made, error));
  const dfm_status status = fill(made, paths, n_paths, error);
  if (status != DFM_OK) {
    dfm_input_free(made);
    return status;
  }
  *input = made;
  return DFM_OK;
}

dfm_status dfm_input_from_arrow(struct ArrowArrayStream *stream, const char *name, dfm_input **input,
                                dfm_error *error) {
  dfm_arrow_stream *arrow;
  dfm_input *made;
  DFM_TRY(dfm_arrow_stream_open(stream, name, &arrow, error));
  dfm_status status = dfm_alloc(&made, 1, sizeof *made, error);
  if (status != DFM_OK) {
    dfm_arrow_stream_close(arrow);
    return status;
  }
  made->arrow = arrow;
  status = dfm_copy_text(&made->name, dfm_arrow_stream_name(arrow), error);
  if (status != DFM_OK) {
    dfm_input_free(made);
    return status;
  }
  *input = made;
  return DFM_OK;
}

void dfm_input_free(dfm_input *input) {
  if (!input) return;
  dfm_arrow_stream_close(input->arrow);
  for (size_t i = 0; i < input->n; i++) {
    dfm_feed_close(input->files[i].kept);
    free(input->files[i].path);
  }
  free(input->files);
  free(input->name);
  free(input);
}

const char *dfm_input_name(const dfm_input *input) {
  return input->name;
}

dfm_arrow_stream *dfm_input_arrow(const dfm_input *input) {
  return input->arrow;
}

size_t dfm_input_files(const dfm_input *input) {
  return input->n;
}

bool dfm_input_is_rereadable(const dfm_input *input) {
  if (input->arrow) return false;
  for (size_t i = 0; i < input->n; i++)
    if (input->files[i].is_once) return false;
  return true;
}

/* ---- feeds */

dfm_status dfm_input_take(dfm_input *input, size_t i, dfm_feed **feed, dfm_error *error) {
  input_file *file = &input->files[i];
  if (file->kept) {
    *feed = file->kept;
    file->kept = NULL;
    return DFM_OK;
  }
  if (file->is_once && file->is_taken)
    return dfm_fail(error, DFM_ERROR_IO, "%s was read already and can be read only once; save it to a file first",
                    dfm_input_path(input, i));
  DFM_TRY((input->hurries ? dfm_feed_open_live : dfm_feed_open)(file->path, feed, error));
  file->is_taken = true;
  return DFM_OK;
}

void dfm_input_hurry(dfm_input *input) {
  input->hurries = true;
}

void dfm_input_return(dfm_input *input, size_t i, dfm_feed *feed) {
  input_file *file = &input->files[i];
  if (!feed) return;
  if (file->is_once && dfm_feed_is_at_start(feed))
    file->kept = feed;
  else
    dfm_feed_close(feed);
}
