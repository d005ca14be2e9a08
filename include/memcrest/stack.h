// SPDX-License-Identifier: Apache-2.0
// Call stacks of memory growth: as addresses, as the hooks saw them, and with names. Plain values. Names, modules and
// files come from the memory and the files of other processes and may hold any byte.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "memcrest/event.h"

namespace memcrest {

// Growth that one process made from one place.
struct StackGrowth {
  ProcessKey process;
  std::string comm;
  MemoryKind kind = MemoryKind::kUnknown;
  std::vector<std::uint64_t> user_stack;    // innermost first
  std::vector<std::uint64_t> kernel_stack;  // innermost first
  std::uint64_t bytes = 0;
};

struct Frame {
  std::string name;    // demangled; empty: not known
  std::string module;  // path of the file as its process has it, "[kernel]", "[vdso]", "[jit]"; empty: not known
  std::string file;    // of the source; empty: not known
  std::uint32_t line = 0;
  std::string build_id;  // in hex
  // In the module's file, and of the call, which lies before the return address. 0 in the kernel and in JIT code.
  std::uint64_t offset = 0;
  bool inlined = false;  // into the next frame
  auto operator<=>(const Frame&) const = default;
};

// What became of one StackGrowth.
struct NamedStack {
  std::vector<Frame> frames;  // innermost first: of the kernel what says why, then those of user space
  // Why it may lack callers, or names: "code without frame pointers". Empty: it is whole.
  std::string gap;
};

struct StackNames {
  bool pending = false;            // ask again
  std::vector<NamedStack> stacks;  // in the order of what was asked; fewer when the rest could not be had
  std::vector<std::string> hints;  // what to switch on to see more, in words
  std::string gap;                 // why there is less than there could be; empty: nothing is missing
};

// What lies at an address of a process; of the kernel where `process` is none.
struct CodeName {
  ProcessKey process;
  std::uint64_t address = 0;
  Frame frame;
};

// The module of an address that was taken for a return address and is none: it and its callers tell nothing.
inline constexpr const char* kNoCode = "[no code]";

}  // namespace memcrest
