// SPDX-License-Identifier: Apache-2.0
// Keeps a peer that timed out from being asked again at once: each time-out in a row doubles the pause. One thread.
#pragma once

#include <algorithm>
#include <chrono>

namespace memcrest {

class CircuitBreaker {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  [[nodiscard]] bool allows(TimePoint now) const { return now >= closed_from_; }
  [[nodiscard]] TimePoint closed_from() const { return closed_from_; }

  void timed_out(TimePoint now) {
    closed_from_ = now + pause_;
    pause_ = std::min(pause_ * 2, kLongest);
  }
  void answered() {
    pause_ = kFirst;
    closed_from_ = {};
  }

 private:
  static constexpr std::chrono::milliseconds kFirst{1000};
  static constexpr std::chrono::milliseconds kLongest{60'000};

  std::chrono::milliseconds pause_ = kFirst;
  TimePoint closed_from_{};
};

}  // namespace memcrest
