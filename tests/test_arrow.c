/* Arrow: arrays made by hand come in; rows, and a model, are compared with those of the same text. Everything handed
 * out must be released, once. */
#include "arrow_rows.h"
#include "data/arrow_write.h"
#include "data/storage.h"

#include <time.h>

/* The batch gives the rows that the text gives, and leaves nothing behind. Takes the batch over. */
static void assert_same(const char *spec, const char *text, const arrow_made *batches, int n) {
  dfm_error error;
  const dfm_data_settings settings = make_settings();
  dfm_schema *schema = make_schema(spec);
  dfm_dataset *a, *b, *valid;
  assert_ok(read_text("same.csv", text, schema, &settings, &a, &valid, &error));
  assert_ok(read_batches(batches, n, schema, NULL, &b, &error));
  assert_int_equal(dfm_dataset_rows(a), dfm_dataset_rows(b));
  for (int64_t r = 0; r < dfm_dataset_rows(a); r++) {
    char *row;
    assert_ok(dfm_dataset_row_text(a, r, &row, &error));
    assert_row(b, r, row);
    dfm_string_free(row);
  }
  assert_true(fingerprint_of(a) == fingerprint_of(b));
  dfm_dataset_free(a);
  dfm_dataset_free(b);
  dfm_schema_free(schema);
  assert_int_equal(arrow_live, 0);
}

static void assert_same_batch(const char *spec, const char *text, arrow_made batch) {
  assert_same(spec, text, &batch, 1);
}

/* ---- types */

static void text_of_every_kind(void **state) {
  (void)state;
  static const char *const formats[] = {"u", "U", "z", "Z", "vu", "vz"};
  const char csv[] = "y,C\n1,a\n0,\n1,longer than twelve bytes\n0,eleven char\n0,a\n1,b\n";
  for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
    assert_same_batch("y:label C:category", csv,
                      ARROW_BATCH(labels("y"), ARROW_TEXT(formats[i], "C", "a", NULL, LONG, "eleven char", "a", "b")));
  assert_same_batch("y:label C:category", "y,C\n1,ab\n0,cd\n1,ab\n0,\n0,ab\n1,ef\n",
                    ARROW_BATCH(labels("y"), arrow_fixed("w:2", "C", "abcdab??abef", 2, ROWS, "vvv.vv")));
  assert_same_batch(
      "y:label C:category D:category", "y,C,D\n1,x,\n0,x,\n1,x,\n0,x,\n0,x,\n1,x,\n",
      ARROW_BATCH(labels("y"), ARROW_TEXT("u", "C", "x", "x", "x", "x", "x", "x"), arrow_make("n", "D", ROWS, 0)));
}

/* One column of numbers as a category and, renamed, as a number. */
static void assert_number(const char *format, const void *values, size_t width, const char *const *texts) {
  char csv[512] = "y,C,N\n";
  for (int r = 0; r < ROWS; r++)
    snprintf(csv + strlen(csv), sizeof csv - strlen(csv), "%d,%s,%s\n", "101001"[r] - '0', texts[r], texts[r]);
  assert_same_batch("y:label C:category N:number", csv,
                    ARROW_BATCH(labels("y"), arrow_fixed(format, "C", values, width, ROWS, "vvvv.v"),
                                arrow_fixed(format, "N", values, width, ROWS, "vvvv.v")));
}
#define ASSERT_NUMBER(format, type, texts, ...) \
  assert_number(format, (const type[ROWS]){__VA_ARGS__}, sizeof(type), (const char *const[ROWS])texts)
#define TEXTS(...) \
  { __VA_ARGS__ }

static void numbers_of_every_width(void **state) {
  (void)state;
  ASSERT_NUMBER("c", int8_t, TEXTS("0", "-128", "127", "0", "", "1"), 0, -128, 127, 0, 9, 1);
  ASSERT_NUMBER("C", uint8_t, TEXTS("0", "255", "7", "0", "", "1"), 0, 255, 7, 0, 9, 1);
  ASSERT_NUMBER("s", int16_t, TEXTS("0", "-32768", "7", "0", "", "1"), 0, -32768, 7, 0, 9, 1);
  ASSERT_NUMBER("S", uint16_t, TEXTS("0", "65535", "7", "0", "", "1"), 0, 65535, 7, 0, 9, 1);
  ASSERT_NUMBER("i", int32_t, TEXTS("0", "-2147483648", "7", "0", "", "1"), 0, INT32_MIN, 7, 0, 9, 1);
  ASSERT_NUMBER("I", uint32_t, TEXTS("0", "4294967295", "7", "0", "", "1"), 0, UINT32_MAX, 7, 0, 9, 1);
  ASSERT_NUMBER("l", int64_t, TEXTS("0", "-9223372036854775808", "7", "0", "", "1"), 0, INT64_MIN, 7, 0, 9, 1);
  ASSERT_NUMBER("L", uint64_t, TEXTS("0", "18446744073709551615", "7", "0", "", "1"), 0, UINT64_MAX, 7, 0, 9, 1);
  ASSERT_NUMBER("f", float, TEXTS("0", "0.1", "-2.5", "16777216", "", ""), 0, 0.1F, -2.5F, 16777216, 9, (float)NAN);
  ASSERT_NUMBER("g", double, TEXTS("0", "0.1", "-2.5", "1e+30", "", ""), 0, 0.1, -2.5, 1e30, 9, (double)NAN);
  ASSERT_NUMBER("e", uint16_t, TEXTS("0", "1", "-2.5", "65504", "", "5.9604645e-08"), 0, 0x3c00, 0xc100, 0x7bff, 9, 1);
  assert_same_batch("y:label C:category N:number", "y,C,N\n1,true,1\n0,false,0\n1,true,1\n0,true,1\n0,,\n1,false,0\n",
                    ARROW_BATCH(labels("y"), arrow_bits("C", "101110", "vvvv.v"), arrow_bits("N", "101110", "vvvv.v")));
}

static void dictionaries(void **state) {
  (void)state;
  const char csv[] = "y,C\n1,b\n0,\n1,longer than twelve bytes\n0,\n0,b\n1,a\n";
  static const int8_t narrow[ROWS] = {1, 99, 2, 3, 1, 0};
  static const uint64_t wide[ROWS] = {1, UINT64_MAX, 2, 3, 1, 0};
  /* Entry 3 is null, the index of row 1 is of no meaning. */
  assert_same_batch("y:label C:category", csv,
                    ARROW_BATCH(labels("y"), arrow_dictionary(ARROW_FIXED("c", "C", narrow, "v.vvvv"),
                                                              ARROW_TEXT("u", "", "a", "b", LONG, NULL))));
  /* More entries than rows, and a dictionary that is a slice. */
  assert_same_batch(
      "y:label C:category", csv,
      ARROW_BATCH(labels("y"),
                  arrow_dictionary(ARROW_FIXED("L", "C", wide, "v.vvvv"),
                                   arrow_sliced(ARROW_TEXT("U", "", "no", "a", "b", LONG, NULL, "c", "d", "e"), 1))));
  /* Of numbers. */
  assert_same_batch("y:label C:category N:number",
                    "y,C,N\n1,123456789012,123456789012\n0,,\n1,5,5\n0,7,7\n0,123456789012,123456789012\n1,-3,-3\n",
                    ARROW_BATCH(labels("y"),
                                arrow_dictionary(ARROW_FIXED("c", "C", narrow, "v.vvvv"),
                                                 ARROW_FIXED("l", "", ((int64_t[]){-3, 123456789012, 5, 7}), NULL)),
                                arrow_dictionary(ARROW_FIXED("c", "N", narrow, "v.vvvv"),
                                                 ARROW_FIXED("l", "", ((int64_t[]){-3, 123456789012, 5, 7}), NULL))));
}

/* One column of what only text can say, as a category. */
static void assert_texts(const char *format, const void *values, size_t width, const char *const *texts) {
  char csv[512] = "y,C\n";
  for (int r = 0; r < ROWS; r++)
    snprintf(csv + strlen(csv), sizeof csv - strlen(csv), "%d,%s\n", "101001"[r] - '0', texts[r]);
  assert_same_batch("y:label C:category", csv,
                    ARROW_BATCH(labels("y"), arrow_fixed(format, "C", values, width, ROWS, "vvvv.v")));
}
#define ASSERT_TEXTS(format, type, texts, ...) \
  assert_texts(format, (const type[ROWS]){__VA_ARGS__}, sizeof(type), (const char *const[ROWS])texts)

static void dates_and_timestamps(void **state) {
  (void)state;
  const int64_t day = 86400, second = 1000000000;
  ASSERT_TEXTS("tdD", int32_t, TEXTS("1970-01-01", "2024-02-29", "1969-12-31", "0000-03-01", "", "-5877641-06-23"), 0,
               19782, -1, -719468, 9, INT32_MIN);
  ASSERT_TEXTS("tdm", int64_t, TEXTS("1970-01-01", "2024-02-29", "1969-12-31", "2000-12-31", "", "10000-01-01"), 0,
               19782 * day * 1000, -day * 1000, 11322 * day * 1000, 9, 2932897 * day * 1000);
  ASSERT_TEXTS("tss:", int64_t,
               TEXTS("1970-01-01 00:00:00", "2024-02-29 13:05:09", "1969-12-31 23:59:59", "292277026596-12-04 15:30:07",
                     "", "-292277022657-01-27 08:29:52"),
               0, 19782 * day + 13 * 3600 + 5 * 60 + 9, -1, INT64_MAX, 9, INT64_MIN);
  ASSERT_TEXTS("tsm:Europe/Berlin", int64_t,
               TEXTS("1970-01-01 00:00:00Z", "1970-01-01 00:00:01.5Z", "1969-12-31 23:59:59.999Z",
                     "1970-01-01 00:00:00.01Z", "", "-292275055-05-16 16:47:04.192Z"),
               0, 1500, -1, 10, 9, INT64_MIN);
  ASSERT_TEXTS("tsu:", int64_t,
               TEXTS("1970-01-01 00:00:00", "1970-01-01 00:00:01.000001", "1969-12-31 23:59:59.999999",
                     "1970-01-02 00:00:00", "", "1970-01-01 00:00:00.5"),
               0, 1000001, -1, day * 1000000, 9, 500000);
  ASSERT_TEXTS("tsn:UTC", int64_t,
               TEXTS("1970-01-01 00:00:00Z", "1970-01-01 00:00:01Z", "1969-12-31 23:59:59.999999999Z",
                     "2262-04-11 23:47:16.854775807Z", "", "1677-09-21 00:12:43.145224192Z"),
               0, second, -1, INT64_MAX, 9, INT64_MIN);
}

/* Day by day for two cycles of 400 years, as the system's calendar has them. */
static void every_day_has_its_date(void **state) {
  (void)state;
  char room[DFM_ARROW_BYTES], expected[32];
  for (int64_t days = -200000; days < 200000; days++) {
    const time_t seconds = days * 86400;
    struct tm date;
    assert_non_null(gmtime_r(&seconds, &date));
    strftime(expected, sizeof expected, "%Y-%m-%d", &date);
    const size_t n = dfm_arrow_write_date(room, days);
    if (n != strlen(expected) || memcmp(room, expected, n) != 0) fail_msg("day %lld is %s", (long long)days, expected);
  }
}

typedef struct decimal {
  uint64_t low;
  int64_t high;
} decimal;

static void decimals(void **state) {
  (void)state;
  const decimal most = {UINT64_C(687399551400673279), INT64_C(5421010862427522170)}; /* 10^38 - 1 */
  const decimal least = {UINT64_C(0) - UINT64_C(687399551400673279), -INT64_C(5421010862427522170) - 1};
  const decimal values[ROWS] = {
      {0, 0}, {1230, 0}, {(uint64_t)-5, -1}, {most.low, most.high}, {9, 0}, {least.low, least.high}};
  static const struct {
    const char *format;
    const char *const texts[ROWS];
  } cases[] = {
      {"d:38,0",
       {"0", "1230", "-5", "99999999999999999999999999999999999999", "", "-99999999999999999999999999999999999999"}},
      {"d:38,2",
       {"0.00", "12.30", "-0.05", "999999999999999999999999999999999999.99", "",
        "-999999999999999999999999999999999999.99"}},
      {"d:38,38,128",
       {"0.00000000000000000000000000000000000000", "0.00000000000000000000000000000000001230",
        "-0.00000000000000000000000000000000000005", "0.99999999999999999999999999999999999999", "",
        "-0.99999999999999999999999999999999999999"}}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    assert_texts(cases[i].format, values, sizeof *values, cases[i].texts);
  /* As numbers they are read as text is; as items of a list, and as a dictionary's, they are text too. */
  const decimal prices[ROWS] = {{1230, 0}, {5, 0}, {(uint64_t)-250, -1}, {0, 0}, {1, 0}, {99999, 0}};
  assert_same_batch("y:label N:number", "y,N\n1,12.30\n0,0.05\n1,-2.50\n0,0.00\n0,\n1,999.99\n",
                    ARROW_BATCH(labels("y"), arrow_fixed("d:9,2", "N", prices, sizeof *prices, ROWS, "vvvv.v")));
  static const int ends[ROWS] = {1, 2, 3, 4, 5, 6};
  const int32_t days[ROWS] = {0, 1, 2, 0, 1, 2};
  assert_same_batch(
      "y:label G:list", "y,G\n1,1970-01-01\n0,1970-01-02\n1,1970-01-03\n0,1970-01-01\n0,1970-01-02\n1,1970-01-03\n",
      ARROW_BATCH(labels("y"), arrow_list("+l", "G", ends, ROWS, ARROW_FIXED("tdD", "", days, NULL), NULL)));
  const int8_t index[ROWS] = {0, 1, 2, 0, 1, 2};
  assert_same_batch(
      "y:label C:category", "y,C\n1,12.30\n0,0.05\n1,-2.50\n0,12.30\n0,0.05\n1,-2.50\n",
      ARROW_BATCH(labels("y"), arrow_dictionary(ARROW_FIXED("c", "C", index, NULL),
                                                arrow_fixed("d:9,2", "", prices, sizeof *prices, ROWS, NULL))));
}

static void lists(void **state) {
  (void)state;
  const char csv[] = "y,G\n1,b|longer than twelve bytes\n0,\n1,a\n0,\n0,a|b\n1,a\n";
  static const int ends[ROWS] = {2, 2, 4, 5, 7, 8};
  static const char *const formats[] = {"+l", "+L"};
  for (int i = 0; i < 2; i++)
    assert_same_batch(
        "y:label G:list", csv,
        ARROW_BATCH(labels("y"),
                    arrow_list(formats[i], "G", ends, ROWS,
                               ARROW_TEXT("u", "item", "b", LONG, NULL, "a", "no", "a", "b", "a"), "vvv.vv")));
  /* Items that are a slice, numbers, a dictionary's; the text of a cell is divided as in a file. */
  assert_same_batch(
      "y:label G:list", "y,G\n1,5|123456789012\n0,\n1,6|7\n0,8\n0,9|5\n1,6\n",
      ARROW_BATCH(
          labels("y"),
          arrow_list("+l", "G", ends, ROWS,
                     arrow_sliced(ARROW_FIXED("l", "", ((int64_t[]){0, 5, 123456789012, 6, 7, 8, 9, 5, 6}), NULL), 1),
                     NULL)));
  arrow_made pairs = arrow_make("+w:2", "G", ROWS, 1);
  const int8_t entries[] = {1, 0, 0, 0, 1, 1, 0, 1, 1, 0, 0, 0};
  arrow_add(&pairs, arrow_dictionary(ARROW_FIXED("c", "", entries, NULL), ARROW_TEXT("u", "", "a", "b")));
  assert_same_batch("y:label G:list", "y,G\n1,b|a\n0,a|a\n1,b|b\n0,a|b\n0,b|a\n1,a|a\n",
                    ARROW_BATCH(labels("y"), pairs));
  assert_same_batch(
      "y:label G:list", csv,
      ARROW_BATCH(labels("y"), ARROW_TEXT("u", "G", "b|longer than twelve bytes", "", "a", NULL, "a|b", "a")));
}

static void label_weight_and_truth(void **state) {
  (void)state;
  dfm_error error;
  dfm_dataset *train;
  const dfm_read_options options = {.truth_column = "t"};
  dfm_schema *schema = make_schema("y:label C:category W:weight");
  const float weights[ROWS] = {1, 0.5F, 2, 0, 1, 1};
  const double truths[ROWS] = {0, 0.25, 1, 0.5, 0.5, 0.5};
  arrow_made batch = ARROW_BATCH(ARROW_FIXED("g", "t", truths, NULL), arrow_bits("y", "101001", NULL),
                                 ARROW_FIXED("f", "W", weights, NULL), arrow_bits("C", "111111", NULL),
                                 arrow_make("tiM", "unread", ROWS, 2));
  assert_ok(read_batches(&batch, 1, schema, &options, &train, &error));
  for (int r = 0; r < ROWS; r++) {
    assert_true(dfm_dataset_labels(train)[r] == (float)("101001"[r] - '0'));
    assert_true(dfm_dataset_weights(train)[r] == weights[r]);
    assert_true(dfm_dataset_truth(train)[r] == (float)truths[r]);
  }
  dfm_dataset_free(train);
  dfm_schema_free(schema);
  assert_int_equal(arrow_live, 0);
}

/* ---- batches */

static void batches_offsets_and_slices(void **state) {
  (void)state;
  const char spec[] = "y:label C:category", csv[] = "y,C\n1,a\n0,b\n1,longer than twelve bytes\n0,\n0,a\n1,c\n";
  const arrow_made several[] = {part(0, 0), part(0, 2), part(2, 2), part(2, 5), part(5, 6), part(6, 6)};
  assert_same(spec, csv, several, 6);
  /* Rows before the batch's own offset, and rows before its columns'. */
  arrow_made batch = ARROW_BATCH(labels("y"), ARROW_TEXT("u", "C", "a", "b", LONG, NULL, "a", "c"));
  batch.array->offset = 2;
  batch.array->length = 4;
  assert_same_batch(spec, "y,C\n1,longer than twelve bytes\n0,\n0,a\n1,c\n", batch);
  const int8_t nine[] = {9, 9, 9, 1, 0, 1, 0, 0, 1};
  assert_same_batch(spec, csv,
                    ARROW_BATCH(arrow_sliced(ARROW_FIXED("c", "y", nine, NULL), 3),
                                arrow_sliced(ARROW_TEXT("vu", "C", "z", NULL, "a", "b", LONG, NULL, "a", "c"), 2)));
}

/* More rows than are at hand at once, at several numbers of threads. */
static void many_rows(void **state) {
  (void)state;
  enum { MANY = 20000 };
  static int8_t label[MANY];
  static int64_t id[MANY];
  uint64_t first = 0;
  for (int i = 0; i < MANY; i++) {
    label[i] = i % 3 == 0;
    id[i] = i * 2654435761ll % 4099 * 1000003;
  }
  for (int threads = 1; threads <= 3; threads++) {
    dfm_error error;
    dfm_dataset *train;
    const dfm_read_options options = {.threads = threads};
    dfm_schema *schema = make_schema("y:label C:category");
    arrow_made batch = ARROW_BATCH(ARROW_FIXED("c", "y", label, NULL), ARROW_FIXED("l", "C", id, NULL));
    assert_ok(read_batches(&batch, 1, schema, &options, &train, &error));
    assert_int_equal(dfm_dataset_rows(train), MANY);
    if (threads == 1) first = fingerprint_of(train);
    assert_true(fingerprint_of(train) == first);
    dfm_dataset_free(train);
    dfm_schema_free(schema);
    assert_int_equal(arrow_live, 0);
  }
}

/* ---- the whole way: guess, train, save; the same bytes as from text */

static char *train_model(dfm_input *input, const char *name, size_t *size) {
  dfm_error error;
  dfm_schema *schema;
  dfm_recipe *recipe;
  dfm_dataset *train, *valid;
  dfm_trainer *trainer;
  dfm_run_result result;
  const dfm_run_options options = {.model_path = test_path(name), .threads = 2};
  assert_ok(dfm_schema_guess(input, NULL, &schema, &error));
  assert_ok(dfm_recipe_create(&recipe, &error));
  assert_ok(dfm_recipe_set(recipe, "train.epochs", "1", &error));
  assert_ok(dfm_dataset_read_train(input, NULL, schema, recipe, NULL, &train, &valid, &error));
  assert_ok(dfm_trainer_create(recipe, train, valid, &trainer, &error));
  assert_ok(dfm_trainer_run(trainer, &options, &result, &error));
  dfm_trainer_free(trainer);
  dfm_dataset_free(train);
  dfm_dataset_free(valid);
  dfm_recipe_free(recipe);
  dfm_schema_free(schema);
  dfm_input_free(input);
  FILE *file = fopen(test_path(name), "rb");
  assert_non_null(file);
  char *bytes = calloc(1, 1 << 20);
  *size = fread(bytes, 1, 1 << 20, file);
  fclose(file);
  return bytes;
}

static void same_model_as_from_text(void **state) {
  (void)state;
  enum { MANY = 200 };
  dfm_error error;
  dfm_input *text;
  size_t a_size, b_size;
  char csv[MANY * 40] = "click,city,price\n", names[MANY][12];
  const char *cells[MANY];
  int8_t label[MANY];
  double price[MANY];
  for (int i = 0; i < MANY; i++) {
    snprintf(names[i], sizeof names[i], "city %d", i * 7 % 13);
    cells[i] = names[i];
    label[i] = (int8_t)(i * 11 % 5 == 0);
    price[i] = i % 17 + 0.5;
    snprintf(csv + strlen(csv), sizeof csv - strlen(csv), "%d,%s,%g\n", label[i], cells[i], price[i]);
  }
  const char *path = test_write("model.csv", csv, strlen(csv));
  assert_ok(dfm_input_create(&path, 1, &text, &error));
  char *a = train_model(text, "text.model", &a_size);
  const arrow_made batch = ARROW_BATCH(ARROW_FIXED("c", "click", label, NULL), arrow_text("u", "city", cells, MANY),
                                       ARROW_FIXED("g", "price", price, NULL));
  char *b = train_model(arrow_input(&batch, 1), "arrow.model", &b_size);
  assert_true(a_size > 1000 && a_size == b_size);
  assert_memory_equal(a, b, a_size);
  free(a);
  free(b);
  assert_int_equal(arrow_live, 0);
}

static void guesses_kinds(void **state) {
  (void)state;
  dfm_error error;
  dfm_schema *schema;
  static const int ends[ROWS] = {2, 2, 4, 5, 7, 8};
  arrow_made items = ARROW_TEXT("u", "item", "b", LONG, NULL, "a", "no", "a", "b", "a");
  const arrow_made batches[] = {
      ARROW_BATCH(arrow_bits("clicked", "101001", NULL), ARROW_TEXT("u", "zip", "1", "2", "3", "1", "2", "1"),
                  ARROW_FIXED("g", "price", ((double[]){1.5, 2, 3, 4, 5, 6}), NULL), arrow_bits("flag", "111000", NULL),
                  arrow_list("+l", "genres", ends, ROWS, items, NULL), arrow_make("tDs", "took", ROWS, 2),
                  ARROW_FIXED("l", "__index_level_0__", ((int64_t[]){0, 1, 2, 3, 4, 5}), NULL),
                  ARROW_FIXED("l", "user_id", ((int64_t[]){5, 6, 5, 7, 5, 6}), NULL))};
  dfm_input *input = arrow_input(batches, 1);
  assert_ok(dfm_schema_guess(input, NULL, &schema, &error));
  static const dfm_kind kinds[] = {DFM_KIND_LABEL, DFM_KIND_CATEGORY, DFM_KIND_NUMBER, DFM_KIND_CATEGORY,
                                   DFM_KIND_LIST,  DFM_KIND_IGNORE,   DFM_KIND_IGNORE, DFM_KIND_CATEGORY};
  for (size_t i = 0; i < schema->n_columns; i++) {
    if (schema->columns[i].kind != kinds[i])
      fail_msg("%s: kind %d (%s)", schema->columns[i].name, (int)schema->columns[i].kind, schema->columns[i].reason);
    assert_non_null(schema->columns[i].reason);
  }
  /* What was looked at is still there to be read. */
  dfm_dataset *train, *valid;
  const dfm_data_settings settings = make_settings();
  assert_ok(dfm_dataset_read_training(input, NULL, schema, &settings, NULL, &train, &valid, &error));
  assert_int_equal(dfm_dataset_rows(train), ROWS);
  dfm_dataset_free(train);
  /* But once. */
  assert_int_equal(dfm_dataset_read_training(input, NULL, schema, &settings, NULL, &train, &valid, &error),
                   DFM_ERROR_IO);
  assert_non_null(strstr(error.message, "can be read only once"));
  dfm_input_free(input);
  dfm_schema_free(schema);
  assert_int_equal(arrow_live, 0);
}

int main(int argc, char **argv) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(text_of_every_kind),
      cmocka_unit_test(numbers_of_every_width),
      cmocka_unit_test(dictionaries),
      cmocka_unit_test(dates_and_timestamps),
      cmocka_unit_test(every_day_has_its_date),
      cmocka_unit_test(decimals),
      cmocka_unit_test(lists),
      cmocka_unit_test(label_weight_and_truth),
      cmocka_unit_test(batches_offsets_and_slices),
      cmocka_unit_test(many_rows),
      cmocka_unit_test(same_model_as_from_text),
      cmocka_unit_test(guesses_kinds),
  };
  return test_main(argc, argv, "arrow", tests, sizeof tests / sizeof *tests);
}
