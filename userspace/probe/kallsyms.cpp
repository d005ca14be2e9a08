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

bool any_within(const std::vector<std::uint64_t>& stack, const AddressRange& range) {
  return std::ranges::any_of(stack, [&](std::uint64_t address) { return range.contains(address); });
}

}  // namespace memcrest
