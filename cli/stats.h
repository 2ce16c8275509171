/* Datasets come in; what their fields' cells are goes out, as tables or JSON. What encode and inspect share. */
#ifndef CLI_STATS_H
#define CLI_STATS_H

#include "report.h"

/* What dfm_dataset_stats made, with all its most frequent values. */
void cli_print_stats(const dfm_stats *stats);
/* One field: its line of the table, and its values one below the other. */
void cli_print_field_stats(const dfm_stats *stats, size_t i);
/* {"train_rows", "valid_rows", "positives", "fields"}; NULL where there is no memory. */
json_t *cli_stats_json(const dfm_stats *stats);
json_t *cli_field_stats_json(const dfm_stats *stats, size_t i);

#endif
