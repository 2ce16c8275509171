/* Pairs: what libsvm and libffm have in common. */
#include "data/pairs.h"

#include <stdio.h>

#include "base/number.h"
#include "data/schema_guess.h"
#include "data/schema_label.h"
#include "data/source.h"

bool dfm_cut_whole(dfm_cell *word, dfm_cell *whole, bool *is_last) {
  const char *at = word->bytes, *end = at + word->n, *first = at;
  while (at < end && (unsigned char)(*at - '0') <= 9) at++;
  *is_last = at == end;
  if (at == first || (at < end && *at != ':')) return false;
  while (at - first > 1 && *first == '0') first++;
  *whole = (dfm_cell){first, (size_t)(at - first), word->column};
  at += !*is_last;
  word->column += (size_t)(at - word->bytes);
  word->n = (size_t)(end - at);
  word->bytes = at;
  return true;
}

dfm_number_result dfm_pair_value(const dfm_cell *word, float *value) {
  if (word->n == 1 && (unsigned char)(*word->bytes - '0') <= 9) {
    *value = (float)(*word->bytes - '0');
    return DFM_NUMBER_OK;
  }
  return dfm_parse_float(word->bytes, word->n, value);
}

dfm_status dfm_pair_fail(const dfm_row *row, const dfm_cell *word, const char *problem, dfm_error *error) {
  char shown[DFM_SHOW_BYTES];
  return dfm_fail_at(error, DFM_ERROR_FORMAT, dfm_text_rows_path(row->source->rows), row->span->line,
                     (long long)word->column, "'%s' %s", dfm_show(shown, word->bytes, word->n), problem);
}

dfm_status dfm_pairs_label(dfm_row *row, dfm_pairs *words, dfm_error *error) {
  dfm_pairs rest = *words;
  dfm_cell word;
  if (!dfm_next_word(&rest, &word) || memchr(word.bytes, ':', word.n)) return DFM_OK;
  *words = rest;
  for (size_t i = 0; i < row->source->n_places; i++) {
    const dfm_place *place = &row->source->place[i];
    if (place->kind != DFM_KIND_LABEL) continue;
    (void)dfm_row_sees(row, place);
    DFM_TRY(dfm_row_put_label(row, word, error));
  }
  row->block->reason = DFM_BAD_SHAPE;
  return DFM_OK;
}

/* ---- guess */

dfm_likeness dfm_pairs_likeness(const char *line, size_t n, int numbers) {
  dfm_pairs words = dfm_pairs_of(line, n);
  dfm_likeness like = DFM_LIKE_MAYBE;
  dfm_cell word, whole;
  double label;
  float value;
  bool is_last;
  if (!dfm_next_word(&words, &word)) return DFM_LIKE_MAYBE;
  if (dfm_parse_double(word.bytes, word.n, &label) != DFM_NUMBER_OK) return DFM_LIKE_NO;
  while (dfm_next_word(&words, &word)) {
    if (dfm_is_query(&word)) continue;
    for (int i = 1; i < numbers; i++)
      if (!dfm_cut_whole(&word, &whole, &is_last) || is_last) return DFM_LIKE_NO;
    if (dfm_pair_value(&word, &value) != DFM_NUMBER_OK) return DFM_LIKE_NO;
    like = DFM_LIKE_YES;
  }
  return like;
}

/* Labels of -1 and 1, of which the first rows may have but one: 0 is taken too. */
static dfm_status read_signs(dfm_guess *g, dfm_column *column, bool *is_signs, dfm_error *error) {
  const dfm_profile *p = g->profiles;
  *is_signs = p->is_numeric && p->is_whole && p->n_distinct <= DFM_PROFILE_VALUES;
  for (size_t i = 0; i < p->n_distinct && *is_signs; i++) {
    double value = 0;
    (void)dfm_parse_double(p->values[i].bytes, p->values[i].n, &value);
    *is_signs = value == 1 || value == -1;
  }
  if (!*is_signs) return DFM_OK;
  dfm_schema *schema = g->schema;
  DFM_TRY(dfm_words_add(&schema->negatives, &schema->n_negatives, "-1", 2, error));
  for (size_t i = 0; i < p->n_distinct; i++) {
    const dfm_profile_value *text = &p->values[i];
    if (*text->bytes == '-' && !dfm_words_have(schema->negatives, schema->n_negatives, text->bytes, text->n))
      DFM_TRY(dfm_words_add(&schema->negatives, &schema->n_negatives, text->bytes, text->n, error));
  }
  return dfm_copy_text(&column->reason, "label, 1 is positive and -1 negative", error);
}

static dfm_status choose_label(dfm_guess *g, dfm_error *error) {
  bool is_signs;
  if (g->options->label) { /* there is one column that it can be, by name or position */
    dfm_column *column;
    DFM_TRY(dfm_label_choose(g->schema, g->profiles, g->options->label, g->path, &column, error));
  }
  if (g->options->weight)
    return dfm_fail(error, DFM_ERROR_VALUE, "%s: %s rows have no weights; leave --weight out", g->path,
                    g->schema->format->title);
  DFM_TRY(read_signs(g, &g->schema->columns[0], &is_signs, error));
  return is_signs ? DFM_OK : dfm_guess_label(g, error);
}

static dfm_status look_at_row(dfm_guess *g, const dfm_row_span *span, dfm_pair_look *look, void *context,
                              dfm_error *error) {
  dfm_pairs words = dfm_pairs_of(span->bytes, span->n), rest = words;
  dfm_cell word = {"", 0, 0};
  dfm_error inner;
  if (dfm_next_word(&rest, &word) && !memchr(word.bytes, ':', word.n)) words = rest;
  DFM_TRY(dfm_guess_add_cell(g, word.bytes, words.at == rest.at ? word.n : 0, error));
  while (dfm_next_word(&words, &word)) {
    if (dfm_is_query(&word) || !look) continue;
    const dfm_status status = look(context, g->sample.n_rows, &word, &inner);
    if (status != DFM_OK) {
      return dfm_fail_at(error, status, g->path, span->line, (long long)word.column, "%s", inner.message);
    }
  }
  g->sample.n_rows++;
  return DFM_OK;
}

static dfm_status look_at_rows(dfm_guess *g, dfm_text_rows *rows, dfm_pair_look *look, void *context,
                               dfm_error *error) {
  size_t n;
  g->sample.n_columns = 1;
  while (!dfm_guess_is_full(g)) {
    dfm_row_span span;
    DFM_TRY(dfm_text_rows_next(rows, &span, 1, &n, error));
    if (n == 0) break;
    DFM_TRY(look_at_row(g, &span, look, context, error));
  }
  if (g->sample.n_rows > 0) return DFM_OK;
  return dfm_fail(error, DFM_ERROR_FORMAT, "%s has no rows beside comments; is it the right file?", g->path);
}

dfm_status dfm_pairs_guess(dfm_guess *g, dfm_pair_look *look, void *context, dfm_error *error) {
  dfm_text_rows *rows;
  dfm_column *column;
  const dfm_row_syntax syntax = dfm_format_syntax(g->schema);
  DFM_TRY(dfm_schema_add(g->schema, "label", DFM_KIND_LABEL, &column, error));
  DFM_TRY(dfm_text_rows_open(g->feed, &syntax, true, &rows, error));
  dfm_status status = look_at_rows(g, rows, look, context, error);
  dfm_text_rows_close(rows);
  if (status == DFM_OK) status = dfm_guess_profile(g, 0, error);
  return status == DFM_OK ? choose_label(g, error) : status;
}

/* ---- schemas and files */

dfm_status dfm_pairs_check(const dfm_schema *schema, size_t *at, dfm_error *error) {
  for (size_t i = 0; i < schema->n_columns; i++) {
    *at = i;
    if (schema->columns[i].kind == DFM_KIND_WEIGHT)
      return dfm_fail(error, DFM_ERROR_VALUE, "%s rows have no weights; remove the weight", schema->format->title);
  }
  return DFM_OK;
}

dfm_status dfm_pairs_open(dfm_source *source, dfm_error *error) {
  if (source->truth_name)
    return dfm_fail(error, DFM_ERROR_MISMATCH, "%s: %s rows have no column '%s' of true probabilities; leave it out",
                    dfm_text_rows_path(source->rows), source->format->title, source->truth_name);
  return dfm_places_make(source, error);
}
