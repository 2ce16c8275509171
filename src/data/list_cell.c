/* List cells: "a|b:0.5|c" comes in; items go out. */
#include "data/list_cell.h"

#include "base/number.h"
#include "data/category.h"

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

dfm_status dfm_list_item_read(const dfm_encoder *encoder, int f, dfm_cell item, const char *limit, dfm_block *block,
                              dfm_cell *bad, dfm_error *error) {
  const dfm_field_settings *settings = &encoder->category[f].settings;
  const dfm_cell whole = item;
  dfm_value *value;
  float number = 1, *weight;
  if (item.n == 0) return DFM_OK;
  if (settings->weights > 0 && !cut_weight(encoder->schema, (char)settings->weights, &item, &number)) {
    *bad = whole;
    return DFM_OK;
  }
  if (item.n == 0) return DFM_OK;
  DFM_TRY(dfm_block_add_item(block, f, &value, &weight, error));
  dfm_value_set(value, item.bytes, item.n, limit);
  *weight = number;
  if (dfm_category_transform(settings, value) != DFM_NUMBER_OK) *bad = whole;
  return DFM_OK;
}

dfm_status dfm_list_cell_read(const dfm_encoder *encoder, int f, dfm_cell cell, const char *limit, dfm_block *block,
                              dfm_cell *bad, dfm_error *error) {
  const char separator = (char)encoder->category[f].settings.separator;
  *bad = (dfm_cell){0};
  for (size_t from = 0; from < cell.n && !bad->bytes;) {
    const char *stop = memchr(cell.bytes + from, separator, cell.n - from);
    const size_t end = stop ? (size_t)(stop - cell.bytes) : cell.n;
    const dfm_cell item =
        dfm_cell_clean(encoder->schema, (dfm_cell){cell.bytes + from, end - from, cell.column + from});
    DFM_TRY(dfm_list_item_read(encoder, f, item, limit, block, bad, error));
    from = end + 1;
  }
  return DFM_OK;
}
