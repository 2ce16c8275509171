/* oneDNN's multiply. Its C API differs between versions 2 (from 2.6) and 3 in how a memory layout is described and a
 * multiply is asked for; what does is put together in one place below. */
#include "kernel/onednn.h"

#if defined(DFM_HAVE_ONEDNN)
#include <dnnl.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* ---- where versions 2 and 3 differ */

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t dfm_layout; /* of a matrix; destroyed by its owner */
typedef const_dnnl_memory_desc_t dfm_layout_view;

static dfm_layout_view view(const dfm_layout *layout) {
  return *layout;
}
static dnnl_status_t layout_create(dfm_layout *layout, const dnnl_dims_t size, const dnnl_dims_t stride) {
  return stride ? dnnl_memory_desc_create_with_strides(layout, 2, size, dnnl_f32, stride)
                : dnnl_memory_desc_create_with_tag(layout, 2, size, dnnl_f32, dnnl_format_tag_any);
}
static void layout_destroy(dfm_layout *layout) {
  if (*layout) dnnl_memory_desc_destroy(*layout);
}
static dnnl_status_t describe(dnnl_primitive_desc_t *description, dnnl_engine_t engine, const dfm_layout layout[3],
                              dnnl_primitive_attr_t attributes) {
  return dnnl_matmul_primitive_desc_create(description, engine, layout[0], layout[1], NULL, layout[2], attributes);
}
#else
typedef dnnl_memory_desc_t dfm_layout;
typedef const dnnl_memory_desc_t *dfm_layout_view;

static dfm_layout_view view(const dfm_layout *layout) {
  return layout;
}
static dnnl_status_t layout_create(dfm_layout *layout, const dnnl_dims_t size, const dnnl_dims_t stride) {
  return stride ? dnnl_memory_desc_init_by_strides(layout, 2, size, dnnl_f32, stride)
                : dnnl_memory_desc_init_by_tag(layout, 2, size, dnnl_f32, dnnl_format_tag_any);
}
static void layout_destroy(dfm_layout *layout) {
  (void)layout;
}
static dnnl_status_t describe(dnnl_primitive_desc_t *description, dnnl_engine_t engine, const dfm_layout layout[3],
                              dnnl_primitive_attr_t attributes) {
  dnnl_matmul_desc_t multiply;
  const dnnl_status_t status = dnnl_matmul_desc_init(&multiply, &layout[0], &layout[1], NULL, &layout[2]);
  if (status != dnnl_success) return status;
  return dnnl_primitive_desc_create(description, &multiply, attributes, engine, NULL);
}
#endif

enum { MATRIX_A, MATRIX_B, MATRIX_C, SCRATCH, N_MEMORIES };

struct dfm_onednn {
  dnnl_engine_t engine;
  dnnl_stream_t stream;
  dnnl_primitive_t multiply;
  dnnl_memory_t memory[N_MEMORIES]; /* B packed; A and C without data, which each run brings */
};

static dfm_status failed(const char *what, dnnl_status_t status, dfm_error *error) {
  return dfm_fail(error, status == dnnl_out_of_memory ? DFM_ERROR_MEMORY : DFM_ERROR_VALUE,
                  "oneDNN could not %s (its status is %d)", what, (int)status);
}

bool dfm_onednn_runs(void) {
  return true;
}

/* Copies B into the multiply's form. */
static dnnl_status_t pack(dfm_onednn *onednn, const dfm_layout *plain, const float *B) {
  const dnnl_memory_t packed = onednn->memory[MATRIX_B];
  dfm_layout_view form;
  dnnl_memory_t from = NULL;
  dnnl_primitive_desc_t description = NULL;
  dnnl_primitive_t reorder = NULL;
  dnnl_status_t done = dnnl_memory_get_memory_desc(packed, &form);
  if (done == dnnl_success) done = dnnl_memory_create(&from, view(plain), onednn->engine, (void *)B);
  if (done == dnnl_success)
    done = dnnl_reorder_primitive_desc_create(&description, view(plain), onednn->engine, form, onednn->engine, NULL);
  if (done == dnnl_success) done = dnnl_primitive_create(&reorder, description);
  const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, packed}};
  if (done == dnnl_success) done = dnnl_primitive_execute(reorder, onednn->stream, 2, args);
  if (done == dnnl_success) done = dnnl_stream_wait(onednn->stream);
  if (reorder) dnnl_primitive_destroy(reorder);
  if (description) dnnl_primitive_desc_destroy(description);
  if (from) dnnl_memory_destroy(from);
  return done;
}

static dnnl_status_t create_multiply(dfm_onednn *onednn, const dfm_layout layout[SCRATCH]) {
  static const dnnl_query_t what[N_MEMORIES] = {dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md,
                                                dnnl_query_scratchpad_md};
  dnnl_primitive_desc_t description = NULL;
  dnnl_primitive_attr_t attributes = NULL;
  dnnl_status_t done = dnnl_primitive_attr_create(&attributes);
  /* Scratch space of its own, or the thread that creates it would have to run it. */
  if (done == dnnl_success) done = dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user);
  if (done == dnnl_success) done = describe(&description, onednn->engine, layout, attributes);
  if (done == dnnl_success) done = dnnl_primitive_create(&onednn->multiply, description);
  for (int m = 0; m < N_MEMORIES && done == dnnl_success; m++)
    done = dnnl_memory_create(&onednn->memory[m], dnnl_primitive_desc_query_md(description, what[m], 0), onednn->engine,
                              m == MATRIX_B || m == SCRATCH ? DNNL_MEMORY_ALLOCATE : DNNL_MEMORY_NONE);
  if (description) dnnl_primitive_desc_destroy(description);
  if (attributes) dnnl_primitive_attr_destroy(attributes);
  return done;
}

static dnnl_status_t create(dfm_onednn *onednn, int M, int N, int K, bool trans_b, const float *B) {
  const dnnl_dims_t a = {M, K}, b = {K, N}, c = {M, N}, a_stride = {K, 1}, c_stride = {N, 1};
  const dnnl_dims_t b_stride = {trans_b ? 1 : N, trans_b ? K : 1};
  dfm_layout layout[SCRATCH], plain;
  memset(layout, 0, sizeof layout);
  memset(&plain, 0, sizeof plain);
  dnnl_status_t done = dnnl_engine_create(&onednn->engine, dnnl_cpu, 0);
  if (done == dnnl_success) done = dnnl_stream_create(&onednn->stream, onednn->engine, dnnl_stream_default_flags);
  if (done == dnnl_success) done = layout_create(&layout[MATRIX_A], a, a_stride);
  if (done == dnnl_success) done = layout_create(&layout[MATRIX_B], b, NULL);
  if (done == dnnl_success) done = layout_create(&layout[MATRIX_C], c, c_stride);
  if (done == dnnl_success) done = layout_create(&plain, b, b_stride);
  if (done == dnnl_success) done = create_multiply(onednn, layout);
  if (done == dnnl_success) done = pack(onednn, &plain, B);
  for (int m = 0; m < SCRATCH; m++) layout_destroy(&layout[m]);
  layout_destroy(&plain);
  return done;
}

dfm_status dfm_onednn_create(int M, int N, int K, bool trans_b, const float *B, dfm_onednn **out, dfm_error *error) {
  dfm_onednn *onednn = NULL;
  DFM_TRY(dfm_alloc(&onednn, 1, sizeof *onednn, error));
  const dnnl_status_t done = create(onednn, M, N, K, trans_b, B);
  if (done != dnnl_success) {
    dfm_onednn_free(onednn);
    return failed("prepare a matrix multiply", done, error);
  }
  *out = onednn;
  return DFM_OK;
}

void dfm_onednn_free(dfm_onednn *onednn) {
  if (!onednn) return;
  for (int m = 0; m < N_MEMORIES; m++)
    if (onednn->memory[m]) dnnl_memory_destroy(onednn->memory[m]);
  if (onednn->multiply) dnnl_primitive_destroy(onednn->multiply);
  if (onednn->stream) dnnl_stream_destroy(onednn->stream);
  if (onednn->engine) dnnl_engine_destroy(onednn->engine);
  free(onednn);
}

dfm_status dfm_onednn_run(const dfm_onednn *onednn, const float *A, float *C, dfm_error *error) {
  const dnnl_memory_t *memory = onednn->memory;
  const dnnl_exec_arg_t args[N_MEMORIES] = {{DNNL_ARG_SRC, memory[MATRIX_A]},
                                            {DNNL_ARG_WEIGHTS, memory[MATRIX_B]},
                                            {DNNL_ARG_DST, memory[MATRIX_C]},
                                            {DNNL_ARG_SCRATCHPAD, memory[SCRATCH]}};
  dnnl_status_t done = dnnl_memory_set_data_handle(memory[MATRIX_A], (void *)A);
  if (done == dnnl_success) done = dnnl_memory_set_data_handle(memory[MATRIX_C], C);
  if (done == dnnl_success) done = dnnl_primitive_execute(onednn->multiply, onednn->stream, N_MEMORIES, args);
  if (done == dnnl_success) done = dnnl_stream_wait(onednn->stream);
  return done == dnnl_success ? DFM_OK : failed("multiply matrices", done, error);
}
#else
bool dfm_onednn_runs(void) {
  return false;
}

dfm_status dfm_onednn_create(int M, int N, int K, bool trans_b, const float *B, dfm_onednn **onednn, dfm_error *error) {
  (void)M;
  (void)N;
  (void)K;
  (void)trans_b;
  (void)B;
  (void)onednn;
  return dfm_fail(error, DFM_ERROR_VALUE, "this build has no oneDNN; build with DFM_ONEDNN=ON");
}

void dfm_onednn_free(dfm_onednn *onednn) {
  (void)onednn;
}

dfm_status dfm_onednn_run(const dfm_onednn *onednn, const float *A, float *C, dfm_error *error) {
  (void)onednn;
  (void)A;
  (void)C;
  return dfm_fail(error, DFM_ERROR_VALUE, "this build has no oneDNN; build with DFM_ONEDNN=ON");
}
#endif
