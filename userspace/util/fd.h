// SPDX-License-Identifier: Apache-2.0
// File descriptors: one type that owns and closes, none that closes what it does not own.
#pragma once

#include <dirent.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "util/result.h"

namespace memcrest {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset(std::exchange(other.fd_, -1));
    }
    return *this;
  }
  ~Fd() { reset(); }

  [[nodiscard]] int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1) {
    if (fd_ >= 0) {
      ::close(fd_);
    }
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

// Opens with O_CLOEXEC added.
[[nodiscard]] Result<Fd> open_file(const std::string& path, int flags, unsigned mode = 0);

// The whole of a small file, at most `limit` bytes (more is an error: EFBIG). Meant for /proc and cgroup files.
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::size_t limit = 1U << 20U);

// At most the first `limit` bytes of a file.
[[nodiscard]] Result<std::string> read_start(const std::string& path, std::size_t limit);

// Writes all of `text` with one open (no create); kernel control files take one write per value.
[[nodiscard]] Result<void> write_file(const std::string& path, const std::string& text);

}  // namespace memcrest
