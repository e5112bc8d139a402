/* See team.h. */
#include <Python.h>
#include <pythread.h>
#include <stdlib.h>

#include "team.h"

#if defined(_MSC_VER)
typedef long rpu_flag;
#define LOAD(p) _InterlockedOr(p, 0)
#define STORE(p, value) ((void)_InterlockedExchange(p, value))
#define SWAP(p, value) _InterlockedExchange(p, value)
#define ADD(p, value) ((void)_InterlockedExchangeAdd(p, value))
#else
typedef int32_t rpu_flag;
#define LOAD(p) __atomic_load_n(p, __ATOMIC_SEQ_CST)
#define STORE(p, value) __atomic_store_n(p, value, __ATOMIC_SEQ_CST)
#define SWAP(p, value) __atomic_exchange_n(p, value, __ATOMIC_SEQ_CST)
#define ADD(p, value) ((void)__atomic_fetch_add(p, value, __ATOMIC_SEQ_CST))
#endif

#if defined(__x86_64__) || defined(__i386__)
#define PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define PAUSE() __asm__ volatile("yield")
#elif defined(_MSC_VER)
#define PAUSE() YieldProcessor()
#else
#define PAUSE() ((void)0)
#endif

/* How often a member looks for work before it sleeps: some 15 us at full speed, 150 us more in which it lets others by. */
enum { LOOKS = 500, LOOKS_BETWEEN_OTHERS = 500 };

typedef struct {
    PyThread_type_lock bed; /* taken, but to wake the member */
    rpu_flag asleep;
    char rest[64 - sizeof(PyThread_type_lock) - sizeof(rpu_flag)];  /* of a cache line */
} rpu_member;

static rpu_member members_of[RPU_MOST_THREADS];
static int hired;           /* members 1 to `hired` have threads */
static rpu_flag busy;       /* a call has the team */
static rpu_flag open_to;    /* members below this number may come in; 0: the door is closed */
static rpu_flag inside;     /* members who are in, or look whether they may */
static rpu_flag calls;      /* how often the door was opened */
static rpu_part the_part;
static void *the_task;

static void pause_between(int looks)
{
    if (looks < LOOKS)
        PAUSE();
    else
        RPU_GIVE_WAY();
}

/* Whether the member was in time. */
static int serve(int member)
{
    int in_time;
    ADD(&inside, 1);
    in_time = member < LOAD(&open_to);
    if (in_time)                /* the caller waits for us from now on */
        the_part(the_task, member);
    ADD(&inside, -1);
    return in_time;
}

static void live(void *argument)
{
    const int member = (int)(intptr_t)argument;
    rpu_member *me = &members_of[member];
    rpu_flag seen = 0, now;
    int looks = 0;              /* since the last work */
    for (;;) {
        while ((now = LOAD(&calls)) == seen && looks < LOOKS + LOOKS_BETWEEN_OTHERS)
            pause_between(looks++);
        if (now == seen) {
            STORE(&me->asleep, 1);
            if (LOAD(&calls) == seen || SWAP(&me->asleep, 0) == 0)      /* nothing new; or somebody is waking us */
                PyThread_acquire_lock(me->bed, WAIT_LOCK);
            continue;
        }
        seen = now;
        if (serve(member))
            looks = 0;
    }
}

/* Sees that members 1 to n - 1 have threads, as far as the system gives them; returns how many members there are. */
static int hire(int n)
{
    while (hired + 1 < n) {
        rpu_member *one = &members_of[hired + 1];
        if (one->bed == NULL) {
            one->bed = PyThread_allocate_lock();
            if (one->bed == NULL)
                break;
            PyThread_acquire_lock(one->bed, WAIT_LOCK);
        }
        STORE(&one->asleep, 0);
        if (PyThread_start_new_thread(live, (void *)(intptr_t)(hired + 1)) == PYTHREAD_INVALID_THREAD_ID)
            break;
        hired++;
    }
    return hired + 1 < n ? hired + 1 : n;
}

void rpu_team_run(rpu_part part, void *task, int members, int wake)
{
    int k, looks = 0;
    if (members > RPU_MOST_THREADS)
        members = RPU_MOST_THREADS;
    if (members <= 1 || SWAP(&busy, 1)) {
        part(task, 0);
        return;
    }
    members = wake ? hire(members) : members;
    the_part = part;
    the_task = task;
    STORE(&open_to, members);
    ADD(&calls, 1);
    for (k = 1; wake && k < members; k++)
        if (LOAD(&members_of[k].asleep) && SWAP(&members_of[k].asleep, 0))
            PyThread_release_lock(members_of[k].bed);
    part(task, 0);
    STORE(&open_to, 0);
    while (LOAD(&inside))
        pause_between(looks < LOOKS ? looks++ : LOOKS);
    STORE(&busy, 0);
}

void rpu_team_forget(void)
{
    int k;
    for (k = 0; k < RPU_MOST_THREADS; k++)
        members_of[k].bed = NULL;   /* another process's: not to be freed while it may be taken */
    hired = 0;
    busy = open_to = inside = 0;
}
