// PTX as text to kernels: one statement a line, as nvcc writes it; inline assembly may hold several in braces.
#include <stdlib.h>
#include <string.h>

#include <charconv>

#include "ptx.h"

namespace ptx {
namespace {

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r"), end = text.find_last_not_of(" \t\r");
  return begin == text.npos ? std::string_view() : text.substr(begin, end - begin + 1);
}

// The text up to the separator, and behind it; all of it where there is none.
std::pair<std::string_view, std::string_view> cut(std::string_view text, char separator) {
  const size_t at = text.find(separator);
  return at == text.npos ? std::pair(text, std::string_view()) : std::pair(text.substr(0, at), text.substr(at + 1));
}

std::string_view next_line(std::string_view& text) {
  const auto [line, rest] = cut(text, '\n');
  text = rest;
  return trimmed(line.substr(0, line.find("//")));
}

int64_t integer(std::string_view text) {
  const bool negative = text.starts_with("-");
  if (negative) text.remove_prefix(1);
  const bool hexadecimal = text.starts_with("0x");
  if (hexadecimal) text.remove_prefix(2);
  if (text.ends_with("U")) text.remove_suffix(1);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, hexadecimal ? 16 : 10);
  if (error != std::errc() || end != text.data() + text.size()) fault("'%.*s' is no number", int(text.size()), text.data());
  return int64_t(negative ? 0 - value : value);
}

// 0fXXXXXXXX and 0dXXXXXXXXXXXXXXXX are a number's bits.
uint64_t constant(std::string_view text) {
  if (text.starts_with("0f") || text.starts_with("0F") || text.starts_with("0d") || text.starts_with("0D")) {
    return strtoull(std::string(text.substr(2)).c_str(), nullptr, 16);
  }
  return uint64_t(integer(text));
}

uint8_t bytes_of(std::string_view type) {
  if (type == ".pred") return 0;
  const std::string_view bits = type.substr(2);
  return bits == "8" ? 1 : bits == "16" ? 2 : bits == "32" ? 4 : bits == "64" ? 8 : (fault("the type %.*s", int(type.size()), type.data()), 0);
}

struct Parser {
  Kernel& kernel;
  std::map<std::string, Operand, std::less<>> registers;
  std::map<std::pair<uint64_t, uint8_t>, Operand> constants;  // by value and width
  std::map<std::string, uint32_t, std::less<>> parameters;    // offsets by name
  std::map<std::string, int, std::less<>> labels;
  std::vector<std::pair<int, std::string>> jumps;  // instructions and the labels they go to
  int file = 0, line = 0, ptx_line = 0;

  Operand place(uint8_t bytes) {
    const uint32_t size = bytes ? bytes * LANES : sizeof(Mask), aligned = (kernel.register_bytes + 31) / 32 * 32;
    kernel.register_bytes = aligned + size;
    return {aligned, bytes};
  }

  // The same for every lane.
  Operand constant_place(uint64_t value, uint8_t bytes) {
    const auto [known, is_new] = constants.try_emplace({value, bytes});
    if (!is_new) return known->second;
    const Operand made = known->second = place(bytes);
    kernel.constants.resize(kernel.register_bytes);
    if (bytes == 0) value = value ? ~Mask(0) : 0;
    for (int i = 0; i < (bytes ? LANES : 1); ++i) memcpy(&kernel.constants[made.place + i * bytes], &value, bytes ? bytes : sizeof(Mask));
    return made;
  }

  Operand register_named(std::string_view name) {
    const auto found = registers.find(name);
    if (found == registers.end()) fault("there is no register %.*s", int(name.size()), name.data());
    return found->second;
  }

  void special(const char* name, uint32_t (&places)[3]) {
    for (int i = 0; i < 3; ++i) {
      const Operand made = registers[std::string(name) + "." + "xyz"[i]] = place(4);
      places[i] = made.place;
    }
  }

  // .reg .f32 %f<18>; or, within braces, .reg .u64 p;
  void declare(std::string_view text) {
    const auto [type, name] = cut(text, ' ');
    const uint8_t bytes = bytes_of(type);
    const auto [prefix, count] = cut(trimmed(name), '<');
    if (count.empty()) {
      registers[std::string(prefix)] = place(bytes);
      return;
    }
    const int64_t end = integer(count.substr(0, count.size() - 1));
    for (int64_t i = 0; i < end; ++i) registers[std::string(prefix) + std::to_string(i)] = place(bytes);
  }

  // .param .u64 NAME, .param .u64 .ptr .align 1 NAME (of what it points to), or .param .align 8 .b8 NAME[120]
  void parameter(std::string_view text) {
    if (text.ends_with(",")) text.remove_suffix(1);
    uint32_t alignment = 0, bytes;
    if (text.starts_with(".align ")) {
      const auto [number, rest] = cut(text.substr(7), ' ');
      alignment = uint32_t(integer(number));
      text = rest;
    }
    const std::string_view type = cut(text, ' ').first, name = text.substr(text.rfind(' ') + 1);
    bytes = bytes_of(type);
    if (!alignment) alignment = bytes;
    const auto [plain, count] = cut(name, '[');
    if (!count.empty()) bytes *= uint32_t(integer(count.substr(0, count.size() - 1)));
    const uint32_t offset = (kernel.parameter_bytes + alignment - 1) / alignment * alignment;
    kernel.parameters.push_back({offset, bytes});
    kernel.parameter_bytes = offset + bytes;
    parameters[std::string(plain)] = offset;
  }

  // [register + offset], [NAME + offset]: NAME is a parameter, or the block's dynamic shared memory, which begins at 0.
  Operand address(std::string_view text, int64_t& offset) {
    const auto [base, plus] = cut(text, '+');
    offset = plus.empty() ? 0 : integer(plus);
    if (base.starts_with("%")) return register_named(base);
    if (const auto found = parameters.find(base); found != parameters.end()) return constant_place(found->second, 4);
    return symbol(base);
  }
  Operand symbol(std::string_view name) {
    if (name.find("wb_shared") == name.npos) fault("there is no symbol %.*s", int(name.size()), name.data());
    return constant_place(0, 4);
  }

  // Bytes of operand `index` where it is a constant.
  static uint8_t width(std::string_view opcode, size_t index) {
    if (opcode.ends_with(".pred")) return 0;
    if (opcode.starts_with("selp") && index == 3) return 0;
    if (opcode.starts_with("cp.async.cg")) return index == 1 ? 8 : 4;
    if ((opcode.starts_with("shl") || opcode.starts_with("shr")) && index == 2) return 4;  // how far
    const std::string_view type = opcode.substr(opcode.rfind('.') + 1);
    return type.ends_with("64") ? 8 : type.ends_with("16") ? 2 : type.ends_with("8") ? 1 : 4;
  }

  Operand operand(std::string_view text, std::string_view opcode, size_t index) {
    if (text.starts_with("%") || registers.find(text) != registers.end()) return register_named(text);
    if (isdigit(text[0]) || text[0] == '-') return constant_place(constant(text), width(opcode, index));
    return symbol(text);
  }

  void statement(std::string_view text) {
    Instruction in = {};
    in.file = uint16_t(file);
    in.line = line;
    in.ptx_line = ptx_line;
    in.target = -1;
    if (text[0] == '@') {
      const auto [guard, rest] = cut(text.substr(1), ' ');
      in.guarded = true;
      in.guard_negated = guard[0] == '!';
      in.guard = register_named(guard.substr(in.guard_negated)).place;
      text = trimmed(rest);
    }
    const size_t end = text.find_first_of(" \t");
    std::string opcode(text.substr(0, end));
    std::string_view rest = end == text.npos ? std::string_view() : trimmed(text.substr(end));
    if (opcode == "bra" || opcode == "bra.uni") {
      jumps.emplace_back(int(kernel.code.size()), std::string(rest));
      rest = {};
    }
    if (opcode.starts_with("mov.b") && rest.find('{') != rest.npos) opcode += rest[0] == '{' ? ".split" : ".join";
    const std::string typed = opcode.substr(0, opcode.find(".split"));
    size_t index = 0;  // of an operand; a vector's elements have that of the vector
    while (!rest.empty()) {
      size_t length;
      if (rest[0] == '[') {
        length = rest.find(']') + 1;
        add(in, address(rest.substr(1, length - 2), in.offset));
        if (opcode.starts_with("cp.async") && in.offset) fault("an offset in %s", opcode.c_str());
      } else if (rest[0] == '{') {
        length = rest.find('}') + 1;
        const bool joins = opcode.ends_with(".join");
        for (std::string_view elements = rest.substr(1, length - 2); !elements.empty();) {
          const auto [element, more] = cut(elements, ',');
          add(in, operand(trimmed(element), joins ? opcode.starts_with("mov.b64") ? "u32" : "u16" : typed, index));
          elements = more;
        }
      } else {
        length = std::min(rest.find_first_of(",|"), rest.size());
        add(in, operand(trimmed(rest.substr(0, length)), typed, index));
      }
      rest = trimmed(rest.substr(length));
      if (!rest.empty()) rest = trimmed(rest.substr(1));
      ++index;
    }
    decode(opcode, in);
    if (in.kind == Kind::COLLECTIVE) {
      if (in.guarded) fault("a collective that not all lanes may execute");
      in.target = opcode.starts_with("shfl") ? 5 : opcode == "bar.warp.sync" ? 0 : -1;
    }
    kernel.code.push_back(in);
  }
  static void add(Instruction& in, Operand operand) {
    if (in.count == sizeof in.operands / sizeof in.operands[0]) fault("too many operands");
    in.operands[in.count++] = operand;
  }

  void parse_line(std::string_view text) {
    if (text.ends_with(":")) {
      labels[std::string(text.substr(0, text.size() - 1))] = int(kernel.code.size());
      return;
    }
    while (!text.empty()) {
      const auto [piece, rest] = cut(text, ';');
      std::string_view part = trimmed(piece);
      text = rest;
      while (part.starts_with("{") || part.starts_with("}")) part = trimmed(part.substr(1));
      if (part.empty() || part == ")") continue;
      if (part.starts_with(".reg")) declare(trimmed(part.substr(4)));
      else if (part.starts_with(".loc")) place_in_source(part.substr(4));
      else if (part[0] != '.') statement(part);  // other directives are for the assembler
    }
  }
  void place_in_source(std::string_view text) {
    const auto [first, rest] = cut(trimmed(text), ' ');
    file = int(integer(first));
    line = int(integer(cut(trimmed(rest), ' ').first));
  }

  void parse(std::string_view text, int first_line) {
    special("%tid", kernel.tid);
    special("%ctaid", kernel.ctaid);
    special("%ntid", kernel.ntid);
    special("%nctaid", kernel.nctaid);
    ptx_line = first_line;
    next_line(text);  // .entry NAME(
    for (bool body = false; !text.empty(); ++ptx_line) {
      const std::string_view at = next_line(text);
      if (at == "}") break;
      if (at.starts_with(".param")) parameter(trimmed(at.substr(6)));
      else if (at == "{") body = true;
      else if (body) parse_line(at);
    }
    for (const auto& [from, label] : jumps) {
      const auto found = labels.find(label);
      if (found == labels.end()) fault("there is no label %s", label.c_str());
      kernel.code[from].target = found->second;
    }
    kernel.constants.resize(kernel.register_bytes);
  }
};

}  // namespace

Module::Module(std::string_view text) {
  int line = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const char* begin = rest.data();
    const std::string_view at = next_line(rest);
    ++line;
    if (at.starts_with(".file")) {  // .file 1 "path"
      const auto [number, path] = cut(trimmed(at.substr(5)), ' ');
      const size_t slash = path.rfind('/') + 1;
      files_.resize(std::max(files_.size(), size_t(integer(number)) + 1));
      files_[size_t(integer(number))] = path.substr(slash, path.rfind('"') - slash);
    }
    const size_t entry = at.find(".entry ");
    if (entry == at.npos) continue;
    const std::string_view name = at.substr(entry + 7);
    entries_[std::string(trimmed(name.substr(0, name.find('('))))] = {text.substr(size_t(begin - text.data())), line};
  }
}

const Kernel& Module::kernel(const std::string& name) {
  std::unique_ptr<Kernel>& kernel = parsed_[name];
  if (kernel) return *kernel;
  const auto found = entries_.find(name);
  if (found == entries_.end()) fault("there is no kernel %s in the PTX", name.c_str());
  auto made = std::make_unique<Kernel>();
  made->name = name;
  made->files = &files_;
  Parser parser{*made, {}, {}, {}, {}, {}};
  try {
    parser.parse(found->second.first, found->second.second);
  } catch (const Fault& problem) {
    fault("%s, line %d of the PTX: %s", name.c_str(), parser.ptx_line, problem.text.c_str());
  }
  kernel = std::move(made);
  return *kernel;
}

}  // namespace ptx
