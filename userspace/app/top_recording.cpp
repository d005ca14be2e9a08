// SPDX-License-Identifier: Apache-2.0
// `memcrest top FILE`: a recording, at any moment of it.
#include <algorithm>
#include <ranges>

#include "app/exit_codes.h"
#include "app/recorded_cgroups.h"
#include "app/top_sources.h"
#include "identity/container_filter.h"
#include "live/recorded_usage.h"

namespace memcrest {
namespace {

class RecordedTop final : public TopSource {
 public:
  RecordedTop(const TopOptions& options, RecordedUsage usage) : options_(options), usage_(std::move(usage)) {
    // Where there is something to see.
    const auto first = std::ranges::find_if(usage_.incidents(), [&](const auto& one) {
      return matches(options_.filter, one->container, one->cgroup.path);
    });
    now_ns_ = first == usage_.incidents().end() ? usage_.end_ns() : (*first)->boot_ns;
    now_ns_ = std::clamp(now_ns_, usage_.begin_ns(), usage_.end_ns());
  }

  [[nodiscard]] std::string name() const override { return options_.path.substr(options_.path.find_last_of('/') + 1); }
  [[nodiscard]] Result<LiveSnapshot> look() override {
    LiveSnapshot out = usage_.look(now_ns_, since());
    std::erase_if(out.rows, [&](const LiveRow& row) {
      return !matches(options_.filter, row.memory.container, row.memory.cgroup.path);
    });
    return out;
  }
  [[nodiscard]] Result<std::optional<LiveDetail>> detail(std::uint64_t cgroup_id) override {
    return usage_.detail(cgroup_id, now_ns_, since());
  }
  [[nodiscard]] Result<std::vector<std::shared_ptr<const Incident>>> incidents() override {
    std::vector<std::shared_ptr<const Incident>> out;
    for (const auto& one : usage_.incidents() | std::views::reverse) {
      if (matches(options_.filter, one->container, one->cgroup.path)) {
        out.push_back(one);
      }
    }
    return out;
  }
  bool tend(std::chrono::milliseconds /*longest*/) override { return true; }
  [[nodiscard]] std::optional<TimeTravel> travel() const override {
    return TimeTravel{usage_.begin_ns(), usage_.end_ns(), now_ns_};
  }
  void go_to(std::uint64_t boot_ns) override { now_ns_ = std::clamp(boot_ns, usage_.begin_ns(), usage_.end_ns()); }

 private:
  // The interval before the moment, as a screen that was watched then would have had it.
  [[nodiscard]] std::uint64_t since() const {
    const auto interval = static_cast<std::uint64_t>(options_.interval.count());
    return now_ns_ > interval ? now_ns_ - interval : 0;
  }

  const TopOptions& options_;
  RecordedUsage usage_;
  std::uint64_t now_ns_ = 0;
};

}  // namespace

TopOpened open_recorded_top(const TopOptions& options) {
  const auto failed = [](const Error& error) { return std::unexpected(TopFailure{error, kExitFailure}); };
  auto reader = RecordingReader::open(options.path, {});
  if (!reader) {
    return failed(reader.error());
  }
  auto cgroups = cgroups_of(*reader);
  if (!cgroups) {
    return failed(cgroups.error());
  }
  return std::make_unique<RecordedTop>(options, RecordedUsage::read(*reader, *cgroups));
}

}  // namespace memcrest
