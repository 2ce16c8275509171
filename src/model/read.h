/* Reading and writing rows: what the cache needs to know of it. */
#ifndef DFM_MODEL_READ_H
#define DFM_MODEL_READ_H

#include "data/dataset.h"
#include "model/recipe.h"

/* The settings that shape a dataset file, as JSON {"data.min_count": "1", ...}; free() it. */
dfm_status dfm_shaping_json(const dfm_recipe *recipe, char **text, dfm_error *error);

/* dfm_dataset_write; `*digest` becomes the file's dfm_st_digest, NULL accepted. */
dfm_status dfm_dataset_write_digest(const char *path, const dfm_dataset *train, const dfm_dataset *valid,
                                    const dfm_recipe *recipe, uint64_t *digest, dfm_error *error);

#endif
