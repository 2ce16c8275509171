/* Criteo-like rows of text from a known teacher: a seed and a range of row indices come in; delimited text goes out.
 *
 * A row's 52 random numbers are 13 Philox blocks under (seed, row), so any thread makes any row at any time. Values of
 * category fields follow a power law and numbers a log-logistic law, both through their inverse distribution functions:
 * no table grows with a field. */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "data/synth.h"

enum { N_GROUPS = 10, N_DRAWS = 52, FIT_ROWS = 1 << 14 };
enum { NUMBER_DRAWS = 0, CATEGORY_DRAWS = 13, GROUP_DRAWS = 39, LABEL_DRAW = 51 };
_Static_assert(N_DRAWS % 4 == 0 && GROUP_DRAWS + N_GROUPS <= LABEL_DRAW, "a draw has one use");

/* The population's own rows, from which the teacher's constants come, whatever the seed. */
static const uint64_t FIT_SEED = 0x5eed0f7ea0c4e12u;

/* Cells of one group are missing together, as in Criteo's logs: a column's cell is empty where its group's draw is
 * below the column's rate. */
typedef struct number_column {
  /* x = floor(exp(log_median + log_spread * logit(u))): log-normal's look, power law's tail */
  double log_median, log_spread;
  double missing_rate;
  int missing_group;
} number_column;

static const number_column NUMBER[DFM_SYNTH_NUMBERS] = {
    {0.7, 0.70, 0.45, 0}, {1.8, 1.20, 0.00, 1}, {2.0, 0.75, 0.21, 1}, {1.6, 0.60, 0.22, 2}, {7.9, 1.30, 0.03, 3},
    {3.7, 1.00, 0.24, 2}, {1.4, 0.85, 0.04, 4}, {2.0, 0.60, 0.01, 4}, {3.7, 0.90, 0.04, 4}, {0.0, 0.50, 0.45, 0},
    {0.8, 0.55, 0.04, 4}, {0.2, 0.75, 0.70, 5}, {1.8, 0.65, 0.22, 2}};
static const double LARGEST_NUMBER = 9999999;
/* I2 alone goes below zero, as in Criteo's logs, if more rarely: u < MINUS_TWO gives -2, else u < MINUS_ONE -1. */
enum { NEGATIVE_COLUMN = 1 };
static const double MINUS_TWO = 0.001, MINUS_ONE = 0.006;

typedef struct category_column {
  uint32_t values;
  double exponent; /* frequency of rank r is about r^-exponent */
  double missing_rate;
  int missing_group;
} category_column;

static const category_column CATEGORY[DFM_SYNTH_CATEGORIES] = {
    {1460, 1.15, 0, 6},       {583, 1.25, 0, 6},      {1400000, 1.15, 0.04, 6}, {700000, 1.20, 0.04, 6},
    {305, 1.30, 0, 6},        {24, 1.10, 0.12, 7},    {12517, 1.05, 0, 6},      {633, 1.30, 0, 6},
    {3, 1.30, 0, 6},          {93145, 1.15, 0, 6},    {5683, 1.05, 0, 6},       {1200000, 1.15, 0.04, 6},
    {3194, 1.05, 0, 6},       {27, 1.15, 0, 6},       {14992, 1.05, 0, 6},      {1000000, 1.15, 0.04, 6},
    {10, 1.10, 0, 6},         {5652, 1.10, 0, 6},     {2173, 1.20, 0.44, 8},    {4, 1.05, 0.44, 8},
    {1100000, 1.15, 0.04, 6}, {18, 1.10, 0.70, 9},    {15, 1.10, 0, 6},         {286181, 1.20, 0.04, 6},
    {105, 1.25, 0.44, 8},     {142572, 1.20, 0.44, 8}};

struct dfm_synth {
  uint64_t key;
  double span[DFM_SYNTH_CATEGORIES], power[DFM_SYNTH_CATEGORIES]; /* of rank_of */
  dfm_teacher teacher;
};

/* ---- drawing */

/* The middle of the draw's cell of 2^-32: never 0, never 1. */
static double uniform(uint32_t draw) {
  return ((double)draw + 0.5) * 0x1p-32;
}

/* Bounded Pareto law on [1, V + 1), rounded down: x^(1-s) is uniform between 1 and (V + 1)^(1-s). */
static uint32_t rank_of(const dfm_synth *synth, int f, double u) {
  const double x = pow(1 + u * synth->span[f], synth->power[f]);
  const uint32_t rank = x < 1 ? 0 : (uint32_t)x - 1;
  return rank < CATEGORY[f].values ? rank : CATEGORY[f].values - 1;
}

static int32_t number_of(int j, double u) {
  if (j == NEGATIVE_COLUMN && u < MINUS_ONE) return u < MINUS_TWO ? -2 : -1;
  return (int32_t)fmin(exp(NUMBER[j].log_median + NUMBER[j].log_spread * log(u / (1 - u))), LARGEST_NUMBER);
}

static void draw_row(const dfm_synth *synth, uint64_t key, uint64_t index, dfm_synth_row *row) {
  uint32_t draw[N_DRAWS];
  for (uint64_t block = 0; block < N_DRAWS / 4; block++) dfm_philox(key, index, block, draw + 4 * block);
  for (int j = 0; j < DFM_SYNTH_NUMBERS; j++) {
    const bool is_missing = uniform(draw[GROUP_DRAWS + NUMBER[j].missing_group]) < NUMBER[j].missing_rate;
    row->number[j] = is_missing ? DFM_SYNTH_MISSING_NUMBER : number_of(j, uniform(draw[NUMBER_DRAWS + j]));
  }
  for (int f = 0; f < DFM_SYNTH_CATEGORIES; f++) {
    const bool is_missing = uniform(draw[GROUP_DRAWS + CATEGORY[f].missing_group]) < CATEGORY[f].missing_rate;
    row->category[f] = is_missing ? DFM_SYNTH_MISSING_CATEGORY : rank_of(synth, f, uniform(draw[CATEGORY_DRAWS + f]));
  }
  row->label_draw = uniform(draw[LABEL_DRAW]);
}

/* ---- text */

static char *put_number(char *at, int32_t x) {
  char digits[10];
  int n = 0;
  uint32_t rest = x < 0 ? 0u - (uint32_t)x : (uint32_t)x;
  if (x < 0) *at++ = '-';
  do {
    digits[n++] = (char)('0' + rest % 10);
    rest /= 10;
  } while (rest > 0);
  while (n > 0) *at++ = digits[--n];
  return at;
}

/* Eight hexadecimal digits of (field, rank), spread by a bijection of 32 bits (sums, odd factors and xor-shifts can
 * be undone), so that no two values are written alike: ranks stay below 2^27, fields below 2^5. */
static char *put_value(char *at, int f, uint32_t rank) {
  uint32_t x = ((uint32_t)f << 27 | rank) + 0x9e3779b9u;
  x = (x ^ x >> 16) * 0x7feb352du;
  x = (x ^ x >> 15) * 0x846ca68bu;
  x ^= x >> 16;
  for (int shift = 28; shift >= 0; shift -= 4) *at++ = "0123456789abcdef"[x >> shift & 15];
  return at;
}

/* "0.dddddd" of a probability below 1. */
static char *put_probability(char *at, double p) {
  uint32_t millionths = (uint32_t)(p * 1e6 + 0.5);
  *at++ = '0';
  *at++ = '.';
  for (int i = 5; i >= 0; i--) {
    at[i] = (char)('0' + millionths % 10);
    millionths /= 10;
  }
  return at + 6;
}

static char *put_row(char *at, const dfm_synth_row *row, double probability, bool with_truth) {
  *at++ = row->label_draw < probability ? '1' : '0';
  for (int j = 0; j < DFM_SYNTH_NUMBERS; j++) {
    *at++ = ',';
    if (row->number[j] != DFM_SYNTH_MISSING_NUMBER) at = put_number(at, row->number[j]);
  }
  for (int f = 0; f < DFM_SYNTH_CATEGORIES; f++) {
    *at++ = ',';
    if (row->category[f] != DFM_SYNTH_MISSING_CATEGORY) at = put_value(at, f, row->category[f]);
  }
  if (with_truth) {
    *at++ = ',';
    at = put_probability(at, probability);
  }
  *at++ = '\n';
  return at;
}

/* ---- the public functions */

#define COLUMNS                                                                                                      \
  "label,I1,I2,I3,I4,I5,I6,I7,I8,I9,I10,I11,I12,I13,C1,C2,C3,C4,C5,C6,C7,C8,C9,C10,C11,C12,C13,C14,C15,C16,C17,C18," \
  "C19,C20,C21,C22,C23,C24,"                                                                                         \
  "C25,C26"

const char *dfm_synth_header(bool with_truth) {
  return with_truth ? COLUMNS ",truth\n" : COLUMNS "\n";
}

static dfm_status fit_teacher(dfm_synth *synth, dfm_error *error) {
  dfm_synth_row *rows;
  DFM_TRY(dfm_alloc(&rows, FIT_ROWS, sizeof *rows, error));
  const uint64_t key = dfm_random_key(FIT_SEED, DFM_STREAM_SYNTH);
  for (int i = 0; i < FIT_ROWS; i++) draw_row(synth, key, (uint64_t)i, &rows[i]);
  const dfm_status status = dfm_teacher_fit(rows, FIT_ROWS, &synth->teacher, error);
  free(rows);
  return status;
}

dfm_status dfm_synth_create(uint64_t seed, dfm_synth **synth, dfm_error *error) {
  dfm_synth *made;
  DFM_TRY(dfm_alloc(&made, 1, sizeof *made, error));
  made->key = dfm_random_key(seed, DFM_STREAM_SYNTH);
  for (int f = 0; f < DFM_SYNTH_CATEGORIES; f++) {
    made->span[f] = pow(CATEGORY[f].values + 1.0, 1 - CATEGORY[f].exponent) - 1;
    made->power[f] = 1 / (1 - CATEGORY[f].exponent);
  }
  const dfm_status status = fit_teacher(made, error);
  if (status != DFM_OK) {
    dfm_synth_free(made);
    return status;
  }
  *synth = made;
  return DFM_OK;
}

size_t dfm_synth_rows(const dfm_synth *synth, uint64_t first, size_t n, bool with_truth, char *buffer) {
  char *at = buffer;
  for (size_t i = 0; i < n; i++) {
    dfm_synth_row row;
    draw_row(synth, synth->key, first + i, &row);
    at = put_row(at, &row, dfm_teacher_probability(&synth->teacher, &row), with_truth);
  }
  return (size_t)(at - buffer);
}

void dfm_synth_free(dfm_synth *synth) {
  free(synth);
}
