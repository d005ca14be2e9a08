// SPDX-License-Identifier: Apache-2.0
#include "collector/host_ranking.h"

#include <algorithm>
#include <iterator>
#include <unordered_set>

#include "identity/container_filter.h"
#include "util/units.h"

namespace memcrest {
namespace {

constexpr std::uint64_t kWindowNs = 60 * kSecond;
constexpr std::uint64_t kBucketNs = 5 * kSecond;
// A step that is younger than this tells what a cgroup held before the kill took it.
constexpr std::uint64_t kFreshNs = 2 * kSecond;
// The kernel log is waited for, a busy machine is slow: a kill's figures are of use for so long.
constexpr std::uint64_t kKillNs = 10 * kSecond;
constexpr std::size_t kMaxTrails = 16384;
constexpr std::size_t kMaxKilled = 1024;
constexpr std::size_t kMaxCgroups = 65536;
constexpr std::size_t kShown = 10;

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

void set_identity(RankedCgroup& ranked, const Container& container) {
  ranked.runtime = container.runtime;
  ranked.container_id = container.id;
  ranked.container_name = container.name;
  ranked.pod_name = pod_name(container);
  ranked.pod_namespace = pod_namespace(container);
}

template <typename Value>
std::vector<RankedCgroup> top(std::vector<RankedCgroup> all, Value value) {
  std::erase_if(all, [&](const RankedCgroup& one) { return value(one) <= 0; });
  std::ranges::stable_sort(all, std::ranges::greater{}, value);
  all.resize(std::min(all.size(), kShown));
  return all;
}

}  // namespace

UsageRanking::UsageRanking(const CgroupTree& tree, Resolver& resolver, const Clock& clock)
    : tree_(tree), resolver_(resolver), clock_(clock) {}

void UsageRanking::note(std::uint64_t cgroup_id, std::uint64_t time_ns, std::uint64_t usage_bytes) {
  auto found = trails_.find(cgroup_id);
  if (found == trails_.end()) {
    if (trails_.size() >= kMaxTrails) {
      trails_.erase(std::ranges::min_element(trails_, {}, [](const auto& one) { return one.second.last.time_ns; }));
    }
    found = trails_.emplace(cgroup_id, Trail{}).first;
  }
  Trail& trail = found->second;
  if (trail.points.empty() || trail.points.back().time_ns + kBucketNs <= time_ns) {
    trail.points.push_back({time_ns, usage_bytes});
  }
  const auto first =
      std::ranges::find_if(trail.points, [&](const Point& one) { return one.time_ns + kWindowNs >= time_ns; });
  trail.points.erase(trail.points.begin(), first == trail.points.begin() ? first : std::prev(first));
  trail.last = {time_ns, usage_bytes};
}

void UsageRanking::note_kill(std::uint64_t time_ns, const MemcgChain& chain) {
  std::erase_if(at_kill_, [&](const auto& one) { return one.second.held.time_ns + kKillNs < time_ns; });
  for (std::size_t i = 0; i < chain.entries.size() && at_kill_.size() < kMaxKilled; ++i) {
    // Of several kills the first saw most.
    at_kill_.try_emplace(chain.entries[i].cgroup_id, AtKill{{time_ns, chain.entries[i].usage_bytes}, i == 0});
  }
}

RankedCgroup UsageRanking::rank_one(std::uint64_t id, const std::string& path, std::uint64_t now_ns) {
  RankedCgroup out;
  out.cgroup = {id, path};
  if (const auto usage = tree_.read_number(path, tree_.usage_file()); usage && *usage) {
    out.usage_bytes = **usage;
  }
  if (const auto killed = at_kill_.find(id);
      killed != at_kill_.end() && killed->second.held.time_ns + kKillNs >= now_ns) {
    out.usage_bytes = std::max(out.usage_bytes, killed->second.held.usage_bytes);
  }
  const auto found = trails_.find(id);
  if (found == trails_.end()) {
    return out;
  }
  const Trail& trail = found->second;
  if (trail.last.time_ns + kFreshNs >= now_ns) {
    out.usage_bytes = std::max(out.usage_bytes, trail.last.usage_bytes);
  }
  std::uint64_t base = trail.points.empty() ? out.usage_bytes : trail.points.front().usage_bytes;
  for (const Point& point : trail.points) {
    if (point.time_ns + kWindowNs > now_ns) {
      break;
    }
    base = point.usage_bytes;
  }
  out.growth_bytes = static_cast<std::int64_t>(out.usage_bytes) - static_cast<std::int64_t>(base);
  return out;
}

void UsageRanking::add_gone(std::vector<RankedCgroup>& all, const std::unordered_set<std::uint64_t>& present,
                            std::unordered_set<std::string>& containers, std::uint64_t now_ns) {
  for (const auto& [id, killed] : at_kill_) {
    if (!killed.leaf || present.contains(id) || killed.held.time_ns + kKillNs < now_ns) {
      continue;
    }
    const Identity identity = resolver_.find(id);
    if (identity.cgroup.path.empty() ||
        (!identity.container.id.empty() && !containers.insert(identity.container.id).second)) {
      continue;
    }
    RankedCgroup one = rank_one(id, identity.cgroup.path, now_ns);
    set_identity(one, identity.container);
    all.push_back(std::move(one));
  }
}

HostRanking UsageRanking::rank() {
  HostRanking out;
  out.growth_window_ms = static_cast<double>(kWindowNs) / 1e6;
  const std::uint64_t now = clock_.boot_ns();
  const auto entries = tree_.scan(kMaxCgroups);
  // Usage counts upwards: a cgroup with children is told by them, unless it is a container, which is told as one.
  std::unordered_set<std::string> parents;
  for (const auto& entry : entries) {
    if (entry.path != "/") {
      parents.insert(parent_of(entry.path));
    }
  }
  std::unordered_set<std::string> containers;
  std::unordered_set<std::uint64_t> present;
  std::vector<RankedCgroup> all;
  for (const auto& entry : entries) {
    present.insert(entry.id);
    const Identity identity = resolver_.find(entry.id);
    if (!identity.container.id.empty()) {
      // Entries come parents first: the first of a container is its own.
      if (!containers.insert(identity.container.id).second) {
        continue;
      }
    } else if (parents.contains(entry.path)) {
      continue;
    }
    RankedCgroup one = rank_one(entry.id, entry.path, now);
    set_identity(one, identity.container);
    all.push_back(std::move(one));
  }
  add_gone(all, present, containers, now);
  if (entries.size() >= kMaxCgroups) {
    out.incomplete = "there are more cgroups than were looked at";
  } else if (!tree_.whole_hierarchy()) {
    out.incomplete = "only a part of the cgroup hierarchy is mounted here";
  }
  out.by_usage = top(all, [](const RankedCgroup& one) { return static_cast<std::int64_t>(one.usage_bytes); });
  out.by_growth = top(std::move(all), [](const RankedCgroup& one) { return one.growth_bytes; });
  return out;
}

void UsageRanking::complete_names(HostRanking& ranking) {
  for (auto* list : {&ranking.by_usage, &ranking.by_growth}) {
    for (RankedCgroup& ranked : *list) {
      if (ranked.container_name.empty()) {
        if (const Identity identity = resolver_.find(ranked.cgroup.id); identity.known) {
          set_identity(ranked, identity.container);
        }
      }
    }
  }
}

}  // namespace memcrest
