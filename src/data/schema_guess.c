/* Guess: the first rows of a text or an Arrow stream come in; a schema with a reason for every column goes out.
 * The order: format, columns, label, weight, kinds. What columns hold is judged in schema_profile.c. */
#include "data/schema_guess.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/pool.h"
#include "base/safetensors.h"
#include "data/format.h"
#include "data/input.h"
#include "data/schema_arrow.h"
#include "data/schema_label.h"

dfm_status dfm_guess_reserve(dfm_guess *g, size_t n_cells, size_t n_bytes, dfm_error *error) {
  dfm_sample *s = &g->sample;
  DFM_TRY(dfm_grow(&s->offsets, &s->capacity, s->n_cells + n_cells + 1, sizeof *s->offsets, error));
  if (s->n_cells == 0) s->offsets[0] = 0;
  return dfm_grow(&s->text.bytes, &s->text.capacity, s->text.length + n_bytes + 1, 1, error);
}

void dfm_guess_put_cell(dfm_guess *g, const char *bytes, size_t n) {
  dfm_sample *s = &g->sample;
  if (n > 0) memcpy(s->text.bytes + s->text.length, bytes, n);
  s->text.length += n;
  s->offsets[++s->n_cells] = s->text.length;
}

dfm_status dfm_guess_add_cell(dfm_guess *g, const char *bytes, size_t n, dfm_error *error) {
  DFM_TRY(dfm_guess_reserve(g, 1, n, error));
  dfm_guess_put_cell(g, bytes, n);
  return DFM_OK;
}

bool dfm_guess_is_full(const dfm_guess *g) {
  const dfm_sample *s = &g->sample;
  return s->n_rows >= DFM_GUESS_ROWS || s->text.length >= DFM_GUESS_BYTES ||
         s->n_rows * s->n_columns >= DFM_GUESS_CELLS;
}

typedef struct profiling {
  const dfm_guess *guess;
  dfm_status *status; /* (threads) */
  dfm_error *error;   /* (threads) */
} profiling;

static void profile_task(void *context, int c, int thread) {
  const profiling *run = context;
  const dfm_guess *g = run->guess;
  if (run->status[thread] != DFM_OK) return;
  run->status[thread] = dfm_profile_column(&g->sample, g->first_row, (size_t)c, &g->profiles[c], &run->error[thread]);
}

static dfm_status profile_columns(const dfm_guess *g, dfm_pool *pool, profiling *run, dfm_error *error) {
  const int threads = dfm_pool_threads(pool);
  DFM_TRY(dfm_alloc(&run->status, (size_t)threads, sizeof *run->status, error));
  DFM_TRY(dfm_alloc(&run->error, (size_t)threads, sizeof *run->error, error));
  dfm_pool_run(pool, (int)g->sample.n_columns, profile_task, run);
  for (int i = 0; i < threads; i++) {
    if (run->status[i] == DFM_OK) continue;
    if (error) *error = run->error[i];
    return run->status[i];
  }
  return DFM_OK;
}

/* Threads cost more than a small sample is worth. */
enum { FEW_CELLS = 1 << 15 };

dfm_status dfm_guess_profile(dfm_guess *g, size_t first_row, dfm_error *error) {
  dfm_pool *pool;
  profiling run = {.guess = g};
  g->first_row = first_row;
  if (!g->profiles) DFM_TRY(dfm_alloc(&g->profiles, g->sample.n_columns, sizeof *g->profiles, error));
  DFM_TRY(dfm_pool_create_exact(g->sample.n_cells < FEW_CELLS ? 1 : g->options->threads, &pool, error));
  const dfm_status status = profile_columns(g, pool, &run, error);
  free(run.status);
  free(run.error);
  dfm_pool_free(pool);
  return status;
}

/* ---- label and weight */

static dfm_status choose_weight(dfm_guess *g, dfm_error *error) {
  if (!g->options->weight) return DFM_OK;
  dfm_column *column = NULL;
  char shown[DFM_SHOW_BYTES];
  DFM_TRY(dfm_label_find(g->schema, g->options->weight, &column, error));
  dfm_show(shown, column->name, strlen(column->name));
  if (column->kind == DFM_KIND_LABEL)
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "column '%s' is the label and cannot be the weight too; name another for one of them", shown);
  const dfm_profile *p = &g->profiles[column - g->schema->columns];
  if (!p->is_numeric || p->min < 0)
    return dfm_fail(error, DFM_ERROR_FORMAT,
                    "%s: the weight column '%s' has cells that are not numbers of at least 0; choose another column",
                    g->path, shown);
  column->kind = DFM_KIND_WEIGHT;
  free(column->reason);
  return dfm_copy_text(&column->reason, "the weight of each row", error);
}

dfm_status dfm_guess_label(dfm_guess *g, dfm_error *error) {
  char reason[512];
  dfm_column *column = NULL;
  const char *path = g->path;
  DFM_TRY(dfm_label_choose(g->schema, g->profiles, g->options->label, path, &column, error));
  const dfm_profile *p = &g->profiles[column - g->schema->columns];
  DFM_TRY(dfm_label_read(g->schema, p, column, path, reason, sizeof reason, error));
  column->kind = DFM_KIND_LABEL;
  free(column->reason);
  return dfm_copy_text(&column->reason, reason, error);
}

/* ---- kinds */

/* Columns of text by how many values they have: those with n stand in column[first[n] .. first[n + 1]). */
typedef struct text_columns {
  size_t *column;
  size_t first[DFM_PROFILE_VALUES + 2];
} text_columns;

/* Of the other columns: none. */
static size_t n_values(const dfm_guess *g, size_t c) {
  const dfm_profile *p = &g->profiles[c];
  return p->is_numeric || p->n_distinct > DFM_PROFILE_VALUES ? 0 : p->n_distinct;
}

static dfm_status group_texts(const dfm_guess *g, text_columns *texts, dfm_error *error) {
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
static const char *find_twin(const dfm_guess *g, const text_columns *texts, size_t c) {
  const dfm_profile *p = &g->profiles[c];
  if (!p->is_numeric || !dfm_profile_may_have_twin(p)) return NULL; /* before all others are looked at */
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

static dfm_status choose_kinds_by(dfm_guess *g, const text_columns *texts, dfm_error *error) {
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

static dfm_status choose_kinds(dfm_guess *g, dfm_error *error) {
  text_columns texts;
  DFM_TRY(group_texts(g, &texts, error));
  const dfm_status status = choose_kinds_by(g, &texts, error);
  free(texts.column);
  return status;
}

static dfm_status collect_missing_words(dfm_guess *g, dfm_error *error) {
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

dfm_status dfm_guess_kinds(dfm_guess *g, dfm_error *error) {
  DFM_TRY(dfm_guess_label(g, error));
  DFM_TRY(choose_weight(g, error));
  DFM_TRY(choose_kinds(g, error));
  return collect_missing_words(g, error);
}

/* ---- the whole */

/* By name where one is given, or by what the text looks like. */
static dfm_status find_format(dfm_guess *g, dfm_error *error) {
  dfm_text_rows *rows;
  const dfm_row_syntax lines = {0};
  dfm_error ignored; /* lines that cannot be read are a sentence of the format's reader */
  if (g->options->format) return dfm_format_named(g->options->format, &g->schema->format, error);
  DFM_TRY(dfm_text_rows_open(g->feed, &lines, true, &rows, error));
  const bool is_empty = dfm_text_rows_is_empty(rows);
  if (!is_empty && dfm_format_find(rows, &g->schema->format, &ignored) != DFM_OK) g->schema->format = dfm_format_at(0);
  dfm_text_rows_close(rows);
  return is_empty ? dfm_fail(error, DFM_ERROR_FORMAT, "%s is empty; is it the right file?", g->path) : DFM_OK;
}

static dfm_status run_stream(dfm_guess *g, dfm_arrow_stream *stream, dfm_error *error) {
  g->path = dfm_arrow_stream_name(stream);
  g->schema->has_header = true;
  DFM_TRY(dfm_arrow_names(stream, g->schema, error));
  DFM_TRY(dfm_arrow_sample(stream, DFM_GUESS_ROWS, DFM_GUESS_BYTES, DFM_GUESS_CELLS, &g->sample, error));
  DFM_TRY(dfm_alloc(&g->has_name, g->sample.n_columns, sizeof *g->has_name, error));
  for (size_t c = 0; c < g->sample.n_columns; c++) g->has_name[c] = *dfm_arrow_stream_column_name(stream, c) != 0;
  DFM_TRY(dfm_guess_profile(g, 0, error));
  DFM_TRY(dfm_guess_label(g, error));
  DFM_TRY(choose_weight(g, error));
  DFM_TRY(dfm_arrow_kinds(stream, g->profiles, g->schema, error));
  DFM_TRY(choose_kinds(g, error));
  return collect_missing_words(g, error);
}

static dfm_status run(dfm_guess *g, dfm_error *error) {
  g->path = dfm_feed_name(g->feed);
  DFM_TRY(find_format(g, error));
  return g->schema->format->guess(g, error);
}

dfm_status dfm_schema_guess(dfm_input *input, const dfm_schema_options *options, dfm_schema **schema,
                            dfm_error *error) {
  static const dfm_schema_options defaults = {.header = -1};
  dfm_guess g = {.options = options ? options : &defaults};
  dfm_arrow_stream *stream = dfm_input_arrow(input);
  if (dfm_input_is_rereadable(input) && dfm_st_is_file(dfm_input_path(input, 0))) {
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "%s is no text but a safetensors file, whose columns are settled; deepfm inspect shows them",
                    dfm_input_path(input, 0));
  }
  DFM_TRY(dfm_schema_create(&g.schema, error));
  dfm_status status = stream ? run_stream(&g, stream, error) : dfm_input_take(input, 0, &g.feed, error);
  if (status == DFM_OK && !stream) status = run(&g, error);
  if (!stream) dfm_input_return(input, 0, g.feed);
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
