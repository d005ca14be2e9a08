// SPDX-License-Identifier: Apache-2.0
#include "app/memory_budget.h"

#include <algorithm>

namespace memcrest {
namespace {

constexpr std::uint64_t kWellNs = 60'000'000'000;
constexpr unsigned kLooks = 3;

}  // namespace

std::uint64_t MemoryBudget::look(std::uint64_t own_bytes, std::uint64_t now_ns) {
  const std::uint64_t least = std::min(flight_most_, kLeastFlight);
  if (own_bytes > budget_bytes_) {
    well_since_ns_ = 0;
    if (++over_ < kLooks) {
      return flight_bytes_;
    }
    over_ = 0;
    exceeded_ = exceeded_ || flight_bytes_ == least;
    flight_bytes_ = std::max(flight_bytes_ / 2, least);
    return flight_bytes_;
  }
  over_ = 0;
  if (own_bytes >= budget_bytes_ - budget_bytes_ / 4) {
    well_since_ns_ = 0;
    return flight_bytes_;
  }
  exceeded_ = false;
  if (well_since_ns_ == 0) {
    well_since_ns_ = now_ns;
  } else if (now_ns - well_since_ns_ >= kWellNs && flight_bytes_ < flight_most_) {
    flight_bytes_ = std::min(flight_bytes_ * 2, flight_most_);
    well_since_ns_ = now_ns;
  }
  return flight_bytes_;
}

}  // namespace memcrest
