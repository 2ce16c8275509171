/* Formats: how rows are written in a text. A file name and first lines come in; the format that reads them goes out.
 *
 * A format is a file (format_NAME.c) and a row in the table of format.c. It fills blocks through data/row.h. */
#ifndef DFM_DATA_FORMAT_H
#define DFM_DATA_FORMAT_H

#include "data/text_rows.h"

typedef struct dfm_row dfm_row;
typedef struct dfm_source dfm_source;
typedef struct dfm_guess dfm_guess;

/* What a line says: it cannot be of the format, says nothing, or is written like it. */
typedef enum dfm_likeness { DFM_LIKE_NO, DFM_LIKE_MAYBE, DFM_LIKE_YES } dfm_likeness;

typedef struct dfm_format {
  const char *name;    /* in schemas */
  const char *title;   /* in sentences */
  const char *endings; /* of files' names, before .gz and .zst: ".a .b "; "": any */
  bool copies_text;    /* cells of any row may be unescaped copies, together no longer than the row */
  bool has_layout;     /* separator, header, strip_spaces and comment are the schema's to say */
  const char *comment; /* the beginning of lines to skip, where the schema does not say; NULL: none */
  dfm_likeness (*likeness)(const char *line, size_t n);
  /* Fills the guess's schema from the text's first rows. */
  dfm_status (*guess)(dfm_guess *guess, dfm_error *error);
  /* Which columns a schema of this format may have; `*column` is the first that is wrong. NULL: any. */
  dfm_status (*check)(const dfm_schema *schema, size_t *column, dfm_error *error);
  /* Finds the schema's columns in the first file, which is open. */
  dfm_status (*open)(dfm_source *source, dfm_error *error);
  /* The same in a further one, which must be built alike. NULL: there is nothing to look for. */
  dfm_status (*open_next)(dfm_source *source, dfm_error *error);
  /* Where rows are plain (source.h): the end of the line that starts at `line`, before `end`, and what is to be
   * found of its cells on the way; NULL: it has a quote. No function: nothing is found with it. */
  const char *(*find_line)(dfm_row *row, const char *line, const char *end);
  /* Reads a row into its block's next row. */
  dfm_status (*read)(dfm_row *row, dfm_error *error);
} dfm_format;

extern const dfm_format dfm_format_delimited, dfm_format_libsvm, dfm_format_libffm, dfm_format_jsonl;

/* By index: NULL past the last. The first is the one that a schema without a format has. */
const dfm_format *dfm_format_at(size_t i);
dfm_status dfm_format_named(const char *name, const dfm_format **format, dfm_error *error);
/* How rows end and which lines are none. */
dfm_row_syntax dfm_format_syntax(const dfm_schema *schema);
/* The format that the file's name ends in, or all of its first lines are written in, or delimited text. `rows` (by
 * lines) are read some way. */
dfm_status dfm_format_find(dfm_text_rows *rows, const dfm_format **format, dfm_error *error);

#endif
