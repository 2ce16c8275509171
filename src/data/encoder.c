/* Encoder: a schema and settings come in, or table sizes; the object that turns raw cells into ids and numbers goes
 * out. */
#include "data/encoder.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/memory.h"
#include "data/buckets.h"
#include "data/category.h"
#include "data/vocabulary.h"

/* What a column leaves open (-1, or NaN), `otherwise` says. */
static dfm_field_settings resolve(const dfm_field_settings *own, const dfm_field_settings *otherwise) {
  dfm_field_settings settings = *own;
  if (!otherwise) return settings;
  if (settings.min_count < 0) settings.min_count = otherwise->min_count;
  if (settings.unknown < 0) settings.unknown = otherwise->unknown;
  if (settings.unknown_rate < 0) settings.unknown_rate = otherwise->unknown_rate;
  if (settings.max_vocabulary < 0) settings.max_vocabulary = otherwise->max_vocabulary;
  if (settings.buckets < 0) settings.buckets = otherwise->buckets;
  if (settings.hash < 0) settings.hash = settings.buckets > 0 ? 0 : otherwise->hash;
  if (settings.order < 0) settings.order = otherwise->order;
  if (settings.transform < 0) settings.transform = otherwise->transform;
  if (isnan(settings.missing)) settings.missing = otherwise->missing;
  if (settings.into < 0) settings.into = otherwise->into;
  if (settings.width < 0) settings.width = otherwise->width;
  return settings;
}

/* What no recipe says: the schema or a default. */
static void resolve_list(dfm_field_settings *settings) {
  if (settings->trainable < 0) settings->trainable = 1;
  if (settings->separator < 0) settings->separator = DFM_LIST_SEPARATOR;
  if (settings->weights < 0) settings->weights = 0;
  if (settings->pool < 0) settings->pool = DFM_POOL_MEAN;
  if (settings->within < 0) settings->within = 0;
}

static bool is_category(const dfm_column *column) {
  return column->kind == DFM_KIND_CATEGORY || column->kind == DFM_KIND_LIST;
}

/* A column's own settings against what the recipe says for all: hash for all, and a count for one. */
static dfm_status check_settings(const dfm_column *column, const dfm_field_settings *resolved, dfm_error *error) {
  dfm_column asked = *column;
  asked.settings.hash = resolved->hash;
  return dfm_column_check(&asked, "hash", error);
}

static dfm_status add_field(dfm_encoder *encoder, const dfm_data_settings *settings, size_t i, dfm_error *error) {
  const dfm_column *column = &encoder->schema->columns[i];
  if (is_category(column)) {
    dfm_category_field *field = &encoder->category[encoder->F];
    *field = (dfm_category_field){.name = column->name,
                                  .column = i,
                                  .is_list = column->kind == DFM_KIND_LIST,
                                  .table = encoder->F,
                                  .distinct = -1,
                                  .settings = resolve(&column->settings, settings ? &settings->category : NULL)};
    resolve_list(&field->settings);
    encoder->F++;
    return check_settings(column, &field->settings, error);
  }
  if (column->kind == DFM_KIND_NUMBER) {
    encoder->number[encoder->D++] =
        (dfm_number_field){.name = column->name,
                           .column = i,
                           .settings = resolve(&column->settings, settings ? &settings->number : NULL),
                           .scale = 1};
  }
  return DFM_OK;
}

/* Fields that share a table have its settings. */
static void share_tables(dfm_encoder *encoder) {
  for (int f = 0; f < encoder->F; f++) {
    dfm_category_field *field = &encoder->category[f];
    const char *name = encoder->schema->columns[field->column].share;
    if (!name) continue;
    for (int t = 0; t < encoder->F; t++)
      if (strcmp(encoder->category[t].name, name) == 0) field->table = t;
    const dfm_field_settings *owners = &encoder->category[field->table].settings;
    field->settings.min_count = owners->min_count;
    field->settings.unknown = owners->unknown;
    field->settings.order = owners->order;
    field->settings.max_vocabulary = owners->max_vocabulary;
    field->settings.hash = owners->hash;
    field->settings.buckets = owners->buckets;
    field->settings.width = owners->width;
    field->settings.trainable = owners->trainable;
  }
}

static void count_sharers(dfm_encoder *encoder) {
  int owners = 0;
  for (int f = 0; f < encoder->F; f++) {
    encoder->category[f].rank = owners;
    owners += encoder->category[f].table == f;
    encoder->category[encoder->category[f].table].sharers++;
  }
}

static dfm_status fill_fields(dfm_encoder *encoder, const dfm_schema *schema, const dfm_data_settings *settings,
                              dfm_error *error) {
  size_t F = 0, D = 0, wrong;
  DFM_TRY(dfm_schema_check(schema, &wrong, error));
  DFM_TRY(dfm_schema_copy(schema, &encoder->schema, error));
  for (size_t i = 0; i < schema->n_columns; i++) {
    F += is_category(&schema->columns[i]);
    D += schema->columns[i].kind == DFM_KIND_NUMBER;
  }
  if (F + D == 0) {
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "the schema has %zu columns but none to learn from; give at least one the kind category or number",
                    schema->n_columns);
  }
  DFM_TRY(dfm_alloc(&encoder->category, F, sizeof *encoder->category, error));
  DFM_TRY(dfm_alloc(&encoder->number, D, sizeof *encoder->number, error));
  for (size_t i = 0; i < schema->n_columns; i++) DFM_TRY(add_field(encoder, settings, i, error));
  share_tables(encoder);
  count_sharers(encoder);
  return DFM_OK;
}

dfm_status dfm_encoder_create(const dfm_schema *schema, const dfm_data_settings *settings, dfm_encoder **encoder,
                              dfm_error *error) {
  dfm_encoder *made;
  DFM_TRY(dfm_alloc(&made, 1, sizeof *made, error));
  atomic_init(&made->owners, 1);
  dfm_logs_fill(made->logs);
  const dfm_status status = fill_fields(made, schema, settings, error);
  if (status != DFM_OK) {
    dfm_encoder_release(made);
    return status;
  }
  *encoder = made;
  return DFM_OK;
}

dfm_encoder *dfm_encoder_retain(dfm_encoder *encoder) {
  atomic_fetch_add(&encoder->owners, 1);
  return encoder;
}

void dfm_encoder_release(dfm_encoder *encoder) {
  if (!encoder || atomic_fetch_sub(&encoder->owners, 1) != 1) return;
  for (int f = 0; f < encoder->F; f++) {
    dfm_vocabulary_clear(&encoder->category[f].vocabulary);
    free(encoder->category[f].bucket_from);
  }
  dfm_st_close(encoder->file);
  free(encoder->category);
  free(encoder->number);
  dfm_schema_free(encoder->schema);
  free(encoder);
}

bool dfm_encoder_field(const dfm_encoder *encoder, size_t i, int *index) {
  int f = 0, d = 0;
  for (;; i--) {
    const bool is_number =
        f == encoder->F || (d < encoder->D && encoder->number[d].column < encoder->category[f].column);
    if (i == 0) {
      *index = is_number ? d : f;
      return is_number;
    }
    if (is_number) {
      d++;
    } else {
      f++;
    }
  }
}

/* ---- categories */

uint32_t dfm_encoder_first(const dfm_encoder *encoder, int f) {
  return encoder->category[f].settings.unknown == DFM_UNKNOWN_ROW;
}

uint32_t dfm_encoder_values(const dfm_encoder *encoder, int f) {
  const dfm_category_field *field = &encoder->category[f];
  return field->settings.hash > 0 ? (uint32_t)field->settings.hash : (uint32_t)dfm_encoder_vocabulary(encoder, f)->n;
}

uint32_t dfm_encoder_rows(const dfm_encoder *encoder, int f) {
  return dfm_encoder_values(encoder, f) + dfm_encoder_first(encoder, f);
}

bool dfm_encoder_fingerprint(const dfm_encoder *encoder, int f, uint32_t id, uint64_t *fingerprint) {
  const uint32_t first = dfm_encoder_first(encoder, f);
  if (id < first) return false;
  if (encoder->is_synthetic) {
    const uint32_t key[2] = {(uint32_t)f, id};
    *fingerprint = dfm_value_hash((const char *)key, sizeof key);
    return true;
  }
  if (encoder->category[f].settings.hash > 0) {
    const uint32_t bucket = id - first;
    *fingerprint = dfm_value_hash((const char *)&bucket, sizeof bucket);
    return true;
  }
  const dfm_vocabulary *vocabulary = dfm_encoder_vocabulary(encoder, f);
  const uint64_t start = vocabulary->offsets[id - first];
  *fingerprint = dfm_value_hash((const char *)vocabulary->bytes + start, vocabulary->offsets[id - first + 1] - start);
  return true;
}

void dfm_encoder_ask_fingerprints(const dfm_encoder *encoder, int f, const uint32_t *id, size_t n) {
  const uint32_t first = dfm_encoder_first(encoder, f);
  if (encoder->is_synthetic || encoder->category[f].settings.hash > 0) return;
  const dfm_vocabulary *vocabulary = dfm_encoder_vocabulary(encoder, f);
  for (size_t i = 0; i < n; i++)
    if (id[i] >= first) __builtin_prefetch(vocabulary->offsets + id[i] - first);
  for (size_t i = 0; i < n; i++)
    if (id[i] >= first) __builtin_prefetch(vocabulary->bytes + vocabulary->offsets[id[i] - first]);
}

uint32_t dfm_encoder_id(const dfm_encoder *encoder, int f, const char *bytes, size_t n, bool *is_unknown) {
  dfm_value value = dfm_value_of(bytes, n);
  if (dfm_category_transform(&encoder->category[f].settings, &value) == DFM_NUMBER_OK)
    dfm_category_find_all(encoder, f, &value, 1);
  *is_unknown = value.id == DFM_ID_NONE;
  const uint32_t first = dfm_encoder_first(encoder, f);
  return !*is_unknown ? value.id + first : first == 1 ? 0 : DFM_ID_NONE;
}

const char *dfm_encoder_value_name(const dfm_encoder *encoder, int f, uint32_t i, char room[DFM_VALUE_NAME_BYTES],
                                   size_t *n) {
  const dfm_category_field *field = &encoder->category[encoder->category[f].table];
  const dfm_vocabulary *vocabulary = &field->vocabulary;
  if (field->settings.hash > 0 || !vocabulary->bytes) {
    *n = (size_t)snprintf(room, DFM_VALUE_NAME_BYTES, "bucket %u", i);
    return room;
  }
  if (field->settings.buckets > 0 && i < field->n_buckets) return dfm_bucket_name(field, i, room, n);
  *n = (size_t)(vocabulary->offsets[i + 1] - vocabulary->offsets[i]);
  return (const char *)vocabulary->bytes + vocabulary->offsets[i];
}

/* A value with as many rows as this is unknown without one of them: min_count, or, where max_vocabulary dropped others
 * that may have had as many, the smallest count kept. */
static uint64_t count_at_risk(const dfm_category_field *field, uint64_t unknown) {
  const dfm_vocabulary *vocabulary = &field->vocabulary;
  uint64_t least = UINT64_MAX;
  if (field->settings.max_vocabulary > 0 && vocabulary->n == (uint64_t)field->settings.max_vocabulary) {
    for (uint64_t i = 0; i < vocabulary->n; i++)
      if (vocabulary->counts[i] < least) least = vocabulary->counts[i];
    if (least <= unknown) return least;
  }
  return field->settings.min_count > 1 ? (uint64_t)field->settings.min_count : 1;
}

double dfm_encoder_expected_unknown(const dfm_encoder *encoder, int f) {
  const int table = encoder->category[f].table;
  const dfm_category_field *owner = &encoder->category[table];
  uint64_t cells = 0, unknown = 0, at_risk = 0;
  for (int i = 0; i < encoder->F; i++) {
    if (encoder->category[i].table != table) continue;
    cells += (uint64_t)encoder->category[i].cells;
    unknown += (uint64_t)encoder->category[i].unknown_rows;
  }
  /* A number next to all buckets is still in one of them. */
  const bool keeps_values = owner->vocabulary.counts && owner->settings.buckets <= 0;
  const uint64_t risk = keeps_values ? count_at_risk(owner, unknown) : 0;
  for (uint64_t i = 0; keeps_values && i < owner->vocabulary.n; i++)
    at_risk += owner->vocabulary.counts[i] == risk ? risk : 0;
  return cells > 0 ? (double)(unknown + at_risk) / (double)cells : 0;
}

static void hash_category(XXH3_state_t *state, const dfm_encoder *encoder, int f) {
  const dfm_vocabulary *vocabulary = &encoder->category[f].vocabulary;
  const dfm_category_field *field = &encoder->category[f];
  const dfm_field_settings *settings = &field->settings;
  const uint64_t shape[5] = {vocabulary->n, dfm_encoder_first(encoder, f),
                             settings->hash > 0 ? (uint64_t)settings->hash : 0,
                             settings->transform == DFM_TRANSFORM_LOG2, settings->buckets > 0};
  const int cell[3] = {field->is_list, dfm_encoder_has_weights(encoder, f), field->table};
  (void)XXH3_64bits_update(state, shape, sizeof shape);
  (void)XXH3_64bits_update(state, cell, sizeof cell);
  if (!vocabulary->offsets) return;
  (void)XXH3_64bits_update(state, vocabulary->offsets, (vocabulary->n + 1) * sizeof *vocabulary->offsets);
  (void)XXH3_64bits_update(state, vocabulary->bytes, vocabulary->offsets[vocabulary->n]);
}

uint64_t dfm_encoder_hash(const dfm_encoder *encoder) {
  XXH3_state_t *state = XXH3_createState();
  if (!state) return 0;
  (void)XXH3_64bits_reset(state);
  for (int f = 0; f < encoder->F; f++) {
    (void)XXH3_64bits_update(state, encoder->category[f].name, strlen(encoder->category[f].name) + 1);
    hash_category(state, encoder, f);
  }
  for (int d = 0; d < encoder->D; d++)
    (void)XXH3_64bits_update(state, encoder->number[d].name, strlen(encoder->number[d].name) + 1);
  const uint64_t hash = XXH3_64bits_digest(state);
  (void)XXH3_freeState(state);
  return hash;
}

/* ---- numbers */

static inline float number_of(const dfm_encoder *encoder, int d, float raw) {
  const dfm_number_field *field = &encoder->number[d];
  double x = isnan(raw) ? field->settings.missing : (double)raw;
  if (isnan(x)) return 0;
  if (field->settings.transform == DFM_TRANSFORM_LOG) x = dfm_log_of(encoder->logs, x);
  x = (x - field->shift) * field->scale;
  /* A value far outside what training saw must not become infinite. */
  if (x > (double)FLT_MAX) return FLT_MAX;
  if (x < -(double)FLT_MAX) return -FLT_MAX;
  return (float)x;
}

float dfm_encoder_number(const dfm_encoder *encoder, int d, float raw) {
  return number_of(encoder, d, raw);
}

void dfm_encoder_numbers(const dfm_encoder *encoder, const float *raw, float *numbers) {
  for (int d = 0; d < encoder->D; d++) numbers[d] = number_of(encoder, d, raw[d]);
}

/* ---- synthetic */

static dfm_status name_column(dfm_schema *schema, dfm_kind kind, const char *name, dfm_error *error) {
  dfm_column *column = &schema->columns[schema->n_columns];
  DFM_TRY(dfm_copy_text(&column->name, name, error));
  column->kind = kind;
  column->settings = dfm_field_settings_unset();
  schema->n_columns++;
  return DFM_OK;
}

/* Columns label, I1 ... ID, C1 ... CF, as in Criteo's rows. */
static dfm_status fill_synthetic_schema(dfm_schema *schema, int F, int D, dfm_error *error) {
  DFM_TRY(dfm_alloc(&schema->columns, 1 + (size_t)D + (size_t)F, sizeof *schema->columns, error));
  DFM_TRY(name_column(schema, DFM_KIND_LABEL, "label", error));
  for (int i = 0; i < D + F; i++) {
    char name[16];
    snprintf(name, sizeof name, "%c%d", i < D ? 'I' : 'C', i < D ? i + 1 : i - D + 1);
    DFM_TRY(name_column(schema, i < D ? DFM_KIND_NUMBER : DFM_KIND_CATEGORY, name, error));
  }
  return DFM_OK;
}

static dfm_status check_synthetic(int F, const uint32_t *rows, int D, dfm_error *error) {
  if (F < 0 || D < 0)
    return dfm_fail(error, DFM_ERROR_VALUE, "%d category and %d number fields: neither may be negative", F, D);
  for (int f = 0; f < F; f++) {
    if (rows[f] < 1 || rows[f] == UINT32_MAX) {
      return dfm_fail(error, DFM_ERROR_VALUE, "category field C%d has %u rows; it needs 1 to %u", f + 1, rows[f],
                      UINT32_MAX - 1);
    }
  }
  return DFM_OK;
}

dfm_status dfm_encoder_synthetic(int F, const uint32_t *rows, int D, const dfm_field_settings *category,
                                 const dfm_field_settings *number, dfm_encoder **encoder, dfm_error *error) {
  const dfm_field_settings none = {0};
  const dfm_data_settings settings = {.category = F > 0 ? *category : none, .number = D > 0 ? *number : none};
  dfm_schema *schema;
  dfm_encoder *made = NULL;
  DFM_TRY(check_synthetic(F, rows, D, error));
  DFM_TRY(dfm_schema_create(&schema, error));
  dfm_status status = fill_synthetic_schema(schema, F, D, error);
  if (status == DFM_OK) status = dfm_encoder_create(schema, &settings, &made, error);
  dfm_schema_free(schema);
  DFM_TRY(status);
  made->is_synthetic = true;
  for (int f = 0; f < F; f++) made->category[f].vocabulary.n = rows[f] - dfm_encoder_first(made, f); /* hash is 0 */
  for (int d = 0; d < D; d++) {
    if (made->number[d].settings.transform == DFM_TRANSFORM_AUTO)
      made->number[d].settings.transform = DFM_TRANSFORM_NONE;
  }
  *encoder = made;
  return DFM_OK;
}
