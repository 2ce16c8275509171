/* Precision: the recipe's choice meets the net's layers and the CPU. Never by timing: the same machine chooses the
 * same. */
#include "train/precision.h"

#include "train/run.h"

dfm_precision dfm_precision_choose(const dfm_recipe *recipe, const dfm_net *net, const dfm_kernel *kernel) {
  if (!dfm_net_has_dense(net)) return DFM_PRECISION_FLOAT32;
  if (recipe->precision != DFM_PRECISION_AUTO) return (dfm_precision)recipe->precision;
  return dfm_kernel_has_bf16(kernel) ? DFM_PRECISION_BF16 : DFM_PRECISION_FLOAT32;
}

const char *dfm_precision_explain(dfm_precision wanted, const dfm_net *net, const dfm_kernel *kernel) {
  const bool has_bf16 = dfm_kernel_has_bf16(kernel);
  if (wanted == DFM_PRECISION_FLOAT32) return "float32";
  if (!dfm_net_has_dense(net)) return "float32 (the model has no dense layers, which bf16 is for)";
  if (wanted == DFM_PRECISION_AUTO)
    return has_bf16 ? "bf16 (auto: this CPU has it; weights and sums are float32)"
                    : "float32 (auto: this CPU, kernel or build has no bf16)";
  return has_bf16 ? "bf16 (weights and sums are float32)" : "bf16 (emulated: this CPU, kernel or build has none)";
}

const char *dfm_trainer_precision(const dfm_trainer *trainer, bool *is_emulated) {
  const bool is_bf16 = trainer->recipe->precision == DFM_PRECISION_BF16;
  if (is_emulated) *is_emulated = is_bf16 && !dfm_kernel_has_bf16(trainer->kernel);
  return is_bf16 ? "bf16" : "float32";
}
