/* Label: the columns of a file and their profiles come in; which one is the label, and which of its texts mean 1 and 0,
 * go out. */
#ifndef DFM_DATA_SCHEMA_LABEL_H
#define DFM_DATA_SCHEMA_LABEL_H

#include "data/schema_profile.h"

/* Whether `bytes` is the label's name: `wanted`, or where that is NULL one of label, click, clicked, is_click, y,
 * target in any case. */
bool dfm_label_is_named(const char *wanted, const char *bytes, size_t n);
/* The column of that name or 1-based position. */
dfm_status dfm_label_find(const dfm_schema *schema, const char *wanted, dfm_column **column, dfm_error *error);
/* The label's column: `wanted` (name or position), or by its name. `path` is the file's, for messages. */
dfm_status dfm_label_choose(const dfm_schema *schema, const dfm_profile *profiles, const char *wanted, const char *path,
                            dfm_column **column, dfm_error *error);
/* Which values of the label's column are positive: sets positives, negatives or label_above of `schema` where they are
 * not 0 and 1. */
dfm_status dfm_label_read(dfm_schema *schema, const dfm_profile *profile, const dfm_column *column, const char *path,
                          char *reason, size_t size, dfm_error *error);

#endif
