/* Scorer: a model and encoded rows come in; probabilities go out. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "layer/predictor.h"
#include "model/model.h"

struct dfm_scorer {
  const dfm_model *model;
  const dfm_kernel *kernel;
  dfm_plain_rows *rows; /* (F) of the model's tables */
  bool is_bf16;
  dfm_pool *pool;
  dfm_predictor *predictor;
  int64_t *row; /* (DFM_SCAN_ROWS) of a piece of the text */
};

static dfm_status create_predictor(dfm_scorer *scorer, dfm_error *error) {
  const dfm_model *model = scorer->model;
  const dfm_net *net = model->net;
  DFM_TRY(dfm_alloc(&scorer->rows, (size_t)net->F, sizeof *scorer->rows, error));
  for (int f = 0; f < net->F; f++)
    scorer->rows[f] = (dfm_plain_rows){model->table[f], (size_t)(net->table[f].first + net->table[f].width)};
  const dfm_row_source rows = {model, dfm_model_row, scorer->rows};
  DFM_TRY(dfm_kernel_pick(&scorer->kernel, error));
  DFM_TRY(
      dfm_predictor_create(model->net, scorer->kernel, model->weight, &rows, scorer->pool, &scorer->predictor, error));
  return dfm_predictor_fix(scorer->predictor, false, scorer->pool, error);
}

static dfm_status check_rows(const dfm_model *model, const dfm_dataset *dataset, int64_t first, int64_t n,
                             dfm_error *error) {
  if (dfm_dataset_encoder(dataset) != model->encoder) {
    return dfm_fail(error, DFM_ERROR_MISMATCH,
                    "the rows were not read with this model; read them with dfm_dataset_read");
  }
  if (first < 0 || n < 0 || first > dfm_dataset_rows(dataset) - n) {
    return dfm_fail(error, DFM_ERROR_VALUE, "rows %lld to %lld were asked of a dataset of %lld rows", (long long)first,
                    (long long)(first + n), (long long)dfm_dataset_rows(dataset));
  }
  return DFM_OK;
}

/* Numbers far out of what training saw overflow in the model's sums, and what comes out is no number. */
static dfm_status check_probabilities(const dfm_dataset *dataset, const float *probability, int64_t first, int64_t n,
                                      dfm_error *error) {
  for (int64_t i = 0; i < n; i++) {
    if (!isnan(probability[i])) continue;
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "row %lld has no probability: its numbers are so large that the model's sums overflow; correct the "
                    "row, or train with data.transform log",
                    (long long)(dfm_dataset_before(dataset) + first + i + 1));
  }
  return DFM_OK;
}

dfm_status dfm_scorer_create(const dfm_model *model, int threads, dfm_scorer **out, dfm_error *error) {
  dfm_scorer *scorer = NULL;
  dfm_status status;
  DFM_TRY(dfm_alloc(&scorer, 1, sizeof *scorer, error));
  scorer->model = model;
  DFM_TRY_GOTO(status, dfm_pool_create(threads, &scorer->pool, error), fail);
  DFM_TRY_GOTO(status, create_predictor(scorer, error), fail);
  DFM_TRY_GOTO(status, dfm_alloc(&scorer->row, DFM_SCAN_ROWS, sizeof *scorer->row, error), fail);
  *out = scorer;
  return DFM_OK;
fail:
  dfm_scorer_free(scorer);
  return status;
}

dfm_status dfm_scorer_set_precision(dfm_scorer *scorer, const char *precision, bool *is_emulated, dfm_error *error) {
  const bool has_bf16 = dfm_kernel_has_bf16(scorer->kernel);
  char shown[DFM_SHOW_BYTES];
  bool is_bf16 = false;
  if (strcmp(precision, "auto") == 0)
    is_bf16 = has_bf16;
  else if (strcmp(precision, "bf16") == 0)
    is_bf16 = true;
  else if (strcmp(precision, "float32") != 0)
    return dfm_fail(error, DFM_ERROR_VALUE, "precision is '%s'; use float32, bf16 or auto",
                    dfm_show(shown, precision, strlen(precision)));
  if (is_emulated) *is_emulated = is_bf16 && !has_bf16 && dfm_net_has_dense(scorer->model->net);
  if (is_bf16 == scorer->is_bf16) return DFM_OK;
  DFM_TRY(dfm_predictor_fix(scorer->predictor, is_bf16, scorer->pool, error));
  scorer->is_bf16 = is_bf16;
  return DFM_OK;
}

dfm_status dfm_scorer_score(dfm_scorer *scorer, const dfm_dataset *dataset, int64_t first, int64_t n,
                            float *probability, dfm_error *error) {
  DFM_TRY(check_rows(scorer->model, dataset, first, n, error));
  DFM_TRY(dfm_predictor_run(scorer->predictor, scorer->pool, dataset, first, n, probability, error));
  return check_probabilities(dataset, probability, first, n, error);
}

/* Rows [first, first + n) of the text, at most DFM_SCAN_ROWS. */
static dfm_status score_piece(dfm_scorer *scorer, const dfm_dataset *dataset, int64_t first, int64_t n,
                              float *probability, dfm_error *error) {
  dfm_row_range range[2];
  DFM_TRY(dfm_dataset_text_order(dataset, first, n, scorer->row, range, error));
  for (int k = 0; k < 2; k++) {
    const int64_t next = range[k].first + range[k].n, left = dfm_dataset_rows(dataset) - next;
    dfm_dataset_ahead(dataset, next, left < range[k].n ? left : range[k].n);
  }
  DFM_TRY(dfm_predictor_run_rows(scorer->predictor, scorer->pool, dataset, scorer->row, n, probability, error));
  for (int k = 0; k < 2; k++) dfm_dataset_spent(dataset, range[k].first, range[k].n);
  return check_probabilities(dataset, probability, first, n, error);
}

dfm_status dfm_scorer_score_text(dfm_scorer *scorer, const dfm_dataset *dataset, int64_t first, int64_t n,
                                 float *probability, dfm_error *error) {
  DFM_TRY(check_rows(scorer->model, dataset, first, n, error));
  for (int64_t at = 0; at < n; at += DFM_SCAN_ROWS) {
    const int64_t left = n - at;
    DFM_TRY(
        score_piece(scorer, dataset, first + at, left < DFM_SCAN_ROWS ? left : DFM_SCAN_ROWS, probability + at, error));
  }
  return DFM_OK;
}

void dfm_scorer_free(dfm_scorer *scorer) {
  if (!scorer) return;
  dfm_predictor_free(scorer->predictor);
  dfm_pool_free(scorer->pool);
  free(scorer->row);
  free(scorer->rows);
  free(scorer);
}
