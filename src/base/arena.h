/* Arena: byte strings come in one by one; places where they stay until all are freed go out. */
#ifndef DFM_BASE_ARENA_H
#define DFM_BASE_ARENA_H

#include "base/error.h"

/* Pieces that never move, so growing copies nothing. {0} at the start. */
typedef struct dfm_arena {
  struct dfm_piece {
    char *bytes;
    size_t size;
  } * pieces;
  size_t n_pieces, capacity;
  size_t used; /* of the last piece */
} dfm_arena;

/* A place is a piece's number and, in the lower bits, an offset in it: a piece that is longer than these can say holds
 * one string, at its start. */
enum { DFM_ARENA_OFFSET_BITS = 20, DFM_ARENA_PLACE_BITS = 44 };

/* Room for `n` bytes, to be written at once, at `*place`. */
dfm_status dfm_arena_add(dfm_arena *arena, size_t n, uint64_t *place, char **bytes, dfm_error *error);
void dfm_arena_clear(dfm_arena *arena);

static inline const char *dfm_arena_at(const dfm_arena *arena, uint64_t place) {
  return arena->pieces[place >> DFM_ARENA_OFFSET_BITS].bytes + (place & ((1ULL << DFM_ARENA_OFFSET_BITS) - 1));
}

#endif
