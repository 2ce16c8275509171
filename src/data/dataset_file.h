/* Dataset file: settled rows and their encoder come in and are written; a file comes in, and its rows go out, mapped
 * and checked when first read. docs/design.md draws the format. */
#ifndef DFM_DATA_DATASET_FILE_H
#define DFM_DATA_DATASET_FILE_H

#include "base/pool.h"
#include "base/safetensors.h"
#include "data/dataset.h"

enum { DFM_DATASET_FORMAT = 1 };

/* What a file was made by. */
typedef struct dfm_dataset_origin {
  const dfm_data_settings *settings; /* NULL: rows encoded like a model's, to score and not to train on */
  const char *recipe_json;           /* {"data.min_count": "1", ...}: the recipe's settings that shaped it */
} dfm_dataset_origin;

/* `valid` may be NULL; else it has the encoder of `train`. Either may be packed. `written` (NULL accepted) gets the
 * parts as the file has them, opened before it appears; NULL where it is written directly and cannot be read back.
 * `*digest` becomes the file's dfm_st_digest; NULL accepted. */
dfm_status dfm_dataset_file_write(const char *path, const dfm_dataset *train, const dfm_dataset *valid,
                                  const dfm_dataset_origin *origin, dfm_pool *pool, dfm_dataset *written[2],
                                  uint64_t *digest, dfm_error *error);

/* Whether `path` is a safetensors file, and so a dataset file where rows are asked for. */
bool dfm_dataset_is_file(const char *path);
/* Opens the file; rows are checked when they are first read. A part that it lacks becomes NULL. */
dfm_status dfm_dataset_file_load(const char *path, dfm_dataset *part[2], dfm_error *error);
/* The same of a file, taken over in any case, that was written with `encoder`, which is so its rows'. */
dfm_status dfm_dataset_file_take(dfm_st_file *file, dfm_encoder *encoder, dfm_dataset *part[2], dfm_error *error);
/* Fails: `what` of the file is wrong. */
dfm_status dfm_dataset_file_damaged(const dfm_st_file *file, const char *what, dfm_error *error);
/* Reads and checks all of the file. */
dfm_status dfm_dataset_file_verify(const char *path, dfm_error *error);
/* All its rows as rows of `encoder`'s model; NULL: its vocabularies are not the file's. */
dfm_status dfm_dataset_file_read(const char *path, dfm_encoder *encoder, const dfm_read_options *options,
                                 dfm_dataset **dataset, dfm_error *error);
/* All its rows by the file's own encoder, which must be of one text (dfm_dataset_text_order). */
dfm_status dfm_dataset_file_text(const char *path, dfm_dataset **rows, dfm_error *error);
/* Its rows to train on under `wanted`, an encoder fresh from a schema and settings, which takes the file's vocabularies
 * over; both must ask for what the file holds. */
dfm_status dfm_dataset_file_training(const char *path, const dfm_data_settings *settings, dfm_encoder *wanted,
                                     dfm_pool *pool, dfm_dataset **train, dfm_dataset **valid, dfm_error *error);
/* Metadata "recipe" and the schema of a dataset file; free() both. */
dfm_status dfm_dataset_file_origin(const char *path, char **recipe_json, dfm_schema **schema, dfm_error *error);

/* Whether cells of text mean the same to both schemas, whatever their column. */
bool dfm_schema_reads_alike(const dfm_schema *a, const dfm_schema *b);

#endif
