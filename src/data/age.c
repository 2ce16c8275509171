/* Ages: a pass over the rows, in which the last row of a value says how old it is. */
#include "data/age.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/storage.h"

uint64_t dfm_ages_count(const dfm_encoder *encoder, int f) {
  const dfm_category_field *field = &encoder->category[f];
  return field->table == f && field->settings.hash <= 0 && field->settings.buckets <= 0 ? field->vocabulary.n : 0;
}

/* `n` (F) ages by field, none seen. */
static dfm_status allocate_ages(int F, const uint64_t *n, uint32_t ***ages, dfm_error *error) {
  uint32_t **age, *all = NULL;
  uint64_t sum = 0;
  for (int f = 0; f < F; f++) sum += n[f];
  DFM_TRY(dfm_alloc(&age, (size_t)F + 1, sizeof *age, error));
  const dfm_status status = dfm_alloc(&all, sum, sizeof *all, error);
  if (status != DFM_OK) {
    free(age);
    return status;
  }
  memset(all, 0xFF, sum * sizeof *all);
  age[0] = all;
  for (int f = 0; f < F; f++) age[f + 1] = age[f] + n[f];
  *ages = age;
  return DFM_OK;
}

void dfm_ages_free(uint32_t **ages) {
  if (ages) free(ages[0]);
  free(ages);
}

uint32_t dfm_age_after(uint32_t age, int64_t rows) {
  return (uint64_t)rows < DFM_AGE_NEVER - age ? age + (uint32_t)rows : DFM_AGE_NEVER;
}

/* Ages of a table's values in a pass over the rows, from the first to the last. */
typedef struct table_ages {
  uint32_t *age; /* (n) */
  uint64_t n;
  uint32_t first; /* the id of value 0 */
} table_ages;

static inline void see(const table_ages *ages, uint32_t id, uint32_t age) {
  if (id >= ages->first && id - ages->first < ages->n) ages->age[id - ages->first] = age; /* no id: beyond n */
}

static void see_row(const dfm_dataset *train, const table_ages *tables, int64_t row, uint32_t age) {
  const dfm_storage *storage = train->storage;
  const uint32_t *ids = dfm_storage_ids(storage, row);
  for (int f = 0; f < storage->F; f++) {
    const table_ages *ages = &tables[train->encoder->category[f].table];
    const dfm_list *list = &storage->list[f];
    if (!dfm_storage_is_list(storage, f)) {
      see(ages, ids[f], age);
      continue;
    }
    for (uint64_t i = list->offsets[row]; i < list->offsets[row + 1]; i++) see(ages, list->ids[i], age);
  }
}

static dfm_status see_rows(const dfm_dataset *train, const table_ages *tables, dfm_error *error) {
  dfm_scan scan = {.dataset = train, .end = train->rows};
  for (;;) {
    DFM_TRY(dfm_scan_next(&scan, error));
    if (scan.n == 0) return DFM_OK;
    for (int64_t row = scan.first; row < scan.first + scan.n; row++)
      see_row(train, tables, train->first + row, dfm_age_after(0, train->rows - 1 - row));
  }
}

dfm_status dfm_ages_of(const dfm_dataset *train, const uint64_t *n, const uint32_t *first, uint32_t ***ages,
                       dfm_error *error) {
  const int F = train->encoder->F;
  table_ages *tables;
  uint32_t **age = NULL;
  DFM_TRY(dfm_alloc(&tables, (size_t)F, sizeof *tables, error));
  dfm_status status = allocate_ages(F, n, &age, error);
  for (int f = 0; f < F && status == DFM_OK; f++) tables[f] = (table_ages){age[f], n[f], first ? first[f] : 0};
  if (status == DFM_OK) status = see_rows(train, tables, error);
  free(tables);
  if (status != DFM_OK) {
    dfm_ages_free(age);
    return status;
  }
  *ages = age;
  return DFM_OK;
}

dfm_status dfm_ages_create(const dfm_dataset *train, uint32_t ***ages, dfm_error *error) {
  const dfm_encoder *encoder = train->encoder;
  uint64_t *n;
  uint32_t *first = NULL;
  DFM_TRY(dfm_alloc(&n, (size_t)encoder->F, sizeof *n, error));
  dfm_status status = dfm_alloc(&first, (size_t)encoder->F, sizeof *first, error);
  for (int f = 0; f < encoder->F && status == DFM_OK; f++) {
    n[f] = dfm_ages_count(encoder, f);
    first[f] = dfm_encoder_first(encoder, f);
  }
  if (status == DFM_OK) status = dfm_ages_of(train, n, first, ages, error);
  free(n);
  free(first);
  return status;
}
