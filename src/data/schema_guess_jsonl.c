/* Guess of JSON lines: the first rows come in; a column for each key, in the order of their first appearance, goes
 * out. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/format.h"
#include "data/json_row.h"
#include "data/schema_guess.h"
#include "data/value.h"

/* A value as it was met: rows have theirs in any order, and columns come as they come. */
typedef struct met {
  uint32_t column;
  size_t from, n; /* in `text` */
} met;

typedef struct key_look {
  size_t row; /* that had it last, counted from 1 */
  bool is_list, has_nested;
} key_look;

typedef struct looking {
  dfm_guess *guess;
  const dfm_row_span *span;
  key_look *look; /* (columns of the schema) */
  size_t look_capacity;
  uint32_t *slot; /* (n_slots) hash index of columns + 1 */
  size_t n_slots;
  met *met; /* in row order; rows are divided by row_end */
  size_t n_met, met_capacity;
  size_t *row_end, row_capacity, n_rows;
  dfm_text text, key;
  char *copies;
  size_t copies_capacity;
  uint32_t column; /* of the last key */
} looking;

/* ---- columns */

static void enter_column(looking *l, size_t c) {
  const char *name = l->guess->schema->columns[c].name;
  uint64_t at = dfm_value_hash(name, strlen(name)) & (l->n_slots - 1);
  while (l->slot[at]) at = (at + 1) & (l->n_slots - 1);
  l->slot[at] = (uint32_t)c + 1;
}

static dfm_status grow_index(looking *l, dfm_error *error) {
  uint32_t *slot;
  const size_t n = l->n_slots ? 4 * l->n_slots : 64;
  if (2 * (l->guess->schema->n_columns + 1) <= l->n_slots) return DFM_OK;
  DFM_TRY(dfm_alloc(&slot, n, sizeof *slot, error));
  free(l->slot);
  l->slot = slot;
  l->n_slots = n;
  for (size_t c = 0; c < l->guess->schema->n_columns; c++) enter_column(l, c);
  return DFM_OK;
}

static dfm_status add_column(looking *l, const dfm_cell *key, dfm_error *error) {
  dfm_schema *schema = l->guess->schema;
  dfm_column *column;
  dfm_text name = {0};
  dfm_status status = dfm_text_add(&name, key->bytes, key->n, error);
  if (status == DFM_OK) status = dfm_schema_add(schema, name.bytes, DFM_KIND_CATEGORY, &column, error);
  free(name.bytes);
  DFM_TRY(status);
  DFM_TRY(dfm_grow(&l->look, &l->look_capacity, schema->n_columns, sizeof *l->look, error));
  l->look[schema->n_columns - 1] = (key_look){0};
  DFM_TRY(grow_index(l, error));
  l->column = (uint32_t)schema->n_columns - 1;
  enter_column(l, l->column);
  return DFM_OK;
}

static bool find_column(looking *l, const dfm_cell *key) {
  uint64_t at = dfm_value_hash(key->bytes, key->n) & (l->n_slots - 1);
  for (; l->slot[at]; at = (at + 1) & (l->n_slots - 1)) {
    const char *name = l->guess->schema->columns[l->slot[at] - 1].name;
    if (strlen(name) != key->n || memcmp(name, key->bytes, key->n) != 0) continue;
    l->column = l->slot[at] - 1;
    return true;
  }
  return false;
}

/* ---- rows */

static dfm_status see_key(void *context, dfm_cell key, dfm_json_type type, bool *is_wanted, dfm_error *error) {
  looking *l = context;
  char shown[DFM_SHOW_BYTES];
  if (key.n == 0 || memchr(key.bytes, 0, key.n)) return DFM_OK; /* no name that a schema can write */
  if (!find_column(l, &key)) DFM_TRY(add_column(l, &key, error));
  key_look *look = &l->look[l->column];
  if (look->row == l->n_rows + 1)
    return dfm_fail_at(error, DFM_ERROR_FORMAT, l->guess->path, l->span->line, (long long)key.column,
                       "column '%s' is twice in this row; remove one", dfm_show(shown, key.bytes, key.n));
  look->row = l->n_rows + 1;
  look->is_list |= type == DFM_JSON_ARRAY;
  *is_wanted = true;
  return DFM_OK;
}

static dfm_status see_value(void *context, dfm_json_type type, dfm_cell cell, dfm_error *error) {
  looking *l = context;
  key_look *look = &l->look[l->column];
  look->has_nested |= type == DFM_JSON_ARRAY || type == DFM_JSON_OBJECT;
  if (look->is_list || type == DFM_JSON_NULL) return DFM_OK;
  DFM_TRY(dfm_grow(&l->met, &l->met_capacity, l->n_met + 1, sizeof *l->met, error));
  l->met[l->n_met++] = (met){l->column, l->text.length, cell.n};
  return dfm_text_add(&l->text, cell.bytes, cell.n, error);
}

static bool is_full(const looking *l) {
  return l->n_rows >= DFM_GUESS_ROWS || l->text.length >= DFM_GUESS_BYTES ||
         l->n_rows * l->guess->schema->n_columns >= DFM_GUESS_CELLS;
}

static dfm_status look_at_rows(looking *l, dfm_text_rows *rows, dfm_error *error) {
  const dfm_json_visitor visitor = {see_key, see_value, l};
  dfm_row_span span;
  size_t n;
  l->span = &span;
  while (!is_full(l)) {
    DFM_TRY(dfm_text_rows_next(rows, &span, 1, &n, error));
    if (n == 0) break;
    DFM_TRY(dfm_grow(&l->copies, &l->copies_capacity, span.n, 1, error));
    char *copies = l->copies;
    DFM_TRY(dfm_json_read(span.bytes, span.n, l->guess->path, span.line, &copies, &l->key, &visitor, error));
    DFM_TRY(dfm_grow(&l->row_end, &l->row_capacity, l->n_rows + 1, sizeof *l->row_end, error));
    l->row_end[l->n_rows++] = l->n_met;
  }
  return l->guess->schema->n_columns > 0
             ? DFM_OK
             : dfm_fail(error, DFM_ERROR_FORMAT, "%s has no row with a key; is it the right file?", l->guess->path);
}

/* ---- the whole */

/* The rows as a sample: a cell for each column, empty where the row has none. */
static dfm_status make_sample(looking *l, dfm_error *error) {
  dfm_guess *g = l->guess;
  const size_t n = g->schema->n_columns;
  const met **cell;
  g->sample.n_columns = n;
  g->sample.n_rows = l->n_rows;
  DFM_TRY(dfm_alloc(&cell, n, sizeof *cell, error));
  dfm_status status = DFM_OK;
  for (size_t row = 0, m = 0; row < l->n_rows && status == DFM_OK; row++) {
    memset(cell, 0, n * sizeof *cell);
    for (; m < l->row_end[row]; m++) cell[l->met[m].column] = &l->met[m];
    for (size_t c = 0; c < n && status == DFM_OK; c++)
      status = dfm_guess_add_cell(g, cell[c] ? l->text.bytes + cell[c]->from : "", cell[c] ? cell[c]->n : 0, error);
  }
  free(cell);
  return status;
}

static dfm_status name_lists(looking *l, dfm_error *error) {
  dfm_guess *g = l->guess;
  DFM_TRY(dfm_alloc(&g->has_name, g->schema->n_columns, sizeof *g->has_name, error));
  for (size_t c = 0; c < g->schema->n_columns; c++) {
    dfm_column *column = &g->schema->columns[c];
    g->has_name[c] = true;
    if (!l->look[c].is_list) continue;
    column->kind = l->look[c].has_nested ? DFM_KIND_IGNORE : DFM_KIND_LIST;
    DFM_TRY(dfm_copy_text(&column->reason,
                          l->look[c].has_nested ? "arrays of arrays or objects: ignored" : "arrays: list", error));
  }
  return DFM_OK;
}

static dfm_status run(looking *l, dfm_error *error) {
  dfm_text_rows *rows;
  const dfm_row_syntax syntax = dfm_format_syntax(l->guess->schema);
  DFM_TRY(dfm_text_rows_open(l->guess->feed, &syntax, true, &rows, error));
  dfm_status status = grow_index(l, error);
  if (status == DFM_OK) status = look_at_rows(l, rows, error);
  dfm_text_rows_close(rows);
  DFM_TRY(status);
  DFM_TRY(make_sample(l, error));
  DFM_TRY(dfm_guess_profile(l->guess, 0, error));
  DFM_TRY(name_lists(l, error));
  return dfm_guess_kinds(l->guess, error);
}

dfm_status dfm_guess_jsonl(dfm_guess *guess, dfm_error *error) {
  looking l = {.guess = guess};
  const dfm_status status = run(&l, error);
  free(l.look);
  free(l.slot);
  free(l.met);
  free(l.row_end);
  free(l.text.bytes);
  free(l.key.bytes);
  free(l.copies);
  return status;
}
