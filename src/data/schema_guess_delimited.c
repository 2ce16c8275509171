/* Guess of delimited text: the first rows come in; separator, comment, header and columns go out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/number.h"
#include "data/delimited.h"
#include "data/schema_guess.h"
#include "data/schema_label.h"

enum { TRIAL_ROWS = 200 };

typedef struct guess {
  dfm_delimited *reader;
  dfm_guess *all;
  char separator; /* that was given, or that the first line names; 0: to be found */
} guess;

/* ---- separator and comment */

/* What one separator makes of the first rows. */
typedef struct trial {
  size_t cells;    /* the count of cells most rows have */
  size_t agreeing; /* rows with that count */
  size_t rows;
  size_t first_cells; /* count of the first row */
  size_t spaced;      /* cells behind a separator that start with a space, */
  size_t behind;      /* of this many */
  bool is_readable;
} trial;

static int by_size(const void *a, const void *b) {
  const size_t x = *(const size_t *)a, y = *(const size_t *)b;
  return (x > y) - (x < y);
}

static void count_rows(trial *t, size_t *counts) {
  t->first_cells = counts[0];
  qsort(counts, t->rows, sizeof *counts, by_size);
  for (size_t i = 0, start = 0; i < t->rows; i++) {
    if (counts[i] != counts[start]) start = i;
    if (i - start + 1 >= t->agreeing) {
      t->agreeing = i - start + 1;
      t->cells = counts[i];
    }
  }
}

static void read_named_separator(guess *g) {
  const dfm_cell *cells;
  size_t n;
  (void)!dfm_delimited_next(g->reader, &cells, &n, NULL); /* where this fails others will say why */
  if (!g->separator) g->separator = dfm_delimited_named_separator(g->reader);
}

/* Reads the first rows with `separator`. A text that this separator cannot read is no error yet: another one may. */
static dfm_status try_separator(guess *g, char separator, trial *t, dfm_error *why) {
  size_t counts[TRIAL_ROWS];
  *t = (trial){0};
  DFM_TRY(dfm_delimited_restart(g->reader, separator, g->all->schema->comment, why));
  while (t->rows < TRIAL_ROWS) {
    const dfm_cell *cells;
    size_t n;
    DFM_TRY(dfm_delimited_next(g->reader, &cells, &n, why));
    if (n == 0) break;
    counts[t->rows++] = n;
    t->behind += n - 1;
    for (size_t i = 1; i < n; i++) t->spaced += cells[i].n > 0 && *cells[i].bytes == ' ';
  }
  t->is_readable = t->rows > 0;
  if (t->is_readable) count_rows(t, counts);
  return DFM_OK;
}

/* More rows that agree on more than one cell win; then the earlier separator of the list. */
static bool is_better(const trial *a, const trial *b) {
  if (!b->is_readable || !a->is_readable) return a->is_readable;
  if ((a->cells > 1) != (b->cells > 1)) return a->cells > 1;
  return a->agreeing * b->rows > b->agreeing * a->rows;
}

static dfm_status find_separator(guess *g, trial *best, dfm_error *error) {
  static const char separators[] = ",\t;| ";
  const char only[2] = {g->separator, 0};
  dfm_error first_error;
  dfm_status first_status = DFM_OK;
  *best = (trial){0};
  for (const char *p = *only ? only : separators; *p; p++) {
    trial t;
    dfm_error why;
    const dfm_status status = try_separator(g, *p, &t, &why);
    if (status != DFM_OK && first_status == DFM_OK) first_status = status, first_error = why;
    if (status == DFM_OK && is_better(&t, best)) *best = t, g->all->schema->separator = *p;
  }
  /* A separator that divides nothing is no better than a broken quote under the right one. */
  if (best->cells <= 1 && first_status != DFM_OK) {
    if (error) *error = first_error;
    return first_status;
  }
  const char *path = g->all->path;
  if (!best->is_readable) return dfm_fail(error, DFM_ERROR_FORMAT, "%s has no rows; is it the right file?", path);
  if (best->cells == 1)
    return dfm_fail(error, DFM_ERROR_FORMAT,
                    "%s has a single column: no comma, tab, semicolon, bar or space divides its rows, and they are no "
                    "libsvm, libffm or JSON lines; %s",
                    path, *only ? "is the given separator right?" : "name the separator in a schema (docs/schema.md)");
  return DFM_OK;
}

/* A first line that is built unlike all others and starts with a comment's sign is a comment. */
static dfm_status find_comment(guess *g, const trial *best, dfm_error *error) {
  const dfm_cell *cells;
  size_t n;
  if (g->all->schema->comment || best->first_cells == best->cells) return DFM_OK;
  DFM_TRY(dfm_delimited_restart(g->reader, g->all->schema->separator, NULL, error));
  DFM_TRY(dfm_delimited_next(g->reader, &cells, &n, error));
  if (n == 0 || cells[0].n == 0 || !strchr("#|%", *cells[0].bytes)) return DFM_OK;
  DFM_TRY(dfm_alloc(&g->all->schema->comment, 2, 1, error));
  *g->all->schema->comment = *cells[0].bytes;
  return DFM_OK;
}

/* ---- rows */

static dfm_status add_row(guess *g, const dfm_cell *cells, size_t n, dfm_error *error) {
  dfm_sample *s = &g->all->sample;
  if (s->n_rows == 0) s->n_columns = n;
  if (n != s->n_columns)
    return dfm_fail_at(
        error, DFM_ERROR_FORMAT, g->all->path, dfm_delimited_line(g->reader), 0,
        "this row has %zu cell%s, the first has %zu; fix the row, or quote cells that contain the separator", n,
        n == 1 ? "" : "s", s->n_columns);
  DFM_TRY(dfm_guess_reserve(g->all, n, dfm_delimited_row_bytes(g->reader), error));
  for (size_t i = 0; i < n; i++) {
    const dfm_cell cell = g->all->schema->strip_spaces ? dfm_cell_strip(cells[i]) : cells[i];
    dfm_guess_put_cell(g->all, cell.bytes, cell.n);
  }
  s->n_rows++;
  return DFM_OK;
}

/* Whether the only row has many carriage returns within. */
static bool has_lone_returns(const guess *g) {
  const dfm_sample *s = &g->all->sample;
  size_t n_returns = 0, n;
  for (size_t c = 0; s->n_rows == 1 && c < s->n_columns; c++) {
    const char *bytes = dfm_sample_cell(s, 0, c, &n);
    n_returns += n > 0 && memchr(bytes, '\r', n) != NULL;
  }
  return n_returns > 1;
}

static dfm_status read_sample(guess *g, dfm_error *error) {
  DFM_TRY(dfm_delimited_restart(g->reader, g->all->schema->separator, g->all->schema->comment, error));
  while (!dfm_guess_is_full(g->all)) {
    const dfm_cell *cells;
    size_t n;
    DFM_TRY(dfm_delimited_next(g->reader, &cells, &n, error));
    if (n == 0) break;
    DFM_TRY(add_row(g, cells, n, error));
  }
  if (has_lone_returns(g))
    return dfm_fail(error, DFM_ERROR_FORMAT,
                    "%s ends its lines with a carriage return alone, so that they are one; write line feeds (tr '\\r' "
                    "'\\n')",
                    g->all->path);
  if (g->all->sample.n_rows == 0)
    return dfm_fail(error, DFM_ERROR_FORMAT, "%s has no rows beside comments; is it the right file?", g->all->path);
  return DFM_OK;
}

/* ---- header */

static bool is_number(const char *bytes, size_t n) {
  double value;
  return dfm_parse_double(bytes, n, &value) == DFM_NUMBER_OK;
}

/* Whether the first row, all text, names columns that are all text: it names the label, or repeats nothing that its
 * columns hold. */
static bool names_text_columns(const guess *g) {
  bool repeats = false, is_told = false;
  for (size_t c = 0; c < g->all->sample.n_columns; c++) {
    size_t n;
    const char *bytes = dfm_sample_cell(&g->all->sample, 0, c, &n);
    if (n == 0) return false;
    if (dfm_label_is_named(g->all->options->label, bytes, n)) return true;
    const dfm_profile *p = &g->all->profiles[c];
    is_told |= p->n_distinct <= DFM_PROFILE_VALUES && p->n_rows >= 2 * p->n_distinct;
    for (size_t i = 0; i < p->n_distinct && i < DFM_PROFILE_VALUES; i++)
      repeats |= p->values[i].n == n && memcmp(p->values[i].bytes, bytes, n) == 0;
  }
  return is_told && !repeats;
}

/* The profiles are those of the rows behind the first. */
static bool first_row_is_header(const guess *g) {
  bool names_numbers = false;
  if (g->all->options->header >= 0) return g->all->options->header == 1;
  for (size_t c = 0; c < g->all->sample.n_columns; c++) {
    size_t n;
    const char *bytes = dfm_sample_cell(&g->all->sample, 0, c, &n);
    if (n == 0) continue;
    if (is_number(bytes, n)) return false;
    bool is_missing = false;
    for (size_t i = 0; dfm_missing_word(i); i++)
      is_missing |= strlen(dfm_missing_word(i)) == n && memcmp(dfm_missing_word(i), bytes, n) == 0;
    names_numbers |= g->all->profiles[c].is_numeric && !is_missing;
  }
  return names_numbers || g->all->sample.n_rows == 1 || names_text_columns(g);
}

static dfm_status name_columns(guess *g, dfm_error *error) {
  dfm_schema *s = g->all->schema;
  const size_t n = g->all->sample.n_columns;
  char **names = NULL;
  DFM_TRY(dfm_alloc(&s->columns, n, sizeof *s->columns, error));
  s->n_columns = n;
  if (s->has_header) {
    const dfm_cell *cells;
    size_t n_cells;
    DFM_TRY(dfm_delimited_restart(g->reader, s->separator, s->comment, error));
    DFM_TRY(dfm_delimited_next(g->reader, &cells, &n_cells, error));
    DFM_TRY(dfm_delimited_names(g->reader, cells, n_cells, s->strip_spaces, &names, error));
  }
  for (size_t c = 0; c < n; c++) {
    size_t length = 0;
    if (s->has_header) (void)dfm_sample_cell(&g->all->sample, 0, c, &length);
    g->all->has_name[c] = length > 0;
    s->columns[c].settings = dfm_field_settings_unset();
    if (names) s->columns[c].name = names[c];
  }
  free(names);
  for (size_t c = 0; c < n && !s->has_header; c++) {
    DFM_TRY(dfm_alloc(&s->columns[c].name, 24, 1, error));
    snprintf(s->columns[c].name, 24, "c%zu", c + 1);
  }
  return DFM_OK;
}

static dfm_status find_header(guess *g, dfm_error *error) {
  DFM_TRY(dfm_guess_profile(g->all, g->all->sample.n_rows > 1, error));
  g->all->schema->has_header = first_row_is_header(g);
  if (g->all->schema->has_header && g->all->sample.n_rows == 1)
    return dfm_fail(error, DFM_ERROR_FORMAT, "%s has a header but no rows; is it the right file?", g->all->path);
  if (!g->all->schema->has_header && g->all->first_row == 1) DFM_TRY(dfm_guess_profile(g->all, 0, error));
  return name_columns(g, error);
}

/* ---- the whole */

static dfm_status run(guess *g, dfm_error *error) {
  dfm_guess *all = g->all;
  trial best;
  read_named_separator(g);
  DFM_TRY(find_separator(g, &best, error));
  DFM_TRY(find_comment(g, &best, error));
  all->schema->strip_spaces = all->schema->separator != ' ' && 10 * best.spaced > 9 * best.behind;
  DFM_TRY(read_sample(g, error));
  DFM_TRY(dfm_alloc(&all->has_name, all->sample.n_columns, sizeof *all->has_name, error));
  DFM_TRY(find_header(g, error));
  return dfm_guess_kinds(all, error);
}

dfm_status dfm_guess_delimited(dfm_guess *all, dfm_error *error) {
  guess g = {.all = all, .separator = all->options->separator};
  DFM_TRY(dfm_delimited_open(all->feed, ',', NULL, true, &g.reader, error));
  const dfm_status status = run(&g, error);
  dfm_delimited_close(g.reader);
  return status;
}
