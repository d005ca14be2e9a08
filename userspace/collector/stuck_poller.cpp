// SPDX-License-Identifier: Apache-2.0
#include "collector/stuck_poller.h"

#include <algorithm>
#include <utility>

#include "collector/cgroup_files.h"
#include "collector/waiting_tasks.h"

namespace memcrest {
namespace {

constexpr const char* kControl = "memory.oom_control";
// oom_kill_disable is set just after a cgroup was made, by whoever made it.
constexpr std::uint64_t kYoungNs = 500'000'000;

std::uint64_t nanoseconds(std::chrono::milliseconds duration) {
  return static_cast<std::uint64_t>(duration.count()) * 1'000'000;
}

std::uint64_t since(std::uint64_t now_ns, std::uint64_t then_ns) { return now_ns - std::min(now_ns, then_ns); }

}  // namespace

StuckPoller::StuckPoller(const CgroupTree& tree, SystemRoot root, const CgroupRoster& roster, StuckSettings settings,
                         CpuClock cpu)
    : tree_(tree),
      root_(std::move(root)),
      roster_(roster),
      settings_(settings),
      cpu_(std::move(cpu)),
      walk_budget_(settings.walk_share),
      watch_budget_(settings.watch_share) {}

void StuckPoller::added(std::uint64_t id, std::uint64_t now_ns) { young_.emplace(now_ns + kYoungNs, id); }

void StuckPoller::removed(const Cgroup& cgroup, std::uint64_t now_ns, std::vector<Event>& out) {
  const auto found = watched_.find(cgroup.id);
  if (found == watched_.end()) {
    return;
  }
  if (found->second.told) {
    out.emplace_back(end(std::move(*found->second.told), now_ns));
  }
  open_ -= found->second.file ? 1 : 0;
  watched_.erase(found);
}

void StuckPoller::look(std::uint64_t now_ns, std::vector<Event>& out) {
  if (tree_.version() != 1) {
    return;  // v2 always kills
  }
  while (!young_.empty() && young_.begin()->first <= now_ns) {
    find_out(young_.begin()->second, now_ns);
    young_.erase(young_.begin());
  }
  walk(now_ns);
  watch(now_ns, out);
}

std::optional<StuckPoller::Control> StuckPoller::read(const std::string& path, Watched* watched) {
  char buffer[256];
  std::string_view text;
  Fd file = watched != nullptr && watched->file ? std::move(watched->file) : open_control(tree_, path, kControl);
  const ssize_t got = file ? ::pread(file.get(), buffer, sizeof(buffer), 0) : -1;
  const bool kept = watched != nullptr && got > 0;
  text = got > 0 ? std::string_view(buffer, static_cast<std::size_t>(got)) : text;
  if (kept) {
    watched->file = std::move(file);
  }
  const auto disabled = value_of(text, "oom_kill_disable");
  return disabled ? std::optional(Control{*disabled != 0, value_of(text, "under_oom").value_or(0) != 0}) : std::nullopt;
}

void StuckPoller::find_out(std::uint64_t id, std::uint64_t now_ns) {
  const Cgroup* cgroup = roster_.find(id);
  const auto control = cgroup != nullptr && !watched_.contains(id) ? read(cgroup->path, nullptr) : std::nullopt;
  if (control && control->kill_disabled) {
    watched_[id].looked_ns = now_ns - std::min(now_ns, nanoseconds(settings_.interval));
  }
}

void StuckPoller::walk(std::uint64_t now_ns) {
  walk_budget_.fill(now_ns);
  const std::uint64_t begin = cpu_();
  std::uint64_t spent = 0;
  for (std::size_t left = roster_.all().size(); left > 0 && walk_budget_.left(); --left) {
    auto at = roster_.all().upper_bound(walk_at_);
    if (at == roster_.all().end()) {
      // No more than one round per interval, however few there are.
      if (round_began_ns_ != 0 && since(now_ns, round_began_ns_) < nanoseconds(settings_.interval)) {
        break;
      }
      round_ns_ = round_began_ns_ == 0 ? 0 : since(now_ns, round_began_ns_);
      round_began_ns_ = now_ns;
      at = roster_.all().begin();
    }
    walk_at_ = at->first;
    find_out(at->first, now_ns);
    const std::uint64_t now_cpu = cpu_() - begin;
    walk_budget_.spend(now_cpu - std::exchange(spent, now_cpu));
  }
}

void StuckPoller::watch(std::uint64_t now_ns, std::vector<Event>& out) {
  watch_budget_.fill(now_ns);
  const std::uint64_t due = nanoseconds(settings_.interval) * 3 / 4;
  const std::uint64_t begin = cpu_();
  for (std::size_t left = watched_.size(); left > 0 && watch_budget_.left(); --left) {
    auto at = watched_.upper_bound(watch_at_);
    at = at == watched_.end() ? watched_.begin() : at;
    watch_at_ = at->first;
    const Cgroup* cgroup = roster_.find(at->first);
    Watched& one = at->second;
    if (since(now_ns, one.looked_ns) < due || cgroup == nullptr) {
      continue;
    }
    one.looked_ns = now_ns;
    const bool was_open = static_cast<bool>(one.file);
    const auto control = read(cgroup->path, &one);
    if (!was_open && one.file && open_ >= settings_.max_open) {
      one.file.reset();
    }
    open_ += static_cast<std::size_t>(static_cast<bool>(one.file)) - static_cast<std::size_t>(was_open);
    judge(*cgroup, one, control.value_or(Control{}), now_ns, out);
    if (!one.told && !control.value_or(Control{}).kill_disabled) {
      open_ -= one.file ? 1 : 0;
      watched_.erase(at);
    }
  }
  watch_budget_.spend(cpu_() - begin);
}

void StuckPoller::judge(const Cgroup& cgroup, Watched& watched, const Control& control, std::uint64_t now_ns,
                        std::vector<Event>& out) {
  if (control.under_oom && control.kill_disabled) {
    watched.since_ns = watched.since_ns.value_or(now_ns);
    watched.free_ns.reset();
    // What fills a cgroup marks all below it as well: it is told once, where the limit is.
    if (!watched.told && since(now_ns, *watched.since_ns) >= nanoseconds(settings_.after) && !told_above(cgroup)) {
      watched.told = begin(cgroup, *watched.since_ns, now_ns);
      out.emplace_back(*watched.told);
    }
    return;
  }
  if (!watched.told) {
    watched.since_ns.reset();
    return;
  }
  // A task that gets one page and waits again clears the mark for a moment.
  watched.free_ns = watched.free_ns.value_or(now_ns);
  if (!control.kill_disabled || since(now_ns, *watched.free_ns) >= nanoseconds(settings_.settle)) {
    StuckEvent over = end(std::move(*watched.told), *watched.free_ns);
    over.usage_bytes = tree_.read_number(cgroup.path, tree_.usage_file()).value_or(over.usage_bytes).value_or(0);
    over.limit_bytes = tree_.read_number(cgroup.path, tree_.limit_file()).value_or(over.limit_bytes);
    out.emplace_back(std::move(over));
    watched.told.reset();
    watched.since_ns.reset();
    watched.free_ns.reset();
  }
}

bool StuckPoller::told_above(const Cgroup& cgroup) const {
  for (const Cgroup* up = roster_.find(cgroup.parent_id); up != nullptr; up = roster_.find(up->parent_id)) {
    const auto found = watched_.find(up->id);
    if (found != watched_.end() && found->second.since_ns) {
      return true;
    }
  }
  return false;
}

StuckEvent StuckPoller::begin(const Cgroup& cgroup, std::uint64_t since_ns, std::uint64_t now_ns) const {
  std::vector<std::string> paths = {cgroup.path};
  const std::string below = cgroup.path == "/" ? "/" : cgroup.path + "/";
  for (const auto& [id, other] : roster_.all()) {
    if (other.path.size() > below.size() && other.path.starts_with(below)) {
      paths.push_back(other.path);
    }
  }
  WaitingTasks waiting = find_waiting(tree_, root_, paths);
  StuckEvent event;
  event.time_ns = now_ns;
  event.since_ns = since_ns;
  event.cgroup_id = cgroup.id;
  event.path = cgroup.path;
  event.usage_bytes = tree_.read_number(cgroup.path, tree_.usage_file()).value_or(std::nullopt).value_or(0);
  event.limit_bytes = tree_.read_number(cgroup.path, tree_.limit_file()).value_or(std::nullopt);
  event.tasks = std::move(waiting.tasks);
  event.total_tasks = waiting.total;
  return event;
}

StuckEvent StuckPoller::end(StuckEvent told, std::uint64_t end_ns) {
  told.time_ns = end_ns;
  told.ended = true;
  return told;
}

}  // namespace memcrest
