/* Reading and writing rows: what the cache and checks before reading need to know of it. */
#ifndef DFM_MODEL_READ_H
#define DFM_MODEL_READ_H

#include "data/dataset.h"
#include "model/recipe.h"

/* The settings that shape a dataset file, as JSON {"data.min_count": "1", ...}; free() it. */
dfm_status dfm_shaping_json(const dfm_recipe *recipe, char **text, dfm_error *error);

/* dfm_dataset_read_train for rows that are written next (dfm_dataset_read_packed), and dfm_dataset_write of them, by
 * `threads` as in dfm_read_options; `written` and `digest` as in dfm_dataset_file_write. */
dfm_status dfm_read_to_write(dfm_input *train_input, dfm_input *valid_input, const dfm_schema *schema,
                             const dfm_recipe *recipe, const dfm_read_options *options, dfm_dataset **train,
                             dfm_dataset **valid, dfm_error *error);
dfm_status dfm_write_rows(const char *path, const dfm_dataset *train, const dfm_dataset *valid,
                          const dfm_recipe *recipe, int threads, dfm_dataset *written[2], uint64_t *digest,
                          dfm_error *error);

/* The fields that rows would have, without values, by the arguments of dfm_dataset_read_train. */
dfm_status dfm_read_fields(const dfm_input *input, const dfm_schema *schema, const dfm_recipe *recipe,
                           dfm_encoder **encoder, dfm_error *error);

#endif
