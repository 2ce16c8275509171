/* libsvm, and with it svmlight and libFM: "label index:value ...". All pairs are the items of one list with weights. */
#include "data/pairs.h"
#include "data/schema_guess.h"
#include "data/source.h"

static const char FEATURES[] = "features";

static dfm_status read_pair(dfm_row *row, int f, bool has_weights, dfm_cell word, dfm_error *error) {
  const dfm_cell whole = word;
  dfm_cell index;
  bool is_last;
  float value = 1;
  if (!dfm_cut_whole(&word, &index, &is_last)) {
    row->block->reason = DFM_BAD_SHAPE;
    return dfm_pair_fail(row, &whole, "is no index:value; write a whole number, a colon and a number", error);
  }
  row->block->reason = DFM_BAD_NUMBER;
  if (!is_last && dfm_pair_value(&word, &value) != DFM_NUMBER_OK)
    return dfm_pair_fail(row, &whole, "has a value that is no finite number; write one behind the colon", error);
  if (value != 1 && !has_weights) {
    return dfm_row_fail(row, &whole, row->encoder->category[f].name, "has a value other than 1",
                        "set `weights: \":\"` for the column in the schema, or write 1", error);
  }
  return dfm_row_put_weighted(row, f, index, value, error);
}

static dfm_status read_row(dfm_row *row, dfm_error *error) {
  const bool has_weights = dfm_encoder_has_weights(row->encoder, 0);
  dfm_pairs words = dfm_pairs_of(row->span->bytes, row->span->n);
  dfm_cell word;
  dfm_row_begin(row);
  DFM_TRY(dfm_pairs_label(row, &words, error));
  while (dfm_next_word(&words, &word))
    if (!dfm_is_query(&word)) DFM_TRY(read_pair(row, 0, has_weights, word, error));
  return dfm_row_end(row, error);
}

static dfm_likeness likeness(const char *line, size_t n) {
  return dfm_pairs_likeness(line, n, 2);
}

static dfm_status guess(dfm_guess *g, dfm_error *error) {
  dfm_column *column;
  DFM_TRY(dfm_pairs_guess(g, NULL, NULL, error));
  DFM_TRY(dfm_schema_add(g->schema, FEATURES, DFM_KIND_LIST, &column, error));
  column->settings.weights = ':';
  column->settings.pool = DFM_POOL_SUM;
  column->settings.within = 1;
  return dfm_copy_text(&column->reason, "all pairs index:value of a row", error);
}

static dfm_status check(const dfm_schema *schema, size_t *at, dfm_error *error) {
  size_t n = 0;
  DFM_TRY(dfm_pairs_check(schema, at, error));
  for (size_t i = 0; i < schema->n_columns; i++) {
    const dfm_kind kind = schema->columns[i].kind;
    if (kind == DFM_KIND_LABEL) continue;
    *at = i;
    if (kind != DFM_KIND_LIST || n++ > 0) break;
  }
  if (n == 1) return DFM_OK;
  return dfm_fail(error, DFM_ERROR_VALUE, "libsvm rows are a label and one list of pairs; give %s the kind list",
                  n == 0 ? "one column" : "one column only");
}

const dfm_format dfm_format_libsvm = {.name = "libsvm",
                                      .title = "libsvm",
                                      .endings = ".libsvm .svm .svmlight .libfm ",
                                      .comment = "#",
                                      .likeness = likeness,
                                      .guess = guess,
                                      .check = check,
                                      .open = dfm_pairs_open,
                                      .read = read_row};
