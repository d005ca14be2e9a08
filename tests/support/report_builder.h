// SPDX-License-Identifier: Apache-2.0
// A small recording on disk, written by the real writer: a container that grows in a burst and is killed.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "export/json.h"
#include "report/report.h"
#include "store/recording_writer.h"
#include "support/event_builder.h"
#include "support/fake_cgroups.h"

namespace memcrest::testing_support {

class RecordingBuilder {
 public:
  explicit RecordingBuilder(const std::string& path) {
    RecordingSettings settings;
    settings.min_free_bytes = 0;
    auto made = RecordingWriter::create(path, settings,
                                        {{"memcrest_version", "0.1.0"},
                                         {"host_name", "node1"},
                                         {"kernel", "6.12"},
                                         {"charge_tier", "page_counter"},
                                         {"oom_tier", "kmsg"}});
    EXPECT_TRUE(made) << made.error().message();
    writer_ = std::move(*made);
  }
  RecordingBuilder& add(const Event& event) {
    writer_->add(std::vector<Event>{event});
    return *this;
  }
  RecordingBuilder& add(const Moment& moment) {
    writer_->add(moment);
    return *this;
  }
  RecordingBuilder& add(const LossCount& loss) {
    writer_->add(loss);
    return *this;
  }
  RecordingBuilder& add(const Incident& incident) { return add(incident, to_json(incident)); }
  RecordingBuilder& add(const Incident& incident, const std::string& json) {
    writer_->add(incident, json);
    return *this;
  }
  RecordingBuilder& add(const Answer& answer) {
    writer_->add(answer);
    return *this;
  }
  void finish() { ASSERT_TRUE(writer_->finish()); }

 private:
  std::unique_ptr<RecordingWriter> writer_;
};

// oom_incident() with the steps that led to it, by two processes, one of them with stacks.
inline void record_oom(RecordingBuilder& to, Incident incident = oom_incident()) {
  const std::uint64_t kill = incident.boot_ns;
  const std::uint64_t id = incident.cgroup.id;
  to.add(Moment{kill - 60'000_ms, incident.unix_ns - 60'000'000'000});
  StepBuilder steps(id, 16_MiB);
  steps.limit(2_GiB).by(task(5943, "python", id));
  to.add(steps.first(kill - 50'000_ms, 400_MiB)).add(steps.up(kill - 40'000_ms, 412_MiB));
  for (std::uint64_t i = 1; i <= 100; ++i) {
    StepEvent step = steps.up(kill - 740_ms + i * 7_ms, 412_MiB + i * 16_MiB);
    step.task = i % 10 == 0 ? task(6000, "sidecar", id) : task(5943, "python", id);
    step.user_stack = {0x3000, 0x2000 + i % 2, 0x1000};
    step.kernel_stack = {0xffffffff81000000};
    to.add(step);
  }
  VictimEvent killed = victim(kill, task(5943, "python", id),
                              chain({memcg(id, 2_GiB, 2_GiB, "b5d6"), memcg(1, 3_GiB, std::nullopt, "")}));
  LogOomEvent log;
  log.time_ns = kill + 1_ms;
  log.victims = {{.pid = 5943, .comm = "python"}};
  log.tasks = {{5943, 5943, 0, 1976_MiB, 0, 0, "python"}, {6000, 6000, 1000, 20_MiB, 4096, -999, "sidecar"}};
  to.add(killed).add(log);
  to.add(sample(kill + 20_ms, 1_MiB, id));
  to.add(incident);
  to.add(Moment{kill + 1'000_ms, incident.unix_ns + 1'000'000'000});
}

inline Report report_of(const std::string& path, ReportRequest request = {}) {
  request.path = path;
  request.details = true;
  auto report = read_report(request);
  EXPECT_TRUE(report) << report.error().message();
  return report ? std::move(*report) : Report{};
}

}  // namespace memcrest::testing_support
