/* Delimited text: small texts come in; the rows and cells that the reader makes of them, and its errors, are compared
 * with what is expected. */
#include <fcntl.h>

#include "data/delimited.h"
#include "test.h"

static dfm_error error;

/* A reader and the feed under it. */
static dfm_feed *feed;

static dfm_status open_reader(const char *path, char separator, const char *comment, bool keeps,
                              dfm_delimited **reader) {
  dfm_status status = dfm_feed_open(path, &feed, &error);
  if (status != DFM_OK) return status;
  status = dfm_delimited_open(feed, separator, comment, keeps, reader, &error);
  if (status != DFM_OK) dfm_feed_close(feed);
  return status;
}

static void close_reader(dfm_delimited *reader) {
  dfm_delimited_close(reader);
  dfm_feed_close(feed);
}

/* Reads a text whole: cells in [brackets], rows ended by '/', or the error's message. */
static const char *read_text(const char *bytes, size_t n, char separator, const char *comment) {
  static char out[4096];
  size_t length = 0;
  dfm_delimited *reader;
  const char *path = test_write("text.csv", bytes, n);
  if (open_reader(path, separator, comment, false, &reader) != DFM_OK) return error.message;
  for (;;) {
    const dfm_cell *cells;
    size_t n_cells;
    if (dfm_delimited_next(reader, &cells, &n_cells, &error) != DFM_OK) {
      close_reader(reader);
      return error.message;
    }
    if (n_cells == 0) break;
    for (size_t i = 0; i < n_cells; i++) {
      out[length++] = '[';
      memcpy(out + length, cells[i].bytes, cells[i].n);
      length += cells[i].n;
      out[length++] = ']';
    }
    out[length++] = '/';
  }
  out[length] = 0;
  close_reader(reader);
  return out;
}

static const char *read_csv(const char *text) {
  return read_text(text, strlen(text), ',', NULL);
}

static void plain_rows(void **state) {
  (void)state;
  assert_string_equal(read_csv("a,b\n1,2\n"), "[a][b]/[1][2]/");
  assert_string_equal(read_csv("a,b\n1,2"), "[a][b]/[1][2]/");
  assert_string_equal(read_csv(",\n,,\n x ,\n"), "[][]/[][][]/[ x ][]/");
  assert_string_equal(read_csv("single\n"), "[single]/");
  assert_string_equal(read_csv(""), "");
  assert_string_equal(read_csv("\n\r\n\n"), "");
  assert_string_equal(read_text("a\tb,c\t\n", 7, '\t', NULL), "[a][b,c][]/");
}

static void line_ends(void **state) {
  (void)state;
  assert_string_equal(read_csv("a,b\r\n1,\r\n\r\n2,3\n4,5\r\n"), "[a][b]/[1][]/[2][3]/[4][5]/");
  assert_string_equal(read_csv("a\rb,c\n"), "[a\rb][c]/");
  assert_string_equal(read_csv("\"a\",\"b\"\r\n\"c\",\"d\""), "[a][b]/[c][d]/");
}

static void quotes(void **state) {
  (void)state;
  assert_string_equal(read_csv("\"a,b\",c\n"), "[a,b][c]/");
  assert_string_equal(read_csv("\"\",\"\"\"\",\"x\"\"y\"\"\"\n"), "[][\"][x\"y\"]/");
  assert_string_equal(read_csv("\"two\nlines\",z\n1,2\n"), "[two\nlines][z]/[1][2]/");
  assert_string_equal(read_csv("a\"b,5\" pipe\n"), "[a\"b][5\" pipe]/");
  assert_string_equal(read_csv("\"a\"\"\",b,\"c\"\"d\"\n"), "[a\"][b][c\"d]/");
}

static void marks_comments_and_bytes(void **state) {
  (void)state;
  assert_string_equal(read_csv("\xef\xbb\xbflabel,x\n"), "[label][x]/");
  assert_string_equal(read_text("|1x3 \"Cross\n1,2\n|end", 19, ',', "|"), "[1][2]/");
  assert_string_equal(read_text("//c\n/,1\n", 8, ',', "//"), "[/][1]/");
  dfm_delimited *reader;
  const dfm_cell *cells;
  size_t n;
  assert_ok(open_reader(test_write("bytes.csv", "a\0b,\xff\xfe\n", 7), ',', NULL, false, &reader));
  assert_ok(dfm_delimited_next(reader, &cells, &n, &error));
  assert_int_equal(n, 2);
  assert_int_equal(cells[0].n, 3);
  assert_memory_equal(cells[0].bytes, "a\0b", 3);
  assert_memory_equal(cells[1].bytes, "\xff\xfe", 2);
  close_reader(reader);
}

static void positions(void **state) {
  (void)state;
  dfm_delimited *reader;
  const dfm_cell *cells;
  size_t n;
  const char text[] = "\n#c\na,\"x\ny\",zz\n\nb,c\n";
  assert_ok(open_reader(test_write("p.csv", text, sizeof text - 1), ',', "#", true, &reader));
  for (int round = 0; round < 2; round++) {
    assert_ok(dfm_delimited_next(reader, &cells, &n, &error));
    assert_int_equal(dfm_delimited_line(reader), 3);
    assert_int_equal(n, 3);
    assert_int_equal(cells[1].column, 3);
    assert_int_equal(cells[2].column, 4); /* on the cell's own line: y",zz */
    assert_ok(dfm_delimited_next(reader, &cells, &n, &error));
    assert_int_equal(dfm_delimited_line(reader), 6);
    assert_ok(dfm_delimited_next(reader, &cells, &n, &error));
    assert_int_equal(n, 0);
    assert_ok(dfm_delimited_restart(reader, ',', "#", &error));
  }
  close_reader(reader);
}

static void errors_have_places(void **state) {
  (void)state;
  assert_non_null(strstr(read_csv("a,b\n1,\"2\n3,4\n"),
                         "text.csv:2:3: the quote that opens here is not closed before the end of the file"));
  assert_int_equal(error.line, 2);
  assert_int_equal(error.column, 3);
  assert_non_null(strstr(read_csv("a,b\n\"1\"x,2\n"), "text.csv:2:4: text after the closing quote"));
  assert_non_null(strstr(read_csv("a,b\n\"1\n2\" ,2\n"), "text.csv:3:3: text after the closing quote"));
  assert_non_null(strstr(read_csv("a,\""), "text.csv:1:3: the quote that opens here"));
  assert_non_null(strstr(read_text("\xff\xfe"
                                   "a\0",
                                   4, ',', NULL),
                         "UTF-16"));
  assert_non_null(strstr(read_csv("PAR1"), "Parquet"));
  assert_non_null(strstr(read_csv("PK\3\4"), "unzip"));
  assert_non_null(strstr(read_csv("\xfd"
                                  "7zXZ"),
                         "xz -dk"));
  assert_non_null(strstr(read_csv("BZh9"), "bzip2 -dk"));
  dfm_delimited *reader;
  assert_int_equal(open_reader(test_path("absent.csv"), ',', NULL, false, &reader), DFM_ERROR_IO);
  assert_non_null(strstr(error.message, "absent.csv"));
  assert_int_equal(open_reader(test_folder(), ',', NULL, false, &reader), DFM_ERROR_IO);
  assert_int_equal(open_reader(test_write("x.csv", "a", 1), '"', NULL, false, &reader), DFM_ERROR_VALUE);
}

/* 65 MB without a line break, sparse on disk, behind `head`. */
static void check_too_long(const char *head, const char *expected) {
  const char *path = test_write("long.csv", head, strlen(head));
  const dfm_cell *cells;
  size_t n;
  dfm_delimited *reader;
  assert_int_equal(truncate(path, 65 << 20), 0);
  assert_ok(open_reader(path, ',', NULL, false, &reader));
  assert_ok(dfm_delimited_next(reader, &cells, &n, &error));
  assert_int_equal(dfm_delimited_next(reader, &cells, &n, &error), DFM_ERROR_FORMAT);
  assert_non_null(strstr(error.message, expected));
  close_reader(reader);
}

static void endless_lines_stop(void **state) {
  (void)state;
  check_too_long("a,b\n1,2", "long.csv:2: line is longer than 64 MB; is the file text?");
  check_too_long("a,b\n1,2,\"3\n4\n", "long.csv:2:5: the quote that opens here is not closed within 64 MB");
}

/* Rows of all shapes, comments between them, over many windows: a text of gzip moves in pieces of 1 MB, so that its
 * rows are cut everywhere. What is read of it is what is read of the plain text. */
static void write_long_text(const char *name, int rows) {
  static const char *const shapes[] = {"%d,plain\n", "\"%d\n,\",\"q\"\"\"\n", "# %d\n", "%d,x\r\n", "\n\r\n%d,\"\"\n"};
  FILE *file = fopen(test_path(name), "wb");
  assert_non_null(file);
  fputs("\xef\xbb\xbf", file);
  for (int i = 0; i < rows; i++) {
    fprintf(file, shapes[((unsigned)i * 2654435761U >> 16) % 5], i);
    if (i % 100000 == 0) fprintf(file, "\"%02500000d\n\"\"\",long\n", i);
  }
  fputs("last,\"row\"", file);
  assert_int_equal(fclose(file), 0);
}

static void rows_cut_by_the_window_are_whole(void **state) {
  (void)state;
  char command[9000];
  write_long_text("cut.csv", 500000);
  snprintf(command, sizeof command, "gzip -1 -c '%s' > '%s'", test_path("cut.csv"), test_path("cut.csv.gz"));
  assert_int_equal(system(command), 0);
  dfm_delimited *plain, *packed;
  assert_ok(open_reader(test_path("cut.csv"), ',', "#", false, &plain));
  dfm_feed *plain_feed = feed;
  assert_ok(open_reader(test_path("cut.csv.gz"), ',', "#", false, &packed));
  for (size_t n = 1, n_packed; n > 0;) {
    const dfm_cell *cells, *packed_cells;
    assert_ok(dfm_delimited_next(plain, &cells, &n, &error));
    assert_ok(dfm_delimited_next(packed, &packed_cells, &n_packed, &error));
    assert_int_equal(n, n_packed);
    assert_int_equal(dfm_delimited_line(plain), dfm_delimited_line(packed));
    for (size_t i = 0; i < n; i++) {
      assert_int_equal(cells[i].column, packed_cells[i].column);
      assert_int_equal(cells[i].n, packed_cells[i].n);
      assert_memory_equal(cells[i].bytes, packed_cells[i].bytes, cells[i].n);
    }
  }
  close_reader(packed);
  feed = plain_feed;
  close_reader(plain);
}

/* Random texts of few kinds of bytes: what is written by the rules of RFC 4180 is read back. */
static void random_cells_come_back(void **state) {
  (void)state;
  static const char alphabet[] = "ab\",\n\r ";
  char text[2000], expected[2000];
  uint32_t seed = 7;
  for (int round = 0; round < 500; round++) {
    size_t n = 0, m = 0;
    for (int row = 0; row < 5; row++) {
      for (int cell = 0; cell < 4; cell++) {
        if (cell) text[n++] = ',';
        text[n++] = '"';
        expected[m++] = '[';
        for (uint32_t k = (seed = seed * 1664525u + 1013904223u) >> 29; k > 0; k--) {
          const char c = alphabet[((seed = seed * 1664525u + 1013904223u) >> 16) % (sizeof alphabet - 1)];
          text[n++] = c;
          if (c == '"') text[n++] = c;
          expected[m++] = c;
        }
        text[n++] = '"';
        expected[m++] = ']';
      }
      if (row % 2) text[n++] = '\r';
      text[n++] = '\n';
      expected[m++] = '/';
    }
    expected[m] = 0;
    assert_string_equal(read_text(text, n, ',', NULL), expected);
  }
}

static void names_of_a_header(void **state) {
  (void)state;
  dfm_delimited *reader;
  const dfm_cell *cells;
  size_t n;
  char **names;
  const char text[] = ", b,\"c,d\"\na,b,a\na,\xe9\n";
  assert_ok(open_reader(test_write("n.csv", text, sizeof text - 1), ',', NULL, false, &reader));
  assert_ok(dfm_delimited_next(reader, &cells, &n, &error));
  assert_ok(dfm_delimited_names(reader, cells, n, true, &names, &error));
  assert_string_equal(names[0], "c1");
  assert_string_equal(names[1], "b");
  assert_string_equal(names[2], "c,d");
  dfm_names_free(names, n);
  assert_ok(dfm_delimited_next(reader, &cells, &n, &error));
  assert_int_equal(dfm_delimited_names(reader, cells, n, true, &names, &error), DFM_ERROR_FORMAT);
  assert_non_null(strstr(error.message, "n.csv:2:5: columns 1 and 3 are both named 'a'; rename one"));
  assert_ok(dfm_delimited_next(reader, &cells, &n, &error));
  assert_int_equal(dfm_delimited_names(reader, cells, n, true, &names, &error), DFM_ERROR_FORMAT);
  assert_non_null(strstr(error.message, "n.csv:3:3: the column name"));
  close_reader(reader);
}

static void standard_input_is_a_dash(void **state) {
  (void)state;
  dfm_delimited *reader;
  const dfm_cell *cells;
  size_t n;
  int ends[2];
  const int saved = dup(0);
  assert_int_equal(pipe(ends), 0);
  assert_int_equal(write(ends[1], "q,\"r", 4), 4);
  close(ends[1]);
  dup2(ends[0], 0);
  close(ends[0]);
  const dfm_status opened = open_reader("-", ',', NULL, false, &reader);
  dup2(saved, 0);
  close(saved);
  assert_int_equal(opened, DFM_OK);
  assert_int_equal(dfm_delimited_next(reader, &cells, &n, &error), DFM_ERROR_FORMAT);
  assert_non_null(strstr(error.message, "standard input:1:3: "));
  close_reader(reader);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(plain_rows),
    cmocka_unit_test(line_ends),
    cmocka_unit_test(quotes),
    cmocka_unit_test(marks_comments_and_bytes),
    cmocka_unit_test(positions),
    cmocka_unit_test(errors_have_places),
    cmocka_unit_test(endless_lines_stop),
    cmocka_unit_test(rows_cut_by_the_window_are_whole),
    cmocka_unit_test(random_cells_come_back),
    cmocka_unit_test(names_of_a_header),
    cmocka_unit_test(standard_input_is_a_dash),
};

int main(int argc, char **argv) {
  return test_main(argc, argv, "delimited", tests, sizeof tests / sizeof *tests);
}
