// The one exported symbol: the table of every op, and the text of the last failure.
#include <stdarg.h>
#include <stdio.h>

#include "backend.h"

namespace {
#ifdef WB_SIMT
constexpr const char* BACKEND = "simt";
#else
constexpr const char* BACKEND = "cuda";
#endif
thread_local char error_text[1024];
const char* last_error() { return error_text; }
}  // namespace

wb_status fail(wb_status status, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(error_text, sizeof error_text, format, arguments);
  va_end(arguments);
  return status;
}

#define WB_ENTRY(name) wb_##name,
extern "C" const wb_ops* wb_backend(void) {
  static const wb_ops table = {WB_ABI, BACKEND, last_error, WB_FUNCTIONS(WB_ENTRY)};
  return &table;
}
