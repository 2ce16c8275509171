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

/* A field's cells in a pass over the rows, from the first to the last, and its table's ages. */
typedef struct field_ages {
  int f;
  bool is_list;
  uint32_t first; /* the id of value 0 */
  uint64_t n;
  uint32_t *age; /* (n) */
} field_ages;

/* Task t of a piece of rows sees the cells of the fields [begin[t], begin[t + 1]). Fields that share a table are one
 * task's, so each table's cells are seen in the order of rows. */
typedef struct age_pass {
  const dfm_dataset *train;
  field_ages *field; /* (F) */
  int tasks, *begin; /* (tasks + 1) */
  dfm_scan scan;
} age_pass;

static inline void see(const field_ages *field, uint32_t id, uint32_t age) {
  if (id >= field->first && id - field->first < field->n) field->age[id - field->first] = age; /* no id: beyond n */
}

static void see_task(void *context, int task, int thread) {
  const age_pass *pass = context;
  const field_ages *begin = pass->field + pass->begin[task], *end = pass->field + pass->begin[task + 1];
  const dfm_dataset *train = pass->train;
  (void)thread;
  for (int64_t row = pass->scan.first; row < pass->scan.first + pass->scan.n; row++) {
    const uint32_t *ids = dfm_storage_ids(train->storage, train->first + row);
    const uint32_t age = dfm_age_after(0, train->rows - 1 - row);
    for (const field_ages *field = begin; field < end; field++) {
      uint64_t n = 1;
      const uint32_t *id = ids + field->f;
      if (field->is_list) n = dfm_storage_cells(train->storage, train->first + row, field->f, &id);
      for (uint64_t i = 0; i < n; i++) see(field, id[i], age);
    }
  }
}

static void share_fields(age_pass *pass, const uint64_t *n, const uint32_t *first, uint32_t *const *age) {
  const dfm_encoder *encoder = pass->train->encoder;
  int i = 0;
  for (int t = 0; t < pass->tasks; t++) {
    for (int f = 0; f < encoder->F; f++) {
      const int table = encoder->category[f].table;
      if (table % pass->tasks != t) continue;
      pass->field[i++] = (field_ages){f, encoder->category[f].is_list, first ? first[table] : 0, n[table], age[table]};
    }
    pass->begin[t + 1] = i;
  }
}

static dfm_status see_rows(age_pass *pass, dfm_pool *pool, dfm_error *error) {
  for (;;) {
    DFM_TRY(dfm_scan_next(&pass->scan, error));
    if (pass->scan.n == 0) return DFM_OK;
    if (pool)
      dfm_pool_run(pool, pass->tasks, see_task, pass);
    else
      see_task(pass, 0, 0);
  }
}

dfm_status dfm_ages_of(const dfm_dataset *train, const uint64_t *n, const uint32_t *first, dfm_pool *pool,
                       uint32_t ***ages, dfm_error *error) {
  age_pass pass = {
      .train = train, .tasks = pool ? dfm_pool_threads(pool) : 1, .scan = {.dataset = train, .end = train->rows}};
  uint32_t **age = NULL;
  dfm_status status;
  DFM_TRY_GOTO(status, dfm_alloc(&pass.field, (size_t)train->encoder->F, sizeof *pass.field, error), done);
  DFM_TRY_GOTO(status, dfm_alloc(&pass.begin, (size_t)pass.tasks + 1, sizeof *pass.begin, error), done);
  DFM_TRY_GOTO(status, allocate_ages(train->encoder->F, n, &age, error), done);
  share_fields(&pass, n, first, age);
  status = see_rows(&pass, pool, error);
done:
  free(pass.field);
  free(pass.begin);
  if (status != DFM_OK) {
    dfm_ages_free(age);
    return status;
  }
  *ages = age;
  return DFM_OK;
}

dfm_status dfm_ages_create(const dfm_dataset *train, dfm_pool *pool, uint32_t ***ages, dfm_error *error) {
  const dfm_encoder *encoder = train->encoder;
  uint64_t *n;
  uint32_t *first = NULL;
  DFM_TRY(dfm_alloc(&n, (size_t)encoder->F, sizeof *n, error));
  dfm_status status = dfm_alloc(&first, (size_t)encoder->F, sizeof *first, error);
  for (int f = 0; f < encoder->F && status == DFM_OK; f++) {
    n[f] = dfm_ages_count(encoder, f);
    first[f] = dfm_encoder_first(encoder, f);
  }
  if (status == DFM_OK) status = dfm_ages_of(train, n, first, pool, ages, error);
  free(n);
  free(first);
  return status;
}
