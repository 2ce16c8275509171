/* Summary: a net and its fields come in; a table of tables, layers, shapes and parameter counts goes out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "model/net_build.h"

enum { NAME_WIDTH = 34, SHAPE_WIDTH = 26, COUNT_WIDTH = 14 };

/* 1234567 -> "1,234,567" */
static const char *with_commas(char out[32], int64_t value) {
  char digits[32];
  const int n = snprintf(digits, sizeof digits, "%lld", (long long)value);
  int at = 0;
  for (int i = 0; i < n; i++) {
    if (i > 0 && (n - i) % 3 == 0) out[at++] = ',';
    out[at++] = digits[i];
  }
  out[at] = '\0';
  return out;
}

static dfm_status rule(dfm_text *text, char c, dfm_error *error) {
  char line[NAME_WIDTH + SHAPE_WIDTH + COUNT_WIDTH + 2];
  memset(line, c, sizeof line - 1);
  line[sizeof line - 1] = '\0';
  return dfm_text_printf(text, error, "%s\n", line);
}

static dfm_status row(dfm_text *text, const char *name, const char *kind, const char *shape, int64_t count,
                      dfm_error *error) {
  char label[DFM_SHOW_BYTES + 64], number[32], shown[DFM_SHOW_BYTES];
  snprintf(label, sizeof label, "%s (%s)", dfm_show(shown, name, strlen(name)), kind);
  return dfm_text_printf(text, error, "%-*s%-*s%*s\n", NAME_WIDTH, label, SHAPE_WIDTH, shape, COUNT_WIDTH,
                         with_commas(number, count));
}

static dfm_status table_rows(dfm_text *text, const dfm_net *net, const dfm_encoder *encoder, int64_t *fixed,
                             dfm_error *error) {
  for (int f = 0; f < net->F; f++) {
    const int first = net->table[f].first, K = net->table[f].width;
    const uint32_t V = dfm_encoder_rows(encoder, f);
    char shape[64], number[32];
    if (first + K == 0) continue;
    if (first && K)
      snprintf(shape, sizeof shape, "%s x (1 + %d)", with_commas(number, V), K);
    else
      snprintf(shape, sizeof shape, "%s x %d", with_commas(number, V), first + K);
    const char *kind = encoder->category[f].settings.trainable ? "Embedding" : "Embedding, frozen";
    DFM_TRY(row(text, encoder->category[f].name, kind, shape, (int64_t)V * (first + K), error));
    if (!encoder->category[f].settings.trainable) *fixed += (int64_t)V * (first + K);
  }
  return DFM_OK;
}

static const char *activation_name(dfm_activation activation) {
  static const char *const names[] = {"", ", relu", ", sigmoid", ", tanh"};
  return names[activation];
}

static dfm_status layer_row(dfm_text *text, const dfm_net *net, const dfm_layer *layer, int64_t *fixed,
                            dfm_error *error) {
  char kind[64], shape[64];
  int64_t n = 0;
  for (int i = 0; i < DFM_LAYER_PARAMS; i++) {
    if (layer->param[i] < 0) continue;
    const dfm_param *param = &net->param[layer->param[i]];
    n += (int64_t)param->n;
    if (param->is_statistic) *fixed += (int64_t)param->n;
  }
  snprintf(kind, sizeof kind, "%s%s", layer->kind->name, activation_name(layer->activation));
  if (layer->kind == &dfm_layer_dropout) snprintf(kind, sizeof kind, "Dropout %g", (double)layer->rate);
  snprintf(shape, sizeof shape, "(B, %d)", layer->n_out);
  return row(text, layer->name, kind, shape, n, error);
}

static dfm_status write_summary(dfm_text *text, const dfm_net *net, const dfm_recipe *recipe,
                                const dfm_encoder *encoder, dfm_error *error) {
  const dfm_model_kind *kind;
  int64_t fixed = 0, frozen = 0, values = 0;
  char total[32], counts[3][32];
  DFM_TRY(dfm_model_kind_find(recipe->model, &kind, error));
  for (int f = 0; f < encoder->F; f++) values += (int64_t)dfm_encoder_values(encoder, f);
  DFM_TRY(dfm_text_printf(text, error, "Model: %s, %s\n", kind->name, kind->title));
  DFM_TRY(rule(text, '-', error));
  DFM_TRY(dfm_text_printf(text, error, "%-*s%-*s%*s\n", NAME_WIDTH, "Layer (kind)", SHAPE_WIDTH, "Shape", COUNT_WIDTH,
                          "Parameters"));
  DFM_TRY(rule(text, '=', error));
  DFM_TRY(table_rows(text, net, encoder, &frozen, error));
  for (int i = 0; i < net->n_layers; i++) DFM_TRY(layer_row(text, net, &net->layer[i], &fixed, error));
  DFM_TRY(rule(text, '=', error));
  DFM_TRY(dfm_text_printf(text, error, "Total parameters: %s",
                          with_commas(total, dfm_net_parameters(net, encoder) + fixed + frozen)));
  if (fixed > 0)
    DFM_TRY(dfm_text_printf(text, error, " (%s of them running statistics, not trained)", with_commas(total, fixed)));
  if (frozen > 0) DFM_TRY(dfm_text_printf(text, error, " (%s of them frozen)", with_commas(total, frozen)));
  return dfm_text_printf(text, error, "\nFields: %s categor%s with %s value%s, %s number%s\n",
                         with_commas(counts[0], encoder->F), encoder->F == 1 ? "y" : "ies",
                         with_commas(counts[1], values), values == 1 ? "" : "s", with_commas(counts[2], encoder->D),
                         encoder->D == 1 ? "" : "s");
}

dfm_status dfm_net_summary(const dfm_net *net, const dfm_recipe *recipe, const dfm_encoder *encoder, char **out,
                           dfm_error *error) {
  dfm_text text = {0};
  const dfm_status status = write_summary(&text, net, recipe, encoder, error);
  if (status != DFM_OK) {
    free(text.bytes);
    return status;
  }
  *out = text.bytes;
  return DFM_OK;
}
