// SPDX-License-Identifier: Apache-2.0
#include "app/output.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace memcrest {
namespace {

constexpr std::size_t kChunk = 4096;  // PIPE_BUF: a pipe that polls as writable takes this much without blocking

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

Output::Output(int fd, std::size_t max_waiting) : fd_(fd), max_waiting_(max_waiting), thread_([this] { work(); }) {}

Output::~Output() { close(0); }

void Output::write(std::string text) {
  const std::lock_guard lock(mutex_);
  if (closed_ || error_.load() != 0 || waiting_.size() >= max_waiting_) {
    dropped_.fetch_add(1);
    return;
  }
  waiting_.push_back(std::move(text));
  changed_.notify_one();
}

void Output::close(int milliseconds) {
  {
    const std::lock_guard lock(mutex_);
    if (!closed_) {
      give_up_at_ms_.store(now_ms() + milliseconds);
    }
    closed_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) {
    thread_.join();
  }
}

void Output::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return closed_ || !waiting_.empty(); });
    if (waiting_.empty()) {
      return;
    }
    const std::string text = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    const bool written = put(text);
    lock.lock();
    if (!written) {
      dropped_.fetch_add(1 + waiting_.size());
      waiting_.clear();
    }
  }
}

bool Output::put(const std::string& text) {
  std::size_t done = 0;
  while (done < text.size()) {
    pollfd ready{fd_, POLLOUT, 0};
    const int got = ::poll(&ready, 1, 50);
    const std::int64_t give_up = give_up_at_ms_.load();
    if (got == 0 || (got < 0 && errno == EINTR)) {
      if (give_up >= 0 && now_ms() >= give_up) {
        error_.store(ETIMEDOUT);
        return false;
      }
      continue;
    }
    const ssize_t put = ::write(fd_, text.data() + done, std::min(kChunk, text.size() - done));
    if (put < 0) {
      if (errno == EINTR || errno == EAGAIN) {
        continue;
      }
      error_.store(errno);
      return false;
    }
    done += static_cast<std::size_t>(put);
  }
  return true;
}

}  // namespace memcrest
