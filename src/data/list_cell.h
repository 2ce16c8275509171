/* List cells: the bytes of a cell come in; its items and their weights go out, into a block. */
#ifndef DFM_DATA_LIST_CELL_H
#define DFM_DATA_LIST_CELL_H

#include "data/block.h"
#include "data/delimited.h"

/* Appends the items of list field f's cell, of text that can be read up to `limit`, to the block's next row. Empty items,
 * and with the schema's spaces and missing words gone, those that become empty, are left out. `*bad` is the first item
 * whose weight is no finite number, or whose value its transform refuses; bytes NULL where there is none. */
dfm_status dfm_list_cell_read(const dfm_encoder *encoder, int f, dfm_cell cell, const char *limit, dfm_block *block,
                              dfm_cell *bad, dfm_error *error);

/* The same for one item, clean, that came by itself. */
dfm_status dfm_list_item_read(const dfm_encoder *encoder, int f, dfm_cell item, const char *limit, dfm_block *block,
                              dfm_cell *bad, dfm_error *error);

#endif
