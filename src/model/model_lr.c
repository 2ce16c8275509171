/* Logistic regression: logit = linear(x). */
#include "model/net_build.h"

static dfm_status build(dfm_net *net, const dfm_recipe *recipe, dfm_error *error) {
  return dfm_branch_linear(net, recipe, error);
}

const dfm_model_kind dfm_model_lr = {"lr", "logistic regression", DFM_INTO_LINEAR, false, build};
