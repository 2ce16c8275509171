/* Metrics: what dfm_meter does, with a limit that tests can lower. */
#ifndef DFM_TRAIN_METRICS_H
#define DFM_TRAIN_METRICS_H

#include "base/error.h"

/* dfm_meter_create, whose AUC is exact up to `exact_rows` rows. */
dfm_status dfm_meter_create_exact(int64_t exact_rows, dfm_meter **meter, dfm_error *error);

#endif
