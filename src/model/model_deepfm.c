/* DeepFM (Guo, Tang, Ye, Li, He, IJCAI 2017): logit = linear(x) + fm(x) + dnn(x), fm and dnn on the same embeddings. */
#include "model/net_build.h"

static dfm_status build(dfm_net *net, const dfm_recipe *recipe, dfm_error *error) {
  DFM_TRY(dfm_branch_linear(net, recipe, error));
  if (net->n_pairs > 0) DFM_TRY(dfm_branch_fm(net, recipe, error)); /* without such fields there are no pairs to add */
  return dfm_branch_dnn(net, recipe, error);
}

const dfm_model_kind dfm_model_deepfm = {"deepfm", "DeepFM (Guo et al. 2017)",
                                         DFM_INTO_LINEAR | DFM_INTO_FM | DFM_INTO_DNN, false, build};
