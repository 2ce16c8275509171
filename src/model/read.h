/* Reading rows: what the cache needs to know of it. */
#ifndef DFM_MODEL_READ_H
#define DFM_MODEL_READ_H

#include "model/recipe.h"

/* The settings that shape a dataset file, as JSON {"data.min_count": "1", ...}; free() it. */
dfm_status dfm_shaping_json(const dfm_recipe *recipe, char **text, dfm_error *error);

#endif
