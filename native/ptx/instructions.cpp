// What each instruction does to a warp's registers. Named as PTX names it.
#include <immintrin.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <algorithm>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "ptx.h"

namespace ptx {
namespace {

// f(lane) for the active ones.
template <class F>
inline void each(Mask active, F f) {
  if (active == ~0u) {
#pragma GCC ivdep
    for (int i = 0; i < LANES; ++i) f(i);
  } else {
    for (; active; active &= active - 1) f(__builtin_ctz(active));
  }
}

// destination = f(sources), of the types R and A...
template <class F, class R, class... A, size_t... I>
void apply(Warp& warp, const Instruction& in, Mask active, std::index_sequence<I...>) {
  R* to = warp.at<R>(in.operands[0]);
  const std::tuple<const A*...> from(warp.at<A>(in.operands[1 + I])...);
  each(active, [&](int i) { to[i] = R(F()(std::get<I>(from)[i]...)); });
}
template <class R, class... A, class F>
constexpr Run map(F) {
  return [](Warp& warp, const Instruction& in, Mask active) { apply<F, R, A...>(warp, in, active, std::index_sequence_for<A...>()); };
}

// A predicate from a comparison.
template <class A, class F>
constexpr Run compare(F) {
  return [](Warp& warp, const Instruction& in, Mask active) {
    const A *a = warp.at<A>(in.operands[1]), *b = warp.at<A>(in.operands[2]);
    Mask result = 0;
    for (int i = 0; i < LANES; ++i) result |= Mask(F{}(a[i], b[i])) << i;
    Mask& to = warp.predicate(in.operands[0]);
    to = (to & ~active) | (result & active);
  };
}

// A predicate from predicates.
template <class F>
constexpr Run logic(F) {
  return [](Warp& warp, const Instruction& in, Mask active) {
    const Mask a = warp.predicate(in.operands[1]), b = in.count > 2 ? warp.predicate(in.operands[2]) : 0;
    Mask& to = warp.predicate(in.operands[0]);
    to = (to & ~active) | (F{}(a, b) & active);
  };
}

template <class T>
void select(Warp& warp, const Instruction& in, Mask active) {
  const Mask which = warp.predicate(in.operands[3]);
  T* to = warp.at<T>(in.operands[0]);
  const T *a = warp.at<T>(in.operands[1]), *b = warp.at<T>(in.operands[2]);
  each(active, [=](int i) { to[i] = which >> i & 1 ? a[i] : b[i]; });
}

// Several registers become one, or one several: the first is the lowest.
template <class Whole, class Part>
void join(Warp& warp, const Instruction& in, Mask active) {
  each(active, [&](int i) {
    Whole whole = 0;
    for (int j = 1; j < in.count; ++j) whole |= Whole(warp.at<Part>(in.operands[j])[i]) << 8 * sizeof(Part) * (j - 1);
    warp.at<Whole>(in.operands[0])[i] = whole;
  });
}
template <class Whole, class Part>
void split(Warp& warp, const Instruction& in, Mask active) {
  each(active, [&](int i) {
    const Whole whole = warp.at<Whole>(in.operands[in.count - 1])[i];
    for (int j = 0; j < in.count - 1; ++j) warp.at<Part>(in.operands[j])[i] = Part(whole >> 8 * sizeof(Part) * j);
  });
}

// ---- memory: one lane after another. A register wider than the element is filled up with zeros or the sign.

uint64_t address_of(Warp& warp, const Instruction& in, Operand base, int lane) {
  const uint64_t at = base.bytes == 8 ? warp.at<uint64_t>(base)[lane] : warp.at<uint32_t>(base)[lane];
  return at + uint64_t(in.offset);
}

void put(Warp& warp, const Instruction& in, Operand to, int lane, const unsigned char* from) {
  if (in.element == 4 && to.bytes == 4) {  // almost always
    memcpy(warp.at<uint32_t>(to) + lane, from, 4);
    return;
  }
  int64_t value = 0;
  memcpy(&value, from, in.element);
  if (in.is_signed) value = int64_t(uint64_t(value) << (64 - 8 * in.element)) >> (64 - 8 * in.element);
  memcpy(warp.registers + to.place + size_t(lane) * to.bytes, &value, to.bytes);
}

using Count = void (*)(const uint64_t (&)[LANES], Mask, size_t);
void count_nothing(const uint64_t (&)[LANES], Mask, size_t) {}

template <Count count, class Read>
void load(Warp& warp, const Instruction& in, Mask active, Read read) {
  const size_t bytes = size_t(in.element) * in.vector;
  uint64_t addresses[LANES];
  each(active, [&](int i) { addresses[i] = address_of(warp, in, in.operands[in.vector], i); });
  each(active, [&](int i) {
    const unsigned char* from = read(addresses[i], bytes);
    for (int j = 0; j < in.vector; ++j) put(warp, in, in.operands[j], i, from + j * in.element);
  });
  if (traffic) count(addresses, active, bytes);
}
template <Count count, class Write>
void store(Warp& warp, const Instruction& in, Mask active, Write write) {
  const size_t bytes = size_t(in.element) * in.vector;
  uint64_t addresses[LANES];
  each(active, [&](int i) {
    addresses[i] = address_of(warp, in, in.operands[0], i);
    unsigned char* to = write(addresses[i], bytes);
    for (int j = 0; j < in.vector; ++j) {
      memcpy(to + j * in.element, warp.registers + in.operands[1 + j].place + size_t(i) * in.operands[1 + j].bytes, in.element);
    }
  });
  if (traffic) count(addresses, active, bytes);
}

void load_parameter(Warp& warp, const Instruction& in, Mask active) {
  load<count_nothing>(warp, in, active, [](uint64_t at, size_t bytes) { return parameter_at(uint32_t(at), bytes); });
}
void load_shared(Warp& warp, const Instruction& in, Mask active) {
  load<count_shared>(warp, in, active, [](uint64_t at, size_t bytes) { return shared_at(uint32_t(at), bytes); });
}
void load_global(Warp& warp, const Instruction& in, Mask active) {
  load<count_global>(warp, in, active, [](uint64_t at, size_t bytes) { return global_read(at, bytes, false); });
}
void load_read_only(Warp& warp, const Instruction& in, Mask active) {
  load<count_global>(warp, in, active, [](uint64_t at, size_t bytes) { return global_read(at, bytes, true); });
}
void store_shared(Warp& warp, const Instruction& in, Mask active) {
  store<count_shared>(warp, in, active, [](uint64_t at, size_t bytes) { return shared_at(uint32_t(at), bytes); });
}
void store_global(Warp& warp, const Instruction& in, Mask active) { store<count_global>(warp, in, active, global_write); }

// cp.async.cg.shared.global [to], [from], 16, bytes that are read
void copy_async(Warp& warp, const Instruction& in, Mask active) {
  each(active, [&](int i) {
    const uint32_t to = warp.at<uint32_t>(in.operands[0])[i], size = warp.at<uint32_t>(in.operands[2])[i];
    const uint32_t read = warp.at<uint32_t>(in.operands[3])[i];
    if (size != 16 || (read != 0 && read != 16)) fault("cp.async of %u bytes, %u of them read", size, read);
    const uint64_t from = read ? warp.at<uint64_t>(in.operands[1])[i] : 0;
    shared_at(to, 16);
    if (read) global_read(from, 16, false);
    warp.copies[i].push_back({to, from, warp.copy_group[i]});
  });
  if (!traffic) return;
  uint64_t shared[LANES], global[LANES];
  Mask read = 0;
  each(active, [&](int i) {
    shared[i] = warp.copies[i].back().to;
    global[i] = warp.copies[i].back().from;
    read |= Mask(global[i] != 0) << i;
  });
  count_shared(shared, active, 16);
  count_global(global, read, 16);
}
void commit_copies(Warp& warp, const Instruction&, Mask active) {
  each(active, [&](int i) { ++warp.copy_group[i]; });
}
void wait_copies(Warp& warp, const Instruction& in, Mask active) {
  each(active, [&](int i) {
    const int64_t last = int64_t(warp.copy_group[i]) - 1 - warp.at<uint32_t>(in.operands[0])[i];
    std::vector<Copy>& copies = warp.copies[i];
    const auto stay = std::find_if(copies.begin(), copies.end(), [&](const Copy& copy) { return copy.group > last; });
    for (auto copy = copies.begin(); copy != stay; ++copy) {
      unsigned char* to = shared_at(copy->to, 16);
      if (copy->from) memcpy(to, global_read(copy->from, 16, false), 16);
      else memset(to, 0, 16);
    }
    copies.erase(copies.begin(), stay);
  });
}

// ---- collectives

// shfl.sync.bfly.b32 to|valid, from, lanes apart, clamp and segment, members
void shuffle_butterfly(Warp& warp, const Instruction& in, Mask active) {
  const uint32_t* from = warp.at<uint32_t>(in.operands[2]);
  uint32_t result[LANES] = {};
  Mask valid = 0;
  each(active, [&](int i) {
    const uint32_t control = warp.at<uint32_t>(in.operands[4])[i], segment = control >> 8 & 31, clamp = control & 31;
    const int other = i ^ int(warp.at<uint32_t>(in.operands[3])[i] & 31);
    const bool inside = other <= int((i & segment) | (clamp & ~segment));
    const int source = inside ? other : i;
    if (!(active >> source & 1)) fault("shfl.sync: lane %d reads lane %d, which takes no part", i, source);
    result[i] = from[source];
    valid |= Mask(inside) << i;
  });
  uint32_t* to = warp.at<uint32_t>(in.operands[0]);
  each(active, [&](int i) { to[i] = result[i]; });
  Mask& flag = warp.predicate(in.operands[1]);
  flag = (flag & ~active) | valid;
}

// Matrix m's row r is at the address that lane 8 m + r brings; lane i gets row i / 4's columns 2 (i % 4) and the next of each.
template <bool transposed>
void load_matrices(Warp& warp, const Instruction& in, Mask) {
  uint16_t element[4][8][8];
  uint64_t addresses[LANES];
  for (int i = 0; i < LANES; ++i) {
    addresses[i] = address_of(warp, in, in.operands[4], i);
    memcpy(element[i / 8][i % 8], shared_at(uint32_t(addresses[i]), 16), 16);
  }
  if (traffic) count_shared(addresses, ~0u, 16);
  for (int i = 0; i < LANES; ++i) {
    for (int m = 0; m < 4; ++m) {
      const int row = i / 4, column = i % 4 * 2;
      const uint32_t low = transposed ? element[m][column][row] : element[m][row][column];
      const uint32_t high = transposed ? element[m][column + 1][row] : element[m][row][column + 1];
      warp.at<uint32_t>(in.operands[m])[i] = low | high << 16;
    }
  }
}

float of_half(uint16_t bits) { return _cvtsh_ss(bits); }
float of_bfloat(uint16_t bits) {
  const uint32_t word = uint32_t(bits) << 16;
  float x;
  memcpy(&x, &word, 4);
  return x;
}
uint16_t to_half(float x) { return x != x ? 0x7fff : uint16_t(_cvtss_sh(x, _MM_FROUND_TO_NEAREST_INT)); }
uint16_t to_bfloat(float x) {
  uint32_t word;
  memcpy(&word, &x, 4);
  return x != x ? 0x7fff : uint16_t((word + 0x7fff + (word >> 16 & 1)) >> 16);
}

// d[16,8] = a[16,16] b[16,8] + c. Section "Matrix Fragments for mma.m16n8k16 with floating point type": element i of a lane's
// a is of row lane / 4 (+ 8 where i is 2, 3, 6, 7), column 2 (lane % 4) + i % 2 (+ 8 from i = 4); of b, of row
// 2 (lane % 4) + i % 2 (+ 8 from i = 2), column lane / 4; of c, of row lane / 4 (+ 8 from i = 2), column 2 (lane % 4) + i % 2.
template <float (*number)(uint16_t)>
void multiply_matrices(Warp& warp, const Instruction& in, Mask) {
  if (traffic) ++traffic->tensor;
  float a[16][16], b[16][8];
  const auto element = [&](int first, int i, int lane) {
    return number(uint16_t(warp.at<uint32_t>(in.operands[first + i / 2])[lane] >> 16 * (i % 2)));
  };
  for (int lane = 0; lane < LANES; ++lane) {
    const int g = lane / 4, t = lane % 4;
    for (int i = 0; i < 8; ++i) a[g + (i & 2 ? 8 : 0)][2 * t + i % 2 + (i & 4 ? 8 : 0)] = element(4, i, lane);
    for (int i = 0; i < 4; ++i) b[2 * t + i % 2 + (i & 2 ? 8 : 0)][g] = element(8, i, lane);
  }
  for (int lane = 0; lane < LANES; ++lane) {
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + (i & 2 ? 8 : 0), column = 2 * (lane % 4) + i % 2;
      float sum = warp.at<float>(in.operands[10 + i])[lane];
      for (int k = 0; k < 16; ++k) sum += a[row][k] * b[k][column];
      warp.at<float>(in.operands[i])[lane] = sum;
    }
  }
}

// ---- arithmetic that C++ has no operator for

float flushed(float x) { return fabsf(x) < 0x1p-126f ? copysignf(0.0f, x) : x; }

template <unsigned mode>
struct Rounding {  // of the CPU, while it lives
  unsigned before = _mm_getcsr();
  Rounding() { _mm_setcsr((before & ~unsigned(_MM_ROUND_MASK)) | mode); }
  ~Rounding() { _mm_setcsr(before); }
};
float fma_down(float a, float b, float c) {
  const Rounding<_MM_ROUND_DOWN> down;
  asm volatile("vfmadd213ss %2, %1, %0" : "+x"(a) : "x"(b), "x"(c));
  return a;
}
float add_to_zero(float a, float b) {
  const Rounding<_MM_ROUND_TOWARD_ZERO> to_zero;
  asm volatile("vaddss %1, %0, %0" : "+x"(a) : "x"(b));
  return a;
}

// Byte i of the result is the one of a (0 to 3) and b (4 to 7) that hexadecimal digit i of `selector` names; 8 and above: its sign.
uint32_t permute(uint32_t a, uint32_t b, uint32_t selector) {
  const uint64_t both = uint64_t(b) << 32 | a;
  uint32_t result = 0;
  for (int i = 0; i < 4; ++i) {
    const uint32_t digit = selector >> 4 * i & 15, byte = uint32_t(both >> 8 * (digit & 7)) & 0xff;
    result |= (digit & 8 ? (byte & 0x80 ? 0xff : 0) : byte) << 8 * i;
  }
  return result;
}

uint32_t insert(uint32_t a, uint32_t b, uint32_t position, uint32_t length) {
  position &= 0xff, length &= 0xff;
  uint32_t result = b;
  for (uint32_t i = 0; i < length && position + i < 32; ++i) {
    result = (result & ~(1u << (position + i))) | (a >> i & 1) << (position + i);
  }
  return result;
}

// Shifts by the width or more, which C++ leaves undefined: PTX clamps them.
template <class T>
T shift_left(T a, uint32_t by) { return by >= 8 * sizeof(T) ? 0 : T(a << by); }
template <class T>
T shift_right(T a, uint32_t by) { return by >= 8 * sizeof(T) ? (a < 0 ? T(-1) : 0) : T(a >> by); }

template <class T>
T quotient(T a, T b) {
  if (b == 0) fault("a division of integers by 0");
  return a / b;
}

using u16 = uint16_t;
using s16 = int16_t;
using u32 = uint32_t;
using u64 = uint64_t;
using s32 = int32_t;
using s64 = int64_t;
using f32 = float;
using f64 = double;

#define OF1(R, A, expression) map<R, A>([](A a) { return expression; })
#define OF2(R, A, B, expression) map<R, A, B>([](A a, B b) { return expression; })
#define OF3(R, A, B, C, expression) map<R, A, B, C>([](A a, B b, C c) { return expression; })
#define COMPARE(A, expression) compare<A>([](A a, A b) { return expression; })
#define LOGIC(expression) logic([]([[maybe_unused]] Mask a, [[maybe_unused]] Mask b) { return expression; })
// An entry for each comparison, of numbers without NaN.
#define COMPARISONS(type, A) \
  {"setp.eq." type, COMPARE(A, a == b)}, {"setp.ne." type, COMPARE(A, a != b)}, {"setp.lt." type, COMPARE(A, a < b)}, \
  {"setp.le." type, COMPARE(A, a <= b)}, {"setp.gt." type, COMPARE(A, a > b)}, {"setp.ge." type, COMPARE(A, a >= b)}
// The same, false where one is NaN, and those that are true there.
#define REAL_COMPARISONS(type, A) \
  {"setp.eq." type, COMPARE(A, a == b)}, {"setp.ne." type, COMPARE(A, a < b || a > b)}, {"setp.lt." type, COMPARE(A, a < b)}, \
  {"setp.le." type, COMPARE(A, a <= b)}, {"setp.gt." type, COMPARE(A, a > b)}, {"setp.ge." type, COMPARE(A, a >= b)}, \
  {"setp.neu." type, COMPARE(A, !(a == b))}, {"setp.leu." type, COMPARE(A, !(a > b))}, \
  {"setp.num." type, COMPARE(A, a == a && b == b)}, {"setp.nan." type, COMPARE(A, a != a || b != b)}

struct Meaning {
  Run run;
  Kind kind = Kind::PLAIN;
};

const std::unordered_map<std::string_view, Meaning>& meanings() {
  static const std::unordered_map<std::string_view, Meaning> table = {
      {"bra", {nullptr, Kind::BRANCH}}, {"bra.uni", {nullptr, Kind::BRANCH}}, {"ret", {nullptr, Kind::EXIT}},
      {"bar.sync", {nullptr, Kind::BARRIER}},
      {"bar.warp.sync", {[](Warp&, const Instruction&, Mask) {}, Kind::COLLECTIVE}},
      {"shfl.sync.bfly.b32", {shuffle_butterfly, Kind::COLLECTIVE}},
      {"ldmatrix.sync.aligned.m8n8.x4.shared.b16", {load_matrices<false>, Kind::COLLECTIVE}},
      {"ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16", {load_matrices<true>, Kind::COLLECTIVE}},
      {"mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", {multiply_matrices<of_half>, Kind::COLLECTIVE}},
      {"mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", {multiply_matrices<of_bfloat>, Kind::COLLECTIVE}},
      {"cp.async.cg.shared.global", {copy_async}}, {"cp.async.commit_group", {commit_copies}}, {"cp.async.wait_group", {wait_copies}},

      {"mov.u16", {OF1(u16, u16, a)}}, {"mov.b16", {OF1(u16, u16, a)}}, {"mov.u32", {OF1(u32, u32, a)}}, {"mov.b32", {OF1(u32, u32, a)}}, {"mov.f32", {OF1(u32, u32, a)}},
      {"mov.u64", {OF1(u64, u64, a)}}, {"mov.b64", {OF1(u64, u64, a)}}, {"mov.f64", {OF1(u64, u64, a)}},
      {"mov.pred", {LOGIC(a)}}, {"not.pred", {LOGIC(~a)}}, {"and.pred", {LOGIC(a & b)}}, {"or.pred", {LOGIC(a | b)}}, {"xor.pred", {LOGIC(a ^ b)}},
      {"mov.b32.join", {join<u32, u16>}}, {"mov.b32.split", {split<u32, u16>}}, {"mov.b64.join", {join<u64, u32>}}, {"mov.b64.split", {split<u64, u32>}},
      {"cvta.to.global.u64", {OF1(u64, u64, a)}},  // an address means the same everywhere
      {"selp.u16", {select<u16>}}, {"selp.b32", {select<u32>}}, {"selp.f32", {select<u32>}}, {"selp.b64", {select<u64>}}, {"selp.u64", {select<u64>}},

      {"and.b16", {OF2(u16, u16, u16, a & b)}}, {"and.b32", {OF2(u32, u32, u32, a & b)}}, {"and.b64", {OF2(u64, u64, u64, a & b)}},
      {"or.b16", {OF2(u16, u16, u16, a | b)}}, {"or.b32", {OF2(u32, u32, u32, a | b)}}, {"or.b64", {OF2(u64, u64, u64, a | b)}},
      {"xor.b32", {OF2(u32, u32, u32, a ^ b)}}, {"not.b32", {OF1(u32, u32, ~a)}}, {"not.b64", {OF1(u64, u64, ~a)}},
      {"shl.b16", {OF2(u16, u16, u32, shift_left(a, b))}}, {"shr.u16", {OF2(u16, u16, u32, shift_right(a, b))}}, {"shr.s16", {OF2(s16, s16, u32, shift_right(a, b))}},
      {"shl.b32", {OF2(u32, u32, u32, shift_left(a, b))}}, {"shl.b64", {OF2(u64, u64, u32, shift_left(a, b))}},
      {"shr.u32", {OF2(u32, u32, u32, shift_right(a, b))}}, {"shr.u64", {OF2(u64, u64, u32, shift_right(a, b))}},
      {"shr.s32", {OF2(s32, s32, u32, shift_right(a, b))}}, {"shr.s64", {OF2(s64, s64, u32, shift_right(a, b))}},
      {"prmt.b32", {OF3(u32, u32, u32, u32, permute(a, b, c))}},
      {"bfi.b32", {map<u32, u32, u32, u32, u32>([](u32 a, u32 b, u32 c, u32 d) { return insert(a, b, c, d); })}},

      {"add.s16", {OF2(u16, u16, u16, a + b)}}, {"add.s32", {OF2(u32, u32, u32, a + b)}}, {"add.s64", {OF2(u64, u64, u64, a + b)}},
      {"sub.s32", {OF2(u32, u32, u32, a - b)}}, {"sub.s64", {OF2(u64, u64, u64, a - b)}}, {"neg.s32", {OF1(u32, u32, 0 - a)}}, {"neg.s64", {OF1(u64, u64, 0 - a)}},
      {"mul.lo.s32", {OF2(u32, u32, u32, a * b)}}, {"mul.lo.s64", {OF2(u64, u64, u64, a * b)}},
      {"mul.wide.u32", {OF2(u64, u32, u32, u64(a) * b)}}, {"mul.wide.s32", {OF2(s64, s32, s32, s64(a) * b)}},
      {"mul.wide.u16", {OF2(u32, u16, u16, u32(a) * b)}},
      {"mad.lo.s32", {OF3(u32, u32, u32, u32, a * b + c)}}, {"mad.lo.s64", {OF3(u64, u64, u64, u64, a * b + c)}},
      {"div.u32", {OF2(u32, u32, u32, quotient(a, b))}}, {"div.u64", {OF2(u64, u64, u64, quotient(a, b))}}, {"div.s64", {OF2(s64, s64, s64, quotient(a, b))}},
      {"min.s32", {OF2(s32, s32, s32, std::min(a, b))}}, {"max.s32", {OF2(s32, s32, s32, std::max(a, b))}}, {"min.u32", {OF2(u32, u32, u32, std::min(a, b))}},
      {"max.u32", {OF2(u32, u32, u32, std::max(a, b))}}, {"min.s64", {OF2(s64, s64, s64, std::min(a, b))}}, {"max.s64", {OF2(s64, s64, s64, std::max(a, b))}},
      {"max.u64", {OF2(u64, u64, u64, std::max(a, b))}},

      {"add.f32", {OF2(f32, f32, f32, a + b)}}, {"sub.f32", {OF2(f32, f32, f32, a - b)}}, {"mul.f32", {OF2(f32, f32, f32, a * b)}},
      {"mul.rn.f32", {OF2(f32, f32, f32, a * b)}}, {"add.rz.f32", {OF2(f32, f32, f32, add_to_zero(a, b))}},
      {"fma.rn.f32", {OF3(f32, f32, f32, f32, __builtin_fmaf(a, b, c))}}, {"fma.rm.f32", {OF3(f32, f32, f32, f32, fma_down(a, b, c))}},
      {"div.rn.f32", {OF2(f32, f32, f32, a / b)}}, {"rcp.rn.f32", {OF1(f32, f32, 1.0f / a)}}, {"sqrt.rn.f32", {OF1(f32, f32, sqrtf(a))}},
      {"neg.f32", {OF1(u32, u32, a ^ 0x80000000u)}}, {"abs.f32", {OF1(u32, u32, a & 0x7fffffffu)}},
      {"copysign.f32", {OF2(u32, u32, u32, (a & 0x80000000u) | (b & 0x7fffffffu))}},  // a's sign, b's magnitude
      {"min.f32", {OF2(f32, f32, f32, fminf(a, b))}}, {"max.f32", {OF2(f32, f32, f32, fmaxf(a, b))}},
      {"ex2.approx.ftz.f32", {OF1(f32, f32, flushed(exp2f(flushed(a))))}}, {"rcp.approx.ftz.f32", {OF1(f32, f32, flushed(1.0f / flushed(a)))}},
      {"rsqrt.approx.f32", {OF1(f32, f32, 1.0f / sqrtf(a))}},
      {"add.f64", {OF2(f64, f64, f64, a + b)}}, {"mul.f64", {OF2(f64, f64, f64, a * b)}}, {"fma.rn.f64", {OF3(f64, f64, f64, f64, __builtin_fma(a, b, c))}},
      {"div.rn.f64", {OF2(f64, f64, f64, a / b)}}, {"sqrt.rn.f64", {OF1(f64, f64, sqrt(a))}},

      {"cvt.u32.u64", {OF1(u32, u64, a)}}, {"cvt.u64.u32", {OF1(u64, u32, a)}}, {"cvt.s64.s32", {OF1(s64, s32, a)}}, {"cvt.u16.u64", {OF1(u16, u64, a)}},
      {"cvt.u16.u32", {OF1(u16, u32, a)}}, {"cvt.u32.u16", {OF1(u32, u16, a)}}, {"cvt.s8.s32", {OF1(s16, s32, int8_t(a))}},
      {"cvt.s16.s8", {OF1(s16, u16, int8_t(a))}}, {"cvt.u16.u8", {OF1(u16, u16, uint8_t(a))}},
      {"cvt.f64.f32", {OF1(f64, f32, a)}}, {"cvt.rn.f32.f64", {OF1(f32, f64, a)}}, {"cvt.rn.f32.s32", {OF1(f32, s32, a)}}, {"cvt.rn.f32.s64", {OF1(f32, s64, a)}},
      {"cvt.rn.f32.u32", {OF1(f32, u32, a)}}, {"cvt.rzi.f32.f32", {OF1(f32, f32, truncf(a))}},
      {"cvt.sat.f32.f32", {OF1(f32, f32, a > 0.0f ? fminf(a, 1.0f) : 0.0f)}},
      {"cvt.rn.f16.f32", {OF1(u16, f32, to_half(a))}}, {"cvt.f32.f16", {OF1(f32, u16, of_half(a))}},
      {"cvt.rn.bf16.f32", {OF1(u16, f32, to_bfloat(a))}}, {"cvt.f32.bf16", {OF1(f32, u16, of_bfloat(a))}},
      {"cvt.rn.f16x2.f32", {OF2(u32, f32, f32, u32(to_half(a)) << 16 | to_half(b))}},  // a is the upper half
      {"cvt.rn.bf16x2.f32", {OF2(u32, f32, f32, u32(to_bfloat(a)) << 16 | to_bfloat(b))}},

      {"setp.eq.b32", {COMPARE(u32, a == b)}}, {"setp.ne.b32", {COMPARE(u32, a != b)}}, {"setp.eq.b64", {COMPARE(u64, a == b)}}, {"setp.ne.b64", {COMPARE(u64, a != b)}},
  };
  return table;
}

const std::unordered_map<std::string_view, Run>& comparisons() {
  static const std::unordered_map<std::string_view, Run> table = {
      COMPARISONS("s16", s16), COMPARISONS("u16", u16), COMPARISONS("s32", s32), COMPARISONS("u32", u32), COMPARISONS("s64", s64),
      COMPARISONS("u64", u64), REAL_COMPARISONS("f32", f32), REAL_COMPARISONS("f64", f64)};
  return table;
}

// ld and st: space, .nc, vector and type.
bool decode_access(std::string_view opcode, Instruction& in) {
  const bool loads = opcode.starts_with("ld.");
  if (!loads && !opcode.starts_with("st.")) return false;
  std::string_view rest = opcode.substr(3);
  const auto take = [&](std::string_view word) {
    const bool there = rest.starts_with(word);
    if (there) rest.remove_prefix(word.size());
    return there;
  };
  if (take("param.")) in.run = loads ? load_parameter : nullptr;
  else if (take("shared.")) in.run = loads ? load_shared : store_shared;
  else if (take("global.nc.")) in.run = loads ? load_read_only : nullptr;
  else if (take("global.")) in.run = loads ? load_global : store_global;
  else return false;
  in.vector = take("v4.") ? 4 : take("v2.") ? 2 : 1;
  in.is_signed = rest.starts_with("s");
  const std::string_view bits = rest.empty() ? rest : rest.substr(1);
  in.element = bits == "8" ? 1 : bits == "16" ? 2 : bits == "32" ? 4 : bits == "64" ? 8 : 0;
  return in.run && in.element;
}

}  // namespace

void decode(std::string_view opcode, Instruction& in) {
  in.kind = Kind::PLAIN;
  if (decode_access(opcode, in)) return;
  if (const auto found = comparisons().find(opcode); found != comparisons().end()) {
    in.run = found->second;
    return;
  }
  const auto found = meanings().find(opcode);
  if (found == meanings().end()) fault("the instruction %.*s is not known to this machine", int(opcode.size()), opcode.data());
  in.run = found->second.run;
  in.kind = found->second.kind;
}

}  // namespace ptx
