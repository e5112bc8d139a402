/* A team of threads that shares the work of one call.
 *
 * Decided, and why:
 * - Not OpenMP: its threads wait for more work at full speed, for milliseconds and longer, and so do those of a BLAS. Two such
 *   pools on the same processors take turns in waiting for each other (measured on two processors: training 8 times slower than
 *   by one thread), and the only remedy is an environment variable that is read before the process has begun.
 * - A part claims its share of the work by itself (`rpu_take`), so that the caller never waits for a thread that has not come:
 *   one that sleeps, or whose processor does something else, is not missed. When the caller has found nothing left to do it
 *   closes the door, and waits for those who are inside only.
 * - A member looks for more work for 150 microseconds, so that the next call of a training step finds it awake, and then sleeps;
 *   after the first 15 it lets others have the processor that want it. Nobody waits for longer at full speed.
 * - Work for an awake member pays from 10 microseconds on; to wake one costs the caller 10, and it comes 80 later (measured on a
 *   virtual machine). So callers say whether sleepers are to be woken.
 * - There is one team. A call that finds it busy with that of another thread does its work alone.
 * - Locks are those of Python, which every platform has; a lock that is taken is where a member sleeps. */
#ifndef RPU_TEAM_H
#define RPU_TEAM_H

#include <stdint.h>

#define RPU_MOST_THREADS 1024

/* What a member of the team does: `member` is 0 for the caller, and below the number that was asked for. */
typedef void (*rpu_part)(void *task, int member);

/* Calls part(task, 0), and part(task, k) for those k < members that come in time, those who sleep only where `wake`; returns when
 * all of them have done. A part must do all that others leave. */
void rpu_team_run(rpu_part part, void *task, int members, int wake);
/* In a child of fork, where there are no other threads. */
void rpu_team_forget(void);

/* Other threads get this one's processor. */
#if defined(_WIN32)
#include <windows.h>
#define RPU_GIVE_WAY() ((void)SwitchToThread())
#else
#include <sched.h>
#define RPU_GIVE_WAY() ((void)sched_yield())
#endif

#if defined(_MSC_VER)
#include <intrin.h>
static inline int64_t rpu_take(int64_t *next) { return _InterlockedExchangeAdd64(next, 1); }
static inline int rpu_try_lock(int32_t *lock) { return _InterlockedExchange((long *)lock, 1) == 0; }
static inline void rpu_unlock(int32_t *lock) { _InterlockedExchange((long *)lock, 0); }
#else
/* The next of some pieces of work. */
static inline int64_t rpu_take(int64_t *next) { return __atomic_fetch_add(next, 1, __ATOMIC_RELAXED); }
/* A lock for what takes no time. */
static inline int rpu_try_lock(int32_t *lock) { return __atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE) == 0; }
static inline void rpu_unlock(int32_t *lock) { __atomic_store_n(lock, 0, __ATOMIC_RELEASE); }
#endif
static inline void rpu_lock(int32_t *lock)
{
    while (!rpu_try_lock(lock))
        RPU_GIVE_WAY();
}

#endif
