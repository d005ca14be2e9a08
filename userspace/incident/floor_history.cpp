// SPDX-License-Identifier: Apache-2.0
#include "incident/floor_history.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "incident/saturating.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxTracks = 2048;
constexpr std::size_t kSpans = 64;
constexpr std::size_t kGroups = 16;
constexpr std::size_t kFewest = 6;  // with fewer no test can be significant enough
constexpr std::uint64_t kFirstSpanNs = 125'000'000;
constexpr std::uint64_t kNoiseBytes = 2ULL << 20U;  // two of the smallest steps
constexpr double kSignificance = 0.01;

double median(std::vector<double> values) {
  if (values.empty()) {
    return 0;
  }
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

// Per span.
double theil_sen(const std::vector<std::uint64_t>& values, std::size_t from, std::size_t to) {
  std::vector<double> slopes;
  for (std::size_t i = from; i < to; ++i) {
    for (std::size_t j = i + 1; j < to; ++j) {
      slopes.push_back((static_cast<double>(values[j]) - static_cast<double>(values[i])) / static_cast<double>(j - i));
    }
  }
  return median(std::move(slopes));
}

double mann_kendall(const std::vector<std::uint64_t>& values) {
  const auto n = static_cast<double>(values.size());
  double s = 0;
  std::map<std::uint64_t, double> ties;
  for (std::size_t i = 0; i < values.size(); ++i) {
    ties[values[i]] += 1;
    for (std::size_t j = i + 1; j < values.size(); ++j) {
      s += values[j] > values[i] ? 1 : values[j] < values[i] ? -1 : 0;
    }
  }
  double variance = n * (n - 1) * (2 * n + 5);
  for (const auto& [value, t] : ties) {
    variance -= t * (t - 1) * (2 * t + 5);
  }
  variance /= 18;
  if (variance <= 0 || s <= 0) {
    return 1;
  }
  return 0.5 * std::erfc((s - 1) / std::sqrt(variance) / std::sqrt(2.0));
}

// Floors of longer spans: cycles of work that are shorter than one disappear.
std::vector<std::uint64_t> grouped(const std::vector<std::uint64_t>& floors, std::size_t each) {
  std::vector<std::uint64_t> out;
  for (std::size_t i = 0; i + each <= floors.size(); i += each) {
    out.push_back(*std::min_element(floors.begin() + static_cast<std::ptrdiff_t>(i),
                                    floors.begin() + static_cast<std::ptrdiff_t>(i + each)));
  }
  return out;
}

}  // namespace

FloorTrend estimate_trend(const std::vector<std::uint64_t>& floors, double span_ms, std::uint64_t noise_bytes) {
  FloorTrend out;
  const std::size_t each = std::max<std::size_t>(1, (floors.size() + kGroups - 1) / kGroups);
  const std::vector<std::uint64_t> values = grouped(floors, each);
  const double step_ms = span_ms * static_cast<double>(each);
  out.floors = values.size();
  out.window_ms = step_ms * static_cast<double>(values.size());
  if (values.size() < kFewest || !(step_ms > 0)) {
    return out;
  }
  out.first_bytes = values.front();
  out.last_bytes = values.back();
  const double slope = theil_sen(values, 0, values.size());
  out.slope_bytes_per_s = slope * 1e3 / step_ms;
  out.p_value = mann_kendall(values);
  const double rise = slope * static_cast<double>(values.size() - 1);
  out.rising = out.p_value < kSignificance && rise >= static_cast<double>(noise_bytes);
  // Medians of the ends and of the middle: one floor that lies too high, since a fall was not seen, changes none.
  const std::size_t part = std::max<std::size_t>(3, values.size() / 4);
  const auto around = [&](std::size_t from) {
    const auto begin = values.begin() + static_cast<std::ptrdiff_t>(from);
    return median({begin, begin + static_cast<std::ptrdiff_t>(part)});
  };
  const double middle = around((values.size() - part) / 2);
  const double early = middle - around(0);
  const double late = around(values.size() - part) - middle;
  out.levelling = early >= static_cast<double>(noise_bytes) && late < early * 0.6;
  return out;
}

FloorHistory::Track& FloorHistory::track(std::uint64_t cgroup_id, std::uint64_t time_ns) {
  const auto [found, added] = tracks_.try_emplace(cgroup_id);
  if (added) {
    found->second.begin_ns = time_ns;
    found->second.span_ns = kFirstSpanNs;
    order_.push_back(cgroup_id);
    while (tracks_.size() > kMaxTracks) {
      auto& queue = gone_.empty() ? order_ : gone_;
      tracks_.erase(queue.front());
      queue.pop_front();
    }
    while (order_.size() > 4 * kMaxTracks) {  // what went through gone_ is in here still
      order_.pop_front();
    }
  }
  return tracks_.try_emplace(cgroup_id).first->second;
}

void FloorHistory::created(std::uint64_t cgroup_id, std::uint64_t time_ns) {
  if (!tracks_.contains(cgroup_id)) {
    track(cgroup_id, time_ns).from_start = true;
  }
}

void FloorHistory::removed(std::uint64_t cgroup_id) {
  if (tracks_.contains(cgroup_id)) {
    gone_.push_back(cgroup_id);
  }
}

// Usage holds its last value through the spans in which nothing was told.
void FloorHistory::extend(Track& one, std::uint64_t time_ns) {
  const auto wanted = [&] { return saturating_sub(time_ns, one.begin_ns) / one.span_ns + 1; };
  while (wanted() > kSpans) {
    std::vector<std::uint64_t> half;
    for (std::size_t i = 0; i < one.floors.size(); i += 2) {
      half.push_back(i + 1 < one.floors.size() ? std::min(one.floors[i], one.floors[i + 1]) : one.floors[i]);
    }
    one.floors = std::move(half);
    one.span_ns = std::min(one.span_ns * 2, std::uint64_t{1} << 60U);
  }
  while (one.floors.size() < wanted()) {
    one.floors.push_back(one.last_bytes);
  }
}

void FloorHistory::add(std::uint64_t cgroup_id, std::uint64_t time_ns, std::uint64_t usage_bytes) {
  Track& one = track(cgroup_id, time_ns);
  if (one.floors.empty() && !one.from_start) {
    one.last_bytes = usage_bytes;
  }
  extend(one, time_ns);
  one.last_bytes = usage_bytes;
  one.floors.back() = std::min(one.floors.back(), usage_bytes);
  one.high_bytes = std::max(one.high_bytes, usage_bytes);
  if (usage_bytes < one.high_bytes - std::min(one.high_bytes, std::max(kNoiseBytes, one.high_bytes / 10))) {
    ++one.falls;
    one.high_bytes = usage_bytes;
  }
}

std::optional<FloorTrend> FloorHistory::trend(std::uint64_t cgroup_id, std::uint64_t until_ns,
                                              std::optional<std::uint64_t> limit_bytes) const {
  const auto found = tracks_.find(cgroup_id);
  if (found == tracks_.end()) {
    return std::nullopt;
  }
  Track one = found->second;
  extend(one, std::max(until_ns, one.begin_ns));
  // Only whole spans before that time; the first is that of the cgroup's beginning, when it held nothing.
  const auto whole = static_cast<std::size_t>(saturating_sub(until_ns, one.begin_ns) / one.span_ns);
  one.floors.resize(std::min(one.floors.size(), whole));
  if (one.from_start && !one.floors.empty()) {
    one.floors.erase(one.floors.begin());
  }
  const std::uint64_t noise = std::max(kNoiseBytes, limit_bytes.value_or(0) / 50);
  FloorTrend out = estimate_trend(one.floors, static_cast<double>(one.span_ns) / 1e6, noise);
  if (out.floors < kFewest) {
    return std::nullopt;
  }
  out.falls = one.falls;
  out.from_start = one.from_start;
  if (limit_bytes && out.rising && *limit_bytes > out.last_bytes) {
    out.horizon_ms = static_cast<double>(*limit_bytes - out.last_bytes) / out.slope_bytes_per_s * 1e3;
  }
  return out;
}

}  // namespace memcrest
