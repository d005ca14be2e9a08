// SPDX-License-Identifier: Apache-2.0
// The agent's memory of its own against what it may have: what the flight recorder keeps gives way first. Pure.
#pragma once

#include <cstdint>

namespace memcrest {

class MemoryBudget {
 public:
  static constexpr std::uint64_t kLeastFlight = 256U << 10U;

  // `flight_bytes`: what the flight recorder may keep while all is well; 0: there is none.
  MemoryBudget(std::uint64_t budget_bytes, std::uint64_t flight_bytes)
      : budget_bytes_(budget_bytes), flight_most_(flight_bytes), flight_bytes_(flight_bytes) {}

  // To be called every few seconds with the anonymous memory of the process: half as much after three looks in a row
  // above the budget, which an answer that is large for a moment is not, down to kLeastFlight; twice as much again
  // after a minute below three quarters of it. What the recorder may keep now.
  std::uint64_t look(std::uint64_t own_bytes, std::uint64_t now_ns);

  [[nodiscard]] std::uint64_t budget_bytes() const { return budget_bytes_; }
  [[nodiscard]] std::uint64_t flight_bytes() const { return flight_bytes_; }
  // Nothing is left that could give way; until it is below three quarters again.
  [[nodiscard]] bool is_exceeded() const { return exceeded_; }

 private:
  std::uint64_t budget_bytes_;
  std::uint64_t flight_most_;
  std::uint64_t flight_bytes_;
  std::uint64_t well_since_ns_ = 0;  // 0: it is not
  unsigned over_ = 0;                // looks in a row
  bool exceeded_ = false;
};

}  // namespace memcrest
