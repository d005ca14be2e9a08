// SPDX-License-Identifier: Apache-2.0
// Finds bursts in steps and samples, per memory cgroup. Pure: events and time in, findings out.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "incident/usage_history.h"
#include "memcrest/event.h"
#include "memcrest/incident.h"

namespace memcrest {

struct BurstSettings {
  std::optional<std::uint64_t> min_bytes;  // unset: max(16 MiB, 5 % of the cgroup's limit)
  std::chrono::nanoseconds window{1'000'000'000};
  std::size_t max_cgroups = 16384;  // the longest quiet one is forgotten first
  // How long growth that was first seen under a task of another cgroup waits for this cgroup's own step, which then
  // tells whose it is. For hooks that see pages some time after their charge (tiers "lru…": a huge page is cleared in
  // between); others see who charges, and a foreign task means that none of the cgroup's own did.
  std::chrono::nanoseconds foreign_wait{0};
};

struct BurstFinding {
  std::uint64_t cgroup_id = 0;
  std::uint64_t end_ns = 0;
  std::optional<std::uint64_t> limit_bytes;  // own limit of the cgroup at the last step
  std::uint64_t watermark_bytes = 0;         // the kernel's highest usage as of the last step
  std::uint64_t quantum_bytes = 0;           // distance between levels: how far steps can be off
  // The watermark rose during this burst: read once more now, it is the burst's exact peak.
  bool watermark_rose = false;
  bool steps_missing = false;       // steps of this cgroup were throttled during the burst
  Burst burst;                      // start_unix_ns is left 0: the caller knows the wall clock; programs, stacks empty
  std::vector<StackGrowth> stacks;  // heaviest first
  std::uint64_t seen_bytes = 0;     // all growth that steps saw, which shares are of
  std::vector<SamplerView> samplers;
};

struct BurstTrack;

// What is left to know of a cgroup that has been quiet for so long that its past no longer matters.
struct RestingTrack {
  UsagePoint last;
  std::optional<std::uint64_t> limit_bytes;
  std::uint64_t quantum = 0;
  std::uint64_t told_bytes = 0;
  std::pair<std::uint64_t, std::uint64_t> watermark;  // time, watermark
  std::uint64_t last_step_ns = 0;
  std::uint64_t last_missing_ns = 0;
};

class BurstDetector {
 public:
  explicit BurstDetector(BurstSettings settings);
  ~BurstDetector();
  BurstDetector(const BurstDetector&) = delete;
  BurstDetector& operator=(const BurstDetector&) = delete;

  // A cgroup was seen being made: it starts from nothing. Without this, its first step is only a base line.
  void created(std::uint64_t cgroup_id, std::uint64_t time_ns);
  void step(const StepEvent& event);
  void sample(const SampleEvent& event);
  // Time passes: a rise that makes no new peak for a window has levelled out.
  void advance(std::uint64_t now_ns);
  // Steps of this cgroup are being left out: a burst under way says so.
  void missing(std::uint64_t cgroup_id, std::uint64_t time_ns);
  // Nothing more comes: bursts still under way end as kOpen.
  void close(std::uint64_t now_ns);
  // Bursts that have ended since the last call, in order of their end.
  [[nodiscard]] std::vector<BurstFinding> take();

  // The rise of this cgroup that ended in a kill at `time_ns`, whatever its size as long as it reached one quantum and
  // the peak lies within one window of the kill; or the burst under way; or the last one, up to ten windows after its
  // end, if usage still stands above half of it (reclaim can hold a full cgroup for seconds before the kill). Ends it;
  // nullopt when there was none.
  [[nodiscard]] std::optional<BurstFinding> cut(std::uint64_t cgroup_id, std::uint64_t time_ns);
  // The cgroup is gone: a burst under way ends as kRemoved and can be taken.
  void removed(std::uint64_t cgroup_id, std::uint64_t time_ns);

  // Cgroups worth a look at their usage file: a burst is open, or a step came within the last window (one second at
  // most, however long the window is).
  [[nodiscard]] std::vector<std::uint64_t> active(std::uint64_t now_ns) const;
  // Of these, the ones with a burst under way.
  [[nodiscard]] std::vector<std::uint64_t> under_way() const;
  [[nodiscard]] bool any_under_way() const;
  // What steps and samples saw of its usage at that time; nullopt: nothing.
  [[nodiscard]] std::optional<std::uint64_t> usage_at(std::uint64_t cgroup_id, std::uint64_t time_ns) const;
  // Cgroups that are quiet and cost little. For tests.
  [[nodiscard]] std::size_t resting() const { return resting_.size(); }
  // Cheap: may say yes for a moment after the last one went quiet.
  [[nodiscard]] bool any_active() const { return !active_.empty(); }

 private:
  BurstTrack& track(std::uint64_t cgroup_id);
  [[nodiscard]] BurstTrack* known(std::uint64_t cgroup_id);  // null: nothing was seen of it
  void forget_quietest();
  void let_rest(std::uint64_t now_ns);
  [[nodiscard]] std::uint64_t least(std::optional<std::uint64_t> limit_bytes) const;

  BurstSettings settings_;
  std::map<std::uint64_t, std::unique_ptr<BurstTrack>> tracks_;
  // Made at this time, and nothing more: most are idle, and are to cost little.
  std::map<std::uint64_t, std::uint64_t> untouched_;
  std::map<std::uint64_t, RestingTrack> resting_;
  std::uint64_t rested_ns_ = 0;     // when it was last looked who may
  std::set<std::uint64_t> active_;  // ids of tracks that may be active; pruned by advance()
  std::vector<BurstFinding> ended_;
};

}  // namespace memcrest
