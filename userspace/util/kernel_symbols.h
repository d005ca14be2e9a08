// SPDX-License-Identifier: Apache-2.0
// The kernel's own list of its functions, <proc>/kallsyms: read through when something new is asked for, and only what
// was asked for is kept.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
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
// process (CAP_SYSLOG) are left out. It takes the kernel some 50 ms to write the file. False: not all of it was read.
bool for_each_kernel_symbol(const std::string& proc_root, const std::function<void(const KernelSymbol&)>& take);

// Names of the core kernel's functions. A function that was met is remembered with where it begins and ends, so another
// address in it costs no pass; the stacks of a machine at work meet few that are new. One thread.
class KernelNames {
 public:
  explicit KernelNames(std::string proc_root) : proc_root_(std::move(proc_root)) {}

  // The function that each of these addresses lies in, "" for one that is not known or lies elsewhere. At most one pass
  // over <proc>/kallsyms.
  [[nodiscard]] std::vector<std::string> at(const std::vector<std::uint64_t>& addresses);
  // Whether nothing has to be read to name it. After the first pass all that lies elsewhere is known too.
  [[nodiscard]] bool knows(std::uint64_t address) const;
  [[nodiscard]] std::size_t passes() const { return passes_; }

 private:
  struct Function {
    std::uint64_t end = 0;  // the first address that is not of it
    std::string name;
  };
  void read(std::vector<std::uint64_t> addresses);

  std::string proc_root_;
  std::map<std::uint64_t, Function> functions_;  // by where they begin
  std::uint64_t text_begin_ = 0;                 // both 0: the addresses are hidden
  std::uint64_t text_end_ = 0;
  std::size_t passes_ = 0;
  bool complete_ = false;  // one pass came to the end of the file
};

// The same for once.
[[nodiscard]] std::vector<std::string> kernel_function_names(const std::string& proc_root,
                                                             const std::vector<std::uint64_t>& addresses);

}  // namespace memcrest
