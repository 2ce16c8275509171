/* Choosing a kernel table: a name, or the CPU's features, come in; the table goes out. */
#include "kernel/kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/kernel_tables.h"

static bool runs_anywhere(void) {
  return true;
}

#if defined(__x86_64__)
/* The builtin also asks whether the operating system saves the wide registers. */
static bool runs_avx2(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool runs_avx512(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

size_t dfm_packed_floats(int K, int N) {
  enum { WIDEST = 16 }; /* floats of a register */
  return (size_t)K * (size_t)((N + WIDEST - 1) / WIDEST * WIDEST);
}

const dfm_tiles *dfm_tiles_at(size_t i) {
#if defined(__x86_64__)
  if (dfm_tiles_runs_amx()) {
    if (i == 0) return &dfm_tiles_amx_float32;
    if (i == 1) return &dfm_tiles_amx;
    i -= 2;
  }
  if (dfm_tiles_runs_avx512() && i == 0) return &dfm_tiles_avx512;
#endif
  (void)i;
  return NULL;
}

static const dfm_tiles *own_bf16(const dfm_kernel *kernel) {
#if defined(__x86_64__)
  if (kernel == &dfm_kernel_amx) return &dfm_tiles_amx;
  if (kernel == &dfm_kernel_avx512 && dfm_tiles_runs_avx512()) return &dfm_tiles_avx512;
#endif
  (void)kernel;
  return NULL;
}

bool dfm_kernel_has_bf16(const dfm_kernel *kernel) {
  return own_bf16(kernel) != NULL;
}

const dfm_tiles *dfm_kernel_tiles(const dfm_kernel *kernel, bool is_bf16) {
  const dfm_tiles *own = own_bf16(kernel);
  if (is_bf16) return own ? own : &kernel->plain_bf16;
#if defined(__x86_64__)
  if (kernel == &dfm_kernel_amx) return &dfm_tiles_amx_float32;
#endif
  return NULL;
}

/* Best first. */
static const struct {
  const dfm_kernel *kernel;
  bool (*runs)(void);
} tables[] = {
#if defined(__x86_64__)
    {&dfm_kernel_amx, dfm_tiles_runs_amx},
    {&dfm_kernel_avx512, runs_avx512},
    {&dfm_kernel_avx2, runs_avx2},
#endif
    {&dfm_kernel_generic, runs_anywhere},
};
enum { N_TABLES = sizeof tables / sizeof *tables };

const dfm_kernel *dfm_kernel_at(size_t i) {
  for (size_t t = 0; t < N_TABLES; t++)
    if (tables[t].runs() && i-- == 0) return tables[t].kernel;
  return NULL;
}

/* "avx2, generic": the tables that this CPU runs, best first. */
static void list_names(char *out, size_t size) {
  size_t length = 0;
  const dfm_kernel *kernel;
  for (size_t i = 0; (kernel = dfm_kernel_at(i)) != NULL && length < size; i++)
    length += (size_t)snprintf(out + length, size - length, "%s%s", i ? ", " : "", kernel->name);
}

dfm_status dfm_kernel_find(const char *name, const dfm_kernel **kernel, dfm_error *error) {
  char names[64], shown[DFM_SHOW_BYTES];
  if (!name || !*name) {
    *kernel = dfm_kernel_at(0);
    return DFM_OK;
  }
  list_names(names, sizeof names);
  for (size_t t = 0; t < N_TABLES; t++) {
    if (strcmp(tables[t].kernel->name, name) != 0) continue;
    if (!tables[t].runs())
      return dfm_fail(error, DFM_ERROR_VALUE, "kernel '%s' needs instructions that this CPU lacks; it runs: %s", name,
                      names);
    *kernel = tables[t].kernel;
    return DFM_OK;
  }
  return dfm_fail(error, DFM_ERROR_VALUE, "there is no kernel '%s'; this CPU runs: %s",
                  dfm_show(shown, name, strlen(name)), names);
}

dfm_status dfm_kernel_pick(const dfm_kernel **kernel, dfm_error *error) {
  return dfm_kernel_find(getenv("DFM_KERNEL"), kernel, error);
}
