// SPDX-License-Identifier: Apache-2.0
#include "memcrest/monitor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "event/memory_source.h"
#include "support/event_builder.h"

namespace memcrest {
namespace {

using std::chrono::milliseconds;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

// What an embedding program would answer that knows one container.
class OneContainer final : public Surroundings {
 public:
  [[nodiscard]] Moment now() override { return {.boot_ns = now_ns, .unix_ns = 1'795'340'000'000'000'000}; }
  void note(const Event& event) override { now_ns = std::max(now_ns, time_of(event)); }
  void tend() override { now_ns += 200_ms; }
  [[nodiscard]] Identity find(std::uint64_t cgroup_id) override {
    Identity out;
    out.known = true;
    out.cgroup = {.id = cgroup_id, .path = "/mine"};
    out.container.name = "mine";
    return out;
  }
  [[nodiscard]] Identity find_path(const std::string& /*path*/) override { return find(100); }
  [[nodiscard]] Identity wait(std::uint64_t id, milliseconds /*limit*/) override { return find(id); }
  [[nodiscard]] std::optional<RuntimeState> runtime_state(std::uint64_t /*id*/) override { return std::nullopt; }
  [[nodiscard]] std::string stream_gap(const Container& /*one*/, const std::string& /*path*/) override { return {}; }
  [[nodiscard]] std::optional<std::uint64_t> number(const std::string& /*path*/, const std::string& /*file*/) override {
    return std::nullopt;
  }
  [[nodiscard]] std::vector<SampleEvent> sample(const std::vector<std::uint64_t>& /*ids*/) override { return {}; }
  [[nodiscard]] HostRanking rank() override { return {}; }
  void complete_names(HostRanking& /*ranking*/) override {}
  [[nodiscard]] std::string cmdline(const ProcessKey& /*process*/) override { return "hog"; }
  [[nodiscard]] std::string exe(const ProcessKey& /*process*/) override { return "/bin/hog"; }
  [[nodiscard]] ParentChain parents(const ProcessKey& /*process*/) override { return {}; }
  [[nodiscard]] std::string environment(const ProcessKey& /*process*/) override { return {}; }
  [[nodiscard]] StackNames name_stacks(const std::string& /*id*/, const std::vector<StackGrowth>& /*stacks*/,
                                       milliseconds /*patience*/) override {
    return {};
  }

  std::uint64_t now_ns = 0;
};

TEST(Monitor, OverOnesOwnEvents) {
  MemorySource source({victim(1000_ms, task(10), chain({memcg(100, 64_MiB, 64_MiB)}))}, 1, {.bulk = 7});
  OneContainer around;
  std::vector<Incident> told;
  std::size_t seen = 0;
  MonitorOptions options;
  options.observe = [&](std::span<const Event> events) { seen += events.size(); };
  const auto monitor = Monitor::over(source, around, options, [&](const Incident& one) { told.push_back(one); });
  while (monitor->turn(milliseconds(0))) {
  }
  monitor->finish();
  ASSERT_THAT(told, testing::SizeIs(1));
  EXPECT_EQ(told[0].kind, IncidentKind::kOom);
  EXPECT_EQ(told[0].container.name, "mine");
  EXPECT_THAT(to_json(told[0]), testing::HasSubstr("\"memcrest.incident.v1\""));
  EXPECT_EQ(seen, 1);
  EXPECT_EQ(monitor->loss().bulk, 7);
}

TEST(Monitor, SettingsThatCannotBeAreSaidSo) {
  MonitorOptions rings;
  rings.bulk_ring_bytes = 5000;
  MonitorOptions window;
  window.burst_window = std::chrono::nanoseconds(0);
  MonitorOptions step;
  step.step_bytes = 0;
  for (const MonitorOptions& options : {rings, window, step}) {
    const auto opened = Monitor::open(options, [](const Incident& /*one*/) {});
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().kind, MonitorError::Kind::kSettings);
    EXPECT_NE(opened.error().message, "");
  }
}

}  // namespace
}  // namespace memcrest
