// What nvcc's host code calls to have its kernels known and launched (crt/host_runtime.h): the PTX is found in the fat binary that
// each object brings, which must hold it uncompressed.
#include <string.h>

#include <mutex>

#include "ptx.h"

namespace {

struct Binary {
  const char* text;  // PTX
  std::unique_ptr<ptx::Module> module;
};
struct Function {
  Binary* binary;
  std::string name;
};

// By the address of the host's function of that name. Objects register theirs before main() and anything here is initialised.
std::map<const void*, Function>& functions() {
  static std::map<const void*, Function> all;
  return all;
}

struct Configuration {
  dim3 grid, block;
  size_t shared_bytes;
  cudaStream_t stream;
};
thread_local Configuration configuration;

constexpr uint32_t FATBINARY_WRAPPER = 0x466243b1, FATBINARY = 0xba55ed50;

struct Wrapper {
  uint32_t magic, version;
  const unsigned char* data;
  void* file;
};
struct Header {
  uint32_t magic;
  uint16_t version, header_bytes;
  uint64_t bytes;
};

// The PTX of an object, which ends with a 0; null: it has none that can be read.
const char* ptx_of(const Wrapper& wrapper) {
  if (wrapper.magic != FATBINARY_WRAPPER) return nullptr;
  const Header& header = *reinterpret_cast<const Header*>(wrapper.data);
  if (header.magic != FATBINARY) return nullptr;
  const void* found = memmem(wrapper.data, header.header_bytes + header.bytes, ".version ", 9);
  return static_cast<const char*>(found);
}

}  // namespace

extern "C" {

void** __cudaRegisterFatBinary(void* wrapper) {
  return reinterpret_cast<void**>(new Binary{ptx_of(*static_cast<const Wrapper*>(wrapper)), nullptr});
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void** binary) { delete reinterpret_cast<Binary*>(binary); }

void __cudaRegisterFunction(void** binary, const char* host, char*, const char* name, int, uint3*, uint3*, dim3*, dim3*, int*) {
  functions()[host] = {reinterpret_cast<Binary*>(binary), name};
}

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream) {
  configuration = {grid, block, shared_bytes, stream};
  return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, size_t* shared_bytes, void* stream) {
  *grid = configuration.grid;
  *block = configuration.block;
  *shared_bytes = configuration.shared_bytes;
  *static_cast<cudaStream_t*>(stream) = configuration.stream;
  return cudaSuccess;
}

cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* host) {
  *kernel = static_cast<cudaKernel_t>(const_cast<void*>(host));
  return cudaSuccess;
}

cudaError_t __cudaLaunchKernel(cudaKernel_t host, dim3 grid, dim3 block, void** arguments, size_t shared_bytes, cudaStream_t stream) {
  static std::mutex one_parser;
  const Function& function = functions().at(host);
  const ptx::Kernel* kernel = nullptr;
  std::string problem;
  try {
    const std::lock_guard<std::mutex> hold(one_parser);
    if (!function.binary->text) ptx::fault("the library holds no uncompressed PTX of %s", function.name.c_str());
    if (!function.binary->module) function.binary->module = std::make_unique<ptx::Module>(function.binary->text);
    kernel = &function.binary->module->kernel(function.name);
  } catch (const ptx::Fault& fault) {
    problem = fault.text;
  }
  std::vector<unsigned char> parameters(kernel ? kernel->parameter_bytes : 0);
  for (size_t i = 0; kernel && i < kernel->parameters.size(); ++i) {
    memcpy(&parameters[kernel->parameters[i].offset], arguments[i], kernel->parameters[i].bytes);
  }
  simt::submit_launch(host, grid, block, shared_bytes, stream, [=](simt::Schedule schedule, uint64_t seed) {
    return kernel ? ptx::execute(*kernel, grid, block, shared_bytes, parameters, schedule, seed) : problem;
  });
  return cudaSuccess;
}

}  // extern "C"
