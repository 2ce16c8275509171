/* Cache: text, a schema and a recipe come in; a dataset file in a folder, made at the first time and read at the next
 * ones, gives the rows.
 *
 * Beside NAME.safetensors stands NAME.json: {"made_from": what the file was made from, "dataset": its digest}. Both
 * are written whole or not at all, the JSON last; a file that is not the one its JSON speaks of is made anew. So runs
 * may write both at any time, also with other settings under the same name. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/memory.h"
#include "base/safetensors.h"
#include "data/dataset_file.h"
#include "data/input.h"
#include "model/read.h"

/* What rows are read from, and how. */
typedef struct source {
  dfm_input *train, *valid;
  const dfm_schema *schema;
  const dfm_recipe *recipe;
  const dfm_read_options *options;
} source;

typedef struct cache {
  const char *folder;
  bool is_optional; /* one file a text; what cannot be kept is no error */
  json_t *made_from;
  char *dataset_path, *json_path;
} cache;

/* Rows to train on and to validate with, which go out together. */
typedef struct parts {
  dfm_dataset *train, *valid;
} parts;

static void free_parts(parts *rows) {
  dfm_dataset_free(rows->train);
  dfm_dataset_free(rows->valid);
  *rows = (parts){0};
}

static void clear(cache *c) {
  json_decref(c->made_from);
  free(c->dataset_path);
  free(c->json_path);
}

static dfm_status no_memory(dfm_error *error) {
  return dfm_fail(error, DFM_ERROR_MEMORY, "out of memory for the description of a cache file");
}

/* ---- what a file is made from */

/* A text's first and last bytes: most changes that leave size and time alone are there. */
static uint64_t hash_ends(int fd, off_t size) {
  enum { END_BYTES = 1 << 16 };
  static const uint64_t failed = 0;
  unsigned char *bytes = calloc(2, END_BYTES);
  if (!bytes) return failed;
  ssize_t n = pread(fd, bytes, END_BYTES, 0);
  if (n >= 0 && size > END_BYTES) {
    const ssize_t more = pread(fd, bytes + n, END_BYTES, size - END_BYTES);
    n = more < 0 ? more : n + more;
  }
  const uint64_t hash = n >= 0 ? XXH3_64bits(bytes, (size_t)n) : failed;
  free(bytes);
  return hash;
}

static dfm_status describe_text(const char *path, json_t *list, dfm_error *error) {
  char time[48], ends[17], *real = realpath(path, NULL);
  struct stat info = {0};
  int fd;
  const dfm_status status = dfm_file_open(path, &fd, error);
  if (status != DFM_OK) {
    free(real);
    return status;
  }
  (void)fstat(fd, &info);
  snprintf(time, sizeof time, "%lld.%09ld", (long long)info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
  snprintf(ends, sizeof ends, "%016" PRIx64, hash_ends(fd, info.st_size));
  close(fd);
  char *safe = NULL; /* JSON takes no path that is not UTF-8 */
  const dfm_status named = dfm_st_safe_name(real ? real : path, &safe, error);
  free(real);
  DFM_TRY(named);
  json_t *text = json_pack("{s:s, s:I, s:s, s:s}", "path", safe, "bytes", (json_int_t)info.st_size, "modified", time,
                           "ends", ends);
  free(safe);
  return json_array_append_new(list, text) == 0 ? DFM_OK : no_memory(error);
}

static dfm_status describe_input(const dfm_input *input, json_t *root, const char *key, dfm_error *error) {
  json_t *list = json_array();
  dfm_status status = list ? DFM_OK : no_memory(error);
  for (size_t i = 0; input && status == DFM_OK && i < dfm_input_files(input); i++)
    status = describe_text(dfm_input_path(input, i), list, error);
  if (json_object_set_new(root, key, list) != 0 && status == DFM_OK) status = no_memory(error);
  return status;
}

static dfm_status describe_shape(const source *from, json_t *root, dfm_error *error) {
  const dfm_read_options *options = from->options;
  dfm_schema *applied = NULL;
  char *yaml = NULL, *settings = NULL;
  DFM_TRY(dfm_recipe_apply(from->recipe, from->schema, &applied, error));
  dfm_status status = dfm_schema_to_yaml(applied, false, &yaml, error);
  dfm_schema_free(applied);
  if (status == DFM_OK) status = dfm_shaping_json(from->recipe, &settings, error);
  if (status == DFM_OK) {
    json_object_set_new(root, "deepfm", json_string(DFM_VERSION));
    json_object_set_new(root, "format", json_integer(DFM_DATASET_FORMAT));
    json_object_set_new(root, "schema", json_string(yaml));
    json_object_set_new(root, "settings", json_loads(settings, 0, NULL));
    if (options->skip_bad_rows > 0)
      json_object_set_new(root, "skip_bad_rows", json_integer((json_int_t)options->skip_bad_rows));
    if (options->truth_column) json_object_set_new(root, "truth", json_string(options->truth_column));
  }
  free(yaml);
  free(settings);
  return status;
}

/* ---- where it lies */

/* A hash of what tells files apart that are kept beside each other: paths and, unless one text has one file, the shape;
 * not what may change of a text. */
static uint64_t hash_name(const json_t *made_from, bool has_shape) {
  uint64_t hash = 0;
  for (int which = 0; which < 2; which++) {
    const json_t *list = json_object_get(made_from, which == 0 ? "data" : "valid");
    for (size_t i = 0; i < json_array_size(list); i++) {
      const char *path = json_string_value(json_object_get(json_array_get(list, i), "path"));
      hash = XXH3_64bits_withSeed(path, strlen(path), hash + 1 + (uint64_t)which);
    }
  }
  if (!has_shape) return hash;
  json_t *shape = json_copy((json_t *)(uintptr_t)made_from);
  json_object_del(shape, "data");
  json_object_del(shape, "valid");
  char *text = json_dumps(shape, JSON_COMPACT | JSON_SORT_KEYS);
  if (text) hash = XXH3_64bits_withSeed(text, strlen(text), hash);
  free(text);
  json_decref(shape);
  return hash;
}

static dfm_status make_paths(cache *c, const dfm_input *input, dfm_error *error) {
  const char *path = dfm_input_path(input, 0), *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  const uint64_t hash = hash_name(c->made_from, !c->is_optional);
  dfm_text dataset = {0}, json = {0};
  dfm_status status = dfm_text_printf(&dataset, error, "%s/%.100s-%016" PRIx64 ".safetensors", c->folder, name, hash);
  if (status == DFM_OK) status = dfm_text_printf(&json, error, "%s/%.100s-%016" PRIx64 ".json", c->folder, name, hash);
  c->dataset_path = dataset.bytes;
  c->json_path = json.bytes;
  return status;
}

static dfm_status fail_folder(const cache *c, const char *what, int reason, dfm_error *error) {
  return dfm_fail(error, DFM_ERROR_IO, "cannot %s the cache's folder %s: %s; make a folder there, or choose another",
                  what, c->folder, strerror(reason));
}

static dfm_status open_cache(cache *c, const source *from, dfm_error *error) {
  c->made_from = json_object();
  if (!c->made_from) return no_memory(error);
  struct stat info;
  if ((mkdir(c->folder, 0777) != 0 && errno != EEXIST) || stat(c->folder, &info) != 0)
    return fail_folder(c, "make", errno, error);
  if (!S_ISDIR(info.st_mode)) return fail_folder(c, "use", ENOTDIR, error);
  if (access(c->folder, W_OK | X_OK) != 0) return fail_folder(c, "write to", errno, error);
  DFM_TRY(describe_shape(from, c->made_from, error));
  DFM_TRY(describe_input(from->train, c->made_from, "data", error));
  DFM_TRY(describe_input(from->valid, c->made_from, "valid", error));
  return make_paths(c, from->train, error);
}

/* ---- reading and writing it */

typedef enum cache_state { CACHE_FRESH, CACHE_ABSENT, CACHE_STALE, CACHE_DAMAGED } cache_state;

static uint64_t digest_of(const char *path, bool verifies) {
  dfm_st_file *file;
  if (dfm_st_open(path, &file, NULL) != DFM_OK) return 0;
  const uint64_t digest = verifies && dfm_st_verify(file, NULL) != DFM_OK ? 0 : dfm_st_digest(file);
  dfm_st_close(file);
  return digest;
}

/* Where all of the file is read, damage is noticed while it can be made anew without a word from anybody; in the middle
 * of training it could not. */
static cache_state look(const cache *c, bool verifies) {
  char digest[17];
  if (access(c->dataset_path, F_OK) != 0 && access(c->json_path, F_OK) != 0) return CACHE_ABSENT;
  json_t *root = json_load_file(c->json_path, JSON_REJECT_DUPLICATES, NULL);
  const char *kept = json_string_value(json_object_get(root, "dataset"));
  cache_state state = CACHE_FRESH;
  if (!kept) {
    state = CACHE_DAMAGED;
  } else if (!json_equal(json_object_get(root, "made_from"), c->made_from)) {
    state = CACHE_STALE;
  } else {
    snprintf(digest, sizeof digest, "%016" PRIx64, digest_of(c->dataset_path, verifies));
    if (strcmp(digest, kept) != 0) state = CACHE_DAMAGED;
  }
  json_decref(root);
  return state;
}

static dfm_status write_json(const cache *c, uint64_t dataset, dfm_error *error) {
  char digest[17];
  dfm_writer *writer;
  snprintf(digest, sizeof digest, "%016" PRIx64, dataset);
  json_t *root = json_pack("{s:O, s:s}", "made_from", c->made_from, "dataset", digest);
  char *text = json_dumps(root, JSON_INDENT(2) | JSON_SORT_KEYS);
  json_decref(root);
  if (!text) return no_memory(error);
  dfm_status status = dfm_writer_open(c->json_path, &writer, error);
  if (status == DFM_OK) {
    status = dfm_writer_write(writer, text, strlen(text), error);
    if (status == DFM_OK)
      status = dfm_writer_commit(writer, error);
    else
      dfm_writer_abort(writer);
  }
  free(text);
  return status;
}

static dfm_status read_text(const cache *c, const source *from, parts *rows, dfm_error *error) {
  dfm_read_options reading = *from->options;
  if (!c->is_optional) reading.spill_folder = c->folder;
  return dfm_read_to_write(from->train, from->valid, from->schema, from->recipe, &reading, &rows->train, &rows->valid,
                           error);
}

/* The file has the validation rows in it, and its own schema; what the recipe asks for beside is its own. That the file
 * is still the one its JSON speaks of is seen once it is open, since others may replace it at any time. */
static dfm_status read_file(const cache *c, const source *from, parts *rows, dfm_error *error) {
  const char *path = c->dataset_path;
  dfm_input *input;
  DFM_TRY(dfm_input_create(&path, 1, &input, error));
  const dfm_status status =
      dfm_dataset_read_train(input, NULL, NULL, from->recipe, from->options, &rows->train, &rows->valid, error);
  dfm_input_free(input);
  if (status != DFM_OK || look(c, false) == CACHE_FRESH) return status;
  free_parts(rows);
  return dfm_fail(error, DFM_ERROR_MISMATCH, "another run has replaced the cache %s meanwhile; run this one again",
                  path);
}

/* Keeps the rows, which from then on are those of the file: what they took up meanwhile is given back. */
static dfm_status keep(const cache *c, const source *from, parts *rows, dfm_error *error) {
  uint64_t digest; /* as it was written: what lies there by then may be another run's, made with other settings */
  parts kept = {0};
  DFM_TRY(dfm_write_rows(c->dataset_path, rows->train, rows->valid, from->recipe, from->options->threads, NULL, &digest,
                         error));
  const dfm_status status = write_json(c, digest, error);
  if (status != DFM_OK) {
    unlink(c->dataset_path); /* of no use to anybody, and may be large */
    return status;
  }
  DFM_TRY(read_file(c, from, &kept, error));
  free_parts(rows);
  *rows = kept;
  return DFM_OK;
}

static dfm_status say(const cache *c, cache_state state, char **note, dfm_error *error) {
  dfm_text text = {0};
  dfm_status status;
  struct stat info = {0};
  const char *path = c->dataset_path;
  (void)stat(path, &info);
  const double size_mb = (double)info.st_size / (1 << 20);
  if (state == CACHE_FRESH)
    status = dfm_text_printf(&text, error, "Took the rows from the cache, %s", path);
  else if (state == CACHE_ABSENT)
    status = dfm_text_printf(&text, error, "Kept the rows in the cache, %s (%.1f MB)", path, size_mb);
  else
    status = dfm_text_printf(&text, error, "Made the cache %s anew, since %s", path,
                             state == CACHE_DAMAGED ? "it was damaged or not written to its end"
                             : c->is_optional       ? "the data or settings that shape rows have changed"
                                                    : "the data have changed");
  *note = text.bytes;
  return status;
}

static dfm_status say_not_kept(const char *reason, char **note, dfm_error *error) {
  dfm_text text = {0};
  const dfm_status status = dfm_text_printf(&text, error, "The rows are not kept in a cache: %s", reason);
  *note = text.bytes;
  return status;
}

static dfm_status read_cached(cache *c, const source *from, parts *rows, char **note, dfm_error *error) {
  dfm_error reason;
  dfm_status kept = open_cache(c, from, &reason);
  if (kept != DFM_OK && !c->is_optional) return dfm_fail(error, kept, "%s", reason.message);
  const cache_state state = kept == DFM_OK ? look(c, true) : CACHE_ABSENT;
  if (state == CACHE_FRESH && read_file(c, from, rows, &reason) == DFM_OK) return say(c, state, note, error);
  DFM_TRY(read_text(c, from, rows, error));
  if (kept == DFM_OK) kept = keep(c, from, rows, &reason);
  if (kept == DFM_OK) return say(c, state == CACHE_FRESH ? CACHE_STALE : state, note, error);
  if (!c->is_optional) return dfm_fail(error, kept, "%s", reason.message);
  DFM_TRY(dfm_dataset_unpack(rows->train, rows->valid, from->options->threads, error));
  return say_not_kept(reason.message, note, error);
}

/* ---- whether there is one */

/* Why an input has no cache; NULL: it may have one. */
static const char *reason_against(const source *from) {
  if (dfm_input_dataset(from->train)) return "DATA is a dataset file already, so nothing is cached";
  if (!dfm_input_is_rereadable(from->train) || (from->valid && !dfm_input_is_rereadable(from->valid)))
    return "The standard input and pipes are not cached, since they cannot be seen to be the same again";
  return NULL;
}

/* A file that cannot be looked at has no bytes here; reading it will say why. */
static int64_t bytes_of(const dfm_input *input) {
  int64_t total = 0;
  struct stat info;
  for (size_t i = 0; input && i < dfm_input_files(input); i++)
    if (stat(dfm_input_path(input, i), &info) == 0) total += info.st_size;
  return total;
}

dfm_status dfm_dataset_read_cached(dfm_input *train_input, dfm_input *valid_input, const dfm_schema *schema,
                                   const dfm_recipe *recipe, const dfm_read_options *options,
                                   const dfm_cache_options *wanted, dfm_dataset **train, dfm_dataset **valid,
                                   char **note, dfm_error *error) {
  static const dfm_read_options none = {0};
  const source from = {train_input, valid_input, schema, recipe, options ? options : &none};
  const char *reason = reason_against(&from);
  cache c = {.folder = wanted->folder, .is_optional = wanted->is_optional};
  parts rows = {0};
  dfm_status status;
  *note = NULL;
  if (reason || bytes_of(train_input) + bytes_of(valid_input) < wanted->least_bytes) {
    status = dfm_dataset_read_train(train_input, valid_input, schema, recipe, options, &rows.train, &rows.valid, error);
    if (status == DFM_OK && reason && !c.is_optional) status = dfm_copy_text(note, reason, error);
  } else {
    status = read_cached(&c, &from, &rows, note, error);
  }
  clear(&c);
  if (status != DFM_OK) free_parts(&rows);
  *train = rows.train;
  *valid = rows.valid;
  return status;
}
