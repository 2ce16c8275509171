/* JSON lines: an object a row; keys are columns, arrays the items of lists. */
#include <math.h>

#include "data/json_row.h"
#include "data/row.h"
#include "data/schema_guess.h"
#include "data/source.h"

typedef struct reading {
  dfm_row *row;
  const dfm_place *place; /* of the last key */
} reading;

static dfm_status fail_key(const reading *r, const dfm_cell *key, const char *problem, dfm_error *error) {
  char name[DFM_SHOW_BYTES];
  r->row->block->reason = DFM_BAD_SHAPE;
  return dfm_fail_at(error, DFM_ERROR_FORMAT, dfm_text_rows_path(r->row->source->rows), r->row->span->line,
                     (long long)key->column, "column '%s' %s", dfm_show(name, r->place->name, strlen(r->place->name)),
                     problem);
}

static dfm_status see_key(void *context, dfm_cell key, dfm_json_type type, bool *is_wanted, dfm_error *error) {
  reading *r = context;
  r->place = dfm_places_find(r->row->source, key.bytes, key.n);
  if (!r->place) return DFM_OK;
  *is_wanted = r->place->kind != DFM_KIND_IGNORE || r->place->is_truth;
  if (!dfm_row_sees(r->row, r->place)) return fail_key(r, &key, "is twice in this row; remove one", error);
  if (!*is_wanted || type != DFM_JSON_ARRAY || r->place->kind == DFM_KIND_LIST) return DFM_OK;
  return fail_key(r, &key, "holds an array here and is no list; set kind: list in the schema, or write one value",
                  error);
}

/* What true and false are where a number is wanted; label texts may be these words themselves. */
static dfm_cell number_of(const dfm_row *row, const dfm_place *place, dfm_json_type type, dfm_cell cell) {
  const dfm_schema *schema = row->encoder->schema;
  const bool is_text = place->kind == DFM_KIND_CATEGORY || place->kind == DFM_KIND_LIST ||
                       (place->kind == DFM_KIND_LABEL && schema->n_positives + schema->n_negatives > 0);
  if (is_text) return cell;
  return (dfm_cell){type == DFM_JSON_TRUE ? "1" : "0", 1, cell.column};
}

static dfm_status see_value(void *context, dfm_json_type type, dfm_cell cell, dfm_error *error) {
  const reading *r = context;
  if (type == DFM_JSON_ARRAY || type == DFM_JSON_OBJECT)
    return fail_key(r, &cell, "has an item that is an array or object; lists hold single values", error);
  if (type == DFM_JSON_TRUE || type == DFM_JSON_FALSE) cell = number_of(r->row, r->place, type, cell);
  if (type == DFM_JSON_NULL) cell = (dfm_cell){cell.bytes, 0, cell.column};
  const dfm_status status = dfm_row_put(r->row, r->place, cell, error);
  r->row->block->reason = status == DFM_OK ? DFM_BAD_SHAPE : r->row->block->reason;
  return status;
}

static dfm_status read_row(dfm_row *row, dfm_error *error) {
  reading r = {.row = row};
  const dfm_json_visitor visitor = {see_key, see_value, &r};
  dfm_row_begin(row);
  DFM_TRY(dfm_json_read(row->span->bytes, row->span->n, dfm_text_rows_path(row->source->rows), row->span->line,
                        &row->scratch->cells.text, &row->scratch->key, &visitor, error));
  return dfm_row_end(row, error);
}

static dfm_likeness likeness(const char *line, size_t n) {
  size_t at = 0;
  while (at < n && (line[at] == ' ' || line[at] == '\t')) at++;
  return at < n && line[at] == '{' ? DFM_LIKE_YES : DFM_LIKE_NO;
}

const dfm_format dfm_format_jsonl = {.name = "jsonl",
                                     .title = "JSON lines",
                                     .endings = ".jsonl .ndjson .json ",
                                     .copies_text = true,
                                     .likeness = likeness,
                                     .guess = dfm_guess_jsonl,
                                     .open = dfm_places_make,
                                     .read = read_row};
