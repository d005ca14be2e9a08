// SPDX-License-Identifier: Apache-2.0
#include "util/kernel_symbols.h"

#include <charconv>
#include <fstream>

namespace memcrest {

// "ffffffff81234560 t name [module]"
void for_each_kernel_symbol(const std::string& proc_root, const std::function<void(const KernelSymbol&)>& take) {
  std::ifstream file(proc_root + "/kallsyms");
  std::string line;
  while (std::getline(file, line)) {
    KernelSymbol symbol;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), symbol.address, 16);
    const auto type = line.find(' ');
    if (error != std::errc{} || end == line.data() || symbol.address == 0 || type == std::string::npos ||
        type + 3 > line.size()) {
      continue;
    }
    const auto begin = type + 3;
    symbol.name = std::string_view(line).substr(begin, line.find_first_of(" \t", begin) - begin);
    symbol.in_module = line.contains('[');
    take(symbol);
  }
}

std::vector<std::string> kernel_function_names(const std::string& proc_root,
                                               const std::vector<std::uint64_t>& addresses) {
  std::vector<std::string> out(addresses.size());
  std::vector<std::uint64_t> best(addresses.size(), 0);
  std::uint64_t text_begin = 0;
  std::uint64_t text_end = 0;
  for_each_kernel_symbol(proc_root, [&](const KernelSymbol& symbol) {
    if (symbol.in_module) {
      return;
    }
    text_begin = symbol.name == "_stext" ? symbol.address : text_begin;
    text_end = symbol.name == "_etext" ? symbol.address : text_end;
    for (std::size_t i = 0; i < addresses.size(); ++i) {
      if (symbol.address <= addresses[i] && symbol.address > best[i]) {
        best[i] = symbol.address;
        out[i] = symbol.name;
      }
    }
  });
  // Modules and BPF programs lie outside of the core kernel's text, and the symbol before them is none of theirs.
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    if (addresses[i] < text_begin || addresses[i] >= text_end) {
      out[i].clear();
    }
  }
  return out;
}

}  // namespace memcrest
