/* Doctor: rows come in; findings go out. Private to the doctor's own files.
 *
 * doctor_sample.c passes all rows once: it takes a sample, spread evenly and in the order of the text, and counts
 * duplicates. doctor_column.c turns a field of the sample into a column of codes with counts. doctor_fields.c judges
 * each column, doctor_rows.c the rows as a whole, doctor.c brings it all together. */
#ifndef DFM_DATA_DOCTOR_H
#define DFM_DATA_DOCTOR_H

#include "data/dataset.h"

/* ---- findings */

typedef enum dfm_finding_kind {
  DFM_FOUND_CONSTANT,
  DFM_FOUND_UNIQUE,
  DFM_FOUND_RARE,
  DFM_FOUND_TEXT_NUMBER,
  DFM_FOUND_LEAK,
  DFM_FOUND_ID_NUMBER,
  DFM_FOUND_OUTLIERS,
  DFM_FOUND_MISSING,
  DFM_FOUND_DRIFT,
  DFM_FOUND_NEW_VALUES,
  DFM_FOUND_REPEATS,
  DFM_FOUND_ONE_CLASS,
  DFM_FOUND_IMBALANCE,
  DFM_FOUND_LABEL_DRIFT,
  DFM_FOUND_DUPLICATES,
  DFM_FOUND_CONTRADICTIONS
} dfm_finding_kind;

typedef struct dfm_findings {
  dfm_finding *items; /* their messages are on the heap */
  size_t n, capacity;
} dfm_findings;

/* Adds a finding whose message is the printf-style sentence; `field` NULL: none. */
dfm_status dfm_findings_add(dfm_findings *findings, dfm_finding_kind kind, dfm_severity severity, const char *field,
                            dfm_error *error, const char *format, ...) __attribute__((format(printf, 6, 7)));
/* Whether one of that kind is among them. */
bool dfm_findings_have(const dfm_findings *findings, dfm_finding_kind kind);
void dfm_findings_clear(dfm_findings *findings);

/* ---- the sample */

/* Duplicates among the rows whose hash is small: all of them while there is room, then of each doubling half. Which
 * ones depends on the rows alone. */
typedef struct dfm_duplicates {
  struct dfm_row_group *slots; /* open addressing by hash; rows 0: empty */
  size_t n_slots, n;           /* n: groups of equal rows */
  int shift;                   /* kept where the hash's leading `shift` bits are 0 */
} dfm_duplicates;

typedef struct dfm_row_group {
  uint64_t hash; /* of all cells but the label */
  int64_t rows, positives;
} dfm_row_group;

/* A category field's cells; of a list its items, and DFM_NO_ITEMS where a row has none, so that no row is without. */
typedef struct dfm_sample_cells {
  uint32_t *id;  /* (n) in the order of rows */
  uint32_t *row; /* (n); NULL: cell i is row i's */
  size_t n, id_capacity, row_capacity;
} dfm_sample_cells;

#define DFM_NO_ITEMS (DFM_ID_NONE - 1) /* no table has so many rows */

typedef struct dfm_row_sample {
  const dfm_encoder *encoder;
  int F, D;
  int64_t rows;             /* of the datasets */
  int64_t *missing;         /* (F + D) of all rows, as dfm_dataset_field counts them */
  bool is_own;              /* the encoder was made from them, so that its counts are theirs */
  bool is_coarse;           /* cells that differ may have one id: some field has buckets */
  size_t n;                 /* taken */
  dfm_sample_cells *cells;  /* (F) */
  float *number;            /* (D, n) */
  uint8_t *label;           /* (n); NULL: there is none */
  float *minimum, *maximum; /* (D) of all rows; NaN where every cell is empty */
  dfm_duplicates duplicates;
  int64_t comparable; /* rows that were counted by hash, kept or not: those without unknown values */
} dfm_row_sample;

/* `budget_bytes`: of the sample. */
dfm_status dfm_row_sample_take(const dfm_dataset *train, const dfm_dataset *valid, size_t budget_bytes,
                               dfm_row_sample *sample, dfm_error *error);
void dfm_row_sample_clear(dfm_row_sample *sample);

/* The tenth of the sample, in the order of the text, that row `i` is in. */
enum { DFM_TENTHS = 10 };
static inline int dfm_tenth(const dfm_row_sample *sample, size_t i) {
  return (int)(i * DFM_TENTHS / sample->n);
}

/* ---- a column */

#define DFM_NO_CODE UINT32_MAX

/* A field's cells by code: values are numbered by first appearance. A list without items has a code of its own. */
typedef struct dfm_column_codes {
  const dfm_row_sample *sample;
  const char *name;
  bool is_number;
  int field;           /* f or d */
  int64_t n_missing;   /* of all rows, not of the sample */
  size_t n;            /* cells of the sample */
  const uint32_t *row; /* (n) the sample's row that a cell is of; NULL: cell i is row i's */
  uint32_t *code;      /* (n) */
  uint32_t n_codes;
  uint32_t missing, unknown; /* codes of a number's empty cells, of values without id; DFM_NO_CODE: none */
  uint32_t *rank;            /* numbers: (n_codes) codes by ascending value, empty cells first; NULL: a category */
  float *value;              /* numbers: (n_codes) raw; NaN: empty */
  uint32_t *rows[2];         /* (n_codes) cells of each fold: rows are dealt to two folds at random */
  uint32_t *positives[2];
} dfm_column_codes;

/* Field `i` of the encoder's F + D. */
dfm_status dfm_column_code(const dfm_row_sample *sample, size_t i, dfm_column_codes *column, dfm_error *error);
void dfm_column_codes_clear(dfm_column_codes *column);
static inline uint32_t dfm_column_rows(const dfm_column_codes *column, uint32_t code) {
  return column->rows[0][code] + column->rows[1][code];
}
static inline size_t dfm_column_row(const dfm_column_codes *column, size_t i) {
  return column->row ? column->row[i] : i;
}
/* AUC of the label rate that each value has in the other fold, of a list the mean of its items'; 0.5: it tells nothing.
 * NaN without both classes. */
dfm_status dfm_column_value_auc(const dfm_column_codes *column, double *auc, dfm_error *error);
/* The same of a number's ranges, 32 with as many rows each as values allow. */
dfm_status dfm_column_range_auc(const dfm_column_codes *column, double *auc, dfm_error *error);
/* AUC of a number's order, whichever way round, at least 0.5. */
double dfm_column_order_auc(const dfm_column_codes *column);

/* How unlike the rest each tenth is. Population stability index: the sum over bins of (p - q) ln(p / q), where p and q
 * are the shares of the tenth's and of all other rows; half a row is added to each. Bins: the 19 most frequent values
 * and the others, or the tenths of a number's order and the empty cells. */
enum { DFM_DRIFT_BINS = 20 };
typedef struct dfm_drift {
  double psi[DFM_TENTHS];
  double limit; /* what is far: 0.25, and what chance brings */
} dfm_drift;
dfm_status dfm_column_drift(const dfm_column_codes *column, dfm_drift *drift, dfm_error *error);

/* Judges one column. */
dfm_status dfm_doctor_column(const dfm_column_codes *column, dfm_findings *findings, dfm_error *error);
/* Judges the rows as a whole. */
dfm_status dfm_doctor_rows(const dfm_row_sample *sample, dfm_findings *findings, dfm_error *error);

#endif
