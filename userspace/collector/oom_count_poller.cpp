// SPDX-License-Identifier: Apache-2.0
#include "collector/oom_count_poller.h"

#include <fcntl.h>

#include <algorithm>
#include <utility>

#include "collector/cgroup_files.h"
#include "incident/oom_assembler.h"
#include "util/units.h"

namespace memcrest {
namespace {

// A limit that was hit so long before a kill is what led to it: reclaim tries for seconds.
constexpr std::uint64_t kHitNs = 5'000 * kMillisecond;
// The kernel counts for the machine and for the cgroup in one go; and tells of v2's at most 10 ms later.
constexpr std::uint64_t kSettleNs = 50 * kMillisecond;
// A charge fails when this much more than asked for does not fit: the peak may stay so far below the limit.
constexpr std::uint64_t kBatch = 1U << 20U;

std::optional<std::uint64_t> number_in(const CgroupTree& tree, const std::string& path, const char* file) {
  const auto number = tree.read_number(path, file);
  return number ? *number : std::nullopt;
}

// The limit of memory and swap together is tried first: where both are the same, only that one fails.
std::uint64_t failures_v1(const CgroupTree& tree, const std::string& path) {
  return tree.version() == 1 ? number_in(tree, path, "memory.failcnt").value_or(0) +
                                   number_in(tree, path, "memory.memsw.failcnt").value_or(0)
                             : 0;
}

bool memory_reached(const MemcgState& peaks) {
  return peaks.limit_bytes && peaks.usage_bytes + kBatch > *peaks.limit_bytes;
}
bool memsw_reached(const MemcgState& peaks) {
  return peaks.swap_limit_bytes && peaks.swap_usage_bytes + kBatch > *peaks.swap_limit_bytes;
}

std::uint64_t saturating(std::uint64_t a, std::uint64_t b) { return a > b ? a - b : 0; }

bool is_below(const std::string& child, const std::string& parent) {
  return parent == "/" ? child.size() > 1
                       : child.size() > parent.size() && child.starts_with(parent) && child[parent.size()] == '/';
}

}  // namespace

OomCountPoller::OomCountPoller(const CgroupTree& tree, const SystemRoot& root, CgroupRoster& roster, bool whole_view,
                               OomCountSettings settings, CpuClock cpu)
    : tree_(tree), roster_(roster), settings_(settings), cpu_(std::move(cpu)), whole_view_(whole_view) {
  if (auto file = open_file(root.proc + "/vmstat", O_RDONLY)) {
    vmstat_ = std::move(*file);
  }
  machine_kills_ = machine_kills();  // before any cgroup is read: a kill in between is seen twice, not never
}

std::optional<std::uint64_t> OomCountPoller::gone_unread() const {
  return whole_view_ && machine_kills_ ? std::optional(gone_unread_) : std::nullopt;
}

std::optional<std::uint64_t> OomCountPoller::machine_kills() const {
  char text[32768];
  const ssize_t got = vmstat_ ? ::pread(vmstat_.get(), text, sizeof(text), 0) : -1;
  return got > 0 ? value_of({text, static_cast<std::size_t>(got)}, "oom_kill") : std::nullopt;
}

std::optional<OomCountPoller::Figures> OomCountPoller::read(const std::string& path) const {
  Figures out;
  auto text = read_control(tree_, path, tree_.version() == 1 ? "memory.oom_control" : "memory.events.local");
  if (!text && tree_.version() == 2) {
    text = read_control(tree_, path, "memory.events");
    out.whole_tree = true;
  }
  const auto kills = text ? value_of(*text, "oom_kill") : std::nullopt;
  if (!kills) {
    return std::nullopt;
  }
  out.kills = *kills;
  out.limit_hits = value_of(*text, "oom").value_or(0);
  out.group_kills = value_of(*text, "oom_group_kill");
  return out;
}

void OomCountPoller::added(const CgroupChange& change, std::uint64_t now_ns) {
  Known& known = known_[change.cgroup.id];
  known = {};
  known.looked_ns = now_ns;
  auto figures = read(change.cgroup.path);
  if (tree_.version() == 2 && figures) {
    roster_.watch_file(change.cgroup.id, figures->whole_tree ? "memory.events" : "memory.events.local");
    figures = read(change.cgroup.path);  // it may have counted before the watch
  }
  // What a new cgroup has counted by now is news; the past of the others is not.
  if (change.at_start && figures) {
    known.figures = *figures;
    known.failcnt = failures_v1(tree_, change.cgroup.path);
  }
}

void OomCountPoller::removed(std::uint64_t id) { known_.erase(id); }

void OomCountPoller::look(std::uint64_t now_ns, const std::vector<std::uint64_t>& touched, std::vector<Event>& out) {
  std::vector<Rise> rises;
  for (const std::uint64_t id : touched) {
    look_at(id, now_ns, rises);
  }
  look_at_machine(now_ns);
  if ((owed_ > 0 || !machine_kills_) && now_ns >= next_all_ns_) {
    look_at_all(now_ns, rises);
  }
  account(rises, now_ns, out);
  tell(std::move(rises), out);
  tell_groups(now_ns, out);
}

void OomCountPoller::look_at_machine(std::uint64_t now_ns) {
  const auto interval = static_cast<std::uint64_t>(settings_.interval.count()) * kMillisecond;
  const bool first = machine_looked_ns_ == 0;
  if (!first && now_ns - std::min(now_ns, machine_looked_ns_) < interval - interval / 4) {
    return;
  }
  if (!first) {
    gap_.add(now_ns, now_ns - std::min(now_ns, machine_looked_ns_));
  }
  machine_looked_ns_ = now_ns;
  const auto machine = machine_kills();
  if (machine && machine_kills_ && *machine > *machine_kills_) {
    owed_ += static_cast<std::int64_t>(*machine - *machine_kills_);
    owed_since_ns_ = now_ns;
  } else if (owed_ <= 0) {
    quiet_ns_ = now_ns;
  }
  machine_kills_ = machine;
}

void OomCountPoller::look_at_all(std::uint64_t now_ns, std::vector<Rise>& rises) {
  const std::uint64_t begin = cpu_();
  for (const auto& [id, cgroup] : roster_.all()) {
    look_at(id, now_ns, rises);
  }
  const auto usual = machine_kills_ ? std::chrono::milliseconds(0) : settings_.blind_interval;
  const auto affordable = static_cast<double>(cpu_() - begin) / std::max(settings_.share, 1e-6);
  all_looked_ns_ = now_ns;
  next_all_ns_ = now_ns + std::max(static_cast<std::uint64_t>(usual.count()) * kMillisecond,
                                   static_cast<std::uint64_t>(affordable));
}

void OomCountPoller::look_at(std::uint64_t id, std::uint64_t now_ns, std::vector<Rise>& rises) {
  const Cgroup* cgroup = roster_.find(id);
  const auto found = known_.find(id);
  const auto figures = cgroup != nullptr && found != known_.end() ? read(cgroup->path) : std::nullopt;
  if (!figures) {
    return;
  }
  Known& known = found->second;
  if (figures->limit_hits > known.figures.limit_hits) {
    known.limit_hit_ns = now_ns;
  }
  known.group_kills_untold += saturating(figures->group_kills.value_or(0), known.figures.group_kills.value_or(0));
  if (figures->kills > known.figures.kills) {
    // It was not before our last look at it, nor before the machine's count last stood still.
    const std::uint64_t since = std::max(known.looked_ns, machine_kills_ ? quiet_ns_ : 0);
    rises.push_back(
        {cgroup->path, now_ns, saturating(now_ns, since), figures->kills - known.figures.kills, figures->whole_tree});
  }
  known.figures = *figures;
  known.looked_ns = now_ns;
}

void OomCountPoller::account(const std::vector<Rise>& rises, std::uint64_t now_ns, std::vector<Event>& out) {
  for (const Rise& rise : rises) {
    owed_ -= static_cast<std::int64_t>(rise.kills);
  }
  if (owed_ == 0 || !machine_kills_) {
    owed_ = 0;
    owed_since_ns_ = now_ns;
  } else if (saturating(now_ns, owed_since_ns_) >= kSettleNs && (owed_ < 0 || all_looked_ns_ > owed_since_ns_)) {
    if (owed_ > 0 && whole_view_) {
      OomCountEvent event;
      event.time_ns = now_ns;
      event.window_ns = saturating(now_ns, quiet_ns_);
      event.kills = static_cast<std::uint64_t>(owed_);
      out.emplace_back(std::move(event));
    }
    gone_unread_ += owed_ > 0 ? static_cast<std::uint64_t>(owed_) : 0;
    owed_ = 0;
  }
}

// The topmost cgroup from `path` up that is killed as one; empty: none.
std::string OomCountPoller::group_of(const std::string& path) const {
  std::string group;
  for (std::string up = path; tree_.version() == 2 && up.size() > 1; up = parent_of(up)) {
    if (number_in(tree_, up, "memory.oom.group") == 1) {
      group = up;
    }
  }
  return group;
}

void OomCountPoller::tell(std::vector<Rise> rises, std::vector<Event>& out) {
  // memory.events of old kernels counts what happened below as well: told there already, if it was seen there.
  std::ranges::sort(rises, std::greater{}, [](const Rise& rise) { return std::ranges::count(rise.path, '/'); });
  for (auto rise = rises.begin(); rise != rises.end(); ++rise) {
    for (auto above = rise + 1; rise->whole_tree && above != rises.end(); ++above) {
      if (is_below(rise->path, above->path)) {
        above->kills -= std::min(above->kills, rise->kills);
      }
    }
    const std::string group = rise->kills > 0 ? group_of(rise->path) : std::string();
    if (rise->kills > 0 && group.empty()) {
      out.emplace_back(event_of(*rise));
    } else if (rise->kills > 0) {
      const auto [held, fresh] = groups_.emplace(group, *rise);
      if (!fresh) {
        held->second.kills += rise->kills;
        held->second.path = held->second.path == rise->path ? rise->path : group;
      }
    }
  }
}

// The members of a group die one after the other: held back until all have, so that one kill is one event.
void OomCountPoller::tell_groups(std::uint64_t now_ns, std::vector<Event>& out) {
  for (auto held = groups_.begin(); held != groups_.end();) {
    Rise& rise = held->second;
    if (saturating(now_ns, rise.time_ns) < kSettleNs) {
      ++held;
      continue;
    }
    // The group's first victim is counted twice: as the victim and as a member.
    const Cgroup* group = roster_.find_path(held->first);
    const auto known = group == nullptr ? known_.end() : known_.find(group->id);
    std::uint64_t twice = 1;
    if (known != known_.end() && known->second.figures.group_kills) {
      twice = std::exchange(known->second.group_kills_untold, 0);
    }
    rise.kills = std::max<std::uint64_t>(saturating(rise.kills, twice), 1);
    OomCountEvent event = event_of(rise);
    event.group_kill = true;
    out.emplace_back(std::move(event));
    held = groups_.erase(held);
  }
}

OomCountEvent OomCountPoller::event_of(const Rise& rise) {
  OomCountEvent event;
  event.time_ns = rise.time_ns;
  event.window_ns = rise.window_ns;
  event.path = rise.path;
  event.kills = rise.kills;
  event.peak_bytes = number_in(tree_, rise.path, tree_.peak_file());
  if (const Cgroup* cgroup = roster_.find_path(rise.path)) {
    event.cgroup_id = cgroup->id;
  }
  // Without its files nothing is known, not even that it was not the own limit.
  if (event.cgroup_id != 0 && read(rise.path)) {
    find_limit(event);
  }
  return event;
}

void OomCountPoller::find_limit(OomCountEvent& event) {
  event.limit_path = "";
  for (std::string path = event.path; path.size() > 1; path = parent_of(path)) {
    if (limit_hit(path, event.time_ns, path == event.path)) {
      event.limit_path = path;
      break;
    }
  }
  if (event.limit_path->empty()) {
    return;
  }
  event.usage_bytes = number_in(tree_, *event.limit_path, tree_.usage_file());
  event.limit_bytes = number_in(tree_, *event.limit_path, tree_.limit_file());
  if (tree_.version() == 1) {
    const MemcgState peaks = peaks_of(*event.limit_path);
    event.memsw_hit = memsw_reached(peaks) && (!memory_reached(peaks) || memsw_comes_first(peaks));
    event.memsw_limit_bytes = peaks.swap_limit_bytes;
    event.memsw_usage_bytes = number_in(tree_, *event.limit_path, "memory.memsw.usage_in_bytes").value_or(0);
  }
}

// v1: its limits, and the highest that was ever used of them. What was in use at the kill is gone.
MemcgState OomCountPoller::peaks_of(const std::string& path) const {
  MemcgState out;
  out.usage_bytes = number_in(tree_, path, tree_.peak_file()).value_or(0);
  out.limit_bytes = number_in(tree_, path, tree_.limit_file());
  out.swap_usage_bytes = number_in(tree_, path, "memory.memsw.max_usage_in_bytes").value_or(0);
  out.swap_limit_bytes = number_in(tree_, path, tree_.swap_limit_file());
  return out;
}

bool OomCountPoller::limit_hit(const std::string& path, std::uint64_t now_ns, bool own) {
  const Cgroup* cgroup = roster_.find_path(path);
  const auto found = cgroup == nullptr ? known_.end() : known_.find(cgroup->id);
  if (tree_.version() == 2) {
    if (found == known_.end()) {
      return false;
    }
    // One above may not have been looked at since: its count goes up before the victim dies.
    const auto figures = found->second.figures.whole_tree ? std::nullopt : read(path);
    return (figures && figures->limit_hits > found->second.figures.limit_hits) ||
           (found->second.limit_hit_ns != 0 && saturating(now_ns, found->second.limit_hit_ns) <= kHitNs);
  }
  const MemcgState peaks = peaks_of(path);
  if (!memory_reached(peaks) && !memsw_reached(peaks)) {
    return false;
  }
  if (!own || found == known_.end()) {
    return true;
  }
  // v1 has no such count. failcnt is one that also counts what reclaim could satisfy, and some kernels leave it at 0
  // (6.18): where it counts, it must have grown; the limit must have been reached in any case.
  const std::uint64_t failures = failures_v1(tree_, path);
  return failures != std::exchange(found->second.failcnt, failures) || failures == 0;
}

}  // namespace memcrest
