/* What comes in: statistics of rows. What goes out: a table of the categories and one of the numbers, no wider than a
 * terminal; or JSON. */
#include "stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 100, NAME_WIDTH = 24 };

static int64_t rows_of(const dfm_stats *stats) {
  return stats->train_rows + stats->valid_rows;
}

/* A list may have no items. */
static const char *share_of(char share[CLI_SHORT], int64_t part, int64_t whole) {
  return cli_share(share, whole > 0 ? (double)part / (double)whole : 0);
}

/* Of UTF-8. */
static int characters(const char *text) {
  int n = 0;
  for (; *text; text++) n += ((unsigned char)*text & 0xC0) != 0x80;
  return n;
}

/* ---- tables */

/* What the table of categories shows. */
typedef struct layout {
  int width;        /* of names: the longest, within reason */
  bool has_unknown; /* some training cell has no id: else all values seen have one, and two columns would say nothing */
  bool has_valid;
  int values_at; /* the column that values start in */
} layout;

static layout lay_out(const dfm_stats *stats) {
  layout made = {.width = (int)strlen("number"), .has_valid = stats->valid_rows > 0};
  for (size_t i = 0; i < stats->n_fields; i++) {
    const dfm_field_stats *field = &stats->fields[i];
    const int n = characters(field->name);
    if (n > made.width) made.width = n < NAME_WIDTH ? n : NAME_WIDTH;
    made.has_unknown |= field->unknown > field->valid_unknown || (!field->is_number && field->distinct < 0);
  }
  return made;
}

static const char *shown_value(char *out, size_t size, const dfm_value_stats *value) {
  return value->length == 0 ? "(empty)" : cli_show(out, size, value->bytes, value->length);
}

/* One after the other, on as many lines as it takes. */
static void print_top(const dfm_stats *stats, const dfm_field_stats *field, int indent) {
  int at = indent;
  for (size_t i = 0; i < field->n_top; i++) {
    const dfm_value_stats *value = &field->top[i];
    char text[32], rows[CLI_SHORT], rate[CLI_SHORT], item[128];
    snprintf(item, sizeof item, "%s: %s%s%s%s", shown_value(text, sizeof text, value), cli_rounded(rows, value->rows),
             stats->has_label ? " " : "",
             stats->has_label ? cli_share(rate, (double)value->positives / (double)value->rows) : "",
             i + 1 < field->n_top ? "," : "");
    const int n = characters(item);
    const bool wraps = at > indent && at + 1 + n > WIDTH;
    if (wraps) printf("\n%*s", indent, "");
    at = (wraps ? indent : at + (i > 0)) + n;
    printf("%s%s", i > 0 && !wraps ? " " : "", item);
  }
  puts(field->n_top == 0 ? "no value" : "");
}

static void print_category_title(const dfm_stats *stats, layout *with) {
  int at = printf("%-*s %9s", with->width, "field", "distinct");
  if (with->has_unknown) at += printf(" %9s %8s", "with id", "unknown");
  if (with->has_valid) at += printf(" %7s", "unseen");
  at += printf(" %8s  ", "missing");
  with->values_at = at;
  printf("%s\n", stats->has_label ? "most frequent values: rows, label rate" : "most frequent values: rows");
}

static void print_category(const dfm_stats *stats, const dfm_field_stats *field, const layout *with) {
  char name[128], count[CLI_SHORT], share[CLI_SHORT];
  const int64_t n_train = field->cells - field->valid_cells;
  printf("%-*s %9s", with->width, cli_show(name, sizeof name, field->name, strlen(field->name)),
         field->distinct < 0 ? "-" : cli_thousands(count, field->distinct));
  if (with->has_unknown) {
    printf(" %9s", cli_thousands(count, field->vocabulary));
    printf(" %8s", share_of(share, field->unknown - field->valid_unknown, n_train));
  }
  if (with->has_valid) printf(" %7s", share_of(share, field->valid_unknown, field->valid_cells));
  printf(" %8s  ", share_of(share, field->missing, rows_of(stats)));
  print_top(stats, field, with->values_at);
}

static void print_number_title(const layout *with) {
  static const char *const titles[] = {"min", "5%", "25%", "median", "75%", "95%", "max", "mean"};
  printf("%-*s %8s", with->width, "number", "missing");
  for (size_t i = 0; i < sizeof titles / sizeof *titles; i++) printf(" %9s", titles[i]);
  putchar('\n');
}

static void print_number(const dfm_stats *stats, const dfm_field_stats *field, const layout *with) {
  char name[128], share[CLI_SHORT];
  printf("%-*s %8s", with->width, cli_show(name, sizeof name, field->name, strlen(field->name)),
         share_of(share, field->missing, rows_of(stats)));
  if (isnan(field->mean)) {
    puts("  every cell is empty");
    return;
  }
  printf(" %9.4g", field->minimum);
  for (int i = 0; i < DFM_QUANTILES; i++) printf(" %9.4g", field->quantile[i]);
  printf(" %9.4g %9.4g\n", field->maximum, field->mean);
}

static void print_rows(const dfm_stats *stats) {
  char rows[CLI_SHORT], train[CLI_SHORT], valid[CLI_SHORT], rate[CLI_SHORT];
  printf("%s rows", cli_thousands(rows, rows_of(stats)));
  if (stats->valid_rows > 0)
    printf(", %s to train on and %s to validate", cli_thousands(train, stats->train_rows),
           cli_thousands(valid, stats->valid_rows));
  if (stats->has_label) printf(", label rate %s", cli_percent(rate, stats->positives, rows_of(stats)));
  putchar('\n');
}

void cli_print_stats(const dfm_stats *stats) {
  layout with = lay_out(stats);
  size_t n_numbers = 0;
  for (size_t i = 0; i < stats->n_fields; i++) n_numbers += stats->fields[i].is_number;
  print_rows(stats);
  if (n_numbers < stats->n_fields) {
    putchar('\n');
    print_category_title(stats, &with);
    for (size_t i = 0; i < stats->n_fields; i++)
      if (!stats->fields[i].is_number) print_category(stats, &stats->fields[i], &with);
  }
  if (n_numbers == 0) return;
  putchar('\n');
  print_number_title(&with);
  for (size_t i = 0; i < stats->n_fields; i++)
    if (stats->fields[i].is_number) print_number(stats, &stats->fields[i], &with);
}

void cli_print_field_stats(const dfm_stats *stats, size_t i) {
  dfm_field_stats field = stats->fields[i];
  layout with = lay_out(stats);
  if (field.is_number) {
    print_number_title(&with);
    print_number(stats, &field, &with);
    return;
  }
  field.n_top = field.n_top < 1 ? field.n_top : 1;
  print_category_title(stats, &with);
  print_category(stats, &field, &with);
  printf("\n%-32s %15s %10s%s\n", "value", field.is_list ? "items" : "rows", "share",
         stats->has_label ? " label rate" : "");
  for (size_t v = 0; v < stats->fields[i].n_top; v++) {
    const dfm_value_stats *value = &stats->fields[i].top[v];
    char text[160], rows[CLI_SHORT], share[CLI_SHORT], rate[CLI_SHORT];
    printf("%-32s %15s %10s", shown_value(text, sizeof text, value), cli_thousands(rows, value->rows),
           cli_percent(share, value->rows, field.cells));
    if (stats->has_label) printf(" %10s", cli_percent(rate, value->positives, value->rows));
    putchar('\n');
  }
}

/* ---- JSON */

static json_t *top_json(const dfm_stats *stats, const dfm_field_stats *field) {
  json_t *list = json_array();
  for (size_t i = 0; i < field->n_top; i++) {
    const dfm_value_stats *value = &field->top[i];
    json_array_append_new(
        list, json_pack("{s:o, s:I, s:o}", "value", cli_json_text(value->bytes, value->length), "rows",
                        (json_int_t)value->rows, "label_rate",
                        stats->has_label ? json_real((double)value->positives / (double)value->rows) : json_null()));
  }
  return list;
}

static json_t *number_json(const dfm_field_stats *field, json_t *name) {
  json_t *quantiles = json_array();
  for (int i = 0; i < DFM_QUANTILES; i++) json_array_append_new(quantiles, cli_json_number(field->quantile[i]));
  return json_pack("{s:o, s:s, s:I, s:o, s:o, s:o, s:o}", "name", name, "kind", "number", "missing",
                   (json_int_t)field->missing, "minimum", cli_json_number(field->minimum), "maximum",
                   cli_json_number(field->maximum), "mean", cli_json_number(field->mean), "quantiles", quantiles);
}

json_t *cli_field_stats_json(const dfm_stats *stats, size_t i) {
  const dfm_field_stats *field = &stats->fields[i];
  json_t *name = cli_json_text(field->name, strlen(field->name));
  if (field->is_number) return number_json(field, name);
  return json_pack("{s:o, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:o}", "name", name, "kind",
                   field->is_list ? "list" : "category", "distinct",
                   field->distinct < 0 ? json_null() : json_integer(field->distinct), "vocabulary",
                   (json_int_t)field->vocabulary, "cells", (json_int_t)field->cells, "unknown",
                   (json_int_t)field->unknown, "valid_unknown", (json_int_t)field->valid_unknown, "missing",
                   (json_int_t)field->missing, "top", top_json(stats, field));
}

json_t *cli_stats_json(const dfm_stats *stats) {
  json_t *fields = json_array();
  for (size_t i = 0; i < stats->n_fields; i++) json_array_append_new(fields, cli_field_stats_json(stats, i));
  return json_pack("{s:I, s:I, s:I, s:o}", "train_rows", (json_int_t)stats->train_rows, "valid_rows",
                   (json_int_t)stats->valid_rows, "positives", (json_int_t)stats->positives, "fields", fields);
}
