// SPDX-License-Identifier: Apache-2.0
// A recording as a timeline: read once, then asked what each container did at any moment of it. Bounded: of very long
// curves only the extremes of each few points stay. A recording may hold anything. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "export/exported_cgroups.h"
#include "incident/growth_meter.h"
#include "memcrest/live.h"
#include "store/recording_reader.h"

namespace memcrest {

class RecordedUsage {
 public:
  // Damage further inside ends the reading and becomes a note.
  [[nodiscard]] static RecordedUsage read(RecordingReader& reader, ExportedCgroups& cgroups);

  [[nodiscard]] std::uint64_t begin_ns() const { return begin_ns_; }
  [[nodiscard]] std::uint64_t end_ns() const { return end_ns_; }

  // As the machine stood at `boot_ns`; peaks since `since_ns`.
  [[nodiscard]] LiveSnapshot look(std::uint64_t boot_ns, std::uint64_t since_ns) const;
  [[nodiscard]] std::optional<LiveDetail> detail(std::uint64_t cgroup_id, std::uint64_t boot_ns,
                                                 std::uint64_t since_ns) const;
  // All, oldest first.
  [[nodiscard]] const std::vector<std::shared_ptr<const Incident>>& incidents() const { return incidents_; }

 private:
  struct Grown {
    std::uint64_t time_ns = 0;
    std::uint64_t bytes = 0;
    std::uint64_t own_bytes = 0;
    std::size_t task = 0;  // in tasks_; of a bound many
    MemoryKind kind = MemoryKind::kUnknown;
  };
  struct Held {
    std::uint64_t time_ns = 0;
    std::uint64_t total_ns = 0;
  };
  struct Curve {
    ContainerMemory memory;
    std::vector<LivePoint> points;
    std::size_t stride = 1;  // points that were made one
    std::size_t seen = 0;
    std::uint64_t watermark = 0;
    std::vector<std::pair<std::uint64_t, std::optional<std::uint64_t>>> limits;
    std::vector<Held> held;
    std::vector<Grown> grown;
    std::vector<std::uint64_t> kills;  // times, one for each process
    std::vector<std::uint64_t> bursts;
    std::uint64_t first_ns = 0;
    std::uint64_t removed_ns = ~0ULL;
  };
  using Task = std::pair<std::uint32_t, std::string>;

  void take(const RecordingReader::Item& item, ExportedCgroups& cgroups);
  void on(const StepEvent& step, ExportedCgroups& cgroups);
  void on(const SampleEvent& sample);
  void on(const CgroupEvent& event);
  template <typename T>
  void on(const T& /*event*/) {}
  void add_point(Curve& curve, std::uint64_t time_ns, std::uint64_t usage, std::uint64_t watermark);
  void add_incident(const RecordedIncident& recorded);
  [[nodiscard]] std::size_t task_of(const StepEvent& step);
  [[nodiscard]] LiveRow row_at(const Curve& curve, std::uint64_t boot_ns, std::uint64_t since_ns) const;
  // Its own at that time; the outer nullopt: not known, the inner one: none.
  [[nodiscard]] static std::optional<std::optional<std::uint64_t>> limit_at(const Curve& curve, std::uint64_t boot_ns);
  [[nodiscard]] std::optional<EffectiveLimit> effective_at(const Curve& curve, std::uint64_t boot_ns) const;
  [[nodiscard]] static bool is_there(const Curve& curve, std::uint64_t boot_ns);
  void finish();

  std::map<std::uint64_t, Curve> curves_;                        // by cgroup id
  std::unordered_multimap<std::string, std::uint64_t> by_path_;  // their ids; one path may have had several
  std::map<Task, std::size_t> task_index_;
  std::vector<Task> tasks_{{0, ""}};
  GrowthMeter growth_;
  std::size_t all_points_ = 0;
  std::optional<Moment> moment_;
  std::vector<std::shared_ptr<const Incident>> incidents_;
  std::unordered_map<std::string, std::size_t> by_id_;
  std::string charge_tier_, oom_tier_;
  LossCount lost_;
  std::vector<std::string> notes_;
  bool only_containers_ = false;
  std::uint64_t begin_ns_ = 0;
  std::uint64_t end_ns_ = 0;
};

}  // namespace memcrest
