/* Model: what a model file holds, read-only. */
#ifndef DFM_MODEL_MODEL_H
#define DFM_MODEL_MODEL_H

#include "layer/executor.h"
#include "model/net_build.h"

enum { DFM_MODEL_FORMAT = 1, DFM_TENSOR_NAME_BYTES = 1100 };

struct dfm_model {
  dfm_encoder *encoder; /* owns the mapping */
  dfm_recipe *recipe;
  dfm_net *net;
  float *weight;        /* (n_weights) dense parameters */
  const float **table;  /* (F) tables' weights (V, n), in the mapping; NULL where the net gives the field no row */
  const uint32_t **age; /* (F) ages of the values (data/age.h); no value where buckets or another field's take their
                           place, in the mapping */
  int64_t state_steps;  /* the optimizer's state in the file is that after so many steps; 0: none is there */
  char *recipe_yaml, *schema_yaml, *metrics_json;
};

/* Tables' rows from the mapping; `context` is the model. */
const float *dfm_model_row(const void *context, int f, uint32_t id, float *scratch);

/* ---- writing. Metadata: "deepfm.format", "recipe", "metrics" and what the encoder declares; tensors: "table.FIELD"
 * F32 (V, n), column 0 the first-order weight where the table has one; the dense parameters by name ("dnn.0.weight"
 * (out, in)); the encoder's vocabularies, with the ages of their values in "vocabulary.FIELD.age" U32 (values). A file
 * that keeps the optimizer's state and a checkpoint are the same file with more tensors and metadata. */
typedef struct dfm_extra_tensor {
  char name[DFM_TENSOR_NAME_BYTES];
  dfm_dtype dtype;
  int n_dims;
  uint64_t shape[2];
  const void *data;
} dfm_extra_tensor;

typedef struct dfm_model_parts {
  const dfm_encoder *encoder;
  const dfm_recipe *recipe;
  const dfm_net *net;
  const float *weight;
  dfm_row_source rows; /* gives every row of every table */
  const char *metrics_json;
  const dfm_extra_tensor *extra; /* ages; state */
  size_t n_extra;
  int64_t state_steps;       /* metadata "state.steps"; 0: no state */
  const char *position_json; /* metadata "checkpoint"; NULL: none */
} dfm_model_parts;
void dfm_age_name(char out[DFM_TENSOR_NAME_BYTES], const dfm_encoder *encoder, int f);
dfm_status dfm_model_write(const char *path, const dfm_model_parts *parts, dfm_error *error);

/* Metadata "state.steps" of an open file, 0 where it is absent. */
dfm_status dfm_model_read_steps(const dfm_st_file *file, const char *path, int64_t *steps, dfm_error *error);
/* Dense parameters by name from an open file into `weight`; finiteness checked. `needs_all` false: those that are
 * absent are left alone. `*found` (may be NULL) counts those read. */
dfm_status dfm_model_read_weights(const dfm_st_file *file, const char *path, const dfm_net *net, bool needs_all,
                                  float *weight, int *found, dfm_error *error);
/* The table tensor of field f, checked for shape and finiteness; NULL where it is absent and not needed. */
dfm_status dfm_model_read_table(const dfm_st_file *file, const char *path, const dfm_net *net,
                                const dfm_encoder *encoder, int f, bool needs_it, const float **table,
                                dfm_error *error);

/* Whether a run by `recipe` may go on from `model`: settings that make a model what it is must be the model's. */
dfm_status dfm_recipe_check_from(const dfm_recipe *recipe, const dfm_model *model, dfm_error *error);
/* Whether a run by `recipe` may resume from the checkpoint at `path`, whose recipe is `saved_yaml`: all settings must
 * be the same; the first that is not is named. */
dfm_status dfm_recipe_check_resume(const dfm_recipe *recipe, const char *saved_yaml, const char *path,
                                   dfm_error *error);

#endif
