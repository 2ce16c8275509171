/* Loader: seed, epoch and the number of rows come in; the rows' order, batch by batch, goes out. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "data/dataset.h"

/* Live chunks' memory is what they map: of each array their rows, and up to AROUND_BYTES around them (spill.h). */
enum { CHUNK_ROWS = 1024, LIVE_BYTES = 256 << 20, AROUND_BYTES = 64 << 10, AHEAD_BYTES = 32 << 20 };

/* Numbers for the order of chunks, and for that of each chunk's rows, are apart from those for the rows of a piece,
 * which start at its position. */
#define CHUNK_COUNTER (UINT64_C(1) << 63)
#define MIX_COUNTER (UINT64_C(1) << 62)

/* Shuffled rows come in pieces. Where `live` chunks are all there are, one piece has all rows. Else chunk c of the
 * order goes live with piece c, and gives an equal share of its mixed rows to each of the pieces c .. c + live - 1; a
 * piece is mixed once more. So a full piece has CHUNK_ROWS rows of `live` chunks, and chunks come and go one at a time:
 * the disk reads steadily, and what is read is used up soon. */
struct dfm_loader {
  dfm_dataset *dataset;
  int64_t rows;
  int batch_size;
  bool is_shuffled;
  uint64_t key, epoch_key;
  int64_t position; /* rows of this epoch given out */

  int64_t *chunk; /* (n_chunks) in this epoch's order */
  int64_t n_chunks, live, ahead;
  int64_t *mixed; /* (live, CHUNK_ROWS) the row numbers of chunk c of the order, at c % live; NULL: one piece has all */
  int64_t *piece; /* row numbers of the piece before `next_piece` */
  int64_t piece_start, piece_rows, next_piece;
  int64_t asked, entered, spent; /* chunks of the order that were asked for, went live, were given back */
  dfm_scan scan;                 /* not shuffled: rows up to its piece's end are in reach */
};

static int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

static int64_t larger(int64_t a, int64_t b) {
  return a > b ? a : b;
}

/* Fisher-Yates: Durstenfeld, "Algorithm 235: Random permutation", CACM 1964. Draw i is number `counter + i` of
 * `key`. What is exchanged may lie all over some megabytes, so several draws are made, and their places asked for,
 * before the first one is used. */
static void shuffle(int64_t *values, int64_t n, uint64_t key, uint64_t counter) {
  enum { DRAWS = 64 };
  int64_t j[DRAWS];
  for (int64_t i = n - 1; i > 0;) {
    const int64_t last = larger(i - DRAWS, 0);
    for (int64_t k = i; k > last; k--) {
      j[i - k] = (int64_t)dfm_random_below(key, counter + (uint64_t)k, (uint64_t)k + 1);
      __builtin_prefetch(&values[j[i - k]], 1);
    }
    for (const int64_t first = i; i > last; i--) {
      const int64_t value = values[i];
      values[i] = values[j[first - i]];
      values[j[first - i]] = value;
    }
  }
}

/* Rows of chunk c of the order. */
static int64_t chunk_rows(const dfm_loader *loader, int64_t c) {
  return smaller(CHUNK_ROWS, loader->rows - loader->chunk[c] * CHUNK_ROWS);
}

/* Gives back the chunks of the order before c. */
static void spend(dfm_loader *loader, int64_t c) {
  for (; loader->spent < c; loader->spent++)
    dfm_dataset_spent(loader->dataset, loader->chunk[loader->spent] * CHUNK_ROWS, chunk_rows(loader, loader->spent));
}

/* Asks for the chunks of the order before c. */
static void ask(dfm_loader *loader, int64_t c) {
  for (; loader->asked < c; loader->asked++)
    dfm_dataset_ahead(loader->dataset, loader->chunk[loader->asked] * CHUNK_ROWS, chunk_rows(loader, loader->asked));
}

/* The next chunk of the order goes live: its row numbers into `row`. */
static dfm_status enter(dfm_loader *loader, int64_t *row, dfm_error *error) {
  const int64_t c = loader->entered, first = loader->chunk[c] * CHUNK_ROWS, n = chunk_rows(loader, c);
  if (loader->mixed) dfm_dataset_apart(loader->dataset, first, n);
  DFM_TRY(dfm_dataset_check(loader->dataset, first, n, error));
  for (int64_t i = 0; i < n; i++) row[i] = first + i;
  if (loader->mixed) shuffle(row, n, loader->epoch_key, MIX_COUNTER + (uint64_t)c * CHUNK_ROWS);
  loader->entered++;
  return DFM_OK;
}

static dfm_status take_all(dfm_loader *loader, dfm_error *error) {
  ask(loader, loader->n_chunks);
  while (loader->entered < loader->n_chunks) {
    const int64_t n = chunk_rows(loader, loader->entered);
    DFM_TRY(enter(loader, loader->piece + loader->piece_rows, error));
    loader->piece_rows += n;
  }
  return DFM_OK;
}

/* How many of a chunk's n rows the first `pieces` of its pieces take. */
static int64_t taken(const dfm_loader *loader, int64_t n, int64_t pieces) {
  return n * smaller(pieces, loader->live) / loader->live;
}

static dfm_status take_shares(dfm_loader *loader, dfm_error *error) {
  const int64_t p = loader->next_piece, last = smaller(p, loader->n_chunks - 1);
  ask(loader, smaller(p + 1 + loader->ahead, loader->n_chunks));
  while (loader->entered <= last)
    DFM_TRY(enter(loader, loader->mixed + loader->entered % loader->live * CHUNK_ROWS, error));
  for (int64_t c = larger(p - loader->live + 1, 0); c <= last; c++) {
    const int64_t *row = loader->mixed + c % loader->live * CHUNK_ROWS, n = chunk_rows(loader, c);
    for (int64_t i = taken(loader, n, p - c); i < taken(loader, n, p - c + 1); i++)
      loader->piece[loader->piece_rows++] = row[i];
  }
  return DFM_OK;
}

static dfm_status next_piece(dfm_loader *loader, dfm_error *error) {
  loader->piece_start += loader->piece_rows;
  loader->piece_rows = 0;
  DFM_TRY(loader->mixed ? take_shares(loader, error) : take_all(loader, error));
  loader->next_piece++;
  shuffle(loader->piece, loader->piece_rows, loader->epoch_key, (uint64_t)loader->piece_start);
  return DFM_OK;
}

static int64_t rows_before(const dfm_loader *loader, int64_t piece) {
  int64_t rows = 0;
  for (int64_t c = 0; c < smaller(piece, loader->n_chunks); c++)
    rows += taken(loader, chunk_rows(loader, c), piece - c);
  return rows;
}

/* Starts the epoch's order and goes to the piece that `position` is in, which is taken when its first row is asked for,
 * with the chunks that are live then. */
static void start_epoch(dfm_loader *loader) {
  int64_t piece = 0, end = loader->mixed ? loader->n_chunks + loader->live : 1;
  for (int64_t c = 0; c < loader->n_chunks; c++) loader->chunk[c] = c;
  shuffle(loader->chunk, loader->n_chunks, loader->epoch_key, CHUNK_COUNTER);
  while (end - piece > 1) {
    const int64_t middle = piece + (end - piece) / 2;
    *(rows_before(loader, middle) <= loader->position ? &piece : &end) = middle;
  }
  loader->next_piece = piece;
  loader->piece_start = rows_before(loader, piece);
  loader->piece_rows = 0;
  loader->asked = loader->entered = loader->spent = larger(piece - loader->live + 1, 0);
}

/* Arrays that a chunk's rows lie in; of each list its offsets, ids and weights. */
static int64_t count_arrays(const dfm_dataset *dataset) {
  const dfm_encoder *encoder = dfm_dataset_encoder(dataset);
  int64_t n = 1 + dfm_dataset_has_weight(dataset) + (encoder->F > 0) + (encoder->D > 0);
  for (int f = 0; f < encoder->F; f++)
    if (encoder->category[f].is_list) n += 2 + dfm_encoder_has_weights(encoder, f);
  return n;
}

static dfm_status allocate(dfm_loader *loader, dfm_error *error) {
  const int64_t row_bytes = dfm_dataset_row_bytes(loader->dataset);
  const int64_t fitting = LIVE_BYTES / (row_bytes * CHUNK_ROWS + count_arrays(loader->dataset) * AROUND_BYTES);
  loader->n_chunks = (loader->rows + CHUNK_ROWS - 1) / CHUNK_ROWS;
  /* Around all rows together there is nothing. */
  loader->live =
      loader->rows * row_bytes <= LIVE_BYTES ? loader->n_chunks : smaller(larger(fitting, 1), loader->n_chunks);
  loader->ahead = larger(AHEAD_BYTES / (row_bytes * CHUNK_ROWS), 1);
  if (!loader->is_shuffled) return DFM_OK;
  DFM_TRY(dfm_alloc(&loader->chunk, (size_t)loader->n_chunks, sizeof *loader->chunk, error));
  const size_t live_rows = (size_t)loader->live * CHUNK_ROWS;
  if (loader->live == loader->n_chunks) return dfm_alloc(&loader->piece, live_rows, sizeof *loader->piece, error);
  dfm_dataset_scattered(loader->dataset); /* chunks are asked for ahead */
  DFM_TRY(dfm_alloc(&loader->mixed, live_rows, sizeof *loader->mixed, error));
  /* The last chunk of the file may be shorter, and its share larger by a row than a full one's would be. */
  return dfm_alloc(&loader->piece, CHUNK_ROWS + 1, sizeof *loader->piece, error);
}

dfm_status dfm_loader_create(dfm_dataset *dataset, int batch_size, bool shuffle_rows, uint64_t seed,
                             dfm_loader **loader, dfm_error *error) {
  dfm_loader *made;
  if (batch_size < 1) return dfm_fail(error, DFM_ERROR_VALUE, "a batch size of %d; it must be at least 1", batch_size);
  DFM_TRY(dfm_alloc(&made, 1, sizeof *made, error));
  *made = (dfm_loader){.dataset = dfm_dataset_retain(dataset),
                       .rows = dfm_dataset_rows(dataset),
                       .batch_size = batch_size,
                       .is_shuffled = shuffle_rows,
                       .key = dfm_random_key(seed, DFM_STREAM_SHUFFLE)};
  dfm_status status = allocate(made, error);
  if (status == DFM_OK) status = dfm_loader_seek(made, 1, 0, error);
  if (status != DFM_OK) {
    dfm_loader_free(made);
    return status;
  }
  *loader = made;
  return DFM_OK;
}

void dfm_loader_free(dfm_loader *loader) {
  if (!loader) return;
  dfm_dataset_free(loader->dataset);
  free(loader->chunk);
  free(loader->mixed);
  free(loader->piece);
  free(loader);
}

int64_t dfm_loader_batches(const dfm_loader *loader) {
  return (loader->rows + loader->batch_size - 1) / loader->batch_size;
}

dfm_status dfm_loader_seek(dfm_loader *loader, int64_t epoch, int64_t batch, dfm_error *error) {
  if (epoch < 1 || batch < 0 || batch > dfm_loader_batches(loader)) {
    return dfm_fail(error, DFM_ERROR_VALUE,
                    "there is no batch %lld of epoch %lld; epochs start at 1 and have batches 0 to %lld",
                    (long long)batch, (long long)epoch, (long long)dfm_loader_batches(loader) - 1);
  }
  if (loader->mixed) spend(loader, loader->entered);
  loader->position = smaller(batch * loader->batch_size, loader->rows);
  loader->epoch_key = dfm_random_u64(loader->key, (uint64_t)epoch);
  if (loader->is_shuffled) start_epoch(loader);
  loader->scan = (dfm_scan){.dataset = loader->dataset, .first = loader->position, .end = loader->rows};
  return DFM_OK;
}

/* The next rows, at most n of them, of what is at hand: `*got`. */
static dfm_status take_rows(dfm_loader *loader, int64_t *row, int64_t n, int64_t *got, dfm_error *error) {
  if (loader->is_shuffled) {
    while (loader->position >= loader->piece_start + loader->piece_rows) DFM_TRY(next_piece(loader, error));
    const int64_t at = loader->position - loader->piece_start;
    *got = smaller(n, loader->piece_rows - at);
    memcpy(row, loader->piece + at, (size_t)*got * sizeof *row);
  } else {
    if (loader->position == loader->scan.first + loader->scan.n) DFM_TRY(dfm_scan_next(&loader->scan, error));
    *got = smaller(n, loader->scan.first + loader->scan.n - loader->position);
    for (int64_t i = 0; i < *got; i++) row[i] = loader->position + i;
  }
  loader->position += *got;
  return DFM_OK;
}

dfm_status dfm_loader_next(dfm_loader *loader, int64_t *row, int *n, dfm_error *error) {
  /* The batch before is done with: so are the chunks that the piece at hand takes nothing of. */
  if (loader->mixed) spend(loader, smaller(loader->next_piece - loader->live, loader->entered));
  *n = (int)smaller(loader->batch_size, loader->rows - loader->position);
  for (int64_t i = 0, got; i < *n; i += got) DFM_TRY(take_rows(loader, row + i, *n - i, &got, error));
  return DFM_OK;
}
