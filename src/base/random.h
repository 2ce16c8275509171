/* Random numbers: (key, counter) comes in, random bits go out; no state, so any thread can make any number at any time.
 * Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. */
#ifndef DFM_BASE_RANDOM_H
#define DFM_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* What a number is for; goes into the key, so that no two uses share a stream. */
typedef enum dfm_stream {
  DFM_STREAM_SHUFFLE = 1,
  DFM_STREAM_SPLIT,
  DFM_STREAM_DROPOUT,
  DFM_STREAM_INIT,
  DFM_STREAM_UNKNOWN,
  DFM_STREAM_SYNTH,
  DFM_STREAM_BENCH
} dfm_stream;

/* 64 well mixed bits of (seed, stream). */
uint64_t dfm_random_key(uint64_t seed, dfm_stream stream);
/* Philox4x32-10 block `counter` (64 bits) and `counter2` under `key`. */
void dfm_philox(uint64_t key, uint64_t counter, uint64_t counter2, uint32_t out[4]);
/* One number each: 64 bits; a float in [0, 1); an integer in [0, bound) without bias (bound > 0). */
uint64_t dfm_random_u64(uint64_t key, uint64_t counter);
float dfm_random_uniform(uint64_t key, uint64_t counter);
uint64_t dfm_random_below(uint64_t key, uint64_t counter, uint64_t bound);
/* Fills `out` (n): standard normal (Box-Muller) / uniform in [0,1). Value i depends on (key, counter, i) alone. */
void dfm_random_fill_normal(uint64_t key, uint64_t counter, float *out, size_t n);
void dfm_random_fill_uniform(uint64_t key, uint64_t counter, float *out, size_t n);

#endif
