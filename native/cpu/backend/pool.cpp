#include "pool.h"

#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <new>

namespace warpbert {
namespace {

constexpr int kSpins = 1000; // some 20 us: longer than from one op to the next, shorter than what BLAS would notice

template <class T> T get(const T& x) { return __atomic_load_n(&x, __ATOMIC_SEQ_CST); }
template <class T> void set(T* x, T value) { __atomic_store_n(x, value, __ATOMIC_SEQ_CST); }
template <class T> void add(T* x, T value) { __atomic_fetch_add(x, value, __ATOMIC_SEQ_CST); }

struct Worker { Pool* pool; int thread; };

}  // namespace

// Takes pieces until there is none left.
void Pool::work(int thread) {
  for (;;) {
    uint64_t seen = get(claim);
    const uint64_t next = seen & kClosed, count = get(pieces);
    const Piece function = get(piece);
    const void* argument = get(job);
    if (next >= count) return;
    // The exchange fails if the job has changed since `claim` was read, so what was read in between belongs to it.
    if (!__atomic_compare_exchange_n(&claim, &seen, seen + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) continue;
    function(argument, (int64_t)next, thread);
    add(&finished, (uint64_t)1);
  }
}

void Pool::run(int64_t count, Piece function, const void* argument) {
  if (started == 0 || count == 1) {
    for (int64_t i = 0; i < count; ++i) function(argument, i, 0);
    return;
  }
  set(&pieces, (uint64_t)count);
  set(&piece, function);
  set(&job, argument);
  set(&finished, (uint64_t)0);
  const uint32_t number = jobs + 1;
  set(&claim, (uint64_t)number << 32);
  set(&jobs, number);
  if (get(sleepers)) syscall(SYS_futex, &jobs, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
  work(0);
  for (int spins = 0; get(finished) != (uint64_t)count; ++spins) {
    if (spins < kSpins) __builtin_ia32_pause();
    else sched_yield(); // whoever has the last piece may need this core
  }
  set(&claim, (uint64_t)number << 32 | kClosed);
}

void* Pool::worker(void* argument) {
  const Worker self = *static_cast<Worker*>(argument);
  delete static_cast<Worker*>(argument);
  Pool* pool = self.pool;
  uint32_t done = 0;
  while (!get(pool->stop)) {
    for (int spins = 0; spins < kSpins && get(pool->jobs) == done; ++spins) __builtin_ia32_pause();
    if (get(pool->jobs) == done) {
      add(&pool->sleepers, 1u);
      syscall(SYS_futex, &pool->jobs, FUTEX_WAIT_PRIVATE, done, nullptr, nullptr, 0); // returns if it has changed
      add(&pool->sleepers, ~0u);
    }
    done = get(pool->jobs);
    pool->work(self.thread);
  }
  return nullptr;
}

Pool* Pool::create(int threads) {
  Pool* pool = new (std::nothrow) Pool();
  if (!pool) return nullptr;
  pool->threads = threads;
  pool->claim = kClosed;
  pool->handles = static_cast<pthread_t*>(calloc(threads, sizeof(pthread_t)));
  // Signals are the host program's business; a Java process must not find them on a thread it does not know.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (int i = 1; i < threads && pool->handles; ++i) {
    Worker* argument = new (std::nothrow) Worker{pool, i};
    if (!argument) break;
    if (pthread_create(&pool->handles[pool->started], nullptr, worker, argument) != 0) {
      delete argument;
      break;
    }
    ++pool->started;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return pool;
}

void Pool::destroy(Pool* pool) {
  if (!pool) return;
  set(&pool->stop, true);
  add(&pool->jobs, 1u);
  syscall(SYS_futex, &pool->jobs, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
  for (int i = 0; i < pool->started; ++i) pthread_join(pool->handles[i], nullptr);
  free(pool->handles);
  delete pool;
}

}  // namespace warpbert
