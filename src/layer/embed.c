/* Embedding: rows of tables come in; each field's goes to its columns, a list's items as their pooled row. */
#include "layer/embed.h"

#include <string.h>

#include "base/prefetch.h"
#include "table/sum.h"

/* Rows done field by field at once: their lines of the edges stay in the first-level cache. */
enum { TILE = 8 };

/* The weights that place `place` of field f asks for; zeros where it has no id. */
static inline const float *row_of(const dfm_embedding *from, const dfm_net *net, int f, uint32_t id, size_t place,
                                  float *scratch) {
  static const float nothing[1 + DFM_MAX_ROW_FACTORS];
  const int t = net->field[f].table;
  if (from->plans) {
    const dfm_plan *plan = &from->plans[t];
    return plan->weights + plan->inverse[from->plans[f].at + place] * plan->ld;
  }
  return id == DFM_ID_NONE ? nothing : from->source->row(from->source->context, t, id, scratch);
}

/* A list's pooled row while its items come in. */
typedef struct pooled {
  float row[1 + DFM_MAX_ROW_FACTORS]; /* as table rows are */
  float squares;                      /* sum of c^2 |v|^2, of lists whose items pair */
  bool is_empty;                      /* no item so far */
} pooled;

/* Takes in c times the item's weights w (n); with `winner` it pools by max and keeps the place that each weight came
 * from. */
static void pool_max(pooled *list, const float *w, float c, int n, uint32_t place, uint32_t *winner) {
  for (int j = 0; j < n; j++) {
    const float value = c * w[j];
    if (!list->is_empty && !(value > list->row[j])) continue;
    list->row[j] = value;
    if (winner) winner[j] = place;
  }
}

static void pool_sum(const dfm_kernel *kernel, pooled *list, const float *w, float c, int n) {
  if (list->is_empty)
    for (int j = 0; j < n; j++) list->row[j] = c * w[j];
  else
    kernel->axpy(list->row, c, w, (size_t)n);
}

/* The pooled row of list field f in row b of the batch; an empty list's is zero. */
static void pool_list(const dfm_embedding *from, const dfm_pass *pass, const dfm_batch *batch, int f, int b,
                      pooled *list) {
  const dfm_net_field *field = &pass->net->field[f];
  const dfm_net_table *table = &pass->net->table[field->table];
  const dfm_batch_list *items = &batch->list[f];
  const int n = table->first + table->width, within = table->first + field->within_from;
  uint32_t *winner = from->plans && field->pools_max ? from->plans[f].winner + (size_t)b * (size_t)n : NULL;
  float scratch[3 * (1 + DFM_MAX_ROW_FACTORS)];
  list->squares = 0;
  list->is_empty = true;
  memset(list->row, 0, (size_t)n * sizeof *list->row);
  for (int j = 0; winner && j < n; j++) winner[j] = UINT32_MAX;
  for (uint32_t p = items->offsets[b]; p < items->offsets[b + 1]; p++) {
    if (items->id[p] == DFM_ID_NONE) continue;
    const float c = items->coefficient[p], *w = row_of(from, pass->net, f, items->id[p], p, scratch);
    if (field->pools_max)
      pool_max(list, w, c, n, p, winner);
    else
      pool_sum(pass->kernel, list, w, c, n);
    if (field->has_within)
      list->squares += c * c * pass->kernel->dot(w + within, w + within, (size_t)pass->net->fm_width);
    list->is_empty = false;
  }
}

/* Puts the weights `w` of a field into row b of the EMBED and FIRST edges. */
static inline void place_row(const dfm_pass *pass, int b, const dfm_net_field *field, const float *w, int offset) {
  if (field->first) *dfm_value(pass, DFM_EDGE_FIRST, b, 0) += w[0];
  if (field->width > 0)
    memcpy(dfm_value(pass, DFM_EDGE_EMBED, b, field->column), w + offset, (size_t)field->width * sizeof *w);
}

static void place_list(const dfm_embedding *from, const dfm_pass *pass, const dfm_batch *batch, int f, int b) {
  const dfm_net_field *field = &pass->net->field[f];
  const size_t K = (size_t)pass->net->fm_width;
  pooled list;
  pool_list(from, pass, batch, f, b, &list);
  place_row(pass, b, field, list.row, pass->net->table[field->table].first);
  if (field->slot >= 0)
    dfm_slots(pass, b)[field->slot] = list.is_empty ? NULL : dfm_value(pass, DFM_EDGE_EMBED, b, field->column);
  if (!field->has_within) return;
  const float *s = dfm_value(pass, DFM_EDGE_EMBED, b, field->column + field->within_from);
  *dfm_value(pass, DFM_EDGE_WITHIN, b, 0) += 0.5F * (pass->kernel->dot(s, s, K) - list.squares);
}

/* Rows [b0, b1) of single-valued field f that stay where they lie: gathered ones. */
static void point_field(const dfm_plan *plans, const dfm_pass *pass, int f, int b0, int b1) {
  const dfm_net_field field = pass->net->field[f];
  const dfm_net_table table = pass->net->table[field.table];
  const dfm_plan *plan = &plans[field.table];
  const uint32_t *inverse = plan->inverse + plans[f].at, none = (uint32_t)plan->U;
  const size_t n = (size_t)(table.first + table.width);
  const uint32_t first_piece = pass->piece ? pass->first_piece[field.table] : 0;
  const int ahead = pass->net->is_field_aware ? 0 : b1 - b0; /* the next tile's; so long a row the cache sees coming */
  for (int b = b1; b < b1 + ahead && b < pass->B && table.width > 0; b++)
    dfm_prefetch(plan->weights + inverse[b] * plan->ld, n * sizeof(float));
  for (int b = b0; b < b1; b++) {
    const float *w = plan->weights + inverse[b] * plan->ld;
    if (field.first) *dfm_value(pass, DFM_EDGE_FIRST, b, 0) += w[0];
    if (field.slot < 0) continue;
    dfm_slots(pass, b)[field.slot] = inverse[b] == none ? NULL : w + table.first;
    if (pass->piece)
      pass->piece[(size_t)b * (size_t)pass->net->n_slots + (size_t)field.slot] = first_piece + inverse[b];
  }
}

/* The same of rows that a source gives; those that it makes are kept in the slots' scratch. */
static void point_source(const dfm_embedding *from, const dfm_pass *pass, const dfm_batch *batch, int f, int b0,
                         int b1) {
  const dfm_net *net = pass->net;
  const dfm_net_field field = net->field[f];
  const uint32_t *id = batch->id + (size_t)f * (size_t)batch->capacity;
  const size_t slot = field.slot < 0 ? 0 : (size_t)field.slot;
  const dfm_plain_rows *plain = from->source->plain ? &from->source->plain[field.table] : NULL;
  float passing[3 * (1 + DFM_MAX_ROW_FACTORS)];
  for (int b = b1; plain && b < b1 + (b1 - b0) && b < pass->B; b++) /* the next tile's */
    if (id[b] != DFM_ID_NONE)
      dfm_prefetch(plain->rows + id[b] * plain->stride,
                   (size_t)(net->table[field.table].first + field.width) * sizeof(float));
  for (int b = b0; b < b1; b++) {
    const size_t at = (size_t)(b - b0) * (size_t)net->n_slots + slot;
    float *scratch = field.slot < 0 ? passing : pass->row_scratch + at * pass->scratch_n;
    const float *w = row_of(from, net, f, id[b], (size_t)b, scratch);
    if (field.first) *dfm_value(pass, DFM_EDGE_FIRST, b, 0) += w[0];
    if (field.slot >= 0) dfm_slots(pass, b)[slot] = id[b] == DFM_ID_NONE ? NULL : w + net->table[field.table].first;
  }
}

/* Where the rows of single-valued field f lie, and which of them each row of the batch has; false where nobody knows
 * before they are asked for. */
static bool find_rows(const dfm_embedding *from, const dfm_net *net, const dfm_batch *batch, int f, dfm_plain_rows *at,
                      const uint32_t **index) {
  const int t = net->field[f].table;
  if (from->plans) {
    *at = (dfm_plain_rows){from->plans[t].weights, from->plans[t].ld};
    *index = from->plans[t].inverse + from->plans[f].at;
    return true;
  }
  if (!from->source->plain) return false;
  *at = from->source->plain[t];
  *index = batch->id + (size_t)f * (size_t)batch->capacity;
  return true;
}

/* Rows [b0, b1) of a field whose rows lie at `at`, zeros for those without an id; K factors, known to the compiler
 * where they are usual. */
__attribute__((always_inline)) static inline void place_plain(const dfm_pass *pass, const dfm_plain_rows *at,
                                                              const uint32_t *index, const dfm_net_field *field,
                                                              int offset, int b0, int b1, size_t K) {
  static const float nothing[1 + DFM_MAX_ROW_FACTORS];
  const int first = field->first;
  const size_t lde = (size_t)pass->net->edge_n[DFM_EDGE_EMBED];
  float *e = dfm_value(pass, DFM_EDGE_EMBED, b0, field->column);
  for (int b = b0; b < b1; b++, e += lde) {
    const float *w = index[b] == DFM_ID_NONE ? nothing : at->rows + index[b] * at->stride;
    if (first) *dfm_value(pass, DFM_EDGE_FIRST, b, 0) += w[0];
    memcpy(e, w + offset, K * sizeof *e);
  }
}

/* Rows [b0, b1) of field f, in EMBED. */
static void place_field(const dfm_embedding *from, const dfm_pass *pass, const dfm_batch *batch, int f, int b0,
                        int b1) {
  const dfm_net *net = pass->net;
  const dfm_net_field field = net->field[f];
  const dfm_net_table table = net->table[field.table];
  const uint32_t *id = batch->id + (size_t)f * (size_t)batch->capacity;
  const size_t n = (size_t)(table.first + table.width);
  const uint32_t *index;
  dfm_plain_rows at;
  if (!find_rows(from, net, batch, f, &at, &index)) {
    float scratch[3 * (1 + DFM_MAX_ROW_FACTORS)];
    for (int b = b0; b < b1; b++)
      place_row(pass, b, &field, row_of(from, net, f, id[b], (size_t)b, scratch), table.first);
    return;
  }
  for (int b = b0 + TILE; b < b1 + TILE && b < pass->B; b++) /* the next tile's */
    if (index[b] != DFM_ID_NONE) dfm_prefetch(at.rows + index[b] * at.stride, n * sizeof(float));
  if (field.width == 16)
    place_plain(pass, &at, index, &field, table.first, b0, b1, 16);
  else if (field.width == 8)
    place_plain(pass, &at, index, &field, table.first, b0, b1, 8);
  else
    place_plain(pass, &at, index, &field, table.first, b0, b1, (size_t)field.width);
}

/* What does not come from tables: the numbers, and sums that start at zero. */
static inline void place_numbers(const dfm_pass *pass, int b) {
  const dfm_net *net = pass->net;
  const float *x = dfm_value(pass, DFM_EDGE_NUMBER, b, 0);
  float *e = dfm_value(pass, DFM_EDGE_EMBED, b, net->embed_numbers);
  for (int i = 0; i < net->n_dnn_number; i++) e[i] = x[net->dnn_number[i]];
  for (int i = 0; i < net->n_slot_numbers; i++)
    dfm_slots(pass, b)[i] =
        x[net->slot_number[i]] == 0 ? NULL : dfm_value(pass, DFM_EDGE_EMBED, b, i * net->slot_width);
  *dfm_value(pass, DFM_EDGE_LOGIT, b, 0) = *dfm_value(pass, DFM_EDGE_FIRST, b, 0) = 0;
  if (net->edge_n[DFM_EDGE_WITHIN] > 0) *dfm_value(pass, DFM_EDGE_WITHIN, b, 0) = 0;
}

/* What tables have added up to, group by group. */
static void place_sums(const dfm_pass *pass, int b0, int b1) {
  const dfm_sums *sums = pass->table_sums;
  const size_t K = (size_t)sums->K;
  float *first = pass->value[DFM_EDGE_FIRST];
  float *of_fm = pass->net->fm_sums < 0 ? NULL : pass->value[pass->net->fm_sums];
  if (K > 0) memset(of_fm + (size_t)b0 * K, 0, (size_t)(b1 - b0) * K * sizeof *of_fm);
  for (int g = 0; g < sums->groups; g++) {
    const size_t at = (size_t)g * (size_t)sums->capacity + (size_t)b0, n = (size_t)(b1 - b0);
    pass->kernel->add(first + b0, sums->own + at, n);
    if (K > 0) pass->kernel->add(of_fm + (size_t)b0 * K, sums->factors + at * K, n * K);
  }
}

void dfm_embed(const dfm_embedding *from, const dfm_pass *pass, const dfm_batch *batch, int b0, int b1) {
  const dfm_net *net = pass->net;
  const int step = net->n_slots > 0 ? net->tile : net->edge_n[DFM_EDGE_EMBED] == 0 ? b1 - b0 : TILE;
  for (int at = b0; at < b1; at += step) {
    const int end = at + step < b1 ? at + step : b1;
    for (int b = at; b < end; b++) place_numbers(pass, b);
    if (pass->table_sums) place_sums(pass, at, end);
    for (int f = 0; f < net->F; f++) {
      if (net->field[f].first + net->field[f].width == 0) continue;
      if (pass->table_sums && net->table[net->field[f].table].is_summed) continue;
      if (batch->list[f].offsets)
        for (int b = at; b < end; b++) place_list(from, pass, batch, f, b);
      else if (net->field[f].column >= 0 && net->n_slots == 0)
        place_field(from, pass, batch, f, at, end);
      else if (from->plans)
        point_field(from->plans, pass, f, at, end);
      else
        point_source(from, pass, batch, f, at, end);
    }
  }
}
