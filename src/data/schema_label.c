/* Label: the columns of a file and their profiles come in; which one is the label, and which of its texts mean 1 and 0,
 * go out. */
#include "data/schema_label.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/number.h"
#include "base/utf8.h"

/* In the order in which they win where a file has several. */
static const char *const label_names[] = {"label", "click", "clicked", "is_click", "y", "target"};
enum { N_LABEL_NAMES = sizeof label_names / sizeof *label_names, MAX_LISTED = 500, MAX_RATINGS = 20 };

static bool equals(const char *word, const char *bytes, size_t n) {
  return strlen(word) == n && strncasecmp(word, bytes, n) == 0;
}

bool dfm_label_is_named(const char *wanted, const char *bytes, size_t n) {
  if (wanted) return strlen(wanted) == n && memcmp(wanted, bytes, n) == 0;
  for (size_t i = 0; i < N_LABEL_NAMES; i++)
    if (equals(label_names[i], bytes, n)) return true;
  return false;
}

dfm_status dfm_label_find(const dfm_schema *schema, const char *wanted, dfm_column **column, dfm_error *error) {
  long long position;
  dfm_column *found = dfm_schema_column(schema, wanted);
  if (!found && dfm_parse_int64(wanted, strlen(wanted), &position) && position >= 1 &&
      position <= (long long)schema->n_columns)
    found = &schema->columns[position - 1];
  if (!found) return dfm_schema_no_column(schema, wanted, error);
  *column = found;
  return DFM_OK;
}

/* No column has the label's name: says which columns there are, and which of them look like one. */
static dfm_status no_label(const dfm_schema *schema, const dfm_profile *profiles, const char *path, dfm_error *error) {
  const dfm_column *hint = NULL, *pair = NULL;
  dfm_text list = {0};
  char shown[DFM_SHOW_BYTES], hint_text[2 * DFM_SHOW_BYTES] = "--label NAME";
  dfm_status status = DFM_OK;
  for (size_t i = 0; i < schema->n_columns && status == DFM_OK; i++) {
    const char *name = schema->columns[i].name;
    const dfm_profile *p = &profiles[i];
    if (!hint && p->is_numeric && p->n_distinct == 2 && p->min == 0 && p->max == 1) hint = &schema->columns[i];
    if (p->n_distinct == 2) pair = &schema->columns[i]; /* the last: labels stand at an end */
    if (list.length < MAX_LISTED)
      status = dfm_text_printf(&list, error, "%s%s", i ? ", " : "", dfm_show(shown, name, strlen(name)));
    else if (i + 1 == schema->n_columns)
      status = dfm_text_printf(&list, error, ", ...");
  }
  if (hint)
    snprintf(hint_text, sizeof hint_text, "--label %s, which holds only 0 and 1",
             dfm_show(shown, hint->name, strlen(hint->name)));
  else if (pair)
    snprintf(hint_text, sizeof hint_text, "--label %s, which has two values",
             dfm_show(shown, pair->name, strlen(pair->name)));
  if (status == DFM_OK)
    status = dfm_fail(error, DFM_ERROR_VALUE,
                      "%s: no column is named label, click, clicked, is_click, y or target; say which one is the label "
                      "(%s); columns: %s",
                      path, hint_text, list.bytes);
  free(list.bytes);
  return status;
}

dfm_status dfm_label_choose(const dfm_schema *schema, const dfm_profile *profiles, const char *wanted, const char *path,
                            dfm_column **column, dfm_error *error) {
  dfm_error inner;
  if (wanted) {
    const dfm_status status = dfm_label_find(schema, wanted, column, &inner);
    return status == DFM_OK ? DFM_OK : dfm_fail(error, status, "%s: label: %s", path, inner.message);
  }
  for (size_t i = 0; i < N_LABEL_NAMES && schema->has_header; i++)
    for (size_t c = 0; c < schema->n_columns; c++)
      if (equals(label_names[i], schema->columns[c].name, strlen(schema->columns[c].name))) {
        *column = &schema->columns[c];
        return DFM_OK;
      }
  return no_label(schema, profiles, path, error);
}

/* "a, b, c": some values of a profile, for messages. */
static void list_values(const dfm_profile *p, char *out, size_t size) {
  char shown[DFM_SHOW_BYTES];
  size_t length = 0;
  out[0] = 0;
  for (size_t i = 0; i < p->n_distinct && i < 4 && length + DFM_SHOW_BYTES < size; i++)
    length += (size_t)snprintf(out + length, size - length, "%s'%s'", i ? ", " : "",
                               dfm_show(shown, p->values[i].bytes, p->values[i].n));
  if (p->n_distinct > 4) snprintf(out + length, size - length, ", ...");
}

/* ---- numbers */

/* How many different numbers there are, 3 for "more than two". "1" and "1.0" are the same one. */
static size_t count_numbers(const dfm_profile *p) {
  double value;
  if (p->n_distinct > DFM_PROFILE_VALUES) return 3;
  for (size_t i = 0; i < p->n_distinct; i++) {
    (void)dfm_parse_double(p->values[i].bytes, p->values[i].n, &value);
    if (value != p->min && value != p->max) return 3;
  }
  return p->min == p->max ? 1 : 2;
}

static dfm_status read_numbers(dfm_schema *schema, const dfm_profile *p, const char *shown, const char *path,
                               char *reason, size_t size, dfm_error *error) {
  const size_t distinct = count_numbers(p);
  if ((p->min == 0 || p->min == 1) && (p->max == 0 || p->max == 1) && distinct < 3) {
    if (p->min == p->max)
      snprintf(reason, size, "label, %.0f in each of the first %zu rows", p->min, p->n_rows);
    else
      snprintf(reason, size, "label, 0 and 1");
    return DFM_OK;
  }
  if (distinct == 2) {
    schema->label_above = p->min + (p->max - p->min) / 2;
    snprintf(reason, size, "label, two numbers: %g is positive, %g is negative", p->max, p->min);
    return DFM_OK;
  }
  /* Stars up to 5 and marks up to 10; the same share of both scales counts as liked. */
  const double above = p->max > 3 && p->max <= 5 ? 3 : p->max > 6 && p->max <= 10 ? 6 : NAN;
  if (p->min >= 0 && !isnan(above) && p->n_distinct <= MAX_RATINGS) {
    schema->label_above = above;
    snprintf(reason, size, "label, ratings %g to %g: above %g is positive", p->min, p->max, schema->label_above);
    return DFM_OK;
  }
  return dfm_fail(error, DFM_ERROR_FORMAT,
                  "%s: the label column '%s' has numbers from %g to %g where 0 and 1 are needed; choose another column "
                  "(--label), or say in a "
                  "schema above which number a row is positive (label: {column: NAME, above: NUMBER})",
                  path, shown, p->min, p->max);
}

/* ---- texts */

/* Texts that differ only by case and a final point are one word ("<=50K" and "<=50K."). */
typedef struct word {
  char text[40]; /* as the first row in byte order spells it, without the point */
  size_t n, count;
} word;

static size_t word_length(const dfm_profile_value *value) {
  return value->n > 1 && value->bytes[value->n - 1] == '.' ? value->n - 1 : value->n;
}

static bool is_word(const word *w, const dfm_profile_value *value) {
  return w->n == word_length(value) && strncasecmp(w->text, value->bytes, w->n) == 0;
}

/* The distinct words of a profile into `words` (2); how many there are, 3 for "more than two". */
static size_t find_words(const dfm_profile *p, word words[2]) {
  size_t n_words = 0;
  if (p->n_distinct > DFM_PROFILE_VALUES) return 3;
  for (size_t i = 0; i < p->n_distinct; i++) {
    const dfm_profile_value *value = &p->values[i];
    size_t w = 0;
    while (w < n_words && !is_word(&words[w], value)) w++;
    if (w == 2 || word_length(value) >= sizeof words->text) return 3;
    if (w == n_words) {
      words[n_words++] = (word){.n = word_length(value)};
      memcpy(words[w].text, value->bytes, words[w].n);
    }
    words[w].count += value->count;
  }
  return n_words;
}

/* Which of two words is positive: 1 or 0 by the usual pairs, or -1. */
static int usual_positive(const word words[2]) {
  static const char *const pairs[][2] = {{"true", "false"},    {"yes", "no"},
                                         {"y", "n"},           {"t", "f"},
                                         {"click", "noclick"}, {"1", "0"},
                                         {"pos", "neg"},       {"positive", "negative"},
                                         {"on", "off"},        {"clicked", "not clicked"}};
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
    for (int positive = 0; positive < 2; positive++)
      if (equals(pairs[i][0], words[positive].text, words[positive].n) &&
          equals(pairs[i][1], words[1 - positive].text, words[1 - positive].n))
        return positive;
  return -1;
}

static dfm_status add_value(dfm_schema *schema, const dfm_profile_value *value, bool is_positive, const char *path,
                            dfm_error *error) {
  char shown[DFM_SHOW_BYTES];
  if (!dfm_is_utf8(value->bytes, value->n) || memchr(value->bytes, 0, value->n))
    return dfm_fail(error, DFM_ERROR_FORMAT, "%s: the label '%s' is not UTF-8 text; convert the file (iconv -t UTF-8)",
                    path, dfm_show(shown, value->bytes, value->n));
  return is_positive ? dfm_words_add(&schema->positives, &schema->n_positives, value->bytes, value->n, error)
                     : dfm_words_add(&schema->negatives, &schema->n_negatives, value->bytes, value->n, error);
}

static dfm_status read_texts(dfm_schema *schema, const dfm_profile *p, const char *shown, const char *path,
                             char *reason, size_t size, dfm_error *error) {
  word words[2] = {0};
  char values[4 * DFM_SHOW_BYTES + 64], positive_text[DFM_SHOW_BYTES];
  const size_t n_words = find_words(p, words);
  if (n_words != 2) {
    list_values(p, values, sizeof values);
    return dfm_fail(
        error, DFM_ERROR_FORMAT,
        "%s: the label column '%s' has %s where two values are needed (%s); choose another column (--label)%s", path,
        shown,
        n_words == 0   ? "no value"
        : n_words == 1 ? "only one value"
                       : "more than two values",
        n_words ? values : "all empty",
        n_words == 1
            ? ", or say in a schema what its values mean (label: {column: NAME, positive: [...], negative: [...]})"
            : "");
  }
  const int usual = usual_positive(words);
  /* Of two texts that say nothing the rarer is the event; of equally many the later one. */
  const int positive = usual >= 0 ? usual : words[0].count < words[1].count ? 0 : 1;
  for (size_t i = 0; i < p->n_distinct; i++)
    DFM_TRY(add_value(schema, &p->values[i], is_word(&words[positive], &p->values[i]), path, error));
  dfm_show(positive_text, words[positive].text, words[positive].n);
  if (usual >= 0)
    snprintf(reason, size, "label, two texts: '%s' is positive", positive_text);
  else
    snprintf(reason, size, "label, two texts: '%s' is the rarer one (%zu of %zu rows) and so positive", positive_text,
             words[positive].count, words[0].count + words[1].count);
  return DFM_OK;
}

dfm_status dfm_label_read(dfm_schema *schema, const dfm_profile *profile, const dfm_column *column, const char *path,
                          char *reason, size_t size, dfm_error *error) {
  char shown[DFM_SHOW_BYTES];
  dfm_show(shown, column->name, strlen(column->name));
  return profile->is_numeric ? read_numbers(schema, profile, shown, path, reason, size, error)
                             : read_texts(schema, profile, shown, path, reason, size, error);
}
