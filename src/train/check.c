/* Checks: a recipe, options and the fields that rows will have come in; what training would refuse, whatever the rows
 * are, is refused. */
#include <unistd.h>

#include "base/file.h"
#include "model/read.h"
#include "train/run.h"

dfm_status dfm_run_check(const dfm_recipe *recipe, const dfm_run_options *options, dfm_error *error) {
  const bool is_lbfgs = recipe->optimizer.name == DFM_SOLVER_LBFGS;
  if (is_lbfgs && options->keep_state) {
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "optimizer.name is lbfgs, which has no state to keep; leave keep_state out, or train with adam");
  }
  if (is_lbfgs && options->is_progressive) {
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "optimizer.name is lbfgs, which sees all rows at once, so none can be scored before it is trained "
                    "on; leave progressive validation out, or set optimizer.name to adam");
  }
  if (is_lbfgs && options->init_path) {
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "initial weights (%s) do not change what lbfgs finds; leave them out, or train with adam",
                    options->init_path);
  }
  if (options->init_path && options->from) {
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "both a model to go on from and initial weights (%s) were given; leave one of them out",
                    options->init_path);
  }
  return DFM_OK;
}

dfm_status dfm_run_check_net(const dfm_recipe *recipe, const dfm_net *net, const dfm_encoder *encoder,
                             dfm_error *error) {
  for (int f = 0; f < net->F && recipe->optimizer.name == DFM_SOLVER_LBFGS; f++) {
    if (!net->field[f].pools_max) continue; /* the largest of some weights has corners, where L-BFGS stops */
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "list '%s' is pooled by max, which lbfgs cannot solve; pool it by sum or mean, or set "
                    "optimizer.name to adam",
                    encoder->category[f].name);
  }
  return DFM_OK;
}

/* ---- before rows are read */

static dfm_status check_readable(const char *path, dfm_error *error) {
  int fd;
  DFM_TRY(dfm_file_open(path, &fd, error));
  close(fd);
  return DFM_OK;
}

/* The model of these fields, and the files that their vectors start from. */
static dfm_status check_fields(const dfm_recipe *recipe, const dfm_encoder *encoder, dfm_error *error) {
  dfm_net *net;
  DFM_TRY(dfm_net_build(recipe, encoder, &net, error));
  dfm_status status = dfm_run_check_net(recipe, net, encoder, error);
  for (int f = 0; f < encoder->F && status == DFM_OK; f++) {
    const char *path = encoder->schema->columns[encoder->category[f].column].initial;
    if (path && net->table[f].width > 0) status = check_readable(path, error);
  }
  dfm_net_free(net);
  return status;
}

static dfm_status check_initial_weights(const char *path, dfm_error *error) {
  dfm_st_file *file;
  DFM_TRY(dfm_st_open(path, &file, error));
  dfm_st_close(file);
  return DFM_OK;
}

dfm_status dfm_trainer_check(const dfm_recipe *recipe, const dfm_input *train_input, const dfm_schema *schema,
                             const dfm_run_options *options, dfm_error *error) {
  dfm_encoder *encoder;
  DFM_TRY(dfm_recipe_check(recipe, error));
  DFM_TRY(dfm_run_check(recipe, options, error));
  if (options->init_path) DFM_TRY(check_initial_weights(options->init_path, error));
  if (options->resume_path) DFM_TRY(dfm_checkpoint_check(recipe, options->resume_path, error));
  if (options->from) return dfm_recipe_check_from(recipe, options->from, error);
  DFM_TRY(dfm_read_fields(train_input, schema, recipe, &encoder, error));
  const dfm_status status = check_fields(recipe, encoder, error);
  dfm_encoder_release(encoder);
  return status;
}
