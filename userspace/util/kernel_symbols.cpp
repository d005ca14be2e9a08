// SPDX-License-Identifier: Apache-2.0
#include "util/kernel_symbols.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <numeric>

#include "util/fd.h"

namespace memcrest {

namespace {

// "ffffffff81234560 t name [module]"
void take_line(std::string_view line, const std::function<void(const KernelSymbol&)>& take) {
  KernelSymbol symbol;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), symbol.address, 16);
  const auto type = static_cast<std::size_t>(end - line.data());
  if (error != std::errc{} || type == 0 || symbol.address == 0 || type + 3 > line.size() || line[type] != ' ') {
    return;
  }
  const auto begin = type + 3;
  symbol.name = line.substr(begin, line.find_first_of(" \t", begin) - begin);
  symbol.in_module = line.back() == ']';
  take(symbol);
}

}  // namespace

void for_each_kernel_symbol(const std::string& proc_root, const std::function<void(const KernelSymbol&)>& take) {
  const auto file = open_file(proc_root + "/kallsyms", O_RDONLY);
  std::string piece(1U << 18U, '\0');
  std::size_t held = 0;  // an unfinished line at the front of the piece
  while (file) {
    const ssize_t got = ::read(file->get(), piece.data() + held, piece.size() - held);
    if (got <= 0) {
      take_line(std::string_view(piece).substr(0, held), take);
      return;
    }
    std::string_view rest = std::string_view(piece).substr(0, held + static_cast<std::size_t>(got));
    for (auto end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
      take_line(rest.substr(0, end), take);
      rest.remove_prefix(end + 1);
    }
    held = rest.size() < piece.size() ? rest.size() : 0;  // no line is that long
    std::memmove(piece.data(), rest.data(), held);
  }
}

std::vector<std::string> kernel_function_names(const std::string& proc_root,
                                               const std::vector<std::uint64_t>& addresses) {
  std::vector<std::string> out(addresses.size());
  std::vector<std::size_t> by_address(addresses.size());
  std::iota(by_address.begin(), by_address.end(), std::size_t{0});
  std::ranges::sort(by_address, {}, [&](std::size_t i) { return addresses[i]; });
  std::uint64_t text_begin = 0;
  std::uint64_t text_end = 0;
  std::uint64_t before = 0;
  std::string name_before;
  for_each_kernel_symbol(proc_root, [&](const KernelSymbol& symbol) {
    if (symbol.in_module || symbol.address <= before) {  // of several names the first counts
      return;
    }
    text_begin = symbol.name == "_stext" ? symbol.address : text_begin;
    text_end = symbol.name == "_etext" ? symbol.address : text_end;
    auto at = std::ranges::lower_bound(by_address, before, {}, [&](std::size_t i) { return addresses[i]; });
    for (; at != by_address.end() && addresses[*at] < symbol.address; ++at) {
      out[*at] = name_before;
    }
    before = symbol.address;
    name_before = symbol.name;
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
