/* Reading and writing rows: a recipe or a model says how; datasets and dataset files go out. The thin public side of
 * data/. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/file.h"
#include "data/dataset_file.h"
#include "model/model.h"
#include "model/read.h"

/* Settings that a dataset file was made by, and that training on it takes over. */
static const char *const SHAPING[] = {"train.seed",     "validation.split",      "validation.random",
                                      "data.min_count", "data.max_vocabulary",   "data.hash",
                                      "data.unknown",   "data.vocabulary_order", "data.vocabulary_from",
                                      "data.transform", "data.missing"};
enum { N_SHAPING = sizeof SHAPING / sizeof *SHAPING };

static dfm_data_settings data_settings(const dfm_recipe *recipe) {
  dfm_data_settings settings = recipe->data;
  settings.category.width = recipe->embedding.width;
  settings.seed = recipe->train.seed;
  return settings;
}

/* The schema that rows are read by: the recipe's corrections in it. */
static dfm_status settle_schema(const dfm_input *input, const dfm_schema *schema, const dfm_recipe *recipe,
                                dfm_schema **applied, dfm_error *error) {
  dfm_schema *own = NULL;
  char *origin = NULL;
  const char *path = dfm_input_dataset(input);
  if (!path) return dfm_recipe_apply(recipe, schema, applied, error);
  if (schema) {
    return dfm_fail(error, DFM_ERROR_VALUE, "%s is a dataset file and has its own schema; leave the schema out", path);
  }
  DFM_TRY(dfm_dataset_file_origin(path, &origin, &own, error));
  free(origin);
  const dfm_status status = dfm_recipe_apply(recipe, own, applied, error);
  dfm_schema_free(own);
  return status;
}

dfm_status dfm_read_fields(const dfm_input *input, const dfm_schema *schema, const dfm_recipe *recipe,
                           dfm_encoder **encoder, dfm_error *error) {
  const dfm_data_settings settings = data_settings(recipe);
  dfm_schema *applied;
  DFM_TRY(settle_schema(input, schema, recipe, &applied, error));
  const dfm_status status = dfm_encoder_create(applied, &settings, encoder, error);
  dfm_schema_free(applied);
  return status;
}

/* dfm_dataset_read_training, or the same for rows that stay packed. */
typedef dfm_status reading(dfm_input *train_input, dfm_input *valid_input, const dfm_schema *schema,
                           const dfm_data_settings *settings, const dfm_read_options *options, dfm_dataset **train,
                           dfm_dataset **valid, dfm_error *error);

static dfm_status read_by(reading *read, dfm_input *train_input, dfm_input *valid_input, const dfm_schema *schema,
                          const dfm_recipe *recipe, const dfm_read_options *options, dfm_dataset **train,
                          dfm_dataset **valid, dfm_error *error) {
  dfm_schema *applied = NULL;
  const dfm_data_settings settings = data_settings(recipe);
  DFM_TRY(dfm_recipe_check(recipe, error));
  DFM_TRY(settle_schema(train_input, schema, recipe, &applied, error));
  const dfm_status status = read(train_input, valid_input, applied, &settings, options, train, valid, error);
  dfm_schema_free(applied);
  return status;
}

dfm_status dfm_dataset_read_train(dfm_input *train_input, dfm_input *valid_input, const dfm_schema *schema,
                                  const dfm_recipe *recipe, const dfm_read_options *options, dfm_dataset **train,
                                  dfm_dataset **valid, dfm_error *error) {
  return read_by(dfm_dataset_read_training, train_input, valid_input, schema, recipe, options, train, valid, error);
}

dfm_status dfm_read_to_write(dfm_input *train_input, dfm_input *valid_input, const dfm_schema *schema,
                             const dfm_recipe *recipe, const dfm_read_options *options, dfm_dataset **train,
                             dfm_dataset **valid, dfm_error *error) {
  return read_by(dfm_dataset_read_packed, train_input, valid_input, schema, recipe, options, train, valid, error);
}

/* ---- rows to train a model on further */

static dfm_status check_growth(const dfm_model *model, const dfm_growth_options *growth, dfm_error *error) {
  if (model->encoder->is_synthetic) {
    return dfm_fail(error, DFM_ERROR_MISMATCH,
                    "the model has vocabularies without values, so it cannot grow; train one on rows of text");
  }
  if (growth->admit >= 0 && growth->expire_after >= 0) return DFM_OK;
  return dfm_fail(error, DFM_ERROR_VALUE, "admit is %lld and expire_after %lld; neither may be negative",
                  (long long)growth->admit, (long long)growth->expire_after);
}

dfm_status dfm_dataset_read_more(dfm_input *train_input, dfm_input *valid_input, const dfm_model *model,
                                 const dfm_recipe *recipe, const dfm_growth_options *growth,
                                 const dfm_read_options *options, dfm_growth *outcome, dfm_dataset **train,
                                 dfm_dataset **valid, dfm_error *error) {
  const dfm_data_settings settings = data_settings(recipe);
  const dfm_growing growing = {.encoder = model->encoder, .ages = model->age, .options = growth};
  DFM_TRY(dfm_recipe_check(recipe, error));
  DFM_TRY(dfm_recipe_check_from(recipe, model, error));
  DFM_TRY(check_growth(model, growth, error));
  return dfm_dataset_read_growing(train_input, valid_input, &growing, &settings, options, outcome, train, valid, error);
}

dfm_status dfm_dataset_read(dfm_input *input, const dfm_model *model, const dfm_read_options *options,
                            dfm_dataset **dataset, dfm_error *error) {
  return dfm_dataset_read_encoded(input, model->encoder, options, dataset, error);
}

dfm_status dfm_reader_open(dfm_input *input, const dfm_model *model, const dfm_read_options *options,
                           dfm_reader **reader, dfm_error *error) {
  return dfm_reader_open_encoded(input, model->encoder, options, reader, error);
}

bool dfm_dataset_is_at(const char *path) {
  return dfm_dataset_is_file(path);
}

dfm_status dfm_dataset_load(const char *path, dfm_dataset **train, dfm_dataset **valid, dfm_error *error) {
  dfm_dataset *part[2];
  DFM_TRY(dfm_dataset_file_load(path, part, error));
  *train = part[0];
  *valid = part[1];
  return DFM_OK;
}

dfm_status dfm_dataset_verify(const char *path, dfm_error *error) {
  return dfm_dataset_file_verify(path, error);
}

/* ---- the settings that shape a dataset file */

dfm_status dfm_shaping_json(const dfm_recipe *recipe, char **text, dfm_error *error) {
  dfm_status status = DFM_OK;
  json_t *root = json_object();
  for (int i = 0; i < N_SHAPING && status == DFM_OK; i++) {
    char *value = NULL;
    status = dfm_recipe_get(recipe, SHAPING[i], &value, error);
    if (status == DFM_OK) json_object_set_new(root, SHAPING[i], json_string(value));
    free(value);
  }
  *text = status == DFM_OK ? json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
  json_decref(root);
  if (status == DFM_OK && !*text) return dfm_fail(error, DFM_ERROR_MEMORY, "out of memory for a dataset's settings");
  return status;
}

dfm_status dfm_write_rows(const char *path, const dfm_dataset *train, const dfm_dataset *valid,
                          const dfm_recipe *recipe, int threads, dfm_dataset *written[2], uint64_t *digest,
                          dfm_error *error) {
  char *text = NULL;
  dfm_pool *pool;
  dfm_data_settings settings;
  dfm_dataset_origin origin = {0};
  if (recipe) {
    settings = data_settings(recipe);
    DFM_TRY(dfm_shaping_json(recipe, &text, error));
    origin = (dfm_dataset_origin){.settings = &settings, .recipe_json = text};
  }
  dfm_status status = dfm_pool_create_exact(threads, &pool, error);
  if (status == DFM_OK) {
    status = dfm_dataset_file_write(path, train, valid, &origin, pool, written, digest, error);
    dfm_pool_free(pool);
  }
  free(text);
  return status;
}

dfm_status dfm_dataset_write(const char *path, const dfm_dataset *train, const dfm_dataset *valid,
                             const dfm_recipe *recipe, int threads, dfm_error *error) {
  return dfm_write_rows(path, train, valid, recipe, threads, NULL, NULL, error);
}

/* The rows that were written are those of the file from here on. */
static void replace(dfm_dataset **rows, dfm_dataset *written) {
  if (written) dfm_dataset_take_skipped(written, *rows);
  dfm_dataset_free(*rows);
  *rows = written;
}

dfm_status dfm_dataset_encode(dfm_input *train_input, dfm_input *valid_input, const dfm_schema *schema,
                              const dfm_recipe *recipe, const dfm_read_options *options, const char *path,
                              dfm_dataset **train, dfm_dataset **valid, dfm_error *error) {
  dfm_dataset *read[2] = {NULL, NULL}, *written[2] = {NULL, NULL};
  const int threads = options ? options->threads : 0;
  dfm_status status = dfm_read_to_write(train_input, valid_input, schema, recipe, options, &read[0], &read[1], error);
  if (status == DFM_OK) status = dfm_write_rows(path, read[0], read[1], recipe, threads, written, NULL, error);
  if (status == DFM_OK && !written[0]) status = dfm_dataset_unpack(read[0], read[1], threads, error);
  for (int i = 0; i < 2 && (status != DFM_OK || written[0]); i++) replace(&read[i], written[i]);
  *train = read[0];
  *valid = read[1];
  return status;
}

/* What has its value already is not set again: validation.random, once set, no longer follows validation.split, which
 * comes before it. */
static dfm_status adopt_setting(dfm_recipe *recipe, const char *name, const char *value, dfm_error *error) {
  char *present = NULL;
  DFM_TRY(dfm_recipe_get(recipe, name, &present, error));
  const bool is_so = strcmp(present, value) == 0;
  free(present);
  return is_so ? DFM_OK : dfm_recipe_set(recipe, name, value, error);
}

static dfm_status adopt(dfm_recipe *recipe, const json_t *root, dfm_error *error) {
  for (int i = 0; i < N_SHAPING; i++) {
    const char *value = json_string_value(json_object_get(root, SHAPING[i]));
    if (value) DFM_TRY(adopt_setting(recipe, SHAPING[i], value, error));
  }
  return DFM_OK;
}

dfm_status dfm_recipe_adopt(dfm_recipe *recipe, const char *dataset_path, dfm_error *error) {
  char *text = NULL;
  dfm_schema *schema = NULL;
  DFM_TRY(dfm_dataset_file_origin(dataset_path, &text, &schema, error));
  dfm_schema_free(schema);
  json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
  free(text);
  const dfm_status status = adopt(recipe, root, error);
  json_decref(root);
  return status;
}
