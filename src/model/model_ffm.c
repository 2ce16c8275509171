/* Field-aware factorization machine (Juan, Zhuang, Chin, Lin, RecSys 2016): logit = linear(x) + ffm(x). */
#include "model/net_build.h"

static dfm_status build(dfm_net *net, const dfm_recipe *recipe, dfm_error *error) {
  DFM_TRY(dfm_branch_linear(net, recipe, error));
  return dfm_branch_ffm(net, recipe, error);
}

const dfm_model_kind dfm_model_ffm = {"ffm", "field-aware factorization machine (Juan et al. 2016)",
                                      DFM_INTO_LINEAR | DFM_INTO_FM, true, build};
