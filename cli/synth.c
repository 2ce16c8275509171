/* What comes in: a seed and a number of rows. What goes out: Criteo-like text, made by several threads, the same for
 * any number of them. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { ROWS_PER_SLAB = 8192, MAX_THREADS = 64 };

typedef struct synth_options {
  int64_t rows, seed, threads;
  const char *output;
  bool with_truth;
} synth_options;

#define AT(member) offsetof(synth_options, member)
static const cli_option options[] = {
    {"rows", 0, "N", "100000", "How many rows", CLI_INT, AT(rows), 0, INT64_MAX},
    {"seed", 0, "S", "1", "Another seed gives other rows from the same teacher", CLI_INT, AT(seed), 0, INT64_MAX},
    {"with-truth", 0, NULL, NULL, "Adds a column `truth` with each row's true probability; a guessed schema ignores it",
     CLI_SWITCH, AT(with_truth), 0, 0},
    {"output", 'o', "FILE", NULL, "Where to write; standard output where it is left out", CLI_TEXT, AT(output), 0, 0},
    {"threads", 0, "N", "0", "Threads; 0: one for each core", CLI_INT, AT(threads), 0, MAX_THREADS},
};
#undef AT

/* Rows that one thread makes while the others make theirs. */
typedef struct slab {
  const dfm_synth *synth;
  uint64_t first;
  size_t n, size_bytes;
  bool with_truth, is_thread;
  char *buffer;
  pthread_t thread;
} slab;

static void *make_slab(void *context) {
  slab *s = context;
  s->size_bytes = dfm_synth_rows(s->synth, s->first, s->n, s->with_truth, s->buffer);
  return NULL;
}

/* Makes the rows from `first` on, slab beside slab; a slab whose thread cannot be had is made here. Returns the first
 * row after them. */
static uint64_t make_slabs(slab *slabs, int n_slabs, uint64_t first, uint64_t end) {
  for (int i = 0; i < n_slabs; i++) {
    const uint64_t left = end - first;
    slabs[i].first = first;
    slabs[i].n = left < ROWS_PER_SLAB ? (size_t)left : ROWS_PER_SLAB;
    first += slabs[i].n;
    slabs[i].is_thread = i > 0 && slabs[i].n > 0 && pthread_create(&slabs[i].thread, NULL, make_slab, &slabs[i]) == 0;
  }
  for (int i = 0; i < n_slabs; i++) {
    if (slabs[i].is_thread)
      pthread_join(slabs[i].thread, NULL);
    else
      make_slab(&slabs[i]);
  }
  return first;
}

static int write_rows(cli_output *output, slab *slabs, int n_slabs, uint64_t n) {
  int code = CLI_OK;
  for (uint64_t first = 0; first < n && code == CLI_OK;) {
    first = make_slabs(slabs, n_slabs, first, n);
    for (int i = 0; i < n_slabs && code == CLI_OK; i++)
      code = cli_output_write(output, slabs[i].buffer, slabs[i].size_bytes);
  }
  return code;
}

static int thread_count(int64_t wanted) {
  const int64_t n = wanted > 0 ? wanted : dfm_cores();
  return n < 1 ? 1 : n > MAX_THREADS ? MAX_THREADS : (int)n;
}

static int write_all(const synth_options *o, const dfm_synth *synth, cli_output *output) {
  slab slabs[MAX_THREADS];
  const int n_slabs = thread_count(o->threads);
  const size_t room = (size_t)ROWS_PER_SLAB * DFM_SYNTH_ROW_BYTES;
  char *buffers = malloc((size_t)n_slabs * room);
  if (!buffers) return cli_complain("no memory for %d threads; give --threads 1", n_slabs);
  for (int i = 0; i < n_slabs; i++)
    slabs[i] = (slab){.synth = synth, .with_truth = o->with_truth, .buffer = buffers + (size_t)i * room};
  const char *header = dfm_synth_header(o->with_truth);
  int code = cli_output_write(output, header, strlen(header));
  if (code == CLI_OK) code = write_rows(output, slabs, n_slabs, (uint64_t)o->rows);
  free(buffers);
  return code;
}

static int run(const cli_call *call) {
  const synth_options *o = call->options;
  dfm_error error;
  dfm_synth *synth = NULL;
  cli_output output = {0};
  if (dfm_synth_create((uint64_t)o->seed, &synth, &error) != DFM_OK) return cli_fail(&error);
  int code = cli_output_open(&output, o->output);
  if (code == CLI_OK) code = write_all(o, synth, &output);
  code = cli_output_close(&output, code);
  dfm_synth_free(synth);
  return code;
}

const cli_command cli_synth = {
    .name = "synth",
    .arguments = "",
    .help = "Makes Criteo-like rows whose true probabilities are known",
    .details =
        "Prints delimited text with a header, 13 number and 26 category fields, drawn from a known teacher "
        "(docs/synth.md). Row i depends "
        "on the seed and i alone, so a longer file begins with a shorter one.",
    .example = "deepfm synth --rows 1000000 --with-truth -o rows.csv",
    .run = run,
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .options_size = sizeof(synth_options),
};
