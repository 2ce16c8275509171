/* List cells: "a|b:0.5|c" comes in; its items go into a block, where what they become is looked at. */
#include "base/number.h"
#include "data/row.h"
#include "data/source.h"

/* Cuts ":WEIGHT" off the item; false where there is none or no number. */
static bool cut_weight(const dfm_schema *schema, char mark, dfm_cell *item, float *weight) {
  size_t at = item->n;
  while (at > 0 && item->bytes[at - 1] != mark) at--;
  if (at == 0) return false;
  dfm_cell number = {item->bytes + at, item->n - at, 0};
  item->n = at - 1;
  if (schema->strip_spaces) {
    *item = dfm_cell_strip(*item);
    number = dfm_cell_strip(number);
  }
  return dfm_parse_float(number.bytes, number.n, weight) == DFM_NUMBER_OK;
}

static dfm_status fail_item(const dfm_row *row, int f, const dfm_cell *item, bool is_weight, dfm_error *error) {
  return dfm_row_fail(
      row, item, row->encoder->category[f].name,
      is_weight ? "has an item whose weight is not a finite number" : "is put in buckets by its numbers but has text",
      is_weight ? "write value, mark and weight, as in a:0.5, or leave `weights` out of the schema"
                : "correct the cell, or leave transform and buckets out",
      error);
}

/* `whole` is the item as it is shown. */
static dfm_status add(dfm_row *row, int f, dfm_cell item, float number, const dfm_cell *whole, dfm_error *error) {
  dfm_value *value;
  float *weight;
  if (item.n == 0) return DFM_OK;
  DFM_TRY(dfm_block_add_item(row->block, f, &value, &weight, error));
  dfm_value_set(value, item.bytes, item.n, dfm_row_limit(row, item.bytes));
  *weight = number;
  if (dfm_category_transform(&row->encoder->category[f].settings, value) != DFM_NUMBER_OK)
    return fail_item(row, f, whole, false, error);
  dfm_row_watch(row, f, value, whole);
  return DFM_OK;
}

dfm_status dfm_row_put_weighted(dfm_row *row, int f, dfm_cell cell, float weight, dfm_error *error) {
  return add(row, f, cell, weight, &cell, error);
}

dfm_status dfm_row_put_item(dfm_row *row, int f, dfm_cell cell, dfm_error *error) {
  const dfm_schema *schema = row->encoder->schema;
  const int mark = row->encoder->category[f].settings.weights;
  const dfm_cell whole = dfm_cell_clean(schema, cell);
  dfm_cell item = whole;
  float weight = 1;
  if (item.n > 0 && mark > 0 && !cut_weight(schema, (char)mark, &item, &weight))
    return fail_item(row, f, &whole, true, error);
  return add(row, f, item, weight, &whole, error);
}

dfm_status dfm_row_put_list(dfm_row *row, int f, dfm_cell cell, dfm_error *error) {
  const char separator = (char)row->encoder->category[f].settings.separator;
  for (size_t from = 0; from < cell.n;) {
    const char *stop = memchr(cell.bytes + from, separator, cell.n - from);
    const size_t end = stop ? (size_t)(stop - cell.bytes) : cell.n;
    DFM_TRY(dfm_row_put_item(row, f, (dfm_cell){cell.bytes + from, end - from, cell.column + from}, error));
    from = end + 1;
  }
  dfm_block_end_list(row->block, f);
  return DFM_OK;
}
