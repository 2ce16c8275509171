/* Profile: the sampled cells of one column come in; what kind of field they are, and a sentence that says why, go out.
 * Text is a category and numbers with a fraction are numbers; whole numbers are weighed by their name and by how they
 * are spread. */
#include "data/schema_profile.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "base/prefetch.h"
#include "data/value.h"

/* The first ones mean an empty cell in any column; those from NUMERIC_ONLY on do in columns of numbers (elsewhere "NA"
 * may be Namibia). */
enum { NUMERIC_ONLY = 9 };
static const char *const missing_words[DFM_MISSING_WORDS] = {"?",   "\\N",  "NULL", "null", "N/A",  "n/a", "NaN",
                                                             "nan", "<NA>", "NA",   "na",   "None", "-"};

const char *dfm_missing_word(size_t i) {
  return i < DFM_MISSING_WORDS ? missing_words[i] : NULL;
}

/* Of a cell that is not empty. */
static int find_missing_word(const char *bytes, size_t n) {
  for (int i = 0; i < DFM_MISSING_WORDS; i++)
    if (*missing_words[i] == *bytes && strlen(missing_words[i]) == n && memcmp(missing_words[i], bytes, n) == 0)
      return i;
  return -1;
}

/* ---- counting */

static int by_bytes(const void *a, const void *b) {
  const dfm_profile_value *x = a, *y = b;
  const int order = memcmp(x->bytes, y->bytes, x->n < y->n ? x->n : y->n);
  return order ? order : (x->n > y->n) - (x->n < y->n);
}

/* A number, and the rows that have it. */
typedef struct counted_number {
  double number;
  size_t rows;
} counted_number;

static int by_number(const void *a, const void *b) {
  const double x = ((const counted_number *)a)->number, y = ((const counted_number *)b)->number;
  return (x > y) - (x < y);
}

static bool is_same(const dfm_profile_value *a, const char *bytes, size_t n) {
  return a->n == n && memcmp(a->bytes, bytes, n) == 0;
}

/* A column's cells lie far apart: asks for the place of the one 2 AHEAD rows on, and for the text of the one AHEAD. */
enum { AHEAD = 12 };
DFM_PREFETCHES void prefetch(const dfm_sample *sample, size_t row, size_t column) {
  const size_t next = (row + AHEAD) * sample->n_columns + column, later = next + AHEAD * sample->n_columns;
  if (later < sample->n_cells) __builtin_prefetch(&sample->offsets[later]);
  if (next < sample->n_cells) __builtin_prefetch(sample->text.bytes + sample->offsets[next]);
}

/* The different cells that are not empty, in the order of first appearance, into `cells`; `*n` of them. */
static dfm_status count_cells(const dfm_sample *sample, size_t first_row, size_t column, dfm_profile_value *cells,
                              size_t *n, dfm_error *error) {
  uint32_t *slots; /* index + 1 of a cell; 0: none */
  size_t n_slots = 2;
  while (n_slots < 2 * (sample->n_rows - first_row)) n_slots *= 2;
  DFM_TRY(dfm_alloc(&slots, n_slots, sizeof *slots, error));
  *n = 0;
  for (size_t row = first_row; row < sample->n_rows; row++) {
    size_t length;
    prefetch(sample, row, column);
    const char *bytes = dfm_sample_cell(sample, row, column, &length);
    if (length == 0) continue;
    size_t slot = dfm_value_hash(bytes, length) & (n_slots - 1);
    while (slots[slot] && !is_same(&cells[slots[slot] - 1], bytes, length)) slot = (slot + 1) & (n_slots - 1);
    if (slots[slot]) {
      cells[slots[slot] - 1].count++;
    } else {
      cells[*n] = (dfm_profile_value){bytes, length, 1};
      *n += 1;
      slots[slot] = (uint32_t)*n;
    }
  }
  free(slots);
  return DFM_OK;
}

/* Keeps the cells that are not missing; whether all of them are numbers decides which words are. */
static size_t drop_missing(dfm_profile *p, dfm_profile_value *cells, size_t n) {
  size_t n_numbers = 0, kept = 0, rows = 0;
  uint64_t words = 0;
  double value;
  p->is_numeric = true;
  for (size_t i = 0; i < n; i++) {
    const int word = find_missing_word(cells[i].bytes, cells[i].n);
    if (word >= 0) words |= 1ull << word;
    n_numbers += word < 0;
    if (p->is_numeric && word < 0)
      p->is_numeric = dfm_parse_double(cells[i].bytes, cells[i].n, &value) == DFM_NUMBER_OK;
  }
  if (n_numbers == 0) p->is_numeric = false;
  if (!p->is_numeric) words &= (1ull << NUMERIC_ONLY) - 1;
  p->missing_words = words;
  for (size_t i = 0; i < n; i++) {
    const int word = words ? find_missing_word(cells[i].bytes, cells[i].n) : -1;
    if (word >= 0 && (words >> word & 1)) continue;
    rows += cells[i].count;
    cells[kept++] = cells[i];
  }
  p->n_missing = p->n_rows - rows;
  return kept;
}

/* Different cells of numbers -> what their texts tell; and their order, which is the rows' where no two rows are
 * equal. */
static void profile_text(dfm_profile *p, const dfm_profile_value *cells, const counted_number *numbers, size_t n) {
  p->is_whole = true;
  p->is_ordered = n == p->n_rows - p->n_missing;
  for (size_t i = 0; i < n; i++) {
    const char *bytes = cells[i].bytes;
    size_t length = cells[i].n;
    while (length && (*bytes == '-' || *bytes == '+' || *bytes == ' ')) bytes++, length--;
    const bool has_point = memchr(bytes, '.', length) || memchr(bytes, 'e', length) || memchr(bytes, 'E', length);
    p->has_point |= has_point;
    p->has_leading_zero |= length > 1 && *bytes == '0' && !has_point;
    p->is_whole &= numbers[i].number == floor(numbers[i].number);
    if (i > 0) p->is_ordered &= numbers[i].number == numbers[i - 1].number + 1;
  }
}

/* Sorted numbers -> whether their frequencies fall from 0 or 1 on, the way counts do. */
static bool is_falling(const counted_number *sorted, size_t n) {
  size_t counts[4] = {0};
  const double first = sorted[0].number;
  if (first != 0 && first != 1) return false;
  for (size_t i = 0; i < n && sorted[i].number < first + 4; i++) {
    if (sorted[i].number != floor(sorted[i].number)) return false;
    counts[(size_t)(sorted[i].number - first)] += sorted[i].rows;
  }
  return counts[0] > counts[1] && counts[1] > counts[2] && counts[2] > counts[3] && counts[3] > 0;
}

/* The number that the rows' middle one has. */
static double median_of(const counted_number *sorted, size_t rows) {
  size_t before = sorted->rows;
  for (; before <= rows / 2; before += sorted->rows) sorted++;
  return sorted->number;
}

static void profile_numbers(dfm_profile *p, const dfm_profile_value *cells, counted_number *numbers, size_t n) {
  for (size_t i = 0; i < n; i++) {
    numbers[i].rows = cells[i].count;
    (void)dfm_parse_double(cells[i].bytes, cells[i].n, &numbers[i].number);
  }
  profile_text(p, cells, numbers, n);
  qsort(numbers, n, sizeof *numbers, by_number);
  p->min = numbers[0].number;
  p->median = median_of(numbers, p->n_rows - p->n_missing);
  p->max = numbers[n - 1].number;
  p->is_falling = is_falling(numbers, n);
}

/* The first values go into the profile, in byte order where they are all. */
static void keep_values(dfm_profile *p, dfm_profile_value *cells, size_t n) {
  p->n_distinct = n;
  if (n <= DFM_PROFILE_VALUES) qsort(cells, n, sizeof *cells, by_bytes);
  for (size_t i = 0; i < n && i < DFM_PROFILE_VALUES; i++) p->values[i] = cells[i];
}

dfm_status dfm_profile_column(const dfm_sample *sample, size_t first_row, size_t column, dfm_profile *profile,
                              dfm_error *error) {
  dfm_profile_value *cells = NULL;
  counted_number *numbers = NULL;
  size_t n = 0;
  *profile = (dfm_profile){.n_rows = sample->n_rows - first_row};
  dfm_status status = dfm_alloc(&cells, profile->n_rows, sizeof *cells, error);
  if (status == DFM_OK) status = count_cells(sample, first_row, column, cells, &n, error);
  if (status == DFM_OK) {
    n = drop_missing(profile, cells, n);
    if (profile->is_numeric) status = dfm_alloc(&numbers, n, sizeof *numbers, error);
    if (numbers) profile_numbers(profile, cells, numbers, n);
    keep_values(profile, cells, n);
  }
  free(cells);
  free(numbers);
  return status;
}

/* Index of a cell among the profile's values, or -1. */
static int value_index(const dfm_profile *p, const char *bytes, size_t n) {
  const dfm_profile_value wanted = {bytes, n, 0};
  const dfm_profile_value *found = bsearch(&wanted, p->values, p->n_distinct, sizeof *p->values, by_bytes);
  return found ? (int)(found - p->values) : -1;
}

bool dfm_profile_may_have_twin(const dfm_profile *p) {
  return p->n_distinct >= 4 && p->n_distinct <= DFM_PROFILE_VALUES && p->n_rows >= 10 * p->n_distinct;
}

bool dfm_profile_are_twins(const dfm_sample *sample, size_t first_row, const dfm_profile *profiles, size_t numbers,
                           size_t words) {
  const dfm_profile *a = &profiles[numbers], *b = &profiles[words];
  if (!a->is_numeric || b->is_numeric || a->n_distinct != b->n_distinct) return false;
  if (!dfm_profile_may_have_twin(a)) return false;
  int partner[DFM_PROFILE_VALUES];
  for (size_t i = 0; i < a->n_distinct; i++) partner[i] = -1;
  for (size_t row = first_row; row < sample->n_rows; row++) {
    size_t n;
    const char *bytes = dfm_sample_cell(sample, row, numbers, &n);
    const int x = value_index(a, bytes, n);
    bytes = dfm_sample_cell(sample, row, words, &n);
    const int y = value_index(b, bytes, n);
    if ((x < 0) != (y < 0)) return false;
    if (x < 0) continue;
    if (partner[x] >= 0 && partner[x] != y) return false;
    partner[x] = y;
  }
  /* Equally many values on both sides: a function from numbers onto words is one to one. */
  bool is_used[DFM_PROFILE_VALUES] = {false};
  for (size_t i = 0; i < a->n_distinct; i++) {
    if (partner[i] < 0 || is_used[partner[i]]) return false;
    is_used[partner[i]] = true;
  }
  return true;
}

/* ---- names */

enum { MAX_WORD = 32 };

/* First and last word of a name in lower case, words being split at capitals, digits and anything that is no letter. */
static void split_name(const char *name, char first[MAX_WORD], char last[MAX_WORD]) {
  char word[MAX_WORD];
  size_t n = 0;
  first[0] = last[0] = 0;
  for (const char *p = name;; p++) {
    const bool is_letter = isalpha((unsigned char)*p) != 0;
    const bool starts = is_letter && p > name && isupper((unsigned char)*p) && islower((unsigned char)p[-1]);
    if ((!is_letter || starts) && n > 0) {
      word[n] = 0;
      if (!first[0]) memcpy(first, word, n + 1);
      memcpy(last, word, n + 1);
      n = 0;
    }
    if (!*p) break;
    if (is_letter && n + 1 < MAX_WORD) word[n++] = (char)tolower((unsigned char)*p);
  }
}

static bool is_in(const char *word, const char *const *list) {
  for (; *list; list++)
    if (strcmp(word, *list) == 0) return true;
  return false;
}

/* What a name says about whole numbers under it: +1 category, -1 number, 0 nothing. */
static int name_says(const char *name) {
  static const char *const categories[] = {
      "id",       "ids",    "uid",     "user",      "userid",   "item",     "itemid",     "movieid",   "adid",
      "code",     "type",   "kind",    "class",     "category", "cat",      "group",      "month",     "weekday",
      "dow",      "hour",   "weekend", "isweekend", "zip",      "zipcode",  "postcode",   "postal",    "flight",
      "country",  "city",   "region",  "state",     "province", "device",   "browser",    "os",        "app",
      "site",     "domain", "channel", "campaign",  "banner",   "creative", "advertiser", "publisher", "brand",
      "product",  "movie",  "genre",   "genres",    "gender",   "sex",      "occupation", "flag",      "slot",
      "position", "store",  "shop",    "seller",    "merchant", "carrier",  "airline",    "airport",   "language",
      "day",      "sku",    "cluster", NULL};
  static const char *const numbers[] = {
      "price",  "amount",   "distance",    "count",   "counts",      "cnt",      "num",    "number",
      "total",  "sum",      "avg",         "mean",    "rate",        "ratio",    "score",  "timestamp",
      "time",   "duration", "length",      "width",   "height",      "size",     "income", "balance",
      "salary", "gain",     "loss",        "percent", "pct",         "latitude", "lat",    "longitude",
      "lon",    "lng",      "temperature", "seconds", "minutes",     "years",    "days",   "hours",
      "weeks",  "months",   "clicks",      "views",   "impressions", NULL};
  static const char *const flags[] = {"is", "has", "id", "was", NULL};
  char first[MAX_WORD], last[MAX_WORD];
  split_name(name, first, last);
  const bool is_rate = strstr(name, "_per_") || strstr(name, "-per-") || strstr(name, " per ");
  if (is_rate) return -1;
  if (is_in(last, categories) || is_in(first, flags)) return 1;
  return is_in(last, numbers) ? -1 : 0;
}

/* ---- kinds */

#define DECIDE(decided, ...)             \
  do {                                   \
    snprintf(reason, size, __VA_ARGS__); \
    return decided;                      \
  } while (0)

static dfm_kind text_kind(const dfm_profile *p, char *reason, size_t size) {
  const size_t seen = p->n_rows - p->n_missing;
  if (seen == 0) DECIDE(DFM_KIND_CATEGORY, "empty in the first %zu rows: treated as category", p->n_rows);
  if (p->n_distinct == 1 && seen > 1) DECIDE(DFM_KIND_CATEGORY, "the same text in every row: treated as category");
  if (seen >= 50 && p->n_distinct > seen / 10 * 9)
    DECIDE(DFM_KIND_CATEGORY,
           "text that hardly ever repeats (%zu values in %zu rows), an id or free text: category, or set kind: ignore",
           p->n_distinct, seen);
  DECIDE(DFM_KIND_CATEGORY, "text, %zu value%s in %zu rows: category", p->n_distinct, p->n_distinct == 1 ? "" : "s",
         seen);
}

/* Whole numbers that no name speaks for: by how they are spread. */
static dfm_kind spread_kind(const dfm_profile *p, const char *twin, char *reason, size_t size) {
  const size_t seen = p->n_rows - p->n_missing;
  const double range = p->max - p->min + 1, density = (double)p->n_distinct / range;
  char from[64];
  snprintf(from, sizeof from, "integers %.0f to %.0f", p->min, p->max);
  if (p->has_point) DECIDE(DFM_KIND_NUMBER, "%s, written with a point: number", from);
  if (p->min < 0) DECIDE(DFM_KIND_NUMBER, "%s, some negative: number", from);
  if (p->n_distinct == 2) DECIDE(DFM_KIND_CATEGORY, "two values, %.0f and %.0f: category", p->min, p->max);
  if (seen >= 50 && p->n_distinct == seen && density > 0.9)
    DECIDE(DFM_KIND_CATEGORY, "%s, each in one row, an id: category, or set kind: ignore", from);
  if (twin)
    DECIDE(DFM_KIND_NUMBER, "%s, one to one with column '%s', so what it adds is the order: number", from, twin);
  if (p->is_falling && p->median <= p->min + 3)
    DECIDE(DFM_KIND_NUMBER, "%s, the larger the rarer, like counts: number", from);
  if (p->min <= 1 && range > 20 * (p->median - p->min + 1))
    DECIDE(DFM_KIND_NUMBER, "%s, half of them up to %.0f, a heavy tail: number", from, p->median);
  if (p->n_distinct <= 32 && density >= 0.8 && seen >= 2 * p->n_distinct)
    DECIDE(DFM_KIND_CATEGORY, "%s, dense%s: category", from, density == 1 ? " and without gaps" : "");
  if (p->n_distinct <= 20 && seen >= 5 * p->n_distinct)
    DECIDE(DFM_KIND_CATEGORY, "only %zu different numbers, %.0f to %.0f, often repeated: category", p->n_distinct,
           p->min, p->max);
  if (p->min > range && density >= 0.25 && seen >= 2 * p->n_distinct)
    DECIDE(DFM_KIND_CATEGORY, "%s, a dense block far from 0, like codes: category", from);
  if (p->n_distinct > 150 && density >= 0.25 && seen >= 2 * p->n_distinct)
    DECIDE(DFM_KIND_CATEGORY, "%s, %zu of them in use, each repeated, like ids: category", from, p->n_distinct);
  DECIDE(DFM_KIND_NUMBER, "%s: number", from);
}

dfm_kind dfm_profile_kind(const dfm_profile *p, const char *name, bool has_name, const char *twin, char *reason,
                          size_t size) {
  const size_t seen = p->n_rows - p->n_missing;
  const int says = has_name ? name_says(name) : 0;
  const char *heavy = p->min > -2 && p->max > 20 * (fabs(p->median) + 1) ? " with a heavy tail" : "";
  if (!p->is_numeric) return text_kind(p, reason, size);
  if (!p->is_whole) DECIDE(DFM_KIND_NUMBER, "numbers %.6g to %.6g with a fraction%s: number", p->min, p->max, heavy);
  if (p->n_distinct == 1 && seen > 1 && says >= 0)
    DECIDE(DFM_KIND_CATEGORY, "%.0f in each of the first %zu rows: treated as category", p->min, seen);
  if (p->has_leading_zero) DECIDE(DFM_KIND_CATEGORY, "digits with leading zeros, a code: category");
  if (says > 0) {
    if (seen >= 50 && p->n_distinct > seen / 10 * 9)
      DECIDE(DFM_KIND_CATEGORY, "integers %.0f to %.0f that hardly ever repeat, by its name a code: category", p->min,
             p->max);
    DECIDE(DFM_KIND_CATEGORY, "integers %.0f to %.0f, %zu of them in use, by its name a code: category", p->min, p->max,
           p->n_distinct);
  }
  if (says < 0)
    DECIDE(DFM_KIND_NUMBER, "integers %.0f to %.0f%s, by its name a quantity: number", p->min, p->max, heavy);
  return spread_kind(p, twin, reason, size);
}
