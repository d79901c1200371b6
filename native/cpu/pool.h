// The threads of a context. Not OpenMP: libgomp's threads spin at the end of each op, on the cores that BLAS has its own
// threads for, and each op waits for all of them, also for one that the system has not scheduled. Here whoever is awake
// takes the next piece, the caller included, so a thread that does not come is not missed; and threads sleep soon.
// Nothing here has code, so that it may be included by files compiled for different instruction sets.
#ifndef WARPBERT_CPU_POOL_H
#define WARPBERT_CPU_POOL_H

#include <pthread.h>
#include <stdint.h>

namespace warpbert {

struct Pool {
  typedef void (*Piece)(const void* job, int64_t piece, int thread);

  // threads - 1 of them are started, as many as the system gives; the caller of run is the other one.
  static Pool* create(int threads);
  static void destroy(Pool* pool);

  // Calls piece(job, i, thread) once for each 0 <= i < pieces, 0 <= thread < threads, and returns when all have.
  // One caller at a time; pieces < 2^32 - 1.
  void run(int64_t pieces, Piece piece, const void* job);

 private:
  static void* worker(void* argument);
  void work(int thread);

  static constexpr uint64_t kClosed = 0xffffffff; // `next` of a job that is over

  int threads, started;
  pthread_t* handles;
  // A job: its number in the upper half of `claim`, the next piece in the lower. Who takes a piece exchanges `claim` as
  // a whole, and so cannot take a piece of one job for one of another.
  uint64_t claim, pieces, finished;
  Piece piece;
  const void* job;
  uint32_t jobs;    // number of the last job: what a sleeper waits to see changed
  uint32_t sleepers;
  bool stop;
};

}  // namespace warpbert
#endif
