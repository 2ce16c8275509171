/* Reading rows: a recipe or a model says how; datasets go out. The thin public side of data/. */
#include "data/dataset.h"
#include "model/model.h"

dfm_status dfm_dataset_read_train(dfm_input *train_input, dfm_input *valid_input, const dfm_schema *schema,
                                  const dfm_recipe *recipe, const dfm_read_options *options, dfm_dataset **train,
                                  dfm_dataset **valid, dfm_error *error) {
  dfm_schema *applied = NULL;
  dfm_data_settings settings = recipe->data;
  settings.category.width = recipe->embedding.width;
  settings.seed = recipe->train.seed;
  DFM_TRY(dfm_recipe_check(recipe, error));
  DFM_TRY(dfm_recipe_apply(recipe, schema, &applied, error));
  const dfm_status status =
      dfm_dataset_read_training(train_input, valid_input, applied, &settings, options, train, valid, error);
  dfm_schema_free(applied);
  return status;
}

dfm_status dfm_dataset_read(dfm_input *input, const dfm_model *model, const dfm_read_options *options,
                            dfm_dataset **dataset, dfm_error *error) {
  return dfm_dataset_read_encoded(input, model->encoder, options, dataset, error);
}
