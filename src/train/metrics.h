/* Metrics: what dfm_meter does, with a limit that tests can lower, and what a checkpoint keeps of one. */
#ifndef DFM_TRAIN_METRICS_H
#define DFM_TRAIN_METRICS_H

#include "base/safetensors.h"

/* dfm_meter_create, whose AUC is exact up to `exact_rows` rows. */
dfm_status dfm_meter_create_exact(int64_t exact_rows, dfm_meter **meter, dfm_error *error);

/* The metrics of all rows added so far, to which more may be added. */
void dfm_meter_measure(dfm_meter *meter, dfm_metrics *metrics);
int64_t dfm_meter_rows(const dfm_meter *meter);

/* All that a meter knows, as arrays of `n` words. They are its own: good until it is next used. */
enum { DFM_METER_PARTS = 4 };
typedef struct dfm_meter_part {
  const char *name;
  dfm_dtype dtype; /* DFM_U32, DFM_U64 or DFM_F32 */
  uint64_t n;
  const void *data;
} dfm_meter_part;
void dfm_meter_parts(const dfm_meter *meter, dfm_meter_part part[DFM_METER_PARTS]);
/* Makes an empty meter what the one was that the parts, with the names and types above, are from; `*is_good` false
 * where no meter has such parts. */
dfm_status dfm_meter_restore(dfm_meter *meter, const dfm_meter_part part[DFM_METER_PARTS], bool *is_good,
                             dfm_error *error);

#endif
