/* Schema <-> YAML: YAML text comes in and a checked schema goes out, or an error with the line and column of the node
 * at fault; and back. docs/schema.md describes the language; every value is set through schema.c, so the ranges are the
 * same everywhere. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/number.h"
#include "base/yaml_depth.h"
#include "data/format.h"
#include "data/schema.h"

/* A schema of a million columns is far below this. */
enum { MAX_YAML_BYTES = 256 << 20 };

typedef struct reader {
  yaml_document_t document;
  const char *name; /* of the file, for messages */
  dfm_schema *schema;
  const yaml_node_t *columns;        /* NULL: not given */
  const yaml_node_t *label, *weight; /* scalars that name the columns; NULL: not given */
} reader;

/* One key of a mapping, and what reads its value; `column` is the mapping's column, NULL outside `columns`. */
typedef struct key_row {
  const char *key;
  dfm_status (*read)(reader *r, const yaml_node_t *key, const yaml_node_t *value, dfm_column *column, dfm_error *error);
} key_row;

enum { MAX_KEYS = 24 };

#define FAIL(r, node, ...)                                                                \
  dfm_fail_at(error, DFM_ERROR_FORMAT, (r)->name, (long long)(node)->start_mark.line + 1, \
              (long long)(node)->start_mark.column + 1, __VA_ARGS__)

static const char *text_of(const yaml_node_t *node) {
  return (const char *)node->data.scalar.value;
}

static dfm_status need_scalar(const reader *r, const yaml_node_t *node, const char *what, dfm_error *error) {
  if (node->type != YAML_SCALAR_NODE) return FAIL(r, node, "%s must be a single value, not a list or mapping", what);
  if (strlen(text_of(node)) != node->data.scalar.length) return FAIL(r, node, "%s has a zero byte; remove it", what);
  return DFM_OK;
}

/* Reads a mapping by a table of keys. */
static dfm_status read_mapping(reader *r, const yaml_node_t *node, const char *what, const key_row *rows, size_t n_rows,
                               dfm_column *column, dfm_error *error) {
  if (node->type != YAML_MAPPING_NODE) return FAIL(r, node, "%s must be a mapping of keys to values", what);
  const char *known[MAX_KEYS];
  bool is_seen[MAX_KEYS] = {false};
  char shown[DFM_SHOW_BYTES];
  for (size_t i = 0; i < n_rows; i++) known[i] = rows[i].key;
  for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
    const yaml_node_t *key = yaml_document_get_node(&r->document, pair->key);
    const yaml_node_t *value = yaml_document_get_node(&r->document, pair->value);
    DFM_TRY(need_scalar(r, key, "a key", error));
    size_t i = 0;
    while (i < n_rows && strcmp(rows[i].key, text_of(key)) != 0) i++;
    if (i == n_rows) {
      const char *nearest = dfm_nearest(text_of(key), known, n_rows);
      dfm_show(shown, text_of(key), strlen(text_of(key)));
      if (nearest) return FAIL(r, key, "%s has no key '%s'; did you mean %s?", what, shown, nearest);
      return FAIL(r, key, "%s has no key '%s'; its keys are described in docs/schema.md", what, shown);
    }
    if (is_seen[i]) return FAIL(r, key, "key '%s' is given twice; remove one", rows[i].key);
    is_seen[i] = true;
    DFM_TRY(rows[i].read(r, key, value, column, error));
  }
  return DFM_OK;
}

static dfm_status read_bool(const reader *r, const yaml_node_t *key, const yaml_node_t *value, bool *out,
                            dfm_error *error) {
  DFM_TRY(need_scalar(r, value, text_of(key), error));
  char shown[DFM_SHOW_BYTES];
  const char *text = text_of(value);
  if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
    return FAIL(r, value, "%s is '%s'; it must be true or false", text_of(key), dfm_show(shown, text, strlen(text)));
  *out = strcmp(text, "true") == 0;
  return DFM_OK;
}

/* A list of words, or one word. */
static dfm_status read_words(const reader *rc, const yaml_node_t *key, const yaml_node_t *value, char ***words,
                             size_t *n, dfm_error *error) {
  reader *r = (reader *)(uintptr_t)rc; /* libyaml looks nodes up through a pointer to non-const */
  if (value->type == YAML_MAPPING_NODE) return FAIL(r, value, "%s must be a word or a list of words", text_of(key));
  if (value->type == YAML_SCALAR_NODE) {
    DFM_TRY(need_scalar(r, value, text_of(key), error));
    return dfm_words_add(words, n, text_of(value), value->data.scalar.length, error);
  }
  for (const yaml_node_item_t *item = value->data.sequence.items.start; item < value->data.sequence.items.top; item++) {
    const yaml_node_t *node = yaml_document_get_node(&r->document, *item);
    DFM_TRY(need_scalar(r, node, text_of(key), error));
    DFM_TRY(dfm_words_add(words, n, text_of(node), node->data.scalar.length, error));
  }
  return DFM_OK;
}

/* ---- top level */

static dfm_status read_format(reader *r, const yaml_node_t *key, const yaml_node_t *value, dfm_column *column,
                              dfm_error *error) {
  dfm_error inner;
  (void)column;
  DFM_TRY(need_scalar(r, value, text_of(key), error));
  return dfm_format_named(text_of(value), &r->schema->format, &inner) == DFM_OK ? DFM_OK
                                                                                : FAIL(r, value, "%s", inner.message);
}

static dfm_status read_separator(reader *r, const yaml_node_t *key, const yaml_node_t *value, dfm_column *column,
                                 dfm_error *error) {
  (void)column;
  DFM_TRY(need_scalar(r, value, text_of(key), error));
  const char *text = text_of(value);
  char shown[DFM_SHOW_BYTES];
  const char separator = dfm_separator_named(text);
  if (separator == 0 || separator == '"' || separator == '\n' || separator == '\r')
    return FAIL(
        r, value,
        "separator is '%s'; it must be one character other than a quote or line break, such as \",\" or \"\\t\"",
        dfm_show(shown, text, strlen(text)));
  r->schema->separator = separator;
  return DFM_OK;
}

static dfm_status read_flag(reader *r, const yaml_node_t *key, const yaml_node_t *value, dfm_column *column,
                            dfm_error *error) {
  (void)column;
  const bool is_header = strcmp(text_of(key), "header") == 0;
  return read_bool(r, key, value, is_header ? &r->schema->has_header : &r->schema->strip_spaces, error);
}

static dfm_status read_comment(reader *r, const yaml_node_t *key, const yaml_node_t *value, dfm_column *column,
                               dfm_error *error) {
  (void)column;
  DFM_TRY(need_scalar(r, value, text_of(key), error));
  const size_t n = value->data.scalar.length;
  if (n == 0 || strpbrk(text_of(value), "\n\r"))
    return FAIL(r, value, "comment must be what skipped lines start with, such as \"#\"; leave it out for none");
  DFM_TRY(dfm_alloc(&r->schema->comment, n + 1, 1, error));
  memcpy(r->schema->comment, text_of(value), n);
  return DFM_OK;
}

static dfm_status read_missing_words(reader *r, const yaml_node_t *key, const yaml_node_t *value, dfm_column *column,
                                     dfm_error *error) {
  (void)column;
  return read_words(r, key, value, &r->schema->missing_words, &r->schema->n_missing_words, error);
}

static dfm_status read_weight(reader *r, const yaml_node_t *key, const yaml_node_t *value, dfm_column *column,
                              dfm_error *error) {
  (void)column;
  r->weight = value;
  return need_scalar(r, value, text_of(key), error);
}

/* ---- label */

static dfm_status read_label_column(reader *r, const yaml_node_t *key, const yaml_node_t *value, dfm_column *column,
                                    dfm_error *error) {
  (void)column;
  r->label = value;
  return need_scalar(r, value, text_of(key), error);
}

static dfm_status read_positive(reader *r, const yaml_node_t *key, const yaml_node_t *value, dfm_column *column,
                                dfm_error *error) {
  (void)column;
  return read_words(r, key, value, &r->schema->positives, &r->schema->n_positives, error);
}

static dfm_status read_negative(reader *r, const yaml_node_t *key, const yaml_node_t *value, dfm_column *column,
                                dfm_error *error) {
  (void)column;
  return read_words(r, key, value, &r->schema->negatives, &r->schema->n_negatives, error);
}

static dfm_status read_above(reader *r, const yaml_node_t *key, const yaml_node_t *value, dfm_column *column,
                             dfm_error *error) {
  (void)column;
  DFM_TRY(need_scalar(r, value, text_of(key), error));
  const char *text = text_of(value);
  char shown[DFM_SHOW_BYTES];
  if (dfm_parse_double(text, strlen(text), &r->schema->label_above) != DFM_NUMBER_OK)
    return FAIL(r, value, "above is '%s'; it must be a number: labels above it are positive",
                dfm_show(shown, text, strlen(text)));
  return DFM_OK;
}

static dfm_status check_label_words(const reader *r, const yaml_node_t *node, dfm_error *error) {
  const dfm_schema *s = r->schema;
  char shown[DFM_SHOW_BYTES];
  if (!isnan(s->label_above) && s->n_positives + s->n_negatives > 0)
    return FAIL(r, node, "label has both a number (above) and words (positive, negative); keep one of the two");
  for (size_t i = 0; i < s->n_positives; i++)
    for (size_t j = 0; j < s->n_negatives; j++)
      if (strcmp(s->positives[i], s->negatives[j]) == 0)
        return FAIL(r, node, "label word '%s' is both positive and negative; remove it from one list",
                    dfm_show(shown, s->positives[i], strlen(s->positives[i])));
  return DFM_OK;
}

static dfm_status read_label(reader *r, const yaml_node_t *key, const yaml_node_t *value, dfm_column *column,
                             dfm_error *error) {
  static const key_row rows[] = {
      {"column", read_label_column}, {"positive", read_positive}, {"negative", read_negative}, {"above", read_above}};
  if (value->type == YAML_SCALAR_NODE) return read_label_column(r, key, value, column, error);
  DFM_TRY(read_mapping(r, value, "label", rows, sizeof rows / sizeof *rows, NULL, error));
  return check_label_words(r, value, error);
}

/* ---- columns */

static dfm_status read_name(reader *r, const yaml_node_t *key, const yaml_node_t *value, dfm_column *column,
                            dfm_error *error) {
  DFM_TRY(need_scalar(r, value, text_of(key), error));
  if (value->data.scalar.length == 0)
    return FAIL(r, value, "a column's name is empty; name it (c1, c2, ... by position is usual)");
  DFM_TRY(dfm_alloc(&column->name, value->data.scalar.length + 1, 1, error));
  memcpy(column->name, text_of(value), value->data.scalar.length);
  return DFM_OK;
}

/* Every other key of a column: the value's text, and [a, b] as "a,b". */
static dfm_status value_text(reader *r, const yaml_node_t *key, const yaml_node_t *value, dfm_text *text,
                             dfm_error *error) {
  if (value->type != YAML_SEQUENCE_NODE) {
    DFM_TRY(need_scalar(r, value, text_of(key), error));
    return dfm_text_printf(text, error, "%s", text_of(value));
  }
  if (strcmp(text_of(key), "into") != 0) return FAIL(r, value, "%s must be a single value, not a list", text_of(key));
  DFM_TRY(dfm_text_printf(text, error, "%s", ""));
  for (const yaml_node_item_t *item = value->data.sequence.items.start; item < value->data.sequence.items.top; item++) {
    const yaml_node_t *node = yaml_document_get_node(&r->document, *item);
    DFM_TRY(need_scalar(r, node, text_of(key), error));
    DFM_TRY(dfm_text_printf(text, error, "%s%s", text->length ? "," : "", text_of(node)));
  }
  return DFM_OK;
}

static dfm_status read_kind(reader *r, const yaml_node_t *key, const yaml_node_t *value, dfm_column *column,
                            dfm_error *error) {
  DFM_TRY(need_scalar(r, value, text_of(key), error));
  const char *text = text_of(value), *name;
  char shown[DFM_SHOW_BYTES];
  for (int kind = 0; (name = dfm_choice_name("kind", kind)); kind++)
    if (strcmp(name, text) == 0) {
      column->kind = (dfm_kind)kind;
      return DFM_OK;
    }
  return FAIL(r, value, "kind is '%s'; it must be one of category, list, number, label, weight, ignore",
              dfm_show(shown, text, strlen(text)));
}

static dfm_status read_setting(reader *r, const yaml_node_t *key, const yaml_node_t *value, dfm_column *column,
                               dfm_error *error) {
  dfm_text text = {0};
  dfm_error inner;
  dfm_status status = value_text(r, key, value, &text, error);
  if (status == DFM_OK && dfm_column_set(column, text_of(key), text.bytes, &inner) != DFM_OK)
    status = FAIL(r, value, "%s", inner.message);
  free(text.bytes);
  return status;
}

static const key_row column_rows[] = {
    {"name", read_name},
    {"kind", read_kind},
    {"transform", read_setting},
    {"min_count", read_setting},
    {"max_vocabulary", read_setting},
    {"hash", read_setting},
    {"unknown", read_setting},
    {"unknown_rate", read_setting},
    {"order", read_setting},
    {"missing", read_setting},
    {"into", read_setting},
    {"width", read_setting},
    {"share", read_setting},
    {"initial", read_setting},
    {"trainable", read_setting},
    {"separator", read_setting},
    {"weights", read_setting},
    {"pool", read_setting},
    {"within", read_setting},
    {"buckets", read_setting},
};

static const yaml_node_t *find_key(reader *r, const yaml_node_t *mapping, const char *name) {
  for (const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start; pair < mapping->data.mapping.pairs.top;
       pair++) {
    const yaml_node_t *key = yaml_document_get_node(&r->document, pair->key);
    if (key->type == YAML_SCALAR_NODE && strcmp(text_of(key), name) == 0) return key;
  }
  return NULL;
}

/* Settings that the column's kind does not have. */
static dfm_status check_column(reader *r, const yaml_node_t *node, const dfm_column *column, dfm_error *error) {
  dfm_error inner;
  for (size_t i = 2; i < sizeof column_rows / sizeof *column_rows; i++) {
    const char *key = column_rows[i].key;
    const yaml_node_t *found = find_key(r, node, key);
    if (found && dfm_column_check(column, key, &inner) != DFM_OK) return FAIL(r, found, "%s", inner.message);
  }
  return DFM_OK;
}

static dfm_status read_columns(reader *r, const yaml_node_t *key, const yaml_node_t *value, dfm_column *unused,
                               dfm_error *error) {
  (void)unused;
  (void)key;
  r->columns = value;
  if (value->type != YAML_SEQUENCE_NODE || value->data.sequence.items.start == value->data.sequence.items.top)
    return FAIL(r, value, "columns must be a list of columns, such as - {name: age, kind: number}");
  const size_t n = (size_t)(value->data.sequence.items.top - value->data.sequence.items.start);
  DFM_TRY(dfm_alloc(&r->schema->columns, n, sizeof *r->schema->columns, error));
  for (size_t i = 0; i < n; i++) {
    const yaml_node_t *node = yaml_document_get_node(&r->document, value->data.sequence.items.start[i]);
    dfm_column *column = &r->schema->columns[r->schema->n_columns++];
    column->kind = (dfm_kind)-1;
    column->settings = dfm_field_settings_unset();
    DFM_TRY(read_mapping(r, node, "a column", column_rows, sizeof column_rows / sizeof *column_rows, column, error));
    if (!column->name) return FAIL(r, node, "column %zu has no name; add name:", i + 1);
  }
  return DFM_OK;
}

/* ---- the whole */

static int by_name(const void *a, const void *b) {
  const dfm_column *const *x = a, *const *y = b;
  const int order = strcmp((*x)->name, (*y)->name);
  return order ? order : (*x > *y) - (*x < *y);
}

static dfm_status check_unique(reader *r, const yaml_node_t *list, dfm_error *error) {
  const dfm_schema *s = r->schema;
  const dfm_column **sorted;
  char shown[DFM_SHOW_BYTES];
  DFM_TRY(dfm_alloc(&sorted, s->n_columns, sizeof *sorted, error));
  for (size_t i = 0; i < s->n_columns; i++) sorted[i] = &s->columns[i];
  qsort(sorted, s->n_columns, sizeof *sorted, by_name);
  dfm_status status = DFM_OK;
  for (size_t i = 1; i < s->n_columns && status == DFM_OK; i++) {
    if (strcmp(sorted[i - 1]->name, sorted[i]->name) != 0) continue;
    const size_t first = (size_t)(sorted[i - 1] - s->columns), second = (size_t)(sorted[i] - s->columns);
    const yaml_node_t *node = yaml_document_get_node(&r->document, list->data.sequence.items.start[second]);
    status = FAIL(r, node, "columns %zu and %zu are both named '%s'; rename one", first + 1, second + 1,
                  dfm_show(shown, sorted[i]->name, strlen(sorted[i]->name)));
  }
  free(sorted);
  return status;
}

/* Gives the column that `label:` or `weight:` names its kind. `node` NULL: the column may still say so itself. */
static dfm_status assign_role(reader *r, const yaml_node_t *list, const yaml_node_t *node, dfm_kind role,
                              dfm_error *error) {
  const char *word = dfm_choice_name("kind", (int)role);
  char shown[DFM_SHOW_BYTES];
  if (node) {
    dfm_column *column = dfm_schema_column(r->schema, text_of(node));
    dfm_error inner;
    if (!column) {
      (void)!dfm_schema_no_column(r->schema, text_of(node), &inner);
      return FAIL(r, node, "%s: %s", word, inner.message);
    }
    if ((int)column->kind != -1 && column->kind != role)
      return FAIL(r, node, "column '%s' is named as the %s but has kind: %s; remove one of the two",
                  dfm_show(shown, column->name, strlen(column->name)), word,
                  dfm_choice_name("kind", (int)column->kind));
    column->kind = role;
  }
  const dfm_column *first = NULL;
  for (size_t i = 0; i < r->schema->n_columns; i++) {
    const dfm_column *column = &r->schema->columns[i];
    if (column->kind != role) continue;
    const yaml_node_t *at = yaml_document_get_node(&r->document, list->data.sequence.items.start[i]);
    if (first)
      return FAIL(r, at, "columns '%s' and '%s' are both the %s; there can be one", first->name, column->name, word);
    first = column;
  }
  return DFM_OK;
}

static dfm_status check_together(reader *r, const yaml_node_t *list, dfm_error *error) {
  size_t i;
  dfm_error inner;
  if (dfm_schema_check(r->schema, &i, &inner) == DFM_OK) return DFM_OK;
  const yaml_node_t *node = yaml_document_get_node(&r->document, list->data.sequence.items.start[i]);
  return FAIL(r, node, "%s", inner.message);
}

/* Keys that say how delimited text is written, beside a format that leaves nothing to say. */
static dfm_status check_layout(reader *r, const yaml_node_t *root, dfm_error *error) {
  static const char *const keys[] = {"separator", "header", "strip_spaces", "comment"};
  for (size_t i = 0; !r->schema->format->has_layout && i < sizeof keys / sizeof *keys; i++) {
    const yaml_node_t *key = find_key(r, root, keys[i]);
    if (key)
      return FAIL(r, key, "%s says how delimited text is written, and the format is %s; remove it", keys[i],
                  r->schema->format->name);
  }
  return DFM_OK;
}

static dfm_status read_document(reader *r, dfm_error *error) {
  static const key_row rows[] = {
      {"format", read_format},   {"separator", read_separator}, {"header", read_flag},
      {"comment", read_comment}, {"strip_spaces", read_flag},   {"missing", read_missing_words},
      {"label", read_label},     {"weight", read_weight},       {"columns", read_columns},
  };
  yaml_node_t *root = yaml_document_get_root_node(&r->document);
  if (!root)
    return dfm_fail_at(error, DFM_ERROR_FORMAT, r->name, 1, 0,
                       "the schema is empty; deepfm schema FILE prints one to start from");
  DFM_TRY(read_mapping(r, root, "a schema", rows, sizeof rows / sizeof *rows, NULL, error));
  DFM_TRY(check_layout(r, root, error));
  const yaml_node_t *list = r->columns;
  if (!list)
    return FAIL(r, root, "the schema has no columns; add columns: with one - {name: ..., kind: ...} per column");
  DFM_TRY(check_unique(r, list, error));
  DFM_TRY(assign_role(r, list, r->label, DFM_KIND_LABEL, error));
  DFM_TRY(assign_role(r, list, r->weight, DFM_KIND_WEIGHT, error));
  for (size_t i = 0; i < r->schema->n_columns; i++) {
    const dfm_column *column = &r->schema->columns[i];
    const yaml_node_t *node = yaml_document_get_node(&r->document, list->data.sequence.items.start[i]);
    char shown[DFM_SHOW_BYTES];
    if ((int)column->kind == -1)
      return FAIL(r, node, "column '%s' has no kind; add kind: category, list, number or ignore",
                  dfm_show(shown, column->name, strlen(column->name)));
    DFM_TRY(check_column(r, node, column, error));
  }
  return check_together(r, list, error);
}

static dfm_status fail_parser(const yaml_parser_t *parser, const char *name, dfm_error *error) {
  if (parser->error == YAML_MEMORY_ERROR)
    return dfm_fail(error, DFM_ERROR_MEMORY, "out of memory while reading %s", name);
  const char *problem = parser->problem ? parser->problem : "it cannot be read";
  if (parser->error == YAML_READER_ERROR)
    return dfm_fail_at(error, DFM_ERROR_FORMAT, name, (long long)parser->mark.line + 1, 0, "not valid YAML text: %s",
                       problem);
  return dfm_fail_at(error, DFM_ERROR_FORMAT, name, (long long)parser->problem_mark.line + 1,
                     (long long)parser->problem_mark.column + 1, "not valid YAML: %s", problem);
}

static dfm_status load_document(yaml_parser_t *parser, reader *r, dfm_error *error) {
  if (!yaml_parser_load(parser, &r->document)) return fail_parser(parser, r->name, error);
  dfm_status status = read_document(r, error);
  yaml_document_delete(&r->document);
  if (status != DFM_OK) return status;
  if (!yaml_parser_load(parser, &r->document)) return fail_parser(parser, r->name, error);
  const yaml_node_t *second = yaml_document_get_root_node(&r->document);
  if (second) status = FAIL(r, second, "a second YAML document starts here; a schema file has one");
  yaml_document_delete(&r->document);
  return status;
}

static dfm_status parse_bytes(const void *bytes, size_t n, const char *name, dfm_schema **schema, dfm_error *error) {
  reader r = {.name = name};
  yaml_parser_t parser;
  DFM_TRY(dfm_yaml_check_depth(bytes, n, name, error));
  DFM_TRY(dfm_schema_create(&r.schema, error));
  if (!yaml_parser_initialize(&parser)) {
    dfm_schema_free(r.schema);
    return dfm_fail(error, DFM_ERROR_MEMORY, "out of memory while reading %s", name);
  }
  yaml_parser_set_input_string(&parser, bytes, n);
  const dfm_status status = load_document(&parser, &r, error);
  yaml_parser_delete(&parser);
  if (status != DFM_OK) {
    dfm_schema_free(r.schema);
    return status;
  }
  *schema = r.schema;
  return DFM_OK;
}

dfm_status dfm_schema_parse(const char *yaml, const char *name, dfm_schema **schema, dfm_error *error) {
  return parse_bytes(yaml, strlen(yaml), name, schema, error);
}

dfm_status dfm_schema_load(const char *yaml_path, dfm_schema **schema, dfm_error *error) {
  dfm_mapping mapping;
  DFM_TRY(dfm_mapping_open_short(yaml_path, "schema", MAX_YAML_BYTES, &mapping, error));
  const dfm_status status =
      parse_bytes(mapping.size_bytes ? (const void *)mapping.bytes : "", mapping.size_bytes, yaml_path, schema, error);
  dfm_mapping_close(&mapping);
  return status;
}
