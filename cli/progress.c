/* What comes in: a trainer's state after each batch. What goes out: what a person waiting wants to see of it. */
#include "progress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "report.h"

/* Often enough to look alive, seldom enough to cost nothing. */
#define SECONDS_BETWEEN_DRAWS 0.1

double cli_now_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int terminal_width(void) {
  struct winsize size;
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

void cli_progress_start(cli_progress *progress, bool is_quiet) {
  const char *term = getenv("TERM");
  *progress =
      (cli_progress){.is_quiet = is_quiet, .is_terminal = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0};
}

void cli_progress_end(cli_progress *progress) {
  if (progress->has_bar) fputs("\r\033[K", stderr);
  progress->has_bar = false;
}

static void draw_bar(cli_progress *progress, const dfm_progress *p) {
  enum { CELLS = 24 };
  static const char done[] = "========================", rest[] = "........................";
  char batch[CLI_SHORT], batches[CLI_SHORT], left[CLI_SHORT], rate[CLI_SHORT], line[256];
  const double share = p->batches > 0 ? (double)p->batch / (double)p->batches : 0;
  const int cells = share > 1 ? CELLS : (int)(share * CELLS);
  const double seconds_left = p->batch > 0 ? p->seconds / (double)p->batch * (double)(p->batches - p->batch) : 0;
  snprintf(line, sizeof line, "Epoch %d/%d  [%.*s%.*s] %s/%s  %s left  %s rows/s  loss %.4f", p->epoch, p->epochs,
           cells, done, CELLS - cells, rest, cli_thousands(batch, p->batch), cli_thousands(batches, p->batches),
           cli_duration(left, seconds_left), cli_thousands(rate, llround(p->rows_per_second)), p->train.logloss);
  fprintf(stderr, "\r%.*s\033[K", terminal_width() - 1, line);
  progress->has_bar = true;
  progress->drawn = cli_now_seconds();
}

/* "  name 0.1234", or "undefined" where only one class was seen. */
static void print_value(const char *name, double value) {
  if (isnan(value))
    fprintf(stderr, "  %s undefined", name);
  else
    fprintf(stderr, "  %s %.4f", name, value);
}

static void print_auc(const char *name, const dfm_metrics *metrics) {
  char auc[CLI_SHORT];
  fprintf(stderr, "  %s %s", name, cli_auc(auc, metrics->auc, metrics->auc_error, 4));
}

static void print_epoch(const dfm_progress *p) {
  char seconds[CLI_SHORT], rate[CLI_SHORT];
  fprintf(stderr, "Epoch %d/%d  %s  %s rows/s", p->epoch, p->epochs, cli_duration(seconds, p->seconds),
          cli_thousands(rate, llround(p->rows_per_second)));
  print_value("loss", p->train.logloss);
  print_auc("auc", &p->train);
  if (p->has_valid) {
    print_value("val_loss", p->valid.logloss);
    print_auc("val_auc", &p->valid);
  }
  if (p->has_valid && p->is_best) fputs("  best", stderr);
  if (p->learning_rate_dropped) fprintf(stderr, "  learning rate lowered to %g", p->learning_rate);
  fputc('\n', stderr);
}

static void print_evaluation(const dfm_progress *p) {
  char step[CLI_SHORT];
  fprintf(stderr, "  step %s", cli_thousands(step, p->step));
  print_value("loss", p->train.logloss);
  print_value("val_loss", p->valid.logloss);
  print_auc("val_auc", &p->valid);
  fputc('\n', stderr);
}

static void print_window(const dfm_progress *p) {
  char end[CLI_SHORT];
  fprintf(stderr, "  rows to %s", cli_thousands(end, p->window_end));
  print_value("loss", p->window.logloss);
  print_value("auc", p->window.auc);
  print_value("predicted / observed", cli_calibration(&p->window));
  fputc('\n', stderr);
}

void cli_progress_show(cli_progress *progress, const dfm_progress *now) {
  if (progress->is_quiet) return;
  if (now->is_epoch_end || now->has_valid || now->has_window) {
    cli_progress_end(progress);
    if (now->has_window) print_window(now);
    const bool is_solved = now->is_epoch_end && now->train.rows == 0; /* all rows at once: no epoch passed */
    if (now->is_epoch_end && !is_solved)
      print_epoch(now);
    else if (now->has_valid && !is_solved)
      print_evaluation(now);
  } else if (progress->is_terminal && cli_now_seconds() - progress->drawn > SECONDS_BETWEEN_DRAWS) {
    draw_bar(progress, now);
  }
}
