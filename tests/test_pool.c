/* Pool: tasks come in; each must run exactly once, on threads whose settings are as promised, at any number of
 * threads. */
#include "test.h"

#include <dlfcn.h>
#include <float.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include "base/pool.h"

enum { MAX_TASKS = 1000, MAX_THREADS = 16 };

typedef struct record {
  int runs[MAX_TASKS]; /* by task; each written by the task alone */
  int by_thread[MAX_THREADS][64 / sizeof(int)];
  int n_threads;
  atomic_int started, errors;
} record;

static void count_task(void *context, int task, int thread) {
  record *r = context;
  r->runs[task]++;
  if (thread < 0 || thread >= r->n_threads)
    atomic_fetch_add(&r->errors, 1);
  else
    r->by_thread[thread][0]++;
}

static void every_task_runs_once(void **state) {
  (void)state;
  static const int threads[] = {1, 2, 3, 4, MAX_THREADS}, tasks[] = {0, 1, 2, 3, 17, MAX_TASKS};
  dfm_error error;
  for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
    dfm_pool *pool;
    assert_ok(dfm_pool_create(threads[i], &pool, &error));
    assert_int_equal(dfm_pool_threads(pool), threads[i]);
    for (size_t j = 0; j < sizeof tasks / sizeof *tasks; j++) {
      static record r;
      memset(&r, 0, sizeof r);
      r.n_threads = threads[i];
      for (int repeat = 0; repeat < 50; repeat++) dfm_pool_run(pool, tasks[j], count_task, &r);
      int total = 0;
      for (int t = 0; t < MAX_TASKS; t++) assert_int_equal(r.runs[t], t < tasks[j] ? 50 : 0);
      for (int t = 0; t < MAX_THREADS; t++) total += r.by_thread[t][0];
      assert_int_equal(total, 50 * tasks[j]);
      assert_int_equal(r.errors, 0);
    }
    dfm_pool_run(pool, -1, count_task, NULL);
    dfm_pool_free(pool);
  }
  dfm_pool_free(NULL);
}

enum { MANY_TASKS = 150000 };

static void mark_task(void *context, int task, int thread) {
  unsigned char *runs = context;
  (void)thread;
  runs[task]++;
}

/* More than one phase has. */
static void many_tasks_run_once(void **state) {
  (void)state;
  static unsigned char runs[MANY_TASKS];
  dfm_error error;
  dfm_pool *pool;
  assert_ok(dfm_pool_create(3, &pool, &error));
  dfm_pool_run(pool, MANY_TASKS, mark_task, runs);
  for (int t = 0; t < MANY_TASKS; t++) assert_int_equal(runs[t], 1);
  dfm_pool_free(pool);
}

/* All must be inside before any may leave: only as many threads as tasks can do that. */
static void meet(void *context, int task, int thread) {
  record *r = context;
  (void)thread;
  atomic_fetch_add(&r->started, 1);
  while (atomic_load(&r->started) < r->n_threads) sched_yield();
  r->runs[task]++;
}

static void tasks_run_side_by_side(void **state) {
  (void)state;
  dfm_error error;
  for (int n = 1; n <= 5; n++) {
    dfm_pool *pool;
    static record r;
    assert_ok(dfm_pool_create(n, &pool, &error));
    for (int repeat = 0; repeat < 20; repeat++) {
      memset(&r, 0, sizeof r);
      r.n_threads = n;
      dfm_pool_run(pool, n, meet, &r);
      for (int t = 0; t < n; t++) assert_int_equal(r.runs[t], 1);
    }
    dfm_pool_free(pool);
  }
}

/* Task t draws the t-th start. */
static void note_order(void *context, int task, int thread) {
  record *r = context;
  (void)thread;
  r->runs[task] = atomic_fetch_add(&r->started, 1);
}

static void one_thread_runs_in_order(void **state) {
  (void)state;
  dfm_error error;
  dfm_pool *pool;
  static record r;
  assert_ok(dfm_pool_create(1, &pool, &error));
  dfm_pool_run(pool, MAX_TASKS, note_order, &r);
  for (int t = 0; t < MAX_TASKS; t++) assert_int_equal(r.runs[t], t);
  dfm_pool_free(pool);
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* What one phase writes the next reads, without more than the pool between them. */
static void add_neighbour(void *context, int task, int thread) {
  int(*values)[8] = context; /* [0] is the phase */
  (void)thread;
  const int phase = values[8][0];
  values[task][phase % 2 + 1] = values[(task + 1) % 8][(phase + 1) % 2 + 1] + 1;
}

static void many_small_phases(void **state) {
  (void)state;
  static const int threads[] = {1, 2, 8};
  enum { PHASES = 20000 };
  dfm_error error;
  for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
    dfm_pool *pool;
    int values[9][8] = {{0}};
    assert_ok(dfm_pool_create(threads[i], &pool, &error));
    const double start = seconds();
    for (int phase = 0; phase < PHASES; phase++) {
      values[8][0] = phase;
      dfm_pool_run(pool, 8, add_neighbour, values);
    }
    printf("%d threads: %.2f us a phase\n", threads[i], (seconds() - start) / PHASES * 1e6);
    for (int t = 0; t < 8; t++) assert_int_equal(values[t][(PHASES - 1) % 2 + 1], PHASES);
    dfm_pool_free(pool);
  }
}

/* Pauses between phases long enough that workers sleep. */
static void sleepers_wake(void **state) {
  (void)state;
  dfm_error error;
  dfm_pool *pool;
  static record r;
  memset(&r, 0, sizeof r);
  r.n_threads = 4;
  assert_ok(dfm_pool_create(4, &pool, &error));
  for (int repeat = 0; repeat < 20; repeat++) {
    usleep(2000);
    atomic_store(&r.started, 0);
    dfm_pool_run(pool, 4, meet, &r);
  }
  for (int t = 0; t < 4; t++) assert_int_equal(r.runs[t], 20);
  dfm_pool_free(pool);
}

/* A worker that is still busy keeps the caller waiting. */
static void run_slowly(void *context, int task, int thread) {
  record *r = context;
  (void)thread;
  usleep(task == 0 ? 100 : 20000);
  r->runs[task]++;
}

static void caller_waits_for_the_last(void **state) {
  (void)state;
  dfm_error error;
  dfm_pool *pool;
  static record r;
  assert_ok(dfm_pool_create(3, &pool, &error));
  for (int repeat = 1; repeat <= 5; repeat++) {
    dfm_pool_run(pool, 3, run_slowly, &r);
    for (int t = 0; t < 3; t++) assert_int_equal(r.runs[t], repeat);
  }
  dfm_pool_free(pool);
}

static float half(volatile float *x) {
  return *x * 0.5F;
}

static void check_flushed(void *context, int task, int thread) {
  record *r = context;
  volatile float smallest = FLT_MIN;
  (void)thread;
  atomic_fetch_add(&r->started, 1);
  while (atomic_load(&r->started) < r->n_threads) sched_yield(); /* so that each thread has one */
  r->runs[task] = half(&smallest) == 0;
}

static void denormals_are_flushed_in_tasks_alone(void **state) {
  (void)state;
#if defined(__x86_64__) || defined(__aarch64__)
  dfm_error error;
  for (int n = 1; n <= 3; n += 2) {
    dfm_pool *pool;
    static record r;
    memset(&r, 0, sizeof r);
    r.n_threads = n;
    assert_ok(dfm_pool_create(n, &pool, &error));
    dfm_pool_run(pool, n, check_flushed, &r);
    for (int t = 0; t < n; t++) assert_int_equal(r.runs[t], 1);
    volatile float smallest = FLT_MIN;
    assert_true(half(&smallest) > 0);
    dfm_pool_free(pool);
  }
#else
  printf("skipped: denormals are not flushed on this machine\n");
#endif
}

static void read_omp(void *context, int task, int thread) {
  record *r = context;
  int (*get)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "omp_get_max_threads");
  (void)thread;
  atomic_fetch_add(&r->started, 1);
  while (atomic_load(&r->started) < r->n_threads) sched_yield();
  r->runs[task] = get();
}

static void openmp_has_one_thread_in_tasks_alone(void **state) {
  (void)state;
  void *library = dlopen("libgomp.so.1", RTLD_NOW | RTLD_GLOBAL);
  void (*set)(int) = (void (*)(int))dlsym(RTLD_DEFAULT, "omp_set_num_threads");
  int (*get)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "omp_get_max_threads");
  if (!set || !get) {
    printf("skipped: there is no OpenMP here\n");
    return;
  }
  set(5);
  dfm_error error;
  for (int n = 1; n <= 3; n += 2) {
    dfm_pool *pool;
    static record r;
    memset(&r, 0, sizeof r);
    r.n_threads = n;
    assert_ok(dfm_pool_create(n, &pool, &error));
    dfm_pool_run(pool, n, read_omp, &r);
    for (int t = 0; t < n; t++) assert_int_equal(r.runs[t], 1);
    assert_int_equal(get(), 5);
    dfm_pool_free(pool);
  }
  if (library) dlclose(library);
}

static void *run_own_pool(void *argument) {
  record *r = argument;
  dfm_pool *pool;
  if (dfm_pool_create(3, &pool, NULL) != DFM_OK) return NULL;
  for (int repeat = 0; repeat < 200; repeat++) dfm_pool_run(pool, 100, count_task, r);
  dfm_pool_free(pool);
  return NULL;
}

static void pools_do_not_disturb_each_other(void **state) {
  (void)state;
  static record r[3];
  pthread_t thread[3];
  for (int i = 0; i < 3; i++) {
    r[i].n_threads = 3;
    assert_int_equal(pthread_create(&thread[i], NULL, run_own_pool, &r[i]), 0);
  }
  for (int i = 0; i < 3; i++) {
    pthread_join(thread[i], NULL);
    for (int t = 0; t < 100; t++) assert_int_equal(r[i].runs[t], 200);
  }
}

static void thread_counts_are_checked(void **state) {
  (void)state;
  dfm_error error;
  dfm_pool *pool = NULL;
  assert_int_equal(dfm_pool_create(-1, &pool, &error), DFM_ERROR_VALUE);
  assert_string_equal(error.message, "threads is -1; it must be in [0, 1024], 0 for one per core");
  assert_int_equal(dfm_pool_create(1025, &pool, &error), DFM_ERROR_VALUE);
  assert_null(pool);
  for (int i = 0; i < 100; i++) { /* none is run: workers may not have started yet */
    assert_ok(dfm_pool_create(4, &pool, &error));
    dfm_pool_free(pool);
  }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_task_runs_once),
    cmocka_unit_test(many_tasks_run_once),
    cmocka_unit_test(tasks_run_side_by_side),
    cmocka_unit_test(one_thread_runs_in_order),
    cmocka_unit_test(many_small_phases),
    cmocka_unit_test(sleepers_wake),
    cmocka_unit_test(caller_waits_for_the_last),
    cmocka_unit_test(denormals_are_flushed_in_tasks_alone),
    cmocka_unit_test(openmp_has_one_thread_in_tasks_alone),
    cmocka_unit_test(pools_do_not_disturb_each_other),
    cmocka_unit_test(thread_counts_are_checked),
};

int main(int argc, char **argv) {
  return test_main(argc, argv, "pool", tests, sizeof tests / sizeof *tests);
}
