// SPDX-License-Identifier: Apache-2.0
#include "symbol/process_maps.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>

namespace memcrest {
namespace {

constexpr std::size_t kMaxMappings = 4096;

// Takes a number from the front of `text`, and the one character behind it.
bool number(std::string_view& text, std::uint64_t& out, int base, char after) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  const auto used = static_cast<std::size_t>(end - text.data());
  if (error != std::errc{} || used >= text.size() || text[used] != after) {
    return false;
  }
  text.remove_prefix(used + 1);
  return true;
}

// "begin-end rwxp offset major:minor inode   path"
std::optional<CodeMapping> code_mapping(std::string_view line) {
  CodeMapping out;
  std::uint64_t major = 0;
  std::uint64_t minor = 0;
  std::string_view rest = line;
  if (!number(rest, out.begin, 16, '-') || !number(rest, out.end, 16, ' ') || rest.size() < 5 || rest[2] != 'x' ||
      rest[4] != ' ') {
    return std::nullopt;
  }
  rest.remove_prefix(5);
  if (!number(rest, out.offset, 16, ' ') || !number(rest, major, 16, ':') || !number(rest, minor, 16, ' ')) {
    return std::nullopt;
  }
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), out.inode);
  if (error != std::errc{} || out.begin >= out.end) {
    return std::nullopt;
  }
  rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  constexpr std::string_view kDeleted = " (deleted)";
  out.path = rest.ends_with(kDeleted) ? rest.substr(0, rest.size() - kDeleted.size()) : rest;
  return out;
}

}  // namespace

std::vector<CodeMapping> parse_code_mappings(std::string_view maps) {
  std::vector<CodeMapping> out;
  while (!maps.empty() && out.size() < kMaxMappings) {
    const auto end = std::min(maps.find('\n'), maps.size());
    if (auto one = code_mapping(maps.substr(0, end))) {
      out.push_back(std::move(*one));
    }
    maps.remove_prefix(std::min(end + 1, maps.size()));
  }
  std::ranges::sort(out, {}, &CodeMapping::begin);
  return out;
}

const CodeMapping* find_mapping(const std::vector<CodeMapping>& mappings, std::uint64_t address) {
  const auto after = std::ranges::upper_bound(mappings, address, {}, &CodeMapping::begin);
  return after == mappings.begin() || address >= std::prev(after)->end ? nullptr : &*std::prev(after);
}

}  // namespace memcrest
