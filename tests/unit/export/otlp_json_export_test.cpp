// SPDX-License-Identifier: Apache-2.0
// Lines and their members; that they are OTLP, tests/e2e/test_export.py asks OTLP's own classes.
#include "export/otlp_json_export.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "support/export_fixture.h"

namespace memcrest {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
using namespace testing_support;  // NOLINT(google-build-using-namespace): literals

std::vector<json> lines_of(const std::string& text) {
  std::vector<json> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    out.push_back(json::parse(line));
  }
  return out;
}

std::map<std::string, json> attributes_of(const json& list) {
  std::map<std::string, json> out;
  for (const json& one : list) {
    EXPECT_TRUE(out.emplace(one["key"], one["value"].begin().value()).second) << one["key"];
  }
  return out;
}

TEST(OtlpJsonExport, UsageAsGaugesByContainer) {
  ExportFixture fixture;
  OtlpJsonExport otlp(fixture.context(), {ExportTable::kSteps});
  const auto lines = lines_of(
      fixture.of(otlp, {base(1'000'000'000, 1_MiB), base(1'000'000'000, 9_MiB, 200), grown(2'000'000'000, 3_MiB)},
                 {oom_incident()}));
  ASSERT_THAT(lines, SizeIs(1));
  const json& resources = lines[0]["resourceMetrics"];
  ASSERT_THAT(resources, SizeIs(2));
  const auto resource = attributes_of(resources[0]["resource"]["attributes"]);
  EXPECT_EQ(resource.at("container.name"), "web");
  EXPECT_EQ(resource.at("container.image.name"), "my-app");
  EXPECT_EQ(resource.at("container.image.tags")["values"][0]["stringValue"], "latest");
  EXPECT_EQ(resource.at("host.name"), "node1");
  const json& metrics = resources[0]["scopeMetrics"][0]["metrics"];
  ASSERT_THAT(metrics, SizeIs(3));
  EXPECT_EQ(metrics[0]["name"], "memcrest.memory.usage");
  EXPECT_EQ(metrics[0]["unit"], "By");
  const json& points = metrics[0]["gauge"]["dataPoints"];
  ASSERT_THAT(points, SizeIs(2));
  EXPECT_EQ(points[1]["asInt"], std::to_string(3_MiB));
  EXPECT_EQ(points[1]["timeUnixNano"], std::to_string(kBootUnixNs + 2'000'000'000));
}

TEST(OtlpJsonExport, BatchesAreBounded) {
  ExportFixture fixture;
  OtlpJsonExport otlp(fixture.context(), {ExportTable::kSteps}, 10);
  std::vector<Event> events;
  for (std::uint64_t i = 0; i < 95; ++i) {
    events.emplace_back(base(i, i));
  }
  EXPECT_THAT(lines_of(fixture.of(otlp, events)), SizeIs(10));
}

TEST(OtlpJsonExport, NoLineIsTooLongForTheCollector) {
  ExportFixture fixture;
  std::vector<ExportedCgroup> cgroups;
  std::vector<Event> events;
  for (std::uint64_t i = 0; i < 2000; ++i) {
    cgroups.push_back(web_cgroup(std::string(500, 'x')));
    cgroups.back().cgroup_id = i;
    events.emplace_back(base(1, 1, i));
    cgroups.back().serial = std::get<StepEvent>(events.back()).serial;
  }
  fixture.cgroups = ExportedCgroups(std::move(cgroups));
  OtlpJsonExport otlp(fixture.context(), {});
  Incident large = oom_incident();
  large.victims.assign(5000, large.victims.front());
  std::istringstream in(fixture.of(otlp, events, {large}));
  for (std::string line; std::getline(in, line);) {
    EXPECT_LT(line.size(), 1U << 20U);
  }
}

TEST(OtlpJsonExport, AnIncidentAsALog) {
  ExportFixture fixture;
  OtlpJsonExport otlp(fixture.context(), {ExportTable::kIncidents});
  Incident incident = oom_incident();
  incident.container.pod = Pod{};
  incident.container.pod->name = "shop-1";
  incident.container.pod->name_space = "prod";
  incident.container.pod->uid = "u";
  incident.container.pod->owner = Owner{"Deployment", "shop"};
  const auto lines = lines_of(fixture.of(otlp, {base(1, 1)}, {incident}));
  ASSERT_THAT(lines, SizeIs(2));
  const auto resource = attributes_of(lines[0]["resourceLogs"][0]["resource"]["attributes"]);
  EXPECT_EQ(resource.at("container.id"), incident.container.id);
  EXPECT_EQ(resource.at("k8s.pod.name"), "shop-1");
  EXPECT_EQ(resource.at("k8s.namespace.name"), "prod");
  EXPECT_EQ(resource.at("k8s.deployment.name"), "shop");
  const json& record = lines[0]["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
  EXPECT_EQ(record["severityNumber"], 17);
  EXPECT_EQ(record["timeUnixNano"], std::to_string(incident.unix_ns));
  EXPECT_THAT(record["body"]["stringValue"], HasSubstr("killed python[5943]; grew from 412 MiB to 2.00 GiB"));
  const auto attributes = attributes_of(record["attributes"]);
  EXPECT_EQ(attributes.at("memcrest.memory.limit"), "2147483648");
  EXPECT_EQ(attributes.at("memcrest.incident.json"), to_json(incident));
  EXPECT_EQ(attributes_of(lines[1]["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["attributes"])
                .at("memcrest.recording.complete"),
            true);
}

TEST(OtlpJsonExport, LossIsALogToo) {
  ExportFixture fixture;
  OtlpJsonExport otlp(fixture.context(), {});
  ExportEnd end;
  end.gaps = {"no end"};
  const auto lines = lines_of(fixture.of(otlp, {}, {}, {LossCount{1, 2, 0, 0, 0}}, end));
  ASSERT_THAT(lines, SizeIs(2));
  EXPECT_EQ(attributes_of(lines[0]["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["attributes"]).at("event.name"),
            "memcrest.loss");
  EXPECT_EQ(lines[1]["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["severityText"], "WARN");
}

TEST(OtlpJsonExport, StepsWithoutWallTimeAreSaid) {
  ExportFixture fixture;
  OtlpJsonExport otlp(fixture.context(), {});
  RecordingFeed feed(otlp, fixture.cgroups, fixture.filter, fixture.frames);
  feed.add(Event(base(1, 1)));
  ExportEnd end;
  feed.finish(end);
  EXPECT_THAT(otlp.left_out(), ElementsAre(HasSubstr("1 steps")));
}

TEST(OtlpJsonExport, HostileNamesAndNumbers) {
  ExportFixture fixture;
  fixture.meta = {{"host_name", hostile_name()}, {"kernel", hostile_name()}, {"boot_id", hostile_name()}};
  fixture.cgroups = ExportedCgroups({web_cgroup(hostile_name()), plain_cgroup(hostile_name())});
  OtlpJsonExport otlp(fixture.context(), {});
  const auto lines = lines_of(fixture.of(otlp, {hostile_step(), base(2'000'000'000, 1, 200)}, {hostile_incident()},
                                         {LossCount{~0ULL, 0, 0, 0, 0}}));
  EXPECT_THAT(lines, SizeIs(4));
}

}  // namespace
}  // namespace memcrest
