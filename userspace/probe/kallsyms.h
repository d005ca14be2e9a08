// SPDX-License-Identifier: Apache-2.0
// Where one kernel function lies, for telling it in a kernel stack.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace memcrest {

struct AddressRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;  // exclusive
  [[nodiscard]] bool contains(std::uint64_t address) const { return address >= begin && address < end; }
};

// From <proc>/kallsyms. nullopt: no such function, or its address is hidden from this process.
[[nodiscard]] std::optional<AddressRange> find_kernel_function(const std::string& proc_root, const std::string& name);

[[nodiscard]] bool any_within(const std::vector<std::uint64_t>& stack, const AddressRange& range);

}  // namespace memcrest
