/* deepfm: click-through-rate models, from raw rows to probabilities.
 *
 * What comes in: text (delimited, libsvm, libffm or JSON lines), plain or compressed, or Arrow batches; a schema that
 * says what each column is; a recipe that says how to train.
 * What goes out: one model file that takes raw rows, and the probabilities it gives them.
 *
 * Conventions, true for every function below:
 *  - Functions that can fail return DFM_OK (0) or a negative dfm_status, and fill the optional last argument `error`
 *    (NULL is accepted) with one sentence that names the place, the value and the remedy. Outputs are untouched on
 *    failure.
 *  - `dfm_X_create/load/read` hands out an object that the caller gives back with `dfm_X_free`, which accepts NULL.
 *    Strings handed out as `char **` are given back with `dfm_string_free`; `const char *` belongs to the object asked.
 *  - The library has no global state, never prints, never exits. Different objects may be used from different threads;
 *    one object by one thread at a time, except where a function says "any thread".
 *  - Matrices are row-major float32. B rows, F category fields, D number fields, K embedding width, V vocabulary size.
 *
 * MARK: error, arrow, input, schema, recipe, dataset, doctor, model, trainer, scorer, metrics, synth, bench
 */
#ifndef DEEPFM_H
#define DEEPFM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DFM_VERSION "0.1.0"
#define DFM_API __attribute__((visibility("default")))
#define DFM_MUST_USE __attribute__((warn_unused_result))

/* ---- MARK: error --------------------------------------------------------------------------------------------- */

typedef enum dfm_status {
  DFM_OK = 0,
  DFM_ERROR_MEMORY = -1,  /* an allocation failed */
  DFM_ERROR_IO = -2,      /* the operating system refused: open, read, write, rename */
  DFM_ERROR_FORMAT = -3,  /* the contents of a file are wrong: text rows, YAML, a damaged model */
  DFM_ERROR_VALUE = -4,   /* a setting or an argument is out of its range or unknown */
  DFM_ERROR_MISMATCH = -5 /* two things do not fit together: a file lacks a column that the model needs */
} dfm_status;

/* Why a call failed. Lives on the caller's stack; needs no initialisation and no freeing. */
typedef struct dfm_error {
  dfm_status code;
  long long line;     /* 1-based line of the text file at fault, 0 where there is none */
  long long column;   /* 1-based byte within that line, 0 where there is none */
  char message[1024]; /* one sentence, no newline; text files as "file:line:column: ..." */
} dfm_error;

DFM_API const char *dfm_version(void);
DFM_API void dfm_string_free(char *string);
/* Cores that this process may use, at least 1: those that it may run on, but no more than its control groups' quotas of
 * processor time (cpu.max) pay for, rounded up. Where `threads` is 0 there is one for each. */
DFM_API int dfm_cores(void);

/* ---- MARK: arrow --------------------------------------------------------------------------------------------- */

/* Arrow's C data and C stream interfaces, a published binary interface that any Arrow library fills:
 * https://arrow.apache.org/docs/format/CDataInterface.html and CStreamInterface.html. Who includes another header with
 * these before this one keeps that one's. */
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
  const char *format, *name, *metadata;
  int64_t flags, n_children;
  struct ArrowSchema **children, *dictionary;
  void (*release)(struct ArrowSchema *);
  void *private_data;
};

struct ArrowArray {
  int64_t length, null_count, offset, n_buffers, n_children;
  const void **buffers;
  struct ArrowArray **children, *dictionary;
  void (*release)(struct ArrowArray *);
  void *private_data;
};
#endif

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE

struct ArrowArrayStream {
  int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *out);
  int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *out);
  const char *(*get_last_error)(struct ArrowArrayStream *);
  void (*release)(struct ArrowArrayStream *);
  void *private_data;
};
#endif

/* ---- MARK: input --------------------------------------------------------------------------------------------- */

/* What rows are read from: text in files or the standard input, or an Arrow stream. What gzip or zstd has compressed is
 * decompressed on the way, whatever a file's name; memory does not grow with the text. Several files are read in the
 * order given, as if they were one; each has the header of the first. */
typedef struct dfm_input dfm_input;

/* "-" is the standard input. A path that is no file and has *, ? or [ is a pattern and stands for the files that match,
 * in the order of their names' bytes. Errors: DFM_ERROR_IO where a file is missing or a pattern matches nothing,
 * DFM_ERROR_VALUE for no path at all. */
DFM_API DFM_MUST_USE dfm_status dfm_input_create(const char *const *paths, size_t n_paths, dfm_input **input,
                                                 dfm_error *error);
/* Rows that come in Arrow batches (docs/arrow.md): columns are found by name, and rows are pulled batch by batch,
 * strings where they lie. The stream is taken over, also where this fails: `stream->release` is NULL afterwards. Its
 * rows can be read once; a guess of the schema before keeps those it has looked at. `name` stands for it in messages;
 * NULL: "arrow". Every dfm_input below may be one. */
DFM_API DFM_MUST_USE dfm_status dfm_input_from_arrow(struct ArrowArrayStream *stream, const char *name,
                                                     dfm_input **input, dfm_error *error);
/* For people: "rows.csv", "standard input", "part-1.csv and 6 more files". */
DFM_API const char *dfm_input_name(const dfm_input *input);
/* The path of the dataset file that the input is; NULL: text. Of several files none is taken for one. */
DFM_API const char *dfm_input_dataset(const dfm_input *input);
DFM_API void dfm_input_free(dfm_input *input);

/* ---- MARK: schema -------------------------------------------------------------------------------------------- */

/* What the columns of the rows are: names, kinds, label, separator. Guessed from a file, or written in YAML. */
typedef struct dfm_schema dfm_schema;

typedef struct dfm_schema_options {
  const char *label;  /* the label column's name, or 1-based position in a file without header; NULL: guess */
  const char *weight; /* the row weight column, or NULL for none */
  char separator;     /* 0: guess */
  int header;         /* 1 the first row has names, 0 it has not, -1: guess */
  const char *format; /* delimited, libsvm, libffm or jsonl; NULL: by the file's name and first lines */
  int threads;        /* 0: one per core; the schema does not depend on it */
} dfm_schema_options;

/* Guesses a schema from the first rows of the input's first file, and keeps them where they can be read only once:
 * whatever reads `input` next starts with them. `options` may be NULL. The label's column is the one named in
 * `options`, else one named label, click, clicked, y, target or is_click. Of an Arrow stream, lists are lists, text and
 * booleans are categories, and numbers are judged as in text. Errors: DFM_ERROR_IO, DFM_ERROR_FORMAT, DFM_ERROR_VALUE
 * (no such label). */
DFM_API DFM_MUST_USE dfm_status dfm_schema_guess(dfm_input *input, const dfm_schema_options *options,
                                                 dfm_schema **schema, dfm_error *error);
/* Reads a schema written in YAML (docs/schema.md). */
DFM_API DFM_MUST_USE dfm_status dfm_schema_load(const char *yaml_path, dfm_schema **schema, dfm_error *error);
/* The schema as YAML that dfm_schema_load reads back; `with_reasons` adds a comment per column that says why it was
 * guessed so. */
DFM_API DFM_MUST_USE dfm_status dfm_schema_to_yaml(const dfm_schema *schema, bool with_reasons, char **yaml,
                                                   dfm_error *error);
DFM_API void dfm_schema_free(dfm_schema *schema);

/* ---- MARK: recipe -------------------------------------------------------------------------------------------- */

/* How to build and train a model: every setting has a name, a default, a range and a line of help, in one table. */
typedef struct dfm_recipe dfm_recipe;

typedef struct dfm_setting {
  const char *name;          /* "optimizer.learning_rate" */
  const char *flag;          /* the command line's short spelling without dashes, "learning-rate" */
  const char *default_value; /* as text */
  const char *range;         /* "(0, 10]", "adam | sgd | adagrad" */
  const char *help;          /* one line */
} dfm_setting;

/* Settings by index: NULL past the last. Any thread. */
DFM_API const dfm_setting *dfm_setting_at(size_t i);

/* A recipe with every setting at its default. */
DFM_API DFM_MUST_USE dfm_status dfm_recipe_create(dfm_recipe **recipe, dfm_error *error);
/* Lays a YAML file's settings over those that `recipe` holds. An unknown key is an error that suggests the nearest
 * name. */
DFM_API DFM_MUST_USE dfm_status dfm_recipe_load(dfm_recipe *recipe, const char *yaml_path, dfm_error *error);
/* Sets one setting from text. */
DFM_API DFM_MUST_USE dfm_status dfm_recipe_set(dfm_recipe *recipe, const char *name, const char *value,
                                               dfm_error *error);
/* The value of a setting as text; NULL where there is no setting of that name. */
DFM_API DFM_MUST_USE dfm_status dfm_recipe_get(const dfm_recipe *recipe, const char *name, char **value,
                                               dfm_error *error);
/* Sets those settings that shaped the dataset file at `dataset_path` (split, vocabularies, transforms, seed) to what it
 * was encoded with. */
DFM_API DFM_MUST_USE dfm_status dfm_recipe_adopt(dfm_recipe *recipe, const char *dataset_path, dfm_error *error);
/* Checks what single settings cannot: combinations. Called by everything that takes a recipe. */
DFM_API DFM_MUST_USE dfm_status dfm_recipe_check(const dfm_recipe *recipe, dfm_error *error);
DFM_API DFM_MUST_USE dfm_status dfm_recipe_to_yaml(const dfm_recipe *recipe, char **yaml, dfm_error *error);
/* A copy of `schema` with the recipe's "fields.NAME.KEY" settings laid over it, as training sees it. A column that does
 * not exist is an error that suggests the nearest. */
DFM_API DFM_MUST_USE dfm_status dfm_recipe_apply(const dfm_recipe *recipe, const dfm_schema *schema,
                                                 dfm_schema **result, dfm_error *error);
DFM_API void dfm_recipe_free(dfm_recipe *recipe);

/* ---- MARK: model (type only; functions below) ---------------------------------------------------------------- */

/* A trained model, read-only: schema, vocabularies, recipe, weights. Shared freely between threads. */
typedef struct dfm_model dfm_model;

/* ---- MARK: dataset ------------------------------------------------------------------------------------------- */

/* Encoded rows: ids, numbers, labels, weights; and the vocabularies that made the ids. */
typedef struct dfm_dataset dfm_dataset;

typedef struct dfm_read_options {
  int threads;           /* 0: one per core. The rows do not depend on it */
  int64_t skip_bad_rows; /* rows that may be wrong (number of cells, a number, label or weight) and are then left out;
                            0: the first one is an error */
  bool label_optional;   /* rows may come without the label column (prediction) */
  bool missing_unknown;  /* a column that is missing altogether counts as unknown (category) or missing (number) instead
                            of an error */
  const char *missing_hint; /* how the user may allow that, such as an option's name: said where it is an error; NULL */
  const char *truth_column; /* synth's true probability, kept beside the label; NULL: none */
  const char *spill_folder; /* where rows beyond 64 MB lie while they are in use, in files without a name; NULL:
                               $TMPDIR, or /tmp */
} dfm_read_options;

/* Reads rows to train on: one pass over the text, vocabularies settled from the training rows, rows split as the
 * recipe's `validation.*` says (or those of `valid_input`, with the same vocabularies; NULL: none). `*valid` becomes
 * NULL where nothing validates. Both share the encoder; either may be freed first. `options` may be NULL. Where
 * `train_input` is one dataset file its rows are mapped: ids and the split stand as they were encoded, `schema` is NULL
 * (the file has its own), and settings of `recipe` that would have made other ids are an error; dfm_recipe_adopt takes
 * them from the file. */
DFM_API DFM_MUST_USE dfm_status dfm_dataset_read_train(dfm_input *train_input, dfm_input *valid_input,
                                                       const dfm_schema *schema, const dfm_recipe *recipe,
                                                       const dfm_read_options *options, dfm_dataset **train,
                                                       dfm_dataset **valid, dfm_error *error);
/* Where rows are kept between runs. */
typedef struct dfm_cache_options {
  const char *folder;  /* of the dataset files; made where it is not there */
  int64_t least_bytes; /* texts that are smaller together are read without a cache */
  /* Nobody asked for it: one text has one file, which other settings replace, and rows that cannot be kept are trained
   * on all the same; the note says why. Else each choice of settings has a file, and a failure is an error. */
  bool is_optional;
} dfm_cache_options;

/* The same for text, through a dataset file in the cache's folder: the first time the rows are encoded and kept, later
 * they are taken from the file, as long as the texts' sizes, times and first and last bytes, the schema and the
 * settings that shape rows are the same. A file that is stale, damaged or half-written is made anew; processes may
 * share a folder. What can be read only once, and dataset files, are read without a cache. `*note` gets a sentence that
 * says what was done, to be given back with dfm_string_free; NULL where an optional cache was not used. */
DFM_API DFM_MUST_USE dfm_status dfm_dataset_read_cached(dfm_input *train_input, dfm_input *valid_input,
                                                        const dfm_schema *schema, const dfm_recipe *recipe,
                                                        const dfm_read_options *options, const dfm_cache_options *cache,
                                                        dfm_dataset **train, dfm_dataset **valid, char **note,
                                                        dfm_error *error);
/* Reads rows as `model` encodes them, in the order of the text; the columns are found by name. Of a dataset file that
 * was encoded with the model's vocabularies all rows, in its own order (dfm_scorer_score_text restores the text's); of
 * another one the values that its ids stand for, unless it has lost some. */
DFM_API DFM_MUST_USE dfm_status dfm_dataset_read(dfm_input *input, const dfm_model *model,
                                                 const dfm_read_options *options, dfm_dataset **dataset,
                                                 dfm_error *error);
/* The same rows piece by piece, for data without end or larger than memory, and for answers while rows still come: of
 * text as many at a time as have come, some 10^4 at most; of a dataset file with the model's vocabularies all at once,
 * since they are mapped. */
typedef struct dfm_reader dfm_reader;
/* `input`, `model` and what the options point to must live as long. */
DFM_API DFM_MUST_USE dfm_status dfm_reader_open(dfm_input *input, const dfm_model *model,
                                                const dfm_read_options *options, dfm_reader **reader, dfm_error *error);
/* A dataset of the next rows; at the end one without rows, of which dfm_dataset_skipped says what was left out of all
 * of them. The caller frees it. That there was no row at all is an error. After an error only dfm_reader_free is
 * left. */
DFM_API DFM_MUST_USE dfm_status dfm_reader_next(dfm_reader *reader, dfm_dataset **rows, dfm_error *error);
DFM_API void dfm_reader_free(dfm_reader *reader); /* NULL accepted */

/* How a model's vocabularies grow by new rows. */
typedef struct dfm_growth_options {
  int64_t admit;        /* a new value gets an id from so many of the new training rows on; 0: as its field was trained,
                           min_count */
  int64_t expire_after; /* a value that the last so many training rows lack loses its id and is unknown again; 0: none
                           does */
} dfm_growth_options;
/* Values of all category fields. */
typedef struct dfm_growth {
  int64_t kept, admitted, expired;
} dfm_growth;
/* Sets every setting to the one that `model` was made with. */
DFM_API DFM_MUST_USE dfm_status dfm_recipe_adopt_model(dfm_recipe *recipe, const dfm_model *model, dfm_error *error);
/* Reads rows to train `model` on further (dfm_run_options.from): by its schema, through its vocabularies and what new
 * values `growth` admits, which get ids behind those that stay. The rows are split as the recipe says, or `valid_input`
 * validates. Settings of `recipe` that would make another model are an error (dfm_recipe_adopt_model takes the
 * model's). Of a dataset file, whatever its split, cells are read as the values that its ids stand for; one that has
 * lost some is an error. */
DFM_API DFM_MUST_USE dfm_status dfm_dataset_read_more(dfm_input *train_input, dfm_input *valid_input,
                                                      const dfm_model *model, const dfm_recipe *recipe,
                                                      const dfm_growth_options *growth, const dfm_read_options *options,
                                                      dfm_growth *outcome, dfm_dataset **train, dfm_dataset **valid,
                                                      dfm_error *error);
DFM_API int64_t dfm_dataset_rows(const dfm_dataset *dataset);
DFM_API bool dfm_dataset_has_label(const dfm_dataset *dataset);
/* How many of its rows have label 1. 0 where there is no label. */
DFM_API int64_t dfm_dataset_positives(const dfm_dataset *dataset);
/* Rows of the text that were left out because they were wrong, by reason `i`: "a wrong number of cells or broken
 * syntax", ...; NULL past the last reason. `*example` (may be NULL) becomes the sentence on the first such row of any
 * reason, NULL where none was left out. Strings live as long as the dataset. */
DFM_API const char *dfm_dataset_skipped(const dfm_dataset *dataset, size_t i, int64_t *rows, const char **example);
/* The true probabilities of the rows (read with `truth_column`), or NULL. Length rows. */
DFM_API const float *dfm_dataset_truth(const dfm_dataset *dataset);
/* Their labels, or NULL. Of a dataset file, these three are good for rows that were scored. Length rows. */
DFM_API const float *dfm_dataset_labels(const dfm_dataset *dataset);
/* Their weights, or NULL where every weight is 1. Length rows. */
DFM_API const float *dfm_dataset_weights(const dfm_dataset *dataset);
/* Field by field: name, how many cells had a value that the vocabulary lacks, how many were empty. Of a list its items
 * are the cells, and rows without any are missing. F + D fields. */
typedef struct dfm_field_count {
  const char *name;
  bool is_number, is_list;
  int64_t cells;   /* rows; of a list its items: what unknown ones are a share of */
  int64_t unknown; /* cells, or items */
  int64_t missing; /* empty cells */
} dfm_field_count;
DFM_API size_t dfm_dataset_fields(const dfm_dataset *dataset);
DFM_API dfm_field_count dfm_dataset_field(const dfm_dataset *dataset, size_t i);
/* One row as encoded, for people: "I2=1.386294 C18=66 G=[3 7*0.5] ..." with ids for categories and lists' items, their
 * weights, and transformed numbers. */
DFM_API DFM_MUST_USE dfm_status dfm_dataset_row_text(const dfm_dataset *dataset, int64_t row, char **text,
                                                     dfm_error *error);
DFM_API void dfm_dataset_free(dfm_dataset *dataset);

/* Writes the rows as a dataset file (safetensors; docs/design.md), which is taken wherever text is. `recipe` is the one
 * that `train` and `valid` (may be NULL) were read with; NULL: `train` was read with a model. `threads` 0: one
 * per core. The same rows give the same bytes. */
DFM_API DFM_MUST_USE dfm_status dfm_dataset_write(const char *path, const dfm_dataset *train, const dfm_dataset *valid,
                                                  const dfm_recipe *recipe, int threads, dfm_error *error);
/* dfm_dataset_read_train of text and dfm_dataset_write to `path` in one, in less time than one after the other, for
 * rows go straight from the form that they are read in to the file's. `*train` and `*valid` are then the file's rows,
 * which are opened before it appears: a failure leaves what was at `path`; or, where a pipe, a device or standard
 * output was written, which cannot be read back, what dfm_dataset_read_train gives. */
DFM_API DFM_MUST_USE dfm_status dfm_dataset_encode(dfm_input *train_input, dfm_input *valid_input,
                                                   const dfm_schema *schema, const dfm_recipe *recipe,
                                                   const dfm_read_options *options, const char *path,
                                                   dfm_dataset **train, dfm_dataset **valid, dfm_error *error);
/* Opens a dataset file on its own; `*valid` becomes NULL where it has no validation rows. Header and vocabularies are
 * checked at once, rows when they are first read: whatever reads them returns DFM_ERROR_FORMAT where they are
 * damaged. */
DFM_API DFM_MUST_USE dfm_status dfm_dataset_load(const char *path, dfm_dataset **train, dfm_dataset **valid,
                                                 dfm_error *error);
/* Reads and checks all of a dataset file. */
DFM_API DFM_MUST_USE dfm_status dfm_dataset_verify(const char *path, dfm_error *error);
/* Whether rows at `path` would be read as a dataset file: a regular file that starts as safetensors do. */
DFM_API bool dfm_dataset_is_at(const char *path);

/* A value of a category field: its bytes (not terminated), its cells and how many of them are in rows with label 1.
 * With hash and buckets "bucket 7" and "[3, 7.5)" are the values. */
typedef struct dfm_value_stats {
  const char *bytes;
  size_t length;
  int64_t rows, positives;
} dfm_value_stats;

enum { DFM_QUANTILES = 5 }; /* 5, 25, 50, 75 and 95 % */

/* What a field's cells are. */
typedef struct dfm_field_stats {
  const char *name;
  bool is_number, is_list;
  int64_t missing;                /* empty cells; of a list rows without items */
  int64_t cells, valid_cells;     /* in all rows and in those that validate; of a list its items */
  int64_t unknown, valid_unknown; /* categories: of these cells those whose value has no id */
  int64_t distinct, vocabulary;   /* values that were seen (-1: not known), and those that have an id, or buckets */
  const dfm_value_stats *top;     /* (n_top) the most frequent of these, first the first */
  size_t n_top;
  double minimum, maximum, mean;  /* numbers, raw; NaN where all cells are empty */
  double quantile[DFM_QUANTILES]; /* exact: the smallest value that such a share of them does not exceed */
} dfm_field_stats;

typedef struct dfm_stats {
  int64_t train_rows, valid_rows, positives; /* positives: of both */
  bool has_label;
  size_t n_fields;
  const dfm_field_stats *fields; /* in the order of dfm_dataset_field */
} dfm_stats;

/* Statistics over the rows of one or two datasets of one encoder (`valid` may be NULL), with up to `n_top` values of
 * each category field. One pass over all rows and two more over the numbers; memory does not grow with the rows.
 * Neither their order nor `threads` (0: one per core) changes the result, but for the last digits of means. Lives no
 * longer than the datasets; counts stop at 4294967295. */
DFM_API DFM_MUST_USE dfm_status dfm_dataset_stats(const dfm_dataset *train, const dfm_dataset *valid, size_t n_top,
                                                  int threads, dfm_stats **stats, dfm_error *error);
DFM_API void dfm_stats_free(dfm_stats *stats);

/* ---- MARK: doctor -------------------------------------------------------------------------------------------- */

typedef enum dfm_severity {
  DFM_SEVERITY_NOTE,   /* worth knowing; may be as it should */
  DFM_SEVERITY_WARNING /* will hurt, or makes measures say what is not so */
} dfm_severity;

/* One thing about rows that hurts a model trained on them. Strings belong to the diagnosis. */
typedef struct dfm_finding {
  const char
      *code; /* which kind: "constant", "leak", ...; docs/doctor.md lists them. They stay the same between versions */
  dfm_severity severity;
  const char *field;   /* its name; NULL: the label, or rows as a whole */
  const char *message; /* what was seen, with figures */
  const char *remedy;  /* what to do about it */
} dfm_finding;

/* What is wrong with rows. */
typedef struct dfm_diagnosis dfm_diagnosis;

/* Looks at the rows of one or two datasets of one encoder (`valid` may be NULL) in the order of their text: all of them
 * once, then up to 64 MB of them, evenly spread, field by field. Memory does not grow with the rows; `threads` (0: one
 * per core) changes no finding. Rows of which values were dropped (min_count) are taken for different from all others.
 * Lives no longer than the datasets. */
DFM_API DFM_MUST_USE dfm_status dfm_dataset_diagnose(const dfm_dataset *train, const dfm_dataset *valid, int threads,
                                                     dfm_diagnosis **diagnosis, dfm_error *error);
/* How many rows were looked at field by field. */
DFM_API int64_t dfm_diagnosis_rows(const dfm_diagnosis *diagnosis);
/* Findings by index, warnings first; those of the rows as a whole before those of fields, which come in the order of
 * columns. */
DFM_API size_t dfm_diagnosis_findings(const dfm_diagnosis *diagnosis);
DFM_API dfm_finding dfm_diagnosis_finding(const dfm_diagnosis *diagnosis, size_t i);
DFM_API void dfm_diagnosis_free(dfm_diagnosis *diagnosis);

/* ---- MARK: metrics ------------------------------------------------------------------------------------------- */

typedef struct dfm_metrics {
  int64_t rows;
  double weight;         /* sum of the rows' weights */
  double logloss;        /* mean of -ln p(label), in nats, weighted */
  double auc;            /* pooled over all rows, ties count half; NaN where only one class is present */
  double auc_error;      /* what `auc` is off by at most: 0 (exact) up to 2^24 rows */
  double accuracy;       /* at probability 0.5, weighted */
  double mean_predicted; /* weighted */
  double mean_observed;  /* weighted */
} dfm_metrics;

/* Measures rows that come some at a time. Memory: 4 bytes a row (8 where weights differ) up to 2^24 rows; then 8 MB. */
typedef struct dfm_meter dfm_meter;
DFM_API DFM_MUST_USE dfm_status dfm_meter_create(dfm_meter **meter, dfm_error *error);
/* `n` probabilities in [0, 1] against labels 0 or 1; `weight` (n) may be NULL. The result depends on the rows and their
 * order, not on how they were cut into pieces. */
DFM_API DFM_MUST_USE dfm_status dfm_meter_add(dfm_meter *meter, const float *probability, const float *label,
                                              const float *weight, int64_t n, dfm_error *error);
/* The metrics of all rows added; the meter is empty afterwards and may be used again. */
DFM_API void dfm_meter_finish(dfm_meter *meter, dfm_metrics *metrics);
DFM_API void dfm_meter_free(dfm_meter *meter);
/* The same for rows that are all at hand. Any thread. */
DFM_API DFM_MUST_USE dfm_status dfm_metrics_of(const float *probability, const float *label, const float *weight,
                                               int64_t n, dfm_metrics *metrics, dfm_error *error);

/* ---- MARK: model --------------------------------------------------------------------------------------------- */

/* Opens a model file, checks all of it (header, sizes, checksums, id bounds, finiteness) and maps it. */
DFM_API DFM_MUST_USE dfm_status dfm_model_load(const char *path, dfm_model **model, dfm_error *error);
/* Keras-like table of layers, shapes and parameter counts. */
DFM_API DFM_MUST_USE dfm_status dfm_model_summary(const dfm_model *model, char **text, dfm_error *error);
/* The optimizer steps after which it was saved, where the file keeps the optimizer's state to go on from; else 0. */
DFM_API int64_t dfm_model_state_steps(const dfm_model *model);
DFM_API int64_t dfm_model_parameters(const dfm_model *model);
/* The recipe and schema the model was made with, as YAML; its epoch and, where it was validated, the metrics of the
 * validation rows, as JSON:
 * {"epoch": 3, "valid": {"rows": ..., "logloss": ..., "auc": ..., ...}}. */
DFM_API const char *dfm_model_recipe_yaml(const dfm_model *model);
DFM_API const char *dfm_model_schema_yaml(const dfm_model *model);
DFM_API const char *dfm_model_metrics_json(const dfm_model *model);
/* What a field's vocabulary holds. */
typedef struct dfm_field_info {
  const char *name;
  bool is_number, is_list;
  int64_t vocabulary;   /* distinct values kept; 0 for numbers */
  int64_t distinct;     /* distinct values seen, before min_count; -1: not known (numbers, hashed values) */
  int64_t rows;         /* training rows seen */
  int64_t cells;        /* their cells; of a list its items */
  int64_t table_cells;  /* those of all fields that share its table */
  int64_t unknown_rows; /* of these, cells whose value has no id */
  int64_t missing_rows; /* rows with an empty cell, or a list without items */
  double shift, scale;  /* numbers: transformed = (f(x) - shift) * scale */
} dfm_field_info;
/* Fields in the order of the file's columns: categories and numbers. */
DFM_API size_t dfm_model_fields(const dfm_model *model);
DFM_API dfm_field_info dfm_model_field(const dfm_model *model, size_t i);
/* The share of unknown values to expect in field `i` of rows like the training rows: theirs without an id, and those
 * whose value would have none without one of its rows (the estimate of Good and Turing). Of fields that share a table
 * it is one. Looks at the whole vocabulary; 0 for numbers. */
DFM_API double dfm_model_expected_unknown(const dfm_model *model, size_t i);
/* Whether `unknown` of `cells` values of field `i` are far more than that: above three times the share expected and 5
 * points, with less than one chance in 1000 that so many come by accident. */
DFM_API bool dfm_model_is_far_unknown(const dfm_model *model, size_t i, int64_t unknown, int64_t cells);
/* The value of rank `rank` by id order of category field `i`: its bytes (not terminated) and its training rows. false
 * past the end. */
DFM_API bool dfm_model_value(const dfm_model *model, size_t i, int64_t rank, const char **bytes, size_t *length,
                             int64_t *count);
/* The embedding row of a raw value: first-order weight (NaN where the model has none) and up to `capacity` factors into
 * `factors`;
 * `*n` gets how many there are. `*is_unknown` where the value is not in the vocabulary. */
DFM_API DFM_MUST_USE dfm_status dfm_model_embedding(const dfm_model *model, size_t i, const char *bytes, size_t length,
                                                    double *first_order, float *factors, size_t capacity, size_t *n,
                                                    bool *is_unknown, dfm_error *error);
DFM_API void dfm_model_free(dfm_model *model);

/* ---- MARK: trainer ------------------------------------------------------------------------------------------- */

typedef struct dfm_trainer dfm_trainer;

typedef struct dfm_progress {
  int epoch, epochs;      /* 1-based */
  int64_t batch, batches; /* within the epoch, 1-based */
  int64_t step;           /* optimizer steps of this run so far */
  double rows_per_second; /* of this epoch so far, evaluation not counted */
  double seconds;         /* of this epoch so far */
  double learning_rate;   /* of the next batch */
  dfm_metrics train;      /* running over the epoch's rows, dropout on; auc only where is_epoch_end (else NaN) */
  bool is_epoch_end;      /* all of the epoch, and its evaluation, is done */
  bool has_valid;         /* `valid` holds an evaluation made at this very step */
  dfm_metrics valid;
  bool is_best;               /* this epoch is the best so far and was saved */
  bool learning_rate_dropped; /* the plateau rule has just lowered the rate */
  /* Progressive validation: this batch has filled a window, whose last row is row `window_end` (1-based) in the order
   * of training. */
  bool has_window;
  dfm_metrics window;
  int64_t window_end;
  bool has_progressive; /* the first epoch has ended: over all its rows */
  dfm_metrics progressive;
} dfm_progress;

/* Where a run's files go; paths, threads and how often one looks change no byte of the model. */
typedef struct dfm_run_options {
  const char *model_path;      /* the best epoch (with validation) or the last one; NULL: nothing is written */
  const char *checkpoint_path; /* NULL: none */
  int64_t checkpoint_every;    /* steps; 0: at each epoch's end */
  const char *history_path;    /* JSON lines, one per epoch and one per window; NULL: none */
  const char *init_path;       /* safetensors with initial weights, by tensor name; NULL: none */
  const char *resume_path;     /* a checkpoint of the same data and recipe to go on from; NULL: none */
  const dfm_model *from;       /* what starts with its weights, value by value, and with the state that its file keeps;
                                  outlives the run; NULL: nothing does */
  bool keep_state;             /* the model file keeps the optimizer's state, for another run to go on from */
  bool is_progressive;         /* each batch of the first epoch is scored before it is trained on */
  int64_t window; /* rows that are measured together then, rounded up to batches; 0: a twentieth, and 1000 at least */
  int64_t eval_every; /* additional evaluations, in steps; 0: at epoch ends only */
  int threads;        /* 0: one per core */
  /* Called from the thread that runs dfm_trainer_run after each batch and at each epoch's end. true: stop after this
   * batch, and save. NULL: none. */
  bool (*on_progress)(void *context, const dfm_progress *progress);
  void *context;
} dfm_run_options;

typedef struct dfm_run_result {
  int epochs;     /* completed */
  int best_epoch; /* the one that the model file holds */
  int64_t steps;
  bool stopped;       /* by the callback */
  bool stopped_early; /* by patience */
  dfm_metrics valid;  /* of best_epoch, where has_valid */
  bool has_valid;
  dfm_metrics progressive; /* where has_progressive: over the rows of the first epoch so far, each scored before it was
                              trained on */
  bool has_progressive;
  double seconds;
  int64_t memory_tables; /* bytes of the tables with their optimizer state */
  double objective;      /* L-BFGS only: sum of log losses + penalties at the optimum; else NaN */
} dfm_run_result;

/* Refuses what dfm_trainer_create and dfm_trainer_run would refuse whatever the rows are: settings, columns, options
 * and files that do not go together. For before rows are read, which may take long, by the arguments of
 * dfm_dataset_read_train; `schema` NULL also where options->from brings it. */
DFM_API DFM_MUST_USE dfm_status dfm_trainer_check(const dfm_recipe *recipe, const dfm_input *train_input,
                                                  const dfm_schema *schema, const dfm_run_options *options,
                                                  dfm_error *error);
/* Builds the model that `recipe` names over the fields of `train`. Keeps references to both datasets; `valid` may be
 * NULL. */
DFM_API DFM_MUST_USE dfm_status dfm_trainer_create(const dfm_recipe *recipe, dfm_dataset *train, dfm_dataset *valid,
                                                   dfm_trainer **trainer, dfm_error *error);
DFM_API DFM_MUST_USE dfm_status dfm_trainer_summary(const dfm_trainer *trainer, char **text, dfm_error *error);
/* What its matrix multiplies run in: "float32" or "bf16", a constant. `*is_emulated` (NULL accepted): in bf16 without
 * instructions for it, so to the same rounding but slower than float32. */
DFM_API const char *dfm_trainer_precision(const dfm_trainer *trainer, bool *is_emulated);
/* Trains to the end, or until stopped. Once per trainer. */
DFM_API DFM_MUST_USE dfm_status dfm_trainer_run(dfm_trainer *trainer, const dfm_run_options *options,
                                                dfm_run_result *result, dfm_error *error);
DFM_API void dfm_trainer_free(dfm_trainer *trainer);

/* ---- MARK: scorer -------------------------------------------------------------------------------------------- */

/* Scores rows with a model, by threads of its own. A row's probability does not depend on the rows that are scored with
 * it. Keeps no reference: free it before its model. */
typedef struct dfm_scorer dfm_scorer;
/* `threads` 0: one per core. */
DFM_API DFM_MUST_USE dfm_status dfm_scorer_create(const dfm_model *model, int threads, dfm_scorer **scorer,
                                                  dfm_error *error);
/* What dense layers multiply in from here on: "float32", as it starts; "bf16", operands in bfloat16 and sums in
 * float32, several times as fast where the CPU has instructions for it, with probabilities that differ in their third
 * digit or so; "auto", bf16 where it has. `*is_emulated` (NULL accepted): bf16 without them, to the same rounding but
 * slower than float32. While no thread scores. An unknown word is DFM_ERROR_VALUE. */
DFM_API DFM_MUST_USE dfm_status dfm_scorer_set_precision(dfm_scorer *scorer, const char *precision, bool *is_emulated,
                                                         dfm_error *error);
/* Probabilities of rows [first, first + n) of `dataset` into `probability` (n). The dataset must have been read with
 * the scorer's model. To pass over many rows ask for some 10^5 at a time, in order: what was passed is given back, and
 * memory does not grow with the rows. */
DFM_API DFM_MUST_USE dfm_status dfm_scorer_score(dfm_scorer *scorer, const dfm_dataset *dataset, int64_t first,
                                                 int64_t n, float *probability, dfm_error *error);
/* The same for rows [first, first + n) of the text that the dataset was made from, whatever the dataset's own order. */
DFM_API DFM_MUST_USE dfm_status dfm_scorer_score_text(dfm_scorer *scorer, const dfm_dataset *dataset, int64_t first,
                                                      int64_t n, float *probability, dfm_error *error);
DFM_API void dfm_scorer_free(dfm_scorer *scorer);

/* ---- MARK: synth --------------------------------------------------------------------------------------------- */

/* Criteo-like rows from a known teacher. Row i depends on (seed, i) alone. Read-only: any thread. */
typedef struct dfm_synth dfm_synth;
DFM_API DFM_MUST_USE dfm_status dfm_synth_create(uint64_t seed, dfm_synth **synth, dfm_error *error);
/* The header line, "label,I1,...,C26[,truth]\n"; a constant. */
DFM_API const char *dfm_synth_header(bool with_truth);
/* Rows [first, first + n) as text, appended to `buffer` of at least n * DFM_SYNTH_ROW_BYTES bytes. Returns the bytes
 * written. */
#define DFM_SYNTH_ROW_BYTES 640
DFM_API size_t dfm_synth_rows(const dfm_synth *synth, uint64_t first, size_t n, bool with_truth, char *buffer);
DFM_API void dfm_synth_free(dfm_synth *synth);

/* ---- MARK: bench --------------------------------------------------------------------------------------------- */

/* What to measure. Shapes are S, M, L, XL (26 category fields, 13 numbers, a net) and W (39 category fields, AdaGrad,
 * as wide models train); each stands for an embedding width, hidden layers, a number of ids and a batch size, which the
 * other members replace. */
typedef struct dfm_bench_options {
  const char *shape; /* "M"; "all": one after the other */
  const char *model; /* "deepfm"; "all": those that the shape is for */
  int width;         /* 0: the shape's, as all members below */
  const int *hidden; /* units per hidden layer; NULL */
  int n_hidden;
  int64_t ids; /* over all fields */
  int batch;
  int threads;    /* 0: one per core */
  int repeats;    /* from 1 to DFM_BENCH_REPEATS; of things that are compared, in turns */
  double seconds; /* of one measurement, at least */
} dfm_bench_options;
enum { DFM_BENCH_REPEATS = 99 };

/* One line of the result. Strings are valid until the sink returns. Where all numbers are NaN, `what` is a note: what
 * cannot be measured here, and why. */
typedef struct dfm_measure {
  const char *shape, *model;      /* "" where it is the machine's */
  const char *what;               /* "training step" */
  const char *unit;               /* "rows/s": more is better, except "s", "GB", "bytes" */
  double median, least, greatest; /* over repeats */
  const char *bound;              /* what bounds it: "matrix multiply"; NULL: nothing that is measured */
  double limit;                   /* in the same unit, median; NaN: none */
  double limit_share;             /* median of the shares of the limit as it was measured in the same turn; NaN */
  double time_share;              /* a part's share of the step's thread time; NaN where it is no part */
} dfm_measure;
typedef void (*dfm_bench_sink)(void *context, const dfm_measure *measure);

/* Measures with random encoded rows in memory, and tells `sink` each result as it comes. */
DFM_API DFM_MUST_USE dfm_status dfm_bench_run(const dfm_bench_options *options, dfm_bench_sink sink, void *context,
                                              dfm_error *error);
/* The kernels that would be used here: "avx2"; DFM_KERNEL names another. */
DFM_API DFM_MUST_USE dfm_status dfm_bench_kernel(const char **name, dfm_error *error);

#ifdef __cplusplus
}
#endif
#endif
