/* Weights of a stepper: its rows are read, and those of a file set as the ones to begin with. */
#include "model/model.h"
#include "train/step.h"

static const float *table_row(const void *context, int f, uint32_t id, float *scratch) {
  return dfm_table_read(context, f, id, scratch);
}

dfm_row_source dfm_stepper_rows(const dfm_stepper *stepper) {
  return (dfm_row_source){stepper->tables, table_row, NULL};
}

/* Those tensors of the file that the model has, `*found` of them. */
static dfm_status read_preset(dfm_stepper *stepper, const dfm_st_file *file, const char *path, int *found,
                              dfm_error *error) {
  DFM_TRY(dfm_model_read_weights(file, path, stepper->net, false, stepper->weight, found, error));
  for (int f = 0; f < stepper->net->F; f++) {
    const float *table;
    DFM_TRY(dfm_model_read_table(file, path, stepper->net, stepper->encoder, f, false, &table, error));
    for (uint32_t id = 0; table && id < stepper->tables->table[f].V; id++) {
      dfm_table_set(stepper->tables, f, id, table + (size_t)id * (size_t)stepper->tables->table[f].n);
    }
    *found += table != NULL;
  }
  return DFM_OK;
}

static dfm_status init_from(dfm_stepper *stepper, const dfm_st_file *file, const char *path, dfm_error *error) {
  int found = 0;
  dfm_error inner;
  DFM_TRY(dfm_st_verify(file, error));
  const dfm_status status = read_preset(stepper, file, path, &found, &inner);
  if (status == DFM_ERROR_MISMATCH) {
    return dfm_fail(
        error, status,
        "%s; train on the rows that it was made from with its settings (model, embedding.width, dnn.hidden), "
        "or leave this tensor out of the initial weights",
        inner.message);
  }
  if (status != DFM_OK) return dfm_fail(error, status, "%s", inner.message);
  if (found > 0) return DFM_OK;
  return dfm_fail(error, DFM_ERROR_MISMATCH,
                  "%s has no tensor that this model has; it needs names such as 'table.FIELD' or '%s'", path,
                  stepper->net->param[0].name);
}

dfm_status dfm_stepper_init_from(dfm_stepper *stepper, const char *path, dfm_error *error) {
  dfm_st_file *file = NULL;
  DFM_TRY(dfm_st_open(path, &file, error));
  const dfm_status status = init_from(stepper, file, path, error);
  dfm_st_close(file);
  return status;
}
