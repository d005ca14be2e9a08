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

// Functions whose presence in a kernel stack says what was going on. Unset: this kernel has no such function, or its
// address is hidden from this process (CAP_SYSLOG).
struct KernelFunctions {
  std::optional<AddressRange> memcg_oom;    // the OOM of a memory cgroup
  std::optional<AddressRange> sysrq;        // sysrq-f
  std::optional<AddressRange> limit_write;  // memory.max is being written
};

// One pass over <proc>/kallsyms.
[[nodiscard]] KernelFunctions find_kernel_functions(const std::string& proc_root);

// Who wanted memory, from the names of a kernel stack, innermost first: the first function that is not part of
// charging, and the system call if there is one: "alloc_pipe_info (pipe2)". Empty: not known.
[[nodiscard]] std::string charging_function(const std::vector<std::string>& stack);

[[nodiscard]] bool any_within(const std::vector<std::uint64_t>& stack, const AddressRange& range);

}  // namespace memcrest
