/* What comes in: metrics and other results. What goes out: a table for people, or JSON for programs. */
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

json_t *cli_json_number(double value) {
  return isfinite(value) ? json_real(value) : json_null();
}

json_t *cli_json_metrics(const dfm_metrics *m) {
  return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "rows", (json_int_t)m->rows, "weight",
                   cli_json_number(m->weight), "logloss", cli_json_number(m->logloss), "auc", cli_json_number(m->auc),
                   "auc_error", cli_json_number(m->auc_error), "accuracy", cli_json_number(m->accuracy),
                   "mean_predicted", cli_json_number(m->mean_predicted), "mean_observed",
                   cli_json_number(m->mean_observed));
}

json_t *cli_json_text(const char *bytes, size_t n) {
  json_t *plain = json_stringn(bytes, n);
  if (plain) return plain;
  char *shown = malloc(4 * n + 16);
  if (!shown) return NULL;
  plain = json_string(cli_show(shown, 4 * n + 16, bytes, n));
  free(shown);
  return plain;
}

int cli_print_json(json_t *json) {
  if (!json) return cli_complain("no memory for the JSON");
  const int failed = json_dumpf(json, stdout, JSON_REAL_PRECISION(15)) != 0;
  json_decref(json);
  if (!failed) putchar('\n');
  return cli_flush();
}

double cli_calibration(const dfm_metrics *m) {
  return m->mean_observed > 0 ? m->mean_predicted / m->mean_observed : (double)NAN;
}

void cli_print_metrics(FILE *file, const dfm_metrics *m, const dfm_metrics *best) {
  enum { AUC = 1 };
  static const char *const names[] = {"log loss", "AUC", "accuracy", "mean predicted", "mean observed"};
  const dfm_metrics *const columns[] = {m, best};
  const int width = m->auc_error > 0 ? 22 : 13;
  char value[CLI_SHORT];
  fprintf(file, "%-18s %*s", "rows", width, cli_thousands(value, m->rows));
  if (best) fprintf(file, " %*s", width + 2, "best possible");
  fputc('\n', file);
  for (int i = 0; i < (int)(sizeof names / sizeof *names); i++) {
    fprintf(file, "%-18s", names[i]);
    for (int c = 0; c < 2 && columns[c]; c++) {
      const dfm_metrics *of = columns[c];
      const double values[] = {of->logloss, of->auc, of->accuracy, of->mean_predicted, of->mean_observed};
      fprintf(file, " %*s", width + 2 * c,
              i == AUC ? cli_auc(value, of->auc, of->auc_error, 6) : cli_metric(value, values[i]));
    }
    fputc('\n', file);
  }
}
