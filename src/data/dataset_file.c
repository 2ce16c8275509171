/* Dataset file, reading: a path comes in; everything that will be an index or enter a sum is checked; views of the
 * mapped rows go out. */
#include "data/dataset_file.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/memory.h"
#include "base/number.h"
#include "data/input.h"
#include "data/settle.h"
#include "data/storage.h"

bool dfm_dataset_is_file(const char *path) {
  return dfm_st_is_file(path);
}

const char *dfm_input_dataset(const dfm_input *input) {
  if (dfm_input_files(input) != 1 || !dfm_input_is_rereadable(input)) return NULL;
  const char *path = dfm_input_path(input, 0);
  return dfm_dataset_is_file(path) ? path : NULL;
}

dfm_status dfm_dataset_file_damaged(const dfm_st_file *file, const char *what, dfm_error *error) {
  return dfm_fail(error, DFM_ERROR_FORMAT, "%s is no valid dataset file: %s; encode the rows again", dfm_st_path(file),
                  what);
}

static dfm_status check_format(const dfm_st_file *file, dfm_error *error) {
  const char *text = dfm_st_metadata(file, "deepfm.dataset");
  long long format;
  if (!text) {
    return dfm_fail(error, DFM_ERROR_FORMAT,
                    "%s is a safetensors file but no dataset; give text, or a file that deepfm encode wrote",
                    dfm_st_path(file));
  }
  if (!dfm_parse_int64(text, strlen(text), &format) || format < 1)
    return dfm_dataset_file_damaged(file, "it has no version", error);
  if (format > DFM_DATASET_FORMAT) {
    return dfm_fail(error, DFM_ERROR_FORMAT,
                    "%s has dataset format %lld but this deepfm reads up to %d; use a newer deepfm", dfm_st_path(file),
                    format, DFM_DATASET_FORMAT);
  }
  return DFM_OK;
}

/* The metadata entry as JSON; json_decref it. */
static dfm_status read_json(const dfm_st_file *file, const char *key, json_t **root, dfm_error *error) {
  const char *text = dfm_st_metadata(file, key);
  *root = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
  return json_is_object(*root) ? DFM_OK : dfm_dataset_file_damaged(file, "its description cannot be read", error);
}

/* ---- parts */

/* What is counted: rows, and of a list's unknown ones items. */
static int64_t most_counts(const dfm_dataset *part, int i, bool is_missing) {
  return is_missing ? part->rows : dfm_dataset_cells(part, i);
}

/* Counts below 0 or above what there is are no counts. */
static bool read_counts(const json_t *list, int n, dfm_dataset *part, bool is_missing) {
  dfm_cell_counts *counts = part->counts;
  if (json_array_size(list) != (size_t)n) return false;
  for (int i = 0; i < n; i++) {
    const json_t *value = json_array_get(list, (size_t)i);
    const json_int_t count = json_integer_value(value);
    if (!json_is_integer(value) || count < 0 || count > most_counts(part, i, is_missing)) return false;
    *(is_missing ? &counts[i].missing : &counts[i].unknown) = count;
  }
  return true;
}

static dfm_status view_part(const dfm_st_file *file, const json_t *part, dfm_encoder *encoder, dfm_storage *storage,
                            int64_t first, dfm_dataset **dataset, dfm_error *error) {
  const json_t *rows = json_object_get(part, "rows"), *positives = json_object_get(part, "positives");
  const json_int_t n = json_integer_value(rows), n_positives = json_integer_value(positives);
  if (!json_is_integer(rows) || n < 0 || n > storage->rows - first)
    return dfm_dataset_file_damaged(file, "its parts do not fit its rows", error);
  if (!json_is_integer(positives) || n_positives < 0 || n_positives > n)
    return dfm_dataset_file_damaged(file, "its counts do not fit its rows", error);
  DFM_TRY(dfm_dataset_view(encoder, storage, first, n, dataset, error));
  if (!read_counts(json_object_get(part, "unknown_cells"), encoder->F, *dataset, false) ||
      !read_counts(json_object_get(part, "missing_cells"), encoder->F + encoder->D, *dataset, true))
    return dfm_dataset_file_damaged(file, "its counts do not fit its rows", error);
  (*dataset)->positives = storage->label ? n_positives : 0;
  return DFM_OK;
}

static dfm_status view_parts(const dfm_st_file *file, const json_t *root, dfm_encoder *encoder, dfm_storage *storage,
                             dfm_dataset *part[2], dfm_error *error) {
  const json_t *list = json_object_get(root, "parts"), *autos = json_object_get(root, "transform_was_auto");
  const size_t n = json_array_size(list);
  if (n < 1 || n > 2 || json_array_size(autos) != (size_t)encoder->D)
    return dfm_dataset_file_damaged(file, "its parts do not fit its rows", error);
  for (int d = 0; d < encoder->D; d++) encoder->number[d].is_auto = json_is_true(json_array_get(autos, (size_t)d));
  DFM_TRY(view_part(file, json_array_get(list, 0), encoder, storage, 0, &part[0], error));
  if (n == 2) DFM_TRY(view_part(file, json_array_get(list, 1), encoder, storage, part[0]->rows, &part[1], error));
  storage->second = part[0]->rows;
  if (part[0]->rows + (part[1] ? part[1]->rows : 0) != storage->rows)
    return dfm_dataset_file_damaged(file, "its parts do not fit its rows", error);
  return DFM_OK;
}

/* ---- opening */

/* What a file holds; cleared by close_file. */
typedef struct dataset_file {
  dfm_st_file *file;
  dfm_encoder *encoder;
  dfm_storage *storage;
  json_t *root; /* metadata "dataset" */
  dfm_dataset *part[2];
} dataset_file;

static void close_file(dataset_file *open) {
  for (int i = 0; i < 2; i++) dfm_dataset_free(open->part[i]);
  dfm_storage_release(open->storage);
  dfm_encoder_release(open->encoder);
  json_decref(open->root);
  dfm_st_close(open->file);
}

/* Vocabularies are looked at as a whole when they are taken over, rows when they are first read. */
static dfm_status check_vocabularies(const dfm_st_file *file, dfm_error *error) {
  static const char prefix[] = "vocabulary.";
  for (size_t i = 0; i < dfm_st_count(file); i++) {
    const dfm_tensor *tensor = dfm_st_at(file, i);
    if (strncmp(tensor->name, prefix, sizeof prefix - 1) != 0) continue;
    DFM_TRY(dfm_st_check(file, tensor->data, tensor->size_bytes, error));
  }
  return DFM_OK;
}

static dfm_status load_encoder(dataset_file *open, dfm_error *error) {
  DFM_TRY(check_vocabularies(open->file, error));
  const dfm_status status = dfm_encoder_load(dfm_st_retain(open->file), &open->encoder, error);
  if (status != DFM_OK) dfm_st_close(open->file);
  DFM_TRY(status);
  return open->encoder->is_synthetic ? dfm_dataset_file_damaged(open->file, "it has no vocabularies", error) : DFM_OK;
}

/* What comes after the file and, where it is known, its encoder. */
static dfm_status open_parts(dataset_file *open, dfm_error *error) {
  DFM_TRY(check_format(open->file, error));
  DFM_TRY(read_json(open->file, "dataset", &open->root, error));
  if (!open->encoder) DFM_TRY(load_encoder(open, error));
  DFM_TRY(dfm_storage_create(open->encoder, (dfm_storage_has){0}, "", &open->storage, error));
  DFM_TRY(dfm_storage_map(open->storage, open->file, open->encoder, error));
  DFM_TRY(dfm_storage_check_begin(open->storage, open->encoder, error));
  return view_parts(open->file, open->root, open->encoder, open->storage, open->part, error);
}

static dfm_status open_file(const char *path, dataset_file *open, dfm_error *error) {
  *open = (dataset_file){0};
  DFM_TRY(dfm_st_open(path, &open->file, error));
  const dfm_status status = open_parts(open, error);
  if (status != DFM_OK) close_file(open);
  return status;
}

static void take_parts(dataset_file *open, dfm_dataset *part[2]) {
  for (int i = 0; i < 2; i++) {
    part[i] = open->part[i];
    open->part[i] = NULL;
  }
}

dfm_status dfm_dataset_file_load(const char *path, dfm_dataset *part[2], dfm_error *error) {
  dataset_file open;
  DFM_TRY(open_file(path, &open, error));
  take_parts(&open, part);
  close_file(&open);
  return DFM_OK;
}

dfm_status dfm_dataset_file_take(dfm_st_file *file, dfm_encoder *encoder, dfm_dataset *part[2], dfm_error *error) {
  dataset_file open = {.file = file, .encoder = dfm_encoder_retain(encoder)};
  const dfm_status status = open_parts(&open, error);
  if (status == DFM_OK) take_parts(&open, part);
  close_file(&open);
  return status;
}

/* ---- all of it at once */

static dfm_status verify_part(const dfm_st_file *file, const dfm_dataset *part, dfm_error *error) {
  const float *labels = dfm_dataset_labels(part);
  int64_t positives = 0;
  dfm_scan scan = {.dataset = part, .end = part->rows};
  for (;;) {
    DFM_TRY(dfm_scan_next(&scan, error));
    if (scan.n == 0) break;
    for (int64_t i = scan.first; labels && i < scan.first + scan.n; i++) positives += labels[i] == 1;
  }
  return positives == part->positives ? DFM_OK
                                      : dfm_dataset_file_damaged(file, "its counts do not fit its rows", error);
}

static dfm_status verify_order(const dfm_dataset *part, dfm_error *error) {
  const dfm_storage *storage = part->storage;
  const dfm_dataset all = {.storage = part->storage, .encoder = part->encoder, .rows = storage->rows};
  int64_t *row;
  dfm_status status = DFM_OK;
  DFM_TRY(dfm_alloc(&row, DFM_SCAN_ROWS, sizeof *row, error));
  for (int64_t at = 0; status == DFM_OK && at < all.rows; at += DFM_SCAN_ROWS) {
    const int64_t left = all.rows - at;
    dfm_row_range range[2];
    status = dfm_dataset_text_order(&all, at, left < DFM_SCAN_ROWS ? left : DFM_SCAN_ROWS, row, range, error);
    for (int k = 0; status == DFM_OK && k < 2; k++) dfm_dataset_spent(&all, range[k].first, range[k].n);
  }
  free(row);
  return status;
}

dfm_status dfm_dataset_file_verify(const char *path, dfm_error *error) {
  dataset_file open;
  DFM_TRY(open_file(path, &open, error));
  dfm_status status = dfm_st_verify(open.file, error);
  for (int i = 0; i < 2 && open.part[i] && status == DFM_OK; i++) status = verify_part(open.file, open.part[i], error);
  if (status == DFM_OK) status = verify_order(open.part[0], error);
  close_file(&open);
  return status;
}

static dfm_status fail_label(const dataset_file *open, const dfm_read_options *options, dfm_error *error) {
  const bool needs_label = !options || !options->label_optional;
  if (needs_label && !open->storage->has.label) {
    return dfm_fail(error, DFM_ERROR_MISMATCH, "%s has no labels; encode rows that have them", dfm_st_path(open->file));
  }
  if (options && options->truth_column && !open->storage->has.truth) {
    return dfm_fail(error, DFM_ERROR_MISMATCH, "%s has no true probabilities; encode it with --truth %s",
                    dfm_st_path(open->file), options->truth_column);
  }
  return DFM_OK;
}

static double number_of(const json_t *object, const char *key) {
  return json_number_value(json_object_get(object, key));
}

static dfm_status view_all(dataset_file *open, dfm_encoder *encoder, dfm_dataset **dataset, dfm_error *error) {
  DFM_TRY(dfm_dataset_view(encoder, open->storage, 0, open->storage->rows, dataset, error));
  for (int i = 0; i < 2; i++) {
    const dfm_dataset *part = open->part[i];
    if (!part) continue;
    (*dataset)->positives += part->positives;
    for (int k = 0; k < encoder->F + encoder->D; k++) {
      (*dataset)->counts[k].unknown += part->counts[k].unknown;
      (*dataset)->counts[k].missing += part->counts[k].missing;
    }
  }
  return DFM_OK;
}

/* Whether text meant the same to the file's schema: labels, missing words, spaces, where lists are cut. */
static bool reads_alike(const dfm_encoder *a, const dfm_encoder *b) {
  bool is_same = dfm_schema_reads_alike(a->schema, b->schema);
  for (int f = 0; f < a->F && is_same; f++)
    is_same = !a->category[f].is_list || (a->category[f].settings.separator == b->category[f].settings.separator &&
                                          a->category[f].settings.weights == b->category[f].settings.weights);
  return is_same;
}

dfm_status dfm_dataset_file_read(const char *path, dfm_encoder *encoder, const dfm_read_options *options,
                                 dfm_dataset **dataset, dfm_error *error) {
  dataset_file open;
  dfm_status status = DFM_OK;
  *dataset = NULL;
  DFM_TRY(open_file(path, &open, error));
  if (open.encoder->F == encoder->F && open.encoder->D == encoder->D &&
      dfm_encoder_hash(open.encoder) == dfm_encoder_hash(encoder) && reads_alike(open.encoder, encoder)) {
    status = fail_label(&open, options, error);
    if (status == DFM_OK) status = view_all(&open, encoder, dataset, error);
  }
  close_file(&open);
  return status;
}

dfm_status dfm_dataset_file_text(const char *path, dfm_dataset **rows, dfm_error *error) {
  dataset_file open;
  dfm_status status;
  DFM_TRY(open_file(path, &open, error));
  const json_t *split = json_object_get(open.root, "split");
  if (open.part[1] && number_of(split, "last") == 0 && number_of(split, "random") == 0)
    status = dfm_fail(error, DFM_ERROR_MISMATCH,
                      "%s has validation rows of another text, and vocabularies that are not the ones here; encode the "
                      "two texts apart, or give them",
                      path);
  else
    status = view_all(&open, open.encoder, rows, error);
  close_file(&open);
  return status;
}

/* ---- to train on */

static dfm_status fail_setting(const char *path, const char *setting, dfm_error *error) {
  return dfm_fail(error, DFM_ERROR_MISMATCH,
                  "%s was encoded with another %s than is asked for; leave it out, or encode the rows again with it",
                  path, setting);
}

static dfm_status check_split(const dataset_file *open, const dfm_data_settings *settings, dfm_error *error) {
  const char *path = dfm_st_path(open->file);
  const json_t *split = json_object_get(open->root, "split");
  if (!split) {
    return dfm_fail(error, DFM_ERROR_MISMATCH,
                    "%s was encoded like a model, to be scored; encode the rows without --like to train on them", path);
  }
  if (number_of(split, "last") != settings->valid_split) return fail_setting(path, "validation.split", error);
  if (number_of(split, "random") != settings->valid_random) return fail_setting(path, "validation.random", error);
  if (json_is_true(json_object_get(split, "vocabulary_from_all")) != settings->vocabulary_from_all)
    return fail_setting(path, "data.vocabulary_from", error);
  return open->storage->has.label ? DFM_OK : fail_label(open, NULL, error);
}

static bool is_logged(const dfm_category_field *field) {
  return field->settings.transform == DFM_TRANSFORM_LOG2;
}

/* Whether the same cells give both fields the same values. */
static bool is_same_field(const dfm_category_field *a, const dfm_category_field *b) {
  if (strcmp(a->name, b->name) != 0 || a->is_list != b->is_list || a->table != b->table) return false;
  return !a->is_list || (a->settings.separator == b->settings.separator && a->settings.weights == b->settings.weights);
}

static dfm_status take_categories(const dataset_file *open, dfm_encoder *wanted, dfm_error *error) {
  const char *path = dfm_st_path(open->file);
  for (int f = 0; f < wanted->F; f++) {
    dfm_category_field *to = &wanted->category[f];
    const dfm_category_field *from = &open->encoder->category[f];
    if (!is_same_field(to, from)) return fail_setting(path, "schema", error);
    if (to->settings.min_count != from->settings.min_count) return fail_setting(path, "min_count", error);
    if (to->settings.max_vocabulary != from->settings.max_vocabulary)
      return fail_setting(path, "max_vocabulary", error);
    if (to->settings.hash != from->settings.hash) return fail_setting(path, "hash", error);
    if (to->settings.buckets != from->settings.buckets) return fail_setting(path, "buckets", error);
    if (is_logged(to) != is_logged(from)) return fail_setting(path, "transform of a category", error);
    if (to->settings.unknown != from->settings.unknown) return fail_setting(path, "rule for unknown values", error);
    if (to->settings.order != from->settings.order) return fail_setting(path, "vocabulary order", error);
  }
  for (int f = 0; f < wanted->F; f++) {
    dfm_category_field *to = &wanted->category[f];
    dfm_category_field *from = &open->encoder->category[f];
    to->vocabulary = from->vocabulary;
    to->bucket_from = from->bucket_from;
    to->n_buckets = from->n_buckets;
    from->bucket_from = NULL; /* one owner */
    to->distinct = from->distinct;
    to->cells = from->cells;
    to->unknown_rows = from->unknown_rows;
    to->missing_rows = from->missing_rows;
  }
  wanted->rows = open->encoder->rows;
  wanted->file = dfm_st_retain(open->file);
  return DFM_OK;
}

static bool is_same_number(double a, double b) {
  return a == b || (isnan(a) && isnan(b));
}

/* The file's fit is taken over where the same was asked for; `*needs_fit`: it was not for every field. */
static dfm_status take_numbers(const dataset_file *open, dfm_encoder *wanted, bool *needs_fit, dfm_error *error) {
  *needs_fit = false;
  for (int d = 0; d < wanted->D; d++) {
    dfm_number_field *to = &wanted->number[d];
    const dfm_number_field *from = &open->encoder->number[d];
    if (strcmp(to->name, from->name) != 0) return fail_setting(dfm_st_path(open->file), "schema", error);
    const int asked = from->is_auto ? (int)DFM_TRANSFORM_AUTO : from->settings.transform;
    *needs_fit |= to->settings.transform != asked || !is_same_number(to->settings.missing, from->settings.missing);
    to->missing_rows = from->missing_rows;
  }
  for (int d = 0; d < wanted->D && !*needs_fit; d++) {
    const dfm_number_field *from = &open->encoder->number[d];
    wanted->number[d].settings.transform = from->settings.transform;
    wanted->number[d].is_auto = from->is_auto;
    wanted->number[d].shift = from->shift;
    wanted->number[d].scale = from->scale;
  }
  return DFM_OK;
}

static dfm_status take_over(dataset_file *open, const dfm_data_settings *settings, dfm_encoder *wanted, dfm_pool *pool,
                            dfm_error *error) {
  bool needs_fit;
  DFM_TRY(check_split(open, settings, error));
  if (wanted->F != open->encoder->F || wanted->D != open->encoder->D)
    return fail_setting(dfm_st_path(open->file), "schema", error);
  DFM_TRY(take_categories(open, wanted, error));
  DFM_TRY(take_numbers(open, wanted, &needs_fit, error));
  return needs_fit ? dfm_settle_numbers(wanted, open->part[0], pool, NULL, error) : DFM_OK;
}

/* The part as rows of `encoder`. */
static void hand_over(dfm_dataset **from, dfm_encoder *encoder, dfm_dataset **to) {
  *to = *from;
  *from = NULL;
  if (!*to) return;
  dfm_encoder_release((*to)->encoder);
  (*to)->encoder = dfm_encoder_retain(encoder);
}

dfm_status dfm_dataset_file_training(const char *path, const dfm_data_settings *settings, dfm_encoder *wanted,
                                     dfm_pool *pool, dfm_dataset **train, dfm_dataset **valid, dfm_error *error) {
  dataset_file open;
  DFM_TRY(open_file(path, &open, error));
  const dfm_status status = take_over(&open, settings, wanted, pool, error);
  if (status == DFM_OK) {
    hand_over(&open.part[0], wanted, train);
    hand_over(&open.part[1], wanted, valid);
  }
  close_file(&open);
  return status;
}

dfm_status dfm_dataset_file_origin(const char *path, char **recipe_json, dfm_schema **schema, dfm_error *error) {
  dfm_st_file *file;
  char *copy = NULL;
  DFM_TRY(dfm_st_open(path, &file, error));
  dfm_status status = check_format(file, error);
  const char *recipe = dfm_st_metadata(file, "recipe"), *yaml = dfm_st_metadata(file, "schema");
  if (status == DFM_OK && (!recipe || !yaml))
    status = dfm_dataset_file_damaged(file, "its description cannot be read", error);
  if (status == DFM_OK) status = dfm_alloc(&copy, strlen(recipe) + 1, 1, error);
  if (status == DFM_OK) {
    strcpy(copy, recipe);
    status = dfm_schema_parse(yaml, path, schema, error);
  }
  dfm_st_close(file);
  if (status == DFM_OK) {
    *recipe_json = copy;
  } else {
    free(copy);
  }
  return status;
}
