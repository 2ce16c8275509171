/* JSON: one object a line, in one pass without a tree. */
#include "data/json_row.h"

#include <string.h>

#include "base/utf8.h"

/* Of objects and arrays in each other. */
enum { MAX_DEPTH = 64 };

typedef struct scanner {
  const char *row, *at, *end;
  const char *path;
  long long line;
  char **copies;
  dfm_text *key; /* what is above an object's own keys: "a." */
  size_t key_n;
  const dfm_json_visitor *visitor;
  int depth;
} scanner;

static size_t column_of(const scanner *s, const char *at) {
  return (size_t)(at - s->row) + 1;
}

static dfm_status fail(const scanner *s, const char *at, const char *what, dfm_error *error) {
  char shown[DFM_SHOW_BYTES];
  const long long column = (long long)column_of(s, at);
  if (at >= s->end)
    return dfm_fail_at(error, DFM_ERROR_FORMAT, s->path, s->line, column,
                       "the row ends where it needs %s; write each object on one line (jq -c .)", what);
  return dfm_fail_at(error, DFM_ERROR_FORMAT, s->path, s->line, column, "'%s' is not JSON here; write %s",
                     dfm_show(shown, at, (size_t)(s->end - at) < 12 ? (size_t)(s->end - at) : 12), what);
}

static inline void skip_spaces(scanner *s) {
  while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\r' || *s->at == '\n')) s->at++;
}

static inline bool takes(scanner *s, char c) {
  skip_spaces(s);
  if (s->at == s->end || *s->at != c) return false;
  s->at++;
  return true;
}

/* ---- strings */

static bool read_hex(const scanner *s, const char *at, unsigned *code) {
  *code = 0;
  if (s->end - at < 4) return false;
  for (int i = 0; i < 4; i++) {
    const char c = at[i], low = (char)(c | 0x20);
    const bool is_digit = c >= '0' && c <= '9';
    if (!is_digit && (low < 'a' || low > 'f')) return false;
    *code = *code * 16 + (unsigned)(is_digit ? c - '0' : low - 'a' + 10);
  }
  return true;
}

static char *put_utf8(char *to, unsigned c) {
  if (c < 0x80) {
    *to++ = (char)c;
  } else if (c < 0x800) {
    *to++ = (char)(0xc0 | c >> 6);
    *to++ = (char)(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    *to++ = (char)(0xe0 | c >> 12);
    *to++ = (char)(0x80 | (c >> 6 & 0x3f));
    *to++ = (char)(0x80 | (c & 0x3f));
  } else {
    *to++ = (char)(0xf0 | c >> 18);
    *to++ = (char)(0x80 | (c >> 12 & 0x3f));
    *to++ = (char)(0x80 | (c >> 6 & 0x3f));
    *to++ = (char)(0x80 | (c & 0x3f));
  }
  return to;
}

/* \uXXXX or a pair of surrogates, behind the u at s->at. */
static dfm_status read_unicode(scanner *s, char **to, dfm_error *error) {
  const char *start = s->at - 2;
  unsigned code, low;
  if (!read_hex(s, s->at, &code)) return fail(s, start, "four hexadecimal digits behind \\u", error);
  s->at += 4;
  if (code >= 0xd800 && code < 0xe000) {
    if (code >= 0xdc00 || s->end - s->at < 6 || s->at[0] != '\\' || s->at[1] != 'u' || !read_hex(s, s->at + 2, &low) ||
        low < 0xdc00 || low >= 0xe000)
      return fail(s, start, "both halves of a surrogate pair, as in \\ud83d\\ude00", error);
    s->at += 6;
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  }
  *to = put_utf8(*to, code);
  return DFM_OK;
}

static dfm_status read_escape(scanner *s, char **to, dfm_error *error) {
  static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
  const char *name = NULL;
  if (++s->at < s->end) {
    if (*s->at == 'u') {
      s->at++;
      return read_unicode(s, to, error);
    }
    name = memchr(names, *s->at, sizeof names - 1);
  }
  if (!name) return fail(s, s->at - 1, "one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX", error);
  *(*to)++ = meanings[name - names];
  s->at++;
  return DFM_OK;
}

/* The rest of a string that has an escape at s->at and starts at `from`. */
static dfm_status copy_string(scanner *s, const char *from, dfm_cell *cell, dfm_error *error) {
  char *start = *s->copies, *to = start + (s->at - from);
  memcpy(start, from, (size_t)(s->at - from));
  while (s->at < s->end && *s->at != '"') {
    if (*s->at == '\\') {
      DFM_TRY(read_escape(s, &to, error));
    } else if ((unsigned char)*s->at < 0x20) {
      return fail(s, s->at, "control characters within strings as \\uXXXX", error);
    } else {
      *to++ = *s->at++;
    }
  }
  cell->bytes = start;
  cell->n = (size_t)(to - start);
  *s->copies = to;
  return DFM_OK;
}

/* A string whose opening quote is at s->at. */
static dfm_status read_string(scanner *s, dfm_cell *cell, dfm_error *error) {
  const char *open = s->at++, *from = s->at;
  while (s->at < s->end && *s->at != '"' && *s->at != '\\' && (unsigned char)*s->at >= 0x20) s->at++;
  *cell = (dfm_cell){from, (size_t)(s->at - from), column_of(s, open)};
  if (s->at < s->end && *s->at == '\\') DFM_TRY(copy_string(s, from, cell, error));
  if (s->at == s->end)
    return dfm_fail_at(error, DFM_ERROR_FORMAT, s->path, s->line, (long long)cell->column,
                       "the string that opens here is not closed within its line; close it, and write line breaks as "
                       "\\n");
  if (*s->at != '"') return fail(s, s->at, "control characters within strings as \\uXXXX", error);
  s->at++;
  return DFM_OK;
}

/* ---- numbers and words */

static inline bool takes_digits(scanner *s) {
  const char *from = s->at;
  while (s->at < s->end && (unsigned char)(*s->at - '0') <= 9) s->at++;
  return s->at > from;
}

static dfm_status read_number(scanner *s, dfm_cell *cell, dfm_error *error) {
  const char *from = s->at;
  s->at += *from == '-';
  const bool is_zero = s->at < s->end && *s->at == '0';
  bool is_good = takes_digits(s);
  is_good &= !is_zero || s->at - from - (*from == '-') == 1;
  if (is_good && s->at < s->end && *s->at == '.') {
    s->at++;
    is_good = takes_digits(s);
  }
  if (is_good && s->at < s->end && (*s->at | 0x20) == 'e') {
    s->at++;
    if (s->at < s->end && (*s->at == '+' || *s->at == '-')) s->at++;
    is_good = takes_digits(s);
  }
  if (!is_good) return fail(s, from, "a number such as -1.5e3, without leading zeros", error);
  *cell = (dfm_cell){from, (size_t)(s->at - from), column_of(s, from)};
  return DFM_OK;
}

static dfm_status read_word(scanner *s, dfm_json_type *type, dfm_cell *cell, dfm_error *error) {
  static const struct {
    const char *text;
    size_t n;
    dfm_json_type type;
  } words[] = {{"true", 4, DFM_JSON_TRUE}, {"false", 5, DFM_JSON_FALSE}, {"null", 4, DFM_JSON_NULL}};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    if ((size_t)(s->end - s->at) < words[i].n || memcmp(s->at, words[i].text, words[i].n) != 0) continue;
    *type = words[i].type;
    *cell = (dfm_cell){s->at, words[i].n, column_of(s, s->at)};
    s->at += words[i].n;
    return DFM_OK;
  }
  return fail(s, s->at, "a string, number, object, array, true, false or null", error);
}

/* ---- values */

static dfm_json_type type_at(const scanner *s) {
  if (s->at == s->end) return DFM_JSON_NULL;
  switch (*s->at) {
    case '"':
      return DFM_JSON_STRING;
    case '[':
      return DFM_JSON_ARRAY;
    case '{':
      return DFM_JSON_OBJECT;
    case 't':
      return DFM_JSON_TRUE;
    case 'f':
      return DFM_JSON_FALSE;
    default:
      return *s->at == '-' || (unsigned char)(*s->at - '0') <= 9 ? DFM_JSON_NUMBER : DFM_JSON_NULL;
  }
}

static dfm_status enter(scanner *s, dfm_error *error) {
  if (s->depth++ < MAX_DEPTH) return DFM_OK;
  return dfm_fail_at(error, DFM_ERROR_FORMAT, s->path, s->line, (long long)column_of(s, s->at),
                     "more than %d objects and arrays are within each other here; flatten the row", MAX_DEPTH);
}

static dfm_status read_scalar(scanner *s, dfm_json_type *type, dfm_cell *cell, dfm_error *error) {
  *type = type_at(s);
  if (*type == DFM_JSON_STRING) return read_string(s, cell, error);
  if (*type == DFM_JSON_NUMBER) return read_number(s, cell, error);
  return read_word(s, type, cell, error);
}

static dfm_status read_object(scanner *s, bool is_seen, dfm_error *error);
static dfm_status read_array(scanner *s, bool is_wanted, dfm_error *error);

/* A value of an array, or one that nobody wants. */
static dfm_status read_value(scanner *s, bool is_wanted, dfm_error *error) {
  dfm_cell cell = {s->at, 1, column_of(s, s->at)};
  dfm_json_type type = type_at(s);
  const dfm_json_visitor *v = s->visitor;
  if (type != DFM_JSON_ARRAY && type != DFM_JSON_OBJECT) {
    DFM_TRY(read_scalar(s, &type, &cell, error));
    return is_wanted ? v->value(v->context, type, cell, error) : DFM_OK;
  }
  if (is_wanted) DFM_TRY(v->value(v->context, type, cell, error));
  return type == DFM_JSON_ARRAY ? read_array(s, false, error) : read_object(s, false, error);
}

static dfm_status read_array(scanner *s, bool is_wanted, dfm_error *error) {
  DFM_TRY(enter(s, error));
  s->at++;
  if (!takes(s, ']')) {
    do {
      skip_spaces(s);
      DFM_TRY(read_value(s, is_wanted, error));
    } while (takes(s, ','));
    if (!takes(s, ']')) return fail(s, s->at, "a comma or ]", error);
  }
  s->depth--;
  return DFM_OK;
}

/* The key with what is above it. */
static dfm_status flatten(scanner *s, dfm_cell *key, dfm_error *error) {
  if (s->key_n == 0) return DFM_OK;
  s->key->length = s->key_n;
  DFM_TRY(dfm_text_add(s->key, key->bytes, key->n, error));
  key->bytes = s->key->bytes;
  key->n = s->key->length;
  return DFM_OK;
}

/* The object that a key holds: what is in it is named behind the key and a point. */
static dfm_status read_nested(scanner *s, const dfm_cell *key, dfm_error *error) {
  const size_t above = s->key_n;
  if (above == 0) { /* else it stands there already */
    s->key->length = 0;
    DFM_TRY(dfm_text_add(s->key, key->bytes, key->n, error));
  }
  DFM_TRY(dfm_text_add(s->key, ".", 1, error));
  s->key_n = s->key->length;
  DFM_TRY(read_object(s, true, error));
  s->key_n = above;
  return DFM_OK;
}

static dfm_status read_member(scanner *s, bool is_seen, dfm_error *error) {
  const dfm_json_visitor *v = s->visitor;
  dfm_cell key;
  bool is_wanted = false;
  skip_spaces(s);
  if (s->at == s->end || *s->at != '"') return fail(s, s->at, "a key in quotes", error);
  DFM_TRY(read_string(s, &key, error));
  if (!takes(s, ':')) return fail(s, s->at, "a colon behind the key", error);
  skip_spaces(s);
  if (!is_seen) return read_value(s, false, error);
  DFM_TRY(flatten(s, &key, error));
  const dfm_json_type type = type_at(s);
  if (type == DFM_JSON_OBJECT) return read_nested(s, &key, error);
  DFM_TRY(v->key(v->context, key, type, &is_wanted, error));
  return type == DFM_JSON_ARRAY ? read_array(s, is_wanted, error) : read_value(s, is_wanted, error);
}

static dfm_status read_object(scanner *s, bool is_seen, dfm_error *error) {
  DFM_TRY(enter(s, error));
  s->at++;
  if (!takes(s, '}')) {
    do DFM_TRY(read_member(s, is_seen, error));
    while (takes(s, ','));
    if (!takes(s, '}')) return fail(s, s->at, "a comma or }", error);
  }
  s->depth--;
  return DFM_OK;
}

/* ---- rows */

static dfm_status check_utf8(const scanner *s, dfm_error *error) {
  unsigned char any = 0;
  for (const char *at = s->row; at < s->end; at++) any |= (unsigned char)*at;
  if (any < 0x80) return DFM_OK;
  for (const char *at = s->row; at < s->end;) {
    const size_t n = dfm_utf8_length(at, (size_t)(s->end - at));
    char shown[DFM_SHOW_BYTES];
    if (n == 0)
      return dfm_fail_at(error, DFM_ERROR_FORMAT, s->path, s->line, (long long)column_of(s, at),
                         "'%s' is not UTF-8 text, as JSON must be; convert the file (iconv -t UTF-8)",
                         dfm_show(shown, at, 1));
    at += n;
  }
  return DFM_OK;
}

dfm_status dfm_json_read(const char *bytes, size_t n, const char *path, long long line, char **copies, dfm_text *key,
                         const dfm_json_visitor *visitor, dfm_error *error) {
  scanner s = {bytes, bytes, bytes + n, path, line, copies, key, 0, visitor, 0};
  DFM_TRY(check_utf8(&s, error));
  skip_spaces(&s);
  if (s.at == s.end || *s.at != '{')
    return fail(&s, s.at,
                s.at < s.end && *s.at == '[' ? "one object a line (jq -c '.[]' makes them of an array)"
                                             : "one object a line, as {\"label\": 1, \"user\": \"u7\"}",
                error);
  DFM_TRY(read_object(&s, true, error));
  skip_spaces(&s);
  return s.at == s.end ? DFM_OK : fail(&s, s.at, "one object a line, and nothing behind it", error);
}
