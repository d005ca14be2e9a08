// SPDX-License-Identifier: Apache-2.0
#include "symbol/demangle.h"

#include <algorithm>
#include <csetjmp>
#include <cstddef>
#include <cstring>

#define HAVE_DECL_BASENAME 1  // or the next one declares it in its own way
#include <libiberty/demangle.h>

namespace memcrest {
namespace {

constexpr std::size_t kLongestSymbol = 2048;
constexpr std::size_t kLongestName = 1024;

struct Text {
  char bytes[kLongestName];
  std::size_t used = 0;
  std::jmp_buf full;
};

// The printers cannot be told to stop. They are C, hold nothing but their stack, and are left by a jump.
void append(const char* piece, std::size_t length, void* opaque) {
  auto* out = static_cast<Text*>(opaque);
  const std::size_t fits = std::min(length, kLongestName - out->used);
  std::memcpy(out->bytes + out->used, piece, fits);
  out->used += fits;
  if (fits < length) {
    std::longjmp(out->full, 1);
  }
}

using Printer = int (*)(const char*, int, demangle_callbackref, void*);

// Apart, and without objects: nothing may have to be destroyed where the jump lands.
bool print(Printer printer, const char* symbol, int options, Text* out) {
  out->used = 0;
  if (setjmp(out->full) != 0) {
    return true;
  }
  return printer(symbol, options, append, out) != 0;
}

}  // namespace

std::string demangle(const std::string& symbol) {
  const bool mangled = symbol.starts_with("_Z") || symbol.starts_with("_R") || symbol.starts_with("__Z");
  if (!mangled || symbol.size() > kLongestSymbol) {
    return symbol.substr(0, kLongestName);
  }
  // Rust first: its legacy names are C++ names with a hash at their end.
  Text text;
  if (print(rust_demangle_callback, symbol.c_str(), 0, &text) ||
      print(cplus_demangle_v3_callback, symbol.c_str(), DMGL_PARAMS | DMGL_ANSI, &text)) {
    return {text.bytes, text.used};
  }
  return symbol.substr(0, kLongestName);
}

}  // namespace memcrest
