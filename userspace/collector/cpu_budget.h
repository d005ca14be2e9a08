// SPDX-License-Identifier: Apache-2.0
// How much of one CPU a poller may use, as a bucket of nanoseconds that fills with time; and how far it fell behind
// for that. One thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>

namespace memcrest {

// CPU time of the calling thread so far, in nanoseconds.
using CpuClock = std::function<std::uint64_t()>;
[[nodiscard]] std::uint64_t thread_cpu_ns();

class CpuBudget {
 public:
  // `share` of one CPU: 0.01 is 1 %. What is not used is kept for a fifth of a second.
  explicit CpuBudget(double share) : share_(share) {}

  void fill(std::uint64_t now_ns) {
    constexpr double kKeptNs = 200e6;
    const double passed = last_ns_ == 0 ? kKeptNs : static_cast<double>(now_ns - std::min(now_ns, last_ns_));
    left_ns_ = std::min(left_ns_ + passed * share_, kKeptNs * share_);
    last_ns_ = now_ns;
  }
  void spend(std::uint64_t cpu_ns) { left_ns_ -= static_cast<double>(cpu_ns); }
  [[nodiscard]] bool left() const { return left_ns_ > 0; }

 private:
  double share_;
  double left_ns_ = 0;
  std::uint64_t last_ns_ = 0;
};

// The longest time between two looks at the same thing, over the last one to two seconds.
class LongestGap {
 public:
  void add(std::uint64_t now_ns, std::uint64_t gap_ns) {
    constexpr std::uint64_t kWindowNs = 1'000'000'000;
    if (now_ns - std::min(now_ns, window_ns_) >= kWindowNs) {
      before_ = longest_;
      longest_ = 0;
      window_ns_ = now_ns;
    }
    longest_ = std::max(longest_, gap_ns);
  }
  [[nodiscard]] std::uint64_t ns() const { return std::max(before_, longest_); }

 private:
  std::uint64_t window_ns_ = 0;
  std::uint64_t longest_ = 0;
  std::uint64_t before_ = 0;
};

}  // namespace memcrest
