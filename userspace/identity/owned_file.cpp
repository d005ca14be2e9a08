// SPDX-License-Identifier: Apache-2.0
#include "identity/owned_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>

#include "util/fd.h"

namespace memcrest {
namespace {

Result<Fd> open_below(const Fd& root, const std::string& path, std::uint64_t flags, std::uint64_t resolve) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = resolve | RESOLVE_NO_MAGICLINKS;
  const long fd = ::syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof(how));
  if (fd < 0) {
    return fail_errno("open", path);
  }
  return Fd(static_cast<int>(fd));
}

const char* why_not(const struct stat& info, uid_t owner) {
  if (!S_ISREG(info.st_mode)) {
    return "not a regular file";
  }
  if (info.st_uid != owner) {
    return "it does not belong to whom the container belongs to";
  }
  return (info.st_mode & S_IWOTH) != 0 ? "anybody may write it" : nullptr;
}

}  // namespace

Result<Fd> open_directory(const std::string& path) { return open_file(path, O_PATH | O_DIRECTORY); }

Result<Fd> open_directory_below(const Fd& root, const std::string& path, Symlinks symlinks) {
  const std::size_t begin = std::min(path.find_first_not_of('/'), path.size());
  const std::string rest = begin == path.size() ? "." : path.substr(begin);
  return open_below(root, rest, O_PATH | O_DIRECTORY,
                    symlinks == Symlinks::kRefuse ? RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS : RESOLVE_IN_ROOT);
}

Result<Fd> open_parent(const Fd& directory) {
  const int fd = ::openat(directory.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    return fail_errno("open", "..");
  }
  return Fd(fd);
}

std::vector<std::string> names_in(const Fd& directory, std::size_t limit) {
  std::vector<std::string> names;
  const int fd = ::openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    return names;
  }
  const Directory dir(::fdopendir(fd));
  if (!dir) {
    ::close(fd);
    return names;
  }
  while (names.size() < limit) {
    const dirent* const entry = ::readdir(dir.get());
    if (entry == nullptr) {
      break;
    }
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") {
      names.emplace_back(name);
    }
  }
  return names;
}

Result<uid_t> owner_of(const Fd& file) {
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) {
    return fail_errno("look at", {});
  }
  return info.st_uid;
}

Result<Fd> open_owned(const Fd& directory, const std::string& path, uid_t owner) {
  auto found = open_below(directory, path, O_PATH, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
  if (!found) {
    return found;
  }
  struct stat info{};
  if (::fstat(found->get(), &info) != 0) {
    return fail_errno("look at", path);
  }
  if (const char* const reason = why_not(info, owner)) {
    return fail("open", path, S_ISREG(info.st_mode) ? EPERM : EINVAL, reason);
  }
  // The very file that was looked at, whatever its name leads to by now. This process's own /proc, wherever the
  // host's is.
  auto file = open_file("/proc/self/fd/" + std::to_string(found->get()), O_RDONLY | O_NONBLOCK | O_NOCTTY);
  return file ? std::move(file) : fail("open", path, file.error().code);
}

Result<std::string> read_owned(const Fd& directory, const std::string& path, uid_t owner, std::size_t limit) {
  const auto file = open_owned(directory, path, owner);
  if (!file) {
    return std::unexpected(file.error());
  }
  std::string text;
  std::array<char, 16384> buffer{};
  while (true) {
    const ssize_t got = ::read(file->get(), buffer.data(), buffer.size());
    if (got < 0 && errno != EINTR) {
      return fail_errno("read", path);
    }
    if (got == 0) {
      return text;
    }
    if (got > 0) {
      text.append(buffer.data(), static_cast<std::size_t>(got));
    }
    if (text.size() > limit) {
      return fail("read", path, EFBIG, "more than " + std::to_string(limit) + " bytes");
    }
  }
}

}  // namespace memcrest
