// SPDX-License-Identifier: Apache-2.0
#include "util/fd.h"

#include <fcntl.h>

#include <algorithm>

namespace memcrest {

Result<Fd> open_file(const std::string& path, int flags, unsigned mode) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  if (fd < 0) {
    return fail_errno("open", path);
  }
  return Fd(fd);
}

Result<std::string> read_start(const std::string& path, std::size_t limit) {
  auto fd = open_file(path, O_RDONLY);
  if (!fd) {
    return std::unexpected(fd.error());
  }
  std::string text;
  char buffer[4096];
  while (text.size() < limit) {
    const ssize_t got = ::read(fd->get(), buffer, std::min(sizeof(buffer), limit - text.size()));
    if (got < 0) {
      if (errno == EINTR) {
        continue;
      }
      return fail_errno("read", path);
    }
    if (got == 0) {
      break;
    }
    text.append(buffer, static_cast<std::size_t>(got));
  }
  return text;
}

Result<std::string> read_file(const std::string& path, std::size_t limit) {
  auto text = read_start(path, limit + 1);
  if (text && text->size() > limit) {
    return fail("read", path, EFBIG);
  }
  return text;
}

Result<void> write_file(const std::string& path, const std::string& text) {
  auto fd = open_file(path, O_WRONLY);
  if (!fd) {
    return std::unexpected(fd.error());
  }
  const ssize_t put = ::write(fd->get(), text.data(), text.size());
  if (put < 0) {
    return fail_errno("write", path);
  }
  if (static_cast<std::size_t>(put) != text.size()) {
    return fail("write", path, EIO, "short write");
  }
  return {};
}

}  // namespace memcrest
