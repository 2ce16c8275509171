/* Growing of vocabularies: old values stay or expire, new ones are admitted behind them. */
#include "data/grow.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/buckets.h"
#include "data/storage.h"

dfm_status dfm_growing_ages(const dfm_growing *growing, const dfm_vocabulary_builder *builder, const dfm_dataset *train,
                            uint32_t ***ages, dfm_error *error) {
  const dfm_encoder *encoder = growing->encoder;
  uint64_t *n;
  *ages = NULL;
  if (growing->options->expire_after == 0) return DFM_OK;
  DFM_TRY(dfm_alloc(&n, (size_t)encoder->F, sizeof *n, error));
  for (int f = 0; f < encoder->F; f++) {
    const dfm_field_settings *settings = &encoder->category[f].settings;
    n[f] = settings->hash > 0 || settings->buckets > 0 ? 0 : builder[f].n;
  }
  const dfm_status status = dfm_ages_of(train, n, NULL, NULL, ages, error);
  free(n);
  return status;
}

/* ---- the encoder */

dfm_status dfm_growing_encoder(const dfm_growing *growing, dfm_encoder **encoder, dfm_error *error) {
  const dfm_encoder *old = growing->encoder;
  dfm_encoder *made;
  DFM_TRY(dfm_encoder_create(old->schema, NULL, &made, error));
  made->rows = old->rows;
  for (int f = 0; f < old->F; f++) {
    made->category[f].settings = old->category[f].settings;
    made->category[f].unknown_rows = old->category[f].unknown_rows;
    made->category[f].missing_rows = old->category[f].missing_rows;
  }
  for (int d = 0; d < old->D; d++) {
    const char *name = made->number[d].name;
    made->number[d] = old->number[d];
    made->number[d].name = name;
  }
  *encoder = made;
  return DFM_OK;
}

/* ---- one vocabulary */

typedef struct field_growth {
  const dfm_vocabulary *old;
  const uint32_t *old_age, *age; /* of the old values; of the builder's, NULL: nothing expires */
  int64_t rows, expire_after;
  uint32_t *number; /* (old->n) provisional number, DFM_ID_NONE: the builder lacks it; later of the kept ones alone */
  uint32_t *kept;   /* (old->n) their indices in `old`, n_kept of them */
  size_t n_kept;
  uint8_t *is_out; /* (builder->n) old, or not to be admitted */
} field_growth;

static dfm_status open_growth(field_growth *field, const dfm_vocabulary_builder *builder, dfm_error *error) {
  DFM_TRY(dfm_alloc(&field->number, field->old->n, sizeof *field->number, error));
  DFM_TRY(dfm_alloc(&field->kept, field->old->n, sizeof *field->kept, error));
  return dfm_alloc(&field->is_out, builder->n, sizeof *field->is_out, error);
}

static void close_growth(field_growth *field) {
  free(field->number);
  free(field->kept);
  free(field->is_out);
}

static bool is_expired(const field_growth *field, uint32_t age) {
  return field->age && (int64_t)age >= field->expire_after;
}

/* Which of the builder's values are old, and which of the others come too late. */
static void tell_apart(field_growth *field, const dfm_vocabulary_builder *builder) {
  memset(field->number, 0xFF, field->old->n * sizeof *field->number);
  for (uint32_t value = 0; value < builder->n; value++) {
    size_t n;
    const char *bytes = dfm_builder_bytes(builder, dfm_builder_record(builder, value), &n);
    const uint64_t i = dfm_vocabulary_find(field->old, bytes, n);
    if (i != UINT64_MAX) field->number[i] = value;
    field->is_out[value] = i != UINT64_MAX || (field->age && is_expired(field, field->age[value]));
  }
}

static void keep_old(field_growth *field) {
  for (uint64_t i = 0; i < field->old->n; i++) {
    const uint32_t number = field->number[i];
    const bool is_seen = field->age && number != DFM_ID_NONE && field->age[number] != DFM_AGE_NEVER;
    const uint32_t age = is_seen ? field->age[number] : dfm_age_after(field->old_age[i], field->rows);
    if (is_expired(field, age)) continue;
    field->number[field->n_kept] = number;
    field->kept[field->n_kept++] = (uint32_t)i;
  }
}

static dfm_selection select_values(const field_growth *field, const dfm_field_settings *settings, int64_t admit) {
  const size_t most = settings->max_vocabulary > 0 ? (size_t)settings->max_vocabulary : SIZE_MAX;
  if (admit == 0) admit = settings->min_count > 1 ? settings->min_count : 1;
  return (dfm_selection){.min_count = (uint64_t)admit,
                         .most = most > field->n_kept ? most - field->n_kept : 0,
                         .is_out = field->is_out,
                         .old = field->old,
                         .kept = field->kept,
                         .number = field->number,
                         .n_kept = field->n_kept};
}

static dfm_status grow(field_growth *field, int64_t admit, dfm_vocabulary_builder *builder, const char *folder,
                       dfm_category_field *grown, uint32_t *place, dfm_growth *growth, dfm_error *error) {
  DFM_TRY(open_growth(field, builder, error));
  tell_apart(field, builder);
  keep_old(field);
  const dfm_selection selection = select_values(field, &grown->settings, admit);
  DFM_TRY(dfm_vocabulary_select(builder, &selection, folder, &grown->vocabulary, place, error));
  growth->kept = (int64_t)field->n_kept;
  growth->expired = (int64_t)(field->old->n - field->n_kept);
  growth->admitted = (int64_t)(grown->vocabulary.n - field->n_kept);
  return DFM_OK;
}

dfm_status dfm_growing_settle(const dfm_growing *growing, int f, dfm_vocabulary_builder *builder, const uint32_t *age,
                              int64_t rows, const char *folder, dfm_encoder *encoder, uint32_t *place,
                              dfm_growth *growth, dfm_error *error) {
  const dfm_category_field *old = &growing->encoder->category[f];
  dfm_category_field *grown = &encoder->category[f];
  field_growth field = {.old = &old->vocabulary,
                        .old_age = growing->ages[f],
                        .age = age,
                        .rows = rows,
                        .expire_after = growing->options->expire_after};
  *growth = (dfm_growth){.kept = (int64_t)old->vocabulary.n};
  if (old->settings.buckets > 0) return dfm_buckets_keep(builder, old, grown, place, error);
  const dfm_status status = grow(&field, growing->options->admit, builder, folder, grown, place, growth, error);
  close_growth(&field);
  return status;
}
