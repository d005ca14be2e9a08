// SPDX-License-Identifier: Apache-2.0
// Where events come from: ring buffers, a recording, a test's vector.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "memcrest/event.h"

namespace memcrest {

// What is known to be missing, in records. Grows only.
struct LossCount {
  std::uint64_t critical = 0;   // OOM, victims, cgroups; kills of either ring, since they share a counter
  std::uint64_t bulk = 0;       // steps, program starts and exits lost to a full ring
  std::uint64_t throttled = 0;  // steps left out by the rate limit
  std::uint64_t invalid = 0;    // records that the decoder refused
  std::uint64_t untracked = 0;  // memory cgroups for which the table had no room, counted per attempt
  bool operator==(const LossCount&) const = default;

  // Without what had been lost by then; never below zero.
  [[nodiscard]] LossCount since(const LossCount& older) const {
    const auto less = [](std::uint64_t all, std::uint64_t before) { return all - std::min(all, before); };
    return {less(critical, older.critical), less(bulk, older.bulk), less(throttled, older.throttled),
            less(invalid, older.invalid), less(untracked, older.untracked)};
  }
};

class EventSource {
 public:
  virtual ~EventSource() = default;

  enum class Status { kMore, kEnd };

  // Appends what is there to `out`, ordered by time within one call, after waiting at most `timeout` for something.
  // kEnd: nothing will come any more. One thread at a time.
  virtual Status poll(std::chrono::milliseconds timeout, std::vector<Event>& out) = 0;

  // Readable (poll(2)) when `poll` has something to give; -1: there is none, ask again and again. Owned by the source.
  [[nodiscard]] virtual int wait_fd() const { return -1; }

  // May be called from any thread.
  [[nodiscard]] virtual LossCount loss() const = 0;
};

}  // namespace memcrest
