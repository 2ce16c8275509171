/* What comes in: metrics and other results. What goes out: a table for people, or JSON for programs. */
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

json_t *cli_json_number(double value) {
  return isfinite(value) ? json_real(value) : json_null();
}

json_t *cli_json_metrics(const dfm_metrics *m) {
  return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "rows", (json_int_t)m->rows, "weight",
                   cli_json_number(m->weight), "logloss", cli_json_number(m->logloss), "auc", cli_json_number(m->auc),
                   "accuracy", cli_json_number(m->accuracy), "mean_predicted", cli_json_number(m->mean_predicted),
                   "mean_observed", cli_json_number(m->mean_observed));
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
  const struct {
    const char *name;
    double model, best;
  } rows[] = {
      {"log loss", m->logloss, best ? best->logloss : 0},
      {"AUC", m->auc, best ? best->auc : 0},
      {"accuracy", m->accuracy, best ? best->accuracy : 0},
      {"mean predicted", m->mean_predicted, best ? best->mean_predicted : 0},
      {"mean observed", m->mean_observed, best ? best->mean_observed : 0},
  };
  char value[CLI_SHORT];
  fprintf(file, "%-18s %13s", "rows", cli_thousands(value, m->rows));
  fprintf(file, best ? " %15s\n" : "\n", "best possible");
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fprintf(file, "%-18s %13s", rows[i].name, cli_metric(value, rows[i].model));
    if (best) fprintf(file, " %15s", cli_metric(value, rows[i].best));
    fputc('\n', file);
  }
}
