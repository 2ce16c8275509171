/* What a run has measured comes in; the rows of a table or a JSON object go out. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <jansson.h>

#include "cli.h"

/* NaN becomes null, which JSON has in its place. */
json_t *cli_json_number(double value);
json_t *cli_json_metrics(const dfm_metrics *metrics);
/* Text of unknown encoding; bytes that are not UTF-8 or control characters as \xNN. */
json_t *cli_json_text(const char *bytes, size_t n);
/* Prints `json` (NULL: it could not be made) on one line of standard output and releases it. */
int cli_print_json(json_t *json);

/* Mean predicted / mean observed probability; NaN where no row is positive. */
double cli_calibration(const dfm_metrics *metrics);
/* Rows "log loss   0.4512"; with `best` a second column with the best that any model could reach. */
void cli_print_metrics(FILE *file, const dfm_metrics *metrics, const dfm_metrics *best);

#endif
