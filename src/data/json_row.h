/* JSON: one line comes in and is checked; keys and what they hold go out, nested objects as "a.b". RFC 8259,
 * strictly. */
#ifndef DFM_DATA_JSON_ROW_H
#define DFM_DATA_JSON_ROW_H

#include "base/memory.h"
#include "data/delimited.h"

typedef enum dfm_json_type {
  DFM_JSON_STRING,
  DFM_JSON_NUMBER,
  DFM_JSON_TRUE,
  DFM_JSON_FALSE,
  DFM_JSON_NULL,
  DFM_JSON_ARRAY,
  DFM_JSON_OBJECT
} dfm_json_type;

/* Who looks at a row. Cells are valid as long as the row's text and the copies of it. */
typedef struct dfm_json_visitor {
  /* A key, flattened, whose value is no object, and that value's type; `*is_wanted` false: it is passed over. */
  dfm_status (*key)(void *context, dfm_cell key, dfm_json_type type, bool *is_wanted, dfm_error *error);
  /* The value of the last key, or one of its array's: a string's text, a number's or word's bytes as they stand. Of an
   * array or object within an array the cell is its first byte, and what is in it is passed over. */
  dfm_status (*value)(void *context, dfm_json_type type, dfm_cell cell, dfm_error *error);
  void *context;
} dfm_json_visitor;

/* Reads one object of text that starts on `line`. Strings with escapes are written to `*copies`, which moves on:
 * together no longer than the row. `key` is room for flattened names. */
dfm_status dfm_json_read(const char *bytes, size_t n, const char *path, long long line, char **copies, dfm_text *key,
                         const dfm_json_visitor *visitor, dfm_error *error);

#endif
