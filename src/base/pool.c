/* A function and a number of tasks come in; workers and the caller draw tasks from one ticket until none is left.
 *
 * A phase is one dfm_pool_run. The ticket holds the phase's number beside the tasks that are left, so a worker that
 * comes late can take nothing from a phase that is over, and the caller need not wait for workers that took no task.
 * Every other thread draws from the end: the same tasks of the same phase of a step then mostly fall to the same
 * thread, whose caches still hold what they worked on. Waiting spins a little first, because phases follow each other
 * within microseconds; then it offers its core to whoever else wants it, again and again; then it sleeps on a futex. */
#include "base/pool.h"

#include <dlfcn.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "base/memory.h"

enum { MAX_THREADS = 1024 };
/* SPINS: about 20 microseconds, longer than the gap between two phases; ten times as many took up to a quarter of the
 * speed where another program wants one of the cores. YIELDS: up to a millisecond, longer than one thread waits for
 * another's last tasks; such a program gets the core meanwhile. To sleep at once took a sixth of the speed of short
 * steps, since a core of a virtual machine takes 50 to 100 microseconds to wake. */
enum { SPINS = 500, YIELDS = 2000 };
/* Tasks of one phase at most; more are run as several. */
enum { MOST_TASKS = UINT16_MAX };

typedef struct dfm_worker {
  dfm_pool *pool;
  pthread_t thread;
  int index;
} dfm_worker;

/* What different threads write lies on different cache lines. */
struct dfm_pool {
  int n_threads, n_started; /* n_started workers, beside the caller */
  int looks;                /* while waiting, before sleep: the first SPINS without leaving the core */
  bool is_exact;
  void (*omp_set)(int); /* OpenMP's thread count of the calling thread; NULL where the process has no OpenMP */
  int (*omp_get)(void);
  dfm_worker *workers;
  _Alignas(64) _Atomic uint64_t ticket; /* phase << 32 | first << 16 | end: the tasks [first, end) are left */
  _Atomic(dfm_task_fn) fn;
  _Atomic(void *) context;
  _Atomic uint32_t n_tasks; /* of this phase, numbered from `offset` */
  _Atomic uint32_t offset;
  _Alignas(64) _Atomic uint32_t done;
  atomic_bool is_caller_asleep;
  _Alignas(64) _Atomic uint32_t phase; /* what workers wait for */
  atomic_int sleepers;
  atomic_bool is_stopping;
};

/* ---- one thread's floating-point and OpenMP settings */

typedef struct dfm_mode {
  uint64_t float_control;
  int omp_threads;
} dfm_mode;

#if defined(__x86_64__)
static uint64_t flush_denormals(void) {
  const unsigned before = _mm_getcsr();
  _mm_setcsr(before | 0x8040); /* flush-to-zero (bit 15), denormals-are-zero (bit 6) */
  return before;
}
static void restore_denormals(uint64_t before) {
  _mm_setcsr((unsigned)before);
}
#elif defined(__aarch64__)
static uint64_t flush_denormals(void) {
  uint64_t before;
  __asm__ volatile("mrs %0, fpcr" : "=r"(before));
  __asm__ volatile("msr fpcr, %0" : : "r"(before | (uint64_t)1 << 24)); /* FZ */
  return before;
}
static void restore_denormals(uint64_t before) {
  __asm__ volatile("msr fpcr, %0" : : "r"(before));
}
#else
static uint64_t flush_denormals(void) {
  return 0;
}
static void restore_denormals(uint64_t before) {
  (void)before;
}
#endif

static dfm_mode enter_mode(const dfm_pool *pool) {
  dfm_mode before = {.omp_threads = pool->omp_set ? pool->omp_get() : 0};
  if (before.omp_threads > 1) pool->omp_set(1);
  if (!pool->is_exact) before.float_control = flush_denormals();
  return before;
}

static void leave_mode(const dfm_pool *pool, dfm_mode before) {
  if (!pool->is_exact) restore_denormals(before.float_control);
  if (before.omp_threads > 1) pool->omp_set(before.omp_threads);
}

/* ---- waiting */

static void futex_wait(_Atomic uint32_t *word, uint32_t while_value) {
  syscall(SYS_futex, (void *)word, FUTEX_WAIT_PRIVATE, while_value, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int n) {
  syscall(SYS_futex, (void *)word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}

static void pause_briefly(void) {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb"); /* `yield` does nothing on most cores */
#endif
}

/* Between a look at what is awaited and the next. */
static void pass_time(int look) {
  if (look < SPINS)
    pause_briefly();
  else
    sched_yield();
}

/* Returns the phase that follows `seen`. */
static uint32_t wait_for_phase(dfm_pool *pool, uint32_t seen) {
  uint32_t now = seen;
  for (int i = 0; i < pool->looks; i++) {
    if ((now = atomic_load_explicit(&pool->phase, memory_order_acquire)) != seen) return now;
    pass_time(i);
  }
  /* Sequentially consistent on both sides: either the caller sees the sleeper, or the sleeper sees the phase. */
  atomic_fetch_add(&pool->sleepers, 1);
  while ((now = atomic_load(&pool->phase)) == seen) futex_wait(&pool->phase, seen);
  atomic_fetch_sub(&pool->sleepers, 1);
  return now;
}

static void wait_until_done(dfm_pool *pool, uint32_t n_tasks) {
  for (int i = 0; i < pool->looks; i++) {
    if (atomic_load_explicit(&pool->done, memory_order_acquire) == n_tasks) return;
    pass_time(i);
  }
  uint32_t done;
  atomic_store(&pool->is_caller_asleep, true);
  while ((done = atomic_load(&pool->done)) != n_tasks) futex_wait(&pool->done, done);
  atomic_store(&pool->is_caller_asleep, false);
}

/* ---- tasks */

/* Draws and runs tasks until the phase has none left. */
static void draw_tasks(dfm_pool *pool, int thread) {
  uint64_t ticket = atomic_load_explicit(&pool->ticket, memory_order_acquire);
  for (;;) {
    /* These may belong to a later phase already; then the ticket has changed, and the exchange below fails. */
    const uint32_t n_tasks = atomic_load_explicit(&pool->n_tasks, memory_order_acquire);
    const dfm_task_fn fn = atomic_load_explicit(&pool->fn, memory_order_acquire);
    void *context = atomic_load_explicit(&pool->context, memory_order_acquire);
    const uint32_t offset = atomic_load_explicit(&pool->offset, memory_order_acquire);
    const uint32_t first = (uint32_t)ticket >> 16, end = (uint32_t)ticket & MOST_TASKS;
    const bool is_last_taken = thread % 2 != 0;
    if (first == end) return;
    if (!atomic_compare_exchange_weak_explicit(&pool->ticket, &ticket, is_last_taken ? ticket - 1 : ticket + (1 << 16),
                                               memory_order_acq_rel, memory_order_acquire))
      continue;
    fn(context, (int)(offset + (is_last_taken ? end - 1 : first)), thread);
    const bool is_last = atomic_fetch_add(&pool->done, 1) + 1 == n_tasks;
    if (is_last && atomic_load(&pool->is_caller_asleep)) futex_wake(&pool->done, 1);
    ticket = atomic_load_explicit(&pool->ticket, memory_order_acquire);
  }
}

static void *worker_main(void *argument) {
  const dfm_worker *worker = argument;
  dfm_pool *pool = worker->pool;
  enter_mode(pool);
  for (uint32_t phase = 0;;) {
    phase = wait_for_phase(pool, phase);
    if (atomic_load_explicit(&pool->is_stopping, memory_order_acquire)) return NULL;
    draw_tasks(pool, worker->index);
  }
}

/* Tells the workers that something changed; wakes up to `n` of those that sleep. */
static void announce_phase(dfm_pool *pool, int n) {
  atomic_fetch_add(&pool->phase, 1);
  if (atomic_load(&pool->sleepers) > 0) futex_wake(&pool->phase, n);
}

static void open_phase(dfm_pool *pool, uint32_t offset, uint32_t n_tasks, dfm_task_fn fn, void *context) {
  const uint64_t phase = (uint64_t)(atomic_load_explicit(&pool->phase, memory_order_relaxed) + 1) << 32;
  /* The ticket is void before anything else changes: who sees a new value below, sees a void ticket too. */
  atomic_store_explicit(&pool->ticket, phase, memory_order_release);
  atomic_store_explicit(&pool->n_tasks, n_tasks, memory_order_release);
  atomic_store_explicit(&pool->offset, offset, memory_order_release);
  atomic_store_explicit(&pool->fn, fn, memory_order_release);
  atomic_store_explicit(&pool->context, context, memory_order_release);
  atomic_store_explicit(&pool->done, 0, memory_order_release);
  atomic_store_explicit(&pool->ticket, phase | n_tasks, memory_order_release);
}

static void run_phase(dfm_pool *pool, int offset, int n_tasks, dfm_task_fn fn, void *context) {
  open_phase(pool, (uint32_t)offset, (uint32_t)n_tasks, fn, context);
  announce_phase(pool, n_tasks - 1 < pool->n_started ? n_tasks - 1 : pool->n_started);
  draw_tasks(pool, 0);
  wait_until_done(pool, (uint32_t)n_tasks);
}

void dfm_pool_run(dfm_pool *pool, int n_tasks, dfm_task_fn fn, void *context) {
  if (n_tasks <= 0) return;
  const dfm_mode before = enter_mode(pool);
  if (n_tasks == 1 || pool->n_threads == 1) {
    for (int task = 0; task < n_tasks; task++) fn(context, task, 0);
  } else {
    for (int offset = 0, here; offset < n_tasks; offset += here) {
      here = n_tasks - offset < MOST_TASKS ? n_tasks - offset : MOST_TASKS;
      run_phase(pool, offset, here, fn, context);
    }
  }
  leave_mode(pool, before);
}

/* ---- life */

/* base does not link OpenMP; but where oneDNN has brought it in, its multiplies must not start threads of their own. */
static void find_openmp(dfm_pool *pool) {
  pool->omp_set = (void (*)(int))dlsym(RTLD_DEFAULT, "omp_set_num_threads");
  pool->omp_get = (int (*)(void))dlsym(RTLD_DEFAULT, "omp_get_max_threads");
  if (!pool->omp_get) pool->omp_set = NULL;
}

/* Signals are for the program's own threads: workers start with all of them blocked. */
static dfm_status start_workers(dfm_pool *pool, dfm_error *error) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int refused = 0;
  for (int i = 0; i < pool->n_threads - 1 && refused == 0; i++) {
    pool->workers[i] = (dfm_worker){.pool = pool, .index = i + 1};
    refused = pthread_create(&pool->workers[i].thread, NULL, worker_main, &pool->workers[i]);
    pool->n_started += refused == 0;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (refused == 0) return DFM_OK;
  return dfm_fail(error, DFM_ERROR_MEMORY, "cannot start thread %d of %d: %s; use fewer threads", pool->n_started + 2,
                  pool->n_threads, strerror(refused));
}

static dfm_status create(int n_threads, bool is_exact, dfm_pool **pool, dfm_error *error) {
  if (n_threads < 0 || n_threads > MAX_THREADS)
    return dfm_fail(error, DFM_ERROR_VALUE, "threads is %d; it must be in [0, %d], 0 for one per core", n_threads,
                    (int)MAX_THREADS);
  const int cores = dfm_cores();
  dfm_pool *made;
  DFM_TRY(dfm_pages_alloc(&made, sizeof *made, error));
  made->is_exact = is_exact;
  made->n_threads = n_threads > 0 ? n_threads : cores < MAX_THREADS ? cores : MAX_THREADS;
  made->looks = made->n_threads > cores ? 0 : SPINS + YIELDS; /* which would keep the awaited thread from its core */
  find_openmp(made);
  dfm_status status = dfm_alloc(&made->workers, (size_t)made->n_threads, sizeof *made->workers, error);
  if (status == DFM_OK) status = start_workers(made, error);
  if (status != DFM_OK) {
    dfm_pool_free(made);
    return status;
  }
  *pool = made;
  return DFM_OK;
}

dfm_status dfm_pool_create(int n_threads, dfm_pool **pool, dfm_error *error) {
  return create(n_threads, false, pool, error);
}

dfm_status dfm_pool_create_exact(int n_threads, dfm_pool **pool, dfm_error *error) {
  return create(n_threads, true, pool, error);
}

void dfm_pool_free(dfm_pool *pool) {
  if (!pool) return;
  atomic_store_explicit(&pool->is_stopping, true, memory_order_release);
  announce_phase(pool, INT_MAX);
  for (int i = 0; i < pool->n_started; i++) pthread_join(pool->workers[i].thread, NULL);
  free(pool->workers);
  dfm_pages_free(pool, sizeof *pool);
}

int dfm_pool_threads(const dfm_pool *pool) {
  return pool->n_threads;
}
