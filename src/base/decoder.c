/* A descriptor comes in; text goes out, by a table of what compressed files begin with. Every kind checks what its
 * format has to check: lengths, checksums, that the end is there and that nothing but more of its kind follows. */
#include "base/decoder.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/memory.h"

enum { INPUT_BYTES = 1 << 17, MAGIC_BYTES = 4 };

typedef struct decoder_kind {
  const char *name;
  const char *magic;
  size_t n_magic;
  dfm_status (*open)(dfm_decoder *decoder, dfm_error *error);
  dfm_status (*read)(dfm_decoder *decoder, char *bytes, size_t capacity, size_t *n, dfm_error *error);
  void (*close)(dfm_decoder *decoder);
} decoder_kind;

struct dfm_decoder {
  int fd, stop_fd;
  const char *name;
  const decoder_kind *kind;
  unsigned char *input; /* (INPUT_BYTES) bytes of the file: [at, n) are not yet decoded */
  size_t at, n;
  bool hurries;             /* bytes go out as they come */
  bool is_end;              /* the file has no bytes behind `input` */
  unsigned long long made;  /* bytes of text that went out */
  z_stream gzip;            /* gzip */
  bool is_between, is_open; /* gzip: between two members; the stream was begun */
  ZSTD_DStream *zstd;       /* zstd */
  size_t wanted;            /* zstd: 0 between two frames */
};

static bool has_input(const dfm_decoder *decoder) {
  return decoder->at < decoder->n;
}

/* ---- bytes of the file */

static dfm_status wait_for_bytes(dfm_decoder *decoder, dfm_error *error) {
  struct pollfd ends[2] = {{.fd = decoder->fd, .events = POLLIN}, {.fd = decoder->stop_fd, .events = POLLIN}};
  while (poll(ends, 2, -1) < 0 && (errno == EINTR || errno == EAGAIN)) continue;
  return ends[1].revents ? dfm_fail(error, DFM_ERROR_IO, "reading of %s was given up", decoder->name) : DFM_OK;
}

/* Reads more bytes behind those in `input`; sets is_end where there are none. */
static dfm_status add_input(dfm_decoder *decoder, dfm_error *error) {
  for (;;) {
    DFM_TRY(wait_for_bytes(decoder, error));
    const ssize_t n = read(decoder->fd, decoder->input + decoder->n, INPUT_BYTES - decoder->n);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0) return dfm_fail(error, DFM_ERROR_IO, "cannot read %s: %s", decoder->name, strerror(errno));
    decoder->n += (size_t)n;
    decoder->is_end = n == 0;
    return DFM_OK;
  }
}

/* Whether who has `n` bytes should take them, since the next would have to be waited for. */
static bool would_wait(const dfm_decoder *decoder, size_t n) {
  struct pollfd end = {.fd = decoder->fd, .events = POLLIN};
  return decoder->hurries && n > 0 && !has_input(decoder) && !decoder->is_end && poll(&end, 1, 0) == 0;
}

/* Puts bytes into an `input` that was used up, as far as there are any. */
static dfm_status refill(dfm_decoder *decoder, dfm_error *error) {
  if (has_input(decoder) || decoder->is_end) return DFM_OK;
  decoder->at = decoder->n = 0;
  return add_input(decoder, error);
}

/* ---- failures that all compressed kinds share */

static dfm_status fail_early_end(const dfm_decoder *decoder, dfm_error *error) {
  return dfm_fail(error, DFM_ERROR_FORMAT,
                  "%s ends early: its %s data break off after %llu bytes of text; get the whole file again",
                  decoder->name, decoder->kind->name, decoder->made);
}

static dfm_status fail_damaged(const dfm_decoder *decoder, const char *reason, dfm_error *error) {
  return dfm_fail(error, DFM_ERROR_FORMAT,
                  "%s is damaged: after %llu bytes of text its %s data are wrong (%s); get the file again",
                  decoder->name, decoder->made, decoder->kind->name, reason);
}

/* ---- plain */

static dfm_status read_plain(dfm_decoder *decoder, char *bytes, size_t capacity, size_t *n, dfm_error *error) {
  while (*n < capacity && !would_wait(decoder, *n)) {
    DFM_TRY(refill(decoder, error));
    if (!has_input(decoder)) break;
    const size_t left = capacity - *n, there = decoder->n - decoder->at, take = left < there ? left : there;
    memcpy(bytes + *n, decoder->input + decoder->at, take);
    decoder->at += take;
    *n += take;
  }
  return DFM_OK;
}

/* ---- gzip: members one after the other; zero bytes behind the last are padding */

static dfm_status open_gzip(dfm_decoder *decoder, dfm_error *error) {
  enum { ONLY_GZIP = 16 + MAX_WBITS };
  if (inflateInit2(&decoder->gzip, ONLY_GZIP) != Z_OK)
    return dfm_fail(error, DFM_ERROR_MEMORY, "no memory to decompress %s; free some", decoder->name);
  decoder->is_open = true;
  return DFM_OK;
}

static void close_gzip(dfm_decoder *decoder) {
  if (decoder->is_open) inflateEnd(&decoder->gzip);
}

/* Goes to the next member; without input left there is none. */
static dfm_status begin_member(dfm_decoder *decoder, dfm_error *error) {
  while (has_input(decoder) && decoder->input[decoder->at] == 0) decoder->at++;
  if (!has_input(decoder)) return DFM_OK;
  if (decoder->input[decoder->at] != 0x1f)
    return dfm_fail(error, DFM_ERROR_FORMAT,
                    "%s has bytes behind its gzip data that are not gzip's, after %llu bytes of text; remove them "
                    "(gzip -dc prints the text before them)",
                    decoder->name, decoder->made);
  decoder->is_between = false;
  inflateReset(&decoder->gzip);
  return DFM_OK;
}

static dfm_status inflate_more(dfm_decoder *decoder, dfm_error *error) {
  z_stream *z = &decoder->gzip;
  z->next_in = decoder->input + decoder->at;
  z->avail_in = (uInt)(decoder->n - decoder->at);
  const int code = inflate(z, Z_NO_FLUSH);
  decoder->at = decoder->n - z->avail_in;
  if (code == Z_STREAM_END) decoder->is_between = true;
  if (code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR) return DFM_OK;
  return fail_damaged(decoder, z->msg ? z->msg : zError(code), error);
}

static dfm_status read_gzip(dfm_decoder *decoder, char *bytes, size_t capacity, size_t *n, dfm_error *error) {
  z_stream *z = &decoder->gzip;
  z->next_out = (unsigned char *)bytes;
  z->avail_out = (uInt)capacity;
  while (z->avail_out > 0 && !would_wait(decoder, capacity - z->avail_out)) {
    DFM_TRY(refill(decoder, error));
    if (decoder->is_between) DFM_TRY(begin_member(decoder, error));
    if (has_input(decoder)) {
      DFM_TRY(inflate_more(decoder, error));
    } else if (decoder->is_end) {
      if (!decoder->is_between) return fail_early_end(decoder, error);
      break;
    }
  }
  *n = capacity - z->avail_out;
  return DFM_OK;
}

/* ---- zstd: frames one after the other */

static dfm_status open_zstd(dfm_decoder *decoder, dfm_error *error) {
  decoder->zstd = ZSTD_createDStream();
  decoder->wanted = 1;
  return decoder->zstd ? DFM_OK
                       : dfm_fail(error, DFM_ERROR_MEMORY, "no memory to decompress %s; free some", decoder->name);
}

static void close_zstd(dfm_decoder *decoder) {
  ZSTD_freeDStream(decoder->zstd);
}

static dfm_status fail_zstd(const dfm_decoder *decoder, size_t code, dfm_error *error) {
  if (ZSTD_getErrorCode(code) == ZSTD_error_frameParameter_windowTooLarge)
    return dfm_fail(error, DFM_ERROR_FORMAT,
                    "%s needs more than 128 MB of memory to be decompressed; compress it without --long or --ultra",
                    decoder->name);
  return fail_damaged(decoder, ZSTD_getErrorName(code), error);
}

static dfm_status read_zstd(dfm_decoder *decoder, char *bytes, size_t capacity, size_t *n, dfm_error *error) {
  ZSTD_outBuffer out = {bytes, capacity, 0};
  while (out.pos < out.size && !would_wait(decoder, out.pos)) {
    DFM_TRY(refill(decoder, error));
    if (!has_input(decoder) && decoder->wanted == 0) break;
    const size_t before = out.pos;
    ZSTD_inBuffer in = {decoder->input, decoder->n, decoder->at};
    const size_t code = ZSTD_decompressStream(decoder->zstd, &out, &in);
    if (ZSTD_isError(code)) return fail_zstd(decoder, code, error);
    decoder->at = in.pos;
    decoder->wanted = code;
    if (!has_input(decoder) && decoder->is_end && code != 0 && out.pos == before) return fail_early_end(decoder, error);
  }
  *n = out.pos;
  return DFM_OK;
}

/* ---- the table; the last row takes what no other does */

static const decoder_kind kinds[] = {
    {"gzip", "\x1f\x8b", 2, open_gzip, read_gzip, close_gzip},
    {"zstd", "\x28\xb5\x2f\xfd", 4, open_zstd, read_zstd, close_zstd},
    {"zstd", "\x50\x2a\x4d\x18", 4, open_zstd, read_zstd, close_zstd}, /* pzstd begins with a frame to skip */
    {"plain", "", 0, NULL, read_plain, NULL},
};

static const decoder_kind *kind_of(const dfm_decoder *decoder) {
  const decoder_kind *kind = kinds;
  while (decoder->n < kind->n_magic || memcmp(decoder->input, kind->magic, kind->n_magic) != 0) kind++;
  return kind;
}

static dfm_status begin(dfm_decoder *decoder, dfm_error *error) {
  DFM_TRY(dfm_alloc(&decoder->input, INPUT_BYTES, 1, error));
  while (decoder->n < MAGIC_BYTES && !decoder->is_end) DFM_TRY(add_input(decoder, error));
  decoder->kind = kind_of(decoder);
  return decoder->kind->open ? decoder->kind->open(decoder, error) : DFM_OK;
}

dfm_status dfm_decoder_open(int fd, int stop_fd, const char *name, dfm_decoder **decoder, dfm_error *error) {
  dfm_decoder *made;
  DFM_TRY(dfm_alloc(&made, 1, sizeof *made, error));
  made->fd = fd;
  made->stop_fd = stop_fd;
  made->name = name;
  const dfm_status status = begin(made, error);
  if (status != DFM_OK) {
    dfm_decoder_close(made);
    return status;
  }
  *decoder = made;
  return DFM_OK;
}

bool dfm_decoder_is_plain(const dfm_decoder *decoder) {
  return decoder->kind->n_magic == 0;
}

void dfm_decoder_hurry(dfm_decoder *decoder) {
  decoder->hurries = true;
}

dfm_status dfm_decoder_read(dfm_decoder *decoder, char *bytes, size_t capacity, size_t *n, dfm_error *error) {
  *n = 0;
  DFM_TRY(decoder->kind->read(decoder, bytes, capacity, n, error));
  decoder->made += *n;
  return DFM_OK;
}

void dfm_decoder_close(dfm_decoder *decoder) {
  if (!decoder) return;
  if (decoder->kind && decoder->kind->close) decoder->kind->close(decoder);
  free(decoder->input);
  free(decoder);
}
