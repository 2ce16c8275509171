/* Cache: text, a schema and a recipe come in; a dataset file in a folder, made at the first time and read at the next
 * ones, gives the rows.
 *
 * Beside NAME.safetensors stands NAME.json: {"made_from": what the file was made from, "dataset": its digest}. Both
 * are written whole or not at all, the JSON last; a file that is not the one its JSON speaks of is made anew. */
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

typedef struct cache {
  const char *folder;
  json_t *made_from;
  char *dataset_path, *json_path;
} cache;

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

static dfm_status describe_shape(const dfm_schema *schema, const dfm_recipe *recipe, const dfm_read_options *options,
                                 json_t *root, dfm_error *error) {
  dfm_schema *applied = NULL;
  char *yaml = NULL, *settings = NULL;
  DFM_TRY(dfm_recipe_apply(recipe, schema, &applied, error));
  dfm_status status = dfm_schema_to_yaml(applied, false, &yaml, error);
  dfm_schema_free(applied);
  if (status == DFM_OK) status = dfm_shaping_json(recipe, &settings, error);
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

/* A hash of what tells files apart that are kept beside each other: paths and shape, not what may change of a text. */
static uint64_t hash_name(const json_t *made_from) {
  uint64_t hash = 0;
  for (int which = 0; which < 2; which++) {
    const json_t *list = json_object_get(made_from, which == 0 ? "data" : "valid");
    for (size_t i = 0; i < json_array_size(list); i++) {
      const char *path = json_string_value(json_object_get(json_array_get(list, i), "path"));
      hash = XXH3_64bits_withSeed(path, strlen(path), hash + 1 + (uint64_t)which);
    }
  }
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
  const uint64_t hash = hash_name(c->made_from);
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

static dfm_status open_cache(cache *c, const dfm_input *train, const dfm_input *valid, const dfm_schema *schema,
                             const dfm_recipe *recipe, const dfm_read_options *options, dfm_error *error) {
  c->made_from = json_object();
  if (!c->made_from) return no_memory(error);
  struct stat info;
  if ((mkdir(c->folder, 0777) != 0 && errno != EEXIST) || stat(c->folder, &info) != 0)
    return fail_folder(c, "make", errno, error);
  if (!S_ISDIR(info.st_mode)) return fail_folder(c, "use", ENOTDIR, error);
  DFM_TRY(describe_shape(schema, recipe, options, c->made_from, error));
  DFM_TRY(describe_input(train, c->made_from, "data", error));
  DFM_TRY(describe_input(valid, c->made_from, "valid", error));
  return make_paths(c, train, error);
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

/* All of the file is read here: where it is damaged it can be made anew without a word from anybody, which in the
 * middle of training it could not. */
static cache_state look(const cache *c) {
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
    snprintf(digest, sizeof digest, "%016" PRIx64, digest_of(c->dataset_path, true));
    if (strcmp(digest, kept) != 0) state = CACHE_DAMAGED;
  }
  json_decref(root);
  return state;
}

static dfm_status write_json(const cache *c, dfm_error *error) {
  char digest[17];
  dfm_writer *writer;
  snprintf(digest, sizeof digest, "%016" PRIx64, digest_of(c->dataset_path, false));
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

static dfm_status make(const cache *c, dfm_input *train_input, dfm_input *valid_input, const dfm_schema *schema,
                       const dfm_recipe *recipe, const dfm_read_options *options, dfm_error *error) {
  dfm_dataset *train, *valid;
  dfm_read_options reading = *options;
  if (access(c->folder, W_OK | X_OK) != 0) return fail_folder(c, "write to", errno, error);
  reading.spill_folder = c->folder;
  DFM_TRY(dfm_dataset_read_train(train_input, valid_input, schema, recipe, &reading, &train, &valid, error));
  dfm_status status = dfm_dataset_write(c->dataset_path, train, valid, recipe, error);
  dfm_dataset_free(train);
  dfm_dataset_free(valid);
  return status == DFM_OK ? write_json(c, error) : status;
}

/* The file has the validation rows in it, and its own schema; what the recipe asks for beside is its own. */
static dfm_status read_file(const cache *c, const dfm_recipe *recipe, const dfm_read_options *options,
                            dfm_dataset **train, dfm_dataset **valid, dfm_error *error) {
  const char *path = c->dataset_path;
  dfm_input *input;
  DFM_TRY(dfm_input_create(&path, 1, &input, error));
  const dfm_status status = dfm_dataset_read_train(input, NULL, NULL, recipe, options, train, valid, error);
  dfm_input_free(input);
  return status;
}

static dfm_status say(const cache *c, cache_state state, char **note, dfm_error *error) {
  static const char *const sentences[] = {
      [CACHE_FRESH] = "Took the rows from the cache, %s",
      [CACHE_ABSENT] = "Kept the rows in the cache, %s",
      [CACHE_STALE] = "Made the cache %s anew, since the data have changed",
      [CACHE_DAMAGED] = "Made the cache %s anew, since it was damaged or not written to its end"};
  dfm_text text = {0};
  const dfm_status status = dfm_text_printf(&text, error, sentences[state], c->dataset_path);
  *note = text.bytes;
  return status;
}

static dfm_status read_cached(cache *c, dfm_input *train_input, dfm_input *valid_input, const dfm_schema *schema,
                              const dfm_recipe *recipe, const dfm_read_options *options, dfm_dataset **train,
                              dfm_dataset **valid, char **note, dfm_error *error) {
  DFM_TRY(open_cache(c, train_input, valid_input, schema, recipe, options, error));
  const cache_state state = look(c);
  if (state != CACHE_FRESH) DFM_TRY(make(c, train_input, valid_input, schema, recipe, options, error));
  DFM_TRY(say(c, state, note, error));
  const dfm_status status = read_file(c, recipe, options, train, valid, error);
  if (status != DFM_OK) {
    free(*note);
    *note = NULL;
  }
  return status;
}

/* Why an input has no cache; NULL: it may have one. */
static const char *reason_against(const dfm_input *train, const dfm_input *valid) {
  if (dfm_input_dataset(train)) return "DATA is a dataset file already, so nothing is cached";
  if (!dfm_input_is_rereadable(train) || (valid && !dfm_input_is_rereadable(valid)))
    return "The standard input and pipes are not cached, since they cannot be seen to be the same again";
  return NULL;
}

dfm_status dfm_dataset_read_cached(dfm_input *train_input, dfm_input *valid_input, const dfm_schema *schema,
                                   const dfm_recipe *recipe, const dfm_read_options *options, const char *folder,
                                   dfm_dataset **train, dfm_dataset **valid, char **note, dfm_error *error) {
  static const dfm_read_options none = {0};
  const char *reason = reason_against(train_input, valid_input);
  cache c = {.folder = folder};
  *note = NULL;
  if (reason) {
    DFM_TRY(dfm_dataset_read_train(train_input, valid_input, schema, recipe, options, train, valid, error));
    const dfm_status status = dfm_copy_text(note, reason, error);
    if (status == DFM_OK) return status;
    dfm_dataset_free(*train);
    dfm_dataset_free(*valid);
    return status;
  }
  const dfm_status status =
      read_cached(&c, train_input, valid_input, schema, recipe, options ? options : &none, train, valid, note, error);
  clear(&c);
  return status;
}
