/* Packed rows: columns of cells come in; narrow columns in pieces of memory, or of a file, go out, and back.
 *
 * A block's section is its columns' widths, a byte each, and the columns, each from a multiple of 8 bytes on. A
 * thread fills pieces of its own; what is full stays in memory while the budget lasts, and is written to the file
 * after that. */
#include "data/packed.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/prefetch.h"
#include "base/spill.h"

enum { PIECE_BYTES = 1 << 20, FIRST_BYTES = 64 << 10, TOUCH_BYTES = 64 << 10, ALIGNMENT = 8 };
/* Of a width: the column's cells are numbers, by value. */
enum { WHOLE = 0x80 };

typedef struct piece {
  unsigned char *bytes; /* NULL: it lies in the file, at `at` */
  size_t size;
  uint64_t at;
} piece;

typedef struct block {
  int64_t first; /* row */
  uint32_t piece;
  uint32_t start[DFM_PACKED_SECTIONS + 1]; /* of the sections, in the piece; and where the last ends */
} block;

/* What a thread fills. */
typedef struct desk {
  uint32_t piece;
  size_t size, fill, touched; /* bytes of the piece; written; that memory is there for */
  bool has_piece;
} desk;

struct dfm_packed {
  int columns[DFM_PACKED_SECTIONS];
  size_t block_bytes; /* at most */
  size_t budget_bytes;
  const char *folder;
  int64_t rows;
  block *blocks; /* (n_blocks + 1): the last one's `first` is `rows` */
  size_t n_blocks, capacity;
  desk *desks; /* (threads) */
  int threads;
  pthread_mutex_t lock; /* of what follows */
  piece *pieces;
  size_t n_pieces, pieces_capacity, memory_bytes;
  uint64_t filed_bytes;
  dfm_spill file;
};

static size_t align(size_t n) {
  return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static size_t section_bytes(int columns) {
  return align((size_t)columns) + (size_t)columns * DFM_PACKED_ROWS * sizeof(uint32_t);
}

dfm_status dfm_packed_create(const int columns[DFM_PACKED_SECTIONS], int threads, size_t budget_bytes,
                             const char *folder, dfm_packed **packed, dfm_error *error) {
  dfm_packed *made;
  DFM_TRY(dfm_alloc(&made, 1, sizeof *made, error));
  pthread_mutex_init(&made->lock, NULL);
  made->folder = folder;
  made->budget_bytes = budget_bytes;
  made->threads = threads;
  for (int s = 0; s < DFM_PACKED_SECTIONS; s++) {
    made->columns[s] = columns[s];
    made->block_bytes += section_bytes(columns[s]);
  }
  dfm_status status = dfm_alloc(&made->desks, (size_t)threads, sizeof *made->desks, error);
  if (status == DFM_OK) status = dfm_grow(&made->blocks, &made->capacity, 1, sizeof *made->blocks, error);
  if (status != DFM_OK) {
    dfm_packed_free(made);
    return status;
  }
  made->blocks[0].first = 0;
  *packed = made;
  return DFM_OK;
}

void dfm_packed_free(dfm_packed *packed) {
  if (!packed) return;
  for (size_t i = 0; i < packed->n_pieces; i++)
    if (packed->pieces[i].bytes) dfm_pages_free(packed->pieces[i].bytes, packed->pieces[i].size);
  dfm_spill_free(&packed->file);
  pthread_mutex_destroy(&packed->lock);
  free(packed->pieces);
  free(packed->desks);
  free(packed->blocks);
  free(packed);
}

dfm_status dfm_packed_add(dfm_packed *packed, int rows, size_t *number, dfm_error *error) {
  DFM_TRY(dfm_grow(&packed->blocks, &packed->capacity, packed->n_blocks + 2, sizeof *packed->blocks, error));
  *number = packed->n_blocks++;
  packed->rows += rows;
  packed->blocks[packed->n_blocks].first = packed->rows;
  return DFM_OK;
}

/* ---- pieces */

/* A new piece in memory, short at first. Under the lock. */
static dfm_status add_piece(dfm_packed *packed, desk *to, dfm_error *error) {
  size_t size = packed->n_pieces < (size_t)packed->threads ? FIRST_BYTES : PIECE_BYTES;
  if (size > packed->budget_bytes / (size_t)packed->threads) size = packed->budget_bytes / (size_t)packed->threads;
  if (size < packed->block_bytes) size = packed->block_bytes;
  piece made = {.size = size};
  DFM_TRY(dfm_grow(&packed->pieces, &packed->pieces_capacity, packed->n_pieces + 1, sizeof *packed->pieces, error));
  DFM_TRY(dfm_pages_alloc(&made.bytes, size, error));
  packed->pieces[packed->n_pieces] = made;
  packed->memory_bytes += size;
  *to = (desk){.piece = (uint32_t)packed->n_pieces++, .size = size, .has_piece = true};
  return DFM_OK;
}

/* The desk's piece goes to the file, and its memory becomes a new one. */
static dfm_status file_piece(dfm_packed *packed, desk *from, dfm_error *error) {
  pthread_mutex_lock(&packed->lock);
  dfm_status status = packed->file.is_open ? DFM_OK : dfm_spill_open(&packed->file, packed->folder, error);
  if (status == DFM_OK)
    status = dfm_grow(&packed->pieces, &packed->pieces_capacity, packed->n_pieces + 1, sizeof(piece), error);
  piece full = {0};
  if (status == DFM_OK) {
    full = packed->pieces[from->piece];
    packed->pieces[from->piece] = (piece){.at = packed->filed_bytes};
    packed->pieces[packed->n_pieces] = full;
    packed->filed_bytes += from->fill;
    from->piece = (uint32_t)packed->n_pieces++;
  }
  const uint64_t at = packed->filed_bytes - from->fill;
  pthread_mutex_unlock(&packed->lock);
  if (status == DFM_OK) status = dfm_spill_write(&packed->file, at, full.bytes, from->fill, packed->folder, error);
  from->fill = 0;
  return status;
}

/* Has the desk a piece with room for one more block; `*base` is where it lies. */
static dfm_status make_room(dfm_packed *packed, desk *to, unsigned char **base, dfm_error *error) {
  dfm_status status = DFM_OK;
  bool is_full = false;
  pthread_mutex_lock(&packed->lock);
  if (!to->has_piece || packed->pieces[to->piece].size - to->fill < packed->block_bytes) {
    is_full = to->has_piece && packed->memory_bytes + PIECE_BYTES > packed->budget_bytes;
    if (!is_full) status = add_piece(packed, to, error);
  }
  pthread_mutex_unlock(&packed->lock);
  if (is_full) status = file_piece(packed, to, error);
  if (status != DFM_OK) return status;
  pthread_mutex_lock(&packed->lock); /* others may move the table of pieces */
  *base = packed->pieces[to->piece].bytes;
  pthread_mutex_unlock(&packed->lock);
  return DFM_OK;
}

/* Memory is asked for some blocks ahead: that of a whole piece takes long enough for other threads to wait for this
 * one. */
static void touch(const dfm_packed *packed, desk *to, unsigned char *base) {
  const size_t needed = to->fill + packed->block_bytes, ahead = (needed / TOUCH_BYTES + 1) * TOUCH_BYTES;
  if (needed <= to->touched) return;
  const size_t end = ahead < to->size ? ahead : to->size;
  dfm_pages_touch(base + to->touched, end - to->touched);
  to->touched = end;
}

/* ---- packing */

static void begin_section(dfm_packing *packing) {
  const size_t n = align((size_t)packing->packed->columns[packing->section]);
  packing->packed->blocks[packing->block].start[packing->section] = (uint32_t)(packing->to - packing->base);
  packing->widths = packing->to;
  packing->to += n;
  packing->column = 0;
}

/* Sections without columns are passed. */
static void pass_sections(dfm_packing *packing) {
  const dfm_packed *packed = packing->packed;
  while (packing->section < DFM_PACKED_SECTIONS && packing->column == packed->columns[packing->section]) {
    packing->section++;
    if (packing->section < DFM_PACKED_SECTIONS) begin_section(packing);
  }
}

dfm_status dfm_packing_begin(dfm_packed *packed, size_t number, int thread, dfm_packing *packing, dfm_error *error) {
  desk *to = &packed->desks[thread];
  block *at = &packed->blocks[number];
  *packing = (dfm_packing){.packed = packed, .block = number, .thread = thread, .rows = (int)(at[1].first - at->first)};
  DFM_TRY(make_room(packed, to, &packing->base, error));
  touch(packed, to, packing->base);
  at->piece = to->piece;
  packing->to = packing->base + to->fill;
  begin_section(packing);
  pass_sections(packing);
  return DFM_OK;
}

void dfm_packing_end(dfm_packing *packing) {
  const size_t fill = (size_t)(packing->to - packing->base);
  packing->packed->blocks[packing->block].start[DFM_PACKED_SECTIONS] = (uint32_t)fill;
  packing->packed->desks[packing->thread].fill = fill;
}

/* The next column; `kind` is WHOLE or 0. `bits` has all bits of the cells plus one: NONE, which is zero then, is as
 * narrow as any. */
static void pack(dfm_packing *packing, const uint32_t *cells, uint32_t bits, unsigned kind) {
  const size_t n = (size_t)packing->rows;
  const unsigned width = bits <= UINT8_MAX ? 1 : bits <= UINT16_MAX ? 2 : 4;
  if (width == 1) {
    uint8_t *to = packing->to;
    for (size_t i = 0; i < n; i++) to[i] = (uint8_t)cells[i];
  } else if (width == 2) {
    uint16_t *to = (void *)packing->to;
    for (size_t i = 0; i < n; i++) to[i] = (uint16_t)cells[i];
  } else {
    memcpy(packing->to, cells, n * sizeof *cells);
  }
  packing->widths[packing->column++] = (unsigned char)(width | kind);
  packing->to += align(n * width);
  pass_sections(packing);
}

void dfm_packing_ids(dfm_packing *packing, const uint32_t *cells) {
  uint32_t bits = 0;
  for (int i = 0; i < packing->rows; i++) bits |= cells[i] + 1;
  pack(packing, cells, bits, 0);
}

static inline uint32_t bits_of(float number) {
  uint32_t bits;
  memcpy(&bits, &number, sizeof bits);
  return bits;
}

void dfm_packing_numbers(dfm_packing *packing, const float *numbers) {
  uint32_t cells[DFM_PACKED_ROWS], bits = 0, differ = 0;
  const uint32_t nan = bits_of(NAN);
  for (int i = 0; i < packing->rows; i++) {
    const uint32_t raw = bits_of(numbers[i]);
    const bool is_near = (numbers[i] >= 0) & (numbers[i] < UINT16_MAX);
    const float near = is_near ? numbers[i] : 0;
    const int32_t whole = (int32_t)near;
    differ |= raw == nan ? 0 : raw ^ bits_of((float)whole);
    cells[i] = raw == nan ? DFM_PACKED_NONE : (uint32_t)whole;
    bits |= cells[i] + 1;
  }
  if (differ == 0) {
    pack(packing, cells, bits, WHOLE);
    return;
  }
  memcpy(cells, numbers, (size_t)packing->rows * sizeof *cells);
  pack(packing, cells, UINT32_MAX, 0);
}

/* ---- reading */

static dfm_status read_file(const dfm_packed *packed, uint64_t at, unsigned char *to, size_t n, dfm_error *error) {
  while (n > 0) {
    const ssize_t done = pread(packed->file.fd, to, n, (off_t)at);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0)
      return dfm_fail(error, DFM_ERROR_IO, "cannot read rows back from a temporary file in %s: %s; check the disk",
                      packed->folder, done < 0 ? strerror(errno) : "it has become shorter");
    to += done;
    at += (uint64_t)done;
    n -= (size_t)done;
  }
  return DFM_OK;
}

/* Points `widths` at the block's section, in memory or read into the buffer. */
static dfm_status fetch(const dfm_packed *packed, const block *of, int section, dfm_unpacking *to, dfm_error *error) {
  const piece *from = &packed->pieces[of->piece];
  const size_t start = of->start[section], n = of->start[section + 1] - start;
  if (from->bytes) {
    to->widths = from->bytes + start;
    return DFM_OK;
  }
  DFM_TRY(dfm_grow(&to->buffer, &to->capacity, n, 1, error));
  to->widths = to->buffer;
  return read_file(packed, from->at + start, to->buffer, n, error);
}

/* Has the section at hand. */
static dfm_status open_section(const dfm_packed *packed, size_t number, int section, dfm_unpacking *to,
                               dfm_error *error) {
  const block *of = &packed->blocks[number];
  const size_t rows = (size_t)(of[1].first - of->first), columns = (size_t)packed->columns[section];
  to->packed = NULL;
  DFM_TRY(dfm_grow(&to->start, &to->start_capacity, columns, sizeof *to->start, error));
  DFM_TRY(fetch(packed, of, section, to, error));
  to->bytes = to->widths + align(columns);
  size_t start = 0;
  for (size_t c = 0; c < columns; c++) {
    to->start[c] = (uint32_t)start;
    start += align(rows * (to->widths[c] & ~(unsigned)WHOLE));
  }
  to->block = number;
  to->section = section;
  to->packed = packed;
  return DFM_OK;
}

void dfm_unpacking_clear(dfm_unpacking *unpacking) {
  free(unpacking->start);
  free(unpacking->buffer);
  *unpacking = (dfm_unpacking){0};
}

void dfm_unpack_ids(const dfm_unpacking *open, int column, int from, int n, uint32_t *cells) {
  const unsigned char *bytes = open->bytes + open->start[column];
  const unsigned width = open->widths[column] & ~(unsigned)WHOLE;
  if (width == 1) {
    const uint8_t *at = bytes + from;
    for (int i = 0; i < n; i++) cells[i] = (uint32_t)(uint8_t)(at[i] + 1) - 1; /* all ones: NONE */
  } else if (width == 2) {
    const uint16_t *at = (const void *)(bytes + 2 * (size_t)from);
    for (int i = 0; i < n; i++) cells[i] = (uint32_t)(uint16_t)(at[i] + 1) - 1;
  } else {
    memcpy(cells, bytes + 4 * (size_t)from, (size_t)n * sizeof *cells);
  }
}

void dfm_unpack_numbers(const dfm_unpacking *open, int column, int from, int n, float *numbers) {
  uint32_t cells[DFM_PACKED_ROWS];
  dfm_unpack_ids(open, column, from, n, cells);
  if (!(open->widths[column] & WHOLE)) {
    memcpy(numbers, cells, (size_t)n * sizeof *numbers);
    return;
  }
  for (int i = 0; i < n; i++) numbers[i] = cells[i] == DFM_PACKED_NONE ? NAN : (float)(int32_t)cells[i];
}

/* The block that row `row` lies in. */
static size_t find_block(const dfm_packed *packed, int64_t row) {
  size_t low = 0, high = packed->n_blocks;
  while (high - low > 1) {
    const size_t middle = low + (high - low) / 2;
    if (packed->blocks[middle].first <= row)
      low = middle;
    else
      high = middle;
  }
  return low;
}

/* A section's columns are too short for the processor to find out by itself what comes next. */
static void ask_for(const dfm_packed *packed, size_t number, int section) {
  if (number >= packed->n_blocks) return;
  const block *at = &packed->blocks[number];
  const unsigned char *bytes = packed->pieces[at->piece].bytes;
  if (!bytes) return;
  for (size_t i = at->start[section]; i < at->start[section + 1]; i += DFM_CACHE_LINE)
    __builtin_prefetch(bytes + i, 0, 2);
}

dfm_status dfm_packed_next(dfm_packed_pass *pass, dfm_unpacking *unpacking, dfm_error *error) {
  const dfm_packed *packed = pass->packed;
  const bool is_first = pass->n == 0;
  pass->row += pass->n;
  pass->n = 0;
  if (pass->row >= pass->end) return DFM_OK;
  pass->block = is_first ? find_block(packed, pass->row) : pass->block + 1;
  const block *at = &packed->blocks[pass->block];
  const int64_t end = at[1].first < pass->end ? at[1].first : pass->end;
  const bool is_open =
      unpacking->packed == packed && unpacking->block == pass->block && unpacking->section == pass->section;
  if (!is_open) {
    ask_for(packed, pass->block + 1, pass->section);
    DFM_TRY(open_section(packed, pass->block, pass->section, unpacking, error));
  }
  pass->from = (int)(pass->row - at->first);
  pass->n = (int)(end - pass->row);
  return DFM_OK;
}
