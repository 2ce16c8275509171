/* What comes in: rows. What goes out: what about them will hurt a model, a line each, and what to do about it. */
#include <string.h>

#include "report.h"
#include "rows.h"

typedef struct doctor_options {
  const char *label, *weight, *format, *schema;
  int64_t threads, skip_bad_rows;
  bool is_strict, is_json;
} doctor_options;

#define AT(member) offsetof(doctor_options, member)
static const cli_option options[] = {
    CLI_COLUMN_OPTIONS,
    {"schema", 0, "FILE", NULL, "What the columns of text are, in YAML; guessed where it is left out", CLI_TEXT,
     AT(schema), 0, 0},
    CLI_SKIP_BAD_ROWS_OPTION,
    {"threads", 0, "N", "0", "Threads; 0: one for each core. The findings do not depend on it", CLI_INT, AT(threads), 0,
     1024},
    {"strict", 0, NULL, NULL, "Exits with 1 where there is a warning", CLI_SWITCH, AT(is_strict), 0, 0},
    {"json", 0, NULL, NULL, "Prints the result as one JSON object", CLI_SWITCH, AT(is_json), 0, 0},
};
#undef AT

static const char *severity_name(dfm_severity severity) {
  return severity == DFM_SEVERITY_WARNING ? "warning" : "note";
}

static size_t count_warnings(const dfm_diagnosis *diagnosis) {
  size_t n = 0;
  for (size_t i = 0; i < dfm_diagnosis_findings(diagnosis); i++)
    n += dfm_diagnosis_finding(diagnosis, i).severity == DFM_SEVERITY_WARNING;
  return n;
}

static void print_findings(const dfm_diagnosis *diagnosis, int64_t rows) {
  char all[CLI_SHORT], seen[CLI_SHORT];
  const size_t n = dfm_diagnosis_findings(diagnosis), n_warnings = count_warnings(diagnosis), n_notes = n - n_warnings;
  for (size_t i = 0; i < n; i++) {
    const dfm_finding finding = dfm_diagnosis_finding(diagnosis, i);
    char name[160];
    printf("%-7s  ", severity_name(finding.severity));
    if (finding.field) printf("%s: ", cli_show(name, sizeof name, finding.field, strlen(finding.field)));
    printf("%s; %s [%s]\n", finding.message, finding.remedy, finding.code);
  }
  printf("%s%s rows: ", n > 0 ? "\n" : "", cli_thousands(all, rows));
  if (n == 0) {
    printf("nothing found");
  } else {
    printf("%zu warning%s, %zu note%s", n_warnings, n_warnings == 1 ? "" : "s", n_notes, n_notes == 1 ? "" : "s");
  }
  if (dfm_diagnosis_rows(diagnosis) < rows)
    printf(" (fields looked at in %s of the rows, evenly spread)", cli_thousands(seen, dfm_diagnosis_rows(diagnosis)));
  putchar('\n');
}

static int print_json(const dfm_diagnosis *diagnosis, int64_t rows) {
  json_t *list = json_array();
  for (size_t i = 0; i < dfm_diagnosis_findings(diagnosis); i++) {
    const dfm_finding finding = dfm_diagnosis_finding(diagnosis, i);
    json_t *field = finding.field ? cli_json_text(finding.field, strlen(finding.field)) : json_null();
    json_array_append_new(
        list, json_pack("{s:s, s:s, s:o, s:o, s:s}", "code", finding.code, "severity", severity_name(finding.severity),
                        "field", field, "message", cli_json_text(finding.message, strlen(finding.message)), "remedy",
                        finding.remedy));
  }
  return cli_print_json(json_pack("{s:I, s:I, s:I, s:o}", "rows", (json_int_t)rows, "rows_by_field",
                                  (json_int_t)dfm_diagnosis_rows(diagnosis), "warnings",
                                  (json_int_t)count_warnings(diagnosis), "findings", list));
}

static int diagnose(const cli_call *call, const cli_rows *rows) {
  const doctor_options *o = call->options;
  const int64_t n = dfm_dataset_rows(rows->train) + (rows->valid ? dfm_dataset_rows(rows->valid) : 0);
  dfm_error error;
  dfm_diagnosis *diagnosis;
  if (dfm_dataset_diagnose(rows->train, rows->valid, (int)o->threads, &diagnosis, &error) != DFM_OK)
    return cli_fail(&error);
  int code = CLI_OK;
  if (o->is_json) {
    code = print_json(diagnosis, n);
  } else {
    print_findings(diagnosis, n);
  }
  if (code == CLI_OK && o->is_strict && count_warnings(diagnosis) > 0) code = CLI_FAILED;
  dfm_diagnosis_free(diagnosis);
  return code;
}

static int run(const cli_call *call) {
  const doctor_options *o = call->options;
  const cli_rows_options reading = {.label = o->label,
                                    .weight = o->weight,
                                    .format = o->format,
                                    .schema = o->schema,
                                    .threads = o->threads,
                                    .skip_bad_rows = o->skip_bad_rows,
                                    .keeps_all = true};
  cli_rows rows;
  int code = cli_rows_open(call, &reading, &rows);
  if (code == CLI_OK) code = diagnose(call, &rows);
  cli_rows_clear(&rows);
  return code;
}

const cli_command cli_doctor = {
    .name = "doctor",
    .arguments = "DATA...",
    .help = "Names what about rows will hurt a model trained on them",
    .details =
        "Reads DATA (text or a dataset file) as train would and prints findings, one a line: how bad, which field, "
        "what "
        "was seen, what to do, and a word for programs (docs/doctor.md explains each). Looks for columns that are "
        "constant, unique in each row, repeated, mostly empty, or tell the label all by themselves; numbers that are "
        "ids or reach far too high; rows written twice, and equal rows with different labels; a rare or constant "
        "label; "
        "and rows whose label rate, values or distribution change from the beginning of the file to its end.\n"
        "All rows are read once; fields are looked at in 64 MB of them, evenly spread. Exits with 0 also where there "
        "are findings, unless --strict.",
    .example = "deepfm doctor rows.csv",
    .run = run,
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .options_size = sizeof(doctor_options),
    .min_arguments = 1,
    .max_arguments = CLI_MANY,
    .takes_recipe = CLI_RECIPE_ROWS,
};
