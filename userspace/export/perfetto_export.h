// SPDX-License-Identifier: Apache-2.0
// A Perfetto trace: per cgroup its usage, limit and swap as counters, incidents, bursts and time lost in reclaim; per
// process its growth, kills and steps with their stacks; losses. It lines up with other traces of the same boot.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "export/perfetto_stacks.h"
#include "export/perfetto_trace.h"
#include "export/recording_exporter.h"

namespace memcrest {

// Names of counters.
inline constexpr const char* kTraceUsage = "memory usage";
inline constexpr const char* kTraceLimit = "memory limit";

class PerfettoExport final : public RecordingExporter {
 public:
  struct Bounds {
    std::size_t frames = 1U << 17U;  // that are told before numbers begin anew
    std::size_t stacks = 1U << 15U;
    std::size_t processes = 1U << 16U;  // whose growth is added up
    std::size_t cgroups = 1U << 16U;
  };
  explicit PerfettoExport(const ExportContext& context, const Bounds& bounds);
  explicit PerfettoExport(const ExportContext& context) : PerfettoExport(context, Bounds{}) {}

  void add(const Moment& moment) override;
  void add(const ExportedStep& step) override;
  void add(const ExportedEvent& event) override;
  void add(const ExportedLoss& loss) override;
  void add(const ExportedIncident& incident) override;
  void finish(const ExportEnd& end) override;
  [[nodiscard]] std::vector<std::string> left_out() const override;

 private:
  // What was told of a cgroup last.
  struct Told {
    std::optional<std::uint64_t> limit_bytes;
    std::uint64_t reclaim_ns = 0;
    std::uint64_t throttle_ns = 0;
    std::uint64_t time_ns = 0;
  };
  [[nodiscard]] std::uint64_t root();
  [[nodiscard]] std::uint64_t group_of(const ExportedCgroup& cgroup);
  [[nodiscard]] std::uint64_t row_of(const ExportedCgroup& cgroup, const char* name);
  [[nodiscard]] std::uint64_t counter_of(const ExportedCgroup& cgroup, const char* name);
  [[nodiscard]] std::uint64_t process_of(const TaskInfo& task, std::uint64_t time_ns);
  [[nodiscard]] std::uint64_t thread_of(const TaskInfo& task, std::uint64_t time_ns);

  void counters(const ExportedStep& step, Told& told, TraceEvent& event);
  void grown(const ExportedStep& step, TraceEvent& event);
  void stall(const ExportedStep& step, const char* name, std::uint64_t before_ns, std::uint64_t now_ns,
             const Told& told);
  void swap(const MemcgChain& chain, std::uint64_t time_ns);
  void burst(const Incident& incident, const ExportedCgroup& cgroup);
  void tell(const SampleEvent& sample, const ExportedCgroup& cgroup);
  void tell(const ExecEvent& exec);
  void tell(const ThrottleEvent& throttle, const ExportedCgroup& cgroup);
  void tell(const OomEvent& oom, const ExportedCgroup& cgroup);
  void tell(const VictimEvent& victim);
  void tell(const KillEvent& kill);
  void tell(const CgroupEvent& event, const ExportedCgroup& cgroup);
  void tell(const ChargeFailureEvent& failure, const ExportedCgroup& cgroup);

  ExportContext context_;
  Bounds bounds_;
  TraceIds ids_;
  PerfettoTrace trace_;
  PerfettoStacks stacks_;
  const char* swap_name_;
  std::optional<Moment> told_clocks_;
  std::unordered_map<std::uint64_t, Told> cgroups_;               // by group
  std::unordered_map<std::uint64_t, std::uint64_t> grown_bytes_;  // by process
  std::uint64_t bytes_without_process_ = 0;
  std::uint64_t last_ns_ = 0;
};

}  // namespace memcrest
