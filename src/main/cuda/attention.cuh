// What the attention kernels share: the problem, and for the 16-bit types tiles in shared memory and their products on
// tensor cores. A warp has 16 rows of its own, a block of 4 warps 64, and walks over tiles of the other side's rows.
#pragma once
#include "dropout.cuh"
#include "ptx.cuh"
#include "reduce.cuh"

struct Attention {
  const int32_t* cu_seqlens;
  const uint8_t* key_mask;  // nullable
  float scale;
  Dropout dropout;
  int64_t T, A;
  int max_seqlen;  // rows behind it in a sequence that is longer are left alone
  int queries;     // of a sequence, which ask
};

constexpr int ATTENTION_THREADS = 128;
constexpr int OWN_ROWS = 64;         // of a block
constexpr float LOG2E = 1.44269504f, LN2 = 0.69314718f;

struct Sequence {
  int64_t begin;
  int length;
  int queries;  // rows that ask, the first
};

__device__ __forceinline__ Sequence sequence_of(const Attention& a, int b) {
  const int begin = a.cu_seqlens[b], end = a.cu_seqlens[b + 1];
  const int length = int64_t(end) <= a.T ? min(end - begin, a.max_seqlen) : 0;
  return {begin, length, min(length, a.queries)};
}

__device__ __forceinline__ bool key_visible(const Attention& a, const Sequence& s, int key) {
  return key < s.length && (!a.key_mask || a.key_mask[s.begin + key] != 0);
}

// ---- tiles of [rows, D] 16-bit elements: 16-byte chunks, swizzled so that eight rows of a column of chunks lie in
// different banks, as ldmatrix wants them

template <int D>
__device__ __forceinline__ int tile_offset(int row, int chunk) {
  const int swizzled = D == 64 ? chunk ^ (row & 7) : chunk ^ (row >> 1 & 3);
  return row * D + swizzled * 8;
}

// Begins to copy ROWS rows of a head, which are `stride` elements apart; rows that are not valid(row) become 0.
template <int D, int ROWS, int THREADS = ATTENTION_THREADS, class T, class V>
__device__ __forceinline__ void load_tile(T* tile, const T* rows, int stride, V valid) {
  constexpr int CHUNKS = D / 8, STEP = THREADS / CHUNKS;
  static_assert(ROWS % STEP == 0 && STEP % 8 == 0, "as many chunks for every thread, and one swizzle for all of them");
  const int first = threadIdx.x / CHUNKS, chunk = threadIdx.x % CHUNKS;
  T* const to = tile + tile_offset<D>(first, chunk);
  const T* const from = rows + int64_t(first) * stride + chunk * 8;
#pragma unroll
  for (int row = 0; row < ROWS; row += STEP) {
    const bool ok = valid(first + row);
    cp_async_16(to + row * D, ok ? from + int64_t(row) * stride : rows, ok);
  }
}

// Fragments of rows row .. row+15 as the left operand.
template <int D, class T>
__device__ __forceinline__ void load_left(uint32_t (&a)[D / 16][4], const T* tile, int row) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int k = 0; k < D / 16; ++k) ldmatrix(a[k], tile + tile_offset<D>(row + lane % 16, 2 * k + lane / 16));
}

// s[16, ROWS] = a tile^T: a is 16 rows of [D], the tile has ROWS rows.
template <int D, int ROWS, class T>
__device__ __forceinline__ void multiply_transposed(float (&s)[ROWS / 8][4], const uint32_t (&a)[D / 16][4], const T* tile) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int j = 0; j < ROWS / 8; ++j) s[j][0] = s[j][1] = s[j][2] = s[j][3] = 0;
#pragma unroll
  for (int k = 0; k < D / 16; ++k) {
#pragma unroll
    for (int j = 0; j < ROWS / 16; ++j) {
      uint32_t b[4];
      ldmatrix(b, tile + tile_offset<D>(16 * j + lane / 16 * 8 + lane % 8, 2 * k + lane / 8 % 2));
      mma_16x8x16<T>(s[2 * j], a[k], {b[0], b[1]});
      mma_16x8x16<T>(s[2 * j + 1], a[k], {b[2], b[3]});
    }
  }
}

// o[16, D] += p[16, ROWS] tile.
template <int D, int ROWS, class T>
__device__ __forceinline__ void multiply_add(float (&o)[D / 8][4], const uint32_t (&p)[ROWS / 16][4], const T* tile) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int k = 0; k < ROWS / 16; ++k) {
#pragma unroll
    for (int j = 0; j < D / 16; ++j) {
      uint32_t b[4];
      ldmatrix_trans(b, tile + tile_offset<D>(16 * k + lane % 16, 2 * j + lane / 16));
      mma_16x8x16<T>(o[2 * j], p[k], {b[0], b[1]});
      mma_16x8x16<T>(o[2 * j + 1], p[k], {b[2], b[3]});
    }
  }
}

// The accumulators of a product as the left operand of the next: a lane already holds what it needs.
template <class T, int COLUMNS>
__device__ __forceinline__ void to_left(uint32_t (&a)[COLUMNS / 16][4], const float (&s)[COLUMNS / 8][4]) {
#pragma unroll
  for (int k = 0; k < COLUMNS / 16; ++k) {
    a[k][0] = pack<T>(s[2 * k][0], s[2 * k][1]);
    a[k][1] = pack<T>(s[2 * k][2], s[2 * k][3]);
    a[k][2] = pack<T>(s[2 * k + 1][0], s[2 * k + 1][1]);
    a[k][3] = pack<T>(s[2 * k + 1][2], s[2 * k + 1][3]);
  }
}

// Writes the warp's 16 rows of accumulators, N pieces of 8 columns, times two factors for rows g and g + 8, to rows 0 .. valid-1 of
// global memory. Of two neighbouring pieces the even lane of a pair writes its share of the first and the odd one that of the
// second, 8 bytes each, so that a row gets whole sectors of 32.
template <int N, class T>
__device__ __forceinline__ void store_rows(T* rows, int stride, int valid, const float (&o)[N][4], float low, float high) {
  const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4, odd = t % 2;
#pragma unroll
  for (int j = 0; j < N; j += 2) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const float factor = r ? high : low;
      const uint32_t first = pack<T>(o[j][2 * r] * factor, o[j][2 * r + 1] * factor);
      const uint32_t second = pack<T>(o[j + 1][2 * r] * factor, o[j + 1][2 * r + 1] * factor);
      const uint32_t received = __shfl_xor_sync(0xffffffffu, odd ? first : second, 1);
      T* const to = rows + int64_t(g + 8 * r) * stride + 8 * (j + odd) + 2 * (t - odd);
      if (g + 8 * r < valid) store_words(to, odd ? received : first, odd ? second : received);
    }
  }
}

// Rows first .. end - 1 of a head, `stride` elements apart, become 0: the gradient of queries that did not ask.
template <int D, int THREADS = ATTENTION_THREADS, class T>
__device__ __forceinline__ void clear_rows(T* rows, int64_t stride, int first, int end) {
  constexpr int CHUNKS = D / WIDTH<T>;
  const float zeros[WIDTH<T>] = {};
  for (int i = first * CHUNKS + threadIdx.x; i < end * CHUNKS; i += THREADS) store(rows + i / CHUNKS * stride + i % CHUNKS * WIDTH<T>, zeros);
}

// ---- the float32 kernels (attention_f32.cu)
wb_status attention_forward_f32(wb_context* ctx, float* out, float* lse, const float* qkv, const Attention& a, int64_t B,
                                int64_t D);
// delta: [A,T], the sums of dout * out of each row and head.
wb_status attention_backward_f32(wb_context* ctx, float* dqkv, const float* delta, const float* dout, const float* lse,
                                 const float* qkv, const Attention& a, int64_t B, int64_t D);

wb_status check_attention(const char* op, float scale, int64_t B, int64_t A, int64_t D, int64_t max_seqlen);
