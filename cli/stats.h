/* Datasets come in; what their fields' cells are goes out, as a table or JSON. What encode and inspect share. */
#ifndef CLI_STATS_H
#define CLI_STATS_H

#include "report.h"

/* `valid` may be NULL. */
int cli_print_stats(const dfm_dataset *train, const dfm_dataset *valid);
/* {"train_rows", "valid_rows", "positives", "fields"} in `json`; NULL on failure, after saying why. */
json_t *cli_stats_json(const dfm_dataset *train, const dfm_dataset *valid);

#endif
