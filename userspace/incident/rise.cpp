// SPDX-License-Identifier: Apache-2.0
#include "incident/rise.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "incident/numbered.h"
#include "incident/saturating.h"

namespace memcrest {
namespace {

constexpr std::size_t kMaxLines = 8192;
constexpr std::size_t kMaxContributors = 8;
// Different stacks that one cgroup's ledger holds, of half a KiB each, and those that a burst is told with.
constexpr std::size_t kMaxOrigins = 1024;
constexpr std::size_t kMaxStacks = 96;

double share_of(std::uint64_t bytes, std::uint64_t total) {
  return total > 0 ? static_cast<double>(bytes) / static_cast<double>(total) : 0;
}

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

GrowthLedger::Origins::iterator GrowthLedger::keep(const Growth& growth) {
  const bool seen = growth.task != nullptr && growth.user_stack != nullptr && growth.kernel_stack != nullptr &&
                    !(growth.user_stack->empty() && growth.kernel_stack->empty());
  if (!seen) {
    return origins_.end();
  }
  Origin origin{*growth.user_stack, *growth.kernel_stack};
  if (origins_.size() >= kMaxOrigins) {
    return origins_.find(origin);
  }
  return origins_.try_emplace(std::move(origin), 0).first;
}

void GrowthLedger::add(std::uint64_t time_ns, const Growth& growth) {
  const ProcessKey process = growth.task != nullptr ? growth.task->process : ProcessKey{};
  const auto origin = keep(growth);
  const std::uint64_t cached = growth.page_cache ? growth.bytes : 0;
  const std::uint32_t tid = growth.task != nullptr ? growth.task->tid : 0;
  if (lines_.size() >= kMaxLines / 2) {
    Line& last = lines_.back();
    if (last.process == process && last.tid == tid && last.kind == growth.kind && last.origin == origin) {
      last.bytes = saturating_add(last.bytes, growth.bytes);
      last.page_cache_bytes = saturating_add(last.page_cache_bytes, cached);
      last.time_ns = time_ns;
      return;
    }
  }
  if (origin != origins_.end()) {
    ++origin->second;
  }
  lines_.push_back({time_ns, process, tid, growth.task != nullptr ? growth.task->comm : std::string(),
                    growth.task != nullptr ? growth.task->thread_comm : std::string(), growth.bytes, cached,
                    growth.kind, origin});
  if (lines_.size() > kMaxLines) {
    drop_first();
  }
}

void GrowthLedger::drop_first() {
  if (const auto origin = lines_.front().origin; origin != origins_.end() && --origin->second == 0) {
    origins_.erase(origin);
  }
  lines_.pop_front();
}

void GrowthLedger::forget_before(std::uint64_t time_ns) {
  while (!lines_.empty() && lines_.front().time_ns < time_ns) {
    drop_first();
  }
}

void GrowthLedger::clear() {
  std::deque<Line>().swap(lines_);
  origins_.clear();
}

std::uint64_t GrowthLedger::total_since(std::uint64_t time_ns) const {
  std::uint64_t total = 0;
  for (const Line& line : lines_) {
    total = saturating_add(total, line.time_ns >= time_ns ? line.bytes : 0);
  }
  return total;
}

std::vector<KindShare> GrowthLedger::kinds_since(std::uint64_t time_ns) const {
  std::map<MemoryKind, std::uint64_t> by_kind;
  for (const Line& line : lines_) {
    if (line.time_ns >= time_ns) {
      by_kind[line.kind] = saturating_add(by_kind[line.kind], line.bytes);
    }
  }
  std::vector<KindShare> out;
  if (by_kind.empty() || (by_kind.size() == 1 && by_kind.contains(MemoryKind::kUnknown))) {
    return out;
  }
  const std::uint64_t total = total_since(time_ns);
  for (const auto& [kind, bytes] : by_kind) {
    out.push_back({kind, bytes, share_of(bytes, total)});
  }
  std::ranges::sort(out, {}, [](const KindShare& one) { return std::pair(~one.bytes, one.kind); });
  return out;
}

std::vector<StackGrowth> GrowthLedger::stacks_since(std::uint64_t time_ns) const {
  // By what is equal in every run: a replay has to tell the same.
  std::map<std::tuple<ProcessKey, MemoryKind, const Origin*>, StackGrowth> by_place;
  for (const Line& line : lines_) {
    if (line.time_ns < time_ns || line.process.tgid == 0) {
      continue;
    }
    const Origin* origin = line.origin == origins_.end() ? nullptr : &line.origin->first;
    StackGrowth& one = by_place[{line.process, line.kind, origin}];
    if (one.bytes == 0) {
      one.process = line.process;
      one.comm = line.comm;
      one.kind = line.kind;
      if (origin != nullptr) {
        one.user_stack = origin->user_stack;
        one.kernel_stack = origin->kernel_stack;
      }
    }
    one.bytes = saturating_add(one.bytes, line.bytes);
  }
  std::vector<StackGrowth> out;
  for (auto& [place, one] : by_place) {
    out.push_back(std::move(one));
  }
  std::ranges::sort(out, [](const StackGrowth& a, const StackGrowth& b) {
    return a.bytes != b.bytes ? a.bytes > b.bytes
                              : std::tie(a.process, a.kind, a.user_stack, a.kernel_stack) <
                                    std::tie(b.process, b.kind, b.user_stack, b.kernel_stack);
  });
  out.resize(std::min(out.size(), kMaxStacks));
  return out;
}

std::uint64_t GrowthLedger::page_cache_since(std::uint64_t time_ns) const {
  std::uint64_t total = 0;
  for (const Line& line : lines_) {
    total = saturating_add(total, line.time_ns >= time_ns ? line.page_cache_bytes : 0);
  }
  return total;
}

std::vector<ThreadPool> GrowthLedger::threads_since(std::uint64_t time_ns) const {
  struct Pool {
    std::map<std::string, std::set<std::uint32_t>> threads;  // by name
    std::set<ProcessKey> processes;
    std::uint64_t bytes = 0;
  };
  std::map<std::pair<std::string, std::string>, Pool> by_name;
  for (const Line& line : lines_) {
    if (line.time_ns < time_ns || line.process.tgid == 0) {
      continue;
    }
    const std::string& name = line.thread_comm.empty() ? line.comm : line.thread_comm;
    Pool& pool = by_name[{line.comm, without_digits(name)}];
    pool.threads[name].insert(line.tid);
    pool.processes.insert(line.process);
    pool.bytes = saturating_add(pool.bytes, line.bytes);
  }
  const std::uint64_t total = total_since(time_ns);
  std::vector<ThreadPool> out;
  bool threaded = false;
  for (const auto& [name, pool] : by_name) {
    const bool alike = pool.threads.size() == 1;
    ThreadPool one{name.first, alike ? pool.threads.begin()->first : name.second, 0, pool.bytes,
                   share_of(pool.bytes, total)};
    for (const auto& [thread, tids] : pool.threads) {
      one.threads += tids.size();
    }
    threaded = threaded || one.thread != one.comm || one.threads > pool.processes.size();
    out.push_back(std::move(one));
  }
  if (!threaded) {
    return {};
  }
  std::ranges::stable_sort(out, std::ranges::greater{}, &ThreadPool::bytes);
  out.resize(std::min(out.size(), kMaxContributors));
  return out;
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
    one.share = share_of(one.bytes, total);
    out.push_back(std::move(one));
  }
  // Equals by pid, so that a replay tells the same.
  std::ranges::sort(out, {}, [](const Contributor& one) { return std::pair(~one.bytes, one.pid); });
  out.resize(std::min(out.size(), kMaxContributors));
  return out;
}

}  // namespace memcrest
