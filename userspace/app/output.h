// SPDX-License-Identifier: Apache-2.0
// Lines for standard output, written by a thread of their own: a reader that is slow, or a pipe that is full, stalls
// neither the collector nor the end of the program.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

namespace memcrest {

class Output {
 public:
  // Does not own `fd`. SIGPIPE must be ignored.
  explicit Output(int fd, std::size_t max_waiting = 4096);
  ~Output();  // close(0)
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  // Any thread, never blocks. Text over the bound is counted as dropped.
  void write(std::string text);
  // No more text; waits at most `milliseconds` for what is left. Idempotent.
  void close(int milliseconds);

  [[nodiscard]] int error() const { return error_.load(); }  // errno of the write that failed, 0 if none
  [[nodiscard]] std::uint64_t dropped() const { return dropped_.load(); }

 private:
  void work();
  bool put(const std::string& text);

  int fd_;
  std::size_t max_waiting_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> waiting_;
  bool closed_ = false;
  std::atomic<std::int64_t> give_up_at_ms_{-1};  // steady clock; -1: never
  std::atomic<int> error_{0};
  std::atomic<std::uint64_t> dropped_{0};
  std::thread thread_;
};

}  // namespace memcrest
