/* Precision: what a recipe asks for, a net and a kernel come in; what training multiplies in goes out. */
#ifndef DFM_TRAIN_PRECISION_H
#define DFM_TRAIN_PRECISION_H

#include "layer/layer.h"
#include "model/recipe.h"

/* float32 or bf16. auto is bf16 where the CPU has it; a net without a dense layer has nothing to multiply so. */
dfm_precision dfm_precision_choose(const dfm_recipe *recipe, const dfm_net *net, const dfm_kernel *kernel);

/* The same for people, with the reason where it is not what was asked for: "float32 (...)". */
const char *dfm_precision_explain(dfm_precision wanted, const dfm_net *net, const dfm_kernel *kernel);

#endif
