// SPDX-License-Identifier: Apache-2.0
// The kernel's own list of its functions, <proc>/kallsyms, read once through: nothing of it is kept.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace memcrest {

struct KernelSymbol {
  std::uint64_t address = 0;
  std::string_view name;   // valid during the call only
  bool in_module = false;  // or a BPF program: not in the order of addresses
};

// In the file's order: symbols of the core kernel come by rising address. Those whose address is hidden from this
// process (CAP_SYSLOG) are left out. It takes the kernel some 50 ms to write the file.
void for_each_kernel_symbol(const std::string& proc_root, const std::function<void(const KernelSymbol&)>& take);

// Names of the core kernel's functions that these addresses lie in, "" for one that is not known or lies elsewhere. One
// pass over <proc>/kallsyms, which takes the kernel some 50 ms to write: not for every record.
[[nodiscard]] std::vector<std::string> kernel_function_names(const std::string& proc_root,
                                                             const std::vector<std::uint64_t>& addresses);

}  // namespace memcrest
