/* Places: names that rows have in them come in; the columns that they stand for go out, by a hash index. */
#include <math.h>

#include "data/row.h"
#include "data/source.h"

/* ---- the index */

static void add_place(dfm_source *source, dfm_place place) {
  const uint64_t mask = source->place_slots - 1;
  uint64_t slot = dfm_value_hash(place.name, strlen(place.name)) & mask;
  while (source->place_slot[slot]) slot = (slot + 1) & mask;
  source->place[source->n_places++] = place;
  source->place_slot[slot] = (uint32_t)source->n_places;
}

const dfm_place *dfm_places_find(const dfm_source *source, const char *name, size_t n) {
  const uint64_t mask = source->place_slots - 1;
  for (uint64_t slot = dfm_value_hash(name, n) & mask; source->place_slot[slot]; slot = (slot + 1) & mask) {
    const dfm_place *place = &source->place[source->place_slot[slot] - 1];
    if (strlen(place->name) == n && memcmp(place->name, name, n) == 0) return place;
  }
  return NULL;
}

dfm_status dfm_places_make(dfm_source *source, dfm_error *error) {
  const dfm_schema *schema = source->encoder->schema;
  const size_t n = schema->n_columns + 1;
  int f = 0, d = 0;
  for (source->place_slots = 2; source->place_slots < 2 * n;) source->place_slots *= 2;
  DFM_TRY(dfm_alloc(&source->place, n, sizeof *source->place, error));
  DFM_TRY(dfm_alloc(&source->place_slot, source->place_slots, sizeof *source->place_slot, error));
  for (int i = 0; i < dfm_pool_threads(source->pool); i++)
    DFM_TRY(dfm_alloc(&source->scratch[i].seen, n, sizeof *source->scratch[i].seen, error));
  for (size_t i = 0; i < schema->n_columns; i++) {
    const dfm_column *column = &schema->columns[i];
    dfm_place place = {.name = column->name, .kind = column->kind};
    if (place.kind == DFM_KIND_CATEGORY || place.kind == DFM_KIND_LIST) place.at = f++;
    if (place.kind == DFM_KIND_NUMBER) place.at = d++;
    place.is_truth = source->truth_name && strcmp(source->truth_name, column->name) == 0;
    source->has_label |= place.kind == DFM_KIND_LABEL;
    source->has_weight |= place.kind == DFM_KIND_WEIGHT;
    source->has_truth |= place.is_truth;
    add_place(source, place);
  }
  if (source->truth_name && !source->has_truth)
    add_place(source, (dfm_place){.name = source->truth_name, .kind = DFM_KIND_IGNORE, .is_truth = true});
  source->has_truth = source->truth_name != NULL;
  return DFM_OK;
}

/* ---- rows by places */

bool dfm_row_sees(dfm_row *row, const dfm_place *place) {
  uint64_t *seen = &row->scratch->seen[place - row->source->place];
  if (*seen == row->scratch->row) return false;
  *seen = row->scratch->row;
  return true;
}

dfm_status dfm_row_put(dfm_row *row, const dfm_place *place, dfm_cell cell, dfm_error *error) {
  if (place->is_truth) DFM_TRY(dfm_row_put_truth(row, cell, error));
  switch (place->kind) {
    case DFM_KIND_CATEGORY:
      return dfm_row_put_category(row, place->at, cell, error);
    case DFM_KIND_LIST:
      return dfm_row_put_item(row, place->at, cell, error);
    case DFM_KIND_NUMBER:
      return dfm_row_put_number(row, place->at, cell, error);
    case DFM_KIND_LABEL:
      return dfm_row_put_label(row, cell, error);
    case DFM_KIND_WEIGHT:
      return dfm_row_put_weight(row, cell, error);
    case DFM_KIND_IGNORE:
      break;
  }
  return DFM_OK;
}

void dfm_row_begin(dfm_row *row) {
  const dfm_encoder *encoder = row->encoder;
  dfm_block *block = row->block;
  const dfm_value empty = dfm_value_of("", 0);
  for (int f = 0; f < encoder->F; f++) *dfm_block_value(block, f, block->rows) = empty;
  for (int d = 0; d < encoder->D; d++) block->number[block->rows * encoder->D + d] = NAN;
  row->scratch->row++;
}

/* Whether rows may not come without it. */
static bool is_needed(const dfm_source *source, const dfm_place *place) {
  if (place->kind == DFM_KIND_LABEL) return !source->label_optional;
  if (place->kind == DFM_KIND_WEIGHT) return !source->label_optional && !source->missing_unknown;
  return place->is_truth;
}

dfm_status dfm_row_end(dfm_row *row, dfm_error *error) {
  const dfm_source *source = row->source;
  for (int f = 0; f < source->encoder->F; f++)
    if (source->encoder->category[f].is_list) dfm_block_end_list(row->block, f);
  for (size_t i = 0; i < source->n_places; i++) {
    const dfm_place *place = &source->place[i];
    if (row->scratch->seen[i] == row->scratch->row || !is_needed(source, place)) continue;
    row->block->reason = place->is_truth                 ? DFM_BAD_TRUTH
                         : place->kind == DFM_KIND_LABEL ? DFM_BAD_LABEL
                                                         : DFM_BAD_WEIGHT;
    return dfm_fail_at(error, DFM_ERROR_FORMAT, dfm_text_rows_path(source->rows), row->span->line, 0,
                       "the row has no %s '%s'; add it, or leave the row out",
                       place->is_truth ? "true probability" : dfm_choice_name("kind", (int)place->kind), place->name);
  }
  return DFM_OK;
}
