/* What comes in: numbers, names and messages. What goes out: the way people read them. */
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "cli.h"

int cli_fail(const dfm_error *error) {
  fprintf(stderr, "deepfm: %s\n", error->message);
  return CLI_FAILED;
}

/* Words of the command line and names of files may hold what a terminal would obey. */
static void say(const char *prefix, const char *format, va_list arguments) {
  char message[2048], shown[2 * sizeof message];
  const int n = vsnprintf(message, sizeof message, format, arguments);
  const size_t length = n < 0 ? 0 : (size_t)n < sizeof message ? (size_t)n : sizeof message - 1;
  fprintf(stderr, "%s%s\n", prefix, cli_show(shown, sizeof shown, message, length));
}

int cli_complain(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  say("deepfm: ", format, arguments);
  va_end(arguments);
  return CLI_FAILED;
}

int cli_usage(const cli_command *command, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  say("deepfm: ", format, arguments);
  va_end(arguments);
  fprintf(stderr, "Try: deepfm %s%s--help\n", command ? command->name : "", command ? " " : "");
  return CLI_USAGE;
}

void cli_warn(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  say("deepfm: warning: ", format, arguments);
  va_end(arguments);
}

/* Levenshtein distance, row by row; words longer than the row are far from everything. */
static size_t distance(const char *a, const char *b) {
  enum { ROOM = 64 };
  size_t row[ROOM];
  const size_t n = strlen(b);
  if (n >= ROOM) return ROOM;
  for (size_t j = 0; j <= n; j++) row[j] = j;
  for (size_t i = 1; a[i - 1]; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= n; j++) {
      const size_t above = row[j];
      size_t best = diagonal + (a[i - 1] != b[j - 1]);
      if (above + 1 < best) best = above + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      row[j] = best;
      diagonal = above;
    }
  }
  return row[n];
}

const char *cli_nearest(const char *word, const char *const *names, size_t n) {
  size_t best = (strlen(word) + 1) / 3; /* a third of the letters may be wrong: "trian" is near "train" */
  const char *nearest = NULL;
  for (size_t i = 0; i < n; i++) {
    const size_t d = distance(word, names[i]);
    if (d < best || (d == best && !nearest)) {
      best = d;
      nearest = names[i];
    }
  }
  return nearest;
}

const char *cli_thousands(char out[CLI_SHORT], int64_t n) {
  char digits[CLI_SHORT];
  const int length = snprintf(digits, sizeof digits, "%lld", (long long)(n < 0 ? -n : n));
  char *to = out;
  if (n < 0) *to++ = '-';
  for (int i = 0; i < length; i++) {
    if (i > 0 && (length - i) % 3 == 0) *to++ = ',';
    *to++ = digits[i];
  }
  *to = 0;
  return out;
}

const char *cli_duration(char out[CLI_SHORT], double seconds) {
  if (!(seconds < 359999)) {
    snprintf(out, CLI_SHORT, "?");
    return out;
  }
  const long whole = lround(seconds);
  if (seconds < 9.95)
    snprintf(out, CLI_SHORT, "%.1f s", seconds);
  else if (whole < 60)
    snprintf(out, CLI_SHORT, "%ld s", whole);
  else if (whole < 3600)
    snprintf(out, CLI_SHORT, "%ld:%02ld", whole / 60, whole % 60);
  else
    snprintf(out, CLI_SHORT, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
  return out;
}

const char *cli_metric(char out[CLI_SHORT], double value) {
  if (isnan(value))
    snprintf(out, CLI_SHORT, "undefined");
  else
    snprintf(out, CLI_SHORT, "%.6f", value);
  return out;
}

const char *cli_auc(char out[CLI_SHORT], double auc, double auc_error, int decimals) {
  const double unit = pow(10, -decimals);
  if (isnan(auc))
    snprintf(out, CLI_SHORT, "undefined");
  else if (auc_error > 0)
    snprintf(out, CLI_SHORT, "%.*f +- %.*f", decimals, auc, decimals, ceil(auc_error / unit) * unit);
  else
    snprintf(out, CLI_SHORT, "%.*f", decimals, auc);
  return out;
}

const char *cli_percent(char out[CLI_SHORT], int64_t part, int64_t whole) {
  const double percent = whole > 0 ? 100.0 * (double)part / (double)whole : 0;
  if (percent > 0 && percent < 0.1)
    snprintf(out, CLI_SHORT, "%.3f %%", percent);
  else
    snprintf(out, CLI_SHORT, "%.1f %%", percent);
  return out;
}

const char *cli_rounded(char out[CLI_SHORT], int64_t n) {
  static const char *const units[] = {"", "k", "M", "G"};
  double shown = (double)n;
  size_t unit = 0;
  while (shown >= (unit == 0 ? 10000 : 999.5) && unit < 3) {
    shown /= 1000;
    unit++;
  }
  snprintf(out, CLI_SHORT, unit > 0 && shown < 9.95 ? "%.1f%s" : "%.0f%s", shown, units[unit]);
  return out;
}

const char *cli_share(char out[CLI_SHORT], double share) {
  const double percent = 100 * share;
  const int digits = percent == 0 || percent == 100 ? 0 : percent < 0.0995 ? 3 : percent < 9.95 || percent > 99 ? 2 : 1;
  snprintf(out, CLI_SHORT, "%.*f%%", digits, percent);
  return out;
}

const char *cli_quoted(char out[CLI_QUOTED], const char *path) {
  const char *plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./,:+@%";
  if (*path && *path != '-' && path[strspn(path, plain)] == 0) {
    snprintf(out, CLI_QUOTED, "%s", path);
    return out;
  }
  size_t n = 0;
  for (const char *c = path; *c && n == 0; c++)
    if ((unsigned char)*c < 0x20 || *c == 0x7f) out[n++] = '$'; /* $'...' knows \xNN */
  const bool has_escapes = n > 0;
  out[n++] = '\'';
  for (; *path && n < CLI_QUOTED - 8; path++) {
    if (*path == '\'')
      n += (size_t)sprintf(out + n, has_escapes ? "\\'" : "'\\''");
    else if (has_escapes && ((unsigned char)*path < 0x20 || *path == 0x7f || *path == '\\'))
      n += (size_t)sprintf(out + n, "\\x%02X", (unsigned char)*path);
    else
      out[n++] = *path;
  }
  out[n++] = '\'';
  out[n] = 0;
  return out;
}

const char *cli_quoted_data(char out[CLI_QUOTED], const char *const *paths, int n_paths) {
  if (n_paths == 1 && strcmp(paths[0], "-") != 0) return cli_quoted(out, paths[0]);
  snprintf(out, CLI_QUOTED, "DATA");
  return out;
}

/* Length of the well-formed UTF-8 character at `s`, 0 where there is none. */
static size_t utf8_length(const unsigned char *s, size_t n) {
  const size_t length = s[0] < 0x80 ? 1 : s[0] < 0xC2 ? 0 : s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : s[0] < 0xF5 ? 4 : 0;
  if (length > n) return 0;
  for (size_t i = 1; i < length; i++)
    if ((s[i] & 0xC0) != 0x80) return 0;
  const bool is_overlong = (s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xF0 && s[1] < 0x90);
  const bool is_outside = (s[0] == 0xED && s[1] > 0x9F) || (s[0] == 0xF4 && s[1] > 0x8F);
  const bool is_control = s[0] < 0x20 || s[0] == 0x7F || (s[0] == 0xC2 && s[1] < 0xA0);
  return is_overlong || is_outside || is_control ? 0 : length;
}

const char *cli_kind(bool is_number, bool is_list) {
  return is_number ? "number" : is_list ? "list" : "category";
}

const char *cli_show(char *out, size_t size, const char *bytes, size_t n) {
  size_t to = 0;
  for (size_t i = 0; i < n;) {
    if (to + 8 > size) {
      snprintf(out + to, size - to, "...");
      return out;
    }
    const size_t length = utf8_length((const unsigned char *)bytes + i, n - i);
    if (length == 0) {
      to += (size_t)sprintf(out + to, "\\x%02X", (unsigned char)bytes[i++]);
    } else {
      memcpy(out + to, bytes + i, length);
      to += length;
      i += length;
    }
  }
  out[to] = 0;
  return out;
}
