/* Sources of dataset files: a file whose vocabularies are not the encoder's comes in; its rows are read in the order of
 * their text, each cell as the value that its id stands for. So they become what the text would have become. */
#include <math.h>
#include <stdlib.h>

#include "data/category.h"
#include "data/dataset_file.h"
#include "data/source.h"
#include "data/storage.h"

struct dfm_file_rows {
  dfm_dataset *rows;      /* by the file's encoder */
  int *category, *number; /* (F), (D) of the encoder that is read for: the file's fields of these names; -1: none */
  bool *is_transformed;   /* (F) cells whose values have the field's transform behind them */
  int64_t at;             /* rows that were at hand before */
  int64_t *row;           /* (capacity) where the rows at hand lie, */
  dfm_row_range range[2]; /* among these */
};

/* ---- columns */

static dfm_status fail_column(const dfm_source *source, const char *name, const char *problem, const char *remedy,
                              dfm_error *error) {
  char shown[DFM_SHOW_BYTES];
  return dfm_fail(error, DFM_ERROR_MISMATCH, "%s %s '%s'; %s, or give the text", dfm_source_name(source), problem,
                  dfm_show(shown, name, strlen(name)), remedy);
}

static dfm_status fail_schema(const dfm_source *source, const char *name, dfm_error *error) {
  return fail_column(source, name, "was encoded by another schema than is read by here; they differ in column",
                     "encode its rows by the same schema", error);
}

static dfm_status fail_lost(const dfm_source *source, const char *name, dfm_error *error) {
  return fail_column(source, name, "has buckets in place of values in column",
                     "encode its rows without hash and buckets there", error);
}

static dfm_status fail_absent(const dfm_source *source, const char *name, dfm_error *error) {
  return fail_column(source, name, "has no column", "encode rows that have it", error);
}

/* The file's vocabulary is to have the value of each cell. */
static dfm_status check_values(const dfm_source *source, int from, dfm_error *error) {
  const dfm_dataset *rows = source->file_rows->rows;
  const dfm_category_field *field = &rows->encoder->category[from];
  const dfm_field_settings *settings = &rows->encoder->category[field->table].settings;
  char shown[DFM_SHOW_BYTES];
  if (settings->hash > 0 || settings->buckets > 0) return fail_lost(source, field->name, error);
  if (rows->counts[from].unknown == 0) return DFM_OK;
  return dfm_fail(error, DFM_ERROR_MISMATCH,
                  "%s has lost the values of %lld cells of column '%s', which were unknown when it was encoded; encode "
                  "its rows with data.min_count=1 and data.vocabulary_from=all (rows to be scored: with --like and the "
                  "model), or give the text",
                  dfm_source_name(source), (long long)rows->counts[from].unknown,
                  dfm_show(shown, field->name, strlen(field->name)));
}

static bool is_logged(const dfm_category_field *field) {
  return field->settings.transform == DFM_TRANSFORM_LOG2;
}

/* Whether the file's cells were cut and changed as the field's are, or not changed yet. */
static bool fits(const dfm_category_field *wanted, const dfm_category_field *from) {
  if (wanted->is_list != from->is_list || (is_logged(from) && !is_logged(wanted))) return false;
  return !wanted->is_list ||
         (wanted->settings.separator == from->settings.separator && wanted->settings.weights == from->settings.weights);
}

static dfm_status place_category(dfm_source *source, int f, dfm_error *error) {
  dfm_file_rows *file = source->file_rows;
  const dfm_encoder *encoder = file->rows->encoder;
  const dfm_category_field *wanted = &source->encoder->category[f];
  const dfm_column *column = dfm_schema_column(encoder->schema, wanted->name);
  int from = encoder->F - 1;
  while (from >= 0 && strcmp(encoder->category[from].name, wanted->name) != 0) from--;
  file->category[f] = from;
  if (from < 0 && column && column->kind != DFM_KIND_IGNORE) return fail_schema(source, wanted->name, error);
  if (from < 0) return source->missing_unknown ? DFM_OK : fail_absent(source, wanted->name, error);
  if (!fits(wanted, &encoder->category[from])) return fail_schema(source, wanted->name, error);
  file->is_transformed[f] = is_logged(&encoder->category[from]);
  return check_values(source, from, error);
}

static dfm_status place_number(dfm_source *source, int d, dfm_error *error) {
  dfm_file_rows *file = source->file_rows;
  const dfm_encoder *encoder = file->rows->encoder;
  const char *name = source->encoder->number[d].name;
  const dfm_column *column = dfm_schema_column(encoder->schema, name);
  int from = encoder->D - 1;
  while (from >= 0 && strcmp(encoder->number[from].name, name) != 0) from--;
  file->number[d] = from;
  if (from >= 0) return DFM_OK;
  if (column && column->kind != DFM_KIND_IGNORE) return fail_schema(source, name, error);
  return source->missing_unknown ? DFM_OK : fail_absent(source, name, error);
}

/* The column of a row's own kind; NULL: there is none. */
static const dfm_column *column_of(const dfm_schema *schema, dfm_kind kind) {
  for (size_t i = 0; i < schema->n_columns; i++)
    if (schema->columns[i].kind == kind) return &schema->columns[i];
  return NULL;
}

/* Whether the file has what the encoder's schema has as the label, or the weight; where rows may come without, it is no
 * error that it has not. */
static dfm_status place_own(const dfm_source *source, dfm_kind kind, bool has, bool is_optional, bool *is_there,
                            dfm_error *error) {
  const dfm_column *wanted = column_of(source->encoder->schema, kind);
  const dfm_column *from = column_of(source->file_rows->rows->encoder->schema, kind);
  *is_there = wanted && has;
  if (!wanted || (!has && is_optional)) return DFM_OK;
  if (!has) return fail_absent(source, wanted->name, error);
  return from && strcmp(from->name, wanted->name) == 0 ? DFM_OK : fail_schema(source, wanted->name, error);
}

static bool has_same_words(char *const *a, size_t n_a, char *const *b, size_t n_b) {
  bool is_same = n_a == n_b;
  for (size_t i = 0; i < n_a && is_same; i++) is_same = dfm_words_have(b, n_b, a[i], strlen(a[i]));
  return is_same;
}

/* Whether cells of text mean the same to both, whatever their column. */
bool dfm_schema_reads_alike(const dfm_schema *a, const dfm_schema *b) {
  return a->strip_spaces == b->strip_spaces &&
         (a->label_above == b->label_above || (isnan(a->label_above) && isnan(b->label_above))) &&
         has_same_words(a->missing_words, a->n_missing_words, b->missing_words, b->n_missing_words) &&
         has_same_words(a->positives, a->n_positives, b->positives, b->n_positives) &&
         has_same_words(a->negatives, a->n_negatives, b->negatives, b->n_negatives);
}

static dfm_status place_columns(dfm_source *source, dfm_error *error) {
  const dfm_file_rows *file = source->file_rows;
  const dfm_storage_has has = file->rows->storage->has;
  const dfm_encoder *encoder = source->encoder;
  if (!dfm_schema_reads_alike(file->rows->encoder->schema, encoder->schema))
    return dfm_fail(
        error, DFM_ERROR_MISMATCH,
        "%s was encoded by a schema with other missing words, spaces or labels than is read by here; encode "
        "its rows by the same schema, or give the text",
        dfm_source_name(source));
  for (int f = 0; f < encoder->F; f++) DFM_TRY(place_category(source, f, error));
  for (int d = 0; d < encoder->D; d++) DFM_TRY(place_number(source, d, error));
  DFM_TRY(place_own(source, DFM_KIND_LABEL, has.label, source->label_optional, &source->has_label, error));
  DFM_TRY(place_own(source, DFM_KIND_WEIGHT, has.weight, source->label_optional || source->missing_unknown,
                    &source->has_weight, error));
  source->has_truth = source->truth_name && has.truth;
  if (!source->truth_name || has.truth) return DFM_OK;
  return dfm_fail(error, DFM_ERROR_MISMATCH, "%s has no true probabilities; encode it with --truth %s",
                  dfm_source_name(source), source->truth_name);
}

/* ---- rows */

static dfm_status next(dfm_source *source, dfm_error *error) {
  dfm_file_rows *file = source->file_rows;
  for (int k = 0; k < 2; k++) dfm_dataset_spent(file->rows, file->range[k].first, file->range[k].n);
  file->at += (int64_t)source->n_at_hand;
  const int64_t left = dfm_dataset_rows(file->rows) - file->at;
  source->n_at_hand = left < (int64_t)source->capacity ? (size_t)left : source->capacity;
  return dfm_dataset_text_order(file->rows, file->at, (int64_t)source->n_at_hand, file->row, file->range, error);
}

static size_t text_bytes(const dfm_source *source, size_t row, int n) {
  (void)source;
  (void)row;
  (void)n;
  return 0; /* values lie in the file's vocabularies */
}

/* The value of an id; an unknown one has none. */
static dfm_status put_value(const dfm_row *row, int f, uint32_t id, dfm_value *value, dfm_cell *cell,
                            dfm_error *error) {
  const dfm_file_rows *file = row->source->file_rows;
  const dfm_encoder *encoder = file->rows->encoder;
  const int from = file->category[f];
  const dfm_vocabulary *vocabulary = dfm_encoder_vocabulary(encoder, from);
  const uint64_t i = (uint64_t)id - dfm_encoder_first(encoder, from);
  if (i >= vocabulary->n) {
    return dfm_dataset_file_damaged(file->rows->storage->file, "it has unknown values that it does not count", error);
  }
  const uint64_t start = vocabulary->offsets[i];
  *cell = (dfm_cell){(const char *)vocabulary->bytes + start, vocabulary->offsets[i + 1] - start, 1};
  dfm_value_set(value, cell->bytes, cell->n, (const char *)vocabulary->bytes + vocabulary->offsets[vocabulary->n]);
  return DFM_OK;
}

static dfm_status read_category(int64_t r, int f, dfm_row *row, dfm_error *error) {
  const dfm_file_rows *file = row->source->file_rows;
  dfm_value *value = dfm_block_value(row->block, f, row->block->rows);
  dfm_cell cell;
  DFM_TRY(put_value(row, f, dfm_storage_ids(file->rows->storage, r)[file->category[f]], value, &cell, error));
  if (!file->is_transformed[f]) return dfm_row_finish_category(row, f, value, &cell, error);
  dfm_row_watch(row, f, value, &cell);
  return DFM_OK;
}

static dfm_status read_list(int64_t r, int f, dfm_row *row, dfm_error *error) {
  const dfm_file_rows *file = row->source->file_rows;
  const dfm_list *list = &file->rows->storage->list[file->category[f]];
  for (uint64_t i = list->offsets[r]; i < list->offsets[r + 1]; i++) {
    dfm_value *value;
    float *weight;
    dfm_cell cell;
    DFM_TRY(dfm_block_add_item(row->block, f, &value, &weight, error));
    DFM_TRY(put_value(row, f, list->ids[i], value, &cell, error));
    *weight = list->weights ? list->weights[i] : 1;
    if (!file->is_transformed[f]) DFM_TRY(dfm_row_finish_category(row, f, value, &cell, error));
    if (file->is_transformed[f]) dfm_row_watch(row, f, value, &cell);
  }
  dfm_block_end_list(row->block, f);
  return DFM_OK;
}

static dfm_status read_row(const dfm_source *source, size_t i, dfm_row *row, dfm_error *error) {
  const dfm_file_rows *file = source->file_rows;
  const dfm_storage *storage = file->rows->storage;
  const dfm_encoder *encoder = source->encoder;
  dfm_block *block = row->block;
  const int64_t r = file->row[i];
  float *number = block->number + (size_t)block->rows * (size_t)encoder->D;
  row->number = file->at + (int64_t)i + 1;
  for (int f = 0; f < encoder->F; f++) {
    if (file->category[f] < 0)
      dfm_row_put_absent(row, f);
    else
      DFM_TRY((encoder->category[f].is_list ? read_list : read_category)(r, f, row, error));
  }
  for (int d = 0; d < encoder->D; d++)
    number[d] = file->number[d] < 0 ? NAN : dfm_storage_numbers(storage, r)[file->number[d]];
  if (source->has_label) block->label[block->rows] = storage->label[r];
  if (source->has_weight) block->weight[block->rows] = storage->weight[r];
  if (source->has_truth) block->truth[block->rows] = storage->truth[r];
  return DFM_OK;
}

/* ---- the whole */

static dfm_status open_rows(dfm_source *source, dfm_error *error) {
  const dfm_encoder *encoder = source->encoder;
  dfm_file_rows *file;
  DFM_TRY(dfm_alloc(&source->file_rows, 1, sizeof *source->file_rows, error));
  file = source->file_rows;
  DFM_TRY(dfm_dataset_file_text(dfm_input_path(source->input, 0), &file->rows, error));
  DFM_TRY(dfm_alloc(&file->category, (size_t)encoder->F, sizeof *file->category, error));
  DFM_TRY(dfm_alloc(&file->is_transformed, (size_t)encoder->F, sizeof *file->is_transformed, error));
  DFM_TRY(dfm_alloc(&file->number, (size_t)encoder->D, sizeof *file->number, error));
  DFM_TRY(dfm_alloc(&file->row, source->capacity, sizeof *file->row, error));
  return place_columns(source, error);
}

static void close_rows(dfm_source *source) {
  dfm_file_rows *file = source->file_rows;
  if (!file) return;
  dfm_dataset_free(file->rows);
  free(file->category);
  free(file->is_transformed);
  free(file->number);
  free(file->row);
  free(file);
}

const dfm_source_kind dfm_source_file = {
    .open = open_rows, .next = next, .text_bytes = text_bytes, .read = read_row, .close = close_rows};
