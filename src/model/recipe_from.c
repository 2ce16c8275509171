/* Going on from a model: its recipe comes in with what a user changed; the settings that make the model what it is must
 * be the same. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "model/model.h"
#include "model/recipe_settings.h"

/* How a run trains may change from run to run; what a model is may not. Groups, or single settings. */
static const char *const FREE[] = {"optimizer.", "l2.", "train.", "validation.", "dnn.dropout", "precision"};

static bool is_free(const char *name) {
  for (size_t i = 0; i < sizeof FREE / sizeof *FREE; i++) {
    const size_t n = strlen(FREE[i]);
    if (strncmp(name, FREE[i], n) == 0 && (FREE[i][n - 1] == '.' || name[n] == 0)) return true;
  }
  return false;
}

/* What a recipe is held against: a model's to go on from, or a checkpoint's. */
typedef struct base_recipe {
  const dfm_recipe *recipe;
  const char *checkpoint; /* its path; NULL: a model's */
} base_recipe;

static dfm_status fail_other(const base_recipe *base, const char *name, const char *wanted, const char *is,
                             dfm_error *error) {
  if (!wanted || !*wanted) wanted = "not set";
  if (!is || !*is) is = "not set";
  if (base->checkpoint) {
    return dfm_fail(error, DFM_ERROR_MISMATCH,
                    "%s is %s, but %s in the run of checkpoint %s; resume with that run's settings (deepfm summary "
                    "--recipe shows them all)",
                    name, wanted, is, base->checkpoint);
  }
  return dfm_fail(
      error, DFM_ERROR_MISMATCH,
      "%s is %s, but %s in the model to go on from, and a model's shape and encoding stay as they are; leave "
      "the setting out, or train anew",
      name, wanted, is);
}

static dfm_status check_setting(const dfm_recipe *recipe, const base_recipe *base, const char *name, dfm_error *error) {
  char *wanted = NULL, *is = NULL;
  dfm_status status = dfm_recipe_get(recipe, name, &wanted, error);
  if (status == DFM_OK) status = dfm_recipe_get(base->recipe, name, &is, error);
  const bool is_same = wanted && is ? strcmp(wanted, is) == 0 : wanted == is;
  if (status == DFM_OK && !is_same) status = fail_other(base, name, wanted, is, error);
  free(wanted);
  free(is);
  return status;
}

/* The columns' settings of `among` are the same in both. */
static dfm_status check_overrides(const dfm_recipe *recipe, const base_recipe *base, const dfm_recipe *among,
                                  dfm_error *error) {
  dfm_status status = DFM_OK;
  for (size_t i = 0; i < among->n_overrides && status == DFM_OK; i++) {
    dfm_text name = {0};
    status = dfm_text_printf(&name, error, "fields.%s.%s", among->overrides[i].field, among->overrides[i].key);
    if (status == DFM_OK) status = check_setting(recipe, base, name.bytes, error);
    free(name.bytes);
  }
  return status;
}

/* State is of use to the optimizer that made it alone; its rates and betas may change. */
static dfm_status check_optimizer(const dfm_recipe *recipe, const dfm_recipe *base, dfm_error *error) {
  char *name = NULL;
  if (recipe->optimizer.name == base->optimizer.name) return DFM_OK;
  DFM_TRY(dfm_recipe_get(base, "optimizer.name", &name, error));
  const dfm_status status = dfm_fail(error, DFM_ERROR_MISMATCH,
                                     "optimizer.name is not %s, whose state the model to go on from keeps; leave the "
                                     "setting out, or go on from a model without state",
                                     name);
  free(name);
  return status;
}

/* Of a model all but what is free to change. */
static dfm_status check_same(const dfm_recipe *recipe, const base_recipe *base, dfm_error *error) {
  const dfm_setting_row *row;
  for (size_t i = 0; (row = dfm_setting_row_at(i)); i++) {
    if (base->checkpoint || !is_free(row->setting.name)) DFM_TRY(check_setting(recipe, base, row->setting.name, error));
  }
  DFM_TRY(check_overrides(recipe, base, recipe, error));
  return check_overrides(recipe, base, base->recipe, error);
}

dfm_status dfm_recipe_check_resume(const dfm_recipe *recipe, const char *saved_yaml, const char *path,
                                   dfm_error *error) {
  dfm_recipe *saved;
  DFM_TRY(dfm_recipe_create(&saved, error));
  dfm_status status = dfm_recipe_parse(saved, saved_yaml, path, error);
  if (status == DFM_OK) status = check_same(recipe, &(base_recipe){saved, path}, error);
  dfm_recipe_free(saved);
  return status;
}

dfm_status dfm_recipe_check_from(const dfm_recipe *recipe, const dfm_model *model, dfm_error *error) {
  DFM_TRY(check_same(recipe, &(base_recipe){.recipe = model->recipe}, error));
  if (model->state_steps > 0) DFM_TRY(check_optimizer(recipe, model->recipe, error));
  if (recipe->optimizer.name != DFM_SOLVER_LBFGS) return DFM_OK;
  return dfm_fail(
      error, DFM_ERROR_VALUE,
      "optimizer.name is lbfgs, which finds the optimum of the rows it is given wherever it starts, so there "
      "is nothing to go on from; train on all rows, or set optimizer.name to adam");
}

/* A share that is what it would be of itself may go on following the other one. */
static bool follows(const dfm_recipe *recipe, double otherwise) {
  return recipe->data.valid_random == (recipe->data.valid_split > 0 ? 0 : otherwise);
}

dfm_status dfm_recipe_adopt_model(dfm_recipe *recipe, const dfm_model *model, dfm_error *error) {
  dfm_recipe *plain, *copy;
  DFM_TRY(dfm_recipe_create(&plain, error));
  const dfm_status status = dfm_recipe_copy(model->recipe, &copy, error);
  if (status == DFM_OK) {
    const dfm_recipe old = *recipe;
    copy->is_valid_random_set = !follows(copy, plain->data.valid_random);
    *recipe = *copy;
    *copy = old;
    dfm_recipe_free(copy);
  }
  dfm_recipe_free(plain);
  return status;
}
