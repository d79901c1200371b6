// What the host side of the ops shares, on CUDA and under simt.
#pragma once
#include <stddef.h>

#include "warpbert.h"

// Stores the text for wb_last_error, and returns `status`.
wb_status fail(wb_status status, const char* format, ...) __attribute__((format(printf, 2, 3)));

// Multiprocessors of the context's device: what a grid is sized by where its work is one long loop.
int processors(wb_context* ctx);

// Bytes of shared memory that a block may have.
size_t shared_memory(wb_context* ctx);
