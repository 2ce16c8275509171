/* Embedding tables: settings come in, rows in packed pages go out; reading catches idle rows up in a copy. */
#include "table/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "table/row.h"

/* Lists the fields of each table: its owner, then those that share it. */
static dfm_status list_members(dfm_tables *tables, dfm_error *error) {
  const dfm_category_field *category = tables->encoder->category;
  int *member;
  DFM_TRY(dfm_alloc(&tables->member, (size_t)tables->F, sizeof *tables->member, error));
  member = tables->member;
  for (int t = 0; t < tables->F; t++) {
    dfm_table *table = &tables->table[t];
    table->member = member;
    if (category[t].table != t) continue;
    *member++ = t;
    for (int f = 0; f < tables->F; f++)
      if (f != t && category[f].table == t) *member++ = f;
    table->n_members = (int)(member - table->member);
  }
  return DFM_OK;
}

/* A table's shape; returns the words that its rows take. */
static size_t shape_table(const dfm_tables_settings *settings, int f, dfm_tables *tables) {
  dfm_table *table = &tables->table[f];
  table->field = f;
  table->first = settings->first[f];
  table->n = settings->first[f] + settings->width[f];
  table->V = table->n > 0 ? dfm_encoder_rows(settings->encoder, f) : 0;
  table->is_summed = settings->is_summed[f];
  table->is_frozen = settings->encoder->category[f].settings.trainable == 0;
  table->stride = table->n * (1 + (table->is_frozen ? 0 : tables->states)) + 1;
  table->is_swept = !settings->lazy && !table->is_frozen &&
                    ((table->first && settings->l2_first > 0) || (settings->width[f] > 0 && settings->l2_factors > 0));
  return (size_t)table->V * (size_t)table->stride;
}

dfm_status dfm_tables_create(const dfm_tables_settings *settings, dfm_tables **out, dfm_error *error) {
  const int F = settings->encoder->F;
  dfm_tables *tables = NULL;
  dfm_status status;
  DFM_TRY(dfm_alloc(&tables, 1, sizeof *tables, error));
  tables->F = F;
  tables->states = dfm_optimizer_states(settings->optimizer);
  tables->reads_pieces = settings->reads_pieces;
  tables->l2_first = settings->l2_first;
  tables->l2_factors = settings->l2_factors;
  tables->init = settings->init;
  tables->encoder = settings->encoder;
  tables->optimizer = settings->optimizer;
  tables->kernel = settings->kernel;
  DFM_TRY_GOTO(status, dfm_alloc(&tables->table, (size_t)F, sizeof *tables->table, error), fail);
  DFM_TRY_GOTO(status, list_members(tables, error), fail);
  size_t words = 0;
  for (int f = 0; f < F; f++) words += shape_table(settings, f, tables);
  tables->size_bytes = words * sizeof(float);
  DFM_TRY_GOTO(status, dfm_pages_alloc(&tables->pages, tables->size_bytes, error), fail);
  float *rows = tables->pages;
  for (int f = 0; f < F; f++) {
    tables->table[f].rows = rows;
    rows += (size_t)tables->table[f].V * (size_t)tables->table[f].stride;
  }
  *out = tables;
  return DFM_OK;
fail:
  dfm_tables_free(tables);
  return status;
}

void dfm_tables_free(dfm_tables *tables) {
  if (!tables) return;
  if (tables->pages) dfm_pages_free(tables->pages, tables->size_bytes);
  free(tables->table);
  free(tables->member);
  free(tables);
}

void dfm_table_initial(const dfm_tables *tables, int f, uint32_t id, float *w) {
  const dfm_table *table = &tables->table[f];
  const dfm_table_init *init = &tables->init;
  uint64_t fingerprint;
  if (!dfm_table_draws(tables) || !dfm_encoder_fingerprint(tables->encoder, f, id, &fingerprint)) {
    memset(w, 0, (size_t)table->n * sizeof *w);
    return;
  }
  const uint64_t key = dfm_random_u64(dfm_random_key(init->seed, DFM_STREAM_INIT), (uint64_t)f);
  if (init->is_uniform) {
    dfm_random_fill_uniform(key, fingerprint, w, (size_t)table->n);
    for (int j = 0; j < table->n; j++) w[j] = 2 * w[j] - 1;
  } else {
    dfm_random_fill_normal(key, fingerprint, w, (size_t)table->n);
  }
  for (int j = 0; j < table->n; j++) w[j] *= j < table->first ? init->first : init->factors;
}

const float *dfm_table_read(const dfm_tables *tables, int f, uint32_t id, float *scratch) {
  const dfm_row row = dfm_row_at(&tables->table[f], id);
  if (*row.touch == 0) {
    dfm_table_initial(tables, f, id, scratch);
    return scratch;
  }
  if (tables->table[f].is_frozen) return row.w;
  const int64_t last = *row.touch - 1, now = dfm_optimizer_step_count(tables->optimizer);
  if (last == now || last == 0 || tables->states < 2) return row.w;
  const size_t n = (size_t)tables->table[f].n;
  memcpy(scratch, row.w, 3 * n * sizeof *scratch);
  dfm_optimizer_catch_up(tables->optimizer, scratch, scratch + n, scratch + 2 * n, n, last, now);
  return scratch;
}

void dfm_table_set(const dfm_tables *tables, int f, uint32_t id, const float *w) {
  const dfm_row row = dfm_row_at(&tables->table[f], id);
  memcpy(row.w, w, (size_t)tables->table[f].n * sizeof *w);
  *row.touch = 1;
}
