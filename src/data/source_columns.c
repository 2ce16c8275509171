/* Columns of rows whose cells stand in order: names come in, or the number of cells; where each column of the schema is
 * goes out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "data/source.h"

/* The header's line; 0 where the names are no text. */
static long long header_line(const dfm_source *source) {
  return source->spans ? source->spans->line : 0;
}

/* Header cells by name, for a look-up per column of the schema. */
typedef struct name_index {
  const dfm_schema *schema;
  const dfm_cell *cells;
  size_t *slots; /* cell + 1 by hash of its name; 0: none */
  size_t n_slots;
} name_index;

/* The name of header cell `i`; one without a name is called by its position, c1, c2, ..., as in a schema that was
 * guessed. `position` is room for that. */
static dfm_cell name_of(const name_index *index, size_t i, char position[24]) {
  dfm_cell cell = index->schema->strip_spaces ? dfm_cell_strip(index->cells[i]) : index->cells[i];
  if (cell.n > 0) return cell;
  cell.n = (size_t)snprintf(position, 24, "c%zu", i + 1);
  cell.bytes = position;
  return cell;
}

static size_t next_slot(const name_index *index, size_t slot) {
  return (slot + 1) & (index->n_slots - 1);
}

static dfm_status index_names(const dfm_schema *schema, const dfm_cell *cells, size_t n, name_index *index,
                              dfm_error *error) {
  char position[24];
  *index = (name_index){.schema = schema, .cells = cells, .n_slots = 2};
  while (index->n_slots < 2 * n) index->n_slots *= 2;
  DFM_TRY(dfm_alloc(&index->slots, index->n_slots, sizeof *index->slots, error));
  for (size_t i = 0; i < n; i++) {
    const dfm_cell name = name_of(index, i, position);
    size_t slot = dfm_value_hash(name.bytes, name.n) & (index->n_slots - 1);
    while (index->slots[slot]) slot = next_slot(index, slot);
    index->slots[slot] = i + 1;
  }
  return DFM_OK;
}

/* Position of the header cell called `name`, DFM_ABSENT where there is none; two are an error. */
static dfm_status find_name(const dfm_source *source, const name_index *index, const char *name, size_t *at,
                            dfm_error *error) {
  char position[24];
  const size_t length = strlen(name);
  *at = DFM_ABSENT;
  for (size_t slot = dfm_value_hash(name, length) & (index->n_slots - 1); index->slots[slot];
       slot = next_slot(index, slot)) {
    const size_t i = index->slots[slot] - 1;
    const dfm_cell cell = name_of(index, i, position);
    if (cell.n != length || memcmp(cell.bytes, name, length) != 0) continue;
    if (*at != DFM_ABSENT) {
      const size_t first = *at < i ? *at : i, second = *at < i ? i : *at;
      return dfm_fail_at(
          error, DFM_ERROR_FORMAT, dfm_source_name(source), header_line(source), (long long)index->cells[second].column,
          "the header has the column '%s' twice, as cells %zu and %zu; rename one", name, first + 1, second + 1);
    }
    *at = i;
  }
  return DFM_OK;
}

static void set_position(dfm_source *source, dfm_kind kind, size_t at, int *f, int *d) {
  switch (kind) {
    case DFM_KIND_CATEGORY:
    case DFM_KIND_LIST:
      source->category_at[(*f)++] = at;
      break;
    case DFM_KIND_NUMBER:
      source->number_at[(*d)++] = at;
      break;
    case DFM_KIND_LABEL:
      source->label_at = at;
      break;
    case DFM_KIND_WEIGHT:
      source->weight_at = at;
      break;
    case DFM_KIND_IGNORE:
      break;
  }
}

/* Whether rows may come without a column of this kind. */
static bool is_dispensable(const dfm_source *source, dfm_kind kind) {
  if (kind == DFM_KIND_LABEL) return source->label_optional;
  if (kind == DFM_KIND_WEIGHT) return source->label_optional || source->missing_unknown;
  return source->missing_unknown;
}

static dfm_status fail_missing(const dfm_source *source, const dfm_column *column, dfm_error *error) {
  static const char *const kinds[] = {[DFM_KIND_CATEGORY] = "a category",
                                      [DFM_KIND_LIST] = "a list",
                                      [DFM_KIND_NUMBER] = "a number",
                                      [DFM_KIND_LABEL] = "the label",
                                      [DFM_KIND_WEIGHT] = "the weight"};
  char shown[DFM_SHOW_BYTES];
  const char *remedy = column->kind == DFM_KIND_LABEL ? "name another label column" : source->missing_hint;
  return dfm_fail_at(error, DFM_ERROR_MISMATCH, dfm_source_name(source), header_line(source), 0,
                     "the header has no column '%s', which the schema has as %s; add it to the file%s%s",
                     dfm_show(shown, column->name, strlen(column->name)), kinds[column->kind], remedy ? ", or " : "",
                     remedy ? remedy : "");
}

/* No cell of the first row is a column's name. A row that is one cell has another separator, most likely. */
static dfm_status fail_nameless(const dfm_source *source, const dfm_cell *first, size_t n, dfm_error *error) {
  static const char separators[] = ",;\t|:";
  const dfm_schema *schema = source->encoder->schema;
  char shown[DFM_SHOW_BYTES], wanted[DFM_SHOW_BYTES], other[DFM_SHOW_BYTES];
  dfm_show(shown, first->bytes, first->n);
  for (const char *mark = separators; source->spans && n == 1 && schema->n_columns > 1 && *mark; mark++) {
    if (*mark == schema->separator || !memchr(first->bytes, *mark, first->n)) continue;
    return dfm_fail_at(error, DFM_ERROR_MISMATCH, dfm_source_name(source), header_line(source), 0,
                       "the first row is one cell, '%s', where cells are separated by '%s'; write the file with that "
                       "separator instead of '%s'",
                       shown, dfm_show(wanted, &schema->separator, 1), dfm_show(other, mark, 1));
  }
  return dfm_fail_at(
      error, DFM_ERROR_MISMATCH, dfm_source_name(source), header_line(source), 0,
      "the first row has none of the schema's column names (its first cell is '%s'); add the header line "
      "that the schema asks for",
      shown);
}

/* By name, in any order, among any other columns. */
static dfm_status place_by_name(dfm_source *source, const name_index *index, size_t n, dfm_error *error) {
  const dfm_schema *schema = source->encoder->schema;
  const dfm_column *missing = NULL;
  size_t n_found = 0;
  int f = 0, d = 0;
  for (size_t i = 0; i < schema->n_columns; i++) {
    const dfm_column *column = &schema->columns[i];
    if (column->kind == DFM_KIND_IGNORE) continue;
    size_t at;
    DFM_TRY(find_name(source, index, column->name, &at, error));
    n_found += at != DFM_ABSENT;
    if (at == DFM_ABSENT && !missing && !is_dispensable(source, column->kind)) missing = column;
    set_position(source, column->kind, at, &f, &d);
  }
  source->n_cells = n;
  if (n_found == 0) return fail_nameless(source, &index->cells[0], n, error);
  return missing ? fail_missing(source, missing, error) : DFM_OK;
}

/* By position; where labels are optional their column may be left out, which moves those after it. */
static void place_by_position(dfm_source *source, size_t n) {
  const dfm_schema *schema = source->encoder->schema;
  size_t label = DFM_ABSENT;
  int f = 0, d = 0;
  for (size_t i = 0; i < schema->n_columns; i++) {
    if (schema->columns[i].kind == DFM_KIND_LABEL) label = i;
  }
  const bool has_label = label != DFM_ABSENT && !(source->label_optional && n + 1 == schema->n_columns);
  for (size_t i = 0; i < schema->n_columns; i++) {
    const bool is_after = !has_label && label != DFM_ABSENT && i > label;
    set_position(source, schema->columns[i].kind, i == label && !has_label ? DFM_ABSENT : i - is_after, &f, &d);
  }
  source->n_cells = schema->n_columns - (label != DFM_ABSENT && !has_label);
}

/* The column of true probabilities: by name, or by 1-based position in a file without header (`index` NULL). */
static dfm_status place_truth(dfm_source *source, const name_index *index, size_t n, dfm_error *error) {
  const char *truth = source->truth_name;
  long long position = 0;
  if (!truth) return DFM_OK;
  if (index) {
    DFM_TRY(find_name(source, index, truth, &source->truth_at, error));
  } else if (dfm_parse_int64(truth, strlen(truth), &position) && position >= 1 && (size_t)position <= n) {
    source->truth_at = (size_t)position - 1;
  }
  if (source->truth_at != DFM_ABSENT) return DFM_OK;
  return dfm_fail_at(error, DFM_ERROR_MISMATCH, dfm_source_name(source), header_line(source), 0,
                     index ? "the header has no column '%s' of true probabilities; name one of its columns"
                           : "there is no column '%s' of true probabilities; give its position, counted from 1",
                     truth);
}

/* ---- the whole */

static dfm_status begin(dfm_source *source, dfm_error *error) {
  const size_t F = (size_t)source->encoder->F, D = (size_t)source->encoder->D;
  source->label_at = source->weight_at = source->truth_at = DFM_ABSENT;
  DFM_TRY(dfm_alloc(&source->category_at, F, sizeof *source->category_at, error));
  return dfm_alloc(&source->number_at, D, sizeof *source->number_at, error);
}

static void end(dfm_source *source) {
  source->has_label = source->label_at != DFM_ABSENT;
  source->has_weight = source->weight_at != DFM_ABSENT;
  source->has_truth = source->truth_at != DFM_ABSENT;
}

dfm_status dfm_source_place_names(dfm_source *source, const dfm_cell *cells, size_t n, dfm_error *error) {
  name_index index;
  DFM_TRY(begin(source, error));
  DFM_TRY(index_names(source->encoder->schema, cells, n, &index, error));
  dfm_status status = place_by_name(source, &index, n, error);
  if (status == DFM_OK) status = place_truth(source, &index, n, error);
  free(index.slots);
  end(source);
  return status;
}

dfm_status dfm_source_place_positions(dfm_source *source, size_t n, dfm_error *error) {
  DFM_TRY(begin(source, error));
  place_by_position(source, n);
  DFM_TRY(place_truth(source, NULL, n, error));
  end(source);
  return DFM_OK;
}
