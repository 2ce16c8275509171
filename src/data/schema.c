/* Schema, the struct: settings as text and words come in; a schema whose every value is in range goes out.
 * The YAML reader (schema_yaml.c), the recipe's overrides and the guess (schema_guess.c) all set values through here.
 * */
#include "data/schema.h"

#include <ctype.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/number.h"
#include "data/format.h"

/* Also of max_vocabulary and hash. */
enum { MAX_COUNT = 1000000000, MAX_BUCKETS = 65536 };

/* A setting whose value is one of a few words; the word's index is the enum's value. */
typedef struct choice {
  const char *key;
  const char *words[7];
} choice;

static const choice choices[] = {
    {"kind", {"category", "list", "number", "label", "weight", "ignore"}},
    {"transform", {"none", "log", "standard", "minmax", "auto", "log2"}},
    {"unknown", {"row", "zero", "error"}},
    {"order", {"frequency", "sorted"}},
    {"pool", {"sum", "mean", "max"}},
    {"trainable", {"false", "true"}},
    {"within", {"false", "true"}},
};

/* The keys of a column and the kinds of field that have them; NULL: all. */
static const char ANY_CATEGORY[] = "category or list", LIST[] = "list", NUMBER[] = "number";
static const struct {
  const char *key, *kind;
} column_keys[] = {{"kind", NULL},
                   {"transform", NULL},
                   {"min_count", ANY_CATEGORY},
                   {"max_vocabulary", ANY_CATEGORY},
                   {"hash", ANY_CATEGORY},
                   {"buckets", ANY_CATEGORY},
                   {"unknown", ANY_CATEGORY},
                   {"unknown_rate", ANY_CATEGORY},
                   {"order", ANY_CATEGORY},
                   {"missing", NUMBER},
                   {"into", NULL},
                   {"width", ANY_CATEGORY},
                   {"share", ANY_CATEGORY},
                   {"initial", ANY_CATEGORY},
                   {"trainable", ANY_CATEGORY},
                   {"separator", LIST},
                   {"weights", LIST},
                   {"pool", LIST},
                   {"within", LIST}};
enum { N_COLUMN_KEYS = sizeof column_keys / sizeof *column_keys };

static const choice *find_choice(const char *key) {
  for (size_t i = 0; i < sizeof choices / sizeof *choices; i++)
    if (strcmp(choices[i].key, key) == 0) return &choices[i];
  return NULL;
}

const char *dfm_choice_name(const char *key, int value) {
  const choice *found = find_choice(key);
  return found && value >= 0 && value < 7 ? found->words[value] : NULL;
}

/* NULL, or the kind of field that alone has the setting, where one of `kind` has not. */
static const char *other_kind(const char *key, dfm_kind kind) {
  const char *other = NULL;
  for (size_t i = 0; i < N_COLUMN_KEYS; i++)
    if (strcmp(column_keys[i].key, key) == 0) other = column_keys[i].kind;
  const bool is_category = kind == DFM_KIND_CATEGORY || kind == DFM_KIND_LIST;
  if (!other || (!is_category && kind != DFM_KIND_NUMBER)) return NULL;
  const bool has_it = other == NUMBER ? !is_category : other == LIST ? kind == DFM_KIND_LIST : is_category;
  return has_it ? NULL : other;
}

char dfm_separator_named(const char *value) {
  static const struct {
    const char *word;
    char separator;
  } words[] = {{"comma", ','}, {"tab", '\t'}, {"semicolon", ';'}, {"pipe", '|'}, {"space", ' '}};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (strcmp(words[i].word, value) == 0) return words[i].separator;
  return strlen(value) == 1 ? *value : 0;
}

/* Ways to make ids that exclude each other: hashing and buckets of numbers keep no values to count or order. */
static dfm_status check_way(const dfm_field_settings *s, const char *shown, dfm_error *error) {
  const char *way = s->buckets > 0 ? "buckets" : "hash";
  const char *other = s->buckets > 0 && s->hash > 0                          ? "hash"
                      : s->buckets > 0 && s->transform == DFM_TRANSFORM_LOG2 ? "transform"
                      : s->min_count > 1                                     ? "min_count"
                      : s->max_vocabulary > 0                                ? "max_vocabulary"
                      : s->order == DFM_ORDER_SORTED                         ? "order"
                                                                             : NULL;
  if ((s->buckets <= 0 && s->hash <= 0) || !other) return DFM_OK;
  return dfm_fail(error, DFM_ERROR_VALUE,
                  "column '%s' has both %s and %s, which exclude each other; remove one of them", shown, way, other);
}

static dfm_status check_transform(const dfm_column *column, const char *shown, dfm_error *error) {
  const int transform = column->settings.transform;
  if (column->kind != DFM_KIND_NUMBER && transform > DFM_TRANSFORM_NONE && transform != DFM_TRANSFORM_LOG2)
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "column '%s' is a %s, and only a number has transform %s; set log2 or none, or kind: number", shown,
                    dfm_choice_name("kind", (int)column->kind), dfm_choice_name("transform", transform));
  if (column->kind == DFM_KIND_NUMBER && transform == DFM_TRANSFORM_LOG2)
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "column '%s' is a number, and only a category has transform log2; set another, or kind: category",
                    shown);
  return DFM_OK;
}

dfm_status dfm_column_check(const dfm_column *column, const char *key, dfm_error *error) {
  char shown[DFM_SHOW_BYTES];
  dfm_show(shown, column->name, strlen(column->name));
  const char *kind = dfm_choice_name("kind", (int)column->kind), *other = other_kind(key, column->kind);
  if (column->kind == DFM_KIND_LABEL || column->kind == DFM_KIND_WEIGHT)
    return dfm_fail(error, DFM_ERROR_VALUE, "column '%s' is the %s, which has no %s; remove it", shown, kind, key);
  if (other)
    return dfm_fail(error, DFM_ERROR_VALUE, "column '%s' is a %s, and only a %s has %s; remove it, or set kind: %s",
                    shown, kind, other, key, other);
  if (strcmp(key, "transform") == 0) DFM_TRY(check_transform(column, shown, error));
  return check_way(&column->settings, shown, error);
}

static dfm_status parse_choice(const char *key, const char *value, int *out, dfm_error *error) {
  const choice *found = find_choice(key);
  dfm_text list = {0};
  dfm_status status = DFM_OK;
  for (int i = 0; found->words[i]; i++) {
    if (strcmp(found->words[i], value) == 0) {
      free(list.bytes);
      *out = i;
      return DFM_OK;
    }
    if (status == DFM_OK) status = dfm_text_printf(&list, error, "%s%s", i ? ", " : "", found->words[i]);
  }
  char shown[DFM_SHOW_BYTES];
  if (status == DFM_OK)
    status = dfm_fail(error, DFM_ERROR_VALUE, "%s is '%s'; it must be one of %s", key,
                      dfm_show(shown, value, strlen(value)), list.bytes);
  free(list.bytes);
  return status;
}

static dfm_status parse_integer(const char *key, const char *value, int min, int max, int *out, dfm_error *error) {
  long long parsed;
  char shown[DFM_SHOW_BYTES];
  if (!dfm_parse_int64(value, strlen(value), &parsed) || parsed < min || parsed > max)
    return dfm_fail(error, DFM_ERROR_VALUE, "%s is '%s'; it must be a whole number from %d to %d", key,
                    dfm_show(shown, value, strlen(value)), min, max);
  *out = (int)parsed;
  return DFM_OK;
}

static dfm_status parse_rate(const char *value, double *out, dfm_error *error) {
  double parsed;
  char shown[DFM_SHOW_BYTES];
  if (dfm_parse_double(value, strlen(value), &parsed) != DFM_NUMBER_OK || parsed < 0 || parsed >= 1)
    return dfm_fail(error, DFM_ERROR_VALUE, "unknown_rate is '%s'; it must be a number in [0, 1)",
                    dfm_show(shown, value, strlen(value)));
  *out = parsed;
  return DFM_OK;
}

static dfm_status parse_missing(const char *value, double *out, dfm_error *error) {
  double parsed = NAN;
  char shown[DFM_SHOW_BYTES];
  if (strcmp(value, "none") != 0 &&
      (dfm_parse_double(value, strlen(value), &parsed) != DFM_NUMBER_OK || fabs(parsed) > (double)FLT_MAX))
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "missing is '%s'; it must be a finite number that a 32-bit float holds, the raw value of an empty "
                    "cell, or none",
                    dfm_show(shown, value, strlen(value)));
  *out = parsed;
  return DFM_OK;
}

/* "linear,fm,dnn", "[linear, fm]" -> bits. */
static dfm_status parse_into(const char *value, int *out, dfm_error *error) {
  static const char *const branches[] = {"linear", "fm", "dnn"};
  static const int bits[] = {DFM_INTO_LINEAR, DFM_INTO_FM, DFM_INTO_DNN};
  char shown[DFM_SHOW_BYTES];
  const char *p = value, *end = value + strlen(value);
  while (p < end && isspace((unsigned char)*p)) p++;
  while (end > p && isspace((unsigned char)end[-1])) end--;
  if (end - p >= 2 && *p == '[' && end[-1] == ']') p++, end--;
  int into = 0;
  while (p < end) {
    const char *comma = memchr(p, ',', (size_t)(end - p)), *stop = comma ? comma : end;
    const char *a = p, *b = stop;
    while (a < b && isspace((unsigned char)*a)) a++;
    while (b > a && isspace((unsigned char)b[-1])) b--;
    int bit = 0;
    for (int i = 0; i < 3; i++)
      if (strlen(branches[i]) == (size_t)(b - a) && memcmp(branches[i], a, (size_t)(b - a)) == 0) bit = bits[i];
    if (bit == 0) {
      into = 0;
      break;
    }
    into |= bit;
    p = comma ? comma + 1 : end;
  }
  if (into == 0)
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "into is '%s'; it must be one or more of linear, fm, dnn, such as [linear, fm]",
                    dfm_show(shown, value, strlen(value)));
  *out = into;
  return DFM_OK;
}

/* The byte between two items, or between an item and its weight, which may be `none`. */
static dfm_status parse_mark(const char *key, const char *value, bool may_be_none, int *out, dfm_error *error) {
  char shown[DFM_SHOW_BYTES];
  const char mark = dfm_separator_named(value);
  const bool is_none = may_be_none && strcmp(value, "none") == 0;
  if (!is_none && mark == 0)
    return dfm_fail(error, DFM_ERROR_VALUE, "%s is '%s'; it must be one character%s, such as \"%s\"", key,
                    dfm_show(shown, value, strlen(value)), may_be_none ? ", or none" : "", may_be_none ? ":" : "|");
  *out = (unsigned char)mark;
  if (is_none) *out = 0;
  return DFM_OK;
}

static dfm_status parse_name(const char *key, const char *value, char **out, dfm_error *error) {
  char *copy;
  if (!*value)
    return dfm_fail(error, DFM_ERROR_VALUE, "%s is empty; %s, or leave it out", key,
                    strcmp(key, "share") == 0 ? "name a column" : "give a file");
  DFM_TRY(dfm_copy_text(&copy, value, error));
  free(*out);
  *out = copy;
  return DFM_OK;
}

static dfm_status no_such_key(const char *key, dfm_error *error) {
  const char *keys[N_COLUMN_KEYS];
  char shown[DFM_SHOW_BYTES];
  for (size_t i = 0; i < N_COLUMN_KEYS; i++) keys[i] = column_keys[i].key;
  const char *nearest = dfm_nearest(key, keys + 1, N_COLUMN_KEYS - 1);
  dfm_show(shown, key, strlen(key));
  if (nearest) return dfm_fail(error, DFM_ERROR_VALUE, "a field has no setting '%s'; did you mean %s?", shown, nearest);
  dfm_text list = {0};
  dfm_status status = DFM_OK;
  for (size_t i = 0; status == DFM_OK && i < N_COLUMN_KEYS; i++)
    status = dfm_text_printf(&list, error, "%s%s", i ? ", " : "", keys[i]);
  if (status == DFM_OK)
    status = dfm_fail(error, DFM_ERROR_VALUE, "a field has no setting '%s'; there are %s", shown, list.bytes);
  free(list.bytes);
  return status;
}

dfm_status dfm_column_set(dfm_column *column, const char *key, const char *value, dfm_error *error) {
  dfm_field_settings *settings = &column->settings;
  if (strcmp(key, "min_count") == 0) return parse_integer(key, value, 1, MAX_COUNT, &settings->min_count, error);
  if (strcmp(key, "max_vocabulary") == 0)
    return parse_integer(key, value, 0, MAX_COUNT, &settings->max_vocabulary, error);
  if (strcmp(key, "buckets") == 0) return parse_integer(key, value, 0, MAX_BUCKETS, &settings->buckets, error);
  if (strcmp(key, "hash") == 0) return parse_integer(key, value, 0, MAX_COUNT, &settings->hash, error);
  if (strcmp(key, "width") == 0) return parse_integer(key, value, 1, DFM_MAX_FIELD_WIDTH, &settings->width, error);
  if (strcmp(key, "unknown") == 0) return parse_choice(key, value, &settings->unknown, error);
  if (strcmp(key, "order") == 0) return parse_choice(key, value, &settings->order, error);
  if (strcmp(key, "transform") == 0) return parse_choice(key, value, &settings->transform, error);
  if (strcmp(key, "unknown_rate") == 0) return parse_rate(value, &settings->unknown_rate, error);
  if (strcmp(key, "missing") == 0) return parse_missing(value, &settings->missing, error);
  if (strcmp(key, "into") == 0) return parse_into(value, &settings->into, error);
  if (strcmp(key, "share") == 0) return parse_name(key, value, &column->share, error);
  if (strcmp(key, "initial") == 0) return parse_name(key, value, &column->initial, error);
  if (strcmp(key, "trainable") == 0) return parse_choice(key, value, &settings->trainable, error);
  if (strcmp(key, "separator") == 0) return parse_mark(key, value, false, &settings->separator, error);
  if (strcmp(key, "weights") == 0) return parse_mark(key, value, true, &settings->weights, error);
  if (strcmp(key, "pool") == 0) return parse_choice(key, value, &settings->pool, error);
  if (strcmp(key, "within") == 0) return parse_choice(key, value, &settings->within, error);
  return no_such_key(key, error);
}

void dfm_column_clear(dfm_column *column) {
  free(column->name);
  free(column->reason);
  free(column->share);
  free(column->initial);
  *column = (dfm_column){.settings = dfm_field_settings_unset()};
}

dfm_field_settings dfm_field_settings_unset(void) {
  return (dfm_field_settings){.min_count = -1,
                              .max_vocabulary = -1,
                              .hash = -1,
                              .buckets = -1,
                              .unknown = -1,
                              .unknown_rate = -1,
                              .order = -1,
                              .transform = -1,
                              .missing = (double)NAN,
                              .into = -1,
                              .width = -1,
                              .trainable = -1,
                              .separator = -1,
                              .weights = -1,
                              .pool = -1,
                              .within = -1};
}

dfm_status dfm_schema_add(dfm_schema *schema, const char *name, dfm_kind kind, dfm_column **column, dfm_error *error) {
  size_t capacity = schema->n_columns; /* schemas are made once: each column is one reallocation */
  char *copy;
  DFM_TRY(dfm_copy_text(&copy, name, error));
  const dfm_status status =
      dfm_grow(&schema->columns, &capacity, schema->n_columns + 1, sizeof *schema->columns, error);
  if (status != DFM_OK) {
    free(copy);
    return status;
  }
  *column = &schema->columns[schema->n_columns++];
  **column = (dfm_column){.name = copy, .kind = kind, .settings = dfm_field_settings_unset()};
  return DFM_OK;
}

dfm_column *dfm_schema_column(const dfm_schema *schema, const char *name) {
  for (size_t i = 0; i < schema->n_columns; i++)
    if (strcmp(schema->columns[i].name, name) == 0) return &schema->columns[i];
  return NULL;
}

dfm_status dfm_schema_no_column(const dfm_schema *schema, const char *name, dfm_error *error) {
  const char **names;
  char shown[DFM_SHOW_BYTES], other[DFM_SHOW_BYTES];
  DFM_TRY(dfm_alloc(&names, schema->n_columns, sizeof *names, error));
  for (size_t i = 0; i < schema->n_columns; i++) names[i] = schema->columns[i].name;
  const char *nearest = dfm_nearest(name, names, schema->n_columns);
  dfm_show(shown, name, strlen(name));
  dfm_status status = DFM_OK;
  dfm_text list = {0};
  if (nearest) {
    status = dfm_fail(error, DFM_ERROR_VALUE, "there is no column '%s'; did you mean '%s'?", shown,
                      dfm_show(other, nearest, strlen(nearest)));
  } else {
    for (size_t i = 0; i < schema->n_columns && list.length < 600 && status == DFM_OK; i++)
      status = dfm_text_printf(&list, error, "%s%s", i ? ", " : "", dfm_show(other, names[i], strlen(names[i])));
    if (status == DFM_OK)
      status = dfm_fail(error, DFM_ERROR_VALUE, "there is no column '%s'; there are %s%s", shown,
                        list.bytes ? list.bytes : "none", list.length < 600 ? "" : ", ...");
  }
  free(list.bytes);
  free(names);
  return status;
}

/* What a field of the new kind does not have is left open again. */
static void drop_settings(dfm_column *column) {
  const dfm_field_settings old = column->settings, unset = dfm_field_settings_unset();
  dfm_field_settings *s = &column->settings;
  if (column->kind == DFM_KIND_NUMBER) {
    *s = unset;
    s->transform = old.transform, s->missing = old.missing, s->into = old.into;
    free(column->share);
    free(column->initial);
    column->share = column->initial = NULL;
  } else if (column->kind == DFM_KIND_CATEGORY || column->kind == DFM_KIND_LIST) {
    s->transform = unset.transform, s->missing = unset.missing;
  }
  if (column->kind == DFM_KIND_CATEGORY)
    s->separator = unset.separator, s->weights = unset.weights, s->pool = unset.pool, s->within = unset.within;
}

static dfm_status set_kind(dfm_column *column, const char *shown, const char *value, dfm_error *error) {
  int kind;
  DFM_TRY(parse_choice("kind", value, &kind, error));
  if (kind == (int)column->kind) return DFM_OK;
  if (column->kind == DFM_KIND_LABEL || column->kind == DFM_KIND_WEIGHT)
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "column '%s' is the %s and cannot become a %s; choose another %s column first", shown,
                    dfm_choice_name("kind", (int)column->kind), value, dfm_choice_name("kind", (int)column->kind));
  if (kind == DFM_KIND_LABEL || kind == DFM_KIND_WEIGHT)
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "kind of column '%s' cannot be set to %s; name the %s column when the schema is made", shown, value,
                    value);
  column->kind = (dfm_kind)kind;
  free(column->reason); /* it was for the other kind */
  column->reason = NULL;
  drop_settings(column);
  return DFM_OK;
}

dfm_status dfm_schema_set(dfm_schema *schema, const char *name, const char *key, const char *value, dfm_error *error) {
  dfm_column *column = dfm_schema_column(schema, name);
  if (!column) return dfm_schema_no_column(schema, name, error);
  char shown[DFM_SHOW_BYTES];
  dfm_show(shown, name, strlen(name));
  if (strcmp(key, "kind") == 0) return set_kind(column, shown, value, error);
  dfm_column checked = {.name = column->name, .kind = column->kind, .settings = column->settings};
  dfm_error inner;
  dfm_status status = dfm_column_set(&checked, key, value, &inner);
  if (status != DFM_OK) status = dfm_fail(error, status, "column '%s': %s", shown, inner.message);
  if (status == DFM_OK) status = dfm_column_check(&checked, key, error);
  free(checked.share);
  free(checked.initial);
  return status == DFM_OK ? dfm_column_set(column, key, value, error) : status;
}

bool dfm_words_have(char *const *words, size_t n_words, const char *word, size_t n) {
  for (size_t i = 0; i < n_words; i++)
    if (strlen(words[i]) == n && memcmp(words[i], word, n) == 0) return true;
  return false;
}

dfm_status dfm_words_add(char ***words, size_t *n_words, const char *word, size_t n, dfm_error *error) {
  char *copy;
  DFM_TRY(dfm_alloc(&copy, n + 1, 1, error));
  memcpy(copy, word, n);
  /* Lists of words are short, so the capacity is not kept: each word is one reallocation. */
  char **grown = realloc(*words, (*n_words + 1) * sizeof *grown);
  if (!grown) {
    free(copy);
    return dfm_fail(error, DFM_ERROR_MEMORY, "cannot allocate a list of %zu words", *n_words + 1);
  }
  grown[(*n_words)++] = copy;
  *words = grown;
  return DFM_OK;
}

static void free_words(char **words, size_t n) {
  for (size_t i = 0; i < n; i++) free(words[i]);
  free(words);
}

dfm_status dfm_schema_create(dfm_schema **schema, dfm_error *error) {
  dfm_schema *made;
  DFM_TRY(dfm_alloc(&made, 1, sizeof *made, error));
  made->format = dfm_format_at(0);
  made->separator = ',';
  made->has_header = true;
  made->label_above = NAN;
  *schema = made;
  return DFM_OK;
}

void dfm_schema_free(dfm_schema *schema) {
  if (!schema) return;
  for (size_t i = 0; i < schema->n_columns; i++) dfm_column_clear(&schema->columns[i]);
  free(schema->columns);
  free_words(schema->missing_words, schema->n_missing_words);
  free_words(schema->positives, schema->n_positives);
  free_words(schema->negatives, schema->n_negatives);
  free(schema->comment);
  free(schema);
}

static dfm_status copy_string(const char *from, char **to, dfm_error *error) {
  return from ? dfm_copy_text(to, from, error) : DFM_OK;
}

static dfm_status copy_words(char *const *words, size_t n, char ***to, size_t *n_to, dfm_error *error) {
  for (size_t i = 0; i < n; i++) DFM_TRY(dfm_words_add(to, n_to, words[i], strlen(words[i]), error));
  return DFM_OK;
}

static dfm_status copy_parts(const dfm_schema *from, dfm_schema *to, dfm_error *error) {
  to->format = from->format;
  to->separator = from->separator;
  to->has_header = from->has_header;
  to->strip_spaces = from->strip_spaces;
  to->label_above = from->label_above;
  DFM_TRY(copy_string(from->comment, &to->comment, error));
  DFM_TRY(copy_words(from->missing_words, from->n_missing_words, &to->missing_words, &to->n_missing_words, error));
  DFM_TRY(copy_words(from->positives, from->n_positives, &to->positives, &to->n_positives, error));
  DFM_TRY(copy_words(from->negatives, from->n_negatives, &to->negatives, &to->n_negatives, error));
  DFM_TRY(dfm_alloc(&to->columns, from->n_columns, sizeof *to->columns, error));
  for (size_t i = 0; i < from->n_columns; i++) {
    dfm_column *column = &to->columns[to->n_columns++];
    column->kind = from->columns[i].kind;
    column->settings = from->columns[i].settings;
    DFM_TRY(copy_string(from->columns[i].name, &column->name, error));
    DFM_TRY(copy_string(from->columns[i].reason, &column->reason, error));
    DFM_TRY(copy_string(from->columns[i].share, &column->share, error));
    DFM_TRY(copy_string(from->columns[i].initial, &column->initial, error));
  }
  return DFM_OK;
}

dfm_status dfm_schema_copy(const dfm_schema *schema, dfm_schema **copy, dfm_error *error) {
  dfm_schema *made;
  DFM_TRY(dfm_schema_create(&made, error));
  const dfm_status status = copy_parts(schema, made, error);
  if (status != DFM_OK) {
    dfm_schema_free(made);
    return status;
  }
  *copy = made;
  return DFM_OK;
}
