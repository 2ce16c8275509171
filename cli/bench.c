/* What comes in: the name of a shape. What goes out: how fast this machine trains and scores models of that shape,
 * part by part, and how near that is to its limits. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

enum { MAX_LAYERS = 16, MAX_UNITS = 65536 };

typedef struct bench_options {
  const char *shape, *model, *hidden;
  int64_t width, ids, batch, threads, repeats, milliseconds;
  bool is_json;
} bench_options;

#define AT(member) offsetof(bench_options, member)
static const cli_option options[] = {
    {"shape", 0, "NAME", "M", "S, M, L, XL, W (wide models) or all", CLI_TEXT, AT(shape), 0, 0},
    {"model", 0, "NAME", "all", "The model, or all", CLI_TEXT, AT(model), 0, 0},
    {"width", 0, "K", "0", "Embedding width; 0: the shape's", CLI_INT, AT(width), 0, 1024},
    {"hidden", 0, "LIST", NULL, "Units of the hidden layers, such as 400,400,400", CLI_TEXT, AT(hidden), 0, 0},
    {"ids", 0, "N", "0", "Ids of all fields together; 0: the shape's", CLI_INT, AT(ids), 0, INT32_MAX},
    {"batch", 0, "B", "0", "Rows of a batch; 0: the shape's", CLI_INT, AT(batch), 0, 1 << 20},
    {"threads", 0, "N", "0", "Threads; 0: one for each core", CLI_INT, AT(threads), 0, 1024},
    {"repeats", 0, "N", "5", "Measurements of each thing, by turns", CLI_INT, AT(repeats), 1, DFM_BENCH_REPEATS},
    {"milliseconds", 0, "N", "500", "Least time of one measurement", CLI_INT, AT(milliseconds), 1, 60000},
    {"json", 0, NULL, NULL, "Prints the results as one JSON object", CLI_SWITCH, AT(is_json), 0, 0},
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

/* The processor's name; what system and architecture it is where it has none. */
static void cpu_name(char name[128]) {
  char line[256];
  FILE *file = fopen("/proc/cpuinfo", "r");
  snprintf(name, 128, "processor without a name");
  while (file && fgets(line, sizeof line, file)) {
    const char *colon = strchr(line, ':');
    if (strncmp(line, "model name", 10) != 0 || !colon) continue;
    line[strcspn(line, "\n")] = '\0';
    snprintf(name, 128, "%.120s", colon + 2);
    break;
  }
  if (file) fclose(file);
}

/* ---- results as they come */

typedef struct bench_report {
  const bench_options *options;
  const char *kernel;
  char cpu[128];
  bool has_head;             /* the table's head is printed: with its first line, so that what is refused prints none */
  char shape[16], model[16]; /* of the line before */
  json_t *measures;          /* NULL: printed at once */
  bool is_closed;            /* who reads has gone */
} bench_report;

static void add_json(json_t *measures, const dfm_measure *m) {
  json_array_append_new(
      measures, json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:s?, s:o, s:o, s:o}", "shape", m->shape, "model",
                          m->model, "what", m->what, "unit", m->unit, "median", cli_json_number(m->median), "least",
                          cli_json_number(m->least), "greatest", cli_json_number(m->greatest), "bound", m->bound,
                          "limit", cli_json_number(m->limit), "share_of_limit", cli_json_number(m->limit_share),
                          "share_of_time", cli_json_number(m->time_share)));
}

/* Three digits, or whole thousands: 0.874, 93.2, 112,345. */
static const char *short_number(char out[CLI_SHORT], double value) {
  if (fabs(value) >= 1000) return cli_thousands(out, llround(value));
  snprintf(out, CLI_SHORT, "%.*f", fabs(value) >= 100 ? 0 : fabs(value) >= 10 ? 1 : 3, value);
  return out;
}

static void print_line(bench_report *report, const dfm_measure *m) {
  char median[CLI_SHORT], least[CLI_SHORT], greatest[CLI_SHORT], limit[CLI_SHORT] = "", share[CLI_SHORT] = "",
                                                                 part[CLI_SHORT] = "";
  if (strcmp(report->shape, m->shape) != 0 || strcmp(report->model, m->model) != 0)
    printf("\n%s %s\n", m->shape, m->model);
  snprintf(report->shape, sizeof report->shape, "%s", m->shape);
  snprintf(report->model, sizeof report->model, "%s", m->model);
  if (isnan(m->median)) { /* what is not here */
    printf("%s\n", m->what);
    return;
  }
  if (m->limit > 0) {
    short_number(limit, m->limit);
    snprintf(share, sizeof share, "%.1f %%", 100 * m->limit_share);
  }
  if (!isnan(m->time_share)) snprintf(part, sizeof part, "%.1f %%", 100 * m->time_share);
  printf("%-30s %10s %10s %10s %-8s %10s %8s %8s  %s\n", m->what, short_number(median, m->median),
         short_number(least, m->least), short_number(greatest, m->greatest), m->unit, limit, share, part,
         m->bound ? m->bound : "");
  errno = 0;
  report->is_closed |= fflush(stdout) != 0 && errno == EPIPE;
}

static void print_head(const bench_report *report) {
  const bench_options *o = report->options;
  char threads[CLI_SHORT] = "one for each core";
  if (o->threads > 0) cli_thousands(threads, o->threads);
  printf("%s, kernels %s, threads: %s\n\n", report->cpu, report->kernel, threads);
  printf("%-30s %10s %10s %10s %-8s %10s %8s %8s  %s\n", "", "median", "least", "greatest", "", "limit", "of limit",
         "of time", "limit is");
}

static void report_measure(void *context, const dfm_measure *measure) {
  bench_report *report = context;
  if (report->is_closed) return;
  if (report->measures) {
    add_json(report->measures, measure);
    return;
  }
  if (!report->has_head) print_head(report);
  report->has_head = true;
  print_line(report, measure);
}

static int run(const cli_call *call) {
  const bench_options *o = call->options;
  bench_report report = {.options = o};
  dfm_error error;
  int hidden[MAX_LAYERS], n_hidden = 0;
  const int code = o->hidden ? parse_hidden(call, o->hidden, hidden, &n_hidden) : CLI_OK;
  if (code != CLI_OK) return code;
  const dfm_bench_options what = {.shape = o->shape,
                                  .model = o->model,
                                  .width = (int)o->width,
                                  .hidden = o->hidden ? hidden : NULL,
                                  .n_hidden = n_hidden,
                                  .ids = o->ids,
                                  .batch = (int)o->batch,
                                  .threads = (int)o->threads,
                                  .repeats = (int)o->repeats,
                                  .seconds = (double)o->milliseconds / 1000};
  if (dfm_bench_kernel(&report.kernel, &error) != DFM_OK) return cli_fail(&error);
  cpu_name(report.cpu);
  if (o->is_json) report.measures = json_array();
  if (dfm_bench_run(&what, report_measure, &report, &error) != DFM_OK) {
    json_decref(report.measures);
    /* There is no input but the options. */
    return error.code == DFM_ERROR_VALUE ? cli_usage(call->command, "%s", error.message) : cli_fail(&error);
  }
  if (!o->is_json) return report.is_closed ? CLI_CLOSED : CLI_OK;
  return cli_print_json(json_pack("{s:s, s:s, s:I, s:I, s:I, s:o}", "cpu", report.cpu, "kernel", report.kernel,
                                  "threads", (json_int_t)o->threads, "repeats", (json_int_t)o->repeats, "milliseconds",
                                  (json_int_t)o->milliseconds, "measures", report.measures));
}

const cli_command cli_bench = {
    .name = "bench",
    .arguments = "",
    .help = "Measures the speed of training and scoring on this machine, beside its limits",
    .details =
        "Measures limits (matrix multiplies of the net's own shapes in float32, oneDNN's where the build has it, and, "
        "where the CPU has it, in bfloat16, "
        "memory, random access to rows of tables), then whole training steps in both and their "
        "parts, the cost of exact Adam, of a large vocabulary and of one thread alone, scoring and memory, on random "
        "encoded rows in memory. Each "
        "figure is the median of several, taken by turns, with the least and the greatest, beside the limit that binds "
        "it. Nothing is read or "
        "written.\n"
        "Shapes are S (k 4, 256-256-128, 40 k ids, batch 256), M (k 10, 3 x 400, 1 M ids), L (k 16, 3 x 400, 10 M "
        "ids), XL (k 16, 5 x 1000, 10 M "
        "ids), all of 26 categories and 13 numbers, exact Adam, batch 4096 and each id as frequent as any other; and "
        "W, wide models (lr, fm k 8, ffm "
        "k 4) of 39 categories under AdaGrad, batch 256, ids by a power law.",
    .example = "deepfm bench --shape L --model deepfm",
    .run = run,
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .options_size = sizeof(bench_options),
};
