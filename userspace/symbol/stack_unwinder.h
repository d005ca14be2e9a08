// SPDX-License-Identifier: Apache-2.0
// From a copy of a stack to return addresses, by the call frame information of the code that it came through; along
// frame pointers where code has none (made at run time, Go). Of one thread. Bounded; x86-64.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "memcrest/event.h"
#include "symbol/code_place.h"
#include "symbol/eh_frame.h"

namespace memcrest {

// Registers of one frame, and the stack that they point into. Pure.
struct UnwindFrame {
  std::array<std::uint64_t, kUnwindRegisters> registers{};
};

// The caller's frame by this row. nullopt: there is none, or the copy does not reach so far.
[[nodiscard]] std::optional<UnwindFrame> caller_of(const UnwindFrame& frame, const UnwindRow& row,
                                                   const StackCopy& copy);
// The same where the code keeps frame pointers.
[[nodiscard]] std::optional<UnwindFrame> caller_by_pointer(const UnwindFrame& frame, const StackCopy& copy);

class StackUnwinder {
 public:
  // The code of the process, with the file around this address open; nullptr: nothing is known.
  using CodeOf = std::function<const ProcessCode*(std::uint64_t address)>;

  // Innermost first, `deepest` at most; empty: the copy is of no use.
  [[nodiscard]] std::vector<std::uint64_t> unwind(const StackCopy& copy, const CodeOf& code_of, std::size_t deepest);

 private:
  [[nodiscard]] const std::optional<UnwindRow>& row_at(const std::shared_ptr<Module>& module, std::uint64_t address);

  struct Rows {
    std::shared_ptr<Module> module;  // keeps its address its own
    std::map<std::uint64_t, std::optional<UnwindRow>> by_address;
  };
  std::map<const Module*, Rows> rows_;
  std::size_t rows_known_ = 0;
};

}  // namespace memcrest
