/* Arrow arrays made by hand: cells come in; columns, batches and streams that count what is not released go out.
 * Buffers are allocated to their very size, so that AddressSanitizer sees a byte too many. */
#ifndef DFM_TESTS_ARROW_ROWS_H
#define DFM_TESTS_ARROW_ROWS_H

#include "test_rows.h"

enum { ARROW_MAX = 16 };

/* What was made and not released; a release more than once is counted below zero. */
static int arrow_live;

typedef struct arrow_made {
  struct ArrowSchema *schema;
  struct ArrowArray *array;
} arrow_made;

static void release_schema(struct ArrowSchema *schema) {
  for (int64_t i = 0; i < schema->n_children; i++) {
    if (schema->children[i]->release) schema->children[i]->release(schema->children[i]);
    free(schema->children[i]);
  }
  if (schema->dictionary) {
    if (schema->dictionary->release) schema->dictionary->release(schema->dictionary);
    free(schema->dictionary);
  }
  free(schema->children);
  schema->release = NULL;
  arrow_live--;
}

static void release_array(struct ArrowArray *array) {
  for (int64_t i = 0; i < array->n_buffers; i++) free((void *)(uintptr_t)array->buffers[i]);
  for (int64_t i = 0; i < array->n_children; i++) {
    if (array->children[i]->release) array->children[i]->release(array->children[i]);
    free(array->children[i]);
  }
  if (array->dictionary) {
    if (array->dictionary->release) array->dictionary->release(array->dictionary);
    free(array->dictionary);
  }
  free(array->buffers);
  free(array->children);
  array->release = NULL;
  arrow_live--;
}

static inline arrow_made arrow_make(const char *format, const char *name, int64_t n, int n_buffers) {
  arrow_made made = {calloc(1, sizeof(struct ArrowSchema)), calloc(1, sizeof(struct ArrowArray))};
  *made.schema = (struct ArrowSchema){.format = format, .name = name, .flags = 2, .release = release_schema};
  *made.array = (struct ArrowArray){.length = n, .n_buffers = n_buffers, .release = release_array};
  made.array->buffers = calloc(ARROW_MAX, sizeof(void *));
  made.schema->children = calloc(ARROW_MAX, sizeof(void *));
  made.array->children = calloc(ARROW_MAX, sizeof(void *));
  arrow_live += 2;
  return made;
}

/* Takes the child over. */
static inline void arrow_add(arrow_made *parent, arrow_made child) {
  parent->schema->children[parent->schema->n_children++] = child.schema;
  parent->array->children[parent->array->n_children++] = child.array;
}

static inline void *arrow_buffer(arrow_made *made, int i, const void *bytes, size_t n) {
  void *buffer = malloc(n);
  if (n > 0) memcpy(buffer, bytes, n);
  free((void *)(uintptr_t)made->array->buffers[i]);
  made->array->buffers[i] = buffer;
  return buffer;
}

/* `nulls`: "v.vv" has a null at row 1. NULL: none, and no buffer. */
static inline void arrow_nulls(arrow_made *made, const char *nulls) {
  const size_t n = nulls ? strlen(nulls) : 0;
  if (!nulls) return;
  uint8_t *bits = arrow_buffer(made, 0, nulls, (n + 7) / 8);
  memset(bits, 0, (n + 7) / 8);
  for (size_t i = 0; i < n; i++) {
    bits[i / 8] |= (uint8_t)((nulls[i] != '.') << i % 8);
    made->array->null_count += nulls[i] == '.';
  }
}

/* A column of fixed width: `bytes` (n, width). */
static inline arrow_made arrow_fixed(const char *format, const char *name, const void *bytes, size_t width, int64_t n,
                                     const char *nulls) {
  arrow_made made = arrow_make(format, name, n, 2);
  arrow_buffer(&made, 1, bytes, width * (size_t)n);
  arrow_nulls(&made, nulls);
  return made;
}
#define ARROW_FIXED(format, name, values, nulls) \
  arrow_fixed(format, name, values, sizeof *(values), sizeof(values) / sizeof *(values), nulls)

/* Bits "0110". */
static inline arrow_made arrow_bits(const char *name, const char *bits, const char *nulls) {
  arrow_made made = arrow_make("b", name, (int64_t)strlen(bits), 2);
  uint8_t *bytes = arrow_buffer(&made, 1, bits, (strlen(bits) + 7) / 8);
  memset(bytes, 0, (strlen(bits) + 7) / 8);
  for (size_t i = 0; bits[i]; i++) bytes[i / 8] |= (uint8_t)((bits[i] == '1') << i % 8);
  arrow_nulls(&made, nulls);
  return made;
}

static inline void arrow_views(arrow_made *made, const char *const *cells, size_t n, const char *text, size_t length) {
  uint8_t *views = calloc(n, 16);
  int32_t at = 0;
  for (size_t i = 0; i < n; i++) {
    const int32_t size = cells[i] ? (int32_t)strlen(cells[i]) : 0, zero = 0;
    memcpy(views + 16 * i, &size, 4);
    if (size > 0) memcpy(views + 16 * i + 4, cells[i], size <= 12 ? (size_t)size : 4);
    if (size > 12) memcpy(views + 16 * i + 8, &zero, 4), memcpy(views + 16 * i + 12, &at, 4);
    at += size;
  }
  arrow_buffer(made, 1, views, 16 * n);
  arrow_buffer(made, 2, text, length);
  arrow_buffer(made, 3, &(int64_t){(int64_t)length}, 8);
  made->array->n_buffers = 4;
  free(views);
}

/* Text of format u, z, U, Z, vu or vz; a cell that is NULL is null. */
static inline arrow_made arrow_text(const char *format, const char *name, const char *const *cells, size_t n) {
  arrow_made made = arrow_make(format, name, (int64_t)n, 3);
  char text[4096], nulls[256] = {0};
  int32_t narrow[256] = {0};
  int64_t wide[256] = {0};
  bool has_nulls = false;
  for (size_t i = 0; i < n; i++) {
    const size_t length = cells[i] ? strlen(cells[i]) : 0;
    if (length > 0) memcpy(text + wide[i], cells[i], length);
    wide[i + 1] = wide[i] + (int64_t)length;
    narrow[i + 1] = (int32_t)wide[i + 1];
    nulls[i] = cells[i] ? 'v' : '.';
    has_nulls |= !cells[i];
  }
  const bool is_wide = *format == 'U' || *format == 'Z';
  if (*format == 'v') {
    arrow_views(&made, cells, n, text, (size_t)wide[n]);
  } else {
    arrow_buffer(&made, 1, is_wide ? (const void *)wide : narrow, (n + 1) * (is_wide ? 8 : 4));
    arrow_buffer(&made, 2, text, (size_t)wide[n]);
  }
  arrow_nulls(&made, has_nulls ? nulls : NULL);
  return made;
}
#define ARROW_TEXT(format, name, ...)                          \
  arrow_text(format, name, (const char *const[]){__VA_ARGS__}, \
             sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

/* A list of `n` rows whose offsets are `ends` behind 0; takes `items` over. */
static inline arrow_made arrow_list(const char *format, const char *name, const int *ends, size_t n, arrow_made items,
                                    const char *nulls) {
  arrow_made made = arrow_make(format, name, (int64_t)n, 2);
  int32_t narrow[256] = {0};
  int64_t wide[256] = {0};
  for (size_t i = 0; i < n; i++) wide[i + 1] = narrow[i + 1] = ends[i];
  arrow_buffer(&made, 1, strcmp(format, "+L") == 0 ? (const void *)wide : narrow,
               (n + 1) * (strcmp(format, "+L") == 0 ? 8 : 4));
  arrow_nulls(&made, nulls);
  arrow_add(&made, items);
  return made;
}

/* Makes `entries` (taken over) the dictionary of a column of indices. */
static inline arrow_made arrow_dictionary(arrow_made indices, arrow_made entries) {
  indices.schema->dictionary = entries.schema;
  indices.array->dictionary = entries.array;
  return indices;
}

/* Leaves the first `skip` rows of the column out by its offset. */
static inline arrow_made arrow_sliced(arrow_made made, int64_t skip) {
  made.array->offset += skip;
  made.array->length -= skip;
  return made;
}

/* ---- batches and streams */

static inline arrow_made arrow_batch(const arrow_made *columns, size_t n) {
  arrow_made made = arrow_make("+s", "", columns[0].array->length, 1);
  for (size_t i = 0; i < n; i++) arrow_add(&made, columns[i]);
  return made;
}
#define ARROW_BATCH(...) \
  arrow_batch((const arrow_made[]){__VA_ARGS__}, sizeof((const arrow_made[]){__VA_ARGS__}) / sizeof(arrow_made))

typedef struct arrow_producer {
  arrow_made batch[ARROW_MAX]; /* taken over; the first one's schema is the stream's */
  int n, given;
  int fails_at; /* batch that fails; -1: none */
} arrow_producer;

static void arrow_drop_schema(struct ArrowSchema *schema) {
  if (schema->release) schema->release(schema);
  free(schema);
}

static int give_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out) {
  arrow_producer *p = stream->private_data;
  *out = *p->batch[0].schema;
  p->batch[0].schema->release = NULL;
  return 0;
}

static int give_next(struct ArrowArrayStream *stream, struct ArrowArray *out) {
  arrow_producer *p = stream->private_data;
  if (p->given == p->fails_at) return 5;
  if (p->given == p->n) {
    out->release = NULL;
    return 0;
  }
  *out = *p->batch[p->given].array;
  p->batch[p->given++].array->release = NULL;
  return 0;
}

static const char *give_error(struct ArrowArrayStream *stream) {
  (void)stream;
  return "the disk is gone";
}

static void release_stream(struct ArrowArrayStream *stream) {
  arrow_producer *p = stream->private_data;
  for (int i = 0; i < p->n; i++) {
    arrow_drop_schema(p->batch[i].schema);
    if (p->batch[i].array->release) p->batch[i].array->release(p->batch[i].array);
    free(p->batch[i].array);
  }
  free(p);
  stream->release = NULL;
  arrow_live--;
}

static inline struct ArrowArrayStream arrow_stream(const arrow_made *batches, int n) {
  arrow_producer *p = calloc(1, sizeof *p);
  memcpy(p->batch, batches, (size_t)n * sizeof *batches);
  p->n = n;
  p->fails_at = -1;
  arrow_live++;
  return (struct ArrowArrayStream){give_schema, give_next, give_error, release_stream, p};
}

static inline dfm_input *arrow_input(const arrow_made *batches, int n) {
  dfm_error error;
  dfm_input *input;
  struct ArrowArrayStream stream = arrow_stream(batches, n);
  assert_ok(dfm_input_from_arrow(&stream, NULL, &input, &error));
  assert_null(stream.release);
  return input;
}

/* ---- what both test programs read */

enum { ROWS = 6 };

/* Reads the batches to train on. */
static inline dfm_status read_batches(const arrow_made *batches, int n, const dfm_schema *schema,
                                      const dfm_read_options *options, dfm_dataset **train, dfm_error *error) {
  const dfm_data_settings settings = make_settings();
  dfm_input *input = arrow_input(batches, n);
  dfm_dataset *valid = NULL;
  const dfm_status status = dfm_dataset_read_training(input, NULL, schema, &settings, options, train, &valid, error);
  dfm_input_free(input);
  return status;
}

static const char LONG[] = "longer than twelve bytes";

static inline arrow_made labels(const char *name) {
  const int8_t values[ROWS] = {1, 0, 1, 0, 0, 1};
  return ARROW_FIXED("c", name, values, NULL);
}

static inline arrow_made part(int from, int to) {
  static const char *const cells[] = {"a", "b", LONG, NULL, "a", "c"};
  static const int8_t values[ROWS] = {1, 0, 1, 0, 0, 1};
  const size_t n = (size_t)(to - from);
  return ARROW_BATCH(arrow_fixed("c", "y", values + from, 1, (int64_t)n, NULL), arrow_text("u", "C", cells + from, n));
}

#endif
