// SPDX-License-Identifier: Apache-2.0
// Between a recording and an exporter: says whose each thing is, when it was in wall time and how much it grew, and
// lets through what the filter asks for. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "export/recording_exporter.h"
#include "identity/container_filter.h"
#include "incident/growth_meter.h"

namespace memcrest {

class RecordingFeed {
 public:
  // `frames` takes off of stacks what is no code.
  RecordingFeed(RecordingExporter& exporter, ExportedCgroups& cgroups, const ContainerFilter& filter,
                const FrameNames& frames);

  // The recording begins in the midst of another: the first loss that it tells was before it.
  void begin_with_loss() { loss_is_older_ = true; }
  void add(Event event);
  void add(const Moment& moment);
  void add(LossCount so_far);
  void add_incident(std::string json);
  // Adds what it knows of losses and gaps.
  void finish(ExportEnd& end);

 private:
  struct IncidentText {
    std::string json;
  };
  using Waiting = std::variant<Event, LossCount, IncidentText>;

  void pass(Event& event);
  void pass(const LossCount& so_far);
  void pass(const IncidentText& incident);
  void pass_waiting();
  template <typename T>
  void pass_or_wait(T item);
  [[nodiscard]] bool wanted(const ExportedCgroup& cgroup);
  [[nodiscard]] std::optional<std::int64_t> unix_of(std::uint64_t boot_ns) const;

  RecordingExporter& exporter_;
  ExportedCgroups& cgroups_;
  const ContainerFilter& filter_;
  const FrameNames& frames_;
  bool filters_ = false;
  GrowthMeter growth_;
  std::optional<Moment> moment_;
  std::vector<Waiting> waiting_;  // for the first moment; bounded
  bool flows_ = false;
  std::uint64_t last_ns_ = 0;
  bool loss_is_older_ = false;
  LossCount older_;
  LossCount lost_;               // without older_
  std::uint64_t damaged_ = 0;    // incidents that are none
  std::uint64_t rewritten_ = 0;  // that hold more than this version knows
};

}  // namespace memcrest
