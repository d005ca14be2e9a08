// SPDX-License-Identifier: Apache-2.0
#include "incident/usage_history.h"

#include <algorithm>

#include "incident/saturating.h"

namespace memcrest {
namespace {

std::uint64_t distance(std::uint64_t a, std::uint64_t b) { return a > b ? a - b : b - a; }

}  // namespace

UsageHistory::UsageHistory(std::size_t max_points, std::uint64_t max_age_ns)
    : max_points_(std::max<std::size_t>(max_points, 2)), max_age_ns_(max_age_ns) {}

void UsageHistory::add(UsagePoint point, std::uint64_t flat_bytes) {
  if (!points_.empty()) {
    point.time_ns = std::max(point.time_ns, points_.back().time_ns);
  }
  const std::size_t size = points_.size();
  if (point.sampled && size >= 2 && points_[size - 1].sampled &&
      distance(points_[size - 2].usage_bytes, points_[size - 1].usage_bytes) <= flat_bytes &&
      distance(points_[size - 2].usage_bytes, point.usage_bytes) <= flat_bytes) {
    points_.back() = point;
  } else {
    points_.push_back(point);
  }
  // The second point decides: the first one's value still holds until then.
  while (points_.size() > max_points_ ||
         (points_.size() > 2 && saturating_add(points_[1].time_ns, max_age_ns_) < point.time_ns)) {
    points_.pop_front();
  }
}

void UsageHistory::begin_with(UsagePoint point) {
  if (points_.empty() || point.time_ns <= points_.front().time_ns) {
    points_.push_front(point);
  }
}

void UsageHistory::keep_newest(std::size_t count) {
  if (points_.size() > count) {
    points_.erase(points_.begin(), points_.end() - static_cast<std::ptrdiff_t>(count));
    points_.shrink_to_fit();
  }
}

std::uint64_t UsageHistory::at(std::uint64_t time_ns) const {
  if (points_.empty()) {
    return 0;
  }
  const auto after = std::ranges::upper_bound(points_, time_ns, {}, &UsagePoint::time_ns);
  return after == points_.begin() ? points_.front().usage_bytes : std::prev(after)->usage_bytes;
}

std::vector<TimeSpan> UsageHistory::above(std::uint64_t threshold_bytes, std::uint64_t from_ns,
                                          std::uint64_t to_ns) const {
  std::vector<TimeSpan> spans;
  const auto extend = [&](std::uint64_t begin_ns, std::uint64_t end_ns) {
    if (begin_ns >= end_ns) {
      return;
    }
    if (!spans.empty() && spans.back().end_ns == begin_ns) {
      spans.back().end_ns = end_ns;
    } else {
      spans.push_back({begin_ns, end_ns});
    }
  };
  std::uint64_t since_ns = from_ns;
  std::uint64_t usage_bytes = at(from_ns);
  auto point = std::ranges::upper_bound(points_, from_ns, {}, &UsagePoint::time_ns);
  for (; point != points_.end() && point->time_ns < to_ns; ++point) {
    if (usage_bytes > threshold_bytes) {
      extend(since_ns, point->time_ns);
    }
    since_ns = point->time_ns;
    usage_bytes = point->usage_bytes;
  }
  if (usage_bytes > threshold_bytes) {
    extend(since_ns, to_ns);
  }
  return spans;
}

}  // namespace memcrest
