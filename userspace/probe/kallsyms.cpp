// SPDX-License-Identifier: Apache-2.0
#include "probe/kallsyms.h"

#include <algorithm>

#include "util/kernel_symbols.h"

namespace memcrest {

KernelFunctions find_kernel_functions(const std::string& proc_root) {
  KernelFunctions out;
  struct Wanted {
    const char* name;
    std::optional<AddressRange>* into;
  };
  const Wanted wanted[] = {{"mem_cgroup_out_of_memory", &out.memcg_oom},
                           {"moom_callback", &out.sysrq},
                           {"memory_max_write", &out.limit_write}};
  AddressRange open;
  std::optional<AddressRange>* into = nullptr;
  // Core kernel symbols are listed by rising address: the next higher one ends a function.
  for_each_kernel_symbol(proc_root, [&](const KernelSymbol& symbol) {
    if (into != nullptr && symbol.address > open.begin) {
      open.end = symbol.address;
      *into = open;
      into = nullptr;
    }
    const auto found = std::ranges::find(wanted, symbol.name, &Wanted::name);
    if (found != std::end(wanted) && !*found->into) {
      open.begin = symbol.address;
      into = found->into;
    }
  });
  return out;
}

std::string charging_function(const std::vector<std::string>& stack) {
  // Of tracing itself, and of every way into try_charge.
  constexpr std::string_view kSkipped[] = {"bpf_",         "__bpf_",      "trace_",       "__traceiter", "arch_rethook",
                                           "rethook",      "kretprobe",   "__kretprobe",  "get_perf",    "try_charge",
                                           "charge_memcg", "mem_cgroup",  "__mem_cgroup", "obj_cgroup",  "memcg_",
                                           "__memcg",      "ftrace",      "perf_",        "ksys_",       "stack_trace",
                                           "refill_obj",   "current_obj", "consume_obj"};
  constexpr std::string_view kCalls[] = {"__x64_sys_", "__arm64_sys_", "__se_sys_", "__do_sys_"};
  std::string first;
  for (const std::string& name : stack) {
    if (first.empty() && !name.empty() &&
        std::ranges::none_of(kSkipped, [&](std::string_view one) { return name.starts_with(one); })) {
      first = name;
    }
    for (const std::string_view prefix : kCalls) {
      if (name.starts_with(prefix)) {
        return first + " (" + name.substr(prefix.size()) + ")";
      }
    }
  }
  return first;
}

bool any_within(const std::vector<std::uint64_t>& stack, const AddressRange& range) {
  return std::ranges::any_of(stack, [&](std::uint64_t address) { return range.contains(address); });
}

}  // namespace memcrest
