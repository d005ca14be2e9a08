// SPDX-License-Identifier: Apache-2.0
// DWARF expressions of call frame information, as far as compilers use them there (procedure linkage tables, stacks
// that are aligned anew, frames of signals). Pure; bytes and memory are not trusted, work is bounded by their length.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "memcrest/event.h"
#include "symbol/eh_frame.h"

namespace memcrest {

// nullopt: not within the copy.
[[nodiscard]] std::optional<std::uint64_t> word_at(const StackCopy& copy, std::uint64_t address);

// `first` lies on the stack of the expression when it begins. nullopt: an operation that is not known, or memory that
// is not there.
[[nodiscard]] std::optional<std::uint64_t> evaluate(std::string_view expression,
                                                    const std::array<std::uint64_t, kUnwindRegisters>& registers,
                                                    const StackCopy& copy, std::optional<std::uint64_t> first);

}  // namespace memcrest
