/* What comes in: encoded rows. What goes out: field by field, what their cells are. */
#include "stats.h"

#include <stdlib.h>
#include <string.h>

/* free() it; NULL after saying why. */
static dfm_field_stats *stats_of(const dfm_dataset *train, const dfm_dataset *valid) {
  dfm_error error;
  dfm_field_stats *stats = calloc(dfm_dataset_fields(train) + 1, sizeof *stats);
  if (!stats) {
    cli_complain("no memory for the statistics of %zu fields", dfm_dataset_fields(train));
    return NULL;
  }
  if (dfm_dataset_stats(train, valid, stats, &error) == DFM_OK) return stats;
  free(stats);
  cli_fail(&error);
  return NULL;
}

static int64_t rows_of(const dfm_dataset *train, const dfm_dataset *valid) {
  return dfm_dataset_rows(train) + (valid ? dfm_dataset_rows(valid) : 0);
}

static void print_field(const dfm_field_stats *s, int64_t rows, bool has_label) {
  char name[128], size[CLI_SHORT], unknown[CLI_SHORT], missing[CLI_SHORT], top[64], share[CLI_SHORT], rate[CLI_SHORT];
  printf("%-24s %-9s %12s %10s %10s  ", cli_show(name, sizeof name, s->name, strlen(s->name)),
         cli_kind(s->is_number, s->is_list), s->is_number ? "-" : cli_thousands(size, s->vocabulary),
         s->is_number ? "-" : cli_percent(unknown, s->unknown, s->cells), cli_percent(missing, s->missing, rows));
  if (s->is_number) {
    printf("%.6g to %.6g, mean %.6g\n", s->minimum, s->maximum, s->mean);
  } else if (s->top) {
    printf("%s: %s of the rows", s->top_length == 0 ? "(empty)" : cli_show(top, sizeof top, s->top, s->top_length),
           cli_percent(share, s->top_rows, rows));
    if (has_label) printf(", label rate %s", cli_percent(rate, s->top_positives, s->top_rows));
    putchar('\n');
  } else {
    puts("no value");
  }
}

int cli_print_stats(const dfm_dataset *train, const dfm_dataset *valid) {
  const int64_t rows = rows_of(train, valid);
  dfm_field_stats *stats = stats_of(train, valid);
  if (!stats) return CLI_FAILED;
  printf("%-24s %-9s %12s %10s %10s  %s\n", "field", "kind", "vocabulary", "unknown", "missing",
         "most frequent value, or range");
  for (size_t i = 0; i < dfm_dataset_fields(train); i++)
    print_field(&stats[i], rows, dfm_dataset_labels(train) != NULL);
  free(stats);
  return CLI_OK;
}

static json_t *field_json(const dfm_field_stats *s, bool has_label) {
  json_t *name = cli_json_text(s->name, strlen(s->name));
  if (s->is_number)
    return json_pack("{s:o, s:s, s:I, s:o, s:o, s:o}", "name", name, "kind", "number", "missing",
                     (json_int_t)s->missing, "minimum", cli_json_number(s->minimum), "maximum",
                     cli_json_number(s->maximum), "mean", cli_json_number(s->mean));
  json_t *top = json_null();
  if (s->top)
    top = json_pack(
        "{s:o, s:I, s:o}", "value", cli_json_text(s->top, s->top_length), "rows", (json_int_t)s->top_rows, "label_rate",
        has_label && s->top_rows > 0 ? json_real((double)s->top_positives / (double)s->top_rows) : json_null());
  return json_pack("{s:o, s:s, s:I, s:I, s:I, s:o}", "name", name, "kind", cli_kind(false, s->is_list), "vocabulary",
                   (json_int_t)s->vocabulary, "unknown", (json_int_t)s->unknown, "missing", (json_int_t)s->missing,
                   "top", top);
}

json_t *cli_stats_json(const dfm_dataset *train, const dfm_dataset *valid) {
  dfm_field_stats *stats = stats_of(train, valid);
  if (!stats) return NULL;
  json_t *fields = json_array();
  for (size_t i = 0; i < dfm_dataset_fields(train); i++)
    json_array_append_new(fields, field_json(&stats[i], dfm_dataset_labels(train) != NULL));
  free(stats);
  const int64_t n_valid = valid ? dfm_dataset_rows(valid) : 0;
  const int64_t positives = dfm_dataset_positives(train) + (valid ? dfm_dataset_positives(valid) : 0);
  return json_pack("{s:I, s:I, s:I, s:o}", "train_rows", (json_int_t)dfm_dataset_rows(train), "valid_rows",
                   (json_int_t)n_valid, "positives", (json_int_t)positives, "fields", fields);
}
