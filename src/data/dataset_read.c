/* Reading of rows as an encoder that is settled encodes them: text comes in, a dataset in its order goes out.
 */
#include <math.h>
#include <string.h>

#include "data/dataset_file.h"
#include "data/dataset_read.h"
#include "data/vocabulary.h"

dfm_status dfm_storage_for(const dfm_source *source, const dfm_read_options *options, bool is_drawn,
                           dfm_storage **storage, dfm_error *error) {
  const dfm_encoder *encoder = source->encoder;
  const dfm_storage_has has = {.label = source->label_at != DFM_ABSENT,
                               .weight = source->weight_at != DFM_ABSENT,
                               .truth = source->truth_at != DFM_ABSENT,
                               .file_row = is_drawn};
  return dfm_storage_create(encoder, has, options ? options->spill_folder : NULL, storage, error);
}

dfm_status dfm_storage_add_row(dfm_storage *storage, const dfm_source *source, dfm_error *error) {
  const int64_t row = storage->rows;
  DFM_TRY(dfm_storage_add(storage, error));
  if (storage->D > 0) memcpy(dfm_storage_numbers(storage, row), source->number, (size_t)storage->D * sizeof(float));
  if (storage->has.label) {
    storage->label[row] = source->label;
    storage->has_label_gap |= isnan(source->label);
  }
  if (storage->has.weight) storage->weight[row] = source->weight;
  if (storage->has.truth) storage->truth[row] = source->truth;
  return DFM_OK;
}

dfm_status dfm_fail_no_rows(const dfm_source *source, dfm_error *error) {
  const bool is_one = dfm_input_files(source->input) == 1;
  return dfm_fail(error, DFM_ERROR_FORMAT,
                  is_one ? "%s has a header but no rows; check that it was written to its end"
                         : "%s have headers but no rows; check that they were written to their ends",
                  dfm_input_name(source->input));
}

/* The id of a value of field f; an unknown one is counted, or an error. */
static dfm_status encode_value(const dfm_source *source, int f, uint64_t hash, const dfm_cell *cell, uint32_t *id,
                               dfm_cell_counts *counts, dfm_error *error) {
  const dfm_encoder *encoder = source->encoder;
  const bool is_absent = cell->bytes == NULL;
  const uint32_t first = dfm_encoder_first(encoder, f);
  const uint64_t value =
      is_absent ? UINT64_MAX
                : dfm_vocabulary_find_hashed(dfm_encoder_vocabulary(encoder, f), hash, cell->bytes, cell->n);
  *id = value == UINT64_MAX ? (first == 1 ? 0 : DFM_ID_NONE) : (uint32_t)value + first;
  if (value != UINT64_MAX) return DFM_OK;
  if (encoder->category[f].settings.unknown == DFM_UNKNOWN_ERROR && !is_absent)
    return dfm_source_unknown(source, f, error);
  counts[f].unknown++;
  return DFM_OK;
}

static dfm_status encode_list(const dfm_source *source, int f, dfm_storage *storage, dfm_cell_counts *counts,
                              dfm_error *error) {
  const dfm_items *items = &source->items[f];
  uint64_t at;
  counts[f].missing += items->n == 0;
  DFM_TRY(dfm_storage_add_items(storage, f, items->n, &at, error));
  dfm_list *list = &storage->list[f];
  for (size_t i = 0; i < items->n; i++, at++) {
    const dfm_item *item = &items->item[i];
    DFM_TRY(encode_value(source, f, item->hash, &item->value, &list->ids[at], counts, error));
    if (list->weights) list->weights[at] = item->weight;
  }
  return DFM_OK;
}

/* The ids of the source's row, the storage's last; the row's unknown and empty cells are counted. */
static dfm_status encode_row(const dfm_source *source, dfm_storage *storage, dfm_cell_counts *counts,
                             dfm_error *error) {
  const dfm_encoder *encoder = source->encoder;
  uint32_t *ids = dfm_storage_ids(storage, storage->rows - 1);
  for (int stage = 0; stage < 3; stage++) {
    for (int f = 0; f < encoder->F; f++)
      dfm_vocabulary_prefetch(dfm_encoder_vocabulary(encoder, f), source->hash[f], stage);
  }
  for (int f = 0; f < encoder->F; f++) {
    const dfm_cell *cell = &source->category[f];
    if (encoder->category[f].is_list) {
      DFM_TRY(encode_list(source, f, storage, counts, error));
      continue;
    }
    counts[f].missing += cell->bytes && cell->n == 0;
    DFM_TRY(encode_value(source, f, source->hash[f], cell, &ids[f], counts, error));
  }
  return DFM_OK;
}

static dfm_status read_rows(dfm_source *source, dfm_dataset *dataset, dfm_error *error) {
  dfm_storage *storage = dataset->storage;
  for (;;) {
    bool is_row;
    DFM_TRY(dfm_source_next(source, &is_row, error));
    if (!is_row) break;
    DFM_TRY(dfm_storage_add_row(storage, source, error));
    DFM_TRY(encode_row(source, storage, dataset->counts, error));
  }
  if (storage->rows == 0) return dfm_fail_no_rows(source, error);
  dataset->rows = storage->rows;
  dfm_dataset_count(dataset);
  return DFM_OK;
}

dfm_status dfm_dataset_read_encoded(dfm_input *input, dfm_encoder *encoder, const dfm_read_options *options,
                                    dfm_dataset **dataset, dfm_error *error) {
  const char *file = dfm_input_dataset(input);
  if (file) return dfm_dataset_file_read(file, encoder, options, dataset, error);
  dfm_source source;
  dfm_storage *storage = NULL;
  dfm_dataset *made = NULL;
  DFM_TRY(dfm_source_open(input, encoder, options, &source, error));
  dfm_status status = dfm_storage_for(&source, options, false, &storage, error);
  if (status == DFM_OK) status = dfm_dataset_view(encoder, storage, 0, 0, &made, error);
  if (status == DFM_OK) status = read_rows(&source, made, error);
  dfm_storage_release(storage);
  dfm_source_close(&source);
  if (status == DFM_OK) {
    *dataset = made;
  } else {
    dfm_dataset_free(made);
  }
  return status;
}
