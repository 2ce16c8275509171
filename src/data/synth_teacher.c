/* The teacher of synthetic rows: the cells of a row come in; the true probability of a positive label goes out.
 *
 * logit = bias + additive + pairwise + net. Every value of every category field has a hidden weight w, and those of
 * eight fields a hidden vector v, all from a hash of (field, value), an empty cell being a value too; t_j is
 * ln(1 + max(x, 0)) of column I_j. v and t are standardised over the population (an empty cell's t_j is 0), and the
 * three parts scaled to fixed standard deviations:
 *   additive = sum_f a_f w_f + sum_j b_j t_j          what logistic regression can learn
 *   pairwise = sum_{f<g} <v_f, v_g>                   what a factorization machine adds (Rendle, ICDM 2010)
 *   net      = sum of products of one to three gates  what is left to a net over embeddings and numbers;
 *                                                     products of one gate count CURVE_WEIGHT times
 * A gate is tanh(2 v_f[0]) or tanh(4 (|t_j| - 2/3)). The second tells a number near the middle from one far away at
 * either side, so no weighted sum of numbers can stand in for it; a product of three gates is a soft parity, and no sum
 * of pairs can stand in for that. */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "data/synth.h"

enum { WIDTH = DFM_TEACHER_WIDTH, N_VECTORS = DFM_TEACHER_VECTORS, N_UNITS = 16, N_PARTS = 3, NONE = -1 };

/* Standard deviations of additive, pairwise and net. Chosen by trial, so that each step from lr to fm, deepfm and the
 * teacher shows in the AUC (docs/synth.md). */
static const double PART_DEVIATION[N_PARTS] = {0.95, 0.62, 0.88};
static const double POSITIVE_SHARE = 0.25;

/* a_f. The largest fields' share is mostly out of reach: their values are too rare to learn from. */
static const double CATEGORY_WEIGHT[DFM_SYNTH_CATEGORIES] = {0.30, 0.35, 0.15, 0.15, 0.40, 0.35, 0.15, 0.40, 0.30,
                                                             0.15, 0.20, 0.15, 0.20, 0.40, 0.15, 0.15, 0.40, 0.20,
                                                             0.30, 0.30, 0.15, 0.30, 0.40, 0.15, 0.30, 0.15};
/* b_j */
static const double NUMBER_WEIGHT[DFM_SYNTH_NUMBERS] = {0.30, 0.15,  0.15, -0.20, -0.40, -0.35, 0.35,
                                                        0.15, -0.15, 0.20, 0.30,  0.10,  -0.20};

/* Fields that have a vector: few values or a heavy head, so that a million rows suffice to learn it. */
enum { C2, C5, C6, C8, C14, C17, C23, C25 };
static const int VECTOR_FIELD[N_VECTORS] = {
    [C2] = 1, [C5] = 4, [C6] = 5, [C8] = 7, [C14] = 13, [C17] = 16, [C23] = 22, [C25] = 24};

/* The gates of each product, NONE where it has fewer: a field stands for its vector's first number, I(j) for column
 * I_j. */
#define I(j) (N_VECTORS + (j)-1)
static const int UNIT[N_UNITS][3] = {
    {I(5), NONE, NONE}, {I(6), NONE, NONE}, {I(7), NONE, NONE}, {I(8), NONE, NONE},
    {I(9), NONE, NONE}, {I(5), I(9), NONE}, {I(6), I(7), NONE}, {C8, I(9), NONE},
    {C14, I(5), NONE},  {C17, I(6), NONE},  {C23, I(7), NONE},  {C6, I(8), NONE},
    {C5, C17, I(5)},    {C6, C23, I(9)},    {C14, C17, C23},    {C5, C14, C6},
};

/* Of a product of one gate: a curve in one number is what a net learns first, in few steps or from few rows. */
static const double CURVE_WEIGHT = 1.6;

/* splitmix64's output function: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014. */
static uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/* Hidden number `d` of a value, d = WIDTH being its weight: nearly standard normal, the sum of four uniform numbers
 * (each of variance 1/12) scaled by sqrt(3). */
static double hidden(int field, uint32_t value, int d) {
  const uint64_t bits = mix(((uint64_t)value << 16 | (uint64_t)field << 8 | (uint64_t)d) * 0xd1342543de82ef95u);
  const uint64_t sum = (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48);
  return ((double)sum * (1.0 / 65536) - 2) * 1.7320508075688772;
}

static double log_number(int32_t x) {
  return x > 0 ? log1p(x) : 0;
}

static double additive_part(const dfm_synth_row *row, const double *t) {
  double sum = 0;
  for (int f = 0; f < DFM_SYNTH_CATEGORIES; f++) sum += CATEGORY_WEIGHT[f] * hidden(f, row->category[f], WIDTH);
  for (int j = 0; j < DFM_SYNTH_NUMBERS; j++) sum += NUMBER_WEIGHT[j] * t[j];
  return sum;
}

/* sum_{f<g} <v_f, v_g> = (|sum v|^2 - sum |v|^2) / 2. v (N_VECTORS, WIDTH). */
static double pairwise_part(const double *v) {
  double sum = 0;
  for (int d = 0; d < WIDTH; d++) {
    double total = 0, squares = 0;
    for (int s = 0; s < N_VECTORS; s++) {
      total += v[s * WIDTH + d];
      squares += v[s * WIDTH + d] * v[s * WIDTH + d];
    }
    sum += (total * total - squares) / 2;
  }
  return sum;
}

static double gate(const double *v, const double *t, int input) {
  return input < N_VECTORS ? tanh(2 * v[input * WIDTH]) : tanh(4 * (fabs(t[input - N_VECTORS]) - 2.0 / 3));
}

static double net_part(const double *v, const double *t) {
  double sum = 0;
  for (int u = 0; u < N_UNITS; u++) {
    double product = UNIT[u][1] == NONE ? CURVE_WEIGHT : 1;
    for (int i = 0; i < 3 && UNIT[u][i] != NONE; i++) product *= gate(v, t, UNIT[u][i]);
    sum += product;
  }
  return sum;
}

static void parts_of(const dfm_teacher *teacher, const dfm_synth_row *row, double part[N_PARTS]) {
  double t[DFM_SYNTH_NUMBERS], v[N_VECTORS * WIDTH];
  for (int j = 0; j < DFM_SYNTH_NUMBERS; j++) {
    const bool is_missing = row->number[j] == DFM_SYNTH_MISSING_NUMBER;
    t[j] = is_missing ? 0 : (log_number(row->number[j]) - teacher->number_mean[j]) * teacher->number_scale[j];
  }
  for (int s = 0; s < N_VECTORS; s++)
    for (int d = 0; d < WIDTH; d++) {
      const double raw = hidden(VECTOR_FIELD[s], row->category[VECTOR_FIELD[s]], d);
      v[s * WIDTH + d] = (raw - teacher->vector_mean[s * WIDTH + d]) * teacher->vector_scale[s * WIDTH + d];
    }
  part[0] = additive_part(row, t);
  part[1] = pairwise_part(v);
  part[2] = net_part(v, t);
}

/* The logit without the bias. */
static double signal_of(const dfm_teacher *teacher, const dfm_synth_row *row) {
  double part[N_PARTS], sum = 0;
  parts_of(teacher, row, part);
  for (int p = 0; p < N_PARTS; p++) sum += (part[p] - teacher->part_mean[p]) * teacher->part_scale[p];
  return sum;
}

static double sigmoid(double x) {
  const double limit = 12;
  return 1 / (1 + exp(-fmin(fmax(x, -limit), limit)));
}

double dfm_teacher_probability(const dfm_teacher *teacher, const dfm_synth_row *row) {
  return sigmoid(teacher->bias + signal_of(teacher, row));
}

/* ---- fitting */

/* Mean and 1 / standard deviation of n > 1 numbers that are not all equal. */
static void moments_of(const double *x, int n, double *mean, double *scale) {
  double sum = 0, squares = 0;
  for (int i = 0; i < n; i++) sum += x[i];
  *mean = sum / n;
  for (int i = 0; i < n; i++) squares += (x[i] - *mean) * (x[i] - *mean);
  *scale = 1 / sqrt(squares / n);
}

static void fit_numbers(const dfm_synth_row *rows, int n, dfm_teacher *teacher, double *room) {
  for (int j = 0; j < DFM_SYNTH_NUMBERS; j++) {
    int present = 0;
    for (int i = 0; i < n; i++)
      if (rows[i].number[j] != DFM_SYNTH_MISSING_NUMBER) room[present++] = log_number(rows[i].number[j]);
    moments_of(room, present, &teacher->number_mean[j], &teacher->number_scale[j]);
  }
}

static void fit_vectors(const dfm_synth_row *rows, int n, dfm_teacher *teacher, double *room) {
  for (int s = 0; s < N_VECTORS; s++)
    for (int d = 0; d < WIDTH; d++) {
      const int field = VECTOR_FIELD[s], c = s * WIDTH + d;
      for (int i = 0; i < n; i++) room[i] = hidden(field, rows[i].category[field], d);
      moments_of(room, n, &teacher->vector_mean[c], &teacher->vector_scale[c]);
    }
}

static void fit_parts(const dfm_synth_row *rows, int n, dfm_teacher *teacher, double *room) {
  for (int i = 0; i < n; i++) {
    double part[N_PARTS];
    parts_of(teacher, &rows[i], part);
    for (int p = 0; p < N_PARTS; p++) room[p * n + i] = part[p];
  }
  for (int p = 0; p < N_PARTS; p++) {
    moments_of(room + p * n, n, &teacher->part_mean[p], &teacher->part_scale[p]);
    teacher->part_scale[p] *= PART_DEVIATION[p];
  }
}

/* The mean probability grows with the bias, so halving an interval finds it. */
static void fit_bias(const dfm_synth_row *rows, int n, dfm_teacher *teacher, double *room) {
  double low = -8, high = 8;
  for (int i = 0; i < n; i++) room[i] = signal_of(teacher, &rows[i]);
  for (int step = 0; step < 30; step++) {
    double sum = 0;
    teacher->bias = (low + high) / 2;
    for (int i = 0; i < n; i++) sum += sigmoid(teacher->bias + room[i]);
    if (sum > POSITIVE_SHARE * n) {
      high = teacher->bias;
    } else {
      low = teacher->bias;
    }
  }
}

dfm_status dfm_teacher_fit(const dfm_synth_row *rows, int n, dfm_teacher *teacher, dfm_error *error) {
  double *room;
  DFM_TRY(dfm_alloc(&room, (size_t)n * N_PARTS, sizeof *room, error));
  *teacher = (dfm_teacher){0};
  fit_numbers(rows, n, teacher, room);
  fit_vectors(rows, n, teacher, room);
  fit_parts(rows, n, teacher, room);
  fit_bias(rows, n, teacher, room);
  free(room);
  return DFM_OK;
}
