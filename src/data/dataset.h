/* Dataset: encoded rows, read by row number. Loader: the order in which training sees them. */
#ifndef DFM_DATA_DATASET_H
#define DFM_DATA_DATASET_H

#include "data/encoder.h"

/* Places of a batch that one table's rows can be asked for. */
enum { DFM_MOST_PLACES = INT32_MAX };

/* The items of one list field in a batch: places, in order of rows. */
typedef struct dfm_batch_list {
  uint32_t *offsets; /* (B + 1) row b has places [offsets[b], offsets[b + 1]); NULL: the field is no list */
  uint32_t *row;     /* (places) b */
  uint32_t *id;      /* (places); DFM_ID_NONE: as if it were not there */
  /* (places) what a place's row is multiplied by: its weight, and for a mean its share of the row's weights */
  float *coefficient;
  size_t capacity; /* places that fit */
} dfm_batch_list;

/* Rows as the executor takes them: ids by field (each field's column contiguous), the rest by row. */
typedef struct dfm_batch {
  int capacity; /* rows that fit */
  int rows;     /* B, rows in it */
  int64_t *row; /* (capacity) row numbers in the dataset; set by the caller before dfm_dataset_lay_out */
  int F;
  uint32_t *id;         /* (F, capacity): id[f * capacity + b]; nothing for list fields */
  dfm_batch_list *list; /* (F) */
  float *number;        /* (capacity, D), transformed */
  float *label;         /* (capacity); 0 where the dataset has none */
  float *weight;        /* (capacity); 1 where the dataset has none */
} dfm_batch;

/* Reads rows to train on and settles their vocabularies (deepfm.h, dfm_dataset_read_train): `schema` has the recipe's
 * corrections in it already, `settings` says what its columns leave open. */
dfm_status dfm_dataset_read_training(dfm_input *train_input, dfm_input *valid_input, const dfm_schema *schema,
                                     const dfm_data_settings *settings, const dfm_read_options *options,
                                     dfm_dataset **train, dfm_dataset **valid, dfm_error *error);
/* The same for rows that are to be written: they stay packed, as they were read. Until dfm_dataset_unpack nothing may
 * be done with them but dfm_dataset_file_write. */
dfm_status dfm_dataset_read_packed(dfm_input *train_input, dfm_input *valid_input, const dfm_schema *schema,
                                   const dfm_data_settings *settings, const dfm_read_options *options,
                                   dfm_dataset **train, dfm_dataset **valid, dfm_error *error);
/* Makes of them what dfm_dataset_read_training gives. `valid` may be NULL; `threads` as in dfm_read_options. */
dfm_status dfm_dataset_unpack(dfm_dataset *train, dfm_dataset *valid, int threads, dfm_error *error);
/* The same for rows to train a model on further (deepfm.h, dfm_dataset_read_more): by its schema, through vocabularies
 * grown from its own. */
typedef struct dfm_growing {
  const dfm_encoder *encoder;  /* the model's; stays as it is */
  const uint32_t *const *ages; /* (F) of its values (data/age.h) */
  const dfm_growth_options *options;
} dfm_growing;
dfm_status dfm_dataset_read_growing(dfm_input *train_input, dfm_input *valid_input, const dfm_growing *growing,
                                    const dfm_data_settings *settings, const dfm_read_options *options,
                                    dfm_growth *growth, dfm_dataset **train, dfm_dataset **valid, dfm_error *error);
/* Reads rows as `encoder` (retained) encodes them, in the order of the text. */
dfm_status dfm_dataset_read_encoded(dfm_input *input, dfm_encoder *encoder, const dfm_read_options *options,
                                    dfm_dataset **dataset, dfm_error *error);

/* dfm_reader_open (deepfm.h), by `encoder` (retained). */
dfm_status dfm_reader_open_encoded(dfm_input *input, dfm_encoder *encoder, const dfm_read_options *options,
                                   dfm_reader **reader, dfm_error *error);

dfm_status dfm_batch_create(int F, int D, int capacity, dfm_batch **batch, dfm_error *error);
void dfm_batch_free(dfm_batch *batch);

/* What is said of rows that were left out (dfm_dataset_skipped) is from here on what is said of those of `from`. */
void dfm_dataset_take_skipped(dfm_dataset *dataset, const dfm_dataset *from);
const dfm_encoder *dfm_dataset_encoder(const dfm_dataset *dataset);
dfm_dataset *dfm_dataset_retain(dfm_dataset *dataset);
/* Rows of its text that came before it in other datasets (dfm_reader_next). */
int64_t dfm_dataset_before(const dfm_dataset *dataset);
/* Bytes of the dataset per row, on average, rounded up. */
int64_t dfm_dataset_row_bytes(const dfm_dataset *dataset);
/* false: every weight is 1. */
bool dfm_dataset_has_weight(const dfm_dataset *dataset);
/* A number that depends on what the dataset holds (rows, ids, numbers, labels, weights) and nothing else: checkpoints
 * use it to see that the data is the same. Reads every row: call it once. */
dfm_status dfm_dataset_fingerprint(const dfm_dataset *dataset, uint64_t *fingerprint, dfm_error *error);

/* Lays out the lists of the batch's rows, batch->row[0 .. batch->rows), before dfm_dataset_fill: where their places
 * are. Grows the arrays for them; where they were large enough before it cannot fail. */
dfm_status dfm_dataset_lay_out(const dfm_dataset *dataset, dfm_batch *batch, dfm_error *error);
/* Fills rows [first, first + n) of `batch` from the dataset's rows batch->row[...], which must have been checked
 * (dfm_dataset_check; the loader and dfm_scan do it). Any thread; disjoint rows may be filled at once. */
void dfm_dataset_fill(const dfm_dataset *dataset, dfm_batch *batch, int first, int n);

/* Checks rows [first, first + n), where they come from a dataset file and were not checked before: a file of any size
 * opens at once, and its damage is an error where it is first met. Any thread. */
dfm_status dfm_dataset_check(const dfm_dataset *dataset, int64_t first, int64_t n, dfm_error *error);
/* They are not needed for now: where they lie in a file, their memory goes back. Any thread. */
void dfm_dataset_spent(const dfm_dataset *dataset, int64_t first, int64_t n);
/* They are read in any order until then. Any thread. */
/* From here on only who asks ahead reads the dataset's rows, and others of their storage. */
void dfm_dataset_scattered(const dfm_dataset *dataset);
void dfm_dataset_apart(const dfm_dataset *dataset, int64_t first, int64_t n);
/* They are needed soon: where they lie in a file, it is read meanwhile. Any thread. */
void dfm_dataset_ahead(const dfm_dataset *dataset, int64_t first, int64_t n);

/* A pass over rows, piece by piece: those of a piece are checked, those of the next are asked for, those of the pieces
 * before are given back. {dataset, first, n = 0, end = first + rows to pass} at the start. */
typedef struct dfm_scan {
  const dfm_dataset *dataset;
  int64_t first, n; /* the piece at hand */
  int64_t end;
} dfm_scan;
enum { DFM_SCAN_ROWS = 1 << 16 };
/* The next piece, at most DFM_SCAN_ROWS; n 0: there is none. */
dfm_status dfm_scan_next(dfm_scan *scan, dfm_error *error);

/* Into `row` (n) the dataset's numbers of the rows [first, first + n) of its text, checked; `range` gets the two ranges
 * that they lie in. */
typedef struct dfm_row_range {
  int64_t first, n;
} dfm_row_range;
dfm_status dfm_dataset_text_order(const dfm_dataset *dataset, int64_t first, int64_t n, int64_t *row,
                                  dfm_row_range range[2], dfm_error *error);

/* Random rows for benchmarks and tests, from (seed, row): normal numbers, 25 % positive, ids within each field
 *  - by a power law, as values occur: P(id) falls as 1 / id;
 *  - or evenly, the hard case for memory: each id of a single-valued field in every n-th row, n ids, in an order of its
 *    own; lists by the power law. */
typedef enum dfm_draw { DFM_DRAW_POWER, DFM_DRAW_EVEN } dfm_draw;
dfm_status dfm_dataset_synthetic(dfm_encoder *encoder, int64_t rows, dfm_draw draw, uint64_t seed,
                                 dfm_dataset **dataset, dfm_error *error);

/* ---- loader: chunks of 1024 rows are permuted over the whole dataset; then rows are mixed, all at once where 256 MB
 * hold them, else over as many chunks as 256 MB hold, which come and go one at a time. The order depends on seed,
 * epoch and dataset size alone. Where rows lie in a file, chunks are asked for before they come and given back as they
 * go. */
typedef struct dfm_loader dfm_loader;
dfm_status dfm_loader_create(dfm_dataset *dataset, int batch_size, bool shuffle, uint64_t seed, dfm_loader **loader,
                             dfm_error *error);
void dfm_loader_free(dfm_loader *loader);
int64_t dfm_loader_batches(const dfm_loader *loader); /* per epoch; the last one may be smaller */
/* Goes to batch `batch` (0-based) of epoch `epoch` (1-based). */
dfm_status dfm_loader_seek(dfm_loader *loader, int64_t epoch, int64_t batch, dfm_error *error);
/* Row numbers of the next batch into `row`, `*n` of them, checked; 0 at the epoch's end. */
dfm_status dfm_loader_next(dfm_loader *loader, int64_t *row, int *n, dfm_error *error);

#endif
