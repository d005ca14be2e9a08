// SPDX-License-Identifier: Apache-2.0
#include "sizing/window_peaks.h"

#include <algorithm>

#include "incident/saturating.h"

namespace memcrest {
namespace {

constexpr std::uint64_t kFirstGrain = 4096;  // charges are pages
constexpr std::uint64_t kLastGrain = 1ULL << 62U;

std::uint64_t round_up(std::uint64_t bytes, std::uint64_t grain) {
  const std::uint64_t rest = bytes % grain;
  return rest == 0 ? bytes : saturating_add(bytes, grain - rest);
}

}  // namespace

void WindowPeaks::add(std::uint64_t peak_bytes, std::uint64_t windows) {
  if (windows == 0) {
    return;
  }
  highest_ = std::max(highest_, peak_bytes);
  windows_ = saturating_add(windows_, windows);
  std::uint64_t& count = counts_[round_up(peak_bytes, grain_)];
  count = saturating_add(count, windows);
  while (counts_.size() > kMaxValues && grain_ < kLastGrain) {
    coarsen();
  }
}

void WindowPeaks::add(const WindowPeaks& others) {
  const std::uint64_t highest = std::max(highest_, others.highest_);
  for (const auto& [peak, windows] : others.counts_) {
    add(peak, windows);
  }
  highest_ = highest;  // what was rounded up there is no peak that was seen
  grain_ = std::max(grain_, others.grain_);
}

void WindowPeaks::coarsen() {
  grain_ = std::max(grain_ * 2, kFirstGrain);
  std::map<std::uint64_t, std::uint64_t> rounded;
  for (const auto& [peak, windows] : counts_) {
    std::uint64_t& count = rounded[round_up(peak, grain_)];
    count = saturating_add(count, windows);
  }
  counts_ = std::move(rounded);
}

std::uint64_t WindowPeaks::percentile(unsigned percent) const {
  if (percent >= 100) {
    return highest_;
  }
  // By parts, so that no number of windows overflows.
  const std::uint64_t rank = windows_ / 100 * percent + (windows_ % 100 * percent + 99) / 100;
  std::uint64_t seen = 0;
  for (const auto& [peak, windows] : counts_) {
    seen = saturating_add(seen, windows);
    if (seen >= rank) {
      return std::min(peak, highest_);
    }
  }
  return highest_;
}

std::uint64_t WindowPeaks::above(std::uint64_t bytes) const {
  if (bytes >= highest_) {
    return 0;
  }
  std::uint64_t out = 0;
  for (auto at = counts_.upper_bound(bytes); at != counts_.end(); ++at) {
    out = saturating_add(out, at->second);
  }
  return out;
}

}  // namespace memcrest
