/* Schema -> YAML: a schema comes in; text that dfm_schema_parse reads back to the same schema goes out, one line per
 * column. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "base/number.h"
#include "base/utf8.h"
#include "data/format.h"
#include "data/schema.h"

/* Width that names are padded to, so that kinds line up where names are short. */
enum { NAME_WIDTH = 16, REASON_COLUMN = 44 };

/* Whether a YAML reader takes these bytes, unquoted, as this very string. */
static bool is_plain(const char *s) {
  static const char *const reserved[] = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"};
  if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || *s == '_')) return false;
  for (const char *p = s; *p; p++)
    if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '_' || *p == '-'))
      return false;
  for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
    if (strcasecmp(s, reserved[i]) == 0) return false;
  return true;
}

/* The code point at `p` (well-formed UTF-8) and its length. */
static unsigned decode(const unsigned char *p, size_t *n) {
  if (*p < 0x80) return *n = 1, *p;
  if (*p < 0xe0) return *n = 2, (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);
  if (*p < 0xf0) return *n = 3, (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
  return *n = 4, (p[0] & 0x07u) << 18 | (p[1] & 0x3fu) << 12 | (p[2] & 0x3fu) << 6 | (p[3] & 0x3fu);
}

/* Code points that YAML allows only as escapes, or that an editor would not show. */
static bool needs_escape(unsigned c) {
  return c < 0x20 || (c >= 0x7f && c <= 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff || c == 0xfffe ||
         c == 0xffff;
}

static dfm_status add_string(dfm_text *text, const char *s, dfm_error *error) {
  char shown[DFM_SHOW_BYTES];
  if (is_plain(s)) return dfm_text_printf(text, error, "%s", s);
  if (!dfm_is_utf8(s, strlen(s)))
    return dfm_fail(error, DFM_ERROR_VALUE, "'%s' is not UTF-8 text and cannot be written to a schema",
                    dfm_show(shown, s, strlen(s)));
  DFM_TRY(dfm_text_add(text, "\"", 1, error));
  for (size_t n; *s; s += n) {
    const unsigned c = decode((const unsigned char *)s, &n);
    if (c == '\t')
      DFM_TRY(dfm_text_add(text, "\\t", 2, error));
    else if (c == '"' || c == '\\')
      DFM_TRY(dfm_text_printf(text, error, "\\%c", (int)c));
    else if (needs_escape(c))
      DFM_TRY(dfm_text_printf(text, error, c < 0x100 ? "\\x%02X" : "\\u%04X", c));
    else
      DFM_TRY(dfm_text_add(text, s, n, error));
  }
  return dfm_text_add(text, "\"", 1, error);
}

static dfm_status add_number(dfm_text *text, double value, dfm_error *error) {
  char digits[DFM_DOUBLE_BYTES];
  dfm_format_double(digits, value);
  return dfm_text_printf(text, error, "%s", digits);
}

static dfm_status add_words(dfm_text *text, const char *before, char *const *words, size_t n, dfm_error *error) {
  DFM_TRY(dfm_text_printf(text, error, "%s[", before));
  for (size_t i = 0; i < n; i++) {
    if (i) DFM_TRY(dfm_text_add(text, ", ", 2, error));
    DFM_TRY(add_string(text, words[i], error));
  }
  return dfm_text_add(text, "]", 1, error);
}

static dfm_status add_label(dfm_text *text, const dfm_schema *schema, const char *name, dfm_error *error) {
  DFM_TRY(dfm_text_printf(text, error, "label: {column: "));
  DFM_TRY(add_string(text, name, error));
  if (schema->n_positives) DFM_TRY(add_words(text, ", positive: ", schema->positives, schema->n_positives, error));
  if (schema->n_negatives) DFM_TRY(add_words(text, ", negative: ", schema->negatives, schema->n_negatives, error));
  if (!isnan(schema->label_above)) {
    DFM_TRY(dfm_text_printf(text, error, ", above: "));
    DFM_TRY(add_number(text, schema->label_above, error));
  }
  return dfm_text_printf(text, error, "}\n");
}

/* How rows are written. */
static dfm_status add_layout(dfm_text *text, const dfm_schema *schema, dfm_error *error) {
  const char separator[2] = {schema->separator, 0};
  if (!schema->format->has_layout) return dfm_text_printf(text, error, "format: %s\n", schema->format->name);
  DFM_TRY(dfm_text_printf(text, error, "separator: "));
  DFM_TRY(add_string(text, separator, error));
  DFM_TRY(dfm_text_printf(text, error, "\nheader: %s\n", schema->has_header ? "true" : "false"));
  if (schema->strip_spaces) DFM_TRY(dfm_text_printf(text, error, "strip_spaces: true\n"));
  if (schema->comment) {
    DFM_TRY(dfm_text_printf(text, error, "comment: "));
    DFM_TRY(add_string(text, schema->comment, error));
    DFM_TRY(dfm_text_printf(text, error, "\n"));
  }
  return DFM_OK;
}

static dfm_status add_top(dfm_text *text, const dfm_schema *schema, dfm_error *error) {
  DFM_TRY(add_layout(text, schema, error));
  if (schema->n_missing_words) {
    DFM_TRY(add_words(text, "missing: ", schema->missing_words, schema->n_missing_words, error));
    DFM_TRY(dfm_text_printf(text, error, "\n"));
  }
  for (size_t i = 0; i < schema->n_columns; i++)
    if (schema->columns[i].kind == DFM_KIND_LABEL) DFM_TRY(add_label(text, schema, schema->columns[i].name, error));
  for (size_t i = 0; i < schema->n_columns; i++)
    if (schema->columns[i].kind == DFM_KIND_WEIGHT) {
      DFM_TRY(dfm_text_printf(text, error, "weight: "));
      DFM_TRY(add_string(text, schema->columns[i].name, error));
      DFM_TRY(dfm_text_printf(text, error, "\n"));
    }
  return DFM_OK;
}

static dfm_status add_choice(dfm_text *text, const char *key, int value, dfm_error *error) {
  return value < 0 ? DFM_OK : dfm_text_printf(text, error, ", %s: %s", key, dfm_choice_name(key, value));
}

static dfm_status add_mark(dfm_text *text, const char *key, int mark, dfm_error *error) {
  const char value[2] = {(char)mark, 0};
  if (mark < 0) return DFM_OK;
  DFM_TRY(dfm_text_printf(text, error, ", %s: ", key));
  return add_string(text, mark == 0 ? "none" : value, error);
}

static dfm_status add_name(dfm_text *text, const char *key, const char *name, dfm_error *error) {
  if (!name) return DFM_OK;
  DFM_TRY(dfm_text_printf(text, error, ", %s: ", key));
  return add_string(text, name, error);
}

/* What lists have beside categories' settings, and what both have beside the recipe's. */
static dfm_status add_list_settings(dfm_text *text, const dfm_column *column, dfm_error *error) {
  const dfm_field_settings *s = &column->settings;
  DFM_TRY(add_mark(text, "separator", s->separator, error));
  DFM_TRY(add_mark(text, "weights", s->weights, error));
  DFM_TRY(add_choice(text, "pool", s->pool, error));
  DFM_TRY(add_choice(text, "within", s->within, error));
  DFM_TRY(add_name(text, "share", column->share, error));
  DFM_TRY(add_name(text, "initial", column->initial, error));
  return add_choice(text, "trainable", s->trainable, error);
}

static dfm_status add_settings(dfm_text *text, const dfm_field_settings *s, dfm_error *error) {
  static const char *const into[] = {"",    "linear",      "fm",      "linear, fm",
                                     "dnn", "linear, dnn", "fm, dnn", "linear, fm, dnn"};
  DFM_TRY(add_choice(text, "transform", s->transform, error));
  if (s->min_count >= 0) DFM_TRY(dfm_text_printf(text, error, ", min_count: %d", s->min_count));
  if (s->max_vocabulary >= 0) DFM_TRY(dfm_text_printf(text, error, ", max_vocabulary: %d", s->max_vocabulary));
  if (s->hash >= 0) DFM_TRY(dfm_text_printf(text, error, ", hash: %d", s->hash));
  if (s->buckets >= 0) DFM_TRY(dfm_text_printf(text, error, ", buckets: %d", s->buckets));
  DFM_TRY(add_choice(text, "unknown", s->unknown, error));
  if (s->unknown_rate >= 0) {
    DFM_TRY(dfm_text_printf(text, error, ", unknown_rate: "));
    DFM_TRY(add_number(text, s->unknown_rate, error));
  }
  DFM_TRY(add_choice(text, "order", s->order, error));
  if (!isnan(s->missing)) {
    DFM_TRY(dfm_text_printf(text, error, ", missing: "));
    DFM_TRY(add_number(text, s->missing, error));
  }
  if (s->into > 0) DFM_TRY(dfm_text_printf(text, error, ", into: [%s]", into[s->into & 7]));
  if (s->width >= 0) DFM_TRY(dfm_text_printf(text, error, ", width: %d", s->width));
  return DFM_OK;
}

/* "  # reason", bytes that would end the comment or are not text as '?'. */
static dfm_status add_reason(dfm_text *text, const char *reason, size_t line_length, dfm_error *error) {
  const int pad = line_length < REASON_COLUMN ? (int)(REASON_COLUMN - line_length) : 0;
  DFM_TRY(dfm_text_printf(text, error, "%*s  # ", pad, ""));
  const bool is_text = dfm_is_utf8(reason, strlen(reason));
  for (size_t n; *reason; reason += n) {
    unsigned c = '?';
    n = 1;
    if (is_text) c = decode((const unsigned char *)reason, &n);
    DFM_TRY(needs_escape(c) || !is_text
                ? dfm_text_add(text, (*reason & 0x80) || needs_escape(c) ? "?" : reason, 1, error)
                : dfm_text_add(text, reason, n, error));
  }
  return DFM_OK;
}

static dfm_status add_column(dfm_text *text, const dfm_column *column, bool with_reasons, dfm_error *error) {
  const size_t line = text->length;
  DFM_TRY(dfm_text_printf(text, error, "  - {name: "));
  const size_t name = text->length;
  DFM_TRY(add_string(text, column->name, error));
  const size_t width = text->length - name;
  DFM_TRY(dfm_text_printf(text, error, ", %*skind: %s", width < NAME_WIDTH ? (int)(NAME_WIDTH - width) : 0, "",
                          dfm_choice_name("kind", (int)column->kind)));
  DFM_TRY(add_settings(text, &column->settings, error));
  DFM_TRY(add_list_settings(text, column, error));
  DFM_TRY(dfm_text_printf(text, error, "}"));
  if (with_reasons && column->reason) DFM_TRY(add_reason(text, column->reason, text->length - line, error));
  return dfm_text_printf(text, error, "\n");
}

dfm_status dfm_schema_to_yaml(const dfm_schema *schema, bool with_reasons, char **yaml, dfm_error *error) {
  dfm_text text = {0};
  dfm_status status = add_top(&text, schema, error);
  if (status == DFM_OK) status = dfm_text_printf(&text, error, "columns:\n");
  for (size_t i = 0; i < schema->n_columns && status == DFM_OK; i++)
    status = add_column(&text, &schema->columns[i], with_reasons, error);
  if (status != DFM_OK) {
    free(text.bytes);
    return status;
  }
  *yaml = text.bytes;
  return DFM_OK;
}
