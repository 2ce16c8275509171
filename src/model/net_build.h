/* Net building: a recipe and the fields of an encoder come in; a net of branches over one embedded batch goes out.
 *
 * A model is a row of the table of models (models.c) and a file that adds its branches; the logit is their sum. */
#ifndef DFM_MODEL_NET_BUILD_H
#define DFM_MODEL_NET_BUILD_H

#include "data/encoder.h"
#include "layer/layer.h"
#include "model/recipe.h"

typedef struct dfm_model_kind {
  const char *name;  /* "deepfm", as recipes say it */
  const char *title; /* with its source, for people */
  int branches; /* DFM_INTO_ bits of those it has: decides what a table row holds; fields of a pair branch, fm or ffm, go into DFM_INTO_FM */
  bool is_field_aware; /* its pair branch is ffm: factors for each partner field */
  dfm_status (*build)(dfm_net *net, const dfm_recipe *recipe, dfm_error *error);
} dfm_model_kind;

extern const dfm_model_kind dfm_model_lr, dfm_model_fm, dfm_model_ffm, dfm_model_deepfm;

/* Models by index: NULL past the last. */
const dfm_model_kind *dfm_model_kind_at(size_t i);
/* The model called `name`, or an error that suggests the nearest and lists all. */
dfm_status dfm_model_kind_find(const char *name, const dfm_model_kind **kind, dfm_error *error);

/* The net of recipe->model over the encoder's fields. */
dfm_status dfm_net_build(const dfm_recipe *recipe, const dfm_encoder *encoder, dfm_net **net, dfm_error *error);

/* Branches, for the models' files. Each adds to the logit. */
dfm_status dfm_branch_linear(dfm_net *net, const dfm_recipe *recipe,
                             dfm_error *error); /* first-order weights, numbers, bias */
dfm_status dfm_branch_fm(dfm_net *net, const dfm_recipe *recipe, dfm_error *error);  /* pairs of fields */
dfm_status dfm_branch_ffm(dfm_net *net, const dfm_recipe *recipe, dfm_error *error); /* field-aware pairs */
dfm_status dfm_branch_dnn(dfm_net *net, const dfm_recipe *recipe, dfm_error *error); /* hidden layers and a unit */

/* Keras-like table of tables, layers, shapes and parameter counts. */
dfm_status dfm_net_summary(const dfm_net *net, const dfm_recipe *recipe, const dfm_encoder *encoder, char **text,
                           dfm_error *error);
/* Weights of the table that field f owns; 0 where it owns none. */
int64_t dfm_net_table_weights(const dfm_net *net, const dfm_encoder *encoder, int f);
/* Trainable parameters: tables and dense. */
int64_t dfm_net_parameters(const dfm_net *net, const dfm_encoder *encoder);

#endif
