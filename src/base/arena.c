/* Pieces from 1 KB, each twice the one before, up to 1 MB: little for few bytes, little unused behind many. What is
 * longer than that gets a piece of its own. */
#include "base/arena.h"

#include <stdlib.h>

#include "base/memory.h"

enum { FIRST_BYTES = 1 << 10, PIECE_BYTES = 1 << DFM_ARENA_OFFSET_BITS, DOUBLINGS = 10 };
static const size_t MOST_PIECES = (size_t)1 << (DFM_ARENA_PLACE_BITS - DFM_ARENA_OFFSET_BITS);

static dfm_status add_piece(dfm_arena *arena, size_t n, dfm_error *error) {
  size_t size = arena->n_pieces < DOUBLINGS ? (size_t)FIRST_BYTES << arena->n_pieces : PIECE_BYTES;
  if (size < n) size = n;
  if (arena->n_pieces == MOST_PIECES)
    return dfm_fail(error, DFM_ERROR_MEMORY, "more than %zu pieces of text cannot be told apart; leave out the column",
                    MOST_PIECES);
  DFM_TRY(dfm_grow(&arena->pieces, &arena->capacity, arena->n_pieces + 1, sizeof *arena->pieces, error));
  struct dfm_piece *piece = &arena->pieces[arena->n_pieces];
  DFM_TRY(dfm_slab_alloc(&piece->bytes, size, 1, error));
  piece->size = size;
  arena->n_pieces++;
  arena->used = 0;
  return DFM_OK;
}

dfm_status dfm_arena_add(dfm_arena *arena, size_t n, uint64_t *place, char **bytes, dfm_error *error) {
  if (arena->n_pieces == 0 || arena->pieces[arena->n_pieces - 1].size - arena->used < n)
    DFM_TRY(add_piece(arena, n, error));
  *place = (uint64_t)(arena->n_pieces - 1) << DFM_ARENA_OFFSET_BITS | arena->used;
  *bytes = arena->pieces[arena->n_pieces - 1].bytes + arena->used;
  arena->used += n;
  return DFM_OK;
}

void dfm_arena_clear(dfm_arena *arena) {
  for (size_t i = 0; i < arena->n_pieces; i++) dfm_slab_free(arena->pieces[i].bytes, arena->pieces[i].size, 1);
  free(arena->pieces);
  *arena = (dfm_arena){0};
}
