/* What comes in: the text of one setting's value. What goes out: the recipe's member, checked against the setting's
 * range; and the text again. */
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "model/net_build.h"
#include "model/recipe_settings.h"

static void *member(dfm_recipe *recipe, size_t offset) {
  return (char *)recipe + offset;
}

static const void *const_member(const dfm_recipe *recipe, size_t offset) {
  return (const char *)recipe + offset;
}

/* One sentence for every value that does not fit; ends with `hint` where there is one. */
static dfm_status refuse(const dfm_setting_row *row, const char *value, const char *must, const char *hint,
                         dfm_error *error) {
  char shown[DFM_SHOW_BYTES];
  return dfm_fail(error, DFM_ERROR_VALUE, "%s is '%s'; it must be %s%s%s%s", row->setting.name,
                  dfm_show(shown, value, strlen(value)), must, hint ? "; did you mean '" : "", hint ? hint : "",
                  hint ? "'?" : "");
}

static dfm_status refuse_range(const dfm_setting_row *row, const char *value, const char *what, dfm_error *error) {
  char must[160];
  snprintf(must, sizeof must, "%s%s", what, row->setting.range);
  return refuse(row, value, must, NULL, error);
}

/* The bracket "[low, high)" within a range, as numbers. */
static bool in_range(const char *range, double value) {
  const char *open = strpbrk(range, "[("), *comma = open ? strchr(open, ',') : NULL,
             *close = comma ? strpbrk(comma, "])") : NULL;
  double low, high;
  if (!close || dfm_parse_double(open + 1, (size_t)(comma - open - 1), &low) != DFM_NUMBER_OK ||
      dfm_parse_double(comma + 1, (size_t)(close - comma - 1), &high) != DFM_NUMBER_OK)
    return false;
  return (*open == '[' ? value >= low : value > low) && (*close == ']' ? value <= high : value < high);
}

/* ---- choices: the words of a range "a | b | c" */

/* Word `i` of the range into `word`; false past the last. */
static bool choice_at(const char *range, int i, char word[32]) {
  for (; i > 0 && range; i--) range = (range = strchr(range, '|')) ? range + 1 : NULL;
  if (!range) return false;
  range += strspn(range, " ");
  snprintf(word, 32, "%.*s", (int)strcspn(range, " |"), range);
  return true;
}

static dfm_status parse_choice(const dfm_setting_row *row, const char *value, int *choice, dfm_error *error) {
  char words[8][32], must[160];
  const char *names[8];
  int n = 0;
  for (; n < 8 && choice_at(row->setting.range, n, words[n]); n++) {
    names[n] = words[n];
    if (strcmp(value, words[n]) == 0) {
      *choice = n;
      return DFM_OK;
    }
  }
  snprintf(must, sizeof must, "one of %s", row->setting.range);
  return refuse(row, value, must, dfm_nearest(value, names, (size_t)n), error);
}

static dfm_status parse_bool(const dfm_setting_row *row, const char *value, bool *out, dfm_error *error) {
  static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strcmp(value, words[i]) == 0) {
      *out = i % 2 == 1;
      return DFM_OK;
    }
  return refuse(row, value, "true or false", NULL, error);
}

/* ---- numbers */

static dfm_status parse_integer(const dfm_setting_row *row, const char *value, const char *bytes, size_t n,
                                long long *out, dfm_error *error) {
  if (!dfm_parse_int64(bytes, n, out) || !in_range(row->setting.range, (double)*out))
    return refuse_range(row, value, row->type == DFM_SETTING_INTS ? "" : "a whole number in ", error);
  return DFM_OK;
}

static dfm_status parse_number(const dfm_setting_row *row, const char *value, const char *bytes, size_t n, double *out,
                               dfm_error *error) {
  if (dfm_parse_double(bytes, n, out) != DFM_NUMBER_OK || !in_range(row->setting.range, *out))
    return refuse_range(row, value, row->type == DFM_SETTING_DOUBLES ? "in " : "a number in ", error);
  return DFM_OK;
}

/* What stands for a cell is bounded as cells are, by 32-bit floats. */
static dfm_status parse_maybe(const dfm_setting_row *row, const char *value, double *out, dfm_error *error) {
  double number = NAN;
  if (*value && (dfm_parse_double(value, strlen(value), &number) != DFM_NUMBER_OK || fabs(number) > (double)FLT_MAX))
    return refuse_range(row, value, "", error);
  *out = number;
  return DFM_OK;
}

/* ---- lists */

/* Item after item of "a, b" without the spaces around it. Starts with *next = the text; false at the end. */
static bool next_item(const char **next, const char **item, size_t *n) {
  const char *p = *next;
  if (!p) return false;
  const size_t length = strcspn(p, ",");
  *next = p[length] ? p + length + 1 : NULL;
  *item = p + strspn(p, " \t");
  *n = *item < p + length ? (size_t)(p + length - *item) : 0;
  while (*n > 0 && strchr(" \t", (*item)[*n - 1])) --*n;
  return true;
}

/* Copies a list without the brackets of "[...]" and the spaces around; false where it is too long to be one. */
static bool unwrap(char *copy, size_t size, const char *value) {
  value += strspn(value, " \t");
  size_t n = strlen(value);
  if (n >= size) return false;
  memcpy(copy, value, n + 1);
  while (n > 0 && strchr(" \t", copy[n - 1])) copy[--n] = 0;
  if (n >= 2 && copy[0] == '[' && copy[n - 1] == ']') {
    copy[n - 1] = 0;
    memmove(copy, copy + 1, n - 1);
  }
  if (copy[strspn(copy, " \t")] == 0) copy[0] = 0;
  return true;
}

static dfm_status parse_list(const dfm_setting_row *row, dfm_recipe *recipe, const char *value, dfm_error *error) {
  const bool is_int = row->type == DFM_SETTING_INTS;
  char copy[1024];
  long long integers[DFM_MAX_HIDDEN];
  double numbers[DFM_MAX_HIDDEN];
  int count = 0;
  if (!unwrap(copy, sizeof copy, value)) return refuse_range(row, value, "", error);
  const char *next = *copy ? copy : NULL, *item;
  for (size_t n; next_item(&next, &item, &n); count++) {
    if (count == DFM_MAX_HIDDEN) return refuse_range(row, value, "", error);
    DFM_TRY(is_int ? parse_integer(row, value, item, n, &integers[count], error)
                   : parse_number(row, value, item, n, &numbers[count], error));
  }
  if (count == 0 && !is_int) return refuse_range(row, value, "in ", error);
  int *hidden = member(recipe, row->offset);
  double *rates = member(recipe, row->offset);
  for (int i = 0; i < count; i++) {
    if (is_int)
      hidden[i] = (int)integers[i];
    else
      rates[i] = numbers[i];
  }
  *(int *)member(recipe, row->count_offset) = count;
  return DFM_OK;
}

static const struct {
  const char *word;
  int bit;
} branches[] = {{"linear", DFM_INTO_LINEAR}, {"fm", DFM_INTO_FM}, {"dnn", DFM_INTO_DNN}};
enum { N_BRANCHES = sizeof branches / sizeof *branches };

static dfm_status parse_into(const dfm_setting_row *row, const char *value, int *out, dfm_error *error) {
  char copy[256];
  int bits = 0;
  if (!unwrap(copy, sizeof copy, value)) return refuse_range(row, value, "", error);
  const char *next = *copy ? copy : NULL, *item;
  for (size_t n; next_item(&next, &item, &n);) {
    int bit = 0;
    for (size_t i = 0; i < N_BRANCHES; i++)
      if (strlen(branches[i].word) == n && memcmp(branches[i].word, item, n) == 0) bit = branches[i].bit;
    if (!bit) return refuse_range(row, value, "", error);
    bits |= bit;
  }
  if (!bits) return refuse_range(row, value, "", error);
  *out = bits;
  return DFM_OK;
}

static dfm_status parse_model(const char *value, char out[32], dfm_error *error) {
  const dfm_model_kind *kind;
  DFM_TRY(dfm_model_kind_find(value, &kind, error));
  snprintf(out, 32, "%s", kind->name);
  return DFM_OK;
}

dfm_status dfm_setting_parse(const dfm_setting_row *row, dfm_recipe *recipe, const char *value, dfm_error *error) {
  void *out = member(recipe, row->offset);
  const size_t n = strlen(value);
  long long integer = 0;
  int choice = 0;
  switch (row->type) {
    case DFM_SETTING_MODEL:
      return parse_model(value, out, error);
    case DFM_SETTING_INT:
      DFM_TRY(parse_integer(row, value, value, n, &integer, error));
      *(int *)out = (int)integer;
      return DFM_OK;
    case DFM_SETTING_INT64:
      DFM_TRY(parse_integer(row, value, value, n, &integer, error));
      *(int64_t *)out = integer;
      return DFM_OK;
    case DFM_SETTING_UINT64:
      DFM_TRY(parse_integer(row, value, value, n, &integer, error));
      *(uint64_t *)out = (uint64_t)integer;
      return DFM_OK;
    case DFM_SETTING_DOUBLE: {
      double number;
      DFM_TRY(parse_number(row, value, value, n, &number, error));
      *(double *)out = number;
      return DFM_OK;
    }
    case DFM_SETTING_MAYBE_DOUBLE:
      return parse_maybe(row, value, out, error);
    case DFM_SETTING_BOOL:
      return parse_bool(row, value, out, error);
    case DFM_SETTING_CHOICE:
      DFM_TRY(parse_choice(row, value, &choice, error));
      *(int *)out = row->first + choice;
      return DFM_OK;
    case DFM_SETTING_CHOICE_BOOL:
      DFM_TRY(parse_choice(row, value, &choice, error));
      *(bool *)out = choice == 1;
      return DFM_OK;
    case DFM_SETTING_INTS:
    case DFM_SETTING_DOUBLES:
      return parse_list(row, recipe, value, error);
    case DFM_SETTING_INTO:
      return parse_into(row, value, out, error);
  }
  return dfm_fail(error, DFM_ERROR_VALUE, "%s has no type", row->setting.name);
}

/* ---- member -> text */

/* Shortest decimal that reads back as the same double, "1e-8" rather than "1e-08", whatever the program's locale; NaN
 * is empty. */
static dfm_status format_double(double value, dfm_text *text, dfm_error *error) {
  char digits[40] = "";
  if (isnan(value)) return dfm_text_printf(text, error, "%s", "");
  const locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0), before = c ? uselocale(c) : (locale_t)0;
  double back = NAN;
  int precision = 1; /* no exponent for whole numbers: "10", not "1e1" */
  for (double ten = 10; ten <= fabs(value) && ten < 1e15; ten *= 10) precision++;
  for (; precision <= 17 && back != value; precision++) {
    snprintf(digits, sizeof digits, "%.*g", precision, value);
    if (dfm_parse_double(digits, strlen(digits), &back) != DFM_NUMBER_OK) back = NAN;
  }
  if (c) {
    uselocale(before);
    freelocale(c);
  }
  char *exponent = strchr(digits, 'e');
  if (exponent) {
    char *to = exponent + 1 + (exponent[1] == '-'), *from = exponent + 2;
    from += strspn(from, "0");
    memmove(to, from, strlen(from) + 1);
  }
  return dfm_text_printf(text, error, "%s", digits);
}

static dfm_status format_into(int bits, dfm_text *text, dfm_error *error) {
  const char *comma = "";
  for (size_t i = 0; i < N_BRANCHES; i++)
    if (bits & branches[i].bit) {
      DFM_TRY(dfm_text_printf(text, error, "%s%s", comma, branches[i].word));
      comma = ",";
    }
  return DFM_OK;
}

static dfm_status format_choice(const dfm_setting_row *row, int choice, dfm_text *text, dfm_error *error) {
  char word[32];
  if (choice < 0 || !choice_at(row->setting.range, choice, word))
    return dfm_fail(error, DFM_ERROR_VALUE, "%s is choice %d, which %s lacks", row->setting.name, choice,
                    row->setting.range);
  return dfm_text_printf(text, error, "%s", word);
}

static dfm_status format_list(const dfm_setting_row *row, const dfm_recipe *recipe, dfm_text *text, dfm_error *error) {
  const int n = *(const int *)const_member(recipe, row->count_offset);
  const void *values = const_member(recipe, row->offset);
  DFM_TRY(dfm_text_printf(text, error, "%s", ""));
  for (int i = 0; i < n; i++) {
    if (i > 0) DFM_TRY(dfm_text_printf(text, error, ","));
    DFM_TRY(row->type == DFM_SETTING_INTS ? dfm_text_printf(text, error, "%d", ((const int *)values)[i])
                                          : format_double(((const double *)values)[i], text, error));
  }
  return DFM_OK;
}

dfm_status dfm_setting_format(const dfm_setting_row *row, const dfm_recipe *recipe, dfm_text *text, dfm_error *error) {
  const void *in = const_member(recipe, row->offset);
  switch (row->type) {
    case DFM_SETTING_MODEL:
      return dfm_text_printf(text, error, "%s", (const char *)in);
    case DFM_SETTING_INT:
      return dfm_text_printf(text, error, "%d", *(const int *)in);
    case DFM_SETTING_INT64:
      return dfm_text_printf(text, error, "%lld", (long long)*(const int64_t *)in);
    case DFM_SETTING_UINT64:
      return dfm_text_printf(text, error, "%llu", (unsigned long long)*(const uint64_t *)in);
    case DFM_SETTING_DOUBLE:
    case DFM_SETTING_MAYBE_DOUBLE:
      return format_double(*(const double *)in, text, error);
    case DFM_SETTING_BOOL:
      return dfm_text_printf(text, error, "%s", *(const bool *)in ? "true" : "false");
    case DFM_SETTING_CHOICE:
      return format_choice(row, *(const int *)in - row->first, text, error);
    case DFM_SETTING_CHOICE_BOOL:
      return format_choice(row, *(const bool *)in, text, error);
    case DFM_SETTING_INTS:
    case DFM_SETTING_DOUBLES:
      return format_list(row, recipe, text, error);
    case DFM_SETTING_INTO:
      return format_into(*(const int *)in, text, error);
  }
  return dfm_fail(error, DFM_ERROR_VALUE, "%s has no type", row->setting.name);
}
