// SPDX-License-Identifier: Apache-2.0
#include "identity/cgroup_folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>

namespace memcrest {
namespace {

// v1 writes "no limit" as LONG_MAX rounded down to pages; nothing real comes near half of it.
constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 62U;

}  // namespace

Result<CgroupFolder> CgroupFolder::open(const CgroupTree& tree, const std::string& path) {
  const auto directory = tree.dir_of(path);
  if (!directory) {
    return fail("open", path, ENOENT, "not in the part of the hierarchy that is mounted here");
  }
  auto opened = open_file(*directory, O_PATH | O_DIRECTORY);
  if (!opened) {
    return std::unexpected(opened.error());
  }
  return CgroupFolder(std::move(*opened), *directory);
}

Result<std::string> CgroupFolder::read(const char* file) const {
  const Fd opened(::openat(fd_.get(), file, O_RDONLY | O_CLOEXEC));
  if (!opened) {
    return fail_errno("open", name_ + "/" + file);
  }
  // The kernel builds small files whole, for one call.
  char buffer[4096];
  const ssize_t got = ::pread(opened.get(), buffer, sizeof(buffer), 0);
  if (got < 0) {
    return fail_errno("read", name_ + "/" + file);
  }
  return std::string(buffer, static_cast<std::size_t>(got));
}

Result<std::optional<std::uint64_t>> CgroupFolder::read_number(const char* file) const {
  const auto text = read(file);
  return text ? control_number(*text, name_ + "/" + file) : std::unexpected(text.error());
}

Result<std::optional<std::uint64_t>> control_number(std::string_view text, const std::string& name) {
  const std::string_view value = text.substr(0, text.find('\n'));
  if (value == "max") {
    return std::nullopt;
  }
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size()) {
    return fail("read", name, EBADMSG, "not one number");
  }
  return number >= kNoLimit ? std::nullopt : std::optional(number);
}

}  // namespace memcrest
