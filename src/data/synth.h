/* Synthetic rows: the drawn cells of a row come in; the probability that the teacher gives them goes out.
 *
 * The teacher is the same for every seed: all seeds are samples of one population, so one seed's rows may test a model
 * of another's. */
#ifndef DFM_DATA_SYNTH_H
#define DFM_DATA_SYNTH_H

#include <stdint.h>

#include "base/error.h"

enum { DFM_SYNTH_NUMBERS = 13, DFM_SYNTH_CATEGORIES = 26 };
/* How many fields have a hidden vector in the teacher, and of how many numbers. */
enum { DFM_TEACHER_VECTORS = 8, DFM_TEACHER_WIDTH = 4 };

/* An empty cell, in either array of a row. No value of a column comes near it. */
#define DFM_SYNTH_MISSING_NUMBER INT32_MIN
#define DFM_SYNTH_MISSING_CATEGORY UINT32_MAX

/* One row before it becomes text. The probability is a function of the cells alone. */
typedef struct dfm_synth_row {
  int32_t number[DFM_SYNTH_NUMBERS];       /* I1..I13 */
  uint32_t category[DFM_SYNTH_CATEGORIES]; /* C1..C26: rank of the value within its field, 0 the most frequent */
  double label_draw;                       /* uniform in (0, 1); the label is 1 where it is below the probability */
} dfm_synth_row;

/* The teacher's fitted constants. Immutable once fitted: any thread. */
typedef struct dfm_teacher {
  double number_mean[DFM_SYNTH_NUMBERS], number_scale[DFM_SYNTH_NUMBERS]; /* t = (ln(1 + max(x, 0)) - mean) * scale */
  double vector_mean[DFM_TEACHER_VECTORS * DFM_TEACHER_WIDTH], vector_scale[DFM_TEACHER_VECTORS * DFM_TEACHER_WIDTH];
  double part_mean[3], part_scale[3]; /* additive, pairwise, net */
  double bias;
} dfm_teacher;

/* Fits the constants on `n` rows (a few thousand at least: every column must vary), so that the parts have their spread
 * and a quarter of the labels is positive. */
dfm_status dfm_teacher_fit(const dfm_synth_row *rows, int n, dfm_teacher *teacher, dfm_error *error);

/* The true probability of the row's label being 1, in [6e-6, 1 - 6e-6]: neither 0 nor 1, nor so with six digits. */
double dfm_teacher_probability(const dfm_teacher *teacher, const dfm_synth_row *row);

#endif
