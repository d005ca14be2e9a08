// SPDX-License-Identifier: Apache-2.0
#include "collector/usage_poller.h"

#include <sys/resource.h>

#include <algorithm>
#include <utility>

#include "collector/cgroup_files.h"

namespace memcrest {
namespace {

constexpr std::uint64_t kMovingNs = 1'000'000'000;  // a cgroup counts as moving so long after its usage last moved
constexpr std::uint64_t kLimitsNs = 200'000'000;    // limits are read again after this
constexpr std::size_t kLooksPerCheck = 16;          // of the budget: reading the CPU clock is not free either

std::size_t affordable_files() {
  constexpr std::size_t kForOthers = 256;
  constexpr std::size_t kMost = 8192;
  rlimit allowed{};
  const bool known = ::getrlimit(RLIMIT_NOFILE, &allowed) == 0;
  return known ? std::min<std::size_t>(allowed.rlim_cur - std::min<std::size_t>(allowed.rlim_cur, kForOthers), kMost)
               : 0;
}

std::uint64_t distance(std::uint64_t a, std::uint64_t b) { return a > b ? a - b : b - a; }

}  // namespace

UsagePoller::UsagePoller(const CgroupTree& tree, UsagePollSettings settings, CpuClock cpu)
    : tree_(tree),
      settings_(settings),
      cpu_(std::move(cpu)),
      quiet_budget_(settings.quiet_share),
      moving_budget_(settings.moving_share),
      whole_(tree.whole_hierarchy()),
      max_open_(settings.max_open.value_or(affordable_files())) {}

void UsagePoller::added(const Cgroup& cgroup, bool fresh) {
  // The root has no limit, and its usage is only the sum of all others: never a step of its own.
  if ((whole_ && cgroup.path == "/") || by_id_.contains(cgroup.id)) {
    return;
  }
  Ring& ring = fresh ? moving_ : quiet_;
  ring.push_front({});
  ring.front().cgroup = cgroup;
  ring.front().fresh = ring.front().moving = fresh;
  by_id_[cgroup.id] = ring.begin();
}

void UsagePoller::removed(std::uint64_t id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) {
    return;
  }
  open_ -= found->second->file ? 1 : 0;
  (found->second->moving ? moving_ : quiet_).erase(found->second);
  by_id_.erase(found);
}

std::uint64_t UsagePoller::highest(std::uint64_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? 0 : found->second->highest;
}

void UsagePoller::look(std::uint64_t now_ns, std::vector<Event>& out) {
  turn(moving_, moving_budget_, moving_gap_, now_ns, out);
  turn(quiet_, quiet_budget_, quiet_gap_, now_ns, out);
}

void UsagePoller::turn(Ring& ring, CpuBudget& budget, LongestGap& gap, std::uint64_t now_ns, std::vector<Event>& out) {
  const auto interval = static_cast<std::uint64_t>(settings_.interval.count()) * 1'000'000;
  const std::uint64_t due = interval - interval / 4;  // a timer that comes a moment early must not cost a whole turn
  budget.fill(now_ns);
  std::uint64_t begin = 0;
  std::size_t looks = 0;
  for (std::size_t left = ring.size(); left > 0; --left) {
    One& one = ring.front();
    const bool first = one.looked_ns == 0;  // without its base line nothing can be said of it: not a matter of budget
    if (!first) {
      const std::uint64_t unread_ns = now_ns - std::min(now_ns, one.looked_ns);
      if (unread_ns < due) {
        break;
      }
      gap.add(now_ns, unread_ns);
      if (!budget.left()) {
        break;
      }
      begin = looks++ == 0 ? cpu_() : begin;
    }
    look_at(one, now_ns, out);
    Ring& to = one.moving ? moving_ : quiet_;
    to.splice(to.end(), ring, ring.begin());
    if (first && looks > 0) {
      begin = cpu_();
    } else if (looks % kLooksPerCheck == kLooksPerCheck - 1) {
      const std::uint64_t now_cpu = cpu_();
      budget.spend(now_cpu - std::exchange(begin, now_cpu));
    }
  }
  if (looks > 0) {
    budget.spend(cpu_() - begin);
  }
}

std::optional<std::uint64_t> UsagePoller::read_usage(One& one) {
  if (!one.file) {
    Fd file = open_control(tree_, one.cgroup.path, tree_.usage_file());
    const auto usage = file ? reread_number(file) : std::nullopt;
    if (usage) {
      keep_open(one, std::move(file));
    }
    return usage;
  }
  const auto usage = reread_number(one.file);
  if (!usage) {
    one.file.reset();
    --open_;
  }
  return usage;
}

void UsagePoller::keep_open(One& one, Fd file) {
  if (open_ >= max_open_) {
    if (!one.moving) {
      return;
    }
    // Whoever moves is read most often: the quiet one that was read last waits longest for its next look.
    const auto other = std::ranges::find_if(quiet_.rbegin(), quiet_.rend(),
                                            [](const One& each) { return static_cast<bool>(each.file); });
    if (other == quiet_.rend()) {
      return;
    }
    other->file.reset();
    --open_;
  }
  one.file = std::move(file);
  ++open_;
}

void UsagePoller::look_at(One& one, std::uint64_t now_ns, std::vector<Event>& out) {
  const auto usage = read_usage(one);
  one.looked_ns = std::max<std::uint64_t>(now_ns, 1);
  if (!usage) {
    one.moving = false;  // gone, or without the memory controller: it may still get it
    return;
  }
  one.highest = std::max(one.highest, *usage);
  const auto move = one.levels.compare(*usage);
  if (move != UsageLevels::Move::kNone) {
    out.emplace_back(step(one, move, *usage, now_ns));
  }
  // Counted in parts of a level: a few pages to and fro are no movement.
  const bool moved =
      move == UsageLevels::Move::kFirst ? one.fresh : distance(*usage, one.last_move_bytes) >= one.levels.quantum() / 8;
  if (moved || move == UsageLevels::Move::kFirst) {
    one.last_move_bytes = *usage;
  }
  one.moved_ns = moved ? one.looked_ns : one.moved_ns;
  one.moving = one.moved_ns != 0 && now_ns - std::min(now_ns, one.moved_ns) < kMovingNs;
}

// Seldom changed, and there are as many to read as there are cgroups above.
void UsagePoller::read_limits(One& one, std::uint64_t now_ns) const {
  if (one.limits.read_ns != 0 && now_ns - std::min(now_ns, one.limits.read_ns) < kLimitsNs) {
    return;
  }
  const auto own = tree_.read_number(one.cgroup.path, tree_.limit_file());
  one.limits.own = own ? *own : std::nullopt;
  one.limits.lowest = lowest_limit(tree_, parent_of(one.cgroup.path));
  if (one.limits.own && (!one.limits.lowest || *one.limits.own < *one.limits.lowest)) {
    one.limits.lowest = one.limits.own;
  }
  one.limits.read_ns = one.looked_ns;
}

StepEvent UsagePoller::step(One& one, UsageLevels::Move move, std::uint64_t usage, std::uint64_t now_ns) {
  read_limits(one, now_ns);
  const auto peak = tree_.read_number(one.cgroup.path, tree_.peak_file());  // v2 has it from 6.1 on
  one.highest = std::max(one.highest, peak ? peak->value_or(0) : 0);
  one.levels.set(usage, UsageLevels::quantum_for(one.limits.lowest, settings_.step_bytes));
  StepEvent event;
  event.time_ns = now_ns;
  event.cgroup_id = event.serial = one.cgroup.id;
  event.usage_bytes = usage;
  event.watermark_bytes = one.highest;
  event.limit_bytes = one.limits.own;
  event.quantum_bytes = one.levels.quantum();
  event.up = move == UsageLevels::Move::kUp;
  event.down = move == UsageLevels::Move::kDown;
  event.foreign = true;
  return event;
}

}  // namespace memcrest
