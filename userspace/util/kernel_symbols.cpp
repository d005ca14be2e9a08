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

}  // namespace memcrest
