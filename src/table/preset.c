/* Preset: a text file of vectors comes in; the rows of a table whose values it has start from them. */
#include <string.h>

#include "base/feed.h"
#include "base/number.h"
#include "table/table.h"

typedef struct preset {
  const dfm_tables *tables;
  int f, K;
  dfm_feed *feed;
  long long line;
  int64_t found;
} preset;

/* The bytes of the next line, without its end; false behind the last. `*used`: what of the window is done with. */
static dfm_status next_line(preset *run, size_t *used, const char **bytes, size_t *n, bool *is_line, dfm_error *error) {
  for (;;) {
    const dfm_window window = dfm_feed_window(run->feed);
    const char *from = window.bytes + *used;
    const size_t left = window.n - *used;
    const char *end = left > 0 ? memchr(from, '\n', left) : NULL;
    if (end || window.is_last) {
      *is_line = left > 0;
      *bytes = from;
      *n = end ? (size_t)(end - from) : left;
      *used += end ? *n + 1 : left;
      if (*n > 0 && from[*n - 1] == '\r') --*n;
      run->line++;
      return DFM_OK;
    }
    DFM_TRY(dfm_feed_slide(run->feed, *used, error));
    *used = 0;
  }
}

/* The next word of [*at, end), which spaces and tabs divide; false where there is none. */
static bool next_word(const char **at, const char *end, const char **word, size_t *n) {
  while (*at < end && (**at == ' ' || **at == '\t')) ++*at;
  *word = *at;
  while (*at < end && **at != ' ' && **at != '\t') ++*at;
  *n = (size_t)(*at - *word);
  return *n > 0;
}

static dfm_status fail_width(const preset *run, long long width, dfm_error *error) {
  const char *name = run->tables->encoder->category[run->f].name;
  return dfm_fail_at(error, DFM_ERROR_FORMAT, dfm_feed_name(run->feed), run->line, 0,
                     "there are %lld numbers where the vectors of '%s' have width %d; give the field that width, or "
                     "take another file",
                     width, name, run->K);
}

/* "COUNT WIDTH", as the first line. */
static bool is_header(const preset *run, const char *at, const char *end, long long *width) {
  const char *word;
  size_t n;
  long long count;
  if (!next_word(&at, end, &word, &n) || !dfm_parse_int64(word, n, &count) || count < 0) return false;
  if (!next_word(&at, end, &word, &n) || !dfm_parse_int64(word, n, width) || *width < 0) return false;
  return !next_word(&at, end, &word, &n) && (run->K > 1 || *width == 1);
}

/* The numbers of a line into `w` (K). */
static dfm_status read_vector(const preset *run, const char *at, const char *end, float *w, dfm_error *error) {
  const char *word;
  size_t n;
  int k = 0;
  for (; next_word(&at, end, &word, &n); k++) {
    char shown[DFM_SHOW_BYTES];
    float value;
    if (dfm_parse_float(word, n, &value) != DFM_NUMBER_OK) {
      return dfm_fail_at(error, DFM_ERROR_FORMAT, dfm_feed_name(run->feed), run->line, 0,
                         "number %d of the vector is '%s', which is no finite number; correct it", k + 1,
                         dfm_show(shown, word, n));
    }
    if (k < run->K) w[k] = value;
  }
  return k == run->K ? DFM_OK : fail_width(run, k, error);
}

/* A value ends at the first tab, or where the line has none at the first space. */
static dfm_status read_line(preset *run, const char *bytes, size_t n, dfm_error *error) {
  const dfm_table *table = &run->tables->table[run->f];
  const char *end = bytes + n, *tab = memchr(bytes, '\t', n), *stop = tab ? tab : memchr(bytes, ' ', n);
  float w[1 + DFM_MAX_ROW_FACTORS], factors[DFM_MAX_ROW_FACTORS];
  bool is_unknown;
  if (!stop) stop = end;
  DFM_TRY(read_vector(run, stop, end, factors, error));
  const uint32_t id = dfm_encoder_id(run->tables->encoder, run->f, bytes, (size_t)(stop - bytes), &is_unknown);
  if (is_unknown) return DFM_OK;
  dfm_table_initial(run->tables, run->f, id, w);
  memcpy(w + table->first, factors, (size_t)run->K * sizeof *w);
  dfm_table_set(run->tables, run->f, id, w);
  run->found++;
  return DFM_OK;
}

static dfm_status read_lines(preset *run, dfm_error *error) {
  const char *bytes;
  size_t n, used = 0;
  long long width;
  for (bool is_line = true;;) {
    DFM_TRY(next_line(run, &used, &bytes, &n, &is_line, error));
    if (!is_line) return DFM_OK;
    if (run->line == 1 && is_header(run, bytes, bytes + n, &width)) {
      if (width != run->K) return fail_width(run, width, error);
    } else if (n > 0) {
      DFM_TRY(read_line(run, bytes, n, error));
    }
  }
}

dfm_status dfm_table_preset(const dfm_tables *tables, int f, const char *path, int64_t *found, dfm_error *error) {
  preset run = {.tables = tables, .f = f, .K = tables->table[f].n - tables->table[f].first};
  DFM_TRY(dfm_feed_open(path, &run.feed, error));
  const dfm_status status = read_lines(&run, error);
  dfm_feed_close(run.feed);
  *found = run.found;
  return status;
}
