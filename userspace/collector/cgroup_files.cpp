// SPDX-License-Identifier: Apache-2.0
#include "collector/cgroup_files.h"

#include <fcntl.h>

#include <algorithm>
#include <charconv>

namespace memcrest {
namespace {

constexpr int kLevelsUp = 16;  // no real hierarchy is deeper; a hostile one must not make us read for ever

// The file's text as far as it fits, read with one call: the kernel builds small files whole.
std::string_view reread(const Fd& file, char* buffer, std::size_t size) {
  const ssize_t got = ::pread(file.get(), buffer, size, 0);
  return got > 0 ? std::string_view(buffer, static_cast<std::size_t>(got)) : std::string_view{};
}

std::optional<std::uint64_t> leading_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = end == text.data() + text.size() || *end == '\n';
  return error == std::errc{} && whole ? std::optional(number) : std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> value_of(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ') {
      return leading_number(line.substr(key.size() + 1));
    }
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
  return std::nullopt;
}

std::optional<std::uint64_t> reread_number(const Fd& file) {
  char buffer[32];
  return leading_number(reread(file, buffer, sizeof(buffer)));
}

Fd open_control(const CgroupTree& tree, const std::string& path, const char* file) {
  const auto folder = tree.dir_of(path);
  auto opened = folder ? open_file(*folder + "/" + file, O_RDONLY) : Result<Fd>(Fd{});
  return opened ? std::move(*opened) : Fd{};
}

std::optional<std::string> read_control(const CgroupTree& tree, const std::string& path, const char* file) {
  const Fd opened = open_control(tree, path, file);
  if (!opened) {
    return std::nullopt;
  }
  char buffer[4096];
  return std::string(reread(opened, buffer, sizeof(buffer)));
}

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (path.size() <= 1 || slash == std::string::npos) {
    return {};
  }
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::optional<std::uint64_t> lowest_limit(const CgroupTree& tree, const std::string& path) {
  std::optional<std::uint64_t> lowest;
  std::string up = path;
  for (int level = 0; level < kLevelsUp && up.size() > 1; ++level, up = parent_of(up)) {
    const auto limit = tree.read_number(up, tree.limit_file());
    if (limit && *limit && (!lowest || **limit < *lowest)) {
      lowest = *limit;
    }
  }
  return lowest;
}

}  // namespace memcrest
