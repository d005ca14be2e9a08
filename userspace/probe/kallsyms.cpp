// SPDX-License-Identifier: Apache-2.0
#include "probe/kallsyms.h"

#include <algorithm>
#include <charconv>
#include <fstream>

namespace memcrest {
namespace {

// "ffffffff81234560 t name [module]"
std::optional<std::uint64_t> address_of(const std::string& line) {
  std::uint64_t address = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), address, 16);
  if (error != std::errc{} || end == line.data()) {
    return std::nullopt;
  }
  return address;
}

std::string name_of(const std::string& line) {
  const auto type = line.find(' ');
  if (type == std::string::npos || type + 3 > line.size()) {
    return {};
  }
  const auto begin = type + 3;
  return line.substr(begin, line.find_first_of(" \t", begin) - begin);
}

}  // namespace

KernelFunctions find_kernel_functions(const std::string& proc_root) {
  KernelFunctions out;
  struct Wanted {
    const char* name;
    std::optional<AddressRange>* into;
  };
  // filemap_add_folio is add_to_page_cache_lru before 5.16.
  const Wanted wanted[] = {{"mem_cgroup_out_of_memory", &out.memcg_oom},
                           {"moom_callback", &out.sysrq},
                           {"memory_max_write", &out.limit_write},
                           {"filemap_add_folio", &out.page_cache},
                           {"add_to_page_cache_lru", &out.page_cache}};
  std::ifstream file(proc_root + "/kallsyms");
  std::string line;
  AddressRange open;
  std::optional<AddressRange>* into = nullptr;
  // Core kernel symbols are listed by rising address: the next higher one ends a function.
  while (std::getline(file, line)) {
    const auto address = address_of(line);
    if (!address || *address == 0) {
      continue;
    }
    if (into != nullptr && *address > open.begin) {
      open.end = *address;
      *into = open;
      into = nullptr;
    }
    const std::string name = name_of(line);
    const auto found = std::ranges::find(wanted, name, &Wanted::name);
    if (found != std::end(wanted) && !*found->into) {
      open.begin = *address;
      into = found->into;
    }
  }
  return out;
}

std::vector<std::string> kernel_function_names(const std::string& proc_root,
                                               const std::vector<std::uint64_t>& addresses) {
  std::vector<std::string> out(addresses.size());
  std::vector<std::uint64_t> best(addresses.size(), 0);
  std::ifstream file(proc_root + "/kallsyms");
  std::string line;
  AddressRange text;
  while (std::getline(file, line)) {
    const auto address = address_of(line);
    if (!address || *address == 0 || line.contains('[')) {
      continue;
    }
    const std::string name = name_of(line);
    text.begin = name == "_stext" ? *address : text.begin;
    text.end = name == "_etext" ? *address : text.end;
    for (std::size_t i = 0; i < addresses.size(); ++i) {
      if (*address <= addresses[i] && *address > best[i]) {
        best[i] = *address;
        out[i] = name;
      }
    }
  }
  // Modules and BPF programs lie outside of the core kernel's text, and the symbol before them is none of theirs.
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    if (!text.contains(addresses[i])) {
      out[i].clear();
    }
  }
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
