/* Far above: a count and the share to be expected come in; whether there is more than chance and a usual change explain
 * goes out. */
#ifndef DFM_DATA_EXCESS_H
#define DFM_DATA_EXCESS_H

#include <stdbool.h>
#include <stdint.h>

/* Whether `count` of `n` is far above the share `expected`: above 3 * expected + 5 %, and so far that it would come by
 * chance in less than one of 1000 such samples even if that were the true share. Of three rows all are needed, of a
 * hundred 14. */
bool dfm_is_far_above(int64_t count, int64_t n, double expected);

#endif
