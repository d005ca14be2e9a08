// SPDX-License-Identifier: Apache-2.0
#include "util/kernel_symbols.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <iterator>

#include "util/fd.h"

namespace memcrest {

namespace {

constexpr std::size_t kMaxFunctions = 16384;  // remembered

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

bool for_each_kernel_symbol(const std::string& proc_root, const std::function<void(const KernelSymbol&)>& take) {
  const auto file = open_file(proc_root + "/kallsyms", O_RDONLY);
  std::string piece(1U << 18U, '\0');
  std::size_t held = 0;  // an unfinished line at the front of the piece
  while (file) {
    const ssize_t got = ::read(file->get(), piece.data() + held, piece.size() - held);
    if (got <= 0) {
      take_line(std::string_view(piece).substr(0, held), take);
      return got == 0;
    }
    std::string_view rest = std::string_view(piece).substr(0, held + static_cast<std::size_t>(got));
    for (auto end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
      take_line(rest.substr(0, end), take);
      rest.remove_prefix(end + 1);
    }
    held = rest.size() < piece.size() ? rest.size() : 0;  // no line is that long
    std::memmove(piece.data(), rest.data(), held);
  }
  return false;
}

bool KernelNames::knows(std::uint64_t address) const {
  if (!complete_) {
    return false;
  }
  // Modules and BPF programs lie outside of the core kernel's text, and the symbol before them is none of theirs.
  if (address < text_begin_ || address >= text_end_) {
    return true;
  }
  const auto after = functions_.upper_bound(address);
  return after != functions_.begin() && address < std::prev(after)->second.end;
}

void KernelNames::read(std::vector<std::uint64_t> addresses) {
  std::ranges::sort(addresses);
  std::uint64_t before = 0;
  std::string name_before;
  const bool whole = for_each_kernel_symbol(proc_root_, [&](const KernelSymbol& symbol) {
    if (symbol.in_module || symbol.address <= before) {  // of several names the first counts
      return;
    }
    text_begin_ = symbol.name == "_stext" ? symbol.address : text_begin_;
    text_end_ = symbol.name == "_etext" ? symbol.address : text_end_;
    const auto first = std::ranges::lower_bound(addresses, before);
    if (first != addresses.end() && *first < symbol.address) {
      functions_.insert_or_assign(before, Function{symbol.address, name_before});
    }
    before = symbol.address;
    name_before = symbol.name;
  });
  ++passes_;
  complete_ = complete_ || whole;
}

std::vector<std::string> KernelNames::at(const std::vector<std::uint64_t>& addresses) {
  std::vector<std::uint64_t> unknown;
  std::ranges::copy_if(addresses, std::back_inserter(unknown), [this](std::uint64_t one) { return !knows(one); });
  if (!unknown.empty()) {
    if (functions_.size() + unknown.size() > kMaxFunctions) {
      functions_.clear();
      unknown = addresses;
    }
    read(std::move(unknown));
  }
  std::vector<std::string> out;
  out.reserve(addresses.size());
  for (const std::uint64_t address : addresses) {
    const auto after = functions_.upper_bound(address);
    const bool inside = address >= text_begin_ && address < text_end_ && after != functions_.begin() &&
                        address < std::prev(after)->second.end;
    out.push_back(inside ? std::prev(after)->second.name : std::string());
  }
  return out;
}

std::vector<std::string> kernel_function_names(const std::string& proc_root,
                                               const std::vector<std::uint64_t>& addresses) {
  return KernelNames(proc_root).at(addresses);
}

}  // namespace memcrest
