/* Safetensors: declared tensors, and headers made to mislead, come in; files must read back as written, or be
 * refused with a sentence. */
#include "test.h"

#include <fcntl.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/safetensors.h"

enum { BLOCK = 4 << 10 };

typedef struct sample {
  const char *name;
  dfm_dtype dtype;
  int n_dims;
  uint64_t shape[2];
} sample;

/* Declared in an order that is not the file's; the floats end within the third block. */
static const sample samples[] = {{"bytes", DFM_U8, 1, {5}},     {"table.C1", DFM_F32, 2, {1000, 600}},
                                 {"offsets", DFM_U64, 1, {3}},  {"empty", DFM_F32, 2, {0, 4}},
                                 {"ids", DFM_U32, 2, {2, 3}},   {"caf\xc3\xa9", DFM_F32, 1, {1}},
                                 {"raw\xff\n", DFM_F32, 1, {2}}};
enum { N_SAMPLES = sizeof samples / sizeof *samples };

static size_t sample_bytes(const sample *s) {
  return s->shape[0] * (s->n_dims > 1 ? s->shape[1] : 1) * dfm_dtype_size(s->dtype);
}

static unsigned char byte_of(int tensor, size_t i) {
  return (unsigned char)((i * 2654435761u + (size_t)tensor * 97) >> 7);
}

static void declare_samples(dfm_st_writer *writer) {
  dfm_error error;
  assert_ok(dfm_st_add_metadata(writer, "recipe", "epochs: 3\nname: \"caf\xc3\xa9\"\n", &error));
  assert_ok(dfm_st_add_metadata(writer, "another", "", &error));
  for (int i = 0; i < N_SAMPLES; i++) {
    int index = -1;
    assert_ok(dfm_st_add_tensor(writer, samples[i].name, samples[i].dtype, samples[i].n_dims, samples[i].shape, &index,
                                &error));
    assert_int_equal(index, i);
  }
}

/* In pieces of at most `piece` bytes. */
static void write_samples(const char *path, size_t piece) {
  dfm_error error;
  dfm_st_writer *writer;
  unsigned char *bytes;
  assert_ok(dfm_st_writer_create(&writer, &error));
  declare_samples(writer);
  assert_ok(dfm_st_begin(writer, path, &error));
  for (int place = 0, i; (i = dfm_st_order(writer, place)) >= 0; place++) {
    const size_t n = sample_bytes(&samples[i]);
    assert_ok(dfm_alloc(&bytes, n, 1, &error));
    for (size_t at = 0; at < n; at++) bytes[at] = byte_of(i, at);
    for (size_t at = 0; at < n; at += piece)
      assert_ok(dfm_st_write(writer, bytes + at, n - at < piece ? n - at : piece, &error));
    free(bytes);
  }
  assert_int_equal(dfm_st_order(writer, N_SAMPLES), -1);
  assert_int_equal(dfm_st_order(writer, -1), -1);
  assert_ok(dfm_st_commit(writer, NULL, &error));
}

static void written_is_read_back(void **state) {
  (void)state;
  dfm_error error;
  dfm_st_file *file;
  const char *path = test_path("samples.st");
  write_samples(path, 100000);
  assert_ok(dfm_st_open(path, &file, &error));
  assert_ok(dfm_st_verify(file, &error));
  assert_true(dfm_st_has_checksum(file));
  assert_string_equal(dfm_st_metadata(file, "recipe"), "epochs: 3\nname: \"caf\xc3\xa9\"\n");
  assert_string_equal(dfm_st_metadata(file, "another"), "");
  assert_null(dfm_st_metadata(file, "absent"));
  for (int i = 0; i < N_SAMPLES; i++) {
    const sample *s = &samples[i];
    const dfm_tensor *tensor = NULL;
    assert_ok(dfm_st_need(file, s->name, s->dtype, s->n_dims, s->shape, &tensor, &error));
    assert_ptr_equal(tensor, dfm_st_tensor(file, s->name));
    assert_int_equal(tensor->size_bytes, sample_bytes(s));
    assert_int_equal(tensor->n_dims, s->n_dims);
    assert_int_equal(tensor->shape[0], s->shape[0]);
    assert_int_equal(tensor->shape[1], s->n_dims > 1 ? s->shape[1] : 1);
    assert_int_equal((uintptr_t)tensor->data % dfm_dtype_size(s->dtype), 0);
    size_t wrong = 0;
    for (size_t at = 0; at < tensor->size_bytes; at++)
      wrong += ((const unsigned char *)tensor->data)[at] != byte_of(i, at);
    assert_int_equal(wrong, 0);
  }
  assert_int_equal(dfm_st_count(file), N_SAMPLES + 1);
  assert_string_equal(dfm_st_at(file, 0)->name, "offsets");
  assert_string_equal(dfm_st_at(file, N_SAMPLES)->name, "checksum");
  assert_string_equal(dfm_st_tensor(file, "raw\xff\n")->name, "raw\\xFF\n");
  assert_null(dfm_st_tensor(file, "absent"));
  dfm_st_close(file);
  dfm_st_close(NULL);
}

static unsigned char *slurp(const char *path, size_t *n) {
  dfm_error error;
  dfm_mapping mapping;
  unsigned char *bytes;
  assert_ok(dfm_mapping_open(path, &mapping, &error));
  assert_ok(dfm_alloc(&bytes, mapping.size_bytes, 1, &error));
  memcpy(bytes, mapping.bytes, mapping.size_bytes);
  *n = mapping.size_bytes;
  dfm_mapping_close(&mapping);
  return bytes;
}

static void bytes_depend_on_the_declarations_alone(void **state) {
  (void)state;
  static const size_t pieces[] = {1000000000, BLOCK, 4093};
  const char *first = test_path("first.st"), *other = test_path("other.st");
  size_t n, m;
  write_samples(first, 100000);
  unsigned char *bytes = slurp(first, &n);
  for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
    write_samples(other, pieces[i]);
    unsigned char *again = slurp(other, &m);
    assert_int_equal(m, n);
    assert_memory_equal(again, bytes, n);
    free(again);
  }
  uint64_t length = 0;
  for (int i = 7; i >= 0; i--) length = length << 8 | bytes[i];
  assert_int_equal((8 + length) % 64, 0); /* the data is aligned */
  free(bytes);
}

static void exact_blocks_have_checksums(void **state) {
  (void)state;
  static const uint64_t sizes[] = {0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK};
  static unsigned char bytes[2 * BLOCK];
  dfm_error error;
  const char *path = test_path("blocks.st");
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    dfm_st_writer *writer;
    dfm_st_file *file;
    int index;
    assert_ok(dfm_st_writer_create(&writer, &error));
    assert_ok(dfm_st_add_tensor(writer, "x", DFM_U8, 1, &sizes[i], &index, &error));
    assert_ok(dfm_st_begin(writer, path, &error));
    assert_ok(dfm_st_write(writer, bytes, sizes[i], &error));
    assert_ok(dfm_st_commit(writer, NULL, &error));
    assert_ok(dfm_st_open(path, &file, &error));
    assert_ok(dfm_st_verify(file, &error));
    assert_int_equal(dfm_st_tensor(file, "checksum")->shape[0], 1 + (sizes[i] + BLOCK - 1) / BLOCK);
    dfm_st_close(file);
  }
}

static dfm_status open_and_verify(const char *path, dfm_error *error) {
  dfm_st_file *file;
  dfm_status status = dfm_st_open(path, &file, error);
  if (status != DFM_OK) return status;
  status = dfm_st_verify(file, error);
  dfm_st_close(file);
  return status;
}

static void parts_are_checked_alone(void **state) {
  (void)state;
  static unsigned char bytes[5 * BLOCK + 7];
  const uint64_t size = sizeof bytes;
  dfm_error error;
  dfm_st_writer *writer;
  dfm_st_file *file, *same;
  int index;
  const char *path = test_path("parts.st");
  assert_ok(dfm_st_writer_create(&writer, &error));
  assert_ok(dfm_st_add_tensor(writer, "x", DFM_U8, 1, &size, &index, &error));
  assert_ok(dfm_st_begin(writer, path, &error));
  assert_ok(dfm_st_write(writer, bytes, size, &error));
  uint64_t digest;
  assert_ok(dfm_st_commit(writer, &digest, &error));
  assert_ok(dfm_st_open(path, &file, &error));
  assert_true(digest != 0 && dfm_st_digest(file) == digest);
  dfm_st_close(file);
  const int fd = open(path, O_RDWR);
  assert_true(fd >= 0);
  assert_int_equal(pwrite(fd, "!", 1, lseek(fd, 0, SEEK_END) - (off_t)(7 * 8) - (off_t)size + 3 * BLOCK + 5), 1);
  close(fd);
  assert_ok(dfm_st_open(path, &file, &error));
  assert_ok(dfm_st_open(path, &same, &error));
  const unsigned char *x = dfm_st_tensor(file, "x")->data;
  assert_int_equal(x[3 * BLOCK + 5], '!');
  assert_ok(dfm_st_check(file, x, 3 * BLOCK, &error));
  assert_ok(dfm_st_check(file, x + 4 * BLOCK, BLOCK + 7, &error));
  assert_ok(dfm_st_check(file, x + 4 * BLOCK, 0, &error));
  assert_int_equal(dfm_st_check(file, x + 3 * BLOCK - 1, 2, &error), DFM_ERROR_FORMAT);
  assert_int_equal(dfm_st_check(file, x + 4 * BLOCK - 1, 1, &error), DFM_ERROR_FORMAT);
  assert_non_null(strstr(error.message, "parts.st is damaged"));
  assert_int_equal(dfm_st_verify(file, &error), DFM_ERROR_FORMAT);
  assert_true(dfm_st_digest(same) == digest); /* of the checksums, not of the data */
  dfm_st_close(file);
  dfm_st_close(same);
}

static void put_byte(int fd, size_t at, unsigned char byte) {
  assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
}

/* Every changed bit is noticed, as long as the name of the checksums is left alone: without it a file has none. */
static void damage_is_found(void **state) {
  (void)state;
  dfm_error error;
  size_t n;
  const char *path = test_path("damaged.st");
  write_samples(path, 100000);
  unsigned char *bytes = slurp(path, &n);
  const unsigned char *name = memmem(bytes, n, "\"checksum\"", 10);
  assert_non_null(name);
  const size_t name_at = (size_t)(name - bytes);
  const int fd = open(path, O_RDWR);
  assert_true(fd >= 0);
  for (uint64_t i = 0; i < 300; i++) {
    const size_t at = i < 200 ? (size_t)i * 5 % 1000 : (size_t)dfm_random_below(1, i, n);
    if (at >= name_at && at < name_at + 10) continue;
    put_byte(fd, at, bytes[at] ^ (unsigned char)(1 << i % 8));
    const dfm_status status = open_and_verify(path, &error);
    if (status != DFM_ERROR_FORMAT) fail_msg("byte %zu: status %d", at, (int)status);
    put_byte(fd, at, bytes[at]);
  }
  assert_ok(open_and_verify(path, &error));
  for (size_t cut = n - 1, step = 1; cut > 0; cut = cut > step ? cut - step : 0, step += step / 2 + 1) {
    assert_int_equal(ftruncate(fd, (off_t)cut), 0);
    assert_int_equal(open_and_verify(path, &error), DFM_ERROR_FORMAT);
    assert_non_null(strstr(error.message, "damaged.st"));
  }
  close(fd);
  free(bytes);
}

static void damaged_part_is_named(void **state) {
  (void)state;
  dfm_error error;
  size_t n;
  const char *path = test_path("named.st");
  write_samples(path, 100000);
  unsigned char *bytes = slurp(path, &n);
  bytes[n - 1000] ^= 1; /* the last block of floats */
  assert_int_equal(open_and_verify(test_write("part.st", bytes, n), &error), DFM_ERROR_FORMAT);
  assert_non_null(strstr(error.message, "is damaged: bytes "));
  assert_non_null(strstr(error.message, "tensor 'table.C1'"));
  assert_non_null(strstr(error.message, "backup"));
  free(bytes);
}

/* ---- the writer's refusals */

static dfm_status add(dfm_st_writer *writer, const char *name, int n_dims, uint64_t rows, uint64_t cols,
                      dfm_error *error) {
  const uint64_t shape[2] = {rows, cols};
  int index;
  return dfm_st_add_tensor(writer, name, DFM_U64, n_dims, shape, &index, error);
}

static void impossible_declarations_are_refused(void **state) {
  (void)state;
  dfm_error error;
  dfm_st_writer *writer;
  assert_ok(dfm_st_writer_create(&writer, &error));
  assert_ok(add(writer, "x", 1, 2, 0, &error));
  static const struct {
    const char *name;
    int n_dims;
    uint64_t rows, cols;
    const char *says;
  } cases[] = {{"x", 1, 2, 0, "two tensors called 'x'; rename"},
               {"checksum", 1, 2, 0, "cannot be called 'checksum'"},
               {"__metadata__", 1, 2, 0, "cannot be called '__metadata__'"},
               {"a", 0, 2, 0, "tensor 'a' has 0 dimensions; it must have 1 or 2"},
               {"a", 3, 2, 2, "tensor 'a' has 3 dimensions"},
               {"a", 2, (uint64_t)1 << 32, (uint64_t)1 << 32, "more than a file can hold"},
               {"a", 1, (uint64_t)1 << 61, 0, "more than a file can hold"},
               {"a", 2, 0, UINT64_MAX, "more than a file can hold"},
               {"a", 1, (uint64_t)1 << 60, 0, "more than a file can hold"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_int_equal(add(writer, cases[i].name, cases[i].n_dims, cases[i].rows, cases[i].cols, &error),
                     DFM_ERROR_VALUE);
    if (!strstr(error.message, cases[i].says)) fail_msg("'%s' lacks '%s'", error.message, cases[i].says);
  }
  assert_ok(dfm_st_add_metadata(writer, "k", "v", &error));
  assert_int_equal(dfm_st_add_metadata(writer, "k", "v", &error), DFM_ERROR_VALUE);
  assert_string_equal(error.message, "metadata 'k' is given twice; give it once");
  assert_int_equal(dfm_st_add_metadata(writer, "k\xff", "v", &error), DFM_ERROR_VALUE);
  assert_int_equal(dfm_st_add_metadata(writer, "l", "v\xff", &error), DFM_ERROR_VALUE);
  assert_non_null(strstr(error.message, "'l' is not UTF-8"));
  dfm_st_abort(writer);
  dfm_st_abort(NULL);
}

static void wrong_amounts_make_no_file(void **state) {
  (void)state;
  static const uint64_t zeros[4] = {0};
  dfm_error error;
  const char *path = test_path("amounts.st");
  for (int bytes = 8; bytes <= 24; bytes += 16) {
    dfm_st_writer *writer;
    assert_ok(dfm_st_writer_create(&writer, &error));
    assert_ok(add(writer, "x", 1, 2, 0, &error));
    assert_ok(dfm_st_begin(writer, path, &error));
    dfm_status status = dfm_st_write(writer, zeros, (size_t)bytes, &error);
    if (status == DFM_OK)
      status = dfm_st_commit(writer, NULL, &error);
    else
      dfm_st_abort(writer);
    assert_int_equal(status, DFM_ERROR_VALUE);
    assert_non_null(strstr(error.message, bytes == 8 ? "8 bytes are written of the 16 declared"
                                                     : "more bytes are written than the 16 declared"));
    assert_int_equal(access(path, F_OK), -1);
  }
  dfm_st_writer *writer;
  assert_ok(dfm_st_writer_create(&writer, &error));
  assert_int_equal(dfm_st_begin(writer, test_path("absent/x.st"), &error), DFM_ERROR_IO);
  assert_non_null(strstr(error.message, "cannot write "));
  dfm_st_abort(writer);
}

/* ---- headers made by hand */

/* A file of `header` and `n_data` zero bytes. */
static const char *write_header(const char *header, size_t n_data) {
  static unsigned char bytes[4096];
  const size_t n = strlen(header);
  assert_true(8 + n + n_data <= sizeof bytes);
  memset(bytes, 0, sizeof bytes);
  for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(n >> (8 * i));
  memcpy(bytes + 8, header, n);
  return test_write("header.st", bytes, 8 + n + n_data);
}

#define ONE(dtype, shape, offsets) "{\"x\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static void misleading_headers_are_refused(void **state) {
  (void)state;
  static const struct {
    const char *header;
    size_t n_data;
    const char *says;
  } cases[] = {
      {"", 0, "its header is no JSON"},
      {"{", 0, "its header is no JSON at byte 9"},
      {"[1]", 0, "its header is no JSON table"},
      {"{} x", 0, "no JSON"},
      {"{\"a\xff\":1}", 0, "no JSON"},
      {"{\"__metadata__\":3}", 0, "its metadata is no table"},
      {"{\"__metadata__\":{\"a\":3}}", 0, "its metadata holds more than strings"},
      {"{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, "duplicate object key"},
      {"{}", 1, "leave gaps, overlap or end before the file does"},
      {"{\"x\":3}", 0, "tensor 'x' has no dtype"},
      {ONE("\"F64\"", "[1]", "[0,8]"), 8,
       "tensor 'x' has dtype 'F64', and only F32, U8, U32 and U64 are read; convert it"},
      {ONE("4", "[1]", "[0,4]"), 4, "has no dtype"},
      {ONE("\"F32\"", "1", "[0,4]"), 4, "has no shape of up to 2 dimensions"},
      {ONE("\"F32\"", "[1,1,1]", "[0,4]"), 4, "has no shape of up to 2 dimensions"},
      {ONE("\"F32\"", "[-1]", "[0,4]"), 4, "has an impossible shape"},
      {ONE("\"F32\"", "[1.0]", "[0,4]"), 4, "has an impossible shape"},
      {ONE("\"F32\"", "[4611686018427387904,4]", "[0,0]"), 0, "has an impossible shape"},
      {ONE("\"F32\"", "[99999999999999999999]", "[0,0]"), 0, "no JSON"},
      {ONE("\"F32\"", "[1]", "[0]"), 4, "has impossible data_offsets"},
      {ONE("\"F32\"", "[1]", "[4,0]"), 4, "has impossible data_offsets"},
      {ONE("\"F32\"", "[1]", "[-4,0]"), 4, "has impossible data_offsets"},
      {ONE("\"F32\"", "[1]", "\"ab\""), 4, "has impossible data_offsets"},
      {ONE("\"F32\"", "[2]", "[0,8]"), 4, "lies past the end of the file"},
      {ONE("\"F32\"", "[2]", "[0,4]"), 4, "has more or fewer bytes than its shape asks for"},
      {ONE("\"U8\"", "[4]", "[0,4]"), 8, "leave gaps, overlap or end before"},
      {"{\"x\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"y\":{\"dtype\":\"U8\",\"shape\":[2],\"data_"
       "offsets\":[1,3]}}",
       3, "leave gaps, overlap"},
      {"{\"x\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"y\":{\"dtype\":\"U8\",\"shape\":[2],\"data_"
       "offsets\":[3,5]}}",
       5, "leave gaps, overlap"},
      {"{\"x\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"x\":{\"dtype\":\"U8\",\"shape\":[1],\"data_"
       "offsets\":[1,2]}}",
       2, "duplicate object key"},
      {"{\"checksum\":{\"dtype\":\"U8\",\"shape\":[16],\"data_offsets\":[0,16]}}", 16,
       "its checksums do not fit its data"},
      {"{\"checksum\":{\"dtype\":\"U8\",\"shape\":[1,8],\"data_offsets\":[0,8]}}", 8,
       "its header does not match its checksum"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    dfm_error error;
    dfm_st_file *file = NULL;
    assert_int_equal(dfm_st_open(write_header(cases[i].header, cases[i].n_data), &file, &error), DFM_ERROR_FORMAT);
    if (!strstr(error.message, cases[i].says)) fail_msg("'%s' lacks '%s'", error.message, cases[i].says);
    assert_non_null(strstr(error.message, "header.st"));
    assert_null(file);
  }
}

static void lengths_are_bounded(void **state) {
  (void)state;
  static const uint64_t lengths[] = {3, (uint64_t)1 << 32, INT64_MAX, UINT64_MAX, UINT64_MAX - 7};
  dfm_error error;
  dfm_st_file *file;
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    unsigned char bytes[10] = "        {}";
    for (int b = 0; b < 8; b++) bytes[b] = (unsigned char)(lengths[i] >> (8 * b));
    assert_int_equal(dfm_st_open(test_write("length.st", bytes, 10), &file, &error), DFM_ERROR_FORMAT);
    assert_non_null(strstr(error.message, "longer than the file"));
  }
  assert_int_equal(dfm_st_open(test_write("length.st", "short", 5), &file, &error), DFM_ERROR_FORMAT);
  assert_non_null(strstr(error.message, "fewer than 8 bytes"));
}

static void files_of_others_are_read(void **state) {
  (void)state;
  dfm_error error;
  dfm_st_file *file;
  static const char header[] =
      "{\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[8,11]},\"s\":{\"data_offsets\":[4,8],\"shape\":[],"
      "\"dtype\":\"F32\"},"
      "\"a\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[0,4]}}       ";
  assert_int_equal((sizeof header - 1) % 4, 0);
  assert_ok(dfm_st_open(write_header(header, 11), &file, &error));
  assert_false(dfm_st_has_checksum(file));
  assert_ok(dfm_st_verify(file, &error));
  assert_int_equal(dfm_st_count(file), 3);
  assert_string_equal(dfm_st_at(file, 0)->name, "a");
  assert_string_equal(dfm_st_at(file, 2)->name, "b");
  assert_int_equal(dfm_st_tensor(file, "s")->n_dims, 0);
  assert_int_equal(dfm_st_tensor(file, "s")->size_bytes, 4);
  assert_null(dfm_st_metadata(file, "any"));
  dfm_st_close(file);
  /* One byte of header less, and the floats are no longer where floats may lie. */
  char odd[sizeof header];
  memcpy(odd, header, sizeof header);
  odd[sizeof header - 2] = '\0';
  assert_int_equal(dfm_st_open(write_header(odd, 11), &file, &error), DFM_ERROR_FORMAT);
  assert_non_null(strstr(error.message, "is not aligned to its elements"));
}

static void needs_are_checked(void **state) {
  (void)state;
  dfm_error error;
  dfm_st_file *file;
  const dfm_tensor *tensor = NULL;
  write_samples(test_path("needs.st"), 100000);
  assert_ok(dfm_st_open(test_path("needs.st"), &file, &error));
  assert_int_equal(dfm_st_need(file, "absent", DFM_F32, 0, NULL, &tensor, &error), DFM_ERROR_MISMATCH);
  assert_non_null(strstr(error.message, "needs.st lacks tensor 'absent'"));
  assert_int_equal(dfm_st_need(file, "ids", DFM_F32, 0, NULL, &tensor, &error), DFM_ERROR_MISMATCH);
  assert_non_null(strstr(error.message, "tensor 'ids' is U32 where F32 is needed"));
  assert_int_equal(dfm_st_need(file, "ids", DFM_U32, 2, (uint64_t[]){3, 2}, &tensor, &error), DFM_ERROR_MISMATCH);
  assert_non_null(strstr(error.message, "tensor 'ids' is 2 x 3 where 3 x 2 is needed"));
  assert_int_equal(dfm_st_need(file, "ids", DFM_U32, 1, (uint64_t[]){2}, &tensor, &error), DFM_ERROR_MISMATCH);
  assert_null(tensor);
  assert_ok(dfm_st_need(file, "ids", DFM_U32, 0, NULL, &tensor, &error));
  assert_int_equal(tensor->shape[1], 3);
  dfm_st_close(file);
}

static void thousands_of_tensors_are_found(void **state) {
  (void)state;
  enum { N = 5000 };
  dfm_error error;
  dfm_st_writer *writer;
  dfm_st_file *file;
  char name[32];
  const char *path = test_path("many.st");
  assert_ok(dfm_st_writer_create(&writer, &error));
  for (int i = 0; i < N; i++) {
    snprintf(name, sizeof name, "tensor.%d", i);
    assert_ok(add(writer, name, 1, 1, 0, &error));
  }
  assert_ok(dfm_st_begin(writer, path, &error));
  for (uint64_t i = 0; i < N; i++) assert_ok(dfm_st_write(writer, &i, sizeof i, &error));
  assert_ok(dfm_st_commit(writer, NULL, &error));
  assert_ok(dfm_st_open(path, &file, &error));
  assert_ok(dfm_st_verify(file, &error));
  for (int i = 0; i < N; i++) {
    snprintf(name, sizeof name, "tensor.%d", i);
    assert_int_equal(*(const uint64_t *)dfm_st_tensor(file, name)->data, (uint64_t)i);
  }
  dfm_st_close(file);
}

/* Random edits of a small file without checksums: whatever opens must stay within its bounds (a sanitizer sees the
 * rest). */
static void random_edits_do_no_harm(void **state) {
  (void)state;
  static const char header[] =
      "{\"__metadata__\":{\"k\":\"v\"},\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},"
      "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[16,20]}}";
  static const char alphabet[] = "0123456789-[]{},:\"\\eE.FU_ab";
  const char *path = write_header(header, 20);
  const int fd = open(path, O_WRONLY); /* the length stays, so the file is edited in place */
  assert_true(fd >= 0);
  int opened = 0;
  for (uint64_t i = 0; i < 4000; i++) {
    char text[sizeof header];
    memcpy(text, header, sizeof header);
    for (uint64_t edit = 0; edit < 1 + i % 3; edit++)
      text[dfm_random_below(31, i * 8 + edit, sizeof header - 1)] =
          alphabet[dfm_random_below(32, i * 8 + edit, sizeof alphabet - 1)];
    dfm_error error;
    dfm_st_file *file;
    assert_int_equal(pwrite(fd, text, sizeof header - 1, 8), sizeof header - 1);
    const dfm_status status = dfm_st_open(path, &file, &error);
    assert_true(status == DFM_OK || status == DFM_ERROR_FORMAT);
    if (status != DFM_OK) continue;
    opened++;
    size_t total = 0;
    for (size_t t = 0; t < dfm_st_count(file); t++) {
      const dfm_tensor *tensor = dfm_st_at(file, t);
      for (size_t at = 0; at < tensor->size_bytes; at++) total += 1 + ((const unsigned char *)tensor->data)[at];
    }
    assert_int_equal(total, 20); /* the data is all zeros */
    dfm_st_close(file);
  }
  close(fd);
  assert_in_range(opened, 1, 3999);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(written_is_read_back),
    cmocka_unit_test(bytes_depend_on_the_declarations_alone),
    cmocka_unit_test(exact_blocks_have_checksums),
    cmocka_unit_test(parts_are_checked_alone),
    cmocka_unit_test(damage_is_found),
    cmocka_unit_test(damaged_part_is_named),
    cmocka_unit_test(impossible_declarations_are_refused),
    cmocka_unit_test(wrong_amounts_make_no_file),
    cmocka_unit_test(misleading_headers_are_refused),
    cmocka_unit_test(lengths_are_bounded),
    cmocka_unit_test(files_of_others_are_read),
    cmocka_unit_test(needs_are_checked),
    cmocka_unit_test(thousands_of_tensors_are_found),
    cmocka_unit_test(random_edits_do_no_harm),
};

int main(int argc, char **argv) {
  return test_main(argc, argv, "safetensors", tests, sizeof tests / sizeof *tests);
}
