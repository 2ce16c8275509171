/* A status and a printf-style sentence come in; the caller's dfm_error goes out, one printable line that always
 * fits. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

const char *dfm_version(void) {
  return DFM_VERSION;
}

/* Bytes of `text` (n) that end with a whole character, at most `limit`. */
static size_t cut_length(const char *text, size_t n, size_t limit) {
  if (n <= limit) return n;
  size_t at = limit;
  while (at > 0 && limit - at < 4 && ((unsigned char)text[at] & 0xc0) == 0x80) at--;
  return at;
}

/* Paths may hold any byte, but a message is one line that a terminal shows and does not obey: no C0 controls, and none
 * of C1, which UTF-8 writes as 0xc2 and a byte below 0xa0. */
static void replace_control_bytes(char *text) {
  for (unsigned char *at = (unsigned char *)text; *at; at++) {
    if (at[0] < 0x20 || at[0] == 0x7f) at[0] = '?';
    if (at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0) at[0] = at[1] = '?';
  }
}

/* The sentence is built aside because its arguments may lie in `error` itself. */
static dfm_status fill(dfm_error *error, dfm_status code, long long line, long long column, const char *place,
                       const char *format, va_list arguments) {
  static const char more[] = "...";
  char message[sizeof error->message];
  const size_t start = strlen(place);
  memcpy(message, place, start + 1);
  const int wanted = vsnprintf(message + start, sizeof message - start, format, arguments);
  if (wanted < 0) snprintf(message + start, sizeof message - start, "%s", format);
  if (wanted > 0 && start + (size_t)wanted >= sizeof message)
    memcpy(message + cut_length(message, sizeof message - 1, sizeof message - sizeof more), more, sizeof more);
  replace_control_bytes(message);
  memcpy(error->message, message, strlen(message) + 1);
  error->code = code;
  error->line = line;
  error->column = column;
  return code;
}

dfm_status dfm_fail(dfm_error *error, dfm_status code, const char *format, ...) {
  if (!error) return code;
  va_list arguments;
  va_start(arguments, format);
  fill(error, code, 0, 0, "", format, arguments);
  va_end(arguments);
  return code;
}

dfm_status dfm_fail_at(dfm_error *error, dfm_status code, const char *path, long long line, long long column,
                       const char *format, ...) {
  if (!error) return code;
  /* Half of the message at most, so that a long path leaves room for the sentence. */
  char place[sizeof error->message / 2];
  const size_t room = sizeof place - 48, length = strlen(path);  /* 48: two numbers, colons, dots */
  const char *end = length > room ? path + length - room : path; /* a path says more at its end */
  const char *dots = end == path ? "" : "...";
  if (column > 0)
    snprintf(place, sizeof place, "%s%s:%lld:%lld: ", dots, end, line, column);
  else if (line > 0)
    snprintf(place, sizeof place, "%s%s:%lld: ", dots, end, line);
  else
    snprintf(place, sizeof place, "%s%s: ", dots, end);
  va_list arguments;
  va_start(arguments, format);
  fill(error, code, line, column, place, format, arguments);
  va_end(arguments);
  return code;
}

/* Neither C0 nor C1 controls are shown: a terminal would obey them. */
static bool is_control(const char *bytes, size_t length) {
  const unsigned char *u = (const unsigned char *)bytes;
  return length == 1 ? u[0] < 0x20 || u[0] == 0x7f : length == 2 && u[0] == 0xc2 && u[1] < 0xa0;
}

const char *dfm_show(char *out, const char *bytes, size_t n) {
  enum { MAX_BYTES = 40 };
  size_t at = 0, to = 0;
  while (at < n) {
    size_t length = dfm_utf8_length(bytes + at, n - at);
    const bool escapes = length == 0 || is_control(bytes + at, length);
    if (length == 0) length = 1;
    if (at + length > MAX_BYTES) break;
    for (size_t i = at; i < at + length; i++) {
      if (escapes)
        to += (size_t)snprintf(out + to, DFM_SHOW_BYTES - to, "\\x%02X", (unsigned)(unsigned char)bytes[i]);
      else
        out[to++] = bytes[i];
    }
    at += length;
  }
  snprintf(out + to, DFM_SHOW_BYTES - to, "%s", at < n ? "..." : "");
  return out;
}

enum { MAX_WORD = 63 };

static char lower(char c) {
  return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static size_t least(size_t a, size_t b) {
  return a < b ? a : b;
}

/* Edits (insert, drop, replace, swap of neighbours; case is free) from a to b, at most MAX_WORD bytes each. */
static size_t edit_distance(const char *a, size_t n_a, const char *b, size_t n_b) {
  size_t rows[3][MAX_WORD + 1];
  size_t *before = rows[0], *above = rows[1], *row = rows[2];
  for (size_t j = 0; j <= n_b; j++) above[j] = before[j] = j;
  for (size_t i = 1; i <= n_a; i++) {
    row[0] = i;
    for (size_t j = 1; j <= n_b; j++) {
      const bool same = lower(a[i - 1]) == lower(b[j - 1]);
      row[j] = least(above[j - 1] + !same, least(above[j], row[j - 1]) + 1);
      if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]))
        row[j] = least(row[j], before[j - 2] + 1);
    }
    size_t *spare = before;
    before = above;
    above = row;
    row = spare;
  }
  return above[n_b];
}

const char *dfm_nearest(const char *word, const char *const *names, size_t n) {
  const size_t length = strlen(word);
  if (length == 0 || length > MAX_WORD) return NULL;
  /* One slip in three letters is a typing error, more is another word; and something of the word must be left. */
  size_t best = least(length / 3 > 1 ? length / 3 : 1, length - 1) + 1;
  const char *nearest = NULL;
  for (size_t i = 0; i < n; i++) {
    const size_t name_length = strlen(names[i]);
    if (name_length > MAX_WORD) continue;
    const size_t distance = edit_distance(word, length, names[i], name_length);
    if (distance >= best) continue;
    best = distance;
    nearest = names[i];
  }
  return nearest;
}
