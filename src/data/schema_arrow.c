/* Schema of an Arrow stream: cells are written out as text, so that they are judged by what judges text. */
#include "data/schema_arrow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "data/arrow_column.h"

static dfm_status fail_name(const dfm_arrow_stream *stream, const char *what, const char *name, dfm_error *error) {
  char shown[DFM_SHOW_BYTES];
  return dfm_fail(error, DFM_ERROR_FORMAT, "%s %s: '%s'; rename it", dfm_arrow_stream_name(stream), what,
                  dfm_show(shown, name, strlen(name)));
}

dfm_status dfm_arrow_names(const dfm_arrow_stream *stream, dfm_schema *schema, dfm_error *error) {
  const size_t n = dfm_arrow_stream_columns(stream);
  DFM_TRY(dfm_alloc(&schema->columns, n, sizeof *schema->columns, error));
  for (size_t i = 0; i < n; i++) {
    char position[24];
    const char *name = dfm_arrow_stream_column_name(stream, i);
    snprintf(position, sizeof position, "c%zu", i + 1);
    if (!*name) name = position;
    if (!dfm_is_utf8(name, strlen(name))) return fail_name(stream, "has a column whose name is not UTF-8", name, error);
    if (dfm_schema_column(schema, name)) return fail_name(stream, "has two columns of one name", name, error);
    dfm_column *column = &schema->columns[i];
    column->settings = dfm_field_settings_unset();
    DFM_TRY(dfm_copy_text(&column->name, name, error));
    schema->n_columns++;
  }
  return DFM_OK;
}

/* ---- cells */

typedef struct sampling {
  const dfm_arrow_stream *stream;
  dfm_arrow_column *column; /* (n) */
  size_t n;
} sampling;

static dfm_status bind(const sampling *s, const struct ArrowArray *batch, int64_t rows, dfm_error *error) {
  char shown[DFM_SHOW_BYTES];
  for (size_t c = 0; c < s->n; c++) {
    dfm_arrow_column *column = &s->column[c];
    dfm_arrow_fault fault;
    if (column->type == DFM_ARROW_OTHER || dfm_arrow_is_list(column)) continue;
    if (dfm_arrow_column_bind(column, batch->children[c], batch->offset, rows, &fault)) continue;
    const char *name = dfm_arrow_stream_column_name(s->stream, c);
    return dfm_fail(error, DFM_ERROR_FORMAT, "%s: arrow column '%s' has %s; see to who produces it",
                    dfm_arrow_stream_name(s->stream), dfm_show(shown, name, strlen(name)), fault.what);
  }
  return DFM_OK;
}

static dfm_status add_cell(const dfm_arrow_column *column, int64_t row, dfm_sample *sample, dfm_error *error) {
  char room[DFM_ARROW_BYTES];
  const char *limit;
  size_t n;
  const bool is_read = column->type != DFM_ARROW_OTHER && !dfm_arrow_is_list(column);
  if (!is_read || !dfm_arrow_find(&column, &row)) return DFM_OK;
  const char *bytes = dfm_arrow_bytes(column, row, room, &n, &limit);
  return dfm_text_add(&sample->text, bytes, n, error);
}

static dfm_status add_row(const sampling *s, int64_t row, dfm_sample *sample, dfm_error *error) {
  const size_t first = sample->n_rows * s->n;
  DFM_TRY(dfm_grow(&sample->offsets, &sample->capacity, first + s->n + 1, sizeof *sample->offsets, error));
  sample->offsets[first] = sample->text.length;
  for (size_t c = 0; c < s->n; c++) {
    DFM_TRY(add_cell(&s->column[c], row, sample, error));
    sample->offsets[first + c + 1] = sample->text.length;
  }
  sample->n_rows++;
  return DFM_OK;
}

static dfm_status add_batches(const sampling *s, dfm_arrow_stream *stream, size_t max_rows, size_t max_bytes,
                              dfm_sample *sample, dfm_error *error) {
  const struct ArrowArray *batch;
  for (size_t b = 0; sample->n_rows < max_rows && sample->text.length < max_bytes; b++) {
    DFM_TRY(dfm_arrow_stream_peek(stream, b, &batch, error));
    if (!batch) break;
    const int64_t wanted = (int64_t)(max_rows - sample->n_rows);
    const int64_t rows = batch->length < wanted ? batch->length : wanted;
    DFM_TRY(bind(s, batch, rows, error));
    for (int64_t r = 0; r < rows && sample->text.length < max_bytes; r++) DFM_TRY(add_row(s, r, sample, error));
  }
  if (sample->n_rows > 0) return DFM_OK;
  return dfm_fail(error, DFM_ERROR_FORMAT, "%s has no rows; check what was exported", dfm_arrow_stream_name(stream));
}

dfm_status dfm_arrow_sample(dfm_arrow_stream *stream, size_t max_rows, size_t max_bytes, size_t max_cells,
                            dfm_sample *sample, dfm_error *error) {
  sampling s = {.stream = stream};
  const size_t n = dfm_arrow_stream_columns(stream), rows = max_cells / n > 0 ? max_cells / n : 1;
  if (dfm_arrow_stream_is_taken(stream))
    return dfm_fail(error, DFM_ERROR_IO,
                    "%s was read already and an arrow stream can be read only once; export it anew",
                    dfm_arrow_stream_name(stream));
  DFM_TRY(dfm_alloc(&s.column, n, sizeof *s.column, error));
  dfm_status status = dfm_text_printf(&sample->text, error, "%s", "");
  for (; status == DFM_OK && s.n < n; s.n++)
    status = dfm_arrow_column_open(dfm_arrow_stream_column(stream, s.n), &s.column[s.n], error);
  sample->n_columns = n;
  if (status == DFM_OK) status = add_batches(&s, stream, rows < max_rows ? rows : max_rows, max_bytes, sample, error);
  for (size_t i = 0; i < s.n; i++) dfm_arrow_column_close(&s.column[i]);
  free(s.column);
  return status;
}

/* ---- kinds */

static dfm_status decide(dfm_column *column, dfm_kind kind, const char *reason, dfm_error *error) {
  column->kind = kind;
  return dfm_copy_text(&column->reason, reason, error);
}

static dfm_status decide_by_type(const dfm_arrow_column *type, const dfm_profile *p, dfm_column *column,
                                 dfm_error *error) {
  char reason[256], shown[DFM_SHOW_BYTES];
  const bool is_text = dfm_arrow_is_text(type) || (type->values && dfm_arrow_is_text(type->values));
  if (type->type == DFM_ARROW_OTHER) {
    snprintf(reason, sizeof reason, "of the arrow type '%s', which is not read; cast it to text or numbers: ignored",
             dfm_show(shown, type->format, strlen(type->format)));
    return decide(column, DFM_KIND_IGNORE, reason, error);
  }
  if (dfm_arrow_is_list(type)) return decide(column, DFM_KIND_LIST, "lists, by its type: list", error);
  if (strncmp(column->name, "__index_level_", 14) == 0)
    return decide(column, DFM_KIND_IGNORE, "the index of a pandas frame: ignored", error);
  if (is_text && p->is_numeric)
    return decide(column, DFM_KIND_CATEGORY, "text by its type, though its cells are numbers: category", error);
  return DFM_OK;
}

dfm_status dfm_arrow_kinds(const dfm_arrow_stream *stream, const dfm_profile *profiles, dfm_schema *schema,
                           dfm_error *error) {
  for (size_t i = 0; i < schema->n_columns; i++) {
    dfm_arrow_column type = {0};
    if (schema->columns[i].reason) continue;
    dfm_status status = dfm_arrow_column_open(dfm_arrow_stream_column(stream, i), &type, error);
    if (status == DFM_OK) status = decide_by_type(&type, &profiles[i], &schema->columns[i], error);
    dfm_arrow_column_close(&type);
    DFM_TRY(status);
  }
  return DFM_OK;
}
