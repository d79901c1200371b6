// OpenBLAS starts threads of its own, and so does OpenMP, whose team runs the ops between the GEMMs. Two pools on the
// same cores cost each other time: an idle worker of one spins where a busy worker of the other should run. OpenBLAS
// (0.3.27 on) can hand its jobs to the caller's pool instead.
#include "blas.h"

#include <dlfcn.h>
#include <stddef.h>

namespace {

typedef void (*dojob_callback)(int thread_num, void* jobdata, int dojob_data);
typedef void (*threads_callback)(int sync, dojob_callback dojob, int numjobs, size_t jobdata_elsize, void* jobdata, int dojob_data);

// Jobs may wait for each other, so each needs a thread of its own: schedule(static, 1) on a team of numjobs.
void run_jobs(int, dojob_callback dojob, int numjobs, size_t jobdata_elsize, void* jobdata, int dojob_data) {
#pragma omp parallel for num_threads(numjobs) schedule(static, 1)
  for (int i = 0; i < numjobs; i++) dojob(i, (char*)jobdata + (size_t)i * jobdata_elsize, dojob_data);
}

void* symbol(const char* name) {
  void* handle = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_NOLOAD);
  if (!handle) return nullptr;
  void* found = dlsym(handle, name);
  dlclose(handle);  // it stays loaded: JavaCPP holds it
  return found;
}

}  // namespace

const char* wb_blas_core(void) {
  auto get = (const char* (*)())symbol("openblas_get_corename");
  return get ? get() : nullptr;
}

int wb_blas_share_threads(void) {
  auto set = (void (*)(threads_callback))symbol("openblas_set_threads_callback_function");
  if (!set) return 0;
  set(run_jobs);
  return 1;
}
