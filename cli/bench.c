/* What comes in: the shape of a model. What goes out: how fast this machine trains it, and how near that is to its
 * best matrix multiply. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

enum { MAX_LAYERS = 16, MAX_UNITS = 65536 };

typedef struct bench_options {
  const char *model, *hidden;
  int64_t fields, width, ids, batch, threads, repeats;
  bool is_json;
} bench_options;

#define AT(member) offsetof(bench_options, member)
static const cli_option options[] = {
    {"model", 0, "NAME", "deepfm", "The model", CLI_TEXT, AT(model), 0, 0},
    {"fields", 0, "N", "26", "Category fields", CLI_INT, AT(fields), 1, 10000},
    {"width", 0, "K", "16", "Embedding width", CLI_INT, AT(width), 1, 1024},
    {"hidden", 0, "LIST", "400,400,400", "Units of the hidden layers", CLI_TEXT, AT(hidden), 0, 0},
    {"batch", 0, "B", "4096", "Rows of a batch", CLI_INT, AT(batch), 1, 1 << 20},
    {"ids", 0, "N", "1000000", "Ids of all fields together", CLI_INT, AT(ids), 1, INT64_C(4000000000)},
    {"threads", 0, "N", "0", "Threads; 0: one for each core", CLI_INT, AT(threads), 0, 1024},
    {"repeats", 0, "N", "5", "Measurements, of which the median, least and greatest are printed", CLI_INT, AT(repeats),
     1, 1000},
    {"json", 0, NULL, NULL, "Prints the result as one JSON object", CLI_SWITCH, AT(is_json), 0, 0},
};
#undef AT

static int parse_hidden(const cli_call *call, const char *text, int hidden[MAX_LAYERS], int *n) {
  const char *next = text;
  for (*n = 0; *next; ++*n) {
    char *end;
    const long units = strtol(next, &end, 10);
    if (*n == MAX_LAYERS || end == next || units < 1 || units > MAX_UNITS || (*end && *end != ',') ||
        (*end == ',' && !end[1]))
      return cli_usage(call->command,
                       "--hidden is '%.100s'; it must be up to %d whole numbers in [1, %d], such as 400,400", text,
                       (int)MAX_LAYERS, (int)MAX_UNITS);
    hidden[*n] = (int)units;
    next = *end ? end + 1 : end;
  }
  return CLI_OK;
}

static int print_json(const bench_options *o, const dfm_bench_result *r) {
  return cli_print_json(
      json_pack("{s:s, s:I, s:I, s:s, s:I, s:I, s:I, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "model", o->model,
                "fields", (json_int_t)o->fields, "width", (json_int_t)o->width, "hidden", o->hidden, "batch",
                (json_int_t)o->batch, "ids", (json_int_t)o->ids, "threads", (json_int_t)o->threads, "kernel", r->kernel,
                "rows_per_second", cli_json_number(r->rows_per_second), "rows_per_second_min",
                cli_json_number(r->rows_per_second_min), "rows_per_second_max", cli_json_number(r->rows_per_second_max),
                "net_gflops", cli_json_number(r->net_gflops), "peak_gflops", cli_json_number(r->peak_gflops),
                "peak_share", cli_json_number(r->peak_gflops > 0 ? r->net_gflops / r->peak_gflops : NAN),
                "bytes_per_id", cli_json_number(r->bytes_per_id)));
}

static void print_text(const bench_options *o, const dfm_bench_result *r) {
  char ids[CLI_SHORT], batch[CLI_SHORT], median[CLI_SHORT], least[CLI_SHORT], greatest[CLI_SHORT],
      threads[CLI_SHORT] = "one a core";
  if (o->threads > 0) cli_thousands(threads, o->threads);
  printf("model              %s, %lld fields, width %lld, hidden %s\n", o->model, (long long)o->fields,
         (long long)o->width, o->hidden);
  printf("training step      batch %s, %s ids, exact Adam, threads: %s, kernel %s\n", cli_thousands(batch, o->batch),
         cli_thousands(ids, o->ids), threads, r->kernel);
  printf("rows/s             %s (%s to %s in %lld runs)\n", cli_thousands(median, llround(r->rows_per_second)),
         cli_thousands(least, llround(r->rows_per_second_min)),
         cli_thousands(greatest, llround(r->rows_per_second_max)), (long long)o->repeats);
  if (r->peak_gflops > 0) { /* models without a net multiply no matrices */
    printf("net                %.1f GFLOP/s\n", r->net_gflops);
    printf("matrix multiply    %.1f GFLOP/s at best\n", r->peak_gflops);
    printf("share of the best  %.1f %%\n", 100 * r->net_gflops / r->peak_gflops);
  }
  printf("memory per id      %.1f bytes\n", r->bytes_per_id);
}

static int run(const cli_call *call) {
  const bench_options *o = call->options;
  int hidden[MAX_LAYERS], n_hidden;
  const int code = parse_hidden(call, o->hidden, hidden, &n_hidden);
  if (code != CLI_OK) return code;
  const dfm_bench_options shape = {.model = o->model,
                                   .fields = (int)o->fields,
                                   .width = (int)o->width,
                                   .ids = o->ids,
                                   .hidden = hidden,
                                   .n_hidden = n_hidden,
                                   .batch = (int)o->batch,
                                   .threads = (int)o->threads,
                                   .repeats = (int)o->repeats};
  dfm_bench_result result;
  dfm_error error;
  if (dfm_bench_train(&shape, &result, &error) != DFM_OK) return cli_fail(&error);
  if (o->is_json) return print_json(o, &result);
  print_text(o, &result);
  return CLI_OK;
}

const cli_command cli_bench = {
    .name = "bench",
    .arguments = "",
    .help = "Measures the speed of training on this machine",
    .details =
        "Times whole training steps (exact Adam) on random encoded rows in memory, and the best rate of matrix "
        "multiplies of the net's "
        "own shapes. Nothing is read or written.",
    .example = "deepfm bench --hidden 400,400,400 --batch 4096",
    .run = run,
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .options_size = sizeof(bench_options),
};
