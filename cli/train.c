/* What comes in: a file of rows, settings, a path. What goes out: a model file there, and what a person wants to know
 * of how it was made. */
#include <math.h>
#include <signal.h>
#include <string.h>

#include "memory.h"
#include "progress.h"
#include "report.h"
#include "rows.h"

typedef struct train_options {
  const char *valid, *schema, *label, *weight, *format, *cache, *output, *init, *checkpoint, *resume, *history, *from;
  int64_t checkpoint_every, eval_every, window, admit, expire_after, threads, skip_bad_rows;
  bool keeps_state, has_no_cache, is_progressive, is_quiet, is_json;
} train_options;

#define AT(member) offsetof(train_options, member)
static const cli_option options[] = {
    {"output", 'o', "FILE", "model.safetensors", "The model", CLI_TEXT, AT(output), 0, 0},
    {"valid", 0, "FILE", NULL, "Rows to validate with, instead of a share of DATA; a file, or a quoted pattern",
     CLI_TEXT, AT(valid), 0, 0},
    CLI_COLUMN_OPTIONS,
    {"schema", 0, "FILE", NULL,
     "What the columns are, in YAML; guessed from DATA where it is left out; a dataset file has its own", CLI_TEXT,
     AT(schema), 0, 0},
    {"cache", 0, "DIR", NULL,
     "Keeps the encoded rows there, and takes them from there the next time, as long as DATA, schema and settings that "
     "shape rows are the same; where it is left out, text of 64 MB or more is kept so beside the output",
     CLI_TEXT, AT(cache), 0, 0},
    {"no-cache", 0, NULL, NULL, "Neither keeps encoded rows nor takes kept ones", CLI_SWITCH, AT(has_no_cache), 0, 0},
    {"from", 0, "MODEL", NULL,
     "Goes on from this model (or checkpoint) with DATA as new rows: columns, shape and vocabularies are its own",
     CLI_TEXT, AT(from), 0, 0},
    {"admit", 0, "N", "0",
     "With --from: new values that N rows of DATA have get an id; 0: as each field was trained, min_count", CLI_INT,
     AT(admit), 0, INT64_MAX},
    {"expire-after", 0, "N", "0",
     "With --from: values that the last N rows trained on lack lose their id and are unknown again; 0: none does",
     CLI_INT, AT(expire_after), 0, UINT32_MAX - 1},
    {"keep-state", 0, NULL, NULL, "The model keeps the optimizer's state too, for --from to go on exactly", CLI_SWITCH,
     AT(keeps_state), 0, 0},
    {"init", 0, "FILE", NULL, "Initial weights by tensor name, safetensors", CLI_TEXT, AT(init), 0, 0},
    {"checkpoint", 0, "FILE", NULL, "Where to keep the state of training, to resume from", CLI_TEXT, AT(checkpoint), 0,
     0},
    {"checkpoint-every", 0, "STEPS", "0", "Steps between checkpoints; 0: at the end of each epoch", CLI_INT,
     AT(checkpoint_every), 0, INT64_MAX},
    {"resume", 0, "FILE", NULL,
     "A checkpoint of the same data and recipe to go on from; training metrics of an epoch that was broken off then "
     "cover the rows from there on",
     CLI_TEXT, AT(resume), 0, 0},
    {"history", 0, "FILE", NULL, "Metrics of each epoch, as JSON lines", CLI_TEXT, AT(history), 0, 0},
    {"eval-every", 0, "STEPS", "0", "Steps between additional evaluations; 0: at the end of each epoch only", CLI_INT,
     AT(eval_every), 0, INT64_MAX},
    CLI_SKIP_BAD_ROWS_OPTION,
    {"progressive", 0, NULL, NULL,
     "Scores each batch of the first epoch before it is trained on; unless told otherwise, one epoch in the order of "
     "DATA and no validation rows",
     CLI_SWITCH, AT(is_progressive), 0, 0},
    {"window", 0, "ROWS", "0", "With --progressive: rows measured together; 0: a twentieth of DATA, and 1000 at least",
     CLI_INT, AT(window), 0, INT64_MAX},
    {"threads", 0, "N", "0", "Threads; 0: one for each core. The model does not depend on it", CLI_INT, AT(threads), 0,
     1024},
    {"quiet", 'q', NULL, NULL, "Says nothing but errors", CLI_SWITCH, AT(is_quiet), 0, 0},
    {"json", 0, NULL, NULL, "Prints the result as one JSON object", CLI_SWITCH, AT(is_json), 0, 0},
};
#undef AT

/* What a run owns, freed together. */
typedef struct train_run {
  const cli_call *call;
  const train_options *options;
  cli_rows rows;
  dfm_trainer *trainer;
  dfm_run_result result;
  cli_progress progress;
  cli_memory memory;
  double started, first_step; /* when the command began, and when its first step was done; 0: not yet */
} train_run;

static void release(train_run *run) {
  dfm_trainer_free(run->trainer);
  cli_rows_clear(&run->rows);
}

/* ---- stopping: the first signal asks, the second one kills */

static volatile sig_atomic_t is_stop_wanted;

static void want_stop(int signal_number) {
  (void)signal_number;
  is_stop_wanted = 1;
}

static void catch_signals(void) {
  struct sigaction action = {.sa_handler = want_stop, .sa_flags = (int)SA_RESETHAND | SA_RESTART};
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}

static bool on_progress(void *context, const dfm_progress *now) {
  train_run *run = context;
  if (run->first_step <= 0) run->first_step = cli_now_seconds();
  cli_progress_show(&run->progress, now);
  return is_stop_wanted != 0;
}

/* ---- stages */

/* What the run writes lies apart from what it reads, and each from the others. */
static int check_places(const cli_call *call) {
  const train_options *o = call->options;
  const struct {
    const char *flag, *path;
  } written[] = {{"output", o->output}, {"checkpoint", o->checkpoint}, {"history", o->history}};
  int code = CLI_OK;
  for (int i = 0; i < 3 && code == CLI_OK; i++) {
    const char *flag = written[i].flag, *path = written[i].path;
    if (path && strcmp(path, "-") == 0)
      return cli_usage(call->command,
                       "--%s cannot go to standard output, since it is written more than once; name a file", flag);
    code = cli_check_folder(flag, path);
    if (code == CLI_OK) code = cli_keep_data(call, 0, flag, path);
    if (code == CLI_OK) code = cli_keep_apart(call, flag, path, "the rows of --valid", o->valid);
    if (code == CLI_OK) code = cli_keep_apart(call, flag, path, "the schema", o->schema);
    if (code == CLI_OK) code = cli_keep_apart(call, flag, path, "the model of --from", o->from);
    if (code == CLI_OK && i != 1) code = cli_keep_apart(call, flag, path, "the checkpoint of --resume", o->resume);
    for (int j = 0; j < i && code == CLI_OK; j++)
      code = cli_keep_apart(call, flag, path, j == 0 ? "the model" : "the checkpoint", written[j].path);
  }
  return code;
}

/* What training gets, but the model to go on from. */
static dfm_run_options run_options(train_run *run) {
  const train_options *o = run->options;
  return (dfm_run_options){.model_path = o->output,
                           .checkpoint_path = o->checkpoint,
                           .checkpoint_every = o->checkpoint_every,
                           .history_path = o->history,
                           .init_path = o->init,
                           .resume_path = o->resume,
                           .keep_state = o->keeps_state,
                           .is_progressive = o->is_progressive,
                           .window = o->window,
                           .eval_every = o->eval_every,
                           .threads = (int)o->threads,
                           .on_progress = on_progress,
                           .context = run};
}

static int read_rows(const cli_call *call, train_run *run) {
  const train_options *o = run->options;
  const dfm_run_options training = run_options(run);
  const cli_rows_options reading = {.valid = o->valid,
                                    .schema = o->schema,
                                    .label = o->label,
                                    .weight = o->weight,
                                    .format = o->format,
                                    .threads = o->threads,
                                    .skip_bad_rows = o->skip_bad_rows,
                                    .cache = o->cache,
                                    .may_keep = !o->has_no_cache,
                                    .from = o->from,
                                    .growth = {.admit = o->admit, .expire_after = o->expire_after},
                                    .is_progressive = o->is_progressive,
                                    .run = &training,
                                    .output = o->output};
  return cli_rows_read(call, &reading, &run->rows);
}

static void warn_of_one_class(const train_run *run) {
  const dfm_dataset *parts[] = {run->rows.train, run->rows.valid};
  static const char *const names[] = {"training", "validation"};
  for (int i = 0; i < 2; i++) {
    if (!parts[i]) continue;
    char count[CLI_SHORT];
    const int64_t rows = dfm_dataset_rows(parts[i]), positives = dfm_dataset_positives(parts[i]);
    if (positives == 0 || positives == rows)
      cli_warn("all %s %s rows have label %d, so AUC is undefined; check the label column", cli_thousands(count, rows),
               names[i], positives > 0);
  }
}

static void warn_of_emulation(const train_run *run) {
  bool is_emulated;
  (void)dfm_trainer_precision(run->trainer, &is_emulated);
  if (is_emulated)
    cli_warn(
        "this CPU, kernel or build has no bf16, so it is emulated, slower than float32; set precision to auto for "
        "float32 here");
}

static void say_what_was_read(const train_run *run) {
  char rows[CLI_SHORT], valid_rows[CLI_SHORT], share[CLI_SHORT];
  const int64_t n_train = dfm_dataset_rows(run->rows.train),
                n_valid = run->rows.valid ? dfm_dataset_rows(run->rows.valid) : 0;
  const int64_t positives =
      dfm_dataset_positives(run->rows.train) + (run->rows.valid ? dfm_dataset_positives(run->rows.valid) : 0);
  size_t numbers = 0;
  const size_t fields = dfm_dataset_fields(run->rows.train);
  for (size_t i = 0; i < fields; i++) numbers += dfm_dataset_field(run->rows.train, i).is_number;
  fprintf(stderr,
          "Read %s%s%s: %s rows to train on, %s to validate with, %s positive; %zu category and %zu number fields\n",
          dfm_input_name(run->rows.input), run->rows.valid_input ? " and " : "",
          run->rows.valid_input ? dfm_input_name(run->rows.valid_input) : "", cli_thousands(rows, n_train),
          run->rows.valid ? cli_thousands(valid_rows, n_valid) : "none",
          cli_percent(share, positives, n_train + n_valid), fields - numbers, numbers);
}

static void say_cache(const train_run *run) {
  if (run->rows.cache_note)
    fprintf(stderr, "%s%s\n", run->rows.cache_note, run->options->cache ? "" : "; --no-cache does without");
}

static void say_from_what(const train_run *run) {
  char kept[CLI_SHORT], admitted[CLI_SHORT], expired[CLI_SHORT], steps[CLI_SHORT], name[CLI_QUOTED];
  const dfm_growth *growth = &run->rows.growth;
  const int64_t n = dfm_model_state_steps(run->rows.from);
  fprintf(stderr, "Going on from %s, ", cli_quoted(name, run->options->from));
  if (n > 0)
    fprintf(stderr, "with its optimizer's state after %s steps", cli_thousands(steps, n));
  else
    fputs("whose file keeps no optimizer state (--keep-state), so the optimizer starts anew", stderr);
  fprintf(stderr, "; %s values kept, %s admitted, %s expired\n", cli_thousands(kept, growth->kept),
          cli_thousands(admitted, growth->admitted), cli_thousands(expired, growth->expired));
}

static int say_summary(const train_run *run) {
  dfm_error error;
  char *text = NULL;
  if (dfm_trainer_summary(run->trainer, &text, &error) != DFM_OK) return cli_fail(&error);
  fprintf(stderr, "\n%s\n", text);
  dfm_string_free(text);
  return CLI_OK;
}

static int train(train_run *run) {
  dfm_error error;
  dfm_run_options how = run_options(run);
  how.from = run->rows.from;
  cli_progress_start(&run->progress, run->options->is_quiet);
  catch_signals();
  const dfm_status status = dfm_trainer_run(run->trainer, &how, &run->result, &error);
  cli_progress_end(&run->progress);
  return status == DFM_OK ? CLI_OK : cli_fail(&error);
}

/* ---- what is said at the end */

static void say_kept(const train_run *run) {
  const dfm_run_result *r = &run->result;
  char seconds[CLI_SHORT], steps[CLI_SHORT], loss[CLI_SHORT], auc[CLI_SHORT];
  const bool is_solved = !isnan(r->objective);
  if (!is_solved) fputc('\n', stderr); /* below the epochs */
  if (r->stopped)
    fprintf(stderr, "Stopped on request after %s step%s. ", cli_thousands(steps, r->steps), r->steps == 1 ? "" : "s");
  if (r->stopped_early) fprintf(stderr, "Stopped early, since the monitor no longer improved. ");
  if (is_solved)
    fprintf(stderr, "Solved: objective %.6f", r->objective);
  else if (r->best_epoch > r->epochs)
    fprintf(stderr, "Kept epoch %d, cut short", r->best_epoch);
  else if (r->best_epoch > 0)
    fprintf(stderr, "Kept epoch %d of %d", r->best_epoch, r->epochs);
  else
    fprintf(stderr, "Kept the last state");
  if (r->has_valid)
    fprintf(stderr, "%s val_loss %s, val_auc %s", is_solved ? ";" : ":", cli_metric(loss, r->valid.logloss),
            cli_auc(auc, r->valid.auc, r->valid.auc_error, 6));
  fprintf(stderr, ". %s\n", cli_duration(seconds, r->seconds));
}

static void say_progressive(const dfm_metrics *m) {
  char rows[CLI_SHORT], loss[CLI_SHORT], auc[CLI_SHORT], calibration[CLI_SHORT];
  fprintf(stderr, "Progressive validation of %s rows: log loss %s, AUC %s, predicted / observed %s.\n",
          cli_thousands(rows, m->rows), cli_metric(loss, m->logloss), cli_metric(auc, m->auc),
          cli_metric(calibration, cli_calibration(m)));
}

static void say_next(const train_run *run) {
  char model[CLI_QUOTED], data[CLI_QUOTED];
  cli_quoted(model, run->options->output);
  if (run->options->valid)
    cli_quoted_data(data, &run->options->valid, 1);
  else
    cli_quoted_data(data, run->call->argument, run->call->n_arguments);
  fprintf(stderr, "Saved %s. Next%s:\n", model,
          run->options->valid ? "" : " (judge it by rows that training has not seen, if you have some)");
  fprintf(stderr, "  deepfm eval %s %s\n", model, data);
  fprintf(stderr, "  deepfm predict %s %s -o predictions.txt\n", model, data);
  fprintf(stderr, "  deepfm summary %s\n", model);
  fprintf(stderr, "  deepfm inspect %s\n", model);
}

static int print_result(const train_run *run) {
  const dfm_run_result *r = &run->result;
  bool is_emulated;
  json_t *valid = r->has_valid ? cli_json_metrics(&r->valid) : json_null();
  const dfm_growth *g = &run->rows.growth;
  json_t *growth = run->rows.from ? json_pack("{s:I, s:I, s:I}", "kept", (json_int_t)g->kept, "admitted",
                                              (json_int_t)g->admitted, "expired", (json_int_t)g->expired)
                                  : json_null();
  json_t *progressive = r->has_progressive ? cli_json_metrics(&r->progressive) : json_null();
  const int64_t n_valid = run->rows.valid ? dfm_dataset_rows(run->rows.valid) : 0;
  json_t *json = json_pack("{s:o, s:I, s:I, s:I, s:i, s:i, s:I, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:I}", "model",
                           cli_json_text(run->options->output, strlen(run->options->output)), "train_rows",
                           (json_int_t)dfm_dataset_rows(run->rows.train), "train_positives",
                           (json_int_t)dfm_dataset_positives(run->rows.train), "valid_rows", (json_int_t)n_valid,
                           "epochs", r->epochs, "best_epoch", r->best_epoch, "steps", (json_int_t)r->steps, "stopped",
                           r->stopped, "stopped_early", r->stopped_early, "growth", growth, "valid", valid,
                           "progressive", progressive, "seconds", cli_json_number(r->seconds), "objective",
                           cli_json_number(r->objective), "memory_tables", (json_int_t)r->memory_tables);
  const char *note = run->rows.cache_note, *precision = dfm_trainer_precision(run->trainer, &is_emulated);
  const double first_step = run->first_step > 0 ? run->first_step - run->started : NAN;
  json_object_set_new(json, "precision", json_string(precision));
  json_object_set_new(json, "precision_emulated", json_boolean(is_emulated));
  json_object_set_new(json, "first_step_seconds", cli_json_number(first_step));
  if (note) json_object_set_new(json, "cache", cli_json_text(note, strlen(note)));
  cli_memory_add(&run->memory, json);
  return cli_print_json(json);
}

static int check_options(const cli_call *call) {
  const train_options *o = call->options;
  if (o->window > 0 && !o->is_progressive)
    return cli_usage(call->command, "--window is for --progressive; give both, or leave --window out");
  const char *growing = o->admit > 0 ? "admit" : o->expire_after > 0 ? "expire-after" : NULL;
  if (growing && !o->from)
    return cli_usage(call->command,
                     "--%s is for --from, whose vocabularies grow; give both, or leave --%s out (for a "
                     "new model min_count says which values get an id)",
                     growing, growing);
  if (o->init && o->from)
    return cli_usage(call->command, "--init and --from exclude each other; leave one of them out");
  if (o->cache && o->has_no_cache)
    return cli_usage(call->command, "--cache and --no-cache exclude each other; leave one of them out");
  if (o->cache && o->from)
    return cli_usage(
        call->command,
        "--cache keeps rows as a new model encodes them, and --from encodes them as its own; leave one of them out");
  return CLI_OK;
}

static int run_stages(const cli_call *call, train_run *run) {
  dfm_error error;
  const train_options *o = run->options;
  int code = check_options(call);
  if (code == CLI_OK) code = check_places(call);
  if (code == CLI_OK) code = read_rows(call, run);
  if (code != CLI_OK) return code;
  warn_of_one_class(run);
  if (!o->is_quiet) say_cache(run);
  if (!o->is_quiet) say_what_was_read(run);
  if (!o->is_quiet && o->from) say_from_what(run);
  if (dfm_trainer_create(run->rows.recipe, run->rows.train, run->rows.valid, &run->trainer, &error) != DFM_OK)
    return cli_fail(&error);
  warn_of_emulation(run);
  if (!o->is_quiet) code = say_summary(run);
  if (code == CLI_OK) code = train(run);
  cli_memory_stop(&run->memory);
  if (code != CLI_OK) return code;
  if (!o->is_quiet) {
    say_kept(run);
    if (run->result.has_progressive) say_progressive(&run->result.progressive);
    say_next(run);
  }
  return o->is_json ? print_result(run) : CLI_OK;
}

static int run(const cli_call *call) {
  train_run state = {.call = call, .options = call->options, .started = cli_now_seconds()};
  cli_memory_start(&state.memory, state.options->is_json);
  const int code = run_stages(call, &state);
  cli_memory_stop(&state.memory);
  release(&state);
  return code;
}

const cli_command cli_train = {
    .name = "train",
    .arguments = "DATA...",
    .help = "Trains a model on text or a dataset file and saves it",
    .details =
        "Reads DATA (delimited text, libsvm, libffm or JSON lines, plain or compressed by gzip or zstd, or - for the "
        "standard input; or one file that "
        "deepfm encode wrote), guesses what its columns are (or takes a schema), holds out a share of the rows for "
        "validation, "
        "trains, and keeps "
        "the best epoch in one file that takes raw rows. Without any option: DeepFM with sensible defaults, saved as "
        "model.safetensors.\n"
        "With --from it trains a model further on new rows, with --progressive it scores each row before it learns "
        "from it "
        "(docs/grow.md).\n"
        "Ctrl-C (or SIGTERM) stops after the current batch, saves the model and exits with 0; a second one ends the "
        "program at once. "
        "The same data, recipe and seed give the same bytes at any number of threads.",
    .example = "deepfm train rows.csv --valid valid.csv --epochs 5 --batch-size 4096 -o model.safetensors",
    .run = run,
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .options_size = sizeof(train_options),
    .min_arguments = 1,
    .max_arguments = CLI_MANY,
    .takes_recipe = CLI_RECIPE_WHOLE,
};
