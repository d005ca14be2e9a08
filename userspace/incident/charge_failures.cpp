// SPDX-License-Identifier: Apache-2.0
#include "incident/charge_failures.h"
#include "util/units.h"

#include <algorithm>

namespace memcrest {
namespace {

constexpr std::uint64_t kQuietNs = kSecond;
constexpr std::uint64_t kLongestNs = 10 * kSecond;
constexpr std::size_t kMaxCgroups = 4096;

}  // namespace

void ChargeFailures::feed(const ChargeFailureEvent& event, std::uint64_t now_ns) {
  if (by_serial_.size() >= kMaxCgroups && !by_serial_.contains(event.serial)) {
    // What is closed only remembers a count that the kernel side may have forgotten as well.
    std::erase_if(by_serial_, [](const auto& one) { return !one.second.open; });
    if (by_serial_.size() >= kMaxCgroups) {
      return;
    }
  }
  Open& one = by_serial_[event.serial];
  // The kernel side began to count anew.
  if (event.count < one.told_count) {
    one.told_count = 0;
  }
  if (!one.open) {
    one.open = true;
    one.finding = {
        .last = event, .first_ns = event.time_ns, .count = 0, .at_least = event.at_least && !one.told_before};
  }
  one.finding.count = event.count - one.told_count;
  one.finding.last = event;
  one.read_ns = std::max(now_ns, event.time_ns);
}

std::uint64_t ChargeFailures::due_ns(const Open& one) {
  return std::min(one.read_ns + kQuietNs, one.finding.first_ns + kLongestNs);
}

std::vector<ChargeFailureFinding> ChargeFailures::take(std::uint64_t now_ns, bool all) {
  std::vector<ChargeFailureFinding> out;
  for (auto& [serial, one] : by_serial_) {
    if (!one.open || (!all && now_ns < due_ns(one))) {
      continue;
    }
    one.open = false;
    one.told_before = true;
    one.told_count = one.finding.last.count;
    if (one.finding.count > 0) {
      out.push_back(one.finding);
    }
  }
  std::ranges::sort(out, {}, &ChargeFailureFinding::first_ns);
  return out;
}

std::optional<std::uint64_t> ChargeFailures::deadline() const {
  std::optional<std::uint64_t> out;
  for (const auto& [serial, one] : by_serial_) {
    if (one.open) {
      out = out ? std::min(*out, due_ns(one)) : due_ns(one);
    }
  }
  return out;
}

}  // namespace memcrest
