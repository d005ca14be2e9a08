// SPDX-License-Identifier: Apache-2.0
// What each container is doing: fed with events, figures of cgroup files and incidents, asked for rows. Costs with what
// happens, not with how many containers there are. Bounded: of too many cgroups the quietest is forgotten, of too many
// steps the oldest. One thread, or the caller's lock.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "incident/growth_meter.h"
#include "live/usage_track.h"
#include "memcrest/live.h"
#include "memcrest/surroundings.h"

namespace memcrest {

struct BoardSettings {
  std::size_t max_cgroups = 8192;
  std::size_t max_points = 4096;     // of one cgroup
  std::size_t all_points = 200'000;  // of all
  std::size_t max_incidents = 256;
};

class UsageBoard {
 public:
  explicit UsageBoard(const BoardSettings& settings = {}) : settings_(settings) {}

  void note(std::span<const Event> events);
  // Figures that were read now. What it says of usage counts as a step.
  void note(ContainerMemory figures, std::uint64_t boot_ns);
  // These are all that run; the others are gone.
  void keep_only(const std::unordered_set<std::uint64_t>& running, std::uint64_t boot_ns);
  // One that was told before is replaced.
  void note(const Incident& incident);

  // Cgroups with steps since this was last asked, and whether cgroups came; of those that went the rows know.
  struct News {
    std::unordered_set<std::uint64_t> moved;
    bool cgroups = false;
  };
  [[nodiscard]] News take_news();

  // Rows of all containers with figures; peaks since `since_ns`. `history` left out where nobody draws it.
  [[nodiscard]] std::vector<LiveRow> rows(std::uint64_t now_ns, std::uint64_t since_ns);
  [[nodiscard]] std::optional<LiveDetail> detail(std::uint64_t cgroup_id, std::uint64_t now_ns, std::uint64_t since_ns);
  // Newest first.
  [[nodiscard]] std::vector<std::shared_ptr<const Incident>> incidents() const;

 private:
  static constexpr std::size_t kKinds = static_cast<std::size_t>(MemoryKind::kHugetlb) + 1;
  static constexpr std::size_t kMaxGrowers = 32;

  struct Grower {
    std::string comm;
    std::uint64_t bytes = 0;
  };
  struct Cell {
    UsageTrack track;
    std::map<ProcessKey, Grower> growers;
    std::array<std::uint64_t, kKinds> kinds{};
    std::shared_ptr<const ContainerMemory> memory;  // null: no container, or not read yet
    std::uint64_t gone_ns = 0;
    std::uint64_t bursts = 0;
    std::uint64_t incidents = 0;
    std::uint64_t kills = 0;
  };

  void on(const StepEvent& step);
  void on(const SampleEvent& sample);
  void on(const CgroupEvent& event);
  template <typename T>
  void on(const T& /*event*/) {}
  Cell& cell_of(std::uint64_t cgroup_id);
  void blame(Cell& cell, const StepEvent& step, const MeteredGrowth& grown);
  void make_room(std::uint64_t now_ns);
  [[nodiscard]] LiveRow row_of(const Cell& cell, std::uint64_t now_ns, std::uint64_t since_ns) const;

  BoardSettings settings_;
  GrowthMeter growth_;
  std::unordered_map<std::uint64_t, Cell> cells_;
  std::size_t points_ = 0;  // at most so many since they were counted
  News news_;
  std::deque<std::shared_ptr<const Incident>> incidents_;  // oldest first
};

// The word for what most of a container's memory is; empty: not known.
[[nodiscard]] std::string main_kind(const MemoryFigures& figures);

}  // namespace memcrest
