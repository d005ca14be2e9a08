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

std::optional<AddressRange> find_kernel_function(const std::string& proc_root, const std::string& name) {
  std::ifstream file(proc_root + "/kallsyms");
  std::string line;
  AddressRange range;
  // Core kernel symbols are listed by rising address: the next higher one ends ours.
  while (std::getline(file, line)) {
    const auto address = address_of(line);
    if (!address) {
      continue;
    }
    if (range.begin != 0 && *address > range.begin) {
      range.end = *address;
      return range;
    }
    if (range.begin == 0 && name_of(line) == name) {
      if (*address == 0) {
        return std::nullopt;
      }
      range.begin = *address;
    }
  }
  return std::nullopt;
}

bool any_within(const std::vector<std::uint64_t>& stack, const AddressRange& range) {
  return std::ranges::any_of(stack, [&](std::uint64_t address) { return range.contains(address); });
}

}  // namespace memcrest
