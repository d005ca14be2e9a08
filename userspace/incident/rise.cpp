// SPDX-License-Identifier: Apache-2.0
#include "incident/rise.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "incident/saturating.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxLines = 8192;
constexpr std::size_t kMaxContributors = 8;

}  // namespace

void SlidingMinimum::add(const UsagePoint& point) {
  if (!rising_.empty()) {
    rising_.back().until_ns = std::min(rising_.back().until_ns, point.time_ns);
  }
  while (!rising_.empty() && rising_.back().point.usage_bytes >= point.usage_bytes) {
    rising_.pop_back();
  }
  rising_.push_back({point, std::numeric_limits<std::uint64_t>::max()});
  while (rising_.size() > 1 && saturating_add(rising_.front().until_ns, window_ns_) < point.time_ns) {
    rising_.pop_front();
  }
}

void SlidingMinimum::restart(const UsagePoint& point) {
  rising_.clear();
  rising_.push_back({point, std::numeric_limits<std::uint64_t>::max()});
}

void GrowthLedger::add(std::uint64_t time_ns, const TaskInfo* task, std::uint64_t bytes, bool page_cache) {
  const ProcessKey process = task != nullptr ? task->process : ProcessKey{};
  if (!lines_.empty() && lines_.back().process == process && lines_.size() >= kMaxLines / 2) {
    lines_.back().bytes = saturating_add(lines_.back().bytes, bytes);
    lines_.back().page_cache_bytes = saturating_add(lines_.back().page_cache_bytes, page_cache ? bytes : 0);
    lines_.back().time_ns = time_ns;
    return;
  }
  lines_.push_back({time_ns, process, task != nullptr ? task->comm : std::string(), bytes, page_cache ? bytes : 0});
  if (lines_.size() > kMaxLines) {
    lines_.pop_front();
  }
}

void GrowthLedger::forget_before(std::uint64_t time_ns) {
  while (!lines_.empty() && lines_.front().time_ns < time_ns) {
    lines_.pop_front();
  }
}

std::uint64_t GrowthLedger::page_cache_since(std::uint64_t time_ns) const {
  std::uint64_t total = 0;
  for (const Line& line : lines_) {
    total = saturating_add(total, line.time_ns >= time_ns ? line.page_cache_bytes : 0);
  }
  return total;
}

std::vector<Contributor> GrowthLedger::since(std::uint64_t time_ns) const {
  std::map<ProcessKey, Contributor> by_process;
  std::uint64_t total = 0;
  for (const Line& line : lines_) {
    if (line.time_ns < time_ns) {
      continue;
    }
    total = saturating_add(total, line.bytes);
    if (line.process.tgid == 0) {
      continue;
    }
    Contributor& one = by_process[line.process];
    one.pid = line.process.tgid;
    one.comm = line.comm;
    one.bytes = saturating_add(one.bytes, line.bytes);
  }
  std::vector<Contributor> out;
  for (auto& [process, one] : by_process) {
    one.share = total > 0 ? static_cast<double>(one.bytes) / static_cast<double>(total) : 0;
    out.push_back(std::move(one));
  }
  // Equals by pid, so that a replay tells the same.
  std::ranges::sort(out, {}, [](const Contributor& one) { return std::pair(~one.bytes, one.pid); });
  out.resize(std::min(out.size(), kMaxContributors));
  return out;
}

}  // namespace memcrest
