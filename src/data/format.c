/* Formats: the table of them, and which one a text is written in. */
#include "data/format.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "data/schema.h"

static const dfm_format *const formats[] = {&dfm_format_delimited, &dfm_format_libsvm, &dfm_format_libffm,
                                            &dfm_format_jsonl};
enum { N_FORMATS = sizeof formats / sizeof *formats, FIRST_LINES = 20 };

const dfm_format *dfm_format_at(size_t i) {
  return i < N_FORMATS ? formats[i] : NULL;
}

dfm_status dfm_format_named(const char *name, const dfm_format **format, dfm_error *error) {
  char shown[DFM_SHOW_BYTES];
  dfm_text list = {0};
  dfm_status status = DFM_OK;
  for (size_t i = 0; i < N_FORMATS && status == DFM_OK; i++) {
    if (strcmp(formats[i]->name, name) == 0) {
      free(list.bytes);
      *format = formats[i];
      return DFM_OK;
    }
    status = dfm_text_printf(&list, error, "%s%s", i ? ", " : "", formats[i]->name);
  }
  if (status == DFM_OK)
    status = dfm_fail(error, DFM_ERROR_VALUE, "format is '%s'; it must be one of %s",
                      dfm_show(shown, name, strlen(name)), list.bytes);
  free(list.bytes);
  return status;
}

dfm_row_syntax dfm_format_syntax(const dfm_schema *schema) {
  const dfm_format *format = schema->format;
  if (format->has_layout) return (dfm_row_syntax){schema->separator, schema->comment};
  return (dfm_row_syntax){0, format->comment};
}

/* Whether the name, without what compression adds, ends in one of the endings. */
static bool is_ending(const char *path, const char *endings) {
  size_t n = strlen(path);
  if (n > 3 && strcasecmp(path + n - 3, ".gz") == 0) n -= 3;
  if (n > 4 && strcasecmp(path + n - 4, ".zst") == 0) n -= 4;
  for (const char *from = endings, *stop; (stop = strchr(from, ' ')); from = stop + 1) {
    const size_t length = (size_t)(stop - from);
    if (n > length && strncasecmp(path + n - length, from, length) == 0) return true;
  }
  return false;
}

dfm_status dfm_format_find(dfm_text_rows *rows, const dfm_format **format, dfm_error *error) {
  dfm_likeness like[N_FORMATS] = {DFM_LIKE_NO};
  dfm_row_span span;
  size_t n;
  *format = formats[0];
  for (size_t i = 1; i < N_FORMATS; i++) {
    like[i] = DFM_LIKE_MAYBE;
    if (!is_ending(dfm_text_rows_path(rows), formats[i]->endings)) continue;
    *format = formats[i];
    return DFM_OK;
  }
  for (int line = 0; line < FIRST_LINES; line++) {
    DFM_TRY(dfm_text_rows_next(rows, &span, 1, &n, error));
    if (n == 0) break;
    for (size_t i = 1; i < N_FORMATS; i++) {
      const dfm_likeness said = like[i] == DFM_LIKE_NO ? DFM_LIKE_NO : formats[i]->likeness(span.bytes, span.n);
      if (said != DFM_LIKE_MAYBE) like[i] = said;
    }
  }
  for (size_t i = 1; i < N_FORMATS; i++)
    if (like[i] == DFM_LIKE_YES) *format = formats[i];
  return DFM_OK;
}
