/* JSON rows: texts come in; they must be refused or read as jansson does, and flattened as its trees say. */
#include "test.h"

#include <jansson.h>

#include "base/random.h"
#include "data/json_row.h"

/* ---- what the scanner says, as lines "key=type:text" */

typedef struct seen {
  dfm_text text;
  char key[4096];
  size_t key_n;
} seen;

static dfm_status see_key(void *context, dfm_cell key, dfm_json_type type, bool *is_wanted, dfm_error *error) {
  seen *s = context;
  (void)error;
  memcpy(s->key, key.bytes, key.n);
  s->key_n = key.n;
  *is_wanted = true;
  return type == DFM_JSON_ARRAY ? dfm_text_printf(&s->text, error, "array\n") : DFM_OK;
}

static dfm_status see_value(void *context, dfm_json_type type, dfm_cell cell, dfm_error *error) {
  static const char *const names[] = {"string", "number", "true", "false", "null", "array", "object"};
  seen *s = context;
  DFM_TRY(dfm_text_add(&s->text, s->key, s->key_n, error));
  DFM_TRY(dfm_text_printf(&s->text, error, "=%s:", names[type]));
  const bool has_text = type == DFM_JSON_STRING;
  if (type == DFM_JSON_NUMBER) {
    char number[64] = "";
    assert_true(cell.n < sizeof number);
    memcpy(number, cell.bytes, cell.n);
    DFM_TRY(dfm_text_printf(&s->text, error, "%.17g", strtod(number, NULL)));
  }
  if (has_text) DFM_TRY(dfm_text_add(&s->text, cell.bytes, cell.n, error));
  return dfm_text_add(&s->text, "\n", 1, error);
}

/* The row stands at the end of a block of its own, so that a byte read behind it is found by AddressSanitizer. */
static dfm_status read_row(const char *bytes, size_t n, seen *s, dfm_error *error) {
  char *row = malloc(n ? n : 1), *copies = malloc(n ? n : 1), *to = copies;
  dfm_text key = {0};
  const dfm_json_visitor visitor = {see_key, see_value, s};
  if (n > 0) memcpy(row, bytes, n);
  s->text.length = 0;
  assert_int_equal(dfm_text_add(&s->text, "", 0, error), DFM_OK);
  const dfm_status status = dfm_json_read(row, n, "rows", 3, &to, &key, &visitor, error);
  assert_true(to >= copies && (size_t)(to - copies) <= n);
  free(key.bytes);
  free(copies);
  free(row);
  return status;
}

/* ---- the same from jansson's tree */

static void expect(const json_t *value, const char *key, size_t key_n, seen *s) {
  dfm_error error;
  assert_ok(dfm_text_add(&s->text, key, key_n, &error));
  const char *type = json_is_string(value)   ? "string"
                     : json_is_number(value) ? "number"
                     : json_is_true(value)   ? "true"
                     : json_is_false(value)  ? "false"
                     : json_is_null(value)   ? "null"
                     : json_is_array(value)  ? "array"
                                             : "object";
  assert_ok(dfm_text_printf(&s->text, &error, "=%s:", type));
  if (json_is_string(value))
    assert_ok(dfm_text_add(&s->text, json_string_value(value), json_string_length(value), &error));
  if (json_is_number(value)) assert_ok(dfm_text_printf(&s->text, &error, "%.17g", json_number_value(value)));
  assert_ok(dfm_text_add(&s->text, "\n", 1, &error));
}

static void flatten(json_t *object, const char *above, seen *s) {
  dfm_error error;
  const char *name;
  json_t *value;
  json_object_foreach(object, name, value) {
    dfm_text key = {0};
    assert_ok(dfm_text_printf(&key, &error, "%s%s", above, name));
    if (json_is_object(value)) {
      assert_ok(dfm_text_printf(&key, &error, "."));
      flatten(value, key.bytes, s);
    } else if (json_is_array(value)) {
      size_t i;
      json_t *item;
      assert_ok(dfm_text_printf(&s->text, &error, "array\n"));
      json_array_foreach(value, i, item) expect(item, key.bytes, key.length, s);
    } else {
      expect(value, key.bytes, key.length, s);
    }
    free(key.bytes);
  }
}

/* ---- rows at random */

static uint64_t dice, n_drawn;

static unsigned draw(unsigned n) {
  return (unsigned)dfm_random_below(dice, n_drawn++, n);
}

static void add(dfm_text *text, const char *part) {
  dfm_error error;
  assert_ok(dfm_text_add(text, part, strlen(part), &error));
}

static void add_string(dfm_text *text) {
  static const char *const parts[] = {"a",
                                      "Z9",
                                      " ",
                                      "\\n",
                                      "\\\"",
                                      "\\\\",
                                      "\\/",
                                      "\\u0041",
                                      "\\u00e9",
                                      "\\u20aC",
                                      "\\ud83d\\ude00",
                                      "\xc3\xa9",
                                      "\xf0\x9f\x98\x80",
                                      ":,{}[]"};
  add(text, "\"");
  for (unsigned i = draw(5); i > 0; i--) add(text, parts[draw(sizeof parts / sizeof *parts)]);
  add(text, "\"");
}

static void add_space(dfm_text *text) {
  if (draw(4) == 0) add(text, draw(2) ? " " : "\t ");
}

static void add_object(dfm_text *text, int depth);

static void add_value(dfm_text *text, int depth) {
  static const char *const plain[] = {"true", "false", "null",   "0",        "-0.0", "12",
                                      "-7.5", "1e5",   "2.5E-3", "0.125e+2", "1.0",  "1234567890"};
  const unsigned what = draw(depth > 0 ? 10 : 7);
  if (what < 4) {
    add(text, plain[draw(sizeof plain / sizeof *plain)]);
  } else if (what < 7) {
    add_string(text);
  } else if (what < 9) {
    add(text, "[");
    for (unsigned i = draw(4); i > 0; i--) {
      add_space(text);
      add_value(text, depth - 1);
      if (i > 1) add(text, ",");
    }
    add(text, "]");
  } else {
    add_object(text, depth - 1);
  }
}

/* Keys differ, or jansson would keep the last one's value. */
static void add_object(dfm_text *text, int depth) {
  dfm_error error;
  add_space(text);
  add(text, "{");
  const unsigned n = draw(5);
  for (unsigned i = 0; i < n; i++) {
    add_space(text);
    assert_ok(dfm_text_printf(text, &error, "\"k%u%s\"", i, draw(4) ? "" : "\\u00e9\\\\"));
    add_space(text);
    add(text, ":");
    add_space(text);
    add_value(text, depth);
    add_space(text);
    if (i + 1 < n) add(text, ",");
  }
  add(text, "}");
  add_space(text);
}

static void rows_at_random_are_read_as_jansson_reads_them(void **state) {
  (void)state;
  seen ours = {0}, theirs = {0};
  dfm_error error;
  dfm_text text = {0};
  dice = dfm_random_key(11, DFM_STREAM_BENCH);
  for (int i = 0; i < 20000; i++) {
    text.length = 0;
    add_object(&text, 4);
    json_error_t why;
    json_t *tree = json_loadb(text.bytes, text.length, JSON_REJECT_DUPLICATES, &why);
    if (!tree) fail_msg("the test's own row: %s: %s", why.text, text.bytes);
    assert_ok(read_row(text.bytes, text.length, &ours, &error));
    theirs.text.length = 0;
    assert_ok(dfm_text_add(&theirs.text, "", 0, &error));
    flatten(tree, "", &theirs);
    if (ours.text.length != theirs.text.length || memcmp(ours.text.bytes, theirs.text.bytes, ours.text.length) != 0)
      fail_msg("%s\nours:\n%s\njansson's:\n%s", text.bytes, ours.text.bytes, theirs.text.bytes);
    json_decref(tree);
  }
  free(text.bytes);
  free(ours.text.bytes);
  free(theirs.text.bytes);
}

/* One byte is changed, taken out or put in. jansson's answer counts, but for keys that became equal. */
static void damaged_rows_are_refused_as_jansson_refuses_them(void **state) {
  (void)state;
  static const char bytes[] = "{}[]\",:\\u0129eE+-.tfn \t\x01\x7f\x80\xc3\xff/ad8";
  seen ours = {0};
  dfm_error error;
  dfm_text text = {0};
  int refused = 0;
  dice = dfm_random_key(12, DFM_STREAM_BENCH);
  for (int i = 0; i < 60000; i++) {
    text.length = 0;
    add_object(&text, 3);
    const size_t at = draw((unsigned)text.length);
    const char byte = bytes[draw(sizeof bytes - 1)];
    const unsigned way = draw(3);
    if (way == 0) text.bytes[at] = byte;
    if (way == 1) memmove(text.bytes + at, text.bytes + at + 1, text.length-- - at);
    if (way == 2) {
      assert_ok(dfm_text_add(&text, " ", 1, &error));
      memmove(text.bytes + at + 1, text.bytes + at, text.length - at - 1);
      text.bytes[at] = byte;
    }
    json_error_t why;
    json_t *tree = json_loadb(text.bytes, text.length, JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, &why);
    const bool is_good = json_is_object(tree) || (!tree && strstr(why.text, "real number overflow"));
    json_decref(tree);
    const dfm_status status = read_row(text.bytes, text.length, &ours, &error);
    refused += !is_good;
    if ((status == DFM_OK) != is_good)
      fail_msg("%s: ours %s, jansson's %s", text.bytes, status == DFM_OK ? "good" : error.message,
               is_good ? "good" : why.text);
    if (!is_good) assert_true(error.line == 3 && error.column >= 1 && (size_t)error.column <= text.length + 1);
  }
  assert_true(refused > 10000);
  free(text.bytes);
  free(ours.text.bytes);
}

static void places_and_sentences(void **state) {
  (void)state;
  static const struct {
    const char *row, *says;
    int column;
  } cases[] = {
      {"", "the row ends where it needs one object a line", 1},
      {"[1]", "jq -c", 1},
      {"7", "one object a line", 1},
      {"{\"a\":1", "the row ends where it needs a comma or }", 7},
      {"{\"a\" 1}", "a colon behind the key", 6},
      {"{a:1}", "a key in quotes", 2},
      {"{\"a\":01}", "without leading zeros", 6},
      {"{\"a\":NaN}", "a string, number, object, array, true, false or null", 6},
      {"{\"a\":\"x}", "the string that opens here is not closed", 6},
      {"{\"a\":\"x\\q\"}", "one of \\\"", 8},
      {"{\"a\":\"\\ud800x\"}", "both halves of a surrogate pair", 7},
      {"{\"a\":\"\\udc00\"}", "both halves of a surrogate pair", 7},
      {"{\"a\":\"\\u12g4\"}", "four hexadecimal digits", 7},
      {"{\"a\":\"\t\"}", "control characters", 7},
      {"{\"a\":\"\xff\"}", "'\\xFF' is not UTF-8", 7},
      {"{\"a\":1} {}", "nothing behind it", 9},
      {"{\"a\":1,}", "a key in quotes", 8},
      {"{\"a\":[1 2]}", "a comma or ]", 9},
  };
  seen s = {0};
  dfm_error error;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_int_equal(read_row(cases[i].row, strlen(cases[i].row), &s, &error), DFM_ERROR_FORMAT);
    if (!strstr(error.message, cases[i].says)) fail_msg("%s: %s", cases[i].row, error.message);
    assert_int_equal(error.line, 3);
    if (error.column != cases[i].column) fail_msg("%s: %s", cases[i].row, error.message);
  }
  free(s.text.bytes);
}

static void depth_has_an_end(void **state) {
  (void)state;
  seen s = {0};
  dfm_error error;
  char row[400] = "{\"a\":";
  size_t n = strlen(row);
  for (int i = 0; i < 63; i++) row[n++] = '[';
  for (int i = 0; i < 63; i++) row[n++] = ']';
  row[n++] = '}';
  assert_ok(read_row(row, n, &s, &error));
  n = 5;
  for (int i = 0; i < 300; i++) row[n++] = '[';
  assert_int_equal(read_row(row, n, &s, &error), DFM_ERROR_FORMAT);
  assert_non_null(strstr(error.message, "more than 64 objects and arrays"));
  free(s.text.bytes);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(rows_at_random_are_read_as_jansson_reads_them),
    cmocka_unit_test(damaged_rows_are_refused_as_jansson_refuses_them),
    cmocka_unit_test(places_and_sentences),
    cmocka_unit_test(depth_has_an_end),
};

int main(int argc, char **argv) {
  return test_main(argc, argv, "json_row", tests, sizeof tests / sizeof *tests);
}
