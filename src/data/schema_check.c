/* Schema, as a whole: a schema whose values are in range comes in; what its columns ask of each other is checked. */
#include <string.h>

#include "data/format.h"
#include "data/schema.h"

static bool is_category(const dfm_column *column) {
  return column->kind == DFM_KIND_CATEGORY || column->kind == DFM_KIND_LIST;
}

/* The first setting of a table that the column has, or NULL. */
static const char *table_setting(const dfm_column *column) {
  const dfm_field_settings *s = &column->settings;
  const struct {
    const char *key;
    bool is_set;
  } settings[] = {{"min_count", s->min_count >= 0}, {"unknown", s->unknown >= 0}, {"order", s->order >= 0},
                  {"width", s->width >= 0},         {"initial", column->initial}, {"trainable", s->trainable >= 0}};
  for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
    if (settings[i].is_set) return settings[i].key;
  return NULL;
}

static dfm_status check_share(const dfm_schema *schema, const dfm_column *column, const char *shown, dfm_error *error) {
  char other[DFM_SHOW_BYTES];
  dfm_error inner;
  const dfm_column *owner = dfm_schema_column(schema, column->share);
  dfm_show(other, column->share, strlen(column->share));
  if (!owner) {
    (void)!dfm_schema_no_column(schema, column->share, &inner);
    return dfm_fail(error, DFM_ERROR_VALUE, "column '%s': share: %s", shown, inner.message);
  }
  if (owner == column || !is_category(owner) || owner->share) {
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "column '%s' cannot share the table of '%s', which %s; name a category or list with a table of its "
                    "own",
                    shown, other,
                    owner == column       ? "is itself"
                    : !is_category(owner) ? "is no category or list"
                                          : "shares another's");
  }
  const char *key = table_setting(column);
  if (!key) return DFM_OK;
  return dfm_fail(error, DFM_ERROR_VALUE, "column '%s' shares the table of '%s', so %s is that column's; set it there",
                  shown, other, key);
}

static dfm_status check_list(const dfm_column *column, const char *shown, dfm_error *error) {
  const dfm_field_settings *s = &column->settings;
  if (s->within == 1 && s->pool != DFM_POOL_SUM) {
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "column '%s' has within: true, which needs pool: sum; set it, or drop within", shown);
  }
  if (s->weights > 0 && s->weights == (s->separator < 0 ? DFM_LIST_SEPARATOR : s->separator)) {
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "column '%s' has '%c' between items and before their weights; choose another separator", shown,
                    s->weights);
  }
  return DFM_OK;
}

dfm_status dfm_schema_check(const dfm_schema *schema, size_t *at, dfm_error *error) {
  char shown[DFM_SHOW_BYTES];
  *at = 0;
  if (schema->format->check) DFM_TRY(schema->format->check(schema, at, error));
  for (size_t i = 0; i < schema->n_columns; i++) {
    const dfm_column *column = &schema->columns[i];
    if (!is_category(column)) continue;
    *at = i;
    dfm_show(shown, column->name, strlen(column->name));
    if (column->share) DFM_TRY(check_share(schema, column, shown, error));
    if (column->kind == DFM_KIND_LIST) DFM_TRY(check_list(column, shown, error));
  }
  return DFM_OK;
}
