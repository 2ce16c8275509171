/* Cells of list fields: the bytes of a cell come in; its items, hashed, with their weights, go out. */
#ifndef DFM_DATA_LIST_CELL_H
#define DFM_DATA_LIST_CELL_H

#include "data/delimited.h"
#include "data/encoder.h"

typedef struct dfm_item {
  dfm_cell value;
  uint64_t hash;
  float weight; /* 1 where items have none */
} dfm_item;

typedef struct dfm_items {
  dfm_item *item;
  size_t n, capacity;
} dfm_items;

/* Splits a cell by the field's separator; empty items, and with the schema's spaces and missing words gone, those that
 * become empty, are left out. `*bad` is the first item whose weight is no finite number, bytes NULL where there is
 * none. */
dfm_status dfm_list_cell_split(const dfm_schema *schema, const dfm_field_settings *settings, dfm_cell cell,
                               dfm_items *items, dfm_cell *bad, dfm_error *error);
/* The cell without what does not belong to it; a missing word becomes the empty cell. */
dfm_cell dfm_cell_clean(const dfm_schema *schema, dfm_cell cell);

#endif
