// Stands in for the libcuda.so.1 of a driver for CUDA 12.4: enough of it for the CUDA runtime to ask for its version.
#include <cstdint>
#include <cstring>

extern "C" {

int cuInit(unsigned) { return 0; }
int cuDriverGetVersion(int* version) {
  *version = 12040;
  return 0;
}
int cuGetProcAddress_v2(const char* name, void** function, int, uint64_t, int*) {
  *function = !strcmp(name, "cuInit") ? reinterpret_cast<void*>(cuInit)
            : !strcmp(name, "cuDriverGetVersion") ? reinterpret_cast<void*>(cuDriverGetVersion)
            : !strcmp(name, "cuGetProcAddress") ? reinterpret_cast<void*>(cuGetProcAddress_v2) : nullptr;
  return *function ? 0 : 500;  // CUDA_ERROR_NOT_FOUND
}

}  // extern "C"
