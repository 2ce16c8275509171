/* Factorization machine (Rendle, ICDM 2010): logit = linear(x) + fm(x). */
#include "model/net_build.h"

static dfm_status build(dfm_net *net, const dfm_recipe *recipe, dfm_error *error) {
  DFM_TRY(dfm_branch_linear(net, recipe, error));
  return dfm_branch_fm(net, recipe, error);
}

const dfm_model_kind dfm_model_fm = {"fm", "factorization machine (Rendle 2010)", DFM_INTO_LINEAR | DFM_INTO_FM, false,
                                     build};
