/* Thread pool: a number of independent tasks comes in, every one of them has run when the call returns.
 *
 * Which thread runs which task is not defined, so a task may only write what it alone owns; then results do not
 * depend on the number of threads. Inside tasks denormals are flushed to zero on every thread, the caller's
 * included (unless the pool is exact), and each thread has one OpenMP thread, for the bench's oneDNN. */
#ifndef DFM_BASE_POOL_H
#define DFM_BASE_POOL_H

#include "base/error.h"

typedef struct dfm_pool dfm_pool;

/* `task` in [0, n_tasks); `thread` in [0, n_threads) is for scratch space alone. A task must not run the pool it
 * runs in. */
typedef void (*dfm_task_fn)(void *context, int task, int thread);

/* `n_threads` 0: one per core (dfm_cores); at most 1024. The calling thread is one of them. */
dfm_status dfm_pool_create(int n_threads, dfm_pool **pool, dfm_error *error);
/* A pool whose tasks leave denormals as they are: for reading, where a number is what its text says. */
dfm_status dfm_pool_create_exact(int n_threads, dfm_pool **pool, dfm_error *error);
void dfm_pool_free(dfm_pool *pool); /* NULL accepted */
int dfm_pool_threads(const dfm_pool *pool);

/* Runs fn(context, t, thread) for all t in [0, n_tasks), drawn from both ends; returns when all are done. One
 * thread at a time may call it; its floating-point mode and OpenMP thread count are as before on return. */
void dfm_pool_run(dfm_pool *pool, int n_tasks, dfm_task_fn fn, void *context);

#endif
