// SPDX-License-Identifier: Apache-2.0
// A child that waits to be signalled, for tests that stop and resume real processes.
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <thread>

#include "memcrest/event.h"
#include "util/process_start.h"

namespace memcrest::testing_support {

class TestChild {
 public:
  TestChild() : pid_(::fork()) {
    if (pid_ == 0) {
      while (true) {
        ::pause();
      }
    }
  }
  ~TestChild() { end(); }
  TestChild(const TestChild&) = delete;
  TestChild& operator=(const TestChild&) = delete;

  void end() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
      pid_ = -1;
    }
  }
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] ProcessKey key() const {
    return {static_cast<std::uint32_t>(pid_), process_start_ns("/proc/" + std::to_string(pid_)).value_or(0)};
  }

 private:
  pid_t pid_;
};

// Whether it comes true: at once or after a while, but not after half a minute.
inline bool comes_true(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace memcrest::testing_support
