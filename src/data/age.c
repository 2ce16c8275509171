/* Ages: a pass over the rows, in which the last row of a value says how old it is. */
#include "data/age.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/placing.h"

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
  field_ages *field;      /* (F) */
  int tasks, *begin;      /* (tasks + 1) */
  dfm_row_reader *reader; /* (tasks) */
  dfm_status *status;     /* (tasks) */
  dfm_error *error;       /* (tasks) */
  dfm_scan scan;
} age_pass;

static inline void see(const field_ages *field, uint32_t id, uint32_t age) {
  if (id >= field->first && id - field->first < field->n) field->age[id - field->first] = age; /* no id: beyond n */
}

/* Rows [row, row + n) of the training rows, in a field whose ids are `ids` where it is no list. */
static void see_field(const age_pass *pass, const field_ages *field, int64_t row, int n, const uint32_t *ids) {
  const dfm_dataset *train = pass->train;
  for (int i = 0; i < n; i++) {
    const uint32_t age = dfm_age_after(0, train->rows - 1 - row - i), *id = ids + i;
    uint64_t cells = 1;
    if (field->is_list) cells = dfm_storage_cells(train->storage, train->first + row + i, field->f, &id);
    for (uint64_t k = 0; k < cells; k++) see(field, id[k], age);
  }
}

static void see_task(void *context, int task, int thread) {
  const age_pass *pass = context;
  const field_ages *begin = pass->field + pass->begin[task], *end = pass->field + pass->begin[task + 1];
  const int64_t stop = pass->scan.first + pass->scan.n;
  dfm_row_reader *reader = &pass->reader[task];
  (void)thread;
  for (int64_t row = pass->scan.first; row < stop && pass->status[task] == DFM_OK; row += DFM_PACKED_ROWS) {
    const int n = stop - row < DFM_PACKED_ROWS ? (int)(stop - row) : DFM_PACKED_ROWS;
    pass->status[task] =
        dfm_storage_read_ids(pass->train->storage, pass->train->first + row, n, reader, &pass->error[task]);
    for (const field_ages *field = begin; field < end && pass->status[task] == DFM_OK; field++)
      see_field(pass, field, row, n, reader->ids + (size_t)field->f * DFM_READER_STRIDE);
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
    for (int t = 0; t < pass->tasks; t++) {
      if (pass->status[t] == DFM_OK) continue;
      if (error) *error = pass->error[t];
      return pass->status[t];
    }
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
  DFM_TRY_GOTO(status, dfm_alloc(&pass.reader, (size_t)pass.tasks, sizeof *pass.reader, error), done);
  DFM_TRY_GOTO(status, dfm_alloc(&pass.status, (size_t)pass.tasks, sizeof *pass.status, error), done);
  DFM_TRY_GOTO(status, dfm_alloc(&pass.error, (size_t)pass.tasks, sizeof *pass.error, error), done);
  DFM_TRY_GOTO(status, allocate_ages(train->encoder->F, n, &age, error), done);
  share_fields(&pass, n, first, age);
  status = see_rows(&pass, pool, error);
done:
  free(pass.field);
  free(pass.begin);
  for (int t = 0; pass.reader && t < pass.tasks; t++) dfm_row_reader_clear(&pass.reader[t]);
  free(pass.reader);
  free(pass.status);
  free(pass.error);
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
