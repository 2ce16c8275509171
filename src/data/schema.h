/* Schema: what the columns of a text file are. YAML or a look at the first rows comes in; a checked struct goes out. */
#ifndef DFM_DATA_SCHEMA_H
#define DFM_DATA_SCHEMA_H

#include "base/error.h"

/* A list is a category whose cells hold any number of values. */
typedef enum dfm_kind {
  DFM_KIND_CATEGORY,
  DFM_KIND_LIST,
  DFM_KIND_NUMBER,
  DFM_KIND_LABEL,
  DFM_KIND_WEIGHT,
  DFM_KIND_IGNORE
} dfm_kind;
/* none: x. log: ln(x + 1) if x > -1 else -1. standard: (x - mean) / deviation. minmax: (x - min) / (max - min). Fitted
 * on training rows. auto: one of these, decided from the training column when it is fitted. log2, of categories alone:
 * a number's value is floor(ln(x)^2) where x > 2, else floor(x). */
typedef enum dfm_transform {
  DFM_TRANSFORM_NONE,
  DFM_TRANSFORM_LOG,
  DFM_TRANSFORM_STANDARD,
  DFM_TRANSFORM_MINMAX,
  DFM_TRANSFORM_AUTO,
  DFM_TRANSFORM_LOG2
} dfm_transform;
/* Where a value that the vocabulary lacks goes: row 0 of the table, nowhere (adds nothing to the logit), or an error
 * that names it. */
typedef enum dfm_unknown_rule { DFM_UNKNOWN_ROW, DFM_UNKNOWN_ZERO, DFM_UNKNOWN_ERROR } dfm_unknown_rule;
typedef enum dfm_order { DFM_ORDER_FREQUENCY, DFM_ORDER_SORTED } dfm_order;
/* How the rows of a list's items, each times its weight w (1 where items have none), become one. mean: their sum
 * divided by that of |w|. max: of each component the largest. */
typedef enum dfm_pooling { DFM_POOL_SUM, DFM_POOL_MEAN, DFM_POOL_MAX } dfm_pooling;
/* Which branches see a field. */
enum { DFM_INTO_LINEAR = 1, DFM_INTO_FM = 2, DFM_INTO_DNN = 4 };

/* Embedding widths from 1 to this; factors of a table row up to that: ffm has a width for each partner. */
enum { DFM_MAX_FIELD_WIDTH = 1024, DFM_MAX_ROW_FACTORS = 16384 };
/* Between items where the schema does not say. */
enum { DFM_LIST_SEPARATOR = '|' };

/* Settings of one field. "category": of lists too. */
typedef struct dfm_field_settings {
  int min_count;       /* category: values with fewer training rows than this are unknown */
  int max_vocabulary;  /* category: only so many values, the most frequent, are known; 0: all */
  int hash;            /* category: buckets that values are hashed to, in place of a vocabulary; 0: none */
  int buckets;         /* category: buckets of equally many training rows that numbers are put in; 0: none */
  int unknown;         /* dfm_unknown_rule */
  double unknown_rate; /* category: share of training cells that are fed to the unknown row instead, [0, 1) */
  int order;           /* dfm_order of ids */
  int transform;       /* dfm_transform; of a category none or log2 */
  double missing;      /* number: raw value of an empty cell; NaN: an empty cell is 0 after the transform */
  int into;            /* DFM_INTO_ bits */
  int width;           /* category: embedding width K of this field */
  int trainable;       /* category: 0: the rows stay as they start */
  int separator;       /* list: the byte between two items */
  int weights;         /* list: the byte between an item and its weight; 0: items have none */
  int pool;            /* list: dfm_pooling */
  int within;          /* list: 1: fm pairs its items with each other too */
} dfm_field_settings;

typedef struct dfm_column {
  char *name;
  dfm_kind kind;
  char *reason;                /* why it was guessed so; NULL in a schema from YAML */
  char *share;                 /* category, list: the column whose vocabulary and table it uses; NULL: its own */
  char *initial;               /* category, list: the text file that its factors start from; NULL: none */
  dfm_field_settings settings; /* -1 (NaN for `missing`, -1 for unknown_rate) where the schema leaves it open: to the
                                  recipe, or to a default */
} dfm_column;

struct dfm_schema {
  const struct dfm_format *format; /* how rows are written (data/format.h); the next four are delimited text's */
  char separator;
  bool has_header;
  bool strip_spaces;    /* spaces around cells do not belong to them */
  char *comment;        /* lines that start with this are skipped; NULL: none */
  char **missing_words; /* cells that count as empty beside the empty cell: "?" */
  size_t n_missing_words;
  char **positives, **negatives; /* label texts that mean 1 and 0 beside numbers equal to 1 and 0; may be empty */
  size_t n_positives, n_negatives;
  double label_above;  /* label 1 is a number above this, label 0 any other number (ratings); NaN: not used */
  dfm_column *columns; /* one per column of the file, in order */
  size_t n_columns;
};

/* A schema without columns and words, at the defaults: delimited text, comma, header, label 0/1. */
dfm_status dfm_schema_create(dfm_schema **schema, dfm_error *error);
/* Appends a column with open settings. */
dfm_status dfm_schema_add(dfm_schema *schema, const char *name, dfm_kind kind, dfm_column **column, dfm_error *error);
/* The column of that name, or NULL. */
dfm_column *dfm_schema_column(const dfm_schema *schema, const char *name);
/* An error that says that there is no such column, with the nearest name or, where none is near, the names there are.
 * */
dfm_status dfm_schema_no_column(const dfm_schema *schema, const char *name, dfm_error *error);
/* Settings that leave everything open. */
dfm_field_settings dfm_field_settings_unset(void);
/* Whether `word` (`n` bytes) is one of them. */
bool dfm_words_have(char *const *words, size_t n_words, const char *word, size_t n);
/* Appends a copy of `word` (`n` bytes) to a list of words. */
dfm_status dfm_words_add(char ***words, size_t *n_words, const char *word, size_t n, dfm_error *error);

/* dfm_schema_load from YAML text; `name` stands for the file in messages. */
dfm_status dfm_schema_parse(const char *yaml, const char *name, dfm_schema **schema, dfm_error *error);
dfm_status dfm_schema_copy(const dfm_schema *schema, dfm_schema **copy, dfm_error *error);

/* Sets one key of one column ("kind", "transform", "into", ...) from text, as the YAML reader does; an unknown column
 * or key suggests the nearest. A new kind drops the settings that do not apply to it. The label and weight columns keep
 * their kind. */
dfm_status dfm_schema_set(dfm_schema *schema, const char *column, const char *key, const char *value, dfm_error *error);
/* The part of it that needs no schema: any key but the kind, whatever the column's kind. `missing` takes a number or
 * `none` (NaN), `into` "linear,fm,dnn" or "[linear, fm]". */
dfm_status dfm_column_set(dfm_column *column, const char *key, const char *value, dfm_error *error);
void dfm_column_clear(dfm_column *column);
/* The byte that `value` names: itself, or "comma", "tab", "semicolon", "pipe", "space"; 0: none. */
char dfm_separator_named(const char *value);
/* What no column can tell alone: what the format has, what shares a table, what pools. Where that is wrong, `*column`
 * is the first such. */
dfm_status dfm_schema_check(const dfm_schema *schema, size_t *column, dfm_error *error);

/* The same values as text, for messages and YAML: dfm_choice_name("transform", DFM_TRANSFORM_LOG) is "log". NULL: no
 * such key or value. */
const char *dfm_choice_name(const char *key, int value);
/* Checks that a column of its kind has setting `key`, with the value it holds, beside its other ones. The error has no
 * place. */
dfm_status dfm_column_check(const dfm_column *column, const char *key, dfm_error *error);

/* What the recipe says where the schema is silent: one entry for categories, one for numbers. Filled by model/recipe.
 * */
typedef struct dfm_data_settings {
  dfm_field_settings category, number;
  bool vocabulary_from_all; /* validation rows count too (the tutorial's way) */
  double valid_split;       /* the last share of the rows, in file order; 0: none */
  double valid_random;      /* a random share of the rows (by seed); 0: none. At most one of the two is set */
  uint64_t seed;
} dfm_data_settings;

#endif
