/* The doctor's look at one field: a column of codes comes in; what will hurt goes out. The figures that decide stand
 * here, one check a function. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/doctor.h"
#include "data/excess.h"

/* What a check sees and where it writes. */
typedef struct look {
  const dfm_column_codes *column;
  const dfm_row_sample *sample; /* its */
  dfm_findings *findings;
} look;

/* Below this many rows most shares say nothing. */
enum { FEW_ROWS = 50 };

#define ADD(kind, severity, ...) dfm_findings_add(at->findings, kind, severity, at->column->name, error, __VA_ARGS__)

/* ---- values */

/* Buckets have names, values their text in quotes. */
static dfm_status add_constant_value(const look *at, dfm_error *error) {
  const dfm_encoder *encoder = at->sample->encoder;
  const int f = at->column->field;
  const dfm_field_settings *settings = &encoder->category[f].settings;
  const char *quote = settings->hash > 0 || settings->buckets > 0 ? "" : "'";
  char room[DFM_VALUE_NAME_BYTES], text[DFM_SHOW_BYTES];
  size_t n;
  const char *bytes =
      dfm_encoder_value_name(encoder, f, at->sample->cells[f].id[0] - dfm_encoder_first(encoder, f), room, &n);
  dfm_show(text, bytes, n);
  return ADD(DFM_FOUND_CONSTANT, DFM_SEVERITY_WARNING, "is %s%s%s in all %zu rows", quote, text, quote, at->sample->n);
}

static dfm_status check_constant(const look *at, dfm_error *error) {
  const dfm_column_codes *column = at->column;
  const size_t n = at->sample->n;
  if (column->n_codes != 1 || n < 2) return DFM_OK;
  if (column->n_missing == at->sample->rows)
    return ADD(DFM_FOUND_CONSTANT, DFM_SEVERITY_WARNING, "is empty in all %zu rows", n);
  if (column->unknown == 0)
    return ADD(DFM_FOUND_CONSTANT, DFM_SEVERITY_WARNING, "has only values under min_count in all %zu rows", n);
  if (column->is_number)
    return ADD(DFM_FOUND_CONSTANT, DFM_SEVERITY_WARNING, "is %.6g in all %zu rows",
               (double)at->sample->minimum[column->field], n);
  return add_constant_value(at, error);
}

/* Values that only one row has, by the counts of all rows, not of the sample. */
static dfm_status check_unique(const look *at, dfm_error *error) {
  const dfm_encoder *encoder = at->sample->encoder;
  if (at->column->is_number || !at->sample->is_own || encoder->rows < FEW_ROWS) return DFM_OK;
  const dfm_category_field *field = &encoder->category[at->column->field];
  const double lonely = dfm_encoder_expected_unknown(encoder, at->column->field);
  if (lonely < 0.5) return DFM_OK;
  const char *what = field->settings.min_count > 1 ? "fewer rows than min_count asks for have" : "no other row has";
  const char *cells = field->is_list ? "items" : "rows";
  const int64_t rows = encoder->rows, distinct = field->distinct;
  if (lonely < 0.9)
    return ADD(DFM_FOUND_RARE, DFM_SEVERITY_NOTE,
               "%.1f %% of the %s have a value that %s (%" PRId64 " values in %" PRId64 " rows)", 100 * lonely, cells,
               what, distinct, rows);
  return ADD(DFM_FOUND_UNIQUE, DFM_SEVERITY_WARNING,
             "%" PRId64 " values in %" PRId64 " rows: %.1f %% of the %s have one that %s", distinct, rows, 100 * lonely,
             cells, what);
}

static dfm_status check_missing(const look *at, dfm_error *error) {
  const double share = (double)at->column->n_missing / (double)at->sample->rows;
  if (share < 0.75 || at->column->n_codes == 1) return DFM_OK;
  return ADD(DFM_FOUND_MISSING, share < 0.95 ? DFM_SEVERITY_NOTE : DFM_SEVERITY_WARNING,
             "is empty in %.1f %% of the rows", 100 * share);
}

/* How a value that is a number is written: so that it is one, with a decimal comma, digits in groups or a unit, or not
 * as a number. */
typedef enum number_look { NO_NUMBER, PLAIN_NUMBER, DRESSED_NUMBER } number_look;

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/* "-6,59", "1.234,5", "1,234.5", "$12" and "3 %" are dressed; "1.2.3", "3-4" and "1,2,3" are no numbers. */
static number_look look_of_number(const char *at, size_t n) {
  static const char units[] = "$% \xe2\x82\xac\xc2\xa3"; /* the bytes of the euro and the pound among them */
  const char *end = at + n, *comma = NULL, *point = NULL;
  size_t commas = 0, points = 0, digits = 0;
  bool has_unit = false;
  for (; at < end && strchr(units, *at); at++) has_unit = true;
  for (; at < end && strchr(units, end[-1]); end--) has_unit = true;
  for (const char *c = at + (at < end && *at == '-'); c < end; c++) {
    if (is_digit(*c))
      digits++;
    else if (*c == ',')
      commas++, comma = c;
    else if (*c == '.')
      points++, point = c;
    else
      return NO_NUMBER;
  }
  const bool is_decimal_comma = commas == 1 && (points == 0 || point < comma);
  const bool is_grouped = commas > 0 && points == 1 && point > comma;
  if (digits == 0 || !(is_decimal_comma || is_grouped || (commas == 0 && points <= 1))) return NO_NUMBER;
  return has_unit || commas > 0 ? DRESSED_NUMBER : PLAIN_NUMBER;
}

/* Numbers that are text for how they are written, as spreadsheets write them where the comma is the decimal point. */
static dfm_status check_text_number(const look *at, dfm_error *error) {
  enum { FEW_VALUES = 20, MOST_VALUES = 1000 };
  const dfm_encoder *encoder = at->sample->encoder;
  const int f = at->column->field;
  char room[DFM_VALUE_NAME_BYTES], text[DFM_SHOW_BYTES] = "";
  uint32_t n_dressed = 0, n_seen = 0;
  if (at->column->is_number || encoder->category[f].is_list) return DFM_OK;
  const dfm_field_settings *settings = &encoder->category[f].settings;
  const uint32_t values = settings->hash > 0 || settings->buckets > 0 ? 0 : dfm_encoder_values(encoder, f);
  for (uint32_t i = 0; i < values && i < MOST_VALUES; i++) {
    size_t n;
    const char *bytes = dfm_encoder_value_name(encoder, f, i, room, &n);
    const number_look is = look_of_number(bytes, n);
    if (n == 0) continue;
    if (is == NO_NUMBER) return DFM_OK;
    if (is == DRESSED_NUMBER && n_dressed++ == 0) dfm_show(text, bytes, n);
    n_seen++;
  }
  if (n_seen < FEW_VALUES || 2 * n_dressed < n_seen) return DFM_OK;
  return ADD(DFM_FOUND_TEXT_NUMBER, DFM_SEVERITY_WARNING,
             "is a category whose values are numbers with a decimal comma, groups of digits or a unit, such as '%s'",
             text);
}

/* ---- the label */

/* With fewer rows of a class than this an AUC is chance. */
enum { FEW_OF_A_CLASS = 20 };

static bool has_both_classes(const look *at) {
  int64_t positives = 0;
  for (size_t i = 0; at->sample->label && i < at->sample->n; i++) positives += at->sample->label[i];
  return positives >= FEW_OF_A_CLASS && (int64_t)at->sample->n - positives >= FEW_OF_A_CLASS;
}

static bool is_whole(const look *at) {
  const float *numbers = at->sample->number + (size_t)at->column->field * at->column->n;
  for (size_t i = 0; i < at->column->n; i++)
    if (!isnan(numbers[i]) && numbers[i] != floorf(numbers[i])) return false;
  return true;
}

static dfm_status check_leak(const look *at, dfm_error *error) {
  const dfm_column_codes *column = at->column;
  double by_value;
  if (column->n_codes < 2 || !has_both_classes(at)) return DFM_OK;
  DFM_TRY(dfm_column_value_auc(column, &by_value, error));
  const double by_order = column->is_number ? dfm_column_order_auc(column) : 0;
  const double best = by_value > by_order ? by_value : by_order;
  if (best <= 0.99) return DFM_OK;
  return ADD(DFM_FOUND_LEAK, DFM_SEVERITY_WARNING, "tells the label all by itself: AUC %.4f%s", best,
             by_value > by_order ? " on rows that its label rates were not taken from" : " by its order alone");
}

/* ---- numbers */

/* Hardly a number occurs twice, and all are whole: an id, a count of rows, or a time. */
static dfm_status check_unique_number(const look *at, dfm_error *error) {
  const dfm_column_codes *column = at->column;
  const float *numbers = at->sample->number + (size_t)column->field * column->n;
  size_t rising = 0;
  for (size_t i = 1; i < column->n; i++) rising += numbers[i] > numbers[i - 1];
  const bool is_order = (double)rising >= 0.99 * (double)(column->n - 1);
  return ADD(DFM_FOUND_ID_NUMBER, DFM_SEVERITY_WARNING, "%u different whole numbers in %zu rows%s", column->n_codes,
             column->n,
             is_order ? ", rising from row to row: it counts the rows or is a time" : ", like an id or a time");
}

/* Whole numbers that are names: the label rates of the single values tell more than those of ranges of them. */
static dfm_status check_id_number(const look *at, dfm_error *error) {
  const dfm_column_codes *column = at->column;
  double by_value, by_range;
  if (!column->is_number || column->n < FEW_ROWS || !is_whole(at)) return DFM_OK;
  if ((double)column->n_codes >= 0.95 * (double)column->n) return check_unique_number(at, error);
  if (column->n_codes <= 100 || !has_both_classes(at)) return DFM_OK;
  DFM_TRY(dfm_column_value_auc(column, &by_value, error));
  DFM_TRY(dfm_column_range_auc(column, &by_range, error));
  if (by_value <= by_range + 0.05) return DFM_OK;
  return ADD(DFM_FOUND_ID_NUMBER, DFM_SEVERITY_NOTE,
             "%u whole numbers that tell more as names than as amounts: AUC %.3f by value, %.3f by range",
             column->n_codes, by_value, by_range);
}

/* The raw value at a share of the present ones, by order. */
static float value_at(const dfm_column_codes *column, double share) {
  const double empty = column->missing == DFM_NO_CODE ? 0 : (double)dfm_column_rows(column, column->missing);
  const double wanted = share * ((double)column->n - empty);
  double before = 0;
  uint32_t r = column->missing != DFM_NO_CODE;
  for (; r + 1 < column->n_codes; r++) {
    before += dfm_column_rows(column, column->rank[r]);
    if (before >= wanted) break;
  }
  return column->value[column->rank[r]];
}

/* Far outliers are those that are still far after the transform: what the model sees then is one cell. */
static dfm_status check_outliers(const look *at, dfm_error *error) {
  static const double FAR_SPREADS = 50, FAR = 20, HARMLESS = 10;
  const dfm_column_codes *column = at->column;
  const dfm_encoder *encoder = at->sample->encoder;
  const int d = column->field;
  if (!column->is_number || column->n_codes < 3 || isnan(at->sample->minimum[d])) return DFM_OK;
  const double median = (double)dfm_encoder_number(encoder, d, value_at(column, 0.5));
  const double spread = (double)dfm_encoder_number(encoder, d, value_at(column, 0.75)) -
                        (double)dfm_encoder_number(encoder, d, value_at(column, 0.25));
  const double low = (double)dfm_encoder_number(encoder, d, at->sample->minimum[d]),
               high = (double)dfm_encoder_number(encoder, d, at->sample->maximum[d]);
  const bool is_high = high - median > median - low;
  const double distance = is_high ? high - median : median - low;
  const float worst = is_high ? at->sample->maximum[d] : at->sample->minimum[d];
  const double seen = is_high ? high : low;
  if ((spread > 0 && distance > FAR_SPREADS * spread && fabs(seen) > HARMLESS) || fabs(seen) > FAR)
    return ADD(DFM_FOUND_OUTLIERS, DFM_SEVERITY_WARNING,
               "reaches %.6g where half of the values lie between %.6g and %.6g; the model sees it as %.4g",
               (double)worst, (double)value_at(column, 0.25), (double)value_at(column, 0.75), seen);
  return DFM_OK;
}

/* ---- along the rows */

/* Values of the last tenth that none of the rows before has, against the share that a shuffled file would have. */
static dfm_status check_new_values(const look *at, dfm_error *error) {
  const dfm_column_codes *column = at->column;
  int64_t n_last = 0, n_new = 0, lonely = 0;
  uint32_t *before; /* (n_codes) rows in the first nine tenths */
  if (column->is_number || at->sample->n < FEW_ROWS * DFM_TENTHS) return DFM_OK;
  DFM_TRY(dfm_alloc(&before, column->n_codes, sizeof *before, error));
  for (size_t i = 0; i < column->n; i++) {
    const bool is_last = dfm_tenth(at->sample, dfm_column_row(column, i)) == DFM_TENTHS - 1;
    n_last += is_last;
    n_new += is_last && before[column->code[i]] == 0;
    before[column->code[i]] += !is_last;
  }
  for (uint32_t code = 0; code < column->n_codes; code++) lonely += before[code] == 1;
  free(before);
  const double expected = (double)lonely / (double)((int64_t)column->n - n_last);
  if (!dfm_is_far_above(n_new, n_last, expected)) return DFM_OK;
  return ADD(
      DFM_FOUND_NEW_VALUES, DFM_SEVERITY_WARNING,
      "%.1f %% of the %slast tenth of the rows have a value that none before has; %.1f %% would if the rows were "
      "shuffled",
      100 * (double)n_new / (double)n_last, column->row ? "items in the " : "", 100 * expected);
}

static dfm_status check_drift(const look *at, dfm_error *error) {
  static const double FAR = 1;
  dfm_drift drift;
  int worst = 0;
  if (at->column->n_codes < 2 || at->sample->n < FEW_ROWS * DFM_TENTHS) return DFM_OK;
  /* New values are a change already, and of what rises from row to row each tenth is unlike the others. */
  if (dfm_findings_have(at->findings, DFM_FOUND_NEW_VALUES) || dfm_findings_have(at->findings, DFM_FOUND_ID_NUMBER))
    return DFM_OK;
  DFM_TRY(dfm_column_drift(at->column, &drift, error));
  for (int t = 1; t < DFM_TENTHS; t++) worst = drift.psi[t] > drift.psi[worst] ? t : worst;
  const double last = drift.psi[DFM_TENTHS - 1];
  if (last > drift.limit)
    return ADD(DFM_FOUND_DRIFT, last > drift.limit + FAR ? DFM_SEVERITY_WARNING : DFM_SEVERITY_NOTE,
               "the last tenth of the rows is unlike those before (PSI %.2f; above 0.25 is much)", last);
  if (drift.psi[worst] > drift.limit)
    return ADD(DFM_FOUND_DRIFT, DFM_SEVERITY_NOTE,
               "changes along the rows: tenth %d is unlike the others (PSI %.2f; above 0.25 is much)", worst + 1,
               drift.psi[worst]);
  return DFM_OK;
}

dfm_status dfm_doctor_column(const dfm_column_codes *column, dfm_findings *findings, dfm_error *error) {
  static dfm_status (*const checks[])(const look *, dfm_error *) = {
      check_constant,  check_unique,   check_missing,    check_text_number, check_leak,
      check_id_number, check_outliers, check_new_values, check_drift};
  const look at = {column, column->sample, findings};
  for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) DFM_TRY(checks[i](&at, error));
  return DFM_OK;
}
