/* Sources of Arrow batches: a stream comes in; batch by batch its columns are bound, and rows are read from where they
 * lie. Values of more than eight bytes point into the batch, which is let go of when the next one is asked for. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/arrow_column.h"
#include "data/category.h"
#include "data/source.h"

/* One column of the stream. */
typedef struct arrow_place {
  dfm_arrow_column column;
  bool is_used;
  int f;            /* the category field that it fills, no list; -1: none */
  dfm_value *entry; /* of a dictionary, hashed once a batch; */
  size_t capacity;
  bool has_entries; /* ... this one's */
  dfm_arrow_fault fault;
  dfm_status status; /* of binding it */
} arrow_place;

struct dfm_arrow_rows {
  dfm_arrow_stream *stream; /* borrowed from the input */
  struct ArrowArray batch;  /* release NULL: none */
  int64_t n, at, before;    /* rows of the batch, those of them that were at hand before, rows of earlier batches */
  size_t n_places;
  arrow_place *place;
  bool has_missing_numbers; /* a number may be written as a word that stands for an empty cell: "-1" */
};

/* ---- cells */

/* The row's cell as text; what does not stand in the batch is written to `room`, of DFM_ARROW_BYTES. */
static dfm_cell cell_of(const dfm_arrow_column *column, int64_t row, char *room, const char **limit) {
  dfm_cell cell = {.bytes = "", .column = 1};
  *limit = cell.bytes;
  if (dfm_arrow_find(&column, &row)) cell.bytes = dfm_arrow_bytes(column, row, room, &cell.n, limit);
  return cell;
}

/* The same for values that stay: in the scratch's text, which moves on. */
static dfm_cell value_cell(const dfm_arrow_column *column, int64_t row, dfm_row *to) {
  char **text = &to->scratch->cells.text;
  const dfm_cell cell = cell_of(column, row, *text, &to->limit);
  if (cell.bytes == *text) *text += cell.n;
  return cell;
}

static inline const arrow_place *place_at(const dfm_source *source, size_t at) {
  return &source->arrow->place[at];
}

/* ---- batches */

/* A dictionary with fewer entries than the batch has rows: each entry is cleaned, transformed and hashed once. Its
 * id says whether its transform took it. */
static dfm_status hash_entries(const dfm_source *source, arrow_place *place, dfm_error *error) {
  const dfm_arrow_column *entries = place->column.values;
  const dfm_encoder *encoder = source->encoder;
  char room[DFM_ARROW_BYTES];
  place->has_entries = false;
  if (place->f < 0 || place->column.type != DFM_ARROW_DICTIONARY || !dfm_arrow_is_text(entries) ||
      entries->length > source->arrow->n)
    return DFM_OK;
  DFM_TRY(dfm_grow(&place->entry, &place->capacity, (size_t)entries->length, sizeof *place->entry, error));
  for (int64_t i = 0; i < entries->length; i++) {
    const char *limit;
    const dfm_cell cell = dfm_cell_clean(encoder->schema, cell_of(entries, i, room, &limit));
    dfm_value *value = &place->entry[i];
    dfm_value_set(value, cell.bytes, cell.n, limit);
    const bool is_good = dfm_category_transform(&encoder->category[place->f].settings, value) == DFM_NUMBER_OK;
    value->id = is_good ? DFM_ID_NONE : 0;
  }
  place->has_entries = true;
  return DFM_OK;
}

static void bind_task(void *context, int task, int thread) {
  const dfm_source *source = context;
  const dfm_arrow_rows *a = source->arrow;
  arrow_place *place = &a->place[task];
  (void)thread;
  place->status = DFM_OK;
  if (!place->is_used) return;
  if (dfm_arrow_column_bind(&place->column, a->batch.children[task], a->batch.offset, a->n, &place->fault))
    place->status = hash_entries(source, place, NULL);
  else
    place->status = DFM_ERROR_FORMAT;
}

static dfm_status check_places(const dfm_source *source, dfm_error *error) {
  const dfm_arrow_rows *a = source->arrow;
  char shown[DFM_SHOW_BYTES];
  for (size_t i = 0; i < a->n_places; i++) {
    const arrow_place *place = &a->place[i];
    if (place->status == DFM_OK) continue;
    const char *name = dfm_arrow_stream_column_name(a->stream, i);
    dfm_show(shown, name, strlen(name));
    if (place->status == DFM_ERROR_MEMORY)
      return dfm_fail(error, place->status, "no memory for the dictionary of column '%s'; use smaller batches", shown);
    if (place->fault.row < 0)
      return dfm_fail(error, place->status, "%s: arrow column '%s' has %s; see to who produces it",
                      dfm_source_name(source), shown, place->fault.what);
    return dfm_fail(error, place->status, "%s, row %lld: arrow column '%s' has %s; see to who produces it",
                    dfm_source_name(source), (long long)(a->before + place->fault.row + 1), shown, place->fault.what);
  }
  return DFM_OK;
}

static void release_batch(dfm_arrow_rows *a) {
  if (a->batch.release) a->batch.release(&a->batch);
  a->batch.release = NULL;
  a->before += a->n;
  a->n = a->at = 0;
}

static dfm_status next(dfm_source *source, dfm_error *error) {
  dfm_arrow_rows *a = source->arrow;
  a->at += (int64_t)source->n_at_hand;
  source->n_at_hand = 0;
  while (a->at == a->n) {
    release_batch(a);
    DFM_TRY(dfm_arrow_stream_next(a->stream, &a->batch, error));
    if (!a->batch.release) return DFM_OK;
    a->n = a->batch.length;
    dfm_pool_run(source->pool, (int)a->n_places, bind_task, source);
    DFM_TRY(check_places(source, error));
  }
  const int64_t left = a->n - a->at;
  source->n_at_hand = left < (int64_t)source->capacity ? (size_t)left : source->capacity;
  return DFM_OK;
}

/* ---- one row */

/* Values that are written out, of category fields. */
static size_t text_bytes(const dfm_source *source, size_t row, int n) {
  const int64_t from = source->arrow->at + (int64_t)row;
  size_t written = 0;
  for (int f = 0; f < source->encoder->F; f++) {
    if (source->category_at[f] == DFM_ABSENT) continue;
    const dfm_arrow_column *column = &place_at(source, source->category_at[f])->column, *cells = column;
    if (cells->values) cells = cells->values;
    if (cells->values) cells = cells->values;
    if (!dfm_arrow_is_written(cells)) continue;
    int64_t start = 0, end = n, unused;
    if (dfm_arrow_is_list(column)) {
      dfm_arrow_items(column, from, &start, &unused);
      dfm_arrow_items(column, from + n - 1, &unused, &end);
    }
    written += (size_t)(end - start);
  }
  return written * DFM_ARROW_BYTES;
}

static dfm_status read_list(const dfm_arrow_column *column, int64_t r, int f, dfm_row *row, dfm_error *error) {
  int64_t i = 0, end = 0;
  if (!dfm_arrow_is_null(column, r)) dfm_arrow_items(column, r, &i, &end);
  for (; i < end; i++) DFM_TRY(dfm_row_put_item(row, f, value_cell(column->values, i, row), error));
  dfm_block_end_list(row->block, f);
  return DFM_OK;
}

static dfm_status read_category(int64_t r, int f, dfm_row *row, dfm_error *error) {
  const dfm_source *source = row->source;
  if (source->category_at[f] == DFM_ABSENT) {
    dfm_row_put_absent(row, f);
    return DFM_OK;
  }
  const arrow_place *place = place_at(source, source->category_at[f]);
  if (place->has_entries && row->watched != f && !dfm_arrow_is_null(&place->column, r)) {
    const dfm_value *entry = &place->entry[dfm_arrow_entry(&place->column, r)];
    if (entry->id == DFM_ID_NONE) {
      *dfm_block_value(row->block, f, row->block->rows) = *entry;
      return DFM_OK;
    }
  }
  if (dfm_arrow_is_list(&place->column)) return read_list(&place->column, r, f, row, error);
  const dfm_cell cell = value_cell(&place->column, r, row);
  return source->encoder->category[f].is_list ? dfm_row_put_list(row, f, cell, error)
                                              : dfm_row_put_category(row, f, cell, error);
}

/* The number of a column of numbers, NaN where it is null; false: the cell is text, or one whose text must be looked
 * at. */
static inline bool find_number(const dfm_source *source, size_t at, int64_t row, float *number) {
  const dfm_arrow_column *column = &place_at(source, at)->column;
  *number = NAN;
  if (!dfm_arrow_find(&column, &row)) return true;
  if (!dfm_arrow_is_number(column) || source->arrow->has_missing_numbers) return false;
  *number = dfm_arrow_float(column, row);
  return isfinite(*number);
}

static dfm_status read_number(int64_t r, int d, dfm_row *row, dfm_error *error) {
  const dfm_source *source = row->source;
  const size_t at = source->number_at[d];
  float *number = &row->block->number[(size_t)row->block->rows * (size_t)source->encoder->D + (size_t)d];
  char room[DFM_ARROW_BYTES];
  *number = NAN;
  if (at == DFM_ABSENT || find_number(source, at, r, number)) return DFM_OK;
  return dfm_row_put_number(row, d, cell_of(&place_at(source, at)->column, r, room, &row->limit), error);
}

/* A boolean label is 1 or 0, unless the schema has words for it. */
static dfm_status read_label(int64_t r, dfm_row *row, dfm_error *error) {
  const dfm_source *source = row->source;
  const dfm_schema *schema = source->encoder->schema;
  const dfm_arrow_column *column = &place_at(source, source->label_at)->column;
  char room[DFM_ARROW_BYTES];
  dfm_cell cell = dfm_cell_clean(schema, cell_of(column, r, room, &row->limit));
  if (dfm_arrow_find(&column, &r) && column->type == DFM_ARROW_BOOL &&
      !dfm_words_have(schema->positives, schema->n_positives, cell.bytes, cell.n) &&
      !dfm_words_have(schema->negatives, schema->n_negatives, cell.bytes, cell.n))
    cell = (dfm_cell){.bytes = dfm_arrow_float(column, r) > 0 ? "1" : "0", .n = 1};
  return dfm_row_put_label(row, cell, error);
}

static dfm_status read_weight(int64_t r, dfm_row *row, dfm_error *error) {
  const dfm_source *source = row->source;
  float *weight = &row->block->weight[row->block->rows];
  char room[DFM_ARROW_BYTES];
  if (find_number(source, source->weight_at, r, weight) && *weight >= 0) return DFM_OK;
  return dfm_row_put_weight(row, cell_of(&place_at(source, source->weight_at)->column, r, room, &row->limit), error);
}

static dfm_status read_truth(int64_t r, dfm_row *row, dfm_error *error) {
  const dfm_source *source = row->source;
  float *truth = &row->block->truth[row->block->rows];
  char room[DFM_ARROW_BYTES];
  if (find_number(source, source->truth_at, r, truth) && *truth >= 0 && *truth <= 1) return DFM_OK;
  return dfm_row_put_truth(row, cell_of(&place_at(source, source->truth_at)->column, r, room, &row->limit), error);
}

static dfm_status read_row(const dfm_source *source, size_t i, dfm_row *row, dfm_error *error) {
  const dfm_encoder *encoder = source->encoder;
  const int64_t r = source->arrow->at + (int64_t)i;
  row->number = source->arrow->before + r + 1;
  for (int f = 0; f < encoder->F; f++) DFM_TRY(read_category(r, f, row, error));
  for (int d = 0; d < encoder->D; d++) DFM_TRY(read_number(r, d, row, error));
  if (source->has_label) DFM_TRY(read_label(r, row, error));
  if (source->has_weight) DFM_TRY(read_weight(r, row, error));
  return source->has_truth ? read_truth(r, row, error) : DFM_OK;
}

/* ---- the whole */

/* What a column may hold that fills a field of some kind. */
typedef enum holding { NUMBERS, VALUES, LISTS } holding;

static dfm_status use_column(dfm_source *source, size_t at, const char *kind, holding most, dfm_error *error) {
  char shown[DFM_SHOW_BYTES];
  if (at == DFM_ABSENT) return DFM_OK;
  arrow_place *place = &source->arrow->place[at];
  const char *name = dfm_arrow_stream_column_name(source->arrow->stream, at);
  place->is_used = true;
  const dfm_arrow_column *cells = place->column.type == DFM_ARROW_DICTIONARY ? place->column.values : &place->column;
  if (place->column.type == DFM_ARROW_OTHER || (most == NUMBERS && dfm_arrow_is_time(cells)))
    return dfm_fail(error, DFM_ERROR_MISMATCH,
                    "%s: column '%s' is of the arrow type '%s', which is not read as %s; cast it to text or to numbers",
                    dfm_source_name(source), dfm_show(shown, name, strlen(name)), cells->format, kind);
  if (dfm_arrow_is_list(&place->column) && most < LISTS)
    return dfm_fail(error, DFM_ERROR_MISMATCH,
                    "%s: column '%s' holds lists where the schema has %s; make it a list in the schema",
                    dfm_source_name(source), dfm_show(shown, name, strlen(name)), kind);
  return DFM_OK;
}

static dfm_status use_columns(dfm_source *source, dfm_error *error) {
  const dfm_encoder *encoder = source->encoder;
  for (int f = 0; f < encoder->F; f++) {
    const bool is_list = encoder->category[f].is_list;
    DFM_TRY(
        use_column(source, source->category_at[f], is_list ? "a list" : "a category", is_list ? LISTS : VALUES, error));
    if (source->category_at[f] != DFM_ABSENT && !is_list) source->arrow->place[source->category_at[f]].f = f;
  }
  for (int d = 0; d < encoder->D; d++) DFM_TRY(use_column(source, source->number_at[d], "a number", NUMBERS, error));
  DFM_TRY(use_column(source, source->label_at, "the label", VALUES, error));
  DFM_TRY(use_column(source, source->weight_at, "the weight", NUMBERS, error));
  return use_column(source, source->truth_at, "the true probability", NUMBERS, error);
}

static bool has_missing_numbers(const dfm_schema *schema) {
  for (size_t i = 0; i < schema->n_missing_words; i++) {
    double number;
    const char *word = schema->missing_words[i];
    const dfm_number_result result = dfm_parse_double(word, strlen(word), &number);
    if (result == DFM_NUMBER_OK || result == DFM_NUMBER_OVERFLOW) return true;
  }
  return false;
}

static dfm_status place_columns(dfm_source *source, dfm_error *error) {
  const dfm_arrow_rows *a = source->arrow;
  dfm_cell *names = NULL;
  DFM_TRY(dfm_alloc(&names, a->n_places, sizeof *names, error));
  for (size_t i = 0; i < a->n_places; i++) {
    const char *name = dfm_arrow_stream_column_name(a->stream, i);
    names[i] = (dfm_cell){name, strlen(name), 0};
  }
  const dfm_status status = dfm_source_place_names(source, names, a->n_places, error);
  free(names);
  return status;
}

static dfm_status open_rows(dfm_source *source, dfm_error *error) {
  dfm_arrow_rows *a;
  DFM_TRY(dfm_alloc(&source->arrow, 1, sizeof *source->arrow, error));
  a = source->arrow;
  a->stream = dfm_input_arrow(source->input);
  a->has_missing_numbers = has_missing_numbers(source->encoder->schema);
  if (dfm_arrow_stream_is_taken(a->stream))
    return dfm_fail(error, DFM_ERROR_IO,
                    "%s was read already and an arrow stream can be read only once; export it anew",
                    dfm_source_name(source));
  const size_t n = dfm_arrow_stream_columns(a->stream);
  DFM_TRY(dfm_alloc(&a->place, n, sizeof *a->place, error));
  for (; a->n_places < n; a->n_places++) {
    arrow_place *place = &a->place[a->n_places];
    place->f = -1;
    const dfm_status status =
        dfm_arrow_column_open(dfm_arrow_stream_column(a->stream, a->n_places), &place->column, error);
    if (status != DFM_OK) {
      dfm_arrow_column_close(&place->column);
      return status;
    }
  }
  DFM_TRY(place_columns(source, error));
  return use_columns(source, error);
}

static void close_rows(dfm_source *source) {
  dfm_arrow_rows *a = source->arrow;
  if (!a) return;
  release_batch(a);
  for (size_t i = 0; i < a->n_places; i++) {
    dfm_arrow_column_close(&a->place[i].column);
    free(a->place[i].entry);
  }
  free(a->place);
  free(a);
}

const dfm_source_kind dfm_source_arrow = {
    .open = open_rows, .next = next, .text_bytes = text_bytes, .read = read_row, .close = close_rows};
