/* Doctor: one or two datasets come in; findings in their order go out. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <xxhash.h>

#include "base/memory.h"
#include "base/pool.h"
#include "data/doctor.h"

/* Rows that are looked at field by field. */
static const size_t BUDGET_BYTES = (size_t)64 << 20;

/* ---- findings */

static const struct {
  const char *code, *remedy;
} KINDS[] = {
    [DFM_FOUND_CONSTANT] = {"constant", "it tells nothing: set kind: ignore, or find out why it never changes"},
    [DFM_FOUND_UNIQUE] = {"unique", "nothing learnt of one row serves another: set kind: ignore, or raise min_count"},
    [DFM_FOUND_RARE] = {"rare", "what is learnt of them is one row each: try min_count 2 or more"},
    [DFM_FOUND_TEXT_NUMBER] = {"text_number",
                               "as names they have no order: write them as 1234.5, so that they are amounts"},
    [DFM_FOUND_LEAK] = {"leak", "if it is known only after the label, or made from it, set kind: ignore"},
    [DFM_FOUND_ID_NUMBER] = {"id_number", "as an amount it misleads: set kind: category if values repeat, else ignore"},
    [DFM_FOUND_OUTLIERS] = {"outliers",
                            "set transform: log or standard, cap it, or see whether the largest are errors"},
    [DFM_FOUND_MISSING] = {"missing",
                           "see whether it is filled where the model will serve; if never, set kind: ignore"},
    [DFM_FOUND_DRIFT] = {"drift", "if rows are in order of time, validate with the last ones: --valid-split 0.1"},
    [DFM_FOUND_NEW_VALUES] = {"new_values", "so will later rows: validate with the last ones: --valid-split 0.1"},
    [DFM_FOUND_REPEATS] = {"repeats", "one of them is enough: set kind: ignore for the other"},
    [DFM_FOUND_ONE_CLASS] = {"one_class",
                             "nothing can be learnt: check which column is the label and how it is written"},
    [DFM_FOUND_IMBALANCE] = {"imbalance", "judge by log loss and AUC, not accuracy; add rows of the rarer label"},
    [DFM_FOUND_LABEL_DRIFT] = {"label_drift",
                               "if rows are in order of time, validate with the last ones: --valid-split 0.1"},
    [DFM_FOUND_DUPLICATES] = {"duplicates", "on both sides of a random split they flatter it: write each row once"},
    [DFM_FOUND_CONTRADICTIONS] = {"contradictions", "no model gets them all right: add a column that tells them apart"},
};

dfm_status dfm_findings_add(dfm_findings *findings, dfm_finding_kind kind, dfm_severity severity, const char *field,
                            dfm_error *error, const char *format, ...) {
  char sentence[1024], *message;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(sentence, sizeof sentence, format, arguments);
  va_end(arguments);
  DFM_TRY(dfm_grow(&findings->items, &findings->capacity, findings->n + 1, sizeof *findings->items, error));
  DFM_TRY(dfm_copy_text(&message, sentence, error));
  findings->items[findings->n++] = (dfm_finding){
      .code = KINDS[kind].code, .severity = severity, .field = field, .message = message, .remedy = KINDS[kind].remedy};
  return DFM_OK;
}

bool dfm_findings_have(const dfm_findings *findings, dfm_finding_kind kind) {
  for (size_t i = 0; i < findings->n; i++)
    if (findings->items[i].code == KINDS[kind].code) return true;
  return false;
}

void dfm_findings_clear(dfm_findings *findings) {
  for (size_t i = 0; i < findings->n; i++) free((void *)(uintptr_t)findings->items[i].message);
  free(findings->items);
  *findings = (dfm_findings){0};
}

/* ---- all columns, a task each */

typedef struct column_task {
  dfm_findings findings;
  const char *name;
  uint64_t partition; /* hash of which rows share a value; 0: of no use, since all or none do */
  dfm_status status;
} column_task;

typedef struct doctor_run {
  dfm_row_sample sample;
  column_task *task; /* (F + D) */
} doctor_run;

static dfm_status look_at(const dfm_row_sample *sample, size_t i, column_task *task) {
  dfm_column_codes column;
  DFM_TRY(dfm_column_code(sample, i, &column, NULL));
  task->name = column.name;
  const uint64_t rows = column.row ? XXH3_64bits(column.row, column.n * sizeof *column.row) : 0;
  if (column.n_codes > 1 && column.n_codes < column.n)
    task->partition = XXH3_64bits_withSeed(column.code, column.n * sizeof *column.code, rows);
  const dfm_status status = dfm_doctor_column(&column, &task->findings, NULL);
  dfm_column_codes_clear(&column);
  return status;
}

static void run_task(void *context, int task, int thread) {
  doctor_run *run = context;
  (void)thread;
  run->task[task].status = look_at(&run->sample, (size_t)task, &run->task[task]);
}

static int by_partition(const void *left, const void *right) {
  const column_task *a = *(column_task *const *)left, *b = *(column_task *const *)right;
  if (a->partition != b->partition) return a->partition < b->partition ? -1 : 1;
  return a < b ? -1 : a > b;
}

/* Each column that groups the rows as one before it does; `sorted` (n) becomes the tasks by partition. */
static dfm_status find_repeats(doctor_run *run, column_task **sorted, size_t n, dfm_error *error) {
  for (size_t i = 0; i < n; i++) sorted[i] = &run->task[i];
  qsort(sorted, n, sizeof *sorted, by_partition);
  for (size_t i = 1, first = 0; i < n; i++) {
    if (sorted[i]->partition != sorted[first]->partition) first = i;
    if (first == i || sorted[i]->partition == 0) continue;
    DFM_TRY(dfm_findings_add(&sorted[i]->findings, DFM_FOUND_REPEATS, DFM_SEVERITY_WARNING, sorted[i]->name, error,
                             "repeats '%.200s': in all %zu rows the value of one gives the value of the other",
                             sorted[first]->name, run->sample.n));
  }
  return DFM_OK;
}

static dfm_status check_repeats(doctor_run *run, size_t n_fields, dfm_error *error) {
  column_task **sorted;
  DFM_TRY(dfm_alloc(&sorted, n_fields, sizeof(column_task *), error));
  const dfm_status status = find_repeats(run, sorted, n_fields, error);
  free(sorted);
  return status;
}

/* ---- the diagnosis */

struct dfm_diagnosis {
  dfm_findings findings;
  int64_t rows;
};

/* Moves the findings of one severity over. */
static dfm_status take(dfm_findings *from, dfm_severity severity, dfm_findings *to, dfm_error *error) {
  DFM_TRY(dfm_grow(&to->items, &to->capacity, to->n + from->n, sizeof *to->items, error));
  size_t left = 0;
  for (size_t i = 0; i < from->n; i++) {
    if (from->items[i].severity == severity) {
      to->items[to->n++] = from->items[i];
    } else {
      from->items[left++] = from->items[i];
    }
  }
  from->n = left;
  return DFM_OK;
}

static dfm_status gather(doctor_run *run, size_t n_fields, dfm_diagnosis *diagnosis, dfm_error *error) {
  dfm_findings rows = {0};
  dfm_status status = dfm_doctor_rows(&run->sample, &rows, error);
  if (status == DFM_OK) status = check_repeats(run, n_fields, error);
  for (int severity = DFM_SEVERITY_WARNING; severity >= DFM_SEVERITY_NOTE && status == DFM_OK; severity--) {
    status = take(&rows, (dfm_severity)severity, &diagnosis->findings, error);
    for (size_t i = 0; i < n_fields && status == DFM_OK; i++)
      status = take(&run->task[i].findings, (dfm_severity)severity, &diagnosis->findings, error);
  }
  dfm_findings_clear(&rows);
  diagnosis->rows = (int64_t)run->sample.n;
  return status;
}

static dfm_status run_columns(doctor_run *run, size_t n_fields, int threads, dfm_error *error) {
  dfm_pool *pool;
  DFM_TRY(dfm_alloc(&run->task, n_fields, sizeof *run->task, error));
  DFM_TRY(dfm_pool_create_exact(threads, &pool, error));
  dfm_pool_run(pool, (int)n_fields, run_task, run);
  dfm_pool_free(pool);
  for (size_t i = 0; i < n_fields; i++)
    if (run->task[i].status != DFM_OK)
      return dfm_fail(error, run->task[i].status, "there is no memory left to look at %zu rows of %zu fields",
                      run->sample.n, n_fields);
  return DFM_OK;
}

dfm_status dfm_dataset_diagnose(const dfm_dataset *train, const dfm_dataset *valid, int threads,
                                dfm_diagnosis **diagnosis, dfm_error *error) {
  const size_t n_fields = dfm_dataset_fields(train);
  doctor_run run = {0};
  dfm_diagnosis *made;
  DFM_TRY(dfm_alloc(&made, 1, sizeof *made, error));
  dfm_status status = dfm_row_sample_take(train, valid, BUDGET_BYTES, &run.sample, error);
  if (status == DFM_OK) status = run_columns(&run, n_fields, threads, error);
  if (status == DFM_OK) status = gather(&run, n_fields, made, error);
  for (size_t i = 0; run.task && i < n_fields; i++) dfm_findings_clear(&run.task[i].findings);
  free(run.task);
  dfm_row_sample_clear(&run.sample);
  if (status != DFM_OK) {
    dfm_diagnosis_free(made);
    return status;
  }
  *diagnosis = made;
  return DFM_OK;
}

int64_t dfm_diagnosis_rows(const dfm_diagnosis *diagnosis) {
  return diagnosis->rows;
}

size_t dfm_diagnosis_findings(const dfm_diagnosis *diagnosis) {
  return diagnosis->findings.n;
}

dfm_finding dfm_diagnosis_finding(const dfm_diagnosis *diagnosis, size_t i) {
  return diagnosis->findings.items[i];
}

void dfm_diagnosis_free(dfm_diagnosis *diagnosis) {
  if (!diagnosis) return;
  dfm_findings_clear(&diagnosis->findings);
  free(diagnosis);
}
