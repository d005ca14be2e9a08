// SPDX-License-Identifier: Apache-2.0
// What tools that sample in time would have shown: exact over all phases, not simulated.
#include "incident/samplers.h"

#include <algorithm>
#include <array>
#include <utility>

#include "incident/saturating.h"

namespace memcrest {
namespace {

struct Tool {
  const char* name;
  std::uint64_t interval_ms;
};

// Their defaults: dockerd's stats collector, cAdvisor's housekeeping, metrics-server's resolution.
constexpr std::array<Tool, 3> kTools = {{{"docker stats", 1000}, {"cAdvisor", 10'000}, {"metrics-server", 15'000}}};
constexpr std::uint64_t kNsPerMs = 1'000'000;

// A sampler with phase p reads at every p + k * interval. It hits a span when p lies in the span modulo the interval;
// what counts is how much of [0, interval) all spans cover together.
double chance_of_hit(const std::vector<TimeSpan>& spans, std::uint64_t interval_ns) {
  std::vector<TimeSpan> phases;
  for (const auto& span : spans) {
    const std::uint64_t length = span.end_ns - span.begin_ns;
    if (length >= interval_ns) {
      return 1;
    }
    const std::uint64_t begin = span.begin_ns % interval_ns;
    phases.push_back({begin, std::min(begin + length, interval_ns)});
    if (begin + length > interval_ns) {
      phases.push_back({0, begin + length - interval_ns});
    }
  }
  std::ranges::sort(phases, {}, &TimeSpan::begin_ns);
  std::uint64_t covered = 0;
  std::uint64_t reach = 0;
  for (const auto& phase : phases) {
    if (phase.end_ns > reach) {
      covered += phase.end_ns - std::max(phase.begin_ns, reach);
      reach = phase.end_ns;
    }
  }
  return static_cast<double>(covered) / static_cast<double>(interval_ns);
}

// The last sample lies between 0 and one interval before the end, evenly likely: the median of usage, weighted by how
// long each value held in that time.
std::uint64_t typical_last_sample(const UsageHistory& history, std::uint64_t end_ns, std::uint64_t interval_ns) {
  const std::uint64_t from_ns = saturating_sub(end_ns, interval_ns);
  std::vector<std::pair<std::uint64_t, std::uint64_t>> held;  // usage, for how long
  // Before boot there was nothing to sample; the first value stands in for it, as it does before the first point.
  std::uint64_t usage_bytes = history.at(from_ns);
  held.emplace_back(usage_bytes, interval_ns - (end_ns - from_ns));
  std::uint64_t since_ns = from_ns;
  const auto& points = history.points();
  auto point = std::ranges::upper_bound(points, from_ns, {}, &UsagePoint::time_ns);
  for (; point != points.end() && point->time_ns < end_ns; ++point) {
    held.emplace_back(usage_bytes, point->time_ns - since_ns);
    since_ns = point->time_ns;
    usage_bytes = point->usage_bytes;
  }
  held.emplace_back(usage_bytes, end_ns - since_ns);
  std::ranges::sort(held);
  std::uint64_t sum = 0;
  for (const auto& [value, duration] : held) {
    sum += duration;
    if (sum >= interval_ns - interval_ns / 2) {
      return value;
    }
  }
  return usage_bytes;
}

}  // namespace

std::uint64_t time_above(const UsageHistory& history, std::uint64_t start_ns, std::uint64_t end_ns,
                         std::uint64_t bytes) {
  std::uint64_t sum = 0;
  for (const auto& span : history.above(bytes, start_ns, end_ns)) {
    sum += span.end_ns - span.begin_ns;
  }
  return sum;
}

std::vector<SamplerView> samplers_view(const UsageHistory& history, std::uint64_t start_ns, std::uint64_t end_ns,
                                       std::uint64_t base_bytes, std::uint64_t peak_bytes) {
  const std::uint64_t half_bytes = base_bytes + saturating_sub(peak_bytes, base_bytes) / 2;
  const std::vector<TimeSpan> spans = history.above(half_bytes, start_ns, end_ns);
  std::vector<SamplerView> views;
  for (const auto& tool : kTools) {
    const std::uint64_t interval_ns = tool.interval_ms * kNsPerMs;
    views.push_back({tool.name, tool.interval_ms, typical_last_sample(history, end_ns, interval_ns),
                     chance_of_hit(spans, interval_ns)});
  }
  return views;
}

}  // namespace memcrest
