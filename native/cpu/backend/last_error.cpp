// The text of the last failure, per thread.
#include <cstdarg>
#include <cstdio>

#include "context.h"

namespace warpbert {

static thread_local char text[512];

wb_status fail(wb_status status, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return status;
}

const char* host::last_error() { return text; }

}  // namespace warpbert
