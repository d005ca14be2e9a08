// SPDX-License-Identifier: Apache-2.0
// The running machine into a SizingBook: a recording that is summed up instead of kept. One thread, the collector's.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>

#include "export/exported_cgroups.h"
#include "identity/container_filter.h"
#include "incident/growth_meter.h"
#include "sizing/sizing_book.h"
#include "store/recording_sink.h"

namespace memcrest {

// What a live observation leaves; outlives the sink.
struct LiveSizing {
  LiveSizing(const SizingSettings& settings, const ContainerFilter& filter);

  SizingBook book;
  struct Name {
    CgroupRef cgroup;
    Container container;
  };
  std::unordered_map<std::uint64_t, Name> names;  // by cgroup id; bounded
  std::optional<Moment> first, last;
  LossCount lost;

 private:
  [[nodiscard]] std::optional<ExportedCgroup> whose(std::uint64_t cgroup_id, bool now_or_never) const;
};

class SizingSink final : public RecordingSink {
 public:
  explicit SizingSink(LiveSizing& to) : to_(to) {}

  void add(std::span<const Event> events) override;
  bool add(Answer /*answer*/) override { return true; }
  void add(Moment moment) override;
  void add(std::span<const SampleEvent> samples) override;
  void add(const Incident& incident, std::string json) override;
  void add(const LossCount& loss) override { to_.lost = loss; }
  bool add(const CgroupRef& cgroup, const Container& container) override;
  void add(std::vector<CodeName> /*names*/) override {}
  [[nodiscard]] bool wants_answers() const override { return false; }
  [[nodiscard]] bool wants_code_names(std::uint64_t /*cgroup_id*/) const override { return false; }
  Result<void> finish() override;
  [[nodiscard]] Status status() const override { return {}; }

 private:
  LiveSizing& to_;
  GrowthMeter growth_;
};

}  // namespace memcrest
