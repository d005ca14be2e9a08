// SPDX-License-Identifier: Apache-2.0
#include "incident/burst_detector.h"

#include <algorithm>
#include <utility>

#include "incident/burst_track.h"
#include "incident/saturating.h"

namespace memcrest {
namespace {

// A cgroup counts as active so long after its last step, however long the window is.
constexpr std::uint64_t kLongestActiveNs = 1'000'000'000;
constexpr std::uint64_t kMinBurst = 16U << 20U;
constexpr std::uint64_t kMinWindowNs = 1'000'000;

constexpr std::uint64_t kRestEveryNs = 1'000'000'000;

std::uint64_t minus(std::uint64_t a, std::uint64_t b) { return saturating_sub(a, b); }

template <typename Map, typename Time>
void bound(Map& map, std::size_t most, Time time) {
  if (map.size() > most) {
    map.erase(std::ranges::min_element(map, {}, time));
  }
}

}  // namespace

BurstDetector::BurstDetector(BurstSettings settings) : settings_(settings) {}
BurstDetector::~BurstDetector() = default;

BurstTrack& BurstDetector::track(std::uint64_t cgroup_id) {
  const auto found = tracks_.find(cgroup_id);
  if (found != tracks_.end()) {
    return *found->second;
  }
  if (!tracks_.empty() && tracks_.size() >= settings_.max_cgroups) {
    forget_quietest();
  }
  const auto window = std::max(static_cast<std::int64_t>(kMinWindowNs), settings_.window.count());
  const auto foreign_wait = std::max(std::int64_t{0}, settings_.foreign_wait.count());
  auto& slot = tracks_[cgroup_id];
  slot = std::make_unique<BurstTrack>(cgroup_id, static_cast<std::uint64_t>(window),
                                      static_cast<std::uint64_t>(foreign_wait));
  if (const auto made = untouched_.find(cgroup_id); made != untouched_.end()) {
    slot->begin_empty(made->second);
    slot->last_step_ns = made->second;  // young, not quiet
    untouched_.erase(made);
  } else if (const auto rest = resting_.find(cgroup_id); rest != resting_.end()) {
    slot->wake(rest->second);
    resting_.erase(rest);
  }
  return *slot;
}

BurstTrack* BurstDetector::known(std::uint64_t cgroup_id) {
  const auto found = tracks_.find(cgroup_id);
  return found != tracks_.end()                                           ? found->second.get()
         : untouched_.contains(cgroup_id) || resting_.contains(cgroup_id) ? &track(cgroup_id)
                                                                          : nullptr;
}

void BurstDetector::let_rest(std::uint64_t now_ns) {
  for (auto one = tracks_.begin(); one != tracks_.end();) {
    if (active_.contains(one->first) || !one->second->may_rest(now_ns)) {
      ++one;
      continue;
    }
    resting_.insert_or_assign(one->first, one->second->rest());
    bound(resting_, settings_.max_cgroups, [](const auto& each) { return each.second.last_step_ns; });
    one = tracks_.erase(one);
  }
}

// A burst under way is told as far as it went.
void BurstDetector::forget_quietest() {
  const auto quietest = std::ranges::min_element(tracks_, {}, [](const auto& entry) {
    return std::pair(entry.second->open.has_value(), entry.second->last_step_ns);
  });
  BurstTrack& one = *quietest->second;
  if (one.open) {
    const auto rise = *one.open;
    ended_.push_back(one.finish(rise, one.last().time_ns, BurstEnd::kOpen, 0));
  }
  active_.erase(quietest->first);
  tracks_.erase(quietest);
}

void BurstDetector::created(std::uint64_t cgroup_id, std::uint64_t time_ns) {
  if (tracks_.contains(cgroup_id) || resting_.contains(cgroup_id)) {
    BurstTrack& one = track(cgroup_id);  // its first step came first
    one.begin_empty(time_ns);
    one.last_step_ns = std::max(one.last_step_ns, time_ns);
    return;
  }
  untouched_.insert_or_assign(cgroup_id, time_ns);
  bound(untouched_, settings_.max_cgroups, [](const auto& each) { return each.second; });
}

std::uint64_t BurstDetector::least(std::optional<std::uint64_t> limit_bytes) const {
  return settings_.min_bytes.value_or(std::max(kMinBurst, limit_bytes.value_or(0) / 20));
}

void BurstDetector::step(const StepEvent& event) {
  BurstTrack& one = track(event.cgroup_id);
  one.level_out(event.time_ns, ended_);
  one.limit_bytes = event.limit_bytes;
  one.quantum = std::clamp<std::uint64_t>(event.quantum_bytes, 1, kMaxQuantum);
  one.last_step_ns = std::max(one.last_step_ns, event.time_ns);
  if (event.suppressed > 0) {
    one.last_missing_ns = event.time_ns;
  }
  one.note_watermark(event.time_ns, event.watermark_bytes);
  active_.insert(event.cgroup_id);
  if (one.comes_late(event.time_ns) && event.usage_bytes <= one.last().usage_bytes) {
    one.add_late(event);
    return;
  }
  const bool base_line = !one.has_points();
  one.add({event.time_ns, event.usage_bytes, false});
  if (base_line) {
    one.told_bytes = event.usage_bytes;
  } else {
    one.blame(event);
  }
  one.settle(false, least(one.limit_bytes), ended_);
}

void BurstDetector::sample(const SampleEvent& event) {
  BurstTrack* const one = known(event.cgroup_id);
  if (one == nullptr || !one->has_points() || one->comes_late(event.time_ns)) {
    return;  // a sample alone is no base line: nothing says what came before; an overtaken one says nothing new
  }
  one->level_out(event.time_ns, ended_);
  one->add({event.time_ns, event.usage_bytes, true});
  one->settle(true, least(one->limit_bytes), ended_);
}

void BurstDetector::advance(std::uint64_t now_ns) {
  for (auto id = active_.begin(); id != active_.end();) {
    const auto found = tracks_.find(*id);
    if (found == tracks_.end()) {
      id = active_.erase(id);
      continue;
    }
    BurstTrack& one = *found->second;
    one.level_out(now_ns, ended_);
    const bool quiet = !one.open && minus(now_ns, one.last_step_ns) > one.window_ns;
    if (quiet) {
      one.blame_nobody();
      one.ledger.clear();
    }
    id = quiet ? active_.erase(id) : std::next(id);
  }
  if (minus(now_ns, rested_ns_) >= kRestEveryNs) {
    rested_ns_ = now_ns;
    let_rest(now_ns);
  }
}

void BurstDetector::missing(std::uint64_t cgroup_id, std::uint64_t time_ns) {
  if (BurstTrack* const one = known(cgroup_id); one != nullptr) {
    one->last_missing_ns = std::max(one->last_missing_ns, time_ns);
  }
}

void BurstDetector::close(std::uint64_t now_ns) {
  advance(now_ns);
  for (const std::uint64_t id : active_) {
    BurstTrack& one = *tracks_.at(id);
    if (one.open) {
      const auto rise = *one.open;
      ended_.push_back(one.finish(rise, std::max(now_ns, one.last().time_ns), BurstEnd::kOpen, 0));
    }
  }
}

std::vector<BurstFinding> BurstDetector::take() {
  std::ranges::sort(ended_, {}, [](const BurstFinding& one) { return std::pair(one.end_ns, one.cgroup_id); });
  // Page cache goes when memory is needed: a rise is a burst only if enough of it is something else.
  std::erase_if(ended_, [this](const BurstFinding& one) {
    const Burst& burst = one.burst;
    const std::uint64_t rest = burst.growth_bytes - burst.page_cache_bytes;
    return burst.page_cache_bytes > burst.growth_bytes / 2 && rest < least(one.limit_bytes);
  });
  return std::exchange(ended_, {});
}

std::optional<BurstFinding> BurstDetector::cut(std::uint64_t cgroup_id, std::uint64_t time_ns) {
  const auto found = tracks_.find(cgroup_id);
  if (found == tracks_.end() || !found->second->has_points()) {
    return std::nullopt;
  }
  BurstTrack& one = *found->second;
  const std::uint64_t end_ns = std::max(time_ns, one.last().time_ns);
  if (one.open) {
    const auto rise = *one.open;
    one.lows.restart(one.last());
    return one.finish(rise, end_ns, BurstEnd::kKilled, 0);
  }
  // The same batch of events may hold the fall that the kill itself caused.
  const auto ended = std::ranges::find_if(ended_, [&](const BurstFinding& finding) {
    return finding.cgroup_id == cgroup_id && saturating_add(finding.end_ns, one.window_ns) >= time_ns;
  });
  if (ended != ended_.end()) {
    BurstFinding out = std::move(*ended);
    ended_.erase(ended);
    out.burst.end = BurstEnd::kKilled;
    one.plateau.reset();
    return out;
  }
  auto plateau = one.killed_on_plateau(end_ns);
  const UsagePoint lowest = one.lows.lowest();
  if (minus(one.last().usage_bytes, lowest.usage_bytes) < one.quantum) {
    return plateau;
  }
  const auto rise = one.rise_from(lowest);
  // What moves at the limit while reclaim works is small against what led there.
  if (saturating_add(rise.peak_ns, one.window_ns) < time_ns ||
      (plateau && plateau->burst.growth_bytes > minus(rise.peak_bytes, rise.base_bytes))) {
    return plateau;
  }
  one.lows.restart(one.last());
  return one.finish(rise, end_ns, BurstEnd::kKilled, 0);
}

void BurstDetector::removed(std::uint64_t cgroup_id, std::uint64_t time_ns) {
  untouched_.erase(cgroup_id);
  resting_.erase(cgroup_id);
  const auto found = tracks_.find(cgroup_id);
  if (found == tracks_.end()) {
    return;
  }
  BurstTrack& one = *found->second;
  if (one.open) {
    const auto rise = *one.open;
    const std::uint64_t end_ns = std::max(time_ns, one.last().time_ns);
    ended_.push_back(one.finish(rise, end_ns, BurstEnd::kRemoved, end_ns - one.last().time_ns));
  }
  active_.erase(cgroup_id);
  tracks_.erase(found);
}

std::vector<std::uint64_t> BurstDetector::active(std::uint64_t now_ns) const {
  std::vector<std::uint64_t> out;
  for (const std::uint64_t id : active_) {
    const BurstTrack& one = *tracks_.at(id);
    if (one.open || minus(now_ns, one.last_step_ns) <= std::min(one.window_ns, kLongestActiveNs)) {
      out.push_back(id);
    }
  }
  return out;
}

std::optional<std::uint64_t> BurstDetector::usage_at(std::uint64_t cgroup_id, std::uint64_t time_ns) const {
  const auto found = tracks_.find(cgroup_id);
  if (found == tracks_.end()) {
    const auto rest = resting_.find(cgroup_id);
    return rest != resting_.end()           ? std::optional(rest->second.last.usage_bytes)
           : untouched_.contains(cgroup_id) ? std::optional<std::uint64_t>(0)
                                            : std::nullopt;
  }
  return found->second->has_points() ? std::optional(found->second->history.at(time_ns)) : std::nullopt;
}

std::vector<std::uint64_t> BurstDetector::under_way() const {
  std::vector<std::uint64_t> out;
  std::ranges::copy_if(active_, std::back_inserter(out),
                       [&](std::uint64_t id) { return tracks_.at(id)->open.has_value(); });
  return out;
}

bool BurstDetector::any_under_way() const {
  return std::ranges::any_of(active_, [&](std::uint64_t id) { return tracks_.at(id)->open.has_value(); });
}

}  // namespace memcrest
