/* Sources of text: rows are spans, taken from the files one after the other. */
#include <string.h>

#include "data/category.h"
#include "data/list_cell.h"
#include "data/source.h"

/* None behind the last file's last. */
static dfm_status next(dfm_source *source, dfm_error *error) {
  bool is_open = true;
  if (source->has_first_row) {
    source->has_first_row = false;
    return DFM_OK;
  }
  do {
    DFM_TRY(dfm_text_rows_next(source->rows, source->spans, source->capacity, &source->n_at_hand, error));
    if (source->n_at_hand > 0) return DFM_OK;
    DFM_TRY(dfm_source_next_file(source, &is_open, error));
  } while (is_open);
  return DFM_OK;
}

/* Cells that contain "" are unescaped, and no longer than they were. */
static size_t text_bytes(const dfm_source *source, size_t row, int n) {
  size_t bytes = 0;
  for (int i = 0; i < n; i++) bytes += source->spans[row + (size_t)i].has_quote ? source->spans[row + (size_t)i].n : 0;
  return bytes;
}

static dfm_status parse(const dfm_source *source, size_t row, dfm_cells *cells, dfm_block *block, dfm_error *error) {
  return dfm_source_parse(source, &source->spans[row], cells, block, error);
}

dfm_status dfm_source_find_unknown(const dfm_source *source, int f, dfm_cell *cell, dfm_block *scratch,
                                   dfm_error *error) {
  const dfm_encoder *encoder = source->encoder;
  const char separator = (char)encoder->category[f].settings.separator;
  for (size_t from = 0; encoder->category[f].is_list && from < cell->n;) {
    const char *stop = memchr(cell->bytes + from, separator, cell->n - from);
    const size_t end = stop ? (size_t)(stop - cell->bytes) : cell->n;
    const dfm_cell item =
        dfm_cell_clean(encoder->schema, (dfm_cell){cell->bytes + from, end - from, cell->column + from});
    dfm_cell bad;
    dfm_block_clear(scratch);
    DFM_TRY(dfm_list_cell_read(encoder, f, item, item.bytes + item.n, scratch, &bad, error));
    dfm_category_find_all(encoder, f, scratch->list[f].item, scratch->list[f].n);
    if (scratch->list[f].n > 0 && scratch->list[f].item->id == DFM_ID_NONE) {
      *cell = item;
      return DFM_OK;
    }
    from = end + 1;
  }
  return DFM_OK;
}

static dfm_status fail_unknown(dfm_source *source, size_t row, int f, dfm_block *scratch, dfm_error *error) {
  const dfm_row_span *span = &source->spans[row];
  const dfm_schema *schema = source->encoder->schema;
  dfm_cells *cells = source->cells;
  DFM_TRY(dfm_delimited_split(span, schema->separator, dfm_text_rows_path(source->rows),
                              dfm_text_rows_limit(source->rows), cells, error));
  dfm_cell cell = dfm_cell_clean(schema, cells->cell[source->category_at[f]]);
  DFM_TRY(dfm_source_find_unknown(source, f, &cell, scratch, error));
  return dfm_source_fail_unknown(source, span, &cell, f, error);
}

const dfm_source_kind dfm_source_text = {.open = dfm_source_open_text,
                                         .next = next,
                                         .text_bytes = text_bytes,
                                         .parse = parse,
                                         .unknown = fail_unknown,
                                         .close = dfm_source_close_text};
