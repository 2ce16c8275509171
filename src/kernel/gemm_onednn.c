/* oneDNN: matrices as the kernels describe them come in, C goes out. Its C API differs between versions 2 (from 2.6) and
 * 3 in how a memory layout is described and a multiply is asked for; what does is put together in one place below. */
#include "kernel/gemm_onednn.h"

#if defined(DFM_HAVE_ONEDNN)
#include <assert.h>
#include <dnnl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

bool dfm_gemm_onednn(const dfm_gemm_args *args) {
  return dnnl_sgemm(args->trans_a ? 'T' : 'N', args->trans_b ? 'T' : 'N', args->M, args->N, args->K, 1.0f, args->A,
                    args->lda, args->B, args->ldb, args->beta, args->C, args->ldc) == dnnl_success;
}

bool dfm_onednn_runs(void) {
  return true;
}

/* ---- where versions 2 and 3 differ */

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t dfm_layout; /* of a matrix; destroyed by its owner */
typedef const_dnnl_memory_desc_t dfm_layout_view;

static dfm_layout_view view(const dfm_layout *layout) {
  return *layout;
}
static bool layout_create(dfm_layout *layout, const dnnl_dims_t size, dnnl_data_type_t type, const dnnl_dims_t stride) {
  return (stride ? dnnl_memory_desc_create_with_strides(layout, 2, size, type, stride)
                 : dnnl_memory_desc_create_with_tag(layout, 2, size, type, dnnl_format_tag_any)) == dnnl_success;
}
static void layout_destroy(dfm_layout *layout) {
  if (*layout) dnnl_memory_desc_destroy(*layout);
}
static dnnl_status_t append_sum(dnnl_post_ops_t post_ops) {
  return dnnl_post_ops_append_sum(post_ops, 1.0f, 0, dnnl_data_type_undef);
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
static bool layout_create(dfm_layout *layout, const dnnl_dims_t size, dnnl_data_type_t type, const dnnl_dims_t stride) {
  return (stride ? dnnl_memory_desc_init_by_strides(layout, 2, size, type, stride)
                 : dnnl_memory_desc_init_by_tag(layout, 2, size, type, dnnl_format_tag_any)) == dnnl_success;
}
static void layout_destroy(dfm_layout *layout) {
  (void)layout;
}
static dnnl_status_t append_sum(dnnl_post_ops_t post_ops) {
  return dnnl_post_ops_append_sum(post_ops, 1.0f);
}
static dnnl_status_t describe(dnnl_primitive_desc_t *description, dnnl_engine_t engine, const dfm_layout layout[3],
                              dnnl_primitive_attr_t attributes) {
  dnnl_matmul_desc_t multiply;
  const dnnl_status_t status = dnnl_matmul_desc_init(&multiply, &layout[0], &layout[1], NULL, &layout[2]);
  if (status != dnnl_success) return status;
  return dnnl_primitive_desc_create(description, &multiply, attributes, engine, NULL);
}
#endif

/* ---- what threads need */

typedef struct dfm_slot {
  atomic_flag is_busy;
  dnnl_stream_t stream;
  void *scratch; /* scratch_bytes; NULL: none */
} dfm_slot;

struct dfm_onednn {
  const dfm_kernel *kernel;
  dnnl_engine_t engine;
  int n_slots;
  dfm_slot *slot;
  size_t scratch_bytes; /* the most that any multiply asks for */
  atomic_int failure;   /* dnnl_status_t of a pack or run that failed; dnnl_success */
};

static dfm_status failed(const char *what, dnnl_status_t status, dfm_error *error) {
  return dfm_fail(error, status == dnnl_out_of_memory ? DFM_ERROR_MEMORY : DFM_ERROR_VALUE,
                  "oneDNN could not %s (its status is %d); set DFM_KERNEL=generic to do without it", what, (int)status);
}

dfm_status dfm_onednn_create(int n_threads, const dfm_kernel *kernel, dfm_onednn **out, dfm_error *error) {
  dfm_onednn *onednn = NULL;
  dfm_status status;
  dnnl_status_t done;
  DFM_TRY(dfm_alloc(&onednn, 1, sizeof *onednn, error));
  onednn->kernel = kernel;
  DFM_TRY_GOTO(status, dfm_alloc(&onednn->slot, (size_t)n_threads, sizeof *onednn->slot, error), fail);
  done = dnnl_engine_create(&onednn->engine, dnnl_cpu, 0);
  for (; done == dnnl_success && onednn->n_slots < n_threads; onednn->n_slots++) {
    dfm_slot *slot = &onednn->slot[onednn->n_slots];
    atomic_flag_clear(&slot->is_busy);
    done = dnnl_stream_create(&slot->stream, onednn->engine, dnnl_stream_default_flags);
  }
  DFM_TRY_GOTO(status, done == dnnl_success ? DFM_OK : failed("open its CPU engine", done, error), fail);
  *out = onednn;
  return DFM_OK;
fail:
  dfm_onednn_free(onednn);
  return status;
}

static void free_scratch(dfm_onednn *onednn) {
  for (int i = 0; i < onednn->n_slots; i++) {
    if (onednn->slot[i].scratch) dfm_pages_free(onednn->slot[i].scratch, onednn->scratch_bytes);
    onednn->slot[i].scratch = NULL;
  }
}

void dfm_onednn_free(dfm_onednn *onednn) {
  if (!onednn) return;
  free_scratch(onednn);
  for (int i = 0; i < onednn->n_slots; i++)
    if (onednn->slot[i].stream) dnnl_stream_destroy(onednn->slot[i].stream);
  if (onednn->engine) dnnl_engine_destroy(onednn->engine);
  free(onednn->slot);
  free(onednn);
}

static dfm_status reserve_scratch(dfm_onednn *onednn, size_t bytes, dfm_error *error) {
  if (bytes <= onednn->scratch_bytes) return DFM_OK;
  free_scratch(onednn);
  onednn->scratch_bytes = bytes;
  for (int i = 0; i < onednn->n_slots; i++) DFM_TRY(dfm_pages_alloc(&onednn->slot[i].scratch, bytes, error));
  return DFM_OK;
}

/* A slot that no other thread uses; there is one for each, so it is found in the first round or soon. */
static int take_slot(const dfm_onednn *onednn) {
  for (;;)
    for (int i = 0; i < onednn->n_slots; i++)
      if (!atomic_flag_test_and_set_explicit(&onednn->slot[i].is_busy, memory_order_acquire)) return i;
}

static void give_slot(const dfm_onednn *onednn, int i) {
  atomic_flag_clear_explicit(&onednn->slot[i].is_busy, memory_order_release);
}

/* ---- multiplies */

enum { MATRIX_A, MATRIX_B, MATRIX_C, SCRATCH, N_MEMORIES };

struct dfm_onednn_multiply {
  dfm_onednn *onednn;
  dfm_onednn_shape shape;
  bool gathers_a, scatters_c; /* through scratch space, at these places of it */
  size_t a_at, c_at;
  dnnl_primitive_t multiply, reorder;  /* reorder: from B as it is stored to packed; NULL where it is not packed */
  dnnl_memory_t (*memory)[N_MEMORIES]; /* (slots) without data, which each run brings */
  dnnl_memory_t plain, packed;         /* of B, for packing */
  void *packed_data;
  size_t packed_bytes;
};

static dfm_status create_layouts(const dfm_onednn_shape *shape, dfm_layout layout[3], dfm_layout *plain,
                                 dfm_error *error) {
  const dnnl_dims_t a = {shape->M, shape->K}, b = {shape->K, shape->N}, c = {shape->M, shape->N};
  const dnnl_dims_t a_stride = {shape->K, 1}, c_stride = {shape->N, 1};
  const dnnl_dims_t b_stride = {shape->trans_b ? 1 : shape->ldb, shape->trans_b ? shape->ldb : 1};
  if (layout_create(&layout[MATRIX_A], a, dnnl_f32, a_stride) &&
      layout_create(&layout[MATRIX_B], b, dnnl_f32, shape->packs_b ? NULL : b_stride) &&
      layout_create(&layout[MATRIX_C], c, dnnl_f32, c_stride) && layout_create(plain, b, dnnl_f32, b_stride))
    return DFM_OK;
  return failed("describe a matrix", dnnl_invalid_arguments, error);
}

/* The multiply's description, NULL where oneDNN has no such: scratch space is the caller's. adds: a sum after the multiply. */
static dfm_status create_description(const dfm_onednn *onednn, const dfm_layout layout[3], bool adds,
                                     dnnl_primitive_desc_t *description, dfm_error *error) {
  dnnl_primitive_attr_t attributes = NULL;
  dnnl_post_ops_t post_ops = NULL;
  dnnl_status_t done = dnnl_primitive_attr_create(&attributes);
  if (done == dnnl_success) done = dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user);
  if (done == dnnl_success) done = dnnl_post_ops_create(&post_ops);
  if (done == dnnl_success && adds) done = append_sum(post_ops);
  if (done == dnnl_success) done = dnnl_primitive_attr_set_post_ops(attributes, post_ops);
  if (done == dnnl_success) done = describe(description, onednn->engine, layout, attributes);
  if (post_ops) dnnl_post_ops_destroy(post_ops);
  if (attributes) dnnl_primitive_attr_destroy(attributes);
  return done == dnnl_success || done == dnnl_unimplemented ? DFM_OK : failed("prepare a matrix multiply", done, error);
}

/* Room for B in oneDNN's form, and the reorder that fills it. */
static dfm_status create_packing(dfm_onednn_multiply *multiply, const dfm_layout *plain, dfm_layout_view packed,
                                 dfm_error *error) {
  const dfm_onednn *onednn = multiply->onednn;
  dnnl_primitive_desc_t reorder = NULL;
  multiply->packed_bytes = dnnl_memory_desc_get_size(packed);
  DFM_TRY(dfm_pages_alloc(&multiply->packed_data, multiply->packed_bytes, error));
  dnnl_status_t done = dnnl_memory_create(&multiply->packed, packed, onednn->engine, multiply->packed_data);
  if (done == dnnl_success) done = dnnl_memory_create(&multiply->plain, view(plain), onednn->engine, DNNL_MEMORY_NONE);
  if (done == dnnl_success)
    done = dnnl_reorder_primitive_desc_create(&reorder, view(plain), onednn->engine, packed, onednn->engine, NULL);
  if (done == dnnl_success) done = dnnl_primitive_create(&multiply->reorder, reorder);
  if (reorder) dnnl_primitive_desc_destroy(reorder);
  return done == dnnl_success ? DFM_OK : failed("prepare the packing of a matrix", done, error);
}

static size_t whole_lines(size_t bytes) {
  return (bytes + 63) / 64 * 64;
}

/* Scratch space: oneDNN's own, then A and C without gaps. */
static dfm_status lay_out_scratch(dfm_onednn_multiply *multiply, size_t own_bytes, dfm_error *error) {
  const dfm_onednn_shape *shape = &multiply->shape;
  const size_t M = (size_t)shape->M;
  multiply->a_at = whole_lines(own_bytes);
  multiply->c_at = multiply->a_at + (multiply->gathers_a ? whole_lines(M * (size_t)shape->K * sizeof(float)) : 0);
  return reserve_scratch(multiply->onednn,
                         multiply->c_at + (multiply->scatters_c ? M * (size_t)shape->N * sizeof(float) : 0), error);
}

static dfm_status create_multiply(dfm_onednn_multiply *multiply, const_dnnl_primitive_desc_t description,
                                  dfm_error *error) {
  static const dnnl_query_t what[N_MEMORIES] = {dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md,
                                                dnnl_query_scratchpad_md};
  dfm_onednn *onednn = multiply->onednn;
  dnnl_status_t done = dnnl_primitive_create(&multiply->multiply, description);
  DFM_TRY(dfm_alloc(&multiply->memory, (size_t)onednn->n_slots, sizeof *multiply->memory, error));
  for (int i = 0; i < onednn->n_slots; i++)
    for (int m = 0; m < N_MEMORIES && done == dnnl_success; m++)
      done = dnnl_memory_create(&multiply->memory[i][m], dnnl_primitive_desc_query_md(description, what[m], 0),
                                onednn->engine, DNNL_MEMORY_NONE);
  if (done != dnnl_success) return failed("prepare a matrix multiply", done, error);
  return lay_out_scratch(
      multiply, dnnl_memory_desc_get_size(dnnl_primitive_desc_query_md(description, dnnl_query_scratchpad_md, 0)),
      error);
}

static dfm_status create(dfm_onednn_multiply *multiply, dfm_error *error) {
  const dfm_onednn_shape *shape = &multiply->shape;
  dfm_layout layout[3], plain;
  dnnl_primitive_desc_t description = NULL;
  memset(layout, 0, sizeof layout);
  memset(&plain, 0, sizeof plain);
  dfm_status status = create_layouts(shape, layout, &plain, error);
  if (status == DFM_OK)
    status =
        create_description(multiply->onednn, layout, shape->beta != 0 && !multiply->scatters_c, &description, error);
  if (status == DFM_OK && description) status = create_multiply(multiply, description, error);
  if (status == DFM_OK && description && shape->packs_b)
    status =
        create_packing(multiply, &plain, dnnl_primitive_desc_query_md(description, dnnl_query_weights_md, 0), error);
  if (description) dnnl_primitive_desc_destroy(description);
  for (int i = 0; i < 3; i++) layout_destroy(&layout[i]);
  layout_destroy(&plain);
  return status;
}

typedef struct dfm_create_work { /* for the pool's task */
  dfm_onednn_multiply *multiply;
  dfm_status status;
  dfm_error *error;
} dfm_create_work;

/* In a task, since oneDNN prepares for as many threads as it sees. */
static void create_task(void *context, int task, int thread) {
  dfm_create_work *work = context;
  (void)task;
  (void)thread;
  work->status = create(work->multiply, work->error);
}

dfm_status dfm_onednn_multiply_create(dfm_onednn *onednn, dfm_pool *pool, const dfm_onednn_shape *shape,
                                      dfm_onednn_multiply **out, dfm_error *error) {
  dfm_onednn_multiply *multiply = NULL;
  *out = NULL;
  DFM_TRY(dfm_alloc(&multiply, 1, sizeof *multiply, error));
  multiply->onednn = onednn;
  multiply->shape = *shape;
  multiply->gathers_a = shape->lda != shape->K;
  multiply->scatters_c = shape->ldc != shape->N;
  dfm_create_work work = {.multiply = multiply, .error = error};
  dfm_pool_run(pool, 1, create_task, &work);
  if (work.status == DFM_OK && multiply->multiply)
    *out = multiply;
  else
    dfm_onednn_multiply_free(multiply);
  return work.status;
}

void dfm_onednn_multiply_free(dfm_onednn_multiply *multiply) {
  if (!multiply) return;
  for (int i = 0; multiply->memory && i < multiply->onednn->n_slots; i++)
    for (int m = 0; m < N_MEMORIES; m++)
      if (multiply->memory[i][m]) dnnl_memory_destroy(multiply->memory[i][m]);
  if (multiply->plain) dnnl_memory_destroy(multiply->plain);
  if (multiply->packed) dnnl_memory_destroy(multiply->packed);
  if (multiply->reorder) dnnl_primitive_destroy(multiply->reorder);
  if (multiply->multiply) dnnl_primitive_destroy(multiply->multiply);
  if (multiply->packed_data) dfm_pages_free(multiply->packed_data, multiply->packed_bytes);
  free(multiply->memory);
  free(multiply);
}

/* Fails for no memory object at all, and ours are there. */
static void set_data(dnnl_memory_t memory, const void *data) {
  const dnnl_status_t done = dnnl_memory_set_data_handle(memory, (void *)data);
  assert(done == dnnl_success);
  (void)done;
}

/* Runs `primitive`, whose operands are set, in slot i. The first failure is the one that is kept. */
static void execute(dfm_onednn *onednn, int i, const_dnnl_primitive_t primitive, int n_args,
                    const dnnl_exec_arg_t *args) {
  const dnnl_stream_t stream = onednn->slot[i].stream;
  const dnnl_status_t begun = dnnl_primitive_execute(primitive, stream, n_args, args);
  const dnnl_status_t waited = dnnl_stream_wait(stream), status = begun != dnnl_success ? begun : waited;
  int none = dnnl_success;
  if (status != dnnl_success) atomic_compare_exchange_strong(&onednn->failure, &none, (int)status);
}

dfm_status dfm_onednn_check(dfm_onednn *onednn, dfm_error *error) {
  const int status = atomic_exchange(&onednn->failure, dnnl_success);
  return status == dnnl_success ? DFM_OK : failed("multiply matrices", (dnnl_status_t)status, error);
}

void dfm_onednn_pack(dfm_onednn_multiply *multiply, const float *B) {
  const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, multiply->plain}, {DNNL_ARG_TO, multiply->packed}};
  const int i = take_slot(multiply->onednn);
  set_data(multiply->plain, B);
  execute(multiply->onednn, i, multiply->reorder, 2, args);
  give_slot(multiply->onednn, i);
}

static void gather(const dfm_onednn_shape *shape, float *to, const float *A) {
  const size_t n = (size_t)shape->K;
  for (int m = 0; m < shape->M; m++, to += n, A += shape->lda) memcpy(to, A, n * sizeof *to);
}

static void scatter(const dfm_onednn_shape *shape, const dfm_kernel *kernel, float *C, const float *from) {
  const size_t n = (size_t)shape->N;
  for (int m = 0; m < shape->M; m++, C += shape->ldc, from += shape->N) {
    if (shape->beta != 0)
      kernel->add(C, from, n);
    else
      memcpy(C, from, n * sizeof *C);
  }
}

void dfm_onednn_run(const dfm_onednn_multiply *multiply, const float *A, const float *B, float *C) {
  const int i = take_slot(multiply->onednn);
  const dnnl_memory_t *memory = multiply->memory[i];
  char *scratch = multiply->onednn->slot[i].scratch;
  float *dense_c = multiply->scatters_c ? (float *)(void *)(scratch + multiply->c_at) : C;
  const dnnl_exec_arg_t args[N_MEMORIES] = {{DNNL_ARG_SRC, memory[MATRIX_A]},
                                            {DNNL_ARG_WEIGHTS, multiply->packed ? multiply->packed : memory[MATRIX_B]},
                                            {DNNL_ARG_DST, memory[MATRIX_C]},
                                            {DNNL_ARG_SCRATCHPAD, memory[SCRATCH]}};
  if (multiply->gathers_a) {
    float *dense_a = (float *)(void *)(scratch + multiply->a_at);
    gather(&multiply->shape, dense_a, A);
    A = dense_a;
  }
  set_data(memory[MATRIX_A], A);
  if (!multiply->packed) set_data(memory[MATRIX_B], B);
  set_data(memory[MATRIX_C], dense_c);
  set_data(memory[SCRATCH], scratch);
  execute(multiply->onednn, i, multiply->multiply, N_MEMORIES, args);
  if (multiply->scatters_c) scatter(&multiply->shape, multiply->onednn->kernel, C, dense_c);
  give_slot(multiply->onednn, i);
}
#else
bool dfm_gemm_onednn(const dfm_gemm_args *args) {
  (void)args;
  return false;
}

bool dfm_onednn_runs(void) {
  return false;
}

dfm_status dfm_onednn_create(int n_threads, const dfm_kernel *kernel, dfm_onednn **onednn, dfm_error *error) {
  (void)n_threads;
  (void)kernel;
  (void)onednn;
  return dfm_fail(error, DFM_ERROR_VALUE, "this build has no oneDNN; build with DFM_ONEDNN=ON");
}
void dfm_onednn_free(dfm_onednn *onednn) {
  (void)onednn;
}

dfm_status dfm_onednn_multiply_create(dfm_onednn *onednn, dfm_pool *pool, const dfm_onednn_shape *shape,
                                      dfm_onednn_multiply **multiply, dfm_error *error) {
  (void)onednn;
  (void)pool;
  (void)shape;
  (void)multiply;
  return dfm_fail(error, DFM_ERROR_VALUE, "this build has no oneDNN; build with DFM_ONEDNN=ON");
}
void dfm_onednn_multiply_free(dfm_onednn_multiply *multiply) {
  (void)multiply;
}

void dfm_onednn_pack(dfm_onednn_multiply *multiply, const float *B) {
  (void)multiply;
  (void)B;
}

void dfm_onednn_run(const dfm_onednn_multiply *multiply, const float *A, const float *B, float *C) {
  (void)multiply;
  (void)A;
  (void)B;
  (void)C;
}

dfm_status dfm_onednn_check(dfm_onednn *onednn, dfm_error *error) {
  (void)onednn;
  (void)error;
  return DFM_OK;
}
#endif
