/* Rows: one row's span comes in; the cells that its format finds there are put into a block, or become a sentence on
 * what is wrong. */
#ifndef DFM_DATA_ROW_H
#define DFM_DATA_ROW_H

#include "base/memory.h"
#include "data/block.h"
#include "data/category.h"
#include "data/delimited.h"
#include "data/format.h"

/* What a thread reads rows with. */
typedef struct dfm_row_scratch {
  dfm_cells cells;
  const char *copies, *copies_end; /* where unescaped cells lie: from cells.text on */
  uint64_t *seen;                  /* (names of the source) the row that had it last, */
  uint64_t row;                    /* counted from 1 */
  dfm_text key;                    /* of a nested value */
  uint32_t *start;                 /* where the cells of a delimited row begin */
  size_t start_capacity;
} dfm_row_scratch;

/* Unescaped cells go to `text`, which has room for all that will be read. */
static inline void dfm_row_scratch_use(dfm_row_scratch *scratch, char *text, size_t size) {
  scratch->cells.text = text;
  scratch->copies = text;
  scratch->copies_end = text ? text + size : NULL;
}

struct dfm_row {
  const dfm_source *source;
  const dfm_encoder *encoder; /* its */
  const dfm_row_span *span;   /* of text; */
  int64_t number;             /* else: from 1 */
  const char *limit;          /* where the bytes around the span, or the cell that is put, can be read up to */
  dfm_row_scratch *scratch;
  dfm_block *block;
  size_t n_starts;  /* cells that the format found with the line; 0: they are yet to be found */
  int watched;      /* the field whose first value that the vocabulary lacks is looked for; -1: none */
  dfm_cell unknown; /* that; bytes NULL: not met */
};

/* "path:line:column: column 'NAME' PROBLEM: 'CELL'; REMEDY", or "arrow, row N: column ...". */
dfm_status dfm_row_fail(const dfm_row *row, const dfm_cell *cell, const char *name, const char *problem,
                        const char *remedy, dfm_error *error);
/* Where bytes of a cell can be read up to: unescaped ones lie apart from the row. */
static inline const char *dfm_row_limit(const dfm_row *row, const char *bytes) {
  const uintptr_t size = (uintptr_t)(row->scratch->copies_end - row->scratch->copies);
  return (uintptr_t)bytes - (uintptr_t)row->scratch->copies < size ? row->scratch->copies_end : row->limit;
}
/* Notes the cell where it is the first of the watched field whose value the vocabulary lacks. */
void dfm_row_note(dfm_row *row, const dfm_value *value, const dfm_cell *cell);
static inline void dfm_row_watch(dfm_row *row, int f, const dfm_value *value, const dfm_cell *cell) {
  if (row->watched == f && !row->unknown.bytes) dfm_row_note(row, value, cell);
}
/* Field f where rows have no such column. */
void dfm_row_put_absent(dfm_row *row, int f);
/* The cell of category f, list f (items and separators), number d; and the row's own. */
static inline dfm_status dfm_row_put_category(dfm_row *row, int f, dfm_cell cell, dfm_error *error);
dfm_status dfm_row_put_list(dfm_row *row, int f, dfm_cell cell, dfm_error *error);
dfm_status dfm_row_put_number(dfm_row *row, int d, dfm_cell cell, dfm_error *error);
dfm_status dfm_row_put_label(dfm_row *row, dfm_cell cell, dfm_error *error);
dfm_status dfm_row_put_weight(dfm_row *row, dfm_cell cell, dfm_error *error);
dfm_status dfm_row_put_truth(dfm_row *row, dfm_cell cell, dfm_error *error);
/* One item of list f, with its weight in the cell where the schema has weights; or apart, a finite number. */
dfm_status dfm_row_put_item(dfm_row *row, int f, dfm_cell cell, dfm_error *error);
dfm_status dfm_row_put_weighted(dfm_row *row, int f, dfm_cell cell, float weight, dfm_error *error);

/* What is not every cell's: transforms, and a field that is watched. */
dfm_status dfm_row_finish_category(dfm_row *row, int f, dfm_value *value, const dfm_cell *cell, dfm_error *error);
static inline dfm_status dfm_row_put_category(dfm_row *row, int f, dfm_cell cell, dfm_error *error) {
  const dfm_encoder *encoder = row->encoder;
  dfm_value *value = dfm_block_value(row->block, f, row->block->rows);
  cell = dfm_cell_clean(encoder->schema, cell);
  dfm_value_set(value, cell.bytes, cell.n, dfm_row_limit(row, cell.bytes));
  if (!dfm_category_is_number(&encoder->category[f].settings) && row->watched < 0) return DFM_OK;
  return dfm_row_finish_category(row, f, value, &cell, error);
}

/* ---- for formats whose rows name what they have */

/* What a name stands for. */
typedef struct dfm_place {
  const char *name;
  dfm_kind kind;
  int at; /* f or d */
  bool is_truth;
} dfm_place;

/* Fills source->place from the schema and the truth's name. */
dfm_status dfm_places_make(dfm_source *source, dfm_error *error);
/* The place of that name, or NULL. */
const dfm_place *dfm_places_find(const dfm_source *source, const char *name, size_t n);
/* Counts the place as seen in this row; false where it was before. */
bool dfm_row_sees(dfm_row *row, const dfm_place *place);
/* Puts the cell where it belongs; one of a list is one item. */
dfm_status dfm_row_put(dfm_row *row, const dfm_place *place, dfm_cell cell, dfm_error *error);
/* Empties all cells, before the first is put. */
void dfm_row_begin(dfm_row *row);
/* Ends lists and misses the label, after the last. */
dfm_status dfm_row_end(dfm_row *row, dfm_error *error);

#endif
