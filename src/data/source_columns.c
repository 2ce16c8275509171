/* Opening of text rows: an input and an encoder come in; a source that knows where each wanted column is goes out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/number.h"
#include "data/source.h"

const char *dfm_source_name(const dfm_source *source) {
  return source->rows ? dfm_text_rows_path(source->rows) : dfm_input_name(source->input);
}

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
  return dfm_fail_at(error, DFM_ERROR_MISMATCH, dfm_source_name(source), header_line(source), 0,
                     "the header has no column '%s', which the schema has as %s; %s", column->name, kinds[column->kind],
                     column->kind == DFM_KIND_LABEL ? "add it to the file, or name another label column"
                                                    : "add it to the file, or read it with --missing-columns unknown");
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
  if (n_found == 0) {
    char shown[DFM_SHOW_BYTES];
    return dfm_fail_at(
        error, DFM_ERROR_MISMATCH, dfm_source_name(source), header_line(source), 0,
        "the first row has none of the schema's column names (its first cell is '%s'); add the header line that the "
        "schema asks for",
        dfm_show(shown, index->cells->bytes, index->cells->n));
  }
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
  source->has_first_row = true;
}

/* A schema may be without label, and then is good for prediction alone. */
static dfm_status check_label(const dfm_source *source, dfm_error *error) {
  if (source->label_at != DFM_ABSENT || source->label_optional) return DFM_OK;
  return dfm_fail(error, DFM_ERROR_MISMATCH, "the schema of %s has no label column; give one column the kind label",
                  dfm_source_name(source));
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

/* ---- files */

static void close_file(dfm_source *source) {
  dfm_text_rows_close(source->rows);
  if (source->feed) dfm_input_return(source->input, source->file, source->feed);
  source->rows = NULL;
  source->feed = NULL;
}

static dfm_status fail_empty(const dfm_source *source, dfm_error *error) {
  return dfm_fail(error, DFM_ERROR_FORMAT, "%s is empty; it needs %s", dfm_source_name(source),
                  source->encoder->schema->has_header ? "a header and rows" : "rows");
}

static dfm_status open_file(dfm_source *source, size_t file, dfm_error *error) {
  const dfm_schema *schema = source->encoder->schema;
  DFM_TRY(dfm_input_take(source->input, file, &source->feed, error));
  source->file = file;
  const dfm_row_syntax syntax = {schema->separator, schema->comment};
  DFM_TRY(dfm_text_rows_open(source->feed, &syntax, false, &source->rows, error));
  return dfm_text_rows_is_empty(source->rows) ? fail_empty(source, error) : DFM_OK;
}

dfm_status dfm_source_first(dfm_source *source, size_t *n, dfm_error *error) {
  const dfm_schema *schema = source->encoder->schema;
  dfm_cells *cells = source->cells;
  DFM_TRY(dfm_text_rows_next(source->rows, source->spans, 1, &source->n_at_hand, error));
  *n = 0;
  if (source->n_at_hand == 0) return DFM_OK;
  DFM_TRY(dfm_grow(&source->text, &source->text_capacity, source->spans->n, 1, error));
  cells->text = source->text;
  DFM_TRY(dfm_delimited_split(source->spans, schema->separator, dfm_source_name(source),
                              dfm_text_rows_limit(source->rows), cells, error));
  *n = cells->n;
  return DFM_OK;
}

/* ---- headers: those of further files are held against the first one's */

static dfm_cell header_cell(const dfm_source *source, const dfm_cell *cells, size_t i) {
  return source->encoder->schema->strip_spaces ? dfm_cell_strip(cells[i]) : cells[i];
}

static dfm_status keep_header(dfm_source *source, const dfm_cell *cells, size_t n, dfm_error *error) {
  DFM_TRY(dfm_alloc(&source->header_end, n, sizeof *source->header_end, error));
  for (size_t i = 0; i < n; i++) {
    const dfm_cell cell = header_cell(source, cells, i);
    DFM_TRY(dfm_text_add(&source->header, cell.bytes, cell.n, error));
    source->header_end[i] = source->header.length;
  }
  return DFM_OK;
}

static dfm_cell kept_cell(const dfm_source *source, size_t i) {
  const size_t start = i ? source->header_end[i - 1] : 0;
  return (dfm_cell){source->header.bytes + start, source->header_end[i] - start, 0};
}

static dfm_status check_header(const dfm_source *source, const dfm_cell *cells, size_t n, dfm_error *error) {
  const char *first = dfm_input_path(source->input, 0);
  char here[DFM_SHOW_BYTES], there[DFM_SHOW_BYTES];
  for (size_t i = 0; i < n && i < source->n_cells; i++) {
    const dfm_cell cell = header_cell(source, cells, i), kept = kept_cell(source, i);
    if (cell.n == kept.n && memcmp(cell.bytes, kept.bytes, cell.n) == 0) continue;
    return dfm_fail_at(error, DFM_ERROR_MISMATCH, dfm_source_name(source), source->spans->line, (long long)cell.column,
                       "column %zu is called '%s' here and '%s' in %s; give all files the same header", i + 1,
                       dfm_show(here, cell.bytes, cell.n), dfm_show(there, kept.bytes, kept.n), first);
  }
  if (n == source->n_cells) return DFM_OK;
  return dfm_fail_at(error, DFM_ERROR_MISMATCH, dfm_source_name(source), source->spans->line, 0,
                     "the header has %zu columns here and %zu in %s; give all files the same header", n,
                     source->n_cells, first);
}

dfm_status dfm_source_next_file(dfm_source *source, bool *is_open, dfm_error *error) {
  size_t n;
  const size_t next = source->file + 1;
  *is_open = next < dfm_input_files(source->input);
  if (!*is_open) return DFM_OK;
  close_file(source);
  DFM_TRY(open_file(source, next, error));
  if (!source->encoder->schema->has_header) return DFM_OK;
  DFM_TRY(dfm_source_first(source, &n, error));
  return n == 0 ? fail_empty(source, error) : check_header(source, source->cells->cell, n, error);
}

/* ---- the whole */

static dfm_status place_names(dfm_source *source, const name_index *index, size_t n, dfm_error *error) {
  DFM_TRY(place_by_name(source, index, n, error));
  DFM_TRY(check_label(source, error));
  return place_truth(source, index, n, error);
}

dfm_status dfm_source_place(dfm_source *source, const dfm_cell *cells, size_t n, dfm_error *error) {
  name_index index;
  DFM_TRY(index_names(source->encoder->schema, cells, n, &index, error));
  const dfm_status status = place_names(source, &index, n, error);
  free(index.slots);
  return status;
}

static dfm_status find_columns(dfm_source *source, dfm_error *error) {
  size_t n;
  DFM_TRY(dfm_source_first(source, &n, error));
  if (n == 0) return fail_empty(source, error);
  if (source->encoder->schema->has_header) {
    DFM_TRY(dfm_source_place(source, source->cells->cell, n, error));
    return keep_header(source, source->cells->cell, n, error);
  }
  place_by_position(source, n);
  DFM_TRY(check_label(source, error));
  return place_truth(source, NULL, n, error);
}

dfm_status dfm_source_open_text(dfm_source *source, dfm_error *error) {
  DFM_TRY(dfm_alloc(&source->spans, source->capacity, sizeof *source->spans, error));
  DFM_TRY(open_file(source, 0, error));
  return find_columns(source, error);
}

void dfm_source_close_text(dfm_source *source) {
  close_file(source);
  free(source->header.bytes);
  free(source->header_end);
  free(source->spans);
}

/* Blocks to fill at once: some for each thread, so that one that is done early has more to do. */
enum { BLOCKS_PER_THREAD = 4 };

static dfm_status allocate(dfm_source *source, dfm_error *error) {
  const size_t F = (size_t)source->encoder->F, D = (size_t)source->encoder->D;
  const size_t threads = (size_t)dfm_pool_threads(source->pool), blocks = BLOCKS_PER_THREAD * threads;
  source->capacity = blocks * DFM_BLOCK_ROWS;
  DFM_TRY(dfm_alloc(&source->cells, threads, sizeof *source->cells, error));
  DFM_TRY(dfm_alloc(&source->block, blocks, sizeof(dfm_block *), error));
  for (; source->n_blocks_made < (int)blocks; source->n_blocks_made++)
    DFM_TRY(dfm_block_create(source->encoder, &source->block[source->n_blocks_made], error));
  DFM_TRY(dfm_alloc(&source->category_at, F, sizeof *source->category_at, error));
  return dfm_alloc(&source->number_at, D, sizeof *source->number_at, error);
}

dfm_status dfm_source_open(dfm_input *input, const dfm_encoder *encoder, const dfm_read_options *options,
                           dfm_pool *pool, dfm_source *source, dfm_error *error) {
  const dfm_read_options none = {0};
  if (!options) options = &none;
  const bool is_arrow = dfm_input_arrow(input) != NULL;
  dfm_source made = {.kind = is_arrow ? &dfm_source_arrow : &dfm_source_text,
                     .input = input,
                     .encoder = encoder,
                     .pool = pool,
                     .n_bad_allowed = options->skip_bad_rows,
                     .label_optional = options->label_optional,
                     .missing_unknown = options->missing_unknown,
                     .truth_name = options->truth_column,
                     .label_at = DFM_ABSENT,
                     .weight_at = DFM_ABSENT,
                     .truth_at = DFM_ABSENT};
  dfm_status status = allocate(&made, error);
  if (status == DFM_OK) status = made.kind->open(&made, error);
  if (status != DFM_OK) {
    dfm_source_close(&made);
    return status;
  }
  *source = made;
  return DFM_OK;
}

void dfm_source_close(dfm_source *source) {
  source->kind->close(source);
  free(source->category_at);
  free(source->number_at);
  free(source->text);
  for (int i = 0; i < source->n_blocks_made; i++) dfm_block_free(source->block[i]);
  free(source->block);
  for (int i = 0; source->cells && i < dfm_pool_threads(source->pool); i++) dfm_cells_clear(&source->cells[i]);
  free(source->cells);
  *source = (dfm_source){0};
}
