// Stands in for libcublasLt.so.13 where there is none: the calls that CudaGemm makes, on the memory and the streams of simt,
// with the column-major meaning that NVIDIA documents, and refusals where the library would refuse or do harm. Sums are float64.
// It shares nothing with WarpBERT but how a stream begins: numbers of attributes and types are those of CUDA 13's headers.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <vector>

namespace {

enum Status { SUCCESS = 0, INVALID_VALUE = 7, NOT_SUPPORTED = 15 };
enum { R_32F = 0, R_16F = 2, R_16BF = 14, COMPUTE_32F = 68, COMPUTE_32F_FAST_TF32 = 77 };
enum { OP_N = 0, OP_T = 1, EPILOGUE_DEFAULT = 1, EPILOGUE_BIAS = 4, EPILOGUE_GELU_BIAS = 36, EPILOGUE_DGELU = 192, EPILOGUE_GELU_AUX_BIAS = 164 };
constexpr uint64_t ALGORITHM = 0x416c676f72697468;

struct Handle { uint64_t magic; };
struct Layout { int type; uint64_t rows, columns; int64_t ld; };
struct Operation { int compute, scale, transpose_a = OP_N, transpose_b = OP_N, epilogue = EPILOGUE_DEFAULT; const void* bias = nullptr; void* aux = nullptr; int64_t aux_ld = 0; };
struct Preference { uint64_t workspace = 0; uint32_t reductions = 7, align[4] = {256, 256, 256, 256}; };
// What a real algorithm is bound to: shapes, types and alignments that it was asked for with.
struct Algorithm { uint64_t magic, m, n, k; uint32_t align[4], align_bias, align_aux; uint64_t workspace; };
static_assert(sizeof(Algorithm) == 64, "cublasLtMatmulAlgo_t");
struct Result { Algorithm algorithm; size_t workspace; int state; float waves; int reserved[4]; };

int64_t heuristics = 0, products = 0, live = 0;  // told when a handle is destroyed

double get(const void* at, int type, int64_t i) {
  if (type == R_32F) return static_cast<const float*>(at)[i];
  if (type == R_16F) return double(static_cast<const _Float16*>(at)[i]);
  const uint32_t bits = uint32_t(static_cast<const uint16_t*>(at)[i]) << 16;
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

void put(void* at, int type, int64_t i, double value) {
  const float rounded = float(value);
  if (type == R_32F) {
    static_cast<float*>(at)[i] = rounded;
  } else if (type == R_16F) {
    static_cast<_Float16*>(at)[i] = _Float16(rounded);
  } else {
    uint32_t bits;
    memcpy(&bits, &rounded, 4);
    static_cast<uint16_t*>(at)[i] = uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
}

// Of op(matrix).
uint64_t rows(const Layout* layout, int op) { return op == OP_T ? layout->columns : layout->rows; }
uint64_t columns(const Layout* layout, int op) { return op == OP_T ? layout->rows : layout->columns; }

Status shapes(const Operation* operation, const Layout* a, const Layout* b, const Layout* c, const Layout* d) {
  const int ta = operation->transpose_a, tb = operation->transpose_b;
  for (const Layout* layout : {a, b, c, d}) {
    if (!layout->rows || !layout->columns || layout->ld < int64_t(layout->rows)) return INVALID_VALUE;
  }
  if (rows(a, ta) != d->rows || columns(b, tb) != d->columns || columns(a, ta) != rows(b, tb)) return INVALID_VALUE;
  if (c->rows != d->rows || c->columns != d->columns || c->type != d->type || a->type != b->type) return INVALID_VALUE;
  if (d->type != a->type && d->type != R_32F) return NOT_SUPPORTED;
  if (operation->scale != R_32F) return NOT_SUPPORTED;
  if (operation->compute == COMPUTE_32F_FAST_TF32 ? a->type != R_32F : operation->compute != COMPUTE_32F) return NOT_SUPPORTED;
  return SUCCESS;
}

bool gelu(int epilogue) { return epilogue == EPILOGUE_GELU_BIAS || epilogue == EPILOGUE_GELU_AUX_BIAS; }
bool adds_bias(int epilogue) { return epilogue == EPILOGUE_BIAS || gelu(epilogue); }
bool has_aux(int epilogue) { return epilogue == EPILOGUE_GELU_AUX_BIAS || epilogue == EPILOGUE_DGELU; }

// What an epilogue needs must be there, what it does not must not. As the library may, this one has none for some shapes: for single
// rows and columns, and none that activates for rows that are no multiple of 16.
Status epilogues(const Operation* operation, const Layout* d) {
  const int epilogue = operation->epilogue;
  if (epilogue != EPILOGUE_DEFAULT && !adds_bias(epilogue) && !has_aux(epilogue)) return NOT_SUPPORTED;
  if (adds_bias(epilogue) != (operation->bias != nullptr) || has_aux(epilogue) != (operation->aux != nullptr)) return INVALID_VALUE;
  if (has_aux(epilogue) && (operation->aux_ld % 8 || operation->aux_ld < int64_t(d->rows))) return INVALID_VALUE;
  if (epilogue != EPILOGUE_DEFAULT && (d->rows == 1 || d->columns == 1)) return INVALID_VALUE;
  if ((gelu(epilogue) || has_aux(epilogue)) && (d->type == R_32F || d->rows % 16)) return NOT_SUPPORTED;
  return SUCCESS;
}

double inner(double x) { return std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x); }
double gelu_of(double x) { return 0.5 * x * (1 + std::tanh(inner(x))); }
double slope_of(double x) {
  const double t = std::tanh(inner(x));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * std::sqrt(2 / M_PI) * (1 + 3 * 0.044715 * x * x);
}

bool aligned(const void* pointer, uint64_t bytes) { return reinterpret_cast<uintptr_t>(pointer) % bytes == 0; }

// A bias', and that of an auxiliary matrix, are not said but read off the pointer that is set when an algorithm is asked for.
uint32_t alignment(const void* pointer) {
  uint32_t bytes = 256;
  while (!aligned(pointer, bytes)) bytes /= 2;
  return bytes;
}

// What simt's streams begin with: work is done in its turn.
struct Stream { void (*submit)(Stream*, void (*function)(void*), void* argument, size_t bytes); };

// A product as it was asked for; the descriptors may be gone, and set to other addresses, when its turn comes.
struct Product {
  Operation operation;
  Layout la, lb, ld;
  const void *a, *b;
  void *d, *workspace;
  float beta;
  size_t workspace_bytes;
};

// op(matrix) or its transpose, each of `lines` lines of `length` numbers behind the other.
std::vector<double> lines(const void* matrix, const Layout& layout, bool along, int64_t lines, int64_t length) {
  std::vector<double> all(size_t(lines * length));
  for (int64_t i = 0; i < lines; ++i) {
    for (int64_t l = 0; l < length; ++l) all[size_t(i * length + l)] = get(matrix, layout.type, along ? l + i * layout.ld : i + l * layout.ld);
  }
  return all;
}

void multiply(void* argument) {
  const auto& [operation, la, lb, ld, a, b, d, workspace, beta, workspace_bytes] = *static_cast<const Product*>(argument);
  const int epilogue = operation.epilogue;
  const int64_t m = int64_t(ld.rows), n = int64_t(ld.columns), k = int64_t(columns(&la, operation.transpose_a));
  memset(workspace, 0xff, workspace_bytes < 65536 ? workspace_bytes : 65536);  // of tens of MB, for each of many small products
  const std::vector<double> left = lines(a, la, operation.transpose_a == OP_T, m, k), right = lines(b, lb, operation.transpose_b == OP_N, n, k);
  for (int64_t j = 0; j < n; ++j) {
    for (int64_t i = 0; i < m; ++i) {
      const double *x = &left[size_t(i * k)], *y = &right[size_t(j * k)];
      double sums[4] = {};
      for (int64_t l = 0; l < k; ++l) sums[l % 4] += x[l] * y[l];
      double sum = sums[0] + sums[1] + sums[2] + sums[3];
      const int64_t at = i + j * ld.ld, aux_at = i + j * operation.aux_ld;
      if (beta != 0) sum += beta * get(d, ld.type, at);
      if (adds_bias(epilogue)) sum += get(operation.bias, ld.type, i);  // of d's type, since no other was asked for
      if (epilogue == EPILOGUE_GELU_AUX_BIAS) put(operation.aux, ld.type, aux_at, sum);
      if (gelu(epilogue)) sum = gelu_of(sum);
      if (epilogue == EPILOGUE_DGELU) sum *= slope_of(get(operation.aux, ld.type, aux_at));
      put(d, ld.type, at, sum);
    }
  }
}

template <class T> Status make(T** made, T value) {
  ++live;
  *made = new T(value);
  return SUCCESS;
}

template <class T> Status destroy(T* made) {
  --live;
  delete made;
  return SUCCESS;
}

template <class T> Status set(T* field, const void* value, size_t bytes) {
  if (bytes != sizeof(T)) return INVALID_VALUE;
  memcpy(field, value, bytes);
  return SUCCESS;
}

}  // namespace

extern "C" {

size_t cublasLtGetVersion() { return 130203; }
const char* cublasLtGetStatusName(Status status) {
  return status == SUCCESS ? "CUBLAS_STATUS_SUCCESS" : status == NOT_SUPPORTED ? "CUBLAS_STATUS_NOT_SUPPORTED" : "CUBLAS_STATUS_INVALID_VALUE";
}

Status cublasLtCreate(Handle** handle) { return make(handle, Handle{ALGORITHM}); }
Status cublasLtDestroy(Handle* handle) {
  destroy(handle);
  fprintf(stderr, "cuBLASLt's stand-in: %lld heuristics, %lld products, %lld objects left\n", (long long)heuristics,
          (long long)products, (long long)live);
  return SUCCESS;
}

Status cublasLtMatrixLayoutCreate(Layout** layout, int type, uint64_t rows, uint64_t columns, int64_t ld) {
  return make(layout, Layout{type, rows, columns, ld});
}
Status cublasLtMatrixLayoutDestroy(Layout* layout) { return destroy(layout); }

Status cublasLtMatmulDescCreate(Operation** operation, int compute, int scale) { return make(operation, Operation{compute, scale}); }
Status cublasLtMatmulDescDestroy(Operation* operation) { return destroy(operation); }
Status cublasLtMatmulDescSetAttribute(Operation* operation, int attribute, const void* value, size_t bytes) {
  switch (attribute) {
    case 3: return set(&operation->transpose_a, value, bytes);
    case 4: return set(&operation->transpose_b, value, bytes);
    case 7: return set(&operation->epilogue, value, bytes);
    case 8: return set(&operation->bias, value, bytes);
    case 11: return set(&operation->aux, value, bytes);
    case 12: return set(&operation->aux_ld, value, bytes);
    default: return INVALID_VALUE;
  }
}

Status cublasLtMatmulPreferenceCreate(Preference** preference) { return make(preference, Preference()); }
Status cublasLtMatmulPreferenceDestroy(Preference* preference) { return destroy(preference); }
Status cublasLtMatmulPreferenceSetAttribute(Preference* preference, int attribute, const void* value, size_t bytes) {
  if (attribute == 1) return set(&preference->workspace, value, bytes);
  if (attribute == 3) return set(&preference->reductions, value, bytes);
  if (attribute >= 5 && attribute <= 8) return set(&preference->align[attribute - 5], value, bytes);
  return INVALID_VALUE;
}

Status cublasLtMatmulAlgoGetHeuristic(Handle* handle, const Operation* operation, const Layout* a, const Layout* b,
                                      const Layout* c, const Layout* d, const Preference* preference, int wanted,
                                      Result* results, int* found) {
  ++heuristics;
  *found = 0;
  if (handle->magic != ALGORITHM || wanted != 1) return INVALID_VALUE;
  if (preference->reductions != 2) return INVALID_VALUE;  // sums in the output's type would not be float32
  if (const Status status = shapes(operation, a, b, c, d)) return status;
  if (preference->align[2] != preference->align[3]) return INVALID_VALUE;
  if (const Status status = epilogues(operation, d)) return status;
  *found = 1;
  // an algorithm that uses every byte that it may, and all the alignment that it was promised
  Algorithm algorithm = {ALGORITHM, d->rows, d->columns, columns(a, operation->transpose_a), {}, alignment(operation->bias), alignment(operation->aux), preference->workspace};
  memcpy(algorithm.align, preference->align, sizeof algorithm.align);
  *results = {algorithm, preference->workspace, SUCCESS, 1, {}};
  return SUCCESS;
}

Status cublasLtMatmul(Handle* handle, const Operation* operation, const float* alpha, const void* a, const Layout* la,
                      const void* b, const Layout* lb, const float* beta, const void* c, const Layout* lc, void* d,
                      const Layout* ld, const Algorithm* algorithm, void* workspace, size_t workspace_bytes, Stream* stream) {
  ++products;
  if (handle->magic != ALGORITHM || algorithm->magic != ALGORITHM || !stream) return INVALID_VALUE;
  if (const Status status = shapes(operation, la, lb, lc, ld)) return status;
  const uint64_t m = ld->rows, n = ld->columns, k = columns(la, operation->transpose_a);
  if (algorithm->m != m || algorithm->n != n || algorithm->k != k) return INVALID_VALUE;
  if (!aligned(a, algorithm->align[0]) || !aligned(b, algorithm->align[1]) || !aligned(d, algorithm->align[3])) return INVALID_VALUE;
  if (workspace_bytes < algorithm->workspace || !aligned(workspace, 256) || c != d || *alpha != 1) return INVALID_VALUE;
  if (const Status status = epilogues(operation, ld)) return status;
  if (operation->epilogue > EPILOGUE_BIAS && n == 3) return NOT_SUPPORTED;  // though it recommended an algorithm
  if (!aligned(operation->bias, algorithm->align_bias) || !aligned(operation->aux, algorithm->align_aux)) return INVALID_VALUE;
  Product product = {*operation, *la, *lb, *ld, a, b, d, workspace, *beta, workspace_bytes};
  stream->submit(stream, multiply, &product, sizeof product);
  return SUCCESS;
}

}  // extern "C"
