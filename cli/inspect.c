/* What comes in: a model file, or rows; perhaps a field and a value. What goes out: what the fields hold, and the
 * weights of that value. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include "rows.h"
#include "stats.h"

typedef struct inspect_options {
  const char *field, *value, *label, *weight, *format, *schema;
  int64_t top, threads, skip_bad_rows;
  bool is_verified, is_json;
} inspect_options;

#define AT(member) offsetof(inspect_options, member)
static const cli_option options[] = {
    {"field", 0, "NAME", NULL, "One field alone, with its most frequent values", CLI_TEXT, AT(field), 0, 0},
    {"value", 0, "TEXT", NULL, "With --field, of a model: the weights of this raw value ('' is the empty cell)",
     CLI_TEXT, AT(value), 0, 0},
    {"top", 0, "N", NULL, "How many of the most frequent values; left out: 3 in the table of all fields, else 10",
     CLI_INT, AT(top), 1, 1000000},
    CLI_COLUMN_OPTIONS,
    {"schema", 0, "FILE", NULL, "What the columns of text are, in YAML; guessed where it is left out", CLI_TEXT,
     AT(schema), 0, 0},
    CLI_SKIP_BAD_ROWS_OPTION,
    {"verify", 0, NULL, NULL,
     "Reads and checks all of a dataset file first, which otherwise is done where it is first read", CLI_SWITCH,
     AT(is_verified), 0, 0},
    {"threads", 0, "N", "0", "Threads; 0: one for each core. What is shown does not depend on it", CLI_INT, AT(threads),
     0, 1024},
    {"json", 0, NULL, NULL, "Prints the result as one JSON object", CLI_SWITCH, AT(is_json), 0, 0},
};
#undef AT

/* How many values to show. */
static int64_t top_of(const inspect_options *o) {
  return o->top > 0 ? o->top : o->field || o->is_json ? 10 : 3;
}

/* ---- most frequent values: ids may be in another order (vocabulary_order: sorted), so all of them are looked at */

typedef struct value_count {
  const char *bytes;
  size_t n;
  int64_t count, rank;
} value_count;

static int by_count(const void *a, const void *b) {
  const value_count *x = a, *y = b;
  if (x->count != y->count) return x->count > y->count ? -1 : 1;
  return x->rank < y->rank ? -1 : x->rank > y->rank;
}

/* All values of field `i`, the most frequent first; `*n` of them. NULL where there is no memory. */
static value_count *sorted_values(const dfm_model *model, size_t i, int64_t *n) {
  const int64_t size = dfm_model_field(model, i).vocabulary;
  value_count *values = calloc((size_t)size + 1, sizeof *values);
  if (!values) return NULL;
  for (*n = 0; *n < size; ++*n) {
    value_count *at = &values[*n];
    at->rank = *n;
    if (!dfm_model_value(model, i, *n, &at->bytes, &at->n, &at->count)) break;
  }
  qsort(values, (size_t)*n, sizeof *values, by_count);
  return values;
}

static const char *shown_value(char *out, size_t size, const char *bytes, size_t n) {
  if (n == 0) return "(empty)";
  return cli_show(out, size, bytes, n);
}

/* ---- fields */

static void print_field_title(void) {
  printf("%-24s %-9s %12s %10s %10s  %s\n", "field", "kind", "vocabulary", "unknown", "missing",
         "most frequent values, or (x - shift) * scale");
}

static int print_field(const dfm_model *model, size_t i, int64_t top) {
  const dfm_field_info info = dfm_model_field(model, i);
  char name[128], size[CLI_SHORT], unknown[CLI_SHORT], missing[CLI_SHORT], text[64];
  printf("%-24s %-9s %12s %10s %10s  ", cli_show(name, sizeof name, info.name, strlen(info.name)),
         cli_kind(info.is_number, info.is_list), info.is_number ? "-" : cli_thousands(size, info.vocabulary),
         info.is_number ? "-" : cli_percent(unknown, info.unknown_rows, info.cells),
         cli_percent(missing, info.missing_rows, info.rows));
  if (info.is_number) {
    printf("shift %.6g, scale %.6g\n", info.shift, info.scale);
    return CLI_OK;
  }
  int64_t n;
  value_count *values = sorted_values(model, i, &n);
  if (!values) return cli_complain("no memory for the %lld values of %s", (long long)info.vocabulary, info.name);
  for (int64_t v = 0; v < n && v < top; v++)
    printf("%s%s", v > 0 ? ", " : "", shown_value(text, sizeof text, values[v].bytes, values[v].n));
  putchar('\n');
  free(values);
  return CLI_OK;
}

static int print_values(const dfm_model *model, size_t i, int64_t top) {
  const dfm_field_info info = dfm_model_field(model, i);
  int64_t n;
  value_count *values = sorted_values(model, i, &n);
  if (!values) return cli_complain("no memory for the %lld values of %s", (long long)info.vocabulary, info.name);
  printf("\n%-32s %15s %10s\n", "value", "rows", "share");
  for (int64_t v = 0; v < n && v < top; v++) {
    char text[160], count[CLI_SHORT], share[CLI_SHORT];
    printf("%-32s %15s %10s\n", shown_value(text, sizeof text, values[v].bytes, values[v].n),
           cli_thousands(count, values[v].count), cli_percent(share, values[v].count, info.table_cells));
  }
  free(values);
  return CLI_OK;
}

static json_t *field_json(const dfm_model *model, size_t i, int64_t top) {
  const dfm_field_info info = dfm_model_field(model, i);
  json_t *name = cli_json_text(info.name, strlen(info.name));
  if (info.is_number)
    return json_pack("{s:o, s:s, s:I, s:I, s:o, s:o}", "name", name, "kind", "number", "rows", (json_int_t)info.rows,
                     "missing_rows", (json_int_t)info.missing_rows, "shift", cli_json_number(info.shift), "scale",
                     cli_json_number(info.scale));
  int64_t n = 0;
  value_count *values = sorted_values(model, i, &n);
  json_t *list = json_array();
  for (int64_t v = 0; values && v < n && v < top; v++)
    json_array_append_new(list, json_pack("{s:o, s:I}", "value", cli_json_text(values[v].bytes, values[v].n), "rows",
                                          (json_int_t)values[v].count));
  free(values);
  return json_pack("{s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:o}", "name", name, "kind", cli_kind(false, info.is_list),
                   "rows", (json_int_t)info.rows, "cells", (json_int_t)info.cells, "vocabulary",
                   (json_int_t)info.vocabulary, "unknown_rows", (json_int_t)info.unknown_rows, "missing_rows",
                   (json_int_t)info.missing_rows, "values", list);
}

/* ---- one value */

static int print_embedding(const dfm_model *model, size_t i, const inspect_options *o) {
  enum { CAPACITY = 4096 };
  float factors[CAPACITY];
  double first_order = NAN;
  size_t n = 0;
  bool is_unknown = false;
  dfm_error error;
  if (dfm_model_field(model, i).is_number)
    return cli_complain("field '%.100s' holds numbers, which have no weights of their own; name a category field",
                        o->field);
  if (dfm_model_embedding(model, i, o->value, strlen(o->value), &first_order, factors, CAPACITY, &n, &is_unknown,
                          &error) != DFM_OK)
    return cli_fail(&error);
  n = n > CAPACITY ? CAPACITY : n;
  if (o->is_json) {
    json_t *list = json_array();
    for (size_t k = 0; k < n; k++) json_array_append_new(list, cli_json_number((double)factors[k]));
    return cli_print_json(json_pack("{s:o, s:o, s:b, s:o, s:o}", "field", cli_json_text(o->field, strlen(o->field)),
                                    "value", cli_json_text(o->value, strlen(o->value)), "unknown", is_unknown,
                                    "first_order", cli_json_number(first_order), "factors", list));
  }
  char text[256], name[160];
  printf("%s = %s%s\n", cli_show(name, sizeof name, o->field, strlen(o->field)),
         shown_value(text, sizeof text, o->value, strlen(o->value)),
         is_unknown ? " (not in the vocabulary: the unknown value's weights)" : "");
  if (!isnan(first_order)) printf("first-order weight %.6g\n", first_order);
  if (n > 0) printf("factors");
  for (size_t k = 0; k < n; k++) printf(" %.6g", (double)factors[k]);
  if (n > 0) putchar('\n');
  return CLI_OK;
}

/* ---- the command */

static int find_field(const dfm_model *model, const char *name, size_t *i) {
  const size_t n = dfm_model_fields(model);
  const char **names = calloc(n + 1, sizeof *names);
  if (!names) return cli_complain("no memory for the names of %zu fields", n);
  for (*i = 0; *i < n; ++*i) {
    names[*i] = dfm_model_field(model, *i).name;
    if (strcmp(names[*i], name) == 0) break;
  }
  const char *nearest = *i < n ? NULL : cli_nearest(name, names, n);
  free(names);
  if (*i < n) return CLI_OK;
  return cli_complain("the model has no field '%.100s'; %s%s%s", name,
                      nearest ? "did you mean '" : "deepfm inspect MODEL lists them", nearest ? nearest : "",
                      nearest ? "'?" : "");
}

static int inspect_field(const dfm_model *model, const inspect_options *o) {
  size_t i = 0;
  int code = find_field(model, o->field, &i);
  if (code != CLI_OK) return code;
  if (o->value) return print_embedding(model, i, o);
  if (o->is_json) return cli_print_json(field_json(model, i, top_of(o)));
  print_field_title();
  code = print_field(model, i, 1);
  return code == CLI_OK && !dfm_model_field(model, i).is_number ? print_values(model, i, top_of(o)) : code;
}

static int inspect_all(const cli_call *call, const dfm_model *model) {
  const inspect_options *o = call->options;
  int code = CLI_OK;
  if (o->is_json) {
    json_t *list = json_array();
    for (size_t i = 0; i < dfm_model_fields(model); i++) json_array_append_new(list, field_json(model, i, top_of(o)));
    return cli_print_json(json_pack("{s:o, s:I, s:o, s:o}", "model",
                                    cli_json_text(call->argument[0], strlen(call->argument[0])), "parameters",
                                    (json_int_t)dfm_model_parameters(model), "validation",
                                    json_loads(dfm_model_metrics_json(model), 0, NULL), "fields", list));
  }
  print_field_title();
  for (size_t i = 0; i < dfm_model_fields(model) && code == CLI_OK; i++) code = print_field(model, i, top_of(o));
  return code;
}

/* A dataset file, and not a model: both are safetensors, and only a dataset opens as one. */
static bool is_dataset(const char *path) {
  dfm_recipe *recipe = NULL;
  if (!dfm_dataset_is_at(path) || dfm_recipe_create(&recipe, NULL) != DFM_OK) return false;
  const bool is_one = dfm_recipe_adopt(recipe, path, NULL) == DFM_OK;
  dfm_recipe_free(recipe);
  return is_one;
}

static int inspect_model(const cli_call *call) {
  const inspect_options *o = call->options;
  dfm_error error;
  dfm_model *model = NULL;
  const char *given = o->schema          ? "schema"
                      : o->label         ? "label"
                      : o->weight        ? "weight"
                      : o->format        ? "format"
                      : o->skip_bad_rows ? "skip-bad-rows"
                                         : NULL;
  if (call->n_arguments > 1)
    return cli_usage(call->command, "%s is a model, which is shown alone; give one file", call->argument[0]);
  if (given || call->n_assignments > 0 || call->recipe_path)
    return cli_usage(call->command, "%s is a model, whose columns and settings are settled; leave out %s%s",
                     call->argument[0], given ? "--" : "the settings", given ? given : "");
  if (o->value && !o->field) return cli_usage(call->command, "--value needs --field, since a value belongs to a field");
  if (dfm_model_load(call->argument[0], &model, &error) != DFM_OK) return cli_fail(&error);
  const int code = o->field ? inspect_field(model, o) : inspect_all(call, model);
  dfm_model_free(model);
  return code;
}

/* ---- rows */

static int find_stats(const dfm_stats *stats, const char *name, size_t *i) {
  const char **names = calloc(stats->n_fields + 1, sizeof *names);
  if (!names) return cli_complain("no memory for the names of %zu fields", stats->n_fields);
  for (*i = 0; *i < stats->n_fields; ++*i) {
    names[*i] = stats->fields[*i].name;
    if (strcmp(names[*i], name) == 0) break;
  }
  const char *nearest = *i < stats->n_fields ? NULL : cli_nearest(name, names, stats->n_fields);
  free(names);
  if (*i < stats->n_fields) return CLI_OK;
  return cli_complain("the rows have no field '%.100s'; %s%s%s", name,
                      nearest ? "did you mean '" : "leave out --field to see all of them", nearest ? nearest : "",
                      nearest ? "'?" : "");
}

static int show_stats(const inspect_options *o, const dfm_stats *stats) {
  size_t i = 0;
  const int code = o->field ? find_stats(stats, o->field, &i) : CLI_OK;
  if (code != CLI_OK) return code;
  if (o->is_json) return cli_print_json(o->field ? cli_field_stats_json(stats, i) : cli_stats_json(stats));
  if (o->field) {
    cli_print_field_stats(stats, i);
  } else {
    cli_print_stats(stats);
  }
  return CLI_OK;
}

static int inspect_rows(const cli_call *call) {
  const inspect_options *o = call->options;
  const cli_rows_options reading = {.label = o->label,
                                    .weight = o->weight,
                                    .format = o->format,
                                    .schema = o->schema,
                                    .threads = o->threads,
                                    .skip_bad_rows = o->skip_bad_rows};
  dfm_error error;
  dfm_stats *stats = NULL;
  cli_rows rows;
  if (o->value)
    return cli_usage(call->command, "--value is for models: rows have no weights; leave it out, or name a model");
  if (o->is_verified && !dfm_dataset_is_at(call->argument[0]))
    return cli_usage(call->command, "--verify is for dataset files: text is checked where it is read; leave it out");
  if (o->is_verified && dfm_dataset_verify(call->argument[0], &error) != DFM_OK) return cli_fail(&error);
  int code = cli_rows_open(call, &reading, &rows);
  if (code == CLI_OK &&
      dfm_dataset_stats(rows.train, rows.valid, (size_t)top_of(o), (int)o->threads, &stats, &error) != DFM_OK)
    code = cli_fail(&error);
  if (code == CLI_OK) code = show_stats(o, stats);
  dfm_stats_free(stats);
  cli_rows_clear(&rows);
  return code;
}

/* Models and datasets are both safetensors, and only a dataset opens as one. */
static int run(const cli_call *call) {
  const char *path = call->argument[0];
  return dfm_dataset_is_at(path) && !is_dataset(path) ? inspect_model(call) : inspect_rows(call);
}

const cli_command cli_inspect = {
    .name = "inspect",
    .arguments = "MODEL|DATA...",
    .help = "Shows a model's fields, vocabularies and weights, or what the fields of rows hold",
    .details =
        "Of a model: every field with the size of its vocabulary, the share of training rows whose value was unknown "
        "(under min_count) or missing, and its most frequent values; for number fields the transform. With --field one "
        "field in detail, with --value the weights of one raw value.\n"
        "Of rows (a dataset file, or text, which is read and settled as train would and not written): for each "
        "category field how many values were seen and how many have an id, the share of training cells under min_count "
        "and of validation cells without an id, the share of empty cells, and the most frequent values with their rows "
        "and label rate; for numbers range, mean, and quantiles, which are exact however many rows there are.",
    .example = "deepfm inspect rows.csv --field city --top 20",
    .run = run,
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .options_size = sizeof(inspect_options),
    .min_arguments = 1,
    .max_arguments = CLI_MANY,
    .takes_recipe = CLI_RECIPE_ROWS,
};
