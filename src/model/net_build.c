/* Net building: the fields are laid out over the edges, then the model's file adds its branches. */
#include "model/net_build.h"

#include <stdlib.h>

#include "base/memory.h"

/* Branches that see field f. */
static int branches_of(const dfm_model_kind *kind, const dfm_field_settings *settings) {
  return kind->branches & settings->into;
}

/* Gives embedded fields with exactly the branches `wanted` of {fm, dnn} their columns of EMBED. */
static void place_fields(dfm_net *net, const dfm_encoder *encoder, const dfm_model_kind *kind, int wanted,
                         int *column) {
  for (int f = 0; f < net->F; f++) {
    if ((branches_of(kind, &encoder->category[f].settings) & (DFM_INTO_FM | DFM_INTO_DNN)) != wanted) continue;
    net->field[f].width = net->n_slots > 0 ? net->slot_width : encoder->category[f].settings.width;
    if (net->n_slots > 0 && !encoder->category[f].is_list) continue; /* read where it lies */
    net->field[f].column = *column;
    *column += net->field[f].width;
  }
}

static dfm_status check_fm_width(dfm_net *net, const dfm_encoder *encoder, const dfm_model_kind *kind,
                                 dfm_error *error) {
  for (int f = 0; f < net->F; f++) {
    const dfm_category_field *field = &encoder->category[f];
    if (!(branches_of(kind, &field->settings) & DFM_INTO_FM)) continue;
    if (net->fm_width == 0) net->fm_width = field->settings.width;
    if (field->settings.width != net->fm_width) {
      return dfm_fail(error, DFM_ERROR_VALUE,
                      "field '%s' has embedding width %d but the other fields of the fm branch have %d; give them one "
                      "width, or take the field out of fm (--set fields.%s.into=linear,dnn)",
                      field->name, field->settings.width, net->fm_width, field->name);
    }
  }
  return DFM_OK;
}

static dfm_net_field describe_field(const dfm_model_kind *kind, const dfm_category_field *field) {
  const int branches = branches_of(kind, &field->settings);
  return (dfm_net_field){.table = field->table,
                         .first = (branches & DFM_INTO_LINEAR) != 0,
                         .column = -1,
                         .slot = -1,
                         .pools_max = field->is_list && field->settings.pool == DFM_POOL_MAX,
                         .has_within = field->is_list && field->settings.within && (branches & DFM_INTO_FM)};
}

static dfm_status describe_fields(dfm_net *net, const dfm_encoder *encoder, const dfm_model_kind *kind,
                                  dfm_error *error) {
  DFM_TRY(dfm_alloc(&net->field, (size_t)net->F, sizeof *net->field, error));
  DFM_TRY(dfm_alloc(&net->table, (size_t)net->F, sizeof *net->table, error));
  DFM_TRY(dfm_alloc(&net->number_into, (size_t)net->D, sizeof *net->number_into, error));
  DFM_TRY(dfm_alloc(&net->dnn_number, (size_t)net->D, sizeof *net->dnn_number, error));
  DFM_TRY(dfm_alloc(&net->slot_number, (size_t)net->D, sizeof *net->slot_number, error));
  for (int f = 0; f < net->F; f++) {
    net->field[f] = describe_field(kind, &encoder->category[f]);
    net->n_pairs += (branches_of(kind, &encoder->category[f].settings) & DFM_INTO_FM) != 0;
    net->edge_n[DFM_EDGE_WITHIN] |= net->field[f].has_within;
  }
  for (int d = 0; d < net->D; d++) {
    net->number_into[d] = branches_of(kind, &encoder->number[d].settings);
    net->n_pairs += (net->number_into[d] & DFM_INTO_FM) != 0;
    if (net->number_into[d] & DFM_INTO_DNN) net->dnn_number[net->n_dnn_number++] = d;
  }
  return DFM_OK;
}

/* Tables whose rows training has no need to see side by side: without a dnn and field-aware pairs, each of their fields
 * has one value a row, and takes part in all that the table holds. */
static void find_summed(dfm_net *net, const dfm_encoder *encoder, const dfm_model_kind *kind) {
  if ((kind->branches & DFM_INTO_DNN) || net->is_field_aware) return;
  for (int f = 0; f < net->F; f++) net->table[net->field[f].table].is_summed = true;
  for (int f = 0; f < net->F; f++) {
    const int table = net->field[f].table, of = branches_of(kind, &encoder->category[f].settings);
    if (encoder->category[f].is_list || !(of & DFM_INTO_LINEAR) ||
        of != branches_of(kind, &encoder->category[table].settings))
      net->table[table].is_summed = false;
  }
  for (int t = 0; t < net->F; t++) net->has_sums |= net->table[t].is_summed;
}

/* Slots for the fields of the pair branch, of which summed ones come last: field-aware factors are in the order of
 * fields. */
static void give_field_slots(dfm_net *net, const dfm_encoder *encoder, const dfm_model_kind *kind) {
  for (int is_summed = 0; is_summed < 2; is_summed++)
    for (int f = 0; f < net->F; f++) {
      if (!(branches_of(kind, &encoder->category[f].settings) & DFM_INTO_FM)) continue;
      if (net->table[net->field[f].table].is_summed != (is_summed == 1)) continue;
      net->field[f].slot = net->n_slots++;
      net->n_summed += is_summed;
      if (net->is_field_aware) net->field[f].within_from = net->field[f].slot * net->fm_width;
    }
}

/* Bytes of table rows that go through the layers at once: they and their gradients fit the first-level cache. */
enum { TILE_BYTES = 16384, MAX_TILE = 32 };

/* Without a dnn: a slot for each number and field of the pair branch. */
static dfm_status give_slots(dfm_net *net, const dfm_encoder *encoder, const dfm_model_kind *kind, dfm_error *error) {
  const long long width = net->is_field_aware ? (long long)net->n_pairs * net->fm_width : net->fm_width;
  net->slot_width = (int)width;
  if ((kind->branches & DFM_INTO_DNN) || net->n_pairs == 0) return DFM_OK;
  if (width > DFM_MAX_ROW_FACTORS) {
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "%d fields with %d factors for each other make rows of %lld weights; the most is %d: lower "
                    "embedding.width, or take fields out of fm (--set fields.NAME.into=linear)",
                    net->n_pairs, net->fm_width, width, DFM_MAX_ROW_FACTORS);
  }
  for (int d = 0; d < net->D; d++)
    if (net->number_into[d] & DFM_INTO_FM) net->slot_number[net->n_slot_numbers++] = d;
  net->n_slots = net->n_slot_numbers;
  give_field_slots(net, encoder, kind);
  /* ffm reads its rows once: how many it has read before matters little. */
  const long long fitting = TILE_BYTES / ((long long)net->n_slots * net->fm_width * (long long)sizeof(float));
  net->tile = fitting < 1 ? 1 : fitting > MAX_TILE ? MAX_TILE : (int)fitting;
  return DFM_OK;
}

/* EMBED is [numbers' factors][fm only][fm and dnn][dnn only][numbers for the dnn]: fm reads a prefix and the dnn a
 * suffix of it, so that neither copies anything. Where the net has slots it is [numbers' factors][lists]. */
static dfm_status lay_out(dfm_net *net, const dfm_recipe *recipe, const dfm_encoder *encoder,
                          const dfm_model_kind *kind, dfm_error *error) {
  int column = 0;
  net->is_field_aware = kind->is_field_aware;
  net->fm_sums = -1;
  DFM_TRY(check_fm_width(net, encoder, kind, error));
  if (net->fm_width == 0) net->fm_width = recipe->embedding.width;
  DFM_TRY(describe_fields(net, encoder, kind, error));
  find_summed(net, encoder, kind);
  DFM_TRY(give_slots(net, encoder, kind, error));
  for (int d = 0; d < net->D; d++)
    if (net->number_into[d] & DFM_INTO_FM) column += net->slot_width;
  place_fields(net, encoder, kind, DFM_INTO_FM, &column);
  net->dnn_from = column;
  place_fields(net, encoder, kind, DFM_INTO_FM | DFM_INTO_DNN, &column);
  net->fm_columns = column;
  place_fields(net, encoder, kind, DFM_INTO_DNN, &column);
  net->embed_numbers = column;
  for (int f = 0; f < net->F; f++) {
    dfm_net_table *table = &net->table[net->field[f].table];
    table->first |= net->field[f].first;
    if (net->field[f].width > 0) table->width = net->field[f].width;
  }
  net->edge_n[DFM_EDGE_EMBED] = column + net->n_dnn_number;
  net->edge_n[DFM_EDGE_FIRST] = 1;
  net->edge_n[DFM_EDGE_NUMBER] = net->D;
  net->edge_n[DFM_EDGE_LOGIT] = 1;
  net->n_edges = DFM_EDGES_FIXED;
  return DFM_OK;
}

dfm_status dfm_net_build(const dfm_recipe *recipe, const dfm_encoder *encoder, dfm_net **out, dfm_error *error) {
  const dfm_model_kind *kind;
  dfm_net *net = NULL;
  dfm_status status;
  DFM_TRY(dfm_model_kind_find(recipe->model, &kind, error));
  DFM_TRY(dfm_alloc(&net, 1, sizeof *net, error));
  net->F = encoder->F;
  net->D = encoder->D;
  DFM_TRY_GOTO(status, lay_out(net, recipe, encoder, kind, error), fail);
  DFM_TRY_GOTO(status, kind->build(net, recipe, error), fail);
  *out = net;
  return DFM_OK;
fail:
  dfm_net_free(net);
  return status;
}

int64_t dfm_net_table_weights(const dfm_net *net, const dfm_encoder *encoder, int f) {
  return (int64_t)dfm_encoder_rows(encoder, f) * (net->table[f].first + net->table[f].width);
}

int64_t dfm_net_parameters(const dfm_net *net, const dfm_encoder *encoder) {
  int64_t n = 0;
  for (int f = 0; f < net->F; f++) {
    if (encoder->category[f].settings.trainable) n += dfm_net_table_weights(net, encoder, f);
  }
  for (int i = 0; i < net->n_params; i++) n += net->param[i].is_statistic ? 0 : (int64_t)net->param[i].n;
  return n;
}
