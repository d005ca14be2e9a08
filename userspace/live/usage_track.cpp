// SPDX-License-Identifier: Apache-2.0
#include "live/usage_track.h"
#include "util/units.h"

#include <algorithm>
#include <iterator>

namespace memcrest {
namespace {

constexpr std::uint64_t kGrowthSeconds = 10;

}  // namespace

void UsageTrack::add_second(std::uint64_t second, std::uint64_t usage, std::uint64_t high) {
  if (seconds_.empty() || second > seconds_.back().second) {
    // What stood when the second began counts for it too.
    const std::uint64_t before = seconds_.empty() ? 0 : seconds_.back().last;
    seconds_.push_back({second, std::max(before, high), usage});
  } else {
    seconds_.back().high = std::max(seconds_.back().high, high);
    seconds_.back().last = usage;
  }
  const auto first =
      std::ranges::find_if(seconds_, [&](const Second& one) { return one.second + kLiveSeconds >= second; });
  seconds_.erase(seconds_.begin(), first == seconds_.begin() ? first : std::prev(first));
}

void UsageTrack::add(std::uint64_t time_ns, std::uint64_t usage_bytes, std::uint64_t watermark_bytes) {
  if (!points_.empty() && time_ns < points_.back().time_ns) {
    time_ns = points_.back().time_ns;  // CPUs overtake each other by little
  }
  std::uint64_t high = usage_bytes;
  // The mark that was found first may be of long ago; one that rises since is of the time between.
  if (watermark_known_ && watermark_bytes > watermark_) {
    high = std::max(high, watermark_bytes);
  }
  if (watermark_bytes > 0) {
    watermark_known_ = true;
    watermark_ = std::max(watermark_, watermark_bytes);
  }
  points_.push_back({time_ns, usage_bytes, high});
  add_second(time_ns / kSecond, usage_bytes, high);
}

void UsageTrack::add_stall(std::uint64_t time_ns, std::uint64_t total_ns) {
  if (!stalls_.empty() && stalls_.back().total_ns >= total_ns) {
    return;
  }
  if (stalls_.size() > 1 && stalls_.back().time_ns / kSecond == time_ns / kSecond) {
    stalls_.back().total_ns = total_ns;
    return;
  }
  stalls_.push_back({time_ns, total_ns});
  const auto first =
      std::ranges::find_if(stalls_, [&](const Stall& one) { return one.time_ns + kLiveSeconds * kSecond >= time_ns; });
  stalls_.erase(stalls_.begin(), first == stalls_.begin() ? first : std::prev(first));
}

void UsageTrack::forget_before(std::uint64_t time_ns) {
  // The last one before the time says what stood then.
  while (points_.size() > 1 && points_[1].time_ns <= time_ns) {
    points_.pop_front();
  }
}

void UsageTrack::keep_newest(std::size_t points) {
  while (points_.size() > std::max<std::size_t>(1, points)) {
    points_.pop_front();
    cut_ = true;
  }
}

UsageTrack::Peak UsageTrack::peak(std::uint64_t from_ns, std::uint64_t to_ns) const {
  Peak out;
  auto at = std::ranges::upper_bound(points_, from_ns, {}, &LivePoint::time_ns);
  if (at != points_.begin()) {
    out.bytes = std::prev(at)->usage_bytes;
  }
  for (; at != points_.end() && at->time_ns <= to_ns; ++at) {
    if (at->high_bytes >= out.bytes) {
      out = {at->high_bytes, at->high_bytes > at->usage_bytes || at->high_bytes == watermark_};
    }
  }
  return out;
}

std::vector<std::uint64_t> UsageTrack::history(std::uint64_t now_ns) const {
  std::vector<std::uint64_t> out;
  if (seconds_.empty()) {
    return out;
  }
  const std::uint64_t now = now_ns / kSecond;
  const std::uint64_t oldest = now >= kLiveSeconds - 1 ? now - (kLiveSeconds - 1) : 0;
  auto at = seconds_.begin();
  std::uint64_t standing = 0;
  bool begun = false;
  for (; at != seconds_.end() && at->second < oldest; ++at) {
    standing = at->last;
    begun = true;
  }
  for (std::uint64_t second = oldest; second <= now; ++second) {
    if (at != seconds_.end() && at->second == second) {
      out.push_back(at->high);
      standing = at->last;
      begun = true;
      ++at;
    } else if (begun) {
      out.push_back(standing);
    }
  }
  return out;
}

std::uint64_t UsageTrack::usage_at(std::uint64_t time_ns) const {
  const std::uint64_t second = time_ns / kSecond;
  std::uint64_t out = seconds_.empty() ? 0 : seconds_.front().last;
  for (const Second& one : seconds_) {
    if (one.second > second) {
      break;
    }
    out = one.last;
  }
  return out;
}

double UsageTrack::growth(std::uint64_t now_ns) const {
  if (points_.empty()) {
    return 0;
  }
  const std::uint64_t from = now_ns > kGrowthSeconds * kSecond ? now_ns - kGrowthSeconds * kSecond : 0;
  return (static_cast<double>(usage()) - static_cast<double>(usage_at(from))) / static_cast<double>(kGrowthSeconds);
}

double UsageTrack::stall_ms(std::uint64_t now_ns) const {
  if (stalls_.empty()) {
    return 0;
  }
  const std::uint64_t from = now_ns > kLiveSeconds * kSecond ? now_ns - kLiveSeconds * kSecond : 0;
  std::uint64_t before = stalls_.front().total_ns;
  for (const Stall& one : stalls_) {
    if (one.time_ns <= from) {
      before = one.total_ns;
    }
  }
  return static_cast<double>(stalls_.back().total_ns - before) / 1e6;
}

}  // namespace memcrest
