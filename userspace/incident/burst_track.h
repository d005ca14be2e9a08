// SPDX-License-Identifier: Apache-2.0
// One memory cgroup as the burst detector follows it: its usage, who grew it, and the burst under way.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "incident/burst_detector.h"
#include "incident/rise.h"
#include "incident/usage_history.h"
#include "memcrest/event.h"

namespace memcrest {

inline constexpr std::uint64_t kMaxQuantum = 1ULL << 60U;

struct BurstTrack {
  struct Open {
    std::uint64_t start_ns = 0;
    std::uint64_t base_bytes = 0;
    std::uint64_t peak_bytes = 0;
    std::uint64_t peak_ns = 0;
    // The last peak that was well above the one before: a slow creep does not keep a burst open.
    std::uint64_t progress_bytes = 0;
    std::uint64_t progress_ns = 0;
    std::uint64_t watermark_at_start = 0;
    std::uint64_t least_bytes = 0;  // what made it a burst: trimming its foot must leave as much
    bool steps_missing = false;
  };

  BurstTrack(std::uint64_t cgroup, std::uint64_t window, std::uint64_t foreign_wait);

  // Nothing that comes after `now_ns` will look different when it starts from rest(), but for what samplers showed
  // before: by less than a quantum or 1 MiB.
  [[nodiscard]] bool may_rest(std::uint64_t now_ns) const;
  [[nodiscard]] RestingTrack rest() const;
  void wake(const RestingTrack& rest);

  void add(UsagePoint point);
  void add_late(const StepEvent& event);
  void begin_empty(std::uint64_t time_ns);
  void note_watermark(std::uint64_t time_ns, std::uint64_t bytes);
  [[nodiscard]] bool comes_late(std::uint64_t time_ns) const { return has_points() && time_ns < last().time_ns; }
  void blame(const StepEvent& event);
  void blame_nobody();
  void level_out(std::uint64_t now_ns, std::vector<BurstFinding>& ended);
  void settle(bool sampled, std::uint64_t least, std::vector<BurstFinding>& ended);
  void open_if_risen(std::uint64_t least);
  [[nodiscard]] Open rise_from(const UsagePoint& lowest) const;
  [[nodiscard]] Open without_foot(Open rise) const;
  [[nodiscard]] BurstFinding finish(const Open& whole, std::uint64_t end_ns, BurstEnd end, std::uint64_t unsure_ns);
  [[nodiscard]] std::optional<BurstFinding> killed_on_plateau(std::uint64_t end_ns);
  [[nodiscard]] std::vector<std::uint64_t> shape(const Open& rise, std::uint64_t end_ns) const;
  [[nodiscard]] bool has_points() const { return !history.points().empty(); }
  [[nodiscard]] const UsagePoint& last() const { return history.points().back(); }

  std::uint64_t cgroup_id;
  std::uint64_t window_ns;
  std::uint64_t foreign_wait_ns;
  UsageHistory history;
  SlidingMinimum lows;
  GrowthLedger ledger;
  std::optional<std::uint64_t> limit_bytes;
  std::uint64_t quantum = 1U << 20U;
  std::uint64_t told_bytes = 0;  // usage up to which the ledger says who
  // Above it, what was first seen under a task of another cgroup, and since when.
  std::uint64_t waiting_bytes = 0;
  std::uint64_t waiting_ns = 0;
  std::uint64_t watermark = 0;
  std::uint64_t last_step_ns = 0;
  std::uint64_t last_missing_ns = 0;                               // when steps were last left out
  std::deque<std::pair<std::uint64_t, std::uint64_t>> watermarks;  // time, watermark; one per rise of it
  std::optional<Open> open;
  // The last burst, while usage still stands where it led: a kill some seconds later is its consequence.
  std::optional<BurstFinding> plateau;
};

}  // namespace memcrest
