/* Loader: seed, epoch and the number of rows come in; the rows' order, batch by batch, goes out. */
#include <stdlib.h>

#include "base/memory.h"
#include "base/random.h"
#include "data/dataset.h"

/* A window's memory is what its chunks map: of each array their rows, and up to AROUND_BYTES around them (spill.h). */
enum { CHUNK_ROWS = 1024, WINDOW_BYTES = 256 << 20, AROUND_BYTES = 64 << 10 };

/* Numbers for the order of chunks are apart from those for the order of rows, which start at the row's position. */
#define CHUNK_COUNTER (UINT64_C(1) << 63)

struct dfm_loader {
  dfm_dataset *dataset;
  int64_t rows;
  int batch_size;
  bool is_shuffled;
  uint64_t key, epoch_key;
  int64_t position; /* rows of this epoch given out */

  int64_t *chunk; /* (n_chunks) in this epoch's order */
  int64_t n_chunks, window_chunks;
  int64_t *window; /* row numbers of the chunks [next_chunk - window_chunks, next_chunk) of the order, mixed */
  int64_t window_start, window_rows, next_chunk;
  int64_t old_first, old_end; /* places of the last window's chunks, until the batch that ended it was used */
  int64_t asked;              /* chunks of the order that were asked for */
  dfm_scan scan;              /* not shuffled: rows up to its piece's end are in reach */
};

static int64_t smaller(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/* Fisher-Yates: Durstenfeld, "Algorithm 235: Random permutation", CACM 1964. Draw i is number `counter + i` of `key`.
 */
static void shuffle(int64_t *values, int64_t n, uint64_t key, uint64_t counter) {
  for (int64_t i = n - 1; i > 0; i--) {
    const int64_t j = (int64_t)dfm_random_below(key, counter + (uint64_t)i, (uint64_t)i + 1);
    const int64_t value = values[i];
    values[i] = values[j];
    values[j] = value;
  }
}

static int64_t chunk_rows(const dfm_loader *loader, int64_t chunk) {
  return smaller(CHUNK_ROWS, loader->rows - chunk * CHUNK_ROWS);
}

static bool has_windows(const dfm_loader *loader) {
  return loader->window_chunks < loader->n_chunks;
}

/* Gives back the memory of the chunks at places [first, end) of the order. */
static void spend(const dfm_loader *loader, int64_t first, int64_t end) {
  for (int64_t i = first; i < end; i++)
    dfm_dataset_spent(loader->dataset, loader->chunk[i] * CHUNK_ROWS, chunk_rows(loader, loader->chunk[i]));
}

/* Gives back the window's chunks, where the dataset is larger than a window. The batch at hand may still have some of
 * their rows: its pages go when the next one is asked for. */
static void spend_window(dfm_loader *loader) {
  if (loader->window_rows == 0 || !has_windows(loader)) return;
  loader->old_end = loader->next_chunk;
  loader->old_first = loader->next_chunk - (loader->window_rows + CHUNK_ROWS - 1) / CHUNK_ROWS;
  spend(loader, loader->old_first, loader->old_end);
  for (int64_t i = loader->old_first; i < loader->old_end; i++)
    dfm_dataset_apart(loader->dataset, loader->chunk[i] * CHUNK_ROWS, chunk_rows(loader, loader->chunk[i]));
}

static void spend_old_window(dfm_loader *loader) {
  spend(loader, loader->old_first, loader->old_end);
  loader->old_first = loader->old_end = 0;
}

/* Asks for the chunks before place `end` of the order that were not asked for yet. */
static void ask_ahead(dfm_loader *loader, int64_t end) {
  end = smaller(end, loader->n_chunks);
  for (; loader->asked < end; loader->asked++) {
    const int64_t chunk = loader->chunk[loader->asked];
    dfm_dataset_ahead(loader->dataset, chunk * CHUNK_ROWS, chunk_rows(loader, chunk));
  }
}

/* Fills the window with the next chunks' rows, from position `window_start + window_rows` on, and mixes them. */
static dfm_status next_window(dfm_loader *loader, dfm_error *error) {
  spend_window(loader);
  loader->window_start += loader->window_rows;
  loader->window_rows = 0;
  const int64_t end = smaller(loader->next_chunk + loader->window_chunks, loader->n_chunks);
  ask_ahead(loader, end);
  for (; loader->next_chunk < end; loader->next_chunk++) {
    const int64_t first = loader->chunk[loader->next_chunk] * CHUNK_ROWS,
                  last = smaller(first + CHUNK_ROWS, loader->rows);
    if (has_windows(loader)) dfm_dataset_apart(loader->dataset, first, last - first);
    DFM_TRY(dfm_dataset_check(loader->dataset, first, last - first, error));
    for (int64_t row = first; row < last; row++) loader->window[loader->window_rows++] = row;
  }
  shuffle(loader->window, loader->window_rows, loader->epoch_key, (uint64_t)loader->window_start);
  return DFM_OK;
}

/* Starts the epoch's order and goes to the window that `position` is in, which is filled when its first row is asked
 * for; the windows before it are only counted. */
static void start_epoch(dfm_loader *loader) {
  for (int64_t i = 0; i < loader->n_chunks; i++) loader->chunk[i] = i;
  shuffle(loader->chunk, loader->n_chunks, loader->epoch_key, CHUNK_COUNTER);
  loader->window_start = loader->window_rows = loader->next_chunk = 0;
  while (loader->next_chunk < loader->n_chunks) {
    const int64_t end = smaller(loader->next_chunk + loader->window_chunks, loader->n_chunks);
    int64_t n = 0;
    for (int64_t i = loader->next_chunk; i < end; i++) n += chunk_rows(loader, loader->chunk[i]);
    if (loader->position < loader->window_start + n) break;
    loader->window_start += n;
    loader->next_chunk = end;
  }
  loader->asked = loader->next_chunk;
}

static dfm_status allocate(dfm_loader *loader, dfm_error *error) {
  const dfm_encoder *encoder = dfm_dataset_encoder(loader->dataset);
  const int64_t arrays = 1 + dfm_dataset_has_weight(loader->dataset) + (encoder->F > 0) + (encoder->D > 0);
  const int64_t row_bytes = dfm_dataset_row_bytes(loader->dataset);
  const int64_t fitting = WINDOW_BYTES / (row_bytes * CHUNK_ROWS + arrays * AROUND_BYTES);
  loader->n_chunks = (loader->rows + CHUNK_ROWS - 1) / CHUNK_ROWS;
  loader->window_chunks = smaller(fitting > 0 ? fitting : 1, loader->n_chunks);
  if (!loader->is_shuffled) return DFM_OK;
  DFM_TRY(dfm_alloc(&loader->chunk, (size_t)loader->n_chunks, sizeof *loader->chunk, error));
  return dfm_alloc(&loader->window, (size_t)loader->window_chunks * CHUNK_ROWS, sizeof *loader->window, error);
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
  free(loader->window);
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
  spend_window(loader);
  spend_old_window(loader);
  loader->position = smaller(batch * loader->batch_size, loader->rows);
  loader->epoch_key = dfm_random_u64(loader->key, (uint64_t)epoch);
  if (loader->is_shuffled) start_epoch(loader);
  loader->scan = (dfm_scan){.dataset = loader->dataset, .first = loader->position, .end = loader->rows};
  return DFM_OK;
}

static dfm_status next_row(dfm_loader *loader, int64_t *row, dfm_error *error) {
  if (loader->is_shuffled) {
    if (loader->position >= loader->window_start + loader->window_rows) DFM_TRY(next_window(loader, error));
    *row = loader->window[loader->position - loader->window_start];
  } else {
    if (loader->position == loader->scan.first + loader->scan.n) DFM_TRY(dfm_scan_next(&loader->scan, error));
    *row = loader->position;
  }
  loader->position++;
  return DFM_OK;
}

dfm_status dfm_loader_next(dfm_loader *loader, int64_t *row, int *n, dfm_error *error) {
  spend_old_window(loader);
  *n = (int)smaller(loader->batch_size, loader->rows - loader->position);
  for (int i = 0; i < *n; i++) DFM_TRY(next_row(loader, &row[i], error));
  /* As many chunks of the next window as this one has given out: asking for all at once would push out what is in
   * use. */
  if (loader->is_shuffled && has_windows(loader))
    ask_ahead(loader, loader->next_chunk + (loader->position - loader->window_start) / CHUNK_ROWS + 1);
  return DFM_OK;
}
