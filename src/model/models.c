/* The table of models: a name comes in, the model's row goes out. */
#include <stdio.h>
#include <string.h>

#include "model/net_build.h"

static const dfm_model_kind *const models[] = {&dfm_model_lr, &dfm_model_fm, &dfm_model_ffm, &dfm_model_deepfm};
enum { N_MODELS = sizeof models / sizeof *models };

const dfm_model_kind *dfm_model_kind_at(size_t i) {
  return i < N_MODELS ? models[i] : NULL;
}

dfm_status dfm_model_kind_find(const char *name, const dfm_model_kind **kind, dfm_error *error) {
  const char *names[N_MODELS];
  char all[256] = "";
  for (size_t i = 0; i < N_MODELS; i++) {
    names[i] = models[i]->name;
    if (strcmp(models[i]->name, name) == 0) {
      *kind = models[i];
      return DFM_OK;
    }
  }
  for (size_t i = 0; i < N_MODELS; i++) {
    const size_t at = strlen(all);
    snprintf(all + at, sizeof all - at, "%s%s", i ? ", " : "", names[i]);
  }
  const char *nearest = dfm_nearest(name, names, N_MODELS);
  char shown[DFM_SHOW_BYTES];
  return dfm_fail(error, DFM_ERROR_VALUE, "there is no model '%s'; the models are %s%s%s%s",
                  dfm_show(shown, name, strlen(name)), all, nearest ? "; did you mean '" : "", nearest ? nearest : "",
                  nearest ? "'?" : "");
}
