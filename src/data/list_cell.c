/* List cells: "a|b:0.5|c" comes in; items go out. */
#include "data/list_cell.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/number.h"
#include "data/vocabulary.h"

/* Cuts ":WEIGHT" off the item's value; false where there is none or no number. */
static bool cut_weight(const dfm_schema *schema, char mark, dfm_item *item) {
  const dfm_cell whole = item->value;
  size_t at = whole.n;
  while (at > 0 && whole.bytes[at - 1] != mark) at--;
  if (at == 0) return false;
  item->value.n = at - 1;
  if (schema->strip_spaces) item->value = dfm_cell_strip(item->value);
  dfm_cell weight = {whole.bytes + at, whole.n - at, 0};
  if (schema->strip_spaces) weight = dfm_cell_strip(weight);
  return dfm_parse_float(weight.bytes, weight.n, &item->weight) == DFM_NUMBER_OK;
}

dfm_status dfm_list_cell_split(const dfm_schema *schema, const dfm_field_settings *settings, dfm_cell cell,
                               dfm_items *items, dfm_cell *bad, dfm_error *error) {
  *bad = (dfm_cell){0};
  items->n = 0;
  for (size_t from = 0; cell.bytes && from < cell.n;) {
    const char *stop = memchr(cell.bytes + from, settings->separator, cell.n - from);
    const size_t end = stop ? (size_t)(stop - cell.bytes) : cell.n;
    dfm_item item = {dfm_cell_clean(schema, (dfm_cell){cell.bytes + from, end - from, cell.column + from}), 0, 1};
    from = end + 1;
    if (item.value.n == 0) continue;
    const dfm_cell whole = item.value;
    if (settings->weights > 0 && !cut_weight(schema, (char)settings->weights, &item)) {
      *bad = whole;
      return DFM_OK;
    }
    if (item.value.n == 0) continue;
    item.hash = dfm_value_hash(item.value.bytes, item.value.n);
    DFM_TRY(dfm_grow(&items->item, &items->capacity, items->n + 1, sizeof *items->item, error));
    items->item[items->n++] = item;
  }
  return DFM_OK;
}
