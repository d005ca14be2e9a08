// SPDX-License-Identifier: Apache-2.0
#include "app/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

namespace memcrest {
namespace {

constexpr std::size_t kBuffer = 256U << 10U;

}  // namespace

OutputFile::OutputFile(OutputFile&& other) noexcept
    : owned_(std::move(other.owned_)),
      fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      replaces_(other.replaces_),
      temporary_(std::exchange(other.temporary_, {})),
      waiting_(std::move(other.waiting_)),
      bytes_(other.bytes_),
      error_(std::move(other.error_)) {}

OutputFile OutputFile::of_stream(int fd, std::string name) {
  OutputFile out;
  out.fd_ = fd;
  out.path_ = std::move(name);
  return out;
}

Result<OutputFile> OutputFile::open_stream(const std::string& path) {
  auto fd = open_file(path, O_WRONLY);
  if (!fd) {
    return std::unexpected(fd.error());
  }
  OutputFile out;
  out.path_ = path;
  out.owned_ = std::move(*fd);
  out.fd_ = out.owned_.get();
  return out;
}

Result<OutputFile> OutputFile::open_beside(const std::string& path) {
  const auto slash = path.rfind('/');
  const std::size_t name = slash == std::string::npos ? 0 : slash + 1;
  std::string beside = path.substr(0, name) + "." + path.substr(name) + ".XXXXXX";
  const int fd = ::mkostemp(beside.data(), O_CLOEXEC);  // 0600
  if (fd < 0) {
    return fail_errno("create", path);
  }
  OutputFile out;
  out.path_ = path;
  out.owned_.reset(fd);
  out.fd_ = fd;
  out.temporary_ = std::move(beside);
  return out;
}

Result<OutputFile> OutputFile::create(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode))) {
    return open_stream(path);
  }
  if (::lstat(path.c_str(), &status) == 0) {
    return fail("create", path, EEXIST, "give another name, or remove it");
  }
  return open_beside(path);
}

// The links below /dev and /proc stand for what is open already: to rename over one would take it from everybody.
Result<OutputFile> OutputFile::replace(const std::string& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) {
    return create(path);
  }
  const bool link = S_ISLNK(status.st_mode);
  if (link && ::stat(path.c_str(), &status) != 0) {
    return fail_errno("write", path);
  }
  if (!S_ISREG(status.st_mode) || path.starts_with("/dev/") || path.starts_with("/proc/")) {
    return open_stream(path);
  }
  std::error_code failed;
  const std::string target = link ? std::filesystem::canonical(path, failed).string() : path;
  if (failed) {
    return fail("write", path, failed.value());
  }
  auto out = open_beside(target);
  if (out) {
    out->replaces_ = true;
  }
  return out;
}

OutputFile::~OutputFile() {
  if (!temporary_.empty()) {
    ::unlink(temporary_.c_str());
  }
}

void OutputFile::write(std::string_view bytes) {
  if (error_) {
    return;
  }
  waiting_ += bytes;
  if (waiting_.size() >= kBuffer) {
    flush();
  }
}

void OutputFile::flush() {
  std::string_view rest = waiting_;
  while (!rest.empty() && !error_) {
    const ssize_t done = ::write(fd_, rest.data(), rest.size());
    if (done >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(done));
      bytes_ += static_cast<std::uint64_t>(done);
    } else if (errno != EINTR) {
      error_ = Error{"write", path_, errno, {}};
    }
  }
  waiting_.clear();
}

// Never over a file that has come since.
Result<void> OutputFile::publish() {
  if (::fsync(fd_) != 0) {
    return fail_errno("write", path_);
  }
  if (replaces_ && ::rename(temporary_.c_str(), path_.c_str()) == 0) {
    temporary_.clear();
    return {};
  }
  if (replaces_) {
    return fail_errno("write", path_);
  }
  if (::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE) == 0) {
    temporary_.clear();
    return {};
  }
  // Not every file system knows that.
  if (errno == EINVAL && ::link(temporary_.c_str(), path_.c_str()) == 0) {
    return {};
  }
  return fail_errno("create", path_);
}

Result<void> OutputFile::finish() {
  flush();
  if (error_) {
    return std::unexpected(*error_);
  }
  if (!temporary_.empty()) {
    if (auto done = publish(); !done) {
      return done;
    }
  }
  // Some file systems tell of a full disk only now.
  if (owned_ && ::close(owned_.release()) != 0) {
    return fail_errno("write", path_);
  }
  return {};
}

}  // namespace memcrest
