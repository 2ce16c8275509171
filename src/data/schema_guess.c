/* Guess: the first rows of a text or an Arrow stream come in; a schema with a reason for every column goes out.
 * The order: separator and comment, rows, header, kinds, label. What columns hold is judged in schema_profile.c. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "base/number.h"
#include "base/safetensors.h"
#include "data/delimited.h"
#include "data/input.h"
#include "data/schema_arrow.h"
#include "data/schema_label.h"
#include "data/schema_profile.h"

/* Enough rows that small vocabularies repeat, few enough that the guess takes a moment. */
enum { MAX_ROWS = 20000, MAX_BYTES = 16 << 20, MAX_CELLS = 4 << 20, TRIAL_ROWS = 200 };

typedef struct guess {
  dfm_delimited *reader; /* NULL: of a stream */
  const char *path;      /* or the stream's name, for messages */
  const dfm_schema_options *options;
  dfm_schema *schema;
  dfm_sample sample;
  dfm_profile *profiles; /* one per column */
  size_t first_row;      /* of the sample: 1 behind a header */
  bool *has_name;        /* per column: the name is the header's, not made from the position */
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

/* Reads the first rows with `separator`. A text that this separator cannot read is no error yet: another one may. */
static dfm_status try_separator(guess *g, char separator, trial *t, dfm_error *why) {
  size_t counts[TRIAL_ROWS];
  *t = (trial){0};
  DFM_TRY(dfm_delimited_restart(g->reader, separator, g->schema->comment, why));
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
  const char only[2] = {g->options->separator, 0};
  dfm_error first_error;
  dfm_status first_status = DFM_OK;
  *best = (trial){0};
  for (const char *p = *only ? only : separators; *p; p++) {
    trial t;
    dfm_error why;
    const dfm_status status = try_separator(g, *p, &t, &why);
    if (status != DFM_OK && first_status == DFM_OK) first_status = status, first_error = why;
    if (status == DFM_OK && is_better(&t, best)) *best = t, g->schema->separator = *p;
  }
  /* A separator that divides nothing is no better than a broken quote under the right one. */
  if (best->cells <= 1 && first_status != DFM_OK) {
    if (error) *error = first_error;
    return first_status;
  }
  const char *path = dfm_delimited_path(g->reader);
  if (!best->is_readable) return dfm_fail(error, DFM_ERROR_FORMAT, "%s has no rows; is it the right file?", path);
  if (best->cells == 1)
    return dfm_fail(error, DFM_ERROR_FORMAT,
                    "%s has a single column: no comma, tab, semicolon, bar or space divides its rows; %s", path,
                    *only ? "is the given separator right?" : "name the separator");
  return DFM_OK;
}

/* A first line that is built unlike all others and starts with a comment's sign is a comment. */
static dfm_status find_comment(guess *g, const trial *best, dfm_error *error) {
  const dfm_cell *cells;
  size_t n;
  if (best->first_cells == best->cells) return DFM_OK;
  DFM_TRY(dfm_delimited_restart(g->reader, g->schema->separator, NULL, error));
  DFM_TRY(dfm_delimited_next(g->reader, &cells, &n, error));
  if (n == 0 || cells[0].n == 0 || !strchr("#|%", *cells[0].bytes)) return DFM_OK;
  DFM_TRY(dfm_alloc(&g->schema->comment, 2, 1, error));
  *g->schema->comment = *cells[0].bytes;
  return DFM_OK;
}

/* ---- rows */

static dfm_status add_row(guess *g, const dfm_cell *cells, size_t n, dfm_error *error) {
  dfm_sample *s = &g->sample;
  if (s->n_rows == 0) s->n_columns = n;
  if (n != s->n_columns)
    return dfm_fail_at(
        error, DFM_ERROR_FORMAT, dfm_delimited_path(g->reader), dfm_delimited_line(g->reader), 0,
        "this row has %zu cells, the first has %zu; fix the row, or quote cells that contain the separator", n,
        s->n_columns);
  const size_t first = s->n_rows * n;
  DFM_TRY(dfm_grow(&s->offsets, &s->capacity, first + n + 1, sizeof *s->offsets, error));
  s->offsets[first] = s->text.length;
  for (size_t i = 0; i < n; i++) {
    const dfm_cell cell = g->schema->strip_spaces ? dfm_cell_strip(cells[i]) : cells[i];
    DFM_TRY(dfm_text_add(&s->text, cell.bytes, cell.n, error));
    s->offsets[first + i + 1] = s->text.length;
  }
  s->n_rows++;
  return DFM_OK;
}

static dfm_status read_sample(guess *g, dfm_error *error) {
  DFM_TRY(dfm_delimited_restart(g->reader, g->schema->separator, g->schema->comment, error));
  DFM_TRY(dfm_text_printf(&g->sample.text, error, "%s", ""));
  while (g->sample.n_rows < MAX_ROWS && g->sample.text.length < MAX_BYTES &&
         g->sample.n_rows * g->sample.n_columns < MAX_CELLS) {
    const dfm_cell *cells;
    size_t n;
    DFM_TRY(dfm_delimited_next(g->reader, &cells, &n, error));
    if (n == 0) break;
    DFM_TRY(add_row(g, cells, n, error));
  }
  if (g->sample.n_rows == 0)
    return dfm_fail(error, DFM_ERROR_FORMAT, "%s has no rows beside comments; is it the right file?",
                    dfm_delimited_path(g->reader));
  return DFM_OK;
}

static dfm_status profile_columns(guess *g, size_t first_row, dfm_error *error) {
  g->first_row = first_row;
  for (size_t c = 0; c < g->sample.n_columns; c++)
    DFM_TRY(dfm_profile_column(&g->sample, first_row, c, &g->profiles[c], error));
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
  for (size_t c = 0; c < g->sample.n_columns; c++) {
    size_t n;
    const char *bytes = dfm_sample_cell(&g->sample, 0, c, &n);
    if (n == 0) return false;
    if (dfm_label_is_named(g->options->label, bytes, n)) return true;
    const dfm_profile *p = &g->profiles[c];
    is_told |= p->n_distinct <= DFM_PROFILE_VALUES && p->n_rows >= 2 * p->n_distinct;
    for (size_t i = 0; i < p->n_distinct && i < DFM_PROFILE_VALUES; i++)
      repeats |= p->values[i].n == n && memcmp(p->values[i].bytes, bytes, n) == 0;
  }
  return is_told && !repeats;
}

/* The profiles are those of the rows behind the first. */
static bool first_row_is_header(const guess *g) {
  bool names_numbers = false;
  if (g->options->header >= 0) return g->options->header == 1;
  for (size_t c = 0; c < g->sample.n_columns; c++) {
    size_t n;
    const char *bytes = dfm_sample_cell(&g->sample, 0, c, &n);
    if (n == 0) continue;
    if (is_number(bytes, n)) return false;
    bool is_missing = false;
    for (size_t i = 0; dfm_missing_word(i); i++)
      is_missing |= strlen(dfm_missing_word(i)) == n && memcmp(dfm_missing_word(i), bytes, n) == 0;
    names_numbers |= g->profiles[c].is_numeric && !is_missing;
  }
  return names_numbers || g->sample.n_rows == 1 || names_text_columns(g);
}

static dfm_status name_columns(guess *g, dfm_error *error) {
  dfm_schema *s = g->schema;
  const size_t n = g->sample.n_columns;
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
    if (s->has_header) (void)dfm_sample_cell(&g->sample, 0, c, &length);
    g->has_name[c] = length > 0;
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
  DFM_TRY(profile_columns(g, g->sample.n_rows > 1, error));
  g->schema->has_header = first_row_is_header(g);
  if (g->schema->has_header && g->sample.n_rows == 1)
    return dfm_fail(error, DFM_ERROR_FORMAT, "%s has a header but no rows; is it the right file?",
                    dfm_delimited_path(g->reader));
  if (!g->schema->has_header && g->first_row == 1) DFM_TRY(profile_columns(g, 0, error));
  return name_columns(g, error);
}

/* ---- kinds */

/* Columns of text by how many values they have: those with n stand in column[first[n] .. first[n + 1]). */
typedef struct text_columns {
  size_t *column;
  size_t first[DFM_PROFILE_VALUES + 2];
} text_columns;

/* Of the other columns: none. */
static size_t n_values(const guess *g, size_t c) {
  const dfm_profile *p = &g->profiles[c];
  return p->is_numeric || p->n_distinct > DFM_PROFILE_VALUES ? 0 : p->n_distinct;
}

static dfm_status group_texts(const guess *g, text_columns *texts, dfm_error *error) {
  *texts = (text_columns){0};
  DFM_TRY(dfm_alloc(&texts->column, g->sample.n_columns, sizeof *texts->column, error));
  for (size_t c = 0; c < g->sample.n_columns; c++) texts->first[n_values(g, c) + 1]++;
  for (size_t n = 1; n < DFM_PROFILE_VALUES + 2; n++) texts->first[n] += texts->first[n - 1];
  size_t at[DFM_PROFILE_VALUES + 2];
  memcpy(at, texts->first, sizeof at);
  for (size_t c = 0; c < g->sample.n_columns; c++) texts->column[at[n_values(g, c)]++] = c;
  return DFM_OK;
}

/* The name of the text column that numeric column `c` numbers, or NULL. */
static const char *find_twin(const guess *g, const text_columns *texts, size_t c) {
  const dfm_profile *p = &g->profiles[c];
  if (!p->is_numeric || p->n_distinct > DFM_PROFILE_VALUES) return NULL;
  for (size_t i = texts->first[p->n_distinct]; i < texts->first[p->n_distinct + 1]; i++) {
    const size_t w = texts->column[i];
    if (g->schema->columns[w].kind != DFM_KIND_LABEL &&
        dfm_profile_are_twins(&g->sample, g->first_row, g->profiles, c, w))
      return g->schema->columns[w].name;
  }
  return NULL;
}

/* What deepfm synth --with-truth writes: training on it would learn the answer. */
static bool is_truth(const dfm_column *column, const dfm_profile *p) {
  return strcmp(column->name, "truth") == 0 && p->is_numeric && p->has_point && p->min >= 0 && p->max <= 1;
}

static dfm_status choose_kinds_by(guess *g, const text_columns *texts, dfm_error *error) {
  char reason[512], twin[DFM_SHOW_BYTES];
  for (size_t c = 0; c < g->sample.n_columns; c++) {
    dfm_column *column = &g->schema->columns[c];
    const dfm_profile *p = &g->profiles[c];
    if (column->reason) continue; /* label, weight, or told by its type */
    const char *other = find_twin(g, texts, c);
    if (other) dfm_show(twin, other, strlen(other));
    column->kind = dfm_profile_kind(p, column->name, g->has_name[c], other ? twin : NULL, reason, sizeof reason);
    if (g->schema->has_header && !g->has_name[c] && p->is_numeric && p->is_ordered && p->n_distinct > 1) {
      column->kind = DFM_KIND_IGNORE;
      snprintf(reason, sizeof reason, "a row counter without a name: ignored");
    }
    if (is_truth(column, p)) {
      column->kind = DFM_KIND_IGNORE;
      snprintf(reason, sizeof reason, "true probabilities, by name and range: ignored");
    }
    DFM_TRY(dfm_copy_text(&column->reason, reason, error));
  }
  return DFM_OK;
}

static dfm_status choose_kinds(guess *g, dfm_error *error) {
  text_columns texts;
  DFM_TRY(group_texts(g, &texts, error));
  const dfm_status status = choose_kinds_by(g, &texts, error);
  free(texts.column);
  return status;
}

static dfm_status collect_missing_words(guess *g, dfm_error *error) {
  uint64_t words = 0;
  for (size_t c = 0; c < g->sample.n_columns; c++)
    if (g->schema->columns[c].kind == DFM_KIND_CATEGORY || g->schema->columns[c].kind == DFM_KIND_NUMBER)
      words |= g->profiles[c].missing_words;
  for (size_t i = 0; dfm_missing_word(i); i++)
    if (words >> i & 1)
      DFM_TRY(dfm_words_add(&g->schema->missing_words, &g->schema->n_missing_words, dfm_missing_word(i),
                            strlen(dfm_missing_word(i)), error));
  return DFM_OK;
}

/* ---- the whole */

static dfm_status choose_weight(guess *g, dfm_error *error) {
  if (!g->options->weight) return DFM_OK;
  dfm_column *column = NULL;
  char shown[DFM_SHOW_BYTES];
  DFM_TRY(dfm_label_find(g->schema, g->options->weight, &column, error));
  dfm_show(shown, column->name, strlen(column->name));
  if (column->kind == DFM_KIND_LABEL)
    return dfm_fail(error, DFM_ERROR_VALUE, "column '%s' is the label and cannot be the weight too", shown);
  const dfm_profile *p = &g->profiles[column - g->schema->columns];
  if (!p->is_numeric || p->min < 0)
    return dfm_fail(error, DFM_ERROR_FORMAT,
                    "%s: the weight column '%s' has cells that are not numbers of at least 0; choose another column",
                    g->path, shown);
  column->kind = DFM_KIND_WEIGHT;
  return dfm_copy_text(&column->reason, "the weight of each row", error);
}

static dfm_status choose_label(guess *g, dfm_error *error) {
  char reason[512];
  dfm_column *column = NULL;
  const char *path = g->path;
  DFM_TRY(dfm_label_choose(g->schema, g->profiles, g->options->label, path, &column, error));
  const dfm_profile *p = &g->profiles[column - g->schema->columns];
  DFM_TRY(dfm_label_read(g->schema, p, column, path, reason, sizeof reason, error));
  column->kind = DFM_KIND_LABEL;
  return dfm_copy_text(&column->reason, reason, error);
}

static dfm_status allocate(guess *g, dfm_error *error) {
  DFM_TRY(dfm_alloc(&g->profiles, g->sample.n_columns, sizeof *g->profiles, error));
  return dfm_alloc(&g->has_name, g->sample.n_columns, sizeof *g->has_name, error);
}

/* Text: separator, comment, rows and header. */
static dfm_status read_text(guess *g, dfm_error *error) {
  trial best;
  g->path = dfm_delimited_path(g->reader);
  if (dfm_delimited_is_empty(g->reader))
    return dfm_fail(error, DFM_ERROR_FORMAT, "%s is empty; is it the right file?", g->path);
  DFM_TRY(find_separator(g, &best, error));
  DFM_TRY(find_comment(g, &best, error));
  g->schema->strip_spaces = g->schema->separator != ' ' && 10 * best.spaced > 9 * best.behind;
  DFM_TRY(read_sample(g, error));
  DFM_TRY(allocate(g, error));
  return find_header(g, error);
}

static dfm_status read_stream(guess *g, dfm_arrow_stream *stream, dfm_error *error) {
  g->path = dfm_arrow_stream_name(stream);
  g->schema->has_header = true;
  DFM_TRY(dfm_arrow_names(stream, g->schema, error));
  DFM_TRY(dfm_arrow_sample(stream, MAX_ROWS, MAX_BYTES, MAX_CELLS, &g->sample, error));
  DFM_TRY(allocate(g, error));
  for (size_t c = 0; c < g->sample.n_columns; c++) g->has_name[c] = *dfm_arrow_stream_column_name(stream, c) != 0;
  return profile_columns(g, 0, error);
}

static dfm_status run_guess(guess *g, dfm_arrow_stream *stream, dfm_error *error) {
  DFM_TRY(stream ? read_stream(g, stream, error) : read_text(g, error));
  DFM_TRY(choose_label(g, error));
  DFM_TRY(choose_weight(g, error));
  if (stream) DFM_TRY(dfm_arrow_kinds(stream, g->profiles, g->schema, error));
  DFM_TRY(choose_kinds(g, error));
  return collect_missing_words(g, error);
}

dfm_status dfm_schema_guess(dfm_input *input, const dfm_schema_options *options, dfm_schema **schema,
                            dfm_error *error) {
  static const dfm_schema_options defaults = {.header = -1};
  guess g = {.options = options ? options : &defaults};
  dfm_feed *feed = NULL;
  dfm_arrow_stream *stream = dfm_input_arrow(input);
  if (dfm_input_is_rereadable(input) && dfm_st_is_file(dfm_input_path(input, 0))) {
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "%s is no text but a safetensors file, whose columns are settled; deepfm inspect shows them",
                    dfm_input_path(input, 0));
  }
  DFM_TRY(dfm_schema_create(&g.schema, error));
  dfm_status status = stream ? DFM_OK : dfm_input_take(input, 0, &feed, error);
  if (status == DFM_OK && !stream) status = dfm_delimited_open(feed, ',', NULL, true, &g.reader, error);
  if (status == DFM_OK) status = run_guess(&g, stream, error);
  dfm_delimited_close(g.reader);
  if (!stream) dfm_input_return(input, 0, feed);
  free(g.sample.text.bytes);
  free(g.sample.offsets);
  free(g.profiles);
  free(g.has_name);
  if (status != DFM_OK) {
    dfm_schema_free(g.schema);
    return status;
  }
  *schema = g.schema;
  return DFM_OK;
}
